"""semfit.testing.compare and constraints: lavaan's numbers (estimators.R, groups.R), and what must hold."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

import semfit as sem
from semfit.fitting import search
from semfit.testing.compare import (
    chisq_difference,
    compare,
    difference,
    nested_in,
    positive_scaling,
    satorra_2000,
    scaling_2010,
)
from semfit.testing.constraints import holm, score_tests, wald

REFERENCE = Path(__file__).parent / "reference"
COMPARE = json.loads((REFERENCE / "compare.json").read_text())
GROUPS = json.loads((REFERENCE / "groups.json").read_text())
SCORED = [
    f"{name}.json"
    for name in """hs_ml_listwise_group_loadings hs_ml_listwise_group_intercepts
    hs_ml_listwise_group_residuals hs_ml_listwise_group_partial hs_mlr_listwise_group_intercepts
    hsmiss_mlr_fiml_group_intercepts hscat_wlsmv_listwise_group_loadings
    hscat_wlsmv_listwise_group_thresholds pd_mlr_listwise_equal""".split()
]
HS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
CLOSE = {"rtol": 1e-6, "atol": 1e-8}


@cache
def read_data(name):
    return pd.read_csv(REFERENCE / "estimators" / f"data_{name}.csv")


@cache
def fit_hs(text=HS, **options):
    return sem.fit(sem.read_model(text), read_data("hs"), **options)


def fit_case(case, model):
    """Our fit of a model of a reference case; groups in lavaan's order, that of the data."""
    keys = ("data", "estimator", "missing", "group", "ordered", "meanstructure")
    chosen = {key: case[key] for key in keys}
    return fit_once(
        json.dumps(chosen | {k: model[k] for k in ("model", "group_equal", "group_partial")})
    )


@cache
def fit_once(text):
    case = json.loads(text)
    data, group = read_data(case["data"]), case["group"]
    if group:
        order = data[group].dropna().unique()
        data = data.assign(**{group: pd.Categorical(data[group], order)})
    return sem.fit(
        sem.read_model(case["model"]),
        data,
        case["estimator"],
        case["missing"],
        group=group,
        equal=case["group_equal"],
        free=case["group_partial"],
        ordered=case["ordered"],
        mean_structure=case["meanstructure"],
    )


def same(ours, theirs, **tolerance):
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    np.testing.assert_allclose(ours, theirs, equal_nan=True, **(CLOSE | tolerance))


# ---- lavaan --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPARE["lrt"])
def test_differences_are_lavaans(name):
    case = COMPARE["lrt"][name]
    fits = {key: fit_case(case, model) for key, model in case["models"].items()}
    theirs, table = pd.DataFrame(case["rows"]), compare(fits)
    assert table["model"].tolist() == theirs["name"].tolist()
    columns = {"npar": "npar", "df": "Df", "chisq": "Chisq", "aic": "AIC", "bic": "BIC"}
    for ours, column in (columns | {"chisq_scaled": "chisq.scaled"}).items():
        same(table[ours], theirs[column])
    methods = {
        "standard": "difference",
        "satorra.bentler.2001": "Satorra-Bentler 2001 scaled",
        "satorra.2000": "Satorra 2000",
    }
    for large, small, row in zip(
        theirs["name"], theirs["name"][1:], case["rows"][1:], strict=False
    ):
        test = chisq_difference(fits[large], fits[small])
        same([test.chisq, test.df], [row["Chisq diff"], row["Df diff"]])
        same(test.p, row["Pr(>Chisq)"], atol=1e-12)
        assert test.method == methods[case["method"]]
        if name != "hscat_wlsmv":
            chosen = table.set_index("model").loc[small]
            assert (chosen["against"], chosen["nested"], chosen["note"]) == (large, "yes", "")
            assert chosen["chisq_diff"] == test.chisq and chosen["method"] == test.method


def test_equal_thresholds_with_free_scales_are_not_nested_in_equal_loadings():
    # lavTestLRT() tests them all the same; it has no way to know
    case = COMPARE["lrt"]["hscat_wlsmv"]
    table = compare({key: fit_case(case, model) for key, model in case["models"].items()})
    assert table["against"].tolist() == ["", "configural", "configural"]
    assert table["df_diff"].tolist()[1:] == [6, 21] and (table["nested"][1:] == "yes").all()


