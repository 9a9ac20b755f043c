"""The search for the estimates: from a start to a minimum that is proven.

Fisher scoring from the starting values of `starts`; Newton's method near the end. An end at which the
gradient is zero may still be a saddle point (all loadings 0, with a variance of 1): so the curvature
is looked at, and where it is negative the search goes on down that way. Where the end is no proven
minimum, or one that may not be the lowest (a negative variance, a direction in which little changes),
other starts are tried and the lowest proven minimum is taken; where loadings ran away, another marker
is tried (`markers`). The last of the starts comes from semopy's own
search by maximum likelihood (`semopy_bridge`), a second opinion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from semfit.fitting import constrained
from semfit.fitting.markers import other_markers
from semfit.fitting.starts import Start, Starts, repaired, shrunk
from semfit.messages import Message, message
from semfit.moments.implied import structural_observed
from semfit.moments.objective import Objective
from semfit.syntax.model import Model
from semfit.syntax.parameters import Layout

STEPS = 200
LATE = 20  # steps of Fisher scoring after which the exact Hessian is used
STALLED = 0.01, 30  # the search gives up when chi-square goes down less than this in so many steps
# squared distances to the solution, in units of sqrt(2/N) standard errors:
NEAR = 1e-2  # times 1/N: observed information takes over, at about .1 standard errors
CONVERGED = 1e-10  # from here on F is flat to rounding: steps are no longer checked
EXACT = 1e-18  # the search ends, or when steps stop getting shorter
LONGEST = 10.0  # step of a parameter, in standard units
LEAST = 1e-6  # eigenvalue of the correlations from which semopy starts
FLAT = 1e-8  # eigenvalue of the scaled Hessian that is 0
WEAK = 1e-3  # below it another minimum may be lower
ESCAPES = 10  # saddle points left behind
FURTHER = 5  # starts besides the first
MARKED = 2  # the same with another marker, besides two
TINY = 1e-12  # relative difference of two values that is rounding
SHORTER = 0.5 ** np.arange(8)  # steps along a Fisher or Newton step
RIDGES = 10.0 ** np.arange(-3, 9)  # added to the scaled Hessian
LENGTHS = 0.05 * 2.0 ** np.arange(8)  # steps away from a saddle point, in standard units


@dataclass(frozen=True, eq=False)
class Found:
    """The end of a search.

    Attributes
    ----------
    theta : ndarray (k,)
    steps : int
        Of Fisher scoring, from all starts.
    converged : bool
        The gradient is zero and the Hessian positive definite, or flat only where the parameters
        cannot be told apart (`diagnostics` reports that).
    reason : Message or None
        Why it did not converge.
    value : float
        Of the function there, per row.
    least : float
        Smallest eigenvalue of the Hessian there, scaled: 1 for independent parameters.
    starts : int
        From how many places the search began.
    hessian : ndarray (k, k) or None
        The exact Hessian, if the last steps used it.
    above : float
        How much lower the lowest end was that is no proven minimum, per row.
    """

    theta: np.ndarray
    steps: int
    converged: bool
    reason: Message | None = None
    value: float = np.inf
    least: float = np.nan
    starts: int = 1
    hessian: np.ndarray | None = field(default=None, repr=False)
    above: float = 0.0


def find(objective: Objective, layout: Layout, start: Start) -> Found:
    """Return the estimates of a model: the lowest proven minimum, else the lowest end of a search.

    Parameters
    ----------
    objective : Objective
    layout : parameters.Layout
    start : starts.Start

    Returns
    -------
    Found
    """
    starts = Starts(layout, start)
    ends: list[Found] = []
    for at in places(starts, layout, start, FURTHER):
        ends.append(minimise(objective, layout, at, starts.units))
        for across in starts.mirrored(ends[-1].theta):
            if not ends[-1].converged:
                ends.append(minimise(objective, layout, across, starts.units))
        enough = FURTHER if any(end.converged for end in ends) else np.inf
        if _is_clear(ends[-1], starts) or len(ends) > enough:
            break
    ends += by_other_markers(objective, layout, start, min(ends, key=lambda end: end.value))
    best = min(ends, key=lambda end: (not end.converged, not end.least > FLAT, end.value))
    lowest = min(end.value for end in ends)
    return replace(
        best, steps=sum(end.steps for end in ends), starts=len(ends), above=best.value - lowest
    )


def by_other_markers(
    objective: Objective, layout: Layout, start: Start, lowest: Found
) -> list[Found]:
    """Return ends of searches that take another marker where loadings ran away; see `markers`."""
    ends: list[Found] = []
    if lowest.converged or not np.isfinite(lowest.value):
        return ends
    units = Starts(layout, start).units
    for other in other_markers(layout, lowest.theta, units):
        problem, starts = objective.with_layout(other.layout), Starts(other.layout, start)
        for at in (other.there(lowest.theta), starts.theta, *starts.further(MARKED)):
            found = minimise(problem, other.layout, at, starts.units)
            if found.converged and found.value <= lowest.value:
                ends.append(minimise(objective, layout, other.back(found.theta), units))
                if ends[-1].converged:
                    return ends
    return ends


def _is_clear(end: Found, starts: Starts) -> bool:
    """Tell whether an end is a minimum of which there are hardly several."""
    negative = (end.theta[starts.variances] < 0).any()
    return end.converged and end.least > WEAK and not negative


def minimise(
    objective: Objective, layout: Layout, start: np.ndarray, units: np.ndarray | None = None
) -> Found:
    """Minimise a function from one start, under the restrictions of the layout if it has any.

    Parameters
    ----------
    objective : Objective
    layout : parameters.Layout
    start : ndarray (k,)
    units : ndarray (k,), optional
        Size of a considerable change of each parameter.

    Returns
    -------
    Found
    """
    if not layout.restrictions:
        return minimum(objective, start, units)
    theta, steps, converged = constrained.solve(objective, layout.restrictions, start, minimum)
    reason = None if converged else message("search_restricted")
    return Found(theta, steps, converged, reason, objective.value(theta) / objective.n, 1.0)


def minimum(objective: Objective, start: np.ndarray, units: np.ndarray | None = None) -> Found:
    """Minimise a function from one start, saddle points left behind.

    Parameters
    ----------
    objective : Objective
    start : ndarray (k,)
    units : ndarray (k,), optional
        Size of a considerable change of each parameter.

    Returns
    -------
    Found
    """
    found, steps = scoring(objective, start, units), 0
    for _ in range(ESCAPES):
        steps += found.steps
        if not found.converged:
            return replace(found, steps=steps)
        bend = bend_of(objective, found, units)
        found = replace(found, least=bend.least)
        if bend.least > FLAT:
            return replace(found, steps=steps)
        lower = _escaped(objective, found, bend.direction, units)
        if lower is None:
            proven = bend.least >= -FLAT and bend.identified <= FLAT
            reason = None if proven else message("search_saddle")
            return replace(found, steps=steps, converged=proven, reason=reason)
        found = lower
    return replace(found, steps=steps, converged=False, reason=message("search_saddle"))


@dataclass(frozen=True, eq=False)
class Bend:
    """How a function bends least: the smallest eigenvalue of its scaled Hessian.

    Attributes
    ----------
    least : float
    direction : ndarray (k,)
        Of that eigenvalue: the largest change of a parameter is one standard unit.
    identified : float
        The expected curvature in that direction, 0 where the moments do not change.
    """

    least: float
    direction: np.ndarray
    identified: float


def bend_of(objective: Objective, found: Found, units: np.ndarray | None = None) -> Bend:
    """Return how a function bends at the end of a search; -inf where its Hessian is not finite."""
    theta, exact = found.theta, found.hessian
    expected = objective.score(theta)[1]
    exact = objective.hessian(theta) if exact is None else exact
    diagonal = np.diag(expected)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    if units is not None:
        scale = np.maximum(scale, np.sqrt(FLAT * objective.n) / units)
    if not (np.isfinite(exact).all() and np.isfinite(expected).all()):
        return Bend(-np.inf, np.zeros(len(theta)), np.nan)
    values, vectors = np.linalg.eigh(exact / np.outer(scale, scale))
    vector = vectors[:, 0]
    identified = vector @ (expected / np.outer(scale, scale)) @ vector
    direction = vector / scale
    return Bend(values[0], direction / np.abs(direction / _sizes(units, scale)).max(), identified)


def _sizes(units: np.ndarray | None, scale: np.ndarray) -> np.ndarray:
    return 1 / scale if units is None else units


def _escaped(
    objective: Objective, found: Found, direction: np.ndarray, units: np.ndarray | None
) -> Found | None:
    """Return the lower end of two searches that leave a point both ways; None if none is lower."""
    ends = []
    for sign in (1.0, -1.0):
        best, at = found.value, None
        for length in LENGTHS:
            new = found.theta + sign * length * direction
            value = objective.value(new) / objective.n
            if value < best:
                best, at = value, new
        if at is not None:
            ends.append(scoring(objective, at, units))
    lower = [end for end in ends if end.value < found.value - TINY * abs(found.value)]
    return min(lower, key=lambda end: (not end.converged, end.value)) if lower else None


# ---- from one start ------------------------------------------------------------------------------


def scoring(objective: Objective, start: np.ndarray, units: np.ndarray | None = None) -> Found:
    """Go down by Fisher scoring until the gradient is zero, near the end by Newton's method.

    Expected information is safe far from the solution; near it, observed information needs a few
    steps where scoring of a model that fits badly needs dozens. Where the step does not go down, a
    ridge turns it towards the gradient and makes it shorter. The end may be a saddle point: see
    `minimum`.

    Parameters
    ----------
    objective : Objective
    start : ndarray (k,)
    units : ndarray (k,), optional
        Size of a considerable change of each parameter: no step is longer than `LONGEST` of them.

    Returns
    -------
    Found
    """
    theta, value = start, objective.value(start) / objective.n
    if not np.isfinite(value):
        return Found(theta, 0, False, message("search_start_improper"))
    history, (least, back) = [], STALLED
    for step in range(STEPS):
        history.append(value * objective.n)
        if step > back and history[-back] - history[-1] < least:
            return Found(theta, step, False, message("search_stalled"), value)
        gradient, hessian, exact = _slopes(objective, theta, step >= LATE)
        move = newton_step(hessian, gradient)
        distance = gradient @ move
        if distance < CONVERGED:
            return _finish(objective, theta, (hessian, exact), move, step)
        new, lower = _lowered(objective, (theta, value), (gradient, hessian, move), units)
        if lower == value:
            return Found(theta, step, False, message("search_stuck"), value)
        theta, value = new, lower
    return Found(theta, STEPS, False, message("search_out_of_steps"), value)


def _finish(
    objective: Objective,
    theta: np.ndarray,
    curved: tuple[np.ndarray, bool],
    move: np.ndarray,
    step: int,
) -> Found:
    """Go on while steps get shorter; an exact Hessian stays what it was, so near is the end."""
    hessian, exact = curved
    distance, last = np.inf, step
    for last in range(step + 1, STEPS):
        before, theta = theta, theta - move
        if not np.isfinite(objective.value(theta)):  # at the edge of what is proper: stay
            theta = before
            break
        if exact:
            gradient = objective.score(theta)[0] / objective.n
        else:
            gradient, hessian, _ = _slopes(objective, theta)
        move = newton_step(hessian, gradient)
        shorter = gradient @ move
        if not EXACT < shorter < distance:
            break
        distance = shorter
    value, kept = objective.value(theta) / objective.n, hessian * objective.n if exact else None
    return Found(theta, last, True, None, value, hessian=kept)


def _slopes(
    objective: Objective, theta: np.ndarray, late: bool = False
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return gradient and Hessian per row, and whether that is the exact one.

    It is the expected one far from the solution. When it is late in the search, the exact one is
    taken there too: where that is not positive definite, its negative eigenvalues change sign (the
    step goes down along a direction of negative curvature).
    """
    gradient, hessian = (part / objective.n for part in objective.score(theta))
    near = objective.newton and gradient @ newton_step(hessian, gradient) < NEAR / objective.n
    if not (near or late):
        return gradient, hessian, False
    exact = objective.hessian(theta) / objective.n
    if is_positive_definite(exact):
        return gradient, exact, True
    return gradient, _turned(exact, hessian) if late else hessian, False


