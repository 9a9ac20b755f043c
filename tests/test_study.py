"""The door of the notebooks: what it opens, what it shows, and what it writes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

import mkb21
from mkb21.page import figures
from mkb21.survey import cleaning, ingest
from mkb21.survey.analysis import load_analysis
from mkb21.survey.instrument import load_wave
from semfit import reliability

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A copy of the project's data, with the responses of 2012."""
    folder = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("processed")
    shutil.copytree(ROOT / "data", folder / "data", ignore=ignored)
    study = mkb21.open("2012", folder)
    export = ingest.read_export(study.project, study.wave)
    cleaning.save(cleaning.clean(export, study.wave), study.project, study.wave)
    return folder


@pytest.fixture(params=["nl", "en"])
def study(root, request):
    return mkb21.open("2012", root, request.param)


@pytest.fixture
def dutch(root):
    return mkb21.open("2012", root, "nl")


# --- opening -------------------------------------------------------------------------------------


def test_opens_a_wave_also_where_papermill_made_it_a_number(root):
    study = mkb21.open(2012, root, "en")
    assert study.wave.wave == "2012" and study.project.root == root
    assert study.processed == root / "data" / "processed" / "2012"
    assert study.figures == root / "figures" / "2012"
    assert str(study).splitlines() == [
        "MKB21 monitor 2012 (zero measurement)",
        "origin: reconstructed",
        study.wave.notice("en"),
    ]


def test_samples_are_names_of_the_analysis_or_queries(root):
    study = mkb21.open("2012", root)
    sizes = [len(study.sample(name)) for name in ("", "users", "non_users", "user == 0")]
    assert sizes == [314, 256, 58, 58]
    assert list(study.missing["respondent_id"]) == list(study.responses["respondent_id"])


def test_before_the_cleaning_the_error_says_what_to_run(tmp_path):
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("processed"))
    study = mkb21.open("2012", tmp_path)
    with pytest.raises(ValueError, match="run 01_cleaning for wave 2012 first"):
        study.responses  # noqa: B018


def test_an_unknown_language_wave_or_folder_is_refused(root, tmp_path):
    with pytest.raises(ValueError, match="language is 'de'"):
        mkb21.open("2012", root, "de")
    with pytest.raises(ValueError, match="1999"):
        mkb21.open("1999", root)
    with pytest.raises(ValueError, match="not an MKB21 project"):
        mkb21.open("2012", tmp_path)


@pytest.mark.parametrize("module", ["mkb21", "mkb21.page.words"])
def test_the_command_need_not_load_pandas(module):
    code = f"import sys, {module}; sys.exit('pandas' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_model_by_name_or_by_the_path_of_a_file(root):
    study = mkb21.open("2012", root)
    own = root / "own.lav"
    own.write_text("culture =~ cul_openness + cul_learning + cul_customer\n", encoding="utf-8")
    assert study.model("gebruiksmodel").name == "gebruiksmodel"
    assert study.model("own.lav").latents == study.model(str(own)).latents == ("culture",)
    with pytest.raises(ValueError, match="gebruiksmodel_direct"):
        study.model("gebruiksmodel_dirct")


def test_what_a_variant_writes_stands_apart(root):
    study = mkb21.open("2012", root, variant="east")
    assert study.tables == root / "runs/2012/east/tables" and study.variant == "east"
    assert study.figures == root / "runs/2012/east/figures"
    study.write(pd.DataFrame({"n": [1]}), "descriptives_east")
    assert (study.tables / "descriptives_east.csv").is_file()
    assert not (study.processed / "descriptives_east.csv").exists() and len(study.responses) == 314
    with pytest.raises(ValueError, match="cannot be called '../2013'"):
        mkb21.open("2012", root, variant="../2013")


def test_the_figure_of_an_observed_wave_ends_with_its_title(study):
    study.notice = None
    study.publish(Figure(layout="constrained"), "test_title", "alt")
    svg = (study.figures / f"test_title_{study.language}.svg").read_text(encoding="utf-8")
    assert study.wave.title[study.language] in svg and "invented" not in svg


# --- words ---------------------------------------------------------------------------------------


def test_codes_in_words(dutch):
    assert dutch.word("env_sector") == "sector" and dutch.word("sector") == "KvK-sector"
    assert dutch.word("motivation") == "motivatie"  # out of words.yaml
    assert dutch.word("nowhere") == "nowhere" and dutch.word(3) == 3
    assert dutch.labels(["solo", "east"])["east"] == "gevestigd in Oost-Nederland"


def test_a_table_gets_words_for_its_codes_once(dutch):
    """The label of one question is the name of another: `sector` of the environment."""
    table = pd.DataFrame({"variable": ["env_sector"], "first": ["solo"], "group": ["east"], "n": 3})
    shown = dutch.show(table, "label first n", "Titel", groups="group")
    assert shown.body.iloc[0].tolist() == ["sector", "eenmansbedrijf (zzp)", "3"]
    assert shown.groups == ("gevestigd in Oost-Nederland",)
    assert shown.notes == (dutch.notice,)
    assert table["first"].tolist() == ["solo"]  # not changed


