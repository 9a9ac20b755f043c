"""Sample statistics of ordered, numeric and exogenous variables, and their asymptotic covariance.

What diagonally weighted least squares fits a model to (lavaan's estimator WLSMV): thresholds,
intercepts, slopes on covariates, variances and (polychoric) correlations, given the covariates.
Three steps (Muthén 1984): each variable by itself (`semfit.moments.margins`), each pair with those
held fixed (`semfit.moments.binormal`), and the covariance of all estimates from the respondents'
scores.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from semfit.moments.binormal import (
    BEYOND,
    MixedPairs,
    NumericPairs,
    OrderedPairs,
    PairScores,
    intervals,
)
from semfit.moments.design import SIMPLE, Design
from semfit.moments.margins import Data, Margin, margin_of, prepare
from semfit.moments.polychoric import refuse_perfect, without_single_zero

NEARLY_ONE = 0.99  # a correlation to warn about, as lavaan does
CHUNK = 40_000  # numbers per array of a likelihood: they stay in the processor's cache

Row = tuple[str, str, str]  # kind, lhs, rhs of a statistic
Pairs = OrderedPairs | MixedPairs | NumericPairs
Likelihood = tuple[Pairs, np.ndarray | None]  # and in which of its rows each respondent is


@dataclass(frozen=True, eq=False)
class OrdinalMoments:
    """Sample statistics of one group.

    Attributes
    ----------
    n : int
        Respondents.
    names, ordered, covariates : tuple of str
        Variables that are modelled, in order; which of them are ordered; what they are given.
    levels : dict, name of the ordered variable -> tuple of its values, sorted
    table : DataFrame
        One row per statistic, in the order of lavaan's ``lavInspect(fit, "wls.obs")``: thresholds
        and intercepts variable by variable; slopes, covariate by covariate; variances of numeric
        variables; covariances, the lower triangle column by column. Columns: kind ("threshold",
        "intercept", "slope", "variance", "covariance"), lhs, rhs ("t1", "t2" ... of a threshold;
        "" of an intercept; the covariate of a slope; the same variable of a variance; the later
        variable of a covariance) and value. An **intercept has its sign reversed**, as in lavaan:
        like a threshold, it is what the latent response must exceed. A numeric variable's mean is
        *minus* the value. Given covariates, all are of the regression on them (of the residuals).
    values : ndarray (q,)
        Column `value` of `table`.
    gamma : ndarray (q, q)
        Asymptotic covariance matrix of sqrt(n) times `values`; its rank is below q when n is.
        R: ``lavInspect(fit, "gamma")``.
    variances : ndarray (q,)
        Diagonal of what `gamma` would be without clusters; of the weights of a fit.
    correlations : ndarray (p, p)
        See `polychoric`.
    """

    n: int
    names: tuple[str, ...]
    ordered: tuple[str, ...]
    covariates: tuple[str, ...]
    levels: dict[str, tuple[float, ...]]
    table: pd.DataFrame
    values: np.ndarray
    gamma: np.ndarray
    variances: np.ndarray
    correlations: np.ndarray

    @property
    def polychoric(self) -> pd.DataFrame:
        """Correlations (p, p): polychoric, polyserial or Pearson's; of residuals, with covariates.

        R: ``cov2cor(lavInspect(fit, "sampstat")$cov)``; with covariates, ``$res.cov``.
        """
        return pd.DataFrame(self.correlations, self.names, self.names)


def ordinal_moments(
    frame: pd.DataFrame,
    ordered: Iterable[str],
    covariates: Iterable[str] = (),
    levels: Mapping[str, Any] | None = None,
    design: Design = SIMPLE,
    gaps: bool = False,
) -> OrdinalMoments:
    """Thresholds, slopes, variances and polychoric correlations of one group, with covariance.

    Parameters
    ----------
    frame : DataFrame, respondents x variables
        Modelled variables and covariates, nothing else. A missing value is refused, unless `gaps`.
    ordered : iterable of str
        Modelled variables that are ordered categories (2 to 50 values, whatever they are); at least
        one. Every other is numeric.
    covariates : iterable of str
        Exogenous variables, numeric or 0/1. Statistics are conditional on them.
    levels : dict, name of an ordered variable -> its values, optional
        To refuse a category that is empty in this group. Without it: the values that occur.
    design : Design
        Weights and clusters of the rows. Rows of weight 0 have no influence.
    gaps : bool
        Modelled variables may have missing values: what is of one variable rests on those who have
        it, a correlation on those who have both (``missing="pairwise"``).

    Returns
    -------
    OrdinalMoments
        R: ``fit <- lavaan::sem(model, data, ordered = ordered, estimator = "WLSMV");
        lavInspect(fit, "wls.obs"); lavInspect(fit, "gamma")``.

    Raises
    ------
    ValueError
        What is not numeric, infinite, missing or not there; too few rows; a constant variable; an
        ordered variable with an empty category or more than 50; a variable that covariates predict
        perfectly; collinear covariates; perfectly associated variables. It names them.

    Warns
    -----
    UserWarning
        For a correlation beyond .99.

    Notes
    -----
    With the scores s1 of the first step and s2 of the second, and A their cross-products where a
    variable or pair is concerned, the influence of a respondent is s1 A11^-1 and (s2 - A21 A11^-1
    s1) / A22; gamma is n times the cross-product of influences (Muthén 1984; Muthén & Satorra
    1995). With weights w, cross-products are weighted and influences multiplied by w; with clusters,
    influences are summed over each (`Design.summed`) before gamma's cross-product. Covariances are correlations times standard deviations, by the delta method. Empty cells:
    see `semfit.moments.polychoric.without_single_zero`; with covariates nothing is added.

    The numbers are lavaan 0.6-14's, except where its search goes astray: with covariates far from 0
    (as an age) it ends a polyserial correlation at its bound of .995 with a warning, and it leaves
    out respondents whose likelihood is below 1.5e-8, in the units of the variables. Covariates are
    centred here, which changes no correlation, and every respondent counts.
    """
    n = len(frame)
    if design.weights is not None and not design.weights.all():
        counted = design.weights > 0
        frame, design = frame[counted], design.part(counted)
    data = prepare(frame, ordered, covariates, levels, design, gaps)
    margins = [margin_of(data, name) for name in data.names]
    correlations, pair_influence = _second_step(data, margins)
    blocks = [_own_units(data, margin) for margin in margins]
    blocks.append((*_covariances(margins, correlations), pair_influence))
    rows = [row for block in blocks for row in block[0]]
    order = np.argsort([_place(*row, data.covariates) for row in rows], kind="stable")
    values = np.concatenate([block[1] for block in blocks])[order]
    influence = np.hstack([block[2] for block in blocks])[:, order]
    table = pd.DataFrame([rows[k] for k in order], columns=["kind", "lhs", "rhs"])
    summed = design.summed(influence)
    return OrdinalMoments(
        n=n,
        names=data.names,
        ordered=data.ordered,
        covariates=data.covariates,
        levels={name: tuple(data.levels[name].tolist()) for name in data.ordered},
        table=table.assign(value=values),
        values=values,
        gamma=n * (summed.T @ summed),
        variances=n * np.sum(influence**2, axis=0),
        correlations=correlations,
    )


def _own_units(data: Data, margin: Margin) -> tuple[list[Row], np.ndarray, np.ndarray]:
    """Rows, values and influence of a variable's estimates, covariates in their own units.

    Of standardised covariates (x - center) / scale: slope / scale, and what the center contributes
    goes to the thresholds, or to minus the intercept.
    """
    cuts = max(len(margin.thresholds), 1)
    back = np.eye(len(margin.estimates))
    slopes = slice(cuts, cuts + len(data.covariates))
    back[slopes, slopes] = np.diag(1 / data.scale)
    back[:cuts, slopes] = data.center / data.scale
    rows = [("slope", margin.name, covariate) for covariate in data.covariates]
    if margin.is_ordered:
        rows = [("threshold", margin.name, f"t{k + 1}") for k in range(cuts)] + rows
    else:
        back[0, 0] = -1  # lavaan's sign
        rows = [("intercept", margin.name, ""), *rows, ("variance", margin.name, margin.name)]
    return rows, back @ margin.estimates, margin.influence @ back.T


def _covariances(
    margins: Sequence[Margin], correlations: np.ndarray
) -> tuple[list[Row], np.ndarray]:
    """Rows and values of covariances: correlations times residual standard deviations."""
    names, sd = [margin.name for margin in margins], np.array([margin.sd for margin in margins])
    first, second = np.triu_indices(len(margins), 1)
    rows = [("covariance", names[j], names[i]) for j, i in zip(first, second, strict=True)]
    return rows, (correlations * np.outer(sd, sd))[first, second]


def _place(kind: str, _: str, rhs: str, covariates: tuple[str, ...]) -> int:
    """The place of a row's group in lavaan's order."""
    if kind == "slope":
        return 1 + covariates.index(rhs)
    after = 1 + len(covariates)
    return {"threshold": 0, "intercept": 0, "variance": after, "covariance": after + 1}[kind]


# --- second step: each pair -----------------------------------------------------------------------


def _second_step(data: Data, margins: Sequence[Margin]) -> tuple[np.ndarray, np.ndarray]:
    """Correlations (p, p), and influence (n, pairs) on the covariances, of all pairs.

    Pairs in the order of the lower triangle, column by column.
    """
    first, second = np.triu_indices(len(margins), 1)
    rho, influence = np.empty(len(first)), np.empty((data.n, len(first)))
    start = _start(data)
    for chosen, a, b, weights, pairs, cells in _likelihoods(data, margins, first, second):
        rho[chosen] = pairs.estimate(start[a, b])
        _check_correlations(data.names, first[chosen], second[chosen], rho[chosen], pairs)
        scores = _by_respondent(pairs.scores(rho[chosen]), cells)
        for k, i, j, w, own, *slopes in zip(chosen, a, b, weights, *scores, strict=True):
            influence[:, k] = _pair_influence(margins[i], margins[j], rho[k], w, own, *slopes)
    correlations = np.eye(len(margins))
    correlations[first, second] = correlations[second, first] = rho
    return correlations, influence


def _start(data: Data) -> np.ndarray:
    """Pearson's correlations of codes and values, of those who have both; 0 where there is none."""
    columns = {name: np.where(data.seen[name], data.values[name], np.nan) for name in data.names}
    return np.nan_to_num(pd.DataFrame(columns).corr().to_numpy())


