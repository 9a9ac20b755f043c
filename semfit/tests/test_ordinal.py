"""semfit.moments.ordinal and polychoric: lavaan 0.6-14's numbers (tests/reference/ordinal.R), what must
not matter, what is refused."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

from semfit.moments import binormal, margins, ordinal
from semfit.moments.ordinal import ordinal_moments
from semfit.moments.polychoric import _tables, polychoric, table_pairs, without_single_zero

REFERENCE = Path(__file__).parent / "reference"
CASES = "ordinal mixed one_covariate two_covariates three_covariates sparse".split()


def read_case(name):
    """A reference case, and its data as a frame."""
    case = json.loads((REFERENCE / f"ordinal_{name}.json").read_text())
    return case, pd.DataFrame(case["data"]).astype(float)


def moments_of(name, **changes):
    case, frame = read_case(name)
    return ordinal_moments(frame.assign(**changes), case["ordered"], case["covariates"])


def symmetric(lower):
    """A matrix from its lower triangle, column by column."""
    size = int(np.sqrt(2 * len(lower)))
    matrix = np.zeros((size, size))
    matrix[np.triu_indices(size)] = lower
    return matrix + np.triu(matrix, 1).T


def same(a, b, atol=1e-7):
    assert a.table[["kind", "lhs", "rhs"]].equals(b.table[["kind", "lhs", "rhs"]])
    np.testing.assert_allclose(a.values, b.values, atol=atol)
    np.testing.assert_allclose(a.gamma, b.gamma, atol=atol * a.gamma.max())


def simulate(n, seed, rho=0.6):
    """Two latent variables that correlate rho, and a covariate that moves both."""
    draws = np.random.default_rng(seed)
    covariate = draws.integers(0, 2, n)
    latent = draws.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n) + 0.5 * covariate[:, None]
    frame = pd.DataFrame(latent, columns=["a", "b"]).assign(x=covariate)
    return frame.apply(lambda column: column.astype(float))


def cut(column, cuts=(-1.0, 0.2, 1.1)):
    return np.digitize(column, cuts).astype(float)


# ---- lavaan's numbers ----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=CASES)
def compared(request):
    return read_case(request.param)[0], moments_of(request.param)


def test_rows_and_their_order_are_lavaans(compared):
    case, moments = compared
    sign = {"threshold": "|", "slope": "~", "variance": "~~", "covariance": "~~"}
    ours = [
        f"{row.lhs}~1" if row.kind == "intercept" else row.lhs + sign[row.kind] + row.rhs
        for row in moments.table.itertuples()
    ]
    assert ours == case["moments"]
    assert moments.n == case["n"]
    assert list(moments.names) == case["y"]


def test_statistics_are_lavaans(compared):
    case, moments = compared
    expected = pd.Series(case["values"])
    unit = moments.table["lhs"].map(scale_of(moments)) * np.where(
        moments.table["kind"].isin(["variance", "covariance"]),
        moments.table["rhs"].map(scale_of(moments)),
        1,
    )
    np.testing.assert_allclose(moments.values / unit, expected / unit, atol=1e-6, rtol=0)
    np.testing.assert_array_equal(moments.table["value"], moments.values)


def scale_of(moments):
    """Residual standard deviation of each variable."""
    variances = moments.table[moments.table["kind"] == "variance"]
    return {name: 1.0 for name in moments.names} | dict(
        zip(variances["lhs"], np.sqrt(variances["value"]), strict=True)
    )


def test_asymptotic_covariances_are_lavaans(compared):
    case, moments = compared
    expected = symmetric(case["gamma"])
    spread = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(moments.gamma / spread, expected / spread, atol=1e-6, rtol=0)


def test_cases_cover_both_layouts():
    """With one 0/1 covariate rows are cells of tables, with more they are respondents."""
    _, binary = read_case("one_covariate")
    _, numeric = read_case("three_covariates")
    assert len(binary["female"].unique()) * 5**2 < len(binary)
    assert len(numeric[["age", "female", "months"]].drop_duplicates()) * 5**2 > len(numeric)


def test_correlations_over_pairs_that_are_known_are_lavaans():
    case, frame = read_case("missing")
    matrix = polychoric(frame)
    ours = [matrix.loc[a, b] for a, b in zip(case["first"], case["second"], strict=True)]
    np.testing.assert_allclose(ours, case["correlation"], atol=1e-6)
    assert matrix.index.tolist() == matrix.columns.tolist() == case["y"]
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_array_equal(np.diag(matrix), 1)


@pytest.mark.parametrize("name", ["ordinal", "sparse"])
def test_both_functions_give_the_same_correlations(name):
    _, frame = read_case(name)
    pd.testing.assert_frame_equal(moments_of(name).polychoric, polychoric(frame), atol=1e-9)


# ---- the normal distribution and the likelihoods -------------------------------------------------


@pytest.mark.parametrize("rho", [-0.999, -0.7, 0.0, 0.95, 0.9999])
def test_bivariate_normal_distribution_against_scipy(rho):
    grid = np.array([-3.2, -1.0, 0.0, 0.4, 2.5])
    h, k = (points.ravel() for points in np.meshgrid(grid, grid))
    expected = [
        integrate.quad(
            lambda x, b=b: stats.norm.pdf(x) * stats.norm.cdf((b - rho * x) / np.sqrt(1 - rho**2)),
            -12,
            a,
            points=[p for p in (b / rho if rho else 0.0, 0.0) if -12 < p < a] or None,
            epsabs=1e-14,
            limit=300,
        )[0]
        for a, b in zip(h, k, strict=True)
    ]
    np.testing.assert_allclose(binormal.bivariate_normal_cdf(h, k, rho), expected, atol=2e-13)
    coarse = [stats.multivariate_normal.cdf([0.4, -1.0], cov=[[1, rho], [rho, 1]])]
    np.testing.assert_allclose(binormal.bivariate_normal_cdf(0.4, -1.0, rho), coarse[0], atol=1e-7)


def test_bivariate_normal_distribution_in_closed_form_and_at_infinity():
    for rho in (-0.999, 0.0, 0.5, 0.999):
        quarter = 0.25 + np.arcsin(rho) / (2 * np.pi)
        assert binormal.bivariate_normal_cdf(0.0, 0.0, rho) == pytest.approx(quarter, abs=1e-15)
        ends = binormal.bivariate_normal_cdf([40.0, 40, 0.3, -40, 0.3], [0.7, 40, -40, 2, 99], rho)
        expected = [stats.norm.cdf(0.7), 1, 0, 0, stats.norm.cdf(0.3)]
        np.testing.assert_allclose(ends, expected, atol=1e-15)


def test_intervals_far_out_have_a_probability():
    far = binormal.interval_probability(np.array([9.0, -9.5]), np.array([9.5, -9.0]))
    np.testing.assert_allclose(far, stats.norm.sf(9) - stats.norm.sf(9.5), rtol=1e-12)


def test_density_and_bend_are_derivatives():
    h, k, rho, step = 0.7, -0.4, 0.55, 1e-5
    for function, derivative in (
        (binormal.bivariate_normal_cdf, binormal.bivariate_normal_density),
        (binormal.bivariate_normal_density, binormal.bivariate_normal_bend),
    ):
        slope = (function(h, k, rho + step) - function(h, k, rho - step)) / (2 * step)
        assert derivative(h, k, rho) == pytest.approx(slope, abs=1e-9)


def ordered_pairs(shift1=(0, 0), shift2=(0, 0)):
    """Four rectangles, one of them far out; (upper, lower) limits can be shifted."""
    lower1, upper1 = np.array([[-0.5, -40, 0.1, 2.5]]), np.array([[0.6, 0.3, 40, 40]])
    lower2, upper2 = np.array([[0.2, -0.1, -40, -40]]), np.array([[1.4, 0.9, 1.0, -2.0]])
    own, other = (lower1 + shift1[1], upper1 + shift1[0]), (lower2 + shift2[1], upper2 + shift2[0])
    return binormal.OrderedPairs(*own, *other, np.array([[3, 1, 4, 1]]))


def mixed_pairs(mean=0.0, variance=4.0, shift=(0, 0)):
    y, sd = np.array([[0.8, -1.0, 5.0, -3.0]]), np.sqrt([[variance]])
    lower, upper = np.array([[-0.5, -40, 0.1, 0.3]]), np.array([[0.6, 0.3, 40, 0.9]])
    return binormal.MixedPairs((y - mean) / sd, sd, lower + shift[1], upper + shift[0])


def numeric_pairs(mean=0.0, variance=4.0, mean2=0.0, variance2=1.0):
    y, y2 = np.array([[0.8, -1.0, 5.0, -3.0]]), np.array([[0.4, 0.3, 1.0, -2.0]])
    sd, sd2 = np.sqrt([[variance]]), np.sqrt([[variance2]])
    return binormal.NumericPairs((y - mean) / sd, sd, (y2 - mean2) / sd2, sd2)


def log_likelihood(pairs, rho):
    """Of each row, from the distributions themselves."""
    if isinstance(pairs, binormal.OrderedPairs):
        mass = [
            sign * binormal.bivariate_normal_cdf(h, k, rho)
            for h, k, sign in (
                (pairs.upper1, pairs.upper2, 1),
                (pairs.lower1, pairs.upper2, -1),
                (pairs.upper1, pairs.lower2, -1),
                (pairs.lower1, pairs.lower2, 1),
            )
        ]
        return np.log(sum(mass))
    if isinstance(pairs, binormal.MixedPairs):
        given = stats.norm(rho * pairs.z, np.sqrt(1 - rho**2))
        mass = given.cdf(pairs.upper) - given.cdf(pairs.lower)
        return stats.norm.logpdf(pairs.z) - np.log(pairs.sd) + np.log(mass)
    both = np.stack([pairs.z1[0], pairs.z2[0]], axis=1)
    density = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).logpdf(both)
    return density - np.log(pairs.sd1 * pairs.sd2)


@pytest.mark.parametrize(
    ("make", "quantities"),
    [
        (
            ordered_pairs,
            [{"shift1": (1, 0)}, {"shift1": (0, 1)}, {"shift2": (1, 0)}, {"shift2": (0, 1)}],
        ),
        (mixed_pairs, [{"mean": 1}, {"variance": 1}, {"shift": (1, 0)}, {"shift": (0, 1)}]),
        (numeric_pairs, [{"mean": 1}, {"variance": 1}, {"mean2": 1}, {"variance2": 1}]),
    ],
)
def test_scores_are_derivatives_of_the_log_likelihood(make, quantities):
    rho, step = 0.3, 1e-5
    own, first, second = make().scores(np.array([rho]))
    slope = (log_likelihood(make(), rho + step) - log_likelihood(make(), rho - step)) / (2 * step)
    np.testing.assert_allclose(own, slope, rtol=1e-4, atol=1e-6)
    start = {"variance": 4.0, "variance2": 1.0}
    for score, quantity in zip((*first, *second), quantities, strict=True):
        ((name, unit),) = quantity.items()
        ends = [
            log_likelihood(make(**{name: start.get(name, 0.0) + sign * step * np.array(unit)}), rho)
            for sign in (1, -1)
        ]
        np.testing.assert_allclose(score, (ends[0] - ends[1]) / (2 * step), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [ordered_pairs, mixed_pairs])
def test_second_derivatives(make):
    rho, step = np.array([0.3]), 1e-6
    slopes = [make().derivatives(rho + sign * step)[0] for sign in (1, -1)]
    slope, bend = make().derivatives(rho)
    np.testing.assert_allclose(bend, (slopes[0] - slopes[1]) / (2 * step), rtol=1e-6)
    weights = getattr(make(), "weights", 1)
    np.testing.assert_allclose(slope, (weights * make().scores(rho)[0]).sum(axis=1), rtol=1e-12)


def test_the_likelihood_is_at_its_maximum():
    """A table's correlation against a search without derivatives (Olsson 1979, equation 3)."""
    _, frame = read_case("ordinal")
    table = pd.crosstab(frame["x1"], frame["x4"]).to_numpy()
    below = [np.cumsum(table.sum(axis=axis))[:-1] / table.sum() for axis in (1, 0)]
    rows, columns = (np.concatenate([[-40], stats.norm.ppf(share), [40]]) for share in below)

    def misfit(rho):
        cdf = binormal.bivariate_normal_cdf(rows[:, None], columns[None, :], rho)
        return -(table * np.log(np.diff(np.diff(cdf, axis=0), axis=1))).sum()

    found = optimize.minimize_scalar(misfit, bounds=(-0.99, 0.99), options={"xatol": 1e-9}).x
    assert polychoric(frame).loc["x1", "x4"] == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("start", [-0.9, 0.0, 0.9])
