"""semfit.effects.effects: lavaan's and semTools' numbers, what must not matter, known truth, refusals.

References: effects.json and estimators/pd_*.csv (estimators.R), effects_draws.json (effects_draws.R).
"""

import copy
import json
import re
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

import semfit as sem
from semfit.effects import bootstrapping, resampling
from semfit.effects.bootstrapping import (
    _message,
    _Summary,
    acceleration,
    bca_levels,
    quantiles,
)
from semfit.fitting import refits as refitting
from semfit.fitting.search import scoring
from semfit.messages import as_json, message, told
from semfit.moments.normal import NormalObjective
from semfit.moments.sample import resample, sample_of

REFERENCE = Path(__file__).parent / "reference"
ESTIMATORS = REFERENCE / "estimators"
DRAWS = json.loads((REFERENCE / "effects_draws.json").read_text())
PATHS = """visual =~ x1 + x2 + x3
textual =~ x4 + x5 + x6
speed =~ x7 + x8 + x9
speed ~ a*visual + b*textual
textual ~ c*visual
ind := c*b
tot := a + c*b"""
TINY = "f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\nf ~~ g"


def read(name):
    return pd.read_csv(ESTIMATORS / name)


@pytest.fixture(scope="module")
def pd_reference():
    return json.loads((REFERENCE / "effects.json").read_text())["pd"]


@pytest.fixture(scope="module")
def democracy(pd_reference):
    return sem.fit(sem.read_model(pd_reference["model"]), read("data_pd.csv"))


@pytest.fixture(scope="module")
def paths():
    return sem.fit(sem.read_model(PATHS), read("data_hs.csv"))


@pytest.fixture(scope="module")
def boot(paths):
    return sem.bootstrap(paths, draws=100, n_jobs=1)


@pytest.fixture(scope="module")
def refits(democracy):
    """Free parameters and effects in lavaan's resamples and without each row, and their problems."""
    refit = resampling.refit_of(democracy)
    resamples = read("pd_resamples.csv").to_numpy() - 1
    times = [[np.bincount(rows, minlength=75)] for rows in resamples]
    times += [resampling.all_but(i, [75]) for i in range(75)]
    raw, _, problems = zip(*[refit(t) for t in times], strict=True)
    raw = np.array(raw)
    defined = democracy.point.defined(raw.T).T
    return np.hstack([raw[:, free_rows(democracy)], defined]), list(problems)


def free_rows(fit):
    return (fit.layout.table["parameter"] != "").to_numpy()


def all_estimates(fit, column="estimate"):
    return np.concatenate([fit.estimates[column][free_rows(fit)], fit.defined[column]])


# ---- lavaan's numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "part"), [("pd_bootstrap.csv", slice(200)), ("pd_jackknife.csv", slice(200, None))]
)
def test_every_draw_is_lavaans(democracy, refits, file, part):
    expected = read(file).drop(columns="resample")
    names = [*democracy.layout.table["parameter"][free_rows(democracy)], *democracy.defined["name"]]
    assert list(expected) == names
    distance = np.abs(refits[0][part] - expected) / all_estimates(democracy, "se")
    assert distance.to_numpy().max() < 5e-6  # standard errors


def test_intervals_are_those_of_boot(democracy, refits, pd_reference):
    expected = pd.DataFrame(pd_reference["bootstrap"]["parameters"]).T
    table = _Summary(200, [75], 0.95, "both").table(all_estimates(democracy), refits[0])
    se = all_estimates(democracy, "se")
    for ends, name in (("ci", "percentile_normal"), ("bca", "bca")):
        for end in (0, 1):
            distance = table[f"{ends}_{('low', 'high')[end]}"] - expected[name].str[end].to_numpy()
            assert np.abs(distance / se).max() < 5e-6
    np.testing.assert_allclose(table["boot_se"], expected["bootstrap_sd"].astype(float), rtol=1e-6)
    bias = (expected["bootstrap_mean"] - expected["estimate"]).astype(float)
    np.testing.assert_allclose(table["bias"], bias, atol=1e-6 * se.max())
    jackknife = [acceleration(column, [75]) for column in refits[0][200:].T]
    np.testing.assert_allclose(jackknife, expected["acceleration"].astype(float), atol=1e-6)


