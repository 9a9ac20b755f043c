"""Indirect and total effects, and their intervals: delta method, Monte Carlo, bootstrap.

boot = semfit.bootstrap(fit, draws=2000, seed=1, n_jobs=2)
semfit.effects_table(fit, boot, semfit.monte_carlo(fit))  # := effects, methods side by side
semfit.indirect_effects(fit, outcome="reputation")  # without := lines in the model
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import norm

from semfit.effects.bootstrapping import Bootstrap, check_numbers, computed, levels_of
from semfit.fitting.estimates import Point, delta_method, positive_root, wald
from semfit.fitting.fitting import Fit
from semfit.fitting.requirements import check_solution
from semfit.moments.implied import PATH, Implied, Structure

Way: TypeAlias = tuple[int, ...]  # structural variables that a route passes, as places
Effect: TypeAlias = tuple[str, Way]

# ---- Monte Carlo ---------------------------------------------------------------------------------


def monte_carlo(
    fit: Fit, draws: int = 20_000, seed: int = 1, confidence: float = 0.95
) -> pd.DataFrame:
    """Return Monte Carlo intervals of the ``:=`` effects.

    Parameters are drawn from the normal distribution that the fit gives them, N(theta, vcov), and
    each effect is computed in every draw: products of estimates are skewed, which the delta method
    does not know (MacKinnon, Lockwood & Williams 2004; Preacher & Selig 2012).

    Parameters
    ----------
    fit : Fit
    draws : int
    seed : int
    confidence : float

    Returns
    -------
    DataFrame
        name, formula, estimate, mc_se (standard deviation over draws), ci_low, ci_high (quantiles,
        numpy's "linear", R's type 7), std_all, std_mc_se, std_ci_low, std_ci_high (of the formula at
        the standardised estimates), confidence. A draw in which an effect cannot be computed (a
        negative variance to standardise by, the root of a negative number) is left out of it.
        R: ``semTools::monteCarloCI(fit, nRep = draws, level = confidence)``.

    Raises
    ------
    ValueError
        No ``:=`` line in the model, no standard errors, fewer draws than the confidence needs.

    Examples
    --------
    >>> import semfit
    >>> text = "f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; f ~ a*age; g ~ b*f + age; ab := a*b"
    >>> fit = semfit.fit(semfit.read_model(text), semfit.example_data())
    >>> table = semfit.monte_carlo(fit, draws=1000)
    >>> table[["name", "formula", "estimate", "mc_se", "ci_low", "ci_high"]].round(3)
      name formula  estimate  mc_se  ci_low  ci_high
    0   ab     a*b     0.059  0.029   0.002    0.114
    """
    check_numbers(draws, seed, confidence)
    check_solution(fit, "Monte Carlo intervals")
    _check_definitions(fit)
    point = fit.point
    thetas = _normal_draws(point, draws, seed)
    levels = levels_of(confidence)
    parts = [fit.defined[["name", "formula"]]]
    for prefix, estimate, rows in (
        ("", "estimate", point.values),
        ("std_", "std_all", point.standardised),
    ):
        found = computed(point.defined, np.array([rows(theta) for theta in thetas]).T)
        low, high = np.nanquantile(found, levels, axis=1)
        columns = {estimate: fit.defined[estimate], f"{prefix}mc_se": np.nanstd(found, 1, ddof=1)}
        parts.append(pd.DataFrame(columns | {f"{prefix}ci_low": low, f"{prefix}ci_high": high}))
    return pd.concat(parts, axis=1).assign(confidence=confidence)


def _normal_draws(point: Point, draws: int, seed: int) -> np.ndarray:
    """Return draws of theta, (draws, k).

    By the symmetric square root, which is one whatever the linear algebra library, and exists for
    the singular covariance matrix that a sandwich of fewer rows than parameters is.
    """
    se = np.sqrt(np.diag(point.vcov))
    se[~(se > 0)] = 1.0  # of a parameter that constraints fix
    variances, axes = np.linalg.eigh(point.vcov / np.outer(se, se))
    root = axes * np.sqrt(np.maximum(variances, 0)) @ axes.T
    white = np.random.default_rng(seed).standard_normal((draws, len(se)))
    return point.theta + white @ root * se


def _check_definitions(fit: Fit) -> None:
    if not len(fit.defined):
        raise ValueError(
            "The model defines no effect: label its paths and add a line such as "
            "'indirect := a*b', or see indirect_effects(fit)."
        )


# ---- methods side by side ------------------------------------------------------------------------


def effects_table(
    fit: Fit, boot: Bootstrap | None = None, mc: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the ``:=`` effects with the intervals of every method side by side.

    Parameters
    ----------
    fit : Fit
    boot : Bootstrap, optional
        From `bootstrap`.
    mc : DataFrame, optional
        From `monte_carlo`.

    Returns
    -------
    DataFrame
        name, formula, estimate, se, delta_low, delta_high; with `mc` mc_low, mc_high; with `boot`
        boot_se, percentile_low, percentile_high, percentile_p, bca_low, bca_high, bca_p; std_all,
        std_se, and the same intervals of std_all, with ``std_`` before their names; confidence.
        R: the ``:=`` rows of ``parameterEstimates(fit, boot.ci.type = "perc")`` and
        ``semTools::monteCarloCI(fit)``.

    Raises
    ------
    ValueError
        No ``:=`` line, `boot` or `mc` of another fit, or at different confidence.

    Examples
    --------
    >>> import semfit
    >>> text = "f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; f ~ a*age; g ~ b*f + age; ab := a*b"
    >>> fit = semfit.fit(semfit.read_model(text), semfit.example_data())
    >>> table = semfit.effects_table(fit, mc=semfit.monte_carlo(fit, draws=1000))
    >>> table[["name", "estimate", "delta_low", "delta_high", "mc_low", "mc_high"]].round(3)
      name  estimate  delta_low  delta_high  mc_low  mc_high
    0   ab     0.059      0.002       0.116   0.002    0.114
    """
    check_solution(fit, "effects")
    _check_definitions(fit)
    given = {"boot": None if boot is None else boot.defined, "mc": mc}
    levels = set() if boot is None else {boot.confidence}
    levels |= set() if mc is None else set(mc["confidence"])
    if len(levels) > 1:
        raise ValueError(f"boot and mc have different confidence: {sorted(levels)}.")
    for name, table in given.items():
        _check_same(fit, name, table)
    confidence = levels.pop() if levels else 0.95
    parts = [fit.defined[["name", "formula"]]]
    for prefix, estimate, se in (("", "estimate", "se"), ("std_", "std_all", "std_se")):
        parts.append(_side_by_side(fit.defined, given, prefix, estimate, se, confidence))
    return pd.concat(parts, axis=1).assign(confidence=confidence)


