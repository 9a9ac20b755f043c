"""Makes a synthetic wave: respondents that meet every published number, in an export file.

The steps, each a section below:

1. `load_assumptions` reads what is not published, with the reason for each.
2. `simulate` draws the respondents. Continuous scores follow the planted structural model; cutting
   them, by rank, into exactly as many answers of each code as the published numbers ask for keeps
   that structure and meets the numbers.
3. `write` adds what cleaning has to find (tests, duplicates, slips ...) and writes the file as a
   survey tool would have made it.

The same seed gives the same bytes.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.optimize import LinearConstraint, milp
from scipy.stats import norm

from mkb21 import published
from mkb21.cleaning import derive
from mkb21.instrument import (
    Instrument,
    SourceFile,
    Strict,
    Wave,
    build,
    closest,
    load_wave,
    read_yaml,
)
from mkb21.reliability import cronbach_alpha

Marginal = list[float] | dict[str, float]

STRAIGHT_ANSWER = 4  # what straight-liners answer throughout

# --- assumptions ---------------------------------------------------------------------------------


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
    paired_dimensions: list[tuple[str, str]]


class Expected(Strict):
    """What expected use follows."""

    use: float
    environment: float


class Preparation(Strict):
    """What preparation follows: one common factor, which goes with culture."""

    common: float
    culture: float


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
        return next(block[item] for block in self.marginals.values() if item in block)


def load_assumptions(project, wave: Wave) -> Assumptions:
    """The assumptions of a synthetic wave.

    Raises
    ------
    ValueError
        With every fault: an item of the wave without assumed answers, answers that do not fit the
        scale or do not add up to 100 %, an effect or a path of something unknown, wrong keys.
        Also when the wave is observed: real answers are never made up.
    """
    if not wave.synthetic:
        raise ValueError(f"Wave {wave.wave} is observed: its answers are not reconstructed.")
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
    source.raise_faults()
    return assumptions


def planted_paths(assumptions: Assumptions) -> pd.DataFrame:
    """The planted structural paths.

    Returns
    -------
    pandas.DataFrame
        lhs, op ("~" or "~~"), rhs, planted (standardised).
    """
    model = assumptions.model
    parts = {"~": model.paths, "~~": model.correlation}
    rows = [
        (lhs, op, rhs, value)
        for op, part in parts.items()
        for lhs, others in part.items()
        for rhs, value in others.items()
    ]
    return pd.DataFrame(rows, columns=["lhs", "op", "rhs", "planted"])


def _check_respondents(assumptions: Assumptions, wave: Wave, source: SourceFile) -> None:
    sizes, export = assumptions.respondents, assumptions.export
    needed = sizes.without_background + export.careless_fast + export.careless_straight
    if sizes.users > sizes.all:
        source.fault(("respondents", "users"), f"there are {sizes.all} respondents only")
    elif needed > sizes.users:
        reason = f"{needed} users are careless or without background; there are {sizes.users}"
        source.fault(("respondents", "users"), reason)
    for block in assumptions.missing.dont_know:
        if block not in wave.instrument.blocks:
            near = closest(block, wave.instrument.blocks)
            source.fault(("missing", "dont_know", block), f"unknown block.{near}")
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
    if isinstance(marginal, str) or (
        isinstance(marginal, dict) and set(marginal) != {"mean", "sd"}
    ):
        return "give mean and sd, or one percentage per code"
    if isinstance(marginal, dict):
        return None if marginal["sd"] > 0 else "the sd must be more than 0"
    if len(marginal) != len(codes):
        return f"{len(marginal)} percentages for {len(codes)} codes"
    if min(marginal) < 0:
        return "a percentage is negative"
    return (
        None if abs(sum(marginal) - 100) < 1e-6 else f"the percentages add up to {sum(marginal):g}"
    )


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
            elif not -1 < r < 1:
                source.fault(here, f"a correlation of {r:g} is not between -1 and 1")


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
                source.fault(here, f"unknown item {name!r}.{closest(name, wave.items)}")
            if times[name] > 1:
                source.fault(here, f"{name} has {times[name]} loadings")
            if not -1 < loading < 1:
                source.fault(here, f"the loading {loading:g} of {name} is not between -1 and 1")
        known |= set(loadings)
    for position, pair in enumerate(model.paired_dimensions):
        for name in pair:
            if name not in times:
                source.fault(("model", "paired_dimensions", position), f"{name} has no loading")


# --- drawing the respondents ---------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """Respondents before the export: one row each, users first.

    Attributes
    ----------
    values : DataFrame
        One column per item of the wave: codes, NaN where there is no answer.
    missing : DataFrame
        The same shape: "" where there is an answer, else the reason why there is none.
    fast, straight : ndarray of int
        Positions of the careless respondents: too fast, and one answer throughout.
    """

    values: pd.DataFrame
    missing: pd.DataFrame
    fast: np.ndarray
    straight: np.ndarray


class Draws:
    """Random numbers by name: a new question does not change the numbers of the others."""

    def __init__(self, seed: int):
        self.seed = seed

    def __call__(self, name: str) -> np.random.Generator:
        """A generator that depends on the seed and the name only."""
        return np.random.default_rng([self.seed, crc32(name.encode())])


@dataclass(frozen=True)
class _Plan:
    """What every step of the drawing needs to know: what was assumed and published, and of whom.

    `user` says who uses social media (n,); `missing`, `fast` and `straight` are as in `Sample`.
    """

    instrument: Instrument
    assumptions: Assumptions
    claims: pd.DataFrame
    draws: Draws
    user: np.ndarray
    missing: pd.DataFrame
    fast: np.ndarray
    straight: np.ndarray

    @property
    def n(self) -> int:
        """Number of respondents."""
        return len(self.user)

    def normal(self, name: str) -> np.ndarray:
        """One standard normal number per respondent."""
        return self.draws(name).standard_normal(self.n)


def simulate(
    wave: Wave,
    assumptions: Assumptions,
    claims: pd.DataFrame,
    seed: int | None = None,
    times: int = 1,
) -> Sample:
    """Draw the respondents of a synthetic wave.

    Parameters
    ----------
    wave, assumptions : as loaded
    claims : pandas.DataFrame
        As `published.read` gives them.
    seed : int, optional
        Default: the seed in the assumptions.
    times : int
        So many times the published number of respondents, in the same proportions, to see the
        planted model sharply.

    Raises
    ------
    ValueError
        The assumptions cannot be brought into agreement with the published numbers; names the item
        and the claims.
    """
    draws = Draws(assumptions.seed if seed is None else seed)
    sizes = assumptions.respondents
    user = np.arange(sizes.all * times) < sizes.users * times
    fast, straight = _careless(assumptions, user, times, draws)
    careless = np.concatenate([fast, straight])
    missing = _missing_reasons(wave, assumptions, user, careless, times, draws)
    plan = _Plan(wave.instrument, assumptions, claims, draws, user, missing, fast, straight)
    return Sample(_answers(plan), missing, fast, straight)


def _careless(assumptions, user, times, draws) -> tuple[np.ndarray, np.ndarray]:
    """Positions of users who answer too fast, and of users who give one answer throughout."""
    n_fast = assumptions.export.careless_fast * times
    n_straight = assumptions.export.careless_straight * times
    users = np.flatnonzero(user)
    chosen = draws("careless").choice(users, n_fast + n_straight, replace=False)
    return chosen[:n_fast], chosen[n_fast:]


def _answers(plan: _Plan) -> pd.DataFrame:
    """The answers to all questions: company traits first, then what the model makes of them."""
    traits = _traits(plan)
    latent = _latents(plan, _covariates(plan, traits))
    scores = _indicators(plan, latent)
    scores |= _other_scores(plan, latent, scores)
    for item in (i for i in plan.missing if i not in traits):
        hasty = plan.draws(f"fast {item}").standard_normal(len(plan.fast))
        scores[item][plan.fast] = hasty  # who answers too fast answers at random
    parts = [traits]
    for name in plan.instrument.blocks:
        items = [i for i in plan.instrument.block(name) if i in plan.missing and i not in traits]
        if items:
            parts.append(_block_answers(plan, items, scores))
    values = pd.concat(parts, axis=1)[list(plan.missing)]
    everybody = np.ones(plan.n, bool)
    for block, reached, who in (
        ("frequency", 2, plan.user),  # a user uses at least one medium
        ("reasons", 1, ~plan.user),
        ("manager", 1, everybody),
    ):
        items = [i for i in plan.instrument.block(block) if i in values]
        rng = plan.draws(f"at least one {block}")
        if items:
            values[items] = _at_least_one(values[items], reached, who, rng)
    return values


# --- why an answer is missing --------------------------------------------------------------------


def _missing_reasons(wave, assumptions, user, careless, times, draws) -> pd.DataFrame:
    """Why an answer is missing, cell by cell; "" where there is one."""
    instrument, rates = wave.instrument, assumptions.missing
    reasons = pd.DataFrame("", index=range(len(user)), columns=wave.items, dtype=object)
    tendency = draws("tendency").gamma(rates.concentration, 1 / rates.concentration, len(user))
    tendency[careless] = 0
    for item in wave.items:
        if instrument.scales[instrument.scale_name(item)].dont_know:
            draw = draws(f"missing {item}").random(len(user))
            skipped = np.minimum(rates.not_answered * tendency, 0.5)
            dont_know = rates.dont_know.get(instrument.block_of[item], 0)
            unsure = np.minimum(dont_know * tendency, 0.4)
            reasons.loc[draw < skipped + unsure, item] = "dont_know"
            reasons.loc[draw < skipped, item] = "not_answered"
    for block in instrument.blocks:
        items = [i for i in instrument.block(block) if i in reasons]
        if items:
            _keep_one_answer(reasons, items, draws(f"keep {block}"))
    cautious = np.setdiff1d(np.flatnonzero(user), careless)
    _skip_background(reasons, wave, cautious, assumptions.respondents.without_background * times)
    for block in instrument.blocks.values():
        if block.asked_if:
            asked = np.isin(user.astype(int), block.asked_if.codes)
            reasons.loc[~asked, [i for i in block.items if i in reasons]] = "not_asked"
    return reasons


def _keep_one_answer(reasons: pd.DataFrame, items: list[str], rng: np.random.Generator) -> None:
    """Everybody answers at least one question of a block: the published numbers are of all."""
    for row in np.flatnonzero((reasons[items] != "").all(axis=1)):
        reasons.loc[row, items[rng.integers(len(items))]] = ""


def _skip_background(reasons, wave, rows: np.ndarray, n: int) -> None:
    """The last `n` of these rows leave out company traits and market."""
    for block in ("company", "market"):
        items = [i for i in wave.instrument.block(block) if i in reasons]
        reasons.loc[rows[len(rows) - n :], items] = "not_answered"


# --- scores from the planted model ---------------------------------------------------------------


def _traits(plan: _Plan) -> pd.DataFrame:
    """Company traits: each from earlier traits and chance, cut into codes."""
    spec, values = plan.assumptions.traits, {}
    scores = {"user": _standardize(plan.user.astype(float))}
    for item in spec.marginals:
        effects = spec.effects.get(item, {})
        score = _mix(plan, item, [(b, scores[cause]) for cause, b in effects.items()])
        scores[item] = _standardize(score)
        values[item] = _cut(plan, item, scores[item], order=spec.order.get(item))
    return pd.DataFrame(values, index=plan.missing.index)


def _covariates(plan: _Plan, traits: pd.DataFrame) -> pd.DataFrame:
    """The observed causes in the model, of the users, standardised; an unknown one is average."""
    model = plan.assumptions.model
    causes = dict.fromkeys(cause for causes in model.paths.values() for cause in causes)
    names = [c for c in causes if c not in model.non_users and c not in model.paths]
    values = traits.reindex(columns=plan.missing.columns)
    known = derive(values, plan.instrument).join(traits).loc[plan.user, names]
    return ((known - known.mean()) / known.std(ddof=0)).fillna(0.0)


def _exogenous(plan: _Plan) -> pd.DataFrame:
    """Culture and environment: correlated, variance 1, mean 0 among users, lower among others."""
    model = plan.assumptions.model
    r = _correlation(model)
    drawn = plan.draws("exogenous").standard_normal((plan.n, len(r))) @ np.linalg.cholesky(r).T
    drawn[~plan.user] += np.array([model.non_users[name] for name in r])
    return pd.DataFrame(drawn, columns=r.columns)


def _correlation(model: Model) -> pd.DataFrame:
    """Planted correlations of the exogenous latent variables."""
    names = list(model.non_users)
    r = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for a, others in model.correlation.items():
        for b, value in others.items():
            r.loc[a, b] = r.loc[b, a] = value
    return r


def _latents(plan: _Plan, covariates: pd.DataFrame) -> dict[str, np.ndarray]:
    """Latent variables with variance 1 among users; NaN for non-users where only users are asked.

    Each effect is the sum of its causes times the planted paths, plus a disturbance that fills up
    its variance to 1. That takes the covariances of all causes, which are carried along.
    """
    model, exogenous = plan.assumptions.model, _exogenous(plan)
    latent = {name: exogenous[name].to_numpy() for name in exogenous}
    causes = exogenous[plan.user].join(covariates)
    # covariates are independent of culture and environment
    cov = pd.concat([_correlation(model), covariates.corr()]).fillna(0.0)
    for effect, paths in model.paths.items():
        b = pd.Series(paths).reindex(causes.columns, fill_value=0.0)
        explained = float(b @ cov @ b)
        if explained >= 1:
            raise ValueError(
                f"The planted paths to {effect} explain {explained:.0%} of its variance; "
                f"lower them (model: paths: {effect} in the assumptions)."
            )
        disturbance = plan.draws(f"disturbance {effect}").standard_normal(len(causes))
        causes[effect] = causes @ b + np.sqrt(1 - explained) * disturbance
        cov[effect] = cov @ b
        cov.loc[effect] = [*cov[effect], 1.0]
        latent[effect] = np.full(plan.n, np.nan)
        latent[effect][plan.user] = causes[effect]
    return latent


def _indicators(plan: _Plan, latent: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores of the items, and of the dimensions in between, from their loadings."""
    scores, unique = dict(latent), _unique_parts(plan)
    for factor, loadings in plan.assumptions.model.loadings.items():
        for name, loading in loadings.items():
            scores[name] = loading * scores[factor] + np.sqrt(1 - loading**2) * unique[name]
    return scores


