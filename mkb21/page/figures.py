"""House style, and one function per kind of figure (diagrams of boxes and arrows: `diagrams`).

Every function takes a tidy frame and `labels` (variable, code, series ... -> text), leaves the
frame as it is, and returns a `matplotlib.figure.Figure` that pyplot does not know. Figures have the
width of a journal's column (88 mm) or page (174 mm), no text below 7 points, and need no colour: an
ordered scale runs from light to dark, series differ in marker and fill. Long texts are wrapped.
`language` is "nl" or "en": it sets the decimal mark and the fixed words. The docstrings name the
columns of the frame, and what `labels` holds.

All raise `ValueError` for a frame without rows, a column that is not there, a number that is
missing or infinite (intervals may be NaN: they are left out), and a key without a label.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from contextlib import ContextDecorator
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation, Transform
from pandas import DataFrame

from mkb21.page.numerals import interval, number, percent, short
from mkb21.page.words import section
from mkb21.survey.files import write_whole

SINGLE, FULL = 88 / 25.4, 174 / 25.4  # inches
SMALL, NORMAL, LARGE = 7, 8, 9  # points
LINE = {SMALL: 0.125, NORMAL: 0.14, LARGE: 0.16}  # inches per line of text
EDGE = 0.05  # inches between text and the edge of the figure
PAD = 0.0417  # inches that the layout keeps free around the axes
INK, GREY, PALE, BAR = "#1a1a1a", "#767676", "#d9d9d9", "#9fbdd3"
SERIES = (("o", INK), ("s", "white"), ("D", "#9a9a9a"))  # marker and fill, distinct without colour
LIGHT = 0.179  # luminance above which black stands out more than white (contrast as in WCAG 2)
Look = dict[str, Any]  # what matplotlib is told on how a thing looks
NEAR: Look = {"textcoords": "offset points", "fontsize": SMALL}  # a text beside a point


# --- style, saving -------------------------------------------------------------------------------


def style() -> ContextDecorator:
    """The house style, a context manager or decorator: matplotlib's defaults, then `house.mplstyle`."""
    return matplotlib.style.context(["default", Path(__file__).with_name("house.mplstyle")])


@style()
def save(figure: Figure, folder: str | Path, name: str, notice: str | None, alt: str) -> list[Path]:
    """Write `<name>.svg` and `<name>.png` (200 dpi): the same figure gives the same bytes.

    The figure gets the notice (`Wave.notice(language)`; None for an observed wave) as its last
    line, below everything else, and grows by its height. `alt` says what it shows, for those who do
    not see it: with the notice it becomes <desc> of the SVG, whose text is drawn as paths, and
    Description of the PNG. Each file appears only when it is whole; both paths are returned.
    """
    if not alt:
        raise ValueError(f"Figure {name!r} needs an alternative text (alt).")
    _add_notice(figure, notice)
    described = " ".join(text for text in (alt, notice) if text)
    svg, png = io.StringIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    ids = f"{name}-title", f"{name}-desc"  # unique, for a page that holds several figures
    words = f'<title id="{ids[0]}">{escape(str(figure.get_label() or name))}</title>'
    words += f'<desc id="{ids[1]}">{escape(described)}</desc>'
    role = f'role="img" aria-labelledby="{" ".join(ids)}" '
    before, attributes, after = re.split("(?<=<svg )(.*?)>", svg.getvalue(), 1, re.DOTALL)
    drawn = f"{before}{role}{attributes}>{words}{after}"
    metadata = {"Software": None, "Description": described}
    figure.savefig(png, format="png", dpi=200, metadata=metadata)
    files = [(".svg", drawn.encode("utf-8")), (".png", png.getvalue())]
    return [write_whole(Path(folder) / f"{name}{suffix}", content) for suffix, content in files]