def _pair_weights(data: Data, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Weights of the respondents (pairs, n), 0 for those who lack one of the two variables."""
    seen = np.array([data.seen[name] for name in data.names])
    return data.weights * (seen[a] & seen[b])


def _likelihoods(
    data: Data, margins: Sequence[Margin], first: np.ndarray, second: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Pairs, np.ndarray | None]]:
    """Yield (which pairs, their variables a and b, weights, likelihood, cells) of pairs of one kind.

    In chunks, so that memory does not grow with the number of pairs. `cells` says in which row of
    the likelihood each respondent is (pairs, n); None when rows are respondents.
    """
    layout = _layout(data, margins)
    is_ordered = np.array([margin.is_ordered for margin in margins])
    kinds = is_ordered[first].astype(int) + is_ordered[second]
    # of a mixed pair the numeric variable comes first
    swap = is_ordered[first] & ~is_ordered[second]
    a, b = np.where(swap, second, first), np.where(swap, first, second)
    for kind, make in enumerate((_numeric_pairs, _mixed_pairs, layout.pairs)):
        chosen = np.flatnonzero(kinds == kind)
        rows = layout.n_rows if kind == 2 else data.n
        for start in range(0, len(chosen), max(1, CHUNK // rows)):
            part = chosen[start : start + max(1, CHUNK // rows)]
            weights = _pair_weights(data, a[part], b[part])
            yield part, a[part], b[part], weights, *make(margins, a[part], b[part], weights)


def _numeric_pairs(
    margins: Sequence[Margin], a: np.ndarray, b: np.ndarray, weights: np.ndarray
) -> Likelihood:
    """(`NumericPairs`, None) of variables a and b; rows are respondents."""
    parts = [np.array([margins[k].residual for k in which]) for which in (a, b)]
    spread = [np.array([[margins[k].sd] for k in which]) for which in (a, b)]
    return NumericPairs(parts[0], spread[0], parts[1], spread[1], weights), None


def _mixed_pairs(
    margins: Sequence[Margin], a: np.ndarray, b: np.ndarray, weights: np.ndarray
) -> Likelihood:
    """(`MixedPairs`, None) of numeric a and ordered b; rows are respondents."""
    z = np.array([margins[k].residual for k in a])
    sd = np.array([[margins[k].sd] for k in a])
    lower, upper = (np.array([margins[k].limits[end] for k in b]) for end in (1, 0))
    return MixedPairs(z, sd, lower, upper, weights), None


@dataclass(frozen=True)
class _Layout:
    """The rows over which the likelihood of two ordered variables is added up.

    Respondents who gave the same two answers and have the same covariates have the same likelihood:
    a row is such a cell, (pattern of covariates, first code, second code), unless there would be
    more cells than respondents. Without covariates it is a cell of the contingency table.
    """

    codes: np.ndarray  # (p, n); of ordered variables
    width: int  # most categories of a variable
    pattern: np.ndarray  # (n,) of covariates
    example: np.ndarray  # (patterns,) a respondent who has it
    adjust: bool  # single empty cells of 2 x 2 tables

    @property
    def n_cells(self) -> int:
        """Patterns of covariates times cells of a contingency table."""
        return len(self.example) * self.width**2

    @property
    def is_table(self) -> bool:
        """Whether a row is a cell, not a respondent."""
        return self.adjust or self.n_cells < len(self.pattern)

    @property
    def n_rows(self) -> int:
        """Cells or respondents."""
        return self.n_cells if self.is_table else len(self.pattern)

    def pairs(
        self, margins: Sequence[Margin], a: np.ndarray, b: np.ndarray, weights: np.ndarray
    ) -> Likelihood:
        """(`OrderedPairs`, cells) of pairs of variables a and b."""
        if not self.is_table:
            limits = [np.array([margins[k].limits[e] for k in w]) for w in (a, b) for e in (1, 0)]
            return OrderedPairs(*[*limits, weights]), None
        patterns, *codes = np.indices((len(self.example), self.width, self.width)).reshape(3, -1)
        limits = []
        for which, code in zip((a, b), codes, strict=True):
            chosen = [margins[k] for k in which]
            predicted = np.array([margin.predicted[self.example] for margin in chosen])
            limits += intervals(self._padded(chosen), code, predicted[:, patterns])
        cells = (self.pattern * self.width + self.codes[a]) * self.width + self.codes[b]
        counted = zip(cells, weights, strict=True)
        counts = np.array([np.bincount(cell, w, minlength=self.n_cells) for cell, w in counted])
        if self.adjust:
            square = counts.reshape(-1, self.width, self.width)
            counts = np.array([without_single_zero(table) for table in square])
        return OrderedPairs(*[*limits, counts.reshape(len(a), -1)]), cells

    def _padded(self, margins: Sequence[Margin]) -> np.ndarray:
        """Thresholds with infinite ends (variables, width + 1); unused ones are infinite."""
        padded = np.full((len(margins), self.width + 1), BEYOND)
        padded[:, 0] = -BEYOND
        for row, margin in zip(padded, margins, strict=True):
            row[1 : 1 + len(margin.thresholds)] = margin.thresholds
        return padded


def _layout(data: Data, margins: Sequence[Margin]) -> _Layout:
    codes = np.array(
        [data.values[m.name] if m.is_ordered else np.zeros(data.n, int) for m in margins]
    )
    pattern, example = np.zeros(data.n, int), np.zeros(1, int)
    if data.covariates:
        _, example, pattern = np.unique(data.x, axis=0, return_index=True, return_inverse=True)
    return _Layout(codes, codes.max() + 1, pattern.ravel(), example, adjust=not data.covariates)


def _check_correlations(
    names: Sequence[str], first: np.ndarray, second: np.ndarray, rho: np.ndarray, pairs: Pairs
) -> None:
    """Refuse correlations of 1, warn of those nearly so."""
    named = [(names[j], names[i]) for j, i in zip(first, second, strict=True)]
    refuse_perfect(named, rho, pairs.limit)
    for (one, other), value in zip(named, rho, strict=True):
        if abs(value) > NEARLY_ONE:
            warnings.warn(
                f"The correlation of {one!r} and {other!r} is nearly {np.sign(value):.0f} "
                f"({value:.4f}): they may be one variable.",
                stacklevel=4,
            )


def _by_respondent(scores: PairScores, cells: np.ndarray | None) -> Sequence[np.ndarray]:
    """The five derivatives of `scores` as arrays (pairs, n)."""
    own, first, second = scores
    flat = (own, *first, *second)
    return flat if cells is None else [np.take_along_axis(part, cells, axis=1) for part in flat]


def _pair_influence(
    a: Margin, b: Margin, rho: float, weights: np.ndarray, own: np.ndarray, *slopes: np.ndarray
) -> np.ndarray:
    """Each respondent's influence (n,) on the covariance of variables a and b.

    `weights` are 0 for those who lack one of the two. `own` are the derivatives of the pair's log-likelihood to rho, `slopes` those to the two
    quantities of a, then of b.
    """
    weighted = weights * own
    influence = weighted.copy()
    delta: np.ndarray | float = 0.0
    for margin, gradient, other in ((a, slopes[:2], b), (b, slopes[2:], a)):
        pairs = zip(gradient, margin.designs, strict=True)
        cross = sum((weighted * g) @ design for g, design in pairs)
        influence -= margin.influence @ cross
        if not margin.is_ordered:
            delta = delta + margin.influence[:, -1] * rho * other.sd / (2 * margin.sd)
    return influence / (weighted @ own) * a.sd * b.sd + delta
