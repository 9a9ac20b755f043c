"""Ordered and numeric variables one by one, given covariates: first step of `ordinal_moments`.

Checks of the data, then for each variable its thresholds, or its ordered probit or linear
regression on the covariates, and the influence of each respondent on these estimates.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from semfit.moments.binormal import BEYOND, interval_probability, normal_density
from semfit.moments.design import SIMPLE, Design
from semfit.moments.polychoric import categories, numeric_array

PROBIT_STEPS = 50
PROBIT_TOLERANCE = 1e-9
ROUNDING = 1e-9  # of a log-likelihood
NO_VARIANCE = 1e-12  # residual variance, relative to the variance
SINGULAR = 1e12  # condition number of the cross-product of a variable's scores
COLLINEAR = 1e-10  # smallest eigenvalue of the correlations of covariates

Two = tuple[np.ndarray, np.ndarray]

# --- data -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """Checked data; `x` are the covariates (n, c), standardised by `center` and `scale` (c,).

    `weights` (n,) count the respondents, `seen` are those who have a value (0 stands for missing).
    """

    n: int
    names: tuple[str, ...]
    ordered: tuple[str, ...]
    covariates: tuple[str, ...]
    levels: dict[str, np.ndarray]  # name of an ordered variable -> its sorted values
    values: dict[str, np.ndarray]  # name -> (n,): codes from 0 if ordered, values if numeric
    seen: dict[str, np.ndarray]  # name -> (n,) of bool
    x: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    design: Design
    weights: np.ndarray


def prepare(
    frame: pd.DataFrame,
    ordered: Iterable[str],
    covariates: Iterable[str],
    levels: Mapping[str, Any] | None,
    design: Design = SIMPLE,
    gaps: bool = False,
) -> Data:
    """Checked `Data`; parameters and refusals as `ordinal_moments`."""
    array = numeric_array(frame)
    ordered = _names("ordered", ordered, frame)
    covariates = _names("covariates", covariates, frame)
    _check_roles(ordered, covariates)
    names = tuple(name for name in frame if name not in covariates)
    ordered = tuple(name for name in names if name in ordered)
    _check_rows(frame, array, [*covariates] if gaps else [*frame])
    values = dict(zip(frame, array.T, strict=True))
    seen = {name: ~np.isnan(values[name]) for name in names}
    found = {name: _levels(name, values[name], levels or {}) for name in ordered}
    for name in names:
        _check_spread(name, values[name][seen[name]], name in ordered, covariates)
    values |= {
        name: np.searchsorted(found[name], values[name]) * seen[name]
        if name in ordered
        else np.where(seen[name], values[name], 0.0)
        for name in names
    }
    x = np.array([values[name] for name in covariates]).reshape(len(covariates), len(frame)).T
    _check_covariates(covariates, x)
    center, scale = x.mean(axis=0), x.std(axis=0)
    x = (x - center) / scale if covariates else np.zeros((len(frame), 0))
    rows = values, seen, x, center, scale, design, design.of_rows(len(frame))
    return Data(len(frame), names, ordered, covariates, found, *rows)


def _names(role: str, given: Iterable[str], frame: pd.DataFrame) -> tuple[str, ...]:
    if isinstance(given, str):
        raise ValueError(f"{role}={given!r}: give a list of names.")
    absent = [name for name in given if name not in frame.columns]
    if absent:
        raise ValueError(f"{role} names {absent[0]!r}, which is not a column of the frame.")
    return tuple(given)


def _check_roles(ordered: Collection[str], covariates: Collection[str]) -> None:
    both = [name for name in ordered if name in covariates]
    if both:
        raise ValueError(
            f"{both[0]!r} is a covariate and cannot be ordered too: leave it out of `ordered`, or "
            "recode it to 0/1 variables."
        )
    if not ordered:
        raise ValueError("No variable is ordered: use an estimator for numeric variables.")


def _check_rows(frame: pd.DataFrame, array: np.ndarray, needed: Sequence[str]) -> None:
    """Refuse missing values of the variables that need one in each row, and too few rows."""
    missing = frame[needed].isna().to_numpy()
    if missing.any():
        names = [name for name, gone in zip(needed, missing.any(axis=0), strict=True) if gone]
        raise ValueError(
            f"{', '.join(names)}: missing values in {missing.any(axis=1).sum()} of the rows. Give "
            "complete rows."
        )
    n, p = array.shape
    if n <= p + 1:
        raise ValueError(
            f"{n} complete rows for {p} variables: at least {p + 2} are needed. Leave some out."
        )


def _levels(name: str, values: np.ndarray, levels: Mapping[str, Any]) -> np.ndarray:
    """The sorted categories of an ordered variable; refuse those that do not match."""
    found = categories(name, values)
    expected = np.unique(np.asarray(levels.get(name, found), dtype=float))
    for value in np.setdiff1d(found, expected):
        raise ValueError(
            f"{name!r} holds {value:g}, which is not among its levels: correct either."
        )
    for value in np.setdiff1d(expected, found):
        raise ValueError(
            f"Nobody among these {len(values)} respondents is in category {value:g} of {name!r}: "
            "merge it with a neighbouring category in all groups, or treat the variable as numeric."
        )
    return found


def _check_spread(
    name: str, values: np.ndarray, is_ordered: bool, covariates: Collection[str]
) -> None:
    distinct = np.unique(values)
    if len(distinct) == 1:
        raise ValueError(f"{name!r} is constant ({distinct[0]:g}) in these rows: leave it out.")
    if len(distinct) == 2 and not is_ordered and not covariates:
        # of two values the mean fixes the variance: their estimates cannot vary apart
        raise ValueError(
            f"Numeric variable {name!r} has two values, {distinct[0]:g} and {distinct[1]:g}: "
            "name it among the ordered variables."
        )


def _check_covariates(names: Collection[str], x: np.ndarray) -> None:
    for name, column in zip(names, x.T, strict=True):
        if np.ptp(column) == 0:
            raise ValueError(f"Covariate {name!r} is constant in these rows: leave it out.")
    if len(names) < 2:
        return
    values, vectors = np.linalg.eigh(np.corrcoef(x.T))
    if values[0] < COLLINEAR:
        involved = [n for n, w in zip(names, vectors[:, 0], strict=True) if abs(w) > 1e-4]
        raise ValueError(
            f"Covariates depend on each other linearly: {', '.join(involved)}. Leave one out."
        )


# --- estimates ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Margin:
    """One variable given the covariates, which are standardised here.

    Its likelihood depends on two quantities: the (upper, lower) limit of the latent response of an
    ordered variable, the (mean, variance) of a numeric one. `designs` are the derivatives of the
    two to the estimates (n, m), which are: thresholds or intercept, slopes, variance if numeric.
    Respondents without a value have no influence; what else stands for them is of no consequence.
    """

    name: str
    estimates: np.ndarray  # (m,)
    thresholds: np.ndarray  # (K - 1,); none of a numeric variable
    designs: Two
    influence: np.ndarray  # (n, m) of each respondent on the estimates
    predicted: np.ndarray  # (n,) latent response or variable, by the covariates
    residual: np.ndarray = field(default_factory=lambda: np.empty(0))  # (n,) standardised, numeric
    sd: float = 1.0  # of the residual; 1 of a latent response
    limits: tuple[np.ndarray, ...] = ()  # (upper, lower) of each respondent's latent residual (n,)

    @property
    def is_ordered(self) -> bool:
        """Whether there are limits: a numeric variable has none."""
        return bool(self.limits)


def margin_of(data: Data, name: str) -> Margin:
    """The `Margin` of a variable of `Data`.

    Raises
    ------
    ValueError
        Covariates predict it without error, or its estimates cannot vary apart.
    """
    fit, seen = _ordered_margin if name in data.ordered else _numeric_margin, data.seen[name]
    if seen.all():
        return fit(name, data.values[name], data)
    n, x, weights = int(seen.sum()), data.x[seen], data.weights[seen]
    margin = fit(name, data.values[name][seen], replace(data, n=n, x=x, weights=weights))
    return _among_all(margin, seen, data.x)


def _among_all(margin: Margin, seen: np.ndarray, x: np.ndarray) -> Margin:
    """The margin of those who have a value, with rows of zeros for the others, and no limits."""

    def spread(part: np.ndarray, other: float = 0.0) -> np.ndarray:
        whole = np.full((len(seen), *part.shape[1:]), other)
        whole[seen] = part
        return whole

    cuts = max(len(margin.thresholds), 1)
    predicted = x @ margin.estimates[cuts : cuts + x.shape[1]]
    if not margin.is_ordered:
        predicted = predicted + margin.estimates[0]
    return replace(
        margin,
        designs=(spread(margin.designs[0]), spread(margin.designs[1])),
        influence=spread(margin.influence),
        predicted=predicted,
        residual=spread(margin.residual) if len(margin.residual) else margin.residual,
        limits=tuple(map(spread, margin.limits, (BEYOND, -BEYOND))),
    )


def _numeric_margin(name: str, y: np.ndarray, data: Data) -> Margin:
    """Linear regression by maximum likelihood: the variance is divided by n, or by the weights."""
    mean_design = np.column_stack([np.ones(data.n), data.x, np.zeros(data.n)])
    variance_design = np.zeros_like(mean_design)
    variance_design[:, -1] = 1
    root = np.sqrt(data.weights)
    weighted = mean_design[:, :-1] * root[:, None]
    coefficients = np.linalg.lstsq(weighted, y * root, rcond=None)[0]
    predicted = mean_design[:, :-1] @ coefficients
    variance = np.average((y - predicted) ** 2, weights=data.weights)
    if variance < NO_VARIANCE * y.var():
        raise ValueError(
            f"{name!r} depends linearly on the covariates {', '.join(data.covariates)}: "
            "leave it or one of them out."
        )
    sd = np.sqrt(variance)
    z = (y - predicted) / sd
    designs = mean_design, variance_design
    scores = _scores((z / sd, (z * z - 1) / (2 * variance)), designs)
    estimates = np.append(coefficients, variance)
    influence = _influence(name, scores, data.weights)
    return Margin(name, estimates, np.empty(0), designs, influence, predicted, z, sd)


def _ordered_margin(name: str, codes: np.ndarray, data: Data) -> Margin:
    """Ordered probit regression: slopes times covariates plus a standard normal residual."""
    cuts = np.arange(codes.max())
    upper, lower = (
        np.hstack([(codes[:, None] - below == cuts).astype(float), -data.x]) for below in (0, 1)
    )
    designs = upper, lower
    probit = _Probit(codes, designs, data.weights)
    shares = np.bincount(codes, data.weights).cumsum()[:-1] / data.weights.sum()
    theta = probit.maximise(np.concatenate([ndtri(shares), np.zeros(len(data.covariates))]))
    if theta is None:
        raise ValueError(
            f"The ordered probit regression of {name!r} on {', '.join(data.covariates)} has no "
            "maximum: a covariate, or a combination of them, predicts a category without error. "
            "Leave that covariate out, or merge rare categories."
        )
    thresholds, slopes = np.split(theta, [len(cuts)])
    influence = _influence(name, _scores(probit.gradient(theta), designs), data.weights)
    predicted, limits = data.x @ slopes, probit.limits(theta)
    return Margin(name, theta, thresholds, designs, influence, predicted, limits=limits)


@dataclass(frozen=True)
class _Probit:
    """The likelihood of an ordered probit regression; `designs` are of its (upper, lower) limit."""

    codes: np.ndarray
    designs: Two
    weights: np.ndarray

    def limits(self, theta: np.ndarray) -> Two:
        """(upper, lower) limit of each respondent's latent residual (n,)."""
        upper, lower = (design @ theta for design in self.designs)
        last = self.codes.max()
        return np.where(self.codes < last, upper, BEYOND), np.where(self.codes, lower, -BEYOND)

    def value(self, theta: np.ndarray) -> float:
        """The log-likelihood; -infinity when thresholds are not in order."""
        upper, lower = self.limits(theta)
        probability = interval_probability(lower, upper)
        return self.weights @ np.log(probability) if (probability > 0).all() else -np.inf

    def gradient(self, theta: np.ndarray) -> Two:
        """The derivatives of each respondent's log-likelihood to (upper, lower) limit."""
        upper, lower = self.limits(theta)
        probability = interval_probability(lower, upper)
        return normal_density(upper) / probability, -normal_density(lower) / probability

    def step(self, theta: np.ndarray) -> np.ndarray:
        """Newton's step."""
        (upper, lower), (up, down) = self.limits(theta), self.gradient(theta)
        high, low, weights = *self.designs, self.weights
        cross = high.T @ ((weights * up * down)[:, None] * low)
        information = (
            high.T @ ((weights * up * (upper + up))[:, None] * high)
            + low.T @ ((weights * down * (lower + down))[:, None] * low)
            + cross
            + cross.T
        )
        return np.linalg.solve(information, high.T @ (weights * up) + low.T @ (weights * down))

    def maximise(self, theta: np.ndarray) -> np.ndarray | None:
        """The maximum (the log-likelihood is concave); None when there is none."""
        for _ in range(PROBIT_STEPS):
            try:
                move = self.step(theta)
            except np.linalg.LinAlgError:
                return None
            if np.abs(move).max() < PROBIT_TOLERANCE:
                return theta + move
            value = self.value(theta)
            lengths = 0.5 ** np.arange(20)
            longest = (k for k in lengths if self.value(theta + k * move) >= value - ROUNDING)
            theta = theta + next(longest, 0) * move
        return None


def _scores(gradient: Two, designs: Two) -> np.ndarray:
    """Each respondent's derivatives of the log-likelihood to the estimates (n, m)."""
    first, second = (slope[:, None] * part for slope, part in zip(gradient, designs, strict=True))
    return first + second


def _influence(name: str, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted scores times the inverse of their cross-product: theta_hat - theta is their sum."""
    scale = np.sqrt(weights @ scores**2)
    unit = scores / scale
    weighted = weights[:, None] * unit
    information = unit.T @ weighted
    if np.linalg.cond(information) > SINGULAR:
        raise ValueError(
            f"The estimates of {name!r} cannot vary apart: it has too few distinct values, or too "
            "few respondents in one of them. Merge categories, or leave a covariate out."
        )
    return np.linalg.solve(information, weighted.T).T / scale