def _side_by_side(
    defined: pd.DataFrame,
    given: Mapping[str, pd.DataFrame | None],
    prefix: str,
    estimate: str,
    se: str,
    confidence: float,
) -> pd.DataFrame:
    z = norm.ppf((1 + confidence) / 2)
    columns = {estimate: defined[estimate], se: defined[se]}
    columns[f"{prefix}delta_low"] = defined[estimate] - z * defined[se]
    columns[f"{prefix}delta_high"] = defined[estimate] + z * defined[se]
    mc, boot = given["mc"], given["boot"]
    if mc is not None:
        for end in ("low", "high"):
            columns[f"{prefix}mc_{end}"] = mc[f"{prefix}ci_{end}"].to_numpy()
    if boot is not None:
        columns[f"{prefix}boot_se"] = boot[f"{prefix}boot_se"].to_numpy()
        for method, name in (("percentile", "ci"), ("bca", "bca")):
            for end in ("low", "high"):
                source = boot[f"{prefix}{name}_{end}"]
                columns[f"{prefix}{method}_{end}"] = source.to_numpy()
            p = boot[f"{prefix}{'p' if name == 'ci' else 'bca_p'}"]
            columns[f"{prefix}{method}_p"] = p.to_numpy()
    return pd.DataFrame(columns)


def _check_same(fit: Fit, name: str, table: pd.DataFrame | None) -> None:
    columns = ["name", "formula"]
    if table is None:
        return
    same = table[columns].equals(fit.defined[columns])
    if not same or not np.allclose(table["estimate"], fit.defined["estimate"], equal_nan=True):
        raise ValueError(f"{name}= is of another fit: make it from this one.")


# ---- effects along the paths of a model ----------------------------------------------------------


