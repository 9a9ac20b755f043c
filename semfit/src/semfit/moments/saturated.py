"""The saturated normal model: its moments as parameters, their information and their scores.

The moments of a group are the means (with mean structure) and the covariances on and below the
diagonal; those of fixed covariates alone are no data and are left out. Robust standard errors and
test statistics compare a model with this one.
"""

from dataclasses import dataclass

import numpy as np

from semfit.moments.implied import Derivatives
from semfit.moments.sample import Sample, pattern_moments, weighted_residuals
from semfit.syntax.model import Model


@dataclass(frozen=True, eq=False)
class Moments:
    """Which means (places) and covariances (pairs of places, row >= column) are modelled."""

    means: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @property
    def n(self) -> int:
        """Number of moments."""
        return len(self.means) + len(self.rows)

    @property
    def half(self) -> np.ndarray:
        """Weight of each covariance: half on the diagonal."""
        return np.where(self.rows == self.columns, 0.5, 1.0)


def modelled_moments(model: Model, mean_structure: bool) -> Moments:
    """The `Moments` of a model: all but those of fixed covariates alone."""
    fixed = np.isin(model.observed, model.covariates)
    rows, columns = np.tril_indices(len(fixed))
    keep = ~(fixed[rows] & fixed[columns])
    means = np.flatnonzero(~fixed) if mean_structure else np.array([], dtype=int)
    return Moments(means, rows[keep], columns[keep])


def jacobian(moments: Moments, d: Derivatives) -> np.ndarray:
    """The derivatives of the moments, (q, k), from those of `implied.Structure`."""
    i, j = moments.rows, moments.columns
    covariances = d.u[i] * d.v[j] + d.u[j] * d.v[i]
    return np.concatenate([d.u[moments.means] * d.s, covariances])


def information(
    sample: Sample, mean: np.ndarray, cov: np.ndarray, moments: Moments, expected: bool = False
) -> np.ndarray:
    """The observed (or expected) information of the moments, for all rows together: (q, q).

    R, per row: ``lavInspect(fit, "h1.information.observed")``.
    """
    weight, gap, second = pattern_moments(sample, mean, cov)
    p, counts = len(cov), sample.counts
    weighted = counts[:, None, None] * weight
    inner = weight if expected else 2 * weight @ second @ weight - weight
    pair = (weighted.reshape(-1, p * p).T @ inner.reshape(-1, p * p)).reshape(p, p, p, p)
    i, j = moments.rows[:, None], moments.columns[:, None]
    k, m = moments.rows[None, :], moments.columns[None, :]
    covs = pair[j, k, i, m] + pair[j, m, i, k] + pair[i, k, j, m] + pair[i, m, j, k]
    covs *= np.outer(moments.half, moments.half) / 2
    means = weighted.sum(axis=0)[np.ix_(moments.means, moments.means)]
    pull = np.einsum("kij,kj->ki", weight, gap)
    third = np.einsum("ki,kjm->ijm", pull, weighted)
    a = moments.means[None, :]
    mixed = (third[i, j, a] + third[j, i, a]) * moments.half[:, None]
    mixed = 0 * mixed if expected else mixed
    return np.block([[means, mixed.T], [mixed, covs]])


def complete_information(n: int, cov: np.ndarray, moments: Moments) -> np.ndarray:
    """The information that `n` complete rows would have: (q, q)."""
    weight = np.linalg.inv(cov)
    i, j = moments.rows[:, None], moments.columns[:, None]
    k, m = moments.rows[None, :], moments.columns[None, :]
    covs = weight[i, k] * weight[j, m] + weight[i, m] * weight[j, k]
    covs *= np.outer(moments.half, moments.half)
    q = len(moments.means)
    result = np.zeros((moments.n, moments.n))
    result[:q, :q] = weight[np.ix_(moments.means, moments.means)]
    result[q:, q:] = covs
    return n * result


def scores(sample: Sample, mean: np.ndarray, cov: np.ndarray, moments: Moments) -> np.ndarray:
    """The gradient of each row's log-likelihood with respect to the moments: (n, q).

    With weights or clusters, of what was drawn independently (`Design.independent`). R:
    ``lavaan:::lav_mvnorm_missing_scores_mu_vech_sigma``.
    """
    weight, pull = weighted_residuals(sample, mean, cov)
    i, j = moments.rows, moments.columns
    products = pull[:, i] * pull[:, j] - weight[:, i, j][sample.pattern]
    rows = np.concatenate([pull[:, moments.means], products * moments.half], axis=1)
    return sample.design.independent(rows)