def test_the_search_finds_the_maximum_from_anywhere(start):
    _, frame = read_case("sparse")
    tables = _tables(frame.astype(int).T.to_numpy())
    found = table_pairs(tables).estimate(np.full(len(tables), start))
    rows, columns = np.triu_indices(6, 1)
    np.testing.assert_allclose(found, polychoric(frame).to_numpy()[rows, columns], atol=1e-8)


def test_the_search_stays_inside_its_bracket():
    """Newton's method runs away from an arctangent, further with each step."""

    def derivatives(rho):
        assert (np.abs(rho) <= binormal.LIMIT).all()
        return -np.arctan(20 * (rho - 0.3)), -20 / (1 + (20 * (rho - 0.3)) ** 2)

    np.testing.assert_allclose(binormal.maximise(derivatives, [-0.9, 0.9]), 0.3, atol=1e-9)


@pytest.mark.parametrize("start", [[-4.0, 3, 4, 0], [-0.1, 0, 0.1, 3], [2.0, 2.1, 2.2, -2]])
def test_the_probit_search_finds_the_maximum_from_anywhere(start):
    codes, x = np.arange(60) % 4, np.random.default_rng(0).normal(size=(60, 1)) + 1
    designs = [
        np.hstack([(codes[:, None] - below == range(3)).astype(float), -x]) for below in (0, 1)
    ]
    found = margins._Probit(codes, tuple(designs), np.ones(60)).maximise(np.array(start))
    frame = pd.DataFrame({"a": codes.astype(float), "x": x[:, 0]})
    np.testing.assert_allclose(found, ordinal_moments(frame, ["a"], ["x"]).values, atol=1e-8)


