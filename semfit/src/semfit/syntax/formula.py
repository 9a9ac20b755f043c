"""Arithmetic on parameter labels: ``indirect := a*b``, ``a == 2*b``, ``(1/2)*x``, without eval().

Formulas are read as R reads them: ``-a^2`` is -(a^2), ``2^3^2`` is 2^9. Every function has a derivative
by complex step (f(x + ih) = f(x) + ih f'(x)), those that know no complex numbers by their own slope.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from semfit.syntax.tokens import Token, Unreadable, normal, text_of, tokens_of

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
}
CONSTANTS = {"pi": np.pi}


@dataclass(frozen=True)
class Node:
    """A part of a formula: a number, a name, or an operation on parts.

    Attributes
    ----------
    kind : {"number", "name", "call", "+", "-", "*", "/", "^", "negative"}
    text : str
        Of a number, a name or the function that is called.
    parts : tuple of Node
    """

    kind: str
    text: str = ""
    parts: tuple[Node, ...] = ()


# ---- functions -----------------------------------------------------------------------------------


def _by_slope(function: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function of real numbers that takes a complex step along with its slope."""

    def stepped(x: Any) -> Any:
        if not np.iscomplexobj(x):
            return function(x)
        real = np.real(x)
        return function(real) + 1j * slope(real) * np.imag(x)

    return stepped


def _density(x: Any) -> Any:
    return np.exp(-(x * x) / 2) / np.sqrt(2 * np.pi)


