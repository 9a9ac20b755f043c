"""A model as far as a wave can fit it: cut, expanded, refused; the plan of a model; the same in R."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

import mkb21
import semfit
from mkb21.reconstruct import planted
from mkb21.survey import cleaning, ingest, models
from mkb21.survey.analysis import load_analysis
from mkb21.survey.instrument import load_wave

ROOT = Path(__file__).parents[1]
NOMINAL = """
# H1: motivation matters
# H3: sectors differ
use =~ way_spread + way_listen + way_respond + way_initiate
motivation =~ mot_pr + mot_sales + mot_webcare + mot_crisis
use ~ h1*motivation + h3*sector
motivation ~ sector
effect := h1*h3
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Wave 2012 in a copy of the data, with its responses."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "data", folder / "data", ignore=shutil.ignore_patterns("processed"))
    study = mkb21.open("2012", folder)
    export = ingest.read_export(study.project, study.wave)
    cleaning.save(cleaning.clean(export, study.wave), study.project, study.wave)
    return study


@pytest.fixture
def prepare(study):
    """Prepares a model, a text or the name of one, for a wave without some items or blocks."""

    def made(text, gone=(), rows=None, nominal=None, **given):
        blocks = study.wave.instrument.blocks
        items = [i for name in gone for i in (blocks[name].items if name in blocks else [name])]
        wave = load_wave(study.project, "2012").model_copy(update={"not_in_wave": items})
        analysis = load_analysis(study.project, wave)
        structural = analysis.structural.model_copy(update={"nominal": nominal or {}})
        analysis = analysis.model_copy(update={"structural": structural})
        plan = analysis.plan(**given)
        model = semfit.read_model(text, study.project.models)
        rows = study.sample("user == 1") if rows is None else rows
        return models.prepare(model, plan, rows, analysis)

    return made


def formulas(model):
    return {f"{t.lhs} {t.op} {t.rhs}" for t in model.terms}


# --- what was not asked --------------------------------------------------------------------------


def test_a_model_of_which_everything_was_asked_stays_as_it_is(prepare):
    prepared = prepare("gebruiksmodel")
    assert prepared.model is prepared.whole and prepared.left_out.empty and not prepared.notes
    assert list(prepared.hypotheses["hypothesis"]) == [f"H{k}" for k in range(1, 14)]
    assert prepared.hypotheses["tested"].all()
    assert prepared.options == {"estimator": "MLR", "missing": "fiml"}
    assert len(prepared.ordered) == 20 and "use_frequency" not in prepared.ordered


def test_without_a_latent_variable_its_paths_and_effects_go(prepare):
    prepared = prepare("gebruiksmodel", ["motivation"])
    left = prepared.left_out
    assert "motivation" not in prepared.model.latents
    assert left.query("kind == 'latent'")["lhs"].tolist() == ["motivation"]
    assert left.query("kind == 'latent'")["because"].item().startswith("mot_pr, mot_sales")
    assert set(left.query("kind == 'path'")["label"]) == {"h1", "h2", "h3", "h4", "h5", "h6"}
    assert "mot_pr ~~ per_pr" not in formulas(prepared.model) and len(left.query("op == '~~'")) == 4
    assert [n for n, _ in prepared.model.definitions] == [
        "use_perception_reputation",
        "use_reputation_total",
    ]
    assert len(left.query("kind == 'effect'")) == 3 and set(left["why"]) == {"unasked"}
    untested = prepared.hypotheses.query("~tested")["hypothesis"]
    assert list(untested) == ["H1", "H2", "H3", "H4", "H5", "H6"]
    assert ("paths_stand_for_more", {}) in prepared.notes
    fit, why = models.fitted(prepared)
    assert not why and fit.estimates["se"].notna().any()


