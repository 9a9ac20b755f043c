"""Reliability and validity of fitted models against semTools (reference/measurement.json)."""

import json
import warnings
from itertools import combinations

import pandas as pd
import pytest
from test_estimators import REFERENCE, fit_case, read_case

from semfit import reliability

ANSWERS = json.loads((REFERENCE.parent / "measurement.json").read_text())
CLOSE = {"abs": 1e-6, "rel": 1e-6}


@pytest.fixture(scope="module", params=ANSWERS)
def compared(request):
    """semTools' answers, our fit of the same model, and its complete rows."""
    answers = ANSWERS[request.param]
    fit = fit_case(*read_case(answers["case"]))
    data = read_case(answers["case"])[1]
    loadings = fit.estimates[fit.estimates["op"] == "=~"]
    scales = loadings.groupby("lhs", sort=False)["rhs"].agg(list).to_dict()
    return answers, fit, data[loadings["rhs"].tolist()], scales


def by_latent(table, column):
    return table.set_index("latent")[column].to_dict()


def test_composite_reliability_is_omega_of_the_model(compared):
    answers, fit, _, _ = compared
    kinds = answers["reliability"]
    theirs = kinds.get("omega", kinds.get("omega_latent_responses"))["implied"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bfi's reversed items are left as they are
        ours = reliability.composite_reliability(fit.estimates)
    assert by_latent(ours, "composite_reliability_raw") == pytest.approx(theirs, **CLOSE)


def test_average_variance_extracted(compared):
    answers, fit, _, _ = compared
    ours = reliability.average_variance_extracted(fit.estimates)
    theirs = answers["reliability"]["ave"]["implied"]
    assert by_latent(ours, "ave_raw") == pytest.approx(theirs, **CLOSE)


@pytest.mark.parametrize("kind", ["pearson", "polychoric"])
def test_htmt(compared, kind):
    answers, _, data, scales = compared
    theirs = answers[kind]
    if theirs is None:
        pytest.skip("not of this case: see measurement.json")
    ours = reliability.htmt(data, scales, correlation=kind).set_index(["first", "second"])
    assert set(ours["n"]) == {theirs["n_htmt"]}
    for measure in ("htmt", "htmt2"):
        names = theirs[measure]["names"]
        matrix = pd.DataFrame(theirs[measure]["values"], index=names, columns=names)
        for pair in combinations(scales, 2):
            assert ours.loc[pair, measure] == pytest.approx(matrix.loc[pair], **CLOSE), pair
