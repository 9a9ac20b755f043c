"""Published claims in words: what each is about, and what its computed value is held against."""

from __future__ import annotations

import re

import numpy as np
from pandas import DataFrame

from mkb21.page.numerals import published
from mkb21.page.words import section
from mkb21.survey.instrument import Instrument
from mkb21.survey.published import split


def as_text(register: DataFrame, language: str = "en") -> list[str]:
    """What a computed value is held against, as short text.

    "62", "> 50", "> fig07_twitter" (another claim), "50 – 55", "largest of 6", "place 2 of 11".
    """
    words = section("claims", language)
    found = []
    for row in register.itertuples():
        value, high = (
            "" if np.isnan(x) else published(x, row.decimals, language)
            for x in (row.value, row.value_high)
        )
        place = f"{words.get(row.comparator)} {value}".strip()
        text = {
            "greater": f"> {value or ', '.join(split(row.than))}",
            "less": f"< {value or ', '.join(split(row.than))}",
            "between": f"{value} – {high}",
            "equals": value,
        }
        found.append(text.get(row.comparator, f"{place} {words['of']} {len(split(row.among))}"))
    return found


def labels(claims: DataFrame, questions: Instrument, language: str = "en") -> dict[str, str]:
    """What each claim is about, in words: id -> "7 Twitter: weekly – continuously"."""
    words = section("claims", language)
    found = {}
    for row in claims.itertuples():
        names = [name for pair in split(row.variables) for name in pair.split(">")]
        about = [questions.topic(names, language)] if names else []
        codes = questions.codes(names[0], language) if names else {}
        chosen = [codes[int(c)] for c in split(row.codes) if int(c) in codes]
        if chosen and set(codes) != {0, 1}:
            about.append(chosen[0] if len(chosen) == 1 else f"{chosen[0]} – {chosen[-1]}")
        kind = words.get(row.statistic, "")
        if row.statistic.startswith("n_"):
            about, kind = [f"{kind} {': '.join(about)}".strip()], ""
        if row.statistic == "n_rows":
            kind = _filter_words(row.filter, questions, language)
        end = f" ({kind})" if kind else ""
        found[row.id] = f"{row.figure} {': '.join(about)}{end}".strip()
    return found


def _filter_words(condition: str, questions: Instrument, language: str) -> str:
    """`user == 1` as "uses social media: yes"; a longer condition stays as it is."""
    simple = re.fullmatch(r"(\w+) == (\d+)", condition)
    if simple is None:
        return condition
    name, code = simple[1], int(simple[2])
    return f"{questions.label(name, language)}: {questions.codes(name, language)[code]}"
