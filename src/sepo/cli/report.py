"""``sepo report``: a run as one self-contained HTML page; a run or a scorecard as a Markdown table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.arguments import OutOption


def command(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN|CARD", help="A run folder, as `sepo run` writes it; a scorecard for --markdown."),
    ],
    out: OutOption = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the results table in Markdown instead; needs the figures alone.")
    ] = False,
) -> None:
    """Write a run's report: one HTML file (RUN/report.html unless --out is given) that needs no network."""
    if markdown:
        from sepo.audit.compare import load_card
        from sepo.files import read_json, write_text
        from sepo.report.markdown import card
        from sepo.report.markdown import markdown as table

        text = card(load_card(run)) if run.is_file() else table(read_json(run / "summary.json", "run summary"))
        write_text(out, text) if out is not None else typer.echo(text, nl=False)
        return
    from sepo.report.page import write_report

    typer.echo(f"report written to {write_report(run, out)}", err=True)