def test_labels_come_from_codes_variables_items_or_scales(dutch):
    codes = pd.DataFrame({"variable": "size", "code": [1, 2]})
    assert dutch.labelled(codes)["label"].tolist() == ["eenmansbedrijf (zzp)", "2-9 werknemers"]
    for key in ("variable", "item", "scale", "first"):
        assert dutch.labelled(pd.DataFrame({key: ["solo"]}))["label"].tolist() == [
            "eenmansbedrijf (zzp)"
        ]
    own = pd.DataFrame({"variable": ["solo"], "label": ["eigen woord"]})
    assert dutch.labelled(own)["label"].tolist() == ["eigen woord"]


# --- what is written -----------------------------------------------------------------------------


def test_a_table_is_the_same_bytes_in_both_languages(root):
    made = []
    for language in ("nl", "en"):
        study = mkb21.open("2012", root, language)
        table = reliability.frequencies(study.responses, "size", [1, 2, 3, 4])
        assert study.write(table, "descriptives_size") == "descriptives_size.csv"
        made.append((study.processed / "descriptives_size.csv").read_bytes())
    assert made[0] == made[1] and made[0].startswith(b"variable,code,n,")


def results(study):
    return {n: r for s in study.analysis.descriptives.values() for n, r in s.results.items()}


def svg(study, name):
    return (study.figures / f"{name}_{study.language}.svg").read_text(encoding="utf-8")


def test_a_result_is_drawn_and_saved_once_and_its_table_shown(study, monkeypatch, capsys):
    saved, save = [], figures.save
    monkeypatch.setattr(figures, "save", lambda *a: saved.append(a[2]) or save(*a))
    study.present("fig03_size", results(study)["fig03_size"])
    assert saved == [f"fig03_size_{study.language}"]
    assert study.written == ["descriptives_fig03_size.csv"]
    drawn = svg(study, "fig03_size")
    first = study.instrument.codes("size", study.language)[1]
    title = study.say("Figuur 3. Bedrijfsomvang", "Figure 3. Company size")
    assert study.notice in drawn and f'-desc">{title}: {first} 42%,' in drawn
    shown = capsys.readouterr().out
    assert title in shown and "131" in shown


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fig07_frequency", "Figuur 7. Gebruik per medium (wekelijks of vaker): Twitter 52%,"),
        ("fig13_reputation", "Invloed op de corporate reputatie (gemiddelden): goed gevoel 3,78,"),
        ("fig12_gaps", "Figuur 12. Motivatie en perceptie: naamsbekendheid vergroten −0,38,"),
    ],
)
def test_the_alternative_text_says_the_first_share_or_the_means(dutch, name, said):
    dutch.present(name, results(dutch)[name])
    assert said in svg(dutch, name)
    assert "score" not in svg(dutch, name)  # not what stands in the table only


def test_a_figure_without_a_number_is_of_a_question(dutch):
    dutch.present("culture", results(dutch)["culture"])
    assert (dutch.figures / "question_culture_nl.png").is_file()
    assert dutch.written == ["descriptives_culture.csv", "descriptives_culture_means.csv"]


def test_what_cannot_be_shown_is_printed_and_not_written(study, monkeypatch, capsys):
    nobody = study.responses.head(0)
    monkeypatch.setattr(study, "sample", lambda name="": nobody)
    study.present("fig09_reasons", results(study)["fig09_reasons"])
    why = study.say("weggelaten; niemand hoort bij", "left out; nobody is in this group")
    assert why in capsys.readouterr().out and study.written == []


def test_what_was_not_asked_is_said_question_by_question(root):
    study = mkb21.open("2012", root, "nl")
    assert study.left_out("result", "group") is None
    wave = load_wave(study.project, "2012")
    unasked = list(wave.instrument.blocks["motivation"].items)
    wave = wave.model_copy(update={"not_in_wave": unasked})
    study.analysis = load_analysis(study.project, wave)
    said = study.left_out("result", "outcome").data.splitlines()
    assert said[0].startswith("Niet gevraagd in deze meting")
    assert said[2:] == [
        "- Motivatie: Figuur 12. Motivatie en perceptie; vergelijking van motivatie"
    ]


# --- results that may not be there ---------------------------------------------------------------


def test_a_result_is_written_and_shown_or_left_out_with_the_reason(study, capsys):
    table = pd.DataFrame({"variable": ["east"], "n": [3]})
    shown = study.result("made_here", table, "label n", "Title", shown=table.assign(label="x"))
    assert study.written == ["made_here.csv"] and "x" in str(shown) and not capsys.readouterr().out
    assert "label" not in (study.processed / "made_here.csv").read_text(encoding="utf-8")
    for nothing in (None, table.head(0)):
        assert study.result("not_made", nothing, "label n", "Title", "because") is None
        said = capsys.readouterr().out
        assert said == f"Title: {study.say('weggelaten', 'left out')}; because\n"
    assert study.written == ["made_here.csv"] and not (study.processed / "not_made.csv").exists()


def test_an_attempt_gives_a_result_or_the_reason(dutch):
    assert dutch.attempt(int, "3") == (3, "")
    result, why = dutch.attempt(dutch.model, "gebruiksmodl")
    assert result is None and "Did you mean 'gebruiksmodel'" in why
    assert dutch.attempt(int, "3", absent="no_rows") == (None, "no_rows")
    with pytest.raises(TypeError):
        dutch.attempt(int, [])
