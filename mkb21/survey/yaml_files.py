"""Files that are edited by hand: read from YAML into records, and checked.

A file with faults is refused with every fault at once, each with file, line, place and reason:
somebody who describes a new wave should not have to run ten times to find ten faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from mkb21.survey.files import LANGUAGES, check_language

Fault = tuple[tuple, str]  # a place, as the keys that lead to it, and what is wrong there
TRUTH = "YAML reads yes, no, on and off as true or false: write it in quotes"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # written in C: ten times faster

# names, of which `unknown_names` sees that there is such a thing
BlockName = Annotated[str, "block"]
ItemName = Annotated[str, "item"]
Variable = Annotated[str, "variable"]
ScaleName = Annotated[str, "scale"]


class Strict(BaseModel):
    """A part of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def faults(self) -> Iterator[Fault]:
        """What is wrong with it by itself, with the place in it; `build` notes it."""
        yield from ()


class Text(Strict):
    """A text in the languages of the questionnaire (`_language_faults`)."""

    nl: str | None = Field(default=None, min_length=1)
    en: str | None = Field(default=None, min_length=1)

    def __getitem__(self, language: str) -> str:
        check_language(language)
        if (text := getattr(self, language)) is None:
            known = " and ".join(name for name, own in self if own)
            raise ValueError(f"The questionnaire has no texts in {language!r}, only in {known}.")
        return text


Shape = TypeVar("Shape", bound=Strict)


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

    def note(self, faults: Iterable[Fault]) -> None:
        """Note faults."""
        for place, reason in faults:
            self.fault(place, reason)

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
    parts: list[tuple[str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        parts = [(_name(key), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        parts = [(str(position), value, value) for position, value in enumerate(node.value)]
    names = [name for name, _, _ in parts]
    for name, key, value in parts:
        here = (*place, name)
        source.lines[here] = key.start_mark.line + 1
        if names.count(name) > 1:
            source.fault(here, "this name stands more than once here")
        if key is not value and key.tag == "tag:yaml.org,2002:bool":
            source.fault(here, f'{TRUTH}, "{key.value}"')
            key.tag = "tag:yaml.org,2002:str"  # to read on
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
            source.fault(tuple(key for key in fault["loc"] if key != "[key]"), plain(fault))
        try:
            record = shape.model_validate(_mended(source.data, faults, languages))
        except ValidationError:
            return None
    parts = [(place, part) for place, _, part in walk(shape, record) if isinstance(part, Strict)]
    for place, part in parts:
        source.note(((*place, *within), reason) for within, reason in part.faults())
    texts = {place: part for place, part in parts if isinstance(part, Text)}
    source.note(_language_faults(texts, languages))
    return record


def walk(shape: Any, value: Any, place: tuple = ()) -> Iterator[tuple[tuple, Any, Any]]:
    """Each part of a file, keys too: its place, the shape that it is declared to have, its value."""
    if get_origin(shape) in (Union, UnionType):
        shape = get_args(shape)[0]  # such as Text | None
    if value is None:
        return
    yield place, shape, value
    inner: list[tuple[Any, Any, Any]] = []
    if isinstance(value, Strict):
        fields = type(value).model_fields.items()
        own = [(name, spec.alias or name) for name, spec in fields if not spec.exclude]
        types = _types(type(value))
        inner = [(key, types[name], getattr(value, name)) for name, key in own]
    elif get_origin(shape) is dict:
        of_key, of_value = get_args(shape)
        inner = [pair for n, v in value.items() for pair in ((n, of_key, n), (n, of_value, v))]
    elif get_origin(shape) in (list, tuple):
        inner = [(at, get_args(shape)[0], part) for at, part in enumerate(value)]
    for key, of, part in inner:
        yield from walk(of, part, (*place, key))


@cache
def _types(shape: type[Strict]) -> dict[str, Any]:
    return get_type_hints(shape, include_extras=True)


def unknown_names(
    record: Strict, known: Mapping[str, Iterable[str]]
) -> Iterator[tuple[tuple, str, str]]:
    """The place of each name of something that is not there, the name, and what to say of it."""
    for place, shape, name in walk(type(record), record):
        what = get_args(shape)[1] if get_origin(shape) is Annotated else ""
        if what and name and name not in known[what]:
            yield place, name, f"unknown {what} {name!r}.{closest(name, known[what])}"


def _language_faults(texts: dict[tuple, Text], languages: Iterable[str]) -> Iterator[Fault]:
    """Each text has each language of the questionnaire, and no other."""
    listed = f"the questionnaire has languages: [{', '.join(languages)}]"
    for language in LANGUAGES:
        needed = language in languages
        wrong = [place for place, text in texts.items() if bool(getattr(text, language)) != needed]
        if len(wrong) == len(texts) > 1:  # one fault, not one for each text
            yield (), f"{'no' if needed else 'every'} text is in {language}, but {listed}"
            continue
        for place in wrong:
            yield (*place, language), "this key is missing" if needed else listed


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


def plain(fault: ErrorDetails) -> str:
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
