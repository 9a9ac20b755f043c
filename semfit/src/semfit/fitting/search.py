"""The search for the estimates: semopy's starting values and search, then Fisher scoring.

The one place that touches `semopy.Model` (2.3.11). semopy fits the model by maximum likelihood to
one covariance matrix (of all groups together; with missing values that of EM, with ordered variables
polychoric): that is where every search of this package begins. What is done differently from
semopy's defaults, because it would not equal lavaan: the parameters come from
`spec.parameter_table`; variances are not bounded at zero (a Heywood case must show); the result is
polished until the gradient is zero.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import semopy
from scipy.linalg import LinAlgError
from semopy.solver import Solver

from semfit.moments.implied import structural_observed

STEPS = 500
STALLED = 0.01, 50  # the search gives up when chi-square goes down less than this in so many steps
# squared distances to the solution, in units of sqrt(2/N) standard errors:
NEAR = 1e-2  # times 1/N: observed information takes over, at about .1 standard errors
CONVERGED = 1e-10  # from here on F is flat to rounding: steps are no longer checked
EXACT = 1e-18  # the search ends, or when steps stop getting shorter
LEAST = 1e-6  # eigenvalue of the correlations from which semopy starts
SEMOPY_OPTIONS = {"maxiter": 1000, "ftol": 1e-6}  # stops early: Fisher scoring ends the search


@dataclass(frozen=True, eq=False)
class Found:
    """The end of a search: theta (k,), steps of Fisher scoring, whether it converged."""

    theta: np.ndarray
    steps: int
    converged: bool


def find(objective, layout, cov, means, data=None, thresholds=None):
    """Return (Found, iterations of semopy): the estimates of a model.

    Fisher scoring from the end of semopy's search and, where that went astray, from its start.

    Parameters
    ----------
    objective : object
        See `scoring`.
    layout : parameters.Layout
    cov : ndarray (p, p)
        Of all groups together, for semopy.
    means, data, thresholds
        See `start_vector` and `load`.
    """
    ends, iterations = semopy_search(layout.model, cov, data)
    found = None
    for values in ends:
        again = scoring(objective, start_vector(layout, values, means, thresholds))
        if found is None or again.converged:
            found = again
        if found.converged:
            break
    return found, iterations


def scoring(objective, start):
    """Minimise a function by Fisher scoring with step halving, near the end by Newton's method.

    Expected information is safe far from the solution; near it, observed information needs a few
    steps where scoring of a model that fits badly needs dozens.

    Parameters
    ----------
    objective : object
        With value(theta), score(theta) -> (gradient, expected Hessian), n, the number of rows by
        which both are divided, and optionally observed_information(theta), half of the Hessian.
    start : ndarray (k,)

    Returns
    -------
    Found
    """
    theta, value = start, objective.value(start) / objective.n
    history, (least, back) = [], STALLED
    for step in range(STEPS):
        history.append(value * objective.n)
        if not np.isfinite(value) or (step > back and history[-back] - history[-1] < least):
            return Found(theta, step, False)
        move, distance = _move(objective, theta)
        if distance < CONVERGED:
            return _finish(objective, theta, move, distance, step)
        length, new = _halved(objective, theta, move, value)
        if length == 0:
            return Found(theta, step, False)
        theta, value = theta - length * move, new
    return Found(theta, STEPS, False)


def _finish(objective, theta, move, distance, step):
    """Go on while steps get shorter."""
    for last in range(step + 1, STEPS):
        theta = theta - move
        move, shorter = _move(objective, theta)
        if not EXACT < shorter < distance:
            return Found(theta, last, True)
        distance = shorter
    return Found(theta, STEPS, True)


def _move(objective, theta):
    """Return the step from theta, and the squared distance that it means."""
    gradient, hessian = (part / objective.n for part in objective.score(theta))
    move = newton_step(hessian, gradient)
    near = gradient @ move < NEAR / objective.n
    exact = objective.hessian(theta) if near else None
    if exact is not None and is_positive_definite(exact / objective.n):
        move = newton_step(exact / objective.n, gradient)
    return move, gradient @ move


def is_positive_definite(matrix):
    """Tell whether a Cholesky factor exists."""
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def newton_step(hessian, gradient):
    """Return H^-1 g; scaled first, so that the units of the variables do not matter."""
    scale = np.sqrt(np.diag(hessian))
    scale[~(scale > 0)] = 1
    scaled = hessian / np.outer(scale, scale)
    try:
        return np.linalg.solve(scaled + 1e-12 * np.eye(len(scale)), gradient / scale) / scale
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(scaled, gradient / scale, rcond=1e-12)[0] / scale


def _halved(objective, theta, move, value):
    """Return the first step length of 1, 1/2, 1/4 ... that lowers F, and that F; 0 if none does."""
    for length in 0.5 ** np.arange(25):
        new = objective.value(theta - length * move) / objective.n
        if new < value:
            return length, new
    return 0.0, value


# ---- semopy --------------------------------------------------------------------------------------


class CompleteModel(semopy.Model):
    """semopy's model with exactly the parameters of a `model.Model`, none added."""

    def __init__(self, model):
        self.spec = model
        super().__init__((_effects(model), defaultdict(list)), cov_diag=True)
        numbered = sorted(self.parameters.items(), key=lambda item: _place(item[0]))
        self.parameters = dict(numbered)

    def finalize_variable_classification(self, effects):
        """Put every variable where lavaan's matrices have it, in the order of the model.

        A residual covariance with a predictor belongs among the structural variables; semopy would
        put it among the measurement errors, where it does not travel along the paths.
        """
        structural = structural_observed(self.spec)
        self.vars["observed"] = list(self.spec.observed)
        self.vars["latent"] = set(self.spec.latents)
        self.vars["exogenous"] = set(self.spec.covariates)
        self.vars["output"] = set()
        self.vars["_output"] = set(self.spec.observed) - set(structural)
        self.vars["inner"] = [*self.spec.latents, *structural]

    def preprocess_effects(self, effects):
        """Add nothing: `spec.parameter_table` is complete."""

    def effect_measurement(self, items):
        """Enter loadings as they are; semopy looks for a marker, and loops for ever without one."""
        observed = {latent: _first_observed(latent, items, set()) for latent in items}
        self.first_manifs = {latent: name for latent, name in observed.items() if name}
        by_indicator = defaultdict(dict)
        for latent, loadings in items.items():
            for indicator, value in loadings.items():
                by_indicator[indicator][latent] = value
        self.effect_regression(by_indicator)


