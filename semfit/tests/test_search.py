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
