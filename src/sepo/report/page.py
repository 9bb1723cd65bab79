"""``report.html``: one self-contained page of runs and scorecards, made from their files and a template.

The page carries its styles, its script, Plotly and its data, and forbids itself every request, so it works
from a disk, in a mail or offline. All text of the run is shown as text. A run is a chapter; several runs, or the games
of a joint run or of scorecards, are chapters below one overview.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sepo import __version__
from sepo.audit.compare import load_cards
from sepo.errors import InputError
from sepo.files import check_writable, write_text
from sepo.printable import visible
from sepo.report.cards import cards, heading, opening
from sepo.report.curves import curves
from sepo.report.exploiter import exploiters
from sepo.report.ledger import ledger
from sepo.report.opponents import opponents
from sepo.report.overview import overview
from sepo.report.packing import packed, packed_json
from sepo.report.panels import behaviour
from sepo.report.plots import MARKS
from sepo.report.read import Run, read_run, runs_in
from sepo.report.replies import replies
from sepo.report.risk import multiples, risks
from sepo.report.scorecards import audited
from sepo.report.tables import columns, published, results
from sepo.report.transcripts import transcripts
from sepo.report.words import count

MOST = 12  # warnings shown per arm


class Warned(NamedTuple):
    """An arm's warnings."""

    arm: str
    messages: tuple[str, ...]


def write_report(sources: Path | Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of runs and scorecards as one HTML file, whole or not at all.

    Parameters
    ----------
    sources
        Run folders as ``sepo run`` writes them, folders of such, and files of one scorecard or several; see
        ``report.read``.
    out
        The file to write; unless given, ``report.html`` in the first folder, or beside the first scorecard under its
        name.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If there is no run, one of the files is not as it should be, Plotly is missing, or the file cannot
        be written.
    """
    given = [sources] if isinstance(sources, Path) else list(sources)
    first = given[0]
    path = out if out is not None else first.with_suffix(".html") if first.is_file() else first / "report.html"
    check_writable(path)
    write_text(path, render(read_all(given), plotly()))
    return path


def read_all(sources: Sequence[Path]) -> list[Run]:
    """Read run folders, folders of run folders and scorecard files, as runs; see ``write_report``."""
    runs = [read_run(folder) for source in sources if not source.is_file() for folder in runs_in(source)]
    return runs + audited([card for source in sources if source.is_file() for card in load_cards(source)])


def render(runs: Sequence[Run], library: str) -> str:
    """Return the page as HTML; ``library`` is the text of plotly.js."""
    taken: list[str] = []
    return (
        environment()
        .get_template("page.html")
        .render(
            kind="report",
            summary={"name": title(runs)},
            opening=opening(runs[0]) if len(runs) == 1 else _opening(runs),
            marks=MARKS,
            overview=overview(runs) if len(runs) > 1 else None,
            chapters=[chapter(run, _key(run, taken)) for run in runs],
            provenance=provenance(runs[0]) if len(runs) == 1 else [],
            recipe=runs[0].recipe if len(runs) == 1 else "",
            plotly=packed(library),
            version=__version__,
        )
    )


def title(runs: Sequence[Run]) -> str:
    """Return what the page is about."""
    if len(runs) == 1:
        return runs[0].summary.name
    if all(run.audited for run in runs):
        return "Audit of " + runs[0].summary.model if len({r.summary.model for r in runs}) == 1 else "Audits"
    return f"{len(runs)} runs"


def _opening(runs: Sequence[Run]) -> str:
    games = count(len({run.summary.game for run in runs}), "game")
    what = count(sum(not run.audited for run in runs), "run")
    cards_too = any(run.audited for run in runs)
    if all(run.audited for run in runs):
        return f"Policies audited in {games}, a chapter each; every figure says how it was found."
    return (
        f"{what}{' and audits' if cards_too else ''} in {games}, a chapter each, with their figures side by side first."
    )


def _key(run: Run, taken: list[str]) -> str:
    """Return a name for a chapter that is fit for an address and is no other's."""
    base = re.sub(r"[^a-z0-9]+", "-", run.summary.name.lower()).strip("-") or "run"
    key, number = base, 2
    while key in taken:
        key, number = f"{base}-{number}", number + 1
    taken.append(key)
    return key


def chapter(run: Run, key: str) -> dict[str, Any]:
    """Return what the template shows of a run."""
    return {
        "key": key,
        "audited": run.audited,
        "summary": run.summary,
        "opening": opening(run),
        "heading": heading(run.summary) + ("" if run.audited else " at the last step"),
        "cards": cards(run),
        "warnings": warnings(run),
        "measures": columns(run.summary),
        "results": results(run.summary),
        "multiples": multiples(run),
        "published": published(run.summary),
        "curves": curves(run),
        "replies": replies(run),
        "risk": risks(run),
        "opponents": opponents(run),
        "behaviour": behaviour(run),
        "exploiters": exploiters(run),
        "ledger": ledger(run),
        "transcripts": transcripts(run),
        "provenance": provenance(run),
        "recipe": run.recipe,
    }


def environment() -> Environment:
    """Return where the templates are: all text is shown as text, codes and marks that would steer it spelt out."""
    found = Environment(
        loader=PackageLoader("sepo.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    found.filters["packed"] = packed_json
    return found


def warnings(run: Run) -> list[Warned]:
    """Return each arm's warnings, as the summary counts them over seeds and steps."""
    out = []
    for arm in run.summary.arms:
        lines = list(dict.fromkeys(arm.warnings))
        if len(lines) > MOST:
            lines = [*lines[:MOST], f"and {len(lines) - MOST} more, in metrics.jsonl"]
        if lines:
            out.append(Warned(arm.name, tuple(lines)))
    return out


def provenance(run: Run) -> list[tuple[str, str]]:
    """Return where the figures come from, as (name, text)."""
    summary, found = run.summary, run.environment
    seeds = ", ".join(map(str, summary.seeds))
    short = [
        f"{arm.name} {', '.join(map(str, arm.seeds)) or 'none'}"
        for arm in summary.arms
        if len(arm.seeds) < len(summary.seeds)
    ]
    versions = found.get("versions")
    pairs: Mapping[str, Any] = versions if isinstance(versions, Mapping) else {}
    told = ("versions", ", ".join(f"{name} {version}" for name, version in pairs.items()) or "not recorded")
    if run.audited:
        return [("policies", summary.model), ("seeds", seeds), told]
    further = found.get("continued", ())
    later = [f"{_said(f, 'command')} ({_said(f, 'commit')})" for f in further if isinstance(f, Mapping)]
    return [
        ("command", _said(found, "command")),
        ("commit", _said(found, "commit", "not recorded: not run from a git repository")),
        *([("continued with", "; ".join(later))] if later else []),
        ("model", summary.model or "not recorded"),
        ("seeds", seeds + (f" (finished: {'; '.join(short)})" if short else "")),
        ("platform", _said(found, "platform")),
        *([("processors", _said(found, "cpus"))] if "cpus" in found else []),
        *([("computed by", _said(found, "arithmetic"))] if "arithmetic" in found else []),
        ("threads", _said(found, "threads")),
        *([("workers", _said(found, "workers"))] if found.get("workers", 1) != 1 else []),
        told,
    ]


def _said(environment: Mapping[str, Any], key: str, missing: str = "not recorded") -> str:
    value = environment.get(key)
    return missing if value is None else str(value)


def plotly() -> str:
    """Return the text of plotly.js.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise InputError("the report needs plotly: pip install 'sepo[report]'") from None
    return str(get_plotlyjs())
