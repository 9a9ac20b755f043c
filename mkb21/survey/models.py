"""A structural model as far as a wave can fit it, and what it is fitted to.

What the wave did not ask falls away, with the paths that need it; a predictor without order becomes
dummies. Whatever is changed is listed, so that a reader sees which model the numbers are of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pandas as pd
from pandas import DataFrame

import semfit
from mkb21.survey.analysis import Analysis, Chosen, variables
from mkb21.survey.instrument import Instrument
from mkb21.survey.yaml_files import closest

KINDS = {"=~": "indicator", "~": "path", "~~": "covariance"}  # else: "parameter"
LEFT_OUT = ["kind", "lhs", "op", "rhs", "label", "why", "because"]
DUMMIES = ["variable", "code", "against", "dummy", "n"]
EMPTY = {  # the tables of a fit that cannot be read
    "estimates": "lhs op rhs group label estimate se z p ci_low ci_high std_all std_ci_low std_ci_high",
    "defined": "name formula estimate se",
    "measures": "measure standard scaled robust",
    "r_squared": "variable group r_squared",
    "residuals": "lhs rhs observed implied residual",
    "problems": "severity code values what where next_step",
}
Notes = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Prepared:
    """A model that can be fitted, and the respondents it is fitted to. Made by `prepare`.

    Attributes
    ----------
    whole, model : semfit.Model
        The model as its file has it, and as far as it can be fitted: None where nothing is left.
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
    notes: Notes
    ordered: list[str]
    options: dict[str, Any]

    @property
    def lost(self) -> set[str]:
        """The variables that are not in it."""
        computed = self.left_out["kind"].isin(["effect", "constraint"])  # because of labels
        texts = self.left_out.loc[~computed, "because"]
        return {name for text in texts for name in text.split(", ")}

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
    known, questions = variables(analysis.questions), analysis.questions
    gone = {n: "constant" for n in names if n in known and rows[n].nunique() < 2}
    gone |= {n: "unasked" for n in names if n not in known}
    cut: semfit.Model | None = model
    try:
        cut = model.without(gone) if gone else model
    except ValueError:
        cut = None
    left_out = _left_out(model, cut, gone)
    nominal = [n for n in names if n not in gone and _without_order(n, analysis)] if cut else []
    dummies = pd.concat(
        [DataFrame(columns=DUMMIES), *(dummies_of(n, rows, analysis) for n in nominal)]
    )
    for name, own in dummies[dummies["n"] > 0].groupby("variable", sort=False):
        assert cut is not None
        wide = cut.with_predictors(str(name), dict(zip(own["code"].map(str), own["dummy"])))
        effects = _lost_formulas(cut, wide, "nominal", [str(name)])
        left_out, cut = pd.concat([left_out, effects], ignore_index=True), wide
    options: dict[str, Any] = {"estimator": plan.estimator, "missing": plan.missing}
    asked = plan.ordered or [n for n in known if _answered(n, analysis) and questions.codes(n)]
    ordered = [n for n in cut.observed if n in asked and n not in cut.covariates] if cut else []
    if cut and plan.estimator == "WLSMV":
        if not ordered:
            what = f"{model.name} has scores only, and WLSMV is of items with ordered answers"
            raise ValueError(f"estimator: {what}. Use MLR.")
        options["ordered"] = ordered
    notes = _notes(model, cut, left_out, dummies, analysis) if cut else []
    rows, hypotheses = with_dummies(rows, dummies), _hypotheses(model, cut)
    return Prepared(model, cut, rows, left_out, hypotheses, dummies, notes, ordered, options)


def check_names(model: semfit.Model, full: Instrument) -> list[str]:
    """The observed variables of a model; those that no wave asks are refused, with the closest."""
    known, faults = variables(full), []
    names = list(dict.fromkeys(part for name in model.observed for part in name.split(":")))
    for name in names:
        if name not in known:
            near = closest(name, model.latents) or closest(name, known)
            faults.append(f"the questionnaire has no {name!r}, and it has no indicators.{near}")
        elif name in full.items and full.kind(name) == "open":
            faults.append(f"{name} is an open question: it has no answers to model")
    if faults:
        raise ValueError("\n".join(f"Model {model.name}: {fault}" for fault in faults))
    return names


