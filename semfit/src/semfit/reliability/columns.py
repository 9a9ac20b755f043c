"""Choosing the columns of a frame, with refusals that name them; and their means.

Every function takes a frame with one row per respondent and NaN for a missing answer, and returns a
new frame. NaN never counts.
"""

import warnings
from difflib import get_close_matches

import numpy as np
import pandas as pd
from statsmodels.stats.weightstats import DescrStatsW

CONFIDENCE = 0.95


def columns(data, names) -> pd.DataFrame:
    """The named columns as they are.

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


def numeric_columns(data, names) -> pd.DataFrame:
    """The named columns as float64, NaN for missing; refuses text and infinite values too."""
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


def refuse_doubled(names, reason) -> None:
    doubled = pd.Index(names)[pd.Index(names).duplicated()].tolist()
    if doubled:
        raise ValueError(f"{doubled[0]!r} {reason}.")


def valid_answers(answers, least=1) -> pd.Series:
    """The answers of one variable without NaN; `ValueError` when there are fewer than `least`."""
    valid = answers.dropna()
    if len(valid) < least:
        raise ValueError(
            f"{answers.name!r} has {len(valid)} valid answers, fewer than {least}: leave it out."
        )
    return valid


def means(data, variables, confidence=CONFIDENCE) -> pd.DataFrame:
    """Mean of each variable over its valid answers.

    Returns
    -------
    DataFrame
        variable, n (valid answers), mean, sd (n - 1), se = sd / sqrt(n), ci_low, ci_high (t
        interval), median. R: ``t.test(x)$conf.int``. A variable without variance gives a warning
        and an interval of NaN.

    Raises
    ------
    ValueError
        Also when a variable has fewer than 2 valid answers.
    """
    frame = numeric_columns(data, variables)
    return pd.DataFrame(
        [{"variable": name, **_mean_columns(valid_answers(frame[name], 2), confidence)} for name in frame]
    )


def _mean_columns(answers, confidence) -> dict:
    low = high = np.nan
    if answers.nunique() == 1:
        warnings.warn(f"{answers.name!r} is constant: its mean has no interval.", stacklevel=3)
    else:
        low, high = DescrStatsW(answers.to_numpy()).tconfint_mean(alpha=1 - confidence)
    spread = {"mean": answers.mean(), "sd": answers.std(), "se": answers.sem()}
    return {"n": len(answers), **spread, "ci_low": low, "ci_high": high, "median": answers.median()}
