"""Tables of answers, behind one door: frequencies, shares, means, comparisons, missing answers.

The functions know nothing of this survey and stand in `semfit.reliability`; their docstrings give
the rule for missing answers, the formula and R's call. Every number is compared with R in the
tests: tests/reference/descriptives.R.
"""

from semfit.reliability import (
    compare_means,
    compare_shares,
    distributions,
    frequencies,
    means,
    missing_patterns,
    missing_summary,
    multiple_response,
    paired_gaps,
    shares,
)

__all__ = [
    "compare_means",
    "compare_shares",
    "distributions",
    "frequencies",
    "means",
    "missing_patterns",
    "missing_summary",
    "multiple_response",
    "paired_gaps",
    "shares",
]
