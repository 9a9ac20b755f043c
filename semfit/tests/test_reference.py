"""semfit against lavaan 0.6-14, every cell (tests/reference/sem_reference.R)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from semopy.examples import holzinger39, political_democracy

import semfit as sem
from semfit.moments.implied import Structure, structural_observed
from semfit.moments.sample import sample_of
from semfit.syntax import semopy_bridge
from semfit.syntax.parameters import lay_out

REFERENCE = Path(__file__).parent / "reference"
CASES = sorted(file.stem.removeprefix("sem_") for file in REFERENCE.glob("sem_*.json"))
# lavaan's Gauss-Newton fails on the improper solution, so that reference has a gradient of 1e-6
TOLERANCE = {"hs_heywood": {"atol": 2e-5, "rtol": 1e-4}}
CLOSE = {"atol": 1e-6, "rtol": 1e-6}


def read_data(name):
    return pd.read_csv(REFERENCE / f"sem_{name}.csv")


def data_of(case):
    data = read_data("simulated" if case == "gebruiksmodel" else case.split("_")[0])
    return data[data["school"] == "Pasteur"] if case == "hs_heywood" else data


@pytest.fixture(scope="module", params=CASES)
def compared(request):
    """A case's name, our fit of it, and lavaan's answers."""
    answers = json.loads((REFERENCE / f"sem_{request.param}.json").read_text())
    return request.param, sem.fit(sem.read_model(answers["model"]), data_of(request.param)), answers


def close(case, ours, theirs):
    np.testing.assert_allclose(
        np.asarray(ours, float),
        np.asarray(theirs, float),
        equal_nan=True,
        **TOLERANCE.get(case, CLOSE),
    )


def rows(answers, table):
    """lavaan's table without ``:=`` rows; what has no sampling variation becomes NaN, as ours."""
    table = pd.DataFrame(answers[table])
    table = table[table["op"] != ":="].reset_index(drop=True)
    constant = ~(table["se"] > 1e-7)
    table.loc[constant, ["se", "z", "pvalue", "ci.lower", "ci.upper"]] = np.nan
    return table


def test_every_case_is_there():
    assert len(CASES) == 14


def test_rows_and_their_order_are_lavaans(compared):
    _, fit, answers = compared
    theirs = rows(answers, "estimates")
    assert fit.estimates[["lhs", "op", "rhs"]].equals(theirs[["lhs", "op", "rhs"]])
    assert (
        fit.estimates["label"].tolist()
        == theirs.get("label", pd.Series([""] * len(theirs))).fillna("").tolist()
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("estimate", "est"),
        ("se", "se"),
        ("z", "z"),
        ("p", "pvalue"),
        ("ci_low", "ci.lower"),
        ("ci_high", "ci.upper"),
        ("std_all", "std.all"),
    ],
)
def test_estimates(compared, ours, theirs):
    case, fit, answers = compared
    close(case, fit.estimates[ours], rows(answers, "estimates")[theirs])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("std_all", "est.std"),
        ("std_se", "se"),
        ("std_ci_low", "ci.lower"),
        ("std_ci_high", "ci.upper"),
    ],
)
def test_standardised_solution(compared, ours, theirs):
    case, fit, answers = compared
    close(case, fit.estimates[ours], rows(answers, "standardized")[theirs])


def test_measures(compared):
    case, fit, answers = compared
    standard = fit.measures.set_index("measure")["standard"]
    names = ["gfi_lisrel" if name == "gfi" else name for name in answers["measures"]]
    close(case, standard[names], list(answers["measures"].values()))


def test_r_squared(compared):
    case, fit, answers = compared
    assert fit.r_squared["variable"].tolist() == list(answers["r2"])
    close(case, fit.r_squared["r_squared"], list(answers["r2"].values()))


def test_residual_correlations(compared):
    case, fit, answers = compared
    theirs = {frozenset((row["a"], row["b"])): row["residual"] for row in answers["residuals"]}
    pairs = [
        frozenset(pair) for pair in zip(fit.residuals["lhs"], fit.residuals["rhs"], strict=True)
    ]
    assert len(pairs) == len(theirs) and set(pairs) == set(theirs)
    close(case, fit.residuals["residual"], [theirs[pair] for pair in pairs])
    close(case, fit.residuals["observed"] - fit.residuals["implied"], fit.residuals["residual"])
    assert fit.residuals["residual"].abs().is_monotonic_decreasing


