"""Rows drawn from a population: of a fit, or of a model with values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semfit.fitting.fitting import Fit
from semfit.results.population import Population, population_of
from semfit.syntax.model import Model


def simulate(
    model: Fit | Model | str | Path,
    n: int | Sequence[int] | Mapping[str, int],
    seed: int = 1,
    *,
    group: str = "group",
    missing_share: float = 0.0,
) -> pd.DataFrame:
    """Draw rows from a population.

    Parameters
    ----------
    model : Fit, Model, path or text
        A fit: its estimates are the population. A model: numbers before its terms are
        (``f =~ 0.8*x1 + 0.7*x2``; ``c(0.8, 0.6)*x1`` for groups; ``x1 | -1*t1 + 0.5*t2`` makes x1
        ordered).
    n : int, sequence or mapping of int
        Rows of each group; one number is that of every group.
    seed : int
        The same seed gives the same rows.
    group : str
        The column of the group, where there are several and the model is no fit: "1", "2" ...
    missing_share : float
        This share of the values of all variables but covariates is made missing, completely at
        random.

    Returns
    -------
    DataFrame
        A column for each observed variable, categories as 1, 2 ... or as in the data of the fit. R:
        ``simulateData(model, sample.nobs = n)``, but for the random numbers.

    Raises
    ------
    ValueError
        A loading, path or threshold without value, an improper population, a number of rows that is
        none, or that goes with other groups.

    Notes
    -----
    Variables are normal, with the moments that the model implies. Defaults: the first loading is 1
    where none is given, variances are 1 (of a dependent variable: the residual), covariances, means
    and intercepts 0; covariates have variance 1, do not covary, and are drawn too. The response
    behind an ordered variable has variance 1 given the covariates, less the variance of the model.
    lavaan makes a loading without value 1, and a path 0: here it is refused.

    Examples
    --------
    >>> import semfit
    >>> text = "f =~ 0.8*x1 + 0.7*x2 + 0.6*x3; f ~ 0.4*age; x3 | -0.5*t1 + 0.5*t2"
    >>> semfit.simulate(text, 3, seed=2).round(2)
         x1    x2   x3   age
    0  0.25 -0.51  2.0 -2.40
    1  2.38  2.20  3.0  1.30
    2  0.37 -0.50  3.0 -0.19
    """
    population = population_of(model)
    sizes = sizes_of(population, n)
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed={seed!r} must be a whole number from 0: it makes draws repeatable.")
    if not 0 <= missing_share < 1:
        raise ValueError(f"missing_share={missing_share} must lie from 0 to below 1.")
    name = model.group if isinstance(model, Fit) else group
    return draw(population, sizes, np.random.default_rng(seed), name or group, missing_share)


def sizes_of(population: Population, n: Any) -> list[int]:
    """Return the number of rows of each group."""
    groups = population.groups
    if isinstance(n, Mapping):
        if set(map(str, n)) != set(groups):
            raise ValueError(f"n= must name the groups {', '.join(groups)}.")
        sizes = [{str(k): v for k, v in n.items()}[label] for label in groups]
    else:
        sizes = [n] * len(groups) if isinstance(n, Integral) else list(n)
    whole = all(isinstance(size, int | np.integer) and size > 0 for size in sizes)
    if len(sizes) != len(groups) or not whole:
        raise ValueError(
            f"n={n!r} must be a number of rows, or one for each of the {len(groups)} group(s)."
        )
    return [int(size) for size in sizes]


def draw(
    population: Population,
    sizes: Sequence[int],
    random: np.random.Generator,
    group: str,
    missing_share: float = 0.0,
) -> pd.DataFrame:
    """Return rows of a population, groups one after the other."""
    frames = []
    for g, size in enumerate(sizes):
        noise = random.standard_normal((size, len(population.names)))
        values = population.mean[g] + noise @ _root(population.cov[g]).T
        frame = pd.DataFrame(values, columns=list(population.names))
        for name, cuts in population.thresholds[g].items():
            frame[name] = population.levels[name][np.searchsorted(cuts, frame[name])]
        if missing_share:
            kept = [name for name in population.names if name not in population.covariates]
            gone = random.random((size, len(kept))) < missing_share
            frame[kept] = frame[kept].mask(gone)
        if len(population.groups) > 1:
            frame[group] = population.groups[g]
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _root(cov: np.ndarray) -> np.ndarray:
    """Return a matrix R with R R' = cov, which may be singular."""
    try:
        return np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(cov)
        return vectors * np.sqrt(np.maximum(values, 0))
