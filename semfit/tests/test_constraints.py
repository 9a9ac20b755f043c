"""Constraints on parameters: what they mean, the fit under them, and what follows from it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semfit as sem
from semfit.fitting.constrained import Programme, Reduced, _is_minimum, _polished, kernel
from semfit.fitting.inference import invert
from semfit.syntax.restrictions import Restrictions
from semfit.syntax.terms import Constraint
from semfit.testing.compare import difference


def restrictions(*texts, definitions=(), bounds=None):
    """Restrictions on three parameters a, b, c; f is fixed at 2, d follows from the data."""
    table = pd.DataFrame({"label": [*"abcfd"], "parameter": ["p", "q", "r", "", ""]})
    table["value"] = [np.nan, np.nan, np.nan, 2.0, np.nan]
    table["exogenous"], table["derived"] = [False] * 4 + [True], False
    table["lower"], table["upper"] = -np.inf, np.inf
    for place, (low, high) in (bounds or {}).items():
        table.loc[place, ["lower", "upper"]] = low, high
    return Restrictions(table, "pqr", [constraint(text) for text in texts], definitions)


def constraint(text):
    op = next(op for op in ("==", ">", "<") if op in text)
    left, right = text.split(op)[:: -1 if op == "<" else 1]
    return Constraint("==" if op == "==" else ">=", f"({left}) - ({right})", text)


def test_values_and_derivatives():
    limits = restrictions("a == b^2", "ab > 0.5", "c < f", definitions=[("ab", "a*b")])
    theta = np.array([0.5, 2.0, 1.0])
    np.testing.assert_allclose(limits.equality_values(theta), [-3.5])
    np.testing.assert_allclose(limits.equality_jacobian(theta), [[1, -4, 0]])
    np.testing.assert_allclose(limits.inequality_values(theta), [0.5, 1.0])
    np.testing.assert_allclose(limits.inequality_jacobian(theta), [[2, 0.5, 0], [0, 0, -1]])
    assert not limits.linear


def test_bounds_are_inequalities_that_come_last():
    limits = restrictions("a > b", bounds={0: (0.0, np.inf), 2: (-1.0, 1.0)})
    theta = np.array([0.2, 0.1, 0.4])
    np.testing.assert_allclose(limits.inequality_values(theta), [0.1, 0.2, 1.4, 0.6])
    np.testing.assert_array_equal(limits.inequality_jacobian(theta)[-1], [0, 0, -1])
    assert limits.text() == "a > b; p > 0; r > -1; r < 1"


def test_a_layout_without_restrictions_has_none():
    assert not restrictions() and restrictions("a == b") and restrictions(bounds={1: (0, 1)})


def test_the_nearest_point_meets_all_whatever_the_units():
    for size in (1e-6, 1.0, 1e6):
        limits = restrictions(f"a + b == {3 * size}", "a > b", "c == 2*a")
        theta = size * np.array([0.5, 1.5, 1.0])
        found = limits.possible(theta, np.full(3, size))
        assert not limits.met(theta, np.full(3, size))
        a, b, c = found / size
        assert a + b == pytest.approx(3) and c == pytest.approx(2 * a) and a >= b - 1e-7


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["a == 1", "a == 2"], "together: a == 1; a == 2"),
        (["a*a == -1"], "together"),
        (["a > 1", "a < 0.5"], "together"),
        (["a == a"], "restricts no free parameter"),
        (["f == 2"], "restricts no free parameter"),
        (["a == zz"], "'zz' is no label"),
        (["d == 1"], "follows from the others or from the data"),
        (["(a - b)^2 == 0"], "without powers"),
    ],
)
def test_impossible_constraints_are_refused_by_name(texts, said):
    with pytest.raises(ValueError, match="(?i)constraint") as refused:
        restrictions(*texts).possible(np.array([0.5, 0.7, 0.9]), np.ones(3))
    assert said in str(refused.value) and texts[0] in str(refused.value)


def test_the_covariance_is_that_of_the_bordered_information():
    draws = np.random.default_rng(1)
    root, rows = draws.normal(size=(6, 6)), draws.normal(size=(2, 6))
    rows = np.vstack([rows, rows.sum(axis=0)])  # one follows from the others
    information = root @ root.T
    bordered = np.block([[information, rows.T], [rows, np.zeros((3, 3))]])
    expected = np.linalg.pinv(bordered)[:6, :6]
    np.testing.assert_allclose(invert(information, kernel(rows)), expected, atol=1e-9)


# ---- against lavaan 0.6-14 (tests/reference/constraints.R) ---------------------------------------

REFERENCE = Path(__file__).parent / "reference"
CASES = json.loads((REFERENCE / "constraints.json").read_text())
# where equalities are linear lavaan's fits are polished; the others end where its search does
LAGRANGIAN = {"atol": 2e-5, "rtol": 2e-5}
POLISHED = {"atol": 1e-7, "rtol": 1e-7}
MEASURES = {
    "chisq.scaled": ("chisq", "scaled"),
    "chisq.scaling.factor": ("scaling_factor", "scaled"),
    "baseline.chisq": ("baseline_chisq", "standard"),
    "cfi.scaled": ("cfi", "scaled"),
    "rmsea.scaled": ("rmsea", "scaled"),
    "cfi.robust": ("cfi", "robust"),
    "rmsea.robust": ("rmsea_lavaan06", "robust"),
}
POLISHED_CASES = ("linear", "zero", "shifted", "redundant", "coded", "grouped")
SLOW = """zero shifted defined inactive mlr_linear mlr_covariates mlr_active mlr_coded mlr_grouped
fiml_linear fiml_coded ordered_covariates ordered_coded"""
NAMES = [
    pytest.param(name, marks=[pytest.mark.slow] if name in SLOW.split() else []) for name in CASES
]


def fitted(case):
    options = {name: value for name, value in (case["options"] or {}).items()}
    data = pd.read_csv(REFERENCE / "estimators" / f"data_{case['data']}.csv")
    if "group" in options:
        data[options["group"]] = pd.Categorical(data[options["group"]], case["group_labels"])
    return sem.fit(sem.read_model(case["model"]), data, **options)


@pytest.fixture(scope="module", params=NAMES)
def compared(request):
    """Name, our fit, what lavaan has, and how near they must be."""
    case = CASES[request.param]
    polished = request.param.split("_", 1)[-1] in POLISHED_CASES
    return request.param, fitted(case), case, POLISHED if polished else LAGRANGIAN


def matched(rows, fit, ours, columns):
    """Lavaan's rows and ours, one beside the other; rows that we do not list are left out."""
    theirs = pd.DataFrame(rows)
    theirs = theirs[~theirs["op"].isin(["==", "<", ">", ":="])].fillna({"rhs": ""})
    theirs["group"] = [fit.groups[max(g, 1) - 1] for g in theirs["group"]]
    key = ["lhs", "op", "rhs", "group"]
    joined = theirs.astype(dict.fromkeys(columns, float)).merge(ours, "left", key)
    assert len(joined) > 5
    return joined