def test_the_anchors():
    steps = [(), ("loadings",), ("loadings", "intercepts"), ("loadings", "intercepts", "residuals")]
    table = compare([fit_hs(group="school", equal=equal) for equal in steps])
    same(table["chisq"], [115.851, 124.044, 164.103, 181.511], atol=5e-4)
    assert table["df"].tolist() == [48, 54, 60, 69] and table["n"].tolist() == [301] * 4
    assert table["model"].tolist() == ["model 1", "model 2", "model 3", "model 4"]


def test_information_criteria_are_lavaans():
    rows = COMPARE["information_criteria"]
    models = [sem.read_model(row["model"]) for row in rows]
    fits = [sem.fit(model, read_data("pd"), mean_structure=True) for model in models]
    table = compare(dict(zip([row["name"] for row in rows], fits, strict=True)))
    theirs = pd.DataFrame(rows).set_index("name").loc[table["model"]]
    for column in ("aic", "bic", "npar", "df", "chisq"):
        same(table[column], theirs[column])
    nested = table.set_index("model")["nested"]
    assert nested["no_path"] == nested["one_democracy"] == nested["no_residuals"] == "yes"
    assert nested["reversed"] == "no"
    assert "equivalent" in table.set_index("model")["note"]["reversed"]
    assert_codes_say_the_notes(table)


@pytest.mark.parametrize("estimator", ["ml", "mlr"])
def test_wald_tests_are_lavaans(estimator):
    case = COMPARE["wald"][estimator]
    model = {"model": case["model"], "group_equal": (), "group_partial": ()}
    case = case | {"missing": "listwise", "ordered": (), "meanstructure": True}
    fit = fit_case(case, model)
    for test in case["tests"].values():
        ours = wald(fit, test["constraints"]).iloc[0]
        same(ours[["chisq", "df", "p"]], [test["stat"], test["df"], test["p.value"]])


@pytest.mark.parametrize("file", SCORED)
def test_score_tests_are_lavaans(file):
    answers = json.loads((REFERENCE / "estimators" / file).read_text())
    case = {"data": answers["data"]} | answers["options"]
    fit = fit_case(case, answers["options"] | {"model": answers["model"]})
    ours, theirs = score_tests(fit), answers["score_tests"]
    released = [row["second"] for row in theirs["univariate"]]
    assert ours.iloc[:-1][["lhs", "op", "rhs"]].to_numpy().tolist() == [
        [row["lhs"], row["op"], row["rhs"]] for row in released
    ]
    same(ours["chisq"][:-1], [row["X2"] for row in theirs["univariate"]])
    same(ours["p"][:-1], [row["p.value"] for row in theirs["univariate"]])
    same(ours["chisq"].iloc[-1], theirs["total"]["X2"])
    assert ours["released_from"].iloc[-1] == "all equalities"
    # lavaan counts equalities; those that only identify the means (and scales) test nothing
    identifying = 3 * ("intercepts" in file or "partial" in file or "residuals" in file)
    identifying += 12 * ("thresholds" in file)
    assert ours["df"].iloc[-1] == theirs["total"]["df"] - identifying


@pytest.mark.parametrize("name", ["hs_metric", "hs_scalar", "hs_strict"])
def test_scalings_of_2001_and_2010_are_lavaans(name):
    step = {
        "hs_metric": ((), ("loadings",)),
        "hs_scalar": (("loadings",), ("loadings", "intercepts")),
        "hs_strict": (("loadings", "intercepts"), ("loadings", "intercepts", "residuals")),
    }[name]
    fits = [fit_hs(estimator="MLR", group="school", equal=equal) for equal in step]
    for method, key in (("default", "sb2001"), ("satorra.bentler.2010", "sb2010")):
        if (name, key) == ("hs_scalar", "sb2010"):
            continue  # lavaan drops the latent means there: its larger model has none to carry them
        ours, theirs = difference(*fits, method=method), GROUPS["scaled_2010"][name][key]
        same([ours.chisq, ours.df, ours.p], [theirs["chisq"], theirs["df"], theirs["p"]])
    assert positive_scaling(*fits) == pytest.approx(difference(*fits).scaling, rel=0.1)


@pytest.mark.parametrize(
    "pair", GROUPS["nested"]["pairs"], ids=lambda p: f"{p['small']}-{p['large']}"
)
def test_nestedness_is_as_semtools_finds_it(pair):
    models = GROUPS["nested"]["models"]
    small, large = (fit_hs(models[pair[key]]) for key in ("small", "large"))
    verdict, reason = nested_in(small, large)
    if pair["same_moments"] and pair["df_small"] > pair["df_large"]:
        assert (verdict, reason) == ("yes", None)
    else:
        assert verdict == "no"
        assert ("equivalent" in str(reason)) == pair["same_moments"]


