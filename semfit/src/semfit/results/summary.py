"""A fit in one view, as lavaan's ``summary`` shows it: problems first, then the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from html import escape
from textwrap import wrap
from typing import Any

import pandas as pd

from semfit.fitting.fitting import Fit
from semfit.fitting.requirements import has_solution
from semfit.results.blocks import LINE, STYLE, Block, Row, block_html, block_text
from semfit.results.numerals import number, p_value, whole

Format = Callable[[float], str]
Parts = list[tuple[str, list[Block]]]  # a heading, "" for none, and its blocks

MEASURES = (  # part, name, measure, how it is shown
    ("Model against the saturated one", "Chi-square", "chisq", number),
    ("Model against the saturated one", "Degrees of freedom", "df", whole),
    ("Model against the saturated one", "p", "pvalue", p_value),
    ("Model against the saturated one", "Scaling factor", "scaling_factor", number),
    ("Baseline model", "Chi-square", "baseline_chisq", number),
    ("Baseline model", "Degrees of freedom", "baseline_df", whole),
    ("Baseline model", "Scaling factor", "baseline_scaling_factor", number),
    ("Model against the baseline", "CFI", "cfi", number),
    ("Model against the baseline", "TLI", "tli", number),
    ("Likelihood", "Log-likelihood of the model", "logl", number),
    ("Likelihood", "Log-likelihood, saturated", "logl_unrestricted", number),
    ("Likelihood", "AIC", "aic", number),
    ("Likelihood", "BIC", "bic", number),
    ("Residuals", "RMSEA", "rmsea", number),
    ("Residuals", "90 % interval, low", "rmsea_ci_low", number),
    ("Residuals", "90 % interval, high", "rmsea_ci_high", number),
    ("Residuals", "p (RMSEA <= .05)", "rmsea_pvalue", p_value),
    ("Residuals", "SRMR", "srmr", number),
)
SECTIONS = (
    *("Latent variables", "Regressions", "Covariances", "Intercepts", "Thresholds", "Variances"),
    "Scales of responses",
)
SECTION = {"=~": 0, "~": 1, "~1": 3, "|": 4, "~*~": 6}  # of an op, besides ~~
JOINED = ("=~", "~", "~~", "|")  # rows that stand under their left-hand side
ESTIMATE = {"estimate": "Estimate", "se": "SE", "z": "z", "p": "p"}
ALSO = {  # options that are told when they are not as usual
    "parameterization": ("Parameterization", "delta"),
    "information": ("Information", None),
    "sampling_weights": ("Sampling weights", None),
    "cluster": ("Clusters", None),
    "std_lv": ("Latent variances fixed at 1", False),
    "effect_coding": ("Effect coding", False),
    "orthogonal": ("Latent variables uncorrelated", False),
    "fixed_x": ("Covariates fixed", True),
    "equal": ("Equal across groups", ()),
    "free": ("But free", ()),
}


@dataclass(frozen=True, eq=False)
class Summary:
    """A view of a fit: ``print`` shows its text, a notebook its HTML.

    Attributes
    ----------
    text, html : str
    tables : dict of str to DataFrame
        What is shown, as numbers: "problems", and with a solution "measures", "estimates",
        "r_squared" and "defined", as the tables of `Fit`, with the interval that was asked for.
    """

    text: str
    html: str
    tables: dict[str, pd.DataFrame] = field(repr=False)

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


@dataclass(frozen=True)
class _Shown:
    """What is to be shown of a fit."""

    fit: Fit
    tables: dict[str, pd.DataFrame]
    columns: dict[str, str]
    decimals: int

    def cells(self, row: Any) -> tuple[str, ...]:
        """Return the numbers of a row of estimates."""
        plain = partial(number, decimals=self.decimals)
        return tuple(
            (p_value if name == "p" else plain)(getattr(row, name)) for name in self.columns
        )


def summary(
    fit: Fit,
    confidence: float = 0.95,
    *,
    standardized: bool = True,
    measures: bool = True,
    intervals: bool = False,
    decimals: int = 3,
) -> Summary:
    """Return a fit as one reads it; see `Fit.summary`."""
    tables = {"problems": fit.problems}
    blocks: Parts = [("", [*_problems(fit.problems), _options(fit)])]
    if has_solution(fit):
        shown = _shown(fit, confidence, standardized, intervals, decimals)
        tables |= shown.tables
        blocks[0][1].extend([_measures(fit.measures, decimals)] if measures else [])
        blocks += _estimates(shown)
    return Summary(_text(fit, blocks), _html(fit, blocks), tables)


def blocks_of(
    fit: Fit, confidence: float, *, standardized: bool, intervals: bool, decimals: int
) -> Parts:
    """Return the blocks of numbers of a solution: measures, then each group below its heading."""
    shown = _shown(fit, confidence, standardized, intervals, decimals)
    return [("", [_measures(fit.measures, decimals)]), *_estimates(shown)]


def _shown(
    fit: Fit, confidence: float, standardized: bool, intervals: bool, decimals: int
) -> _Shown:
    level = f"{100 * confidence:g} %"
    columns = ESTIMATE | ({"ci_low": f"{level} low", "ci_high": "high"} if intervals else {})
    columns |= {"std_lv": "Std.lv", "std_all": "Std.all"} if standardized else {}
    return _Shown(fit, _tables(fit, confidence), columns, decimals)


def _estimates(shown: _Shown) -> Parts:
    fit = shown.fit
    groups = [(_heading(fit, g), list(_group(shown, g))) for g in range(len(fit.groups))]
    return [*groups, ("", list(_whole(shown)))]


def _tables(fit: Fit, confidence: float) -> dict[str, pd.DataFrame]:
    estimates, defined = fit.estimates.copy(), fit.defined.copy()
    if confidence != 0.95:
        other, ends = fit.intervals(confidence), ["ci_low", "ci_high"]
        estimates[ends] = other[ends].iloc[: len(estimates)]
        defined[ends] = other[ends].iloc[len(estimates) :].to_numpy()
    shared = {"measures": fit.measures, "r_squared": fit.r_squared}
    return {**shared, "estimates": estimates, "defined": defined}


# ---- what was done, and what is wrong ------------------------------------------------------------


def _options(fit: Fit) -> Block:
    """Return how the model was fitted."""
    missing = {"fiml": "full information", "listwise": "rows dropped", "pairwise": "pair by pair"}
    measures = fit.measures.set_index("measure")["standard"]  # parameters less constraints
    rows = [
        Row("Estimator", (fit.estimator,)),
        Row("Free parameters", (f"{measures['npar']:.0f}",)),
        Row("Rows used", (str(fit.n_used),)),
        Row("Rows dropped", (str(fit.n_dropped),)),
        Row("Missing values", (missing.get(fit.missing, fit.missing),)),
    ]
    if fit.group:
        rows.append(Row("Groups", (fit.group,)))
        sizes = zip(fit.groups, fit.group_sizes, strict=True)
        rows += [Row(f"  {label}", (str(n),)) for label, n in sizes]
    if fit.layout.ordered:
        rows.append(Row("Ordered", (", ".join(fit.layout.ordered),)))
    for option, (name, usual) in ALSO.items():
        value = fit.options.get(option, usual)
        if value is not None and value != usual:
            listed = ", ".join(value) if isinstance(value, tuple) else str(value)
            rows.append(Row(name, ({"True": "yes", "False": "no"}.get(listed, listed),)))
    return Block("", ("",), rows, words=True)


def _problems(problems: pd.DataFrame) -> list[Block]:
    """Return the problems, the worst first; none: no block."""
    if not len(problems):
        return []
    rows = [
        Row(row.severity, (f"{row.what}: {row.where}" if row.where else row.what, row.next_step))
        for row in problems.itertuples()
    ]
    return [Block("Problems", ("", ""), rows, words=True)]


# ---- fit measures --------------------------------------------------------------------------------


def _measures(measures: pd.DataFrame, decimals: int) -> Block:
    """Return test, baseline and fit measures, in the columns that hold a number."""
    table = measures.set_index("measure")
    known = [c for c in ("standard", "scaled", "robust") if c in table and table[c].notna().any()]
    rows = []
    for part, name, measure, form in MEASURES:
        if measure not in table.index or table.loc[measure, known].isna().all():
            continue
        how = partial(number, decimals=decimals) if form is number else form
        cells = tuple(how(value) for value in table.loc[measure, known])
        rows.append(Row(name, cells, part))
    return Block("Test and fit", tuple(name.capitalize() for name in known), rows)


# ---- estimates -----------------------------------------------------------------------------------


def _heading(fit: Fit, g: int) -> str:
    return f"Group {fit.groups[g]} (n = {fit.group_sizes[g]})" if fit.group else ""


def _group(shown: _Shown, g: int) -> Iterator[Block]:
    """Yield the blocks of estimates of a group, and its explained variances."""
    table = shown.fit.layout.table
    label = shown.fit.groups[g]
    mine = ((table["group"] == label) & ~table["exogenous"].astype(bool)).to_numpy()
    estimates = shown.tables["estimates"][mine]
    section = _section(estimates)
    dependent = _dependent(estimates)
    for place, title in enumerate(SECTIONS):
        rows = [_row(shown, row, dependent) for row in estimates[section == place].itertuples()]
        if rows:
            yield Block(title, tuple(shown.columns.values()), _by_part(rows))
    shares = shown.tables["r_squared"]
    shares = shares[shares["group"] == label]
    if len(shares):
        named = zip(shares["variable"], shares["r_squared"], strict=True)
        rows = [Row(name, (number(share, shown.decimals),)) for name, share in named]
        yield Block("R-square", ("Estimate",), rows)


def _section(estimates: pd.DataFrame) -> pd.Series:
    """Return the place in `SECTIONS` of each row."""
    own = estimates["lhs"] == estimates["rhs"]
    return estimates["op"].map(SECTION).fillna(own.map({True: 5, False: 2})).astype(int)


def _dependent(estimates: pd.DataFrame) -> set[str]:
    """Return the variables whose (co)variances and intercepts are residual: marked by a dot."""
    op = estimates["op"]
    return {*estimates["rhs"][op == "=~"], *estimates["lhs"][op == "~"]}


def _row(shown: _Shown, row: Any, dependent: set[str]) -> Row:
    """Return a row as it is shown: under its left-hand side, with its label."""
    own = row.op in ("~1", "~*~") or row.lhs == row.rhs
    left, right = (
        f".{name}" if row.op in ("~~", "~1") and name in dependent else name
        for name in (row.lhs, row.lhs if own else row.rhs)
    )
    label = f" ({row.label})" if row.label else ""
    return Row(right + label, shown.cells(row), "" if own else f"{left} {row.op}")


def _by_part(rows: list[Row]) -> list[Row]:
    """Return rows with those of one part together, parts in the order of their first row."""
    order = list(dict.fromkeys(row.part for row in rows))
    return sorted(rows, key=lambda row: order.index(row.part))


def _whole(shown: _Shown) -> Iterator[Block]:
    """Yield what is of no group: defined effects and constraints."""
    defined = shown.tables["defined"]
    if len(defined):
        rows = [Row(row.name, shown.cells(row)) for row in defined.itertuples(index=False)]
        yield Block("Defined", tuple(shown.columns.values()), rows)
    constraints = getattr(shown.fit.layout, "constraints", ())
    if constraints:
        yield Block("Constraints", ("",), [Row(c.text) for c in constraints], words=True)


# ---- the whole -----------------------------------------------------------------------------------


def _text(fit: Fit, blocks: Parts) -> str:
    parts = ["\n".join(wrap(fit.message, LINE))]
    for heading, group in blocks:
        parts += [f"{heading}\n{'-' * len(heading)}"] if heading else []
        parts += [block_text(block) for block in group]
    return "\n\n".join(parts)


def _html(fit: Fit, blocks: Parts) -> str:
    worst = next(iter(fit.problems["severity"]), "note")
    parts = [f'<p class="{escape(worst)}"><strong>{escape(fit.message)}</strong></p>']
    for heading, group in blocks:
        parts += [f'<p class="group">{escape(heading)}</p>'] if heading else []
        parts += [block_html(block) for block in group]
    return f'<style>{STYLE}</style><div class="semfit-fit">{"".join(parts)}</div>'
