"""Where results come from: the commit, the locked versions, and checksums of files."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from mkb21.run.paths import Project

STATISTICS = ("numpy", "scipy", "pandas", "semopy", "statsmodels")


def checksum(path: Path) -> str:
    """SHA-256 of a file; of a text file after CRLF -> LF, for the same sum on every system."""
    content = path.read_bytes()
    if b"\0" not in content:
        content = content.replace(b"\r\n", b"\n")
    return hashlib.sha256(content).hexdigest()


def commit(project: Project) -> str | None:
    """The commit of the project, with -dirty for uncommitted changes; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        said = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python, this package, and the packages that compute."""
    known = {name: metadata.version(name) for name in ("mkb21", "semfit", *STATISTICS)}
    return {"python": platform.python_version(), **known}


def origin(project: Project, data: Path, seed: int) -> dict[str, str]:
    """What someone needs to make a result again: commit, lock and data (checksums), seed.

    `data` is the file that the result was computed from; "" for what there is not.
    """
    files = {"lock": project.root / "requirements.lock", "data": data}
    sums = {name: checksum(path) if path.is_file() else "" for name, path in files.items()}
    return {"commit": commit(project) or "", **sums, "seed": str(seed)}
