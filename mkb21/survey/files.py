"""The languages of the monitor, and the one way in which its files are written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Protocol

LANGUAGES: Final = ("nl", "en")


def check_language(language: str) -> None:
    """Refuse what is not one of `LANGUAGES` with a `ValueError`."""
    if language not in LANGUAGES:
        raise ValueError(f"language is {language!r}; use one of {', '.join(LANGUAGES)}.")


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file by way of a temporary one beside it: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


class Folders(Protocol):
    """What the survey needs to know of a project; `mkb21.run.paths.Project` knows it."""

    @property
    def instrument(self) -> Path: ...
    @property
    def analysis(self) -> Path: ...
    @property
    def models(self) -> Path: ...
    def waves(self) -> list[str]: ...
    def wave_file(self, wave: str) -> Path: ...
    def published(self, wave: str) -> Path: ...
    def assumptions(self, wave: str) -> Path: ...
    def raw(self, wave: str) -> Path: ...
    def processed(self, wave: str) -> Path: ...
