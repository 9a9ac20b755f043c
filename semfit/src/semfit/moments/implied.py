"""The matrices of a model, the moments they imply, and the derivatives of those.

With eta the structural variables (latent ones, and observed ones that take part in regressions):

    y = nu + Lambda eta + e,     eta = alpha + B eta + zeta,     A = (I - B)^-1,  T = Lambda A
    mean  mu    = nu + T alpha
    cov   Sigma = T Psi T' + Theta

(LISREL "all-y", Bollen 1989, chapter 8.) Every parameter changes Sigma by a matrix of rank two and
mu along the same vector, which makes all derivatives one formula:

    dSigma = u v' + v u',   dmu = s u

    parameter        u           v                            s
    Lambda[i, j]     e_i         (Lambda A Psi A')[:, j]      (A alpha)[j]
    B[i, j]          T[:, i]     (Lambda A Psi A')[:, j]      (A alpha)[j]
    Psi[i, j]        T[:, i]     T[:, j], half if i = j       0
    Theta[i, j]      e_i         e_j, half if i = j           0
    nu[i]            e_i         0                            1
    alpha[j]         T[:, j]     0                            1
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from semfit.syntax.model import Model
from semfit.syntax.parameters import Layout

LOADING, PATH, LATENT, RESIDUAL, INTERCEPT, MEAN, THRESHOLD, SCALE = range(8)

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # kind, row and column of parameters


@dataclass(frozen=True, eq=False)
class Implied:
    """What a parameter vector implies for one group; arrays may be complex.

    Attributes
    ----------
    cov : ndarray (p, p)
        Of the observed variables; of an ordered one, of the response behind the categories.
    mean : ndarray (p,)
    latent_cov, latent_mean : ndarray (m, m), (m,)
        Of the structural variables.
    total : ndarray (p, m)
        T, the total effect of a disturbance zeta on the observed variables.
    inverse : ndarray (m, m)
        A.
    cross_cov : ndarray (p, m)
        Cov(y, eta) = Lambda A Psi A', without the residuals.
    values : ndarray
        Value of each row of the group's parameter table.
    """

    cov: np.ndarray
    mean: np.ndarray
    latent_cov: np.ndarray
    latent_mean: np.ndarray
    total: np.ndarray
    inverse: np.ndarray
    cross_cov: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Derivatives:
    """dSigma = u v' + v u' and dmu = s u for each free row: u, v (p, k), s (k,).

    `reach` (k,) tells which rows change the total effects too, dT = u A[j, :]: Lambda and B.
    """

    u: np.ndarray
    v: np.ndarray
    s: np.ndarray
    reach: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))


class Structure:
    """Where the parameters of one group stand in its matrices.

    Parameters
    ----------
    layout : Layout
    place : int
        Place of the group.
    cov, mean : ndarray (p, p), (p,)
        Sample moments; covariates are fixed at theirs.

    Attributes
    ----------
    observed, structural : tuple of str
        Rows of y, and of eta (latent variables first).
    free : ndarray (k,)
        Rows of the group's table that hold a free parameter.
    which : ndarray (k,)
        Place of that parameter in theta.
    derived_places : ndarray
        Places of the ordered variables whose residual variances follow from the rest.
    mediator_rows, mediators : ndarray
        Which of them predict others, and their places among the structural variables.
    """

    def __init__(self, layout: Layout, place: int, cov: np.ndarray, mean: np.ndarray) -> None:
        model, table = layout.model, layout.rows(place)
        self.observed, self.covariates = model.observed, model.covariates
        self.structural = (*model.latents, *structural_observed(model))
        self.exogenous_places = [
            i for i, name in enumerate(self.structural) if name in model.covariates
        ]
        self.p, self.m, self.n_latent = len(self.observed), len(self.structural), len(model.latents)
        self.kind, self.row, self.column = self._locate(table)
        order = {name: i for i, name in enumerate(layout.parameters)}
        self.free = np.flatnonzero(table["parameter"].to_numpy() != "")
        self.which = np.array([order[n] for n in table["parameter"] if n], dtype=int)
        free = (self.kind[self.free], self.row[self.free], self.column[self.free])
        self._places = derivative_places(*free, self.p, self.m)
        self._exogenous = np.flatnonzero(table["exogenous"].to_numpy())
        self._derived = np.flatnonzero(table["derived"].to_numpy())
        self._is_variance = self.kind[self._derived] != SCALE
        own = self._derived[self._is_variance]
        names = table["lhs"].to_numpy()[own]
        self.derived_places = np.array([self.observed.index(name) for name in names], dtype=int)
        inner = (self.kind[own] == LATENT) & np.isin(self.row[own], self.column[self.kind == PATH])
        self.mediator_rows, self.mediators = np.flatnonzero(inner), self.row[own[inner]]
        self.fixed = np.nan_to_num(table["value"].to_numpy(dtype=float))
        self._names = table[["lhs", "op", "rhs"]].to_numpy()
        self.mean_structure = layout.mean_structure
        self._place_in_buffer()
        self.set_sample(cov, mean)

    def set_sample(self, cov: np.ndarray, mean: np.ndarray) -> None:
        """Fix covariates at these sample moments; without mean structure, means too."""
        at = {name: i for i, name in enumerate(self.observed)}
        for row in self._exogenous:
            lhs, op, rhs = self._names[row]
            self.fixed[row] = mean[at[lhs]] if op == "~1" else cov[at[lhs], at[rhs]]
        self.sample_mean = mean

    def at_sample(self, cov: np.ndarray, mean: np.ndarray) -> Structure:
        """A copy whose covariates are fixed at other sample moments."""
        other = copy(self)
        other.fixed = self.fixed.copy()
        other.set_sample(cov, mean)
        return other

    def _locate(self, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Kind, row and column of each row of the table."""
        y = {name: i for i, name in enumerate(self.observed)}
        eta = {name: i for i, name in enumerate(self.structural)}
        found = []
        for lhs, op, rhs in zip(table["lhs"], table["op"], table["rhs"], strict=True):
            if op == "=~":
                found.append(
                    (PATH, eta[rhs], eta[lhs]) if rhs in eta else (LOADING, y[rhs], eta[lhs])
                )
            elif op == "~":
                found.append((PATH, eta[lhs], eta[rhs]))
            elif op == "~~":
                inner = lhs in eta and rhs in eta
                found.append((LATENT, eta[lhs], eta[rhs]) if inner else (RESIDUAL, y[lhs], y[rhs]))
            elif op == "~1":
                found.append((MEAN, eta[lhs], 0) if lhs in eta else (INTERCEPT, y[lhs], 0))
            else:
                number = int(rhs[1:]) - 1 if op == "|" else 0
                found.append((THRESHOLD if op == "|" else SCALE, y[lhs], number))
        kind, row, column = (np.array(part, dtype=int) for part in zip(*found, strict=True))
        return kind, row, column

    def _place_in_buffer(self) -> None:
        """Lay all matrices in one vector, so that a parameter vector is set by one assignment."""
        p, m = self.p, self.m
        sizes = {LOADING: p * m, PATH: m * m, LATENT: m * m, RESIDUAL: p * p, INTERCEPT: p, MEAN: m}
        start = 0
        self._slices: dict[int, slice] = {}
        for kind, size in sizes.items():
            self._slices[kind] = slice(start, start + size)
            start += size
        self._buffer = np.zeros(start)
        for i, name in enumerate(self.structural[self.n_latent :], start=self.n_latent):
            self._buffer[self.observed.index(name) * m + i] = 1.0  # Lambda: y = eta
        positions, source = [], []
        for row, (kind, i, j) in enumerate(zip(self.kind, self.row, self.column, strict=True)):
            if kind not in sizes:
                continue
            width = 1 if kind in (INTERCEPT, MEAN) else p if kind == RESIDUAL else m
            start = self._slices[kind].start
            positions.append(start + i * width + j)
            source.append(row)
            if kind in (LATENT, RESIDUAL) and i != j:
                positions.append(start + j * width + i)
                source.append(row)
        self._positions, self._source = np.array(positions), np.array(source)

    def values(self, theta: np.ndarray) -> np.ndarray:
        """The value of every row of the group's table (derived ones are still 0)."""
        result = self.fixed.astype(theta.dtype)
        result[self.free] = theta[self.which]
        return result

    def implied(self, theta: np.ndarray) -> Implied:
        """What `theta` (real or complex) implies, an `Implied`."""
        p, m, values = self.p, self.m, self.values(theta)
        buffer = self._buffer.astype(values.dtype)
        buffer[self._positions] = values[self._source]
        loadings, paths, psi, residual, nu, alpha = (buffer[part] for part in self._slices.values())
        loadings, paths, psi = loadings.reshape(p, m), paths.reshape(m, m), psi.reshape(m, m)
        inverse = np.linalg.inv(np.eye(m) - paths)
        total = loadings @ inverse
        latent_cov = inverse @ psi @ inverse.T
        cross_cov = loadings @ latent_cov
        latent_mean = inverse @ alpha
        mean = nu + loadings @ latent_mean if self.mean_structure else self.sample_mean
        cov = cross_cov @ loadings.T + residual.reshape(p, p)
        if len(self._derived):
            given = psi.copy()
            given[self.exogenous_places] = 0
            explained = np.einsum("ij,jk,ik->i", total, given, total) + np.diag(
                residual.reshape(p, p)
            )
            self._complete(values, explained, cov, latent_cov, cross_cov, total, inverse)
        return Implied(cov, mean, latent_cov, latent_mean, total, inverse, cross_cov, values)

    def _complete(
        self,
        values: np.ndarray,
        explained: np.ndarray,
        cov: np.ndarray,
        latent_cov: np.ndarray,
        cross_cov: np.ndarray,
        total: np.ndarray,
        inverse: np.ndarray,
    ) -> None:
        """Give each ordered variable what makes the variance of its scaled response 1.

        Given the covariates, the variance of the response is 1 / scale^2. Under "delta" its residual
        variance follows; that of a response that predicts others reaches them too, so they are found
        together. Under "theta" its scale follows.
        """
        rows, places = self._derived[self._is_variance], self.derived_places
        gap = self.scales(values)[places] ** -2 - explained[places]
        variance = np.linalg.solve(self.residual_reach(total), gap) if len(self.mediators) else gap
        values[rows] = variance
        in_eta = self.kind[rows] == LATENT
        outer = self.row[rows[~in_eta]]
        cov[outer, outer] += variance[~in_eta]
        own, at = variance[in_eta], self.row[rows[in_eta]]
        cov += (total[:, at] * own) @ total[:, at].T
        latent_cov += (inverse[:, at] * own) @ inverse[:, at].T
        cross_cov += (total[:, at] * own) @ inverse[:, at].T
        explained = explained + total[:, at] ** 2 @ own
        for row in self._derived[~self._is_variance]:
            i = self.row[row]
            values[row] = explained[i] ** -0.5 if explained[i].real > 0 else np.nan

    def residual_reach(self, total: np.ndarray) -> np.ndarray:
        """What each derived residual variance (columns) adds to the variances of their variables."""
        rows = self._derived[self._is_variance]
        reach = np.eye(len(rows), dtype=total.dtype)
        in_eta = np.flatnonzero(self.kind[rows] == LATENT)
        reach[:, in_eta] = total[np.ix_(self.derived_places, self.row[rows[in_eta]])] ** 2
        return reach

    def scales(self, values: np.ndarray) -> np.ndarray:
        """The scale of each observed variable: 1, or the ~*~ parameter of an ordered one."""
        result = np.ones(self.p, dtype=values.dtype)
        rows = self.kind == SCALE
        result[self.row[rows]] = values[rows]
        return result

    @property
    def derived_scales(self) -> np.ndarray:
        """Places of the observed variables whose scale follows from the rest ("theta")."""
        return self.row[self._derived[self.kind[self._derived] == SCALE]]

    def derivatives(self, implied: Implied, rows: Rows | None = None) -> Derivatives:
        """`Derivatives` for the free rows, or for other rows given as (kind, row, column)."""
        places = self._places if rows is None else derivative_places(*rows, self.p, self.m)
        left, right, weight, step, slope = places
        none = np.zeros((self.p, 1))
        outer = np.concatenate([np.eye(self.p), implied.total], axis=1)
        inner = np.concatenate([implied.cross_cov, implied.total, np.eye(self.p), none], axis=1)
        steps = np.concatenate([implied.latent_mean, [0.0, 1.0]])
        return Derivatives(outer[:, left], inner[:, right] * weight, steps[step], slope)


