"""What is done with the questionnaire: `data/analysis.yaml`, read, checked, and cut to a wave.

Everything in it is optional, the file too: what it does not say follows from the questionnaire.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from mkb21.survey.files import Folders
from mkb21.survey.instrument import FLAGS, RESERVED, Instrument, Wave, load_instrument
from mkb21.survey.yaml_files import (
    BlockName,
    ItemName,
    ScaleName,
    SourceFile,
    Strict,
    Text,
    Variable,
    build,
    closest,
    plain,
    read_yaml,
    unknown_names,
)

# names, of which `_check` sees that there is such a thing
ConstructName = Annotated[str, "construct"]
ModelName = Annotated[str, "model"]
SampleName = Annotated[str, "sample"]
ContrastName = Annotated[str, "contrast"]

Where = dict[Variable, list[int]]  # the codes that it may have; all must hold
ESTIMATORS = Literal["MLR", "ML", "WLSMV"]
MISSING = Literal["fiml", "listwise", "pairwise"]
Kind = Literal["bars", "stacked", "means", "gaps", "histogram", "answers"]


# --- the shape of the file -----------------------------------------------------------------------


class Sample(Strict):
    """Respondents that a result is about."""

    label: Text
    where: Where = Field(min_length=1)


class Share(Strict):
    """Codes of a scale that are counted together, such as agree: 4 and 5."""

    label: Text
    codes: list[int] = Field(min_length=1)


class Contrast(Strict):
    """Items of one kind against items of another, by the means of both."""

    interactive: list[ItemName] = Field(min_length=1)
    other: list[ItemName] = Field(min_length=1)


class Result(Strict):
    """One figure with its table, of a block or of items on one scale.

    kind, order (of bars) and table (below stacked bars): None for what fits the scale; see `fitting`.
    shares: names of shares of the scale, in the table; the alternative text tells the first. also:
    variables in the table, not in the figure. series: of gaps, what the first and the second are.
    """

    title: Text
    block: BlockName | None = None
    items: list[Variable] = []
    kind: Kind | None = None
    sample: SampleName = ""
    order: Literal["value", "scale"] | None = None
    table: Literal["shares", "means"] | None = None
    shares: list[str] = []
    also: list[Variable] = []
    series: list[Text] = Field(default=[], max_length=2)
    before: Text | None = None
    after: Text | None = None
    note: Text | None = None


class Section(Strict):
    """Results that stand together, under a heading."""

    title: Text | None = None
    text: Text | None = None
    results: dict[str, Result] = Field(min_length=1)


class Indicator(Strict):
    """A row, or some, of a table of indicators: shares of items, or the difference of a contrast.

    top: only so many of the highest. everyone: who was not asked counts as not chosen.
    """

    label: Text
    block: BlockName | None = None
    items: list[Variable] = []
    contrast: ContrastName | None = None
    share: str | None = None
    codes: list[int] = []
    sample: SampleName = ""
    top: int | None = Field(default=None, ge=1)
    everyone: bool = False


class Indicators(Strict):
    """A table of results that are read as signs of one thing."""

    title: Text
    text: Text | None = None
    rows: dict[str, Indicator] = Field(min_length=1)


class Groups(Strict):
    """Comparisons: means of `outcomes` in a sample, shares of `shares` among all, by traits."""

    outcomes: list[Variable] = []
    shares: list[Variable] = []
    by: list[Variable] = []
    sample: SampleName = ""


class Reliability(Strict):
    """leave_out: constructs that are no scales, with the reason. families: name -> its scales."""

    leave_out: dict[ConstructName, Text] = {}
    families: dict[str, list[ConstructName]] = {}


class Who(Strict):
    """A logistic regression before the model: what decides about an outcome of 0 and 1."""

    outcome: Variable
    predictors: list[Variable] = Field(min_length=1)


class Plan(Strict):
    """How a structural model is fitted and what is asked of it.

    sample: a name in samples, "" for all respondents, or a pandas query. missing: None for fiml
    with ML and MLR and pairwise with WLSMV. ordered: items; empty for all ordinal ones with WLSMV.
    group: "" for no comparison. alternatives: models that it is compared with. careful: who is left
    when careless respondents are left out. respecifications: changes after seeing the data.
    """

    sample: str = ""
    estimator: ESTIMATORS = "MLR"
    missing: MISSING | None = None
    ordered: list[Variable] = []
    group: Variable = ""
    free: list[str] = []
    bootstrap_draws: int = Field(default=500, ge=0)
    alternatives: list[ModelName] | None = None
    careful: Where = {"flag_careless": [0]}
    respecifications: list[str] = []


class Structural(Plan):
    """The plan of the main model, and for each other model what differs from it.

    main: a name in data/models, where there is more than one. who: before the model. nominal:
    variables without order -> the code that the others are compared with. latents: what latent
    variables are called.
    """

    main: ModelName = ""
    who: Who | None = None
    nominal: dict[Variable, int] = {}
    latents: dict[str, Text] = {}
    models: dict[ModelName, dict[str, Any]] = {}


class Chosen(Plan):
    """The plan of one model; main: the name of the main one. Made by `Analysis.plan`."""

    model: str
    main: str = ""


class Variant(Strict):
    """A run with other parameters, whose results stand apart."""

    label: Text
    set: dict[str, Any] = Field(min_length=1)


@dataclass(frozen=True)
class LeftOut:
    """Something that a wave cannot show: a kind and its name, and the items that it did not ask.

    label: its title; None of a variable, which has its label in the questionnaire.
    """

    kind: Literal["result", "indicator", "group", "outcome", "pair", "scale", "who", "plan"]
    name: str
    unasked: tuple[str, ...]
    label: Text | None = None


class Analysis(Strict):
    """The analysis of a questionnaire. Made by `load_analysis`, as far as the wave asked for it."""

    samples: dict[str, Sample] = {}
    shares: dict[ScaleName, dict[str, Share]] = {}
    pairs: list[tuple[ItemName, ItemName]] = []
    contrasts: dict[str, Contrast] = {}
    descriptives: dict[str, Section] = {}
    indicators: dict[str, Indicators] = {}
    groups: Groups = Groups()
    reliability: Reliability = Reliability()
    structural: Structural = Structural()
    texts: dict[str, Text] = {}
    variants: dict[str, Variant] = {}
    questions: Instrument = Field(default=None, exclude=True)  # type: ignore[assignment]
    full: Instrument = Field(default=None, exclude=True)  # type: ignore[assignment]  # of all waves
    eligible: dict[str, list[int]] = Field(default={}, exclude=True)
    left_out: tuple[LeftOut, ...] = Field(default=(), exclude=True)
    files: tuple[str, ...] = Field(default=(), exclude=True)  # the names in data/models

    def answers(self, variable: str, language: str = "") -> dict[int, str]:
        """Code -> label of the answers that can be in this wave; of a score, those of its items."""
        scale = self.questions.scales.get(_scale(variable, self.questions))
        codes = scale.codes if scale else {}
        language = language or self.questions.language
        return {code: codes[code][language] for code in self.eligible.get(variable, codes)}

    def unit(self, variable: str, language: str = "") -> str:
        """The unit of a number; "" where it has none."""
        scale = self.questions.scales.get(_scale(variable, self.questions))
        return scale.unit[language or self.questions.language] if scale and scale.unit else ""

    def share(self, variable: str, name: str) -> Share:
        """The codes that count together under a name, on the scale of a variable."""
        return self.shares[self.questions.scale_name(variable)][name]

    def chosen(
        self, given: Iterable[str] | str | None, said: Iterable[str], among: Iterable[str] = ()
    ) -> list[str]:
        """Names that a notebook was given, or one; None: those that the file says.

        `ValueError` of one that is not `among` the names (of all variables) of this wave.
        """
        known = list(among) or variables(self.questions)
        names = [given] if isinstance(given, str) else list(said if given is None else given)
        for name in names:
            if name not in known:
                raise ValueError(f"{name!r} is not in this wave.{closest(name, known)}")
        return names

    @cached_property
    def scales(self) -> dict[str, list[str]]:
        """Construct -> its items, of all but those that are left out."""
        known = self.questions.constructs
        return {n: list(c.items) for n, c in known.items() if n not in self.reliability.leave_out}

    @cached_property
    def families(self) -> dict[str, list[str]]:
        """Name -> scales that should be distinct: those said, or the constructs of constructs.

        Where there are none, all scales that share no item with another are one family, "scales".
        """
        if self.reliability.families:
            return self.reliability.families
        known = self.questions.constructs
        made = {n: items for n, items in self.scales.items() if set(items) <= set(known)}
        if made or len(self.scales) < 2:
            return made
        times = [item for items in self.scales.values() for item in items]
        apart = [n for n, items in self.scales.items() if all(times.count(i) == 1 for i in items)]
        return {"scales": apart} if len(apart) > 1 else {}

    def main_model(self) -> str:
        """The model that the study is about: the one that the file names, or the only one."""
        if self.structural.main or len(self.files) == 1:
            return self.structural.main or self.files[0]
        there = ", ".join(self.files) or "none"
        what = "model_file: which model is meant? Name it here, or as the main one in"
        raise ValueError(f"{what} data/analysis.yaml (structural: main). In data/models: {there}.")

    def plan(self, model_file: str = "", **given: Any) -> Chosen:
        """How a model is fitted: what the file says of it, and what is given (None: as the file).

        Raises
        ------
        ValueError
            A value that is not possible, or the name of a variable, sample or model that is not
            known, with the closest.
        """
        said = self.structural
        main = self.main_model() if said.main or not model_file else ""
        model = model_file or main
        base = {name: getattr(said, name) for name in Plan.model_fields}
        base |= said.models.get(model, {})
        base |= {name: value for name, value in given.items() if value is not None}
        if given.get("alternatives") is None:  # the main model is compared with every other
            others = base["alternatives"] or []
            others = others if model == main else [main, *others]
            base["alternatives"] = [n for n in dict.fromkeys(others) if n and n != model]
        try:
            plan = Chosen.model_validate(base | {"model": model, "main": main})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            options = re.findall(r"'(\w+)'", str(first.get("ctx", {}).get("expected", "")))
            near = closest(str(first["input"]), options)
            raise ValueError(f"{place}: {plain(first)}.{near}") from None
        for place, reason in self._plan_faults(plan):
            raise ValueError(f"{place}: {reason}")
        if plan.missing is None:
            missing = "pairwise" if plan.estimator == "WLSMV" else "fiml"
            plan = plan.model_copy(update={"missing": missing})
        return plan

    def _plan_faults(self, plan: Chosen) -> Iterator[tuple[str, str]]:
        known = variables(self.questions)
        for place, name in [
            ("model_file", plan.model),
            *(("alternatives", name) for name in plan.alternatives or ()),
        ]:
            if name not in self.files and not name.endswith(".lav"):
                yield place, f"data/models has no {name!r}.{closest(name, self.files)}"
        if plan.group and plan.group not in known:
            yield "group", f"this wave has no variable {plan.group!r}.{closest(plan.group, known)}"
        for name in plan.ordered:
            if name not in known:
                yield "ordered", f"this wave has no variable {name!r}.{closest(name, known)}"
        for name in _names_in(plan.sample, self.samples):
            if name not in known:
                near = closest(name, [*self.samples, *known])
                what = "neither a sample nor a variable of this wave"
                yield "sample", f"{name!r} is {what}.{near}"
        if plan.estimator == "WLSMV" and plan.missing == "fiml":
            yield "missing", "fiml is of ML and MLR; WLSMV takes pairwise or listwise"
        if plan.estimator != "WLSMV" and plan.missing == "pairwise":
            yield "missing", f"pairwise is of WLSMV; {plan.estimator} takes fiml or listwise"


def variables(questions: Instrument) -> list[str]:
    """Every column of the responses that an analysis can name."""
    return [*questions.items, *questions.derived, *questions.constructs, *RESERVED[3:], *FLAGS]


def _names_in(sample: str, samples: Iterable[str]) -> list[str]:
    """The names of variables in a pandas query; none in the name of a sample."""
    if not sample or sample in samples:
        return []
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", sample)
    words = re.findall(r"(?<![\w.])[A-Za-z_]\w*", bare)
    return [word for word in words if word not in ("and", "or", "not", "in", "True", "False")]


# --- reading and checking ------------------------------------------------------------------------


def load_analysis(project: Folders, wave: Wave) -> Analysis:
    """The analysis of a wave: `data/analysis.yaml`, without what the wave did not ask.

    Each result has its kind and its items. Questions that no result shows get one in a last
    section, "other", so that nothing that was asked is lost. What the wave cannot show stands in
    `left_out`.

    Raises
    ------
    ValueError
        With every fault of the file, one per line, as `load_instrument`.
    """
    said, files = Analysis(), tuple(sorted(path.stem for path in project.models.glob("*.lav")))
    full = load_instrument(project)  # of all waves: names of a later one are no faults
    if project.analysis.is_file():
        source = read_yaml(project.analysis)
        parsed = build(Analysis, source, full.languages)
        if parsed is not None:
            _check(parsed, full, files, source)
        said = source.checked(parsed)
    return _Cut(said, full, wave).made().model_copy(update={"files": files})


def _check_structural(said: Analysis, full: Instrument, source: SourceFile) -> None:
    """The names and codes in the plans of models."""
    known, plan = variables(full), said.structural
    for name in _names_in(plan.sample, said.samples):
        if name not in known:
            near = [*said.samples, *known]
            source.unknown(("structural", "sample"), "sample or variable", name, near)
    for model, update in plan.models.items():
        for key in (key for key in update if key not in Plan.model_fields):
            source.unknown(("structural", "models", model), "key", key, Plan.model_fields)
    for variable, code in plan.nominal.items():
        if variable in known and code not in full.codes(variable):
            source.fault(("structural", "nominal", variable), f"it has no code {code}")
    for name in plan.who.predictors if plan.who else []:
        if name in known and _kind(name, full) == "nominal" and len(full.codes(name)) > 2:
            reason = f"{name} has no order: give a derived variable of 0 and 1 instead"
            source.fault(("structural", "who", "predictors"), reason)


def _check(said: Analysis, full: Instrument, files: Iterable[str], source: SourceFile) -> None:
    """Every name in the file is one of the questionnaire, or of the file itself."""
    names: dict[str, Iterable[str]] = {
        "block": full.blocks,
        "item": full.items,
        "variable": variables(full),
        "construct": full.constructs,
        "scale": full.scales,
        "model": files,
        "sample": said.samples,
        "contrast": said.contrasts,
    }
    source.note((place, reason) for place, _, reason in unknown_names(said, names))
    _check_structural(said, full, source)
    for scale, shares in said.shares.items():
        codes = full.scales[scale].codes if scale in full.scales else None
        for name, share in shares.items():
            for code in (c for c in share.codes if codes is not None and c not in codes):
                source.fault(("shares", scale, name), f"the scale has no code {code}")
    times = Counter(item for pair in said.pairs for item in pair)
    for position, pair in enumerate(said.pairs):
        for item in (i for i in dict.fromkeys(pair) if times[i] > 1):
            source.fault(("pairs", position), f"{item} stands in pairs {times[item]} times")
    results = Counter(here[-1] for here, spec in _specs(said) if isinstance(spec, Result))
    results.update(said.indicators.keys())
    for here, spec in _specs(said):
        if isinstance(spec, Result) and results[here[-1]] > 1:
            source.fault(here, "another result or table of indicators has this name too")
        source.note((here, reason) for reason in _unfit(spec, full))
        wanted = spec.shares if isinstance(spec, Result) else [spec.share] if spec.share else []
        for item in (i for i in _items(spec, full)[:1] if i in full.items):
            scale = full.scale_name(item)
            there = said.shares.get(scale, {})
            for name in (name for name in wanted if name not in there):
                source.unknown(here, f"share of the scale {scale}", name, there)


def _unfit(spec: Result | Indicator, full: Instrument) -> Iterator[str]:
    """What is wrong with the items of a result or indicator, and with what is made of them."""
    items = _items(spec, full)
    if isinstance(spec, Indicator):
        if sum([spec.block is not None, bool(spec.items), spec.contrast is not None]) != 1:
            yield "give either block, items or contrast"
        elif spec.contrast is None and (spec.share is None) == (not spec.codes):
            yield "give either share or codes: what is counted"
    elif (spec.block is None) == (not spec.items):
        yield "give either block or items"
    else:
        if spec.kind == "gaps" and len(spec.series) != 2:
            yield "gaps needs two series: what the first and the second are"
        known = items and {*items} <= {*variables(full)}  # other names are noted by `_check`
        kinds = fitting(items, full) if known else ()
        if known and not kinds:
            yield "its items stand on different scales: name those of one"
        elif known and spec.kind and spec.kind not in kinds:
            yield f"{spec.kind} does not fit its items; use {', '.join(kinds)}"


def _items(spec: Result | Indicator, known: Instrument) -> list[str]:
    """The items that are named, or those of the block; none of a block that is not there."""
    return list(known.blocks[spec.block].items) if spec.block in known.blocks else [*spec.items]


def fitting(items: list[str], known: Instrument) -> tuple[Kind, ...]:
    """The kinds of figure that items can have, the best first; none if their scales differ."""
    scales = {_scale(item, known) for item in items}
    kind = _kind(items[0], known)
    if len(scales) > 1:
        return ()
    if kind not in ("nominal", "ordinal"):
        return ("answers",) if kind == "open" else ("histogram", "answers")
    if any(item in known.constructs for item in items):
        return ("means",)
    if kind == "ordinal":
        both: tuple[Kind, ...] = ("means", "gaps", "answers")
        return ("bars", "stacked", *both) if len(items) == 1 else ("stacked", *both)
    chosen = {*known.scales[scales.pop()].codes} == {0, 1}
    return ("bars", "answers") if chosen or len(items) == 1 else ("stacked", "answers")


def _scale(variable: str, known: Instrument) -> str:
    """Name of its answer scale; of a score, that of its items; "" of a number without a scale."""
    while variable in known.constructs:
        variable = known.constructs[variable].items[0]
    return known.scale_name(variable) if variable in {*known.items, *known.derived} else ""


def _kind(variable: str, known: Instrument) -> str:
    """Kind of its answer scale: nominal, ordinal, number or open."""
    scale = known.scales.get(_scale(variable, known))
    return scale.kind if scale else "number"


def _specs(said: Analysis) -> list[tuple[tuple, Result | Indicator]]:
    """Every result and indicator, with its place in the file."""
    found: list[tuple[tuple, Result | Indicator]] = []
    for section, spec in said.descriptives.items():
        here: tuple = ("descriptives", section, "results")
        found += [((*here, name), result) for name, result in spec.results.items()]
    for group, table in said.indicators.items():
        here = ("indicators", group, "rows")
        found += [((*here, name), row) for name, row in table.rows.items()]
    return found


# --- as far as the wave asked --------------------------------------------------------------------

Spec = TypeVar("Spec", Result, Indicator)
Table = TypeVar("Table", Section, Indicators)


class _Cut:
    """The analysis without what a wave did not ask, and with what the file does not show."""

    def __init__(self, said: Analysis, full: Instrument, wave: Wave) -> None:
        self.said, self.full, self.wave = said, full, wave
        self.questions = wave.questions
        self.known = set(variables(self.questions))
        self.lost: list[LeftOut] = []
        self.samples = {n: s for n, s in said.samples.items() if set(s.where) <= self.known}
        self.pairs = [pair for pair in said.pairs if {*pair} <= self.known]
        for pair in said.pairs if self.pairs else ():  # without any, the result says it
            self.keep("pair", pair[0], pair)
        self.contrasts = {}
        for name, contrast in said.contrasts.items():
            sides = {k: self.asked(items) for k, items in contrast}
            if all(sides.values()):
                self.contrasts[name] = contrast.model_copy(update=sides)

    def asked(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in self.known]

    def keep(
        self, kind: Any, name: str, needed: Iterable[str] = (), label: Text | None = None
    ) -> bool:
        """Was all that it needs (itself) asked? If not, it joins what is left out."""
        lacking = [v for v in (needed or [name]) if v not in self.known]
        if lacking:
            unasked = tuple(dict.fromkeys(i for v in lacking for i in self.behind(v)))
            outside = [self.full.outside(item, self.wave.wave) for item in unasked]
            # of questions of later waves a reader of this one need not know
            if not outside or not all(why.startswith("since") for why in outside):
                self.lost.append(LeftOut(kind, name, unasked or tuple(lacking), label))
        return not lacking

    def behind(self, name: str) -> list[str]:
        """The items that were not asked of which a variable is made."""
        if name in self.full.made_of:
            return [item for part in self.full.made_of[name] for item in self.behind(part)]
        return [] if name in self.known else [name]

    def made(self) -> Analysis:
        said = self.said
        descriptives = self.rows(said.descriptives, "results")
        indicators = self.rows(said.indicators, "rows")
        for name in self.full.constructs:
            if name not in said.reliability.leave_out:
                self.keep("scale", name)
        families = {n: self.asked(scales) for n, scales in said.reliability.families.items()}
        families = {n: scales for n, scales in families.items() if scales}
        return said.model_copy(
            update={
                "samples": self.samples,
                "pairs": self.pairs,
                "contrasts": self.contrasts,
                "descriptives": descriptives | self.others(descriptives),
                "indicators": indicators,
                "groups": self.groups(),
                "reliability": said.reliability.model_copy(update={"families": families}),
                "structural": self.structural(),
                "questions": self.questions,
                "full": self.full,
                "eligible": self.wave.rules.eligible,
                "left_out": tuple(self.lost),
            }
        )

    def rows(self, tables: dict[str, Table], field: str) -> dict[str, Table]:
        """Sections, or tables of indicators, with the rows of which something was asked."""
        left = {}
        for key, table in tables.items():
            specs = getattr(table, field).items()
            rows = {name: self.cut(spec) for name, spec in specs if self.shown(name, spec)}
            if rows:
                left[key] = table.model_copy(update={field: rows})
        return left

    def shown(self, name: str, spec: Result | Indicator) -> bool:
        """Was enough asked to show it?"""
        needed = _items(spec, self.full)
        if spec.sample and spec.sample not in self.samples:
            needed = list(self.said.samples[spec.sample].where)
        elif isinstance(spec, Indicator) and spec.contrast:
            both = dict(self.said.contrasts[spec.contrast]).values()
            needed = [] if spec.contrast in self.contrasts else [i for side in both for i in side]
        elif isinstance(spec, Result) and spec.kind == "gaps":
            first = {a for a, _ in self.pairs} & {*needed}
            needed = [] if first else [i for p in self.said.pairs if p[0] in needed for i in p]
        elif self.known & {*needed}:
            needed = []
        kind = "result" if isinstance(spec, Result) else "indicator"
        title = spec.title if isinstance(spec, Result) else spec.label
        return not needed or self.keep(kind, name, needed, title)

    def cut(self, spec: Spec) -> Spec:
        """With the items that were asked, and of a result what follows from their scale."""
        items = self.asked(_items(spec, self.full))
        update: dict[str, Any] = {"items": items}
        if isinstance(spec, Result):
            kind = spec.kind or fitting(items, self.questions)[0]
            ordinal = _kind(items[0], self.questions) == "ordinal"
            update |= {"also": self.asked(spec.also), "kind": kind}
            update["order"] = spec.order or ("scale" if ordinal else "value")
            if kind == "stacked" and (ordinal or spec.shares):
                update["table"] = spec.table or ("shares" if spec.shares else "means")
        return spec.model_copy(update=update)

    def groups(self) -> Groups:
        said, kinds = self.said.groups, {"outcomes": "outcome", "shares": "outcome", "by": "group"}
        left = {k: [v for v in getattr(said, k) if self.keep(of, v)] for k, of in kinds.items()}
        sample = said.sample if said.sample in self.samples else ""
        return said.model_copy(update=left | {"sample": sample})

    def structural(self) -> Structural:
        plan = self.said.structural
        who = plan.who
        if who:
            left = [v for v in who.predictors if self.keep("who", v)]
            there = self.keep("who", who.outcome) and left
            who = who.model_copy(update={"predictors": left}) if there else None
        named = self.said.samples.get(plan.sample)
        needed = named.where if named else _names_in(plan.sample, self.said.samples)
        query = plan.sample or None
        label = named.label if named else Text(nl=query, en=query)
        told_apart = needed and self.keep("plan", plan.sample, needed, label)
        update = {
            "who": who,
            "sample": plan.sample if told_apart else "",  # everybody who was asked
            "group": plan.group if plan.group and self.keep("plan", plan.group) else "",
            "ordered": self.asked(plan.ordered),
        }
        return plan.model_copy(update=update)

    def others(self, shown: dict[str, Section]) -> dict[str, Section]:
        """A section of results for the questions that no result shows, block by block."""
        seen: set[str] = set()
        for result in (r for section in shown.values() for r in section.results.values()):
            seen |= {*result.items, *result.also}
            seen |= {b for a, b in self.pairs if a in result.items and result.kind == "gaps"}
        results = {}
        for name, block in self.questions.blocks.items():
            parts: dict[str, list[str]] = {}
            for item in (item for item in block.items if item not in seen):
                scale = self.questions.scale_name(item)
                together = block.multiple or _kind(item, self.questions) != "nominal"
                parts.setdefault(scale if together else item, []).append(item)
            for items in parts.values():
                whole = len(items) > 1 and len(parts) == 1
                title = block.title if len(items) > 1 else self.questions.items[items[0]].label
                title = Text(**{k: v[:1].upper() + v[1:] for k, v in title if v})
                result = Result(title=title, items=items)
                results[name if whole else items[0]] = self.cut(result)
        return {"other": Section(results=results)} if results else {}
