"""Frequencies, shares and missing answers of questions: tidy tables of answers.

Every function takes a frame with one row per respondent, codes as numbers and NaN for a missing
answer, and returns a new frame with one row per estimate. NaN never counts: each estimate uses the
valid answers of its own variables (available cases) and states how many these were. Percentages are
0-100. Variables and codes may be given as any iterable of names or codes (a dict of labels too: its
keys are used). All refuse, with a `ValueError` that names the column: an unknown column, one that
holds text or infinite values, and one without enough valid answers.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from pandas import DataFrame
from statsmodels.stats.proportion import proportion_confint

from semfit.reliability.columns import (
    CONFIDENCE,
    binary_columns,
    columns,
    numeric_columns,
    plain,
    refuse_doubled,
    valid_answers,
)

Names = Iterable[str]
Codes = Iterable[float]


# --- shares --------------------------------------------------------------------------------------


def _share_columns(n: int | np.ndarray, n_valid: int, confidence: float) -> dict:
    """n, n_valid, percent and its Wilson interval, as columns."""
    low, high = proportion_confint(np.asarray(n), n_valid, alpha=1 - confidence, method="wilson")
    percent = 100 * np.asarray(n) / n_valid
    interval = {"ci_low": 100 * low, "ci_high": 100 * high}
    return {"n": n, "n_valid": n_valid, "percent": percent, **interval}


def frequencies(
    data: DataFrame, variable: str, codes: Codes | None = None, confidence: float = CONFIDENCE
) -> DataFrame:
    """How often each code was given.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    variable : str
    codes : iterable of numbers, optional
        The codes of the answer scale, in order; those nobody gave are listed with n = 0. Default:
        the observed codes.
    confidence : float
        Level of the interval.

    Returns
    -------
    DataFrame
        variable, code, n, n_valid (valid answers), percent of n_valid, ci_low, ci_high: Wilson's
        interval (1927), in percent. R: ``prop.test(n, n_valid, correct = FALSE)$conf.int``.

    Raises
    ------
    ValueError
        Also when an answer is not among `codes`.

    Examples
    --------
    >>> import pandas as pd
    >>> from semfit.reliability import frequencies
    >>> frequencies(pd.DataFrame({"agree": [1, 2, 2, 3]}), "agree")["percent"].tolist()
    [25.0, 50.0, 25.0]
    """
    answers = valid_answers(numeric_columns(data, [variable])[variable])
    codes = sorted(answers.unique()) if codes is None else list(codes)
    refuse_doubled(codes, f"stands more than once among the codes of {variable!r}")
    strange = sorted(set(answers) - set(codes))
    if strange:
        what = f"{variable!r} holds {strange[0]:g}, none of its codes {codes}"
        raise ValueError(f"{what}: clean it first.")
    n = answers.value_counts().reindex(codes, fill_value=0).to_numpy()
    labels = {"variable": variable, "code": [plain(code) for code in codes]}
    return DataFrame({**labels, **_share_columns(n, len(answers), confidence)})


def distributions(
    data: DataFrame, variables: Names, codes: Codes | None = None, confidence: float = CONFIDENCE
) -> DataFrame:
    """`frequencies` of several variables, one below the other (for stacked bars).

    Parameters
    ----------
    data : DataFrame, respondents x variables
    variables : iterable of str
    codes : iterable of numbers, optional
        As in `frequencies`, the same for all variables.
    confidence : float

    Returns
    -------
    DataFrame
        As `frequencies`, with the rows of each variable together. R: as there.

    Examples
    --------
    >>> import pandas as pd
    >>> from semfit.reliability import distributions
    >>> data = pd.DataFrame({"a": [1, 2], "b": [2, 2]})
    >>> distributions(data, ["a", "b"], codes=[1, 2])["n"].tolist()
    [1, 1, 0, 2]
    """
    names = columns(data, variables).columns
    codes = None if codes is None else list(codes)
    parts = [frequencies(data, name, codes, confidence) for name in names]
    return pd.concat(parts, ignore_index=True)


def multiple_response(
    data: DataFrame, variables: Names, confidence: float = CONFIDENCE
) -> DataFrame:
    """Share of respondents who chose each option of a question with several answers.

    Parameters
    ----------
    data : DataFrame
    variables : iterable of str
        The options: 1 chosen, 0 not chosen.

    Returns
    -------
    DataFrame
        variable, n (chosen), n_valid, percent, ci_low, ci_high as in `frequencies`. n_valid is the
        number of respondents with at least one option that is not missing: they answered the
        question, and an option that is missing for them counts as not chosen. Percentages may add
        up to more than 100.

    Examples
    --------
    >>> import pandas as pd
    >>> from semfit.reliability import multiple_response
    >>> data = pd.DataFrame({"mail": [1, 1, 0], "phone": [1, 0, None]})
    >>> multiple_response(data, ["mail", "phone"])["n_valid"].tolist()
    [3, 3]
    """
    frame = binary_columns(data, variables)
    for name in frame:
        valid_answers(frame[name])
    answered = int(frame.notna().any(axis=1).sum())
    chosen = frame.sum().astype(int).to_numpy()
    return DataFrame({"variable": frame.columns, **_share_columns(chosen, answered, confidence)})


def shares(
    data: DataFrame, variables: Names, codes: Codes, confidence: float = CONFIDENCE
) -> DataFrame:
    """Share of the valid answers that is one of `codes` (say: weekly or more), per variable.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    variables : iterable of str
    codes : iterable of numbers
        What is counted.
    confidence : float
        Level of the interval.

    Returns
    -------
    DataFrame
        variable, n (answers in `codes`), n_valid (valid answers of this variable), percent, ci_low,
        ci_high as in `frequencies`.

    Examples
    --------
    >>> import pandas as pd
    >>> from semfit.reliability import shares
    >>> shares(pd.DataFrame({"weekly": [1, 4, 5, 5]}), ["weekly"], [4, 5])["percent"].tolist()
    [75.0]
    """
    codes = list(codes)
    if not codes:
        raise ValueError("No codes were given: name at least one code to count.")
    frame = numeric_columns(data, variables)
    rows = []
    for name in frame:
        answers = valid_answers(frame[name])
        n = int(answers.isin(codes).sum())
        rows.append({"variable": name, **_share_columns(n, len(answers), confidence)})
    return DataFrame(rows)


def histogram(data: DataFrame, variables: Names, least: int = 5) -> DataFrame:
    """How many numbers lie in each of some bins of equal, round width.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    variables : iterable of str
    least : int
        So many bins at least, before rounding; more by Sturges (1926) where there are many answers.

    Returns
    -------
    DataFrame
        variable, low, high, n (low <= x < high; of numbers that are not whole the last bin holds its
        upper end too), n_valid, percent. Bins are 1, 2 or 5 times a power of ten wide; of whole
        numbers 1 or more, and a bin of width 1 stands around its number.
        R: ``hist(x, breaks = unique(c(low, high)), right = FALSE)$counts``.

    Examples
    --------
    >>> import pandas as pd
    >>> from semfit.reliability import histogram
    >>> histogram(pd.DataFrame({"staff": [1, 2, 2, 9]}), ["staff"])[["low", "high", "n"]]
       low  high  n
    0  0.0   2.0  1
    1  2.0   4.0  2
    2  4.0   6.0  0
    3  6.0   8.0  0
    4  8.0  10.0  1
    """
    frame, parts = numeric_columns(data, variables), []
    for name in frame:
        numbers = valid_answers(frame[name]).to_numpy()
        count = max(least, int(np.ceil(np.log2(len(numbers)))) + 1)
        whole = bool((numbers % 1 == 0).all())
        step = _round_step(np.ptp(numbers) / count, whole)
        start = np.floor(numbers.min() / step + 1e-9)
        last = np.floor(numbers.max() / step + 1e-9) + 1
        if not whole:  # what ends at an edge needs no bin beyond it
            last = max(np.ceil(numbers.max() / step - 1e-9), start + 1)
        edges = step * np.arange(start, last + 1)
        n = np.histogram(numbers, edges)[0]
        edges = edges - 0.5 if whole and step == 1 else edges
        part = {"variable": name, "low": edges[:-1], "high": edges[1:], "n": n}
        parts.append(DataFrame(part | {"n_valid": len(numbers), "percent": 100 * n / n.sum()}))
    return pd.concat(parts, ignore_index=True)


def _round_step(least: float, whole: bool) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least so much."""
    least = max(least, 1) if whole or not least else least
    power = 10.0 ** np.floor(np.log10(least))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= least * (1 - 1e-9))


