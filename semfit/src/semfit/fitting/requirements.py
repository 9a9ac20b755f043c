"""Which rows of the data are used, and what is refused before a fit."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from semfit.fitting.designs import design_columns, group_designs
from semfit.messages import Message, message
from semfit.moments.design import Design
from semfit.moments.sample import Sample
from semfit.syntax.model import Model

COLLINEAR = 1e-10  # smallest eigenvalue of the correlation matrix
INVOLVED = 1e-4  # weight of a variable in a linear dependence
SMALLEST, LARGEST = 1e-6, 1e9  # largest minus smallest value of a variable


@dataclass(frozen=True, eq=False)
class Selected:
    """Rows that are used, group by group.

    Attributes
    ----------
    frames : list of DataFrame
        The model's observed variables, float64.
    groups : tuple of str
    group_rows : list of int
        Rows of each group before any was dropped.
    rows : DataFrame
        All of them in the order of the data, with the grouping variable (labels) if there is one,
        and the columns of weights and clusters.
    n_rows : int
        Rows of the data.
    dropped : Index
    reason : list of Message
        Why rows were dropped.
    designs : list of Design
        Weights and clusters of the rows of each group.
    """

    frames: list[pd.DataFrame]
    groups: tuple[str, ...]
    group_rows: list[int]
    rows: pd.DataFrame
    n_rows: int
    dropped: pd.Index
    reason: list[Message]
    designs: list[Design]

    @property
    def counted(self) -> list[pd.DataFrame]:
        """The rows of each group that have a weight above 0."""
        pairs = zip(self.frames, self.designs, strict=True)
        return [frame[design.of_rows(len(frame)) > 0] for frame, design in pairs]


def select_rows(model: Model, data: pd.DataFrame, options: Mapping[str, Any]) -> Selected:
    """Return the rows of a fit as `Selected`; see `fitting.fit` for which are dropped."""
    frame = model_frame(model, data)
    if options["missing"] == "listwise":
        kept = frame.notna().all(axis=1)
        reason = [message("dropped_incomplete", n=len(model.observed))]
    else:
        others = [name for name in model.observed if name not in model.covariates]
        kept = frame[list(model.covariates)].notna().all(axis=1)
        kept &= True if model.covariates else frame[others].notna().any(axis=1)
        reason = [message("dropped_covariate" if model.covariates else "dropped_empty")]
    labels, groups = group_labels(model, data, options["group"])
    if options["group"] is not None:
        reason.append(message("dropped_group", group=repr(options["group"])))
    used = (kept.to_numpy()) & (labels != None)
    for label in groups:
        _check_left(frame[labels == label], used[labels == label], options["missing"], label)
    columns = design_columns(data, options)
    rows = frame[used].copy()
    for option in columns:
        rows[options[option]] = data.loc[used, options[option]]
    if options["group"] is not None:
        rows[options["group"]] = labels[used]
    chosen = [used & (labels == label) for label in groups]
    frames = [frame[place] for place in chosen]
    sizes = [int((labels == label).sum()) for label in groups]
    designs = group_designs(columns, groups, chosen)
    return Selected(frames, groups, sizes, rows, len(data), data.index[~used], reason, designs)


def _check_left(frame: pd.DataFrame, used: np.ndarray, missing: str, label: str) -> None:
    """Refuse a group in which every row is dropped; the message names what is missing most."""
    if used.any():
        return
    _check_values(frame, _here(label))
    share = frame.isna().mean().sort_values(ascending=False, kind="stable").head(3)
    worst = ", ".join(f"{name} ({part:.0%})" for name, part in share.items() if part > 0)
    remedy = "" if missing == "fiml" else ", or use missing='fiml'"
    raise ValueError(
        f"None of the {len(frame)} rows{_here(label)} is complete on the {frame.shape[1]} "
        f"variables of the model. Leave out what is missing most{': ' if worst else ''}{worst}{remedy}."
    )


def _here(label: str) -> str:
    return f" in group {label}" if label else ""


def group_labels(
    model: Model, data: pd.DataFrame, group: str | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the group label of each row (None where missing), and the labels in order.

    Raises
    ------
    ValueError
        No such column, it is there twice, it has fewer than 2 values or values of several types, or
        it is a variable of the model.
    """
    if group is None:
        return np.full(len(data), "", dtype=object), ("",)
    if list(data.columns).count(group) != 1:
        raise ValueError(
            f"Grouping variable {group!r}{_closest(group, data.columns)} must be one column of the "
            f"data; there are {list(data.columns).count(group)}."
        )
    if group in (*model.observed, *model.latents):
        raise ValueError(
            f"Grouping variable {group!r} is also in the model, and does not vary within a group: "
            "leave it out of one of the two."
        )
    order = _values_in_order(data[group], group)
    if len(order) < 2:
        raise ValueError(f"Grouping variable {group!r} has {len(order)} value(s); give at least 2.")
    names = {value: _label(value) for value in order}
    labels = np.array([names.get(value) for value in data[group]], dtype=object)
    return labels, tuple(names.values())


