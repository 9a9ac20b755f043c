"""Reliability: against R (reference/reliability.R, measurement_scales.R), properties, refusals."""

from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semfit import reliability as r

REFERENCE = Path(__file__).parent / "reference"
SCALES = {"agreeable": ["A2", "A3", "A4"], "worried": ["N1", "N2", "N3"], "low": ["N4", "N5"]}
LEAST = {"worried": 3}


def read(name):
    return pd.read_csv(REFERENCE / f"reliability_{name}.csv")


@pytest.fixture(scope="module")
def bfi():
    return read("bfi").astype(float)


@pytest.fixture(scope="module")
def sets(bfi):
    agreeableness = [f"A{i}" for i in range(1, 6)]
    return {
        "agreeableness": bfi[agreeableness],
        "without_a1": bfi[agreeableness[1:]],
        "neuroticism": bfi[[f"N{i}" for i in range(1, 6)]],
        "attitude": read("attitude"),
        "two_items": bfi[["N1", "N2"]],
    }


@pytest.fixture
def items():
    """Complete answers to four items with one factor."""
    rng = np.random.default_rng(3)
    answers = rng.normal(size=(60, 1)) + rng.normal(size=(60, 4))
    return pd.DataFrame(answers, columns=["a", "b", "c", "d"])


def assert_same(table, reference):
    """Every cell of the table equals the reference: its columns, rows, texts and numbers."""
    assert list(table.columns) == list(reference.columns)
    reference = reference.reset_index(drop=True)
    pd.testing.assert_frame_equal(table, reference, check_dtype=False, rtol=1e-10, atol=0)


# --- against R -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Item 'A1' correlates negatively")
@pytest.mark.parametrize("level", [0.95, 0.9])
def test_alpha_equals_psych(sets, level):
    ours = [asdict(r.cronbach_alpha(items, level)) for items in sets.values()]
    reference = read("alpha").query("level == @level")
    assert reference["set"].tolist() == list(sets)
    assert_same(pd.DataFrame(ours), reference.drop(columns=["set", "level"]))


@pytest.mark.parametrize(
    "name", ["agreeableness", "without_a1", "neuroticism", "attitude", "two_items"]
)
def test_item_statistics_equal_psych(sets, name):
    reference = read("items").query("set == @name").drop(columns="set")
    assert_same(r.item_statistics(sets[name]), reference)


def test_inter_item_correlations_equal_r(sets):
    assert_same(r.inter_item_correlations(sets["agreeableness"]), read("inter_item"))


def test_scores_equal_r(bfi):
    scores = r.scale_scores(bfi, SCALES, LEAST)
    assert_same(scores, read("scores"))
    assert scores["worried"].isna().sum() == 26


def test_scale_summary_equals_psych(bfi):
    assert_same(r.scale_summary(bfi, SCALES, LEAST), read("scales"))


def test_dimensions_equal_r(bfi):
    assert_same(r.dimension_correlations(bfi, SCALES, LEAST), read("dimensions"))
    table = r.item_dimension_correlations(bfi, SCALES, LEAST)
    assert_same(table, read("item_dimensions"))
    assert table.query("exceeds_own")[["item", "scale"]].to_numpy().tolist() == [["N5", "worried"]]


@pytest.fixture(scope="module")
def factor_sets(bfi):
    """What omega is compared on: with five answers, with thirty rows, with an improper solution."""
    hs = pd.read_csv(REFERENCE / "sem_hs.csv")
    x = [f"x{i}" for i in range(1, 10)]
    return {
        "agreeable": bfi[["A2", "A3", "A4", "A5"]],
        "neuroticism": bfi[[f"N{i}" for i in range(1, 6)]],
        "attitude": read("attitude"),
        "visual": hs[x[:3]],
        "textual": hs[x[3:6]],
        "all": hs[x],
        "heywood": hs.loc[hs["school"] == "Pasteur", ["x4", "x5", "x7", "x8"]],
    }


@pytest.mark.filterwarnings("ignore:Heywood case")
def test_omega_equals_lavaan_and_semtools(factor_sets):
    reference = pd.read_csv(
        REFERENCE / "measurement_omega.csv", keep_default_na=False, na_values=""
    )
    assert reference["set"].tolist() == list(factor_sets)
    for name, row in reference.set_index("set").iterrows():
        omega = r.omega_total(factor_sets[name])
        assert (omega.n_items, omega.n_used) == (row["n_items"], row["n_used"])
        # the bounded search of lavaan ends less near to the solution
        same = {"abs": 2e-6 if name == "heywood" else 1e-8, "nan_ok": True}
        for column in ("omega_implied", "ci_low", "ci_high", "omega_observed"):
            assert getattr(omega, column) == pytest.approx(row[column], **same), (name, column)
        narrow = r.omega_total(factor_sets[name], confidence=0.9)
        assert narrow.ci_low == pytest.approx(row["ci_low_90"], **same)
        assert narrow.ci_high == pytest.approx(row["ci_high_90"], **same)
        assert omega.heywood == (() if pd.isna(row["heywood"]) else (row["heywood"],))


