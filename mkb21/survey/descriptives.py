"""Frequencies, shares, means, paired and two-group comparisons, missing data: tidy tables.

Every function takes a frame with one row per respondent, codes as numbers and NaN for a missing
answer, and returns a new frame with one row per estimate. NaN never counts: each estimate uses the
valid answers of its own variables (available cases) and states how many these were. Percentages are
0-100. Variables and codes may be given as any iterable of names or codes (a dict of labels too: its
keys are used).

All refuse, with a `ValueError` that names the column: an unknown column, one that holds text or
infinite values, and one without enough valid answers. What "Raises" lists comes on top of that.
Every number is compared with R in the tests: tests/reference/descriptives.R.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame, Series
from scipy import optimize, special, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from semfit.reliability import means  # noqa: F401  one of the tables of this module
from semfit.reliability.columns import (
    CONFIDENCE,
    columns,
    numeric_columns,
    refuse_doubled,
    valid_answers,
)

Names = Iterable[str]
Codes = Iterable[float]
SMALL_EXPECTED = 5


def _plain(code: Any) -> Any:
    """A code as it is written in a questionnaire: 1, not 1.0."""
    is_whole = isinstance(code, float | np.number) and float(code).is_integer()
    return int(code) if is_whole else code


def _binary(data: DataFrame, names: Names) -> DataFrame:
    frame = numeric_columns(data, names)
    for name in frame:
        if not frame[name].dropna().isin([0, 1]).all():
            raise ValueError(f"{name!r} holds more than 0 and 1: recode it to 1 (yes), 0 (no).")
    return frame


# --- shares --------------------------------------------------------------------------------------


def _share_columns(n: int | np.ndarray, n_valid: int, confidence: float) -> dict:
    """n, n_valid, percent and its Wilson interval, as columns."""
    low, high = proportion_confint(np.asarray(n), n_valid, alpha=1 - confidence, method="wilson")
    percent = 100 * np.asarray(n) / n_valid
    interval = {"ci_low": 100 * low, "ci_high": 100 * high}
    return {"n": n, "n_valid": n_valid, "percent": percent, **interval}


def frequencies(
    data: DataFrame, variable: str, codes: Codes | None = None, confidence: float = CONFIDENCE
) -> DataFrame:
    """How often each code was given.

    Parameters
    ----------
    data : DataFrame, respondents x variables
    variable : str
    codes : iterable of numbers, optional
        The codes of the answer scale, in order; those nobody gave are listed with n = 0. Default:
        the observed codes.
    confidence : float
        Level of the interval.

    Returns
    -------
    DataFrame
        variable, code, n, n_valid (valid answers), percent of n_valid, ci_low, ci_high: Wilson's
        interval (1927), in percent. R: ``prop.test(n, n_valid, correct = FALSE)$conf.int``.

    Raises
    ------
    ValueError
        Also when an answer is not among `codes`.
    """
    answers = valid_answers(numeric_columns(data, [variable])[variable])
    codes = sorted(answers.unique()) if codes is None else list(codes)
    refuse_doubled(codes, f"stands more than once among the codes of {variable!r}")
    strange = sorted(set(answers) - set(codes))
    if strange:
        what = f"{variable!r} holds {strange[0]:g}, none of its codes {codes}"
        raise ValueError(f"{what}: clean it first.")
    n = answers.value_counts().reindex(codes, fill_value=0).to_numpy()
    labels = {"variable": variable, "code": [_plain(code) for code in codes]}
    return DataFrame({**labels, **_share_columns(n, len(answers), confidence)})


def distributions(
    data: DataFrame, variables: Names, codes: Codes | None = None, confidence: float = CONFIDENCE
) -> DataFrame:
    """`frequencies` of several variables, one below the other (for stacked bars)."""
    names = columns(data, variables).columns
    codes = None if codes is None else list(codes)
    parts = [frequencies(data, name, codes, confidence) for name in names]
    return pd.concat(parts, ignore_index=True)


def multiple_response(
    data: DataFrame, variables: Names, confidence: float = CONFIDENCE
) -> DataFrame:
    """Share of respondents who chose each option of a question with several answers.

    Parameters
    ----------
    data : DataFrame
    variables : iterable of str
        The options: 1 chosen, 0 not chosen.

    Returns
    -------
    DataFrame
        variable, n (chosen), n_valid, percent, ci_low, ci_high as in `frequencies`. n_valid is the
        number of respondents with at least one option that is not missing: they answered the
        question, and an option that is missing for them counts as not chosen. Percentages may add
        up to more than 100.
    """
    frame = _binary(data, variables)
    for name in frame:
        valid_answers(frame[name])
    answered = int(frame.notna().any(axis=1).sum())
    chosen = frame.sum().astype(int).to_numpy()
    return DataFrame({"variable": frame.columns, **_share_columns(chosen, answered, confidence)})


def shares(
    data: DataFrame, variables: Names, codes: Codes, confidence: float = CONFIDENCE
) -> DataFrame:
    """Share of the valid answers that is one of `codes` (say: weekly or more), per variable.

    Returns
    -------
    DataFrame
        variable, n (answers in `codes`), n_valid (valid answers of this variable), percent, ci_low,
        ci_high as in `frequencies`.
    """
    codes = list(codes)
    if not codes:
        raise ValueError("No codes were given: name at least one code to count.")
    frame = numeric_columns(data, variables)
    rows = []
    for name in frame:
        answers = valid_answers(frame[name])
        n = int(answers.isin(codes).sum())
        rows.append({"variable": name, **_share_columns(n, len(answers), confidence)})
    return DataFrame(rows)


# --- means ---------------------------------------------------------------------------------------


def _noncentrality_interval(t: float, df: float, confidence: float) -> np.ndarray:
    """The two noncentrality parameters under which t is the upper and the lower tail quantile."""

    # The inverse in scipy (nctdtrinc, also in statsmodels) is off by up to 1e-5: hence a search.
    # Far from t the distribution function underflows to NaN where it is 0 or 1.
    def distance(ncp: float, p: float) -> float:
        value = special.nctdtr(df, ncp, t)
        return (float(ncp < t) if np.isnan(value) else value) - p

    reach = 5 * np.sqrt(1 + t**2 / (2 * df))
    tails = (1 + confidence) / 2, (1 - confidence) / 2
    around = t - reach, t + reach
    return np.array([optimize.brentq(distance, *around, args=(p,), xtol=1e-12) for p in tails])


def paired_gaps(
    data: DataFrame, pairs: Iterable[tuple[str, str]], confidence: float = CONFIDENCE
) -> DataFrame:
    """Difference between two answers of the same respondents, for each pair of variables.

    Parameters
    ----------
    data : DataFrame
    pairs : iterable of (first, second)
        Column names. Respondents with both answers are used.

    Returns
    -------
    DataFrame
        first, second, n (complete pairs), mean_first, mean_second (of these), difference = second -
        first, sd_difference, se, ci_low, ci_high, t, df, p (paired t test), p_holm (Holm's
        correction over the table), cohens_dz, dz_ci_low, dz_ci_high. Cohen's d_z = difference /
        sd_difference, not corrected for small samples; its interval comes from the noncentral t
        distribution: the noncentralities for which t is the tail quantile, over sqrt(n). R:
        ``t.test(second, first, paired = TRUE)``, ``p.adjust(p, "holm")``, and ``uniroot(function(x)
        pt(t, n - 1, x) - .975, c(t - 9, t + 9))$root / sqrt(n)`` (.025 for the upper limit).

    Raises
    ------
    ValueError
        Also when a pair has fewer than 2 complete pairs or the same difference for everyone.
    """
    rows = []
    for first, second in pairs:
        complete = numeric_columns(data, [first, second]).dropna()
        gap = valid_answers((complete[second] - complete[first]).rename(f"{first} - {second}"), 2)
        if np.isclose(gap.std(), 0, atol=1e-12):
            what = f"{second!r} - {first!r} is the same for everyone"
            raise ValueError(f"{what}, so there is no test.")
        rows.append({"first": first, "second": second, **_gap_columns(complete, gap, confidence)})
    return _with_holm(rows, "pairs", "cohens_dz")


def _gap_columns(complete: DataFrame, gap: Series, confidence: float) -> dict[str, float]:
    n = len(gap)
    test = stats.ttest_1samp(gap.to_numpy(), 0)
    low, high = _noncentrality_interval(test.statistic, n - 1, confidence) / np.sqrt(n)
    mean_first, mean_second = complete.mean()
    sizes = {"n": n, "mean_first": mean_first, "mean_second": mean_second}
    gaps = {"difference": gap.mean(), "sd_difference": gap.std(), "se": gap.sem()}
    effect = {"cohens_dz": gap.mean() / gap.std(), "dz_ci_low": low, "dz_ci_high": high}
    return sizes | gaps | _test_columns(test, confidence) | effect


def _test_columns(test: Any, confidence: float) -> dict[str, float]:
    """Interval and test, of a t test of scipy."""
    low, high = test.confidence_interval(confidence)
    return {"ci_low": low, "ci_high": high, "t": test.statistic, "df": test.df, "p": test.pvalue}


def _with_holm(rows: list[dict], what: str, before: str) -> DataFrame:
    """The rows as a table, with p_holm over all of them in front of the column `before`."""
    if not rows:
        raise ValueError(f"There is nothing to test: give at least one of {what}.")
    table = DataFrame(rows)
    corrected = multipletests(table["p"], method="holm")[1]
    table.insert(table.columns.get_loc(before), "p_holm", corrected)
    return table


# --- groups --------------------------------------------------------------------------------------


def _two_groups(
    frame: DataFrame, data: DataFrame, group: str, least: int
) -> Iterator[tuple[dict, Series, Series]]:
    """Per column of `frame`: its labels, valid answers in the first group, in the second."""
    groups = columns(data, [group])[group]
    levels = sorted(groups.dropna().unique())
    if len(levels) != 2:
        shown = ", ".join(map(str, levels[:6]))
        raise ValueError(
            f"{group!r} has {len(levels)} groups ({shown}); two are compared here: make a variable "
            "with two groups (the others NaN)."
        )
    for name in frame:
        parts = [frame.loc[groups == level, name].dropna() for level in levels]
        for part, level in zip(parts, levels, strict=True):
            if len(part) < least:
                raise ValueError(
                    f"{name!r} has {len(part)} valid answers in group {level} of {group!r}; "
                    f"at least {least} needed: leave it out."
                )
        first, second = map(_plain, levels)
        labels = {"variable": name, "group": group, "first": first, "second": second}
        yield labels, parts[0], parts[1]


def compare_means(
    data: DataFrame, outcomes: Names, group: str, confidence: float = CONFIDENCE
) -> DataFrame:
    """Difference in mean between two groups, by Welch's test.

    Parameters
    ----------
    data : DataFrame
    outcomes : iterable of str
    group : str
        A variable with exactly two values; respondents without one are left out.

    Returns
    -------
    DataFrame
        variable, group, first, second (the two values, in order), n_, mean_, sd_first and _second,
        difference = second - first, se, ci_low, ci_high, t, df (Welch-Satterthwaite), p, p_holm
        (Holm's correction over the table), hedges_g, g_ci_low, g_ci_high. g = J (mean_second -
        mean_first) / pooled sd, with m = n_first + n_second - 2 and J = gamma(m / 2) / (sqrt(m / 2)
        gamma((m - 1) / 2)) (Hedges 1981, exact). Its interval: J times the limits for d from the
        noncentral t distribution, which assumes equal variances in the groups. R: ``t.test(second,
        first)``, and ``uniroot`` on ``pt`` as in `paired_gaps`.

    Raises
    ------
    ValueError
        Also when the variable does not have two groups, when a group has fewer than 2 valid
        answers, or when the outcome is constant in both.
    """
    frame = numeric_columns(data, outcomes)
    parts = _two_groups(frame, data, group, least=2)
    rows = [{**labels, **_welch(first, second, confidence)} for labels, first, second in parts]
    return _with_holm(rows, "outcomes", "hedges_g")


def _welch(first: Series, second: Series, confidence: float) -> dict[str, float]:
    if first.nunique() == second.nunique() == 1:
        raise ValueError(f"{first.name!r} is constant in both groups, so there is no test.")
    test = stats.ttest_ind(second.to_numpy(), first.to_numpy(), equal_var=False)
    sizes = {"n_first": len(first), "n_second": len(second)}
    groups = {"mean_first": first.mean(), "mean_second": second.mean()}
    groups |= {"sd_first": first.std(), "sd_second": second.std()}
    se = np.sqrt(first.var() / len(first) + second.var() / len(second))
    gap = {"difference": second.mean() - first.mean(), "se": se}
    g, low, high = _hedges_g(first, second, confidence)
    effect = {"hedges_g": g, "g_ci_low": low, "g_ci_high": high}
    return sizes | groups | gap | _test_columns(test, confidence) | effect


def _hedges_g(first: Series, second: Series, confidence: float) -> np.ndarray:
    """Hedges' g with its interval: g, low, high."""
    m = len(first) + len(second) - 2
    correction = np.exp(special.gammaln(m / 2) - special.gammaln((m - 1) / 2)) / np.sqrt(m / 2)
    pooled = stats.ttest_ind(second.to_numpy(), first.to_numpy())
    ncp = np.array([pooled.statistic, *_noncentrality_interval(pooled.statistic, m, confidence)])
    return correction * ncp * np.sqrt(1 / len(first) + 1 / len(second))


