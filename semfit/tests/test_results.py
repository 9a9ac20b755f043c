"""What is made of a fit: its summary, intervals, scores, moments (lavaan: reference/results.R)."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_estimators import fit_case, read_case

import semfit
from semfit.results.numerals import number, p_value, whole

REFERENCE = Path(__file__).parent / "reference"
ANSWERS = json.loads((REFERENCE / "results.json").read_text())
KEY = ["lhs", "op", "rhs", "group"]
TEXT = "f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; g ~ a*f + age; double := 2*a"


@pytest.fixture(scope="module", params=ANSWERS)
def compared(request):
    """Our fit of a case, and what lavaan makes of its own."""
    case, data = read_case(request.param)
    return fit_case(case, data), ANSWERS[request.param], data


@pytest.fixture(scope="module")
def fit():
    return semfit.fit(semfit.read_model(TEXT), semfit.example_data(), "MLR")


def close(ours, theirs, atol=2e-6, rtol=2e-6):
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    np.testing.assert_allclose(ours, theirs, rtol, atol, equal_nan=True)


# ---- intervals, and other standardised solutions -------------------------------------------------


@pytest.mark.parametrize(
    ("table", "estimate", "call"),
    [
        ("intervals", "est", lambda fit: fit.intervals(0.9)),
        ("std.lv", "est.std", lambda fit: fit.standardized("std_lv")),
        ("std.nox", "est.std", lambda fit: fit.standardized("std_nox")),
    ],
)
def test_intervals_are_lavaans(compared, table, estimate, call):
    fit, answers, _ = compared
    theirs = pd.DataFrame(answers[table])
    theirs["group"] = [fit.groups[max(int(g), 1) - 1] for g in theirs["group"]]
    names = [estimate, "se", "z", "pvalue", "ci.lower", "ci.upper"]
    theirs[names] = theirs.reindex(columns=names).astype(float)
    theirs.loc[~(theirs["se"] > 1e-7), names[1:]] = np.nan
    ours = call(fit)
    ours["rhs"] = ours["rhs"].str.replace(" ", "")  # of a formula
    both = ours.merge(theirs, on=KEY, suffixes=("", "_r"), validate="1:1")
    assert len(both) == len(ours) == len(theirs)
    for mine, name in zip(["estimate", "se", "ci_low", "ci_high"], [0, 1, 4, 5], strict=True):
        close(both[mine], both[names[name] if names[name] in both and mine != "se" else "se_r"])


def test_the_table_of_estimates_stays_at_95_percent(fit):
    pd.testing.assert_frame_equal(
        fit.intervals()[["estimate", "ci_low", "ci_high"]].iloc[: len(fit.estimates)],
        fit.estimates[["estimate", "ci_low", "ci_high"]],
    )
    wide, narrow = fit.intervals(0.99), fit.intervals(0.5)
    known = wide["ci_low"].notna()
    assert (wide["ci_low"] < narrow["ci_low"])[known].all()
    assert wide.iloc[-1][["lhs", "op", "rhs"]].tolist() == ["double", ":=", "2*a"]
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit.intervals(95)
    with pytest.raises(ValueError, match="there is: std_all, std_lv, std_nox"):
        fit.standardized("std.lv")


# ---- how numbers are printed ---------------------------------------------------------------------


def test_numbers_as_the_field_prints_them():
    assert [number(v) for v in (-0.0004, 0.0, 1.23456, -2.0, np.nan)] == [
        *("0.000", "0.000", "1.235", "-2.000", "")
    ]
    assert [p_value(p) for p in (0.0, 0.0004, 0.0126, 0.05, 0.9998, 1.0, np.nan)] == [
        *("<.001", "<.001", ".013", ".050", ">.999", ">.999", "")
    ]
    assert [whole(v) for v in (24.0, 18.25, np.nan)] == ["24", "18.250", ""]


# ---- the summary ---------------------------------------------------------------------------------


def numbers_of(line):
    return [float(x) for x in re.findall(r"(?<![\w<>])-?\d*\.\d+", line.split("  ", 2)[-1])]


def test_print_shows_what_lavaans_summary_does(fit):
    text = str(fit)
    assert text == repr(fit) == fit.summary().text
    order = ["Estimator", "Test and fit", "Chi-square", "Baseline model", "CFI", "TLI", "AIC"]
    order += ["BIC", "RMSEA", "SRMR", "Latent variables", "Regressions", "Variances", "R-square"]
    places = [text.index(word) for word in [*order, "Defined"]]
    assert places == sorted(places)
    row = fit.estimates.query("lhs == 'g' and rhs == 'age'").iloc[0]
    (line,) = [line for line in text.splitlines() if line.strip().startswith("age")]
    shown = [f"{row[c]:.3f}" for c in ("estimate", "se", "z")]
    shown += [p_value(row["p"]), f"{row['std_lv']:.3f}", f"{row['std_all']:.3f}"]
    assert line.split()[1:] == shown
    for column in ("standard", "scaled", "robust"):
        cfi = fit.measures.set_index("measure").loc["cfi", column]
        assert f"{cfi:.3f}" in next(x for x in text.splitlines() if x.strip().startswith("CFI"))


def test_every_estimate_stands_in_the_summary_once(compared):
    fit, _, _ = compared
    text = fit.summary().text
    shown = fit.layout.table[~fit.layout.table["exogenous"].astype(bool)]
    heads = ("Latent", "Regressions", "Covariances", "Intercepts", "Thresholds", "Variances")
    blocks = [b for b in text.split("\n\n") if b.startswith((*heads, "Scales"))]
    rows = [line for b in blocks for line in b.splitlines()[2:] if re.search(r"\.\d{3}", line)]
    assert len(rows) == len(shown)
    assert max(map(len, text.splitlines())) <= 100


def test_columns_of_numbers_are_aligned(fit):
    for block in fit.summary(0.9, intervals=True).text.split("\n\n"):
        if block.startswith(("Latent", "Variances")):
            heading, *rows = block.splitlines()[1:]
            ends = {m.end() for m in re.finditer(r"\S+(?: %)?(?: low)?", heading)}
            for row in rows:
                assert {m.end() for m in re.finditer(r"(?<=\s)[-<>]?\d*\.\d{3}", row)} <= ends


def test_problems_come_first_and_no_number_is_shown_without_a_solution():
    data = semfit.example_data(40)
    data["x3"] = data["x1"] * 0.5 + data["x2"] * 0.01 + 1e-4 * data["x4"]
    model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6")
    whole_fit = semfit.fit(model, semfit.example_data(60))
    text = str(whole_fit)
    assert text.index("Problems") < text.index("Estimator") < text.index("Test and fit")
    broken = _without_solution(whole_fit)
    text, html = broken.summary().text, broken._repr_html_()
    assert "error" in text.split("Estimator")[0]
    for view in (text, html):
        assert "Latent variables" not in view and "CFI" not in view
    assert set(broken.summary().tables) == {"problems"}


def _without_solution(fit):
    """The fit, with what a search that ended nowhere leaves."""
    from dataclasses import replace

    row = {
        "code": "not_converged",
        "severity": "error",
        "what": "not converged",
        "where": "f =~ x2",
    }
    row |= {"next_step": "free less", "values": "{}"}
    return replace(fit, converged=False, problems=pd.DataFrame([row]))


def test_options_of_a_summary(fit):
    plain = fit.summary(standardized=False, measures=False, decimals=2)
    assert "Std.all" not in plain.text and "CFI" not in plain.text
    assert re.search(r"x2 +\d\.\d\d +", plain.text)
    wide = fit.summary(0.9, intervals=True)
    assert "90 % low" in wide.text
    merged = wide.tables["estimates"].merge(fit.intervals(0.9), on=KEY)
    close(merged["ci_low_x"], merged["ci_low_y"])
    close(wide.tables["defined"]["ci_high"], fit.intervals(0.9)["ci_high"].iloc[-1:])
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit.summary(0)


class Page(HTMLParser):
    """Tags that are open, tables with their parts, and words."""

    def __init__(self):
        super().__init__()
        self.open, self.tables, self.scopes, self.words = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag in ("caption", "thead", "tbody"):
            self.tables[-1].append(tag)
        elif tag == "th":
            self.scopes.append(dict(attrs).get("scope"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] != "style":
            self.words.append(data)


def test_html_is_well_formed_and_holds_the_same_numbers(compared):
    fit, _, _ = compared
    html, text = fit._repr_html_(), fit.summary().text
    page = Page()
    page.feed(html)
    assert page.open == [] and "<script" not in html and "http" not in html
    assert None not in page.scopes
    assert all("caption" in table for table in page.tables[1 + bool(len(fit.problems)) :])
    numbers = re.compile(r"[-<>]?\d*\.\d{3}\b")
    assert sorted(numbers.findall(" ".join(page.words))) == sorted(numbers.findall(text))


def test_names_are_escaped_in_html(fit):
    from semfit.results.blocks import Block, Row, block_html

    html = block_html(Block("a < b", ("x&y",), [Row("<i>", ("1",), "f =~ <b>")]))
    assert "<i>" not in html and "&lt;i&gt;" in html and "x&amp;y" in html
