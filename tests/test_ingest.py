"""Exports of every kind, read right or refused with everything that is wrong."""

import hashlib
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyreadstat
import pytest
import yaml

from mkb21.run.paths import Project
from mkb21.survey.ingest import read_export
from mkb21.survey.instrument import load_wave

ROOT = Path(__file__).parents[1]
NAN = float("nan")

INSTRUMENT = """
instrument: tea
title: {nl: Thee, en: Tea}
wording: {nl: eigen, en: own}
missing:
  not_asked: {nl: niet gevraagd, en: not asked}
  not_answered: {nl: niet beantwoord, en: not answered}
  dont_know: {nl: weet niet, en: don't know}
scales:
  yesno: {kind: nominal, codes: {0: {nl: nee, en: "no"}, 1: {nl: ja, en: "yes"}}}
  liking:
    kind: ordinal
    dont_know: true
    codes:
      1: {nl: niet lekker, en: bad}
      2: {nl: gaat wel, en: fair}
      3: {nl: heel lekker, en: good}
blocks:
  habit:
    title: {nl: Gewoonte, en: Habit}
    source: our own
    scale: yesno
    items: {drinks: {label: {nl: drinkt thee, en: drinks tea}}}
  taste:
    title: {nl: Smaak, en: Taste}
    source: our own
    scale: liking
    items:
      green: {label: {nl: groen, en: green}}
      black: {label: {nl: zwart, en: black}}
"""

WAVE = """
wave: a
title: {nl: A, en: A}
origin: observed
fieldwork: {start: 2020-01-01, end: 2020-02-01}
population: {nl: iedereen, en: everybody}
export: {file: tea.csv, datetime: "%Y-%m-%d %H:%M"}
columns:
  respondent_id: Nr
  started: Start
  duration_minutes: Minuten
  drinks: Q1
  green: Q2
  black: Q3
personal: {email: Mail}
ignored: [Browser]
answers: {yesno: {gekozen: 1, "-": not_asked}}
"""

HEADER = "Nr;Start;Minuten;Q1;Q2;Q3;Mail;Browser"
ROWS = [
    "001;2020-01-02 09:30;4,5;ja;heel lekker;weet niet; Ann@example.org ;x",
    "2;;;nee;;;;x",
    "NA;2020-01-03 10:00;12;Gekozen;  Gaat   WEL;99;;x",
    "4;2020-01-03 11:00;3,25;-;2;4,5;;",
]
VALUES = pd.DataFrame(
    {"drinks": [1, 0, 1, NAN], "green": [3, NAN, 2, 2], "black": [NAN, NAN, 99, 4.5]}
)
MISSING = pd.DataFrame(
    {
        "drinks": ["", "", "", "not_asked"],
        "green": ["", "not_answered", "", ""],
        "black": ["dont_know", "not_answered", "", ""],
    }
)


def tea(tmp_path, rows=None, header=HEADER, content=None, **export):
    """A project with the tea questionnaire and this export; keyword arguments change `export:`."""
    wave = yaml.safe_load(WAVE)
    wave["export"] |= export
    for folder in ("data/waves", "data/raw/a"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "data/instrument.yaml").write_text(INSTRUMENT, encoding="utf-8")
    (tmp_path / "data/waves/a.yaml").write_text(
        yaml.safe_dump(wave, sort_keys=False), encoding="utf-8"
    )
    if content is None and rows is not None:
        content = "\r\n".join([header, *rows, ""]).encode("utf-8-sig")
    if content is not None:
        (tmp_path / "data/raw/a" / wave["export"]["file"]).write_bytes(content)
    project = Project.find(tmp_path)
    return project, load_wave(project, "a")


def refusal(tmp_path, *args, **kwargs) -> str:
    with pytest.raises(ValueError) as caught:
        read_export(*tea(tmp_path, *args, **kwargs))
    return str(caught.value)


# --- what is read ------------------------------------------------------------------------------


def test_every_part_of_a_small_export(tmp_path):
    raw = read_export(*tea(tmp_path, ROWS))
    pd.testing.assert_frame_equal(raw.values, VALUES)
    pd.testing.assert_frame_equal(raw.missing, MISSING)
    assert raw.meta.columns.tolist() == [
        "respondent_id", "started", "finished", "duration_minutes", "email",
    ]  # fmt: skip
    assert raw.meta["respondent_id"].tolist() == ["001", "2", "NA", "4"]
    assert raw.meta["started"].dt.hour.tolist()[2:] == [10, 11]
    assert raw.meta["started"].isna().tolist() == [False, True, False, False]
    assert raw.meta["finished"].isna().all()
    assert raw.meta[["started", "finished"]].dtypes.eq("datetime64[us]").all()
    np.testing.assert_array_equal(raw.meta["duration_minutes"], [4.5, NAN, 12, 3.25])
    assert raw.meta["email"].tolist() == ["Ann@example.org", "", "", ""]
    assert raw.notes.to_dict("records") == [
        {"rule": "label_spelling", "respondent_id": "NA", "variable": "drinks",
         "before": "Gekozen", "after": "gekozen"},
        {"rule": "label_spelling", "respondent_id": "NA", "variable": "green",
         "before": "  Gaat   WEL", "after": "gaat wel"},
    ]  # fmt: skip


