"""Scores from the planted structural model: latent variables, and the indicators they show in."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.random import Generator
from pandas import DataFrame, Series

from mkb21.reconstruct.assumptions import Assumptions, Model
from mkb21.survey.instrument import Instrument

Scores = dict[str, np.ndarray]  # of an item or a latent variable, one per respondent


class Draws:
    """Random numbers by name: a new question does not change the numbers of the others."""

    def __init__(self, seed: int):
        self.seed = seed

    def __call__(self, name: str) -> Generator:
        """A generator that depends on the seed and the name only."""
        return np.random.default_rng([self.seed, crc32(name.encode())])


@dataclass(frozen=True)
class Plan:
    """What every step of the drawing needs to know: what was assumed and published, and of whom.

    `user` says who uses social media (n,); `missing`, `fast` and `straight` are as in `Sample`.
    """

    instrument: Instrument
    assumptions: Assumptions
    claims: DataFrame
    draws: Draws
    user: np.ndarray
    missing: DataFrame
    fast: np.ndarray
    straight: np.ndarray

    @property
    def n(self) -> int:
        """Number of respondents."""
        return len(self.user)

    def normal(self, name: str) -> np.ndarray:
        """One standard normal number per respondent."""
        return self.draws(name).standard_normal(self.n)


def _exogenous(plan: Plan) -> DataFrame:
    """Culture and environment: correlated, variance 1, mean 0 among users, lower among others."""
    model = plan.assumptions.model
    r = _correlation(model)
    drawn = plan.draws("exogenous").standard_normal((plan.n, len(r))) @ np.linalg.cholesky(r).T
    drawn[~plan.user] += np.array([model.non_users[name] for name in r])
    return DataFrame(drawn, columns=r.columns)


def _correlation(model: Model) -> DataFrame:
    """Planted correlations of the exogenous latent variables."""
    names = list(model.non_users)
    r = DataFrame(np.eye(len(names)), index=names, columns=names)
    for a, others in model.correlation.items():
        for b, value in others.items():
            r.loc[a, b] = r.loc[b, a] = value
    return r


def latents(plan: Plan, covariates: DataFrame) -> Scores:
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
        b = Series(paths).reindex(causes.columns, fill_value=0.0)
        explained = float(b @ cov @ b)
        if explained >= 1:
            what = f"The planted paths to {effect} explain {explained:.0%} of its variance"
            raise ValueError(f"{what}; lower them (model: paths: {effect} in the assumptions).")
        disturbance = plan.draws(f"disturbance {effect}").standard_normal(len(causes))
        causes[effect] = causes @ b + np.sqrt(1 - explained) * disturbance
        cov[effect] = cov @ b
        cov.loc[effect] = [*cov[effect], 1.0]
        latent[effect] = np.full(plan.n, np.nan)
        latent[effect][plan.user] = causes[effect]
    return latent


def indicators(plan: Plan, latent: Scores) -> Scores:
    """Scores of the items, and of the dimensions in between, from their loadings."""
    scores, unique = dict(latent), unique_parts(plan)
    for factor, loadings in plan.assumptions.model.loadings.items():
        for name, loading in loadings.items():
            scores[name] = loading * scores[factor] + np.sqrt(1 - loading**2) * unique[name]
    return scores


def unique_parts(plan: Plan) -> Scores:
    """What the factor of an indicator does not explain.

    It is shared in part with a paired indicator, and with the other of a doublet.
    """
    model, parts = plan.assumptions.model, {}
    partner = {b: a for a, b in [*model.paired_items, *model.paired_dimensions]}
    shared = model.paired_uniqueness
    for name in (name for loadings in model.loadings.values() for name in loadings):
        parts[name] = plan.normal(f"unique {name}")
        if name in partner:
            own = np.sqrt(1 - shared**2) * parts[name]
            parts[name] = shared * parts[partner[name]] + own
    for first, second, r in model.doublets:
        parts[second] = r * parts[first] + np.sqrt(1 - r**2) * parts[second]
    return parts


def other_scores(plan: Plan, latent: Scores, scores: Scores, covariates: DataFrame) -> Scores:
    """Scores of the questions outside the Gebruiksmodel."""
    other, found = plan.assumptions.other, {}
    size = covariates["size"].reindex(range(plan.n)).to_numpy()  # users only, as preparation is
    causes = [(other.preparation.culture, latent["culture"]), (other.preparation.size, size)]
    common = mix(plan, "preparation", causes)
    for item in plan.instrument.block("preparation"):
        found[item] = mix(plan, item, [(other.preparation.common, common)])
    for item in plan.instrument.block("expected"):
        use = np.nan_to_num(scores[item.replace("exp_", "use_")], nan=-1.5)  # non-users expect less
        around = (other.expected.environment, latent["environment"])
        found[item] = mix(plan, item, [(other.expected.use, use), around])
    for item in plan.missing:
        if item not in scores and item not in found:
            found[item] = plan.normal(item)
    return found


def mix(plan: Plan, name: str, causes: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """The sum of the causes times their effects, filled up with chance to a variance of 1.

    The causes are taken for independent.
    """
    rest = np.sqrt(max(0.0, 1 - sum(b * b for b, _ in causes)))
    return rest * plan.normal(name) + sum(b * score for b, score in causes)


def standardize(score: np.ndarray) -> np.ndarray:
    return (score - score.mean()) / score.std()
