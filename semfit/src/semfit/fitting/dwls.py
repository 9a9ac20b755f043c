"""Diagonally weighted least squares for ordered variables (WLSMV), as in lavaan.

A model is fitted to the statistics of `ordinal`, weighted by the inverse of their variances; standard
errors and the test use their full covariance Gamma (Muthén, du Toit & Spisic 1997; Asparouhov &
Muthén 2010). With mu, Sigma and Pi what the model implies given the covariates, and d the scale of a
latent response (a parameter under delta, 1 / sd under theta: see `syntax.ordered`):

    threshold  d (tau - mu),   intercept  -mu,   slope  d Pi,   covariance  d d' Sigma
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from semfit.fitting import constrained, requirements
from semfit.fitting.estimates import Point
from semfit.fitting.estimator import (
    MEAN_AND_VARIANCE,
    Estimator,
    Options,
    Prepared,
    Tested,
    Tester,
)
from semfit.fitting.inference import Test, invert
from semfit.fitting.refits import Refit, Refitted, Times, failed, solved
from semfit.fitting.requirements import Selected
from semfit.fitting.search import Found, minimise
from semfit.fitting.starts import Start
from semfit.messages import message
from semfit.moments.curvature import curvature_rows
from semfit.moments.design import SIMPLE, Design
from semfit.moments.implied import SCALE, THRESHOLD, Derivatives, Implied, Structure
from semfit.moments.normal import STEP, add_matrix
from semfit.moments.objective import Names, Objective, deltas_of, untie
from semfit.moments.ordinal import ordinal_moments
from semfit.moments.sample import GroupFit
from semfit.syntax.identification import check_identified
from semfit.syntax.model import Model
from semfit.syntax.ordered import Unit
from semfit.syntax.parameters import Layout, lay_out

LOOKS_ORDERED = 10  # values at most: more are hardly an answer scale
POSITIVE = 2.0**-26  # smallest eigenvalue of a positive definite correlation matrix, as in lavaan


@dataclass(frozen=True, eq=False)
class Statistics:
    """The statistics of one group, and where each stands in the matrices of the model.

    Attributes
    ----------
    n : int
    values, weights : ndarray (q,)
        Statistics, and the inverse of their asymptotic variances.
    gamma : ndarray (q, q)
    kind : ndarray (q,) of str
    row, column : ndarray (q,)
        Places of lhs and rhs among the observed variables; of a threshold, its number.
    covariate_cov, covariate_mean : ndarray (p, p), (p,)
        Sample moments of the covariates, 0 for other variables.
    complete, em_steps, seen, counts, design
        As of `sample.Sample`.
    """

    n: int
    values: np.ndarray
    weights: np.ndarray
    gamma: np.ndarray
    kind: np.ndarray
    row: np.ndarray
    column: np.ndarray
    covariate_cov: np.ndarray
    covariate_mean: np.ndarray
    complete: bool
    em_steps: int
    seen: np.ndarray
    counts: np.ndarray
    design: Design

    def pick(self, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (which statistics, their rows, their columns) of one kind."""
        which = np.flatnonzero(self.kind == kind)
        return which, self.row[which], self.column[which]


class WeightedLeastSquares(Estimator):
    """WLSMV: for `ordered` variables."""

    name = "WLSMV"
    correction = MEAN_AND_VARIANCE
    ordered = True

    pairwise = True

    def prepare(self, model: Model, selected: Selected, options: Options) -> Prepared:
        """Return the weighted residuals of each group's statistics, and where the search starts."""
        ordered = ordered_names(model, options["ordered"], selected.rows)
        levels = levels_of(selected, ordered)
        for frame, label, n_rows in zip(
            selected.counted, selected.groups, selected.group_rows, strict=True
        ):
            requirements.check_sample(frame, n_rows, label)
        layout = lay_out(
            model,
            selected.groups,
            True,
            thresholds={name: len(values) - 1 for name, values in levels.items()},
            equal=options["equal"],
            free=options["free"],
            labels=options["labels"],
            unit=Unit(options["parameterization"], options["identification"]),
        )
        pairs = zip(selected.frames, selected.designs, strict=True)
        statistics = [statistics_of(model, ordered, levels, *pair) for pair in pairs]
        objective = DwlsObjective(layout, statistics)
        check_identified(layout, objective.jacobian)
        means, thresholds = zip(*[_starting_means(model, s) for s in statistics], strict=True)
        start = Start(_starting_cov(model, statistics), means, thresholds=thresholds)
        return Prepared(layout, objective, start)

    def tests(self, prepared: Prepared, found: Found) -> Tested:
        """Return robust covariance matrix, adjusted test and that of the baseline."""
        objective = prepared.objective
        assert isinstance(objective, DwlsObjective)
        return _tests(prepared.layout, objective, found)

    def tester(self, layout: Layout, objective: Objective) -> Tester:
        """Return the function that gives the chi-square of other equalities, not adjusted."""
        return lambda other, layout, found, df: Test(other.value(found.theta), df)

    def refit(self, point: Point, objective: Objective, frames: Sequence[pd.DataFrame]) -> Refit:
        """Return the refit by Fisher scoring; every draw needs all categories."""
        rows = pd.concat(frames)
        levels = {name: np.unique(rows[name].dropna()) for name in point.layout.ordered}
        designs = [group.design for group in objective.samples]
        return OrderedRefit(point, [*frames], levels, designs)


