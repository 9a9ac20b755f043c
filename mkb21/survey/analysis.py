"""What is done with the questionnaire: `data/analysis.yaml`, read, checked, and cut to a wave.

Everything in it is optional, the file too: what it does not say follows from the questionnaire.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from mkb21.survey.files import Folders
from mkb21.survey.instrument import (
    FLAGS,
    RESERVED,
    Instrument,
    SourceFile,
    Strict,
    Text,
    Wave,
    _plain,
    build,
    closest,
    load_instrument,
    read_yaml,
)

Where = dict[str, list[int]]  # variable -> the codes that it may have; all must hold
ESTIMATORS = Literal["MLR", "ML", "WLSMV"]
MISSING = Literal["fiml", "listwise", "pairwise"]


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

    interactive: list[str] = Field(min_length=1)
    other: list[str] = Field(min_length=1)


class Result(Strict):
    """One figure with its table, of a block or of items on one scale.

    kind: None for what fits the scale. order: of bars, by value or as on the scale. shares: names
    of shares of the scale, shown in the table; `said` is the one that the alternative text tells.
    also: variables that are added to the table, not to the figure. series: of gaps, what the first
    and the second of a pair are.
    """

    title: Text
    block: str | None = None
    items: list[str] = []
    kind: Literal["bars", "stacked", "means", "gaps", "histogram", "answers"] | None = None
    sample: str = ""
    order: Literal["value", "scale"] = "value"
    table: Literal["shares", "means"] | None = None
    shares: list[str] = []
    also: list[str] = []
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
    block: str | None = None
    items: list[str] = []
    contrast: str | None = None
    share: str | None = None
    codes: list[int] = []
    sample: str = ""
    top: int | None = Field(default=None, ge=1)
    everyone: bool = False


class Indicators(Strict):
    """A table of results that are read as signs of one thing."""

    title: Text
    text: Text | None = None
    rows: dict[str, Indicator] = Field(min_length=1)


class Groups(Strict):
    """Comparisons: means of `outcomes` in a sample, shares of `shares` among all, by traits."""

    outcomes: list[str] = []
    shares: list[str] = []
    by: list[str] = []
    sample: str = ""


class Reliability(Strict):
    """leave_out: constructs that are no scales, with the reason. families: name -> its scales."""

    leave_out: dict[str, Text] = {}
    families: dict[str, list[str]] = {}


class Who(Strict):
    """A logistic regression before the model: what decides about an outcome of 0 and 1."""

    outcome: str
    predictors: list[str] = Field(min_length=1)


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
    ordered: list[str] = []
    group: str = ""
    free: list[str] = []
    bootstrap_draws: int = Field(default=500, ge=0)
    alternatives: list[str] | None = None
    careful: Where = {"flag_careless": [0]}
    respecifications: list[str] = []


class Structural(Plan):
    """The plan of the main model, and for each other model what differs from it.

    main: a name in data/models, where there is more than one. who: before the model. nominal:
    variables without order -> the code that the others are compared with. latents: what latent
    variables are called.
    """

    main: str = ""
    who: Who | None = None
    nominal: dict[str, int] = {}
    latents: dict[str, Text] = {}
    models: dict[str, dict[str, Any]] = {}


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
    """Something that a wave cannot show: what (a kind and its name), and what it did not ask."""

    kind: Literal["result", "indicator", "group", "outcome", "pair", "scale", "who"]
    name: str
    unasked: tuple[str, ...]


class Analysis(Strict):
    """The analysis of a questionnaire. Made by `load_analysis`, as far as the wave asked for it."""

    samples: dict[str, Sample] = {}
    shares: dict[str, dict[str, Share]] = {}
    pairs: list[tuple[str, str]] = []
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
    left_out: tuple[LeftOut, ...] = Field(default=(), exclude=True)
    files: tuple[str, ...] = Field(default=(), exclude=True)  # the names in data/models

    def items_of(self, spec: Result | Indicator) -> list[str]:
        """The items of a block, or those that are named."""
        return self.questions.block(spec.block) if spec.block else list(spec.items)

    def share(self, variable: str, name: str) -> Share:
        """The codes that count together under a name, on the scale of a variable."""
        return self.shares[self.questions.scale_name(variable)][name]

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
            raise ValueError(f"{place}: {_plain(first)}.{near}") from None
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

    Blocks of the questionnaire that no result shows get one in a last section, "other", so that
    nothing that was asked is lost. What the wave cannot show stands in `left_out`.

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
    return _asked(said, wave.questions).model_copy(update={"files": files, "full": full})


def _check(said: Analysis, full: Instrument, files: Iterable[str], source: SourceFile) -> None:
    """Every name in the file is one of the questionnaire, or of the file itself."""
    known = variables(full)
    for place, what, name, names in [*_names(said, full, known), *_plans(said, known, files)]:
        if name not in names:
            source.unknown(place, what, name, names)
    for scale, shares in said.shares.items():
        codes = full.scales[scale].codes if scale in full.scales else None
        for name, share in shares.items():
            for code in (c for c in share.codes if codes is not None and c not in codes):
                source.fault(("shares", scale, name), f"the scale has no code {code}")
    for variable, code in said.structural.nominal.items():
        if variable in known and code not in full.codes(variable):
            source.fault(("structural", "nominal", variable), f"it has no code {code}")
    times = [item for pair in said.pairs for item in pair]
    for position, pair in enumerate(said.pairs):
        for item in (i for i in dict.fromkeys(pair) if times.count(i) > 1):
            source.fault(("pairs", position), f"{item} stands in pairs {times.count(item)} times")
    for section, name, result in _results(said):
        here = ("descriptives", section, "results", name)
        if (result.block is None) == (not result.items):
            source.fault(here, "give either block or items")
        if result.kind == "gaps" and len(result.series) != 2:
            source.fault(here, "gaps needs two series: what the first and the second are")
        _check_shares(said, full, result, result.shares, here, source)
    for group, table in said.indicators.items():
        for name, row in table.rows.items():
            here = ("indicators", group, "rows", name)
            if sum([row.block is not None, bool(row.items), row.contrast is not None]) != 1:
                source.fault(here, "give either block, items or contrast")
            elif row.contrast is None and (row.share is None) == (not row.codes):
                source.fault(here, "give either share or codes: what is counted")
            elif row.share:
                _check_shares(said, full, row, [row.share], here, source)


def _check_shares(
    said: Analysis,
    full: Instrument,
    spec: Result | Indicator,
    names: list[str],
    here: tuple,
    source: SourceFile,
) -> None:
    """The shares that are named are those of the scale of the items."""
    items = list(full.blocks[spec.block].items) if spec.block in full.blocks else spec.items
    for item in (i for i in items[:1] if i in full.items):
        known = said.shares.get(full.scale_name(item), {})
        for name in (name for name in names if name not in known):
            source.unknown(here, f"share of the scale {full.scale_name(item)}", name, known)


def _results(said: Analysis) -> Iterator[tuple[str, str, Result]]:
    for section, spec in said.descriptives.items():
        yield from ((section, name, result) for name, result in spec.results.items())


Named = tuple[tuple, str, str, Iterable[str]]  # place, what it is, the name, the names there are


def _names(said: Analysis, full: Instrument, known: list[str]) -> Iterator[Named]:
    """The names in samples, shares, pairs, results, indicators, groups and scales."""
    for name, sample in said.samples.items():
        yield from ((("samples", name), "variable", v, known) for v in sample.where)
    yield from ((("shares", scale), "scale", scale, full.scales) for scale in said.shares)
    for at, pair in enumerate(said.pairs):
        yield from ((("pairs", at), "item", item, full.items) for item in pair)
    for name, contrast in said.contrasts.items():
        for side in (contrast.interactive, contrast.other):
            yield from ((("contrasts", name), "item", item, full.items) for item in side)
    specs: list[tuple[tuple, Result | Indicator]] = [
        (("descriptives", section, "results", name), result)
        for section, name, result in _results(said)
    ]
    for group, table in said.indicators.items():
        specs += [(("indicators", group, "rows", name), row) for name, row in table.rows.items()]
    for here, spec in specs:
        if spec.block:
            yield here, "block", spec.block, full.blocks
        if spec.sample:
            yield here, "sample", spec.sample, said.samples
        yield from ((here, "variable", item, known) for item in spec.items)
        if isinstance(spec, Result):
            yield from ((here, "variable", item, known) for item in spec.also)
        elif spec.contrast:
            yield here, "contrast", spec.contrast, said.contrasts
    for key in ("outcomes", "shares", "by"):
        yield from ((("groups", key), "variable", v, known) for v in getattr(said.groups, key))
    if said.groups.sample:
        yield ("groups", "sample"), "sample", said.groups.sample, said.samples
    for name in said.reliability.leave_out:
        yield ("reliability", "leave_out", name), "construct", name, full.constructs
    for family, scales in said.reliability.families.items():
        here = ("reliability", "families", family)
        yield from ((here, "construct", scale, full.constructs) for scale in scales)


def _plans(said: Analysis, known: list[str], files: Iterable[str]) -> Iterator[Named]:
    """The names in the plan of the structural model."""
    plan = said.structural
    others = plan.alternatives or ()
    for key, models in {"main": [plan.main], "alternatives": others, "models": plan.models}.items():
        yield from ((("structural", key), "model", name, files) for name in models if name)
    if plan.group:
        yield ("structural", "group"), "variable", plan.group, known
    yield from ((("structural", "ordered"), "variable", name, known) for name in plan.ordered)
    yield from ((("structural", "careful"), "variable", name, known) for name in plan.careful)
    yield from ((("structural", "nominal"), "variable", name, known) for name in plan.nominal)
    for name in _names_in(plan.sample, said.samples):
        yield ("structural", "sample"), "sample or variable", name, [*said.samples, *known]
    for name in [plan.who.outcome, *plan.who.predictors] if plan.who else []:
        yield ("structural", "who"), "variable", name, known
    for model, update in plan.models.items():
        for key in update:
            yield ("structural", "models", model), "key", key, Plan.model_fields


# --- as far as the wave asked --------------------------------------------------------------------


def _asked(said: Analysis, questions: Instrument) -> Analysis:
    """The analysis without what a wave did not ask, and with what the file does not show."""
    known, lost = set(variables(questions)), []

    def keep(kind: Any, name: str, needed: Iterable[str]) -> bool:
        unasked = tuple(v for v in needed if v not in known)
        if unasked:
            lost.append(LeftOut(kind, name, unasked))
        return not unasked

    samples = {n: s for n, s in said.samples.items() if set(s.where) <= known}
    pairs = [pair for pair in said.pairs if keep("pair", pair[0], pair)]
    contrasts = {}
    for name, contrast in said.contrasts.items():
        sides = {k: [i for i in v if i in known] for k, v in dict(contrast).items()}
        if all(sides.values()):
            contrasts[name] = contrast.model_copy(update=sides)
    part = _Part(questions, known, samples, {a for a, _ in pairs}, contrasts)
    descriptives = {}
    for key, section in said.descriptives.items():
        results = part.of(section.results, "result", lost)
        if results:
            descriptives[key] = section.model_copy(update={"results": results})
    indicators = {}
    for key, table in said.indicators.items():
        rows = part.of(table.rows, "indicator", lost)
        if rows:
            indicators[key] = table.model_copy(update={"rows": rows})
    groups = {
        "outcomes": [v for v in said.groups.outcomes if keep("outcome", v, [v])],
        "shares": [v for v in said.groups.shares if keep("outcome", v, [v])],
        "by": [v for v in said.groups.by if keep("group", v, [v])],
        "sample": said.groups.sample if said.groups.sample in samples else "",
    }
    structural: dict[str, Any] = {}
    who, plan = said.structural.who, said.structural
    if who and not keep("who", who.outcome, [who.outcome]):
        structural["who"] = None
    elif who:
        left = [v for v in who.predictors if keep("who", v, [v])]
        structural["who"] = who.model_copy(update={"predictors": left}) if left else None
    unknown = [v for v in _names_in(plan.sample, said.samples) if v not in known]
    if unknown or (plan.sample in said.samples and plan.sample not in samples):
        structural["sample"] = ""  # nobody can be told apart: everybody who was asked
    if plan.group and not keep("group", plan.group, [plan.group]):
        structural["group"] = ""
    structural["ordered"] = [v for v in plan.ordered if v in known]
    families = {
        name: left
        for name, scales in said.reliability.families.items()
        if len(left := [s for s in scales if keep("scale", s, [s])]) > 1
    }
    update: dict[str, Any] = {"samples": samples, "pairs": pairs, "contrasts": contrasts}
    update["indicators"] = indicators
    update["descriptives"] = descriptives | _others(descriptives, pairs, questions)
    update["groups"] = said.groups.model_copy(update=groups)
    update["reliability"] = said.reliability.model_copy(update={"families": families})
    update["structural"] = plan.model_copy(update=structural)
    return said.model_copy(update=update | {"questions": questions, "left_out": tuple(lost)})


Spec = TypeVar("Spec", Result, Indicator)


@dataclass(frozen=True)
class _Part:
    """What results and indicators can be cut to: what the wave asked, and what is left of the file."""

    questions: Instrument
    known: set[str]
    samples: dict[str, Sample]
    paired: set[str]
    contrasts: dict[str, Contrast]

    def of(self, specs: dict[str, Spec], kind: Any, lost: list[LeftOut]) -> dict[str, Spec]:
        """The specs of which something was asked; the others join those that are lost."""
        left = {}
        for name, spec in specs.items():
            unasked = self._unasked(spec)
            if unasked:
                lost.append(LeftOut(kind, name, unasked))
                continue
            update: dict[str, Any] = {"items": [i for i in spec.items if i in self.known]}
            if isinstance(spec, Result):
                update["also"] = [i for i in spec.also if i in self.known]
            left[name] = spec.model_copy(update=update)
        return left

    def _unasked(self, spec: Result | Indicator) -> tuple[str, ...]:
        """Why it cannot be shown: names that the wave did not ask; () where it can."""
        if spec.block and spec.block not in self.questions.blocks:
            return (spec.block,)
        if spec.sample and spec.sample not in self.samples:
            return (spec.sample,)
        if isinstance(spec, Indicator) and spec.contrast:
            return () if spec.contrast in self.contrasts else (spec.contrast,)
        items = self.questions.block(spec.block) if spec.block else spec.items
        if isinstance(spec, Result) and spec.kind == "gaps":
            return () if self.paired & {*items} else tuple(items)
        return () if self.known & {*items} else tuple(items)


def _others(
    shown: dict[str, Section], pairs: list[tuple[str, str]], questions: Instrument
) -> dict[str, Section]:
    """A section of results for the questions that no result shows, block by block."""
    seen: set[str] = set()
    for result in (r for section in shown.values() for r in section.results.values()):
        shows = {*result.items, *(questions.block(result.block) if result.block else [])}
        seen |= shows | {b for a, b in pairs if a in shows and result.kind == "gaps"}
    results = {}
    for name, block in questions.blocks.items():
        left = [item for item in block.items if item not in seen]
        scales = {questions.scale_name(item) for item in left}
        together = len(scales) == 1 and (block.multiple or len(left) > 1)
        for items in [left] if left and together else [[item] for item in left]:
            key = name if together else items[0]
            title = block.title if together else questions.items[items[0]].label
            results[key] = Result(
                title=title, items=items, order="scale" if not together else "value"
            )
    if not results:
        return {}
    return {"other": Section(results=results)}
