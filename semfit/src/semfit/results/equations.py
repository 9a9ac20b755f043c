"""A model as equations: what its arrows say, in LaTeX that Markdown leaves as it is."""

from __future__ import annotations

import re

import pandas as pd

from semfit.syntax.model import Model

LETTERS = {"=~": r"\lambda", "~": r"\beta"}


def symbols(model: Model) -> pd.DataFrame:
    r"""Return loadings and paths with what stands for each in an equation.

    Parameters
    ----------
    model : Model

    Returns
    -------
    DataFrame
        lhs, op ("=~" or "~"), rhs, symbol: a fixed value, a label (``h1`` as ``h_{1}``), or else
        ``\lambda`` (loading) or ``\beta`` (path) with a number. Equal parameters share a symbol. R: none.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + x2; y ~ h1*f + age")
    >>> semfit.symbols(model)["symbol"].tolist()
    ['1', '\\lambda_{1}', 'h_{1}', '\\beta_{1}']
    """
    table = model.parameters
    rows = table[table["op"].isin(LETTERS)].reset_index(drop=True)
    found: dict[str, str] = {}
    counts = dict.fromkeys(LETTERS, 0)
    for row in rows.itertuples():
        if row.parameter and row.parameter not in found:
            counts[row.op] += not row.label
            numbered = f"{LETTERS[row.op]}_{{{counts[row.op]}}}"
            found[row.parameter] = _written(row.label) if row.label else numbered
    said = [
        found.get(name) or f"{value:g}" for name, value in zip(rows["parameter"], rows["value"])
    ]
    return rows[["lhs", "op", "rhs"]].assign(symbol=said)


def equations(model: Model, terms: int = 4) -> str:
    r"""Return the structural part of a model as LaTeX, to stand between ``$$``.

    Variables are taken as deviations from their means, so that intercepts do not show; ``\zeta`` is
    what the paths do not explain.

    Parameters
    ----------
    model : Model
    terms : int
        Terms of an equation on one line.

    Returns
    -------
    str
        ``aligned`` equations, one for each variable that a path leads to; "" without paths. Names are
        text with spaces for underscores. R: none.

    Examples
    --------
    >>> import semfit
    >>> print(semfit.equations(semfit.read_model("f =~ x1 + x2; y ~ h1*f + age")))
    \begin{aligned}
    \text{y} &= h_{1} \cdot \text{f} + \beta_{1} \cdot \text{age} + \zeta_{1}
    \end{aligned}
    """
    paths, lines = symbols(model).query("op == '~'"), []
    for place, (effect, rows) in enumerate(paths.groupby("lhs", sort=False), start=1):
        parts = [rf"{row.symbol} \cdot {_text(row.rhs)}" for row in rows.itertuples()]
        parts.append(rf"\zeta_{{{place}}}")
        pieces = [" + ".join(parts[at : at + terms]) for at in range(0, len(parts), terms)]
        lines.append(f"{_text(str(effect))} &= " + " \\cr\n&\\quad + ".join(pieces))
    inner = " \\cr\n".join(lines)
    return f"\\begin{{aligned}}\n{inner}\n\\end{{aligned}}" if lines else ""


def _written(label: str) -> str:
    """Return a label: a letter with a number as its index, any other as text."""
    # only letters stand after a backslash and before an underscore: to Markdown those are no signs
    single = re.fullmatch(r"([a-zA-Z])(\d+)", label)
    return f"{single[1]}_{{{single[2]}}}" if single else _text(label)


def _text(name: str) -> str:
    return rf"\text{{{name.replace('_', ' ')}}}"
