import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import product

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_output

import semfit
from conftest import ENVIRONMENT, FOLDER, PARAMETERS, REPOSITORY, write_notebook
from mkb21.run import notebooks, pipeline, provenance
from mkb21.run.paths import Project
from mkb21.run.pipeline import NotebookError, Place, run

SEVEN = {"seed": 7}  # the settings of the first run


def again(project, settings=SEVEN, **options):
    return run(project, "2012", settings, **options)


def manifest(project):
    return json.loads((project.runs("2012") / "manifest.json").read_text(encoding="utf-8"))


def edit(project, name, old, new):
    path = project.notebooks / f"{name}.ipynb"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def only(project, name):
    """Leave one notebook, so that a test runs no more than it needs."""
    for path in project.notebooks.glob("*.ipynb"):
        if path.stem != name:
            path.unlink()


def left_behind(project):
    """Names in the folder of the run, apart from what a good run leaves there."""
    good = {".lock", "manifest.json", "01_read.ipynb", "02_double.ipynb", "03_note.ipynb"}
    return {path.name for path in project.runs("2012").iterdir()} - good


# --- a run --------------------------------------------------------------------------------------


def test_the_notebooks_run_in_order_with_a_line_at_start_and_end(first_run):
    said = first_run[1].stderr.splitlines()
    assert [re.sub(r"\d+\.\d s", "T s", line) for line in said] == [
        "[1/3] 01_read: 5 cells",
        "[1/3] 01_read: done in T s",
        "[2/3] 02_double: 6 cells",
        "[2/3] 02_double: done in T s",
        "[3/3] 03_note: 5 cells",
        "[3/3] 03_note: done in T s",
    ]


def test_the_outputs_are_made_from_the_injected_parameters(first_run):
    project = first_run[0]
    assert (project.processed("2012") / "doubled.csv").read_text() == "[2, 4]"
    assert (project.figures("2012") / "note.txt").read_text() == "nl 7"


def test_the_executed_notebooks_hold_outputs_and_the_parameters_that_were_set(first_run):
    project = first_run[0]
    executed = nbformat.read(project.runs("2012") / "02_double.ipynb", as_version=4)
    injected = [cell for cell in executed.cells if "injected-parameters" in cell.metadata.tags]
    assert injected[0].source.splitlines()[1:] == [
        'wave = "2012"',
        f'root = "{project.root}"',
        "seed = 7",
    ]
    assert all(cell.execution_count for cell in executed.cells if cell.cell_type == "code")
    assert not left_behind(project)


