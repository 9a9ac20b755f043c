"""What a refusal means and what helps. The entries stand in explain.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import fill, indent

import yaml

from mkb21.run.paths import Project

LAST = "failed/message.txt"  # of a wave: what the last run said, if it failed


def find(message: str) -> tuple[str, dict[str, str]] | None:
    """The name and entry of the first refusal whose pattern is found in a message."""
    path = Path(__file__).with_name("explain.yaml")
    entries: dict[str, dict[str, str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, entry in entries.items():
        if re.search(entry["pattern"], message, flags=re.MULTILINE):
            return name, entry
    return None


def explain(message: str) -> str:
    """What a message means, why it is refused, what to do, and an example.

    Raises
    ------
    ValueError
        No entry fits.
    """
    found = find(message)
    if found is None:
        what = "nothing more is known of this message: it says itself what is wrong and where"
        raise ValueError(f"{what}. If it does not help, open an issue with its text")
    _, entry = found
    example = indent(entry["example"], "    ")
    return "\n\n".join(
        [fill(entry["means"], 100), fill(entry["do"], 100), f"For example:\n{example}"]
    )


def remember(project: Project, wave: str, message: str) -> str:
    """Keep the message of a failed run for `last`; the message, with the command that explains it."""
    if wave not in project.waves():
        return message
    path = project.runs(wave) / LAST
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(message, encoding="utf-8")
    return f"{message}\nWhat it means and what to do: mkb21 explain" if find(message) else message


def forget(project: Project, wave: str) -> None:
    """After a run that did not fail."""
    (project.runs(wave) / LAST).unlink(missing_ok=True)


def last(project: Project) -> str:
    """The message of the last run that failed.

    Raises
    ------
    ValueError
        The last run of no wave failed.
    """
    kept = [path for wave in project.waves() if (path := project.runs(wave) / LAST).is_file()]
    if not kept:
        raise ValueError('no run failed: give the text of a message, mkb21 explain "TEXT"')
    return max(kept, key=lambda path: path.stat().st_mtime).read_text(encoding="utf-8")
