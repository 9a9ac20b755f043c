"""Reliability and validity of scales, on any frame of answers.

    from semfit import reliability
    reliability.scale_reliability(responses, {"trust": ["t1", "t2", "t3"]})

scales (alpha, item statistics, scores, dimensions), coefficients (ordinal alpha, omega), factor
(exploratory factors, parallel analysis), validity (composite reliability, average variance
extracted, heterotrait-monotrait ratios), differences (of scores, between answers of the same
respondents and between two groups), frequencies (of answers, shares, missing answers), columns
(choosing and refusing columns, means), families (scales and families of them, what cannot be
computed named instead of refused).

Every function takes a frame with one row per respondent and NaN for a missing answer. Two rules
for missing data, named where they apply: statistics of items use the respondents who answered all
of them (complete rows); statistics of scores use everyone who has the score. Give the respondents
who were asked: a row without any answer cannot be told from a refusal. No item is ever reversed
here: recode it before.

Scales are given as {name of the scale: its items}. All functions refuse, with a `ValueError` that
names it: an unknown, doubled or non-numeric column, an item without variance, a scale of fewer than
2 items, and fewer than 4 rows (the interval of a correlation needs them). Every number is compared
with R's psych, semTools, lavaan and factanal in the tests: tests/reference.

Polychoric correlations come from `semfit.moments.polychoric`, the one thing that this room borrows
from another.
"""

from semfit.reliability.coefficients import (
    OmegaTotal,
    omega_total,
    ordinal_alpha,
    scale_reliability,
)
from semfit.reliability.columns import means, number_summary
from semfit.reliability.differences import (
    compare_groups,
    compare_means,
    compare_shares,
    odds_ratios,
    paired_gaps,
    usable_pairs,
)
from semfit.reliability.factor import (
    ExploratoryFactors,
    ParallelAnalysis,
    exploratory_factors,
    parallel_analysis,
)
from semfit.reliability.families import (
    each_family,
    each_scale,
    factors_of_families,
    htmt_of_families,
    parallel_of_families,
    reliability_of_scales,
    usable_families,
    usable_scales,
)
from semfit.reliability.frequencies import (
    distributions,
    frequencies,
    histogram,
    missing_patterns,
    missing_summary,
    multiple_response,
    shares,
)
from semfit.reliability.scales import (
    CronbachAlpha,
    cronbach_alpha,
    dimension_correlations,
    inter_item_correlations,
    item_dimension_correlations,
    item_statistics,
    scale_scores,
    scale_summary,
)
from semfit.reliability.validity import (
    average_variance_extracted,
    composite_reliability,
    htmt,
)

__all__ = [
    "CronbachAlpha",
    "ExploratoryFactors",
    "OmegaTotal",
    "ParallelAnalysis",
    "average_variance_extracted",
    "compare_groups",
    "compare_means",
    "compare_shares",
    "composite_reliability",
    "cronbach_alpha",
    "dimension_correlations",
    "distributions",
    "each_family",
    "each_scale",
    "exploratory_factors",
    "factors_of_families",
    "frequencies",
    "histogram",
    "htmt",
    "htmt_of_families",
    "inter_item_correlations",
    "item_dimension_correlations",
    "item_statistics",
    "means",
    "missing_patterns",
    "missing_summary",
    "multiple_response",
    "number_summary",
    "odds_ratios",
    "omega_total",
    "ordinal_alpha",
    "paired_gaps",
    "parallel_analysis",
    "parallel_of_families",
    "reliability_of_scales",
    "scale_reliability",
    "scale_scores",
    "scale_summary",
    "shares",
    "usable_families",
    "usable_pairs",
    "usable_scales",
]
