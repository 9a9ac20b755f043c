"""The questionnaire and the descriptions of the waves: read from YAML, checked on load."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import chain, pairwise
from math import inf
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from mkb21.survey.files import LANGUAGES, Folders, check_language
from mkb21.survey.yaml_files import (
    BlockName,
    Fault,
    ItemName,
    ScaleName,
    Strict,
    Text,
    Variable,
    build,
    closest,
    read_yaml,
    unknown_names,
)

MISSING_REASONS = ("not_asked", "not_answered", "dont_know")
RESERVED = ("respondent_id", "started", "finished", "duration_minutes")
FLAGS = ("flag_fast", "longstring", "flag_careless")  # columns that cleaning makes
REVERSED = {"nl": "omgekeerd", "en": "reversed"}  # after the label of a reversed answer
KEYS = {  # of each kind of scale: the first is needed
    "nominal": "codes dont_know",
    "ordinal": "codes dont_know",
    "number": "unit range dont_know",
    "open": "",
}
# of the origins whose respondents are invented
NOTICES: dict[str, dict[str, str]] = read_yaml(Path(__file__).with_name("notices.yaml")).data


# --- the shape of the files --------------------------------------------------------------------


Range = tuple[float | None, float | None]


def ends(given: Range) -> tuple[float, float]:
    """The lowest and highest number of a range; infinite where it has no end."""
    low, high = given
    return -inf if low is None else low, inf if high is None else high


class Scale(Strict):
    """How an item is answered: with one of `codes`, a number of `unit`s, or in one's own words.

    `range`: the lowest and highest number that can be.
    """

    kind: Literal["nominal", "ordinal", "number", "open"]
    codes: dict[int, Text] = Field(default={}, min_length=2)
    dont_know: bool = False
    unit: Text | None = None
    range: Range = (None, None)

    def holds(self, value: float) -> bool:
        """Is it an answer? Of an open question that is 1: something was written."""
        low, high = ends(self.range)
        return low <= value <= high if self.kind == "number" else value in (self.codes or [1])

    def faults(self) -> Iterator[Fault]:
        own = KEYS[self.kind].split()
        for key in self.model_fields_set - {"kind", *own}:
            yield (key,), f"a scale of kind {self.kind} has no {key}"
        if own and own[0] not in self.model_fields_set:
            yield (), f"a scale of kind {self.kind} needs {own[0]}"
        yield from _range_faults([self.range], ("range",))


class Dated(Strict):
    """What was asked from one wave to another, both included.

    `words`: the fields that a wave can have in words of its own.
    """

    words: ClassVar[tuple[str, ...]] = ()
    since: str | None = None
    until: str | None = None

    def outside(self, wave: str) -> str:
        """Why it is not in a wave ("since 2014"); "" if it is."""
        if self.since and _order(wave) < _order(self.since):
            return f"since {self.since}"
        return f"until {self.until}" if self.until and _order(wave) > _order(self.until) else ""

    def faults(self) -> Iterator[Fault]:
        if self.until and self.outside(self.until):
            yield ("until",), f"{self.until} is before {self.since}"


class Item(Dated):
    """One question, or one option of a question with several answers.

    `reverse`: scores take `<item>_r`, in which the highest code is the lowest (see `_keyed`).
    """

    words = ("label", "text")
    label: Text
    text: Text | None = None
    scale: ScaleName | None = None
    reverse: bool = False


class Condition(Strict):
    """Routing: asked of those whose `variable` has one of `codes`."""

    variable: Variable
    codes: list[int] = Field(min_length=1)


class Block(Dated):
    """Questions that stand together in the questionnaire."""

    words = ("title", "question")
    title: Text
    source: str
    question: Text | None = None
    scale: ScaleName | None = None
    multiple: bool = False
    asked_if: Condition | None = None
    items: dict[str, Item] = Field(min_length=1)


class Recode(Strict):
    """New code -> old codes of one variable, or the range of a number that gets it."""

    source: Variable = Field(alias="from")
    codes: dict[int, list[int]] = {}
    ranges: dict[int, Range] = {}

    def faults(self) -> Iterator[Fault]:
        for code in _repeated(chain(*self.codes.values())):
            yield (), f"the old code {code} is given to two new codes"
        yield from _range_faults(self.ranges.values(), ("ranges",))


class AnyAtLeast(Strict):
    """1 if any of the items reaches `code`, else 0."""

    items: list[Variable] = Field(min_length=1)
    code: int


class Derived(Strict):
    """A variable made from answers."""

    label: Text
    scale: ScaleName
    recode: Recode | None = None
    any_at_least: AnyAtLeast | None = None

    def faults(self) -> Iterator[Fault]:
        if (self.recode is None) == (self.any_at_least is None):
            yield (), "give either recode or any_at_least"

    @property
    def sources(self) -> list[str]:
        """Names of the variables that it is made from."""
        if self.recode:
            return [self.recode.source]
        return list(self.any_at_least.items) if self.any_at_least else []

    def of(self, sources: list[str]) -> Derived:
        """The same of those sources that there are."""
        if not self.any_at_least:
            return self
        reach = self.any_at_least.model_copy(update={"items": sources})
        return self.model_copy(update={"any_at_least": reach})


class Construct(Strict):
    """A score: the mean of its items, if enough of them were answered."""

    label: Text
    items: list[ItemName] = Field(min_length=2)
    min_answered: int | None = Field(default=None, ge=1)

    def faults(self) -> Iterator[Fault]:
        if self.min_answered and self.min_answered > len(self.items):
            yield (), f"min_answered is {self.min_answered}, with {len(self.items)} items"


class Missing(Strict):
    """Labels of the three reasons why an answer is missing."""

    not_asked: Text
    not_answered: Text
    dont_know: Text


class Instrument(Strict):
    """The questionnaire. Made by `load_instrument`."""

    instrument: str
    languages: tuple[Literal["nl", "en"], ...] = Field(default=LANGUAGES, min_length=1)
    title: Text
    wording: Text
    missing: Missing
    scales: dict[str, Scale]
    blocks: dict[str, Block]
    derived: dict[str, Derived] = {}
    constructs: dict[str, Construct] = {}

    @property
    def language(self) -> str:
        """The language of texts where none is named: English, if the questionnaire has it."""
        return "en" if "en" in self.languages else self.languages[0]

    @cached_property
    def items(self) -> dict[str, Item]:
        """Every item of every block by name, in the order of the questionnaire."""
        return {name: item for block in self.blocks.values() for name, item in block.items.items()}

    @cached_property
    def block_of(self) -> dict[str, str]:
        """Item name -> name of the block that it stands in."""
        return {item: name for name, block in self.blocks.items() for item in block.items}

    @cached_property
    def made_of(self) -> dict[str, list[str]]:
        """Derived variable or construct -> the variables that it is made of."""
        made = {name: spec.sources for name, spec in self.derived.items()}
        return made | {name: spec.items for name, spec in self.constructs.items()}

    @cached_property
    def needs(self) -> dict[str, list[str]]:
        """Variable -> what it is made of, or of an item what decides whether it is asked."""
        routes = {name: block.asked_if for name, block in self.blocks.items()}
        asked = {item: routes[block] for item, block in self.block_of.items()}
        return self.made_of | {item: [r.variable] if r else [] for item, r in asked.items()}

    @cached_property
    def order(self) -> list[str]:
        """Every variable after those that it needs."""
        return list(TopologicalSorter(self.needs).static_order())

    def block(self, name: str) -> list[str]:
        """Item names of one block."""
        if name not in self.blocks:
            what = f"The instrument has no block {name!r}, or this wave did not ask it."
            raise ValueError(what + closest(name, self.blocks))
        return list(self.blocks[name].items)

    def scale_name(self, variable: str) -> str:
        """Name of the answer scale of an item or derived variable; "" for a score."""
        if variable in self.items:
            return self.items[variable].scale or self.blocks[self.block_of[variable]].scale or ""
        if variable in self.derived:
            return self.derived[variable].scale
        if variable in self.constructs:
            return ""
        known = [*self.items, *self.derived, *self.constructs]
        raise ValueError(f"The instrument has no variable {variable!r}.{closest(variable, known)}")

    def kind(self, variable: str) -> str:
        """Kind of the answer scale: nominal, ordinal, number or open; "" for a score."""
        scale = self.scales.get(self.scale_name(variable))
        return scale.kind if scale else ""

    def codes(self, variable: str, language: str = "") -> dict[int, str]:
        """Code -> label of the answer scale of a variable, in its order; {} where it has none."""
        name = self.scale_name(variable)
        shown = language or self.language
        return {c: t[shown] for c, t in self.scales[name].codes.items()} if name else {}

    def label(self, variable: str, language: str = "") -> str:
        """Short label of an item, derived variable or construct."""
        self.scale_name(variable)
        holder = self.items.get(variable) or self.derived.get(variable) or self.constructs[variable]
        return holder.label[language or self.language]

    def labels(self, variables: Iterable[str], language: str = "") -> dict[str, str]:
        """Variable -> short label."""
        return {variable: self.label(variable, language) for variable in variables}

    def topic(self, variables: Iterable[str], language: str = "") -> str:
        """What several variables are about: their labels, or for more than two that of a score of
        just these, else the title of the block that the first stands in.
        """
        names = list(dict.fromkeys(variables))
        if len(names) <= 2:
            return ", ".join(self.label(name, language) for name in names)
        for name, construct in self.constructs.items():
            if construct.items == names:
                return self.label(name, language)
        block = self.blocks[self.block_of[self.rests_on(names[:1])[0]]]
        title = block.title[language or self.language]
        return title[0].lower() + title[1:]

    def rests_on(self, variables: Iterable[str]) -> list[str]:
        """The items that variables are made of, in the order of the questionnaire."""
        found = list(variables)
        for name in found:  # which grows meanwhile
            found += [part for part in self.made_of.get(name, []) if part not in found]
        return [item for item in self.items if item in found]

    def text(self, item: str, language: str = "") -> str:
        """What the respondent reads: the question, with the statement or option of this item."""
        if item not in self.items:
            raise ValueError(f"The instrument has no item {item!r}.{closest(item, self.items)}")
        question = self.blocks[self.block_of[item]].question
        language = language or self.language
        own = (self.items[item].text or self.items[item].label)[language]
        return own if question is None else f"{question[language]} {own}"

    def min_answered(self, construct: str) -> int:
        """How many items must be answered for a score (default: half of them, rounded up)."""
        spec = self.constructs[construct]
        return spec.min_answered or -(-len(spec.items) // 2)

    def outside(self, item: str, wave: str) -> str:
        """Why an item is not in a wave by its own `since` and `until` or its block's; "" if it is."""
        return self.items[item].outside(wave) or self.blocks[self.block_of[item]].outside(wave)

    def only(self, asked: set[str]) -> Instrument:
        """The questionnaire of the items that were asked.

        Blocks, derived variables and constructs lose the others. A construct is left out
        where fewer items are left than its `min_answered`, or than two.
        """
        blocks = {
            name: block.model_copy(update={"items": {i: block.items[i] for i in left}})
            for name, block in self.blocks.items()
            if (left := [i for i in block.items if i in asked])
        }
        made: dict[str, Any] = {}
        for name in (name for name in self.order if name in self.made_of):
            spec = self.derived.get(name) or self.constructs[name]
            parts = [part for part in self.made_of[name] if part in asked or part in made]
            if isinstance(spec, Derived) and parts:
                made[name] = spec.of(parts)
            elif isinstance(spec, Construct) and len(parts) >= (spec.min_answered or 2):
                made[name] = spec.model_copy(update={"items": parts})
        return self.having(
            blocks=blocks,
            derived={name: made[name] for name in self.derived if name in made},
            constructs={name: made[name] for name in self.constructs if name in made},
        )

    def having(self, **parts: Any) -> Instrument:
        """The questionnaire with other parts."""
        return Instrument.model_construct(**dict(self) | parts)


