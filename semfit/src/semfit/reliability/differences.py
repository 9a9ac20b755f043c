"""Differences of scores and shares: within respondents, and between two groups.

Frames have one row per respondent and NaN for a missing answer, which never counts. Each table has
one row per test, with an effect size, its interval, and p corrected by Holm over the table. All
refuse, with a `ValueError` that names the column, what they cannot use.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame, Series
from scipy import optimize, special, stats
from statsmodels.discrete.discrete_model import Logit
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep
from statsmodels.tools import add_constant

from semfit.reliability.columns import (
    CONFIDENCE,
    LeftOut,
    binary_columns,
    columns,
    numeric_columns,
    plain,
    valid_answers,
)

Names = Iterable[str]
SMALL_EXPECTED = 5


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

    Examples
    --------
    >>> import semfit
    >>> from semfit.reliability import paired_gaps
    >>> table = paired_gaps(semfit.example_data(), [("x1", "x2")])
    >>> bool(table["n"][0] > 100 and table["p_holm"][0] == table["p"][0])
    True
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
        first, second = map(plain, levels)
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
        variable, group, first, second (the two values, in order), ``n_``, ``mean_``,
        ``sd_first`` and ``_second``, difference = second - first, se, ci_low, ci_high, t, df (Welch-Satterthwaite), p, p_holm
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

    Examples
    --------
    >>> import semfit
    >>> from semfit.reliability import compare_means
    >>> table = compare_means(semfit.example_data(), ["x1", "x2"], "group")
    >>> table["variable"].tolist()
    ['x1', 'x2']
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
        variable, group, first, second (the two values, in order), ``n_``,
        ``percent_first`` and ``_second``,
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

    Examples
    --------
    >>> import pandas as pd
    >>> from semfit.reliability import compare_shares
    >>> data = pd.DataFrame({"uses": [1, 1, 1, 0, 0, 0], "solo": [0, 0, 0, 0, 1, 1]})
    >>> compare_shares(data, ["uses"], "solo")["percent_first"].tolist()
    [75.0]
    """
    parts = _two_groups(binary_columns(data, outcomes), data, group, least=1)
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


def usable_pairs(
    data: DataFrame, pairs: Iterable[tuple[str, str]]
) -> tuple[list[tuple[str, str]], LeftOut]:
    """The pairs that `paired_gaps` can test.

    Parameters
    ----------
    data : DataFrame
    pairs : iterable of (first, second)

    Returns
    -------
    tuple
        The pairs, and what is left out as (reason, first variables): few (fewer than 2 complete
        pairs), same_gap (the difference is the same for everyone). R: none.

    Examples
    --------
    >>> import pandas as pd
    >>> from semfit.reliability import usable_pairs
    >>> data = pd.DataFrame({"a": [1, 2, 3], "b": [3, 2, 2], "c": [2, 3, 4]})
    >>> usable_pairs(data, [("a", "b"), ("a", "c")])
    ([('a', 'b')], [('same_gap', ['a'])])
    """
    usable: list[tuple[str, str]] = []
    lost: dict[str, list[str]] = {"few": [], "same_gap": []}
    for first, second in pairs:
        complete = numeric_columns(data, [first, second]).dropna()
        if len(complete) < 2:
            lost["few"].append(first)
        elif np.isclose((complete[second] - complete[first]).std(), 0, atol=1e-12):
            lost["same_gap"].append(first)
        else:
            usable.append((first, second))
    return usable, [(why, names) for why, names in lost.items() if names]


