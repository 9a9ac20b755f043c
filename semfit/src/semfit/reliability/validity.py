"""Convergent and discriminant validity: of a fitted model, and of correlations alone.

`composite_reliability` and `average_variance_extracted` read the estimates of a fitted structural
equation model: `fit.estimates` of `semfit.fit`, or R's ``parameterEstimates(fit, standardized =
TRUE)`` with `std_all` for ``std.all``. `htmt` needs no model. Reference:
tests/reference/measurement_scales.R.

Which latent variables get a row: those with at least 2 observed indicators, as in semTools. Left
out are single indicators and second-order factors (whose indicators are latent). An indicator of
several latent variables: the standardised formulas do not hold for these and are NaN; the raw
composite reliability counts what the other latent variable adds as part of the total, as semTools.
Of ordered items (WLSMV) all are about the latent responses, not the answers (not Green and Yang's
2009 coefficient).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from semfit.reliability.coefficients import polychoric_correlations
from semfit.reliability.columns import numeric_columns
from semfit.reliability.scales import (
    Scales,
    check_scales,
    complete_rows,
    refuse_overlap,
    warn_reversed,
)

NEEDED = ("lhs", "op", "rhs", "estimate", "std_all")
CORRELATIONS = ("pearson", "polychoric")

# --- of a fitted model ---------------------------------------------------------------------------


def composite_reliability(estimates: pd.DataFrame) -> pd.DataFrame:
    """Composite reliability of each latent variable of a fitted model.

    Parameters
    ----------
    estimates : DataFrame, one row per parameter
        lhs, op, rhs, estimate, std_all; optional: group.

    Returns
    -------
    DataFrame
        One row per latent variable (and group, if there is that column): latent, n_items,
        cross_loaded (an indicator has other latent variables too), composite_reliability_std: (sum
        l)² / ((sum l)² + sum (1 - l²)) of standardised loadings l (Fornell & Larcker 1981),
        composite_reliability_raw: psi (sum lambda)² over the implied variance of the sum of the
        indicators in their own units, residual covariances among them included (Bollen 1980; Raykov
        2001). R: ``semTools::compRelSEM(fit, obs.var = FALSE)`` gives the latter.

    Raises
    ------
    ValueError
        A column that is not there; an estimate that is not a number (a fit without a solution); no
        latent variable with 2 observed indicators; an indicator or latent variable without variance
        in the table.

    Warns
    -----
    UserWarning
        For a latent variable whose loadings differ in sign (they cancel out in the sum), and for a
        standardised loading above 1 (a Heywood case: the coefficients have no meaning).

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6"), data)
    >>> table = reliability.composite_reliability(fit.estimates).round(3)
    >>> table[["latent", "n_items", "composite_reliability_std", "composite_reliability_raw"]]
      latent  n_items  composite_reliability_std  composite_reliability_raw
    0      f        3                      0.817                      0.817
    1      g        3                      0.827                      0.829
    """
    rows = []
    for group, part in _models(estimates):
        implied = _implied(part)
        for latent, loadings, crossed in _measured(part):
            std = loadings["std_all"].to_numpy()
            common = std.sum() ** 2
            total = implied.loc[loadings["rhs"], loadings["rhs"]].to_numpy().sum()
            raw = implied.at[latent, latent] * loadings["estimate"].sum() ** 2 / total
            _warn_signs(latent, std)
            _warn_improper(latent, std, crossed)
            standardised = np.nan if crossed else common / (common + (1 - std**2).sum())
            row = {"latent": latent, "n_items": len(std), "cross_loaded": crossed}
            row["composite_reliability_std"] = standardised
            rows.append(group | row | {"composite_reliability_raw": raw})
    return pd.DataFrame(rows)


def average_variance_extracted(estimates: pd.DataFrame) -> pd.DataFrame:
    """Average variance extracted of each latent variable, and its correlations with the others.

    Parameters
    ----------
    estimates : DataFrame
        As in `composite_reliability`.

    Returns
    -------
    DataFrame
        One row per latent variable (and group): latent, n_items, cross_loaded, ave_std: the mean of
        the squared standardised loadings (Fornell & Larcker 1981), ave_raw: psi sum lambda² over
        the sum of the implied variances of the indicators, sqrt_ave (of ave_std), closest (the
        other latent variable, single indicators included and second-order factors not, with which
        it correlates most), max_correlation (that correlation, without sign; NaN if it stands
        alone), fornell_larcker (is sqrt_ave larger? Missing if either is NaN). Both averages are
        NaN if an indicator has other latent variables too. R: ``semTools::AVE(fit, obs.var =
        FALSE)`` gives ave_raw, ``lavInspect(fit, "cor.lv")`` the correlations.

    Raises
    ------
    ValueError
        As `composite_reliability`.

    Warns
    -----
    UserWarning
        For a standardised loading above 1.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6"), data)
    >>> table = reliability.average_variance_extracted(fit.estimates)
    >>> table[["latent", "ave_std", "sqrt_ave", "closest", "max_correlation"]].round(2)
      latent  ave_std  sqrt_ave closest  max_correlation
    0      f     0.60      0.77       g             0.55
    1      g     0.62      0.78       f             0.55
    """
    rows = []
    for group, part in _models(estimates):
        implied = _implied(part)
        nearest = _nearest(part, implied)
        for latent, loadings, crossed in _measured(part):
            _warn_improper(latent, loadings["std_all"].to_numpy(), crossed)
            total = np.diag(implied)[implied.index.get_indexer(loadings["rhs"])].sum()
            std = np.nan if crossed else (loadings["std_all"] ** 2).mean()
            raw = implied.at[latent, latent] * (loadings["estimate"] ** 2).sum() / total
            row = {"latent": latent, "n_items": len(loadings), "cross_loaded": crossed}
            row |= {"ave_std": std, "ave_raw": np.nan if crossed else raw, "sqrt_ave": np.sqrt(std)}
            rows.append(group | row | nearest[latent])
    table = pd.DataFrame(rows)
    known = table["sqrt_ave"].notna() & table["max_correlation"].notna()
    larger = (table["sqrt_ave"] > table["max_correlation"]).astype("boolean")
    return table.assign(fornell_larcker=larger.where(known))


def _models(estimates: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """The loadings, paths and (co)variances of each group, after a look at them."""
    absent = [name for name in NEEDED if name not in estimates]
    if absent:
        raise ValueError(
            f"The estimates have no column {absent[0]!r}: give `fit.estimates`, with "
            f"{', '.join(NEEDED)}."
        )
    rows = estimates[estimates["op"].isin(["=~", "~", "~~"])]
    bad = rows[~np.isfinite(rows["estimate"].astype(float))]
    if len(bad):
        first = bad.iloc[0]
        raise ValueError(
            f"The estimate of {first['lhs']} {first['op']} {first['rhs']} is not a number: the "
            "model has no solution; see `fit.problems`."
        )
    parts: list[tuple[dict[str, Any], pd.DataFrame]] = [({}, rows)]
    if "group" in rows:
        parts = [({"group": label}, part) for label, part in rows.groupby("group", sort=False)]
    if not parts or not all(list(_measured(part)) for _, part in parts):
        raise ValueError("No latent variable has 2 or more observed indicators (=~).")
    return parts


def _measured(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, bool]]:
    """Each latent variable with 2 observed indicators or more: name, loadings, cross-loaded?"""
    loadings = rows[rows["op"] == "=~"]
    observed = loadings[~loadings["rhs"].isin(loadings["lhs"])]
    for latent, own in observed.groupby("lhs", sort=False):
        if len(own) > 1:
            others = observed.loc[observed["lhs"] != latent, "rhs"]
            yield latent, own, bool(own["rhs"].isin(others).any())


def _implied(rows: pd.DataFrame) -> pd.DataFrame:
    """Implied covariances among all variables, latent and observed: (I - A)^-1 S (I - A)^-T.

    A holds the arrows (loadings and paths), S the variances and covariances of what has none.
    """
    names = list(dict.fromkeys([*rows["lhs"], *rows["rhs"]]))
    place = {name: i for i, name in enumerate(names)}
    arrows, symmetric = np.zeros((2, len(names), len(names)))
    for row in rows.itertuples():
        left, right = place[row.lhs], place[row.rhs]
        if row.op == "~~":
            symmetric[left, right] = symmetric[right, left] = row.estimate
        else:
            to, start = (right, left) if row.op == "=~" else (left, right)
            arrows[to, start] = row.estimate
    reach = np.linalg.inv(np.eye(len(names)) - arrows)
    implied = pd.DataFrame(reach @ symmetric @ reach.T, names, names)
    empty = [name for name in names if implied.at[name, name] <= 0]
    if empty:
        raise ValueError(
            f"The table gives {empty[0]!r} no positive variance: give all rows of `fit.estimates`, "
            f"{empty[0]} ~~ {empty[0]} among them, of a proper solution."
        )
    return implied


def _nearest(rows: pd.DataFrame, implied: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """For each latent variable with observed indicators, the other one that is closest to it."""
    loadings = rows[rows["op"] == "=~"]
    observed = loadings[~loadings["rhs"].isin(loadings["lhs"])]
    latents = list(dict.fromkeys(observed["lhs"]))
    sd = np.sqrt(np.diag(implied.loc[latents, latents]))
    size = (implied.loc[latents, latents] / np.outer(sd, sd)).abs()
    nearest = {}
    for latent in latents:
        others = size[latent].drop(latent)
        alone = others.empty
        closest = "" if alone else others.idxmax()
        value = np.nan if alone else float(others.max())
        nearest[latent] = {"closest": closest, "max_correlation": value}
    return nearest


def _warn_signs(latent: str, loadings: np.ndarray) -> None:
    """Warn of loadings that cancel out."""
    if (loadings < 0).any() and (loadings > 0).any():
        warnings.warn(
            f"The loadings of {latent!r} differ in sign and cancel out in the sum of its "
            "indicators: recode those that are worded the other way round, and fit again.",
            stacklevel=3,
        )


def _warn_improper(latent: str, loadings: np.ndarray, crossed: bool) -> None:
    """Warn of a Heywood case."""
    # an indicator of several correlated latent variables may well have a loading above 1
    if (np.abs(loadings) > 1).any() and not crossed:
        warnings.warn(
            f"A standardised loading of {latent!r} is above 1 (Heywood case): the solution is not "
            "proper, and its reliability and extracted variance have no meaning.",
            stacklevel=3,
        )


# --- of correlations alone -----------------------------------------------------------------------


def htmt(
    data: pd.DataFrame, scales: Scales, correlation: str = "pearson", absolute: bool = True
) -> pd.DataFrame:
    """Heterotrait-monotrait ratios: do two scales correlate less than their own items do?

    Parameters
    ----------
    data : DataFrame, respondents x variables
    scales : dict, name of the scale -> its items
        At least 2 scales, without shared items.
    correlation : {"pearson", "polychoric"}
        Polychoric: ordered items of 2 to 10 categories.
    absolute : bool
        Use correlations without their sign, as semTools does. With False they keep it: `htmt` is
        then NaN where the mean correlation within a scale is not positive, `htmt2` where any of the
        correlations is not positive.

    Returns
    -------
    DataFrame
        One row per pair of scales: first, second, n (respondents who answered every item of all the
        scales given), htmt: the mean correlation between items of the two over the geometric mean
        of the mean correlations within each (Henseler, Ringle & Sarstedt 2015), htmt2: the same
        with geometric means throughout (Roemer, Schuberth & Henseler 2021). Near 1: the scales
        cannot be told apart; .85 and .90 are in use as limits. R: ``semTools::htmt(model, data,
        htmt2 = FALSE)`` and TRUE; polychoric with ``ordered = items``.

    Raises
    ------
    ValueError
        Also for one scale, an item in two scales, and an unknown kind of correlation.

    Warns
    -----
    UserWarning
        For each item that correlates negatively with the others of its scale.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> scales = {"f": ["x1", "x2", "x3"], "g": ["x4", "x5", "x6"]}
    >>> reliability.htmt(data, scales).round(2)
      first second    n  htmt  htmt2
    0     f      g  200  0.56   0.56
    """
    check_scales(data, scales)
    refuse_overlap(scales)
    if len(scales) < 2 or correlation not in CORRELATIONS:
        raise ValueError(
            f"{len(scales)} scale(s) and correlation={correlation!r}: give at least 2 scales, and "
            f"one of {', '.join(CORRELATIONS)}."
        )
    items = [item for names in scales.values() for item in names]
    complete = complete_rows(numeric_columns(data, items))
    for names in scales.values():
        warn_reversed(complete[list(names)])
    polychoric = correlation == "polychoric"
    matrix = polychoric_correlations(complete) if polychoric else complete.corr()
    matrix = matrix.abs() if absolute else matrix
    rows = []
    for first, second in combinations(scales, 2):
        ratios = _ratios(matrix, list(scales[first]), list(scales[second]))
        rows.append({"first": first, "second": second, "n": len(complete)} | ratios)
    return pd.DataFrame(rows)


def _ratios(matrix: pd.DataFrame, first: list[str], second: list[str]) -> dict[str, float]:
    """Both ratios of two scales, by the correlations of all items."""
    between = matrix.loc[first, second].to_numpy().ravel()
    within = [_off_diagonal(matrix.loc[names, names]) for names in (first, second)]
    ratios = {}
    for name, mean in (("htmt", np.mean), ("htmt2", _geometric_mean)):
        own = np.array([mean(correlations) for correlations in within])
        ratios[name] = float(mean(between) / np.sqrt(own.prod())) if (own > 0).all() else np.nan
    return ratios


def _off_diagonal(square: pd.DataFrame) -> np.ndarray:
    return square.to_numpy()[np.triu_indices(len(square), 1)]


def _geometric_mean(values: np.ndarray) -> float:
    return float(np.exp(np.log(values).mean())) if (values > 0).all() else np.nan
