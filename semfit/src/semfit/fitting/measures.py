"""Fit measures, as lavaan defines them (``fitMeasures()``, likelihood "normal", fixed.x)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import chi2, ncx2

from semfit.fitting.inference import Test
from semfit.moments.sample import GroupFit
from semfit.syntax.model import Model

MEASURES = (
    "npar",
    "n",
    "chisq",
    "df",
    "pvalue",
    "scaling_factor",
    "baseline_chisq",
    "baseline_df",
    "baseline_scaling_factor",
    "cfi",
    "tli",
    "rmsea",
    "rmsea_ci_low",
    "rmsea_ci_high",
    "rmsea_pvalue",
    "srmr",
    "logl",
    "logl_unrestricted",
    "aic",
    "bic",
    "gfi",
)
COLUMNS = ("standard", "scaled", "robust")
CLOSE_FIT = 0.05


def degrees_of_freedom(
    model: Model, npar: int, n_groups: int = 1, mean_structure: bool = False
) -> int:
    """Return moments minus parameters; the moments of fixed covariates are no data."""
    p, q = len(model.observed), len(model.covariates)
    moments = p * (p + 1) // 2 - q * (q + 1) // 2 + (p - q if mean_structure else 0)
    return moments * n_groups - npar


def measure_table(
    npar: int,
    df: int,
    groups: Sequence[GroupFit],
    test: Test | None,
    baseline: Test | None,
    likelihood: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Return the fit measures.

    Parameters
    ----------
    npar, df : int
    groups : list of GroupFit
    test, baseline : inference.Test or None
        None when the model did not converge: then only npar, n and df are known.
    likelihood : tuple of float, optional
        Log-likelihood of the model and of the saturated one, given the covariates.

    Returns
    -------
    DataFrame
        measure, standard, scaled, robust: floats, NaN where undefined. R:
        ``lavaan::fitMeasures(fit)``: "cfi", "cfi.scaled" and "cfi.robust", and so on.

    Notes
    -----
    standard: as if the assumptions of maximum likelihood held. scaled: the same formulas with the
    scaled chi-square; those of cfi, tli and rmsea have no population value that the unscaled ones
    estimate. robust: corrected for the scaling, to be reported (Brosseau-Liard, Savalei & Li 2012;
    Savalei 2021; Zhang & Savalei 2023). The baseline model has independent variables, covariates
    keep their covariances. cfi is clipped to [0, 1], tli is not. rmsea interval 90 %, rmsea_pvalue
    of rmsea <= .05. srmr: `srmr_bentler`, residuals over sample standard deviations, diagonal and
    covariates included, means too where they are modelled (with ordered variables: of the
    polychoric matrix only, whose diagonal fits). logl is conditional on the covariates. gfi weighs by the implied covariance (Jöreskog &
    Sörbom) and is given for one group of complete, unordered variables.
    """
    n = sum(group.n for group in groups)
    table = pd.DataFrame(np.nan, index=list(MEASURES), columns=list(COLUMNS))
    table.loc[["npar", "n", "df"], "standard"] = npar, n, df
    if test is not None and baseline is not None:
        least_squares = any(group.ordered.any() for group in groups)
        size = (n - len(groups) if least_squares else n), len(groups)  # as in their chi-squares
        standard = _fit(test.chisq, test.df, baseline.chisq, baseline.df, *size)
        standard["srmr"] = _srmr(groups)
        standard |= _likelihood(likelihood, npar, n) | _gfi(groups)
        _enter(table, "standard", standard)
        if np.isfinite(test.scaling):
            _enter(table, "scaled", _scaled(test, baseline, *size))
        if np.isfinite(test.robust_scaling):
            _enter(table, "robust", _robust(test, baseline, *size))
    return table.rename_axis("measure").reset_index()


def reported_column(measures: pd.DataFrame, measure: str = "cfi") -> str:
    """Return the column of fit measures to report: the most robust one that is known.

    Parameters
    ----------
    measures : DataFrame
        The `measures` of a fit.
    measure : str
        The measure to be reported. Of the chi-square there is no robust column: "scaled" or
        "standard".

    Returns
    -------
    str
        "robust", else "scaled", else "standard"; "" if none is known (no solution). R: none.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + x2 + x3 + x4")
    >>> fit = semfit.fit(model, semfit.example_data(), estimator="MLR")
    >>> semfit.reported_column(fit.measures)
    'robust'
    >>> semfit.reported_column(fit.measures, "chisq")
    'scaled'
    """
    row = measures.set_index("measure").loc[measure]
    return next((c for c in COLUMNS[::-1] if c in row.index and pd.notna(row[c])), "")


