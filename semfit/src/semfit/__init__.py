"""Structural equation models in lavaan syntax on a pandas frame, with lavaan's numbers.

    import semfit

    model = semfit.read_model("trust =~ t1 + t2 + t3; sales ~ trust + size")
    fit = semfit.fit(model, answers, estimator="MLR", missing="fiml")
    fit.estimates, fit.measures, fit.r_squared, fit.residuals, fit.problems

Every table is a tidy frame: one row per estimate, numbers that are numbers, names that are codes.
The rooms, from the bottom up:

syntax
    What the model says: `read_model`, the parameters of all groups, ``:=`` formulas, identification.
moments
    What the data and the model say of means, thresholds and covariances: complete rows, rows with
    missing values, ordered variables.
fitting
    `fit`: search, standard errors, test, measures, tables, and what is wrong with a solution.
testing
    Between models and groups: `compare`, `wald`, `score_tests`, `invariance`, `latent_means`,
    `path_differences`, `sensitivity`, `score_regressions`.
effects
    `effects_table`, `indirect_effects`, `monte_carlo`, `bootstrap`.
results
    A fit as one reads and uses it: `Fit.summary` (which ``print`` shows), `Fit.scores`; `simulate`
    and `power`.
reliability
    Scales: alpha, omega, item statistics, factors, validity; it uses moments only. Loaded when it is
    first asked for.

What a reader is told has a code: `MESSAGES` holds the English, `render` makes the text. References:
lavaan 0.6-14, semTools and psych; the tests compare every number with theirs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from semfit.effects.bootstrapping import Bootstrap, bootstrap
from semfit.effects.effects import effects_table, indirect_effects, monte_carlo
from semfit.example import two_factors as example_data
from semfit.fitting.fitting import ESTIMATORS, MISSING, Fit, fit
from semfit.fitting.measures import reported_column
from semfit.fitting.requirements import NoSolution
from semfit.messages import MESSAGES, render
from semfit.results.equations import equations, symbols
from semfit.results.power import Power, power
from semfit.results.simulation import simulate
from semfit.syntax.model import Model, read_model
from semfit.testing.compare import compare
from semfit.testing.constraints import score_tests, wald
from semfit.testing.group_paths import PathDifferences, path_differences
from semfit.testing.groups import Invariance, invariance, latent_means, measurement_model
from semfit.testing.sensitivity import score_regressions, sensitivity

if TYPE_CHECKING:
    from semfit import reliability

__version__ = "0.1.0"

__all__ = [
    "ESTIMATORS",
    "MESSAGES",
    "MISSING",
    "Bootstrap",
    "Fit",
    "Invariance",
    "Model",
    "NoSolution",
    "PathDifferences",
    "Power",
    "bootstrap",
    "compare",
    "effects_table",
    "equations",
    "example_data",
    "fit",
    "indirect_effects",
    "invariance",
    "latent_means",
    "measurement_model",
    "monte_carlo",
    "path_differences",
    "power",
    "read_model",
    "reliability",
    "render",
    "reported_column",
    "score_regressions",
    "score_tests",
    "sensitivity",
    "simulate",
    "symbols",
    "wald",
]


def __getattr__(name: str) -> Any:
    """Load the room of reliability when it is asked for: it takes statsmodels along."""
    if name == "reliability":
        return import_module("semfit.reliability")
    raise AttributeError(f"module 'semfit' has no attribute {name!r}")
