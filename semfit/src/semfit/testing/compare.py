"""Compare models: chi-square differences of nested ones, information criteria of others.

A model is nested in another if the other can imply the same moments with more parameters. That is
checked, not assumed (`nested_in`). With X2 the chi-squares, d the degrees of freedom and c the
scaling factors of the restricted model (0) and the larger one (1):

    ML       X2_0 - X2_1, on d_0 - d_1 degrees of freedom
    MLR      (X2_0 - X2_1) / c,  c = (d_0 c_0 - d_1 c_1) / (d_0 - d_1)     Satorra & Bentler 2001
    WLSMV    a (X2_0 - X2_1) + b, which gives it the right mean and variance        Satorra 2000

The c of 2001 can be negative in small samples; then MLR takes that of Satorra (2000), which cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import pandas as pd
from scipy.linalg import block_diag
from scipy.stats import chi2

from semfit.fitting import constrained, inference
from semfit.fitting.designs import OPTIONS as DESIGN_OPTIONS
from semfit.fitting.estimator import MEAN, MEAN_AND_VARIANCE
from semfit.fitting.fitting import Fit, estimator_under
from semfit.fitting.requirements import has_solution
from semfit.fitting.search import Found, minimise
from semfit.messages import Message, as_json, message
from semfit.moments import saturated
from semfit.syntax.identification import listed

if TYPE_CHECKING:
    from semfit.testing.constraints import Refit

Fitted: TypeAlias = "Fit | Refit"
Row: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str, str, str]

METHODS = ("default", "satorra.bentler.2010")
NESTED = 1e-8  # largest discrepancy per row at which two models imply the same moments
INDICES = ("cfi", "rmsea", "srmr")
COLUMNS = """model npar n df chisq chisq_scaled aic bic cfi rmsea srmr fit_indices against nested
chisq_diff df_diff p method delta_cfi delta_rmsea delta_srmr note note_code note_values""".split()
TEXTS = ["against", "nested", "method", "note", "note_code", "note_values"]


@dataclass(frozen=True)
class Difference:
    """A chi-square difference test.

    Attributes
    ----------
    chisq : float
    df : int
    p : float
    method : str
    scaling : float
        What the difference of chi-squares was divided by; NaN if it was not, or was shifted too.
    reason : Message or None
        What is unusual.
    """

    chisq: float
    df: int
    p: float
    method: str
    scaling: float = np.nan
    reason: Message | None = None

    @property
    def note(self) -> str:
        """What is unusual, in words, or ""."""
        return str(self.reason or "")


# ---- several models ------------------------------------------------------------------------------


def compare(
    *fits: Fit | Sequence[Fit] | Mapping[str, Fit], method: str = "default"
) -> pd.DataFrame:
    """Return one row per model, the least restricted first, each tested against one before it.

    Parameters
    ----------
    *fits : Fit
        Fits, or one list of them, or one dict of name to fit. Without a dict, the names are those
        of the models.
    method : str
        Of `difference`.

    Returns
    -------
    DataFrame
        model, npar, n, df, chisq, chisq_scaled (NaN for ML), aic, bic, cfi, rmsea, srmr,
        fit_indices (the column of ``fit.measures`` that cfi and rmsea are from: robust if every
        model has it, else scaled, else standard; srmr is always standard); against (the model of
        the test: the nearest one before it in which it is nested, else the one before it), nested
        ("yes", "no", "unknown"; "" in the first row), chisq_diff, df_diff, p and method of the
        test, delta_cfi, delta_rmsea, delta_srmr (minus those of `against`), all NaN unless nested;
        note (why something is NaN, or unusual), note_code (its code, a key of ``semfit.MESSAGES``;
        several are joined by "; "), note_values (JSON text: a list of the values of each code's
        fields; "" without a note).

        aic and bic are given for fits to the rows and variables of the first fit that is passed:
        other likelihoods are of other things. WLSMV has none.
        R: ``lavTestLRT(fit_a, fit_b, ...)``, which tests each row against the row before it, nested
        or not.

    Raises
    ------
    ValueError
        Fewer than two fits, something that is no `Fit`, or an unknown method.

    Examples
    --------
    >>> import semfit
    >>> data = semfit.example_data()
    >>> two = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6")
    >>> one = semfit.read_model("f =~ x1 + x2 + x3 + x4 + x5 + x6")
    >>> table = semfit.compare({"two": semfit.fit(two, data), "one": semfit.fit(one, data)})
    >>> table[["model", "df", "against", "nested", "chisq_diff", "df_diff"]].round(2)
      model   df against nested  chisq_diff  df_diff
    0   two  8.0                        NaN      NaN
    1   one  9.0     two    yes      119.54      1.0
    """
    _check_method(method)
    return compared_by(named_fits(fits), method=method)


def compared_by(
    named: Mapping[str, Fit], column: str = "", method: str = "default"
) -> pd.DataFrame:
    """Return what `compare` does, with cfi and rmsea of this column of the fit measures."""
    first, column = next(iter(named.values())), column or index_column(named.values())
    rows: dict[str, Row] = {}
    for name in sorted(named, key=lambda name: degrees_of_freedom(named[name])):
        one = named[name]
        row: Row = {"model": name, "fit_indices": column, **_own_columns(one, column), "note": []}
        other = other_data(first, one)
        if other:
            unknown = message("no_aic_and_bic", reason=other)
            row |= {"aic": np.nan, "bic": np.nan, "note": [unknown]}
        if rows:
            before = {earlier: named[earlier] for earlier in rows}
            _enter_test(row, one, before, rows, method)
        rows[name] = row
    for row in rows.values():
        row |= note_columns([note for note in row["note"] if note])
    table = pd.DataFrame(list(rows.values()), columns=COLUMNS)
    table[TEXTS] = table[TEXTS].astype(object).where(table[TEXTS].notna(), "")
    return table


def note_columns(notes: Sequence[Message]) -> dict[str, str]:
    """Return note, note_code and note_values of a row from what there is to say about it."""
    return {
        "note": "; ".join(map(str, notes)),
        "note_code": "; ".join(note.code for note in notes),
        "note_values": as_json([note.values for note in notes]) if notes else "",
    }


def named_fits(fits: Any) -> dict[str, Fit]:
    """Return a dict of name to fit, whichever way the fits were passed."""
    if len(fits) == 1 and not isinstance(fits[0], Fit):
        fits = fits[0]
    named = fits if isinstance(fits, dict) else None
    every = list(named.values() if named is not None else fits)
    if len(every) < 2 or not all(isinstance(one, Fit) for one in every):
        raise ValueError(
            "compare() takes two or more fits: fits, a list, or a dict of name to fit."
        )
    return named or dict(zip(_unique([one.model.name for one in every]), every, strict=True))


def _unique(names: list[str]) -> list[str]:
    """Number the names that are there more than once: "model 1", "model 2"."""
    return [
        f"{name} {names[: i + 1].count(name)}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def degrees_of_freedom(one: Fit) -> int:
    """Return the degrees of freedom of a fit, converged or not."""
    return int(measure(one, "df"))


def measure(one: Fit, name: str, column: str = "standard") -> float:
    """Return one fit measure of a fit."""
    return one.measures.set_index("measure")[column][name]


def index_column(fits: Iterable[Fit]) -> str:
    """Return the best column of fit measures that all models have; a saturated one needs none."""
    tested = [one for one in fits if one.test is not None and degrees_of_freedom(one)]
    for column in ("robust", "scaled"):
        if tested and all(np.isfinite(measure(one, "cfi", column)) for one in tested):
            return column
    return "standard"


def _own_columns(one: Fit, column: str) -> dict[str, float]:
    values = {name: measure(one, name) for name in ("npar", "n", "df", "chisq", "aic", "bic")}
    values["chisq_scaled"] = measure(one, "chisq", "scaled")
    values["srmr"] = measure(one, "srmr")
    for name in ("cfi", "rmsea"):
        values[name] = measure(one, name, column if degrees_of_freedom(one) else "standard")
    return values


def _enter_test(
    row: Row, one: Fit, before: dict[str, Fit], rows: dict[str, Row], method: str
) -> None:
    """Test a model against the nearest of those before it in which it is nested."""
    verdicts = {}
    for name in reversed(before):
        verdicts[name] = nested_in(one, before[name])
        if verdicts[name][0] == "yes":
            break
    against = name if verdicts[name][0] == "yes" else list(before)[-1]
    row["against"], (row["nested"], reason) = against, verdicts[against]
    said = row["note"] and reason is not None and reason.code == "other_variables"
    row["note"] += [] if said else [reason]
    if row["nested"] == "yes":
        test = chisq_difference(before[against], one, method)
        row["note"].append(test.reason)
        row |= {"chisq_diff": test.chisq, "df_diff": test.df, "p": test.p, "method": test.method}
        row |= {f"delta_{index}": row[index] - rows[against][index] for index in INDICES}


# ---- what may be compared ------------------------------------------------------------------------


def other_data(a: Fit, b: Fit) -> Message | None:
    """Return why two fits are not of the same data; None if they are."""
    lacking = sorted({*a.model.observed} ^ {*b.model.observed})
    if lacking:
        return message("other_variables", variables=listed(lacking))
    if {*a.model.covariates} != {*b.model.covariates}:
        differing = sorted({*a.model.covariates} ^ {*b.model.covariates})
        return message("other_covariates", variables=differing)
    if (a.group, a.groups) != (b.group, b.groups):
        return message("other_groups", first=str(a.group), second=str(b.group))
    if any(a.options[option] != b.options[option] for option in DESIGN_OPTIONS):
        return message("other_design")
    columns = sorted(a.rows.columns, key=str)
    if not a.rows[columns].equals(b.rows[columns]):
        return message("other_rows", first=a.n_used, second=b.n_used)
    if {*a.layout.ordered} != {*b.layout.ordered}:
        return message("other_ordered")
    if a.layout.mean_structure != b.layout.mean_structure:
        return message("other_mean_structure")
    return None


def not_comparable(a: Fit, b: Fit) -> Message | None:
    """Return why the chi-squares of two fits have no difference; None if they have one."""
    if (a.estimator, a.missing) != (b.estimator, b.missing):
        first, second = (f"{one.estimator} {one.missing}" for one in (a, b))
        return message("other_estimators", first=first, second=second)
    for one in (a, b):
        if not has_solution(one):
            return message("model_not_converged", model=one.model.name)
    return other_data(a, b)


def nested_in(small: Fit, large: Fit) -> tuple[str, Message | None]:
    """Tell whether a model is nested in another ("yes", "no", "unknown"), and why not.

    The larger model is fitted to the moments that the smaller one implies (NET, Bentler & Satorra
    2010): with a perfect fit and fewer degrees of freedom, it contains the smaller one. The check is
    made at the smaller model's estimates.

    Parameters
    ----------
    small, large : Fit

    Returns
    -------
    verdict : str
    reason : Message or None
        Why it is not, or why that is not known. R: ``semTools::net(large, small)``.
    """
    reason = not_comparable(small, large)
    if reason:
        return "no", reason
    found, discrepancy = matched(small, large)
    if discrepancy > NESTED:
        if not found.converged:
            return "unknown", message("match_not_converged")
        return "no", message("not_nested")
    if degrees_of_freedom(small) <= degrees_of_freedom(large):
        same = abs(its_test(small).chisq - its_test(large).chisq) <= NESTED * small.n_used
        limited = not same and _limits(small)
        return "no", message("inequality_only" if limited else "equivalent_models")
    return "yes", None


def matched(small: Fit, large: Fit) -> tuple[Found, float]:
    """Return where the larger model comes nearest to the smaller one's moments, and how near."""
    target = large.objective.matching(small.objective, small.point.theta)
    floor = target.floor()
    starts = [_carried_over(small, large), large.point.theta]
    layout = large.layout
    found = [minimise(target, layout, s) for s in starts if np.isfinite(target.value(s))]
    if not found:
        return minimise(target, layout, starts[1]), np.inf
    distances = [(target.value(one.theta) - floor) / target.n for one in found]
    nearest = int(np.argmin(distances))
    return found[nearest], abs(distances[nearest])


