"""What the notebooks say of themselves: what they read and write, and what can be set.

A notebook says in its first text cell what it reads and writes, and in its cell tagged `parameters`
what can be set. That is all this room knows about it: a new notebook needs no line here.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path
from typing import Literal, get_args, get_origin

from mkb21.run.paths import Project

Settings = dict[str, object]  # parameter -> value

# arguments of the command, which sets these parameters itself
OWN = {"wave": "WAVE", "root": "WAVE --root FOLDER", "variant": "WAVE --variant NAME"}
COMMON = ("language", "seed")  # of every notebook: they do not decide which ones a variant runs
NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text",
         list: "a list", dict: "a mapping", type(None): "empty"}  # fmt: skip


@dataclass(frozen=True)
class Notebook:
    """What a notebook says about itself."""

    name: str
    path: Path
    cells: tuple[tuple[str, str], ...]  # kind and source of each
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    may_write: tuple[str, ...]  # what a run does not always make
    only_with: tuple[str, ...]  # files without which it is left out
    parameters: Settings
    comments: dict[str, str]  # parameter -> what is said behind it
    parameters_at: int
    injected: bool

    @property
    def outputs(self) -> tuple[str, ...]:
        """The patterns of all that it makes."""
        return self.writes + self.may_write


def read_notebooks(project: Project) -> list[Notebook]:
    """Every notebook of a project, in the order in which they run: by name.

    Raises
    ------
    ValueError
        There is no notebook; one lacks its **Reads:** or **Writes:** line or its `parameters`
        cell, names a path outside the project, or reads what is written only later; two write the
        same file. Names the notebook.
    """
    paths = sorted(project.notebooks.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise ValueError(f"there are no notebooks named NN_name.ipynb in {project.notebooks}")
    notebooks = [_read_notebook(path) for path in paths]
    _check_order(notebooks)
    return notebooks


def _read_notebook(path: Path) -> Notebook:
    name = path.stem
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = tuple((cell["cell_type"], "".join(cell["source"])) for cell in cells)
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{name} is not a notebook that can be read: {error!r}") from error
    opening = next((source for kind, source in sources if kind == "markdown"), "")
    tags = [cell.get("metadata", {}).get("tags", []) for cell in cells]
    tagged = [place for place, given in enumerate(tags) if "parameters" in given]
    if len(tagged) != 1:
        raise ValueError(f"{name} must have one cell tagged `parameters`; it has {len(tagged)}")
    return Notebook(
        name=name,
        path=path,
        cells=sources,
        reads=_declared(name, opening, "Reads"),
        writes=_declared(name, opening, "Writes"),
        may_write=_declared(name, opening, "May write", optional=True),
        only_with=_declared(name, opening, "Only with", optional=True),
        parameters=_parameters(name, sources[tagged[0]][1]),
        comments=_comments(sources[tagged[0]][1]),
        parameters_at=tagged[0],
        injected=any("injected-parameters" in given for given in tags),
    )


def _declared(name: str, text: str, word: str, optional: bool = False) -> tuple[str, ...]:
    """The backticked paths in the lines that start with **word:**."""
    lines = [line for line in text.splitlines() if line.startswith(f"**{word}:**")]
    patterns = tuple(found for line in lines for found in re.findall(r"`([^`]+)`", line))
    if not patterns and not optional:
        what = f"{name}: the first text cell needs a line that starts with **{word}:**"
        such = "`data/processed/{wave}/responses.parquet`"
        raise ValueError(f"{what} and names files in backticks, such as {such}")
    for pattern in patterns:
        bare = pattern.replace("{wave}", "")
        if re.search(r"^/|^~|[:\\{}]|(^|/)\.\.(/|$)", bare):
            what = f"{name}: `{pattern}` after **{word}:** must be a path from the project folder"
            raise ValueError(what + " down, written with /; the only placeholder is {wave}")
    return patterns


def _parameters(name: str, source: str) -> Settings:
    """Names and default values in a `parameters` cell."""
    try:
        pairs = [_assignment(statement) for statement in ast.parse(source).body]
    except (SyntaxError, ValueError) as error:
        what = f"{name}: the cell tagged `parameters` may hold lines `name = plain value` only"
        raise ValueError(f"{what}: {error}") from error
    lacking = [key for key in ("wave", "root") if key not in dict(pairs)]
    if lacking:
        raise ValueError(f"{name}: the cell tagged `parameters` must set {' and '.join(lacking)}")
    return dict(pairs)


def _comments(source: str) -> dict[str, str]:
    """What stands behind `#` in the first line of each parameter."""
    lines = [line.partition("  # ") for line in source.splitlines()]
    return {re.split(r"\W", code)[0]: said for code, _, said in lines if re.match(r"\w", code)}


def _assignment(statement: ast.stmt) -> tuple[str, object]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=key)], value=value):
            pass
        case ast.AnnAssign(target=ast.Name(id=key), value=ast.expr() as value):
            pass
        case _:
            raise ValueError(f"line {statement.lineno} is something else")
    try:
        default = ast.literal_eval(value)
    except ValueError:
        raise ValueError(f"line {statement.lineno}: {key} is computed") from None
    if not isinstance(default, tuple(NAMES)):
        raise ValueError(f"line {statement.lineno}: {key} is a {type(default).__name__}")
    return key, default


def _check_order(notebooks: list[Notebook]) -> None:
    for place, reader in enumerate(notebooks):
        for writer in notebooks[place:]:
            for shared in _shared(reader.reads, writer.outputs):
                when = "itself writes" if writer is reader else f"only {writer.name} writes, later"
                raise ValueError(f"{reader.name} reads `{shared}`, which {when}")
    for first, second in combinations(notebooks, 2):
        for shared in _shared(first.outputs, second.outputs):
            raise ValueError(f"{first.name} and {second.name} both write `{shared}`")


def _shared(some: tuple[str, ...], others: tuple[str, ...]) -> list[str]:
    return [a for a in some for b in others if _overlap(a.split("/"), b.split("/"))]


def _overlap(some: list[str], others: list[str]) -> bool:
    """Whether two patterns, as lists of path segments, can name the same file."""
    if not some or not others:
        return set(some + others) <= {"**"}
    if some[0] == "**" or others[0] == "**":
        return _overlap(some[1:], others) or _overlap(some, others[1:])
    alike = fnmatchcase(some[0], others[0]) or fnmatchcase(others[0], some[0])
    return alike and _overlap(some[1:], others[1:])


# --- what was asked -----------------------------------------------------------------------------


def check_wave(project: Project, wave: str) -> None:
    """Refuse a wave that is not described in data/waves.

    Raises
    ------
    ValueError
        Lists the waves there are, the closest first.
    """
    known = project.waves()
    if wave not in known:
        closest = get_close_matches(wave, known, n=1)
        hint = f"; did you mean {closest[0]}?" if closest else "."
        listed = ", ".join(known) or "none yet"
        raise ValueError(f"there is no wave {wave!r}{hint} Described in data/waves: {listed}")


def check_settings(notebooks: list[Notebook], settings: Settings) -> None:
    """Refuse settings that no notebook has, or that are not of the kind of the default.

    Raises
    ------
    ValueError
        Names the parameter, and the closest ones or the default.
    """
    for key, value in settings.items():
        if key in OWN:
            raise ValueError(f"{key} is an argument of its own: mkb21 run {OWN[key]}")
        owners = [notebook for notebook in notebooks if key in notebook.parameters]
        if not owners:
            raise ValueError(_unknown(key, notebooks))
        for notebook in owners:
            default = notebook.parameters[key]
            if not _fits(value, default):
                what = f"{key} of {notebook.name} is {NAMES[type(default)]}"
                kind = NAMES.get(type(value), type(value).__name__)
                raise ValueError(
                    f"{what} ({default!r} by default); {value!r} is {kind}{_instead(key, default, value)}"
                )


def _instead(key: str, default: object, value: object) -> str:
    """What to write on the command line for the value that was probably meant."""
    if value is None and isinstance(default, str):
        return f"; for the empty text: --set {key}="
    if isinstance(default, str):
        return f"; as text: --set {key}='\"{value}\"'"
    if isinstance(default, list):
        listed = "[]" if value in ("", None) else f"'[{value}]'"
        return f"; as a list: --set {key}={listed}"
    return ""


def _fits(value: object, default: object) -> bool:
    whole_for_any = type(default) is float and type(value) is int
    return default is None or whole_for_any or type(value) is type(default)


def _unknown(key: str, notebooks: list[Notebook]) -> str:
    owners = parameters(notebooks)
    closest = " or ".join(get_close_matches(key, owners))
    listed = "".join(
        f"\n  {name}: {', '.join(owner.name for owner in owners[name])}" for name in sorted(owners)
    )
    hint = f"; did you mean {closest}?" if closest else "."
    return f"no notebook has a parameter {key!r}{hint} There are:{listed}"


def parameters(notebooks: Iterable[Notebook]) -> dict[str, list[Notebook]]:
    """Each parameter that can be set, and the notebooks that have it, in their order."""
    owners: dict[str, list[Notebook]] = {}
    for notebook in notebooks:
        for name in notebook.parameters:
            if name not in OWN:
                owners.setdefault(name, []).append(notebook)
    return owners


def describe(notebooks: Iterable[Notebook]) -> list[tuple[str, str]]:
    """Each parameter, and what it means: the comments behind it, choices, default, notebooks."""
    rows = []
    for name, owners in parameters(notebooks).items():
        said: dict[str, list[str]] = {}
        for owner in owners:
            default = f" (default: {_shown(owner.parameters[name])})"
            said.setdefault(owner.comments.get(name, "") + default, []).append(owner.name)
        choices = ", ".join(_choices(name))
        parts = [f"{text}; {', '.join(names)}." for text, names in said.items()]
        rows.append((name, " ".join([*parts, f"One of: {choices}." if choices else ""]).strip()))
    return rows


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if value is not None else "None"


def _choices(name: str) -> list[str]:
    """What a parameter of the structural model can be, where that is a list of words."""
    from mkb21.survey.analysis import Plan

    if name not in Plan.model_fields:
        return []
    kinds = [Plan.model_fields[name].annotation]
    found = []
    while kinds:
        kind = kinds.pop(0)
        found += [one for one in get_args(kind) if isinstance(one, str)]
        kinds += [one for one in get_args(kind) if get_origin(one) is Literal]
    return found
