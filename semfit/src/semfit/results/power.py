"""Monte Carlo power: a model is fitted to many samples of a population (Muthén & Muthén 2002)."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from semfit.fitting.fitting import Fit, fit
from semfit.fitting.requirements import has_solution
from semfit.results.drawfile import DrawFile, fingerprint
from semfit.results.population import Population, population_of
from semfit.results.simulation import draw, sizes_of
from semfit.syntax.model import Model, read_model

OF_THE_DATA = ("group", "groups", "sampling_weights", "cluster")  # options of a fit
KEY = ["lhs", "op", "rhs", "group"]
GROUP = "group"
RULES = ("std_lv", "effect_coding", "orthogonal", "auto_var", "fixed_x")
NOTHING = 1e-8  # a true value of which there is no relative bias
EXACT = 2000  # rows of each group whose moments are exactly those of a population

Result = dict[str, Any]  # of one draw: n, draw, converged, improper, reason, estimate, se


@dataclass(frozen=True, eq=False)
class Power:
    """What many samples of a population tell of an analysis.

    Attributes
    ----------
    table : DataFrame
        A row for each n and free parameter or ``:=`` effect: n (rows of each group), lhs, op, rhs,
        group, population (its true value), mean, bias (mean minus population), relative_bias, sd (of
        the estimates over draws), mean_se, coverage (share of intervals that hold the true value),
        power (share with p < alpha), power_se (its Monte Carlo standard error), draws (those that
        these are of).
    convergence : DataFrame
        A row for each n: draws, converged, failed, improper (of those that converged: with a
        negative variance or latent covariances that are not positive definite; they are kept), share
        (that converged).
    draws : DataFrame
        A row for each draw and parameter: n, draw, lhs, op, rhs, group, estimate, se.
    reasons : dict of str to int
        Why draws failed.
    """

    table: pd.DataFrame = field(repr=False)
    convergence: pd.DataFrame
    draws: pd.DataFrame = field(repr=False)
    reasons: dict[str, int]


@dataclass(frozen=True, eq=False)
class _Analysis:
    """What is done with each sample."""

    population: Population
    model: Model
    options: dict[str, Any]
    seed: int

    def sample(self, n: int, number: int) -> pd.DataFrame:
        """Return draw `number` of n rows a group: of the seed alone, whoever makes it."""
        random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(n, number)))
        return draw(self.population, sizes_of(self.population, n), random, GROUP)

    def __call__(self, n: int, number: int) -> Result:
        """Return the estimates of a draw, or why there are none."""
        result: Result = {"n": n, "draw": number, "converged": False, "improper": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each draw that fails is counted
            try:
                found = fit(self.model, self.sample(n, number), **self.options)
            except ValueError as error:
                return result | {"reason": str(error)}
        if not has_solution(found):
            return result | {"reason": found.problems["what"].iloc[0]}
        rows = parameters_of(found)
        improper = (found.problems["severity"] == "warning") & found.problems["code"].str.contains(
            "negative_variance|not_positive_definite"
        )
        return result | {
            "converged": True,
            "improper": bool(improper.any()),
            "reason": "",
            "estimate": rows["estimate"].tolist(),
            "se": rows["se"].tolist(),
            "rows": rows[KEY].to_numpy().tolist(),
        }


def power(
    population: Fit | Model | str | Path,
    n: int | Sequence[int],
    draws: int = 500,
    seed: int = 1,
    *,
    model: Model | str | Path | None = None,
    alpha: float = 0.05,
    workers: int = 1,
    progress: bool = True,
    resume: str | Path | None = None,
    **options: Any,
) -> Power:
    """Estimate the power of an analysis by fitting it to samples of a population.

    Parameters
    ----------
    population : Fit, Model, path or text
        What is true, as `simulate` takes it.
    n : int or sequence of int
        Rows of each group; several give a power curve.
    draws : int
        Samples for each n.
    seed : int
        The same seed gives the same samples, whatever the number of workers.
    model : Model, path or text, optional
        What is fitted. Default: the model of a fit; a text with values has none that is free.
    alpha : float
        A parameter counts as found where p < alpha; intervals have confidence 1 - alpha.
    workers : int
        Processes.
    progress : bool
        Show a progress bar on standard error, if that is a terminal.
    resume : path, optional
        A file to which each draw is added when it is ready. Called again, with more draws or n or
        after a break, what is in it is not done again. It is refused for another analysis.
    **options
        Of `fit`: estimator, missing, ordered ... Groups are in the column "group".

    Returns
    -------
    Power
        R: ``simsem::sim(draws, n = n, model, generate = population)``; ``summaryParam()``.

    Raises
    ------
    ValueError
        As `simulate`; no model to fit, no draw that converges, a file of another analysis.

    Notes
    -----
    Draws without a solution are counted, and left out of all but the share of convergence. The true
    value of a parameter is what `model` has when it is fitted to the moments of the population
    itself, by maximum likelihood: so it is right in every parameterization, and of a model that is
    wrong it is the value that its estimates tend to. Of ordered variables it is that of their
    responses (thresholds: less its intercept), right where the model is; of several groups of them
    it is not known (NaN), and with it bias and coverage.

    Examples
    --------
    >>> import semfit
    >>> result = semfit.power("y ~ 0.3*x", 100, draws=40, model="y ~ x", progress=False)
    >>> result.table[["lhs", "op", "rhs", "population", "power", "draws"]].round(2)
      lhs  op rhs  population  power  draws
    0   y   ~   x         0.3   0.82     40
    1   y  ~~   y         1.0   1.00     40
    """
    analysis = _analysis(population, model, seed, options)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha} must lie between 0 and 1, as 0.05.")
    sizes = sorted({int(size) for size in np.atleast_1d(n)})
    if not isinstance(draws, int | np.integer) or draws < 2:
        raise ValueError(f"draws={draws!r} must be a whole number from 2; 500 or more are usual.")
    for size in sizes:
        sizes_of(analysis.population, size)
    asked = list(product(sizes, range(draws)))
    done = _results(analysis, asked, workers, progress, resume)
    return _summarised(analysis, [done[key] for key in asked], sizes, alpha)


def _analysis(source: Any, model: Any, seed: int, options: dict[str, Any]) -> _Analysis:
    population = population_of(source)
    if model is None and not isinstance(source, Fit):
        raise ValueError("model=: which model is to be fitted? In the population all has a value.")
    if isinstance(source, Fit):
        own = {k: v for k, v in source.options.items() if k not in OF_THE_DATA}
        options = (own if model is None else {}) | options
        model = source.model if model is None else model
    if len(population.groups) > 1:
        options = {"group": GROUP, **options}
    read = model if isinstance(model, Model) else read_model(model)
    return _Analysis(population, read, options, int(seed))


def parameters_of(found: Fit) -> pd.DataFrame:
    """Return estimate and standard error of every free parameter and ``:=`` effect."""
    free = found.estimates[found.estimates["free"]]
    defined = found.defined.rename(columns={"name": "lhs", "formula": "rhs"})
    defined = defined.assign(op=":=", group="")
    parts = [free, defined] if len(defined) else [free]
    return pd.concat([p[[*KEY, "estimate", "se"]] for p in parts], ignore_index=True)


# ---- the draws -----------------------------------------------------------------------------------


def _results(
    analysis: _Analysis,
    asked: list[tuple[int, int]],
    workers: int,
    progress: bool,
    resume: str | Path | None,
) -> dict[tuple[int, int], Result]:
    """Return the result of each draw, from the file where it is there; each is written at once."""
    from tqdm import tqdm

    file = DrawFile(resume, fingerprint(analysis)) if resume is not None else None
    done = {(r["n"], r["draw"]): r for r in (file.read() if file else [])}
    left = [key for key in asked if key not in done]
    bar = tqdm(
        total=len(asked),
        initial=len(asked) - len(left),
        desc="draws",
        mininterval=0.5,
        file=sys.stderr,
        disable=None if progress else True,  # None: off where there is no terminal
    )
    with bar:
        for result in _made(analysis, left, workers):
            if file:
                file.add(result)
            done[result["n"], result["draw"]] = result
            bar.update()
    return done


def _made(analysis: _Analysis, keys: Sequence[tuple[int, int]], workers: int) -> Iterator[Result]:
    if workers == 1:
        yield from (analysis(*key) for key in keys)
        return
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=workers, return_as="generator_unordered")
    yield from parallel(delayed(analysis)(*key) for key in keys)


# ---- what they tell ------------------------------------------------------------------------------


def _summarised(
    analysis: _Analysis, results: Sequence[Result], sizes: Sequence[int], alpha: float
) -> Power:
    found = [result for result in results if result["converged"]]
    failed = pd.Series([r["reason"] for r in results if not r["converged"]], dtype=object)
    reasons = {str(reason): int(count) for reason, count in failed.value_counts().items()}
    if not found:
        raise ValueError(f"None of the {len(results)} draws has a solution: {reasons}.")
    draws = pd.concat([_rows(result) for result in found], ignore_index=True)
    truth = true_values(analysis, draws[KEY].drop_duplicates(ignore_index=True))
    grouped = draws.merge(truth, on=KEY, how="left").groupby(["n", *KEY], sort=False)
    rows = [_row(key, part, alpha) for key, part in grouped]
    convergence = [_convergence(n, [r for r in results if r["n"] == n]) for n in sizes]
    return Power(pd.DataFrame(rows), pd.DataFrame(convergence), draws, reasons)


def _rows(result: Result) -> pd.DataFrame:
    """Return the rows of a draw; a standard error that is not known is NaN."""
    rows = pd.DataFrame(result["rows"], columns=KEY)
    rows.insert(0, "n", result["n"])
    rows.insert(1, "draw", result["draw"])
    numbers = {name: np.array(result[name], dtype=float) for name in ("estimate", "se")}
    return rows.assign(**numbers)


def _row(key: Any, part: pd.DataFrame, alpha: float) -> dict[str, Any]:
    """Return what the draws of a parameter tell."""
    part = part[part["se"].notna()]
    estimate, se, truth = (part[name].to_numpy() for name in ("estimate", "se", "population"))
    z, m = norm.ppf(1 - alpha / 2), len(part)
    value = truth[0] if m else np.nan
    known = m > 1
    share = np.mean(np.abs(estimate / se) > z) if known else np.nan
    bias = estimate.mean() - value if known else np.nan
    return {
        **dict(zip(["n", *KEY], key, strict=True)),
        "population": value,
        "mean": estimate.mean() if known else np.nan,
        "bias": bias,
        "relative_bias": bias / value if abs(value) > NOTHING else np.nan,
        "sd": estimate.std(ddof=1) if known else np.nan,
        "mean_se": se.mean() if known else np.nan,
        "coverage": np.mean(np.abs(estimate - value) <= z * se)
        if known and np.isfinite(value)
        else np.nan,
        "power": share,
        "power_se": np.sqrt(share * (1 - share) / m) if known else np.nan,
        "draws": m,
    }


def _convergence(n: int, results: Sequence[Result]) -> dict[str, Any]:
    converged = sum(r["converged"] for r in results)
    return {
        "n": n,
        "draws": len(results),
        "converged": converged,
        "failed": len(results) - converged,
        "improper": sum(r["improper"] for r in results),
        "share": converged / len(results),
    }


# ---- what is true --------------------------------------------------------------------------------


def true_values(analysis: _Analysis, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the population value of each parameter, NaN where it is not known."""
    population, options = analysis.population, analysis.options
    ordered = bool(options.get("ordered"))
    if ordered and len(population.groups) > 1:
        return rows.assign(population=np.nan)
    kept = ("group", "equal", "free", "labels", "mean_structure", *RULES)
    asked = {name: value for name, value in options.items() if name in kept}
    asked |= {"mean_structure": True} if ordered else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fit(analysis.model, exact_rows(population), **asked)
    values = parameters_of(found)[[*KEY, "estimate"]]
    values = values.rename(columns={"estimate": "population"})
    result = rows.merge(values.drop_duplicates(KEY), on=KEY, how="left")
    if not has_solution(found):
        return result.assign(population=np.nan)
    if ordered:
        _add_thresholds(result, population, found)
    return result


