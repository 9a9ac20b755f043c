"""Do regression paths differ between groups?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from semfit.fitting import constrained, estimates, requirements
from semfit.fitting.fitting import Fit, fit
from semfit.messages import Message, message, told
from semfit.syntax.model import Model, as_model
from semfit.testing.compare import chisq_difference, note_columns
from semfit.testing.constraints import holm, layout_with, refit, wald_statistic
from semfit.testing.groups import few_cases, group_sizes, groups_compared

SAME = 1e-7  # a slope along what is free that is none
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
        scaled for MLR and WLSMV); note, note_code and note_values as in `compare`. Holm's correction
        is over the paths.
    fit : Fit
        With all paths free.
    dropped : tuple of str
        Covariates that are constant in a group and were left out.
    group_sizes, problems : DataFrame
        As in `Invariance`, without step.
    message : str
        In words what differs, and what is doubtful about it.
    message_parts : tuple of (str, dict)
        The sentences of `message`, each a code of ``semfit.MESSAGES`` and the values of its fields.
    """

    table: pd.DataFrame = field(repr=False)
    fit: Fit = field(repr=False)
    dropped: tuple[str, ...]
    group_sizes: pd.DataFrame = field(repr=False)
    problems: pd.DataFrame = field(repr=False)
    message: str
    message_parts: tuple[Message, ...] = field(repr=False)


def path_differences(
    model: Model | str | Path,
    data: pd.DataFrame,
    group: str,
    estimator: str = "MLR",
    missing: str = "fiml",
    equal: str | Sequence[str] = ("loadings",),
    free: str | Sequence[str] = (),
    ordered: str | Sequence[str] = (),
    sampling_weights: str | None = None,
    cluster: str | None = None,
) -> PathDifferences:
    """Test which regression paths differ between groups.

    Parameters
    ----------
    model : Model, str or Path
        A label is one parameter in each group (``labels="by_group"`` of `fit`), and so are
        constraints; a path that they make equal in all groups is left out. Covariates that are
        constant in a group (company size among solo companies, the grouping variable) are left out
        of all groups.
    data : DataFrame
    group : str
    estimator, missing, equal, free, ordered, sampling_weights, cluster
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

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; g ~ f + age")
    >>> result = semfit.path_differences(model, semfit.example_data(), "group", "ML", "listwise")
    >>> result.table[["path", "difference", "ci_low", "ci_high", "wald_p", "lrt_p"]].round(3)
            path  difference  ci_low  ci_high  wald_p  lrt_p
    0      g ~ f       0.059  -0.256    0.373   0.715  0.721
    1    g ~ age      -0.073  -0.255    0.110   0.436  0.445
    2  all paths         NaN     NaN      NaN   0.691  0.727
    """
    equal = (equal,) if isinstance(equal, str) else tuple(equal)
    if "regressions" in equal:
        raise ValueError("Regressions are what is compared: leave them out of equal=.")
    model, dropped = _varying(as_model(model), data, group, missing)
    options: dict[str, Any] = {"estimator": estimator, "missing": missing, "group": group}
    options |= {"ordered": ordered, "sampling_weights": sampling_weights, "cluster": cluster}
    one = fit(model, data, **options, equal=equal, free=free, labels="by_group")
    requirements.check_solution(one, "differences of paths")
    paths = _free_paths(one)
    if not paths:
        raise ValueError("The model has no regression path that is free in each group.")
    table = _path_table(one, paths)
    sizes = group_sizes(one)
    parts = _message_parts(one, table, dropped, sizes)
    return PathDifferences(table, one, dropped, sizes, one.problems, told(parts), parts)


def _free_paths(one: Fit) -> dict[str, list[int]]:
    """Return a dict of path ("y ~ x") to the places of its rows, for paths of each group's own."""
    table = one.layout.table.reset_index(drop=True)
    paths = table[table["op"] == "~"].assign(path=lambda t: t["lhs"] + " ~ " + t["rhs"])
    found = {name: rows.index.to_list() for name, rows in paths.groupby("path", sort=False)}
    own = {
        name: rows
        for name, rows in found.items()
        if (table.loc[rows, "parameter"] != "").all() and table.loc[rows, "parameter"].is_unique
    }
    return {name: rows for name, rows in own.items() if _may_differ(one, np.array([rows]))}


