"""Scores on latent variables, expected answers, and predictions of observed variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from semfit.fitting.fitting import Fit
from semfit.fitting.requirements import check_solution, model_frame
from semfit.results.moments import structural_mean
from semfit.results.ordered import modes

METHODS = {
    "regression": "regression",
    "ebm": "regression",
    "bartlett": "bartlett",
    "ml": "bartlett",
}
CONSTANT = 1e-5  # smallest variance of a score's error, as in lavaan

Weights = Callable[
    [np.ndarray], tuple[np.ndarray, np.ndarray]
]  # of what is seen: weights, variance


def scores(
    fit: Fit, method: str = "regression", data: pd.DataFrame | None = None, se: bool = False
) -> pd.DataFrame:
    """Return scores on the latent variables; see `Fit.scores`."""
    check_solution(fit, "scores")
    way = _method(method)
    if not fit.model.latents:
        raise ValueError("The model has no latent variables, and so no scores.")
    if se and fit.layout.ordered:
        raise ValueError("se=True: there are no standard errors of scores of ordered variables.")
    frame, labels = rows_of(fit, data)
    names = list(fit.model.latents)
    columns = [*names, *([f"{name}_se" for name in names] if se else [])]
    result = pd.DataFrame(np.nan, frame.index, columns)
    for g, mine in _groups(fit, labels):
        values = frame.to_numpy()[mine]
        if fit.layout.ordered:
            result.iloc[mine] = modes(fit, g, values, with_prior=way == "regression")
        else:
            found, error = normal_scores(fit, g, values, way)
            result.iloc[mine] = np.hstack([found, error]) if se else found
    return result


def _method(method: str) -> str:
    if str(method).lower() not in METHODS:
        raise ValueError(f"method={method!r} does not exist; there is: {', '.join(METHODS)}.")
    return METHODS[method.lower()]


def rows_of(fit: Fit, data: pd.DataFrame | None) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the observed variables of the rows, and the group of each (None: not known).

    Without data, those of the rows that the fit used.
    """
    columns = list(fit.model.observed)
    if data is None:
        known = fit.rows[fit.group].to_numpy(dtype=object) if fit.group else None
        frame = fit.rows[columns]
    else:
        frame = model_frame(fit.model, data)
        known = _labels(fit, data) if fit.group else None
    return frame, np.full(len(frame), "", dtype=object) if known is None else known


def _labels(fit: Fit, data: pd.DataFrame) -> np.ndarray:
    """Return the group of each row of new data; one that the fit does not know is refused."""
    assert fit.group is not None
    if fit.group not in data:
        raise ValueError(f"The grouping variable {fit.group!r} is not in the data.")
    column = data[fit.group]
    labels = np.array([None if pd.isna(value) else _label(value) for value in column], dtype=object)
    unknown = [label for label in labels if label is not None and label not in fit.groups]
    if unknown:
        raise ValueError(
            f"Group {unknown[0]!r} was not in the fit; there were: {', '.join(fit.groups)}."
        )
    return labels