def test_ordinal_alpha_equals_lavaan(factor_sets):
    reference = pd.read_csv(REFERENCE / "measurement_ordinal_alpha.csv")
    for name, alpha in reference.set_index("set")["ordinal_alpha"].items():
        assert r.ordinal_alpha(factor_sets[name]) == pytest.approx(alpha, abs=1e-7)


def test_scale_reliability_is_what_the_single_functions_give(bfi):
    scales = {"agreeable": ["A2", "A3", "A4"], "worried": ["N1", "N2", "N3"], "low": ["N4", "N5"]}
    data = bfi.assign(sum_n=bfi["N1"] + 2 * bfi["N2"])
    scales |= {"sums": ["sum_n", "N3", "N4"]}
    table = r.scale_reliability(data, scales).set_index("scale")
    assert list(table.index) == list(scales)
    for name, items in scales.items():
        alpha, row = r.cronbach_alpha(data[items]), table.loc[name]
        for column in ("n_items", "n_used", "n_dropped", "n_empty", "alpha", "ci_low", "ci_high"):
            assert row[column] == getattr(alpha, column)
        if len(items) > 2:
            omega = r.omega_total(data[items])
            found = row[["omega_implied", "omega_ci_low", "omega_ci_high", "omega_observed"]]
            expected = [omega.omega_implied, omega.ci_low, omega.ci_high, omega.omega_observed]
            assert found.tolist() == expected
        if name != "sums":
            assert row["ordinal_alpha"] == r.ordinal_alpha(data[items])
    assert table.loc["low", "omega_implied":"omega_observed"].isna().all()  # two items
    assert np.isnan(table.at["sums", "ordinal_alpha"])  # eleven values and more
    assert (table["heywood"] == "").all()
    plain = r.scale_reliability(data, scales, ordinal=False).set_index("scale")
    assert plain["ordinal_alpha"].isna().all()
    pd.testing.assert_frame_equal(
        plain.drop(columns="ordinal_alpha"), table.drop(columns="ordinal_alpha")
    )


# --- properties ----------------------------------------------------------------------------------


