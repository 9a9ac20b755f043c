"""pyproject.toml, requirements.lock, environment.yml, .gitignore and this interpreter agree."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mkb21.run.paths import Project

REPOSITORY = Path(__file__).parents[1]
SET_BY_THE_OWNER = {
    "jupyterlab",
    "pandas",
    "seaborn",
    "statsmodels",
    "semopy",
    "papermill",
    "nbval",
}

PYPROJECT, SEMFIT = (
    tomllib.loads((REPOSITORY / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for folder in ("", "semfit")
)
EXTRAS = [text for extra in PYPROJECT["optional-dependencies"].values() for text in extra]
LOCK_TEXT = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
LOCK = [
    Requirement(line) for line in LOCK_TEXT.splitlines() if line and not line.startswith((" ", "#"))
]
DIRECT = [
    Requirement(text)
    for text in PYPROJECT["dependencies"] + SEMFIT["dependencies"] + EXTRAS
    if text != SEMFIT["name"]  # in this repository, not in the lock
]
ENVIRONMENT = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))


def pins(name):
    return [Version(str(entry.specifier)[2:]) for entry in LOCK if entry.name == name]


def test_the_owners_packages_are_direct_dependencies():
    assert SET_BY_THE_OWNER <= {entry.name for entry in DIRECT}


def test_the_lock_pins_exactly():
    pinned = re.compile(r"==[0-9][^*,]*")
    assert [str(entry) for entry in LOCK if not pinned.fullmatch(str(entry.specifier))] == []


def test_the_lock_names_no_address_and_no_file():
    assert not re.search(r"://|^-|^/|@ |file:", LOCK_TEXT, flags=re.MULTILINE)


@pytest.mark.parametrize("direct", DIRECT, ids=str)
def test_each_direct_dependency_is_locked_within_its_bounds(direct):
    locked = pins(canonicalize_name(direct.name))
    assert locked
    assert all(pin in direct.specifier for pin in locked)


def test_each_direct_dependency_has_a_lower_bound():
    assert all(
        any(bound.operator in (">=", "==") for bound in direct.specifier) for direct in DIRECT
    )


def test_this_environment_is_the_locked_one():
    here = [entry for entry in LOCK if not entry.marker or entry.marker.evaluate()]
    installed = {distribution.name: distribution.version for distribution in distributions()}
    installed = {canonicalize_name(name): number for name, number in installed.items()}
    locked = {entry.name: str(entry.specifier)[2:] for entry in here}
    assert {name: installed.get(name) for name in locked} == locked


def test_conda_users_get_exactly_the_lock():
    *conda, pip = ENVIRONMENT["dependencies"]
    assert pip == {"pip": ["-r requirements.lock", "-e ./semfit", "-e ."]}
    assert [entry.split("=")[0] for entry in conda] == ["python", "pip"]


def test_the_python_of_conda_is_one_that_the_package_takes():
    python = next(entry for entry in ENVIRONMENT["dependencies"] if "python" in entry)
    supported = Requirement(f"python{PYPROJECT['requires-python']}").specifier
    assert python.split("=")[1] in supported
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in supported


# --- what git takes -----------------------------------------------------------------------------


@pytest.fixture
def ignored(tmp_path):
    """A function that says whether git would ignore a path, in an empty repository."""
    git = shutil.which("git")
    if not git:
        pytest.skip("git is not installed")
    subprocess.run([git, "init", "--quiet", tmp_path], check=True)
    shutil.copy(REPOSITORY / ".gitignore", tmp_path)

    def ask(path):
        command = [git, "-C", tmp_path, "check-ignore", "--quiet", path]
        status = subprocess.run(command, check=False).returncode
        assert status in (0, 1)
        return status == 0

    return ask


@pytest.mark.parametrize("name", ["export.csv", "export.sav", "export.xlsx", "deeper/export.csv"])
def test_the_export_of_an_observed_wave_is_never_committed(ignored, name):
    assert ignored(f"data/raw/2099/{name}")


def test_an_export_beside_the_folders_of_waves_is_not_committed_either(ignored):
    assert ignored("data/raw/export.csv")


@pytest.mark.parametrize("wave", Project(REPOSITORY).waves())
def test_only_waves_of_invented_respondents_are_committed(ignored, wave):
    described = yaml.safe_load(Project(REPOSITORY).wave_file(wave).read_text(encoding="utf-8"))
    assert ignored(f"data/raw/{wave}/export.csv") == (described["origin"] == "observed")


@pytest.mark.parametrize(
    "path", ["runs/2012/manifest.json", "data/processed/2012/responses.parquet"]
)
def test_what_a_run_makes_anew_is_not_committed(ignored, path):
    assert ignored(path)


@pytest.mark.parametrize(
    "path",
    [
        "figures/2012/fig01.svg",
        "data/waves/2099.yaml",
        "mkb21/run/cli.py",
        "data/models/gebruiksmodel.lav",
    ],
)
def test_what_people_edit_and_the_figures_are_committed(ignored, path):
    assert not ignored(path)
