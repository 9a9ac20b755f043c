"""Makes a synthetic wave: respondents that meet every published number, in an export as a survey tool would make it.

The steps, each a function below:

1. `load_assumptions` reads what is not published, with the reason for each.
2. `simulate` draws the respondents. Continuous scores follow the planted structural model; cutting them, by rank, into
   exactly as many answers of each code as the published numbers ask for keeps that structure and meets the numbers.
3. `write` adds what cleaning has to find (tests, duplicates, slips ...) and writes the file.

The same seed gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
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
from mkb21.instrument import Instrument, SourceFile, Strict, Wave, build, closest, load_wave, read_yaml
from mkb21.reliability import cronbach_alpha

Marginal = list[float] | dict[str, float]


# --- assumptions --------------------------------------------------------------------------------------------------------


class Respondents(Strict):
    reason: str
    all: int
    users: int
    without_background: int


class Traits(Strict):
    reason: str
    marginals: dict[str, list[float]]
    effects: dict[str, dict[str, float]]
    order: dict[str, list[int]] = {}


class Model(Strict):
    reason: str
    correlation: dict[str, dict[str, float]]
    non_users: dict[str, float]
    paths: dict[str, dict[str, float]]
    loadings: dict[str, dict[str, float]]
    paired_uniqueness: float = Field(ge=0, lt=1)
    paired_dimensions: list[tuple[str, str]]


class Other(Strict):
    reason: str
    expected: dict[str, float]
    preparation: dict[str, float]


class MissingRates(Strict):
    reason: str
    not_answered: float = Field(ge=0, lt=0.5)
    dont_know: dict[str, float]
    concentration: float = Field(gt=0)


class ExportRows(Strict):
    reason: str
    test_entries: int
    abandoned: int
    outside_region: int
    too_large: int
    duplicates: int
    careless_fast: int
    careless_straight: int
    impossible_codes: int
    stray_spelling: int
    routing_slips: int


class Assumptions(Strict):
    """What a reconstruction assumes. Made by `load_assumptions`."""

    wave: str
    seed: int
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
        With every fault: an item of the wave without assumed answers, answers that do not fit the scale or do not add
        up to 100 %, unknown items, wrong keys. Also when the wave is observed: real answers are never made up.
    """
    if not wave.synthetic:
        raise ValueError(f"Wave {wave.wave} is observed: its answers are not reconstructed.")
    source = read_yaml(project.assumptions(wave.wave))
    assumptions = build(Assumptions, source)
    if assumptions is not None:
        _check_marginals(assumptions, wave, source)
    source.raise_faults()
    return assumptions


def planted_paths(assumptions: Assumptions) -> pd.DataFrame:
    """The planted structural paths.

    Returns
    -------
    pandas.DataFrame
        lhs, op ("~" or "~~"), rhs, planted (standardised).
    """
    rows = [(lhs, "~", rhs, b) for lhs, causes in assumptions.model.paths.items() for rhs, b in causes.items()]
    rows += [(lhs, "~~", rhs, r) for lhs, others in assumptions.model.correlation.items() for rhs, r in others.items()]
    return pd.DataFrame(rows, columns=["lhs", "op", "rhs", "planted"])


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
            continue
        marginal, codes = assumptions.marginal(item), wave.instrument.codes(item)
        if isinstance(marginal, dict) and set(marginal) != {"mean", "sd"}:
            source.fault(place, "give mean and sd, or one percentage per code")
        elif isinstance(marginal, list) and len(marginal) != len(codes):
            source.fault(place, f"{len(marginal)} percentages for {len(codes)} codes")
        elif isinstance(marginal, list) and abs(sum(marginal) - 100) > 1e-6:
            source.fault(place, f"the percentages add up to {sum(marginal):g}")


# --- drawing the respondents -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """Respondents before the export: one row each, users first.

    values : codes, NaN where there is no answer; missing : "" or the reason why there is none, the same shape.
    fast, straight : positions of the careless respondents.
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
        return np.random.default_rng([self.seed, crc32(name.encode())])