def compare_shares(
    data: DataFrame, outcomes: Names, group: str, confidence: float = CONFIDENCE
) -> DataFrame:
    """Difference in share between two groups, for outcomes that are 1 (yes) or 0 (no).

    Returns
    -------
    DataFrame
        variable, group, first, second (the two values, in order), n_, percent_first and _second,
        difference = second - first in percentage points, ci_low, ci_high (Newcombe 1998, method 10,
        from two Wilson intervals), chi2 without continuity correction, df, min_expected (smallest
        expected count), test, p, p_holm (Holm's correction over the table), phi = sign(difference)
        sqrt(chi2 / n), whose size is Cramér's V. Where min_expected is below 5, `test` says
        "fisher" and p is Fisher's exact two-sided p, else "chi2". An outcome that is the same for
        everyone has NaN for chi2 and phi. R: ``chisq.test(table, correct = FALSE)``,
        ``fisher.test(table)``, ``DescTools::BinomDiffCI(yes2, n2, yes1, n1, method = "score")``.

    Raises
    ------
    ValueError
        Also when the variable does not have two groups, when a group has no valid answer, or when
        an outcome holds other values than 0 and 1.
    """
    parts = _two_groups(_binary(data, outcomes), data, group, least=1)
    rows = [{**labels, **_two_by_two(first, second, confidence)} for labels, first, second in parts]
    return _with_holm(rows, "outcomes", "phi")


