"""From a model to the parameters of a fit: groups, mean structure, thresholds, equality.

`semfit.syntax.model` completes a model for one group and covariances only. This module writes out
the rest by the rules of ``lavaan::sem()``: intercepts, thresholds and latent response scales, one
copy of the table for each group, and the parameters that are equal across groups (``group.equal``,
``group.partial``).
"""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from semfit.syntax.completion import parameter_row, parameter_table, table_of
from semfit.syntax.formula import names_in, rename
from semfit.syntax.model import Model, blocks_of, share_fixed_values, terms_of_group
from semfit.syntax.ordered import Unit, free_in_later_groups, known_names, set_units
from semfit.syntax.restrictions import Restrictions
from semfit.syntax.terms import Constraint
from semfit.syntax.tokens import is_name

EQUAL = (
    "loadings",
    "intercepts",
    "thresholds",
    "residuals",
    "residual_covariances",
    "regressions",
    "means",
    "lv_variances",
    "lv_covariances",
)
LABELS = ("shared", "by_group")


@dataclass(frozen=True, eq=False)
class Layout:
    """The parameters of a fit.

    Attributes
    ----------
    model : Model
    table : DataFrame
        One row per parameter and group: lhs, op, rhs, group (its label; "" without groups), label,
        parameter (name of the free parameter, "" if none), value (of a fixed one), exogenous (fixed
        at the sample's value), derived (residual variance of an ordered variable, or its scale under
        theta: what follows from its other parameters), start (where the search begins, NaN if not
        given), lower and upper (bounds, infinite if not given; those of equal parameters are one).
    parameters : tuple of str
        Names of the free parameters; equal ones once. As in lavaan, ".g2" marks the second group.
    groups : tuple of str
    definitions : tuple of (name, formula)
    mean_structure : bool
    ordered : tuple of str
    constraints : tuple of Constraint
        What the solution must obey: the model's, and those of effect coding.
    """

    model: Model
    table: pd.DataFrame = field(repr=False)
    parameters: tuple[str, ...]
    groups: tuple[str, ...]
    definitions: tuple[tuple[str, str], ...]
    mean_structure: bool
    ordered: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()

    @cached_property
    def restrictions(self) -> Restrictions:
        """What constraints and bounds ask of the free parameters."""
        return Restrictions(self.table, self.parameters, self.constraints, self.definitions)

    @cached_property
    def variances(self) -> np.ndarray:
        """Whether each row of the table is a variance."""
        columns = (self.table[name].tolist() for name in ("lhs", "op", "rhs"))
        return np.array([op == "~~" and a == b for a, op, b in zip(*columns, strict=True)])

    def rows(self, place: int) -> pd.DataFrame:
        """The rows of one group, by its place."""
        if len(self.groups) == 1:
            return self.table
        return self.table[self.table["group"] == self.groups[place]]


