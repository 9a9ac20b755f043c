"""A model and a notebook to begin with: what they hold, and that they work as they stand."""

import json
import shutil
import subprocess
import sys

import nbformat
import pytest

import mkb21
import semfit
from conftest import REPOSITORY, call
from mkb21.run import new, notebooks, pipeline
from mkb21.run.paths import Project
from mkb21.survey import cleaning, ingest
from mkb21.survey.analysis import variables

OWN = sorted((REPOSITORY / "notebooks").glob("[0-4]*.ipynb"))


@pytest.fixture
def project(tmp_path):
    """The data of the repository and notebook 01."""
    shutil.copytree(
        REPOSITORY / "data", tmp_path / "data", ignore=shutil.ignore_patterns("processed")
    )
    (tmp_path / "notebooks").mkdir()
    shutil.copy(REPOSITORY / "notebooks/01_cleaning.ipynb", tmp_path / "notebooks")
    return Project(tmp_path)


def model_of(path):
    return semfit.read_model(path.read_text(encoding="utf-8"))


# --- a model ------------------------------------------------------------------------------------


def test_the_constructs_as_a_model_name_what_the_questionnaire_has(project):
    model = model_of(new.model(project, "own"))
    questions = mkb21.open("2012", project.root).wave.instrument
    assert set(model.observed) <= set(questions.items)
    assert not set(model.latents) & set(variables(questions))
    of_items = [
        c for c in questions.constructs.values() if not {*c.items} & {*questions.constructs}
    ]
    assert len(model.latents) == len(of_items)
    assert not [term for term in model.terms if term.op != "=~"]


def test_the_constructs_as_a_model_can_be_fitted(project):
    text = new.model(project, "own").read_text(encoding="utf-8")
    study = mkb21.open("2012", project.root)
    cleaned = cleaning.clean(ingest.read_export(study.project, study.wave), study.wave)
    lines = [line for line in text.splitlines() if "=~ " in line and line[0] != "#"]
    few = semfit.fit("\n".join(lines[:2]), cleaned.responses.query("user == 1"))  # all take 20 s
    assert few.converged
    path = text.splitlines()[-1].removeprefix("# ")  # the example of a path
    assert model_of(project.models / "own.lav").with_terms is not None
    assert semfit.read_model(f"{text}\n{path}").terms[-1].op == "~"


def test_a_copy_says_of_what_and_is_otherwise_the_same(project):
    path = new.model(project, "own", "gebruiksmodel")
    original = (project.models / "gebruiksmodel.lav").read_text(encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# own: a copy of gebruiksmodel") and text.endswith(original)
    assert model_of(path).terms == semfit.read_model(original).terms


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("gebruiksmodel", "", "gebruiksmodel.lav is there already"),
        ("../own", "", "a model cannot be called '../own'"),
        ("base", "", "a model cannot be called 'base'"),
        ("own", "gebruiksmodl", "data/models has no 'gebruiksmodl'. Closest: gebruiksmodel"),
    ],
)
def test_a_model_that_cannot_be_made_is_refused(project, name, source, said):
    before = sorted(project.models.iterdir())
    with pytest.raises(ValueError, match=said):
        new.model(project, name, source)
    assert sorted(project.models.iterdir()) == before


def test_a_questionnaire_without_constructs_needs_a_model_to_copy(small):
    with pytest.raises(ValueError, match="has no construct of items"):
        new.model(small, "own")


# --- a notebook ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Notebook 01 and a new one, run in both languages."""
    project = Project(tmp_path_factory.mktemp("made"))
    ignored = shutil.ignore_patterns("processed")
    shutil.copytree(REPOSITORY / "data", project.root / "data", ignore=ignored)
    project.notebooks.mkdir()
    shutil.copy(REPOSITORY / "notebooks/01_cleaning.ipynb", project.notebooks)
    new.notebook(project, "knowledge")
    for language in ("en", "nl"):
        pipeline.run(project, "2012", {"language": language})
    return project


def test_a_new_notebook_runs_as_it_stands_in_both_languages(made):
    names = {path.name for path in made.figures("2012").glob("51_*")}
    assert names == {f"51_knowledge_{end}" for end in ("en.png", "en.svg", "nl.png", "nl.svg")}
    assert (made.processed("2012") / "51_knowledge.csv").is_file()
    text = (made.runs("2012") / "51_knowledge.ipynb").read_text(encoding="utf-8")
    assert "Geschreven:" in text and "Reconstructie: verzonnen respondenten" in text


def test_a_variant_of_it_stands_apart(made):
    pipeline.run(made, "2012", {"language": "nl"})
    text = "variants: {size: {label: {nl: grootte, en: size}, set: {variable: size}}}\n"
    made.analysis.write_text(text, encoding="utf-8")
    pipeline.run(made, "2012", variant="size")
    folder = made.runs("2012") / "size"
    assert (folder / "tables/51_knowledge.csv").is_file()
    assert (folder / "figures/51_knowledge_en.svg").is_file()


@pytest.mark.parametrize("name", OWN, ids=lambda path: path.stem)
def test_a_new_notebook_begins_as_those_of_the_repository_do(small, name):
    template = nbformat.read(new.notebook(small, "own"), as_version=4)
    assert template.cells[2].source.startswith("try:\n    import mkb21\n")
    assert nbformat.read(name, as_version=4).cells[2].source == template.cells[2].source


def test_without_the_package_the_first_cell_says_what_to_do(small):
    guard = nbformat.read(new.notebook(small, "own"), as_version=4).cells[2].source
    code = guard.replace("import mkb21\n", "import mkb22\n")
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    said = ended.stderr
    assert "\nModuleNotFoundError: mkb22 is not installed for this kernel.\n" in said
    assert all(word in said for word in ("VS Code", "Binder", "Colab: !git clone", "root ="))


def test_numbers_begin_at_51_and_go_up(small):
    names = [new.notebook(small, name).name for name in ("own", "other")]
    assert names == ["51_own.ipynb", "52_other.ipynb"]
    assert [n.name for n in notebooks.read_notebooks(small)][3:] == ["51_own", "52_other"]
    assert nbformat.validate(json.loads((small.notebooks / names[0]).read_text("utf-8"))) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [("note", "03_note.ipynb is there already"), ("a b", "a notebook cannot be called 'a b'")],
)
def test_a_notebook_that_cannot_be_made_is_refused(small, name, said):
    with pytest.raises(ValueError, match=said):
        new.notebook(small, name)


def test_the_commands_say_what_to_do_next(small):
    said = call("new-notebook", "own", "--root", small.root).stdout
    assert said == ("notebooks/51_own.ipynb: open it (make lab), change it, then mkb21 run WAVE\n")
    refused = call("new-model", "own", "--root", small.root)
    assert refused.returncode == 1 and refused.stderr.startswith("mkb21: the questionnaire has no")
