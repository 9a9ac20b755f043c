"""The moments that a solution implies, of each group."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from semfit.fitting.fitting import Fit
from semfit.fitting.requirements import check_solution
from semfit.moments.implied import THRESHOLD, Implied, Structure


@dataclass(frozen=True, eq=False)
class ImpliedMoments:
    """What a solution implies for a group.

    Attributes
    ----------
    cov, mean : DataFrame (p, p), Series (p,)
        Of the observed variables; of an ordered one, of the response behind its categories, in the
        unit of its thresholds and loadings (lavaan multiplies by the ~*~ scales of later groups).
        Without a mean structure, means are the sample's.
    latent_cov, latent_mean : DataFrame (m, m), Series (m,)
        Of the latent variables.
    cross_cov : DataFrame (p, m)
        Covariances of observed with latent variables.
    thresholds : Series
        Of the ordered variables, named x|t1; empty without.
    """

    cov: pd.DataFrame = field(repr=False)
    mean: pd.Series = field(repr=False)
    latent_cov: pd.DataFrame = field(repr=False)
    latent_mean: pd.Series = field(repr=False)
    cross_cov: pd.DataFrame = field(repr=False)
    thresholds: pd.Series = field(repr=False)


def implied(fit: Fit, group: str | None = None) -> ImpliedMoments:
    """Return the moments that a solution implies for a group; see `Fit.implied`."""
    check_solution(fit, "implied moments")
    return moments_of(fit, place_of(fit, group))


def place_of(fit: Fit, group: str | None) -> int:
    """Return the place of a group; the only one if there is one."""
    if group is None and len(fit.groups) == 1:
        return 0
    if group is None or str(group) not in fit.groups:
        raise ValueError(
            f"group={group!r}: name one of the groups of this fit: {', '.join(fit.groups)}."
        )
    return fit.groups.index(str(group))


def moments_of(fit: Fit, g: int) -> ImpliedMoments:
    """Return the moments of the group at a place."""
    structure = fit.point.structures[g]
    found = structure.implied(fit.point.theta)
    observed, k = list(structure.observed), structure.n_latent
    latents = list(structure.structural[:k])
    cut = structure.kind == THRESHOLD
    names = [f"{observed[i]}|t{j + 1}" for i, j in zip(*_where(structure, cut), strict=True)]
    return ImpliedMoments(
        cov=pd.DataFrame(found.cov, observed, observed),
        mean=pd.Series(found.mean, observed),
        latent_cov=pd.DataFrame(found.latent_cov[:k, :k], latents, latents),
        latent_mean=pd.Series(structural_mean(structure, found)[:k], latents),
        cross_cov=pd.DataFrame(found.cross_cov[:, :k], observed, latents),
        thresholds=pd.Series(found.values[cut], names, dtype=float),
    )


def _where(structure: Structure, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return structure.row[rows], structure.column[rows]


def structural_mean(structure: Structure, found: Implied) -> np.ndarray:
    """Return the means of the structural variables: (m,).

    Where means are not modelled, those of observed variables are the sample's, and a latent variable
    has what they predict.
    """
    if structure.mean_structure:
        return found.latent_mean
    alpha = np.zeros(structure.m)
    for i in structure.exogenous_places:
        alpha[i] = structure.sample_mean[structure.observed.index(structure.structural[i])]
    return found.inverse @ alpha