def test_vcov(compared):
    case, fit, answers = compared
    names = answers["vcov"]["names"]
    theirs = pd.DataFrame(answers["vcov"]["values"], index=names, columns=names, dtype=float)
    theirs = theirs.loc[~theirs.index.duplicated(), ~theirs.columns.duplicated()]
    assert set(fit.vcov.index) == set(names)
    close(case, fit.vcov, theirs.loc[fit.vcov.index, fit.vcov.columns])


def test_rows_used(compared):
    case, fit, answers = compared
    assert fit.n_used == answers["n_used"]
    assert fit.n_used + fit.n_dropped == len(data_of(case))
    assert fit.converged and fit.optimizer["gradient"] < 1e-6


def test_defined_effects():
    answers = json.loads((REFERENCE / "sem_pd.json").read_text())
    fit = sem.fit(sem.read_model(answers["model"]), read_data("pd"))
    raw, std = (pd.DataFrame(answers[t]).query("op == ':='") for t in ("estimates", "standardized"))
    assert fit.defined["name"].tolist() == raw["lhs"].tolist()
    assert fit.defined["formula"].tolist() == ["a*b", "c + a*b", "indirect/total"]
    for ours, theirs in (
        ("estimate", raw["est"]),
        ("se", raw["se"]),
        ("z", raw["z"]),
        ("p", raw["pvalue"]),
        ("ci_low", raw["ci.lower"]),
        ("ci_high", raw["ci.upper"]),
        ("std_all", std["est.std"]),
        ("std_se", std["se"]),
    ):
        close("pd", fit.defined[ours], theirs)


def test_anchors_from_the_literature():
    hs = sem.fit(sem.read_model(holzinger39.get_model()), holzinger39.get_data())
    measures = hs.measures.set_index("measure")["standard"]
    printed = {
        "chisq": 85.306,
        "df": 24,
        "baseline_chisq": 918.852,
        "baseline_df": 36,
        "srmr": 0.065,
        "logl": -3737.745,
        "aic": 7517.490,
        "bic": 7595.339,
    }
    for name, value in printed.items():
        assert measures[name] == pytest.approx(value, abs=5e-4), name
    pd_fit = sem.fit(
        sem.read_model(political_democracy.get_model()), political_democracy.get_data()
    )
    paths = pd_fit.estimates.query("op == '~'")
    assert pd_fit.measures.set_index("measure")["standard"]["chisq"] == pytest.approx(
        38.125, abs=5e-4
    )
    assert paths["estimate"].tolist() == pytest.approx([1.483, 0.572, 0.837], abs=5e-4)
    assert paths["se"].tolist() == pytest.approx([0.399, 0.221, 0.098], abs=5e-4)


def test_semopy_ships_the_same_data_as_lavaan():
    items = [f"x{i}" for i in range(1, 10)]
    np.testing.assert_allclose(holzinger39.get_data()[items], read_data("hs")[items], atol=1e-8)
    ours, theirs = political_democracy.get_data(), read_data("pd")
    np.testing.assert_allclose(ours[list(theirs)], theirs, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_implied_covariance_and_its_derivatives(case):
    """Against semopy's, and against a complex step, at a point that is no solution."""
    model = sem.read_model(json.loads((REFERENCE / f"sem_{case}.json").read_text())["model"])
    sample = sample_of(data_of(case)[list(model.observed)].dropna().to_numpy())
    engine = semopy_bridge.load(model, structural_observed(model), sample.cov)
    theta = engine.param_vals + np.random.default_rng(1).uniform(0.1, 0.3, len(engine.param_vals))
    layout = lay_out(model)
    assert layout.parameters == semopy_bridge.semopy_parameters(model)
    structure = Structure(layout, 0, sample.cov, sample.mean)
    implied = structure.implied(theta)
    engine.update_matrices(theta)
    sigma, helpers = engine.calc_sigma()
    np.testing.assert_allclose(implied.cov, sigma, rtol=1e-12)
    d = structure.derivatives(implied)
    ours = np.zeros((len(theta), *sigma.shape))
    np.add.at(ours, structure.which, np.einsum("ik,jk->kij", d.u, d.v))
    ours += ours.transpose(0, 2, 1)
    theirs = np.array(engine.calc_sigma_grad(*helpers)).reshape(ours.shape)
    np.testing.assert_allclose(ours, theirs, atol=1e-10)
    for derivative, unit in zip(ours, np.eye(len(theta)), strict=True):
        exact = structure.implied(theta + 1e-20j * unit).cov.imag / 1e-20
        np.testing.assert_allclose(derivative, exact, atol=1e-10)
