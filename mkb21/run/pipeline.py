"""Runs the notebooks of a wave, in order, and of those only the ones whose result may differ.

A notebook says in its first text cell what it reads and writes, and in its cell tagged `parameters`
what can be set. That is all this room knows about it: a new notebook needs no line here.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import logging
import os
import platform
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from glob import escape
from importlib import metadata
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from shutil import get_terminal_size

import yaml

from mkb21.page.numerals import fraction, number, p_equals, reported_column
from mkb21.run.paths import Project
from mkb21.run.provenance import checksum, commit
from mkb21.survey.files import write_whole

# papermill, nbformat and pandas take seconds to import and are not needed when nothing changed.

Settings = dict[str, object]  # parameter -> value
Sums = dict[str, str]  # file -> checksum

NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text",
         list: "a list", dict: "a mapping", type(None): "empty"}  # fmt: skip


class NotebookError(Exception):
    """A notebook did not run to its end, or did not write what it says it writes."""


@dataclass(frozen=True)
class Notebook:
    """What a notebook says about itself."""

    name: str
    path: Path
    cells: tuple[tuple[str, str], ...]  # kind and source of each
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    may_write: tuple[str, ...]  # those of `writes` that depend on the wave
    only_with: tuple[str, ...]  # files without which it is left out
    parameters: Settings
    parameters_at: int
    injected: bool


@dataclass(frozen=True)
class RunResult:
    """What a run did: the notebooks that were executed, and those that were up to date."""

    ran: tuple[str, ...]
    fresh: tuple[str, ...]
    seconds: float
    manifest: Path


# --- what the notebooks say ---------------------------------------------------------------------


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
    may_write = _declared(name, opening, "May write", optional=True)
    if len(tagged) != 1:
        raise ValueError(f"{name} must have one cell tagged `parameters`; it has {len(tagged)}")
    return Notebook(
        name=name,
        path=path,
        cells=sources,
        reads=_declared(name, opening, "Reads"),
        writes=_declared(name, opening, "Writes") + may_write,
        may_write=may_write,
        only_with=_declared(name, opening, "Only with", optional=True),
        parameters=_parameters(name, sources[tagged[0]][1]),
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
            for shared in _shared(reader.reads, writer.writes):
                when = "itself writes" if writer is reader else f"only {writer.name} writes, later"
                raise ValueError(f"{reader.name} reads `{shared}`, which {when}")
    for first, second in combinations(notebooks, 2):
        for shared in _shared(first.writes, second.writes):
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
        if key in ("wave", "root"):
            raise ValueError(f"{key} is an argument of its own: mkb21 run WAVE --root FOLDER")
        owners = [notebook for notebook in notebooks if key in notebook.parameters]
        if not owners:
            raise ValueError(_unknown(key, notebooks))
        for notebook in owners:
            default = notebook.parameters[key]
            if not _fits(value, default):
                quoted = f"; as text: --set {key}='\"{value}\"'" if isinstance(default, str) else ""
                what = f"{key} of {notebook.name} is {NAMES[type(default)]}"
                kind = NAMES.get(type(value), type(value).__name__)
                raise ValueError(f"{what} ({default!r} by default); {value!r} is {kind}{quoted}")


def _fits(value: object, default: object) -> bool:
    whole_for_any = type(default) is float and type(value) is int
    return default is None or whole_for_any or type(value) is type(default)


def _unknown(key: str, notebooks: list[Notebook]) -> str:
    owners: dict[str, list[str]] = {}
    for notebook in notebooks:
        for name in notebook.parameters:
            if name not in ("wave", "root"):
                owners.setdefault(name, []).append(notebook.name)
    closest = " or ".join(get_close_matches(key, owners))
    listed = "".join(f"\n  {name}: {', '.join(owners[name])}" for name in sorted(owners))
    hint = f"; did you mean {closest}?" if closest else "."
    return f"no notebook has a parameter {key!r}{hint} There are:{listed}"


# --- is it up to date? --------------------------------------------------------------------------


def _files(project: Project, patterns: tuple[str, ...], wave: str) -> list[Path]:
    places = [pattern.replace("{wave}", escape(wave)) for pattern in patterns]
    found = {path for place in places for path in project.root.glob(place) if path.is_file()}
    return sorted(path for path in found if not path.name.startswith((".", "~$")))


def _checksums(project: Project, paths: list[Path]) -> Sums:
    return {path.relative_to(project.root).as_posix(): checksum(path) for path in paths}


def _named_files(project: Project, parameters: Settings) -> Sums:
    """Checksums of the files that parameters name, such as a model file of one's own."""
    named = [text for key, text in parameters.items() if isinstance(text, str) and key != "root"]
    paths = {text: project.root / text for text in named if re.search(r"[./\\]", text)}
    return {text: checksum(path) for text, path in paths.items() if path.is_file()}


