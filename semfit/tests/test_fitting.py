"""semfit on any frame: what is refused, what is reported, what must not matter."""

import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semfit as sem
from semfit.fitting import search

REFERENCE = Path(__file__).parent / "reference"
TEXT = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\ntextual ~ visual + ageyr"
NUMBERS = ["estimate", "se", "std_all", "std_se"]


@pytest.fixture
def model():
    return sem.read_model(TEXT)


@pytest.fixture
def data():
    return pd.read_csv(REFERENCE / "sem_hs.csv")


def measure(fit, name):
    return fit.measures.set_index("measure")["standard"][name]


def same(a, b, atol=1e-6):
    np.testing.assert_allclose(a.estimates[NUMBERS], b.estimates[NUMBERS], atol=atol)
    np.testing.assert_allclose(a.measures["standard"], b.measures["standard"], atol=1e-5)


# ---- what must not matter ------------------------------------------------------------------------


def test_order_of_rows_and_columns_and_further_columns(model, data):
    turned = data.sample(frac=1, random_state=1)[data.columns[::-1]]
    same(sem.fit(model, turned), sem.fit(model, data))


def test_types_of_numbers(model, data):
    typed = data.astype({"ageyr": "Int64"})
    same(sem.fit(model, typed), sem.fit(model, data))
    by_bool = sem.read_model("x1 ~ girl")
    same(
        sem.fit(by_bool, data.assign(girl=data["female"] == 1)),
        sem.fit(by_bool, data.assign(girl=data["female"])),
    )


def test_units_do_not_touch_the_standardised_solution(model, data):
    scaled = data.assign(x2=data["x2"] * 20 + 3, ageyr=data["ageyr"] * 12)
    a, b = sem.fit(model, scaled), sem.fit(model, data)
    np.testing.assert_allclose(
        a.estimates[["std_all", "std_se"]], b.estimates[["std_all", "std_se"]], atol=1e-6
    )
    assert measure(a, "chisq") == pytest.approx(measure(b, "chisq"), abs=1e-6)


def test_another_marker_gives_the_same_fit(data):
    first = sem.fit(sem.read_model("f =~ x1 + x2 + x3 + x4"), data)
    other = sem.fit(sem.read_model("f =~ NA*x1 + x2 + x3 + x4\nf ~~ 1*f"), data)
    assert measure(first, "chisq") == pytest.approx(measure(other, "chisq"), abs=1e-6)
    np.testing.assert_allclose(
        first.estimates["std_all"][:4], other.estimates["std_all"][:4], atol=1e-6
    )


def test_a_fit_survives_pickling(model, data):
    fit = sem.fit(model, data)
    same(pickle.loads(pickle.dumps(fit)), fit, atol=0)


def test_the_callers_frame_is_not_changed(model, data):
    data.loc[3, "x1"] = np.nan
    before = data.copy(deep=True)
    sem.fit(model, data)
    pd.testing.assert_frame_equal(data, before)


# ---- missing values ------------------------------------------------------------------------------


def test_listwise_deletion_is_said(model, data):
    data.index = [f"r{i}" for i in data.index]
    holes = data.copy()
    holes.loc["r5", "x1"] = np.nan
    holes.loc["r9", ["x2", "x9"]] = np.nan
    holes.loc["r11", "x9"] = np.nan  # not in the model
    fit = sem.fit(model, holes)
    assert list(fit.dropped) == ["r5", "r9"] and (fit.n_used, fit.n_dropped) == (299, 2)
    assert fit.message.startswith(
        "ML, 299 of 301 rows used (2 dropped: a value missing on one of "
        "7 variables), converged after"
    )
    same(fit, sem.fit(model, data.drop(index=["r5", "r9"])))
    assert "dropped" not in sem.fit(model, data).message


# ---- what is refused -----------------------------------------------------------------------------


def refused(model, data, message, **options):
    with pytest.raises(ValueError, match=message):
        sem.fit(model, data, **options)


def test_options(model, data):
    refused(model, data, "estimator='GLS' is not there: use estimator='ML'", estimator="GLS")
    refused(model, data, "missing='pairwise' is for estimator='WLSMV'", missing="pairwise")
    refused(model, data, "missing='none' does not exist; there is: listwise", missing="none")
    refused(3, data, "takes a model")


