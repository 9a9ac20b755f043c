"""Scores on latent variables behind ordered answers: the mode of their distribution, row by row.

Of a row with covariates x and answers y, independent given the latent variables eta:

    log p(eta | y, x) = sum_j log p(y_j | eta, x) - (eta - m)' P (eta - m) / 2

with m and the inverse of P the mean and variance of eta given x (empirical Bayes modal: "ebm").
"ml" is the maximum of the likelihood; as in lavaan it has a P of 1e-5, so that a row of extreme
answers only has a finite one.

In lavaan 0.6-14 the thresholds of a later group whose means or scales are free have mean and scale
taken out, and the responses have them too: they count twice. Here they count once, so that the
shares of the categories are those that the model implies; a test shows both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr
from scipy.stats import norm

from semfit.fitting.fitting import Fit
from semfit.moments.implied import THRESHOLD, Structure

FAINT = 1e-5  # precision that stands for no prior
STEPS = 200
TIED = 1e-6  # correlation of residuals that is one
TOLERANCE = 1e-10
LOG_ROOT = np.log(2 * np.pi) / 2


@dataclass(frozen=True)
class _Answers:
    """How the answers of rows depend on latent variables: (n, p) but slopes (p, m), spread (p,)."""

    level: np.ndarray  # of the response behind a variable where the latent variables are 0
    slopes: np.ndarray
    spread: np.ndarray  # residual standard deviations
    low: np.ndarray  # of ordered answers: thresholds around them
    high: np.ndarray
    value: np.ndarray  # of numeric ones
    ordered: np.ndarray  # (p,) of bool
    seen: np.ndarray

    def derivatives(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return log-likelihood (n,), and its first and second derivatives to responses (n, p)."""
        centre = self.level + eta @ self.slopes.T
        a, b = (self.low - centre) / self.spread, (self.high - centre) / self.spread
        flip = a > 0  # the tail that is small is computed exactly
        a, b = np.where(flip, -b, a), np.where(flip, -a, b)
        log_p = log_ndtr(b) + np.log1p(-np.exp(np.minimum(log_ndtr(a) - log_ndtr(b), -1e-16)))
        at_a, at_b = (np.exp(norm.logpdf(end) - log_p) for end in (a, b))
        first = np.where(flip, -1, 1) * (at_a - at_b) / self.spread
        ends = np.where(np.isfinite(b), b, 0) * at_b - np.where(np.isfinite(a), a, 0) * at_a
        second = -ends / self.spread**2 - first**2
        z = (self.value - centre) / self.spread
        log_p = np.where(self.ordered, log_p, -(z**2) / 2 - np.log(self.spread) - LOG_ROOT)
        first = np.where(self.ordered, first, z / self.spread)
        second = np.where(self.ordered, second, -1 / self.spread**2)
        parts = (np.where(self.seen, part, 0.0) for part in (log_p, first, second))
        log_p, first, second = parts
        return log_p.sum(axis=1), first, second


def modes(fit: Fit, g: int, values: np.ndarray, with_prior: bool) -> np.ndarray:
    """Return the scores of rows (n, p) of a group: (n, m); NaN of an empty row.

    NaN too where a residual variance is not positive: then answers have no probability.
    """
    structure = fit.objective.fitted[g]
    k, found = structure.n_latent, structure.implied(fit.point.theta)
    variance = found.latent_cov[:k, :k]
    modelled = ~np.isin(structure.observed, structure.covariates)
    x = values[:, ~modelled]
    to_latents = found.inverse[:k, structure.exogenous_places]
    mean = found.latent_mean[:k] + x @ to_latents.T
    slopes = np.linalg.solve(variance, found.cross_cov[modelled][:, :k].T).T
    left = found.cov[np.ix_(modelled, modelled)] - slopes @ variance @ slopes.T
    _check_independent(structure, left, modelled)
    residual = np.diag(left)
    if not (residual > 0).all():
        return np.full((len(values), k), np.nan)
    expected = found.mean[modelled] + x @ found.total[modelled][:, structure.exogenous_places].T
    ends = _limits(fit, structure, found.values, values[:, modelled], modelled)
    answers = _Answers(
        expected - mean @ slopes.T,
        slopes,
        np.sqrt(residual),
        *ends,
        np.nan_to_num(values[:, modelled]),
        np.isin(np.array(structure.observed)[modelled], fit.layout.ordered),
        ~np.isnan(values[:, modelled]),
    )
    precision = np.linalg.inv(variance) if with_prior else FAINT * np.eye(k)
    eta = _climb(answers, mean, precision)
    eta[~answers.seen.any(axis=1)] = np.nan
    return eta


