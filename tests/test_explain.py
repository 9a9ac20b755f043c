"""Each refusal that `mkb21 explain` knows is caused for real, and its own entry is found."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import mkb21
import semfit
from conftest import PARAMETERS, REPOSITORY, call, write_notebook
from mkb21 import reconstruct
from mkb21.run import explain, pipeline
from mkb21.run.paths import Project
from mkb21.survey import cleaning, ingest
from mkb21.survey.instrument import load_wave

CULTURE = "culture =~ cul_openness + cul_innovation + cul_customer\n"
ENTRIES = yaml.safe_load((REPOSITORY / "mkb21/run/explain.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The data of the repository, cleaned."""
    folder = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("processed")
    shutil.copytree(REPOSITORY / "data", folder / "data", ignore=ignored)
    study = mkb21.open("2012", folder)
    export = ingest.read_export(study.project, study.wave)
    cleaning.save(cleaning.clean(export, study.wave), study.project, study.wave)
    return folder


@pytest.fixture
def own(root, tmp_path):
    """A copy to change at will."""
    shutil.copytree(root, tmp_path / "own")
    return Project(tmp_path / "own")


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def fit(model, query="user == 1", **options):
    return lambda project: semfit.fit(model, users(project).query(query), **options)


def users(project):
    return mkb21.open("2012", project.root).responses


def plan(model="gebruiksmodel", **given):
    return lambda project: mkb21.open("2012", project.root).plan(model, **given)


def prepare(text, **given):
    def start(project):
        (project.models / "own.lav").write_text(text, encoding="utf-8")
        study = mkb21.open("2012", project.root)
        study.prepare(study.plan("own", **given))

    return start


def run(settings=None, **options):
    def start(project):
        write_notebook(project, "01_a", "`data/instrument.yaml`", "`a`", "1 / 0")
        pipeline.run(project, "2012", settings, **options)

    return start


def no_solution(project):
    noise = np.random.default_rng(0).normal(size=(25, 9))
    model = "f1 =~ a + b + c\nf2 =~ d + e + f\nf3 =~ g + h + i"
    with warnings.catch_warnings():
        warnings.simplefilter("error", semfit.NoSolution)
        try:
            semfit.fit(model, pd.DataFrame(noise, columns=list("abcdefghi")))
        except semfit.NoSolution as warning:
            raise ValueError(str(warning)) from None


def draws_failed(project):
    rows = users(project).query("user == 1")
    monkeypatch = pytest.MonkeyPatch()
    from semfit.fitting import refits

    fitted = semfit.fit(f"{CULTURE}culture ~ a*size\nb := a*a", rows)
    with monkeypatch.context() as patch:
        patch.setattr(refits, "quasi_newton", lambda *args: None)
        patch.setattr(refits.NormalRefit, "_second_try", lambda *args: None)
        semfit.bootstrap(fitted, draws=40, n_jobs=1, interval="percentile")


def several_models(project):
    path = project.analysis
    path.write_text("texts: {}\n", encoding="utf-8")
    mkb21.open("2012", project.root).plan()


def no_assumed_answers(project):
    change(project.instrument, "blocks:\n", NEW_BLOCK)
    change(project.wave_file("2012"), "columns:\n", "columns:\n  know_ads: V99\n")
    reconstruct.write(project, "2012")


NEW_BLOCK = """\
blocks:
  knowledge:
    title: {nl: Kennis, en: Knowledge}
    source: own
    scale: agreement
    items:
      know_ads: {label: {nl: adverteren, en: advertising}}
"""


def faulty_wave(project):
    change(project.wave_file("2012"), "  province: V01", "  provinse: V01")
    load_wave(project, "2012")


def no_yaml(project):
    change(project.wave_file("2012"), "columns:", "columns")
    load_wave(project, "2012")


def read_again(project):
    return ingest.read_export(project, load_wave(project, "2012"))


def unknown_label(project):
    path = project.raw("2012") / "mkb21-2012-export.csv"
    change(path, "mee oneens", "niet mee eens, denk ik")
    read_again(project)


def no_export(project):
    shutil.rmtree(project.raw("2012"))
    read_again(project)


def no_responses(project):
    shutil.rmtree(project.processed("2012"))
    users(project)


def all_dropped(project):
    change(project.wave_file("2012"), '"^test"', '""')
    cleaning.clean(read_again(project), load_wave(project, "2012"))


def not_written(project):
    write_notebook(project, "01_a", "`data/instrument.yaml`", "`a`")
    pipeline.run(project, "2012")


def written_twice(project):
    for name in ("01_a", "02_b"):
        write_notebook(project, name, "`data/instrument.yaml`", "`a`")
    pipeline.run(project, "2012")


def not_apart(project):
    parameters = f'{PARAMETERS}sample = ""\n'
    write_notebook(project, "01_a", "`data/instrument.yaml`", "`a`", parameters=parameters)
    pipeline.run(project, "2012", variant="east")


def not_installed(project):
    write_notebook(project, "01_a", "`data/instrument.yaml`", "`a`", "import mkb22")
    pipeline.run(project, "2012")