def levels_of(selected: Selected, ordered: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the categories of ordered variables; refuse those of which no row has a weight."""
    rows, counted = pd.concat(selected.frames), pd.concat(selected.counted)
    levels = {name: np.unique(rows[name].dropna()) for name in ordered}
    for name, values in levels.items():
        empty = np.setdiff1d(values, counted[name].dropna())
        if len(empty):
            raise ValueError(
                f"Category {empty[0]:g} of {name!r} has only rows of weight 0: drop these rows, or "
                "merge it with a neighbouring category."
            )
    return levels


def ordered_names(model: Model, asked: str | Sequence[str], rows: pd.DataFrame) -> tuple[str, ...]:
    """Return the ordered variables in the order of the model; refuse what cannot be ordered.

    `rows`: of the data, to name those that look ordered where none are asked for.
    """
    modelled = [name for name in model.observed if name not in model.covariates]
    asked = modelled if asked == "all" else list(asked)
    unknown = [name for name in asked if name not in modelled]
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} is not among the variables that the model explains: "
            f"{', '.join(modelled)}. Name in 'ordered' those that are ordered categories, or say 'all'."
        )
    if not asked:
        found = [name for name in modelled if _looks_ordered(rows[name])]
        look = (
            f"Few whole numbers, and so perhaps ordered: {', '.join(found)}."
            if found
            else "None that the model explains has a few whole numbers: use MLR."
        )
        raise ValueError(
            "WLSMV is for ordered categories, and 'ordered' names no variable: give it their names, or "
            f"'all'. {look}"
        )
    return tuple(name for name in model.observed if name in asked)


def _looks_ordered(column: pd.Series) -> bool:
    values = column.dropna().unique()
    return 1 < len(values) <= LOOKS_ORDERED and bool((values == np.round(values)).all())


def statistics_of(
    model: Model,
    ordered: Sequence[str],
    levels: Mapping[str, np.ndarray],
    frame: pd.DataFrame,
    design: Design = SIMPLE,
) -> Statistics:
    """Return the `Statistics` of one group."""
    seen, counts = np.unique(frame.notna().to_numpy(), axis=0, return_counts=True)
    gaps = not seen.all()
    table = ordinal_moments(frame, ordered, model.covariates, levels, design, gaps)
    place = {name: i for i, name in enumerate(model.observed)}
    rows, number = table.table, table.table["rhs"].str.extract(r"^t(\d+)$")[0]
    threshold = rows["kind"] == "threshold"
    column = rows["rhs"].map(place).where(~threshold, number.astype(float) - 1).fillna(0)
    p = len(model.observed)
    fixed = [place[name] for name in model.covariates]
    cov, mean = np.zeros((p, p)), np.zeros(p)
    if fixed:
        x = frame[list(model.covariates)].to_numpy()
        weighted = design.weights is not None  # over n then, else over n - 1, as lavaan
        mean[fixed] = np.average(x, axis=0, weights=design.weights)
        own = np.cov(x.T, ddof=int(not weighted), aweights=design.weights)
        cov[np.ix_(fixed, fixed)] = np.atleast_2d(own)
    return Statistics(
        len(frame),
        table.values,
        1 / table.variances,
        table.gamma,
        rows["kind"].to_numpy(),
        rows["lhs"].map(place).to_numpy(),
        column.to_numpy(dtype=int),
        cov,
        mean,
        not gaps,
        0,
        seen.astype(float),
        counts.astype(float),
        design,
    )


def _matrices(statistics: Statistics, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Return covariance and slope matrices (p, p) of the statistics."""
    cov, slopes = np.zeros((p, p)), np.zeros((p, p))
    cov[np.diag_indices(p)] = 1.0
    for kind, target in (("variance", cov), ("covariance", cov), ("slope", slopes)):
        which, i, j = statistics.pick(kind)
        target[i, j] = statistics.values[which]
        if kind == "covariance":
            target[j, i] = statistics.values[which]
    return cov, slopes


def _starting_cov(model: Model, statistics: Sequence[Statistics]) -> np.ndarray:
    """Return the covariance matrix of responses and covariates, groups pooled, for the search."""
    p = len(model.observed)
    total = np.zeros((p, p))
    for group in statistics:
        cov, slopes = _matrices(group, p)
        fixed = np.isin(model.observed, model.covariates)
        cov[fixed] = cov[:, fixed] = 0
        mixed = (np.eye(p) + slopes) @ group.covariate_cov
        total = total + group.n * (cov + mixed @ (np.eye(p) + slopes).T)
    return total / sum(group.n for group in statistics)


def _starting_means(
    model: Model, statistics: Statistics
) -> tuple[np.ndarray, dict[tuple[str, str], float]]:
    """Return means of numeric variables, and thresholds, of one group."""
    means = statistics.covariate_mean.copy()
    which, i, _ = statistics.pick("intercept")
    means[i] = -statistics.values[which]
    which, i, k = statistics.pick("threshold")
    names = [(model.observed[a], f"t{b + 1}") for a, b in zip(i, k, strict=True)]
    return means, dict(zip(names, statistics.values[which], strict=True))


class DwlsObjective(Objective):
    """Weighted sum of squared residuals of several groups, a function of the free parameters.

    value = sum (n_g - 1) (s - sigma)' W (s - sigma): the unscaled chi-square.

    Attributes
    ----------
    given : list of implied.Structure
        Conditional on the covariates: what is fitted.
    structures : list of implied.Structure
        With the sample moments of the covariates: what is reported.
    """

    samples: list[Statistics]

    def __init__(self, layout: Layout, statistics: Sequence[Statistics]) -> None:
        self.samples, self.k = list(statistics), len(layout.parameters)
        self.n = sum(group.n for group in statistics)
        p = len(layout.model.observed)
        none = np.zeros((p, p)), np.zeros(p)
        places = range(len(statistics))
        self.given = [Structure(layout, g, *none) for g in places]
        self.structures = [
            Structure(layout, g, s.covariate_cov, s.covariate_mean)
            for g, s in zip(places, statistics, strict=True)
        ]
        self.ordered = np.isin(layout.model.observed, layout.ordered)

    @property
    def fitted(self) -> list[Structure]:
        """What is fitted is conditional on the covariates."""
        return self.given

    def residuals(self, theta: np.ndarray) -> list[np.ndarray]:
        """Return statistics minus what the model implies, of each group."""
        return [
            group.values - implied_statistics(structure, group, structure.implied(theta))
            for structure, group in zip(self.given, self.samples, strict=True)
        ]

    def value(self, theta: np.ndarray) -> float:
        """Return the unscaled chi-square."""
        parts = zip(self.residuals(theta), self.samples, strict=True)
        value = sum((group.n - 1) * (r @ (group.weights * r)) for r, group in parts)
        return float(value) if np.isfinite(value) else np.inf

    def deltas(self, theta: np.ndarray) -> list[np.ndarray]:
        """Return the derivatives of the statistics of each group, (q, k)."""
        rows = [
            statistic_derivatives(structure, group, structure.implied(theta))
            for structure, group in zip(self.given, self.samples, strict=True)
        ]
        return deltas_of(self.given, rows, self.k)

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Return the derivatives of all statistics, groups one after the other."""
        return np.concatenate(self.deltas(theta))

    def score(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient of the chi-square, and its Gauss-Newton Hessian."""
        gradient, hessian = np.zeros(self.k), np.zeros((self.k, self.k))
        parts = zip(self.deltas(theta), self.residuals(theta), self.samples, strict=True)
        for delta, residual, group in parts:
            weighted = (group.n - 1) * delta * group.weights[:, None]
            gradient -= 2 * residual @ weighted
            hessian += 2 * delta.T @ weighted
        return gradient, hessian

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return the gradient of the chi-square at `theta`, real or complex."""
        parts = zip(self.deltas(theta), self.residuals(theta), self.samples, strict=True)
        rows = [2 * (g.n - 1) * (g.weights * residual) @ delta for delta, residual, g in parts]
        return -np.sum(rows, axis=0)

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """Return the Hessian of the chi-square; by complex steps of the gradient if there are scales.

        Without scales and slopes: that of Gauss and Newton, and the second derivatives of the
        statistics with their weighted residuals.
        """
        if all(_is_linear(s, g) for s, g in zip(self.given, self.samples, strict=True)):
            return self.score(theta)[1] + self._curvature(theta)
        rows = [self.gradient(theta + 1j * STEP * unit).imag / STEP for unit in np.eye(self.k)]
        return (np.array(rows) + np.array(rows).T) / 2

    def _curvature(self, theta: np.ndarray) -> np.ndarray:
        """Return the second derivatives of the statistics times what they weigh in the chi-square."""
        result = np.zeros((self.k, self.k))
        parts = zip(self.given, self.samples, self.residuals(theta), strict=True)
        for structure, group, residual in parts:
            times = -2 * (group.n - 1) * group.weights * residual
            matrix, vector = np.zeros((structure.p, structure.p)), np.zeros(structure.p)
            for kind in ("variance", "covariance"):
                which, i, j = group.pick(kind)
                np.add.at(matrix, (i, j), times[which] / 2)
                np.add.at(matrix, (j, i), times[which] / 2)
            for kind in ("threshold", "intercept"):
                which, i, _ = group.pick(kind)
                np.add.at(vector, i, -times[which])
            rows = curvature_rows(structure, structure.implied(theta), matrix, vector)
            add_matrix(result, structure.which, rows)
        return result

    def group_fits(self, theta: np.ndarray) -> list[GroupFit]:
        """Return the sample and implied moments of each group, as `sample.GroupFit`."""
        parts = zip(self.given, self.samples, self.residuals(theta), strict=True)
        return [self._group_fit(*part, theta) for part in parts]

    def _group_fit(
        self, structure: Structure, group: Statistics, residual: np.ndarray, theta: np.ndarray
    ) -> GroupFit:
        implied = structure.implied(theta)
        scale = structure.scales(implied.values)
        modelled = ~np.isin(structure.observed, structure.covariates)
        both = np.ix_(modelled, modelled)
        sample_cov, _ = _matrices(group, structure.p)
        slope, i, j = group.pick("slope")
        unit = np.sqrt(np.diag(group.covariate_cov)[j] / np.diag(sample_cov)[i])
        return GroupFit(
            group.n,
            tuple(np.array(structure.observed, dtype=object)[modelled]),
            sample_cov[both],
            (implied.cov * np.outer(scale, scale))[both],
            None,
            None,
            np.zeros(modelled.sum(), dtype=bool),
            self.ordered[modelled],
            thresholds=residual[group.kind == "threshold"],
            slopes=residual[slope],
            standardized_slopes=residual[slope] * unit,
            n_covariates=len(structure.covariates),
            squares=(group.weights @ residual**2, group.weights @ group.values**2),
            n_moments=len(group.values),
        )

    def information(self, theta: np.ndarray) -> np.ndarray:
        """Return the weights as information: of n rows, as lavaan has it; chi-square is of n - 1."""
        parts = zip(self.deltas(theta), self.samples, strict=True)
        return np.sum([g.n * delta.T @ (g.weights[:, None] * delta) for delta, g in parts], axis=0)

    def untied(self) -> DwlsObjective:
        """Return a copy in which each free row of the table has a parameter of its own."""
        other = super().untied()
        other.given, _ = untie(self.given)
        return other

    def with_layout(self, layout: Layout) -> DwlsObjective:
        """Return the objective of the same statistics for another layout of the model."""
        return DwlsObjective(layout, self.samples)

    def moments(self, model: Model, theta: np.ndarray) -> tuple[Names, list[np.ndarray]]:
        """Return what each statistic is, and its derivatives (q, k), group by group."""
        return self.statistic_names(), self.deltas(theta)

    def statistic_names(self) -> Names:
        """Return what each statistic is, group by group, whatever the order of the variables."""
        result: Names = []
        for structure, group in zip(self.given, self.samples, strict=True):
            names, threshold = np.array(structure.observed, dtype=object), group.kind == "threshold"
            second = np.where(threshold, group.column, names[np.where(threshold, 0, group.column)])
            pairs = zip(group.kind, names[group.row], second, strict=True)
            result.append([(kind, frozenset((a, b))) for kind, a, b in pairs])
        return result

    def matching(self, other: DwlsObjective, theta: np.ndarray) -> DwlsObjective:
        """Return this model's objective for the statistics that another one implies."""
        target, names = (
            copy(self),
            zip(other.statistic_names(), self.statistic_names(), strict=True),
        )
        orders = [[its.index(name) for name in own] for its, own in names]
        parts = zip(self.samples, other.samples, other.residuals(theta), orders, strict=True)
        target.samples = [
            replace(own, values=(its.values - residual)[order])
            for own, its, residual, order in parts
        ]
        return target

    def extended(
        self, place: int, theta: np.ndarray, new: Derivatives, reach: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return score (n - 1 rows) and information (n) with further parameters."""
        structure, group = self.given[place], self.samples[place]
        delta = self._extended_delta(place, theta, new, reach)
        weighted = group.weights[:, None] * delta
        residual = self.residuals(theta)[place]
        score = (group.n - 1) * residual @ weighted[:, len(structure.which) :]
        return score, group.n * delta.T @ weighted

    def _extended_delta(
        self, place: int, theta: np.ndarray, new: Derivatives, reach: np.ndarray
    ) -> np.ndarray:
        """Return the derivatives of the statistics of a group, to further parameters too."""
        structure, group = self.given[place], self.samples[place]
        implied = structure.implied(theta)
        changes = moment_derivatives(structure, group, implied, new, reach)
        return np.hstack([statistic_derivatives(structure, group, implied), changes])

    def score_covariance(self, theta: np.ndarray) -> np.ndarray:
        """Return sum (n - 1) Delta' W Gamma W Delta."""
        parts = zip(self.samples, self.deltas(theta), strict=True)
        return np.sum([_score_covariance(group, delta) for group, delta in parts], axis=0)

    def extended_covariance(
        self, place: int, theta: np.ndarray, new: Derivatives, reach: np.ndarray
    ) -> np.ndarray:
        """Return (n - 1) Delta' W Gamma W Delta of one group, with further parameters."""
        delta = self._extended_delta(place, theta, new, reach)
        return _score_covariance(self.samples[place], delta)


def _score_covariance(group: Statistics, delta: np.ndarray) -> np.ndarray:
    weighted = group.weights[:, None] * delta
    return (group.n - 1) * weighted.T @ group.gamma @ weighted


def _is_linear(structure: Structure, group: Statistics) -> bool:
    """Tell whether the statistics are moments: every scale is 1, and none follows from the rest."""
    scales = structure.kind == SCALE
    scaled = scales[structure.free].any() or (structure.fixed[scales] != 1).any()
    follows = len(structure.derived_scales) or len(structure.mediators)
    return not (scaled or follows or (group.kind == "slope").any())


def _thresholds(structure: Structure, values: np.ndarray) -> np.ndarray:
    """Return the threshold parameters as a matrix (p, most)."""
    rows = structure.kind == THRESHOLD
    matrix = np.zeros((structure.p, structure.column[rows].max() + 1), dtype=values.dtype)
    matrix[structure.row[rows], structure.column[rows]] = values[rows]
    return matrix


def _covariate_columns(structure: Structure) -> np.ndarray:
    """Return, for each observed variable, its place among the structural ones (0 if none)."""
    eta = {name: i for i, name in enumerate(structure.structural)}
    return np.array([eta.get(name, 0) for name in structure.observed])


def implied_statistics(
    structure: Structure, statistics: Statistics, implied: Implied
) -> np.ndarray:
    """Return what a model implies for each statistic of a group: (q,)."""
    scale = structure.scales(implied.values)
    thresholds = _thresholds(structure, implied.values)
    slopes = implied.total[:, _covariate_columns(structure)]
    result = np.empty(len(statistics.values), dtype=implied.values.dtype)
    which, i, k = statistics.pick("threshold")
    result[which] = scale[i] * (thresholds[i, k] - implied.mean[i])
    which, i, _ = statistics.pick("intercept")
    result[which] = -implied.mean[i]
    which, i, j = statistics.pick("slope")
    result[which] = scale[i] * slopes[i, j]
    for kind in ("variance", "covariance"):
        which, i, j = statistics.pick(kind)
        result[which] = scale[i] * scale[j] * implied.cov[i, j]
    return result


def statistic_derivatives(
    structure: Structure, statistics: Statistics, implied: Implied
) -> np.ndarray:
    """Return the derivatives of the statistics to each free row of the table: (q, rows)."""
    d = structure.derivatives(implied)
    kind, row, column = (
        part[structure.free] for part in (structure.kind, structure.row, structure.column)
    )
    reach = np.where(d.reach, implied.inverse[np.where(d.reach, column, 0)].T, 0.0)
    result = moment_derivatives(structure, statistics, implied, d, reach)
    which, i, k = statistics.pick("threshold")
    own = (kind == THRESHOLD) & (row == i[:, None]) & (column == k[:, None])
    result[which] += structure.scales(implied.values)[i, None] * own
    result += _scale_derivatives(statistics, kind, row, structure, implied)
    if not len(structure.mediators):
        return result
    scale = structure.scales(implied.values)[structure.derived_places, None]
    target = -2 / scale**3 * ((kind == SCALE) & (row == structure.derived_places[:, None]))
    return result + _residual_changes(structure, statistics, implied, target)


def moment_derivatives(
    structure: Structure,
    statistics: Statistics,
    implied: Implied,
    d: Derivatives,
    reach: np.ndarray,
) -> np.ndarray:
    """Return what changes of mean, covariance and total effects do to the statistics: (q, rows).

    Parameters
    ----------
    d : implied.Derivatives
    reach : ndarray (m, rows)
        dT = u reach', 0 where the total effects do not change.
    """
    scale = structure.scales(implied.values)
    result = np.zeros((len(statistics.values), len(d.s)), dtype=scale.dtype)
    which, i, _ = statistics.pick("threshold")
    result[which] = scale[i, None] * -d.s * d.u[i]
    which, i, _ = statistics.pick("intercept")
    result[which] = -d.s * d.u[i]
    which, i, j = statistics.pick("slope")
    result[which] = scale[i, None] * d.u[i] * reach[_covariate_columns(structure)[j]]
    for name in ("variance", "covariance"):
        which, i, j = statistics.pick(name)
        change = d.u[i] * d.v[j] + d.u[j] * d.v[i]
        result[which] = (scale[i] * scale[j])[:, None] * change
    result += _derived_scale_changes(structure, statistics, implied, 2 * d.u * d.v)
    if not len(structure.mediators):
        return result
    explained = 2 * (d.u * d.v)[structure.derived_places]
    return result + _residual_changes(structure, statistics, implied, -explained)


def _derived_scale_changes(
    structure: Structure, statistics: Statistics, implied: Implied, change: np.ndarray
) -> np.ndarray | float:
    """Return what changes of derived scales do ("theta"): dd / d = -d^2 dSigma_ii / 2.

    `change` (p, rows) is dSigma_ii.
    """
    places = structure.derived_scales
    if not len(places):
        return 0.0
    scale = structure.scales(implied.values)
    relative = np.zeros_like(change)
    relative[places] = -(scale[places, None] ** 2) * change[places] / 2
    once = np.isin(statistics.kind, ("threshold", "slope", "covariance"))[:, None]
    twice = (statistics.kind == "covariance")[:, None]
    second = np.where(twice, relative[np.where(twice[:, 0], statistics.column, 0)], 0.0)
    value = implied_statistics(structure, statistics, implied)
    return value[:, None] * (once * relative[statistics.row] + second)


def _residual_changes(
    structure: Structure, statistics: Statistics, implied: Implied, gap: np.ndarray
) -> np.ndarray:
    """Return what the residual variances of ordered mediators do to the statistics (q, rows).

    They follow (`Structure._complete`) where the gap between the variances that responses must have
    and those that they have without them changes by `gap` (derived residual variances, rows).
    """
    variances = np.linalg.solve(structure.residual_reach(implied.total), gap)
    scale = structure.scales(implied.values)
    result = np.zeros((len(statistics.values), gap.shape[1]), dtype=variances.dtype)
    at, own = structure.mediators, variances[structure.mediator_rows]
    for name in ("variance", "covariance"):
        which, i, j = statistics.pick(name)
        reach = implied.total[np.ix_(i, at)] * implied.total[np.ix_(j, at)]
        result[which] = (scale[i] * scale[j])[:, None] * (reach @ own)
    change = implied.total[:, at] ** 2 @ own
    return result + _derived_scale_changes(structure, statistics, implied, change)


def _scale_derivatives(
    statistics: Statistics,
    kind: np.ndarray,
    row: np.ndarray,
    structure: Structure,
    implied: Implied,
) -> np.ndarray:
    """Derivatives to the scales: each statistic is proportional to those of its variables."""
    scale = structure.scales(implied.values)
    scales = np.flatnonzero(kind == SCALE)
    result = np.zeros((len(statistics.values), len(kind)), dtype=scale.dtype)
    if not len(scales):
        return result
    value = implied_statistics(structure, statistics, implied)
    i, j = statistics.row[:, None], statistics.column[:, None]
    first = (i == row[scales]) & (statistics.kind != "intercept")[:, None]
    second = (j == row[scales]) & (statistics.kind == "covariance")[:, None]
    result[:, scales] = (first.astype(float) + second) * (value[:, None] / scale[row[scales]])
    return result


def _tests(layout: Layout, objective: DwlsObjective, found: Found) -> Tested:
    npar = constrained.free_parameters(layout, found.theta)
    df = sum(len(group.values) for group in objective.samples) - npar
    if not found.converged:
        return Tested(df)
    share = [group.n / objective.n for group in objective.samples]
    deltas = objective.deltas(found.theta)
    weights = [f * group.weights for f, group in zip(share, objective.samples, strict=True)]
    parts = zip(deltas, weights, strict=True)
    information = np.sum([delta.T @ (weight[:, None] * delta) for delta, weight in parts], axis=0)
    free = constrained.free_directions(layout, found.theta)
    bread = invert(information, free)
    chisq, baseline = objective.value(found.theta), _baseline(objective)
    if bread is None:
        return Tested(df, None, Test(chisq, df), baseline)
    gammas = [group.gamma / f for f, group in zip(share, objective.samples, strict=True)]
    weighted = [w[:, None] * delta for delta, w in zip(deltas, weights, strict=True)]
    meat = np.sum([d.T @ g @ d for d, g in zip(weighted, gammas, strict=True)], axis=0)
    vcov = bread @ meat @ bread / (objective.n - len(share))
    traces = _traces(weights, weighted, gammas, bread)
    robust = np.nan, np.nan
    if _thresholds_are_free(objective.given, free):
        robust = _categorical_ml(objective, found, bread, df)
    return Tested(df, vcov, Test(chisq, df, *mean_and_variance(df, *traces), *robust), baseline)


def _traces(
    weights: Sequence[np.ndarray],
    weighted: Sequence[np.ndarray],
    gammas: Sequence[np.ndarray],
    bread: np.ndarray,
) -> tuple[float, float]:
    """Return tr(U Gamma) and tr(U Gamma U Gamma), U = W - W Delta E^-1 Delta' W, all groups."""
    delta = np.concatenate(weighted)
    sizes = np.cumsum([0, *[len(weight) for weight in weights]])
    product = np.zeros((sizes[-1], sizes[-1]))
    for g, gamma in enumerate(gammas):
        block = slice(sizes[g], sizes[g + 1])
        product[block, block] = weights[g][:, None] * gamma
        product[:, block] -= delta @ (bread @ (delta[block].T @ gamma))
    return np.trace(product), np.sum(product * product.T)


def mean_and_variance(df: int, trace: float, trace_squared: float) -> tuple[float, float]:
    """Return (scaling, shift) that give the chi-square its mean df and variance 2 df.

    X2 sqrt(df / tr2) + df - sqrt(df tr1^2 / tr2) (Asparouhov & Muthén 2010).
    """
    if df <= 0:
        return np.nan, 0.0
    return np.sqrt(trace_squared / df), df - np.sqrt(df / trace_squared) * trace


def _baseline(objective: DwlsObjective) -> Test:
    """Return the `Test` of independence given the covariates: all covariances 0, the rest free."""
    chisq = trace = squared = 0.0
    df = 0
    for group in objective.samples:
        which, _, _ = group.pick("covariance")
        weights, gamma = group.weights[which], group.gamma[np.ix_(which, which)]
        chisq += (group.n - 1) * weights @ group.values[which] ** 2
        trace += weights @ np.diag(gamma)
        squared += weights @ gamma**2 @ weights
        df += len(which)
    robust = _categorical_baseline(objective)
    return Test(chisq, df, *mean_and_variance(df, trace, squared), *robust)


def _has_robust(objective: DwlsObjective) -> bool:
    """Tell whether robust fit measures exist: they are of polychoric correlations, and see no more.

    So all variables are ordered, there are no covariates, and each group's correlation matrix is
    positive definite. What else they need: `_thresholds_are_free`.
    """
    kinds = {kind for group in objective.samples for kind in group.kind}
    if not kinds <= {"threshold", "covariance"}:
        return False
    p = objective.given[0].p
    matrices = [_matrices(group, p)[0] for group in objective.samples]
    return bool(min(np.linalg.eigvalsh(matrix)[0] for matrix in matrices) > POSITIVE)


def _thresholds_are_free(structures: Sequence[Structure], free: np.ndarray | None) -> bool:
    """Tell whether each threshold of each group is a parameter of its own, without restrictions.

    Else robust fit measures would not see what is restricted. lavaan gives NA there too, but not for
    a fixed threshold.

    Parameters
    ----------
    structures : list of implied.Structure
    free : ndarray (k, r) or None
        The directions that restrictions leave free.
    """
    number = sum(int((s.kind == THRESHOLD).sum()) for s in structures)
    own = np.unique(np.concatenate([s.which[s.kind[s.free] == THRESHOLD] for s in structures]))
    if len(own) < number or free is None:
        return len(own) == number
    return int(np.linalg.matrix_rank(free[own])) == number


def _categorical_ml(
    objective: DwlsObjective, found: Found, bread: np.ndarray, df: int
) -> tuple[float, float]:
    """Return (chisq, scaling) for robust fit measures (Savalei 2021).

    The normal discrepancy between polychoric correlations and the model, and what it would be on
    average. R: ``cfi.robust`` and ``rmsea.robust`` of lavaan with ``estimator = "WLSMV"``; NaN where
    they are not defined, see `_has_robust`.
    """
    if not _has_robust(objective):
        return np.nan, np.nan
    chisq, blocks, total = 0.0, [], objective.n
    groups = objective.group_fits(found.theta)
    parts = zip(groups, objective.samples, objective.deltas(found.theta), strict=True)
    for fit, group, delta in parts:
        chisq += group.n * _correlation_discrepancy(fit.sample_cov, fit.cov)
        which, i, j = group.pick("covariance")
        share = group.n / total
        weight = share * _correlation_information(fit.cov, i, j)
        gamma = group.gamma[np.ix_(which, which)] / share
        blocks.append((delta[which], share * group.weights[which], weight, gamma))
    expected = 0.0
    for g, (delta, _, weight, _) in enumerate(blocks):
        for h, (other, dwls, _, gamma) in enumerate(blocks):
            residual = (np.eye(len(dwls)) if g == h else 0) - delta @ bread @ (other.T * dwls)
            expected += np.sum((residual @ gamma) * (weight @ residual))
    return (chisq, expected / df) if df > 0 else (np.nan, np.nan)


def _categorical_baseline(objective: DwlsObjective) -> tuple[float, float]:
    if not _has_robust(objective):
        return np.nan, np.nan
    chisq = expected = 0.0
    df = 0
    for group in objective.samples:
        which, _, _ = group.pick("covariance")
        p = len({*group.row[which], *group.column[which]})
        cov, _ = _matrices(group, p)
        chisq += group.n * _correlation_discrepancy(cov, np.eye(p))
        expected += np.trace(group.gamma[np.ix_(which, which)])
        df += len(which)
    return chisq, expected / df


def _correlation_discrepancy(sample: np.ndarray, implied: np.ndarray) -> float:
    product = np.linalg.solve(implied, sample)
    return np.trace(product) - np.linalg.slogdet(product)[1] - len(sample)


def _correlation_information(cov: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return the normal-theory information of correlations (diagonal fixed at 1), per row."""
    weight = np.linalg.inv(cov)
    a, b = i[:, None], j[:, None]
    return weight[a, i] * weight[b, j] + weight[a, j] * weight[b, i]


@dataclass(frozen=True, eq=False)
class OrderedRefit:
    """Refits by WLSMV. Most of the time goes into polychoric correlations and their variances.

    Attributes
    ----------
    point : estimates.Point
        The fit.
    frames : list of DataFrame
        Rows of each group.
    levels : dict of str to ndarray
        Ordered variables and their categories.
    designs : list of Design
    """

    point: Point
    frames: list[pd.DataFrame]
    levels: Mapping[str, np.ndarray]
    designs: list[Design]

    @property
    def sizes(self) -> list[int]:
        """Number of rows of each group."""
        return [len(frame) for frame in self.frames]

    def __call__(self, times: Times) -> Refitted:
        """Refit to the rows, each taken so many times; see `NormalRefit`."""
        layout = self.point.layout
        frames = [
            f.iloc[np.repeat(np.arange(len(f)), t)] for f, t in zip(self.frames, times, strict=True)
        ]
        designs = [design.taken(t) for design, t in zip(self.designs, times, strict=True)]
        for frame in frames:
            for name, levels in self.levels.items():
                if frame[name].nunique() < len(levels):
                    return failed(self.point, message("refit_empty_category", variable=name))
        try:
            with warnings.catch_warnings(action="ignore"):  # correlations near 1, draw after draw
                statistics = [
                    statistics_of(layout.model, layout.ordered, self.levels, frame, design)
                    for frame, design in zip(frames, designs, strict=True)
                ]
        except ValueError as error:
            text = str(error).split(":")[0]
            return failed(self.point, message("refit_refused", text=text))
        objective = DwlsObjective(layout, statistics)
        found = minimise(objective, layout, self.point.theta)
        return solved(self.point, objective, found.theta if found.converged else None)