def packages() -> list[Path]:
    """The folders of mkb21 and semfit, found without importing them."""
    found = map(find_spec, ("mkb21", "semfit"))
    return [Path(spec.origin).parent for spec in found if spec and spec.origin]


def _code(project: Project) -> Sums:
    """Checksums of what every notebook depends on: code and words of both packages, the lock."""
    code = {
        f"{package.name}/{path.relative_to(package).as_posix()}": checksum(path)
        for package in packages()
        for path in sorted(package.rglob("*"))
        if path.suffix in (".py", ".yaml")
    }
    lock = project.root / "requirements.lock"
    return code | ({lock.name: checksum(lock)} if lock.is_file() else {})


def _key(notebook: Notebook, parameters: Settings, inputs: Sums, code: Sums) -> str:
    """One checksum over everything that the result of a notebook depends on."""
    portable = {key: value for key, value in parameters.items() if key != "root"}
    everything = [notebook.cells, notebook.parameters_at, portable, inputs, code]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def _is_fresh(project: Project, executed: Path, entry: dict, key: str) -> bool:
    if entry.get("key") != key or not executed.is_file():
        return False
    outputs = {project.root / place: known for place, known in entry.get("outputs", {}).items()}
    return all(path.is_file() and checksum(path) == known for path, known in outputs.items())


def _read_manifest(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["notebooks"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # no manifest, or no usable one: everything runs


def _write_manifest(project: Project, wave: str, entries: dict, parameters: dict) -> None:
    path = project.runs(wave) / "manifest.json"
    content = {
        "wave": wave,
        "origin": describe_wave(project, wave).get("origin"),
        "seed": parameters.get("seed"),
        "commit": commit(project),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": dict(sorted((d.name, d.version) for d in metadata.distributions())),
        "notebooks": entries,
    }
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False).encode())


def describe_wave(project: Project, wave: str) -> dict:
    """The description of a wave as it stands in its file, without the checks of `instrument`.

    Raises
    ------
    ValueError
        The file is not YAML, or no mapping.
    """
    path = project.wave_file(wave)
    try:
        described = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is not valid YAML: {error}") from error
    if not isinstance(described, dict):
        raise ValueError(f"{path.name} does not describe a wave: it holds no `key: value` lines")
    return described


# --- running ------------------------------------------------------------------------------------


def run(
    project: Project, wave: str, settings: Settings | None = None, force: bool = False
) -> RunResult:
    """Run the notebooks of a wave that are not up to date.

    A notebook is up to date when its cells, parameters, input files, this package and the locked
    versions are those of the last run, and its outputs are as that run left them. Progress goes to
    standard error.

    Parameters
    ----------
    settings : dict, optional
        Parameter -> value, for the notebooks that have such a parameter.
    force : bool
        Run them all.

    Raises
    ------
    ValueError
        Unknown wave or setting, a faulty notebook (see `read_notebooks`), or another run of the
        same wave going on.
    NotebookError
        A notebook failed: names it, the cell and the error. Earlier results stay as they were.
    """
    started = time.monotonic()
    settings = settings or {}
    check_wave(project, wave)
    notebooks = read_notebooks(project)
    check_settings(notebooks, settings)
    with _only_run(project, wave):
        ran = _run_stale(project, wave, notebooks, settings, force)
    fresh = tuple(notebook.name for notebook in notebooks if notebook.name not in ran)
    manifest = project.runs(wave) / "manifest.json"
    return RunResult(tuple(ran), fresh, time.monotonic() - started, manifest)


@contextmanager
def _only_run(project: Project, wave: str) -> Iterator[None]:
    """Holds the lock of a wave; the system releases it whatever way the process ends."""
    folder = project.runs(wave)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a") as lock:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise ValueError(f"another run of wave {wave} is going on: wait for its end") from None
        yield


