"""What an estimator is: one class, one file of this room, entered in `fitting.ESTIMATORS`.

`fit` asks it for its parts and puts them together:

    check       do the options of a fit go with it?
    prepare     layout, objective and where the search starts
    tests       covariance matrix of the estimates, test, baseline test, likelihoods
    tester      the test alone, for the same model with other equalities
    refit       the estimates alone, for resampled rows

What other rooms must know of an estimator is a property of it (`correction`, `ordered`, `fiml`), never
its name; what is particular to the function that it minimises stands in its `Objective`. So a new one
touches this room only: its class, its objective, its line in `fitting.ESTIMATORS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd

from semfit.fitting.estimates import Point
from semfit.fitting.inference import Test
from semfit.fitting.refits import Refit
from semfit.fitting.requirements import Selected
from semfit.fitting.search import Found
from semfit.fitting.starts import Start
from semfit.moments.objective import Objective
from semfit.syntax.model import Model
from semfit.syntax.ordered import Unit
from semfit.syntax.parameters import Layout

NONE, MEAN, MEAN_AND_VARIANCE = "none", "mean", "mean_and_variance"

Options: TypeAlias = Mapping[str, Any]  # what `fit` was called with, besides model and data
Tester: TypeAlias = Callable[[Objective, Layout, Found, int], Test]  # of (..., df)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What an estimator makes of a model and its rows, before the search."""

    layout: Layout
    objective: Objective
    start: Start


@dataclass(frozen=True, eq=False)
class Tested:
    """What an estimator makes of a solution; None where there is no solution.

    Attributes
    ----------
    df : int
    vcov : ndarray (k, k) or None
        None also where the model is not identified at the solution.
    test, baseline : inference.Test or None
    likelihood : tuple of float, optional
        Log-likelihood of the model and of the saturated one, given the covariates.
    """

    df: int
    vcov: np.ndarray | None = None
    test: Test | None = None
    baseline: Test | None = None
    likelihood: tuple[float, float] | None = None


class Estimator(ABC):
    """A way of fitting.

    Attributes
    ----------
    name : str
        As it is asked for.
    correction : {"none", "mean", "mean_and_variance"}
        What is corrected in its chi-square, and so which test two of its fits are compared by: none
        (their difference), the mean (Satorra-Bentler), both (scaled and shifted, Satorra 2000).
    ordered : bool
        It takes ordered variables as categories.
    fiml, pairwise : bool
        It can use rows with missing values: their likelihood, or what each pair of variables has.
    """

    name: str
    correction: str
    ordered: ClassVar[bool] = False
    fiml: ClassVar[bool] = False
    pairwise: ClassVar[bool] = False

    @property
    def corrected(self) -> bool:
        """Its chi-square and standard errors hold for variables that are not normal."""
        return self.correction != NONE

    def under_design(self, options: Options) -> Estimator:
        """Return what it becomes where rows have weights or clusters: what is robust to them."""
        return self

    def check(self, options: Options) -> None:
        """Refuse options that do not go with it."""
        if options["missing"] == "fiml" and not self.fiml:
            raise ValueError(
                f"{self.name} has no fiml: use missing='pairwise' or 'listwise', or estimator='MLR'."
            )
        if options["missing"] == "pairwise" and not self.pairwise:
            raise ValueError(
                f"missing='pairwise' is for estimator='WLSMV': use missing='fiml', by which "
                f"{self.name} takes rows with missing values as they are."
            )
        if options.get("information") and self.ordered:
            raise ValueError(
                f"information= is for ML and MLR: standard errors of {self.name} have one form only."
            )
        if options["ordered"] and not self.ordered:
            raise ValueError(
                f"ordered= is for estimator='WLSMV'; {self.name} takes variables as numbers."
            )
        unit = Unit(options["parameterization"], options["identification"])
        if unit != Unit() and not self.ordered:
            raise ValueError(
                f"parameterization= and identification= are about ordered variables; {self.name} has "
                "none: leave them out."
            )

    @abstractmethod
    def prepare(self, model: Model, selected: Selected, options: Options) -> Prepared:
        """Return what the search needs; refuse data and models that cannot be fitted."""

    @abstractmethod
    def tests(self, prepared: Prepared, found: Found) -> Tested:
        """Return what is known of the end of a search."""

    @abstractmethod
    def tester(self, layout: Layout, objective: Objective) -> Tester:
        """Return the function that tests the same model with other equalities."""

    @abstractmethod
    def refit(self, point: Point, objective: Objective, frames: Sequence[pd.DataFrame]) -> Refit:
        """Return what refits a solution to resampled rows of its groups."""
