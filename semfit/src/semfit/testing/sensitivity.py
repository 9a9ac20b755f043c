"""Do the paths depend on the estimator, on missing values, on who is in the sample?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from semfit.fitting.fitting import Fit, fit
from semfit.syntax.model import Model

COLUMNS = (
    "variant n estimator missing converged lhs op rhs group label estimate se p "
    "std_all std_ci_low std_ci_high shift"
).split()


def sensitivity(
    model: Model, data: pd.DataFrame, variants: Mapping[str, Mapping[str, Any]], op: str = "~"
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
    fits = {name: _fit_variant(model, data, name, options) for name, options in variants.items()}
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
