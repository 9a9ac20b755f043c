"""Your changes: own notebooks (51 and up), models, variants, the questionnaire and its analysis.

`make test-yours` runs these; they are no part of `make test`, which is about the repository itself.
"""

import ast
import shutil
import warnings

import pytest
from test_notebooks import (  # noqa: F401  the form of a notebook, here of one's own
    ROOT,
    code_cells,
    read,
    test_cells_are_short,
    test_declares_the_common_parameters_with_a_comment_each,
    test_defines_nothing_and_hides_nothing,
    test_opens_with_title_aims_reads_and_writes,
)

import mkb21
from mkb21.run import notebooks, pipeline
from mkb21.run.paths import Project
from mkb21.survey import models
from mkb21.survey.analysis import load_analysis
from mkb21.survey.instrument import load_wave

pytestmark = pytest.mark.yours

HERE = Project(ROOT)
OWN = sorted(HERE.notebooks.glob("[5-9]*.ipynb"))
MODELS = sorted(path.stem for path in HERE.models.glob("*.lav"))
WAVE = HERE.waves()[0]


@pytest.fixture(params=OWN, ids=lambda path: path.stem)
def notebook(request):
    return read(request.param)


def test_the_notebooks_fit_together():
    notebooks.read_notebooks(HERE)


def test_what_a_notebook_says_it_says_in_both_languages(notebook):
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say":
                assert len(node.args) == 2 and all(map(ast.unparse, node.args)), cell.source


@pytest.mark.skipif(not OWN, reason="no notebook of your own: mkb21 new-notebook NAME")
@pytest.mark.parametrize("language", ["en", "nl"])
def test_they_run(tmp_path, language):
    """With the notebooks whose results they read, in a copy."""
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("processed"))
    there = notebooks.read_notebooks(HERE)
    needed = [one for one in there if one.path in OWN]
    for one in reversed(there):
        if any(notebooks._shared(other.reads, one.outputs) for other in needed):
            needed.append(one)
    (tmp_path / "notebooks").mkdir()
    for one in needed:
        shutil.copy(one.path, tmp_path / "notebooks")
    settings = {"language": language}
    settings |= (
        {"bootstrap_draws": 0} if any("bootstrap_draws" in n.parameters for n in needed) else {}
    )
    pipeline.run(Project(tmp_path), WAVE, settings)


@pytest.mark.parametrize("wave", HERE.waves())
def test_questionnaire_wave_and_analysis_are_whole(wave):
    load_analysis(HERE, load_wave(HERE, wave))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_can_be_read_and_names_what_the_questionnaire_has(name):
    study = mkb21.open(WAVE, ROOT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models.check_names(study.model(name), study.analysis.full)
    study.plan(name)


def test_what_a_variant_sets_is_possible():
    for name in load_analysis(HERE, load_wave(HERE, WAVE)).variants:
        place = pipeline.prepare(HERE, WAVE, {}, name)[-1][0]
        assert place.folder.parent == HERE.runs(WAVE)
