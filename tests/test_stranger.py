"""Another questionnaire, by data files alone: the customers of an invented bicycle shop (tests/stranger).

One language, no routing, nobody who was not asked, nothing published, no pairs. The notebooks of this
repository run on it as they stand, once with a short analysis.yaml and once without any.
"""

from __future__ import annotations

import re
import runpy
import shutil
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mkb21.run import pipeline
from mkb21.run.paths import Project

ROOT = Path(__file__).parents[1]
STRANGER = Path(__file__).parent / "stranger"
WAVE = "2024"
SEQUENCE = ("01_cleaning", "02_descriptives", "03_reliability", "04_structural_model")
NOTICE = "Demonstration: the respondents of 2024 and their answers are wholly invented."
# of the questionnaire that this repository was made for; "mkb21" in small letters is the package
OURS = re.compile(
    r"(?-i:MKB)|social media|whitepaper|Gebruiksmodel|\bnon[-_ ]?users?\b|\busers?\b|companies|company\b"
    r"|motivation|reputation|Twitter|\bsolo\b",
    re.IGNORECASE,
)
SCALES = {
    "service_score": ["ser_prompt", "ser_friendly", "ser_explained", "ser_waiting"],
    "trust_score": ["tru_repairs", "tru_price", "tru_advice", "tru_promises"],
    "loyalty_score": ["loy_return", "loy_recommend", "loy_first", "loy_buy"],
}
CODES = "strongly disagree|disagree|neither|agree|strongly agree".split("|")


