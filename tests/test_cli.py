import re
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest

from conftest import REPOSITORY, call
from mkb21 import __version__
from mkb21.page.tables import write_csv
from mkb21.run import cli
from mkb21.run.paths import Project
from mkb21.survey import published
from mkb21.survey.cleaning import clean
from mkb21.survey.ingest import read_export
from mkb21.survey.instrument import NOTICES, load_wave

REGISTER = (
    "id,label,published,computed,holds\n"
    "sample_n,respondents,314,314.0,True\n"
    "twitter,7 Twitter,50 – 55,52.7,True\n"
    "interactive,11 listening,< others,3.1,{holds}\n"
)


@pytest.fixture
def mkb21(capsys):
    """A function that calls the command: its exit status, standard output and error."""
    before = signal.getsignal(signal.SIGTERM)

    def start(*arguments):
        status = 0
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    yield start
    signal.signal(signal.SIGTERM, before)


def test_help_shows_the_commands(mkb21):
    status, said, _ = mkb21("--help")
    assert status == 0
    assert re.findall(r"^  ([\w-]+)  ", said.split("Commands:")[1], flags=re.MULTILINE) == [
        "compare",
        "explain",
        "new-model",
        "new-notebook",
        "reconstruct",
        "run",
        "waves",
    ]
    assert "..." not in said.split("Commands:")[1]  # no description is cut off


@pytest.mark.parametrize("command", ["run", "compare", "explain", "new-model", "waves"])
def test_each_command_has_help(mkb21, command):
    status, said, _ = mkb21(command, "--help")
    assert status == 0
    assert said.startswith(f"Usage: mkb21 {command}")


def test_the_help_of_run_has_the_parameters_of_the_project_one_is_in(mkb21, small, monkeypatch):
    monkeypatch.chdir(small.root)
    _, said, _ = mkb21("run", "--help")
    listed = " ".join(said.split("(--set NAME=VALUE):")[1].split())
    assert 'language (default: "nl"); 01_read, 02_double, 03_note.' in listed
    assert "factor (default: 2); 02_double." in listed
    assert "wave" not in listed and "variant" not in listed
    monkeypatch.chdir(small.root.parent)
    assert "--set NAME=VALUE):" not in mkb21("run", "--help")[1]


def test_the_help_of_run_has_comments_and_the_choices_of_the_plan(mkb21, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    _, said, _ = mkb21("run", "--help")
    listed = " ".join(said.split())
    assert 'labels of tables and figures: "nl" or "en"' in listed
    assert "One of: MLR, ML, WLSMV." in listed and "One of: fiml, listwise, pairwise." in listed


def test_version(mkb21):
    assert mkb21("--version") == (0, f"mkb21, version {__version__}\n", "")


def test_no_command_shows_the_help_and_is_a_wrong_call(mkb21):
    status, _, said = mkb21()
    assert status == 2
    assert said.startswith("Usage: mkb21")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "mkb21: Missing argument 'WAVE'."),
        (["walk"], "mkb21: No such command 'walk'."),
        (["run", "2012", "--sett", "a=1"], "mkb21: No such option '--sett'."),
        (["reconstruct", "2012", "--seed", "x"], "mkb21: Invalid value for '--seed'"),
    ],
)
def test_a_wrong_call_ends_with_status_2(mkb21, arguments, said):
    status, _, error = mkb21(*arguments)
    assert status == 2
    assert error.startswith(said)
    assert error.count("\n") == 1


# --- run ----------------------------------------------------------------------------------------


def test_run_ends_with_a_summary(first_run):
    said = first_run[1]
    assert said.returncode == 0
    lines = said.stdout.splitlines()
    assert re.fullmatch(r"Ran 3 notebooks in \d+ s\.", lines[1])
    assert lines[2].startswith("Reconstruction: invented respondents")
    assert lines[3:] == [
        "Figures: figures/2012",
        "Tables: data/processed/2012",
        "Notebooks: runs/2012",
        "Manifest: runs/2012/manifest.json",
    ]


def test_run_with_nothing_changed_says_so(mkb21, done):
    status, said, _ = mkb21("run", "2012", "--set", "seed=7", "--root", done.root)
    assert status == 0
    assert "Nothing changed since the last run: all notebooks are up to date.\n" in said
    assert "Tables: data/processed/2012\n" in said


