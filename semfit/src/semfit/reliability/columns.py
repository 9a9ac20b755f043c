"""Choosing the columns of a frame, with refusals that name them; and their means.

For whoever makes tables of answers, here or elsewhere: `columns` and `numeric_columns` choose,
`valid_answers` leaves out who did not answer, `refuse_doubled` refuses what is named twice, and
`means` (also in `semfit.reliability`) is the first such table. Frames have one row per respondent
and NaN for a missing answer, which never counts; what is returned is new.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.weightstats import DescrStatsW

CONFIDENCE = 0.95
LeftOut = list[tuple[str, list[str]]]  # reason, a code; and the names that it is about

__all__ = [
    "CONFIDENCE",
    "LeftOut",
    "binary_columns",
    "columns",
    "means",
    "number_summary",
    "numeric_columns",
    "plain",
    "refuse_doubled",
    "valid_answers",
]


def columns(data: pd.DataFrame, names: str | Iterable[str]) -> pd.DataFrame:
    """The named columns as they are.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    names : str or iterable of str
        Of the columns, in the order in which they are wanted.

    Returns
    -------
    DataFrame
        Respondents x the columns named.

    Raises
    ------
    ValueError
        No names, a name that the data do not have (with the closest ones), a name that is doubled.
    """
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise ValueError("No variables were named: give at least one column name.")
    unknown = [name for name in names if name not in data.columns]
    if unknown:
        near = get_close_matches(str(unknown[0]), [str(c) for c in data.columns], n=3)
        hint = f" Closest: {', '.join(near)}." if near else ""
        raise ValueError(f"The data have no column {', '.join(map(repr, unknown))}.{hint}")
    refuse_doubled(names, "is named twice; name each variable once")
    refuse_doubled(data[names].columns, "stands more than once in the data; rename one")
    return data[names]


def numeric_columns(data: pd.DataFrame, names: str | Iterable[str]) -> pd.DataFrame:
    """The named columns as float64.

    Parameters
    ----------
    data, names
        As in `columns`.

    Returns
    -------
    DataFrame
        Respondents x the columns named; NaN for missing.

    Raises
    ------
    ValueError
        Also for text and for infinite values.
    """
    frame = columns(data, names)
    for name in frame:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise ValueError(
                f"{name!r} is not numeric ({frame[name].dtype}): recode it to numbers."
            )
    frame = frame.astype("float64")
    infinite = frame.columns[np.isinf(frame).any()]
    if len(infinite):
        raise ValueError(f"{infinite[0]!r} holds infinite values: correct them or use NaN.")
    return frame


def refuse_doubled(names: Iterable[Any], reason: str) -> None:
    """Refuse names of which one stands there twice, for this reason (what is wrong; what to do)."""
    doubled = pd.Index(names)[pd.Index(names).duplicated()].tolist()
    if doubled:
        raise ValueError(f"{doubled[0]!r} {reason}.")


def valid_answers(answers: pd.Series, least: int = 1) -> pd.Series:
    """The answers of one variable without NaN.

    Parameters
    ----------
    answers : Series, one per respondent
    least : int

    Returns
    -------
    Series

    Raises
    ------
    ValueError
        There are fewer than `least`.
    """
    valid = answers.dropna()
    if len(valid) < least:
        raise ValueError(
            f"{answers.name!r} has {len(valid)} valid answers, fewer than {least}: leave it out."
        )
    return valid


def plain(code: Any) -> Any:
    """A code as it is written in a questionnaire: 1, not 1.0."""
    is_whole = isinstance(code, float | np.number) and float(code).is_integer()
    return int(code) if is_whole else code


def binary_columns(data: pd.DataFrame, names: str | Iterable[str]) -> pd.DataFrame:
    """The named columns as float64, which hold 1 (yes), 0 (no) and NaN only."""
    frame = numeric_columns(data, names)
    for name in frame:
        if not frame[name].dropna().isin([0, 1]).all():
            raise ValueError(f"{name!r} holds more than 0 and 1: recode it to 1 (yes), 0 (no).")
    return frame


def means(
    data: pd.DataFrame, variables: str | Iterable[str], confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Mean of each variable over its valid answers.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    variables : str or iterable of str
    confidence : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        variable, n (valid answers), mean, sd (n - 1), se = sd / sqrt(n), ci_low, ci_high (t
        interval), median. R: ``t.test(x)$conf.int``.

    Raises
    ------
    ValueError
        Also when a variable has fewer than 2 valid answers.

    Warns
    -----
    UserWarning
        For a variable without variance: its interval is NaN.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> reliability.means(data, ["x1", "age"]).round(2)
      variable    n  mean    sd    se  ci_low  ci_high  median
    0       x1  200  3.15  0.99  0.07    3.01     3.28    3.13
    1      age  200  3.98  1.12  0.08    3.83     4.14    3.94
    """
    frame = numeric_columns(data, variables)
    rows = [
        {"variable": name, **_mean_columns(valid_answers(frame[name], 2), confidence)}
        for name in frame
    ]
    return pd.DataFrame(rows)


def _mean_columns(answers: pd.Series, confidence: float) -> dict[str, float]:
    low = high = np.nan
    if answers.nunique() == 1:
        warnings.warn(f"{answers.name!r} is constant: its mean has no interval.", stacklevel=3)
    else:
        low, high = DescrStatsW(answers.to_numpy()).tconfint_mean(alpha=1 - confidence)
    spread = {"mean": answers.mean(), "sd": answers.std(), "se": answers.sem()}
    return {"n": len(answers), **spread, "ci_low": low, "ci_high": high, "median": answers.median()}


def number_summary(
    data: pd.DataFrame, variables: str | Iterable[str], confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Mean, range and quartiles of numbers.

    Parameters
    ----------
    data, variables, confidence
        As in `means`.

    Returns
    -------
    DataFrame
        As `means`, then min, q1, q3, max (of the valid answers; q1, median and q3 as R's type 7).
        R: ``quantile(x, na.rm = TRUE)``.

    Examples
    --------
    >>> import pandas as pd
    >>> from semfit.reliability import number_summary
    >>> table = number_summary(pd.DataFrame({"staff": [1, 2, 4, 9]}), ["staff"])
    >>> table[["min", "q1", "median", "q3", "max"]].to_numpy().tolist()
    [[1.0, 1.75, 3.0, 5.25, 9.0]]
    """
    table = means(data, variables, confidence).set_index("variable")
    at = {"min": 0, "q1": 0.25, "q3": 0.75, "max": 1}
    quantiles = numeric_columns(data, variables).quantile([*at.values()]).T
    return table.assign(**quantiles.set_axis([*at], axis=1)).reset_index()
