"""The reconstruction of 2012: the same bytes, a believable export, the truth after cleaning, and
refusals of assumptions that cannot be."""

import csv
import io
import itertools
import re
import shutil
from collections import Counter
from ipaddress import ip_address, ip_network
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_instrument import edit, faults, line_of

from mkb21 import reconstruct
from mkb21.reconstruct.answers import nearest_counts
from mkb21.reconstruct.model import Draws, Plan, indicators, latents
from mkb21.run.paths import Project
from mkb21.survey import published
from mkb21.survey.cleaning import clean, ledger_summary
from mkb21.survey.ingest import read_export
from mkb21.survey.instrument import load_wave

PROJECT = Project(Path(__file__).parents[1])
OTHER_SEEDS = (7, 8)
DOCUMENTATION = [ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


@pytest.fixture(scope="module")
def wave():
    return load_wave(PROJECT, "2012")


@pytest.fixture(scope="module")
def assumptions(wave):
    return reconstruct.load_assumptions(PROJECT, wave)


@pytest.fixture(scope="module")
def claims():
    return published.read(PROJECT.published("2012"))


@pytest.fixture(scope="module")
def sample(wave, assumptions, claims):
    """The respondents as they were drawn, before the export."""
    return reconstruct.simulate(wave, assumptions, claims)


def copy_of_project(folder):
    """The real data files in another folder, without an export."""
    for name in ("instrument.yaml", "waves", "published", "assumptions"):
        source = PROJECT.root / "data" / name
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / "data" / name)
    return Project(folder)


@pytest.fixture
def project(tmp_path):
    return copy_of_project(tmp_path)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A project for each seed (None: that of the assumptions) with the export just written."""
    made = {}
    for seed in (None, *OTHER_SEEDS):
        made[seed] = copy_of_project(tmp_path_factory.mktemp(f"seed{seed}"))
        paths = reconstruct.write(made[seed], "2012", seed=seed)
        assert paths == [made[seed].raw("2012") / "mkb21-2012-export.csv"]
    return made


@pytest.fixture(scope="module")
def cleaned(written, wave):
    return {seed: clean(read_export(p, wave), wave) for seed, p in written.items()}


@pytest.fixture(scope="module")
def table(written):
    """The committed seed's export as text."""
    content = (written[None].raw("2012") / "mkb21-2012-export.csv").read_bytes()
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";"))
    return pd.DataFrame(rows[1:], columns=rows[0])


def every_seed(test):
    return pytest.mark.parametrize("seed", [None, *OTHER_SEEDS])(test)


# --- the same bytes ------------------------------------------------------------------------------


def content(project):
    return (project.raw("2012") / "mkb21-2012-export.csv").read_bytes()


def test_the_committed_export_is_what_the_committed_seed_gives(written):
    assert content(written[None]) == content(PROJECT)


def test_other_seeds_give_other_bytes(written):
    assert len({content(p) for p in written.values()}) == 1 + len(OTHER_SEEDS)


def test_nothing_but_the_export_is_left_behind(written):
    for project in written.values():
        assert [p.name for p in project.raw("2012").iterdir()] == ["mkb21-2012-export.csv"]


def test_another_folder(tmp_path, monkeypatch, wave, sample):
    monkeypatch.setattr(reconstruct, "simulate", lambda *_: sample)
    assert reconstruct.write(PROJECT, "2012", out=tmp_path / "new") == [
        tmp_path / "new" / "mkb21-2012-export.csv"
    ]
    assert (tmp_path / "new" / "mkb21-2012-export.csv").read_bytes() == content(PROJECT)


def test_random_numbers_depend_on_seed_and_name_only():
    draws = Draws(1)
    first = draws("a").standard_normal(5)
    draws("b").standard_normal(5)
    assert (draws("a").standard_normal(5) == first).all()
    assert (draws("b").standard_normal(5) != first).all()
    assert (Draws(2)("a").standard_normal(5) != first).all()


# --- after ingest and cleaning -------------------------------------------------------------------


@every_seed
def test_every_claim_holds_after_cleaning(cleaned, claims, seed):
    register = published.compare(claims, cleaned[seed].responses)
    assert register.loc[~register["holds"], "id"].tolist() == []


