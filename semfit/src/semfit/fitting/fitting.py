"""Fit a model: from rows to the tables of a `Fit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semfit.fitting import (
    columns,
    constrained,
    designs,
    diagnostics,
    inference,
    measures,
    modification,
    requirements,
)
from semfit.fitting import estimates as tables
from semfit.fitting.doors import Doors
from semfit.fitting.dwls import WeightedLeastSquares
from semfit.fitting.estimator import Estimator, Options, Prepared, Tested
from semfit.fitting.later import Promise, made_later
from semfit.fitting.likelihood import MaximumLikelihood
from semfit.fitting.options import estimator_name, missing_name, refuse_unknown
from semfit.fitting.requirements import Selected
from semfit.fitting.search import Found, find
from semfit.fitting.threads import one_thread
from semfit.messages import Message, message, told
from semfit.moments.objective import Objective
from semfit.moments.sample import GroupFit
from semfit.syntax.model import Model, as_model
from semfit.syntax.parameters import Layout
from semfit.syntax.tokens import normal

ESTIMATORS: dict[str, Estimator] = {
    "ML": MaximumLikelihood("ML", robust=False),
    "MLR": MaximumLikelihood("MLR", robust=True),
    "WLSMV": WeightedLeastSquares(),
}
MISSING = ("listwise", "fiml", "pairwise")
RULES = ("std_lv", "effect_coding", "orthogonal", "auto_var", "fixed_x", "model_type")


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Doors):
    """A fitted model. Every table is tidy: one row per estimate, numbers are floats.

    Attributes
    ----------
    model : Model
    estimator, missing : str
    group : str or None
        The grouping variable.
    groups : tuple of str
        Labels of the groups; ("",) without.
    n_used, n_dropped : int
        Rows used; rows dropped because a value was missing (see `fit`).
    group_sizes : tuple of int
    dropped : Index
        Index labels of the dropped rows.
    converged : bool
        The search ended at a proven minimum. If not, or if `problems` has another row of severity
        "error", there is no solution: a `NoSolution` warning is given, and estimates of free
        parameters, standard errors, tests, fit measures, R2 and residuals are NaN.
    optimizer : dict
        starts, scoring_steps, em_steps, gradient (largest absolute derivative of the
        function that is minimised, per row).
    message : str
        One sentence: estimator, rows used and dropped, convergence.
    message_parts : tuple of (str, dict)
        Its codes and values, for other languages; see `semfit.render`.
    estimates, defined, vcov, r_squared, residuals : DataFrame
        See `semfit.fitting.estimates`.
    measures : DataFrame
        See `semfit.fitting.measures`.
    problems : DataFrame
        See `semfit.fitting.diagnostics`.
    test, baseline : inference.Test or None
    layout : Layout
        Every parameter, free, fixed or equal.
    options : dict
        What `fit` was called with, besides model and data.
    rows : DataFrame
        The rows used: the variables of the model, and the columns of groups, weights and clusters.
    """

    model: Model
    estimator: str
    missing: str
    group: str | None
    groups: tuple[str, ...]
    n_used: int
    n_dropped: int
    group_sizes: tuple[int, ...]
    dropped: pd.Index = field(repr=False)
    converged: bool
    optimizer: dict[str, Any]
    message: str
    message_parts: tuple[Message, ...] = field(repr=False)
    estimates: pd.DataFrame = field(repr=False)
    defined: pd.DataFrame = field(repr=False)
    measures: pd.DataFrame = field(repr=False)
    r_squared: pd.DataFrame = field(repr=False)
    residuals: pd.DataFrame = field(repr=False)
    problems: pd.DataFrame = field(repr=False)
    vcov: pd.DataFrame = field(repr=False)
    test: inference.Test | None = field(repr=False)
    baseline: inference.Test | None = field(repr=False)
    layout: Layout = field(repr=False)
    options: dict[str, Any] = field(repr=False)
    rows: pd.DataFrame = field(repr=False)
    objective: Any = field(repr=False)  # an Objective; which one depends on the estimator
    point: tables.Point = field(repr=False)

    @cached_property
    def modification_indices(self) -> pd.DataFrame:
        """What freeing a fixed parameter would do, the largest change first.

        Returns
        -------
        DataFrame
            See `semfit.fitting.modification`. R: ``modindices(fit)``.

        Raises
        ------
        ValueError
            The search did not converge, or the model is not identified at the solution.

        Examples
        --------
        >>> import semfit
        >>> model = semfit.read_model("f =~ x1 + x2 + x3 + x4; g =~ x5 + x6")
        >>> fit = semfit.fit(model, semfit.example_data())
        >>> fit.modification_indices.loc[0, ["lhs", "op", "rhs"]].tolist()
        ['g', '=~', 'x4']
        """
        requirements.check_solution(self, "modification indices")
        return modification.modification_indices(self.objective, self.layout, self.point.theta)


made_later(Fit, ["estimates", "defined", "measures", "r_squared", "residuals", "problems", "vcov"])


def fit(
    model: Model | str | Path,
    data: pd.DataFrame,
    estimator: str = "ML",
    missing: str = "listwise",
    group: str | None = None,
    *,
    equal: str | Sequence[str] = (),
    free: str | Sequence[str] = (),
    labels: str = "shared",
    ordered: str | Sequence[str] = (),
    mean_structure: bool | None = None,
    sampling_weights: str | None = None,
    cluster: str | None = None,
    groups: Sequence[Any] | None = None,
    information: str | None = None,
    std_lv: bool | None = None,
    effect_coding: bool | str | Sequence[str] | None = None,
    orthogonal: bool | None = None,
    auto_var: bool | None = None,
    fixed_x: bool | None = None,
    parameterization: str = "delta",
    identification: str = "lavaan",
    model_type: str | None = None,
    **unknown: Any,
) -> Fit:
    """Fit a structural equation model.

    Parameters
    ----------
    model : Model, str or Path
        From `read_model`, or what `read_model` takes.
    data : DataFrame
        One row per respondent; numeric columns, NaN for missing. Not changed.
    estimator : {"ML", "MLR", "WLSMV"}
        ML: normal-theory maximum likelihood (covariances divided by n). MLR: the same estimates,
        with sandwich standard errors and the Yuan-Bentler scaled chi-square. WLSMV: diagonally
        weighted least squares on thresholds and polychoric correlations, with robust standard
        errors and a mean-and-variance adjusted chi-square, for `ordered` variables.
    missing : {"listwise", "fiml", "pairwise"}
        listwise: rows with a missing value on any observed variable of the model are dropped, and
        counted. fiml: all rows are used, with the likelihood of what each has (ML and MLR only);
        dropped are rows with a missing covariate, or, without covariates, rows without any value,
        as in lavaan. Standard errors are then from observed information. pairwise (WLSMV only):
        thresholds rest on who answered, correlations on who answered both; dropped are rows with a
        missing covariate, or without any value. lavaan's "ml" and "direct" are read as fiml, both
        options in any case.
    group : str, optional
        Column whose values are the groups, in sorted order (that of its categories, if it is
        categorical); rows where it is missing are dropped. A model with modifiers for each group
        needs a stated order: that of a categorical column, or `groups`.
    equal, free, labels
        Equality across groups; see `parameters.lay_out`.
    ordered : sequence of str or "all"
        Variables that are ordered categories (WLSMV only); "all" takes every one but covariates.
        Columns that are ordered pandas categoricals count as named.
    mean_structure : bool, optional
        Model the means. Default: with fiml, groups, clusters, WLSMV or an intercept in the model.
    sampling_weights : str, optional
        Column of sampling weights, 0 or more; within each group they are scaled to sum to its rows.
        Estimates are of weighted moments; standard errors and the test of ML become those of MLR.
    cluster : str, optional
        Column that says which rows were drawn together (schools, households). Standard errors and
        the scaling of the test rest on sums of scores over clusters; those of ML become robust. A
        cluster in two groups counts as two.
    groups : sequence, optional
        All values of the grouping variable, in the order of the groups.
    information : {"expected", "observed"}, optional
        From which information standard errors of ML and MLR are. Default: expected for ML with
        complete rows, else observed.
    std_lv, effect_coding, orthogonal, auto_var, fixed_x, model_type
        By which rules the model is completed; see `Model.completed`.
    parameterization : {"delta", "theta"}
        Of ordered variables: the response behind one has scale 1 and a residual variance that follows
        (a fixed value in the model is then not used, as in lavaan), or residual variance 1 and a
        scale that follows. One model in two units.
    identification : {"lavaan", "wu_estabrook"}
        Of ordered variables whose thresholds are equal across groups: what is free in later groups.
        lavaan: scales (or residual variances) and latent means. wu_estabrook: what equal thresholds
        identify and no more, see `invariance`; latent means with equal intercepts.
    **unknown
        Refused; the message names the option that is meant.

    Returns
    -------
    Fit
        R: ``lavaan::sem(text, data, estimator, missing, group, group.equal = equal, group.partial =
        free, ordered, meanstructure = mean_structure, sampling.weights, cluster, parameterization,
        group.label = groups, information, std.lv = std_lv, effect.coding = effect_coding, orthogonal, auto.var = auto_var, fixed.x = fixed_x)``.

    Raises
    ------
    ValueError
        Unknown value, or options that do not go together; a variable that is absent, repeated, not
        numeric, infinite, constant or collinear; too few rows; an empty category; a model that is
        not identified.
    TypeError
        An option that does not exist.

    Warns
    -----
    NoSolution
        Once, when there is no solution.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; g ~ f + age")
    >>> fit = semfit.fit(model, semfit.example_data(), estimator="MLR")
    >>> fit.converged, fit.n_used
    (True, 200)
    >>> fit.estimates.query("op == '~'")[["lhs", "rhs", "estimate", "se", "std_all"]].round(2)
      lhs  rhs  estimate    se  std_all
    6   g    f      0.54  0.10     0.51
    7   g  age      0.19  0.05     0.27
    """
    given = locals()
    asked = {name: given[name] for name in given if name not in ("model", "data", "unknown")}
    refuse_unknown(unknown, [*asked])
    model, options = _as_asked(as_model(model), data, asked)
    # numbers that overflow are those of a search that went astray, which turns back or ends as not
    # converged
    with one_thread(), np.errstate(all="ignore"):
        fitted = _fitted(model, data, options)
    requirements.warn_of_non_solution(fitted)
    return fitted


def _as_asked(
    model: Model, data: pd.DataFrame, asked: Mapping[str, Any]
) -> tuple[Model, dict[str, Any]]:
    """Return the model, completed by the rules that are asked for, and the options as they are kept."""
    options = {
        **asked,
        "estimator": estimator_name(asked["estimator"], ESTIMATORS),
        "missing": missing_name(asked["missing"], MISSING),
        "equal": _names(asked["equal"]),
        "free": _names(asked["free"]),
        "groups": None if asked["groups"] is None else tuple(asked["groups"]),
    }
    _check_options(model, data, options)
    model = model.completed(**{rule: options[rule] for rule in RULES})
    way = estimator_under(options)
    return model, options | {"ordered": _ordered_names(way, model, data, asked["ordered"])}


def _names(asked: str | Sequence[str]) -> tuple[str, ...]:
    return (asked,) if isinstance(asked, str) else tuple(asked)


def _fitted(model: Model, data: pd.DataFrame, options: dict[str, Any]) -> Fit:
    way = estimator_under(options)
    selected = requirements.select_rows(model, data, options)
    prepared = way.prepare(model, selected, options)
    found = find(prepared.objective, prepared.layout, prepared.start)
    return _assemble(options, selected, prepared, found, way.tests(prepared, found))


def estimator_of(name: str) -> Estimator:
    """Return the estimator of that name; refuse one that does not exist."""
    return ESTIMATORS[estimator_name(name, ESTIMATORS)]


def estimator_under(options: Options) -> Estimator:
    """Return the estimator of the options of a fit, with what weights or clusters make of it."""
    return estimator_of(options["estimator"]).under_design(options)


def _check_options(model: Model, data: pd.DataFrame, options: Options) -> None:
    way = estimator_of(options["estimator"])
    if not isinstance(model, Model) or not isinstance(data, pd.DataFrame):
        raise ValueError("fit() takes a model (or its text) and a DataFrame.")
    way.check(options)
    if options["information"] not in (None, "expected", "observed"):
        raise ValueError(
            f"information={options['information']!r} does not exist; there is: expected, observed."
        )
    if options["groups"] is not None and options["group"] is None:
        raise ValueError("groups= is the order of groups: name the grouping variable in group=.")
    if options["group"] is None and (options["equal"] or options["free"]):
        raise ValueError("equal= and free= are about groups: name the grouping variable in group=.")


def _ordered_names(
    way: Estimator, model: Model, data: pd.DataFrame, asked: str | Sequence[str]
) -> str | tuple[str, ...]:
    """Return the ordered variables: as asked, and ordered categoricals, which only WLSMV takes."""
    if asked == "all":
        return "all"
    names = [normal(name) for name in _names(asked)]
    categorical = columns.ordered_columns(model, data)
    if categorical and not way.ordered:
        raise ValueError(
            f"Column {categorical[0]!r} is an ordered categorical, and {way.name} takes variables as "
            "numbers: use estimator='WLSMV', or put numbers in its place "
            f"(data[{categorical[0]!r}].cat.codes)."
        )
    return tuple(dict.fromkeys([*names, *categorical]))


def _assemble(
    options: dict[str, Any],
    selected: Selected,
    prepared: Prepared,
    found: Found,
    tested: Tested,
) -> Fit:
    """Return the `Fit`: every table, from the end of a search and its tests."""
    layout, objective, model = prepared.layout, prepared.objective, prepared.layout.model
    k = len(found.theta)
    failed = not found.converged or tested.vcov is None or objective.em_failed
    vcov = np.full((k, k), np.nan) if failed else tested.vcov
    assert vcov is not None
    point = tables.Point(layout, objective.structures, found.theta, vcov)
    solution = Solution(options, selected, objective, found, tested, point, failed)
    parts = _message_parts(selected, options, layout, found)
    return Fit(
        model=model,
        estimator=options["estimator"],
        missing=options["missing"],
        group=options["group"],
        groups=layout.groups,
        n_used=objective.n,
        n_dropped=selected.n_rows - objective.n,
        group_sizes=tuple(sample.n for sample in objective.samples),
        dropped=selected.dropped,
        converged=found.converged,
        optimizer=_optimizer(objective, layout, found),
        message=told(parts),
        message_parts=parts,
        **solution.tables(),
        test=None if failed else tested.test,
        baseline=None if failed else tested.baseline,
        layout=layout,
        options=options,
        rows=selected.rows,
        objective=objective,
        point=point,
    )


def _optimizer(objective: Objective, layout: Layout, found: Found) -> dict[str, Any]:
    """Return what is told of the search."""
    return {
        "starts": found.starts,
        "scoring_steps": found.steps,
        "em_steps": objective.em_steps,
        "gradient": _gradient(objective, layout, found.theta),
    }


@dataclass(frozen=True, eq=False)
class Solution:
    """The end of a fit, and the tables that are made of it: without numbers where it failed."""

    options: dict[str, Any]
    selected: Selected
    objective: Objective
    found: Found
    tested: Tested
    point: tables.Point
    failed: bool  # `problems` has a row of severity "error"

    def tables(self) -> dict[str, Promise]:
        """Return the tables by the name that they have in a `Fit`; each is made when it is read."""
        return {
            "estimates": Promise(self.shown, getattr, self, "estimates"),
            "defined": Promise(self.shown, tables.defined_table, self.point),
            "measures": Promise(self.measures),
            "r_squared": Promise(self.r_squared),
            "residuals": Promise(self.shown, self.residuals),
            "vcov": Promise(tables.parameter_covariance, self.point),
            "problems": Promise(self.problems),
        }

    def shown(self, table: Callable[..., pd.DataFrame], *arguments: Any) -> pd.DataFrame:
        """Return a table, without its numbers if there is no solution."""
        made = table(*arguments)
        return tables.without_solution(made) if self.failed else made

    @property
    def groups(self) -> list[GroupFit]:
        """The moments of each group."""
        return self.objective.group_fits(self.found.theta)

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """Every parameter; other tables are made from it."""
        return tables.estimate_table(self.point)

    def measures(self) -> pd.DataFrame:
        """Return the fit measures."""
        tested, layout = self.tested, self.point.layout
        npar = constrained.free_parameters(layout, self.point.theta)
        tests = (
            (tested.test, tested.baseline, tested.likelihood) if not self.failed else (None, None)
        )
        return measures.measure_table(npar, tested.df, self.groups, *tests)

    def r_squared(self) -> pd.DataFrame:
        """Return the explained variances."""
        estimates = self.shown(getattr, self, "estimates")
        return tables.r_squared_table(self.point.layout.model, estimates)

    def residuals(self) -> pd.DataFrame:
        """Return the residual correlations."""
        return tables.residual_table(self.groups, self.point.layout.groups)

    def problems(self) -> pd.DataFrame:
        """Return what is wrong with the fit."""
        layout, way = self.point.layout, estimator_under(self.options)
        parts = layout, self.objective, self.found, self.tested, self.selected, self.options
        return diagnostics.problem_table(diagnostics.Ending(*parts, self.estimates, way))


def _gradient(objective: Objective, layout: Layout, theta: np.ndarray) -> float:
    """Return the largest absolute derivative, per row; NaN where a matrix is improper.

    Under restrictions: of those along what they leave free.
    """
    if not np.isfinite(objective.value(theta)):
        return np.nan
    gradient = constrained.along(layout, theta, objective.score(theta)[0])
    return float(np.abs(gradient).max(initial=0) / objective.n)


def _message_parts(
    selected: Selected, options: Options, layout: Layout, found: Found
) -> tuple[Message, ...]:
    """Return the sentence about a fit, clause by clause."""
    n_rows, dropped = selected.n_rows, len(selected.dropped)
    clauses: list[str | Message] = [options["estimator"]]
    if options["missing"] == "fiml":
        clauses.append(message("full_information"))
    used = {"used": n_rows - dropped, "rows": n_rows}
    if dropped:
        clauses.append(message("rows_used_of", **used, dropped=dropped, reason=selected.reason))
    else:
        clauses.append(message("rows_used", **used))
    if options["group"]:
        pairs = zip(layout.groups, selected.frames, strict=True)
        sizes = [f"{label} {len(frame)}" for label, frame in pairs]
        shared = {"n": len(sizes), "group": options["group"], "sizes": sizes}
        clauses.append(message("groups_used", **shared))
    clauses += designs.design_messages(selected.designs, options)
    if found.converged:
        code, tries = (
            ("converged", {}) if found.starts == 1 else ("converged_best", {"starts": found.starts})
        )
        clauses.append(message(code, steps=found.steps, **tries))
    else:
        clauses.append(message("not_converged_no_solution"))
    return (message("sentence", clauses=clauses),)
