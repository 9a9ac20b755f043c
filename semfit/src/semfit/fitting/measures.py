"""Fit measures, as lavaan defines them (``fitMeasures()``, likelihood "normal", fixed.x)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import chi2, ncx2

from semfit.fitting.explained_measures import explained_measures, robust_gfi
from semfit.fitting.inference import Test
from semfit.fitting.noncentral import noncentrality
from semfit.fitting.residual_measures import residual_measures
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
    "bic2",
    "nfi",
    "pnfi",
    "rfi",
    "ifi",
    "rni",
    "rmr",
    "rmr_nomean",
    "crmr",
    "crmr_nomean",
    "gfi",
    "gfi_ci_low",
    "gfi_ci_high",
    "gfi_lisrel",
    "agfi",
    "pgfi",
    "mfi",
    "ecvi",
    "cn_05",
    "cn_01",
    "rmsea_lavaan06",
    "rmsea_ci_low_lavaan06",
    "rmsea_ci_high_lavaan06",
    "rmsea_pvalue_lavaan06",
    "srmr_lavaan06",
    "rmr_lavaan06",
    "rmr_nomean_lavaan06",
    "crmr_lavaan06",
    "crmr_nomean_lavaan06",
)
COLUMNS = ("standard", "scaled", "robust")
ROUNDING = 1e-5  # of a chi-square of 0
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
    keep their covariances. cfi is clipped to [0, 1], tli (nnfi) and rni are not. rmsea interval 90 %,
    rmsea_pvalue of rmsea <= .05. logl is conditional on the covariates.

    Two generations of lavaan are compared, 0.6-14 and 0.7-2. Where they differ, the plain name is
    0.7-2's:

    - gfi: share of the squared moments explained in the population (`explained_measures.gfi`), new in
      0.7. gfi_lisrel: the gfi of Joreskog and Sorbom, "gfi" in 0.6-14 and "gfi_lisrel" in 0.7-2; agfi
      ("agfi_lisrel" in 0.7-2) and pgfi are made from it. Those three: complete rows only.
    - srmr, rmr, crmr of ordered variables with covariates: see `residual_measures`. rmsea in the
      column robust, of ordered variables: divided by the number of rows, which its chi-square is
      of; 0.6-14 takes the groups off. Those of 0.6-14 end in `_lavaan06`.
    - pvalue of ordered variables in the column standard: 0.7-2 gives NA, as the chi-square that is not
      scaled has no known distribution; here as in 0.6-14.

    Here, and in neither of them: rfi of a model that fits worse than the baseline is its formula's,
    below 0 (theirs: 1). robust indices of several groups under WLSMV keep the groups' weights in the
    scaling of the baseline (theirs leave them out): the same rows given as two groups then fit as
    well as given as one. cfi robust of nine ordered items (`hscat`): .8963, as the same rows
    twice .8963 here and .8916 in both lavaans.
    """
    n = sum(group.n for group in groups)
    table = pd.DataFrame(np.nan, index=list(MEASURES), columns=list(COLUMNS))
    table.loc[["npar", "n", "df"], "standard"] = npar, n, df
    if test is not None and baseline is not None:
        least_squares = any(group.ordered.any() for group in groups)
        size = (n - len(groups) if least_squares else n), len(groups)  # as in their chi-squares
        standard = _fit(test.chisq, test.df, baseline.chisq, baseline.df, *size)
        standard |= residual_measures(groups) | explained_measures(groups, test, npar, size[0])
        _enter(table, "standard", standard | _likelihood(likelihood, npar, n))
        if np.isfinite(test.scaling):
            _enter(table, "scaled", _scaled(test, baseline, *size))
        if np.isfinite(test.robust_scaling):
            _enter(table, "robust", _robust(test, baseline, n, size) | robust_gfi(groups, test, n))
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
    # of a saturated model it is rounding; one that an inequality holds back has a misfit, as in lavaan
    chisq = max(chisq, 0.0) if df or chisq > ROUNDING else 0.0
    values = {"chisq": chisq, "df": df, "pvalue": chi2.sf(chisq, df) if df else np.nan}
    values |= {"baseline_chisq": baseline_chisq, "baseline_df": baseline_df}
    values |= incremental(chisq, df, baseline_chisq, baseline_df)
    values |= normed(chisq, df, baseline_chisq, baseline_df)
    return values | _in_both(rmsea(chisq, df, n, n_groups))