def _carried_over(small: Fit, large: Fit) -> np.ndarray:
    """Return the larger model's parameters with the smaller's values; what it lacks is 0."""
    table, values = small.layout.table, small.point.values(small.point.theta)
    known = dict(zip(map(_key, table.itertuples()), values, strict=True))
    theta = large.point.theta.copy()
    place = {name: i for i, name in enumerate(large.layout.parameters)}
    new = {*large.model.latents} - {*small.model.latents}
    for row in large.layout.table.iloc[::-1].itertuples():
        if row.parameter and not {row.lhs, row.rhs} & new:
            theta[place[row.parameter]] = known.get(_key(row), 0.0)
    return theta


def _key(row: Any) -> Key:
    pair = tuple(sorted((row.lhs, row.rhs))) if row.op == "~~" else (row.lhs, row.rhs)
    return row.op, *pair, row.group


# ---- chi-square differences ----------------------------------------------------------------------


def difference(large: Fit, small: Fit, method: str = "default") -> Difference:
    """Test a model against a larger one in which it is nested.

    Parameters
    ----------
    large, small : Fit
        Of the same data, by the same estimator; `small` is the restricted model.
    method : {"default", "satorra.bentler.2010"}
        Of the scaling for MLR. Default: Satorra & Bentler (2001), and where that is not positive
        Satorra (2000), see `positive_scaling`; or Satorra & Bentler (2010), see `scaling_2010`.

    Returns
    -------
    Difference
        R: ``lavTestLRT(large, small)``; for WLSMV with its default ``method = "satorra.2000"``,
        scaled and shifted. Where lavaan's scaling of 2001 is negative and its test NA, the note of
        this one says so.

    Raises
    ------
    ValueError
        The fits are of other variables, rows or estimators, did not converge, or the second is not
        nested in the first.

    Notes
    -----
    Where the restriction is at the edge of what is possible (a variance of 0, a correlation of 1:
    two factors that become one), p is too large (Stoel et al. 2006).
    """
    _check_method(method)
    for one in (large, small):
        if not isinstance(one, Fit):
            raise ValueError("difference() takes two fits: the larger model, then the restricted.")
    reason = not_comparable(small, large)
    if reason:
        raise ValueError(f"These fits cannot be compared by chi-square: {reason}.")
    nested, reason = nested_in(small, large)
    if nested != "yes":
        raise ValueError(
            f"{small.model.name} ({degrees_of_freedom(small)} df) has no chi-square difference with "
            f"{large.model.name} ({degrees_of_freedom(large)} df): {reason}. The larger model comes "
            "first; models that are not nested are compared by aic and bic: see compare()."
        )
    return chisq_difference(large, small, method)


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"method={method!r} does not exist; there are: {', '.join(METHODS)}.")