def in_words(
    title: str, frame: DataFrame, key: str, value: str, labels: dict | None, language: str
) -> str:
    """The title and the numbers of a figure as one sentence: the alternative text of `save`.

    `key` and `value` are columns of the frame; a value is a percentage if its column is "percent".
    `labels`: key -> text; None if the keys are texts.
    """
    show = partial(percent, decimals=0) if value == "percent" else partial(number, decimals=2)
    pairs = zip(frame[key], frame[value], strict=True)
    known = dict(zip(frame[key], frame[key])) if labels is None else labels
    parts = (f"{label(k, known)} {show(v, language=language)}" for k, v in pairs)
    return f"{title}: {', '.join(parts)}."


def publish(figure: Figure, folder: str | Path, name: str, notice: str | None, alt: str) -> Image:
    """`save`, and the saved picture for a notebook, at its printed size (96 px an inch)."""
    _, png = save(figure, folder, name, notice, alt)
    return Image(data=png.read_bytes(), width=round(96 * figure.get_size_inches()[0]), alt=alt)


def _add_notice(figure: Figure, notice: str | None) -> None:
    """A strip below the figure with the notice; once, however often the figure is saved."""
    if not notice or any(text.get_gid() == "notice" for text in figure.texts):
        return
    width, height = figure.get_size_inches()
    text = wrap(notice, width - 2 * EDGE, SMALL, "bold")
    strip = LINE[SMALL] * (text.count("\n") + 1) + 0.1
    engine: Any = figure.get_layout_engine()
    total = height + strip
    content = engine.get()["rect"][3] * height
    figure.set_size_inches(width, total)
    engine.set(rect=(0, strip / total, 1, content / total))
    how = {"fontsize": SMALL, "weight": "bold", "ha": "left", "va": "bottom", "gid": "notice"}
    figure.text(EDGE / width, EDGE / total, text, how)


# --- helpers, also for `diagrams` ----------------------------------------------------------------


def checked(frame: DataFrame, columns: Iterable[str], numbers: Iterable[str] = ()) -> DataFrame:
    """The frame with a fresh index, or a `ValueError` that says what is wrong with it."""
    absent = [name for name in [*columns, *numbers] if name not in frame]
    if absent:
        known = ", ".join(map(str, frame.columns))
        raise ValueError(f"The frame has no column {absent[0]!r}; it has {known}.")
    if not len(frame):
        raise ValueError("There is nothing to draw: the frame has no rows.")
    rows = frame.reset_index(drop=True)
    for name in numbers:
        values = pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=float)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            found = rows.at[bad[0], name]
            raise ValueError(f"{name!r} holds {found} in row {bad[0]}: only numbers are drawn.")
    return rows


def label(key: object, labels: dict) -> str:
    """The text of a key, or a `ValueError`."""
    if key not in labels:
        raise ValueError(f"There is no label for {key!r}: add it to `labels`.")
    return str(labels[key])


def text_width(text: str, size: float = SMALL, weight: str = "normal") -> float:
    """Width in inches of the longest line of a text."""
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    measure = TextToPath().get_text_width_height_descent
    return max(measure(line, font, False)[0] for line in text.split("\n")) / 72


def wrap(text: str, inches: float, size: float = NORMAL, weight: str = "normal") -> str:
    """The text in lines that are at most so wide."""
    for characters in range(len(text), 0, -1):
        wrapped = "\n".join(textwrap.wrap(text, characters)) or text
        if text_width(wrapped, size, weight) <= inches:
            return wrapped
    raise ValueError(f"There is no room for {text!r}.")


def high(texts: Iterable[str], size: int = SMALL) -> float:
    """Height in inches of the text with most lines; 0 without texts."""
    return LINE[size] * max((text.count("\n") + 1 for text in texts), default=0)


class Page(Figure):
    """A figure that knows how high its content is and where its legend stands, in inches."""

    content: float
    legend_top: float


