"""``sepo compare``: two scorecards side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.audit.compare import compare, load_card
from sepo.cli.arguments import JsonOption
from sepo.files import dump_json


def command(
    before: Annotated[Path, typer.Argument(help="A scorecard file.")],
    after: Annotated[Path, typer.Argument(help="Another scorecard file.")],
    json: JsonOption = False,
) -> None:
    """Show what changed between two scorecards, figure by figure."""
    document = compare(load_card(before), load_card(after))
    if json:
        typer.echo(dump_json(document))
    else:
        from sepo.cli.show import show_comparison

        show_comparison(document)