def test_influence_values_are_no_substitute_for_the_jackknife(democracy, refits):
    """Why `bootstrap` refits without each row: first-order influence moves the levels by .7 %."""
    objective, theta = democracy.objective, democracy.point.theta
    inverse = np.linalg.inv(objective.observed_information(theta))
    influence = objective.casewise_scores(theta) @ inverse
    approximate = (influence**3).sum(axis=0) / (6 * (influence**2).sum(axis=0) ** 1.5)
    exact = [acceleration(column, [75]) for column in refits[0][200:, : len(theta)].T]
    assert 0.005 < np.abs(approximate - exact).max() < 0.01


@pytest.mark.parametrize("name", DRAWS)
def test_draws_within_groups_with_missing_values_and_with_categories(name):
    case = DRAWS[name]
    fit = fit_case(case["call"])
    refit = resampling.refit_of(fit)
    rows = pd.DataFrame(case["rows"])
    rows["group"] = rows["group"].map(dict(enumerate(fit.groups, start=1)))
    table = fit.estimates.reset_index().merge(rows.reset_index(names="at"), validate="1:1")
    assert len(table) == len(rows)
    for draw, resample_rows in enumerate(case["resamples"]):
        raw, std, _ = refit(times_of(fit, resample_rows))
        for got, expected, se in ((raw, "est", table["se"]), (std, "std", table["std_se"])):
            expected = np.array(case[expected][draw], dtype=float)[table["at"]]
            gap = np.abs(got[table["index"]] - expected)
            assert (gap / se.fillna(0.1)).max() < 5e-4  # where nlminb ends


def fit_case(call):
    options = {"estimator": call["estimator"], "missing": call["missing"]}
    options |= {"ordered": call["ordered"]} if "ordered" in call else {}
    if "group" in call:
        options |= {"group": call["group"], "equal": call["group.equal"]}
    return sem.fit(sem.read_model(call["model"]), read(f"data_{call['data']}.csv"), **options)


def times_of(fit, numbers):
    """How often each row of each group is in a resample of row numbers."""
    counts = np.bincount(np.array(numbers) - 1, minlength=fit.rows.index.max() + 1)
    labels = np.full(len(fit.rows), "") if fit.group is None else fit.rows[fit.group]
    return [counts[fit.rows.index[labels == label]] for label in fit.groups]


def test_monte_carlo_is_that_of_semtools(democracy, pd_reference):
    expected = pd.DataFrame(pd_reference["monte_carlo"]["rows"]).set_index("name")
    table = sem.monte_carlo(democracy, draws=10_000).set_index("name")
    np.testing.assert_allclose(table["estimate"], expected["est"], atol=1e-6)
    # four simulation errors of a quantile that leaves 2.5 % on one side
    error = 4 * np.sqrt(0.025 * 0.975 / 10_000) / 0.0584 * table["mc_se"]
    assert (np.abs(table["ci_low"] - expected["ci.lower"]) < error).all()
    assert (np.abs(table["ci_high"] - expected["ci.upper"]) < error).all()


def test_effects_along_the_paths_are_those_that_lavaan_defines(paths, democracy):
    reference = json.loads((REFERENCE / "effects.json").read_text())
    for fit, name, pairs in (
        (paths, "hs_paths", {"ind": "specific indirect", "tot": "total"}),
        (democracy, "pd", {"indirect": "total indirect", "total": "total"}),
    ):
        expected = pd.DataFrame(reference[name]["delta"]).set_index("lhs").loc[list(pairs)]
        table = sem.indirect_effects(fit).set_index("effect").loc[list(pairs.values())]
        for ours, theirs in zip(
            ["estimate", "se", "ci_low", "ci_high", "std_all"],
            ["est", "se", "ci.lower", "ci.upper", "std.all"],
            strict=True,
        ):
            np.testing.assert_allclose(table[ours], expected[theirs], rtol=1e-5, atol=1e-7)


# ---- intervals -----------------------------------------------------------------------------------


def test_quantiles_end_at_the_extremes():
    draws = np.arange(1.0, 100.0)
    assert quantiles(draws, np.array([0.5])) == pytest.approx(50)
    np.testing.assert_allclose(quantiles(draws, np.array([0.01, 0.99])), [1, 99])
    np.testing.assert_allclose(quantiles(draws, np.array([1e-6, 1 - 1e-6])), [1, 99])
    assert np.isnan(quantiles(draws, np.array([np.nan]))).all()


