"""Ordinal alpha, McDonald's omega, and all coefficients of several scales in one table.

Missing answers and refusals: see `semfit.reliability`. Reference:
tests/reference/measurement_scales.R.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from semfit.moments.polychoric import polychoric
from semfit.reliability.columns import CONFIDENCE
from semfit.reliability.factor import (
    correlations_of,
    heywood_items,
    maximum_likelihood,
    warn_heywood,
)
from semfit.reliability.scales import (
    Scales,
    alpha_of,
    check_scales,
    complete_rows,
    counts,
    cronbach_alpha,
    warn_reversed,
)

MOST_CATEGORIES = 10  # of an answer scale; more than that, and numbers are no ordered categories
LEAST_FOR_FACTOR = 3  # items: with two, the loadings of one factor are not identified


# --- ordinal alpha -------------------------------------------------------------------------------


def ordinal_alpha(items: pd.DataFrame) -> float:
    """Alpha of polychoric correlations (Zumbo, Gadermann & Zeisser 2007), over complete rows.

    Parameters
    ----------
    items : DataFrame, respondents x items
        Ordered answers of 2 to 10 categories each.

    Returns
    -------
    float
        k / (k - 1) (1 - k / sum of the polychoric correlations). It is the reliability of
        hypothetical continuous responses behind the answers, not of the observed sum score, which
        it tends to exceed (Chalmers 2018): report it beside alpha, not instead. R:
        ``psych::alpha(lavaan::lavCor(na.omit(items), ordered = names(items)))$total$raw_alpha``.

    Raises
    ------
    ValueError
        Also for an item of more than 10 categories, and two items that determine one another.

    Warns
    -----
    UserWarning
        For each item that correlates negatively with the sum of the others.

    Examples
    --------
    Answers on four points, with alpha and ordinal alpha:

    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> answers = data[["x1", "x2", "x3"]].round().clip(2, 5)
    >>> alpha = reliability.cronbach_alpha(answers).alpha
    >>> round(alpha, 2), round(reliability.ordinal_alpha(answers), 2)
    (0.78, 0.83)
    """
    complete = complete_rows(items)
    warn_reversed(complete)
    return alpha_of(polychoric_correlations(complete))


def polychoric_correlations(complete: pd.DataFrame) -> pd.DataFrame:
    """Polychoric correlations of complete rows (p, p); refuses what is not an answer scale."""
    many = _many_valued(complete)
    if many:
        raise ValueError(
            f"Item {many[0]!r} has {complete[many[0]].nunique()} different values, more than "
            f"{MOST_CATEGORIES}: polychoric correlations are for ordered categories."
        )
    return polychoric(complete)


def _many_valued(complete: pd.DataFrame) -> list[str]:
    """The items that hold too many different values for an answer scale."""
    return [item for item in complete if complete[item].nunique() > MOST_CATEGORIES]


# --- omega ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OmegaTotal:
    """McDonald's omega of one scale.

    Attributes
    ----------
    n_items, n_used, n_dropped, n_empty : int
        As `CronbachAlpha`.
    n_factors : int
    omega_implied : float
        (sum of loadings)² / ((sum of loadings)² + sum of uniquenesses): over the variance of the
        sum that the factor model implies. With more factors: the sum of all elements of LL' for the
        square.
    ci_low, ci_high : float
        Interval of `omega_implied`; NaN with more than one factor, in a Heywood case, and where the
        items do not go together at all.
    omega_observed : float
        The same numerator over the observed variance of the sum.
    heywood : tuple of str
        Items whose uniqueness is at its lower bound of .005.
    """

    n_items: int
    n_used: int
    n_dropped: int
    n_empty: int
    n_factors: int
    omega_implied: float
    ci_low: float
    ci_high: float
    omega_observed: float
    heywood: tuple[str, ...]


def omega_total(
    items: pd.DataFrame, n_factors: int = 1, confidence: float = CONFIDENCE
) -> OmegaTotal:
    """McDonald's omega (1999) of the sum of the items, over complete rows.

    Parameters
    ----------
    items : DataFrame, respondents x items
        The items of one scale, at least 3, in the units in which they are added up.
    n_factors : int
        Of the factor model, fitted by maximum likelihood. All factors count as true variance.
    confidence : float
        Level of the interval.

    Returns
    -------
    OmegaTotal
        Of covariances: loadings and uniquenesses are in the units of the items. The interval is
        that of the logit of omega by the delta method, with the expected information of the
        one-factor model, for normal items (Kelley & Pornprasertmanit 2016, method "mll"). R:
        ``fit <- lavaan::cfa("f =~ a + b + c", na.omit(items), std.lv = TRUE);
        semTools::compRelSEM(fit, obs.var = FALSE)``, and with ``obs.var = TRUE``.

    Raises
    ------
    ValueError
        Also for fewer than 3 items, a number of factors that so many items cannot have, no more
        respondents than items, and items that determine one another.

    Warns
    -----
    UserWarning
        For each item that correlates negatively with the sum of the others, and for a Heywood case.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> items = data[["x1", "x2", "x3"]]
    >>> omega = reliability.omega_total(items)
    >>> round(omega.omega_implied, 3), round(omega.ci_low, 3), round(omega.ci_high, 3)
    (0.817, 0.769, 0.857)
    """
    complete = complete_rows(items)
    warn_reversed(complete)
    omega = _omega(items, complete, n_factors, confidence)
    warn_heywood(omega.heywood)
    return omega


def _omega(
    items: pd.DataFrame, complete: pd.DataFrame, n_factors: int, confidence: float
) -> OmegaTotal:
    """`omega_total` without its warnings."""
    p = complete.shape[1]
    most = max((k for k in range(1, p) if (p - k) ** 2 >= p + k), default=0)
    if p < LEAST_FOR_FACTOR or not 1 <= n_factors <= most:
        raise ValueError(
            f"Omega from {n_factors} factor(s) of {', '.join(complete)}: one factor needs at least "
            f"{LEAST_FOR_FACTOR} items, and {p} items allow at most {most} factor(s)."
        )
    sd = complete.std(ddof=0).to_numpy()
    correlations = correlations_of(complete)
    loadings, uniqueness, _ = maximum_likelihood(correlations, n_factors)
    heywood = heywood_items(complete.columns, uniqueness)
    loadings, uniqueness = loadings * sd[:, None], uniqueness * sd**2
    common, unique = (loadings.sum(axis=0) ** 2).sum(), uniqueness.sum()
    omega = float(common / (common + unique))
    low, high = np.nan, np.nan
    if n_factors == 1 and not heywood:
        se = _standard_error(loadings[:, 0], uniqueness, len(complete))
        low, high = _logit_interval(omega, se, confidence)
    return OmegaTotal(
        **counts(items, complete),
        n_factors=n_factors,
        omega_implied=omega,
        ci_low=low,
        ci_high=high,
        omega_observed=float(common / (sd @ correlations @ sd)),
        heywood=tuple(heywood),
    )


def _standard_error(loadings: np.ndarray, uniqueness: np.ndarray, n: int) -> float:
    """Delta-method standard error of omega (implied) of a one-factor model.

    Expected information n / 2 tr(S^-1 S_a S^-1 S_b), where S = ll' + U and S_a is its derivative.
    """
    p = len(loadings)
    item = np.arange(p)
    slopes = np.zeros((2 * p, p, p))
    slopes[item, item, :] += loadings
    slopes[item, :, item] += loadings
    slopes[p + item, item, item] = 1
    weighted = np.linalg.inv(np.outer(loadings, loadings) + np.diag(uniqueness)) @ slopes
    information = n / 2 * np.einsum("aij,bji->ab", weighted, weighted)
    total, unique = loadings.sum(), uniqueness.sum()
    gradient = np.repeat([2 * total * unique, -(total**2)], p) / (total**2 + unique) ** 2
    unit = np.sqrt(np.diag(information))
    if not unit.all() or np.linalg.matrix_rank(information / np.outer(unit, unit)) < 2 * p:
        return np.nan  # no loadings to speak of: their uniquenesses are not known apart from them
    return float(np.sqrt(gradient @ np.linalg.solve(information, gradient)))


def _logit_interval(omega: float, se: float, confidence: float) -> tuple[float, float]:
    """Interval that stays between 0 and 1: Wald's on the logit, transformed back."""
    if not 0 < omega < 1:
        return np.nan, np.nan
    step = stats.norm.ppf((1 + confidence) / 2) * se / (omega * (1 - omega))
    low, high = special.expit(special.logit(omega) + np.array([-step, step]))
    return float(low), float(high)