def test_the_manifest_says_what_the_results_were_made_from(first_run):
    project = first_run[0]
    written = manifest(project)
    assert list(written["notebooks"]) == ["01_read", "02_double", "03_note"]
    assert written["wave"] == "2012"
    assert written["origin"] == "reconstructed"
    assert written["seed"] == 7
    assert written["python"] == ".".join(map(str, sys.version_info[:3]))
    assert written["packages"]["papermill"]
    assert written["platform"]
    entry = written["notebooks"]["02_double"]
    numbers = project.processed("2012") / "numbers.csv"
    assert entry["inputs"] == {"data/processed/2012/numbers.csv": provenance.checksum(numbers)}
    assert list(entry["outputs"]) == ["data/processed/2012/doubled.csv"]
    assert entry["parameters"]["factor"] == 2
    assert entry["seconds"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", entry["started"])
    assert list(written["notebooks"]["01_read"]["inputs"]) == [
        "data/raw/2012/export.csv",
        "data/waves/2012.yaml",
    ]


def test_the_manifest_names_the_commit(small):
    assert provenance.commit(small) is None
    git = ["git", "-C", small.root, "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "first"], check=True)
    commit = provenance.commit(small)
    assert re.fullmatch("[0-9a-f]{40}", commit)
    small.instrument.write_text("changed")
    assert provenance.commit(small) == f"{commit}-dirty"


def test_a_terminal_shows_one_live_line(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with pipeline._progress("01_read", 5) as show:
        show(3)
    assert "01_read  cell 3/5  00:0" in capsys.readouterr().err


# --- what runs again ----------------------------------------------------------------------------


def test_nothing_changed_means_that_nothing_runs(done, capsys):
    result = again(done)
    assert result.ran == ()
    assert result.fresh == ("01_read", "02_double", "03_note")
    assert result.place.manifest == done.runs("2012") / "manifest.json"
    assert capsys.readouterr().err.count("unchanged") == 3


def test_nothing_changed_needs_no_slow_import(done):
    program = (
        "import sys; from mkb21.run import pipeline; from mkb21.run.paths import Project\n"
        "pipeline.run(Project.find(), '2012', {'seed': 7}); pipeline.summary(pipeline.Place(Project.find(), '2012'))\n"
        "print({'papermill', 'pandas', 'numpy', 'nbformat', 'IPython'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=done.root, capture_output=True, text=True, check=True,
        env=ENVIRONMENT,
    )  # fmt: skip
    assert said.stdout.strip() == "set()"


def test_what_does_not_matter_runs_nothing_again(done):
    export = done.raw("2012") / "export.csv"
    export.write_bytes(export.read_bytes().replace(b"\n", b"\r\n"))
    (done.raw("2012") / ".DS_Store").write_text("a hidden file")
    path = done.notebooks / "02_double.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].outputs = [new_output("stream", text="an output stored by an editor")]
    notebook.cells[2].execution_count = 3
    nbformat.write(notebook, path)
    assert again(done).ran == ()


def test_changed_input_runs_its_readers_and_theirs(done):
    (done.raw("2012") / "export.csv").write_text("5\n")
    assert again(done).ran == ("01_read", "02_double")
    assert (done.processed("2012") / "doubled.csv").read_text() == "[10]"


def test_a_changed_notebook_with_the_same_outputs_runs_alone(done):
    edit(done, "01_read", "text = Path", "# why\\ntext = Path")
    assert again(done).ran == ("01_read",)


def test_a_changed_parameter_runs_only_the_notebooks_that_have_it(done):
    assert again(done, SEVEN | {"factor": 3}).ran == ("02_double",)
    assert (done.processed("2012") / "doubled.csv").read_text() == "[3, 6]"
    assert manifest(done)["notebooks"]["02_double"]["parameters"]["factor"] == 3


@pytest.mark.parametrize("gone", ["figures/2012/note.txt", "runs/2012/03_note.ipynb"])
def test_a_lost_result_is_made_again(done, gone):
    (done.root / gone).unlink()
    assert again(done).ran == ("03_note",)
    assert (done.root / gone).is_file()


def test_a_result_edited_by_hand_is_made_again(done):
    note = done.figures("2012") / "note.txt"
    note.write_text("mine")
    assert again(done).ran == ("03_note",)
    assert note.read_text() == "nl 7"


CODE = [
    "mkb21/run/paths.py",
    "mkb21/page/words.yaml",
    "mkb21/page/house.mplstyle",
    "semfit/fitting/search.py",
]


@pytest.mark.parametrize("changed", [*CODE, "requirements.lock"])
def test_changed_code_or_versions_run_everything(done, tmp_path, monkeypatch, changed):
    for name in CODE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    (done.root / "requirements.lock").write_text("before")
    monkeypatch.setattr(pipeline, "packages", lambda: [tmp_path / "mkb21", tmp_path / "semfit"])
    only(done, "03_note")
    again(done)
    assert again(done).ran == ()
    folder = done.root if changed == "requirements.lock" else tmp_path
    (folder / changed).write_text("after")
    assert again(done).ran == ("03_note",)


def test_the_code_of_both_packages_is_in_the_key():
    found = {package.name: list(package.rglob("*.py")) for package in pipeline.packages()}
    assert list(found) == ["mkb21", "semfit"]
    assert all(len(files) > 10 for files in found.values())


def test_force_runs_what_is_up_to_date(done):
    only(done, "03_note")
    assert again(done, force=True).ran == ("03_note",)
    assert list(manifest(done)["notebooks"]) == ["03_note"]  # the others are gone


def test_a_broken_manifest_means_a_run_from_scratch(done):
    only(done, "03_note")
    (done.runs("2012") / "manifest.json").write_text('{"notebooks": ')
    assert again(done).ran == ("03_note",)
    assert again(done).ran == ()


def test_checksums_of_text_ignore_line_endings_and_those_of_binary_files_do_not(tmp_path):
    sums = []
    for content in (b"a\nb\n", b"a\r\nb\r\n", b"\0a\nb\n", b"\0a\r\nb\r\n"):
        (tmp_path / "file").write_bytes(content)
        sums.append(provenance.checksum(tmp_path / "file"))
    assert sums[0] == sums[1]
    assert len(set(sums)) == 3


def test_a_file_that_nothing_known_made_is_told_and_not_recorded(done, capsys):
    (done.processed("2012") / "doubled_old.csv").write_text("old")
    again(done, force=True)
    said = capsys.readouterr().err
    assert "doubled_old.csv is left over from an earlier run" in said
    assert "doubled.csv is left over" not in said
    outputs = manifest(done)["notebooks"]["02_double"]["outputs"]
    assert list(outputs) == ["data/processed/2012/doubled.csv"]


def test_what_the_run_before_made_and_this_one_did_not_is_removed(done, capsys):
    old = done.processed("2012") / "doubled.csv"
    edit(done, "02_double", "'doubled.csv'", "'doubled_new.csv'")
    again(done)
    assert "doubled.csv is of an earlier run, and removed" in capsys.readouterr().err
    assert not old.exists() and old.with_name("doubled_new.csv").is_file()
    edit(done, "02_double", "'doubled_new.csv'", "'doubled.csv'")
    old.with_name("doubled_new.csv").write_text("changed by hand")
    again(done)
    assert "doubled_new.csv is left over from an earlier run" in capsys.readouterr().err
    assert old.is_file() and old.with_name("doubled_new.csv").is_file()


def test_what_a_run_made_in_another_language_stays_until_one_in_that_language(done, capsys):
    only(done, "03_note")
    edit(done, "03_note", "{wave}/note.txt", "{wave}/note_*")
    edit(done, "03_note", "figures / 'note.txt'", "figures / f'note_{language}.txt'")
    notes = done.figures("2012")
    again(done)
    again(done, SEVEN | {"language": "en"})
    assert {path.name for path in notes.glob("note_*")} == {"note_nl.txt", "note_en.txt"}
    edit(done, "03_note", "f'note_{language}.txt'", "f'note_new_{language}.txt'")
    again(done, SEVEN | {"language": "en"})
    assert {path.name for path in notes.glob("note_*")} == {"note_nl.txt", "note_new_en.txt"}
    assert "left over" not in capsys.readouterr().err
    again(done)
    assert {path.name for path in notes.glob("note_*")} == {"note_new_nl.txt", "note_new_en.txt"}


# --- variants -----------------------------------------------------------------------------------


def test_a_variant_runs_what_it_sets_beside_the_run_of_the_wave(done, capsys):
    result = again(done, {}, variant="triple")
    assert result.ran == ("01_read", "02_double", "03_note", "02_double")  # the wave with seed 1
    assert (done.processed("2012") / "doubled.csv").read_text() == "[2, 4]"
    folder = done.runs("2012") / "triple"
    assert (folder / "tables/doubled.csv").read_text() == "[3, 6]"
    made = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert made["variant"] == "triple" and list(made["notebooks"]) == ["02_double"]
    assert list(made["notebooks"]["02_double"]["outputs"]) == [
        "runs/2012/triple/tables/doubled.csv"
    ]
    assert "[1/1] triple 02_double: done in" in capsys.readouterr().err
    assert again(done, {}, variant="triple").ran == ()
    assert again(done, {"factor": 4}, variant="triple").ran == ("02_double",)
    assert (folder / "tables/doubled.csv").read_text() == "[4, 8]"
    assert (done.processed("2012") / "doubled.csv").read_text() == "[2, 4]"


def test_the_summary_of_a_variant_names_its_places(done):
    place = again(done, {}, variant="triple").place
    assert pipeline.summary(place).splitlines()[1:] == [
        "Variant: triple",
        "Tables: runs/2012/triple/tables",
        "Notebooks: runs/2012/triple",
        "Manifest: runs/2012/triple/manifest.json",
    ]


def test_a_variant_needs_notebooks_that_can_keep_it_apart(small):
    write_notebook(
        small, "04_new", "`data/instrument.yaml`", "`b`", parameters=PARAMETERS + "factor = 1\n"
    )
    with pytest.raises(ValueError, match="04_new has no parameter `variant`: variant triple would"):
        run(small, "2012", variant="triple")


def test_another_model_than_the_main_one_is_a_variant_of_its_name(small):
    small.models.mkdir()
    for name in ("main", "own"):
        (small.models / f"{name}.lav").write_text("number ~ number\n")
    small.analysis.write_text("structural: {main: main}\n")
    analysis = pipeline.load_analysis(small, pipeline.load_wave(small, "2012"))
    chosen = {"own": "own", "main": "", "": "", "data/models/own.lav": "own"}
    for model, variant in chosen.items():
        assert pipeline._variant(analysis, "", {"model_file": model})[0] == variant
    assert pipeline._variant(analysis, "mine", {"model_file": "own"})[0] == "mine"
    small.analysis.write_text("texts: {}\n")  # none is the main one: all are of the wave
    analysis = pipeline.load_analysis(small, pipeline.load_wave(small, "2012"))
    assert pipeline._variant(analysis, "", {"model_file": "own"})[0] == ""


# --- failures -----------------------------------------------------------------------------------


def test_a_failure_names_notebook_cell_and_error_and_keeps_the_last_good_results(done):
    good = (done.runs("2012") / "02_double.ipynb").read_bytes()
    edit(done, "02_double", "doubled = [", "\\n\\nassert factor == 3, 'wrong factor'\\ndoubled = [")
    with pytest.raises(NotebookError) as caught:
        again(done)
    assert str(caught.value) == (
        "02_double failed in cell 5 of 5:\n"
        "    assert factor == 3, 'wrong factor'\n"
        "AssertionError: wrong factor\n"
        "The notebook as far as it came: runs/2012/failed/02_double.ipynb"
    )
    assert (done.runs("2012") / "02_double.ipynb").read_bytes() == good
    failed = done.runs("2012") / "failed/02_double.ipynb"
    assert "wrong factor" in failed.read_text(encoding="utf-8")
    assert left_behind(done) == {"failed"}
    edit(done, "02_double", "factor == 3", "factor == 2")
    assert again(done).ran == ("02_double",)
    assert not failed.exists()


def test_a_failure_before_the_parameters_counts_cells_as_the_notebook_does(done):
    path = done.notebooks / "03_note.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(1, nbformat.v4.new_code_cell("1 / 0"))
    nbformat.write(notebook, path)
    with pytest.raises(NotebookError, match=r"03_note failed in cell 2 of 5:\n    1 / 0\nZeroDiv"):
        again(done)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os\\nos._exit(1)", "DeadKernelError: Kernel died"),
        ("import sys\\nsys.exit()", r"SystemExit"),
    ],
)
def test_a_notebook_that_stops_halfway_has_failed(done, code, said):
    good = (done.runs("2012") / "03_note.ipynb").read_bytes()
    first_line = code.split("\\n")[0]
    edit(done, "03_note", "from pathlib", f"{code}\\nfrom pathlib")
    with pytest.raises(NotebookError, match="03_note failed in cell 3 of 4") as caught:
        again(done)
    assert f"\n    {first_line}\n" in str(caught.value)
    assert re.search(said, str(caught.value))
    assert (done.runs("2012") / "03_note.ipynb").read_bytes() == good
    assert (done.runs("2012") / "failed/03_note.ipynb").is_file()


def test_an_output_that_is_declared_but_not_written_is_an_error(done):
    edit(
        done,
        "03_note",
        "`figures/{wave}/note.txt`",
        "`figures/{wave}/*.txt`, `figures/{wave}/*.png`",
    )
    with pytest.raises(
        NotebookError, match=r"03_note ran, but did not write `figures/2012/\*\.png`"
    ):
        again(done)
    assert manifest(done)["notebooks"]["03_note"]["outputs"]  # of the good run, as before


def test_an_output_that_may_be_written_is_not_missed(done):
    edit(
        done,
        "03_note",
        "`figures/{wave}/note.txt`",
        "`figures/{wave}/*.txt`  \\n**May write:** `figures/{wave}/*.png`",
    )
    assert again(done).ran == ("03_note",)


def test_what_a_failing_notebook_wrote_is_kept_apart(done):
    good = done.processed("2012") / "doubled.csv"
    edit(done, "02_double", "write_text(str(doubled))", "write_text('half')\\nassert factor == 3")
    with pytest.raises(NotebookError) as caught:
        again(done)
    assert "What it had written, 1 file: runs/2012/failed/02_double/" in str(caught.value)
    assert good.read_text() == "[2, 4]"
    assert (done.runs("2012") / "failed/02_double/doubled.csv").read_text() == "half"
    assert again(done, SEVEN | {"factor": 3}).ran == ("02_double",)
    assert not (done.runs("2012") / "failed/02_double").exists()


def test_an_output_of_an_earlier_run_does_not_count_as_written(done):
    edit(done, "03_note", "(figures / 'note.txt').write_text", "str")
    with pytest.raises(NotebookError, match=r"did not write `figures/2012/note\.txt`"):
        again(done)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_leaves_nothing_half_written_and_the_next_one_recovers(done, blow):
    good = (done.runs("2012") / "02_double.ipynb").read_bytes()
    pause = "import os, time\\nPath('kernel').write_text(str(os.getpid()))\\ntime.sleep(60)\\n"
    edit(done, "02_double", "numbers = [", f"{pause}numbers = [")
    process = subprocess.Popen(
        [sys.executable, "-m", "mkb21.run.cli", "run", "2012", "--set", "seed=7"],
        cwd=done.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=ENVIRONMENT,
    )  # fmt: skip
    note = done.root / "kernel"
    wait_until(lambda: note.is_file() and note.read_text())
    process.send_signal(blow)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert said.splitlines()[-1] == "mkb21: stopped; what was finished is kept"
    assert "Traceback" not in said
    wait_until(lambda: not alive(int(note.read_text())))
    assert not left_behind(done)
    assert (done.runs("2012") / "02_double.ipynb").read_bytes() == good
    edit(done, "02_double", "time.sleep(60)", "time.sleep(0)")
    assert again(done).ran == ("02_double",)


def wait_until(reached, seconds=30):
    for _ in range(seconds * 20):
        if reached():
            return
        time.sleep(0.05)
    pytest.fail("waited in vain")


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_runs_of_a_wave_do_not_meet(done):
    with pipeline._only_run(done, "2012"), pytest.raises(ValueError, match="another run of wave"):
        again(done)
    assert again(done).ran == ()


# --- what is refused before anything runs -------------------------------------------------------


def test_an_unknown_wave_lists_those_there_are(small):
    with pytest.raises(ValueError, match="no wave '2013'; did you mean 2012.*data/waves: 2012$"):
        run(small, "2013")
    small.wave_file("2012").unlink()
    with pytest.raises(ValueError, match="none yet"):
        run(small, "2012")


def test_an_unknown_parameter_shows_the_closest_and_all(small):
    with pytest.raises(ValueError) as caught:
        run(small, "2012", {"facto": 1})
    assert str(caught.value) == (
        "no notebook has a parameter 'facto'; did you mean factor? There are:\n"
        "  factor: 02_double\n"
        "  language: 01_read, 02_double, 03_note\n"
        "  model: 02_double\n"
        "  seed: 01_read, 02_double, 03_note\n"
        "  share: 02_double"
    )
    assert not small.runs("2012").exists()


@pytest.mark.parametrize("name", ["wave", "root", "variant"])
def test_wave_and_root_are_not_settings(small, name):
    with pytest.raises(ValueError, match=f"^{name} is an argument of its own: mkb21 run WAVE"):
        run(small, "2012", {name: "2014"})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("seed", "one", r"seed of 01_read is a whole number \(1 by default\); 'one' is text"),
        ("seed", 1.5, "1.5 is a number"),
        ("seed", True, "True is true or false"),
        ("seed", None, "None is empty"),
        ("share", "half", "share of 02_double is a number"),
        ("share", True, "True is true or false"),
        ("language", 3, "language of 01_read is text .*3 is a whole number; as text: --set"),
        ("language", ["nl"], r"\['nl'\] is a list"),
    ],
)
def test_a_value_of_another_kind_than_the_default_is_refused(small, name, value, said):
    with pytest.raises(ValueError, match=said):
        run(small, "2012", {name: value})


