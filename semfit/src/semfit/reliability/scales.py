"""Cronbach's alpha, item statistics, scale scores, dimensions.

Missing answers and refusals: see `semfit.reliability`. Reference: tests/reference/reliability.R.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from semfit.reliability.columns import CONFIDENCE, means, numeric_columns

LEAST_ROWS = 4

Scales = Mapping[str, Sequence[str]]  # name of the scale -> its items

# --- one scale -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class CronbachAlpha:
    """Cronbach's alpha of one scale.

    Attributes
    ----------
    n_items : int
    n_used : int
        Respondents who answered every item: alpha is of these.
    n_dropped : int
        Respondents who answered some items, not all.
    n_empty : int
        Respondents who answered none of the items. The three add up to the rows.
    alpha : float
        From covariances: k / (k - 1) (1 - sum of variances / variance of the sum).
    alpha_standardized : float
        The same formula on correlations.
    ci_low, ci_high : float
        Interval of `alpha` after Feldt, Woodruff and Salih (1987).
    mean_inter_item_r : float
    """

    n_items: int
    n_used: int
    n_dropped: int
    n_empty: int
    alpha: float
    alpha_standardized: float
    ci_low: float
    ci_high: float
    mean_inter_item_r: float


def cronbach_alpha(items: pd.DataFrame, confidence: float = CONFIDENCE) -> CronbachAlpha:
    """Cronbach's alpha with Feldt's interval, over complete rows.

    Parameters
    ----------
    items : DataFrame, respondents x items
        The items of one scale, nothing else.
    confidence : float
        Level of the interval.

    Returns
    -------
    CronbachAlpha
        1 - ci = (1 - alpha) F, where F are quantiles with n - 1 and (n - 1)(k - 1) degrees of
        freedom and n is `n_used`. R: ``a <- psych::alpha(na.omit(items)); a$total; a$feldt``.

    Raises
    ------
    ValueError
        Also when the items cancel out, so that their sum does not vary.

    Warns
    -----
    UserWarning
        For each item that correlates negatively with the sum of the others.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> items = data[["x1", "x2", "x3"]]
    >>> alpha = reliability.cronbach_alpha(items)
    >>> alpha.n_used, round(alpha.alpha, 3), round(alpha.ci_low, 3), round(alpha.ci_high, 3)
    (200, 0.816, 0.767, 0.856)
    """
    complete = complete_rows(items)
    warn_reversed(complete)
    n, k = complete.shape
    alpha = alpha_of(complete.cov())
    correlations = complete.corr().to_numpy()
    tails = np.array([(1 + confidence) / 2, (1 - confidence) / 2])
    low, high = 1 - (1 - alpha) * stats.f.ppf(tails, n - 1, (n - 1) * (k - 1))
    return CronbachAlpha(
        **counts(items, complete),
        alpha=alpha,
        alpha_standardized=alpha_of(complete.corr()),
        ci_low=float(low),
        ci_high=float(high),
        mean_inter_item_r=float(correlations[np.triu_indices(k, 1)].mean()),
    )


def complete_rows(items: pd.DataFrame) -> pd.DataFrame:
    """Rows with every item; refuses what has no alpha."""
    if items.shape[1] < 2:
        raise ValueError(f"A scale needs at least 2 items; given: {', '.join(items) or 'none'}.")
    complete = numeric_columns(items, items.columns).dropna()
    if len(complete) < LEAST_ROWS:
        raise ValueError(
            f"{len(complete)} respondents answered every one of {', '.join(items)}; at least "
            f"{LEAST_ROWS} needed: leave out the item that is missing most."
        )
    constant = complete.columns[complete.nunique() == 1]
    if len(constant):
        raise ValueError(
            f"Item {constant[0]!r} has no variance: all {len(complete)} respondents who answered "
            "every item gave the same answer. Leave it out."
        )
    return complete


def counts(items: pd.DataFrame, complete: pd.DataFrame) -> dict[str, int]:
    """How many items, and how many respondents answered all, some or none of them."""
    empty = int(items.isna().all(axis=1).sum())
    return {
        "n_items": complete.shape[1],
        "n_used": len(complete),
        "n_dropped": len(items) - len(complete) - empty,
        "n_empty": empty,
    }


def alpha_of(matrix: pd.DataFrame) -> float:
    """k / (k - 1) (1 - trace / sum) of a covariance or correlation matrix."""
    values = matrix.to_numpy()
    if np.isclose(values.sum(), 0, atol=1e-12 * np.trace(values)):
        raise ValueError(f"The sum of {', '.join(matrix)} does not vary: recode reversed items.")
    k = len(values)
    return float(k / (k - 1) * (1 - np.trace(values) / values.sum()))


def item_rest(complete: pd.DataFrame) -> pd.Series:
    """Correlation of each item with the sum of the other items."""
    total = complete.sum(axis=1)
    return pd.Series({i: complete[i].corr(total - complete[i]) for i in complete})


def warn_reversed(complete: pd.DataFrame) -> None:
    """Warn of each item that correlates negatively with the sum of the others."""
    rest = item_rest(complete)
    for item, correlation in rest[rest < 0].items():
        warnings.warn(
            f"Item {item!r} correlates negatively ({correlation:.2f}) with the other items of its "
            "scale: if it is worded the other way round, recode it first. It was not reversed.",
            stacklevel=3,
        )


def item_statistics(items: pd.DataFrame) -> pd.DataFrame:
    """Each item of one scale against the others, over complete rows.

    Parameters
    ----------
    items : DataFrame, respondents x items

    Returns
    -------
    DataFrame
        item, n (complete rows), mean, sd, min, max (observed), item_rest_correlation (with the sum
        of the other items; psych's r.drop), item_total_correlation (with the sum of all items, this
        one included; psych's raw.r), alpha_if_dropped (alpha of the others; NaN for 2 items).
        R: ``a <- psych::alpha(na.omit(items)); a$item.stats; a$alpha.drop$raw_alpha``.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> items = data[["x1", "x2", "x3"]]
    >>> table = reliability.item_statistics(items)
    >>> table[["item", "n", "item_rest_correlation", "alpha_if_dropped"]].round(2)
      item    n  item_rest_correlation  alpha_if_dropped
    0   x1  200                   0.65              0.77
    1   x2  200                   0.65              0.76
    2   x3  200                   0.70              0.71
    """
    complete = complete_rows(items)
    table = complete.agg(["count", "mean", "std", "min", "max"]).T
    table = table.rename(columns={"count": "n", "std": "sd"}).astype({"n": int})
    table["item_rest_correlation"] = item_rest(complete)
    table["item_total_correlation"] = complete.corrwith(complete.sum(axis=1))
    two = complete.shape[1] == 2
    others = {i: complete.drop(columns=i).cov() for i in complete}
    dropped = {item: np.nan if two else alpha_of(rest) for item, rest in others.items()}
    table["alpha_if_dropped"] = pd.Series(dropped)
    return table.rename_axis("item").reset_index()


def inter_item_correlations(items: pd.DataFrame, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Pearson correlations among the items of one scale, over complete rows.

    Parameters
    ----------
    items : DataFrame, respondents x items
    confidence : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per pair of items: first, second, n (complete rows), correlation, ci_low, ci_high
        (Fisher's z). R: ``cor.test(first, second)`` on ``na.omit(items)``.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> items = data[["x1", "x2", "x3"]]
    >>> reliability.inter_item_correlations(items).round(2)
      first second    n  correlation  ci_low  ci_high
    0    x1     x2  200         0.55    0.45     0.64
    1    x1     x3  200         0.61    0.52     0.69
    2    x2     x3  200         0.62    0.53     0.70
    """
    return _correlations(complete_rows(items), confidence)


def _correlations(frame: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row per pair of columns, over the rows that have both."""
    rows = []
    for first, second in combinations(frame.columns, 2):
        both = frame[[first, second]].dropna()
        result = stats.pearsonr(*_correlated(both))
        low, high = result.confidence_interval(confidence)
        row = {"first": first, "second": second, "n": len(both), "correlation": result.statistic}
        rows.append({**row, "ci_low": low, "ci_high": high})
    return pd.DataFrame(rows)


def _correlated(both: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The two columns as arrays; refuses those that have no correlation."""
    first, second = both.columns
    if len(both) < LEAST_ROWS:
        raise ValueError(f"{first!r} and {second!r} have {len(both)} rows in common: too few.")
    for name in both:
        if both[name].nunique() == 1:
            raise ValueError(f"{name!r} has no variance where {first!r} and {second!r} are known.")
    return both[first].to_numpy(), both[second].to_numpy()


# --- several scales ------------------------------------------------------------------------------


def scale_scores(
    data: pd.DataFrame, scales: Scales, min_answered: Mapping[str, int] | None = None
) -> pd.DataFrame:
    """Mean of the answered items of each scale, per respondent.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    scales : dict, name of the scale -> its items
    min_answered : dict, name of the scale -> number of items, optional
        How many items must be answered for a score, else it is NaN. A scale that is not named
        needs half of its items, rounded up.

    Returns
    -------
    DataFrame
        Respondents (index of `data`) x scales. R: ``ifelse(rowSums(!is.na(items)) >= least,
        rowMeans(items, na.rm = TRUE), NA)``.

    Raises
    ------
    ValueError
        Also when `min_answered` names an unknown scale or asks for fewer than 1 or more items than
        there are.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> scales = {"f": ["x1", "x2", "x3"], "g": ["x4", "x5", "x6"]}
    >>> reliability.scale_scores(data, scales).head(3).round(2)
          f     g
    0  2.80  4.68
    1  4.48  4.23
    2  2.72  2.56
    """
    check_scales(data, scales)
    scores = {}
    for name, least in _least_answered(scales, min_answered).items():
        items = numeric_columns(data, scales[name])
        scores[name] = items.mean(axis=1).where(items.notna().sum(axis=1) >= least)
    return pd.DataFrame(scores, index=data.index)


def check_scales(data: pd.DataFrame, scales: Scales) -> None:
    """Refuse what are no scales of 2 items or more of these data."""
    if not scales:
        raise ValueError("No scales were given: give at least one {name: [items]}.")
    for name, items in scales.items():
        if isinstance(items, str) or len(items) < 2:
            raise ValueError(f"Scale {name!r} needs a list of at least 2 items; given: {items!r}.")
        numeric_columns(data, items)


def _least_answered(scales: Scales, min_answered: Mapping[str, int] | None) -> dict[str, int]:
    """How many items of each scale must be answered."""
    given = min_answered or {}
    unknown = [name for name in given if name not in scales]
    if unknown:
        raise ValueError(f"min_answered names {unknown[0]!r}; scales are {', '.join(scales)}.")
    least = {name: given.get(name, (len(items) + 1) // 2) for name, items in scales.items()}
    for name, count in least.items():
        if not 1 <= count <= len(scales[name]):
            raise ValueError(
                f"min_answered of {name!r} is {count}; it must be 1 to {len(scales[name])}."
            )
    return least


def scale_summary(
    data: pd.DataFrame,
    scales: Scales,
    min_answered: Mapping[str, int] | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """One row per scale: its scores, and its reliability.

    Parameters
    ----------
    data, scales, min_answered
        As in `scale_scores`.
    confidence : float
        Level of the interval of alpha.

    Returns
    -------
    DataFrame
        scale, n, mean, sd (of the scores of `scale_scores`: respondents who answered at least
        min_answered items), n_items, n_used, n_dropped, n_empty, alpha, alpha_standardized, ci_low,
        ci_high (of alpha), mean_inter_item_r (all as `CronbachAlpha`, over complete rows),
        min_item_rest_correlation, max_item_rest_correlation.

    Warns
    -----
    UserWarning
        For each item that correlates negatively with the sum of the others of its scale.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> scales = {"f": ["x1", "x2", "x3"], "g": ["x4", "x5", "x6"]}
    >>> table = reliability.scale_summary(data, scales)
    >>> table[["scale", "n", "mean", "sd", "alpha", "ci_low", "ci_high"]].round(2)
      scale    n  mean    sd  alpha  ci_low  ci_high
    0     f  200  3.09  0.84   0.82    0.77     0.86
    1     g  200  2.98  0.85   0.82    0.78     0.86
    """
    scores = means(scale_scores(data, scales, min_answered), list(scales), confidence)
    rows = []
    for items in scales.values():
        alpha = cronbach_alpha(data[list(items)], confidence)
        rest = item_rest(complete_rows(data[list(items)]))
        extremes = {
            "min_item_rest_correlation": rest.min(),
            "max_item_rest_correlation": rest.max(),
        }
        rows.append({**asdict(alpha), **extremes})
    scores = scores.rename(columns={"variable": "scale"})[["scale", "n", "mean", "sd"]]
    return pd.concat([scores, pd.DataFrame(rows)], axis=1)


def item_dimension_correlations(
    data: pd.DataFrame, scales: Scales, min_answered: Mapping[str, int] | None = None
) -> pd.DataFrame:
    """Does each item belong to its own scale most? (Multitrait scaling, Hays and Hayashi 1990.)

    Parameters
    ----------
    data, scales, min_answered
        As in `scale_scores`. No item may stand in two scales.

    Returns
    -------
    DataFrame
        One row per item and scale: item, item_scale (the scale that it stands in), scale, is_own, n
        (respondents with item and score), correlation, exceeds_own. The correlation is Pearson's
        with the score of `scale_scores`; for the own scale, with the mean of its other items that
        were answered (no minimum, at least one). `exceeds_own`: the item correlates higher with
        this other scale than with the rest of its own. R: ``cor(item, score, use = "complete")``.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> scales = {"f": ["x1", "x2", "x3"], "g": ["x4", "x5", "x6"]}
    >>> table = reliability.item_dimension_correlations(data, scales)
    >>> table[["item", "item_scale", "scale", "correlation", "exceeds_own"]].head(4).round(2)
      item item_scale scale  correlation  exceeds_own
    0   x1          f     f         0.65        False
    1   x1          f     g         0.35        False
    2   x2          f     f         0.65        False
    3   x2          f     g         0.45        False
    """
    scores = scale_scores(data, scales, min_answered)
    refuse_overlap(scales)
    rows = []
    for own, items in scales.items():
        frame = numeric_columns(data, items)
        for item in frame:
            against = scores.assign(**{own: frame.drop(columns=item).mean(axis=1)})
            rows += _against_scales(frame[item], own, against)
    return pd.DataFrame(rows)


def _against_scales(item: pd.Series, own: str, against: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per scale for one item; `against` holds the rest of its own and the other scores."""
    found = {}
    for scale in against:
        both = pd.DataFrame({f"item {item.name}": item, f"scale {scale}": against[scale]}).dropna()
        found[scale] = len(both), stats.pearsonr(*_correlated(both)).statistic
    return [
        {
            "item": item.name,
            "item_scale": own,
            "scale": scale,
            "is_own": scale == own,
            "n": n,
            "correlation": correlation,
            "exceeds_own": bool(scale != own and correlation > found[own][1]),
        }
        for scale, (n, correlation) in found.items()
    ]


def refuse_overlap(scales: Scales) -> None:
    """Refuse scales that have an item in common."""
    for (first, items), (second, others) in combinations(scales.items(), 2):
        shared = [item for item in items if item in others]
        if shared:
            raise ValueError(
                f"{shared[0]!r} stands in scale {first!r} and in {second!r}: their correlation "
                "would be partly of the item with itself. Give scales without shared items."
            )


def dimension_correlations(
    data: pd.DataFrame,
    scales: Scales,
    min_answered: Mapping[str, int] | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Correlations among the scores of scales, as observed and corrected for unreliability.

    Parameters
    ----------
    data, scales, min_answered
        As in `scale_scores`; at least 2 scales. No item may stand in two of them.
    confidence : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per pair of scales: first, second, n (respondents with both scores), correlation
        (Pearson), ci_low, ci_high (Fisher's z), correlation_disattenuated = correlation /
        sqrt(alpha_first alpha_second) (Spearman 1904; alphas as `cronbach_alpha`; may exceed 1;
        NaN if an alpha is not positive). R: ``cor.test(first, second)``.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> scales = {"f": ["x1", "x2", "x3"], "g": ["x4", "x5", "x6"]}
    >>> table = reliability.dimension_correlations(data, scales)
    >>> table[["first", "second", "n", "correlation", "correlation_disattenuated"]].round(2)
      first second    n  correlation  correlation_disattenuated
    0     f      g  200         0.46                       0.56
    """
    scores = scale_scores(data, scales, min_answered)
    refuse_overlap(scales)
    if len(scales) < 2:
        raise ValueError("Correlations among scales need at least 2 scales.")
    table = _correlations(scores, confidence)
    alphas = {name: cronbach_alpha(data[list(items)]).alpha for name, items in scales.items()}
    positive = pd.Series({name: a if a > 0 else np.nan for name, a in alphas.items()})
    product = table["first"].map(positive) * table["second"].map(positive)
    table["correlation_disattenuated"] = table["correlation"] / np.sqrt(product)
    return table
