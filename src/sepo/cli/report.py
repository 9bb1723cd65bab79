"""``sepo report``: a run as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.arguments import OutOption


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, as `sepo run` writes it.")],
    out: OutOption = None,
) -> None:
    """Write a run's report: one HTML file (RUN/report.html unless --out is given) that needs no network."""
    from sepo.report.page import write_report

    typer.echo(f"report written to {write_report(run, out)}", err=True)
