"""The search: proven minima, whatever the parameterization, and lavaan's where a search is hard."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semfit as sem

REFERENCE = Path(__file__).parent / "reference"
CASES = json.loads((REFERENCE / "search.json").read_text())
OPTIONS = {"group.equal": "equal"}  # lavaan's name to ours


def read_data(name):
    return pd.read_csv(REFERENCE / "estimators" / f"data_{name}.csv")


def fitted(case):
    options = {OPTIONS.get(name, name): value for name, value in dict(case["options"]).items()}
    options.pop("group.label", None)
    if options.get("ordered"):
        options["ordered"] = "all"
    return sem.fit(sem.read_model(case["model"]), read_data(case["data"]), **options)


def chisq(fit, column="standard"):
    return fit.measures.set_index("measure").loc["chisq", column]


@pytest.mark.parametrize("name", CASES)
def test_lavaans_solution_is_found(name):
    case = CASES[name]
    fit = fitted(case)
    assert fit.converged and fit.test.df == case["df"]
    assert chisq(fit) == pytest.approx(case["chisq"], rel=2e-6)
    if case["scaled"]:
        assert chisq(fit, "scaled") == pytest.approx(case["scaled"], rel=2e-6)
    theirs = pd.DataFrame(case["estimates"])
    keys = ["lhs", "op", "rhs", "group"]
    place = {label: i for i, label in enumerate(fit.groups, start=1)}
    both = theirs.merge(fit.estimates.replace({"group": place}), on=keys)
    assert len(both) >= len(theirs) - 1  # a covariance may be written the other way round
    np.testing.assert_allclose(both["estimate"], both["est"], rtol=2e-5, atol=2e-4)


# ---- no solution ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def failed():
    noise = np.random.default_rng(0).normal(size=(25, 9))
    data = pd.DataFrame(noise, columns=[f"x{i}" for i in range(1, 10)])
    text = "f =~ x1 + a*x2 + b*x3\ng =~ x4 + x5 + x6\nh =~ x7 + x8 + x9\nh ~ f\nab := a*b"
    with pytest.warns(sem.NoSolution, match="no solution .not converged") as given:
        fit = sem.fit(sem.read_model(text), data)
    assert len(given) == 1 and given[0].filename == __file__
    return fit


DOORS = {
    "wald": lambda fit: sem.wald(fit, "a == b"),
    "score_tests": sem.score_tests,
    "latent_means": sem.latent_means,
    "monte_carlo": sem.monte_carlo,
    "bootstrap": lambda fit: sem.bootstrap(fit, draws=40),
    "effects_table": sem.effects_table,
    "indirect_effects": sem.indirect_effects,
    "modification_indices": lambda fit: fit.modification_indices,
    "intervals": lambda fit: fit.intervals(),
    "standardized": lambda fit: fit.standardized(),
    "scores": lambda fit: fit.scores(),
    "predict": lambda fit: fit.predict(),
    "fitted_values": lambda fit: fit.fitted_values(),
    "implied": lambda fit: fit.implied(),
    "composite_reliability": lambda fit: sem.reliability.composite_reliability(fit.estimates),
    "ave": lambda fit: sem.reliability.average_variance_extracted(fit.estimates),
}


@pytest.mark.parametrize("door", DOORS)
def test_nothing_is_computed_without_a_solution(failed, door):
    with pytest.raises(ValueError, match="no solution.*fit.problems"):
        DOORS[door](failed)


def test_tables_without_a_solution_hold_no_numbers(failed):
    free = failed.estimates["free"]
    assert failed.estimates.loc[free, ["estimate", "se", "std_all"]].isna().all(axis=None)
    assert (failed.estimates.loc[~free, "estimate"].isin([0.0, 1.0])).all()
    assert failed.r_squared["r_squared"].isna().all() and failed.vcov.isna().all(axis=None)
    assert failed.residuals[["implied", "residual"]].isna().all(axis=None)
    assert failed.defined[["estimate", "se", "std_all"]].isna().all(axis=None)
    known = failed.measures.dropna(subset="standard")["measure"].tolist()
    assert known == ["npar", "n", "df"] and failed.test is None and failed.baseline is None
    first = repr(failed).splitlines()[:4]
    assert "NOT converged" in first[0] and "not converged" in first[3]


def test_what_is_compared_with_a_fit_without_a_solution(failed):
    data = failed.rows
    other = sem.fit(sem.read_model("f =~ x1 + x2 + x3\nx4 ~~ x5\nx6 ~~ x7\nx8 ~~ x9"), data)
    table = sem.compare({"failed": failed, "other": other}).set_index("model")
    numbers = ["chisq", "cfi", "chisq_diff", "p", "delta_cfi"]
    assert table.loc["failed", numbers].isna().all() and table["p"].isna().all()
    assert "has no solution" in " ".join(table["note"])
