"""Display tables and CSV files from tidy frames; the place where numbers become text."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import great_tables
import pandas as pd
from pandas import DataFrame

from mkb21.page.numerals import (  # noqa: F401  notebooks ask for them here
    UNDEFINED,
    interval,
    number,
    p_equals,
    p_value,
    percent,
    short,
)
from mkb21.page.words import section
from mkb21.survey.files import check_language, write_whole

Key = str | tuple[str, str]  # a column, or the two of an interval
FORMATS = r"(text|integer|bool|p)|(decimals)(\d)|(percent)(\d?)|(interval)(\d)"
RULES = (  # the horizontal rules of APA style
    "table_border_top column_labels_border_top column_labels_border_bottom "
    "table_body_border_bottom table_border_bottom"
).split()


@dataclass(frozen=True, eq=False, repr=False)
class Display:
    """A table to look at: HTML in a notebook, aligned text elsewhere. Made by `display`.

    `body`: the cells as text; `right`: is a column aligned right?; `notes`: what stands below.
    """

    title: str
    body: DataFrame
    right: tuple[bool, ...]
    groups: tuple[str, ...] | None
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        cells = [list(self.body.columns), *self.body.to_numpy(dtype=object).tolist()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        pads = [str.rjust if right else str.ljust for right in self.right]
        aligned = [[pad(*c) for pad, *c in zip(pads, row, widths, strict=True)] for row in cells]
        heading, *lines = ["  ".join(row).rstrip() for row in aligned]
        if self.groups is not None:  # a group is named above its first row
            starts = [self.groups.index(group) for group in dict.fromkeys(self.groups)]
            for start in reversed(starts):
                lines.insert(start, self.groups[start])
        width = max(map(len, [heading, *lines]))
        rule = "─" * width
        below = [textwrap.fill(note, max(width, 72)) for note in self.notes]
        return "\n".join([self.title, rule, heading, rule, *lines, rule, *below])

    def _repr_html_(self) -> str:
        names = [f"c{position}" for position in range(self.body.shape[1])]
        frame = self.body.set_axis(names, axis=1)
        frame = frame if self.groups is None else frame.assign(group=list(self.groups))
        # The id depends on the content, so that the same table gives the same bytes.
        stable = "t" + hashlib.sha256(repr(self).encode()).hexdigest()[:10]
        table = great_tables.GT(frame, id=stable, groupname_col="group" if self.groups else None)
        table = table.tab_header(title=self.title)
        table = table.cols_label(dict(zip(names, self.body.columns, strict=True)))
        for name, right in zip(names, self.right, strict=True):
            table = table.cols_align("right" if right else "left", columns=name)
        for note in self.notes:
            table = table.tab_source_note(note)
        look: dict[str, Any] = {f"{rule}_color": "black" for rule in RULES}
        look |= {"heading_align": "left", "table_font_size": "14px"}
        look |= {"table_body_hlines_style": "none"}
        css = f"#{stable} td {{ font-variant-numeric: tabular-nums; }}"
        css += f"#{stable} td.gt_right {{ white-space: nowrap; }}"
        return table.tab_options(**look).opt_css(css).as_raw_html()


def display(
    frame: DataFrame,
    columns: Mapping[Key, tuple[str, str]],
    title: str,
    notice: str | None,
    *,
    language: str,
    note: str | None = None,
    groups: str | None = None,
) -> Display:
    """A table for people, from a tidy frame.

    Parameters
    ----------
    frame : DataFrame
        Not changed. Without rows the table says so; NaN is shown as "–".
    columns : dict
        Column -> (heading, format), in the order of the table. Formats: "text", "integer", "bool"
        (yes or no), "p" (APA), "decimals2", "percent" (of values in percent) or "percent1", and
        "interval2", whose key is a pair of columns: ("ci_low", "ci_high").
    title, note : str
    notice : str or None
        `Wave.notice(language)`: stands below the table; None for an observed wave.
    language : {"nl", "en"}
    groups : str, optional
        Column whose values head groups of rows, in the order in which they appear.

    Raises
    ------
    ValueError
        Unknown column, format or language; a column that does not hold what its format shows.
    """
    check_language(language)
    wanted = [name for key in columns for name in ((key,) if isinstance(key, str) else key)]
    unknown = [name for name in (*wanted, groups) if name is not None and name not in frame]
    if unknown or not wanted:
        known = ", ".join(map(str, frame.columns))
        raise ValueError(f"There is no column {unknown or 'chosen'}: use some of {known}.")
    if groups:
        codes, _ = pd.factorize(frame[groups], use_na_sentinel=False)
        frame = frame.iloc[codes.argsort(kind="stable")]
    cells = [_column(frame, key, form, language) for key, (_, form) in columns.items()]
    headings = [heading for heading, _ in columns.values()]
    body = DataFrame(list(zip(*cells, strict=True)), columns=headings, dtype=object)
    right = tuple(form not in ("text", "bool") for _, form in columns.values())
    if body.empty:
        body.loc[0] = [section("cells", language)["no_rows"], *[""] * (len(headings) - 1)]
    shown = tuple(frame[groups].astype(str)) if groups and len(frame) else None
    return Display(title, body, right, shown, tuple(text for text in (note, notice) if text))


def _column(frame: DataFrame, key: Key, form: str, language: str) -> list[str]:
    """One column as text."""
    match = re.fullmatch(FORMATS, form)
    if match is None:
        raise ValueError(f"{key!r} has the unknown format {form!r}; it must match {FORMATS}.")
    kind, *digits = [group for group in match.groups() if group is not None]
    decimals = int("".join(digits) or 0)
    names = (key,) if isinstance(key, str) else key
    if (len(names) == 2) != (kind == "interval"):
        raise ValueError(f"{key!r} with {form!r}: an interval, and only that, needs two columns.")
    if kind == "text":
        return [UNDEFINED if pd.isna(value) else str(value) for value in frame[key]]
    try:
        values = frame[list(names)].astype("float64")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key!r} is shown as numbers but holds text: {error}") from None
    first, known = values.iloc[:, 0], values.iloc[:, 0].dropna()
    if kind == "integer" and (known % 1 != 0).any():
        raise ValueError(f"{key!r} holds numbers that are not whole: use decimals1 or more.")
    if kind == "bool" and not known.isin([0, 1]).all():
        raise ValueError(f"{key!r} is shown as yes or no but holds other numbers.")
    if kind == "bool":
        words = section("cells", language)
        return [UNDEFINED if pd.isna(v) else words["yes" if v else "no"] for v in first]
    if kind == "p":
        return [p_value(value, language) for value in first]
    function: Any = {"interval": interval, "percent": percent}.get(kind, number)
    return [function(*row, decimals, language) for row in values.itertuples(index=False)]


def write_csv(frame: DataFrame, path: str | Path) -> Path:
    """Write a tidy frame as CSV: UTF-8, line feeds, comma, decimal point, NaN as an empty cell.

    Floats are written with the fewest digits that read back as the same number. A named index
    becomes a column, an unnamed one is left out.

    Raises
    ------
    ValueError
        A column that mixes numbers and text, or a name that stands twice: nothing is written.
    """
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"Column {twice[0]!r} stands twice: rename one.")
    for name in frame.columns[frame.dtypes == object]:
        kind = pd.api.types.infer_dtype(frame[name], skipna=True)
        if kind.startswith("mixed") and kind != "mixed-integer-float":
            raise ValueError(f"Column {name!r} mixes numbers and text: split it into two columns.")
    return write_whole(Path(path), frame.to_csv(index=False, lineterminator="\n").encode())
