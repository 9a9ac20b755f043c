"""From the columns of the data to the variables of a model: names, types, products."""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from semfit.syntax.formula import names_in
from semfit.syntax.model import Model
from semfit.syntax.tokens import normal


def model_frame(model: Model, data: pd.DataFrame) -> pd.DataFrame:
    """Return the model's observed variables as float64.

    Ordered categoricals become 1, 2, ...; x:z the product of x and z.

    Raises
    ------
    ValueError
        A variable is not in the data (the message names the closest latent variable and column), is
        there twice, is not numeric or is infinite; or a latent variable has the name of a column.
    """
    columns = list(data.columns)
    clash = [name for name in model.latents if name in columns]
    if clash:
        raise ValueError(
            f"Latent variable {clash[0]!r} has the name of a column of the data: "
            "rename it in the model."
        )
    products = [name for name in model.observed if ":" in name and name not in columns]
    names = [name for name in model.observed if name not in products]
    named = column_names(names, columns, model.latents)
    found = {name: numeric(data[column]) for name, column in named.items()}
    for name in products:
        first, second = name.split(":")
        found[name] = found[first] * found[second]
    return pd.DataFrame({name: found[name] for name in model.observed}, index=data.index)


def column_names(
    names: Iterable[str], columns: Sequence[Hashable], latents: Sequence[str] = ()
) -> dict[str, Hashable]:
    """Return the column that each name stands for; refuse what is not there, or is there twice.

    A name is that of a column also if its letters are written in another Unicode form (é as one
    character, or as e and an accent). `latents`: what else a name that is not there may stand for.
    """
    alike: dict[str, list[Hashable]] = {}
    for column in columns:
        alike.setdefault(normal(str(column)), []).append(column)
    found = {name: alike.get(normal(name), []) for name in names}
    absent = [
        f"{name!r}{closest(name, columns, latents)}" for name, there in found.items() if not there
    ]
    if absent:
        raise ValueError(
            f"Not in the data: {', '.join(absent)}. Correct the name in the model, or add the column."
        )
    for name, there in found.items():
        if len(there) > 1:
            forms = "" if len({*there}) == 1 else ", in two forms of Unicode that look alike"
            raise ValueError(
                f"Column {name!r} is in the data more than once{forms}: drop or rename one of them."
            )
    return {name: there[0] for name, there in found.items()}


def closest(name: Hashable, columns: Iterable[Hashable], latents: Sequence[str] = ()) -> str:
    """Return what a name may stand for, as a hint: a latent variable, a column. Capitals do not count."""
    latent, column = _near(name, latents), _near(name, columns)
    found = [f"the latent variable {latent!r}"] if latent else []
    found += [f"the column {column!r}" if latent else f"{column!r}"] if column else []
    return f" (closest: {', or '.join(found)})" if found else ""


def _near(name: Hashable, known: Iterable[Hashable]) -> str:
    lower = {str(one).lower(): str(one) for one in known}
    close = difflib.get_close_matches(str(name).lower(), lower, 1)
    return lower[close[0]] if close else ""


def ordered_columns(model: Model, data: pd.DataFrame) -> tuple[str, ...]:
    """Return the variables that the model explains whose columns are ordered categoricals."""
    explained = [n for n in model.observed if n not in model.covariates and ":" not in n]
    named = column_names(explained, list(data.columns), model.latents)
    return tuple(name for name, column in named.items() if _is_ordered(data[column]))


def _is_ordered(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype) and bool(column.dtype.ordered)


def numeric(column: pd.Series) -> np.ndarray:
    """Return a column as float64 values, NaN where missing."""
    name = column.name
    if _is_ordered(column):
        return _category_values(column)
    if pd.api.types.is_object_dtype(column) and _all_numbers(column):
        column = column.map(float, na_action="ignore").astype(float)
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        raise ValueError(f"Column {name!r} is not numeric {_example(column)}.")
    values = column.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        raise ValueError(
            f"Column {name!r} holds infinite values in "
            f"{np.isinf(values).sum()} row(s): correct them or make them missing."
        )
    return values


def _category_values(column: pd.Series) -> np.ndarray:
    """Return the categories of an ordered column that occur as 1, 2, ... in their order."""
    codes = column.cat.remove_unused_categories().cat.codes.to_numpy(dtype=float)
    return np.where(codes < 0, np.nan, codes + 1)


def _all_numbers(column: pd.Series) -> bool:
    """Whether an object column holds numbers (Decimal, int, float) and gaps only."""
    known = column.dropna()
    return bool(len(known)) and all(isinstance(value, Real | Decimal) for value in known)


