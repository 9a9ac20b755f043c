"""The questionnaire and the descriptions of the waves: read from YAML, checked on load.

A file with faults is refused with every fault at once, each with file, line, place and reason:
somebody who describes a new wave should not have to run ten times to find ten faults.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from functools import cached_property, reduce
from graphlib import CycleError, TopologicalSorter
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
    """A text in both languages."""

    nl: str = Field(min_length=1)
    en: str = Field(min_length=1)

    def __getitem__(self, language: str) -> str:
        check_language(language)
        return getattr(self, language)


class Scale(Strict):
    """An answer scale: code -> label."""

    kind: Literal["nominal", "ordinal"]
    codes: dict[int, Text] = Field(min_length=2)
    dont_know: bool = False


class Item(Strict):
    """One question, or one option of a question with several answers."""

    label: Text
    text: Text | None = None
    scale: str | None = None


class Condition(Strict):
    """Routing: asked of those whose `variable` has one of `codes`."""

    variable: str
    codes: list[int] = Field(min_length=1)


class Block(Strict):
    """Questions that stand together in the questionnaire."""

    title: Text
    source: str
    question: Text | None = None
    scale: str | None = None
    multiple: bool = False
    asked_if: Condition | None = None
    items: dict[str, Item] = Field(min_length=1)


class Recode(Strict):
    """New code -> old codes of one variable."""

    source: str = Field(alias="from")
    codes: dict[int, list[int]] = Field(min_length=1)


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
    title: Text
    wording: Text
    missing: Missing
    scales: dict[str, Scale]
    blocks: dict[str, Block]
    derived: dict[str, Derived] = {}
    constructs: dict[str, Construct] = {}

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

    def construct(self, name: str) -> Construct:  # type: ignore[override]  # pydantic's is old
        """One construct."""
        if name not in self.constructs:
            near = closest(name, self.constructs)
            raise ValueError(f"The instrument has no construct {name!r}.{near}")
        return self.constructs[name]

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

    def codes(self, variable: str, language: str = "en") -> dict[int, str]:
        """Code -> label of the answer scale of a variable, in its order; {} for a score."""
        name = self.scale_name(variable)
        return {c: t[language] for c, t in self.scales[name].codes.items()} if name else {}

    def label(self, variable: str, language: str = "en") -> str:
        """Short label of an item, derived variable or construct."""
        self.scale_name(variable)
        holder = self.items.get(variable) or self.derived.get(variable) or self.constructs[variable]
        return holder.label[language]

    def labels(self, variables: Iterable[str], language: str = "en") -> dict[str, str]:
        """Variable -> short label."""
        return {variable: self.label(variable, language) for variable in variables}

    def topic(self, variables: Iterable[str], language: str = "en") -> str:
        """What several variables are about: their labels, or for more than two that of a score of
        just these, else the title of the block that the first stands in.
        """
        names = list(dict.fromkeys(variables))
        if len(names) <= 2:
            return ", ".join(self.label(name, language) for name in names)
        for name, construct in self.constructs.items():
            if construct.items == names:
                return self.label(name, language)
        title = self.blocks[self.block_of[names[0]]].title[language]
        return title[0].lower() + title[1:]

    def text(self, item: str, language: str = "en") -> str:
        """What the respondent reads: the question, with the statement or option of this item."""
        if item not in self.items:
            raise ValueError(f"The instrument has no item {item!r}.{closest(item, self.items)}")
        question = self.blocks[self.block_of[item]].question
        own = (self.items[item].text or self.items[item].label)[language]
        return own if question is None else f"{question[language]} {own}"

    def min_answered(self, construct: str) -> int:
        """How many items must be answered for a score (default: half of them, rounded up)."""
        spec = self.constructs[construct]
        return spec.min_answered or -(-len(spec.items) // 2)


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


class Wave(Strict):
    """One wave. Made by `load_wave`, which adds the instrument as the wave used it."""

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
        """The instrument as this wave asked it: without what stands under `not_in_wave`.

        Blocks, derived variables and constructs lose the items that were not asked; a
        construct of which fewer are left than `min_answered` is left out, as in cleaning.
        """
        full, asked = self.instrument, set(self.items)
        blocks = {
            name: block.model_copy(update={"items": {i: block.items[i] for i in left}})
            for name, block in full.blocks.items()
            if (left := [i for i in block.items if i in asked])
        }
        known = asked | set(full.constructs)
        while known != (known := known - {n for n in full.constructs if self._too_short(n, known)}):
            pass  # leaving one out can leave too few for another
        constructs = {}
        for name in (name for name in full.constructs if name in known):
            left = [i for i in full.constructs[name].items if i in known]
            update = {"items": left, "min_answered": full.min_answered(name)}
            constructs[name] = full.constructs[name].model_copy(update=update)
        derived = {n: spec for n, spec in full.derived.items() if asked & set(spec.sources)}
        asked_of = {"blocks": blocks, "constructs": constructs, "derived": derived}
        return Instrument.model_construct(**dict(full) | asked_of)

    def _too_short(self, construct: str, known: set[str]) -> bool:
        left = [i for i in self.instrument.constructs[construct].items if i in known]
        return len(left) < self.instrument.min_answered(construct)


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
    instrument = build(Instrument, source)
    if instrument is not None:
        _check_names(instrument, source)
        _check_blocks(instrument, source)
        _check_derived(instrument, source)
        _check_constructs(instrument, source)
        _check_cycles(instrument, source)
    return source.checked(instrument)


def load_wave(project: Folders, wave: str) -> Wave:
    """One wave, with the instrument in `.instrument`.

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
    instrument = load_instrument(project)
    source = read_yaml(path)
    parsed = build(Wave, source)
    if parsed is not None:
        _check_wave(parsed, instrument, str(wave), source)  # papermill makes 2012 a number
    return source.checked(parsed).model_copy(update={"instrument": instrument})


