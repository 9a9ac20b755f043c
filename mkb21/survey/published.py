"""What was published about a wave, against what the responses give.

One row of a file of published numbers is one claim: a statistic of some variables, and what was
printed about it. The columns are

id           a name that no other claim has
figure       number of the figure in the publication; empty: none
statistic    see `STATISTICS`
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
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from semfit.reliability import cronbach_alpha

COLUMNS = (
    "id figure statistic variables codes filter among comparator value value_high than decimals "
    "place reading"
).split()
NUMBERS = ["value", "value_high", "decimals"]
STATISTICS = {
    "n_rows": "respondents",
    "n_answering": "respondents with an answer on at least one of the variables",
    "n_items": "variables that have answers",
    "percent": "per cent of the answers on one variable that have one of the codes",
    "percent_of_rows": "the same of all respondents, whether they were asked or not",
    "min_percent": "the smallest percent of the variables; NaN if one of them is",
    "max_percent": "the largest percent of the variables; NaN if one of them is",
    "mean": "of the answers on one variable",
    "scale_mean": "mean over those who answered half of the items of the mean of what they answered",
    "alpha": "Cronbach's alpha (raw) of those who answered every item",
    "max_gap": "largest mean difference, second minus first of a pair, of those who answered both",
}
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
        With every fault of the file: missing columns, a row with too few or too many fields, and
        what is wrong with each claim (`_faults`).
    """
    claims = _table(path)
    text = claims[NUMBERS].replace("", np.nan)
    claims[NUMBERS] = text.apply(pd.to_numeric, errors="coerce")
    faults = []
    for line, claim in claims.iterrows():
        wrong = text.loc[line][claim[NUMBERS].isna() & text.loc[line].notna()]
        found = [f"{column} is {value!r}, which is not a number" for column, value in wrong.items()]
        found += _faults(claim, claims["id"].tolist())
        faults += [f"{path}:{line}: {claim['id'] or '(no id)'}: {fault}" for fault in found]
    if faults:
        raise ValueError("\n".join([f"{path.name} has {len(faults)} fault(s):", *faults]))
    return claims[COLUMNS].reset_index(drop=True)


def read_register(path: Path) -> DataFrame:
    """The register that notebook 05 wrote, as `compare` gave it."""
    table = pd.read_csv(path, dtype=dict.fromkeys(COLUMNS, str), keep_default_na=False)
    numbers = [*NUMBERS, "computed", "n", "lower", "upper", "difference"]
    return table.assign(**{k: pd.to_numeric(table[k].replace("", np.nan)) for k in numbers})


def _table(path: Path) -> DataFrame:
    """The file as text; index: the line in it."""
    try:  # pandas.read_csv would fill up a row with a field too few
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


def _faults(claim: Series, ids: list[str]) -> list[str]:
    """What is wrong with one claim, where `ids` are those of all."""
    statistic, comparator, value = claim["statistic"], claim["comparator"], claim["value"]
    variables, codes, than, among = (split(claim[c]) for c in "variables codes than among".split())
    order, blank, known = comparator in ORDERINGS, np.isnan(value), ", ".join
    units = codes if all(map(_is_code, among)) else variables
    outside = [unit for unit in units if unit not in among]
    several = statistic in OF_ONE and len(variables) > 1 and not order
    unpaired = statistic == "max_gap" and any(pair.count(">") != 1 for pair in variables)
    unrounded = comparator == "equals" and np.isnan(claim["decimals"])
    empty = comparator == "between" and not value < claim["value_high"]
    not_either = comparator in ("greater", "less") and blank != bool(than)
    statistics, comparators = (f"use one of {known(k)}" for k in (STATISTICS, COMPARATORS))
    checks = [
        (not claim["id"] or ids.count(claim["id"]) > 1, "the id must be there, and be used once"),
        (statistic not in STATISTICS, f"unknown statistic {statistic!r}; {statistics}"),
        (statistic != "n_rows" and not variables, f"{statistic} needs variables"),
        (several, f"{statistic} is of one variable; there are {len(variables)}"),
        (statistic in OF_CODES and not codes, f"{statistic} needs the codes that are counted"),
        (unpaired, "max_gap needs pairs of variables, joined as first>second"),
        (order and not among, f"{comparator} needs what the order is taken over (among)"),
        (order and among and outside, f"among lacks {known(outside)}, of which the claim is"),
        (comparator not in COMPARATORS, f"unknown comparator {comparator!r}; {comparators}"),
        (comparator in ("equals", "rank", "top") and blank, f"{comparator} needs a value"),
        (unrounded, "equals needs the number of printed decimals"),
        (empty, "between needs a value and a larger value_high"),
        (not_either, f"{comparator} needs either a value or ids under than"),
        *[(not _is_code(code), f"the code {code!r} is not a whole number") for code in codes],
        *[(i not in ids, f"than names the unknown claim {i!r}") for i in than],
    ]
    return [fault for wrong, fault in checks if wrong]


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
    found: dict[str, Found] = {}
    for _, claim in claims.iterrows():
        try:
            found[claim["id"]] = _compute(claim, responses)
        except (KeyError, SyntaxError, pd.errors.UndefinedVariableError, ValueError) as error:
            what = f"The published claim {claim['id']!r} cannot be computed"
            raise ValueError(f"{what}: {error}") from error
    computed = {name: value for name, (value, _) in found.items()}
    register = claims.assign(computed=[*computed.values()], n=[n for _, n in found.values()])
    accepted = [limits(claim, computed) for _, claim in register.iterrows()]
    lower, upper, closed = map(np.array, zip(*accepted, strict=True))
    printed = register["comparator"].isin(["equals", "rank"])
    difference = (register["computed"] - register["value"]).where(printed)
    # both ends of a closed range belong to it: 61.5 may be printed as 62 or as 61
    slack = np.where(closed, 1e-9, -1e-9)
    # NaN lies in nothing: a claim that cannot be computed does not hold
    holds = register["computed"].between(lower - slack, upper + slack)
    return register.assign(lower=lower, upper=upper, difference=difference, holds=holds)


