"""Structural equation models in lavaan syntax on a pandas frame, with lavaan's numbers.

    model = sem.read_model("gebruiksmodel")
    fit = sem.fit(model, responses, estimator="MLR", missing="fiml")
    fit.estimates, fit.measures, fit.r_squared, fit.residuals, fit.problems

From the model file to the tables: spec (syntax) and layout (parameters of all groups), structure
(matrices, implied moments, derivatives), sample (rows, patterns of missing values, EM), normal
(likelihood) or ordinal and dwls (ordered variables), search (semopy, then Fisher scoring), inference
and saturated (standard errors, tests), measures, solution (tidy tables), checks (refusals and
warnings), formula (``:=``). Reference: lavaan 0.6-14, see tests/reference.
"""

from mkb21.sem.fitting import ESTIMATORS, MISSING, Fit, fit
from mkb21.sem.spec import Model, read_model

__all__ = ["ESTIMATORS", "MISSING", "Fit", "Model", "fit", "read_model"]