class Fieldwork(Strict):
    """First and last day of the interviews."""

    start: date
    end: date

    def faults(self) -> Iterator[Fault]:
        if self.end < self.start:
            yield (), "it ends before it starts"


class Export(Strict):
    """The raw file as the survey tool made it."""

    file: str
    encoding: str = "utf-8-sig"
    delimiter: str = Field(default=";", min_length=1, max_length=1)
    decimal: Literal[",", "."] = ","
    datetime: str = "%d-%m-%Y %H:%M:%S"
    language: Literal["nl", "en"] = "nl"
    sheet: str | None = None

    def faults(self) -> Iterator[Fault]:
        try:
            datetime.strptime(datetime(2012, 10, 31, 13, 5).strftime(self.datetime), self.datetime)
        except ValueError as error:
            yield ("datetime",), f"it is not a format of dates: {error}"


class TestEntries(Strict):
    """Rows made while testing: `pattern` (regular expression) is found in one of `columns`."""

    columns: list[str] = Field(min_length=1)
    pattern: str

    def faults(self) -> Iterator[Fault]:
        try:
            re.compile(self.pattern)
        except re.error as error:
            yield ("pattern",), f"it is not a regular expression: {error}"


class Rules(Strict):
    """The choices that cleaning makes for a wave."""

    test_entries: TestEntries | None = None
    complete: list[BlockName] = []  # blocks that must be answered in full
    eligible: dict[Variable, list[int]] = {}  # variable -> codes that belong to the population
    duplicates: list[str] = []  # columns in which one respondent has one value
    fast_minutes: float | None = None  # faster than this is flagged, not dropped
    longstring: int | None = None  # as many equal answers in a row are flagged, not dropped


