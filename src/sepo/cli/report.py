"""``sepo report``: a run as one self-contained HTML page; a run or a scorecard as a Markdown table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.arguments import OutOption


def command(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|CARD|FOLDER",
            help="A run folder, as `sepo run` writes it; for --markdown also a scorecard, or a folder of runs.",
        ),
    ],
    out: OutOption = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the results table in Markdown instead; needs the figures alone.")
    ] = False,
) -> None:
    """Write a run's report: one HTML file (RUN/report.html unless --out is given) that needs no network."""
    if markdown:
        from sepo.files import write_text

        text = _table(run)
        write_text(out, text) if out is not None else typer.echo(text, nl=False)
        return
    from sepo.report.page import write_report

    typer.echo(f"report written to {write_report(run, out)}", err=True)


def _table(run: Path) -> str:
    """Return the Markdown table of a scorecard, of a run, or of a folder of runs."""
    from sepo.audit.compare import load_card
    from sepo.files import read_json
    from sepo.report.markdown import card, markdown, overview

    if run.is_file():
        return card(load_card(run))
    runs = sorted(run.glob("*/summary.json"))
    if runs and not (run / "summary.json").exists():
        return overview({file.parent.name: read_json(file, "run summary") for file in runs})
    return markdown(read_json(run / "summary.json", "run summary"))
