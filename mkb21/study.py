"""The door of the notebooks: one wave, its answers, and how results are shown and written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from pandas import DataFrame

import semfit
from mkb21.page import figures, tables, words
from mkb21.run.paths import Project
from mkb21.survey import cleaning, descriptives, models
from mkb21.survey.analysis import Chosen, Indicators, Result, Section, load_analysis
from mkb21.survey.files import check_language
from mkb21.survey.instrument import load_wave

COLUMNS = {  # of the table below a figure, by its kind; of others, those of `PERCENTAGES`
    "means": "label n mean sd ci",
    "gaps": "label n mean_first mean_second difference ci p_holm cohens_dz dz_ci",
    "histogram": "label n mean sd min q1 median q3 max",
    "answers": "label n_asked n percent ci_percent",
}
PERCENTAGES = "label n n_valid percent ci_percent"


class Study:
    """One wave of the monitor, in one language. Made by `mkb21.open`.

    `processed` is where it reads, `tables` and `figures` where it writes: of a variant, elsewhere.
    """

    def __init__(self, wave: str, root: str | Path, language: str, variant: str = "") -> None:
        check_language(language)
        self.project, self.variant = Project.find(root), variant
        self.wave = load_wave(self.project, wave)  # its description
        known = self.wave.instrument.languages
        self.language = language if language in known else known[0]
        self.instrument = self.wave.questions  # the questionnaire, with what this wave asked
        self.analysis = load_analysis(self.project, self.wave)  # what is done with it
        self.notice = self.wave.notice(self.language)  # below all that is of an invented wave
        self.processed = self.project.processed(wave)
        self.tables, self.figures = self.processed, self.project.figures(wave)
        if variant:
            folder = self.project.variant(wave, variant)
            self.tables, self.figures = folder / "tables", folder / "figures"
        self.written: list[str] = []  # names of the tables, in the order in which they were written

    def __repr__(self) -> str:
        lines = [self.wave.title[self.language], f"origin: {self.wave.origin}", self.notice]
        if len(self.wave.instrument.languages) == 1:
            only = ("taal: nl, de enige van de vragenlijst", "language: en, the only one it has")
            lines.append(self.say(*only))
        return "\n".join(line for line in lines if line)

    @cached_property
    def _cleaned(self) -> tuple[DataFrame, DataFrame]:
        return cleaning.load(self.project, self.wave)

    @property
    def responses(self) -> DataFrame:
        """One row per respondent, as notebook 01 wrote them (`ValueError` if it did not)."""
        return self._cleaned[0]

    @property
    def missing(self) -> DataFrame:
        """Why an answer is missing: not_asked, not_answered, dont_know, or "" where it is not."""
        return self._cleaned[1]

    def sample(self, name: str = "") -> DataFrame:
        """The respondents of a sample of the analysis, or of a pandas query; "": all of them."""
        rows = self.responses
        if name in self.analysis.samples:
            for variable, codes in self.analysis.samples[name].where.items():
                rows = rows[rows[variable].isin(codes)]
            return rows
        return rows.query(name) if name else rows

    def text(self, place: str) -> Markdown | None:
        """What the analysis says at a place, for a notebook to show; None where it says nothing."""
        said = self.analysis.texts.get(place)
        return Markdown(said[self.language]) if said else None

    def model(self, name: str) -> semfit.Model:
        """A structural model: a name in data/models, or the path of a file from the project folder."""
        path = self.project.root / name
        source = path if path.suffix == ".lav" and path.is_file() else name
        return semfit.read_model(source, self.project.models)

    def plan(self, model_file: str = "", **given: Any) -> Chosen:
        """How a model is fitted, as `Analysis.plan`: refused at once where it cannot be."""
        return self.analysis.plan(model_file, **given)

    def prepare(self, plan: Chosen, name: str = "") -> models.Prepared:
        """The model of a plan, or another one, as far as this wave can fit it, with its rows."""
        model, rows = self.model(name or plan.model), self.sample(plan.sample)
        return models.prepare(model, plan, rows, self.analysis)

    def alternatives(
        self, plan: Chosen, prepared: models.Prepared
    ) -> tuple[dict[str, semfit.Fit], dict[str, str]]:
        """The fits of the models that a model is compared with, and why others are left out.

        Left out is what needs more of what was not asked than the model itself, what comes down to
        another model, and what cannot be fitted.
        """
        fits: dict[str, semfit.Fit] = {}
        lacking: dict[str, str] = {}
        known = [{*prepared.model.terms}] if prepared.model else []
        for name in plan.alternatives or ():
            other, why = self.attempt(self.prepare, plan, name)
            more = other.lost - prepared.lost if other else set()
            if not why and (more or other.model is None):
                names = ", ".join(sorted(more))
                why = f"{words.section('absent', self.language)['more_unasked']} {names}"
            elif not why and {*other.model.terms} in known:
                why = "same_model"
            if not why:
                fit, why = self.attempt(semfit.fit, other.model, other.rows, **other.options)
            if why:
                lacking[name] = why
            else:
                known.append({*other.model.terms})
                fits[name] = fit
        return fits, lacking

    def names(self, prepared: models.Prepared, language: str = "") -> dict[str, str]:
        """Variable of a model -> what a reader sees: also of what was not asked, and of dummies."""
        language, full = language or self.language, self.analysis.full
        names = {}
        for name in (*prepared.whole.latents, *prepared.whole.observed):
            said = self.word(name, language)
            unasked = said == name and name in (*full.items, *full.derived, *full.constructs)
            names[name] = full.label(name, language) if unasked else said
        against = words.section("absent", language)["against"]
        for row in prepared.dummies.itertuples():  # "sector: retail (against business services)"
            codes = self.instrument.codes(row.variable, language)
            compared = f"{codes[row.code]} ({against} {codes[row.against]})"
            names[row.dummy] = f"{self.word(row.variable, language)}: {compared}"
        return names

    # --- words: keys are codes until they are shown ----------------------------------------------

    def say(self, nl: str, en: str) -> str:
        """One of two texts, in the language of the study."""
        return words.say(nl, en, self.language)

    def word(self, code: Any, language: str = "") -> Any:
        """What a reader sees of a code: a label of the questionnaire, a word, or the code itself."""
        known, language = self.instrument, language or self.language
        latents, questions = self.analysis.structural.latents, [*known.items, *known.derived]
        if code in questions or code in known.constructs:
            return known.label(code, language)
        if code in latents:
            return latents[code][language]
        step, _, variable = str(code).partition("_")
        if step == "outside" and variable in questions:  # of cleaning
            return f"{self.word(step, language)}: {self.word(variable, language)}"
        return words.values([code], language)[0]

    def labels(self, codes: Iterable[Any]) -> dict[Any, Any]:
        """Code -> what a reader sees."""
        return {code: self.word(code) for code in codes}

    def labels_of(self, table: DataFrame) -> dict[Any, str]:
        """What a figure needs: the words of a table's variables, with units, and of their codes."""
        if "first" in table:  # pairs, by the first of each
            return self.labels(table["first"])
        variables = table["variable"].unique()
        codes = self.analysis.answers(variables[0], self.language) if "code" in table else {}
        units = {name: self.analysis.unit(name, self.language) for name in variables}
        return {n: f"{self.word(n)} ({u})" if u else self.word(n) for n, u in units.items()} | codes

    def labelled(self, table: DataFrame) -> DataFrame:
        """The table with a column `label`, from its codes or its variable, item or scale."""
        if "label" in table:
            return table
        if "code" in table:
            answers = [self.instrument.codes(name, self.language) for name in table["variable"]]
            return table.assign(label=[codes[c] for codes, c in zip(answers, table["code"])])
        keys = ("variable", "item", "scale", "first", "latent")
        key = next((k for k in keys if k in table), None)
        return table if key is None else table.assign(label=[self.word(c) for c in table[key]])

    # --- what is shown and written ---------------------------------------------------------------

    def show(
        self,
        table: DataFrame,
        columns: str | dict,
        title: str,
        note: str | None = None,
        groups: str | None = None,
    ) -> tables.Display:
        """A table to look at, with the notice of the wave; see `tables.display`.

        Codes become words; a `label` that is asked for and not there is made by `labelled`.
        `columns` may also be names out of words.yaml: "label n mean ci".
        """
        if isinstance(columns, str):
            columns = words.columns(columns, self.language)
        texts = [k for k, (_, form) in columns.items() if form == "text" and k != "label"]
        table = self.labelled(table) if "label" in columns else table
        for name in {*texts, groups} & {*table.columns}:
            table = table.assign(**{name: [self.word(code) for code in table[name]]})
        options: dict[str, Any] = {"language": self.language, "note": note, "groups": groups}
        return tables.display(table, columns, title, self.notice, **options)

    def publish(self, figure: Figure, name: str, alt: str) -> Image:
        """Save a figure as `<name>_<language>`, SVG and PNG, and return it for display.

        Its last line is the notice of an invented wave, or the title of an observed one.
        """
        last = self.notice or self.wave.title[self.language]
        return figures.publish(figure, self.figures, f"{name}_{self.language}", last, alt)

    def write(self, table: DataFrame, name: str) -> str:
        """Write a table as `<name>.csv` into `tables`; returns the name of the file.

        Codes only: the same bytes in every language.
        """
        self.written.append(tables.write_csv(table, self.tables / f"{name}.csv").name)
        return self.written[-1]

    def result(
        self,
        name: str,
        table: DataFrame | None,
        columns: str | dict,
        title: str,
        absent: str = "no_rows",
        shown: DataFrame | None = None,
        **options: Any,
    ) -> tables.Display | None:
        """Write a table and return what is shown of it, by `show`; print why where there is none.

        `name`: of the file; "": it is only shown. `shown`: what a reader sees instead of `table`:
        fewer rows, columns with words. `absent`: why there is none; see `absent`.
        """
        if table is None or table.empty:
            self.absent(title, absent)
            return None
        if name:
            self.write(table, name)
        return self.show(table if shown is None else shown, columns, title, **options)

    def absent(self, title: str, why: str) -> None:
        """Print that something is left out, and why: a code under `absent` in words.yaml, or a text."""
        said = words.section("absent", self.language)
        print(f"{title}: {said['left_out']}; {said.get(why, why)}")

    def tell(self, code: str, **values: Any) -> None:
        """Print a sentence of words.yaml with these values: codes, lists of codes, and numbers."""
        none, given = words.section("sentences", self.language)["none"], {}
        for name, value in values.items():
            given[name] = self.word(value) if isinstance(value, str) else value
            if isinstance(value, Iterable) and not isinstance(value, str):
                given[name] = ", ".join(map(self.word, value)) or none
        print(words.sentence(code, given, self.language))

    def attempt(
        self, function: Callable[..., Any], *args: Any, absent: str = "", **given: Any
    ) -> tuple[Any, str]:
        """The result of a function and ""; or None and why: `absent`, or why it is refused."""
        if absent:
            return None, absent
        try:
            return function(*args, **given), ""
        except ValueError as refusal:
            return None, str(refusal)

    # --- results of the analysis -----------------------------------------------------------------

    def left_out(self, *kinds: str) -> Markdown | None:
        """What the wave did not ask, and what is not shown for it; None where it asked everything.

        kinds: those of `LeftOut` that are the business of a notebook.
        """
        full, wave, lines = self.analysis.full, self.analysis.questions, dict[str, list[str]]()
        said = words.section("absent", self.language)
        for out in (out for out in self.analysis.left_out if out.kind in kinds):
            blocks = {item: full.block_of[item] for item in out.unasked}
            whole = {block for block in blocks.values() if block not in wave.blocks}
            titles = [full.blocks[block].title[self.language] for block in sorted(whole)]
            alone = [item for item, block in blocks.items() if block not in whole]
            titles += [full.label(item, self.language) for item in alone]
            name = out.label[self.language] if out.label else full.label(out.name, self.language)
            name = said.get(f"{out.kind}_left_out", "{}").format(name)
            lines.setdefault(", ".join(titles), []).append(name)
        shown = [f"- {asked}: {'; '.join(dict.fromkeys(names))}" for asked, names in lines.items()]
        return Markdown("\n".join([said["unasked"] + "\n", *shown])) if lines else None

    def heading(self, part: Section | Indicators) -> Markdown:
        """Title and text of a section; questions that the analysis does not name are the others."""
        other = words.section("descriptives", self.language)["other"]
        other = other if len(self.analysis.descriptives) > 1 else ""
        title = part.title[self.language] if part.title else other
        said = [f"## {title}" if title else "", part.text[self.language] if part.text else ""]
        return Markdown("\n\n".join(filter(None, said)))

    def not_shown(self, title: str, left_out: Iterable[tuple[str, list[str]]]) -> None:
        """Print what could not be shown of something, and why: see `descriptives`."""
        for why, names in left_out:
            self.absent(", ".join(filter(None, [title, *map(self.word, names)])), why)

    def present(self, name: str, result: Result) -> None:
        """A result of the analysis, shown and written: its sentences, its figure, its table.

        Tables are `descriptives_<name>*.csv`. The figure is `<name>` if that begins with fig and a
        number, else `question_<name>`. What cannot be shown is printed, with the reason.
        """
        title, language = result.title[self.language], self.language
        rows = self.sample(result.sample)
        made = descriptives.tables_of(result, self.analysis, rows, self.missing)
        if made.files and result.before:
            display(Markdown(result.before[language]))
        self.not_shown(title, made.left_out)
        if not made.files:
            return
        for end, table in made.files.items():
            self.write(table, f"descriptives_{name}{end}")
        shares = {n: self.analysis.share(made.items[0], n).label[language] for n in result.shares}
        if result.kind != "answers":
            said = {
                **words.section("descriptives", language),
                "shares": "".join([*shares.values()][:1]),
            }
            part = f" ({said[result.table]})" if result.table else ""
            alt = self._in_words(title + part, made.said)
            file = name if re.match("fig(0[1-9]|[1-9])", name) else f"question_{name}"
            display(self.publish(self._drawn(result, made.drawn), file, alt))
        display(self._below(result, made.shown, shares))
        if result.after:
            display(Markdown(result.after[language]))

    def present_indicators(self, name: str, spec: Indicators) -> tables.Display | None:
        """A table of indicators, written as `descriptives_<name>.csv`."""
        table = descriptives.indicators(spec, self.analysis, self.sample, self.missing)
        labels = {key: row.label[self.language] for key, row in spec.rows.items()}
        shows = {"shown": table.assign(group=table["indicator"].map(labels)), "groups": "group"}
        file, title = f"descriptives_{name}", spec.title[self.language]
        return self.result(file, table, "label n estimate_short ci", title, **shows)

    def with_sides(self, table: DataFrame) -> DataFrame:
        """A comparison of groups, whose `group` says in words which group is first and second."""
        said, texts = words.section("descriptives", self.language)["sides"], []
        for row in table.itertuples():
            codes = self.analysis.answers(row.group, self.language)
            sides = said.format(*(codes.get(side, side) for side in (row.first, row.second)))
            texts.append(f"{self.word(row.group)} ({sides})")
        return table.assign(group=texts)

    def _in_words(self, title: str, said: DataFrame) -> str:
        """The alternative text of a figure."""
        single = "code" in said and said["variable"].nunique() == 1
        key = "first" if "first" in said else "code" if single else "variable"
        value = next(name for name in ("percent", "mean", "difference") if name in said)
        return figures.in_words(title, said, key, value, self.labels_of(said), self.language)

    def _drawn(self, result: Result, drawn: DataFrame) -> Figure:
        """The figure of a result."""
        how: dict[str, Any] = {"language": self.language, "title": result.title[self.language]}
        if result.kind == "gaps":
            how["series"] = [name[self.language] for name in result.series]
        elif result.kind == "means":
            how["scale"] = self.analysis.answers(result.items[0], self.language)
        elif result.kind == "bars":
            how["sort"] = result.order == "value"
        return getattr(figures, result.kind or "")(drawn, self.labels_of(drawn), **how)

    def _below(self, result: Result, table: DataFrame, shares: dict[str, str]) -> tables.Display:
        """The table of a result; `shares`: name -> heading."""
        kind, groups = result.table or result.kind or "", None
        columns = words.columns(COLUMNS.get(kind, PERCENTAGES), self.language)
        notes = [result.note[self.language]] if result.note else []
        if kind == "shares":
            table, groups = table.assign(group=table["group"].map(shares)), "group"
        elif kind == "stacked":
            groups = "variable"
        elif kind == "gaps":
            said = words.section("descriptives", self.language)["pairs"]
            notes.append(said.format(*(name[self.language] for name in result.series)))
        else:
            columns |= {f"percent_{name}": (text, "percent1") for name, text in shares.items()}
        if kind == "histogram":
            table = table.assign(label=table["variable"].map(self.labels_of(table)))
        title = result.title[self.language]
        return self.show(table, columns, title, " ".join(notes) or None, groups)