def _compute(claim: Series, responses: DataFrame) -> Found:
    """The statistic of a claim, or the worst place of its units in the order; and n behind it."""
    rows = responses.query(claim["filter"]) if claim["filter"] else responses
    name, variables, chosen = claim["statistic"], split(claim["variables"]), split(claim["codes"])
    codes = [float(code) for code in chosen]
    if claim["comparator"] not in ORDERINGS:
        return statistic(name, rows, variables, codes)
    among = split(claim["among"])
    if all(map(_is_code, among)):  # the order of the codes of one variable
        found = [statistic(name, rows, variables, [float(unit)]) for unit in among]
    else:
        found, chosen = [statistic(name, rows, [unit], codes) for unit in among], variables
    scores = Series([value for value, _ in found], index=among)
    scores *= -1 if claim["comparator"] == "smallest" else 1
    # equal scores of others count as above: a tie is never a first place
    above = (scores.drop(chosen) >= scores[chosen].min()).sum()
    place = np.nan if scores.isna().any() else float(len(chosen) + above)
    return place, statistic(name, rows, variables[:1], codes)[1]


def limits(claim: Series, computed: dict[str, float]) -> tuple[float, float, bool]:
    """What the computed value had to lie in: lower, upper, and do the ends belong to it?"""
    value, comparator = claim["value"], claim["comparator"]
    half = 0.5 * 10.0 ** -claim["decimals"]
    than = [computed[i] for i in split(claim["than"])] or [value]
    place = value if comparator == "rank" else 1.0
    return {
        "equals": (value - half, value + half, True),
        "between": (value, claim["value_high"], False),
        "greater": (float(np.max(than)), np.inf, False),
        "less": (-np.inf, float(np.min(than)), False),
        "top": (1.0, value, True),
    }.get(comparator, (place, place, True))


def split(joined: str) -> list[str]:
    """The names or codes of one cell, which stand between bars."""
    return joined.split("|") if joined else []


def _is_code(text: str) -> bool:
    return text.removeprefix("-").isdigit()


# --- statistics ----------------------------------------------------------------------------------


def statistic(
    name: str, rows: DataFrame, variables: list[str], codes: Sequence[float] = ()
) -> Found:
    """One of `STATISTICS`, NaN where nobody answered, and the number of respondents behind it."""
    match name:
        case "n_rows":
            return float(len(rows)), len(rows)
        case "n_answering":
            n = int(rows[variables].notna().any(axis=1).sum())
            return float(n), n
        case "n_items":
            return float(rows[variables].notna().any().sum()), len(rows)
        case "percent":
            return _mean(rows[variables[0]].dropna().isin(codes), 100.0)
        case "percent_of_rows":
            return _mean(rows[variables[0]].isin(codes), 100.0)
        case "mean":
            return _mean(rows[variables[0]].dropna())
        case "scale_mean":
            enough = rows[variables].notna().mean(axis=1) >= 0.5
            return _mean(rows.loc[enough, variables].mean(axis=1))
        case "alpha":
            alpha = cronbach_alpha(rows[variables])
            return float(alpha.alpha), int(alpha.n_used)
        case "max_gap":
            pairs = [pair.split(">") for pair in variables]
            found = [_mean((rows[second] - rows[first]).dropna()) for first, second in pairs]
        case _:  # min_percent and max_percent
            found = [statistic("percent", rows, [variable], codes) for variable in variables]
    extreme = np.argmin if name == "min_percent" else np.argmax
    return found[extreme([value for value, _ in found])]  # a NaN is found first


def _mean(of: Series, times: float = 1.0) -> Found:
    return times * float(of.mean()), len(of)
