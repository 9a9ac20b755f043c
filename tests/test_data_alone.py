"""What a research group or a student may change in the data files, and the notebooks still run.

Every wave and model here is made by editing files under data/ in a copy of the project: no cell and no
line of code is changed. Notebooks are run cell by cell in this process, which is what papermill does
without starting a kernel for each; tests/test_notebooks.py and tests/test_stranger.py have the real thing.
"""

from __future__ import annotations

import gc
import json
import re
import shutil
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import yaml
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from mkb21.run.paths import Project

ROOT = Path(__file__).parents[1]
EXPORT = "mkb21-2012-export.csv"
SEQUENCE = ("01_cleaning", "02_descriptives", "03_reliability", "04_structural_model")
LIGHT = {"bootstrap_draws": 0, "group": "", "alternatives": []}
BLOCKS = list(yaml.safe_load((ROOT / "data/instrument.yaml").read_text("utf-8"))["blocks"])
NOT_ASKED = "Not asked in this wave, with what is left out for it:"
IN_MODEL = (
    "company market culture environment frequency ways motivation perception reputation".split()
)
TYPICAL = {
    "company",
    "frequency",
    "motivation",
}  # of every day; the others are run by `make test-all`


# ---- a project whose data files are edited -------------------------------------------------------


class Files:
    """A copy of the project, and the edits that somebody makes in its data files."""

    def __init__(self, folder):
        shutil.copytree(ROOT / "data", folder / "data", ignore=shutil.ignore_patterns("processed"))
        shutil.copytree(ROOT / "notebooks", folder / "notebooks")
        self.project = Project.find(folder)

    def edit(self, name, change):
        """Change what a YAML file under data/ holds."""
        path = self.project.root / "data" / name
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), "utf-8")

    def model(self, name, text):
        (self.project.models / f"{name}.lav").write_text(text, encoding="utf-8")

    def export(self):
        path = self.project.raw("2012") / EXPORT
        return pd.read_csv(path, sep=";", dtype=str, keep_default_na=False, encoding="utf-8-sig")

    def wave(self, name, export, change=lambda wave: None, origin="observed"):
        """Another wave: that of 2012 with other rows or columns, and what its description says."""
        path = self.project.wave_file(name)
        wave = yaml.safe_load(self.project.wave_file("2012").read_text(encoding="utf-8"))
        wave |= {"wave": name, "origin": origin}
        change(wave)
        path.write_text(yaml.safe_dump(wave, allow_unicode=True, sort_keys=False), "utf-8")
        self.project.raw(name).mkdir(exist_ok=True)
        export.to_csv(self.project.raw(name) / EXPORT, sep=";", index=False, encoding="utf-8-sig")

    # ---- running it

    def run(self, wave, *notebooks, **given):
        """What a notebook shows, as text; the first error ends it."""
        return {name: run_notebook(self.project, name, wave, given) for name in notebooks}

    def table(self, wave, name, folder=None):
        return pd.read_csv((folder or self.project.processed(wave)) / f"{name}.csv")

    def tables(self, wave, prefix):
        return {path.stem for path in self.project.processed(wave).glob(f"{prefix}*.csv")}


def run_notebook(project, name, wave, given):
    cells = json.loads((project.notebooks / f"{name}.ipynb").read_text("utf-8"))["cells"]
    shell, shown = InteractiveShell.instance(), []
    shell.reset()
    gc.freeze()  # statsmodels collects garbage at each correction: not that of all other tests
    try:
        for cell in (cell for cell in cells if cell["cell_type"] == "code"):
            text = "".join(cell["source"])
            if "parameters" in cell["metadata"].get("tags", []):
                own = {"wave": wave, "root": str(project.root)} | {
                    key: value
                    for key, value in given.items()
                    if re.search(rf"^{key} = ", text, re.MULTILINE)
                }
                text += "".join(f"\n{key} = {value!r}" for key, value in own.items())
            with capture_output() as output, mpl.rc_context({"backend": "agg"}):
                result = shell.run_cell(text)
            if not result.success:
                raise AssertionError(f"{name}: {text}") from (
                    result.error_in_exec or result.error_before_exec
                )
            shown.append(output.stdout)
            shown.append(str(getattr(result.result, "data", "")))  # of Markdown
            for data in (out.data for out in output.outputs):
                shown.append(data.get("text/markdown", data.get("text/plain", "")))
    finally:
        InteractiveShell.clear_instance()
        gc.unfreeze()
    return "\n".join(shown)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


