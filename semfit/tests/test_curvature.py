"""Second derivatives in a formula, against complex steps of the first ones."""

import numpy as np
import pytest
from test_estimators import fit_case, read_case

from semfit.moments.curvature import curvature_rows

STEP = 1e-20
NORMAL = ["hs_mlr_listwise_covariates", "hsmiss_mlr_fiml_paths", "hs_ml_listwise_group_paths"]
NORMAL += ["pd_mlr_listwise_equal"]
ORDERED = ["hscat_wlsmv_listwise_group_loadings", "hscat_wlsmv_listwise_mixed_measurement"]
ORDERED += ["hscat_wlsmv_listwise_paths", "hscat_wlsmv_listwise_group_thresholds"]


def by_complex_steps(structure, theta, matrix, vector):
    """Derivatives of the rows of first derivatives of tr(G Sigma) + g' mu, to each parameter."""
    columns = []
    for unit in np.eye(len(theta)):
        d = structure.derivatives(structure.implied(theta + 1j * STEP * unit))
        rows = 2 * np.einsum("ik,ik->k", d.u, matrix @ d.v) + d.s * (vector @ d.u)
        columns.append(rows.imag / STEP)
    return np.array(columns).T


@pytest.mark.parametrize("case", NORMAL)
def test_curvature(case):
    fit, random = fit_case(*read_case(case)), np.random.default_rng(1)
    for structure in fit.objective.structures:
        matrix, vector = random.normal(size=(structure.p,) * 2), random.normal(size=structure.p)
        matrix, theta = matrix + matrix.T, fit.point.theta
        rows = curvature_rows(structure, structure.implied(theta), matrix, vector)
        np.testing.assert_allclose(rows, rows.T, atol=1e-12)
        ours = np.zeros((len(rows), len(theta)))
        np.add.at(ours.T, structure.which, rows)
        steps = by_complex_steps(structure, theta, matrix, vector)
        np.testing.assert_allclose(ours, steps, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", ORDERED)
def test_hessian_of_ordered_variables(case):
    fit = fit_case(*read_case(case))
    objective, theta = fit.objective, fit.point.theta * 1.05
    steps = [
        objective.gradient(theta + 1j * STEP * unit).imag / STEP for unit in np.eye(objective.k)
    ]
    np.testing.assert_allclose(objective.hessian(theta), steps, rtol=1e-9, atol=1e-8)