def test_source_is_the_file_as_it_came(tmp_path):
    project, wave = tea(tmp_path, ROWS)
    content = (project.raw("a") / "tea.csv").read_bytes()
    source = read_export(project, wave).source
    assert (source.file, source.rows) == ("tea.csv", 4)
    assert source.sha256 == hashlib.sha256(content).hexdigest()


def test_every_label_of_the_real_instrument_becomes_its_code(tmp_path):
    shutil.copytree(ROOT / "data" / "waves", tmp_path / "data" / "waves")
    shutil.copy(ROOT / "data" / "instrument.yaml", tmp_path / "data" / "instrument.yaml")
    project = Project.find(tmp_path)
    wave = load_wave(project, "2012")
    labels = {item: list(wave.instrument.codes(item, "nl").items()) for item in wave.items}
    rows = []
    for k in range(max(map(len, labels.values())) + 1):
        row = dict.fromkeys([*wave.columns.values(), *wave.personal.values(), *wave.ignored], "")
        given = {item: found[k][1] for item, found in labels.items() if k < len(found)}
        row |= {wave.columns[item]: f" {label.upper()}" for item, label in given.items()}
        row |= {wave.columns["respondent_id"]: f"R{k}", wave.columns["duration_minutes"]: "8,5"}
        row[wave.columns["started"]] = f"{k + 1:02}-10-2012 13:14:15"
        rows.append(row)
    project.raw("2012").mkdir(parents=True)
    pd.DataFrame(rows).to_csv(
        project.raw("2012") / wave.export.file, sep=";", index=False, encoding="utf-8-sig"
    )
    raw = read_export(project, wave)
    assert raw.values.columns.tolist() == raw.missing.columns.tolist() == wave.items
    for item, found in labels.items():
        blanks = len(rows) - len(found)
        expected = [float(code) for code, _ in found] + [NAN] * blanks
        np.testing.assert_array_equal(raw.values[item], expected, err_msg=item)
        assert raw.missing[item].tolist() == [""] * len(found) + ["not_answered"] * blanks
    assert len(raw.notes) == sum(map(len, labels.values()))
    assert raw.meta["started"].dt.day.tolist() == list(range(1, len(rows) + 1))
    assert (raw.meta["started"].dt.month == 10).all()


def test_the_wave_says_in_which_language_the_labels_are(tmp_path):
    rows = ["1;;;yes;good;don't know;;"]
    raw = read_export(*tea(tmp_path, rows, language="en"))
    assert raw.values.iloc[0, :2].tolist() == [1, 3]
    assert raw.missing.loc[0, "black"] == "dont_know"
    message = refusal(tmp_path, [*rows, "2;;;no;bad;joa;;"])
    assert "'Q1' (drinks) and 2 more: 5 different answers, such as 'yes', are in 'en'" in message
    assert "write language: en under export: in a.yaml, or" in message
    assert "2 faults" in message and "'joa' (1 times) is not in the scale liking" in message


def test_other_delimiter_encoding_and_decimal(tmp_path):
    lines = [HEADER, "1;2020-01-02 09:30;4.5;ja;2.0;heel lekker;café@example.org;"]
    content = "\n".join(lines).replace(";", "\t").encode("cp1252")
    raw = read_export(
        *tea(
            tmp_path,
            content=content,
            file="tea.tsv",
            delimiter="\t",
            encoding="cp1252",
            decimal=".",
        )
    )
    assert raw.values.loc[0].tolist() == [1, 2, 3]
    assert raw.meta.loc[0, ["duration_minutes", "email"]].tolist() == [4.5, "café@example.org"]


def test_blank_rows_and_unnamed_blank_columns_are_harmless(tmp_path):
    rows = [row + ";;" for row in ROWS]
    raw = read_export(*tea(tmp_path, [*rows[:2], ";" * 9, "", *rows[2:]], HEADER + ";;"))
    pd.testing.assert_frame_equal(raw.values, VALUES)


def typed_rows():
    """The small export as a program with types holds it."""
    day = [datetime(2020, 1, 2, 9, 30), None, datetime(2020, 1, 3, 10), datetime(2020, 1, 3, 11)]
    rows = [row.split(";") for row in ROWS]
    minutes = [4.5, None, 12, 3.25]
    return [[r[0], d, m, *r[3:]] for r, d, m in zip(rows, day, minutes, strict=True)]


