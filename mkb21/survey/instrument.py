"""The questionnaire and the descriptions of the waves: read from YAML, checked on load.

A file with faults is refused with every fault at once, each with file, line, place and reason:
somebody who describes a new wave should not have to run ten times to find ten faults.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from functools import cached_property, reduce
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from math import inf
from operator import getitem
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from mkb21.survey.files import LANGUAGES, Folders, check_language

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
TRUTH = "YAML reads yes, no, on and off as true or false: write it in quotes"
NOTICES = {  # of the origins whose respondents are invented
    "reconstructed": {
        "nl": "Reconstructie: verzonnen respondenten die de gepubliceerde cijfers van {wave} "
        "weergeven. Geen waarnemingen.",
        "en": "Reconstruction: invented respondents that meet the published numbers of {wave}. "
        "Not observations.",
    },
    "demonstration": {
        "nl": "Demonstratie: de respondenten van {wave} en hun antwoorden zijn geheel verzonnen. "
        "Geen waarnemingen.",
        "en": "Demonstration: the respondents of {wave} and their answers are wholly invented. "
        "Not observations.",
    },
}


# --- the shape of the files --------------------------------------------------------------------


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Strict):
    """A text in the languages of the questionnaire (`_check_languages`)."""

    nl: str | None = Field(default=None, min_length=1)
    en: str | None = Field(default=None, min_length=1)

    def __getitem__(self, language: str) -> str:
        check_language(language)
        if (text := getattr(self, language)) is None:
            known = " and ".join(name for name, own in self if own)
            raise ValueError(f"The questionnaire has no texts in {language!r}, only in {known}.")
        return text


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


class Dated(Strict):
    """What was asked from one wave to another, both included."""

    since: str | None = None
    until: str | None = None

    def outside(self, wave: str) -> str:
        """Why it is not in a wave ("since 2014"); "" if it is."""
        if self.since and _order(wave) < _order(self.since):
            return f"since {self.since}"
        return f"until {self.until}" if self.until and _order(wave) > _order(self.until) else ""


class Item(Dated):
    """One question, or one option of a question with several answers.

    `reverse`: scores take `<item>_r`, in which the highest code is the lowest (see `_keyed`).
    """

    label: Text
    text: Text | None = None
    scale: str | None = None
    reverse: bool = False


class Condition(Strict):
    """Routing: asked of those whose `variable` has one of `codes`."""

    variable: str
    codes: list[int] = Field(min_length=1)


class Block(Dated):
    """Questions that stand together in the questionnaire."""

    title: Text
    source: str
    question: Text | None = None
    scale: str | None = None
    multiple: bool = False
    asked_if: Condition | None = None
    items: dict[str, Item] = Field(min_length=1)


class Recode(Strict):
    """New code -> old codes of one variable, or the range of a number that gets it."""

    source: str = Field(alias="from")
    codes: dict[int, list[int]] = {}
    ranges: dict[int, Range] = {}


class AnyAtLeast(Strict):
    """1 if any of the items reaches `code`, else 0."""

    items: list[str] = Field(min_length=1)
    code: int


class Derived(Strict):
    """A variable made from answers."""

    label: Text
    scale: str
    recode: Recode | None = None
    any_at_least: AnyAtLeast | None = None

    @property
    def sources(self) -> list[str]:
        """Names of the variables that it is made from."""
        if self.recode:
            return [self.recode.source]
        return list(self.any_at_least.items) if self.any_at_least else []

    def of(self, known: set[str]) -> Derived:
        """The same of those sources that there are."""
        if not self.any_at_least:
            return self
        left = [item for item in self.sources if item in known]
        reach = self.any_at_least.model_copy(update={"items": left})
        return self.model_copy(update={"any_at_least": reach})


class Construct(Strict):
    """A score: the mean of its items, if enough of them were answered."""

    label: Text
    items: list[str] = Field(min_length=2)
    min_answered: int | None = Field(default=None, ge=1)


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
        made = {name: spec.sources for name, spec in self.derived.items()}
        made |= {name: spec.items for name, spec in self.constructs.items()}
        found = list(variables)
        for name in found:  # which grows meanwhile
            found += made.get(name, [])
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
        known, constructs = set(asked), dict(self.constructs)
        while made := {n for n, spec in self.derived.items() if known & {*spec.sources}} - known:
            known |= made
        for _ in self.constructs:  # leaving one out can leave too few for another
            there = {*known, *constructs}
            constructs = {
                name: spec.model_copy(update={"items": left})
                for name, spec in constructs.items()
                if len(left := [i for i in spec.items if i in there]) >= (spec.min_answered or 2)
            }
        return self.having(
            blocks=blocks,
            derived={name: d.of(known) for name, d in self.derived.items() if name in known},
            constructs=constructs,
        )

    def having(self, **parts: Any) -> Instrument:
        """The questionnaire with other parts."""
        return Instrument.model_construct(**dict(self) | parts)


class Fieldwork(Strict):
    """First and last day of the interviews."""

    start: date
    end: date


class Export(Strict):
    """The raw file as the survey tool made it."""

    file: str
    encoding: str = "utf-8-sig"
    delimiter: str = Field(default=";", min_length=1, max_length=1)
    decimal: Literal[",", "."] = ","
    datetime: str = "%d-%m-%Y %H:%M:%S"
    language: Literal["nl", "en"] = "nl"
    sheet: str | None = None


class TestEntries(Strict):
    """Rows made while testing: `pattern` (regular expression) is found in one of `columns`."""

    columns: list[str] = Field(min_length=1)
    pattern: str


class Rules(Strict):
    """The choices that cleaning makes for a wave."""

    test_entries: TestEntries | None = None
    complete: list[str] = []  # blocks that must be answered in full
    eligible: dict[str, list[int]] = {}  # variable -> codes that belong to the population
    duplicates: list[str] = []  # columns in which one respondent has one value
    fast_minutes: float | None = None  # faster than this is flagged, not dropped
    longstring: int | None = None  # as many equal answers in a row are flagged, not dropped


class Wording(Strict):
    """Words of an item (label, text) or a block (title, question) in one wave."""

    label: Text | None = None
    text: Text | None = None
    title: Text | None = None
    question: Text | None = None

    def of(self, asked: Dated) -> dict[str, Text]:
        """Those that an item or a block has."""
        return {k: text for k, text in self if text and k in type(asked).model_fields}


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
    not_in_wave: list[str] = []
    wording: dict[str, Wording] = {}  # item or block -> its words in this wave
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
        return asked.model_copy(update=self.wording.get(name, Wording()).of(asked))


Shape = TypeVar("Shape", bound=Strict)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # written in C: ten times faster


# --- reading and checking ----------------------------------------------------------------------


@dataclass
class SourceFile:
    """A YAML file, the line of each place in it, and the faults found so far.

    A place is the keys that lead to it, such as ("blocks", "ways", "scale"); in `lines` as text.
    """

    path: Path
    data: Any = None
    lines: dict[tuple, int] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)

    def fault(self, place: tuple, reason: str) -> None:
        """Note a fault, with the line of the nearest place around it that is in the file."""
        place = tuple(map(str, place))
        known = place
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known, 1)
        where = ".".join(place) or "(whole file)"
        self.faults.append((line, f"{self.path}:{line}: {where}: {reason}"))

    def unknown(self, place: tuple, what: str, name: str, known: Iterable[str]) -> None:
        """Note a name that is not one of those known."""
        self.fault(place, f"unknown {what} {name!r}.{closest(name, known)}")

    def checked(self, record: Shape | None) -> Shape:
        """What was made of the file, or one ValueError with all its faults, in its order."""
        if record is None or self.faults:
            found = [text for _, text in sorted(self.faults)]
            count = "1 fault" if len(found) == 1 else f"{len(found)} faults"
            raise ValueError("\n".join([f"{self.path.name} has {count}:", *found]))
        return record


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
        _check_names(instrument, source)
        instrument = _keyed(instrument)
        _check_scales(instrument, source)
        _check_blocks(instrument, source)
        _check_derived(instrument, source)
        _check_constructs(instrument, source)
        _check_cycles(instrument, source)
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
        _check_wave(parsed, full, wave, source)
    return source.checked(parsed)


def read_yaml(path: Path) -> SourceFile:
    """Parse a YAML file; note keys that stand twice, of which YAML would silently keep the last."""
    source = SourceFile(path)
    try:
        loader = _LOADER(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        _index(node, (), source)
        source.data = loader.construct_document(node) if node else None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        what = f"{path} is not UTF-8 text (byte {error.start})"
        raise ValueError(f"{what}. Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(source.data, dict):
        raise ValueError(f"{path} is empty or is not a mapping of keys to values.")
    return source


def _index(node: yaml.Node | None, place: tuple, source: SourceFile) -> None:
    """Remember the line of each place; note keys that stand twice or are no words to YAML."""
    if isinstance(node, yaml.MappingNode):
        names = [_name(key) for key, _ in node.value]
        for name, (key, value) in zip(names, node.value, strict=True):
            here = (*place, name)
            source.lines[here] = key.start_mark.line + 1
            if names.count(name) > 1:
                source.fault(here, "this name stands more than once here")
            if key.tag == "tag:yaml.org,2002:bool":
                source.fault(here, f'{TRUTH}, "{key.value}"')
                key.tag = "tag:yaml.org,2002:str"  # to read on
            _index(value, here, source)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            here = (*place, str(position))
            source.lines[here] = value.start_mark.line + 1
            _index(value, here, source)


def _name(key: yaml.Node) -> str:
    """A key as text; 1, 01 and 0x1 are one code."""
    return str(yaml.safe_load(key.value) if key.tag.endswith(":int") else key.value)


def build(
    shape: type[Shape], source: SourceFile, languages: Iterable[str] = LANGUAGES
) -> Shape | None:
    """The file as a record, its faults noted; None where it cannot be read on in spite of them.

    Its texts must be in these languages.
    """
    try:
        record = shape.model_validate(source.data)
    except ValidationError as error:
        faults = error.errors()
        for fault in faults:
            source.fault(tuple(key for key in fault["loc"] if key != "[key]"), _plain(fault))
        try:
            record = shape.model_validate(_mended(source.data, faults, languages))
        except ValidationError:
            return None
    _check_languages(record, languages, source)
    return record


def _check_languages(record: Strict, languages: Iterable[str], source: SourceFile) -> None:
    """Each text has each language of the questionnaire, and no other."""
    texts, listed = dict(_texts(record, ())), ", ".join(languages)
    for language in LANGUAGES:
        needed = language in languages
        wrong = [place for place, text in texts.items() if (language in text) != needed]
        reason = "this key is missing" if needed else f"the questionnaire has languages: [{listed}]"
        if len(wrong) == len(texts) > 1:  # one fault, not one for each text
            reason = f"{'no' if needed else 'every'} text is in {language}"
            source.fault((), f"{reason}, but the questionnaire has languages: [{listed}]")
            continue
        for place in wrong:
            source.fault((*place, language), reason)


def _texts(record: Any, place: tuple) -> Iterator[tuple[tuple, list[str]]]:
    """The place of every text in a record, and the languages that it has."""
    if isinstance(record, Text):
        yield place, [language for language, text in record if text is not None]
    parts = dict(record).items() if isinstance(record, Strict | dict) else ()
    for name, part in enumerate(record) if isinstance(record, list) else parts:
        yield from _texts(part, (*place, name))


def _mended(data: dict, faults: list[ErrorDetails], languages: Iterable[str]) -> dict:
    """The data without unknown keys and with a stand-in for each missing text.

    Only to look for more faults in the rest: what has a fault is never handed on.
    """
    data, text = deepcopy(data), dict.fromkeys(languages, "?")
    stand_ins: dict[Any, Any] = {**text, "label": text, "title": text}
    for fault in faults:
        *above, last = fault["loc"]
        holder = reduce(getitem, above, data)
        if fault["type"] == "extra_forbidden":
            del holder[last]
        elif last in stand_ins:
            holder[last] = stand_ins[last]
    return data


def _plain(fault: ErrorDetails) -> str:
    """A pydantic message in the words of somebody who edits the file."""
    if fault["type"] == "extra_forbidden":
        return "this key is not known here"
    if fault["type"] == "missing":
        return "this key is missing"
    if fault["type"] == "string_type" and not isinstance(fault["input"], dict | list):
        what = TRUTH if isinstance(fault["input"], bool) else "write it in quotes"
        return f"{fault['msg']} (found {fault['input']!r}): {what}"
    if fault["type"] == "literal_error" and fault["input"] == "synthetic":
        return f"{fault['msg']}; synthetic is now called reconstructed"
    return f"{fault['msg']} (found {fault['input']!r})"


def closest(name: str, known: Iterable[str]) -> str:
    """The end of a message: names that are spelt nearly like this one."""
    near = get_close_matches(name, list(known), n=3)
    return f" Closest: {', '.join(near)}." if near else ""


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


def _check_names(instrument: Instrument, source: SourceFile) -> None:
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
            source.fault(place, f"the name {name!r} is used {count[name]} times")
        if name in (*RESERVED, *FLAGS):
            source.fault(place, f"the name {name!r} is reserved")
        if not name.isidentifier():
            source.fault(place, f"{name!r} is not a name: use letters, digits and _")


def _check_scales(instrument: Instrument, source: SourceFile) -> None:
    for name, scale in instrument.scales.items():
        here, own = ("scales", name), KEYS[scale.kind].split()
        for key in scale.model_fields_set - {"kind", *own}:
            source.fault((*here, key), f"a scale of kind {scale.kind} has no {key}")
        if own and own[0] not in scale.model_fields_set:
            source.fault(here, f"a scale of kind {scale.kind} needs {own[0]}")
        _check_ranges([scale.range], (*here, "range"), source)
        for language in instrument.languages:
            read = {str(code): str(code) for code in scale.codes}  # as an export of codes has it
            if scale.dont_know:
                read[fold(getattr(instrument.missing.dont_know, language) or "")] = "don't know"
            for code, text in scale.codes.items():
                label = getattr(text, language) or str(code)
                if (other := read.setdefault(fold(label), str(code))) != str(code):
                    what = f"the label {label!r} ({language}) would also be read as {other}"
                    source.fault((*here, "codes", code), f"{what}: give each its own words")


def _check_blocks(instrument: Instrument, source: SourceFile) -> None:
    for name, block in instrument.blocks.items():
        here = ("blocks", name)
        for item, spec in block.items.items():
            scale, place = spec.scale or block.scale, (*here, "items", item)
            if scale is None:
                source.fault(place, "it has no scale")
            elif scale not in instrument.scales:
                source.unknown(place, "scale", scale, instrument.scales)
            elif block.multiple and set(instrument.scales[scale].codes) != {0, 1}:
                reason = "an option of a multiple question needs a scale with codes 0 and 1"
                source.fault(place, reason)
            elif spec.reverse and not _turned(instrument.scales[scale]):
                reason = f"the scale {scale!r} has no order that can be turned round"
                source.fault((*place, "reverse"), reason)
            _check_dates(spec, place, source)
        _check_dates(block, here, source)
        if asked := block.asked_if:
            _check_codes(instrument, asked.variable, asked.codes, (*here, "asked_if"), source)


def _check_dates(asked: Dated, place: tuple, source: SourceFile) -> None:
    if asked.since and asked.until and asked.outside(asked.until):
        source.fault((*place, "until"), f"{asked.until} is before {asked.since}")


def _check_codes(
    instrument: Instrument, variable: str, codes: list[int], place: tuple, source: SourceFile
) -> None:
    """A variable with an answer scale, and codes that stand in that scale."""
    known = [*instrument.items, *instrument.derived]
    if variable not in known:
        source.unknown(place, "variable", variable, known)
        return
    if instrument.kind(variable) in ("number", "open"):
        reason = f"{variable} is of kind {instrument.kind(variable)}: it has no codes"
        source.fault(place, reason)
        return
    scale = instrument.scales.get(instrument.scale_name(variable))
    known_codes = scale.codes if scale else codes
    for code in set(codes) - set(known_codes):
        listed = ", ".join(map(str, known_codes))
        source.fault(place, f"{variable} has no code {code}; its codes are {listed}")


def _check_ranges(ranges: Iterable[Range], place: tuple, source: SourceFile) -> None:
    found = sorted(map(ends, ranges))
    if any(low > high for low, high in found):
        source.fault(place, "its low end is above its high end")
    elif any(low <= high for (_, high), (low, _) in pairwise(found)):
        source.fault(place, "a number can lie in two of the ranges")


def _check_derived(instrument: Instrument, source: SourceFile) -> None:
    for name, spec in instrument.derived.items():
        here = ("derived", name)
        if (spec.recode is None) == (spec.any_at_least is None):
            source.fault(here, "give either recode or any_at_least")
            continue
        made = {*spec.recode.codes, *spec.recode.ranges} if spec.recode else {0, 1}
        if spec.scale not in instrument.scales:
            source.unknown(here, "scale", spec.scale, instrument.scales)
        elif made - set(instrument.scales[spec.scale].codes):
            source.fault(here, f"it makes codes that the scale {spec.scale!r} does not have")
        if spec.recode:
            old = [code for codes in spec.recode.codes.values() for code in codes]
            name = spec.recode.source
            number = name in instrument.items and instrument.kind(name) == "number"
            if number != bool(spec.recode.ranges) or number == bool(old):
                source.fault((*here, "recode"), "give ranges of a number, codes of anything else")
                continue
            _check_ranges(spec.recode.ranges.values(), (*here, "recode", "ranges"), source)
            if not number:
                _check_codes(instrument, name, old, (*here, "recode"), source)
            for code in (c for c, times in Counter(old).items() if times > 1):
                source.fault((*here, "recode"), f"the old code {code} is given to two new codes")
        elif reach := spec.any_at_least:
            for item in reach.items:
                _check_codes(instrument, item, [reach.code], (*here, "any_at_least"), source)


def _check_constructs(instrument: Instrument, source: SourceFile) -> None:
    turned = {f"{item}_r": item for item, spec in instrument.items.items() if spec.reverse}
    known = [*instrument.items, *turned, *instrument.constructs]
    for name, spec in instrument.constructs.items():
        here = ("constructs", name, "items")
        for item in spec.items:
            if item not in known:
                source.unknown(here, "item", item, known)
            elif instrument.kind(item) not in ("ordinal", "number", ""):
                source.fault(here, f"{item} is not on an ordinal scale: a mean of it says nothing")
        for item in (i for i, times in Counter(spec.items).items() if times > 1):
            both = f" (as {turned[item]}, which is reversed)" if item in turned else ""
            source.fault(here, f"{item} stands more than once{both}")
        if len(units := _units(instrument, name, {name})) > 1 and any(units):
            source.fault(here, "numbers have a mean with others of their own scale only")
        if spec.min_answered and spec.min_answered > len(spec.items):
            reason = f"min_answered is {spec.min_answered}, with {len(spec.items)} items"
            source.fault(("constructs", name), reason)


def _units(instrument: Instrument, construct: str, seen: set[str]) -> set[str]:
    """The scales of the numbers in a construct and those in it; "" for answers on other scales."""
    found: set[str] = set()
    for item in instrument.constructs[construct].items:
        if item not in instrument.constructs:
            number = item in instrument.items and instrument.kind(item) == "number"
            found.add(instrument.scale_name(item) if number else "")
        elif item not in seen:
            found |= _units(instrument, item, {*seen, item})
    return found


def _check_cycles(instrument: Instrument, source: SourceFile) -> None:
    """No block, derived variable or construct may depend on itself, directly or along a detour."""
    needs = {name: set(spec.sources) for name, spec in instrument.derived.items()}
    scores = set(instrument.constructs)
    needs |= {name: set(spec.items) & scores for name, spec in instrument.constructs.items()}
    for block in instrument.blocks.values():
        routed = {block.asked_if.variable} if block.asked_if else set()
        needs |= dict.fromkeys(block.items, routed)
    known: dict[tuple, str] = {}
    while loop := _find_loop(needs):
        start = loop.index(min(loop))
        chain = " <- ".join([*loop[start:], *loop[:start], min(loop)])
        known.setdefault(_place_of(instrument, min(loop)), chain)  # items of a block loop together
        needs[min(loop)] = set()  # to find the next
    for place, chain in known.items():
        source.fault(place, f"it depends on itself: {chain}")


def _find_loop(needs: dict[str, set[str]]) -> list[str]:
    """Names of which each depends on the next and the last on the first, if there are any."""
    try:
        TopologicalSorter({name: sorted(others) for name, others in needs.items()}).prepare()
    except CycleError as error:
        return error.args[1][:0:-1]
    return []


def _place_of(instrument: Instrument, name: str) -> tuple:
    if name in instrument.block_of:
        return ("blocks", instrument.block_of[name], "asked_if")
    return ("derived" if name in instrument.derived else "constructs", name)


def _check_wave(wave: Wave, full: Instrument, name: str, source: SourceFile) -> None:
    instrument = wave.instrument
    if wave.wave != name:
        source.fault(("wave",), f"it is {wave.wave!r}, but the file is named {name}.yaml")
    form = wave.export.datetime
    try:
        datetime.strptime(datetime(2012, 10, 31, 13, 5).strftime(form), form)
    except ValueError as error:
        source.fault(("export", "datetime"), f"it is not a format of dates: {error}")
    if wave.fieldwork.end < wave.fieldwork.start:
        source.fault(("fieldwork",), "it ends before it starts")
    if wave.export.language not in full.languages:
        reason = (
            f"the questionnaire has languages: [{', '.join(full.languages)}]; write one of them"
        )
        source.fault(("export", "language"), reason)
    for item in wave.not_in_wave:
        if item not in full.items:
            source.unknown(("not_in_wave",), "item", item, full.items)
    _check_columns(wave, full, source)
    _check_wording(wave, source)
    _check_answers(wave, instrument, source)
    _check_rules(wave, instrument, source)


def _check_columns(wave: Wave, full: Instrument, source: SourceFile) -> None:
    asked = wave.items
    if "respondent_id" not in wave.columns:
        source.fault(("columns",), "respondent_id has no column; add it")
    for item in asked:
        if item not in wave.columns:
            reason = f"{item} has no column; add it, or list it under not_in_wave"
            source.fault(("columns",), reason)
    for variable in wave.columns:
        if variable in wave.not_in_wave:
            source.fault(("columns", variable), "it has a column, but is listed under not_in_wave")
        elif variable in full.items and variable not in asked:
            reason = f"it is asked {full.outside(variable, wave.wave)}, not in this wave"
            source.fault(("columns", variable), reason)
        elif variable not in asked and variable not in RESERVED:
            near = closest(variable, [*asked, *RESERVED])
            source.fault(("columns", variable), f"unknown variable.{near}")
    for person in wave.personal:
        if person in (*asked, *RESERVED):
            source.fault(
                ("personal", person), "this is the name of a question or of another column"
            )
    places: list[tuple[str, str | int, str]] = []
    for part, columns in (("columns", wave.columns), ("personal", wave.personal)):
        places += [(part, name, column) for name, column in columns.items()]
    places += [("ignored", position, column) for position, column in enumerate(wave.ignored)]
    times = Counter(column for _, _, column in places)
    for part, name, column in places:
        if times[column] > 1:
            source.fault((part, name), f"the column {column!r} is used {times[column]} times")


def _check_answers(wave: Wave, instrument: Instrument, source: SourceFile) -> None:
    for scale, labels in wave.answers.items():
        if scale not in instrument.scales:
            source.fault(("answers", scale), f"unknown scale.{closest(scale, instrument.scales)}")
            continue
        spec, language = instrument.scales[scale], wave.export.language
        labels_of = {code: getattr(text, language) or "" for code, text in spec.codes.items()}
        read: dict[str, int | str] = {fold(label): code for code, label in labels_of.items()}
        for label, code in labels.items():
            here = ("answers", scale, label)
            if spec.kind == "open":
                source.fault(here, "an open question has no answers to list")
            elif code not in MISSING_REASONS and (isinstance(code, str) or not spec.holds(code)):
                what = "in the range" if spec.kind == "number" else "a code"
                reason = f"{code!r} is neither {what} of {scale} nor a reason for missing"
                source.fault(here, reason)
            elif (other := read.setdefault(fold(label), code)) != code:
                source.fault(here, f"the label {label!r} stands for {other!r} as well")


def _check_wording(wave: Wave, source: SourceFile) -> None:
    instrument = wave.instrument
    for name, words in wave.wording.items():
        holders = [h for h in (instrument.blocks.get(name), instrument.items.get(name)) if h]
        if not holders or name in wave.not_in_wave:
            known = [*wave.items, *instrument.blocks]
            source.unknown(("wording", name), "item or block of this wave", name, known)
            continue
        for key in words.model_fields_set - {key for h in holders for key in words.of(h)}:
            kind = "a block has title and question"
            if isinstance(holders[0], Item):
                kind = "an item has label and text"
            source.fault(("wording", name, key), f"not here: {kind}")


def _check_rules(wave: Wave, instrument: Instrument, source: SourceFile) -> None:
    rules = wave.rules
    for block in rules.complete:
        if block not in instrument.blocks:
            source.unknown(("rules", "complete"), "block", block, instrument.blocks)
    for variable, codes in rules.eligible.items():
        here = ("rules", "eligible", variable)
        _check_codes(instrument, variable, codes, here, source)
        derived = instrument.derived.get(variable)
        for item in derived.sources if derived else [variable]:
            if item in wave.not_in_wave:
                source.fault(here, f"{item} was not asked in this wave")
    used: dict[tuple[str, ...], list[str]] = {("rules", "duplicates"): rules.duplicates}
    if rules.test_entries:
        used["rules", "test_entries", "columns"] = rules.test_entries.columns
        try:
            re.compile(rules.test_entries.pattern)
        except re.error as error:
            reason = f"it is not a regular expression: {error}"
            source.fault(("rules", "test_entries", "pattern"), reason)
    columns = [*wave.personal, *RESERVED]
    for place, names in used.items():
        for name in names:
            if name not in columns:
                source.fault(place, f"unknown column {name!r}; use one of {', '.join(columns)}")
