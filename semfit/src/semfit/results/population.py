"""What rows are drawn from: the moments of each group, of a fit or of a model with its values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from semfit.fitting.fitting import Fit
from semfit.fitting.requirements import check_solution
from semfit.moments.implied import THRESHOLD, Structure
from semfit.syntax.model import Model, read_model
from semfit.syntax.parameters import Layout, lay_out

DEFAULT = {"~~": (1.0, 0.0), "~1": (0.0, 0.0), "~*~": (1.0, 1.0)}  # of one variable, of two


@dataclass(frozen=True, eq=False)
class Population:
    """A multivariate normal population of each group, cut into categories where it is ordered.

    Attributes
    ----------
    names : tuple of str
    covariates : tuple of str
    groups : tuple of str
    cov, mean : list of ndarray (p, p), (p,)
    thresholds : list of dict of str to ndarray
        Of the ordered variables.
    levels : dict of str to ndarray
        The value of each category.
    """

    names: tuple[str, ...]
    covariates: tuple[str, ...]
    groups: tuple[str, ...]
    cov: list[np.ndarray]
    mean: list[np.ndarray]
    thresholds: list[dict[str, np.ndarray]]
    levels: dict[str, np.ndarray]


def population_of(source: Fit | Model | str | Path) -> Population:
    """Return the population of a fit, or of a model whose parameters have values."""
    if isinstance(source, Fit):
        check_solution(source, "simulate")
        levels = {name: np.unique(source.rows[name].dropna()) for name in source.layout.ordered}
        return _population(source.layout, source.point.structures, source.point.theta, levels)
    model = source if isinstance(source, Model) else read_model(source)
    return _of_model(model)


def _population(
    layout: Layout, structures: list[Structure], theta: np.ndarray, levels: dict[str, np.ndarray]
) -> Population:
    covs, means, thresholds = [], [], []
    for structure in structures:
        found = structure.implied(theta)
        cuts = {}
        for name in layout.ordered:
            rows = structure.kind == THRESHOLD
            rows &= structure.row == structure.observed.index(name)
            cuts[name] = found.values[rows][np.argsort(structure.column[rows])]
        covs.append(found.cov)
        means.append(found.mean)
        thresholds.append(cuts)
    model = layout.model
    population = Population(
        model.observed, model.covariates, layout.groups, covs, means, thresholds, levels
    )
    _check(population)
    return population


def _check(population: Population) -> None:
    """Refuse covariances that no variables have, and thresholds that do not rise."""
    for cov, cuts, label in zip(
        population.cov, population.thresholds, population.groups, strict=True
    ):
        here = f" in group {label}" if label else ""
        smallest = np.linalg.eigvalsh(cov)[0]
        if not smallest > -1e-8 * np.abs(np.diag(cov)).max():
            raise ValueError(
                f"The population{here} is improper: its covariance matrix has an eigenvalue of "
                f"{smallest:.3g}. Look for loadings that are too large for a variance, or a variance "
                "below 0."
            )
        for name, values in cuts.items():
            if (np.diff(values) <= 0).any():
                raise ValueError(f"The thresholds of {name!r}{here} must rise, from t1 on.")


# ---- of a model with values ----------------------------------------------------------------------


def _of_model(model: Model) -> Population:
    """Return the population of a model; `simulation.simulate` says what is 0 or 1 by default."""
    if model.constraints:
        raise ValueError(
            f"A population has values, no constraints: {model.constraints[0].text!r}; write the value."
        )
    n_groups = _number_of_groups(model)
    groups = tuple(str(g + 1) for g in range(n_groups)) if n_groups > 1 else ("",)
    cut = model.parameters[model.parameters["op"] == "|"]
    thresholds = {name: int(n) for name, n in cut.groupby("lhs", sort=False).size().items()}
    layout = lay_out(model, groups, True, thresholds=thresholds or None)
    theta = np.zeros(len(layout.parameters))
    known = np.zeros(len(theta), dtype=bool)
    place = {name: i for i, name in enumerate(layout.parameters)}
    for row in layout.table[layout.table["parameter"] != ""].itertuples():
        value = _value(row)
        i = place[row.parameter]
        if known[i] and value != theta[i]:
            raise ValueError(
                f"Two values for parameters that are equal, of label {row.label!r}: give one."
            )
        theta[i], known[i] = value, True
    p = len(model.observed)
    structures = [Structure(layout, g, np.eye(p), np.zeros(p)) for g in range(n_groups)]
    levels = {name: np.arange(1.0, n + 2) for name, n in thresholds.items()}
    return _population(layout, structures, theta, levels)


def _value(row: pd.Series) -> float:
    """Return the value of a free parameter: where it starts, else its default."""
    if not np.isnan(row.start):
        return float(row.start)
    if row.op not in DEFAULT:
        written = f"{row.lhs} {row.op} {row.rhs}"
        raise ValueError(
            f"{written!r} has no value: write a number before it, as '{row.lhs} {row.op} "
            f"0.5*{row.rhs}'."
        )
    return DEFAULT[row.op][row.lhs != row.rhs]


def _number_of_groups(model: Model) -> int:
    """Return the number of groups that the modifiers of a model have values for."""
    parts = [
        values
        for term in model.terms
        for values in (term.modifier.fixed, term.modifier.start, term.modifier.label)
    ]
    blocks = {term.block for term in model.terms if term.block}
    return max([len(blocks), 1, *map(len, parts)])
