"""Fit a model: from rows to the tables of a `Fit`."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from semfit.fitting import diagnostics, inference, measures, requirements
from semfit.fitting import estimates as tables
from semfit.moments import saturated
from semfit.moments.implied import Structure
from semfit.moments.normal import NormalObjective
from semfit.moments.sample import sample_of
from semfit.syntax.identification import check_identified
from semfit.syntax.model import Model
from semfit.syntax.parameters import Layout, lay_out

ESTIMATORS = ("ML", "MLR", "WLSMV")
MISSING = ("listwise", "fiml")


@dataclass(frozen=True, eq=False)
class Fit:
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
        If False, standard errors and fit measures are NaN and `problems` says so.
    optimizer : dict
        semopy_iterations, scoring_steps, em_steps, gradient (largest absolute derivative of the
        function that is minimised, per row).
    message : str
        One sentence: estimator, rows used and dropped, convergence.
    estimates, defined, vcov, r_squared, residuals : DataFrame
        See `semfit.fitting.estimates`.
    measures : DataFrame
        See `semfit.fitting.measures`.
    problems : DataFrame
        See `semfit.fitting.requirements`.
    test, baseline : inference.Test or None
    layout : Layout
        Every parameter, free, fixed or equal.
    options : dict
        What `fit` was called with, besides model and data.
    rows : DataFrame
        The rows used: the variables of the model, and the grouping variable.
    """

    model: Model
    estimator: str
    missing: str
    group: str
    groups: tuple
    n_used: int
    n_dropped: int
    group_sizes: tuple
    dropped: pd.Index = field(repr=False)
    converged: bool
    optimizer: dict
    message: str
    estimates: pd.DataFrame = field(repr=False)
    defined: pd.DataFrame = field(repr=False)
    measures: pd.DataFrame = field(repr=False)
    r_squared: pd.DataFrame = field(repr=False)
    residuals: pd.DataFrame = field(repr=False)
    problems: pd.DataFrame = field(repr=False)
    vcov: pd.DataFrame = field(repr=False)
    test: inference.Test = field(repr=False)
    baseline: inference.Test = field(repr=False)
    layout: Layout = field(repr=False)
    options: dict = field(repr=False)
    rows: pd.DataFrame = field(repr=False)
    objective: object = field(repr=False)
    point: tables.Point = field(repr=False)

    @cached_property
    def modification_indices(self):
        """What freeing a fixed parameter would do; see `semfit.fitting.modification`."""
        from semfit.fitting.modification import modification_indices

        return modification_indices(self)


def fit(
    model,
    data,
    estimator="ML",
    missing="listwise",
    group=None,
    *,
    equal=(),
    free=(),
    labels="shared",
    ordered=(),
    mean_structure=None,
):
    """Fit a structural equation model.

    Parameters
    ----------
    model : Model
        From `read_model`.
    data : DataFrame
        One row per respondent; numeric columns, NaN for missing. Not changed.
    estimator : {"ML", "MLR", "WLSMV"}
        ML: normal-theory maximum likelihood (covariances divided by n). MLR: the same estimates,
        with sandwich standard errors and the Yuan-Bentler scaled chi-square. WLSMV: diagonally
        weighted least squares on thresholds and polychoric correlations, with robust standard
        errors and a mean-and-variance adjusted chi-square, for `ordered` variables.
    missing : {"listwise", "fiml"}
        listwise: rows with a missing value on any observed variable of the model are dropped, and
        counted. fiml: all rows are used, with the likelihood of what each has (ML and MLR only);
        dropped are rows with a missing covariate, or, without covariates, rows without any value,
        as in lavaan. Standard errors are then from observed information.
    group : str, optional
        Column whose values are the groups, in sorted order (that of its categories, if it is
        categorical); rows where it is missing are dropped.
    equal, free, labels
        Equality across groups; see `parameters.lay_out`.
    ordered : sequence of str or "all"
        Variables that are ordered categories (WLSMV only); "all" takes every one but covariates.
    mean_structure : bool, optional
        Model the means. Default: with fiml, groups, WLSMV or an intercept in the model.

    Returns
    -------
    Fit
        R: ``lavaan::sem(text, data, estimator, missing, group, group.equal = equal,
        group.partial = free, ordered, fixed.x = TRUE)``.

    Raises
    ------
    ValueError
        Unknown option, or options that do not go together; a variable that is absent, repeated, not
        numeric, infinite, constant or collinear; too few rows; an empty category; a model that is
        not identified.
    """
    from threadpoolctl import threadpool_limits

    options = {
        "estimator": estimator,
        "missing": missing,
        "group": group,
        "equal": tuple([equal] if isinstance(equal, str) else equal),
        "free": tuple([free] if isinstance(free, str) else free),
        "labels": labels,
        "ordered": ordered if isinstance(ordered, str) else tuple(ordered),
        "mean_structure": mean_structure,
    }
    _check_options(model, data, options)
    # matrices of this size are ten times slower with several BLAS threads; numbers that overflow
    # are those of a search that went astray, which turns back or ends as not converged
    with threadpool_limits(limits=1, user_api="blas"), np.errstate(all="ignore"):
        table = requirements.select_rows(model, data, options)
        if estimator == "WLSMV":
            from semfit.fitting.dwls import fit_ordered

            return fit_ordered(model, table, options)
        return _fit_normal(model, table, options)