def test_xlsx_gives_the_same_as_csv(tmp_path):
    expected = read_export(*tea(tmp_path, ROWS))
    project, wave = tea(tmp_path, file="tea.xlsx", sheet="answers")
    book = openpyxl.Workbook()
    sheet = book.create_sheet("answers")
    sheet.append(HEADER.split(";"))
    for row in typed_rows():
        row[4] = int(row[4]) if row[4].isdigit() else row[4]
        row[5] = {"99": 99, "4,5": 4.5}.get(row[5], row[5])
        sheet.append(row)
    book.save(project.raw("a") / "tea.xlsx")
    raw = read_export(project, wave)
    for part in ("values", "missing", "meta", "notes"):
        pd.testing.assert_frame_equal(getattr(raw, part), getattr(expected, part))
    assert "no sheet 'other'. Its sheets: Sheet, answers" in refusal(
        tmp_path, file="tea.xlsx", sheet="other"
    )


def test_sav_labels_codes_and_user_missing_values(tmp_path):
    project, wave = tea(tmp_path, file="tea.sav")
    frame = pd.DataFrame(typed_rows(), columns=HEADER.split(";"))
    frame["Nr"] = [1.0, 2.0, 3.0, 4.0]
    frame["Q1"] = [1.0, 0.0, 1.0, 7.0]
    frame["Q2"] = [3.0, NAN, 2.0, 2.0]
    frame["Q3"] = [8.0, NAN, 99.0, 4.5]
    labels = {1: "niet lekker", 2: "gaat wel", 3: "heel lekker"}
    pyreadstat.write_sav(
        frame,
        project.raw("a") / "tea.sav",
        variable_value_labels={
            "Q1": {0: "nee", 1: "ja", 7: "-"}, "Q2": labels, "Q3": labels | {8: "weet niet"},
        },
        missing_ranges={"Q1": [7], "Q3": [8]},
    )  # fmt: skip
    raw = read_export(project, wave)
    pd.testing.assert_frame_equal(raw.values, VALUES)
    pd.testing.assert_frame_equal(raw.missing, MISSING)
    assert raw.meta["respondent_id"].tolist() == ["1", "2", "3", "4"]
    assert raw.meta["started"].dt.minute.tolist()[::3] == [30, 0]
    np.testing.assert_array_equal(raw.meta["duration_minutes"], [4.5, NAN, 12, 3.25])