def _two_by_two(first: Series, second: Series, confidence: float) -> dict:
    n, yes = np.array([len(first), len(second)]), np.array([first.sum(), second.sum()]).astype(int)
    how = {"method": "newcomb", "compare": "diff", "alpha": 1 - confidence}
    low, high = confint_proportions_2indep(yes[1], n[1], yes[0], n[0], **how)
    counts = np.array([yes, n - yes])
    expected = stats.contingency.expected_freq(counts).min()
    share = yes / n
    chi2 = p = np.nan
    if expected > 0:
        chi2, p = stats.chi2_contingency(counts, correction=False)[:2]
    exact = expected < SMALL_EXPECTED
    sizes = {"n_first": n[0], "n_second": n[1]}
    groups = {"percent_first": 100 * yes[0] / n[0], "percent_second": 100 * yes[1] / n[1]}
    gap = {"difference": 100 * (share[1] - share[0]), "ci_low": 100 * low, "ci_high": 100 * high}
    test = {"chi2": chi2, "df": 1, "min_expected": expected, "test": "fisher" if exact else "chi2"}
    p = stats.fisher_exact(counts).pvalue if exact else p
    phi = np.sign(share[1] - share[0]) * np.sqrt(chi2 / n.sum())
    return sizes | groups | gap | test | {"p": p, "phi": phi}