def test_the_search_says_when_it_does_not_end():
    with pytest.raises(ValueError, match="did not converge within 100 steps"):
        binormal.maximise(lambda rho: (np.ones(1), np.full(1, -1e6)), np.zeros(1))


def test_single_empty_cell_of_a_two_by_two_table():
    np.testing.assert_array_equal(
        without_single_zero(np.array([[0.0, 4], [3, 5]])), [[0.5, 3.5], [2.5, 5.5]]
    )
    np.testing.assert_array_equal(
        without_single_zero(np.array([[6.0, 0], [3, 5]])), [[5.5, 0.5], [3.5, 4.5]]
    )
    for kept in ([[0.0, 4], [3, 0]], [[1.0, 4], [3, 2]], [[0.0, 4, 1], [3, 5, 2]]):
        np.testing.assert_array_equal(without_single_zero(np.array(kept)), kept)
    unused = np.array([[0.0, 4, 0], [3, 5, 0], [0, 0, 0]])
    assert without_single_zero(unused)[0, 0] == 0.5


# ---- what must not matter ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mixed", "two_covariates"])
def test_order_of_rows(name):
    case, frame = read_case(name)
    turned = frame.sample(frac=1, random_state=1)
    same(ordinal_moments(turned, case["ordered"], case["covariates"]), moments_of(name))


