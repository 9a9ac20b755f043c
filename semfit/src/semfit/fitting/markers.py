"""The same model with another indicator as the unit of a factor: a way round a marker that hardly loads.

Where the loading of a marker, fixed at 1, is nearly 0 in the factor's own unit, the other loadings and
the variance of the factor run away, and a search ends nowhere. With another marker the same minimum is
an ordinary one. Values are carried over by the scale c of the factor, its new marker's loading before:
loadings are divided by c, covariances and paths to it multiplied, its variance by c squared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from semfit.fitting.starts import Rows, rows_of
from semfit.syntax.parameters import Layout

LARGE = 3.0  # a loading, in standard units, beside which that of the marker is small


@dataclass(frozen=True, eq=False)
class OtherMarker:
    """A layout in which a latent variable has another marker in every group.

    Attributes
    ----------
    layout : Layout
        Its parameters have the names and places that they had; that of the new marker's loading is
        now the old one's.
    latent : int
        Place of the latent variable.
    own, others : list of Rows
        Of the groups, before and after.
    """

    layout: Layout
    latent: int
    own: list[Rows]
    others: list[Rows]

    def there(self, theta: np.ndarray) -> np.ndarray:
        """Return the parameters with the other marker; not finite where its loading is 0."""
        return _carried(self.own, self.others, self.latent, theta)

    def back(self, theta: np.ndarray) -> np.ndarray:
        """Return the parameters with the marker of before."""
        return _carried(self.others, self.own, self.latent, theta)


def other_markers(layout: Layout, theta: np.ndarray, units: np.ndarray) -> Iterator[OtherMarker]:
    """Yield, for each latent variable with a large loading, the layout in which that item is the marker.

    Parameters
    ----------
    layout : Layout
    theta : ndarray (k,)
        Where a search ended.
    units : ndarray (k,)
        Size of a considerable change of each parameter.
    """
    if layout.restrictions:
        return
    places = range(len(layout.groups))
    groups = [rows_of(layout, g) for g in places]
    rows = groups[0]
    free = rows.of("=~")[rows.which[rows.of("=~")] >= 0]
    size = np.abs(theta / units)[rows.which[free]]
    for latent in np.unique(rows.lhs[free[size > LARGE]]):
        own = rows.lhs[free] == latent
        item = rows.rhs_name[free[own][np.argmax(size[own])]]
        other = _with_marker(layout, layout.model.latents[latent], item)
        if other is not None:
            yield OtherMarker(other, int(latent), groups, [rows_of(other, g) for g in places])


def _with_marker(layout: Layout, latent: str, item: str) -> Layout | None:
    """Return the layout with this marker; None if values other than its unit are fixed or shared."""
    table = layout.table.copy()
    involved = (table["lhs"] == latent) | (table["rhs"] == latent)
    loading = (table["op"] == "=~") & (table["lhs"] == latent)
    fixed = involved & (table["parameter"] == "") & (table["value"].fillna(0) != 0)
    old, new = fixed & loading, loading & (table["rhs"] == item) & (table["parameter"] != "")
    names = table["parameter"][involved & (table["parameter"] != "")]
    shared = table["parameter"].isin(names).sum() > names.nunique()
    groups = len(layout.groups)
    if shared or fixed.sum() != groups or not old.sum() == new.sum() == groups:
        return None
    table.loc[old, "parameter"] = table.loc[new, "parameter"].to_numpy()
    table.loc[new, "parameter"] = ""
    table.loc[old, "value"], table.loc[new, "value"] = np.nan, 1.0
    table.loc[involved, "start"] = np.nan
    return replace(layout, table=table)


def _carried(before: list[Rows], after: list[Rows], latent: int, theta: np.ndarray) -> np.ndarray:
    """Return the parameters in the other unit of a latent variable."""
    result = theta.copy()
    for rows, other in zip(before, after, strict=True):
        values = np.where(rows.which >= 0, theta[rows.which], rows.value)
        (mark,) = np.flatnonzero((rows.which >= 0) & (other.which < 0))
        scale = values[mark] / other.value[mark]
        free = other.which >= 0
        result[other.which[free]] = (values * scale ** _powers(rows, latent))[free]
    return result


def _powers(rows: Rows, latent: int) -> np.ndarray:
    """Return by which power of its scale each row goes with the unit of a latent variable."""
    left, right = (rows.lhs == latent).astype(float), (rows.rhs == latent).astype(float)
    power = np.where(rows.op == "=~", right - left, 0.0)
    power = np.where(rows.op == "~", left - right, power)
    power = np.where(rows.op == "~~", left + right, power)
    return np.where(rows.op == "~1", left, power)
