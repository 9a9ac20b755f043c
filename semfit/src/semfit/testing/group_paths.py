"""Do regression paths differ between groups?"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import chi2

from semfit.fitting import estimates, requirements
from semfit.fitting.diagnostics import CASES_PER_PARAMETER
from semfit.fitting.fitting import Fit, fit
from semfit.syntax.formula import names_in
from semfit.testing.compare import chisq_difference
from semfit.testing.constraints import holm, layout_with, refit, wald_statistic
from semfit.testing.groups import group_sizes, rebuilt

DIFFERENT = 0.05  # p after Holm's correction, for the message


@dataclass(frozen=True, eq=False)
class PathDifferences:
    """Differences of regression paths between groups.

    Attributes
    ----------
    table : DataFrame
        One row per path, then "all paths": path, lhs, rhs; estimate_<group>, se_<group> and
        std_all_<group> of each group; difference, difference_se, ci_low, ci_high (second minus first
        group, 95 %; NaN with more groups); wald_chisq, wald_df, wald_p, wald_p_holm; lrt_chisq,
        lrt_df, lrt_p, lrt_p_holm, lrt_method (this path equal, the others not, against none equal;
        scaled for MLR and WLSMV); note. Holm's correction is over the paths.
    fit : Fit
        With all paths free.
    dropped : tuple of str
        Covariates that are constant in a group and were left out.
    group_sizes, problems : DataFrame
        As in `Invariance`, without step.
    message : str
    """

    table: pd.DataFrame = field(repr=False)
    fit: Fit = field(repr=False)
    dropped: tuple
    group_sizes: pd.DataFrame = field(repr=False)
    problems: pd.DataFrame = field(repr=False)
    message: str


def path_differences(
    model,
    data,
    group,
    estimator="MLR",
    missing="fiml",
    equal=("loadings",),
    free=(),
    ordered=(),
):
    """Test which regression paths differ between groups.

    Parameters
    ----------
    model : Model
        A label is one parameter in each group (``labels="by_group"`` of `fit`). Covariates that are
        constant in a group (company size among solo companies, the grouping variable) are left out
        of all groups.
    data : DataFrame
    group : str
    estimator, missing, equal, free, ordered
        Of `fit`. Paths are comparable with equal loadings only: see `invariance` for whether these
        hold.

    Returns
    -------
    PathDifferences
        R: ``lavTestWald(fit, "h6_g1 == h6_g2")``, and ``lavTestLRT(fit, fit_with_h6_equal)``.

    Raises
    ------
    ValueError
        The model has no path that is free in each group, "regressions" are made equal, and what
        `fit` refuses.
    """
    equal = (equal,) if isinstance(equal, str) else tuple(equal)
    if "regressions" in equal:
        raise ValueError("Regressions are what is compared: leave them out of equal=.")
    model, dropped = _varying(model, data, group, missing)
    options = {"estimator": estimator, "missing": missing, "group": group, "ordered": ordered}
    one = fit(model, data, **options, equal=equal, free=free, labels="by_group")
    if not one.converged or not np.isfinite(one.point.vcov).all():
        raise ValueError(f"Paths cannot be compared without standard errors: {one.message}")
    paths = _free_paths(one)
    if not paths:
        raise ValueError("The model has no regression path that is free in each group.")
    table = _path_table(one, paths)
    sizes = group_sizes(one)
    return PathDifferences(
        table, one, dropped, sizes, one.problems, _path_message(one, table, dropped, sizes)
    )


def _free_paths(one):
    """Return a dict of path ("y ~ x") to the places of its rows, for paths of each group's own."""
    table = one.layout.table.reset_index(drop=True)
    paths = table[table["op"] == "~"].assign(path=lambda t: t["lhs"] + " ~ " + t["rhs"])
    found = {name: rows.index.to_list() for name, rows in paths.groupby("path", sort=False)}
    return {
        name: rows
        for name, rows in found.items()
        if (table.loc[rows, "parameter"] != "").all() and table.loc[rows, "parameter"].is_unique
    }