# ---- 14 blocks, each of them not asked -----------------------------------------------------------


def without(files, block, wave="2013"):
    """A wave that did not ask a block: no columns, no items, no rule about them."""
    instrument = yaml.safe_load(files.project.instrument.read_text(encoding="utf-8"))
    items = list(instrument["blocks"][block]["items"])
    columns = yaml.safe_load(files.project.wave_file("2012").read_text("utf-8"))["columns"]
    export = files.export().drop(columns=[columns[item] for item in items])

    def change(described):
        described["columns"] = {k: v for k, v in columns.items() if k not in items}
        described["not_in_wave"] = items
        rules = described["rules"]
        rules["complete"] = [name for name in rules["complete"] if name != block]
        rules["eligible"] = {k: v for k, v in rules["eligible"].items() if k not in items}

    files.wave(wave, export, change)
    return items


@pytest.mark.parametrize(
    "block", [b if b in TYPICAL else pytest.param(b, marks=pytest.mark.slow) for b in BLOCKS]
)
def test_a_block_that_was_not_asked(files, block):
    items = without(files, block)
    shown = files.run("2013", *SEQUENCE, **LIGHT)
    responses = pd.read_parquet(files.project.processed("2013") / "responses.parquet")
    assert len(responses) > 250 and not {*items} & {*responses}
    for prefix in ("cleaning", "descriptives", "reliability", "sem"):
        tables = files.tables("2013", prefix) - {"sem_left_out", "sem_hypotheses"}
        assert tables, prefix
        for name in tables:
            assert not {*items} & {*files.table("2013", name).astype(str).stack()}, name
    assert "Not asked:" in shown["01_cleaning"]
    if block not in ("culture", "environment"):  # of which no result of 02 is
        assert NOT_ASKED in shown["02_descriptives"]
    paths = files.table("2013", "sem_estimates").query("op == '~'")
    assert len(paths) >= 3 and np.isfinite(paths[["estimate", "std_all"]]).all(axis=None)
    left_out = files.tables("2013", "sem_left_out")
    assert bool(left_out) == (block in IN_MODEL)


# ---- models: notebook 04 on one cleaned wave -----------------------------------------------------

CFA = """
culture =~ cul_openness + cul_innovation + cul_customer + cul_collaboration + cul_learning
environment =~ env_customers + env_competitors + env_partners + env_sector
"""
REGRESSION = """
reputation =~ rep_feeling + rep_admiration + rep_respect + rep_trust + rep_appeal
reputation ~ use_frequency
"""
OBSERVED = """
motivation_score ~ a*culture_score + environment_score
use_ways ~ b*motivation_score
culture_motivation_use := a*b
"""
SECTORS = """
ways =~ way_spread + way_listen + way_respond + way_initiate + way_feedback + way_innovation
ways ~ size + sector
"""


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory):
    """The reconstruction after notebook 01, with models of a student; read by several tests."""
    files = Files(tmp_path_factory.mktemp("models"))
    for name, text in {"cfa": CFA, "regression": REGRESSION, "observed": OBSERVED}.items():
        files.model(name, text)
    files.model("sectors", SECTORS)
    files.run("2012", "01_cleaning")
    return files


def fitted(files, model, wave="2012", **given):
    """Notebook 04 with a model: what it showed, and its tables (those of a variant stand apart)."""
    given = LIGHT | {"model_file": model, "variant": model} | given
    shown = files.run(wave, "04_structural_model", **given)["04_structural_model"]
    folder = files.project.runs(wave) / given["variant"] / "tables"
    return shown, {path.stem: pd.read_csv(path) for path in folder.glob("sem_*.csv")}


def paths(tables):
    return tables["sem_estimates"].query("op == '~'")


