"""Do the paths depend on the estimator, on missing values, on who is in the sample, on scores?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from semfit.fitting.fitting import Fit, fit
from semfit.syntax.model import Model

COLUMNS = (
    "variant n estimator missing converged lhs op rhs group label estimate se p "
    "std_all std_ci_low std_ci_high shift"
).split()


def sensitivity(
    model: Model,
    data: pd.DataFrame,
    variants: Mapping[str, Mapping[str, Any]],
    op: str = "~",
    refused: dict[str, str] | None = None,
) -> pd.DataFrame:
    """Fit one model in several ways, and put the same parameters side by side.

    Parameters
    ----------
    model : Model
    data : DataFrame
        One row per respondent.
    variants : dict of str to dict
        Name of the variant -> arguments of `fit`, and optionally ``rows``: a pandas query that says
        which respondents stay (``"flag_careless == 0"``). The first variant is the reference.
    op : str
        Which parameters: "~" paths, "=~" loadings.
    refused : dict, optional
        Is filled with the variants that `fit` refuses, and why; they have no rows. The first variant
        may not be refused.

    Returns
    -------
    DataFrame
        One row per variant and parameter: variant, n, estimator, missing, converged, lhs, op, rhs,
        group, label, estimate, se, p, std_all, std_ci_low, std_ci_high (95 %), shift: std_all minus
        that of the first variant, in standard errors of the first variant. A variant that does not
        converge has its rows, with NaN instead of standard errors.
        R: ``parameterEstimates(fit)`` of each variant.

    Raises
    ------
    ValueError
        No variants, a query that is not understood, or what `fit` refuses; the message names the
        variant.

    Notes
    -----
    The variants share respondents: their intervals are not independent, and a difference is not
    tested by whether intervals overlap. Standardised coefficients of WLSMV are of the responses
    behind the categories, which are measured with less error than the categories: somewhat larger
    ones are to be expected.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; g ~ f + age")
    >>> variants = {"ML": {"estimator": "ML"}, "young": {"estimator": "ML", "rows": "age < 4"}}
    >>> table = semfit.sensitivity(model, semfit.example_data(), variants)
    >>> table[["variant", "n", "lhs", "rhs", "std_all", "shift"]].round(3)
      variant    n lhs  rhs  std_all  shift
    0      ML  200   g    f    0.510  0.000
    1      ML  200   g  age    0.272  0.000
    2   young  104   g    f    0.590  1.226
    3   young  104   g  age    0.078 -2.996
    """
    if not variants:
        raise ValueError("Name at least one variant: {'ML': {'estimator': 'ML'}}.")
    fits: dict[str, Fit] = {}
    for name, options in variants.items():
        try:
            fits[name] = _fit_variant(model, data, name, options)
        except ValueError as refusal:
            if refused is None or not fits:
                raise
            refused[name] = str(refusal).removeprefix(f"Variant {name!r}: ")
    tables = []
    for name, fitted in fits.items():
        rows = fitted.estimates[fitted.estimates["op"] == op]
        tables.append(
            rows.assign(
                variant=name,
                n=fitted.n_used,
                estimator=fitted.estimator,
                missing=fitted.missing,
                converged=fitted.converged,
            )
        )
    table = pd.concat(tables, ignore_index=True)
    key = ["lhs", "op", "rhs", "group"]
    first = tables[0].set_index(key)
    matched = first.reindex(pd.MultiIndex.from_frame(table[key]))
    gap = table["std_all"].to_numpy() - matched["std_all"].to_numpy()
    table["shift"] = gap / matched["std_se"].to_numpy()
    return table[COLUMNS]


def _fit_variant(model: Model, data: pd.DataFrame, name: str, options: Mapping[str, Any]) -> Fit:
    """Fit one variant; say which one it was when it is refused."""
    options = dict(options)
    query = options.pop("rows", None)
    try:
        chosen = data if query is None else data.query(query)
    except Exception as error:  # noqa: BLE001 - pandas raises whatever the expression raises
        raise ValueError(f"Variant {name!r}: rows={query!r} is not understood: {error}.") from None
    try:
        return fit(model, chosen, **options)
    except (ValueError, TypeError) as error:
        raise ValueError(f"Variant {name!r}: {error}") from None


def score_regressions(
    model: Model, data: pd.DataFrame, scores: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Each path of a model as a regression coefficient on standardised scores: a rough check.

    Scores carry measurement error, which a model takes out: coefficients are mostly nearer to 0, and
    should point the same way. Every equation is fitted to the same rows, those with all scores.

    Parameters
    ----------
    model : Model
    data : DataFrame
        One row per respondent; numeric columns, NaN for missing.
    scores : dict of str to str, optional
        Latent variable -> column of its score. Without: the mean of its indicators (of which half
        must be there), which are themselves scores if they are latent.

    Returns
    -------
    DataFrame
        lhs, op, rhs, beta, beta_se, n. R: ``lm(scale(y) ~ scale(a) + scale(b))``.

    Raises
    ------
    ValueError
        The model has no path, or too few rows have all scores.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; g ~ f + age")
    >>> semfit.score_regressions(model, semfit.example_data()).round(3)
      lhs op  rhs   beta  beta_se    n
    0   g  ~    f  0.423    0.062  200
    1   g  ~  age  0.240    0.062  200
    """
    paths = [(term.lhs, term.rhs) for term in model.terms if term.op == "~"]
    indicators: dict[str, list[str]] = {}
    for term in model.terms:
        if term.op == "=~":
            indicators.setdefault(term.lhs, []).append(term.rhs)

    def score(name: str) -> pd.Series:
        if name in (scores or {}):
            return data[(scores or {})[name]]
        if name not in indicators:
            return data[name.split(":")].prod(axis=1, skipna=False)
        items = pd.concat([score(item) for item in indicators[name]], axis=1)
        return items.mean(axis=1).where(2 * items.notna().sum(axis=1) >= items.shape[1])

    names = dict.fromkeys(name for path in paths for name in path)
    table = pd.DataFrame({name: score(name) for name in names}).dropna()
    if not paths or len(table) < len(names) + 2 or (table.nunique() < 2).any():
        raise ValueError(
            f"{len(paths)} path(s), and {len(table)} rows with the scores of {', '.join(names)}: too "
            "few, or without variance, for a regression."
        )
    table = (table - table.mean()) / table.std()
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for effect in dict.fromkeys(effect for effect, _ in paths):
        causes = [cause for one, cause in paths if one == effect]
        x = np.column_stack([np.ones(len(table)), table[causes]])
        solved = np.linalg.pinv(x) @ table[effect].to_numpy()
        rest = table[effect].to_numpy() - x @ solved
        spread = rest @ rest / (len(table) - x.shape[1]) * np.linalg.pinv(x.T @ x)
        for place, cause in enumerate(causes, 1):
            found[effect, cause] = solved[place], np.sqrt(spread[place, place])
    rows = [(*path[:1], "~", path[1], *found[path], len(table)) for path in paths]
    return pd.DataFrame(rows, columns=["lhs", "op", "rhs", "beta", "beta_se", "n"])
