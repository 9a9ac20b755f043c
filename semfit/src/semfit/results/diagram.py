"""A path diagram of a fit: ellipses for latent variables, boxes for observed ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from semfit.fitting.fitting import Fit
from semfit.fitting.requirements import check_solution
from semfit.results.geometry import (
    Shape,
    draw_arrow,
    draw_label,
    draw_node,
    label_spots,
    longest_ways,
    route,
)
from semfit.results.moments import place_of
from semfit.results.numerals import number

LETTER = 0.085  # inches of a letter at the size of names
HIGH, BOX = 0.5, 0.3  # inches of an ellipse and of a box
STEP = 0.42  # from one box of a stack to the next
ROOM = 1.15  # least from one latent variable to the next above it
ACROSS = 1.2  # between the edges of columns
MARGIN = 0.25
WEAK = 0.05
STEPS = 601  # points of an arrow
BESIDE = 3  # boxes in a row; more make two rows


@dataclass
class _Sheet:
    """Where everything stands, in inches; y downwards."""

    shapes: dict[str, Shape] = field(default_factory=dict)

    def put(self, name: str, x: float, y: float, latent: bool) -> None:
        """Place a node by its centre."""
        self.shapes[name] = (x, y, node_width(name, latent), HIGH if latent else BOX, latent)

    def moved(self) -> tuple[dict[str, Shape], float]:
        """Return the shapes within a sheet that starts at 0, and its width."""
        corners = np.array(list(self.shapes.values()), dtype=float)
        left, top = (corners[:, :2] - corners[:, 2:4] / 2).min(axis=0) - MARGIN
        right = (corners[:, 0] + corners[:, 2] / 2).max() + MARGIN
        shapes = {n: (x - left, y - top, *rest) for n, (x, y, *rest) in self.shapes.items()}
        return shapes, float(right - left)


def node_width(name: str, latent: bool) -> float:
    """Return the width that a name needs."""
    return max(0.55, len(name) * LETTER + (0.35 if latent else 0.16))


def plot(fit: Fit, group: str | None = None, ax: Any = None) -> Any:
    """Draw a path diagram; see `Fit.plot`."""
    check_solution(fit, "plot")
    pyplot = _pyplot()
    label = fit.groups[place_of(fit, group)]
    rows = drawn_rows(fit, label)
    shapes, width = places(rows, fit.model.latents)
    routes = [_route(row, shapes, width) for row in rows.itertuples()]
    left, top, right, bottom = _extent(shapes, routes)
    if ax is None:
        size = (right - left, bottom - top + (0.3 if label else 0))
        _, ax = pyplot.subplots(figsize=size, layout="constrained")
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    ax.set_axis_off()
    for name, shape in shapes.items():
        draw_node(ax, name, shape)
    texts = [number(value, 2) for value in rows["std_all"]]
    spots = label_spots(
        [r[::4] for r in routes], texts, shapes, lambda text: (0.075 * len(text), 0.15)
    )
    for row, points, text, spot in zip(rows.itertuples(), routes, texts, spots, strict=True):
        draw_arrow(ax, points, row.op == "~~", row.p >= WEAK)
        draw_label(ax, text, spot)
    if label:
        ax.set_title(label, fontsize=10)
    return ax


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(
            "plot() needs matplotlib, which semfit does not install: pip install 'semfit[plot]'."
        ) from None
    return pyplot


def drawn_rows(fit: Fit, label: str) -> pd.DataFrame:
    """Return the arrows: cause, effect, op, std_all, p. Variances and means are not drawn."""
    table = fit.estimates[
        (fit.estimates["group"] == label) & ~fit.layout.table["exogenous"].astype(bool)
    ]
    table = table[table["op"].isin(["=~", "~", "~~"]) & (table["lhs"] != table["rhs"])]
    table = table[table["free"] | (table["estimate"] != 0)]
    forward = (table["op"] == "=~").to_numpy()
    return table.assign(
        cause=np.where(forward, table["lhs"], table["rhs"]),
        effect=np.where(forward, table["rhs"], table["lhs"]),
    )[["cause", "effect", "op", "std_all", "p"]]


# ---- where nodes stand ---------------------------------------------------------------------------


def places(rows: pd.DataFrame, latents: tuple[str, ...]) -> tuple[dict[str, Shape], float]:
    """Return the shapes of all nodes, and the width of the sheet.

    Causes stand left of effects. Indicators stand in a stack beside their latent variable: left of
    the first column, right of the last one, and in rows above and below one between.
    """
    inner = structural_nodes(rows, latents)
    columns = _columns(inner, rows)
    sheet, x = _Sheet(), 0.0
    marks = _indicators(rows, inner)
    for place, members in enumerate(columns):
        side = "right" if place == len(columns) - 1 else "left" if place == 0 else "above"
        widths = [_reach(name, marks.get(name, []), side, latents) for name in members]
        x += max(widths) / 2 if place else 0.0
        _fill_column(sheet, members, marks, latents, side, x)
        x += max(widths) / 2 + ACROSS
    return sheet.moved()


def structural_nodes(rows: pd.DataFrame, latents: tuple[str, ...]) -> list[str]:
    """Return the latent variables, and the observed ones that are more than indicators."""
    paths = rows[rows["op"] == "~"]
    others = [*paths["cause"], *paths["effect"]]
    measured = {*rows["effect"][rows["op"] == "=~"]}
    loose = rows[rows["op"] == "~~"]
    others += [n for n in [*loose["cause"], *loose["effect"]] if n not in measured]
    return list(dict.fromkeys([*latents, *others]))


def _indicators(rows: pd.DataFrame, inner: list[str]) -> dict[str, list[str]]:
    """Return the indicators of each latent variable; one of several stands with the first."""
    found: dict[str, list[str]] = {}
    placed: set[str] = set(inner)
    for row in rows[rows["op"] == "=~"].itertuples():
        if row.effect not in placed:
            found.setdefault(row.cause, []).append(row.effect)
            placed.add(row.effect)
    return found


def _columns(inner: list[str], rows: pd.DataFrame) -> list[list[str]]:
    """Return the nodes of each column: the longest way to a node; circles are left as they are."""
    edges = rows[(rows["op"] != "~~") & rows["cause"].isin(inner) & rows["effect"].isin(inner)]
    pairs = list(zip(edges["cause"], edges["effect"], strict=True))
    column = longest_ways(inner, pairs)
    used = sorted(set(column.values()))
    columns = [[name for name in inner if column[name] == place] for place in used]
    for before, members in pairwise(columns):
        rank = {name: i for i, name in enumerate(before)}

        def height(name: str, rank: dict[str, int] = rank) -> float:
            causes = [rank[c] for c, e in pairs if e == name and c in rank]
            return float(np.mean(causes)) if causes else len(rank) / 2

        members.sort(key=height)
    return columns


def _reach(name: str, marks: list[str], side: str, latents: tuple[str, ...]) -> float:
    """Return the width that a node takes of its column, with a row of indicators above it."""
    own = node_width(name, name in latents)
    rows = _rows_of(marks) if side == "above" else []
    return max([own, *(sum(node_width(m, False) + 0.1 for m in row) for row in rows)])


def _rows_of(marks: list[str]) -> list[list[str]]:
    """Return the indicators above a node, and where they are many those below it."""
    half = len(marks) if len(marks) <= BESIDE else (len(marks) + 1) // 2
    return [row for row in (marks[:half], marks[half:]) if row]


def _fill_column(
    sheet: _Sheet,
    members: list[str],
    marks: dict[str, list[str]],
    latents: tuple[str, ...],
    side: str,
    x: float,
) -> None:
    """Place the nodes of a column one below the other, centred, with their indicators."""
    rows = {name: _rows_of(marks.get(name, [])) if side == "above" else [] for name in members}
    stacks = [0 if side == "above" else len(marks.get(name, [])) for name in members]
    least = [ROOM if name in latents else STEP + 0.1 for name in members]
    least = [a + 0.8 * len(rows[name]) for a, name in zip(least, members, strict=True)]
    rooms = np.array([max(a, STEP * n + 0.2) for a, n in zip(least, stacks, strict=True)])
    middles = np.cumsum(rooms) - rooms / 2 - rooms.sum() / 2
    widest = max(node_width(name, name in latents) for name in members)
    for name, y in zip(members, middles, strict=True):
        middle = y + (0.4 if len(rows[name]) == 1 else 0)
        sheet.put(name, x, middle, name in latents)
        for row, where in zip(rows[name], (-0.75, 0.75), strict=False):
            _fill_row(sheet, row, x, middle + where)
        if side != "above":
            away = widest / 2 + 0.9
            _fill_stack(sheet, marks.get(name, []), x, y, away if side == "right" else -away)


def _fill_row(sheet: _Sheet, row: list[str], x: float, y: float) -> None:
    """Place boxes side by side, centred at x."""
    widths = np.array([node_width(name, False) + 0.1 for name in row])
    for name, start in zip(row, np.cumsum(widths) - widths / 2 - widths.sum() / 2, strict=True):
        sheet.put(name, x + start, y, False)


def _fill_stack(sheet: _Sheet, names: list[str], x: float, y: float, away: float) -> None:
    """Place boxes one below the other, centred at y, so far from x."""
    width = max([node_width(name, False) for name in names], default=0.0)
    for i, name in enumerate(names):
        place = x + away + np.sign(away) * width / 2
        sheet.put(name, place, y + (i - (len(names) - 1) / 2) * STEP, False)


def _route(row: Any, shapes: dict[str, Shape], width: float) -> np.ndarray:
    """Return the points of an arrow; a covariance within a stack bends away from its other side."""
    first, second = shapes[row.cause], shapes[row.effect]
    boxes, latent = not (first[4] or second[4]), first[4] and second[4]
    left = min(s[0] for s in shapes.values() if s[4]) if latent else 0.0
    alone = latent and max(s[0] for s in shapes.values() if s[4]) - left < 0.01  # one column
    if row.op != "~~" or not (alone or (boxes and abs(first[0] - second[0]) < 0.5)):
        return route(row.cause, row.effect, row.op, shapes, width, STEPS)
    away = -1 if alone or first[0] < width / 2 else 1
    ends = np.array([[s[0] + away * s[2] / 2, s[1]] for s in (first, second)])
    reach = 0.25 + 0.35 * abs(first[1] - second[1])
    middle = ends.mean(axis=0) + [away * reach, 0]
    t = np.linspace(0, 1, STEPS)[:, None]
    return (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * middle + t**2 * ends[1]


def _extent(shapes: dict[str, Shape], routes: list[np.ndarray]) -> np.ndarray:
    """Return left, top, right and bottom of what is drawn, with a margin."""
    boxes = np.array(list(shapes.values()), dtype=float)
    corners = [boxes[:, :2] - boxes[:, 2:4] / 2, boxes[:, :2] + boxes[:, 2:4] / 2]
    points = np.concatenate([*corners, *routes])
    return np.concatenate([points.min(axis=0) - MARGIN, points.max(axis=0) + MARGIN])