def _check_independent(structure: Structure, left: np.ndarray, kept: np.ndarray) -> None:
    """Refuse answers that depend on each other through paths, given the latent variables.

    Correlated residuals of indicators are left out of account, as in lavaan.
    """
    names = [name for name, keep in zip(structure.observed, kept, strict=True) if keep]
    inner = np.isin(names, structure.structural)
    scale = np.sqrt(np.abs(np.outer(np.diag(left), np.diag(left))))
    tied = (
        (np.abs(left) > TIED * scale) & (inner[:, None] & inner) & ~np.eye(len(names), dtype=bool)
    )
    if tied.any():
        first, second = np.argwhere(tied)[0]
        raise ValueError(
            f"No scores: {names[first]!r} and {names[second]!r} depend on each other when the latent "
            "variables are known, as one predicts the other or their residuals covary. Give them "
            "latent variables of their own."
        )


def _limits(
    fit: Fit, structure: Structure, parameters: np.ndarray, values: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the thresholds below and above each ordered answer, infinite at the ends."""
    low, high = np.full(values.shape, -np.inf), np.full(values.shape, np.inf)
    names = [name for name, keep in zip(structure.observed, kept, strict=True) if keep]
    for name in fit.layout.ordered:
        rows = (structure.kind == THRESHOLD) & (structure.row == structure.observed.index(name))
        cuts = parameters[rows][np.argsort(structure.column[rows])]
        levels, column = np.unique(fit.rows[name].dropna()), names.index(name)
        answers = values[:, column]
        seen = ~np.isnan(answers)
        if not np.isin(answers[seen], levels).all():
            odd = answers[seen][~np.isin(answers[seen], levels)][0]
            raise ValueError(f"{name!r} has the value {odd:g}, which was not in the fit.")
        place = np.searchsorted(levels, answers[seen])
        padded = np.concatenate([[-np.inf], cuts, [np.inf]])
        low[seen, column], high[seen, column] = padded[place], padded[place + 1]
    return low, high


def _climb(answers: _Answers, mean: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Return where the log density of each row is largest; Newton, steps halved where needed."""
    eta = mean.copy()
    value, first, second = _density(answers, eta, mean, precision)
    for _ in range(STEPS):
        move = np.linalg.solve(-second, first[..., None])[..., 0]
        length = np.ones(len(eta))
        for _ in range(40):
            tried = eta + length[:, None] * move
            new = _density(answers, tried, mean, precision)
            worse = ~(new[0] >= value - 1e-12 * np.abs(value))
            if not worse.any():
                break
            length[worse] /= 2
        eta, (value, first, second) = tried, new
        if np.abs(length[:, None] * move).max(initial=0) < TOLERANCE:
            break
    return eta


def _density(
    answers: _Answers, eta: np.ndarray, mean: np.ndarray, precision: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the log density (n,), gradient (n, m) and Hessian (n, m, m) of each row."""
    log_p, first, second = answers.derivatives(eta)
    gap = eta - mean
    value = log_p - np.einsum("nm,mk,nk->n", gap, precision, gap) / 2
    gradient = first @ answers.slopes - gap @ precision
    hessian = np.einsum("np,pm,pk->nmk", second, answers.slopes, answers.slopes) - precision
    return value, gradient, hessian
