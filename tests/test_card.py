"""The model card: every number, verdict and equation is that of the fit, in both languages."""

import html
import itertools
import re
import shlex
import shutil
import subprocess
import warnings
from pathlib import Path

import mistune
import pandas as pd
import pytest
import yaml

import mkb21
import semfit
from mkb21 import reconstruct
from mkb21.page import card, reporting
from mkb21.run.cli import parse_settings
from mkb21.survey import cleaning, ingest
from mkb21.survey.models import Prepared

ROOT = Path(__file__).parents[1]
CFA = "culture =~ cul_openness + cul_innovation + cul_customer\nenvironment =~ env_customers + env_competitors + env_partners"
REGRESSION = """\
# H1: larger companies use media | more *seldom* (-)
# H2: who is more open uses them more (+)
# H3: nothing in the model is about this
use_frequency ~ h1*size + h2*culture_score + east
"""
UNSOLVED = """\
f =~ mot_pr + mot_messages + mot_crisis
g =~ mot_offers + per_crisis + per_webcare
h =~ mot_dialogue + mot_sales + per_signals
h ~ f
"""  # of eleven respondents it has no solution
SHOP = """\
instrument: winkel
languages: [nl]
title: {nl: Klanten van een winkel}
wording: {nl: Eigen bewoording.}
missing: {not_asked: {nl: niet gevraagd}, not_answered: {nl: leeg}, dont_know: {nl: weet niet}}
scales:
  vijf: {kind: ordinal, codes: {1: {nl: een}, 2: {nl: twee}, 3: {nl: drie}, 4: {nl: vier}, 5: {nl: vijf}}}
blocks:
  oordeel:
    title: {nl: Oordeel}
    question: {nl: "Hoe vond u:"}
    source: Eigen.
    scale: vijf
    items:
      prijs: {label: {nl: prijs}, text: {nl: "de prijs (in $)?"}}
      hulp: {label: {nl: hulp}}
      sfeer: {label: {nl: sfeer}}
      terug: {label: {nl: komt terug}}
"""
WAVE = """\
wave: "1"
title: {nl: Eerste meting}
origin: observed
fieldwork: {start: 2024-01-01, end: 2024-01-31}
population: {nl: Klanten}
export: {file: a.csv, encoding: utf-8}
columns: {respondent_id: nr, prijs: prijs, hulp: hulp, sfeer: sfeer, terug: terug}
"""


