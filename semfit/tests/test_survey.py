"""Sampling weights, clusters, gaps in ordered variables, ordered mediators: lavaan's numbers, and laws."""

import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semfit as sem
from semfit.effects import resampling
from semfit.moments.design import Design, effective_size

HERE = Path(__file__).parent / "reference"
TOLERANCE = 2e-5  # of estimates and standard errors, and relative of everything larger than 1
VERSIONS = {"lavaan_0_7": "lavaan 0.7-2", "lavaan_0_6": "lavaan 0.6-14"}
MEASURES = {
    "npar": "npar",
    "n": "ntotal",
    "chisq": "chisq",
    "df": "df",
    "pvalue": "pvalue",
    "baseline_chisq": "baseline.chisq",
    "cfi": "cfi",
    "tli": "tli",
    "rmsea": "rmsea",
    "rmsea_ci_low": "rmsea.ci.lower",
    "rmsea_ci_high": "rmsea.ci.upper",
    "rmsea_pvalue": "rmsea.pvalue",
    "srmr": "srmr",
    "logl": "logl",
    "logl_unrestricted": "unrestricted.logl",
    "aic": "aic",
    "bic": "bic",
}
FACTORS = {
    "scaling_factor": "chisq.scaling.factor",
    "baseline_scaling_factor": "baseline.chisq.scaling.factor",
}


@cache
def answers(version):
    """Return lavaan's answers, by case."""
    return json.loads((HERE / "survey" / f"{version}.json").read_text())


@cache
def frame(name):
    """Return a reference data set with its weights and clusters."""
    where = HERE / "survey/gaps.csv" if name == "gaps" else HERE / f"estimators/data_{name}.csv"
    data = pd.read_csv(where).join(pd.read_csv(HERE / "survey/design.csv"))
    return data.drop(index=149) if name in ("hsmiss", "gaps") else data  # a row without answers


@cache
def fitted(case):
    """Return the fit of a case, of whichever version knows it."""
    answer = next(answers(version)[case] for version in VERSIONS if case in answers(version))
    with warnings.catch_warnings(action="ignore"):
        return sem.fit(sem.read_model(answer["model"]), frame(answer["data"]), **answer["options"])


# lavaan 0.6-14 does not see clusters in the test of "ML" (it does in that of "MLR")
ONLY_ESTIMATES = {("lavaan_0_6", "ml_class"), ("lavaan_0_6", "ml_fiml_class")}
# lavaan 0.6-14 does not see clusters with WLSMV at all; 0.7-2, when it sums over clusters, leaves out
# the whole of each cluster in which one value is missing
OTHER_ERRORS = {
    ("lavaan_0_6", case) for case in answers("lavaan_0_6") if case.startswith("wlsmv_class")
}
OTHER_ERRORS |= {("lavaan_0_6", "pairwise_class"), ("lavaan_0_7", "pairwise_class")}
SLOW = "mlr_fiml_weights_covariates", "mlr_fiml_class_weights"  # many patterns, several starts
CASES = [
    pytest.param(version, case, marks=[pytest.mark.slow] * (case in SLOW))
    for version in VERSIONS
    for case, answer in answers(version).items()
    if not answer.get("exact")  # see below
]


@pytest.mark.parametrize(("version", "case"), CASES)
def test_every_cell_is_lavaans(version, case):
    answer, fit = answers(version)[case], fitted(case)
    labels = [str(g) for g in frame(answer["data"])[fit.group].unique()] if fit.group else [""]
    own = {}
    for row in fit.estimates.itertuples():
        for ends in (
            {(row.lhs, row.rhs), (row.rhs, row.lhs)} if row.op == "~~" else [(row.lhs, row.rhs)]
        ):
            own[(ends[0], row.op, ends[1], row.group)] = row.estimate, row.se
    own |= {(row.name, ":=", "", ""): (row.estimate, row.se) for row in fit.defined.itertuples()}
    for row in answer["estimates"]:
        defined = row["op"] == ":="
        rest = ("", "") if defined else (row["rhs"], labels[row["group"] - 1])
        estimate, se = own[(row["lhs"], row["op"], *rest)]
        assert estimate == pytest.approx(row["est"], rel=TOLERANCE, abs=TOLERANCE), row
        if row["se"] and (version, case) not in OTHER_ERRORS:
            assert se == pytest.approx(row["se"], abs=TOLERANCE), row
    if (version, case) not in ONLY_ESTIMATES | OTHER_ERRORS:
        _check_measures(fit, answer, older=version == "lavaan_0_6")


