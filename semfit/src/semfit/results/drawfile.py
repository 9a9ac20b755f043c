"""The file of a simulation: a line for each draw, added when it is ready, read when it goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from semfit.messages import as_json


class DrawFile:
    """A file of draws, its first line says of which analysis.

    Parameters
    ----------
    path : path
        Made where it is not there.
    of : str
        The analysis; a file of another is refused.
    """

    def __init__(self, path: str | Path, of: str) -> None:
        self.path = Path(path)
        head = json.dumps({"semfit draws of": of})
        if not self.path.is_file() or not self.path.stat().st_size:
            self._append(head)
        else:
            self._mend()
            with self.path.open(encoding="utf-8") as lines:
                if lines.readline().rstrip("\n") != head:
                    raise ValueError(
                        f"{self.path} holds draws of another population, model, seed or options: "
                        "give another file, or remove it."
                    )

    def read(self) -> list[dict[str, Any]]:
        """Return the draws that are whole."""
        lines = self.path.read_text(encoding="utf-8").splitlines()[1:]
        return [json.loads(line) for line in lines]

    def add(self, result: Mapping[str, Any]) -> None:
        """Add a draw: one line, written as a whole."""
        self._append(json.dumps(result))

    def _append(self, line: str) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, f"{line}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def _mend(self) -> None:
        """Cut off a last line that is not whole: the draw of a run that was stopped."""
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)


def fingerprint(analysis: Any) -> str:
    """Return a text that differs where draws would: population, model, options and seed."""
    known: dict[str, Any] = {"text": analysis.model.text, "seed": analysis.seed}
    known["completed"] = str(analysis.model.options)
    known["options"] = {name: repr(value) for name, value in analysis.options.items()}
    for field in fields(analysis.population):
        known[field.name] = _plain(getattr(analysis.population, field.name))
    return hashlib.sha256(as_json(known).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