def _enter(table: pd.DataFrame, column: str, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        table.loc[name, column] = float(value)


def _fit(
    chisq: float, df: int, baseline_chisq: float, baseline_df: int, n: int, n_groups: int
) -> dict[str, float]:
    chisq = max(chisq, 0.0) if df else 0.0
    values = {"chisq": chisq, "df": df, "pvalue": chi2.sf(chisq, df) if df else np.nan}
    values |= {"baseline_chisq": baseline_chisq, "baseline_df": baseline_df}
    values |= incremental(chisq, df, baseline_chisq, baseline_df)
    return values | rmsea(chisq, df, n, n_groups)


def _scaled(test: Test, baseline: Test, n: int, n_groups: int) -> dict[str, float]:
    """Return the measures from the scaled chi-square; rmsea as lavaan's ``rmsea.scaled``."""
    values = _fit(test.scaled, test.df, baseline.scaled, baseline.df, n, n_groups)
    if test.shift == 0:  # lavaan: the unscaled chi-square, with tr(U Gamma) degrees of freedom
        values |= rmsea(test.chisq, test.df * test.scaling, n, n_groups)
    factors = {"scaling_factor": test.scaling, "baseline_scaling_factor": baseline.scaling}
    return values | factors


def _robust(test: Test, baseline: Test, n: int, n_groups: int) -> dict[str, float]:
    """Return cfi, tli and rmsea with the population value of the unscaled ones."""
    c, c_baseline = test.robust_scaling, baseline.robust_scaling
    values = incremental(
        test.robust_chisq, test.df, baseline.robust_chisq, baseline.df, c, c_baseline
    )
    return values | rmsea(test.robust_chisq, test.df, n, n_groups, c)


def incremental(
    chisq: float,
    df: int,
    baseline_chisq: float,
    baseline_df: int,
    scaling: float = 1.0,
    baseline_scaling: float = 1.0,
) -> dict[str, float]:
    """Return cfi = 1 - (X2-c df)+ / max(X2-c df, X2b-cb dfb)+ and tli, both 1 where undefined."""
    excess = chisq - scaling * df
    baseline_excess = baseline_chisq - baseline_scaling * baseline_df
    largest = max(excess, baseline_excess, 0.0)
    cfi = 1 - max(excess, 0.0) / largest if largest > 0 else 1.0
    scale = baseline_excess * df
    tli = 1 - excess * baseline_df / scale if scale else 1.0
    return {"cfi": cfi, "tli": tli}


def rmsea(
    chisq: float, df: float, n: int, n_groups: int = 1, scaling: float = 1.0
) -> dict[str, float]:
    """Return sqrt(G (X2 - c df)+ / (N df)), its 90 % interval and the p-value of close fit.

    The interval and the p-value are of the scaled statistic X2 / c (Li & Bentler 2006).
    """
    if df == 0:
        return {"rmsea": 0.0, "rmsea_ci_low": 0.0, "rmsea_ci_high": 0.0, "rmsea_pvalue": np.nan}
    per_unit = n_groups * scaling / (n * df)
    ends = {
        name: np.sqrt(_noncentrality(chisq / scaling, df, level) * per_unit)
        for name, level in (("rmsea_ci_low", 0.95), ("rmsea_ci_high", 0.05))
    }
    close = ncx2.sf(chisq / scaling, df, CLOSE_FIT**2 / per_unit)
    point = np.sqrt(max(chisq / scaling - df, 0.0) * per_unit)
    return {"rmsea": point, **ends, "rmsea_pvalue": close}


def _noncentrality(chisq: float, df: float, level: float) -> float:
    """Return the noncentrality at which P(X2 <= chisq) equals `level`, 0 if there is none."""
    if chi2.cdf(chisq, df) <= level:
        return 0.0

    def gap(ncp: float) -> float:
        return ncx2.cdf(chisq, df, ncp) - level

    high = max(chisq, 1.0)
    while gap(high) > 0:
        high *= 2
    return brentq(gap, 1e-9, high, xtol=1e-10)


def _srmr(groups: Sequence[GroupFit]) -> float:
    """Return the root mean square of standardised residuals, groups weighted by their size."""
    values = []
    for group in groups:
        scale = np.sqrt(np.diag(group.sample_cov))
        residual = (group.sample_cov - group.cov) / np.outer(scale, scale)
        rows, columns = np.tril_indices(len(scale))
        parts = [residual[rows, columns]]
        if group.mean is not None:
            parts.append((group.sample_mean - group.mean) / scale)
        squares = np.concatenate(parts) ** 2
        given = group.fixed.sum() if group.ordered.any() else 0  # lavaan counts them as fitting
        values.append(np.sqrt(squares.sum() / (len(squares) + given)))
    return np.average(values, weights=[group.n for group in groups])


def _gfi(groups: Sequence[GroupFit]) -> dict[str, float]:
    """Return gfi = 1 - tr[(W(S-Sigma))^2] / tr[(W S)^2], W = Sigma^-1.

    The moments of fixed covariates are no data: they are left out of S in the denominator.
    """
    group = groups[0]
    if len(groups) > 1 or group.mean is not None or group.ordered.any():
        return {}
    data = group.sample_cov.copy()
    data[np.ix_(group.fixed, group.fixed)] = 0
    misfit, total = (np.linalg.solve(group.cov, m) for m in (group.sample_cov - group.cov, data))
    return {"gfi": 1 - np.trace(misfit @ misfit) / np.trace(total @ total)}


def _likelihood(likelihood: tuple[float, float] | None, npar: int, n: int) -> dict[str, float]:
    """Return log-likelihoods, aic and bic."""
    if likelihood is None:
        return {}
    logl, unrestricted = likelihood
    return {
        "logl": logl,
        "logl_unrestricted": unrestricted,
        "aic": 2 * npar - 2 * logl,
        "bic": npar * np.log(n) - 2 * logl,
    }