def test_omega_is_alpha_when_loadings_are_equal_and_above_it_when_not():
    """Expected covariances, planted as they are: the first has alpha = omega = .8."""
    rng = np.random.default_rng(12)
    for loadings, equal in (([1, 1, 1, 1], True), ([0.3, 0.6, 1.2, 2], False)):
        matrix = np.outer(loadings, loadings) + np.eye(4)
        raw = rng.normal(size=(500, 4))
        white = (raw - raw.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
        items = pd.DataFrame(white @ np.linalg.cholesky(matrix).T, columns=list("abcd"))
        alpha, omega = r.cronbach_alpha(items).alpha, r.omega_total(items)
        total = sum(loadings) ** 2
        assert omega.omega_implied == pytest.approx(total / (total + 4), abs=1e-8)
        assert omega.omega_observed == pytest.approx(omega.omega_implied, abs=1e-8)
        assert (alpha == pytest.approx(0.8, abs=1e-8)) == equal
        assert equal or alpha < omega.omega_implied - 0.05


def test_the_interval_of_omega_covers_as_often_as_it_says():
    rng = np.random.default_rng(8)
    loadings = np.array([0.6, 0.6, 0.7, 0.7])
    omega = loadings.sum() ** 2 / (loadings.sum() ** 2 + (1 - loadings**2).sum())
    found = []
    for _ in range(200):
        noise = rng.normal(size=(100, 4)) * np.sqrt(1 - loadings**2)
        items = pd.DataFrame(rng.normal(size=(100, 1)) * loadings + noise, columns=list("abcd"))
        result = r.omega_total(items, confidence=0.9)
        found.append((result.ci_low < omega < result.ci_high, result.omega_implied))
    hits, estimates = np.mean(found, axis=0)
    assert 0.836 < hits < 0.964  # three standard errors around .90
    assert estimates == pytest.approx(omega, abs=0.01)


def test_omega_of_items_that_do_not_go_together_has_no_interval():
    apart = pd.DataFrame(
        [[a, b, a * b] for a in (-1.0, 1) for b in (-1, 1)] * 2, columns=["a", "b", "c"]
    )
    omega = r.omega_total(apart)
    assert omega.omega_implied < 0.1 and np.isnan([omega.ci_low, omega.ci_high]).all()


def test_omega_knows_the_units_and_counts_rows(items):
    holes = items.copy()
    holes.iloc[:3] = np.nan
    holes.iloc[3:8, 0] = np.nan
    omega = r.omega_total(holes)
    assert (omega.n_used, omega.n_dropped, omega.n_empty) == (52, 5, 3)
    assert omega.omega_implied == r.omega_total(items.iloc[8:]).omega_implied
    scaled = r.omega_total(items * 7 + 1)
    assert scaled.omega_implied == pytest.approx(r.omega_total(items).omega_implied)
    one = r.omega_total(items * [10, 1, 1, 1]).omega_implied
    assert abs(one - r.omega_total(items).omega_implied) > 0.05


def test_ordinal_alpha_exceeds_alpha_of_coarse_answers_and_needs_no_units():
    rng = np.random.default_rng(2)
    smooth = rng.normal(size=(400, 1)) + rng.normal(size=(400, 4))
    answers = pd.DataFrame(np.digitize(smooth, [-1.5, 1.5]), columns=list("abcd"))
    ordinal = r.ordinal_alpha(answers)
    assert ordinal == pytest.approx(0.8, abs=0.04) and ordinal > r.cronbach_alpha(answers).alpha
    assert r.ordinal_alpha(answers**2 * 3 - 1) == pytest.approx(ordinal)


def test_alpha_of_identical_items_is_one(items):
    same = pd.DataFrame({name: items["a"] for name in "pqr"})
    alpha = r.cronbach_alpha(same)
    assert [alpha.alpha, alpha.alpha_standardized, alpha.ci_low, alpha.ci_high] == pytest.approx(
        [1] * 4
    )


def test_alpha_ignores_order_of_rows_and_items_and_constants_added(items):
    alpha = asdict(r.cronbach_alpha(items))
    shuffled = items.sample(frac=1, random_state=1)[["c", "a", "d", "b"]]
    assert asdict(r.cronbach_alpha(shuffled)) == pytest.approx(alpha)
    assert asdict(r.cronbach_alpha(items + [7, -2, 0, 100])) == pytest.approx(alpha)


def test_only_standardized_alpha_ignores_the_unit_of_an_item(items):
    before, after = r.cronbach_alpha(items), r.cronbach_alpha(items * [10, 1, 1, 1])
    assert after.alpha_standardized == pytest.approx(before.alpha_standardized)
    assert abs(after.alpha - before.alpha) > 0.1


def test_the_interval_covers_a_known_alpha_as_often_as_it_says():
    # Parallel items with variance 1 + 1 and covariance 1: alpha = 4 (1/2) / (1 + 3 (1/2)) = .8.
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(400):
        answers = rng.normal(size=(30, 1)) + rng.normal(size=(30, 4))
        alpha = r.cronbach_alpha(pd.DataFrame(answers, columns=list("abcd")), 0.9)
        hits += alpha.ci_low < 0.8 < alpha.ci_high
    assert 0.855 < hits / 400 < 0.945  # three standard errors around .90


def test_alpha_counts_who_is_used_dropped_and_empty(items):
    holes = items.copy()
    holes.iloc[:3] = np.nan
    holes.iloc[3:8, 0] = np.nan
    alpha = r.cronbach_alpha(holes)
    assert (alpha.n_used, alpha.n_dropped, alpha.n_empty) == (52, 5, 3)
    complete = r.cronbach_alpha(items.iloc[8:])
    assert (alpha.alpha, alpha.ci_low) == (complete.alpha, complete.ci_low)
    with pytest.raises(FrozenInstanceError):
        alpha.alpha = 1


def test_a_reversed_item_is_named_and_not_reversed(items):
    turned = items.assign(b=-items["b"])
    with pytest.warns(UserWarning, match="'b' correlates negatively.*not reversed") as caught:
        alpha = r.cronbach_alpha(turned)
    assert len(caught) == 1
    assert alpha.alpha < r.cronbach_alpha(items).alpha - 0.2
    rest = r.item_statistics(turned).set_index("item")["item_rest_correlation"]
    assert rest[rest < 0].index.tolist() == ["b"]


def test_alpha_if_dropped_is_alpha_of_the_others(items):
    dropped = r.item_statistics(items).set_index("item")["alpha_if_dropped"]
    for item, alpha in dropped.items():
        assert alpha == pytest.approx(r.cronbach_alpha(items.drop(columns=item)).alpha)


def test_a_score_needs_half_of_the_items_rounded_up_or_what_is_asked():
    data = pd.DataFrame({"a": [1, 1, np.nan], "b": [3, np.nan, np.nan], "c": [5, np.nan, np.nan]})
    by_rule = r.scale_scores(data, {"s": ["a", "b", "c"]})["s"]
    assert by_rule.tolist() == pytest.approx([3, np.nan, np.nan], nan_ok=True)
    by_one = r.scale_scores(data, {"s": ["a", "b", "c"]}, {"s": 1})["s"]
    assert by_one.tolist() == pytest.approx([3, 1, np.nan], nan_ok=True)


def test_disattenuated_is_the_correlation_over_the_root_of_the_alphas(items):
    table = r.dimension_correlations(items, {"one": ["a", "b"], "two": ["c", "d"]})
    one, two = r.cronbach_alpha(items[["a", "b"]]), r.cronbach_alpha(items[["c", "d"]])
    root = np.sqrt(one.alpha * two.alpha)
    assert table["correlation_disattenuated"][0] == pytest.approx(table["correlation"][0] / root)


@pytest.mark.filterwarnings("ignore:Item '.' correlates negatively")
def test_no_disattenuation_by_an_alpha_that_is_not_positive(items):
    scales = {"one": ["a", "b"], "two": ["c", "d"]}
    one = items.assign(b=-items["b"])
    for data in (one, one.assign(d=-items["d"])):  # one negative alpha, and two
        table = r.dimension_correlations(data, scales)
        assert np.isnan(table["correlation_disattenuated"][0])
        assert np.isfinite(table["correlation"][0])


def test_an_item_in_the_wrong_scale_is_flagged():
    rng = np.random.default_rng(4)
    one, two = rng.normal(size=(2, 200, 1))
    data = pd.DataFrame(rng.normal(size=(200, 6)) / 2, columns=list("abcdef"))
    data[["a", "b", "c"]] += one
    data[["d", "e", "f"]] += two
    table = r.item_dimension_correlations(data, {"one": ["a", "b", "d"], "two": ["c", "e", "f"]})
    assert set(table.query("exceeds_own")["item"]) == {"c", "d"}


def test_rows_of_any_index_and_the_callers_frame_stay_as_they_were(bfi):
    before = bfi.copy()
    moved = bfi.set_axis([f"r{i}" for i in range(200)])
    for make in (r.scale_summary, r.item_dimension_correlations, r.dimension_correlations):
        pd.testing.assert_frame_equal(make(bfi, SCALES), make(moved, SCALES))
    assert r.scale_scores(moved, SCALES).index.equals(moved.index)
    pd.testing.assert_frame_equal(bfi, before)


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [r.cronbach_alpha, r.item_statistics, r.inter_item_correlations])
@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda x: x[["a"]], "at least 2 items; given: a"),
        (lambda x: x.assign(b=3.0), "'b' has no variance: all 60"),
        (lambda x: x.assign(b="yes"), "'b' is not numeric"),
        (lambda x: x.assign(b=np.inf), "'b' holds infinite"),
        (lambda x: x.assign(b=np.nan), "0 respondents answered every one of a, b, c, d"),
        (lambda x: x.head(3), "3 respondents answered every one"),
        (lambda x: pd.concat([x, x[["a"]]], axis=1), "'a' is named twice"),
    ],
)
def test_items_that_have_no_alpha_are_named(items, call, break_it, reason):
    with pytest.raises(ValueError, match=reason):
        call(break_it(items))


