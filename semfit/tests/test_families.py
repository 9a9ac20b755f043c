"""What is computed as far as answers carry it, and what is left out with the reason.

Quartiles, bins and comparisons are compared with R: reference/tables.R.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semfit import reliability as r

REFERENCE = Path(__file__).parent / "reference"

ITEMS = {scale: [f"{scale}{k}" for k in range(1, 4)] for scale in "abcd"}


@pytest.fixture
def data():
    """Four scales of three items, of 200 respondents; a and b go together, and c and d."""
    rng = np.random.default_rng(9)
    general = {"a": 0, "b": 0, "c": 1, "d": 1}
    factors = rng.normal(size=(200, 2))
    frame = {}
    for scale, items in ITEMS.items():
        own = 0.5 * factors[:, general[scale]] + rng.normal(size=200)
        frame |= {item: own + rng.normal(size=200) for item in items}
    return pd.DataFrame(frame)


# --- scales --------------------------------------------------------------------------------------


def test_whole_scales_are_all_used_with_all_their_items(data):
    assert r.usable_scales(data, ITEMS) == (ITEMS, [])


def test_items_and_scales_that_have_no_alpha_are_named(data):
    data["a1"] = 3.0
    data["b1"], data["b2"] = np.nan, np.nan
    data.loc[:99, "c1"], data.loc[100:, "c2"] = np.nan, np.nan
    left, lost = r.usable_scales(data, ITEMS)
    assert left == {"a": ["a2", "a3"], "d": ITEMS["d"]}
    assert lost == [("same", ["a", "a1"]), ("few_items", ["b"]), ("few_complete", ["c"])]
    data["d3"] = -data["d1"] - data["d2"]
    assert r.usable_scales(data, {"d": ITEMS["d"]}) == ({}, [("cancel_out", ["d"])])


def test_tables_of_no_scales_have_no_rows(data):
    assert r.each_scale(r.item_statistics, data, {}).empty
    assert r.each_family(r.dimension_correlations, data, {}).empty


def test_a_scale_without_a_factor_model_has_no_coefficients(data):
    data["b3"] = data["b1"] + data["b2"]
    table, lost = r.reliability_of_scales(
        data, {"a": ITEMS["a"], "b": ITEMS["b"], "two": ["c1", "c2"]}
    )
    assert table["scale"].tolist() == ["a", "two"] and lost == [("singular", ["b"])]
    assert np.isnan(table["omega_implied"].iloc[1])
    few = data.head(5)
    ten = [item for items in ITEMS.values() for item in items][:6]
    assert r.reliability_of_scales(few, {"six": ten})[1] == [("few_rows", ["six"])]


def test_items_that_go_together_perfectly_have_no_ordinal_alpha():
    """Every low answer goes with a low one: a polychoric correlation of 1, yet not one item twice."""
    codes = np.arange(40) % 5 + 1.0
    other = np.where(codes > 2, codes, 1.0)
    third = np.roll(codes, 3)
    table, lost = r.reliability_of_scales(
        pd.DataFrame({"x": codes, "y": other, "z": third}), {"f": list("xyz")}
    )
    assert lost == [("no_ordinal_alpha", ["f"])] and np.isnan(table["ordinal_alpha"].iloc[0])
    assert table["alpha"].notna().all()


# --- families ------------------------------------------------------------------------------------


@pytest.mark.parametrize("families", [{}, {"one": ["a"]}, {"one": ["a", "b"]}])
def test_families_of_none_one_and_two_scales(data, families):
    made, lost = r.usable_families(data, ITEMS, families)
    assert lost == [] and {n: list(f) for n, f in made.items()} == families
    own = r.each_family(r.item_dimension_correlations, data, made, least=1)
    size = len(families.get("one", []))
    assert len(own) == 3 * size**2
    assert len(r.each_family(r.dimension_correlations, data, made, least=2)) == (size == 2)
    ratios = r.htmt_of_families(data, made)
    assert len(ratios) == (size == 2) and {"family_first", "htmt"} <= set(ratios)
    table, _ = r.parallel_of_families(data, made, seed=1, draws=20)
    assert len(table) == 2 * 3 * size
    assert list(r.factors_of_families(data, made)[0]) == list(families)


def test_families_that_cannot_be_compared_are_named(data):
    data.loc[:99, ITEMS["a"]] = np.nan
    data.loc[100:, ITEMS["b"]] = np.nan
    scales = ITEMS | {"e": ["c1", "d1"]}
    families = {
        "apart": ["a", "b"],
        "shared": ["c", "e"],
        "gone": ["x"],
        "fine": ["c", "d"],
    }
    made, lost = r.usable_families(data, scales, families)
    assert list(made) == ["fine"]
    assert lost == [("no_common", ["apart"]), ("shared_items", ["shared"]), ("no_scales", ["gone"])]


def test_ratios_are_of_all_families_together_within_before_between(data):
    families = {"one": {k: ITEMS[k] for k in "ab"}, "two": {k: ITEMS[k] for k in "cd"}}
    found = r.htmt_of_families(data, families)
    pairs = found[["first", "second"]].to_numpy().tolist()
    assert pairs == [["a", "b"], ["c", "d"], ["a", "c"], ["a", "d"], ["b", "c"], ["b", "d"]]
    every = r.htmt(data, ITEMS).set_index(["first", "second"])["htmt"]
    assert found.set_index(["first", "second"])["htmt"].equals(every.loc[map(tuple, pairs)])


def test_families_of_other_respondents_have_ratios_of_their_own(data):
    families = {"one": {k: ITEMS[k] for k in "ab"}, "two": {k: ITEMS[k] for k in "cd"}}
    data.loc[:99, [*ITEMS["a"], *ITEMS["b"]]] = np.nan
    data.loc[100:, [*ITEMS["c"], *ITEMS["d"]]] = np.nan
    found = r.htmt_of_families(data, families)
    assert found[["family_first", "family_second"]].to_numpy().tolist() == [
        ["one"] * 2,
        ["two"] * 2,
    ]
    assert found["n"].tolist() == [100, 100]


def test_factors_that_cannot_be_found_have_a_reason(data):
    two = {"two": {"a": ["a1", "a2"], "b": ["b1", "b2"]}}
    assert r.factors_of_families(data, two)[1] == [("many_factors", ["two"])]
    family = {"one": {k: ITEMS[k] for k in "ab"}}
    assert r.factors_of_families(data.head(6), family)[1] == [("few_rows", ["one"])]
    assert r.parallel_of_families(data.assign(b3=data["a1"]), family, 1, 20)[1] == [
        ("singular", ["one"])
    ]
    found, lost = r.factors_of_families(data, family)
    assert found["one"].n_factors == 2 and not lost


# --- numbers, groups and pairs -------------------------------------------------------------------


@pytest.fixture(scope="module")
def bfi():
    rows = pd.read_csv(REFERENCE / "reliability_bfi.csv").astype(float)
    total = rows[[f"A{k}" for k in range(1, 6)]].sum(axis=1, skipna=False)
    high = (rows["N1"] > 3).astype(float).where(rows["N1"].notna())
    odd = np.arange(1, len(rows) + 1) % 2
    return rows.assign(total=total, high=high, even=odd, ratio=total / (rows["N1"] + 1))


def assert_same(table, name):
    reference = pd.read_csv(REFERENCE / f"tables_{name}.csv")
    shown = table[list(reference)]
    pd.testing.assert_frame_equal(shown, reference, check_dtype=False, rtol=1e-9)


def test_quartiles_equal_r(bfi):
    names = ["total", "ratio"]
    first = pd.DataFrame({name: bfi[name].dropna().iloc[:100].to_numpy() for name in names})
    assert_same(r.number_summary(first, names), "quartiles")


def test_bins_equal_r(bfi):
    assert_same(r.histogram(bfi, ["total"]), "bins")


def test_comparisons_by_several_traits_equal_r_with_holm_over_all(bfi):
    table, left_out = r.compare_groups(bfi, ["A1", "total"], ["high", "even"])
    assert_same(table, "groups")
    assert left_out == []


def test_bins_have_a_round_width_that_fits_the_numbers():
    weeks = pd.DataFrame({"even": np.arange(12.0) * 2, "one": 3.0}).assign(
        parts=lambda d: d["even"] / 100
    )
    bins = r.histogram(weeks, list(weeks))
    widths = (bins["high"] - bins["low"]).round(9).groupby(bins["variable"]).unique()
    assert widths.map(list).to_dict() == {"even": [5.0], "one": [1.0], "parts": [0.05]}
    assert bins.loc[bins["variable"] == "one", ["low", "high", "n"]].to_numpy().tolist() == [
        [2.5, 3.5, 12]
    ]
    assert bins.groupby("variable")["n"].sum().tolist() == [12] * 3
    for row in bins.itertuples():
        within = (weeks[row.variable] >= row.low) & (weeks[row.variable] < row.high)
        assert row.n == within.sum()
    with pytest.raises(ValueError, match="'empty' has 0 valid answers"):
        r.histogram(weeks.assign(empty=np.nan), ["empty"])


def test_a_highest_number_at_an_edge_has_no_bin_of_its_own():
    marks = pd.DataFrame({"mark": [2.5, 6.0, 6.5, 7.5, 8.0, 9.5, 10.0], "same": 7.0})
    bins = r.histogram(marks, ["mark"])
    assert bins["high"].max() == 10 and bins["n"].tolist() == [1, 0, 3, 3]
    assert r.histogram(marks + 0.5, ["same"])["n"].tolist() == [7]


def test_pairs_without_a_test_are_named(data):
    data = data.assign(a2=data["a1"] + 1, b2=data["b1"].where(data.index == 0))
    pairs = [("a1", "a2"), ("a1", "a3"), ("b1", "b2")]
    assert r.usable_pairs(data, pairs) == (
        [("a1", "a3")],
        [("few", ["b1"]), ("same_gap", ["a1"])],
    )


def test_groups_that_cannot_be_compared_have_a_reason():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.normal(size=20), "yes": [1.0, 0] * 10, "one": 1.0})
    frame = frame.assign(two=[0.0] * 12 + [1] * 8, three=[1.0, 2, 3, 1] * 5, few=[1.0] + [0] * 19)
    table, lost = r.compare_groups(frame, ["x", "one"], ["two", "one", "three", "few"])
    assert table[["variable", "group"]].to_numpy().tolist() == [["x", "two"]]
    assert lost == [
        ("same", ["two", "one"]),
        ("single_group", ["one"]),
        ("many_groups", ["three"]),
        ("few_in_group", ["few", "x", "one"]),
    ]
    shares, lost = r.compare_groups(frame, ["yes", "x"], ["two", "few"], shares=True)
    assert shares["group"].tolist() == ["two", "few"]
    assert (shares["p_holm"] >= shares["p"]).all() and shares["p_holm"].max() <= 1
    assert [why for why, _ in lost] == ["not_binary", "not_binary"]
