"""Tables that are made when somebody looks at them: a fit in a simulation never pays for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


class Later:
    """A field of a frozen dataclass whose value may be a `Promise`, kept when it is first read."""

    def __init__(self, name: str) -> None:
        self.place = f"_{name}"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self.place]
        if isinstance(value, Promise):
            value = instance.__dict__[self.place] = value.kept()
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.place] = value


class Promise:
    """A table that `make`, called with these arguments, returns."""

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        self.make, self.arguments = make, arguments

    def kept(self) -> Any:
        """Make it."""
        with np.errstate(all="ignore"):  # numbers of a fit without a solution may overflow
            return self.make(*self.arguments)


def made_later(owner: type, names: Iterable[str]) -> None:
    """Let these fields of a dataclass hold a `Promise`."""
    for name in names:
        setattr(owner, name, Later(name))
