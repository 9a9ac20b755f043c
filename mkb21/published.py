"""What was published about a wave, against what the responses give.

One row of `data/published/<wave>.csv` is one claim: a statistic of some variables, and what was printed about it. The
columns are

statistic    n_rows, n_answering, n_items, percent, percent_of_rows, min_percent, max_percent, mean, scale_mean, alpha,
             max_gap: see `STATISTICS`
variables    names, joined by |; for max_gap pairs joined as first>second
codes        the answers that are counted, joined by |; for the percentages
filter       a pandas query that says of whom, such as `user == 1`; empty: of all
comparator   how the printed `value` is to be read: see `COMPARATORS`
among        what the order is taken over: codes of the variable, or other variables; for largest, smallest, rank and top
than         ids of other claims whose computed values must be exceeded (greater) or undercut (less), instead of a `value`
decimals     printed decimals, for equals
place        where it stands in the publication
reading      how an open wording was read
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from mkb21.reliability import cronbach_alpha

COLUMNS = (
    "id figure statistic variables codes filter among comparator value value_high than decimals place reading"
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
ORDERINGS = ("largest", "smallest", "rank", "top")


def read(path: Path) -> pd.DataFrame:
    """The claims of one wave, checked.

    Returns
    -------
    pandas.DataFrame
        One row per claim: the columns of the file; `value`, `value_high` and `decimals` are numbers, NaN where empty.

    Raises
    ------
    ValueError
        With every fault of the file: missing columns, an id that stands twice, an unknown statistic or comparator, a
        claim without the value that its comparator needs, a value that is not a number.
    """
    try:
        claims = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist: this wave has no published numbers.") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from error
    absent = [c for c in COLUMNS if c not in claims]
    if absent:
        raise ValueError(f"{path} lacks the column(s) {', '.join(absent)}; it needs {', '.join(COLUMNS)}.")
    faults = []
    for column in ("value", "value_high", "decimals"):
        numbers = pd.to_numeric(claims[column].replace("", np.nan), errors="coerce")
        for row in claims.index[numbers.isna() & (claims[column] != "")]:
            faults.append((row, f"{column} is {claims.at[row, column]!r}, which is not a number"))
        claims[column] = numbers
    faults += [(row, fault) for row, claim in claims.iterrows() for fault in _faults(claim, claims)]
    if faults:
        lines = [f"{path}:{row + 2}: {claims.at[row, 'id'] or '(no id)'}: {fault}" for row, fault in sorted(faults)]
        raise ValueError("\n".join([f"{path.name} has {len(faults)} fault(s):", *lines]))
    return claims[list(COLUMNS)]


def _faults(claim: pd.Series, claims: pd.DataFrame) -> list[str]:
    """What is wrong with one claim."""
    found = []
    if claim["id"] == "" or (claims["id"] == claim["id"]).sum() > 1:
        found.append("the id must be there, and be used once")
    if claim["statistic"] not in STATISTICS:
        found.append(f"unknown statistic {claim['statistic']!r}; use one of {', '.join(STATISTICS)}")
    if claim["comparator"] not in COMPARATORS:
        found.append(f"unknown comparator {claim['comparator']!r}; use one of {', '.join(COMPARATORS)}")
    if claim["comparator"] in ("equals", "between", "rank", "top") and np.isnan(claim["value"]):
        found.append(f"{claim['comparator']} needs a value")
    if claim["comparator"] == "equals" and np.isnan(claim["decimals"]):
        found.append("equals needs the number of printed decimals")
    if claim["comparator"] == "between" and not claim["value"] < claim["value_high"]:
        found.append("between needs a value and a larger value_high")
    if claim["comparator"] in ("greater", "less") and np.isnan(claim["value"]) == (claim["than"] == ""):
        found.append(f"{claim['comparator']} needs either a value or ids under than")
    if claim["comparator"] in ORDERINGS and claim["among"] == "":
        found.append(f"{claim['comparator']} needs what the order is taken over (among)")
    unknown = [i for i in _split(claim["than"]) if i not in set(claims["id"])]
    return found + [f"than names the unknown claim {i!r}" for i in unknown]


def compare(claims: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Every claim against the responses.

    Parameters
    ----------
    claims : pandas.DataFrame
        As `read` gives them.
    responses : pandas.DataFrame
        One row per respondent, one numeric column per variable, NaN where there is no answer.

    Returns
    -------
    pandas.DataFrame
        The claims, in their order, with `computed` (the statistic; for an order the place), `n` (respondents behind
        it), `lower` and `upper` (what `computed` had to lie in), `difference` (computed - value, where one number was
        printed) and `holds` (bool).

    Raises
    ------
    ValueError
        A claim names a variable that is not there, or a filter that cannot be read; names the claim.
    """
    rows = []
    computed: dict[str, float] = {}
    for _, claim in claims.iterrows():
        try:
            value, n = _compute(claim, responses)
        except (KeyError, SyntaxError, pd.errors.UndefinedVariableError, ValueError) as error:
            raise ValueError(f"The published claim {claim['id']!r} cannot be computed: {error}") from error
        computed[claim["id"]] = value
        rows.append({**claim, "computed": value, "n": n})
    register = pd.DataFrame(rows)
    accepted = [limits(claim, computed) for _, claim in register.iterrows()]
    register["lower"], register["upper"] = zip(*[pair for pair, _ in accepted], strict=True)
    printed = register["comparator"].isin(["equals", "rank"])
    register["difference"] = (register["computed"] - register["value"]).where(printed)
    inside = [_inside(row.computed, row.lower, row.upper, closed) for row, (_, closed) in zip(register.itertuples(), accepted, strict=True)]
    register["holds"] = pd.Series(inside, index=register.index, dtype=bool)
    return register


