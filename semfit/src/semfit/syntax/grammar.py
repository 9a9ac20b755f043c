"""The grammar of a model: from its text to terms, definitions and constraints.

All of lavaan's syntax is read, or refused by name. What R would evaluate (``(1/2)*x``, ``c(a, b)*x``) is
read by rules of its own: nothing is ever executed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from semfit.syntax.formula import FUNCTIONS, names_in, tree_of, value_of
from semfit.syntax.terms import Constraint, Modifier, Statement, Term
from semfit.syntax.tokens import RELATIONS, Token, Unreadable, normal, text_of, tokens_of

OPERATORS = ("=~", "~~", "~", "|", "~*~")
COMPARISONS = ("==", "<", ">")
BLOCKS = ("group", "level", "block", "class")
SAID = {"start": "start", "lower": "lower", "upper": "upper"}
SAID |= {"label": "label", "equal": "label", "fixed": "fixed", "c": ""}
REFUSED = {
    "efa": "exploratory factors (efa) are not fitted here: write which factor each indicator has",
    "rv": "random slopes (rv) belong to multilevel models, which are not fitted here",
    "prior": "priors belong to Bayesian estimation, which is not done here: leave prior() out",
}

Formula = tuple[Statement, str, str]  # where it stands, name, formula


@dataclass(frozen=True)
class Written:
    """What a model's text says.

    Attributes
    ----------
    terms : tuple of Term
    definitions : tuple of (Statement, name, formula)
        The ``:=`` lines.
    constraints : tuple of (Statement, Constraint)
        The ``==``, ``<`` and ``>`` lines.
    """

    terms: tuple[Term, ...]
    definitions: tuple[Formula, ...]
    constraints: tuple[tuple[Statement, Constraint], ...]


def read(text: str) -> Written:
    """Return what a text says.

    Raises
    ------
    ValueError
        What cannot be read, or is not supported: the line, and what to write instead.
    """
    terms: list[Term] = []
    definitions: list[Formula] = []
    constraints: list[tuple[Statement, Constraint]] = []
    block = ""
    for statement, tokens in _statements(normal(text)):
        try:
            places = [i for i, token in enumerate(tokens) if token.is_symbol(*RELATIONS)]
            if not places:
                block = _block(tokens)
                continue
            left, op, right = _split(tokens, places)
            if op == ":=":
                definitions.append((statement, *_definition(left, right)))
            elif op in COMPARISONS:
                constraints.append((statement, _constraint(left, op, right, statement)))
            else:
                new = _terms(left, op, right)
                terms += [replace(term, statement=statement, block=block) for term in new]
        except Unreadable as error:
            raise statement.problem(str(error)) from None
    return Written(tuple(terms), tuple(definitions), tuple(constraints))


# ---- statements ----------------------------------------------------------------------------------


def _statements(text: str) -> list[tuple[Statement, list[Token]]]:
    """Split text as lavaan does: a line without an operator continues the one before it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        tokens = tokens_of(text)
    except Unreadable as error:
        line = text.splitlines()[error.line - 1].strip()
        raise Statement(error.line, line).problem(str(error)) from None
    joined: list[list[Token]] = []
    for line_tokens in _lines(tokens):
        if _begins(line_tokens):
            joined.append(line_tokens)
        elif joined:
            joined[-1] += line_tokens
        else:
            first = line_tokens[0]
            piece = text[first.start : line_tokens[-1].stop]
            _refuse_functions(line_tokens, Statement(first.line, piece))
            raise ValueError(
                f"Line {first.line} of the model: {piece!r} has no operator; "
                f"write one of {', '.join(OPERATORS)}, :=, ==, < or >."
            )
    found = [(Statement(one[0].line, _source(one, text)), one) for one in joined]
    for statement, one in found:
        _refuse_functions(one, statement)
    return found


def _source(tokens: Sequence[Token], text: str) -> str:
    """Return the text of a statement on one line, comments left out."""
    lines: dict[int, list[Token]] = {}
    for token in tokens:
        lines.setdefault(token.line, []).append(token)
    pieces = [text[line[0].start : line[-1].stop] for line in lines.values()]
    return re.sub(r"\s+", " ", " ".join(pieces))


def _lines(tokens: Sequence[Token]) -> list[list[Token]]:
    lines: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind == "end":
            lines.append([])
        else:
            lines[-1].append(token)
    return [line for line in lines if line]


