"""The MKB21 monitor: social media in small and medium-sized enterprises.

    study = mkb21.open("2012", language="en")

is the door of the notebooks; see ``mkb21 --help`` for the commands.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkb21.study import Study

__version__ = "0.1.0"


def open(wave: str | int, root: str | Path = "", language: str = "en", variant: str = "") -> Study:
    """Open a wave: its questionnaire, its responses, and what a notebook shows and writes.

    Parameters
    ----------
    wave : str or int
        A file in data/waves, without ``.yaml``.
    root : str or Path
        The project folder; empty: the working directory, or one above it.
    language : {"nl", "en"}
        Of labels, tables and figures.
    variant : str
        Where results go: into ``runs/<wave>/<variant>``; empty: where those of the wave stand.

    Returns
    -------
    Study

    Raises
    ------
    ValueError
        No project there, an unknown wave or language, a variant that cannot be the name of a
        folder, a faulty questionnaire or wave file.
    """
    from mkb21.study import Study  # loads pandas and matplotlib, which the command does not need

    return Study(str(wave), root, language, variant)
