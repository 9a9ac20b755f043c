"""Second derivatives of what a model implies, in one formula for all pairs of parameters.

With the derivatives u, v, s of `implied`, f = tr(G Sigma) + g' mu for a fixed G and g has the derivative
2 u' G v + s g'u for each parameter. Its derivative to another one, l, follows from what that does to
the columns of T and of C = Cov(y, eta) that u and v are:

    dT = u_l A[j_l, :]                                     loadings and paths
    dC = u_l Cov(eta)[j_l, :]                              loadings and paths
         + v_l A[:, i_l]'                                  paths and covariances of eta
         + half u_l A[:, j_l]'                             covariances of eta (half on the diagonal)
    d(A alpha) = s_l A[:, i_l]                             paths and means of eta
"""

from __future__ import annotations

import numpy as np

from semfit.moments.implied import LATENT, MEAN, PATH, Implied, Structure


def curvature_rows(
    structure: Structure, implied: Implied, matrix: np.ndarray, vector: np.ndarray
) -> np.ndarray:
    """Return the second derivatives of tr(G Sigma) + g' mu, for given G and g: (rows, rows)."""
    kind, i, j = (
        part[structure.free] for part in (structure.kind, structure.row, structure.column)
    )
    d, inverse = structure.derivatives(implied), implied.inverse
    slope, latent = kind <= PATH, kind == LATENT
    half = np.where(latent & (i == j), 0.5, 1.0)
    in_total = (kind == PATH) | latent | (kind == MEAN)  # u is a column of T
    pull, left = vector @ d.u, matrix @ d.u
    uu, uv = d.u.T @ left, left.T @ d.v

    changed = _taken(inverse, j, i, slope, in_total).T  # of u, along u_l
    result = changed * (2 * uv.T + np.outer(d.s, pull))
    first = half[:, None] * _taken(inverse, j, j, slope, latent).T  # of v, along u_l
    first += _taken(implied.latent_cov, j, j, slope, slope)
    first += _taken(inverse, j, j, slope, latent) * half
    second = _taken(inverse, j, i, slope, (kind == PATH) | latent)  # of v, along v_l
    result += 2 * uu * first + 2 * uv * second
    return result + _taken(inverse, j, i, slope, (kind == PATH) | (kind == MEAN)) * np.outer(
        pull, d.s
    )


def _taken(
    values: np.ndarray, row: np.ndarray, column: np.ndarray, of: np.ndarray, to: np.ndarray
) -> np.ndarray:
    """Return values[row[k], column[l]] for the parameters k and l that are meant, else 0."""
    both = np.outer(of, to)
    if not both.any():
        return np.zeros(both.shape)
    at = np.where(of, row, 0)[:, None], np.where(to, column, 0)[None, :]
    return np.where(both, values[at], 0.0)