def _check_measures(fit, answer, older):
    """Compare every measure that lavaan has; a model without degrees of freedom has no scaled ones.

    Of ordered variables 0.6-14 defines srmr and robust indices in another way (`versions.R`), and
    see docs/agreement.md for robust indices of groups, and the p-value without scaling.
    """
    own = fit.measures.set_index("measure")
    columns = {"standard": "", "scaled": ".scaled", "robust": ".robust"}
    wanted = {
        (name, column): answer["measures"].get(theirs + suffix)
        for name, theirs in MEASURES.items()
        for column, suffix in columns.items()
        if column == "standard" or own.loc["df", "standard"] > 0
        if not (fit.layout.ordered and fit.group and column == "robust")
        if not (fit.layout.ordered and name == "pvalue" and column == "standard")
        if not (fit.layout.ordered and older and (name == "srmr" or column == "robust"))
    }
    if own.loc["df", "standard"] > 0:
        wanted |= {(a, "scaled"): answer["measures"].get(b) for a, b in FACTORS.items()}
    for place, value in wanted.items():
        if value is not None:
            assert own.loc[place] == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE), place


# lavaan's minimum is none where an ordered mediator is predicted (`exactly` in survey.R)
EXACT = [case for case, answer in answers("lavaan_0_7").items() if answer.get("exact")]


@pytest.mark.parametrize("case", EXACT)
def test_ordered_mediators_have_the_minimum_of_lavaans_own_function(case):
    exact, fit = answers("lavaan_0_7")[case]["exact"], fitted(case)
    own = fit.estimates.set_index(["lhs", "op", "rhs"])
    for row in exact["estimates"]:
        estimate, se = own.loc[(row["lhs"], row["op"], row["rhs"]), ["estimate", "se"]]
        assert estimate == pytest.approx(row["est"], abs=TOLERANCE), row
        assert se == pytest.approx(row["se"], abs=TOLERANCE), row
    assert measure(fit, "chisq") == pytest.approx(exact["chisq"], rel=1e-6)
    assert measure(fit, "chisq") <= answers("lavaan_0_7")[case]["measures"]["chisq"] + 1e-6
    assert exact["gap"] > 0.1  # how far lavaan's derivatives are from those of its moments


def measure(fit, name, column="standard"):
    return fit.measures.set_index("measure").loc[name, column]


def test_the_derivatives_of_ordered_mediators_are_those_of_the_moments():
    objective, theta = fitted("mediator_numeric").objective, fitted("mediator_numeric").point.theta
    step = 1e-6
    rows = [
        np.concatenate(objective.residuals(theta - step * one))
        - np.concatenate(objective.residuals(theta + step * one))
        for one in np.eye(len(theta))
    ]
    np.testing.assert_allclose(objective.jacobian(theta), np.array(rows).T / (2 * step), atol=1e-7)


def test_a_mean_and_a_regression_are_those_of_the_survey_package():
    answer = json.loads((HERE / "survey/package.json").read_text())
    design = {"estimator": "MLR", "sampling_weights": "weight", "cluster": "class"}
    fits = {
        "mean": sem.fit("x1 ~ 1", frame("hs"), **design),
        "regression": sem.fit("x4 ~ x1 + x2 + female", frame("hs"), **design),
    }
    for name, fit in fits.items():
        rows = fit.estimates.set_index(["lhs", "op", "rhs"])
        for row in answer[name]:
            intercept = name == "mean" or row["name"] == "(Intercept)"
            outcome = "x1" if name == "mean" else "x4"
            place = (outcome, "~1", "") if intercept else (outcome, "~", row["name"])
            assert rows.loc[place, "estimate"] == pytest.approx(row["estimate"], abs=1e-8)
            assert rows.loc[place, "se"] == pytest.approx(row["se"], abs=1e-7)
    text = answers("lavaan_0_7")["mlr_weights"]["model"]
    factors = sem.fit(text, frame("hs"), **design)
    rows = factors.estimates.set_index(["lhs", "op", "rhs"])
    for row in answer["factors"]["estimates"]:
        place = (row["lhs"], row["op"], row["rhs"])
        assert rows.loc[place, "estimate"] == pytest.approx(row["est"], abs=TOLERANCE)
    # Satorra-Bentler's test from design-based covariances, of expected information: about the same
    scaled = measure(factors, "chisq", "scaled")
    assert scaled == pytest.approx(answer["factors"]["chisq_scaled"], rel=0.1)
    effective = effective_size(frame("hs")["weight"].to_numpy())
    assert effective == pytest.approx(answer["effective"], rel=1e-12)