def _begins(tokens: Sequence[Token]) -> bool:
    """Whether a line begins a statement."""
    return any(token.is_symbol(*RELATIONS) for token in tokens) or _is_block(tokens)


def _is_block(tokens: Sequence[Token]) -> bool:
    named = tokens[0].kind == "name" and tokens[0].text.lower() in BLOCKS
    return named and len(tokens) > 1 and tokens[1].is_symbol(":")


def _refuse_functions(tokens: Sequence[Token], statement: Statement) -> None:
    """Refuse what belongs to kinds of models that are not fitted here."""
    for token, after in pairwise(tokens):
        if token.kind == "name" and token.text in REFUSED and after.is_symbol("("):
            raise statement.problem(f"{REFUSED[token.text]}.")


def _block(tokens: Sequence[Token]) -> str:
    """Return the group of a line ``group: 1``."""
    kind, names = tokens[0].text.lower(), tokens[2:]
    if kind == "level":
        raise Unreadable(
            "multilevel models (level:) are not fitted here; cluster= gives standard errors for rows "
            "in clusters."
        )
    if kind == "class":
        raise Unreadable("latent classes (class:) are not fitted here.")
    if kind == "block" or not names:
        raise Unreadable("write group: and the number or label of one group (group: 1).")
    return names[0].text if len(names) == 1 else text_of(names)  # a label such as Grant-White


def _split(tokens: list[Token], places: list[int]) -> tuple[list[Token], str, list[Token]]:
    """Return left-hand side, operator and right-hand side."""
    if len(places) > 1:
        first, second = (tokens[place].text for place in places[:2])
        advice = (
            "write two lines"
            if {first, second} & {"<", ">", "=="}
            else ("begin a new line for the second, or leave one out")
        )
        raise Unreadable(f"there are two operators, {first} and {second}: {advice}.")
    place = places[0]
    left, op, right = tokens[:place], tokens[place].text, tokens[place + 1 :]
    if op == "<~":
        raise Unreadable(
            "composites (<~) are not fitted here: write =~ if the indicators reflect the variable, "
            "or compute the composite and use it as a column."
        )
    if not left or not right:
        side = "before" if not left else "after"
        raise Unreadable(f"this cannot be read: there is nothing {side} {op}.")
    if right[-1].is_symbol("+", "-", "*"):
        raise Unreadable(
            f"this cannot be read: it ends in {right[-1].text!r}; write one more term, or drop it."
        )
    return left, op, right


# ---- definitions and constraints -----------------------------------------------------------------


def _formula(tokens: Sequence[Token]) -> str:
    text = text_of(tokens)
    for name in names_in(text):
        if re.fullmatch(r"\.p\d+\.", name):
            raise Unreadable(
                f"{name!r} is lavaan's number of a parameter: give the parameter a label."
            )
    return text


def _definition(left: Sequence[Token], right: Sequence[Token]) -> tuple[str, str]:
    """Name and formula of a ``:=`` statement."""
    if len(left) != 1 or left[0].kind not in ("name", "string"):
        raise Unreadable(f"{text_of(left)!r} is not a name; write name := formula.")
    return left[0].text, _formula(right)


def _constraint(
    left: Sequence[Token], op: str, right: Sequence[Token], statement: Statement
) -> Constraint:
    sides = _formula(left), _formula(right)
    larger, smaller = sides[::-1] if op == "<" else sides
    formula = larger if smaller == "0" else f"{larger} - ({smaller})"
    return Constraint("==" if op == "==" else ">=", formula, statement.text)


# ---- terms ---------------------------------------------------------------------------------------


def _terms(left: Sequence[Token], op: str, right: Sequence[Token]) -> list[Term]:
    """Return the terms of a statement."""
    names = [_left_name(piece) for piece in _parts(left, "+")]
    if right[0].is_symbol("+"):
        right = right[1:]
    if op == "=~" and [token.text for token in right] == ["0"]:
        return [Term(name, op, name, Modifier(fixed=(0.0,))) for name in names]
    found: dict[tuple[str, str], Modifier] = {}
    for piece in _parts(right, "+"):
        key, modifier = _term(piece, op)
        found[key] = _merged(found[key], modifier, key[1] or "1") if key in found else modifier
    return [Term(name, *key, modifier) for name in names for key, modifier in found.items()]


