"""docs/student.md does what it says: every command and block in it runs, in order, in a copy of the project.

A block is a command (```sh), Python, or what goes into a file: the comment above it says into which and
where. A block of text says what was printed: by Python all of it; by a command its words in their order,
between which anything may stand, so that the page shows the part that it speaks about.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "student.md"
BLOCK = re.compile(
    r"(?:^<!-- (?P<place>[^\n]+) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


def blocks(page):
    return [match.groupdict() for match in BLOCK.finditer(page)]


def put(folder, place, text):
    """Write a block into a file: the whole of it, or after a line, or in place of keys."""
    name, _, where = place.partition(", ")
    path = folder / name
    if not where:
        path.write_text(text, encoding="utf-8")
        return
    content = path.read_text(encoding="utf-8")
    word, _, line = where.partition(" ")
    if word == "below":
        assert content.count(f"\n{line}\n") == 1, f"{name} has no line {line!r}, or several"
        content = content.replace(f"\n{line}\n", f"\n{line}\n{text}")
    else:
        assert where == "in place of these keys"
        for part in re.findall(r"^\w+:.*\n(?:^[ #].*\n|^\n)*", text, re.MULTILINE):
            key = part.partition(":")[0]
            section = re.compile(rf"^{key}:.*\n(?:^[ #].*\n|^\n)*", re.MULTILINE)
            content, times = section.subn(
                lambda _, new=part: new.rstrip() + "\n\n", content, count=1
            )
            assert times == 1, f"{name} has no key {key}"
    path.write_text(content, encoding="utf-8")


def run_commands(text, folder):
    """What the commands of a block print, together; the last may be refused if the page shows it."""
    said, environment = "", os.environ | {"PYTHONPATH": os.pathsep.join(map(str, SOURCES))}
    for line in text.splitlines():
        command = shlex.split(line)
        if command[0] == "cp":
            shutil.copy(folder / command[1], folder / command[2])
            continue
        assert command[0] == "mkb21", line
        done = subprocess.run(
            [sys.executable, "-m", "mkb21.run.cli", *command[1:]],
            cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
        said += done.stdout + done.stderr
        if done.returncode:
            said += "(refused)"
    return said


LIGHTER = {"bootstrap_draws": "20", "group": '""'}
SOURCES = (ROOT / "semfit" / "src", ROOT)


def run_python(text, folder, names):
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(compile(text, "docs/student.md", "exec"), names)  # noqa: S102
    return printed.getvalue()


def check_shown(shown, said):
    """The words of the page stand in what was printed, in their order."""
    words = [re.escape(word) for word in shown.split()]
    pattern = r"(?<!\S)" + r"(?!\S).*?(?<!\S)".join(words) + r"(?!\S)"
    assert re.search(pattern, said, re.DOTALL), (shown, said)


def copy_of_the_project(folder):
    """As it stands, but without what takes long and is not shown: draws of the bootstrap, groups."""
    for part in ("data", "notebooks"):
        ignored = shutil.ignore_patterns("processed", ".ipynb_checkpoints")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    path = folder / "data" / "analysis.yaml"
    text = path.read_text(encoding="utf-8")
    for line, lighter in LIGHTER.items():
        text, times = re.subn(rf"^  {line}:.*$", f"  {line}: {lighter}", text, flags=re.MULTILINE)
        assert times == 1, line
    path.write_text(text, encoding="utf-8")


def test_the_page_from_top_to_bottom(tmp_path):
    copy_of_the_project(tmp_path)
    names: dict = {}
    said = refused = by_python = ""
    page = PAGE.read_text(encoding="utf-8")
    for block in blocks(page):
        match block["kind"]:
            case "text" if by_python:
                assert said.split() == block["text"].split()
                continue
            case "text":
                check_shown(block["text"], said)
                refused = ""
                continue
            case "sh":
                said = run_commands(block["text"], tmp_path)
            case "python":
                said = run_python(block["text"], tmp_path, names)
            case _:
                put(tmp_path, block["place"], block["text"])
                continue
        by_python = block["kind"] == "python"
        assert not refused, refused
        refused = said if "(refused)" in said else ""
    assert not refused, refused
    apart = {path.stem for path in (tmp_path / "runs/2012/readiness").glob("*.ipynb")}
    assert apart == {"04_structural_model"}  # what the model does not touch did not run again
    cards = {path.name for path in (tmp_path / "reports").rglob("*.md")}
    assert cards == {
        f"model-card-{name}.md" for name in re.findall(r"model-card-(\w+).md", page)
    } | {
        "model-card-base.md",
        "model-card-knowledge.md",
    }
    for path in (tmp_path / "reports").rglob("*.md"):
        assert "Not observations" in path.read_text(encoding="utf-8"), path


def test_every_block_is_run_or_put_somewhere():
    page = PAGE.read_text(encoding="utf-8")
    found = blocks(page)
    assert len(found) == page.count("\n```") / 2 and len(found) > 20
    for block in found:
        kind, place = block["kind"], block["place"]
        assert kind in ("sh", "python", "text", "yaml", "lavaan"), kind
        assert bool(place) == (kind in ("yaml", "lavaan")), block
        if place:  # what the comment says, the page says too
            name = place.partition(", ")[0]
            assert f"`{name}`" in page, name


@pytest.mark.parametrize(
    ("shown", "said", "there"),
    [
        ("alpha 0.71", "n_items 3\nalpha   0.71\n", True),
        ("alpha 0.7", "alpha   0.71", False),
        ("beta alpha", "alpha beta", False),
    ],
)
def test_what_is_shown_is_compared_word_by_word(shown, said, there):
    if there:
        check_shown(shown, said)
    else:
        with pytest.raises(AssertionError):
            check_shown(shown, said)
