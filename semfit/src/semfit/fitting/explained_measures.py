"""How much of the moments a model explains: GFI, after LISREL and after Maydeu-Olivares, and others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from semfit.fitting.inference import Test
from semfit.fitting.noncentral import noncentrality
from semfit.moments.explained import sums_of_squares
from semfit.moments.sample import GroupFit


def explained_measures(
    groups: Sequence[GroupFit], test: Test, npar: int, n: int
) -> dict[str, float]:
    """Return gfi with its 90 % interval, gfi_lisrel, agfi, pgfi, mfi, ecvi, cn_05 and cn_01.

    Parameters
    ----------
    groups : list of GroupFit
    test : Test
    npar : int
    n : int
        As in the chi-square: rows, or rows minus groups.
    """
    chisq = test.chisq if np.isnan(test.residual_chisq) else test.residual_chisq
    result = gfi(chisq, test.df, n * len(groups[0].names))
    result |= _lisrel(groups, test.df) | _critical(max(test.chisq, 0.0), test.df, n)
    result["mfi"] = np.exp(-(test.chisq - test.df) / (2 * n))
    if not any(group.ordered.any() for group in groups):
        result["ecvi"] = (test.chisq + 2 * npar) / n
    return result


def robust_gfi(groups: Sequence[GroupFit], test: Test, n: int) -> dict[str, float]:
    """Return gfi corrected for the scaling of its chi-square; of the robust one where it differs."""
    chisq = test.robust_chisq if np.isnan(test.residual_chisq) else test.residual_chisq
    return gfi(chisq, test.df, n * len(groups[0].names), test.robust_scaling)


def gfi(chisq: float, df: int, size: int, scaling: float = 1.0) -> dict[str, float]:
    """Return N p / (N p + 2 (X2 - c df)), at most 1, and its 90 % interval; `size` is N p.

    The share of the sum of squared moments that the model explains in the population
    (Maydeu-Olivares, Ximenez & Revuelta 2024, equations 20 and 23); p observed variables. X2 is the
    residual-based chi-square of complete rows, else that of the fit.
    """

    def share(excess: float) -> float:
        below = size + 2 * excess
        return min(size / below, 1.0) if below > 0 else np.nan

    ends = {"gfi_ci_low": 1.0, "gfi_ci_high": 1.0}
    if df > 0:
        for name, level in (("gfi_ci_low", 0.05), ("gfi_ci_high", 0.95)):
            ends[name] = share(scaling * noncentrality(chisq / scaling, df, level))
    return {"gfi": share(chisq - scaling * df), **ends}


def _lisrel(groups: Sequence[GroupFit], df: int) -> dict[str, float]:
    """Return gfi_lisrel = 1 - r'Vr / s'Vs, groups weighted by their size, agfi and pgfi.

    V is the weight of the moments in the fit (Joreskog & Sorbom 1984; Tanaka & Huba 1985).
    """
    if not all(group.complete for group in groups):
        return {}
    values, moments = [], sum(group.n_moments for group in groups)
    for group in groups:
        misfit, total = group.squares if group.ordered.any() else sums_of_squares(group)
        values.append(1 - misfit / total)
    value = np.average(values, weights=[group.n for group in groups])
    adjusted = 1 - moments / df * (1 - value) if df > 0 else 1.0
    return {"gfi_lisrel": value, "agfi": adjusted, "pgfi": df / moments * value}


def _critical(chisq: float, df: int, n: int) -> dict[str, float]:
    """Return the number of rows at which the model would be rejected (Hoelter 1983)."""
    if df == 0 or chisq == 0:
        return {}
    return {
        f"cn_{level}": chi2.isf(float(f"0.{level}"), df) / (chisq / n) + 1 for level in ("05", "01")
    }
