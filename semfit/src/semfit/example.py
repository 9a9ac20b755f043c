"""Invented answers for examples: two factors, six indicators, a covariate and two groups."""

from __future__ import annotations

import numpy as np
import pandas as pd


def two_factors(n: int = 200, seed: int = 1) -> pd.DataFrame:
    """Return invented answers of `n` respondents to six items that measure two factors.

    Factor f shows in x1, x2 and x3, factor g in x4, x5 and x6, with loadings of 0.8 and residual
    standard deviations of 0.6; g = 0.5 f + 0.2 (age - 4) + a normal rest with standard deviation
    0.8. In group "b" the mean of f is 0.4 higher; what is measured is the same in both groups.

    Parameters
    ----------
    n : int
        Number of respondents, one row each; every second one is in group "b".
    seed : int
        Of the random numbers: the same seed gives the same rows.

    Returns
    -------
    DataFrame
        x1 to x6 (float, no missing values), age (in tens of years, 2 to 6), group ("a" or "b").
        R: none; the rows come from ``numpy.random.default_rng(seed)``.

    Raises
    ------
    ValueError
        `n` is negative.

    Examples
    --------
    >>> import semfit
    >>> data = semfit.example_data(n=100)
    >>> data.shape
    (100, 8)
    >>> list(data)
    ['x1', 'x2', 'x3', 'x4', 'x5', 'x6', 'age', 'group']
    """
    rng = np.random.default_rng(seed)
    f, rest, residuals = rng.normal(size=n), rng.normal(size=n), rng.normal(size=(n, 6))
    age = rng.uniform(2, 6, size=n)
    group = np.where(np.arange(n) % 2 == 0, "a", "b")
    f = f + 0.4 * (group == "b")
    g = 0.5 * f + 0.2 * (age - 4) + 0.8 * rest
    items = 3 + 0.8 * np.column_stack([f, f, f, g, g, g]) + 0.6 * residuals
    table = pd.DataFrame(items, columns=[f"x{i}" for i in range(1, 7)])
    return table.assign(age=age, group=group)
