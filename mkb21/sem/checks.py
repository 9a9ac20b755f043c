"""What is refused before a fit, and what is reported after it."""

import difflib

import numpy as np
import pandas as pd

from mkb21.sem.measures import degrees_of_freedom
from mkb21.sem.ml import free_parameters, jacobian, load

IDENTIFICATION_SEED = 20121001
RANK_TOLERANCE = 1e-9  # of singular values, relative to the largest, columns scaled to length 1
COLLINEAR = 1e-10  # smallest eigenvalue of the correlation matrix
CASES_PER_PARAMETER = 5  # Bentler & Chou (1987)
DROPPED_SHARE = 0.05
VARIANCE_RATIO = 1000  # lavaan's limit too


def model_frame(model, data):
    """Return the model's observed variables as float64.

    Raises
    ------
    ValueError
        A variable is not in the data (the message names the closest columns), is there twice, is
        not numeric or is infinite; or a latent variable has the name of a column.
    """
    columns = list(data.columns)
    clash = [name for name in model.latents if name in columns]
    if clash:
        raise ValueError(
            f"Latent variable {clash[0]!r} has the name of a column of the data: "
            "rename it in the model."
        )
    _check_present(model, columns)
    repeated = [name for name in model.observed if columns.count(name) > 1]
    if repeated:
        raise ValueError(
            f"Column {repeated[0]!r} is in the data more than once: drop or rename one of them."
        )
    return pd.DataFrame({name: _numeric(data[name]) for name in model.observed}, index=data.index)


def _check_present(model, columns):
    absent = [name for name in model.observed if name not in columns]
    if not absent:
        return
    hints = []
    for name in absent:
        close = difflib.get_close_matches(name, map(str, columns), 1)
        hints.append(f"{name!r}" + (f" (closest: {close[0]!r})" if close else ""))
    raise ValueError(
        f"Not in the data: {', '.join(hints)}. Correct the name in the model, or add the column."
    )


