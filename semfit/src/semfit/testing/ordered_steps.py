"""Invariance of ordered items: which steps restrict anything, and categories that a group lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from semfit.fitting import columns, requirements
from semfit.fitting.dwls import ordered_names
from semfit.fitting.estimator import Options
from semfit.fitting.fitting import Fit
from semfit.messages import Message, as_json, message
from semfit.syntax.model import Model

FEWEST = 2  # categories


# ---- steps ---------------------------------------------------------------------------------------


def threshold_counts(one: Fit) -> dict[str, int]:
    """Return the number of thresholds of each ordered indicator of a fit."""
    rows = one.layout.rows(0)
    counts = rows[rows["op"] == "|"].groupby("lhs", sort=False).size()
    return {str(name): int(count) for name, count in counts.items()}


def steps_that_restrict_nothing(counts: Mapping[str, int], n_items: int) -> dict[str, Message]:
    """Return the steps that are none of their own, and why (Wu & Estabrook 2016).

    Parameters
    ----------
    counts : dict
        Ordered items, and how many thresholds they have.
    n_items : int
        Of ordered and numeric items together.
    """
    result = {}
    if max(counts.values()) <= 2:
        result["thresholds"] = message("no_step_thresholds")
    if max(counts.values()) == 1 and len(counts) == n_items:
        result["metric"] = message("no_step_metric")
    return result


def items_that_count_later(counts: Mapping[str, int], left_out: Mapping[str, Message]) -> list:
    """Return sentences about items that a step, although it is one, does not restrict."""
    parts = []
    binary = [name for name, count in counts.items() if count == 1]
    three = [name for name, count in counts.items() if count == 2]
    if three and "thresholds" not in left_out:
        parts.append(message("three_categories", items=three))
    if binary and "metric" not in left_out:
        parts.append(message("two_categories", items=binary))
    return parts


def steps_of(
    asked: Sequence[str] | None, known: Sequence[str], left_out: Mapping[str, Message]
) -> list[str]:
    """Return the steps to fit; refuse those asked for that restrict nothing."""
    if asked is None:
        return [step for step in known if step not in left_out]
    for step in asked:
        if step in left_out:
            raise ValueError(f"Step {step!r} is no step of its own here: {left_out[step]}.")
    return [step for step in known if step in asked]


# ---- categories ----------------------------------------------------------------------------------


def merge_categories(
    model: Model, data: pd.DataFrame, options: Options, merge: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the data with categories that a group lacks merged, and what was merged.

    A category that nobody chose in a group has no threshold there. It is merged in all groups with
    the neighbour that fewer respondents chose, until no group lacks one.

    Parameters
    ----------
    model : Model
    data : DataFrame
    options : dict
        Of `fit`.
    merge : bool
        Else such data are refused.

    Returns
    -------
    data : DataFrame
    problems : DataFrame
        Rows as of ``fit.problems``, one for each item.

    Raises
    ------
    ValueError
        A group lacks a category, and `merge` is False or fewer than two would be left.
    """
    selected = requirements.select_rows(model, data, options)
    frame, problems = requirements.model_frame(model, data), []
    changed = {}
    for name in ordered_names(model, options["ordered"], frame):
        counts = _counts([part[name] for part in selected.frames])
        if (counts > 0).all(axis=None):
            continue
        new = _merged(counts, name)
        if not merge:
            raise ValueError(_advice(counts, selected.groups, name, new))
        changed[name] = frame[name].replace(new)
        problems.append(_problem(name, new))
    return (data.assign(**changed) if changed else data), pd.DataFrame(problems)


def ordered_asked(
    model: Model, data: pd.DataFrame, asked: str | Sequence[str]
) -> str | tuple[str, ...]:
    """Return the ordered variables as asked, with ordered categoricals, as `fit` takes them."""
    if asked == "all":
        return "all"
    names = [asked] if isinstance(asked, str) else [*asked]
    return tuple(dict.fromkeys([*names, *columns.ordered_columns(model, data)]))


def _counts(parts: Sequence[pd.Series]) -> pd.DataFrame:
    """Return how often each category occurs in each group: (groups, categories)."""
    return pd.DataFrame([part.value_counts() for part in parts]).fillna(0).sort_index(axis=1)


def _merged(counts: pd.DataFrame, name: str) -> dict[float, float]:
    """Return the new value of each category that changes."""
    table, now = counts.to_numpy(copy=True), [[float(value)] for value in counts.columns]
    while (table == 0).any():
        if len(now) <= FEWEST:
            raise ValueError(
                f"The groups share fewer than {FEWEST} categories of {name!r}: leave it out."
            )
        at = int(np.flatnonzero((table == 0).any(axis=0))[0])
        beside = [k for k in (at - 1, at + 1) if 0 <= k < len(now)]
        to = min(beside, key=lambda k: table[:, k].sum())
        first = min(at, to)
        table[:, first] = table[:, first] + table[:, first + 1]
        table = np.delete(table, first + 1, axis=1)
        now[first : first + 2] = [now[first] + now[first + 1]]
    return {value: values[0] for values in now for value in values if value != values[0]}


def _written(new: Mapping[float, float]) -> str:
    return ", ".join(f"{old:g} with {value:g}" for old, value in new.items())


def _advice(
    counts: pd.DataFrame, groups: Sequence[str], name: str, new: Mapping[float, float]
) -> str:
    """Return what is lacking, and what to do."""
    place = int(np.flatnonzero((counts == 0).any(axis=1))[0])
    value = float(counts.columns[np.flatnonzero(counts.iloc[place] == 0)[0]])
    python = ", ".join(f"{old:g}: {to:g}" for old, to in new.items())
    return (
        f"Nobody in group {groups[place]!r} chose {value:g} of {name!r}, so it has no threshold there. "
        f"Merge it in all groups: merge_categories=True does so ({_written(new)}), or "
        f"data[{name!r}] = data[{name!r}].replace({{{python}}})."
    )


def _problem(name: str, new: Mapping[float, float]) -> dict[str, str]:
    values = {"variable": name, "pairs": _written(new), "where": name}
    what = message("categories_merged", **values)
    step = message("report_merged")
    return {
        "step": "configural",
        "code": what.code,
        "severity": "note",
        "what": str(what),
        "where": name,
        "next_step": str(step),
        "values": as_json({**values, "next_step": step}),
    }