def test_bca_levels():
    draws, levels = np.arange(1.0, 101.0), np.array([0.025, 0.975])
    np.testing.assert_allclose(bca_levels(draws, 50.5, 0.0, levels), levels)  # nothing to correct
    np.testing.assert_allclose(
        bca_levels(np.repeat([1.0, 2.0, 3.0], 10), 2.0, 0.0, levels), levels
    )  # ties count half
    low, high = bca_levels(draws, 50.5, 0.1, levels)
    assert low > 0.025 and high > 0.975


@pytest.mark.parametrize("estimate", [0.0, 101.0])
@pytest.mark.parametrize("skew", [-0.1, 0.0, 0.1])
def test_bca_levels_without_a_draw_below_or_above(estimate, skew):
    """They are not known, and that is no accident of infinite numbers, which numpy would warn of."""
    draws, levels = np.arange(1.0, 101.0), np.array([0.025, 0.975])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(bca_levels(draws, estimate, skew, levels)).all()


def test_acceleration_of_groups():
    rows = np.random.default_rng(1).exponential(size=40)
    one = acceleration((rows.sum() - rows) / 39, [40])  # of a mean: skewness / (6 sqrt(n))
    deviations = rows - rows.mean()
    assert one == pytest.approx((deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5))
    twice = acceleration(np.tile((rows.sum() - rows) / 39, 2), [40, 40])
    assert twice == pytest.approx(one / np.sqrt(2))
    few = rows[:10]  # groups of unequal size: influence on the sum of means, (x - mean) / n
    pair = np.concatenate([(rows.sum() - rows) / 39, (few.sum() - few) / 9])
    influence = np.concatenate([deviations / 40, (few - few.mean()) / 10])
    expected = (influence**3).sum() / (6 * (influence**2).sum() ** 1.5)
    assert acceleration(pair, [40, 10]) == pytest.approx(expected)
    with_hole = (rows.sum() - rows) / 39
    with_hole[3] = np.nan
    assert np.isfinite(acceleration(with_hole, [40]))


def test_intervals_that_were_not_asked_for_are_empty(democracy):
    for interval, given, empty in (("percentile", "ci", "bca"), ("bca", "bca", "ci")):
        table = sem.bootstrap(democracy, draws=40, n_jobs=1, interval=interval).defined
        assert table[[f"{given}_low", f"std_{given}_high"]].notna().all(axis=None)
        assert table[[f"{empty}_low", f"std_{empty}_high"]].isna().all(axis=None)


# ---- what must not matter ------------------------------------------------------------------------


def same_draws(a, b):
    for name in ("draws", "estimates", "standardized", "defined"):
        pd.testing.assert_frame_equal(getattr(a, name), getattr(b, name), check_exact=True)
    assert (a.reasons, a.message) == (b.reasons, b.message)


def test_workers_backend_and_chunks_do_not_matter(democracy, monkeypatch):
    once = sem.bootstrap(democracy, draws=40, n_jobs=1)
    same_draws(sem.bootstrap(democracy, draws=40, n_jobs=2), once)
    monkeypatch.setattr(resampling, "CHUNK", 7)
    same_draws(sem.bootstrap(democracy, draws=40, n_jobs=1), once)
    with joblib.parallel_config("threading", n_jobs=3):  # as a cluster would be configured
        same_draws(sem.bootstrap(democracy, draws=40, n_jobs=None), once)


def test_the_seed_matters_and_more_draws_begin_with_the_same(paths, boot):
    few = sem.bootstrap(paths, draws=40, n_jobs=1, interval="percentile")
    pd.testing.assert_frame_equal(few.draws, boot.draws.head(40), check_exact=True)
    other = sem.bootstrap(paths, draws=40, n_jobs=1, seed=2, interval="percentile")
    assert (other.draws != few.draws).all(axis=None)


def test_draws_have_the_generators_that_seedsequence_spawns():
    children = np.random.SeedSequence(5).spawn(3)
    expected = np.bincount(np.random.default_rng(children[2]).integers(8, size=8), minlength=8)
    np.testing.assert_array_equal(resampling.draw_rows(5, 2, [8])[0], expected)