def _numeric(column):
    """Return a column as float64 values, NaN where missing."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        raise ValueError(
            f"Column {column.name!r} is not numeric (dtype {column.dtype}): recode it to numbers."
        )
    values = column.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        raise ValueError(
            f"Column {column.name!r} holds infinite values in "
            f"{np.isinf(values).sum()} row(s): correct them or make them missing."
        )
    return values


def check_sample(complete, n_rows):
    """Refuse complete rows from which no covariance matrix can be modelled.

    Parameters
    ----------
    complete : DataFrame
        Rows without missing values.
    n_rows : int
        Rows before listwise deletion.

    Raises
    ------
    ValueError
        No row is complete, a variable is constant, there are not more rows than variables, or
        variables depend on each other linearly (the message names them).
    """
    n, p = complete.shape
    if n == 0:
        raise ValueError(
            f"None of the {n_rows} rows is complete on the {p} variables of the "
            "model: leave out those that are missing most often."
        )
    spread = complete.max() - complete.min()
    constant = spread.index[spread == 0].tolist()
    if constant:
        raise ValueError(
            f"Constant in the {n} rows used: {', '.join(constant)}. Leave it out of the model."
        )
    if n <= p:
        raise ValueError(
            f"{n} complete rows for {p} observed variables: more rows than variables "
            "are needed. Use fewer variables, or data with fewer missing values."
        )
    values, vectors = np.linalg.eigh(np.corrcoef(complete.to_numpy().T).reshape(p, p))
    if values[0] < COLLINEAR:
        involved = [
            name for name, weight in zip(complete, vectors[:, 0], strict=True) if abs(weight) > 1e-4
        ]
        raise ValueError(
            "The covariance matrix is not positive definite: these variables depend "
            f"on each other linearly: {', '.join(involved)}. Leave one out."
        )


def check_identified(model):
    """Refuse a model whose parameters the covariances cannot tell apart.

    Rank of the derivatives of the implied moments at a seeded random point, covariates correlated
    .3: a generic (local) identification check of the model, whatever the data. semopy fits a model
    that is not identified without a word.

    Raises
    ------
    ValueError
        No free parameter, negative degrees of freedom, or a rank below the number of parameters;
        the message names the parameters involved.
    """
    names, p = free_parameters(model), len(model.observed)
    if not names:
        raise ValueError("The model has no free parameter: every one is fixed. Free at least one.")
    engine = load(model, 0.7 * np.eye(p) + 0.3)
    _, derivatives = jacobian(engine, _random_point(model, names))
    moments = np.tril_indices(p)
    jacobian_matrix = derivatives[:, moments[0], moments[1]].T
    involved = _not_identified(jacobian_matrix, names)
    df = degrees_of_freedom(model, len(names))
    if df < 0:
        raise ValueError(
            f"The model has {-df} parameter(s) more than moments (df = {df}): free "
            f"fewer. Not identified: {', '.join(involved)}."
        )
    if involved:
        raise ValueError(
            f"The model is not identified: {', '.join(involved)} cannot be told "
            "apart. Fix one of them to a value, give two of them one label, "
            "or add indicators."
        )


def _random_point(model, names):
    """Return random parameter values, variances between 1 and 2, others between .3 and .9."""
    table = model.parameters
    variances = set(table["parameter"][(table["op"] == "~~") & (table["lhs"] == table["rhs"])])
    draws = np.random.default_rng(IDENTIFICATION_SEED).uniform(0, 1, len(names))
    return np.array(
        [
            1 + u if name in variances else 0.3 + 0.6 * u
            for name, u in zip(names, draws, strict=True)
        ]
    )


def _not_identified(matrix, names):
    """Return the names of the columns that take part in a linear dependence."""
    lengths = np.linalg.norm(matrix, axis=0)
    scaled = matrix / np.where(lengths > 0, lengths, 1)
    _, singular, right = np.linalg.svd(np.linalg.qr(scaled, mode="r"))
    rank = int((singular > RANK_TOLERANCE * singular.max(initial=0.0)).sum())
    weights = np.linalg.norm(right[rank:], axis=0)
    return [name for name, weight in zip(names, weights, strict=True) if weight > 1e-6]


def problem_table(engine, sample, solution, estimates, n_rows):
    """Return what a reader must know before trusting the estimates.

    Returns
    -------
    DataFrame
        severity ("error": do not use; "warning": improper or doubtful; "note"), what, where,
        next_step; empty when there is nothing to report.
    """
    rows = [
        *_search_problems(solution),
        *_improper(estimates),
        *_not_positive_definite(engine.spec, solution, estimates),
        *_few_cases(sample, solution, n_rows),
        *_scales(engine.spec, sample),
    ]
    return pd.DataFrame(rows, columns=["severity", "what", "where", "next_step"])


def _search_problems(solution):
    if not solution.converged:
        yield (
            "error",
            "not converged",
            f"largest gradient {solution.gradient:.2g}",
            "simplify the model, or check indicators with weak or opposite loadings",
        )
    elif not solution.identified:
        yield (
            "error",
            "information matrix singular",
            "at the solution",
            "look for loadings or covariances near zero, as in factors with two indicators",
        )


def _improper(estimates):
    """Yield negative variances (Heywood cases) and correlations beyond 1."""
    for row in estimates[estimates["op"] == "~~"].itertuples():
        where = f"{row.lhs} ~~ {row.rhs}"
        if row.lhs == row.rhs and row.estimate < 0:
            yield (
                "warning",
                f"negative variance ({row.estimate:.3f}, Heywood case)",
                where,
                "see whether its interval includes 0; use fewer factors or leave it out",
            )
        elif row.lhs != row.rhs and abs(row.std_all) > 1:
            yield (
                "warning",
                f"correlation beyond 1 ({row.std_all:.3f})",
                where,
                "the two may be one variable: join them, or free less",
            )


def _not_positive_definite(model, solution, estimates):
    """Yield improper matrices; one with a negative diagonal is a Heywood case, reported as that."""
    residual = pd.DataFrame(0.0, index=list(model.observed), columns=list(model.observed))
    for row in estimates[estimates["op"] == "~~"].itertuples():
        if {row.lhs, row.rhs} <= set(model.observed):
            residual.loc[row.lhs, row.rhs] = residual.loc[row.rhs, row.lhs] = row.estimate
    latent = pd.DataFrame(solution.latent_cov, index=list(model.latents))
    for what, matrix in (("latent variables", latent), ("residuals", residual)):
        if len(matrix) < 2 or np.diag(matrix).min() < 0:
            continue
        values, vectors = np.linalg.eigh(matrix)
        if values[0] < -1e-8 * values[-1]:
            involved = matrix.index[np.abs(vectors[:, 0]) > 0.1]
            yield (
                "warning",
                f"covariance matrix of the {what} not positive definite",
                ", ".join(involved),
                "look at these variables' variances and correlations",
            )


def _few_cases(sample, solution, n_rows):
    npar = len(solution.theta)
    if sample.n < CASES_PER_PARAMETER * npar:
        yield (
            "note",
            f"{sample.n / npar:.1f} cases per parameter",
            f"{sample.n} rows, {npar} parameters",
            f"below {CASES_PER_PARAMETER}, results are unsteady: compare a smaller model",
        )
    dropped = n_rows - sample.n
    if dropped > DROPPED_SHARE * n_rows:
        yield (
            "note",
            f"{dropped / n_rows:.0%} of the rows dropped",
            f"{dropped} of {n_rows} rows",
            "listwise deletion is unbiased only if values are missing completely at random",
        )


def _scales(model, sample):
    variances = np.diag(sample.cov)
    if variances.max() > VARIANCE_RATIO * variances.min():
        large, small = (model.observed[i] for i in (variances.argmax(), variances.argmin()))
        yield (
            "note",
            f"variances differ by a factor {variances.max() / variances.min():.0f}",
            f"{large}, {small}",
            "divide the large one by a constant: the search is then safer",
        )
