"""All that semfit has from semopy (2.3.11): a second opinion on where a search may begin.

The only file that imports semopy; it is imported itself when a search has found no proven minimum from
its own starts, hardly ever, and then mostly because there is none. semopy stays because it is the
package that this project was asked to build on, and because its starting values and quick search come
from another way of thinking. Its parser is not used any more: models are read by `grammar`, which reads
all of lavaan's syntax. What is reported never comes from semopy: `search` goes on by its own steps until
the gradient is zero.

What is done differently from semopy's defaults, because it would not equal lavaan: the parameters
come from `model.parameter_table`; variances are not bounded at zero (a Heywood case must show).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
import semopy
from scipy.linalg import LinAlgError
from semopy.solver import Solver

OPTIONS = {"maxiter": 1000, "ftol": 1e-6}  # stops early: Fisher scoring ends the search

Effects: TypeAlias = dict[str, dict[str, dict[str, Any]]]  # operator, lhs, rhs -> modifier


class Described(Protocol):
    """What is needed of a `model.Model`."""

    @property
    def observed(self) -> tuple[str, ...]:
        """Observed variables."""

    @property
    def latents(self) -> tuple[str, ...]:
        """Latent variables."""

    @property
    def covariates(self) -> tuple[str, ...]:
        """Observed variables that nothing predicts."""

    @property
    def parameters(self) -> pd.DataFrame:
        """The table of parameters."""


class CompleteModel(semopy.Model):
    """semopy's model with exactly the parameters of a `model.Model`, none added."""

    parameters: dict[str, Any]

    def __init__(self, model: Described, structural: Sequence[str]) -> None:
        self.spec, self.structural_names = model, structural
        super().__init__((_effects(model), defaultdict(list)), cov_diag=True)
        numbered = sorted(self.parameters.items(), key=lambda item: _place(item[0]))
        self.parameters = dict(numbered)

    def finalize_variable_classification(self, effects: Effects) -> None:
        """Put every variable where lavaan's matrices have it, in the order of the model.

        A residual covariance with a predictor belongs among the structural variables; semopy would
        put it among the measurement errors, where it does not travel along the paths.
        """
        structural = self.structural_names
        self.vars["observed"] = list(self.spec.observed)
        self.vars["latent"] = set(self.spec.latents)
        self.vars["exogenous"] = set(self.spec.covariates)
        self.vars["output"] = set()
        self.vars["_output"] = set(self.spec.observed) - set(structural)
        self.vars["inner"] = [*self.spec.latents, *structural]

    def preprocess_effects(self, effects: Effects) -> None:
        """Add nothing: `model.parameter_table` is complete."""

    def effect_measurement(self, items: Mapping[str, Mapping[str, Any]]) -> None:
        """Enter loadings as they are; semopy looks for a marker, and loops for ever without one."""
        observed = {latent: _first_observed(latent, items, set()) for latent in items}
        self.first_manifs = {latent: name for latent, name in observed.items() if name}
        by_indicator: dict[str, dict[str, Any]] = defaultdict(dict)
        for latent, loadings in items.items():
            for indicator, value in loadings.items():
                by_indicator[indicator][latent] = value
        self.effect_regression(by_indicator)


def semopy_parameters(model: Described) -> tuple[str, ...]:
    """Return the free parameters that semopy knows, of covariances only, equal labels once."""
    table = model.parameters
    known = table["op"].isin(("=~", "~", "~~"))
    return tuple(dict.fromkeys(name for name in table["parameter"][known] if name))


def _effects(model: Described) -> Effects:
    """Return the parameter table in the form that semopy takes."""
    place = {name: i for i, name in enumerate(semopy_parameters(model))}
    effects: Effects = defaultdict(lambda: defaultdict(dict))
    for row in model.parameters.itertuples():
        if row.op not in ("=~", "~", "~~"):
            continue
        if row.exogenous:
            modifier: Any = semopy.Model.symb_starting_values  # stays at the sample's value
        else:
            modifier = f"p{place[row.parameter]}" if row.parameter else row.value
        effects[row.op][row.lhs][row.rhs] = modifier
    return effects


def _place(name: str) -> float:
    """Return the place of parameter "p7"; semopy's own names (fixed ones, "_b1") come last."""
    return int(name[1:]) if name[1:].isdigit() else np.inf


def _first_observed(latent: str, loadings: Mapping[str, Any], seen: set[str]) -> str | None:
    """Return the first observed indicator of a latent variable, of any order; None without one."""
    for name in loadings.get(latent, ()):
        if name not in loadings:
            return name
        if name not in seen:
            found = _first_observed(name, loadings, seen | {latent})
            if found:
                return found
    return None


def load(model: Described, structural: Sequence[str], cov: np.ndarray) -> CompleteModel:
    """Return a `CompleteModel` that holds a covariance matrix and semopy's starting values.

    Parameters
    ----------
    model : model.Model
    structural : sequence of str
        Observed variables that are structural ones; see `implied.structural_observed`.
    cov : ndarray (p, p)
        In the order of ``model.observed``.
    """
    engine = CompleteModel(model, structural)
    names = list(model.observed)
    engine.load(cov=pd.DataFrame(cov, names, names), n_samples=0)
    return engine


def search(model: Described, structural: Sequence[str], cov: np.ndarray) -> list[np.ndarray]:
    """Fit by semopy's own search, unbounded, in its units; see `load`.

    `semopy.Model.fit` does the same with variances bounded at zero, which hides Heywood cases.

    Returns
    -------
    ends : list of ndarray
        In the order of `semopy_parameters`: where the search ended, unless it went astray, and where
        it began.
    """
    engine = load(model, structural, cov)
    start = engine.param_vals.copy()
    found: np.ndarray | None = None
    try:
        result = Solver(
            "SLSQP", engine.obj_mlw, engine.grad_mlw, start, options=dict(OPTIONS)
        ).scipy_solve()
        found = result.x
    except (LinAlgError, ValueError):
        pass
    if found is not None and _discrepancy(engine, found) <= _discrepancy(engine, start):
        return [found, start]
    return [start]


def _discrepancy(engine: CompleteModel, theta: np.ndarray) -> float:
    try:
        value = engine.obj_mlw(theta)
    except (LinAlgError, ValueError):
        return np.inf
    return value if np.isfinite(value) else np.inf
