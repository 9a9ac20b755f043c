"""semfit against lavaan 0.6-14, every cell: MLR, FIML, WLSMV, groups (reference/estimators.R)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semfit as sem
from semfit.fitting.dwls import WeightedLeastSquares
from semfit.fitting.fitting import ESTIMATORS
from semfit.fitting.likelihood import MaximumLikelihood

REFERENCE = Path(__file__).parent / "reference" / "estimators"
CASES = sorted(file.stem for file in REFERENCE.glob("*_listwise*.json"))
CASES += sorted(file.stem for file in REFERENCE.glob("*_fiml*.json"))
CLOSE = {"atol": 1e-6, "rtol": 1e-6}
KEY = ["lhs", "op", "rhs", "group"]
MEASURES = {
    "chisq": "chisq",
    "df": "df",
    "pvalue": "pvalue",
    "scaling_factor": "chisq.scaling.factor",
    "baseline_chisq": "baseline.chisq",
    "baseline_df": "baseline.df",
    "baseline_scaling_factor": "baseline.chisq.scaling.factor",
    "cfi": "cfi",
    "tli": "tli",
    "rmsea": "rmsea",
    "rmsea_ci_low": "rmsea.ci.lower",
    "rmsea_ci_high": "rmsea.ci.upper",
    "rmsea_pvalue": "rmsea.pvalue",
    "srmr": "srmr",
    "npar": "npar",
    "n": "ntotal",
    "logl": "logl",
    "logl_unrestricted": "unrestricted.logl",
    "aic": "aic",
    "bic": "bic",
}
# lavaan leaves the group weights out of the scaling of the baseline: see the test of two equal groups
NOT_LAVAANS = {"hscat_wlsmv_listwise_group": ["robust"]}


def read_case(case):
    """lavaan's answers, and the data with groups in lavaan's order (that of appearance)."""
    answers = json.loads((REFERENCE / f"{case}.json").read_text())
    data = pd.read_csv(REFERENCE / f"data_{answers['data']}.csv")
    group = answers["options"]["group"]
    if group:
        labels = {label: str(label) for label in answers["group_labels"]}
        known = data[group].map(lambda value: labels.get(_text(value)))
        data[group] = pd.Categorical(known, list(labels.values()))
    return answers, data


def _text(value):
    return str(int(value)) if isinstance(value, float) and np.isfinite(value) else str(value)


def fit_case(answers, data):
    options = answers["options"]
    return sem.fit(
        sem.read_model(answers["model"]),
        data,
        options["estimator"],
        options["missing"],
        options["group"],
        equal=[kind.replace(".", "_") for kind in options["group_equal"]],
        free=options["group_partial"],
        ordered=options["ordered"],
        mean_structure=options["meanstructure"],
    )


@pytest.fixture(scope="module", params=CASES)
def compared(request):
    """A case's name, our fit of it, and lavaan's answers."""
    answers, data = read_case(request.param)
    return request.param, fit_case(answers, data), answers


def close(ours, theirs):
    np.testing.assert_allclose(
        np.asarray(ours, float), np.asarray(theirs, float), equal_nan=True, **CLOSE
    )


def paired(fit, answers, table):
    """Ours and lavaan's rows side by side; what does not vary becomes NaN, as ours."""
    theirs = pd.DataFrame(answers[table])
    theirs = theirs[theirs["op"] != ":="]
    labels = fit.groups if len(fit.groups) > 1 else ("",)
    theirs["group"] = [labels[int(g) - 1] for g in theirs["group"]]
    constant = ~(theirs["se"] > 1e-7)
    theirs.loc[constant, ["se", "z", "pvalue", "ci.lower", "ci.upper"]] = np.nan
    both = fit.estimates.merge(theirs, on=KEY, suffixes=("", "_r"), validate="1:1")
    assert len(both) == len(fit.estimates) == len(theirs)
    return both


