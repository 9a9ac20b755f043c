"""Factors among items: maximum likelihood, rotation, and parallel analysis of their number.

Missing answers and refusals: see `semfit.reliability`. Reference:
tests/reference/measurement_scales.R.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import optimize, stats

from semfit.reliability.scales import complete_rows, counts

LEAST_UNIQUENESS = 0.005  # a lower bound, that of R's factanal and psych::fa
AT_BOUND = 1e-6
LARGEST_SLOPE = 1e-3  # of the discrepancy at an end of the search; usually below 1e-6
ROTATIONS = ("oblimin", "varimax", None)
STARTS = 10

# --- extraction ----------------------------------------------------------------------------------


def correlations_of(complete: pd.DataFrame) -> np.ndarray:
    """Pearson correlations of complete rows (p, p); refuses a matrix that has no inverse."""
    names = ", ".join(complete)
    if len(complete) <= complete.shape[1]:
        raise ValueError(
            f"{len(complete)} respondents answered every one of {names}; a factor model needs more "
            "respondents than items."
        )
    correlations = complete.corr().to_numpy()
    values, vectors = np.linalg.eigh(correlations)
    if values[0] < 1e-10:
        involved = complete.columns[np.abs(vectors[:, 0]) > 0.05]
        raise ValueError(
            f"{', '.join(involved)} determine one another (their correlation matrix is not "
            "positive definite): leave one out."
        )
    return correlations


def maximum_likelihood(
    correlations: np.ndarray, n_factors: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Loadings and uniquenesses of the factor model by maximum likelihood.

    Parameters
    ----------
    correlations : ndarray (p, p)
    n_factors : int

    Returns
    -------
    loadings : ndarray (p, n_factors)
        Unrotated: canonical, so that L' U^-1 L is diagonal.
    uniqueness : ndarray (p,)
        At least .005, as in factanal: a Heywood case stops there.
    discrepancy : float
        F = log|LL' + U| + tr(R (LL' + U)^-1) - log|R| - p.

    Notes
    -----
    For given U the best L follows from the eigenvalues of U^-1/2 R U^-1/2, and F is the sum of
    e - log(e) - 1 over those that no factor takes (Jöreskog 1967; Lawley & Maxwell 1971). That
    leaves p numbers to search, within bounds. Not statsmodels' ``Factor``: it searches loadings
    too, without bounds, and does not converge when a uniqueness goes to zero. R:
    ``factanal(covmat = R, factors = n_factors, rotation = "none")``.
    """
    p = len(correlations)
    start = (1 - 0.5 * n_factors / p) / np.diag(np.linalg.inv(correlations))

    def discrepancy(uniqueness: np.ndarray) -> tuple[float, np.ndarray]:
        loadings, rest = _best_loadings(correlations, uniqueness, n_factors)
        slopes = ((loadings**2).sum(axis=1) + uniqueness - 1) / uniqueness**2
        return (rest - np.log(rest) - 1).sum(), slopes

    found = optimize.minimize(
        discrepancy,
        np.clip(start, LEAST_UNIQUENESS, 1),
        jac=True,
        method="L-BFGS-B",
        bounds=[(LEAST_UNIQUENESS, 1)] * p,
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 2000},
    )
    inside = found.x > LEAST_UNIQUENESS + AT_BOUND
    if np.abs(found.jac[inside]).max(initial=0) > LARGEST_SLOPE:
        raise ValueError(
            f"No maximum of the likelihood was found for {n_factors} factors: ask for fewer."
        )
    loadings, _ = _best_loadings(correlations, found.x, n_factors)
    return loadings, found.x, float(found.fun)


