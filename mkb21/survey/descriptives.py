"""What a result of the analysis shows: tidy tables, from the answers of a sample.

The statistics are those of `semfit.reliability`; the tests compare them with R. What cannot be
shown is left out and named, with the reason: a code under `absent` in words.yaml.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pandas import DataFrame
from statsmodels.stats.multitest import multipletests

from mkb21.survey.analysis import Analysis, Indicator, Indicators, Result
from semfit import reliability

LeftOut = list[tuple[str, list[str]]]  # reason, and the variables that it is about; []: everything
BINS = 5  # of a histogram, at least
QUANTILES = {"min": 0, "q1": 0.25, "median": 0.5, "q3": 0.75, "max": 1}


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
        return (
            self.shown[self.shown["variable"].isin(self.items)]
            if "mean" in self.shown
            else self.drawn
        )

    @property
    def shown(self) -> DataFrame:
        """Rows of the table below the figure."""
        return list(self.files.values())[-1]


# --- one result ----------------------------------------------------------------------------------


def tables_of(result: Result, analysis: Analysis, rows: DataFrame, missing: DataFrame) -> Tables:
    """The tables of a result.

    Parameters
    ----------
    result : Result
        Of an analysis that `load_analysis` made: with its kind.
    analysis : Analysis
    rows : DataFrame, respondents x variables
        The sample of the result.
    missing : DataFrame
        Why an answer is missing, by the index of `rows`.

    Returns
    -------
    Tables
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
    match result.kind:
        case "bars":
            files = {"": _bars(rows, items, also, analysis)}
        case "stacked":
            files = {"": reliability.distributions(rows, items, analysis.answers(items[0]))}
            if result.table:
                make = _shares if result.table == "shares" else _means
                files[f"_{result.table}"] = make(rows, items, also, result.shares, analysis)
        case "means":
            files = {"": _means(rows, items, also, result.shares, analysis)}
        case _:
            files = {"": _bins(rows, items), "_means": _spread(rows, [*items, *also])}
    return Tables(items, files, left_out)


def _usable(rows: DataFrame, names: Iterable[str], least: int) -> tuple[list[str], LeftOut]:
    """The variables with enough answers; the others with the reason."""
    n = {name: int(rows[name].notna().sum()) for name in names}
    lost = {
        "unanswered": [name for name in n if not n[name]],
        "few": [name for name in n if 0 < n[name] < least],
    }
    left_out = [(why, found) for why, found in lost.items() if found]
    return [name for name in n if n[name] >= least], left_out


def _bars(rows: DataFrame, items: list[str], also: list[str], analysis: Analysis) -> DataFrame:
    """Frequencies of one question, or the share that chose each option."""
    block = analysis.questions.blocks.get(analysis.questions.block_of.get(items[0], ""))
    if block and block.multiple and len(items) > 1:
        return reliability.multiple_response(rows, [*items, *also])
    if len(items) > 1:
        return reliability.shares(rows, [*items, *also], [1])
    parts = [reliability.frequencies(rows, n, analysis.answers(n)) for n in (*items, *also)]
    return pd.concat(parts, ignore_index=True)


def _shares(
    rows: DataFrame, items: list[str], also: list[str], names: list[str], analysis: Analysis
) -> DataFrame:
    """Shares one below the other; `group` has their names."""
    parts = []
    for name in names:
        codes = analysis.share(items[0], name).codes
        parts.append(reliability.shares(rows, [*items, *also], codes).assign(group=name))
    return pd.concat(parts, ignore_index=True)


def _means(
    rows: DataFrame, items: list[str], also: list[str], names: list[str], analysis: Analysis
) -> DataFrame:
    """Means, with shares of the items in columns `percent_<name>`."""
    with warnings.catch_warnings():  # of a constant: its table shows sd 0 and no interval
        warnings.simplefilter("ignore", UserWarning)
        table = reliability.means(rows, [*items, *also])
    for name in names:
        shares = _shares(rows, items, [], [name], analysis).set_index("variable")
        table[f"percent_{name}"] = table["variable"].map(shares["percent"])
    return table


def _gaps(rows: DataFrame, pairs: list[tuple[str, str]]) -> Tables:
    """Differences within respondents, of the pairs that have them."""
    usable: list[tuple[str, str]] = []
    lost: dict[str, list[str]] = {"few": [], "same_gap": []}
    for first, second in pairs:
        gap = (rows[second] - rows[first]).dropna()
        if len(gap) > 1 and not np.isclose(gap.std(), 0, atol=1e-12):
            usable.append((first, second))
        else:
            lost["same_gap" if len(gap) > 1 else "few"].append(first)
    files = {"": reliability.paired_gaps(rows, usable)} if usable else {}
    return Tables([a for a, _ in usable], files, [(w, found) for w, found in lost.items() if found])