def test_indicators_go_one_by_one_until_one_is_left(prepare):
    gone = ["env_customers", "env_competitors", "env_partners"]
    prepared = prepare("gebruiksmodel", gone)
    assert prepared.left_out[["kind", "lhs", "rhs"]].to_numpy().tolist() == [
        ["indicator", "environment", item] for item in gone
    ]
    note = {"latent": "environment", "indicator": "env_sector"}
    assert prepared.notes == [("one_indicator", note)]
    assert models.fitted(prepared)[1] == ""


def test_a_second_order_factor_goes_with_its_last_part(prepare):
    prepared = prepare("gebruiksmodel_items", ["motivation"])
    lost = prepared.left_out.query("kind == 'latent'").set_index("lhs")["because"]
    assert lost["motivation"] == "motive_pr, motive_sales, motive_webcare, motive_crisis"
    assert set(lost.index) == {"motivation", *lost["motivation"].split(", ")}
    assert set(prepared.left_out["why"]) == {"unasked"}


def test_nothing_left_is_no_model(prepare):
    prepared = prepare("f =~ cul_openness + cul_learning\nf ~ east", ["culture"])
    assert prepared.model is None and not prepared.notes
    assert prepared.left_out["kind"].tolist() == ["latent", "path"]
    assert models.fitted(prepared) == (None, "no_model")
    found = models.solution(None, "no_model")
    assert found.estimates.empty and "std_all" in found.estimates and found.problems.empty


def test_what_has_one_value_in_the_sample_falls_away(prepare, study):
    prepared = prepare("gebruiksmodel", rows=study.sample("user == 1 and east == 1"))
    left = prepared.left_out
    assert left["label"].tolist() == ["h5", "h10"] and set(left["why"]) == {"constant"}
    assert not prepared.notes and "east" not in prepared.model.observed


def test_what_is_left_can_be_too_little_and_is_then_no_fit(prepare):
    text = "f =~ cul_openness + cul_learning + env_sector\ng =~ way_spread + way_listen"
    cut = prepare(text, ["environment", "ways"])
    fit, why = models.fitted(cut)
    assert fit is None and "identified" in why
    with pytest.raises(ValueError, match="identified"):  # a model as its file has it is refused
        models.fitted(prepare("f =~ cul_openness + cul_learning"))


def test_without_a_solution_there_are_problems_and_no_numbers(prepare, study):
    prepared = prepare("gebruiksmodel", rows=study.sample("user == 1 and province == 2"))
    with pytest.warns(semfit.NoSolution):
        fit, why = models.fitted(prepared)
    assert why == "no_solution"
    found = models.solution(fit, why)
    assert found.estimates.empty and not found.problems.empty


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("motivation =~ mot_pr + mot_sales\nmotivaton ~ size", "'motivaton'.*Closest: motivation"),
        ("use =~ way_spread + way_listn", "'way_listn'.*Closest: way_listen"),
        ("use =~ way_spread + nothing_like_it", "'nothing_like_it', and it has no indicators.$"),
    ],
)
def test_names_that_no_wave_asks_are_refused_with_the_closest(prepare, text, said):
    with pytest.raises(ValueError, match=said) as refused:
        prepare(text)
    assert "motivation_score" not in str(refused.value)


def test_all_unknown_names_are_told_at_once(prepare):
    with pytest.raises(ValueError, match="'one'.*\n.*'two'"):
        prepare("use =~ way_spread + one + two")


# --- without order -------------------------------------------------------------------------------


def test_a_predictor_without_order_is_refused_unless_it_is_listed(prepare):
    with pytest.raises(ValueError, match="sector has 11 codes without order: one slope for it"):
        prepare(NOMINAL)
    assert prepare("motivation_score ~ solo").dummies.empty  # two codes: a slope is a difference