@every_seed
def test_cleaning_finds_exactly_what_was_planted(cleaned, assumptions, seed):
    spec, found = assumptions.export, cleaned[seed]
    flow = found.flow.set_index("step")["dropped"]
    assert flow.to_dict() == {
        "read": 0,
        "test_entries": spec.test_entries,
        "incomplete": spec.abandoned,
        "outside_province": spec.outside_region,
        "outside_size": spec.too_large,
        "duplicates": spec.duplicates,
        "kept": 0,
    }
    cells = ledger_summary(found.ledger).set_index("rule")["n_cells"]
    assert cells["out_of_range"] == spec.impossible_codes
    assert cells["label_spelling"] == spec.stray_spelling
    assert cells["routing"] == spec.routing_slips
    flags, rules = found.responses, 20
    assert (flags["flag_fast"] == 1).sum() == spec.careless_fast
    assert (flags["longstring"] >= rules).sum() == spec.careless_straight
    assert flags["flag_careless"].sum() == spec.careless_fast + spec.careless_straight


def whole_rows(values, missing) -> list[tuple]:
    """Each respondent as one tuple: a code, or the reason why there is none, for every item."""
    cells = values.astype(object).where(values.notna(), missing.to_numpy())
    return list(cells.itertuples(index=False, name=None))


def test_cleaning_gives_back_every_cell_that_was_drawn(sample, cleaned, wave):
    found = cleaned[None]
    drawn = Counter(whole_rows(sample.values, sample.missing))
    kept = Counter(whole_rows(found.responses[wave.items], found.missing[wave.items]))
    assert len(sample.values) == len(found.responses) == 314
    assert drawn == kept
    assert len(drawn) == 314  # all different: no respondent can be taken for another


def test_the_flagged_are_those_who_were_careless(sample, cleaned, wave):
    found = cleaned[None]
    kept = whole_rows(found.responses[wave.items], found.missing[wave.items])
    drawn = whole_rows(sample.values, sample.missing)
    flags = found.responses
    fast = {row for row, flag in zip(kept, flags["flag_fast"], strict=True) if flag == 1}
    long = {row for row, run in zip(kept, flags["longstring"], strict=True) if run >= 20}
    assert fast == {drawn[k] for k in sample.fast}
    assert long == {drawn[k] for k in sample.straight}


def test_the_sample_itself(sample, assumptions, wave):
    values, missing = sample.values, sample.missing
    assert list(values) == list(missing) == wave.items
    assert ((missing == "") == values.notna()).all(axis=None)
    user = (values[wave.instrument.block("frequency")] >= 2).any(axis=1)
    assert user.tolist() == [True] * 256 + [False] * 58
    assert set(np.unique(missing)) == {"", "not_asked", "not_answered", "dont_know"}
    offered = [
        i for i in wave.items if wave.instrument.scales[wave.instrument.scale_name(i)].dont_know
    ]
    assert set(missing.columns[(missing == "dont_know").any()]) <= set(offered)
    for item in values:
        assert values[item].dropna().isin(list(wave.instrument.codes(item))).all()
    assert (values[wave.instrument.block("manager")].sum(axis=1) >= 1).all()
    assert (values.loc[~user, wave.instrument.block("reasons")].sum(axis=1) >= 1).all()


def test_answers_are_as_assumed_where_nothing_is_published(sample, assumptions, wave, claims):
    """Counts differ from the assumed ones by rounding only."""
    listed = [i for i in wave.items if isinstance(assumptions.marginal(i), list)]
    numbers = claims.loc[claims["among"] == "", "variables"].tolist()
    free = [i for i in listed if i not in numbers and i != "province"]  # through the region
    assert len(free) > 20
    for item in free:
        answers = sample.values[item].dropna()
        expected = np.array(assumptions.marginal(item)) / 100 * len(answers)
        counts = [(answers == code).sum() for code in wave.instrument.codes(item)]
        assert np.abs(counts - expected).max() <= 1, item


# --- a believable export -------------------------------------------------------------------------


@every_seed
def test_the_file_is_as_a_dutch_survey_tool_writes_it(written, seed):
    raw = content(written[seed])
    assert raw.startswith(b"\xef\xbb\xbf") and raw.count(b"\xef\xbb\xbf") == 1
    assert raw.endswith(b"\r\n") and raw.count(b"\n") == raw.count(b"\r\n") == 372