class Wave(Strict):
    """One wave. Made by `load_wave`, which adds the instrument of the time of the wave."""

    wave: str
    title: Text
    origin: Literal["observed", "reconstructed", "demonstration"]
    fieldwork: Fieldwork
    population: Text
    export: Export
    columns: dict[str, str] = Field(min_length=1)  # variable -> column of the export
    personal: dict[str, str] = {}  # name -> column that is dropped
    ignored: list[str] = []
    answers: dict[str, dict[str, int | str]] = {}  # scale -> label -> code
    not_in_wave: list[ItemName] = []
    wording: dict[str, dict[str, Text]] = {}  # item or block -> its words in this wave
    rules: Rules = Rules()
    instrument: Instrument = Field(default=None, exclude=True)  # type: ignore[assignment]

    @property
    def synthetic(self) -> bool:
        """Are the respondents invented?"""
        return self.origin in NOTICES

    def notice(self, language: str = "en") -> str | None:
        """The sentence that everything of an invented wave carries; None if observed."""
        check_language(language)
        return NOTICES[self.origin][language].format(wave=self.wave) if self.synthetic else None

    @property
    def items(self) -> list[str]:
        """The items that this wave asked, in the order of the questionnaire."""
        return [name for name in self.instrument.items if name not in self.not_in_wave]

    @cached_property
    def questions(self) -> Instrument:
        """The instrument as this wave asked it: in its words, without the items not in it.

        A construct of which fewer items are left than `min_answered` is left out, as in cleaning.
        """
        full, blocks = self.instrument, {}
        constructs = {
            name: spec.model_copy(update={"min_answered": full.min_answered(name)})
            for name, spec in full.constructs.items()
        }
        asked = full.having(constructs=constructs).only(set(self.items))
        for name, block in asked.blocks.items():
            items = {item: self._reworded(item, spec) for item, spec in block.items.items()}
            blocks[name] = self._reworded(name, block.model_copy(update={"items": items}))
        return _keyed(asked.having(blocks=blocks))

    def _reworded(self, name: str, asked: Dated) -> Any:
        words = self.wording.get(name, {})
        return asked.model_copy(update={k: words[k] for k in asked.words if k in words})