def blank(
    width: float, content: float, title: str = "", caption: str = "", legend: float = 0.0
) -> Page:
    """A figure with a title, a caption and room for a legend above `content` inches of height."""
    figure = Page(layout="constrained", label=title or "")
    y = EDGE
    for text, size, weight in ((title, LARGE, "bold"), (caption, SMALL, "normal")):
        if text:
            shown = wrap(text, width - 2 * EDGE, size, weight)
            how: Look = {"fontsize": size, "weight": weight, "ha": "left", "va": "top"}
            figure.text(0, 1, shown, how, transform=from_top(figure, EDGE, y))
            y += high([shown], size) + 0.03
    figure.legend_top, figure.content = y, content
    y += legend
    height = y + content + 2 * PAD
    figure.set_size_inches(width, height)
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0, 0, 1, 1 - y / height))
    return figure


def from_top(figure: Figure, right: float, down: float) -> Transform:
    """Coordinates so many inches from the top left corner, also when the figure grows below."""
    return figure.transFigure + ScaledTranslation(right, -down, figure.dpi_scale_trans)


def sheet(width: float, height: float, title: str = "", caption: str = "") -> tuple[Page, Axes]:
    """Figure and empty axes whose unit is the inch, from the top left corner downwards."""
    figure = blank(width, height, title, caption)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set(xlim=(0, width - 2 * PAD), ylim=(height, 0), aspect="equal")
    return figure, axes


def _rows_figure(
    texts: list[str],
    width: float,
    title: str,
    caption: str,
    names: Sequence[str] = (),
    lines: int = 1,
    extra: float = 0.0,
) -> tuple[Page, Axes]:
    """Figure and axes with one row per text, from top to bottom; room for a legend of `names`."""
    texts = [wrap(text, 0.37 * width) for text in texts]
    row = max(0.21, high(texts, NORMAL) + 0.06, 0.14 * lines + 0.06)
    legend = high(names) + 0.12 if names else 0
    figure = blank(width, row * len(texts) + 0.2 + extra, title, caption, legend)
    axes = figure.add_subplot()
    axes.set_yticks(range(len(texts)), texts)
    axes.set_ylim(len(texts) - 0.5, -0.5)
    return figure, axes