def test_more_rows_than_respondents(table, assumptions):
    spec = assumptions.export
    strangers = spec.test_entries + spec.abandoned + spec.outside_region + spec.too_large
    assert len(table) == 314 + strangers + spec.duplicates == 371


def test_labels_are_dutch_and_each_kind_of_slip_is_there(table, wave):
    columns = [wave.columns[item] for item in wave.items]
    cells = Counter(cell for column in columns for cell in table[column])
    labels = {
        label
        for item in wave.items
        for label in [*wave.instrument.codes(item, "nl").values(), "gekozen", "niet gekozen"]
    }
    for label in ("mee eens", "niet/nauwelijks", "zeer waarschijnlijk", "eenmansbedrijf (zzp)"):
        assert cells[label] > 50
    assert cells["weet niet / n.v.t."] > 100 and cells["andere provincie"] == 9
    assert cells["250 of meer werknemers"] == 6 and cells[""] > 1000
    other = {c: n for c, n in cells.items() if c not in {*labels, "", "weet niet / n.v.t."}}
    codes = {c: n for c, n in other.items() if c.isdigit()}
    assert set(codes) == {"9", "99", "0"} and sum(codes.values()) == 7
    spelt = {c: n for c, n in other.items() if not c.isdigit()}
    assert sum(spelt.values()) == 14
    assert {" ".join(c.split()).lower() for c in spelt} <= {label.lower() for label in labels}
    assert any(c.isupper() for c in spelt) and any("  " in c for c in spelt)
    assert any(c.startswith(" ") for c in spelt) and any(c.endswith(" ") for c in spelt)


def test_times_and_durations(table, wave):
    assert table["Duur (minuten)"].str.fullmatch(r"\d+,\d").all()
    start = pd.to_datetime(table["Begin"], format="%d-%m-%Y %H:%M:%S")
    end = pd.to_datetime(table["Einde"], format="%d-%m-%Y %H:%M:%S", errors="coerce")
    assert start.is_monotonic_increasing
    assert start.min() >= pd.Timestamp(wave.fieldwork.start)
    assert start.max() < pd.Timestamp(wave.fieldwork.end) + pd.Timedelta(days=5)
    stopped = table["Status"] == "afgebroken"
    assert stopped.sum() == 26 and (table.loc[stopped, "Einde"] == "").all()
    assert (table.loc[~stopped, "Status"] == "voltooid").all()
    minutes = table["Duur (minuten)"].str.replace(",", ".").astype(float)
    took = (end - start).dt.total_seconds() / 60
    assert took[~stopped].tolist() == pytest.approx(minutes[~stopped].tolist(), abs=0.06)
    assert minutes.between(0.3, 120).all()


@every_seed
def test_personal_data_are_reserved_names_and_addresses(written, seed):
    text = content(written[seed]).decode("utf-8-sig")
    rows = pd.read_csv(io.StringIO(text), sep=";", dtype=str, keep_default_na=False)
    mail = rows["E-mailadres"].str.strip().str.lower()
    assert mail.str.fullmatch(r"respondent\d{4}@voorbeeld\.invalid").all()
    assert all(any(ip_address(ip) in net for net in DOCUMENTATION) for ip in rows["IP-adres"])
    invented = rows["Bedrijfsnaam"].str.fullmatch(r"Verzonnen bedrijf \d{4}")
    test = rows["Bedrijfsnaam"].str.contains("^test", case=False)
    assert (invented | test).all() and test.sum() == 6
    assert rows["Respondentnummer"].is_unique
    assert set(re.findall(r"@([\w.]+)", text.lower())) == {"voorbeeld.invalid"}


def test_who_comes_back_has_the_same_address_and_comes_later(table):
    mail = table["E-mailadres"].str.strip().str.lower()
    again = mail[mail.duplicated()]
    assert len(again) == 10 and again.is_unique
    spelt = table.loc[mail.isin(again), "E-mailadres"]
    assert (spelt != spelt.str.strip().str.lower()).any()


def test_one_person_companies_have_no_employees_who_do_the_communication(sample):
    solo = sample.values[sample.values["size"] == 1]
    assert (solo["responsible"] != 1).mean() < 0.03
    assert (solo[["manager_marketing", "manager_employee"]] == 1).mean().max() < 0.05


# --- the planted structure -----------------------------------------------------------------------


