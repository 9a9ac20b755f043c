"""Simulation and power: against lavaan's populations and fits (reference/simulation.R), and theory."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import semfit
from semfit.results.population import population_of
from semfit.results.power import exact_rows

REFERENCE = Path(__file__).parent / "reference"
ANSWERS = json.loads((REFERENCE / "simulation.json").read_text())
POPULATION = "f =~ .8*x1 + .7*x2 + .6*x3\nf ~~ 1*f\ny ~ .3*f"
MODEL = "f =~ x1 + x2 + x3\ny ~ b*f\nbb := b^2"
DRAWS, ROWS = 15, 80


def samples():
    """The samples that R fits too: `python semfit/tests/test_simulation.py` writes them."""
    from semfit.results.power import _analysis

    analysis = _analysis(POPULATION, MODEL, 5, {})
    parts = [analysis.sample(ROWS, i).assign(draw=i) for i in range(DRAWS)]
    return pd.concat(parts)[["draw", "x1", "x2", "x3", "y"]].reset_index(drop=True)


# ---- simulate ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ANSWERS["populations"])
def test_populations_are_lavaans(name):
    theirs = ANSWERS["populations"][name]
    ours = population_of(theirs["text"])
    order = [ours.names.index(n) for n in theirs["names"]]
    assert len(ours.groups) == len(theirs["groups"]) and sorted(order) == [*range(len(order))]
    for g, group in enumerate(theirs["groups"]):
        np.testing.assert_allclose(ours.cov[g][np.ix_(order, order)], group["cov"], atol=1e-9)
        np.testing.assert_allclose(ours.mean[g][order], group["mean"], atol=1e-9)
        for key, value in dict(group["th"] or {}).items():
            variable, number = key.split("|t")
            assert ours.thresholds[g][variable][int(number) - 1] == pytest.approx(value)


def test_moments_converge():
    text = ANSWERS["populations"]["sem"]["text"]
    population = population_of(text)
    data = semfit.simulate(text, 200_000, seed=3)
    assert tuple(data) == population.names
    scale = np.sqrt(np.diag(population.cov[0]))
    error = (data.cov().to_numpy() - population.cov[0]) / np.outer(scale, scale)
    assert np.abs(error).max() < 5 * np.sqrt(2 / 200_000)
    gap = (data.mean().to_numpy() - population.mean[0]) / scale
    assert np.abs(gap).max() < 5 / np.sqrt(200_000)


def test_categories_have_their_shares():
    data = semfit.simulate(ANSWERS["populations"]["ordered"]["text"], 100_000, seed=4)
    shares = data["x3"].value_counts(normalize=True).sort_index()
    assert list(shares.index) == [1, 2, 3, 4]
    expected = np.diff(norm.cdf([-np.inf, -1, 0, 1, np.inf]))
    np.testing.assert_allclose(shares, expected, atol=0.007)
    correlation = semfit.fit(
        semfit.read_model("f =~ x1 + x2 + x3"), data[:20_000], "WLSMV", ordered="all"
    )
    implied = correlation.implied().cov.to_numpy()
    np.testing.assert_allclose(implied[np.tril_indices(3, -1)], [0.56, 0.48, 0.42], atol=0.04)


def test_the_seed_is_all_that_counts():
    text = "y ~ 0.5*x"
    pd.testing.assert_frame_equal(semfit.simulate(text, 50, 7), semfit.simulate(text, 50, 7))
    assert not semfit.simulate(text, 50, 7).equals(semfit.simulate(text, 50, 8))


def test_a_fit_is_a_population():
    data = semfit.example_data()
    data["x1"] = np.digitize(data["x1"], data["x1"].quantile([0.3, 0.7])) * 10
    model = semfit.read_model("f =~ x1 + x2 + x3; f ~ age")
    fit = semfit.fit(model, data, "WLSMV", group="group", ordered=["x1"])
    drawn = semfit.simulate(fit, {"a": 30_000, "b": 20_000}, seed=2)
    assert drawn.groupby("group").size().to_dict() == {"a": 30_000, "b": 20_000}
    assert set(drawn["x1"]) == {0, 10, 20}
    for label, part in drawn.groupby("group"):
        moments = fit.implied(label)
        names = ["x2", "x3", "age"]
        np.testing.assert_allclose(part[names].cov(), moments.cov.loc[names, names], atol=0.05)
        np.testing.assert_allclose(part[names].mean(), moments.mean[names], atol=0.03)
        response = np.sqrt(moments.cov.loc["x1", "x1"])
        cuts = (moments.thresholds - moments.mean["x1"]) / response
        below = [(part["x1"] == 0).mean(), (part["x1"] < 20).mean()]
        np.testing.assert_allclose(below, norm.cdf(cuts), atol=0.015)


def test_missing_values_and_groups():
    data = semfit.simulate("f =~ .8*x1 + c(.7, .9)*x2; f ~ .3*z", [4000, 100], missing_share=0.2)
    assert data["group"].tolist() == ["1"] * 4000 + ["2"] * 100
    assert data["z"].notna().all()
    assert abs(data["x1"].isna().mean() - 0.2) < 0.03


@pytest.mark.parametrize(
    ("text", "n", "said"),
    [
        ("f =~ x1 + x2", 10, "'f =~ x2' has no value: write a number"),
        ("y ~ x", 10, "'y ~ x' has no value"),
        ("f =~ 0.8*x1 + 0.7*x2; x1 ~~ -9*x1", 10, "improper"),
        ("y ~ 0.3*x; y | 1*t1 + 0*t2", 10, "thresholds of 'y' must rise"),
        ("y ~ 0.3*x", 0, "must be a number of rows"),
        ("y ~ 0.3*x", [5, 5], "each of the 1 group"),
        ("y ~ a*x; a == 0.3", 10, "no constraints"),
    ],
)
def test_what_is_no_population_is_refused(text, n, said):
    with pytest.raises(ValueError, match=said):
        semfit.simulate(text, n)


# ---- power ---------------------------------------------------------------------------------------


def run(**changes):
    given = dict(population=POPULATION, n=ROWS, draws=DRAWS, seed=5, model=MODEL, progress=False)
    return semfit.power(**given | changes)


@pytest.fixture(scope="module")
def result():
    return run()


def test_the_samples_are_those_that_r_read():
    theirs = pd.read_csv(REFERENCE / "power_draws.csv")
    pd.testing.assert_frame_equal(samples().astype(float), theirs.astype(float), atol=1e-9)


def test_power_is_what_lavaans_fits_tell(result):
    theirs = pd.DataFrame(ANSWERS["power"])
    both = result.table.assign(rhs=result.table["rhs"].str.replace(" ", "")).merge(
        theirs, on=["lhs", "op", "rhs"], suffixes=("", "_r"), validate="1:1"
    )
    assert len(both) == len(theirs) == len(result.table)
    for name in ("population", "mean", "sd", "mean_se", "power", "bias", "coverage"):
        np.testing.assert_allclose(both[name], both[f"{name}_r"], atol=2e-5, rtol=2e-5)
    assert result.convergence.to_dict("records") == [
        {"n": ROWS, "draws": DRAWS, "converged": DRAWS, "failed": 0, "share": 1.0}
        | {"improper": result.convergence["improper"].iloc[0]}
    ]


@pytest.mark.slow
def test_power_of_a_regression_is_that_of_theory():
    """With z = b / se and se^2 = (1 - R2) / n / var(x), power is near Phi(|b|/se - 1.96)."""
    found = semfit.power("y ~ 0.25*x", [60, 150], 300, model="y ~ x", progress=False)
    rows = found.table[found.table["op"] == "~"].set_index("n")
    assert list(rows.index) == [60, 150]
    for n, row in rows.iterrows():
        expected = norm.cdf(0.25 * np.sqrt(n) - norm.ppf(0.975))
        assert abs(row["power"] - expected) < 3.5 * row["power_se"]
        assert abs(row["coverage"] - 0.95) < 3.5 * np.sqrt(0.95 * 0.05 / 300) + 0.01
        assert abs(row["bias"]) < 4 * row["sd"] / np.sqrt(300)


def test_workers_and_a_break_change_nothing(result, tmp_path):
    file = tmp_path / "draws.jsonl"
    run(draws=6, resume=file)
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"n": 80, "draw": 6, "conv')  # stopped while it wrote
    again = run(resume=file, workers=2)
    for name in ("table", "draws", "convergence"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(result, name))
    assert file.read_bytes().startswith(whole)
    lines = file.read_text().splitlines()
    assert len(lines) == 1 + DRAWS and len({json.loads(x)["draw"] for x in lines[1:]}) == DRAWS


def test_what_is_in_the_file_is_not_done_again(result, tmp_path, monkeypatch):
    from semfit.results import power

    file = tmp_path / "draws.jsonl"
    run(resume=file)
    monkeypatch.setattr(power._Analysis, "__call__", lambda *_: pytest.fail("fitted again"))
    pd.testing.assert_frame_equal(run(resume=file).table, result.table)
    with pytest.raises(ValueError, match="draws of another population"):
        run(resume=file, seed=6)
    with pytest.raises(ValueError, match="draws of another population"):
        run(resume=file, model="f =~ x1 + x2 + x3; y ~ f")


def test_draws_without_a_solution_are_counted():
    """Two factors where there is one, of few rows: many searches end nowhere, or improper."""
    found = semfit.power(
        "f =~ .5*x1 + .4*x2 + .3*x3 + .3*x4",
        12,
        draws=5,
        model="f =~ x1 + x2; g =~ x3 + x4",
        progress=False,
    )
    row = found.convergence.iloc[0]
    assert row["draws"] == 5 == row["converged"] + row["failed"]
    assert row["failed"] == sum(found.reasons.values()) > 0
    assert row["share"] == row["converged"] / 5
    assert found.draws["draw"].nunique() == row["converged"]
    assert (found.table["draws"] <= row["converged"]).all()


def test_true_values_do_not_depend_on_the_parameterization():
    text = "f =~ .8*x1 + .7*x2 + .6*x3 + .5*x4"
    for model, expected in (
        ("f =~ x1 + x2 + x3 + x4", 0.7 / 0.8),
        ("f =~ NA*x1 + x2 + x3 + x4; f ~~ 1*f", 0.7),
    ):
        found = semfit.power(text, 300, 2, model=model, progress=False)
        row = found.table[(found.table["op"] == "=~") & (found.table["rhs"] == "x2")]
        assert row["population"].iloc[0] == pytest.approx(expected, abs=1e-5)


def test_true_values_of_ordered_variables():
    text = "f =~ .8*x1 + .7*x2 + .6*x3; f ~ .3*z; x1 | -.5*t1 + .5*t2; x2 | 0*t1; x3 | -.2*t1"
    model = "f =~ x1 + x2 + x3; f ~ z"
    found = semfit.power(
        text, 300, 2, model=model, estimator="WLSMV", ordered="all", progress=False
    )
    table = found.table.set_index(["lhs", "op", "rhs"])["population"]
    assert table["f", "=~", "x2"] == pytest.approx(0.7 / 0.8, abs=1e-5)
    assert table["f", "~", "z"] == pytest.approx(0.3 * 0.8, abs=1e-5)
    assert table["x1", "|", "t2"] == pytest.approx(0.5, abs=1e-5)
    assert table["x3", "|", "t1"] == pytest.approx(-0.2, abs=1e-5)


def test_exact_rows_have_exactly_the_moments():
    population = population_of(ANSWERS["populations"]["groups"]["text"])
    rows = exact_rows(population)
    for g, (_, part) in enumerate(rows.groupby("group")):
        part = part[list(population.names)]
        np.testing.assert_allclose(part.cov(ddof=0), population.cov[g], atol=1e-10)
        np.testing.assert_allclose(part.mean(), population.mean[g], atol=1e-10)


def test_power_of_a_fit_by_group():
    data = semfit.example_data()
    fit = semfit.fit(semfit.read_model("x1 ~ x2"), data, group="group")
    found = semfit.power(fit, 80, 3, progress=False)
    rows = found.table[found.table["op"] == "~"]
    assert rows["group"].tolist() == ["a", "b"]
    truth = fit.estimates[fit.estimates["op"] == "~"]["estimate"]
    np.testing.assert_allclose(rows["population"], truth, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": None}, "which model is to be fitted"),
        ({"draws": 1}, "from 2"),
        ({"alpha": 5}, "between 0 and 1"),
        ({"model": "f =~ x1 + z9"}, "None of the 15 draws has a solution"),
    ],
)
def test_what_is_no_power_analysis_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        run(**changes)


if __name__ == "__main__":
    samples().to_csv(REFERENCE / "power_draws.csv", index=False, float_format="%.12g")
