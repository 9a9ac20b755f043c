"""A model or a notebook to begin with. Their texts stand in the folder templates."""

from __future__ import annotations

from pathlib import Path

from mkb21.run.paths import Project, check_name
from mkb21.survey.analysis import variables
from mkb21.survey.files import write_whole
from mkb21.survey.instrument import Instrument, load_instrument
from mkb21.survey.yaml_files import closest

FIRST = 51  # notebooks from this number on are one's own; those before are the repository's


def model(project: Project, name: str, source: str = "") -> Path:
    """Write data/models/<name>.lav: a copy of another model, or the constructs as latent variables.

    Raises
    ------
    ValueError
        A name that is taken or that no file may have, an unknown model to copy, or a questionnaire
        without constructs of items.
    """
    check_name("a model", name)
    known = sorted(file.stem for file in project.models.glob("*.lav"))
    if name in known:
        raise ValueError(f"{name}.lav is there already: choose another name")
    if not source:
        texts = _constructs(load_instrument(project))
        return _write(project, project.models / f"{name}.lav", "constructs.lav", name=name, **texts)
    if source not in known:
        listed = ", ".join(known) or "none"
        what = f"data/models has no {source!r}.{closest(source, known)}"
        raise ValueError(f"{what} There are: {listed}")
    text = (project.models / f"{source}.lav").read_text(encoding="utf-8")
    texts = {"name": name, "source": source, "text": text}
    return _write(project, project.models / f"{name}.lav", "copy.lav", **texts)


def _constructs(questions: Instrument) -> dict[str, str]:
    """A line for each construct of items of which none was used before, and two of the names."""
    lines, latents, used = [], [], {*questions.constructs}
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
    check_name("a notebook", name)
    taken = {path.stem[3:]: int(path.name[:2]) for path in project.notebooks.glob("[0-9][0-9]_*.*")}
    number = max(FIRST - 1, *taken.values(), 0) + 1
    if name in taken or number > 99:
        what = f"{taken[name]:02d}_{name}.ipynb is there" if name in taken else "99 is taken"
        raise ValueError(f"{what} already: choose another name, or rename a notebook")
    path = project.notebooks / f"{number}_{name}.ipynb"
    return _write(project, path, "notebook.json", name=name, number=str(number))


def _write(project: Project, path: Path, template: str, **texts: str) -> Path:
    """Fill in a template: @name@ is texts["name"]."""
    text = Path(__file__).with_name("templates").joinpath(template).read_text(encoding="utf-8")
    for name, value in {"wave": (project.waves() or ["WAVE"])[-1], **texts}.items():
        text = text.replace(f"@{name}@", value)
    write_whole(path, text.encode())
    return path
