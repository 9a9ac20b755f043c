"""Scales and their families, as far as the answers carry them: the tables of notebook 03.

The statistics are those of `semfit.reliability`. Every function returns a tidy table, without rows
where there is nothing to tell; what is left out stands beside it, with the reason: a code under
`absent` in words.yaml, and the names that it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from pandas import DataFrame

from mkb21.survey.descriptives import LeftOut
from semfit import reliability

Scales = Mapping[str, list[str]]  # name -> its items
Families = Mapping[str, Scales]  # name -> the scales that should be distinct
LEAST_ROWS = 4  # what semfit needs for a correlation


def usable(data: DataFrame, scales: Scales) -> tuple[dict[str, list[str]], LeftOut]:
    """The scales that have an alpha, without items that everyone answered alike."""
    left, lost = {}, []
    for scale, items in scales.items():
        items = [item for item in items if data[item].notna().any()]
        complete = data[items].dropna()
        if len(items) > 1 and len(complete) < LEAST_ROWS:
            lost.append(("few_complete", [scale]))
            continue
        same = [item for item in items if complete[item].nunique() == 1]
        items = [item for item in items if item not in same]
        if same:
            lost.append(("same", [scale, *same]))
        if len(items) < 2:
            lost.append(("few_items", [scale]))
        elif np.isclose(complete[items].sum(axis=1).std(), 0, atol=1e-9):
            lost.append(("cancel_out", [scale]))
        else:
            left[scale] = items
    return left, lost


def families_of(
    data: DataFrame, scales: Scales, families: Mapping[str, list[str]], chosen: Iterable[str]
) -> tuple[dict[str, dict[str, list[str]]], LeftOut]:
    """The families of the chosen scales, with those that are usable.

    Each pair of them must be known of some respondents.
    """
    left, lost = {}, []
    for name, members in families.items():
        if not {*members} & {*chosen}:
            continue
        family = {scale: list(scales[scale]) for scale in members if scale in scales}
        if not family:
            lost.append(("no_scales", [name]))
        elif not _apart(family):
            lost.append(("shared_items", [name]))
        elif not _together(data, family):
            lost.append(("no_common", [name]))
        else:
            left[name] = family
    return left, lost


def _apart(scales: Scales) -> bool:
    return all(not {*one} & {*other} for one, other in combinations(scales.values(), 2))


def _together(data: DataFrame, scales: Scales) -> bool:
    """Can each item be correlated with each score?"""
    scores = reliability.scale_scores(data, scales)
    for item in (item for items in scales.values() for item in items):
        for scale in scores:
            both = pd.DataFrame({"item": data[item], "score": scores[scale]}).dropna()
            if len(both) < LEAST_ROWS or (both.nunique() == 1).any():
                return False
    return True


def _one_below_the_other(parts: list[DataFrame]) -> DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else DataFrame()


# --- scales --------------------------------------------------------------------------------------


def summary(data: DataFrame, scales: Scales, least: Mapping[str, int]) -> DataFrame:
    """`semfit.reliability.scale_summary`; `least`: how many items must be answered for a score."""
    if not scales:
        return DataFrame()
    needed = {scale: min(least[scale], len(items)) for scale, items in scales.items()}
    return reliability.scale_summary(data, scales, needed).drop(columns="n_empty")


def coefficients(data: DataFrame, scales: Scales) -> tuple[DataFrame, LeftOut]:
    """`semfit.reliability.scale_reliability` of the scales that a factor model can have."""
    parts, lost = [], []
    for scale, items in scales.items():
        why = factorable(data, items) if len(items) > 2 else ""
        if not why:
            try:
                parts.append(reliability.scale_reliability(data, {scale: items}))
            except ValueError:  # items that go together perfectly, or no solution: no polychorics
                why = "no_ordinal_alpha"
                parts.append(reliability.scale_reliability(data, {scale: items}, ordinal=False))
        if why:
            lost.append((why, [scale]))
    return _one_below_the_other(parts).drop(columns="n_empty", errors="ignore"), lost


def factorable(data: DataFrame, items: list[str], n_factors: int = 1) -> str:
    """Why so many factors cannot be found among items; "" where they can."""
    complete, p = data[items].dropna(), len(items)
    if (p - n_factors) ** 2 < p + n_factors:
        return "many_factors"
    if len(complete) <= p:
        return "few_rows"
    if (complete.nunique() == 1).any():
        return "same"
    return "singular" if np.linalg.eigvalsh(complete.corr())[0] < 1e-10 else ""


def each(function: Callable[[DataFrame], DataFrame], data: DataFrame, scales: Scales) -> DataFrame:
    """A table of every scale, with its name."""
    return _one_below_the_other([function(data[i]).assign(scale=s) for s, i in scales.items()])


# --- families ------------------------------------------------------------------------------------


def within(
    function: Callable[[DataFrame, Scales], DataFrame],
    data: DataFrame,
    families: Families,
    least: int,
) -> DataFrame:
    """A table of every family that has at least so many scales."""
    return _one_below_the_other([function(data, f) for f in families.values() if len(f) >= least])


def ratios(data: DataFrame, families: Families) -> DataFrame:
    """Heterotrait-monotrait ratios, of all families together where the answers allow it.

    Returns
    -------
    DataFrame
        As `semfit.reliability.htmt`, with family_first and family_second; within families first.
    """
    every = {scale: items for family in families.values() for scale, items in family.items()}
    of = {scale: name for name, family in families.items() for scale in family}
    complete = data[[item for items in every.values() for item in items]].dropna()
    joint = len(of) == sum(map(len, families.values())) and _apart(every)
    joint &= len(complete) >= LEAST_ROWS and bool((complete.nunique() > 1).all())
    parts = [every] if joint else list(families.values())
    found = _one_below_the_other([_htmt(data, part) for part in parts])
    if found.empty:
        return DataFrame(columns=["first", "second", "htmt", "family_first", "family_second"])
    names = list(families)
    found = found.assign(family_first=found["first"].map(of), family_second=found["second"].map(of))
    same = found["family_first"] == found["family_second"]
    place = found["family_first"].map(names.index).where(same, len(names))
    return found.iloc[place.argsort(kind="stable")].reset_index(drop=True)


def _htmt(data: DataFrame, scales: Scales) -> DataFrame:
    items = [item for items in scales.values() for item in items]
    complete = data[items].dropna()
    usable = len(complete) >= LEAST_ROWS and bool((complete.nunique() > 1).all())
    return reliability.htmt(data, scales) if usable and len(scales) > 1 else DataFrame()


def parallel(
    data: DataFrame, families: Families, seed: int, draws: int
) -> tuple[DataFrame, LeftOut]:
    """Parallel analysis of the items of each family, of components and of common factors.

    Returns
    -------
    DataFrame
        As the table of `semfit.reliability.parallel_analysis`, with series (the family), n_used and
        reduced (True: common factors).
    """
    parts, lost = [], []
    for name, family in families.items():
        items = [item for items in family.values() for item in items]
        why = factorable(data, items)
        if why:
            lost.append((why, [name]))
            continue
        for reduced in (False, True):
            found = reliability.parallel_analysis(
                data[items], seed=seed, draws=draws, reduced=reduced
            )
            parts.append(found.table.assign(series=name, n_used=found.n_used, reduced=reduced))
    return _one_below_the_other(parts), lost


def factors(
    data: DataFrame, families: Families
) -> tuple[dict[str, reliability.ExploratoryFactors], LeftOut]:
    """As many exploratory factors of each family as it has scales."""
    found, lost = {}, []
    for name, family in families.items():
        items = [item for items in family.values() for item in items]
        why = factorable(data, items, len(family))
        if not why:
            try:
                found[name] = reliability.exploratory_factors(data[items], len(family))
            except ValueError:  # all else was seen to above
                why = "no_maximum"
        if why:
            lost.append((why, [name]))
    return found, lost
