"""Rules one by one on a small questionnaire; properties of the whole on messy 2012 exports."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import mkb21
from mkb21.run.paths import Project
from mkb21.survey import cleaning
from mkb21.survey.files import write_whole
from mkb21.survey.ingest import NOTES, RawExport, Source, read_export
from mkb21.survey.instrument import load_wave

ROOT = Path(__file__).parents[1]
NAN = float("nan")

INSTRUMENT = """
instrument: club
title: {nl: Club, en: Club}
wording: {nl: eigen, en: own}
missing:
  not_asked: {nl: niet gevraagd, en: not asked}
  not_answered: {nl: niet beantwoord, en: not answered}
  dont_know: {nl: weet niet, en: don't know}
scales:
  yesno: {kind: nominal, codes: {0: {nl: nee, en: "no"}, 1: {nl: ja, en: "yes"}}}
  age: {kind: nominal, codes: {1: {nl: jong, en: young}, 2: {nl: oud, en: old}, 3: {nl: wil ik niet zeggen, en: refuse}}}
  often: {kind: ordinal, codes: {1: {nl: nooit, en: never}, 2: {nl: soms, en: at times}, 3: {nl: vaak, en: often}}}
  agree:
    kind: ordinal
    dont_know: true
    codes: {1: {nl: oneens, en: disagree}, 2: {nl: neutraal, en: neutral}, 3: {nl: eens, en: agree}}
blocks:
  fee:
    title: {nl: Contributie, en: Fee}
    source: stands before what it depends on, to test the order of routing
    asked_if: {variable: paid, codes: [1]}
    scale: yesno
    items: {on_time: {label: {nl: op tijd, en: on time}}}
  person:
    title: {nl: Persoon, en: Person}
    source: our own
    items: {age: {scale: age, label: {nl: leeftijd, en: age}}}
  sport:
    title: {nl: Sport, en: Sport}
    source: our own
    scale: often
    items: {tennis: {label: {nl: tennis, en: tennis}}, chess: {label: {nl: schaken, en: chess}}}
  member:
    title: {nl: Lid, en: Member}
    source: our own
    asked_if: {variable: keen, codes: [1]}
    scale: yesno
    items: {paid: {label: {nl: betaalt, en: pays}}}
  reasons:
    title: {nl: Redenen, en: Reasons}
    source: our own
    multiple: true
    scale: yesno
    items:
      fun: {label: {nl: plezier, en: fun}}
      health: {label: {nl: gezondheid, en: health}}
      friends: {label: {nl: vrienden, en: friends}}
  mood:
    title: {nl: Stemming, en: Mood}
    source: our own
    scale: agree
    items:
      happy: {label: {nl: blij, en: happy}}
      calm: {label: {nl: kalm, en: calm}}
      awake: {label: {nl: wakker, en: awake}}
      proud: {label: {nl: trots, en: proud}}
  prize:
    title: {nl: Prijs, en: Prize}
    source: our own
    asked_if: {variable: solid, codes: [0]}
    scale: yesno
    items: {wants: {label: {nl: wil een prijs, en: wants a prize}}}
derived:
  solid: {label: {nl: degelijk, en: solid}, scale: yesno, any_at_least: {items: [on_time, fun], code: 1}}
  keen: {label: {nl: fanaat, en: keen}, scale: yesno, recode: {from: active, codes: {0: [0], 1: [1]}}}
  active: {label: {nl: actief, en: active}, scale: yesno, any_at_least: {items: [tennis, chess], code: 2}}
  old: {label: {nl: oud, en: old}, scale: yesno, recode: {from: age, codes: {0: [1], 1: [2]}}}
constructs:
  feeling: {label: {nl: gevoel, en: feeling}, items: [joy, rest], min_answered: 1}
  joy: {label: {nl: vreugde, en: joy}, items: [happy, proud], min_answered: 2}
  rest: {label: {nl: rust, en: rest}, items: [calm, awake, proud]}
"""

WAVE = """
wave: a
title: {nl: A, en: A}
origin: observed
fieldwork: {start: 2020-01-01, end: 2020-02-01}
population: {nl: iedereen, en: everybody}
export: {file: club.csv}
columns: {respondent_id: Nr, age: A, tennis: B, chess: C, paid: D, on_time: E, fun: F, health: G,
  friends: H, happy: I, calm: J, awake: K, proud: L, wants: M}
personal: {email: Mail, name: Name}
rules:
  test_entries: {columns: [name, respondent_id], pattern: "^Test"}
  complete: [sport, member]
  eligible: {age: [2, 3], active: [0, 1]}
  duplicates: [email, name]
  fast_minutes: 3
  longstring: 4
"""

FULL = {
    "age": 2, "tennis": 3, "chess": 1, "paid": 1, "on_time": 0, "fun": 1, "health": 0,
    "friends": 0, "happy": 3, "calm": 2, "awake": 1, "proud": 2,
    "wants": "not_asked",
}  # fmt: skip


def club(tmp_path, **changes):
    """The project and the club wave; keyword arguments change parts of the wave."""
    wave = yaml.safe_load(WAVE) | changes
    for item in wave.get("not_in_wave", []):
        del wave["columns"][item]
    (tmp_path / "data/waves").mkdir(parents=True, exist_ok=True)
    (tmp_path / "data/instrument.yaml").write_text(INSTRUMENT, encoding="utf-8")
    text = yaml.safe_dump(wave, sort_keys=False)
    (tmp_path / "data/waves/a.yaml").write_text(text, encoding="utf-8")
    project = Project.find(tmp_path)
    return project, load_wave(project, "a")


def answers(wave, rows):
    """Values and missing of rows {item: code or reason}; items not named are as in FULL."""
    table = pd.DataFrame([FULL | row for row in rows])[wave.items]
    missing = table.map(lambda cell: cell if isinstance(cell, str) else "")
    return table.mask(missing != "").astype("float64"), missing.astype(str)


def export(wave, rows):
    """A raw export of rows that may also name id, started, minutes, email and name."""
    meta = [
        {
            "respondent_id": row.get("id", f"R{k}"),
            "started": row.get("started", f"2020-01-01 10:{k:02}"),
            "finished": None,
            "duration_minutes": row.get("minutes", 9.0),
            "email": row.get("email", f"nr{k}@example.org"),
            "name": row.get("name", ""),
        }
        for k, row in enumerate(rows)
    ]
    times = {"started": "datetime64[us]", "finished": "datetime64[us]"}
    values, missing = answers(wave, [{i: row[i] for i in FULL if i in row} for row in rows])
    notes = pd.DataFrame(columns=NOTES, dtype=str)
    source = Source("club.csv", "0" * 64, len(meta))
    return RawExport(values, missing, pd.DataFrame(meta).astype(times), notes, source)


def kept(cleaned) -> list[str]:
    return cleaned.responses["respondent_id"].tolist()


def cell(table, respondent, item):
    return table.set_index("respondent_id").loc[respondent, item]


def entries(cleaned, rule) -> list[tuple]:
    found = cleaned.ledger[cleaned.ledger["rule"] == rule]
    return list(found.drop(columns="rule").itertuples(index=False, name=None))


# --- rules on cases ----------------------------------------------------------------------------


def test_each_case_rule_drops_whom_it_should_and_no_more(tmp_path):
    _, wave = club(tmp_path)
    rows = [
        {"name": " Test BV"},
        {"id": "TEST7"},
        {"name": "de tester"},  # the pattern asks for the beginning
        {"chess": "not_answered"},
        {"paid": "dont_know"},  # an answer
        {"paid": "not_answered", "tennis": 1},  # never asked for paid: complete
        {"paid": "not_answered"},
        {"age": 1},
        {"age": "not_answered"},  # unknown: kept
        {"age": 99},  # impossible, so unknown: kept
    ]
    cleaned = cleaning.clean(export(wave, rows), wave)
    assert cleaned.flow.to_dict("split")["data"] == [
        ["read", 0, 10],
        ["test_entries", 2, 8],
        ["incomplete", 2, 6],
        ["outside_age", 1, 5],
        ["outside_active", 0, 5],
        ["duplicates", 0, 5],
        ["kept", 0, 5],
    ]
    assert kept(cleaned) == ["R2", "R4", "R5", "R8", "R9"]
    assert entries(cleaned, "test_entries") == [
        ("case", "R0", "name, respondent_id", "", "dropped"),
        ("case", "TEST7", "name, respondent_id", "", "dropped"),
    ]
    assert entries(cleaned, "incomplete") == [
        ("case", "R3", "sport", "not_answered", "dropped"),
        ("case", "R6", "member", "not_answered", "dropped"),
    ]
    assert entries(cleaned, "outside_age") == [("case", "R7", "age", "1", "dropped")]


def test_of_duplicates_the_first_complete_interview_is_kept(tmp_path):
    _, wave = club(tmp_path)
    day = "2020-01-{:02}".format
    rows = [
        {"email": "ann@example.org", "started": day(5)},
        {"email": " ANN@example.org ", "started": day(3)},  # the first of the complete ones
        {"email": "ann@Example.org", "started": day(1), "tennis": "not_answered"},
        {"email": "", "started": day(1)},
        {"email": " ", "started": day(2)},  # blanks never match
        {"email": "bob@example.org", "started": None},  # unknown time: last
        {"email": "bob@example.org", "started": day(9)},
        {"email": "cas@example.org", "started": day(9)},  # same time: the first in the export
        {"email": "cas@example.org", "started": day(9)},
        {"email": "x@example.org", "name": "Bakkerij Zon", "started": day(9)},
        {"email": "y@example.org", "name": "bakkerij zon", "started": day(8)},
    ]
    cleaned = cleaning.clean(export(wave, rows), wave)
    assert kept(cleaned) == ["R1", "R3", "R4", "R6", "R7", "R10"]
    assert sorted(entries(cleaned, "duplicates")) == [
        ("case", "R0", "email", "same as R1", "dropped"),
        ("case", "R5", "email", "same as R6", "dropped"),
        ("case", "R8", "email", "same as R7", "dropped"),
        ("case", "R9", "name", "same as R10", "dropped"),
    ]


def test_steps_without_a_rule_are_left_out(tmp_path):
    _, wave = club(tmp_path, rules={})
    rows = [{"name": "test", "age": 1, "email": "a"}, {"email": "a"}]
    cleaned = cleaning.clean(export(wave, rows), wave)
    assert cleaned.flow["step"].tolist() == ["read", "kept"]
    assert cleaned.flow["remaining"].tolist() == [2, 2]
    assert cleaned.responses[["flag_fast", "flag_careless"]].isna().all(axis=None)


def test_rules_that_leave_nobody_are_refused(tmp_path):
    _, wave = club(tmp_path)
    with pytest.raises(ValueError, match=r"All 2 .* \(test_entries 1, incomplete 0, .*_age 1"):
        cleaning.clean(export(wave, [{"name": "test"}, {"age": 1}]), wave)


def test_a_rule_on_what_was_not_asked_is_refused_on_load(tmp_path):
    with pytest.raises(ValueError, match="rules.eligible.age: age was not asked in this wave"):
        club(tmp_path, not_in_wave=["age"])


# --- rules on cells ----------------------------------------------------------------------------


def test_impossible_codes_become_not_answered(tmp_path):
    _, wave = club(tmp_path)
    cleaned = cleaning.clean(export(wave, [{"happy": 9, "calm": 2.5, "awake": 0}, {}]), wave)
    assert entries(cleaned, "out_of_range") == [
        ("cell", "R0", "happy", "9", "not_answered"),
        ("cell", "R0", "calm", "2.5", "not_answered"),
        ("cell", "R0", "awake", "0", "not_answered"),
    ]
    assert cleaned.responses.loc[0, ["happy", "calm", "awake"]].isna().all()
    assert cleaned.missing.loc[0, ["happy", "calm", "awake"]].eq("not_answered").all()


def test_blank_options_become_no_where_one_was_chosen(tmp_path):
    _, wave = club(tmp_path)
    blank = dict.fromkeys(["fun", "health", "friends"], "not_answered")
    rows = [blank | {"health": 1}, blank, blank | {"fun": 0}, blank | {"fun": 1, "health": 9}]
    cleaned = cleaning.clean(export(wave, rows), wave)
    found = cleaned.responses[["fun", "health", "friends"]].to_numpy()
    expected = [[0, 1, 0], [NAN] * 3, [0, NAN, NAN], [1, NAN, 0]]  # an impossible 9 is not a no
    np.testing.assert_array_equal(found, expected)
    assert entries(cleaned, "multiple_blank") == [
        ("cell", "R0", "fun, friends", "not_answered", "0"),
        ("cell", "R3", "friends", "not_answered", "0"),
    ]
    summary = cleaning.ledger_summary(cleaned.ledger).set_index("rule")
    assert summary.loc["multiple_blank"].tolist() == ["cell", 2, 3]
    assert summary.loc["out_of_range"].tolist() == ["cell", 1, 1]


def test_routing_follows_chains_of_derived_variables_and_routed_items(tmp_path):
    _, wave = club(tmp_path, rules={})
    rows = [
        {},  # asked everything
        {"tennis": 1, "paid": "not_answered", "on_time": "not_answered"},  # passed by rightly
        {"tennis": 1, "paid": 1, "on_time": "dont_know"},  # answered what was not asked
        {"paid": 0},  # answered on_time, which only those who pay are asked
        {"tennis": "not_answered", "paid": "not_answered"},  # not known to be active
        {"tennis": 1, "chess": 9, "paid": 1},  # the impossible code makes active unknown
        {"tennis": "not_asked", "chess": "not_asked"},  # the export says so
        {"tennis": "not_asked", "chess": 1},  # asked for chess: not known to be active
        {"paid": 9},  # impossible, so unknown
        {"paid": 0, "on_time": 1, "fun": 0, "wants": 1},  # solid does not count the removed on_time
    ]
    cleaned = cleaning.clean(export(wave, rows), wave)
    assert cleaned.missing["paid"].tolist() == [
        "", "not_asked", "not_asked", "", "not_answered", "", "not_asked", "", "not_answered", "",
    ]  # fmt: skip
    assert cleaned.missing["on_time"].tolist() == [
        "", "not_asked", "not_asked", "not_asked", "", "", "not_asked", "", "", "not_asked",
    ]  # fmt: skip
    assert sorted(entries(cleaned, "routing")) == [
        ("cell", "R2", "on_time", "dont_know", "not_asked"),
        ("cell", "R2", "paid", "1", "not_asked"),
        ("cell", "R3", "on_time", "0", "not_asked"),
        ("cell", "R6", "on_time", "0", "not_asked"),
        ("cell", "R6", "paid", "1", "not_asked"),
        ("cell", "R9", "on_time", "1", "not_asked"),
    ]
    keen = [1, 0, 0, 1, NAN, NAN, NAN, NAN, 1, 1]
    np.testing.assert_array_equal(cleaned.responses["keen"], keen)
    assert np.isnan(cleaned.responses.loc[9, "solid"]) and cleaned.responses.loc[9, "wants"] == 1


@pytest.mark.parametrize("rule", [cleaning.fill_multiple, cleaning.out_of_range, cleaning.route])
def test_rules_leave_the_frames_they_are_given(tmp_path, rule):
    _, wave = club(tmp_path)
    rows = [{"fun": 1, "health": "not_answered", "calm": 9, "tennis": 1, "paid": 1}]
    values, missing = answers(wave, rows)
    _, _, edits = rule(values, missing, wave.instrument)
    assert len(edits)
    same = answers(wave, rows)
    pd.testing.assert_frame_equal(values, same[0])
    pd.testing.assert_frame_equal(missing, same[1])


def test_without_the_routing_variable_nobody_was_passed_by(tmp_path):
    _, wave = club(tmp_path, rules={}, not_in_wave=["tennis", "chess"])
    cleaned = cleaning.clean(export(wave, [{"paid": 0}, {"paid": "not_answered"}]), wave)
    assert cleaned.missing["paid"].tolist() == ["", "not_answered"]
    assert not {"active", "keen"} & set(cleaned.responses)


# --- derived variables, scores, flags ----------------------------------------------------------


def test_derive(tmp_path):
    _, wave = club(tmp_path)
    rows = [
        {"tennis": 1, "chess": 2, "age": 1},
        {"tennis": 1, "chess": 1, "age": 2},
        {"tennis": 1, "chess": "not_answered", "age": 3},
        {"tennis": 3, "chess": "not_answered", "age": "not_answered"},
    ]
    values, _ = answers(wave, rows)
    made = cleaning.derive(values, wave.instrument)
    assert made.columns.tolist() == ["solid", "keen", "active", "old"]
    np.testing.assert_array_equal(made["active"], [1, 0, NAN, 1])
    np.testing.assert_array_equal(made["keen"], [1, 0, NAN, 1])
    np.testing.assert_array_equal(made["old"], [0, 1, NAN, NAN])
    one = cleaning.derive(values[["chess"]], wave.instrument)
    assert one.columns.tolist() == ["keen", "active"]
    np.testing.assert_array_equal(one["active"], [1, 0, NAN, NAN])


def test_scores(tmp_path):
    _, wave = club(tmp_path)
    blank = "dont_know"
    rows = [
        {"happy": 1, "proud": 2, "calm": 3, "awake": 3},
        {"happy": 1, "proud": blank, "calm": 3, "awake": 2},
        {"happy": 1, "proud": 2, "calm": blank, "awake": blank},
        {"happy": 1, "proud": blank, "calm": blank, "awake": 1},
    ]
    values, _ = answers(wave, rows)
    made = cleaning.scores(values, wave.instrument)
    assert made.columns.tolist() == ["feeling", "joy", "rest"]
    np.testing.assert_allclose(made["joy"], [1.5, NAN, 1.5, NAN])
    np.testing.assert_allclose(made["rest"], [8 / 3, 2.5, NAN, NAN])
    np.testing.assert_allclose(made["feeling"], [(1.5 + 8 / 3) / 2, 2.5, 1.5, NAN])
    fewer = cleaning.scores(values.drop(columns=["happy", "awake"]), wave.instrument)
    assert fewer.columns.tolist() == ["feeling", "rest"]  # joy needs two items, one is left
    np.testing.assert_allclose(fewer["rest"], [2.5, NAN, NAN, NAN])


def test_scores_and_longest_runs_equal_those_of_r(tmp_path):
    reference = pd.read_csv(ROOT / "tests" / "reference" / "cleaning.csv")
    items = [f"x{k}" for k in range(1, 9)]
    instrument = yaml.safe_load(INSTRUMENT)
    label = {"nl": "x", "en": "x"}
    instrument["scales"]["agree"]["codes"] |= {4: label, 5: label}
    block = {"title": label, "source": "R", "scale": "agree"}
    instrument["blocks"] = {"x": block | {"items": {item: {"label": label} for item in items}}}
    six = {"label": label, "items": items, "min_answered": 6}
    half = {"label": label, "items": items}
    instrument |= {"derived": {}, "constructs": {"half": half, "six": six}}
    instrument = type(club(tmp_path)[1].instrument).model_validate(instrument)
    assert (instrument.min_answered("half"), len(reference)) == (4, 60)
    made = cleaning.scores(reference[items], instrument)
    np.testing.assert_allclose(made, reference[["half", "six"]], rtol=0, atol=1e-14)
    missing = reference[items].isna().replace({True: "not_answered", False: ""})
    runs = cleaning.longstring(reference[items], missing, instrument)
    np.testing.assert_array_equal(runs, reference["longstring"])


def test_longstring_by_scale_over_what_was_asked(tmp_path):
    _, wave = club(tmp_path)
    rows = [
        {"tennis": 2, "chess": 2, "happy": 2, "calm": 2, "awake": 1, "proud": 2},  # 2 + 2, not 4
        {"happy": 2, "calm": "not_asked", "awake": 2, "proud": 2},  # passed over
        {"happy": 2, "calm": "dont_know", "awake": 2, "proud": 2},  # ends the run
        {"happy": 2, "calm": "not_answered", "awake": 2, "proud": 1, "fun": 0},  # nominal: no run
        {item: "not_answered" for item in wave.items},
    ]
    values, missing = answers(wave, rows)
    found = cleaning.longstring(values, missing, wave.instrument)
    assert found.tolist() == [2, 3, 2, 1, 0]


def test_flags(tmp_path):
    _, wave = club(tmp_path)
    same = dict.fromkeys(["happy", "calm", "awake", "proud"], 3)
    rows = [{"minutes": 2.99}, {"minutes": 3.0}, {"minutes": NAN}, {"minutes": NAN} | same, same]
    found = cleaning.clean(export(wave, rows), wave).responses
    np.testing.assert_array_equal(found["flag_fast"], [1, 0, NAN, NAN, 0])
    np.testing.assert_array_equal(found["longstring"], [1, 1, 1, 4, 4])
    np.testing.assert_array_equal(found["flag_careless"], [1, 0, 0, 1, 1])


# --- properties of the whole, on the questionnaire of 2012 -------------------------------------


@pytest.fixture(scope="module")
def wave_2012():
    return load_wave(Project.find(ROOT), "2012")


def messy(wave, seed, n=150) -> RawExport:
    """A random export with everything that cleaning has a rule for."""
    rng = np.random.default_rng(seed)
    values = {i: rng.choice(list(wave.instrument.codes(i)), n).astype(float) for i in wave.items}
    values = pd.DataFrame(values)
    use = wave.instrument.block("frequency")
    values.loc[rng.random(n) < 0.3, use] = 1.0  # non-users
    values = values.mask(rng.random(values.shape) < 0.01, 99.0)
    reason = rng.choice(["", "not_answered", "dont_know"], values.shape, p=[0.9, 0.07, 0.03])
    missing = pd.DataFrame(reason, columns=wave.items, dtype=str)
    opinions = ("agreement", "likelihood")
    factual = [i for i in wave.items if wave.instrument.scale_name(i) not in opinions]
    missing[factual] = missing[factual].replace("dont_know", "not_answered")
    missing[use] = missing[use].mask(rng.random(missing[use].shape) < 0.95, "")
    for row in np.flatnonzero(rng.random(n) < 0.1):  # abandoned
        missing.iloc[row, rng.integers(1, len(wave.items)) :] = "not_answered"
    minutes = rng.permutation(n)
    person = rng.integers(0, int(n * 0.9), n)
    started = pd.Timestamp("2012-10-01").as_unit("us") + pd.to_timedelta(minutes, unit="min")
    email = ["", "secret{}@example.org", " Secret{}@Example.org"]
    meta = pd.DataFrame(
        {
            "respondent_id": [f"R{k:04}" for k in rng.permutation(n)],
            "started": started,
            "finished": started + pd.to_timedelta(9, unit="min"),
            "duration_minutes": np.where(rng.random(n) < 0.1, NAN, rng.gamma(4, 3, n)),
            "email": [rng.choice(email).format(p) for p in person],
            "ip": [f"192.0.2.{p}" for p in person],
            "company": rng.choice(["test bv", "Hush BV"], n, p=[0.05, 0.95]),
        }
    )
    note = ["label_spelling", meta.loc[0, "respondent_id"], "province", " Drenthe", "Drenthe"]
    notes = pd.DataFrame([note], columns=NOTES)
    return RawExport(values.mask(missing != ""), missing, meta, notes, Source("x.csv", "", n))


@pytest.fixture(scope="module", params=range(3))
def pair(request, wave_2012):
    """A messy export and what cleaning makes of it."""
    raw = messy(wave_2012, request.param)
    return raw, cleaning.clean(raw, wave_2012)


def test_messy_exports_meet_every_rule(pair):
    _, cleaned = pair
    assert (cleaned.flow.set_index("step")["dropped"].drop(["read", "kept"]) > 0).all()
    assert set(cleaned.ledger["rule"]) == {
        "label_spelling", "multiple_blank", "out_of_range", "routing", "test_entries", "incomplete",
        "outside_province", "outside_size", "duplicates",
    }  # fmt: skip


def test_nobody_is_lost(pair):
    raw, cleaned = pair
    flow = cleaned.flow
    assert flow["remaining"].iloc[0] == len(raw.meta) == len(kept(cleaned)) + flow["dropped"].sum()
    assert (flow["remaining"].diff().iloc[1:] == -flow["dropped"].iloc[1:]).all()
    cases = cleaned.ledger[cleaned.ledger["scope"] == "case"]
    assert sorted([*kept(cleaned), *cases["respondent_id"]]) == sorted(raw.meta["respondent_id"])
    counted = cases["rule"].value_counts()
    assert counted.to_dict() == flow[flow["dropped"] > 0].set_index("step")["dropped"].to_dict()
    in_order = raw.meta["respondent_id"][raw.meta["respondent_id"].isin(kept(cleaned))]
    assert kept(cleaned) == in_order.tolist() == cleaned.missing["respondent_id"].tolist()


def as_cells(values, missing, ids) -> pd.Series:
    """(respondent_id, item) -> code as text, or the reason for missing."""
    text = values.astype(object).map(lambda v: "" if np.isnan(v) else f"{v:g}")
    return text.where(missing == "", missing).set_axis(ids).stack()


def test_the_ledger_replayed_on_the_export_gives_the_responses(pair, wave_2012):
    raw, cleaned = pair
    items = wave_2012.items
    cells = as_cells(raw.values, raw.missing, raw.meta["respondent_id"]).to_dict()
    edits = cleaned.ledger.query("scope == 'cell' and rule != 'label_spelling'")
    for edit in edits.itertuples():
        for item in edit.variable.split(", "):
            assert cells[edit.respondent_id, item] == edit.before
            cells[edit.respondent_id, item] = edit.after
    after = as_cells(cleaned.responses[items], cleaned.missing[items], kept(cleaned))
    differs = {(cells[place], text) for place, text in after.items() if cells[place] != text}
    assert differs == {("not_answered", "not_asked")}


def test_routing_and_ranges_hold_afterwards(pair, wave_2012):
    _, cleaned = pair
    found = cleaned.responses.set_index("respondent_id")
    reason = cleaned.missing.set_index("respondent_id")
    use, ways = (wave_2012.instrument.block(name) for name in ("frequency", "ways"))
    user = (found[use] >= 2).any(axis=1)
    assert reason.loc[~user, ways].eq("not_asked").all(axis=None)
    assert not reason.loc[user, ways].eq("not_asked").any(axis=None)
    assert not reason[use].ne("").any(axis=None)
    assert found["user"].eq(user).all()
    assert found["province"].isin([1, 2, 3, 4, 5, 6, NAN]).all()


def test_the_order_of_the_export_does_not_change_the_result(pair, wave_2012):
    raw, cleaned = pair
    order = np.random.default_rng(9).permutation(len(raw.meta))
    parts = [p.iloc[order].reset_index(drop=True) for p in (raw.values, raw.missing, raw.meta)]
    again = cleaning.clean(RawExport(*parts, raw.notes, raw.source), wave_2012)
    assert kept(again) != kept(cleaned)
    for name in ("responses", "missing"):
        first, second = (getattr(c, name).sort_values("respondent_id") for c in (cleaned, again))
        pd.testing.assert_frame_equal(first.reset_index(drop=True), second.reset_index(drop=True))
    pd.testing.assert_frame_equal(cleaned.flow, again.flow)
    first, second = (sorted(map(tuple, c.ledger.to_numpy())) for c in (cleaned, again))
    assert first == second


def test_cleaning_what_is_clean_changes_nothing(wave_2012):
    raw = messy(wave_2012, 7)
    options = [i for b in wave_2012.instrument.blocks.values() if b.multiple for i in b.items]
    # an impossible code of an option becomes a blank; a second cleaning would take that for a no
    raw.values[options] = raw.values[options].replace(99.0, 0.0)
    cleaned = cleaning.clean(raw, wave_2012)
    meta = raw.meta[raw.meta["respondent_id"].isin(kept(cleaned))].reset_index(drop=True)
    answers = (cleaned.responses[wave_2012.items], cleaned.missing[wave_2012.items])
    again = cleaning.clean(RawExport(*answers, meta, raw.notes[:0], raw.source), wave_2012)
    pd.testing.assert_frame_equal(again.responses, cleaned.responses)
    pd.testing.assert_frame_equal(again.missing, cleaned.missing)
    assert again.ledger.empty and again.flow["dropped"].sum() == 0


def test_the_export_itself_is_not_changed(wave_2012):
    raw, same = messy(wave_2012, 5), messy(wave_2012, 5)
    cleaning.clean(raw, wave_2012)
    for part in ("values", "missing", "meta", "notes"):
        pd.testing.assert_frame_equal(getattr(raw, part), getattr(same, part))


def test_no_personal_data_anywhere(pair, wave_2012):
    raw, cleaned = pair
    outputs = [cleaned.responses, cleaned.missing, cleaned.ledger, cleaned.flow]
    outputs.append(cleaning.ledger_summary(cleaned.ledger))
    secrets = {text.strip().lower() for name in wave_2012.personal for text in raw.meta[name]}
    secrets.remove("")
    for table in outputs:
        assert not set(wave_2012.personal) & set(table)
        text = table.to_csv().lower()
        assert [secret for secret in secrets if secret in text] == []
        assert "@" not in text


def test_types_and_columns(pair, wave_2012):
    _, cleaned = pair
    instrument = wave_2012.instrument
    assert cleaned.responses.columns.tolist() == [
        "respondent_id", "started", "finished", "duration_minutes", *wave_2012.items,
        *instrument.derived, *instrument.constructs, "flag_fast", "longstring", "flag_careless",
    ]  # fmt: skip
    assert set(cleaned.responses.iloc[:, 3:].dtypes) == {np.dtype("float64")}
    assert cleaned.missing.columns.tolist() == ["respondent_id", *wave_2012.items]
    assert cleaned.ledger.columns.tolist() == cleaning.LEDGER
    assert not cleaned.ledger.isna().any(axis=None)
    assert cleaned.ledger["scope"].isin(["case", "cell"]).all()


def test_ledger_summary_counts_the_ledger(pair):
    _, cleaned = pair
    summary = cleaning.ledger_summary(cleaned.ledger)
    assert summary.columns.tolist() == ["rule", "scope", "n_cases", "n_cells"]
    for row in summary.itertuples():
        part = cleaned.ledger[cleaned.ledger["rule"] == row.rule]
        assert row.n_cases == part["respondent_id"].nunique()
        names = [name for variable in part["variable"] for name in variable.split(", ")]
        assert row.n_cells == (len(names) if row.scope == "cell" else 0)


# --- files -------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    """A project with the club wave cleaned and saved."""
    project, wave = club(tmp_path)
    rows = [{}, {"tennis": 1, "calm": "dont_know"}, {"happy": 9}, {"name": "test"}]
    cleaned = cleaning.clean(export(wave, rows), wave)
    return project, wave, cleaned, cleaning.save(cleaned, project, wave)


def test_what_is_saved_is_what_is_loaded(saved):
    project, wave, cleaned, paths = saved
    folder = project.processed("a")
    assert sorted(p.name for p in folder.iterdir()) == sorted(paths) == [
        "cleaning_flow.csv", "cleaning_ledger.csv", "cleaning_ledger_summary.csv",
        "missing_reasons.parquet", "responses.parquet",
    ]  # fmt: skip
    responses, missing = cleaning.load(project, wave)
    pd.testing.assert_frame_equal(responses, cleaned.responses)
    pd.testing.assert_frame_equal(missing, cleaned.missing)
    ledger = pd.read_csv(paths["cleaning_ledger.csv"], dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(ledger, cleaned.ledger)
    pd.testing.assert_frame_equal(pd.read_csv(paths["cleaning_flow.csv"]), cleaned.flow)


def test_saving_twice_gives_the_same_bytes(saved):
    project, wave, cleaned, paths = saved
    before = {name: path.read_bytes() for name, path in paths.items()}
    cleaning.save(cleaned, project, wave)
    assert {name: path.read_bytes() for name, path in paths.items()} == before


def test_a_table_that_cannot_be_written_leaves_the_folder_as_it_was(saved):
    project, wave, cleaned, paths = saved
    path = paths["responses.parquet"]
    before = path.read_bytes()
    mixed = pd.DataFrame({"x": [1, "one", object()]})
    with pytest.raises(Exception, match="object"):
        cleaning.save(replace(cleaned, responses=mixed), project, wave)
    assert path.read_bytes() == before
    folder = path.with_name("a_folder.csv")
    folder.mkdir()
    with pytest.raises(OSError, match="a_folder"):
        write_whole(folder, b"text")
    assert {p.name for p in path.parent.iterdir()} == {*paths, "a_folder.csv"}


def test_files_that_are_absent_or_damaged_say_what_to_run(saved):
    project, wave, _, paths = saved
    paths["responses.parquet"].write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match="responses.parquet is damaged: run 01_cleaning again"):
        cleaning.load(project, wave)
    paths["responses.parquet"].unlink()
    with pytest.raises(ValueError, match="parquet is not there: run 01_cleaning for wave a first"):
        cleaning.load(project, wave)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r, m: r.pop("joy"), ["responses has no column joy"]),
        (lambda r, m: r.insert(0, "email", "x"), ["responses has a column too many: email"]),
        (lambda r, m: r.isetitem(5, r["age"].astype(str)), ["responses holds no numbers in age"]),
        (lambda r, m: m.pop("calm"), ["missing_reasons has no column calm"]),
        (lambda r, m: r.isetitem(0, ["R0", "R0", "R2"]), ["'R0' stands more than once", "in one"]),
        (lambda r, m: m.isetitem(0, ["R0", "R2", "R1"]), ["are not of the same respondents"]),
        (lambda r, m: r.__setitem__("calm", [2.0, NAN, 7.0]), ["calm has the code 7"]),
        (lambda r, m: r.__setitem__("calm", [NAN, NAN, 2.0]), ["calm: 1 answers disagree"]),
        (lambda r, m: r.__setitem__("calm", [2.0, 2.0, 2.0]), ["calm: 1 answers disagree"]),
        (lambda r, m: m.__setitem__("calm", ["", "lost", ""]), ["reason for missing 'lost'"]),
        (lambda r, m: r.__setitem__("joy", r["joy"] + 0.1), ["joy is not what the instrument"]),
        (lambda r, m: r.__setitem__("old", [1.0, 1.0, 0.0]), ["old is not what the instrument"]),
    ],
)
def test_responses_that_do_not_fit_are_refused(saved, change, said):
    _, wave, cleaned, _ = saved
    responses, missing = cleaned.responses.copy(), cleaned.missing.copy()
    cleaning.validate(responses, missing, wave)
    change(responses, missing)
    with pytest.raises(ValueError, match="run 01_cleaning again") as caught:
        cleaning.validate(responses, missing, wave)
    assert [words for words in said if words not in str(caught.value)] == []


def test_a_construct_that_was_changed_after_cleaning_is_noticed(saved):
    project, _, _, _ = saved
    text = project.instrument.read_text(encoding="utf-8")
    text = text.replace("[calm, awake, proud]", "[calm, awake]")
    project.instrument.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="rest is not what the instrument makes of the answers"):
        cleaning.load(project, load_wave(project, "a"))


# --- many impossible codes -----------------------------------------------------------------------


def test_codes_that_are_no_slips_are_refused(tmp_path):
    """Three of a kind in few answers are a scale that was described wrongly, not a slip."""
    _, wave = club(tmp_path)
    with pytest.raises(ValueError, match=r"happy: code 9 stands 3 times in 6 answers; the scale"):
        cleaning.clean(export(wave, [{"happy": 9}] * 3 + [{"happy": 2}] * 3), wave)
    two = cleaning.clean(export(wave, [{"happy": 9}] * 2 + [{"happy": 2}] * 3), wave)
    assert (two.ledger["rule"] == "out_of_range").sum() == 2


@pytest.mark.parametrize(("times", "refused"), [(3, False), (4, True)])
def test_a_twentieth_of_the_answers_are_slips_and_one_more_is_none(tmp_path, times, refused):
    _, wave = club(tmp_path)
    assert cleaning.MANY_SLIPS * 60 == 3
    raw = export(wave, [{"happy": 9}] * times + [{"happy": 2}] * (60 - times))
    if refused:
        with pytest.raises(ValueError, match="happy: code 9 stands 4 times in 60 answers"):
            cleaning.clean(raw, wave)
    else:
        assert (cleaning.clean(raw, wave).ledger["rule"] == "out_of_range").sum() == 3


def test_the_references_of_semfit_rest_on_this_wave():
    """semfit's references of the Gebruiksmodel use the responses that cleaning gives now."""
    project = Project(ROOT)
    wave = load_wave(project, "2012")
    responses = cleaning.clean(read_export(project, wave), wave).responses
    users = responses[responses["user"] == 1].reset_index(drop=True)
    path = ROOT / "semfit" / "tests" / "reference" / "estimators" / "data_wave2012.csv"
    reference = pd.read_csv(path)
    for name in [column for column in reference if column in users]:
        np.testing.assert_allclose(
            users[name].to_numpy(dtype=float, na_value=np.nan), reference[name], atol=1e-9
        )
    assert len(users) == len(reference)


# --- reversed answers, numbers and open questions ------------------------------------------------

SHOP = """
instrument: shop
languages: [nl]
title: {nl: Winkel}
wording: {nl: eigen}
missing: {not_asked: {nl: niet gevraagd}, not_answered: {nl: niet beantwoord}, dont_know: {nl: weet niet}}
scales:
  agree: {kind: ordinal, dont_know: true, codes: {1: {nl: oneens}, 2: {nl: neutraal}, 3: {nl: eens}}}
  yesno: {kind: nominal, codes: {0: {nl: nee}, 1: {nl: ja}}}
  years: {kind: number, unit: {nl: jaar}, range: [16, 99], dont_know: true}
  euros: {kind: number, unit: {nl: euro}, range: [0, null]}
  words: {kind: open}
blocks:
  service:
    title: {nl: Bediening}
    source: our own
    scale: agree
    items:
      friendly: {label: {nl: vriendelijk}}
      waited: {label: {nl: lang gewacht}, reverse: true}
      helped: {label: {nl: geholpen}}
  money:
    title: {nl: Geld}
    source: our own
    scale: euros
    items: {spent: {label: {nl: uitgegeven}}, saved: {label: {nl: bespaard}}}
  person:
    title: {nl: Persoon}
    source: our own
    items: {age: {scale: years, label: {nl: leeftijd}}, moans: {scale: yesno, label: {nl: klaagt}}}
  moan:
    title: {nl: Klacht}
    source: our own
    asked_if: {variable: moans, codes: [1]}
    items: {why: {scale: words, label: {nl: waarom}}}
constructs:
  service_score: {label: {nl: bediening}, items: [friendly, waited, helped]}
  money_score: {label: {nl: geld}, items: [spent, saved]}
  bad_service: {label: {nl: slecht}, items: [service_score, waited]}
"""
SHOP_WAVE = """
wave: a
title: {nl: A}
origin: observed
fieldwork: {start: 2020-01-01, end: 2020-02-01}
population: {nl: iedereen}
export: {file: shop.csv}
columns: {respondent_id: Nr, friendly: A, waited: B, helped: C, spent: D, saved: E, age: F, moans: G, why: H}
answers: {euros: {niets: 0, geheim: not_answered}}
rules: {complete: [service]}
"""
SECRET = "Mevrouw De Vries was onbeleefd"
SHOP_ROWS = [
    f"1;eens;oneens;eens;12,50;niets;44;ja;{SECRET}",
    "2;eens;eens;neutraal;Niets;-1;130;ja;  ",
    f"3;oneens;weet niet;1;1000000;0;weet niet;nee;{SECRET}",
    "4;oneens;2;eens;geheim;3;16;ja;1",
]


def shop(tmp_path, rows=SHOP_ROWS, *changes):
    """The project and wave of the shop; `changes`: old and new texts in its questionnaire."""
    text = SHOP
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    for name, content in {
        "data/instrument.yaml": text,
        "data/waves/a.yaml": SHOP_WAVE,
        "data/raw/a/shop.csv": "\n".join(["Nr;A;B;C;D;E;F;G;H", *rows]),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    project = Project.find(tmp_path)
    return project, load_wave(project, "a")


def test_reversed_answers_stay_as_given_and_scores_take_them_turned(tmp_path):
    project, wave = shop(tmp_path)
    cleaned = cleaning.clean(read_export(project, wave), wave)
    found = cleaned.responses.set_index("respondent_id")
    assert found["waited"].fillna(0).tolist() == [1, 3, 0, 2]
    assert found["waited_r"].fillna(0).tolist() == [3, 1, 0, 2]
    np.testing.assert_allclose(found["service_score"], [3, 2, 1, 2])
    np.testing.assert_allclose(found["bad_service"], [3, 1.5, 1, 2])
    assert wave.instrument.constructs["service_score"].items == ["friendly", "waited_r", "helped"]
    assert wave.instrument.label("waited_r", "nl") == "lang gewacht (omgekeerd)"
    assert wave.instrument.codes("waited_r", "nl") == {1: "oneens", 2: "neutraal", 3: "eens"}
    assert wave.instrument.topic(["friendly", "waited_r", "helped"], "nl") == "bediening"
    assert wave.instrument.topic(["waited_r", "friendly", "helped"], "nl") == "bediening"
    cleaning.save(cleaned, project, wave)
    pd.testing.assert_frame_equal(cleaning.load(project, wave)[0], cleaned.responses)


def test_numbers_are_read_as_they_are_and_outside_their_range_taken_out(tmp_path):
    project, wave = shop(tmp_path)
    cleaned = cleaning.clean(read_export(project, wave), wave)
    found = cleaned.responses.set_index("respondent_id")
    np.testing.assert_array_equal(found["spent"], [12.5, 0, 1e6, NAN])
    np.testing.assert_array_equal(found["saved"], [0, NAN, 0, 3])
    np.testing.assert_array_equal(found["age"], [44, NAN, NAN, 16])
    np.testing.assert_array_equal(found["money_score"], [6.25, 0, 5e5, 3])
    assert cleaned.missing["age"].tolist() == ["", "not_answered", "dont_know", ""]
    edits = cleaned.ledger[cleaned.ledger["rule"] == "out_of_range"]
    assert edits[["variable", "before", "after"]].to_numpy().tolist() == [
        ["saved", "-1", "not_answered"],
        ["age", "130", "not_answered"],
    ]
    assert (wave.instrument.kind("age"), wave.instrument.codes("age")) == ("number", {})
    cleaning.save(cleaned, project, wave)
    made = cleaned.responses.assign(age=130.0)
    with pytest.raises(ValueError, match="age has the code 130"):
        cleaning.validate(made, cleaned.missing.assign(age=""), wave)


def test_a_number_becomes_groups_by_ranges(tmp_path):
    old = "recode: {from: age, ranges: {0: [null, 43.5], 1: [44, null]}}}"
    derived = f"derived:\n  old: {{label: {{nl: oud}}, scale: yesno, {old}\nconstructs:"
    project, wave = shop(tmp_path, SHOP_ROWS, ("constructs:", derived))
    cleaned = cleaning.clean(read_export(project, wave), wave)
    np.testing.assert_array_equal(cleaned.responses["age"], [44, NAN, NAN, 16])
    np.testing.assert_array_equal(cleaned.responses["old"], [1, NAN, NAN, 0])


def test_many_numbers_out_of_range_are_a_fault_of_the_description(tmp_path):
    rows = [f"{k};eens;eens;eens;0;0;{year};nee;" for k, year in enumerate(range(1950, 1990))]
    project, wave = shop(tmp_path, rows)
    with pytest.raises(
        ValueError, match=r"age: 40 of 40 numbers are outside the range .* 16 to 99"
    ):
        cleaning.clean(read_export(project, wave), wave)


@pytest.mark.parametrize("text", ["12.50", "1.000,5", "veel", "twaalf euro", "1e3"])
def test_a_text_that_is_no_number_is_refused(tmp_path, text):
    project, wave = shop(tmp_path, [f"1;eens;eens;eens;{text};0;20;nee;"])
    with pytest.raises(ValueError, match=r"'D' \(spent\): .* is not a number with decimal ','"):
        read_export(project, wave)


def test_what_is_written_to_an_open_question_stands_in_no_file(tmp_path):
    project, wave = shop(tmp_path)
    cleaned = cleaning.clean(read_export(project, wave), wave)
    assert cleaned.responses["why"].fillna(0).tolist() == [1, 0, 0, 1]
    assert cleaned.missing["why"].tolist() == ["", "not_answered", "not_asked", ""]
    routed = cleaned.ledger[cleaned.ledger["rule"] == "routing"]
    assert routed[["variable", "before"]].to_numpy().tolist() == [["why", "1"]]
    cleaning.save(cleaned, project, wave)
    written = [path.read_bytes() for path in project.processed("a").iterdir()]
    written.append(cleaned.responses.to_csv().encode())
    assert len(written) > 4 and not [content for content in written if b"Vries" in content]
    cleaning.load(project, wave)


@pytest.mark.parametrize(
    "row",
    [
        f"1;eens;eens;eens;0;0;20;ja;{SECRET};{SECRET}",  # a field too many
        f"1;eens;fout;eens;0;0;20;ja;{SECRET}",
        f";eens;eens;eens;veel;0;20;ja;{SECRET}",
        f'1;eens;eens;eens;0;0;20;ja;"{SECRET}',  # no second quotation mark
    ],
)
def test_a_refused_export_does_not_quote_an_open_question(tmp_path, row):
    project, wave = shop(tmp_path, [SHOP_ROWS[0], row])
    with pytest.raises(ValueError) as refused:
        read_export(project, wave)
    assert "Vries" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("asked_if: {variable: moans,", "asked_if: {variable: age,",
         "blocks.moan.asked_if: age is of kind number: it has no codes"),
        ("items: [spent, saved]", "items: [spent, age]",
         "constructs.money_score.items: numbers have a mean with others of their own scale only"),
        ("items: [spent, saved]", "items: [spent, friendly]", "constructs.money_score.items: numbers"),
        ("[service_score, waited]", "[service_score, money_score]", "bad_service.items: numbers have"),
        ("items: [spent, saved]", "items: [spent, why]", "why is not on an ordinal scale"),
        ("[friendly, waited, helped]", "[friendly, waited, waited_r]",
         "service_score.items: waited_r stands more than once (as waited, which is reversed)"),
        ("label: {nl: klaagt}", "reverse: true, label: {nl: klaagt}",
         "blocks.person.items.moans.reverse: the scale 'yesno' has no order that can be turned"),
        ("3: {nl: eens}", "4: {nl: eens}", "waited.reverse: the scale 'agree' has no order"),
        ("unit: {nl: euro}, ", "", "scales.euros: a scale of kind number needs unit"),
        ("range: [16, 99]", "range: [99, 16]", "scales.years.range: its low end is above"),
        ("{kind: open}", "{kind: open, dont_know: true}", "words.dont_know: a scale of kind open has no"),
        ("{kind: open}", "{kind: nominal}", "scales.words: a scale of kind nominal needs codes"),
        ("{kind: ordinal, ", "{kind: ordinal, range: [1, 3], ", "agree.range: a scale of kind ordinal"),
        ("constructs:", "derived:\n  old: {label: {nl: oud}, scale: yesno, recode: {from: age, codes: {1: [65]}}}\nconstructs:",
         "derived.old.recode: give ranges of a number, codes of anything else"),
        ("constructs:", "derived:\n  old: {label: {nl: oud}, scale: yesno, recode: {from: moans, ranges: {1: [1, 1]}}}\nconstructs:",
         "derived.old.recode: give ranges of a number, codes of anything else"),
        ("constructs:", "derived:\n  old: {label: {nl: oud}, scale: yesno, recode: {from: age, ranges: {0: [0, 65], 1: [65, null]}}}\nconstructs:",
         "derived.old.recode.ranges: a number can lie in two of the ranges"),
        ("constructs:", "derived:\n  old: {label: {nl: oud}, scale: yesno, any_at_least: {items: [why], code: 1}}\nconstructs:",
         "derived.old.any_at_least: why is of kind open"),
        ("constructs:", "derived:\n  old: {label: {nl: oud}, scale: years, recode: {from: moans, codes: {1: [1]}}}\nconstructs:",
         "derived.old: it makes codes that the scale 'years' does not have"),
        ("  yesno: {kind: nominal, codes: {0: {nl: nee}", "  yesno: {kind: nominal, codes: {0: {nl: nee, en: 'no'}",
         "scales.yesno.codes.0.en: the questionnaire has languages: [nl]"),
        ("languages: [nl]", "languages: [nl, en]",
         "(whole file): no text is in en, but the questionnaire has languages: [nl, en]"),
        ("languages: [nl]", "languages: [en]", "(whole file): no text is in en, but"),
        ("languages: [nl]", "languages: [nl, de]", "languages.1: Input should be 'nl' or 'en'"),
        ("{nl: neutraal}", "{nl: Eens}", "agree.codes.3: the label 'eens' (nl) would also be read as 2"),
        ("{nl: neutraal}", "{nl: weet  niet}", "the label 'weet  niet' (nl) would also be read as don't"),
        ("{nl: neutraal}", "{nl: '3'}", "agree.codes.2: the label '3' (nl) would also be read as 3"),
    ],
)  # fmt: skip
def test_what_such_questions_cannot_be(tmp_path, old, new, said):
    with pytest.raises(ValueError, match=r"^instrument\.yaml has \d fault") as refused:
        shop(tmp_path, SHOP_ROWS, (old, new))
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 3  # the head, and one fault or two