def semopy_parameters(model):
    """Return the free parameters that semopy knows, of covariances only, equal labels once."""
    table = model.parameters
    known = table["op"].isin(("=~", "~", "~~"))
    return tuple(dict.fromkeys(name for name in table["parameter"][known] if name))


def _effects(model):
    """Return the parameter table in the form that semopy's parser returns."""
    place = {name: i for i, name in enumerate(semopy_parameters(model))}
    effects = defaultdict(lambda: defaultdict(dict))
    for row in model.parameters.itertuples():
        if row.op not in ("=~", "~", "~~"):
            continue
        if row.exogenous:
            modifier = semopy.Model.symb_starting_values  # stays at the sample's value
        else:
            modifier = f"p{place[row.parameter]}" if row.parameter else row.value
        effects[row.op][row.lhs][row.rhs] = modifier
    return effects


def _place(name):
    """Return the place of parameter "p7"; semopy's own names (fixed ones, "_b1") come last."""
    return int(name[1:]) if name[1:].isdigit() else np.inf


def _first_observed(latent, loadings, seen):
    """Return the first observed indicator of a latent variable, of any order; None without one."""
    for name in loadings.get(latent, ()):
        if name not in loadings:
            return name
        if name not in seen:
            found = _first_observed(name, loadings, seen | {latent})
            if found:
                return found
    return None


def load(model, cov, data=None):
    """Return a `CompleteModel` that holds a covariance matrix and semopy's starting values.

    Parameters
    ----------
    model : model.Model
    cov : ndarray (p, p)
        In the order of ``model.observed``.
    data : DataFrame, optional
        For better starting values of loadings.
    """
    engine = CompleteModel(model)
    names = list(model.observed)
    engine.load(data=data, cov=pd.DataFrame(cov, names, names), n_samples=0)
    return engine