# --- reading and checking ----------------------------------------------------------------------


def load_instrument(project: Folders) -> Instrument:
    """The questionnaire of a project.

    Raises
    ------
    ValueError
        With every fault of the file, one per line: unknown scale, name used twice, construct or
        routing that names something that does not exist, routing that depends on itself, wrong or
        missing keys. Where the faults make it impossible to read the file on, mend them first.
    """
    source = read_yaml(project.instrument)
    said = str(source.data.get("languages", LANGUAGES))  # whatever it is: judged by `build`
    instrument = build(Instrument, source, [name for name in LANGUAGES if name in said])
    if instrument is not None:
        source.note(_name_faults(instrument))
        instrument = _keyed(instrument)
        turned = [f"{name}_r" for name, item in instrument.items.items() if item.reverse]
        known = {
            "scale": instrument.scales,
            "variable": [*instrument.items, *instrument.derived],
            "item": [*instrument.items, *turned, *instrument.constructs],
        }
        source.note(_unknown_faults(instrument, known))
        checks = (_label_faults, _item_faults, _derived_faults, _construct_faults, _loop_faults)
        for check in checks:
            source.note(check(instrument))
    return source.checked(instrument)


def load_wave(project: Folders, wave: str) -> Wave:
    """One wave, with the instrument of its time in `.instrument`: by `since` and `until`.

    Raises
    ------
    ValueError
        As `load_instrument`, for `data/waves/<wave>.yaml`: a variable without a column, a column
        used twice, an unknown variable, block, scale or code, a pattern that is not a regular
        expression. An unknown wave: the error lists those there are.
    """
    path = project.wave_file(wave)
    if not path.is_file():
        known = ", ".join(project.waves()) or "none yet"
        raise ValueError(f"There is no wave {wave!r} ({path} does not exist). Waves: {known}.")
    full = load_instrument(project)
    source = read_yaml(path)
    wave = str(wave)  # papermill makes 2012 a number
    instrument = full.only({item for item in full.items if not full.outside(item, wave)})
    parsed = build(Wave, source, full.languages)
    if parsed is not None:
        parsed = parsed.model_copy(update={"instrument": instrument})
        if parsed.wave != wave:
            source.fault(("wave",), f"it is {parsed.wave!r}, but the file is named {wave}.yaml")
        for check in (_column_faults, _answer_faults, _wording_faults, _rule_faults):
            source.note(check(parsed, full))
    return source.checked(parsed)