# ---- the model files -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model_files():
    names = list(GROUPS["models"]["measures"])
    models = {name: sem.read_model(name, REFERENCE / "models") for name in names}
    data = read_data("wave2012")
    fits = {key: sem.fit(model, data, "MLR", "fiml") for key, model in models.items()}
    return fits, compare(fits)


def test_model_files_are_proper_and_lavaans(model_files):
    fits, _ = model_files
    for name, fit in fits.items():
        theirs = GROUPS["models"]["measures"][name]
        table = fit.measures.set_index("measure")
        for key in ("npar", "df", "chisq", "pvalue", "cfi", "rmsea", "srmr", "aic", "bic"):
            same(table["standard"][key], theirs[key], atol=1e-6)
        for key in ("chisq", "pvalue", "cfi", "rmsea"):
            same(table["scaled"][key], theirs[f"{key}.scaled"], atol=1e-6)
        for key in ("cfi", "rmsea"):
            same(table["robust"][key], theirs[f"{key}.robust"], atol=1e-6)
        effects = pd.DataFrame(GROUPS["models"]["effects"][name])
        assert fit.defined["name"].tolist() == effects["lhs"].tolist() and len(effects) >= 2
        same(fit.defined[["estimate", "se", "p"]], effects[["est", "se", "pvalue"]], rtol=1e-5)
        assert fit.converged and not (fit.problems["severity"] != "note").any()


def test_which_model_files_are_nested(model_files):
    fits, table = model_files
    table = table.set_index("model")
    order = [f"gebruiksmodel{end}" for end in ("_direct", "", "_full_mediation")]
    assert table.index.tolist()[:3] == order
    for small, key in zip(order[1:], ("direct", "full_mediation"), strict=True):
        theirs = GROUPS["models"]["differences"][key]
        row = table.loc[small]
        same(row[["chisq_diff", "df_diff", "p"]], [theirs["chisq"], theirs["df"], theirs["p"]])
    assert table["against"].tolist()[1:3] == order[:2]
    for name, variable in (("items", "mot_awareness"), ("expected", "exp_twitter")):
        row = table.loc[f"gebruiksmodel_{name}"]
        assert row["nested"] == "no" and row[["aic", "bic", "chisq_diff", "p"]].isna().all()
        assert "no aic and bic: other observed variables" in row["note"]
        assert variable in row["note"] or name == "expected"
    assert fits[order[1]].model.name == "gebruiksmodel"
    assert table.loc["gebruiksmodel_items", "note_code"] == "no_aic_and_bic"
    assert_codes_say_the_notes(table)


# ---- what must hold ------------------------------------------------------------------------------


def test_order_and_names_do_not_matter():
    fits = {"free": fit_hs(), "chain": fit_hs(GROUPS["nested"]["models"]["chain"])}
    table = compare(fits)
    turned = compare(dict(reversed(fits.items())))
    pd.testing.assert_frame_equal(table, turned)
    listed = compare(*fits.values())
    assert listed["model"].tolist() == ["model 1", "model 2"]
    pd.testing.assert_frame_equal(
        table.drop(columns=["model", "against"]), listed.drop(columns=["model", "against"])
    )


def test_a_row_is_tested_against_the_nearest_model_that_contains_it():
    models = GROUPS["nested"]["models"]
    table = compare({name: fit_hs(models[name]) for name in ("three", "equal", "two")})
    assert table["model"].tolist() == ["three", "equal", "two"]
    assert table["against"].tolist() == ["", "three", "three"]
    assert table["delta_cfi"][2] == pytest.approx(table["cfi"][2] - table["cfi"][0])


