"""Groups: is the same measured in each (invariance), and do latent means differ?

Comparisons across groups are allowed as far as the measurement is the same: with equal loadings,
covariances and paths; with equal intercepts too, latent means; with equal residual variances too,
observed means and scores (Meredith 1993; Vandenberg & Lance 2000).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from semfit.fitting import estimates
from semfit.fitting.diagnostics import CASES_PER_PARAMETER
from semfit.fitting.fitting import Fit, estimator_of, estimator_under, fit
from semfit.messages import Message, as_json, message, told
from semfit.syntax.model import Model
from semfit.syntax.terms import Modifier, Term
from semfit.testing.compare import chisq_difference, compare, measure
from semfit.testing.constraints import holm, layout_with, refit, score_tests

Equalities: TypeAlias = Mapping[str, tuple[str, ...]]
Row: TypeAlias = dict[str, Any]

STEPS = {
    "configural": (),
    "metric": ("loadings",),
    "scalar": ("loadings", "intercepts"),
    "strict": ("loadings", "intercepts", "residuals"),
}
ORDERED_STEPS = {"configural": (), "scalar": ("loadings", "thresholds", "intercepts")}
OPERATOR = {"loadings": "=~", "thresholds": "|", "intercepts": "~1", "residuals": "~~"}
ALLOWED = {
    "configural": "allowed_structure",
    "metric": "allowed_covariances",
    "scalar": "allowed_latent_means",
    "strict": "allowed_observed_means",
}
HOLDS = ("holds", "holds_partially")
# Chen (2007, p. 501): non-invariance if CFI falls by so much or more, supplemented by a rise of RMSEA
# or of SRMR of so much or more
CHEN = {
    "large": {"metric": (0.010, 0.015, 0.030), "others": (0.010, 0.015, 0.010)},
    "small": {"metric": (0.005, 0.010, 0.025), "others": (0.005, 0.010, 0.005)},
}
LARGE_N = 300  # rows in all (Chen 2007): the strict cut-offs up to here
ABOUT_EQUAL = 1.5  # largest over smallest group; Chen gives no number, this one is ours
CONFIGURAL = (0.90, 0.08, 0.08)  # cfi, rmsea (Browne & Cudeck 1993), srmr (Hu & Bentler 1999)
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
        delta_cfi, delta_rmsea, delta_srmr; verdict, reason (in words), reason_code and allowed (what
        groups may be compared on) are codes of ``semfit.MESSAGES``, and `values` the fields of all
        three, as JSON text. Verdicts: holds, holds_partially, fails, undecided, not_tested.
    level : str
        The last step that holds; "" if not even the first does.
    cutoffs : DataFrame
        step, cfi, rmsea, srmr (limits), source (a code: limits_own, limits_chen), reason (why these;
        in words), reason_code, values (its fields, as JSON text).
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
    model: Model,
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
) -> Invariance:
    """Test measurement invariance across groups in steps.

    Parameters
    ----------
    model : Model
    data : DataFrame
    group : str
    estimator, missing, ordered
        Of `fit`. With ordered variables (WLSMV): ``missing="listwise"``.
    steps : sequence of str, optional
        Of configural (no equality), metric (loadings), scalar (and intercepts), strict (and residual
        variances). Default: all. With WLSMV: configural and scalar, which makes loadings and
        thresholds equal at once: of an ordered variable only thresholds and the scale of its
        response together are identified, and loadings follow that scale (Millsap & Yun-Tein 2004).
    free : sequence of str
        Parameters that stay free in each group, for partial invariance: "visual =~ x2", "x3 ~ 1",
        "x3 ~~ x3". Each counts from the step on that would make it equal. A first indicator sets
        the scale of its latent variable: its loading is equal by definition.
    measurement_only : bool
        Fit `measurement_model` of the model; else the model with its paths.
    sampling_weights, cluster : str, optional
        Of `fit`.

    Returns
    -------
    Invariance
        R: ``cfa(measurement, data, group = group, group.equal = c("loadings", "intercepts"),
        group.partial = free)`` for each step, ``lavTestLRT()`` and ``lavTestScore()``.

    Raises
    ------
    ValueError
        Unknown or impossible steps; a name in `free` that is no parameter; and those of `fit`.

    Notes
    -----
    Verdict. The first step holds if cfi is at least .90, and rmsea at most .08 or srmr at most .08.
    Of later steps, Chen (2007, p. 501) calls a fall of cfi by the limit (or more) non-invariance if
    rmsea or srmr rises by its limit too: "fails". "holds": cfi is within its limit, and rmsea or
    srmr too. Else the indices disagree: "undecided", which allows no more than "fails". Limits for
    more than 300 rows in groups of about equal size (largest over smallest at most 1.5): .010,
    .015, .030 (metric) or .010 (scalar, strict). Otherwise .005, .010, .025 or .005. Chen's
    simulations were of ordinary maximum likelihood with two groups; for MLR the limits are put to
    the robust indices. Steps after one that does not hold are fitted, but not judged.

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
    known = ORDERED_STEPS if estimator_of(estimator).ordered else STEPS
    steps = _check_steps([*known] if steps is None else steps, known)
    if measurement_only:
        model = measurement_model(model)
    free = tuple([free] if isinstance(free, str) else free)
    options: dict[str, Any] = {"estimator": estimator, "missing": missing, "group": group}
    options |= {"ordered": ordered, "sampling_weights": sampling_weights, "cluster": cluster}
    fits = {
        step: fit(model, data, **options, equal=known[step], free=free, labels="by_group")
        for step in steps
    }
    new = _new_equalities(steps, known)
    sizes = group_sizes(fits["configural"])
    cutoffs = cutoff_table(steps, sizes["n"].to_numpy())
    table = _step_table(fits, known, new, free, cutoffs)
    held = table.loc[table["verdict"].isin(HOLDS), "step"]
    means = latent_means(fits["scalar"]) if "scalar" in set(held) else pd.DataFrame()
    test = _means_test(fits["scalar"]) if len(means) else pd.DataFrame()
    level = held.iloc[-1] if len(held) else ""
    parts = _message_parts(fits, table, level, sizes, cutoffs)
    return Invariance(
        model=model,
        fits=fits,
        table=table,
        level=level,
        cutoffs=cutoffs,
        group_sizes=sizes,
        latent_means=means,
        means_test=test,
        suggestions=_suggestions(fits, new),
        problems=_problems(fits),
        message=told(parts),
        message_parts=parts,
    )