def test_latent_variables_have_the_planted_paths_and_variance_1(wave, assumptions, claims):
    """Before cutting into answers, of so many users that every error of .015 shows."""
    n, model = 200_000, assumptions.model
    rng = np.random.default_rng(1)
    common = rng.standard_normal(n)
    raw = {name: 0.5 * common + rng.standard_normal(n) for name in ("size", "b2c", "east")}
    covariates = pd.DataFrame({name: (x - x.mean()) / x.std() for name, x in raw.items()})
    user, draws = np.ones(n, bool), Draws(1)
    plan = Plan(wave.instrument, assumptions, claims, draws, user, None, None, None)
    latent = pd.DataFrame(latents(plan, covariates)).join(covariates)
    assert latent.var().tolist() == pytest.approx([1.0] * 9, abs=0.015)
    r = latent.corr()
    assert r.at["culture", "environment"] == pytest.approx(0.30, abs=0.01)
    assert r.loc[["culture", "environment"], list(covariates)].abs().max(axis=None) < 0.01
    for effect, paths in model.paths.items():
        found, *_ = np.linalg.lstsq(latent[list(paths)], latent[effect])
        assert found.tolist() == pytest.approx(list(paths.values()), abs=0.01), effect


def test_indicators_have_the_planted_loadings_and_pairs(wave, assumptions, claims):
    n, model = 200_000, assumptions.model
    user, draws = np.ones(n, bool), Draws(2)
    plan = Plan(wave.instrument, assumptions, claims, draws, user, None, None, None)
    latent = {name: draws(f"test {name}").standard_normal(n) for name in model.loadings}
    factors = {name: latent[name] for name in [*model.non_users, *model.paths]}
    scores = indicators(plan, factors)
    unique = {}
    for factor, loadings in model.loadings.items():
        for name, loading in loadings.items():
            r = np.corrcoef(scores[factor], scores[name])[0, 1]
            assert r == pytest.approx(loading, abs=0.01), name
            unique[name] = scores[name] - loading * scores[factor]
    left = {second: np.sqrt(1 - r**2) for _, second, r in model.doublets}  # of its own before
    for a, b in [*model.paired_items, *model.paired_dimensions]:
        r = model.paired_uniqueness * left.get(a, 1) * left.get(b, 1)
        assert np.corrcoef(unique[a], unique[b])[0, 1] == pytest.approx(r, abs=0.01), (a, b)
    for a, b, r in model.doublets:
        assert np.corrcoef(unique[a], unique[b])[0, 1] == pytest.approx(r, abs=0.01), (a, b)


# --- counts under limits -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assumed", "limits"),
    [
        ([3.2, 4.4, 4.4], []),
        ([3.2, 4.4, 4.4], [([1, 0, 0], 5.0, 7.0)]),
        ([12.0, 0.0, 0.0], [([1, 2, 3], 23.5, 24.5)]),
        ([2.5, 2.5, 7.0], [([0, 1, 1], 8.2, np.inf), ([1, 2, 3], -np.inf, 26.0)]),
    ],
)
def test_counts_are_the_nearest_that_meet_the_limits(assumed, limits):
    limits = [(np.array(weights, float), low, high) for weights, low, high in limits]
    found = nearest_counts(np.array(assumed), 12, limits)
    possible = [
        np.array(c)
        for c in itertools.product(range(13), repeat=3)
        if sum(c) == 12 and all(low <= w @ np.array(c) <= high for w, low, high in limits)
    ]
    assert any((found == c).all() for c in possible)
    best = min(np.abs(c - assumed).sum() for c in possible)
    assert np.abs(found - assumed).sum() == pytest.approx(best)


def test_counts_that_cannot_be():
    limits = [(np.array([1.0, 0, 0]), 5.0, 7.0), (np.array([1.0, 1, 0]), 0.0, 4.0)]
    assert nearest_counts(np.array([4.0, 4, 4]), 12, limits) is None


# --- refusals ------------------------------------------------------------------------------------


def test_observed_waves_are_not_reconstructed(project):
    edit(project.wave_file("2012"), ("origin: reconstructed ", "origin: observed "))
    with pytest.raises(ValueError, match="Wave 2012 is observed: its answers are not reconstr"):
        reconstruct.write(project, "2012")
    assert not project.raw("2012").exists()


