"""Rows of one group, sorted by which values are missing, and the moments of the saturated model.

Complete rows are one pattern of missing values: with them the same formulas are those of ordinary
maximum likelihood, and the saturated moments are the sample's.
"""

from dataclasses import dataclass, field

import numpy as np

from semfit.moments.design import SIMPLE, Design

EM_STEPS = 10_000
EM_TOLERANCE = 1e-11  # largest change of a moment in a step, in standard deviations
EM_CHECK = 50  # steps after which EM looks whether it is on its way to a singular matrix
SINGULAR = 1e-10  # smallest eigenvalue of the correlation matrix
LOG_2PI = np.log(2 * np.pi)


@dataclass(frozen=True, eq=False)
class GroupFit:
    """Sample and implied moments of one group, and which of them are modelled.

    Attributes
    ----------
    n : int
    names : tuple of str
    sample_cov, cov : ndarray (p, p)
        Of the saturated model and of the fitted one; polychoric correlations for ordered variables.
    sample_mean, mean : ndarray (p,) or None
        None without mean structure.
    fixed : ndarray (p,) of bool
        Fixed covariates.
    ordered : ndarray (p,) of bool
    thresholds, slopes, standardized_slopes : ndarray
        Residuals of thresholds, and of slopes on covariates, of ordered variables' models.
    n_covariates : int
        On which the moments are conditional.
    squares : tuple of float
        Weighted sums of squares of the residual moments, and of the moments.
    n_moments : int
    complete : bool
        No value is missing.
    """

    n: int
    names: tuple[str, ...]
    sample_cov: np.ndarray
    cov: np.ndarray
    sample_mean: np.ndarray | None
    mean: np.ndarray | None
    fixed: np.ndarray
    ordered: np.ndarray
    thresholds: np.ndarray = field(default_factory=lambda: np.empty(0))
    slopes: np.ndarray = field(default_factory=lambda: np.empty(0))
    standardized_slopes: np.ndarray = field(default_factory=lambda: np.empty(0))
    n_covariates: int = 0
    squares: tuple[float, float] = (np.nan, np.nan)
    n_moments: int = 0
    complete: bool = True


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of one group.

    Attributes
    ----------
    data : ndarray (n, p)
        0 where missing.
    pattern : ndarray (n,)
        Pattern of each row.
    seen : ndarray (P, p) of float
        1 where a pattern has a value, 0 where it is missing.
    counts : ndarray (P,)
        Number of rows, or the sum of their weights.
    means, covs : ndarray (P, p), (P, p, p)
        Mean and covariance (over the number of rows) of each pattern, 0 where missing.
    mean, cov : ndarray (p,), (p, p)
        Maximum-likelihood moments of the saturated model (with missing values: EM).
    em_steps : int
        0 for complete rows; -1 if EM did not converge.
    design : Design
        Weights and clusters of the rows.
    """

    data: np.ndarray = field(repr=False)
    pattern: np.ndarray = field(repr=False)
    seen: np.ndarray = field(repr=False)
    counts: np.ndarray = field(repr=False)
    means: np.ndarray = field(repr=False)
    covs: np.ndarray = field(repr=False)
    mean: np.ndarray = field(repr=False)
    cov: np.ndarray = field(repr=False)
    em_steps: int
    design: Design = field(repr=False, default=SIMPLE)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.data)

    @property
    def complete(self) -> bool:
        """Whether no value is missing."""
        return bool(self.seen.all())


def sample_of(values: np.ndarray, design: Design = SIMPLE) -> Sample:
    """The `Sample` of rows; NaN is missing, and no row may be empty.

    Parameters
    ----------
    values : ndarray (n, p)
    design : Design

    Returns
    -------
    Sample

    Raises
    ------
    ValueError
        Two variables are never observed together: the saturated model has no covariance for them.
    """
    seen, pattern = patterns_of(~np.isnan(values))
    data = np.nan_to_num(values)
    counts, means, covs = _moments(data, pattern, len(seen), design)
    parts = data, pattern, seen, counts, means, covs
    if seen.all():
        return Sample(*parts, means[0], covs[0], 0, design)
    return Sample(*parts, *expectation_maximisation(seen, counts, means, covs), design)


def patterns_of(present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows of a table of booleans, as 0 and 1 and sorted, and which each row is."""
    if present.all():
        return np.ones((1, present.shape[1])), np.zeros(len(present), dtype=int)
    packed = np.packbits(present, axis=1)  # eight columns a byte: ten times faster to sort
    _, first, pattern = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return present[first].astype(float), pattern.reshape(-1)


def resample(sample: Sample, times: np.ndarray) -> Sample:
    """The `Sample` in which each row is there so many times.

    Parameters
    ----------
    sample : Sample
    times : ndarray (n,) of int

    Returns
    -------
    Sample
        Without EM: `mean` and `cov` are those of the variables that miss nothing, NaN for others.
    """
    data, design = np.repeat(sample.data, times, axis=0), sample.design.taken(times)
    kept, pattern = np.unique(np.repeat(sample.pattern, times), return_inverse=True)
    seen = sample.seen[kept]
    parts = data, pattern, seen, *_moments(data, pattern, len(seen), design)
    full = seen.all(axis=0)
    mean, cov = _mean_and_cov(data, design.weights)
    mean = np.where(full, mean, np.nan)
    return Sample(*parts, mean, np.where(np.outer(full, full), cov, np.nan), 0, design)


