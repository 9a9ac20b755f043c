"""Where everything of the project is. The only module that knows the folder layout."""

import re
from dataclasses import dataclass
from pathlib import Path

_MARK = Path("data", "instrument.yaml")
_TAKEN = ("base", "failed")  # a model card and a folder have these names


def check_name(what: str, name: str) -> None:
    """Refuse a name that a file or folder cannot have on every system."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) or name in _TAKEN:
        said = f"{what} cannot be called {name!r}: use letters, digits, - and _"
        raise ValueError(f"{said}, and not {' or '.join(_TAKEN)}")


@dataclass(frozen=True)
class Project:
    """A project folder. Its paths are only named here: nothing is read or created."""

    root: Path  # the absolute path of the folder that holds data/instrument.yaml

    @classmethod
    def find(cls, root: str | Path = "") -> "Project":
        """Find the project folder.

        Parameters
        ----------
        root : str or Path
            The project folder; empty: the working directory or the nearest folder above it that
            holds ``data/instrument.yaml``.

        Raises
        ------
        ValueError
            If `root`, or every folder from the working directory up, lacks that file.
        """
        if str(root):
            given = Path(root).expanduser().resolve()
            if not (given / _MARK).is_file():
                raise ValueError(f"{given} is not an MKB21 project: it holds no {_MARK.as_posix()}")
            return cls(given)
        here = Path.cwd().resolve()
        for folder in (here, *here.parents):
            if (folder / _MARK).is_file():
                return cls(folder)
        what = f"no {_MARK.as_posix()} in {here} or a folder above it"
        raise ValueError(f"{what}: go to the project folder or give it as root")

    @property
    def instrument(self) -> Path:
        """The questionnaire: ``data/instrument.yaml``."""
        return self.root / _MARK

    @property
    def analysis(self) -> Path:
        """What is done with the questionnaire: ``data/analysis.yaml``."""
        return self.root / "data" / "analysis.yaml"

    @property
    def notebooks(self) -> Path:
        """The folder of notebooks: ``notebooks``."""
        return self.root / "notebooks"

    @property
    def models(self) -> Path:
        """The folder of structural models: ``data/models``."""
        return self.root / "data" / "models"

    def wave_file(self, wave: str) -> Path:
        """The description of a wave's export: ``data/waves/<wave>.yaml``."""
        return self.root / "data" / "waves" / f"{wave}.yaml"

    def published(self, wave: str) -> Path:
        """The published numbers of a wave: ``data/published/<wave>.csv``."""
        return self.root / "data" / "published" / f"{wave}.csv"

    def assumptions(self, wave: str) -> Path:
        """What a reconstruction assumes: ``data/assumptions/<wave>.yaml``."""
        return self.root / "data" / "assumptions" / f"{wave}.yaml"

    def raw(self, wave: str) -> Path:
        """The folder of a wave's export as received: ``data/raw/<wave>``."""
        return self.root / "data" / "raw" / str(wave)

    def processed(self, wave: str) -> Path:
        """The folder of a wave's tables: ``data/processed/<wave>``."""
        return self.root / "data" / "processed" / str(wave)

    def figures(self, wave: str) -> Path:
        """The folder of a wave's figures: ``figures/<wave>``."""
        return self.root / "figures" / str(wave)

    def runs(self, wave: str) -> Path:
        """The folder of a wave's executed notebooks and manifest: ``runs/<wave>``."""
        return self.root / "runs" / str(wave)

    def variant(self, wave: str, name: str) -> Path:
        """The folder of all that a variant of a wave makes: ``runs/<wave>/<variant>``.

        Raises
        ------
        ValueError
            The name is not one that a folder may have on every system.
        """
        check_name("a variant", name)
        return self.runs(wave) / name

    def reports(self, wave: str) -> Path:
        """The folder of a wave's reports and model cards: ``reports/<wave>``."""
        return self.root / "reports" / str(wave)

    def waves(self) -> list[str]:
        """The names of the waves that are described, sorted."""
        return sorted(file.stem for file in (self.root / "data" / "waves").glob("*.yaml"))