def lay_out(
    model: Model,
    groups: Sequence[str] = ("",),
    mean_structure: bool = False,
    thresholds: Mapping[str, int] | None = None,
    equal: Sequence[str] = (),
    free: Sequence[str] = (),
    labels: str = "shared",
    unit: Unit | None = None,
) -> Layout:
    """The `Layout` of a model.

    Parameters
    ----------
    model : Model
    groups : sequence of str
        Labels of the groups; ("",) for one sample.
    mean_structure : bool
        Add intercepts: free for observed variables, 0 for latent ones.
    thresholds : dict, ordered variable -> its number of thresholds, optional
    equal : sequence of str
        Kinds of parameters that are equal across groups, of `EQUAL`; the ``group.equal`` of lavaan.
        With equal intercepts or thresholds, latent means are free from the second group on (unless
        "means" are equal too), with equal thresholds also the scales of the latent responses. Of a
        second-order factor and its indicators, the mean of the factor (lavaan frees both, which is
        not identified).
    free : sequence of str
        Parameters that stay free in each group ("x3 ~ 1", "f =~ x2"); lavaan's ``group.partial``.
    labels : {"shared", "by_group"}
        A label stands for one parameter in all groups, as in lavaan; or for one in each, and
        definitions are repeated for each group (``h1_g1``, ``h1_g2``).
    unit : ordered.Unit, optional
        Of the responses behind ordered variables. By the rule of Wu and Estabrook, equal thresholds
        free latent means only with equal intercepts.

    Returns
    -------
    Layout

    Raises
    ------
    ValueError
        An unknown kind or parameter (the message names the nearest), modifiers in another number
        than groups.
    """
    _check_equal(equal, labels)
    thresholds, unit = thresholds or {}, unit or Unit()
    tables = [
        _table_of_group(model, g, groups, mean_structure, thresholds, labels, unit)
        for g in range(len(groups))
    ]
    if "intercepts" in model.options.effect_coding:
        _free_coded_means(tables, model)
    if len(groups) > 1:
        asked = [name.replace(" ", "") for name in free]
        _check_freed(asked, tables[0], known_names(tables[0], thresholds, unit))
        if not blocks_of(model.terms):  # as in lavaan: what is written group by group stays
            _free_latent_means(tables, model, equal, unit)
            _free_latent_variances(tables, model, equal)
        kept = [_fixed_units(model, g, unit) for g in range(len(groups))]
        loose = free_in_later_groups(tables, thresholds, unit, equal, asked, kept)
        _make_equal(tables, model, equal, [*asked, *loose])
    table = pd.concat(tables, ignore_index=True)
    _share_labels(table)
    names = tuple(dict.fromkeys(name for name in table["parameter"] if name))
    definitions = _definitions(model, len(groups), labels)
    constraints = _constraints(model, len(groups), labels)
    constraints += _effect_coding(table, model)
    ordered = tuple(name for name in model.observed if name in thresholds)
    shared = tuple(groups), definitions, mean_structure, ordered
    return Layout(model, table, names, *shared, constraints)


def _check_equal(equal: Iterable[str], labels: str) -> None:
    for kind in equal:
        if kind not in EQUAL:
            raise ValueError(f"equal={kind!r} does not exist; there are: {', '.join(EQUAL)}.")
    if labels not in LABELS:
        raise ValueError(f"labels={labels!r} does not exist; there are: {', '.join(LABELS)}.")


def _table_of_group(
    model: Model,
    g: int,
    groups: Sequence[str],
    mean_structure: bool,
    thresholds: Mapping[str, int],
    labels: str,
    unit: Unit,
) -> pd.DataFrame:
    """The table of one group, before any equality across groups."""
    table, _ = parameter_table(terms_of_group(model.terms, g, groups), model.options)
    added = [*_threshold_rows(model, table, thresholds)]
    if mean_structure:
        added += _intercept_rows(model, table, thresholds)
    if added:
        table = pd.concat([table, table_of(added)], ignore_index=True)
    set_units(table, thresholds, unit, _given_residuals(model))
    if g:
        own = (table["parameter"] != "") & (table["label"] == "")
        table.loc[own, "parameter"] += f".g{g + 1}"
    if labels == "by_group" and len(groups) > 1:
        split = table["label"].isin(_shared_labels(model))
        table.loc[split, "label"] = [_own_label(label, g) for label in table["label"][split]]
        free = split & (table["parameter"] != "")
        table.loc[free, "parameter"] = table.loc[free, "label"]
    table.insert(3, "group", groups[g])
    return table


def _own_label(label: str, g: int) -> str:
    """The label of one group; that of ``equal("f=~x2")`` is the name of a parameter."""
    if is_name(label):
        return f"{label}_g{g + 1}"
    return f"{label}.g{g + 1}" if g else label


def _fixed_units(model: Model, g: int, unit: Unit) -> set[str]:
    """The variables whose scale (under theta: residual variance) the model fixes in a group."""
    own = [t for t in terms_of_group(model.terms, g) if t.op == unit.op and t.lhs == t.rhs]
    return {term.lhs for term in own if term.modifier.value is not None}