def test_unknown_and_repeated_columns(model, data):
    refused(model, data.rename(columns={"ageyr": "age_yr"}), r"'ageyr' \(closest: 'age_yr'\)")
    refused(model, pd.concat([data, data[["x1"]]], axis=1), "'x1' is in the data more than once")
    refused(model, data.assign(visual=1.0), "'visual' has the name of a column")


def test_what_is_no_number(model, data):
    refused(model, data.assign(x1=data["x1"].astype(str)), "'x1' is not numeric")
    refused(model, data.assign(x1=data["x1"].astype("category")), "'x1' is not numeric")
    data.loc[0, "x1"] = np.inf
    refused(model, data, "'x1' holds infinite values in 1 row")


def test_samples_without_a_covariance_matrix(model, data):
    refused(model, data.assign(x4=3.0), "Constant in the 301 rows used: x4")
    refused(model, data.assign(x4=np.nan), "No value at all: x4. Leave it out of the model")
    refused(model, data.head(0), "None of the 0 rows")
    refused(model, data.head(7), "7 complete rows for 7 observed variables")
    refused(
        model, data.assign(x4=data["x1"] - 2 * data["x2"]), "linearly: x1, x2, x4. Leave one out"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f =~ x1 + x2", r"df = -1.*f =~ x2"),
        ("x1 ~~ 1*x1", "no free parameter"),
        (
            "f =~ x1 + x2 + x3\ng =~ x4 + x5\nf ~~ 0*g",
            "not identified: g =~ x5, x4 ~~ x4, x5 ~~ x5, g ~~ g",
        ),
        ("f =~ NA*x1 + x2 + x3 + x4", "not identified: f =~ x1"),
        ("visual =~ x1 + x2 + x3\nx4 ~ visual\nx4 ~~ x5\nx5 ~ visual + x4", "not identified: .*x4"),
    ],
)
def test_models_that_are_not_identified(text, message, data):
    refused(sem.read_model(text), data, message)


# ---- what is reported ----------------------------------------------------------------------------


def test_nothing_to_report(model, data):
    fit = sem.fit(model, data)
    assert fit.problems.empty and list(fit.problems) == [
        "code",
        "severity",
        "what",
        "where",
        "next_step",
        "values",
    ]
    assert all(fit.estimates.dtypes[name] == float for name in NUMBERS)


def test_heywood_case_is_named(data):
    text = "visual =~ x1 + x2 + x3 + x9\nspeed =~ x7 + x8\nvisual ~~ speed"
    fit = sem.fit(sem.read_model(text), data[data["school"] == "Pasteur"])
    problem = fit.problems.query("where == 'x8 ~~ x8'").iloc[0]
    assert problem["severity"] == "warning" and "negative variance (-1.453" in problem["what"]
    assert np.isnan(fit.r_squared.set_index("variable")["r_squared"]["x8"])


def test_correlation_beyond_one_is_named():
    # two "factors" that share more covariance than their own variances allow
    cov = np.full((4, 4), 0.6) + 0.4 * np.eye(4)
    cov[:2, :2] = cov[2:, 2:] = [[1, 0.4], [0.4, 1]]
    fit = sem.fit(sem.read_model("f =~ a + b\ng =~ c + d"), exact_sample(cov, list("abcd")))
    assert fit.estimates.query("lhs == 'f' and rhs == 'g'")["std_all"].item() > 1
    assert fit.problems["what"].tolist()[:2] == [
        "correlation beyond 1 (1.500)",
        "covariance matrix of the latent variables not positive definite",
    ]


def test_two_indicators_without_covariance(data):
    cov = np.eye(4)
    cov[0, 1] = cov[1, 0] = cov[2, 3] = cov[3, 2] = 0.5
    fit = sem.fit(sem.read_model("f =~ a + b\ng =~ c + d"), exact_sample(cov, list("abcd")))
    assert fit.problems["severity"].iloc[0] == "error"
    assert fit.estimates["se"].isna().all() and fit.estimates["std_se"].isna().all()


