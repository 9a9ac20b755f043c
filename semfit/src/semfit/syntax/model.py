"""Model syntax: from a model file to the parameters that lavaan would estimate.

`grammar` reads the text, `completion` adds what ``lavaan::sem()`` would add; what a text may not say,
although its grammar is right, is refused here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from semfit.syntax.completion import Completion, parameter_table, variables_of
from semfit.syntax.formula import names_in
from semfit.syntax.grammar import Formula, read
from semfit.syntax.terms import Constraint, Statement, Term, labels_of, text_of_terms

_OPERATOR = re.compile(r"[~<>=|˜∼～\n]|:(?![/\\])")  # a text that has one is a model, not its name


@dataclass(frozen=True, eq=False)
class Model:
    """A structural equation model, completed by the rules of ``lavaan::sem()``.

    Attributes
    ----------
    name, text : str
        Name of the model, and its syntax as it was read.
    latents, observed : tuple of str
        Variables in lavaan's order (observed: indicators, outcomes, covariates, others).
    covariates : tuple of str
        Observed exogenous variables, whose (co)variances are fixed at the sample's (``fixed.x``).
    parameters : DataFrame
        One row per parameter: lhs, op, rhs, label, `parameter` (name of the free parameter;
        rows with one label share it; "" when fixed), `value` (of a fixed parameter, else NaN),
        `exogenous` (True: fixed at the sample value), `start` (where the search begins, NaN if not
        given), `lower` and `upper` (bounds, infinite if not given).
    definitions : tuple of (name, formula)
        The ``:=`` lines.
    terms : tuple of Term
        The terms as written; see `terms.Term`.
    constraints : tuple of Constraint
        The ``==``, ``<`` and ``>`` lines.
    options : Completion
        By which rules it was completed.
    """

    name: str
    text: str = field(repr=False)
    latents: tuple[str, ...]
    observed: tuple[str, ...]
    covariates: tuple[str, ...]
    parameters: pd.DataFrame = field(repr=False)
    definitions: tuple[tuple[str, str], ...] = ()
    terms: tuple[Term, ...] = field(default=(), repr=False)
    constraints: tuple[Constraint, ...] = ()
    options: Completion = field(default_factory=Completion)

    def completed(
        self,
        *,
        std_lv: bool | None = None,
        effect_coding: bool | str | Sequence[str] | None = None,
        orthogonal: bool | None = None,
        auto_var: bool | None = None,
        fixed_x: bool | None = None,
        model_type: str | None = None,
    ) -> Model:
        """Return the model completed by other rules; what is None stays as it is.

        Parameters
        ----------
        std_lv : bool, optional
            Latent variables have variance 1, and no first loading is fixed at 1. With equal loadings
            across groups, the variances of later groups are free.
        effect_coding : bool, str or sequence of str, optional
            Of "loadings" (those of a latent variable are 1 on average, and no first one is fixed) and
            "intercepts" (those of its indicators add up to 0, and its mean is free); True: both.
        orthogonal : bool, optional
            Latent variables do not covary, unless it is written.
        auto_var : bool, optional
            False: variances that are not written are 0.
        fixed_x : bool, optional
            False: means and (co)variances of covariates are estimated. Rows in which one of them is
            missing are then used by fiml.
        model_type : {"sem", "growth", "lavaan"}, optional
            growth: means of latent variables are free, and intercepts of observed ones 0. lavaan:
            nothing is added but covariates, no loading is fixed; what is not written is 0.

        Returns
        -------
        Model
            R: ``lavaanify(text, model.type = model_type, auto = TRUE, std.lv = std_lv, effect.coding =
            effect_coding, orthogonal = orthogonal, auto.var = auto_var, fixed.x = fixed_x)``.

        Raises
        ------
        ValueError
            Options that do not go together, or an unknown kind of effect coding.

        Examples
        --------
        >>> import semfit
        >>> model = semfit.read_model("f =~ x1 + x2 + x3").completed(std_lv=True)
        >>> model.parameters.query("parameter == ''")[["lhs", "op", "rhs", "value"]]
          lhs  op rhs  value
        6   f  ~~   f    1.0
        """
        asked: dict[str, Any] = {
            "std_lv": std_lv,
            "effect_coding": effect_coding,
            "orthogonal": orthogonal,
            "auto_var": auto_var,
            "fixed_x": fixed_x,
            "model_type": model_type,
        }
        asked = {name: value for name, value in asked.items() if value is not None}
        return self if not asked else self.with_options(replace(self.options, **asked))

    def with_options(self, options: Completion) -> Model:
        """Return the model completed by these rules."""
        if options == self.options:
            return self
        shared = self.definitions, self.constraints
        return built(self.name, self.text, self.terms, *shared, options)

    def with_terms(self, terms: Sequence[Term], name: str = "") -> Model:
        """Return the model of these of its terms, and of what they leave of what is computed.

        Definitions and constraints that use a label which is lost are left out.

        Raises
        ------
        ValueError
            A constraint ties what is lost to what stays.
        """
        lost = {*labels_of(self.terms)} - {*labels_of(terms)}
        definitions = []
        for defined, formula in self.definitions:
            if lost & {*names_in(formula)}:
                lost.add(defined)
            else:
                definitions.append((defined, formula))
        kept = tuple(one for one in self.constraints if not self._is_lost(one, lost))
        lines = [text_of_terms(terms), *(f"{name} := {formula}" for name, formula in definitions)]
        text = "\n".join([*lines, *(one.text for one in kept)])
        return built(name or self.name, text, terms, tuple(definitions), kept, self.options)

    def statements(self) -> list[str]:
        """Return what the model says, term by term, without labels that only name.

        Returns
        -------
        list of str
            Two models that say the same differ in none. R: none.

        Examples
        --------
        >>> import semfit
        >>> semfit.read_model("f =~ x1 + x2; y ~ h1*f + a*g; z ~ a*g").statements()
        ['f =~ x1', 'f =~ x2', 'y ~ f', 'y ~ a*g', 'z ~ a*g']
        """
        labels = [label for term in self.terms for label in term.modifier.labels()]
        texts = []
        for term in self.terms:
            shared = tuple(label for label in term.modifier.label if labels.count(label) > 1)
            kept = replace(term.modifier, label=shared and term.modifier.label)
            texts.append(replace(term, modifier=kept).text())
        defined = [f"{name} := {formula}" for name, formula in self.definitions]
        return [*texts, *defined, *(one.text for one in self.constraints)]

    def without(self, names: Iterable[str]) -> Model:
        """Return the model without some of its variables.

        Loadings, paths, covariances and products of what goes are left out; a latent variable goes
        with its last indicator, a definition with a label that it uses, and so does a constraint,
        also one that ties what goes to what stays.

        Parameters
        ----------
        names : iterable of str
            Observed or latent variables.

        Returns
        -------
        Model
            R: none; it is what one would write by hand.

        Raises
        ------
        ValueError
            No loading and no path is left.

        Examples
        --------
        >>> import semfit
        >>> model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4; f ~ a*g + b*age; twice := 2*a")
        >>> print(model.without(["x2", "x4"]).text)
        f =~ x1
        f =~ x3
        f ~ b*age
        """
        gone, before = {*names}, None
        while gone != before:
            kept = [term for term in self.terms if not gone & {*_variables(term)}]
            measured = {term.lhs for term in kept if term.op == "=~"}
            before, gone = gone, gone | {name for name in self.latents if name not in measured}
        if not any(term.op in ("=~", "~") for term in kept):
            raise ValueError(f"Nothing is left of {self.name}: no loading, and no path.")
        try:
            return self.with_terms(kept)
        except ValueError:  # a constraint ties what goes to what stays
            return replace(self, constraints=()).with_terms(kept)

    def with_predictors(self, name: str, columns: Mapping[str, str]) -> Model:
        """Return the model with several predictors in the place of one.

        For a predictor without order: the columns tell its categories from one that is left out.

        Parameters
        ----------
        name : str
            A predictor (``y ~ name``).
        columns : dict of str to str
            What is added to its label, or to ``y.name`` where it has none -> the predictor in its
            place: h3 becomes h3_2, h3_3 ... Definitions and constraints that use h3 are left out.

        Returns
        -------
        Model
            R: none; it is what one would write by hand.

        Raises
        ------
        ValueError
            The variable is something else than a predictor somewhere.

        Examples
        --------
        >>> import semfit
        >>> model = semfit.read_model("f =~ x1 + x2 + x3; f ~ h*region")
        >>> wide = model.with_predictors("region", {"2": "region_2", "3": "region_3"})
        >>> wide.text.splitlines()[-2:]
        ['f ~ h_2*region_2', 'f ~ h_3*region_3']
        """
        terms: list[Term] = []
        for term in self.terms:
            if name not in _variables(term):
                terms.append(term)
                continue
            if term.op != "~" or term.rhs != name:
                raise term.statement.problem(f"{name} can only be a predictor.")
            labels = term.modifier.label or (f"{term.lhs}.{name}",)
            for suffix, column in columns.items():
                own = tuple(f"{label}_{suffix}" if label else "" for label in labels)
                terms.append(replace(term, rhs=column, modifier=replace(term.modifier, label=own)))
        return self.with_terms(terms)

    def _is_lost(self, constraint: Constraint, lost: set[str]) -> bool:
        """Tell whether all that a constraint uses is lost; refuse one that loses a part."""
        used, computed = {*names_in(constraint.formula)}, dict(self.definitions)
        while inner := used & computed.keys():
            used = used - inner | {name for one in inner for name in names_in(computed[one])}
        if lost & used and used - lost:
            raise ValueError(
                f"Constraint {constraint.text!r} ties {min(lost & used)}, which is left out here, to "
                f"{min(used - lost)}, which is not: leave the constraint out, or keep both."
            )
        return bool(lost & used)


def read_model(source: str | Path, folder: str | Path | None = None) -> Model:
    """Read a structural equation model in lavaan syntax.

    Parameters
    ----------
    source : str or Path
        The model text itself (anything with an operator in it), path to a ``.lav`` file, or the
        name of a ``.lav`` file in `folder`, without ``.lav``.
    folder : str or Path, optional
        Where models are that are given by name.

    Returns
    -------
    Model
        R: ``lavaan::lavaanify(text, auto = TRUE, model.type = "sem")``.

    Raises
    ------
    ValueError
        Unknown name (the message lists those there are), or syntax that cannot be read or is not
        supported (the message names the line).

    Notes
    -----
    All of lavaan's syntax is read, or refused by name: see the page on syntax.

    Examples
    --------
    >>> import semfit
    >>> model = semfit.read_model('''
    ...     trust =~ t1 + t2 + t3
    ...     sales ~ effect*trust
    ...     twice := 2*effect
    ... ''')
    >>> model.latents, model.observed, model.definitions
    (('trust',), ('t1', 't2', 't3', 'sales'), (('twice', '2*effect'),))
    >>> model.parameters[["lhs", "op", "rhs", "label", "value"]].head(4)
         lhs  op    rhs   label  value
    0  trust  =~     t1            1.0
    1  trust  =~     t2            NaN
    2  trust  =~     t3            NaN
    3  sales   ~  trust  effect    NaN
    """
    name, text = _locate(source, folder)
    written = read(text)
    _check_terms(written.terms)
    _check_blocks(written.terms)
    definitions = tuple((defined, formula) for _, defined, formula in written.definitions)
    constraints = tuple(constraint for _, constraint in written.constraints)
    model = built(name, text, written.terms, definitions, constraints)
    _check_equal(written.terms, model.parameters)
    _check_definitions(written.definitions, written.terms)
    _check_constraints(written.constraints, written.terms, dict(definitions))
    return model


def as_model(model: Model | str | Path) -> Model:
    """Return a model, read if it is given as text or path."""
    return read_model(model) if isinstance(model, str | Path) else model


def built(
    name: str,
    text: str,
    terms: Sequence[Term],
    definitions: tuple[tuple[str, str], ...] = (),
    constraints: tuple[Constraint, ...] = (),
    options: Completion | None = None,
) -> Model:
    """Return the model of these terms, completed."""
    options = options or Completion()
    table, variables = parameter_table(terms_of_group(terms, 0), options)
    share_fixed_values(table)
    return Model(name, text, *variables, table, definitions, tuple(terms), constraints, options)


def _variables(term: Term) -> list[str]:
    """Return the variables that a term is about; those of a product one by one."""
    return [term.lhs, *(term.rhs.split(":") if term.op in ("=~", "~", "~~") else [])]


def _locate(source: str | Path, folder: str | Path | None) -> tuple[str, str]:
    """Name and text of a model given as name, path or text."""
    text = str(source)
    is_path = isinstance(source, Path) or (text.endswith(".lav") and "\n" not in text)
    if not is_path and _OPERATOR.search(text):
        return "model", text
    named = not is_path and folder is not None
    path = Path(folder or ".") / f"{text}.lav" if named else Path(text).expanduser()
    if (is_path or named) and path.is_file():
        return path.stem, path.read_text(encoding="utf-8-sig")
    known = sorted(file.stem for file in Path(folder).glob("*.lav")) if folder else []
    close = difflib.get_close_matches(text, known, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = f" Models in {folder}: {', '.join(known)}." if known else ""
    raise ValueError(
        f"No model {text!r}.{hint}{listed} Give the path of a .lav file, or the model text."
    )


# ---- groups --------------------------------------------------------------------------------------


def terms_of_group(
    terms: Sequence[Term], group: int, labels: Sequence[str] | None = None
) -> list[Term]:
    """Terms of one group, with their modifiers there.

    Parameters
    ----------
    terms : sequence of Term
        As in `Model`.
    group : int
        Place of the group, from 0.
    labels : sequence of str, optional
        Labels of the groups: refuse terms for another number of groups, or for others.

    Returns
    -------
    list of Term

    Raises
    ------
    ValueError
        ``c()`` holds another number of modifiers than there are groups (the message names the line),
        or ``group:`` lines do not name the groups.
    """
    chosen: list[Term] = []
    n_groups = len(labels) if labels else 0
    blocks = blocks_of(terms)
    block = _block_of_group(blocks, group, labels) if blocks else ""
    for term in terms:
        if term.block != block:
            continue
        sizes = term.modifier.sizes()
        if n_groups and sizes - {n_groups}:
            raise term.statement.problem(
                f"c() has {min(sizes - {n_groups})} modifiers, and there are {n_groups} group(s): "
                "give one for each group, and fit the model with group=."
            )
        if len(sizes) > 1:
            raise term.statement.problem(
                "the modifiers of a term are for different numbers of groups: give one for each group."
            )
        chosen.append(replace(term, modifier=term.modifier.of_group(group)))
    return chosen


def blocks_of(terms: Iterable[Term]) -> list[str]:
    """Return the groups that are described one by one (``group: 1``), in order."""
    return list(dict.fromkeys(term.block for term in terms if term.block))


def _block_of_group(blocks: Sequence[str], group: int, labels: Sequence[str] | None) -> str:
    """Return the block that is about a group: the one of its label, or else of its number."""
    if not labels:
        return blocks[group]
    numbers = [str(number + 1) for number in range(len(labels))]
    for names in (labels, numbers):
        if set(blocks) == set(names):
            return names[group]
    there = ", ".join(labels) if labels != ("",) else "none: fit the model with group="
    raise ValueError(
        f"The model describes the groups {', '.join(blocks)} one by one (group: ...); there are "
        f"{there}. Write one block for each group, by its label or number."
    )


# ---- what may not be said ------------------------------------------------------------------------


def _check_terms(terms: Sequence[Term]) -> None:
    """Refuse impossible thresholds and scales, loops of one, and repeated terms."""
    if not terms:
        raise ValueError("The model is empty: it has no =~, ~ or ~~ line.")
    seen: dict[tuple[str, ...], int] = {}
    for term in terms:
        lhs, op, rhs, statement = term.lhs, term.op, term.rhs, term.statement
        if op == "|" and not re.fullmatch(r"t[1-9]\d*", rhs):
            raise statement.problem(f"{rhs!r} is not a threshold: they are t1, t2, ...")
        if op == "~*~" and lhs != rhs:
            raise statement.problem(
                f"a scale (~*~) is of one variable, written on both sides: {lhs} ~*~ {lhs}."
            )
        if lhs == rhs and op in ("~", "=~") and term.modifier.fixed != (0.0,):
            raise statement.problem(f"{lhs} is on both sides.")
        key = (term.block, op, *(sorted((lhs, rhs)) if op == "~~" else (lhs, rhs)))
        if key in seen:
            raise statement.problem(f"{lhs} {op} {rhs} was already given on line {seen[key]}.")
        seen[key] = statement.line
    _check_products(terms)


def _check_blocks(terms: Sequence[Term]) -> None:
    """Refuse groups that are described one by one with other variables, or some of them not."""
    blocks = blocks_of(terms)
    for term in terms if blocks else ():
        if not term.block:
            raise term.statement.problem(
                "this stands before the first group: line; write it in each group."
            )
        if term.modifier.sizes():
            raise term.statement.problem("c() is for all groups: within group: give one modifier.")
    kinds = [variables_of([t for t in terms if t.block == block]) for block in blocks]
    for block, kind in zip(blocks[1:], kinds[1:], strict=True):
        for what in ("latents", "observed", "covariates"):
            other = {*kind[what]} ^ {*kinds[0][what]}
            if other:
                raise ValueError(
                    f"group: {block} and group: {blocks[0]} differ in {what} "
                    f"({', '.join(sorted(other))}): groups are fitted with the same variables in the "
                    "same places. Fix what is not there at 0 (0*x)."
                )


def _check_products(terms: Sequence[Term]) -> None:
    """Refuse products of latent variables, and of variables that are not in the model themselves."""
    latents = {term.lhs for term in terms if term.op == "=~"}
    present = {name for term in terms for name in (term.lhs, term.rhs) if ":" not in name}
    for term in terms:
        parts = term.rhs.split(":") if ":" in term.rhs else []
        for part in parts:
            if part in latents:
                raise term.statement.problem(
                    f"{part} is a latent variable: interactions of latent variables are not fitted "
                    "here; compute products of their indicators as columns."
                )
            if part not in present:
                raise term.statement.problem(
                    f"{part} is not in the model by itself: add it as a predictor, or compute "
                    "the product as a column."
                )


def share_fixed_values(table: pd.DataFrame) -> None:
    """Fix all parameters of a label where one of them is fixed, as lavaan does; in place.

    A label may also be the name of a parameter, "f=~x2": that of ``equal("f=~x2")``.
    """
    labels = dict.fromkeys(label for label in table["label"] if label)
    names = table["lhs"] + table["op"] + table["rhs"] if labels else ""
    for label in labels:
        rows = (table["label"] == label) | ((names == label) & (table["label"] == ""))
        fixed = rows & (table["parameter"] == "") & table["value"].notna()
        if not fixed.any() or not rows.sum() > 1:
            continue
        values = table.loc[fixed, "value"].unique()
        if len(values) > 1:
            raise ValueError(
                f"Label {label!r} is on parameters that are fixed at different values "
                f"({_listed(table[fixed])}): use two labels."
            )
        table.loc[rows, "value"] = values[0]
        table.loc[rows, "parameter"] = ""


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(f"{r.lhs} {r.op} {r.rhs}" for r in rows.itertuples())


def _check_equal(terms: Sequence[Term], table: pd.DataFrame) -> None:
    """Refuse ``equal("f=~x2")`` where no parameter goes by that name."""
    unlabelled = table[table["label"] == ""]
    known = set(unlabelled["lhs"] + unlabelled["op"] + unlabelled["rhs"])
    for term in terms:
        for label in term.modifier.labels():
            if _OPERATOR.search(label) and re.sub(r"\.g\d+$", "", label) not in known:
                raise term.statement.problem(
                    f"no parameter is called {label!r}: names are lavaan's, without blanks (f=~x2), and "
                    "a parameter with a label goes by that. Give both one label."
                )


def _check_definitions(definitions: Sequence[Formula], terms: Sequence[Term]) -> None:
    """Refuse definitions that use an unknown label or repeat a name."""
    known = labels_of(terms)
    for statement, name, formula in definitions:
        if name in known:
            raise statement.problem(f"{name!r} is already the name of a label or definition.")
        _check_known(statement, formula, known, "a label or an earlier definition")
        known.append(name)


def _check_constraints(
    constraints: Sequence[tuple[Statement, Constraint]],
    terms: Sequence[Term],
    definitions: dict[str, str],
) -> None:
    """Refuse constraints that use an unknown label, or none."""
    known = [*labels_of(terms), *definitions]
    for statement, constraint in constraints:
        if not names_in(constraint.formula):
            raise statement.problem("a constraint is about labels: there is none in it.")
        _check_known(statement, constraint.formula, known, "a label or definition")


def _check_known(statement: Statement, formula: str, known: Sequence[str], what: str) -> None:
    for used in names_in(formula):
        if used not in known and not _OPERATOR.search(used):  # parameters have names of their own
            there = ", ".join(dict.fromkeys(known)) or "none"
            close = difflib.get_close_matches(used, known, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise statement.problem(f"{used!r} is not {what}; there are: {there}.{hint}")
