"""Cleaning: the rules of a wave turn a raw export into responses, with a ledger of what they did.

Rules on cases drop a whole respondent; rules on cells change one answer. Each leaves a row in the
ledger, with one exception: a blank that routing explains becomes not_asked without one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame, Index, Series

from mkb21.survey.files import LANGUAGES, Folders, write_whole
from mkb21.survey.ingest import RawExport
from mkb21.survey.instrument import (
    FLAGS,
    MISSING_REASONS,
    RESERVED,
    Derived,
    Instrument,
    TestEntries,
    Wave,
    ends,
)

Edited = tuple[DataFrame, DataFrame, DataFrame]  # values, missing, rows for the ledger
LEDGER = ["rule", "scope", "respondent_id", "variable", "before", "after"]
MANY_SLIPS = 0.05
RESPONSES = "responses.parquet"
MISSING = "missing_reasons.parquet"


@dataclass(frozen=True)
class Cleaned:
    """What cleaning hands on; no personal data in it.

    Attributes
    ----------
    responses : DataFrame
        One row per kept respondent in the order of the export: respondent_id, started, finished,
        duration_minutes, the items, derived variables and scores (float64, NaN where missing),
        flag_fast, longstring, flag_careless.
    missing : DataFrame
        respondent_id and, per item, why there is no answer: "" (there is one), "not_asked",
        "not_answered" or "dont_know".
    ledger : DataFrame
        rule, scope ("case" or "cell"), respondent_id, variable, before, after: one row per dropped
        respondent, changed cell and label read in another spelling. The rule multiple_blank has one
        row per respondent and question; its `variable` names all cells, separated by ", ".
    flow : DataFrame
        step, dropped, remaining: from "read" to "kept".
    """

    responses: DataFrame
    missing: DataFrame
    ledger: DataFrame
    flow: DataFrame


def clean(raw: RawExport, wave: Wave) -> Cleaned:
    """Apply the rules of a wave, in this order.

    1. test entries are dropped;
    2. cells: blank options of an answered multiple question become 0, codes outside the scale
       become not_answered, routing is applied (`fill_multiple`, `out_of_range`, `route`);
    3. incomplete interviews, companies outside the population and duplicates are dropped;
    4. derived variables, scores and flags are added.

    Blank options are filled before impossible codes are removed: an impossible code is not a blank.
    Impossible codes are removed before completeness and eligibility are judged: a size of 99 is an
    unknown size, not a company outside the population. A respondent to whom several rules apply is
    dropped by the first.

    Raises
    ------
    ValueError
        When no respondent is left, or an item has many codes that its scale does not have.
    """
    ids = Index(raw.meta["respondent_id"], name="respondent_id")
    meta, values, missing = (part.set_axis(ids) for part in (raw.meta, raw.values, raw.missing))
    rules, instrument, dropped, edits = wave.rules, wave.instrument, {}, []
    if rules.test_entries:
        dropped["test_entries"] = test_entries(meta, rules.test_entries)
    real = _remaining(ids, dropped)
    values, missing = values.loc[real], missing.loc[real]
    for rule in (fill_multiple, out_of_range, route):
        values, missing, edit = rule(values, missing, instrument)
        edits.append(edit)
    if rules.complete:
        dropped["incomplete"] = incomplete(missing, rules.complete, instrument)
    known = values.join(derive(values, instrument))
    for variable, codes in rules.eligible.items():
        dropped[f"outside_{variable}"] = outside(known, variable, codes)
    if rules.duplicates:
        dropped["duplicates"] = duplicates(meta.loc[_remaining(ids, dropped)], rules.duplicates)
    flow, cases = _flow(ids, dropped)
    kept = _remaining(ids, dropped)
    meta, values, missing = meta.loc[kept], values.loc[kept], missing.loc[kept]
    times, signs = meta[list(RESERVED[1:])], flags(meta, values, missing, wave)
    responses = pd.concat([times, _with_scores(values, wave), signs], axis=1).reset_index()
    ledger = pd.concat([raw.notes.assign(scope="cell"), *edits, cases], ignore_index=True)
    return Cleaned(responses, missing.reset_index(), ledger[LEDGER].astype(str), flow)


def ledger_summary(ledger: DataFrame) -> DataFrame:
    """How much each rule did: rule, scope, n_cases (respondents), n_cells (0 for dropped cases)."""
    cells = ledger["variable"].str.count(", ").add(1).where(ledger["scope"] == "cell", 0)
    groups = ledger.assign(n_cells=cells).groupby(["rule", "scope"], sort=False)
    counts = groups.agg(n_cases=("respondent_id", "nunique"), n_cells=("n_cells", "sum"))
    return counts.astype("int64").reset_index()


def _remaining(index: Index, dropped: dict[str, DataFrame]) -> Index:
    gone = [name for cases in dropped.values() for name in cases["respondent_id"]]
    return index[~index.isin(gone)]


def _flow(index: Index, dropped: dict[str, DataFrame]) -> tuple[DataFrame, DataFrame]:
    """Flow and ledger of the dropped cases, each under the first step that drops it."""
    steps, cases, left = [("read", 0, len(index))], [], index
    for step, found in dropped.items():
        first = found[found["respondent_id"].isin(left)]
        left = left[~left.isin(first["respondent_id"])]
        steps.append((step, len(first), len(left)))
        cases.append(first.assign(rule=step, scope="case", after="dropped"))
    flow = DataFrame([*steps, ("kept", 0, len(left))], columns=["step", "dropped", "remaining"])
    if not len(left):
        counts = ", ".join(f"{step} {n}" for step, n, _ in steps[1:])
        raise ValueError(f"All {len(index)} respondents are dropped ({counts}): check the rules.")
    return flow, pd.concat([DataFrame(columns=LEDGER), *cases])


def _with_scores(values: DataFrame, wave: Wave) -> DataFrame:
    """The answers with derived variables and scores."""
    known = values.join(derive(values, wave.instrument))
    return known.join(scores(known, wave.instrument))


# --- rules on cases ----------------------------------------------------------------------------
# Each takes frames with respondent_id as index and returns the cases to drop: respondent_id,
# variable, before. No content of a personal column is in them.


def _cases(index: Index, variable: Any, before: Any, **same: str) -> DataFrame:
    """Rows for the ledger; `same`: what is the same in all."""
    rows = {"respondent_id": index, "variable": variable, "before": before}
    return DataFrame(rows, dtype=str).assign(**same)


def test_entries(meta: DataFrame, rule: TestEntries) -> DataFrame:
    """Rows with the regular expression `rule.pattern` in one of `rule.columns`, in any case."""
    pattern = re.compile(rule.pattern, re.IGNORECASE)
    text = _as_text(meta[rule.columns])
    found = text.map(lambda cell: bool(pattern.search(cell))).any(axis=1)
    return _cases(meta.index[found], ", ".join(rule.columns), "")


def incomplete(missing: DataFrame, blocks: list[str], instrument: Instrument) -> DataFrame:
    """Respondents with an item of these blocks not answered.

    "Don't know" is an answer; an item that was not asked cannot be missed.
    """
    stopped = DataFrame(index=missing.index)
    for block in blocks:
        items = [item for item in instrument.block(block) if item in missing]
        stopped[block] = missing[items].eq("not_answered").any(axis=1)
    stopped = stopped[stopped.any(axis=1)]
    where = [", ".join(stopped.columns[row]) for row in stopped.to_numpy(dtype=bool)]
    return _cases(stopped.index, where, "not_answered")


def outside(values: DataFrame, variable: str, codes: list[int]) -> DataFrame:
    """Respondents whose known code is not one of `codes`; an unknown one is kept."""
    code = values[variable]
    out = code[code.notna() & ~code.isin(codes)]
    return _cases(out.index, variable, out.map(_code_text).to_numpy())


def duplicates(meta: DataFrame, columns: list[str]) -> DataFrame:
    """Later interviews that have the same text in one of `columns`, which are taken one by one.

    Surrounding spaces and case are ignored; a blank matches nothing, not even a blank. The first by
    `started` is kept (unknown times last), and of equal times the first in the export.
    """
    order = meta.sort_values("started", kind="stable", na_position="last")
    text = _as_text(order[columns])
    found = []
    for column in text:
        present = text[column][text[column] != ""]
        first = present.index.to_series().groupby(present.to_numpy(), sort=False).transform("first")
        same = first[first != first.index]
        found.append(_cases(same.index, column, "same as " + same.astype(str).to_numpy()))
        text = text.drop(same.index)
    return pd.concat(found, ignore_index=True)


def _as_text(frame: DataFrame) -> DataFrame:
    return frame.astype(str).where(frame.notna(), "").apply(lambda c: c.str.strip().str.casefold())


# --- rules on cells ----------------------------------------------------------------------------
# Each takes and returns values and missing (respondent_id as index, one column per item of the
# wave), and returns its part of the ledger as third.


def fill_multiple(values: DataFrame, missing: DataFrame, instrument: Instrument) -> Edited:
    """Blank options of a multiple question become 0 where at least one option was chosen.

    Without any option chosen, blanks stay not_answered: the question may have been skipped.
    """
    values, missing, edits = values.copy(), missing.copy(), []
    asked = instrument.only(set(values))
    for items in [[*block.items] for block in asked.blocks.values() if block.multiple]:
        chosen = values[items].eq(1).any(axis=1)
        blank = missing[items].eq("not_answered").mul(chosen, axis=0)
        values[items] = values[items].mask(blank, 0.0)
        missing[items] = missing[items].mask(blank, "")
        some = blank[blank.any(axis=1)]
        cells = [", ".join(some.columns[row]) for row in some.to_numpy()]
        edits.append(_cases(some.index, cells, "not_answered", after="0"))
    return values, missing, _ledger("multiple_blank", edits)


def out_of_range(values: DataFrame, missing: DataFrame, instrument: Instrument) -> Edited:
    """Codes that the scale of an item does not have, and numbers out of its range: not_answered.

    A few are slips. More than `MANY_SLIPS` of the answers to an item are a fault of the description
    of the wave (yes and no coded 1 and 2, say; a range too narrow) and raise a ValueError.
    """
    values, missing, edits, faults = values.copy(), missing.copy(), [], []
    for item in values:
        name, code = instrument.scale_name(item), values[item]
        scale, n = instrument.scales[name], code.count()
        bad = code.notna() & ~code.map(scale.holds)
        times = code[bad].value_counts()
        first, most = (times.index[0], times.iloc[0]) if len(times) else (0, 0)
        if scale.kind == "number" and bad.sum() > max(2, MANY_SLIPS * n):
            low, high = map(_code_text, ends(scale.range))
            what = (
                f"{bad.sum()} of {n} numbers are outside the range of the scale {name!r}, {low} to"
            )
            faults.append(f"{item}: {what} {high} ({_code_text(first)}: {most} times). Widen it")
        elif scale.kind != "number" and most > max(2, MANY_SLIPS * n):
            what = (
                f"code {_code_text(first)} stands {most} times in {n} answers; the scale {name!r}"
            )
            hint = "Say what it means under answers: in the description of the wave"
            faults.append(f"{item}: {what} has {', '.join(map(str, scale.codes))}. {hint}")
        before = code[bad].map(_code_text).to_numpy()
        edits.append(_cases(code.index[bad], item, before, after="not_answered"))
        values[item] = code.mask(bad)
        missing[item] = missing[item].mask(bad, "not_answered")
    if faults:
        raise ValueError("Codes that are no slips:\n" + "\n".join(faults))
    return values, missing, _ledger("out_of_range", edits)


def route(values: DataFrame, missing: DataFrame, instrument: Instrument) -> Edited:
    """Items of a block with `asked_if` become not_asked for those who were not sent there.

    Those are the respondents whose routing variable is known and has another code, and those who
    were not asked for the routing variable itself. An answer that they gave all the same is removed
    (ledger: routing). Where the routing variable is unknown, answers and blanks stay as they are;
    so they do when this wave did not ask for it. Variables are taken in the order of their
    dependence: routing may depend on derived variables and on items that are routed themselves.
    """
    values, missing, edits = values.copy(), missing.copy(), []
    known = {item: values[item] for item in values}
    skipped = {item: missing[item] == "not_asked" for item in missing}
    asked = instrument.only(set(values))
    for name in asked.order:
        if spec := asked.derived.get(name):
            known[name] = _derive_one(known, spec)
            skipped[name] = pd.concat([skipped[s] for s in spec.sources], axis=1).all(axis=1)
        rule = asked.blocks[asked.block_of[name]].asked_if if name in asked.items else None
        if rule is None or rule.variable not in known:
            continue
        code, value, reason = known[rule.variable], values[name], missing[name]
        past = skipped[rule.variable] | (code.notna() & ~code.isin(rule.codes))
        given = past & reason.isin(["", "dont_know"])  # "don't know" is an answer
        before = reason[given].mask(reason[given] == "", value[given].map(_code_text)).to_numpy()
        edits.append(_cases(value.index[given], name, before, after="not_asked"))
        values[name] = known[name] = values[name].mask(past)
        missing[name] = missing[name].mask(past, "not_asked")
        skipped[name] = missing[name] == "not_asked"
    return values, missing, _ledger("routing", edits)


def _ledger(rule: str, edits: list[DataFrame]) -> DataFrame:
    rows = pd.concat([DataFrame(columns=LEDGER), *edits], ignore_index=True)
    return rows.assign(rule=rule, scope="cell")


def _code_text(code: float) -> str:
    return f"{code:.15g}"


# --- derived variables, scores, flags ----------------------------------------------------------


def derive(values: DataFrame, instrument: Instrument) -> DataFrame:
    """The derived variables of the instrument.

    `recode`: the new code of the old code or of the range; NaN for what is not named. `any_at_least`: 1
    if any item reaches the code, 0 if all are answered and none does, else NaN. A source that is
    not a column of `values` was not in the wave: it is ignored, and a variable without any source
    is left out.

    Parameters
    ----------
    values : DataFrame
        Codes, one float64 column per item, NaN for missing.

    Returns
    -------
    DataFrame
        One float64 column per derived variable, in the order of the instrument, same index.
    """
    known, asked = {name: values[name] for name in values}, instrument.only(set(values))
    for name in asked.order:
        if name in asked.derived:
            known[name] = _derive_one(known, asked.derived[name])
    made = {name: known[name] for name in asked.derived}
    return DataFrame(made, index=values.index, dtype="float64")


def _derive_one(known: dict[str, Series], spec: Derived) -> Series:
    if spec.recode:
        new = {old: code for code, codes in spec.recode.codes.items() for old in codes}
        source = known[spec.recode.source]
        made = source.map(new).astype("float64")
        for code, given in spec.recode.ranges.items():
            made[source.between(*ends(given))] = code
        return made
    assert spec.any_at_least  # a checked instrument has one of the two
    items = pd.concat([known[item] for item in spec.sources], axis=1)
    reaches = (items >= spec.any_at_least.code).any(axis=1)
    return reaches.astype("float64").where(reaches | items.notna().all(axis=1))


def scores(values: DataFrame, instrument: Instrument) -> DataFrame:
    """The construct scores of the instrument: means of answered items, or of other scores.

    A score is given when at least `instrument.min_answered(name)` of its items were answered, else
    it is NaN. Items that are not a column of `values` were not in the wave: they are ignored, and
    the number that must be answered stays the same. A construct with fewer items left than that is
    left out: nobody could have a score.

    Returns
    -------
    DataFrame
        One float64 column per construct, in the order of the instrument, same index.

    Notes
    -----
    In R: ``ifelse(rowSums(!is.na(x)) >= min, rowMeans(x, na.rm = TRUE), NA)``.
    """
    known = {name: values[name] for name in values}
    for name in [name for name in instrument.order if name in instrument.constructs]:
        needed = instrument.min_answered(name)
        left = [known[item] for item in instrument.constructs[name].items if item in known]
        if len(left) >= needed:
            items = pd.concat(left, axis=1)
            known[name] = items.mean(axis=1).where(items.notna().sum(axis=1) >= needed)
    made = {name: known[name] for name in instrument.constructs if name in known}
    return DataFrame(made, index=values.index, dtype="float64")


def flags(meta: DataFrame, values: DataFrame, missing: DataFrame, wave: Wave) -> DataFrame:
    """Signs of careless answering; nobody is dropped for them.

    Returns
    -------
    DataFrame
        flag_fast: 1 if the interview took less than `rules.fast_minutes`, 0 if not, NaN if the
        duration is unknown or there is no such rule. longstring: see `longstring`. flag_careless: 1
        if flag_fast is 1 or longstring reaches `rules.longstring`, 0 if not; NaN if neither could
        be judged.
    """
    fast, long = wave.rules.fast_minutes, wave.rules.longstring
    nothing = Series(np.nan, index=meta.index)
    minutes = meta["duration_minutes"]
    is_fast = nothing if fast is None else (minutes < fast).astype(float).where(minutes.notna())
    run = longstring(values, missing, wave.instrument)
    is_long = nothing if long is None else (run >= long).astype(float)
    careless = pd.concat([is_fast, is_long], axis=1).max(axis=1)
    return pd.concat([is_fast, run, careless], axis=1).set_axis(FLAGS, axis=1)


def longstring(values: DataFrame, missing: DataFrame, instrument: Instrument) -> Series:
    """The longest run of equal consecutive answers on one ordinal scale.

    The items of each ordinal scale are taken in the order of the questionnaire, as one sequence.
    Items that were not asked are passed over; "don't know" and a missing answer end a run. Equal
    answers may be true ("never" to a list of media): set a threshold above the longest such list.

    Returns
    -------
    Series
        float64, 0 where nothing was answered.

    Notes
    -----
    Johnson (2005), Journal of Research in Personality 39, 103-129. In R, for the items of one scale
    that are all answered: ``max(rle(x)$lengths)``.
    """
    scales = {item: instrument.scale_name(item) for item in instrument.items if item in values}
    best = np.zeros(len(values))
    for scale in {s: None for s in scales.values() if instrument.scales[s].kind == "ordinal"}:
        run, last = np.zeros(len(values)), np.full(len(values), np.nan)
        for item in [item for item, name in scales.items() if name == scale]:
            asked = (missing[item] != "not_asked").to_numpy()
            code = values[item].to_numpy()
            grown = np.where(code == last, run + 1, np.where(np.isnan(code), 0, 1))
            run, last = np.where(asked, grown, run), np.where(asked, code, last)
            best = np.maximum(best, run)
    return Series(best, index=values.index, name="longstring")


# --- the files that later notebooks read -------------------------------------------------------


def save(cleaned: Cleaned, project: Folders, wave: Wave) -> dict[str, Path]:
    """Write the results of cleaning to `project.processed(wave.wave)`; each file appears whole.

    Returns
    -------
    dict
        File name -> path: responses.parquet, missing_reasons.parquet, cleaning_flow.csv,
        cleaning_ledger.csv, cleaning_ledger_summary.csv. Beside them, of an invented wave,
        NOTICE.txt.
    """
    tables = {
        RESPONSES: cleaned.responses,
        MISSING: cleaned.missing,
        "cleaning_flow.csv": cleaned.flow,
        "cleaning_ledger.csv": cleaned.ledger,
        "cleaning_ledger_summary.csv": ledger_summary(cleaned.ledger),
    }
    folder = project.processed(wave.wave)
    for name, table in tables.items():
        text = None if name.endswith(".parquet") else table.to_csv(index=False, lineterminator="\n")
        write_whole(folder / name, text.encode() if text else table.to_parquet(index=False))
    if wave.synthetic:  # a table of numbers cannot carry the notice itself
        notice = "".join(f"{wave.notice(language)}\n" for language in LANGUAGES)
        write_whole(folder / "NOTICE.txt", notice.encode())
    return {name: folder / name for name in tables}


def load(project: Folders, wave: Wave) -> tuple[DataFrame, DataFrame]:
    """Responses and reasons for missing of a wave, as `save` wrote them, after `validate`.

    Raises
    ------
    ValueError
        When the files are not there, cannot be read, or do not fit the wave and the instrument.
    """
    tables: list[DataFrame] = []
    for name in (RESPONSES, MISSING):
        path = project.processed(wave.wave) / name
        if not path.is_file():
            raise ValueError(f"{path} is not there: run 01_cleaning for wave {wave.wave} first.")
        try:
            tables.append(pd.read_parquet(path))
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} is damaged: run 01_cleaning again. ({error})") from error
    responses, missing = tables
    validate(responses, missing, wave)
    return responses, missing


def validate(responses: DataFrame, missing: DataFrame, wave: Wave) -> None:
    """Check that responses are what cleaning makes with the instrument as it is now.

    Columns and their types, respondent_id, codes, a reason exactly where an answer is missing, and
    derived variables and scores made anew.

    Raises
    ------
    ValueError
        With everything that differs.
    """
    made = _with_scores(DataFrame(columns=wave.items, dtype="float64"), wave)
    faults = _column_faults(responses, "responses", [*RESERVED, *made, *FLAGS])
    faults += _column_faults(missing, "missing_reasons", ["respondent_id", *wave.items])
    if not faults:
        ids = responses["respondent_id"]
        faults = [f"respondent_id {name!r} stands more than once" for name in ids[ids.duplicated()]]
        if ids.tolist() != missing["respondent_id"].tolist():
            what = "responses and missing_reasons are not of the same respondents in one order"
            faults.append(what)
    if not faults:
        faults = [f for item in wave.items for f in _item_faults(responses, missing, item, wave)]
        made = _with_scores(responses[wave.items], wave).drop(columns=wave.items)
        for name in made:
            if not np.allclose(made[name], responses[name], rtol=0, atol=1e-9, equal_nan=True):
                faults.append(f"{name} is not what the instrument makes of the answers")
    if faults:
        what = f"The responses of wave {wave.wave} are damaged or older than its description: run "
        raise ValueError("\n- ".join([f"{what}01_cleaning again.", *faults]))


def _column_faults(table: DataFrame, name: str, expected: list[str]) -> list[str]:
    absent = [column for column in expected if column not in table]
    extra = [column for column in table if column not in expected]
    numbers = expected[len(RESERVED) :] if name == "responses" else []
    text = [c for c in numbers if c in table and table[c].dtype != "float64"]
    found = {"has no column": absent, "has a column too many:": extra, "holds no numbers in": text}
    return [f"{name} {what} {column}" for what, columns in found.items() for column in columns]


def _item_faults(responses: DataFrame, missing: DataFrame, item: str, wave: Wave) -> list[str]:
    code, reason = responses[item], missing[item]
    scale = wave.instrument.scales[wave.instrument.scale_name(item)]
    wrong = code[code.notna() & ~code.map(scale.holds)]
    unknown = reason[~reason.isin(["", *MISSING_REASONS])]
    other = int((code.isna() != (reason != "")).sum())
    faults = [f"{item} has the code {_code_text(found)}" for found in wrong.unique()]
    faults += [f"{item} has the reason for missing {found!r}" for found in unknown.unique()]
    return faults + ([f"{item}: {other} answers disagree with their reason"] if other else [])
