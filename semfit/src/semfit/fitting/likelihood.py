"""Maximum likelihood for normal variables: ML, and MLR with what is robust to others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from semfit.fitting import constrained, designs, inference, measures, requirements
from semfit.fitting.estimates import Point
from semfit.fitting.estimator import MEAN, NONE, Estimator, Options, Prepared, Tested, Tester
from semfit.fitting.refits import NormalRefit, Refit
from semfit.fitting.requirements import Selected
from semfit.fitting.search import Found
from semfit.fitting.starts import Start
from semfit.moments import saturated
from semfit.moments.implied import Structure
from semfit.moments.normal import NormalObjective
from semfit.moments.objective import Objective, deltas_of
from semfit.moments.sample import Sample, sample_of
from semfit.syntax.identification import check_identified
from semfit.syntax.model import Model
from semfit.syntax.parameters import Layout, lay_out


class MaximumLikelihood(Estimator):
    """Maximum likelihood, complete rows or all of them (FIML).

    Parameters
    ----------
    name : str
    robust : bool
        Sandwich standard errors and the Yuan-Bentler scaled chi-square.
    """

    fiml = True

    def __init__(self, name: str, robust: bool) -> None:
        self.name, self.correction = name, MEAN if robust else NONE

    def under_design(self, options: Options) -> Estimator:
        """Return MLR in all but its name: ordinary standard errors know no weights or clusters."""
        return MaximumLikelihood(self.name, robust=self.corrected or designs.is_designed(options))

    def prepare(self, model: Model, selected: Selected, options: Options) -> Prepared:
        """Return the deviance of each group's rows, and where the search starts."""
        frames, groups = selected.frames, selected.groups
        for frame, label, n_rows in zip(selected.counted, groups, selected.group_rows, strict=True):
            requirements.check_sample(frame, n_rows, label)
        layout = lay_out(
            model,
            groups,
            _has_means(model, options),
            equal=options["equal"],
            free=options["free"],
            labels=options["labels"],
        )
        generic = _generic_structures(layout)
        check_identified(layout, _moment_jacobian(layout, generic))
        pairs = zip(frames, selected.designs, strict=True)
        samples = [sample_of(frame.to_numpy(), design) for frame, design in pairs]
        for sample, label in zip(samples, groups, strict=True):
            requirements.check_moments(sample, model.observed, label)
        structures = [
            structure.at_sample(sample.cov, sample.mean)
            for structure, sample in zip(generic, samples, strict=True)
        ]
        objective = NormalObjective(
            structures, samples, len(layout.parameters), options["information"]
        )
        means = [sample.mean for sample in samples]
        return Prepared(layout, objective, Start(_pooled(samples), means))

    def tests(self, prepared: Prepared, found: Found) -> Tested:
        """Return covariance matrix, tests and likelihoods; see `inference`."""
        objective, layout, model = prepared.objective, prepared.layout, prepared.layout.model
        assert isinstance(objective, NormalObjective)
        counts = len(objective.samples), layout.mean_structure
        npar = constrained.free_parameters(layout, found.theta)
        df = measures.degrees_of_freedom(model, npar, *counts)
        if not found.converged:
            return Tested(df)
        h1, trace = objective.floor(), self._trace(layout, objective)
        free = constrained.free_directions(layout, found.theta)
        vcov = inference.covariance(objective, found.theta, self.corrected, free)
        baseline, start = inference.baseline_model(model, objective.samples, layout)
        baseline.asked = objective.asked
        baseline_df = measures.degrees_of_freedom(model, len(start), *counts)
        fixed = inference.covariate_deviance(model, objective.samples)
        deviance = objective.value(found.theta)
        return Tested(
            df,
            vcov,
            inference.test(objective, found.theta, df, h1, model, trace, free),
            inference.test(baseline, start, baseline_df, h1, model, trace),
            (-(deviance - fixed) / 2, -(h1 - fixed) / 2),
        )

    def _trace(self, layout: Layout, objective: Objective) -> float | None:
        """Return what the scaling needs of the saturated model; None without scaling."""
        if not self.corrected:
            return None
        assert isinstance(objective, NormalObjective)
        return inference.saturated_trace(objective, layout.model, layout.mean_structure)

    def tester(self, layout: Layout, objective: Objective) -> Tester:
        """Return the function that tests other equalities; the saturated model stays the same."""
        h1, trace = objective.floor(), self._trace(layout, objective)

        def tested(other: Objective, layout: Layout, found: Found, df: int) -> inference.Test:
            assert isinstance(other, NormalObjective)
            scaling = np.nan
            if trace is not None and found.converged:
                free = constrained.free_directions(layout, found.theta)
                scaling = inference.yuan_bentler(other, found.theta, df, trace, free)
            return inference.Test(other.value(found.theta) - h1, df, scaling)

        return tested

    def refit(self, point: Point, objective: Objective, frames: Sequence[pd.DataFrame]) -> Refit:
        """Return the refit by BFGS; ML and MLR have the same estimates."""
        assert isinstance(objective, NormalObjective)
        free = constrained.free_directions(point.layout, point.theta)
        inverse = inference.invert(objective.observed_information(point.theta), free)
        if inverse is None:
            inverse = inference.invert(objective.score(point.theta)[1] / 2, free)
        assert inverse is not None  # as standard errors are known
        return NormalRefit(point, objective.samples, inverse, point.layout.model.observed)


def _has_means(model: Model, options: Options) -> bool:
    """Tell whether means are modelled: as asked, or where they must be."""
    written = (model.parameters["op"] == "~1").any() or model.options.model_type == "growth"
    clustered = options.get("cluster") is not None  # lavaan models the means of clustered rows
    needed = options["missing"] == "fiml" or options["group"] is not None or written or clustered
    if options["mean_structure"] is False and (
        options["missing"] == "fiml" or written or clustered
    ):
        raise ValueError("mean_structure=False goes neither with fiml, intercepts nor clusters.")
    return bool(needed if options["mean_structure"] is None else options["mean_structure"])


def _generic_structures(layout: Layout) -> list[Structure]:
    """Return the structures of the groups at generic covariates."""
    p = len(layout.model.observed)
    cov, mean = 0.7 * np.eye(p) + 0.3, np.zeros(p)
    return [Structure(layout, g, cov, mean) for g in range(len(layout.groups))]


def _moment_jacobian(
    layout: Layout, structures: Sequence[Structure]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function of theta: derivatives of the moments of all groups."""
    moments = saturated.modelled_moments(layout.model, layout.mean_structure)

    def jacobian(theta: np.ndarray) -> np.ndarray:
        rows = [saturated.jacobian(moments, s.derivatives(s.implied(theta))) for s in structures]
        return np.concatenate(deltas_of(structures, rows, len(theta)))

    return jacobian


def _pooled(samples: Sequence[Sample]) -> np.ndarray:
    """Return the covariance matrix within groups, for starting values."""
    total: np.ndarray = sum((s.n * s.cov for s in samples), np.zeros(()))
    return total / sum(s.n for s in samples)