def _order(wave: str) -> list[str | int]:
    """What waves are sorted by: the numbers in their names as numbers."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", wave)]


def fold(text: str) -> str:
    """A label without differences of case and spacing."""
    return " ".join(text.split()).casefold()


def _keyed(instrument: Instrument) -> Instrument:
    """With the reversed answers: `<item>_r`, derived of an item, takes its place in constructs."""
    made, derived = {}, dict(instrument.derived)
    for item, spec in instrument.items.items():
        scale = instrument.scale_name(item)
        if spec.reverse and (turned := _turned(instrument.scales.get(scale))):
            words = {k: f"{text} ({REVERSED[k]})" for k, text in spec.label if text}
            recode = Recode.model_validate({"from": item, "codes": turned})
            made[item] = f"{item}_r"
            derived[made[item]] = Derived(label=Text(**words), scale=scale, recode=recode)
    constructs = {
        name: spec.model_copy(update={"items": [made.get(item, item) for item in spec.items]})
        for name, spec in instrument.constructs.items()
    }
    return instrument.having(derived=derived, constructs=constructs)


def _turned(scale: Scale | None) -> dict[int, list[int]]:
    """New code -> old code, the lowest for the highest; {} for a scale that cannot be turned."""
    if scale is None or scale.kind != "ordinal":
        return {}
    ends = min(scale.codes) + max(scale.codes)
    turned = {ends - code: [code] for code in scale.codes}
    return turned if turned.keys() == scale.codes.keys() else {}


# --- checks: each yields the place of a fault, and what is wrong there ----------------------------


def _repeated(names: Iterable[Any]) -> list[Any]:
    return [name for name, times in Counter(names).items() if times > 1]


def _range_faults(ranges: Iterable[Range], place: tuple) -> Iterator[Fault]:
    found = sorted(map(ends, ranges))
    if any(low > high for low, high in found):
        yield place, "its low end is above its high end"
    elif any(low <= high for (_, high), (low, _) in pairwise(found)):
        yield place, "a number can lie in two of the ranges"


def _unknown_faults(record: Strict, known: Mapping[str, Iterable[str]]) -> Iterator[Fault]:
    """Names that are not there, said of the list or the part that holds them."""
    for place, name, reason in unknown_names(record, known):
        yield place if place[-1] == name else place[:-1], reason


def _name_faults(instrument: Instrument) -> Iterator[Fault]:
    """Items, derived variables and constructs are columns of one table: their names must differ."""
    named: dict[tuple, str] = {}
    for block, spec in instrument.blocks.items():
        named |= {("blocks", block, "items", item): item for item in spec.items}
        turned = [item for item, asked in spec.items.items() if asked.reverse]
        named |= {("blocks", block, "items", item, "reverse"): f"{item}_r" for item in turned}
    named |= {("derived", name): name for name in instrument.derived}
    named |= {("constructs", name): name for name in instrument.constructs}
    count = Counter(named.values())
    for place, name in named.items():
        if count[name] > 1:
            yield place, f"the name {name!r} is used {count[name]} times"
        if name in (*RESERVED, *FLAGS):
            yield place, f"the name {name!r} is reserved"
        if not name.isidentifier():
            yield place, f"{name!r} is not a name: use letters, digits and _"


def _label_faults(instrument: Instrument) -> Iterator[Fault]:
    """An answer must be told from every other by its label."""
    for name, scale in instrument.scales.items():
        for language in instrument.languages:
            read = {str(code): str(code) for code in scale.codes}  # as an export of codes has it
            if scale.dont_know:
                read[fold(getattr(instrument.missing.dont_know, language) or "")] = "don't know"
            for code, text in scale.codes.items():
                label = getattr(text, language) or str(code)
                if (other := read.setdefault(fold(label), str(code))) != str(code):
                    what = f"the label {label!r} ({language}) would also be read as {other}"
                    yield ("scales", name, "codes", code), f"{what}: give each its own words"


def _item_faults(instrument: Instrument) -> Iterator[Fault]:
    for name, block in instrument.blocks.items():
        for item, spec in block.items.items():
            place, scale = ("blocks", name, "items", item), instrument.scale_name(item)
            answers = instrument.scales.get(scale)
            if not scale:
                yield place, "it has no scale"
            elif answers and block.multiple and set(answers.codes) != {0, 1}:
                yield place, "an option of a multiple question needs a scale with codes 0 and 1"
            elif answers and spec.reverse and not _turned(answers):
                reason = f"the scale {scale!r} has no order that can be turned round"
                yield (*place, "reverse"), reason
        if asked := block.asked_if:
            here = ("blocks", name, "asked_if")
            yield from _code_faults(instrument, asked.variable, asked.codes, here)


def _code_faults(
    instrument: Instrument, variable: str, codes: Iterable[int], place: tuple
) -> Iterator[Fault]:
    """Codes that do not stand in the answer scale of a variable, as far as that is known."""
    if variable not in (*instrument.items, *instrument.derived):
        return
    scale = instrument.scales.get(instrument.scale_name(variable))
    if scale and scale.kind in ("number", "open"):
        yield place, f"{variable} is of kind {scale.kind}: it has no codes"
    elif scale:
        listed = ", ".join(map(str, scale.codes))
        for code in set(codes) - set(scale.codes):
            yield place, f"{variable} has no code {code}; its codes are {listed}"


def _derived_faults(instrument: Instrument) -> Iterator[Fault]:
    for name, spec in instrument.derived.items():
        here, made = ("derived", name), {0, 1} if spec.any_at_least else set()
        if recode := spec.recode:
            made, old = {*recode.codes, *recode.ranges}, [*chain(*recode.codes.values())]
            number = (
                recode.source in instrument.items and instrument.kind(recode.source) == "number"
            )
            if number != bool(recode.ranges) or number == bool(old):
                yield (*here, "recode"), "give ranges of a number, codes of anything else"
            elif not number:
                yield from _code_faults(instrument, recode.source, old, (*here, "recode"))
        elif reach := spec.any_at_least:
            for item in reach.items:
                yield from _code_faults(instrument, item, [reach.code], (*here, "any_at_least"))
        if spec.scale in instrument.scales and made - set(instrument.scales[spec.scale].codes):
            yield here, f"it makes codes that the scale {spec.scale!r} does not have"


def _construct_faults(instrument: Instrument) -> Iterator[Fault]:
    turned = {f"{item}_r": item for item, spec in instrument.items.items() if spec.reverse}
    for name, spec in instrument.constructs.items():
        here = ("constructs", name, "items")
        for item in (item for item in spec.items if item in (*instrument.items, *turned)):
            if instrument.kind(item) not in ("ordinal", "number", ""):
                yield here, f"{item} is not on an ordinal scale: a mean of it says nothing"
        for item in _repeated(spec.items):
            both = f" (as {turned[item]}, which is reversed)" if item in turned else ""
            yield here, f"{item} stands more than once{both}"
        kinds = {i: instrument.kind(i) for i in instrument.rests_on([name])}
        units = {instrument.scale_name(i) if kinds[i] == "number" else "" for i in kinds}
        if len(units) > 1 and any(units):
            yield here, "numbers have a mean with others of their own scale only"


def _loop_faults(instrument: Instrument) -> Iterator[Fault]:
    """No block, derived variable or construct may depend on itself, directly or along a detour."""
    needs, said = dict(instrument.needs), set()
    while loop := _loop(needs):
        first = min(loop)
        start, block = loop.index(first), instrument.block_of.get(first, "")
        made = "derived" if first in instrument.derived else "constructs"
        place = ("blocks", block, "asked_if") if block else (made, first)
        if place not in said:  # items of a block loop together
            chained = " <- ".join([*loop[start:], *loop[:start], first])
            yield place, f"it depends on itself: {chained}"
        said.add(place)
        needs[first] = []  # to find the next


def _loop(needs: dict[str, list[str]]) -> list[str]:
    """Names of which each depends on the next and the last on the first, if there are any."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return error.args[1][:0:-1]
    return []