def test_values_of_categories():
    _, frame = read_case("ordinal")
    moments = ordinal_moments(np.exp(frame), list(frame))
    same(moments, moments_of("ordinal"), atol=1e-12)
    assert moments.levels["x5"] == (np.exp(1), np.exp(2))


def test_two_variables_that_change_places():
    case, frame = read_case("two_covariates")
    names = [*case["y"], *case["covariates"]]
    swapped = [{"x2": "x8", "x8": "x2"}.get(name, name) for name in names]
    a, b = (
        moments_of("two_covariates"),
        ordinal_moments(frame[swapped], case["ordered"], case["covariates"]),
    )
    keys = [[(r.kind, {r.lhs, r.rhs}) for r in moments.table.itertuples()] for moments in (a, b)]
    where = [keys[1].index(key) for key in keys[0]]
    np.testing.assert_allclose(b.values[where], a.values, rtol=1e-7, atol=1e-7)
    spread = np.sqrt(np.outer(np.diag(a.gamma), np.diag(a.gamma)))
    np.testing.assert_allclose(b.gamma[np.ix_(where, where)] / spread, a.gamma / spread, atol=1e-7)


@pytest.mark.parametrize("name", ["mixed", "two_covariates"])
def test_everybody_twice(name):
    case, frame = read_case(name)
    twice = ordinal_moments(pd.concat([frame, frame]), case["ordered"], case["covariates"])
    same(twice, moments_of(name))
    assert twice.n == 2 * case["n"]


