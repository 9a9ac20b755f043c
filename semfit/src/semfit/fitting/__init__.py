"""Estimators, search, standard errors, tests, fit measures, and what is wrong with a solution."""