def test_run_passes_settings_and_force_on(mkb21, done):
    for name in ("01_read", "02_double"):
        (done.notebooks / f"{name}.ipynb").unlink()
    settings = ["--set", "seed=8", "--set", "language=en"]
    status, said, _ = mkb21("run", "2012", *settings, "--root", done.root)
    assert status == 0
    assert (done.figures("2012") / "note.txt").read_text() == "en 8"
    assert "Ran 1 notebook in" in said
    assert "Ran 1 notebook in" in mkb21("run", "2012", *settings, "--force", "--root", done.root)[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["2013"], "mkb21: there is no wave '2013'; did you mean 2012? "),
        (
            ["2012", "--set", "sed=1"],
            "mkb21: no notebook has a parameter 'sed'; did you mean seed?",
        ),
        (["2012", "--set", "seed=x"], "mkb21: seed of 01_read is a whole number (1 by default)"),
        (["2012", "--set", "seed"], "mkb21: --set seed: write --set NAME=VALUE"),
        (["2012", "--set", "=1"], "mkb21: --set =1: write --set NAME=VALUE"),
        (["2012", "--set", "seed=[1"], "mkb21: --set seed=[1: '[1' cannot be read as a value"),
        (["2012", "--set", "seed="], "mkb21: seed of 01_read is a whole number (1 by default); ''"),
        (["2012", "--variant", "tripl"], "mkb21: there is no variant 'tripl'. Closest: triple. In"),
        (["2012", "--set", "wave=2014"], "mkb21: wave is an argument of its own"),
    ],
)
def test_run_refuses_what_it_cannot_do(mkb21, small, arguments, said):
    status, _, error = mkb21("run", *arguments, "--root", small.root)
    assert status == 1
    assert error.startswith(said)


def test_a_failing_notebook_ends_with_status_1_and_one_block(done):
    path = done.notebooks / "03_note.ipynb"
    path.write_text(path.read_text().replace("from pathlib", "1 / 0\\nfrom pathlib"))
    said = call("run", "2012", "--set", "seed=7", "--root", done.root)
    assert said.returncode == 1
    assert said.stderr.splitlines()[-5:] == [
        "mkb21: 03_note failed in cell 3 of 4:",
        "    1 / 0",
        "ZeroDivisionError: division by zero",
        "The notebook as far as it came: runs/2012/failed/03_note.ipynb",
        "What it means and what to do: mkb21 explain",
    ]
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-0.5", -0.5),
        ("1e-6", 1e-6),
        ("true", True),
        ("en", "en"),
        ("'3'", "3"),
        ("[a, b]", ["a", "b"]),
        ("null", None),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_values_are_read_as_yaml(text, value):
    read = cli.parse_settings((f"name={text}",))["name"]
    assert read == value
    assert type(read) is type(value)


# --- the other commands -------------------------------------------------------------------------


def test_waves_lists_what_is_described(mkb21, small):
    small.wave_file("2014").write_text("origin: observed\n")
    status, said, _ = mkb21("waves", "--root", small.root)
    assert status == 0
    assert said.splitlines() == [
        "wave  origin         fieldwork                 export   title",
        "2012  reconstructed  2012-10-01 to 2012-10-31  present  Zero measurement",
        "2014  observed       ? to ?                    missing",
    ]