def _legend(figure: Page, names: list[str], handles: Iterable) -> None:
    where: Look = {"loc": "upper left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}
    where |= {"ncols": len(names), "columnspacing": 1.2, "handlelength": 1.2, "borderpad": 0.3}
    figure.legend(handles, names, **where, bbox_transform=from_top(figure, 0, figure.legend_top))


def _caption(rows: DataFrame, language: str) -> str:
    """How many respondents, and what the whiskers are."""
    words, parts = section("figures", language), []
    n = rows.get("n_valid", rows.get("n"))
    if n is not None:
        low, high = int(n.min()), int(n.max())
        parts.append(f"n = {low}." if low == high else f"n = {low}–{high}.")
    if "ci_low" in rows and rows["ci_low"].notna().any():
        parts.append(words["ci"])
    return " ".join(parts)


def _whiskers_and_values(
    axes: Axes, rows: DataFrame, value: str, positions: np.ndarray, show: Callable[[float], str]
) -> None:
    """Thin intervals, and the value right of whatever ends last."""
    ends = rows[value].to_numpy(dtype=float)
    if "ci_low" in rows:
        low, high = (rows[name].to_numpy(dtype=float) for name in ("ci_low", "ci_high"))
        axes.hlines(positions, low, high, color=INK, linewidth=0.8, zorder=3)
        ends = np.fmax(ends, high)
    for y, end, shown in zip(positions, ends, map(show, rows[value]), strict=True):
        axes.annotate(shown, (end, y), xytext=(5, 0), va="center", **NEAR)


def _percent_axis(axes: Axes, rows: DataFrame, language: str) -> None:
    """From 0 to a round number above everything that is drawn, 100 at most."""
    drawn = rows[["percent", *rows.columns.intersection(["ci_high"])]].to_numpy(dtype=float)
    if np.nanmin(drawn) < 0 or np.nanmax(drawn) > 100 + 1e-9:
        raise ValueError("A percentage lies outside 0 to 100.")
    limits = {10: 5, 20: 10, 40: 10, 60: 20, 80: 20, 100: 20}
    top = next(limit for limit in limits if np.nanmax(drawn) <= limit + 1e-9)
    ticks = range(0, top + 1, limits[top])
    axes.set_xlim(0, top)
    axes.set_xticks(ticks, [percent(tick, 0, language) for tick in ticks])


def _shades(count: int) -> list:
    """Light to dark, with steps that remain in greyscale."""
    return sns.light_palette("#10324d", max(count, 3))[-count:]


# --- shares and means ----------------------------------------------------------------------------


@style()
def bars(
    frame: DataFrame, labels: dict, language: str, title: str = "", *, sort: bool = True
) -> Figure:
    """Horizontal bars of percentages, with intervals.

    frame: variable, percent; optional: code (drawn instead of variable when there is one variable),
    ci_low, ci_high, n_valid. All in percent, as `reliability.frequencies` and `shares` give.
    labels: code or variable. sort: from high to low; False keeps the order of the frame (ordered
    scales).
    """
    rows = checked(frame, ["variable"], ["percent"])
    if sort:
        rows = rows.sort_values("percent", ascending=False, kind="stable")
    key = "code" if "code" in rows and rows["variable"].nunique() == 1 else "variable"
    texts = [label(value, labels) for value in rows[key]]
    figure, axes = _rows_figure(texts, SINGLE, title, _caption(rows, language))
    positions = np.arange(len(rows))
    thick = min(0.62, 0.2 * len(rows) / figure.content)
    axes.barh(positions, rows["percent"], height=thick, color=BAR)
    show = partial(percent, decimals=0, language=language)
    _whiskers_and_values(axes, rows, "percent", positions, show)
    _percent_axis(axes, rows, language)
    return figure


@style()
def means(frame: DataFrame, labels: dict, scale: dict, language: str, title: str = "") -> Figure:
    """Means with intervals on their answer scale, from high to low.

    frame: variable, mean; optional: ci_low, ci_high, n. labels: variable. scale: code -> text; the
    first and the last are written at the ends of the axis.
    """
    rows = checked(frame, ["variable"], ["mean"])
    first, *_, last = codes = sorted(scale)
    outside = rows.loc[~rows["mean"].between(first, last), "variable"]
    if len(outside):
        raise ValueError(f"The mean of {outside.iloc[0]!r} is not on the scale {first} to {last}.")
    ends = [wrap(scale[code], 0.255 * SINGLE, SMALL) for code in (first, last)]
    order = rows.sort_values("mean", ascending=False, kind="stable").index
    texts = [label(variable, labels) for variable in rows["variable"][order]]
    caption = _caption(rows, language)
    figure, axes = _rows_figure(texts, SINGLE, title, caption, extra=high(ends))
    for between in range(1, len(rows)):
        axes.axhline(between - 0.5, color=PALE, linewidth=0.5)
    places = order.argsort()  # of the rows of the frame
    show = partial(number, decimals=2, language=language)
    _whiskers_and_values(axes, rows, "mean", places, show)
    axes.plot(rows["mean"], places, "o", mfc=INK, mec=INK, mew=0.8, ms=4.5, zorder=4)
    axes.set_xticks(codes, codes)
    axes.set_xlim(first - 0.05, last + 0.05)
    for end, side, text in zip((0, 1), ("left", "right"), ends, strict=True):
        how: Look = {"xycoords": "axes fraction", "xytext": (0, -15), "ha": side, "va": "top"}
        axes.annotate(text, (end, 0), **how, **NEAR)
    return figure


@style()
def histogram(frame: DataFrame, labels: dict, language: str, title: str = "") -> Figure:
    """How numbers are distributed: bars of percentages, a panel per variable.

    frame: variable, low, high (of a bin), percent; optional: n_valid. labels: variable, with the
    unit; it is written below the axis.
    """
    rows = checked(frame, ["variable"], ["low", "high", "percent"])
    names = list(dict.fromkeys(rows["variable"]))
    texts = [wrap(label(name, labels), SINGLE - 0.7, SMALL) for name in names]
    height = sum(1.5 + high([text]) for text in texts)
    figure = blank(SINGLE, height, title, _caption(rows, language))
    panels = figure.subplots(len(names), 1, squeeze=False)[:, 0]
    for axes, name, text in zip(panels, names, texts, strict=True):
        part = rows[rows["variable"] == name]
        width = part["high"] - part["low"]
        axes.bar(part["low"], part["percent"], width, align="edge", color=BAR, ec=INK, lw=0.4)
        axes.set_xlabel(text, fontsize=SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=width.min() >= 1))
        axes.xaxis.set_major_formatter(_ticks(language))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: percent(tick, 0, language)))
        axes.tick_params(axis="y", labelsize=SMALL)
    return figure