def _run_stale(
    project: Project, wave: str, notebooks: list[Notebook], settings: Settings, force: bool
) -> list[str]:
    """Run what is not up to date, in order; the names of what ran."""
    entries = _read_manifest(project.runs(wave) / "manifest.json")
    entries = {notebook.name: entries.get(notebook.name, {}) for notebook in notebooks}
    code = _code(project)
    ran = []
    for place, notebook in enumerate(notebooks, start=1):
        label = f"[{place}/{len(notebooks)}] {notebook.name}"
        absent = [p for p in notebook.only_with if not _files(project, (p,), wave)]
        if absent:
            _say(f"{label}: left out, there is no {absent[0].replace('{wave}', wave)}")
            del entries[notebook.name]
            continue
        parameters = {key: settings.get(key, own) for key, own in notebook.parameters.items()}
        parameters |= {"wave": wave, "root": str(project.root)}
        inputs = _checksums(project, _files(project, notebook.reads, wave))
        inputs |= _named_files(project, parameters)
        key = _key(notebook, parameters, inputs, code)
        executed = project.runs(wave) / notebook.path.name
        if not force and _is_fresh(project, executed, entries[notebook.name], key):
            _say(f"{label}: unchanged")
            continue
        entry = {"key": key, "parameters": parameters, "inputs": inputs}
        entries[notebook.name] = entry | _run_notebook(project, wave, notebook, parameters, label)
        _write_manifest(project, wave, entries, parameters)
        ran.append(notebook.name)
    return ran


def _run_notebook(
    project: Project, wave: str, notebook: Notebook, parameters: Settings, label: str
) -> Settings:
    """Execute a notebook; what the manifest says of it afterwards."""
    began = datetime.now(UTC).isoformat(timespec="seconds")
    clock = time.monotonic()
    before = {path: path.stat().st_mtime_ns for path in _files(project, notebook.writes, wave)}
    _execute(project, project.runs(wave), notebook, parameters, label)
    after = _files(project, notebook.writes, wave)
    written = [path for path in after if path.stat().st_mtime_ns != before.get(path)]
    for pattern in (p for p in notebook.writes if p not in notebook.may_write):
        if not set(_files(project, (pattern,), wave)) & set(written):
            what = f"{notebook.name} ran, but did not write `{pattern.replace('{wave}', wave)}`"
            raise NotebookError(f"{what}, which it names after **Writes:**")
    for path in sorted(set(after) - set(written)):
        place = path.relative_to(project.root).as_posix()
        _say(f"{label}: {place} is left over from an earlier run")
    seconds = round(time.monotonic() - clock, 1)
    return {"outputs": _checksums(project, written), "started": began, "seconds": seconds}


def _execute(
    project: Project, folder: Path, notebook: Notebook, parameters: Settings, label: str
) -> None:
    """Run a notebook with papermill into a file that takes its place only when it is whole."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # failures are told below
    executed, failed = (place / notebook.path.name for place in (folder, folder / "failed"))
    partial = folder / f".{notebook.name}.partial.ipynb"
    own = notebook.parameters | {"wave": None, "root": None}
    given = {key: value for key, value in parameters.items() if value != own[key]}
    total = len(notebook.cells) + (not notebook.injected)
    at = 0
    try:
        with _progress(label, total) as show:

            def on_cell_start(cell: object, cell_index: int) -> None:
                nonlocal at
                at = cell_index
                show(cell_index + 1)

            papermill.execute_notebook(
                _literal(notebook.path),
                _literal(partial),
                parameters=given,  # those that differ from what the notebook says
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=project.root,
                on_cell_start=on_cell_start,
                extra_arguments=["--IPKernelApp.log_level=50"],
            )
            if at + 1 < total:  # papermill takes exit() for a good end
                raise papermill.PapermillExecutionError(at, None, "", "SystemExit", "exit()", [])
    except (papermill.PapermillExecutionError, RuntimeError) as error:  # nbclient: kernel died
        failed.parent.mkdir(exist_ok=True)
        os.replace(partial, failed)
        raise NotebookError(_failure(project, notebook, at, error, failed)) from None
    else:
        os.replace(partial, executed)
        failed.unlink(missing_ok=True)
    finally:
        partial.unlink(missing_ok=True)


def _literal(path: Path) -> str:
    """The path for papermill, which takes braces in a path for parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _failure(project: Project, notebook: Notebook, at: int, error: Exception, failed: Path) -> str:
    """The message about a failed notebook; cells are counted as in the notebook itself."""
    shift = not notebook.injected and at > notebook.parameters_at
    place = at - shift
    lines = [line for line in notebook.cells[place][1].splitlines() if line.strip()]
    kind = getattr(error, "ename", type(error).__name__)
    said = getattr(error, "evalue", f"{error} (out of memory, or a crash in compiled code?)")
    kept = failed.relative_to(project.root).as_posix()
    return (
        f"{notebook.name} failed in cell {place + 1} of {len(notebook.cells)}:\n"
        f"    {lines[0] if lines else ''}\n"
        f"{kind}: {said}\n"
        f"The notebook as far as it came: {kept}"
    )