def derivative_places(
    kind: np.ndarray, i: np.ndarray, j: np.ndarray, p: int, m: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where u, v and s of parameters at (kind, row i, column j) are found.

    Columns of (I, T), of (Cov(y, eta), T, I, 0) with a weight, places in (A alpha, 0, 1), and
    whether the parameter is a loading or path.
    """
    slope, mean = kind <= PATH, (kind == INTERCEPT) | (kind == MEAN)
    left = i + p * np.isin(kind, (PATH, LATENT, MEAN))
    at = np.where(slope, j, np.where(kind == LATENT, m + j, 2 * m + j))
    right = np.where(kind <= RESIDUAL, at, 2 * m + p)
    weight = np.where(((kind == LATENT) | (kind == RESIDUAL)) & (i == j), 0.5, 1.0)
    return left, right, weight, np.where(slope, j, np.where(mean, m + 1, m)), slope


def structural_observed(model: Model) -> list[str]:
    """Observed variables that take part in ``~``, or covary with a latent or such a one."""
    columns = (model.parameters[name].tolist() for name in ("lhs", "op", "rhs"))
    rows = list(zip(*columns, strict=True))
    inner = {name for lhs, op, rhs in rows if op == "~" for name in (lhs, rhs)}
    inner |= {*model.covariates, *model.latents}
    loose = [{lhs, rhs} for lhs, op, rhs in rows if op == "~~" and lhs != rhs]
    size = 0
    while len(inner) > size:
        size = len(inner)
        for pair in loose:
            inner |= pair if pair & inner else set()
    return [name for name in model.observed if name in inner]
