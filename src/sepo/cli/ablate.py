"""``sepo ablate``: what each part of a recipe's method contributes, and what the run says of the published claims."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.arguments import WorkersOption, parse_list
from sepo.cli.terminal import say, show
from sepo.extras import hold_to_extra


def command(
    recipe: Annotated[Path, typer.Argument(help="A recipe file with a trained arm called sepo.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value; dotted keys, arms by name.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The folder, else runs/NAME-ablation.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an ablation that was stopped.")] = False,
    workers: WorkersOption = 1,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Only these rows; several, or with commas.")
    ] = None,
) -> None:
    """Train a recipe's sepo arm with one thing changed at a time; write ablation.json and ablation.md."""
    from sepo.train.recipe import load_recipe

    loaded = load_recipe(recipe, settings or [])
    folder = out or Path("runs") / f"{loaded.name}-ablation"
    names = parse_list(",".join(only), "--only") if only else ()
    words = [
        *("sepo", "ablate", str(recipe)),
        *(w for s in settings or [] for w in ("--set", s)),
        *(w for n in names for w in ("--only", n)),
    ]
    hold_to_extra("lm", "training needs")
    from sepo.train.ablate import ablate, plan

    planned = plan(loaded, names)
    for row in planned.left_out:
        say(f"left out: {row.name}: {row.why}", err=True)
    from sepo.cli.progress import RunDisplay, announce

    announce(loaded.model)
    with RunDisplay({planned.recipe.name: planned.recipe}) as display:
        text = ablate(planned, folder, display.tell, resume=resume, workers=workers, command=shlex.join(words))
    show(text)
    say(f"written to {folder / 'ablation.json'} and {folder / 'ablation.md'}", err=True)
