"""The questionnaire and the wave of 2012; every kind of fault in an edited copy of their files."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from mkb21.page import claims as claim_words
from mkb21.run.paths import Project
from mkb21.survey import cleaning, published
from mkb21.survey.analysis import load_analysis
from mkb21.survey.ingest import read_export
from mkb21.survey.instrument import LANGUAGES, load_instrument, load_wave

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def instrument():
    """As wave 2012 had it: a later wave may ask more."""
    return load_wave(Project(ROOT), "2012").instrument


@pytest.fixture(scope="module")
def wave():
    return load_wave(Project(ROOT), "2012")


@pytest.fixture
def project(tmp_path):
    """A project of the two real files, to spoil."""
    copy = Project(tmp_path)
    for path in (copy.instrument, copy.wave_file("2012")):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path.relative_to(tmp_path), path)
    return copy


def edit(path, *changes):
    """Replace each old text, which must stand in the file once, by the new one."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def faults(load, *args):
    """The faults of a refused file: (line, rest of the message), after the first line."""
    with pytest.raises(ValueError) as refused:
        load(*args)
    first, *rest = str(refused.value).splitlines()
    count = len(rest)
    assert first.endswith(f"has {count} fault{'s' if count > 1 else ''}:")
    found = [re.fullmatch(r"(.+\.yaml):(\d+): (.+)", line) for line in rest]
    assert all(found), rest
    return [(Path(m[1]), int(m[2]), m[3]) for m in found]


def said(fault, path, line, message) -> bool:
    """Is it this fault? More near names than the first may follow."""
    return fault[:2] == (path, line) and fault[2].startswith(message)


