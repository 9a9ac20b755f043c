"""The rules by which ``lavaan::sem()`` completes a model: markers, variances, covariances, covariates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from semfit.syntax.terms import Modifier, Term

COLUMNS = "lhs op rhs label parameter value exogenous start lower upper".split()
EFFECTS = ("loadings", "intercepts")
TYPES = ("sem", "growth", "lavaan")


@dataclass(frozen=True)
class Completion:
    """How a model is completed; lavaan's options of the same names.

    Attributes
    ----------
    std_lv : bool
        Latent variables have variance 1, and no first loading is fixed.
    effect_coding : tuple of str
        Of "loadings" (those of a latent variable are 1 on average, and no first one is fixed) and
        "intercepts" (those of its indicators add up to 0, and its mean is free).
    orthogonal : bool
        Latent variables do not covary, unless it is written.
    auto_var : bool, optional
        Variances that are not written are free; else they are 0. Default: True, for "lavaan" False.
    fixed_x : bool
        (Co)variances of covariates are fixed at the sample's; else they are estimated, and covariates
        are variables like others.
    model_type : {"sem", "growth", "lavaan"}
        The function of lavaan whose rules these are. growth: means of latent variables are free, and
        intercepts of observed ones 0. lavaan: nothing is added but covariates, no loading is fixed;
        what is not written is 0.
    """

    std_lv: bool = False
    effect_coding: tuple[str, ...] = ()
    orthogonal: bool = False
    auto_var: bool | None = None
    fixed_x: bool = True
    model_type: str = "sem"

    def __post_init__(self) -> None:
        """Write what is asked of effect coding as kinds."""
        asked = self.effect_coding
        if isinstance(asked, bool):
            asked = EFFECTS if asked else ()
        asked = (asked,) if isinstance(asked, str) else tuple(asked)
        unknown = [kind for kind in asked if kind not in EFFECTS]
        if unknown:
            raise ValueError(
                f"effect_coding={unknown[0]!r} does not exist; there are True, False and "
                f"{', '.join(EFFECTS)}."
            )
        if self.model_type not in TYPES:
            raise ValueError(
                f"model_type={self.model_type!r} does not exist; there is: {', '.join(TYPES)}."
            )
        if asked and self.std_lv:
            raise ValueError("std_lv and effect_coding are two ways to give a unit: choose one.")
        object.__setattr__(self, "effect_coding", asked)

    @property
    def markers(self) -> bool:
        """Whether the first loading of a latent variable is fixed at 1."""
        coded = self.std_lv or "loadings" in self.effect_coding
        return self.completes and not coded

    @property
    def completes(self) -> bool:
        """Whether what is not written is added by the rules of ``sem()``."""
        return self.model_type != "lavaan"

    @property
    def variances(self) -> bool:
        """Whether variances that are not written are free."""
        return self.completes if self.auto_var is None else self.auto_var


def variables_of(terms: Iterable[Any]) -> dict[str, list[str]]:
    """Classify the variables of a model as ``lavaan::lavNames()`` does.

    Parameters
    ----------
    terms : iterable of Term, or of the rows of a table (``table.itertuples()``)
        With lhs, op and rhs.

    Returns
    -------
    dict, kind -> list of names
        latents, observed, covariates (``ov.x``), exogenous_latents (``lv.x``), outcomes
        (``lv.y`` and ``ov.y``), indicators.
    """
    terms = list(terms)

    def unique(side: str, op: str) -> list[str]:
        return list(dict.fromkeys(getattr(term, side) for term in terms if term.op == op))

    latents, indicators = unique("lhs", "=~"), unique("rhs", "=~")
    dependent, predictors = unique("lhs", "~"), unique("rhs", "~")
    written = [*unique("lhs", "~~"), *unique("rhs", "~~")]
    written += [t.lhs for t in terms if t.op in ("~1", "|")]
    moved = [name for name in predictors if _depends(name, dependent)]
    order = dict.fromkeys([*indicators, *dependent, *moved, *predictors, *written])
    observed = [name for name in order if name not in latents]
    taken = {*latents, *indicators, *dependent, *moved, *written}
    outcomes = [name for name in dependent if name not in {*indicators, *predictors}]
    return {
        "latents": latents,
        "observed": observed,
        "indicators": indicators,
        "covariates": [name for name in predictors if name not in taken],
        "exogenous_latents": [v for v in latents if v not in {*indicators, *dependent}],
        "outcomes": [name for name in [*latents, *observed] if name in outcomes],
    }


def _depends(name: str, dependent: Sequence[str]) -> bool:
    """Whether a product is of a variable that is predicted, and so is no covariate."""
    return ":" in name and any(part in dependent for part in name.split(":"))


def parameter_table(
    terms: Sequence[Term], options: Completion | None = None
) -> tuple[pd.DataFrame, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]:
    """Complete a model by the rules of ``lavaan::sem()``.

    Rules: the first indicator of a latent variable has loading 1; every variable has a (residual)
    variance; exogenous latent variables covary; the residuals of outcomes that predict nothing
    covary; the residual variance of a single indicator is 0; (co)variances of observed exogenous
    variables are fixed at the sample's and are not correlated with exogenous latent variables.

    Parameters
    ----------
    terms : list of Term
        Terms as written, of one group.
    options : Completion, optional
        Other rules.

    Returns
    -------
    table : DataFrame
        See `Model`. R: ``lavaan::lavaanify(text, auto = TRUE, fixed.x = TRUE)``.
    variables : tuple of three tuples of str
        latents, observed, covariates.
    """
    options = options or Completion()
    kinds = variables_of(terms)
    markers = _markers(terms) if options.markers else set[tuple[str, str]]()
    rows = [_written_row(term, (term.lhs, term.rhs) in markers, options, kinds) for term in terms]
    rows += _default_rows(terms, kinds, options)
    table = table_of(rows)
    covariates = kinds["covariates"] if options.fixed_x else []
    return table, (tuple(kinds["latents"]), tuple(kinds["observed"]), tuple(covariates))


def table_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a table of parameters."""
    table = pd.DataFrame(rows, columns=COLUMNS)
    numbers = ["value", "start", "lower", "upper"]
    return table.astype(dict.fromkeys(numbers, float))


