"""Likelihoods of pairs of variables that are normal, underneath their categories if ordered.

The correlation of a pair is estimated with the thresholds, means and variances of its variables
held fixed (two-step maximum likelihood): polychoric for two ordered variables (Olsson 1979),
polyserial for a numeric and an ordered one (Olsson, Drasgow & Dorans 1982), Pearson's for two
numeric ones. All pairs are estimated at once: arrays are pairs x rows, where a row is a cell of the
contingency table or, with covariates, a respondent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, owens_t

BEYOND = 40.0  # stands for infinity: density and tail of the normal are 0 there
LIMIT = 0.999  # a correlation that runs up to it has no maximum inside (-1, 1)
SMALLEST = 1e-13  # rectangle probabilities below it are rounding error
MAX_STEPS = 100
STEP_TOLERANCE = 1e-8  # the step after it would be about its square

Two = tuple[np.ndarray, np.ndarray]
PairScores = tuple[np.ndarray, Two, Two]  # derivatives of log-likelihoods, see `scores`
Corner = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # of two limits and rho

# --- the normal distribution ----------------------------------------------------------------------


def normal_density(z: np.ndarray) -> np.ndarray:
    """The standard normal density."""
    return np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


def interval_probability(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """P(lower < Z < upper), to relative precision in either tail."""
    flip = lower > 0  # 1 - 1e-17 is 1, but 1e-17 is itself
    return ndtr(np.where(flip, -lower, upper)) - ndtr(np.where(flip, -upper, lower))


def bivariate_normal_cdf(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """P(X < h, Y < k) of standard normal X and Y with correlation rho.

    Parameters
    ----------
    h, k, rho : arrays that broadcast
        +-`BEYOND` and more is infinity; rho in (-1, 1).

    Returns
    -------
    ndarray
        Exact to about 1e-15, by Owen's (1956) T function:
        (Phi(h) + Phi(k)) / 2 - T(h, (k/h - rho) / s) - T(k, (h/k - rho) / s) - [hk < 0] / 2, with
        s = sqrt(1 - rho^2). R: ``mvtnorm::pmvnorm(upper = c(h, k), corr = r)``.
    """
    h, k, rho = np.broadcast_arrays(h, k, rho)
    beyond = (np.abs(h) >= BEYOND) | (np.abs(k) >= BEYOND)
    result = np.array(np.minimum(ndtr(h), ndtr(k)))  # right when one of them is infinite
    inside = ~beyond
    h, k, rho = h[inside], k[inside], rho[inside]
    h, k = np.where(h == 0, 1e-200, h), np.where(k == 0, 1e-200, k)  # the limits are continuous
    s = np.sqrt((1 - rho) * (1 + rho))
    tails = owens_t(h, (k - rho * h) / (h * s)) + owens_t(k, (h - rho * k) / (k * s))
    result[inside] = (ndtr(h) + ndtr(k)) / 2 - tails - np.where((h < 0) != (k < 0), 0.5, 0)
    return result


def bivariate_normal_density(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """The density, which is also the derivative of the distribution function to rho."""
    rest = (1 - rho) * (1 + rho)
    return np.exp(-(h * h - 2 * rho * h * k + k * k) / (2 * rest)) / (2 * np.pi * np.sqrt(rest))


def bivariate_normal_bend(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """The derivative of the density to rho."""
    rest = (1 - rho) * (1 + rho)
    factor = rho * rest + h * k * (1 + rho * rho) - rho * (h * h + k * k)
    return bivariate_normal_density(h, k, rho) * factor / rest**2


# --- the likelihoods of pairs ---------------------------------------------------------------------


def intervals(
    thresholds: np.ndarray, codes: np.ndarray, predicted: np.ndarray | float = 0.0
) -> Two:
    """Between which limits the latent response of each row lies.

    Parameters
    ----------
    thresholds : ndarray (pairs, K + 1)
        From -`BEYOND` to `BEYOND`.
    codes : int ndarray, (rows,) or (pairs, rows)
        Category, from 0.
    predicted : ndarray (pairs, rows)
        What the covariates predict; taken off.

    Returns
    -------
    lower, upper : ndarray (pairs, rows)
    """
    codes = np.broadcast_to(codes, (len(thresholds), codes.shape[-1]))
    ends = [np.take_along_axis(thresholds, codes + one, axis=1) for one in (0, 1)]
    lower, upper = (np.where(np.abs(end) < BEYOND, end - predicted, end) for end in ends)
    return lower, upper


@dataclass(frozen=True)
class OrderedPairs:
    """Pairs of ordered variables. Arrays (pairs, rows); `weights` counts the respondents."""

    lower1: np.ndarray
    upper1: np.ndarray
    lower2: np.ndarray
    upper2: np.ndarray
    weights: np.ndarray
    limit = LIMIT

    def _rectangle(self, function: Corner, rho: np.ndarray) -> np.ndarray:
        """A function of two limits, added up over the corners of each rectangle."""
        right = function(self.upper1, self.upper2, rho) - function(self.upper1, self.lower2, rho)
        left = function(self.lower1, self.upper2, rho) - function(self.lower1, self.lower2, rho)
        return right - left

    def _probability(self, rho: np.ndarray) -> np.ndarray:
        return np.maximum(self._rectangle(bivariate_normal_cdf, rho), SMALLEST)

    def derivatives(self, rho: np.ndarray) -> Two:
        """First and second derivative of each pair's log-likelihood to rho (pairs,)."""
        rho = rho[:, None]
        probability = self._probability(rho)
        slope = self._rectangle(bivariate_normal_density, rho) / probability
        bend = self._rectangle(bivariate_normal_bend, rho) / probability
        first = (self.weights * slope).sum(axis=1)
        return first, (self.weights * (bend - slope**2)).sum(axis=1)

    def estimate(self, start: np.ndarray) -> np.ndarray:
        """The polychoric correlations (pairs,)."""
        return maximise(self.derivatives, start)

    def scores(self, rho: np.ndarray) -> PairScores:
        """Derivatives of each row's log-likelihood (pairs, rows).

        To rho; to (upper, lower) limit of the first variable; to those of the second. Olsson
        (1979), equations 8 to 13.
        """
        rho = rho[:, None]
        probability = self._probability(rho)
        own, other = (self.lower1, self.upper1), (self.lower2, self.upper2)
        return (
            self._rectangle(bivariate_normal_density, rho) / probability,
            self._limits(own, other, rho, probability),
            self._limits(other, own, rho, probability),
        )

    @staticmethod
    def _limits(own: Two, other: Two, rho: np.ndarray, probability: np.ndarray) -> Two:
        s = np.sqrt((1 - rho) * (1 + rho))

        def edge(limit: np.ndarray) -> np.ndarray:
            given = [(end - rho * limit) / s for end in other]
            return normal_density(limit) * interval_probability(*given) / probability

        return edge(own[1]), -edge(own[0])