def exact_sample(cov, names, n=500):
    """Rows whose covariance matrix (divided by n) is exactly `cov`."""
    raw = np.random.default_rng(3).normal(size=(n, len(names)))
    white = np.linalg.qr(raw - raw.mean(axis=0))[0] * np.sqrt(n)
    return pd.DataFrame(white @ np.linalg.cholesky(cov).T, columns=names)


def test_a_search_that_stops_short_has_no_standard_errors(model, data, monkeypatch):
    monkeypatch.setattr(search, "STEPS", 0)
    fit = sem.fit(model, data)
    assert not fit.converged and "NOT converged" in fit.message
    assert fit.problems["what"].tolist() == ["not converged: the steps were not enough"]
    assert fit.estimates[["se", "z", "p", "std_se", "ci_low"]].isna().all(axis=None)
    known = fit.measures.dropna(subset="standard")["measure"].tolist()
    assert known == ["npar", "n", "df"] and fit.vcov.isna().all(axis=None)


def test_few_cases_dropped_rows_and_scales(data):
    data.loc[:29, "x4"] = np.nan
    data["x5"] *= 100
    model = sem.read_model("textual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9\ntextual ~~ speed")
    fit = sem.fit(model, data.head(80))
    few, dropped, scales = fit.problems.itertuples(index=False)
    assert {few.severity, dropped.severity, scales.severity} == {"note"}
    assert few.what == "3.8 cases per parameter" and few.where == "50 rows, 13 parameters"
    assert dropped.what == "38% of the rows dropped" and dropped.where == "30 of 80 rows"
    assert scales.what.startswith("variances differ by a factor") and "x5, " in scales.where


# ---- known truth ---------------------------------------------------------------------------------


def test_planted_parameters_are_recovered():
    rng, n = np.random.default_rng(21), 20_000
    size, b2c = rng.integers(1, 5, n), rng.binomial(1, 0.6, n)
    culture = rng.normal(size=n)
    environment = 0.4 * culture + np.sqrt(1 - 0.16) * rng.normal(size=n)
    motivation = (
        0.3 * culture + 0.35 * environment + 0.1 * size - 0.2 * b2c + 0.7 * rng.normal(size=n)
    )
    use = 0.5 * motivation + 0.15 * culture + 0.05 * size + 0.6 * rng.normal(size=n)
    columns = {"size": size, "b2c": b2c}
    loadings = {
        "c": (culture, 1, 0.8, 1.2),
        "e": (environment, 1, 0.9, 0.7),
        "m": (motivation, 1, 1.1, 0.6),
        "u": (use, 1, 0.9, 1.3),
    }
    for letter, (latent, *weights) in loadings.items():
        for i, weight in enumerate(weights):
            columns[f"{letter}{i}"] = weight * latent + 0.5 * rng.normal(size=n)
    model = sem.read_model(
        "c =~ c0 + c1 + c2\ne =~ e0 + e1 + e2\nm =~ m0 + m1 + m2\n"
        "u =~ u0 + u1 + u2\nm ~ c + e + size + b2c\nu ~ m + c + size\n"
        "e ~~ c"
    )
    fit = sem.fit(model, pd.DataFrame(columns))
    truth = [w for _, *weights in loadings.values() for w in weights]
    truth += [0.3, 0.35, 0.1, -0.2, 0.5, 0.15, 0.05, 0.4] + [0.25] * 12 + [1, 1, 0.49, 0.36]
    estimates = fit.estimates.head(len(truth))
    z = ((estimates["estimate"] - truth) / estimates["se"])[estimates["free"]]
    assert len(z) == len(fit.vcov) and z.abs().max() < 3.5
    assert (z.abs() < 1.96).mean() > 0.85 and np.std(z) > 0.5
    assert measure(fit, "pvalue") > 0.01 and measure(fit, "rmsea") < 0.01


# ---- what is used of others ----------------------------------------------------------------------


def test_one_file_imports_semopy():
    source = Path(sem.__file__).parent
    lines = re.compile(r"^\s*(from|import)\s+semopy\b", re.MULTILINE)
    found = {f.name for f in source.rglob("*.py") if lines.search(f.read_text(encoding="utf-8"))}
    assert found == {"semopy_bridge.py"}
