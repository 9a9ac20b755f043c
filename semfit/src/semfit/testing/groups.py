"""Groups: is the same measured in each (invariance), and do latent means differ?

Comparisons across groups are allowed as far as the measurement is the same: with equal loadings,
covariances and paths; with equal intercepts too, latent means; with equal residual variances too,
observed means and scores (Meredith 1993; Vandenberg & Lance 2000).
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from semfit.fitting import estimates
from semfit.fitting.diagnostics import CASES_PER_PARAMETER
from semfit.fitting.fitting import fit
from semfit.syntax.model import Model, read_model
from semfit.testing.compare import chisq_difference, compare, measure
from semfit.testing.constraints import holm, layout_with, refit, score_tests

STEPS = {
    "configural": (),
    "metric": ("loadings",),
    "scalar": ("loadings", "intercepts"),
    "strict": ("loadings", "intercepts", "residuals"),
}
ORDERED_STEPS = {"configural": (), "scalar": ("loadings", "thresholds", "intercepts")}
OPERATOR = {"loadings": "=~", "thresholds": "|", "intercepts": "~1", "residuals": "~~"}
ALLOWED = {
    "configural": "which items belong together; nothing in numbers",
    "metric": "covariances and paths of latent variables",
    "scalar": "latent means, covariances and paths",
    "strict": "observed means and scale scores, latent means, covariances and paths",
}
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
        delta_cfi, delta_rmsea, delta_srmr, verdict ("holds", "holds partially", "fails",
        "undecided", "not tested: ..."), reason, allowed (what groups may be compared on).
    level : str
        The last step that holds; "" if not even the first does.
    cutoffs : DataFrame
        step, cfi, rmsea, srmr (limits), source, reason.
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


# ---- parts of a model ----------------------------------------------------------------------------


def measurement_model(model):
    """Return the measurement part of a model: loadings and residual covariances of indicators.

    Regressions, covariates, effects (``:=``) and means of latent variables are left out, and latent
    variables that are not indicators themselves covary freely. Where the variance of a latent
    variable was fixed and its first loading freed (``NA*``), the first indicator sets the scale: a
    fixed variance in every group would be a restriction.

    Raises
    ------
    ValueError
        The model has no ``=~`` line.
    """
    latents, kept = {*model.latents}, []
    indicators = {term["rhs"] for term in model.terms if term["op"] == "=~"}
    if not latents:
        raise ValueError(
            f"{model.name} has no =~ line: it measures nothing that could be compared."
        )
    unscaled = _without_marker(model)
    for term in model.terms:
        lhs, op, rhs = term["lhs"], term["op"], term["rhs"]
        if op == "=~":
            kept.append(term | {"modifier": None} if (lhs, rhs) in unscaled.items() else term)
        elif op == "~~" and lhs not in unscaled:
            among = {lhs, rhs} <= indicators or (lhs == rhs and lhs in latents)
            kept += [term] if among else []
        elif op in ("~1", "|") and lhs in indicators - latents:
            kept.append(term)
    return rebuilt(f"{model.name} (measurement)", kept)


def _without_marker(model):
    """Return latent variables that a fixed variance scales, with their first indicator."""
    loadings = [term for term in model.terms if term["op"] == "=~"]
    first = {term["lhs"]: term for term in reversed(loadings)}
    fixed = {
        term["lhs"] for term in model.terms if term["op"] == "~~" and term["lhs"] == term["rhs"]
    }
    return {
        name: term["rhs"]
        for name, term in first.items()
        if term["modifier"] == "NA" and name in fixed
    }


def rebuilt(name, terms, definitions=()):
    """Return the model of these terms and definitions."""
    lines = [_as_text(term) for term in terms]
    lines += [f"{label} := {formula}" for label, formula in definitions]
    return replace(read_model("\n".join(lines)), name=name)


def _as_text(term):
    modifier = term["modifier"]
    if isinstance(modifier, tuple):
        modifier = f"c({', '.join(modifier)})"
    op, rhs = ("~", "1") if term["op"] == "~1" else (term["op"], term["rhs"])
    return f"{term['lhs']} {op} {f'{modifier}*' if modifier else ''}{rhs}"


# ---- invariance ----------------------------------------------------------------------------------


def invariance(
    model,
    data,
    group,
    estimator="MLR",
    missing="fiml",
    steps=None,
    free=(),
    ordered=(),
    measurement_only=True,
):
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

    Returns
    -------
    Invariance

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

    R: ``cfa(measurement, data, group = group, group.equal = c("loadings", "intercepts"),
    group.partial = free)`` for each step, ``lavTestLRT()`` and ``lavTestScore()``.
    """
    known = ORDERED_STEPS if estimator == "WLSMV" else STEPS
    steps = _check_steps(known if steps is None else steps, known)
    if measurement_only:
        model = measurement_model(model)
    free = tuple([free] if isinstance(free, str) else free)
    options = {"estimator": estimator, "missing": missing, "group": group, "ordered": ordered}
    fits = {
        step: fit(model, data, **options, equal=known[step], free=free, labels="by_group")
        for step in steps
    }
    new = _new_equalities(steps, known)
    sizes = group_sizes(fits["configural"])
    cutoffs = cutoff_table(steps, sizes["n"].to_numpy())
    table = _step_table(fits, known, new, free, cutoffs)
    held = table.loc[table["verdict"].str.startswith("holds"), "step"]
    means = latent_means(fits["scalar"]) if "scalar" in set(held) else pd.DataFrame()
    test = _means_test(fits["scalar"]) if len(means) else pd.DataFrame()
    level = held.iloc[-1] if len(held) else ""
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
        message=_message(fits, table, level, sizes, cutoffs),
    )