@style()
def stacked(frame: DataFrame, labels: dict, language: str, title: str = "") -> Figure:
    """Answers on several items as bars that add up to 100%, from the lowest code to the highest.

    frame: variable, code, percent (adding up to 100 per variable); optional: n_valid. Items are
    sorted by their mean code, highest first. A share is written in its part if it fits. labels:
    variable and code; the codes make the legend.
    """
    rows = checked(frame, ["variable"], ["code", "percent"])
    table = _parts(rows, "code", lambda table: table @ table.columns.to_numpy(dtype=float))
    wrong = table.index[(table.sum(axis=1) - 100).abs() > 0.01]
    if len(wrong):
        raise ValueError(f"The percentages of {wrong[0]!r} do not add up to 100.")
    caption = _caption(rows.drop(columns="ci_low", errors="ignore"), language)
    figure, axes = _stack(table, labels, title, caption)
    _percent_axis(axes, DataFrame({"percent": [100]}), language)
    figure.draw_without_rendering()  # only the layout knows how wide one per cent is
    inch = axes.get_window_extent().width / figure.dpi / 100
    how: Look = {"fontsize": SMALL, "ha": "center", "va": "center_baseline"}
    for container, shade in zip(axes.containers, _shades(table.shape[1]), strict=True):
        light = sns.utils.relative_luminance(shade) > LIGHT
        for bar in container:
            text = percent(bar.get_width(), 0, language)
            if text_width(text) + 0.03 <= bar.get_width() * inch:
                x, y = bar.get_center()
                axes.text(x, y, text, **how, color="black" if light else "white")
    return figure


@style()
def missing(frame: DataFrame, labels: dict, language: str, title: str = "") -> Figure:
    """Share of answers that are missing per item, by reason; highest total first.

    frame: variable, reason, percent: a row per reason, drawn in this order. labels: variable and
    reason.
    """
    rows = checked(frame, ["variable", "reason"], ["percent"])
    table = _parts(rows, "reason", lambda table: table.sum(axis=1))
    table = table[list(dict.fromkeys(rows["reason"]))]
    figure, axes = _stack(table, labels, title, "")
    total = table.sum(axis=1).to_frame("percent")
    show = partial(percent, decimals=1, language=language)
    _whiskers_and_values(axes, total, "percent", np.arange(len(total)), show)
    _percent_axis(axes, total, language)
    return figure


def _parts(rows: DataFrame, part: str, score: Callable[[DataFrame], pd.Series]) -> DataFrame:
    """Percentages (variables x parts), from the highest score to the lowest."""
    table = rows.pivot(index="variable", columns=part, values="percent").fillna(0.0)
    table = table.loc[list(dict.fromkeys(rows["variable"]))]
    return table.iloc[(-score(table)).argsort(kind="stable")]


def _stack(table: DataFrame, labels: dict, title: str, caption: str) -> tuple[Page, Axes]:
    """Figure and axes of stacked bars: a row per variable, a shade per part."""
    names = [wrap(label(part, labels), FULL / table.shape[1] - 0.4, SMALL) for part in table]
    texts = [label(variable, labels) for variable in table.index]
    figure, axes = _rows_figure(texts, FULL, title, caption, names)
    start = np.zeros(len(table))
    for part, shade in zip(table.to_numpy().T, _shades(table.shape[1]), strict=True):
        how: Look = {"height": 0.74, "color": [shade], "edgecolor": INK, "linewidth": 0.4}
        axes.barh(range(len(table)), part, left=start, **how)
        start = start + part
    _legend(figure, names, axes.containers)
    return figure, axes