# --- missing data --------------------------------------------------------------------------------


def _missing(
    data: DataFrame, variables: Names, asked: DataFrame | None
) -> tuple[DataFrame, DataFrame]:
    """Two boolean frames, respondents x variables: missing though asked; asked."""
    frame = columns(data, variables)
    if asked is None:
        return frame.isna(), DataFrame(True, index=frame.index, columns=frame.columns)
    asked = columns(asked, list(frame.columns))
    if not asked.index.equals(data.index) or not all(map(pd.api.types.is_bool_dtype, asked.dtypes)):
        raise ValueError("`asked` must hold True or False for the same rows (index) as the data.")
    answered = frame.columns[(frame.notna() & ~asked).any()]
    if len(answered):
        what = f"{answered[0]!r} has answers where `asked` is False"
        raise ValueError(f"{what}: correct one of them.")
    return frame.isna() & asked, asked


def missing_summary(data: DataFrame, variables: Names, asked: DataFrame | None = None) -> DataFrame:
    """How many answers are missing, per variable.

    Parameters
    ----------
    data : DataFrame
    variables : iterable of str
    asked : DataFrame of bool, optional
        Same rows, at least these columns: was the respondent asked? Not asked is not missing.
        Default: all were.

    Returns
    -------
    DataFrame
        variable, n_asked, n_missing, n_valid, percent = 100 n_missing / n_asked (NaN when nobody
        was asked).
    """
    missing, asked = _missing(data, variables, asked)
    table = DataFrame({"n_asked": asked.sum(), "n_missing": missing.sum()})
    table["n_valid"] = table["n_asked"] - table["n_missing"]
    table["percent"] = 100 * table["n_missing"] / table["n_asked"]
    return table.rename_axis("variable").reset_index()


def missing_patterns(
    data: DataFrame, variables: Names, asked: DataFrame | None = None
) -> DataFrame:
    """Which variables are missing together; `asked` as in `missing_summary`.

    Returns
    -------
    DataFrame
        missing (names joined by ", ", "" when nothing that was asked is missing), n_missing (number
        of these variables), n (respondents with this pattern), percent of respondents; most
        frequent first.
    """
    missing, _ = _missing(data, variables, asked)
    if missing.empty:
        raise ValueError("The data have no rows.")
    names = missing.apply(lambda row: ", ".join(missing.columns[row]), axis=1)
    table = DataFrame({"missing": names, "n_missing": missing.sum(axis=1)})
    table = table.groupby(["missing", "n_missing"]).size().rename("n").reset_index()
    table["percent"] = 100 * table["n"] / len(data)
    order = {"by": ["n", "n_missing", "missing"], "ascending": [False, True, True]}
    return table.sort_values(**order, ignore_index=True)