@pytest.mark.parametrize(
    "settings", [{"seed": 2}, {"share": 1}, {"share": 0.1}, {"model": "a"}, {"model": [1, 2]}]
)
def test_a_value_of_the_same_kind_is_taken(small, settings):
    notebooks.check_settings(pipeline.read_notebooks(small), settings)


def test_a_project_without_notebooks(small):
    shutil.rmtree(small.notebooks)
    with pytest.raises(ValueError, match="there are no notebooks named NN_name.ipynb"):
        run(small, "2012")


def test_only_numbered_notebooks_count(small):
    shutil.copy(small.notebooks / "03_note.ipynb", small.notebooks / "scratch.ipynb")
    names = [notebook.name for notebook in notebooks.read_notebooks(small)]
    assert names == ["01_read", "02_double", "03_note"]


@pytest.mark.parametrize(
    ("reads", "writes", "parameters", "said"),
    [
        ("none", "`a`", PARAMETERS, r"04_new: the first text cell needs a line .*\*\*Reads:\*\*"),
        ("`a`", "to come", PARAMETERS, r"04_new: .*\*\*Writes:\*\*"),
        ("`/etc/a`", "`a`", PARAMETERS, "04_new: `/etc/a` after .* from the project folder down"),
        ("`../a`", "`b`", PARAMETERS, r"04_new: `\.\./a` after \*\*Reads"),
        ("`a`", "`data/{year}`", PARAMETERS, r"04_new: `data/\{year\}` after \*\*Writes"),
        ("`a`", "`C:/b`", PARAMETERS, "04_new: `C:/b`"),
        ("`a`", "`a`", PARAMETERS, "04_new reads `a`, which itself writes"),
        ("`a/*`", "`a/b`", PARAMETERS, r"04_new reads `a/\*`, which itself writes"),
        ("`a`", "`figures/{wave}/*`", PARAMETERS, "03_note and 04_new both write"),
        ("`a`", "`b`", "wave = '2012'", "04_new: .*`parameters` must set root$"),
        ("`a`", "`b`", "import os", "may hold lines .* only: line 1 is something else"),
        ("`a`", "`b`", "wave = str(2012)", "only: line 1: wave is computed"),
        ("`a`", "`b`", "wave = {1, 2}", "only: line 1: wave is a set"),
        ("`a`", "`b`", "wave = ", "only: invalid syntax"),
    ],
)
def test_a_notebook_that_does_not_say_what_it_needs_is_refused(
    small, reads, writes, parameters, said
):
    write_notebook(small, "04_new", reads, writes, parameters=parameters)
    with pytest.raises(ValueError, match=said):
        run(small, "2012")


