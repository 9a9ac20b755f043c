"""Runs the notebooks of a wave, in order, and of those only the ones whose result may differ."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
import platform
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import escape
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from shutil import get_terminal_size

import yaml

from mkb21.page.numerals import fraction, number, p_equals, reported_column
from mkb21.run.notebooks import (
    COMMON,
    Notebook,
    Settings,
    check_settings,
    check_wave,
    read_notebooks,
)
from mkb21.run.paths import Project
from mkb21.run.provenance import checksum, commit
from mkb21.survey.analysis import Analysis, Plan, load_analysis
from mkb21.survey.files import write_whole
from mkb21.survey.instrument import load_wave
from mkb21.survey.yaml_files import closest

# papermill, nbformat and pandas take seconds to import and are not needed when nothing changed.

Sums = dict[str, str]  # file -> checksum


class NotebookError(Exception):
    """A notebook did not run to its end, or did not write what it says it writes."""


@dataclass(frozen=True)
class Place:
    """Where a run of a wave, or of a variant of it, leaves what it makes."""

    project: Project
    wave: str
    variant: str = ""

    @property
    def folder(self) -> Path:
        """Of the executed notebooks and the manifest."""
        if self.variant:
            return self.project.variant(self.wave, self.variant)
        return self.project.runs(self.wave)

    @property
    def manifest(self) -> Path:
        """What the results were made from."""
        return self.folder / "manifest.json"

    @property
    def tables(self) -> Path:
        """As `Study.tables`."""
        return self.folder / "tables" if self.variant else self.project.processed(self.wave)

    @property
    def figures(self) -> Path:
        """As `Study.figures`."""
        return self.folder / "figures" if self.variant else self.project.figures(self.wave)

    def inputs(self, patterns: Iterable[str]) -> list[Path]:
        """The files that patterns after **Reads:** name: those of the wave, in a variant too."""
        return self._files(pattern.replace("{wave}", escape(self.wave)) for pattern in patterns)

    def outputs(self, patterns: Iterable[str]) -> list[Path]:
        """The files that patterns after **Writes:** name; of a variant in its own folders."""
        return self._files(map(self.output, patterns))

    def output(self, pattern: str) -> str:
        """Where what is named by a pattern after **Writes:** stands."""
        pattern = pattern.replace("{wave}", escape(self.wave))
        for usual, own in (
            (self.project.processed(self.wave), self.tables),
            (self.project.figures(self.wave), self.figures),
        ):
            pattern = pattern.replace(self._name(usual), self._name(own), 1)
        return pattern

    def _name(self, folder: Path) -> str:
        return escape(self.name(folder)) + "/"

    def name(self, path: Path) -> str:
        """The path from the project folder down, with /."""
        return path.relative_to(self.project.root).as_posix()

    def sums(self, paths: Iterable[Path]) -> Sums:
        """The checksums of files, by name."""
        return {self.name(path): checksum(path) for path in paths}

    def _files(self, patterns: Iterable[str]) -> list[Path]:
        found = {p for pattern in patterns for p in self.project.root.glob(pattern) if p.is_file()}
        return sorted(path for path in found if not path.name.startswith((".", "~$")))


@dataclass(frozen=True)
class RunResult:
    """What a run did: the notebooks that were executed, and those that were up to date."""

    ran: tuple[str, ...]
    fresh: tuple[str, ...]
    seconds: float
    place: Place


# --- what was asked -----------------------------------------------------------------------------


def prepare(
    project: Project, wave: str, settings: Settings, variant: str = ""
) -> list[tuple[Place, list[Notebook], Settings]]:
    """What `run` would run, and where to: the wave, and a variant after it. Refuses as `run`."""
    check_wave(project, wave)
    analysis = load_analysis(project, load_wave(project, wave))
    notebooks = read_notebooks(project)
    variant, settings = _variant(analysis, variant, settings)
    check_settings(notebooks, settings)
    place = Place(project, wave)
    _check_plan(place, analysis, settings)
    if not variant:
        return [(place, notebooks, settings)]
    apart = _apart(notebooks, variant, settings)
    given = settings | {"variant": variant}
    return [(place, notebooks, {}), (Place(project, wave, variant), apart, given)]


def _variant(analysis: Analysis, name: str, settings: Settings) -> tuple[str, Settings]:
    """The name of the variant that is meant, "" for none, and all that it sets."""
    model = str(settings.get("model_file") or "")
    if name in analysis.variants:
        return name, analysis.variants[name].set | settings
    if name and not model:
        known = ", ".join(analysis.variants) or "none"
        what = f"there is no variant {name!r}.{closest(name, analysis.variants)}"
        raise ValueError(f"{what} In data/analysis.yaml: {known}")
    main = analysis.main_model() if analysis.structural.main or len(analysis.files) == 1 else ""
    other = model if main and Path(model).stem != main else ""
    return name or Path(other).stem, settings


def _apart(notebooks: list[Notebook], name: str, settings: Settings) -> list[Notebook]:
    """The notebooks that a variant runs: those that have a parameter that it sets."""
    deciding = set(settings) - set(COMMON) or set(settings)
    chosen = [notebook for notebook in notebooks if deciding & set(notebook.parameters)]
    able = [notebook for notebook in chosen if "variant" in notebook.parameters]
    unable = [n for n in chosen if n not in able and deciding - set(COMMON)]
    if unable or not able:
        where = unable[0].name if unable else "no notebook with such parameters"
        what = f"{where} has no parameter `variant`: variant {name} would overwrite the results"
        raise ValueError(f'{what} of the wave. Add `variant = ""` and give it to mkb21.open')
    return able


def _check_plan(place: Place, analysis: Analysis, settings: Settings) -> None:
    """Refuse settings of the structural model that are not possible, before anything runs."""
    given = {name: value for name, value in settings.items() if name in Plan.model_fields}
    model = str(settings.get("model_file") or "")
    plan = analysis.plan(model, **given) if given or model else None
    if plan and model:
        from mkb21.study import Study  # loads pandas
        from mkb21.survey.models import check_names

        study = Study(place.wave, place.project.root, "en")
        check_names(study.model(plan.model), analysis.full)


# --- is it up to date? --------------------------------------------------------------------------


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
        if path.suffix in (".py", ".yaml", ".mplstyle")
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


def _write_manifest(place: Place, entries: dict, parameters: dict) -> None:
    content = {
        "wave": place.wave,
        "variant": place.variant,
        "origin": describe_wave(place.project, place.wave).get("origin"),
        "seed": parameters.get("seed"),
        "commit": commit(place.project),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": dict(sorted((d.name, d.version) for d in metadata.distributions())),
        "notebooks": entries,
    }
    write_whole(place.manifest, json.dumps(content, indent=1, ensure_ascii=False).encode())


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
    project: Project,
    wave: str,
    settings: Settings | None = None,
    force: bool = False,
    variant: str = "",
) -> RunResult:
    """Run the notebooks of a wave that are not up to date.

    A notebook is up to date when its cells, parameters, input files, this package and the locked
    versions are those of the last run, and its outputs are as that run left them. Progress goes to
    standard error. Of a variant only the notebooks run that have a parameter that it sets, after
    those of the wave; its results stand apart.

    Parameters
    ----------
    settings : dict, optional
        Parameter -> value, for the notebooks that have such a parameter. A `model_file` other than
        the main one makes a variant of that name.
    force : bool
        Run them all, also those that are up to date.
    variant : str
        One of `variants` in data/analysis.yaml.

    Raises
    ------
    ValueError
        Unknown wave, variant or setting, faults in the files of data/, a faulty notebook (see
        `read_notebooks`), or another run of the same wave going on.
    NotebookError
        A notebook failed: names it, the cell and the error. Earlier results stay as they were.
    """
    started = time.monotonic()
    steps = prepare(project, wave, settings or {}, variant)
    ran, fresh = [], []
    with _only_run(project, wave):
        for place, chosen, given in steps:
            done = _run_stale(place, chosen, given, force and place == steps[-1][0])
            ran += done
            fresh += [notebook.name for notebook in chosen if notebook.name not in done]
    return RunResult(tuple(ran), tuple(fresh), time.monotonic() - started, place)


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
    place: Place, notebooks: list[Notebook], settings: Settings, force: bool
) -> list[str]:
    """Run what is not up to date, in order; the names of what ran."""
    entries = _read_manifest(place.manifest)
    entries = {notebook.name: entries.get(notebook.name, {}) for notebook in notebooks}
    code = _code(place.project)
    place.folder.mkdir(exist_ok=True)
    ran = []
    for at, notebook in enumerate(notebooks, start=1):
        label = f"[{at}/{len(notebooks)}] {place.variant} {notebook.name}".replace("  ", " ")
        absent = [pattern for pattern in notebook.only_with if not place.inputs([pattern])]
        if absent:
            _say(f"{label}: left out, there is no {absent[0].replace('{wave}', place.wave)}")
            del entries[notebook.name]
            continue
        parameters = {key: settings.get(key, own) for key, own in notebook.parameters.items()}
        parameters |= {"wave": place.wave, "root": str(place.project.root)}
        inputs = place.sums(place.inputs(notebook.reads))
        inputs |= _named_files(place.project, parameters)
        key = _key(notebook, parameters, inputs, code)
        before = entries[notebook.name]
        if not force and _is_fresh(place.project, place.folder / notebook.path.name, before, key):
            _say(f"{label}: unchanged")
            continue
        entry = {"key": key, "parameters": parameters, "inputs": inputs}
        made = _run_notebook(place, notebook, parameters, label)
        entries[notebook.name] = entry | made
        entries[notebook.name]["kept"] = _tidy(
            place, notebook, entries[notebook.name], before, label
        )
        _write_manifest(place, entries, parameters)
        ran.append(notebook.name)
    return ran


def _run_notebook(place: Place, notebook: Notebook, parameters: Settings, label: str) -> Settings:
    """Execute a notebook; what the manifest says of it afterwards."""
    began = datetime.now(UTC).isoformat(timespec="seconds")
    clock = time.monotonic()
    with _whole(place, notebook) as (partial, before):
        _execute(place, partial, notebook, parameters, label)
        written = _written(place, notebook, before)
        for pattern in notebook.writes:
            if not set(place.outputs([pattern])) & set(written):
                what = f"{notebook.name} ran, but did not write `{place.output(pattern)}`"
                raise NotebookError(f"{what}, which it names after **Writes:**")
    seconds = round(time.monotonic() - clock, 1)
    return {"outputs": place.sums(written), "started": began, "seconds": seconds}


def _written(place: Place, notebook: Notebook, before: dict[Path, int]) -> list[Path]:
    after = place.outputs(notebook.outputs)
    return [path for path in after if path.stat().st_mtime_ns != before.get(path)]


@contextmanager
def _whole(place: Place, notebook: Notebook) -> Iterator[tuple[Path, dict[Path, int]]]:
    """What a notebook makes appears only when it is whole.

    Of one that fails, what it made goes to the folder `failed`, and the results of the last good
    run stand where they stood. Gives the file to run it in, and when each result was written.
    """
    partial = place.folder / f".{notebook.name}.partial.ipynb"
    aside, failed = place.folder / ".before", place.folder / "failed" / notebook.name
    before = {path: path.stat().st_mtime_ns for path in place.outputs(notebook.outputs)}
    for path in before:
        copy = aside / place.name(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    try:
        yield partial, before
        os.replace(partial, place.folder / notebook.path.name)
        failed.with_suffix(".ipynb").unlink(missing_ok=True)
        shutil.rmtree(failed, ignore_errors=True)
    except BaseException as error:
        made = _written(place, notebook, before)
        shutil.rmtree(failed, ignore_errors=True)
        if made:
            failed.mkdir(parents=True)
        for path in made:
            os.replace(path, failed / path.name)
        for path in before:
            os.replace(aside / place.name(path), path)
        if not isinstance(error, NotebookError):
            shutil.rmtree(failed, ignore_errors=True)  # stopped: nothing to learn from
            raise
        failed.parent.mkdir(exist_ok=True)
        os.replace(partial, failed.with_suffix(".ipynb"))
        raise NotebookError(_afterwards(place, str(error), failed, made)) from None
    finally:
        partial.unlink(missing_ok=True)
        shutil.rmtree(aside, ignore_errors=True)


def _afterwards(place: Place, message: str, failed: Path, made: list[Path]) -> str:
    """The message about a failed notebook, with where what it made is."""
    lines = [message, f"The notebook as far as it came: {place.name(failed)}.ipynb"]
    if made:
        results = "1 file" if len(made) == 1 else f"{len(made)} files"
        lines.append(f"What it had written, {results}: {place.name(failed)}/")
        lines.append("The results of the last good run, if there was one, are as they were.")
    return "\n".join(lines)


def _tidy(place: Place, notebook: Notebook, entry: dict, before: dict, label: str) -> dict:
    """Remove what the run before made and this one did not; what is kept: language -> files.

    The figures of another language stay. What was changed by hand, or was made by nothing that is
    known, stays too and is named.
    """
    language, here = entry["parameters"].get("language", ""), place.project.root
    earlier = dict(before.get("kept", {}))
    earlier[before.get("parameters", {}).get("language", "")] = before.get("outputs", {})
    left = {place.name(path) for path in place.outputs(notebook.outputs)} - set(entry["outputs"])
    kept: dict[str, Sums] = {}
    for of, sums in earlier.items():
        for name in (name for name in left & set(sums) if checksum(here / name) == sums[name]):
            left.discard(name)
            if of == language or name.endswith((".csv", ".parquet")):
                (here / name).unlink()
                _say(f"{label}: {name} is of an earlier run, and removed")
            else:
                kept.setdefault(of, {})[name] = sums[name]
    manifests = [place.project.runs(place.wave).glob(f"{p}manifest.json") for p in ("", "*/")]
    others = [path for found in manifests for path in found if path != place.manifest]
    known = {n for path in others for e in _read_manifest(path).values() for n in e["outputs"]}
    for name in sorted(left - known):
        _say(f"{label}: {name} is left over from an earlier run")
    return kept


def _execute(
    place: Place, partial: Path, notebook: Notebook, parameters: Settings, label: str
) -> None:
    """Run a notebook with papermill."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # failures are told below
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
                cwd=place.project.root,
                on_cell_start=on_cell_start,
                extra_arguments=["--IPKernelApp.log_level=50"],
            )
            if at + 1 < total:  # papermill takes exit() for a good end
                raise papermill.PapermillExecutionError(at, None, "", "SystemExit", "exit()", [])
    except (papermill.PapermillExecutionError, RuntimeError) as error:  # nbclient: kernel died
        raise NotebookError(_failure(notebook, at, error)) from None