def simulate(
    wave: Wave, assumptions: Assumptions, claims: pd.DataFrame, seed: int | None = None, times: int = 1
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
        So many times the published number of respondents, in the same proportions, to see the planted model sharply.

    Raises
    ------
    ValueError
        The assumptions cannot be brought into agreement with the published numbers; names the item or the claim.
    """
    draws = Draws(assumptions.seed if seed is None else seed)
    sizes = assumptions.respondents
    user = np.arange(sizes.all * times) < sizes.users * times
    fast, straight = _careless(assumptions, user, times, draws)
    missing = _missing_reasons(wave, assumptions, user, np.concatenate([fast, straight]), times, draws)
    maker = _Maker(wave.instrument, assumptions, claims, draws, user, missing, straight, times)
    values = maker.answers(fast)
    return Sample(values, missing, fast, straight)


def _careless(assumptions, user, times, draws) -> tuple[np.ndarray, np.ndarray]:
    """Positions of users who answer too fast, and of users who give one answer throughout."""
    n_fast, n_straight = assumptions.export.careless_fast * times, assumptions.export.careless_straight * times
    chosen = draws("careless").choice(np.flatnonzero(user), n_fast + n_straight, replace=False)
    return chosen[:n_fast], chosen[n_fast:]


def _missing_reasons(wave, assumptions, user, careless, times, draws) -> pd.DataFrame:
    """Why an answer is missing, cell by cell; "" where there is one."""
    instrument, rates = wave.instrument, assumptions.missing
    reasons = pd.DataFrame("", index=range(len(user)), columns=wave.items, dtype=object)
    shape = rates.concentration
    tendency = draws("tendency").gamma(shape, 1 / shape, len(user))
    tendency[careless] = 0
    for item in wave.items:
        block = instrument.block_of[item]
        if instrument.scales[instrument.scale_name(item)].dont_know:
            draw = draws(f"missing {item}").random(len(user))
            skipped = np.minimum(rates.not_answered * tendency, 0.5)
            unsure = np.minimum(rates.dont_know.get(block, 0) * tendency, 0.4)
            reasons.loc[draw < skipped + unsure, item] = "dont_know"
            reasons.loc[draw < skipped, item] = "not_answered"
    for block in instrument.blocks:
        _keep_one_answer(reasons, [i for i in instrument.block(block) if i in reasons], draws(f"keep {block}"))
    _skip_background(reasons, wave, assumptions.respondents.without_background * times, user, careless)
    for name, block in instrument.blocks.items():
        if block.asked_if:
            asked = user == (block.asked_if.codes == [1])
            reasons.loc[~asked, [i for i in block.items if i in reasons]] = "not_asked"
    return reasons


def _keep_one_answer(reasons: pd.DataFrame, items: list[str], rng: np.random.Generator) -> None:
    """Everybody answers at least one question of a block."""
    for row in np.flatnonzero((reasons[items] != "").all(axis=1)):
        reasons.loc[row, items[rng.integers(len(items))]] = ""


def _skip_background(reasons, wave, n, user, careless) -> None:
    """The last users, as far as they are not careless, leave out company traits and market."""
    rows = np.setdiff1d(np.flatnonzero(user), careless)[len(np.flatnonzero(user)) - len(careless) - n :]
    for block in ("company", "market"):
        reasons.loc[rows, wave.instrument.block(block)] = "not_answered"


class _Maker:
    """Scores from the planted model, cut into answers."""

    def __init__(self, instrument: Instrument, assumptions, claims, draws, user, missing, straight, times):
        self.instrument, self.assumptions, self.claims, self.draws = instrument, assumptions, claims, draws
        self.user, self.missing, self.straight, self.times = user, missing, straight, times
        self.n = len(user)
        self.values = pd.DataFrame(np.nan, index=missing.index, columns=missing.columns)
        self.partner = {b: a for a, b in [*instrument.pairs, *assumptions.model.paired_dimensions]}
        self.unique_parts: dict[str, np.ndarray] = {}

    def answers(self, fast: np.ndarray) -> pd.DataFrame:
        """All answers, block by block."""
        self.traits()
        latent = self.latents()
        scores = self.indicators(latent)
        scores |= self.other_scores(latent, scores)
        for name in self.instrument.blocks:
            items = [i for i in self.instrument.block(name) if i in self.missing and self.values[i].isna().all()]
            for item in items:
                scores[item][fast] = self.draws(f"fast {item}").standard_normal(len(fast))
            if items:
                self.fill(items, scores)
        self.everybody_at_least_one("frequency", 2, self.user)
        self.everybody_at_least_one("reasons", 1, ~self.user)
        self.everybody_at_least_one("manager", 1, np.ones(self.n, bool))
        return self.values

    def traits(self) -> None:
        """Company traits, each from earlier traits and chance."""
        spec = self.assumptions.traits
        scores = {"user": _standardize(self.user.astype(float))}
        for item in spec.marginals:
            effects = spec.effects.get(item, {})
            rest = np.sqrt(max(0.0, 1 - sum(b * b for b in effects.values())))
            score = rest * self.draws(item).standard_normal(self.n)
            score = score + sum(b * scores[cause] for cause, b in effects.items())
            scores[item] = _standardize(score)
            self.values[item] = self.cut(item, scores[item], order=spec.order.get(item))

    def covariates(self, names: Iterable[str]) -> pd.DataFrame:
        """Observed covariates of the users, standardised; an unknown one is average."""
        known = derive(self.values, self.instrument).join(self.values)[list(names)][self.user]
        return ((known - known.mean()) / known.std(ddof=0)).fillna(0.0)

    def latents(self) -> dict[str, np.ndarray]:
        """Latent variables with variance 1 among the users; NaN for non-users where they are asked of users only."""
        model = self.assumptions.model
        exogenous = list(model.non_users)
        correlation = np.eye(len(exogenous))
        for a, others in model.correlation.items():
            for b, r in others.items():
                i, j = exogenous.index(a), exogenous.index(b)
                correlation[i, j] = correlation[j, i] = r
        drawn = self.draws("exogenous").standard_normal((self.n, len(exogenous))) @ np.linalg.cholesky(correlation).T
        drawn[~self.user] += np.array(list(model.non_users.values()))
        latent = dict(zip(exogenous, drawn.T, strict=True))
        observed = [c for causes in model.paths.values() for c in causes if c not in exogenous and c not in model.paths]
        x = self.covariates(dict.fromkeys(observed))
        names, known = [*exogenous, *x], np.zeros((len(exogenous) + len(x.columns),) * 2)
        known[: len(exogenous), : len(exogenous)] = correlation
        known[len(exogenous) :, len(exogenous) :] = np.corrcoef(x.T.to_numpy())
        table = np.column_stack([drawn[self.user], x.to_numpy()])
        for effect, causes in model.paths.items():
            b = np.array([causes.get(name, 0.0) for name in names])
            explained = float(b @ known @ b)
            if explained >= 1:
                raise ValueError(f"The planted paths to {effect} explain {explained:.0%} of its variance; lower them.")
            noise = self.draws(f"disturbance {effect}").standard_normal(int(self.user.sum()))
            table = np.column_stack([table, table @ b + np.sqrt(1 - explained) * noise])
            known = np.block([[known, (known @ b)[:, None]], [(known @ b)[None, :], np.ones((1, 1))]])
            names.append(effect)
            latent[effect] = np.full(self.n, np.nan)
            latent[effect][self.user] = table[:, -1]
        return latent

    def indicators(self, latent: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Scores of the items, and of the dimensions in between, from their loadings."""
        scores = dict(latent)
        for factor, loadings in self.assumptions.model.loadings.items():
            for name, loading in loadings.items():
                scores[name] = loading * scores[factor] + np.sqrt(1 - loading**2) * self.unique(name)
        return scores

    def unique(self, name: str) -> np.ndarray:
        """The part of an indicator that its factor does not explain; shared in part with a paired indicator."""
        part = self.draws(f"unique {name}").standard_normal(self.n)
        if name in self.partner:
            shared = self.assumptions.model.paired_uniqueness
            part = shared * self.unique_parts[self.partner[name]] + np.sqrt(1 - shared**2) * part
        self.unique_parts[name] = part
        return part

    def other_scores(self, latent, scores) -> dict[str, np.ndarray]:
        """Scores of the questions outside the Gebruiksmodel."""
        other, found = self.assumptions.other, {}
        common = self.draws("preparation").standard_normal(self.n)
        causes = other.preparation["culture"]
        common = causes * latent["culture"] + np.sqrt(1 - causes**2) * common
        for item in self.instrument.block("preparation"):
            found[item] = self.mix(item, {"common": (other.preparation["common"], common)})
        for item in self.instrument.block("expected"):
            use = np.nan_to_num(scores[item.replace("exp_", "use_")], nan=-1.5)  # non-users expect less
            causes = {"use": (other.expected["use"], use)}
            found[item] = self.mix(item, causes | {"env": (other.expected["environment"], latent["environment"])})
        for item in self.missing:
            if item not in scores and item not in found:
                found[item] = self.draws(item).standard_normal(self.n)
        return found

    def mix(self, item: str, causes: dict[str, tuple[float, np.ndarray]]) -> np.ndarray:
        rest = np.sqrt(1 - sum(b * b for b, _ in causes.values()))
        return sum(b * score for b, score in causes.values()) + rest * self.draws(item).standard_normal(self.n)

    def fill(self, items: list[str], scores: dict[str, np.ndarray]) -> None:
        """Cut the scores of a block; where a scale mean and alpha are published, move them until both are met."""
        claims = self.claims[self.claims["variables"] == "|".join(items)].set_index("statistic")["value"]
        self.values[items] = self.block_values(items, scores, 0.0)
        if "alpha" not in claims or "scale_mean" not in claims:
            return
        low, high = -1.0, 3.0
        for _ in range(12):
            share = (low + high) / 2
            if self.settle(items, scores, share, claims):
                return
            too_high = cronbach_alpha(self.values[items]).alpha > claims["alpha"]
            low, high = (share, high) if too_high else (low, share)
        for step in range(1, 200):  # alpha of whole answers moves in small jumps: look around
            if self.settle(items, scores, share + 0.0007 * step * (-1) ** step, claims):
                return
        raise ValueError(f"The published alpha and mean of {', '.join(items)} cannot be met together.")

    def settle(self, items: list[str], scores: dict[str, np.ndarray], share: float, claims: pd.Series) -> bool:
        """Answers with this share of noise and the published mean. Is alpha as published, too?"""
        moved, shift = {item: self.more_noise(item, scores[item], share) for item in items}, 0.0
        for _ in range(20):
            self.values[items] = self.block_values(items, moved, shift)
            short = claims["scale_mean"] - self.values[items].dropna().to_numpy().mean()
            if abs(short) < 4e-3:
                break
            shift += short
        return abs(short) < 4e-3 and abs(cronbach_alpha(self.values[items]).alpha - claims["alpha"]) < 4.9e-4

    def more_noise(self, item: str, score: np.ndarray, share: float) -> np.ndarray:
        """The score with more (or, below zero, less) of its unique part."""
        loading = next(f[item] for f in self.assumptions.model.loadings.values() if item in f)
        return score + share * np.sqrt(1 - loading**2) * self.unique_parts[item]

    def block_values(self, items: list[str], scores, shift: float) -> pd.DataFrame:
        """Answers of a block, those of the straight-liners made equal by exchange: the counts stay as they are."""
        block = pd.DataFrame({item: self.cut(item, scores[item], shift) for item in items}, index=self.values.index)
        if self.instrument.scale_name(items[0]) == "agreement":
            for item in items:
                for row in self.straight:
                    others = np.setdiff1d(np.flatnonzero(block[item] == 4), self.straight)
                    if block.at[row, item] != 4 and len(others):
                        other = self.draws(f"straight {item} {row}").choice(others)
                        block.loc[[row, other], item] = block.loc[[other, row], item].to_numpy()
        return block

    def cut(self, item: str, score: np.ndarray, shift: float = 0.0, order: list[int] | None = None) -> np.ndarray:
        """Codes by rank of the score, exactly as many of each as `counts` says; NaN where nothing was answered."""
        answered = (self.missing[item] == "").to_numpy()
        codes = list(self.instrument.codes(item))
        counts = dict(zip(codes, self.counts(item, int(answered.sum()), shift), strict=True))
        ranked = np.concatenate([np.full(counts[code], code, float) for code in order or codes])
        filled = np.where(np.isnan(score), -np.inf, score)
        values = np.full(self.n, np.nan)
        rows = np.flatnonzero(answered)
        values[rows[np.argsort(filled[rows], kind="stable")]] = ranked
        return values

    def counts(self, item: str, n: int, shift: float) -> np.ndarray:
        """How many respondents give each code: as assumed, moved as little as possible to meet what was published.

        An integer program: minimise the sum of |count - assumed count| under the published limits.
        """
        codes = np.array(list(self.instrument.codes(item)), float)
        assumed = n * _weights(self.assumptions.marginal(item), codes, shift)
        k = len(codes)
        rows, low, high = [np.ones(k)], [n], [n]
        for coefficients, lower, upper in _limits(item, self.instrument, self.claims, codes, n, self.n):
            rows.append(coefficients)
            low.append(lower)
            high.append(upper)
        exact = LinearConstraint(np.column_stack([np.array(rows), np.zeros((len(rows), k))]), low, high)
        above = LinearConstraint(np.column_stack([np.eye(k), -np.eye(k)]), -np.inf, assumed)
        below = LinearConstraint(np.column_stack([-np.eye(k), -np.eye(k)]), -np.inf, -assumed)
        cost = np.concatenate([np.zeros(k), np.ones(k)])
        whole = np.repeat([1, 0], k)
        # the presolve of HiGHS 1.12 gives up on some of these small programs
        found = milp(cost, constraints=[exact, above, below], integrality=whole, options={"presolve": False})
        if not found.success:
            raise ValueError(f"No answers of {n} respondents to {item} meet what was published about it.")
        return np.round(found.x[:k]).astype(int)

    def everybody_at_least_one(self, block: str, reached: int, rows: np.ndarray) -> None:
        """Exchange answers so that each of these respondents reaches a code at least once; the counts stay the same."""
        items = [i for i in self.instrument.block(block) if i in self.values]
        has = (self.values[items] >= reached).to_numpy()
        rng = self.draws(f"at least one {block}")
        for row in np.flatnonzero(rows & ~has.any(axis=1)):
            column = int(rng.choice(len(items), p=has.sum(axis=0) / has.sum()))
            spare = rows & has[:, column] & (has.sum(axis=1) > 1)
            lowest = self.values.loc[spare, items[column]].min()
            other = int(rng.choice(np.flatnonzero(spare & (self.values[items[column]] == lowest))))
            self.values.loc[[row, other], items[column]] = self.values.loc[[other, row], items[column]].to_numpy()
            has[[row, other], column] = has[[other, row], column]


def _standardize(score: np.ndarray) -> np.ndarray:
    return (score - score.mean()) / score.std()


def _weights(marginal: Marginal, codes: np.ndarray, shift: float) -> np.ndarray:
    """Shares of the codes: as given, or of a normal distribution cut halfway between the codes."""
    if isinstance(marginal, list):
        return np.array(marginal, float) / 100
    edges = np.concatenate([[-np.inf], (codes[1:] + codes[:-1]) / 2, [np.inf]])
    return np.diff(norm.cdf(edges, marginal["mean"] + shift, marginal["sd"]))


def _limits(item, instrument, claims, codes, n, n_all):
    """What the claims on one item say about its counts: (coefficient of each count, lower, upper)."""
    for _, claim in claims[claims["comparator"].isin(["equals", "between", "greater", "less"])].iterrows():
        counted = [float(c) for c in claim["codes"].split("|") if c]
        derived = instrument.derived.get(claim["variables"])
        if derived and derived.recode and derived.recode.source == item:
            counted = [old for new in counted for old in derived.recode.codes[int(new)]]
        elif claim["variables"] != item:
            continue
        if claim["than"] or claim["statistic"] not in ("percent", "percent_of_rows", "mean"):
            continue
        (lower, upper), _ = published.limits(claim, {})
        whole = n_all if claim["statistic"] == "percent_of_rows" else n
        share = 1.0 if claim["statistic"] == "mean" else 0.01
        coefficients = codes if claim["statistic"] == "mean" else np.isin(codes, counted).astype(float)
        slack = 1e-6 * whole  # keeps clear of the ends, where rounding decides
        yield coefficients, lower * share * whole + slack, upper * share * whole - slack


# --- the export ---------------------------------------------------------------------------------------------------------


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
        The wave is observed, the assumptions have faults, or a published number is not met: names the claims.
    """
    described = load_wave(project, wave)
    assumptions = load_assumptions(project, described)
    claims = published.read(project.published(wave))
    sample = simulate(described, assumptions, claims, seed)
    _check_claims(sample, described.instrument, claims)
    frame = _export(sample, described, assumptions, Draws(assumptions.seed if seed is None else seed))
    folder = Path(out) if out else project.raw(wave)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / described.export.file
    text = frame.to_csv(sep=described.export.delimiter, index=False, lineterminator="\r\n")
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(text.encode(described.export.encoding))
    os.replace(unfinished, path)
    return [path]


def _check_claims(sample: Sample, instrument: Instrument, claims: pd.DataFrame) -> None:
    responses = sample.values.join(derive(sample.values, instrument))
    register = published.compare(claims, responses)
    failed = register[~register["holds"]]
    if len(failed):
        lines = [f"  {r.id}: {r.computed:.4g}, should lie in [{r.lower:.4g}, {r.upper:.4g}]" for r in failed.itertuples()]
        raise ValueError("The assumptions do not agree with what was published; change them:\n" + "\n".join(lines))


def _export(sample: Sample, wave: Wave, assumptions: Assumptions, draws: Draws) -> pd.DataFrame:
    """The respondents as rows of text under the columns of the export, with everything that does not belong there."""
    spec, rng = assumptions.export, draws("export")
    kept = _as_text(sample, wave)
    _stain(kept, sample, wave, spec, draws("stains"))
    kept["kind"] = np.where(np.isin(kept.index, sample.fast), "fast", "kept")
    strangers = pd.concat(
        [
            _hot_deck(kept, wave, spec.test_entries, rng).assign(kind="test"),
            _hot_deck(kept, wave, spec.abandoned, rng).assign(kind="abandoned"),
            _hot_deck(kept, wave, spec.outside_region, rng).assign(kind="outside", province="andere provincie"),
            _hot_deck(kept, wave, spec.too_large, rng).assign(kind="large", size="250 of meer werknemers"),
        ],
        ignore_index=True,
    )
    _abandon(strangers, wave, draws("abandoned"))
    rows = pd.concat([kept, strangers], ignore_index=True)
    _add_times(rows, wave, draws("times"))
    _add_persons(rows, draws("persons"))
    rows = pd.concat([rows, _duplicates(rows, wave, spec.duplicates, draws("duplicates"))], ignore_index=True)
    rows = rows.sort_values("started", kind="stable", ignore_index=True)
    return _as_columns(rows, wave)


def _as_text(sample: Sample, wave: Wave) -> pd.DataFrame:
    """Codes as the labels of the export; blank where nothing was asked or answered."""
    instrument, language = wave.instrument, wave.export.language
    text = pd.DataFrame("", index=sample.values.index, columns=sample.values.columns, dtype=object)
    for item in sample.values:
        labels = {float(code): label for code, label in instrument.codes(item, language).items()}
        labels |= {float(code): label for label, code in wave.answers.get(instrument.scale_name(item), {}).items()}
        text[item] = sample.values[item].map(labels).fillna("").astype(object)
        text.loc[sample.missing[item] == "dont_know", item] = instrument.missing.dont_know[language]
    return text


def _stain(kept: pd.DataFrame, sample: Sample, wave: Wave, spec: ExportRows, rng: np.random.Generator) -> None:
    """Impossible codes where an answer is missing anyway, stray spelling, answers to questions that were not asked."""
    scale_items = [i for i in kept if wave.instrument.scales[wave.instrument.scale_name(i)].dont_know]
    for (row, item), code in _cells(sample.missing[scale_items] == "not_answered", spec.impossible_codes, rng):
        kept.at[row, item] = ["9", "99", "0"][code % 3]
    for (row, item), form in _cells(sample.missing[scale_items] == "", spec.stray_spelling, rng):
        label = kept.at[row, item]
        kept.at[row, item] = [f" {label}", f"{label} ", label.upper(), label.replace(" ", "  ")][form % 4]
    for (row, item), _ in _cells(sample.missing[wave.instrument.block("ways")] == "not_asked", spec.routing_slips, rng):
        kept.at[row, item] = wave.instrument.codes(item, wave.export.language)[3]


def _cells(allowed: pd.DataFrame, n: int, rng: np.random.Generator):
    """((row, column), counter) of `n` cells out of those that are allowed."""
    rows, columns = np.nonzero(allowed.to_numpy())
    for counter, cell in enumerate(rng.choice(len(rows), n, replace=False)):
        yield (allowed.index[rows[cell]], allowed.columns[columns[cell]]), counter


def _hot_deck(kept: pd.DataFrame, wave: Wave, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows that are no respondent: parts taken from different respondents who use social media."""
    donors = kept.index[kept["way_spread"] != ""]
    parts = [
        kept.loc[rng.choice(donors, n), [i for i in wave.instrument.block(name) if i in kept]].reset_index(drop=True)
        for name in wave.instrument.blocks
    ]
    return pd.concat(parts, axis=1)


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
    seconds = rng.integers(0, days * 86400 // 3, len(rows)) + rng.integers(0, 2 * days * 86400 // 3, len(rows))
    hour = 8 * 3600 + rng.integers(0, 12 * 3600, len(rows))
    start = pd.Timestamp(wave.fieldwork.start) + pd.to_timedelta(seconds // 86400 * 86400 + hour, unit="s")
    filled = (rows[wave.items] != "").mean(axis=1).to_numpy()
    minutes = np.maximum(3.2 * filled + 0.4, 14 * filled * rng.lognormal(0, 0.35, len(rows)))
    minutes = np.where(rows["kind"] == "fast", rng.uniform(1.4, 2.6, len(rows)), minutes)
    minutes = np.where((rows["kind"] == "kept") & (minutes < 3.2), 3.2, minutes)
    rows["duration_minutes"] = np.round(minutes, 1)
    rows["started"] = start
    rows["finished"] = rows["started"] + pd.to_timedelta(np.round(rows["duration_minutes"] * 60), unit="s")


def _add_persons(rows: pd.DataFrame, rng: np.random.Generator) -> None:
    """Personal data that nobody can take for real: reserved names and addresses (RFC 2606, RFC 5737)."""
    number = rng.permutation(len(rows)) + 1
    rows["company"] = [f"Verzonnen bedrijf {i:04d}" for i in number]
    rows["email"] = [f"respondent{i:04d}@voorbeeld.invalid" for i in number]
    rows["ip"] = [f"{('192.0.2', '198.51.100', '203.0.113')[i % 3]}.{i // 3 % 254 + 1}" for i in number]
    test = rows["kind"] == "test"
    rows.loc[test, "company"] = [("test", "Test bedrijf", "TEST sowijs")[i % 3] for i in range(int(test.sum()))]


def _duplicates(rows: pd.DataFrame, wave: Wave, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Respondents who came back: the same address, some days later, with part of the answers different."""
    chosen = rng.choice(rows.index[rows["kind"] == "kept"], n, replace=False)
    again, other = rows.loc[chosen].reset_index(drop=True), rng.choice(chosen, n, replace=False)
    culture = wave.instrument.block("culture")
    again[culture] = rows.loc[other, culture].to_numpy()
    later = pd.to_timedelta(rng.integers(600, 3 * 86400, n), unit="s")
    again["started"], again["finished"] = again["started"] + later, again["finished"] + later
    again["email"] = [mail.upper() if i % 3 == 0 else f"{mail} " if i % 3 == 1 else mail for i, mail in enumerate(again["email"])]
    again["kind"] = "duplicate"
    return again


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
