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
    # testing: why models are not compared, and what is unusual about a test
    "no_aic_and_bic": "no aic and bic: {reason}",
    "other_variables": "other observed variables (only in one of the models: {variables}); to leave "
    "a path out but keep its variable, fix it to 0 (0*x)",
    "other_covariates": "other fixed covariates ({variables})",
    "other_groups": "other groups ({first} and {second})",
    "other_rows": "other rows (n = {first} and {second})",
    "other_ordered": "other ordered variables",
    "other_mean_structure": "one model has means and the other has not (mean_structure)",
    "other_estimators": "other estimators ({first} and {second})",
    "model_not_converged": "{model} did not converge",
    "match_not_converged": "the search for equal moments did not converge",
    "not_nested": "not nested: the larger model cannot imply the same moments",
    "equivalent_models": "equivalent models: they imply the same moments, with as many parameters",
    "restricted_fits_better": "the restricted model fits better: the larger one is not at its best "
    "solution",
    "scaling_2001_not_positive": "the scaling of 2001 is not positive ({scaling:.3f})",
    "scaling_not_positive": "no test: the scaling factor is not positive ({scaling:.3f})",
    # testing: steps of invariance, and whether each holds
    "configural": "configural",
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
    "change_of_fit": "{indices}",
    "level_within": "{index} {value:.3f} (within {limit:.3f})",
    "level_beyond": "{index} {value:.3f} (beyond {limit:.3f})",
    "change_within": "{index} {value:+.3f} (within {limit:+.3f})",
    "change_beyond": "{index} {value:+.3f} (beyond {limit:+.3f})",
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
    # testing: which limits of a change of fit
    "limits_own": "custom: level of fit",
    "limits_chen": "Chen (2007): change of fit",
    "few_rows": "{n} rows, not more than {limit}",
    "unequal_groups": "unequal groups, {ratio:.2f} to 1",
    "few_rows_and_unequal_groups": "{n} rows, not more than {limit} and unequal groups, "
    "{ratio:.2f} to 1",
    "about_equal_groups": "{n} rows, groups of about equal size ({ratio:.2f} to 1)",
    # testing: sentences about groups
    "groups_compared": "{model} by {group} ({sizes}), {estimator}.",
    "group_size": "{group}: n = {n}",
    "step_verdicts": "{verdicts}.",
    "step_verdict": "{step}: {verdict}",
    "may_be_compared": "Groups may be compared on: {allowed}.",
    "limits_used": "Cut-offs of Chen (2007) for {reason}.",
    "few_cases_per_parameter": "Only {cases:.1f} cases per parameter in the smallest group: unsteady.",
    "few_anchors": "Fewer than {anchors} indicators tie the mean of {latents}: do not use it.",
    "left_out_constant": "Left out, constant in a group: {variables}.",
    "paths_differ": "Paths that differ (p < .05 after Holm): {paths}; all paths together "
    "p = {p:.3f}.",
    "no_path_differs": "Paths that differ (p < .05 after Holm): none; all paths together "
    "p = {p:.3f}.",
    "paths_need_equal_loadings": "Paths are comparable only if loadings are equal: see invariance().",
    "equal_paths_not_converged": "the model with equal paths did not converge",
    # effects: what became of the draws of a bootstrap
    "bootstrap_draws": "{draws} bootstrap draws of {rows} rows (seed {seed}): {failed}, {improper}.",
    "bootstrap_draws_and_jackknife": "{draws} bootstrap draws of {rows} rows (seed {seed}): {failed}, "
    "{improper}; {lost} of {rows} jackknife refits failed.",
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
