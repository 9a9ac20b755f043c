"""How the rows of one group were drawn: sampling weights and clusters.

Weights are scaled to sum to the number of rows. Estimates are then those of weighted moments, and what
is robust (standard errors, the scaling of chi-square) rests on the scores of what was drawn
independently: of each row, times its weight, or of each cluster, the sum over its rows (Binder 1983;
Asparouhov 2005).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Design:
    """How the rows of one group were drawn.

    Attributes
    ----------
    weights : ndarray (n,) or None
        They sum to n; None if all are 1.
    clusters : ndarray (n,) of int, or None
        Which cluster each row is of, from 0; None if rows were drawn one by one.
    """

    weights: np.ndarray | None = None
    clusters: np.ndarray | None = None

    @property
    def simple(self) -> bool:
        """Rows were drawn one by one, with equal probabilities."""
        return self.weights is None and self.clusters is None

    @cached_property
    def n_clusters(self) -> int:
        """Number of clusters; 0 without."""
        return 0 if self.clusters is None else len(np.unique(self.clusters))

    def of_rows(self, n: int) -> np.ndarray:
        """Return the weights of the n rows, ones without."""
        return np.ones(n) if self.weights is None else self.weights

    def independent(self, scores: np.ndarray) -> np.ndarray:
        """Return the scores of what was drawn independently.

        Parameters
        ----------
        scores : ndarray (n, k)
            Of each row, without its weight.

        Returns
        -------
        ndarray (n, k) or (C, k)
            Sums over C clusters are multiplied by sqrt(C / (C - 1)), as lavaan does: their
            cross-product is then about as large on average as that of many clusters.
        """
        weighted = scores if self.weights is None else scores * self.weights[:, None]
        return self.summed(weighted)

    def summed(self, scores: np.ndarray) -> np.ndarray:
        """Return sums over clusters of scores that are weighted already; see `independent`."""
        if self.clusters is None:
            return scores
        total = np.zeros((self.clusters.max() + 1, scores.shape[1]))
        np.add.at(total, self.clusters, scores)
        return total * np.sqrt(self.n_clusters / (self.n_clusters - 1))

    def part(self, rows: np.ndarray) -> "Design":
        """Return the design of some rows (n,) of bool; their weights are not scaled anew."""
        weights, clusters = (
            None if part is None else part[rows] for part in (self.weights, self.clusters)
        )
        return Design(weights, clusters)

    def taken(self, times: np.ndarray) -> "Design":
        """Return the design of rows that are each there so many times (n,); weights sum to n again."""
        weights, clusters = (
            None if part is None else np.repeat(part, times)
            for part in (self.weights, self.clusters)
        )
        if weights is not None:
            weights = weights * (len(weights) / weights.sum())
        return Design(weights, clusters)


SIMPLE = Design()


def effective_size(weights: np.ndarray) -> float:
    """Return how many rows of equal weights would be as precise: (sum w)^2 / sum w^2 (Kish 1965)."""
    return float(weights.sum() ** 2 / np.sum(weights**2))
