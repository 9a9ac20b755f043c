"""The pages of semfit: their code runs, prints what they show, and the site needs no network."""

import contextlib
import importlib.util
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SEMFIT = Path(__file__).parents[1]
REPOSITORY = SEMFIT.parent
DOCS = SEMFIT / "docs"
GUIDE = [
    "install.md",
    "first_model.md",
    "syntax.md",
    "results.md",
    "weights.md",
    "from_lavaan.md",
    "invariance.md",
    "agreement.md",
    "not_there.md",
]
PAGES = {"README.md": SEMFIT / "README.md"} | {name: DOCS / name for name in GUIDE}
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:^```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


def text_of(name):
    return PAGES[name].read_text(encoding="utf-8")


def run_blocks(name):
    """Run the python blocks of a page in order; what they printed and what the page shows."""
    namespace, printed = {}, []
    for code, shown in BLOCK.findall(text_of(name)):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, name, "exec"), namespace)  # noqa: S102 - the page is ours
        printed.append((out.getvalue(), shown))
    return namespace, printed


@pytest.mark.parametrize("name", PAGES)
def test_code_runs_and_prints_what_is_shown(name):
    for printed, shown in run_blocks(name)[1]:
        if shown:
            assert printed.split() == shown.split()


def test_every_block_of_code_is_run():
    fenced = sum(text_of(name).count("```python") for name in PAGES)
    assert sum(len(BLOCK.findall(text_of(name))) for name in PAGES) == fenced >= 10


def test_the_first_model_of_the_readme_takes_ten_lines():
    code = BLOCK.findall(text_of("README.md"))[0][0]
    assert len([line for line in code.splitlines() if line.strip()]) == 10


def calls():
    """The code in the right-hand column of the tables of calls, which have two."""
    rows = re.findall(r"^\| (?!R \|)(?!---)(.*) \|$", text_of("from_lavaan.md"), re.MULTILINE)
    pairs = [row.split(" | ") for row in rows if row.count(" | ") == 1]
    return [code for _, call in pairs for code in re.findall(r"`([^`]+)`", call)]


def test_every_call_in_place_of_an_r_call_runs():
    namespace, _ = run_blocks("from_lavaan.md")
    assert len(calls()) > 40
    for code in calls():
        result = eval(code, namespace)
        assert result is not None, code


def test_public_names_have_a_page_and_pages_a_public_name():
    import semfit
    from semfit import reliability

    listed = re.findall(
        r"^   (\w+)$", (DOCS / "reference.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    functions = {n for n in semfit.__all__ if callable(getattr(semfit, n))}
    assert set(listed) == functions | set(reliability.__all__)


def test_numbers_of_reference_models_are_those_that_are_there():
    cases = SEMFIT / "tests" / "reference"
    one, many = (
        len(list(cases.glob("sem_*.json"))),
        len(list((cases / "estimators").glob("*.json"))),
    )
    assert f"| {one} models |" in text_of("agreement.md")
    assert f"| {many} models |" in text_of("agreement.md")
    assert f"of {one + many} models" in text_of("README.md")


@pytest.mark.parametrize("package", ["lavaan", "semTools", "psych"])
def test_versions_are_those_that_made_the_references(package):
    sessions = (SEMFIT / "tests" / "reference").rglob("*ession*nfo.txt")
    found = {v for f in sessions for v in re.findall(rf"{package}_(\d[\d.-]*)", f.read_text())}
    assert len(found) == (2 if package == "lavaan" else 1)  # lavaan: two generations
    page = text_of("agreement.md")
    assert f"{package} {min(found)}" in page and all(version in page for version in found)


def test_what_the_page_says_is_refused_is_refused():
    import semfit

    measured = "f =~ x1 + x2 + x3 + x4\n"
    refused = ["v <~ x1 + x2", "efa('a')*f =~ x1", "level: 1", "group: 1\nx1 ~ x2", "x4 ~ f:x2"]
    refused += ["f =~ rv('a')*x1", "f =~ prior('p')*x1", "r := round(b)"]
    for line in refused:
        with pytest.raises(ValueError, match="of the model"):
            semfit.read_model(measured + line)


# ---- the site ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built pages; a warning of Sphinx is an error."""
    for package in ("sphinx", "furo", "myst_parser", "numpydoc"):
        if not importlib.util.find_spec(package):
            pytest.skip(f"{package} is not installed: the pages are not built")
    root = tmp_path_factory.mktemp("docs")
    left_out = shutil.ignore_patterns("_build", "api")
    shutil.copytree(DOCS, root / "docs", ignore=left_out)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, root / "docs", root / "html"],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return root / "html"


def test_the_site_has_the_guide_and_a_page_of_each_function(site):
    there = {file.name for file in site.rglob("*.html")}
    assert {name.replace(".md", ".html") for name in GUIDE} <= there
    assert {"semfit.fit.html", "semfit.Fit-class.html", "semfit.reliability.htmt.html"} <= there


def test_names_of_pages_differ_in_more_than_case(site):
    names = [str(file.relative_to(site)).lower() for file in site.rglob("*.html")]
    assert len(names) == len(set(names))


def test_the_site_fetches_nothing(site):
    """No script, style, font or image of another address; a link to click is no fetch."""
    fetching = re.compile(
        r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=[\"'](?:https?:)?//", re.IGNORECASE
    )
    imports = re.compile(r"@import|url\(\s*[\"']?(?:https?:)?//", re.IGNORECASE)
    pages, styles = list(site.rglob("*.html")), list(site.rglob("*.css"))
    assert len(pages) > 40 and styles
    assert [file.name for file in pages if fetching.search(file.read_text("utf-8"))] == []
    assert [file.name for file in styles if imports.search(file.read_text("utf-8"))] == []