def chisq_difference(large: Fit, small: Fitted, method: str = "default") -> Difference:
    """Return the `Difference` of models that are known to be nested; see `difference`."""
    chisq, df = _steps_apart(large, small)
    correction = estimator_under(large.options).correction
    if correction == MEAN_AND_VARIANCE:
        slope, shift = satorra_2000(large, small)
        result = Difference(slope * chisq + shift, df, np.nan, "Satorra 2000")
    elif correction == MEAN:
        result = _scaled_difference(large, small, method)
    else:
        result = Difference(chisq, df, np.nan, "difference")
    reason = result.reason
    if chisq < -NESTED * large.n_used:
        reason = message("restricted_fits_better")
    elif reason is None and _limits(small):
        reason = message("inequality_at_limit")
    return replace(result, p=float(chi2.sf(result.chisq, df)), reason=reason)


def _limits(one: Fitted) -> list[str]:
    """Return the inequalities and bounds of a fit that are at their limit."""
    return constrained.at_limit(one.layout.restrictions, one.point.theta)


def its_test(one: Fitted) -> inference.Test:
    """Return the test of a fit that is known to have one."""
    return cast(inference.Test, one.test)


def _steps_apart(large: Fitted, small: Fitted) -> tuple[float, int]:
    """Return the differences of chi-squares and degrees of freedom."""
    a, b = its_test(large), its_test(small)
    return b.chisq - a.chisq, b.df - a.df


