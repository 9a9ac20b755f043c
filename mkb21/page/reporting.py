"""What a reader must be told of a structural model: the items of APA's JARS-Quant, filled in.

Items after Appelbaum et al. (2018), *American Psychologist* 73, table 7 (structural equation
modeling) and the general part: https://doi.org/10.1037/amp0000191. Every line is written from
results, in both languages (its words: `reporting` in words.yaml); one that cannot be filled is an
error, not an empty cell.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pandas import DataFrame

from mkb21.page.diagrams import arrows
from mkb21.page.numerals import interval, number, p_equals, percent
from mkb21.page.words import message, section, values
from mkb21.survey.files import LANGUAGES
from mkb21.survey.models import Prepared
from semfit import Fit, Invariance, reported_column

LARGE_RESIDUAL = 0.10
COUNTS = dict.fromkeys(["npar", "n", "df", "baseline_df"], 0)  # measure -> decimals, in the note
COUNTS |= dict.fromkeys(["aic", "bic", "logl", "logl_unrestricted"], 1)


@dataclass(frozen=True)
class Results:
    """What the items are filled from.

    A code in the place of a table says why there is none: "not_asked", "no_group" ... What the model
    itself lacks (latent variables, paths, effects) is told as not applicable. `labels`: language ->
    variable, or step of cleaning -> text. `flow`: step, dropped, remaining, of notebook 01. `missing_share`: of the
    values of the model's variables, of those who were asked. `reliability`: variable, coefficient
    (a code) and value, per scale or latent variable. `effects`: of `semfit.effects_table`;
    `effects_method`: how its intervals were made, as their columns begin ("bca" or "mc"), with so
    many `draws` of the bootstrap. `invariance`: the table of `semfit.invariance`; `comparison`: of
    `semfit.compare`. `respecifications`: changes of the model after seeing the data, each with
    "planned" or "not planned"; () says that there were none, None that nobody said. `limits`:
    codes, or texts of your own, or a `Text` in both languages. `notice`: language -> `Wave.notice`;
    empty for an observed wave. `origin` and `versions`: of `provenance`.
    """

    fit: Fit
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    flow: DataFrame | None = None
    missing_share: float | None = None
    reliability: Any = None
    effects: Any = None
    effects_method: str = ""
    draws: int = 0
    invariance: Any = None
    comparison: Any = None
    respecifications: tuple[str, ...] | None = None
    limits: tuple[Any, ...] = ("one_measurement",)
    notice: dict[str, str | None] = field(default_factory=dict)
    origin: dict[str, str] | None = None
    versions: dict[str, str] | None = None


def reporting_table(results: Results) -> DataFrame:
    """The items of the reporting standard, filled from results.

    Gives number, item (a code), content_nl, content_en; one row per item, in the order of an
    article. What does not apply says so, and why; items that nobody filled are a `ValueError` that
    names all of them.
    """
    rows = DataFrame({"number": range(1, len(ITEMS) + 1), "item": list(ITEMS)})
    for language in LANGUAGES:
        rows[f"content_{language}"] = [write(results, language) for write in ITEMS.values()]
    empty = rows.loc[rows["content_en"] == "", ["number", "item"]]
    if len(empty):
        named = [f"{place} {_say(item, 'en')}" for place, item in empty.to_numpy()]
        raise ValueError(
            f"These items of the reporting standard have no content: {'; '.join(named)}. "
            "Give `Results` what they are written from."
        )
    return rows


def item_names(language: str) -> list[str]:
    """The items of `reporting_table` in words."""
    return [_say(item, language) for item in ITEMS]


def problems_in_words(problems: DataFrame, language: str) -> DataFrame:
    """`Fit.problems` with what, where and next_step in words."""
    fields, many = problems["values"], len(problems)
    return problems.assign(
        what=_told(problems["code"], fields, language),
        where=_told(["problem_where"] * many, fields, language),
        next_step=_told(["problem_next_step"] * many, fields, language),
    )


def steps_in_words(steps: Invariance, language: str) -> DataFrame:
    """`Invariance.table` with step, equal, verdict, reason and allowed in words."""
    table = steps.table
    return table.assign(
        step=values(table["step"], language),
        equal=[", ".join(values(kinds.split(", "), language)) for kinds in table["equal"]],
        verdict=_told(table["verdict"], table["values"], language),
        reason=_told(table["reason_code"], table["values"], language),
        allowed=_told(table["allowed"], table["values"], language),
    )


def cut_in_words(
    prepared: Prepared, names: dict[str, str], language: str
) -> tuple[DataFrame, list[str]]:
    """What is not in a model, with a column `path` in words; and sentences about it."""
    left_out, said = prepared.left_out, section("absent", language)
    effects = left_out["lhs"].map(names).fillna(left_out["lhs"])
    path = arrows(left_out, names).fillna(effects)
    because = [
        ", ".join(names.get(name, name) for name in text.split(", "))
        for text in left_out["because"]
    ]
    notes = [
        said[code].format(**{key: names.get(str(value), value) for key, value in fields.items()})
        for code, fields in prepared.notes
    ]
    return left_out.assign(path=path, because=because), notes


def fit_in_words(measures: DataFrame, language: str) -> tuple[DataFrame, str]:
    """The measures of fit as far as srmr, with a column `label`; and counts and criteria in a note."""
    table = measures.assign(label=values(measures["measure"], language)).set_index("measure")
    counts = table.reindex(list(COUNTS)).dropna(subset=["standard"])
    note = "; ".join(
        f"{row.label}: {number(row.standard, COUNTS[str(row.Index)], language)}"
        for row in counts.itertuples()
    )
    shown = table.loc[:"srmr"] if "srmr" in table.index else table
    shown = shown.drop(index=list(COUNTS), errors="ignore")
    return shown.dropna(how="all", subset=["standard", "scaled", "robust"]), note


def _told(codes: Iterable[str], fields: Iterable[str], language: str) -> list[str]:
    """Codes in words, with the values of their fields, which are JSON texts."""
    told = zip(codes, fields, strict=True)
    return [message(code, json.loads(text), language) for code, text in told]


def notes_in_words(compared: DataFrame, language: str) -> list[str]:
    """What `semfit.compare` notes about models: "model: note; note.", for each with a note."""
    noted = compared[compared["note_code"] != ""]
    lines = []
    for row in noted.itertuples():
        parts = zip(row.note_code.split("; "), json.loads(row.note_values), strict=True)
        told = "; ".join(message(code, fields, language) for code, fields in parts)
        lines.append(f"{row.model}: {told}.")
    return lines


def _say(code: str, language: str, **fields: object) -> str:
    """The text of a code; a text that is no code stays as it is."""
    template = section("reporting", language).get(code)
    return code if template is None else template.format(**fields)


def _without(table: Any, language: str) -> str | None:
    """The reason why there is no table, "" if nobody gave one; None if there is a table."""
    if isinstance(table, str):
        return _say(table, language)
    return "" if table is None or table.empty else None


def _sample(results: Results, language: str) -> str:
    flow, fit = results.flow, results.fit
    if flow is None or flow.empty:
        return _say("no_flow", language)
    lost = flow[flow["dropped"] > 0]
    known = results.labels.get(language, {})
    steps = [known.get(step) or values([step], language)[0] for step in lost["step"]]
    reasons = zip(steps, lost["dropped"], strict=True)
    return _say(
        "sample",
        language,
        read=int(flow["remaining"].iloc[0]),
        kept=int(flow["remaining"].iloc[-1]),
        reasons=", ".join(f"{reason} {int(n)}" for reason, n in reasons) or "0",
        used=fit.n_used,
        asked=fit.n_used + fit.n_dropped,
    )


def _missing(results: Results, language: str) -> str:
    if results.missing_share is None:
        return ""
    share = percent(100 * results.missing_share, 1, language)
    return _say(results.fit.missing, language, share=share, dropped=results.fit.n_dropped)


def _estimator(results: Results, language: str) -> str:
    return f"{results.fit.estimator}: {_say(results.fit.estimator, language)}."


def _software(results: Results, language: str) -> str:
    parts = [f"{name} {version}" for name, version in (results.versions or {}).items()]
    return ", ".join(parts) + "." if parts else ""


def _identification(results: Results, language: str) -> str:
    standard = results.fit.measures.set_index("measure")["standard"]
    npar, df = int(standard["npar"]), int(standard["df"])
    code = "identification" if results.fit.model.latents else "identification_observed"
    return _say(code, language, npar=npar, df=df)


def _convergence(results: Results, language: str) -> str:
    fit, found = results.fit, problems_in_words(results.fit.problems, language)
    found = found[found["severity"] != "note"]
    problems = zip(found["what"], found["where"], strict=True)
    return _say(
        "converged" if fit.converged else "not_converged",
        language,
        steps=fit.optimizer["scoring_steps"],
        gradient=f"{fit.optimizer['gradient']:.0e}",
        problems="; ".join(f"{what}: {where}" for what, where in problems)
        or _say("none", language),
    )


def _global_fit(results: Results, language: str) -> str:
    measures = results.fit.measures.set_index("measure").to_dict("index")
    column, test = (reported_column(results.fit.measures, name) for name in ("cfi", "chisq"))
    if not column:
        return ""

    def value(name: str, which: str, decimals: int) -> str:
        return number(measures[name][which], decimals, language)

    low, high = (measures[f"rmsea_ci_{end}"][column] for end in ("low", "high"))
    return (
        f"χ² ({test}) = {value('chisq', test, 2)}, df = {value('df', test, 0)}, "
        f"{p_equals(measures['pvalue'][test], language)}; {column}: "
        f"CFI = {value('cfi', column, 3)}, TLI = {value('tli', column, 3)}, "
        f"RMSEA = {value('rmsea', column, 3)} {interval(low, high, 3, language)} (90%); "
        f"SRMR = {value('srmr', 'standard', 3)}."
    )


def _local_fit(results: Results, language: str) -> str:
    rows = results.fit.residuals
    if rows.empty or rows["residual"].isna().all():
        return _say("no_misfit", language)
    first = rows.iloc[0]
    return _say(
        "local_fit",
        language,
        large=int((rows["residual"].abs() > LARGE_RESIDUAL).sum()),
        pairs=len(rows),
        limit=number(LARGE_RESIDUAL, 2, language),
        size=number(first["residual"], 2, language),
        pair=" – ".join(_name(results, first[side], language) for side in ("lhs", "rhs")),
    )


def _name(results: Results, variable: str, language: str, group: str = "") -> str:
    name = results.labels.get(language, {}).get(variable, variable)
    return f"{name} ({group})" if group else name


def _rows(results: Results, op: str) -> DataFrame:
    table = results.fit.estimates
    return table[table["op"] == op]


def _loadings(results: Results, language: str) -> str:
    std = _rows(results, "=~")["std_all"]
    if std.empty:
        return _say("no_latents", language)
    low, high = (number(end, 2, language) for end in (std.min(), std.max()))
    return _say("loadings", language, count=len(std), low=low, high=high)


def _reliability(results: Results, language: str) -> str:
    if not results.fit.model.latents:
        return _say("no_latents", language)
    reason = _without(results.reliability, language)
    if reason is not None:
        return reason
    parts = []
    for code, rows in results.reliability.groupby("coefficient", sort=False):
        named = zip(rows["variable"], rows["value"], strict=True)
        shown = [f"{_name(results, v, language)} {number(x, 2, language)}" for v, x in named]
        parts.append(f"{_say(str(code), language)}: {', '.join(shown)}")
    return "; ".join(parts) + "."


def _paths(results: Results, language: str) -> str:
    rows = _rows(results, "~")
    if rows.empty:
        return _say("no_paths", language)
    if rows["se"].isna().all():
        return ""
    parts = [
        f"{_name(results, row.rhs, language)} → {_name(results, row.lhs, language, row.group)}: "
        f"b = {number(row.estimate, 2, language)}, β = {number(row.std_all, 2, language)} "
        f"{interval(row.std_ci_low, row.std_ci_high, 2, language)}"
        for row in rows.itertuples()
    ]
    return "; ".join(parts) + "."


def _r_squared(results: Results, language: str) -> str:
    rows = results.fit.r_squared
    rows = rows[rows["variable"].isin(_rows(results, "~")["lhs"])]
    if rows.empty:
        return _say("no_paths", language)
    parts = [
        f"{_name(results, row.variable, language, row.group)} {number(row.r_squared, 2, language)}"
        for row in rows.itertuples()
    ]
    return "; ".join(parts) + "."


def _effects(results: Results, language: str) -> str:
    if results.fit.defined.empty:
        return _say("no_defined", language)
    reason = _without(results.effects, language)
    if reason is not None or not results.effects_method:
        return reason or ""
    ends = [f"{results.effects_method}_{end}" for end in ("low", "high")]
    parts = [
        f"{name} {number(estimate, 2, language)} {interval(low, high, 2, language)}"
        for name, estimate, low, high in results.effects[["name", "estimate", *ends]].to_numpy()
    ]
    return f"{_say(results.effects_method, language, draws=results.draws)}: {'; '.join(parts)}."


def _invariance(results: Results, language: str) -> str:
    reason = _without(results.invariance, language)
    if reason is not None:
        return reason
    steps = values(results.invariance["step"], language)
    verdicts = _told(results.invariance["verdict"], results.invariance["values"], language)
    return "; ".join(f"{a}: {b}" for a, b in zip(steps, verdicts, strict=True)) + "."


def _comparison(results: Results, language: str) -> str:
    reason = _without(results.comparison, language)
    if reason is not None:
        return reason
    parts = []
    for row in results.comparison.itertuples():
        text = f"{row.model}: CFI = {number(row.cfi, 3, language)}"
        if pd.notna(row.p):
            text += f", Δχ²({number(row.df_diff, 0, language)}) = "
            text += f"{number(row.chisq_diff, 2, language)}, {p_equals(row.p, language)} "
            text += f"({_say('against', language)} {row.against})"
        parts.append(text)
    return "; ".join(parts) + "."


def _respecifications(results: Results, language: str) -> str:
    if results.respecifications is None:
        return ""
    return "; ".join(results.respecifications) or _say("as_planned", language)


def _limits(results: Results, language: str) -> str:
    own = [
        _say(limit, language) if isinstance(limit, str) else getattr(limit, language)
        for limit in results.limits
    ]
    notice = (results.notice.get(language) or "").rstrip(".")
    problems = problems_in_words(results.fit.problems, language)
    notes = problems.loc[problems["severity"] == "note", "what"]
    return "; ".join(text for text in (*own, notice, *notes) if text)


def _reproduction(results: Results, language: str) -> str:
    known = results.origin or {}
    if not all(known.get(name) for name in ("data", "seed")):
        return ""
    dirty = "-dirty" if known["commit"].endswith("-dirty") else ""
    short = {name: known[name][:12] for name in ("commit", "lock", "data")}
    short |= {"commit": short["commit"] + dirty, "seed": known["seed"]}
    none = _say("none", language)
    return _say("reproduction", language, **{name: text or none for name, text in short.items()})


ITEMS: dict[str, Callable[[Results, str], str]] = {  # code of the item -> what writes it
    "item_sample": _sample,
    "item_missing": _missing,
    "item_estimator": _estimator,
    "item_software": _software,
    "item_identification": _identification,
    "item_convergence": _convergence,
    "item_global_fit": _global_fit,
    "item_local_fit": _local_fit,
    "item_loadings": _loadings,
    "item_reliability": _reliability,
    "item_paths": _paths,
    "item_r_squared": _r_squared,
    "item_effects": _effects,
    "item_invariance": _invariance,
    "item_comparison": _comparison,
    "item_respecifications": _respecifications,
    "item_limits": _limits,
    "item_reproduction": _reproduction,
}