def test_one_worker_starts_no_process(paths, monkeypatch):
    monkeypatch.setattr(joblib, "Parallel", None)
    sem.bootstrap(paths, draws=40, n_jobs=1, interval="percentile")


def test_the_fit_stays_as_it_was():
    fit = fit_case(DRAWS["fiml_covariates"]["call"])
    before = copy.deepcopy(fit.point.structures[0].__dict__)
    sem.bootstrap(fit, draws=40, n_jobs=1, interval="percentile")
    for name, value in fit.point.structures[0].__dict__.items():
        np.testing.assert_equal(value, before[name])


def test_a_resample_is_the_sample_of_its_rows():
    rows = read("data_hsmiss.csv")[["x1", "x2", "x3", "ageyr"]].dropna(how="all").to_numpy()
    times = resampling.draw_rows(3, 0, [len(rows)])[0]
    drawn, expected = resample(sample_of(rows), times), sample_of(np.repeat(rows, times, axis=0))
    for name in ("seen", "counts", "means", "covs"):
        np.testing.assert_allclose(getattr(drawn, name), getattr(expected, name), atol=1e-12)
    assert drawn.n == len(rows) and np.isnan(drawn.mean[:3]).all()
    assert drawn.mean[3] == pytest.approx(expected.mean[3])
    assert drawn.cov[3, 3] == pytest.approx(expected.cov[3, 3])


def test_bfgs_ends_where_fisher_scoring_does(paths):
    refit = resampling.refit_of(paths)
    samples = [resample(refit.samples[0], resampling.draw_rows(9, 0, refit.sizes)[0])]
    objective = NormalObjective(paths.point.structures, samples, len(paths.point.theta))
    found = refitting.quasi_newton(objective, paths.point.theta, refit.inverse)
    exact = scoring(objective, paths.point.theta)
    se = np.sqrt(np.diag(paths.point.vcov))
    assert exact.converged and (np.abs(found - exact.theta) / se).max() < 1e-5
    far = refitting.quasi_newton(objective, paths.point.theta, np.eye(len(se)) * 1e-3)
    assert (np.abs(far - exact.theta) / se).max() < 1e-5
    assert refitting.quasi_newton(objective, -paths.point.theta, refit.inverse) is None


def test_progress_is_shown_in_a_terminal_only(paths, monkeypatch, capsys):
    sem.bootstrap(paths, draws=40, n_jobs=1, interval="percentile")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    sem.bootstrap(paths, draws=40, n_jobs=1, interval="percentile", progress=False)
    assert capsys.readouterr() == ("", "")
    sem.bootstrap(paths, draws=40, n_jobs=1, interval="percentile")
    assert "40/40" in capsys.readouterr().err


# ---- tables --------------------------------------------------------------------------------------


def test_tables_of_a_bootstrap(paths, boot):
    free = free_rows(paths)
    assert list(boot.estimates["estimate"]) == list(paths.estimates["estimate"][free])
    assert list(boot.draws) == list(paths.layout.parameters) and len(boot.draws) == 100
    np.testing.assert_allclose(boot.estimates["boot_se"], boot.draws.std(), rtol=1e-12)
    np.testing.assert_allclose(
        boot.estimates["bias"], boot.draws.mean() - paths.point.theta, atol=1e-12
    )
    std = boot.standardized.set_index(["lhs", "op", "rhs"])
    assert len(std) == len(paths.estimates)
    assert np.isfinite(std.loc[("visual", "=~", "x1"), "boot_se"])  # a marker, which is fixed
    assert np.isnan(std.loc[("visual", "~~", "visual"), "boot_se"])  # 1 in every draw
    draws = boot.draws["c"] * boot.draws["b"]
    assert boot.defined["boot_se"][0] == pytest.approx(draws.std())
    assert (boot.n_draws, boot.n_failed, boot.seed, boot.confidence) == (100, 0, 1, 0.95)
    assert re.fullmatch(r"100 bootstrap draws of 301 rows \(seed 1\): 0 failed, .*", boot.message)


def test_equal_parameters_share_their_draws():
    fit = fit_case(DRAWS["groups"]["call"])
    table = sem.bootstrap(fit, draws=40, n_jobs=1, interval="percentile").estimates
    loading = table[(table["op"] == "=~") & (table["rhs"] == "x2")]
    assert loading["boot_se"].nunique() == 1 and list(loading["group"]) == list(fit.groups)


