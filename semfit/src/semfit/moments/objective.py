"""What every way of fitting minimises: one interface, for the search, the tests and the tables.

Who needs something of a fit's objective calls a method here and never asks which kind it is:

    structures, samples, k, n           what is reported: matrices and rows of each group
    fitted                              the structures whose moments are compared with the data
    value, score, hessian, newton       of what is minimised, at a parameter vector
    floor                               the value of the saturated model: chi-square is value - floor
    information                         of the parameters (score tests, modification indices)
    untied                              the same, no parameter equal to another (score tests)
    with_layout                         the same data, other equalities (invariance)
    moments                             names and derivatives of the moments (nested models)
    matching                            the same model, another model's moments as data
    extended                            information with further parameters (modification indices)
    score_covariance                    of the score, where rows have weights or clusters
    group_fits, latent_covs             moments of each group (measures, residuals, problems)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from semfit.moments.implied import Derivatives, Structure
from semfit.moments.sample import GroupFit
from semfit.syntax.model import Model
from semfit.syntax.parameters import Layout

Names: TypeAlias = list[list[tuple]]  # what each moment is, group by group

DIFFERENCE = 1e-5  # of a parameter, in units of its information per row


class Objective(ABC):
    """A function of the free parameters that a fit minimises.

    Attributes
    ----------
    structures : list of implied.Structure
        Of each group, with the sample moments of the covariates: what is reported.
    samples : list
        Of each group, with `n`, `complete` and `em_steps` at least.
    k, n : int
        Number of parameters, and of rows.
    newton : bool
        The exact Hessian costs so little that the last steps of a search use it.
    """

    structures: list[Structure]
    samples: list[Any]
    k: int
    n: int
    newton: ClassVar[bool] = False

    @property
    def fitted(self) -> list[Structure]:
        """The structures whose moments are compared with the data."""
        return self.structures

    @property
    def em_steps(self) -> int:
        """Most steps of EM in a group; 0 where no value is missing."""
        return max(sample.em_steps for sample in self.samples)

    @property
    def em_failed(self) -> bool:
        """EM did not end in a group: the saturated moments are not known."""
        return any(sample.em_steps < 0 for sample in self.samples)

    @abstractmethod
    def value(self, theta: np.ndarray) -> float:
        """Return the value, infinity where a covariance matrix is improper."""

    @abstractmethod
    def score(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient (k,), and a Hessian (k, k) that is safe far from the solution."""

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """Return the exact Hessian; here by central differences of the gradient."""
        scale = np.sqrt(np.diag(self.score(theta)[1]) / self.n)
        steps = DIFFERENCE / np.where(scale > 0, scale, 1.0)
        rows = [
            (self.score(theta + step)[0] - self.score(theta - step)[0]) / (2 * step.max())
            for step in np.diag(steps)
        ]
        return (np.array(rows) + np.array(rows).T) / 2

    def floor(self) -> float:
        """Return the value of the saturated model: chi-square is what lies above it."""
        return 0.0

    def information(self, theta: np.ndarray) -> np.ndarray:
        """Return the expected information, of all rows: (k, k)."""
        return self.score(theta)[1] / 2

    @property
    def designed(self) -> bool:
        """Whether rows have weights or clusters: tests of the score then rest on its covariance."""
        return not all(sample.design.simple for sample in self.samples)

    @abstractmethod
    def score_covariance(self, theta: np.ndarray) -> np.ndarray:
        """Return the covariance matrix of the score, from what was drawn independently: (k, k)."""

    @abstractmethod
    def extended_covariance(
        self, place: int, theta: np.ndarray, new: Derivatives, reach: np.ndarray
    ) -> np.ndarray:
        """Return the covariance matrix of the score with further parameters of a group.

        As the information of `extended`: (r + c, r + c).
        """

    def untied(self) -> Self:
        """Return a copy in which each free row of the table has a parameter of its own."""
        other = copy(self)
        other.structures, other.k = untie(self.structures)
        return other

    @abstractmethod
    def with_layout(self, layout: Layout) -> Self:
        """Return the objective of the same data for another layout of the model."""

    @abstractmethod
    def group_fits(self, theta: np.ndarray) -> list[GroupFit]:
        """Return the sample and implied moments of each group."""

    def latent_covs(self, theta: np.ndarray) -> list[np.ndarray]:
        """Return the implied covariance matrix of the latent variables of each group."""
        return [s.implied(theta).latent_cov[: s.n_latent, : s.n_latent] for s in self.structures]

    @abstractmethod
    def moments(self, model: Model, theta: np.ndarray) -> tuple[Names, list[np.ndarray]]:
        """Return what each modelled moment is, and its derivatives (q, k), group by group."""

    @abstractmethod
    def matching(self, other: Self, theta: np.ndarray) -> Self:
        """Return this model's objective with what `other` implies at `theta` as its data."""

    @abstractmethod
    def extended(
        self, place: int, theta: np.ndarray, new: Derivatives, reach: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what further parameters of a group would do.

        Parameters
        ----------
        place : int
            Of the group.
        theta : ndarray (k,)
        new : implied.Derivatives
            Of the c further parameters.
        reach : ndarray (m, c)
            What they do to total effects is u reach'.

        Returns
        -------
        score : ndarray (c,)
            Gradient of the log-likelihood (or what stands for it) to them.
        information : ndarray (r + c, r + c)
            Of the group's r free rows, then of them.
        """


def untie(structures: Sequence[Structure]) -> tuple[list[Structure], int]:
    """Return copies of structures in which each free row has its own parameter, and their number."""
    start, result = 0, []
    for structure in structures:
        own = copy(structure)
        own.which = start + np.arange(len(structure.free))
        result.append(own)
        start += len(structure.free)
    return result, start


def deltas_of(structures: Sequence[Structure], rows: Sequence[np.ndarray], k: int) -> list:
    """Return derivatives to the k parameters, (q, k) of each group, from those to free rows."""
    result = []
    for structure, own in zip(structures, rows, strict=True):
        delta = np.zeros((len(own), k), dtype=own.dtype)
        if len(np.unique(structure.which)) == len(structure.which):
            delta[:, structure.which] = own
        else:
            np.add.at(delta.T, structure.which, own.T)
        result.append(delta)
    return result