def _check_steps(steps, known):
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


def _new_equalities(steps, known):
    """Return the operators of what each step makes equal that the step before it does not."""
    before, result = set(), {}
    for step in steps:
        result[step] = [OPERATOR[kind] for kind in known[step] if kind not in before]
        before |= {*known[step]}
    return result


def group_sizes(one):
    """Return group, n, parameters (of the group), cases_per_parameter of a fit."""
    table = one.layout.table
    own = table[table["parameter"] != ""].groupby("group", sort=False)["parameter"].nunique()
    n = np.array(one.group_sizes)
    parameters = own.reindex(one.groups).to_numpy()
    return pd.DataFrame({"group": one.groups, "n": n, "parameters": parameters}).assign(
        cases_per_parameter=n / parameters
    )


def cutoff_table(steps, sizes):
    """Return the limits of each step: step, cfi, rmsea, srmr, source, reason."""
    total, ratio = int(np.sum(sizes)), np.max(sizes) / np.min(sizes)
    small = [f"{total} rows, not more than {LARGE_N}"] if total <= LARGE_N else []
    if ratio > ABOUT_EQUAL:
        small.append(f"unequal groups, {ratio:.2f} to 1")
    reason = " and ".join(small) or f"{total} rows, groups of about equal size ({ratio:.2f} to 1)"
    limits = CHEN["small" if small else "large"]
    rows = [("configural", *CONFIGURAL, "custom: level of fit", "")]
    for step in steps:
        if step != "configural":
            row = limits["metric" if step == "metric" else "others"]
            rows.append((step, -row[0], *row[1:], "Chen (2007): change of fit", reason))
    return pd.DataFrame(rows, columns="step cfi rmsea srmr source reason".split())


def _step_table(fits, known, new, free, cutoffs):
    """Return `Invariance.table`."""
    compared = compare(fits).set_index("model")
    limits, rows, failed, freed = cutoffs.set_index("step"), [], "", []
    for step, one in fits.items():
        freed += [name for name in free if _operator(name) in new[step]]
        column = "standard" if one.estimator == "ML" else "scaled"
        own = compared.loc[step]
        row = {"step": step, "equal": ", ".join(known[step]), "freed": ", ".join(freed)}
        row |= {name: own[name] for name in ("npar", "cfi", "rmsea", "srmr", "fit_indices")}
        row |= {"chisq": measure(one, "chisq", column), "p": measure(one, "pvalue", column)}
        row |= {name: own[name] for name in ("chisq_diff", "df_diff", "method")}
        row |= {name: own[name] for name in ("delta_cfi", "delta_rmsea", "delta_srmr")}
        row |= {"p_diff": own["p"], "df": own["df"]}
        row["verdict"], row["reason"] = _verdict(row, one, limits.loc[step], failed, own["note"])
        if not row["verdict"].startswith("holds"):
            failed = failed or f"{step} {'fails' if row['verdict'] == 'fails' else 'is undecided'}"
        row["allowed"] = _allowed(step, row["verdict"], freed)
        rows.append(row)
    columns = """step equal freed npar chisq df p cfi rmsea srmr fit_indices chisq_diff df_diff p_diff
    method delta_cfi delta_rmsea delta_srmr verdict reason allowed""".split()
    return pd.DataFrame(rows, columns=columns)


def _operator(name):
    return next(op for op in ("=~", "~~", "|", "~1", "~") if op in name.replace(" ", ""))


