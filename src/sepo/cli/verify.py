"""``sepo verify``: recompute a safety card and say whether it holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sepo import __version__
from sepo.audit.card import load_safety_card
from sepo.audit.verify import Difference, Verification, check_text, refuse_unfit, verify
from sepo.cli.arguments import JsonOption, reporting
from sepo.cli.terminal import say, say_json
from sepo.errors import InputError
from sepo.files import dump_json
from sepo.report.safety import markdown


def command(
    card: Annotated[Path, typer.Argument(help="A card's .json file, or its .md file with the .json beside it.")],
    policy: Annotated[
        str | None,
        typer.Option(help="Where the same policy is here, if not where the card says, as a POLICY; a server always."),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="How far a figure may be off; 1e-9 unless given, 1e-4 where a model is asked."),
    ] = None,
    kept: Annotated[bool, typer.Option(help="Take a model's answers from this machine's disk, if it has any.")] = False,
    json: JsonOption = False,
) -> None:
    """Recompute a safety card: exit code 0 if it holds, 1 if it does not, naming the first figure that differs."""
    refuse_unfit(tolerance)
    path = card.with_suffix(".json") if card.suffix == ".md" else card
    said = load_safety_card(path)
    text = path.with_suffix(".md")
    if card.suffix == ".md" and not text.exists():
        raise InputError(f"no card at '{text}'")
    with reporting() as tell:
        found = verify(said, policy, tolerance, kept=kept, tell=tell)
    beside = text.exists()
    if beside and found.holds and not check_text(_read(text), markdown(said)):
        if said["versions"].get("sepo") == __version__:
            changed = Difference(f"Markdown of the card, {text.name}", "other words or figures", "what its JSON gives")
            found = replace(found, differences=[*found.differences, changed])
        else:
            note = f"{text.name} is not what this version of sepo writes: compare it with `sepo card`, made again"
            found, beside = replace(found, notes=[*found.notes, note]), False
    if json:
        say_json({**found.document(), "card": str(path), "markdown": str(text) if beside else None})
    else:
        show(found, path, beside=beside)
    if not found.holds:
        raise typer.Exit(1)


def show(found: Verification, path: Path, *, beside: bool) -> None:
    """Print the verdict, the first difference with both values, and what a reader should know besides."""
    if found.holds:
        also = ", and its Markdown says the same" if beside else ""
        say(f"holds: every figure of '{path}' is found again within {found.tolerance:g}{also}")
    else:
        first, *more = found.differences
        say(f"does not hold: {_said(first)}")
        figure = next((d for d in more if ":" in d.where), None)
        if figure is not None and ":" not in first.where:
            say(f"the first figure that differs is {_said(figure)}")
        if more:
            say(f"{len(more)} more {'differs' if len(more) == 1 else 'differ'}: --json lists all")
    for note in found.notes:
        say(f"note: {note}")


def _said(difference: Difference) -> str:
    return f"{difference.where}: the card says {_value(difference.card)}, found is {_value(difference.found)}"


def _value(value: object) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else dump_json(value)
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:199]}…"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{path}': {error}") from None
