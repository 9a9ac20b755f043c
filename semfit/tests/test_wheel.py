"""The wheel of semfit works by itself: without mkb21, from any folder."""

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SEMFIT = Path(__file__).parents[1]
REFERENCE = SEMFIT / "tests" / "reference"
PROJECT = tomllib.loads((SEMFIT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Runs with the wheel, and without what else is installed here: its import fails as if it were not.
SMOKE = """
import json, sys
sys.path.insert(0, sys.argv[1])
absent, before = set(json.loads(sys.argv[2])), set(sys.modules)

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
import pandas as pd
import semfit
from semfit import reliability

data = pd.read_csv(sys.argv[3])
model = semfit.read_model(open(sys.argv[4], encoding="utf-8").read())
fit = semfit.fit(model, data)
scales = {"visual": ["x1", "x2", "x3"], "speed": ["x7", "x8", "x9"]}
print(json.dumps({
    "file": semfit.__file__,
    "version": semfit.__version__,
    "modules": sorted({name.partition(".")[0] for name in set(sys.modules) - before}),
    "estimates": fit.estimates["estimate"].tolist(),
    "chisq": float(fit.test.chisq),
    "bootstrap": semfit.bootstrap(fit, 30, n_jobs=1, confidence=0.8, interval="percentile").n_failed,
    "omega": reliability.scale_reliability(data, scales)["omega_implied"].tolist(),
}))
"""


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, so that nothing is left in the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    skipped = shutil.ignore_patterns("tests", "docs", "build", "*.egg-info", "__pycache__")
    shutil.copytree(SEMFIT, folder / "semfit", ignore=skipped)
    offline = ("--no-deps", "--no-build-isolation", "--no-index")
    pip("wheel", *offline, "--wheel-dir", folder, folder / "semfit")
    (built,) = folder.glob("*.whl")
    return built


def brought(names):
    """Distributions that these names bring, themselves included, as far as they are installed."""
    found, todo = set(), [Requirement(text) for text in names]
    while todo:
        entry = todo.pop()
        name = canonicalize_name(entry.name)
        if name in found or (entry.marker and not entry.marker.evaluate({"extra": ""})):
            continue
        try:
            todo += [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue
        found.add(name)
    return found


def absent():
    """Modules that are installed here and that nothing of semfit's dependencies brings."""
    own = brought(PROJECT["dependencies"])
    return {
        module
        for module, names in packages_distributions().items()
        if not {canonicalize_name(name) for name in names} & own
    } - {"semfit"} | {"mkb21"}


@pytest.fixture(scope="module")
def smoke(wheel, tmp_path_factory):
    """What the smoke test says, in an empty folder, with the wheel alone."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--target", folder, wheel)
    empty = tmp_path_factory.mktemp("empty")
    reference = json.loads((REFERENCE / "sem_hs.json").read_text(encoding="utf-8"))
    (folder / "hs.lav").write_text(reference["model"], encoding="utf-8")
    without = json.dumps(sorted(absent()))
    arguments = [folder, without, REFERENCE / "sem_hs.csv", folder / "hs.lav"]
    done = subprocess.run(
        [sys.executable, "-I", "-c", SMOKE, *map(str, arguments)],
        cwd=empty,
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder, reference


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
        described = archive.read(metadata).decode()
    sources = SEMFIT / "src"
    written = {file.relative_to(sources).as_posix() for file in sources.rglob("*.py")}
    assert held == written
    assert "\nLicense-Expression: MIT\n" in described and "# semfit" in described


def test_the_wheel_is_what_is_imported(smoke):
    said, folder, _ = smoke
    assert Path(said["file"]).is_relative_to(folder)


def test_the_wheel_works_without_mkb21_and_its_packages(smoke):
    assert {"mkb21", "great_tables", "papermill", "IPython", "pytest"} <= absent()
    assert not absent() & set(smoke[0]["modules"])


def test_a_fit_has_lavaans_numbers(smoke):
    said, _, reference = smoke
    assert said["estimates"] == pytest.approx([row["est"] for row in reference["estimates"]], 1e-6)
    assert said["chisq"] == pytest.approx(reference["measures"]["chisq"], rel=1e-6)


def test_bootstrap_and_reliability_run(smoke):
    said = smoke[0]
    assert said["bootstrap"] == 0
    assert said["omega"] == pytest.approx([0.633, 0.696], abs=5e-4)