def _values_in_order(column: pd.Series, group: str) -> list[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [value for value in column.cat.categories if (column == value).any()]
    try:
        return sorted(column.dropna().unique())
    except TypeError:
        raise ValueError(
            f"Grouping variable {group!r} holds both numbers and text: make it one of the two."
        ) from None


def _label(value: Any) -> str:
    """Return a value as text, 1.0 as "1"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def model_frame(model: Model, data: pd.DataFrame) -> pd.DataFrame:
    """Return the model's observed variables as float64.

    Raises
    ------
    ValueError
        A variable is not in the data (the message names the closest columns), is there twice, is
        not numeric or is infinite; or a latent variable has the name of a column.
    """
    columns = list(data.columns)
    clash = [name for name in model.latents if name in columns]
    if clash:
        raise ValueError(
            f"Latent variable {clash[0]!r} has the name of a column of the data: "
            "rename it in the model."
        )
    _check_present(model, columns)
    repeated = [name for name in model.observed if columns.count(name) > 1]
    if repeated:
        raise ValueError(
            f"Column {repeated[0]!r} is in the data more than once: drop or rename one of them."
        )
    return pd.DataFrame({name: _numeric(data[name]) for name in model.observed}, index=data.index)


def _check_present(model: Model, columns: Sequence[Hashable]) -> None:
    absent = [name for name in model.observed if name not in columns]
    if not absent:
        return
    hints = []
    for name in absent:
        hints.append(f"{name!r}{_closest(name, columns)}")
    raise ValueError(
        f"Not in the data: {', '.join(hints)}. Correct the name in the model, or add the column."
    )


def _closest(name: Hashable, columns: Iterable[Hashable]) -> str:
    """Return the column that a name may stand for, as a hint; capitals do not count."""
    lower = {str(column).lower(): str(column) for column in columns}
    close = difflib.get_close_matches(str(name).lower(), lower, 1)
    return f" (closest: {lower[close[0]]!r})" if close else ""


def _numeric(column: pd.Series) -> np.ndarray:
    """Return a column as float64 values, NaN where missing."""
    name = column.name
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        raise ValueError(f"Column {name!r} is not numeric {_example(column)}.")
    values = column.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        raise ValueError(
            f"Column {name!r} holds infinite values in "
            f"{np.isinf(values).sum()} row(s): correct them or make them missing."
        )
    return values


def _example(column: pd.Series) -> str:
    """Return the type of a column, a value that is no number, and what to do."""
    values = column.dropna().astype(object)
    odd = [v for v in values if pd.isna(pd.to_numeric(v, errors="coerce"))]
    if len(values) and not odd:
        return f"(dtype {column.dtype}), but its values are: pd.to_numeric(data[{column.name!r}])"
    example = f", such as {odd[0]!r}" if odd else ""
    return f"(dtype {column.dtype}{example}): recode it to numbers"


def check_sample(kept: pd.DataFrame, n_rows: int, label: str = "") -> None:
    """Refuse rows from which no covariance matrix can be modelled.

    Parameters
    ----------
    kept : DataFrame
        Rows of one group: complete, or (FIML) with missing values.
    n_rows : int
        Rows before any was dropped.
    label : str
        Of the group.

    Raises
    ------
    ValueError
        A variable is constant or has no value, its unit is impossibly large or small, there are not
        more rows than variables, two variables are never observed together, or variables depend on
        each other linearly (the message names them).
    """
    n, p = kept.shape
    here = _here(label)
    _check_spread(kept, here)
    if n <= p:
        lost = f" of {n_rows}" if n_rows > n else ""
        raise ValueError(
            f"{n}{lost} complete rows for {p} observed variables{here}: more rows than variables "
            "are needed. Use fewer variables, or data with fewer missing values."
        )
    seen = kept.notna().to_numpy(dtype=float)
    if seen.all():
        check_collinear(np.corrcoef(kept.to_numpy().T).reshape(p, p), kept.columns, here)
        return
    together = seen.T @ seen
    if together.min() < 2:
        i, j = np.argwhere(together < 2)[0]
        raise ValueError(
            f"{kept.columns[i]!r} and {kept.columns[j]!r} are observed together in fewer than 2 "
            f"rows{here}: their covariance is unknown. Leave one of them out."
        )


def _check_values(kept: pd.DataFrame, here: str) -> None:
    if not len(kept):
        raise ValueError(
            f"None of the 0 rows{here} has values: check the file, or the query that chose the rows."
        )
    empty = kept.columns[kept.isna().all()].tolist()
    if empty:
        raise ValueError(f"No value at all{here}: {', '.join(empty)}. Leave it out of the model.")


def _check_spread(kept: pd.DataFrame, here: str) -> None:
    _check_values(kept, here)
    spread = kept.max() - kept.min()
    constant = spread.index[~(spread > 0)].tolist()
    if constant:
        raise ValueError(
            f"Constant in the {len(kept)} rows used{here}: {', '.join(constant)}. "
            "Leave it out of the model."
        )
    # from the spread, which does not overflow where a variance does
    extreme = spread.index[
        (spread > LARGEST) | (spread < SMALLEST) | (kept.abs().max() > 1e6 * spread)
    ]
    if len(extreme):
        name = extreme[0]
        raise ValueError(
            f"{name!r} varies by {spread[name]:.3g} around {kept[name].median():.3g}{here}: "
            "subtract or divide by a constant, so that its values are of ordinary size."
        )


def check_moments(sample: Sample, names: Sequence[str], label: str = "") -> None:
    """Refuse rows with missing values whose covariance matrix (of EM) is singular.

    Parameters
    ----------
    sample : sample.Sample
    names : sequence of str
        Variables, in the order of the sample.
    label : str
        Of the group.
    """
    scale = np.sqrt(np.diag(sample.cov))
    if not sample.complete:
        check_collinear(sample.cov / np.outer(scale, scale), names, _here(label), missing=True)


def check_collinear(
    correlations: np.ndarray, names: Iterable[str], here: str = "", missing: bool = False
) -> None:
    """Refuse a singular correlation matrix; the message names the variables involved."""
    values, vectors = np.linalg.eigh(correlations)
    if values[0] >= COLLINEAR:
        return
    involved = [name for name, w in zip(names, vectors[:, 0], strict=True) if abs(w) > INVOLVED]
    reason = ", or hardly any row has several of them" if missing else ""
    raise ValueError(
        f"The covariance matrix{here} is not positive definite: these variables depend "
        f"on each other linearly{reason}: {', '.join(involved)}. Leave one out."
    )
