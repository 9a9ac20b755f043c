"""How models are completed, against lavaan's parameter tables (reference/syntax.R), row by row."""

import json
from pathlib import Path

import numpy as np
import pytest

import semfit as sem
from semfit.syntax.parameters import lay_out

REFERENCE = json.loads((Path(__file__).parent / "reference" / "syntax.json").read_text())
RULES = {
    "default": {},
    "std_lv": {"std_lv": True},
    "orthogonal": {"orthogonal": True},
    "auto_var": {"auto_var": False},
    "fixed_x": {"fixed_x": False},
    "growth": {"model_type": "growth"},
    "lavaan": {"model_type": "lavaan"},
    "mean_structure": {},
    "effect_coding": {"effect_coding": True},
    "effect_loadings": {"effect_coding": "loadings"},
    "loadings": {},
    "std_lv_loadings": {"std_lv": True},
    "intercepts": {},
}
EQUAL = {"loadings": ["loadings"], "std_lv_loadings": ["loadings"]}
EQUAL["intercepts"] = ["loadings", "intercepts"]
ONE = [(name, rule) for name, case in REFERENCE["one"].items() for rule in case["tables"]]
TWO = [(name, rule) for name, case in REFERENCE["two"].items() for rule in case["tables"]]
TEXT = "f =~ x1 + x2 + x3; g =~ x4 + x5 + x6"


def number(value):
    return np.nan if value in (None, "NA") else float(value)


def key(lhs, op, rhs, group):
    """A row; lavaan may turn round a covariance."""
    return (group, op, *(sorted((lhs, rhs)) if op == "~~" else (lhs, rhs)))


def check_table(layout, table):
    """The same rows in the same order, fixed at the same values, free and equal in the same places."""
    ours = layout.table
    places = {label: g for g, label in enumerate(layout.groups, start=1)}
    rows = zip(ours["lhs"], ours["op"], ours["rhs"], ours["group"].map(places), strict=True)
    names = zip(table["lhs"], table["op"], table["rhs"], table["group"], strict=True)
    assert [key(*row) for row in rows] == [key(*row) for row in names]
    assert (ours["parameter"] != "").tolist() == [number > 0 for number in table["class"]]
    assert ours["exogenous"].tolist() == table["exogenous"]
    values = np.array([number(value) for value in table["value"]])
    np.testing.assert_array_equal(ours["value"], values)
    equal = {(a, b) for a, b in zip(table["class"], ours["parameter"], strict=True) if a}
    assert len(equal) == len({a for a, _ in equal}) == len({b for _, b in equal})
    starts = np.array([number(value) for value in table["start"]])
    coded = (ours["op"] == "~1") & ours["lhs"].isin(
        layout.model.latents
    )  # lavaan: begins at 0, and is bounded there
    np.testing.assert_array_equal(ours["start"][~coded], starts[~coded.to_numpy()])
    free = ((ours["parameter"] != "") & ~coded).to_numpy()
    for bound, none in (("lower", -np.inf), ("upper", np.inf)):
        theirs = np.nan_to_num([number(value) for value in table[bound]], nan=none)
        np.testing.assert_array_equal(ours[bound][free], theirs[free])
    assert len(layout.constraints) == table["coded"]


@pytest.mark.parametrize(("name", "rule"), ONE)
def test_one_group(name, rule):
    case = REFERENCE["one"][name]
    table = case["tables"][rule]
    model = sem.read_model(case["model"]).completed(**RULES[rule])
    check_table(lay_out(model, ("",), "~1" in table["op"]), table)


@pytest.mark.parametrize(("name", "rule"), TWO)
def test_two_groups(name, rule):
    case = REFERENCE["two"][name]
    model = sem.read_model(case["model"]).completed(**RULES[rule])
    layout = lay_out(model, ("1", "2"), True, equal=EQUAL.get(rule, ()))
    check_table(layout, case["tables"][rule])


