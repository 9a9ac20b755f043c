"""Structural equation models in lavaan syntax on a pandas frame, with lavaan's numbers.

    model = sem.read_model("gebruiksmodel")
    fit = sem.fit(model, responses)
    fit.estimates, fit.measures, fit.r_squared, fit.residuals, fit.problems

spec (syntax and parameters), ml (semopy and Fisher scoring), measures, solution (tidy results),
checks (refusals and warnings), formula (``:=``). Reference: lavaan 0.6-14, see tests/reference.
"""

from dataclasses import dataclass, field

import pandas as pd

from mkb21.sem.spec import Model, read_model

__all__ = ["ESTIMATORS", "MISSING", "Fit", "Model", "fit", "read_model"]

ESTIMATORS = ("ML",)
MISSING = ("listwise",)


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model. Every table is tidy: one row per estimate, numbers are floats.

    Attributes
    ----------
    model : Model
    estimator, missing : str
    n_used, n_dropped : int
        Rows used; rows dropped because a variable of the model was missing.
    dropped : Index
        Index labels of the dropped rows.
    converged : bool
        If False, standard errors and fit measures are NaN and `problems` says so.
    optimizer : dict
        semopy_iterations, polish_steps, gradient (largest absolute dF/dtheta), discrepancy (F).
    message : str
        One sentence: estimator, rows used and dropped, convergence.
    estimates, defined, vcov, r_squared, residuals : DataFrame
        See `mkb21.sem.solution`.
    measures : DataFrame
        See `mkb21.sem.measures`.
    problems : DataFrame
        See `mkb21.sem.checks`.
    """

    model: Model
    estimator: str
    missing: str
    n_used: int
    n_dropped: int
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


def fit(model, data, estimator="ML", missing="listwise"):
    """Fit a structural equation model.

    Parameters
    ----------
    model : Model
        From `read_model`.
    data : DataFrame
        One row per respondent; numeric columns, NaN for missing. Not changed.
    estimator : {"ML"}
        Normal-theory maximum likelihood (covariances divided by n), expected information.
    missing : {"listwise"}
        Rows with a missing value on any observed variable of the model are dropped, and counted.

    Returns
    -------
    Fit
        R: ``lavaan::sem(text, data, estimator = "ML", missing = "listwise", fixed.x = TRUE)``.

    Raises
    ------
    ValueError
        Unknown estimator or missing-data method; a variable that is absent, repeated, not numeric,
        infinite, constant or collinear; too few complete rows; a model that is not identified.
    """
    from threadpoolctl import threadpool_limits

    from mkb21.sem import checks, ml

    _check_option("estimator", estimator, ESTIMATORS)
    _check_option("missing", missing, MISSING)
    if not isinstance(model, Model) or not isinstance(data, pd.DataFrame):
        raise ValueError("fit() takes a model from read_model() and a DataFrame.")
    frame = checks.model_frame(model, data)
    kept = frame.notna().all(axis=1).to_numpy()
    checks.check_sample(frame[kept], len(frame))
    # matrices of this size are ten times slower with several BLAS threads
    with threadpool_limits(limits=1, user_api="blas"):
        checks.check_identified(model)
        sample = ml.sample_of(model, frame[kept])
        engine = ml.load(model, sample.cov, sample.data)
        solution = ml.maximise(engine, sample)
        tables = _tables(engine, sample, solution, len(frame))
    return Fit(
        model=model,
        estimator=estimator,
        missing=missing,
        n_used=sample.n,
        n_dropped=len(frame) - sample.n,
        dropped=data.index[~kept],
        converged=solution.converged,
        optimizer=_optimizer(solution),
        message=_message(model, sample, solution, len(frame)),
        **tables,
    )


def _check_option(name, value, known):
    if value not in known:
        raise ValueError(f"{name}={value!r} does not exist; there is: {', '.join(known)}.")


def _tables(engine, sample, solution, n_rows):
    """Return every result table of a fit."""
    from mkb21.sem import checks, measures
    from mkb21.sem import solution as results

    model = engine.spec
    estimates = results.estimate_table(engine, solution)
    return {
        "estimates": estimates,
        "defined": results.defined_table(engine, solution),
        "measures": measures.fit_measures(model, sample, solution),
        "r_squared": results.r_squared_table(model, estimates),
        "residuals": results.residual_table(model, sample, solution),
        "problems": checks.problem_table(engine, sample, solution, estimates, n_rows),
        "vcov": results.parameter_covariance(solution),
    }


def _optimizer(solution):
    return {
        "semopy_iterations": solution.semopy_iterations,
        "polish_steps": solution.polish_steps,
        "gradient": solution.gradient,
        "discrepancy": solution.discrepancy,
    }


def _message(model, sample, solution, n_rows):
    dropped = n_rows - sample.n
    why = f" ({dropped} dropped: a value missing on one of {len(model.observed)} variables)"
    ending = (
        f"converged after {solution.semopy_iterations} iterations and "
        f"{solution.polish_steps} Fisher scoring steps"
        if solution.converged
        else "NOT converged: estimates are not a solution"
    )
    return f"ML, {sample.n} of {n_rows} rows used{why if dropped else ''}, {ending}."
