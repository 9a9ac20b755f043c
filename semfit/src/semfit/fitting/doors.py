"""What is done with a fit by the rooms above: their functions, as methods of a `Fit`.

These rooms import `fitting`, so they are loaded here when they are asked for, by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pandas as pd

from semfit.fitting import requirements
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
        >>> print(fit.summary(standardized=False, measures=False))
        ML, 200 of 200 rows used, converged after 3 Fisher scoring steps.
        <BLANKLINE>
        Problems
          note                saturated model (df = 0): fit measures
                              it fits any data: judge it by its estimates
        <BLANKLINE>
          Estimator           ML
          Free parameters     6
          Rows used           200
          Rows dropped        0
          Missing values      rows dropped
        <BLANKLINE>
        Latent variables
                               Estimate        SE         z         p
          f =~
            x1                    1.000
            x2                    1.010     0.109     9.241     <.001
            x3                    1.123     0.120     9.351     <.001
        <BLANKLINE>
        Variances
                               Estimate        SE         z         p
          .x1                     0.445     0.062     7.138     <.001
          .x2                     0.423     0.061     6.885     <.001
          .x3                     0.289     0.062     4.645     <.001
          f                       0.527     0.097     5.441     <.001
        <BLANKLINE>
        R-square
                               Estimate
          x1                      0.542
          x2                      0.560
          x3                      0.697
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
            The fit has no solution, or a confidence that does not lie between 0 and 1.

        Examples
        --------
        >>> import semfit
        >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3"), semfit.example_data())
        >>> fit.intervals(0.90).loc[[1], ["lhs", "rhs", "estimate", "ci_low", "ci_high"]].round(2)
          lhs rhs  estimate  ci_low  ci_high
        1   f  x2      1.01    0.83     1.19
        """
        requirements.check_solution(self, "intervals")
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
            No solution, an unknown kind, or a confidence that does not lie between 0 and 1.

        Examples
        --------
        >>> import semfit
        >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3"), semfit.example_data())
        >>> fit.standardized("std_lv").loc[[0], ["lhs", "rhs", "estimate", "se"]].round(2)
          lhs rhs  estimate    se
        0   f  x1      0.73  0.07
        """
        if kind not in STANDARDISED:
            known = ", ".join(STANDARDISED)
            raise ValueError(f"kind={kind!r} does not exist; there is: {known}.")
        requirements.check_solution(self, "the standardised solution")
        return interval_table(self.point, confidence, kind)

    def scores(
        self, method: str = "regression", data: pd.DataFrame | None = None, se: bool = False
    ) -> pd.DataFrame:
        """Return scores on the latent variables.

        Parameters
        ----------
        method : {"regression", "bartlett", "ebm", "ml"}
            regression: the expectation of a latent variable given the row (Thurstone). bartlett:
            unbiased given the latent variable. For ordered variables these are the mode of the
            posterior (empirical Bayes modal, "ebm") and of the likelihood ("ml"); as in lavaan, the
            names are interchangeable.
        data : DataFrame, optional
            New rows, with the variables of the model (and the grouping variable). Default: the rows
            that the fit used.
        se : bool
            Add a column with the standard error of each, f_se; not for ordered variables.

        Returns
        -------
        DataFrame
            A column for each latent variable, indexed as the rows. A row with gaps is scored by what
            it has; one without any value, or of an unknown group, is NaN. R: ``lavPredict(fit,
            newdata, method = "regression", se = "standard")``.

        Raises
        ------
        ValueError
            A fit without a solution, an unknown method, a variable that is absent, a category or
            group that was not in the fit.

        Notes
        -----
        regression: E(eta) + C S^-1 (y - E(y)), C and S the implied covariances of eta with y, and of
        y. bartlett: E(eta) + (L' S^-1 L)^-1 L' S^-1 (y - E(y)), L the loadings. See
        `semfit.results.ordered` for ordered variables.

        Examples
        --------
        >>> import semfit
        >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3"), semfit.example_data())
        >>> fit.scores(se=True).head(2).round(2)
              f  f_se
        0 -0.20   0.3
        1  1.11   0.3
        """
        return import_module("semfit.results.scores").scores(self, method, data, se)

    def fitted_values(
        self, method: str = "regression", data: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Return the values that the scores of a row imply for the observed variables.

        Parameters
        ----------
        method, data
            As in `scores`.

        Returns
        -------
        DataFrame
            A column for each observed variable, indexed as the rows; variables that take part in
            regressions are what they are. R: ``lavPredict(fit, type = "ov", method)``.

        Raises
        ------
        ValueError
            As `scores`; and ordered variables.

        Examples
        --------
        >>> import semfit
        >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3"), semfit.example_data())
        >>> fit.fitted_values().head(2).round(2)
             x1    x2    x3
        0  2.95  2.84  2.86
        1  4.26  4.17  4.33
        """
        return import_module("semfit.results.scores").fitted_values(self, method, data)

    def predict(
        self,
        data: pd.DataFrame | None = None,
        outcomes: str | list[str] | None = None,
        given: str | list[str] | None = None,
    ) -> pd.DataFrame:
        """Return the expectation of observed variables given others, as the solution implies it.

        Parameters
        ----------
        data : DataFrame, optional
            New rows, with the variables of `given` (and the grouping variable). Default: the rows
            that the fit used.
        outcomes : str or list of str, optional
            What is predicted. Default: observed variables that others predict, and that predict none.
        given : str or list of str, optional
            By what. Default: the covariates.

        Returns
        -------
        DataFrame
            A column for each outcome, indexed as the rows; a row with gaps by what it has. R:
            ``lavPredictY(fit, newdata, ynames = outcomes, xnames = given)``.

        Raises
        ------
        ValueError
            A fit without a solution or with ordered variables; a variable that is absent, or none.

        Notes
        -----
        E(y) + S_yx S_xx^-1 (x - E(x)), with implied moments (de Rooij et al. 2023).

        Examples
        --------
        >>> import semfit
        >>> model = semfit.read_model("f =~ x1 + x2 + x3; x4 ~ f")
        >>> fit = semfit.fit(model, semfit.example_data())
        >>> fit.predict(given=["x1", "x2", "x3"]).head(2).round(2)
             x4
        0  2.85
        1  3.58
        """
        return import_module("semfit.results.scores").predict(self, data, outcomes, given)

    def implied(self, group: str | None = None) -> Any:
        """Return the moments that the solution implies.

        Parameters
        ----------
        group : str, optional
            Which, where there are several.

        Returns
        -------
        results.moments.ImpliedMoments
            cov, mean, latent_cov, latent_mean, cross_cov, thresholds: labelled frames and series. R:
            ``lavInspect(fit, "implied")``, "cov.lv", "mean.lv", "thresholds".

        Raises
        ------
        ValueError
            A fit without a solution; a group that is not there, or none of several named.

        Examples
        --------
        >>> import semfit
        >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3"), semfit.example_data())
        >>> fit.implied().cov.round(2)
              x1    x2    x3
        x1  0.97  0.53  0.59
        x2  0.53  0.96  0.60
        x3  0.59  0.60  0.95
        """
        return import_module("semfit.results.moments").implied(self, group)

    def to_latex(
        self,
        table: str = "estimates",
        *,
        caption: str = "",
        label: str = "",
        confidence: float = 0.95,
        intervals: bool = False,
        standardized: bool = True,
        decimals: int = 3,
    ) -> str:
        r"""Return a table of the fit for LaTeX, with the rules of the package booktabs.

        Parameters
        ----------
        table : {"estimates", "measures", "r_squared"}
        caption, label : str
            Left out where they are empty.
        confidence, intervals, standardized, decimals
            As in `summary`.

        Returns
        -------
        str
            A `table` environment, groups one after the other; names of variables are escaped. R: none
            of lavaan's; ``semTable::semTable(fit)``.

        Raises
        ------
        ValueError
            A fit without a solution, or an unknown table.

        Examples
        --------
        >>> import semfit
        >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3"), semfit.example_data())
        >>> print(fit.to_latex("r_squared", caption="Explained variance"))
        \begin{table}
        \centering
        \caption{Explained variance}
        \begin{tabular}{lr}
        \toprule
         & Estimate \\
        \midrule
        x1 & 0.542 \\
        x2 & 0.560 \\
        x3 & 0.697 \\
        \bottomrule
        \end{tabular}
        \end{table}
        <BLANKLINE>
        """
        return import_module("semfit.results.latex").to_latex(
            self,
            table,
            caption=caption,
            label=label,
            confidence=confidence,
            intervals=intervals,
            standardized=standardized,
            decimals=decimals,
        )

    def plot(self, group: str | None = None, ax: Any = None) -> Any:
        """Draw a path diagram: ellipses are latent variables, boxes observed ones.

        Parameters
        ----------
        group : str, optional
            Which, where there are several.
        ax : matplotlib Axes, optional
            Where to draw; default: a figure of its own, as large as the model needs.

        Returns
        -------
        matplotlib Axes
            With ``ax.figure.savefig("model.pdf")`` it becomes a file. R: ``semPlot::semPaths(fit,
            "std")``.

        Raises
        ------
        ValueError
            A fit without a solution; a group that is not there, or none of several named.
        ImportError
            matplotlib is not installed (``pip install semfit[plot]``).

        Notes
        -----
        Numbers are the completely standardised estimates; an arrow with p >= .05 is dashed. Causes
        stand left of effects. Variances, means, and the covariances of covariates are not drawn.

        Examples
        --------
        >>> import semfit
        >>> fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3"), semfit.example_data())
        >>> ax = fit.plot()
        >>> sorted(text.get_text() for text in ax.texts)
        ['0.74', '0.75', '0.83', 'f', 'x1', 'x2', 'x3']
        """
        return import_module("semfit.results.diagram").plot(self, group, ax)
