"""Factors and parallel analysis: against factanal, lavaan and psych (measurement_scales.R)."""

import warnings
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semfit import reliability as r
from semfit.reliability.factor import _in_order

REFERENCE = Path(__file__).parent / "reference"
# Where the searches of R end: factanal's, and lavaan's rotation. Loadings, then everything else.
TOLERANCE = {"none": 1e-7, "varimax": 1e-7, "oblimin": 2e-6}
CASES = [("hs", 3), ("hs", 2), ("hs", 1), ("bfi", 2), ("heywood", 1)]
X = [f"x{i}" for i in range(1, 10)]


def read(name):
    return pd.read_csv(REFERENCE / f"measurement_{name}.csv")


@pytest.fixture(scope="module")
def data():
    hs = pd.read_csv(REFERENCE / "sem_hs.csv")
    bfi = pd.read_csv(REFERENCE / "reliability_bfi.csv").astype(float)
    pasteur = hs[hs["school"] == "Pasteur"]
    bfi = bfi[[f"A{i}" for i in range(2, 6)] + [f"N{i}" for i in range(1, 6)]]
    return {"hs": hs[X], "bfi": bfi, "heywood": pasteur[["x4", "x5", "x7", "x8"]]}


@pytest.fixture
def items():
    """Two factors that correlate .5, three items of each; 400 respondents."""
    rng = np.random.default_rng(5)
    factors = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 400)
    answers = factors[:, [0, 0, 0, 1, 1, 1]] * 0.8 + 0.6 * rng.normal(size=(400, 6))
    return pd.DataFrame(answers, columns=list("abcdef"))


def loadings(result):
    """Items x factors."""
    return result.loadings.pivot(index="item", columns="factor", values="loading")


# --- against R -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Heywood case")
@pytest.mark.parametrize("rotation", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_factors_equal_r(data, case, rotation):
    name, k = case
    result = r.exploratory_factors(data[name], k, None if rotation == "none" else rotation)
    chosen = f"data == '{name}' and n_factors == {k} and rotation == '{rotation}'"
    same = {"check_dtype": False, "rtol": 0, "atol": TOLERANCE[rotation]}
    for table in ("loadings", "variance", "correlations"):
        if table == "correlations" and k == 1:
            assert result.correlations.empty
            continue
        reference = read(f"efa_{table}").query(chosen).iloc[:, 3:].reset_index(drop=True)
        pd.testing.assert_frame_equal(getattr(result, table), reference, **same)
    reference = read("efa_fit").query(chosen).iloc[0]
    assert (result.n_used, result.df) == (reference["n_used"], reference["df"])
    for name in ("chi_square", "p"):
        assert getattr(result, name) == pytest.approx(reference[name], rel=1e-9)


@pytest.mark.filterwarnings("ignore:Heywood case")
@pytest.mark.parametrize("case", CASES)
def test_omega_of_several_factors_equals_r(data, case):
    name, k = case
    reference = read("efa_fit").query(f"data == '{name}' and n_factors == {k}").iloc[0]
    omega = r.omega_total(data[name], k)
    assert omega.omega_implied == pytest.approx(reference["omega_implied"], abs=1e-8)
    assert omega.omega_observed == pytest.approx(reference["omega_observed"], abs=1e-8)
    assert np.isnan(omega.ci_low) == (k > 1 or name == "heywood")


@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("name", ["hs", "bfi"])
def test_parallel_analysis_equals_psych(data, name, reduced):
    """Eigenvalues exactly; random ones as far as two sets of 4000 draws can agree."""
    reference = read("parallel").query("data == @name and reduced == @reduced")
    reference = reference.reset_index(drop=True)
    result = r.parallel_analysis(data[name], seed=1, draws=4000, reduced=reduced)
    table = result.table
    assert table["component"].tolist() == reference["component"].tolist()
    assert np.allclose(table["eigenvalue"], reference["eigenvalue"], rtol=0, atol=1e-12)
    se = reference["mean_se"] * np.sqrt(2)  # of the difference of two means
    assert ((table["mean"] - reference["mean"]).abs() < 4 * se).all()
    # the standard error of a 95 % quantile of normal draws is 2.11 times that of their mean
    assert ((table["quantile"] - reference["q95"]).abs() < 4 * 2.11 * se).all()
    median = r.parallel_analysis(data[name], seed=1, draws=4000, reduced=reduced, quantile=0.5)
    assert ((median.table["quantile"] - reference["q50"]).abs() < 4 * 1.25 * se).all()
    assert result.n_retained == reference["n_retained"][0] == table["retained"].sum()


# --- properties ----------------------------------------------------------------------------------


def test_planted_factors_are_recovered(items):
    result = r.exploratory_factors(items, 2)
    found = loadings(result).to_numpy()
    own = np.abs(found).argmax(axis=1)
    assert own.tolist() in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])
    assert np.abs(found[np.arange(6), own] - 0.8).max() < 0.1
    assert np.abs(found[np.arange(6), 1 - own]).max() < 0.1
    assert result.correlations["correlation"][0] == pytest.approx(0.5, abs=0.12)
    assert result.p > 0.01