def test_reading_what_is_written_only_later_is_refused(small):
    write_notebook(small, "00_first", "`data/processed/{wave}/*.csv`", "`a`", FOLDER)
    said = r"00_first reads `data/processed/\{wave\}/\*\.csv`, which only 01_read writes, later"
    with pytest.raises(ValueError, match=said):
        run(small, "2012")


@pytest.mark.parametrize(("tags", "number"), [([], 0), (["parameters"], 2)])
def test_a_notebook_needs_one_cell_of_parameters(small, tags, number):
    path = small.notebooks / "03_note.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata["tags"] = notebook.cells[2].metadata["tags"] = tags
    nbformat.write(notebook, path)
    with pytest.raises(ValueError, match=f"03_note must have one cell .*; it has {number}"):
        run(small, "2012")


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_file_that_is_no_notebook_is_refused(small, text):
    (small.notebooks / "03_note.ipynb").write_text(text)
    with pytest.raises(ValueError, match="03_note is not a notebook that can be read"):
        run(small, "2012")


def test_parameters_may_be_annotated_negative_empty_or_lists():
    source = 'wave: str = "2012"\nroot = ""\nshift = -1.5\nitems = ["a", "b"]\ngroup = None'
    assert notebooks._parameters("01_read", source) == {
        "wave": "2012", "root": "", "shift": -1.5, "items": ["a", "b"], "group": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("a/b.csv", "a/b.csv", True),
        ("a/*.csv", "a/b.csv", True),
        ("a/b*.csv", "a/*.csv", True),
        ("a/*", "a/b/c.csv", False),
        ("a/**/c.csv", "a/b/c.csv", True),
        ("a/**", "a/b/c.csv", True),
        ("a/*.csv", "a/b.png", False),
        ("figures/fig00_*", "figures/fig0[1-9]_*", False),
        ("data/processed/*/r.parquet", "data/processed/{wave}/r.parquet", True),
    ],
)
def test_whether_two_patterns_can_name_the_same_file(one, other, overlap):
    assert notebooks._overlap(one.split("/"), other.split("/")) is overlap
    assert notebooks._overlap(other.split("/"), one.split("/")) is overlap


