"""What was published about a wave, against what the responses give.

One row of a file of published numbers is one claim: a statistic of some variables, and what was
printed about it. The columns are

id           a name that no other claim has
figure       number of the figure in the publication; empty: none
statistic    n_rows, n_answering, n_items, percent, percent_of_rows, min_percent, max_percent, mean,
             scale_mean, alpha, max_gap: see `STATISTICS`
variables    names, joined by |; for max_gap pairs joined as first>second
codes        the answers that are counted, joined by |; for the percentages
filter       a pandas query that says of whom, such as `user == 1`; empty: of all
among        what the order is taken over: codes of the variable, or other variables; for largest,
             smallest, rank and top
comparator   how the printed `value` is to be read: see `COMPARATORS`
value        the printed number; for between the lower end
value_high   for between: the upper end
than         ids of other claims whose computed values must be exceeded (greater) or undercut
             (less), instead of a `value`
decimals     printed decimals, for equals
place        where it stands in the publication
reading      how an open wording was read
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from semfit.reliability import cronbach_alpha

COLUMNS = (
    "id figure statistic variables codes filter among comparator value value_high than decimals "
    "place reading"
).split()
COMPARATORS = {
    "equals": "the same after rounding to the printed decimals",
    "greater": "more than the value, or than each claim under `than`",
    "less": "less than the value, or than each claim under `than`",
    "between": "more than value and less than value_high",
    "largest": "first in the order, from high to low",
    "smallest": "last in the order",
    "rank": "place in the order, from high to low",
    "top": "all variables stand among the first `value` of the order",
}
Found = tuple[float, int]  # a statistic, and the number of respondents behind it
ORDERINGS = ("largest", "smallest", "rank", "top")
OF_CODES = ("percent", "percent_of_rows", "min_percent", "max_percent")  # they count `codes`
OF_ONE = ("percent", "percent_of_rows", "mean")  # of one variable


# --- reading -------------------------------------------------------------------------------------


def read(path: Path) -> DataFrame:
    """The claims of one wave, checked.

    Returns
    -------
    DataFrame
        One row per claim: the columns of the file; `value`, `value_high` and `decimals` are
        numbers, NaN where empty.

    Raises
    ------
    ValueError
        With every fault of the file: missing columns, a row with too few or too many fields, an id
        that stands twice, an unknown statistic or comparator, a claim without the value that its
        comparator needs or the variables and codes that its statistic needs, a value that is not a
        number.
    """
    claims = _table(path)
    faults = []
    for column in ("value", "value_high", "decimals"):
        numbers = pd.to_numeric(claims[column].replace("", np.nan), errors="coerce")
        for line in claims.index[numbers.isna() & (claims[column] != "")]:
            text = claims.at[line, column]
            faults.append((line, f"{column} is {text!r}, which is not a number"))
        claims[column] = numbers
    for line, claim in claims.iterrows():
        found = [*_statistic_faults(claim), *_comparator_faults(claim), *_id_faults(claim, claims)]
        faults += [(line, fault) for fault in found]
    if faults:
        lines = [
            f"{path}:{line}: {claims.at[line, 'id'] or '(no id)'}: {fault}"
            for line, fault in sorted(faults)
        ]
        raise ValueError("\n".join([f"{path.name} has {len(faults)} fault(s):", *lines]))
    return claims[list(COLUMNS)].reset_index(drop=True)


def read_register(path: Path) -> DataFrame:
    """The register that notebook 05 wrote, as `compare` gave it."""
    table = pd.read_csv(path, dtype=dict.fromkeys(COLUMNS, str), keep_default_na=False)
    numbers = ["value", "value_high", "decimals", "computed", "n", "lower", "upper", "difference"]
    return table.assign(**{k: pd.to_numeric(table[k].replace("", np.nan)) for k in numbers})


def _table(path: Path) -> DataFrame:
    """The file as text; index: the line in the file.

    The csv module tells a row with a field too few or too many, which `pandas.read_csv` fills up.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="(too many)", strict=True)
            header = reader.fieldnames or []
            numbered = [(reader.line_num, row) for row in reader]
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist: this wave has no published numbers.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a table in UTF-8: {error}") from error
    absent = [c for c in COLUMNS if c not in header]
    if absent:
        what = f"{path} lacks the column(s) {', '.join(absent)}"
        raise ValueError(f"{what}; it needs {', '.join(COLUMNS)}.")
    if not numbered:
        raise ValueError(f"{path} holds no claim.")
    ragged = [str(n) for n, row in numbered if None in row.values() or "(too many)" in row]
    if ragged:
        where = f"{path}: on line(s) {', '.join(ragged)} there are more or fewer fields"
        hint = "A text with a comma in it stands between quotation marks."
        raise ValueError(f"{where} than column names. {hint}")
    lines, rows = zip(*numbered, strict=True)
    return pd.DataFrame(rows, index=lines, dtype=str)