def _compute(claim: pd.Series, responses: pd.DataFrame) -> tuple[float, int]:
    """The statistic of a claim, or the place in the order, and the number of respondents behind it."""
    rows = responses.query(claim["filter"]) if claim["filter"] else responses
    variables, codes = _split(claim["variables"]), [float(c) for c in _split(claim["codes"])]
    statistic = STATISTICS[claim["statistic"]]
    if claim["comparator"] not in ORDERINGS:
        return statistic(rows, variables, codes)
    among = _split(claim["among"])
    if all(unit.lstrip("-").isdigit() for unit in among):  # the order of the codes of one variable
        scores = {unit: statistic(rows, variables, [float(unit)])[0] for unit in among}
        chosen = _split(claim["codes"])
    else:
        scores = {unit: statistic(rows, [unit], codes)[0] for unit in among}
        chosen = variables
    n = statistic(rows, variables[:1], codes)[1]
    return _place(scores, chosen, from_below=claim["comparator"] == "smallest"), n


def _place(scores: dict[str, float], chosen: list[str], from_below: bool) -> float:
    """Place of the worst placed of `chosen`; equal scores count against them, so that a tie is never a first place."""
    sign = -1 if from_below else 1
    if any(np.isnan(score) for score in scores.values()):
        return np.nan
    others = {unit: sign * score for unit, score in scores.items() if unit not in chosen}
    worst = min(sign * scores[unit] for unit in chosen)
    return float(len(chosen) + sum(score >= worst for score in others.values()))


def limits(claim: pd.Series, computed: dict[str, float]) -> tuple[tuple[float, float], bool]:
    """((lower, upper), do the ends belong to it?) of what the computed value had to lie in."""
    value, comparator = claim["value"], claim["comparator"]
    if comparator == "equals":
        half = 0.5 * 10.0 ** -claim["decimals"]
        return (value - half, value + half), True
    if comparator == "between":
        return (value, claim["value_high"]), False
    if comparator == "greater":
        than = [computed[i] for i in _split(claim["than"])] or [value]
        return (max(than), np.inf), False
    if comparator == "less":
        than = [computed[i] for i in _split(claim["than"])] or [value]
        return (-np.inf, min(than)), False
    if comparator == "top":
        return (1.0, value), True
    place = value if comparator == "rank" else 1.0
    return (place, place), True