def semopy_search(model, cov, data=None):
    """Fit by semopy's own search, unbounded.

    `semopy.Model.fit` does the same with variances bounded at zero, which hides Heywood cases.

    Returns
    -------
    ends : list of dict of str to float
        Parameter to value: where the search ended, unless it went astray, and where it began.
    iterations : int
    """
    unit, factor = units(model, cov)
    scaled = replace(model, parameters=model.parameters.assign(value=lambda t: t["value"] / factor))
    observed = np.array([unit[name] for name in model.observed])
    correlations = well_conditioned(cov / np.outer(observed, observed))
    engine = load(scaled, correlations, None if data is None else data / observed)
    start, found, iterations = engine.param_vals.copy(), None, 0
    try:
        result = Solver(
            "SLSQP", engine.obj_mlw, engine.grad_mlw, start, options=dict(SEMOPY_OPTIONS)
        ).scipy_solve()
        found, iterations = result.x, int(result.n_it)
    except (LinAlgError, ValueError):
        pass
    better = found is not None and _discrepancy(engine, found) <= _discrepancy(engine, start)
    back = dict(zip(model.parameters["parameter"][::-1], factor[::-1], strict=True))
    names = semopy_parameters(model)
    return [
        {name: value * back[name] for name, value in zip(names, end, strict=True)}
        for end in ([found, start] if better else [start])
    ], iterations


def well_conditioned(correlations):
    """Return correlations, moved towards 0 as far as needed to be positive definite.

    Polychoric ones may be not; semopy would mend that in its own way, and log a warning.
    """
    lack = LEAST - np.linalg.eigvalsh(correlations)[0]
    weight = max(lack, 0) / (1 - LEAST + max(lack, 0))
    return (1 - weight) * correlations + weight * np.eye(len(correlations))


def units(model, cov):
    """Return the unit of each variable, and of each parameter, in which semopy searches.

    Its starting values are for variables with a variance near 1. An observed variable is counted in
    standard deviations, a latent one in those of its marker.
    """
    unit = dict(zip(model.observed, np.sqrt(np.diag(cov)), strict=True))
    table = model.parameters
    markers = table[(table["op"] == "=~") & (table["value"].fillna(0) != 0)]
    first = dict(zip(markers["lhs"][::-1], markers["rhs"][::-1], strict=True))
    for latent in model.latents:
        name, seen = latent, set()
        while name in first and name not in seen:
            seen.add(name)
            name = first[name]
        unit[latent] = unit.get(name, 1.0)
    lhs = table["lhs"].map(unit).to_numpy()
    rhs = table["rhs"].map(unit).fillna(1.0).to_numpy()
    factor = np.select(
        [table["op"] == "=~", table["op"] == "~~"], [rhs / lhs, rhs * lhs], lhs / rhs
    )
    return unit, factor


def _discrepancy(engine, theta):
    try:
        value = engine.obj_mlw(theta)
    except (LinAlgError, ValueError):
        return np.inf
    return value if np.isfinite(value) else np.inf


def start_vector(layout, values, means, thresholds=None):
    """Return starting values for every parameter of a layout.

    Parameters
    ----------
    layout : parameters.Layout
    values : dict
        One end of `semopy_search`, under the parameter names of the first group.
    means : list of ndarray (p,)
        Sample means of each group, for intercepts.
    thresholds : list of dict, optional
        (variable, "t1") to value, for each group.
    """
    base = {
        (row.lhs, row.op, row.rhs): values.get(row.parameter, row.value)
        for row in layout.model.parameters.itertuples()
    }
    observed, start = list(layout.model.observed), {}
    for g, group in enumerate(layout.groups):
        rows = layout.table[(layout.table["group"] == group) & (layout.table["parameter"] != "")]
        for row in rows.itertuples():
            if row.op == "~1":
                value = means[g][observed.index(row.lhs)] if row.lhs in observed else 0.0
            elif row.op == "|":
                value = thresholds[g][row.lhs, row.rhs]
            else:
                value = 1.0 if row.op == "~*~" else base[row.lhs, row.op, row.rhs]
            start.setdefault(row.parameter, value)
    return np.array([start[name] for name in layout.parameters])
