"""semfit.testing.groups and group_paths: lavaan's numbers (groups.R), planted differences, refusals."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semfit as sem
from semfit.fitting import search
from semfit.messages import as_json, message, told
from semfit.testing.group_paths import path_differences, without_covariates
from semfit.testing.groups import group_sizes, invariance, latent_means, measurement_model
from semfit.testing.verdicts import cutoff_table, judge, rmsea_of_difference

REFERENCE = Path(__file__).parent / "reference"
GROUPS = json.loads((REFERENCE / "groups.json").read_text())
HS = sem.read_model("visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9")
TWO = sem.read_model("f =~ x1 + x2 + x3 + x4\ng =~ x5 + x6 + x7 + x8\ng ~ a*f + size\ntwice := 2*a")
LISTWISE = {"estimator": "ML", "missing": "listwise"}
CLOSE = {"rtol": 1e-6, "atol": 1e-8}


@cache
def read_data(name):
    return pd.read_csv(REFERENCE / "estimators" / f"data_{name}.csv")


def model_of(name):
    return sem.read_model("gebruiksmodel", REFERENCE / "models") if name == "wave2012" else HS


@cache
def reference_invariance(name):
    """Our invariance of a case of groups.R."""
    case = GROUPS["invariance"][name]
    return invariance(
        model_of(name),
        read_data(case["data"]),
        case["group"],
        case["estimator"],
        case["missing"],
        steps=[*case["steps"]],
        free=case["free"],
        ordered=case.get("ordered", ()),
    )


def same(ours, theirs, **tolerance):
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    np.testing.assert_allclose(ours, theirs, equal_nan=True, **(CLOSE | tolerance))


@pytest.fixture(params=GROUPS["invariance"])
def case(request):
    return request.param


# ---- lavaan --------------------------------------------------------------------------------------


def test_steps_are_lavaans(case):
    ours, theirs = reference_invariance(case), GROUPS["invariance"][case]["steps"]
    assert ours.table["step"].tolist() == list(theirs) == list(ours.fits)
    scaled = "" if GROUPS["invariance"][case]["estimator"] == "ML" else ".scaled"
    robust = "" if scaled == "" else ".robust"
    if case == "hscat":  # robust indices do not see thresholds
        robust = scaled
    indices = ["cfi", "rmsea"]
    assert (ours.table["fit_indices"] == (robust[1:] or "standard")).all()
    for step, row in ours.table.set_index("step").iterrows():
        measures = theirs[step]["measures"]
        same(row[["npar", "df"]], [measures["npar"], measures["df"]])
        same(row[["chisq", "p"]], [measures[f"chisq{scaled}"], measures[f"pvalue{scaled}"]])
        same(row[indices], [measures[f"{name}{robust}"] for name in indices])
        same(row["srmr"], measures["srmr"])
        if step != "configural":
            test = theirs[step]["difference"]
            same(row[["chisq_diff", "df_diff"]], [test["chisq"], test["df"]])
            same(row["p_diff"], test["p"], atol=1e-12)
    changes = ours.table[["cfi", "rmsea", "srmr"]].diff().to_numpy()
    same(ours.table[["delta_cfi", "delta_rmsea", "delta_srmr"]], changes)


def test_suggestions_are_lavaans_score_tests(case):
    ours = reference_invariance(case).suggestions
    for step, answers in GROUPS["invariance"][case]["steps"].items():
        if step == "configural":
            assert step not in set(ours["step"])
            continue
        kinds = {"metric": ["=~"], "scalar": ["~1"], "strict": ["~~"]}[step]
        theirs = pd.DataFrame(answers["score"])
        theirs = theirs[theirs["op"].isin(kinds if case != "hscat" else ["=~", "|"])]
        written = theirs["lhs"] + theirs["op"] + theirs["rhs"]
        theirs = theirs.set_index(written.str.replace(" ", ""))
        mine = ours[ours["step"] == step]
        mine = mine[~mine["free"].str.endswith("~ 1") | (case != "hscat")]  # fixed there
        mine = mine.set_index(mine["free"].str.replace(" ", ""))
        assert set(mine.index) == set(theirs.index) and (mine["chisq"].diff()[1:] < 1e-8).all()
        same(mine["chisq"], theirs["chisq"][mine.index])
        same(mine["p"], theirs["p"][mine.index])


@pytest.mark.parametrize("name", GROUPS["means"])
def test_latent_means_are_lavaans(name):
    theirs = GROUPS["means"][name]
    result = reference_invariance(name)
    ours = latent_means(result.fits["scalar"])
    assert ours["latent"].tolist() == theirs["latents"]
    columns = ["est", "se", "z", "pvalue", "ci.lower", "ci.upper"]
    raw = pd.DataFrame(theirs["difference"])[columns]
    same(ours[["difference", "se", "z", "p", "ci_low", "ci_high"]], raw, rtol=1e-5)
    std = pd.DataFrame(theirs["d"])[["est", "se", "ci.lower", "ci.upper"]]
    same(ours[["d", "d_se", "d_ci_low", "d_ci_high"]], std, rtol=1e-5)
    if name == "hs_ml":  # scalar invariance fails there
        assert result.latent_means.empty and result.means_test.empty
        return
    pd.testing.assert_frame_equal(result.latent_means, ours)
    test = result.means_test.iloc[0]
    same(
        test[["chisq_diff", "df_diff", "p"]], [theirs["all_equal"][k] for k in ("chisq", "df", "p")]
    )


SLOW = pytest.param("wave2012", marks=pytest.mark.slow)  # twelve fits of the Gebruiksmodel


@pytest.fixture(scope="module", params=["hs_ml", "hs_mlr", SLOW])
def compared_paths(request):
    assert set(GROUPS["paths"]) == {"hs_ml", "hs_mlr", "wave2012"}
    theirs = GROUPS["paths"][request.param]
    text = theirs["model"] if request.param != "wave2012" else "gebruiksmodel"
    options = {key: theirs[key] for key in ("group", "estimator", "missing", "equal")}
    return path_differences(
        sem.read_model(text, REFERENCE / "models"), read_data(theirs["data"]), **options
    ), theirs


def test_path_differences_are_lavaans(compared_paths):
    ours, theirs = compared_paths
    assert ours.dropped == (("size",) if theirs["data"] == "wave2012" else ())
    table = ours.table.set_index("path")
    assert table.index.tolist() == [row["path"] for row in theirs["rows"]] + ["all paths"]
    for row in [*theirs["rows"], theirs["all"] | {"path": "all paths"}]:
        mine = table.loc[row["path"]]
        same(mine[["wald_chisq", "wald_df", "wald_p"]], list(row["wald"].values()), rtol=1e-5)
        same(mine[["lrt_chisq", "lrt_df", "lrt_p"]], list(row["lrt"].values()), rtol=1e-5)
    for name, answers in zip(ours.fit.groups, theirs["estimates"], strict=True):
        columns = [f"estimate_{name}", f"se_{name}", f"std_all_{name}"]
        same(table[columns][:-1], pd.DataFrame(answers)[["est", "se", "std.all"]], rtol=1e-5)
    first, second = (table[f"estimate_{name}"] for name in ours.fit.groups)
    same(table["difference"], second - first)
    same(
        (table["difference"] / table["difference_se"]) ** 2,
        table["wald_chisq"].where(table["difference"].notna()),
    )


def test_what_is_constant_in_a_group_is_left_out():
    data = planted()
    data.loc[data["group"] == "b", "size"] = 1.0
    result = path_differences(TWO, data, "group", **LISTWISE)
    assert result.dropped == ("size",) and "size" not in result.fit.model.observed
    assert "Left out, constant in a group: size." in result.message
    assert told(result.message_parts) == result.message
    assert result.table["path"].tolist() == ["g ~ f", "all paths"]
    assert "Left out" not in path_differences(TWO, planted(), "group", **LISTWISE).message


# ---- verdicts ------------------------------------------------------------------------------------


def told_verdict(result, step, column="verdict"):
    """A code of the table of steps in words."""
    row = result.table.iloc[step]
    return sem.render(row[column], json.loads(row["values"]))


def test_verdicts_of_the_schools():
    plain = reference_invariance("hs_ml")
    assert plain.table["verdict"].tolist() == [
        "holds",
        "holds",
        "fails",
        "not_tested",
    ]
    assert told_verdict(plain, 3) == "not tested: scalar fails"
    assert plain.table["reason"][3] == "the step before it must hold"
    assert "scalar: fails, strict: not tested: scalar fails." in plain.message
    assert plain.level == "metric" and "in the smallest group: unsteady." in plain.message
    assert "Groups may be compared on: covariances and paths of latent variables." in plain.message
    assert plain.suggestions.query("step == 'scalar'")["free"].tolist()[:2] == ["x3 ~ 1", "x7 ~ 1"]
    partial = reference_invariance("hs_mlr_partial")
    assert partial.table["verdict"].tolist() == ["holds", "holds", *["holds_partially"] * 2]
    assert partial.table["freed"].tolist() == ["", "", *["x3 ~ 1, x7 ~ 1"] * 2]
    assert partial.level == "strict"
    assert partial.table["allowed"].tolist() == [
        "allowed_structure",
        "allowed_covariances",
        "allowed_latent_means_partial",
        "allowed_observed_means_partial",
    ]
    words = "latent means, covariances and paths (partial invariance: x3 ~ 1, x7 ~ 1 free)"
    assert told_verdict(partial, 2, "allowed") == words
    words = f"observed means and scale scores, {words}; scores without these items"
    assert told_verdict(partial, 3, "allowed") == words
    assert (
        f"scalar: holds partially, strict: holds partially. Groups may be compared on: {words}."
        in (partial.message)
    )


@pytest.mark.parametrize("name", ["hs_ml", "hs_mlr_partial", "wave2012"])
def test_codes_say_what_the_message_says(name):
    """Every sentence, reason and verdict can be made from its code and fields, also out of JSON."""
    result = reference_invariance(name)
    assert told(result.message_parts) == result.message
    assert {part.code for part in result.message_parts} <= {*sem.MESSAGES}
    again = [(part.code, json.loads(as_json(part.values))) for part in result.message_parts]
    assert told(again) == result.message
    for row in result.table.to_dict("records"):
        assert sem.render(row["reason_code"], json.loads(row["values"])) == row["reason"]
        verdict = sem.render(row["verdict"], json.loads(row["values"]))
        assert f"{row['step']}: {verdict}" in result.message
    assert set(result.cutoffs["source"]) <= {*sem.MESSAGES}


def test_another_language_has_the_same_fields():
    """With other templates nothing English is left, but the names that the user gave."""
    result = reference_invariance("hs_ml")
    templates = dict.fromkeys(sem.MESSAGES, "-") | {
        "groups_compared": "{model} naar {group} ({sizes}): {estimator}.",
        "group_size": "{group} {n}",
        "step_verdicts": "{verdicts}!",
        "step_verdict": "{step} {verdict}",
        "scalar": "scalair",
        "fails": "faalt",
        "not_tested": "niet getoetst want {failed}",
        "step_fails": "{step} faalt",
    }
    said = [sem.render(*part, templates) for part in result.message_parts]
    assert said[0].endswith("naar school (Grant-White 145, Pasteur 156): ML.")
    assert said[1] == "- -, - -, scalair faalt, - niet getoetst want scalair faalt!"
    assert set(said[2:]) == {"-"}


def test_small_groups_are_said():
    result = reference_invariance("wave2012")
    assert (
        "(0: n = 150, 1: n = 104)" in result.message and "1.0 cases per parameter" in result.message
    )
    assert result.group_sizes["n"].tolist() == [150, 104]
    same(
        result.group_sizes["cases_per_parameter"],
        result.group_sizes["n"] / result.group_sizes["parameters"],
    )
    assert set(result.problems["step"]) == set(result.fits)
    assert "cases per parameter" in " ".join(result.problems["what"])


LIMITS = cutoff_table(["configural", "scalar"]).set_index("step")


@pytest.mark.parametrize(
    ("p", "size", "cfi", "verdict", "reason"),
    [
        (0.05, 0.2, -0.1, "holds", "difference_not_found"),
        (0.049, 0.049, -0.1, "holds", "difference_slight"),
        (0.0, 0.049, -0.1, "holds", "difference_slight"),
        (0.049, 0.05, -0.009, "holds", "difference_unlikely"),
        (0.01, 0.05, -0.009, "holds", "difference_unlikely"),
        (0.01, 0.05, -0.01, "undecided", "difference_likely"),
        (0.0099, 0.05, 0.1, "fails", "difference_found"),
        (0.5, np.nan, 0.0, "undecided", "change_not_known"),
        (np.nan, 0.1, 0.0, "undecided", "change_not_known"),
        (0.001, 0.1, np.nan, "undecided", "change_not_known"),
    ],
)
def test_verdict_of_a_change(p, size, cfi, verdict, reason):
    fit = reference_invariance("hs_ml").fits["scalar"]
    row = {"step": "scalar", "freed": "", "p_diff": p, "rmsea_diff": size, "delta_cfi": cfi}
    limits = LIMITS.loc["scalar"]
    ours = judge(row, fit, limits, None, None)
    assert (ours[0], ours[1].code) == (verdict, reason)
    freed = judge(row | {"freed": "x3 ~ 1"}, fit, limits, None, None)[0]
    assert freed == ("holds_partially" if verdict == "holds" else verdict)
    failed = message("step_fails", step=("metric", {}))
    assert judge(row, fit, limits, failed, None)[0] == "not_tested"


def test_the_rmsea_of_a_difference():
    assert rmsea_of_difference(30, 6, 1000, 2) == pytest.approx(np.sqrt(2 * 24 / 6000))
    assert rmsea_of_difference(5, 6, 1000, 2) == 0 and np.isnan(rmsea_of_difference(0, 0, 9, 2))


@pytest.mark.parametrize(
    ("cfi", "rmsea", "srmr", "verdict"),
    [
        (0.90, 0.08, 0.08, "holds"),
        (0.95, 0.09, 0.06, "holds"),
        (0.95, 0.09, 0.09, "undecided"),
        (0.89, 0.05, 0.05, "undecided"),
        (0.89, 0.09, 0.05, "fails"),
    ],
)
def test_verdict_of_the_first_step(cfi, rmsea, srmr, verdict):
    fit = reference_invariance("hs_ml").fits["configural"]
    row = {"step": "configural", "freed": "", "cfi": cfi, "rmsea": rmsea, "srmr": srmr}
    assert judge(row, fit, LIMITS.loc["configural"], None, None)[0] == verdict


def test_the_reason_of_a_verdict():
    fit, limits = reference_invariance("hs_ml").fits["scalar"], LIMITS.loc["scalar"]
    row = {"step": "scalar", "freed": "", "p_diff": 0.02, "rmsea_diff": 0.1, "delta_cfi": -0.012}
    reason = judge(row, fit, limits, None, None)[1]
    assert str(reason) == "p of the difference 0.020 (0.01 to 0.05), cfi -0.012 (-0.01 or less)"
    row |= {"delta_cfi": np.nan}
    assert str(judge(row, fit, limits, None, None)[1]) == "the change of fit is not known"
    note = message("not_nested")
    assert judge(row, fit, limits, None, note) == ("undecided", note)


# ---- known truth ---------------------------------------------------------------------------------


def planted(seed=5, n=300, groups="ab", **changes):
    """Two factors in groups; in group b, ``x3=(kind, value)`` changes an item, mean and path too.

    What lies behind the items has exactly the planted means and variances.
    """
    rng, frames = np.random.default_rng(seed), []
    for group in groups:
        changed = changes if group == "b" else {}
        raw = rng.normal(size=(n, 3))
        exact = np.linalg.qr(raw - raw.mean(axis=0))[0] * np.sqrt(n)
        f, size = exact[:, 0] + changed.get("mean", 0.0), exact[:, 1]
        g = changed.get("path", 0.5) * f + 0.2 * size + 0.8 * exact[:, 2]
        frame = {"group": group, "size": size}
        for i in range(1, 9):
            own = {"loading": 0.8, "intercept": 3.0, "residual": 0.6}
            kind, value = changed.get(f"x{i}", ("loading", 0.8))
            own[kind] = value
            noise = own["residual"] * rng.normal(size=n)
            frame[f"x{i}"] = own["intercept"] + own["loading"] * (f if i <= 4 else g) + noise
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)


@cache
def without_differences():
    return invariance(TWO, planted(), "group", **LISTWISE)


def test_without_planted_differences_all_steps_hold():
    result = without_differences()
    assert result.table["verdict"].tolist() == ["holds"] * 4 and result.level == "strict"
    assert (result.table["p_diff"][1:] > 0.01).all() and result.means_test["p"].item() > 0.01
    assert result.table["equal"].tolist()[-1] == "loadings, intercepts, residuals"


@pytest.mark.parametrize(
    ("change", "step", "free"),
    [
        ({"x3": ("loading", 0.3)}, "metric", "f =~ x3"),
        ({"x7": ("intercept", 3.5)}, "scalar", "x7 ~ 1"),
        ({"x2": ("residual", 1.2)}, "strict", "x2 ~~ x2"),
    ],
)
def test_a_planted_difference_is_found_named_and_freed(change, step, free):
    data = planted(**change)
    result = invariance(TWO, data, "group", **LISTWISE)
    verdicts = result.table.set_index("step")["verdict"]
    steps = verdicts.index.tolist()
    at = steps.index(step)
    assert verdicts[step] in ("fails", "undecided") and (verdicts[:at] == "holds").all()
    assert (verdicts[at + 1 :] == "not_tested").all()
    for later in range(at + 1, 4):
        assert told_verdict(result, later).startswith(f"not tested: {step} ")
    assert result.level == steps[at - 1]
    assert result.suggestions.query("step == @step")["free"].iloc[0] == free
    freed = invariance(TWO, data, "group", **LISTWISE, free=free.replace(" ", ""))
    assert freed.table["verdict"].tolist() == ["holds"] * at + ["holds_partially"] * (4 - at)
    assert freed.table["df"].tolist()[at] == result.table["df"][at] - 1
    assert freed.level == "strict"


def test_a_planted_difference_of_means_is_recovered():
    data = planted(mean=0.5, x6=("intercept", 3.6))
    result = invariance(TWO, data, "group", **LISTWISE, free=("x6 ~ 1",))
    means = result.latent_means.set_index("latent")
    # the marker's loading .8 sets the scale; f differs by .5 sd, g by .5 * .5
    assert means.loc["f", "difference"] == pytest.approx(0.4, abs=3 * means.loc["f", "se"])
    assert means.loc["f", "d"] == pytest.approx(0.5, abs=3 * means.loc["f", "d_se"])
    assert means.loc["g", "difference"] == pytest.approx(0.2, abs=3 * means.loc["g", "se"])
    assert result.means_test["p"].item() < 0.001 and result.means_test["df_diff"].item() == 2


def test_a_planted_path_is_found():
    result = path_differences(TWO, planted(path=0.9), "group", **LISTWISE)
    table = result.table.set_index("path")
    assert table["difference"]["g ~ f"] == pytest.approx(
        0.4, abs=3 * table["difference_se"]["g ~ f"]
    )
    assert table["lrt_p_holm"]["g ~ f"] < 0.001 and table["lrt_p_holm"]["g ~ size"] > 0.05
    assert "Paths that differ (p < .05 after Holm): g ~ f;" in result.message
    assert told(result.message_parts) == result.message
    assert [part.code for part in result.message_parts][1] == "paths_differ"
    none = path_differences(TWO, planted(), "group", **LISTWISE).table
    assert none["lrt_p"].min() > 0.01


# ---- what must not matter ------------------------------------------------------------------------


def test_swapping_the_groups_turns_signs_only():
    data = planted(mean=0.5, path=0.7)
    turned = data.assign(group=pd.Categorical(data["group"], ["b", "a"]))
    options = LISTWISE | {"steps": ("configural", "scalar")}
    one, other = (invariance(TWO, d, "group", **options) for d in (data, turned))
    numbers = one.table.select_dtypes("number").columns
    same(one.table[numbers], other.table[numbers], rtol=1e-5, atol=1e-7)
    assert one.table["verdict"].equals(other.table["verdict"]) and one.level == "scalar"
    same(one.latent_means[["difference", "d"]], -other.latent_means[["difference", "d"]], rtol=1e-5)
    same(one.latent_means["p"], other.latent_means["p"], rtol=1e-5, atol=1e-7)
    one, other = (path_differences(TWO, d, "group", **LISTWISE).table for d in (data, turned))
    same(one["difference"], -other["difference"], rtol=1e-5)
    tests = ["wald_chisq", "wald_p", "lrt_chisq", "lrt_p", "estimate_a", "estimate_b"]
    same(one[tests], other[tests], rtol=1e-5, atol=1e-7)


def test_permuted_groups_do_not_differ():
    data = read_data("hs").sample(frac=1, random_state=4).reset_index(drop=True)
    data["school"] = read_data("hs")["school"]
    result = invariance(HS, data, "school", **LISTWISE)
    assert result.level == "strict" and (result.table["p_diff"][1:] > 0.01).all()


def test_three_groups():
    data = planted(groups="abc", n=300, mean=0.5)
    result = invariance(TWO, data, "group", **LISTWISE, steps=("configural", "scalar"))
    assert result.table["df_diff"].tolist()[1] == 24 and result.level == "scalar"
    means = result.latent_means
    assert means[["latent", "group"]].to_numpy().tolist() == [
        [latent, group] for group in "bc" for latent in "fg"
    ]
    assert means["p"][0] < 0.001 < means["p"][2]
    assert (
        set(result.suggestions["free"]) >= {"f =~ x2", "x1 ~ 1"}
        and result.means_test["df_diff"].item() == 4
    )
    paths = path_differences(TWO, data, "group", **LISTWISE).table
    assert paths["wald_df"].tolist() == paths["lrt_df"].tolist() == [2, 2, 4]
    assert paths["difference"].isna().all() and paths["estimate_c"].notna()[:2].all()


def test_labels_do_not_tie_groups():
    labelled = sem.read_model("f =~ x1 + b*x2 + a*x3 + x4\ng =~ x5 + x6 + x7 + x8")
    result = invariance(labelled, planted(), "group", **LISTWISE)
    numbers = result.table.select_dtypes("number").columns
    same(result.table[numbers], without_differences().table[numbers], rtol=1e-5, atol=1e-7)


# ---- parts of models -----------------------------------------------------------------------------


def test_measurement_part():
    model = measurement_model(sem.read_model("gebruiksmodel", REFERENCE / "models"))
    assert model.name == "gebruiksmodel (measurement)" and not model.covariates
    assert set(model.parameters["op"]) == {"=~", "~~"} and not model.definitions
    pairs = model.parameters.query("op == '~~' and lhs != rhs and parameter != ''")
    assert len(pairs) == 4 + 15  # paired wording; all covariances of six latent variables
    assert (
        len(measurement_model(sem.read_model("gebruiksmodel_items", REFERENCE / "models")).latents)
        == 10
    )


def test_measurement_part_of_other_ways_of_writing():
    text = "f =~ NA*x1 + x2 + c(1, 1)*x3\nf ~~ 1*f\ng =~ x4 + x5 + x6\nf ~~ 0*g\ng ~~ 0*f2\n"
    text += "f2 =~ x7 + x8\ng ~~ x9\nx1 ~ 2*1\ng ~ 1\nx9 ~ g"
    lines = measurement_model(sem.read_model(text)).text.splitlines()
    assert lines[:3] == ["f =~ x1", "f =~ x2", "f =~ c(1, 1)*x3"] and lines[-1] == "x1 ~ 2*1"
    assert not any("~~" in line or "x9" in line or "g ~" in line for line in lines)
    with pytest.raises(ValueError, match="has no =~ line"):
        measurement_model(sem.read_model("x1 ~ x2"))


def test_a_second_order_factor_has_the_latent_mean():
    model = sem.read_model(f"{HS.text}\ng =~ visual + textual + speed")
    options = LISTWISE | {"steps": ("configural", "metric", "scalar")}
    result = invariance(model, read_data("hs"), "school", **options, free=("x3 ~ 1", "x7 ~ 1"))
    fit = result.fits["scalar"]
    free = fit.estimates.query("op == '~1' and free and lhs in ('visual', 'textual', 'speed', 'g')")
    assert free[["lhs", "group"]].to_numpy().tolist() == [["g", "Pasteur"]]


def test_without_covariates():
    model = without_covariates(
        sem.read_model("gebruiksmodel", REFERENCE / "models"), ("size", "b2c")
    )
    assert model.covariates == ("east",) and model.name == "gebruiksmodel"
    assert [name for name, _ in model.definitions] == [
        name for name, _ in sem.read_model("gebruiksmodel", REFERENCE / "models").definitions
    ]
    lost = without_covariates(
        sem.read_model("y ~ a*x + b*z\nab := a*b\ntwice := 2*ab\nbb := b*b"), "x"
    )
    assert lost.definitions == (("bb", "b*b"),)


def test_the_grouping_variable_is_no_covariate():
    data = read_data("hs").assign(girls=read_data("hs")["female"])
    model = sem.read_model(f"{HS.text}\nspeed ~ visual + female + ageyr")
    result = path_differences(model, data, "female", **LISTWISE)
    assert result.dropped == ("female",) and len(result.table) == 3
    other = path_differences(model, data, "girls", **LISTWISE)
    assert other.dropped == ("female",)
    same(result.table["lrt_chisq"], other.table["lrt_chisq"])


def test_means_with_too_few_equal_indicators_are_named():
    free = ("x2 ~ 1", "x3 ~ 1", "x4 ~ 1")
    options = LISTWISE | {"steps": ("configural", "scalar"), "free": free}
    result = invariance(TWO, planted(), "group", **options)
    assert "Fewer than 2 indicators tie the mean of f: do not use it." in result.message
    options["free"] = free[:2]
    assert "Fewer" not in invariance(TWO, planted(), "group", **options).message


def test_sizes_of_groups():
    sizes = group_sizes(reference_invariance("hs_ml").fits["configural"])
    assert sizes["n"].tolist() == [145, 156] and sizes["parameters"].tolist() == [30, 30]


# ---- what is refused -----------------------------------------------------------------------------


def refused(message, function, *args, **options):
    with pytest.raises(ValueError, match=message):
        function(*args, **options)


def test_steps_that_are_refused():
    data = read_data("hscat")
    ordered = {"estimator": "WLSMV", "missing": "listwise", "ordered": "all"}
    first = {"steps": ("configural", "strict"), "parameterization": "delta"}
    refused("needs parameterization='theta'", invariance, HS, data, "school", **first, **ordered)
    first = ("configural", "thresholds")
    refused("is for ordered variables", invariance, HS, data, "school", steps=first)
    three = [f"x{i}" for i in (7, 8, 9)]
    speed = sem.read_model("speed =~ x7 + x8 + x9")
    ordered |= {"steps": first, "ordered": three}
    refused(
        "no step of its own here: no item has four", invariance, speed, data, "school", **ordered
    )
    data = read_data("hs")
    refused("must hold 'configural'", invariance, HS, data, "school", steps=("metric",))
    refused("must hold 'configural'", invariance, HS, data, "school", steps=("configural", "weak"))


def test_names_that_are_refused():
    data = read_data("hs")
    refused("free='visual=~x12' is not", invariance, HS, data, "school", free="visual =~ x12")
    refused("'scool'.*closest: 'school'", invariance, HS, data, "scool")
    refused("leave them out of equal", path_differences, TWO, data, "school", equal="regressions")
    refused("no regression path", path_differences, HS, data, "school", **LISTWISE)


def test_a_step_without_a_solution(monkeypatch):
    monkeypatch.setattr(search, "STEPS", 0)
    result = invariance(HS, read_data("hs"), "school", **LISTWISE)
    assert result.table["verdict"].tolist() == ["fails"] * 4 and result.level == ""
    assert result.suggestions.empty and "Groups may be compared on: nothing." in result.message
    assert "not_converged" in set(result.problems["code"])
    model = sem.read_model(f"{HS.text}\nspeed ~ visual")
    refused(
        "this fit has no solution", path_differences, model, read_data("hs"), "school", **LISTWISE
    )
