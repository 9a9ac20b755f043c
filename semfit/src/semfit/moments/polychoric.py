"""Polychoric correlations of ordered variables, and what goes with contingency tables."""

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from semfit.moments.binormal import BEYOND, LIMIT, STEP_TOLERANCE, OrderedPairs, intervals

MOST_CATEGORIES = 50  # more than that, and numbers are no ordered categories
ZERO_ADD = 0.5


def polychoric(frame: pd.DataFrame) -> pd.DataFrame:
    """Polychoric correlations among all columns of a frame.

    Parameters
    ----------
    frame : DataFrame, respondents x ordered variables
        Any sorted values of 2 to 50 categories; NaN for missing.

    Returns
    -------
    DataFrame
        Variables x variables, ones on the diagonal. Each pair over the respondents who have both
        (pairwise), its thresholds too: the matrix need not be positive definite when values are
        missing. An empty cell of a 2 x 2 table: see `without_single_zero`. R:
        ``lavaan::lavCor(na.omit(frame[c(a, b)]), ordered = c(a, b))``.

    Raises
    ------
    ValueError
        Not numeric, fewer than 2 columns, a variable with one or more than 50 categories, two
        variables without common respondents or of which one is constant there, and a correlation
        that runs up to 1 or -1; the message names the variables.

    Examples
    --------
    Answers on four points. Among the uncut numbers the correlations are .55, .61 and .62; Pearson's
    of the answers are .50, .56 and .56.

    >>> import semfit
    >>> from semfit.moments.polychoric import polychoric
    >>> answers = semfit.example_data()[["x1", "x2", "x3"]].round().clip(2, 5)
    >>> polychoric(answers).round(2)
          x1    x2    x3
    x1  1.00  0.57  0.63
    x2  0.57  1.00  0.63
    x3  0.63  0.63  1.00
    """
    values = numeric_array(frame)
    names = list(frame.columns)
    if len(names) < 2:
        raise ValueError(f"Correlations need at least 2 variables; given: {len(names)}.")
    codes = np.full(values.T.shape, -1)
    for row, name, column in zip(codes, names, values.T, strict=True):
        known = ~np.isnan(column)
        row[known] = np.searchsorted(categories(name, column), column[known])
    tables = _tables(codes)
    pairs = list(combinations(names, 2))
    _refuse_constant(pairs, tables)
    first, second = np.triu_indices(len(names), 1)
    start = frame.corr().to_numpy()[first, second]
    rho = table_pairs(tables).estimate(start)
    refuse_perfect(pairs, rho)
    matrix = np.eye(len(names))
    matrix[first, second] = matrix[second, first] = rho
    return pd.DataFrame(matrix, names, names)


def without_single_zero(table: np.ndarray) -> np.ndarray:
    """A table whose likelihood has a maximum, if it is 2 x 2 with one empty cell.

    Such a table points to a correlation of 1 or -1. 0.5 is added to the empty cell and the one
    diagonally across and taken off the other two, so that the margins stay. Larger tables keep
    their empty cells. lavaan: ``zero.add = c(0.5, 0), zero.keep.margins = TRUE``, its default.
    """
    used = np.ix_(np.flatnonzero(table.any(axis=1)), np.flatnonzero(table.any(axis=0)))
    empty = table[used] == 0
    if empty.shape != (2, 2) or empty.sum() != 1:
        return table
    sign = 1 if empty[0, 0] or empty[1, 1] else -1
    changed = table.copy()
    changed[used] += sign * ZERO_ADD * np.array([[1, -1], [-1, 1]])
    return changed


def categories(name: str, values: np.ndarray, most: int = MOST_CATEGORIES) -> np.ndarray:
    """The sorted categories that occur; refuse none, one, or more than `most`."""
    found = np.unique(values[~np.isnan(values)])
    if len(found) < 2:
        only = f"only the value {found[0]:g}" if len(found) else "no value"
        raise ValueError(f"Ordered variable {name!r} has {only}: leave it out.")
    if len(found) > most:
        raise ValueError(
            f"Ordered variable {name!r} has {len(found)} categories, more than {most}: treat it as "
            "numeric, or group its values."
        )
    return found


def numeric_array(frame: pd.DataFrame) -> np.ndarray:
    """A frame's values as float64, NaN for missing; refuse what are not numbers."""
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"A DataFrame is needed; given: {type(frame).__name__}.")
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        raise ValueError(f"Column {doubled[0]!r} is there more than once: drop or rename one.")
    for name in frame:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise ValueError(f"Column {name!r} is not numeric: recode it to numbers.")
    values = frame.to_numpy(dtype=float, na_value=np.nan)
    infinite = np.isinf(values).any(axis=0)
    if infinite.any():
        name = frame.columns[infinite][0]
        raise ValueError(f"Column {name!r} holds infinite values: correct them.")
    return values


def _tables(codes: np.ndarray) -> np.ndarray:
    """The contingency table of every pair of rows of codes, -1 missing (pairs, K, K)."""
    width = codes.max() + 1
    ones = (codes.T[:, :, None] == np.arange(width)).reshape(codes.shape[1], -1).astype(float)
    counts = (ones.T @ ones).reshape(len(codes), width, len(codes), width).swapaxes(1, 2)
    return counts[np.triu_indices(len(codes), 1)]


def table_pairs(tables: np.ndarray) -> OrderedPairs:
    """`OrderedPairs` of tables (pairs, K, K), each with the thresholds of its own margins.

    The threshold of a category is the normal quantile of the share at or below it.
    """
    first, second = np.indices(tables.shape[1:]).reshape(2, -1)
    limits: list[np.ndarray] = []
    for codes, axis in ((first, 2), (second, 1)):
        below = tables.sum(axis=axis).cumsum(axis=1)
        thresholds = ndtri(np.pad(below / below[:, -1:], ((0, 0), (1, 0))))
        limits += intervals(np.clip(thresholds, -BEYOND, BEYOND), codes)
    weights = np.array([without_single_zero(table) for table in tables])
    return OrderedPairs(*[*limits, weights.reshape(len(tables), -1)])


def _refuse_constant(pairs: Iterable[tuple[str, str]], tables: np.ndarray) -> None:
    for (first, second), table in zip(pairs, tables, strict=True):
        for name, axis in ((first, 1), (second, 0)):
            if np.count_nonzero(table.sum(axis=axis)) < 2:
                raise ValueError(
                    f"{name!r} has fewer than 2 categories among the {table.sum():.0f} respondents "
                    f"who have both {first!r} and {second!r}: leave one of them out."
                )


def refuse_perfect(pairs: Sequence[tuple[str, str]], rho: np.ndarray, limit: float = LIMIT) -> None:
    """Refuse correlations that ran up to the limit; `pairs` are tuples of two names."""
    for (first, second), value in zip(pairs, rho, strict=True):
        if np.abs(value) > limit - 10 * STEP_TOLERANCE:
            raise ValueError(
                f"{first!r} and {second!r} are perfectly associated: their correlation runs up to "
                f"{np.sign(value):.0f}. Leave one of them out, or merge rare categories."
            )
