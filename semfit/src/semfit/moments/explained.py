"""How much of the moments of complete rows a model explains, weighted by normal theory.

With W the inverse of the implied covariance matrix, R = S - Sigma and d = m - mu, the weighted sum of
squares of residual moments is, for each row,

    r' V r = tr(W R W R) / 2 + d' W d,    and of the moments themselves s' V s, with S and m for R and d.

Moments of fixed covariates alone are no data: they count for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semfit.moments.implied import Implied, Structure
from semfit.moments.normal import add_matrix, add_vector, expected_rows
from semfit.moments.sample import GroupFit, Sample, pattern_moments


def sums_of_squares(group: GroupFit) -> tuple[float, float]:
    """Return r' V r and s' V s of a group of complete rows."""
    weight = np.linalg.inv(group.cov)
    data, residual = group.sample_cov.copy(), group.sample_cov - group.cov
    data[np.ix_(group.fixed, group.fixed)] = 0
    misfit, total = (np.sum((weight @ part) * (weight @ part).T) / 2 for part in (residual, data))
    if group.sample_mean is None or group.mean is None:
        return misfit, total
    gap, mean = group.sample_mean - group.mean, np.where(group.fixed, 0, group.sample_mean)
    return misfit + gap @ weight @ gap, total + mean @ weight @ mean


def residual_chisq(
    structures: Sequence[Structure],
    samples: Sequence[Sample],
    theta: np.ndarray,
    free: np.ndarray | None = None,
) -> float:
    """Return the residual-based chi-square of complete rows, weighted by the implied moments.

    N [r' V r - r' V Delta (Delta' V Delta)^-1 Delta' V r] (Browne 1984), without the second part
    where the gradient of the likelihood is exactly that of these weights. R:
    ``lavTest(fit, "browne.residual.nt.model")$stat``. `free` (k, r) is a basis of what restrictions
    leave free.
    """
    total, k = 0.0, len(theta)
    pull, information = np.zeros(k), np.zeros((k, k))
    for structure, sample in zip(structures, samples, strict=True):
        implied = structure.implied(theta)
        total += _add_group(structure, sample, implied, pull, information)
    if free is not None:
        pull, information = free.T @ pull, free.T @ information @ free
    return float(total - pull @ np.linalg.lstsq(information, pull, rcond=1e-12)[0])


def _add_group(
    structure: Structure,
    sample: Sample,
    implied: Implied,
    pull: np.ndarray,
    information: np.ndarray,
) -> float:
    """Return n r' V r of a group; add n Delta' V r and n Delta' V Delta."""
    d = structure.derivatives(implied)
    weight, gap = np.linalg.inv(implied.cov), sample.mean - implied.mean
    inner = weight @ (sample.cov - implied.cov) @ weight
    rows = np.einsum("ik,ik->k", d.u, inner @ d.v) + d.s * ((weight @ gap) @ d.u)
    add_vector(pull, structure.which, sample.n * rows)
    moments = pattern_moments(sample, implied.mean, implied.cov)
    add_matrix(information, structure.which, expected_rows(sample, moments, d))
    misfit = np.sum(inner * (sample.cov - implied.cov)) / 2 + gap @ weight @ gap
    return sample.n * misfit
