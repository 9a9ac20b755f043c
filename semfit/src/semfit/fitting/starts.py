"""Where a search begins: starting values made from the model and the sample moments.

A sketch of the whole model is made in standard units, every variable with variance 1:

1. A latent variable is the one factor of its indicators (principal axes), its sign that of its
   marker; one whose indicators are latent follows those. What earlier factors of the same indicators
   explain is taken off first, for general and specific factors.
2. Its covariances with all others are those of its indicators, least squares: C.
3. Paths are regressions within C, given the loadings. With M all loadings and paths, what is left
   over is (I - M) C (I - M)': residual variances and covariances.
4. Units come last, from what is fixed: a loading of 1, or a variance of 1. So the units of the
   variables do not matter.

Fixed values are kept, and ``start()`` goes before the sketch. Last, the start is repaired: covariances
are made smaller, and variances that a fixed covariance asks for larger, until all is positive definite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from semfit.syntax.parameters import Layout

Thresholds = Mapping[tuple[str, str], float]  # (variable, "t1") to value

SEED = 20121001
LEAST_LOADING = 0.3  # of a marker: what the unit of the factor rests on
LARGEST_LOADING = 0.95
LARGEST_CORRELATION = 0.9
LEAST_RESIDUAL = 0.15  # share of the variance
AXES = 6  # steps of principal axes
RIDGE = 0.02  # regressions among predictors that are nearly the same
PROPER = 1e-2  # smallest eigenvalue of residual correlations at a start
FAR = 10.0  # a loading, in standard units, that ran away
SHRINKING, GROWING = 0.5 ** np.arange(6), 2.0 ** np.arange(1, 30)


@dataclass(frozen=True, eq=False)
class Start:
    """What starting values are made from.

    Attributes
    ----------
    cov : ndarray (p, p)
        Of all groups together, within groups; of ordered variables polychoric.
    means : sequence of ndarray (p,)
        Sample means of each group, for intercepts.
    thresholds : sequence of dict, optional
        (variable, "t1") to value, for each group.
    """

    cov: np.ndarray
    means: Sequence[np.ndarray]
    thresholds: Sequence[Thresholds] | None = None


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one group's parameter table as arrays.

    Attributes
    ----------
    op : ndarray of str
    lhs, rhs : ndarray of int
        Places among the variables, latent ones first; of a threshold or intercept, rhs is 0.
    rhs_name : list of str
    which : ndarray of int
        Place of the free parameter, -1 of a fixed row.
    value : ndarray
        Of a fixed row, else NaN; NaN too of the moments of fixed covariates.
    given : ndarray
        The user's ``start()``, else NaN.
    """

    op: np.ndarray
    lhs: np.ndarray
    rhs: np.ndarray
    rhs_name: list[str]
    which: np.ndarray
    value: np.ndarray
    given: np.ndarray

    def of(self, *ops: str) -> np.ndarray:
        """Return the places of the rows of some kinds."""
        return np.flatnonzero(np.isin(self.op, ops))


@dataclass(eq=False)
class Sketch:
    """A model in standard units, and the unit of each variable.

    Attributes
    ----------
    n_latent : int
    unit : ndarray (v,)
        Standard deviations, of latent variables first.
    total : ndarray (v, v)
        C, covariances of all variables in standard units.
    effects : ndarray (v, v)
        M, what a variable (row) takes from others, in standard units.
    """

    n_latent: int
    unit: np.ndarray
    total: np.ndarray
    effects: np.ndarray
    known: set[int] = field(default_factory=set)

    def residual(self) -> np.ndarray:
        """Return (I - M) C (I - M)', with residual variances of at least `LEAST_RESIDUAL`."""
        left = np.eye(len(self.total)) - self.effects
        result = left @ self.total @ left.T
        least = np.maximum(np.diag(result), LEAST_RESIDUAL * np.diag(self.total))
        result[np.diag_indices_from(result)] = least
        return result