def test_the_chi_square_rejects_as_often_as_it_says():
    rng = np.random.default_rng(11)
    p = []
    for _ in range(200):
        answers = rng.normal(size=(150, 1)) + rng.normal(size=(150, 6))
        p.append(r.exploratory_factors(pd.DataFrame(answers, columns=list("abcdef")), 1).p)
    assert 0.004 < (np.array(p) < 0.05).mean() < 0.097  # three standard errors around .05
    assert 0.39 < (np.array(p) < 0.5).mean() < 0.61


@pytest.mark.parametrize("rotation", ["oblimin", "varimax", None])
def test_loadings_and_correlations_belong_together(data, rotation):
    """Whatever the rotation and order: L Phi L' + U is the same matrix, and U fills the diagonal."""
    result = r.exploratory_factors(data["hs"], 3, rotation)
    pattern = loadings(result).loc[X].to_numpy()
    phi = np.eye(3)
    phi[np.triu_indices(3, 1)] = result.correlations["correlation"]
    phi += np.triu(phi, 1).T
    common = pattern @ phi @ pattern.T
    unrotated = loadings(r.exploratory_factors(data["hs"], 3, None)).loc[X].to_numpy()
    assert np.allclose(common, unrotated @ unrotated.T, atol=1e-8)
    items = result.loadings.drop_duplicates("item").set_index("item")
    assert np.allclose(np.diag(common), items["communality"], atol=1e-6)
    assert np.allclose(items["communality"] + items["uniqueness"], 1)
    explained = result.variance["ss_loadings"]
    assert explained.is_monotonic_decreasing
    assert explained.sum() == pytest.approx(items["communality"].sum(), abs=1e-5)
    assert (pattern.sum(axis=0) > 0).all()
    assert (result.correlations["correlation"] == 0).all() == (rotation != "oblimin")


def test_order_of_rows_and_items_and_units_change_nothing(items):
    before = r.exploratory_factors(items, 2)
    shuffled = items.sample(frac=1, random_state=1)[list("fbdace")] * [3, 1, 10, 1, 0.1, 1] + 5
    after = r.exploratory_factors(shuffled, 2)
    assert np.allclose(loadings(before), loadings(after), atol=1e-5)
    assert before.correlations["correlation"][0] == pytest.approx(
        after.correlations["correlation"][0], abs=1e-5
    )
    assert before.chi_square == pytest.approx(after.chi_square)