def test_the_name_of_a_reversed_answer_is_taken(tmp_path):
    with pytest.raises(ValueError, match="waited.reverse: the name 'waited_r' is used 2 times"):
        shop(tmp_path, SHOP_ROWS, ("moans", "waited_r"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title: {nl: A}", "title: {nl: A, en: A}", "title.en: the questionnaire has languages: [nl]"),
        ("export: {file: shop.csv}", "export: {file: shop.csv, language: en}",
         "export.language: the questionnaire has languages: [nl]"),
        ("{niets: 0,", "{niets: -5,", "answers.euros.niets: -5 is neither in the range of euros nor"),
        ("{euros:", "{words: {geen: not_answered}, euros:", "an open question has no answers to list"),
        ("{euros:", "{agree: {Prima: 3, prima: 2}, euros:",
         "answers.agree.prima: the label 'prima' stands for 3 as well"),
        ("{euros:", "{agree: {Neutraal: 3}, euros:",
         "answers.agree.Neutraal: the label 'Neutraal' stands for 2 as well"),
        ("rules: {", "rules: {eligible: {age: [16]}, ", "rules.eligible.age: age is of kind number"),
        ("{euros:", "{yesno: {Yes: 1}, euros:", "answers.yesno.Yes: YAML reads yes, no, on and off as"),
        ("{euros:", "{agree: {1: 3}, euros:",
         "answers.agree.1: Input should be a valid string (found 1): write it in quotes"),
    ],
)  # fmt: skip
def test_what_a_wave_cannot_say_of_such_questions(tmp_path, old, new, said):
    project, _ = shop(tmp_path)
    text = project.wave_file("a").read_text(encoding="utf-8")
    assert old in text
    project.wave_file("a").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=r"^a\.yaml has 1 fault") as refused:
        load_wave(project, "a")
    assert said in str(refused.value)