# --- the summary --------------------------------------------------------------------------------

FLOW = "step,remaining\nread,371\nduplicates,360\nkept,314\n"
REGISTER = "id,value,holds\nsample_n,314,True\neast,62,{}\nalpha,.944,{}\n"
FIT = (
    "measure,standard\nchisq,500.06\ndf,400.0\npvalue,{p}\ncfi,0.9512\ntli,-0.031\nrmsea,0.0444\n"
    "rmsea_ci_low,0.0\nrmsea_ci_high,0.051\nsrmr,0.0449\naic,\n"
)
FIT_LINE = (
    "Model: chi-square (standard) 500.1 (df 400), p < .001; standard: CFI .95, TLI -.03, "
    "RMSEA .04 [90% CI .00, .05]; SRMR .04"
)


def test_the_summary_of_a_full_run(small):
    tables = small.processed("2012")
    for folder in (tables, small.figures("2012"), small.runs("2012")):
        folder.mkdir(parents=True)
    (tables / "cleaning_flow.csv").write_text(FLOW)
    (tables / "published_register.csv").write_text(REGISTER.format(True, True))
    (tables / "sem_fit.csv").write_text(FIT.format(p=0.00049))
    (small.runs("2012") / "manifest.json").touch()
    notice, *lines = pipeline.summary(Place(small, "2012")).splitlines()
    assert notice.startswith("Reconstruction: invented respondents")
    assert lines == [
        "Respondents: 371 read, 314 kept",
        "Published numbers and orderings: 3 of 3 reproduced",
        FIT_LINE,
        "Figures: figures/2012",
        "Tables: data/processed/2012",
        "Notebooks: runs/2012",
        "Manifest: runs/2012/manifest.json",
    ]


