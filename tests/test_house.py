"""What the house says of itself is true: files that parse, paths, links and commands that exist."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
PAGES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"]
PAGES += [
    "docs/student.md",
    "semfit/README.md",
    "semfit/CHANGELOG.md",
    "semfit/tests/benchmarks/README.md",
]
PAGES += sorted(f"semfit/docs/{file.name}" for file in (REPOSITORY / "semfit/docs").glob("*.md"))
FORMS = sorted((REPOSITORY / ".github").rglob("*.yml"))
# made by a run, or by a tool: named, and not there in a fresh clone
MADE = re.compile(
    r"^(\.venv|runs|data/processed|data/raw/<wave>|semfit/docs/(_build|api))\b"
    r"|^(data|reports)/.*\b(2025|readiness|knowledge)"  # by the reader of docs/student.md
)
NAMED = re.compile(r"^[\w.<>*/-]+$")
KINDS = "py|md|yaml|yml|csv|lav|toml|lock|ipynb|json|R|cff|txt"


def text_of(name):
    return (REPOSITORY / name).read_text(encoding="utf-8")


def prose_of(name):
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(name), flags=re.DOTALL | re.MULTILINE)


def links(name):
    """The relative links of a page, images included."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose_of(name))
    return [link for link in found if not re.match(r"https?:|mailto:", link)]


def paths(name):
    """What a page writes as a path of the repository: code with a slash, or a file's name."""
    code = re.findall(r"`([^`\n]+)`", prose_of(name))
    code += re.findall(r"Rscript (\S+)", text_of(name))
    known = [c.rstrip(":") for c in code if NAMED.match(c)]
    here = (REPOSITORY, (REPOSITORY / name).parent)
    top = {entry.name for folder in here for entry in folder.iterdir()}
    return [
        c for c in known if c.split("/")[0] in top and ("/" in c or re.search(rf"\.({KINDS})$", c))
    ]


def may_run(name):
    """Whether a file may be executed (Windows knows no such thing)."""
    return os.name == "nt" or (REPOSITORY / name).stat().st_mode & 0o100


def there(path):
    """Whether a path is there; <wave> stands for 2012, and * for anything."""
    path = path.removeprefix("./").replace("<wave>", "2012")
    return any(REPOSITORY.glob(path.rstrip("/"))) or MADE.match(path) is not None


# ---- pages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (REPOSITORY / page).parent
    assert [x for x in links(page) if not (folder / x.split("#")[0]).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_are_named_are_there(page):
    folder = Path(page).parent.as_posix()
    missing = [p for p in paths(page) if not there(p) and not there(f"{folder}/{p}")]
    assert missing == []


def test_the_pages_name_paths_and_links():
    """The two tests above would also pass on pages in which they find nothing."""
    assert len(links("README.md")) > 10 and len(paths("README.md")) > 15
    assert len(paths("CONTRIBUTING.md")) > 15 and len(paths("ARCHITECTURE.md")) >= 10
    assert not there("mkb21/sem/spec.py") and not there("data/waves/<wave>.yml")


@pytest.mark.parametrize("page", PAGES)
def test_targets_that_are_named_exist(page):
    makefile = text_of("Makefile")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    named = re.findall(r"(?:`|^    )make ([a-z][\w-]*)", text_of(page), re.MULTILINE)
    assert {"run", "test"} <= targets
    assert set(named) <= targets


def test_the_map_names_every_room_and_no_other():
    """ARCHITECTURE.md has the folders of both packages in its tables, and none that is not there."""
    rows = re.findall(r"^\| `(\w+)/` \|", text_of("ARCHITECTURE.md"), re.MULTILINE)
    packages = [REPOSITORY / "semfit/src/semfit", REPOSITORY / "mkb21"]
    rooms = [f.parent.name for package in packages for f in package.glob("*/__init__.py")]
    assert sorted(rows) == sorted(rooms)


def test_the_map_names_files_that_are_there():
    """Names of modules in the rows of a room are files of that room."""
    rows = re.findall(r"^\| `(\w+)/` \| (.*?) \|", text_of("ARCHITECTURE.md"), re.MULTILINE)
    unknown = []
    for room, words in rows:
        folders = [REPOSITORY / "semfit/src/semfit" / room, REPOSITORY / "mkb21" / room]
        names = re.findall(r"`(\w+)`", words)
        unknown += [
            f"{room}/{n}" for n in names if not any((f / f"{n}.py").exists() for f in folders)
        ]
    assert unknown == ["run/mkb21"]  # the command


def test_the_map_has_the_import_rules_that_are_kept():
    """The last column of its tables is what test_import_rules.py allows."""
    from test_import_rules import MAY_IMPORT

    rows = re.findall(r"^\| `(\w+)/` \|.*\| ([^|]+) \|$", text_of("ARCHITECTURE.md"), re.MULTILINE)
    assert len(rows) == 11
    for room, words in rows:
        package = "semfit" if (REPOSITORY / "semfit/src/semfit" / room).is_dir() else "mkb21"
        name = f"{package}.{room}"
        if words == "all":
            continue
        names = [] if words == "nothing" else words.split(", ")
        told = {word if word == "semfit" else f"{package}.{word}" for word in names}
        assert told == MAY_IMPORT[name] - {"semfit.messages", name}, room


def test_the_map_fits_on_two_pages():
    assert len(text_of("ARCHITECTURE.md").splitlines()) <= 100


def test_names_of_the_front_door_in_the_readme_exist():
    import mkb21
    import semfit
    from mkb21.study import Study

    named = {package: set() for package in ("semfit", "mkb21", "study")}
    for code in re.findall(r"`([^`\n]+)`", text_of("README.md")):
        for package, name in re.findall(r"\b(semfit|mkb21|study)\.(\w+)", code):
            named[package].add(name)
    assert named["study"] >= {"sample", "model"} and "fit" in named["semfit"]
    fields = set(dir(Study)) | set(Study.__annotations__)
    assert named["study"] <= fields
    assert all(hasattr(semfit, name) for name in named["semfit"])
    assert all(hasattr(mkb21, name) for name in named["mkb21"])


# ---- forms, workflow, environments ---------------------------------------------------------------


@pytest.mark.parametrize("file", FORMS, ids=lambda file: file.name)
def test_forms_and_workflows_parse(file):
    assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict)