def test_reversing_a_variable_reverses_its_correlations():
    moments, reversed_ = (
        moments_of("mixed"),
        moments_of("mixed", x1=6 - read_case("mixed")[1]["x1"]),
    )
    sign = np.where(np.arange(9) == 0, -1, 1)
    np.testing.assert_allclose(
        reversed_.correlations, moments.correlations * np.outer(sign, sign), atol=1e-7
    )
    np.testing.assert_allclose(reversed_.values[:4], -moments.values[3::-1], atol=1e-12)


def test_units_of_covariates():
    """Another origin moves thresholds and intercepts only, another unit the slopes only."""
    _, frame = read_case("two_covariates")
    a, b = moments_of("two_covariates"), moments_of("two_covariates", age=2012 + 12 * frame["age"])
    age = (a.table["rhs"] == "age").to_numpy()
    np.testing.assert_allclose(b.values[age] * 12, a.values[age], atol=1e-7)
    later = (a.table["kind"].isin(["variance", "covariance"])).to_numpy() | (
        a.table["rhs"] == "female"
    ).to_numpy()
    np.testing.assert_allclose(b.values[later], a.values[later], rtol=1e-7, atol=1e-7)
    block = np.ix_(later, later)
    np.testing.assert_allclose(b.gamma[block], a.gamma[block], rtol=1e-6, atol=1e-6)
    x1 = (a.table["lhs"] == "x1").to_numpy()
    moved = b.values[x1][:4] - b.values[x1 & age] * 2012
    np.testing.assert_allclose(moved, a.values[x1][:4], atol=1e-6)


def test_unit_of_a_numeric_variable():
    _, frame = read_case("mixed")
    a, b = moments_of("mixed"), moments_of("mixed", x2=1000 * frame["x2"])
    np.testing.assert_allclose(b.correlations, a.correlations, atol=1e-9)
    unit = np.where(a.table["lhs"] == "x2", 1000.0, 1) * np.where(a.table["rhs"] == "x2", 1000.0, 1)
    np.testing.assert_allclose(b.values, a.values * unit, rtol=1e-7)
    np.testing.assert_allclose(b.gamma, a.gamma * np.outer(unit, unit), rtol=1e-5, atol=1e-4)


def test_a_covariate_of_two_values_as_table_or_row_by_row(monkeypatch):
    moments = moments_of("one_covariate")
    monkeypatch.setattr(ordinal._Layout, "is_table", property(lambda _: False))
    same(moments_of("one_covariate"), moments, atol=1e-9)


def test_chunks_do_not_matter(monkeypatch):
    moments = moments_of("two_covariates")
    monkeypatch.setattr(ordinal, "CHUNK", 1)
    same(moments_of("two_covariates"), moments)


def test_the_callers_frame_is_not_changed():
    case, frame = read_case("mixed")
    before = frame.copy(deep=True)
    ordinal_moments(frame, case["ordered"])
    polychoric(frame[case["ordered"]])
    pd.testing.assert_frame_equal(frame, before)