def test_other_order_of_variables_is_the_same_data():
    turned = "speed =~ x9 + x8 + x7\ntextual =~ x6 + x5 + x4\nvisual =~ x3 + x2 + x1"
    chain = fit_hs(GROUPS["nested"]["models"]["chain"], estimator="MLR")
    one, other = fit_hs(estimator="MLR"), fit_hs(turned, estimator="MLR")
    assert nested_in(chain, other) == ("yes", None)
    assert difference(other, chain).chisq == pytest.approx(difference(one, chain).chisq, rel=1e-6)
    assert positive_scaling(other, chain) == pytest.approx(positive_scaling(one, chain), rel=1e-6)
    ordered = {"estimator": "WLSMV", "ordered": "all"}
    data = read_data("hscat")
    fits = [
        sem.fit(sem.read_model(text), data, **ordered)
        for text in (HS, turned, GROUPS["nested"]["models"]["chain"])
    ]
    assert nested_in(fits[2], fits[1]) == ("yes", None)
    same(satorra_2000(fits[1], fits[2]), satorra_2000(fits[0], fits[2]), rtol=1e-5)


def test_a_saturated_model_may_be_compared():
    data = read_data("hs")
    texts = ["x1 ~ x2 + x3\nx4 ~ x2 + x3", "x1 ~ x2 + x3\nx4 ~ x2 + 0*x3"]
    saturated, small = (sem.fit(sem.read_model(text), data, estimator="MLR") for text in texts)
    table = compare(saturated, small)
    assert table["fit_indices"][0] == "robust" and table["cfi"][0] == 1 and table["rmsea"][0] == 0
    # the difference from a saturated model is the model's own test
    assert table["chisq_diff"][1] == pytest.approx(table["chisq_scaled"][1])


def test_where_the_scaling_of_2001_is_negative():
    data = read_data("hs").iloc[60:120]
    text = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6"
    large = sem.fit(sem.read_model(f"{text}\ntextual =~ q*x1"), data, estimator="MLR")
    small = sem.fit(sem.read_model(text), data, estimator="MLR")
    assert GROUPS["scaled_2010"]["negative"]["sb2001"]["chisq"] is None
    assert GROUPS["scaled_2010"]["negative"]["sb2010"]["chisq"] < 0  # lavaan's is negative too
    test = difference(large, small)
    assert test.method == "Satorra 2000 scaled" and "not positive (-0.398)" in test.note
    # one restriction: about the robust over the ordinary variance of the parameter
    ordinary = np.linalg.inv(large.objective.observed_information(large.point.theta))
    place = large.layout.parameters.index("q")
    ratio = large.vcov.loc["q", "q"] / ordinary[place, place]
    assert test.scaling == pytest.approx(ratio, rel=0.15)
    # neither units nor the way of writing matter
    other = data.assign(x1=data["x1"] * 10, x6=data["x6"] / 10)
    turned = f"{text.replace('x1 + x2', 'x2 + x1').replace('x4 + x5', 'x5 + x4')}"
    fits = [sem.fit(sem.read_model(m), other, "MLR") for m in (f"{turned}\ntextual =~ x1", turned)]
    assert positive_scaling(*fits) == pytest.approx(test.scaling, rel=1e-5)
    assert compare(large, small)["note"][1] == test.note
    assert_codes_say_the_notes(compare(large, small))
    asked = difference(large, small, method="satorra.bentler.2010")
    assert np.isnan([asked.chisq, asked.p, scaling_2010(large, small)]).all()
    assert asked.note.startswith("no test: the scaling factor is not positive")


def test_a_wald_test_of_one_label_is_z_squared():
    fit = fit_hs(f"{HS}\nspeed ~ a*visual + b*textual\nab := a*b", estimator="MLR")
    z = fit.estimates.set_index("label")["z"]
    assert wald(fit, "a == 0")["chisq"].item() == pytest.approx(z["a"] ** 2)
    defined = fit.defined.set_index("name").loc["ab"]
    for text in ("ab == 0", "a*b == 0", "0 == 2*ab"):
        row = wald(fit, text).iloc[0]
        assert row["chisq"] == pytest.approx(defined["z"] ** 2) and row["p"] == pytest.approx(
            defined["p"]
        )
    both = wald(fit, ["a == 0", "b == 0"])
    assert both["df"].item() == 2 and both["constraints"].item() == "a == 0; b == 0"
    pd.testing.assert_frame_equal(both, wald(fit, "a == 0; b == 0"))