def _statistic_faults(claim: Series) -> list[str]:
    """What is wrong with the statistic, its variables and its codes."""
    statistic, order = claim["statistic"], claim["comparator"] in ORDERINGS
    variables, codes = split(claim["variables"]), split(claim["codes"])
    if statistic not in STATISTICS:
        return [f"unknown statistic {statistic!r}; use one of {', '.join(STATISTICS)}"]
    found = []
    if statistic != "n_rows" and not variables:
        found.append(f"{statistic} needs variables")
    if statistic in OF_ONE and len(variables) > 1 and not order:
        found.append(f"{statistic} is of one variable; there are {len(variables)}")
    if statistic in OF_CODES and not codes:
        found.append(f"{statistic} needs the codes that are counted")
    found += [f"the code {code!r} is not a whole number" for code in codes if not _is_code(code)]
    if statistic == "max_gap" and any(pair.count(">") != 1 for pair in variables):
        found.append("max_gap needs pairs of variables, joined as first>second")
    if order:
        among = split(claim["among"])
        chosen = codes if all(map(_is_code, among)) else variables
        outside = [unit for unit in chosen if unit not in among]
        if not among:
            found.append(f"{claim['comparator']} needs what the order is taken over (among)")
        elif outside:
            found.append(f"among lacks {', '.join(outside)}, of which the claim is")
    return found


def _comparator_faults(claim: Series) -> list[str]:
    """What is wrong with the comparator and the numbers that it needs."""
    comparator, value = claim["comparator"], claim["value"]
    if comparator not in COMPARATORS:
        return [f"unknown comparator {comparator!r}; use one of {', '.join(COMPARATORS)}"]
    found = []
    if comparator in ("equals", "rank", "top") and np.isnan(value):
        found.append(f"{comparator} needs a value")
    if comparator == "equals" and np.isnan(claim["decimals"]):
        found.append("equals needs the number of printed decimals")
    if comparator == "between" and not value < claim["value_high"]:
        found.append("between needs a value and a larger value_high")
    if comparator in ("greater", "less") and np.isnan(value) == (claim["than"] == ""):
        found.append(f"{comparator} needs either a value or ids under than")
    return found


def _id_faults(claim: Series, claims: DataFrame) -> list[str]:
    """What is wrong with the id, and with the ids of other claims."""
    found = []
    if claim["id"] == "" or (claims["id"] == claim["id"]).sum() > 1:
        found.append("the id must be there, and be used once")
    unknown = [i for i in split(claim["than"]) if i not in set(claims["id"])]
    return found + [f"than names the unknown claim {i!r}" for i in unknown]


# --- comparing -----------------------------------------------------------------------------------


