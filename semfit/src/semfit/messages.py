"""What a reader is told: each message has a code, and its English here.

Tables and results carry codes with the values of their fields, so that another language can say the
same: ``render(code, values)`` gives the English, ``render(code, values, templates)`` that of other
templates. A value may be a message itself, or a list of them: these are rendered first, and a list
is joined by commas. This file imports nothing of semfit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

MESSAGES: dict[str, str] = {
    # fitting: the sentence about a fit, clause by clause
    "sentence": "{clauses}.",
    "full_information": "full information for missing values",
    "rows_used": "{used} of {rows} rows used",
    "rows_used_of": "{used} of {rows} rows used ({dropped} dropped: {reason})",
    "dropped_incomplete": "a value missing on one of {n} variables",
    "dropped_covariate": "a covariate missing",
    "dropped_empty": "no value at all",
    "dropped_group": "or {group} missing",
    "groups_used": "{n} groups by {group} ({sizes})",
    "clusters_used": "{n} clusters by {cluster}",
    "weights_used": "weights {weights} (as precise as {effective:.0f} equal ones)",
    "converged": "converged after {steps} Fisher scoring steps",
    "converged_best": "converged after {steps} Fisher scoring steps, the best of {starts} starts",
    "not_converged_no_solution": "NOT converged: estimates are not a solution",
    # fitting: why a search has no solution
    "search_start_improper": "the implied covariance matrix is improper where the search starts",
    "search_stalled": "the fit hardly improves from step to step",
    "search_stuck": "no step goes down, though the gradient is not zero",
    "search_out_of_steps": "the steps were not enough",
    "search_restricted": "no proven minimum under the constraints and bounds",
    "search_saddle": "the gradient is zero, but this is no minimum",
    # fitting: where a problem is
    "problem_where": "{where}",
    "in_group": "{where} (group {group})",
    "and_more": "{names} and {n} more",
    "parameter_value": "{parameter} = {value:.3g}",
    "start_improper": "the start: the implied covariance matrix is improper",
    "largest_gradient": "largest gradient at {parameters}",
    "running_away": "running away together: {parameters}",
    "pair_together": "{variables}: together in {share:.0%} of the rows",
    "chisq_lower_by": "chi-square {value:.1f} lower",
    "rows_and_parameters": "{n} rows, {k} parameters",
    "rows_of_rows": "{n} of {rows} rows",
    "size_of_group": "{group} ({n})",
    "most_missing": "most of {variable} ({share:.0%})",
    "all_together": "all variables together, most of them {variable}",
    "fit_measures": "fit measures",
    # fitting: no solution (error), improper (warning), caution (note)
    "em_not_converged": "EM not converged: the moments of the saturated model are not known",
    "not_converged": "not converged: {reason}",
    "not_identified": "not identified at the solution (information singular)",
    "no_scaled_chisq": "no scaled chi-square: its correction is not positive",
    "saturated_model": "saturated model (df = 0)",
    "lower_end": "the search also came lower, where it found no minimum",
    "constraint_at_limit": "an inequality or bound is at its limit",
    "correlation_beyond_one": "correlation beyond 1 ({value:.3f})",
    "loading_beyond_one": "standardised loading beyond 1 ({value:.3f})",
    "path_beyond_one": "standardised path beyond 1 ({value:.3f})",
    "opposite_sign": "loading of the opposite sign",
    "negative_variance": "negative variance ({value:.3f}, Heywood case)",
    "negative_variance_interval": "negative variance ({value:.3f}, Heywood case; 95 % interval "
    "{low:.3f} to {high:.3f})",
    "latent_not_positive_definite": "covariance matrix of the latent variables not positive definite",
    "residuals_not_positive_definite": "covariance matrix of the residuals not positive definite",
    "cases_per_parameter": "{cases:.1f} cases per parameter",
    "value_not_used": "a value of the model is not used: what it is about follows from the others",
    "other_unit": "leave it out, or use parameterization='{other}'",
    "few_cases": "few cases",
    "few_cases_in_group": "few cases in a group",
    "few_clusters": "few clusters",
    "rows_dropped": "{share:.0%} of the rows dropped",
    "not_asked": "{n} of {rows} rows have no value on any of {k} variables",
    "values_missing": "{share:.0%} of the values missing",
    "rare_pair": "a pair is observed together in {share:.1%} of the rows",
    "variances_differ": "variances differ by a factor {ratio}",
    "not_normal": "not normal: multivariate kurtosis {z:.1f} standard errors above normal",
    # fitting: what to do about it
    "problem_next_step": "{next_step}",
    "simplify": "fit a part of the model first, or free fewer parameters; look at the units of the "
    "variables",
    "leave_out_most_missing": "leave out the one that is missing most",
    "indicators_share_little": "the indicators of {latent} share too little: look at their "
    "correlations, drop weak ones or choose another marker",
    "look_near_zero": "look for loadings or covariances near zero: a factor needs three that are not",
    "more_rows_or_standard": "use more rows or fewer parameters, or report the standard chi-square",
    "simplify_or_start": "the data hardly carry this model: leave out what is weak, or try other "
    "starting values (start())",
    "judge_by_estimates": "it fits any data: judge it by its estimates",
    "limit_and_chisq": "the data would go beyond it: see what the fit is without it; the p-value of "
    "chi-square is too large",
    "join_or_free_less": "the two may be one variable: join them, or free less",
    "drop_cross_loading": "its factors overlap: look at their correlation, and drop a cross-loading",
    "drop_or_join_predictor": "its predictors overlap: look at their correlations, and drop or join "
    "one",
    "reverse_scores": "see whether the question was put the other way round: then reverse its scores",
    "leave_out_or_indicator": "leave out {variable}, a predictor of it, or an indicator",
    "leave_out_or_factors": "leave out {variable}, or use fewer factors",
    "may_be_chance": "may be chance, as the interval holds 0: more rows; else {remedy}",
    "not_chance": "not chance, as the interval is below 0: {remedy}",
    "two_may_be_one": "look at these variables' variances and correlations: two of them may be one",
    "compare_smaller_model": "below {limit}, results are unsteady: compare a smaller model",
    "keep_it_simple": "below {limit}, tests have little power and standard errors are rough: keep it "
    "simple",
    "join_groups": "below {limit} rows in a group, differences are hard to find: join groups",
    "leave_out_covariate": "rows without the covariates or group are lost: leave out the one that is "
    "missing most",
    "listwise_or_pairwise": "listwise deletion is unbiased only if values are missing completely at "
    "random: compare missing='pairwise'",
    "listwise_or_fiml": "listwise deletion is unbiased only if values are missing completely at "
    "random: compare missing='fiml'",
    "more_clusters": "with fewer than {limit} clusters standard errors are too small, and there are no "
    "more independent observations than clusters",
    "fit_those_asked": "if these rows were not asked (routing, another version of the questionnaire), "
    "fit the model to the rows that were; if they did not answer, report how many",
    "report_share_pairwise": "estimates hold if values are missing completely at random: report the "
    "share",
    "report_share": "estimates hold if the other variables explain what is missing: report the share",
    "rests_on_few_rows": "their covariance rests on few rows: leave out the one that is missing most",
    "divide_large": "divide the large one by a constant: the search is then safer",
    "use_mlr": "standard errors and chi-square may be off: use estimator='MLR'",
    # testing: why models are not compared, and what is unusual about a test
    "no_aic_and_bic": "no aic and bic: {reason}",
    "other_variables": "other observed variables (only in one of the models: {variables}); to leave "
    "a path out but keep its variable, fix it to 0 (0*x)",
    "other_covariates": "other fixed covariates ({variables})",
    "other_groups": "other groups ({first} and {second})",
    "other_rows": "other rows (n = {first} and {second})",
    "other_design": "other sampling weights or clusters",
    "other_ordered": "other ordered variables",
    "other_mean_structure": "one model has means and the other has not (mean_structure)",
    "other_estimators": "other estimators ({first} and {second})",
    "model_not_converged": "{model} has no solution",
    "match_not_converged": "the search for equal moments did not converge",
    "not_nested": "not nested: the larger model cannot imply the same moments",
    "equivalent_models": "equivalent models: they imply the same moments, with as many parameters",
    "inequality_only": "the models differ by an inequality or bound only, which is no degree of freedom",
    "inequality_at_limit": "an inequality or bound is at its limit: p is too large",
    "restricted_fits_better": "the restricted model fits better: the larger one is not at its best "
    "solution",
    "scaling_2001_not_positive": "the scaling of 2001 is not positive ({scaling:.3f})",
    "scaling_not_positive": "no test: the scaling factor is not positive ({scaling:.3f})",
    # testing: steps of invariance, and whether each holds
    "configural": "configural",
    "thresholds": "thresholds",
    "metric": "metric",
    "scalar": "scalar",
    "strict": "strict",
    "holds": "holds",
    "holds_partially": "holds partially",
    "fails": "fails",
    "undecided": "undecided",
    "not_tested": "not tested: {failed}",
    "step_fails": "{step} fails",
    "step_undecided": "{step} is undecided",
    # testing: why a step holds or not
    "no_solution": "no solution: see problems",
    "step_before_must_hold": "the step before it must hold",
    "change_not_known": "the change of fit is not known",
    "level_of_fit": "{indices}",
    "level_within": "{index} {value:.3f} (within {limit:.3f})",
    "level_beyond": "{index} {value:.3f} (beyond {limit:.3f})",
    "difference_not_found": "p of the difference {p_diff:.3f} ({p_limit} or more)",
    "difference_slight": "slight: p of the difference {p_diff:.3f}, but its rmsea {rmsea_diff:.3f} "
    "(below {rmsea_diff_limit})",
    "difference_unlikely": "p of the difference {p_diff:.3f} ({p_clear_limit} to {p_limit}), cfi "
    "{delta_cfi:+.3f} (above {delta_cfi_limit})",
    "difference_likely": "p of the difference {p_diff:.3f} ({p_clear_limit} to {p_limit}), cfi "
    "{delta_cfi:+.3f} ({delta_cfi_limit} or less)",
    "difference_found": "p of the difference {p_diff:.3f} (below {p_clear_limit}), its rmsea "
    "{rmsea_diff:.3f} ({rmsea_diff_limit} or more)",
    # testing: what groups may be compared on
    "allowed_structure": "which items belong together; nothing in numbers",
    "allowed_covariances": "covariances and paths of latent variables",
    "allowed_latent_means": "latent means, covariances and paths",
    "allowed_observed_means": "observed means and scale scores, latent means, covariances and paths",
    "allowed_covariances_partial": "covariances and paths of latent variables (partial invariance: "
    "{freed} free)",
    "allowed_latent_means_partial": "latent means, covariances and paths (partial invariance: "
    "{freed} free)",
    "allowed_observed_means_partial": "observed means and scale scores, latent means, covariances "
    "and paths (partial invariance: {freed} free); scores without these items",
    "allowed_as_before": "no more than the last step that holds",
    "allowed_nothing": "nothing",
    # testing: which limits
    "limits_level": "custom: level of fit",
    "limits_difference": "custom, by simulation: difference test, its size, change of cfi",
    # testing: sentences about groups
    "groups_compared": "{model} by {group} ({sizes}), {estimator}.",
    "group_size": "{group}: n = {n}",
    "step_verdicts": "{verdicts}.",
    "step_verdict": "{step}: {verdict}",
    "may_be_compared": "Groups may be compared on: {allowed}.",
    "limits_used": "A step holds if p of the difference is {p} or more, its rmsea is below "
    "{rmsea_diff}, or p is {p_clear} or more and the change of cfi is above {delta_cfi}.",
    "no_step": "No step of its own: {step}, as {reason}.",
    "no_step_thresholds": "no item has four categories or more, so equal thresholds restrict nothing",
    "no_step_metric": "all items are binary, so thresholds, loadings and intercepts are one "
    "restriction (scalar)",
    "three_categories": "Three categories, so equal thresholds restrict nothing: {items}.",
    "two_categories": "Binary, so threshold, loading and intercept are one restriction (scalar): "
    "{items}.",
    "categories_merged": "categories of {variable} merged, as a group lacks one: {pairs}",
    "categories_merged_in": "Categories merged, as a group lacks one: {items}.",
    "report_merged": "say so, and see whether results hold without the item",
    "few_cases_per_parameter": "Only {cases:.1f} cases per parameter in the smallest group: unsteady.",
    "small_group": "The smallest group has {n} rows: below {limit}, unequal loadings may go unseen.",
    "few_anchors": "Fewer than {anchors} indicators tie the mean of {latents}: do not use it.",
    "left_out_constant": "Left out, constant in a group: {variables}.",
    "paths_differ": "Paths that differ (p < .05 after Holm): {paths}; all paths together "
    "p = {p:.3f}.",
    "no_path_differs": "Paths that differ (p < .05 after Holm): none; all paths together "
    "p = {p:.3f}.",
    "paths_need_equal_loadings": "Paths are comparable only if loadings are equal: see invariance().",
    "equal_paths_not_converged": "the model with equal paths did not converge",
    # effects: what became of the draws of a bootstrap
    "bootstrap_draws": "{draws} bootstrap draws of {units} (seed {seed}): {failed}, {improper}.",
    "bootstrap_draws_and_jackknife": "{draws} bootstrap draws of {units} (seed {seed}): {failed}, "
    "{improper}; {lost} jackknife refits, of {units}, failed.",
    "units_rows": "{n} rows",
    "units_clusters": "{n} clusters",
    "refits_failed": "{n} failed",
    "refits_left_out": "{n} failed and left out ({reasons})",
    "refits_improper": "{n} improper",
    "refits_kept": "{n} improper but kept ({reasons})",
    "refits_counted": "{n} {reason}",
    "refit_not_converged": "not converged",
    "refit_singular": "singular covariance matrix",
    "refit_negative_variance": "negative variance",
    "refit_not_positive_definite": "covariance matrix of the latent variables not positive definite",
    "refit_constant_variable": "constant variable {variable}",
    "refit_empty_category": "empty category of {variable}",
    "refit_refused": "{text}",
}


class Message(NamedTuple):
    """A message: its code and the values of its fields. ``str(message)`` is its English."""

    code: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return render(self.code, self.values)


def message(code: str, **values: Any) -> Message:
    """Return a message with these values; the English of a wrong field fails here, not later."""
    result = Message(code, values)
    render(*result)
    return result


def render(
    code: str, values: Mapping[str, Any] | None = None, templates: Mapping[str, str] | None = None
) -> str:
    """Return a message in words.

    Parameters
    ----------
    code : str
        A key of `MESSAGES`.
    values : mapping of str to object, optional
        Of its fields; others are ignored. A value may be a message (code, values) or a list, also
        as it comes back from `as_json`.
    templates : mapping of str to str, optional
        Instead of `MESSAGES`: the same codes and fields in another language.

    Returns
    -------
    str
        R: none.

    Raises
    ------
    KeyError
        No such code, or a field without a value.

    Examples
    --------
    >>> from semfit import render
    >>> render("other_rows", {"first": 300, "second": 301})
    'other rows (n = 300 and 301)'
    >>> render("not_tested", {"failed": ("step_fails", {"step": ("metric", {})})})
    'not tested: metric fails'
    """
    known = MESSAGES if templates is None else templates
    fields = {name: _shown(value, templates) for name, value in (values or {}).items()}
    return known[code].format(**fields)


def _shown(value: Any, templates: Mapping[str, str] | None) -> Any:
    """Return a value as a template takes it: messages in words, lists joined by commas."""
    if not isinstance(value, list | tuple):
        return value
    if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], Mapping):
        return render(value[0], value[1], templates)
    return ", ".join(str(_shown(one, templates)) for one in value)


def told(parts: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Return the text that messages make up: each a sentence, a space between them."""
    return " ".join(render(code, values) for code, values in parts)


def as_json(values: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> str:
    """Return values as JSON text that is the same on every machine: sorted keys, 8 digits."""
    return json.dumps(_plain(values), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it: numbers of numpy as those of Python, floats in 8 digits."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):  # numpy
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.8g}")
    return value
