"""The committed notebooks: their form, nbval over their outputs, and a fresh run of the pipeline.

The sequence is executed twice on wave 2012: by nbval, as it stands (the English run), and by the
pipeline in Dutch, without the parts of 04 that take long. A third, as light, is of another wave.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib.testing.compare import calculate_rms

from mkb21.run import pipeline
from mkb21.run.paths import Project
from mkb21.survey.instrument import load_wave

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-4]*.ipynb"))  # from 51 on they are one's own
COMMON = ["wave", "root", "language", "seed"]
LONGEST_CELL = 20
LIGHT = {"bootstrap_draws": 0, "group": "", "alternatives": []}
HEAVY = "comparison invariance invariance_suggestions latent_means paths_by_group".split()
OF_THE_RUN = {"effects", "reporting"}  # tables of 04 that show what LIGHT leaves out


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return read(request.param)


# --- form ----------------------------------------------------------------------------------------


def test_every_notebook_is_one_of_the_sequence():
    names = [path.stem for path in NOTEBOOKS]
    assert [name[:2] for name in names] == [f"{k:02d}" for k in range(1, len(names) + 1)]
    assert len(names) >= 5


def test_opens_with_title_aims_reads_and_writes(notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# \d\d ", first.source)
    assert re.search(r"^1\. .+\n2\. ", first.source, flags=re.MULTILINE)
    assert "**Reads:** `" in first.source and "**Writes:** `" in first.source


def test_declares_the_common_parameters_with_a_comment_each(notebook):
    tagged = [cell for cell in notebook.cells if "parameters" in tags(cell)]
    assert len(tagged) == 1 and tagged[0] is notebook.cells[1]
    assigned = [node.targets[0].id for node in ast.parse(tagged[0].source).body]
    assert assigned[:4] == COMMON
    starts = [line for line in tagged[0].source.splitlines() if re.match(r"\w+ = ", line)]
    assert len(starts) == len(assigned) and all("  # " in line for line in starts)


def test_ends_with_what_was_written_and_what_comes_next(notebook):
    text = "".join(o.text for o in notebook.cells[-1].outputs if o.output_type == "stream")
    assert ".csv" in text
    following = int(notebook.cells[0].source[2:4]) + 1
    assert f"Next: {following:02d}_" in text or "last notebook" in text


def test_defines_nothing_and_hides_nothing(notebook):
    for cell in code_cells(notebook):
        tree = ast.parse(cell.source)
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not any(isinstance(node, kinds) for node in ast.walk(tree)), cell.source
        assert not re.search(
            r"filterwarnings|simplefilter|ipywidgets|^[%!]", cell.source, re.MULTILINE
        )
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        paths = [t for t in texts if isinstance(t, str) and re.match(r"(/|~/|[A-Za-z]:\\)", t)]
        assert not paths, f"absolute path: {paths}"


FOLLOWING = [path for path in NOTEBOOKS if path.stem[:2] in ("02", "03", "04")]


@pytest.mark.parametrize("path", FOLLOWING, ids=lambda path: path.stem)
def test_no_cell_names_anything_of_one_questionnaire(path):
    """What is said of this study stands in data/analysis.yaml and is shown from there."""
    asked = load_wave(Project(ROOT), "2012").questions
    codes = {*asked.blocks, *asked.items, *asked.derived, *asked.constructs}
    said = (
        r"\b(MKB\w*|(?i:whitepaper|gebruiksmodel|social media|companies|motivation|perception))\b"
    )
    for cell in read(path).cells:
        texts = re.sub(r"`[^`]*`", "", cell.source)
        assert not re.search(said, texts), cell.source
        words = r"\w+_\w+" if cell.cell_type == "markdown" else r"(?<=[\"'])\w+(?=[\"'])"
        assert not codes & {*re.findall(words, texts)}, cell.source


def test_cells_are_short(notebook):
    for cell in code_cells(notebook):
        lines = cell.source.splitlines()
        assert len(lines) <= LONGEST_CELL or "parameters" in tags(cell), cell.source


def test_outputs_are_of_one_run_from_top_to_bottom(notebook):
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert "execution" not in "".join(str(cell.metadata) for cell in cells)  # no timestamps
    assert not re.search(r"/(home|Users|tmp|root)/", str(outputs))


def test_marked_tables_have_stored_outputs(notebook):
    checked = [cell for cell in code_cells(notebook) if "nbval-check-output" in tags(cell)]
    assert checked
    assert all(cell.outputs for cell in checked)


# --- a fresh run ---------------------------------------------------------------------------------


def fresh_copy(folder) -> Project:
    """The project without anything that a run makes, and without notebooks of one's own."""
    for part in ("data", "notebooks"):
        ignored = shutil.ignore_patterns("processed", ".ipynb_checkpoints", "[5-9]*.ipynb")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    return Project.find(folder)