def test_there_is_a_form_for_each_kind_of_issue():
    forms = {f.name: yaml.safe_load(f.read_text(encoding="utf-8")) for f in FORMS}
    for name in ("bug.yml", "number.yml", "new_wave.yml"):
        form = forms[name]
        assert form["name"] and form["description"]
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert all(field["attributes"]["label"] for field in fields)
        assert len({field["id"] for field in fields}) == len(fields) > 2


def test_the_workflow_runs_what_every_machine_runs():
    workflow = yaml.safe_load(text_of(".github/workflows/ci.yml"))
    jobs = workflow["jobs"]
    runs = {name: [step.get("run") for step in job["steps"]] for name, job in jobs.items()}
    assert ".ci/run" in runs["linux"] and may_run(".ci/run")
    assert {"macos-latest", "windows-latest"} == set(jobs["others"]["strategy"]["matrix"]["os"])
    assert any("-r requirements.lock" in run for run in runs["others"] if run)
    assert any("--no-deps --editable ./semfit --editable ." in run for run in runs["others"] if run)
    assert any("pytest" in run for run in runs["others"] if run)
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+)*", action) for action in used)


def test_every_environment_has_a_python_that_the_package_takes():
    oldest = tomllib.loads(text_of("pyproject.toml"))["project"]["requires-python"]
    python = oldest.removeprefix(">=")
    steps = yaml.safe_load(text_of(".github/workflows/ci.yml"))["jobs"]["linux"]["steps"]
    assert python in [step.get("with", {}).get("python-version") for step in steps]
    container = json.loads(text_of(".devcontainer/devcontainer.json"))
    assert container["image"].endswith(f"python:{python}")
    binder = yaml.safe_load(text_of(".binder/environment.yml"))
    assert f"python={python}" in binder["dependencies"]


def test_the_container_makes_the_environment():
    target = json.loads(text_of(".devcontainer/devcontainer.json"))["postCreateCommand"]
    ready = re.search(r"^READY := (\S+)$", text_of("Makefile"), re.MULTILINE)[1]
    assert target == f"make {ready}"


def test_binder_installs_the_lock_and_both_packages():
    assert may_run(".binder/postBuild") and text_of(".binder/postBuild").startswith("#!")
    assert "-r requirements.lock" in text_of(".binder/postBuild")
    assert "--no-deps --editable ./semfit --editable ." in text_of(".binder/postBuild")


def test_the_ruff_of_pre_commit_is_that_of_the_lock():
    hooks = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"]
    ruff = next(repo for repo in hooks if repo["repo"].endswith("ruff-pre-commit"))
    assert (
        ruff["rev"]
        == "v" + re.search(r"^ruff==(\S+)$", text_of("requirements.lock"), re.MULTILINE)[1]
    )
    assert {hook["id"] for hook in ruff["hooks"]} == {"ruff-check", "ruff-format"}
    others = [hook["id"] for repo in hooks if repo is not ruff for hook in repo["hooks"]]
    assert others == ["check-added-large-files", "stored-outputs"]


def test_versions_agree():
    import mkb21
    import semfit

    for module, folder in ((mkb21, ""), (semfit, "semfit/")):
        citation = yaml.safe_load(text_of(f"{folder}CITATION.cff"))
        assert citation["version"] == module.__version__
        assert citation["cff-version"] == "1.2.0" and citation["title"] and citation["authors"]


# ---- stored outputs ------------------------------------------------------------------------------


@pytest.fixture
def checked(tmp_path):
    """A function that changes a notebook and says what the hook makes of it: (status, output)."""

    def check(change):
        said = [{"output_type": "stream", "name": "stdout", "text": "1"}]
        code = {"cell_type": "code", "metadata": {}, "source": ["print(1)"]}
        cells = [code | {"execution_count": i, "outputs": [*said]} for i in (1, 2, 3)]
        notebook = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": []}, *cells]}
        change(cells)
        (tmp_path / "some.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        command = [sys.executable, REPOSITORY / "tests/stored_outputs.py", tmp_path / "some.ipynb"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        return done.returncode, done.stdout

    return check


def without_outputs(cells):
    for cell in cells:
        cell["outputs"] = []


def run_twice(cells):
    cells[2]["execution_count"] = 40


def in_error(cells):
    cells[1]["outputs"] = [{"output_type": "error", "ename": "E", "evalue": "", "traceback": []}]


def test_a_whole_notebook_passes(checked):
    assert checked(lambda cells: None) == (0, "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_outputs, "holds no outputs"),
        (run_twice, "not run from top to bottom"),
        (in_error, "ended in an error"),
    ],
)
def test_a_notebook_that_is_not_whole_is_named(checked, change, said):
    status, output = checked(change)
    assert status == 1 and said in output and "some.ipynb" in output
