"""Descriptive statistics: against base R (reference/descriptives.R), properties, refusals.

Then what is made of them for a result of the analysis, and what is left out with the reason.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mkb21.run.paths import Project
from mkb21.survey import descriptives as d
from mkb21.survey.analysis import Indicators, Result, load_analysis
from mkb21.survey.instrument import load_wave
from semfit import reliability

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "tests" / "reference"
LIKERT = ["A1", "A2", "A3", "A4", "A5", "N1", "N2"]
BINARY = ["low_a1", "high_a2", "rare_a5", "rare_n1", "never"]
ZERO = 1e-12  # a percentage of 0: no relative difference is defined
PAIRS = [("A1", "A2"), ("A2", "A3"), ("A4", "A5"), ("N1", "N2"), ("A5", "A4")]


@pytest.fixture(scope="module")
def bfi():
    return pd.read_csv(REFERENCE / "descriptives_bfi.csv").astype(float)


@pytest.fixture
def answers():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.integers(1, 6, (40, 3)), columns=["x", "y", "z"]).astype(float)
    frame.loc[:3, "x"] = np.nan
    return frame.assign(side=np.arange(40) % 2, yes=(frame["z"] > 3).astype(float))


def assert_same(table, name, atol=0.0):
    """Every cell of the table equals the reference: its columns, rows, texts and numbers."""
    reference = pd.read_csv(REFERENCE / f"descriptives_{name}.csv")
    assert list(table.columns) == list(reference.columns)
    pd.testing.assert_frame_equal(table, reference, check_dtype=False, rtol=1e-9, atol=atol)


# --- against R -----------------------------------------------------------------------------------


def test_frequencies_equal_r(bfi):
    assert_same(reliability.frequencies(bfi, "education", range(7)), "frequencies", ZERO)
    assert_same(
        reliability.frequencies(bfi, "education", range(7), confidence=0.9), "frequencies_90", ZERO
    )


def test_shares_equal_r(bfi):
    assert_same(reliability.distributions(bfi, LIKERT, range(1, 7)), "distributions", ZERO)
    assert_same(reliability.shares(bfi, LIKERT, [5, 6]), "shares")
    assert_same(reliability.multiple_response(bfi, BINARY), "multiple_response", ZERO)


def test_means_equal_r(bfi):
    assert_same(reliability.means(bfi, LIKERT), "means")
    assert_same(reliability.means(bfi, LIKERT, confidence=0.9), "means_90")


def test_paired_gaps_equal_r(bfi):
    assert_same(reliability.paired_gaps(bfi, PAIRS), "paired_gaps")
    few = pd.DataFrame({"before": 0.0, "after": np.arange(7.0, 12)})
    assert_same(reliability.paired_gaps(few, [("before", "after"), ("after", "before")]), "few")


def test_group_comparisons_equal_r(bfi):
    assert_same(reliability.compare_means(bfi, LIKERT, "gender"), "compare_means")
    assert_same(reliability.compare_shares(bfi, BINARY, "gender"), "compare_shares")


# --- properties ----------------------------------------------------------------------------------


def test_percentages_of_a_share_and_of_the_rest_add_up_to_100(bfi):
    some, rest = (
        reliability.shares(bfi, LIKERT, [1, 2]),
        reliability.shares(bfi, LIKERT, [3, 4, 5, 6]),
    )
    assert np.allclose(some["percent"] + rest["percent"], 100)
    assert np.allclose(some["ci_low"], 100 - rest["ci_high"])
    assert np.allclose(
        reliability.distributions(bfi, LIKERT).groupby("variable")["percent"].sum(), 100
    )


@pytest.mark.parametrize(("value", "limit", "at"), [(0, "ci_low", 0), (1, "ci_high", 100)])
def test_the_interval_of_nobody_and_of_everybody_stays_within_0_and_100(value, limit, at):
    row = reliability.shares(pd.DataFrame({"x": [float(value)] * 9}), ["x"], [1]).iloc[0]
    assert row[limit] == pytest.approx(at, abs=1e-12)
    assert 0 <= row["ci_low"] < row["ci_high"] <= 100


def test_an_option_that_is_missing_for_who_answered_counts_as_not_chosen():
    data = pd.DataFrame({"a": [1, np.nan, 0, np.nan], "b": [np.nan, 1, 0, np.nan]})
    table = reliability.multiple_response(data, ["a", "b"])
    assert table["n_valid"].tolist() == [3, 3]
    assert table["n"].tolist() == [1, 1]


def test_codes_may_be_a_dict_of_labels_and_set_the_order(answers):
    table = reliability.frequencies(
        answers, "y", {5: "always", 9: "unused", 4: "", 3: "", 2: "", 1: "never"}
    )
    assert table["code"].tolist() == [5, 9, 4, 3, 2, 1]
    assert table["n"].tolist()[1] == 0
    assert table["n"].sum() == 40


def test_exchanging_the_pair_turns_the_gap_around(answers):
    there, back = reliability.paired_gaps(answers, [("x", "y"), ("y", "x")]).to_dict("records")
    assert there["n"] == 36
    for low, high in [("difference", "difference"), ("ci_low", "ci_high"), ("t", "t")]:
        assert there[low] == pytest.approx(-back[high])
    assert there["dz_ci_low"] == pytest.approx(-back["dz_ci_high"])
    assert there["p"] == pytest.approx(back["p"])


def test_effect_intervals_include_zero_exactly_when_the_t_test_does():
    rng = np.random.default_rng(2)
    noise = rng.normal(size=30)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    for t in (-2.05, -2.04, 2.04, 2.05, 60, -60):  # the critical value of 29 df is 2.0452
        data = pd.DataFrame({"a": 0.0, "b": noise + t / np.sqrt(30)}, index=range(30))
        row = reliability.paired_gaps(data, [("a", "b")]).iloc[0]
        assert row["t"] == pytest.approx(t)
        assert (row["dz_ci_low"] * row["dz_ci_high"] > 0) == (row["p"] < 0.05)
        assert row["dz_ci_low"] < row["cohens_dz"] < row["dz_ci_high"]


def test_holm_is_never_below_p_and_of_one_test_is_p(bfi, answers):
    for table in (
        reliability.paired_gaps(bfi, PAIRS),
        reliability.compare_means(bfi, LIKERT, "gender"),
    ):
        assert (table["p_holm"] >= table["p"]).all()
        assert (table["p_holm"] > table["p"]).any()
    single = reliability.compare_shares(answers, "yes", "side")
    assert single["p_holm"].tolist() == single["p"].tolist()


def test_two_by_two_agrees_with_the_general_table(bfi):
    for row in reliability.compare_shares(bfi, ["low_a1", "high_a2"], "gender").itertuples():
        counts = pd.crosstab(bfi[row.variable], bfi["gender"]).to_numpy()
        assert np.isclose(stats.contingency.association(counts, "cramer"), abs(row.phi))
        assert np.isclose(stats.chi2_contingency(counts, correction=False).pvalue, row.p)


def test_order_of_rows_does_not_matter_and_data_stay_as_they_were(bfi):
    before = bfi.copy()
    shuffled = bfi.sample(frac=1, random_state=1)
    for make in (
        lambda x: reliability.means(x, LIKERT),
        lambda x: reliability.compare_means(x, LIKERT, "gender"),
        lambda x: reliability.compare_shares(x, BINARY, "gender"),
        lambda x: reliability.missing_patterns(x, LIKERT),
    ):
        pd.testing.assert_frame_equal(make(bfi), make(shuffled))
    pd.testing.assert_frame_equal(bfi, before)


def test_integer_and_nullable_columns_give_the_same_numbers(answers):
    nullable = answers.astype("Int64")
    pd.testing.assert_frame_equal(reliability.means(nullable, "x"), reliability.means(answers, "x"))
    pd.testing.assert_frame_equal(
        reliability.shares(nullable, "x", [1]), reliability.shares(answers, "x", [1])
    )


def test_a_group_may_be_named_by_text(answers):
    named = answers.assign(side=answers["side"].map({0: "east", 1: "north"}))
    by_text, by_code = (reliability.compare_means(x, "x", "side") for x in (named, answers))
    assert by_text[["first", "second"]].to_numpy().tolist() == [["east", "north"]]
    assert by_text["t"].tolist() == by_code["t"].tolist()


# --- missing data --------------------------------------------------------------------------------


@pytest.fixture
def routed():
    """Four people; the last two were not asked b and c."""
    data = pd.DataFrame({"a": [1, np.nan, 3, 4], "b": [np.nan] * 4, "c": [5, *[np.nan] * 3]})
    asked = pd.DataFrame({"a": [True] * 4, "b": [True, True, False, False]})
    return data, asked.assign(c=asked["b"])


def test_not_asked_is_not_missing(routed):
    data, asked = routed
    table = reliability.missing_summary(data, ["a", "b", "c"], asked).set_index("variable")
    assert table["n_asked"].tolist() == [4, 2, 2]
    assert table["n_missing"].tolist() == [1, 2, 1]
    assert table["n_valid"].tolist() == [3, 0, 1]
    assert table["percent"].tolist() == [25, 100, 50]
    assert reliability.missing_summary(data, ["b", "c"])["n_missing"].tolist() == [4, 3]


def test_nobody_asked_has_no_percentage(routed):
    data, asked = routed
    row = reliability.missing_summary(data, "b", asked & False).iloc[0]
    assert (row["n_asked"], row["n_missing"]) == (0, 0)
    assert np.isnan(row["percent"])


def test_patterns_name_what_is_missing_together(routed):
    data, asked = routed
    table = reliability.missing_patterns(data, ["a", "b", "c"], asked)
    assert table["missing"].tolist() == ["", "b", "a, b, c"]
    assert table["n_missing"].tolist() == [0, 1, 3]
    assert table["n"].tolist() == [2, 1, 1]
    assert table["percent"].tolist() == [50, 25, 25]


def test_patterns_add_up_to_the_summary(bfi):
    patterns, summary = (
        reliability.missing_patterns(bfi, LIKERT),
        reliability.missing_summary(bfi, LIKERT),
    )
    assert patterns["n"].sum() == 200
    assert patterns["n"].is_monotonic_decreasing
    assert (patterns["n"] * patterns["n_missing"]).sum() == summary["n_missing"].sum()
    for name, n_missing in summary.set_index("variable")["n_missing"].items():
        assert patterns["n"][patterns["missing"].str.contains(name)].sum() == n_missing


def test_a_mask_that_contradicts_the_data_is_refused(routed):
    data, asked = routed
    with pytest.raises(ValueError, match="'c' has answers where `asked` is False"):
        reliability.missing_summary(data, ["b", "c"], ~asked)
    with pytest.raises(ValueError, match="same rows"):
        reliability.missing_patterns(data, "a", asked.iloc[:2])
    with pytest.raises(ValueError, match="True or False"):
        reliability.missing_patterns(data, "a", asked.astype(float))
    with pytest.raises(ValueError, match="no column 'b'"):
        reliability.missing_summary(data, "b", asked[["a"]])


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda x, v: reliability.frequencies(x, v),
        lambda x, v: reliability.distributions(x, [v]),
        lambda x, v: reliability.multiple_response(x, [v]),
        lambda x, v: reliability.shares(x, [v], [1]),
        lambda x, v: reliability.means(x, [v]),
        lambda x, v: reliability.paired_gaps(x, [("y", v)]),
        lambda x, v: reliability.compare_means(x, [v], "side"),
        lambda x, v: reliability.compare_shares(x, [v], "side"),
    ],
)
def test_every_function_names_the_column_that_it_cannot_use(answers, call):
    data = answers.assign(words="yes", endless=np.inf, empty=np.nan)
    for name, reason in [
        ("sidee", "no column 'sidee'.* Closest: side"),
        ("words", "'words' is not numeric"),
        ("endless", "'endless' holds infinite values"),
        ("empty", "empty.* fewer than|0 valid answers"),
    ]:
        with pytest.raises(ValueError, match=reason):
            call(data, name)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda x: reliability.means(x, []), "No variables were named"),
        (lambda x: reliability.means(x, ["x", "x"]), "'x' is named twice"),
        (lambda x: reliability.means(pd.concat([x, x], axis=1), "x"), "'x' stands more than once"),
        (lambda x: reliability.means(x.tail(1), "x"), "'x' has 1 valid answers, fewer than 2"),
        (lambda x: reliability.frequencies(x, "x", [1, 2, 3, 4]), "'x' holds 5, none of its codes"),
        (
            lambda x: reliability.frequencies(x, "x", [1, 1, 2]),
            "1 stands more than once among the codes",
        ),
        (lambda x: reliability.shares(x, "x", []), "No codes were given"),
        (lambda x: reliability.multiple_response(x, ["yes", "x"]), "'x' holds more than 0 and 1"),
        (lambda x: reliability.paired_gaps(x, []), "nothing to test"),
        (
            lambda x: reliability.paired_gaps(x.assign(w=x["x"] + 1), [("x", "w")]),
            "'w' - 'x' is the same",
        ),
        (lambda x: reliability.paired_gaps(x.head(5), [("x", "y")]), "'x - y' has 1 valid answers"),
        (lambda x: reliability.compare_means(x, "x", "y"), "'y' has 5 groups .* two groups"),
        (lambda x: reliability.compare_means(x, "x", "nobody"), "'nobody' has 0 groups"),
        (lambda x: reliability.compare_means(x, "one", "side"), "'one' is constant in both groups"),
        (
            lambda x: reliability.compare_means(x.head(7), "x", "side"),
            "'x' has 1 valid answers in group 1",
        ),
        (lambda x: reliability.compare_shares(x, "x", "side"), "'x' holds more than 0 and 1"),
        (lambda x: reliability.missing_patterns(x.head(0), "x"), "no rows"),
    ],
)
def test_refusals_say_what_and_where(answers, call, reason):
    data = answers.assign(one=1.0, nobody=np.nan)
    with pytest.raises(ValueError, match=reason):
        call(data)


def test_a_constant_has_a_mean_without_interval_and_a_warning(answers):
    with pytest.warns(UserWarning, match="'one' is constant"):
        row = reliability.means(answers.assign(one=4.0), "one").iloc[0]
    assert (row["n"], row["mean"], row["sd"], row["se"]) == (40, 4, 0, 0)
    assert np.isnan([row["ci_low"], row["ci_high"]]).all()


# --- what a result shows -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def analysis():
    project = Project(ROOT)
    return load_analysis(project, load_wave(project, "2012"))


@pytest.fixture
def rows():
    """Twelve respondents; the last two were not asked the preparation."""
    rng = np.random.default_rng(3)
    names = ["prep_research", "prep_training", "prep_policy", "mot_leads", "per_leads"]
    frame = pd.DataFrame(rng.integers(1, 6, (12, 5)), columns=names).astype(float)
    frame.loc[10:, names[:3]] = np.nan
    choices = {"b2b": [1.0, 0] * 6, "b2c": [1.0] * 12, "size": [1.0, 2, 3, 4] * 3}
    return frame.assign(**choices, weeks=np.arange(12.0) * 2, text=[1.0, np.nan] * 6)


def missing(rows):
    reasons = rows.isna().replace({True: "not_answered", False: ""})
    return reasons.mask(rows.isna() & (rows.index > 9)[:, None], "not_asked")


def tables(analysis, rows, items, kind, **more):
    title = {"nl": "t", "en": "t"}
    result = Result.model_validate({"title": title, "items": items, "kind": kind} | more)
    return d.tables_of(result, analysis, rows, missing(rows))


def test_bars_of_one_question_have_the_codes_of_the_wave(analysis, rows):
    made = tables(analysis, rows, ["size"], "bars")
    assert made.drawn["code"].tolist() == [1, 2, 3, 4]  # not 5, which is not eligible
    assert made.drawn["percent"].tolist() == [25.0] * 4


def test_options_are_of_those_who_chose_any(analysis, rows):
    rows.loc[:5, "b2c"] = np.nan
    made = tables(analysis, rows, ["b2b", "b2c"], "bars")
    assert made.drawn["n_valid"].tolist() == [12, 12] and made.drawn["n"].tolist() == [6, 6]


def test_stacked_bars_have_means_or_shares_below(analysis, rows):
    items = ["prep_research", "prep_training"]
    means = tables(analysis, rows, items, "stacked", table="means", shares=["agree"])
    assert list(means.files) == ["", "_means"] and len(means.drawn) == 10
    agree = (rows[items].dropna() > 3).mean() * 100
    assert np.allclose(means.shown["percent_agree"], agree)
    shares = tables(analysis, rows, items, "stacked", table="shares", shares=["agree", "disagree"])
    assert shares.shown["group"].tolist() == ["agree"] * 2 + ["disagree"] * 2
    assert shares.said["group"].tolist() == ["agree"] * 2


def test_what_is_added_stands_in_the_table_only(analysis, rows):
    made = tables(analysis, rows, ["prep_research"], "means", also=["prep_policy"])
    assert made.shown["variable"].tolist() == ["prep_research", "prep_policy"]
    assert made.drawn["variable"].tolist() == made.said["variable"].tolist() == ["prep_research"]


def test_gaps_leave_out_pairs_without_a_difference(analysis, rows):
    rows["mot_offers"], rows["per_offers"] = 2.0, 3.0
    rows["mot_turnover"], rows["per_turnover"] = 2.0, np.nan
    made = tables(analysis, rows, ["mot_leads", "mot_offers", "mot_turnover"], "gaps")
    assert made.drawn["first"].tolist() == ["mot_leads"]
    assert made.left_out == [("few", ["mot_turnover"]), ("same_gap", ["mot_offers"])]


def test_numbers_are_counted_in_bins_and_summed_up(analysis, rows):
    made = tables(analysis, rows, ["weeks"], "histogram")
    bins, spread = made.drawn, made.shown.iloc[0]
    assert bins["n"].sum() == 12 and set(bins["high"] - bins["low"]) == {5.0}
    for row in bins.itertuples():
        assert row.n == ((rows["weeks"] >= row.low) & (rows["weeks"] < row.high)).sum()
    assert spread[["min", "q1", "median", "q3", "max"]].tolist() == [0, 5.5, 11, 16.5, 22]
    ones = tables(analysis, rows.assign(weeks=[3.0] * 12), ["weeks"], "histogram")
    assert ones.drawn[["low", "high", "n"]].to_numpy().tolist() == [[2.5, 3.5, 12]]
    parts = tables(analysis, rows.assign(weeks=rows["weeks"] / 100), ["weeks"], "histogram")
    assert set((parts.drawn["high"] - parts.drawn["low"]).round(9)) == {0.05}


def test_of_an_open_question_only_how_many_answered(analysis, rows):
    table = tables(analysis, rows, ["text"], "answers").shown.iloc[0]
    assert (table["n"], table["n_asked"]) == (6, 11)  # one of the last two was not asked


@pytest.mark.parametrize("kind", ["bars", "stacked", "means", "gaps", "histogram", "answers"])
def test_what_cannot_be_shown_has_a_reason(analysis, rows, kind):
    items = ["weeks"] if kind == "histogram" else ["mot_leads"]
    nobody = tables(analysis, rows.head(0), items, kind)
    assert not nobody.files and nobody.left_out == [("nobody", [])]
    blank = rows.assign(**{name: np.nan for name in [*items, "per_leads"]})
    made = tables(analysis, blank, items, kind)
    if kind == "answers":
        assert made.shown["n"].tolist() == [0]
    else:
        why = "few" if kind == "gaps" else "unanswered"
        assert not made.files and made.left_out == [(why, items)]
    if kind in ("means", "histogram"):
        assert tables(analysis, rows.head(1), items, kind).left_out == [("few", items)]


def test_a_constant_item_is_shown_without_an_interval(analysis, rows, recwarn):
    rows["prep_policy"] = 4.0
    made = tables(analysis, rows, ["prep_research", "prep_policy"], "means")
    assert made.shown["sd"].tolist()[1] == 0 and np.isnan(made.shown["ci_low"].tolist()[1])
    assert not recwarn.list and not made.left_out


def test_indicators_count_who_was_not_asked_and_keep_the_highest(analysis, rows):
    label = {"nl": "a", "en": "a"}
    row = {"label": label, "items": ["prep_research", "prep_training"], "codes": [4, 5]}
    specs = {"all": row | {"everyone": True}, "asked": row, "top": row | {"top": 1}}
    spec = Indicators.model_validate({"title": label, "rows": specs})
    found = d.indicators(spec, analysis, lambda _: rows, missing(rows)).set_index("indicator")
    assert (
        found.loc["all", "n"].tolist() == [12, 12] and found.loc["asked", "n"].tolist() == [10] * 2
    )
    agree = (rows[row["items"]] > 3).sum()
    assert np.allclose(found.loc["all", "estimate"], 100 * agree / 12)
    assert found.loc["top", "estimate"] == 100 * agree.max() / 10


def test_an_indicator_of_a_contrast_is_the_difference_of_both_kinds(analysis):
    rng = np.random.default_rng(1)
    items = analysis.contrasts["ways"]
    names = [*items.interactive, *items.other]
    rows = pd.DataFrame(rng.integers(1, 6, (30, 6)), columns=names).astype(float)
    label = {"nl": "a", "en": "a"}
    spec = Indicators.model_validate(
        {"title": label, "rows": {"w": {"label": label, "contrast": "ways"}}}
    )
    found = d.indicators(spec, analysis, lambda _: rows, missing(rows)).iloc[0]
    gap = rows[items.interactive].mean(axis=1) - rows[items.other].mean(axis=1)
    assert found["estimate"] == pytest.approx(gap.mean()) and found["variable"] == "difference"
