"""Whether the parameters of a model can be told apart, checked before it is fitted.

The rank of the derivatives of all moments and equality constraints to all parameters, at a random
point that meets the constraints: a generic (local) check of the model, whatever the data (Bekker,
Merckens & Wansbeek 1994). semopy fits a model that
is not identified without a word.
"""

from collections.abc import Callable, Collection, Sequence

import numpy as np
import pandas as pd

from semfit.syntax.parameters import Layout

SEED = 20121001
RANK_TOLERANCE = 1e-9  # of singular values, relative to the largest, columns scaled to length 1
WEIGHT = 1e-6  # of a parameter in a direction that changes nothing
NAMED = 12  # names in a message

Found = set[tuple[str, str, str]]  # (op, lhs, rhs) of the parameters involved


def check_identified(layout: Layout, jacobian: Callable[[np.ndarray], np.ndarray]) -> None:
    """Refuse a model whose parameters the moments cannot tell apart.

    Parameters
    ----------
    layout : Layout
    jacobian : function, ndarray (k,) -> ndarray (q, k)
        Of a parameter vector: the derivatives of the moments of all groups.

    Raises
    ------
    ValueError
        No free parameter, or a rank below the number of parameters (always so with negative degrees
        of freedom): the message names the parameters involved, and what to do. Constraints that no
        values meet.
    """
    if not layout.parameters:
        raise ValueError("The model has no free parameter: every one is fixed. Free at least one.")
    point = random_point(layout)
    if layout.restrictions:
        point = layout.restrictions.possible(point, np.ones(len(point)))
    matrix, restricted = jacobian(point), layout.restrictions.equality_jacobian(point)
    lengths = np.linalg.norm(matrix, axis=0)
    lengths[~(lengths > 0)] = 1
    stacked = np.concatenate([matrix / lengths, _unit_rows(restricted / lengths)])
    involved = involved_in(null_directions(stacked), layout)
    df = len(matrix) - len(layout.parameters) + rank(restricted)
    if df >= 0 and not involved:
        return
    names, step = listed(names_of(layout, involved)), advice(layout, involved)
    if df < 0:
        raise ValueError(
            f"The model has {-df} parameter(s) more than moments (df = {df}): {step} "
            f"Not identified: {names}."
        )
    raise ValueError(f"The model is not identified: {names} cannot be told apart. {step}")


def random_point(layout: Layout) -> np.ndarray:
    """Random parameter values (k,), variances between 1 and 2, others between .3 and .9."""
    table = layout.table
    variance = (table["op"] == "~~") & (table["lhs"] == table["rhs"]) | (table["op"] == "~*~")
    variances = set(table["parameter"][variance])
    draws = np.random.default_rng(SEED).uniform(0, 1, len(layout.parameters))
    return np.array(
        [
            1 + u if name in variances else 0.3 + 0.6 * u
            for name, u in zip(layout.parameters, draws, strict=True)
        ]
    )


def null_directions(matrix: np.ndarray) -> np.ndarray:
    """The directions (d, k) that the matrix (q, k) takes to zero."""
    _, singular, right = np.linalg.svd(np.linalg.qr(matrix, mode="r"))
    return right[int((singular > RANK_TOLERANCE * singular.max(initial=0.0)).sum()) :]


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def rank(rows: np.ndarray) -> int:
    """The number of rows (m, k) of which none follows from others."""
    return rows.shape[1] - len(null_directions(_unit_rows(rows))) if len(rows) else 0


def involved_in(directions: np.ndarray, layout: Layout, weight: float = WEIGHT) -> list[str]:
    """The parameters that take part in directions (d, k)."""
    weights = np.linalg.norm(directions, axis=0)
    return [name for name, w in zip(layout.parameters, weights, strict=True) if w > weight]


def names_of(layout: Layout, parameters: Collection[str]) -> list[str]:
    """Parameters as they are written in a model, with the group if it is of one only."""
    found = names_and_groups(layout, parameters)
    return [f"{text} (group {group})" if group else text for text, group in found]


def names_and_groups(layout: Layout, parameters: Collection[str]) -> list[tuple[str, str]]:
    """Parameters as they are written in a model, and the group, "" if not of one only."""
    table, names = layout.table, []
    for parameter in parameters:
        rows = table[table["parameter"] == parameter]
        first = rows.iloc[0]
        one = len(layout.groups) > 1 and rows["group"].nunique() == 1
        text = written(first["lhs"], first["op"], first["rhs"])
        names.append((text, first["group"] if one else ""))
    return names


def written(lhs: str, op: str, rhs: str) -> str:
    """A parameter as it is written in a model."""
    return f"{lhs} ~ 1" if op == "~1" else f"{lhs} {op} {rhs}"


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """Names as one text, the first ones if there are many."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


# ---- what to do ----------------------------------------------------------------------------------


def advice(layout: Layout, involved: Collection[str]) -> str:
    """The next step for a model that is not identified: the first reason that applies."""
    rows = layout.table[layout.table["parameter"].isin(involved)]
    found = {(row.op, row.lhs, row.rhs) for row in rows.itertuples()}
    latents = [f for f in layout.model.latents if any(f in (lhs, rhs) for _, lhs, rhs in found)]
    for reason in (_no_unit, _free_mean, _few_indicators):
        for latent in latents:
            text = reason(layout, found, latent)
            if text:
                return text
    return _loop(found) or (
        "Fix one of them to a value, give two of them one label, or add indicators."
    )


def _loadings(layout: Layout, latent: str) -> pd.DataFrame:
    table = layout.rows(0)
    return table[(table["op"] == "=~") & (table["lhs"] == latent)]


def _no_unit(layout: Layout, found: Found, latent: str) -> str:
    loadings = _loadings(layout, latent)
    if ("~~", latent, latent) in found and (loadings["parameter"] != "").all():
        first = loadings["rhs"].iloc[0]
        return (
            f"{latent} has no unit: fix a loading (1*{first}) or its variance "
            f"({latent} ~~ 1*{latent})."
        )
    return ""


def _free_mean(layout: Layout, found: Found, latent: str) -> str:
    if ("~1", latent, "") not in found:
        return ""
    if len(layout.groups) > 1:
        values = ", ".join(["0"] + ["NA"] * (len(layout.groups) - 1))
        return (
            f"The mean of {latent} is free where it has no reference: fix it in one group "
            f"({latent} ~ c({values})*1) and keep loadings and intercepts equal."
        )
    return f"The mean of {latent} has no reference: leave out {latent} ~ 1."


def _few_indicators(layout: Layout, found: Found, latent: str) -> str:
    number = len(_loadings(layout, latent))
    if ("~~", latent, latent) not in found or number > 2:
        return ""
    count = "one indicator" if number == 1 else "two indicators"
    return (
        f"{latent} has {count} and too little else to go by: add an indicator, let it covary with "
        "another latent variable, or fix its loadings to 1."
    )


def _loop(found: Found) -> str:
    """Advice on two variables that are tied to each other twice."""
    for op, a, b in sorted(found):
        if op == "~" and ("~", b, a) in found:
            return (
                f"{a} and {b} predict each other: give each a predictor of its own, or drop a path."
            )
        if op == "~" and {("~~", a, b), ("~~", b, a)} & found:
            return f"{a} and {b} have both a path and a covariance: drop one of the two."
    return ""