def _unique_parts(plan: _Plan) -> dict[str, np.ndarray]:
    """What the factor of an indicator does not explain; shared in part with a paired indicator."""
    model, parts = plan.assumptions.model, {}
    partner = {b: a for a, b in [*plan.instrument.pairs, *model.paired_dimensions]}
    shared = model.paired_uniqueness
    for name in (name for loadings in model.loadings.values() for name in loadings):
        parts[name] = plan.normal(f"unique {name}")
        if name in partner:
            own = np.sqrt(1 - shared**2) * parts[name]
            parts[name] = shared * parts[partner[name]] + own
    return parts


def _other_scores(plan: _Plan, latent, scores) -> dict[str, np.ndarray]:
    """Scores of the questions outside the Gebruiksmodel."""
    other, found = plan.assumptions.other, {}
    common = _mix(plan, "preparation", [(other.preparation.culture, latent["culture"])])
    for item in plan.instrument.block("preparation"):
        found[item] = _mix(plan, item, [(other.preparation.common, common)])
    for item in plan.instrument.block("expected"):
        use = np.nan_to_num(scores[item.replace("exp_", "use_")], nan=-1.5)  # non-users expect less
        causes = [(other.expected.use, use)]
        causes += [(other.expected.environment, latent["environment"])]
        found[item] = _mix(plan, item, causes)
    for item in plan.missing:
        if item not in scores and item not in found:
            found[item] = plan.normal(item)
    return found