def _scaled_difference(large: Fit, small: Fitted, method: str) -> Difference:
    chisq, df = _steps_apart(large, small)
    reason = None
    if method.endswith("2010"):
        name, scaling = "Satorra-Bentler 2010 scaled", scaling_2010(large, cast(Fit, small))
    else:
        name = "Satorra-Bentler 2001 scaled"
        scaling = (_weight(its_test(small)) - _weight(its_test(large))) / df
        if not scaling > 0:
            reason = message("scaling_2001_not_positive", scaling=scaling)
            name, scaling = "Satorra 2000 scaled", positive_scaling(large, small)
    if not scaling > 0:
        reason, scaling = message("scaling_not_positive", scaling=scaling), np.nan
    return Difference(chisq / scaling, df, np.nan, name, float(scaling), reason)


def _weight(test: inference.Test) -> float:
    """Return degrees of freedom times scaling factor: 0 for a saturated model."""
    return test.df * test.scaling if test.df else 0.0


def scaling_2010(large: Fit, small: Fit) -> float:
    """Return the scaling of the difference by Satorra & Bentler (2010).

    (d_0 c_0 - d_1 c_10) / (d_0 - d_1), with c_10 the factor of the larger model at the estimates of
    the restricted one. It is positive with expected information; with the observed information of
    MLR it may not be. R: ``lavTestLRT(large, small, method = "satorra.bentler.2010")``.
    """
    found, _ = matched(small, large)
    objective, df = large.objective, its_test(large).df
    trace = inference.saturated_trace(objective, large.model, large.layout.mean_structure)
    free = constrained.free_directions(large.layout, found.theta)
    factor = inference.yuan_bentler(objective, found.theta, df, trace, free) if df else 1.0
    return (_weight(its_test(small)) - df * factor) / (its_test(small).df - df)