def _check_steps(steps: str | Sequence[str], known: Equalities) -> list[str]:
    """Return the steps in their order; refuse others."""
    steps = [steps] if isinstance(steps, str) else list(steps)
    unknown = [step for step in steps if step not in STEPS]
    if unknown or "configural" not in steps:
        raise ValueError(
            f"steps={steps} must hold 'configural', and may hold {', '.join([*STEPS][1:])}."
        )
    reasons = {
        "metric": "loadings cannot be told from the scales of the responses without equal "
        "thresholds; 'scalar' makes both equal",
        "strict": "residual variances of ordered variables are no parameters here (that needs the "
        "theta parameterization)",
    }
    for step in steps:
        if step not in known:
            raise ValueError(f"Step {step!r} does not exist for WLSMV: {reasons[step]}.")
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


def cutoff_table(steps: Sequence[str], sizes: np.ndarray) -> pd.DataFrame:
    """Return the limits of each step, `Invariance.cutoffs`."""
    small, reason = _which_limits(int(np.sum(sizes)), float(np.max(sizes) / np.min(sizes)))
    limits = CHEN["small" if small else "large"]
    told_why = (str(reason), reason.code, as_json(reason.values))
    rows: list[tuple] = [("configural", *CONFIGURAL, "limits_own", "", "", "")]
    for step in steps:
        if step != "configural":
            cfi, *others = limits["metric" if step == "metric" else "others"]
            rows.append((step, -cfi, *others, "limits_chen", *told_why))
    columns = "step cfi rmsea srmr source reason reason_code values".split()
    return pd.DataFrame(rows, columns=columns)


def _which_limits(total: int, ratio: float) -> tuple[bool, Message]:
    """Tell whether Chen's limits for small or unequal groups apply, and why."""
    few, unequal = total <= LARGE_N, ratio > ABOUT_EQUAL
    if few and unequal:
        return True, message("few_rows_and_unequal_groups", n=total, limit=LARGE_N, ratio=ratio)
    if few:
        return True, message("few_rows", n=total, limit=LARGE_N)
    if unequal:
        return True, message("unequal_groups", ratio=ratio)
    return False, message("about_equal_groups", n=total, ratio=ratio)


def _step_table(
    fits: dict[str, Fit],
    known: Equalities,
    new: Mapping[str, list[str]],
    free: Sequence[str],
    cutoffs: pd.DataFrame,
) -> pd.DataFrame:
    """Return `Invariance.table`."""
    compared, limits = compare(fits).set_index("model"), cutoffs.set_index("step")
    rows: list[Row] = []
    failed: Message | None = None
    freed: list[str] = []
    for step, one in fits.items():
        freed += [name for name in free if _operator(name) in new[step]]
        row = _fit_columns(one, compared.loc[step])
        row |= {"step": step, "equal": ", ".join(known[step]), "freed": ", ".join(freed)}
        verdict, reason = _verdict(row, one, limits.loc[step], failed, _last_note(compared, step))
        row |= {"verdict": verdict, "reason": str(reason), "reason_code": reason.code}
        row["allowed"] = _allowed(step, verdict, row["freed"])
        fields = {**reason.values, "freed": row["freed"]}
        row["values"] = as_json(fields | ({"failed": failed} if failed else {}))
        if verdict not in HOLDS and failed is None:
            failed = message(
                "step_fails" if verdict == "fails" else "step_undecided", step=(step, {})
            )
        rows.append(row)
    columns = """step equal freed npar chisq df p cfi rmsea srmr fit_indices chisq_diff df_diff p_diff
    method delta_cfi delta_rmsea delta_srmr verdict reason reason_code allowed values""".split()
    return pd.DataFrame(rows, columns=columns)


