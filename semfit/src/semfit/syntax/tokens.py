"""The words of a model: names, numbers, quoted labels and operators, with the line they stand on.

lavaan reads characters that look alike as if they were nothing, or stops at them in R's own words. Here
each is named, with what to write instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

RELATIONS = ("=~", "~~", "~", "~*~", "|", "<~", "==", "<", ">", ":=")
SYMBOLS = tuple("=~ <~ ~*~ ~~ ~ := == < > | : % + - ** * / ^ ( ) , ?".split())

# what is written for an operator by mistake, and what to write
MISTAKEN = {
    "~~~": "~~ (covariance)",
    "~=": "=~ (is measured by) or ~ (is predicted by)",
    "=~=": "=~ (is measured by)",
    ":=:": ":= (is defined as)",
    "=:": ":= (is defined as)",
    "<->": "~~ (covariance)",
    "<-->": "~~ (covariance)",
    "<=>": "~~ (covariance)",
    "<-": "~ (y ~ x: y is predicted by x), or a < -b with a blank for a constraint",
    "->": "~ with the outcome first (y ~ x)",
    "<=": "< (which includes equality)",
    "=<": "< (which includes equality)",
    ">=": "> (which includes equality)",
    "=>": "> (which includes equality)",
    "<>": "two lines, one with < and one with >",
    "===": "==",
    "=": "== (constraint), =~ (is measured by) or := (is defined as), without blanks in them",
    "|~": "| (threshold) or ~ (is predicted by)",
    ":~": ":= (is defined as); priors are not supported",
    "||": "| (threshold)",
    "&": "two lines",
    "$": "the name of the column alone",
    "@": "a number and * before the variable (1*x)",
    "[": "y ~ 1 for a mean or intercept",
    "{": "parentheses",
    "\\": "nothing: a line that ends in + goes on",
}
LOOK_ALIKE = {
    "˜": "~",
    "∼": "~",
    "～": "~",
    "〜": "~",
    "−": "-",
    "–": "-",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "×": "*",
    "·": "*",
    "∗": "*",
    "⋅": "*",
    "÷": "/",
    "“": '"',
    "”": '"',
    "„": '"',
    "«": '"',
    "»": '"',
    "‘": "'",
    "’": "'",
    "′": "'",
    "´": "`",
    "≤": "<",
    "≥": ">",
    "≈": "~~",
    "≔": ":=",
    "≡": "==",
    "←": "~",
    "→": "~",
    "↔": "~~",
    "\u200b": "nothing (it is invisible)",
    "\u200c": "nothing (it is invisible)",
    "\u2060": "nothing (it is invisible)",
    "\ufeff": "nothing (it is invisible)",
    "\u00ad": "nothing (it is invisible)",
}
READ = {"˜": "~"}  # lavaan reads this one too: R's keyboards on some systems write it

_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_MISTAKES = sorted(MISTAKEN, key=len, reverse=True)
_SYMBOLS = sorted(SYMBOLS, key=len, reverse=True)


@dataclass(frozen=True)
class Token:
    """A word of a model.

    Attributes
    ----------
    kind : {"name", "number", "string", "symbol", "end"}
        end: of a line, or ";".
    text : str
        Without quotes or back-ticks, in Unicode's composed form (NFC).
    line : int
        From 1.
    start, stop : int
        Its place in the text that was read.
    """

    kind: str
    text: str
    line: int = 1
    start: int = 0
    stop: int = 0

    def is_symbol(self, *texts: str) -> bool:
        """Whether it is one of these symbols."""
        return self.kind == "symbol" and self.text in texts


class Unreadable(ValueError):
    """What is wrong with a text, and on which line."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