def _answered(name: str, analysis: Analysis) -> bool:
    return name in analysis.questions.items or name in analysis.questions.derived


# --- what falls away -----------------------------------------------------------------------------


def _left_out(model: semfit.Model, cut: semfit.Model | None, gone: dict[str, str]) -> DataFrame:
    """What a model lost with some variables: latent variables, terms, effects, constraints."""
    kept, why, rows = (cut.terms if cut else ()), dict(gone), []
    for latent in (name for name in model.latents if not cut or name not in cut.latents):
        items = [t.rhs for t in model.terms if t.op == "=~" and t.lhs == latent and t.rhs in why]
        why[latent] = why[items[0]]
        rows.append(["latent", latent, "", "", "", why[latent], ", ".join(items)])
    for term in (term for term in model.terms if term not in kept):
        if term.op == "=~" and term.lhs in why:
            continue  # said with its latent variable
        lost = [name for name in (term.lhs, *term.rhs.split(":")) if name in why]
        label, kind = ", ".join(term.modifier.labels()), KINDS.get(term.op, "parameter")
        rows.append([kind, term.lhs, term.op, term.rhs, label, why[lost[0]], ", ".join(lost)])
    table = DataFrame(rows, columns=LEFT_OUT)
    if not rows or cut is None:
        return table
    labels = [label for label in table["label"] if label]
    effects = _lost_formulas(model, cut, next(iter(gone.values())), labels)
    return pd.concat([table, effects], ignore_index=True)


def _lost_formulas(
    model: semfit.Model, cut: semfit.Model, why: str, because: list[str]
) -> DataFrame:
    """The effects and constraints that one model has and the other does not."""
    said = why, ", ".join(because)
    lost = [one for one in model.definitions if one not in cut.definitions]
    rows = [["effect", name, ":=", formula, "", *said] for name, formula in lost]
    texts = [one.text for one in model.constraints if one not in cut.constraints]
    rows += [["constraint", text, "", "", "", *said] for text in texts]
    return DataFrame(rows, columns=LEFT_OUT)


def _notes(
    model: semfit.Model,
    cut: semfit.Model,
    left_out: DataFrame,
    dummies: DataFrame,
    analysis: Analysis,
) -> Notes:
    """What a reader must know of a model that is not as its file has it."""
    notes: Notes = []
    if (left_out["kind"].isin(["latent", "path"]) & (left_out["why"] == "unasked")).any():
        notes.append(("paths_stand_for_more", {}))
    for latent in cut.latents:
        had, left = (
            [t.rhs for t in m.terms if t.op == "=~" and t.lhs == latent] for m in (model, cut)
        )
        if len(left) == 1 < len(had):
            notes.append(("one_indicator", {"latent": latent, "indicator": left[0]}))
    items = analysis.questions.items
    for name in (name for name in cut.observed if name in items and items[name].reverse):
        notes.append(("reversed_item", {"item": name, "turned": f"{name}_r"}))
    for name, rows in dummies.groupby("variable", sort=False):
        against, empty = rows["against"].iloc[0], rows.loc[rows["n"] == 0, "code"].map(str)
        if len(empty):
            notes.append(("empty_codes", {"variable": name, "codes": ", ".join(empty)}))
        if against != analysis.structural.nominal[str(name)]:
            notes.append(("other_reference", {"variable": name, "code": against}))
    return notes


def _hypotheses(model: semfit.Model, cut: semfit.Model | None) -> DataFrame:
    """The lines `# H1: ...` of a model file, and whether a path with that label is left."""
    lines = [re.match(r"#\s*(H\d+)[.:]\s*(\S.*)", line) for line in model.text.splitlines()]
    labels = [label for term in (cut.terms if cut else ()) for label in term.modifier.labels()]
    tested = {*hypothesis_of(pd.Series(labels, dtype=str))}
    found = [(m[1], m[2], m[1] in tested) for m in lines if m]
    return DataFrame(found, columns=["hypothesis", "text", "tested"]).astype({"tested": bool})


def hypothesis_of(labels: pd.Series) -> pd.Series:
    """The hypothesis of labels of paths: h3 and h3_2 are of H3; a label that names none is ""."""
    return labels.str.extract(r"^[hH](\d+)(?:_\w+)?$")[0].radd("H").fillna("")


# --- predictors without order --------------------------------------------------------------------