def _literal(path: Path) -> str:
    """The path for papermill, which takes braces in a path for parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _failure(notebook: Notebook, at: int, error: Exception) -> str:
    """The message about a failed notebook; cells are counted as in the notebook itself."""
    shift = not notebook.injected and at > notebook.parameters_at
    place = at - shift
    lines = [line for line in notebook.cells[place][1].splitlines() if line.strip()]
    kind = getattr(error, "ename", type(error).__name__)
    said = getattr(error, "evalue", f"{error} (out of memory, or a crash in compiled code?)")
    return (
        f"{notebook.name} failed in cell {place + 1} of {len(notebook.cells)}:\n"
        f"    {lines[0] if lines else ''}\n"
        f"{kind}: {said}"
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


def summary(place: Place) -> str:
    """What a run found and where its results are, in a few lines.

    A table that the notebooks of this wave, or of its variant, do not make is left out.

    Returns
    -------
    str
        Lines: the notice of an invented wave, respondents, published numbers, fit, places.
    """
    project, wave, tables = place.project, place.wave, place.tables
    lines = notice(project, wave) + ([f"Variant: {place.variant}"] if place.variant else [])
    if flow := read_rows(tables / "cleaning_flow.csv"):
        lines.append(f"Respondents: {flow[0]['remaining']} read, {flow[-1]['remaining']} kept")
    if register := read_rows(tables / "published_register.csv"):
        failed = failing(project, wave)
        held, lost = len(register) - len(failed), f"; not {', '.join(failed)}" if failed else ""
        lines.append(f"Published numbers and orderings: {held} of {len(register)} reproduced{lost}")
    if fit := read_rows(tables / "sem_fit.csv"):
        lines.append(_fit(fit))
    places = {"Figures": place.figures, "Tables": tables, "Notebooks": place.folder}
    for name, path in (places | {"Manifest": place.manifest}).items():
        if path.exists():
            lines.append(f"{name}: {place.name(path)}")
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
