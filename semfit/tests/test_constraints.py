"""Constraints on parameters: what they mean, the fit under them, and what follows from it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semfit as sem
from semfit.fitting.constrained import kernel
from semfit.fitting.inference import invert
from semfit.syntax.restrictions import Restrictions
from semfit.syntax.terms import Constraint


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
    np.testing.assert_allclose(limits.inequality_values(theta, bounds=False), [0.1])
    np.testing.assert_array_equal(limits.inequality_jacobian(theta)[-1], [0, 0, -1])
    assert limits.text() == "a > b; p >= 0; r >= -1; r <= 1"


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
    "rmsea.robust": ("rmsea", "robust"),
}
POLISHED_CASES = ("linear", "zero", "shifted", "redundant", "coded", "grouped")
SLOW = "mlr_linear mlr_covariates mlr_coded mlr_grouped fiml_linear fiml_coded ordered_covariates"
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
    _, fit, case, close = compared
    assert fit.converged and not (fit.problems["severity"] == "error").any()
    rows = matched(case["estimates"], fit, fit.estimates, ["est", "se"]).dropna(subset="estimate")
    np.testing.assert_allclose(rows["estimate"], rows["est"], **close)
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
    _, fit, case, _ = compared
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