@pytest.fixture(scope="module")
def nbval(tmp_path_factory):
    """A copy of the project in which nbval ran the notebooks, and what it said."""
    project = fresh_copy(tmp_path_factory.mktemp("english"))
    options = ["--nbval-lax", "-p", "no:cacheprovider", "-q", "notebooks"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=project.root,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    return project, done


@pytest.fixture(scope="module")
def english(nbval):
    return nbval[0]


@pytest.fixture(scope="module")
def dutch(tmp_path_factory):
    project = fresh_copy(tmp_path_factory.mktemp("dutch"))
    pipeline.run(project, "2012", {"language": "nl"} | LIGHT)
    return project


def table(project, name):
    return pd.read_csv(
        project.processed("2012") / f"{name}.csv", keep_default_na=False, na_values=[""]
    )


def test_every_published_row_holds_on_a_fresh_run(english):
    register = table(english, "published_register")
    published = pd.read_csv(ROOT / "data" / "published" / "2012.csv")
    assert list(register["id"]) == list(published["id"])
    assert register.loc[~register["holds"], "id"].tolist() == []


def test_the_committed_model_card_is_that_of_a_fresh_run(english):
    number = re.compile(r"\d+(?:\.\d+)?")
    cards = [project / "reports/2012/model-card-base.md" for project in (ROOT, english.root)]
    ours, theirs = (card.read_text(encoding="utf-8") for card in cards)
    assert number.sub("0", ours) == number.sub("0", theirs)
    numbers = ([float(n) for n in number.findall(text)] for text in (ours, theirs))
    assert next(numbers) == pytest.approx(next(numbers), abs=0.011)  # a digit on another machine


def test_flow_of_respondents(english):
    flow = table(english, "cleaning_flow").set_index("step")
    assert flow.at["read", "remaining"] > flow.at["kept", "remaining"] == 314
    assert flow["dropped"].sum() == flow.at["read", "remaining"] - 314
    responses = pd.read_parquet(english.processed("2012") / "responses.parquet")
    assert len(responses) == 314 and responses["user"].sum() == 256


def test_results_of_the_descriptives(english):
    gaps = table(english, "descriptives_fig12_gaps")
    assert (
        len(gaps) == 12 and (gaps["difference"] < 0).all() and (gaps["p_holm"] >= gaps["p"]).all()
    )
    weekly = table(english, "descriptives_fig07_frequency_shares")
    assert len(weekly) == 20 and weekly["percent"].between(0, 100).all()
    indicators = table(english, "descriptives_knowledge")
    names = ["media", "lacking", "preparation", "ways", "aims"]  # in the order of the file
    assert list(dict.fromkeys(indicators["indicator"])) == names
    groups = table(english, "descriptives_groups_means")
    assert set(groups["group"]) == {"solo", "east", "b2b", "b2c"}


def test_results_of_the_reliability(english):
    scales = table(english, "reliability_scales").set_index("scale")
    assert f"{scales.at['reputation_score', 'alpha']:.3f}" == "0.944"
    assert (scales["ci_low"] < scales["alpha"]).all() and (
        scales["alpha"] < scales["ci_high"]
    ).all()


def test_results_of_the_structural_model(english):
    fit = table(english, "sem_fit").set_index("measure")["standard"]
    assert {"chisq", "df", "cfi", "tli", "rmsea", "srmr", "aic", "bic"} <= set(fit.index)
    estimates = table(english, "sem_estimates")
    paths = estimates[estimates["op"] == "~"]
    assert sorted(paths["label"]) == sorted(f"h{k}" for k in range(1, 14))
    assert np.isfinite(paths[["estimate", "se", "std_all", "std_se"]].to_numpy()).all()
    planted = table(english, "sem_planted")
    assert len(planted) == 14 and planted["inside"].sum() >= 12


def test_nothing_personal_is_written(english):
    raw = (english.raw("2012") / "mkb21-2012-export.csv").read_text(encoding="utf-8-sig")
    address = re.search(r"[\w.]+@[\w.]+", raw).group()
    assert address
    for path in english.processed("2012").rglob("*"):
        assert not re.search(rb"@voorbeeld|Verzonnen bedrijf|198\.51\.100", path.read_bytes()), path
    for path in NOTEBOOKS:
        assert "@voorbeeld" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["english", "dutch"])
