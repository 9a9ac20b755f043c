"""What a reconstruction assumes beyond the published numbers: read and checked."""

from __future__ import annotations

from collections import Counter
from typing import cast

from pandas import DataFrame
from pydantic import Field

from mkb21.survey.files import Folders
from mkb21.survey.instrument import Wave
from mkb21.survey.yaml_files import SourceFile, Strict, build, closest, read_yaml

Marginal = list[float] | dict[str, float]
PLANTED = ["lhs", "op", "rhs", "planted"]


class Respondents(Strict):
    """How many there are."""

    reason: str
    all: int = Field(ge=1)
    users: int = Field(ge=1)
    without_background: int = Field(ge=0)


class Traits(Strict):
    """Company traits: their answers, and what they depend on."""

    reason: str
    marginals: dict[str, list[float]]
    effects: dict[str, dict[str, float]]
    order: dict[str, list[int]] = Field(default={})


class Model(Strict):
    """The planted structural model, standardised."""

    reason: str
    correlation: dict[str, dict[str, float]]
    non_users: dict[str, float]
    paths: dict[str, dict[str, float]]
    loadings: dict[str, dict[str, float]]
    paired_uniqueness: float = Field(ge=0, lt=1)
    paired_items: list[tuple[str, str]] = Field(default=[])
    paired_dimensions: list[tuple[str, str]]
    doublets: list[tuple[str, str, float]] = Field(default=[])


class Expected(Strict):
    """What expected use follows."""

    use: float
    environment: float


class Preparation(Strict):
    """What preparation follows: one common factor, which goes with culture."""

    common: float
    culture: float
    size: float


class Other(Strict):
    """Questions outside the Gebruiksmodel."""

    reason: str
    expected: Expected
    preparation: Preparation


class MissingRates(Strict):
    """Shares of missing answers, and how much they are concentrated in few persons."""

    reason: str
    not_answered: float = Field(ge=0, lt=0.5)
    dont_know: dict[str, float]
    concentration: float = Field(gt=0)


class ExportRows(Strict):
    """How many rows and cells of each kind cleaning has to find."""

    reason: str
    test_entries: int = Field(ge=0)
    abandoned: int = Field(ge=0)
    outside_region: int = Field(ge=0)
    too_large: int = Field(ge=0)
    duplicates: int = Field(ge=0)
    careless_fast: int = Field(ge=0)
    careless_straight: int = Field(ge=0)
    impossible_codes: int = Field(ge=0)
    stray_spelling: int = Field(ge=0)
    routing_slips: int = Field(ge=0)


class Assumptions(Strict):
    """What a reconstruction assumes. Made by `load_assumptions`."""

    wave: str
    seed: int = Field(ge=0)
    respondents: Respondents
    traits: Traits
    model: Model
    other: Other
    marginals: dict[str, dict[str, str | Marginal]]
    missing: MissingRates
    export: ExportRows

    def marginal(self, item: str) -> Marginal:
        """The assumed answers of one item."""
        if item in self.traits.marginals:
            return self.traits.marginals[item]
        found = next(block[item] for block in self.marginals.values() if item in block)
        return cast("Marginal", found)  # a text is refused on load


def load_assumptions(project: Folders, wave: Wave) -> Assumptions:
    """The assumptions of a reconstructed wave.

    Raises
    ------
    ValueError
        With every fault: an item of the wave without assumed answers, answers that do not fit the
        scale or do not add up to 100 %, an effect or a path of something unknown, wrong keys.
        Also when the wave is not a reconstruction: real answers are never made up.
    """
    if wave.origin != "reconstructed":
        raise ValueError(f"Wave {wave.wave} is {wave.origin}: its answers are not reconstructed.")
    source = read_yaml(project.assumptions(wave.wave))
    assumptions = build(Assumptions, source)
    if assumptions is not None:
        if assumptions.wave != wave.wave:
            source.fault(("wave",), f"it is {assumptions.wave!r}, for wave {wave.wave}")
        _check_respondents(assumptions, wave, source)
        _check_marginals(assumptions, wave, source)
        _check_traits(assumptions, wave, source)
        _check_paths(assumptions, wave, source)
        _check_loadings(assumptions, wave, source)
    return source.checked(assumptions)


def planted_paths(assumptions: Assumptions) -> DataFrame:
    """The planted structural paths.

    Returns
    -------
    pandas.DataFrame
        lhs, op ("~" or "~~"), rhs, planted (standardised).
    """
    model = assumptions.model
    parts = {"~": model.paths, "~~": model.correlation}
    rows = []
    for op, part in parts.items():
        for lhs, others in part.items():
            rows += [(lhs, op, rhs, value) for rhs, value in others.items()]
    return DataFrame(rows, columns=PLANTED).astype({"planted": float})


def planted(project: Folders, wave: Wave) -> DataFrame:
    """`planted_paths` of a wave; without rows where nothing was planted.

    Of what is assumed only the shape is checked: a question that is added to a reconstructed wave has
    no assumed answers, and the paths that were planted are still known.
    """
    if wave.origin != "reconstructed" or not project.assumptions(wave.wave).is_file():
        return DataFrame(columns=PLANTED).astype({"planted": float})
    source = read_yaml(project.assumptions(wave.wave))
    return planted_paths(source.checked(build(Assumptions, source)))


