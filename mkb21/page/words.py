"""The words on tables, figures and messages: `words.yaml` holds them, in both languages.

Labels of questions stand in data/instrument.yaml instead. Keys are codes, the same in every
language. This module is light: the command uses it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mkb21.survey.files import check_language


@cache
def _all() -> dict[str, dict[str, Any]]:
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def section(name: str, language: str) -> dict[str, str]:
    """The words of one section of `words.yaml`: code -> text."""
    check_language(language)
    return {code: pair[language] for code, pair in _all()[name].items()}


def say(nl: str, en: str, language: str) -> str:
    """One of two texts: for the titles that a notebook writes itself."""
    check_language(language)
    return nl if language == "nl" else en


def values(codes: Iterable[str], language: str) -> list[str]:
    """Codes of steps, rules or reasons in words; one without words stays as it is."""
    known = section("values", language)
    outside = f"{known['outside']}: "  # a step of cleaning: outside_<variable>
    return [
        known.get(code, code.replace("outside_", outside) if isinstance(code, str) else code)
        for code in codes
    ]


def names(codes: Iterable[str], language: str) -> dict[str, str]:
    """`values` as a dict: code -> words."""
    return dict(zip(codes, values(codes, language), strict=True))


class _DutchNumber(float):
    def __format__(self, form: str) -> str:
        return super().__format__(form).replace(".", ",")


def _in_dutch(value: Any) -> Any:
    """The values of a message with decimal commas, those of messages inside it too."""
    if isinstance(value, Mapping):
        return {name: _in_dutch(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_in_dutch(one) for one in value]
    return _DutchNumber(value) if isinstance(value, float) else value


def message(code: str, values: Mapping[str, Any], language: str) -> str:
    """What semfit says, by its code and the values of its fields (see `semfit.render`)."""
    from semfit import render  # loads pandas

    check_language(language)
    if language == "en":
        return render(code, values)
    return render(code, _in_dutch(values), _all()["messages"])


def sentence(code: str, values: Mapping[str, Any], language: str) -> str:
    """A sentence that a notebook prints, with these values; see `sentences` in words.yaml."""
    text = section("sentences", language)[code]
    return text.format(**(_in_dutch(values) if language == "nl" else values))


def told(parts: Iterable[tuple[str, Mapping[str, Any]]], language: str) -> str:
    """The sentences of a `message_parts` in one text."""
    return " ".join(message(code, values, language) for code, values in parts)


def columns(names: str, language: str) -> dict:
    """The `columns` argument of `tables.display`: heading and format of each column of a tidy table.

    Parameters
    ----------
    names : str
        Names out of the section `columns`, in the order of the table, with spaces between:
        "label n mean ci".
    language : {"nl", "en"}

    Raises
    ------
    ValueError
        A column without words: add it to `words.yaml`.
    """
    check_language(language)
    known, found = _all()["columns"], {}
    for name in names.split():
        if name not in known:
            raise ValueError(
                f"No heading for {name!r}: add it to columns in mkb21/page/words.yaml."
            )
        of = known[name].get("of", name)
        found[of if isinstance(of, str) else tuple(of)] = (
            known[name][language],
            known[name]["format"],
        )
    return found
