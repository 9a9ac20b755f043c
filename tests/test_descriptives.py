"""Descriptive statistics: against base R (reference/descriptives.R), properties, refusals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from semfit import reliability as d

REFERENCE = Path(__file__).parent / "reference"
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
    assert_same(d.frequencies(bfi, "education", range(7)), "frequencies", ZERO)
    assert_same(d.frequencies(bfi, "education", range(7), confidence=0.9), "frequencies_90", ZERO)


def test_shares_equal_r(bfi):
    assert_same(d.distributions(bfi, LIKERT, range(1, 7)), "distributions", ZERO)
    assert_same(d.shares(bfi, LIKERT, [5, 6]), "shares")
    assert_same(d.multiple_response(bfi, BINARY), "multiple_response", ZERO)


def test_means_equal_r(bfi):
    assert_same(d.means(bfi, LIKERT), "means")
    assert_same(d.means(bfi, LIKERT, confidence=0.9), "means_90")


def test_paired_gaps_equal_r(bfi):
    assert_same(d.paired_gaps(bfi, PAIRS), "paired_gaps")
    few = pd.DataFrame({"before": 0.0, "after": np.arange(7.0, 12)})
    assert_same(d.paired_gaps(few, [("before", "after"), ("after", "before")]), "few")


def test_group_comparisons_equal_r(bfi):
    assert_same(d.compare_means(bfi, LIKERT, "gender"), "compare_means")
    assert_same(d.compare_shares(bfi, BINARY, "gender"), "compare_shares")


# --- properties ----------------------------------------------------------------------------------


def test_percentages_of_a_share_and_of_the_rest_add_up_to_100(bfi):
    some, rest = d.shares(bfi, LIKERT, [1, 2]), d.shares(bfi, LIKERT, [3, 4, 5, 6])
    assert np.allclose(some["percent"] + rest["percent"], 100)
    assert np.allclose(some["ci_low"], 100 - rest["ci_high"])
    assert np.allclose(d.distributions(bfi, LIKERT).groupby("variable")["percent"].sum(), 100)


@pytest.mark.parametrize(("value", "limit", "at"), [(0, "ci_low", 0), (1, "ci_high", 100)])
def test_the_interval_of_nobody_and_of_everybody_stays_within_0_and_100(value, limit, at):
    row = d.shares(pd.DataFrame({"x": [float(value)] * 9}), ["x"], [1]).iloc[0]
    assert row[limit] == pytest.approx(at, abs=1e-12)
    assert 0 <= row["ci_low"] < row["ci_high"] <= 100


def test_an_option_that_is_missing_for_who_answered_counts_as_not_chosen():
    data = pd.DataFrame({"a": [1, np.nan, 0, np.nan], "b": [np.nan, 1, 0, np.nan]})
    table = d.multiple_response(data, ["a", "b"])
    assert table["n_valid"].tolist() == [3, 3]
    assert table["n"].tolist() == [1, 1]


def test_codes_may_be_a_dict_of_labels_and_set_the_order(answers):
    table = d.frequencies(answers, "y", {5: "always", 9: "unused", 4: "", 3: "", 2: "", 1: "never"})
    assert table["code"].tolist() == [5, 9, 4, 3, 2, 1]
    assert table["n"].tolist()[1] == 0
    assert table["n"].sum() == 40


def test_exchanging_the_pair_turns_the_gap_around(answers):
    there, back = d.paired_gaps(answers, [("x", "y"), ("y", "x")]).to_dict("records")
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
        row = d.paired_gaps(data, [("a", "b")]).iloc[0]
        assert row["t"] == pytest.approx(t)
        assert (row["dz_ci_low"] * row["dz_ci_high"] > 0) == (row["p"] < 0.05)
        assert row["dz_ci_low"] < row["cohens_dz"] < row["dz_ci_high"]


def test_holm_is_never_below_p_and_of_one_test_is_p(bfi, answers):
    for table in (d.paired_gaps(bfi, PAIRS), d.compare_means(bfi, LIKERT, "gender")):
        assert (table["p_holm"] >= table["p"]).all()
        assert (table["p_holm"] > table["p"]).any()
    single = d.compare_shares(answers, "yes", "side")
    assert single["p_holm"].tolist() == single["p"].tolist()


def test_two_by_two_agrees_with_the_general_table(bfi):
    for row in d.compare_shares(bfi, ["low_a1", "high_a2"], "gender").itertuples():
        counts = pd.crosstab(bfi[row.variable], bfi["gender"]).to_numpy()
        assert np.isclose(stats.contingency.association(counts, "cramer"), abs(row.phi))
        assert np.isclose(stats.chi2_contingency(counts, correction=False).pvalue, row.p)


def test_order_of_rows_does_not_matter_and_data_stay_as_they_were(bfi):
    before = bfi.copy()
    shuffled = bfi.sample(frac=1, random_state=1)
    for make in (
        lambda x: d.means(x, LIKERT),
        lambda x: d.compare_means(x, LIKERT, "gender"),
        lambda x: d.compare_shares(x, BINARY, "gender"),
        lambda x: d.missing_patterns(x, LIKERT),
    ):
        pd.testing.assert_frame_equal(make(bfi), make(shuffled))
    pd.testing.assert_frame_equal(bfi, before)


def test_integer_and_nullable_columns_give_the_same_numbers(answers):
    nullable = answers.astype("Int64")
    pd.testing.assert_frame_equal(d.means(nullable, "x"), d.means(answers, "x"))
    pd.testing.assert_frame_equal(d.shares(nullable, "x", [1]), d.shares(answers, "x", [1]))


def test_a_group_may_be_named_by_text(answers):
    named = answers.assign(side=answers["side"].map({0: "east", 1: "north"}))
    by_text, by_code = (d.compare_means(x, "x", "side") for x in (named, answers))
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
    table = d.missing_summary(data, ["a", "b", "c"], asked).set_index("variable")
    assert table["n_asked"].tolist() == [4, 2, 2]
    assert table["n_missing"].tolist() == [1, 2, 1]
    assert table["n_valid"].tolist() == [3, 0, 1]
    assert table["percent"].tolist() == [25, 100, 50]
    assert d.missing_summary(data, ["b", "c"])["n_missing"].tolist() == [4, 3]


def test_nobody_asked_has_no_percentage(routed):
    data, asked = routed
    row = d.missing_summary(data, "b", asked & False).iloc[0]
    assert (row["n_asked"], row["n_missing"]) == (0, 0)
    assert np.isnan(row["percent"])


def test_patterns_name_what_is_missing_together(routed):
    data, asked = routed
    table = d.missing_patterns(data, ["a", "b", "c"], asked)
    assert table["missing"].tolist() == ["", "b", "a, b, c"]
    assert table["n_missing"].tolist() == [0, 1, 3]
    assert table["n"].tolist() == [2, 1, 1]
    assert table["percent"].tolist() == [50, 25, 25]


def test_patterns_add_up_to_the_summary(bfi):
    patterns, summary = d.missing_patterns(bfi, LIKERT), d.missing_summary(bfi, LIKERT)
    assert patterns["n"].sum() == 200
    assert patterns["n"].is_monotonic_decreasing
    assert (patterns["n"] * patterns["n_missing"]).sum() == summary["n_missing"].sum()
    for name, n_missing in summary.set_index("variable")["n_missing"].items():
        assert patterns["n"][patterns["missing"].str.contains(name)].sum() == n_missing


def test_a_mask_that_contradicts_the_data_is_refused(routed):
    data, asked = routed
    with pytest.raises(ValueError, match="'c' has answers where `asked` is False"):
        d.missing_summary(data, ["b", "c"], ~asked)
    with pytest.raises(ValueError, match="same rows"):
        d.missing_patterns(data, "a", asked.iloc[:2])
    with pytest.raises(ValueError, match="True or False"):
        d.missing_patterns(data, "a", asked.astype(float))
    with pytest.raises(ValueError, match="no column 'b'"):
        d.missing_summary(data, "b", asked[["a"]])


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda x, v: d.frequencies(x, v),
        lambda x, v: d.distributions(x, [v]),
        lambda x, v: d.multiple_response(x, [v]),
        lambda x, v: d.shares(x, [v], [1]),
        lambda x, v: d.means(x, [v]),
        lambda x, v: d.paired_gaps(x, [("y", v)]),
        lambda x, v: d.compare_means(x, [v], "side"),
        lambda x, v: d.compare_shares(x, [v], "side"),
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
        (lambda x: d.means(x, []), "No variables were named"),
        (lambda x: d.means(x, ["x", "x"]), "'x' is named twice"),
        (lambda x: d.means(pd.concat([x, x], axis=1), "x"), "'x' stands more than once"),
        (lambda x: d.means(x.tail(1), "x"), "'x' has 1 valid answers, fewer than 2"),
        (lambda x: d.frequencies(x, "x", [1, 2, 3, 4]), "'x' holds 5, none of its codes"),
        (lambda x: d.frequencies(x, "x", [1, 1, 2]), "1 stands more than once among the codes"),
        (lambda x: d.shares(x, "x", []), "No codes were given"),
        (lambda x: d.multiple_response(x, ["yes", "x"]), "'x' holds more than 0 and 1"),
        (lambda x: d.paired_gaps(x, []), "nothing to test"),
        (lambda x: d.paired_gaps(x.assign(w=x["x"] + 1), [("x", "w")]), "'w' - 'x' is the same"),
        (lambda x: d.paired_gaps(x.head(5), [("x", "y")]), "'x - y' has 1 valid answers"),
        (lambda x: d.compare_means(x, "x", "y"), "'y' has 5 groups .* two groups"),
        (lambda x: d.compare_means(x, "x", "nobody"), "'nobody' has 0 groups"),
        (lambda x: d.compare_means(x, "one", "side"), "'one' is constant in both groups"),
        (lambda x: d.compare_means(x.head(7), "x", "side"), "'x' has 1 valid answers in group 1"),
        (lambda x: d.compare_shares(x, "x", "side"), "'x' holds more than 0 and 1"),
        (lambda x: d.missing_patterns(x.head(0), "x"), "no rows"),
    ],
)
def test_refusals_say_what_and_where(answers, call, reason):
    data = answers.assign(one=1.0, nobody=np.nan)
    with pytest.raises(ValueError, match=reason):
        call(data)


def test_a_constant_has_a_mean_without_interval_and_a_warning(answers):
    with pytest.warns(UserWarning, match="'one' is constant"):
        row = d.means(answers.assign(one=4.0), "one").iloc[0]
    assert (row["n"], row["mean"], row["sd"], row["se"]) == (40, 4, 0, 0)
    assert np.isnan([row["ci_low"], row["ci_high"]]).all()
