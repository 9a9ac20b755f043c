"""A model or a notebook to begin with. Their texts stand in new.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from mkb21.run.paths import Project, check_name
from mkb21.survey.analysis import variables
from mkb21.survey.files import write_whole
from mkb21.survey.instrument import Instrument, closest, load_instrument

OWN = 51  # notebooks from this number on are one's own; those before are the repository's


def model(project: Project, name: str, source: str = "") -> Path:
    """Write data/models/<name>.lav: a copy of another model, or the constructs as latent variables.

    Raises
    ------
    ValueError
        A name that is taken or that no file may have, an unknown model to copy, or a questionnaire
        without constructs of items.
    """
    path = _free(project.models, name, ".lav")
    texts = {"name": name, "source": source, "wave": _wave(project)}
    if source:
        known = sorted(file.stem for file in project.models.glob("*.lav"))
        if source not in known:
            listed = ", ".join(known) or "none"
            near = closest(source, known)
            raise ValueError(f"data/models has no {source!r}.{near} There are: {listed}")
        original = (project.models / f"{source}.lav").read_text(encoding="utf-8")
        text = f"{_filled(_template('copy'), texts)}\n{original}"
    else:
        text = _filled(_template("skeleton"), texts | _constructs(load_instrument(project)))
    write_whole(path, text.encode())
    return path


def _constructs(questions: Instrument) -> dict[str, str]:
    """A line for each construct of items of which none was used before, and two of the names."""
    lines: list[str] = []
    latents: list[str] = []
    used: set[str] = set(questions.constructs)
    for name, construct in questions.constructs.items():
        if used & {*construct.items}:
            continue
        used |= {*construct.items}
        latent = name.removesuffix("_score")  # a latent variable may not be called as a column
        latents.append(f"f_{latent}" if latent in variables(questions) else latent)
        label = construct.label[questions.language]
        lines.append(f"# {label}\n{latents[-1]} =~ {' + '.join(construct.items)}")
    if not lines:
        what = "the questionnaire has no construct of items (constructs: in data/instrument.yaml)"
        raise ValueError(f"{what}: copy a model with --from, or add a construct first")
    return {"measurement": "\n".join(lines), "cause": latents[0], "outcome": latents[-1]}


def notebook(project: Project, name: str) -> Path:
    """Write notebooks/<number>_<name>.ipynb, with the first number from 51 that is free.

    Raises
    ------
    ValueError
        A name that is taken or that no file may have.
    """
    _free(project.notebooks, name, ".ipynb", "[0-9][0-9]_")
    taken = {int(path.name[:2]) for path in project.notebooks.glob("[0-9][0-9]_*.ipynb")}
    number = max({OWN - 1, *taken}) + 1
    if number > 99:
        raise ValueError("the numbers of notebooks end at 99: rename one")
    texts = {"name": name, "number": str(number), "wave": _wave(project)}
    cells = []
    for place, cell in enumerate(_template("notebook")):
        [(kind, text)] = cell.items()
        made: dict[str, Any] = {
            "cell_type": "markdown" if kind == "markdown" else "code",
            "id": f"{number}-{place:02d}",
            "metadata": {"tags": ["parameters"]} if kind == "parameters" else {},
            "source": _filled(text, texts).rstrip().splitlines(keepends=True),
        }
        cells.append(
            made if kind == "markdown" else made | {"execution_count": None, "outputs": []}
        )
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path = project.notebooks / f"{number}_{name}.ipynb"
    write_whole(path, (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def _free(folder: Path, name: str, suffix: str, before: str = "") -> Path:
    """The path of a new file, if the name is one that a file may have and is not taken."""
    check_name(suffix.replace(".lav", "a model").replace(".ipynb", "a notebook"), name)
    if found := sorted(folder.glob(f"{before}{name}{suffix}")):
        raise ValueError(f"{found[0].name} is there already: choose another name")
    return folder / f"{name}{suffix}"


def _wave(project: Project) -> str:
    return (project.waves() or ["WAVE"])[-1]


def _template(key: str) -> Any:
    path = Path(__file__).with_name("new.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))[key]


def _filled(text: str, texts: dict[str, str]) -> str:
    for name, value in texts.items():
        text = text.replace(f"@{name}@", value)
    return text