def test_score_tests_foretell_the_release():
    equal = fit_hs(group="school", equal=("loadings", "intercepts"))
    free = fit_hs(group="school", equal=("loadings", "intercepts"), free=("x3 ~ 1",))
    table = score_tests(equal)
    row = table[(table["lhs"] == "x3") & (table["op"] == "~1")].iloc[0]
    gain = difference(free, equal)
    assert row["chisq"] == pytest.approx(gain.chisq, rel=0.1) and gain.df == row["df"] == 1
    estimates = free.estimates.query("lhs == 'x3' and op == '~1'")["estimate"].to_numpy()
    assert row["epc"] == pytest.approx(estimates[1] - estimates[0], rel=0.15)
    assert row["released_from"] == "x3 ~ 1 (Grant-White)" and row["group"] == "Pasteur"
    assert table["p_holm"][:-1].min() == row["p_holm"] and row["p_holm"] == pytest.approx(
        row["p"] * 15
    )


def test_holm():
    same(holm([0.01, np.nan, 0.04, 0.03]), [0.03, np.nan, 0.06, 0.06])
    assert np.isnan(holm([np.nan])).all() and len(holm([])) == 0
    p = np.random.default_rng(1).uniform(0, 0.2, 12)
    same(holm(p), multipletests(p, method="holm")[1])


def assert_codes_say_the_notes(table):
    """The notes of compare() can be made from their codes and fields."""
    assert (table["note"] != "").any()
    for row in table.to_dict("records"):
        values = json.loads(row["note_values"] or "[]")
        codes = row["note_code"].split("; ") if row["note_code"] else []
        notes = [sem.render(*pair) for pair in zip(codes, values, strict=True)]
        assert "; ".join(notes) == row["note"]


# ---- what is refused -----------------------------------------------------------------------------


def refused(message, function, *args, **options):
    with pytest.raises(ValueError, match=message):
        function(*args, **options)


def test_what_has_no_difference():
    data, chain = read_data("hs"), GROUPS["nested"]["models"]["chain"]
    fewer = sem.fit(sem.read_model("visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6"), data)
    refused("other observed variables .*x7, x8, x9.*fix it to 0", difference, fit_hs(), fewer)
    other = sem.fit(sem.read_model(chain), data.iloc[1:])
    refused(r"other rows \(n = 300 and 301\)", difference, fit_hs(), other)
    swapped = sem.fit(sem.read_model(chain), data.assign(x1=data["x1"].to_numpy()[::-1]))
    refused(r"other rows", difference, fit_hs(), swapped)
    refused("other estimators", difference, fit_hs(), fit_hs(chain, estimator="MLR"))
    refused("mean_structure", difference, fit_hs(), fit_hs(chain, mean_structure=True))
    refused("other groups", difference, fit_hs(group="school"), fit_hs(chain, mean_structure=True))
    refused(
        "24 df.*no chi-square difference.*larger model comes first",
        difference,
        fit_hs(chain),
        fit_hs(),
    )
    models = GROUPS["nested"]["models"]
    refused("not nested", difference, fit_hs(models["equal"]), fit_hs(models["two"]))
    covariates = [
        f"{HS}\nvisual ~ ageyr\ntextual ~ female",
        f"{HS}\nvisual ~ ageyr + female\nageyr ~~ x9",
    ]
    refused("other fixed covariates", difference, *(fit_hs(text) for text in covariates))


def test_a_fit_that_did_not_converge_has_no_test(monkeypatch):
    monkeypatch.setattr(search, "STEPS", 0)
    failed = sem.fit(sem.read_model(GROUPS["nested"]["models"]["chain"]), read_data("hs"))
    monkeypatch.undo()
    table = compare({"one": fit_hs(), "failed": failed})
    assert_codes_say_the_notes(table)
    assert "has no solution" in table["note"][1] and np.isnan(table["chisq_diff"][1])
    assert table["fit_indices"].tolist() == ["standard"] * 2
    refused("has no solution", difference, fit_hs(), failed)
    refused("no solution", score_tests, failed)
    refused("no solution", wald, failed, "a == 0")


def test_arguments():
    refused("two or more fits", compare, fit_hs())
    refused("two or more fits", compare, [fit_hs(), "chain"])
    refused("two fits", difference, fit_hs(), "chain")
    refused("method='bentler' does not exist", compare, fit_hs(), fit_hs(), method="bentler")
    refused("No parameters are equal", score_tests, fit_hs())
    labelled = fit_hs(f"{HS}\nspeed ~ a*visual + b*textual")
    refused("'a = b' is not an equation", wald, labelled, "a = b")
    refused("c is not a label.*there are: a, b", wald, labelled, "a == c")
    refused("nothing is not a label", wald, labelled, "")
    refused("follows from the others", wald, labelled, ["a == b", "b == a"])
    refused("no free parameter", wald, labelled, "1 == 0")