def make_run(folder, analysis):
    shutil.copytree(STRANGER / "data", folder / "data")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    if not analysis:
        (folder / "data" / "analysis.yaml").unlink()
    project = Project.find(folder)
    pipeline.run(project, WAVE)
    return project


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """The run with a short analysis.yaml. Not to be changed."""
    return make_run(tmp_path_factory.mktemp("short"), analysis=True)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The run without an analysis.yaml. Not to be changed."""
    return make_run(tmp_path_factory.mktemp("bare"), analysis=False)


@pytest.fixture(params=["short", "bare"])
def project(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def form():
    """The answers of who is kept, read from the export without any code of the repository."""
    wave = pd.read_csv(STRANGER / "data/raw" / WAVE / "form.csv", dtype=str, keep_default_na=False)
    columns = {text: name for name, text in runpy.run_path(str(STRANGER / "make.py"))["read"](
        f"waves/{WAVE}.yaml")["columns"].items()}  # fmt: skip
    kept = wave[~wave["E-mail (for the raffle)"].str.startswith("test@")]
    kept = kept.drop_duplicates("E-mail (for the raffle)").rename(columns=columns)
    codes = {label: code for code, label in enumerate(CODES, 1)}
    for item in chain(*SCALES.values()):
        kept[item] = kept[item].str.strip().str.lower().map(codes)
    kept["ser_waiting"] = 6 - kept["ser_waiting"]
    return kept.set_index("respondent_id")


def table(project, name):
    return pd.read_csv(project.processed(WAVE) / f"{name}.csv")


def made(project):
    """Everything that a reader can open: executed notebooks, tables, figures, model card."""
    folders = (project.runs, project.processed, project.figures, project.reports)
    found = [f for folder in folders for f in sorted(folder(WAVE).rglob("*")) if f.is_file()]
    return [f for f in found if f.suffix in (".ipynb", ".csv", ".svg", ".txt", ".md", ".json")]


def test_the_export_is_what_the_script_makes(tmp_path):
    """tests/stranger/make.py, with its seed, writes the committed file."""
    made = runpy.run_path(str(STRANGER / "make.py"))["export"]()
    made.to_csv(tmp_path / "form.csv", index=False, lineterminator="\n")
    committed = STRANGER / "data/raw" / WAVE / "form.csv"
    assert (tmp_path / "form.csv").read_bytes() == committed.read_bytes()
    assert len(made) == 200


def test_the_whole_sequence_runs(project):
    ran = {path.stem for path in project.runs(WAVE).glob("*.ipynb")}
    assert ran == set(SEQUENCE)
    assert [path.name for path in project.reports(WAVE).iterdir()] == ["model-card-base.md"]
    for prefix in ("cleaning_", "descriptives_", "reliability_", "sem_"):
        assert [*project.processed(WAVE).glob(f"{prefix}*.csv")], prefix


def test_who_is_kept_and_what_was_mended(project):
    flow = table(project, "cleaning_flow").set_index("step")
    assert flow.at["read", "remaining"] == 200 and flow.at["kept", "remaining"] == 198
    assert flow["dropped"].to_dict() == {"read": 0, "test_entries": 1, "duplicates": 1, "kept": 0}
    ledger = table(project, "cleaning_ledger").set_index("variable")
    assert ledger.at["loy_return", "rule"] == "out_of_range"
    assert ledger.at["visits", "before"] == "400" and ledger.at["visits", "respondent_id"] == 20
    assert ledger.at["tru_price", "before"] == "STRONGLY AGREE"


def test_answers_and_scores_are_those_of_the_form(project, form):
    responses = pd.read_parquet(project.processed(WAVE) / "responses.parquet")
    responses = responses.set_index("respondent_id")
    assert list(responses.index) == list(form.index)
    np.testing.assert_array_equal(responses["ser_waiting_r"], form["ser_waiting"])
    np.testing.assert_array_equal(responses["ser_waiting"], 6 - form["ser_waiting"])
    for scale, items in SCALES.items():
        expected = form[items].mean(axis=1).where(form[items].notna().sum(axis=1) >= 2)
        np.testing.assert_allclose(responses[scale], expected)
        assert responses[scale].min() >= 1 and responses[scale].max() <= 5
    visits = responses["visits"]
    assert visits.max() <= 60 and (visits == 10).sum() >= 1 and np.isnan(visits.loc["20"])


def test_alpha_is_that_of_the_formula(project, form):
    scales = table(project, "reliability_scales").set_index("scale")
    assert set(scales.index) == set(SCALES)
    for scale, items in SCALES.items():
        answers = form[items].dropna()
        variances, k = answers.var().sum(), len(items)
        alpha = k / (k - 1) * (1 - variances / answers.sum(axis=1).var())
        assert scales.at[scale, "alpha"] == pytest.approx(alpha, abs=1e-10)
        assert alpha > 0.7  # the reversed item as it was asked would bring that of service below .5


def test_the_planted_paths_are_found(project):
    """Within two standard errors; the sample of this seed is not the population."""
    planted = runpy.run_path(str(STRANGER / "make.py"))["PATHS"]
    estimates = table(project, "sem_estimates")
    paths = estimates[estimates["op"] == "~"].set_index("lhs")
    assert paths["rhs"].to_dict() == {"trust": "service", "loyalty": "trust"}
    for outcome, value in planted.items():
        assert abs(paths.at[outcome, "std_all"] - value) < 2 * paths.at[outcome, "std_se"]
    loadings = estimates[estimates["op"] == "=~"].set_index("rhs")["std_all"]
    assert len(loadings) == 12 and loadings.between(0.55, 0.9).all()  # the keyed item too
    fit = table(project, "sem_fit").set_index("measure")["standard"]
    assert fit["df"] == 52 and fit["cfi"] > 0.95


def test_every_question_has_its_figure(project):
    """District, visits, and the items of each block; the remarks are counted, not shown."""
    results = {path.stem for path in project.processed(WAVE).glob("descriptives_*.csv")}
    for block in ("district", "visits", "service", "trust", "loyalty"):
        assert [name for name in results if block in name], block
    figures = [path.stem for path in project.figures(WAVE).glob("*.svg")]
    assert len(figures) == len({*figures}) >= 10
    assert len([*project.figures(WAVE).glob("*.png")]) == len(figures)
    assert all(name.endswith("_en") for name in figures)


def test_the_notice_is_on_everything(project):
    for path in made(project):
        if path.suffix in (".ipynb", ".svg", ".md"):
            assert NOTICE in " ".join(path.read_text(encoding="utf-8").split()), path.name


def test_no_word_of_another_questionnaire_is_said(project):
    found = {}
    for path in made(project):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":  # pictures are no text
            text = re.sub(r'"image/png": "[^"]*"', "", text)
        if words := sorted({m.group() for m in OURS.finditer(text)}):
            found[path.name] = words
    assert found == {}


def test_nothing_personal_and_no_remark_is_published(project):
    make = runpy.run_path(str(STRANGER / "make.py"))
    for path in made(project):
        text = path.read_text(encoding="utf-8")
        assert "@example" not in text, path.name
        assert not [remark for remark in make["REMARKS"] if remark in text], path.name