def _best_loadings(
    correlations: np.ndarray, uniqueness: np.ndarray, n_factors: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best loadings for given uniquenesses, and the eigenvalues that they leave over."""
    root = np.sqrt(uniqueness)
    values, vectors = np.linalg.eigh(correlations / np.outer(root, root))
    values, vectors = values[::-1], vectors[:, ::-1]
    size = np.sqrt(np.maximum(values[:n_factors] - 1, 0))
    return root[:, None] * vectors[:, :n_factors] * size, values[n_factors:]


def heywood_items(names: Iterable[str], uniqueness: np.ndarray) -> list[str]:
    """The items whose uniqueness is at its lower bound."""
    at_bound = uniqueness <= LEAST_UNIQUENESS + AT_BOUND
    return [name for name, low in zip(names, at_bound, strict=True) if low]


def warn_heywood(items: Sequence[str]) -> None:
    """Warn that a factor takes all variance of an item, if it does."""
    if items:
        warnings.warn(
            f"Heywood case: the uniqueness of {', '.join(map(repr, items))} is at its lower bound "
            f"of {LEAST_UNIQUENESS}. The solution is not proper: use fewer factors, more items or "
            "more respondents.",
            stacklevel=3,
        )


# --- exploratory factors -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ExploratoryFactors:
    """Factors among items. Factors are named F1, F2 ... by the variance that they explain.

    Attributes
    ----------
    n_items, n_used, n_dropped, n_empty : int
        As `CronbachAlpha`.
    n_factors : int
    rotation : str or None
        None also when there is one factor: nothing to rotate.
    loadings : DataFrame
        One row per item and factor: item, factor, loading (pattern), communality, uniqueness (of
        the item; they add up to 1).
    correlations : DataFrame
        One row per pair of factors: first, second, correlation (0 unless rotation is oblique).
    variance : DataFrame
        One row per factor: factor, ss_loadings (diagonal of Phi L'L, as psych), proportion (of the
        total variance of the items), cumulative.
    chi_square, df, p : float, int, float
        Are so many factors enough? (n - 1 - (2p + 5) / 6 - 2k / 3) F, Bartlett's correction (1951),
        as factanal and psych. `p` is NaN without degrees of freedom.
    heywood : tuple of str
        Items whose uniqueness is at its lower bound of .005.
    """

    n_items: int
    n_used: int
    n_dropped: int
    n_empty: int
    n_factors: int
    rotation: str | None
    loadings: pd.DataFrame = field(repr=False)
    correlations: pd.DataFrame = field(repr=False)
    variance: pd.DataFrame = field(repr=False)
    chi_square: float
    df: int
    p: float
    heywood: tuple[str, ...]


def exploratory_factors(
    items: pd.DataFrame, n_factors: int, rotation: str | None = "oblimin"
) -> ExploratoryFactors:
    """Exploratory factor analysis by maximum likelihood on Pearson correlations of complete rows.

    Parameters
    ----------
    items : DataFrame, respondents x items
    n_factors : int
    rotation : {"oblimin", "varimax", None}
        Oblimin with gamma 0 (quartimin), not normalised, as GPArotation and psych; varimax with
        Kaiser's normalisation, as factanal. None: canonical loadings.

    Returns
    -------
    ExploratoryFactors
        The sign of a factor is such that its loadings add up to a positive number. R:
        ``psych::fa(na.omit(items), n_factors, fm = "ml", rotate = "oblimin")`` and
        ``factanal(na.omit(items), n_factors)`` for varimax.

    Raises
    ------
    ValueError
        Also for a number of factors that so many items cannot have, an unknown rotation, no more
        respondents than items, and items that determine one another.

    Warns
    -----
    UserWarning
        For a Heywood case.

    Notes
    -----
    Rotations by gradient projection (Jennrich 2001, 2002) in statsmodels, from the identity and
    nine random starts of a fixed seed; the best end is kept.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> result = reliability.exploratory_factors(data.loc[:, "x1":"x6"], 2)
    >>> loadings = result.loadings[["item", "factor", "loading"]].round(2)
    >>> loadings[loadings["loading"] > 0.3]
       item factor  loading
    1    x1     F2     0.73
    3    x2     F2     0.69
    5    x3     F2     0.87
    6    x4     F1     0.79
    8    x5     F1     0.64
    10   x6     F1     0.87
    >>> round(result.p, 2), round(float(result.correlations["correlation"][0]), 2)
    (0.62, 0.51)
    """
    complete = complete_rows(items)
    df = _check_factors(complete, n_factors, rotation)
    loadings, uniqueness, discrepancy = maximum_likelihood(correlations_of(complete), n_factors)
    heywood = heywood_items(complete.columns, uniqueness)
    warn_heywood(heywood)
    rotation = rotation if n_factors > 1 else None
    loadings, phi = _in_order(*_rotate(loadings, rotation))
    n, p = complete.shape
    chi_square = float((n - 1 - (2 * p + 5) / 6 - 2 * n_factors / 3) * discrepancy)
    factors = [f"F{k + 1}" for k in range(n_factors)]
    return ExploratoryFactors(
        **counts(items, complete),
        n_factors=n_factors,
        rotation=rotation,
        loadings=_loading_table(complete.columns, factors, loadings, uniqueness),
        correlations=_pairs(factors, phi),
        variance=_variance_table(factors, loadings, phi),
        chi_square=chi_square,
        df=df,
        p=float(stats.chi2.sf(chi_square, df)) if df else np.nan,
        heywood=tuple(heywood),
    )


def _check_factors(complete: pd.DataFrame, n_factors: int, rotation: str | None) -> int:
    """Degrees of freedom of the model; refuses what cannot be asked for."""
    if rotation not in ROTATIONS:
        raise ValueError(f"rotation is {rotation!r}; use one of {', '.join(map(str, ROTATIONS))}.")
    p = complete.shape[1]
    possible = [k for k in range(1, p) if (p - k) ** 2 >= p + k]
    if n_factors not in possible:
        most = f"1 to {possible[-1]}" if possible else "no factor: give at least 3"
        raise ValueError(f"n_factors is {n_factors!r}; {p} items allow {most}.")
    return ((p - n_factors) ** 2 - (p + n_factors)) // 2


def _rotate(loadings: np.ndarray, rotation: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Rotated loadings and factor correlations."""
    from statsmodels.multivariate.factor_rotation import rotate_factors  # 0.5 s to import

    k = loadings.shape[1]
    if rotation is None:
        return loadings, np.eye(k)
    rng = np.random.default_rng(0)
    starts = [np.eye(k), *(np.linalg.qr(rng.normal(size=(k, k)))[0] for _ in range(STARTS - 1))]
    oblique = rotation == "oblimin"
    # Kaiser: every item counts the same, whatever its communality
    length = np.ones(len(loadings)) if oblique else np.sqrt((loadings**2).sum(axis=1))
    method, how = "quartimin" if oblique else "varimax", {"tol": 1e-7, "max_tries": 2000}
    ends = [rotate_factors(loadings / length[:, None], method, T=start, **how) for start in starts]
    found, turn = min(ends, key=lambda end: _complexity(end[0], oblique))
    return found * length[:, None], turn.T @ turn if oblique else np.eye(k)


def _complexity(loadings: np.ndarray, oblique: bool) -> float:
    """What a rotation makes small: products of squared loadings, or minus their variance."""
    squares = loadings**2
    shared = squares.T @ squares
    return shared.sum() - np.trace(shared) if oblique else -squares.var(axis=0).sum()


def _explained(loadings: np.ndarray, phi: np.ndarray) -> np.ndarray:
    return np.diag(phi @ loadings.T @ loadings)


def _in_order(loadings: np.ndarray, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors from high to low explained variance, loading positively; correlations likewise."""
    order = np.argsort(-_explained(loadings, phi), kind="stable")
    sign = np.where(loadings[:, order].sum(axis=0) < 0, -1, 1)
    return loadings[:, order] * sign, phi[np.ix_(order, order)] * np.outer(sign, sign)


def _loading_table(
    items: Iterable[str], factors: Sequence[str], loadings: np.ndarray, uniqueness: np.ndarray
) -> pd.DataFrame:
    rows = [
        {"item": i, "factor": f, "loading": loading, "communality": 1 - u, "uniqueness": u}
        for i, row, u in zip(items, loadings, uniqueness, strict=True)
        for f, loading in zip(factors, row, strict=True)
    ]
    return pd.DataFrame(rows)


def _pairs(factors: Sequence[str], phi: np.ndarray) -> pd.DataFrame:
    rows = [(factors[a], factors[b], phi[a, b]) for a, b in combinations(range(len(factors)), 2)]
    return pd.DataFrame(rows, columns=["first", "second", "correlation"])


def _variance_table(factors: Sequence[str], loadings: np.ndarray, phi: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame({"factor": factors, "ss_loadings": _explained(loadings, phi)})
    table["proportion"] = table["ss_loadings"] / len(loadings)
    return table.assign(cumulative=table["proportion"].cumsum())


# --- how many? -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ParallelAnalysis:
    """Eigenvalues of items beside those of random numbers.

    Attributes
    ----------
    n_items, n_used, n_dropped, n_empty : int
        As `CronbachAlpha`.
    draws : int
    quantile : float
    reduced : bool
    n_retained : int
        How many of the first eigenvalues exceed the quantile, before one that does not.
    table : DataFrame
        One row per component (or factor): component (1, 2 ...), eigenvalue, mean, quantile (of the
        random ones), retained.
    """

    n_items: int
    n_used: int
    n_dropped: int
    n_empty: int
    draws: int
    quantile: float
    reduced: bool
    n_retained: int
    table: pd.DataFrame = field(repr=False)


def parallel_analysis(
    items: pd.DataFrame,
    *,
    seed: int | np.random.Generator,
    draws: int = 1000,
    quantile: float = 0.95,
    reduced: bool = False,
) -> ParallelAnalysis:
    """How many components or factors? Horn's parallel analysis (1965), over complete rows.

    Parameters
    ----------
    items : DataFrame, respondents x items
    seed : int or numpy.random.Generator
        The same seed gives the same numbers.
    draws : int
        Random samples of as many respondents and items, independent and normal.
    quantile : float
        An eigenvalue must exceed this quantile of the random ones (Glorfeld 1995).
    reduced : bool
        False: eigenvalues of the correlation matrix (components). True: of that matrix with squared
        multiple correlations on its diagonal (common factors; Humphreys & Montanelli 1975), which
        tends to retain more.

    Returns
    -------
    ParallelAnalysis
        R: ``psych::fa.parallel(cor(na.omit(items)), n.obs = n, n.iter = draws, SMC = TRUE,
        fa = "both", quant = quantile)``; pc.values without `reduced`, fa.values with.

    Raises
    ------
    ValueError
        Also for fewer than 20 draws, a quantile outside 0 to 1, no more respondents than items, and
        items that determine one another.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data()
    >>> result = reliability.parallel_analysis(data.loc[:, "x1":"x6"], seed=1)
    >>> result.n_retained
    2
    >>> result.table[["component", "eigenvalue", "retained"]].head(3).round(2)
       component  eigenvalue  retained
    0          1        3.23      True
    1          2        1.20      True
    2          3        0.49     False
    """
    if draws < 20 or not 0 < quantile < 1:
        raise ValueError(
            f"draws is {draws} and quantile {quantile}: use 20 draws or more, and 0 to 1."
        )
    complete = complete_rows(items)
    observed = _eigenvalues(correlations_of(complete)[None], reduced)[0]
    chance = _random_correlations(np.random.default_rng(seed), draws, *complete.shape)
    chance = _eigenvalues(chance, reduced)
    limit = np.quantile(chance, quantile, axis=0)
    table = pd.DataFrame({"component": np.arange(1, len(observed) + 1), "eigenvalue": observed})
    table = table.assign(mean=chance.mean(axis=0), quantile=limit)
    table["retained"] = np.logical_and.accumulate(observed > limit)
    return ParallelAnalysis(
        **counts(items, complete),
        draws=draws,
        quantile=quantile,
        reduced=reduced,
        n_retained=int(table["retained"].sum()),
        table=table,
    )


def _random_correlations(rng: np.random.Generator, draws: int, n: int, p: int) -> np.ndarray:
    """Correlation matrices (draws, p, p) of n independent normal respondents.

    The cross-products of such a sample have a Wishart distribution, and are drawn as A A' with a
    triangular A (Bartlett 1933): the same distribution without n x p numbers per draw.
    """
    root = np.tril(rng.standard_normal((draws, p, p)), -1)
    diagonal = np.arange(p)
    root[:, diagonal, diagonal] = np.sqrt(rng.chisquare(n - 1 - diagonal, (draws, p)))
    root /= np.linalg.norm(root, axis=2, keepdims=True)
    return root @ root.swapaxes(1, 2)


def _eigenvalues(correlations: np.ndarray, reduced: bool) -> np.ndarray:
    """Eigenvalues (draws, p), high to low, of each matrix (draws, p, p)."""
    if reduced:
        correlations, diagonal = correlations.copy(), np.arange(correlations.shape[1])
        inverse = np.linalg.inv(correlations)
        correlations[:, diagonal, diagonal] = 1 - 1 / inverse[:, diagonal, diagonal]
    return np.linalg.eigvalsh(correlations)[:, ::-1]
