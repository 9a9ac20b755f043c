"""Structural equation models in lavaan syntax on a pandas frame, with lavaan's numbers.

    model = sem.read_model("gebruiksmodel")
    fit = sem.fit(model, responses, estimator="MLR", missing="fiml")
    fit.estimates, fit.measures, fit.r_squared, fit.residuals, fit.problems

From the model file to the tables: spec (syntax) and layout (parameters of all groups), structure
(matrices, implied moments, derivatives), sample (rows, patterns of missing values, EM), normal
(likelihood) or ordinal and dwls (ordered variables), search (semopy, then Fisher scoring), inference
and saturated (standard errors, tests), measures, solution (tidy tables), checks and
identification (refusals), problems (warnings), formula (``:=``), effects, bootstrapping and
resampling (indirect effects and their intervals), compare and constraints (tests between models),
groups and group_paths (invariance, differences), modification (indices), sensitivity.
Reference: lavaan 0.6-14, see tests/reference.
"""

from semfit.effects.bootstrapping import Bootstrap, bootstrap
from semfit.effects.effects import effects_table, indirect_effects, monte_carlo
from semfit.example import two_factors as example_data
from semfit.fitting.fitting import ESTIMATORS, MISSING, Fit, fit
from semfit.messages import MESSAGES, render
from semfit.syntax.model import Model, read_model
from semfit.testing.compare import compare
from semfit.testing.constraints import score_tests, wald
from semfit.testing.group_paths import PathDifferences, path_differences
from semfit.testing.groups import Invariance, invariance, latent_means, measurement_model
from semfit.testing.sensitivity import sensitivity

__version__ = "0.1.0"

__all__ = [
    "ESTIMATORS",
    "MESSAGES",
    "MISSING",
    "Bootstrap",
    "Fit",
    "Invariance",
    "Model",
    "PathDifferences",
    "bootstrap",
    "compare",
    "effects_table",
    "example_data",
    "fit",
    "indirect_effects",
    "invariance",
    "latent_means",
    "measurement_model",
    "monte_carlo",
    "path_differences",
    "read_model",
    "render",
    "score_tests",
    "sensitivity",
    "wald",
]
