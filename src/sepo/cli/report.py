"""``sepo report``: a run as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.arguments import OutOption


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, as `sepo run` writes it.")],
    out: OutOption = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the results table in Markdown instead; needs summary.json alone.")
    ] = False,
) -> None:
    """Write a run's report: one HTML file (RUN/report.html unless --out is given) that needs no network."""
    if markdown:
        from sepo.files import read_json, write_text
        from sepo.report.markdown import markdown as table

        text = table(read_json(run / "summary.json", "run summary"))
        write_text(out, text) if out is not None else typer.echo(text, nl=False)
        return
    from sepo.report.page import write_report

    typer.echo(f"report written to {write_report(run, out)}", err=True)
