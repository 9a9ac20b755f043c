"""One thread for the matrices of a fit."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> ThreadpoolController:
    """Return the linear algebra that is loaded; looking for it takes as long as a small fit."""
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Return a context with one BLAS thread: several make matrices of this size ten times slower."""
    return _libraries().limit(limits=1, user_api="blas")