# ---- laws ----------------------------------------------------------------------------------------

HS = "visual =~ x1 + x2 + x3; textual =~ x4 + x5 + x6; textual ~ visual + ageyr"


def fit_hs(data=None, **options):
    data = frame("hs") if data is None else data
    return sem.fit(sem.read_model(HS), data, **({"estimator": "MLR"} | options))


def same(first, second, columns):
    for column in columns:
        np.testing.assert_allclose(first.estimates[column], second.estimates[column], atol=1e-8)


@pytest.mark.parametrize("missing", ["listwise", "fiml"])
def test_equal_weights_are_no_weights(missing):
    weighted = fit_hs(frame("hsmiss"), missing=missing, sampling_weights="same")
    plain = fit_hs(frame("hsmiss"), missing=missing)
    same(weighted, plain, ["estimate", "se", "std_all", "std_se"])
    pd.testing.assert_frame_equal(weighted.measures, plain.measures, rtol=1e-9)


@pytest.mark.parametrize("missing", ["listwise", "fiml"])
def test_whole_weights_are_rows_that_are_there_so_often(missing):
    data = frame("hsmiss")
    weighted = fit_hs(data, missing=missing, sampling_weights="times")
    repeated = data.loc[data.index.repeat(data["times"])]
    same(weighted, fit_hs(repeated, missing=missing), ["estimate", "std_all"])


def test_the_scale_of_weights_does_not_matter():
    data = frame("hs").assign(other=lambda d: d["weight"] * 1e6)
    same(
        fit_hs(sampling_weights="weight"),
        fit_hs(data, sampling_weights="other"),
        ["estimate", "se"],
    )


def test_clusters_of_one_row_are_no_clusters():
    data = frame("hs").assign(own=np.arange(301))
    fit, plain = fit_hs(data, cluster="own"), fit_hs(data, mean_structure=True)
    same(fit, plain, ["estimate"])
    np.testing.assert_allclose(
        fit.estimates["se"], plain.estimates["se"] * np.sqrt(301 / 300), atol=1e-9
    )


def test_twins_in_one_cluster_are_one_row():
    twice = pd.concat([frame("hs")] * 2, ignore_index=True).assign(pair=[*range(301)] * 2)
    fit, plain = fit_hs(twice, cluster="pair"), fit_hs(mean_structure=True)
    same(fit, plain, ["estimate"])
    np.testing.assert_allclose(
        fit.estimates["se"], plain.estimates["se"] * np.sqrt(301 / 300), atol=1e-9
    )


def test_labels_of_clusters_may_be_text():
    data = frame("hs").assign(name=lambda d: "class " + d["class"].astype(str))
    same(fit_hs(cluster="class"), fit_hs(data, cluster="name"), ["estimate", "se"])


ITEMS = [f"x{i}" for i in range(1, 10)]
ORDINAL = "visual =~ x1 + x2 + x3; textual =~ x4 + x5 + x6; speed =~ x7 + x8 + x9; speed ~ visual"


