"""Groups: is the same measured in each (invariance), and do latent means differ?

Comparisons across groups are allowed as far as the measurement is the same: with equal loadings,
covariances and paths; with equal intercepts too, latent means; with equal residual variances too,
observed means and scores (Meredith 1993; Vandenberg & Lance 2000).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from semfit.fitting import estimates
from semfit.fitting.diagnostics import CASES_PER_PARAMETER
from semfit.fitting.fitting import Fit, estimator_of, estimator_under, fit
from semfit.fitting.requirements import check_solution, has_solution
from semfit.messages import Message, as_json, message, told
from semfit.syntax.model import Model, as_model
from semfit.syntax.terms import Modifier, Term
from semfit.testing.compare import chisq_difference, compared_by, measure
from semfit.testing.constraints import holm, layout_with, refit, score_tests
from semfit.testing.ordered_steps import (
    items_that_count_later,
    merge_categories,
    ordered_asked,
    steps_of,
    steps_that_restrict_nothing,
    threshold_counts,
)
from semfit.testing.verdicts import HOLDS, allowed, cutoff_table, judge, rmsea_of_difference

Equalities: TypeAlias = Mapping[str, tuple[str, ...]]
Row: TypeAlias = dict[str, Any]

STEPS = {
    "configural": (),
    "metric": ("loadings",),
    "scalar": ("loadings", "intercepts"),
    "strict": ("loadings", "intercepts", "residuals"),
}
ORDERED_STEPS = {
    "configural": (),
    "thresholds": ("thresholds",),
    "metric": ("thresholds", "loadings"),
    "scalar": ("thresholds", "loadings", "intercepts"),
    "strict": ("thresholds", "loadings", "intercepts", "residuals"),
}
OPERATOR = {"loadings": "=~", "thresholds": "|", "intercepts": "~1", "residuals": "~~"}
SEEN = 250  # rows of a group from which unequal loadings seldom go unseen (docs/invariance.md)
ANCHORS = 2  # indicators with all parameters equal that a latent mean needs (Byrne et al. 1989)


@dataclass(frozen=True, eq=False)
class Invariance:
    """The steps of measurement invariance.

    Attributes
    ----------
    model : Model
        What was fitted: by default the measurement part.
    fits : dict of str to Fit
    table : DataFrame
        One row per step: step, equal, freed, npar, chisq (scaled for MLR and WLSMV), df, p, cfi,
        rmsea, srmr, fit_indices (the column of ``fit.measures`` of cfi and rmsea; srmr is standard),
        chisq_diff, df_diff, p_diff and method (against the step before it, see `compare`),
        rmsea_diff (the rmsea of that difference: sqrt(groups (chisq_diff - df_diff) / (n df_diff)), 0
        if negative), delta_cfi, delta_rmsea, delta_srmr; verdict, reason (in words), reason_code and allowed (what
        groups may be compared on) are codes of ``semfit.MESSAGES``, and `values` the fields of all
        three, as JSON text. Verdicts: holds, holds_partially, fails, undecided, not_tested.
    level : str
        The last step that holds; "" if not even the first does.
    cutoffs : DataFrame
        step, cfi, rmsea, srmr (limits of the first step), p, p_clear, rmsea_diff, delta_cfi (limits of
        later steps; NaN where a verdict does not rest on it), source (a code: limits_level,
        limits_difference).
    group_sizes : DataFrame
        group, n, parameters (of the group, in the first step), cases_per_parameter.
    latent_means : DataFrame
        See `latent_means`; empty unless scalar invariance holds, at least partially.
    means_test : DataFrame
        One row: all latent means equal, chisq_diff, df_diff, p, method; empty as `latent_means`.
    suggestions : DataFrame
        step, free (what to write in ``free=``), group, chisq, df, p, p_holm, epc: what each new
        equality costs (`score_tests`), largest first. Nothing is freed automatically.
    problems : DataFrame
        step, and the columns of ``fit.problems``, of all fits.
    message : str
        In words what holds, and what is doubtful about it.
    message_parts : tuple of (str, dict)
        The sentences of `message`, each a code of ``semfit.MESSAGES`` and the values of its fields.
    """

    model: Model
    fits: dict = field(repr=False)
    table: pd.DataFrame = field(repr=False)
    level: str
    cutoffs: pd.DataFrame = field(repr=False)
    group_sizes: pd.DataFrame = field(repr=False)
    latent_means: pd.DataFrame = field(repr=False)
    means_test: pd.DataFrame = field(repr=False)
    suggestions: pd.DataFrame = field(repr=False)
    problems: pd.DataFrame = field(repr=False)
    message: str
    message_parts: tuple[Message, ...] = field(repr=False)


# ---- parts of a model ----------------------------------------------------------------------------


def measurement_model(model: Model) -> Model:
    """Return the measurement part of a model: loadings and residual covariances of indicators.

    Regressions, covariates, effects (``:=``) and means of latent variables are left out, and latent
    variables that are not indicators themselves covary freely. Where the variance of a latent
    variable was fixed and its first loading freed (``NA*``), the first indicator sets the scale: a
    fixed variance in every group would be a restriction.

    Parameters
    ----------
    model : Model

    Returns
    -------
    Model
        R: none; it is what one would write by hand.

    Raises
    ------
    ValueError
        The model has no ``=~`` line.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; g ~ f + age")
    >>> print(semfit.measurement_model(model).text)
    f =~ x1
    f =~ x2
    f =~ x3
    g =~ x4
    g =~ x5
    g =~ x6
    """
    latents, kept = {*model.latents}, list[Term]()
    indicators = {term.rhs for term in model.terms if term.op == "=~"}
    if not latents:
        raise ValueError(
            f"{model.name} has no =~ line: it measures nothing that could be compared."
        )
    unscaled = _without_marker(model)
    for term in model.terms:
        lhs, op, rhs = term.lhs, term.op, term.rhs
        if op == "=~":
            marker = (lhs, rhs) in unscaled.items()
            kept.append(replace(term, modifier=Modifier()) if marker else term)
        elif op == "~~" and lhs not in unscaled:
            among = {lhs, rhs} <= indicators or (lhs == rhs and lhs in latents)
            kept += [term] if among else []
        elif op in ("~1", "|", "~*~") and lhs in indicators - latents:
            kept.append(term)
    return model.with_terms(kept, f"{model.name} (measurement)")


def _without_marker(model: Model) -> dict[str, str]:
    """Return latent variables that a fixed variance scales, with their first indicator."""
    loadings = [term for term in model.terms if term.op == "=~"]
    first = {term.lhs: term for term in reversed(loadings)}
    fixed = {term.lhs for term in model.terms if term.op == "~~" and term.lhs == term.rhs}
    return {name: term.rhs for name, term in first.items() if term.modifier.freed and name in fixed}


# ---- invariance ----------------------------------------------------------------------------------


def invariance(
    model: Model | str | Path,
    data: pd.DataFrame,
    group: str,
    estimator: str = "MLR",
    missing: str = "fiml",
    steps: str | Sequence[str] | None = None,
    free: str | Sequence[str] = (),
    ordered: str | Sequence[str] = (),
    measurement_only: bool = True,
    sampling_weights: str | None = None,
    cluster: str | None = None,
    parameterization: str = "theta",
    merge_categories: bool = False,
) -> Invariance:
    """Test measurement invariance across groups in steps.

    Parameters
    ----------
    model : Model, str or Path
    data : DataFrame
    group : str
    estimator, missing, ordered
        Of `fit`. With ordered variables (WLSMV): ``missing="listwise"``.
    steps : sequence of str, optional
        Of configural (no equality), metric (loadings), scalar (and intercepts), strict (and residual
        variances). With ordered variables also thresholds, before metric. Default: all that restrict
        anything.
    free : sequence of str
        Parameters that stay free in each group, for partial invariance: "visual =~ x2", "x3 ~ 1",
        "x3 | t2", "x3 ~~ x3". Each counts from the step on that would make it equal. A first
        indicator sets the scale of its latent variable: its loading is equal by definition.
    measurement_only : bool
        Fit `measurement_model` of the model; else the model with its paths.
    sampling_weights, cluster : str, optional
        Of `fit`.
    parameterization : {"theta", "delta"}
        Of ordered variables, see `fit`. Tests are the same; strict needs theta, and the unit of
        latent variables differs (not that of standardised differences).
    merge_categories : bool
        A category that a group lacks is merged with a neighbour in all groups, which `problems` and
        `message` tell. Else such data are refused.

    Returns
    -------
    Invariance
        R: ``cfa(measurement, data, group = group, group.equal = c("loadings", "intercepts"),
        group.partial = free)`` for each step, ``lavTestLRT()`` and ``lavTestScore()``; with ordered
        variables ``semTools::measEq.syntax(measurement, data, ordered, parameterization, ID.cat =
        "Wu.Estabrook.2016", group = group, group.equal = c("thresholds", "loadings"))``.

    Raises
    ------
    ValueError
        Unknown or impossible steps; a name in `free` that is no parameter; a category that a group
        lacks; and those of `fit`.

    Notes
    -----
    Ordered variables (Wu & Estabrook 2016). The response behind an item has no unit or intercept of
    its own: those of later groups are free once its thresholds are equal, and are restricted last
    (intercepts in scalar, residual variances in strict). Equal thresholds restrict nothing in items
    of up to three categories. Of a binary item threshold, loading and intercept are one restriction,
    made in scalar. `message` names the steps and items that this concerns.

    Verdict. The first step holds if cfi is at least .90, and rmsea at most .08 or srmr at most .08;
    it fails if cfi and one of the others are beyond; else the indices disagree: "undecided".

    A later step "holds" if p of the difference test is at least .05, or if what the test finds is
    slight: an rmsea of the difference below .05. Else it "fails" if p is below .01; in between cfi
    decides: "holds" if it falls by less than .010, or "undecided". cfi is robust where all steps have
    it, and scaled with ordered variables, as robust indices rest on correlations, which do not see
    thresholds.

    "undecided" allows no more than "fails". Steps after one that does not hold are fitted, but not
    judged. The rule was chosen by simulation, for ordered and numeric variables alike: see
    ``semfit/docs/invariance.md``, which has the rate of "holds" with and without differences. The
    limits of Chen (2007), which rest on changes of indices alone, held too seldom in small samples
    without differences, and too often in large ones with unequal loadings.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6")
    >>> data = semfit.example_data()
    >>> result = semfit.invariance(model, data, "group", "ML", "listwise", ["configural", "scalar"])
    >>> result.table[["step", "df", "chisq_diff", "delta_cfi", "verdict"]].round(3)
             step    df  chisq_diff  delta_cfi verdict
    0  configural  16.0         NaN        NaN   holds
    1      scalar  24.0       1.742        0.0   holds
    >>> result.level
    'scalar'
    """
    model = as_model(model)
    if measurement_only:
        model = measurement_model(model)
    free = tuple([free] if isinstance(free, str) else free)
    options: dict[str, Any] = {"estimator": estimator, "missing": missing, "group": group}
    options |= {"sampling_weights": sampling_weights, "cluster": cluster}
    options |= {"ordered": ordered, "free": free, "labels": "by_group"}
    if estimator_of(estimator).ordered:
        options |= {"parameterization": parameterization, "identification": "wu_estabrook"}
        return _of_ordered(model, data, options, steps, merge_categories)
    asked = _check_steps([*STEPS] if steps is None else steps, STEPS)
    fits = {step: fit(model, data, **options, equal=STEPS[step]) for step in asked}
    return _assembled(fits, STEPS)


def _of_ordered(
    model: Model,
    data: pd.DataFrame,
    options: dict[str, Any],
    steps: str | Sequence[str] | None,
    merge: bool,
) -> Invariance:
    """Return the invariance of ordered items: the steps depend on their categories."""
    known = {
        step: equal
        for step, equal in ORDERED_STEPS.items()
        if step != "strict" or options["parameterization"] == "theta"
    }
    asked = None if steps is None else _check_steps(steps, known)
    options["ordered"] = ordered_asked(model, data, options["ordered"])
    data, merged = merge_categories(model, data, options, merge)
    fits = {"configural": fit(model, data, **options)}
    counts = threshold_counts(fits["configural"])
    left_out = steps_that_restrict_nothing(counts, len(model.observed))
    for step in steps_of(asked, [*known], left_out):
        if step != "configural":
            fits[step] = fit(model, data, **options, equal=known[step])
    about = [message("no_step", step=(step, {}), reason=why) for step, why in left_out.items()]
    about += items_that_count_later(counts, left_out)
    about += [message("categories_merged_in", items=[*merged["where"]])] if len(merged) else []
    return _assembled(fits, known, about, merged)


def _assembled(
    fits: dict[str, Fit],
    known: Equalities,
    about: Sequence[Message] = (),
    merged: pd.DataFrame | None = None,
) -> Invariance:
    """Return the `Invariance` of the fits of all steps."""
    one, steps = fits["configural"], [*fits]
    free = one.options["free"]
    new, sizes = _new_equalities(steps, known), group_sizes(one)
    cutoffs = cutoff_table(steps)
    table = _step_table(fits, known, new, free, cutoffs)
    held = table.loc[table["verdict"].isin(HOLDS), "step"]
    means = latent_means(fits["scalar"]) if "scalar" in set(held) else pd.DataFrame()
    test = _means_test(fits["scalar"]) if len(means) else pd.DataFrame()
    level = held.iloc[-1] if len(held) else ""
    parts = _message_parts(fits, table, level, sizes, cutoffs, about)
    return Invariance(
        model=one.model,
        fits=fits,
        table=table,
        level=level,
        cutoffs=cutoffs,
        group_sizes=sizes,
        latent_means=means,
        means_test=test,
        suggestions=_suggestions(fits, new),
        problems=_problems(fits, merged),
        message=told(parts),
        message_parts=parts,
    )


def _check_steps(steps: str | Sequence[str], known: Equalities) -> list[str]:
    """Return the steps in their order; refuse others."""
    steps = [steps] if isinstance(steps, str) else list(steps)
    if "strict" in steps and "strict" not in known:
        raise ValueError(
            "Step 'strict' needs parameterization='theta': under delta residual variances are no "
            "parameters."
        )
    if "thresholds" in steps and "thresholds" not in known:
        raise ValueError("Step 'thresholds' is for ordered variables: estimator='WLSMV', ordered=.")
    unknown = [step for step in steps if step not in known]
    if unknown or "configural" not in steps:
        raise ValueError(
            f"steps={steps} must hold 'configural', and may hold {', '.join([*known][1:])}."
        )
    return [step for step in known if step in steps]


def _new_equalities(steps: Sequence[str], known: Equalities) -> dict[str, list[str]]:
    """Return the operators of what each step makes equal that the step before it does not."""
    before: set[str] = set()
    result = {}
    for step in steps:
        result[step] = [OPERATOR[kind] for kind in known[step] if kind not in before]
        before |= {*known[step]}
    return result


def group_sizes(one: Fit) -> pd.DataFrame:
    """Return group, n, parameters (of the group), cases_per_parameter of a fit."""
    table = one.layout.table
    own = table[table["parameter"] != ""].groupby("group", sort=False)["parameter"].nunique()
    n = np.array(one.group_sizes)
    parameters = own.reindex(one.groups).to_numpy()
    return pd.DataFrame({"group": one.groups, "n": n, "parameters": parameters}).assign(
        cases_per_parameter=n / parameters
    )


def _step_table(
    fits: dict[str, Fit],
    known: Equalities,
    new: Mapping[str, list[str]],
    free: Sequence[str],
    cutoffs: pd.DataFrame,
) -> pd.DataFrame:
    """Return `Invariance.table`."""
    ordered = estimator_of(fits["configural"].estimator).ordered
    compared = compared_by(fits, "scaled" if ordered else "").set_index("model")
    limits = cutoffs.set_index("step")
    rows: list[Row] = []
    failed: Message | None = None
    freed: list[str] = []
    for step, one in fits.items():
        freed += [name for name in free if _operator(name) in new[step]]
        row = _fit_columns(one, compared.loc[step])
        row |= {"step": step, "equal": ", ".join(known[step]), "freed": ", ".join(freed)}
        verdict, reason = judge(row, one, limits.loc[step], failed, _last_note(compared, step))
        row |= {"verdict": verdict, "reason": str(reason), "reason_code": reason.code}
        row["allowed"] = allowed(step, verdict, row["freed"])
        fields = {**reason.values, "freed": row["freed"]}
        row["values"] = as_json(fields | ({"failed": failed} if failed else {}))
        if verdict not in HOLDS and failed is None:
            failed = message(
                "step_fails" if verdict == "fails" else "step_undecided", step=(step, {})
            )
        rows.append(row)
    columns = """step equal freed npar chisq df p cfi rmsea srmr fit_indices chisq_diff df_diff p_diff
    method rmsea_diff delta_cfi delta_rmsea delta_srmr verdict reason reason_code allowed values""".split()
    return pd.DataFrame(rows, columns=columns)


def _fit_columns(one: Fit, own: pd.Series) -> Row:
    """Return what the table of steps says of the fit of a step, from its row of `compare`."""
    column = "scaled" if estimator_under(one.options).corrected else "standard"
    row = {name: own[name] for name in ("npar", "cfi", "rmsea", "srmr", "fit_indices")}
    row |= {"chisq": measure(one, "chisq", column), "p": measure(one, "pvalue", column)}
    row |= {name: own[name] for name in ("chisq_diff", "df_diff", "method")}
    row |= {name: own[name] for name in ("delta_cfi", "delta_rmsea", "delta_srmr")}
    row |= {"p_diff": own["p"], "df": own["df"]}
    size = rmsea_of_difference(own["chisq_diff"], own["df_diff"], one.n_used, len(one.groups))
    return row | {"rmsea_diff": size}


def _last_note(compared: pd.DataFrame, step: str) -> Message | None:
    """Return the note of `compare` about the test of a step."""
    codes, values = compared.loc[step, ["note_code", "note_values"]]
    return Message(codes.split("; ")[-1], json.loads(values)[-1]) if codes else None


def _operator(name: str) -> str:
    return next(op for op in ("=~", "~~", "|", "~1", "~") if op in name.replace(" ", ""))


def _suggestions(fits: Mapping[str, Fit], new: Mapping[str, list[str]]) -> pd.DataFrame:
    """Return what each equality that a step adds costs, by `score_tests`."""
    parts = []
    for step, ops in new.items():
        if not ops or not has_solution(fits[step]):
            continue
        tests = pd.concat([score_tests(fits[step]), _fixed_in_later_groups(fits[step])])
        tests = tests[tests["op"].isin(ops)].sort_values("p", kind="stable")
        rows = zip(tests["lhs"], tests["op"], tests["rhs"], strict=True)
        free = [Term(*row).text() for row in rows]
        parts.append(tests.assign(step=step, free=free, p_holm=holm(tests["p"])))
    columns = "step free group chisq df p p_holm epc".split()
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _fixed_in_later_groups(one: Fit) -> pd.DataFrame:
    """Return what freeing intercepts and residual variances of ordered items would do.

    They are not equal to a parameter of the first group, but fixed at its value.
    """
    if not one.layout.ordered:
        return pd.DataFrame()
    table = one.modification_indices
    table = table[table["lhs"].isin(one.layout.ordered) & (table["group"] != one.groups[0])]
    unit = (table["op"] == "~~") & (table["lhs"] == table["rhs"])
    table = table[(table["op"] == "~1") | unit]
    return table.rename(columns={"mi": "chisq"}).assign(df=1)


def _problems(fits: Mapping[str, Fit], merged: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the problems of all fits, with the step in front."""
    tables = [one.problems.assign(step=step) for step, one in fits.items()]
    table = pd.concat(tables if merged is None else [*tables, merged], ignore_index=True)
    return table[["step", *table.columns.drop("step")]]