# --- missing data --------------------------------------------------------------------------------


def _missing(
    data: DataFrame, variables: Names, asked: DataFrame | None
) -> tuple[DataFrame, DataFrame]:
    """Two boolean frames, respondents x variables: missing though asked; asked."""
    frame = columns(data, variables)
    if asked is None:
        return frame.isna(), DataFrame(True, index=frame.index, columns=frame.columns)
    asked = columns(asked, list(frame.columns))
    if not asked.index.equals(data.index) or not all(map(pd.api.types.is_bool_dtype, asked.dtypes)):
        raise ValueError("`asked` must hold True or False for the same rows (index) as the data.")
    answered = frame.columns[(frame.notna() & ~asked).any()]
    if len(answered):
        what = f"{answered[0]!r} has answers where `asked` is False"
        raise ValueError(f"{what}: correct one of them.")
    return frame.isna() & asked, asked


def missing_summary(data: DataFrame, variables: Names, asked: DataFrame | None = None) -> DataFrame:
    """How many answers are missing, per variable.

    Parameters
    ----------
    data : DataFrame
    variables : iterable of str
    asked : DataFrame of bool, optional
        Same rows, at least these columns: was the respondent asked? Not asked is not missing.
        Default: all were.

    Returns
    -------
    DataFrame
        variable, n_asked, n_missing, n_valid, percent = 100 n_missing / n_asked (NaN when nobody
        was asked).

    Examples
    --------
    >>> import pandas as pd
    >>> from semfit.reliability import missing_summary
    >>> missing_summary(pd.DataFrame({"a": [1, None, 3, 4]}), ["a"])["percent"].tolist()
    [25.0]
    """
    missing, asked = _missing(data, variables, asked)
    table = DataFrame({"n_asked": asked.sum(), "n_missing": missing.sum()})
    table["n_valid"] = table["n_asked"] - table["n_missing"]
    table["percent"] = 100 * table["n_missing"] / table["n_asked"]
    return table.rename_axis("variable").reset_index()


def missing_patterns(
    data: DataFrame, variables: Names, asked: DataFrame | None = None
) -> DataFrame:
    """Which variables are missing together; `asked` as in `missing_summary`.

    Returns
    -------
    DataFrame
        missing (names joined by ", ", "" when nothing that was asked is missing), n_missing (number
        of these variables), n (respondents with this pattern), percent of respondents; most
        frequent first.

    Examples
    --------
    >>> import pandas as pd
    >>> from semfit.reliability import missing_patterns
    >>> data = pd.DataFrame({"a": [1, None, None], "b": [1, 2, 2]})
    >>> missing_patterns(data, ["a", "b"])["n"].tolist()
    [2, 1]
    """
    missing, _ = _missing(data, variables, asked)
    if missing.empty:
        raise ValueError("The data have no rows.")
    names = missing.apply(lambda row: ", ".join(missing.columns[row]), axis=1)
    table = DataFrame({"missing": names, "n_missing": missing.sum(axis=1)})
    table = table.groupby(["missing", "n_missing"]).size().rename("n").reset_index()
    table["percent"] = 100 * table["n"] / len(data)
    order = {"by": ["n", "n_missing", "missing"], "ascending": [False, True, True]}
    return table.sort_values(**order, ignore_index=True)