def test_a_confirmatory_factor_analysis(cleaned):
    shown, tables = fitted(cleaned, "cfa")
    assert paths(tables).empty and len(tables["sem_estimates"].query("op == '=~'")) == 9
    assert tables["sem_fit"].set_index("measure")["standard"]["df"] == 26
    assert "left out" in shown


def test_one_regression(cleaned):
    shown, tables = fitted(cleaned, "regression")
    path = paths(tables)
    assert len(path) == 1 and np.isfinite(path["std_all"]).all()
    assert "left out" in shown


def test_a_path_model_of_observed_variables(cleaned):
    _, tables = fitted(cleaned, "observed")
    responses = pd.read_parquet(cleaned.project.processed("2012") / "responses.parquet")
    rows = responses[responses["user"] == 1][["use_ways", "motivation_score"]].dropna()
    path = paths(tables).set_index(["lhs", "rhs"])["std_all"]
    assert path["use_ways", "motivation_score"] == pytest.approx(rows.corr().iloc[0, 1], abs=0.02)
    assert {"sem_fit", "sem_estimates"} <= {*tables}


def test_a_predictor_without_order_is_refused_or_expanded(cleaned):
    with pytest.raises(AssertionError) as caught:
        fitted(cleaned, "sectors", variant="refused")
    assert "sector" in str(caught.value.__cause__) and "nominal" in str(caught.value.__cause__)

    def nominal(analysis):
        analysis["structural"]["nominal"] = {"sector": 9}

    cleaned.edit("analysis.yaml", nominal)
    shown, tables = fitted(cleaned, "sectors")
    path = paths(tables)
    dummies = path[path["rhs"].str.startswith("sector")]
    asked = cleaned.table("2012", "responses").query("user == 1")["sector"].nunique()
    assert len(dummies) == asked - 1 and len(path) == asked  # and size
    assert "business services" in shown  # what the others are compared with


def test_wlsmv_as_the_estimator_of_the_file(cleaned):
    def ordered(analysis):
        analysis["structural"]["models"] = {"cfa": {"estimator": "WLSMV"}}

    cleaned.edit("analysis.yaml", ordered)
    _, tables = fitted(cleaned, "cfa", variant="ordered")
    estimates = tables["sem_estimates"]
    items = re.findall(r"(?:cul|env)_\w+", CFA)
    answers = cleaned.table("2012", "responses").query("user == 1")[items]
    thresholds = estimates.query("op == '|'")["lhs"].value_counts()
    assert thresholds.to_dict() == (answers.nunique() - 1).to_dict()
    assert tables["sem_fit"].set_index("measure")["standard"]["df"] == 26


# ---- another wave: one region, a construct that was added, a reversed item -----------------------

KNOWLEDGE = {
    "kno_networks": "which networks our customers are on",
    "kno_advertising": "how advertising on them works",
    "kno_numbers": "how to read their numbers",
    "kno_law": "what the law says about it",
}
EXTENDED = """
knowledge =~ kno_networks + kno_advertising + kno_numbers + kno_law_r
motivation =~ mot_pr + mot_sales + mot_webcare + mot_crisis
motivation ~ k1*knowledge + east
"""
LABELS = "helemaal mee oneens|mee oneens|neutraal|mee eens|helemaal mee eens".split("|")


def add_knowledge(instrument):
    """Four questions, of which one is put the other way round, and their construct."""
    items = {
        name: {"label": {"nl": text, "en": text}, "scale": "agreement"}
        for name, text in KNOWLEDGE.items()
    }
    items["kno_law"]["reverse"] = True
    title = {"nl": "Kennis", "en": "Knowledge"}
    block = {"title": title, "source": "Ours.", "since": "2013", "items": items}
    instrument["blocks"]["knowledge"] = block
    instrument["constructs"]["knowledge_score"] = {"label": title, "items": [*items]}


def answers_about_knowledge(export):
    """Invented answers to the four questions, in the columns K1 to K4."""
    rng = np.random.default_rng(3)
    latent = rng.normal(size=len(export))
    for k in range(1, 5):
        code = np.digitize(
            0.8 * latent + 0.6 * rng.normal(size=len(export)), [-1.3, -0.4, 0.4, 1.2]
        )
        export[f"K{k}"] = np.array(LABELS)[code if k < 4 else 4 - code]
    return export