def _message_parts(
    fits: Mapping[str, Fit],
    table: pd.DataFrame,
    level: str,
    sizes: pd.DataFrame,
    cutoffs: pd.DataFrame,
    about: Sequence[Message],
) -> tuple[Message, ...]:
    """Return what holds, and what is doubtful about it."""
    rows = table.assign(values=table["values"].map(json.loads)).set_index("step")
    verdicts = [
        message("step_verdict", step=(step, {}), verdict=(verdict, values))
        for step, verdict, values in zip(rows.index, rows["verdict"], rows["values"], strict=True)
    ]
    parts = [groups_compared(fits["configural"], sizes)]
    parts.append(message("step_verdicts", verdicts=verdicts))
    allowed = tuple(rows.loc[level, ["allowed", "values"]]) if level else ("allowed_nothing", {})
    parts.append(message("may_be_compared", allowed=allowed))
    if len(cutoffs) > 1:
        names = ["p", "p_clear", "rmsea_diff", "delta_cfi"]
        parts.append(message("limits_used", **cutoffs.loc[1, names].to_dict()))
    parts += about
    parts += few_cases(sizes)
    few = int(sizes["n"].min())
    parts += [message("small_group", n=few, limit=SEEN)] if few < SEEN and len(cutoffs) > 1 else []
    if level in ("scalar", "strict") and "scalar" in fits:
        loose = _few_anchors(fits["scalar"])
        parts += [message("few_anchors", anchors=ANCHORS, latents=loose)] if loose else []
    return tuple(parts)


