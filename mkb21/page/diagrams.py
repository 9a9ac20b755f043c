"""Figures that are drawn piece by piece on a sheet in inches: flow, claims, path diagram.

The rules of `figures` hold here too: tidy frames and labels in, a Figure out, in the house style.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pandas import DataFrame

from mkb21.page.figures import (
    FULL,
    GREY,
    INK,
    NORMAL,
    PAD,
    PALE,
    SMALL,
    Look,
    checked,
    high,
    label,
    sheet,
    style,
    text_width,
    wrap,
)
from mkb21.page.numerals import interval, number, p_equals, published, short
from mkb21.page.words import section
from mkb21.survey.published import ORDERINGS
from semfit.results.geometry import (
    draw_arrow,
    draw_label,
    draw_node,
    label_spots,
    longest_ways,
    route,
)

PANELS = {  # kind of claim -> its statistics
    "percentages": ("percent", "percent_of_rows", "min_percent", "max_percent"),
    "means": ("mean", "scale_mean"),
    "counts": ("n_rows", "n_answering", "n_items"),
}
DECIMALS = {"percentages": 1, "counts": 0, "orders": 0, "alpha": 4}  # of what was computed; else 3
WIDE = FULL - 2 * PAD
NAMES = 1.9  # inches for the names of covariates


# --- flow of respondents -------------------------------------------------------------------------


@style()
def flow(frame: DataFrame, labels: dict, language: str, title: str = "") -> Figure:
    """Respondents from the first step to the last, downwards, with those dropped at the right.

    frame: step, dropped, remaining: the first and the last row are boxes of those who remain, the
    rows between are exclusions, as `cleaning.clean` gives. labels: step.
    """
    rows = checked(frame, ["step"], ["dropped", "remaining"])
    if len(rows) < 2:
        raise ValueError("A flow needs at least two rows: its start and its end.")
    before = rows["remaining"].shift().iloc[1:]
    if (before - rows["dropped"].iloc[1:] != rows["remaining"].iloc[1:]).any():
        raise ValueError("The flow does not add up: remaining must be what remained minus dropped.")
    last = len(rows) - 1
    texts = []
    for position, row in enumerate(rows.itertuples()):
        end, text = position in (0, last), label(row.step, labels)
        n = f"n = {number(row.remaining if end else row.dropped, 0, language)}"
        texts.append(f"{wrap(text, 2.4)}\n{n}" if end else wrap(f"{text}: {n}", 3.5))
    heights = np.array([high([text], NORMAL) + 0.14 for text in texts])
    tops = np.append(0, (heights + 0.2).cumsum()[:-1]) + 0.02
    figure, axes = sheet(FULL, tops[-1] + heights[-1] + 0.04, title)
    spine = 1.55
    draw_arrow(axes, [(spine, tops[0] + heights[0]), (spine, tops[-1])], width=0.8, color=INK)
    for position, (text, top, height) in enumerate(zip(texts, tops, heights, strict=True)):
        middle = top + height / 2
        if position in (0, last):
            draw_node(axes, text, (spine, middle, 2.6, height, False), NORMAL, INK)
            continue
        draw_arrow(axes, [(spine, middle), (2.9, middle)], width=0.8, color=INK)
        draw_node(axes, text, (4.75, middle, 3.7, height, False), NORMAL, INK)
        if position < last - 1:
            left = f"n = {number(rows.at[position, 'remaining'], 0, language)}"
            how: Look = {"ha": "right", "va": "center", "fontsize": SMALL}
            axes.text(spine - 0.08, top + height + 0.1, left, **how)
    return figure


# --- published against computed ------------------------------------------------------------------


@style()
def claims(register: DataFrame, labels: dict, language: str, title: str = "") -> Figure:
    """Every published number against the computed one, in panels by kind of statistic.

    register: id, statistic, comparator, value, lower, upper, computed, holds; optional: decimals:
    as `published.compare` gives. A claim that could not be computed (NaN) has no dot. labels: id; a
    claim without a label is shown by its id.
    """
    needed = ["id", "statistic", "comparator", "value", "lower", "upper", "computed", "holds"]
    rows, words = checked(register, needed), section("diagrams", language)
    rows["text"] = [wrap(str(labels.get(i, i)), 1.3, SMALL) for i in rows["id"]]
    rows["height"] = [high([text]) + 0.035 for text in rows["text"]]
    of = {statistic: panel for panel, known in PANELS.items() for statistic in known}
    panel = rows["statistic"].map(lambda statistic: of.get(statistic, statistic))
    panels = rows.groupby(panel.mask(rows["comparator"].isin(ORDERINGS), "orders"), sort=False)
    placed, used = [], [0.0, 0.0]
    for name, part in sorted(panels, key=lambda item: -item[1]["height"].sum()):
        side = int(used[1] < used[0])  # the next panel goes where there is most room
        placed.append((part, name, side * (WIDE / 2 + 0.06), used[side] + 0.1))
        used[side] += part["height"].sum() + 0.5
    caption = words["claims"].format(int(rows["holds"].sum()), len(rows))
    figure, axes = sheet(FULL, max(used), title, caption)
    for part, name, x, y in placed:
        _claims_panel(axes, part, name, x, y, words, language)
    return figure


def _claims_panel(
    axes: Axes, part: DataFrame, name: str, x: float, y: float, words: dict, language: str
) -> None:
    """One kind of statistic: its name, a row per claim, and the ends of the scale below."""
    axes.text(x, y, words.get(name, name), weight="bold", fontsize=SMALL, va="center")
    low, high = _limits(part, name)
    left, right = x + 1.4, x + 1.78
    scale = partial(np.interp, xp=[low, high], fp=[left, right])  # ends where the scale ends
    top = y = y + 0.1
    for row in part.itertuples():
        middle = y + row.height / 2
        if not row.holds:
            axes.add_patch(Rectangle((x - 0.02, y), 3.3, row.height, color=PALE, lw=0, zorder=0))
        _claims_row(axes, row, name, x, middle, words["holds" if row.holds else "fails"], language)
        reach = [scale(row.lower), scale(row.upper)]
        axes.plot(reach, [middle] * 2, color="#b0b0b0", lw=4, solid_capstyle="butt")
        printed = row.value if row.comparator == "equals" else row.upper
        if row.comparator == "equals" or row.lower == row.upper:  # one number, not a reach
            axes.plot(scale(printed), middle, "o", mfc="none", mec=INK, mew=0.7, ms=5.5)
        axes.plot(scale(row.computed), middle, "o", color=INK, ms=2.4)
        y += row.height
    axes.vlines([left, right], top, y, color=GREY, lw=0.5, zorder=0)
    for end, value in ((left, low), (right, high)):
        shown = short(value, 2, language) + ("%" if name == "percentages" else "")
        axes.text(end, y + 0.08, shown, fontsize=SMALL, ha="center", va="center")


def _claims_row(
    axes: Axes, row: Any, name: str, x: float, y: float, verdict: str, language: str
) -> None:
    """The texts of one claim: what it is, published, computed, verdict."""
    unit = "%" if name == "percentages" else ""
    computed = number(row.computed, DECIMALS.get(name, 3), language)
    computed += unit if pd.notna(row.computed) else ""
    how: Look = {"va": "center", "fontsize": SMALL}
    axes.text(x, y, row.text, **how)
    axes.text(x + 2.37, y, _printed(row, unit, language), ha="right", **how)
    axes.text(x + 2.78, y, computed, ha="right", **how)
    axes.text(x + 2.83, y, verdict, **how)


def _printed(row: Any, unit: str, language: str) -> str:
    """What was published, as short as it can be read: 40%, > 50%, 50–55%, ≤ 3 (a place)."""
    if row.comparator == "between":
        return f"{short(row.value, 3, language)}–{short(row.value_high, 3, language)}{unit}"
    if row.comparator in ("greater", "less"):
        limit, sign = (row.lower, ">") if row.comparator == "greater" else (row.upper, "<")
        return f"{sign} {short(limit, 1 if unit else 2, language)}{unit}"
    if row.comparator in ORDERINGS:
        sign = {"top": "≤ ", "smallest": "↑ "}.get(row.comparator, "")
        return sign + number(row.upper, 0, language)
    return published(row.value, getattr(row, "decimals", np.nan), language) + unit


def _limits(part: DataFrame, name: str) -> tuple[float, float]:
    """The ends of the scale of a panel."""
    if name in ("percentages", "alpha"):
        return 0.0, 100.0 if name == "percentages" else 1.0
    drawn = ["value", "computed", *(["upper"] if name == "orders" else [])]
    known = part[drawn].to_numpy(dtype=float)
    known = known[np.isfinite(known)]
    low, high = (np.floor(known.min()), np.ceil(known.max())) if len(known) else (0.0, 1.0)
    low = {"counts": 0.0, "orders": 1.0}.get(name, low)
    return low, max(high, low + 1)


# --- path diagram --------------------------------------------------------------------------------


@style()
def path_diagram(
    estimates: DataFrame,
    labels: dict,
    language: str,
    title: str = "",
    *,
    layout: dict[str, tuple[int, int]] | None = None,
) -> Figure:
    """The structural part of a model: variables as nodes, standardised paths as arrows.

    Causes stand left of their effects. Observed variables that nothing points at (covariates) are
    listed in a table below, so that their arrows do not hide the model. A path with p >= .05 is
    dashed; one without p (a fixed one) is not. Indicators are not drawn.

    estimates: lhs, op, rhs, std_all; optional: p, std_ci_low, std_ci_high. Rows with op "~" (lhs is
    the effect) and "~~" between variables of the model are drawn; "=~" tells what is latent.
    labels: variable. layout: variable -> (column, row), rows upwards; default: `layered`.
    """
    words = section("diagrams", language)
    paths, covariances, latent = structural(estimates)
    nodes = list(dict.fromkeys([*paths["rhs"], *paths["lhs"]]))
    outer = [node for node in nodes if node not in set(paths["lhs"]) | latent] if latent else []
    inner = [node for node in nodes if node not in outer]
    table = paths[paths["rhs"].isin(outer)]
    drawn = pd.concat([paths, covariances])
    drawn = drawn[drawn["rhs"].isin(inner) & drawn["lhs"].isin(inner)]
    arrows = list(zip(drawn["rhs"], drawn["lhs"], drawn["op"]))
    places = layout or layered(inner, [(a, b) for a, b, op in arrows if op == "~"])
    for node in inner:
        if node not in places:
            raise ValueError(f"`layout` gives no place for {node!r}.")
    shapes = _shapes({node: places[node] for node in inner}, labels, latent)
    bottom = max(shape[1] + shape[3] / 2 for shape in shapes.values()) + 0.12
    _, names, _, heading, row = _table_texts(table, labels)
    listed = heading + 0.12 + (row + 0.04) * len(names) if len(table) else 0
    caption = words["paths"] + (words["shapes"] if latent else "")
    figure, axes = sheet(FULL, bottom + listed, title, caption)
    for node, shape in shapes.items():
        draw_node(axes, _inside(node, labels, shape[2], shape[4]), shape, NORMAL, INK)
    routes = [route(cause, effect, op, shapes, WIDE) for cause, effect, op in arrows]
    texts = [_coefficient(row, language) for row in drawn.itertuples()]
    spots = label_spots(routes, texts, shapes, _label_size)
    for row, points, text, spot in zip(drawn.itertuples(), routes, texts, spots, strict=True):
        weak = getattr(row, "p", np.nan) >= 0.05
        width = 0.6 + 3 * min(abs(row.std_all), 1)
        draw_arrow(axes, points, row.op == "~~", weak, width, INK)
        draw_label(axes, text, spot, SMALL)
    if len(table):
        _covariates(axes, table, labels, bottom, words["covariates"], language)
    return figure


def arrows(rows: DataFrame, names: dict[str, str]) -> pd.Series:
    """Each path (lhs, rhs, optional: op) in words: culture → motivation; ↔ for a covariance.

    A loading goes from the latent variable to its indicator. NaN where a variable has no name.
    """
    op = rows["op"] if "op" in rows else pd.Series("~", rows.index)
    left, right = rows["lhs"].map(names), rows["rhs"].map(names)
    heads = op.map({"~": " → ", "~~": " ↔ ", "=~": " → "})
    loading = op == "=~"
    return right.where(~loading, left) + heads + left.where(~loading, right)


def structural(estimates: DataFrame) -> tuple[DataFrame, DataFrame, set[str]]:
    """The paths, the covariances between their variables, and the set of latent variables.

    `ValueError`: no path, one that stands twice (several groups: draw one of them), one without
    number.
    """
    rows = checked(estimates, ["lhs", "op", "rhs", "std_all"])
    latent = set(rows.loc[rows["op"] == "=~", "lhs"])
    paths = checked(rows[rows["op"] == "~"], [], ["std_all"])
    within = rows[["lhs", "rhs"]].isin({*paths["lhs"], *paths["rhs"]}).all(axis=1)
    covariances = rows[(rows["op"] == "~~") & (rows["lhs"] != rows["rhs"]) & within]
    covariances = checked(covariances, [], ["std_all"]) if len(covariances) else covariances
    twice = paths[paths.duplicated(["lhs", "rhs"])]
    if len(twice):
        raise ValueError(f"{twice['lhs'].iloc[0]} ~ {twice['rhs'].iloc[0]} stands twice.")
    return paths, covariances, latent


def layered(nodes: list[str], edges: list[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """A place (column, row) for every node; edges are pairs (cause, effect).

    Its column is the longest way to it, its row is on a chequerboard: neighbouring columns use odd
    and even rows in turn, so that a straight arrow over one column does not cross the nodes in it
    (two nodes stand side by side).
    Paths that run in a circle are a `ValueError`.
    """
    column = longest_ways(nodes, edges)
    if any(column[effect] <= column[cause] for cause, effect in edges):
        raise ValueError("The paths run in a circle: give `layout`.")
    columns = [[n for n in nodes if column[n] == c] for c in range(max(column.values()) + 1)]
    tallest = max(map(len, columns))
    places: dict[str, tuple[int, int]] = {}
    for c, members in reversed(list(enumerate(columns))):  # effects first: causes follow them

        def height(node: str) -> float:
            rows = [places[effect][1] for cause, effect in edges if cause == node]
            return float(np.mean(rows)) if rows else 0.0

        start = c % 2 + 2 * ((tallest - len(members)) // 2) if len(nodes) > 2 else 0
        for rank, node in enumerate(sorted(members, key=height)):
            places[node] = (c, start + 2 * rank)
    return places


def _shapes(places: dict, labels: dict, latent: set) -> dict[str, tuple]:
    """Node -> (x, y, width, height, is it latent?) in inches on the sheet."""
    columns = np.array([column for column, _ in places.values()], dtype=float)
    rows = np.array([row for _, row in places.values()], dtype=float)
    width = min(1.15, 0.8 * WIDE / (np.ptp(columns) + 1))
    texts = [_inside(node, labels, width, node in latent) for node in places]
    height = max(0.42, high(texts, NORMAL) / 0.6 + 0.04)  # an ellipse is narrow above and below
    across = (WIDE - width - 0.04) / (np.ptp(columns) or 1)
    x = width / 2 + 0.02 + (columns - columns.min()) * across
    y = height / 2 + 0.02 + (rows.max() - rows) * max(0.95, height + 0.5)
    return {
        node: (x[i], y[i], width, height if node in latent else 0.7 * height, node in latent)
        for i, node in enumerate(places)
    }


def _inside(node: str, labels: dict, width: float, latent: bool) -> str:
    """The name of a node in lines; an ellipse is narrow above and below."""
    return wrap(label(node, labels), (0.8 if latent else 0.94) * width)


def _label_size(text: str) -> tuple[float, float]:
    return text_width(text) + 0.06, high([text]) + 0.03


def _coefficient(row: Any, language: str, between: str = "\n") -> str:
    """A coefficient with its interval; without interval its p value, if there is one."""
    shown = number(row.std_all, 2, language)
    if pd.notna(getattr(row, "std_ci_low", np.nan)):
        return shown + between + interval(row.std_ci_low, row.std_ci_high, 2, language)
    p = getattr(row, "p", np.nan)
    return shown if pd.isna(p) else shown + between + p_equals(p, language)


def _table_texts(table: DataFrame, labels: dict) -> tuple[dict, dict, float, float, float]:
    """Headings and names of the table of covariates, width of a column, height of both rows."""
    effects = list(dict.fromkeys(table["lhs"]))
    across = min(1.4, (WIDE - NAMES) / max(len(effects), 1))
    headings = {e: wrap(label(e, labels), across - 0.1, SMALL, "bold") for e in effects}
    names = {c: wrap(label(c, labels), NAMES - 0.2, SMALL) for c in dict.fromkeys(table["rhs"])}
    cell = "" if across >= 1.2 else "\n"  # a coefficient over its interval where columns are narrow
    return headings, names, across, high(headings.values()), high([*names.values(), cell]) + 0.08


def _covariates(
    axes: Axes, table: DataFrame, labels: dict, top: float, heading: str, language: str
) -> None:
    """The effects of the covariates: a row for each, a column for each effect."""
    headings, names, across, above, row = _table_texts(table, labels)
    how: Look = {"fontsize": SMALL, "va": "center"}
    middle = top + above / 2
    axes.text(0.05, middle, heading, weight="bold", **how)
    columns = {e: NAMES + (position + 0.5) * across for position, e in enumerate(headings)}
    for effect, text in headings.items():
        axes.text(columns[effect], middle, text, weight="bold", ha="center", **how)
    between = " " if across >= 1.2 else "\n"
    for line, (covariate, text) in enumerate(names.items()):
        y = top + above + 0.08 + (row + 0.04) * line + row / 2
        draw_node(axes, text, (NAMES / 2, y, NAMES - 0.1, row, False), SMALL, INK)
        for path in table[table["rhs"] == covariate].itertuples():
            shown = _coefficient(path, language, between)
            axes.text(columns[path.lhs], y, shown, ha="center", **how)