def line_of(path, text, nth=1):
    """Number of the line in which a text stands for the nth time (at its start, after \\n)."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if text in f"\n{line}"][nth - 1]


# --- the shipped files ---------------------------------------------------------------------------

ITEMS = {
    "company": "province sector size",
    "market": "b2b b2c",
    "organisation": "responsible channel",
    "manager": "manager_owner manager_marketing manager_employee manager_external manager_intern",
    "culture": "cul_openness cul_innovation cul_customer cul_collaboration cul_learning",
    "environment": "env_customers env_competitors env_partners env_sector",
    "frequency": "use_twitter use_facebook use_linkedin use_hyves use_googleplus use_video "
    "use_photo use_blogs use_forums use_location",
    "expected": "exp_twitter exp_facebook exp_linkedin exp_hyves exp_googleplus exp_video "
    "exp_photo exp_blogs exp_forums exp_location",
    "reasons": "reason_knowledge reason_time reason_value reason_audience reason_risk reason_cost "
    "reason_other",
    "preparation": "prep_research prep_training prep_guidelines prep_policy prep_evaluation",
    "ways": "way_spread way_listen way_respond way_initiate way_feedback way_innovation",
    "motivation": "mot_awareness mot_messages mot_dialogue mot_turnover mot_leads mot_offers "
    "mot_questions mot_complaints mot_monitoring mot_informing mot_rumours mot_signals",
    "perception": "per_awareness per_messages per_dialogue per_turnover per_leads per_offers "
    "per_questions per_complaints per_monitoring per_informing per_rumours per_signals",
    "reputation": "rep_feeling rep_admiration rep_respect rep_trust rep_appeal",
}
CONSTRUCTS = {  # construct -> number of parts; the whitepaper and the issue name what they measure
    "culture_score": 5,
    "environment_score": 4,
    "mot_pr": 3,
    "mot_sales": 3,
    "mot_webcare": 3,
    "mot_crisis": 3,
    "motivation_score": 4,
    "use_frequency": 10,
    "use_ways": 6,
    "use_score": 2,
    "preparation": 5,
    "per_pr": 3,
    "per_sales": 3,
    "per_webcare": 3,
    "per_crisis": 3,
    "perception_score": 4,
    "reputation_score": 5,
}


def test_every_promised_question_is_there(instrument):
    assert {name: " ".join(block.items) for name, block in instrument.blocks.items()} == ITEMS
    assert list(instrument.items) == " ".join(ITEMS.values()).split()
    assert {name: len(spec.items) for name, spec in instrument.constructs.items()} == CONSTRUCTS
    assert set(instrument.derived) == {"region", "east", "solo", "user"}


def test_dimensions_are_of_their_own_block(instrument):
    for prefix, block in (("mot", "motivation"), ("per", "perception")):
        parts = [instrument.constructs[f"{prefix}_{d}"] for d in "pr sales webcare crisis".split()]
        assert [item for part in parts for item in part.items] == instrument.block(block)


def test_scales_are_those_of_the_whitepaper(instrument):
    provinces = list(instrument.codes("province", "nl").values())
    assert provinces[:6] == "Groningen Friesland Drenthe Overijssel Gelderland Flevoland".split()
    assert instrument.derived["region"].recode.codes == {1: [1, 2, 3], 2: [4, 5, 6]}
    assert list(instrument.codes("size").values())[1:4] == [
        "2-9 employees",
        "10-49 employees",
        "50-249 employees",
    ]
    assert list(instrument.codes("use_twitter").values()) == [
        "rarely or never",
        "monthly",
        "weekly",
        "daily",
        "continuously",
    ]
    likely = list(instrument.codes("exp_twitter").values())
    assert (likely[0], likely[-1], len(likely)) == ("very unlikely", "very likely", 5)
    assert list(instrument.codes("channel").values()) == [
        "Chamber of Commerce",
        "congress",
        "partners",
        "LinkedIn",
    ]
    for block in ("culture", "environment", "preparation", "ways", "motivation", "reputation"):
        assert {instrument.scale_name(item) for item in instrument.block(block)} == {"agreement"}


def test_who_is_asked_what(instrument):
    asked = {name: b.asked_if.codes for name, b in instrument.blocks.items() if b.asked_if}
    of_users = ("preparation", "ways", "motivation", "perception", "reputation")
    assert asked == {"reasons": [0]} | {name: [1] for name in of_users}
    assert {b.asked_if.variable for b in instrument.blocks.values() if b.asked_if} == {"user"}
    assert instrument.derived["user"].any_at_least.items == instrument.block("frequency")
    assert {name for name, b in instrument.blocks.items() if b.multiple} == {
        "market",
        "manager",
        "reasons",
    }


def test_media_pair_up_by_name(instrument):
    present = [n.removeprefix("use_") for n in instrument.block("frequency")]
    assert instrument.block("expected") == [f"exp_{name}" for name in present]
    for name in present:
        assert instrument.label(f"use_{name}") == instrument.label(f"exp_{name}")


def test_every_label_is_there_in_both_languages_and_different_within_its_block(instrument):
    for language in LANGUAGES:
        for block in instrument.blocks:
            labels = list(instrument.labels(instrument.block(block), language).values())
            assert all(labels) and len(set(labels)) == len(labels)
        for item in instrument.items:
            codes = list(instrument.codes(item, language).values())
            assert all(codes) and len(set(codes)) == len(codes)
            assert len(instrument.text(item, language)) > len("een vraag of optie")
        for name in [*instrument.derived, *instrument.constructs]:
            assert instrument.label(name, language)


def test_the_two_languages_differ_in_wording(instrument):
    asked = [i for i in instrument.items if instrument.text(i, "nl") == instrument.text(i, "en")]
    assert asked == []


def test_every_block_says_where_it_comes_from(instrument):
    assert all(
        "whitepaper" in block.source or "method section" in block.source
        for block in instrument.blocks.values()
    )
    assert "not published" in instrument.wording.en
    assert "niet gepubliceerd" in instrument.wording.nl


def test_the_wave_of_2012(wave):
    assert wave.synthetic and wave.items == list(wave.instrument.items)
    assert (wave.fieldwork.start.year, wave.fieldwork.start.month) == (2012, 10)
    assert wave.notice("nl").startswith("Reconstructie") and "2012" in wave.notice("nl")
    assert "invented" in wave.notice("en")
    assert wave.model_copy(update={"origin": "observed"}).notice() is None
    wholly = wave.model_copy(update={"origin": "demonstration"})
    assert wholly.synthetic and "geheel verzonnen" in wholly.notice("nl")
    assert wholly.notice() == (
        "Demonstration: the respondents of 2012 and their answers are wholly invented. "
        "Not observations."
    )
    with pytest.raises(ValueError, match="language is 'de'; use one of nl, en"):
        wave.notice("de")


# --- asking the instrument -----------------------------------------------------------------------


def test_text_and_codes(instrument):
    assert instrument.text("b2b", "nl") == "Op welke markt is uw bedrijf actief? bedrijven (B2B)"
    assert instrument.text("size", "nl").startswith("Hoeveel mensen werken er")
    assert instrument.codes("culture_score") == {}
    assert instrument.scale_name("culture_score") == ""
    assert instrument.codes("user") == {0: "no", 1: "yes"}


def test_min_answered_is_half_rounded_up_unless_given(instrument):
    given = {name: instrument.min_answered(name) for name in instrument.constructs}
    assert given["culture_score"] == 3 and given["environment_score"] == 2
    assert given["mot_pr"] == 2 and given["use_score"] == 2 and given["use_frequency"] == 5


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda i: i.label("use_twiter"), "no variable 'use_twiter'. Closest: use_twitter"),
        (lambda i: i.codes("use_twiter"), "no variable 'use_twiter'. Closest: use_twitter"),
        (lambda i: i.block("way"), "no block 'way', or this wave did not ask it. Closest: ways"),
        (lambda i: i.text("user"), "no item 'user'"),
        (lambda i: i.label("size", "fr"), "language is 'fr'"),
    ],
)
def test_unknown_names_are_refused(instrument, ask, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        ask(instrument)


# --- faults in the instrument --------------------------------------------------------------------
# what to change, where the fault is (a text of the changed line), its place, and what is said

INSTRUMENT_FAULTS = {
    "unknown scale": (
        [("        scale: size\n", "        scale: sise\n")],
        ("      size:", 1),
        "blocks.company.items.size",
        "unknown scale 'sise'. Closest: size",
    ),
    "unknown scale of a block": (
        [("    scale: frequency\n    items:", "    scale: frequencies\n    items:")],
        ("  frequency:", 2),
        "blocks.frequency",
        "unknown scale 'frequencies'. Closest: frequency",
    ),
    "any_at_least of an unknown item": (
        [("      items: [use_twitter, use", "      items: [use_twiter, use")],
        ("      items: [use_twiter", 1),
        "derived.user.any_at_least.items",
        "unknown variable 'use_twiter'. Closest: use_twitter",
    ),
    "no scale": (
        [("        scale: channel\n", "")],
        ("      channel:", 1),
        "blocks.organisation.items.channel",
        "it has no scale",
    ),
    "multiple without 0 and 1": (
        [
            (
                "    multiple: true\n    scale: chosen\n    items:\n      b2b",
                "    multiple: true\n    scale: region\n    items:\n      b2b",
            )
        ],
        ("      b2b:", 1),
        "blocks.market.items.b2b",
        "an option of a multiple question needs a scale with codes 0 and 1",
    ),
    "name in a block and derived": (
        [("  solo:\n", "  size:\n")],
        ("  size:", 3),
        "derived.size",
        "the name 'size' is used 2 times",
    ),
    "name in two blocks": (
        [("      channel:\n", "      sector:\n")],
        ("      sector:", 2),
        "blocks.organisation.items.sector",
        "the name 'sector' is used 2 times",
    ),
    "name in a block and constructs": (
        [("  use_ways:\n", "  way_spread:\n"), ("[use_ways, ", "[way_spread, ")],
        ("  way_spread:", 2),
        "constructs.way_spread",
        "the name 'way_spread' is used 2 times",
    ),
    "reserved name": (
        [("      channel:\n", "      started:\n")],
        ("      started:", 1),
        "blocks.organisation.items.started",
        "the name 'started' is reserved",
    ),
    "no name": (
        [("      channel:\n", "      the channel:\n")],
        ("      the channel:", 1),
        "blocks.organisation.items.the channel",
        "'the channel' is not a name: use letters, digits and _",
    ),
    "key twice": (
        [("      channel:\n", "      responsible:\n")],
        ("      responsible:", 2),
        "blocks.organisation.items.responsible",
        "this name stands more than once here",
    ),
    "unknown key": (
        [
            (
                "    asked_if: {variable: user, codes: [0]}\n",
                "    asked_when: {variable: user, codes: [0]}\n",
            )
        ],
        ("    asked_when", 1),
        "blocks.reasons.asked_when",
        "this key is not known here",
    ),
    "missing key": (
        [("    source: Figure 4 of the whitepaper (both may be chosen).\n", "")],
        ("  market:", 1),
        "blocks.market.source",
        "this key is missing",
    ),
    "missing translation": (
        [("{nl: provincie, en: province}", "{nl: provincie}")],
        ("label: {nl: provincie}", 1),
        "blocks.company.items.province.label.en",
        "this key is missing",
    ),
    "empty translation": (
        [("{nl: provincie, en: province}", "{nl: provincie, en: ''}")],
        ("{nl: provincie, en: ''}", 1),
        "blocks.company.items.province.label.en",
        "String should have at least 1 character (found '')",
    ),
    "a word that YAML reads as a truth value": (
        [('0: {nl: nee, en: "no"}', "0: {nl: nee, en: no}")],
        ("0: {nl: nee, en: no}", 1),
        "scales.chosen.codes.0.en",
        (
            "Input should be a valid string (found False): YAML reads yes, no, on and off as true or "
            "false: write it in quotes"
        ),
    ),
    "a name that YAML reads as a truth value": (
        [("      channel:\n", "      off:\n")],
        ("      off:", 1),
        "blocks.organisation.items.off",
        'YAML reads yes, no, on and off as true or false: write it in quotes, "off"',
    ),
    "two answers with one label": (
        [("{nl: Oost-Nederland, en: East}", "{nl: Oost-Nederland, en: north}")],
        ("en: north}", 1),
        "scales.region.codes.2",
        "the label 'north' (en) would also be read as 1: give each its own words",
    ),
    "a label that is another code": (
        [("{nl: partners, en: partners}\n      4: {nl", "{nl: '4', en: partners}\n      4: {nl")],
        ("{nl: '4'", 1),
        "scales.channel.codes.3",
        "the label '4' (nl) would also be read as 4: give each its own words",
    ),
    "one code in two ways": (
        [("      2: {nl: Oost-Nederland", "      01: {nl: Oost-Nederland")],
        ("      01: {nl: Oost", 1),
        "scales.region.codes.1",
        "this name stands more than once here",
    ),
    "until before since": (
        [("      channel:\n", '      channel:\n        since: "2014"\n        until: "2012-b"\n')],
        ("        until", 1),
        "blocks.organisation.items.channel.until",
        "2012-b is before 2014",
    ),
    "since a number": (
        [("      channel:\n", "      channel:\n        since: 2014\n")],
        ("        since", 1),
        "blocks.organisation.items.channel.since",
        "Input should be a valid string (found 2014): write it in quotes",
    ),
    "a code that is no number": (
        [("      4: {nl: dagelijks, en: daily}", "      four: {nl: dagelijks, en: daily}")],
        ("      four:", 1),
        "scales.frequency.codes.four",
        "Input should be a valid integer, unable to parse string as an integer (found 'four')",
    ),
    "construct with a missing item": (
        [("items: [cul_openness, ", "items: [cul_opennes, ")],
        ("items: [cul_opennes, ", 1),
        "constructs.culture_score.items",
        "unknown item 'cul_opennes'. Closest: cul_openness",
    ),
    "construct with an item twice": (
        [("items: [cul_openness, ", "items: [cul_openness, cul_openness, ")],
        ("items: [cul_openness, ", 1),
        "constructs.culture_score.items",
        "cul_openness stands more than once",
    ),
    "construct of a nominal item": (
        [("items: [cul_openness, ", "items: [sector, ")],
        ("items: [sector, ", 1),
        "constructs.culture_score.items",
        "sector is not on an ordinal scale: a mean of it says nothing",
    ),
    "construct that asks for too many answers": (
        [("min_answered: 2", "min_answered: 3")],
        ("  use_score:", 1),
        "constructs.use_score",
        "min_answered is 3, with 2 items",
    ),
    "construct that contains itself": (
        [("    items: [use_ways, use_frequency]", "    items: [use_ways, use_score]")],
        ("  use_score:", 1),
        "constructs.use_score",
        "it depends on itself: use_score <- use_score",
    ),
    "constructs in a circle": (
        [
            (
                "items: [mot_awareness, mot_messages, mot_dialogue]",
                "items: [mot_awareness, mot_messages, motivation_score]",
            )
        ],
        ("  mot_pr:", 1),
        "constructs.mot_pr",
        "it depends on itself: mot_pr <- motivation_score <- mot_pr",
    ),
    "routing on an unknown variable": (
        [("asked_if: {variable: user, codes: [0]}", "asked_if: {variable: users, codes: [0]}")],
        ("variable: users", 1),
        "blocks.reasons.asked_if",
        "unknown variable 'users'. Closest: user",
    ),
    "routing on an unknown code": (
        [("asked_if: {variable: user, codes: [0]}", "asked_if: {variable: user, codes: [2]}")],
        ("codes: [2]}", 1),
        "blocks.reasons.asked_if",
        "user has no code 2; its codes are 0, 1",
    ),
    "routing on itself": (
        [
            (
                "    source: Figure 4 of",
                "    asked_if: {variable: b2c, codes: [1]}\n    source: Figure 4 of",
            )
        ],
        ("    asked_if: {variable: b2c", 1),
        "blocks.market.asked_if",
        "it depends on itself: b2c <- b2c",
    ),
    "routing on itself by way of a derived variable": (
        [
            (
                "    scale: frequency\n    items:",
                "    scale: frequency\n    asked_if: {variable: user, codes: [1]}\n    items:",
            )
        ],
        ("    asked_if: {variable: user, codes: [1]}", 1),
        "blocks.frequency.asked_if",
        "it depends on itself: use_twitter <- user <- use_twitter",
    ),
    "derived without a rule": (
        [("    recode: {from: size, codes: {0: [2, 3, 4], 1: [1]}}\n", "")],
        ("  solo:", 1),
        "derived.solo",
        "give either recode or any_at_least",
    ),
    "derived from something unknown": (
        [("recode: {from: size,", "recode: {from: seize,")],
        ("from: seize", 1),
        "derived.solo.recode",
        "unknown variable 'seize'. Closest: size",
    ),
    "derived from an unknown code": (
        [("codes: {0: [2, 3, 4], 1: [1]}", "codes: {0: [2, 3, 9], 1: [1]}")],
        ("[2, 3, 9]", 1),
        "derived.solo.recode",
        "size has no code 9; its codes are 1, 2, 3, 4, 5",
    ),
    "derived with an old code twice": (
        [("codes: {0: [2, 3, 4], 1: [1]}", "codes: {0: [1, 2, 3, 4], 1: [1]}")],
        ("[1, 2, 3, 4], 1: [1]", 1),
        "derived.solo.recode",
        "the old code 1 is given to two new codes",
    ),
    "derived into a code that is not there": (
        [("codes: {0: [2, 3, 4], 1: [1]}", "codes: {0: [2, 3, 4], 2: [1]}")],
        ("  solo:", 1),
        "derived.solo",
        "it makes codes that the scale 'chosen' does not have",
    ),
    "any_at_least a code that is not there": (
        [("      code: 2\n", "      code: 6\n")],
        ("    any_at_least:", 1),
        "derived.user.any_at_least",
        "use_twitter has no code 6; its codes are 1, 2, 3, 4, 5",
    ),
}


@pytest.mark.parametrize("name", INSTRUMENT_FAULTS)
def test_faults_of_the_instrument(project, name):
    changes, (text, nth), place, reason = INSTRUMENT_FAULTS[name]
    edit(project.instrument, *changes)
    found = faults(load_instrument, project)
    line = line_of(project.instrument, text, nth)
    assert [f for f in found if said(f, project.instrument, line, f"{place}: {reason}")], found


def test_one_fault_gives_one_message(project):
    alone = {}
    original = project.instrument.read_text(encoding="utf-8")
    for name, (changes, *_) in INSTRUMENT_FAULTS.items():
        edit(project.instrument, *changes)
        alone[name] = len(faults(load_instrument, project))
        project.instrument.write_text(original, encoding="utf-8")
    several = {name: count for name, count in alone.items() if count > 1}
    assert several == {  # at each of two places, or of each item
        "multiple without 0 and 1": 2,
        "name in a block and derived": 2,
        "name in two blocks": 2,
        "name in a block and constructs": 2,
        "key twice": 2,
        "one code in two ways": 3,  # of one code only nothing can be made
        "any_at_least a code that is not there": 10,
    }


def test_all_faults_are_said_at_once_in_the_order_of_the_file(project):
    together = [
        "unknown scale",
        "name in two blocks",
        "unknown key",
        "missing translation",
        "construct with a missing item",
        "routing on itself by way of a derived variable",
        "constructs in a circle",
        "derived with an old code twice",
    ]
    edit(project.instrument, *[change for n in together for change in INSTRUMENT_FAULTS[n][0]])
    found = faults(load_instrument, project)
    assert [line for _, line, _ in found] == sorted(line for _, line, _ in found)
    for name in together:
        _, (text, nth), place, reason = INSTRUMENT_FAULTS[name]
        line = line_of(project.instrument, text, nth)
        assert [f for f in found if said(f, project.instrument, line, f"{place}: {reason}")], name
    assert len(found) == len(together) + 1  # a name in two blocks has two places


# --- files that cannot be read -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty or is not a mapping"),
        (b"# only a comment\n", "is empty or is not a mapping"),
        (b"- a\n- b\n", "is empty or is not a mapping"),
        (b"title: {nl: a, en: b\nscales: x\n", "is not valid YAML: "),
        (b"? [a, b]\n: c\n", "is not valid YAML: "),
        ("title: café\n".encode("cp1252"), "is not UTF-8 text (byte 10). Save it as UTF-8."),
    ],
)
def test_files_that_are_no_yaml(project, content, said):
    for path, load in (
        (project.wave_file("2012"), lambda: load_wave(project, "2012")),
        (project.instrument, lambda: load_instrument(project)),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(said)) as refused:
            load()
        assert str(path) in str(refused.value)


def test_invalid_yaml_says_on_which_line(project):
    edit(project.instrument, ("  size:\n    kind: ordinal", "  size:\n    kind: [ordinal"))
    with pytest.raises(ValueError, match="is not valid YAML") as refused:
        load_instrument(project)
    line = line_of(project.instrument, "kind: [ordinal")
    assert f"line {line}" in str(refused.value) or f"line {line + 1}" in str(refused.value)


def test_without_an_instrument(project):
    project.instrument.unlink()
    with pytest.raises(ValueError, match=r"instrument\.yaml cannot be read: No such file"):
        load_instrument(project)


# --- faults in a wave ----------------------------------------------------------------------------

WAVE_FAULTS = {
    "other name": (
        [('wave: "2012"', 'wave: "2013"')],
        "wave: ",
        "wave",
        "it is '2013', but the file is named 2012.yaml",
    ),
    "name that is a number": (
        [('wave: "2012"', "wave: 2012")],
        "wave: ",
        "wave",
        "Input should be a valid string (found 2012)",
    ),
    "unknown origin": (
        [("origin: reconstructed", "origin: invented")],
        "origin: ",
        "origin",
        "Input should be 'observed', 'reconstructed' or 'demonstration' (found 'invented')",
    ),
    "origin by its old name": (
        [("origin: reconstructed", "origin: synthetic")],
        "origin: ",
        "origin",
        ("Input should be 'observed', 'reconstructed' or 'demonstration'; "
         "synthetic is now called reconstructed"),
    ),
    "unknown variable": (
        [("  use_hyves: V10_04", "  use_hives: V10_04"), ("ignored: [Status]",
          "ignored: [Status]\nnot_in_wave: [use_hyves]")],
        "  use_hives: ",
        "columns.use_hives",
        "unknown variable. Closest: ",
    ),
    "variable of not_in_wave": (
        [("ignored: [Status]", "ignored: [Status]\nnot_in_wave: [use_hyves]")],
        "  use_hyves: ",
        "columns.use_hyves",
        "it has a column, but is listed under not_in_wave",
    ),
    "not_in_wave with an unknown item": (
        [("ignored: [Status]", "ignored: [Status]\nnot_in_wave: [use_hives]")],
        "not_in_wave: ",
        "not_in_wave",
        "unknown item 'use_hives'. Closest: use_hyves",
    ),
    "missing column": (
        [("  use_hyves: V10_04\n", "")],
        "columns:",
        "columns",
        "use_hyves has no column; add it, or list it under not_in_wave",
    ),
    "no respondent_id": (
        [("  respondent_id: Respondentnummer\n", "")],
        "columns:",
        "columns",
        "respondent_id has no column; add it",
    ),
    "column used twice": (
        [("  use_hyves: V10_04", "  use_hyves: V10_05")],
        "  use_hyves: ",
        "columns.use_hyves",
        "the column 'V10_05' is used 2 times",
    ),
    "column used and ignored": (
        [("ignored: [Status]", "ignored: [Status, V01]")],
        "ignored: ",
        "ignored.1",
        "the column 'V01' is used 2 times",
    ),
    "personal column that is an answer": (
        [("  email: E-mailadres", "  email: V05")],
        "  email: ",
        "personal.email",
        "the column 'V05' is used 2 times",
    ),
    "words of something unknown": (
        [("ignored: [Status]", "ignored: [Status]\nwording: {sise: {label: {nl: a, en: b}}}")],
        "wording: ",
        "wording.sise",
        "unknown item or block of this wave 'sise'. Closest: size",
    ),
    "words that an item does not have": (
        [("ignored: [Status]", "ignored: [Status]\nwording: {size: {title: {nl: a, en: b}}}")],
        "wording: ",
        "wording.size.title",
        "not here: an item has label and text",
    ),
    "words that a block does not have": (
        [("ignored: [Status]", "ignored: [Status]\nwording: {market: {label: {nl: a, en: b}}}")],
        "wording: ",
        "wording.market.label",
        "not here: a block has title and question",
    ),
    "words that nothing has": (
        [("ignored: [Status]", "ignored: [Status]\nwording: {size: {lable: {nl: a, en: b}}}")],
        "wording: ",
        "wording.size.lable",
        "not here: an item has label and text",
    ),
    "words in one language": (
        [("ignored: [Status]", "ignored: [Status]\nwording: {size: {label: {nl: a}}}")],
        "wording: ",
        "wording.size.label.en",
        "this key is missing",
    ),
    "wrong code in answers": (
        [("niet gekozen: 0", "niet gekozen: 2")],
        "niet gekozen: ",
        "answers.chosen.niet gekozen",
        "2 is neither a code of chosen nor a reason for missing",
    ),
    "wrong reason in answers": (
        [("niet gekozen: 0", "niet gekozen: unknown")],
        "niet gekozen: ",
        "answers.chosen.niet gekozen",
        "'unknown' is neither a code of chosen nor a reason for missing",
    ),
    "answers to an unknown scale": (
        [("  chosen: {gekozen", "  choosen: {gekozen")],
        "  choosen: ",
        "answers.choosen",
        "unknown scale. Closest: chosen",
    ),
    "wrong code in rules": (
        [("    size: [1, 2, 3, 4]", "    size: [1, 2, 3, 7]")],
        "    size: [",
        "rules.eligible.size",
        "size has no code 7; its codes are 1, 2, 3, 4, 5",
    ),
    "unknown variable in rules": (
        [("    size: [1, 2, 3, 4]", "    sise: [1, 2, 3, 4]")],
        "    sise: [",
        "rules.eligible.sise",
        "unknown variable 'sise'. Closest: size",
    ),
    "unknown block in rules": (
        [("complete: [frequency]", "complete: [frequencies]")],
        "  complete: ",
        "rules.complete",
        "unknown block 'frequencies'. Closest: frequency",
    ),
    "unknown column in rules": (
        [("duplicates: [email]", "duplicates: [mail]")],
        "  duplicates: ",
        "rules.duplicates",
        "unknown column 'mail'; use one of email, ip, company, respondent_id, started, finished",
    ),
    "pattern that is none": (
        [('pattern: "^test"', 'pattern: "(test"')],
        "pattern: ",
        "rules.test_entries.pattern",
        "it is not a regular expression: missing ), unterminated subpattern at position 0",
    ),
    "dates in no format": (
        [('datetime: "%d-%m-%Y %H:%M:%S"', 'datetime: "%d-%Q"')],
        "  datetime: ",
        "export.datetime",
        "it is not a format of dates: 'Q' is a bad directive in format '%d-%Q'",
    ),
    "delimiter of two characters": (
        [('delimiter: ";"', 'delimiter: ";;"')],
        "  delimiter: ",
        "export.delimiter",
        "String should have at most 1 character (found ';;')",
    ),
    "personal column with the name of a question": (
        [("  email: E-mailadres", "  size: E-mailadres"), ("[company, email]", "[company]"),
         ("duplicates: [email]", "duplicates: [company]")],
        "  size: E-mail",
        "personal.size",
        "this is the name of a question or of another column",
    ),
    "fieldwork the wrong way round": (
        [("start: 2012-10-01", "start: 2012-11-01")],
        "fieldwork: ",
        "fieldwork",
        "it ends before it starts",
    ),
    "no date": (
        [("start: 2012-10-01", "start: 1 october")],
        "fieldwork: ",
        "fieldwork.start",
        "Input should be a valid date or datetime, input is too short (found '1 october')",
    ),
    "unknown key": (
        [("  delimiter:", "  separator:")],
        "  separator:",
        "export.separator",
        "this key is not known here",
    ),
    "missing translation": (
        [(", en: \"MKB21 monitor 2012 (zero measurement)\"}", "}")],
        "title: ",
        "title.en",
        "this key is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WAVE_FAULTS)
def test_faults_of_a_wave(project, name):
    changes, text, place, reason = WAVE_FAULTS[name]
    path = project.wave_file("2012")
    edit(path, *changes)
    found = faults(load_wave, project, "2012")
    assert [f for f in found if said(f, path, line_of(path, text), f"{place}: {reason}")], found
    assert len(found) == (2 if "used 2 times" in reason else 1)  # at both places


def test_all_faults_of_a_wave_are_said_at_once(project):
    together = [
        "other name",
        "missing column",
        "wrong code in answers",
        "wrong code in rules",
        "pattern that is none",
        "unknown key",
        "missing translation",
    ]
    edit(project.wave_file("2012"), *[change for n in together for change in WAVE_FAULTS[n][0]])
    found = faults(load_wave, project, "2012")
    expected = [f"{place}: {reason}" for _, _, place, reason in map(WAVE_FAULTS.get, together)]
    assert sorted(message for _, _, message in found) == sorted(expected)


def test_an_unknown_wave_lists_those_there_are(project):
    shutil.copy(project.wave_file("2012"), project.wave_file("2013"))
    with pytest.raises(ValueError, match=r"no wave '2021' .*Waves: 2012, 2013\."):
        load_wave(project, "2021")
    with pytest.raises(ValueError, match=r"2013\.yaml has 1 fault"):
        load_wave(project, "2013")


def test_a_faulty_instrument_is_named_when_a_wave_is_loaded(project):
    edit(project.instrument, *INSTRUMENT_FAULTS["unknown scale"][0])
    with pytest.raises(ValueError, match=r"^instrument\.yaml has 1 fault"):
        load_wave(project, "2012")


# --- waves of one questionnaire ------------------------------------------------------------------

LATER = [  # what a wave of 2014 asks: a block of its own, an item among others, a score
    ("  expected:\n    title", """\
  digital:
    since: "2014"
    title: {nl: Digitale vaardigheid, en: Digital skill}
    source: ours
    scale: agreement
    items:
      dig_skill: {label: {nl: vaardig, en: skilled}}
      dig_tools: {label: {nl: middelen, en: tools}}
  expected:
    title"""),
    ("      use_photo: {label", """\
      use_instagram: {label: {nl: Instagram, en: Instagram}, since: "2014"}
      use_photo: {label"""),
    ("""\
    items: [use_twitter, use_facebook, use_linkedin, use_hyves, use_googleplus, use_video, use_photo, use_blogs, use_forums, use_location]
  use_ways:""", """\
    items: [use_instagram, use_twitter, use_facebook, use_linkedin, use_hyves, use_googleplus, use_video, use_photo, use_blogs, use_forums, use_location]
  use_ways:"""),
    ("      items: [use_twitter,", "      items: [use_instagram, use_twitter,"),
    ("constructs:\n", """\
constructs:
  digital_score: {label: {nl: digitaal, en: digital}, items: [dig_skill, dig_tools]}
"""),
]  # fmt: skip


def wave_of(project, name, *changes):
    """Wave `name` like that of 2012, with changes in its file, and what is asked since then."""
    path = project.wave_file(name)
    shutil.copy(project.wave_file("2012"), path)
    columns = "\ncolumns:\n"
    for block in load_instrument(Project(ROOT)).blocks.values():
        for item, own in block.items.items():
            later = block.outside("2012") or own.outside("2012")
            if later and not block.outside(name) and not own.outside(name):
                columns += f"  {item}: {item}\n"
    edit(path, ("\ncolumns:\n", columns), ('wave: "2012"', f'wave: "{name}"'), *changes)
    return load_wave(project, name)


def test_a_question_of_a_later_wave_leaves_an_earlier_one_as_it_was(project):
    shutil.copytree(ROOT / "data" / "models", project.models)
    shutil.copy(ROOT / "data" / "analysis.yaml", project.analysis)
    before = load_wave(project, "2012")
    analysis = load_analysis(project, before)
    edit(project.instrument, *LATER)
    edit(project.analysis, ("  by: [", "  by: [use_instagram, "))
    after = load_wave(project, "2012")
    assert load_analysis(project, after).model_copy(update={"full": None}) == analysis.model_copy(
        update={"full": None}
    )
    claims = published.read(ROOT / "data" / "published" / "2012.csv")
    raw = read_export(Project(ROOT), before)
    assert after.items == before.items and after.questions == before.questions
    for language in LANGUAGES:
        found = [claim_words.labels(claims, w.questions, language) for w in (before, after)]
        assert found[0] == found[1]
    cleaned = [cleaning.clean(raw, wave) for wave in (before, after)]
    for part in ("responses", "missing", "ledger", "flow"):
        pd.testing.assert_frame_equal(*[getattr(each, part) for each in cleaned])


def test_a_later_wave_asks_it(project):
    edit(project.instrument, *LATER)
    columns = "  use_photo: V10_07\n", "  use_photo: V10_07\n  use_instagram: V10_11\n"
    with pytest.raises(ValueError, match="dig_skill has no column; add it, or list it"):
        wave_of(project, "2014", columns)
    more = columns[1] + "  dig_skill: V18_01\n  dig_tools: V18_02\n"
    for name in ("2014", "2014-b", "10000"):  # the numbers in the names, as numbers
        wave = wave_of(project, name, (columns[0], more))
        assert {"use_instagram", "dig_skill", "dig_tools"} <= set(wave.items)
        assert wave.instrument.min_answered("use_frequency") == 6
        assert "digital_score" in wave.questions.constructs
    for name in ("2013", "2012-b", "999"):
        assert wave_of(project, name).items == load_wave(project, "2012").items
    edit(project.instrument, ("      use_hyves: {label", '      use_hyves: {until: "2012", label'))
    assert "use_hyves" in load_wave(project, "2012").items  # the last wave with it


def test_a_score_needs_as_many_answers_where_a_wave_left_some_questions_out(project):
    gone = ["use_twitter", "use_facebook", "use_linkedin", "use_hyves"]
    left_out = "ignored: [Status]", f"ignored: [Status]\nnot_in_wave: {gone}".replace("'", "")
    columns = [(f"  {item}: V10_0{k}\n", "") for k, item in enumerate(gone, 1)]
    wave = wave_of(project, "2014", left_out, *columns)
    assert wave.questions.min_answered("use_frequency") == 5
    assert len(wave.questions.constructs["use_frequency"].items) == 6


def test_a_column_for_what_a_wave_did_not_ask_is_a_fault_that_says_so(project):
    edit(project.instrument, *LATER)
    edit(project.instrument, ("      use_hyves: {label", '      use_hyves: {until: "2010", label'))
    edit(project.wave_file("2012"), ("  use_photo: V1", "  use_instagram: V10_11\n  use_photo: V1"))
    found = faults(load_wave, project, "2012")
    said = [message for _, _, message in found]
    assert said == [
        "columns.use_hyves: it is asked until 2010, not in this wave",
        "columns.use_instagram: it is asked since 2014, not in this wave",
    ]


def test_a_score_of_what_was_not_asked_yet_is_none(project):
    edit(project.instrument, *LATER)
    wave = load_wave(project, "2012")
    assert "digital" not in wave.instrument.blocks
    assert "digital_score" not in wave.instrument.constructs
    assert wave.instrument.min_answered("use_frequency") == 5
    assert "use_instagram" not in wave.instrument.constructs["use_frequency"].items


def test_a_wave_has_words_of_its_own(project):
    words = """\
wording:
  use_twitter: {label: {nl: X, en: X}}
  market: {title: {nl: Afzet, en: Sales}, question: {nl: "Aan wie verkoopt u?", en: "To whom do you sell?"}}
  size: {text: {nl: Hoe groot?, en: How large?}}
ignored: [Status]"""
    reworded = wave_of(project, "2014", ("ignored: [Status]", words))
    asked, full = reworded.questions, reworded.instrument
    assert (asked.label("use_twitter"), full.label("use_twitter")) == ("X", "Twitter")
    assert asked.text("b2b") == "To whom do you sell? businesses (B2B)"
    assert asked.blocks["market"].title["nl"] == "Afzet" and asked.text("size") == "How large?"
    assert load_wave(project, "2012").questions.label("use_twitter") == "Twitter"


def test_the_label_of_a_reversed_answer_follows_the_words_of_the_wave(project):
    edit(
        project.instrument,
        ("      cul_learning:\n", "      cul_learning:\n        reverse: true\n"),
    )
    words = "wording: {cul_learning: {label: {nl: lessen, en: lessons}}}\nignored: [Status]"
    wave = wave_of(project, "2014", ("ignored: [Status]", words))
    assert wave.questions.label("cul_learning_r") == "lessons (reversed)"
    assert wave.questions.constructs["culture_score"].items[-1] == "cul_learning_r"
    dropped = "not_in_wave: [cul_learning]\nignored: [Status]"
    wave = wave_of(
        project, "2015", ("ignored: [Status]", dropped), ("  cul_learning: V08_05\n", "")
    )
    assert "cul_learning_r" not in wave.questions.derived
    assert "cul_learning_r" not in wave.questions.constructs["culture_score"].items


def test_a_derived_variable_of_a_derived_one_is_asked_with_it(project):
    edit(project.instrument, ("\nconstructs:\n", """
  northern: {label: {nl: noord, en: north}, scale: chosen, recode: {from: region, codes: {0: [2], 1: [1]}}}

constructs:
"""))  # fmt: skip
    assert "northern" in load_wave(project, "2012").questions.derived
    gone = ("  province: V01\n", ""), ("    province: [1, 2, 3, 4, 5, 6]", "    #")
    wave = wave_of(project, "2014", *gone, ("ignored: [Status]", "not_in_wave: [province]"))
    assert not {"northern", "region", "east"} & set(wave.questions.derived)