def _markers(terms: Sequence[Term]) -> set[tuple[str, str]]:
    """The first indicator of each latent variable, as (latent, indicator)."""
    first: dict[str, str] = {}
    for term in terms:
        if term.op == "=~":
            first.setdefault(term.lhs, term.rhs)
    return set(first.items())


def parameter_row(
    lhs: str,
    op: str,
    rhs: str = "",
    label: str = "",
    value: float | None = None,
    exogenous: bool = False,
    start: float = float("nan"),
    lower: float = float("-inf"),
    upper: float = float("inf"),
) -> dict[str, Any]:
    """One row of a parameter table: free, unless it has a value or is fixed at the sample's."""
    free = value is None and not exogenous
    return {
        "lhs": lhs,
        "op": op,
        "rhs": rhs,
        "label": label,
        "parameter": (label or f"{lhs}{op}{rhs}") if free else "",
        "value": float("nan") if value is None else value,
        "exogenous": exogenous,
        "start": start,
        "lower": lower,
        "upper": upper,
    }


def _written_row(
    term: Term, marker: bool, options: Completion, kinds: Mapping[str, list[str]]
) -> dict[str, Any]:
    """The row of a written term; a marker is 1 unless a number or NA says otherwise."""
    modifier = term.modifier
    variance = term.op == "~~" and term.lhs == term.rhs and term.lhs in kinds["latents"]
    number = modifier.value
    if not modifier.fixed and (marker if term.op == "=~" else variance and options.std_lv):
        number = 1.0
    label = modifier.label[0] if modifier.label else ""
    limits = _limits(modifier) if number is None else {}
    return parameter_row(term.lhs, term.op, term.rhs, label, number, **limits)


def _limits(modifier: Modifier) -> dict[str, Any]:
    """Where the search begins, and between which values it stays, of those that are given."""
    said = {kind: getattr(modifier, kind) for kind in ("start", "lower", "upper")}
    return {kind: v[0] for kind, v in said.items() if v and v[0] == v[0]}


def _default_rows(
    terms: Sequence[Term], kinds: Mapping[str, list[str]], options: Completion
) -> list[dict[str, Any]]:
    """The rows that lavaan adds to those that were written, in lavaan's order."""
    covariates, latents = kinds["covariates"], kinds["latents"]
    random = [name for name in kinds["observed"] if name not in covariates]
    pairs = [(name, name) for name in [*random, *latents]]
    if options.completes:
        pairs += combinations(kinds["exogenous_latents"], 2)
        pairs += combinations(kinds["outcomes"], 2)
    written = {frozenset((t.lhs, t.rhs)) for t in terms if t.op == "~~"}
    fixed = options.variances and options.completes
    single = _single_indicators(terms) if fixed else set[str]()
    rows = [
        parameter_row(a, "~~", b, value=_default_value(a, b, latents, single, options))
        for a, b in pairs
        if frozenset((a, b)) not in written
    ]
    rows += [
        parameter_row(a, "~~", b, exogenous=options.fixed_x)
        for i, a in enumerate(covariates)
        for b in covariates[i:]
    ]
    return rows


def _default_value(
    a: str, b: str, latents: Sequence[str], single: set[str], options: Completion
) -> float | None:
    """The value at which a variance or covariance that is not written is fixed; None: it is free."""
    if a != b:
        return 0.0 if options.orthogonal and {a, b} <= {*latents} else None
    if a in single:
        return 0.0
    if a in latents and options.std_lv:
        return 1.0
    return None if options.variances else 0.0


def _single_indicators(terms: Sequence[Term]) -> set[str]:
    """The indicators that are the only one of their latent variable and of no other."""
    loadings = [(t.lhs, t.rhs) for t in terms if t.op == "=~"]
    latents, indicators = [pair[0] for pair in loadings], [pair[1] for pair in loadings]
    return {
        rhs
        for lhs, rhs in loadings
        if latents.count(lhs) == indicators.count(rhs) == 1 and lhs != rhs
    }