def test_every_case_is_there():
    assert len(CASES) == 53


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("estimate", "est"),
        ("se", "se_r"),
        ("z", "z_r"),
        ("p", "pvalue"),
        ("ci_low", "ci.lower"),
        ("ci_high", "ci.upper"),
        ("std_all", "std.all"),
        ("std_lv", "std.lv"),
        ("std_nox", "std.nox"),
    ],
)
def test_estimates(compared, ours, theirs):
    _, fit, answers = compared
    both = paired(fit, answers, "estimates")
    close(both[ours], both[theirs])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("std_all", "est.std"),
        ("std_se", "se_r"),
        ("std_ci_low", "ci.lower"),
        ("std_ci_high", "ci.upper"),
    ],
)
def test_standardised_solution(compared, ours, theirs):
    _, fit, answers = compared
    both = paired(fit, answers, "standardized")
    close(both[ours], both[theirs])


@pytest.mark.parametrize(
    ("column", "suffix"), [("standard", ""), ("scaled", ".scaled"), ("robust", ".robust")]
)
def test_measures(compared, column, suffix):
    case, fit, answers = compared
    if any(case.startswith(name) and column in odd for name, odd in NOT_LAVAANS.items()):
        pytest.skip("lavaan's is wrong: see test_robust_measures_of_two_equal_groups")
    ours = fit.measures.set_index("measure")[column]
    scaling = {"scaling_factor", "baseline_scaling_factor"}
    for name, theirs in MEASURES.items():
        if name in scaling:
            expected = answers["measures"].get(theirs) if column == "scaled" else None
        else:
            expected = answers["measures"].get(theirs + suffix)
        if name == "n" and column == "standard":
            expected = answers["n_total"]
        expected = np.nan if expected is None else expected
        name = f"{name}_lavaan06" if f"{name}_lavaan06" in ours else name
        assert ours[name] == pytest.approx(expected, abs=1e-6, rel=1e-6, nan_ok=True), name


def test_r_squared(compared):
    _, fit, answers = compared
    for label, theirs in zip(fit.groups, answers["r2"], strict=True):
        ours = fit.r_squared[fit.r_squared["group"] == label].set_index("variable")["r_squared"]
        assert set(ours.index) == set(theirs)
        close(ours[list(theirs)], list(theirs.values()))


def test_residual_correlations(compared):
    _, fit, answers = compared
    theirs = pd.DataFrame(answers["residuals_cor"])
    if len(fit.groups) == 1:
        theirs["group"] = 1
    expected = {
        (fit.groups[r.group - 1], frozenset((r.a, r.b))): r.residual for r in theirs.itertuples()
    }
    rows = fit.residuals
    ours = {(r.group, frozenset((r.lhs, r.rhs))): r.residual for r in rows.itertuples()}
    assert ours.keys() == expected.keys()
    close([ours[key] for key in expected], list(expected.values()))


def test_vcov(compared):
    _, fit, answers = compared
    if "vcov" not in answers:
        pytest.skip("too large to store: the standard errors are compared")
    names = answers["vcov"]["names"]
    theirs = pd.DataFrame(answers["vcov"]["values"], index=names, columns=names, dtype=float)
    theirs = theirs.loc[~theirs.index.duplicated(), ~theirs.columns.duplicated()]
    known = [
        name for name in fit.vcov.index if name in theirs.index
    ]  # lavaan names equal ones .p1.
    assert len(known) == len(fit.vcov) or answers["options"]["group_equal"]
    close(fit.vcov.loc[known, known], theirs.loc[known, known])


def test_rows_used(compared):
    _, fit, answers = compared
    assert list(fit.group_sizes) == answers["n_used"] and fit.n_used == answers["n_total"]
    assert fit.n_used + fit.n_dropped == answers["n_rows"] and len(fit.rows) == fit.n_used
    assert fit.converged and fit.optimizer["gradient"] < 1e-6


@pytest.mark.parametrize("case", [c for c in CASES if "paths" in c or c.startswith("pd")])
def test_defined_effects(case):
    answers, data = read_case(case)
    fit = fit_case(answers, data)
    raw, std = (pd.DataFrame(answers[t]).query("op == ':='") for t in ("estimates", "standardized"))
    assert fit.defined["name"].tolist() == raw["lhs"].tolist()
    for ours, theirs in (
        ("estimate", raw["est"]),
        ("se", raw["se"]),
        ("p", raw["pvalue"]),
        ("ci_low", raw["ci.lower"]),
        ("ci_high", raw["ci.upper"]),
        ("std_all", std["est.std"]),
        ("std_se", std["se"]),
    ):
        close(fit.defined[ours], theirs)