def test_the_summary_says_which_column_of_fit_it_gives(small):
    small.processed("2012").mkdir(parents=True)
    rows = [line.split(",") for line in FIT.format(p=0.2).splitlines()[1:]]
    robust = {"cfi": ".96", "tli": ".95", "rmsea": ".03"}
    robust |= {"rmsea_ci_low": ".01", "rmsea_ci_high": ".06"}
    scaled = {"chisq": "450", "pvalue": ".043"}
    text = "measure,standard,scaled,robust\n" + "\n".join(
        f"{name},{value},{scaled.get(name, '')},{robust.get(name, '')}" for name, value in rows
    )
    (small.processed("2012") / "sem_fit.csv").write_text(text)
    assert (
        "Model: chi-square (scaled) 450.0 (df 400), p = .043; robust: CFI .96, TLI .95, "
        "RMSEA .03 [90% CI .01, .06]; SRMR .04"
    ) in pipeline.summary(Place(small, "2012"))


@pytest.mark.parametrize("known", list(product([0.9, float("nan")], repeat=3)))
def test_the_column_of_fit_is_the_one_that_semfit_reports(known):
    """The command has the rule once more, as it may not wait for pandas."""

    row = dict(zip(("standard", "scaled", "robust"), known, strict=True))
    measures = pd.DataFrame([{"measure": "cfi"} | row])
    assert pipeline.reported_column(row) == semfit.reported_column(measures)