def _label(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _groups(fit: Fit, labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each group that has rows: its place, and theirs."""
    for g, label in enumerate(fit.groups):
        mine = np.flatnonzero(labels == label)
        if len(mine):
            yield g, mine


# ---- normal variables ----------------------------------------------------------------------------


def normal_scores(
    fit: Fit, g: int, values: np.ndarray, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and their standard errors of rows (n, p) of a group: (n, m) each.

    A row with gaps is scored by what it has.
    """
    structure = fit.point.structures[g]
    found, k = structure.implied(fit.point.theta), structure.n_latent
    loadings = found.total @ np.linalg.inv(found.inverse)
    covariance = found.latent_cov

    def regression(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cross = found.cross_cov[seen]
        weights = cross.T @ np.linalg.pinv(found.cov[np.ix_(seen, seen)], hermitian=True)
        return weights[:k], np.diag(covariance - weights @ cross)[:k]

    def bartlett(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inverse = np.linalg.pinv(found.cov[np.ix_(seen, seen)], hermitian=True)
        spread = np.linalg.pinv(loadings[seen].T @ inverse @ loadings[seen], hermitian=True)
        weights = spread @ loadings[seen].T @ inverse
        weights[np.abs(weights).max(axis=1) < 1e-12] = np.nan  # nothing is seen of this one
        return weights[:k], np.diag(spread - covariance)[:k]

    ways: dict[str, Weights] = {"regression": regression, "bartlett": bartlett}
    centre = structural_mean(structure, found)[:k]
    return _by_pattern(values, found.mean, centre, ways[method])


def _by_pattern(
    values: np.ndarray, mean: np.ndarray, centre: np.ndarray, weigh: Weights
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and standard errors, rows with the same gaps together; none of an empty row."""
    scores = np.full((len(values), len(centre)), np.nan)
    error = scores.copy()
    patterns, which = np.unique(~np.isnan(values), axis=0, return_inverse=True)
    for number, seen in enumerate(patterns):
        rows = which.ravel() == number
        if not seen.any():
            continue
        weights, variance = weigh(seen)
        scores[rows] = centre + (values[rows][:, seen] - mean[seen]) @ weights.T
        error[rows] = np.sqrt(np.where(variance > CONSTANT, variance, np.nan))
    return scores, error


# ---- observed variables --------------------------------------------------------------------------


def fitted_values(
    fit: Fit, method: str = "regression", data: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the values that scores imply for the observed variables; see `Fit.fitted_values`."""
    _refuse_ordered(fit, "fitted_values")
    frame, labels = rows_of(fit, data)
    latent = scores(fit, method, data) if fit.model.latents else pd.DataFrame(index=frame.index)
    result = pd.DataFrame(np.nan, frame.index, frame.columns)
    for g, mine in _groups(fit, labels):
        structure = fit.point.structures[g]
        found = structure.implied(fit.point.theta)
        loadings = found.total @ np.linalg.inv(found.inverse)
        own = list(structure.structural[structure.n_latent :])  # these are what they are
        eta = np.hstack([latent.to_numpy()[mine], frame[own].to_numpy()[mine]])
        centre = np.concatenate([structural_mean(structure, found)[: structure.n_latent]])
        means = found.mean[[structure.observed.index(name) for name in own]]
        result.iloc[mine] = found.mean + (eta - np.concatenate([centre, means])) @ loadings.T
    return result


def predict(
    fit: Fit,
    data: pd.DataFrame | None = None,
    outcomes: str | Sequence[str] | None = None,
    given: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the expectation of observed variables given others; see `Fit.predict`."""
    _refuse_ordered(fit, "predict")
    wanted, known = _predicted(fit, outcomes, given)
    if data is None:
        frame, labels = rows_of(fit, None)
    else:
        absent = [name for name in known if name not in data]
        if absent:
            raise ValueError(f"Not in the data: {', '.join(absent)}.")
        frame = data[known].astype(float).reindex(columns=list(fit.model.observed))
        labels = _labels(fit, data) if fit.group else np.full(len(frame), "", dtype=object)
    observed = list(fit.model.observed)
    x, y = [observed.index(n) for n in known], [observed.index(n) for n in wanted]
    result = pd.DataFrame(np.nan, frame.index, wanted)
    for g, mine in _groups(fit, labels):
        found = fit.point.structures[g].implied(fit.point.theta)

        def weights(seen: np.ndarray, cov: np.ndarray = found.cov) -> tuple[np.ndarray, np.ndarray]:
            have = np.array(x)[seen]
            inverse = np.linalg.pinv(cov[np.ix_(have, have)], hermitian=True)
            return cov[np.ix_(y, have)] @ inverse, np.full(len(y), np.nan)

        values = frame.to_numpy(dtype=float)[mine][:, x]
        result.iloc[mine] = _by_pattern(values, found.mean[x], found.mean[y], weights)[0]
    return result


def _refuse_ordered(fit: Fit, method: str) -> None:
    check_solution(fit, method)
    if fit.layout.ordered:
        raise ValueError(
            f"{method} is for numeric variables; of ordered ones there are scores and implied()."
        )


def _predicted(
    fit: Fit, outcomes: str | Sequence[str] | None, given: str | Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Return which variables are predicted, and by which."""
    table, observed = fit.model.parameters, set(fit.model.observed)
    paths = table[table["op"] == "~"]
    ends = [n for n in dict.fromkeys(paths["lhs"]) if n in observed and n not in {*paths["rhs"]}]
    wanted = _listed(outcomes, ends)
    known = _listed(given, list(fit.model.covariates))
    for option, names in (("outcomes", wanted), ("given", known)):
        unknown = [name for name in names if name not in observed]
        if unknown or not names:
            what = f"{unknown[0]!r} is not in the model" if unknown else "there are none by default"
            raise ValueError(f"{option}=: {what}; name some of: {', '.join(fit.model.observed)}.")
    return wanted, known


def _listed(names: str | Sequence[str] | None, default: list[str]) -> list[str]:
    return default if names is None else [names] if isinstance(names, str) else list(names)