def _in_both(values: dict[str, float], old: dict[str, float] | None = None) -> dict[str, float]:
    """Return measures, and under their older name those of lavaan 0.6-14 (else the same)."""
    return values | {f"{name}_lavaan06": value for name, value in (old or values).items()}


def _scaled(test: Test, baseline: Test, n: int, n_groups: int) -> dict[str, float]:
    """Return the measures from the scaled chi-square; rmsea as lavaan's ``rmsea.scaled``."""
    values = _fit(test.scaled, test.df, baseline.scaled, baseline.df, n, n_groups)
    if test.shift == 0:  # lavaan: the unscaled chi-square, with tr(U Gamma) degrees of freedom
        values |= _in_both(rmsea(test.chisq, test.df * test.scaling, n, n_groups))
    factors = {"scaling_factor": test.scaling, "baseline_scaling_factor": baseline.scaling}
    return values | factors


def _robust(test: Test, baseline: Test, n: int, size: tuple[int, int]) -> dict[str, float]:
    """Return cfi, tli, rni and rmsea with the population value of the unscaled ones.

    `n` is the number of rows; `size` those that lavaan 0.6-14 divides by, and the number of groups.
    """
    c, c_baseline = test.robust_scaling, baseline.robust_scaling
    tests = test.robust_chisq, test.df, baseline.robust_chisq, baseline.df
    values = incremental(*tests, c, c_baseline)
    values["rni"] = _relative_noncentrality(*tests, c, c_baseline)
    new, old = (rmsea(*tests[:2], rows, size[1], c) for rows in (n, size[0]))
    return values | _in_both(new, old)


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


def _relative_noncentrality(
    chisq: float,
    df: int,
    baseline_chisq: float,
    baseline_df: int,
    scaling: float = 1.0,
    baseline_scaling: float = 1.0,
) -> float:
    """Return rni, which is cfi without its limits (McDonald & Marsh 1990)."""
    baseline_excess = baseline_chisq - baseline_scaling * baseline_df
    return 1 - (chisq - scaling * df) / baseline_excess if baseline_excess else np.nan


def normed(chisq: float, df: int, baseline_chisq: float, baseline_df: int) -> dict[str, float]:
    """Return nfi, pnfi (nfi times df over that of the baseline), rfi, ifi and rni.

    nfi: Bentler & Bonett (1980); pnfi: James, Mulaik & Brett (1982); rfi: Bollen (1986); ifi: Bollen
    (1989). NaN where the baseline has no misfit; nfi and rfi also where it has fewer degrees of freedom.
    """
    values = {"rni": _relative_noncentrality(chisq, df, baseline_chisq, baseline_df)}
    if not baseline_chisq:
        return values
    nfi, left = 1 - chisq / baseline_chisq, baseline_chisq - df
    values |= {"pnfi": nfi * df / baseline_df}
    values |= {"ifi": (baseline_chisq - chisq) / left if left > 0 else 1.0}
    if df > baseline_df:
        return values
    ratio = (chisq / df) / (baseline_chisq / baseline_df) if df else 0.0
    return values | {"nfi": nfi, "rfi": min(1 - ratio, 1.0)}


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
        name: np.sqrt(noncentrality(chisq / scaling, df, level) * per_unit)
        for name, level in (("rmsea_ci_low", 0.95), ("rmsea_ci_high", 0.05))
    }
    close = ncx2.sf(chisq / scaling, df, CLOSE_FIT**2 / per_unit)
    point = np.sqrt(max(chisq / scaling - df, 0.0) * per_unit)
    return {"rmsea": point, **ends, "rmsea_pvalue": close}


def _likelihood(likelihood: tuple[float, float] | None, npar: int, n: int) -> dict[str, float]:
    """Return log-likelihoods, aic, bic, and bic2 (adjusted for sample size, Sclove 1987)."""
    if likelihood is None:
        return {}
    logl, unrestricted = likelihood
    return {
        "logl": logl,
        "logl_unrestricted": unrestricted,
        "aic": 2 * npar - 2 * logl,
        "bic": npar * np.log(n) - 2 * logl,
        "bic2": npar * np.log((n + 2) / 24) - 2 * logl,
    }
