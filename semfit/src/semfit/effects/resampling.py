"""Refits of a model to resampled rows: the draws of the bootstrap, and its jackknife.

A refit makes no tables. It starts from the estimates of the fit, and BFGS starts from the inverse of
the fit's information: a step costs one gradient, no information matrix, and the end is some ten
steps away. Draw number i of a seed is the same whatever the number of workers or the backend.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd

from semfit.fitting.estimates import Point
from semfit.fitting.fitting import Fit
from semfit.fitting.inference import invert
from semfit.fitting.requirements import COLLINEAR
from semfit.messages import Message, message
from semfit.moments.normal import NormalObjective
from semfit.moments.sample import Sample, expectation_maximisation, resample
from semfit.syntax.parameters import Layout

Times: TypeAlias = Sequence[np.ndarray]  # how often each row of each group is there
Refitted: TypeAlias = tuple[np.ndarray, np.ndarray, Message | None]  # raw, standardised, problem
RowsOf: TypeAlias = Callable[[int, Sequence[int]], Times]
Chunk: TypeAlias = tuple[RowsOf, range]

STEPS = 300
TOLERANCE = 1e-6  # distance to the solution at which the search ends, in standard errors
FLAT = 1e-8  # squared distance below which the deviance is flat to rounding: no check of the step
ROUGH = 50  # steps of EM for starting values
CHUNK = 25  # draws of one task at most

NOT_CONVERGED = message("refit_not_converged")
SINGULAR = message("refit_singular")
NEGATIVE = message("refit_negative_variance")
NOT_POSITIVE = message("refit_not_positive_definite")
IMPROPER = (NEGATIVE, NOT_POSITIVE)


# ---- which rows ----------------------------------------------------------------------------------


def draw_rows(seed: int, number: int, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return how often each row of each group is in draw `number`: a list of ndarray (n_g,).

    Every draw has a generator of its own, the child that ``SeedSequence(seed).spawn`` would give it.
    Rows are drawn within groups, as ``lavaan::bootstrapLavaan`` does.
    """
    draws = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    return [np.bincount(draws.integers(n, size=n), minlength=n) for n in sizes]


