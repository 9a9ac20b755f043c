"""data/analysis.yaml: what it says, its faults, and how it is cut to what a wave asked."""

import shutil
from pathlib import Path

import pytest

from mkb21.run.paths import Project
from mkb21.survey.analysis import load_analysis
from mkb21.survey.instrument import load_wave

ROOT = Path(__file__).parents[1]
MAIN = "gebruiksmodel"


@pytest.fixture
def project(tmp_path):
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("processed"))
    return Project.find(tmp_path)


@pytest.fixture(scope="module")
def analysis():
    project = Project(ROOT)
    return load_analysis(project, load_wave(project, "2012"))


def without(*gone):
    """The analysis of a wave that did not ask some blocks or items."""
    project = Project(ROOT)
    wave = load_wave(project, "2012")
    items = [i for name in gone for i in wave.instrument.blocks[name].items] if gone else []
    return load_analysis(project, wave.model_copy(update={"not_in_wave": items}))


# --- what it says --------------------------------------------------------------------------------


def test_pairs_pair_up_by_name(analysis):
    motives = [n.removeprefix("mot_") for n in analysis.questions.block("motivation")]
    assert analysis.pairs == [(f"mot_{name}", f"per_{name}") for name in motives]


def test_shares_are_of_the_scale_of_an_item(analysis):
    assert analysis.share("use_twitter", "weekly").codes == [3, 4, 5]
    assert analysis.share("use_twitter", "active").codes == [2, 3, 4, 5]
    assert analysis.share("exp_twitter", "likely").codes == [4, 5]
    assert analysis.share("prep_policy", "agree").codes == [4, 5]
    assert analysis.share("prep_policy", "disagree").label["nl"] == "(helemaal) mee oneens"


def test_contrasts_leave_out_listening_and_crises(analysis):
    ways, aims = analysis.contrasts["ways"], analysis.contrasts["aims"]
    assert sorted(ways.interactive + ways.other) == sorted(analysis.questions.block("ways"))
    left_out = {*analysis.questions.block("motivation")} - {*aims.interactive, *aims.other}
    assert left_out == {"mot_monitoring", *analysis.questions.constructs["mot_crisis"].items}


def test_every_question_is_shown_once(analysis):
    shown = []
    for section in analysis.descriptives.values():
        for result in section.results.values():
            shown += result.items
            if result.kind == "gaps":
                shown += [second for _, second in analysis.pairs]
    assert sorted(shown) == sorted(analysis.questions.items)
    assert list(analysis.descriptives["other"].results) == ["channel", "culture", "environment"]


def test_scales_and_families_follow_from_the_constructs(analysis):
    assert set(analysis.questions.constructs) - set(analysis.scales) == {
        "use_frequency",
        "use_score",
    }
    assert analysis.families == {
        f"{name}_score": [f"{name[:3]}_{kind}" for kind in ("pr", "sales", "webcare", "crisis")]
        for name in ("motivation", "perception")
    }


def test_without_the_file_everything_follows_from_the_questionnaire(project):
    project.analysis.unlink()
    analysis = load_analysis(project, load_wave(project, "2012"))
    assert list(analysis.descriptives) == ["other"] and analysis.left_out == ()
    results = analysis.descriptives["other"].results
    assert [n for n in results if n in analysis.questions.blocks] == [
        n for n in analysis.questions.blocks if n not in ("company", "organisation")
    ]
    assert {"province", "sector", "size", "responsible", "channel"} <= set(results)
    assert "use_frequency" in analysis.scales and analysis.plan(MAIN).alternatives == []


ASKED_MORE = """
  numbers:
    title: {nl: Getallen, en: Numbers}
    source: ours
    items:
      age: {scale: years, label: {nl: leeftijd, en: age}}
      first: {scale: euro, label: {nl: omzet, en: turnover}}
      second: {scale: euro, label: {nl: winst, en: profit}}
      remark: {scale: words, label: {nl: opmerking, en: remark}}
      trained: {scale: chosen, label: {nl: geschoold, en: trained}}
  knowledge:
    title: {nl: Kennis, en: Knowledge}
    source: ours
    scale: agreement
    items:
      kno_one: {label: {nl: een, en: one}}
      kno_two: {label: {nl: twee, en: two}}

derived:
"""
SCALES_MORE = """
  years: {kind: number, unit: {nl: jaar, en: years}, range: [0, 150]}
  euro: {kind: number, unit: {nl: euro, en: euro}}
  words: {kind: open}

blocks:
"""