CAUSES = {
    "variable_unknown": [prepare(f"{CULTURE}culture ~ sizee"), fit(f"{CULTURE}cultre ~ size")],
    "latent_is_column": [fit("solo =~ cul_openness + cul_innovation + cul_customer")],
    "label_unknown_in_model": [fit(f"{CULTURE}culture ~ a*size\nind := a*c")],
    "syntax": [fit(f"{CULTURE}culture size"), prepare("culture =~ cul_openness + + size")],
    "too_few_moments": [fit("culture =~ cul_openness + cul_innovation")],
    "not_identified": [
        fit(
            f"{CULTURE}b =~ env_sector + env_partners + env_customers\nculture ~ b\nb ~ culture",
        )
    ],
    "unknown_model": [plan("gebruiksmodl"), lambda p: mkb21.open("2012", p.root).model("x")],
    "which_model": [several_models],
    "nominal": [prepare(f"{CULTURE}culture ~ sector")],
    "ordered_needs_items": [
        fit(CULTURE, estimator="WLSMV"),
        prepare("motivation_score ~ size", estimator="WLSMV"),
    ],
    "fiml_with_wlsmv": [
        plan(estimator="WLSMV", missing="fiml"),
        plan(missing="pairwise"),
        fit(CULTURE, estimator="WLSMV", missing="fiml", ordered="all"),
        fit(CULTURE, missing="pairwise"),
    ],
    "no_rows": [fit(CULTURE, "size == 99"), fit(f"{CULTURE}culture ~ reason_time", missing="fiml")],
    "few_rows": [fit(CULTURE, "index < 3")],
    "constant": [fit(f"{CULTURE}culture ~ solo", "solo == 1")],
    "constant_in_group": [fit(f"{CULTURE}culture ~ solo", group="solo")],
    "group_unknown": [plan(group="sola"), fit(CULTURE, group="sola")],
    "group_of_one": [fit(CULTURE, "solo == 1", group="solo")],
    "no_solution": [no_solution],
    "not_positive_definite": [fit("size ~ east + region")],
    "draws_failed": [draws_failed],
    "few_draws": [
        lambda p: semfit.bootstrap(fit(f"{CULTURE}culture ~ a*size\nb := a*a")(p), draws=5)
    ],
    "setting_unknown": [run({"sed": 1})],
    "setting_of_another_kind": [run({"seed": "x"}), plan(estimator="MLX"), plan(alternatives="x")],
    "sample_unknown": [plan(sample="usr == 1")],
    "variant_unknown": [run(variant="eats")],
    "variant_without_parameter": [not_apart],
    "no_assumed_answers": [no_assumed_answers],
    "faults_of_a_file": [faulty_wave],
    "no_yaml": [no_yaml],
    "label_unknown": [unknown_label],
    "no_export": [no_export],
    "no_responses": [no_responses],
    "all_dropped": [all_dropped],
    "wave_unknown": [
        lambda p: mkb21.open("1999", p.root),
        lambda p: pipeline.run(p, "1999"),
    ],
    "not_written": [not_written],
    "both_write": [written_twice],
    "not_installed": [not_installed],
    "in_a_cell": [run()],
}
ALL = [(name, cause) for name, causes in CAUSES.items() for cause in causes]


@pytest.mark.parametrize(("name", "cause"), ALL, ids=[name for name, _ in ALL])
def test_the_refusal_finds_its_entry(own, name, cause):
    with pytest.raises((ValueError, pipeline.NotebookError)) as caught:
        cause(own)
    found = explain.find(str(caught.value))
    assert found and found[0] == name, str(caught.value)


def test_every_entry_is_tried_and_whole():
    assert list(CAUSES) == list(ENTRIES) and len(ENTRIES) >= 20
    for name, entry in ENTRIES.items():
        assert list(entry) == ["pattern", "means", "do", "example"], name
        assert entry["means"].endswith(".") and entry["do"].endswith("."), name


def test_the_examples_name_what_there_is(root):
    known = Path(REPOSITORY / "mkb21/run/cli.py").read_text(encoding="utf-8")
    for entry in ENTRIES.values():
        for command in (line for line in entry["example"].splitlines() if line.startswith("mkb21")):
            assert command.split()[1] in known


def test_the_last_run_that_failed_is_explained_until_one_succeeds(done):
    path = done.notebooks / "03_note.ipynb"
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace("from pathlib", "import mkb22\\nfrom pathlib"), encoding="utf-8")
    failed = call("run", "2012", "--root", done.root)
    assert failed.stderr.splitlines()[-1] == "What it means and what to do: mkb21 explain"
    said = call("explain", "--root", done.root)
    assert said.returncode == 0 and "03_note failed in cell 3" in said.stdout
    assert "Choose the kernel of .venv" in said.stdout and "make lab" in said.stdout
    path.write_text(good, encoding="utf-8")
    assert call("run", "2012", "--root", done.root).returncode == 0
    said = call("explain", "--root", done.root)
    assert said.returncode == 1 and "mkb21: no run failed" in said.stderr


def test_a_text_is_explained_outside_a_project_too(tmp_path):
    said = call("explain", "group: this wave has no variable 'sola'.", cwd=tmp_path)
    assert said.returncode == 0 and "Groups are compared by a variable" in said.stdout
    said = call("explain", "something else", cwd=tmp_path)
    assert said.returncode == 1 and "nothing more is known of this message" in said.stderr