def _check_options(model, data, options):
    for name, known in (("estimator", ESTIMATORS), ("missing", MISSING)):
        if options[name] not in known:
            raise ValueError(
                f"{name}={options[name]!r} does not exist; there is: {', '.join(known)}."
            )
    if not isinstance(model, Model) or not isinstance(data, pd.DataFrame):
        raise ValueError("fit() takes a model from read_model() and a DataFrame.")
    if options["estimator"] == "WLSMV" and options["missing"] == "fiml":
        raise ValueError("WLSMV has no fiml: use missing='listwise', or estimator='MLR'.")
    if options["ordered"] and options["estimator"] != "WLSMV":
        raise ValueError(
            f"ordered= is for estimator='WLSMV'; {options['estimator']} takes variables as numbers."
        )
    if options["group"] is None and (options["equal"] or options["free"]):
        raise ValueError("equal= and free= are about groups: name the grouping variable in group=.")


def _fit_normal(model, selected, options):
    """Fit by maximum likelihood."""
    from semfit.fitting.search import find

    frames, groups = selected.frames, selected.groups
    for frame, label, n_rows in zip(frames, groups, selected.group_rows, strict=True):
        requirements.check_sample(frame, n_rows, label)
    layout = lay_out(
        model,
        groups,
        _has_means(model, options),
        equal=options["equal"],
        free=options["free"],
        labels=options["labels"],
    )
    check_identified(layout, _moment_jacobian(layout))
    samples = [sample_of(frame.to_numpy()) for frame in frames]
    for sample, label in zip(samples, groups, strict=True):
        requirements.check_moments(sample, model.observed, label)
    structures = [Structure(layout, g, s.cov, s.mean) for g, s in enumerate(samples)]
    objective = NormalObjective(structures, samples, len(layout.parameters))
    means = [sample.mean for sample in samples]
    found, iterations = find(objective, layout, _pooled(samples), means, _data(frames))
    tested = _tests(model, layout, objective, found, options["estimator"])
    return assemble(model, selected, options, layout, objective, found, tested, iterations)


def _has_means(model, options):
    """Tell whether means are modelled: as asked, or where they must be."""
    written = (model.parameters["op"] == "~1").any()
    needed = options["missing"] == "fiml" or options["group"] is not None or written
    if options["mean_structure"] is False and (options["missing"] == "fiml" or written):
        raise ValueError("mean_structure=False goes neither with fiml nor with intercepts.")
    return bool(needed if options["mean_structure"] is None else options["mean_structure"])


def _moment_jacobian(layout):
    """Return a function of theta: derivatives of the moments of all groups at generic covariates."""
    model, p = layout.model, len(layout.model.observed)
    cov, mean = 0.7 * np.eye(p) + 0.3, np.zeros(p)
    structures = [Structure(layout, g, cov, mean) for g in range(len(layout.groups))]
    moments = saturated.modelled_moments(model, layout.mean_structure)

    def jacobian(theta):
        parts = []
        for structure in structures:
            rows = saturated.jacobian(moments, structure.derivatives(structure.implied(theta)))
            delta = np.zeros((len(rows), len(theta)))
            np.add.at(delta.T, structure.which, rows.T)
            parts.append(delta)
        return np.concatenate(parts)

    return jacobian


