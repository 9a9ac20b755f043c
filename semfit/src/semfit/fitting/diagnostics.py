"""What is reported about a fit: failures (error), improper results (warning), cautions (note)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from semfit.fitting import constrained
from semfit.fitting.estimator import Estimator, Options, Tested
from semfit.fitting.measures import ROUNDING
from semfit.fitting.requirements import Selected
from semfit.fitting.search import Found
from semfit.messages import Message, as_json, message, render
from semfit.moments.objective import Objective
from semfit.moments.sample import GroupFit, Sample
from semfit.syntax.identification import NAMED, involved_in, names_and_groups, written
from semfit.syntax.model import Model
from semfit.syntax.parameters import Layout

Part: TypeAlias = str | Message | list[Any]  # of a text: names as they are, a message, or several
Row: TypeAlias = dict[str, str]

COLUMNS = ["code", "severity", "what", "where", "next_step", "values"]
CASES_PER_PARAMETER = 5  # Bentler & Chou (1987)
NOTABLE = 0.1  # of a chi-square
CASES = 100  # Kline (2016), of a sample or group
DROPPED_SHARE = 0.05
CLUSTERS = 20
MISSING_SHARE = 0.1
NOT_ASKED_SHARE = 0.05
SAME_ROWS = 0.5  # of the rows that lack one of two variables, those that lack both
SEVERAL = 3  # variables that are missing together: two may be one in two forms
COVERAGE = 0.1  # lavaan and Mplus warn below it too
VARIANCE_RATIO = 1000  # lavaan's limit too
KURTOSIS = 5  # standard errors; Bentler (2006, p. 129)
FLAT = 1e-4  # smallest eigenvalue of scaled information: a direction in which nothing changes
CLEAR = 0.3  # standardised loading that has a sign
TAKES_PART = 0.1  # weight of a parameter in such a direction
SIMPLIFY = message("simplify")


@dataclass(frozen=True, eq=False)
class Ending:
    """The end of a fit, from which `problem_table` makes its rows.

    Attributes
    ----------
    layout : parameters.Layout
    objective : Objective
    found : search.Found
    tested : estimator.Tested
    selected : requirements.Selected
    options : dict
        Of `fitting.fit`.
    estimates : DataFrame
    way : Estimator
    """

    layout: Layout
    objective: Objective
    found: Found
    tested: Tested
    selected: Selected
    options: Options
    estimates: pd.DataFrame
    way: Estimator

    def groups(self) -> Iterator[tuple[str, GroupFit, Any]]:
        """Return (label, moments, sample) of each group."""
        fits = self.objective.group_fits(self.found.theta)
        return zip(self.layout.groups, fits, self.objective.samples, strict=True)


def problem_table(ending: Ending) -> pd.DataFrame:
    """Return what is wrong with a fit, the worst first.

    Parameters
    ----------
    ending : Ending

    Returns
    -------
    DataFrame
        code (of `messages.MESSAGES`), severity ("error": estimates are no solution; "warning":
        improper; "note"), what, where, next_step, values (JSON: the fields of the message, and under
        "where" and "next_step" those two as messages); empty when there is nothing to report. In
        another language: ``render(code, values, templates)``, and the same with the codes
        "problem_where" and "problem_next_step".
    """
    rows = [*_search_problems(ending)]
    if ending.found.converged:  # else the estimates mean nothing
        rows += [*_improper(ending.estimates), *_opposite(ending.estimates)]
        latent_covs = ending.objective.latent_covs(ending.found.theta)
        for label, latent in zip(ending.layout.groups, latent_covs, strict=True):
            estimates = ending.estimates[ending.estimates["group"] == label]
            rows += _not_positive_definite(ending.layout.model, latent, estimates, label)
        rows += [*_at_limits(ending), *_lower_end(ending)]
    rows += [*_few_cases(ending), *_dropped(ending), *_missing(ending), *_data(ending)]
    rows += _not_used(ending.layout)
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(severity: str, code: str, where: Part, next_step: Message, **values: Any) -> Row:
    """Return a row of the table: the code with its values, and what they say in English."""
    values |= {"where": where, "next_step": next_step}
    return {
        "code": code,
        "severity": severity,
        "what": render(code, values),
        "where": render("problem_where", values),
        "next_step": render("problem_next_step", values),
        "values": as_json(values),
    }


def _in_group(where: Part, label: str) -> Part:
    return message("in_group", where=where, group=label) if label else where


def _listed(names: Sequence[Part]) -> Part:
    """Return names, the first ones if there are many."""
    if len(names) <= NAMED:
        return [*names]
    return message("and_more", names=[*names[:NAMED]], n=len(names) - NAMED)


# ---- no solution ---------------------------------------------------------------------------------


def _search_problems(ending: Ending) -> Iterator[Row]:
    tested, n, k = ending.tested, ending.objective.n, _estimated(ending)
    for label, _, sample in ending.groups():
        if sample.em_steps < 0:
            *pair, share = rarest_pair(sample, ending.layout.model.observed)
            where = _in_group(message("pair_together", variables=pair, share=share), label)
            yield _row("error", "em_not_converged", where, message("leave_out_most_missing"))
    if not ending.found.converged:
        reason = ending.found.reason
        yield _row("error", "not_converged", *diverging(ending), reason=reason)
    elif tested.vcov is None:
        where = _with_values(ending, flat_direction(ending)[0])
        yield _row("error", "not_identified", where, message("look_near_zero"))
    elif _lacks_scaling(ending):
        where = message("rows_and_parameters", n=n, k=k)
        yield _row("warning", "no_scaled_chisq", where, message("more_rows_or_standard"))
    elif tested.df == 0 and tested.test is not None and tested.test.chisq < ROUNDING:
        where = message("fit_measures")
        yield _row("note", "saturated_model", where, message("judge_by_estimates"))


def _lacks_scaling(ending: Ending) -> bool:
    """Tell whether the chi-square should have a correction and has none."""
    test = ending.tested.test
    assert test is not None
    return test.df > 0 and ending.way.corrected and not np.isfinite(test.scaling)


def flat_direction(ending: Ending) -> tuple[list[str], float]:
    """Return (parameters, eigenvalue) of the direction in which the likelihood changes least.

    Parameters in units of their information, so that 1 is what independent ones would have.
    """
    theta = ending.found.theta
    hessian = ending.objective.score(theta)[1]
    if not np.isfinite(hessian).all():
        return [], np.nan
    scale = _root(hessian)
    free = constrained.equality_directions(ending.layout, theta)
    basis = np.eye(len(theta)) if free is None else np.linalg.qr(scale[:, None] * free)[0]
    values, vectors = np.linalg.eigh(basis.T @ (hessian / np.outer(scale, scale)) @ basis)
    direction = basis @ vectors[:, 0]
    return involved_in(direction[None], ending.layout, TAKES_PART), values[0]


def _root(hessian: np.ndarray) -> np.ndarray:
    diagonal = np.diag(hessian)
    return np.sqrt(np.where(diagonal > 0, diagonal, 1.0))


def diverging(ending: Ending) -> tuple[Message, Message]:
    """Return (where, next step) of a search that did not converge.

    Where the likelihood is flat, parameters run away together (a loading to infinity, the variance
    of its factor to 0); elsewhere, those that are farthest from a gradient of 0 are named.
    """
    layout, theta = ending.layout, ending.found.theta
    names, eigenvalue = flat_direction(ending)
    if not np.isfinite(eigenvalue):
        return message("start_improper"), SIMPLIFY
    if eigenvalue > FLAT:
        gradient, hessian = ending.objective.score(theta)
        gradient = constrained.along(layout, theta, gradient)
        steepest = np.argsort(-np.abs(gradient) / _root(hessian), kind="stable")[:3]
        names = [layout.parameters[i] for i in sorted(steepest)]
        return message("largest_gradient", parameters=_with_values(ending, names)), SIMPLIFY
    rows = layout.table[layout.table["parameter"].isin(names)]
    latents = [f for f in layout.model.latents if (rows[["lhs", "rhs"]] == f).any(axis=None)]
    where = message("running_away", parameters=_with_values(ending, names))
    if not latents:
        return where, SIMPLIFY
    return where, message("indicators_share_little", latent=latents[0])


def _with_values(ending: Ending, parameters: Sequence[str]) -> Part:
    """Return parameters with their values."""
    values = dict(zip(ending.layout.parameters, ending.found.theta, strict=True))
    names = names_and_groups(ending.layout, parameters)
    pairs = zip(names, parameters, strict=True)
    return _listed(
        [message("parameter_value", parameter=_in_group(*n), value=values[p]) for n, p in pairs]
    )


# ---- improper results ----------------------------------------------------------------------------


def _improper(estimates: pd.DataFrame) -> Iterator[Row]:
    """Yield negative variances (Heywood cases), correlations and loadings beyond 1."""
    heywood = set()
    latents = set(estimates["lhs"][estimates["op"] == "=~"])
    for row in estimates[estimates["op"] == "~~"].itertuples():
        if row.lhs == row.rhs and row.estimate < 0:
            heywood.add((row.lhs, row.group))
            yield _negative_variance(row, row.lhs in latents)
    for row in estimates.itertuples():
        where, value = _in_group(written(row.lhs, row.op, row.rhs), row.group), row.std_all
        if not abs(value) > 1 or row.lhs == row.rhs:
            continue
        if row.op == "~~":
            step = message("join_or_free_less")
            yield _row("warning", "correlation_beyond_one", where, step, value=value)
        elif row.op == "=~" and (row.rhs, row.group) not in heywood:
            step = message("drop_cross_loading")
            yield _row("note", "loading_beyond_one", where, step, value=value)
        elif row.op == "~" and (row.lhs, row.group) not in heywood:
            step = message("drop_or_join_predictor")
            yield _row("note", "path_beyond_one", where, step, value=value)


def _at_limits(ending: Ending) -> Iterator[Row]:
    """Yield the inequalities and bounds that hold the estimates back."""
    limits = constrained.at_limit(ending.layout.restrictions, ending.found.theta)
    if limits:
        yield _row("note", "constraint_at_limit", _listed(limits), message("limit_and_chisq"))


def _lower_end(ending: Ending) -> Iterator[Row]:
    """Yield that the search has seen a lower value than that of the minimum it proved."""
    lower = ending.found.above * ending.objective.n
    if lower > NOTABLE:
        where = message("chisq_lower_by", value=lower)
        yield _row("warning", "lower_end", where, message("simplify_or_start"))


def _opposite(estimates: pd.DataFrame) -> Iterator[Row]:
    """Yield loadings whose sign is not that of most indicators of their latent variable."""
    loadings = estimates[estimates["op"] == "=~"]
    for (_, group), rows in loadings.groupby(["lhs", "group"], sort=False):
        clear = rows[rows["std_all"].abs() > CLEAR]
        odd = clear[np.sign(clear["std_all"]) != np.sign(np.sign(clear["std_all"]).sum())]
        if 0 < len(odd) < len(clear) / 2:
            names = [written(r.lhs, r.op, r.rhs) for r in odd.itertuples()]
            where = _in_group(_listed(names), group)
            yield _row("note", "opposite_sign", where, message("reverse_scores"))


def _negative_variance(row: Any, latent: bool) -> Row:
    """Return the row of a Heywood case: may it be chance? (Kolenikov & Bollen 2012)."""
    remedy = "leave_out_or_indicator" if latent else "leave_out_or_factors"
    step = message(remedy, variable=row.lhs)
    where = _in_group(f"{row.lhs} ~~ {row.rhs}", row.group)
    if not np.isfinite(row.ci_low):
        return _row("warning", "negative_variance", where, step, value=row.estimate)
    step = message("may_be_chance" if row.ci_high >= 0 else "not_chance", remedy=step)
    values = {"value": row.estimate, "low": row.ci_low, "high": row.ci_high}
    return _row("warning", "negative_variance_interval", where, step, **values)


def _not_positive_definite(
    model: Model, latent_cov: np.ndarray, estimates: pd.DataFrame, label: str
) -> Iterator[Row]:
    """Yield improper matrices; one with a negative diagonal is a Heywood case, reported as that."""
    residual = pd.DataFrame(0.0, index=list(model.observed), columns=list(model.observed))
    for row in estimates[estimates["op"] == "~~"].itertuples():
        if {row.lhs, row.rhs} <= set(model.observed):
            residual.loc[row.lhs, row.rhs] = residual.loc[row.rhs, row.lhs] = row.estimate
    latent = pd.DataFrame(latent_cov, index=list(model.latents))
    for what, matrix in (("latent", latent), ("residuals", residual)):
        variances = np.diag(matrix)
        if len(matrix) < 2 or not np.isfinite(matrix.to_numpy()).all() or variances.min() < 0:
            continue
        scale = np.sqrt(np.where(variances > 0, variances, 1))
        values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
        if values[0] < -1e-8:
            involved = matrix.index[np.abs(vectors[:, 0]) > TAKES_PART].tolist()
            where = _in_group(_listed(involved), label)
            step = message("two_may_be_one")
            yield _row("warning", f"{what}_not_positive_definite", where, step)


# ---- cases ---------------------------------------------------------------------------------------


def _estimated(ending: Ending) -> int:
    return constrained.free_parameters(ending.layout, ending.found.theta)


def _not_used(layout: Layout) -> Iterator[Row]:
    """Return values in the model of what follows from other parameters, of ordered variables."""
    table = layout.rows(0)
    derived = {*zip(table["lhs"][table["derived"]], table["op"][table["derived"]], strict=True)}
    for term in layout.model.terms:
        if (term.lhs, term.op) in derived and term.lhs == term.rhs and term.modifier.fixed:
            other = "delta" if term.op == "~*~" else "theta"
            yield _row("note", "value_not_used", term.text(), message("other_unit", other=other))


def _few_cases(ending: Ending) -> Iterator[Row]:
    n, k = ending.objective.n, _estimated(ending)
    where = message("rows_and_parameters", n=n, k=k)
    if n < CASES_PER_PARAMETER * k:
        step = message("compare_smaller_model", limit=CASES_PER_PARAMETER)
        yield _row("note", "cases_per_parameter", where, step, cases=n / k)
    elif n < CASES:
        yield _row("note", "few_cases", where, message("keep_it_simple", limit=CASES))
    sizes = [(label, group.n) for label, group, _ in ending.groups()]
    small = [message("size_of_group", group=label, n=n) for label, n in sizes if n < CASES]
    if len(sizes) > 1 and small:
        step = message("join_groups", limit=CASES)
        yield _row("note", "few_cases_in_group", _listed(small), step)
    clusters = sum(design.n_clusters for design in ending.selected.designs)
    if 0 < clusters < CLUSTERS:
        where = message("clusters_used", n=clusters, cluster=ending.options["cluster"])
        yield _row("note", "few_clusters", where, message("more_clusters", limit=CLUSTERS))


def _dropped(ending: Ending) -> Iterator[Row]:
    n_rows = ending.selected.n_rows
    lost = n_rows - ending.objective.n
    if ending.options["missing"] != "listwise":
        step = message("leave_out_covariate")
    else:
        step = message("listwise_or_fiml" if ending.way.fiml else "listwise_or_pairwise")
    if lost > DROPPED_SHARE * n_rows:
        where = message("rows_of_rows", n=lost, rows=n_rows)
        yield _row("note", "rows_dropped", where, step, share=lost / n_rows)


def _missing(ending: Ending) -> Iterator[Row]:
    """Yield the share of missing values (FIML), and a pair that hardly any row has together."""
    frame = ending.selected.rows[list(ending.layout.model.observed)]
    for names, n in missing_together(frame):
        if n > NOT_ASKED_SHARE * len(frame):
            values = {"n": n, "rows": len(frame), "k": len(names)}
            yield _row("note", "not_asked", _listed(names), message("fit_those_asked"), **values)
    share, total = frame.isna().mean(), frame.isna().to_numpy().mean()
    if total > MISSING_SHARE:
        where = message("most_missing", variable=share.idxmax(), share=share.max())
        pairwise = ending.options["missing"] == "pairwise"
        step = message("report_share_pairwise" if pairwise else "report_share")
        yield _row("note", "values_missing", where, step, share=total)
    for label, _, sample in ending.groups():
        if sample.complete:
            continue
        *pair, together = rarest_pair(sample, ending.layout.model.observed)
        if together < COVERAGE:
            step = message("rests_on_few_rows")
            yield _row("note", "rare_pair", _in_group(pair, label), step, share=together)


def missing_together(frame: pd.DataFrame) -> list[tuple[list[str], int]]:
    """Return sets of three or more variables that the same rows lack, and how many rows lack all.

    Of the rows that lack one of a set and those that lack its most often missing variable, more than
    half (`SAME_ROWS`) must be the same: so it is where questions were not put, and not where answers
    are missing here and there (two variables that each lack a share p at random: p / (2 - p)).
    """
    gaps = frame.isna().to_numpy(dtype=float)
    both = gaps.T @ gaps
    own = np.diag(both)
    alike = both > SAME_ROWS * (own[:, None] + own - both)
    found, left = [], [int(i) for i in np.argsort(-own, kind="stable")]
    while left:
        members = sorted(i for i in left if alike[left[0], i])
        left = [i for i in left[1:] if i not in members]
        if len(members) >= SEVERAL:
            rows = gaps[:, members].all(axis=1)
            found.append((frame.columns[members].tolist(), int(rows.sum())))
    return found


def rarest_pair(sample: Sample, names: Sequence[str]) -> tuple[str, str, float]:
    """Return two variables and the share of rows that have both, the smallest there is."""
    together = (sample.seen * sample.counts[:, None]).T @ sample.seen / sample.n
    place = np.unravel_index(np.argmin(together + np.eye(len(names))), together.shape)
    i, j = map(int, place)
    return names[i], names[j], together[i, j]


# ---- data ----------------------------------------------------------------------------------------


def _data(ending: Ending) -> Iterator[Row]:
    """Yield very different units, and kurtosis that ordinary standard errors do not allow for."""
    for label, group, sample in ending.groups():
        variances = np.diag(group.sample_cov)
        ratio = variances.max() / variances.min()
        if ratio > VARIANCE_RATIO:
            pair = [group.names[variances.argmax()], group.names[variances.argmin()]]
            text = f"{ratio:{'.0f' if ratio < 1e6 else '.0e'}}"
            where, step = _in_group(pair, label), message("divide_large")
            yield _row("note", "variances_differ", where, step, ratio=text)
        if not ending.way.corrected and sample.complete:
            yield from _not_normal(group, sample, label)


def _not_normal(group: GroupFit, sample: Sample, label: str) -> Iterator[Row]:
    values, names = sample.data[:, ~group.fixed], np.array(group.names)[~group.fixed]
    excess = kurtosis(values)
    if excess > KURTOSIS:
        most = names[np.argmax([kurtosis(column[:, None]) for column in values.T])]
        where = _in_group(message("all_together", variable=str(most)), label)
        yield _row("note", "not_normal", where, message("use_mlr"), z=excess)


def kurtosis(values: np.ndarray) -> float:
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