class Starts:
    """The places where a search of a model begins.

    Parameters
    ----------
    layout : parameters.Layout
    start : Start

    Attributes
    ----------
    theta : ndarray (k,)
        The first.
    units : ndarray (k,)
        Size of a considerable change of each parameter; 1 for variables with variance 1.
    variances : ndarray of int
        Places of free variances.
    """

    def __init__(self, layout: Layout, start: Start) -> None:
        k, first = len(layout.parameters), None
        self.groups = [rows_of(layout, place) for place in range(len(layout.groups))]
        self.units, theta = np.ones(k), np.full(k, np.nan)
        for place, rows in enumerate(self.groups):
            sketch = sketched(len(layout.model.latents), rows, start.cov, first)
            first = first or sketch
            values, sizes = _row_values(layout, rows, sketch, start, place)
            for at, value, size, given in zip(rows.which, values, sizes, rows.given, strict=True):
                if at >= 0 and np.isnan(theta[at]):
                    theta[at], self.units[at] = value if np.isnan(given) else given, size
        self.theta = repaired(self.groups, theta)
        free = [r.which[(r.op == "~~") & (r.lhs == r.rhs) & (r.which >= 0)] for r in self.groups]
        self.variances = np.unique(np.concatenate(free))

    def further(self, number: int) -> Iterator[np.ndarray]:
        """Yield other starts around the first, the same ones every time.

        Loadings and paths times a number between -.5 and 2.5, covariances between -1 and 1,
        variances between e^-1 and e.
        """
        random, kind = np.random.default_rng(SEED), np.full(len(self.theta), "", dtype="<U3")
        for rows in self.groups:
            free = rows.which >= 0
            names = np.where(rows.lhs == rows.rhs, "var", "cov")
            kind[rows.which[free]] = np.where(rows.op == "~~", names, rows.op)[free]
        for _ in range(number):
            draw = random.uniform(-1, 1, len(self.theta))
            factor = np.where(np.isin(kind, ("=~", "~")), 1 + 1.5 * draw, 1.0)
            factor = np.where(kind == "cov", draw, np.where(kind == "var", np.exp(draw), factor))
            yield repaired(self.groups, self.theta * factor)

    def mirrored(self, theta: np.ndarray) -> Iterator[np.ndarray]:
        """Yield points across infinity from where loadings ran away; none if none did.

        Where the loading of a marker, fixed at 1, had better be 0, the others go to infinity. Beyond
        it they have the other sign, and the moments are nearly the same: the search can go on there.
        Where one alone goes to infinity, it may be the variance of the factor that goes through 0.
        """
        for turn in (_turn_loadings, _turn_variance):
            other = theta.copy()
            for rows in self.groups:
                loadings = rows.of("=~")
                free = loadings[rows.which[loadings] >= 0]
                far = free[np.abs(theta[rows.which[free]] / self.units[rows.which[free]]) > FAR]
                for latent in np.unique(rows.lhs[far]):
                    turn(rows, other, latent, far[rows.lhs[far] == latent])
            if (other != theta).any():
                yield other


def _turn_loadings(rows: Rows, theta: np.ndarray, latent: int, _: np.ndarray) -> None:
    """Change the signs of the free loadings of a latent variable, and of its covariances."""
    own = (rows.lhs == latent) != (rows.rhs == latent)
    theta[_free(rows, np.flatnonzero(own))] *= -1


