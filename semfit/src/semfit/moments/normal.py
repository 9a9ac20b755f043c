"""Maximum likelihood for normal variables, complete or with missing values (FIML).

Everything is a sum over groups and patterns of missing values. With W the inverse of the observed
part of Sigma, T the second moments of a pattern about mu, d the deviation of its mean, and the
derivatives u, v, s of `implied`:

    D  = sum n [log|Sigma| + tr(W T)]                         deviance, -2 log-likelihood
    dD = u' (2 sum n (W - W T W)) v - s (2 sum n W d)' u

Information is that of the log-likelihood, for all rows together (not per row).
"""

import numpy as np

from semfit.moments.sample import (
    GroupFit,
    deviance,
    deviance_of,
    embedded_inverse,
    log_determinants,
    second_moments,
)

STEP = 1e-20  # of the complex-step derivative: exact to rounding, as nothing is subtracted
BLOCK = 4_000_000  # numbers in one temporary array


class NormalObjective:
    """Deviance of several groups as a function of the free parameters.

    Parameters
    ----------
    structures : list of implied.Structure
    samples : list of sample.Sample
        In the same order.
    n_parameters : int
    """

    def __init__(self, structures, samples, n_parameters):
        self.structures, self.samples, self.k = structures, samples, n_parameters
        self.n = sum(sample.n for sample in samples)

    def value(self, theta):
        """Return the deviance at `theta`, infinity where a covariance matrix is improper."""
        total = 0.0
        for structure, sample in zip(self.structures, self.samples, strict=True):
            implied = structure.implied(theta)
            total += deviance(sample, implied.mean, implied.cov)
            if not np.isfinite(total):
                return np.inf
        return total

    def value_and_gradient(self, theta):
        """Return the deviance and its gradient; infinity and zeros where a matrix is improper."""
        total, gradient = 0.0, np.zeros(self.k)
        for structure, sample in zip(self.structures, self.samples, strict=True):
            implied = structure.implied(theta)
            logdet = log_determinants(implied.cov, sample.seen)
            if not np.isfinite(logdet).all():
                return np.inf, np.zeros(self.k)
            moments = pattern_moments(sample, implied.mean, implied.cov)
            total += deviance_of(sample, logdet, moments[0], moments[2])
            rows = gradient_rows(sample, moments, structure.derivatives(implied))
            add_vector(gradient, structure.which, rows)
        return total, gradient

    def score(self, theta):
        """Return the gradient of the deviance, and its expected Hessian (twice the information)."""
        gradient, hessian = np.zeros(self.k), np.zeros((self.k, self.k))
        for structure, sample in zip(self.structures, self.samples, strict=True):
            implied = structure.implied(theta)
            d = structure.derivatives(implied)
            moments = pattern_moments(sample, implied.mean, implied.cov)
            add_vector(gradient, structure.which, gradient_rows(sample, moments, d))
            add_matrix(hessian, structure.which, 2 * expected_rows(sample, moments, d))
        return gradient, hessian

    def observed_information(self, theta):
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

    def group_fits(self, theta):
        """Return the sample and implied moments of each group, as `measures.GroupFit`."""
        result = []
        for structure, sample in zip(self.structures, self.samples, strict=True):
            implied = structure.implied(theta)
            fixed = np.isin(structure.observed, structure.covariates)
            means = (sample.mean, implied.mean) if structure.mean_structure else (None, None)
            result.append(
                GroupFit(
                    sample.n,
                    structure.observed,
                    sample.cov,
                    implied.cov,
                    *means,
                    fixed,
                    np.zeros_like(fixed),
                )
            )
        return result

    def latent_covs(self, theta):
        """Return the implied covariance matrix of the latent variables of each group."""
        return [s.implied(theta).latent_cov[: s.n_latent, : s.n_latent] for s in self.structures]

    def casewise_scores(self, theta):
        """Return the gradient of each row's log-likelihood: (n, k), rows group by group."""
        result = []
        for structure, sample in zip(self.structures, self.samples, strict=True):
            implied = structure.implied(theta)
            d = structure.derivatives(implied)
            rows = casewise_rows(sample, implied.mean, implied.cov, d)
            scores = np.zeros((sample.n, self.k))
            np.add.at(scores.T, structure.which, rows.T)
            result.append(scores)
        return np.concatenate(result)


