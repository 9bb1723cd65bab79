"""``sepo compare``: scorecards or runs side by side, what changed, and whether it matters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.arguments import JsonOption
from sepo.cli.terminal import say, say_json, show
from sepo.files import check_writable


def command(
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="A B [C...]",
            help="Scorecards, safety cards, run folders (FOLDER@ARM for another arm than the trained one); each is "
            "compared with the first. A run folder alone: its arms.",
        ),
    ],
    json: JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", "--out", "-o", metavar="FILE", help="Write a self-contained page.")
    ] = None,
) -> None:
    """Show what changed between scorecards or runs, in plain words, with intervals."""
    from sepo.report.sides import read_sides
    from sepo.report.verdicts import comparisons

    if html is not None:
        check_writable(html)
    found, paired = read_sides(sides)
    document = comparisons(found, paired)
    if html is not None:
        from sepo.report.comparison import write_comparison

        say(f"sepo: wrote {write_comparison(document, html)}", err=True)
    if json:
        say_json(document)
    elif markdown:
        from sepo.report.comparison import markdown as written

        show(written(document))
    elif html is None:
        from sepo.cli.show_compare import show_comparison

        show_comparison(document)
