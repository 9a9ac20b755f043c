"""Fit measures made from residual moments: RMR, SRMR, CRMR, and what of the moments is explained.

Where two generations of lavaan differ, the plain name is the newer one's (0.7-2), and `_lavaan06` is
0.6-14's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semfit.moments.sample import GroupFit

SCALES = ("rmr", "srmr", "crmr")  # raw; sample standard deviations; correlations


def residual_measures(groups: Sequence[GroupFit]) -> dict[str, float]:
    """Return root mean squares of residual moments, groups weighted by their size.

    Parameters
    ----------
    groups : list of GroupFit

    Returns
    -------
    dict of str to float
        rmr: raw residuals. srmr: over the sample standard deviations (``srmr_bentler``). crmr:
        differences of correlations (Bollen). Covariances on and below the diagonal, and the means
        where they are modelled; `_nomean` leaves those out.

    Notes
    -----
    With ordered variables lavaan counts the diagonal as fitting, of numeric ones too: it adds to the
    number of residuals, not to their sum. In the place of means are thresholds (not the means of
    numeric variables), and in 0.7-2 the slopes on covariates, in srmr and crmr in standard
    deviations of the sample. srmr is without them, as lavaan's. `_lavaan06`: lavaan 0.6-14 leaves
    slopes out and counts the covariates too as fitting on the diagonal.
    """
    names: dict[str, list[float]] = {}
    for group in groups:
        for scale in SCALES:
            for name, value in _of_group(group, scale).items():
                names.setdefault(name, []).append(value)
    sizes = [group.n for group in groups]
    return {name: float(np.average(values, weights=sizes)) for name, values in names.items()}


def _of_group(group: GroupFit, scale: str) -> dict[str, float]:
    categorical = bool(group.ordered.any())
    covariances, others = (_categorical if categorical else _continuous)(group, scale)
    p = len(group.names)
    diagonal = 0 if scale == "crmr" else p if categorical else 0
    if scale == "crmr" and not categorical:
        diagonal = -p  # zeros
    new = _mean_square([covariances], diagonal), _mean_square([covariances, *others], diagonal)
    old = new
    if categorical:
        more = 0 if scale == "crmr" else diagonal + int(group.n_covariates)
        old = _mean_square([covariances], more), _mean_square([covariances, others[0]], more)
    if scale == "srmr":
        which = 0 if categorical else 1
        return {"srmr": new[which], "srmr_lavaan06": old[which]}
    result = {f"{scale}_nomean": new[0], scale: new[1]}
    return result | {f"{scale}_nomean_lavaan06": old[0], f"{scale}_lavaan06": old[1]}


def _mean_square(parts: Sequence[np.ndarray], diagonal: int) -> float:
    """Return the root of the mean of squares, with `diagonal` more of them that are 0."""
    squares = np.concatenate(parts) ** 2
    return float(np.sqrt(squares.sum() / (len(squares) + diagonal)))


def _scaled(group: GroupFit, scale: str, below: int) -> np.ndarray:
    """Return residual covariances below (-1), or on and below (0), the diagonal."""
    own, implied = np.ones(len(group.names)), np.ones(len(group.names))
    if scale != "rmr":
        own = np.sqrt(np.diag(group.sample_cov))
        implied = np.sqrt(np.diag(group.cov)) if scale == "crmr" else own
    residual = group.sample_cov / np.outer(own, own) - group.cov / np.outer(implied, implied)
    return residual[np.tril_indices(len(own), below)]


def _continuous(group: GroupFit, scale: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return residual covariances, and those of the means."""
    others = []
    if group.sample_mean is not None and group.mean is not None:
        gap = group.sample_mean - group.mean
        others = [gap if scale == "rmr" else gap / np.sqrt(np.diag(group.sample_cov))]
    return _scaled(group, scale, 0), others


def _categorical(group: GroupFit, scale: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return residual covariances, and those of thresholds and of slopes."""
    slopes = group.slopes if scale == "rmr" else group.standardized_slopes
    return _scaled(group, scale, -1), [group.thresholds, slopes]