def groups_compared(one: Fit, sizes: pd.DataFrame) -> Message:
    """Return the sentence that says which model and groups a message is about."""
    each = [
        message("group_size", group=group, n=int(n))
        for group, n in zip(sizes["group"], sizes["n"], strict=True)
    ]
    return message(
        "groups_compared",
        model=one.model.name,
        group=one.group,
        sizes=each,
        estimator=one.estimator,
    )


def few_cases(sizes: pd.DataFrame) -> list[Message]:
    """Return the caution about the smallest group, if there is one."""
    few = float(sizes["cases_per_parameter"].min())
    return [message("few_cases_per_parameter", cases=few)] if few < CASES_PER_PARAMETER else []


def _few_anchors(one: Fit) -> list[str]:
    """Return latent variables with too few indicators of which every parameter is equal."""
    table = one.layout.table
    used = table.groupby(["lhs", "op", "rhs"], sort=False)["parameter"].nunique()
    equal = used[used == 1].index
    loose = {lhs for lhs, op, _ in used.index.difference(equal) if op in ("~1", "|")}
    tied = [lhs for lhs, op, rhs in equal if op == "=~" and rhs not in loose]
    measured = {rhs for _, op, rhs in used.index if op == "=~"}
    return [v for v in one.model.latents if v not in measured and tied.count(v) < ANCHORS]