def normal(text: str) -> str:
    """Return a text in Unicode's composed form: é as one letter, not e and an accent."""
    return unicodedata.normalize("NFC", text)


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a text (see `normal`), comments left out.

    Raises
    ------
    Unreadable
        A character or operator that is none, a quote that does not end.
    """
    found: list[Token] = []
    place, line = 0, 1
    while place < len(text):
        kind, stop = _next(text, place, line)
        if kind == "end":
            found.append(Token("end", text[place:stop], line, place, stop))
            line += text[place] == "\n"
        elif kind:
            found.append(Token(kind, _content(kind, text[place:stop]), line, place, stop))
        place = stop
    return found


def _next(text: str, place: int, line: int) -> tuple[str, int]:
    """Return the kind of what begins at a place ("" for nothing), and where it stops."""
    char = text[place]
    if char in "\n;":
        return "end", place + 1
    if char.isspace():
        return "", place + 1
    if char in "#!":
        end = text.find("\n", place)
        return "", len(text) if end < 0 else end
    if char in "\"'`":
        return _quoted(text, place, line)
    number = _NUMBER.match(text, place)
    if number:
        stop = number.end()
        if stop < len(text) and _in_name(text[stop]):
            word = text[place : name_end(text, stop)]
            raise Unreadable(
                f"{word!r} is not a name: names begin with a letter (or write `{word}`).", line
            )
        return "number", stop
    if _begins_name(char) or char == ".":
        return "name", name_end(text, place)
    return "symbol", _symbol_end(text, place, line)


def _quoted(text: str, place: int, line: int) -> tuple[str, int]:
    quote = text[place]
    stop = text.find(quote, place + 1)
    if stop < 0 or "\n" in text[place:stop]:
        raise Unreadable(f"a {quote} opens and does not close on this line.", line)
    if stop == place + 1 and quote == "`":
        raise Unreadable("there is no name between the back-ticks.", line)
    return ("name" if quote == "`" else "string"), stop + 1


def _content(kind: str, text: str) -> str:
    if kind == "string" or text.startswith("`"):
        return text[1:-1]
    return {"**": "^"}.get(READ.get(text, text), READ.get(text, text))


def _begins_name(char: str) -> bool:
    return char.isalpha() or char == "_"


def _in_name(char: str) -> bool:
    return char.isalnum() or char in "._" or unicodedata.category(char).startswith("M")


def name_end(text: str, place: int) -> int:
    """Return where a name that begins at a place ends."""
    while place < len(text) and _in_name(text[place]) and text[place] not in LOOK_ALIKE:
        place += 1
    return place


def is_name(text: str) -> bool:
    """Whether a text can be written as a name without back-ticks."""
    begins = bool(text) and (_begins_name(text[0]) or text[0] == ".")
    return begins and not _NUMBER.match(text) and name_end(text, 0) == len(text)


def written_name(name: str) -> str:
    """Return a name as it is written in a model: in back-ticks where it must be."""
    parts = name.split(":")  # a product of two variables
    if all(is_name(part) for part in parts) and len(parts) <= 2:
        return name
    return f"`{name}`"


def _symbol_end(text: str, place: int, line: int) -> int:
    """Return where a symbol ends; refuse what is written for one by mistake."""
    if text[place] in READ:
        return place + 1
    _refuse_look_alike(text[place], line)
    symbol = next((s for s in _SYMBOLS if text.startswith(s, place)), "")
    mistake = next((s for s in _MISTAKES if text.startswith(s, place)), "")
    if len(mistake) > len(symbol) and not _negative(text, place, mistake):
        raise Unreadable(
            f"{mistake!r} is not an operator of a model: write {MISTAKEN[mistake]}.", line
        )
    if not symbol:
        raise Unreadable(f"{text[place]!r} is not read in a model: leave it out.", line)
    return place + len(symbol)


def _negative(text: str, place: int, mistake: str) -> bool:
    """Whether ``<-`` is a constraint on a negative number, ``a <-1``."""
    return mistake == "<-" and bool(_NUMBER.match(text, place + 2))


def _refuse_look_alike(char: str, line: int) -> None:
    meant = LOOK_ALIKE.get(char, "")
    wide = unicodedata.normalize("NFKC", char)
    if not meant and wide != char and wide.isascii():
        meant = wide  # full-width characters of Chinese and Japanese keyboards
    if meant:
        name = unicodedata.name(char, f"U+{ord(char):04X}").lower()
        raise Unreadable(f"{char!r} ({name}) is not read in a model: write {meant}.", line)


def text_of(tokens: Iterable[Token]) -> str:
    """Return tokens as text that is read as the same, with blanks where there were some."""
    pieces: list[str] = []
    stop = -1
    for token in tokens:
        gap = pieces and token.start > stop
        pieces.append(f" {_written(token)}" if gap else _written(token))
        stop = token.stop
    return "".join(pieces)


def _written(token: Token) -> str:
    if token.kind == "name":
        return token.text if is_name(token.text) else f"`{token.text}`"
    return f'"{token.text}"' if token.kind == "string" else token.text