def fit_ordered(data=None, **options):
    data = frame("gaps") if data is None else data
    shared = {"estimator": "WLSMV", "ordered": ITEMS, "missing": "pairwise"}
    return sem.fit(sem.read_model(ORDINAL), data, **(shared | options))


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (lambda d: d["weight"].where(d.index > 2), "are missing in 3 row"),
        (lambda d: d["weight"] * np.where(d.index > 1, 1, -1), "are negative in 2 row"),
        (lambda d: d["weight"] * np.where(d.index > 0, 1, np.inf), "are infinite in 1 row"),
        (lambda d: d["weight"] * 0, "are all 0"),
        (lambda d: d["weight"].astype(str), "are not numeric"),
        (lambda d: d["weight"] > 1, "are not numeric"),
    ],
)
def test_weights_that_are_none_are_refused(column, text):
    data = frame("hs").assign(odd=column)
    with pytest.raises(ValueError, match=text):
        fit_hs(data, sampling_weights="odd")


def test_clusters_that_are_none_are_refused():
    data = frame("hs")
    for column, text in (
        (data["class"].where(data.index > 4), "missing in 5 row"),
        (1, "has one value"),
    ):
        with pytest.raises(ValueError, match=text):
            fit_hs(data.assign(odd=column), cluster="odd")
    with pytest.raises(ValueError, match="must be the name of one column"):
        fit_hs(data, cluster="klas")
    with pytest.raises(ValueError, match="are of one cluster"):
        fit_hs(data, cluster="school", group="school")
    with pytest.raises(ValueError, match="nor clusters"):
        fit_hs(data, cluster="class", mean_structure=False)


# ---- what comes after a fit ----------------------------------------------------------------------


def test_the_message_tells_the_design():
    fit = fit_hs(sampling_weights="weight", cluster="class")
    weights = frame("hs")["weight"]
    effective = weights.sum() ** 2 / (weights**2).sum()
    assert "34 clusters by class" in fit.message
    assert f"weights weight (as precise as {effective:.0f} equal ones)" in fit.message
    assert {"weight", "class"} <= {*fit.rows.columns}


