"""Trouble: what is refused or reported names the parameter or the items, and the next step."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mkb21 import sem

REFERENCE = Path(__file__).parent / "reference"
MODEL = "visual =~ x1 + x2 + x3\nspeed =~ x7 + x8 + x9\nspeed ~ visual"


@pytest.fixture
def data():
    return pd.read_csv(REFERENCE / "sem_hs.csv")


def refused(data, message, model=MODEL, **options):
    with pytest.raises(ValueError, match=message):
        sem.fit(sem.read_model(model), data, **options)


def test_items_that_are_never_answered_together(data):
    data.loc[:150, "x1"] = np.nan
    data.loc[151:, "x2"] = np.nan
    refused(data, "x1.*x2", missing="fiml")


def test_an_item_that_is_constant_within_a_group(data):
    data.loc[data["school"] == "Pasteur", "x7"] = 3.0
    refused(data, "x7.*|Pasteur.*", group="school")
    with pytest.raises(ValueError, match="Pasteur"):
        sem.fit(sem.read_model(MODEL), data, group="school")


def test_items_that_depend_on_each_other(data):
    refused(data.assign(x2=data["x1"] * 2), "x1.*x2")


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("f =~ x1 + x2", "f"),
        ("f =~ NA*x1 + x2 + x3 + x4", "f"),
        ("f =~ x1 + x2 + x3\nf ~ 1", "f"),
        ("f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\nh =~ f + g", "h"),
    ],
)
def test_models_that_are_not_identified_name_what_is_not(data, model, names):
    refused(data, names, model=model)
    with pytest.raises(ValueError, match="[Ii]dentified"):
        sem.fit(sem.read_model(model), data)


def test_a_heywood_case_names_the_item_and_the_next_step(data):
    model = "visual =~ x1 + x2 + x3 + x9\nspeed =~ x7 + x8\nvisual ~~ speed"
    fit = sem.fit(sem.read_model(model), data[data["school"] == "Pasteur"])
    row = fit.problems[fit.problems["where"].str.contains("x8 ~~ x8")].iloc[0]
    assert "negative variance" in row["what"] and row["next_step"]


def test_no_outcome_but_a_fit_or_a_clear_refusal():
    """Random models on random, damaged data: never an exception of a library."""
    rng = np.random.default_rng(11)
    for _ in range(25):
        n, p = int(rng.integers(4, 60)), 6
        values = rng.normal(size=(n, p)) * 10.0 ** rng.integers(-3, 4, p)
        values[rng.random((n, p)) < rng.choice([0, 0.2, 0.6])] = np.nan
        frame = pd.DataFrame(values, columns=[f"x{i}" for i in range(p)])
        if rng.random() < 0.2:
            frame["x0"] = 1.0
        model = sem.read_model("f =~ x0 + x1 + x2\ng =~ x3 + x4 + x5\ng ~ f")
        estimator, missing = rng.choice(["ML", "MLR"]), rng.choice(["listwise", "fiml"])
        try:
            fit = sem.fit(model, frame, str(estimator), str(missing))
        except ValueError as error:
            assert len(str(error)) > 20
            continue
        assert set(fit.problems["severity"]) <= {"error", "warning", "note"}
        if not fit.converged:
            assert fit.estimates["se"].isna().all()
            assert "error" in set(fit.problems["severity"])