def _may_differ(one: Fit, places: np.ndarray) -> bool:
    """Tell whether the model's constraints leave room for every difference of one path."""
    free = constrained.free_directions(one.layout, one.point.theta)
    if free is None:
        return True
    slopes = estimates.derivative(_gaps(one, places), one.point.theta)
    return np.linalg.matrix_rank(slopes.T @ free, tol=SAME) == slopes.shape[1]


def _path_table(one: Fit, paths: dict[str, list[int]]) -> pd.DataFrame:
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
    lrt_df lrt_p lrt_p_holm lrt_method note note_code note_values""".split()
    return table[[*table.columns.drop(order), *order]]


def _gaps(one: Fit, places: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function of theta that gives the differences of paths from the first group's."""

    def gaps(theta: np.ndarray) -> np.ndarray:
        values = one.point.values(theta)[places]
        return (values[:, 1:] - values[:, :1]).ravel()

    return gaps


def _wald(one: Fit, places: np.ndarray) -> dict[str, float]:
    """Return the Wald test that paths (rows by groups) do not differ; the difference, if one."""
    gaps = _gaps(one, places)
    chisq, df = wald_statistic(gaps, one.point, dependent=bool(one.layout.constraints))
    row = {"wald_chisq": chisq, "wald_df": df, "wald_p": float(chi2.sf(chisq, df))}
    names = ["difference", "difference_se", "ci_low", "ci_high"]
    if df > 1 or len(places) > 1:
        return dict.fromkeys(names, np.nan) | row
    one_row = estimates.wald(*estimates.delta_method(gaps, one.point)).iloc[0]
    return dict(zip(names, one_row[["estimate", "se", "ci_low", "ci_high"]], strict=True)) | row


def _likelihood_ratios(one: Fit, paths: list[str]) -> list[dict[str, Any]]:
    """Return the chi-square difference of each path being equal, and of all."""
    equal, free = (*one.options["equal"], "regressions"), one.options["free"]
    others = [[other for other in paths if other != path] for path in paths] + [[]]
    layouts = [layout_with(one, equal, (*free, *rest)) for rest in others]
    rows: list[dict[str, Any]] = []
    for small in refit(one, layouts):
        if not small.converged:
            note = note_columns([message("equal_paths_not_converged")])
            rows.append({"lrt_method": "", **note})
            continue
        test = chisq_difference(one, small)
        row = {"lrt_chisq": test.chisq, "lrt_df": test.df, "lrt_p": test.p}
        note = note_columns([test.reason] if test.reason else [])
        rows.append(row | {"lrt_method": test.method, **note})
    return rows


def _message_parts(
    one: Fit, table: pd.DataFrame, dropped: tuple[str, ...], sizes: pd.DataFrame
) -> tuple[Message, ...]:
    """Return what differs, and what is doubtful about it."""
    parts = [groups_compared(one, sizes)]
    if dropped:
        parts.append(message("left_out_constant", variables=dropped))
    own, p = table.iloc[:-1], float(table["lrt_p"].iloc[-1])
    differ = own.loc[own["lrt_p_holm"] < DIFFERENT, "path"].tolist()
    if differ:
        parts.append(message("paths_differ", paths=differ, p=p))
    else:
        parts.append(message("no_path_differs", p=p))
    parts.append(message("paths_need_equal_loadings"))
    return (*parts, *few_cases(sizes))


def without_covariates(model: Model, names: Collection[str]) -> Model:
    """Return a model without these covariates, their paths and the effects that use these."""
    return model.with_terms([t for t in model.terms if not (t.op == "~" and t.rhs in names)])


def _varying(
    model: Model, data: pd.DataFrame, group: str, missing: str
) -> tuple[Model, tuple[str, ...]]:
    """Return the model without covariates that have one value in some group, and their names."""
    dropped = (group,) if group in model.covariates else ()
    model = without_covariates(model, dropped) if dropped else model
    frames = requirements.select_rows(model, data, {"missing": missing, "group": group}).frames
    constant = tuple(x for x in model.covariates if any(f[x].nunique() == 1 for f in frames))
    return (without_covariates(model, constant) if constant else model), dropped + constant