def test_ordered_variables_and_covariates():
    fit = fit_case(DRAWS["ordered"]["call"])
    result = sem.bootstrap(fit, draws=40, n_jobs=1, interval="percentile")
    assert result.n_failed == 0 and result.defined["ci_low"].notna().all()
    fit = fit_case(DRAWS["ml_covariates"]["call"])
    table = sem.bootstrap(fit, draws=40, n_jobs=1, interval="percentile").standardized
    assert not ((table["lhs"] == "ageyr") & (table["op"] == "~~")).any()  # given, not estimated


def test_methods_side_by_side(paths, boot):
    mc = sem.monte_carlo(paths, draws=500)
    table = sem.effects_table(paths, boot, mc)
    assert list(table["name"]) == ["ind", "tot"]
    for ours, source, theirs in (
        ("delta_low", paths.defined, "ci_low"),
        ("mc_high", mc, "ci_high"),
        ("std_mc_low", mc, "std_ci_low"),
        ("percentile_low", boot.defined, "ci_low"),
        ("bca_high", boot.defined, "bca_high"),
        ("std_bca_low", boot.defined, "std_bca_low"),
        ("std_boot_se", boot.defined, "std_boot_se"),
    ):
        np.testing.assert_allclose(table[ours], source[theirs], rtol=1e-12)
    assert list(sem.effects_table(paths)) == (
        "name formula estimate se delta_low delta_high std_all std_se std_delta_low "
        "std_delta_high confidence".split()
    )


def test_monte_carlo_of_one_parameter_is_its_normal_interval():
    fit = sem.fit(sem.read_model(PATHS + "\nonly := a\nnone := 2"), read("data_hs.csv"))
    table = sem.monte_carlo(fit, draws=4000, confidence=0.9).set_index("name").loc["only"]
    delta = fit.defined.set_index("name").loc["only"]
    assert table["mc_se"] == pytest.approx(delta["se"], rel=0.04)
    assert table["ci_low"] == pytest.approx(
        delta["estimate"] - 1.645 * delta["se"], abs=0.1 * delta["se"]
    )
    again = sem.monte_carlo(fit, draws=300)
    pd.testing.assert_frame_equal(sem.monte_carlo(fit, draws=300), again, check_exact=True)
    assert (sem.monte_carlo(fit, draws=300, seed=2)["ci_low"] != again["ci_low"])[:3].all()
    assert again["mc_se"][3] == 0 and again["ci_low"][3] == 2


# ---- draws that fail -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny():
    fit = sem.fit(sem.read_model(TINY), read("data_hs.csv").head(15))
    return fit, sem.bootstrap(fit, draws=20, n_jobs=1, confidence=0.5, interval="percentile")


def test_failed_and_improper_draws_are_counted(tiny):
    _, result = tiny
    assert result.n_failed > 0 and result.n_improper > 0
    assert result.draws.isna().all(axis=1).sum() == result.n_failed
    variances = result.draws[[f"x{i}~~x{i}" for i in range(1, 7)] + ["f~~f", "g~~g"]]
    assert (variances < 0).any(axis=1).sum() == result.reasons[str(refitting.NEGATIVE)]
    assert sum(result.reasons.values()) == result.n_failed + result.n_improper
    failed, improper = result.message.split(" improper but kept ")
    assert f"{result.n_failed} failed and left out (" in failed
    assert "not converged" in failed and "negative" not in failed and "negative" in improper
    assert f"{result.n_improper} improper but kept (" in result.message
    np.testing.assert_allclose(result.estimates["boot_se"], result.draws.std())
    assert told(result.message_parts) == result.message
    again = [(part.code, json.loads(as_json(part.values))) for part in result.message_parts]
    assert told(again) == result.message