def _without_order(name: str, analysis: Analysis) -> bool:
    questions = analysis.questions
    nominal = _answered(name, analysis) and questions.kind(name) == "nominal"
    return nominal and len(questions.codes(name)) > 2


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
        what = (
            f"{name} has {len(codes)} codes without order: one slope for it says nothing. List it"
        )
        where = "under structural: nominal: in data/analysis.yaml"
        raise ValueError(f"{what} {where}, with the code that the others are compared with.")
    counts = rows[name].value_counts().reindex(codes, fill_value=0)
    against = nominal[name] if counts[nominal[name]] else int(counts.idxmax())
    found = [(name, c, against, f"{name}_{c}", n) for c, n in counts.items() if c != against]
    return DataFrame(found, columns=DUMMIES)


def with_dummies(rows: DataFrame, dummies: DataFrame) -> DataFrame:
    """The rows with a column of 0 and 1 for each dummy; NaN where there is no answer."""
    made = {}
    for row in dummies[dummies["n"] > 0].itertuples():
        answers = rows[row.variable]
        made[row.dummy] = (answers == row.code).astype(float).where(answers.notna())
    return rows.assign(**made)


def joint_tests(fit: semfit.Fit, dummies: DataFrame) -> DataFrame:
    """Of each nominal predictor and outcome: are all its differences 0? lhs, op, rhs, chisq, df, p."""
    tests = []
    for name, rows in dummies.groupby("variable", sort=False):
        terms = [t for t in fit.model.terms if t.op == "~" and t.rhs in set(rows["dummy"])]
        for outcome in dict.fromkeys(term.lhs for term in terms):
            labels = [label for t in terms if t.lhs == outcome for label in t.modifier.labels()]
            test = semfit.wald(fit, [f"{label} == 0" for label in dict.fromkeys(labels)])
            tests.append(test.assign(lhs=outcome, op="~", rhs=name))
    return pd.concat(tests, ignore_index=True)[["lhs", "op", "rhs", "chisq", "df", "p"]]


# --- the fit, and other ways to it ---------------------------------------------------------------


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
    return SimpleNamespace(**empty)


def columns(prepared: Prepared, plan: Chosen) -> dict[str, dict[str, Any]]:
    """What `semfit.sensitivity` compares: the model as planned, and with other choices.

    ML of complete rows; MLR with gaps, if it is not the main one; WLSMV, of items with ordered
    answers; and without careless respondents, if the wave knows which they are.
    """
    main, ordered = prepared.options, prepared.ordered
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


def r_code(prepared: Prepared, plan: Chosen, analysis: Analysis, wave: str) -> str:
    """The same fit in R with lavaan, from the project folder."""
    file = plan.model if plan.model.endswith(".lav") else f"data/models/{plan.model}.lav"
    text = f'paste(readLines("{file}"), collapse = "\\n")'
    if prepared.model and (len(prepared.left_out) or len(prepared.dummies)):
        text = f"'\n{prepared.model.text}\n'"
    query = plan.sample
    if query in analysis.samples:
        where = analysis.samples[query].where.items()
        query = " and ".join(f"{v} == {c[0]}" if len(c) == 1 else f"{v} in {c}" for v, c in where)
    turned = {r"\band\b": "&", r"\bor\b": "|", r"\bnot ": "!", r"\bin \[(.*?)\]": r"%in% c(\1)"}
    for old, new in turned.items():
        query = re.sub(old, new, query)
    rows = f"subset(responses, {query})" if query else "responses"
    options = [f'{name} = "{prepared.options[name]}"' for name in ("estimator", "missing")]
    if "ordered" in prepared.options:
        items = ", ".join(f'"{name}"' for name in prepared.ordered)
        options.append(f"ordered = c({items})")
    made = [
        f"responses${row.dummy} <- as.numeric(responses${row.variable} == {row.code})"
        for row in prepared.dummies[prepared.dummies["n"] > 0].itertuples()
    ]
    lines = ["library(lavaan)", f'responses <- read.csv("data/processed/{wave}/responses.csv")']
    lines += [*made, f"model <- {text}", f"fit <- sem(model, {rows}, {', '.join(options)})"]
    return "\n".join([*lines, "summary(fit, standardized = TRUE, fit.measures = TRUE)"])