def test_a_listed_one_becomes_dummies_with_one_joint_test(prepare, study):
    prepared = prepare(NOMINAL, nominal={"sector": 9})
    dummies, rows = prepared.dummies, prepared.rows
    assert dummies["dummy"].tolist() == [f"sector_{c}" for c in range(1, 12) if c != 9]
    for row in dummies.itertuples():
        assert rows[row.dummy].sum() == row.n == (rows["sector"] == row.code).sum() > 0
        assert rows[row.dummy].isna().equals(rows["sector"].isna())
    labels = {t.rhs: t.modifier.label for t in prepared.model.terms if t.lhs == "use"}
    assert labels["sector_2"] == ("h3_2",) and labels["motivation"] == ("h1",)
    assert prepared.left_out[["lhs", "why", "because"]].to_numpy().tolist() == [
        ["effect", "nominal", "sector"]
    ]
    assert prepared.hypotheses["tested"].tolist() == [True, True]
    fit = semfit.fit(prepared.model, rows, "MLR", "fiml")
    joint = models.joint_tests(fit, dummies).set_index("lhs")
    assert joint["rhs"].tolist() == ["sector", "sector"] and (joint["df"] == 10).all()
    wald = semfit.wald(fit, [f"h3_{code} == 0" for code in dummies["code"]])
    assert joint.loc["use", "chisq"] == wald["chisq"].item()
    names = study.names(prepared, "nl")
    assert names["sector_5"] == "KvK-sector: detailhandel (tegenover zakelijke diensten)"
    assert study.names(prepared)["sector_5"] == "sector: retail (against business services)"


def test_a_category_that_nobody_chose_is_no_column_and_is_said(prepare, study):
    rows = study.sample("user == 1 and sector not in [3, 9]")
    prepared = prepare("motivation_score ~ sector", rows=rows, nominal={"sector": 9})
    largest = int(rows["sector"].value_counts().idxmax())
    assert f"sector_{largest}" not in prepared.rows and "sector_3" not in prepared.rows
    assert prepared.notes == [
        ("empty_codes", {"variable": "sector", "codes": "3, 9"}),
        ("other_reference", {"variable": "sector", "code": largest}),
    ]
    assert models.fitted(prepared)[1] == ""


@pytest.mark.parametrize("text", ["sector ~ size", "f =~ mot_pr + mot_sales + sector"])
def test_as_an_outcome_or_indicator_it_is_refused(prepare, text):
    with pytest.raises(ValueError, match="sector can only be a predictor"):
        prepare(text, nominal={"sector": 9})


# --- how it is fitted ----------------------------------------------------------------------------


def test_wlsmv_takes_all_answers_with_codes_or_those_that_are_named(prepare):
    prepared = prepare("gebruiksmodel", estimator="WLSMV")
    assert prepared.options["ordered"] == prepared.ordered and len(prepared.ordered) == 20
    named = prepare("gebruiksmodel", estimator="WLSMV", ordered=["way_spread", "prep_policy"])
    assert named.ordered == ["way_spread"]
    with pytest.raises(ValueError, match="scores only"):
        prepare("reputation_score ~ use_frequency", estimator="WLSMV")


def test_the_columns_of_sensitivity_follow_from_the_plan(prepare, study):
    plan = study.plan()
    prepared = prepare("gebruiksmodel")
    found = models.columns(prepared, plan)
    assert list(found) == ["mlr_fiml", "ml_listwise", "wlsmv", "without_careless"]
    assert found["without_careless"]["rows"] == "flag_careless in [0]"
    ordered = study.plan(estimator="WLSMV")
    found = models.columns(prepare("gebruiksmodel", estimator="WLSMV"), ordered)
    assert list(found) == ["wlsmv_pairwise", "mlr_fiml", "ml_listwise", "without_careless"]
    unknown = study.sample("user == 1").assign(flag_careless=float("nan"))
    found = models.columns(prepare("reputation_score ~ use_frequency", rows=unknown), plan)
    assert list(found) == ["mlr_fiml", "ml_listwise"]


def test_groups_need_two_values(prepare, study):
    prepared = prepare("gebruiksmodel", rows=study.sample("user == 1 and solo == 1"))
    assert [prepared.no_groups(name) for name in ("", "solo", "east")] == [
        "no_group",
        "one_group",
        "",
    ]