def _turned(exact: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return a Hessian whose eigenvalues, scaled by the expected one, are positive."""
    scale = np.sqrt(np.where(np.diag(expected) > 0, np.diag(expected), 1.0))
    if not np.isfinite(exact).all():
        return expected
    values, vectors = np.linalg.eigh(exact / np.outer(scale, scale))
    turned = (vectors * np.maximum(np.abs(values), WEAK)) @ vectors.T
    return turned * np.outer(scale, scale)


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


def _lowered(
    objective: Objective,
    at: tuple[np.ndarray, float],
    slopes: tuple[np.ndarray, np.ndarray, np.ndarray],
    units: np.ndarray | None,
) -> tuple[np.ndarray, float]:
    """Return the first (point, value) that is lower: shorter steps, then ridges; else where it is."""
    (theta, value), (gradient, hessian, move) = at, slopes
    longest = 1.0 if units is None else min(1.0, LONGEST / np.abs(move / units).max())
    for length in longest * SHORTER:
        new = objective.value(theta - length * move) / objective.n
        if new < value:
            return theta - length * move, new
    scale = np.sqrt(np.diag(hessian))
    scale[~(scale > 0)] = 1
    for ridge in RIDGES:
        step = newton_step(hessian + ridge * np.diag(scale**2), gradient)
        new = objective.value(theta - step) / objective.n
        if new < value:
            return theta - step, new
    return theta, value


# ---- a second opinion ----------------------------------------------------------------------------


def places(starts: Starts, layout: Layout, start: Start, number: int) -> Iterator[np.ndarray]:
    """Yield where a search begins: the first start, a number of others, the ends of semopy's search."""
    yield starts.theta
    yield from starts.further(number)
    for values in semopy_search(layout.model, start.cov):
        named = zip(layout.parameters, starts.theta, strict=True)
        yield repaired(starts.groups, np.array([values.get(name, own) for name, own in named]))


def semopy_search(model: Model, cov: np.ndarray) -> list[dict[str, float]]:
    """Return parameters to values where semopy's search ended, unless it went astray, and began.

    See `semopy_bridge.search`.
    """
    from semfit.syntax import semopy_bridge  # loads semopy, which takes a second

    unit, factor = units(model, cov)
    scaled = replace(model, parameters=model.parameters.assign(value=lambda t: t["value"] / factor))
    observed = np.array([unit[name] for name in model.observed])
    correlations = shrunk(cov / np.outer(observed, observed), LEAST)
    structural = structural_observed(model)
    ends = semopy_bridge.search(scaled, structural, correlations)
    back = dict(zip(model.parameters["parameter"][::-1], factor[::-1], strict=True))
    names = semopy_bridge.semopy_parameters(model)
    return [
        {name: value * back[name] for name, value in zip(names, end, strict=True)} for end in ends
    ]


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
