"""Modification indices: what freeing a parameter that is fixed would do to a fitted model.

For one candidate, with s its derivative of the log-likelihood and I the expected information of the
free parameters (f) and the candidate (c) at the solution (Saris, Satorra & Sörbom 1987):

    V = I_cc - I_cf I_ff^-1 I_fc      mi = s^2 / V      epc = s / V

mi is how much chi-square would go down about, with one degree of freedom less; epc is about the
value that the candidate would get, less the value at which it is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement, product

import numpy as np
import pandas as pd
from scipy.stats import chi2

from semfit.fitting import constrained
from semfit.fitting.inference import invert
from semfit.moments.implied import Derivatives, Implied, Structure
from semfit.moments.normal import add_matrix
from semfit.moments.objective import Objective
from semfit.syntax.completion import variables_of
from semfit.syntax.parameters import Layout

Row = tuple[str, str, str]  # lhs, op, rhs

COLUMNS = "lhs op rhs group mi p epc sepc_all".split()
UNIDENTIFIED = 1e-8  # V / I_cc: what the free parameters leave of a candidate's information


def modification_indices(objective: Objective, layout: Layout, theta: np.ndarray) -> pd.DataFrame:
    """Return the modification index and expected change of every fixed parameter.

    Parameters
    ----------
    objective : Objective
    layout : parameters.Layout
    theta : ndarray (k,)
        The solution.

    Returns
    -------
    DataFrame
        lhs, op, rhs, group ("" without groups), mi (1 degree of freedom), p, epc (expected change),
        sepc_all (completely standardised), by descending mi. R: ``modindices(fit)``, with expected
        information also for MLR and with missing values, and not scaled for WLSMV, as there.

    Notes
    -----
    Candidates, in each group: loadings of indicators on every latent variable; covariances between
    observed variables, and between latent ones; where the model has regressions, those between all
    variables of them; and what the model fixes (markers, intercepts). lavaan 0.6-14 lists the same,
    but of covariances only those between indicators, and more that is left out here: covariances
    and paths of covariates among themselves (mi = 0), scales of latent responses, and what would not
    be identified (NaN). Equal parameters are no candidates: see `constraints.score_tests`.

    With weights or clusters mi is s^2 over the variance of s, from the scores of what was drawn
    independently (Boos 1992); it holds for such samples, and lavaan has none. epc is s / V all the
    same.

    For a path into a covariate, information leaves out the moments of covariates, as lavaan's does:
    its mi is rough. sepc_all of a variance is epc over the implied variance (lavaan: the estimate);
    it is NaN for a covariance with a variable that has no residual variance.
    """
    free, tables = constrained.free_directions(layout, theta), []
    inverse = invert(objective.information(theta), free)
    if inverse is None:
        inverse = np.linalg.inv(objective.information(theta))
    for place, label in enumerate(layout.groups):
        rows = candidates(layout, place)
        tests = _score_tests(objective, place, theta, rows, inverse)
        scale = _standard_scale(layout, place, objective.structures[place].implied(theta), rows)
        table = pd.DataFrame(rows, columns=["lhs", "op", "rhs"]).assign(group=label)
        tables.append(table.join(tests).assign(sepc_all=tests["epc"] * scale))
    table = pd.concat(tables).dropna(subset="mi").sort_values("mi", ascending=False, kind="stable")
    return table[COLUMNS].reset_index(drop=True)


def candidates(layout: Layout, place: int) -> list[Row]:
    """Return the (lhs, op, rhs) of one group that could be freed; see `modification_indices`."""
    table, model = layout.rows(place), layout.model
    kinds = variables_of(table.itertuples())
    inner = [name for name in model.observed if name not in model.covariates]
    paths = table[table["op"] == "~"]
    in_paths = list(dict.fromkeys([*paths["lhs"], *paths["rhs"]]))
    loaded = [name for name in inner if name not in in_paths]
    rows = [(latent, "=~", name) for latent, name in product(model.latents, loaded)]
    for names in (inner, model.latents):
        rows += [(a, "~~", b) for a, b in combinations_with_replacement(names, 2)]
    rows += [
        (a, "~", b)
        for a, b in product(in_paths, repeat=2)
        if a != b
        and not (a in model.covariates and (b in model.covariates or layout.ordered))
        and not (a in kinds["indicators"] and b in model.latents)
    ]
    fixed = table[(table["parameter"] == "") & ~table["exogenous"] & ~table["derived"]]
    fixed = fixed[fixed["op"].isin(("=~", "~", "~~", "~1"))]
    rows = [*zip(fixed["lhs"], fixed["op"], fixed["rhs"], strict=True), *rows]
    free = table[table["parameter"] != ""]
    taken = {_key(*row) for row in zip(free["lhs"], free["op"], free["rhs"], strict=True)}
    return list({_key(*row): row for row in rows[::-1] if _key(*row) not in taken}.values())[::-1]


def _key(lhs: str, op: str, rhs: str) -> Row:
    """Return what identifies a parameter: a covariance has no direction."""
    first, second = sorted((lhs, rhs)) if op == "~~" else (lhs, rhs)
    return op, first, second


def _score_tests(
    objective: Objective,
    place: int,
    theta: np.ndarray,
    rows: Sequence[Row],
    inverse: np.ndarray,
) -> pd.DataFrame:
    """Return mi, p and epc of the candidates of one group; NaN where not identified."""
    structure, k = objective.fitted[place], len(theta)
    new, reach, owner = _derivatives(structure, structure.implied(theta), rows)
    score, rows_information = objective.extended(place, theta, new, reach)
    score = score[: len(rows)]  # what follows are second parts, without a score of their own
    information = np.zeros((k + len(rows), k + len(rows)))  # the free parameters come first
    at = np.concatenate([structure.which, k + owner])
    add_matrix(information, at, rows_information)
    cross, alone = information[:k, k:], np.diag(information)[k:]
    left = alone - np.sum(cross * (inverse @ cross), axis=0)
    left = np.where(left > UNIDENTIFIED * alone, left, np.nan)
    variance = left
    if objective.designed:
        meat = np.zeros_like(information)
        add_matrix(meat, at, objective.extended_covariance(place, theta, new, reach))
        meat[:k, :k] = objective.score_covariance(theta)
        pull = np.vstack([-inverse @ cross, np.eye(len(rows))])
        variance = np.where(np.isnan(left), np.nan, np.sum(pull * (meat @ pull), axis=0))
    mi = score**2 / variance
    return pd.DataFrame({"mi": mi, "p": chi2.sf(mi, 1), "epc": score / left})


def _derivatives(
    structure: Structure, implied: Implied, rows: Sequence[Row]
) -> tuple[Derivatives, np.ndarray, np.ndarray]:
    """Return `Derivatives` for candidates, their reach, and the candidate that each is part of.

    As in `implied`, with d(a) the effect on the observed variables of the disturbance of a:
    u = d(lhs) of a path, v = Cov(y, rhs), s = E(rhs); u = d(lhs) and v = d(rhs) of a covariance. A
    path into a covariate has a second part, which takes away again what it does to the moments of
    covariates. A path or loading changes the total effects by u reach'.
    """
    eta = {name: j for j, name in enumerate(structure.structural)}
    effect = {
        name: unit for name, unit in zip(structure.observed, np.eye(structure.p), strict=True)
    }
    effect |= {name: implied.total[:, j] for name, j in eta.items()}
    covariate = np.isin(structure.observed, structure.covariates)
    owner, none = [], np.zeros(structure.m)
    parts: list[tuple[np.ndarray, np.ndarray, float, np.ndarray]] = []
    for place, (lhs, op, rhs) in enumerate(rows):
        if op == "~~":
            part = effect[lhs], effect[rhs] * (0.5 if lhs == rhs else 1.0), 0.0, none
        elif op == "~1":
            part = effect[lhs], np.zeros(structure.p), 1.0, none
        else:
            to, by = (rhs, eta[lhs]) if op == "=~" else (lhs, eta[rhs])
            part = (
                effect[to],
                implied.cross_cov[:, by],
                implied.latent_mean[by],
                implied.inverse[by],
            )
        parts.append(part)
        owner.append(place)
    for place, (lhs, op, _) in enumerate(rows):
        if op == "~" and lhs in structure.covariates:
            part = parts[place]
            parts.append((part[0] * covariate, -part[1] * covariate, -part[2], none))
            owner.append(place)
    u, v, s, reach = (np.array(column).T for column in zip(*parts, strict=True))
    return Derivatives(u, v, s), reach, np.array(owner)


def _standard_scale(
    layout: Layout, place: int, implied: Implied, rows: Sequence[Row]
) -> np.ndarray:
    """Return what makes the change of each candidate a completely standardised one."""
    model, table = layout.model, layout.rows(place)
    latent = np.diag(implied.latent_cov)[: len(model.latents)]
    names = [*model.latents, *model.observed]
    variance = pd.Series(np.concatenate([latent, np.diag(implied.cov)]), names)
    own = (table["op"] == "~~") & (table["lhs"] == table["rhs"])
    residual = pd.Series(implied.values[own], table["lhs"][own])
    sd, residual_sd = np.sqrt(variance.where(variance > 0)), np.sqrt(residual.abs())
    scale = []
    for lhs, op, rhs in rows:
        if op == "~~":
            both = sd[lhs] ** 2 if lhs == rhs else residual_sd[lhs] * residual_sd[rhs]
            scale.append(1 / both if both > 0 else np.nan)
        elif op == "~1":
            scale.append(1 / sd[lhs])
        else:
            scale.append(sd[lhs] / sd[rhs] if op == "=~" else sd[rhs] / sd[lhs])
    return np.array(scale)