def _pooled(samples):
    """Return the covariance matrix within groups, for starting values."""
    return sum(sample.n * sample.cov for sample in samples) / sum(s.n for s in samples)


def _data(frames):
    """Return the rows, for semopy's starting values of loadings; None if any value is missing."""
    data = pd.concat(frames)
    return None if data.isna().any(axis=None) else data


def _tests(model, layout, objective, found, estimator):
    """Return vcov, test and baseline test, likelihoods; None where there is no solution."""
    counts = len(objective.samples), layout.mean_structure
    df = measures.degrees_of_freedom(model, len(found.theta), *counts)
    if not found.converged:
        return dict.fromkeys(("vcov", "test", "baseline", "likelihood")) | {"df": df}
    robust, samples = estimator == "MLR", objective.samples
    h1 = inference.saturated_deviance(samples)
    trace = inference.saturated_trace(samples, model, layout.mean_structure) if robust else None
    vcov = inference.covariance(objective, found.theta, estimator)
    baseline, start = inference.baseline_model(model, samples, layout)
    baseline_df = measures.degrees_of_freedom(model, len(start), *counts)
    fixed = inference.covariate_deviance(model, samples)
    deviance = objective.value(found.theta)
    return {
        "df": df,
        "vcov": vcov,
        "test": inference.test(objective, found.theta, df, h1, model, trace),
        "baseline": inference.test(baseline, start, baseline_df, h1, model, trace),
        "likelihood": (-(deviance - fixed) / 2, -(h1 - fixed) / 2),
    }


def assemble(model, selected, options, layout, objective, found, tested, iterations):
    """Return the `Fit`: every table, from the end of a search and its tests."""
    k, groups = len(found.theta), objective.group_fits(found.theta)
    identified = tested["vcov"] is not None
    vcov = tested["vcov"] if identified else np.full((k, k), np.nan)
    point = tables.Point(layout, objective.structures, found.theta, vcov)
    estimates = tables.estimate_table(point)
    proper = np.isfinite(objective.value(found.theta))
    slope = objective.score(found.theta)[0] if proper else np.array([np.nan])
    gradient = float(np.abs(slope).max() / objective.n)
    ending = diagnostics.Ending(layout, objective, found, tested, selected, options, estimates)
    return Fit(
        model=model,
        estimator=options["estimator"],
        missing=options["missing"],
        group=options["group"],
        groups=layout.groups,
        n_used=objective.n,
        n_dropped=selected.n_rows - objective.n,
        group_sizes=tuple(group.n for group in groups),
        dropped=selected.dropped,
        converged=found.converged,
        optimizer={
            "semopy_iterations": iterations,
            "scoring_steps": found.steps,
            "em_steps": max(getattr(s, "em_steps", 0) for s in objective.samples),
            "gradient": gradient,
        },
        message=_message(model, selected, options, layout, found, iterations),
        estimates=estimates,
        defined=tables.defined_table(point),
        measures=measures.measure_table(
            k, tested["df"], groups, tested["test"], tested["baseline"], tested["likelihood"]
        ),
        r_squared=tables.r_squared_table(model, estimates),
        residuals=tables.residual_table(groups, layout.groups),
        problems=diagnostics.problem_table(ending),
        vcov=tables.parameter_covariance(point),
        test=tested["test"],
        baseline=tested["baseline"],
        layout=layout,
        options=options,
        rows=selected.rows,
        objective=objective,
        point=point,
    )


def _message(model, selected, options, layout, found, iterations):
    used, n_rows = selected.n_rows - len(selected.dropped), selected.n_rows
    dropped = n_rows - used
    reason = f" ({dropped} dropped: {selected.reason})" if dropped else ""
    groups = ""
    if options["group"]:
        sizes = [f"{g} {len(f)}" for g, f in zip(layout.groups, selected.frames, strict=True)]
        groups = f", {len(sizes)} groups by {options['group']} ({', '.join(sizes)})"
    fiml = ", full information for missing values" if options["missing"] == "fiml" else ""
    ending = (
        f"converged after {iterations} iterations and {found.steps} Fisher scoring steps"
        if found.converged
        else "NOT converged: estimates are not a solution"
    )
    return f"{options['estimator']}{fiml}, {used} of {n_rows} rows used{reason}{groups}, {ending}."