def _bins(rows: DataFrame, items: list[str]) -> DataFrame:
    """How many numbers lie from `low` up to `high`: bins of 1, 2 or 5 times a power of ten."""
    parts = []
    for item in items:
        numbers = rows[item].dropna().to_numpy(dtype=float)
        count = max(BINS, int(np.ceil(np.log2(len(numbers)))) + 1)  # Sturges
        whole = bool((numbers % 1 == 0).all())
        step = _step(np.ptp(numbers) / count, whole)
        start = np.floor(numbers.min() / step + 1e-9)
        edges = step * (start + np.arange(np.floor(numbers.max() / step + 1e-9) - start + 2))
        n = np.histogram(numbers, edges)[0]
        edges = edges - 0.5 if whole and step == 1 else edges  # a bar stands around its number
        part = {"variable": item, "low": edges[:-1], "high": edges[1:], "n": n}
        parts.append(DataFrame(part | {"n_valid": len(numbers), "percent": 100 * n / n.sum()}))
    return pd.concat(parts, ignore_index=True)


def _step(least: float, whole: bool) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least so much."""
    least = max(least, 1) if whole or not least else least
    power = 10.0 ** np.floor(np.log10(least))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= least * (1 - 1e-9))


def _spread(rows: DataFrame, items: list[str]) -> DataFrame:
    """Means of numbers, with their range and quartiles (R's type 7)."""
    table = _means(rows, items, [], [], None).set_index("variable")  # type: ignore[arg-type]
    quantiles = rows[items].astype(float).quantile(list(QUANTILES.values())).T
    return table.assign(**quantiles.set_axis(list(QUANTILES), axis=1)).reset_index()


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

    Returns
    -------
    DataFrame
        indicator (the name of its row), variable ("difference" of a contrast), n (valid answers),
        estimate (per cent, or points of the scale), ci_low, ci_high.
    """
    parts = []
    for name, spec in table.rows.items():
        part = _indicator(spec, analysis, sample(spec.sample), missing)
        parts.append(part.assign(indicator=name))
    columns = ["indicator", "variable", "n", "estimate", "ci_low", "ci_high"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else DataFrame(columns=columns)


def _indicator(
    spec: Indicator, analysis: Analysis, rows: DataFrame, missing: DataFrame
) -> DataFrame:
    if spec.contrast:
        sides = dict(analysis.contrasts[spec.contrast])
        score = {side: _mean_of_half(rows[items]) for side, items in sides.items()}
        found = _gaps(DataFrame(score), [("other", "interactive")]).files.get("", DataFrame())
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


def _mean_of_half(answers: DataFrame) -> pd.Series:
    """The mean of the answers of who gave half of them or more."""
    return answers.mean(axis=1).where(2 * answers.notna().sum(axis=1) >= answers.shape[1])


def compared(
    rows: DataFrame, outcomes: Iterable[str], groups: Iterable[str], shares: bool = False
) -> tuple[DataFrame, LeftOut]:
    """Means, or shares of what is 1 or 0, in the two groups of each trait; Holm over the table.

    Returns
    -------
    DataFrame
        As `semfit.reliability.compare_means`, or `compare_shares`; empty where nothing is left.
    list of (reason, variables)
        What could not be compared: a trait, or a trait and outcomes.
    """
    function, least = (reliability.compare_shares, 1) if shares else (reliability.compare_means, 2)
    parts, left_out = [], []
    for group in groups:
        lost: dict[str, list[str]] = {}
        levels = rows[group].dropna().unique()
        if len(levels) != 2:
            left_out.append(("single_group" if len(levels) < 2 else "many_groups", [group]))
            continue
        for outcome in outcomes:
            answers = rows[[outcome, group]].dropna().groupby(group)[outcome]
            if outcome == group:
                continue
            if (answers.count().reindex(levels, fill_value=0) < least).any():
                lost.setdefault("few_in_group", []).append(outcome)
            elif shares and not rows[outcome].dropna().isin([0, 1]).all():
                lost.setdefault("not_binary", []).append(outcome)
            elif not shares and (answers.nunique() == 1).all():
                lost.setdefault("same", []).append(outcome)
            else:
                parts.append(function(rows, [outcome], group))
        left_out += [(why, [group, *names]) for why, names in lost.items()]
    if not parts:
        return DataFrame(), left_out
    table = pd.concat(parts, ignore_index=True)
    return table.assign(p_holm=multipletests(table["p"], method="holm")[1]), left_out
