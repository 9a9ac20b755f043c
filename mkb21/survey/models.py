"""A structural model as far as a wave can fit it, and what it is fitted to.

What the wave did not ask falls away, with the paths that need it; a predictor without order becomes
dummies. Whatever is changed is listed, so that a reader sees which model the numbers are of.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from pandas import DataFrame

import semfit
from mkb21.survey.analysis import Analysis, Chosen, Who, variables
from mkb21.survey.instrument import Instrument, closest

KINDS = {"=~": "indicator", "~": "path", "~~": "covariance"}  # else: "parameter"
LEFT_OUT = ["kind", "lhs", "op", "rhs", "label", "why", "because"]
EMPTY = {  # what a fit without a solution has in its tables
    "estimates": "lhs op rhs group label estimate se z p ci_low ci_high std_all std_ci_low std_ci_high",
    "defined": "name formula estimate se",
    "measures": "measure standard scaled robust",
    "r_squared": "variable group r_squared",
    "residuals": "lhs rhs observed implied residual",
    "problems": "severity code values what where next_step",
}


@dataclass(frozen=True)
class Prepared:
    """A model that can be fitted, and the respondents it is fitted to. Made by `prepare`.

    Attributes
    ----------
    whole : semfit.Model
        The model as its file has it.
    model : semfit.Model or None
        As far as it can be fitted; None where nothing is left of it.
    rows : DataFrame
        The respondents of the sample, with the columns of dummies.
    left_out : DataFrame
        kind, lhs, op, rhs, label of what is not in it; why ("unasked", "constant", "nominal") and
        because of which variables.
    hypotheses : DataFrame
        hypothesis, text (of the comments in the model file), tested.
    dummies : DataFrame
        variable, code, against, dummy (a column of rows), n: of nominal predictors.
    notes : list of (code, values)
        Sentences about it, under `absent` in words.yaml.
    ordered : list of str
        The variables that WLSMV takes as ordered.
    options : dict
        Arguments of `semfit.fit`: estimator, missing, ordered.
    """

    whole: semfit.Model
    model: semfit.Model | None
    rows: DataFrame
    left_out: DataFrame
    hypotheses: DataFrame
    dummies: DataFrame
    notes: list[tuple[str, dict[str, Any]]]
    ordered: list[str]
    options: dict[str, Any]

    def no_groups(self, group: str) -> str:
        """Why groups cannot be compared, a code; "" where they can."""
        if not group:
            return "no_group"
        return "one_group" if self.rows[group].nunique() < 2 else ""


def prepare(model: semfit.Model, plan: Chosen, rows: DataFrame, analysis: Analysis) -> Prepared:
    """Cut a model to what the wave asked and the rows tell apart, and expand nominal predictors.

    Parameters
    ----------
    rows : DataFrame
        The responses of the sample of the plan.

    Raises
    ------
    ValueError
        A name that the questionnaire does not have (with the closest); a variable without order that
        is no predictor, or one that data/analysis.yaml does not name; WLSMV without ordered items.
    """
    names = check_names(model, analysis.full)
    known = variables(analysis.questions)
    gone = {name: "unasked" for name in names if name not in known}
    gone |= {n: "constant" for n in names if n in known and rows[n].nunique() < 2}
    cut, left_out = _without(model, gone)
    notes: list[tuple[str, dict[str, Any]]] = []
    dummies = _empty_dummies()
    if cut:
        for name in _nominal(cut, analysis):
            dummies = pd.concat([dummies, dummies_of(name, rows, analysis)], ignore_index=True)
        if len(dummies):
            rows = with_dummies(rows, dummies)
            cut, lost = _expanded(cut, dummies)
            left_out = pd.concat([left_out, lost], ignore_index=True)
        notes = [*_notes(cut, model, left_out, analysis), *_notes_on_codes(dummies, analysis)]
    ordered = _ordered(cut, plan, analysis) if cut else []
    options: dict[str, Any] = {"estimator": plan.estimator, "missing": plan.missing}
    if cut and plan.estimator == "WLSMV":
        if not ordered:
            what = f"{model.name} has scores only, and WLSMV is of items with ordered answers"
            raise ValueError(f"estimator: {what}. Use MLR.")
        options["ordered"] = ordered
    hypotheses = _hypotheses(model, cut)
    return Prepared(model, cut, rows, left_out, hypotheses, dummies, notes, ordered, options)


def check_names(model: semfit.Model, full: Instrument) -> list[str]:
    """The observed variables; one that no wave asks is refused, with the closest: latents first."""
    names = [part for name in model.observed for part in name.split(":")]
    known, faults = variables(full), []
    for name in dict.fromkeys(name for name in names if name not in known):
        near = closest(name, model.latents) or closest(name, known)
        faults.append(
            f"the questionnaire has no variable {name!r}, and it has no indicators.{near}"
        )
    if faults:
        raise ValueError("\n".join(f"Model {model.name}: {fault}" for fault in faults))
    return names


# --- what falls away -----------------------------------------------------------------------------


def _parts(term: Any) -> set[str]:
    """The variables that a term is about."""
    return {term.lhs, *(term.rhs.split(":") if term.op in KINDS else [])}


def _without(model: semfit.Model, gone: Mapping[str, str]) -> tuple[semfit.Model | None, DataFrame]:
    """The model without some variables, and what went: None if no loading and no path is left.

    A latent variable goes with its last indicator, and the paths and covariances of both with them.
    """
    if not gone:
        return model, DataFrame(columns=LEFT_OUT)
    lost = {name: (why, [name]) for name, why in gone.items()}  # name -> why, because of what
    while True:
        kept = [term for term in model.terms if not _parts(term) & lost.keys()]
        measured = {term.lhs for term in kept if term.op == "=~"}
        emptied = [name for name in model.latents if name not in measured and name not in lost]
        if not emptied:
            break
        for latent in emptied:
            of = [t.rhs for t in model.terms if t.op == "=~" and t.lhs == latent]
            because = [name for item in of for name in lost[item][1]]
            lost[latent] = (lost[of[0]][0], because)
    rows = []
    for latent in (name for name in model.latents if name in lost):
        rows.append(_row("latent", latent, "", "", "", lost[latent]))
    for term in (term for term in model.terms if term not in kept):
        if term.op == "=~" and term.lhs in lost:
            continue  # said with its latent variable
        why, because = _reason(term, lost)
        label = ", ".join(term.modifier.labels())
        kind = KINDS.get(term.op, "parameter")
        rows.append(_row(kind, term.lhs, term.op, term.rhs, label, (why, because)))
    if not any(term.op in ("=~", "~") for term in kept):
        return None, DataFrame(rows, columns=LEFT_OUT)
    cut, effects = _of_terms(model, kept, lost)
    return cut, DataFrame([*rows, *effects], columns=LEFT_OUT)


def _row(
    kind: str, lhs: str, op: str, rhs: str, label: str, why: tuple[str, list[str]]
) -> list[str]:
    return [kind, lhs, op, rhs, label, why[0], ", ".join(dict.fromkeys(why[1]))]


def _reason(term: Any, lost: Mapping[str, tuple[str, list[str]]]) -> tuple[str, list[str]]:
    found = [lost[part] for part in sorted(_parts(term) & lost.keys())]
    return found[0][0], [name for _, because in found for name in because]


def _of_terms(
    model: semfit.Model, terms: list, lost: Mapping[str, tuple[str, list[str]]], why: str = ""
) -> tuple[semfit.Model, list[list[str]]]:
    """The model of some terms, and the effects and constraints that fall away with a label."""
    try:
        cut = model.with_terms(terms, model.name)
    except ValueError:  # a constraint ties what is lost to what stays
        cut = replace(model, constraints=()).with_terms(terms, model.name)
    labels = [label for t in model.terms if t not in terms for label in t.modifier.labels()]
    why = why or next(iter(lost.values()))[0]
    rows = [
        _row("effect", name, ":=", formula, "", (why, labels))
        for name, formula in model.definitions
        if (name, formula) not in cut.definitions
    ]
    texts = {one.text for one in model.constraints} - {one.text for one in cut.constraints}
    return cut, [*rows, *(_row("constraint", text, "", "", "", (why, labels)) for text in texts)]


def _notes(
    cut: semfit.Model, model: semfit.Model, left_out: DataFrame, analysis: Analysis
) -> list[tuple[str, dict[str, Any]]]:
    """What a reader must know of a model that was cut."""
    notes: list[tuple[str, dict[str, Any]]] = []
    if (left_out["kind"].isin(["latent", "path"]) & (left_out["why"] == "unasked")).any():
        notes.append(("paths_stand_for_more", {}))
    for latent in cut.latents:
        left = [t.rhs for t in cut.terms if t.op == "=~" and t.lhs == latent]
        had = sum(t.op == "=~" and t.lhs == latent for t in model.terms)
        if len(left) == 1 < had:
            notes.append(("one_indicator", {"latent": latent, "indicator": left[0]}))
    items = analysis.questions.items
    for name in (name for name in cut.observed if name in items and items[name].reverse):
        notes.append(("reversed_item", {"item": name, "turned": f"{name}_r"}))
    return notes


# --- predictors without order --------------------------------------------------------------------


def _without_order(name: str, questions: Instrument) -> bool:
    answered = name in questions.items or name in questions.derived
    return answered and questions.kind(name) == "nominal" and len(questions.codes(name)) > 2


def _nominal(model: semfit.Model, analysis: Analysis) -> list[str]:
    """The predictors without order; those that are something else or are not named are refused."""
    questions, found = analysis.questions, []
    parts = dict.fromkeys(part for name in model.observed for part in name.split(":"))
    for name in (part for part in parts if _without_order(part, questions)):
        for term in (term for term in model.terms if name in _parts(term)):
            if term.op != "~" or term.rhs != name:
                _refuse_nominal(name, questions, f"in '{term.text()}' it can only be a predictor")
        found.append(name)
    return found


def _refuse_nominal(name: str, questions: Instrument, what: str) -> None:
    many = len(questions.codes(name))
    raise ValueError(f"{name} has {many} codes without order: {what}.")


def _empty_dummies() -> DataFrame:
    return DataFrame(columns=["variable", "code", "against", "dummy", "n"])


def dummies_of(name: str, rows: DataFrame, analysis: Analysis) -> DataFrame:
    """The dummies of a variable without order: variable, code, against, dummy, n.

    Every code but the one that the others are compared with: that of `structural: nominal`, or the
    largest where nobody has that one. Those with n = 0 are no columns.

    Raises
    ------
    ValueError
        data/analysis.yaml does not name the variable.
    """
    nominal, codes = analysis.structural.nominal, analysis.questions.codes(name)
    if name not in nominal:
        what = "one slope for it says nothing. List it under structural: nominal: in "
        what += "data/analysis.yaml, with the code that the others are compared with"
        _refuse_nominal(name, analysis.questions, what)
    counts = rows[name].value_counts().reindex(codes, fill_value=0)
    against = nominal[name] if counts[nominal[name]] else int(counts.idxmax())
    return DataFrame(
        [
            {"variable": name, "code": c, "against": against, "dummy": f"{name}_{c}", "n": n}
            for c, n in counts.items()
            if c != against
        ]
    )


def with_dummies(rows: DataFrame, dummies: DataFrame) -> DataFrame:
    """The rows with a column of 0 and 1 for each dummy; NaN where there is no answer."""
    return rows.assign(
        **{
            row.dummy: (rows[row.variable] == row.code)
            .astype(float)
            .where(rows[row.variable].notna())
            for row in dummies[dummies["n"] > 0].itertuples()
        }
    )


def _expanded(model: semfit.Model, dummies: DataFrame) -> tuple[semfit.Model, DataFrame]:
    """The model with dummies in the place of predictors: h3*sector gives h3_2, h3_3 ..."""
    terms: list = []
    columns = dummies[dummies["n"] > 0]
    for term in model.terms:
        own = columns[columns["variable"] == term.rhs] if term.op == "~" else columns.head(0)
        for row in own.itertuples():
            labels = term.modifier.label or (f"{term.lhs}.{term.rhs}",)
            labels = tuple(f"{label}_{row.code}" if label else "" for label in labels)
            terms.append(
                replace(term, rhs=row.dummy, modifier=replace(term.modifier, label=labels))
            )
        terms += [] if len(own) else [term]
    cut, effects = _of_terms(model, terms, {}, "nominal")
    return cut, DataFrame(effects, columns=LEFT_OUT)


def _notes_on_codes(dummies: DataFrame, analysis: Analysis) -> list[tuple[str, dict[str, Any]]]:
    """Categories that nobody chose, and another reference than the one that was asked for."""
    notes: list[tuple[str, dict[str, Any]]] = []
    for name, rows in dummies.groupby("variable", sort=False):
        empty = [str(code) for code in rows.loc[rows["n"] == 0, "code"]]
        if empty:
            notes.append(("empty_codes", {"variable": name, "codes": ", ".join(empty)}))
        if rows["against"].iloc[0] != analysis.structural.nominal[str(name)]:
            notes.append(("other_reference", {"variable": name, "code": rows["against"].iloc[0]}))
    return notes


def joint_tests(fit: semfit.Fit, dummies: DataFrame) -> DataFrame:
    """Of each nominal predictor and outcome: are all its differences 0? lhs, rhs, chisq, df, p."""
    tests = []
    for name, rows in dummies.groupby("variable", sort=False):
        terms = [t for t in fit.model.terms if t.op == "~" and t.rhs in set(rows["dummy"])]
        for outcome in dict.fromkeys(term.lhs for term in terms):
            labels = [label for t in terms if t.lhs == outcome for label in t.modifier.labels()]
            test = semfit.wald(fit, [f"{label} == 0" for label in dict.fromkeys(labels)])
            tests.append(test.assign(lhs=outcome, op="~", rhs=name))
    columns = ["lhs", "op", "rhs", "chisq", "df", "p"]
    return pd.concat(tests, ignore_index=True)[columns] if tests else DataFrame(columns=columns)


# --- what is fitted and said ---------------------------------------------------------------------


def _ordered(model: semfit.Model, plan: Chosen, analysis: Analysis) -> list[str]:
    """The ordered variables of the model: those of the plan, or all that have answers with codes."""
    questions = analysis.questions
    answers = {*questions.items, *questions.derived}
    asked = plan.ordered or [n for n in model.observed if n in answers and questions.codes(n)]
    return [n for n in model.observed if n in asked and n not in model.covariates]


def _hypotheses(model: semfit.Model, cut: semfit.Model | None) -> DataFrame:
    """The lines `# H1: ...` of a model file, and whether a path with that label is left."""
    lines = [re.match(r"#\s*(H\d+)[.:]\s*(\S.*)", line) for line in model.text.splitlines()]
    labels = [label for term in (cut.terms if cut else ()) for label in term.modifier.labels()]
    tested = {label.upper().split("_")[0] for label in labels}
    found = [(m[1], m[2], m[1] in tested) for m in lines if m]
    return DataFrame(found, columns=["hypothesis", "text", "tested"]).astype({"tested": bool})


def hypothesis_of(labels: pd.Series) -> pd.Series:
    """The hypothesis of labels of paths: h3 and h3_2 are of H3; a label that names none is ""."""
    return labels.str.extract(r"^[hH](\d+)(?:_\w+)?$")[0].radd("H").fillna("")


def fitted(prepared: Prepared) -> tuple[semfit.Fit | None, str]:
    """The fit, and why it cannot be read: a code or what semfit says; "" where it can.

    A model that was cut to what the wave asked can be too little to be fitted: then there is no fit.

    Raises
    ------
    ValueError
        semfit refuses a model as its file has it.
    """
    if prepared.model is None:
        return None, "no_model"
    try:
        fit = semfit.fit(prepared.model, prepared.rows, **prepared.options)
    except ValueError as refusal:
        if not prepared.left_out["why"].isin(["unasked", "constant"]).any():
            raise
        return None, str(refusal)
    return fit, "no_solution" if (fit.problems["severity"] == "error").any() else ""


def solution(fit: semfit.Fit | None, why: str) -> Any:
    """The fit, or where it cannot be read something with the same tables, without rows."""
    if fit is not None and not why:
        return fit
    empty = {name: DataFrame(columns=text.split()) for name, text in EMPTY.items()}
    if fit is not None:
        empty["problems"] = fit.problems
    return SimpleNamespace(**empty, n_used=0)


# --- beside the model ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Odds:
    """A logistic regression: its table, the predictors without variance, its dummies ..."""

    table: DataFrame
    constant: tuple[str, ...]
    dummies: DataFrame
    n: int
    pseudo_r_squared: float


def odds(rows: DataFrame, who: Who, analysis: Analysis) -> Odds:
    """What decides about an outcome of 0 and 1, of complete rows.

    Table: rhs, estimate, se, z, p, ci_low, ci_high, odds_ratio, or_ci_low, or_ci_high (95 %).
    Nominal predictors are expanded, those with one value left out.

    Raises
    ------
    ValueError
        A code of words.yaml: "one_outcome", "no_predictor" or "separated" (no solution).
    """
    predictors, dummies = list[str](), _empty_dummies()
    for name in who.predictors:
        if not _without_order(name, analysis.questions):
            predictors.append(name)
            continue
        own = dummies_of(name, rows, analysis)
        predictors += [*own.loc[own["n"] > 0, "dummy"]]
        dummies = pd.concat([dummies, own], ignore_index=True)
    rows = with_dummies(rows, dummies)
    used = rows[[who.outcome, *predictors]].dropna()
    constant = tuple(name for name in predictors if used[name].nunique() < 2)
    varying = [name for name in predictors if name not in constant]
    if used[who.outcome].nunique() < 2 or not varying:
        raise ValueError("no_predictor" if len(used) and varying == [] else "one_outcome")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = smf.logit(f"{who.outcome} ~ {' + '.join(varying)}", used).fit(disp=False)
    if caught or not np.isfinite(fitted.bse).all():
        raise ValueError("separated")
    table = DataFrame({"estimate": fitted.params, "se": fitted.bse})
    table = table.assign(z=fitted.tvalues, p=fitted.pvalues)
    table[["ci_low", "ci_high"]] = fitted.conf_int()
    ratios = ["odds_ratio", "or_ci_low", "or_ci_high"]
    table[ratios] = np.exp(table[["estimate", "ci_low", "ci_high"]])
    table = table.rename_axis("rhs").reset_index()
    return Odds(table, constant, dummies, int(fitted.nobs), float(fitted.prsquared))


def regressions(paths: DataFrame, loadings: DataFrame, rows: DataFrame) -> DataFrame:
    """Each path as a regression on standardised mean scores: the paths with beta, beta_se and n.

    A latent variable is its construct `<name>_score`, or the mean of its indicators.

    Raises
    ------
    ValueError
        "few_scores": too few respondents have all of them.
    """
    indicators = {str(n): list(part["rhs"]) for n, part in loadings.groupby("lhs")}
    names = dict.fromkeys([*paths["lhs"], *paths["rhs"]])
    scores = DataFrame({name: _score(name, indicators, rows) for name in names}).dropna()
    if len(scores) < len(names) + 2 or (scores.nunique() < 2).any():
        raise ValueError("few_scores")
    scores = (scores - scores.mean()) / scores.std()
    checks = []
    for effect, part in paths.groupby("lhs", sort=False):
        causes = [*part["rhs"]]
        ols = sm.OLS(scores[effect], sm.add_constant(scores[causes])).fit()
        checks.append(
            part.assign(beta=ols.params[causes].to_numpy(), beta_se=ols.bse[causes].to_numpy())
        )
    return pd.concat(checks, ignore_index=True).assign(n=len(scores))


def _score(name: str, indicators: Mapping[str, list[str]], rows: DataFrame) -> pd.Series:
    """A column, a product of columns, or the score of a latent variable."""
    if f"{name}_score" in rows and name in indicators:
        return rows[f"{name}_score"]
    if name not in indicators:
        return rows[name.split(":")].prod(axis=1, skipna=False)
    items = DataFrame({item: _score(item, indicators, rows) for item in indicators[name]})
    return items.mean(axis=1).where(2 * items.notna().sum(axis=1) >= items.shape[1])


def columns(prepared: Prepared, plan: Chosen) -> dict[str, dict[str, Any]]:
    """What `sensitivity` compares: the model as planned, and with other choices.

    ML of complete rows; MLR with gaps, if it is not the main one; WLSMV, of items with ordered
    answers; and without careless respondents, if the wave knows which they are.
    """
    main, ordered = dict(prepared.options), prepared.ordered
    found = {f"{plan.estimator}_{plan.missing}".lower(): main}
    found.setdefault("mlr_fiml", {"estimator": "MLR", "missing": "fiml"})
    found.setdefault("ml_listwise", {"estimator": "ML", "missing": "listwise"})
    if ordered and plan.estimator != "WLSMV":
        found["wlsmv"] = {"estimator": "WLSMV", "missing": "listwise", "ordered": ordered}
    careful = {name: codes for name, codes in plan.careful.items() if name in prepared.rows}
    if careful and prepared.rows[list(careful)].notna().any(axis=None):
        query = " and ".join(f"{name} in {codes}" for name, codes in careful.items())
        found["without_careless"] = main | {"rows": query}
    return found


def sensitivity(
    prepared: Prepared, choices: Mapping[str, Mapping[str, Any]], op: str = "~"
) -> tuple[DataFrame, dict[str, str]]:
    """`semfit.sensitivity` of the choices that can be fitted, and why the others cannot.

    Raises
    ------
    ValueError
        The first choice cannot.
    """
    left, refused = dict(choices), dict[str, str]()
    assert prepared.model is not None
    while True:
        try:
            return semfit.sensitivity(prepared.model, prepared.rows, left, op), refused
        except ValueError as refusal:
            found = re.match(r"Variant '(\w+)': (.*)", str(refusal), re.DOTALL)
            if found is None or found[1] == next(iter(choices)):
                raise
            refused[found[1]] = found[2]
            del left[found[1]]


def r_code(prepared: Prepared, plan: Chosen, analysis: Analysis, wave: str) -> str:
    """The same fit in R with lavaan, from the project folder."""
    lines = ["library(lavaan)", f'responses <- read.csv("data/processed/{wave}/responses.csv")']
    for row in prepared.dummies[prepared.dummies["n"] > 0].itertuples():
        lines.append(f"responses${row.dummy} <- as.numeric(responses${row.variable} == {row.code})")
    assert prepared.model is not None
    if len(prepared.left_out) or len(prepared.dummies):
        lines.append(f"model <- '\n{prepared.model.text}\n'")
    else:
        file = plan.model if plan.model.endswith(".lav") else f"data/models/{plan.model}.lav"
        lines.append(f'model <- paste(readLines("{file}"), collapse = "\\n")')
    rows = _in_r(plan.sample, analysis)
    options = [f'estimator = "{plan.estimator}"', f'missing = "{plan.missing}"']
    if "ordered" in prepared.options:
        items = ", ".join(f'"{name}"' for name in prepared.ordered)
        options.append(f"ordered = c({items})")
    lines.append(f"fit <- sem(model, {rows}, {', '.join(options)})")
    lines.append("summary(fit, standardized = TRUE, fit.measures = TRUE)")
    return "\n".join(lines)


def _in_r(sample: str, analysis: Analysis) -> str:
    """The respondents of a sample in R: a query of pandas with and, or, not and `in`."""
    if not sample:
        return "responses"
    query = sample
    if sample in analysis.samples:
        where = analysis.samples[sample].where.items()
        one = "{0} == {1[0]}", "{0} in {1}"
        query = " and ".join(one[len(codes) > 1].format(name, codes) for name, codes in where)
    for old, new in ((r"\band\b", "&"), (r"\bor\b", "|"), (r"\bnot ", "!")):
        query = re.sub(old, new, query)
    query = re.sub(r"\bin \[(.*?)\]", r"%in% c(\1)", query)
    return f"subset(responses, {query})"
