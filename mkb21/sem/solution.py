"""Tidy results of a solution: estimates, standardised estimates, defined effects, R2, residuals."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from mkb21.sem.formula import evaluate
from mkb21.sem.ml import implied

Z95 = norm.ppf(0.975)
STEP = 1e-20  # of the complex-step derivative: exact to rounding, as nothing is subtracted
NO_VARIATION = 1e-8  # a smaller standard error is that of a constant (a latent variance of 1)


def estimate_table(engine, solution):
    """Return every parameter with its raw and fully standardised estimate.

    Parameters
    ----------
    engine : ml.CompleteModel
    solution : ml.Solution

    Returns
    -------
    DataFrame
        lhs, op, rhs, label, free, estimate, se, z, p, ci_low, ci_high (95 %), std_all, std_se,
        std_ci_low, std_ci_high. What is fixed or constant has no se, z, p or interval (NaN).
        R: ``parameterEstimates(fit, standardized = TRUE)`` and ``standardizedSolution(fit)``
        (delta-method standard errors).
    """
    table = engine.spec.parameters
    raw = _wald(*_delta(row_values(engine), solution))
    std = _wald(*_delta(standardised_values(engine), solution))
    std = std.rename(
        columns={
            "estimate": "std_all",
            "se": "std_se",
            "ci_low": "std_ci_low",
            "ci_high": "std_ci_high",
        }
    )
    free = (table["parameter"] != "").rename("free")
    return pd.concat(
        [
            table[["lhs", "op", "rhs", "label"]],
            free,
            raw,
            std[["std_all", "std_se", "std_ci_low", "std_ci_high"]],
        ],
        axis=1,
    )


def defined_table(engine, solution):
    """Return the ``:=`` effects with delta-method standard errors.

    Returns
    -------
    DataFrame
        name, formula, estimate, se, z, p, ci_low, ci_high, std_all (the formula at the
        standardised estimates), std_se. R: the ``:=`` rows of ``parameterEstimates(fit)`` and
        ``standardizedSolution(fit)``.
    """
    definitions = engine.spec.definitions
    if not definitions:
        return pd.DataFrame(
            columns=[
                "name",
                "formula",
                "estimate",
                "se",
                "z",
                "p",
                "ci_low",
                "ci_high",
                "std_all",
                "std_se",
            ]
        )
    raw = _wald(*_delta(_defined_values(engine, row_values(engine)), solution))
    std = _wald(*_delta(_defined_values(engine, standardised_values(engine)), solution))
    names = pd.DataFrame(list(definitions), columns=["name", "formula"])
    std = std[["estimate", "se"]].set_axis(["std_all", "std_se"], axis=1)
    return pd.concat([names, raw, std], axis=1)


def row_values(engine):
    """Return a function of the free parameters: the value of each row of the parameter table."""
    table, place = engine.spec.parameters, engine.spec.observed.index
    order = {name: i for i, name in enumerate(dict.fromkeys(table["parameter"][_free(table)]))}
    free = _free(table).to_numpy()
    which = [order[name] for name in table["parameter"][free]]
    fixed = np.array(
        [
            engine.mx_cov[place(row.lhs), place(row.rhs)] if row.exogenous else row.value
            for row in table.itertuples()
        ]
    )

    def values(theta):
        result = fixed.astype(theta.dtype)
        result[free] = theta[which]
        return result

    return values


def _free(table):
    return table["parameter"] != ""


def standardised_values(engine):
    """Return a function of the free parameters: the completely standardised value of each row.

    Loadings and paths: times sd of the predictor, over sd of the dependent variable, both implied
    by the model. Variances: over the implied variance. Covariances: over the square roots of the
    two (residual) variances. As ``standardizedSolution(fit, type = "std.all", cov.std = TRUE)``.
    """
    table = engine.spec.parameters
    place = {v: i for i, v in enumerate([*engine.spec.latents, *engine.spec.observed])}
    lhs, rhs = (table[side].map(place).to_numpy() for side in ("lhs", "rhs"))
    op, raw = table["op"].to_numpy(), row_values(engine)
    variance, covariance = (op == "~~") & (lhs == rhs), (op == "~~") & (lhs != rhs)

    def values(theta):
        sigma, latent = implied(engine, theta)
        sd, result = _root(np.concatenate([np.diag(latent), np.diag(sigma)])), raw(theta)
        residual = np.empty_like(sd)
        residual[lhs[variance]] = np.sqrt(result[variance] * np.sign(result[variance].real))
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(op == "=~", sd[lhs] / sd[rhs], sd[rhs] / sd[lhs])
            scale[variance] = 1 / sd[lhs[variance]] ** 2
            scale[covariance] = 1 / (residual[lhs] * residual[rhs])[covariance]
            return np.where(np.isfinite(scale), result * scale, np.nan)

    return values


def _root(variances):
    """Return square roots, NaN for a negative variance (complex numbers would hide it)."""
    return np.sqrt(np.where(variances.real > 0, variances, np.nan))


def _defined_values(engine, row_function):
    """Return a function of the free parameters: the value of each definition."""
    labels = engine.spec.parameters["label"].tolist()

    def values(theta):
        known = {label: v for label, v in zip(labels, row_function(theta), strict=True) if label}
        for name, formula in engine.spec.definitions:
            known[name] = evaluate(formula, known)
        return np.array([known[name] for name, _ in engine.spec.definitions], dtype=theta.dtype)

    return values


def _delta(function, solution):
    """Return (estimate, se) of functions of the parameters by the delta method.

    Derivatives by complex step: dg/dt = Im g(t + ih) / h.
    """
    theta = solution.theta
    estimate = function(theta)
    derivative = np.array(
        [function(theta + 1j * STEP * unit).imag / STEP for unit in np.eye(len(theta))]
    ).reshape(len(theta), len(estimate))
    variance = np.einsum("ki,kl,li->i", derivative, solution.vcov, derivative)
    with np.errstate(invalid="ignore"):
        se = np.sqrt(variance)
    return estimate, np.where(se > NO_VARIATION, se, np.nan)


def _wald(estimate, se):
    """Return estimate, se, z, two-sided p and the 95 % interval."""
    z = estimate / se
    return pd.DataFrame(
        {
            "estimate": estimate,
            "se": se,
            "z": z,
            "p": 2 * norm.sf(np.abs(z)),
            "ci_low": estimate - Z95 * se,
            "ci_high": estimate + Z95 * se,
        }
    )


def parameter_covariance(solution):
    """Return the covariance matrix of the free parameters, labelled. R: ``vcov(fit)``."""
    names = list(solution.parameters)
    return pd.DataFrame(solution.vcov, index=names, columns=names)


def r_squared_table(model, estimates):
    """Return explained variance of every indicator and dependent variable.

    Returns
    -------
    DataFrame
        variable, r_squared = 1 - residual / total variance; NaN when the residual variance is
        negative. R: ``lavInspect(fit, "r2")``.
    """
    table = model.parameters
    explained = {*table["rhs"][table["op"] == "=~"], *table["lhs"][table["op"] == "~"]}
    rows = estimates[
        (estimates["op"] == "~~")
        & (estimates["lhs"] == estimates["rhs"])
        & estimates["lhs"].isin(explained)
    ]
    r_squared = (1 - rows["std_all"]).where(rows["std_all"] >= 0)
    return pd.DataFrame({"variable": rows["lhs"], "r_squared": r_squared}).reset_index(drop=True)


def residual_table(model, sample, solution):
    """Return residual correlations of all pairs of observed variables, the largest first.

    Returns
    -------
    DataFrame
        lhs, rhs, observed, implied, residual: covariances over the product of the sample standard
        deviations, so that `residual` is ``residuals(fit, type = "cor.bentler")$cov``. The
        diagonal, which is misfit of a variance and not of a correlation, is left out.
    """
    scale = np.sqrt(np.outer(np.diag(sample.cov), np.diag(sample.cov)))
    later, earlier = np.tril_indices(len(scale), -1)
    names = np.array(model.observed, dtype=object)
    table = pd.DataFrame(
        {
            "lhs": names[earlier],
            "rhs": names[later],
            "observed": (sample.cov / scale)[later, earlier],
            "implied": (solution.sigma / scale)[later, earlier],
        }
    )
    table["residual"] = table["observed"] - table["implied"]
    order = table["residual"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)
