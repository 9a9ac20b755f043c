"""Which rows are drawn, and many refits to them: the draws of the bootstrap, and its jackknife.

What refits comes from the estimator of the fit (`fitting.refits`). Draw number i of a seed is the
same whatever the number of workers or the backend.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import pandas as pd

from semfit.fitting.fitting import Fit, estimator_under
from semfit.fitting.refits import Refit, Refitted, Times
from semfit.fitting.requirements import check_solution
from semfit.fitting.threads import one_thread
from semfit.messages import Message

RowsOf: TypeAlias = Callable[[int, Sequence[int]], Times]
Chunk: TypeAlias = tuple[RowsOf, range]

CHUNK = 25  # draws of one task at most


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


@dataclass(frozen=True, eq=False)
class Clusters:
    """Draws of whole clusters, and all but one of them: rows of a cluster come and go together.

    Attributes
    ----------
    groups : list of ndarray (n_g,) of int
        Cluster of each row, from 0 within its group.
    """

    groups: list[np.ndarray]

    @property
    def sizes(self) -> list[int]:
        """Number of clusters of each group."""
        return [int(clusters.max()) + 1 for clusters in self.groups]

    def drawn(self, seed: int, number: int, _: Sequence[int]) -> list[np.ndarray]:
        """Return `draw_rows` of clusters: as many as there are, within groups."""
        return self._rows(draw_rows(seed, number, self.sizes))

    def left_out(self, number: int, _: Sequence[int]) -> list[np.ndarray]:
        """Return `all_but` of clusters."""
        return self._rows(all_but(number, self.sizes))

    def _rows(self, times: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [part[clusters] for part, clusters in zip(times, self.groups, strict=True)]


def clusters_of(fit: Fit) -> Clusters | None:
    """Return the clusters that a fit's rows were drawn in; None if it has none."""
    if fit.options["cluster"] is None:
        return None
    return Clusters([sample.design.clusters for sample in fit.objective.samples])


# ---- many refits ---------------------------------------------------------------------------------


def refit_of(fit: Fit) -> Refit:
    """Return the function that refits a fit's model to resampled rows.

    Raises
    ------
    ValueError
        The fit did not converge, or is not identified.
    """
    check_solution(fit, "bootstrap")
    return estimator_under(fit.options).refit(fit.point, fit.objective, _frames(fit))


def _frames(fit: Fit) -> list[pd.DataFrame]:
    """Return the rows of each group."""
    columns = list(fit.model.observed)
    if fit.group is None:
        return [fit.rows[columns]]
    return [fit.rows.loc[(fit.rows[fit.group] == g).to_numpy(), columns] for g in fit.groups]


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
    # numbers that overflow are those of a search that went astray, which turns back from them
    with one_thread(), np.errstate(all="ignore"):
        return [refit(rows(number, refit.sizes)) for number in numbers]


def bootstrap_rows(seed: int, clusters: Clusters | None = None) -> RowsOf:
    """Return the function of (number, sizes) that draws the rows of a seed, or their clusters."""
    return partial(draw_rows if clusters is None else clusters.drawn, seed)
