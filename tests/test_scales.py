"""Scales and families: what is told of them, and what is left out with the reason."""

import numpy as np
import pandas as pd
import pytest

from mkb21.survey import scales as s
from semfit import reliability

ITEMS = {scale: [f"{scale}{k}" for k in range(1, 4)] for scale in "abcd"}
LEAST = dict.fromkeys(ITEMS, 2)


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
    assert s.usable(data, ITEMS) == (ITEMS, [])


def test_items_and_scales_that_have_no_alpha_are_named(data):
    data["a1"] = 3.0
    data["b1"], data["b2"] = np.nan, np.nan
    data.loc[:99, "c1"], data.loc[100:, "c2"] = np.nan, np.nan
    left, lost = s.usable(data, ITEMS)
    assert left == {"a": ["a2", "a3"], "d": ITEMS["d"]}
    assert lost == [("same", ["a", "a1"]), ("few_items", ["b"]), ("few_complete", ["c"])]
    data["d3"] = -data["d1"] - data["d2"]
    assert s.usable(data, {"d": ITEMS["d"]}) == ({}, [("cancel_out", ["d"])])


def test_a_summary_asks_for_no_more_items_than_are_left(data):
    left, _ = s.usable(data.assign(a1=3.0, a2=1.0), {"d": ITEMS["d"]})
    assert s.summary(data, left, {"d": 5})["n"].tolist() == [200]
    assert s.summary(data, {}, {}).empty and s.each(reliability.item_statistics, data, {}).empty


def test_a_scale_without_a_factor_model_has_no_coefficients(data):
    data["b3"] = data["b1"] + data["b2"]
    table, lost = s.coefficients(data, {"a": ITEMS["a"], "b": ITEMS["b"], "two": ["c1", "c2"]})
    assert table["scale"].tolist() == ["a", "two"] and lost == [("singular", ["b"])]
    assert np.isnan(table["omega_implied"].iloc[1])
    few = data.head(5)
    ten = [item for items in ITEMS.values() for item in items][:6]
    assert s.coefficients(few, {"six": ten})[1] == [("few_rows", ["six"])]


def test_items_that_go_together_perfectly_have_no_ordinal_alpha():
    """Every low answer goes with a low one: a polychoric correlation of 1, yet not one item twice."""
    codes = np.arange(40) % 5 + 1.0
    other = np.where(codes > 2, codes, 1.0)
    third = np.roll(codes, 3)
    table, lost = s.coefficients(
        pd.DataFrame({"x": codes, "y": other, "z": third}), {"f": list("xyz")}
    )
    assert lost == [("no_ordinal_alpha", ["f"])] and np.isnan(table["ordinal_alpha"].iloc[0])
    assert table["alpha"].notna().all()


# --- families ------------------------------------------------------------------------------------


@pytest.mark.parametrize("families", [{}, {"one": ["a"]}, {"one": ["a", "b"]}])
def test_families_of_none_one_and_two_scales(data, families):
    made, lost = s.families_of(data, ITEMS, families, ITEMS)
    assert lost == [] and {n: list(f) for n, f in made.items()} == families
    own = s.within(reliability.item_dimension_correlations, data, made, least=1)
    size = len(families.get("one", []))
    assert len(own) == 3 * size**2
    assert len(s.within(reliability.dimension_correlations, data, made, least=2)) == (size == 2)
    ratios = s.ratios(data, made)
    assert len(ratios) == (size == 2) and {"family_first", "htmt"} <= set(ratios)
    table, _ = s.parallel(data, made, seed=1, draws=20)
    assert len(table) == 2 * 3 * size
    assert list(s.factors(data, made)[0]) == list(families)


def test_families_that_cannot_be_compared_are_named(data):
    data.loc[:99, ITEMS["a"]] = np.nan
    data.loc[100:, ITEMS["b"]] = np.nan
    scales = ITEMS | {"e": ["c1", "d1"]}
    families = {
        "apart": ["a", "b"],
        "shared": ["c", "e"],
        "other": ["y"],
        "gone": ["x"],
        "fine": ["c", "d"],
    }
    made, lost = s.families_of(data, scales, families, [*scales, "x"])
    assert list(made) == ["fine"]
    assert lost == [("no_common", ["apart"]), ("shared_items", ["shared"]), ("no_scales", ["gone"])]


def test_ratios_are_of_all_families_together_within_before_between(data):
    families = {"one": {k: ITEMS[k] for k in "ab"}, "two": {k: ITEMS[k] for k in "cd"}}
    found = s.ratios(data, families)
    pairs = found[["first", "second"]].to_numpy().tolist()
    assert pairs == [["a", "b"], ["c", "d"], ["a", "c"], ["a", "d"], ["b", "c"], ["b", "d"]]
    every = reliability.htmt(data, ITEMS).set_index(["first", "second"])["htmt"]
    assert found.set_index(["first", "second"])["htmt"].equals(every.loc[map(tuple, pairs)])


def test_families_of_other_respondents_have_ratios_of_their_own(data):
    families = {"one": {k: ITEMS[k] for k in "ab"}, "two": {k: ITEMS[k] for k in "cd"}}
    data.loc[:99, [*ITEMS["a"], *ITEMS["b"]]] = np.nan
    data.loc[100:, [*ITEMS["c"], *ITEMS["d"]]] = np.nan
    found = s.ratios(data, families)
    assert found[["family_first", "family_second"]].to_numpy().tolist() == [
        ["one"] * 2,
        ["two"] * 2,
    ]
    assert found["n"].tolist() == [100, 100]


def test_factors_that_cannot_be_found_have_a_reason(data):
    two = {"two": {"a": ["a1", "a2"], "b": ["b1", "b2"]}}
    assert s.factors(data, two)[1] == [("many_factors", ["two"])]
    family = {"one": {k: ITEMS[k] for k in "ab"}}
    assert s.factors(data.head(6), family)[1] == [("few_rows", ["one"])]
    assert s.parallel(data.assign(b3=data["a1"]), family, 1, 20)[1] == [("singular", ["one"])]
    found, lost = s.factors(data, family)
    assert found["one"].n_factors == 2 and not lost
