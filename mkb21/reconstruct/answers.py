"""Scores into answers: cut by rank into exactly as many answers of each code as was published."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from pandas import DataFrame, Series
from scipy.optimize import LinearConstraint, milp
from scipy.stats import norm

from mkb21.reconstruct.assumptions import Marginal
from mkb21.reconstruct.model import Plan, Scores, unique_parts
from mkb21.survey import published

Limit = tuple[np.ndarray, float, float]  # weight of each count, lower, upper
STRAIGHT_ANSWER = 4  # what straight-liners answer throughout


def block_answers(plan: Plan, items: list[str], scores: Scores) -> DataFrame:
    """Answers to the questions of a block; with a published alpha and mean, such that both hold."""
    about = plan.claims["variables"] == "|".join(items)
    equals = plan.claims["comparator"] == "equals"
    printed = plan.claims[about & equals].set_index("statistic")
    if {"alpha", "scale_mean"} <= set(printed.index):
        return _tuned_block(plan, items, scores, printed)
    return _cut_block(plan, items, scores)


def _tuned_block(plan: Plan, items: list[str], scores: Scores, printed: DataFrame) -> DataFrame:
    """Answers with the published scale mean and alpha."""
    unique = unique_parts(plan)
    loadings = {i: b for f in plan.assumptions.model.loadings.values() for i, b in f.items()}
    noise = {item: np.sqrt(1 - loadings[item] ** 2) * unique[item] for item in items}
    shift = _shift(plan, items, scores, printed)  # from now on the number of each answer is fixed
    # the more an item gets of its unique part, the lower alpha: that share is halved in on, and
    # then varied item by item, as alpha of whole answers moves in small jumps
    low, high = -1.0, 3.0
    for step in range(200):
        shares = Series((low + high) / 2, index=items)
        if step >= 12:  # near enough: now one item at a time, to and fro
            shares.iloc[step % len(items)] += 0.002 * (step - 11) * (-1) ** step
        moved = {item: scores[item] + shares[item] * noise[item] for item in items}
        block = _cut_block(plan, items, moved, shift)
        off = _off(block, items, printed)
        if all(abs(off) < 0.98):
            return block
        if step < 12:
            low, high = (shares.iloc[0], high) if off["alpha"] > 0 else (low, shares.iloc[0])
    ids = " and ".join(printed.loc[["alpha", "scale_mean"], "id"])
    raise ValueError(f"The published alpha and mean ({ids}) cannot be met together.")


def _shift(plan: Plan, items: list[str], scores: Scores, printed: DataFrame) -> float:
    """What to add to the assumed means of the items so that the scale has the published mean."""
    shift = 0.0
    for _ in range(20):
        off = _off(_cut_block(plan, items, scores, shift), items, printed)["scale_mean"]
        if abs(off) < 0.5:
            break
        shift -= off * 0.5 * 10.0 ** -printed.at["scale_mean", "decimals"]
    return shift


def _off(block: DataFrame, items: list[str], printed: DataFrame) -> Series:
    """How far alpha and scale mean are from the published, in units of their rounding: 1 is out."""
    names = ["alpha", "scale_mean"]
    found = [published.statistic(name, block, items)[0] for name in names]
    half = 0.5 * 10.0 ** -printed["decimals"]
    return (Series(found, index=names) - printed["value"][names]) / half[names]


def _cut_block(plan: Plan, items: list[str], scores: Scores, shift: float = 0.0) -> DataFrame:
    """Answers of a block; straight-liners give theirs in exchange: the counts stay as they are."""
    cuts = {item: cut(plan, item, scores[item], shift) for item in items}
    block = DataFrame(cuts, index=plan.missing.index)
    if plan.instrument.scale_name(items[0]) != "agreement":
        return block
    for item in items:
        for row in plan.straight:
            same = np.flatnonzero(block[item] == STRAIGHT_ANSWER)
            others = np.setdiff1d(same, plan.straight)
            if block.at[row, item] != STRAIGHT_ANSWER and len(others):
                other = plan.draws(f"straight {item} {row}").choice(others)
                _exchange(block, item, row, other)
    return block


def _exchange(values: DataFrame, item: str, row: int, other: int) -> None:
    values.loc[[row, other], item] = values.loc[[other, row], item].to_numpy()


def cut(
    plan: Plan, item: str, score: np.ndarray, shift: float = 0.0, order: list[int] | None = None
) -> np.ndarray:
    """Codes by rank of the score, as many of each as `_counts` says; NaN where there is no answer.

    `order` gives the codes along the score, from low to high.
    """
    rows = np.flatnonzero(plan.missing[item] == "")
    codes = list(plan.instrument.codes(item))
    counts = dict(zip(codes, _counts(plan, item, len(rows), shift), strict=True))
    ranked = np.concatenate([np.full(counts[code], code, float) for code in order or codes])
    known = np.where(np.isnan(score), -np.inf, score)
    values = np.full(plan.n, np.nan)
    values[rows[np.argsort(known[rows], kind="stable")]] = ranked
    return values


def at_least_one(values: DataFrame, reached: int, rows: np.ndarray, rng: Generator) -> DataFrame:
    """Exchange answers so that each of `rows` reaches a code at least once; counts stay the same.

    The other one in the exchange is of these rows too, has another answer that reaches it, and
    gives up the lowest.
    """
    values = values.copy()
    has = (values >= reached).to_numpy(copy=True)
    for row in map(int, np.flatnonzero(rows & ~has.any(axis=1))):
        column = int(rng.choice(has.shape[1], p=has.sum(axis=0) / has.sum()))
        item = values.columns[column]
        spare = rows & has[:, column] & (has.sum(axis=1) > 1)
        lowest = values.loc[spare, item].min()
        other = int(rng.choice(np.flatnonzero(spare & (values[item] == lowest))))
        _exchange(values, item, row, other)
        has[[row, other], column] = has[[other, row], column]
    return values


def _counts(plan: Plan, item: str, n: int, shift: float) -> np.ndarray:
    """How many of `n` respondents give each code: as assumed, moved to what was published."""
    codes = np.array(list(plan.instrument.codes(item)), float)
    assumed = n * _weights(plan.assumptions.marginal(item), codes, shift)
    limits = list(_limits(plan, item, codes, n))
    counts = nearest_counts(assumed, n, [limit for _, limit in limits])
    if counts is None:
        ids = ", ".join(name for name, _ in limits)
        raise ValueError(f"No answers of {n} respondents to {item} meet what was published: {ids}.")
    return counts


def _weights(marginal: Marginal, codes: np.ndarray, shift: float) -> np.ndarray:
    """Shares of the codes: as given, or of a normal distribution cut halfway between the codes."""
    if isinstance(marginal, list):
        return np.array(marginal, float) / 100
    edges = np.concatenate([[-np.inf], (codes[1:] + codes[:-1]) / 2, [np.inf]])
    return np.diff(norm.cdf(edges, marginal["mean"] + shift, marginal["sd"]))


def _limits(plan: Plan, item: str, codes: np.ndarray, n: int) -> Iterator[tuple[str, Limit]]:
    """What the claims say about the counts of an item: id, (weight of each count, lower, upper)."""
    derived = {
        name: spec.recode.codes
        for name, spec in plan.instrument.derived.items()
        if spec.recode and spec.recode.source == item
    }
    about = plan.claims["variables"].isin([item, *derived])
    simple = plan.claims["statistic"].isin(["percent", "percent_of_rows", "mean"])
    numeric = plan.claims["comparator"].isin(["equals", "between", "greater", "less"])
    for _, claim in plan.claims[about & simple & numeric & (plan.claims["than"] == "")].iterrows():
        counted = [int(code) for code in claim["codes"].split("|") if code]
        if claim["variables"] in derived:
            recode = derived[claim["variables"]]
            counted = [old for new in counted for old in recode.get(new, [])]
        mean = claim["statistic"] == "mean"
        weights = codes if mean else np.isin(codes, counted).astype(float)
        whole = plan.n if claim["statistic"] == "percent_of_rows" else n
        lower, upper, _ = published.limits(claim, {})
        unit = whole * (1.0 if mean else 0.01)
        slack = 1e-6 * whole  # keeps clear of the ends, where rounding decides
        yield claim["id"], (weights, lower * unit + slack, upper * unit - slack)


def nearest_counts(assumed: np.ndarray, n: int, limits: list[Limit]) -> np.ndarray | None:
    """Whole numbers that add up to `n`, lie within `limits`, and are nearest to `assumed`.

    An integer program: minimise the sum of |count - assumed|. Its unknowns are the counts and,
    for each, a distance that is at least count - assumed and at least assumed - count. None if
    there is no solution.
    """
    if not limits:  # the largest remainders are rounded up: the same, and faster
        counts = np.floor(assumed).astype(int)
        counts[np.argsort(counts - assumed, kind="stable")[: n - counts.sum()]] += 1
        return counts
    k = len(assumed)
    rows = np.array([np.ones(k), *[weights for weights, _, _ in limits]])
    low, high = [n, *[lower for _, lower, _ in limits]], [n, *[upper for _, _, upper in limits]]
    constraints = [
        LinearConstraint(np.column_stack([rows, np.zeros_like(rows)]), low, high),
        LinearConstraint(np.column_stack([np.eye(k), -np.eye(k)]), -np.inf, assumed),
        LinearConstraint(np.column_stack([-np.eye(k), -np.eye(k)]), -np.inf, -assumed),
    ]
    cost, whole = np.repeat([0, 1], k), np.repeat([1, 0], k)
    # the presolve of HiGHS 1.12 gives up on some of these small programs
    found = milp(cost, constraints=constraints, integrality=whole, options={"presolve": False})
    return np.round(found.x[:k]).astype(int) if found.success else None
