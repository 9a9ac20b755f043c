"""Work of one's own turns no test of the repository red, and a fault in it turns its own tests red."""

import os
import shutil
import subprocess
import sys

import pytest

from conftest import ENVIRONMENT, REPOSITORY
from mkb21.run import new
from mkb21.run.paths import Project

pytestmark = pytest.mark.slow

LEFT = ".git .venv* runs processed build *_cache __pycache__ *.egg-info _build".split()
BLOCK = """
blocks:
  own_knowledge:
    since: "2014"
    title: {nl: Kennis, en: Knowledge}
    source: own
    scale: agreement
    items:
      own_a: {label: {nl: een, en: one}}
      own_b: {label: {nl: twee, en: two}}
      own_c: {label: {nl: drie, en: three}}
"""
CONSTRUCT = """
constructs:
  own_score: {label: {nl: kennis, en: knowledge}, items: [own_a, own_b, own_c]}
"""
VARIANT = """
variants:
  own: {label: {nl: eigen, en: own}, set: {group: ""}}
"""
# what reads the data, the models, the notebooks or the pages of the repository
FILES = "analysis cleaning house import_rules ingest instrument notebook_cleaning published study".split()
FORM = (
    "test_notebooks.py",
    "-k",
    "every_notebook or opens or declares or defines or short or anything",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The repository with a notebook, a model, a variant, a block and a construct of one's own."""
    folder = tmp_path_factory.mktemp("additive") / "copy"
    shutil.copytree(REPOSITORY, folder, ignore=shutil.ignore_patterns(*LEFT), symlinks=True)
    subprocess.run(["git", "init", "--quiet", folder], check=True)  # .gitignore is asked too
    project = Project(folder)
    new.notebook(project, "own")
    new.model(project, "own", "gebruiksmodel")
    for path, text in (
        (project.instrument, BLOCK),
        (project.instrument, CONSTRUCT),
        (project.analysis, VARIANT),
    ):
        said = path.read_text(encoding="utf-8")
        key = text.splitlines()[1]
        assert said.count(f"\n{key}\n") == 1
        path.write_text(said.replace(f"\n{key}\n", text, 1), encoding="utf-8")
    return project


def outcome(project, *arguments):
    """Run tests in the copy, with its own mkb21."""
    paths = os.pathsep.join([str(project.root), ENVIRONMENT["PYTHONPATH"]])
    environment = {k: v for k, v in ENVIRONMENT.items() if not k.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=project.root / "tests", env=environment | {"PYTHONPATH": paths},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_repository_stays_green(project):
    done = outcome(project, *[f"test_{name}.py" for name in FILES])
    assert done.returncode == 0, done.stdout[-4000:]
    done = outcome(project, *FORM)
    assert done.returncode == 0 and "51_own" not in done.stdout, done.stdout[-4000:]


def test_your_tests_are_green_until_there_is_a_fault(project):
    done = outcome(project, "-m", "yours", "test_yours.py")
    assert done.returncode == 0 and "skipped" not in done.stdout, done.stdout[-4000:]
    path = project.notebooks / "51_own.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("study\\n", "def f(): ...\\n"))
    model = project.models / "own.lav"
    model.write_text(model.read_text(encoding="utf-8") + "use ~ sizee\n", encoding="utf-8")
    done = outcome(project, "-m", "yours", "test_yours.py", "-k", "hides or read")
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1 and "names_what_the_questionnaire_has[own]" in failed[0], done.stdout