def _check_respondents(assumptions: Assumptions, wave: Wave, source: SourceFile) -> None:
    sizes, export = assumptions.respondents, assumptions.export
    needed = sizes.without_background + export.careless_fast + export.careless_straight
    if sizes.users > sizes.all:
        source.fault(("respondents", "users"), f"there are {sizes.all} respondents only")
    elif needed > sizes.users:
        reason = f"{needed} users are careless or without background; there are {sizes.users}"
        source.fault(("respondents", "users"), reason)
    for asked in assumptions.missing.dont_know:
        if asked not in wave.instrument.blocks:
            near = closest(asked, wave.instrument.blocks)
            source.fault(("missing", "dont_know", asked), f"unknown block.{near}")
    for name, block in wave.instrument.blocks.items():
        if block.asked_if and block.asked_if.variable != "user":
            reason = f"block {name} is asked by {block.asked_if.variable}; only by user is made"
            source.fault(("respondents",), reason)


def _check_marginals(assumptions: Assumptions, wave: Wave, source: SourceFile) -> None:
    given = {item: ("traits", "marginals", item) for item in assumptions.traits.marginals}
    for block, items in assumptions.marginals.items():
        given |= {item: ("marginals", block, item) for item in items if item != "reason"}
    for item in wave.items:
        if item not in given:
            source.fault(("marginals",), f"{item} has no assumed answers")
    for item, place in given.items():
        if item not in wave.items:
            source.fault(place, f"unknown item.{closest(item, wave.items)}")
        else:
            fault = _marginal_fault(assumptions.marginal(item), wave.instrument.codes(item))
            if fault:
                source.fault(place, fault)


def _marginal_fault(marginal: Marginal | str, codes: dict[int, str]) -> str | None:
    """What is wrong with the assumed answers of an item, if anything is."""
    if isinstance(marginal, str) or (isinstance(marginal, dict) and {*marginal} != {"mean", "sd"}):
        return "give mean and sd, or one percentage per code"
    if isinstance(marginal, dict):
        return None if marginal["sd"] > 0 else "the sd must be more than 0"
    if len(marginal) != len(codes):
        return f"{len(marginal)} percentages for {len(codes)} codes"
    if min(marginal) < 0:
        return "a percentage is negative"
    total = sum(marginal)
    return None if abs(total - 100) < 1e-6 else f"the percentages add up to {total:g}"


def _check_traits(assumptions: Assumptions, wave: Wave, source: SourceFile) -> None:
    traits, order = assumptions.traits, ["user", *assumptions.traits.marginals]
    for item, effects in traits.effects.items():
        here = ("traits", "effects", item)
        if item not in traits.marginals:
            source.fault(here, f"unknown trait.{closest(item, traits.marginals)}")
            continue
        for cause in effects:
            if cause not in order[: order.index(item)]:
                source.fault(here, f"{cause} is no trait that stands before {item} in marginals")
        if sum(b * b for b in effects.values()) > 1 + 1e-9:
            source.fault(here, "the effects explain more than all: their squares exceed 1")
    for item, codes in traits.order.items():
        if item not in wave.items or sorted(codes) != sorted(wave.instrument.codes(item)):
            source.fault(("traits", "order", item), "give every code of a trait once")


def _check_paths(assumptions: Assumptions, wave: Wave, source: SourceFile) -> None:
    model, instrument = assumptions.model, wave.instrument
    observed = [*assumptions.traits.marginals]
    observed += [n for n, spec in instrument.derived.items() if set(spec.sources) <= {*observed}]
    known = [*model.non_users, *observed]
    for effect, paths in model.paths.items():
        for cause in paths:
            if cause not in known:
                reason = f"{cause} is no trait and no latent variable before {effect}."
                source.fault(("model", "paths", effect), reason + closest(cause, known))
        known.append(effect)
    for name, others in model.correlation.items():
        for other, r in others.items():
            here = ("model", "correlation", name)
            if not {name, other} <= set(model.non_users):
                source.fault(here, f"{name} and {other} are not both under non_users")
            _check_size(r, f"a correlation of {r:g}", here, source)


def _check_loadings(assumptions: Assumptions, wave: Wave, source: SourceFile) -> None:
    model = assumptions.model
    times = Counter(name for loadings in model.loadings.values() for name in loadings)
    known = {*model.non_users, *model.paths}
    for factor, loadings in model.loadings.items():
        here = ("model", "loadings", factor)
        if factor not in known:
            source.fault(here, "it has no scores yet: name it in paths or as an indicator before")
        for name, loading in loadings.items():
            if name not in wave.items and name not in model.loadings:
                source.unknown(here, "item", name, wave.items)
            if times[name] > 1:
                source.fault(here, f"{name} has {times[name]} loadings")
            _check_size(loading, f"the loading {loading:g} of {name}", here, source)
        known |= set(loadings)
    for part in ("paired_dimensions", "paired_items", "doublets"):
        for position, (first, second, *rest) in enumerate(getattr(model, part)):
            at = ("model", part, position)
            for name in {first, second} - set(times):
                source.fault(at, f"{name} has no loading")
            for r in rest:
                _check_size(r, f"a correlation of {r:g}", at, source)


def _check_size(value: float, what: str, place: tuple, source: SourceFile) -> None:
    if not -1 < value < 1:
        source.fault(place, f"{what} is not between -1 and 1")