def test_unknown_waves_and_absent_files(project):
    with pytest.raises(ValueError, match=r"no wave '2013' .*Waves: 2012\."):
        reconstruct.write(project, "2013")
    project.assumptions("2012").unlink()
    with pytest.raises(ValueError, match=r"2012\.yaml cannot be read: No such file"):
        reconstruct.write(project, "2012")


FAULTS = {  # what to change, a text of the line, the message
    "other wave": (
        [('wave: "2012"', 'wave: "2013"')], 'wave: "2013"', "wave: it is '2013', for wave 2012"),
    "unknown key": (
        [("  careless_fast: 4", "  careless_quick: 4")],
        "careless_quick", "export.careless_quick: this key is not known here"),
    "no reason": (
        [("  reason: 314, 256 and 58", "  because: 314, 256 and 58")],
        "respondents:", "respondents.reason: this key is missing"),
    "negative rows": (
        [("  duplicates: 10", "  duplicates: -1")],
        "duplicates: -1", "export.duplicates: Input should be greater than or equal to 0"),
    "more users than respondents": (
        [("  users: 256", "  users: 315")],
        "users: 315", "respondents.users: there are 314 respondents only"),
    "more careless than users": (
        [("  careless_fast: 4", "  careless_fast: 256")],
        "users: 256", "respondents.users: 260 users are careless or without background; there are"),
    "item without answers": (
        [("    way_listen: [8, 12, 24, 35, 21]\n", "")],
        "\nmarginals:", "marginals: way_listen has no assumed answers"),
    "unknown item": (
        [("    way_listen: [8,", "    way_lisen: [8,")],
        "way_lisen", "marginals.ways.way_lisen: unknown item. Closest: way_listen"),
    "too few percentages": (
        [("    way_listen: [8, 12, 24, 35, 21]", "    way_listen: [20, 24, 35, 21]")],
        "way_listen: [", "marginals.ways.way_listen: 4 percentages for 5 codes"),
    "not 100 %": (
        [("    way_listen: [8, 12, 24, 35, 21]", "    way_listen: [8, 12, 24, 35, 20]")],
        "way_listen: [", "marginals.ways.way_listen: the percentages add up to 99"),
    "negative percentage": (
        [("    way_listen: [8, 12, 24, 35, 21]", "    way_listen: [-8, 28, 24, 35, 21]")],
        "way_listen: [", "marginals.ways.way_listen: a percentage is negative"),
    "half a distribution": (
        [("mot_leads: {mean: 3.60, sd: 1.15}", "mot_leads: {mean: 3.60}")],
        "mot_leads: {", "marginals.motivation.mot_leads: give mean and sd, or one percentage per"),
    "no distribution": (
        [("mot_leads: {mean: 3.60, sd: 1.15}", "mot_leads: high")],
        "mot_leads: high", "marginals.motivation.mot_leads: give mean and sd, or one percentage"),
    "no spread": (
        [("mot_leads: {mean: 3.60, sd: 1.15}", "mot_leads: {mean: 3.60, sd: 0}")],
        "mot_leads: {mean", "marginals.motivation.mot_leads: the sd must be more than 0"),
    "effect on something unknown": (
        [("    manager_owner: {size: -0.5}", "    manager_oner: {size: -0.5}")],
        "manager_oner", "traits.effects.manager_oner: unknown trait. Closest: manager_owner"),
    "effect of a later trait": (
        [("    b2c: {user: 0.05}", "    b2c: {b2b: 0.05}")],
        "b2c: {b2b", "traits.effects.b2c: b2b is no trait that stands before b2c in marginals"),
    "effects of more than all": (
        [("    b2c: {user: 0.05}", "    b2c: {user: 1.05}")],
        "b2c: {user", "traits.effects.b2c: the effects explain more than all"),
    "order of other codes": (
        [("    responsible: [1, 5, 4, 3, 2]", "    responsible: [1, 5, 4, 3]")],
        "[1, 5, 4, 3]", "traits.order.responsible: give every code of a trait once"),
    "path from something unknown": (
        [("    perception: {use: 0.60}", "    perception: {usage: 0.60}")],
        "usage", "model.paths.perception: usage is no trait and no latent variable before percep"),
    "path from a later variable": (
        [("    perception: {use: 0.60}", "    perception: {reputation: 0.60}")],
        "perception: {reputation", "model.paths.perception: reputation is no trait and no latent"),
    "correlation of others": (
        [("  correlation: {culture: {environment: 0.30}}", "  correlation: {culture: {use: 0.3}}")],
        "  correlation:", "model.correlation.culture: culture and use are not both under non_us"),
    "impossible correlation": (
        [("{culture: {environment: 0.30}}", "{culture: {environment: 1.30}}")],
        "  correlation:", "model.correlation.culture: a correlation of 1.3 is not between -1 and"),
    "impossible loading": (
        [("cul_openness: 0.72", "cul_openness: 1.72")],
        "cul_openness: 1.72", "model.loadings.culture: the loading 1.72 of cul_openness is not b"),
    "loading of an unknown item": (
        [("cul_openness: 0.72", "cul_open: 0.72")],
        "cul_open: ", "model.loadings.culture: unknown item 'cul_open'. Closest: cul_openness"),
    "item with two loadings": (
        [("cul_openness: 0.72", "env_sector: 0.72")],
        "env_sector: 0.72", "model.loadings.culture: env_sector has 2 loadings"),
    "loadings on an unknown factor": (
        [("    culture: {cul_openness", "    cultures: {cul_openness")],
        "cultures: ", "model.loadings.cultures: it has no scores yet"),
    "pair without loadings": (
        [("[mot_crisis, per_crisis]", "[mot_crisis, per_crises]")],
        "per_crises", "model.paired_dimensions.3: per_crises has no loading"),
    "don't know in an unknown block": (
        [("dont_know: {expected: 0.05", "dont_know: {expectation: 0.05")],
        "{expectation", "missing.dont_know.expectation: unknown block"),
}  # fmt: skip


