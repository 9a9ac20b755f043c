"""Display tables and CSV files: what is shown, what is refused, what is written."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from mkb21.page import tables

NOTICE = "Reconstructie: verzonnen respondenten. <Geen> waarnemingen & *geen* bevindingen."
FRAME = pd.DataFrame(
    {
        "item": ["a < b", "c & d", None, "*e*"],
        "part": ["tweede", "eerste", "tweede", "eerste"],
        "n": [256, 1500, np.nan, 0],
        "mean": [2.284, -0.004, np.nan, -1.25],
        "low": [2.1, -0.2, 1.0, np.nan],
        "high": [2.4, 0.2, 2.0, 1.0],
        "p": [0.00099, 0.0445, np.nan, 1.0],
        "share": [39.6, 100.0, 0.0, np.nan],
        "holds": [True, False, None, 1],
    },
    index=[7, 3, 3, 9],
)
COLUMNS = {
    "item": ("Item", "text"),
    "n": ("n", "integer"),
    "mean": ("M", "decimals2"),
    ("low", "high"): ("95%-BI", "interval1"),
    "p": ("p", "p"),
    "share": ("Aandeel", "percent"),
    "holds": ("Klopt", "bool"),
}
DUTCH = [
    ["a < b", "256", "2,28", "[2,1; 2,4]", "< ,001", "40%", "ja"],
    ["c & d", "1500", "0,00", "[−0,2; 0,2]", ",044", "100%", "nee"],
    ["–", "–", "–", "[1,0; 2,0]", "–", "0%", "–"],
    ["*e*", "0", "−1,25", "–", "> ,999", "–", "ja"],
]


class Cells(HTMLParser):
    """The texts of the cells of a table, row by row, and what its notes say."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.notes, self.groups, self.place = [], [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        kind = dict(attributes).get("class", "")
        if tag == "tr":
            self.rows.append([])
        elif tag == "td" and "gt_row" in kind:
            self.place = self.rows[-1]
            self.place.append("")
        elif "gt_group_heading" in kind and tag == "th":
            self.place = self.groups
            self.place.append("")
        elif "gt_sourcenote" in kind and tag == "td":
            self.place = self.notes
            self.place.append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.place = None

    def handle_data(self, data):
        if self.place is not None:
            self.place[-1] += data


def shown(**more):
    settings = {"notice": NOTICE, "language": "nl"} | more
    return tables.display(FRAME, COLUMNS, "Titel", **settings)


def test_cells_in_dutch_as_html_and_as_text():
    table = shown(note="n < 3")
    cells = Cells(table._repr_html_())
    assert [row for row in cells.rows if row] == DUTCH
    assert cells.notes == ["n < 3", NOTICE]
    title, _, heading, _, *rows = repr(table).splitlines()
    assert title == "Titel"
    assert heading.split() == ["Item", "n", "M", "95%-BI", "p", "Aandeel", "Klopt"]
    assert [re.split(r"\s{2,}", row) for row in rows[:4]] == DUTCH
    assert NOTICE in " ".join(rows) and "n < 3" in rows


def test_cells_in_english():
    row = Cells(shown(language="en")._repr_html_()).rows
    assert ["c & d", "1500", "0.00", "[−0.2, 0.2]", ".044", "100%", "no"] in row


def test_columns_of_the_text_are_aligned():
    lines = repr(shown(notice=None)).splitlines()
    for heading in ("n", "M", "95%-BI", "Aandeel"):  # numbers end below the end of their heading
        end = re.search(rf"(?<= ){re.escape(heading)}(?= )", lines[2]).end()
        assert all(line[end - 1 : end] != " " for line in lines[4:8])
        assert all(line[end : end + 2].strip() == "" for line in lines[4:8])


def test_html_is_stable_quiet_and_looks_like_apa():
    html = shown()._repr_html_()
    assert html == shown()._repr_html_()
    assert re.search(r"https?:|@import|<script|url\(", html) is None
    assert "tabular-nums" in html
    right = re.findall(r'gt_row gt_(left|right)">', html)[:7]
    assert right == ["left", "right", "right", "right", "right", "right", "left"]
    other = tables.display(FRAME, COLUMNS, "Ander", NOTICE, language="nl")._repr_html_()
    assert re.search('id="(t[0-9a-f]+)"', html)[1] != re.search('id="(t[0-9a-f]+)"', other)[1]


