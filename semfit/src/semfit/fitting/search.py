"""The search for the estimates: semopy's starting values and search, then Fisher scoring.

semopy fits the model by maximum likelihood to one covariance matrix (of all groups together; with
missing values that of EM, with ordered variables polychoric): that is where every search of this
package begins (`semopy_bridge`). The result is polished until the gradient is zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from semfit.fitting import constrained
from semfit.moments.implied import structural_observed
from semfit.moments.objective import Objective
from semfit.syntax.model import Model
from semfit.syntax.parameters import Layout

Thresholds = Mapping[tuple[str, str], float]  # (variable, "t1") to value

STEPS = 500
STALLED = 0.01, 50  # the search gives up when chi-square goes down less than this in so many steps
# squared distances to the solution, in units of sqrt(2/N) standard errors:
NEAR = 1e-2  # times 1/N: observed information takes over, at about .1 standard errors
CONVERGED = 1e-10  # from here on F is flat to rounding: steps are no longer checked
EXACT = 1e-18  # the search ends, or when steps stop getting shorter
LEAST = 1e-6  # eigenvalue of the correlations from which semopy starts


@dataclass(frozen=True, eq=False)
class Found:
    """The end of a search: theta (k,), steps of Fisher scoring, whether it converged."""

    theta: np.ndarray
    steps: int
    converged: bool


@dataclass(frozen=True, eq=False)
class Start:
    """What starting values are made from.

    Attributes
    ----------
    cov : ndarray (p, p)
        Of all groups together, for semopy.
    means : sequence of ndarray (p,)
        Sample means of each group, for intercepts.
    data : DataFrame, optional
        Complete rows, for better starting values of loadings.
    thresholds : sequence of dict, optional
        (variable, "t1") to value, for each group.
    """

    cov: np.ndarray
    means: Sequence[np.ndarray]
    data: pd.DataFrame | None = None
    thresholds: Sequence[Thresholds] | None = None


def find(objective: Objective, layout: Layout, start: Start) -> tuple[Found, int]:
    """Return (Found, iterations of semopy): the estimates of a model.

    Fisher scoring from the end of semopy's search and, where that went astray, from its start.
    """
    ends, iterations = semopy_search(layout.model, start.cov, start.data)
    tries = []
    for values in ends:
        at = start_vector(layout, values, start.means, start.thresholds)
        tries.append(minimise(objective, layout, at))
        if tries[-1].converged:
            return tries[-1], iterations
    return tries[0], iterations


def minimise(objective: Objective, layout: Layout, start: np.ndarray) -> Found:
    """Minimise a function by Fisher scoring, under the restrictions of the layout if it has any."""
    if not layout.restrictions:
        return scoring(objective, start)
    return Found(*constrained.solve(objective, layout.restrictions, start, scoring))


def scoring(objective: Objective, start: np.ndarray) -> Found:
    """Minimise a function by Fisher scoring with step halving, near the end by Newton's method.

    Expected information is safe far from the solution; near it, observed information needs a few
    steps where scoring of a model that fits badly needs dozens.

    Parameters
    ----------
    objective : Objective
    start : ndarray (k,)

    Returns
    -------
    Found
    """
    theta, value = start, objective.value(start) / objective.n
    history, (least, back) = [], STALLED
    for step in range(STEPS):
        history.append(value * objective.n)
        if not np.isfinite(value) or (step > back and history[-back] - history[-1] < least):
            return Found(theta, step, False)
        move, distance = _move(objective, theta)
        if distance < CONVERGED:
            return _finish(objective, theta, move, distance, step)
        length, new = _halved(objective, theta, move, value)
        if length == 0:
            return Found(theta, step, False)
        theta, value = theta - length * move, new
    return Found(theta, STEPS, False)


def _finish(
    objective: Objective, theta: np.ndarray, move: np.ndarray, distance: float, step: int
) -> Found:
    """Go on while steps get shorter."""
    for last in range(step + 1, STEPS):
        theta = theta - move
        move, shorter = _move(objective, theta)
        if not EXACT < shorter < distance:
            return Found(theta, last, True)
        distance = shorter
    return Found(theta, STEPS, True)


def _move(objective: Objective, theta: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the step from theta, and the squared distance that it means."""
    gradient, hessian = (part / objective.n for part in objective.score(theta))
    move = newton_step(hessian, gradient)
    near = gradient @ move < NEAR / objective.n
    exact = objective.hessian(theta) if near else None
    if exact is not None and is_positive_definite(exact / objective.n):
        move = newton_step(exact / objective.n, gradient)
    return move, gradient @ move


