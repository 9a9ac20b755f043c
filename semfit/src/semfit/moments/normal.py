"""Maximum likelihood for normal variables, complete or with missing values (FIML).

Everything is a sum over groups and patterns of missing values. With W the inverse of the observed
part of Sigma, T the second moments of a pattern about mu, d the deviation of its mean, and the
derivatives u, v, s of `implied`:

    D  = sum n [log|Sigma| + tr(W T)]                         deviance, -2 log-likelihood
    dD = u' (2 sum n (W - W T W)) v - s (2 sum n W d)' u

Information is that of the log-likelihood, for all rows together (not per row).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from semfit.moments.curvature import curvature_rows
from semfit.moments.implied import Derivatives, Implied, Structure
from semfit.moments.objective import Names, Objective, deltas_of
from semfit.moments.sample import (
    LOG_2PI,
    GroupFit,
    Sample,
    deviance,
    deviance_of,
    log_determinants,
    pattern_moments,
    weighted_residuals,
)
from semfit.moments.saturated import jacobian, modelled_moments
from semfit.syntax.model import Model
from semfit.syntax.parameters import Layout

Patterns: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]  # (W, d, T) of `pattern_moments`

STEP = 1e-20  # of complex-step derivatives: exact to rounding, as nothing is subtracted
BLOCK = 4_000_000  # numbers in one temporary array


class NormalObjective(Objective):
    """Deviance of several groups as a function of the free parameters.

    Parameters
    ----------
    structures : list of implied.Structure
    samples : list of sample.Sample
        In the same order.
    n_parameters : int
    asked : {"expected", "observed"}, optional
        Information that standard errors and tests rest on; see `asked_information`.
    """

    samples: list[Sample]
    newton = True

    def __init__(
        self,
        structures: Sequence[Structure],
        samples: Sequence[Sample],
        n_parameters: int,
        asked: str | None = None,
    ) -> None:
        self.asked = asked
        self.structures, self.samples, self.k = list(structures), list(samples), n_parameters
        self.n = sum(sample.n for sample in samples)

    def value(self, theta: np.ndarray) -> float:
        """Return the deviance at `theta`, infinity where a covariance matrix is improper."""
        total = 0.0
        for structure, sample in zip(self.structures, self.samples, strict=True):
            implied = structure.implied(theta)
            total += deviance(sample, implied.mean, implied.cov)
            if not np.isfinite(total):
                return np.inf
        return total

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the deviance and its gradient; infinity and zeros where a matrix is improper."""
        total, gradient = 0.0, np.zeros(self.k)
        for structure, sample in zip(self.structures, self.samples, strict=True):
            implied = structure.implied(theta)
            value, matrix, vector = _slopes(sample, implied)
            if not np.isfinite(value):
                return np.inf, np.zeros(self.k)
            total += value
            rows = _rows_of(matrix, vector, structure.derivatives(implied))
            add_vector(gradient, structure.which, rows)
        return total, gradient

    def score(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient of the deviance, and its expected Hessian (twice the information)."""
        gradient, hessian = np.zeros(self.k), np.zeros((self.k, self.k))
        for structure, sample in zip(self.structures, self.samples, strict=True):
            implied = structure.implied(theta)
            d = structure.derivatives(implied)
            moments = pattern_moments(sample, implied.mean, implied.cov)
            add_vector(gradient, structure.which, gradient_rows(sample, moments, d))
            add_matrix(hessian, structure.which, 2 * expected_rows(sample, moments, d))
        return gradient, hessian

    def observed_information(self, theta: np.ndarray) -> np.ndarray:
        """Return half of the Hessian of the deviance, (k, k)."""
        information = np.zeros((self.k, self.k))
        for structure, sample in zip(self.structures, self.samples, strict=True):
            implied = structure.implied(theta)
            d = structure.derivatives(implied)
            moments = pattern_moments(sample, implied.mean, implied.cov)
            rows = observed_rows(sample, moments, d)
            add_matrix(information, structure.which, rows)
            information += curvature(structure, theta, *weighted_gradient(sample, moments))
        return information

    def group_fits(self, theta: np.ndarray) -> list[GroupFit]:
        """Return the sample and implied moments of each group, as `sample.GroupFit`."""
        result = []
        for structure, sample in zip(self.structures, self.samples, strict=True):
            implied = structure.implied(theta)
            fixed = np.isin(structure.observed, structure.covariates)
            means = structure.mean_structure
            result.append(
                GroupFit(
                    sample.n,
                    structure.observed,
                    sample.cov,
                    implied.cov,
                    sample.mean if means else None,
                    implied.mean if means else None,
                    fixed,
                    np.zeros_like(fixed),
                    n_moments=len(fixed) * (len(fixed) + 1) // 2 + len(fixed) * bool(means),
                    complete=sample.complete,
                )
            )
        return result

    def asked_information(self, theta: np.ndarray, expected: bool = False) -> np.ndarray:
        """Return the information that is asked for; if none is, the expected or the observed one."""
        if self.asked is not None:
            expected = self.asked == "expected"
        return self.score(theta)[1] / 2 if expected else self.observed_information(theta)

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """Return the Hessian of the deviance."""
        return self.observed_information(theta) * 2

    def floor(self) -> float:
        """Return the deviance of the saturated model."""
        return sum(deviance(sample, sample.mean, sample.cov) for sample in self.samples)

    def with_layout(self, layout: Layout) -> NormalObjective:
        """Return the deviance of the same rows for another layout of the model."""
        places = enumerate(self.samples)
        structures = [Structure(layout, g, s.cov, s.mean) for g, s in places]
        return NormalObjective(structures, self.samples, len(layout.parameters), self.asked)

    def moments(self, model: Model, theta: np.ndarray) -> tuple[Names, list[np.ndarray]]:
        """Return what each mean and covariance is, and its derivatives (q, k), group by group."""
        modelled = modelled_moments(model, self.structures[0].mean_structure)
        variables, pairs = model.observed, zip(modelled.rows, modelled.columns, strict=True)
        names: list[tuple] = [("mean", frozenset([variables[i]])) for i in modelled.means]
        names += [("covariance", frozenset((variables[i], variables[j]))) for i, j in pairs]
        rows = [jacobian(modelled, s.derivatives(s.implied(theta))) for s in self.structures]
        return [names for _ in rows], deltas_of(self.structures, rows, self.k)

    def matching(self, other: NormalObjective, theta: np.ndarray) -> NormalObjective:
        """Return this model's deviance for complete rows with the moments of another."""
        samples = []
        for own, its, sample in zip(self.structures, other.structures, self.samples, strict=True):
            place, implied = [its.observed.index(name) for name in own.observed], its.implied(theta)
            samples.append(
                as_sample(sample, implied.mean[place], implied.cov[np.ix_(place, place)])
            )
        return NormalObjective(self.structures, samples, self.k, self.asked)

    def extended(
        self, place: int, theta: np.ndarray, new: Derivatives, reach: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return score and information with further parameters; see `Objective.extended`."""
        structure, sample = self.structures[place], self.samples[place]
        implied = structure.implied(theta)
        own = structure.derivatives(implied)
        moments = pattern_moments(sample, implied.mean, implied.cov)
        joined = _joined(own, new)
        return -gradient_rows(sample, moments, new) / 2, expected_rows(sample, moments, joined)

    def score_covariance(self, theta: np.ndarray) -> np.ndarray:
        """Return the cross-product of the scores; see `Objective.score_covariance`."""
        scores = self.casewise_scores(theta)
        return scores.T @ scores

    def extended_covariance(
        self, place: int, theta: np.ndarray, new: Derivatives, reach: np.ndarray
    ) -> np.ndarray:
        """Return the cross-product of the scores of the rows of one group."""
        structure, sample = self.structures[place], self.samples[place]
        implied = structure.implied(theta)
        joined = _joined(structure.derivatives(implied), new)
        rows = casewise_rows(sample, implied.mean, implied.cov, joined)
        scores = sample.design.independent(rows)
        return scores.T @ scores

    def casewise_scores(self, theta: np.ndarray) -> np.ndarray:
        """Return the gradient of each row's log-likelihood: (n, k), rows group by group.

        With weights or clusters, of what was drawn independently (`Design.independent`).
        """
        result = []
        for structure, sample in zip(self.structures, self.samples, strict=True):
            implied = structure.implied(theta)
            d = structure.derivatives(implied)
            rows = casewise_rows(sample, implied.mean, implied.cov, d)
            scores = np.zeros((sample.n, self.k))
            np.add.at(scores.T, structure.which, rows.T)
            result.append(sample.design.independent(scores))
        return np.concatenate(result)


def _joined(own: Derivatives, new: Derivatives) -> Derivatives:
    """Return the derivatives of free rows, then of further parameters."""
    return Derivatives(
        np.hstack([own.u, new.u]), np.hstack([own.v, new.v]), np.hstack([own.s, new.s])
    )


def as_sample(sample: Sample, mean: np.ndarray, cov: np.ndarray) -> Sample:
    """Return a sample of as many rows, without missing values, that has these moments."""
    n, p = sample.n, len(mean)
    return replace(
        sample,
        data=np.zeros((n, p)),
        pattern=np.zeros(n, dtype=int),
        seen=np.ones((1, p)),
        counts=np.array([float(n)]),
        means=mean[None],
        covs=cov[None],
        mean=mean,
        cov=cov,
        em_steps=0,
    )


def add_vector(total: np.ndarray, which: np.ndarray, rows: np.ndarray) -> None:
    """Add values of rows to the parameters that they belong to."""
    total += np.bincount(which, rows, minlength=len(total))


def add_matrix(total: np.ndarray, which: np.ndarray, rows: np.ndarray) -> None:
    """Add a matrix over rows to the parameters that they belong to."""
    if len(np.unique(which)) == len(which):
        total[np.ix_(which, which)] += rows
    else:
        np.add.at(total, (which[:, None], which[None, :]), rows)


def weighted_gradient(sample: Sample, moments: Patterns) -> tuple[np.ndarray, np.ndarray]:
    """Return (G, g): dD = tr(G dSigma) + g' dmu, summed over patterns."""
    weight, d, second = moments
    inner = weight - weight @ second @ weight
    matrix = np.einsum("k,kij->ij", sample.counts, inner)
    vector = -2 * np.einsum("k,kij,kj->i", sample.counts, weight, d)
    return matrix, vector


def _slopes(sample: Sample, implied: Implied) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the deviance, infinite if it has none, and (G, g) of its derivatives."""
    if not sample.complete:
        logdet = log_determinants(implied.cov, sample.seen)
        if not np.isfinite(logdet).all():
            return np.inf, np.empty(0), np.empty(0)
        moments = pattern_moments(sample, implied.mean, implied.cov)
        value = deviance_of(sample, logdet, moments[0], moments[2])
        return value, *weighted_gradient(sample, moments)
    n, p = sample.counts[0], len(implied.cov)  # one pattern: the same, with less ado
    try:
        logdet = 2 * np.log(np.diagonal(np.linalg.cholesky(implied.cov))).sum()
    except np.linalg.LinAlgError:
        return np.inf, np.empty(0), np.empty(0)
    weight, gap = np.linalg.inv(implied.cov), sample.means[0] - implied.mean
    product = weight @ (sample.covs[0] + np.outer(gap, gap))
    value = n * (logdet + np.trace(product) + p * LOG_2PI)
    return float(value), n * (weight - product @ weight), -2 * n * (weight @ gap)


def gradient_rows(sample: Sample, moments: Patterns, d: Derivatives) -> np.ndarray:
    """Return dD for each row of derivatives."""
    return _rows_of(*weighted_gradient(sample, moments), d)


def _rows_of(matrix: np.ndarray, vector: np.ndarray, d: Derivatives) -> np.ndarray:
    return 2 * np.einsum("ik,ik->k", d.u, matrix @ d.v) + d.s * (vector @ d.u)


def _blocks(n_patterns: int, size: int) -> list[slice]:
    """Cut patterns into blocks whose temporary arrays stay small."""
    step = max(1, BLOCK // max(size, 1))
    return [slice(start, start + step) for start in range(0, n_patterns, step)]


def _products(weight: np.ndarray, d: Derivatives) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return u'Wu, v'Wv and u'Wv of each pattern: (P, k, k)."""
    left, right = weight @ d.u, weight @ d.v
    return d.u.T @ left, d.v.T @ right, d.u.T @ right


def expected_rows(sample: Sample, moments: Patterns, d: Derivatives) -> np.ndarray:
    """Expected information: sum n [tr(W dS W dS) / 2 + dmu' W dmu], a matrix over rows."""
    k = d.u.shape[1]
    total = np.zeros((k, k))
    for block in _blocks(len(sample.counts), k * k):
        a, b, c = _products(moments[0][block], d)
        terms = a * b + c * c.transpose(0, 2, 1) + np.outer(d.s, d.s) * a
        total += np.einsum("k,kij->ij", sample.counts[block], terms)
    return total


def observed_rows(sample: Sample, moments: Patterns, d: Derivatives) -> np.ndarray:
    """Observed information of the rows, without the second derivatives of the moments.

    With E = 2 W T W - W:  tr(dS W dS E) / 2 + dmu' W dmu + d'W dS W dmu + (d'W dS W dmu)'.
    """
    k = d.u.shape[1]
    total = np.zeros((k, k))
    for block in _blocks(len(sample.counts), k * k):
        weight, gap, second = (part[block] for part in moments)
        a, b, c = _products(weight, d)
        ae, be, ce = _products(2 * weight @ second @ weight - weight, d)
        ct, cet = c.transpose(0, 2, 1), ce.transpose(0, 2, 1)
        terms = 0.5 * (ct * ce + b * ae + a * be + c * cet) + np.outer(d.s, d.s) * a
        pull = np.einsum("kij,kj->ki", weight, gap)
        mixed = ((pull @ d.u)[:, :, None] * ct + (pull @ d.v)[:, :, None] * a) * d.s
        terms += mixed + mixed.transpose(0, 2, 1)
        total += np.einsum("k,kij->ij", sample.counts[block], terms)
    return total


def curvature(
    structure: Structure, theta: np.ndarray, matrix: np.ndarray, vector: np.ndarray
) -> np.ndarray:
    """Half of the second derivatives of tr(G Sigma) + g' mu, for given G and g: (k, k)."""
    result = np.zeros((len(theta), len(theta)))
    rows = curvature_rows(structure, structure.implied(theta), matrix, vector)
    add_matrix(result, structure.which, rows / 2)
    return result


def casewise_rows(sample: Sample, mean: np.ndarray, cov: np.ndarray, d: Derivatives) -> np.ndarray:
    """Return the gradient of each case's log-likelihood for each row of derivatives: (n, rows).

    u'WrWv - u'Wv + s u'Wr, with r the residuals of the case.
    """
    weight, pull = weighted_residuals(sample, mean, cov)
    left, right = pull @ d.u, pull @ d.v
    constant = np.einsum("ik,nij,jk->nk", d.u, weight, d.v, optimize=True)
    return left * right - constant[sample.pattern] + d.s * left
