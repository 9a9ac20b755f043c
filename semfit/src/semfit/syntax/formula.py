"""Arithmetic on parameter labels: the right-hand side of ``indirect := a*b``, without eval()."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt}


def _parsed(formula: str) -> ast.expr:
    """The syntax tree of a formula; refuses what is more than arithmetic."""
    try:
        tree = ast.parse(formula.replace("^", "**"), mode="eval").body
    except SyntaxError:
        raise ValueError(f"{formula!r} is not a formula.") from None
    for node in ast.walk(tree):
        _check_node(node, formula)
    return tree


def _check_node(node: ast.AST, formula: str) -> None:
    allowed: tuple[type[ast.AST], ...] = (
        ast.BinOp,
        ast.UnaryOp,
        ast.Name,
        ast.Load,
        ast.operator,
        ast.unaryop,
    )
    number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
    function = (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
        and len(node.args) == 1
        and not node.keywords
    )
    if isinstance(node, ast.BinOp) and type(node.op) not in _BINARY:
        allowed = ()
    if not (number or function or isinstance(node, allowed)):
        raise ValueError(
            f"{formula!r} may hold labels, numbers, + - * / ^, parentheses, "
            f"{', '.join(_FUNCTIONS)}."
        )


def names_in(formula: str) -> list[str]:
    """The labels that a formula uses, sorted.

    Parameters
    ----------
    formula : str
        The right-hand side of a ``:=`` line.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        The text is not a formula of labels, numbers, ``+ - * / ^``, parentheses, exp, log, sqrt.
    """
    names = {node.id for node in ast.walk(_parsed(formula)) if isinstance(node, ast.Name)}
    return sorted(names - set(_FUNCTIONS))


def rename(formula: str, names: Mapping[str, str]) -> str:
    """A formula with its labels renamed, by a dict of old to new names."""
    tree = _parsed(formula)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    return ast.unparse(tree).replace("**", "^")


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

    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return values[node.id]
        if isinstance(node, ast.UnaryOp):
            return _UNARY[type(node.op)](value(node.operand))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return _FUNCTIONS[node.func.id](value(node.args[0]))
        assert isinstance(node, ast.BinOp)  # nothing else is let through
        return _BINARY[type(node.op)](value(node.left), value(node.right))

    return value(_parsed(formula))