def _given_residuals(model: Model) -> set[str]:
    """The variables whose (residual) variance is written in the model."""
    return {term.lhs for term in model.terms if term.op == "~~" and term.lhs == term.rhs}


def _written(table: pd.DataFrame, op: str) -> set[tuple[str, str]]:
    """The (lhs, rhs) that the model file has for an operator."""
    columns = (table[name].tolist() for name in ("op", "lhs", "rhs"))
    return {(lhs, rhs) for its, lhs, rhs in zip(*columns, strict=True) if its == op}


def _intercept_rows(
    model: Model, table: pd.DataFrame, thresholds: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Intercepts: free if observed, 0 if latent or ordered, the sample's mean for a covariate.

    In growth models it is the other way round.
    """
    written, free = _written(table, "~1"), model.observed
    if model.options.model_type != "sem":
        free = model.latents if model.options.model_type == "growth" else ()
    return [
        parameter_row(
            name,
            "~1",
            value=None if name in (*free, *model.covariates) and name not in thresholds else 0.0,
            exogenous=name in model.covariates,
        )
        for name in [*model.observed, *model.latents]
        if (name, "") not in written
    ]


def _threshold_rows(
    model: Model, table: pd.DataFrame, thresholds: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """Thresholds, free, and scales of the latent responses, 1; those that the file has not."""
    written = _written(table, "|")
    unknown = [f"{lhs} | {rhs}" for lhs, rhs in written if int(rhs[1:]) > thresholds.get(lhs, 0)]
    if unknown:
        raise ValueError(
            f"The model has threshold {min(unknown)}, which the data do not have: name the "
            "variable in ordered=, and give one threshold less than it has categories."
        )
    for name in model.observed:
        for k in range(thresholds.get(name, 0)):
            if (name, f"t{k + 1}") not in written:
                yield parameter_row(name, "|", f"t{k + 1}")
    scaled = _written(table, "~*~")
    for name in model.observed:
        if name in thresholds and (name, name) not in scaled:
            yield parameter_row(name, "~*~", name, value=1.0)


def _alone(model: Model, g: int, op: str) -> set[str]:
    """The variables whose mean ("~1") or variance ("~~") is written for a group."""
    terms = terms_of_group(model.terms, g)
    return {t.lhs for t in terms if t.op == op and t.rhs in ("", t.lhs)}


def _free(table: pd.DataFrame, rows: pd.Series, g: int) -> None:
    """Free rows of the table of a group, under lavaan's names of its parameters; in place."""
    names = table["lhs"] + table["op"] + table["rhs"] + (f".g{g + 1}" if g else "")
    table.loc[rows, "parameter"] = names[rows]
    table.loc[rows, "value"] = float("nan")


def _free_latent_means(
    tables: list[pd.DataFrame], model: Model, equal: Sequence[str], unit: Unit
) -> None:
    """Free the latent means of later groups where those of the first are their reference."""
    reference = {"intercepts"} if unit.wu_estabrook else {"intercepts", "thresholds"}
    if not reference & set(equal) or "means" in equal:
        return
    loadings = tables[0]["op"] == "=~"
    measured = tables[0]["rhs"][loadings]  # a mean of first and second order: not both
    for g, table in enumerate(tables[1:], start=1):
        rows = (table["op"] == "~1") & table["lhs"].isin(model.latents)
        rows &= ~table["lhs"].isin([*_alone(model, g, "~1"), *measured])
        _free(table, rows, g)


def _free_latent_variances(tables: list[pd.DataFrame], model: Model, equal: Sequence[str]) -> None:
    """Free the variances of 1 of later groups, where equal loadings carry the unit over."""
    if not model.options.std_lv or "loadings" not in equal or "lv_variances" in equal:
        return
    for g, table in enumerate(tables[1:], start=1):
        rows = (table["op"] == "~~") & (table["lhs"] == table["rhs"])
        rows &= table["lhs"].isin({*model.latents} - _alone(model, g, "~~"))
        _free(table, rows, g)


def _kinds(table: pd.DataFrame, model: Model) -> dict[str, pd.Series]:
    """The rows of each kind of parameter, as ``group.equal`` understands it."""
    op, latent = table["op"], table["lhs"].isin(model.latents)
    observed = ~latent & ~table["lhs"].isin(model.covariates)
    variance = (op == "~~") & (table["lhs"] == table["rhs"])
    covariance = (op == "~~") & (table["lhs"] != table["rhs"])
    return {
        "loadings": op == "=~",
        "intercepts": (op == "~1") & observed,
        "thresholds": op == "|",
        "residuals": variance & observed,
        "residual_covariances": covariance & observed,
        "regressions": op == "~",
        "means": (op == "~1") & latent,
        "lv_variances": variance & latent,
        "lv_covariances": covariance & latent,
    }


def _make_equal(
    tables: list[pd.DataFrame], model: Model, equal: Sequence[str], free: Sequence[str]
) -> None:
    """Give the parameters of later groups the name that they have in the first.

    As in lavaan, those with labels group by group (``c(a, b)``) keep them, and one that is fixed in a
    group is fixed in all.
    """
    first = tables[0]
    key = (first["lhs"] + first["op"] + first["rhs"]).str.replace(" ", "")
    kinds = _kinds(first, model)
    chosen = first["parameter"].notna() & False
    if equal:
        chosen = pd.concat([kinds[kind] for kind in equal], axis=1).any(axis=1)
    chosen &= ~key.isin(free) & ~first["exogenous"] & ~first["derived"]
    places = [_row_places(table) for table in tables]
    labels = _shared_labels(model)
    for row in first.index[chosen]:
        at = first.loc[row, "lhs"], first.loc[row, "op"], first.loc[row, "rhs"]
        same = [
            (table, place[at]) for table, place in zip(tables, places, strict=True) if at in place
        ]
        _equate([one for g, one in enumerate(same) if _equatable(*one, g, labels)])


def _row_places(table: pd.DataFrame) -> dict[tuple[str, str, str], Any]:
    names = zip(table["lhs"], table["op"], table["rhs"], strict=True)
    return dict(zip(names, table.index, strict=True))


def _equatable(table: pd.DataFrame, row: Any, g: int, labels: Collection[str]) -> bool:
    """Whether a parameter has no label of its group alone."""
    label = table.at[row, "label"]
    return not label or label in {*labels, *(_own_label(one, g) for one in labels)}


def _equate(rows: list[tuple[pd.DataFrame, Any]]) -> None:
    """Give rows of several tables one name, or the value of those that are fixed; in place."""
    fixed = {table.at[row, "value"] for table, row in rows if not table.at[row, "parameter"]}
    if len(fixed) > 1:
        table, row = rows[0]
        raise ValueError(
            f"{table.at[row, 'lhs']} {table.at[row, 'op']} {table.at[row, 'rhs']} is fixed at different "
            "values in the groups, and equal= would make it equal: give it one value."
        )
    name = next((table.at[row, "parameter"] for table, row in rows), "")
    for table, row in rows:
        table.at[row, "parameter"] = "" if fixed else name
        if fixed:
            table.at[row, "value"] = next(iter(fixed))


def _check_freed(asked: Sequence[str], first: pd.DataFrame, more: pd.Series) -> None:
    key = first["lhs"] + first["op"] + first["rhs"]
    known = [*key[first["parameter"] != ""].str.replace(" ", ""), *more]
    for name in asked:
        if name not in set(known):
            close = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"free={name!r} is not a free parameter of the model.{hint} "
                "Write a parameter as in the model file: 'f =~ x2', 'x3 ~ 1', 'y ~ f'."
            )