def compare(claims: DataFrame, responses: DataFrame) -> DataFrame:
    """Every claim against the responses.

    Parameters
    ----------
    claims : DataFrame
        As `read` gives them.
    responses : DataFrame
        One row per respondent, one numeric column per variable, NaN where there is no answer.

    Returns
    -------
    DataFrame
        The claims, in their order, with `computed` (the statistic; for an order the place), `n`
        (respondents behind it), `lower` and `upper` (what `computed` had to lie in), `difference`
        (computed - value, where one number was printed) and `holds` (bool; never where `computed`
        is NaN).

    Raises
    ------
    ValueError
        A claim names a variable that is not there or a filter that cannot be read; names it.
    """
    rows = []
    computed: dict[str, float] = {}
    for _, claim in claims.iterrows():
        try:
            value, n = _compute(claim, responses)
        except (KeyError, SyntaxError, pd.errors.UndefinedVariableError, ValueError) as error:
            what = f"The published claim {claim['id']!r} cannot be computed"
            raise ValueError(f"{what}: {error}") from error
        computed[claim["id"]] = value
        rows.append({**claim, "computed": value, "n": n})
    register = pd.DataFrame(rows)
    accepted = [limits(claim, computed) for _, claim in register.iterrows()]
    lower, upper, closed = map(np.array, zip(*accepted, strict=True))
    printed = register["comparator"].isin(["equals", "rank"])
    difference = (register["computed"] - register["value"]).where(printed)
    # both ends of a closed range belong to it: 61.5 may be printed as 62 or as 61
    slack = np.where(closed, 1e-9, -1e-9)
    # NaN lies in nothing: a claim that cannot be computed does not hold
    holds = register["computed"].between(lower - slack, upper + slack)
    return register.assign(lower=lower, upper=upper, difference=difference, holds=holds)


def _compute(claim: Series, responses: DataFrame) -> tuple[float, int]:
    """The statistic of a claim, or its place in the order, and the respondents behind it."""
    rows = responses.query(claim["filter"]) if claim["filter"] else responses
    variables, codes = split(claim["variables"]), [float(c) for c in split(claim["codes"])]
    statistic = STATISTICS[claim["statistic"]]
    if claim["comparator"] not in ORDERINGS:
        return statistic(rows, variables, codes)
    among = split(claim["among"])
    if all(map(_is_code, among)):  # the order of the codes of one variable
        scores = {unit: statistic(rows, variables, [float(unit)])[0] for unit in among}
        chosen = split(claim["codes"])
    else:
        scores = {unit: statistic(rows, [unit], codes)[0] for unit in among}
        chosen = variables
    n = statistic(rows, variables[:1], codes)[1]
    return _place(scores, chosen, from_below=claim["comparator"] == "smallest"), n


def _place(scores: dict[str, float], chosen: list[str], from_below: bool) -> float:
    """Place of the worst placed of `chosen`; NaN if one of the scores is.

    Equal scores count against `chosen`, so that a tie is never a first place.
    """
    if any(np.isnan(score) for score in scores.values()):
        return np.nan
    sign = -1 if from_below else 1
    others = {unit: sign * score for unit, score in scores.items() if unit not in chosen}
    worst = min(sign * scores[unit] for unit in chosen)
    return float(len(chosen) + sum(score >= worst for score in others.values()))


def limits(claim: Series, computed: dict[str, float]) -> tuple[float, float, bool]:
    """What the computed value had to lie in: lower, upper, and do the ends belong to it?"""
    value, comparator = claim["value"], claim["comparator"]
    if comparator == "equals":
        half = 0.5 * 10.0 ** -claim["decimals"]
        return value - half, value + half, True
    if comparator == "between":
        return value, claim["value_high"], False
    than = [computed[i] for i in split(claim["than"])] or [value]
    if comparator == "greater":
        return float(np.max(than)), np.inf, False
    if comparator == "less":
        return -np.inf, float(np.min(than)), False
    if comparator == "top":
        return 1.0, value, True
    place = value if comparator == "rank" else 1.0
    return place, place, True


def split(joined: str) -> list[str]:
    """The names or codes of one cell, which stand between bars."""
    return joined.split("|") if joined else []


