"""The reporting standard, filled from a fit; an item without content is an error."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import semfit as sem
from mkb21.page.reporting import (
    ITEMS,
    Results,
    fit_in_words,
    item_names,
    notes_in_words,
    problems_in_words,
    reporting_table,
    steps_in_words,
)
from mkb21.run import provenance
from mkb21.run.paths import Project
from mkb21.survey.instrument import Text

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
        reliability=pd.DataFrame(
            {"variable": ["speed"], "coefficient": ["composite_reliability"], "value": [0.69]}
        ),
        effects=pd.DataFrame(
            {"name": ["twice"], "estimate": [0.5], "bca_low": [0.2], "bca_high": [0.9]}
        ),
        effects_method="bca",
        draws=1000,
        invariance=pd.DataFrame({"step": ["metric"], "verdict": ["holds"], "values": ["{}"]}),
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
        limits=("one_measurement", "few {shops} answered"),
        notice={"nl": "Reconstructie.", "en": "Reconstruction."},
        origin={"commit": "c" * 40 + "-dirty", "lock": "1" * 64, "data": "d" * 64, "seed": "7"},
        versions={"python": "3.11", "numpy": "2.4"},
        labels={"en": {"visual": "seeing"}, "nl": {"visual": "zien"}},
    )


def content(results, item, language="en"):
    return reporting_table(results).set_index("item").loc[item, f"content_{language}"]


def test_every_item_is_filled_in_both_languages(results):
    table = reporting_table(replace(results, limits=("one_measurement",)))
    assert table["number"].tolist() == list(range(1, len(ITEMS) + 1)) and len(ITEMS) >= 16
    assert table["item"].is_unique
    for language in ("en", "nl"):
        assert table[f"content_{language}"].str.len().min() > 5
        assert not set(item_names(language)) & set(table["item"])  # every item has words
        assert not re.search(r"[{}]", " ".join(table[f"content_{language}"]))
    assert (table["content_nl"] != table["content_en"]).sum() > 12


def test_numbers_come_from_the_fit(results, fit):
    measures = fit.measures.set_index("measure")
    text = content(results, "item_global_fit")
    assert f"χ² (scaled) = {measures.loc['chisq', 'scaled']:.2f}" in text
    assert f"robust: CFI = {measures.loc['cfi', 'robust']:.3f}" in text
    assert f"df = {measures.loc['df', 'standard']:.0f}" in text
    paths = fit.estimates.query("op == '~'").reset_index(drop=True)
    text = content(results, "item_paths")
    assert "seeing → speed: b = " in text
    for row in paths.itertuples():
        assert f"{abs(row.estimate):.2f}" in text and f"{abs(row.std_all):.2f}" in text
    rows = fit.residuals
    large, largest = (rows["residual"].abs() > 0.1).sum(), rows["residual"].iloc[0]
    assert 0 < large < len(rows)
    assert f"{large} of {len(rows)} residual correlations above 0.10" in content(
        results, "item_local_fit"
    )
    assert f"the largest {abs(largest):.2f}" in content(results, "item_local_fit").replace("−", "")
    std = fit.estimates.query("op == '=~'")["std_all"]
    assert f"from {std.min():.2f} to {std.max():.2f}" in content(results, "item_loadings")
    r_squared = fit.r_squared.set_index("variable")["r_squared"]["speed"]
    assert content(results, "item_r_squared") == f"speed {r_squared:.2f}."
    assert "301 of 301" in content(results, "item_sample")
    assert "(dropped: took part twice 57)" in content(results, "item_sample")
    assert content(results, "item_reliability") == "composite reliability: speed 0.69."
    compared = content(results, "item_comparison", "nl")
    assert compared.endswith("CFI = 0,970, Δχ²(5) = 43,57, p < ,001 (tegen direct).")
    assert content(results, "item_invariance", "nl") == "metrisch: houdt stand."
    assert "3.4%" in content(results, "item_missing")
    assert "3,4%" in content(results, "item_missing", "nl")
    assert "cccccccccccc-dirty" in content(results, "item_reproduction")


def test_problems_are_told_in_both_languages(results, fit):
    with pytest.warns(sem.NoSolution):
        few = sem.fit(fit.model, fit.rows.head(30), "MLR", "fiml")
    assert few.problems["code"].tolist() == ["not_converged", "cases_per_parameter"]
    pd.testing.assert_frame_equal(problems_in_words(few.problems, "en"), few.problems)
    dutch = problems_in_words(few.problems, "nl")
    stalled = "niet geconvergeerd: de passing verbetert nauwelijks van stap tot stap"
    assert dutch["what"].tolist() == [stalled, "1,5 respondenten per parameter"]
    assert dutch["where"][0].startswith("lopen samen weg: x1 ~~ x1 = -")
    assert dutch["next_step"][1] == "onder 5 zijn uitkomsten onvast: vergelijk een kleiner model"
    noted = replace(results, fit=replace(fit, problems=few.problems), limits=())
    assert "1,5 respondenten per parameter" in content(noted, "item_limits", "nl")
    improper = content(noted, "item_convergence", "nl")
    assert f"onjuiste schattingen: {stalled}: lopen samen weg: x1" in improper


def test_the_reported_column_is_that_of_semfit(results, fit):
    data = pd.read_csv(REFERENCE / "sem_hs.csv")
    assert "; robust: CFI" in content(results, "item_global_fit")
    plain = replace(results, fit=sem.fit(fit.model, data))
    assert "; standard: CFI" in content(plain, "item_global_fit")


def test_what_is_in_the_language_of_the_reader(results):
    assert "zien → speed: b = " in content(results, "item_paths", "nl")
    assert content(results, "item_effects") == "BCa bootstrap, 1000 draws: twice 0.50 [0.20, 0.90]."
    dutch = "BCa-bootstrap, 1000 trekkingen: twice 0,50 [0,20; 0,90]."
    assert content(results, "item_effects", "nl") == dutch
    own = "few {shops} answered; "  # a text that is no code stays as it is, braces and all
    limits = content(results, "item_limits", "nl")
    assert limits.startswith(f"één meting: richting van pijlen is aangenomen; {own}Reconstructie")
    assert content(results, "item_limits").split("; ")[2] == "Reconstruction"
    untested = replace(results, invariance="not_asked", effects="not_asked")
    assert content(untested, "item_invariance", "nl").startswith("Niet gevraagd")
    assert content(untested, "item_effects") == content(untested, "item_invariance")


def test_steps_and_notes_are_told_in_both_languages():
    failed = '{"failed": ["step_fails", {"step": ["scalar", {}]}], "freed": ""}'
    table = {
        "step": ["metric", "scalar", "strict"],
        "equal": ["loadings", "loadings, intercepts", ""],
        "verdict": ["holds_partially", "fails", "not_tested"],
        "allowed": ["allowed_covariances_partial", "allowed_as_before", "allowed_as_before"],
        "reason_code": ["difference_slight", "no_solution", "step_before_must_hold"],
        "values": [
            '{"freed": "a =~ b", "p_diff": 0.03, "rmsea_diff": 0.04, "rmsea_diff_limit": 0.05}',
            '{"freed": ""}',
            failed,
        ],
    }
    steps = SimpleNamespace(table=pd.DataFrame(table))
    english, dutch = (steps_in_words(steps, language) for language in ("en", "nl"))
    assert english["verdict"].tolist() == ["holds partially", "fails", "not tested: scalar fails"]
    assert dutch["verdict"].tolist()[2] == "niet getoetst: scalair houdt geen stand"
    assert "(partial invariance: a =~ b free)" in english["allowed"][0]
    assert dutch["allowed"][0].startswith("covarianties en paden van latente variabelen")
    assert dutch["equal"].tolist() == ["ladingen", "ladingen, intercepten", ""]
    slight = "slight: p of the difference 0.030, but its rmsea 0.040 (below 0.05)"
    assert english["reason"][0] == slight and dutch["reason"][0].startswith("gering: p van het")
    told = {"model": ["a", "b"], "note_code": ["", "other_ordered; other_rows"]}
    told |= {"note_values": ["", '[{}, {"first": 3, "second": 4}]']}
    compared = pd.DataFrame(told)
    said = ["b: other ordered variables; other rows (n = 3 and 4)."]
    assert notes_in_words(compared, "en") == said
    assert notes_in_words(compared, "nl")[0].endswith("; andere rijen (n = 3 en 4).")


@pytest.mark.parametrize(
    ("missing", "named"),
    [
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
        reporting_table(replace(results, **missing))


def test_outside_git_there_is_no_commit_and_that_is_said(results):
    outside = replace(results, origin=results.origin | {"commit": "", "lock": ""})
    assert "commit none; locked versions (sha256) none" in content(outside, "item_reproduction")


def test_all_empty_items_are_named_at_once(results):
    with pytest.raises(ValueError, match=r"2 Missing.*; 14 Measurement invariance\."):
        reporting_table(replace(results, missing_share=None, invariance=None))


def test_no_respecification_is_said_and_one_is_named(results):
    assert content(results, "item_respecifications").startswith("None: the model")
    changed = replace(results, respecifications=("x1 ~~ x7 (not planned)",))
    assert content(changed, "item_respecifications") == "x1 ~~ x7 (not planned)"


def test_origin_of_this_repository(tmp_path):
    project = Project(Path(__file__).parents[1])
    known = provenance.origin(project, project.instrument, 5)
    assert known["seed"] == "5" and re.fullmatch("[0-9a-f]{64}", known["lock"])
    assert known["data"] == provenance.checksum(project.instrument)
    nowhere = provenance.origin(Project(tmp_path), tmp_path / "none", 5)
    assert nowhere == {"commit": "", "lock": "", "data": "", "seed": "5"}
    assert set(provenance.versions()) >= {"python", "mkb21", "semopy", "numpy"}


# --- what does not apply -------------------------------------------------------------------------

CFA = "visual =~ x1 + x2 + x3\nspeed =~ x7 + x8 + x9"


def of_model(text, **given):
    data = pd.read_csv(REFERENCE / "estimators" / "data_hsmiss.csv")
    return sem.fit(sem.read_model(text), data, **({"estimator": "MLR", "missing": "fiml"} | given))


def test_a_measurement_model_has_no_paths_and_one_regression_no_loadings(results):
    without = {"flow": None, "invariance": "no_group", "comparison": "no_alternatives"}
    cfa = replace(results, fit=of_model(CFA), effects=None, **without)
    assert content(cfa, "item_paths") == "Not applicable: the model has no paths."
    assert (
        content(cfa, "item_r_squared", "nl") == "Niet van toepassing: het model heeft geen paden."
    )
    assert content(cfa, "item_loadings").startswith("6 loadings")
    assert content(cfa, "item_effects").startswith("Not applicable: the model defines no effects")
    assert content(cfa, "item_sample").startswith("Not applicable: there is no list of exclusions")
    assert content(cfa, "item_invariance").startswith("Not applicable: no groups")
    assert content(cfa, "item_comparison").startswith("Not applicable: there is no other model")
    one = replace(results, fit=of_model("x7 ~ x1"), effects=None, reliability=None, **without)
    assert content(one, "item_loadings") == "Not applicable: the model has no latent variables."
    assert content(one, "item_reliability") == content(one, "item_loadings")
    assert content(one, "item_paths").startswith("x1 → x7: b = ")
    assert "latent" not in content(one, "item_identification")
    assert "df = 0, p = –" in content(one, "item_global_fit")


def test_pairwise_is_told_as_such(results):
    fit = of_model(CFA, estimator="ML", missing="listwise")
    pairwise = replace(results, fit=replace(fit, missing="pairwise"), effects="no_defined")
    assert "each correlation rests on who answered both" in content(pairwise, "item_missing")
    assert "elke correlatie" in content(pairwise, "item_missing", "nl")


def test_steps_and_limits_of_a_study_have_its_words(results):
    flow = pd.DataFrame(
        {"step": ["read", "outside_x", "kept"], "dropped": [0, 3, 0], "remaining": [9, 6, 6]}
    )
    limits = ("one_measurement", Text(nl="één winkel", en="one shop"))
    labels = {"en": {"outside_x": "too far away"}, "nl": {}}
    own = replace(results, flow=flow, limits=limits, labels=labels)
    assert "(dropped: too far away 3)" in content(own, "item_sample")
    assert "buiten de populatie: x 3" in content(own, "item_sample", "nl")
    assert "; één winkel; Reconstructie" in content(own, "item_limits", "nl")
    assert "; one shop; Reconstruction" in content(own, "item_limits")


def test_fit_in_words_of_a_saturated_model_and_of_none():
    shown, note = fit_in_words(of_model("x7 ~ x1").measures, "nl")
    assert {"cfi", "srmr"} <= set(shown.index) and "df" not in shown.index
    assert note.startswith("geschatte parameters: 3; respondenten: 2") and "AIC" in note
    assert "logl" not in note
    nothing = pd.DataFrame(columns=["measure", "standard", "scaled", "robust"])
    shown, note = fit_in_words(nothing, "en")
    assert shown.empty and note == ""
