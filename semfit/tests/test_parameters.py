"""Parameters across groups, means, thresholds and labels: which are equal, what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semfit as sem
from semfit.syntax.parameters import lay_out

REFERENCE = Path(__file__).parent / "reference"
TEXT = """
f =~ x1 + x2 + x3
g =~ x4 + x5 + x6
g ~ b*f
x1 ~~ x4
twice := 2*b
"""


@pytest.fixture
def model():
    return sem.read_model(TEXT)


@pytest.fixture
def data():
    return pd.read_csv(REFERENCE / "sem_hs.csv")


def shared(layout):
    """Parameters that stand in more than one group."""
    rows = layout.table[layout.table["parameter"] != ""]
    return set(rows.groupby("parameter")["group"].nunique().loc[lambda n: n > 1].index)


def test_nothing_is_equal_but_labels(model):
    layout = lay_out(model, ("a", "b"), True)
    assert shared(layout) == {"b"}
    assert [name for name in layout.parameters if name.endswith(".g2")][:2] == [
        "f=~x2.g2",
        "f=~x3.g2",
    ]
    assert layout.definitions == (("twice", "2*b"),)


def test_labels_by_group(model):
    layout = lay_out(model, ("a", "b"), True, labels="by_group")
    assert shared(layout) == set()
    assert {"b_g1", "b_g2"} <= set(layout.parameters)
    assert layout.definitions == (("twice_g1", "2*b_g1"), ("twice_g2", "2*b_g2"))


def test_modifiers_for_each_group_stay_as_they_are_written():
    model = sem.read_model("f =~ x1 + x2 + x3\ny ~ c(p, q)*f\nd := p - q\nk := 3*p")
    layout = lay_out(model, ("a", "b"), True, labels="by_group")
    assert {"p", "q"} <= set(layout.parameters)
    assert layout.definitions == (("d", "p - q"), ("k", "3*p"))
    with pytest.raises(ValueError, match=r"Line 2.*c\(\) has 2 modifiers, and there are 1 group"):
        lay_out(model)
    with pytest.raises(ValueError, match="there are 3 group"):
        lay_out(model, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("loadings", {"f=~x2", "f=~x3", "g=~x5", "g=~x6"}),
        ("intercepts", {f"x{i}~1" for i in range(1, 7)}),
        ("residuals", {f"x{i}~~x{i}" for i in range(1, 7)}),
        ("residual_covariances", {"x1~~x4"}),
        ("lv_variances", {"f~~f", "g~~g"}),
        ("regressions", set()),
    ],
)
def test_kinds_of_equality(model, kind, expected):
    assert shared(lay_out(model, ("a", "b"), True, equal=[kind])) == expected | {"b"}


def test_latent_means_are_free_with_equal_intercepts_and_only_then(model):
    def means(layout):
        rows = layout.table[(layout.table["op"] == "~1") & layout.table["lhs"].isin(["f", "g"])]
        return rows["parameter"].tolist()

    equal = ["loadings", "intercepts"]
    assert means(lay_out(model, ("a", "b"), True)) == [""] * 4
    assert means(lay_out(model, ("a", "b"), True, equal=equal)) == ["", "", "f~1.g2", "g~1.g2"]
    assert means(lay_out(model, ("a", "b"), True, equal=[*equal, "means"])) == [""] * 4


def test_freed_parameters(model):
    layout = lay_out(model, ("a", "b"), True, equal=["loadings"], free=["f =~ x2"])
    assert shared(layout) == {"f=~x3", "g=~x5", "g=~x6", "b"}
    with pytest.raises(ValueError, match="'f=~x7' is not a free parameter.*Did you mean 'f=~x"):
        lay_out(model, ("a", "b"), True, equal=["loadings"], free=["f =~ x7"])


def test_thresholds_and_scales(model):
    counts = dict.fromkeys(["x1", "x2", "x3"], 2)
    layout = lay_out(model, ("a", "b"), True, counts, equal=["loadings", "thresholds"])
    assert {"x1|t1", "x3|t2"} <= shared(layout)
    assert {"x1~*~x1.g2", "x2~*~x2.g2"} <= set(layout.parameters)
    derived = layout.table[layout.table["derived"]]
    assert set(derived["lhs"]) == {"x1", "x2", "x3"} and set(derived["parameter"]) == {""}
    with pytest.raises(ValueError, match=r"threshold x1 \| t3, which the data do not have"):
        lay_out(sem.read_model(TEXT + "x1 | t3"), thresholds=counts)


def test_unknown_kinds(model):
    with pytest.raises(ValueError, match="equal='loading' does not exist; there are: loadings"):
        lay_out(model, ("a", "b"), equal=["loading"])
    with pytest.raises(
        ValueError, match="labels='own' does not exist; there are: shared, by_group"
    ):
        lay_out(model, ("a", "b"), labels="own")


# ---- groups of a fit -----------------------------------------------------------------------------


def test_groups_are_sorted_and_named(model, data):
    fit = sem.fit(model, data, group="school")
    assert fit.groups == ("Grant-White", "Pasteur") and fit.group_sizes == (145, 156)
    assert "2 groups by school (Grant-White 145, Pasteur 156)" in fit.message
    assert sem.fit(model, data.assign(sex=data["sex"] * 1.0), group="sex").groups == ("1", "2")
    turned = pd.Categorical(data["school"], ["Pasteur", "Grant-White"])
    assert sem.fit(model, data.assign(school=turned), group="school").groups[0] == "Pasteur"


def test_groups_without_equality_are_separate_fits(model, data):
    free = sem.fit(model, data, "MLR", group="school", labels="by_group")
    for label in free.groups:
        alone = sem.fit(model, data[data["school"] == label], "MLR", mean_structure=True)
        chosen = free.estimates[free.estimates["group"] == label].reset_index(drop=True)
        for column in ("estimate", "se", "std_all", "std_se"):
            np.testing.assert_allclose(chosen[column], alone.estimates[column], atol=1e-7)
    parts = [sem.fit(model, data[data["school"] == g]).test.chisq for g in free.groups]
    assert free.test.chisq == pytest.approx(sum(parts), abs=1e-6)


def test_the_order_of_groups_changes_signs_only(model, data):
    options = {"group": "school", "equal": ["loadings", "intercepts"], "estimator": "MLR"}
    one = sem.fit(model, data, **options)
    turned = pd.Categorical(data["school"], ["Pasteur", "Grant-White"])
    other = sem.fit(model, data.assign(school=turned), **options)
    assert one.test.chisq == pytest.approx(other.test.chisq, abs=1e-6)
    assert one.test.scaling == pytest.approx(other.test.scaling, abs=1e-6)

    def mean(fit):
        rows = fit.estimates
        return rows[(rows["lhs"] == "f") & (rows["op"] == "~1")].iloc[-1]

    assert mean(one)["estimate"] == pytest.approx(-mean(other)["estimate"], abs=1e-6)
    assert mean(one)["se"] == pytest.approx(mean(other)["se"], abs=1e-6)


def test_rows_without_a_group_are_dropped_and_counted(model, data):
    data.loc[:4, "school"] = np.nan
    fit = sem.fit(model, data, group="school")
    assert fit.n_dropped == 5 and "or 'school' missing" in fit.message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group": "schol"}, r"'schol' \(closest: 'school'\)"),
        ({"group": "one"}, r"'one' has 1 value\(s\)"),
        ({"equal": ["loadings"]}, "name the grouping variable"),
        ({"ordered": ["x1"]}, "ordered= is for estimator='WLSMV'"),
        ({"estimator": "WLSMV", "missing": "fiml", "ordered": "all"}, "WLSMV has no fiml"),
        ({"estimator": "WLSMV"}, "'ordered' names no variable"),
        ({"estimator": "WLSMV", "ordered": ["x9"]}, "'x9' is not among the variables"),
        ({"missing": "fiml", "mean_structure": False}, "goes neither with fiml"),
    ],
)
def test_options_that_do_not_go_together(model, data, options, message):
    with pytest.raises(ValueError, match=message):
        sem.fit(model, data.assign(one=1), **options)


def test_an_intercept_in_the_model_brings_means(data):
    fit = sem.fit(sem.read_model("f =~ x1 + x2 + x3\nf ~ m*1\nx1 ~ 0*1"), data)
    rows = fit.estimates.set_index(["lhs", "op"])["estimate"]
    assert rows["f", "~1"] == pytest.approx(data["x1"].mean(), abs=1e-6)
    assert rows["x1", "~1"] == 0
