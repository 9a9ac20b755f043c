"""What ``==``, ``<``, ``>`` and bounds ask of the parameters of a layout: values and derivatives.

Every restriction is a function of the free parameters: an equality h(theta) = 0, or an inequality
c(theta) >= 0. Bounds (``lower()``, ``upper()``) are inequalities of one parameter. Derivatives are
by a complex step, exact to rounding.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from semfit.syntax.formula import evaluate, names_in
from semfit.syntax.terms import Constraint

STEP = 1e-20  # of the complex step
SAME = 1e-9  # largest difference of derivatives at two points that are those of a line
RANK = 1e-9  # of singular values, relative to the largest, rows of length 1
MET = 1e-8  # largest violation that is one of rounding, for parameters in their units
FLAT = 1e-2  # where a constraint cannot be met, a slope so much smaller than elsewhere is why
FAR = 1e6  # instead of a violation that cannot be computed
STEPS = 30  # to the nearest such values
TRIES = 10  # points from which values that meet all restrictions are sought
POINTS = 4  # random points at which derivatives are compared
SEED = 20121001


class Restrictions:
    """The restrictions on the free parameters of a layout.

    Parameters
    ----------
    table : DataFrame
        Of a `Layout`, with lower and upper bounds.
    parameters : sequence of str
        Names of the free ones.
    constraints : sequence of Constraint
    definitions : sequence of (name, formula)

    Attributes
    ----------
    k : int
        Free parameters.
    equalities, inequalities : tuple of Constraint
    lower, upper : ndarray (k,)
        Bounds; infinite where there is none.
    linear : bool
        All equalities are.

    Raises
    ------
    ValueError
        A constraint uses a name that is none of the model, or holds no free parameter.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        parameters: Sequence[str],
        constraints: Sequence[Constraint] = (),
        definitions: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.parameters, self.k = tuple(parameters), len(parameters)
        self.equalities = tuple(c for c in constraints if c.op == "==")
        self.inequalities = tuple(c for c in constraints if c.op != "==")
        self.lower, self.upper = _bounds(table, self.parameters)
        self._known = _names(table, self.parameters, definitions)
        self._definitions = [d for d in definitions if self._known[d[0]] is not None]
        for constraint in constraints:
            self._check(constraint)

    def __bool__(self) -> bool:
        return bool(self.equalities) or self.has_inequalities

    @property
    def has_inequalities(self) -> bool:
        """There are ``<``, ``>`` or bounds."""
        bounds = np.concatenate([self.lower, self.upper])
        return bool(self.inequalities) or bool(np.isfinite(bounds).any())

    def equality_values(self, theta: np.ndarray) -> np.ndarray:
        """Return h(theta), (m,): 0 where they hold."""
        return self._values(self.equalities, theta)

    def equality_jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Return the derivatives of the equalities, (m, k)."""
        return self._jacobian(self.equalities, theta)

    def inequality_values(self, theta: np.ndarray) -> np.ndarray:
        """Return c(theta), (q,): at least 0 where they hold; those of bounds come last."""
        values = self._values(self.inequalities, theta)
        below, above = np.isfinite(self.lower), np.isfinite(self.upper)
        return np.concatenate([values, (theta - self.lower)[below], (self.upper - theta)[above]])

    def inequality_jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Return the derivatives of the inequalities, (q, k)."""
        rows = self._jacobian(self.inequalities, theta)
        unit = np.eye(self.k)
        return np.concatenate([rows, unit[np.isfinite(self.lower)], -unit[np.isfinite(self.upper)]])

    @cached_property
    def linear(self) -> bool:
        """All equalities are linear."""
        draws = np.random.default_rng(SEED).uniform(0.2, 1.5, (POINTS, self.k))
        signs = np.where(np.arange(POINTS)[:, None] % 2, -1.0, 1.0)
        rows = [self.equality_jacobian(theta) for theta in draws * signs]
        size = np.maximum(np.abs(rows[0]).max(axis=1, initial=0.0), 1.0)[:, None]
        return all((np.abs(other - rows[0]) <= SAME * size).all() for other in rows[1:])

    def is_defined(self, theta: np.ndarray) -> bool:
        """Tell whether all can be computed: no root of a negative number."""
        rows = [self.violation(theta), self.violation_jacobian(theta).ravel()]
        return bool(np.isfinite(np.concatenate(rows)).all())

    def violation(self, theta: np.ndarray) -> np.ndarray:
        """Return by how much each restriction is not met: 0 where it is."""
        return np.concatenate(
            [self.equality_values(theta), np.minimum(self.inequality_values(theta), 0)]
        )

    def violation_jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Return the derivatives of `violation`."""
        broken = self.inequality_values(theta) < 0
        rows = self.inequality_jacobian(theta) * broken[:, None]
        return np.concatenate([self.equality_jacobian(theta), rows])

    def met(self, theta: np.ndarray, unit: np.ndarray) -> bool:
        """Tell whether all hold, up to rounding; `unit` (k,) is a size that matters of each."""
        rows = np.concatenate([self.equality_jacobian(theta), self.inequality_jacobian(theta)])
        limit = MET * (np.abs(rows) @ unit) + np.finfo(float).eps * (np.abs(rows) @ np.abs(theta))
        return bool((np.abs(self.violation(theta)) <= limit).all())

    def nearest(self, theta: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return a point near `theta` at which all hold, as nearly as one was found.

        Parameters
        ----------
        theta : ndarray (k,)
        unit : ndarray (k,)
            Units of the parameters, in which distance is counted.
        """
        theta = self._stepped(theta, unit)
        if self.met(theta, unit):
            return theta
        rows = self.violation_jacobian(theta) * unit
        size = np.linalg.norm(rows, axis=1)
        size[~(size > 0)] = 1.0

        def gaps(x: np.ndarray) -> np.ndarray:
            values = self.violation(theta + unit * x) / size
            return np.nan_to_num(values, nan=FAR, posinf=FAR, neginf=-FAR)

        def slopes(x: np.ndarray) -> np.ndarray:
            rows = self.violation_jacobian(theta + unit * x) * unit / size[:, None]
            return np.nan_to_num(rows)

        start, ends = np.zeros(self.k), dict.fromkeys(("xtol", "ftol", "gtol"), 1e-15)
        return theta + unit * least_squares(gaps, start, slopes, **ends).x

    def _stepped(self, theta: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Go to the restrictions by Gauss and Newton's steps, the shortest there are."""
        for _ in range(STEPS):
            gaps, rows = self.violation(theta), self.violation_jacobian(theta) * unit
            if not (np.isfinite(gaps).all() and np.isfinite(rows).all()):
                break
            new = theta - unit * np.linalg.lstsq(rows, gaps, rcond=RANK)[0]
            if not np.linalg.norm(self.violation(new)) < np.linalg.norm(gaps):
                break
            theta = new
        return theta

    def possible(self, start: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return values near `start` that meet all restrictions.

        Raises
        ------
        ValueError
            None were found, or a constraint has no derivative where it holds; the message names
            the constraints.
        """
        draws = np.random.default_rng(SEED).normal(0, 1, (TRIES, self.k))
        spread = np.maximum(np.abs(start), unit)
        for theta in (start, *(start + spread * draws)):
            found = theta if self.met(theta, unit) else self.nearest(theta, unit)
            if self.met(found, unit):
                self._check_slopes(found, start + spread * draws[0], MET)
                return found
        self._check_slopes(found, start + spread * draws[0], FLAT)
        raise ValueError(
            f"No values of the parameters meet the constraints together: {self.text()}. Check "
            "their signs and numbers, or leave one out."
        )

    def _check_slopes(self, at: np.ndarray, elsewhere: np.ndarray, least: float) -> None:
        """Refuse an equality such as (a - b)^2 == 0: it says nothing where it holds."""
        here, there = (
            np.linalg.norm(self.equality_jacobian(theta), axis=1) for theta in (at, elsewhere)
        )
        gaps = self.equality_values(at) / self.equality_values(elsewhere)
        flat = (here < least * there) & (np.abs(gaps) < least)
        for constraint, is_flat in zip(self.equalities, flat, strict=True):
            if is_flat:
                raise ValueError(
                    f"Constraint {constraint.text!r} does not change with the parameters where it "
                    "holds: write it without powers or products that are 0 there ('a == b')."
                )

    def text(self) -> str:
        """Return the constraints as they were written, and the bounds."""
        return "; ".join([*(c.text for c in self.equalities), *self.inequality_texts()])

    def inequality_texts(self) -> list[str]:
        """Return the inequalities as they were written, and the bounds, in their order."""
        texts = [c.text for c in self.inequalities]
        for sign, bounds in ((">", self.lower), ("<", self.upper)):
            pairs = zip(self.parameters, bounds, strict=True)
            texts += [f"{name} {sign} {bound:g}" for name, bound in pairs if np.isfinite(bound)]
        return texts

    # ---- evaluation ------------------------------------------------------------------------------

    def _check(self, constraint: Constraint) -> None:
        """Refuse unknown names, and a constraint without a free parameter."""
        for name in names_in(constraint.formula):
            if name not in self._known:
                close = difflib.get_close_matches(name, self._known, 1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise ValueError(
                    f"Constraint {constraint.text!r}: {name!r} is no label, parameter or definition "
                    f"of the model.{hint}"
                )
            if self._known[name] is None:
                raise ValueError(
                    f"Constraint {constraint.text!r}: {name!r} is no free parameter but follows from "
                    "the others or from the data: it cannot be constrained."
                )
        points = np.random.default_rng(SEED).uniform(0.2, 1.5, (POINTS, self.k))
        if not any(self._jacobian([constraint], theta).any() for theta in points):
            raise ValueError(
                f"Constraint {constraint.text!r} restricts no free parameter: leave it out, or free "
                "what it is about."
            )

    def _evaluated(self, constraints: Sequence[Constraint], theta: np.ndarray) -> list[Any]:
        """Return each formula's value; `theta` is (k,), or (k, points)."""
        values: dict[str, Any] = {
            name: theta[known] if isinstance(known, int) else known
            for name, known in self._known.items()
            if known is not None
        }
        for name, formula in self._definitions:
            values[name] = evaluate(formula, values)
        return [evaluate(constraint.formula, values) for constraint in constraints]

    def _values(self, constraints: Sequence[Constraint], theta: np.ndarray) -> np.ndarray:
        return np.array(self._evaluated(constraints, theta), dtype=theta.dtype)

    def _jacobian(self, constraints: Sequence[Constraint], theta: np.ndarray) -> np.ndarray:
        """All derivatives of a formula at once: one column of points for each parameter."""
        points = theta[:, None] + 1j * STEP * np.eye(self.k)
        rows = [np.imag(v) * np.ones(self.k) for v in self._evaluated(constraints, points)]
        return np.array(rows).reshape(len(rows), self.k) / STEP


def _bounds(table: pd.DataFrame, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the narrowest bounds of each parameter."""
    lower, upper = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    columns = (table[column].tolist() for column in ("parameter", "lower", "upper"))
    for name, least, most in zip(*columns, strict=True):
        if name and (least > -np.inf or most < np.inf):
            place = names.index(name)
            lower[place] = max(lower[place], least)
            upper[place] = min(upper[place], most)
    return lower, upper


def _names(
    table: pd.DataFrame, parameters: Sequence[str], definitions: Sequence[tuple[str, str]]
) -> dict[str, int | float | None]:
    """Return what each name of a formula stands for.

    The place (int) of a free parameter, the value (float) of a fixed one, NaN of a definition, None
    where the value is not known without data or other parameters.
    """
    known: dict[str, int | float | None] = {n: i for i, n in enumerate(parameters)}
    needed = ("label", "parameter", "value", "exogenous", "derived")
    columns = (table[column].tolist() for column in needed)
    for label, parameter, value, exogenous, derived in zip(*columns, strict=True):
        if label:
            fixed = None if exogenous or derived else float(value)
            known[label] = known.get(parameter, fixed)
    for name, formula in definitions:
        lacking = any(known.get(used) is None for used in names_in(formula))
        known[name] = None if lacking else np.nan
    return known