def test_a_user_missing_value_without_a_label_is_a_blank(tmp_path):
    project, wave = tea(tmp_path, file="tea.sav")
    frame = pd.DataFrame(typed_rows(), columns=HEADER.split(";"))
    frame["Nr"] = [1.0, 2.0, 3.0, 4.0]
    frame["Q1"], frame["Q2"], frame["Q3"] = 1.0, 2.0, [3.0, 2.0, 1.0, 95.0]
    gaps = {"Q2": [2], "Q3": [3, {"lo": 90, "hi": 99}]}  # 3, a code of the scale, is one of them
    pyreadstat.write_sav(frame, project.raw("a") / "tea.sav", missing_ranges=gaps)
    raw = read_export(project, wave)
    names = list(raw.values)
    assert raw.values[names[1]].isna().all() and (raw.missing[names[1]] == "not_answered").all()
    assert raw.values[names[2]].tolist()[1:3] == [2.0, 1.0]
    assert (raw.missing[names[2]] == "not_answered").tolist() == [True, False, False, True]


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "export", "said"),
    [
        (None, {}, ["no export of wave a", "put tea.csv in", "data/raw/a"]),
        (b"", {}, ["tea.csv is empty"]),
        (b"\xef\xbb\xbf\r\n\r\n", {}, ["tea.csv is empty"]),
        (HEADER.encode(), {}, ["no rows below its header"]),
        (
            HEADER.replace(";", ",").encode() + b"\n1,2",
            {},
            ["one column only", "try delimiter: ','"],
        ),
        ((HEADER + "\n1;2\ncafé").encode("cp1252"), {}, ["is not utf-8-sig text: line 3, byte 46"]),
        (HEADER.encode("utf-16"), {}, ["byte 0 cannot be read", "perhaps utf-16"]),
        (HEADER.encode("utf-8-sig"), {"encoding": "utf-8"}, ["write encoding: utf-8-sig"]),
        (HEADER.encode("utf-8-sig"), {"encoding": "cp1252"}, ["write encoding: utf-8-sig"]),
        (HEADER.encode(), {"encoding": "latin-99"}, ["'latin-99' is not known"]),
        ((HEADER + '\n1;;;ja;;;;x\n2;;;"ja;;;;x\n').encode(), {}, ["line 3", "quotation mark"]),
        (
            b"a;b;c\n1;2;3",
            {},
            ["none of the columns of the wave. Its first columns: 'a', 'b', 'c'"],
        ),
        (b"x", {"file": "tea.pdf"}, ["tea.pdf is of a kind", ".csv, .txt, .tsv, .xlsx, .sav"]),
        (b"x", {"file": "tea.xlsx"}, ["tea.xlsx is not a readable xlsx file"]),
        (b"x", {"file": "tea.sav"}, ["tea.sav is not a readable SPSS file"]),
    ],
)
def test_files_that_cannot_be_read_at_all(tmp_path, content, export, said):
    message = refusal(tmp_path, content=content, **export)
    assert [words for words in said if words not in message] == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1;;;;;;;;9", "line 3: 9 fields where the header has 8"),
        ("1;;;;", "line 3: 5 fields where the header has 8"),
        (";;;ja;;;;", "line 3: respondent_id is blank"),
        ("0;;;ja;;;;", "lines 2, 3: respondent_id '0' stands 2 times"),
        ("1;03-01-2020 10:00;;;;;;", "line 3, column 'Start': '03-01-2020 10:00' is not a time"),
        ("1;;4.5;;;;;", "line 3, column 'Minuten': '4.5' is not a number with decimal ','"),
        ("1;;1.234,5;;;;;", "'1.234,5' is not a number"),
        ("1;;1e3;;;;;", "'1e3' is not a number"),
        ("1;;;;hele lekker;;;", "'Q2' (green): 'hele lekker' (1 times) is not in the scale liking"),
        ("1;;;;hele lekker;;;", "Closest: 'heel lekker'"),
        ("1;;;;NA;;;", "'NA' (1 times) is not in the scale liking"),
        ("1;;;;2.0;;;", "'2.0' (1 times) is not in the scale liking"),
        ("1;;;weet niet;;;;", "'weet niet' (1 times) is not in the scale yesno. Its answers: nee"),
        ("1;;;;;qqq;;", "add it to a.yaml under answers:"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_read(tmp_path, row, said):
    assert said in refusal(tmp_path, ["0;;;nee;;;;", row])


def test_blank_numbers_are_not_called_double(tmp_path):
    message = refusal(tmp_path, [";;;ja;;;;", ";;;nee;;;;"])
    assert "1 fault" in message and "lines 2, 3: respondent_id is blank" in message


def test_lines_are_counted_in_the_file_also_after_a_text_of_two_lines(tmp_path):
    message = refusal(tmp_path, ['1;;;;;;"two\r\nlines";', "2;;x;;;;;"])
    assert "line 4, column 'Minuten': 'x'" in message


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (HEADER.replace("Minuten", "Minuut"), "(duration_minutes) is absent. Closest: 'Minuut'"),
        (HEADER.replace("Mail", "Extra"), "column 'Mail' (email) is absent.\n"),
        (HEADER.replace("Browser", "Extra"), "column 'Extra' is not described: add it to columns"),
        (HEADER.replace("Browser", "Q2"), "column 'Q2' stands 2 times"),
        (HEADER.replace("Browser", ""), "column 8 (counted from the left) has cells but no name"),
        (HEADER.replace("Nr", "nr"), "column 'Nr' (respondent_id) is absent. Closest: 'nr'"),
    ],
)  # fmt: skip
def test_headers_that_do_not_fit(tmp_path, header, said):
    assert said in refusal(tmp_path, ROWS, header)


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    rows = ["1;gisteren;lang;joa;lekker;;;", "1;;;ja;lekker;;;", "2;;"]
    message = refusal(tmp_path, rows, HEADER.replace("Browser", "Extra").replace("Q3", "Q4"))
    said = [
        "tea.csv does not fit wave a: 9 faults",
        "column 'Q3' (black) is absent. Closest: 'Q4'",
        "column 'Q4' is not described",
        "column 'Extra' is not described",
        "line 4: 3 fields",
        "lines 2, 3: respondent_id '1'",
        "'gisteren' is not a time written as %Y-%m-%d %H:%M",
        "'lang' is not a number",
        "'joa' (1 times) is not in the scale yesno. Closest: 'ja'",
        "'lekker' (2 times) is not in the scale liking",
    ]
    assert [words for words in said if words not in message] == []


def test_many_faults_of_one_kind_are_counted(tmp_path):
    rows = [f"{k};x;;;word{k};;;" for k in range(30)]
    message = refusal(tmp_path, rows)
    assert "column 'Start': 20 more like these" in message
    assert "column 'Q2' (green): 20 more answers are not in the scale" in message
    assert "line 11, column 'Start'" in message and "line 12, column 'Start'" not in message