def _column_faults(wave: Wave, full: Instrument) -> Iterator[Fault]:
    known = [*wave.items, *RESERVED]
    if "respondent_id" not in wave.columns:
        yield ("columns",), "respondent_id has no column; add it"
    for item in (item for item in wave.items if item not in wave.columns):
        yield ("columns",), f"{item} has no column; add it, or list it under not_in_wave"
    for variable in (variable for variable in wave.columns if variable not in known):
        reason = f"unknown variable.{closest(variable, known)}"
        if variable in wave.not_in_wave:
            reason = "it has a column, but is listed under not_in_wave"
        elif variable in full.items:
            reason = f"it is asked {full.outside(variable, wave.wave)}, not in this wave"
        yield ("columns", variable), reason
    for person in (person for person in wave.personal if person in known):
        yield ("personal", person), "this is the name of a question or of another column"
    used = {("columns", name): column for name, column in wave.columns.items()}
    used |= {("personal", name): column for name, column in wave.personal.items()}
    used |= {("ignored", str(at)): column for at, column in enumerate(wave.ignored)}
    times = Counter(used.values())
    for place, column in used.items():
        if times[column] > 1:
            yield place, f"the column {column!r} is used {times[column]} times"


def _answer_faults(wave: Wave, full: Instrument) -> Iterator[Fault]:
    if wave.export.language not in full.languages:
        listed = f"the questionnaire has languages: [{', '.join(full.languages)}]"
        yield ("export", "language"), f"{listed}; write one of them"
    scales = wave.instrument.scales
    for scale, labels in wave.answers.items():
        if scale not in scales:
            yield ("answers", scale), f"unknown scale.{closest(scale, scales)}"
            continue
        spec, language = scales[scale], wave.export.language
        labels_of = {code: getattr(text, language) or "" for code, text in spec.codes.items()}
        read: dict[str, int | str] = {fold(label): code for code, label in labels_of.items()}
        for label, code in labels.items():
            here = ("answers", scale, label)
            if spec.kind == "open":
                yield here, "an open question has no answers to list"
            elif code not in MISSING_REASONS and (isinstance(code, str) or not spec.holds(code)):
                what = "in the range" if spec.kind == "number" else "a code"
                yield here, f"{code!r} is neither {what} of {scale} nor a reason for missing"
            elif (other := read.setdefault(fold(label), code)) != code:
                yield here, f"the label {label!r} stands for {other!r} as well"