def test_what_a_bootstrap_says():
    assert str(_message(40, message("units_rows", n=100), 3, [], [], 0)) == (
        "40 bootstrap draws of 100 rows (seed 3): 0 failed, 0 improper."
    )
    constant = message("refit_constant_variable", variable="x1")
    failures, improper = [(refitting.SINGULAR, 2), (constant, 1)], [(refitting.NEGATIVE, 4)]
    assert str(_message(40, message("units_rows", n=100), 3, failures, improper, 5)) == (
        "40 bootstrap draws of 100 rows (seed 3): 3 failed and left out (2 singular covariance "
        "matrix, 1 constant variable x1), 4 improper but kept (4 negative variance); 5 jackknife "
        "refits, of 100 rows, failed."
    )


def test_a_second_search_finds_what_the_first_does_not(tiny, monkeypatch):
    fit, result = tiny
    monkeypatch.setattr(refitting.NormalRefit, "_second_try", lambda *args: None)
    once = sem.bootstrap(fit, draws=20, n_jobs=1, confidence=0.5, interval="percentile")
    assert once.n_failed > 1.2 * result.n_failed
    kept = once.draws.notna().all(axis=1)
    pd.testing.assert_frame_equal(once.draws[kept], result.draws[kept])


def test_samples_without_a_solution_say_why(paths):
    refit = resampling.refit_of(paths)
    times = np.zeros(301, dtype=int)
    times[7] = 301
    values, std, problem = refit([times])
    assert str(problem) == "constant variable x1" and np.isnan(values).all() and np.isnan(std).all()
    times[:6], times[7] = 50, 1  # seven different rows, nine variables
    assert refit([times])[2] == refitting.SINGULAR


def test_a_variable_that_nobody_answers_in_a_draw():
    fit = fit_case(DRAWS["fiml"]["call"])
    refit = resampling.refit_of(fit)
    missing = fit.rows["y1"].isna().to_numpy()
    assert str(refit([np.where(missing, 10, 0)])[2]) == "constant variable y1"


def test_an_empty_category_in_a_draw():
    fit = fit_case(DRAWS["ordered"]["call"])
    rows = (fit.rows["x3"] != fit.rows["x3"].max()).to_numpy()
    assert resampling.refit_of(fit)([rows.astype(int)])[2] == message(
        "refit_empty_category", variable="x3"
    )


def test_latent_covariances_that_are_not_positive_definite():
    cov = np.full((4, 4), 0.6) + 0.4 * np.eye(4)
    cov[:2, :2] = cov[2:, 2:] = [[1, 0.4], [0.4, 1]]
    rows = np.random.default_rng(1).multivariate_normal(np.zeros(4), cov, 400)
    fit = sem.fit(
        sem.read_model("f =~ a + b\ng =~ c + d"), pd.DataFrame(rows, columns=list("abcd"))
    )
    result = sem.bootstrap(fit, draws=40, n_jobs=1, interval="percentile")
    assert result.reasons == {str(refitting.NOT_POSITIVE): 40} and result.n_failed == 0


def test_too_few_draws_that_converge(monkeypatch, paths):
    monkeypatch.setattr(refitting, "quasi_newton", lambda *args: None)
    monkeypatch.setattr(refitting.NormalRefit, "_second_try", lambda *args: None)
    with pytest.raises(ValueError, match="40 of 40 bootstrap draws failed .40 not converged.*left"):
        sem.bootstrap(paths, draws=40, n_jobs=1, interval="percentile")


# ---- known truth ---------------------------------------------------------------------------------


def mediation(n, seed, a=0.4, b=0.3):
    """Rows of x -> m -> y, normal."""
    noise = np.random.default_rng(seed).standard_normal((n, 3))
    x = noise[:, 0]
    m = a * x + noise[:, 1]
    return pd.DataFrame({"x": x, "m": m, "y": b * m + 0.2 * x + noise[:, 2]})


MEDIATION = "m ~ a*x\ny ~ b*m + c*x\nind := a*b"


def test_bootstrap_errors_are_near_the_robust_ones():
    data = mediation(1000, 1)
    fit = sem.fit(sem.read_model(MEDIATION), data, estimator="MLR", mean_structure=True)
    result = sem.bootstrap(fit, draws=300, n_jobs=1, interval="percentile")
    se = fit.estimates["se"][free_rows(fit)].to_numpy()
    np.testing.assert_allclose(result.estimates["boot_se"], se, rtol=0.12)  # of 300 draws: 4 %
    np.testing.assert_allclose(result.defined["boot_se"], fit.defined["se"], rtol=0.12)