def columns_of_knowledge(wave):
    wave["columns"] |= dict(zip(KNOWLEDGE, ["K1", "K2", "K3", "K4"], strict=True))


@pytest.fixture(scope="module")
def east(tmp_path_factory):
    """An observed wave of 2013: one region, four questions more, a model with them. All notebooks ran."""
    files = Files(tmp_path_factory.mktemp("east"))
    files.edit("instrument.yaml", add_knowledge)
    files.model("extended", EXTENDED)
    export = files.export()
    export = export[export["V01"].isin(["Overijssel", "Gelderland", "Flevoland"])]
    files.wave("2013", answers_about_knowledge(export.copy()), columns_of_knowledge)
    shown = files.run("2013", *SEQUENCE, **LIGHT)
    return files, shown


def test_one_region_says_what_cannot_be_compared(east):
    files, shown = east
    groups = files.table("2013", "descriptives_groups_means")
    assert "east" not in set(groups["group"]) and "solo" in set(groups["group"])
    estimates = files.table("2013", "sem_estimates")
    assert "east" not in set(estimates["rhs"]) and len(estimates.query("op == '~'")) == 11
    for name in ("02_descriptives", "04_structural_model"):
        assert re.search(r"left out.*|.*left out", shown[name]), name
    assert "located in the East" in shown["04_structural_model"]


def test_a_construct_that_was_added_is_in_every_notebook(east):
    files, shown = east
    responses = pd.read_parquet(files.project.processed("2013") / "responses.parquet")
    keyed = responses[[*KNOWLEDGE]].assign(kno_law=6 - responses["kno_law"])
    np.testing.assert_allclose(responses["knowledge_score"], keyed.mean(axis=1))
    assert any("knowledge" in name for name in files.tables("2013", "descriptives"))
    scales = files.table("2013", "reliability_scales").set_index("scale")
    k, answers = 4, keyed.dropna()
    alpha = k / (k - 1) * (1 - answers.var().sum() / answers.sum(axis=1).var())
    assert scales.at["knowledge_score", "alpha"] == pytest.approx(alpha, abs=1e-9) and alpha > 0.7
    assert "Knowledge" in shown["02_descriptives"] and "Knowledge" in shown["03_reliability"]


def test_a_construct_that_was_added_is_in_a_model(east):
    files, shown = east
    shown, tables = fitted(files, "extended", wave="2013")
    loadings = tables["sem_estimates"].query("lhs == 'knowledge' and op == '=~'")
    assert (loadings["std_all"] > 0.5).all() and len(loadings) == 4  # the reversed one too
    assert paths(tables)["label"].tolist() == ["k1"]  # the region does not vary
    assert "sem_planted" not in tables or tables["sem_planted"].empty
    assert "invented" not in shown  # the wave is said to be observed


def test_waves_before_a_question_was_asked_are_as_they_were(east):
    """`since` keeps it out of 2012, which need not list it."""
    files, _ = east
    files.run("2012", "01_cleaning")
    responses = pd.read_parquet(files.project.processed("2012") / "responses.parquet")
    assert not {*KNOWLEDGE, "knowledge_score"} & {*responses}


def test_a_construct_added_to_the_reconstruction(files):
    """What was planted is shown for the paths that were planted, and the notice stays."""
    files.edit("instrument.yaml", add_knowledge)
    files.edit("instrument.yaml", lambda it: it["blocks"]["knowledge"].pop("since"))
    files.model("extended", "environment =~ env_customers + env_competitors + env_partners + env_sector"
        + EXTENDED.replace("+ east", "+ environment"))  # fmt: skip
    path = files.project.raw("2012") / EXPORT
    export = answers_about_knowledge(files.export())
    export.to_csv(path, sep=";", index=False, encoding="utf-8-sig")
    files.edit("waves/2012.yaml", columns_of_knowledge)
    files.run("2012", "01_cleaning")
    shown, tables = fitted(files, "extended")
    planted = tables["sem_planted"]
    assert {*zip(planted["lhs"], planted["rhs"], strict=True)} >= {("motivation", "environment")}
    assert "knowledge" not in set(planted["rhs"])
    assert "Reconstruction: invented respondents" in shown