@pytest.mark.parametrize("call", [r.omega_total, r.ordinal_alpha])
@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda x: x[["a"]], "at least 2 items; given: a"),
        (lambda x: x.assign(b=3.0), "'b' has no variance: all 60"),
        (lambda x: x.assign(b="yes"), "'b' is not numeric"),
        (lambda x: x.head(3), "3 respondents answered every one"),
    ],
)
def test_items_without_omega_are_named(items, call, break_it, reason):
    with pytest.raises(ValueError, match=reason):
        call(break_it(items.round()))


def test_more_that_has_no_omega_or_ordinal_alpha(items):
    with pytest.raises(ValueError, match="of a, b: one factor needs at least 3 items"):
        r.omega_total(items[["a", "b"]])
    with pytest.raises(ValueError, match="4 items allow at most 1 factor"):
        r.omega_total(items, n_factors=2)
    with pytest.raises(ValueError, match="a, b determine one another"):
        r.omega_total(items.assign(b=items["a"]))
    with pytest.raises(ValueError, match="'a' has 60 different values, more than 10"):
        r.ordinal_alpha(items)
    with pytest.raises(ValueError, match="'s' needs a list of at least 2"):
        r.scale_reliability(items, {"s": ["a"]})


def test_warnings_of_omega_name_the_item(items, factor_sets):
    with pytest.warns(UserWarning, match="'b' correlates negatively.*not reversed") as caught:
        r.omega_total(items.assign(b=-items["b"]))
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="uniqueness of 'x4' is at its lower bound") as caught:
        r.omega_total(factor_sets["heywood"])
    assert len(caught) == 1
    data, scales = factor_sets["heywood"], {"s": ["x4", "x5", "x7", "x8"]}
    with pytest.warns(UserWarning, match="uniqueness of 'x4' is at its lower bound"):
        table = r.scale_reliability(data, scales, ordinal=False)
    assert table["heywood"].tolist() == ["x4"] and table["omega_ci_low"].isna().all()