@pytest.mark.slow
def test_coverage_of_the_intervals():
    model, hits = sem.read_model(MEDIATION), []
    for seed in range(200):
        fit = sem.fit(model, mediation(100, seed))
        table = sem.bootstrap(fit, draws=300, n_jobs=1).defined
        hits.append([table[f"{e}_low"][0] < 0.12 < table[f"{e}_high"][0] for e in ("ci", "bca")])
    coverage = np.mean(hits, axis=0)
    assert (np.abs(coverage - 0.95) < 0.047).all()  # three simulation errors


# ---- effects along the paths of a model ----------------------------------------------------------


def test_specific_indirect_effects_of_the_gebruiksmodel():
    text = sem.read_model("gebruiksmodel", REFERENCE / "models").text
    text += (
        "\nroute := h1*h6*h11*h12\nshort := h1*h6*h13\nall := h1*h6*(h11*h12+h13)+h7*(h13+h11*h12)"
    )
    fit = sem.fit(sem.read_model(text), read("data_wave2012.csv"), estimator="MLR")
    table = sem.indirect_effects(fit, outcome="reputation", predictor="culture")
    assert list(table["effect"]) == ["specific indirect"] * 4 + ["total indirect", "total"]
    arrows = table.set_index("path")
    by_name = fit.defined.set_index("name")
    columns = ["estimate", "se", "z", "p", "ci_low", "ci_high", "std_all", "std_se"]
    for name, row in (
        ("route", arrows.loc["culture -> motivation -> use -> perception -> reputation"]),
        ("short", arrows.loc["culture -> motivation -> use -> reputation"]),
        ("all", table.iloc[-1]),
        ("all", table.iloc[-2]),  # no arrow from culture to reputation
    ):
        expected = by_name.loc[name, columns].astype(float)
        np.testing.assert_allclose(row[columns].astype(float), expected, rtol=1e-8)
    several = sem.indirect_effects(fit)
    assert {*several["predictor"]} == {"culture", "environment", "motivation", "use"} | {
        "size",
        "b2c",
        "east",
    }
    assert len(sem.indirect_effects(fit, predictor="size")) < len(several)


def test_effects_of_groups():
    data = read("data_hs.csv")
    fit = sem.fit(sem.read_model(PATHS), data, group="school", labels="by_group")
    table = sem.indirect_effects(fit).query("effect == 'specific indirect'")
    expected = fit.defined.set_index("name").loc[["ind_g1", "ind_g2"]]
    assert list(table["group"]) == list(fit.groups)
    for column in ("estimate", "se", "std_all", "std_se"):
        np.testing.assert_allclose(table[column], expected[column], rtol=1e-8)


def test_feedback():
    data = mediation(500, 3).assign(z=np.random.default_rng(4).standard_normal(500))
    model = sem.read_model("m ~ x + 0.5*y\ny ~ z + 0.4*m\nm ~~ y")
    table = sem.indirect_effects(sem.fit(model, data), "y", "x").set_index("effect")
    once = table.loc["specific indirect", "estimate"]
    assert table.loc["total", "estimate"] == pytest.approx(once / (1 - 0.5 * 0.4))
    endless = sem.fit(sem.read_model("m ~ x + 1.5*y\ny ~ z + 1.2*m\nm ~~ y"), data)
    with pytest.raises(ValueError, match="does not die out"):
        sem.indirect_effects(endless)


def test_a_path_fixed_at_zero_is_no_path():
    fit = sem.fit(sem.read_model("m ~ x\ny ~ 0*m + x"), mediation(200, 5))
    with pytest.raises(ValueError, match="no indirect effect of any variable on any other"):
        sem.indirect_effects(fit)


# ---- what is refused -----------------------------------------------------------------------------