def test_answers_that_a_wave_takes_together_stand_in_the_ledger(tmp_path):
    project, _ = shop(tmp_path, [*SHOP_ROWS, "5;best;prima;Prima;0;0;20;nee;"])
    text = project.wave_file("a").read_text(encoding="utf-8")
    text = text.replace("{euros:", "{agree: {prima: 3, best: 3}, euros:")
    project.wave_file("a").write_text(text, encoding="utf-8")
    notes = read_export(project, load_wave(project, "a")).notes
    assert notes[["rule", "respondent_id", "variable", "before", "after"]].to_numpy().tolist() == [
        ["label_merged", "5", "friendly", "best", "prima"],
        ["label_spelling", "5", "helped", "Prima", "prima"],
        ["label_spelling", "2", "spent", "Niets", "niets"],
    ]


def test_a_questionnaire_in_one_language(tmp_path):
    _, wave = shop(tmp_path)
    with pytest.raises(ValueError, match="no texts in 'en', only in nl"):
        wave.instrument.label("friendly", "en")
    assert wave.instrument.label("friendly") == "vriendelijk"
    study = mkb21.open("a", tmp_path, "en")
    assert study.language == "nl" and study.word("friendly") == "vriendelijk"
    assert str(study).splitlines()[-1] == "taal: nl, de enige van de vragenlijst"
