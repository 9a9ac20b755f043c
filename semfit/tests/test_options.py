"""The options of a fit as people write them, and the columns of the data as they come."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semfit as sem

TEXT = "f =~ x1 + x2 + x3; g =~ x4 + x5 + x6"
ITEMS = [f"x{i}" for i in range(1, 7)]


@pytest.fixture(scope="module")
def data():
    return sem.example_data()


def estimates(fit):
    return fit.estimates["estimate"].to_numpy()


def test_a_text_and_other_spellings(data):
    plain = sem.fit(sem.read_model(TEXT), data, estimator="MLR", missing="fiml")
    for missing in ("ml", "ML", "direct", "FIML"):
        typed = sem.fit(TEXT, data, "mlr", missing)
        assert typed.options == plain.options
        np.testing.assert_array_equal(estimates(typed), estimates(plain))


def test_a_text_is_a_model_elsewhere_too(data):
    text, options = TEXT + "; g ~ f", {"estimator": "ml", "missing": "listwise", "group": "group"}
    told = [
        sem.invariance(model, data, **options).message for model in (text, sem.read_model(text))
    ]
    assert told[0] == told[1]
    assert sem.path_differences(text, data, **options).fit.converged


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("stdlv", "Write std_lv="),
        ("meanstructure", "Write mean_structure="),
        ("group_equal", "Write equal="),
        ("group_label", "Write groups="),
        ("se", "Write estimator='MLR'"),
        ("misssing", "Write missing="),
        ("grup", "Write group="),
        ("qqq", "There are: estimator, missing"),
    ],
)
def test_unknown_options_name_the_right_one(data, option, advice):
    with pytest.raises(TypeError, match=f"no option '{option}'. {advice}"):
        sem.fit(TEXT, data, **{option: True})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "MLM"}, "estimator='MLM' is not there: use estimator='MLR'"),
        ({"estimator": "gls"}, "use estimator='ML'"),
        ({"estimator": "DWLS"}, "use estimator='WLSMV'"),
        ({"estimator": "Bayes"}, "use estimator='ML'"),
        ({"estimator": "MLX"}, "does not exist; there is: ML, MLR, WLSMV"),
        ({"missing": "ml.x"}, "fixed_x=False"),
        ({"missing": "two.stage"}, "use missing='fiml'"),
        ({"missing": "mice"}, "does not exist; there is: listwise, fiml"),
        ({"information": "hessian"}, "there is: expected, observed"),
        ({"groups": ["a", "b"]}, "name the grouping variable"),
    ],
)
def test_options_that_are_not_there(data, options, message):
    with pytest.raises(ValueError, match=message):
        sem.fit(TEXT, data, **options)


def test_rules_of_completion_may_be_given_to_fit_or_to_the_model(data):
    model = sem.read_model(TEXT)
    given, before = sem.fit(model, data, std_lv=True), sem.fit(model.completed(std_lv=True), data)
    np.testing.assert_array_equal(estimates(given), estimates(before))
    assert given.test.chisq == pytest.approx(sem.fit(model, data).test.chisq, rel=1e-9)
    again = sem.fit(given.model, data, **given.options)
    np.testing.assert_array_equal(estimates(again), estimates(given))


# ---- columns -------------------------------------------------------------------------------------


def test_columns_of_many_types_are_numbers(data):
    plain = data.assign(x1=data["x1"].round(), x4=(data["x4"] > 3).astype(float))
    typed = plain.assign(
        x1=plain["x1"].astype("Int64"),
        x2=[Decimal(repr(value)) for value in plain["x2"]],
        x4=plain["x4"].astype(bool).astype("boolean"),
        x5=plain["x5"].astype(object),
    )
    plain.loc[3, ["x1", "x2", "x4"]] = np.nan
    typed.loc[3, ["x1", "x4"]] = pd.NA
    typed.loc[3, "x2"] = None
    fits = [sem.fit(TEXT, frame, missing="fiml") for frame in (plain, typed)]
    np.testing.assert_array_equal(*map(estimates, fits))


def test_ordered_categoricals_count_as_ordered(data):
    cut = {name: pd.cut(data[name], 4, labels=["a", "b", "c", "d"]) for name in ITEMS}
    typed = data.assign(**cut)
    coded = data.assign(**{name: column.cat.codes + 1 for name, column in cut.items()})
    fits = [sem.fit(TEXT, typed, "WLSMV"), sem.fit(TEXT, coded, "WLSMV", ordered="all")]
    np.testing.assert_array_equal(*map(estimates, fits))
    with pytest.raises(ValueError, match="'x1' is an ordered categorical, and ML takes .*WLSMV"):
        sem.fit(TEXT, typed)
    unordered = typed.assign(x1=pd.Categorical(typed["x1"].astype(str)))
    with pytest.raises(ValueError, match="categories without an order, such as"):
        sem.fit(TEXT, unordered, "WLSMV")


def test_an_ordered_categorical_that_predicts_is_a_number(data):
    grade = pd.cut(data["age"], 3, labels=["low", "mid", "high"])
    text = TEXT + "; f ~ grade"
    typed = sem.fit(text, data.assign(grade=grade))
    coded = sem.fit(text, data.assign(grade=grade.cat.codes + 1))
    np.testing.assert_array_equal(estimates(typed), estimates(coded))


def test_names_in_another_unicode_form_are_found(data):
    composed, combined = "\u00e9t\u00e9", "e\u0301te\u0301"
    text = "f =~ {} + x2 + x3; f ~ age"
    for column in (composed, combined):
        for written in (composed, combined):
            fit = sem.fit(text.format(written), data.rename(columns={"x1": column}))
            assert fit.model.observed[0] == composed and fit.converged
    both = data.assign(**{composed: data["x1"], combined: data["x1"]})
    with pytest.raises(ValueError, match="two forms of Unicode"):
        sem.fit(text.format(composed), both)


def test_products_are_computed(data):
    own = data.assign(xz=data["x2"] * data["x3"])
    own.loc[4, "x2"] = own.loc[4, "xz"] = np.nan
    product = sem.fit("x1 ~ x2 + x3 + x2:x3", own)
    column = sem.fit("x1 ~ x2 + x3 + xz", own)
    np.testing.assert_allclose(estimates(product), estimates(column), rtol=1e-12)


# ---- the order of groups -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def towns(data):
    """Two groups whose first row is of the last by name."""
    return data.assign(town=np.where(np.arange(len(data)) % 2, "Breda", "Zwolle"))


def test_an_order_that_matters_must_be_stated(towns):
    text = "x1 ~ c(a, b)*x2"
    message = "sorted it is Breda, Zwolle; in the order of the rows.* Zwolle, Breda. Give groups="
    for model in (text, "group: 1\nx1 ~ x2\ngroup: 2\nx1 ~ a*x2", "x1 ~ x2\nd := `x1~x2.g2` - 1"):
        with pytest.raises(ValueError, match=message):
            sem.fit(model, towns, group="town")
    by_row = sem.fit(text, towns, group="town", groups=["Zwolle", "Breda"])
    by_name = sem.fit(text, towns, group="town", groups=["Breda", "Zwolle"])
    categories = pd.Categorical(towns["town"], categories=["Zwolle", "Breda"])
    stated = sem.fit(text, towns.assign(town=categories), group="town")
    assert by_row.groups == stated.groups == ("Zwolle", "Breda")
    labels = [fit.estimates.set_index("label")["estimate"] for fit in (by_row, by_name)]
    assert labels[0]["a"] == pytest.approx(labels[1]["b"])


def test_an_order_that_does_not_matter_need_not_be_stated(towns):
    for text in ("x1 ~ a*x2", "x1 ~ c(a, a)*x2", "group: Zwolle\nx1 ~ x2\ngroup: Breda\nx1 ~ x2"):
        assert sem.fit(text, towns, group="town").groups == ("Breda", "Zwolle")
    ordered = towns.sort_values("town")
    assert sem.fit("x1 ~ c(a, b)*x2", ordered, group="town").groups == ("Breda", "Zwolle")


def test_groups_are_all_values(towns):
    with pytest.raises(ValueError, match="must hold each value of 'town' once: Breda, Zwolle"):
        sem.fit("x1 ~ x2", towns, group="town", groups=["Zwolle"])
    numbers = towns.assign(town=(towns["town"] == "Breda") + 1.0)
    assert sem.fit("x1 ~ x2", numbers, group="town", groups=[2, 1]).groups == ("2", "1")


# ---- against lavaan ------------------------------------------------------------------------------

HERE = Path(__file__).parent / "reference"
CASES = json.loads((HERE / "options.json").read_text())
WORDS = {
    "fixed.x": "fixed_x",
    "std.lv": "std_lv",
    "effect.coding": "effect_coding",
    "meanstructure": "mean_structure",
    "group.equal": "equal",
}


def fitted(case):
    """The fit of a case of reference/options.R."""
    many = HERE / "options_many.csv"
    path = many if case["data"] == "many" else HERE / "estimators" / f"data_{case['data']}.csv"
    options = {WORDS.get(name, name): value for name, value in dict(case["options"]).items()}
    if options.get("ordered"):
        options["ordered"] = "all"
    if case["groups"]:
        options["groups"] = case["groups"]
    if case["call"] != "sem":
        options["model_type"] = case["call"]
    data = pd.read_csv(path)
    if options.get("group"):
        data = data[[*sem.read_model(case["model"]).observed, options["group"]]]
    return sem.fit(case["model"], data, **options)


@pytest.mark.parametrize("name", CASES)
def test_options_against_lavaan(name):
    case = CASES[name]
    fit = fitted(case)
    table = pd.DataFrame(case["estimates"])
    groups = dict(enumerate(fit.groups, start=1))
    keys = [table["group"].map(groups), *(table[column] for column in ("lhs", "op", "rhs"))]
    ours = fit.estimates.set_index(["group", "lhs", "op", "rhs"])
    ours = ours.loc[list(zip(*keys, strict=True))]
    np.testing.assert_allclose(ours["estimate"], table["est"].astype(float), rtol=5e-5, atol=2e-5)
    free = ours["free"].to_numpy()
    np.testing.assert_allclose(ours["se"][free], table["se"].astype(float)[free], rtol=2e-4)
    measures = case["measures"]
    assert fit.test.df == measures["df"]
    assert fit.test.chisq == pytest.approx(measures["chisq"], rel=2e-5, abs=2e-5)
    if fit.test.df and "chisq.scaled" in measures:
        assert fit.test.scaled == pytest.approx(measures["chisq.scaled"], rel=5e-5)
    cfi = fit.measures.set_index("measure").loc["cfi"]
    robust = measures.get("cfi.robust") not in (None, "NA")
    if robust and name != "random_x":  # there lavaan gives .95961 too if the variance is written
        assert cfi["robust"] == pytest.approx(measures["cfi.robust"], abs=2e-5)
    assert cfi["standard"] == pytest.approx(measures["cfi"], abs=2e-5)