@dataclass(frozen=True)
class MixedPairs:
    """Pairs of a numeric variable, first, and an ordered one. Arrays (pairs, rows).

    `z` is the standardised residual of the numeric variable, `sd` (pairs, 1) what it was divided
    by. The likelihood is the density of z times P(lower < Y < upper | z). `weights` count the rows.
    """

    z: np.ndarray
    sd: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    weights: np.ndarray | float = 1.0
    limit = LIMIT

    def _parts(self, rho: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """s = sqrt(1 - rho^2), the standardised limits given z, and the probability."""
        s = np.sqrt((1 - rho) * (1 + rho))
        ends = [(end - rho * self.z) / s for end in (self.lower, self.upper)]
        return s, ends, np.maximum(interval_probability(*ends), np.finfo(float).tiny)

    def derivatives(self, rho: np.ndarray) -> Two:
        """First and second derivative of each pair's log-likelihood to rho (pairs,)."""
        rho = rho[:, None]
        s, ends, probability = self._parts(rho)
        slopes, bends = [], []
        for limit, end in zip((self.lower, self.upper), ends, strict=True):
            density = normal_density(end) / probability
            turn = (limit * rho - self.z) / s**3  # derivative of the standardised limit
            slopes.append(density * turn)
            bends.append(density * (limit / s**3 + 3 * rho * turn / s**2 - end * turn**2))
        slope = slopes[1] - slopes[0]
        bend = bends[1] - bends[0] - slope**2
        return (self.weights * slope).sum(axis=1), (self.weights * bend).sum(axis=1)

    def estimate(self, start: np.ndarray) -> np.ndarray:
        """The polyserial correlations (pairs,)."""
        return maximise(self.derivatives, start)

    def scores(self, rho: np.ndarray) -> PairScores:
        """Derivatives of each row's log-likelihood (pairs, rows).

        To rho; to (mean, variance) of the numeric variable; to (upper, lower) limit of the ordered
        one. Olsson, Drasgow & Dorans (1982), appendix.
        """
        rho = rho[:, None]
        s, ends, probability = self._parts(rho)
        low, high = (normal_density(end) / (s * probability) for end in ends)
        turn = (high * (self.upper * rho - self.z) - low * (self.lower * rho - self.z)) / s**2
        toward = self.z + rho * (high - low)
        spread = (self.z * toward - 1) / (2 * self.sd**2)
        return turn, (toward / self.sd, spread), (high, -low)


@dataclass(frozen=True)
class NumericPairs:
    """Pairs of numeric variables: standardised residuals (pairs, rows), and sd (pairs, 1).

    `weights` count the rows, 0 where one of the two is missing.
    """

    z1: np.ndarray
    sd1: np.ndarray
    z2: np.ndarray
    sd2: np.ndarray
    weights: np.ndarray | float = 1.0
    limit = 1.0

    def estimate(self, start: np.ndarray) -> np.ndarray:
        """The correlations (pairs,) by maximum likelihood.

        Pearson's where means and variances are those of the rows of the pair; not with gaps, when
        each variable has those of its own rows.
        """
        weights = np.broadcast_to(self.weights, self.z1.shape)
        total = weights.sum(axis=1)
        first, second, cross = (
            (weights * part).sum(axis=1) / total
            for part in (self.z1**2, self.z2**2, self.z1 * self.z2)
        )
        squares = first + second
        if np.abs(np.r_[first - 1, second - 1]).max(initial=0) < STEP_TOLERANCE:
            return cross

        def derivatives(rho: np.ndarray) -> Two:
            rest = (1 - rho) * (1 + rho)
            inner = cross * (1 + rho**2) - rho * squares
            bend = (1 + rho**2 + 2 * rho * cross - squares) / rest**2 + 4 * rho * inner / rest**3
            return rho / rest + inner / rest**2, bend

        return maximise(derivatives, start)

    def scores(self, rho: np.ndarray) -> PairScores:
        """Derivatives (pairs, rows) to rho, to (mean, variance) of the first, of the second.

        Of the bivariate normal density.
        """
        rho = rho[:, None]
        rest = (1 - rho) * (1 + rho)
        first, second = (self.z1 - rho * self.z2) / rest, (self.z2 - rho * self.z1) / rest
        return (
            rho / rest + first * second,
            (first / self.sd1, (self.z1 * first - 1) / (2 * self.sd1**2)),
            (second / self.sd2, (self.z2 * second - 1) / (2 * self.sd2**2)),
        )


def maximise(derivatives: Callable[[np.ndarray], Two], start: np.ndarray) -> np.ndarray:
    """Where log-likelihoods of one parameter each, a correlation, have their maximum.

    Newton's method for all at once, inside a bracket that the sign of the first derivative narrows;
    where a step would leave it, the bracket is halved instead.
    """
    rho = np.clip(start, -0.9, 0.9)
    low, high = np.full(len(rho), -LIMIT), np.full(len(rho), LIMIT)
    for _ in range(MAX_STEPS):
        slope, bend = derivatives(rho)
        low, high = np.where(slope > 0, rho, low), np.where(slope > 0, high, rho)
        new = rho - slope / np.where(bend < 0, bend, np.nan)
        new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
        done = np.abs(new - rho).max(initial=0) < STEP_TOLERANCE
        rho = new
        if done:
            return rho
    raise ValueError(f"A correlation did not converge within {MAX_STEPS} steps.")
