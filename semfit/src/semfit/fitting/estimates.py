"""Tidy results of a solution: estimates, standardised estimates, defined effects, R2, residuals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import norm

from semfit.moments.implied import Implied, Structure
from semfit.moments.normal import STEP
from semfit.moments.sample import GroupFit
from semfit.syntax.formula import evaluate
from semfit.syntax.model import Model
from semfit.syntax.parameters import Layout

Places: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]  # op, places of lhs and of rhs
Function: TypeAlias = Callable[[np.ndarray], np.ndarray]  # of the parameters

NO_VARIATION = 1e-8  # a smaller standard error is that of a constant (a latent variance of 1)
DEFINED = "name formula estimate se z p ci_low ci_high std_lv std_all std_se".split()
STANDARDISED = ("std_all", "std_lv", "std_nox")
ROW = ["lhs", "op", "rhs", "group", "label"]


@dataclass(frozen=True, eq=False)
class Point:
    """A parameter vector of a model, and what its tables are made from.

    Attributes
    ----------
    layout : Layout
    structures : list of implied.Structure
    theta : ndarray (k,)
    vcov : ndarray (k, k)
        NaN where standard errors are not known.
    """

    layout: Layout
    structures: list[Structure]
    theta: np.ndarray
    vcov: np.ndarray

    def values(self, theta: np.ndarray) -> np.ndarray:
        """Return the value of each row of the table, groups one after the other."""
        return np.concatenate([s.implied(theta).values for s in self.structures])

    @cached_property
    def places(self) -> list[Places]:
        """What `standardised` needs to know of each row, group by group."""
        return [_places(self.layout, g) for g in range(len(self.structures))]

    def standardised(
        self,
        theta: np.ndarray,
        structures: Sequence[Structure] | None = None,
        kind: str = "std_all",
    ) -> np.ndarray:
        """Return the standardised value of each row, "std_all" the completely standardised one.

        Loadings and paths: times sd of the predictor, over sd of the dependent variable, both
        implied by the model. Variances: over the implied variance. Covariances: over the square
        roots of the two (residual) variances. Intercepts and thresholds: over the sd. "std_lv"
        leaves observed variables as they are, "std_nox" covariates. As
        ``standardizedSolution(fit, type = "std.all", cov.std = TRUE)``. Other `structures` are those
        of another sample.
        """
        model = self.layout.model
        kept = {"std_all": (), "std_lv": model.observed, "std_nox": model.covariates}[kind]
        as_is = np.isin([*model.latents, *model.observed], kept)
        parts = zip(self.places, structures or self.structures, strict=True)
        return np.concatenate(
            [_standardised(place, s.n_latent, s.implied(theta), as_is) for place, s in parts]
        )

    def defined(self, rows: np.ndarray) -> np.ndarray:
        """Return the value of each definition, given the value of each row of the table.

        Rows may be those of many draws, (r, draws); then so is what is returned.
        """
        labels = self.layout.table["label"]
        known = {label: v for label, v in zip(labels, rows, strict=True) if label}
        result = np.empty((len(self.layout.definitions), *rows.shape[1:]), dtype=rows.dtype)
        for place, (name, formula) in enumerate(self.layout.definitions):
            result[place] = known[name] = evaluate(formula, known)
        return result


def _places(layout: Layout, g: int) -> Places:
    """Return op, and the place of lhs and rhs among the variables (latent ones first), of each row."""
    model, table = layout.model, layout.rows(g)
    place = {v: i for i, v in enumerate([*model.latents, *model.observed])}
    rhs = table["rhs"].map(place).fillna(0).to_numpy(dtype=int)
    return table["op"].to_numpy(dtype=str), table["lhs"].map(place).to_numpy(), rhs


def _standardised(places: Places, n_latent: int, implied: Implied, as_is: np.ndarray) -> np.ndarray:
    """Return the standardised rows of a group; variables `as_is` (latent ones first) are not."""
    (op, lhs, rhs), raw = places, implied.values
    variance, covariance = (op == "~~") & (lhs == rhs), (op == "~~") & (lhs != rhs)
    latent = np.diag(implied.latent_cov)[:n_latent]
    sd = positive_root(np.concatenate([latent, np.diag(implied.cov)]))
    residual = np.empty_like(sd)
    residual[lhs[variance]] = np.sqrt(raw[variance] * np.sign(raw[variance].real))
    sd[as_is] = residual[as_is] = 1
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(op == "=~", sd[lhs] / sd[rhs], sd[rhs] / sd[lhs])
        scale[variance] = 1 / sd[lhs[variance]] ** 2
        scale[covariance] = 1 / (residual[lhs] * residual[rhs])[covariance]
        alone = (op == "~1") | (op == "|")
        scale[alone] = 1 / sd[lhs[alone]]
        scale[op == "~*~"] = 1
        response = (op == "~*~") & ~as_is[lhs]
        scale[response] = 1 / raw[response]
        return np.where(np.isfinite(scale), raw * scale, np.nan)


def positive_root(variances: np.ndarray) -> np.ndarray:
    """Return square roots, NaN for a negative variance (complex numbers would hide it)."""
    return np.sqrt(np.where(variances.real > 0, variances, np.nan))


def derivative(function: Function, theta: np.ndarray) -> np.ndarray:
    """Return the derivatives (k, r) of a function of the parameters, by complex step.

    dg/dt = Im g(t + ih) / h.
    """
    rows = [function(theta + 1j * STEP * unit).imag / STEP for unit in np.eye(len(theta))]
    return np.array(rows).reshape(len(theta), -1)


def delta_method(function: Function, point: Point) -> tuple[np.ndarray, np.ndarray]:
    """Return (estimate, se) of functions of the parameters by the delta method."""
    estimate = function(point.theta)
    slopes = derivative(function, point.theta).reshape(len(point.theta), len(estimate))
    variance = np.einsum("ki,kl,li->i", slopes, point.vcov, slopes, optimize=True)
    with np.errstate(invalid="ignore"):
        se = np.sqrt(variance)
    return estimate, np.where(se > NO_VARIATION, se, np.nan)


def wald(estimate: np.ndarray, se: np.ndarray, confidence: float = 0.95) -> pd.DataFrame:
    """Return estimate, se, z, two-sided p and the interval."""
    z, reach = estimate / se, norm.ppf((1 + confidence) / 2) * se
    return pd.DataFrame(
        {
            "estimate": estimate,
            "se": se,
            "z": z,
            "p": 2 * norm.sf(np.abs(z)),
            "ci_low": estimate - reach,
            "ci_high": estimate + reach,
        }
    )


def estimate_table(point: Point) -> pd.DataFrame:
    """Return every parameter with its raw and fully standardised estimate.

    Parameters
    ----------
    point : Point

    Returns
    -------
    DataFrame
        lhs, op, rhs, group ("" without groups), label, free, estimate, se, z, p, ci_low, ci_high
        (95 %), std_lv (latent variables standardised), std_all (all), std_nox (all but covariates),
        and of std_all std_se, std_ci_low, std_ci_high. op "~1" is an intercept, "|" a threshold,
        "~*~" the scale of an ordered response. What is fixed, constant or derived has no se, z, p
        or interval (NaN). R: ``parameterEstimates(fit, standardized = TRUE)`` and
        ``standardizedSolution(fit)`` (delta-method standard errors). Other levels of confidence,
        and standard errors of std_lv: `Fit.intervals`, `Fit.standardized`.
    """
    table = point.layout.table
    raw_estimate, raw_se = delta_method(point.values, point)
    raw = wald(raw_estimate, np.where(table["derived"], np.nan, raw_se))
    std = wald(*delta_method(point.standardised, point))
    std = std[["estimate", "se", "ci_low", "ci_high"]]
    std = std.set_axis(["std_all", "std_se", "std_ci_low", "std_ci_high"], axis=1)
    std.insert(0, "std_lv", point.standardised(point.theta, kind="std_lv"))
    std["std_nox"] = point.standardised(point.theta, kind="std_nox")
    free = (table["parameter"] != "").rename("free")
    return pd.concat([table[ROW], free, raw, std], axis=1)


def interval_table(point: Point, confidence: float = 0.95, kind: str = "") -> pd.DataFrame:
    """Return every parameter and definition with its interval, as in `fitting.Fit.intervals`.

    Parameters
    ----------
    point : Point
    confidence : float
    kind : {"", "std_all", "std_lv", "std_nox"}
        "": not standardised.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must lie between 0 and 1, as 0.95.")

    def rows(theta: np.ndarray) -> np.ndarray:
        return point.standardised(theta, kind=kind) if kind else point.values(theta)

    def defined(theta: np.ndarray) -> np.ndarray:
        return point.defined(rows(theta))

    table = point.layout.table
    estimate, se = delta_method(rows, point)
    se = se if kind else np.where(table["derived"], np.nan, se)
    parts = [pd.concat([table[ROW], wald(estimate, se, confidence)], axis=1)]
    if point.layout.definitions:
        names = pd.DataFrame(list(point.layout.definitions), columns=["lhs", "rhs"])
        names = names.assign(op=":=", group="", label=names["lhs"])[ROW]
        effects = wald(*delta_method(defined, point), confidence)
        parts.append(pd.concat([names, effects], axis=1))
    return pd.concat(parts, ignore_index=True)