def _turn_variance(rows: Rows, theta: np.ndarray, latent: int, far: np.ndarray) -> None:
    """Change the signs of a factor's variance, of one far loading, and of what it takes from others."""
    variance = rows.which[(rows.op == "~~") & (rows.lhs == latent) & (rows.rhs == latent)]
    if len(far) != 1 or not len(variance) or variance[0] < 0:
        return
    item, loading = rows.rhs[far[0]], theta[rows.which[far[0]]]
    residual = (rows.op == "~~") & (rows.lhs == item) & (rows.rhs == item)
    theta[_free(rows, np.flatnonzero(residual))] += 2 * loading**2 * theta[variance[0]]
    own = (rows.op == "~~") & ((rows.lhs == latent) | (rows.rhs == latent))
    own |= (rows.op == "~") & (rows.lhs == latent) | (rows.op == "=~") & (rows.rhs == latent)
    own[far] = True
    theta[_free(rows, np.flatnonzero(own))] *= -1


def rows_of(layout: Layout, place: int) -> Rows:
    """Return the `Rows` of one group."""
    table, model = layout.rows(place), layout.model
    variables = {name: i for i, name in enumerate([*model.latents, *model.observed])}
    order = {name: i for i, name in enumerate(layout.parameters)}
    op, lhs, names = (table[c].to_list() for c in ("op", "lhs", "rhs"))
    left, right = (
        np.array([variables.get(name, 0) for name in side], dtype=int) for side in (lhs, names)
    )
    value = table["value"].to_numpy(dtype=float)
    given = table["start"].to_numpy(dtype=float) if "start" in table else np.full(len(op), np.nan)
    which = np.array([order.get(name, -1) for name in table["parameter"].to_list()], dtype=int)
    return Rows(np.array(op, dtype=str), left, right, names, which, value, given)


# ---- the sketch ----------------------------------------------------------------------------------


def sketched(n_latent: int, rows: Rows, cov: np.ndarray, first: Sketch | None) -> Sketch:
    """Return the `Sketch` of one group.

    Parameters
    ----------
    n_latent : int
    rows : Rows
    cov : ndarray (p, p)
    first : Sketch or None
        Of the first group: the unit of a latent variable for which this group fixes nothing.
    """
    m, p = n_latent, len(cov)
    sd = np.sqrt(np.diag(cov))
    total = np.eye(m + p)
    total[m:, m:] = shrunk(cov / np.outer(sd, sd), PROPER)
    unit = np.concatenate([np.ones(m), sd])
    sketch = Sketch(m, unit, total, np.zeros_like(total), set(range(m, m + p)))
    for latent, loadings in _bottom_up(rows, m):
        _enter_factor(sketch, rows, latent, loadings, first)
    sketch.total = shrunk(sketch.total, PROPER)
    _enter_paths(sketch, rows)
    _enter_residual_units(sketch, rows)
    return sketch