def _moments(
    data: np.ndarray, pattern: np.ndarray, n_patterns: int, design: Design
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number (or weight), mean and covariance of the rows of each pattern."""
    weights = design.weights
    counts = np.bincount(pattern, weights).astype(float)
    moments = []
    for k in range(n_patterns):
        rows = pattern == k
        moments.append(_mean_and_cov(data[rows], None if weights is None else weights[rows]))
    means, covs = zip(*moments, strict=True)
    return counts, np.array(means), np.array(covs)


def _mean_and_cov(rows: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance (over the number of rows, or their weight); zeros of no weight."""
    if weights is None:
        mean = rows.mean(axis=0)
        deviations = rows - mean
        return mean, deviations.T @ deviations / len(rows)
    total = weights.sum() or 1.0
    mean = weights @ rows / total
    deviations = rows - mean
    return mean, deviations.T @ (weights[:, None] * deviations) / total


def embedded_inverse(cov: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The inverse of the observed part of `cov` for each pattern, 0 elsewhere: (P, p, p).

    Missing rows and columns are replaced by those of the identity, so that one call inverts all.
    """
    both = seen[:, :, None] * seen[:, None, :]
    missing = np.eye(len(cov)) * (1 - seen)[:, :, None]
    return np.linalg.inv(cov * both + missing) * both


def second_moments(
    mean: np.ndarray, seen: np.ndarray, means: np.ndarray, covs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(d, T): deviations of the pattern means, and second moments about `mean`."""
    d = (means - mean) * seen
    return d, covs + d[:, :, None] * d[:, None, :]


def expectation_maximisation(
    seen: np.ndarray,
    counts: np.ndarray,
    means: np.ndarray,
    covs: np.ndarray,
    most: int = EM_STEPS,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Moments of the saturated normal model for rows with missing values.

    Parameters
    ----------
    seen, counts, means, covs : ndarray
        Of each pattern of missing values, as in `Sample`.
    most : int
        Steps.

    Returns
    -------
    mean, cov : ndarray (p,), (p, p)
    steps : int
        -1 if `most` of them were not enough.

    Notes
    -----
    Each step completes the moments of a pattern by regression on what it has (Dempster, Laird &
    Rubin 1977). R: ``lavInspect(fit, "sampstat")`` with ``missing = "fiml"``.
    """
    n = counts.sum()
    have = counts @ seen
    mean = counts @ (means * seen) / have
    d, second = second_moments(mean, seen, means, covs)
    cov = np.diag(np.einsum("k,kii->i", counts, second) / have)
    for step in range(1, most + 1):
        weight = embedded_inverse(cov, seen)
        d, second = second_moments(mean, seen, means, covs)
        complete = cov @ weight  # regression of every variable on those observed
        shift = np.einsum("k,kij,kj->i", counts, complete, d) / n
        expected = complete @ second @ complete.transpose(0, 2, 1) + cov - complete @ cov
        new = np.einsum("k,kij->ij", counts, expected) / n - np.outer(shift, shift)
        scale = np.sqrt(np.diag(cov))
        change = max(
            np.abs(shift / scale).max(), np.abs((new - cov) / np.outer(scale, scale)).max()
        )
        mean, cov = mean + shift, (new + new.T) / 2
        if change < EM_TOLERANCE:
            return mean, cov, step
        if step % EM_CHECK == 0 and smallest_eigenvalue(cov) < SINGULAR:
            break
    return mean, cov, -1


def smallest_eigenvalue(cov: np.ndarray) -> float:
    """The smallest eigenvalue of the correlation matrix; 0 where a variance is not positive."""
    scale = np.sqrt(np.maximum(np.diag(cov), 0))
    if not (np.isfinite(cov).all() and scale.all()):
        return 0.0
    return np.linalg.eigvalsh(cov / np.outer(scale, scale))[0]


def log_determinants(cov: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """log|observed part of cov| for each pattern; infinite if `cov` is improper."""
    both = seen[:, :, None] * seen[:, None, :]
    missing = np.eye(len(cov)) * (1 - seen)[:, :, None]
    try:
        factors = np.linalg.cholesky(cov * both + missing)
    except np.linalg.LinAlgError:
        return np.full(len(seen), np.inf)
    return 2 * np.log(np.einsum("kii->ki", factors)).sum(axis=1)


def deviance(sample: Sample, mean: np.ndarray, cov: np.ndarray) -> float:
    """-2 log-likelihood of the rows under a normal distribution; inf if `cov` is improper.

    R: ``-2 * logLik(fit)`` (with fixed covariates, theirs included).
    """
    logdet = log_determinants(cov, sample.seen)
    if not np.isfinite(logdet).all():
        return np.inf
    _, second = second_moments(mean, sample.seen, sample.means, sample.covs)
    return deviance_of(sample, logdet, embedded_inverse(cov, sample.seen), second)


def deviance_of(
    sample: Sample, logdet: np.ndarray, weight: np.ndarray, second: np.ndarray
) -> float:
    """The deviance, given log|Sigma|, W and T of each pattern."""
    trace = np.einsum("kij,kji->k", weight, second)
    value = sample.counts @ (logdet + trace + sample.seen.sum(axis=1) * LOG_2PI)
    return float(value) if np.isfinite(value) else np.inf


def pattern_moments(
    sample: Sample, mean: np.ndarray, cov: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (W, d, T) of each pattern: (P, p, p), (P, p), (P, p, p)."""
    weight = embedded_inverse(cov, sample.seen)
    d, second = second_moments(mean, sample.seen, sample.means, sample.covs)
    return weight, d, second


def weighted_residuals(
    sample: Sample, mean: np.ndarray, cov: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return W of each pattern (P, p, p), and W r of each case (n, p), r its residuals."""
    weight = embedded_inverse(cov, sample.seen)
    pull = np.empty_like(sample.data)
    for k, seen in enumerate(sample.seen):
        rows = sample.pattern == k
        pull[rows] = ((sample.data[rows] - mean) * seen) @ weight[k]
    return weight, pull