def _logarithm(x: Any, base: Any = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _chosen(smaller: bool) -> Callable[..., Any]:
    """Return the smallest (or largest) of several numbers, by real part, with its imaginary part."""

    def choose(*values: Any) -> Any:
        result = values[0]
        for value in values[1:]:
            first = (
                np.real(result) <= np.real(value) if smaller else np.real(result) >= np.real(value)
            )
            result = np.where(first, result, value)
        return result

    return choose


def _absolute(x: Any) -> Any:
    return np.where(np.real(x) < 0, -x, x)


def _sum(*values: Any) -> Any:
    return sum(values[1:], values[0])


def _mean_of(*values: Any) -> Any:
    return _sum(*values) / len(values)


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {  # function, fewest and most arguments
    **{
        name: (getattr(np, name), 1, 1)
        for name in "exp log10 log2 log1p expm1 sqrt sin cos tan sinh cosh tanh".split()
    },
    **{
        name: (getattr(np, f"arc{name[1:]}"), 1, 1)
        for name in "asin acos atan asinh acosh atanh".split()
    },
    "log": (_logarithm, 1, 2),
    "abs": (_absolute, 1, 1),
    "min": (_chosen(True), 1, 99),
    "max": (_chosen(False), 1, 99),
    "sum": (_sum, 1, 99),
    "mean": (_mean_of, 1, 1),
    "pnorm": (_by_slope(ndtr, _density), 1, 1),
    "qnorm": (_by_slope(ndtri, lambda p: 1 / _density(ndtri(p))), 1, 1),
    "dnorm": (_density, 1, 1),
    "plogis": (lambda x: 1 / (1 + np.exp(-x)), 1, 1),
    "qlogis": (lambda p: np.log(p / (1 - p)), 1, 1),
}


# ---- reading -------------------------------------------------------------------------------------


class _Reader:
    """Reads the tokens of one formula, the loosest operator first."""

    def __init__(self, tokens: list[Token], formula: str) -> None:
        self.tokens, self.formula, self.place = tokens, formula, 0

    def whole(self) -> Node:
        node = self.sum()
        if self.place < len(self.tokens):
            raise self.wrong(f"{self.tokens[self.place].text!r} is not expected there.")
        return node

    def wrong(self, message: str) -> Unreadable:
        return Unreadable(f"{self.formula!r} is not a formula: {message}")

    def accept(self, *symbols: str) -> str:
        """Return the next token if it is one of these symbols, and step over it; else ""."""
        if self.place < len(self.tokens) and self.tokens[self.place].is_symbol(*symbols):
            self.place += 1
            return self.tokens[self.place - 1].text
        return ""

    def sum(self) -> Node:
        node = self.product()
        while symbol := self.accept("+", "-"):
            node = Node(symbol, parts=(node, self.product()))
        return node

    def product(self) -> Node:
        node = self.signed()
        while symbol := self.accept("*", "/"):
            node = Node(symbol, parts=(node, self.signed()))
        return node

    def signed(self) -> Node:
        if self.accept("-"):
            return Node("negative", parts=(self.signed(),))
        if self.accept("+"):
            return self.signed()
        return self.power()

    def power(self) -> Node:
        node = self.atom()
        if self.accept("^"):
            return Node("^", parts=(node, self.signed()))
        return node

    def atom(self) -> Node:
        if self.accept("("):
            node = self.sum()
            self.close()
            return node
        if self.place == len(self.tokens):
            raise self.wrong("it ends too early.")
        token = self.tokens[self.place]
        self.place += 1
        if token.kind == "name" and self.accept("("):
            return self.call(token.text)
        if token.kind in ("name", "number"):
            return Node(token.kind, token.text)
        if token.kind == "string":  # lavaan drops the quotes
            return Node("name", token.text)
        raise self.wrong(f"{token.text!r} is not expected there.")

    def close(self) -> None:
        if not self.accept(")"):
            raise self.wrong("a parenthesis is not closed.")

    def call(self, name: str) -> Node:
        if name not in FUNCTIONS:
            raise self.wrong(
                f"the function {name}() is not there; there are {', '.join(sorted(FUNCTIONS))}."
            )
        arguments = [self.sum()]
        while self.accept(","):
            arguments.append(self.sum())
        self.close()
        _, fewest, most = FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            raise self.wrong(f"{name}() takes {most} argument(s).")
        return Node("call", name, tuple(arguments))


@lru_cache(maxsize=4096)
def parsed(formula: str) -> Node:
    """Return the tree of a formula; refuses what is more than arithmetic."""
    try:
        tokens = tokens_of(normal(formula))
        if not tokens:
            raise Unreadable("it is empty.")
    except Unreadable as error:
        raise Unreadable(f"{formula!r} is not a formula: {error}") from None
    return _Reader(tokens, formula).whole()


def tree_of(tokens: list[Token]) -> Node:
    """Return the tree of a formula that has been split already."""
    return _Reader(tokens, text_of(tokens)).whole()


# ---- use -----------------------------------------------------------------------------------------


def _nodes(node: Node) -> list[Node]:
    return [node, *(inner for part in node.parts for inner in _nodes(part))]


def names_in(formula: str) -> list[str]:
    """The labels that a formula uses, sorted; without the constant pi.

    Parameters
    ----------
    formula : str
        The right-hand side of a ``:=`` line, or a constraint.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        The text is not a formula of labels, numbers, ``+ - * / ^``, parentheses and `FUNCTIONS`.
    """
    names = {node.text for node in _nodes(parsed(formula)) if node.kind == "name"}
    return sorted(names - set(CONSTANTS))


def rename(formula: str, names: Mapping[str, str]) -> str:
    """A formula with its labels renamed, by a dict of old to new names."""
    tokens = tokens_of(normal(formula))
    result = []
    for i, token in enumerate(tokens):
        called = i + 1 < len(tokens) and tokens[i + 1].is_symbol("(")
        name = token.kind in ("name", "string") and not called
        text = names.get(token.text, token.text)
        result.append(replace(token, kind="name", text=text) if name else token)
    return text_of(result)


def evaluate(formula: str, values: Mapping[str, Any]) -> Any:
    """The value of a formula.

    Parameters
    ----------
    formula : str
    values : dict, label -> number
        Real or complex (for derivatives by a complex step); the value is of the same kind.

    Returns
    -------
    float or complex

    Raises
    ------
    ValueError
        As `names_in`.
    """
    return value_of(parsed(formula), values)


def value_of(node: Node, values: Mapping[str, Any]) -> Any:
    """Return the value of the tree of a formula."""
    if node.kind == "number":
        return np.float64(node.text)
    if node.kind == "name":
        return values[node.text] if node.text in values else CONSTANTS[node.text]
    parts = [value_of(part, values) for part in node.parts]
    if node.kind == "negative":
        return -parts[0]
    if node.kind == "call":
        return FUNCTIONS[node.text][0](*parts)
    return _BINARY[node.kind](*parts)