def _left_name(tokens: Sequence[Token]) -> str:
    if len(tokens) == 1 and tokens[0].kind == "name":
        return tokens[0].text
    text = text_of(tokens)
    if len(tokens) > 1 and any(token.is_symbol("*", "?") for token in tokens):
        raise Unreadable(
            f"{text!r} has a modifier before the operator: modifiers stand after it, before the "
            "variable they are about."
        )
    if len(tokens) > 1 and tokens[1].is_symbol(":"):
        raise Unreadable(f"the product {text!r} stands at the right of ~ only.")
    if len(tokens) == 1:
        raise Unreadable(f"{text!r} is not a variable name.")
    raise _not_read()


def _not_read() -> Unreadable:
    return Unreadable(
        "this cannot be read. Write terms joined by +, each a variable with its modifiers before it "
        "(a*x, 0.5*x, NA*x, start(0.5)*x); names with blanks in back-ticks."
    )


def _parts(tokens: Sequence[Token], *symbols: str) -> list[list[Token]]:
    """Split tokens at symbols outside parentheses."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += token.is_symbol("(") - token.is_symbol(")")
        if depth == 0 and token.is_symbol(*symbols):
            parts.append([])
        else:
            parts[-1].append(token)
    if depth != 0:
        raise Unreadable("a parenthesis is not closed, or not opened.")
    if not all(parts):
        raise _not_read()
    return parts


def _term(tokens: list[Token], op: str) -> tuple[tuple[str, str], Modifier]:
    """Return (operator, variable) and modifier of a term."""
    *factors, variable = _parts(tokens, "*", "?")
    modifier = _modifier(tokens, factors)
    if len(variable) == 1 and variable[0].kind == "number" and op == "~":
        return ("~1", ""), _intercept(variable[0].text, modifier, factors)
    return (op, _variable(variable, op)), modifier


def _intercept(constant: str, modifier: Modifier, factors: Sequence[list[Token]]) -> Modifier:
    if constant == "1":
        return modifier
    if float(constant) == 0 and not factors:
        return Modifier(fixed=(0.0,))  # as R's "no intercept": fixed at 0
    raise Unreadable(
        f"{constant!r} is not a variable name. An intercept is written 1: y ~ 1, fixed y ~ "
        f"{constant}*1."
    )


def _variable(tokens: Sequence[Token], op: str) -> str:
    if len(tokens) == 1 and tokens[0].kind == "name":
        return tokens[0].text
    names = tokens[::2]
    product = len(tokens) >= 3 and all(token.is_symbol(":") for token in tokens[1::2])
    if product and all(token.kind == "name" for token in names):
        if len(names) > 2 or op != "~":
            raise Unreadable(
                f"{text_of(tokens)!r}: a product is of two variables, at the right of ~; compute "
                "other products as a column."
            )
        return ":".join(token.text for token in names)
    if len(tokens) == 1 and tokens[0].kind == "number" and op != "~":
        raise Unreadable(f"{tokens[0].text!r} is not a variable name.")
    if any(token.is_symbol("-") for token in tokens):
        raise Unreadable(
            "this cannot be read: terms are joined by +, never by -; a path of minus one is -1*x, no "
            "intercept is y ~ 0*1."
        )
    raise _not_read()


# ---- modifiers -----------------------------------------------------------------------------------


def _modifier(tokens: list[Token], factors: Sequence[list[Token]]) -> Modifier:
    """Return what the factors before a variable say together."""
    modifier = Modifier()
    if not factors:
        return modifier
    asked = [token.text for token in _top(tokens) if token.is_symbol("*", "?")]
    numbers = [factor for factor in factors if _number(factor) is not None]
    if len(numbers) == len(factors) and "?" not in asked:
        product = tokens[: -1 - _length_of_last(tokens)]
        return Modifier(fixed=(_number(product),))
    for factor, symbol in zip(factors, asked, strict=True):
        said = _said(factor)
        if symbol == "?":
            if not said.fixed or said.freed:
                raise Unreadable("write a number before '?': 0.5?x begins the search at 0.5.")
            said = Modifier(start=tuple(float(value or 0) for value in said.fixed))
        modifier = _merged(modifier, said, "one variable")
    return modifier


def _top(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens outside parentheses."""
    depth, found = 0, []
    for token in tokens:
        depth += token.is_symbol("(") - token.is_symbol(")")
        found += [token] if depth == 0 else []
    return found