def test_the_same_call_gives_the_same_numbers(items):
    first, second = (r.exploratory_factors(items, 2).loadings for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    tables = [r.parallel_analysis(items, seed=seed, draws=50).table for seed in (3, 3, 4)]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    assert not tables[0]["mean"].equals(tables[2]["mean"])


def test_one_factor_is_not_rotated_and_three_items_have_no_test(items):
    result = r.exploratory_factors(items[list("abc")], 1)
    assert result.rotation is None and result.df == 0 and np.isnan(result.p)
    assert result.chi_square == pytest.approx(0, abs=1e-8)
    # three items: each loading follows from the correlations
    ab, ac, bc = items[list("abc")].corr().to_numpy()[[0, 0, 1], [1, 2, 2]]
    expected = np.sqrt([ab * ac / bc, ab * bc / ac, ac * bc / ab])
    assert np.allclose(loadings(result)["F1"], expected, atol=1e-7)


def test_complete_rows_are_used_and_counted(items):
    holes = items.copy()
    holes.iloc[:3] = np.nan
    holes.iloc[3:8, 0] = np.nan
    complete = items.iloc[8:]
    result = r.exploratory_factors(holes, 2)
    assert (result.n_used, result.n_dropped, result.n_empty) == (392, 5, 3)
    pd.testing.assert_frame_equal(result.loadings, r.exploratory_factors(complete, 2).loadings)
    parallel = r.parallel_analysis(holes, seed=1, draws=50)
    assert (parallel.n_used, parallel.n_dropped, parallel.n_empty) == (392, 5, 3)
    assert parallel.table.equals(r.parallel_analysis(complete, seed=1, draws=50).table)
    with pytest.raises(FrozenInstanceError):
        parallel.draws = 1


def test_parallel_analysis_finds_the_planted_number_and_none_in_noise(items):
    assert r.parallel_analysis(items, seed=1).n_retained == 2
    noise = pd.DataFrame(np.random.default_rng(2).normal(size=(200, 8)), columns=list("abcdefgh"))
    result = r.parallel_analysis(noise, seed=1)
    assert result.n_retained == 0 and not result.table["retained"].any()
    assert result.table["eigenvalue"].sum() == pytest.approx(8)
    assert result.table["mean"].sum() == pytest.approx(8)
    assert (result.table["mean"] < result.table["quantile"]).all()


def test_a_thousand_draws_unless_told_otherwise(items):
    few = items[list("abc")]
    default = r.parallel_analysis(few, seed=1)
    tables = {n: r.parallel_analysis(few, seed=1, draws=n).table for n in (999, 1000, 1001)}
    assert default.draws == 1000
    pd.testing.assert_frame_equal(default.table, tables[1000], check_exact=True)
    assert not default.table["mean"].equals(tables[999]["mean"])
    assert not default.table["mean"].equals(tables[1001]["mean"])


def test_random_eigenvalues_are_those_of_normal_samples():
    """The shortcut by a Wishart matrix against samples of respondents, drawn as they are."""
    rng = np.random.default_rng(6)
    samples = [np.corrcoef(rng.normal(size=(40, 5)), rowvar=False) for _ in range(4000)]
    drawn = np.linalg.eigvalsh(samples)[:, ::-1]
    items = pd.DataFrame(rng.normal(size=(40, 5)), columns=list("abcde"))
    table = r.parallel_analysis(items, seed=1, draws=4000).table
    se = drawn.std(axis=0) / np.sqrt(4000) * np.sqrt(2)
    assert (np.abs(table["mean"] - drawn.mean(axis=0)) < 4 * se).all()
    assert (np.abs(table["quantile"] - np.quantile(drawn, 0.95, axis=0)) < 4 * 2.11 * se).all()


def test_what_follows_a_gap_is_not_retained():
    """Items without any correlation: every eigenvalue is 1, the last ones above chance."""
    raw = np.random.default_rng(3).normal(size=(50, 5))
    raw -= raw.mean(axis=0)
    items = pd.DataFrame(np.linalg.qr(raw)[0], columns=list("abcde"))
    table = r.parallel_analysis(items, seed=1).table
    above = table["eigenvalue"] > table["quantile"]
    assert not above[0] and above[4]
    assert not table["retained"].any()


def test_correlations_follow_the_order_of_the_factors():
    pattern = np.array([[0.1, 0.9, 0], [0.3, 0, 0], [0, 0, -0.6], [0, 0.8, -0.5]])
    phi = np.array([[1, 0.1, 0.2], [0.1, 1, 0.3], [0.2, 0.3, 1]])
    ordered, correlations = _in_order(pattern, phi)
    assert ordered[:, 0].tolist() == [0.9, 0, 0, 0.8] and ordered[2, 1] == 0.6
    assert correlations[np.triu_indices(3, 1)].tolist() == [-0.3, 0.1, -0.2]
    assert np.allclose(ordered @ correlations @ ordered.T, pattern @ phi @ pattern.T)


# --- refusals and warnings -----------------------------------------------------------------------


def test_a_heywood_case_is_named(data):
    with pytest.warns(UserWarning, match="uniqueness of 'x4' is at its lower bound") as caught:
        result = r.exploratory_factors(data["heywood"], 1)
    assert len(caught) == 1 and result.heywood == ("x4",)
    assert result.loadings.set_index("item").at["x4", "uniqueness"] == pytest.approx(0.005)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert r.exploratory_factors(data["hs"], 3).heywood == ()


@pytest.mark.parametrize(
    ("n_factors", "rotation", "reason"),
    [
        (0, "oblimin", "n_factors is 0; 6 items allow 1 to 3"),
        (4, "oblimin", "n_factors is 4; 6 items allow 1 to 3"),
        (1.5, "oblimin", "n_factors is 1.5"),
        (2, "promax", "rotation is 'promax'; use one of oblimin, varimax, None"),
    ],
)
def test_models_that_cannot_be_are_refused(items, n_factors, rotation, reason):
    with pytest.raises(ValueError, match=reason):
        r.exploratory_factors(items, n_factors, rotation)


@pytest.mark.parametrize(
    "call", [lambda x: r.exploratory_factors(x, 1), lambda x: r.parallel_analysis(x, seed=1)]
)
@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda x: x.assign(c=x["a"] + x["b"]), "^a, b, c determine one another"),
        (lambda x: x.head(6), "6 respondents answered every one of a, b.*more respondents"),
        (lambda x: x[["a"]], "at least 2 items; given: a"),
        (lambda x: x.assign(b=3.0), "'b' has no variance: all 400"),
        (lambda x: x.assign(b="yes"), "'b' is not numeric"),
    ],
)
def test_items_without_factors_are_named(items, call, break_it, reason):
    with pytest.raises(ValueError, match=reason):
        call(break_it(items))


def test_two_items_have_no_factor(items):
    with pytest.raises(ValueError, match="2 items allow no factor: give at least 3"):
        r.exploratory_factors(items[["a", "b"]], 1)


@pytest.mark.parametrize("option", [{"draws": 5}, {"quantile": 0}, {"quantile": 95}])
def test_parallel_analysis_refuses_options_out_of_range(items, option):
    with pytest.raises(ValueError, match="use 20 draws or more, and 0 to 1"):
        r.parallel_analysis(items, seed=1, **option)