def test_estimates_and_standard_errors_are_lavaans(compared):
    name, fit, case, close = compared
    assert fit.converged and not (fit.problems["severity"] == "error").any()
    rows = matched(case["estimates"], fit, fit.estimates, ["est", "se"]).dropna(subset="estimate")
    np.testing.assert_allclose(rows["estimate"], rows["est"], **close)
    if name == "bounded":
        return  # 0.6-14 leaves bounds out of standard errors: see below
    theirs = rows["se_x"].replace(0, np.nan)  # lavaan has 0 for what is fixed, NA at an inequality
    np.testing.assert_allclose(rows["se_y"], theirs, **close)
    rows = matched(case["standardized"], fit, fit.estimates, ["est.std", "se"])
    rows = rows.dropna(subset="estimate")
    np.testing.assert_allclose(rows["std_all"], rows["est.std"], **close)
    known = (rows["se_x"] > 1e-6) & rows["std_se"].notna()
    np.testing.assert_allclose(rows["std_se"][known], rows["se_x"][known], **close)


def test_definitions_are_lavaans(compared):
    _, fit, case, close = compared
    theirs = pd.DataFrame(case["estimates"]).query("op == ':='")
    if not len(theirs):
        return
    assert theirs["lhs"].tolist() == fit.defined["name"].tolist()
    for column, other in (("estimate", "est"), ("se", "se"), ("z", "z")):
        values = theirs[other].astype(float)
        known = np.isfinite(values.to_numpy()) & (theirs["se"].astype(float).to_numpy() > 1e-6)
        np.testing.assert_allclose(
            fit.defined[column][known], values[known], rtol=1e-4 if column == "z" else close["rtol"]
        )


