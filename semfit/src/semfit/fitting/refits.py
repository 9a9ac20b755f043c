"""Refits of a model to resampled rows of a fit: the draws of the bootstrap, and its jackknife.

A refit makes no tables. It starts from the estimates of the fit, and BFGS starts from the inverse of
the fit's information: a step costs one gradient, no information matrix, and the end is some ten
steps away. An estimator returns its `Refit` (`Estimator.refit`); which rows are drawn is no matter of
this room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from semfit.fitting.constrained import Reduced, kernel
from semfit.fitting.estimates import Point
from semfit.fitting.requirements import COLLINEAR
from semfit.fitting.search import minimise, minimum, places
from semfit.fitting.starts import Start, Starts
from semfit.messages import Message, message
from semfit.moments.normal import NormalObjective
from semfit.moments.objective import Objective
from semfit.moments.sample import Sample, expectation_maximisation, resample
from semfit.syntax.parameters import Layout

Times: TypeAlias = Sequence[np.ndarray]  # how often each row of each group is there
Refitted: TypeAlias = tuple[np.ndarray, np.ndarray, Message | None]  # raw, standardised, problem

STEPS = 300
TOLERANCE = 1e-6  # distance to the solution at which the search ends, in standard errors
FLAT = 1e-8  # squared distance below which the deviance is flat to rounding: no check of the step
ROUGH = 50  # steps of EM for starting values

NOT_CONVERGED = message("refit_not_converged")
SINGULAR = message("refit_singular")
NEGATIVE = message("refit_negative_variance")
NOT_POSITIVE = message("refit_not_positive_definite")
IMPROPER = (NEGATIVE, NOT_POSITIVE)


class Refit(Protocol):
    """What refits a model to resampled rows: one class for each way of fitting."""

    @property
    def point(self) -> Point:
        """The fit."""

    @property
    def sizes(self) -> list[int]:
        """Number of rows of each group."""

    def __call__(self, times: Times) -> Refitted:
        """Refit to the rows, each taken so many times; see `NormalRefit`."""


@dataclass(frozen=True, eq=False)
class NormalRefit:
    """Refits by maximum likelihood, rows complete or not (ML and MLR have the same estimates).

    Attributes
    ----------
    point : estimates.Point
        The fit.
    samples : list of sample.Sample
    inverse : ndarray (k, k)
        Of the fit's information.
    names : tuple of str
        The observed variables.
    """

    point: Point
    samples: list[Sample]
    inverse: np.ndarray
    names: tuple[str, ...]

    @property
    def sizes(self) -> list[int]:
        """Number of rows of each group."""
        return [sample.n for sample in self.samples]

    def __call__(self, times: Times) -> Refitted:
        """Refit to the rows, each taken so many times.

        Parameters
        ----------
        times : list of ndarray (n_g,) of int

        Returns
        -------
        values, standardised : ndarray (r,)
            Of each row of the parameter table; NaN if the refit failed.
        problem : Message or None
            Why it failed, or why the solution is improper.
        """
        samples = [resample(s, t) for s, t in zip(self.samples, times, strict=True)]
        problem = next(filter(None, (sample_problem(s, self.names) for s in samples)), None)
        if problem:
            return failed(self.point, problem)
        parts = zip(self.point.structures, samples, strict=True)
        structures = [structure.at_sample(s.cov, s.mean) for structure, s in parts]
        objective = NormalObjective(structures, samples, len(self.point.theta))
        if self.point.layout.restrictions:
            return solved(self.point, objective, self._restricted(objective))
        theta = quasi_newton(objective, self.point.theta, self.inverse)
        if theta is None:
            theta = self._second_try(samples, objective)
        return solved(self.point, objective, theta)

    def _restricted(self, objective: NormalObjective) -> np.ndarray | None:
        """Return where the search under the layout's restrictions ends, None if nowhere.

        Linear equalities are substituted, and the search is as fast as without.
        """
        limits, theta = self.point.layout.restrictions, self.point.theta
        if limits.linear and not limits.has_inequalities:
            free = kernel(limits.equality_jacobian(theta))
            reduced = Reduced(objective, theta, free)
            start = np.zeros(reduced.k)
            x = quasi_newton(reduced, start, free.T @ self.inverse @ free)
            if x is not None:
                return reduced.theta(x)
        found = minimise(objective, self.point.layout, theta)
        return found.theta if found.converged else None

    def _second_try(
        self, samples: Sequence[Sample], objective: NormalObjective
    ) -> np.ndarray | None:
        """Return where a search from the starting values of a new fit ends, None if nowhere.

        In a small sample the fit's estimates can be further from a solution.
        """
        means, covs = zip(*map(_rough_moments, samples), strict=True)
        cov = np.average(covs, axis=0, weights=self.sizes)
        layout, start = self.point.layout, Start(cov, means)
        starts = Starts(layout, start)
        for at in places(starts, layout, start, 1):
            found = minimum(objective, at, starts.units)
            if found.converged:
                return found.theta
        return None


def _rough_moments(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean, cov) to start a search with: of complete rows, or after some steps of EM."""
    if sample.complete:
        return sample.mean, sample.cov
    parts = sample.seen, sample.counts, sample.means, sample.covs
    return expectation_maximisation(*parts, ROUGH)[:2]