def is_positive_definite(matrix: np.ndarray) -> bool:
    """Tell whether a Cholesky factor exists."""
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def newton_step(hessian: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return H^-1 g; scaled first, so that the units of the variables do not matter."""
    scale = np.sqrt(np.diag(hessian))
    scale[~(scale > 0)] = 1
    scaled = hessian / np.outer(scale, scale)
    try:
        return np.linalg.solve(scaled + 1e-12 * np.eye(len(scale)), gradient / scale) / scale
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(scaled, gradient / scale, rcond=1e-12)[0] / scale


def _halved(
    objective: Objective, theta: np.ndarray, move: np.ndarray, value: float
) -> tuple[float, float]:
    """Return the first step length of 1, 1/2, 1/4 ... that lowers F, and that F; 0 if none does."""
    for length in 0.5 ** np.arange(25):
        new = objective.value(theta - length * move) / objective.n
        if new < value:
            return length, new
    return 0.0, value


# ---- where it starts -----------------------------------------------------------------------------


def semopy_search(
    model: Model, cov: np.ndarray, data: pd.DataFrame | None = None
) -> tuple[list[dict[str, float]], int]:
    """Fit by semopy's own search; see `semopy_bridge.search`.

    Returns
    -------
    ends : list of dict of str to float
        Parameter to value: where the search ended, unless it went astray, and where it began.
    iterations : int
    """
    from semfit.syntax import semopy_bridge  # loads semopy, which takes a second

    unit, factor = units(model, cov)
    scaled = replace(model, parameters=model.parameters.assign(value=lambda t: t["value"] / factor))
    observed = np.array([unit[name] for name in model.observed])
    correlations = well_conditioned(cov / np.outer(observed, observed))
    rows = None if data is None else data / observed
    structural = structural_observed(model)
    ends, iterations = semopy_bridge.search(scaled, structural, correlations, rows)
    back = dict(zip(model.parameters["parameter"][::-1], factor[::-1], strict=True))
    names = semopy_bridge.semopy_parameters(model)
    return [
        {name: value * back[name] for name, value in zip(names, end, strict=True)} for end in ends
    ], iterations


def well_conditioned(correlations: np.ndarray) -> np.ndarray:
    """Return correlations, moved towards 0 as far as needed to be positive definite.

    Polychoric ones may be not; semopy would mend that in its own way, and log a warning.
    """
    lack = LEAST - np.linalg.eigvalsh(correlations)[0]
    weight = max(lack, 0) / (1 - LEAST + max(lack, 0))
    return (1 - weight) * correlations + weight * np.eye(len(correlations))


def units(model: Model, cov: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Return the unit of each variable, and of each parameter, in which semopy searches.

    Its starting values are for variables with a variance near 1. An observed variable is counted in
    standard deviations, a latent one in those of its marker.
    """
    unit = dict(zip(model.observed, np.sqrt(np.diag(cov)), strict=True))
    table = model.parameters
    markers = table[(table["op"] == "=~") & (table["value"].fillna(0) != 0)]
    first = dict(zip(markers["lhs"][::-1], markers["rhs"][::-1], strict=True))
    for latent in model.latents:
        name, seen = latent, set()
        while name in first and name not in seen:
            seen.add(name)
            name = first[name]
        unit[latent] = unit.get(name, 1.0)
    lhs = table["lhs"].map(unit).to_numpy()
    rhs = table["rhs"].map(unit).fillna(1.0).to_numpy()
    factor = np.select(
        [table["op"] == "=~", table["op"] == "~~"], [rhs / lhs, rhs * lhs], lhs / rhs
    )
    return unit, factor


def start_vector(
    layout: Layout,
    values: Mapping[str, float],
    means: Sequence[np.ndarray],
    thresholds: Sequence[Thresholds] | None = None,
) -> np.ndarray:
    """Return starting values for every parameter of a layout.

    Parameters
    ----------
    layout : parameters.Layout
    values : dict
        One end of `semopy_search`, under the parameter names of the first group.
    means : list of ndarray (p,)
        Sample means of each group, for intercepts.
    thresholds : list of dict, optional
        (variable, "t1") to value, for each group.
    """
    base = {
        (row.lhs, row.op, row.rhs): values.get(row.parameter, row.value)
        for row in layout.model.parameters.itertuples()
    }
    observed = list(layout.model.observed)
    start: dict[str, float] = {}
    for g, group in enumerate(layout.groups):
        rows = layout.table[(layout.table["group"] == group) & (layout.table["parameter"] != "")]
        for row in rows.itertuples():
            if row.op == "~1":
                value = means[g][observed.index(row.lhs)] if row.lhs in observed else 0.0
            elif row.op == "|":
                value = (thresholds or [])[g][row.lhs, row.rhs]
            else:
                value = 1.0 if row.op == "~*~" else base[row.lhs, row.op, row.rhs]
            start.setdefault(row.parameter, value)
    return np.array([start[name] for name in layout.parameters])
