"""What is refused before a fit, and what is reported after it."""

import difflib
from dataclasses import dataclass

import numpy as np
import pandas as pd

IDENTIFICATION_SEED = 20121001
RANK_TOLERANCE = 1e-9  # of singular values, relative to the largest, columns scaled to length 1
COLLINEAR = 1e-10  # smallest eigenvalue of the correlation matrix
CASES_PER_PARAMETER = 5  # Bentler & Chou (1987)
DROPPED_SHARE = 0.05
VARIANCE_RATIO = 1000  # lavaan's limit too


@dataclass(frozen=True, eq=False)
class Selected:
    """Rows that are used, group by group.

    Attributes
    ----------
    frames : list of DataFrame
        The model's observed variables, float64.
    groups : tuple of str
    group_rows : list of int
        Rows of each group before any was dropped.
    rows : DataFrame
        All of them in the order of the data, with the grouping variable (labels) if there is one.
    n_rows : int
        Rows of the data.
    dropped : Index
    reason : str
    """

    frames: list
    groups: tuple
    group_rows: list
    rows: pd.DataFrame
    n_rows: int
    dropped: pd.Index
    reason: str


def select_rows(model, data, options):
    """Return the rows of a fit as `Selected`; see `fitting.fit` for which are dropped."""
    frame = model_frame(model, data)
    if options["missing"] == "listwise":
        kept = frame.notna().all(axis=1)
        reason = f"a value missing on one of {len(model.observed)} variables"
    else:
        others = [name for name in model.observed if name not in model.covariates]
        kept = frame[list(model.covariates)].notna().all(axis=1)
        kept &= True if model.covariates else frame[others].notna().any(axis=1)
        reason = "a covariate missing" if model.covariates else "no value at all"
    labels, groups = group_labels(data, options["group"])
    if options["group"] is not None:
        reason += f", or {options['group']!r} missing"
    used = (kept.to_numpy()) & (labels != None)  # noqa: E711 - elementwise
    rows = frame[used].copy()
    if options["group"] is not None:
        rows[options["group"]] = labels[used]
    frames = [frame[used & (labels == label)] for label in groups]
    sizes = [int((labels == label).sum()) for label in groups]
    return Selected(frames, groups, sizes, rows, len(data), data.index[~used], reason)


def group_labels(data, group):
    """Return the group label of each row (None where missing), and the labels in order.

    Raises
    ------
    ValueError
        No such column, it is there twice, or it has fewer than 2 values.
    """
    if group is None:
        return np.full(len(data), "", dtype=object), ("",)
    if list(data.columns).count(group) != 1:
        close = difflib.get_close_matches(str(group), map(str, data.columns), 1)
        hint = f" (closest: {close[0]!r})" if close else ""
        raise ValueError(
            f"Grouping variable {group!r}{hint} must be one column of the data; "
            f"there are {list(data.columns).count(group)}."
        )
    column = data[group]
    if isinstance(column.dtype, pd.CategoricalDtype):
        order = [value for value in column.cat.categories if (column == value).any()]
    else:
        order = sorted(column.dropna().unique())
    if len(order) < 2:
        raise ValueError(f"Grouping variable {group!r} has {len(order)} value(s); give at least 2.")
    names = {value: _label(value) for value in order}
    return np.array([names.get(value) for value in column], dtype=object), tuple(names.values())


