"""Which rows of the data are used, and what is refused before a fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from semfit.fitting.columns import group_labels, model_frame
from semfit.fitting.designs import design_columns, group_designs
from semfit.messages import Message, message
from semfit.moments.design import Design
from semfit.moments.sample import Sample
from semfit.syntax.model import Model

COLLINEAR = 1e-10  # smallest eigenvalue of the correlation matrix
INVOLVED = 1e-4  # weight of a variable in a linear dependence
SMALLEST, LARGEST = 1e-6, 1e9  # largest minus smallest value of a variable


@dataclass(frozen=True, eq=False)
class Selected:
    """Rows that are used, group by group.

    Attributes
    ----------
    frames : list of DataFrame
        The model's observed variables, float64.
    groups : tuple of str
    group_rows : list of int
        Rows of each group before any was dropped.
    rows : DataFrame
        All of them in the order of the data, with the grouping variable (labels) if there is one,
        and the columns of weights and clusters.
    n_rows : int
        Rows of the data.
    dropped : Index
    reason : list of Message
        Why rows were dropped.
    designs : list of Design
        Weights and clusters of the rows of each group.
    """

    frames: list[pd.DataFrame]
    groups: tuple[str, ...]
    group_rows: list[int]
    rows: pd.DataFrame
    n_rows: int
    dropped: pd.Index
    reason: list[Message]
    designs: list[Design]

    @property
    def counted(self) -> list[pd.DataFrame]:
        """The rows of each group that have a weight above 0."""
        pairs = zip(self.frames, self.designs, strict=True)
        return [frame[design.of_rows(len(frame)) > 0] for frame, design in pairs]


def select_rows(model: Model, data: pd.DataFrame, options: Mapping[str, Any]) -> Selected:
    """Return the rows of a fit as `Selected`; see `fitting.fit` for which are dropped."""
    frame = model_frame(model, data)
    if options["missing"] == "listwise":
        kept = frame.notna().all(axis=1)
        reason = [message("dropped_incomplete", n=len(model.observed))]
    else:
        others = [name for name in model.observed if name not in model.covariates]
        kept = frame[list(model.covariates)].notna().all(axis=1)
        reason = [message("dropped_covariate")] if model.covariates else []
        if options["missing"] == "pairwise" or not model.covariates:
            kept &= frame[others].notna().any(axis=1)
            reason.append(message("dropped_empty"))
    labels, groups = group_labels(model, data, options)
    if options["group"] is not None:
        reason.append(message("dropped_group", group=repr(options["group"])))
    used = (kept.to_numpy()) & (labels != None)
    for label in groups:
        _check_left(frame[labels == label], used[labels == label], options, label)
    columns = design_columns(data, options)
    rows = frame[used].copy()
    for option in columns:
        rows[options[option]] = data.loc[used, options[option]]
    if options["group"] is not None:
        rows[options["group"]] = labels[used]
    chosen = [used & (labels == label) for label in groups]
    frames = [frame[place] for place in chosen]
    sizes = [int((labels == label).sum()) for label in groups]
    designs = group_designs(columns, groups, chosen)
    return Selected(frames, groups, sizes, rows, len(data), data.index[~used], reason, designs)


def _check_left(
    frame: pd.DataFrame, used: np.ndarray, options: Mapping[str, Any], label: str
) -> None:
    """Refuse a group in which every row is dropped; the message names what is missing most."""
    if used.any():
        return
    _check_values(frame, _here(label))
    share = frame.isna().mean().sort_values(ascending=False, kind="stable").head(3)
    worst = ", ".join(f"{name} ({part:.0%})" for name, part in share.items() if part > 0)
    other = "pairwise" if options.get("ordered") else "fiml"
    remedy = f", or use missing={other!r}" if options["missing"] == "listwise" else ""
    raise ValueError(
        f"None of the {len(frame)} rows{_here(label)} is complete on the {frame.shape[1]} "
        f"variables of the model. Leave out what is missing most{': ' if worst else ''}{worst}{remedy}."
    )


def _here(label: str) -> str:
    return f" in group {label}" if label else ""


class NoSolution(UserWarning):
    """The warning of `fit` that there is no solution: the estimates would mean nothing.

    ``warnings.simplefilter("error", semfit.NoSolution)`` makes it an error. R: lavaan's warnings that
    the optimizer did not end normally, or that standard errors could not be computed.

    Examples
    --------
    >>> import warnings
    >>> import semfit
    >>> data = semfit.example_data().assign(noise=[*[0.0, 1.0] * 100])
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", semfit.NoSolution)
    ...     fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3"), data)
    """


def has_solution(fit: Any) -> bool:
    """Tell whether the numbers of a fit are those of a solution: no problem is an error."""
    return bool(fit.converged) and fit.test is not None


def check_solution(fit: Any, what: str) -> None:
    """Refuse to compute something from a fit that has no solution.

    Parameters
    ----------
    fit : fitting.Fit
    what : str
        What was asked for.

    Raises
    ------
    ValueError
        There is none: names the first problem, and fit.problems.
    """
    if not has_solution(fit):
        raise ValueError(
            f"{what[0].upper()}{what[1:]}: this fit has no solution ({_first_problem(fit)}). See "
            "fit.problems for why it failed, and what to do."
        )


def warn_of_non_solution(fit: Any) -> None:
    """Warn once if a fit has no solution; the caller of `fitting.fit` is shown."""
    if not has_solution(fit):
        warnings.warn(
            f"The model has no solution ({_first_problem(fit)}): see fit.problems for where, and "
            "what to do.",
            NoSolution,
            stacklevel=3,
        )


def _first_problem(fit: Any) -> str:
    return str(fit.problems.loc[fit.problems["severity"] == "error", "what"].iloc[0])


def check_sample(kept: pd.DataFrame, n_rows: int, label: str = "") -> None:
    """Refuse rows from which no covariance matrix can be modelled.

    Parameters
    ----------
    kept : DataFrame
        Rows of one group: complete, or (FIML) with missing values.
    n_rows : int
        Rows before any was dropped.
    label : str
        Of the group.

    Raises
    ------
    ValueError
        A variable is constant or has no value, its unit is impossibly large or small, there are not
        more rows than variables, two variables are never observed together, or variables depend on
        each other linearly (the message names them).
    """
    n, p = kept.shape
    here = _here(label)
    _check_spread(kept, here)
    if n <= p:
        lost = f" of {n_rows}" if n_rows > n else ""
        raise ValueError(
            f"{n}{lost} complete rows for {p} observed variables{here}: more rows than variables "
            "are needed. Use fewer variables, or data with fewer missing values."
        )
    seen = kept.notna().to_numpy(dtype=float)
    if seen.all():
        check_collinear(np.corrcoef(kept.to_numpy().T).reshape(p, p), kept.columns, here)
        return
    together = seen.T @ seen
    if together.min() < 2:
        i, j = np.argwhere(together < 2)[0]
        raise ValueError(
            f"{kept.columns[i]!r} and {kept.columns[j]!r} are observed together in fewer than 2 "
            f"rows{here}: their covariance is unknown. Leave one of them out."
        )


def _check_values(kept: pd.DataFrame, here: str) -> None:
    if not len(kept):
        raise ValueError(
            f"None of the 0 rows{here} has values: check the file, or the query that chose the rows."
        )
    empty = kept.columns[kept.isna().all()].tolist()
    if empty:
        raise ValueError(f"No value at all{here}: {', '.join(empty)}. Leave it out of the model.")


def _check_spread(kept: pd.DataFrame, here: str) -> None:
    _check_values(kept, here)
    spread = kept.max() - kept.min()
    constant = spread.index[~(spread > 0)].tolist()
    if constant:
        raise ValueError(
            f"Constant in the {len(kept)} rows used{here}: {', '.join(constant)}. "
            "Leave it out of the model."
        )
    # from the spread, which does not overflow where a variance does
    extreme = spread.index[
        (spread > LARGEST) | (spread < SMALLEST) | (kept.abs().max() > 1e6 * spread)
    ]
    if len(extreme):
        name = extreme[0]
        raise ValueError(
            f"{name!r} varies by {spread[name]:.3g} around {kept[name].median():.3g}{here}: "
            "subtract or divide by a constant, so that its values are of ordinary size."
        )


def check_moments(sample: Sample, names: Sequence[str], label: str = "") -> None:
    """Refuse rows with missing values whose covariance matrix (of EM) is singular.

    Parameters
    ----------
    sample : sample.Sample
    names : sequence of str
        Variables, in the order of the sample.
    label : str
        Of the group.
    """
    scale = np.sqrt(np.diag(sample.cov))
    if not sample.complete:
        check_collinear(sample.cov / np.outer(scale, scale), names, _here(label), missing=True)


def check_collinear(
    correlations: np.ndarray, names: Iterable[str], here: str = "", missing: bool = False
) -> None:
    """Refuse a singular correlation matrix; the message names the variables involved."""
    values, vectors = np.linalg.eigh(correlations)
    if values[0] >= COLLINEAR:
        return
    involved = [name for name, w in zip(names, vectors[:, 0], strict=True) if abs(w) > INVOLVED]
    reason = ", or hardly any row has several of them" if missing else ""
    raise ValueError(
        f"The covariance matrix{here} is not positive definite: these variables depend "
        f"on each other linearly{reason}: {', '.join(involved)}. Leave one out."
    )