def positive_scaling(large: Fit, small: Fitted) -> float:
    """Return the scaling of the difference by Satorra (2000), positive by construction.

    tr[(A P A')^-1 A V A'] / rank(A), with A the restrictions, P the inverse of the observed
    information of the larger model and V its robust covariance matrix: by how much robust variances
    are larger than ordinary ones, in the directions of the restrictions.
    """
    moments = saturated.modelled_moments(large.model, large.layout.mean_structure)
    implied = [s.implied(large.point.theta) for s in large.objective.structures]
    parts = zip(large.objective.samples, implied, strict=True)
    weight = block_diag(*[saturated.complete_information(s.n, i.cov, moments) for s, i in parts])
    restrictions = _restrictions(large, small, weight)
    free = constrained.free_directions(large.layout, large.point.theta)
    plain = inference.invert(large.objective.asked_information(large.point.theta), free)
    if plain is None:
        return np.nan
    ordinary = restrictions @ plain @ restrictions.T
    robust = restrictions @ large.point.vcov @ restrictions.T
    return float(np.trace(np.linalg.solve(ordinary, robust)) / len(restrictions))


def satorra_2000(large: Fit, small: Fitted) -> tuple[float, float]:
    """Return (a, b): a X2 + b is the difference of WLSMV chi-squares with its mean and variance.

    With Delta, W, Gamma and the information E of the larger model, and A the restrictions:
    U = W Delta E^-1 A' (A E^-1 A')^-1 A E^-1 Delta' W, m = rank(A), a = sqrt(m / tr(U Gamma)^2),
    b = m - a tr(U Gamma) (Satorra 2000; Asparouhov & Muthén 2010). R: attributes scale and shift of
    ``lavTestLRT()``, with ``A.method = "delta"``.
    """
    groups = large.objective.samples
    share = [group.n / large.n_used for group in groups]
    weight = np.concatenate([f * g.weights for f, g in zip(share, groups, strict=True)])
    gamma = block_diag(*[g.gamma / f for f, g in zip(share, groups, strict=True)])
    delta = large.objective.jacobian(large.point.theta)
    restrictions = _restrictions(large, small)
    free = constrained.free_directions(large.layout, large.point.theta)
    inverse = cast(np.ndarray, inference.invert(delta.T @ (weight[:, None] * delta), free))
    pull = restrictions @ inverse @ delta.T * weight
    middle = restrictions @ inverse @ restrictions.T
    product = np.linalg.solve(middle, pull @ gamma @ pull.T)
    m = len(restrictions)
    slope = np.sqrt(m / np.trace(product @ product))
    return slope, m - slope * np.trace(product)


def _restrictions(large: Fit, small: Fitted, weight: np.ndarray | None = None) -> np.ndarray:
    """Return A (m, k): what the restricted model forbids to the parameters of the larger one.

    The complement of the changes of its parameters that the restricted model's can make, found by
    regression of derivatives on derivatives, with `weight` (q, q) or without. Of each model only
    changes that its own equalities allow.
    """
    names, delta = _moments(large)
    own, restricted = _moments(small)
    restricted = restricted[[own.index(name) for name in names]] @ _allowed(small)
    allowed = _allowed(large)
    delta = delta @ allowed
    if weight is None:
        span = np.linalg.lstsq(delta, restricted, rcond=None)[0]
    else:
        span = np.linalg.solve(delta.T @ weight @ delta, delta.T @ weight @ restricted)
    u, _, _ = np.linalg.svd(span)
    return u[:, restricted.shape[1] :].T @ allowed.T


def _allowed(one: Fitted) -> np.ndarray:
    """Return a basis (k, r) of the changes of the parameters that its equalities allow."""
    free = constrained.equality_directions(one.layout, one.point.theta)
    return np.eye(len(one.point.theta)) if free is None else free


def _moments(one: Fitted) -> tuple[list[tuple], np.ndarray]:
    """Return what each moment of a fit is, and the derivatives of all, (q, k)."""
    names, deltas = one.objective.moments(one.model, one.point.theta)
    numbered = [(g, *name) for g, group in enumerate(names) for name in group]
    return numbered, np.concatenate(deltas)
