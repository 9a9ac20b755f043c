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

from mkb21.sem.bootstrapping import Bootstrap, bootstrap
from mkb21.sem.compare import compare, compare_models
from mkb21.sem.constraints import score_tests, wald
from mkb21.sem.effects import effects, indirect_effects, monte_carlo
from mkb21.sem.fitting import ESTIMATORS, MISSING, Fit, fit
from mkb21.sem.group_paths import PathDifferences, path_differences
from mkb21.sem.groups import Invariance, invariance, latent_means, measurement_model
from mkb21.sem.sensitivity import sensitivity
from mkb21.sem.spec import Model, read_model

__all__ = [
    "ESTIMATORS",
    "MISSING",
    "Bootstrap",
    "Fit",
    "Invariance",
    "Model",
    "PathDifferences",
    "bootstrap",
    "compare",
    "compare_models",
    "effects",
    "fit",
    "indirect_effects",
    "invariance",
    "latent_means",
    "measurement_model",
    "monte_carlo",
    "path_differences",
    "read_model",
    "score_tests",
    "sensitivity",
    "wald",
]