def add_vector(total, which, rows):
    """Add values of rows to the parameters that they belong to."""
    total += np.bincount(which, rows, minlength=len(total))


def add_matrix(total, which, rows):
    """Add a matrix over rows to the parameters that they belong to."""
    if len(np.unique(which)) == len(which):
        total[np.ix_(which, which)] += rows
    else:
        np.add.at(total, (which[:, None], which[None, :]), rows)


def pattern_moments(sample, mean, cov):
    """Return (W, d, T) of each pattern: (P, p, p), (P, p), (P, p, p)."""
    weight = embedded_inverse(cov, sample.seen)
    d, second = second_moments(mean, sample.seen, sample.means, sample.covs)
    return weight, d, second


def weighted_gradient(sample, moments):
    """Return (G, g): dD = tr(G dSigma) + g' dmu, summed over patterns."""
    weight, d, second = moments
    inner = weight - weight @ second @ weight
    matrix = np.einsum("k,kij->ij", sample.counts, inner)
    vector = -2 * np.einsum("k,kij,kj->i", sample.counts, weight, d)
    return matrix, vector


def gradient_rows(sample, moments, d):
    """Return dD for each row of derivatives."""
    matrix, vector = weighted_gradient(sample, moments)
    return 2 * np.einsum("ik,ik->k", d.u, matrix @ d.v) + d.s * (vector @ d.u)


def _blocks(n_patterns, size):
    """Cut patterns into blocks whose temporary arrays stay small."""
    step = max(1, BLOCK // max(size, 1))
    return [slice(start, start + step) for start in range(0, n_patterns, step)]


def _products(weight, d):
    """Return u'Wu, v'Wv and u'Wv of each pattern: (P, k, k)."""
    left, right = weight @ d.u, weight @ d.v
    return d.u.T @ left, d.v.T @ right, d.u.T @ right


def expected_rows(sample, moments, d):
    """Expected information: sum n [tr(W dS W dS) / 2 + dmu' W dmu], a matrix over rows."""
    k = d.u.shape[1]
    total = np.zeros((k, k))
    for block in _blocks(len(sample.counts), k * k):
        a, b, c = _products(moments[0][block], d)
        terms = a * b + c * c.transpose(0, 2, 1) + np.outer(d.s, d.s) * a
        total += np.einsum("k,kij->ij", sample.counts[block], terms)
    return total


def observed_rows(sample, moments, d):
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


def curvature(structure, theta, matrix, vector):
    """Half of the second derivatives of tr(G Sigma) + g' mu, for given G and g: (k, k)."""
    k = len(theta)
    result = np.zeros((k, k))
    for column in np.unique(structure.which):
        point = theta.astype(complex)
        point[column] += 1j * STEP
        d = structure.derivatives(structure.implied(point))
        rows = 2 * np.einsum("ik,ik->k", d.u, matrix @ d.v) + d.s * (vector @ d.u)
        result[:, column] += np.bincount(structure.which, rows.imag / STEP, minlength=k) / 2
    return result


def weighted_residuals(sample, mean, cov):
    """Return W of each pattern (P, p, p), and W r of each case (n, p), r its residuals."""
    weight = embedded_inverse(cov, sample.seen)
    pull = np.empty_like(sample.data)
    for k, seen in enumerate(sample.seen):
        rows = sample.pattern == k
        pull[rows] = ((sample.data[rows] - mean) * seen) @ weight[k]
    return weight, pull


def casewise_rows(sample, mean, cov, d):
    """Return the gradient of each case's log-likelihood for each row of derivatives: (n, rows).

    u'WrWv - u'Wv + s u'Wr, with r the residuals of the case.
    """
    weight, pull = weighted_residuals(sample, mean, cov)
    left, right = pull @ d.u, pull @ d.v
    constant = np.einsum("ik,nij,jk->nk", d.u, weight, d.v, optimize=True)
    return left * right - constant[sample.pattern] + d.s * left
