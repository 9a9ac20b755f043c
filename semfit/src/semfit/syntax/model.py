"""Model syntax: from a model file to the parameters that lavaan would estimate.

semopy's parser reads each statement; what it lets pass in silence is checked here, and the rules by
which ``lavaan::sem()`` completes a model (markers, variances, covariances, fixed covariates) are
written out in `parameter_table`, because semopy's own defaults differ from them.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from semfit.syntax.formula import names_in

OPERATORS = ("=~", "~~", "~", "|")
_ANY_OPERATOR = re.compile(r":=|==|=~|~~|<~|~\*~|[~<>|%=]")
_NAME = re.compile(r"[^\W\d][\w.]*")
_PER_GROUP = re.compile(r"c\(([^()]*)\)(?=\s*\*)")  # c(a, b)*x: one modifier for each group
_INTERCEPT = re.compile(r"(?:(?P<modifier>[^*]+)\*)?\s*1")

Term = Mapping[str, Any]  # lhs, op, rhs, modifier, statement; see `Model`


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
        `exogenous` (True: fixed at the sample value).
    definitions : tuple of (name, formula)
        The ``:=`` lines.
    terms : tuple of dict
        The terms as written: lhs, op, rhs, modifier (one for each group where ``c()`` was used).
    """

    name: str
    text: str = field(repr=False)
    latents: tuple[str, ...]
    observed: tuple[str, ...]
    covariates: tuple[str, ...]
    parameters: pd.DataFrame = field(repr=False)
    definitions: tuple[tuple[str, str], ...] = ()
    terms: tuple[Term, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Statement:
    """One statement of a model: its text on one line, and the line where it starts."""

    line: int
    text: str


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
    Supported: ``=~``, ``~``, ``~~``, ``:=``, intercepts (``y ~ 1``), thresholds (``y | t1``),
    comments, labels (``a*x``), fixed values (``1*x``), ``NA*x`` (frees a marker), one modifier for
    each group (``c(a, b)*x``), continued lines.

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
    terms: list[Term] = []
    definitions: list[tuple[Statement, str, str]] = []
    for statement in _statements(text):
        if ":=" in statement.text:
            definitions.append((statement, *_read_definition(statement)))
        else:
            terms.extend(_read_terms(statement))
    _check_terms(terms)
    first = terms_of_group(terms, 0)
    table, variables = parameter_table(first)
    _check_labels(table)
    _check_definitions(definitions, terms)
    written = tuple((defined, formula) for _, defined, formula in definitions)
    return Model(name, text, *variables, table, written, tuple(terms))


def _locate(source: str | Path, folder: str | Path | None) -> tuple[str, str]:
    """Name and text of a model given as name, path or text."""
    text = str(source)
    is_path = isinstance(source, Path) or (text.endswith(".lav") and "\n" not in text)
    if not is_path and _ANY_OPERATOR.search(text):
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


def _statements(text: str) -> list[Statement]:
    """Split model text as lavaan does: a line without an operator continues the one before it."""
    statements: list[Statement] = []
    for number, line in enumerate(text.splitlines(), start=1):
        for piece in re.split(r"[#!]", line)[0].split(";"):
            piece = piece.strip()
            if not piece:
                continue
            if _ANY_OPERATOR.search(piece):
                statements.append(Statement(number, piece))
            elif statements:
                before = statements[-1]
                statements[-1] = Statement(before.line, f"{before.text} {piece}")
            else:
                raise ValueError(
                    f"Line {number} of the model: {piece!r} has no operator; "
                    f"write one of {', '.join(OPERATORS)} or :=."
                )
    return statements


def _problem(statement: Statement, message: str) -> ValueError:
    return ValueError(f"Line {statement.line} of the model, {statement.text!r}: {message}")


def _read_definition(statement: Statement) -> tuple[str, str]:
    """Name and formula of a ``:=`` statement."""
    name, formula = (part.strip() for part in statement.text.split(":=", 1))
    if not _NAME.fullmatch(name):
        raise _problem(statement, f"{name!r} is not a name; write name := formula.")
    try:
        names_in(formula)
    except ValueError as error:
        raise _problem(statement, str(error)) from None
    return name, formula


def _read_terms(statement: Statement) -> list[Term]:
    """One dict per term of a statement."""
    operator = _ANY_OPERATOR.search(statement.text)
    assert operator  # there is one in every statement
    op, rhs = operator.group(), statement.text[operator.end() :].strip()
    if op not in OPERATORS:
        raise _problem(
            statement, f"operator {op!r} is not supported; there are {', '.join(OPERATORS)} and :=."
        )
    left = [name.strip() for name in statement.text[: operator.start()].split("+")]
    groups = [tuple(part.split(",")) for part in _PER_GROUP.findall(rhs)]
    for place in range(len(groups)):  # for the parser, a label
        rhs = _PER_GROUP.sub(f"per_group_{place}", rhs, count=1)
    pieces = rhs.split("+")
    constants = [_INTERCEPT.fullmatch(piece.strip()) for piece in pieces] if op == "~" else []
    found = [("~1", "", match["modifier"]) for match in constants if match]
    others = [p for p, match in zip(pieces, constants, strict=True) if not match] if found else None
    rest = "+".join(pieces if others is None else others)
    if others != []:
        found += [(op, name, modifier) for name, modifier in _parsed(statement, left, op, rest)]
    modifiers = {f"per_group_{i}": tuple(x.strip() for x in g) for i, g in enumerate(groups)}
    return [
        {"lhs": one, "op": kind, "rhs": name, "modifier": modifiers.get(modifier, modifier)}
        | {"statement": statement}
        for one in left
        for kind, name, modifier in found
    ]


def _parsed(statement: Statement, left: list[str], op: str, rhs: str) -> list[tuple[str, str]]:
    """Variable and modifier of the terms of a right-hand side, as semopy's parser reads it.

    semopy drops what it does not expect ("x1-x2" becomes x1), so what it returns is written out
    again and must equal the statement. It knows no thresholds, which look like regressions.
    """
    from semfit.syntax.semopy_bridge import parsed  # loads semopy

    known = "~" if op == "|" else op
    effects, operations = parsed(f"{','.join(left)} {known} {rhs}")
    read = effects.get(known, {})
    written = [f"{m}*{name}" if m else name for name, m in read.get(left[0], {}).items()]
    if operations or list(read) != left or "+".join(written) != re.sub(r"\s", "", rhs):
        raise _problem(
            statement,
            "this cannot be read. Write terms joined by +, each a variable "
            "with at most one label, number or NA before it (a*x), "
            "each variable once.",
        )
    return list(read[left[0]].items())


def _check_terms(terms: Sequence[Term]) -> None:
    """Refuse impossible names and modifiers, loops of one, and repeated terms."""
    if not any(term["op"] in OPERATORS for term in terms):
        raise ValueError("The model is empty: it has no =~, ~ or ~~ line.")
    seen: dict[tuple[str, ...], int] = {}
    for term in terms:
        lhs, op, rhs, statement = term["lhs"], term["op"], term["rhs"], term["statement"]
        for name in (lhs, rhs) if rhs else (lhs,):
            if not _NAME.fullmatch(name):
                raise _problem(statement, f"{name!r} is not a variable name.")
        for modifier in _modifiers(term):
            if modifier and _number(modifier) is None and not _NAME.fullmatch(modifier):
                raise _problem(statement, f"{modifier!r} is neither a number nor a label.")
        if op == "|" and not re.fullmatch(r"t[1-9]\d*", rhs):
            raise _problem(statement, f"{rhs!r} is not a threshold: they are t1, t2, ...")
        if lhs == rhs and op != "~~":
            raise _problem(statement, f"{lhs} is on both sides.")
        key = (op, *(sorted((lhs, rhs)) if op == "~~" else (lhs, rhs)))
        if key in seen:
            raise _problem(statement, f"{lhs} {op} {rhs} was already given on line {seen[key]}.")
        seen[key] = statement.line


def _modifiers(term: Term) -> tuple[str | None, ...]:
    """The modifiers of a term, one or one for each group."""
    return term["modifier"] if isinstance(term["modifier"], tuple) else (term["modifier"],)


def terms_of_group(terms: Iterable[Term], group: int, n_groups: int | None = None) -> list[Term]:
    """Terms with the modifier of one group.

    Parameters
    ----------
    terms : sequence of dict
        As in `Model`.
    group : int
        Place of the group, from 0.
    n_groups : int, optional
        Refuse terms with another number of modifiers.

    Returns
    -------
    list of dict

    Raises
    ------
    ValueError
        ``c()`` holds another number of modifiers than there are groups; the message names the line.
    """
    chosen: list[Term] = []
    for term in terms:
        modifiers = _modifiers(term)
        if n_groups and len(modifiers) not in (1, n_groups):
            raise _problem(
                term["statement"],
                f"c() has {len(modifiers)} modifiers, and there are {n_groups} group(s): "
                "give one for each group, and fit the model with group=.",
            )
        chosen.append({**term, "modifier": modifiers[group if len(modifiers) > 1 else 0]})
    return chosen


def _number(modifier: str | None) -> float | None:
    """The value of a numeric modifier, or None for a label, NA or no modifier."""
    try:
        return None if modifier is None or modifier in ("NA", "nan", "inf") else float(modifier)
    except ValueError:
        return None


def _label(modifier: str | None) -> str:
    """A modifier that is a label, else ""."""
    return modifier if modifier and modifier != "NA" and _number(modifier) is None else ""


def variables_of(terms: Iterable[Term]) -> dict[str, list[str]]:
    """Classify the variables of a model as ``lavaan::lavNames()`` does.

    Parameters
    ----------
    terms : list of dict
        With lhs, op and rhs.

    Returns
    -------
    dict, kind -> list of names
        latents, observed, covariates (``ov.x``), exogenous_latents (``lv.x``), outcomes
        (``lv.y`` and ``ov.y``), indicators.
    """

    def unique(side: str, op: str) -> list[str]:
        return list(dict.fromkeys(term[side] for term in terms if term["op"] == op))

    latents, indicators = unique("lhs", "=~"), unique("rhs", "=~")
    dependent, predictors = unique("lhs", "~"), unique("rhs", "~")
    written = [name for t in terms if t["op"] == "~~" for name in (t["lhs"], t["rhs"])]
    written += [t["lhs"] for t in terms if t["op"] in ("~1", "|")]
    order = dict.fromkeys([*indicators, *dependent, *predictors, *written])
    observed = [name for name in order if name not in latents]
    taken = {*latents, *indicators, *dependent, *written}
    outcomes = [name for name in dependent if name not in {*indicators, *predictors}]
    return {
        "latents": latents,
        "observed": observed,
        "indicators": indicators,
        "covariates": [name for name in predictors if name not in taken],
        "exogenous_latents": [v for v in latents if v not in {*indicators, *dependent}],
        "outcomes": [name for name in [*latents, *observed] if name in outcomes],
    }


def parameter_table(
    terms: Sequence[Term],
) -> tuple[pd.DataFrame, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]:
    """Complete a model by the rules of ``lavaan::sem()``.

    Rules: the first indicator of a latent variable has loading 1; every variable has a (residual)
    variance; exogenous latent variables covary; the residuals of outcomes that predict nothing
    covary; the residual variance of a single indicator is 0; (co)variances of observed exogenous
    variables are fixed at the sample's and are not correlated with exogenous latent variables.

    Parameters
    ----------
    terms : list of dict
        Terms as written: lhs, op, rhs, modifier.

    Returns
    -------
    table : DataFrame
        See `Model`. R: ``lavaan::lavaanify(text, auto = TRUE, fixed.x = TRUE)``.
    variables : tuple of three tuples of str
        latents, observed, covariates.
    """
    kinds = variables_of(terms)
    rows = [_written_row(term, _is_marker(term, terms)) for term in terms]
    rows += _default_rows(terms, kinds)
    table = pd.DataFrame(
        rows, columns=["lhs", "op", "rhs", "label", "parameter", "value", "exogenous"]
    )
    table["value"] = table["value"].astype(float)
    latents, observed, covariates = (
        tuple(kinds[kind]) for kind in ("latents", "observed", "covariates")
    )
    return table, (latents, observed, covariates)


def _is_marker(term: Term, terms: Sequence[Term]) -> bool:
    """Whether a term is the first indicator of its latent variable."""
    loadings = [t for t in terms if t["op"] == "=~" and t["lhs"] == term["lhs"]]
    return bool(loadings) and term is loadings[0]


def parameter_row(
    lhs: str,
    op: str,
    rhs: str = "",
    label: str = "",
    value: float | None = None,
    exogenous: bool = False,
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
    }


def _written_row(term: Term, marker: bool) -> dict[str, Any]:
    """The row of a written term; a marker is 1 unless a number or NA says otherwise."""
    modifier = term["modifier"]
    number = _number(modifier)
    label = _label(modifier)
    if marker and number is None and modifier != "NA":
        number = 1.0
    return parameter_row(term["lhs"], term["op"], term["rhs"], label, number)


def _default_rows(terms: Sequence[Term], kinds: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """The rows that lavaan adds to those that were written, in lavaan's order."""
    covariates, latents = kinds["covariates"], kinds["latents"]
    random = [name for name in kinds["observed"] if name not in covariates]
    pairs = [(name, name) for name in [*random, *latents]]
    pairs += [*combinations(kinds["exogenous_latents"], 2), *combinations(kinds["outcomes"], 2)]
    written = {frozenset((t["lhs"], t["rhs"])) for t in terms if t["op"] == "~~"}
    single = _single_indicators(terms)
    rows = [
        parameter_row(a, "~~", b, value=0.0 if a == b and a in single else None)
        for a, b in pairs
        if frozenset((a, b)) not in written
    ]
    rows += [
        parameter_row(a, "~~", b, exogenous=True)
        for i, a in enumerate(covariates)
        for b in covariates[i:]
    ]
    return rows


def _single_indicators(terms: Sequence[Term]) -> set[str]:
    """The indicators that are the only one of their latent variable and of no other."""
    loadings = [(t["lhs"], t["rhs"]) for t in terms if t["op"] == "=~"]
    latents, indicators = [pair[0] for pair in loadings], [pair[1] for pair in loadings]
    return {rhs for lhs, rhs in loadings if latents.count(lhs) == indicators.count(rhs) == 1}


def _check_labels(table: pd.DataFrame) -> None:
    """Refuse a label that names both a fixed and a free parameter."""
    labelled = table[table["label"] != ""]
    for label, rows in labelled.groupby("label", sort=False):
        if len(rows) > 1 and (rows["parameter"] == "").any():
            raise ValueError(
                f"Label {label!r} is on a fixed and on another parameter "
                f"({_listed(rows)}): use two labels, or fix both by the same number."
            )


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(f"{r.lhs} {r.op} {r.rhs}" for r in rows.itertuples())


def _check_definitions(
    definitions: Sequence[tuple[Statement, str, str]], terms: Sequence[Term]
) -> None:
    """Refuse definitions that use an unknown label or repeat a name."""
    known = [name for term in terms for name in map(_label, _modifiers(term)) if name]
    for statement, name, formula in definitions:
        if name in known:
            raise _problem(statement, f"{name!r} is already the name of a label or definition.")
        for used in names_in(formula):
            if used not in known:
                there = ", ".join(dict.fromkeys(known)) or "none"
                raise _problem(
                    statement,
                    f"{used!r} is not a label or an earlier definition; there are: {there}.",
                )
        known.append(name)