def read_yaml(path: Path) -> SourceFile:
    """Parse a YAML file; note keys that stand twice, of which YAML would silently keep the last."""
    source = SourceFile(path)
    try:
        loader = _LOADER(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
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
    _index(node, (), source)
    return source


def _index(node: yaml.Node | None, place: tuple, source: SourceFile) -> None:
    """Remember the line of each place and note keys that stand twice."""
    if isinstance(node, yaml.MappingNode):
        seen = Counter(key.value for key, _ in node.value)
        for key, value in node.value:
            here = (*place, key.value)
            source.lines[here] = key.start_mark.line + 1
            if seen[key.value] > 1:
                source.fault(here, "this name stands more than once here")
            _index(value, here, source)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            here = (*place, str(position))
            source.lines[here] = value.start_mark.line + 1
            _index(value, here, source)


def build(shape: type[Shape], source: SourceFile) -> Shape | None:
    """The file as a record, its faults noted; None where it cannot be read on in spite of them."""
    try:
        return shape.model_validate(source.data)
    except ValidationError as error:
        faults = error.errors()
    for fault in faults:
        source.fault(tuple(key for key in fault["loc"] if key != "[key]"), _plain(fault))
    try:
        return shape.model_validate(_mended(source.data, faults))
    except ValidationError:
        return None


def _mended(data: dict, faults: list[ErrorDetails]) -> dict:
    """The data without unknown keys and with a stand-in for each missing text.

    Only to look for more faults in the rest: what has a fault is never handed on.
    """
    data, text = deepcopy(data), dict.fromkeys(LANGUAGES, "?")
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
    if fault["type"] == "literal_error" and fault["input"] == "synthetic":
        return f"{fault['msg']}; synthetic is now called reconstructed"
    return f"{fault['msg']} (found {fault['input']!r})"


def closest(name: str, known: Iterable[str]) -> str:
    """The end of a message: names that are spelt nearly like this one."""
    near = get_close_matches(name, list(known), n=3)
    return f" Closest: {', '.join(near)}." if near else ""


def _check_names(instrument: Instrument, source: SourceFile) -> None:
    """Items, derived variables and constructs are columns of one table: their names must differ."""
    places: list[tuple[str, ...]] = [
        ("blocks", b, "items", i) for b, block in instrument.blocks.items() for i in block.items
    ]
    places += [("derived", name) for name in instrument.derived]
    places += [("constructs", name) for name in instrument.constructs]
    count = Counter(place[-1] for place in places)
    for place in places:
        if count[place[-1]] > 1:
            source.fault(place, f"the name {place[-1]!r} is used {count[place[-1]]} times")
        if place[-1] in (*RESERVED, *FLAGS):
            source.fault(place, f"the name {place[-1]!r} is reserved")
        if not place[-1].isidentifier():
            source.fault(place, f"{place[-1]!r} is not a name: use letters, digits and _")


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
        if asked := block.asked_if:
            _check_codes(instrument, asked.variable, asked.codes, (*here, "asked_if"), source)


def _check_codes(
    instrument: Instrument, variable: str, codes: list[int], place: tuple, source: SourceFile
) -> None:
    """A variable with an answer scale, and codes that stand in that scale."""
    known = [*instrument.items, *instrument.derived]
    if variable not in known:
        source.unknown(place, "variable", variable, known)
        return
    scale = instrument.scales.get(instrument.scale_name(variable))
    known_codes = scale.codes if scale else codes
    for code in set(codes) - set(known_codes):
        listed = ", ".join(map(str, known_codes))
        source.fault(place, f"{variable} has no code {code}; its codes are {listed}")


def _check_derived(instrument: Instrument, source: SourceFile) -> None:
    for name, spec in instrument.derived.items():
        here = ("derived", name)
        if (spec.recode is None) == (spec.any_at_least is None):
            source.fault(here, "give either recode or any_at_least")
            continue
        made = set(spec.recode.codes if spec.recode else (0, 1))
        if spec.scale not in instrument.scales:
            source.unknown(here, "scale", spec.scale, instrument.scales)
        elif made - set(instrument.scales[spec.scale].codes):
            source.fault(here, f"it makes codes that the scale {spec.scale!r} does not have")
        if spec.recode:
            old = [code for codes in spec.recode.codes.values() for code in codes]
            _check_codes(instrument, spec.recode.source, old, (*here, "recode"), source)
            for code in (c for c, times in Counter(old).items() if times > 1):
                source.fault((*here, "recode"), f"the old code {code} is given to two new codes")
        elif reach := spec.any_at_least:
            for item in reach.items:
                _check_codes(instrument, item, [reach.code], (*here, "any_at_least"), source)


def _check_constructs(instrument: Instrument, source: SourceFile) -> None:
    known = [*instrument.items, *instrument.constructs]
    for name, spec in instrument.constructs.items():
        here = ("constructs", name, "items")
        for item in spec.items:
            if item not in known:
                source.unknown(here, "item", item, known)
            elif item in instrument.items and _kind(instrument, item) != "ordinal":
                source.fault(here, f"{item} is not on an ordinal scale: a mean of it says nothing")
        for item in (i for i, times in Counter(spec.items).items() if times > 1):
            source.fault(here, f"{item} stands more than once")
        if spec.min_answered and spec.min_answered > len(spec.items):
            reason = f"min_answered is {spec.min_answered}, with {len(spec.items)} items"
            source.fault(("constructs", name), reason)


def _kind(instrument: Instrument, item: str) -> str | None:
    scale = instrument.scales.get(instrument.scale_name(item))
    return scale.kind if scale else "ordinal"  # an unknown scale is reported elsewhere


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


def _check_wave(wave: Wave, instrument: Instrument, name: str, source: SourceFile) -> None:
    if wave.wave != name:
        source.fault(("wave",), f"it is {wave.wave!r}, but the file is named {name}.yaml")
    form = wave.export.datetime
    try:
        datetime.strptime(datetime(2012, 10, 31, 13, 5).strftime(form), form)
    except ValueError as error:
        source.fault(("export", "datetime"), f"it is not a format of dates: {error}")
    if wave.fieldwork.end < wave.fieldwork.start:
        source.fault(("fieldwork",), "it ends before it starts")
    asked = [item for item in instrument.items if item not in wave.not_in_wave]
    for item in wave.not_in_wave:
        if item not in instrument.items:
            source.unknown(("not_in_wave",), "item", item, instrument.items)
    _check_columns(wave, asked, source)
    _check_answers(wave, instrument, source)
    _check_rules(wave, instrument, source)


def _check_columns(wave: Wave, asked: list[str], source: SourceFile) -> None:
    if "respondent_id" not in wave.columns:
        source.fault(("columns",), "respondent_id has no column; add it")
    for item in asked:
        if item not in wave.columns:
            reason = f"{item} has no column; add it, or list it under not_in_wave"
            source.fault(("columns",), reason)
    for variable in wave.columns:
        if variable in wave.not_in_wave:
            source.fault(("columns", variable), "it has a column, but is listed under not_in_wave")
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
        for label, code in labels.items():
            if code not in instrument.scales[scale].codes and code not in MISSING_REASONS:
                reason = f"{code!r} is neither a code of {scale} nor a reason for missing"
                source.fault(("answers", scale, label), reason)


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
