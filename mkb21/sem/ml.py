"""Maximum likelihood: semopy's matrices and fit, finished by Fisher scoring.

The one place that touches `semopy.Model` (2.3.11). What is done differently from its defaults,
because it would not equal lavaan: the parameters come from `spec.parameter_table`; variances are
not bounded at zero (a Heywood case must show); the result is polished until the gradient is zero.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import semopy
from scipy.linalg import LinAlgError
from semopy.solver import Solver

POLISH_STEPS = 200
POLISH_TOLERANCE = 1e-14  # squared distance to the solution, in units of sqrt(2/N) standard errors
SEMOPY_OPTIONS = {"maxiter": 1000, "ftol": 1e-6}  # stops early: Fisher scoring ends the search


@dataclass(frozen=True, eq=False)
class Sample:
    """Complete rows and their moments; `cov` divides by n, as maximum likelihood does."""

    data: pd.DataFrame = field(repr=False)
    n: int
    cov: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Solution:
    """A fitted parameter vector.

    Attributes
    ----------
    theta : ndarray (k,)
        Free parameters, in the order of `parameters`.
    parameters : tuple of str
        Their names.
    discrepancy : float
        F = log|Sigma| + tr(S Sigma^-1) - log|S| - p at `theta`.
    gradient : float
        Largest absolute element of dF/dtheta.
    sigma, latent_cov : ndarray
        Implied covariances of the observed and of the latent variables.
    vcov : ndarray (k, k)
        Inverse expected information; all NaN if not converged or not invertible.
    converged : bool
    identified : bool
        The information can be inverted at the solution.
    semopy_iterations, polish_steps : int
    """

    theta: np.ndarray
    parameters: tuple
    discrepancy: float
    gradient: float
    sigma: np.ndarray
    latent_cov: np.ndarray
    vcov: np.ndarray
    converged: bool
    identified: bool
    semopy_iterations: int
    polish_steps: int


class CompleteModel(semopy.Model):
    """semopy's model with exactly the parameters of a `spec.Model`, none added."""

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
        structural = _structural_observed(self.spec)
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


def free_parameters(model):
    """Return the names of the free parameters in the order of the table, equal labels once."""
    return tuple(dict.fromkeys(name for name in model.parameters["parameter"] if name))


def _effects(model):
    """Return the parameter table in the form that semopy's parser returns."""
    place = {name: i for i, name in enumerate(free_parameters(model))}
    effects = defaultdict(lambda: defaultdict(dict))
    for row in model.parameters.itertuples():
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


def _structural_observed(model):
    """Return observed variables that take part in ``~``, or covary with a latent or such a one."""
    table = model.parameters
    paths = table[table["op"] == "~"]
    inner = {*paths["lhs"], *paths["rhs"], *model.covariates, *model.latents}
    loose = table[(table["op"] == "~~") & (table["lhs"] != table["rhs"])]
    grew = True
    while grew:
        touched = loose[loose["lhs"].isin(inner) | loose["rhs"].isin(inner)]
        grown = inner | {*touched["lhs"], *touched["rhs"]}
        grew, inner = len(grown) > len(inner), grown
    return [name for name in model.observed if name in inner]


def sample_of(model, complete):
    """Return the `Sample` of complete rows (DataFrame with the observed variables of `model`)."""
    data = complete[list(model.observed)]
    return Sample(data, len(data), np.atleast_2d(np.cov(data.to_numpy().T, bias=True)))


def load(model, cov, data=None):
    """Return a `CompleteModel` that holds a covariance matrix and semopy's starting values.

    Parameters
    ----------
    model : spec.Model
    cov : ndarray (p, p)
        In the order of ``model.observed``.
    data : DataFrame, optional
        For better starting values of loadings.
    """
    engine = CompleteModel(model)
    names = list(model.observed)
    engine.load(data=data, cov=pd.DataFrame(cov, names, names), n_samples=0)
    return engine


def implied(engine, theta):
    """Return model-implied covariances of observed and of latent variables; `theta` may be complex.

    Sigma = L (I-B)^-1 Psi (I-B)^-T L' + Theta, as `semopy.Model.calc_sigma`, which is real only.
    """
    matrices = [matrix.astype(theta.dtype) for matrix in engine.matrices]
    for matrix, (where, which) in zip(matrices, engine.param_ranges, strict=True):
        if where:
            matrix[where] = theta[which]
    beta, loadings, psi, residual = matrices
    total = np.linalg.inv(np.eye(len(beta)) - beta)
    structural = total @ psi @ total.T
    latent = slice(0, len(engine.spec.latents))
    return loadings @ structural @ loadings.T + residual, structural[latent, latent]


def jacobian(engine, theta):
    """Return (Sigma, dSigma): the implied covariance (p, p) and its derivatives (k, p, p)."""
    engine.update_matrices(theta)
    sigma, helpers = engine.calc_sigma()
    return sigma, np.array(engine.calc_sigma_grad(*helpers)).reshape(len(theta), *sigma.shape)


