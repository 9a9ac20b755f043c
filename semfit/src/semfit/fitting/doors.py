"""What is done with a fit by the rooms above: their functions, as methods of a `Fit`.

These rooms import `fitting`, so they are loaded here when they are asked for, by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pandas as pd

from semfit.fitting.estimates import STANDARDISED, Point, interval_table


class Doors:
    """Methods of a `Fit`: views of its tables, and what is computed from its solution."""

    point: Point

    def __repr__(self) -> str:
        """Return the text of `summary`."""
        return self.summary().text

    def _repr_html_(self) -> str:
        """Return the page of `summary` for a notebook."""
        return self.summary().html

    def summary(
        self,
        confidence: float = 0.95,
        *,
        standardized: bool = True,
        measures: bool = True,
        intervals: bool = False,
        decimals: int = 3,
    ) -> Any:
        """Return the fit as one reads it: problems, test, fit measures, estimates.

        Parameters
        ----------
        confidence : float
            Of the intervals of estimates.
        standardized, measures, intervals : bool
            Show std_lv and std_all; the fit measures; the intervals.
        decimals : int

        Returns
        -------
        results.summary.Summary
            With `text`, `html` and `tables`; ``print(fit)`` and the end of a notebook cell show it
            with these defaults. A fit without a solution shows its problems and no numbers. R:
            ``summary(fit, standardized = TRUE, fit.measures = TRUE, rsquare = TRUE)``.

        Raises
        ------
        ValueError
            A confidence that does not lie between 0 and 1.

        Examples
        --------
        >>> import semfit
        >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3"), semfit.example_data())
        >>> print(fit.summary(standardized=False, measures=False))  # doctest: +ELLIPSIS
        ML, 200 of 200 rows used, converged ...
        <BLANKLINE>
        ...
        Latent variables
                             Estimate        SE         z         p
          f =~
            x1                  1.000
            x2                  0.861     0.092     9.377     <.001
            x3                  0.848     0.092     9.206     <.001
        ...
        """
        view = import_module("semfit.results.summary")
        return view.summary(
            self,
            confidence,
            standardized=standardized,
            measures=measures,
            intervals=intervals,
            decimals=decimals,
        )

    def intervals(self, confidence: float = 0.95) -> pd.DataFrame:
        """Return every parameter and ``:=`` effect with its interval.

        Parameters
        ----------
        confidence : float

        Returns
        -------
        DataFrame
            lhs, op, rhs, group, label, estimate, se, z, p, ci_low, ci_high; a ``:=`` row has op
            ":=" and its formula in rhs. R: ``parameterEstimates(fit, level = confidence)``.

        Raises
        ------
        ValueError
            A confidence that does not lie between 0 and 1.

        Examples
        --------
        >>> import semfit
        >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3"), semfit.example_data())
        >>> fit.intervals(0.90).loc[[1], ["lhs", "rhs", "estimate", "ci_low", "ci_high"]].round(2)
          lhs rhs  estimate  ci_low  ci_high
        1   f  x2      0.86    0.71     1.01
        """
        return interval_table(self.point, confidence)

    def standardized(self, kind: str = "std_all", confidence: float = 0.95) -> pd.DataFrame:
        """Return the standardised solution, with standard errors by the delta method.

        Parameters
        ----------
        kind : {"std_all", "std_lv", "std_nox"}
            All variables standardised, latent ones only, or all but covariates.
        confidence : float

        Returns
        -------
        DataFrame
            As `intervals`. R: ``standardizedSolution(fit, type = "std.lv", level = confidence)``.

        Raises
        ------
        ValueError
            An unknown kind, or a confidence that does not lie between 0 and 1.

        Examples
        --------
        >>> import semfit
        >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3"), semfit.example_data())
        >>> fit.standardized("std_lv").loc[[0], ["lhs", "rhs", "estimate", "se"]].round(2)
          lhs rhs  estimate    se
        0   f  x1      0.85  0.07
        """
        if kind not in STANDARDISED:
            known = ", ".join(STANDARDISED)
            raise ValueError(f"kind={kind!r} does not exist; there is: {known}.")
        return interval_table(self.point, confidence, kind)
