"""A small project with three quick notebooks, for the tests of the pipeline and the command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mkb21.run.paths import Project

REPOSITORY = Path(__file__).parents[1]
PATHS = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join(PATHS)
}  # the packages that are tested here

PARAMETERS = 'wave = "2012"  # which wave\nroot = ""\nlanguage = "nl"\nseed = 1\n'
FOLDER = "from pathlib import Path\nfolder = Path(root) / 'data/processed' / wave"
WAVE = """\
wave: "2012"
title: {nl: Nulmeting, en: Zero measurement}
origin: reconstructed
fieldwork: {start: 2012-10-01, end: 2012-10-31}
population: {nl: Bedrijven, en: Companies}
export: {file: export.csv}
columns: {respondent_id: id, number: n}
"""
INSTRUMENT = """\
instrument: small
title: {nl: Klein, en: Small}
wording: {nl: Zo gevraagd, en: As asked}
missing:
  not_asked: {nl: a, en: a}
  not_answered: {nl: b, en: b}
  dont_know: {nl: c, en: c}
scales: {yes_no: {kind: nominal, codes: {0: {nl: nee, en: never}, 1: {nl: ja, en: ever}}}}
blocks:
  all:
    title: {nl: Alles, en: All}
    source: own
    items: {number: {label: {nl: getal, en: number}, scale: yes_no}}
"""


def write_notebook(project, name, reads, writes, *code, parameters=PARAMETERS):
    """Write notebooks/<name>.ipynb: its first text cell, its parameters, and cells of code."""
    opening = f"# {name}\n\n**Reads:** {reads}  \n**Writes:** {writes}"
    cells = [
        new_markdown_cell(opening),
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        *[new_code_cell(source) for source in code],
    ]
    project.notebooks.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells), project.notebooks / f"{name}.ipynb")


def make_project(root):
    """A project of one wave: 01 reads the export, 02 doubles what 01 wrote, 03 needs neither."""
    project = Project(root)
    for folder in ("data/waves", "data/raw/2012"):
        (root / folder).mkdir(parents=True)
    project.instrument.write_text(INSTRUMENT)
    project.wave_file("2012").write_text(WAVE)
    project.analysis.write_text(
        "variants: {triple: {label: {nl: drie, en: three}, set: {factor: 3}}}\n"
    )
    (project.raw("2012") / "export.csv").write_text("1\n2\n")
    write_notebook(
        project,
        "01_read",
        "`data/raw/{wave}/*`, `data/waves/{wave}.yaml`",
        "`data/processed/{wave}/numbers.csv`",
        f"{FOLDER}\nfolder.mkdir(parents=True, exist_ok=True)",
        "text = Path(root, 'data/raw', wave, 'export.csv').read_text()\n"
        "(folder / 'numbers.csv').write_text(text)",
    )
    write_notebook(
        project,
        "02_double",
        "`data/processed/{wave}/numbers.csv`",
        "`data/processed/{wave}/doubled*.csv`",
        FOLDER,
        "numbers = [int(line) for line in (folder / 'numbers.csv').read_text().split()]",
        "doubled = [factor * number for number in numbers]\n"
        "folder = Path(root, 'runs', wave, variant, 'tables') if variant else folder\n"
        "folder.mkdir(parents=True, exist_ok=True)\n"
        "(folder / 'doubled.csv').write_text(str(doubled))",
        parameters=PARAMETERS + "factor = 2\nshare = 0.5\nmodel = None\nvariant = ''\n",
    )
    write_notebook(
        project,
        "03_note",
        "`data/instrument.yaml`",
        "`figures/{wave}/note.txt`",
        "from pathlib import Path\nfigures = Path('figures', wave)  # runs in the project folder",
        "figures.mkdir(parents=True, exist_ok=True)\n"
        "(figures / 'note.txt').write_text(f'{language} {seed}')",
    )
    return project


def call(*arguments, cwd=None):
    """Start the command as a user does; its standard output and error as text."""
    return subprocess.run(
        [sys.executable, "-m", "mkb21.run.cli", *map(str, arguments)],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT,
    )


@pytest.fixture
def small(tmp_path):
    """The small project, not run yet."""
    return make_project(tmp_path / "small")


@pytest.fixture(scope="session")
def first_run(tmp_path_factory):
    """The small project after one run, and what the command said. Not to be changed."""
    # spaces and braces, because papermill takes braces in a path for parameters
    project = make_project(tmp_path_factory.mktemp("first") / "my {project}")
    return project, call("run", "2012", "--set", "seed=7", cwd=project.notebooks)


@pytest.fixture
def done(first_run, tmp_path):
    """A copy of the small project after one run with seed 7, to change at will."""
    shutil.copytree(first_run[0].root, tmp_path / "done")
    return Project(tmp_path / "done")
