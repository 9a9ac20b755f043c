"""Arithmetic on parameter labels: the right-hand side of ``indirect := a*b``, without eval()."""

import ast
import operator

import numpy as np

_BINARY = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_UNARY = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_FUNCTIONS = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt}


def _parsed(formula):
    try:
        tree = ast.parse(formula.replace("^", "**"), mode="eval").body
    except SyntaxError:
        raise ValueError(f"{formula!r} is not a formula.") from None
    for node in ast.walk(tree):
        _check_node(node, formula)
    return tree


def _check_node(node, formula):
    allowed = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Load, ast.operator, ast.unaryop)
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


def names_in(formula):
    """Return the labels that a formula uses, sorted.

    Raises
    ------
    ValueError
        The text is not a formula of labels, numbers, ``+ - * / ^``, parentheses, exp, log, sqrt.
    """
    names = {node.id for node in ast.walk(_parsed(formula)) if isinstance(node, ast.Name)}
    return sorted(names - set(_FUNCTIONS))


def rename(formula, names):
    """Return a formula with its labels renamed (dict of old to new)."""
    tree = _parsed(formula)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    return ast.unparse(tree).replace("**", "^")


def evaluate(formula, values):
    """Return the value of a formula at `values` (dict of label to number, real or complex)."""

    def value(node):
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return values[node.id]
        if isinstance(node, ast.UnaryOp):
            return _UNARY[type(node.op)](value(node.operand))
        if isinstance(node, ast.Call):
            return _FUNCTIONS[node.func.id](value(node.args[0]))
        return _BINARY[type(node.op)](value(node.left), value(node.right))

    return value(_parsed(formula))