def _mix(plan: _Plan, name: str, causes: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """The sum of the causes times their effects, filled up with chance to a variance of 1.

    The causes are taken for independent.
    """
    rest = np.sqrt(max(0.0, 1 - sum(b * b for b, _ in causes)))
    return rest * plan.normal(name) + sum(b * score for b, score in causes)


def _standardize(score: np.ndarray) -> np.ndarray:
    return (score - score.mean()) / score.std()


# --- scores into answers -------------------------------------------------------------------------


def _block_answers(plan: _Plan, items: list[str], scores) -> pd.DataFrame:
    """Answers to the questions of a block; with a published alpha and mean, such that both hold."""
    printed = plan.claims[plan.claims["variables"] == "|".join(items)].set_index("statistic")
    if {"alpha", "scale_mean"} <= set(printed.index):
        return _tuned_block(plan, items, scores, printed)
    return _cut_block(plan, items, scores)


def _tuned_block(plan: _Plan, items, scores, printed: pd.DataFrame) -> pd.DataFrame:
    """Answers with the published alpha and scale mean.

    Each item gets more (or, below zero, less) of its unique part: the more, the lower alpha. The
    share is halved in on, then looked for around, as alpha of whole answers moves in small jumps.
    """
    unique = _unique_parts(plan)
    loadings = {i: b for f in plan.assumptions.model.loadings.values() for i, b in f.items()}
    noise = {item: np.sqrt(1 - loadings[item] ** 2) * unique[item] for item in items}
    low, high = -1.0, 3.0
    for _ in range(12):
        share = (low + high) / 2
        moved = {item: scores[item] + share * noise[item] for item in items}
        block, alpha, met = _with_mean(plan, items, moved, printed)
        if met:
            return block
        low, high = (share, high) if alpha > printed.at["alpha", "value"] else (low, share)
    for step in range(1, 200):
        near = share + 0.0007 * step * (-1) ** step
        moved = {item: scores[item] + near * noise[item] for item in items}
        block, _, met = _with_mean(plan, items, moved, printed)
        if met:
            return block
    ids = " and ".join(printed.loc[["alpha", "scale_mean"], "id"])
    raise ValueError(f"The published alpha and mean ({ids}) cannot be met together.")


def _with_mean(plan: _Plan, items, scores, printed: pd.DataFrame):
    """(answers with the published scale mean, their alpha, are both as published?)."""
    half = 0.5 * 10.0 ** -printed["decimals"]
    shift = 0.0
    for _ in range(20):
        block = _cut_block(plan, items, scores, shift)
        short = printed.at["scale_mean", "value"] - block.dropna().to_numpy().mean()
        if abs(short) < 0.8 * half["scale_mean"]:
            break
        shift += short
    alpha = cronbach_alpha(block).alpha
    off = abs(alpha - printed.at["alpha", "value"])
    return block, alpha, abs(short) < 0.8 * half["scale_mean"] and off < 0.98 * half["alpha"]


def _cut_block(plan: _Plan, items: list[str], scores, shift: float = 0.0) -> pd.DataFrame:
    """Answers of a block; straight-liners give theirs in exchange: the counts stay as they are."""
    block = pd.DataFrame(
        {item: _cut(plan, item, scores[item], shift) for item in items}, index=plan.missing.index
    )
    if plan.instrument.scale_name(items[0]) != "agreement":
        return block
    for item in items:
        for row in plan.straight:
            same = np.flatnonzero(block[item] == STRAIGHT_ANSWER)
            others = np.setdiff1d(same, plan.straight)
            if block.at[row, item] != STRAIGHT_ANSWER and len(others):
                other = plan.draws(f"straight {item} {row}").choice(others)
                _exchange(block, item, row, other)
    return block


def _exchange(values: pd.DataFrame, item: str, row: int, other: int) -> None:
    values.loc[[row, other], item] = values.loc[[other, row], item].to_numpy()


def _cut(plan: _Plan, item, score, shift: float = 0.0, order: list[int] | None = None):
    """Codes by rank of the score, as many of each as `_counts` says; NaN where there is no answer.

    `order` gives the codes along the score, from low to high.
    """
    rows = np.flatnonzero(plan.missing[item] == "")
    codes = list(plan.instrument.codes(item))
    counts = dict(zip(codes, _counts(plan, item, len(rows), shift), strict=True))
    ranked = np.concatenate([np.full(counts[code], code, float) for code in order or codes])
    known = np.where(np.isnan(score), -np.inf, score)
    values = np.full(plan.n, np.nan)
    values[rows[np.argsort(known[rows], kind="stable")]] = ranked
    return values


def _at_least_one(values: pd.DataFrame, reached: int, rows: np.ndarray, rng) -> pd.DataFrame:
    """Exchange answers so that each of `rows` reaches a code at least once; counts stay the same.

    The other one in the exchange is of these rows too, has another answer that reaches it, and
    gives up the lowest.
    """
    values = values.copy()
    has = (values >= reached).to_numpy(copy=True)
    for row in np.flatnonzero(rows & ~has.any(axis=1)):
        column = int(rng.choice(has.shape[1], p=has.sum(axis=0) / has.sum()))
        item = values.columns[column]
        spare = rows & has[:, column] & (has.sum(axis=1) > 1)
        lowest = values.loc[spare, item].min()
        other = int(rng.choice(np.flatnonzero(spare & (values[item] == lowest))))
        _exchange(values, item, row, other)
        has[[row, other], column] = has[[other, row], column]
    return values


# --- how many give each answer -------------------------------------------------------------------


def _counts(plan: _Plan, item: str, n: int, shift: float) -> np.ndarray:
    """How many of `n` respondents give each code: as assumed, moved to what was published."""
    codes = np.array(list(plan.instrument.codes(item)), float)
    assumed = n * _weights(plan.assumptions.marginal(item), codes, shift)
    limits = list(_limits(plan, item, codes, n))
    counts = _nearest_counts(assumed, n, [limit for _, limit in limits])
    if counts is None:
        ids = ", ".join(name for name, _ in limits)
        raise ValueError(f"No answers of {n} respondents to {item} meet what was published: {ids}.")
    return counts


def _weights(marginal: Marginal, codes: np.ndarray, shift: float) -> np.ndarray:
    """Shares of the codes: as given, or of a normal distribution cut halfway between the codes."""
    if isinstance(marginal, list):
        return np.array(marginal, float) / 100
    edges = np.concatenate([[-np.inf], (codes[1:] + codes[:-1]) / 2, [np.inf]])
    return np.diff(norm.cdf(edges, marginal["mean"] + shift, marginal["sd"]))


def _limits(plan: _Plan, item: str, codes: np.ndarray, n: int):
    """What the claims say about the counts of an item: id, (weight of each count, lower, upper)."""
    derived = {
        name: spec.recode.codes
        for name, spec in plan.instrument.derived.items()
        if spec.recode and spec.recode.source == item
    }
    about = plan.claims["variables"].isin([item, *derived])
    simple = plan.claims["statistic"].isin(["percent", "percent_of_rows", "mean"])
    numeric = plan.claims["comparator"].isin(["equals", "between", "greater", "less"])
    for _, claim in plan.claims[about & simple & numeric & (plan.claims["than"] == "")].iterrows():
        counted = [int(code) for code in claim["codes"].split("|") if code]
        if claim["variables"] in derived:
            recode = derived[claim["variables"]]
            counted = [old for new in counted for old in recode.get(new, [])]
        mean = claim["statistic"] == "mean"
        weights = codes if mean else np.isin(codes, counted).astype(float)
        whole = plan.n if claim["statistic"] == "percent_of_rows" else n
        (lower, upper), _ = published.limits(claim, {})
        unit = whole * (1.0 if mean else 0.01)
        slack = 1e-6 * whole  # keeps clear of the ends, where rounding decides
        yield claim["id"], (weights, lower * unit + slack, upper * unit - slack)


def _nearest_counts(assumed: np.ndarray, n: int, limits) -> np.ndarray | None:
    """Whole numbers that add up to `n`, lie within `limits`, and are nearest to `assumed`.

    An integer program: minimise the sum of |count - assumed|. Its unknowns are the counts and,
    for each, a distance that is at least count - assumed and at least assumed - count. None if
    there is no solution.
    """
    if not limits:  # the largest remainders are rounded up: the same, and faster
        counts = np.floor(assumed).astype(int)
        counts[np.argsort(counts - assumed, kind="stable")[: n - counts.sum()]] += 1
        return counts
    k = len(assumed)
    rows = np.array([np.ones(k), *[weights for weights, _, _ in limits]])
    low, high = [n, *[lower for _, lower, _ in limits]], [n, *[upper for _, _, upper in limits]]
    constraints = [
        LinearConstraint(np.column_stack([rows, np.zeros_like(rows)]), low, high),
        LinearConstraint(np.column_stack([np.eye(k), -np.eye(k)]), -np.inf, assumed),
        LinearConstraint(np.column_stack([-np.eye(k), -np.eye(k)]), -np.inf, -assumed),
    ]
    cost, whole = np.repeat([0, 1], k), np.repeat([1, 0], k)
    # the presolve of HiGHS 1.12 gives up on some of these small programs
    found = milp(cost, constraints=constraints, integrality=whole, options={"presolve": False})
    return np.round(found.x[:k]).astype(int) if found.success else None


# --- the export ----------------------------------------------------------------------------------


def write(project, wave: str, seed: int | None = None, out: Path | None = None) -> list[Path]:
    """Make the export of a synthetic wave.

    Parameters
    ----------
    project : mkb21.paths.Project
    wave : str
    seed : int, optional
        Default: the seed in the assumptions.
    out : path, optional
        Folder to write into; default `data/raw/<wave>/`.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ValueError
        The wave is observed, the assumptions have faults, or a published number is not met: names
        the claims.
    """
    described = load_wave(project, wave)
    assumptions = load_assumptions(project, described)
    claims = published.read(project.published(wave))
    sample = simulate(described, assumptions, claims, seed)
    _check_claims(sample, described.instrument, claims)
    draws = Draws(assumptions.seed if seed is None else seed)
    frame = _as_columns(_rows(sample, described, assumptions, draws), described)
    folder = Path(out) if out else project.raw(wave)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / described.export.file
    text = frame.to_csv(sep=described.export.delimiter, index=False, lineterminator="\r\n")
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(text.encode(described.export.encoding))
    os.replace(unfinished, path)
    return [path]


def _check_claims(sample: Sample, instrument: Instrument, claims: pd.DataFrame) -> None:
    """Refuse a sample that does not meet every claim."""
    responses = sample.values.join(derive(sample.values, instrument))
    register = published.compare(claims, responses)
    failed = register[~register["holds"]]
    if len(failed):
        lines = [
            f"  {r.id}: {r.computed:.4g}, should lie in [{r.lower:.4g}, {r.upper:.4g}]"
            for r in failed.itertuples()
        ]
        what = "The assumptions do not agree with what was published; change them:"
        raise ValueError("\n".join([what, *lines]))


def _rows(sample: Sample, wave: Wave, assumptions: Assumptions, draws: Draws) -> pd.DataFrame:
    """The respondents as text, with everything that does not belong there, by time of start.

    One row per interview: the items, the columns of a survey tool and `kind`, which says why the
    row is there.
    """
    spec = assumptions.export
    kept = _as_text(sample, wave)
    kept["kind"] = np.where(np.isin(kept.index, sample.fast), "fast", "kept")
    rows = pd.concat([kept, _strangers(kept, wave, spec, draws("export"))], ignore_index=True)
    _abandon(rows, wave, draws("abandoned"))
    _add_times(rows, wave, draws("times"))
    _add_persons(rows, draws("persons"))
    again = _duplicates(rows, wave, spec.duplicates, draws("duplicates"))
    _stain(rows, sample, wave, spec, draws("stains"))  # last: a copied slip would count twice
    rows = pd.concat([rows, again], ignore_index=True)
    return rows.sort_values("started", kind="stable", ignore_index=True)


def _as_text(sample: Sample, wave: Wave) -> pd.DataFrame:
    """Codes as the labels of the export; blank where nothing was asked or answered."""
    instrument, language = wave.instrument, wave.export.language
    text = pd.DataFrame("", index=sample.values.index, columns=sample.values.columns, dtype=object)
    for item in sample.values:
        labels = instrument.codes(item, language)
        own = wave.answers.get(instrument.scale_name(item), {})
        labels |= {code: label for label, code in own.items()}
        text[item] = sample.values[item].map(labels).fillna("").astype(object)
        text.loc[sample.missing[item] == "dont_know", item] = instrument.missing.dont_know[language]
    return text


def _strangers(kept: pd.DataFrame, wave: Wave, spec: ExportRows, rng) -> pd.DataFrame:
    """Rows that are no respondent of the wave: tests, abandoned interviews, other companies."""
    elsewhere, large = _ineligible(wave, "province"), _ineligible(wave, "size")
    parts = [
        _hot_deck(kept, wave, spec.test_entries, rng).assign(kind="test"),
        _hot_deck(kept, wave, spec.abandoned, rng).assign(kind="abandoned"),
        _hot_deck(kept, wave, spec.outside_region, rng).assign(kind="outside", province=elsewhere),
        _hot_deck(kept, wave, spec.too_large, rng).assign(kind="large", size=large),
    ]
    return pd.concat(parts, ignore_index=True)


def _ineligible(wave: Wave, variable: str) -> str:
    """The first answer that does not belong to the population."""
    eligible = wave.rules.eligible.get(variable, [])
    labels = wave.instrument.codes(variable, wave.export.language)
    outside = [label for code, label in labels.items() if code not in eligible]
    if not eligible or not outside:
        raise ValueError(f"Under rules: eligible: no answer to {variable} is outside; name them.")
    return outside[0]


def _hot_deck(kept: pd.DataFrame, wave: Wave, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows put together, block by block, of different respondents who use social media."""
    donors = kept.index[kept["way_spread"] != ""]
    parts = [
        kept.loc[rng.choice(donors, n), [i for i in wave.instrument.block(name) if i in kept]]
        for name in wave.instrument.blocks
    ]
    return pd.concat([part.reset_index(drop=True) for part in parts], axis=1)


def _abandon(rows: pd.DataFrame, wave: Wave, rng: np.random.Generator) -> None:
    """Interviews that stopped before the end of the question on use."""
    last = wave.items.index(wave.instrument.block("frequency")[-1])
    for row in rows.index[rows["kind"] == "abandoned"]:
        rows.loc[row, wave.items[int(rng.integers(1, last + 1)) :]] = ""
    first = rows.index[rows["kind"] == "test"][:2]  # who tests often stops half-way, too
    rows.loc[first, wave.items[last:]] = ""


def _add_times(rows: pd.DataFrame, wave: Wave, rng: np.random.Generator) -> None:
    """Start within the fieldwork, by day; duration by what was filled in."""
    days = (wave.fieldwork.end - wave.fieldwork.start).days
    seconds = rng.integers(0, days * 86400 // 3, len(rows))
    seconds += rng.integers(0, 2 * days * 86400 // 3, len(rows))
    hour = 8 * 3600 + rng.integers(0, 12 * 3600, len(rows))
    since = pd.to_timedelta(seconds // 86400 * 86400 + hour, unit="s")
    filled = (rows[wave.items] != "").mean(axis=1).to_numpy()
    minutes = np.maximum(3.2 * filled + 0.4, 14 * filled * rng.lognormal(0, 0.35, len(rows)))
    minutes = np.where(rows["kind"] == "fast", rng.uniform(1.4, 2.6, len(rows)), minutes)
    minutes = np.where((rows["kind"] == "kept") & (minutes < 3.2), 3.2, minutes)
    rows["duration_minutes"] = np.round(minutes, 1)
    rows["started"] = pd.Timestamp(wave.fieldwork.start) + since
    took = pd.to_timedelta(np.round(rows["duration_minutes"] * 60), unit="s")
    rows["finished"] = rows["started"] + took


def _add_persons(rows: pd.DataFrame, rng: np.random.Generator) -> None:
    """Personal data that nobody takes for real: reserved names and addresses (RFC 2606, 5737)."""
    networks = ("192.0.2", "198.51.100", "203.0.113")
    number = rng.permutation(len(rows)) + 1
    rows["company"] = [f"Verzonnen bedrijf {i:04d}" for i in number]
    rows["email"] = [f"respondent{i:04d}@voorbeeld.invalid" for i in number]
    rows["ip"] = [f"{networks[i % 3]}.{i // 3 % 254 + 1}" for i in number]
    tests = rows.index[rows["kind"] == "test"]
    names = ("test", "Test bedrijf", "TEST sowijs")
    rows.loc[tests, "company"] = [names[i % 3] for i in range(len(tests))]


def _duplicates(rows: pd.DataFrame, wave: Wave, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Respondents who came back some days later: the same address, other answers on culture."""
    chosen = rng.choice(rows.index[rows["kind"] == "kept"], n, replace=False)
    other = rng.choice(chosen, n, replace=False)
    again = rows.loc[chosen].reset_index(drop=True)
    culture = wave.instrument.block("culture")
    again[culture] = rows.loc[other, culture].to_numpy()
    later = pd.to_timedelta(rng.integers(600, 3 * 86400, n), unit="s")
    again["started"], again["finished"] = again["started"] + later, again["finished"] + later
    spelt = (str.upper, lambda mail: f"{mail} ", str)  # the same address all the same
    again["email"] = [spelt[i % 3](mail) for i, mail in enumerate(again["email"])]
    return again.assign(kind="duplicate")


def _stain(rows: pd.DataFrame, sample: Sample, wave: Wave, spec: ExportRows, rng) -> None:
    """Cells of respondents that cleaning has to mend, without loss of an answer.

    Impossible codes where an answer is missing anyway, labels in another spelling, and answers to
    questions that were not asked.
    """
    instrument, missing = wave.instrument, sample.missing
    unsure = [i for i in missing if instrument.scales[instrument.scale_name(i)].dont_know]
    for at, k in _cells(missing[unsure] == "not_answered", spec.impossible_codes, rng):
        rows.at[at] = ("9", "99", "0")[k % 3]
    words = rows.loc[missing.index, unsure].map(lambda label: " " in label)
    for at, k in _cells((missing[unsure] == "") & words, spec.stray_spelling, rng):
        label = rows.at[at]
        rows.at[at] = (f" {label}", f"{label} ", label.upper(), label.replace(" ", "  "))[k % 4]
    for at, _ in _cells(missing[instrument.block("ways")] == "not_asked", spec.routing_slips, rng):
        rows.at[at] = instrument.codes(at[1], wave.export.language)[3]


def _cells(allowed: pd.DataFrame, n: int, rng: np.random.Generator):
    """((row, column), counter) of `n` different cells out of those that are allowed."""
    rows, columns = np.nonzero(allowed.to_numpy())
    for counter, cell in enumerate(rng.choice(len(rows), n, replace=False)):
        yield (allowed.index[rows[cell]], allowed.columns[columns[cell]]), counter


def _as_columns(rows: pd.DataFrame, wave: Wave) -> pd.DataFrame:
    """Under the names, in the order and with the number format of the export."""
    out = pd.DataFrame(index=rows.index)
    columns = wave.columns
    out[columns["respondent_id"]] = [str(1001 + i) for i in range(len(rows))]
    out["Status"] = np.where(rows["kind"] == "abandoned", "afgebroken", "voltooid")
    for name in ("started", "finished"):
        out[columns[name]] = rows[name].dt.strftime(wave.export.datetime)
    out.loc[rows["kind"] == "abandoned", columns["finished"]] = ""
    minutes = rows["duration_minutes"].map("{:.1f}".format)
    out[columns["duration_minutes"]] = minutes.str.replace(".", wave.export.decimal, regex=False)
    for name, column in wave.personal.items():
        out[column] = rows[name]
    for item in wave.items:
        out[columns[item]] = rows[item]
    return out