@style()
def gaps(
    frame: DataFrame, labels: dict, series: Sequence[str], language: str, title: str = ""
) -> Figure:
    """Two means per pair, joined by a line, and their difference in numbers: a dumbbell plot.

    frame: first, mean_first, mean_second, difference; optional: ci_low, ci_high (of the
    difference), n: as `reliability.paired_gaps` gives. Sorted by mean_first. labels: the first
    variable of each pair. series: what the first and the second are ("motivation", "perception").
    """
    names = ["mean_first", "mean_second"]
    rows = checked(frame, ["first"], [*names, "difference"])
    rows = rows.sort_values("mean_first", ascending=False, kind="stable", ignore_index=True)
    headings = [wrap(name, 1.1, SMALL, "bold") for name in series]
    caption = _caption(rows.drop(columns="ci_low", errors="ignore"), language)
    texts = [label(first, labels) for first in rows["first"]]
    figure, axes = _rows_figure(texts, FULL, title, caption, extra=high(headings) + 0.25)
    axes.hlines(rows.index, rows[names].min(axis=1), rows[names].max(axis=1), color=GREY, lw=1.6)
    for name, (marker, fill) in zip(names, SERIES):
        axes.plot(rows[name], rows.index, marker, mfc=fill, mec=INK, mew=0.8, ms=5)
    for y, row in rows.iterrows():
        for name, heading in zip(names, headings, strict=True):
            side = 1 if (name == names[0]) == (row[names[0]] > row[names[1]]) else -1
            how: Look = {"ha": "left" if side > 0 else "right", **NEAR}
            spot, shown = (row[name], y), number(row[name], 2, language)
            axes.annotate(shown, spot, xytext=(6 * side, 0), va="center", **how)
            if y == 0:  # the heading of the series stands above its first marker
                how |= {"va": "bottom", "weight": "bold"}
                axes.annotate(heading, spot, xytext=(2 * side, 9), **how)
    room = max(text_width(name, SMALL, "bold") for name in headings) + 0.15
    axes.margins(x=room / (0.5 * FULL - 2 * room))
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(_ticks(language))
    aside: Look = {"xycoords": ("axes fraction", "data"), **NEAR}  # the differences
    heading = section("figures", language)["gap"]
    axes.annotate(heading, (1, 0), xytext=(8, 9), va="bottom", weight="bold", **aside)
    for y, row in rows.iterrows():
        shown = number(row["difference"], 2, language)
        if pd.notna(row.get("ci_low")):
            shown += f" {interval(row['ci_low'], row['ci_high'], 2, language)}"
        axes.annotate(shown, (1, y), xytext=(8, 0), va="center", **aside)
    return figure


def _ticks(language: str) -> FuncFormatter:
    return FuncFormatter(lambda tick, _: short(tick, 2, language))