def test_refusals(paths, boot):
    def refused(message, function, *args, **options):
        with pytest.raises(ValueError, match=message):
            function(*args, **options)

    plain = sem.fit(sem.read_model("f =~ x1 + x2 + x3 + x4"), read("data_hs.csv"))
    refused("defines no effect.*indirect := a\\*b", sem.monte_carlo, plain)
    refused("defines no effect", sem.effects_table, plain)
    assert sem.bootstrap(plain, draws=40, n_jobs=1, interval="percentile").defined.empty
    refused("no indirect effect of any variable on any other", sem.indirect_effects, plain)
    refused(
        "no indirect effect of textual on speed", sem.indirect_effects, paths, "speed", "textual"
    )
    refused("outcome='sped'.*mean 'speed'", sem.indirect_effects, paths, "sped")
    for function in (sem.monte_carlo, sem.bootstrap):
        refused("draws=38: an interval at 95% needs at least 39", function, paths, draws=38)
        refused("draws=50.0", function, paths, draws=50.0)
        refused("confidence=95 must lie", function, paths, confidence=95)
        refused("seed=None must be a whole number", function, paths, seed=None)
        refused("seed=-1", function, paths, seed=-1)
    refused(
        "interval='normal' does not exist; there is: both", sem.bootstrap, paths, interval="normal"
    )
    other = sem.fit(sem.read_model(PATHS), read("data_hs.csv").head(200))
    refused("boot= is of another fit", sem.effects_table, other, boot)
    refused("mc= is of another fit", sem.effects_table, paths, None, sem.monte_carlo(other, 100))
    mc = sem.monte_carlo(paths, 100, confidence=0.9)
    refused("different confidence: .0.9, 0.95", sem.effects_table, paths, boot, mc)


def test_a_fit_without_standard_errors_is_refused():
    rows = np.random.default_rng(3).standard_normal((500, 4))
    white = np.linalg.qr(rows - rows.mean(axis=0))[0] * np.sqrt(500)
    cov = np.eye(4)
    cov[0, 1] = cov[1, 0] = cov[2, 3] = cov[3, 2] = 0.5
    data = pd.DataFrame(white @ np.linalg.cholesky(cov).T, columns=list("abcd"))
    fit = sem.fit(sem.read_model("f =~ a + b\ng =~ k*c + l*d\nf ~~ g\ne := 2*l"), data)
    for function in (sem.monte_carlo, sem.bootstrap):
        with pytest.raises(ValueError, match="no solution"):
            function(fit)


# ---- p-values of the bootstrap -------------------------------------------------------------------


def test_p_values_are_those_of_inverted_intervals():
    """Found by halving in R (bootstrap_p.R), by formula here."""
    for case in json.loads((REFERENCE / "bootstrap_p.json").read_text()):
        draws, estimate, skew = np.array(case["draws"]), case["estimate"], case["acceleration"]
        shift = bootstrapping.shift_of(draws, estimate)
        np.testing.assert_allclose(bootstrapping.p_value(draws), case["p"], rtol=1e-8)
        np.testing.assert_allclose(
            bootstrapping.p_value(draws, shift, skew), case["bca_p"], rtol=1e-8
        )


def test_p_is_small_where_the_interval_leaves_out_zero():
    random = np.random.default_rng(8)
    told = set()
    for _ in range(300):
        size = int(random.integers(60, 400))
        draws = np.sort(random.normal(random.normal(0, 2), 1, size) + random.exponential(1, size))
        if random.random() < 0.3:
            draws = np.sort(np.round(draws))  # ties, at 0 too
        estimate, skew = draws.mean(), random.normal(0, 0.05)
        for level in (0.9, 0.95):
            levels, shift = bootstrapping.levels_of(level), bootstrapping.shift_of(draws, estimate)
            ends = {
                bootstrapping.p_value(draws): bootstrapping.quantiles(draws, levels),
                bootstrapping.p_value(draws, shift, skew): bootstrapping.quantiles(
                    draws, bootstrapping.bca_levels(draws, estimate, skew, levels)
                ),
            }
            for p, (low, high) in ends.items():
                outside = bool(low > 0 or high < 0)
                told.add(outside)
                assert (p < 1 - level) == outside
    assert told == {True, False}


def test_p_values_in_the_tables(paths, boot):
    for table, low, high in (
        (boot.estimates, "ci_low", "ci_high"),
        (boot.defined, "bca_low", "bca_high"),
    ):
        p = table["p" if low == "ci_low" else "bca_p"]
        outside = (table[low] > 0) | (table[high] < 0)
        assert ((p < 1 - boot.confidence) == outside)[p.notna()].all() and p.notna().any()
    table = sem.effects_table(paths, boot)
    assert table["percentile_p"].equals(boot.defined["p"])
    assert table["std_bca_p"].equals(boot.defined["std_bca_p"])