def load(project):
    return reconstruct.load_assumptions(project, load_wave(project, "2012"))


def is_said(found, path, text, message):
    line = line_of(path, text)
    return any(f[:2] == (path, line) and f[2].startswith(message) for f in found)


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_the_assumptions(project, name):
    changes, text, message = FAULTS[name]
    path = project.assumptions("2012")
    edit(path, *changes)
    found = faults(load, project)
    assert is_said(found, path, text, message), found


def test_all_faults_of_the_assumptions_are_said_at_once(project):
    together = ["other wave", "unknown key", "item without answers", "order of other codes",
                "path from something unknown", "impossible loading", "no spread",
                "don't know in an unknown block"]  # fmt: skip
    path = project.assumptions("2012")
    edit(path, *[change for n in together if n != "unknown key" for change in FAULTS[n][0]],
         ("  routing_slips: 4", "  routing_slips: 4\n  careless_quick: 4"))  # fmt: skip
    found = faults(load, project)
    for name in together:
        assert is_said(found, path, *FAULTS[name][1:]), (name, found)
    assert len(found) == len(together)


def test_assumptions_that_contradict_a_claim_name_it(project):
    edit(project.assumptions("2012"),
         ("way_initiate: [12, 18, 32, 26, 12]", "way_initiate: [0, 0, 0, 50, 50]"))  # fmt: skip
    with pytest.raises(ValueError) as refused:
        reconstruct.write(project, "2012")
    first, *lines = str(refused.value).splitlines()
    assert first == "The assumptions do not agree with what was published; change them:"
    assert [line.split(":")[0].strip() for line in lines] == [
        "fig11_spread_largest", "fig11_initiate"]  # fmt: skip
    assert not project.raw("2012").exists()


def test_claims_that_contradict_each_other_are_named(project, wave, assumptions, claims):
    east = claims[claims["id"] == "fig01_east"].assign(id="other", value=70)
    both = pd.concat([claims, east], ignore_index=True)
    with pytest.raises(
        ValueError, match="to province meet what was published: .*fig01_east, other"
    ):
        reconstruct.simulate(wave, assumptions, both)


def test_paths_that_explain_more_than_all_are_named(wave, assumptions, claims):
    paths = assumptions.model.paths | {"perception": {"use": 1.2}}
    model = assumptions.model.model_copy(update={"paths": paths})
    with pytest.raises(
        ValueError, match="planted paths to perception explain 144% of its variance"
    ):
        reconstruct.simulate(wave, assumptions.model_copy(update={"model": model}), claims)
