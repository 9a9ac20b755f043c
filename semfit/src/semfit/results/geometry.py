"""Nodes on a sheet, arrows between them, and where their labels stand; lengths are inches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

Shape: TypeAlias = tuple[float, float, float, float, bool]  # x, y, width, height, is it an ellipse?
BENDS = (0.2, -0.2, 0.35, -0.35, 0.5, -0.5)


def longest_ways(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the number of steps to each node along pairs (cause, effect); circles are cut."""
    steps = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for cause, effect in edges:
            if steps[cause] + 1 < len(nodes):
                steps[effect] = max(steps[effect], steps[cause] + 1)
    return steps


def within(points: np.ndarray, shape: Shape, margin: float = 0.0) -> np.ndarray:
    """Return which points lie in a node."""
    x, y, width, height, ellipse = shape
    across = np.abs(points[:, 0] - x) / (width / 2 + margin)
    down = np.abs(points[:, 1] - y) / (height / 2 + margin)
    return across**2 + down**2 < 1 if ellipse else np.maximum(across, down) < 1


def route(
    cause: str,
    effect: str,
    op: str,
    shapes: Mapping[str, Shape],
    wide: float,
    steps: int = 121,
) -> np.ndarray:
    """Return the points of an arrow, from the edge of one node to that of the other: (n, 2).

    Straight if no other node is in the way and it stays on the sheet, `wide` across, else the least
    bent curve. Covariances are always bent.
    """
    ends = np.array([shapes[cause][:2], shapes[effect][:2]])
    normal = np.array([-1, 1]) * (ends[1] - ends[0])[::-1]
    others = [shape for node, shape in shapes.items() if node not in (cause, effect)]
    t = np.linspace(0, 1, steps)[:, None]
    found: list[tuple] = []
    for bend in BENDS if op == "~~" else (0, *BENDS):
        middle = ends.mean(axis=0) + bend * normal
        curve = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * middle + t**2 * ends[1]
        in_the_way = sum(within(curve, shape, 0.08).sum() for shape in others)
        in_the_way += ((curve < 0) | (curve > [wide, np.inf])).sum()
        found.append((in_the_way, len(found), curve))
    curve = min(found, key=lambda item: item[:2])[2]
    return curve[~within(curve, shapes[cause]) & ~within(curve, shapes[effect])]


def label_spots(
    routes: Sequence[np.ndarray],
    texts: Sequence[str],
    shapes: Mapping[str, Shape],
    size_of: Callable[[str], tuple[float, float]],
) -> list[np.ndarray]:
    """Return where each label stands on its arrow: near the middle, off all that is drawn."""
    nodes = [rectangle(shape[:2], shape[2:4]) for shape in shapes.values()]
    spots: list[np.ndarray] = []
    taken: list[np.ndarray] = []
    for this, (points, text) in enumerate(zip(routes, texts, strict=True)):
        size = size_of(text)
        others = [points_ for other, points_ in enumerate(routes) if other != this]
        found: list[tuple] = []
        for share in sorted(np.linspace(0.15, 0.85, 29), key=lambda share: abs(share - 0.5)):
            spot = points[int(share * (len(points) - 1))]
            box = rectangle(spot, size)
            hits = sum(overlap(box, other) for other in [*nodes, *taken])
            hits += sum(((other > box[0]) & (other < box[1])).all(axis=1).any() for other in others)
            found.append((hits, spot, box))
        _, spot, box = min(found, key=lambda item: item[0])
        spots.append(spot)
        taken.append(box)
    return spots


def rectangle(centre: Any, size: Any) -> np.ndarray:
    """Return two corners, from the smallest to the largest coordinates."""
    half = np.array(size) / 2
    return np.array([centre - half, centre + half])


def overlap(first: np.ndarray, second: np.ndarray) -> bool:
    """Tell whether two rectangles do."""
    return bool((first[0] < second[1]).all() and (second[0] < first[1]).all())


def draw_node(ax: Any, text: str, shape: Shape, size: int = 9, color: str = "black") -> None:
    """Draw a node with its name in it."""
    from matplotlib.patches import Ellipse, Rectangle

    x, y, width, height, ellipse = shape
    look: dict[str, Any] = {"facecolor": "white", "edgecolor": color, "linewidth": 0.9, "zorder": 3}
    corner = (x - width / 2, y - height / 2)
    box = (
        Ellipse((x, y), width, height, **look)
        if ellipse
        else Rectangle(corner, width, height, **look)
    )
    ax.add_patch(box)
    ax.text(x, y, text, ha="center", va="center", fontsize=size, zorder=4, linespacing=1.15)


def draw_arrow(
    ax: Any,
    points: Any,
    both: bool = False,
    weak: bool = False,
    width: float = 0.9,
    color: str = "black",
) -> None:
    """Draw an arrow along these points: with two heads if `both`, dashed if `weak`."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    look: dict[str, Any] = {"arrowstyle": "<|-|>" if both else "-|>", "color": color, "zorder": 2}
    look |= {"linestyle": (0, (4, 2.5)) if weak else "-", "linewidth": width}
    ax.add_patch(FancyArrowPatch(path=Path(points), mutation_scale=6 + 1.8 * width, **look))


def draw_label(ax: Any, text: str, spot: np.ndarray, size: int = 8) -> None:
    """Draw the label of an arrow on a white ground."""
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": size, "linespacing": 1.1}
    look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    ax.text(*spot, text, **look, zorder=5)
