"""The noncentral chi-square distribution, for intervals of fit measures."""

from scipy.optimize import brentq
from scipy.stats import chi2, ncx2


def noncentrality(chisq: float, df: float, level: float) -> float:
    """Return the noncentrality at which P(X2 <= chisq) equals `level`, 0 if there is none."""
    if chi2.cdf(chisq, df) <= level:
        return 0.0

    def gap(ncp: float) -> float:
        return ncx2.cdf(chisq, df, ncp) - level

    high = max(chisq, 1.0)
    while gap(high) > 0:
        high *= 2
    return brentq(gap, 1e-9, high, xtol=1e-10)
