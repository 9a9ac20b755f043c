"""What a result of the analysis shows: tidy tables, from the answers of a sample.

The statistics are those of `semfit.reliability`; the tests compare them with R. What cannot be
shown is left out and named, with the reason: a code under `absent` in words.yaml.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pandas as pd
from pandas import DataFrame

from mkb21.survey.analysis import Analysis, Indicator, Indicators, Result
from semfit import reliability
from semfit.reliability.columns import LeftOut


@dataclass
class Tables:
    """Of one result: what is drawn, what stands below the figure, and what could not be shown.

    files: end of the file name -> table. The first holds what is drawn, the rows of `items`; the
    last is what a reader sees. Without files there is nothing to show.
    """

    items: list[str]
    files: dict[str, DataFrame] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=list)

    @property
    def drawn(self) -> DataFrame:
        """Rows of the figure."""
        table = next(iter(self.files.values()))
        return table[table["variable"].isin(self.items)] if "variable" in table else table

    @property
    def said(self) -> DataFrame:
        """Rows that the alternative text of the figure tells: the first share, or the means."""
        if "group" in self.shown:
            return self.shown[self.shown["group"] == self.shown["group"].iloc[0]]
        means = "mean" in self.shown
        return self.shown[self.shown["variable"].isin(self.items)] if means else self.drawn

    @property
    def shown(self) -> DataFrame:
        """Rows of the table below the figure."""
        return list(self.files.values())[-1]


# --- one result ----------------------------------------------------------------------------------


def tables_of(result: Result, analysis: Analysis, rows: DataFrame, missing: DataFrame) -> Tables:
    """The tables of a result of `load_analysis`, which knows its kind.

    rows: respondents x variables, of its sample. missing: why an answer is, by the index of `rows`.
    """
    items = result.items
    if not len(rows):
        return Tables(items, left_out=[("nobody", [])])
    if result.kind == "answers":
        return _answered(rows, items, missing)
    if result.kind == "gaps":
        return _gaps(rows, [pair for pair in analysis.pairs if pair[0] in items])
    least = 1 if result.kind == "bars" or result.table == "shares" else 2
    (items, left_out), (also, _) = (_usable(rows, n, least) for n in (items, result.also))
    if not items:
        return Tables(items, left_out=left_out)
    both, files = [*items, *also], {}
    match result.kind:
        case "bars":
            files[""] = _bars(rows, items, both, analysis)
        case "means":
            files[""] = _means(rows, items, both, result.shares, analysis)
        case "histogram":
            files[""] = reliability.histogram(rows, items)
            files["_means"] = _of_numbers(reliability.number_summary, rows, both)
        case _:
            files[""] = reliability.distributions(rows, items, analysis.answers(items[0]))
    if result.kind == "stacked" and result.table == "shares":
        files["_shares"] = _shares(rows, both, result.shares, analysis)
    elif result.kind == "stacked" and result.table:
        files["_means"] = _means(rows, items, both, result.shares, analysis)
    return Tables(items, files, left_out)


def _usable(rows: DataFrame, names: Iterable[str], least: int) -> tuple[list[str], LeftOut]:
    """The variables with enough answers; the others with the reason."""
    n = rows[[*names]].notna().sum()
    lost = {"unanswered": n.index[n == 0], "few": n.index[(n > 0) & (n < least)]}
    left_out = [(why, [*found]) for why, found in lost.items() if len(found)]
    return [*n.index[n >= least]], left_out


def _bars(rows: DataFrame, items: list[str], both: list[str], analysis: Analysis) -> DataFrame:
    """Frequencies of one question, or the share that chose each option."""
    block = analysis.questions.blocks.get(analysis.questions.block_of.get(items[0], ""))
    if block and block.multiple and len(items) > 1:
        return reliability.multiple_response(rows, both)
    if len(items) > 1:
        return reliability.shares(rows, both, [1])
    return pd.concat(
        [reliability.frequencies(rows, name, analysis.answers(name)) for name in both],
        ignore_index=True,
    )


def _shares(
    rows: DataFrame, variables: list[str], names: list[str], analysis: Analysis
) -> DataFrame:
    """Shares one below the other; `group` has their names."""
    codes = {name: analysis.share(variables[0], name).codes for name in names}
    parts = [reliability.shares(rows, variables, codes[name]).assign(group=name) for name in names]
    return pd.concat(parts, ignore_index=True)


def _means(
    rows: DataFrame, items: list[str], both: list[str], names: list[str], analysis: Analysis
) -> DataFrame:
    """Means, with shares of the items in columns `percent_<name>`."""
    table = _of_numbers(reliability.means, rows, both)
    for name in names:
        shares = _shares(rows, items, [name], analysis).set_index("variable")["percent"]
        table[f"percent_{name}"] = table["variable"].map(shares)
    return table


def _of_numbers(function: Callable[..., DataFrame], rows: DataFrame, names: list[str]) -> DataFrame:
    with warnings.catch_warnings():  # of a constant: its table shows sd 0 and no interval
        warnings.simplefilter("ignore", UserWarning)
        return function(rows, names)


def _gaps(rows: DataFrame, pairs: list[tuple[str, str]]) -> Tables:
    """Differences within respondents, of the pairs that have them."""
    usable, left_out = reliability.usable_pairs(rows, pairs)
    files = {"": reliability.paired_gaps(rows, usable)} if usable else {}
    return Tables([first for first, _ in usable], files, left_out)


def _answered(rows: DataFrame, items: list[str], missing: DataFrame) -> Tables:
    """How many of those who were asked gave an answer, whatever it was."""
    reasons = missing.loc[rows.index, items]
    answered = (reasons == "").astype(float).where(reasons != "not_asked")
    items = [item for item in items if answered[item].notna().any()]
    if not items:
        return Tables(items, left_out=[("nobody", [])])
    table = reliability.shares(answered, items, [1]).rename(columns={"n_valid": "n_asked"})
    return Tables(items, {"": table})


# --- indicators and comparisons ------------------------------------------------------------------


def indicators(
    table: Indicators,
    analysis: Analysis,
    sample: Callable[[str], DataFrame],
    missing: DataFrame,
) -> DataFrame:
    """The rows of a table of indicators, one below the other.

    Gives indicator (the name of its row), variable ("difference" of a contrast), n (valid answers),
    estimate (per cent, or points of the scale), ci_low, ci_high.
    """
    parts = [
        _indicator(spec, analysis, sample(spec.sample), missing).assign(indicator=name)
        for name, spec in table.rows.items()
    ]
    columns = ["indicator", "variable", "n", "estimate", "ci_low", "ci_high"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else DataFrame(columns=columns)


def _indicator(
    spec: Indicator, analysis: Analysis, rows: DataFrame, missing: DataFrame
) -> DataFrame:
    if spec.contrast:
        sides = dict(analysis.contrasts[spec.contrast])
        scores = {}
        for side, items in sides.items():  # the mean of who answered half of them or more
            half = 2 * rows[items].notna().sum(axis=1) >= len(items)
            scores[side] = rows[items].mean(axis=1).where(half)
        found = _gaps(DataFrame(scores), [("other", "interactive")]).files.get("", DataFrame())
        return found.assign(variable="difference").rename(columns={"difference": "estimate"})
    items, _ = _usable(rows, spec.items, 1)
    if not items:
        return DataFrame()
    codes = spec.codes or analysis.share(items[0], spec.share or "").codes
    answers = rows[items].astype(float)
    if spec.everyone:  # who was not asked did not choose any of the codes
        answers = answers.mask(missing.loc[rows.index, items] == "not_asked", min(codes) - 1)
    found = reliability.shares(answers, items, codes).drop(columns="n")
    found = found.rename(columns={"percent": "estimate", "n_valid": "n"})
    return found if spec.top is None else found.nlargest(spec.top, "estimate")