def _length_of_last(tokens: Sequence[Token]) -> int:
    return len(_parts(tokens, "*", "?")[-1])


def _number(tokens: list[Token]) -> float | None:
    """Return the value of arithmetic on numbers; None if it is something else."""
    calls = {
        i
        for i, token in enumerate(tokens[:-1])
        if token.text in FUNCTIONS and tokens[i + 1].is_symbol("(")
    }
    words = [t for i, t in enumerate(tokens) if t.kind in ("name", "string") and i not in calls]
    if words or any(token.is_symbol(",", ":", "?") for token in tokens):
        return None
    with np.errstate(all="ignore"):
        value = float(value_of(tree_of(tokens), {}))
    if not np.isfinite(value):
        raise Unreadable(f"{text_of(tokens)!r} is not a finite number.")
    return value


def _said(tokens: list[Token]) -> Modifier:
    """Return what one factor says."""
    first = tokens[0]
    called = len(tokens) > 1 and first.kind == "name" and tokens[1].is_symbol("(")
    if called and first.text in SAID:
        values = _arguments(tokens)
        return _of_kind(SAID[first.text], values)
    if called and first.text not in (*FUNCTIONS, "as.numeric"):
        raise Unreadable(
            f"{first.text}() is not a modifier; there are {', '.join(SAID)}, numbers and labels."
        )
    return _of_kind("", [_value(tokens)])


def _arguments(tokens: list[Token]) -> list[Any]:
    """Return the values of ``c(...)`` and its like, nested ones in a row."""
    inner = tokens[2:-1]
    if not tokens[-1].is_symbol(")") or not inner:
        raise _not_read()
    values: list[Any] = []
    for part in _parts(inner, ","):
        nested = len(part) > 1 and part[0].text == "c" and part[1].is_symbol("(")
        values += _arguments(part) if nested else [_value(part)]
    return values


def _value(tokens: list[Token]) -> float | str | None:
    """Return a number, a label, or None for NA."""
    if len(tokens) > 3 and tokens[0].text == "as.numeric":  # as.numeric(NA): R's NA of numbers
        tokens = tokens[2:-1]
    number = _number(tokens)
    if number is not None:
        return number
    if len(tokens) == 1 and tokens[0].kind in ("name", "string"):
        missing = tokens[0].kind == "name" and tokens[0].text == "NA"
        return None if missing else tokens[0].text
    raise Unreadable(f"{text_of(tokens)!r} is neither a number nor a label.")


def _of_kind(kind: str, values: list[Any]) -> Modifier:
    """Return values as what is said of a kind; "": labels or fixed values, by what they are."""
    words = [isinstance(value, str) for value in values]
    if not kind:
        kind = "label" if any(words) else "fixed"
        if any(words) and any(isinstance(value, float) for value in values):
            raise Unreadable(
                'c() holds numbers and labels: give them apart, c(1, NA)*x + c("", "a")*x.'
            )
    if kind == "label":
        if not all(word or value is None for word, value in zip(words, values, strict=True)):
            raise Unreadable("a label is a name or a quoted text.")
        return Modifier(label=tuple(value or "" for value in values))
    if any(words):
        raise Unreadable(f"{kind}() takes numbers.")
    if kind == "fixed":
        return Modifier(fixed=tuple(values))
    numbers = tuple(float("nan") if value is None else float(value) for value in values)
    said: dict[str, Any] = {kind: numbers}
    return Modifier(**said)


def _merged(one: Modifier, other: Modifier, variable: str) -> Modifier:
    """Return what two modifiers say together; refuse two of one kind, or one that says nothing."""
    first, second = one.kinds(), other.kinds()
    twice = sorted(first.keys() & second.keys())
    if twice:
        names = {"fixed": "value", "label": "label"}
        raise Unreadable(
            f"this cannot be read: {variable} has two modifiers of one kind "
            f"({names.get(twice[0], twice[0])}); leave one out."
        )
    if variable != "one variable" and not (first and second):
        raise Unreadable(f"this cannot be read: {variable} is there twice; each variable once.")
    return Modifier(**(first | second))
