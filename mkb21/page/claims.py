"""Published claims in words: what each is about, and what its computed value is held against."""

from __future__ import annotations

import re

import numpy as np
from pandas import DataFrame

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
        value = _printed(row.value, row.decimals, language)
        if row.comparator in ("greater", "less"):
            than = value or ", ".join(split(row.than))
            found.append(f"{'>' if row.comparator == 'greater' else '<'} {than}")
        elif row.comparator == "between":
            found.append(f"{value} – {_printed(row.value_high, row.decimals, language)}")
        elif row.comparator == "equals":
            found.append(value)
        else:
            place = f"{words[row.comparator]} {value}".strip()
            found.append(f"{place} {words['of']} {len(split(row.among))}")
    return found


def labels(claims: DataFrame, questions: Instrument, language: str = "en") -> dict[str, str]:
    """What each claim is about, in words: id -> "7 Twitter: weekly – continuously".

    Parameters
    ----------
    claims : DataFrame
        As `read` gives them.
    questions : Instrument
    """
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
            about = [f"{kind} {': '.join(about)}".strip()]
            kind = (
                _filter_words(row.filter, questions, language) if row.statistic == "n_rows" else ""
            )
        start, end = row.figure, f" ({kind})" if kind else ""
        found[row.id] = f"{start} {': '.join(about)}{end}".strip()
    return found


def _filter_words(condition: str, questions: Instrument, language: str) -> str:
    """`user == 1` as "uses social media: yes"; a longer condition stays as it is."""
    simple = re.fullmatch(r"(\w+) == (\d+)", condition)
    if simple is None:
        return condition
    name, code = simple[1], int(simple[2])
    return f"{questions.label(name, language)}: {questions.codes(name, language)[code]}"


def _printed(value: float, decimals: float, language: str) -> str:
    if np.isnan(value):
        return ""
    text = f"{value:g}" if np.isnan(decimals) else f"{value:.{int(decimals)}f}"
    return text.replace(".", ",") if language == "nl" else text
