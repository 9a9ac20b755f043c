"""The reporting standard, filled from a fit; an item without content is an error."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import semfit as sem
from mkb21.page.reporting import ITEMS, Results, reported_column, reporting_table
from mkb21.run import provenance
from mkb21.run.paths import Project

REFERENCE = Path(__file__).parents[1] / "semfit" / "tests" / "reference"
MODEL = "visual =~ x1 + x2 + x3\nspeed =~ x7 + x8 + x9\nspeed ~ a*visual + ageyr\ntwice := 2*a"


@pytest.fixture(scope="module")
def fit():
    data = pd.read_csv(REFERENCE / "estimators" / "data_hsmiss.csv")
    return sem.fit(sem.read_model(MODEL), data, "MLR", "fiml")


@pytest.fixture
def results(fit):
    return Results(
        fit=fit,
        flow=pd.DataFrame(
            {
                "step": ["read", "duplicates", "kept"],
                "dropped": [0, 57, 0],
                "remaining": [371, 314, 314],
            }
        ),
        missing_share=0.034,
        reliability=pd.DataFrame({"label": ["speed"], "coefficient": ["omega"], "value": [0.69]}),
        effects=pd.DataFrame(
            {"name": ["twice"], "estimate": [0.5], "ci_low": [0.2], "ci_high": [0.9]}
        ),
        effects_method="bootstrap, percentile, 1000 draws, seed 1",
        invariance=pd.DataFrame({"step": ["metric"], "verdict": ["holds"]}),
        comparison=pd.DataFrame(
            {
                "model": ["direct", "plain"],
                "cfi": [0.98, 0.97],
                "chisq_diff": [None, 43.567],
                "df_diff": [None, 5.0],
                "p": [None, 1e-5],
                "against": ["", "direct"],
            }
        ),
        respecifications=(),
        limits=("cross-sectional",),
        origin={"commit": "c" * 40 + "-dirty", "lock": "1" * 64, "data": "d" * 64, "seed": "7"},
        versions={"python": "3.11", "numpy": "2.4"},
        labels={"visual": "seeing"},
    )


def content(results, item, language="en"):
    return reporting_table(results, language).set_index("item").loc[item, "content"]


def test_every_item_is_filled_in_both_languages(results):
    for language in ("en", "nl"):
        table = reporting_table(results, language)
        assert table["number"].tolist() == list(range(1, len(ITEMS) + 1)) and len(ITEMS) >= 16
        assert table["content"].str.len().min() > 5 and table["item"].is_unique


def test_numbers_come_from_the_fit(results, fit):
    measures = fit.measures.set_index("measure")
    text = content(results, "Global fit")
    assert f"χ² (scaled) = {measures.loc['chisq', 'scaled']:.2f}" in text
    assert f"robust: CFI = {measures.loc['cfi', 'robust']:.3f}" in text
    assert f"df = {measures.loc['df', 'standard']:.0f}" in text
    paths = fit.estimates.query("op == '~'").reset_index(drop=True)
    text = content(results, "Paths")
    assert "seeing → speed: b = " in text
    for row in paths.itertuples():
        assert f"{abs(row.estimate):.2f}" in text and f"{abs(row.std_all):.2f}" in text
    rows = fit.residuals
    large, largest = (rows["residual"].abs() > 0.1).sum(), rows["residual"].iloc[0]
    assert 0 < large < len(rows)
    assert f"{large} of {len(rows)} residual correlations above 0.10" in content(
        results, "Local fit"
    )
    assert f"the largest {abs(largest):.2f}" in content(results, "Local fit").replace("−", "")
    std = fit.estimates.query("op == '=~'")["std_all"]
    assert f"from {std.min():.2f} to {std.max():.2f}" in content(results, "Loadings")
    r_squared = fit.r_squared.set_index("variable")["r_squared"]["speed"]
    assert content(results, "Explained variance (R²)") == f"speed {r_squared:.2f}."
    assert "301 of 301" in content(results, "Sample and exclusions")
    assert "(dropped: took part twice 57)" in content(results, "Sample and exclusions")
    assert content(results, "Reliability") == "omega: speed 0.69."
    compared = content(results, "Vergeleken modellen", "nl")
    assert compared.endswith("CFI = 0,970, Δχ²(5) = 43,57, p < ,001 (tegen direct).")
    assert content(results, "Meetinvariantie", "nl") == "metrisch: houdt stand."
    assert "3.4%" in content(results, "Missing data")
    assert "3,4%" in content(results, "Ontbrekende waarden", "nl")
    assert "cccccccccccc-dirty" in content(results, "Reproduction")


def test_the_most_robust_column_is_reported(fit):
    assert reported_column(fit) == "robust"
    data = pd.read_csv(REFERENCE / "sem_hs.csv")
    assert reported_column(sem.fit(fit.model, data)) == "standard"
    assert reported_column(sem.fit(fit.model, data, "MLR")) == "robust"


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ({"flow": None}, "1 Sample and exclusions"),
        ({"missing_share": None}, "2 Missing data"),
        ({"versions": None}, "4 Software"),
        ({"reliability": None}, "10 Reliability"),
        ({"effects_method": ""}, "13 Indirect and total effects"),
        ({"invariance": None}, "14 Measurement invariance"),
        ({"comparison": None}, "15 Models compared"),
        ({"respecifications": None}, "16 Respecifications"),
        ({"origin": {"commit": "1", "lock": "1", "data": "", "seed": "3"}}, "18 Reproduction"),
    ],
)
def test_an_item_that_cannot_be_filled_is_an_error(results, missing, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        reporting_table(replace(results, **missing), "en")


def test_outside_git_there_is_no_commit_and_that_is_said(results):
    outside = replace(results, origin=results.origin | {"commit": "", "lock": ""})
    assert "commit none; locked versions (sha256) none" in content(outside, "Reproduction")


def test_all_empty_items_are_named_at_once(results):
    with pytest.raises(ValueError, match=r"1 Sample.*; 14 Measurement invariance\."):
        reporting_table(replace(results, flow=None, invariance=None), "en")


def test_no_respecification_is_said_and_one_is_named(results):
    assert content(results, "Respecifications").startswith("None: the model")
    changed = replace(results, respecifications=("x1 ~~ x7 (not planned)",))
    assert content(changed, "Respecifications") == "x1 ~~ x7 (not planned)"


def test_origin_of_this_repository(tmp_path):
    project = Project(Path(__file__).parents[1])
    known = provenance.origin(project, project.instrument, 5)
    assert known["seed"] == "5" and re.fullmatch("[0-9a-f]{64}", known["lock"])
    assert known["data"] == provenance.checksum(project.instrument)
    nowhere = provenance.origin(Project(tmp_path), tmp_path / "none", 5)
    assert nowhere == {"commit": "", "lock": "", "data": "", "seed": "5"}
    assert set(provenance.versions()) >= {"python", "mkb21", "semopy", "numpy"}