@pytest.mark.filterwarnings("ignore:Item '.' correlates negatively")
def test_items_that_cancel_out_are_refused(items):
    with pytest.raises(ValueError, match="sum of a, b does not vary"):
        r.cronbach_alpha(items[["a"]].assign(b=-items["a"]))


@pytest.mark.parametrize(
    "call",
    [r.scale_scores, r.scale_summary, r.item_dimension_correlations, r.dimension_correlations],
)
@pytest.mark.parametrize(
    ("scales", "least", "reason"),
    [
        ({}, None, "No scales"),
        ({"s": ["a"]}, None, "'s' needs a list of at least 2"),
        ({"s": "ab"}, None, "'s' needs a list of at least 2"),
        ({"s": ["a", "bb"]}, None, "no column 'bb'. Closest: b"),
        ({"s": ["a", "a"]}, None, "'a' is named twice"),
        ({"s": ["a", "b"]}, {"t": 1}, "min_answered names 't'; scales are s"),
        ({"s": ["a", "b"]}, {"s": 3}, "min_answered of 's' is 3; it must be 1 to 2"),
        ({"s": ["a", "b"]}, {"s": 0}, "min_answered of 's' is 0"),
    ],
)
def test_scales_that_cannot_be_made_are_refused(items, call, scales, least, reason):
    with pytest.raises(ValueError, match=reason):
        call(items, scales, least)


@pytest.mark.parametrize("call", [r.item_dimension_correlations, r.dimension_correlations])
def test_dimensions_refuse_what_has_no_meaning(items, call):
    with pytest.raises(ValueError, match="'b' stands in scale 's' and in 't'"):
        call(items, {"s": ["a", "b"], "t": ["b", "c"]})
    with pytest.raises(ValueError, match="no variance where"):
        call(items.assign(c=1.0, d=1.0), {"s": ["a", "b"], "t": ["c", "d"]})
    apart = items.copy()
    apart.loc[:29, ["a", "b"]] = np.nan
    apart.loc[31:, ["c", "d"]] = np.nan
    with pytest.raises(ValueError, match="1 rows in common"):
        call(apart, {"s": ["a", "b"], "t": ["c", "d"]})


def test_one_scale_has_no_dimension_correlations(items):
    with pytest.raises(ValueError, match="at least 2 scales"):
        r.dimension_correlations(items, {"s": ["a", "b"]})


# ---- odds ratios ---------------------------------------------------------------------------------


def test_odds_ratios_equal_glm():
    data = pd.read_csv(REFERENCE / "estimators" / "data_hsmiss.csv")
    data = data.assign(girl=data["sex"] - 1)
    table = r.odds_ratios(data, "girl", ["x1", "x4", "ageyr"])
    expected = pd.read_csv(REFERENCE / "regressions_odds.csv")
    pd.testing.assert_frame_equal(table, expected, rtol=1e-6)
    wide = r.odds_ratios(data, "girl", ["x1", "x4", "ageyr"], confidence=0.99)
    assert (wide["or_ci_low"] < table["or_ci_low"]).all()


def test_odds_ratios_that_are_not_there_are_refused():
    data = pd.DataFrame({"y": [0, 0, 0, 1, 1, 1], "x": range(6), "z": [1, 2, 1, 2, 1, 2], "c": 1})
    for outcome, predictors, said in [
        ("y", ["x"], "wholly apart"),
        ("y", ["c"], "one value of"),
        ("c", ["x"], "one value of"),
        ("y", [], "one value of"),
        ("z", ["x"], "z"),
    ]:
        with pytest.raises(ValueError, match=said):
            r.odds_ratios(data, outcome, predictors)