def indirect_effects(
    fit: Fit, outcome: str | None = None, predictor: str | None = None
) -> pd.DataFrame:
    """Return direct, indirect and total effects along the paths of a model, without ``:=`` lines.

    With B the paths among the structural variables (a latent variable of second order reaches others
    by its loadings too): total effects are (I - B)^-1 - I, total indirect ones (I - B)^-1 - I - B
    (Bollen 1987); a specific indirect effect is the product of the paths along one route.

    Parameters
    ----------
    fit : Fit
    outcome, predictor : str, optional
        Only effects on, or of, this variable. Default: every pair of variables that a route of two
        or more paths connects.

    Returns
    -------
    DataFrame
        group, predictor, outcome, effect ("direct", "specific indirect", "total indirect",
        "total"), path ("motivation -> use -> perception"; "" for totals), estimate, se, z, p,
        ci_low, ci_high (95 %, delta method with the standard errors of the fit), std_all, std_se.
        A pair without an arrow between them has no direct effect, and no such row. In a model with
        feedback, routes pass a variable once, and totals count every round besides. R: the
        ``:=`` rows of a model that defines them.

    Raises
    ------
    ValueError
        The fit has no solution; no such variable, no route of two or more paths, or feedback that
        does not die out.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; f ~ age; g ~ f + age")
    >>> fit = semfit.fit(model, semfit.example_data())
    >>> table = semfit.indirect_effects(fit, outcome="g")
    >>> table[["effect", "path", "estimate", "ci_low", "ci_high"]].round(3)
                  effect           path  estimate  ci_low  ci_high
    0             direct       age -> g     0.176   0.081    0.272
    1  specific indirect  age -> f -> g     0.059   0.002    0.116
    2     total indirect                    0.059   0.002    0.116
    3              total                    0.235   0.131    0.340
    """
    check_solution(fit, "indirect effects")
    parts = []
    for structure, label in zip(fit.point.structures, fit.groups, strict=True):
        effects_here = _effects_of(structure, fit.point.theta, outcome, predictor)
        point, names = fit.point, structure.structural

        def values(
            theta: np.ndarray,
            structure: Structure = structure,
            chosen: Sequence[Effect] = effects_here,
        ) -> np.ndarray:
            return np.concatenate(_effect_values(structure, theta, chosen))

        estimate, se = delta_method(values, point)
        size = len(effects_here)
        rows = [(names[way[0]], names[way[-1]], kind, way) for kind, way in effects_here]
        table = pd.DataFrame(rows, columns=["predictor", "outcome", "effect", "path"])
        table["path"] = [
            "" if "total" in kind else " -> ".join(names[i] for i in way)
            for kind, way in effects_here
        ]
        table.insert(0, "group", label)
        table = pd.concat([table, wald(estimate[:size], se[:size])], axis=1)
        parts.append(table.assign(std_all=estimate[size:], std_se=se[size:]))
    return pd.concat(parts, ignore_index=True)


def _effects_of(
    structure: Structure, theta: np.ndarray, outcome: str | None, predictor: str | None
) -> list[Effect]:
    """Return (effect, route) of what is asked, routes as places of structural variables."""
    names = list(structure.structural)
    for role, name in (("outcome", outcome), ("predictor", predictor)):
        if name is not None and name not in names:
            close = difflib.get_close_matches(str(name), names, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"{role}={name!r} takes part in no regression.{hint} There are: {', '.join(names)}."
            )
    paths = path_matrix(structure, structure.implied(theta))
    if np.abs(np.linalg.eigvals(paths)).max(initial=0) >= 1:
        raise ValueError("The model's feedback does not die out: it has no total effects.")
    arrows = _arrows(structure)
    found: list[Effect] = []
    for start, first in enumerate(names):
        for end, last in enumerate(names):
            if start == end or (predictor or first) != first or (outcome or last) != last:
                continue
            routes = sorted(_routes(arrows, (start,), end), key=lambda way: (len(way), way))
            if routes and len(routes[-1]) > 2:
                found += [("direct" if len(w) == 2 else "specific indirect", w) for w in routes]
                found += [("total indirect", (start, end)), ("total", (start, end))]
    if not found:
        of, on = predictor or "any variable", outcome or "any other"
        raise ValueError(
            f"The model has no indirect effect of {of} on {on}: no route of two paths."
        )
    return found


def path_matrix(structure: Structure, implied: Implied) -> np.ndarray:
    """Return B: the path from variable j to variable i is B[i, j]."""
    rows = structure.kind == PATH
    matrix = np.zeros((structure.m, structure.m), dtype=implied.values.dtype)
    matrix[structure.row[rows], structure.column[rows]] = implied.values[rows]
    return matrix


def _arrows(structure: Structure) -> dict[int, list[int]]:
    """Return, for each structural variable, those to which a path leads that is not fixed at 0."""
    free = np.zeros(len(structure.kind), dtype=bool)
    free[structure.free] = True
    rows = np.flatnonzero((structure.kind == PATH) & (free | (structure.fixed != 0)))
    arrows: dict[int, list[int]] = {place: [] for place in range(structure.m)}
    for row in rows:
        arrows[int(structure.column[row])].append(int(structure.row[row]))
    return arrows


def _routes(arrows: Mapping[int, Sequence[int]], way: Way, end: int) -> Iterator[Way]:
    """Yield every route that continues `way` to `end` and passes no variable twice."""
    for place in arrows[way[-1]]:
        if place == end:
            yield (*way, end)
        elif place not in way:
            yield from _routes(arrows, (*way, place), end)


def _effect_values(
    structure: Structure, theta: np.ndarray, chosen: Sequence[Effect]
) -> tuple[np.ndarray, np.ndarray]:
    """Return raw and standardised values of effects given as (effect, route)."""
    implied = structure.implied(theta)
    direct = path_matrix(structure, implied)
    total = implied.inverse - np.eye(structure.m)
    sd = positive_root(np.diag(implied.latent_cov))
    raw, scale = [], []
    for effect, way in chosen:
        start, end = way[0], way[-1]
        if effect == "total":
            raw.append(total[end, start])
        elif effect == "total indirect":
            raw.append(total[end, start] - direct[end, start])
        else:
            raw.append(np.prod(direct[way[1:], way[:-1]]))
        scale.append(sd[start] / sd[end])
    return np.array(raw), np.array(raw) * np.array(scale)