def _wording_faults(wave: Wave, full: Instrument) -> Iterator[Fault]:
    blocks, known = wave.instrument.blocks, [*wave.items, *wave.instrument.blocks]
    for name, words in wave.wording.items():
        if name not in known:
            near = closest(name, known)
            yield ("wording", name), f"unknown item or block of this wave {name!r}.{near}"
            continue
        there = [part[name].words for part in (blocks, full.items) if name in part]
        kind = f"{'a block' if name in blocks else 'an item'} has {' and '.join(there[0])}"
        for key in words.keys() - {*chain(*there)}:
            yield ("wording", name, key), f"not here: {kind}"


def _rule_faults(wave: Wave, full: Instrument) -> Iterator[Fault]:
    rules, instrument = wave.rules, wave.instrument
    variables = [*instrument.items, *instrument.derived]
    known = {"block": instrument.blocks, "variable": variables, "item": full.items}
    yield from _unknown_faults(wave, known)
    for variable, codes in rules.eligible.items():
        here = ("rules", "eligible", variable)
        yield from _code_faults(instrument, variable, codes, here)
        derived = instrument.derived.get(variable)
        for item in derived.sources if derived else [variable]:
            if item in wave.not_in_wave:
                yield here, f"{item} was not asked in this wave"
    tests = rules.test_entries.columns if rules.test_entries else []
    used = {("duplicates",): rules.duplicates, ("test_entries", "columns"): tests}
    columns = [*wave.personal, *RESERVED]
    for place, names in used.items():
        for name in (name for name in names if name not in columns):
            reason = f"unknown column {name!r}; use one of {', '.join(columns)}"
            yield ("rules", *place), reason
