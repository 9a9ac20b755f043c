"""Tables of a fit for LaTeX, with the rules of the booktabs package."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from semfit.fitting.fitting import Fit
from semfit.fitting.requirements import check_solution
from semfit.results.blocks import Block
from semfit.results.summary import blocks_of

TABLES = ("estimates", "measures", "r_squared")
ESCAPED = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
HEADINGS = {
    "SE": r"\emph{SE}",
    "z": "$z$",
    "p": "$p$",
    "Std.lv": r"Std.\,lv",
    "Std.all": r"Std.\,all",
}
SIGNS = {"=~": r"$=\sim$", "~~": r"$\sim\sim$", "~": r"$\sim$", "|": "thresholds"}


def to_latex(
    fit: Fit,
    table: str = "estimates",
    *,
    caption: str = "",
    label: str = "",
    confidence: float = 0.95,
    intervals: bool = False,
    standardized: bool = True,
    decimals: int = 3,
) -> str:
    """Return a table of a fit in LaTeX; see `Fit.to_latex`."""
    check_solution(fit, "to_latex")
    if table not in TABLES:
        raise ValueError(f"table={table!r} does not exist; there is: {', '.join(TABLES)}.")
    parts = blocks_of(
        fit, confidence, standardized=standardized, intervals=intervals, decimals=decimals
    )
    chosen = [(heading, [b for b in blocks if _belongs(b, table)]) for heading, blocks in parts]
    return _set([(heading, blocks) for heading, blocks in chosen if blocks], caption, label)


def _belongs(block: Block, table: str) -> bool:
    """Tell whether a block of the summary stands in a table."""
    if block.words:
        return False
    kind = {"Test and fit": "measures", "R-square": "r_squared"}.get(block.title, "estimates")
    return kind == table


def _set(parts: Sequence[tuple[str, Sequence[Block]]], caption: str, label: str) -> str:
    """Return the table: headings once, a heading above each group and block."""
    first = parts[0][1][0]
    width = len(first.columns)
    lines = [r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{escaped(caption)}}}"] if caption else []
    lines += [rf"\label{{{label}}}"] if label else []
    lines += [rf"\begin{{tabular}}{{l{'r' * width}}}", r"\toprule"]
    lines.append(_line("", [HEADINGS.get(c, escaped(c)) for c in first.columns]))
    several = sum(len(blocks) for _, blocks in parts) > 1
    for heading, blocks in parts:
        lines += [
            r"\midrule",
            *([_across(rf"\textbf{{{escaped(heading)}}}", width)] * bool(heading)),
        ]
        for place, block in enumerate(blocks):
            lines += [r"\addlinespace"] if place else []
            lines += [_across(rf"\emph{{{escaped(block.title)}}}", width)] if several else []
            lines += _rows(block)
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _rows(block: Block) -> list[str]:
    """Return the lines of a block, its names under those of their part."""
    lines = []
    for part, rows in groupby(block.rows, key=lambda row: row.part):
        lines += [_across(_part(part), len(block.columns))] if part else []
        indent = r"\quad " if part else ""
        lines += [
            _line(indent + escaped(row.name), [_number(c) for c in row.cells]) for row in rows
        ]
    return lines


def _part(part: str) -> str:
    """Return the name of a part; the operator after a variable as a sign."""
    name, _, op = part.rpartition(" ")
    return f"{escaped(name)} {SIGNS[op]}" if name and op in SIGNS else escaped(part)


def _line(name: str, cells: Sequence[str]) -> str:
    return " & ".join([name, *cells]) + r" \\"


def _across(text: str, width: int) -> str:
    return rf"\multicolumn{{{width + 1}}}{{l}}{{{text}}} \\"


def _number(cell: str) -> str:
    """Return a number with a true minus sign."""
    sign = cell[:1]
    return f"${cell}$" if sign in "-<>" and cell else cell


def escaped(text: str) -> str:
    """Return text with what LaTeX would read as commands written as characters."""
    return "".join(ESCAPED.get(character, character) for character in text)