def _example(column: pd.Series) -> str:
    """Return the type of a column, a value that is no number, and what to do."""
    values = column.dropna().astype(object)
    odd = [v for v in values if pd.isna(pd.to_numeric(v, errors="coerce"))]
    if len(values) and not odd:
        return f"(dtype {column.dtype}), but its values are: pd.to_numeric(data[{column.name!r}])"
    example = f", such as {odd[0]!r}" if odd else ""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return (
            f"(categories without an order{example}): pd.Categorical(..., ordered=True) gives them "
            "one, or recode it to numbers"
        )
    return f"(dtype {column.dtype}{example}): recode it to numbers"


# ---- groups --------------------------------------------------------------------------------------


def group_labels(
    model: Model, data: pd.DataFrame, options: Mapping[str, Any]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the group label of each row (None where missing), and the labels in order.

    Raises
    ------
    ValueError
        No such column, it is there twice, it has fewer than 2 values or values of several types, it
        is a variable of the model; `groups` are not its values; or the model says something of each
        group in turn, and nobody said in which order they are.
    """
    group, asked = options["group"], options.get("groups")
    if group is None:
        return np.full(len(data), "", dtype=object), ("",)
    column = _group_column(model, data, group)
    order = _values_in_order(column, group) if asked is None else _as_asked(column, group, asked)
    if len(order) < 2:
        raise ValueError(f"Grouping variable {group!r} has {len(order)} value(s); give at least 2.")
    if asked is None and not isinstance(column.dtype, pd.CategoricalDtype):
        _check_order(model, column, group, order)
    names = {value: _label(value) for value in order}
    labels = np.array([names.get(value) for value in column], dtype=object)
    return labels, tuple(names.values())


def _group_column(model: Model, data: pd.DataFrame, group: str) -> pd.Series:
    times = [normal(str(column)) for column in data.columns].count(normal(str(group)))
    if times != 1:
        raise ValueError(
            f"Grouping variable {group!r}{closest(group, data.columns)} must be one column of the "
            f"data; there are {times}."
        )
    if group in (*model.observed, *model.latents):
        raise ValueError(
            f"Grouping variable {group!r} is also in the model, and does not vary within a group: "
            "leave it out of one of the two."
        )
    return data[column_names([str(group)], list(data.columns))[str(group)]]


def _values_in_order(column: pd.Series, group: str) -> list[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [value for value in column.cat.categories if (column == value).any()]
    try:
        return sorted(column.dropna().unique())
    except TypeError:
        raise ValueError(
            f"Grouping variable {group!r} holds both numbers and text: make it one of the two."
        ) from None


def _as_asked(column: pd.Series, group: str, asked: Sequence[Any]) -> list[Any]:
    """Return the values in the order of ``groups=``, given as values or as their labels."""
    there = list(column.dropna().unique())
    names = {_label(value): value for value in there}
    order = [names.get(_label(value)) for value in asked]
    if len(order) != len(there) or {*map(_label, there)} != {*map(_label, asked)}:
        raise ValueError(
            f"groups={[*asked]} must hold each value of {group!r} once: {', '.join(sorted(names))}."
        )
    return order


def _check_order(model: Model, column: pd.Series, group: str, order: Sequence[Any]) -> None:
    """Refuse a model that tells groups apart by their number, where two orders are thinkable."""
    appearance = list(column.dropna().unique())
    if appearance == list(order) or not numbered(model):
        return
    by_value, by_row = (", ".join(map(_label, values)) for values in (order, appearance))
    raise ValueError(
        f"The model says something of each group in turn ({numbered(model)}), and the order of the "
        f"groups of {group!r} is not stated: sorted it is {by_value}; in the order of the rows, which "
        f"lavaan takes, {by_row}. Give groups=[...] in the order that is meant, or make the column "
        "categorical."
    )


def numbered(model: Model) -> str:
    """Return the first thing that a model says of a group by its number, "" if nothing."""
    for term in model.terms:
        if any(len({*values}) > 1 for values in term.modifier.kinds().values()):
            return term.text()
        if term.block and term.block.isdigit():
            return f"group: {term.block}"
    formulas = [(f"{name} := {formula}", formula) for name, formula in model.definitions]
    formulas += [(constraint.text, constraint.formula) for constraint in model.constraints]
    return next((text for text, formula in formulas if _names_group(formula)), "")


def _names_group(formula: str) -> bool:
    """Whether a formula is about a parameter of one group, `f=~x2.g2`."""
    return any(re.search(r"\.g\d+$", name) for name in names_in(formula))


def _label(value: Any) -> str:
    """Return a value as text, 1.0 as "1"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
