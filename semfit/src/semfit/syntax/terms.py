"""What a model is made of: terms with their modifiers, and constraints. Each can be written back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from math import isnan
from typing import Any

from semfit.syntax.tokens import is_name, written_name


@dataclass(frozen=True)
class Statement:
    """One statement of a model: its text on one line, and the line where it starts."""

    line: int
    text: str

    def problem(self, message: str) -> ValueError:
        """Return the error that tells what is wrong with it."""
        return ValueError(f"Line {self.line} of the model, {self.text!r}: {message}")


@dataclass(frozen=True)
class Modifier:
    """What is said of a parameter before its variable, each for all groups or one for each.

    Attributes
    ----------
    fixed : tuple of (float or None)
        Values at which it is fixed; None (written NA) frees it.
    label : tuple of str
        Names; "" for none.
    start, lower, upper : tuple of float
        Where the search begins, and between which values it stays; NaN for none.
    """

    fixed: tuple[float | None, ...] = ()
    label: tuple[str, ...] = ()
    start: tuple[float, ...] = ()
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()

    def kinds(self) -> dict[str, tuple[Any, ...]]:
        """Return what is said, by kind; without kinds of which nothing is said."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return {kind: values for kind, values in said.items() if values}

    def sizes(self) -> set[int]:
        """Return the numbers of groups that are told apart; 1 where none are."""
        return {len(values) for values in self.kinds().values() if len(values) > 1}

    def of_group(self, group: int) -> Modifier:
        """Return what is said of one group, by its place."""
        chosen = {
            kind: (values[group if len(values) > 1 else 0],)
            for kind, values in self.kinds().items()
        }
        return replace(self, **chosen)

    def labels(self) -> tuple[str, ...]:
        """Return the labels, without empty ones."""
        return tuple(label for label in self.label if label)

    @property
    def shared_label(self) -> str:
        """The label that is given for all groups at once, or ""."""
        return self.label[0] if len(self.label) == 1 else ""

    @property
    def value(self) -> float | None:
        """The value at which it is fixed in the first group, or None."""
        return self.fixed[0] if self.fixed else None

    @property
    def freed(self) -> bool:
        """Whether it is freed by NA in the first group."""
        return bool(self.fixed) and self.fixed[0] is None

    def written(self) -> list[str]:
        """Return what is said as it is written before a variable."""
        return [_written(kind, values) for kind, values in self.kinds().items()]


def _written(kind: str, values: Sequence[Any]) -> str:
    if kind == "label":
        quoted = len(values) > 1 or not is_name(values[0]) or values[0] == "NA"
        texts = [f'"{value}"' if quoted else value for value in values]
    else:
        texts = ["NA" if value is None or isnan(value) else _number(value) for value in values]
    text = f"c({', '.join(texts)})" if len(texts) > 1 else texts[0]
    return text if kind in ("fixed", "label") else f"{kind}({text})"


def _number(value: float) -> str:
    value = float(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


@dataclass(frozen=True)
class Term:
    """One term of a statement: a loading, path, (co)variance, intercept, threshold or scale.

    Attributes
    ----------
    lhs, op, rhs : str
        op "~1" is an intercept, with rhs "".
    modifier : Modifier
    statement : Statement
        Where it stands.
    block : str
        The group that it is about ("1" or its label); "" for all.
    """

    lhs: str
    op: str
    rhs: str
    modifier: Modifier = Modifier()
    statement: Statement = field(default=Statement(0, ""), compare=False)
    block: str = ""

    def text(self) -> str:
        """Return the term as a line of a model."""
        op, variable = ("~", "1") if self.op == "~1" else (self.op, written_name(self.rhs))
        if op == "=~" and self.lhs == self.rhs:
            variable = "0"  # a latent variable without indicators
        said = [] if variable == "0" else self.modifier.written()
        right = " + ".join(f"{one}*{variable}" for one in said) or variable
        return f"{written_name(self.lhs)} {op} {right}"


def text_of_terms(terms: Iterable[Term]) -> str:
    """Return terms as the text of a model, with a line ``group:`` where one begins."""
    lines, block = [], ""
    for term in terms:
        if term.block != block:
            block = term.block
            lines.append(f"group: {block if is_name(block) or block.isdigit() else repr(block)}")
        lines.append(term.text())
    return "\n".join(lines)


def labels_of(terms: Iterable[Term]) -> list[str]:
    """Return the labels of terms, each once."""
    return list(dict.fromkeys(label for term in terms for label in term.modifier.labels()))


@dataclass(frozen=True)
class Constraint:
    """A relation between parameters that a solution must obey.

    Attributes
    ----------
    op : {"==", ">="}
    formula : str
        What must be 0 (or at least 0): arithmetic on labels, names of definitions and names of
        parameters, see `formula.evaluate`.
    text : str
        As it was written.
    """

    op: str
    formula: str
    text: str
