"""The same paths under several estimators and samples."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semfit as sem
from semfit.testing.sensitivity import COLUMNS, sensitivity

REFERENCE = Path(__file__).parent / "reference" / "estimators"
MODEL = "visual =~ x1 + x2 + x3\nspeed =~ x7 + x8 + x9\nspeed ~ visual + ageyr"
VARIANTS = {
    "ML": {"estimator": "ML"},
    "MLR, FIML": {"estimator": "MLR", "missing": "fiml"},
    "girls": {"estimator": "MLR", "missing": "fiml", "rows": "female == 1"},
}


@pytest.fixture(scope="module")
def data():
    return pd.read_csv(REFERENCE / "data_hsmiss.csv").assign(female=lambda d: d["sex"] - 1)


@pytest.fixture(scope="module")
def table(data):
    return sensitivity(sem.read_model(MODEL), data, VARIANTS)


def test_each_variant_has_the_numbers_of_its_own_fit(data, table):
    assert list(table) == COLUMNS and len(table) == 6
    for name, options in VARIANTS.items():
        options = {k: v for k, v in options.items() if k != "rows"}
        chosen = data[data["female"] == 1] if name == "girls" else data
        fit = sem.fit(sem.read_model(MODEL), chosen, **options)
        rows, paths = table[table["variant"] == name], fit.estimates.query("op == '~'")
        assert set(rows["n"]) == {fit.n_used} and set(rows["estimator"]) == {fit.estimator}
        for column in ("estimate", "se", "p", "std_all", "std_ci_low", "std_ci_high"):
            np.testing.assert_allclose(rows[column], paths[column], rtol=1e-12)


def test_shift_is_in_standard_errors_of_the_first(data, table):
    fit = sem.fit(sem.read_model(MODEL), data)
    se = fit.estimates.query("op == '~'")["std_se"].to_numpy()
    first, second = (table[table["variant"] == name] for name in ("ML", "MLR, FIML"))
    assert (first["shift"] == 0).all()
    gap = second["std_all"].to_numpy() - first["std_all"].to_numpy()
    np.testing.assert_allclose(second["shift"], gap / se, rtol=1e-9)


def test_loadings_instead_of_paths(data):
    rows = sensitivity(sem.read_model(MODEL), data, {"ML": {}}, op="=~")
    assert set(rows["op"]) == {"=~"} and len(rows) == 6


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({}, "at least one variant"),
        ({"few": {"rows": "femal == 1"}}, "Variant 'few': rows='femal == 1' is not understood"),
        ({"odd": {"estimator": "GLS"}}, "Variant 'odd': estimator='GLS' is not there"),
        ({"odd": {"estimater": "ML"}}, "Variant 'odd': .*estimater"),
    ],
)
def test_a_variant_that_is_refused_is_named(data, variants, message):
    with pytest.raises(ValueError, match=message):
        sensitivity(sem.read_model(MODEL), data, variants)


def test_what_is_refused_is_named_and_the_rest_is_there(data):
    model, refused = sem.read_model(MODEL), {}
    variants = {"ML": {}, "nobody": {"rows": "sex == 9"}, "MLR": {"estimator": "MLR"}}
    table = sensitivity(model, data, variants, refused=refused)
    assert list(table["variant"].unique()) == ["ML", "MLR"]
    assert list(refused) == ["nobody"] and not refused["nobody"].startswith("Variant")
    with pytest.raises(ValueError, match="Variant 'nobody'"):
        sensitivity(model, data, {"nobody": variants["nobody"], "ML": {}}, refused=refused)
    with pytest.raises(ValueError, match="Variant 'nobody'"):
        sensitivity(model, data, variants)


# ---- regressions on scores -----------------------------------------------------------------------

PATHS = "visual =~ x1 + x2 + x3\nspeed =~ x7 + x8 + x9\nspeed ~ visual + ageyr\nageyr ~ visual"


def test_regressions_on_scores_equal_lm(data):
    table = sem.score_regressions(sem.read_model(PATHS), data)
    expected = pd.read_csv(REFERENCE.parent / "regressions_scores.csv")
    pd.testing.assert_frame_equal(table.drop(columns="op"), expected, rtol=1e-9)


def test_a_score_is_a_column_or_that_of_what_is_below_it(data):
    given = data.assign(known=data[["x1", "x2", "x3"]].mean(axis=1, skipna=False))
    own = sem.score_regressions(sem.read_model(PATHS), given, {"visual": "known"})
    assert own["n"][0] < 278
    single = sem.score_regressions(sem.read_model("f =~ x1; g =~ f; g ~ ageyr"), data)
    plain = sem.score_regressions(sem.read_model("x1 ~ ageyr"), data)
    np.testing.assert_allclose(single["beta"], plain["beta"])
    product = sem.score_regressions(sem.read_model("x1 ~ x2 + x3 + x2:x3"), data)
    assert list(product["rhs"]) == ["x2", "x3", "x2:x3"] and product["beta"].notna().all()


def test_scores_of_too_few_rows_are_refused(data):
    with pytest.raises(ValueError, match="1 path.*4 rows"):
        sem.score_regressions(sem.read_model("x7 ~ x8"), data.dropna().head(4).assign(x8=1.0))
    with pytest.raises(ValueError, match=r"0 path\(s\)"):
        sem.score_regressions(sem.read_model("f =~ x1 + x2 + x3"), data)
