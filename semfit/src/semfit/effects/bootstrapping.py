"""The bootstrap of a fit: its tables, percentile and BCa intervals. `resampling` makes the draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from semfit.effects.resampling import (
    RowsOf,
    all_but,
    bootstrap_rows,
    clusters_of,
    refit_of,
    run,
)
from semfit.fitting.estimates import NO_VARIATION
from semfit.fitting.fitting import Fit
from semfit.fitting.refits import IMPROPER
from semfit.messages import Message, message, told

INTERVALS = ("both", "percentile", "bca")
COLUMNS = ["boot_se", "bias", "ci_low", "ci_high", "p", "bca_low", "bca_high", "bca_p"]
ROW = ["lhs", "op", "rhs", "group", "label"]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """A bootstrap of a fit.

    Attributes
    ----------
    estimates : DataFrame
        Every free parameter: lhs, op, rhs, group, label, estimate, boot_se (standard deviation over
        draws), bias (mean over draws minus estimate), ci_low, ci_high (percentile), p, bca_low,
        bca_high, bca_p.
    standardized : DataFrame
        The same of the completely standardised solution (std_all instead of estimate), fixed
        loadings included; NaN where it does not vary.
    defined : DataFrame
        The same of the ``:=`` effects, with name and formula; their standardised versions in
        std_all, std_boot_se ... std_bca_p.
    draws : DataFrame, draws x free parameters
        NaN for failed draws.
    n_draws, n_failed, n_improper : int
        Draws asked for; those without a solution, which are left out; and those with a negative
        variance or a latent covariance matrix that is not positive definite. These are kept: leaving
        them out would cut off one tail of a distribution.
    reasons : dict of str to int
        Failed and improper draws by reason.
    seed : int
    confidence : float
    message : str
        One sentence: draws, rows, failed and improper draws.
    message_parts : tuple of (str, dict)
        The sentence as a code of ``semfit.MESSAGES`` and the values of its fields.
    """

    estimates: pd.DataFrame = field(repr=False)
    standardized: pd.DataFrame = field(repr=False)
    defined: pd.DataFrame = field(repr=False)
    draws: pd.DataFrame = field(repr=False)
    n_draws: int
    n_failed: int
    n_improper: int
    reasons: dict[str, int]
    seed: int
    confidence: float
    message: str
    message_parts: tuple[Message, ...] = field(repr=False)


def bootstrap(
    fit: Fit,
    draws: int = 2000,
    seed: int = 1,
    n_jobs: int | None = 2,
    confidence: float = 0.95,
    interval: str = "both",
    progress: bool = True,
) -> Bootstrap:
    """Bootstrap a fit: rows are drawn with replacement, within groups, and the model is refitted.

    Parameters
    ----------
    fit : Fit
    draws : int
    seed : int
        Draw i has a generator of its own, so that the numbers depend on the seed alone, not on
        `n_jobs` or the backend.
    n_jobs : int or None
        1: in this process. Other numbers and None as in `joblib.Parallel`, in the backend that
        ``joblib.parallel_config`` sets; None takes its number of workers (with "dask": all).
    confidence : float
    interval : {"both", "percentile", "bca"}
        Without "percentile" ci_low and ci_high are NaN, without "bca" bca_low and bca_high; "bca"
        takes one refit more for every row of the data, each about half the time of a draw.
    progress : bool
        Show a progress bar on standard error, if that is a terminal.

    Returns
    -------
    Bootstrap
        R: ``bootstrapLavaan(fit, R = draws)`` and ``parameterEstimates(fit, boot.ci.type = "perc")``
        after ``se = "bootstrap"``.

    Raises
    ------
    ValueError
        A fit without a solution, too few draws for the confidence, or too few that converge.

    Notes
    -----
    All rows that the fit used are drawn, with fiml also incomplete ones; of a fit with clusters, whole
    clusters are drawn, as many as there are, and left out for the acceleration. A row keeps its
    sampling weight; in each draw weights are scaled anew. A draw starts from the
    fit's estimates and ends within 1e-6 standard errors of its own (WLSMV: where `fit` ends).
    Covariates have their moments in the draw.

    Quantiles are interpolated on the normal scale, between ranks of draws + 1, as "norm.inter" of
    ``boot::boot.ci`` and so lavaan's "perc" (Davison & Hinkley 1997, section 5.2.1). BCa
    (Efron 1987): with z0 from the share of draws below the estimate (ties count half),

        level = Phi(z0 + z / (1 - a z)),   z = z0 +- 1.96,   a = sum l^3 / (6 (sum l^2)^1.5)

    with l of a row (n_g - 1) / n_g times the mean of the group's delete-one estimates minus that
    without the row. This is the jackknife proper, every model refitted; lavaan's "bca" estimates a
    by a regression on resampling frequencies, which needs more draws than rows.

    p is the smallest alpha at which the interval of confidence 1 - alpha leaves out 0, so that it is
    below .05 where the 95 % interval leaves out 0. With g the level of the quantile that is 0,

        p = 2 min(g, 1 - g);   bca_p = 2 min(Phi(z), Phi(-z)),  z = w / (1 + a w) - z0,
                               w = Phi^-1(g) - z0

    and 2 / (draws + 1) where 0 lies beyond all draws: less cannot be told. R:
    ``boot.pval::boot.pval(boot, type = "perc")``, which looks for it on a grid.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; g ~ f + age")
    >>> fit = semfit.fit(model, semfit.example_data())
    >>> boot = semfit.bootstrap(fit, 50, n_jobs=1, interval="percentile", progress=False)
    >>> boot.message
    '50 bootstrap draws of 200 rows (seed 1): 0 failed, 0 improper.'
    >>> paths = boot.estimates[boot.estimates["op"] == "~"]
    >>> paths[["lhs", "rhs", "estimate", "boot_se", "ci_low", "ci_high"]].round(2)
      lhs  rhs  estimate  boot_se  ci_low  ci_high
    4   g    f      0.54     0.11    0.28     0.81
    5   g  age      0.19     0.05    0.07     0.28
    """
    check_numbers(draws, seed, confidence)
    if interval not in INTERVALS:
        raise ValueError(f"interval={interval!r} does not exist; there is: {', '.join(INTERVALS)}.")
    refit, clusters = refit_of(fit), clusters_of(fit)
    sizes = refit.sizes if clusters is None else clusters.sizes
    tasks: list[tuple[RowsOf, int]] = [(bootstrap_rows(int(seed), clusters), draws)]
    if interval != "percentile":
        tasks.append((all_but if clusters is None else clusters.left_out, sum(sizes)))
    raw, std, problems = run(refit, tasks, n_jobs, progress)
    failures, improper = counted(problems[:draws])
    n_failed, n_improper = (sum(n for _, n in group) for group in (failures, improper))
    _check_enough(draws, n_failed, failures, confidence)
    summary = _Summary(draws, sizes, confidence, interval)
    lost = int(np.isnan(raw[draws:]).all(axis=1).sum())
    point, names = fit.point, list(fit.layout.parameters)
    drawn = message("units_rows" if clusters is None else "units_clusters", n=sum(sizes))
    said = _message(draws, drawn, int(seed), failures, improper, lost)
    first = [fit.layout.table["parameter"].tolist().index(name) for name in names]
    standardised = point.standardised(point.theta)
    return Bootstrap(
        estimates=_parameter_table(summary, fit, "estimate", point.values(point.theta), raw),
        standardized=_parameter_table(summary, fit, "std_all", standardised, std),
        defined=_defined_table(summary, fit, raw, std),
        draws=pd.DataFrame(raw[:draws, first], columns=names).rename_axis(index="draw"),
        n_draws=draws,
        n_failed=n_failed,
        n_improper=n_improper,
        reasons={str(reason): n for reason, n in by_number([*failures, *improper])},
        seed=int(seed),
        confidence=confidence,
        message=told([said]),
        message_parts=(said,),
    )


Counts = list[tuple[Message, int]]


def counted(problems: Sequence[Message | None]) -> tuple[Counts, Counts]:
    """Return how often draws failed for each reason, and how often they are improper for each."""
    found: dict[str, Message] = {str(problem): problem for problem in problems if problem}
    number = pd.Series([str(problem) for problem in problems if problem], dtype=object)
    counts = [(found[text], int(n)) for text, n in number.value_counts().items()]
    failures = [(reason, n) for reason, n in counts if reason not in IMPROPER]
    return failures, [(reason, n) for reason, n in counts if reason in IMPROPER]


def by_number(counts: Counts) -> Counts:
    """Return reasons with their numbers, the most frequent first."""
    return sorted(counts, key=lambda pair: -pair[1])


def _check_enough(draws: int, n_failed: int, failures: Counts, confidence: float) -> None:
    if draws - n_failed < fewest(confidence):
        reasons = ", ".join(map(str, _listed(failures)))
        raise ValueError(
            f"{n_failed} of {draws} bootstrap draws failed ({reasons}): too few "
            f"are left for an interval at {confidence:.0%}. Use a smaller model, or monte_carlo(fit)."
        )


def _listed(counts: Counts) -> list[Message]:
    return [message("refits_counted", n=n, reason=reason) for reason, n in counts]


def _message(
    draws: int, unit: Message, seed: int, failures: Counts, improper: Counts, lost: int
) -> Message:
    """Return the sentence about the draws."""
    parts = {}
    for name, counts, plain, explained in (
        ("failed", failures, "refits_failed", "refits_left_out"),
        ("improper", improper, "refits_improper", "refits_kept"),
    ):
        n, reasons = sum(n for _, n in counts), _listed(counts)
        parts[name] = message(explained, n=n, reasons=reasons) if counts else message(plain, n=n)
    about = {"draws": int(draws), "units": unit, "seed": seed, **parts}
    if lost:
        return message("bootstrap_draws_and_jackknife", **about, lost=lost)
    return message("bootstrap_draws", **about)


@dataclass(frozen=True)
class _Summary:
    """Standard error, bias and intervals; the first refits are draws, the others the jackknife."""

    n_draws: int
    sizes: list[int]
    confidence: float
    interval: str

    def table(self, estimates: np.ndarray, refits: np.ndarray) -> pd.DataFrame:
        """Return the `COLUMNS` of quantities; NaN for one that does not vary.

        Parameters
        ----------
        estimates : ndarray (r,)
        refits : ndarray (refits, r)
        """
        columns = zip(estimates, refits[: self.n_draws].T, refits[self.n_draws :].T, strict=True)
        return pd.DataFrame([self._row(*column) for column in columns], columns=COLUMNS)

    def _row(self, estimate: float, draws: np.ndarray, left_out: np.ndarray) -> list[float]:
        draws = np.sort(draws[np.isfinite(draws)])
        if len(draws) < 2 or not draws.std(ddof=1) > NO_VARIATION or np.isnan(estimate):
            return [np.nan] * len(COLUMNS)
        levels, none = levels_of(self.confidence), np.full(2, np.nan)
        percentile, bca, p, bca_p = none, none, np.nan, np.nan
        if self.interval != "bca":
            percentile, p = quantiles(draws, levels), p_value(draws)
        if self.interval != "percentile":
            skew = acceleration(left_out, self.sizes)
            bca = quantiles(draws, bca_levels(draws, estimate, skew, levels))
            bca_p = p_value(draws, shift_of(draws, estimate), skew)
        moments = [draws.std(ddof=1), draws.mean() - estimate]
        return [*moments, *percentile, p, *bca, bca_p]


def _parameter_table(
    summary: _Summary, fit: Fit, name: str, estimates: np.ndarray, refits: np.ndarray
) -> pd.DataFrame:
    """Return the rows of free parameters, or of all that a standardised solution can vary in."""
    table = fit.layout.table
    kept = table["parameter"] != "" if name == "estimate" else ~table["exogenous"].astype(bool)
    kept = np.flatnonzero(kept)
    numbers = summary.table(estimates[kept], refits[:, kept])
    rows = table[ROW].iloc[kept].reset_index(drop=True)
    return pd.concat([rows.assign(**{name: estimates[kept]}), numbers], axis=1)


def _defined_table(summary: _Summary, fit: Fit, raw: np.ndarray, std: np.ndarray) -> pd.DataFrame:
    point, defined = fit.point, fit.defined[["name", "formula", "estimate", "std_all"]]
    if not len(defined):
        return pd.DataFrame(columns=[*defined, *COLUMNS])
    parts = []
    for estimates, refits in ((defined["estimate"], raw), (defined["std_all"], std)):
        values = computed(point.defined, refits.T).T
        parts.append(summary.table(estimates.to_numpy(dtype=float), values))
    return pd.concat(
        [
            defined[["name", "formula", "estimate"]],
            parts[0],
            defined["std_all"],
            parts[1].add_prefix("std_"),
        ],
        axis=1,
    )


# ---- intervals -----------------------------------------------------------------------------------


def quantiles(ordered: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return quantiles, interpolated on the normal scale between ranks of n + 1.

    Beyond the first or last rank that is the extreme itself. R: ``boot:::norm.inter``.

    Parameters
    ----------
    ordered : ndarray (n,)
        Sorted.
    levels : ndarray
        NaN gives NaN.
    """
    ranks = norm.ppf(np.arange(1, len(ordered) + 1) / (len(ordered) + 1))
    return np.interp(norm.ppf(levels), ranks, ordered)