def cleaned(folder, wave):
    study = mkb21.open(wave, folder)
    export = ingest.read_export(study.project, study.wave)
    cleaning.save(cleaning.clean(export, study.wave), study.project, study.wave)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A copy of the project's data, with the responses of 2012 and models of a student."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "data", folder / "data", ignore=shutil.ignore_patterns("processed"))
    for name, text in {"cfa": CFA, "regression": REGRESSION, "unsolved": UNSOLVED}.items():
        (folder / f"data/models/{name}.lav").write_text(text)
    return cleaned(folder, "2012")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A questionnaire in Dutch with one regression, and nothing else: no analysis.yaml, no routing."""
    folder = tmp_path_factory.mktemp("shop")
    for place in ("data/waves", "data/models", "data/raw/1"):
        (folder / place).mkdir(parents=True)
    (folder / "data/instrument.yaml").write_text(SHOP)
    (folder / "data/waves/1.yaml").write_text(WAVE)
    (folder / "data/models/terug.lav").write_text(
        "# H1: wie geholpen is komt terug (+)\n# H2: duur jaagt weg (−)\nterug ~ h1*hulp + h2*prijs"
    )
    rows = semfit.example_data()[["x1", "x2", "x3", "x4"]]
    rows = (rows.rank(pct=True) * 5).clip(upper=4.99).astype(int) + 1
    rows.columns = ["prijs", "hulp", "sfeer", "terug"]
    rows.rename_axis("nr").reset_index().to_csv(folder / "data/raw/1/a.csv", sep=";", index=False)
    return cleaned(folder, "1")


class Made:
    """A card, and what it was made from."""

    def __init__(
        self, root, wave="2012", language="en", variant="", model="", columns=None, **given
    ):
        self.study = study = mkb21.open(wave, root, language, variant)
        self.plan = study.plan(model, **given)
        self.prepared: Prepared = study.prepare(self.plan)
        self.model = self.prepared.model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", semfit.NoSolution)
            self.fit = semfit.fit(self.model, self.prepared.rows, **self.prepared.options)
        self.sensitivity = columns and semfit.sensitivity(self.model, self.prepared.rows, columns)
        planted = None
        if study.project.assumptions(wave).is_file():
            assumed = reconstruct.load_assumptions(study.project, study.wave)
            planted = reconstruct.planted_paths(assumed)
        self.truth = planted
        self.results = reporting.Results(
            self.fit,
            labels={language: study.names(self.prepared)},
            notice={language: study.notice},
            flow=pd.read_csv(study.processed / "cleaning_flow.csv") if study.notice else None,
            missing_share=0.01,
            effects="not_asked",
            invariance="not_asked",
            comparison="not_asked",
            origin={"seed": "7", "data": "d" * 64, "commit": "c" * 40, "lock": ""},
            versions={"python": "3", "mkb21": "0.1", "semfit": "0.2"},
        )
        self.path = self.write()
        self.text = self.path.read_text(encoding="utf-8")

    def write(self, figure=""):
        return card.write(
            self.study,
            self.plan,
            self.prepared,
            self.results,
            sensitivity=self.sensitivity,
            planted=self.truth,
            figure=figure,
        )

    def part(self, heading):
        """What stands under a heading."""
        return re.search(
            rf"^## {heading}.*?\n\n(.*?)(?=^## |\Z)", self.text, re.MULTILINE | re.DOTALL
        )[1].strip()

    def table(self, heading):
        """The cells of a table, without its headings."""
        rows = [line for line in self.part(heading).splitlines() if line.startswith("| ")]
        return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]


COLUMNS = {
    "mlr_fiml": {"estimator": "MLR", "missing": "fiml"},
    "ml_listwise": {"estimator": "ML"},
    "without_careless": {"estimator": "ML", "rows": "size == 1 or sector < 6"},
}


@pytest.fixture(scope="module")
def base(root):
    return Made(root, columns=COLUMNS)


@pytest.fixture(scope="module")
def dutch(root):
    return Made(root, language="nl", columns=COLUMNS)


def in_words(low, high, text, yes):
    """What the page must say of an interval; by other means than the package."""
    if not low > 0 and not high < 0:
        return "zero inside" if yes in ("as stated", "supported") else "nul erbinnen"
    wanted = text[-3:] if text.endswith(("(+)", "(-)", "(−)")) else ""
    against = (wanted == "(+)" and high < 0) or (wanted in ("(-)", "(−)") and low > 0)
    return {"as stated": "the other way"}.get(yes, "andersom") if against else yes


# --- the base run --------------------------------------------------------------------------------


def test_the_name_of_the_file(base, dutch, root):
    assert base.path == root / "reports/2012/model-card-base.md"
    assert dutch.path == root / "reports/2012/model-card-base.nl.md"


def test_the_notice_stands_at_the_top(base, dutch):
    for made in (base, dutch):
        assert made.text.splitlines()[4] == f"> **{made.study.notice}**"


def test_the_same_inputs_give_the_same_bytes(base):
    assert base.write().read_text(encoding="utf-8") == base.text


@pytest.mark.parametrize("language", ["en", "nl"])
def test_nothing_is_left_unfilled(base, dutch, language):
    made = {"en": base, "nl": dutch}[language]
    assert not re.findall(r"\bNone\b(?!\.)|\bnan\b|(?<![a-z_])\{[a-z_]+[}\[.]|\[\]", made.text)
    assert made.text.count("\n## ") == 10 and "\n\n\n" not in made.text
    assert not re.findall(r"^- [^:\n]+: *$", made.text, re.MULTILINE)
    asked = {"en": "57 of the 88 questions", "nl": "57 van de 88 vragen"}[language]
    assert asked in made.text


def test_every_table_is_one_and_keeps_its_columns(base, dutch):
    for made in (base, dutch):
        shown = mistune.create_markdown(plugins=["table"])(made.text)
        assert shown.count("<table>") == 4
        for block in re.findall(r"(?:^\|.*\n)+", made.text, re.MULTILINE):
            widths = {len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(widths) == 1, block[:80]


def test_markdown_takes_nothing_away_from_the_equations(base):
    shown = html.unescape(mistune.create_markdown(plugins=["table"])(base.text))
    formulas = re.findall(r"\$\$.*?\$\$|\$[^$\n]+\$", base.text, re.DOTALL)
    assert len(formulas) > 30 and all(formula in shown for formula in formulas)


def test_the_equations_are_those_of_the_model(base):
    lines = re.search(r"begin\{aligned\}\n(.*?)\n\\end", base.text, re.DOTALL)[1]
    equations = {}
    for line in lines.replace("\\cr\n&\\quad", "").split("\\cr\n"):
        effect, _, right = line.partition(" &= ")
        *terms, rest = right.split(" + ")
        assert rest.startswith("\\zeta_")
        equations[effect] = [
            re.fullmatch(r"(\w)_\{(\d+)\} \\cdot (.*)", t.strip()).groups() for t in terms
        ]
    paths = base.model.parameters.query("op == '~'")
    expected = {}
    for row in paths.itertuples():
        names = [rf"\text{{{name}}}" for name in (row.lhs, row.rhs)]
        expected.setdefault(names[0], []).append((row.label[0], row.label[1:], names[1]))
    assert equations == expected


def test_the_questions_and_loadings_are_those_of_the_model(base):
    cells = {row[1].strip("`"): row for row in base.table("What was asked")}
    assert [*cells] == [*base.model.observed]
    loadings = base.fit.estimates.query("op == '=~'")
    for row in loadings.itertuples():
        sign, value = cells[row.rhs][3].split(": ")
        assert float(value) == pytest.approx(row.std_all, abs=0.0051)
        assert (sign == "$1$") == pd.isna(row.se) or row.se == 0
    assert cells["size"][3] == ""
    text = base.study.instrument.items["cul_learning"].text["en"]
    assert cells["cul_learning"][2] == text
    assert cells["cul_openness"][2].startswith("*To what extent")
    assert cells["mot_pr"][2].endswith("made of `mot_awareness`, `mot_messages`, `mot_dialogue`")


def test_the_flow_and_the_sample(base):
    flow = base.results.flow
    assert [row[1:] for row in base.table("Sample")] == flow[["dropped", "remaining"]].astype(
        str
    ).to_numpy().tolist()
    assert "- The model is about: users (n = 256)" in base.part("Sample")
    assert f"{base.fit.n_used} of 256 rows used" in base.part("Sample")


@pytest.mark.parametrize("language", ["en", "nl"])
def test_the_paths_are_those_of_the_fit(base, dutch, language):
    made = {"en": base, "nl": dutch}[language]
    rows = made.table({"en": "Paths", "nl": "Paden"}[language])
    estimates = made.fit.estimates.query("op == '~'")
    planted = made.truth.set_index(["lhs", "op", "rhs"])["planted"]
    for cells, row in zip(rows, estimates.itertuples(), strict=True):
        numbers = [
            float(n.replace(",", ".").replace("−", "-"))
            for n in re.findall(r"−?\d+[.,]\d+", " ".join(cells[2:]))
        ]
        expected = [
            planted[row.lhs, "~", row.rhs],
            row.estimate,
            row.std_all,
            row.std_ci_low,
            row.std_ci_high,
        ]
        assert numbers == pytest.approx(expected, abs=0.0051)
        assert cells[0] == row.label.upper()


@pytest.mark.parametrize("language", ["en", "nl"])
def test_every_verdict_is_what_its_interval_says(base, dutch, language):
    made = {"en": base, "nl": dutch}[language]
    rows = made.table({"en": "Hypotheses", "nl": "Hypothesen"}[language])
    yes = {"en": "as stated", "nl": "als gesteld"}[language]
    table = made.sensitivity.set_index(["variant", "label"])
    assert [row[0] for row in rows] == [f"H{number}" for number in range(1, 14)]
    texts = dict(re.findall(r"^- (H\d+): (.*)$", made.text, re.MULTILINE))
    for name, _, *verdicts, agree in rows:
        text = texts[name]
        ends = [table.loc[(column, name.lower())] for column in COLUMNS]
        expected = [in_words(row["std_ci_low"], row["std_ci_high"], text, yes) for row in ends]
        assert verdicts == expected, name
        assert agree == f"{sum(one == expected[0] for one in expected)}/3"
    assert {row[-1] for row in rows} > {"3/3"}  # else the count is not tested
    sizes = made.sensitivity.groupby("variant", sort=False)["n"].first()
    heading = next(
        line for line in made.text.splitlines() if line.startswith("|") and "(n = " in line
    )
    assert [int(n) for n in re.findall(r"n = (\d+)", heading)] == [*sizes]


def test_an_invented_wave_has_no_findings(base, dutch):
    for made in (base, dutch):
        assert not re.search(r"supported|confirmed|gesteund|bevestigd", made.text)
    assert "The respondents are invented" in base.part("Hypotheses")


def test_the_base_run_changes_nothing(base):
    assert base.part("Changes").endswith("says:\n\nNone.\n\nAfter seeing the data: None.")


# --- other models and settings -------------------------------------------------------------------


def test_another_model_is_compared_term_by_term(root):
    made = Made(root, variant="mediation", model="gebruiksmodel_full_mediation")
    changes = made.part("Changes")
    lost = [f"use ~ {name}" for name in ("culture", "size", "b2c", "east")] + ["reputation ~ use"]
    said = re.search(r"^- Removed: (.*)$", changes, re.MULTILINE)[1]
    assert [text for text in re.findall("`(.*?)`", said) if "~" in text] == lost
    assert "- Added" not in changes and "as an alternative to `gebruiksmodel`" in changes
    # the hypotheses stand in the file of the main model
    assert [row[0] for row in made.table("Hypotheses")] == [
        "H1",
        "H2",
        "H3",
        "H4",
        "H5",
        "H6",
        "H11",
        "H12",
    ]
    assert made.part("Hypotheses").endswith("Not in this model: H7, H8, H9, H10, H13.")


def test_what_the_sample_does_not_tell_apart_is_said(root):
    made = Made(
        root, variant="east", sample="user == 1 and east == 1", respecifications=["a, planned"]
    )
    changes = made.part("Changes")
    assert "- Removed: `motivation ~ east`, `use ~ east`" in changes
    assert '- `sample`: `"users"` → `"user == 1 and east == 1"`' in changes
    assert changes.endswith("After seeing the data: a, planned")
    assert "left out of the model" in made.part("Limits").lower() and "`use ~ east`" in made.part(
        "Limits"
    )
    assert "Variant `east`: the East only." in made.text
    assert "A path now also stands" not in made.part("Model")  # nothing went by way of a constant


def test_a_measurement_model(root):
    made = Made(root, variant="cfa", model="cfa", group="")
    assert made.part("Paths") == made.part("Hypotheses") == "None."
    assert "\\begin{aligned}" not in made.text and "$$ y = " in made.text
    assert "- Covariances: `culture ~~ environment`" in made.part("Model")
    assert "nor whether this model was planned" in made.part("Changes")
    assert '- `group`: `"solo"` → `""`' in made.part("Changes")


def test_a_regression_with_hypotheses_of_its_own(root):
    made = Made(root, variant="mine", model="regression", sample="")
    rows = made.table("Hypotheses")
    assert r"- H1: larger companies use media \| more \*seldom\* (-)" in made.part("Hypotheses")
    assert [row[2] for row in rows] == [
        "the other way",
        "as stated",
    ]  # against the sign, and with it
    assert {row[1] for row in rows} == {"–"}  # nothing was planted for them
    assert made.part("Hypotheses").endswith("Not in this model: H3.")
    assert (
        "h_{1} \\cdot \\text{size} + h_{2} \\cdot \\text{culture score} + \\beta_{1} \\cdot \\text{east}"
        in made.text
    )
    assert "Measurement: each" not in made.text and "all respondents (n = 314)" in made.text
    assert "saturated model" in made.part("Fit")


def test_a_label_of_another_path_takes_no_hypothesis_of_the_main_model(root):
    (root / "data/models/label.lav").write_text("use_frequency ~ h1*culture_score + h3*size")
    made = Made(root, variant="label", model="label")
    assert made.part("Hypotheses") == "None."


def test_ordered_answers(root):
    made = Made(root, variant="ordered", model="cfa", estimator="WLSMV", group="")
    assert "- Ordered: " + ", ".join(f"`{name}`" for name in made.model.observed) in made.text
    scaled = made.fit.measures.set_index("measure")["scaled"]
    assert f"χ² (scaled) = {scaled['chisq']:.2f}, df = 8" in made.part("Fit")
    assert '- `estimator`: `"MLR"` → `"WLSMV"`' in made.part("Changes")
    assert '- `missing`: `"fiml"` → `"pairwise"`' in made.part("Changes")


def test_without_a_solution_no_number_is_shown(root):
    few = "user == 1 and sector == 3"
    made = Made(root, variant="unsolved", model="unsolved", group="", sample=few)
    assert not made.fit.converged  # else this tests nothing
    assert made.part("Fit").startswith("**No solution: no number of this fit can be used.**")
    assert made.part("Paths") == made.part("Hypotheses") == "None."
    assert {row[3].count(":") for row in made.table("What was asked")} == {0}
    told = made.part("Fit") + made.part("Other")
    assert not re.search(r"CFI|χ²|R²", told) and len(made.fit.problems) == told.count("\n- ")


def test_a_wave_that_did_not_ask_everything(root, tmp_path):
    shutil.copytree(root, tmp_path / "p")
    path = tmp_path / "p/data/waves/2012.yaml"
    described = yaml.safe_load(path.read_text(encoding="utf-8"))
    described["not_in_wave"] = ["cul_learning", "mot_offers"]
    described["ignored"] += [described["columns"].pop(name) for name in described["not_in_wave"]]
    path.write_text(yaml.safe_dump(described, allow_unicode=True), encoding="utf-8")
    (tmp_path / "p/data/assumptions/2012.yaml").unlink()
    made = Made(cleaned(tmp_path / "p", "2012"), "2012", model="cfa", variant="cfa")
    assert "- Left out of the model, or not asked in its blocks: `cul_learning`" in made.part(
        "Limits"
    )
    made = Made(tmp_path / "p", "2012")
    assert made.part("Limits").count(
        "`cul_learning`"
    ) == 1 and "`culture =~ cul_learning`" in made.part("Limits")
    assert made.part("Changes").endswith("None.")  # the main model as this wave can fit it


@pytest.mark.parametrize(
    ("variant", "given"),
    [
        ("", {}),
        ("", {"estimator": "ML", "missing": "listwise", "alternatives": []}),
        ("east", {"sample": "user == 1 and east == 1"}),
        ("east", {"sample": "user == 1 and east == 0", "careful": {"flag_careless": [0, 1]}}),
        ("mine", {"model": "cfa", "group": "", "free": ["use ~ culture's", "b"]}),
    ],
)
def test_the_command_makes_the_same_run(root, variant, given):
    given = {"model": "cfa"} | given if variant == "mine" else given
    made = Made(root, variant=variant, **given)
    words = shlex.split(re.search(r"^- Again: `(.*)`$", made.text, re.MULTILINE)[1])
    assert words[:3] == ["mkb21", "run", "2012"] and words.count("--variant") == bool(variant)
    settings = parse_settings(
        [text for before, text in itertools.pairwise(words) if before == "--set"]
    )
    assert settings.pop("seed") == 7
    named = made.study.analysis.variants.get(variant)
    settings = (dict(named.set) if named else {}) | settings
    assert made.study.plan(settings.pop("model_file", ""), **settings) == made.plan


def test_the_picture_is_linked_where_it_is(base, root):
    folder = base.study.figures
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fig00_gebruiksmodel_en.png").write_bytes(b"")
    with_picture = base.write("fig00_gebruiksmodel").read_text(encoding="utf-8")
    link = re.search(r"^!\[.+\]\((.*)\)$", with_picture, re.MULTILINE)[1]
    assert (base.path.parent / link).resolve() == folder / "fig00_gebruiksmodel_en.png"
    assert "![" not in base.write("fig00_other").read_text(encoding="utf-8")


# --- another questionnaire -----------------------------------------------------------------------


def test_an_observed_wave_of_one_language(shop):
    made = Made(shop, "1", language="nl")
    assert made.path.name == "model-card-base.nl.md" and "verzonnen" not in made.text
    assert made.text.startswith(
        "# Modelkaart: terug – Eerste meting\n\nDe basisrun.\n\n## Wat is gevraagd"
    )
    assert "*Hoe vond u:* komt terug |" in made.text and r"| de prijs (in \$)? |" in made.text
    assert "| stap |" not in made.text and made.part("Steekproef").startswith(
        "- Het model gaat over: alle"
    )
    table = made.fit.estimates.query("op == '~'").set_index("label")
    texts = dict(re.findall(r"^- (H\d+): (.*)$", made.text, re.MULTILINE))
    for name, said, agree in made.table("Hypothesen"):
        text = texts[name]
        row = table.loc[name.lower()]
        assert (
            said == in_words(row["std_ci_low"], row["std_ci_high"], text, "gesteund")
            and agree == "1/1"
        )
    assert {row[1] for row in made.table("Hypothesen")} > {"gesteund"}


# --- verdicts, and what may be committed ---------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "hypothesis", "said"),
    [
        (0.1, 0.2, "more", "supported"),
        (-0.2, -0.1, "more", "supported"),
        (0.1, 0.2, "more (+)", "supported"),
        (0.1, 0.2, "less (-) ", "opposite"),
        (0.1, 0.2, "less (−)", "opposite"),
        (-0.2, -0.1, "less (-)", "supported"),
        (-0.2, -0.1, "more (+)", "opposite"),
        (-0.2, -0.1, "more (+) than", "supported"),
        (-0.1, 0.2, "more (+)", "zero_inside"),
        (0.0, 0.2, "more (+)", "zero_inside"),
        (float("nan"), 0.2, "more (+)", "no_interval"),
    ],
)
def test_a_verdict(low, high, hypothesis, said):
    assert card.verdict(low, high, hypothesis) == said


def test_cards_of_variants_are_not_committed():
    def ignored(path):
        command = ["git", "check-ignore", "--no-index", "-q", path]
        return subprocess.run(command, cwd=ROOT, check=False).returncode == 0

    assert ignored("reports/2012/model-card-east.md") and ignored("reports/2014/model-card-x.nl.md")
    assert not ignored("reports/2012/model-card-base.md") and not ignored(
        "reports/2014/model-card-base.nl.md"
    )
