"""The search under restrictions (``==``, ``<``, ``>``, bounds), and what they leave free.

Linear equalities are substituted: theta = at + B x, and the search is in x, as free as ever. Others,
and inequalities, go to scipy's SLSQP (Kraft 1988; sequential quadratic programming), in coordinates
in which the information is the identity. From its end Newton steps on the Lagrangian finish: until
the gradient is zero along the restrictions that hold with equality, their multipliers have the right
sign, and the curvature is positive. With J the derivatives of the restrictions and Z a basis of what
they leave free (J Z = 0), the inverse of the information I becomes Z (Z' I Z)^-1 Z'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from scipy.linalg import null_space, qr
from scipy.optimize import minimize

from semfit.moments.normal import NormalObjective
from semfit.moments.objective import Objective
from semfit.syntax.parameters import Layout
from semfit.syntax.restrictions import FAR, RANK, Restrictions

# an inequality whose left side is so near 0 holds with equality (lavaan's "slack")
ACTIVE = 1e-5
ROUNDING = 1e-10  # standard errors
STEPS = 60
NEAR = 1e-9  # change of half the deviance at which SLSQP ends
CLOSE = 1e-3  # standard errors: an inequality so near is tried as an equality
EXACT = 1e-18  # squared distance to the solution, in standard errors
CONVERGED = 1e-10
NEGATIVE = -1e-6  # a multiplier, per standard error, that says: let go
LEAST = 1e-4  # eigenvalue of scaled information in which a direction is counted
FLAT = 1e-7  # curvature, per squared standard error, that is none
DIFFERENCE = 1e-5  # of numerical second derivatives, in standard errors


class Ended(Protocol):
    """The end of a search; see `search.Found`."""

    @property
    def theta(self) -> np.ndarray:
        """Where it ended."""

    @property
    def steps(self) -> int:
        """How many steps it took."""

    @property
    def converged(self) -> bool:
        """Whether it ended at a minimum."""


Descend: TypeAlias = Callable[[Any, np.ndarray], Ended]  # of (objective, start)
Function: TypeAlias = Callable[[np.ndarray], np.ndarray]
End: TypeAlias = tuple[np.ndarray, int, bool]  # theta, steps, converged


class Reduced:
    """An objective along theta = at + basis x, as a function of x.

    Attributes
    ----------
    n : int
    at : ndarray (k,)
    basis : ndarray (k, r)
    """

    def __init__(self, objective: Objective, at: np.ndarray, basis: np.ndarray) -> None:
        self.objective, self.at, self.basis = objective, at, basis
        self.n, self.k, self.newton = objective.n, basis.shape[1], objective.newton

    def theta(self, x: np.ndarray) -> np.ndarray:
        """Return the parameters at x."""
        return self.at + self.basis @ x

    def value(self, x: np.ndarray) -> float:
        """Return the value at x."""
        try:
            return self.objective.value(self.theta(x))
        except np.linalg.LinAlgError:  # far away: no model
            return np.inf

    def value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Return value and gradient to x, of an objective that has both at once."""
        assert isinstance(self.objective, NormalObjective)
        value, gradient = self.objective.value_and_gradient(self.theta(x))
        return value, self.basis.T @ gradient

    def score(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and expected Hessian to x."""
        gradient, hessian = self.objective.score(self.theta(x))
        return self.basis.T @ gradient, self.basis.T @ hessian @ self.basis

    def hessian(self, x: np.ndarray) -> np.ndarray:
        """Return the exact Hessian to x."""
        return self.basis.T @ self.objective.hessian(self.theta(x)) @ self.basis


# ---- what is left free ---------------------------------------------------------------------------


def free_directions(layout: Layout, theta: np.ndarray) -> np.ndarray | None:
    """Return a basis (k, r) of the changes that restrictions leave free; None if all are.

    Equalities, and inequalities that hold with equality: as lavaan has it, these are counted as
    equalities in standard errors and scaling factors, not in degrees of freedom. So are bounds,
    which lavaan 0.6-14 left out of both (0.7-2 does not).
    """
    limits = layout.restrictions
    if not limits:
        return None
    rows = [limits.equality_jacobian(theta), active_rows(limits, theta)]
    return kernel(np.concatenate(rows))


def active_rows(limits: Restrictions, theta: np.ndarray) -> np.ndarray:
    """Return the derivatives of the inequalities that hold with equality, (m, k)."""
    return limits.inequality_jacobian(theta)[_active(limits, theta)]


def at_limit(limits: Restrictions, theta: np.ndarray) -> list[str]:
    """Return the inequalities and bounds that hold with equality, as text."""
    active = _active(limits, theta)
    return [text for text, here in zip(limits.inequality_texts(), active, strict=True) if here]


def _active(limits: Restrictions, theta: np.ndarray) -> np.ndarray:
    rows, values = limits.inequality_jacobian(theta), limits.inequality_values(theta)
    return values <= ACTIVE * (np.abs(rows) @ np.abs(theta))


def equality_directions(layout: Layout, theta: np.ndarray) -> np.ndarray | None:
    """Return a basis (k, r) of the changes that equalities leave free; None if all are."""
    limits = layout.restrictions
    return kernel(limits.equality_jacobian(theta)) if limits.equalities else None


def along(layout: Layout, theta: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return the part of a gradient (k,) that no restriction holds back."""
    free = free_directions(layout, theta)
    return gradient if free is None else free @ (free.T @ gradient)


def kernel(rows: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis (k, r) of what rows (m, k) take to 0."""
    size = np.linalg.norm(rows, axis=1)
    scaled = rows[size > 0] / size[size > 0, None]
    return null_space(scaled, rcond=RANK) if len(scaled) else np.eye(rows.shape[1])


def free_parameters(layout: Layout, theta: np.ndarray) -> int:
    """Return how many parameters are estimated: their number less the rank of the equalities."""
    free = equality_directions(layout, theta)
    return len(layout.parameters) if free is None else free.shape[1]


# ---- the search ----------------------------------------------------------------------------------


def solve(objective: Objective, limits: Restrictions, start: np.ndarray, descend: Descend) -> End:
    """Minimise an objective under restrictions.

    Parameters
    ----------
    objective : Objective
    limits : Restrictions
    start : ndarray (k,)
        Need not meet them.
    descend : function of (objective, start)
        The search without restrictions.

    Returns
    -------
    theta : ndarray (k,)
    steps : int
    converged : bool
        The end is a minimum under the restrictions, and proven to be one.

    Raises
    ------
    ValueError
        No parameter values meet the restrictions.
    """
    unit = _units(objective, start)
    at = limits.possible(start, unit)
    if limits.linear:
        end = _substituted(objective, limits, at, unit, descend)
        if not limits.has_inequalities or (end[2] and limits.met(end[0], unit)):
            return end
    try:
        return _programmed(objective, limits, at, unit)
    except np.linalg.LinAlgError:  # where the restrictions cannot be computed
        return at, 0, False


def _units(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """Return about a standard error of each parameter, all others known."""
    rough = np.where(theta != 0, np.abs(theta), 1.0)
    if not np.isfinite(objective.value(theta)):
        return rough
    curvature = np.diag(objective.score(theta)[1]) / 2
    good = (curvature > 0) & np.isfinite(curvature)
    return np.where(good, 1 / np.sqrt(np.where(good, curvature, 1.0)), rough)


def _substituted(
    objective: Objective, limits: Restrictions, at: np.ndarray, unit: np.ndarray, descend: Descend
) -> End:
    """Search along what linear equalities leave free."""
    basis = unit[:, None] * kernel(limits.equality_jacobian(at) * unit)
    reduced = Reduced(objective, at, basis)
    if not reduced.k:
        return at, 0, bool(np.isfinite(objective.value(at)))
    found = descend(reduced, np.zeros(reduced.k))
    return reduced.theta(found.theta), found.steps, found.converged


@dataclass(frozen=True, eq=False)
class Programme:
    """Half the objective and its restrictions, in coordinates x: theta = at + basis x.

    Attributes
    ----------
    reduced : Reduced
    limits : Restrictions
    kept : ndarray of int
        Equalities, less those that follow from others.
    """

    reduced: Reduced
    limits: Restrictions
    kept: np.ndarray

    def equal(self, x: np.ndarray) -> np.ndarray:
        """Return the values of the equalities."""
        return self.limits.equality_values(self.reduced.theta(x))[self.kept]

    def equal_rows(self, x: np.ndarray) -> np.ndarray:
        """Return their derivatives."""
        rows = self.limits.equality_jacobian(self.reduced.theta(x))[self.kept]
        return rows @ self.reduced.basis

    def above(self, x: np.ndarray) -> np.ndarray:
        """Return the values of the inequalities."""
        return self.limits.inequality_values(self.reduced.theta(x))

    def above_rows(self, x: np.ndarray) -> np.ndarray:
        """Return their derivatives."""
        return self.limits.inequality_jacobian(self.reduced.theta(x)) @ self.reduced.basis

    def joined(self, x: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and derivatives of equalities and of active inequalities."""
        values = np.concatenate([self.equal(x), self.above(x)[active]])
        rows = np.concatenate([self.equal_rows(x), self.above_rows(x)[active]])
        if not (np.isfinite(values).all() and np.isfinite(rows).all()):
            raise np.linalg.LinAlgError("restrictions without a value")
        return values, rows


def _programmed(
    objective: Objective, limits: Restrictions, at: np.ndarray, unit: np.ndarray
) -> End:
    """Search by SLSQP from a point that meets the restrictions, then by Newton's method."""
    kept = _independent(limits.equality_jacobian(at) * unit)
    steps = 0
    for _ in range(2):  # the second time in the coordinates of the first end
        programme = Programme(_whitened(objective, limits, at, unit), limits, kept)
        x, more = _sequential(programme)
        at, steps = programme.reduced.theta(x), steps + more
        if not np.isfinite(objective.value(at)) or not limits.is_defined(at):
            return at, steps, False
    programme = Programme(_whitened(objective, limits, at, unit), limits, kept)
    x, more, converged = _polished(programme)
    theta = programme.reduced.theta(x)
    theta[np.abs(theta) < ROUNDING * unit] = 0.0  # a bound of 0 is met exactly
    return theta, steps + more, converged and limits.met(theta, unit)


def _whitened(
    objective: Objective, limits: Restrictions, at: np.ndarray, unit: np.ndarray
) -> Reduced:
    """Return the objective in coordinates in which half its expected Hessian at `at` is about I.

    Equalities are added to it: they may be what identifies the model.
    """
    if not np.isfinite(objective.value(at)):
        return Reduced(objective, at, np.diag(unit))
    rows = limits.equality_jacobian(at) * unit
    rows /= _lengths(rows)[:, None]
    information = objective.score(at)[1] / 2 * np.outer(unit, unit)
    values, vectors = np.linalg.eigh(information + rows.T @ rows)
    least = LEAST * max(values.max(), np.finfo(float).tiny)
    return Reduced(objective, at, unit[:, None] * vectors / np.sqrt(np.maximum(values, least)))


def _independent(rows: np.ndarray) -> np.ndarray:
    """Return the places of rows (m, k) of which none follows from the others."""
    if not len(rows):
        return np.zeros(0, dtype=int)
    _, r, order = qr((rows / _lengths(rows)[:, None]).T, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(r))
    return np.sort(order[: int((diagonal > RANK * diagonal.max(initial=0)).sum())])


def _lengths(rows: np.ndarray) -> np.ndarray:
    """Return the lengths of rows, 1 where it is 0."""
    size = np.linalg.norm(rows, axis=1)
    return np.where(size > 0, size, 1.0)


def _sequential(programme: Programme) -> tuple[np.ndarray, int]:
    """Return the end of SLSQP that starts at x = 0, and its steps."""
    reduced, x = programme.reduced, np.zeros(programme.reduced.k)
    first = reduced.value(x)
    offset = first if np.isfinite(first) else 0.0
    limits = []
    for kind, values, rows in (
        ("eq", programme.equal, programme.equal_rows),
        ("ineq", programme.above, programme.above_rows),
    ):
        size = _lengths(rows(x))
        if len(size):
            limits.append(_limit(kind, values, rows, size))

    def half(x: np.ndarray) -> float:
        return (reduced.value(x) - offset) / 2

    def slope(x: np.ndarray) -> np.ndarray:
        return reduced.score(x)[0] / 2

    options = {"maxiter": STEPS * 2, "ftol": NEAR}
    try:
        found = minimize(half, x, jac=slope, method="SLSQP", constraints=limits, options=options)
    except np.linalg.LinAlgError:  # far away, where there is no model
        return x, 0
    return found.x, int(found.nit)


def _limit(kind: str, values: Function, rows: Function, size: np.ndarray) -> dict[str, Any]:
    """Return restrictions as scipy takes them, each in standard errors."""
    return {
        "type": kind,
        "fun": lambda x: np.nan_to_num(values(x) / size, nan=-FAR),  # the root of a negative number
        "jac": lambda x: np.nan_to_num(rows(x) / size[:, None]),
    }


# ---- the last steps ------------------------------------------------------------------------------


def _polished(programme: Programme) -> End:
    """Go on from x = 0 by Newton's method, with the inequalities that hold there as equalities.

    One whose multiplier has the wrong sign is let go; one that a step would break is taken in.
    """
    x = np.zeros(programme.reduced.k)
    active = programme.above(x) / _lengths(programme.above_rows(x)) <= CLOSE
    before = np.inf
    for steps in range(STEPS):
        step, distance, push = _newton(programme, x, active)
        if distance < CLOSE and (push < NEGATIVE).any():
            active[np.flatnonzero(active)[np.argmin(push)]] = False
            before = np.inf
            continue
        if distance < EXACT or CONVERGED > distance >= before:
            return x, steps, _is_minimum(programme, x, active)
        x, taken = _stepped(programme, x, step, active)
        before = np.inf if taken.any() else distance
        active = active | taken
    return x, STEPS, False


def _newton(
    programme: Programme, x: np.ndarray, active: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray]:
    """Return the step, its squared length, and the multipliers of the active inequalities."""
    values, rows = programme.joined(x, active)
    size = _lengths(rows)
    values, rows = values / size, rows / size[:, None]
    gradient, expected = (part / 2 for part in programme.reduced.score(x))
    multipliers = np.linalg.lstsq(rows.T, gradient, rcond=RANK)[0]
    free, bend = kernel(rows), _bend(programme, x, active, multipliers / size)
    exact = programme.reduced.hessian(x)
    hessian = exact / 2 - bend
    if not _positive(free.T @ hessian @ free):
        hessian = expected
    normal = -np.linalg.lstsq(rows, values, rcond=RANK)[0]
    inner = free.T @ hessian @ free
    along = -free @ np.linalg.lstsq(inner, free.T @ (gradient + hessian @ normal), rcond=RANK)[0]
    step = normal + along
    return step, float(step @ step), multipliers[len(programme.kept) :]


def _bend(
    programme: Programme, x: np.ndarray, active: np.ndarray, multipliers: np.ndarray
) -> np.ndarray:
    """Return the second derivatives of the restrictions, times their multipliers."""

    def pull(x: np.ndarray) -> np.ndarray:
        return multipliers @ programme.joined(x, active)[1]

    moves = DIFFERENCE * np.eye(len(x))
    rows = np.array([pull(x + move) - pull(x - move) for move in moves]) / (2 * DIFFERENCE)
    return (rows + rows.T) / 2


def _stepped(
    programme: Programme, x: np.ndarray, step: np.ndarray, active: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return x after a step, cut where it would break an inequality, and which it then meets."""
    length, taken = 1.0, np.zeros_like(active)
    while not np.isfinite(programme.reduced.value(x + length * step)) and length > DIFFERENCE:
        length /= 2
    before, after = programme.above(x), programme.above(x + length * step)
    broken = ~active & (after < 0) & (after < before)
    if broken.any():
        share = np.where(broken, np.maximum(before, 0) / (before - after), np.inf)
        taken[np.argmin(share)] = True
        length *= float(share.min())
    return x + length * step, taken


def _is_minimum(programme: Programme, x: np.ndarray, active: np.ndarray) -> bool:
    """Tell whether the Lagrangian curves upwards in every free direction."""
    _, rows = programme.joined(x, active)
    gradient = programme.reduced.score(x)[0] / 2
    multipliers = np.linalg.lstsq(rows.T, gradient, rcond=RANK)[0]
    hessian = programme.reduced.hessian(x) / 2 - _bend(programme, x, active, multipliers)
    free = kernel(rows)
    return _positive(free.T @ hessian @ free)


def _positive(matrix: np.ndarray) -> bool:
    """Tell whether a matrix is positive definite (one of no rows is)."""
    if not np.isfinite(matrix).all():
        return False
    return not len(matrix) or bool(np.linalg.eigvalsh(matrix)[0] > FLAT)