def test_waves_without_any(mkb21, small):
    small.wave_file("2012").unlink()
    status, _, error = mkb21("waves", "--root", small.root)
    assert (status, error) == (1, "mkb21: no wave is described in data/waves\n")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The data of the repository, with the register that notebook 05 writes of it."""
    project = Project(tmp_path_factory.mktemp("compared"))
    shutil.copytree(
        REPOSITORY / "data", project.root / "data", ignore=shutil.ignore_patterns("processed")
    )
    wave = load_wave(project, "2012")
    responses = clean(read_export(project, wave), wave).responses
    register = published.compare(published.read(project.published("2012")), responses)
    write_csv(register, project.processed("2012") / "published_register.csv")
    return project


def test_compare_shows_each_number_and_its_verdict(mkb21, compared):
    status, said, _ = mkb21("compare", "2012", "--root", compared.root)
    lines = [" | ".join(re.split("  +", line)) for line in said.splitlines()]
    n = len(pd.read_csv(compared.published("2012")))
    assert status == 0 and len(lines) == n + 4
    assert lines[:2] == [
        NOTICES["reconstructed"]["en"].format(wave="2012"),
        "id | label | published | computed | verdict",
    ]
    assert "sample_n | respondents | 314 | 314 | holds" in lines
    assert "fig13_mean | 13 influence on reputation | 3.64 | 3.642 | holds" in lines
    assert "fig13_agree | 13 influence on reputation | > 3 | 3.642 | holds" in lines
    assert lines[-1] == f"{n} of {n} published numbers reproduced"


def test_compare_ends_with_status_1_when_a_number_fails(mkb21, compared, tmp_path):
    shutil.copytree(compared.root, tmp_path / "failing")
    path = Project(tmp_path / "failing").processed("2012") / "published_register.csv"
    register = pd.read_csv(path, keep_default_na=False, dtype=str)
    register.loc[register["id"] == "fig13_mean", ["computed", "holds"]] = ["3.1", "False"]
    register.to_csv(path, index=False)
    status, said, _ = mkb21("compare", "2012", "--root", tmp_path / "failing")
    assert status == 1
    assert re.search(r"^fig13_mean .* 3\.64 +3\.1 +FAILS$", said, flags=re.MULTILINE)
    assert f"{len(register) - 1} of {len(register)} published numbers reproduced" in said


def test_compare_before_a_run_says_what_to_do(mkb21, small):
    status, _, error = mkb21("compare", "2012", "--root", small.root)
    assert status == 1
    assert error.startswith("mkb21: nothing was published about wave 2012: there is no 2012.csv")
    small.published("2012").parent.mkdir()
    small.published("2012").touch()
    status, _, error = mkb21("compare", "2012", "--root", small.root)
    assert (status, error) == (1, "mkb21: wave 2012 has no comparison yet: first mkb21 run 2012\n")


def test_a_reconstruction_that_misses_a_published_number_fails(mkb21, small):
    small.processed("2012").mkdir(parents=True)
    register = small.processed("2012") / "published_register.csv"
    register.write_text(REGISTER.format(holds=True), encoding="utf-8")
    assert mkb21("run", "2012", "--root", small.root)[0] == 0
    register.write_text(REGISTER.format(holds=False), encoding="utf-8")
    assert mkb21("run", "2012", "--root", small.root)[0] == 1
    small.wave_file("2012").write_text(
        small.wave_file("2012").read_text().replace("reconstructed", "observed")
    )
    assert mkb21("run", "2012", "--root", small.root)[0] == 0


def test_reconstruct_writes_the_export_and_names_it(mkb21, tmp_path):
    export = Project(REPOSITORY).raw("2012") / "mkb21-2012-export.csv"
    status, said, _ = mkb21("reconstruct", "2012", "--out", tmp_path, "--root", REPOSITORY)
    assert status == 0
    assert said.splitlines() == [str(tmp_path / export.name)]
    assert Path(said.strip()).read_bytes() == export.read_bytes()


@pytest.mark.parametrize("command", ["reconstruct", "compare"])
def test_an_unknown_wave_is_refused_by_each_command(mkb21, small, command):
    status, _, error = mkb21(command, "1999", "--root", small.root)
    assert status == 1
    assert error == "mkb21: there is no wave '1999'. Described in data/waves: 2012\n"


@pytest.mark.parametrize("command", [["waves"], ["run", "2012"], ["compare", "2012"]])
def test_outside_a_project(mkb21, tmp_path, command):
    status, _, error = mkb21(*command, "--root", tmp_path)
    assert status == 1
    assert error.startswith(f"mkb21: {tmp_path} is not an MKB21 project")


def test_an_unexpected_error_shows_its_traceback(small):
    (small.notebooks / "03_note.ipynb").unlink()
    (small.notebooks / "03_note.ipynb").mkdir()
    said = call("run", "2012", "--root", small.root)
    assert said.returncode == 1
    assert "Traceback" in said.stderr