def _add_thresholds(rows: pd.DataFrame, population: Population, found: Fit) -> None:
    """Enter the thresholds: those of the population, less the intercept of the response."""
    intercepts = found.estimates[found.estimates["op"] == "~1"].set_index("lhs")["estimate"]
    for i in rows.index[rows["op"] == "|"]:
        name, number = rows.loc[i, "lhs"], int(rows.loc[i, "rhs"][1:]) - 1
        cuts = population.thresholds[0].get(name, np.empty(0))
        if number < len(cuts):
            rows.loc[i, "population"] = cuts[number] - intercepts[name]


def exact_rows(population: Population) -> pd.DataFrame:
    """Return rows whose means and covariances (over n) are exactly those of the population."""
    frames: list[pd.DataFrame] = []
    p = len(population.names)
    for cov, mean, label in _groups(population):
        noise = np.random.default_rng(0).standard_normal((max(EXACT, 5 * p), p))
        noise -= noise.mean(axis=0)
        root = np.linalg.cholesky(noise.T @ noise / len(noise))
        white = np.linalg.solve(root, noise.T).T
        values, vectors = np.linalg.eigh(cov)
        rows = mean + white @ (vectors * np.sqrt(np.maximum(values, 0))).T
        frame = pd.DataFrame(rows, columns=list(population.names))
        frames.append(frame.assign(**{GROUP: label}) if label else frame)
    return pd.concat(frames, ignore_index=True)


def _groups(population: Population) -> Iterable[tuple[np.ndarray, np.ndarray, str]]:
    return zip(population.cov, population.mean, population.groups, strict=True)
