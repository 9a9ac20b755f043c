"""Tables of a fit are made when they are read."""

import pickle
from dataclasses import replace

import pandas as pd
import pytest

import semfit as sem
from semfit.fitting import fitting, measures

TABLES = "estimates defined measures r_squared residuals problems vcov".split()


@pytest.fixture
def fit():
    return sem.fit("f =~ x1 + x2 + x3 + x4\nload := 2", sem.example_data(), estimator="MLR")


def test_a_table_is_made_once_and_when_it_is_read(fit, monkeypatch):
    made = []
    monkeypatch.setattr(measures, "measure_table", lambda *_: made.append(1) or pd.DataFrame())
    assert not made
    assert fit.measures is fit.measures and made == [1]


@pytest.mark.parametrize("name", TABLES)
def test_a_pickle_has_the_same_tables(fit, name):
    copied = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_frame_equal(getattr(copied, name), getattr(fit, name))


def test_a_field_is_required_and_can_be_replaced(fit):
    assert replace(fit, problems=pd.DataFrame()).problems.empty
    assert replace(fit, missing="fiml").estimates.equals(fit.estimates)
    with pytest.raises(TypeError, match="estimates"):
        fitting.Fit(model=fit.model)
