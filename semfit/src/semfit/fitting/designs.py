"""The columns of sampling weights and clusters: what is refused, and what each group makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from semfit.messages import Message, message
from semfit.moments.design import Design, effective_size

OPTIONS = ("sampling_weights", "cluster")


def is_designed(options: Mapping[str, Any]) -> bool:
    """Tell whether rows have weights or clusters."""
    return any(options.get(option) is not None for option in OPTIONS)


def design_columns(data: pd.DataFrame, options: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the columns that hold weights (float64) and clusters (labels), by option.

    Raises
    ------
    ValueError
        No such column, or it is there twice; a weight that is missing, negative, infinite or no
        number; weights that are all zero; a missing cluster; one cluster.
    """
    found: dict[str, np.ndarray] = {}
    for option in OPTIONS:
        name = options.get(option)
        if name is not None:
            column = _column(data, option, name)
            found[option] = _weights(column) if option == "sampling_weights" else _clusters(column)
    return found


def _column(data: pd.DataFrame, option: str, name: Any) -> pd.Series:
    """Return the column of an option."""
    times = list(data.columns).count(name) if isinstance(name, str) else 0
    if times != 1:
        raise ValueError(
            f"{option}={name!r} must be the name of one column of the data; there are {times}."
        )
    return data[name]


def _weights(column: pd.Series) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise ValueError(
            f"Sampling weights {column.name!r} are not numeric (dtype {column.dtype}): give numbers "
            "from 0."
        )
    weights = column.to_numpy(dtype=float, na_value=np.nan)
    for odd, what, remedy in (
        (np.isnan(weights), "missing", "drop these rows, or give them weight 0"),
        (np.isinf(weights), "infinite", "correct them"),
        (weights < 0, "negative", "a weight is 0 or more"),
    ):
        if odd.any():
            raise ValueError(
                f"Sampling weights {column.name!r} are {what} in {odd.sum()} row(s): {remedy}."
            )
    if not weights.any():
        raise ValueError(f"Sampling weights {column.name!r} are all 0: no row counts.")
    return weights


def _clusters(column: pd.Series) -> np.ndarray:
    missing = column.isna()
    if missing.any():
        raise ValueError(
            f"Cluster {column.name!r} is missing in {missing.sum()} row(s): drop these rows, or give "
            "each a cluster of its own."
        )
    codes, labels = pd.factorize(column)
    if len(labels) < 2:
        raise ValueError(f"Cluster {column.name!r} has one value: at least 2 clusters are needed.")
    return codes


def group_designs(
    columns: Mapping[str, np.ndarray], groups: Sequence[str], chosen: Sequence[np.ndarray]
) -> list[Design]:
    """Return the `Design` of each group.

    Parameters
    ----------
    columns : dict
        From `design_columns`.
    groups : sequence of str
        Labels.
    chosen : sequence of ndarray of bool
        Rows of each group. A cluster that has rows in two of them is two clusters.

    Raises
    ------
    ValueError
        A group has no weight, or one cluster.
    """
    designs = []
    for label, rows in zip(groups, chosen, strict=True):
        here = f" in group {label}" if label else ""
        weights = clusters = None
        if "sampling_weights" in columns:
            weights = columns["sampling_weights"][rows]
            if not weights.any():
                raise ValueError(f"The sampling weights of the rows used{here} are all 0.")
            weights = weights * (len(weights) / weights.sum())
        if "cluster" in columns:
            clusters = np.unique(columns["cluster"][rows], return_inverse=True)[1].reshape(-1)
            if clusters.max() < 1:
                raise ValueError(
                    f"The rows used{here} are of one cluster: at least 2 are needed, and some 20 for "
                    "standard errors to be trusted."
                )
        designs.append(Design(weights, clusters))
    return designs


def design_messages(designs: Sequence[Design], options: Mapping[str, Any]) -> list[Message]:
    """Return what is told of weights and clusters: how many, and what they are worth."""
    clauses = []
    if options.get("cluster") is not None:
        n = sum(design.n_clusters for design in designs)
        clauses.append(message("clusters_used", n=n, cluster=options["cluster"]))
    parts = [design.weights for design in designs if design.weights is not None]
    if parts:
        effective = effective_size(np.concatenate(parts))
        weights = options["sampling_weights"]
        clauses.append(message("weights_used", weights=weights, effective=effective))
    return clauses
