"""The respondents of a reconstructed wave: company traits, answers, and why answers are missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas import DataFrame

from mkb21.reconstruct import model
from mkb21.reconstruct.answers import at_least_one, block_answers, cut
from mkb21.reconstruct.assumptions import Assumptions
from mkb21.reconstruct.model import Draws, Plan, mix, standardize
from mkb21.survey.cleaning import derive
from mkb21.survey.instrument import Wave


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

    values: DataFrame
    missing: DataFrame
    fast: np.ndarray
    straight: np.ndarray


def simulate(
    wave: Wave,
    assumptions: Assumptions,
    claims: DataFrame,
    seed: int | None = None,
    times: int = 1,
) -> Sample:
    """Draw the respondents of a reconstructed wave.

    Parameters
    ----------
    claims : pandas.DataFrame
        As `published.read` gives them.
    seed : int, optional
        Default: the seed in the assumptions.
    times : int
        So many times the published number of respondents, to see the planted model sharply.

    Raises
    ------
    ValueError
        The assumptions cannot be brought into agreement with the published numbers; names the item
        and the claims.
    """
    draws = Draws(assumptions.seed if seed is None else seed)
    sizes = assumptions.respondents
    user = np.arange(sizes.all * times) < sizes.users * times
    export = assumptions.export
    n_fast = export.careless_fast * times
    n_careless = n_fast + export.careless_straight * times
    careless = draws("careless").choice(np.flatnonzero(user), n_careless, replace=False)
    fast, straight = careless[:n_fast], careless[n_fast:]
    missing = _missing_reasons(wave, assumptions, user, careless, times, draws)
    plan = Plan(wave.instrument, assumptions, claims, draws, user, missing, fast, straight)
    return Sample(_answers(plan), missing, fast, straight)


def _answers(plan: Plan) -> DataFrame:
    """The answers to all questions: company traits first, then what the model makes of them."""
    traits = _traits(plan)
    covariates = _covariates(plan, traits)
    latent = model.latents(plan, covariates)
    scores = model.indicators(plan, latent)
    scores |= model.other_scores(plan, latent, scores, covariates)
    for item in (i for i in plan.missing if i not in traits):
        hasty = plan.draws(f"fast {item}").standard_normal(len(plan.fast))
        scores[item][plan.fast] = hasty  # who answers too fast answers at random
    asked = {
        b: [i for i in plan.instrument.block(b) if i in plan.missing]
        for b in plan.instrument.blocks
    }
    rest = [[i for i in items if i not in traits] for items in asked.values()]
    parts = [traits, *(block_answers(plan, items, scores) for items in rest if items)]
    values = pd.concat(parts, axis=1)[list(plan.missing)]
    everybody = np.ones(plan.n, bool)
    each = [("frequency", 2, plan.user)]  # a user uses at least one medium
    each += [("reasons", 1, ~plan.user), ("manager", 1, everybody)]
    for block, reached, who in each:
        if items := asked.get(block):
            rng = plan.draws(f"at least one {block}")
            values[items] = at_least_one(values[items], reached, who, rng)
    return values


def _missing_reasons(
    wave: Wave,
    assumptions: Assumptions,
    user: np.ndarray,
    careless: np.ndarray,
    times: int,
    draws: Draws,
) -> DataFrame:
    """Why an answer is missing, cell by cell; "" where there is one."""
    instrument, rates = wave.instrument, assumptions.missing
    reasons = DataFrame("", index=range(len(user)), columns=wave.items, dtype=object)
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
    for name in instrument.blocks:
        items = [i for i in instrument.block(name) if i in reasons]
        rng = draws(f"keep {name}")
        # everybody answers at least one question of a block: the published numbers are of all
        for row in np.flatnonzero((reasons[items] != "").all(axis=1)) if items else ():
            reasons.loc[row, items[rng.integers(len(items))]] = ""
    cautious = np.setdiff1d(np.flatnonzero(user), careless)
    n_without = assumptions.respondents.without_background * times
    without = cautious[len(cautious) - n_without :]
    for name in ("company", "market"):
        reasons.loc[without, [i for i in instrument.block(name) if i in reasons]] = "not_answered"
    for block in instrument.blocks.values():
        if block.asked_if:
            asked = np.isin(user.astype(int), block.asked_if.codes)
            reasons.loc[~asked, [i for i in block.items if i in reasons]] = "not_asked"
    return reasons


def _traits(plan: Plan) -> DataFrame:
    """Company traits: each from earlier traits and chance, cut into codes."""
    spec, values = plan.assumptions.traits, {}
    scores = {"user": standardize(plan.user.astype(float))}
    for item in spec.marginals:
        effects = spec.effects.get(item, {})
        score = mix(plan, item, [(b, scores[cause]) for cause, b in effects.items()])
        scores[item] = standardize(score)
        values[item] = cut(plan, item, scores[item], order=spec.order.get(item))
    return DataFrame(values, index=plan.missing.index)


def _covariates(plan: Plan, traits: DataFrame) -> DataFrame:
    """The observed causes in the model, of the users, standardised; an unknown one is average."""
    planted = plan.assumptions.model
    causes = dict.fromkeys(cause for causes in planted.paths.values() for cause in causes)
    names = [c for c in causes if c not in planted.non_users and c not in planted.paths]
    values = traits.reindex(columns=plan.missing.columns)
    known = derive(values, plan.instrument).join(traits).loc[plan.user, names]
    return ((known - known.mean()) / known.std(ddof=0)).fillna(0.0)
