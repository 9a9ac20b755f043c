"""The `mkb21` command."""

from __future__ import annotations

import re
import signal
import sys
from math import isnan
from pathlib import Path

import click
import yaml

from mkb21 import __version__
from mkb21.run import explain, notebooks, pipeline
from mkb21.run.paths import Project

FOLDER = click.Path(file_okay=False, path_type=Path)
ROOT = click.option(
    "--root", default="", metavar="FOLDER", help="The project folder; else the one you are in."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def commands() -> None:
    """The MKB21 monitor: social media in small and medium-sized enterprises."""


class _WithParameters(click.Command):
    """Its help ends with the parameters of the notebooks of the project one is in, if any."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        try:
            rows = notebooks.describe(notebooks.read_notebooks(Project.find()))
        except ValueError:
            return
        with formatter.section("Parameters of the notebooks (--set NAME=VALUE)"):
            formatter.write_dl(rows, col_max=20)


@commands.command(cls=_WithParameters)
@click.argument("wave")
@click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the notebooks."
)
@click.option("--variant", default="", metavar="NAME", help="A variant of data/analysis.yaml.")
@click.option("--force", is_flag=True, help="Run every notebook, also those that are up to date.")
@ROOT
def run(wave: str, given: tuple[str, ...], variant: str, force: bool, root: str) -> None:
    """Run the notebooks of WAVE that are not up to date.

    For instance: mkb21 run 2012 --set seed=1 --set language=en
    """
    for stop in (signal.SIGTERM, signal.SIGINT):  # a kill ends as tidily as Ctrl-C
        signal.signal(stop, signal.default_int_handler)
    project = Project.find(root)
    try:
        result = pipeline.run(project, wave, parse_settings(given), force, variant)
    except (ValueError, pipeline.NotebookError) as error:
        kind = ValueError if isinstance(error, ValueError) else pipeline.NotebookError
        raise kind(explain.remember(project, wave, str(error))) from error
    explain.forget(project, wave)
    if result.ran:
        notebooks = "1 notebook" if len(result.ran) == 1 else f"{len(result.ran)} notebooks"
        click.echo(f"\nRan {notebooks} in {result.seconds:.0f} s.")
    else:
        click.echo("\nNothing changed since the last run: all notebooks are up to date.")
    click.echo(pipeline.summary(result.place))
    if pipeline.notice(project, wave) and pipeline.failing(project, wave):
        sys.exit(1)  # a reconstruction that does not meet what was published is no reconstruction


def parse_settings(given: tuple[str, ...]) -> dict[str, object]:
    """Read NAME=VALUE texts; the value is read as YAML: 1, 0.5, true, text, [a, b]. Nothing is "".

    Raises
    ------
    ValueError
        A text without NAME=, or a value that is not YAML.
    """
    settings = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ValueError(f"--set {text}: write --set NAME=VALUE")
        try:
            settings[name] = _value(value)
        except yaml.YAMLError:
            raise ValueError(f"--set {text}: {value!r} cannot be read as a value") from None
    return settings


def _value(text: str) -> object:
    if re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", text):
        return float(text)  # YAML 1.1 takes 1e-6 for text
    return yaml.safe_load(text) if text else ""


@commands.command()
@click.argument("wave")
@click.option("--seed", type=click.IntRange(min=0), help="Another draw than in data/assumptions.")
@click.option("--out", metavar="FOLDER", help="Where to; else data/raw/WAVE.", type=FOLDER)
@ROOT
def reconstruct(wave: str, seed: int | None, out: Path | None, root: str) -> None:
    """Make the export of a reconstructed WAVE.

    From its published numbers and the assumptions about what was not published.
    """
    project = Project.find(root)
    pipeline.check_wave(project, wave)
    from mkb21 import reconstruct as room  # imports pandas and scipy

    for path in room.write(project, wave, seed=seed, out=out):
        click.echo(path)


@commands.command()
@click.argument("wave")
@ROOT
def compare(wave: str, root: str) -> None:
    """Show the published numbers of WAVE beside the computed.

    Ends with status 1 when one does not hold.
    """
    project = Project.find(root)
    pipeline.check_wave(project, wave)
    path = project.processed(wave) / "published_register.csv"
    if not path.is_file() and not project.published(wave).is_file():
        what = f"nothing was published about wave {wave}"
        raise ValueError(f"{what}: there is no {wave}.csv in data/published")
    if not path.is_file():
        raise ValueError(f"wave {wave} has no comparison yet: first mkb21 run {wave}")
    from mkb21.page import claims  # imports pandas
    from mkb21.survey import instrument, published

    register = published.read_register(path)
    questions = instrument.load_wave(project, wave).questions
    about = claims.labels(register, questions, questions.language)
    rows = [["id", "label", "published", "computed", "verdict"]]
    for row, text in zip(register.itertuples(), claims.as_text(register), strict=True):
        # four digits say whether a number is met; the table holds all of them
        computed = "-" if isnan(row.computed) else f"{row.computed:.4g}"
        rows.append([row.id, about[row.id], text, computed, "holds" if row.holds else "FAILS"])
    for line in [*pipeline.notice(project, wave), _aligned(rows)]:
        click.echo(line)
    failing = pipeline.failing(project, wave)
    click.echo(f"\n{len(register) - len(failing)} of {len(register)} published numbers reproduced")
    if failing:
        sys.exit(1)


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join("  ".join(line).rstrip() for line in lines)


@commands.command("explain")
@click.argument("text", nargs=-1)
@ROOT
def explain_(text: tuple[str, ...], root: str) -> None:
    """Say what a message means and what to do.

    Without TEXT, that of the last run that failed.
    """
    message = " ".join(text) or explain.last(Project.find(root))
    if not text:
        click.echo(f"{message}\n")
    click.echo(explain.explain(message))


@commands.command("new-model")
@click.argument("name")
@click.option("--from", "source", default="", metavar="MODEL", help="A model to copy.")
@ROOT
def new_model(name: str, source: str, root: str) -> None:
    """Write a model to begin with.

    A copy of another one, or the constructs of the questionnaire.
    """
    from mkb21.run import new

    project = Project.find(root)
    path = new.model(project, name, source).relative_to(project.root).as_posix()
    click.echo(f"{path}: change it, then mkb21 run WAVE --set model_file={name}")


@commands.command("new-notebook")
@click.argument("name")
@ROOT
def new_notebook(name: str, root: str) -> None:
    """Write a notebook to begin with.

    It takes part in every run.
    """
    from mkb21.run import new

    project = Project.find(root)
    path = new.notebook(project, name).relative_to(project.root).as_posix()
    click.echo(f"{path}: open it (make lab), change it, then mkb21 run WAVE")


@commands.command()
@ROOT
def waves(root: str) -> None:
    """List the waves that are described."""
    project = Project.find(root)
    rows = [["wave", "origin", "fieldwork", "export", "title"]]
    for wave in project.waves():
        described = pipeline.describe_wave(project, wave)
        keys = ("fieldwork", "title", "export")
        fieldwork, title, export = (described.get(key) or {} for key in keys)
        days = f"{fieldwork.get('start', '?')} to {fieldwork.get('end', '?')}"
        there = (project.raw(wave) / str(export.get("file", ""))).is_file()
        origin, state = str(described.get("origin", "")), "present" if there else "missing"
        rows.append([wave, origin, days, state, str(title.get("en") or title.get("nl", ""))])
    if len(rows) == 1:
        raise ValueError("no wave is described in data/waves")
    click.echo(_aligned(rows))


def main(arguments: list[str] | None = None) -> None:
    """Run the command; end with status 1 after an error, 2 after a wrong call, 130 when stopped."""
    try:
        commands.main(arguments, prog_name="mkb21", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(f"mkb21: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("mkb21: stopped; what was finished is kept", err=True)
        sys.exit(130)
    except PermissionError as error:
        click.echo(f"mkb21: {error.filename}: {error.strerror}", err=True)
        sys.exit(1)
    except (ValueError, pipeline.NotebookError) as error:
        click.echo(f"mkb21: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