def bca_levels(
    draws: np.ndarray, estimate: float, acceleration: float, levels: np.ndarray
) -> np.ndarray:
    """Return the levels of the quantiles that are a BCa interval; NaN if no draw is below or above.

    Efron (1987). R: as ``boot::boot.ci(type = "bca")``.
    """
    shift = shift_of(draws, estimate)
    z = shift + norm.ppf(levels)
    return norm.cdf(shift + z / (1 - acceleration * z))


def shift_of(draws: np.ndarray, estimate: float) -> float:
    """Return z0 of BCa, from the share of draws below the estimate; NaN if that is none or all."""
    below = np.mean(draws < estimate) + np.mean(draws == estimate) / 2
    return np.nan if below in (0, 1) else float(norm.ppf(below))


def p_value(ordered: np.ndarray, shift: float = 0.0, acceleration: float = 0.0) -> float:
    """Return the smallest alpha at which the interval of confidence 1 - alpha leaves out 0.

    Parameters
    ----------
    ordered : ndarray (n,)
        Draws, sorted.
    shift, acceleration : float
        z0 and a of BCa; 0 for the percentile interval. NaN gives NaN.
    """
    n, least = len(ordered), 2 / (len(ordered) + 1)
    if np.isnan(shift) or np.isnan(acceleration):
        return np.nan
    if ordered[0] > 0 or ordered[-1] < 0:
        return least
    first, last = np.searchsorted(ordered, 0, "left"), np.searchsorted(ordered, 0, "right")
    ranks = norm.ppf(np.arange(1, n + 1) / (n + 1))
    # the levels at which quantiles are 0: one, or those of all draws that are
    ends = ranks[[first, last - 1]] if last > first else np.repeat(np.interp(0, ordered, ranks), 2)
    w = ends - shift
    with np.errstate(divide="ignore"):
        z = np.where(1 + acceleration * w > 0, w / (1 + acceleration * w), np.copysign(np.inf, w))
    smaller = min(norm.cdf(z[1] - shift), norm.sf(z[0] - shift))
    return float(np.clip(2 * smaller, least, 1))