def test_groups_head_their_rows_in_the_order_of_the_frame():
    table = shown(groups="part")
    cells = Cells(table._repr_html_())
    assert cells.groups == ["tweede", "eerste"]
    assert [row[0] for row in cells.rows if row] == ["a < b", "–", "c & d", "*e*"]
    lines = repr(table).splitlines()[4:10]
    assert [line.split("  ")[0] for line in lines] == [
        "tweede",
        "a < b",
        "–",
        "eerste",
        "c & d",
        "*e*",
    ]


def test_observed_wave_has_no_notice_but_it_cannot_be_forgotten():
    table = shown(notice=None)
    assert Cells(table._repr_html_()).notes == []
    assert "Reconstructie" not in repr(table)
    with pytest.raises(TypeError, match="notice"):
        tables.display(FRAME, COLUMNS, "Titel", language="nl")


def test_frame_is_kept_and_an_empty_one_says_so():
    before = FRAME.copy(deep=True)
    shown(groups="part")
    pd.testing.assert_frame_equal(FRAME, before)
    empty = tables.display(FRAME[:0], COLUMNS, "T", NOTICE, language="en", groups="part")
    assert "(no rows)" in repr(empty) and "(no rows)" in empty._repr_html_()


@pytest.mark.parametrize(
    ("column", "form", "reason"),
    [
        ("nothing", "text", "no column .*nothing"),
        ("item", "decimals2", "'item' is shown as numbers but holds text"),
        ("mean", "integer", "'mean' holds numbers that are not whole"),
        ("mean", "p", "not a p value"),
        ("mean", "decimals", "unknown format 'decimals'"),
        ("mean", "p2", "unknown format 'p2'"),
        ("n", "bool", "'n' is shown as yes or no"),
        ("mean", "interval2", "needs two columns"),
        (("low", "high"), "decimals2", "needs two columns"),
    ],
)
def test_faults_are_named(column, form, reason):
    with pytest.raises(ValueError, match=reason):
        tables.display(FRAME, {column: ("x", form)}, "T", NOTICE, language="nl")


def test_other_faults_are_named():
    with pytest.raises(ValueError, match="language is 'de'"):
        shown(language="de")
    with pytest.raises(ValueError, match="no column .*gone"):
        shown(groups="gone")
    with pytest.raises(ValueError, match="no column chosen"):
        tables.display(FRAME, {}, "T", NOTICE, language="nl")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.001, ".001"), (0.00099999, "< .001"), (0.9994, ".999"), (0.9996, "> .999"), (0, "< .001")],
)
def test_p_values_at_the_ends(value, text):
    assert tables.p_value(value, "en") == text


def test_p_in_a_sentence_and_numbers_without_the_zeros_at_their_end():
    assert tables.p_equals(0.0123, "nl") == "p = ,012"
    assert tables.p_equals(0.00012, "en") == "p < .001"
    assert [tables.short(value, 2, "nl") for value in (0.5, 2.0, -0.25, 100)] == [
        "0,5",
        "2",
        "−0,25",
        "100",
    ]
    assert tables.short(100, 0, "en") == "100"


def test_csv_reads_back_as_the_same_numbers(tmp_path):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=200) * 10.0 ** rng.integers(-12, 12, 200)})
    frame["n"] = range(200)
    frame["name"] = ['é, "a"', None] * 100
    frame.loc[3, "x"] = np.nan
    path = tables.write_csv(frame.set_index(frame.index + 5), tmp_path / "new" / "table.csv")
    assert path == tmp_path / "new" / "table.csv"
    back = pd.read_csv(path)
    assert list(back.columns) == ["x", "n", "name"]
    assert back["x"].equals(frame["x"]) and back["n"].equals(frame["n"])
    assert back["name"].fillna("").tolist() == frame["name"].fillna("").tolist()
    content = path.read_bytes()
    assert b"\r" not in content and content.decode("utf-8").count("é") == 100
    assert tables.write_csv(frame, path).read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]


def test_csv_keeps_a_named_index(tmp_path):
    frame = pd.DataFrame({"n": [1]}, index=pd.Index(["a"], name="item"))
    assert tables.write_csv(frame, tmp_path / "t.csv").read_text() == "item,n\na,1\n"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (pd.DataFrame({"p": pd.Series([0.1, "-"], dtype=object)}), "'p' mixes numbers and text"),
        (pd.DataFrame({"p": pd.Series([1, "-"], dtype=object)}), "'p' mixes numbers and text"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' stands twice"),
    ],
)
def test_csv_refuses_and_leaves_the_old_file(frame, reason, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match=reason):
        tables.write_csv(frame, path)
    assert path.read_text() == "old"


def test_file_is_old_or_new_never_half(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("old")

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        tables.write_csv(pd.DataFrame({"a": [1]}), path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("t.csv", "old")]