def _verdict(row, one, limits, failed, note):
    """Return verdict and reason of a step; see `invariance`."""
    if not one.converged or one.test is None:
        return "fails", "no solution: see problems"
    first = row["step"] == "configural"
    values = [row[f"{'' if first else 'delta_'}{name}"] for name in ("cfi", "rmsea", "srmr")]
    if failed:
        return f"not tested: {failed}", "the step before it must hold"
    if not np.isfinite(values).all():
        return "undecided", note or "the change of fit is not known"
    far = [values[0] < limits["cfi"] if first else values[0] <= limits["cfi"]]
    for name, value in zip(("rmsea", "srmr"), values[1:], strict=True):
        far.append(value > limits[name] if first else value >= limits[name])
    style = ".3f" if first else "+.3f"
    shown = ", ".join(
        f"{name} {value:{style}} ({'beyond' if beyond else 'within'} {limits[name]:{style}})"
        for name, value, beyond in zip(("cfi", "rmsea", "srmr"), values, far, strict=True)
    )
    if not far[0] and not all(far[1:]):
        return ("holds partially" if row["freed"] else "holds"), shown
    return ("fails" if far[0] and any(far[1:]) else "undecided"), shown


def _allowed(step, verdict, freed):
    if not verdict.startswith("holds"):
        return "no more than the last step that holds"
    if not freed:
        return ALLOWED[step]
    partly = f"{ALLOWED[step]} (partial invariance: {', '.join(freed)} free)"
    return partly + ("; scores without these items" if step == "strict" else "")


def _suggestions(fits, new):
    """Return what each equality that a step adds costs, by `score_tests`."""
    parts = []
    for step, ops in new.items():
        if not ops or not fits[step].converged or fits[step].test is None:
            continue
        tests = score_tests(fits[step])
        tests = tests[tests["op"].isin(ops)].sort_values("p", kind="stable")
        free = [_as_text(row | {"modifier": ""}) for row in tests.to_dict("records")]
        parts.append(tests.assign(step=step, free=free, p_holm=holm(tests["p"])))
    columns = "step free group chisq df p p_holm epc".split()
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _problems(fits):
    """Return the problems of all fits, with the step in front."""
    tables = [one.problems.assign(step=step) for step, one in fits.items()]
    table = pd.concat(tables, ignore_index=True)
    return table[["step", *table.columns.drop("step")]]


def _message(fits, table, level, sizes, cutoffs):
    """Return in words what holds, and what is doubtful about it."""
    first = fits["configural"]
    each = ", ".join(f"{row.group}: n = {row.n}" for row in sizes.itertuples())
    verdicts = ", ".join(f"{row.step}: {row.verdict}" for row in table.itertuples())
    allowed = table.set_index("step")["allowed"].get(level, "nothing")
    text = f"{first.model.name} by {first.group} ({each}), {first.estimator}. {verdicts}. "
    text += f"Groups may be compared on: {allowed}."
    if len(cutoffs) > 1:
        text += f" Cut-offs of Chen (2007) for {cutoffs['reason'].iloc[1]}."
    few = sizes["cases_per_parameter"].min()
    if few < CASES_PER_PARAMETER:
        text += f" Only {few:.1f} cases per parameter in the smallest group: unsteady."
    loose = (
        _few_anchors(fits["scalar"]) if "scalar" in fits and level in ("scalar", "strict") else []
    )
    if loose:
        text += (
            f" Fewer than {ANCHORS} indicators tie the mean of {', '.join(loose)}: do not use it."
        )
    return text


def _few_anchors(one):
    """Return latent variables with too few indicators of which every parameter is equal."""
    table = one.layout.table
    used = table.groupby(["lhs", "op", "rhs"], sort=False)["parameter"].nunique()
    equal = used[used == 1].index
    loose = {lhs for lhs, op, _ in used.index.difference(equal) if op in ("~1", "|")}
    tied = [lhs for lhs, op, rhs in equal if op == "=~" and rhs not in loose]
    measured = {rhs for _, op, rhs in used.index if op == "=~"}
    return [v for v in one.model.latents if v not in measured and tied.count(v) < ANCHORS]


# ---- latent means --------------------------------------------------------------------------------


def latent_means(one):
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
        ``parameterEstimates()``, and the delta method.
    """
    structures, names = one.objective.structures, one.model.latents
    weights = np.array(one.group_sizes) / one.n_used

    def moments(theta):
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


def _means_test(one):
    """Return the chi-square difference of equal latent means."""
    layout = layout_with(one, (*one.options["equal"], "means"), one.options["free"])
    return _test_row(one, refit(one, [layout])[0])


def _test_row(large, small):
    test = chisq_difference(large, small)
    return pd.DataFrame(
        [{"chisq_diff": test.chisq, "df_diff": test.df, "p": test.p, "method": test.method}]
    )
