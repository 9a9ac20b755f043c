"""The model card: one page about one fit, in Markdown that GitHub and JupyterLab show.

The page is a text in words.yaml (`card`); every sentence and number in it is made from the
questionnaire, the plan and the results. The same inputs give the same bytes: no date, no commit.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

import semfit
from mkb21.page.numerals import UNDEFINED, interval, number
from mkb21.page.reporting import ITEMS, Results, problems_in_words
from mkb21.page.words import section, told, values
from mkb21.survey.analysis import Chosen, Plan
from mkb21.survey.files import write_whole
from mkb21.survey.models import Prepared, hypothesis_of


def write(
    study: Any,
    plan: Chosen,
    prepared: Prepared,
    results: Results,
    *,
    sensitivity: DataFrame | None = None,
    planted: DataFrame | None = None,
    figure: str = "",
) -> Path:
    """Write `reports/<wave>/model-card-<variant>.md` ("base" without a variant); `.nl.md` in Dutch.

    Parameters
    ----------
    study : mkb21.Study
    plan, prepared
        How the model was fitted, and the model as far as this wave can fit it.
    results : Results
        What `reporting_table` is made from; its fit is that of `semfit.fit`, solved or not.
    sensitivity : DataFrame, optional
        Of `semfit.sensitivity`; its first variant is the fit of `results`.
    planted : DataFrame, optional
        lhs, op, rhs, planted: what an invented wave was made from.
    figure : str
        The name that was given to `Study.publish`.
    """
    base = study.plan(plan.main or plan.model)
    main = study.prepare(base)
    card = _Card(study, plan, prepared, base, main, results, sensitivity, planted, figure)
    name = f"model-card-{study.variant or 'base'}" + (".nl" if study.language == "nl" else "")
    return write_whole(study.project.reports(study.wave.wave) / f"{name}.md", card.page().encode())


def verdict(low: float, high: float, hypothesis: str) -> str:
    """What an interval says of a hypothesis: a code.

    A text that ends in (+) or (-) says the direction; without it any difference will do.
    """
    if isnan(low) or isnan(high):
        return "no_interval"
    if low <= 0 <= high:
        return "zero_inside"
    sign = re.search(r"\(([+\-−])\)\s*$", hypothesis)
    return "supported" if sign is None or (sign[1] == "+") == (low > 0) else "opposite"


def _rows(lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _plain(text: str) -> str:
    """A text in which Markdown finds no signs of its own."""
    return re.sub(r"([\\`*_<>|$\[\]#~])", r"\\\1", " ".join(text.split()))


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))


@dataclass(frozen=True)
class _Card:
    """What a card is made from. Its parts are fields of the page, "" where they have no content."""

    study: Any
    plan: Chosen
    prepared: Prepared
    base: Chosen  # the plan of the main model
    main: Prepared
    results: Results
    sensitivity: DataFrame | None
    planted: DataFrame | None
    figure: str

    def page(self) -> str:
        """The page, without lines, tables and parts that have no content."""
        fields = self.about_wave() | self.about_sample() | self.about_model() | self.about_changes()
        page = self.say("page", card=self, fit=self.fit, wave=self.study.wave, **fields)
        empty = r"^(- [^:\n]+: *|- \w+: ``|> \*{4}|\|.*\|\n\| ---.*\|)\n(?!\|)"
        page = re.sub(r"\n{3,}", "\n\n", re.sub(empty, "", page, flags=re.MULTILINE))
        none = rf"\1\n{self.say('none')}\n\n"
        return re.sub(r"^(## .+\n)\n(?=## )", none, page, flags=re.MULTILINE)

    @property
    def fit(self) -> semfit.Fit:
        return self.results.fit

    def say(self, code: str, **fields: object) -> str:
        return section("card", self.study.language)[code].format(**fields)

    def __getitem__(self, item: str) -> str:
        """What the reporting standard says under one of its items."""
        told_of = self.solved or item in ("estimator", "missing", "limits")
        told_of &= item not in ("r_squared", "effects") or bool(semfit.equations(self.fit.model))
        return ITEMS[f"item_{item}"](self.results, self.study.language) if told_of else ""

    def decimals(self, value: float) -> str:
        return number(value, 2, self.study.language)

    @cached_property
    def solved(self) -> bool:
        """Is there a solution? Without one no number of the fit is shown."""
        return not self.fit.problems["severity"].eq("error").any()

    @cached_property
    def names(self) -> dict[str, str]:
        return {code: _plain(word) for code, word in self.study.names(self.prepared).items()}

    def items(self, variable: str) -> list[str]:
        """The questions that a variable is made from."""
        asked = self.study.instrument
        if variable in asked.items:
            return [variable]
        return [i for part in asked.made_of.get(variable, []) for i in self.items(part)]

    @cached_property
    def used(self) -> set[str]:
        """The questions of the model; of a dummy, that of its variable."""
        names = [*self.fit.model.observed, *self.prepared.dummies["variable"]]
        return {item for name in names for item in self.items(name)}

    # --- fields of the page ----------------------------------------------------------------------

    def about_wave(self) -> dict[str, Any]:
        study, wave, known = self.study, self.study.wave, self.study.instrument
        texts = {"title": known.title, "wording": known.wording}
        texts |= {"wave_title": wave.title, "population": wave.population}
        variant = study.analysis.variants.get(study.variant)
        label, base = f": {variant.label[study.language]}" if variant else "", self.say("base")
        return {
            **{code: _plain(text[study.language]) for code, text in texts.items()},
            "run": self.say("variant", name=study.variant, label=label) if study.variant else base,
            "notice": study.notice or "",
            "n_questions": len(self.used),
            "asked": len(known.items),
        }

    def about_sample(self) -> dict[str, Any]:
        fit, flow, analysis = self.fit, self.results.flow, self.study.analysis
        language, name, about = self.study.language, self.plan.sample, analysis.texts.get("sample")
        who = f"`{name}`" if name else self.say("everybody")
        steps = DataFrame(columns=["step", "dropped", "remaining"]) if flow is None else flow
        return {
            "flow": _rows([*values([a], language), f"{b}", f"{c}"] for a, b, c in steps.to_numpy()),
            "who": analysis.samples[name].label[language] if name in analysis.samples else who,
            "n": fit.n_used + fit.n_dropped,
            "told": told(fit.message_parts, language),
            "about": about[language] if about else "",
        }

    def about_model(self) -> dict[str, Any]:
        model, absent = self.fit.model, section("absent", self.study.language)
        paths = semfit.equations(model)
        free = model.parameters.query("op == '~~' and lhs != rhs and exogenous == False")
        known = self.results.versions or {}
        return {
            "measurement": self.say("measurement") if model.latents else "",
            "structure": self.say("structure", lines=paths) if paths else "",
            "covariances": _codes(f"{row.lhs} ~~ {row.rhs}" for row in free.itertuples()),
            "definitions": _codes(f"{name} := {formula}" for name, formula in model.definitions),
            "constraints": _codes(one.text for one in model.constraints),
            "notes": "\n".join(f"- {absent[c].format(**said)}" for c, said in self.prepared.notes),
            "ordered": _codes(self.fit.options["ordered"]),
            "origin": {"seed": "", "data": ""} | (self.results.origin or {}),
            "versions": ", ".join(f"{n} {known[n]}" for n in ("mkb21", "semfit") if n in known),
        }

    def about_changes(self) -> dict[str, Any]:
        """What differs from the main model and from how that is fitted, and what is not there."""
        new = self.fit.model.statements()
        old = self.main.model.statements() if self.main.model else new
        settings = []
        for name in (k for k in Plan.model_fields if k not in ("alternatives", "respecifications")):
            values = (getattr(plan, name) for plan in (self.base, self.plan))
            was, now = (json.dumps(value, ensure_ascii=False) for value in values)
            settings += [f"- `{name}`: `{was}` → `{now}`"] if was != now else []
        same = old == new and not settings
        why = "; ".join(self.plan.respecifications) or self.say("none")
        if not self.plan.respecifications and self.plan.model != self.base.model:
            listed = self.plan.model in (self.base.alternatives or ())
            why = self.say("an_alternative" if listed else "nobody_said", main=self.base.model)
        full, asked = self.study.wave.instrument, self.study.instrument.items
        blocks = {full.block_of.get(item) for item in self.used}
        unasked = [i for i in full.items if i not in asked and full.block_of[i] in blocks]
        left_out = self.prepared.left_out[["lhs", "op", "rhs"]].to_numpy()
        compared = self.results.comparison
        fitted = {*compared["model"]} if isinstance(compared, DataFrame) else {}
        return {
            "main": self.base.model,
            "added": _codes(line for line in new if line not in old),
            "removed": _codes(line for line in old if line not in new),
            "settings": self.say("none") if same else "\n".join(settings),
            "planning": why,
            "unasked": _codes([*(" ".join(filter(None, row)) for row in left_out), *unasked]),
            "unfitted": _codes(n for n in self.plan.alternatives or () if n not in fitted),
        }

    @property
    def questions(self) -> str:
        """The rows of the table of constructs, variables, questions and loadings."""
        loaded = semfit.symbols(self.fit.model).query("op == '=~'")
        std = self.fit.estimates.query("op == '=~'").set_index(["lhs", "rhs"])["std_all"]
        observed = self.fit.model.observed
        alone = [("", name, "") for name in observed if name not in {*loaded["rhs"]}]
        lines, before, question = [], "", ""
        for latent, name, sign in [*loaded[["lhs", "rhs", "symbol"]].to_numpy(), *alone]:
            text, question = self.wording(name, question if latent == before else "")
            head = f"**{self.names[latent]}** `{latent}`" if latent not in (before, "") else ""
            value = f": {self.decimals(std[latent, name])}" if self.solved and sign else ""
            lines.append((head, f"`{name}`", text, f"${sign}${value}" if sign else ""))
            before = latent
        return _rows(lines)

    def wording(self, variable: str, before: str) -> tuple[str, str]:
        """What was asked, and the question of its block, left out of the text if just given."""
        known, language = self.study.instrument, self.study.language
        if variable not in known.items:
            made = _codes(self.items(variable))
            return self.names[variable] + (made and self.say("made_of", items=made)), ""
        spec, block = known.items[variable], known.blocks[known.block_of[variable]]
        question = block.question[language] if block.question else ""
        lead = f"*{_plain(question)}* " if question not in ("", before) else ""
        return lead + _plain((spec.text or spec.label)[language]), question

    @property
    def picture(self) -> str:
        study, folder = self.study, self.study.project.reports(self.study.wave.wave)
        file = study.figures / f"{self.figure}_{study.language}.png"
        if not (self.figure and self.solved and file.is_file()):
            return ""
        link = Path(os.path.relpath(file, folder)).as_posix()
        return self.say("picture", model=self.fit.model.name, link=link)

    @property
    def command(self) -> str:
        """The command that makes this run again."""
        study, seed = self.study, (self.results.origin or {}).get("seed")
        known = study.analysis.variants.get(study.variant)
        said = dict(known.set) if known else {}
        usual = {"model_file": said.get("model_file", self.base.model), "language": "en"}
        given = {"model_file": self.plan.model, "language": study.language}
        given |= {"seed": int(seed)} if seed else {}
        asked = {k: v for k, v in said.items() if k in Plan.model_fields}
        usual |= {**dict(study.plan(self.plan.model, **asked))}
        given |= {k: getattr(self.plan, k) for k in Plan.model_fields}
        words = [f"mkb21 run {study.wave.wave}", f"--variant {study.variant}"]
        for key in (key for key, value in given.items() if value != usual.get(key)):
            text = given[key] if isinstance(given[key], str) else json.dumps(given[key])
            words.append(f"--set {shlex.quote(f'{key}={text}')}")
        return " ".join(words if study.variant else [words[0], *words[2:]])

    @property
    def problems(self) -> str:
        found = problems_in_words(self.fit.problems, self.study.language)
        cells = found[["severity", "what", "where", "next_step"]].to_numpy()
        lines = [f"- {self.study.word(a)}: {b} ({c}); {d}." for a, b, c, d in cells]
        return "\n".join(lines if self.solved else [self.say("no_solution"), "", *lines])

    @cached_property
    def hypotheses(self) -> dict[str, str]:
        """Name -> text; those of the main model where a path with that label is the same here."""
        models = [self.main.model or self.fit.model, self.fit.model]
        paths = [model.parameters.query("op == '~'") for model in models]
        old, new = ({*zip(p["lhs"], p["rhs"], hypothesis_of(p["label"]))} for p in paths)
        main = self.main.hypotheses
        main = main[main["hypothesis"].isin({name for *_, name in old & new})]
        known = pd.concat([main, self.prepared.hypotheses])
        return dict(zip(known["hypothesis"], known["text"]))

    @cached_property
    def truth(self) -> dict[tuple[str, ...], str]:
        """The ends of a path (effect, cause) -> what was planted."""
        rows = [] if self.planted is None else self.planted.query("op == '~'").itertuples()
        return {(row.lhs, row.rhs): self.decimals(row.planted) for row in rows}

    def table(self, headings: list[str], lines: dict[Any, list[str]], at: int) -> str:
        """A table of paths (what it is of, its ends; cells), with what was planted as a column."""
        table = [headings, *lines.values()]
        if self.truth:
            planted = (self.truth.get(path[1:], UNDEFINED) for path in lines)
            for cells, cell in zip(table, [self.say("planted"), *planted], strict=True):
                cells.insert(at, cell)
        return _rows([headings, ["---"] * len(headings), *lines.values()])

    @property
    def paths(self) -> str:
        rows, lines = self.fit.estimates.query("op == '~'"), {}
        for row, name in zip(rows.itertuples(), hypothesis_of(rows["label"]), strict=True):
            ends = interval(row.std_ci_low, row.std_ci_high, 2, self.study.language)
            cells = [name, f"{self.names[row.rhs]} → {self.names[row.lhs]}"]
            cells += [self.decimals(row.estimate), f"{self.decimals(row.std_all)} {ends}"]
            lines[name, row.lhs, row.rhs] = cells
        headings = self.say("path_headings").split("|")
        return self.table(headings, lines, at=2) if lines and self.solved else ""

    @property
    def verdicts(self) -> str:
        """Of each hypothesis and path, the verdict in each column of sensitivity."""
        study, known, table, fit = self.study, self.hypotheses, self.sensitivity, self.fit
        if table is None:
            table = fit.estimates.query("op == '~'").assign(variant=fit.estimator, n=fit.n_used)
        table = table.assign(name=hypothesis_of(table["label"]))
        table = table[table["name"].isin(known)]
        if table.empty or not self.solved:
            return ""
        yes = self.say("as_stated" if study.wave.synthetic else "supported")
        sizes = table.groupby("variant", sort=False)["n"].first()
        found: dict[tuple[str, str, str], dict[str, str]] = {}
        for row in table.itertuples():
            code = verdict(row.std_ci_low, row.std_ci_high, known[row.name])
            said = {"supported": yes, "no_interval": UNDEFINED}.get(code) or self.say(code)
            found.setdefault((row.name, row.lhs, row.rhs), {})[row.variant] = said
        lines = {}
        for path, by_variant in found.items():
            words = [by_variant.get(one, UNDEFINED) for one in sizes.index]
            lines[path] = [path[0], *words, f"{words.count(words[0])}/{len(words)}"]
        columns = [f"{study.word(one)} (n = {n})" for one, n in sizes.items()]
        own = self.prepared.hypotheses if len(self.prepared.hypotheses) else self.main.hypotheses
        lost = ", ".join(name for name in own["hypothesis"] if name not in {*table["name"]})
        stated = [f"- {name}: {_plain(known[name])}" for name in dict.fromkeys(table["name"])]
        parts = [
            self.say("invented") if study.wave.synthetic else "",
            "\n".join(stated),
            self.say("how", yes=yes),
            self.table(["", *columns, self.say("agree")], lines, at=1),
            self.say("not_here", which=lost) if lost else "",
        ]
        return "\n\n".join(filter(None, parts))