def _fit_columns(one: Fit, own: pd.Series) -> Row:
    """Return what the table of steps says of the fit of a step, from its row of `compare`."""
    column = "scaled" if estimator_under(one.options).corrected else "standard"
    row = {name: own[name] for name in ("npar", "cfi", "rmsea", "srmr", "fit_indices")}
    row |= {"chisq": measure(one, "chisq", column), "p": measure(one, "pvalue", column)}
    row |= {name: own[name] for name in ("chisq_diff", "df_diff", "method")}
    row |= {name: own[name] for name in ("delta_cfi", "delta_rmsea", "delta_srmr")}
    return row | {"p_diff": own["p"], "df": own["df"]}


def _last_note(compared: pd.DataFrame, step: str) -> Message | None:
    """Return the note of `compare` about the test of a step."""
    codes, values = compared.loc[step, ["note_code", "note_values"]]
    return Message(codes.split("; ")[-1], json.loads(values)[-1]) if codes else None


def _operator(name: str) -> str:
    return next(op for op in ("=~", "~~", "|", "~1", "~") if op in name.replace(" ", ""))


def _verdict(
    row: Row, one: Fit, limits: pd.Series, failed: Message | None, note: Message | None
) -> tuple[str, Message]:
    """Return verdict and reason of a step; see `invariance`."""
    if not one.converged or one.test is None:
        return "fails", message("no_solution")
    first = row["step"] == "configural"
    values = {name: row[f"{'' if first else 'delta_'}{name}"] for name in ("cfi", "rmsea", "srmr")}
    if failed:
        return "not_tested", message("step_before_must_hold")
    if not np.isfinite(list(values.values())).all():
        return "undecided", note or message("change_not_known")
    far = {name: _beyond(name, value, limits[name], first) for name, value in values.items()}
    kind = "level" if first else "change"
    indices = [
        message(
            f"{kind}_{'beyond' if far[name] else 'within'}",
            index=name,
            value=value,
            limit=limits[name],
        )
        for name, value in values.items()
    ]
    shown = message(f"{kind}_of_fit", indices=indices)
    if not far["cfi"] and not (far["rmsea"] and far["srmr"]):
        return ("holds_partially" if row["freed"] else "holds"), shown
    return ("fails" if far["cfi"] and (far["rmsea"] or far["srmr"]) else "undecided"), shown


def _beyond(name: str, value: float, limit: float, first: bool) -> bool:
    """Tell whether an index is beyond its limit: a level past it, a change at it or past it."""
    if name == "cfi":
        return bool(value < limit if first else value <= limit)
    return bool(value > limit if first else value >= limit)


def _allowed(step: str, verdict: str, freed: str) -> str:
    """Return the code of what groups may be compared on."""
    if verdict not in HOLDS:
        return "allowed_as_before"
    return f"{ALLOWED[step]}_partial" if freed else ALLOWED[step]


def _suggestions(fits: Mapping[str, Fit], new: Mapping[str, list[str]]) -> pd.DataFrame:
    """Return what each equality that a step adds costs, by `score_tests`."""
    parts = []
    for step, ops in new.items():
        if not ops or not fits[step].converged or fits[step].test is None:
            continue
        tests = score_tests(fits[step])
        tests = tests[tests["op"].isin(ops)].sort_values("p", kind="stable")
        rows = zip(tests["lhs"], tests["op"], tests["rhs"], strict=True)
        free = [Term(*row).text() for row in rows]
        parts.append(tests.assign(step=step, free=free, p_holm=holm(tests["p"])))
    columns = "step free group chisq df p p_holm epc".split()
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _problems(fits: Mapping[str, Fit]) -> pd.DataFrame:
    """Return the problems of all fits, with the step in front."""
    tables = [one.problems.assign(step=step) for step, one in fits.items()]
    table = pd.concat(tables, ignore_index=True)
    return table[["step", *table.columns.drop("step")]]


def _message_parts(
    fits: Mapping[str, Fit],
    table: pd.DataFrame,
    level: str,
    sizes: pd.DataFrame,
    cutoffs: pd.DataFrame,
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
        why, values = cutoffs.loc[1, ["reason_code", "values"]]
        parts.append(message("limits_used", reason=(why, json.loads(values))))
    parts += few_cases(sizes)
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