def test_few_clusters_are_noted():
    few = fit_hs(frame("hs").assign(few=lambda d: d["class"] // 5), cluster="few")
    assert "few_clusters" in set(few.problems["code"])
    assert "few_clusters" not in set(fit_hs(cluster="class").problems["code"])


def test_rows_without_an_answer_are_no_rows():
    data = frame("gaps").copy()
    data.loc[data.index[:4], ["x1", "x2", "x3"]] = np.nan
    model = "f =~ x1 + x2 + x3; f ~ female"
    options = {"estimator": "WLSMV", "ordered": "all", "missing": "pairwise"}
    fit, rest = sem.fit(model, data, **options), sem.fit(model, data.iloc[4:], **options)
    assert fit.n_used == rest.n_used == fit.test.df + fit.n_used - rest.test.df
    same(fit, rest, ["estimate", "se"])


@pytest.mark.parametrize("case", [*json.loads((HERE / "survey/differences.json").read_text())])
def test_differences_of_designed_fits_are_lavaans(case):
    answer = json.loads((HERE / "survey/differences.json").read_text())[case]
    one = answers("lavaan_0_7")[case]
    smaller = sem.fit(answer["smaller"], frame(one["data"]), **one["options"])
    row = sem.compare({"larger": fitted(case), "smaller": smaller}).iloc[-1]
    assert row["df_diff"] == answer["df"]
    assert row["chisq_diff"] == pytest.approx(answer["chisq"], rel=1e-5)


def test_fits_of_other_designs_are_not_compared():
    one, other = fit_hs(sampling_weights="weight"), fit_hs()
    table = sem.compare({"a": one, "b": other})
    assert "other sampling weights or clusters" in " ".join(table["note"].astype(str))


def test_rows_of_a_cluster_come_and_go_together():
    fit = fit_hs(cluster="class")
    drawn = resampling.clusters_of(fit)
    rooms = frame("hs")["class"].to_numpy()
    for times in (drawn.drawn(1, 0, [301])[0], drawn.left_out(3, [301])[0]):
        assert all(len(set(times[rooms == room])) == 1 for room in set(rooms))
    assert drawn.sizes == [34] and drawn.left_out(3, [301])[0].sum() == 301 - 9
    boot = sem.bootstrap(fit, 20, n_jobs=1, confidence=0.8, interval="percentile", progress=False)
    assert boot.message.startswith("20 bootstrap draws of 34 clusters")


def test_weights_of_drawn_rows_are_scaled_anew():
    design = Design(np.array([0.5, 1, 1.5]), np.array([0, 1, 1]))
    taken = design.taken(np.array([0, 1, 3]))
    np.testing.assert_allclose(taken.weights, np.array([1, 1.5, 1.5, 1.5]) * 4 / 5.5)
    assert taken.clusters.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("fit", [fit_hs, fit_ordered])
def test_every_row_once_gives_the_weighted_estimates(fit):
    one = fit(sampling_weights="weight", cluster="class")
    refit = resampling.refit_of(one)
    values, _, _ = refit([np.ones(n, dtype=int) for n in refit.sizes])
    np.testing.assert_allclose(values, one.point.values(one.point.theta), atol=1e-5)


@pytest.mark.slow
def test_clusters_are_drawn_whole():
    fit = fit_hs(cluster="class", sampling_weights="weight")
    boot = sem.bootstrap(fit, 60, n_jobs=1, confidence=0.9, progress=False)
    assert boot.message.startswith("60 bootstrap draws of 34 clusters")
    ratio = boot.estimates["boot_se"] / fit.estimates.query("free")["se"].to_numpy()
    assert 0.8 < ratio.median() < 1.25


def test_pairwise_of_complete_rows_is_listwise():
    complete = frame("gaps").dropna()
    same(fit_ordered(complete), fit_ordered(complete, missing="listwise"), ["estimate", "se"])


def test_ordered_rows_with_whole_weights_are_repeated_rows():
    data = frame("gaps")
    repeated = data.loc[data.index.repeat(data["times"])]
    model = sem.read_model("f =~ x4 + x5 + x6")
    options = {"estimator": "WLSMV", "ordered": "all", "missing": "pairwise"}
    weighted = sem.fit(model, data, **options, sampling_weights="times").objective.samples[0]
    plain = sem.fit(model, repeated, **options).objective.samples[0]
    np.testing.assert_allclose(weighted.values, plain.values, atol=1e-9)


def test_ordered_clusters_of_one_row_with_gaps():
    data = frame("gaps").assign(own=lambda d: np.arange(len(d)))
    fit, plain = fit_ordered(data, cluster="own"), fit_ordered(data)
    same(fit, plain, ["estimate"])
    np.testing.assert_allclose(fit.estimates["se"] ** 2, plain.estimates["se"] ** 2 * 300 / 299)
    twins = pd.concat([data, data], ignore_index=True)
    ratio = fit_ordered(twins, cluster="own").vcov / fit.vcov
    np.testing.assert_allclose(ratio, 2 * 299 / 599, rtol=1e-6)  # lavaan divides by n - 1


def test_pairwise_is_refused_by_name_where_it_is_not():
    with pytest.raises(ValueError, match="use missing='fiml'"):
        fit_hs(missing="pairwise")
    with pytest.raises(ValueError, match="missing='pairwise'"):
        fit_ordered(missing="fiml")


def test_a_category_without_weight_is_refused():
    data = frame("gaps").assign(odd=lambda d: (d["x1"] != 3).astype(float))
    with pytest.raises(ValueError, match="Category 3 of 'x1' has only rows of weight 0"):
        fit_ordered(data, sampling_weights="odd")
    fit = fit_ordered(data[data["odd"] > 0], sampling_weights="odd")
    assert (fit.estimates.query("op == '|' and lhs == 'x1'")["rhs"] == ["t1", "t2", "t3"]).all()


@pytest.mark.slow
def test_ordered_gaps_are_drawn_too():
    fit = fit_ordered(cluster="class", sampling_weights="weight")
    boot = sem.bootstrap(fit, 40, n_jobs=1, confidence=0.9, interval="percentile", progress=False)
    loadings = boot.estimates["op"] == "=~"
    ratio = boot.estimates["boot_se"] / fit.estimates.query("free")["se"].to_numpy()
    assert 0.7 < ratio[loadings].median() < 1.4


@pytest.mark.parametrize("design", [{"sampling_weights": "same"}, {"cluster": "class"}])
@pytest.mark.parametrize("ordered", [False, True])
def test_scores_are_tested_by_what_was_drawn(design, ordered):
    """Released by its score, or free and tested by its standard error: about the same."""
    text = "visual =~ x1 + x2 + x3; textual =~ x4 + l*x5 + l*x6; x1 ~~ 0*x4"
    options = {"estimator": "WLSMV", "ordered": ITEMS[:6]} if ordered else {"estimator": "MLR"}

    def fit_text(model):
        data = frame("hscat" if ordered else "hs")
        return sem.fit(sem.read_model(model), data, **options, **design)

    fit = fit_text(text)
    tests, free = sem.score_tests(fit)["chisq"], fit_text(text.replace("l*x6", "m*x6"))
    assert tests.iloc[0] == pytest.approx(tests.iloc[-1], rel=1e-6)
    wald = sem.wald(free, "l == m")["chisq"].iloc[0]
    assert tests.iloc[0] == pytest.approx(wald, rel=0.2, abs=0.02)
    pair = ("x1", "~~", "x4")
    index = fit.modification_indices.set_index(["lhs", "op", "rhs"]).loc[pair, "mi"]
    other = fit_text(text.replace("0*x4", "x4")).estimates.set_index(["lhs", "op", "rhs"])
    assert index == pytest.approx(other.loc[pair, "z"] ** 2, rel=0.2)


def test_invariance_and_paths_pass_the_design_on():
    data, design = frame("hs"), {"sampling_weights": "weight", "cluster": "room"}
    model = sem.read_model("visual =~ x1 + x2 + x3; textual =~ x4 + x5 + x6; textual ~ visual")
    result = sem.invariance(
        model, data, "school", "MLR", "listwise", ["configural", "metric"], **design
    )
    for fit in result.fits.values():
        assert (fit.options["sampling_weights"], fit.options["cluster"]) == ("weight", "room")
    paths = sem.path_differences(model, data, "school", "MLR", "listwise", **design)
    assert paths.fit.options["cluster"] == "room"


# ---- known truth ---------------------------------------------------------------------------------


def covered(fit, truth):
    row = fit.estimates.query("op == '~'").iloc[0]
    return row["ci_low"] <= truth <= row["ci_high"], row["estimate"]


@pytest.mark.slow
def test_intervals_of_clusters_hold_what_they_promise():
    """A treatment of whole classes, whose pupils are alike: 40 classes of 10."""
    rng, found = np.random.default_rng(3), []
    for _ in range(100):
        treated, luck = rng.normal(size=40), rng.normal(size=40)
        room = np.repeat(np.arange(40), 10)
        y = 0.5 * treated[room] + 0.7 * luck[room] + rng.normal(size=400)
        data = pd.DataFrame({"y": y, "z": treated[room], "room": room})
        fits = (sem.fit("y ~ z", data, "MLR", **one) for one in ({"cluster": "room"}, {}))
        found.append([covered(fit, 0.5)[0] for fit in fits])
    clustered, plain = np.mean(found, axis=0)
    assert 0.87 < clustered < 0.99 and plain < 0.75


@pytest.mark.slow
def test_weights_mend_a_sample_that_depends_on_the_outcome():
    """Who has a large y is drawn more often: the plain slope is biased, the weighted one is not."""
    rng, found = np.random.default_rng(4), []
    for _ in range(100):
        x = rng.normal(size=3000)
        y = 0.5 * x + rng.normal(size=3000)
        chance = 0.05 + 0.3 / (1 + np.exp(-2 * y))
        data = pd.DataFrame({"x": x, "y": y, "w": 1 / chance})[rng.random(3000) < chance]
        fits = (sem.fit("y ~ x", data, "MLR", **one) for one in ({"sampling_weights": "w"}, {}))
        found.append([covered(fit, 0.5) for fit in fits])
    (holds, slope), (plain_holds, plain_slope) = np.mean(found, axis=0)
    assert 0.88 < holds < 0.99 and abs(slope - 0.5) < 0.01
    assert plain_holds < 0.75 and abs(plain_slope - 0.5) > 0.05
