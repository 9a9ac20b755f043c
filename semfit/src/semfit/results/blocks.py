"""Tables of text, and how they are set: in columns of plain text, or in HTML for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from textwrap import wrap

NAMES = 20  # least width of the first column
WIDTH = 9  # of a column of numbers
LINE = 96

STYLE = """
.semfit-fit {font-size: 13px; line-height: 1.35; color: inherit; max-width: 62em}
.semfit-fit table {border-collapse: collapse; margin: 0 0 1.1em 0; color: inherit;
  border-top: 1.5px solid currentColor; border-bottom: 1.5px solid currentColor;
  background: transparent; font-variant-numeric: tabular-nums}
.semfit-fit caption {text-align: left; font-weight: 600; padding: .2em 0; color: inherit;
  caption-side: top}
.semfit-fit th, .semfit-fit td {padding: .12em .7em; text-align: right; border: 0;
  background: transparent; color: inherit; font-weight: 400; white-space: nowrap}
.semfit-fit thead th {border-bottom: 1px solid currentColor; font-style: italic}
.semfit-fit tbody th {text-align: left; padding-left: .4em; min-width: 11em}
.semfit-fit tbody th.part {padding-top: .35em}
.semfit-fit tbody th.within {padding-left: 1.6em}
.semfit-fit td.words {text-align: left; white-space: normal}
.semfit-fit p.group {font-size: 1.15em; font-weight: 600; margin: 1.2em 0 .5em 0}
.semfit-fit td {min-width: 4em}
.semfit-fit .error {border-left: 4px solid #d1383d; padding-left: .6em}
.semfit-fit .warning {border-left: 4px solid #c98a1b; padding-left: .6em}
"""


@dataclass(frozen=True)
class Row:
    """A row of a block: its name, its cells, and the part of the block that it belongs to."""

    name: str
    cells: tuple[str, ...] = ()
    part: str = ""


@dataclass(frozen=True)
class Block:
    """A table of text.

    Attributes
    ----------
    title : str
        Its caption.
    columns : tuple of str
        Headings of the cells; all empty: no heading is shown.
    rows : list of Row
    words : bool
        Cells are words and not numbers: to be set from the left, and wrapped.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Row]
    words: bool = False

    @property
    def headed(self) -> bool:
        """Whether a column has a heading."""
        return any(self.columns)


# ---- plain text ----------------------------------------------------------------------------------


def block_text(block: Block) -> str:
    """Return a block as aligned lines; its names stand under those of their part."""
    lines, names = [block.title] if block.title else [], name_width(block)
    if block.words:
        return "\n".join([*lines, *(line for row in block.rows for line in _words(row, names))])
    widths = [WIDTH] * len(block.columns)
    for row in block.rows:
        widths = [max(w, len(cell)) for w, cell in zip(widths, row.cells, strict=False)]
    if block.headed:
        lines.append(_line("", block.columns, names, widths))
    for part, rows in groupby(block.rows, key=lambda row: row.part):
        lines += [f"  {part}"] if part else []
        indent = "    " if part else "  "
        lines += [_line(indent + row.name, row.cells, names, widths) for row in rows]
    return "\n".join(lines)


def name_width(block: Block) -> int:
    """Return the width of the first column."""
    inner = [len(row.name) + (4 if row.part else 2) for row in block.rows]
    return max([NAMES, *inner]) + 1


def _line(name: str, cells: Sequence[str], names: int, widths: Sequence[int]) -> str:
    shown = [cell.rjust(width) for cell, width in zip(cells, widths, strict=False)]
    return " ".join([name.ljust(names), *shown]).rstrip()


def _words(row: Row, names: int) -> list[str]:
    """Return a row whose cells are words: each cell on lines of its own."""
    lines = [line for cell in row.cells if cell for line in wrap(cell, LINE - names)] or [""]
    first = f"  {row.name}".ljust(names + 1) + lines[0]
    return [first.rstrip(), *(" " * (names + 1) + line for line in lines[1:])]


# ---- HTML ----------------------------------------------------------------------------------------


def block_html(block: Block) -> str:
    """Return a block as a table with caption and the scope of each heading."""
    head = ""
    if block.headed:
        cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in block.columns)
        head = f"<thead><tr><td></td>{cells}</tr></thead>"
    body = ""
    for part, rows in groupby(block.rows, key=lambda row: row.part):
        across = len(block.columns) + 1
        named = f'<tr><th class="part" scope="rowgroup" colspan="{across}">{escape(part)}</th></tr>'
        body += f"<tbody>{named if part else ''}{''.join(_row(block, row) for row in rows)}</tbody>"
    caption = f"<caption>{escape(block.title)}</caption>" if block.title else ""
    return f"<table>{caption}{head}{body}</table>"


def _row(block: Block, row: Row) -> str:
    name = f'<th scope="row"{" class=within" if row.part else ""}>{escape(row.name)}</th>'
    kind = ' class="words"' if block.words else ""
    cells = [*row.cells, *[""] * (len(block.columns) - len(row.cells))]
    return f"<tr>{name}{''.join(f'<td{kind}>{escape(cell)}</td>' for cell in cells)}</tr>"
