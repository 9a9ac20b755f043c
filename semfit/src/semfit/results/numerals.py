"""Numbers as the field prints them."""

from __future__ import annotations

import math


def number(value: float, decimals: int = 3) -> str:
    """Return a number with fixed decimals, "" where it is not known; never "-0.000"."""
    if math.isnan(value):
        return ""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def whole(value: float) -> str:
    """Return a count; degrees of freedom that are no whole number keep their decimals."""
    return number(value, 0 if value == round(value) else 3) if math.isfinite(value) else ""


def p_value(value: float, decimals: int = 3) -> str:
    """Return a p value without its leading zero: ".012", "<.001", ">.999"."""
    if math.isnan(value):
        return ""
    smallest = 10.0**-decimals
    if value < smallest:
        return f"<{number(smallest, decimals)[1:]}"
    if value > 1 - smallest / 2:
        return f">{number(1 - smallest, decimals)[1:]}"
    return number(value, decimals)[1:]