def test_the_summary_of_a_model_without_solution_has_no_fit(small):
    small.processed("2012").mkdir(parents=True)
    rows = [line.split(",")[0] for line in FIT.format(p=0.2).splitlines()[1:]]
    text = "".join(f"{name},{'400' if name == 'df' else ''},,\n" for name in rows)
    (small.processed("2012") / "sem_fit.csv").write_text(f"measure,standard,scaled,robust\n{text}")
    assert (
        "Model: chi-square (standard) – (df 400), p = –; standard: CFI –, TLI –, "
        "RMSEA – [90% CI –, –]; SRMR –"
    ) in pipeline.summary(Place(small, "2012"))


def test_the_summary_names_the_published_numbers_that_fail(small):
    small.processed("2012").mkdir(parents=True)
    register = small.processed("2012") / "published_register.csv"
    register.write_text(REGISTER.format(False, False))
    assert (
        "Published numbers and orderings: 1 of 3 reproduced; not east, alpha"
        in pipeline.summary(Place(small, "2012"))
    )


def test_the_summary_prints_p_as_the_field_does(small):
    small.processed("2012").mkdir(parents=True)
    (small.processed("2012") / "sem_fit.csv").write_text(FIT.format(p=0.0214))
    assert ", p = .021; standard: CFI" in pipeline.summary(Place(small, "2012"))