def _inside(computed: float, lower: float, upper: float, closed: bool) -> bool:
    """NaN lies in nothing: a claim that cannot be computed does not hold."""
    slack = 1e-9 if closed else -1e-9  # 61.5 is printed as 62 or as 61: both ends belong to the printed precision
    return bool(lower - slack <= computed <= upper + slack)


def _split(joined: str) -> list[str]:
    return joined.split("|") if joined else []


_WORDS = {
    "nl": {"largest": "grootste", "smallest": "kleinste", "rank": "plaats", "top": "eerste", "than": "andere"},
    "en": {"largest": "largest", "smallest": "smallest", "rank": "place", "top": "among first", "than": "others"},
}


def as_text(register: pd.DataFrame, language: str = "en") -> list[str]:
    """What was published, as short text: "62", "> 50", "50 to 55", "largest", "place 2"."""
    words = _WORDS[language]
    found = []
    for row in register.itertuples():
        value = _printed(row.value, row.decimals, language)
        if row.comparator in ("greater", "less"):
            found.append(f"{'>' if row.comparator == 'greater' else '<'} {value or words['than']}")
        elif row.comparator == "between":
            found.append(f"{value} – {_printed(row.value_high, row.decimals, language)}")
        elif row.comparator == "equals":
            found.append(value)
        else:
            found.append(f"{words[row.comparator]} {value}".strip())
    return found


def _printed(value: float, decimals: float, language: str) -> str:
    if np.isnan(value):
        return ""
    text = f"{value:g}" if np.isnan(decimals) else f"{value:.{int(decimals)}f}"
    return text.replace(".", ",") if language == "nl" else text


# --- statistics: (rows, variables, codes) -> (value, n) -----------------------------------------------------------------


def _n_rows(rows, variables, codes):
    """Respondents."""
    return float(len(rows)), len(rows)


def _n_answering(rows, variables, codes):
    """Respondents with an answer on at least one of the variables."""
    n = int(rows[variables].notna().any(axis=1).sum())
    return float(n), n


def _n_items(rows, variables, codes):
    """Variables that have answers."""
    return float(rows[variables].notna().any().sum()), len(rows)


def _percent(rows, variables, codes):
    """Per cent of the answers on one variable that have one of the codes."""
    valid = rows[variables[0]].dropna()
    return (100.0 * valid.isin(codes).mean() if len(valid) else np.nan), len(valid)


def _percent_of_rows(rows, variables, codes):
    """Per cent of all respondents, whether they were asked or not."""
    return (100.0 * rows[variables[0]].isin(codes).mean() if len(rows) else np.nan), len(rows)


def _min_percent(rows, variables, codes):
    """The smallest of the percentages of the variables."""
    return min(_percent(rows, [v], codes) for v in variables)


def _max_percent(rows, variables, codes):
    """The largest of the percentages of the variables."""
    return max(_percent(rows, [v], codes) for v in variables)


def _mean(rows, variables, codes):
    """Mean of the answers on one variable."""
    valid = rows[variables[0]].dropna()
    return (float(valid.mean()) if len(valid) else np.nan), len(valid)


def _scale_mean(rows, variables, codes):
    """Mean of the person means of those who answered every item."""
    complete = rows[variables].dropna()
    return (float(complete.mean(axis=1).mean()) if len(complete) else np.nan), len(complete)


def _alpha(rows, variables, codes):
    """Cronbach's alpha (raw) of those who answered every item."""
    alpha = cronbach_alpha(rows[variables])
    return float(alpha.alpha), int(alpha.n_used)


def _max_gap(rows, variables, codes):
    """Mean of the second minus mean of the first of a pair, over those who answered both; the largest of all pairs."""
    gaps = []
    for pair in variables:
        first, second = pair.split(">")
        both = rows[[first, second]].dropna()
        gaps.append(float((both[second] - both[first]).mean()) if len(both) else np.nan)
    return float(np.max(gaps)), len(rows)


STATISTICS: dict[str, Callable] = {
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