def test_one_variable_and_whole_numbers():
    _, frame = read_case("ordinal")
    moments = ordinal_moments(frame[["x1"]].astype("Int64"), ["x1"])
    np.testing.assert_allclose(moments.values, moments_of("ordinal").values[:4], atol=1e-12)
    share = (frame["x1"] == 1).mean()
    variance = share * (1 - share) / stats.norm.pdf(stats.norm.ppf(share)) ** 2
    assert moments.gamma[0, 0] == pytest.approx(variance, rel=1e-9)


# ---- known truth ---------------------------------------------------------------------------------


@pytest.mark.parametrize("numeric", [[], ["a"], ["a", "b"]])
def test_planted_values_are_recovered(numeric):
    frame = simulate(40_000, seed=1)
    frame = frame.assign(**{name: cut(frame[name]) for name in "ab" if name not in numeric})
    frame["c"] = cut(np.random.default_rng(2).normal(size=40_000) + 0.5 * frame["x"])
    moments = ordinal_moments(frame[["a", "b", "c", "x"]], {"a", "b", "c"} - set(numeric), ["x"])
    se = np.sqrt(np.diag(moments.gamma) / moments.n)
    table = moments.table.assign(z=0.0).set_index(["kind", "lhs", "rhs"])
    truth = pd.Series(0.0, table.index)
    for kind, lhs, rhs in truth.index:
        position = {"t1": -1.0, "t2": 0.2, "t3": 1.1}
        known = {"threshold": position.get(rhs), "slope": 0.5, "variance": 1.0, "intercept": 0.0}
        known["covariance"] = 0.6 if (lhs, rhs) == ("a", "b") else 0.0
        truth[kind, lhs, rhs] = known[kind]
    assert (np.abs((table["value"] - truth) / se) < 3.5).all()
    assert se.max() < 0.02


def test_standard_errors_are_those_of_many_samples():
    draws = []
    for seed in range(150):
        frame = simulate(600, seed=100 + seed).assign(a=lambda f: cut(f["a"]))
        moments = ordinal_moments(frame, ["a"], ["x"])
        draws.append([moments.values, np.sqrt(np.diag(moments.gamma) / moments.n)])
    values, errors = np.swapaxes(draws, 0, 1)
    np.testing.assert_allclose(errors.mean(axis=0) / values.std(axis=0), 1, atol=0.2)


# ---- refusals ------------------------------------------------------------------------------------


@pytest.fixture
def frame():
    draws = simulate(120, seed=5)
    return draws.assign(a=cut(draws["a"]), c=cut(simulate(120, seed=6)["a"]))[["a", "b", "c", "x"]]


def refused(frame, message, ordered=("a", "c"), covariates=("x",), levels=None):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            ordinal_moments(frame, ordered, covariates, levels)


def test_the_fixture_itself_is_accepted(frame):
    assert ordinal_moments(frame, ["a", "c"], ["x"]).n == 120


def test_what_is_not_complete_numbers(frame):
    refused([1], "DataFrame is needed; given: list")
    refused(frame.assign(b="x"), "Column 'b' is not numeric")
    refused(frame.assign(b=np.inf), "Column 'b' holds infinite values")
    holes = frame.astype({"b": float})
    holes.loc[[3, 4], "b"] = np.nan
    refused(holes, "^b: missing values in 2 of the rows. Give complete rows")
    refused(pd.concat([frame, frame["a"]], axis=1), "Column 'a' is there more than once")
    refused(frame.head(5), "5 complete rows for 4 variables: at least 6")


def test_names_that_do_not_fit(frame):
    refused(frame, "ordered names 'z'", ordered=["z"])
    refused(frame, "covariates names 'z'", covariates=["z"])
    refused(frame, "give a list of names", ordered="a")
    refused(frame, "'x' is a covariate and cannot be ordered", ordered=["a", "x"])
    refused(frame, "No variable is ordered", ordered=[])