def compare_groups(
    data: DataFrame, outcomes: Names, groups: Names, shares: bool = False
) -> tuple[DataFrame, LeftOut]:
    """Several outcomes in the two groups of several traits: means, or shares of what is 1 or 0.

    Parameters
    ----------
    data : DataFrame
    outcomes : iterable of str
    groups : iterable of str
        Traits with two values. An outcome is not compared by itself.
    shares : bool
        `compare_shares` instead of `compare_means`.

    Returns
    -------
    tuple
        The table of `compare_means` (or `compare_shares`), with p_holm over all its rows; without
        rows where nothing is left. And what is left out: single_group or many_groups with a trait;
        few_in_group (fewer than 2 answers, of shares 1), same (a constant in both groups) or
        not_binary with a trait and outcomes. R: as there; ``p.adjust(p, "holm")`` over all.

    Examples
    --------
    >>> import semfit
    >>> from semfit.reliability import compare_groups
    >>> data = semfit.example_data().assign(one=1, old=lambda d: (d["age"] > 4).astype(int))
    >>> table, left_out = compare_groups(data, ["x1", "x2"], ["group", "old", "one"])
    >>> len(table), left_out
    (4, [('single_group', ['one'])])
    """
    names, parts, left_out = [*outcomes], [], LeftOut()
    for group in groups:
        n_groups = columns(data, [group])[group].nunique()
        if n_groups != 2:
            left_out.append(("single_group" if n_groups < 2 else "many_groups", [group]))
            continue
        lost: dict[str, list[str]] = {}
        for outcome in (name for name in names if name != group):
            why = _incomparable(columns(data, [outcome, group]), shares)
            if why:
                lost.setdefault(why, []).append(outcome)
            else:
                function = compare_shares if shares else compare_means
                parts.append(function(data, [outcome], group))
        left_out += [(why, [group, *lacking]) for why, lacking in lost.items()]
    if not parts:
        return DataFrame(), left_out
    table = pd.concat(parts, ignore_index=True)
    return table.assign(p_holm=multipletests(table["p"], method="holm")[1]), left_out


def _incomparable(both: DataFrame, shares: bool) -> str:
    """Why an outcome (first column) has no test by a trait (second) of two values; "" if it has."""
    outcome, group = both.columns
    answers = both.dropna().groupby(group)[outcome]
    if len(answers) < 2 or (answers.count() < (1 if shares else 2)).any():
        return "few_in_group"
    if shares:
        return "" if both[outcome].dropna().isin([0, 1]).all() else "not_binary"
    return "same" if (answers.nunique() == 1).all() else ""


def odds_ratios(
    data: DataFrame, outcome: str, predictors: Names, confidence: float = CONFIDENCE
) -> DataFrame:
    """What goes with an outcome of 0 and 1: a logistic regression.

    Parameters
    ----------
    data : DataFrame
    outcome : str
        A column of 0 and 1.
    predictors : iterable of str
        Numeric columns. Rows with all answers are used.
    confidence : float

    Returns
    -------
    DataFrame
        rhs ("Intercept" first), estimate (log odds), se, z, p, ci_low, ci_high, odds_ratio, or_ci_low,
        or_ci_high (Wald), n, pseudo_r_squared (McFadden). R: ``glm(outcome ~ a + b, binomial)``,
        ``confint.default()``.

    Raises
    ------
    ValueError
        Everybody has one outcome, a predictor has one value, or the predictors tell the outcomes
        wholly apart.

    Examples
    --------
    >>> import semfit
    >>> from semfit import reliability
    >>> data = semfit.example_data().assign(older=lambda d: (d["age"] > 4).astype(int))
    >>> reliability.odds_ratios(data, "older", ["x1"])[["rhs", "odds_ratio", "p", "n"]].round(3)
             rhs  odds_ratio      p    n
    0  Intercept       0.392  0.054  200
    1         x1       1.313  0.064  200
    """
    names = [*predictors]
    binary_columns(data, [outcome])
    used = numeric_columns(data, [outcome, *names]).dropna()
    constant = [name for name in used if used[name].nunique() < 2]
    if constant or not names:
        raise ValueError(f"Of {len(used)} complete rows all have one value of {constant[:1]}.")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            fitted = Logit(used[outcome], add_constant(used[names])).fit(disp=False)
        except (Warning, np.linalg.LinAlgError) as trouble:
            raise ValueError(
                f"{', '.join(names)} tell the values of {outcome} wholly apart, or each other: there "
                "are no odds ratios. Leave one out."
            ) from trouble
    table = DataFrame({"rhs": ["Intercept", *names], "estimate": fitted.params.to_numpy()})
    table = table.assign(se=fitted.bse.to_numpy(), z=fitted.tvalues.to_numpy())
    table["p"] = fitted.pvalues.to_numpy()
    table[["ci_low", "ci_high"]] = fitted.conf_int(1 - confidence).to_numpy()
    ratios = ["odds_ratio", "or_ci_low", "or_ci_high"]
    table[ratios] = np.exp(table[["estimate", "ci_low", "ci_high"]])
    return table.assign(n=len(used), pseudo_r_squared=fitted.prsquared)
