"""``sepo run``: train and audit every arm and seed of a recipe."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.arguments import WorkersOption
from sepo.cli.terminal import console, say
from sepo.extras import hold_to_extra, install, missing


def command(
    recipe: Annotated[Path, typer.Argument(help="A recipe file, of one game or of several.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value; dotted keys, arms by name.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The run folder; runs/NAME unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
    workers: WorkersOption = 1,
) -> None:
    """Run a recipe: fine-tune, train and audit its arms over its seeds, and write a report of each game."""
    from sepo.train.joint import Plan, parse_joint
    from sepo.train.recipe import is_joint, parse_recipe, read_document

    document = read_document(recipe, settings or [])
    joint = is_joint(document)
    if joint:
        plan = parse_joint(document, recipe)
    else:
        loaded = parse_recipe(document, str(recipe))
        plan = Plan(loaded.name, {loaded.name: loaded})
    folder = out or Path("runs") / plan.name
    words = ["sepo", "run", str(recipe), *(w for s in settings or [] for w in ("--set", s))]
    hold_to_extra("lm", "training needs")
    from sepo.cli.progress import RunDisplay, announce
    from sepo.cli.show_run import show_run
    from sepo.train import ranks
    from sepo.train.run import run, run_joint

    ranks.join()
    first = next(iter(plan.recipes.values()))
    alone = ranks.first()
    if alone:
        announce(first.model)
    said = shlex.join(words)
    with RunDisplay(plan.recipes, None if alone else console(quiet=True)) as display:
        if joint:
            found = run_joint(plan.recipes, folder, display.tell, resume=resume, workers=workers, command=said)
        else:
            found = {"": run(first, folder, display.tell, resume=resume, workers=workers, command=said)}
    if not alone:
        return
    for place, summary in found.items():
        show_run(summary)
        report("report", folder / place)
    if joint:
        report("report of all", folder)


def report(name: str, folder: Path) -> None:
    """Write a run's report, or say how to have it where its charts cannot be made: what was trained is not lost."""
    from sepo.report.page import write_report

    if missing("report"):
        say(f"{name}: it needs plotly: {install('report')}, then sepo report {folder}", err=True)
    else:
        say(f"{name}: {write_report(folder)}", err=True)