# --- telling ------------------------------------------------------------------------------------


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _progress(label: str, cells: int) -> Iterator[Callable[[int], None]]:
    """Show how far a notebook is: one live line on a terminal; elsewhere its start and end."""
    clock = time.monotonic()
    if sys.stderr.isatty():
        with _live(label, cells) as show:
            yield show
    else:
        _say(f"{label}: {cells} cells")
        yield lambda cell: None
        _say(f"{label}: done in {time.monotonic() - clock:.1f} s")


@contextmanager
def _live(label: str, cells: int) -> Iterator[Callable[[int], None]]:
    from tqdm import tqdm

    shape = "{desc}  cell {n_fmt}/{total_fmt}  {elapsed}"
    ended = threading.Event()
    width = get_terminal_size().columns  # a terminal that tells none gets 80; tqdm shows nothing
    with tqdm(total=cells, desc=label, bar_format=shape, ncols=width) as bar:

        def show(cell: int) -> None:
            bar.n = cell
            bar.refresh()

        def tick() -> None:  # a cell can take minutes: the elapsed time must move
            while not ended.wait(1):
                bar.refresh()

        ticking = threading.Thread(target=tick, daemon=True)
        ticking.start()
        try:
            yield show
        finally:
            ended.set()
            ticking.join()


def summary(project: Project, wave: str) -> str:
    """What a run found and where its results are, in a few lines.

    A table that the notebooks of this wave do not make is left out.

    Returns
    -------
    str
        Lines: the notice of an invented wave, respondents, published numbers, fit, places.
    """
    tables, lines = project.processed(wave), notice(project, wave)
    if flow := read_rows(tables / "cleaning_flow.csv"):
        lines.append(f"Respondents: {flow[0]['remaining']} read, {flow[-1]['remaining']} kept")
    if register := read_rows(tables / "published_register.csv"):
        failed = failing(project, wave)
        held, lost = len(register) - len(failed), f"; not {', '.join(failed)}" if failed else ""
        lines.append(f"Published numbers and orderings: {held} of {len(register)} reproduced{lost}")
    if fit := read_rows(tables / "sem_fit.csv"):
        lines.append(_fit(fit))
    runs = project.runs(wave)
    places = {"Figures": project.figures(wave), "Tables": tables}
    for name, path in (places | {"Notebooks": runs, "Manifest": runs / "manifest.json"}).items():
        if path.exists():
            lines.append(f"{name}: {path.relative_to(project.root).as_posix()}")
    return "\n".join(lines)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a small CSV file, without pandas; none when there is no such file."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def notice(project: Project, wave: str) -> list[str]:
    """The sentence that everything of an invented wave carries, as the lines of a summary."""
    from mkb21.survey.instrument import NOTICES

    found = NOTICES.get(str(describe_wave(project, wave).get("origin")))
    return [found["en"].format(wave=wave)] if found else []


def failing(project: Project, wave: str) -> list[str]:
    """The ids of the published claims of a wave that do not hold."""
    register = read_rows(project.processed(wave) / "published_register.csv")
    return [row["id"] for row in register if row["holds"] != "True"]


def _fit(rows: list[dict[str, str]]) -> str:
    """The line on fit, with the columns that it is from: scaled and robust where there are any."""
    columns = ("standard", "scaled", "robust")
    known = {row["measure"]: {c: float(row.get(c) or "nan") for c in columns} for row in rows}
    test = reported_column(known["chisq"]) or "standard"
    index = reported_column(known["cfi"]) or "standard"
    measures = ("cfi", "tli", "rmsea", "rmsea_ci_low", "rmsea_ci_high")
    cfi, tli, rmsea, low, high = (fraction(known[name][index], 2, "en") for name in measures)
    line = (
        f"Model: chi-square ({test}) {number(known['chisq'][test], 1, 'en')} "
        f"(df {known['df']['standard']:g}), {p_equals(known['pvalue'][test], 'en')}; "
        f"{index}: CFI {cfi}, TLI {tli}, RMSEA {rmsea} [90% CI {low}, {high}]; "
        f"SRMR {fraction(known['srmr']['standard'], 2, 'en')}"
    )
    return line.replace("−", "-")  # a terminal may know no true minus
