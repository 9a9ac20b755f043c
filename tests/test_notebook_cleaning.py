"""Notebook 01 on other questionnaires and waves: its cells, run here, in one process."""

import runpy
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml
from test_cleaning import SHOP_ROWS, shop

from mkb21.run.paths import Project
from mkb21.survey.instrument import load_wave

ROOT = Path(__file__).parents[1]
CELLS = [
    cell
    for cell in nbformat.read(ROOT / "notebooks" / "01_cleaning.ipynb", as_version=4).cells
    if cell.cell_type == "code"
]


def run(project, wave, language="en"):
    """Everything that the notebook defines; its parameters as given."""
    given = f"wave, root, language = {wave!r}, {str(project.root)!r}, {language!r}"
    parameters, *rest = [cell.source for cell in CELLS]
    script = project.root / "cells.py"
    script.write_text("\n".join([parameters, given, *rest]), encoding="utf-8")
    return runpy.run_path(str(script), {"display": lambda shown: None})


def rewritten(project, wave, change):
    """The description of a wave, changed as a dict."""
    path = project.wave_file(wave)
    described = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(described)
    path.write_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True), "utf-8")


@pytest.fixture
def project(tmp_path):
    """The data of 2012, to change."""
    for part in ("instrument.yaml", "analysis.yaml", "waves", "raw", "models"):
        source, target = ROOT / "data" / part, tmp_path / "data" / part
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return Project(tmp_path)


def without(project, items):
    """Wave 2012 without these items: in its description, its rules and its export."""
    wave = load_wave(project, "2012")
    blocks = {wave.instrument.block_of[item] for item in items}

    def change(described):
        for item in items:
            del described["columns"][item]
            described["rules"]["eligible"].pop(item, None)
        described["not_in_wave"] = items
        described["rules"]["complete"] = [b for b in ["frequency"] if b not in blocks]

    rewritten(project, "2012", change)
    path = project.raw("2012") / wave.export.file
    raw = pd.read_csv(path, sep=";", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    raw = raw.drop(columns=[wave.columns[item] for item in items])
    raw.to_csv(path, sep=";", index=False, encoding="utf-8-sig")


@pytest.mark.parametrize("block", load_wave(Project(ROOT), "2012").instrument.blocks)
def test_any_block_may_be_absent(project, block, capsys):
    items = load_wave(project, "2012").instrument.block(block)
    without(project, items)
    found = run(project, "2012")
    assert len(found["study"].written) == 4
    assert not set(items) & set(found["missing"]["variable"])
    said = capsys.readouterr().out
    assert f"Not asked: {found['study'].wave.instrument.label(items[0])}" in said
    assert (len(found["rows"]) < len(found["answers"])) == (block != "frequency")  # users
    assert "Next: 02_descriptives" in said


@pytest.mark.parametrize("language", ["nl", "en"])
def test_a_questionnaire_of_one_language_with_numbers_and_open_questions(
    tmp_path, language, capsys
):
    project, wave = shop(tmp_path)
    found = run(project, "a", language)
    said = capsys.readouterr().out
    assert "Gemarkeerd en behouden: weggelaten; deze meting heeft er geen regel voor." in said
    assert "Het hoofdmodel: weggelaten; data/analysis.yaml noemt er geen." in said
    assert "waarom: weggelaten; van een open vraag zegt een lege plek weinig." in said
    assert "6 vragen" not in said and "7 vragen, 4 respondenten" in said
    assert "Vries" not in said
    everything = [
        path for path in tmp_path.rglob("*") if path.is_file() and "raw" not in path.parts
    ]
    assert len(everything) > 10
    assert not [path for path in everything if b"Vries" in path.read_bytes()]
    assert set(found["missing"]["variable"]) == set(wave.items)


def test_a_wave_in_which_nothing_is_missing(tmp_path, capsys):
    rows = [f"{k};eens;oneens;eens;1;2;44;ja;x" for k in range(3)]
    project, _ = shop(tmp_path, rows)
    found = run(project, "a")
    said = capsys.readouterr().out
    assert "Ledger van de schoning: weggelaten; geen enkele regel heeft iets geschrapt" in said
    assert "Vragen met de meeste ontbrekende antwoorden: weggelaten; op elke gestelde vraag" in said
    assert "Meest voorkomende patronen: weggelaten; op elke gestelde vraag is een antwoord" in said
    assert found["patterns"]["n"].tolist() == [3]


def test_the_only_model_is_the_main_one_and_a_faulty_one_is_told(tmp_path, capsys):
    project, _ = shop(tmp_path, SHOP_ROWS)
    project.models.mkdir()
    path = project.models / "one.lav"
    path.write_text("service_score ~ age\n", encoding="utf-8")
    found = run(project, "a")
    assert found["needed"] == ["friendly", "waited", "helped", "age"]
    path.write_text("service_score ~ \n", encoding="utf-8")
    assert len(run(project, "a")["needed"]) == 7
    assert "Het hoofdmodel: weggelaten; " in capsys.readouterr().out


def test_no_code_cell_names_anything_of_the_questionnaire():
    wave = load_wave(Project(ROOT), "2012")
    known = {*wave.instrument.items, *wave.instrument.derived, *wave.instrument.constructs}
    known |= {*wave.instrument.blocks, *wave.instrument.scales} - {"missing", "chosen"}
    texts = [f'"{name}"' for name in known]
    assert not [(cell.id, text) for cell in CELLS for text in texts if text in cell.source]
