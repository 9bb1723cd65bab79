"""``sepo frontier``: one arm at several weights, and the payoff and risk that each of them buys."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.arguments import WorkersOption
from sepo.cli.terminal import say, show
from sepo.errors import InputError
from sepo.extras import hold_to_extra, install, missing
from sepo.files import write_text


def command(
    recipe: Annotated[Path, typer.Argument(help="A recipe file.")],
    vary: Annotated[str, typer.Option(help="The weight that varies: e, c or x.")],
    values: Annotated[str, typer.Option(help="Its values, such as 0,0.5,1,2.")],
    vary2: Annotated[str | None, typer.Option(help="A second weight that varies.")] = None,
    values2: Annotated[str | None, typer.Option(help="Its values.")] = None,
    arm: Annotated[str, typer.Option(help="The arm of the recipe that is trained at each of them.")] = "sepo",
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value; dotted keys, arms by name.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder; runs/NAME-frontier-WEIGHTS unless given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a frontier that was stopped.")] = False,
    workers: WorkersOption = 1,
) -> None:
    """Train an arm at several weights of a penalty, and draw payoff against each risk."""
    if (vary2 is None) != (values2 is None):
        raise InputError("--vary2 and --values2 go together")
    pairs = [(vary, values)] if vary2 is None or values2 is None else [(vary, values), (vary2, values2)]
    hold_to_extra("lm", "training needs")
    from sepo.train.frontier import derive, frontier, parse_axis
    from sepo.train.recipe import load_recipe

    axes = [parse_axis(weight, text) for weight, text in pairs]
    loaded = load_recipe(recipe, settings or [])
    derived = derive(loaded, arm, axes)
    folder = out or Path("runs") / "-".join([loaded.name, "frontier", *(axis.weight for axis in axes)])
    words = ["sepo", "frontier", str(recipe), "--vary", vary, "--values", values, "--arm", arm]
    words += ["--vary2", vary2, "--values2", values2] if vary2 is not None and values2 is not None else []
    words += [w for s in settings or [] for w in ("--set", s)]
    from sepo.cli.progress import RunDisplay, announce
    from sepo.report.frontier import markdown, write_frontier

    announce(loaded.model)
    with RunDisplay({derived.name: derived}) as display:
        said = shlex.join(words)
        document = frontier(loaded, arm, axes, folder, display.tell, resume=resume, workers=workers, command=said)
    table = markdown(document)
    show(table)
    for point in document["points"]:
        for warning in point["warnings"]:
            say(f"{point['arm']}: {warning}", err=True)
    if missing("report"):  # what was trained is not lost
        write_text(folder / "frontier.md", table)
        again = shlex.join([*words, *(["--out", str(out)] if out else []), "--resume"])
        say(f"frontier: its page needs plotly: {install('report')}, then {again}", err=True)
    else:
        say(f"frontier: {write_frontier(document, folder)}", err=True)