# ---- latent means --------------------------------------------------------------------------------


def latent_means(one: Fit) -> pd.DataFrame:
    """Return differences of latent means from the first group.

    Parameters
    ----------
    one : Fit
        With groups and equal intercepts (or thresholds): otherwise latent means are fixed at 0.

    Returns
    -------
    DataFrame
        latent, group, reference (group), difference, se, z, p, ci_low, ci_high (95 %), d, d_se,
        d_ci_low, d_ci_high: the difference over the pooled standard deviation of the latent
        variable, sqrt(sum n_g variance_g / N) (Hancock 2001). R: the ``~1`` rows of
        ``parameterEstimates(fit)``, and the delta method. No rows without groups.

    Raises
    ------
    ValueError
        The fit has no solution.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6")
    >>> data = semfit.example_data()
    >>> fit = semfit.fit(model, data, group="group", equal=["loadings", "intercepts"])
    >>> semfit.latent_means(fit)[["latent", "group", "reference", "difference", "se"]].round(3)
      latent group reference  difference     se
    0      f     b         a       0.220  0.113
    1      g     b         a       0.312  0.121
    """
    check_solution(one, "latent means")
    structures, names = one.objective.structures, one.model.latents
    weights = np.array(one.group_sizes) / one.n_used

    def moments(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        implied = [s.implied(theta) for s in structures]
        means = np.array([i.latent_mean[: len(names)] for i in implied])
        variances = np.array([np.diag(i.latent_cov)[: len(names)] for i in implied])
        return means[1:] - means[0], np.sqrt(weights @ variances)

    raw = estimates.wald(*estimates.delta_method(lambda t: moments(t)[0].ravel(), one.point))
    std = estimates.wald(
        *estimates.delta_method(lambda t: (moments(t)[0] / moments(t)[1]).ravel(), one.point)
    )
    std = std[["estimate", "se", "ci_low", "ci_high"]].set_axis(
        ["d", "d_se", "d_ci_low", "d_ci_high"], axis=1
    )
    who = [(name, group, one.groups[0]) for group in one.groups[1:] for name in names]
    table = pd.DataFrame(who, columns=["latent", "group", "reference"])
    return pd.concat([table, raw.rename(columns={"estimate": "difference"}), std], axis=1)


def _means_test(one: Fit) -> pd.DataFrame:
    """Return the chi-square difference of equal latent means."""
    layout = layout_with(one, (*one.options["equal"], "means"), one.options["free"])
    test = chisq_difference(one, refit(one, [layout])[0])
    return pd.DataFrame(
        [{"chisq_diff": test.chisq, "df_diff": test.df, "p": test.p, "method": test.method}]
    )