def test_the_summary_of_an_observed_wave_without_tables_is_silent(small):
    small.wave_file("2014").write_text('wave: "2014"\norigin: observed\n')
    assert pipeline.summary(Place(small, "2014")) == ""


@pytest.mark.parametrize(("text", "said"), [("a: [", "not valid YAML"), ("a", "not describe")])
def test_a_wave_file_that_cannot_be_read(small, text, said):
    small.wave_file("2012").write_text(text)
    with pytest.raises(ValueError, match=rf"2012\.yaml.* {said}"):
        pipeline.describe_wave(small, "2012")


def test_the_notebooks_of_this_repository_name_files_that_exist_or_are_written_before():
    project = Project(REPOSITORY)
    written = ()
    for notebook in notebooks.read_notebooks(project):
        if notebook.name[0] > "4":
            continue  # of one's own
        for pattern in notebook.reads:
            known = notebooks._shared((pattern,), written) or Place(project, "2012").inputs(
                [pattern]
            )
            assert known, f"{notebook.name} reads `{pattern}`, which is not there"
        written += notebook.outputs


# --- files of one's own, notebooks for some waves ------------------------------------------------


def test_a_file_that_a_parameter_names_is_an_input(small):
    write_notebook(
        small,
        "04_model",
        "`data/waves/{wave}.yaml`",
        "`data/processed/{wave}/model.txt`",
        "from pathlib import Path",
        "Path(root, 'data/processed', wave, 'model.txt').write_text(Path(root, own_file).read_text())",
        parameters=PARAMETERS + 'own_file = "x"\n',
    )
    (small.root / "my.txt").write_text("first")
    settings = {"own_file": "my.txt"}
    assert "04_model" in pipeline.run(small, "2012", settings).ran
    assert pipeline.run(small, "2012", settings).ran == ()
    (small.root / "my.txt").write_text("second")
    assert pipeline.run(small, "2012", settings).ran == ("04_model",)
    assert (small.processed("2012") / "model.txt").read_text() == "second"


def test_a_notebook_is_left_out_without_the_file_that_it_is_for(small, capsys):
    place = small.notebooks / "03_note.ipynb"
    text = place.read_text()
    place.write_text(
        text.replace("**Writes:**", "**Only with:** `data/published/{wave}.csv`  \\n**Writes:**", 1)
    )
    assert pipeline.run(small, "2012").ran == ("01_read", "02_double")
    assert "03_note: left out, there is no data/published/2012.csv" in capsys.readouterr().err
    small.published("2012").parent.mkdir()
    small.published("2012").touch()
    assert pipeline.run(small, "2012").ran == ("03_note",)