def discrepancy(engine, theta, cov):
    """Return F = log|Sigma| + tr(S Sigma^-1) - log|S| - p, or infinity if Sigma is improper."""
    sigma, _ = implied(engine, theta)
    try:
        half = np.linalg.inv(np.linalg.cholesky(sigma))
    except LinAlgError:
        return np.inf
    whitened = half @ cov @ half.T
    value = np.trace(whitened) - np.linalg.slogdet(whitened)[1] - len(cov)
    return value if np.isfinite(value) else np.inf


def score(engine, theta, cov):
    """Return the gradient of F and its expected Hessian, each per unit of F.

    With whitened derivatives D_i = C^-1 dSigma_i C^-T, Sigma = C C':
    dF_i = tr[D_i (I - C^-1 S C^-T)], H_ij = tr[D_i D_j]; information = N/2 H.
    """
    sigma, derivatives = jacobian(engine, theta)
    half = np.linalg.inv(np.linalg.cholesky(sigma))
    flat = (half @ derivatives @ half.T).reshape(len(theta), -1)
    misfit = np.eye(len(cov)) - half @ cov @ half.T
    return flat @ misfit.ravel(), flat @ flat.T


def maximise(engine, sample):
    """Fit by maximum likelihood.

    Parameters
    ----------
    engine : CompleteModel
        From `load`.
    sample : Sample

    Returns
    -------
    Solution
        R: ``lavaan::sem(text, data)``; `vcov` as ``vcov(fit)`` (expected information).
    """
    start, iterations = _semopy_fit(engine, sample.cov)
    theta, steps, converged = _polish(engine, start, sample.cov)
    return _solution(engine, theta, sample, converged, iterations, steps)


def _semopy_fit(engine, cov):
    """Run semopy's own search, unbounded; fall back on its starting values when it goes astray.

    `semopy.Model.fit` does the same with variances bounded at zero, which hides Heywood cases.
    """
    start = engine.param_vals.copy()
    try:
        result = Solver(
            "SLSQP", engine.obj_mlw, engine.grad_mlw, start, options=dict(SEMOPY_OPTIONS)
        ).scipy_solve()
    except (LinAlgError, ValueError):
        return start, 0
    better = discrepancy(engine, result.x, cov) <= discrepancy(engine, start, cov)
    return (result.x if better else start), int(result.n_it)


def _polish(engine, theta, cov):
    """Fisher scoring with step halving; return (theta, steps, converged)."""
    value = discrepancy(engine, theta, cov)
    for step in range(POLISH_STEPS):
        if not np.isfinite(value):
            return theta, step, False
        gradient, hessian = score(engine, theta, cov)
        move = _step(hessian, gradient)
        if gradient @ move < POLISH_TOLERANCE:
            return theta, step, True
        length, new = _halved(engine, theta, move, cov, value)
        if length == 0:  # no shorter step helps: at the limit of rounding, or lost
            return theta, step, bool(gradient @ move < 1e-10)
        theta, value = theta - length * move, new
    return theta, POLISH_STEPS, False


def _step(hessian, gradient):
    """Return H^-1 g; scaled first, so that the units of the variables do not matter."""
    scale = np.sqrt(np.diag(hessian))
    scale[scale == 0] = 1
    scaled = hessian / np.outer(scale, scale)
    return np.linalg.lstsq(scaled, gradient / scale, rcond=1e-12)[0] / scale


def _halved(engine, theta, move, cov, value):
    """Return the first step length of 1, 1/2, 1/4 ... that lowers F, and that F; 0 if none does."""
    for length in 0.5 ** np.arange(25):
        new = discrepancy(engine, theta - length * move, cov)
        if new < value:
            return length, new
    return 0.0, value


def _solution(engine, theta, sample, converged, iterations, steps):
    sigma, latent_cov = implied(engine, theta)
    vcov, identified = np.full((len(theta),) * 2, np.nan), False
    gradient = np.full(len(theta), np.nan)
    if np.isfinite(discrepancy(engine, theta, sample.cov)):
        gradient, hessian = score(engine, theta, sample.cov)
        identified = _invertible(hessian)
        if converged and identified:
            vcov = np.linalg.inv(hessian * sample.n / 2)
    return Solution(
        theta,
        free_parameters(engine.spec),
        discrepancy(engine, theta, sample.cov),
        float(np.abs(gradient).max()),
        sigma,
        latent_cov,
        vcov,
        converged,
        identified,
        iterations,
        steps,
    )


def _invertible(hessian):
    """Tell whether a matrix is positive definite once its diagonal is scaled to 1."""
    scale = np.sqrt(np.diag(hessian))
    if not np.all(scale > 0):
        return False
    return bool(np.linalg.eigvalsh(hessian / np.outer(scale, scale)).min() > 1e-9)