def failed(point: Point, problem: Message) -> Refitted:
    """Return what a refit without a solution returns."""
    nothing = np.full(len(point.layout.table), np.nan)
    return nothing, nothing, problem


def solved(point: Point, objective: Objective, theta: np.ndarray | None) -> Refitted:
    """Return what a refit returns, given where its search ended (None: nowhere)."""
    if theta is None:
        return failed(point, NOT_CONVERGED)
    values = np.concatenate([s.implied(theta).values for s in objective.structures])
    standardised = point.standardised(theta, objective.structures)
    return values, standardised, solution_problem(point.layout, objective, theta, values)


def sample_problem(sample: Sample, names: Sequence[str]) -> Message | None:
    """Return why no model can be fitted to a sample: a constant, or a singular matrix."""
    values = np.where(sample.seen[sample.pattern] > 0, sample.data, np.nan)
    constant = np.fmax.reduce(values) - np.fmin.reduce(values) <= 0
    unseen = ~(sample.seen > 0).any(axis=0)
    if (constant | unseen).any():
        variable = names[int(np.argmax(constant | unseen))]
        return message("refit_constant_variable", variable=variable)
    known = np.isfinite(np.diag(sample.cov))
    cov = sample.cov[np.ix_(known, known)]
    scale = np.sqrt(np.diag(cov))
    singular = len(cov) and np.linalg.eigvalsh(cov / np.outer(scale, scale))[0] < COLLINEAR
    return SINGULAR if singular else None


def solution_problem(
    layout: Layout, objective: Objective, theta: np.ndarray, values: np.ndarray
) -> Message | None:
    """Return why a solution is improper."""
    if (values[layout.variances] < 0).any():
        return NEGATIVE
    for cov in objective.latent_covs(theta):
        spectrum = np.linalg.eigvalsh(cov) if len(cov) else np.ones(1)
        if spectrum[0] < -1e-8 * spectrum[-1]:
            return NOT_POSITIVE
    return None


def quasi_newton(
    objective: NormalObjective | Reduced, start: np.ndarray, inverse: np.ndarray
) -> np.ndarray | None:
    """Minimise half the deviance by BFGS with step halving (Nocedal & Wright 2006, chapter 6).

    Parameters
    ----------
    objective : NormalObjective or Reduced
    start : ndarray (k,)
    inverse : ndarray (k, k)
        First inverse Hessian; that of a fit nearby makes the first step a Newton step.

    Returns
    -------
    ndarray (k,) or None
        None if the search did not end within `TOLERANCE` of a solution.
    """
    theta, (value, slope) = start, _half(objective, start)
    if not np.isfinite(value):
        return None
    for _ in range(STEPS):
        move = inverse @ slope
        distance = slope @ move
        if not 0 <= distance < np.inf:
            return None
        if distance < TOLERANCE**2:
            return theta
        for length in 0.5 ** np.arange(25):
            new = theta - length * move
            new_value, new_slope = _half(objective, new)
            enough = value - 1e-4 * length * distance
            if new_value < enough or (distance < FLAT and np.isfinite(new_value)):
                break
        else:
            return None
        inverse = _updated(inverse, new - theta, new_slope - slope)
        theta, value, slope = new, new_value, new_slope
    return None


def _half(objective: NormalObjective | Reduced, theta: np.ndarray) -> tuple[float, np.ndarray]:
    value, slope = objective.value_and_gradient(theta)
    return value / 2, slope / 2


def _updated(inverse: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return the inverse Hessian after a step that changed the gradient so (BFGS)."""
    curvature = step @ change
    if curvature <= 0:
        return inverse
    turned = inverse @ change
    growth = (1 + change @ turned / curvature) / curvature
    cross = np.outer(turned, step) / curvature
    return inverse + growth * np.outer(step, step) - cross - cross.T