def _label(value):
    """Return a value as text, 1.0 as "1"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


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


def check_sample(kept, n_rows, label=""):
    """Refuse rows from which no covariance matrix can be modelled.

    Parameters
    ----------
    kept : DataFrame
        Rows of one group: complete, or (FIML) with missing values.
    n_rows : int
        Rows before any was dropped.
    label : str
        Of the group.

    Raises
    ------
    ValueError
        No row is left, a variable is constant, there are not more rows than variables, two
        variables are never observed together, or variables depend on each other linearly (the
        message names them).
    """
    n, p = kept.shape
    here = f" in group {label}" if label else ""
    if n == 0:
        raise ValueError(
            f"None of the {n_rows} rows{here} is complete on the {p} variables of the "
            "model: leave out those that are missing most often."
        )
    _check_spread(kept, here)
    if n <= p:
        raise ValueError(
            f"{n} complete rows for {p} observed variables{here}: more rows than variables "
            "are needed. Use fewer variables, or data with fewer missing values."
        )
    seen = kept.notna().to_numpy(dtype=float)
    if seen.all():
        check_collinear(np.corrcoef(kept.to_numpy().T).reshape(p, p), kept.columns, here)
        return
    together = seen.T @ seen
    if together.min() < 2:
        i, j = np.argwhere(together < 2)[0]
        raise ValueError(
            f"{kept.columns[i]!r} and {kept.columns[j]!r} are observed together in fewer than 2 "
            f"rows{here}: their covariance is unknown. Leave one of them out."
        )


def _check_spread(kept, here):
    spread = kept.max() - kept.min()
    constant = spread.index[~(spread > 0)].tolist()
    if constant:
        raise ValueError(
            f"Constant in the {len(kept)} rows used{here}: {', '.join(constant)}. "
            "Leave it out of the model."
        )


def check_collinear(correlations, names, here=""):
    """Refuse a singular correlation matrix; the message names the variables involved."""
    values, vectors = np.linalg.eigh(correlations)
    if values[0] < COLLINEAR:
        involved = [
            name for name, weight in zip(names, vectors[:, 0], strict=True) if abs(weight) > 1e-4
        ]
        raise ValueError(
            f"The covariance matrix{here} is not positive definite: these variables depend "
            f"on each other linearly: {', '.join(involved)}. Leave one out."
        )


def check_identified(layout, jacobian):
    """Refuse a model whose parameters the moments cannot tell apart.

    Rank of the derivatives of the implied moments at a seeded random point, covariates correlated
    .3: a generic (local) identification check of the model, whatever the data. semopy fits a model
    that is not identified without a word.

    Parameters
    ----------
    layout : layout.Layout
    jacobian : function
        Of a parameter vector: the derivatives of the moments of all groups, (q, k).

    Raises
    ------
    ValueError
        No free parameter, negative degrees of freedom, or a rank below the number of parameters;
        the message names the parameters involved.
    """
    names = layout.parameters
    if not names:
        raise ValueError("The model has no free parameter: every one is fixed. Free at least one.")
    matrix = jacobian(_random_point(layout))
    involved, df = _not_identified(matrix, names), len(matrix) - len(names)
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


def _random_point(layout):
    """Return random parameter values, variances between 1 and 2, others between .3 and .9."""
    table = layout.table
    variance = (table["op"] == "~~") & (table["lhs"] == table["rhs"]) | (table["op"] == "~*~")
    variances = set(table["parameter"][variance])
    draws = np.random.default_rng(IDENTIFICATION_SEED).uniform(0, 1, len(layout.parameters))
    return np.array(
        [
            1 + u if name in variances else 0.3 + 0.6 * u
            for name, u in zip(layout.parameters, draws, strict=True)
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


def problem_table(model, outcome, estimates):
    """Return what a reader must know before trusting the estimates.

    Parameters
    ----------
    model : spec.Model
    outcome : dict
        converged, identified (bool), gradient, em_failed (bool), n, n_rows, npar, groups (list of
        measures.GroupFit), latent_covs (list of ndarray), labels (of the groups).
    estimates : DataFrame

    Returns
    -------
    DataFrame
        severity ("error": do not use; "warning": improper or doubtful; "note"), what, where,
        next_step; empty when there is nothing to report.
    """
    rows = [*_search_problems(outcome), *_improper(estimates)]
    for latent, label in zip(outcome["latent_covs"], outcome["labels"], strict=True):
        chosen = estimates[estimates["group"] == label]
        rows += _not_positive_definite(model, latent, chosen, label)
    rows += _few_cases(outcome)
    for group, label in zip(outcome["groups"], outcome["labels"], strict=True):
        rows += _scales(group, label)
    return pd.DataFrame(rows, columns=["severity", "what", "where", "next_step"])


def _search_problems(outcome):
    if outcome["em_failed"]:
        yield (
            "error",
            "EM not converged",
            "moments of the saturated model",
            "two variables may hardly ever be observed together: leave out the one missing most",
        )
    if not outcome["converged"]:
        yield (
            "error",
            "not converged",
            f"largest gradient {outcome['gradient']:.2g}",
            "simplify the model, or check indicators with weak or opposite loadings",
        )
    elif not outcome["identified"]:
        yield (
            "error",
            "information matrix singular",
            "at the solution",
            "look for loadings or covariances near zero, as in factors with two indicators",
        )


def _in_group(text, label):
    return f"{text} (group {label})" if label else text


def _improper(estimates):
    """Yield negative variances (Heywood cases) and correlations beyond 1."""
    for row in estimates[estimates["op"] == "~~"].itertuples():
        where = _in_group(f"{row.lhs} ~~ {row.rhs}", row.group)
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


def _not_positive_definite(model, latent_cov, estimates, label):
    """Yield improper matrices; one with a negative diagonal is a Heywood case, reported as that."""
    residual = pd.DataFrame(0.0, index=list(model.observed), columns=list(model.observed))
    for row in estimates[estimates["op"] == "~~"].itertuples():
        if {row.lhs, row.rhs} <= set(model.observed):
            residual.loc[row.lhs, row.rhs] = residual.loc[row.rhs, row.lhs] = row.estimate
    latent = pd.DataFrame(latent_cov, index=list(model.latents))
    for what, matrix in (("latent variables", latent), ("residuals", residual)):
        if len(matrix) < 2 or np.diag(matrix).min() < 0:
            continue
        values, vectors = np.linalg.eigh(matrix)
        if values[0] < -1e-8 * values[-1]:
            involved = matrix.index[np.abs(vectors[:, 0]) > 0.1]
            yield (
                "warning",
                f"covariance matrix of the {what} not positive definite",
                _in_group(", ".join(involved), label),
                "look at these variables' variances and correlations",
            )


def _few_cases(outcome):
    n, npar, n_rows = outcome["n"], outcome["npar"], outcome["n_rows"]
    if n < CASES_PER_PARAMETER * npar:
        yield (
            "note",
            f"{n / npar:.1f} cases per parameter",
            f"{n} rows, {npar} parameters",
            f"below {CASES_PER_PARAMETER}, results are unsteady: compare a smaller model",
        )
    dropped = n_rows - n
    if dropped > DROPPED_SHARE * n_rows:
        yield (
            "note",
            f"{dropped / n_rows:.0%} of the rows dropped",
            f"{dropped} of {n_rows} rows",
            "listwise deletion is unbiased only if values are missing completely at random",
        )


def _scales(group, label):
    variances = np.diag(group.sample_cov)
    if variances.max() > VARIANCE_RATIO * variances.min():
        large, small = (group.names[i] for i in (variances.argmax(), variances.argmin()))
        yield (
            "note",
            f"variances differ by a factor {variances.max() / variances.min():.0f}",
            _in_group(f"{large}, {small}", label),
            "divide the large one by a constant: the search is then safer",
        )