def test_alternatives_need_what_the_model_itself_has(prepare, study):
    plan = study.plan(alternatives=["gebruiksmodel_direct", "gebruiksmodel"])
    fits, lacking = study.alternatives(plan, study.prepare(plan))
    assert list(fits) == ["gebruiksmodel_direct"] and lacking == {"gebruiksmodel": "same_model"}
    without = mkb21.open("2012", study.project.root)
    items = [*without.wave.instrument.blocks["expected"].items]
    without.wave = load_wave(study.project, "2012").model_copy(update={"not_in_wave": items})
    without._cleaned = study._cleaned
    without.analysis = load_analysis(without.project, without.wave)
    assert not without.prepare(without.plan()).lost
    plan = without.plan(alternatives=["gebruiksmodel_expected"])
    fits, lacking = without.alternatives(plan, without.prepare(plan))
    assert not fits and lacking["gebruiksmodel_expected"].startswith(
        "not all of it was asked: exp_"
    )


# --- the same in R -------------------------------------------------------------------------------


def test_r_code_is_of_the_plan(prepare, study):
    def code(text, plan, **given):
        return models.r_code(prepare(text, **given), plan, study.analysis, "2012").splitlines()

    lines = code("gebruiksmodel", study.plan())
    assert (
        lines[2] == 'model <- paste(readLines("data/models/gebruiksmodel.lav"), collapse = "\\n")'
    )
    sample = "subset(responses, user == 1)"
    assert lines[3] == f'fit <- sem(model, {sample}, estimator = "MLR", missing = "fiml")'
    plan = study.plan(sample="user == 1 and not size in [1, 2] or east == 1", estimator="ML")
    lines = code(NOMINAL, plan, nominal={"sector": 9}, estimator="ML", missing="listwise")
    assert "responses$sector_2 <- as.numeric(responses$sector == 2)" in lines
    assert "use ~ h3_2*sector_2" in lines and "readLines" not in "".join(lines)
    rows = "subset(responses, user == 1 & !size %in% c(1, 2) | east == 1)"
    assert f'fit <- sem(model, {rows}, estimator = "ML", missing = "listwise")' in lines
    lines = code("f =~ way_spread + way_listen", study.plan(sample=""), estimator="WLSMV")
    assert lines[3].startswith("fit <- sem(model, responses, ")
    assert lines[3].endswith('ordered = c("way_spread", "way_listen"))')


# --- what was planted ----------------------------------------------------------------------------


def test_planted_paths_are_known_also_where_a_question_was_added(study, tmp_path):
    known = planted(study.project, study.wave)
    assert len(known) == 14 and known["planted"].dtype == float
    shutil.copytree(study.project.root / "data", tmp_path / "data")
    path = tmp_path / "data" / "assumptions" / "2012.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("    cul_learning:", "    cul_learnt:"), encoding="utf-8")
    assert text.count("    cul_learning:") >= 1
    other = mkb21.open("2012", tmp_path)
    pd.testing.assert_frame_equal(planted(other.project, other.wave), known)
    for origin in ("observed", "demonstration"):
        wave = study.wave.model_copy(update={"origin": origin})
        assert planted(study.project, wave).empty


def test_an_alternative_is_not_left_out_for_an_effect_that_it_loses_too(study):
    other = mkb21.open("2012", study.project.root)
    items = [*other.wave.instrument.blocks["culture"].items]
    other.wave = load_wave(study.project, "2012").model_copy(update={"not_in_wave": items})
    other.analysis = load_analysis(other.project, other.wave)
    other._cleaned = study._cleaned
    plan = other.plan(alternatives=["gebruiksmodel_full_mediation", "gebruiksmodel_items"])
    prepared = other.prepare(plan)
    assert prepared.lost == {*items, "culture"}
    fits, lacking = other.alternatives(plan, prepared)
    assert list(fits) == plan.alternatives and not lacking