def test_what_is_asked_more_is_shown_by_itself_in_a_kind_that_fits(project):
    text = project.instrument.read_text(encoding="utf-8")
    text = text.replace("\nderived:\n", ASKED_MORE, 1).replace("\nblocks:\n", SCALES_MORE, 1)
    project.instrument.write_text(text, encoding="utf-8")
    wave = project.wave_file("2012")
    items = "age first second remark trained kno_one kno_two".split()
    columns = "columns:\n" + "".join(f"  {item}: new_{item}\n" for item in items)
    wave.write_text(
        wave.read_text(encoding="utf-8").replace("columns:\n", columns, 1), encoding="utf-8"
    )
    analysis = load_analysis(project, load_wave(project, "2012"))
    results = analysis.descriptives["other"].results
    shown = {name: (r.items, r.kind, r.table, r.order) for name, r in results.items()}
    assert shown["age"] == (["age"], "histogram", None, "value")
    assert shown["first"] == (["first", "second"], "histogram", None, "value")
    assert shown["remark"][:2] == (["remark"], "answers")
    assert shown["trained"][:2] == (["trained"], "bars")
    assert shown["knowledge"] == (["kno_one", "kno_two"], "stacked", "means", "scale")
    assert results["first"].title["en"] == "Numbers" and results["age"].title["en"] == "Age"
    assert analysis.unit("age", "nl") == "jaar" and analysis.unit("kno_one") == ""


def test_names_that_are_given_go_before_those_of_the_file(analysis):
    assert analysis.chosen(None, ["solo"]) == ["solo"] and analysis.chosen([], ["solo"]) == []
    assert analysis.chosen("east", ["solo"]) == ["east"]
    with pytest.raises(ValueError, match="'esat' is not in this wave.* Closest: east"):
        analysis.chosen(["esat"], ["solo"])
    with pytest.raises(ValueError, match="'solo' is not in this wave"):
        analysis.chosen(["solo"], [], among=analysis.questions.constructs)


# --- what a wave did not ask ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "results", "others"),
    [
        ("company", ["fig01_province", "fig02_sector", "fig03_size"], {"solo", "east", "size"}),
        ("market", ["fig04_market"], {"b2b", "b2c"}),
        ("frequency", ["fig07_frequency", "fig09_reasons", "fig10_preparation"], {"user"}),
        ("motivation", ["fig12_gaps"], {"mot_awareness", "motivation_score"}),
        ("culture", [], {"who"}),
    ],
)
def test_what_was_not_asked_is_left_out_and_named(block, results, others):
    analysis = without(block)
    lost = {out.name for out in analysis.left_out}
    assert set(results) <= lost
    shown = [name for s in analysis.descriptives.values() for name in s.results]
    assert not set(results) & set(shown)
    unasked = {name for out in analysis.left_out for name in (out.kind, out.name, *out.unasked)}
    assert others <= unasked


def test_a_wave_has_the_contrasts_of_what_it_asked():
    project = Project(ROOT)
    gone = ["way_initiate", "way_feedback", "way_innovation", "mot_questions"]
    wave = load_wave(project, "2012").model_copy(update={"not_in_wave": gone})
    analysis = load_analysis(project, wave)
    assert list(analysis.contrasts) == ["aims"]  # of ways one side is empty
    assert analysis.contrasts["aims"].interactive == ["mot_dialogue", "mot_complaints"]
    assert ("mot_questions", "per_questions") not in analysis.pairs and len(analysis.pairs) == 11
    assert "ways" in {out.name for out in analysis.left_out if out.kind == "indicator"}


def test_without_the_question_on_use_the_model_is_about_everybody():
    analysis = without("frequency")
    assert analysis.plan(MAIN).sample == "" and not analysis.samples
    assert analysis.structural.who is None


# --- the plan of a model -------------------------------------------------------------------------


def test_what_is_given_goes_before_what_the_file_says(analysis):
    plan = analysis.plan(MAIN, group="", bootstrap_draws=0, estimator=None)
    assert (plan.group, plan.bootstrap_draws, plan.estimator) == ("", 0, "MLR")
    assert plan.missing == "fiml" and len(plan.alternatives) == 4
    assert analysis.plan(MAIN, estimator="WLSMV").missing == "pairwise"