def test_completed_keeps_what_is_not_asked():
    model = sem.read_model(TEXT + "; g ~ a*f; twice := 2*a")
    unit = model.completed(std_lv=True)
    assert unit.completed() is unit and unit.completed(orthogonal=True).options.std_lv
    assert unit.completed(std_lv=False).parameters.equals(model.parameters)
    assert unit.definitions == model.definitions and model.options.markers
    with pytest.raises(ValueError, match="two ways to give a unit"):
        unit.completed(effect_coding=True)
    with pytest.raises(ValueError, match="effect_coding='loading' does not exist"):
        model.completed(effect_coding="loading")


def test_effect_coding_is_a_constraint_on_named_parameters():
    layout = lay_out(
        sem.read_model("f =~ x1 + l*x2 + x3").completed(effect_coding=True), ("",), True
    )
    assert [c.formula for c in layout.constraints] == [
        "`f=~x1` + `l` + `f=~x3` - 3",
        "`x1~1` + `x2~1` + `x3~1`",
    ]


def test_labels_by_group_are_split_in_constraints_too():
    model = sem.read_model("y ~ a*x + b*z\na == 2*b\nab := a*b\nab > 0")
    layout = lay_out(model, ("m", "w"), True, labels="by_group")
    assert [c.formula for c in layout.constraints][1:3] == ["a_g2 - (2*b_g2)", "ab_g1"]
    assert lay_out(model, ("m", "w"), True).constraints == model.constraints


def test_a_parameter_fixed_at_different_values_cannot_be_made_equal():
    model = sem.read_model("f =~ x1 + c(1, 2)*x2 + x3")
    with pytest.raises(ValueError, match="f =~ x2 is fixed at different values in the groups"):
        lay_out(model, ("1", "2"), equal=["loadings"])


def test_parts_of_a_model_keep_what_they_can():
    model = sem.read_model(TEXT + "\ng ~ a*f + b*age\nab := a*b\ntwo := 2*a\nb > 0\na < 1")
    part = model.completed(std_lv=True).with_terms([t for t in model.terms if t.rhs != "age"])
    assert part.definitions == (("two", "2*a"),) and part.options.std_lv
    assert [c.text for c in part.constraints] == ["a < 1"]
    assert sem.read_model(part.text).terms == part.terms


# ---- blocks of groups ----------------------------------------------------------------------------


def test_blocks_are_written_and_read():
    text = "group: Grant-White\nf =~ x1 + x2 + x3\ngroup: b\nf =~ x1 + l*x2 + l*x3"
    model = sem.read_model(text)
    assert sem.read_model(model.with_terms(model.terms).text).terms == model.terms
    tables = [
        lay_out(model, labels).table for labels in (("Grant-White", "b"), ("b", "Grant-White"))
    ]
    assert (
        tables[0]["label"].tolist()
        == tables[1].sort_values("group", kind="stable")["label"].tolist()
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f =~ x1 + x2\ngroup: 1\nf ~ x3\ngroup: 2\nf ~ x3", "before the first group: line"),
        ("group: 1\ny ~ c(a, b)*x\ngroup: 2\ny ~ x", "within group: give one modifier"),
        ("group: 1\ny ~ x\ngroup: 2\ny ~ z", "differ in observed [(]x, z[)]"),
        ("group: 1\ny ~ x\ngroup: 2\nx ~ y", "differ in covariates"),
        ("block: 1\ny ~ x", "the number or label of one group"),
        ("group:\ny ~ x", "the number or label of one group"),
    ],
)
def test_blocks_that_cannot_be(text, message):
    with pytest.raises(ValueError, match=message):
        sem.read_model(text)


def test_blocks_must_be_those_of_the_groups():
    model = sem.read_model("group: 1\ny ~ x\ngroup: 2\ny ~ a*x")
    with pytest.raises(ValueError, match="there are none: fit the model with group="):
        lay_out(model)
    with pytest.raises(ValueError, match="there are a, b, c. Write one block for each group"):
        lay_out(model, ("a", "b", "c"))
