"""What is reported about a fit: failures (error), improper results (warning), cautions (note)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from semfit.syntax.identification import involved_in, listed, names_of, written
from semfit.syntax.parameters import Layout

CASES_PER_PARAMETER = 5  # Bentler & Chou (1987)
CASES = 100  # Kline (2016), of a sample or group
DROPPED_SHARE = 0.05
MISSING_SHARE = 0.1
COVERAGE = 0.1  # lavaan and Mplus warn below it too
VARIANCE_RATIO = 1000  # lavaan's limit too
KURTOSIS = 5  # standard errors; Bentler (2006, p. 129)
FLAT = 1e-4  # smallest eigenvalue of scaled information: a direction in which nothing changes
CLEAR = 0.3  # standardised loading that has a sign
TAKES_PART = 0.1  # weight of a parameter in such a direction
SIMPLIFY = (
    "fit a part of the model first, or free fewer parameters; look at the units of the variables"
)


@dataclass(frozen=True, eq=False)
class Ending:
    """The end of a fit, from which `problem_table` makes its rows.

    Attributes
    ----------
    layout : parameters.Layout
    objective : normal.NormalObjective or dwls.DwlsObjective
    found : search.Found
    tested : dict
        vcov, test, df; None where there is no solution.
    selected : requirements.Selected
    options : dict
        Of `fitting.fit`.
    estimates : DataFrame
    """

    layout: Layout
    objective: object
    found: object
    tested: dict
    selected: object
    options: dict
    estimates: pd.DataFrame

    def groups(self):
        """Return (label, moments, sample) of each group."""
        fits = self.objective.group_fits(self.found.theta)
        return zip(self.layout.groups, fits, self.objective.samples, strict=True)


def problem_table(ending):
    """Return what is wrong with a fit, the worst first.

    Parameters
    ----------
    ending : Ending

    Returns
    -------
    DataFrame
        severity ("error": estimates are no solution; "warning": improper; "note"), what, where,
        next_step; empty when there is nothing to report.
    """
    rows = [*_search_problems(ending)]
    if ending.found.converged:  # else the estimates mean nothing
        rows += [*_improper(ending.estimates), *_opposite(ending.estimates)]
        latent_covs = ending.objective.latent_covs(ending.found.theta)
        for label, latent in zip(ending.layout.groups, latent_covs, strict=True):
            estimates = ending.estimates[ending.estimates["group"] == label]
            rows += _not_positive_definite(ending.layout.model, latent, estimates, label)
    rows += [*_few_cases(ending), *_dropped(ending), *_missing(ending), *_data(ending)]
    return pd.DataFrame(rows, columns=["severity", "what", "where", "next_step"])


def _in_group(text, label):
    return f"{text} (group {label})" if label else text


# ---- no solution ---------------------------------------------------------------------------------


def _search_problems(ending):
    test = ending.tested["test"]
    for label, _, sample in ending.groups():
        if getattr(sample, "em_steps", 0) < 0:
            first, second, share = rarest_pair(sample, ending.layout.model.observed)
            yield (
                "error",
                "EM not converged: the moments of the saturated model are not known",
                _in_group(f"{first}, {second}: together in {share:.0%} of the rows", label),
                "leave out the one that is missing most",
            )
    if not ending.found.converged:
        yield ("error", "not converged", *diverging(ending))
    elif ending.tested["vcov"] is None:
        flat, _ = flat_direction(ending)
        yield (
            "error",
            "not identified at the solution (information singular)",
            _with_values(ending, flat),
            "look for loadings or covariances near zero: a factor needs three that are not",
        )
    elif test.df > 0 and ending.options["estimator"] != "ML" and not np.isfinite(test.scaling):
        yield (
            "warning",
            "no scaled chi-square: its correction is not positive",
            f"{ending.objective.n} rows, {ending.objective.k} parameters",
            "use more rows or fewer parameters, or report the standard chi-square",
        )
    elif ending.tested["df"] == 0:
        yield (
            "note",
            "saturated model (df = 0)",
            "fit measures",
            "it fits any data: judge it by its estimates",
        )


def flat_direction(ending):
    """Return (parameters, eigenvalue) of the direction in which the likelihood changes least.

    Parameters in units of their information, so that 1 is what independent ones would have.
    """
    hessian = ending.objective.score(ending.found.theta)[1]
    if not np.isfinite(hessian).all():
        return [], np.nan
    scale = _root(hessian)
    values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
    return involved_in(vectors[:, :1].T, ending.layout, TAKES_PART), values[0]


def _root(hessian):
    diagonal = np.diag(hessian)
    return np.sqrt(np.where(diagonal > 0, diagonal, 1.0))


def diverging(ending):
    """Return (where, next step) of a search that did not converge.

    Where the likelihood is flat, parameters run away together (a loading to infinity, the variance
    of its factor to 0); elsewhere, those that are farthest from a gradient of 0 are named.
    """
    layout, theta = ending.layout, ending.found.theta
    names, eigenvalue = flat_direction(ending)
    if not np.isfinite(eigenvalue):
        return "the start: the implied covariance matrix is improper", SIMPLIFY
    if eigenvalue > FLAT:
        gradient, hessian = ending.objective.score(theta)
        steepest = np.argsort(-np.abs(gradient) / _root(hessian), kind="stable")[:3]
        names = [layout.parameters[i] for i in sorted(steepest)]
        return f"largest gradient at {_with_values(ending, names)}", SIMPLIFY
    rows = layout.table[layout.table["parameter"].isin(names)]
    latents = [f for f in layout.model.latents if (rows[["lhs", "rhs"]] == f).any(axis=None)]
    where = f"running away together: {_with_values(ending, names)}"
    if not latents:
        return where, SIMPLIFY
    return where, (
        f"the indicators of {latents[0]} share too little: look at their correlations, drop weak "
        "ones or choose another marker"
    )


def _with_values(ending, parameters):
    """Return parameters with their values, as text."""
    values = dict(zip(ending.layout.parameters, ending.found.theta, strict=True))
    names = names_of(ending.layout, parameters)
    return listed([f"{n} = {values[p]:.3g}" for n, p in zip(names, parameters, strict=True)])


# ---- improper results ----------------------------------------------------------------------------


def _improper(estimates):
    """Yield negative variances (Heywood cases), correlations and loadings beyond 1."""
    heywood = set()
    latents = set(estimates["lhs"][estimates["op"] == "=~"])
    for row in estimates[estimates["op"] == "~~"].itertuples():
        if row.lhs == row.rhs and row.estimate < 0:
            heywood.add((row.lhs, row.group))
            yield _negative_variance(row, row.lhs in latents)
    for row in estimates.itertuples():
        where = _in_group(written(row.lhs, row.op, row.rhs), row.group)
        if not abs(row.std_all) > 1 or row.lhs == row.rhs:
            continue
        if row.op == "~~":
            yield (
                "warning",
                f"correlation beyond 1 ({row.std_all:.3f})",
                where,
                "the two may be one variable: join them, or free less",
            )
        elif row.op == "=~" and (row.rhs, row.group) not in heywood:
            yield (
                "note",
                f"standardised loading beyond 1 ({row.std_all:.3f})",
                where,
                "its factors overlap: look at their correlation, and drop a cross-loading",
            )
        elif row.op == "~" and (row.lhs, row.group) not in heywood:
            yield (
                "note",
                f"standardised path beyond 1 ({row.std_all:.3f})",
                where,
                "its predictors overlap: look at their correlations, and drop or join one",
            )


def _opposite(estimates):
    """Yield loadings whose sign is not that of most indicators of their latent variable."""
    loadings = estimates[estimates["op"] == "=~"]
    for (_, group), rows in loadings.groupby(["lhs", "group"], sort=False):
        clear = rows[rows["std_all"].abs() > CLEAR]
        odd = clear[np.sign(clear["std_all"]) != np.sign(np.sign(clear["std_all"]).sum())]
        if 0 < len(odd) < len(clear) / 2:
            yield (
                "note",
                "loading of the opposite sign",
                _in_group(listed([written(r.lhs, r.op, r.rhs) for r in odd.itertuples()]), group),
                "see whether the question was put the other way round: then reverse its scores",
            )


def _negative_variance(row, latent):
    """Return the row of a Heywood case: may it be chance? (Kolenikov & Bollen 2012)."""
    remedy = (
        f"leave out {row.lhs}, a predictor of it, or an indicator"
        if latent
        else f"leave out {row.lhs}, or use fewer factors"
    )
    interval, step = "", remedy
    if np.isfinite(row.ci_low):
        interval = f"; 95 % interval {row.ci_low:.3f} to {row.ci_high:.3f}"
        chance = f"may be chance, as the interval holds 0: more rows; else {remedy}"
        step = chance if row.ci_high >= 0 else f"not chance, as the interval is below 0: {remedy}"
    where = _in_group(f"{row.lhs} ~~ {row.rhs}", row.group)
    return "warning", f"negative variance ({row.estimate:.3f}, Heywood case{interval})", where, step


def _not_positive_definite(model, latent_cov, estimates, label):
    """Yield improper matrices; one with a negative diagonal is a Heywood case, reported as that."""
    residual = pd.DataFrame(0.0, index=list(model.observed), columns=list(model.observed))
    for row in estimates[estimates["op"] == "~~"].itertuples():
        if {row.lhs, row.rhs} <= set(model.observed):
            residual.loc[row.lhs, row.rhs] = residual.loc[row.rhs, row.lhs] = row.estimate
    latent = pd.DataFrame(latent_cov, index=list(model.latents))
    for what, matrix in (("latent variables", latent), ("residuals", residual)):
        variances = np.diag(matrix)
        if len(matrix) < 2 or not np.isfinite(matrix.to_numpy()).all() or variances.min() < 0:
            continue
        scale = np.sqrt(np.where(variances > 0, variances, 1))
        values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
        if values[0] < -1e-8:
            involved = matrix.index[np.abs(vectors[:, 0]) > TAKES_PART].tolist()
            yield (
                "warning",
                f"covariance matrix of the {what} not positive definite",
                _in_group(listed(involved), label),
                "look at these variables' variances and correlations: two of them may be one",
            )


# ---- cases ---------------------------------------------------------------------------------------


def _few_cases(ending):
    n, k = ending.objective.n, ending.objective.k
    where = f"{n} rows, {k} parameters"
    if n < CASES_PER_PARAMETER * k:
        yield (
            "note",
            f"{n / k:.1f} cases per parameter",
            where,
            f"below {CASES_PER_PARAMETER}, results are unsteady: compare a smaller model",
        )
    elif n < CASES:
        yield (
            "note",
            "few cases",
            where,
            f"below {CASES}, tests have little power and standard errors are rough: keep it simple",
        )
    sizes = [(label, group.n) for label, group, _ in ending.groups()]
    small = [f"{label} ({size})" for label, size in sizes if size < CASES]
    if len(sizes) > 1 and small:
        yield (
            "note",
            "few cases in a group",
            listed(small),
            f"below {CASES} rows in a group, differences are hard to find: join groups",
        )


def _dropped(ending):
    n, n_rows = ending.objective.n, ending.selected.n_rows
    fiml = ending.options["missing"] == "fiml"
    step = (
        "rows without the covariates or group are lost: leave out the one that is missing most"
        if fiml
        else "listwise deletion is unbiased only if values are missing completely at random"
    )
    if not fiml and ending.options["estimator"] != "WLSMV":
        step += ": compare missing='fiml'"
    if n_rows - n > DROPPED_SHARE * n_rows:
        yield (
            "note",
            f"{(n_rows - n) / n_rows:.0%} of the rows dropped",
            f"{n_rows - n} of {n_rows} rows",
            step,
        )


def _missing(ending):
    """Yield the share of missing values (FIML), and a pair that hardly any row has together."""
    frame = ending.selected.rows[list(ending.layout.model.observed)]
    share = frame.isna().mean()
    if frame.isna().to_numpy().mean() > MISSING_SHARE:
        yield (
            "note",
            f"{frame.isna().to_numpy().mean():.0%} of the values missing",
            f"most of {share.idxmax()} ({share.max():.0%})",
            "estimates hold if the other variables explain what is missing: report the share",
        )
    for label, _, sample in ending.groups():
        if getattr(sample, "complete", True):
            continue
        first, second, together = rarest_pair(sample, ending.layout.model.observed)
        if together < COVERAGE:
            yield (
                "note",
                f"a pair is observed together in {together:.1%} of the rows",
                _in_group(f"{first}, {second}", label),
                "their covariance rests on few rows: leave out the one that is missing most",
            )


def rarest_pair(sample, names):
    """Return two variables and the share of rows that have both, the smallest there is."""
    together = (sample.seen * sample.counts[:, None]).T @ sample.seen / sample.n
    i, j = np.unravel_index(np.argmin(together + np.eye(len(names))), together.shape)
    return names[i], names[j], together[i, j]


# ---- data ----------------------------------------------------------------------------------------


def _data(ending):
    """Yield very different units, and kurtosis that ordinary standard errors do not allow for."""
    for label, group, sample in ending.groups():
        variances = np.diag(group.sample_cov)
        ratio = variances.max() / variances.min()
        if ratio > VARIANCE_RATIO:
            large, small = group.names[variances.argmax()], group.names[variances.argmin()]
            yield (
                "note",
                f"variances differ by a factor {ratio:{'.0f' if ratio < 1e6 else '.0e'}}",
                _in_group(f"{large}, {small}", label),
                "divide the large one by a constant: the search is then safer",
            )
        if ending.options["estimator"] != "ML" or not sample.complete:
            continue
        values, names = sample.data[:, ~group.fixed], np.array(group.names)[~group.fixed]
        excess = kurtosis(values)
        if excess > KURTOSIS:
            most = names[np.argmax([kurtosis(column[:, None]) for column in values.T])]
            yield (
                "note",
                f"not normal: multivariate kurtosis {excess:.1f} standard errors above normal",
                _in_group(f"all variables together, most of them {most}", label),
                "standard errors and chi-square may be off: use estimator='MLR'",
            )


def kurtosis(values):
    """Return Mardia's multivariate kurtosis as a z statistic.

    (mean of d^4 - p (p + 2)) / sqrt(8 p (p + 2) / n), d Mahalanobis distances (Mardia 1970), from
    the covariance matrix over n - 1. Chi-square and standard errors of covariances depend on
    kurtosis, not on skewness. R: ``psych::mardia(data)$kurtosis``.

    Parameters
    ----------
    values : ndarray (n, p)
    """
    n, p = values.shape
    deviations = values - values.mean(axis=0)
    cov = deviations.T @ deviations / (n - 1)
    squared = np.sum(deviations @ np.linalg.inv(cov) * deviations, axis=1)
    return (np.mean(squared**2) - p * (p + 2)) / np.sqrt(8 * p * (p + 2) / n)
