"""``sepo run``: train and audit every arm and seed of a recipe."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def command(
    recipe: Annotated[Path, typer.Argument(help="A recipe file.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value; dotted keys, arms by name.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The run folder; runs/NAME unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
) -> None:
    """Run a recipe: fine-tune, train and audit its arms over its seeds, and write a report."""
    from sepo.train.recipe import load_recipe

    loaded = load_recipe(recipe, settings or [])
    folder = out or Path("runs") / loaded.name
    words = ["sepo", "run", str(recipe), *(w for s in settings or [] for w in ("--set", s))]
    typer.echo(f"loading {loaded.model.policy}", err=True)
    from sepo.cli.progress import RunDisplay
    from sepo.cli.show_run import show_run
    from sepo.report.page import write_report
    from sepo.train.run import run

    with RunDisplay(loaded, {arm.name: loaded.measure_name(arm) for arm in loaded.arms}) as display:
        summary = run(loaded, folder, display.tell, resume=resume, command=shlex.join(words))
    show_run(summary)
    typer.echo(f"report: {write_report(folder)}", err=True)
