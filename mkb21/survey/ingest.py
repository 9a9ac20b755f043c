"""Survey exports: a raw file, whatever its format, in the names and codes of the instrument.

Nothing is guessed: the description of the wave says which delimiter, encoding, columns and labels
to expect. A file that differs from it is refused with everything that is wrong at once, so that one
look at the message is enough.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import openpyxl
import pandas as pd
import pyreadstat
from pandas import DataFrame, Series

from mkb21.survey.files import Folders
from mkb21.survey.instrument import RESERVED, Export, Wave, fold

NOTES = ["rule", "respondent_id", "variable", "before", "after"]
DELIMITERS = (";", ",", "\t", "|")
Unknown = dict[tuple[str, str], dict[str, int]]  # scale and text -> item -> times
Labels = dict[str, tuple[str, int | str]]  # folded label -> label, and its code or reason
SHOWN = 10  # faults of one kind in one column; the rest is counted


@dataclass(frozen=True)
class Source:
    """Where the answers came from: file name, SHA-256 of its bytes, number of respondents."""

    file: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class RawExport:
    """An export in the instrument's names and codes; the rows are in the order of the file.

    Attributes
    ----------
    values : DataFrame
        One float64 column per item of the wave: the code or number, NaN where there is none; of an
        open question 1 where something was written, and never what. Codes that the scale does not
        have are still there.
    missing : DataFrame
        Same shape: "" where there is a code, else "not_answered", "dont_know" or "not_asked".
    meta : DataFrame
        respondent_id (str), started and finished (datetime64), duration_minutes (float64), and one
        text column per name under `personal` of the wave. **Holds personal data**: never write it
        to a file.
    notes : DataFrame
        rule, respondent_id, variable, before, after: labels that were read in another spelling.
    source : Source
    """

    values: DataFrame
    missing: DataFrame
    meta: DataFrame
    notes: DataFrame
    source: Source


def read_export(project: Folders, wave: Wave) -> RawExport:
    """Read the raw export of a wave: csv, txt, tsv, xlsx or sav.

    Labels become codes by the labels of the instrument in `wave.export.language` and by
    `wave.answers`, whatever their case and spacing. A plain number is that code, also when the
    scale does not have it: cleaning judges ranges. A blank cell is "not_answered". "Don't know" is
    an answer only on scales that offer it. Rows without any text are skipped.

    Raises
    ------
    ValueError
        With all that is wrong: no such file, another delimiter or encoding, no rows, columns that
        are absent, unknown or double, rows with too many or too few fields, unknown labels,
        unreadable dates and numbers, respondent_id blank or double.
    """
    path = _locate(project, wave)
    table = _READERS[path.suffix.lower()](path, wave.export)
    faults = [*_header_faults(table, wave, path.name), *_length_faults(table)]
    texts = _texts(table, wave)
    meta, meta_faults = _read_meta(texts, wave, table.unit)
    values, missing, notes, item_faults = _read_items(texts, wave)
    faults += meta_faults + item_faults
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ValueError("\n- ".join([f"{path} does not fit wave {wave.wave}: {count}.", *faults]))
    notes["respondent_id"] = meta["respondent_id"].reindex(notes["respondent_id"]).to_numpy()
    notes = notes[NOTES].reset_index(drop=True)
    values, missing, meta = (part.reset_index(drop=True) for part in (values, missing, meta))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return RawExport(values, missing, meta, notes, Source(path.name, digest, len(meta)))


# --- files into text ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """A file as text: `numbers` are the places of the rows in the file, counted in `unit`s."""

    unit: str
    header: list[str]
    rows: list[list[str]]
    numbers: list[int]


def _locate(project: Folders, wave: Wave) -> Path:
    path = project.raw(wave.wave) / wave.export.file
    if path.suffix.lower() not in _READERS:
        known = ", ".join(_READERS)
        raise ValueError(f"{path.name} is of a kind that is not read here. Export it as {known}.")
    if not path.is_file():
        what = f"There is no export of wave {wave.wave}: put {path.name} in {path.parent}"
        raise ValueError(f"{what}, or name another file under export: file: in {wave.wave}.yaml.")
    return path


def _read_text(path: Path, export: Export) -> _Table:
    """Delimited text; pandas would lose line numbers, short rows and double headers."""
    text = _decode(path, export.encoding)
    if not text.strip():
        raise ValueError(f"{path} is empty.")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=export.delimiter, strict=True)
    rows, numbers, start = [], [], 1
    try:
        for fields in reader:
            rows.append(fields)
            numbers.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        what = f"{path}: the row that starts on line {start} cannot be split into fields ({error})"
        raise ValueError(f"{what}. Is a quotation mark missing there?") from error
    if len(rows[0]) == 1:
        first, likely = rows[0][0], max(DELIMITERS, key=rows[0][0].count)
        hint = f"Its first line is {first[:80]!r}."
        if likely in first:
            hint = f"It is not delimited by {export.delimiter!r}: try delimiter: {likely!r}"
            hint += " under export:."
        raise ValueError(f"{path} has one column only. {hint}")
    return _table("line", rows, numbers, path)


def _decode(path: Path, encoding: str) -> str:
    content = path.read_bytes()
    try:
        text = content.decode(encoding)
    except LookupError as error:
        what = f"export: encoding: {encoding!r} is not known"
        raise ValueError(f"{what}. Usual are utf-8-sig and cp1252.") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        other = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"
        what = f"{path} is not {encoding} text: line {line}, byte {error.start} cannot be read"
        hint = f"Give its encoding under export: encoding: (perhaps {other})."
        raise ValueError(f"{what}. {hint}") from error
    if text.startswith(("\ufeff", "ï»¿")):
        what = f"{path} starts with a byte-order mark"
        raise ValueError(f"{what}: write encoding: utf-8-sig under export:.")
    return text


def _read_xlsx(path: Path, export: Export) -> _Table:
    """A sheet of a workbook: the first, unless the wave names one."""
    try:
        book = openpyxl.load_workbook(path, data_only=True)
    except (BadZipFile, KeyError, OSError) as error:
        raise ValueError(f"{path} is not a readable xlsx file: {error}") from error
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    name = export.sheet or next(iter(sheets))
    if name not in sheets:
        raise ValueError(f"{path} has no sheet {name!r}. Its sheets: {', '.join(sheets)}.")
    rows = [[_as_text(cell, export) for cell in row] for row in sheets[name].values]
    return _table("row", rows, list(range(1, len(rows) + 1)), path)


def _read_sav(path: Path, export: Export) -> _Table:
    """An SPSS file: values as their labels; a user-missing value without a label is a blank."""
    try:
        frame, meta = pyreadstat.read_sav(path, user_missing=True)
    except pyreadstat.ReadstatError as error:
        raise ValueError(f"{path} is not a readable SPSS file: {error}") from error
    columns = []
    for name in frame:
        labels, gaps = meta.variable_value_labels.get(name, {}), meta.missing_ranges.get(name, [])
        columns.append([labels.get(v, None if _is_gap(v, gaps) else v) for v in frame[name]])
    rows = [[_as_text(cell, export) for cell in row] for row in zip(*columns, strict=True)]
    return _table("case", [list(frame.columns), *rows], list(range(len(rows) + 1)), path)


def _is_gap(value: Any, gaps: list[Any]) -> bool:
    """Does a value lie in one of the ranges that SPSS declares user-missing?"""
    return any(type(value) is type(g["lo"]) and g["lo"] <= value <= g["hi"] for g in gaps)


_READERS = dict.fromkeys((".csv", ".txt", ".tsv"), _read_text)
_READERS |= {".xlsx": _read_xlsx, ".sav": _read_sav}


def _as_text(cell: Any, export: Export) -> str:
    """A typed cell as a text export of the same wave would show it."""
    if pd.isna(cell):
        return ""
    if isinstance(cell, (datetime, date)):
        return cell.strftime(export.datetime)
    if isinstance(cell, float):
        return f"{cell:.15g}".replace(".", export.decimal)
    return str(cell)


def _table(unit: str, rows: list[list[str]], numbers: list[int], path: Path) -> _Table:
    """The first row that is not blank is the header; other blank rows are dropped."""
    full = [k for k, row in enumerate(rows) if any(cell.strip() for cell in row)]
    if len(full) < 2:
        raise ValueError(f"{path} has no {'rows below its header' if full else 'columns'}.")
    return _Table(unit, rows[full[0]], [rows[k] for k in full[1:]], [numbers[k] for k in full[1:]])


# --- checks of the whole -----------------------------------------------------------------------


def _header_faults(table: _Table, wave: Wave, file: str) -> list[str]:
    """Columns that are absent, not described, without a name, or double."""
    header = Counter(name for name in table.header if name.strip())
    expected = {column: name for name, column in (wave.columns | wave.personal).items()}
    absent = [column for column in expected if column not in header]
    if len(absent) == len(expected):
        first = ", ".join(map(repr, table.header[:5]))
        return [f"{file} has none of the columns of the wave. Its first columns: {first}."]
    extra = [column for column in header if column not in {*expected, *wave.ignored}]
    # wholly blank columns without a name, as spreadsheets leave them, are harmless
    unnamed = [k for k, name in enumerate(table.header) if not name.strip()]
    used = [k for k in unnamed if any(row[k].strip() for row in table.rows if k < len(row))]
    return [
        *[f"column {c!r} ({expected[c]}) is absent.{_closest(c, extra)}" for c in absent],
        *[f"column {c!r} is not described: add it to columns, personal or ignored." for c in extra],
        *[f"column {c!r} stands {n} times in the file." for c, n in header.items() if n > 1],
        *[f"column {k + 1} (counted from the left) has cells but no name." for k in used],
    ]


def _length_faults(table: _Table) -> list[str]:
    """Rows that have more or fewer fields than the header, grouped by their number of fields."""
    wrong: dict[int, list[int]] = {}
    for row, number in zip(table.rows, table.numbers, strict=True):
        if len(row) != len(table.header):
            wrong.setdefault(len(row), []).append(number)
    return [
        f"{_places(table.unit, numbers)}: {length} fields where the header has {len(table.header)}."
        for length, numbers in wrong.items()
    ]


def _places(unit: str, numbers: Iterable[int]) -> str:
    """For instance "lines 4, 8, 9" or "lines 1, ..., 10 and 12 more"."""
    numbers = list(numbers)
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"{unit}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:SHOWN]))}{more}"


def _closest(text: str, known: Iterable[str]) -> str:
    names = {fold(name): name for name in known}
    near = [names[found] for found in get_close_matches(fold(text), names, n=3, cutoff=0.5)]
    return f" Closest: {', '.join(map(repr, near))}." if near else ""


def _texts(table: _Table, wave: Wave) -> DataFrame:
    """The described columns as text, without the rows of a wrong length; index = place in file."""
    whole = [k for k, row in enumerate(table.rows) if len(row) == len(table.header)]
    names = wave.columns | wave.personal
    where = {name: table.header.index(c) for name, c in names.items() if c in table.header}
    columns = {name: [table.rows[k][at] for k in whole] for name, at in where.items()}
    return DataFrame(columns, index=[table.numbers[k] for k in whole], dtype=str)


# --- respondents -------------------------------------------------------------------------------


def _read_meta(texts: DataFrame, wave: Wave, unit: str) -> tuple[DataFrame, list[str]]:
    """Number, times (NaT without a column) and personal columns of respondents, and faults."""
    blank = Series("", index=texts.index, dtype=str)
    text = {name: texts.get(name, blank).str.strip() for name in [*RESERVED, *wave.personal]}
    meta, faults = {"respondent_id": text["respondent_id"]}, []
    if "respondent_id" in texts:
        faults += _id_faults(text["respondent_id"], unit)
    for name in RESERVED[1:]:
        if name == "duration_minutes":
            shape = f"a number with decimal {wave.export.decimal!r}"
            meta[name] = _numbers(text[name], wave.export.decimal)
        else:
            shape = f"a time written as {wave.export.datetime}"
            time = pd.to_datetime(text[name], format=wave.export.datetime, errors="coerce")
            meta[name] = time.astype("datetime64[us]")  # one unit, also where all are blank
        bad = text[name][meta[name].isna() & (text[name] != "")]
        column, shown = f"column {wave.columns.get(name)!r}", bad.iloc[:SHOWN].items()
        faults += [f"{unit} {at}, {column}: {value!r} is not {shape}." for at, value in shown]
        if len(bad) > SHOWN:
            faults.append(f"{column}: {len(bad) - SHOWN} more like these.")
    return DataFrame({**meta, **{name: text[name] for name in wave.personal}}), faults


def _id_faults(ids: Series, unit: str) -> list[str]:
    blank = ids.index[ids == ""]
    faults = [f"{_places(unit, blank)}: respondent_id is blank."] if len(blank) else []
    double = ids[ids.duplicated(keep=False) & (ids != "")]
    return faults + [
        f"{_places(unit, same.index)}: respondent_id {name!r} stands {len(same)} times."
        for name, same in double.groupby(double, sort=False)
    ]


def _numbers(texts: Series, decimal: str) -> Series:
    """Plain numbers with this decimal mark; NaN for anything else ("1.234,5", "1e3", "12 min")."""
    plain = texts.str.fullmatch(rf"[+-]?[0-9]+(?:{re.escape(decimal)}[0-9]+)?")
    number = texts.where(plain, "nan").str.replace(decimal, ".", regex=False)
    return number.astype("float64")


# --- answers -----------------------------------------------------------------------------------


def _read_items(texts: DataFrame, wave: Wave) -> tuple[DataFrame, DataFrame, DataFrame, list[str]]:
    """Codes, reasons for missing, spellings (by place in the file) and faults of all items."""
    values, missing, notes = {}, {}, []
    unknown: Unknown = {}
    for item in [name for name in wave.items if name in texts]:
        scale, text = wave.instrument.scale_name(item), texts[item]
        if wave.instrument.kind(item) == "open":
            text = text.str.strip().ne("").map({True: "1", False: ""})
        read = _read_answers(text.unique(), _labels(wave, scale), wave.export.decimal)
        values[item] = text.map(read["value"])
        missing[item] = text.map(read["reason"]).astype(str)
        after = text.map(read["read_as"])
        other = text[after.notna() & (after != text)]
        notes.append(DataFrame({"variable": item, "before": other, "after": after[other.index]}))
        for words, times in text[~text.isin(read.index)].value_counts().items():
            unknown.setdefault((scale, str(words)), {})[item] = times
    found = pd.concat(notes).rename_axis("respondent_id").reset_index() if notes else DataFrame()
    found = found.reindex(columns=NOTES)
    same = found["before"].map(fold) == found["after"].map(fold)
    found["rule"] = same.map({True: "label_spelling", False: "label_merged"})
    return DataFrame(values), DataFrame(missing), found, _label_faults(unknown, wave)


def _labels(wave: Wave, scale: str, language: str = "") -> Labels:
    """Folded label -> label and its code or reason for missing; labels of the wave come first.

    Of several labels of the wave for one code the others are read as the first.
    """
    instrument, own = wave.instrument, wave.answers.get(scale, {})
    spec, language = instrument.scales[scale], language or wave.export.language
    meaning: dict[str, int | str] = {text[language]: code for code, text in spec.codes.items()}
    if spec.dont_know:
        meaning[instrument.missing.dont_know[language]] = "dont_know"
    first: dict[int | str, str] = {
        code: label for label, code in reversed(own.items()) if isinstance(code, int)
    }
    return {
        fold(label): (first.get(code, label) if label in own else label, code)
        for label, code in (meaning | own).items()
    }


def _read_answers(texts: Iterable[str], labels: Labels, decimal: str) -> DataFrame:
    """Different texts of a column -> value, reason, read_as; unknown texts are left out."""
    numbers = _numbers(Series(texts, index=texts, dtype=str).str.strip(), decimal)
    read = {}
    for text in texts:
        label, meaning = labels.get(fold(text), (text.strip(), numbers[text]))
        if not text.strip():
            read[text] = (float("nan"), "not_answered", text)
        elif isinstance(meaning, str):
            read[text] = (float("nan"), meaning, label)
        elif not pd.isna(meaning):
            read[text] = (float(meaning), "", label)
    types = {"value": float, "reason": str, "read_as": str}
    return DataFrame.from_dict(read, orient="index", columns=list(types)).astype(types)


def _label_faults(unknown: Unknown, wave: Wave) -> list[str]:
    """What is said of texts that are no answer: each once, however many columns have it."""
    faults, other = [], {*wave.instrument.languages} - {wave.export.language}
    labels = {scale: [_labels(wave, scale, name) for name in other] for scale, _ in unknown}
    foreign = [at for at in unknown if any(fold(at[1]) in known for known in labels[at[0]])]
    if foreign:
        where, language = _where([i for at in foreign for i in unknown[at]], wave), other.pop()
        what = f"{len(foreign)} different answers, such as {foreign[0][1]!r}, are in {language!r}"
        hint = f"write language: {language} under export: in {wave.wave}.yaml"
        faults = [f"{where}: {what}: {hint}, or, if the rest is not, list these under answers:."]
    for scale in labels:
        own = {at[1]: unknown[at] for at in unknown if at[0] == scale and at not in foreign}
        faults += _scale_faults(scale, own, wave)
    return faults


def _scale_faults(scale: str, unknown: dict[str, dict[str, int]], wave: Wave) -> list[str]:
    known = {folded: label for folded, (label, _) in _labels(wave, scale).items()}
    kind, faults = f"in the scale {scale}", []
    if wave.instrument.scales[scale].kind == "number":
        kind = f"a number with decimal {wave.export.decimal!r}"
    for text, times in list(unknown.items())[:SHOWN]:
        what = f"{_where(times, wave)}: {text!r} ({sum(times.values())} times) is not {kind}."
        near = [known[folded] for folded in get_close_matches(fold(text), known, n=1)]
        hint = f" Closest: {near[0]!r}." if near else f" Its answers: {', '.join(known.values())}."
        faults.append(what + hint * bool(known))
    if rest := list(unknown.values())[SHOWN:]:
        where = _where([item for times in rest for item in times], wave)
        faults.append(f"{where}: {len(rest)} more answers are not {kind}.")
    if faults:
        place = f"{wave.wave}.yaml under answers: {{{scale}: {{label: code}}}}"
        faults[-1] += f" If an answer is right after all, add it to {place}."
    return faults


def _where(items: Iterable[str], wave: Wave) -> str:
    first, *others = dict.fromkeys(items)
    name = f"column {wave.columns[first]!r} ({first})"
    return f"{name} and {len(others)} more" if others else name
