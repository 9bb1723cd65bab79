"""``sepo report``: runs and scorecards as one self-contained HTML page; one of them as a Markdown table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.arguments import OutOption
from sepo.cli.terminal import say, show
from sepo.errors import InputError


def command(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|CARD|FOLDER...",
            help="Run folders, as `sepo run` writes them, folders of such, and scorecards, as `sepo audit --out` does.",
        ),
    ],
    out: OutOption = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the results table in Markdown instead; needs the figures alone.")
    ] = False,
    beside: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="With --markdown and a folder of runs: how their gain in J compares with that of the runs in here.",
        ),
    ] = None,
) -> None:
    """Write runs and scorecards as one HTML file that needs no network (RUN/report.html or CARD.html unless --out)."""
    if beside is not None and not markdown:
        raise InputError("--beside goes with --markdown")
    if markdown:
        from sepo.files import check_writable, write_text

        if len(sources) > 1:
            raise InputError(f"--markdown takes one run, scorecard or folder, not {len(sources)}")
        if out is not None:
            check_writable(out)
        text = _table(sources[0]) if beside is None else _gains(sources[0], beside)
        write_text(out, text) if out is not None else show(text)
        return
    from sepo.report.page import write_report

    say(f"report written to {write_report(sources, out)}", err=True)


def _table(run: Path) -> str:
    """Return the Markdown table of scorecards, of a run, or of a folder of runs."""
    from sepo.audit.compare import load_cards
    from sepo.report.markdown import card, markdown, overview
    from sepo.report.read import read_summaries, read_summary

    if run.is_file():
        return card(*load_cards(run))
    if (run / "summary.json").exists() or not (runs := read_summaries(run)):
        return markdown(read_summary(run))
    return overview(runs)


def _gains(run: Path, beside: Path) -> str:
    """Return the Markdown table of how much runs gain beside others."""
    from sepo.report.markdown import gains
    from sepo.report.read import read_summaries

    found = []
    for folder in (run, beside):
        found.append(read_summaries(folder))
        if not found[-1]:
            raise InputError(f"'{folder}' holds no folders with a run's summary.json, which --beside compares")
    return gains(*found)
