"""What is a parameter of an ordered variable: its thresholds, and the unit of the response behind it.

That response has no unit of its own. Under "delta" its scale is fixed (1) and its residual variance
follows from what the model explains; under "theta" the residual variance is fixed (1) and the scale
follows. Both are one model, in other units. Equal thresholds give later groups the unit of the first,
and what was fixed there can be free. Two rules say what: lavaan's, and that of Wu and Estabrook.

Wu, H., & Estabrook, R. (2016). Identification of confirmatory factor analysis models of different
levels of invariance for ordered categorical outcomes. Psychometrika, 81(4), 1014-1045.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

PARAMETERIZATIONS = ("delta", "theta")
IDENTIFICATIONS = ("lavaan", "wu_estabrook")

Counts = Mapping[str, int]  # ordered variable to its number of thresholds


@dataclass(frozen=True)
class Unit:
    """How responses get their unit, and by which rule it is free in later groups."""

    parameterization: str = "delta"
    identification: str = "lavaan"

    def __post_init__(self) -> None:
        """Refuse names that do not exist."""
        for option, known in (
            ("parameterization", PARAMETERIZATIONS),
            ("identification", IDENTIFICATIONS),
        ):
            value = getattr(self, option)
            if value not in known:
                raise ValueError(
                    f"{option}={value!r} does not exist; there is: {', '.join(known)}."
                )

    @property
    def theta(self) -> bool:
        """Residual variances are parameters, scales follow."""
        return self.parameterization == "theta"

    @property
    def wu_estabrook(self) -> bool:
        """The rule for later groups is that of Wu and Estabrook."""
        return self.identification == "wu_estabrook"

    @property
    def op(self) -> str:
        """The operator of the parameter that sets the unit."""
        return "~~" if self.theta else "~*~"


def set_units(table: pd.DataFrame, counts: Counts, unit: Unit, written: Collection[str]) -> None:
    """Fix or derive residual variances and scales of one group's table; changes the table.

    Parameters
    ----------
    table : DataFrame
        Rows of one group, with a row of each residual variance and scale.
    counts : dict
        Ordered variables.
    unit : Unit
    written : collection of str
        Variables whose residual variance is written in the model: under theta it is free, as in lavaan.

    Raises
    ------
    ValueError
        A label of something that follows from the rest.
    """
    if not counts:
        table["derived"] = False
        return
    own = table["lhs"].isin(counts) & (table["lhs"] == table["rhs"])
    residual, scale = own & (table["op"] == "~~"), own & (table["op"] == "~*~")
    table["derived"] = scale if unit.theta else residual
    labelled = table[table["derived"] & (table["label"] != "")]
    if len(labelled):
        _refuse_label(labelled.iloc[0], unit)
    table.loc[table["derived"], ["parameter", "label"]] = ""
    table.loc[table["derived"], "value"] = float("nan")
    if unit.theta:
        default = residual & ~table["lhs"].isin(written)
        table.loc[default, ["parameter", "label"]] = ""
        table.loc[default, "value"] = 1.0


def _refuse_label(row: pd.Series, unit: Unit) -> None:
    what = "scale" if unit.theta else "residual variance"
    other = "delta" if unit.theta else "theta"
    raise ValueError(
        f"{row['lhs']} {row['op']} {row['label']}*{row['rhs']}: under the {unit.parameterization} "
        f"parameterization the {what} of an ordered variable is no parameter, it follows from the "
        f"others. Leave the label out, or use parameterization={other!r}."
    )


def free_in_later_groups(
    tables: Sequence[pd.DataFrame],
    counts: Counts,
    unit: Unit,
    equal: Collection[str],
    free: Collection[str],
    kept: Sequence[Collection[str]] = (),
) -> list[str]:
    """Free units (and intercepts) of later groups, where thresholds are equal; changes the tables.

    Parameters
    ----------
    tables : list of DataFrame
        One for each group, the first is the reference.
    counts, unit
        See `set_units`.
    equal, free
        Of `parameters.lay_out`; `free` without spaces.
    kept : sequence of collections of str, optional
        Variables of each group whose unit the model fixes at a number: it stays, as in lavaan.

    Returns
    -------
    list of str
        What stays free although it is of a kind that is equal: what was freed here, and the loadings
        of binary items whose latent variable no other item gives a unit, until intercepts are equal.

    Raises
    ------
    ValueError
        Equal residual variances under delta.
    """
    if unit.wu_estabrook and "residuals" in equal and counts and not unit.theta:
        raise ValueError(
            "Residual variances of ordered variables are no parameters under the delta "
            "parameterization, so they cannot be equal: use parameterization='theta'."
        )
    if "thresholds" not in equal:
        return []
    if not unit.wu_estabrook:
        if not (unit.theta and "residuals" in equal):
            _free(tables, unit.op, counts, kept)
        return []
    rule = _Rule(tables[0], counts, unit, set(equal), set(free))
    scales = [name for name in counts if rule.frees_unit(name)]
    _free(tables, unit.op, scales)
    intercepts = [name for name in counts if rule.frees_intercept(name)]
    _free(tables, "~1", intercepts)
    loose = [loading for name in counts for loading in rule.loose_loadings(name)]
    own = [f"{name}~~{name}" for name in scales] if unit.theta else []
    return [*loose, *own, *(f"{name}~1" for name in intercepts)]


def _free(
    tables: Sequence[pd.DataFrame],
    op: str,
    names: Collection[str],
    kept: Sequence[Collection[str]] = (),
) -> None:
    """Make the rows of these variables parameters of each later group, if they are fixed."""
    for g, table in enumerate(tables[1:], start=2):
        rows = (table["op"] == op) & table["lhs"].isin(names) & (table["parameter"] == "")
        rows &= ~table["lhs"].isin(kept[g - 1] if kept else ())
        if op != "~1":
            rows &= table["lhs"] == table["rhs"]
        table.loc[rows, "parameter"] = table["lhs"] + op + table["rhs"] + f".g{g}"
        table.loc[rows, "value"] = float("nan")


@dataclass(frozen=True)
class _Rule:
    """The rule of Wu and Estabrook: what equal thresholds leave to be free in a later group.

    Two equal thresholds identify unit and intercept of a response; one only the intercept. Of a
    binary item, threshold, loading and intercept together are one restriction: it is made when
    intercepts are. Before that its equal loading is paid for by a free unit, if other items give the
    latent variable its own.
    """

    table: pd.DataFrame
    counts: Counts
    unit: Unit
    equal: set[str]
    free: set[str]

    def tied(self, name: str) -> int:
        """Return how many thresholds of a variable are equal."""
        return sum(f"{name}|t{k + 1}" not in self.free for k in range(self.counts[name]))

    def loadings(self, name: str) -> list[str]:
        """Return the latent variables that a variable measures."""
        rows = (self.table["op"] == "=~") & (self.table["rhs"] == name)
        return [*self.table["lhs"][rows]]

    def anchored(self, latent: str) -> bool:
        """Tell whether an item gives the latent variable its unit: numeric, or with two thresholds."""
        rows = (self.table["op"] == "=~") & (self.table["lhs"] == latent)
        return any(n not in self.counts or self.tied(n) >= 2 for n in self.table["rhs"][rows])

    def has_unit(self, name: str) -> bool:
        """Tell whether all latent variables of an item are anchored."""
        return all(map(self.anchored, self.loadings(name)))

    def equal_loadings(self, name: str) -> bool:
        """Tell whether the loadings of an item are to be equal."""
        own = {f"{latent}=~{name}" for latent in self.loadings(name)}
        return "loadings" in self.equal and not own & self.free

    def equal_intercept(self, name: str) -> bool:
        """Tell whether the intercept of an item is to be equal."""
        return "intercepts" in self.equal and f"{name}~1" not in self.free

    def joint(self, name: str) -> bool:
        """Tell whether everything of an item is to be equal, but for its unit."""
        return self.equal_loadings(name) and self.equal_intercept(name)

    def frees_unit(self, name: str) -> bool:
        """Tell whether the unit of a response is free in later groups."""
        if "residuals" in self.equal and f"{name}~~{name}" not in self.free:
            return False
        if self.tied(name) >= 2 or (self.tied(name) == 1 and self.joint(name)):
            return True
        return self.equal_loadings(name) and self.has_unit(name)

    def frees_intercept(self, name: str) -> bool:
        """Tell whether the intercept of a response is free in later groups."""
        if self.tied(name) >= 2:
            return not self.equal_intercept(name)
        return self.tied(name) == 1 and not self.joint(name)

    def loose_loadings(self, name: str) -> Iterator[str]:
        """Return the loadings of an item that cannot be equal yet."""
        if self.tied(name) < 2 and not self.joint(name) and not self.has_unit(name):
            for latent in self.loadings(name):
                yield f"{latent}=~{name}"


def known_names(table: pd.DataFrame, counts: Counts, unit: Unit) -> pd.Series:
    """Return the names of fixed parameters of the first group that ``free=`` may hold, as written."""
    if not unit.wu_estabrook:
        return pd.Series(dtype=object)
    own = table["lhs"].isin(counts) & (
        (table["op"] == "~1")
        | (unit.theta and (table["op"] == "~~")) & (table["lhs"] == table["rhs"])
    )
    return (table["lhs"] + table["op"] + table["rhs"])[own]
