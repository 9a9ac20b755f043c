"""Constraints on the parameters of one fit: add one (Wald), release one (score), change all equal ones.

The three classic tests of a restriction: `wald` needs the larger model only, `score_tests` the
restricted one, a chi-square difference (`compare`) both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from semfit.fitting import constrained, inference
from semfit.fitting.estimates import Point, derivative
from semfit.fitting.fitting import Fit, estimator_under
from semfit.fitting.requirements import check_solution
from semfit.fitting.search import minimise
from semfit.moments.objective import Objective
from semfit.syntax.formula import evaluate, names_in
from semfit.syntax.model import Model
from semfit.syntax.ordered import Unit
from semfit.syntax.parameters import Layout, lay_out

KEY = ["lhs", "op", "rhs", "group"]
RANK = 1e-9  # of eigenvalues, relative to the largest


# ---- Wald ----------------------------------------------------------------------------------------


def wald(one: Fit, constraints: str | Iterable[str]) -> pd.DataFrame:
    """Test equations between the labelled parameters of one fit, without another fit.

    With g the left minus the right sides, J their derivatives and V the covariance matrix of the
    estimates (robust for MLR and WLSMV): g' (J V J')^-1 g, chi-square with as many degrees of
    freedom as equations.

    Parameters
    ----------
    one : Fit
    constraints : str or sequence of str
        ``"a == b"``; several in a list, on lines or separated by ``;``. A side is a formula of
        labels, names of ``:=`` lines and numbers: ``"h6*h11 == 0"``.

    Returns
    -------
    DataFrame
        One row: constraints, chisq, df, p. R: ``lavTestWald(fit, "a == b")``.

    Raises
    ------
    ValueError
        No solution; something that is not an equation; an unknown label (the message lists them);
        constraints of which one follows from the others.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + b*x2 + c*x3; g =~ x4 + x5 + x6; g ~ f")
    >>> fit = semfit.fit(model, semfit.example_data())
    >>> semfit.wald(fit, "b == c").round(3)
      constraints  chisq  df      p
    0      b == c  0.217   1  0.641
    """
    check_solution(one, "Wald test")
    texts = (
        constraints.replace(";", "\n").splitlines() if isinstance(constraints, str) else constraints
    )
    sides = [_sides(text) for text in texts if text.strip()]
    layout = one.layout
    known = [*layout.table["label"][layout.table["label"] != ""], *dict(layout.definitions)]
    used = {name for pair in sides for side in pair for name in names_in(side)}
    if not sides or not used <= {*known}:
        unknown = ", ".join(sorted(used - {*known})) or "nothing"
        raise ValueError(
            f"{unknown} is not a label or definition of the model; there are: "
            f"{', '.join(dict.fromkeys(known)) or 'none'}."
        )

    def gaps(theta: np.ndarray) -> np.ndarray:
        rows = one.point.values(theta)
        values = {n: v for n, v in zip(layout.table["label"], rows, strict=True) if n}
        values |= zip(dict(layout.definitions), one.point.defined(rows), strict=True)
        return np.array([evaluate(a, values) - evaluate(b, values) for a, b in sides])

    chisq, df = wald_statistic(gaps, one.point)
    text = "; ".join(f"{a} == {b}" for a, b in sides)
    return pd.DataFrame([{"constraints": text, "chisq": chisq, "df": df, "p": chi2.sf(chisq, df)}])


def _sides(text: str) -> list[str]:
    """Return the two formulas of an equation."""
    sides = [side.strip() for side in text.split("==")]
    if len(sides) != 2 or not all(sides):
        raise ValueError(f"{text.strip()!r} is not an equation: write 'a == b'.")
    return sides


def wald_statistic(
    gaps: Callable[[np.ndarray], np.ndarray], point: Point, dependent: bool = False
) -> tuple[float, int]:
    """Return (chisq, df) of the hypothesis that functions of the parameters are 0.

    If they may be `dependent` (the model's own constraints tie them), df is their rank.
    """
    values = np.real(gaps(point.theta.astype(complex)))
    slopes = derivative(gaps, point.theta).reshape(len(point.theta), len(values))
    cov = slopes.T @ point.vcov @ slopes
    scale = np.sqrt(np.diag(cov))
    scale[~(scale > 0)] = 1.0
    spread, axes = np.linalg.eigh(cov / np.outer(scale, scale))
    known = spread >= RANK
    if not known.all() and not dependent:
        raise ValueError(
            "The constraints cannot be tested together: one is about no free parameter, or follows "
            "from the others. Leave it out."
        )
    along = axes[:, known].T @ (values / scale)
    return float(along @ (along / spread[known])), int(known.sum())


# ---- score ---------------------------------------------------------------------------------------


def score_tests(one: Fit) -> pd.DataFrame:
    """Test each equality between parameters: what would chi-square do if it were released?

    With s and I the derivatives of the log-likelihood and the expected information of all rows of
    the table as if none were equal, and K a basis of what stays free: s' K (K' I K)^- K' s.

    Parameters
    ----------
    one : Fit
        With parameters that are equal across groups (``equal=``) or share a label, or with ``==``
        constraints.

    Returns
    -------
    DataFrame
        lhs, op, rhs, group (the parameter that is released), released_from (its first equal),
        chisq (about how much chi-square would go down), df (1), p, p_holm (over the rows), epc (what
        the parameter would become larger than its first equal, about), in the order of the model.
        Then the constraints: lhs and rhs are their sides, op is "==", released_from is "constraint"
        and epc is by how much the left side would become larger than the right. The last row, with
        released_from "all equalities", releases all of them at once. R:
        ``lavTestScore(fit)``; for MLR and WLSMV not robust either, as there. The df of the last row
        leave out equalities that only identify the model, which lavaan counts.

    Raises
    ------
    ValueError
        No solution, or no equality.

    Notes
    -----
    With weights or clusters the scores c that the free parameters leave over are compared with their
    covariance matrix C, from what was drawn independently: c' C^- c (Boos 1992). lavaan has none.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + b*x2 + b*x3; g =~ x4 + x5 + x6")
    >>> fit = semfit.fit(model, semfit.example_data())
    >>> semfit.score_tests(fit)[["lhs", "op", "rhs", "released_from", "chisq", "df", "p"]].round(3)
      lhs  op rhs   released_from  chisq  df     p
    0   f  =~  x3         f =~ x2  0.205   1  0.65
    1              all equalities  0.205   1  0.65
    """
    check_solution(one, "score tests")
    table = one.layout.table[one.layout.table["parameter"] != ""].reset_index(drop=True)
    owner = pd.factorize(table["parameter"])[0]
    later = np.flatnonzero(table["parameter"].duplicated())
    if not len(later) and not one.layout.restrictions.equalities:
        raise ValueError(
            "No parameters are equal: fit with equal=, give two parameters one label, or write "
            "a constraint (a == b)."
        )
    shared = np.zeros((len(table), owner.max() + 1))
    shared[np.arange(len(table)), owner] = 1.0
    limits, theta = one.layout.restrictions, one.point.theta
    active = constrained.active_rows(limits, theta)
    free = shared @ constrained.kernel(np.concatenate([limits.equality_jacobian(theta), active]))
    scores = _unrestricted(one, free)
    rows: list[list[Any]] = []
    for row in later:
        chisq, change = scores.released(np.c_[free, np.eye(len(table))[row]])
        first = int(np.flatnonzero(owner == owner[row])[0])
        gap = change[row] - change[first]
        rows.append([*table.loc[row, KEY], _written(table.loc[first]), chisq, 1, gap])
    rows += _constraint_rows(one, scores, shared)
    every = constrained.kernel(active @ np.linalg.pinv(shared))
    chisq, _ = scores.released(every)
    inner = _scaled(every.T @ scores.information @ every)
    df = np.linalg.matrix_rank(inner, tol=RANK, hermitian=True) - free.shape[1]
    rows.append(["", "", "", "", "all equalities", chisq, df, np.nan])
    columns = [*KEY, "released_from", "chisq", "df", "epc"]
    result = pd.DataFrame(rows, columns=columns)
    result["p"] = chi2.sf(result["chisq"], result["df"])
    result["p_holm"] = [*holm(result["p"][:-1]), np.nan]
    order = ["lhs", "op", "rhs", "group", "released_from", "chisq", "df", "p", "p_holm", "epc"]
    return result[order]


def _constraint_rows(one: Fit, scores: _Scores, shared: np.ndarray) -> Iterator[list[Any]]:
    """Yield the row of each ``==`` constraint: released, with the others kept."""
    limits, theta = one.layout.restrictions, one.point.theta
    slopes = limits.equality_jacobian(theta)
    active = constrained.active_rows(limits, theta)
    for place, constraint in enumerate(limits.equalities):
        rest = np.concatenate([np.delete(slopes, place, axis=0), active])
        free = constrained.kernel(rest)
        chisq, change = scores.released(shared @ free)
        gap = slopes[place] @ np.linalg.lstsq(shared, change, rcond=None)[0]
        left, _, right = map(str.strip, constraint.text.partition("=="))
        yield [left, "==", right, "", "constraint", chisq, 1, gap]


def _written(row: pd.Series) -> str:
    """Return a parameter as one writes it, with its group."""
    text = f"{row['lhs']} ~ 1" if row["op"] == "~1" else f"{row['lhs']} {row['op']} {row['rhs']}"
    return f"{text} ({row['group']})" if row["group"] else text


def _unrestricted(one: Fit, free: np.ndarray) -> _Scores:
    """Return the score of every free row, none equal to another, and what it is compared with."""
    objective = one.objective.untied()
    assert objective.k == len(free)
    theta = np.concatenate([one.point.theta[s.which] for s in one.objective.structures])
    covariance = objective.score_covariance(theta) if objective.designed else None
    score = -objective.score(theta)[0] / 2
    return _Scores(score, objective.information(theta), covariance, free)


@dataclass(frozen=True, eq=False)
class _Scores:
    """Derivatives of the log-likelihood to the rows of a table, and the directions that are free.

    Attributes
    ----------
    score : ndarray (r,)
    information : ndarray (r, r)
    covariance : ndarray (r, r) or None
        Of the score, where rows have weights or clusters.
    free : ndarray (r, m)
    """

    score: np.ndarray
    information: np.ndarray
    covariance: np.ndarray | None
    free: np.ndarray

    def released(self, wider: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the chi-square, and the change of every row, of a step in wider directions (r, w)."""
        step = _inverse(wider.T @ self.information @ wider) @ (wider.T @ self.score)
        if self.covariance is None:
            return float(self.score @ wider @ step), wider @ step
        return self._by_covariance(wider), wider @ step

    def _by_covariance(self, wider: np.ndarray) -> float:
        """Return the chi-square of the scores that the free directions leave over."""
        explained = _inverse(self.free.T @ self.information @ self.free)
        left = wider - self.free @ (explained @ (self.free.T @ self.information @ wider))
        scores = left.T @ self.score
        scale = np.sqrt(np.diag(wider.T @ self.information @ wider))
        spread = left.T @ self.covariance @ left / np.outer(scale, scale)
        inverse = np.linalg.pinv(spread, rcond=RANK, hermitian=True) / np.outer(scale, scale)
        return float(scores @ inverse @ scores)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of a matrix, or what is nearest to one, whatever the units of its rows."""
    scale = np.sqrt(np.diag(matrix))
    return np.linalg.pinv(_scaled(matrix), rcond=RANK, hermitian=True) / np.outer(scale, scale)


def _scaled(matrix: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.diag(matrix))
    return matrix / np.outer(scale, scale)


def holm(p: Any) -> np.ndarray:
    """Return p-values corrected by Holm (1979) for their number; NaN stays NaN and does not count.

    As ``p.adjust(p, "holm")``, without the garbage collection of a quarter of a second that
    ``statsmodels.stats.multitest.multipletests`` does at each call.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    result = np.full(len(p), np.nan)
    raised = p[order] * np.arange(len(order), 0, -1)
    result[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return result


# ---- other equalities of a fit -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Refit:
    """A model with other equalities, fitted for its test alone: the part of a `Fit` it needs."""

    model: Model
    estimator: str
    n_used: int
    layout: Layout
    objective: Objective
    point: Point
    test: inference.Test
    converged: bool


def layout_with(one: Fit, equal: Sequence[str], free: Sequence[str]) -> Layout:
    """Return the layout of a fit with other equalities across groups."""
    table = one.layout.table
    counts = table[(table["op"] == "|") & (table["group"] == one.groups[0])].groupby("lhs").size()
    return lay_out(
        one.model,
        one.groups,
        one.layout.mean_structure,
        thresholds=counts.to_dict(),
        equal=equal,
        free=free,
        labels=one.options["labels"],
        unit=Unit(one.options["parameterization"], one.options["identification"]),
    )


def refit(one: Fit, layouts: Iterable[Layout]) -> list[Refit]:
    """Return a `Refit` for each layout of the model of a fit, starting from its estimates."""
    assert one.test is not None
    tested = estimator_under(one.options).tester(one.layout, one.objective)
    values, result = one.point.values(one.point.theta), []
    for layout in layouts:
        objective = one.objective.with_layout(layout)
        start = pd.Series(values).groupby(layout.table["parameter"].to_numpy()).mean()
        found = minimise(objective, layout, start[list(layout.parameters)].to_numpy())
        df = one.test.df + constrained.free_parameters(one.layout, one.point.theta)
        df -= constrained.free_parameters(layout, found.theta)
        test = tested(objective, layout, found, df)
        point = replace(one.point, layout=layout, structures=objective.structures)
        point = replace(point, theta=found.theta)
        shared = one.model, one.estimator, one.n_used, layout, objective, point, test
        result.append(Refit(*shared, found.converged))
    return result