# --- several scales ------------------------------------------------------------------------------


def scale_reliability(
    data: pd.DataFrame, scales: Scales, ordinal: bool = True, confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Alpha, ordinal alpha and omega of each scale, over its complete rows.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    scales : dict, name of the scale -> its items
    ordinal : bool
        With ordinal alpha.
    confidence : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per scale: scale, n_items, n_used, n_dropped, n_empty, alpha, ci_low, ci_high (of
        alpha; all as `CronbachAlpha`), ordinal_alpha (NaN for a scale with an item of more than 10
        different values, such as a mean score, and without `ordinal`), omega_implied, omega_ci_low,
        omega_ci_high, omega_observed (as `OmegaTotal` of one factor; NaN for a scale of 2 items),
        heywood (names with commas; "" if there is none).

    Warns
    -----
    UserWarning
        For each item that correlates negatively with the others of its scale, and for each Heywood
        case.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> scales = {"f": ["x1", "x2", "x3"], "g": ["x4", "x5", "x6"]}
    >>> table = reliability.scale_reliability(data, scales)
    >>> table[["scale", "n_used", "alpha", "omega_implied", "omega_observed"]].round(3)
      scale  n_used  alpha  omega_implied  omega_observed
    0     f     200  0.816          0.817           0.817
    1     g     200  0.825          0.828           0.828
    """
    check_scales(data, scales)
    kept = "n_items n_used n_dropped n_empty alpha ci_low ci_high".split()
    rows = []
    for name, names in scales.items():
        items = data[list(names)]
        alpha = asdict(cronbach_alpha(items, confidence))
        row = {"scale": name} | {key: alpha[key] for key in kept}
        complete = complete_rows(items)
        known = ordinal and not _many_valued(complete)
        row["ordinal_alpha"] = alpha_of(polychoric_correlations(complete)) if known else np.nan
        rows.append(row | _omega_columns(items, complete, confidence))
    return pd.DataFrame(rows)


def _omega_columns(
    items: pd.DataFrame, complete: pd.DataFrame, confidence: float
) -> dict[str, Any]:
    if complete.shape[1] < LEAST_FOR_FACTOR:
        names = "omega_implied omega_ci_low omega_ci_high omega_observed".split()
        return dict.fromkeys(names, np.nan) | {"heywood": ""}
    omega = _omega(items, complete, 1, confidence)
    warn_heywood(omega.heywood)
    return {
        "omega_implied": omega.omega_implied,
        "omega_ci_low": omega.ci_low,
        "omega_ci_high": omega.ci_high,
        "omega_observed": omega.omega_observed,
        "heywood": ", ".join(omega.heywood),
    }