def _bottom_up(rows: Rows, n_latent: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (latent variable, rows of its loadings): after its indicators, general factors first."""
    of_latent = {f: rows.of("=~")[rows.lhs[rows.of("=~")] == f] for f in range(n_latent)}
    waiting = sorted((f for f in of_latent if len(of_latent[f])), key=lambda f: -len(of_latent[f]))
    while waiting:
        ready = [f for f in waiting if not set(rows.rhs[of_latent[f]]) & set(waiting)]
        for latent in ready or waiting[:1]:
            waiting.remove(latent)
            yield latent, of_latent[latent]


def _enter_factor(
    sketch: Sketch, rows: Rows, latent: int, loadings: np.ndarray, first: Sketch | None
) -> None:
    """Enter loadings, unit and covariances of a latent variable."""
    items, fixed = rows.rhs[loadings], rows.value[loadings]
    effects = sketch.effects[items]
    shared = sketch.total[np.ix_(items, items)] - effects @ effects.T  # earlier factors of them
    marked = np.flatnonzero(np.nan_to_num(fixed) != 0)
    if len(marked) == len(items) > 1:
        weights = fixed / sketch.unit[items]
        values = weights * np.sqrt(_common_variance(shared, weights))
    else:
        values = _free_loadings(shared, rows, items, fixed)
    mark = marked[0] if len(marked) else 0
    if values[mark] * (fixed[mark] if len(marked) else 1.0) < 0:
        values = -values
    sketch.effects[items, latent] = values
    _enter_covariances(sketch, latent, items, values)
    sketch.unit[latent] = _unit(sketch, rows, latent, (items, values, fixed), first)


def _free_loadings(
    shared: np.ndarray, rows: Rows, items: np.ndarray, fixed: np.ndarray
) -> np.ndarray:
    """Return loadings that are not all fixed, 0 where one is fixed at 0."""
    used = np.flatnonzero(fixed != 0)
    values = np.zeros(len(items))
    if len(used) == 1:
        own = rows.value[(rows.op == "~~") & (rows.lhs == rows.rhs) & (rows.lhs == items[used[0]])]
        values[used] = 1.0 if len(own) and own[0] == 0 else 0.8
    elif len(used):
        values[used] = one_factor(shared[np.ix_(used, used)])
        mark = used[0] if not (fixed[used] > 0).any() else used[np.argmax(fixed[used] > 0)]
        sign = -1.0 if values[mark] < 0 else 1.0
        values[mark] = sign * max(abs(values[mark]), LEAST_LOADING)
    return values


def one_factor(correlations: np.ndarray) -> np.ndarray:
    """Return loadings (k,) of the one factor of k >= 2 variables, by principal axes."""
    k = len(correlations)
    off = correlations - np.diag(np.diag(correlations))
    if k == 2:
        size = np.clip(np.sqrt(abs(off[0, 1])), LEAST_LOADING, LARGEST_LOADING)
        return size * np.array([1.0, -1.0 if off[0, 1] < 0 else 1.0])
    common = np.abs(off).max(axis=0)
    loadings = np.zeros(k)
    for _ in range(AXES):
        values, vectors = np.linalg.eigh(off + np.diag(common))
        loadings = vectors[:, -1] * np.sqrt(max(values[-1], LEAST_LOADING**2))
        common = np.clip(loadings**2, 0.05, LARGEST_LOADING**2)
    return np.clip(loadings, -LARGEST_LOADING, LARGEST_LOADING)


def _common_variance(shared: np.ndarray, weights: np.ndarray) -> float:
    """Return the variance of a factor whose loadings are all fixed: least squares, not below .1."""
    upper = np.triu_indices(len(weights), 1)
    products = np.outer(weights, weights)
    explained = np.sum(shared[upper] * products[upper]) / np.sum(products[upper] ** 2)
    return max(explained, 0.1 / np.mean(weights**2))


def _enter_covariances(sketch: Sketch, latent: int, items: np.ndarray, values: np.ndarray) -> None:
    """Enter the covariances of a factor: its loadings, and of others what its indicators share."""
    size = max(values @ values, LEAST_LOADING**2)
    others = np.array(sorted(sketch.known - set(items)), dtype=int)
    shared = values @ sketch.total[np.ix_(items, others)] / size
    shared = np.clip(shared, -LARGEST_CORRELATION, LARGEST_CORRELATION)
    sketch.total[latent, others] = sketch.total[others, latent] = shared
    sketch.total[latent, items] = sketch.total[items, latent] = values
    sketch.known.add(latent)


def _unit(
    sketch: Sketch,
    rows: Rows,
    latent: int,
    found: tuple[np.ndarray, np.ndarray, np.ndarray],
    first: Sketch | None,
) -> float:
    """Return the unit of a latent variable: of a fixed loading, of a fixed variance, or of all."""
    items, values, fixed = found
    marked = np.nan_to_num(fixed) != 0
    raw = values * sketch.unit[items]
    if marked.any() and (raw[marked] != 0).any():
        weight = fixed[marked] / sketch.unit[items][marked]
        return float(np.abs(weight @ values[marked]) / (weight @ weight))
    variance = _fixed_variance(rows, latent)
    if variance > 0:
        return float(np.sqrt(variance))
    if first is not None:
        return float(first.unit[latent])
    return float(np.abs(raw).mean()) or 1.0


def _fixed_variance(rows: Rows, variable: int) -> float:
    own = rows.value[(rows.op == "~~") & (rows.lhs == variable) & (rows.rhs == variable)]
    return float(np.nan_to_num(own[0])) if len(own) else 0.0


def _enter_paths(sketch: Sketch, rows: Rows) -> None:
    """Enter regressions, given the loadings and what is fixed; keep loops short of exploding."""
    paths = rows.of("~")
    for outcome in np.unique(rows.lhs[paths]):
        own = paths[rows.lhs[paths] == outcome]
        causes, fixed = rows.rhs[own], rows.value[own]
        scaled = fixed * sketch.unit[causes] / sketch.unit[outcome]
        known = ~np.isnan(scaled)
        sketch.effects[outcome, causes[known]] = scaled[known]
        free = causes[~known]
        if len(free):
            left = sketch.total[free, outcome] - sketch.total[free] @ sketch.effects[outcome]
            matrix = sketch.total[np.ix_(free, free)] + RIDGE * np.eye(len(free))
            sketch.effects[outcome, free] = np.clip(np.linalg.solve(matrix, left), -1, 1)
    looped = sketch.effects.copy()
    while len(paths) and np.abs(np.linalg.eigvals(looped)).max() > LARGEST_CORRELATION:
        free = paths[np.isnan(rows.value[paths])]
        if not len(free) or np.abs(looped[rows.lhs[free], rows.rhs[free]]).max() < 1e-3:
            return
        looped[rows.lhs[free], rows.rhs[free]] /= 2
        sketch.effects = looped


def _enter_residual_units(sketch: Sketch, rows: Rows) -> None:
    """Give a latent variable whose residual variance is fixed, and no loading, the unit for that."""
    loadings, residual = rows.of("=~"), np.diag(sketch.residual())
    for latent in range(sketch.n_latent):
        values = rows.value[loadings[rows.lhs[loadings] == latent]]
        variance = _fixed_variance(rows, latent)
        if variance > 0 and not np.nan_to_num(values).any():
            sketch.unit[latent] = np.sqrt(variance / residual[latent])


def shrunk(matrix: np.ndarray, least: float) -> np.ndarray:
    """Return a matrix with unit diagonal, off it moved to 0 as far as needed to be well conditioned."""
    lack = least - np.linalg.eigvalsh(matrix)[0]
    weight = max(lack, 0.0) / (1 - least + max(lack, 0.0))
    return (1 - weight) * matrix + weight * np.eye(len(matrix))


# ---- values of the rows --------------------------------------------------------------------------


def _row_values(
    layout: Layout, rows: Rows, sketch: Sketch, start: Start, place: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (value, unit) of each row of a group."""
    unit, residual = sketch.unit, sketch.residual()
    lhs, rhs, op = rows.lhs, rows.rhs, rows.op
    loading, path, covariance = op == "=~", op == "~", op == "~~"
    sizes = np.where(loading, unit[rhs] / unit[lhs], np.where(path, unit[lhs] / unit[rhs], 1.0))
    sizes = np.where(covariance, unit[lhs] * unit[rhs], sizes)
    values = np.where(loading, sketch.effects[rhs, lhs], sketch.effects[lhs, rhs])
    values = np.where(covariance, residual[lhs, rhs], values) * sizes
    means = _means(rows, sketch, start.means[place])
    raw = sketch.effects * np.outer(unit, 1 / unit)
    intercepts = means - raw @ means
    constant = op == "~1"
    values[constant], sizes[constant] = intercepts[lhs[constant]], unit[lhs[constant]]
    values[op == "~*~"] = 1.0
    for row in np.flatnonzero(op == "|"):
        known = (start.thresholds or [])[place]
        name = layout.model.observed[lhs[row] - sketch.n_latent]
        values[row] = known[name, rows.rhs_name[row]] + means[lhs[row]]
    return values, sizes


def _means(rows: Rows, sketch: Sketch, sample: np.ndarray) -> np.ndarray:
    """Return the mean of each variable: the sample's, of latent and ordered ones what follows.

    A latent mean is free where its indicators have fixed intercepts (growth): least squares.
    """
    m, raw = sketch.n_latent, sketch.effects * np.outer(sketch.unit, 1 / sketch.unit)
    means = np.concatenate([np.zeros(m), sample])
    constants = rows.of("~1")
    fixed = {
        int(v): float(x) for v, x in zip(rows.lhs[constants], rows.value[constants], strict=True)
    }
    free = [v for v in range(m) if v in fixed and np.isnan(fixed[v])]
    given = [v for v in range(m, len(means)) if not np.isnan(fixed.get(v, np.nan))]
    ordered = set(rows.lhs[rows.of("|")])
    items = [v for v in given if v not in ordered and raw[v, free].any()]
    if free and items:
        left = means[items] - [fixed[v] for v in items]
        scale = sketch.unit[items]
        means[free] = np.linalg.lstsq(raw[np.ix_(items, free)] / scale[:, None], left / scale)[0]
    for _ in range(m + 1):
        for v in [*(v for v in range(m) if v not in free), *ordered]:
            means[v] = np.nan_to_num(fixed.get(v, 0.0)) + raw[v] @ means
    return means


# ---- repair --------------------------------------------------------------------------------------


def repaired(groups: Sequence[Rows], theta: np.ndarray) -> np.ndarray:
    """Return starting values at which residual covariance matrices are positive definite.

    Free covariances are made smaller; where a fixed one is too large, free variances are made larger.
    """
    theta = theta.copy()
    for rows in groups:
        own = rows.of("~~")
        same = rows.lhs[own] == rows.rhs[own]
        variances, covariances = _free(rows, own[same]), _free(rows, own[~same])
        theta[variances] = np.abs(theta[variances])
        before = theta[covariances].copy()
        for factor in [*SHRINKING, 0.0]:
            theta[covariances] = factor * before
            if _is_proper(rows, theta):
                break
        else:
            _grow(rows, theta, own[same], own[~same])
    return theta


def _free(rows: Rows, places: np.ndarray) -> np.ndarray:
    return np.unique(rows.which[places][rows.which[places] >= 0])


def _grow(rows: Rows, theta: np.ndarray, own: np.ndarray, pairs: np.ndarray) -> None:
    """Make the variances larger that a fixed covariance is too large for."""
    fixed = pairs[(rows.which[pairs] < 0) & (np.nan_to_num(rows.value[pairs]) != 0)]
    touched = np.isin(rows.lhs[own], [*rows.lhs[fixed], *rows.rhs[fixed]])
    variances = _free(rows, own[touched])
    before = theta[variances].copy()
    for factor in GROWING:
        theta[variances] = factor * before
        if _is_proper(rows, theta):
            return


def _is_proper(rows: Rows, theta: np.ndarray) -> bool:
    """Tell whether the residual covariances of a group are positive definite; a variance may be 0."""
    own = rows.of("~~")
    values = np.where(rows.which[own] >= 0, theta[rows.which[own]], rows.value[own])
    size = int(max(rows.lhs[own].max(initial=0), rows.rhs[own].max(initial=0))) + 1
    matrix = np.zeros((size, size))
    matrix[rows.lhs[own], rows.rhs[own]] = matrix[rows.rhs[own], rows.lhs[own]] = values
    matrix[np.isnan(matrix)] = 0.0  # derived residual variances of ordered variables
    kept = np.diag(matrix) > 0
    matrix = matrix[np.ix_(kept, kept)]
    scale = np.sqrt(np.diag(matrix))
    return not kept.any() or bool(
        np.linalg.eigvalsh(matrix / np.outer(scale, scale))[0] > PROPER / 10
    )