def _shared_labels(model: Model) -> set[str]:
    """The labels that are not given group by group with ``c()``."""
    return {t.modifier.shared_label for t in model.terms if not t.block} - {""}


def _definitions(model: Model, n_groups: int, labels: str) -> tuple[tuple[str, str], ...]:
    """The definitions; those that use split labels once for each group."""
    if labels == "shared" or n_groups == 1:
        return model.definitions
    split = _split_names(model)
    result: list[tuple[str, str]] = []
    for name, formula in model.definitions:
        if name not in split:
            result.append((name, formula))
            continue
        for g in range(1, n_groups + 1):
            names = {label: _own_label(label, g - 1) for label in split}
            result.append((names[name], rename(formula, names)))
    return tuple(result)


def _split_names(model: Model) -> set[str]:
    """The labels that are split by group, and the definitions that use them."""
    split = _shared_labels(model)
    for name, formula in model.definitions:
        split |= {name} if split & set(names_in(formula)) else set()
    return split


def _constraints(model: Model, n_groups: int, labels: str) -> tuple[Constraint, ...]:
    """The constraints; those that use split labels once for each group."""
    if labels == "shared" or n_groups == 1:
        return model.constraints
    split = _split_names(model)
    result: list[Constraint] = []
    for one in model.constraints:
        if not split & set(names_in(one.formula)):
            result.append(one)
            continue
        for g in range(1, n_groups + 1):
            names = {label: _own_label(label, g - 1) for label in split}
            result.append(replace(one, formula=rename(one.formula, names)))
    return tuple(result)