def test_another_model_is_compared_with_the_main_one(analysis):
    plan = analysis.plan("gebruiksmodel_direct")
    assert plan.alternatives[0] == MAIN and "gebruiksmodel_direct" not in plan.alternatives
    assert analysis.plan("gebruiksmodel_direct", alternatives=[]).alternatives == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"group": "sollo"}, "group: this wave has no variable 'sollo'. Closest: solo"),
        ({"estimator": "MRL"}, "estimator: Input should be 'MLR', 'ML' or 'WLSMV'"),
        ({"sample": "usser == 1"}, "'usser' is neither a sample nor a variable"),
        ({"sample": "user == 1 and est == 1"}, "'est' is neither"),
        ({"bootstrap_draws": -1}, "bootstrap_draws: Input should be greater"),
        ({"ordered": ["cul_opennes"]}, "ordered: this wave has no variable 'cul_opennes'"),
        ({"missing": "pairwise"}, "pairwise is of WLSMV; MLR takes fiml or listwise"),
        ({"estimator": "WLSMV", "missing": "fiml"}, "fiml is of ML and MLR"),
    ],
)
def test_what_cannot_be_is_refused_with_the_closest(analysis, given, said):
    with pytest.raises(ValueError, match=r"^\w+: ") as refused:
        analysis.plan(MAIN, **given)
    assert said in str(refused.value)


# --- faults --------------------------------------------------------------------------------------

FAULTS = {
    "pair with an unknown item": (
        ("[mot_leads, per_leads]", "[mot_leads, per_lead]"),
        "pairs.4.1: unknown item 'per_lead'. Closest: per_leads",
    ),
    "item in two pairs": (
        ("[mot_leads, per_leads]", "[mot_leads, per_turnover]"),
        "pairs.4: per_turnover stands in pairs 2 times",
    ),
    "share with a code that is not there": (
        ("weekly: {codes: [3, 4, 5]", "weekly: {codes: [3, 4, 6]"),
        "shares.frequency.weekly: the scale has no code 6",
    ),
    "contrast with an unknown item": (
        ("[way_spread, way_listen, way_respond]", "[way_spread, way_listening, way_respond]"),
        "contrasts.ways.other.1: unknown item 'way_listening'. Closest: way_listen",
    ),
    "contrast with one side": (
        ("    other: [way_spread, way_listen, way_respond]\n", ""),
        "contrasts.ways.other: this key is missing",
    ),
    "unknown block": (
        ("block: frequency\n        kind", "block: frequencies\n        kind"),
        "fig07_frequency.block: unknown block 'frequencies'. Closest: frequency",
    ),
    "unknown sample": (
        ("sample: non_users", "sample: nonusers"),
        "fig09_reasons.sample: unknown sample 'nonusers'. Closest: non_users",
    ),
    "share that the scale does not have": (
        ("shares: [likely]", "shares: [likly]"),
        "unknown share of the scale likelihood 'likly'. Closest: likely",
    ),
    "unknown kind": (("kind: gaps", "kind: gap"), "fig12_gaps.kind: Input should be"),
    "unknown group": (("group: solo", "group: sollo"), "structural.group: unknown variable"),
    "unknown construct": (
        ("    use_score:\n      nl", "    use_scores:\n      nl"),
        "reliability.leave_out.use_scores: unknown construct 'use_scores'",
    ),
    "unknown key": (("variants:\n", "varients:\n"), "varients: this key is not known here"),
    "block and items": (
        ("block: reputation\n", "block: reputation\n        items: [rep_trust]\n"),
        "fig13_reputation: give either block or items",
    ),
    "kind that does not fit": (
        (
            "block: reputation\n        sample: users\n        kind: stacked",
            "block: reputation\n        kind: histogram",
        ),
        "fig13_reputation: histogram does not fit its items; use stacked, means",
    ),
    "items on several scales": (
        ("items: [province]", "items: [province, size]"),
        "fig01_province: its items stand on different scales",
    ),
    "two results of one name": (
        ("      fig08_expected:", "      fig01_province:"),
        "another result or table of indicators has this name",
    ),
    "unknown predictor": (("size, b2c, east]", "sise, b2c, east]"), "unknown variable 'sise'"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named_with_their_line(project, name):
    (old, new), said = FAULTS[name]
    text = project.analysis.read_text(encoding="utf-8")
    assert old in text
    project.analysis.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=r"analysis.yaml has \d+ fault") as refused:
        load_analysis(project, load_wave(project, "2012"))
    lines = [line for line in str(refused.value).splitlines() if said in line]
    assert lines, str(refused.value)
    assert int(lines[0].split(".yaml:")[1].split(":")[0]) > 1