def _is_code(text: str) -> bool:
    return text.removeprefix("-").isdigit()


# --- statistics: (rows, variables, codes) -> (value, n) ----------------------------------------


def _n_rows(rows: DataFrame, variables: list[str], codes: list[float]) -> Found:
    """Respondents."""
    return float(len(rows)), len(rows)


def _n_answering(rows: DataFrame, variables: list[str], codes: list[float]) -> Found:
    """Respondents with an answer on at least one of the variables."""
    n = int(rows[variables].notna().any(axis=1).sum())
    return float(n), n


def _n_items(rows: DataFrame, variables: list[str], codes: list[float]) -> Found:
    """Variables that have answers."""
    return float(rows[variables].notna().any().sum()), len(rows)


def _percent(rows: DataFrame, variables: list[str], codes: list[float]) -> Found:
    """Per cent of the answers on one variable that have one of the codes."""
    valid = rows[variables[0]].dropna()
    return (100.0 * valid.isin(codes).mean() if len(valid) else np.nan), len(valid)


def _percent_of_rows(rows: DataFrame, variables: list[str], codes: list[float]) -> Found:
    """Per cent of all respondents, whether they were asked or not."""
    return (100.0 * rows[variables[0]].isin(codes).mean() if len(rows) else np.nan), len(rows)


def _min_percent(rows: DataFrame, variables: list[str], codes: list[float]) -> Found:
    """The smallest of the percentages of the variables; NaN if one of them is."""
    return _extreme(rows, variables, codes, np.argmin)


def _max_percent(rows: DataFrame, variables: list[str], codes: list[float]) -> Found:
    """The largest of the percentages of the variables; NaN if one of them is."""
    return _extreme(rows, variables, codes, np.argmax)


def _extreme(rows: DataFrame, variables: list[str], codes: list[float], which: Callable) -> Found:
    shares = [_percent(rows, [variable], codes) for variable in variables]
    return shares[which([share for share, _ in shares])]  # argmin and argmax find a NaN first


def _mean(rows: DataFrame, variables: list[str], codes: list[float]) -> Found:
    """Mean of the answers on one variable."""
    valid = rows[variables[0]].dropna()
    return (float(valid.mean()) if len(valid) else np.nan), len(valid)


def _scale_mean(rows: DataFrame, variables: list[str], codes: list[float]) -> Found:
    """Mean of the scores: means of the answered items of those who answered half of them."""
    enough = rows[variables].notna().mean(axis=1) >= 0.5
    scores = rows.loc[enough, variables].mean(axis=1)
    return (float(scores.mean()) if len(scores) else np.nan), len(scores)


def _alpha(rows: DataFrame, variables: list[str], codes: list[float]) -> Found:
    """Cronbach's alpha (raw) of those who answered every item."""
    alpha = cronbach_alpha(rows[variables])
    return float(alpha.alpha), int(alpha.n_used)


def _max_gap(rows: DataFrame, variables: list[str], codes: list[float]) -> Found:
    """Largest of the mean differences, second minus first of a pair, of those who answered both."""
    gaps = []
    for pair in variables:
        first, second = pair.split(">")
        both = rows[[first, second]].dropna()
        gap = float((both[second] - both[first]).mean()) if len(both) else np.nan
        gaps.append((gap, len(both)))
    unknown = [pair for pair in gaps if np.isnan(pair[0])]
    return unknown[0] if unknown else max(gaps)


STATISTICS: dict[str, Callable[[DataFrame, list[str], list[float]], Found]] = {
    "n_rows": _n_rows,
    "n_answering": _n_answering,
    "n_items": _n_items,
    "percent": _percent,
    "percent_of_rows": _percent_of_rows,
    "min_percent": _min_percent,
    "max_percent": _max_percent,
    "mean": _mean,
    "scale_mean": _scale_mean,
    "alpha": _alpha,
    "max_gap": _max_gap,
}