# ---- effect coding -------------------------------------------------------------------------------


def _indicators(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The latent variables of a group, with the rows of their loadings."""
    yield from table[table["op"] == "=~"].groupby("lhs", sort=False)


def _coded_intercepts(table: pd.DataFrame, loadings: pd.DataFrame) -> pd.DataFrame:
    """The intercepts of indicators, if all are free."""
    rows = table[(table["op"] == "~1") & table["lhs"].isin(loadings["rhs"])]
    return rows if (rows["parameter"] != "").all() else rows.iloc[:0]


def _free_coded_means(tables: list[pd.DataFrame], model: Model) -> None:
    """Free the means of latent variables whose indicators have intercepts that add up to 0."""
    for g, table in enumerate(tables):
        written = _alone(model, g, "~1")
        for latent, loadings in _indicators(table):
            if len(_coded_intercepts(table, loadings)) and latent not in written:
                _free(table, (table["op"] == "~1") & (table["lhs"] == latent), g)


def _effect_coding(table: pd.DataFrame, model: Model) -> tuple[Constraint, ...]:
    """Loadings that are 1 on average, and intercepts that add up to 0 (Little et al. 2006)."""
    kinds, found = model.options.effect_coding, dict[str, Constraint]()
    for _, rows in table.groupby("group", sort=False) if kinds else ():
        for latent, loadings in _indicators(rows):
            if "loadings" in kinds and (loadings["parameter"] != "").all():
                text = f"loadings of {latent} are 1 on average"
                formula = f"{_summed(loadings['parameter'])} - {len(loadings)}"
                found[formula] = Constraint("==", formula, text)
            intercepts = _coded_intercepts(rows, loadings)
            if "intercepts" in kinds and len(intercepts):
                text = f"intercepts of the indicators of {latent} add up to 0"
                formula = _summed(intercepts["parameter"])
                found[formula] = Constraint("==", formula, text)
    return tuple(found.values())


def _summed(names: Iterable[str]) -> str:
    return " + ".join(f"`{name}`" for name in names)


def _share_labels(table: pd.DataFrame) -> None:
    """What parameters of one name share: a fixed value, and bounds (the widest); in place."""
    share_fixed_values(table)
    if np.isinf(table[["lower", "upper"]].to_numpy()).all():
        return
    table.loc[table["parameter"] == "", ["lower", "upper"]] = [float("-inf"), float("inf")]
    for column, widest, none in (("lower", min, float("-inf")), ("upper", max, float("inf"))):
        given = table[(table[column] != none) & (table["parameter"] != "")]
        for name, values in given.groupby("parameter")[column]:
            table.loc[table["parameter"] == name, column] = widest(values)
