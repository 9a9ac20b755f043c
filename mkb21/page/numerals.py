"""Numbers as text, and which number of a fit is shown; without pandas, for the command, too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isnan

from mkb21.survey.files import check_language

DECIMAL_MARK = {"nl": ",", "en": "."}
UNDEFINED = "–"


def _unknown(value: float | None) -> bool:
    return value is None or isnan(value)


def number(value: float, decimals: int, language: str) -> str:
    """A number with fixed decimals, the language's decimal mark and a true minus; NaN is "–".

    R: ``formatC(value, digits = decimals, format = "f", decimal.mark = ",")``.
    """
    check_language(language)
    if _unknown(value):
        return UNDEFINED
    text = f"{value:.{decimals}f}"
    sign = "−" if text.startswith("-") and float(text) != 0 else ""
    return sign + text.lstrip("-").replace(".", DECIMAL_MARK[language])


def short(value: float, decimals: int, language: str) -> str:
    """A number without the zeros at its end: 0.50 gives "0.5", 2.00 gives "2"."""
    text = number(value, decimals, language)
    return re.sub(r"[.,]?0+$", "", text) if decimals else text


def published(value: float, decimals: float, language: str) -> str:
    """A number as it was printed; where its decimals are not known (NaN) as short as it is."""
    return short(value, 3, language) if isnan(decimals) else number(value, int(decimals), language)


def fraction(value: float, decimals: int, language: str) -> str:
    """A number that is at most about 1, without its leading zero: ".95"."""
    return re.sub(r"^(−?)0(?=[.,])", r"\1", number(value, decimals, language))


def percent(value: float, decimals: int, language: str) -> str:
    """A percentage as text: 40 gives "40%" in both languages; NaN gives "–"."""
    return UNDEFINED if _unknown(value) else f"{number(value, decimals, language)}%"


def p_value(value: float, language: str) -> str:
    """A p value in APA style: three decimals, no leading zero; "< .001", "> .999"."""
    if _unknown(value):
        return UNDEFINED
    if not 0 <= value <= 1:
        raise ValueError(f"{value} is not a p value: it must lie between 0 and 1.")
    mark = DECIMAL_MARK[language]
    if value < 0.001:
        return f"< {mark}001"
    return f"> {mark}999" if value >= 0.9995 else fraction(value, 3, language)


def p_equals(value: float, language: str) -> str:
    """A p value in a sentence: "p = .012", "p < .001"."""
    text = p_value(value, language)
    return f"p {text}" if text[0] in "<>" else f"p = {text}"


def interval(low: float, high: float, decimals: int, language: str) -> str:
    """Two limits as text: "[2.12, 2.44]", in Dutch "[2,12; 2,44]"; "–" if one is NaN."""
    if _unknown(low) or _unknown(high):
        return UNDEFINED
    limits = [number(limit, decimals, language) for limit in (low, high)]
    return f"[{'; '.join(limits)}]" if language == "nl" else f"[{', '.join(limits)}]"


def reported_column(row: Mapping[str, float]) -> str:
    """Which column of a fit measure is reported: robust, else scaled, else standard; "" for none.

    `row` holds the values of that measure by column; NaN where there is none. This is the rule of
    `semfit.reported_column`, which takes pandas along; a test holds them together.
    """
    return next((c for c in ("robust", "scaled", "standard") if not _unknown(row.get(c))), "")