def acceleration(left_out: np.ndarray, sizes: Sequence[int]) -> float:
    """Return the acceleration of BCa from delete-one estimates, NaN if none varies.

    Parameters
    ----------
    left_out : ndarray (n,)
        Estimates without each row, groups one after the other; NaN where there is none.
    sizes : list of int
    """
    parts = np.split(left_out, np.cumsum(sizes)[:-1])
    known = [part[np.isfinite(part)] for part in parts]
    influence = np.concatenate([(len(p) - 1) / len(p) * (p.mean() - p) for p in known if len(p)])
    spread = np.sum(influence**2)
    return np.sum(influence**3) / (6 * spread**1.5) if spread > 0 else np.nan


def levels_of(confidence: float) -> np.ndarray:
    """Return the levels of the ends of an interval."""
    return np.array([1 - confidence, 1 + confidence]) / 2


def fewest(confidence: float) -> int:
    """Return how many draws there must be for an interval to end within them."""
    return int(np.ceil(2 / (1 - confidence) - 1e-9)) - 1


# ---- what the Monte Carlo method needs too --------------------------------------------------------


def check_numbers(draws: Any, seed: Any, confidence: float) -> None:
    """Refuse what is no number of draws, seed or confidence."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must lie between 0 and 1, as 0.95.")
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed={seed!r} must be a whole number from 0: it makes draws repeatable.")
    least = fewest(confidence)
    if not isinstance(draws, Integral) or draws < least:
        raise ValueError(
            f"draws={draws!r}: an interval at {confidence:.0%} needs at least {least}, and steady "
            "ends need 1000 or more."
        )


def computed(function: Callable[[np.ndarray], Any], rows: np.ndarray) -> np.ndarray:
    """Return a function of rows; NaN, without a warning, where it cannot be computed."""
    with np.errstate(all="ignore"):
        result = function(rows)
    return np.where(np.isfinite(result), result, np.nan)