def defined_table(point: Point) -> pd.DataFrame:
    """Return the ``:=`` effects with delta-method standard errors.

    Returns
    -------
    DataFrame
        name, formula, estimate, se, z, p, ci_low, ci_high, std_lv, std_all (the formula at the
        standardised estimates), std_se. R: the ``:=`` rows of ``parameterEstimates(fit)`` and
        ``standardizedSolution(fit)``.
    """
    definitions = point.layout.definitions
    if not definitions:
        return pd.DataFrame(columns=DEFINED)
    raw = wald(*delta_method(lambda theta: point.defined(point.values(theta)), point))
    std = wald(*delta_method(lambda theta: point.defined(point.standardised(theta)), point))
    names = pd.DataFrame(list(definitions), columns=["name", "formula"])
    std = std[["estimate", "se"]].set_axis(["std_all", "std_se"], axis=1)
    std.insert(0, "std_lv", point.defined(point.standardised(point.theta, kind="std_lv")))
    return pd.concat([names, raw, std], axis=1)


def without_solution(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with NaN for every number that rests on a solution; fixed values stay."""
    kept = {"lhs", "op", "rhs", "group", "label", "free", "name", "formula", "observed"}
    result = table.copy()
    result[[column for column in table if column not in kept]] = np.nan
    if "free" in table:
        result.loc[~table["free"], "estimate"] = table.loc[~table["free"], "estimate"]
    return result


def parameter_covariance(point: Point) -> pd.DataFrame:
    """Return the covariance matrix of the free parameters, labelled. R: ``vcov(fit)``."""
    names = list(point.layout.parameters)
    return pd.DataFrame(point.vcov, index=names, columns=names)


def r_squared_table(model: Model, estimates: pd.DataFrame) -> pd.DataFrame:
    """Return explained variance of every indicator and dependent variable.

    Returns
    -------
    DataFrame
        group, variable, r_squared = 1 - residual / total variance; NaN when the residual variance
        is negative. R: ``lavInspect(fit, "r2")``.
    """
    table = model.parameters
    explained = {*table["rhs"][table["op"] == "=~"], *table["lhs"][table["op"] == "~"]}
    rows = estimates[
        (estimates["op"] == "~~")
        & (estimates["lhs"] == estimates["rhs"])
        & estimates["lhs"].isin(explained)
    ]
    r_squared = (1 - rows["std_all"]).where(rows["std_all"] >= 0)
    columns = {"group": rows["group"], "variable": rows["lhs"], "r_squared": r_squared}
    return pd.DataFrame(columns).reset_index(drop=True)


def residual_table(groups: Sequence[GroupFit], labels: Sequence[str]) -> pd.DataFrame:
    """Return residual correlations of all pairs of observed variables, the largest first.

    Parameters
    ----------
    groups : list of sample.GroupFit
    labels : sequence of str

    Returns
    -------
    DataFrame
        group, lhs, rhs, observed, implied, residual: covariances over the product of the sample
        standard deviations, so that `residual` is ``residuals(fit, type = "cor.bentler")$cov``.
        "observed" is of the saturated model (EM, with missing values). The diagonal, which is misfit
        of a variance and not of a correlation, is left out.
    """
    parts = []
    for group, label in zip(groups, labels, strict=True):
        names = np.array(group.names, dtype=object)
        scale = np.sqrt(np.outer(np.diag(group.sample_cov), np.diag(group.sample_cov)))
        later, earlier = np.tril_indices(len(scale), -1)
        columns = {"group": label, "lhs": names[earlier], "rhs": names[later]}
        columns["observed"] = (group.sample_cov / scale)[later, earlier]
        columns["implied"] = (group.cov / scale)[later, earlier]
        parts.append(pd.DataFrame(columns))
    table = pd.concat(parts, ignore_index=True)
    table["residual"] = table["observed"] - table["implied"]
    order = table["residual"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)