@style()
def coefficients(frame: DataFrame, labels: dict, language: str, title: str = "") -> Figure:
    """Standardised coefficients with intervals, a row per path and a marker per series.

    frame: series, variable, std_all; optional: std_ci_low, std_ci_high. In the order of the frame;
    a series (an estimator, a group) need not have every variable. labels: series (up to 4),
    variable.
    """
    rows = checked(frame, ["series", "variable"], ["std_all"])
    marks = (*SERIES, ("^", PALE))
    names, order = (list(dict.fromkeys(rows[key])) for key in ("series", "variable"))
    if len(names) > len(marks) or rows.duplicated(["series", "variable"]).any():
        raise ValueError(f"More than {len(marks)} series, or a variable twice in one of them.")
    texts = [label(variable, labels) for variable in order]
    shown = [wrap(label(name, labels), FULL / len(names) - 0.5, SMALL) for name in names]
    rows = rows.drop(columns=["ci_low", "ci_high"], errors="ignore")  # of the raw coefficients
    rows = rows.rename(columns={"std_ci_low": "ci_low", "std_ci_high": "ci_high"})
    about = _caption(rows.drop(columns=["n_valid", "n"], errors="ignore"), language)
    caption = f"{section('figures', language)['std']} {about}"
    figure, axes = _rows_figure(texts, FULL, title, caption, shown, max(2, len(names)))
    axes.axvline(0, color=GREY, linewidth=0.8)
    for between in range(1, len(order)):
        axes.axhline(between - 0.5, color=PALE, linewidth=0.5)
    handles = []
    for step, (name, (marker, fill)) in enumerate(zip(names, marks)):
        part = rows[rows["series"] == name]
        shift = (step - (len(names) - 1) / 2) * 0.8 / len(names)
        y = np.array([order.index(variable) for variable in part["variable"]]) + shift
        if "ci_low" in part:
            axes.hlines(y, part["ci_low"], part["ci_high"], color=INK, linewidth=0.8, zorder=3)
        how: Look = {"mfc": fill, "mec": INK, "mew": 0.8, "ms": 4.5, "zorder": 4}
        handles += axes.plot(part["std_all"], y, marker, **how)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.xaxis.set_major_formatter(_ticks(language))
    _legend(figure, shown, handles)
    return figure


# --- factors -------------------------------------------------------------------------------------


@style()
def scree(frame: DataFrame, labels: dict, language: str, title: str = "") -> Figure:
    """Eigenvalues from high to low beside those of random numbers: a scree plot, in panels.

    frame: series (a panel each, 3 to a row), component (1, 2 ...), eigenvalue, quantile (of the
    random ones), retained (drawn filled); optional: n_used: as the table of
    `reliability.parallel_analysis` gives. labels: each series.
    """
    rows = checked(frame, ["series", "retained"], ["component", "eigenvalue", "quantile"])
    words, panels = section("figures", language), list(dict.fromkeys(rows["series"]))
    if rows.duplicated(["series", "component"]).any():
        raise ValueError("A component stands twice in one of the series.")
    names = [wrap(words[key], FULL / 2 - 0.4, SMALL) for key in ("eigenvalue", "quantile")]
    about = _caption(rows.rename(columns={"n_used": "n"}), language)
    caption = f"{about} {words['retained']}".strip()
    across = min(len(panels), 3)
    down = -(-len(panels) // across)
    figure = blank(FULL, 2.4 * down, title, caption, high(names) + 0.12)
    axes = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for rest in axes[len(panels) :]:
        rest.set_axis_off()
    for panel, part in zip(axes, panels):
        text = wrap(label(part, labels), FULL / across - 0.5)
        panel.set_title(text, loc="left", fontsize=NORMAL)
        handles = _eigenvalues(panel, rows[rows["series"] == part])
        panel.set_xlabel(words["component"], fontsize=SMALL)
    axes[0].set_ylim(bottom=min(0, rows["eigenvalue"].min() * 1.1))
    axes[0].yaxis.set_major_formatter(_ticks(language))
    for panel in axes[::across]:
        panel.tick_params(axis="y", labelsize=SMALL)
    _legend(figure, names, handles)
    return figure


def _eigenvalues(axes: Axes, rows: DataFrame) -> list:
    """The two lines of one panel, and the marks of what is retained."""
    rows = rows.sort_values("component")
    x, marker = rows["component"], SERIES[0][0]
    line: Look = {"color": INK, "marker": marker, "mfc": "white", "ms": 4.5, "mew": 0.8, "lw": 1}
    found = axes.plot(x, rows["eigenvalue"], **line)
    found += axes.plot(x, rows["quantile"], color=GREY, linewidth=1.2, linestyle="--")
    kept = rows[rows["retained"].astype(bool)]
    how: Look = {"mfc": INK, "mec": INK, "ms": 4.5, "linestyle": "none", "zorder": 4}
    axes.plot(kept["component"], kept["eigenvalue"], marker, **how)
    axes.set_xticks(x, [f"{value:g}" for value in x])
    return found
