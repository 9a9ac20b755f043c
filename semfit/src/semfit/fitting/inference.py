"""Standard errors, test statistics and their corrections, from information and scores.

With I the information of the free parameters, J the sum of squares of casewise scores, h1 the
saturated model and N the number of rows (Yuan & Bentler 2000; Savalei 2010):

    standard   vcov = I^-1                      X2 = D(theta) - D(h1)
    robust     vcov = I^-1 J I^-1               X2 / c,  c = [tr(J1 I1^-1) - tr(J I^-1)] / df
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from semfit.moments import saturated
from semfit.moments.explained import residual_chisq
from semfit.moments.implied import Implied, Structure
from semfit.moments.normal import NormalObjective
from semfit.moments.sample import LOG_2PI, Sample
from semfit.syntax.completion import parameter_row
from semfit.syntax.model import Model
from semfit.syntax.parameters import Layout


@dataclass(frozen=True)
class Test:
    """A chi-square test of a model against the saturated one.

    Attributes
    ----------
    chisq : float
    df : int
    scaling : float
        Divides `chisq` before `shift` is added; NaN if there is no scaled test.
    shift : float
        Of the mean-and-variance adjusted test, else 0.
    robust_chisq, robust_scaling : float
        For robust fit measures; NaN if there are none.
    residual_chisq : float
        Of the residual moments, with complete rows (`explained.residual_chisq`); else NaN.
    """

    chisq: float
    df: int
    scaling: float = np.nan
    shift: float = 0.0
    robust_chisq: float = np.nan
    robust_scaling: float = np.nan
    residual_chisq: float = np.nan

    @property
    def scaled(self) -> float:
        """The scaled statistic."""
        return self.chisq / self.scaling + self.shift


def invert(information: np.ndarray, free: np.ndarray | None = None) -> np.ndarray | None:
    """Return the inverse of an information matrix, or None if it is not positive definite.

    With `free` (k, r), a basis Z of what restrictions leave free: Z (Z' I Z)^-1 Z', the part that
    belongs to the parameters of the inverse of I bordered by the derivatives of the restrictions
    (Aitchison & Silvey 1958).
    """
    if free is not None:
        inner = invert(free.T @ information @ free)
        return None if inner is None else free @ inner @ free.T
    scale = np.sqrt(np.diag(information)) if len(information) else np.ones(0)
    if not np.all(scale > 0):
        return None
    scaled = information / np.outer(scale, scale)
    if len(scaled) and not np.linalg.eigvalsh(scaled).min() > 1e-9:
        return None
    return np.linalg.inv(scaled) / np.outer(scale, scale)


def covariance(
    objective: NormalObjective,
    theta: np.ndarray,
    robust: bool,
    free: np.ndarray | None = None,
) -> np.ndarray | None:
    """Return the covariance matrix of the estimates, None if the information is singular.

    Inverse information, expected for complete rows and observed with missing values, if nothing else
    is asked; or robust, a sandwich of the inverse observed information around the casewise scores (Huber 1967, White 1982).
    With `free` as in `invert`. R: ``vcov(fit)``.
    """
    complete = all(sample.complete for sample in objective.samples)
    bread = invert(objective.asked_information(theta, complete and not robust), free)
    if bread is None or not robust:
        return bread
    scores = objective.casewise_scores(theta)
    return bread @ (scores.T @ scores) @ bread


def saturated_trace(objective: NormalObjective, model: Model, mean_structure: bool) -> float:
    """Return tr(J1 I1^-1) of the saturated model; it does not depend on the fitted model.

    The ratio to the number of its moments is the scaling factor of the saturated model.
    """
    moments = saturated.modelled_moments(model, mean_structure)
    total = 0.0
    expected = objective.asked == "expected"
    for sample in objective.samples:
        scores = saturated.scores(sample, sample.mean, sample.cov, moments)
        information = saturated.information(sample, sample.mean, sample.cov, moments, expected)
        total += np.trace(np.linalg.solve(information, scores.T @ scores))
    return total


def yuan_bentler(
    objective: NormalObjective,
    theta: np.ndarray,
    df: int,
    trace: float,
    free: np.ndarray | None = None,
) -> float:
    """Return the scaling factor of the chi-square ("Mplus variant"); NaN without df.

    R: ``fitMeasures(fit, "chisq.scaling.factor")`` with ``estimator = "MLR"``.
    """
    bread = invert(objective.asked_information(theta), free)
    if df <= 0 or bread is None:
        return np.nan
    scores = objective.casewise_scores(theta)
    factor = (trace - np.sum(bread * (scores.T @ scores))) / df
    return factor if factor > 0 else np.nan


def fiml_corrected(
    objective: NormalObjective,
    theta: np.ndarray,
    df: int,
    model: Model,
    robust: bool,
    free: np.ndarray | None = None,
) -> tuple[float, float]:
    """Return (chisq, scaling) for robust fit measures with missing values.

    Zhang & Savalei (2023): the discrepancy between EM's moments and the model, as if complete, and
    what missing values (and with `robust` also non-normality) add to it. R: ``cfi.robust`` and
    ``rmsea.robust`` of lavaan with ``missing = "fiml"`` (versions V6, and V3 if robust).
    """
    if df <= 0:
        return np.nan, np.nan
    chisq, blocks, information = 0.0, [], np.zeros((objective.k, objective.k))
    for structure, sample in zip(objective.structures, objective.samples, strict=True):
        implied = structure.implied(theta)
        chisq += _discrepancy(sample, implied)
        moments = saturated.modelled_moments(model, structure.mean_structure)
        rows = saturated.jacobian(moments, structure.derivatives(implied))
        delta = np.zeros((len(rows), objective.k))
        np.add.at(delta.T, structure.which, rows.T)
        blocks.append((delta, *_weights(sample, moments, robust)))
        weight = blocks[-1][1]
        if objective.asked == "expected":
            weight = saturated.information(sample, sample.mean, sample.cov, moments, True)
        information += delta.T @ weight @ delta
    bread = invert(information, free)
    if bread is None:
        return np.nan, np.nan
    return chisq, _trace(blocks, bread, robust) / df


def _discrepancy(sample: Sample, implied: Implied) -> float:
    """N F of the normal likelihood at the saturated moments, as if they were of complete rows."""
    gap = sample.mean - implied.mean
    inverse = np.linalg.inv(implied.cov)
    product = inverse @ sample.cov
    value = np.trace(product) - np.linalg.slogdet(product)[1] - len(gap) + gap @ inverse @ gap
    return sample.n * value


def _weights(
    sample: Sample, moments: saturated.Moments, robust: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (I1, complete-data I1, J1) of one group."""
    missing = saturated.information(sample, sample.mean, sample.cov, moments)
    complete = saturated.complete_information(sample.n, sample.cov, moments)
    if not robust:
        return missing, complete, missing
    scores = saturated.scores(sample, sample.mean, sample.cov, moments)
    return missing, complete, scores.T @ scores


def _trace(
    blocks: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
    bread: np.ndarray,
    robust: bool,
) -> float:
    """Return tr(M C), M the covariance of the residual moments, C the complete-data weight.

    M = P J P' with P = I1^-1 - Delta bread Delta', group by group and between groups; P if not robust.
    """
    total = 0.0
    inverses = [np.linalg.inv(missing) for _, missing, _, _ in blocks]
    if not robust:
        triples = zip(inverses, blocks, strict=True)
        return sum(np.sum(c * (inverse - d @ bread @ d.T)) for inverse, (d, _, c, _) in triples)
    for g, (delta, _, complete, _) in enumerate(blocks):
        for h, (other, _, _, meat) in enumerate(blocks):
            projector = (inverses[g] if g == h else 0) - delta @ bread @ other.T
            total += np.sum((projector @ meat) * (complete @ projector))
    return total


def test(
    objective: NormalObjective,
    theta: np.ndarray,
    df: int,
    h1: float,
    model: Model,
    trace: float | None = None,
    free: np.ndarray | None = None,
) -> Test:
    """Return the `Test` of a solution.

    Parameters
    ----------
    objective : normal.NormalObjective
    theta : ndarray (k,)
    df : int
    h1 : float
        Deviance of the saturated model.
    model : model.Model
    trace : float, optional
        From `saturated_trace`: then the test is scaled (MLR).
    free : ndarray (k, r), optional
        A basis of what restrictions leave free.
    """
    robust = trace is not None
    scaling = np.nan if trace is None else yuan_bentler(objective, theta, df, trace, free)
    chisq = objective.value(theta) - h1
    if all(sample.complete for sample in objective.samples):
        residual = residual_chisq(objective.structures, objective.samples, theta, free)
        return Test(chisq, df, scaling, 0.0, chisq, scaling, residual)
    corrected = fiml_corrected(objective, theta, df, model, robust, free)
    return Test(chisq, df, scaling, 0.0, *corrected)


def baseline_model(
    model: Model, samples: Sequence[Sample], layout: Layout
) -> tuple[NormalObjective, np.ndarray]:
    """Return (objective, theta) of the model in which nothing is related.

    Every variable has its own mean and variance; those of covariates, and their covariances, are
    fixed at the sample's. The estimates are the moments of what is observed of each variable.
    """
    others = [name for name in model.observed if name not in model.covariates]
    rows = [parameter_row(name, "~~", name) for name in others]
    rows += [
        parameter_row(a, "~~", b, exogenous=True)
        for i, a in enumerate(model.covariates)
        for b in model.covariates[i:]
    ]
    if layout.mean_structure:
        rows += [
            parameter_row(name, "~1", "", exogenous=name in model.covariates)
            for name in model.observed
        ]
    independent = replace(model, latents=(), parameters=pd.DataFrame(rows), definitions=())
    in_groups = [
        row
        | {"group": group, "derived": False}
        | {"parameter": f"{row['parameter']}.g{g + 1}" if row["parameter"] else ""}
        for g, group in enumerate(layout.groups)
        for row in rows
    ]
    table = pd.DataFrame(in_groups)
    names = tuple(row["parameter"] for row in in_groups if row["parameter"])
    flat = Layout(independent, table, names, layout.groups, (), layout.mean_structure)
    structures = [Structure(flat, g, s.cov, s.mean) for g, s in enumerate(samples)]
    theta = np.concatenate([_own_moments(model, s, layout.mean_structure) for s in samples])
    return NormalObjective(structures, samples, len(names)), theta


def _own_moments(model: Model, sample: Sample, mean_structure: bool) -> np.ndarray:
    """Return variances, then means, of what is observed of each variable but covariates."""
    others = [i for i, name in enumerate(model.observed) if name not in model.covariates]
    have = sample.counts @ sample.seen
    mean = sample.counts @ (sample.means * sample.seen) / have
    second = np.einsum("kii->ki", sample.covs) + (sample.means - mean) ** 2
    variance = sample.counts @ (second * sample.seen) / have
    parts = [variance[others], mean[others]] if mean_structure else [variance[others]]
    return np.concatenate(parts)


def covariate_deviance(model: Model, samples: Sequence[Sample]) -> float:
    """Return the deviance of the fixed covariates alone, by which likelihoods are conditional."""
    places = [i for i, name in enumerate(model.observed) if name in model.covariates]
    total = 0.0
    for sample in samples if places else ():
        cov = sample.cov[np.ix_(places, places)]
        total += sample.n * (np.linalg.slogdet(cov)[1] + len(places) * (1 + LOG_2PI))
    return total