def test_tests_and_degrees_of_freedom_are_lavaans(compared):
    name, fit, case, close = compared
    measures = fit.measures.set_index("measure")
    for theirs, value in case["measures"].items():
        robust = theirs.endswith(".robust") and name == "ordered_grouped"  # see docs/agreement.md
        if value is not None and not robust:
            row, column = MEASURES.get(theirs, (theirs, "standard"))
            np.testing.assert_allclose(measures.loc[row, column], value, **close, err_msg=theirs)
    if "shift" in case and fit.estimator == "WLSMV":
        np.testing.assert_allclose(fit.test.shift, case["shift"], **close)


def test_modification_indices_are_lavaans(compared):
    name, fit, case, _ = compared
    if name == "bounded":
        return
    rows = matched(case["modindices"], fit, fit.modification_indices, ["mi", "epc"]).dropna()
    assert len(rows) > 5
    np.testing.assert_allclose(rows["mi_y"], rows["mi_x"], rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(rows["epc_y"], rows["epc_x"], rtol=2e-3, atol=2e-4)


def test_score_tests_are_lavaans(compared):
    _, fit, case, _ = compared
    if not fit.layout.restrictions.equalities or fit.layout.restrictions.has_inequalities:
        return  # lavaan takes inequalities that do not hold with equality for restrictions
    ours = sem.score_tests(fit).query("released_from == 'constraint'").reset_index(drop=True)
    theirs = pd.DataFrame(case["score"]["uni"])
    theirs = theirs[~theirs["lhs"].str.startswith(".p")].reset_index(drop=True)
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(ours["chisq"], theirs["X2"], rtol=2e-4, atol=2e-4)


NEW = json.loads((REFERENCE / "constraints_0_7.json").read_text())


@pytest.mark.parametrize("name", ["bounded", "active", "ordered_active"])
def test_bounds_and_inequalities_have_the_standard_errors_of_lavaan_0_7(name):
    fit = fitted(CASES[name])
    rows = matched(NEW[name], fit, fit.estimates, ["est", "se"]).dropna(subset="estimate")
    np.testing.assert_allclose(rows["estimate"], rows["est"], **LAGRANGIAN)
    np.testing.assert_allclose(rows["se_y"], rows["se_x"].replace(0, np.nan), **LAGRANGIAN)


def test_differences_from_the_model_without_constraints_are_lavaans(compared):
    name, fit, case, _ = compared
    if not case["nested"]:
        return
    lines = [line for line in case["model"].splitlines() if not {"==", "<", ">"} & {*line.split()}]
    larger = fitted(case | {"model": "\n".join(lines)})
    found = difference(larger, fit)
    assert found.df == case["nested"]["df"], name
    np.testing.assert_allclose(found.chisq, case["nested"]["chisq"], rtol=1e-4)


def test_wald_tests_are_lavaans(compared):
    _, fit, case, _ = compared
    if case["wald"]:
        ours = sem.wald(fit, case["wald"]["constraints"]).iloc[0]
        assert ours["df"] == case["wald"]["df"]
        np.testing.assert_allclose(ours["chisq"], case["wald"]["chisq"], rtol=1e-4)


# ---- what must be the same, however it is written ------------------------------------------------

HS = pd.read_csv(REFERENCE / "estimators" / "data_hs.csv")
GAPS = pd.read_csv(REFERENCE / "estimators" / "data_hsmiss.csv")
ITEMS = pd.read_csv(REFERENCE / "estimators" / "data_hscat.csv")
WAYS = {
    "ML": (HS, {"estimator": "ML"}),
    "fiml": (GAPS, {"estimator": "MLR", "missing": "fiml"}),
    "WLSMV": (ITEMS, {"estimator": "WLSMV", "ordered": [f"x{i}" for i in range(1, 7)]}),
}
TWO = "visual =~ x1 + {}*x2 + {}*x3\ntextual =~ x4 + x5 + x6\ntextual ~ {}*visual\n"


def both(way, one, other):
    data, options = WAYS[way]
    fits = [sem.fit(sem.read_model(text), data, **options) for text in (one, other)]
    assert all(fit.converged for fit in fits)
    return fits


def assert_same(first, second, columns=("estimate", "se", "std_all", "std_se")):
    for column in ("standard", "scaled", "robust"):
        np.testing.assert_allclose(first.measures[column], second.measures[column], rtol=1e-6)
    for column in columns:
        np.testing.assert_allclose(
            first.estimates[column], second.estimates[column], rtol=2e-6, atol=1e-8, err_msg=column
        )


@pytest.mark.parametrize("way", WAYS)
def test_equal_by_constraint_is_equal_by_label(way):
    constrained, shared = both(way, TWO.format("a", "b", "p") + "a == b", TWO.format("a", "a", "p"))
    assert_same(constrained, shared)
    released, expected = sem.score_tests(constrained), sem.score_tests(shared)
    np.testing.assert_allclose(released["chisq"], expected["chisq"], rtol=1e-6)
    np.testing.assert_allclose(np.abs(released["epc"][:1]), np.abs(expected["epc"][:1]), rtol=1e-6)
    ours, theirs = constrained.modification_indices, shared.modification_indices
    np.testing.assert_allclose(ours["mi"], theirs["mi"], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("way", WAYS)
def test_zero_by_constraint_is_fixed_at_zero(way):
    constrained, fixed = both(way, TWO.format("a", "b", "p") + "p == 0", TWO.format("a", "b", 0))
    assert_same(constrained, fixed)


CODED = "visual =~ NA*x1 + a*x1 + b*x2 + c*x3\ntextual =~ x4 + x5 + x6\ntextual ~ p*visual\n"


UNITS = ["a + b + c == 3", "a*b*c == 1", "visual ~~ v*visual\nv == 1", "a^2 + b^2 + c^2 == 2"]
UNIT_CASES = [
    pytest.param(way, unit, marks=[pytest.mark.slow] if way != "ML" and unit != UNITS[1] else [])
    for way in WAYS
    for unit in UNITS
]


@pytest.mark.parametrize(("way", "unit"), UNIT_CASES)
def test_any_unit_of_a_factor_gives_the_same_fit(way, unit):
    written = "visual ~~ visual\n" if "visual" in unit else ""  # in the same order
    coded, marker = both(way, CODED + unit, TWO.format("l2", "l3", "p") + written)
    assert_same(coded, marker, ("std_all", "std_se"))
    free = ~coded.estimates["lhs"].isin(["visual"]) & ~coded.estimates["rhs"].isin(["visual"])
    for column in ("estimate", "se"):
        np.testing.assert_allclose(
            coded.estimates[column][free].sort_index(),
            marker.estimates[column][free.reindex(marker.estimates.index)],
            rtol=1e-5,
        )


@pytest.mark.parametrize("size", [1e-5, 1e5])
def test_units_of_the_variables_do_not_matter(size):
    data = HS.assign(x2=HS["x2"] * size, x6=HS["x6"] / size)
    text = TWO.format("a", "b", "p") + "x2 ~~ v*x2\n"
    plain = sem.fit(sem.read_model(text + "a == b^2\nv > 1.2"), HS)
    rows = sem.fit(sem.read_model(text + f"a/{size} == b^2\nv > {1.2 * size**2}"), data)
    assert plain.converged and rows.converged
    np.testing.assert_allclose(rows.estimates["std_all"], plain.estimates["std_all"], rtol=1e-5)
    np.testing.assert_allclose(rows.test.chisq, plain.test.chisq, rtol=1e-8)
    bound = rows.estimates.query("label == 'v'").iloc[0]
    assert bound["estimate"] == pytest.approx(1.2 * size**2) and np.isnan(bound["se"])


def test_equal_across_groups_by_constraint_or_by_label():
    text = "visual =~ x1 + c(a1, {})*x2 + x3\nx9 ~ c(p1, p2)*visual\n{}"
    order = ["Pasteur", "Grant-White"]
    options = {"estimator": "MLR", "group": "school", "groups": order}
    by_label = sem.fit(sem.read_model(text.format("a1", "")), HS, **options)
    by_constraint = sem.fit(sem.read_model(text.format("a2", "a1 == a2")), HS, **options)
    assert_same(by_constraint, by_label)


def test_a_constraint_that_holds_with_inequality_changes_nothing():
    free, limited = both("ML", TWO.format("a", "b", "p"), TWO.format("a", "b", "p") + "a < 0.9")
    assert_same(limited, free)


@pytest.mark.parametrize("way", WAYS)
def test_an_active_inequality_is_an_equality_but_in_degrees_of_freedom(way):
    text = TWO.format("a", "b", "p")
    inequality, equality = both(way, text + "a > 1.1", text + "a == 1.1")
    np.testing.assert_allclose(inequality.vcov, equality.vcov, atol=1e-9)
    assert inequality.test.chisq == pytest.approx(equality.test.chisq, rel=1e-9)
    assert equality.test.df == inequality.test.df + 1


def test_a_bound_keeps_a_variance_above_zero():
    free = sem.fit(sem.read_model("f =~ x1 + x2 + x3\nf ~ x4\nx4 ~~ x9\nx9 ~ f"), HS)
    low = float(free.estimates.query("lhs == 'x1' and op == '~~'")["estimate"].iloc[0]) + 0.1
    text = f"f =~ x1 + x2 + x3\nf ~ x4\nx4 ~~ x9\nx9 ~ f\nx1 ~~ lower({low})*x1"
    bounded = sem.fit(sem.read_model(text), HS)
    row = bounded.estimates.query("lhs == 'x1' and op == '~~'").iloc[0]
    assert bounded.converged and row["estimate"] == pytest.approx(low, abs=1e-9)
    assert bounded.test.chisq > free.test.chisq and bounded.test.df == free.test.df
    text = text.replace(f"lower({low})*x1", f"v*x1\nv > {low}")
    assert_same(bounded, sem.fit(sem.read_model(text), HS))
    note = bounded.problems.set_index("code").loc["constraint_at_limit"]
    assert note["where"] == f"x1~~x1 > {low:g}"


def test_a_model_without_degrees_of_freedom_that_a_bound_holds_back_has_a_misfit():
    fit = sem.fit(sem.read_model("f =~ lower(0.2)*x1 + x2 + upper(0.3)*x3"), HS)
    found = fit.measures.set_index("measure")["standard"]
    assert (found[["df", "tli", "rmsea"]] == [0, 1, 0]).all()
    # R: fitMeasures(sem("f =~ lower(.2)*x1 + x2 + upper(.3)*x3", HolzingerSwineford1939)), lavaan 0.7-2
    expected = {"chisq": 23.334839931745, "cfi": 0.7844776877113, "ifi": 0.7902884227548}
    np.testing.assert_allclose(found[[*expected]], [*expected.values()], rtol=1e-7)
    assert "saturated_model" not in set(fit.problems["code"])


# ---- what follows from a fit ---------------------------------------------------------------------


@pytest.mark.parametrize("way", ["ML", pytest.param("WLSMV", marks=pytest.mark.slow)])
def test_every_draw_of_the_bootstrap_obeys(way):
    data, options = WAYS[way]
    text = TWO.format("a", "b", "p") + "a == b + 0.1\np*a > 0.45\n"
    fit = sem.fit(sem.read_model(text), data, **options)
    boot = sem.bootstrap(fit, 40, n_jobs=1, interval="percentile", progress=False)
    draws = boot.draws.dropna()
    assert len(draws) > 30
    np.testing.assert_allclose(draws["a"], draws["b"] + 0.1, atol=1e-8)
    assert (draws["p"] * draws["a"] > 0.45 - 1e-7).all()


def test_the_bootstrap_of_an_equality_is_that_of_a_shared_label():
    text = TWO.format("a", "{}", "p")
    fits = both("ML", text.format("b") + "a == b", text.format("a"))
    boots = [
        sem.bootstrap(fit, 40, n_jobs=1, interval="percentile", progress=False) for fit in fits
    ]
    ours, theirs = (boot.estimates for boot in boots)
    for column in ("boot_se", "ci_low", "ci_high"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-5)


def test_monte_carlo_draws_obey_linear_constraints():
    text = TWO.format("a", "b", "p") + "a == b\np == 0.5\ngap := a - b\npath := p\nab := a*b"
    fit = sem.fit(sem.read_model(text), HS)
    table = sem.monte_carlo(fit, draws=1000).set_index("name")
    np.testing.assert_allclose(table.loc["gap", ["ci_low", "ci_high"]].astype(float), 0, atol=1e-9)
    np.testing.assert_allclose(table.loc["path", ["ci_low", "ci_high"]].astype(float), 0.5)
    assert table.loc["ab", "mc_se"] == pytest.approx(
        fit.defined.set_index("name").loc["ab", "se"], rel=0.1
    )


def test_constraints_identify_and_what_they_leave_open_is_refused():
    with pytest.raises(ValueError, match="visual has no unit"):
        sem.fit(sem.read_model(CODED), HS)
    with pytest.raises(ValueError, match="cannot be told apart"):
        sem.fit(sem.read_model(CODED + "a == b"), HS)


def test_constraints_that_cannot_be_met_are_refused():
    with pytest.raises(ValueError, match="together: a > 2; a < 1"):
        sem.fit(sem.read_model(TWO.format("a", "b", "p") + "a > 2\na < 1"), HS)


def test_an_inequality_is_no_degree_of_freedom_to_compare_on():
    text = TWO.format("a", "b", "p")
    free, limited = both("ML", text, text + "a > 1")
    equal = sem.fit(sem.read_model(text + "a > 1\na == b"), HS)
    table = sem.compare({"free": free, "limited": limited})
    assert (
        table["nested"].tolist() == ["", "no"] and table["note_code"].iloc[1] == "inequality_only"
    )
    table = sem.compare({"free": free, "equal": equal})
    assert table["nested"].tolist() == ["", "yes"]
    assert table["note_code"].iloc[1] == "inequality_at_limit"
    assert "constraint_at_limit" in set(limited.problems["code"])
    assert "constraint_at_limit" not in set(free.problems["code"])


LOADINGS = ["configural", "metric"]


def test_invariance_keeps_constraints_of_the_measurement_part():
    coded = CODED.replace("textual ~ p*visual\n", "") + "a + b + c == 3"
    steps = [
        sem.invariance(sem.read_model(text), HS, "school", "ML", "listwise", LOADINGS).table
        for text in (coded, "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6")
    ]
    for column in ("df", "chisq", "cfi"):
        np.testing.assert_allclose(steps[0][column], steps[1][column], rtol=1e-6)
    with pytest.raises(ValueError, match="ties p, which is left out here, to a"):
        sem.invariance(sem.read_model(TWO.format("a", "b", "p") + "a == p"), HS, "school")


def test_path_differences_obey():
    text = "visual =~ x1 + x2 + x3\nx9 ~ p*visual + q*ageyr + r*female\n"
    model = sem.read_model(text + "q == p - 0.2\nr == 0.1")
    table = sem.path_differences(model, HS, "school", "ML", "listwise").table
    assert table["path"].tolist() == ["x9 ~ visual", "x9 ~ ageyr", "all paths"]
    assert (table[["wald_df", "lrt_df"]] == 1).all(axis=None)  # one follows from the other
    for column in ("wald_chisq", "lrt_chisq"):
        np.testing.assert_allclose(table[column], table[column].iloc[0], rtol=1e-6)


def test_score_tests_of_effect_coding_find_nothing_to_release():
    fit = sem.fit("visual =~ x1 + x2 + x3 + x4", HS, effect_coding=True)
    rows = sem.score_tests(fit)
    assert rows["lhs"].iloc[0] == "loadings of visual are 1 on average"
    np.testing.assert_allclose(rows["chisq"], 0, atol=1e-9)
    assert rows["df"].iloc[-1] == 0


def test_compare_knows_that_a_constrained_model_is_nested():
    free, limited = both("ML", TWO.format("a", "b", "p"), TWO.format("a", "b", "p") + "a == b^2")
    table = sem.compare({"free": free, "limited": limited})
    assert table["nested"].tolist() == ["", "yes"] and table["df_diff"].iloc[1] == 1
    assert table["chisq_diff"].iloc[1] == pytest.approx(limited.test.chisq - free.test.chisq)


DESIGN = pd.read_csv(REFERENCE / "survey" / "design.csv")
OPTIONS = {
    "observed": (HS, {"information": "observed"}),
    "clusters": (HS.join(DESIGN), {"estimator": "MLR", "cluster": "class"}),
    "weights": (GAPS.join(DESIGN), WAYS["fiml"][1] | {"sampling_weights": "weight"}),
    "std_lv": (HS, {"std_lv": True}),
    "theta": (ITEMS, WAYS["WLSMV"][1] | {"parameterization": "theta"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_equal_by_constraint_is_equal_by_label_whatever_the_options(name):
    data, options = OPTIONS[name]
    texts = TWO.format("a", "b", "p") + "a == b", TWO.format("a", "a", "p")
    assert_same(*(sem.fit(text, data, **options) for text in texts))


# ---- the last steps of the search, on a function whose answer is known ---------------------------


class Bowl:
    """(x - 3)^2 + 2 y^2, twice over, as the search sees an objective."""

    n, newton = 1, True

    def value(self, theta):
        return 2 * ((theta[0] - 3) ** 2 + 2 * theta[1] ** 2)

    def hessian(self, theta):
        return np.diag([4.0, 8.0])

    def score(self, theta):
        return np.array([4 * (theta[0] - 3), 8 * theta[1]]), self.hessian(theta)


def programme(text, at):
    table = pd.DataFrame({"label": ["x", "y"], "parameter": ["p", "q"], "value": np.nan})
    table["exogenous"] = table["derived"] = False
    limits = Restrictions(table.assign(lower=-np.inf, upper=np.inf), "pq", [constraint(text)])
    kept = np.arange(len(limits.equalities))
    return Programme(Reduced(Bowl(), np.array(at), np.eye(2)), limits, kept)


def test_a_maximum_along_a_circle_is_no_minimum():
    none = np.zeros(0, dtype=bool)
    circle = "x^2 + y^2 == 1"
    assert _is_minimum(programme(circle, [1.0, 0.0]), np.zeros(2), none)
    assert not _is_minimum(programme(circle, [-1.0, 0.0]), np.zeros(2), none)


def test_an_inequality_that_pushes_the_wrong_way_is_let_go():
    x, _, converged = _polished(programme("x > 2", [2.0, 0.4]))
    assert converged
    np.testing.assert_allclose(x + [2.0, 0.4], [3, 0], atol=1e-9)


def test_an_inequality_that_a_step_would_break_is_taken_in():
    x, _, converged = _polished(programme("x < 2 - y^2", [0.5, 0.4]))
    assert converged
    np.testing.assert_allclose(x + [0.5, 0.4], [2, 0], atol=1e-9)