def test_the_notice_is_on_everything(language, request):
    project = request.getfixturevalue(language)
    notice = load_wave(project, "2012").notice("en" if language == "english" else "nl")
    executed = NOTEBOOKS if language == "english" else sorted(project.runs("2012").glob("*.ipynb"))
    assert len(executed) == len(NOTEBOOKS)
    for path in executed:
        assert notice in path.read_text(encoding="utf-8"), path
        for cell in code_cells(read(path)):
            for output in cell.outputs:
                for kind in ("text/html", "text/plain"):
                    if "text/html" in output.get("data", {}):
                        assert notice in " ".join(output.data[kind].split()), (path, kind)
    figures = sorted(project.figures("2012").glob("*.svg"))
    assert len(figures) >= 17
    assert all(notice in path.read_text(encoding="utf-8") for path in figures)


def test_a_dutch_run_has_dutch_labels_and_the_same_tables(english, dutch):
    text = (dutch.runs("2012") / "02_descriptives.ipynb").read_text(encoding="utf-8")
    assert "eenmansbedrijf (zzp)" in text and "solo (self-employed)" not in text
    made, other = (
        {path.name: path.read_bytes() for path in project.processed("2012").glob("*.csv")}
        for project in (english, dutch)
    )
    assert set(made) - set(other) <= {f"sem_{name}.csv" for name in HEAVY} and len(other) > 40
    assert set(other) <= set(made)
    differ = {name for name in other if made[name] != other[name]}
    assert differ == {f"sem_{name}.csv" for name in OF_THE_RUN}


def test_committed_figures_are_those_of_a_fresh_run(english):
    made = sorted(path.name for path in english.figures("2012").iterdir())
    committed = sorted(p.name for p in (ROOT / "figures" / "2012").iterdir() if p.name[0] > "9")
    assert made == committed
    for path in english.figures("2012").glob("*.png"):
        from PIL import Image

        pictures = [
            Image.open(p).convert("RGB") for p in (path, ROOT / "figures" / "2012" / path.name)
        ]
        assert pictures[0].size == pictures[1].size, path.name
        assert calculate_rms(*(np.asarray(p, dtype=float) for p in pictures)) < 2, path.name


def test_nbval_over_the_committed_notebooks(nbval):
    """In the folder of a copy, so that nothing here changes; the marked tables are compared."""
    _, done = nbval
    assert done.returncode == 0, done.stdout[-4000:]
    passed = int(re.search(r"(\d+) passed", done.stdout).group(1))
    assert passed == sum(len(code_cells(read(path))) for path in NOTEBOOKS)


def test_plain_papermill_runs_a_notebook(english, tmp_path):
    """As in the README: from the project folder, with the wave as papermill reads it (a number)."""
    n = len(pd.read_csv(ROOT / "data" / "published" / "2012.csv"))
    out = tmp_path / "out.ipynb"
    command = [
        sys.executable,
        "-m",
        "papermill",
        "notebooks/05_published.ipynb",
        str(out),
        "-p",
        "wave",
        "2012",
    ]
    subprocess.run(command, cwd=english.root, check=True, capture_output=True)
    assert f"{n} of {n} published" in out.read_text(encoding="utf-8")


def observed_wave(project):
    """Wave 2013: the export of 2012 as if it had been observed, without Hyves, nothing published."""
    hyves = ["use_hyves", "exp_hyves"]
    text = project.wave_file("2012").read_text(encoding="utf-8")
    wave = load_wave(project, "2012")
    for item in hyves:
        text = text.replace(f"  {item}: {wave.columns[item]}\n", "")
    text = text.replace('wave: "2012"', 'wave: "2013"').replace(
        "origin: reconstructed", "origin: observed"
    )
    text += f"\nnot_in_wave: [{', '.join(hyves)}]\n"
    project.wave_file("2013").write_text(text, encoding="utf-8")
    name = wave.export.file
    raw = pd.read_csv(project.raw("2012") / name, sep=";", dtype=str, keep_default_na=False)
    project.raw("2013").mkdir()
    raw = raw.drop(columns=[wave.columns[item] for item in hyves])
    raw.to_csv(project.raw("2013") / name, sep=";", index=False, encoding="utf-8-sig")


def test_an_observed_wave_that_asked_less_runs_without_a_notice(tmp_path, capsys):
    project = fresh_copy(tmp_path)
    observed_wave(project)
    ran = pipeline.run(project, "2013", LIGHT).ran
    assert ran == tuple(path.stem for path in NOTEBOOKS if path.stem != "05_published")
    assert "05_published: left out, there is no data/published/2013.csv" in capsys.readouterr().err
    made = [*project.runs("2013").glob("*.ipynb"), *project.figures("2013").glob("*.svg")]
    assert len(made) >= 20
    assert not [p for p in made if "invented respondents" in p.read_text(encoding="utf-8")]
    activity = pd.read_csv(project.processed("2013") / "descriptives_fig07_frequency_shares.csv")
    assert len(activity) == 18 and "use_hyves" not in set(activity["variable"])
    assert not (project.processed("2013") / "sem_planted.csv").exists()
    assert not (project.processed("2013") / "NOTICE.txt").exists()