def test_moments_of_the_saturated_model(compared):
    _, fit, answers = compared
    if answers["options"]["estimator"] == "WLSMV":
        statistics = [group.values for group in fit.objective.samples]
        for ours, theirs in zip(statistics, answers["h1"], strict=True):
            close(ours, theirs["wls_obs"]["values"])
        return
    for sample, theirs in zip(fit.objective.samples, answers["h1"], strict=True):
        order = [theirs["cov"]["names"].index(name) for name in fit.model.observed]
        close(sample.cov, np.array(theirs["cov"]["values"])[np.ix_(order, order)])
        if theirs.get("mean"):
            close(sample.mean, np.array(theirs["mean"]["values"])[order])


# ---- what lavaan cannot tell ---------------------------------------------------------------------


def test_robust_measures_of_two_equal_groups():
    """The same rows as two groups fit as well as one: the population value is the same."""
    answers, data = read_case("hscat_wlsmv_listwise")
    model = sem.read_model(answers["model"])
    twice = pd.concat([data.assign(half=1), data.assign(half=2)], ignore_index=True)
    options = {"estimator": "WLSMV", "ordered": "all"}
    one = sem.fit(model, data, **options).measures.set_index("measure")
    two = sem.fit(model, twice, group="half", **options).measures.set_index("measure")
    for name in ("cfi", "tli", "rni", "rmsea", "gfi"):
        robust = one.loc[name, "robust"]
        assert two.loc[name, "robust"] == pytest.approx(robust, abs=1e-6), name
    assert one.loc["cfi", "robust"] == pytest.approx(0.896292, abs=1e-6)  # lavaan; twice: 0.891613


def test_anchors_from_the_issue():
    """Printed in lavaan's documentation and in the issue."""

    def measure(case, name, column="standard"):
        return fit_case(*read_case(case)).measures.set_index("measure").loc[name, column]

    assert measure("hs_mlr_listwise", "chisq", "scaled") == pytest.approx(87.132, abs=5e-4)
    assert measure("hs_mlr_listwise", "scaling_factor", "scaled") == pytest.approx(0.979, abs=5e-4)
    assert measure("hs_mlr_listwise", "cfi", "robust") == pytest.approx(0.930, abs=5e-4)
    steps = {
        "configural": 115.851,
        "loadings": 124.044,
        "intercepts": 164.103,
        "residuals": 181.511,
    }
    for (step, chisq), df in zip(steps.items(), (48, 54, 60, 69), strict=True):
        case = f"hs_ml_listwise_group_{step}"
        assert measure(case, "chisq") == pytest.approx(chisq, abs=5e-4)
        assert measure(case, "df") == df


# ---- another estimator is a matter of one room ---------------------------------------------------

TWO = "f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; g ~ f"
OWN = {"ML": MaximumLikelihood("OWN", robust=False), "MLR": MaximumLikelihood("OWN", robust=True)}
OWN["WLSMV"] = WeightedLeastSquares()


def everything(estimator, data):
    """Tables of every room, of a model fitted by an estimator."""
    ordered = "all" if "WLSMV" in (estimator, ESTIMATORS[estimator].name) else ()
    options = {"estimator": estimator, "ordered": ordered}
    model = sem.read_model(TWO)
    one = sem.fit(model, data, **options)
    equal = sem.fit(sem.read_model(TWO.replace("x2 + x3", "a*x2 + a*x3")), data, **options)
    groups = sem.invariance(model, data, "group", missing="listwise", **options)
    return [
        one.estimates,
        one.measures,
        one.problems,
        one.modification_indices,
        sem.compare({"one": one, "equal": equal}),
        sem.score_tests(equal),
        groups.table,
        sem.path_differences(model, data, "group", missing="listwise", **options).table,
        sem.bootstrap(equal, 40, n_jobs=1, interval="percentile", progress=False).estimates,
    ]


@pytest.mark.parametrize("name", OWN)
def test_no_room_knows_an_estimator_by_its_name(name, monkeypatch):
    monkeypatch.setitem(ESTIMATORS, "OWN", OWN[name])
    data = sem.example_data(300)
    if name == "WLSMV":
        data = data.drop(columns="group").round().clip(2, 4).assign(group=data["group"])
    for known, own in zip(everything(name, data), everything("OWN", data), strict=True):
        pd.testing.assert_frame_equal(known, own)