def _path_table(one, paths):
    """Return `PathDifferences.table`."""
    table = pd.DataFrame({"path": [*paths, "all paths"]})
    parts = table["path"].str.split(" ~ ", expand=True)
    table["lhs"], table["rhs"] = parts[0].where(parts[1].notna(), ""), parts[1].fillna("")
    places = np.array(list(paths.values()))
    for g, name in enumerate(one.groups):
        for column in ("estimate", "se", "std_all"):
            values = one.estimates[column].to_numpy()[places[:, g]]
            table[f"{column}_{name}"] = [*values, np.nan]
    tests = [_wald(one, places[[i]]) for i in range(len(places))] + [_wald(one, places)]
    table = table.join(pd.DataFrame(tests))
    table = table.join(pd.DataFrame(_likelihood_ratios(one, list(paths))))
    for kind in ("wald", "lrt"):
        table[f"{kind}_p_holm"] = [*holm(table[f"{kind}_p"][:-1]), np.nan]
    order = """difference difference_se ci_low ci_high wald_chisq wald_df wald_p wald_p_holm lrt_chisq
    lrt_df lrt_p lrt_p_holm lrt_method note""".split()
    return table[[*table.columns.drop(order), *order]]


def _wald(one, places):
    """Return the Wald test that paths (rows by groups) do not differ; the difference, if one."""

    def gaps(theta):
        values = one.point.values(theta)[places]
        return (values[:, 1:] - values[:, :1]).ravel()

    chisq, df = wald_statistic(gaps, one.point)
    row = {"wald_chisq": chisq, "wald_df": df, "wald_p": float(chi2.sf(chisq, df))}
    names = ["difference", "difference_se", "ci_low", "ci_high"]
    if df > 1 or len(places) > 1:
        return dict.fromkeys(names, np.nan) | row
    one_row = estimates.wald(*estimates.delta_method(gaps, one.point)).iloc[0]
    return dict(zip(names, one_row[["estimate", "se", "ci_low", "ci_high"]], strict=True)) | row


def _likelihood_ratios(one, paths):
    """Return the chi-square difference of each path being equal, and of all."""
    equal, free = (*one.options["equal"], "regressions"), one.options["free"]
    others = [[other for other in paths if other != path] for path in paths] + [[]]
    layouts = [layout_with(one, equal, (*free, *rest)) for rest in others]
    rows = []
    for small in refit(one, layouts):
        if not small.converged:
            rows.append({"lrt_method": "", "note": "the model with equal paths did not converge"})
            continue
        test = chisq_difference(one, small)
        row = {"lrt_chisq": test.chisq, "lrt_df": test.df, "lrt_p": test.p}
        rows.append(row | {"lrt_method": test.method, "note": test.note})
    return rows


def _path_message(one, table, dropped, sizes):
    """Return in words what differs, and what is doubtful about it."""
    each = ", ".join(f"{row.group}: n = {row.n}" for row in sizes.itertuples())
    text = f"{one.model.name} by {one.group} ({each}), {one.estimator}. "
    if dropped:
        text += f"Left out, constant in a group: {', '.join(dropped)}. "
    own = table.iloc[:-1]
    differ = own.loc[own["lrt_p_holm"] < 0.05, "path"].tolist()
    text += f"Paths that differ (p < .05 after Holm): {', '.join(differ) or 'none'}; all paths "
    text += (
        f"together p = {table['lrt_p'].iloc[-1]:.3f}. Paths are comparable only if loadings are "
    )
    text += "equal: see invariance()."
    few = sizes["cases_per_parameter"].min()
    if few < CASES_PER_PARAMETER:
        text += f" Only {few:.1f} cases per parameter in the smallest group: unsteady."
    return text


def without_covariates(model, names):
    """Return a model without these covariates, their paths and the effects that use these."""
    kept = [t for t in model.terms if not (t["op"] == "~" and t["rhs"] in names)]
    lost = {t["modifier"] for t in model.terms} - {t["modifier"] for t in kept}
    definitions = []
    for name, formula in model.definitions:
        if lost & set(names_in(formula)):
            lost.add(name)
        else:
            definitions.append((name, formula))
    return rebuilt(model.name, kept, definitions)


def _varying(model, data, group, missing):
    """Return the model without covariates that have one value in some group, and their names."""
    dropped = (group,) if group in model.covariates else ()
    model = without_covariates(model, dropped) if dropped else model
    frames = requirements.select_rows(model, data, {"missing": missing, "group": group}).frames
    constant = tuple(x for x in model.covariates if any(f[x].nunique() == 1 for f in frames))
    return (without_covariates(model, constant) if constant else model), dropped + constant
