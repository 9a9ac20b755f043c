"""Fit measures, as lavaan defines them (``fitMeasures()``, likelihood "normal", fixed.x)."""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import chi2, ncx2

MEASURES = (
    "npar",
    "n",
    "chisq",
    "df",
    "pvalue",
    "baseline_chisq",
    "baseline_df",
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
CLOSE_FIT = 0.05


def degrees_of_freedom(model, npar):
    """Return moments minus parameters; the moments of fixed covariates are no data."""
    p, q = len(model.observed), len(model.covariates)
    return p * (p + 1) // 2 - q * (q + 1) // 2 - npar


def fit_measures(model, sample, solution):
    """Return the fit measures of a maximum-likelihood solution.

    Parameters
    ----------
    model : spec.Model
    sample : ml.Sample
    solution : ml.Solution

    Returns
    -------
    DataFrame
        measure, standard (floats; NaN where undefined, and all but npar, n, df when the solution
        did not converge). R: ``lavaan::fitMeasures(fit)``.

    Notes
    -----
    chisq = N F. The baseline model has independent variables, covariates keep their covariances.
    cfi is clipped to [0, 1], tli is not. rmsea interval 90 %, rmsea_pvalue of rmsea <= .05.
    srmr: `srmr_bentler`, residuals over sample standard deviations, diagonal and covariates
    included. logl is conditional on the covariates. gfi weighs by the implied covariance
    (Jöreskog & Sörbom).
    """
    npar, n = len(solution.theta), sample.n
    df = degrees_of_freedom(model, npar)
    values = {"npar": npar, "n": n, "df": df}
    if solution.converged:
        chisq = max(n * solution.discrepancy, 0.0) if df else 0.0
        baseline = _baseline(model, sample)
        values |= {"chisq": chisq, "pvalue": chi2.sf(chisq, df) if df else np.nan, **baseline}
        values |= _incremental(chisq, df, baseline["baseline_chisq"], baseline["baseline_df"])
        values |= _rmsea(chisq, df, n)
        values |= _residual(model, sample.cov, solution.sigma)
        values |= _likelihood(model, sample, chisq, npar)
    standard = [float(values.get(name, np.nan)) for name in MEASURES]
    return pd.DataFrame({"measure": MEASURES, "standard": standard})


def _logdet(matrix):
    return np.linalg.slogdet(matrix)[1] if len(matrix) else 0.0


def _blocks(model, cov):
    """Return positions of the modelled variables, and the covariance of the covariates."""
    fixed = [model.observed.index(name) for name in model.covariates]
    modelled = [i for i in range(len(model.observed)) if i not in fixed]
    return modelled, cov[np.ix_(fixed, fixed)]


def _baseline(model, sample):
    modelled, fixed = _blocks(model, sample.cov)
    logdet = np.log(np.diag(sample.cov)[modelled]).sum() + _logdet(fixed)
    return {
        "baseline_chisq": sample.n * (logdet - _logdet(sample.cov)),
        "baseline_df": degrees_of_freedom(model, len(modelled)),
    }


def _incremental(chisq, df, baseline_chisq, baseline_df):
    """Return cfi = 1 - (X2-df)+ / max(X2-df, X2b-dfb)+ and tli, both 1 where undefined."""
    excess, baseline = max(chisq - df, 0.0), max(chisq - df, baseline_chisq - baseline_df, 0.0)
    cfi = 1 - excess / baseline if baseline > 0 else 1.0
    scale = (baseline_chisq - baseline_df) * df
    tli = 1 - (chisq - df) * baseline_df / scale if scale else 1.0
    return {"cfi": cfi, "tli": tli}


def _rmsea(chisq, df, n):
    """Return sqrt((X2-df)+ / (N df)), its 90 % interval and the p-value of close fit."""
    if df == 0:
        return {"rmsea": 0.0, "rmsea_ci_low": 0.0, "rmsea_ci_high": 0.0, "rmsea_pvalue": np.nan}
    ends = {
        name: np.sqrt(_noncentrality(chisq, df, level) / (n * df))
        for name, level in (("rmsea_ci_low", 0.95), ("rmsea_ci_high", 0.05))
    }
    close = ncx2.sf(chisq, df, n * df * CLOSE_FIT**2)
    return {"rmsea": np.sqrt(max(chisq - df, 0.0) / (n * df)), **ends, "rmsea_pvalue": close}


def _noncentrality(chisq, df, level):
    """Return the noncentrality at which P(X2 <= chisq) equals `level`, 0 if there is none."""
    if chi2.cdf(chisq, df) <= level:
        return 0.0

    def gap(ncp):
        return ncx2.cdf(chisq, df, ncp) - level

    high = max(chisq, 1.0)
    while gap(high) > 0:
        high *= 2
    return brentq(gap, 1e-9, high, xtol=1e-10)


def _residual(model, observed, implied):
    """Return srmr (Bentler) and gfi = 1 - tr[(W(S-Sigma))^2] / tr[(W S)^2], W = Sigma^-1.

    The moments of fixed covariates are no data: they are left out of S in the denominator.
    """
    scale = np.sqrt(np.diag(observed))
    residual = ((observed - implied) / np.outer(scale, scale))[np.tril_indices(len(scale))]
    fixed = [model.observed.index(name) for name in model.covariates]
    data = observed.copy()
    data[np.ix_(fixed, fixed)] = 0
    misfit, total = (np.linalg.solve(implied, m) for m in (observed - implied, data))
    gfi = 1 - np.trace(misfit @ misfit) / np.trace(total @ total)
    return {"srmr": np.sqrt(np.mean(residual**2)), "gfi": gfi}


def _likelihood(model, sample, chisq, npar):
    """Return log-likelihoods of the modelled variables given the covariates, aic and bic."""
    modelled, fixed = _blocks(model, sample.cov)
    n, p = sample.n, len(modelled)
    unrestricted = -n / 2 * (p * np.log(2 * np.pi) + _logdet(sample.cov) - _logdet(fixed) + p)
    logl = unrestricted - chisq / 2
    return {
        "logl": logl,
        "logl_unrestricted": unrestricted,
        "aic": 2 * npar - 2 * logl,
        "bic": npar * np.log(n) - 2 * logl,
    }