def test_categories_that_do_not_fit(frame):
    refused(frame.assign(c=2.0), "Ordered variable 'c' has only the value 2: leave it out")
    many = frame.assign(c=np.arange(120) % 51)
    refused(many, "'c' has 51 categories, more than 50: treat it as numeric")
    assert ordinal_moments(many.assign(c=many["c"] % 12), ["a", "c"], ["x"]).n == 120
    levels = {"a": [0, 1, 2, 3], "c": [0, 1, 2, 3, 4]}
    refused(
        frame, "Nobody among these 120 respondents is in category 4 of 'c': merge", levels=levels
    )
    refused(frame, "'c' holds 3, which is not among its levels", levels={"c": [0, 1, 2]})
    fits = ordinal_moments(frame, ["a", "c"], ["x"], levels={"c": [3, 2, 1, 0], "other": [1]})
    assert fits.levels == {"a": (0, 1, 2, 3), "c": (0, 1, 2, 3)}


def test_numeric_variables_without_a_variance_of_their_own(frame):
    refused(frame.assign(b=1.0), "'b' is constant")
    refused(frame.assign(b=frame["x"] * 3.0 + 1), "'b' depends linearly on the covariates x")
    two = frame.assign(b=frame["b"] > 0)
    refused(two.drop(columns="x"), "'b' has two values, 0 and 1: name it among", covariates=())


def test_covariates_that_do_not_vary_or_vary_together(frame):
    refused(frame.assign(x=1.0), "Covariate 'x' is constant")
    together = frame.assign(y=frame["b"], z=frame["x"] + 2 * frame["b"], b=frame["b"] ** 2)
    refused(together, "linearly: x, y, z. Leave one out", covariates=["x", "y", "z"])


def test_covariates_that_predict_without_error(frame):
    for predicted in (frame["x"], frame["x"] * frame["c"]):
        refused(frame.assign(a=predicted), "regression of 'a' on x has no maximum")


def test_variables_that_are_associated_perfectly(frame):
    for first, second, ordered in (
        ("a", frame["a"], ["a", "c", "d"]),
        ("a", 3 - frame["a"], ["a", "c", "d"]),
        ("b", 2 - frame["b"], ["a", "c"]),
    ):
        both = frame.assign(d=second)
        message = f"'{first}' and 'd' are perfectly associated: their correlation runs up to -?1"
        refused(both[["a", "b", "c", "d", "x"]], message, ordered)
        refused(both[["a", "b", "c", "d"]], message, ordered, covariates=())
    with pytest.raises(ValueError, match="'a' and 'd' are perfectly associated"):
        polychoric(frame[["a", "c"]].assign(d=frame["a"]))


def test_two_by_two_table_with_an_empty_diagonal(frame):
    binary = frame[["a"]].gt(1).astype(float)
    refused(
        binary.assign(d=1 - binary["a"]), "'a' and 'd' .* runs up to -1", ["a", "d"], covariates=()
    )


def test_a_correlation_of_nearly_one_is_reported():
    draws = np.random.default_rng(8).normal(size=(4000, 2))
    latent = pd.DataFrame({"a": draws[:, 0], "b": draws[:, 0] + 0.1 * draws[:, 1]})
    with pytest.warns(UserWarning, match="correlation of 'a' and 'b' is nearly 1 .0.99"):
        ordinal_moments(latent.apply(cut), ["a", "b"])


def test_scores_that_cannot_vary_apart():
    with pytest.raises(ValueError, match="The estimates of 'a' cannot vary apart"):
        margins._influence("a", np.array([[1.0, -2], [-1, 2], [0.5, -1]]), np.ones(3))


def test_polychoric_refuses(frame):
    with pytest.raises(ValueError, match="at least 2 variables; given: 1"):
        polychoric(frame[["a"]])
    with pytest.raises(ValueError, match="'b' has 120 categories"):
        polychoric(frame)
    with pytest.raises(ValueError, match="'d' has no value"):
        polychoric(frame[["a"]].assign(d=np.nan))
    apart = frame[["a", "c"]].where([[True, False]] * 60 + [[False, True]] * 60)
    with pytest.raises(ValueError, match="among the 0 respondents who have both 'a' and 'c'"):
        polychoric(apart)