def all_but(number: int, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return how often each row is there when row `number` (through all groups) is left out."""
    times = np.ones(sum(sizes), dtype=int)
    times[number] = 0
    return np.split(times, np.cumsum(sizes)[:-1])


# ---- one refit -----------------------------------------------------------------------------------


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
        theta = quasi_newton(objective, self.point.theta, self.inverse)
        if theta is None:
            theta = self._second_try(samples, objective)
        return solved(self.point, objective, theta)

    def _second_try(
        self, samples: Sequence[Sample], objective: NormalObjective
    ) -> np.ndarray | None:
        """Return where a search from the starting values of a new fit ends, None if nowhere.

        In a small sample the fit's estimates can be further from a solution than semopy's.
        """
        from semfit.fitting.search import semopy_search, start_vector

        means, covs = zip(*map(_rough_moments, samples), strict=True)
        cov = np.average(covs, axis=0, weights=self.sizes)
        ends, _ = semopy_search(self.point.layout.model, cov)
        for values in ends:
            start = start_vector(self.point.layout, values, means)
            theta = _from_afar(objective, start)
            if theta is not None:
                return theta
        return None


def _from_afar(objective: NormalObjective, start: np.ndarray) -> np.ndarray | None:
    """Return where BFGS ends that knows only the diagonal of the information at its start."""
    if not np.isfinite(objective.value(start)):
        return None
    curvature = np.diag(objective.score(start)[1]) / 2
    return quasi_newton(objective, start, np.diag(1 / curvature)) if (curvature > 0).all() else None


def _rough_moments(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean, cov) to start a search with: of complete rows, or after some steps of EM."""
    if sample.complete:
        return sample.mean, sample.cov
    parts = sample.seen, sample.counts, sample.means, sample.covs
    return expectation_maximisation(*parts, ROUGH)[:2]


@dataclass(frozen=True, eq=False)
class OrderedRefit:
    """Refits by WLSMV. Most of the time goes into polychoric correlations and their variances.

    Attributes
    ----------
    point : estimates.Point
        The fit.
    frames : list of DataFrame
        Rows of each group.
    levels : dict of str to ndarray
        Ordered variables and their categories.
    """

    point: Point
    frames: list[pd.DataFrame]
    levels: Mapping[str, np.ndarray]

    @property
    def sizes(self) -> list[int]:
        """Number of rows of each group."""
        return [len(frame) for frame in self.frames]

    def __call__(self, times: Times) -> Refitted:
        """Refit to the rows, each taken so many times; see `NormalRefit`."""
        from semfit.fitting.dwls import DwlsObjective, statistics_of
        from semfit.fitting.search import scoring

        layout = self.point.layout
        frames = [
            f.iloc[np.repeat(np.arange(len(f)), t)] for f, t in zip(self.frames, times, strict=True)
        ]
        for frame in frames:
            for name, levels in self.levels.items():
                if frame[name].nunique() < len(levels):
                    return failed(self.point, message("refit_empty_category", variable=name))
        try:
            with warnings.catch_warnings(action="ignore"):  # correlations near 1, draw after draw
                statistics = [
                    statistics_of(layout.model, layout.ordered, self.levels, f) for f in frames
                ]
        except ValueError as error:
            text = str(error).split(":")[0]
            return failed(self.point, message("refit_refused", text=text))
        objective = DwlsObjective(layout, statistics)
        found = scoring(objective, self.point.theta)
        return solved(self.point, objective, found.theta if found.converged else None)


def refit_of(fit: Fit) -> Refit:
    """Return the function that refits a fit's model to resampled rows.

    The one place that tells estimators apart: another one needs an object with `point`, `sizes` and
    ``__call__`` like those of `NormalRefit`.

    Raises
    ------
    ValueError
        The fit did not converge, or is not identified.
    """
    if np.isnan(fit.point.vcov).any():
        raise ValueError(
            "This fit has no standard errors (not converged, or its information is singular), so "
            "there is nothing to start from: see fit.problems, and change the model."
        )
    if fit.estimator == "WLSMV":
        levels = {name: np.unique(fit.rows[name]) for name in fit.layout.ordered}
        return OrderedRefit(fit.point, _frames(fit), levels)
    inverse = invert(fit.objective.observed_information(fit.point.theta))
    if inverse is None:
        inverse = invert(fit.objective.score(fit.point.theta)[1] / 2)
    return NormalRefit(fit.point, fit.objective.samples, inverse, fit.model.observed)


def _frames(fit: Fit) -> list[pd.DataFrame]:
    """Return the rows of each group."""
    columns = list(fit.model.observed)
    if fit.group is None:
        return [fit.rows[columns]]
    return [fit.rows.loc[(fit.rows[fit.group] == g).to_numpy(), columns] for g in fit.groups]


def failed(point: Point, problem: Message) -> Refitted:
    """Return what a refit without a solution returns."""
    nothing = np.full(len(point.layout.table), np.nan)
    return nothing, nothing, problem


def solved(point: Point, objective: Any, theta: np.ndarray | None) -> Refitted:
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
    unseen = np.isnan(values).all(axis=0)
    if (constant | unseen).any():
        variable = names[int(np.argmax(constant | unseen))]
        return message("refit_constant_variable", variable=variable)
    known = np.isfinite(np.diag(sample.cov))
    cov = sample.cov[np.ix_(known, known)]
    scale = np.sqrt(np.diag(cov))
    singular = len(cov) and np.linalg.eigvalsh(cov / np.outer(scale, scale))[0] < COLLINEAR
    return SINGULAR if singular else None


def solution_problem(
    layout: Layout, objective: Any, theta: np.ndarray, values: np.ndarray
) -> Message | None:
    """Return why a solution is improper."""
    table = layout.table
    variance = (table["op"] == "~~").to_numpy() & (table["lhs"] == table["rhs"]).to_numpy()
    if (values[variance] < 0).any():
        return NEGATIVE
    for cov in objective.latent_covs(theta):
        spectrum = np.linalg.eigvalsh(cov) if len(cov) else np.ones(1)
        if spectrum[0] < -1e-8 * spectrum[-1]:
            return NOT_POSITIVE
    return None


def quasi_newton(
    objective: NormalObjective, start: np.ndarray, inverse: np.ndarray
) -> np.ndarray | None:
    """Minimise half the deviance by BFGS with step halving (Nocedal & Wright 2006, chapter 6).

    Parameters
    ----------
    objective : NormalObjective
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


def _half(objective: NormalObjective, theta: np.ndarray) -> tuple[float, np.ndarray]:
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


# ---- many refits ---------------------------------------------------------------------------------


def run(
    refit: Refit,
    tasks: Sequence[tuple[RowsOf, int]],
    n_jobs: int | None = 1,
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray, list[Message | None]]:
    """Refit many times.

    Parameters
    ----------
    refit : Refit
    tasks : list of (function, int)
        Function of (number, sizes) that returns the rows of a refit, and how many refits.
    n_jobs : int or None
        1: no other process is started. Else as `joblib.Parallel` understands it, in the backend
        that ``joblib.parallel_config`` sets.
    progress : bool
        Show a bar, where standard error is a terminal.

    Returns
    -------
    values, standardised : ndarray (refits, r)
    problems : list of Message or None
        In the order of the tasks.
    """
    from tqdm import tqdm

    total = sum(count for _, count in tasks)
    size = max(1, min(CHUNK, total // 8))
    chunks = [
        (rows, range(start, min(start + size, count)))
        for rows, count in tasks
        for start in range(0, count, size)
    ]
    found: list[Refitted] = []
    disable = None if progress else True  # None: off where there is no terminal
    with tqdm(total=total, desc="refits", mininterval=0.5, file=sys.stderr, disable=disable) as bar:
        for part in _results(refit, chunks, n_jobs):
            found += part
            bar.update(len(part))
    values, standardised, problems = zip(*found, strict=True)
    return np.array(values), np.array(standardised), list(problems)


def _results(refit: Refit, chunks: Sequence[Chunk], n_jobs: int | None) -> Iterable[list[Refitted]]:
    if n_jobs == 1:
        return (_chunk(refit, *chunk) for chunk in chunks)
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=n_jobs, return_as="generator")
    return parallel(delayed(_chunk)(refit, *chunk) for chunk in chunks)


def _chunk(refit: Refit, rows: RowsOf, numbers: range) -> list[Refitted]:
    from threadpoolctl import threadpool_limits

    # numbers that overflow are those of a search that went astray, which turns back from them
    with threadpool_limits(limits=1, user_api="blas"), np.errstate(all="ignore"):
        return [refit(rows(number, refit.sizes)) for number in numbers]


def bootstrap_rows(seed: int) -> RowsOf:
    """Return the function of (number, sizes) that draws the rows of a seed."""
    return partial(draw_rows, seed)
