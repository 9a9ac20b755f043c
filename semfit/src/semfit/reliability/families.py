"""Scales, families of scales and comparisons, as far as answers carry them; the rest is named.

A family is several scales that should be distinct: {name: {scale: its items}}. What the rest of this
room refuses is left out here. It is given as a second result, a list of (reason, names). Reasons are
codes: few_complete (fewer than 4 rows with all items), same (an item that all answered alike, after
the name of its scale), few_items (fewer than 2 are left), cancel_out (the sum does not vary),
no_scales, shared_items, no_common (an item and a score have fewer than 4 rows in common, or one of
them does not vary), many_factors (for so few items), few_rows (no more than items), singular (an
item follows from others), no_ordinal_alpha (no polychoric correlations), no_maximum (of the
likelihood of factors).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from pandas import DataFrame

from semfit.reliability.coefficients import scale_reliability
from semfit.reliability.columns import LeftOut
from semfit.reliability.factor import ExploratoryFactors, exploratory_factors, parallel_analysis
from semfit.reliability.scales import LEAST_ROWS, Scales, refuse_overlap, scale_scores
from semfit.reliability.validity import htmt

Families = Mapping[str, Scales]


def each_scale(
    function: Callable[[DataFrame], DataFrame], data: DataFrame, scales: Scales
) -> DataFrame:
    """A table of the items of every scale, one below the other.

    Parameters
    ----------
    function : callable
        Makes a table of a frame with the items of one scale, such as `item_statistics`.
    data : DataFrame, respondents x variables
    scales : dict, name of the scale -> its items

    Returns
    -------
    DataFrame
        As the function gives, with scale; without rows where there are no scales.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> scales = {"f": ["x1", "x2", "x3"], "g": ["x4", "x5", "x6"]}
    >>> data = semfit.example_data()
    >>> reliability.each_scale(reliability.item_statistics, data, scales)["scale"].tolist()
    ['f', 'f', 'f', 'g', 'g', 'g']
    """
    return _stacked(function(data[[*items]]).assign(scale=name) for name, items in scales.items())


def each_family(
    function: Callable[[DataFrame, Scales], DataFrame],
    data: DataFrame,
    families: Families,
    least: int = 1,
) -> DataFrame:
    """A table of every family that has `least` scales or more, one below the other.

    Parameters
    ----------
    function : callable
        Makes a table of data and scales, such as `dimension_correlations` (which needs 2 scales).
    data : DataFrame, respondents x variables
    families : dict, name -> {scale: items}
    least : int

    Returns
    -------
    DataFrame
        As the function gives; without rows where there are no such families.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> families = {"both": {"f": ["x1", "x2", "x3"], "g": ["x4", "x5", "x6"]}}
    >>> data = semfit.example_data()
    >>> len(reliability.each_family(reliability.dimension_correlations, data, families, 2))
    1
    """
    return _stacked(function(data, part) for part in families.values() if len(part) >= least)


def _stacked(tables: Iterable[DataFrame]) -> DataFrame:
    found = [table for table in tables if len(table)]
    return pd.concat(found, ignore_index=True) if found else DataFrame()


# --- what can be used ----------------------------------------------------------------------------


def usable_scales(data: DataFrame, scales: Scales) -> tuple[dict[str, list[str]], LeftOut]:
    """The scales that have an alpha, without items that everyone answered alike.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    scales : dict, name of the scale -> its items

    Returns
    -------
    tuple
        The scales with the items that are left, and what is left out: few_complete, few_items or
        cancel_out with a scale, same with a scale and items. R: ``psych::alpha(na.omit(items))``
        drops items without variance too.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data().assign(x1=3)
    >>> reliability.usable_scales(data, {"f": ["x1", "x2", "x3"]})
    ({'f': ['x2', 'x3']}, [('same', ['f', 'x1'])])
    """
    left: dict[str, list[str]] = {}
    lost: LeftOut = []
    for scale, given in scales.items():
        complete = data[[item for item in given if data[item].notna().any()]].dropna()
        if complete.shape[1] > 1 and len(complete) < LEAST_ROWS:
            lost.append(("few_complete", [scale]))
            continue
        same = [item for item in complete if complete[item].nunique() == 1]
        complete = complete.drop(columns=same)
        if same:
            lost.append(("same", [scale, *same]))
        if complete.shape[1] < 2:
            lost.append(("few_items", [scale]))
        elif np.isclose(complete.sum(axis=1).std(), 0, atol=1e-9):
            lost.append(("cancel_out", [scale]))
        else:
            left[scale] = [*complete]
    return left, lost


def usable_families(
    data: DataFrame, scales: Scales, families: Mapping[str, Iterable[str]]
) -> tuple[dict[str, dict[str, list[str]]], LeftOut]:
    """The families whose items can be correlated with the scores of their scales.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    scales : dict, name of the scale -> its items
        Those that are usable: see `usable_scales`.
    families : dict, name -> names of scales
        A name that is not among the scales is passed over.

    Returns
    -------
    tuple
        The families, name -> {scale: items}, and what is left out: no_scales, shared_items or
        no_common with the name of a family. R: none; it is what ``cor(item, score)`` needs.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> scales = {"f": ["x1", "x2", "x3"], "g": ["x3", "x4"]}
    >>> reliability.usable_families(semfit.example_data(), scales, {"both": ["f", "g"]})
    ({}, [('shared_items', ['both'])])
    """
    left: dict[str, dict[str, list[str]]] = {}
    lost: LeftOut = []
    for name, members in families.items():
        family = {scale: [*scales[scale]] for scale in members if scale in scales}
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
    try:
        refuse_overlap(scales)
    except ValueError:
        return False
    return True


def _together(data: DataFrame, scales: Scales) -> bool:
    """Can each item be correlated with each score?"""
    scores = scale_scores(data, scales)
    for item in (item for items in scales.values() for item in items):
        for scale in scores:
            both = DataFrame({"item": data[item], "score": scores[scale]}).dropna()
            if len(both) < LEAST_ROWS or (both.nunique() == 1).any():
                return False
    return True


def _items(family: Scales) -> list[str]:
    return [item for items in family.values() for item in items]


def _unfactorable(data: DataFrame, items: list[str], n_factors: int = 1) -> str:
    """Why so many factors cannot be found among items; "" where they can."""
    complete, p = data[items].dropna(), len(items)
    if (p - n_factors) ** 2 < p + n_factors:
        return "many_factors"
    if len(complete) <= p:
        return "few_rows"
    if (complete.nunique() == 1).any():
        return "same"
    return "singular" if np.linalg.eigvalsh(complete.corr())[0] < 1e-10 else ""


# --- coefficients and factors --------------------------------------------------------------------


def reliability_of_scales(data: DataFrame, scales: Scales) -> tuple[DataFrame, LeftOut]:
    """`scale_reliability` of the scales that a factor model can have.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    scales : dict, name of the scale -> its items
        Those that are usable: see `usable_scales`.

    Returns
    -------
    tuple
        The table of `scale_reliability`, and what is left out: few_rows, same or singular with a
        scale, no_ordinal_alpha with one that has all but that. R: as there.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data().assign(total=lambda d: d["x1"] + d["x2"])
    >>> table, left_out = reliability.reliability_of_scales(data, {"f": ["x1", "x2", "total"]})
    >>> len(table), left_out
    (0, [('singular', ['f'])])
    """
    parts: list[DataFrame] = []
    lost: LeftOut = []
    for scale, items in scales.items():
        why = _unfactorable(data, [*items]) if len(items) > 2 else ""
        if not why:
            try:
                parts.append(scale_reliability(data, {scale: items}))
            except ValueError:  # items that go together perfectly, or no solution: no polychorics
                why = "no_ordinal_alpha"
                parts.append(scale_reliability(data, {scale: items}, ordinal=False))
        if why:
            lost.append((why, [scale]))
    return _stacked(parts), lost


def htmt_of_families(data: DataFrame, families: Families) -> DataFrame:
    """Heterotrait-monotrait ratios of all families together, where the answers allow it.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    families : dict, name -> {scale: items}

    Returns
    -------
    DataFrame
        As `htmt`, with family_first and family_second: pairs within a family first. Of each family
        by itself where families share scales or items, or hardly a respondent answered all items.
        R: ``semTools::htmt(model, data)``.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> families = {"one": {"f": ["x1", "x2", "x3"]}, "two": {"g": ["x4", "x5", "x6"]}}
    >>> table = reliability.htmt_of_families(semfit.example_data(), families)
    >>> table[["first", "second", "htmt", "family_first", "family_second"]].round(2)
      first second  htmt family_first family_second
    0     f      g  0.56          one           two
    """

    def correlated(scales: Scales) -> bool:
        complete = data[_items(scales)].dropna()
        return len(complete) >= LEAST_ROWS and bool((complete.nunique() > 1).all())

    every = {scale: items for family in families.values() for scale, items in family.items()}
    of = {scale: name for name, family in families.items() for scale in family}
    joint = len(of) == sum(map(len, families.values())) and _apart(every) and correlated(every)
    parts = [every] if joint else [*families.values()]
    found = _stacked(htmt(data, part) for part in parts if len(part) > 1 and correlated(part))
    if found.empty:
        return DataFrame(columns=["first", "second", "htmt", "family_first", "family_second"])
    names = list(families)
    found = found.assign(family_first=found["first"].map(of), family_second=found["second"].map(of))
    same = found["family_first"] == found["family_second"]
    place = found["family_first"].map(names.index).where(same, len(names))
    return found.iloc[place.argsort(kind="stable")].reset_index(drop=True)


def parallel_of_families(
    data: DataFrame, families: Families, seed: int, draws: int = 1000
) -> tuple[DataFrame, LeftOut]:
    """Parallel analysis of the items of each family, of components and of common factors.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    families : dict, name -> {scale: items}
    seed, draws : int
        As in `parallel_analysis`.

    Returns
    -------
    tuple
        As the table of `parallel_analysis`, with series (the family), n_used and reduced (True:
        common factors); and what is left out: few_rows, same or singular with a family.
        R: ``psych::fa.parallel(items, quant = .95)``.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> families = {"both": {"f": ["x1", "x2", "x3"], "g": ["x4", "x5", "x6"]}}
    >>> data = semfit.example_data()
    >>> table, _ = reliability.parallel_of_families(data, families, seed=1, draws=50)
    >>> table.groupby("reduced")["retained"].sum().tolist()
    [2, 2]
    """
    parts: list[DataFrame] = []
    lost: LeftOut = []
    for name, family in families.items():
        items = _items(family)
        why = _unfactorable(data, items)
        if why:
            lost.append((why, [name]))
            continue
        for reduced in (False, True):
            found = parallel_analysis(data[items], seed=seed, draws=draws, reduced=reduced)
            parts.append(found.table.assign(series=name, n_used=found.n_used, reduced=reduced))
    return _stacked(parts), lost


def factors_of_families(
    data: DataFrame, families: Families
) -> tuple[dict[str, ExploratoryFactors], LeftOut]:
    """As many exploratory factors of each family as it has scales.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    families : dict, name -> {scale: items}

    Returns
    -------
    tuple
        Name of a family -> its `exploratory_factors`; and what is left out: many_factors, few_rows,
        same, singular or no_maximum with a family. R: ``factanal(items, k, rotation = "none")``.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> families = {"both": {"f": ["x1", "x2", "x3"], "g": ["x4", "x5", "x6"]}}
    >>> found, left_out = reliability.factors_of_families(semfit.example_data(), families)
    >>> found["both"].n_factors, left_out
    (2, [])
    """
    found: dict[str, ExploratoryFactors] = {}
    lost: LeftOut = []
    for name, family in families.items():
        items = _items(family)
        why = _unfactorable(data, items, len(family))
        if not why:
            try:
                found[name] = exploratory_factors(data[items], len(family))
            except ValueError:  # all else was seen to above
                why = "no_maximum"
        if why:
            lost.append((why, [name]))
    return found, lost
