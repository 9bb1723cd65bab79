"""``report.html``: one self-contained page of a run, made from the run folder and a template.

The page carries its styles, its script, Plotly and its data, and forbids itself every request, so it works
from a disk, in a mail or offline. All text of the run is shown as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sepo import __version__
from sepo.errors import InputError
from sepo.files import write_text
from sepo.report.cards import cards, heading, opening
from sepo.report.curves import curves
from sepo.report.ledger import ledger
from sepo.report.panels import behaviour
from sepo.report.plots import MARKS
from sepo.report.read import Run, read_run
from sepo.report.tables import columns, published, results

MOST = 12  # warnings shown per arm


class Warned(NamedTuple):
    """An arm's warnings."""

    arm: str
    messages: tuple[str, ...]


def write_report(run: Path, out: Path | None = None) -> Path:
    """Write the report of a run as one HTML file, whole or not at all.

    Parameters
    ----------
    run
        A run folder, as ``sepo run`` writes it; see ``report.read``.
    out
        The file to write; ``report.html`` in the run folder unless given.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If there is no run, one of its files is not as it should be, Plotly is missing, or the file cannot
        be written.
    """
    path = out if out is not None else run / "report.html"
    if path.is_dir():
        raise InputError(f"cannot write '{path}': it is a folder; name a file")
    write_text(path, render(read_run(run), plotly()))
    return path


def render(run: Run, library: str) -> str:
    """Return the page as HTML; ``library`` is the text of plotly.js."""
    return (
        environment()
        .get_template("page.html")
        .render(
            kind="report",
            summary=run.summary,
            opening=opening(run),
            heading=heading(run.summary),
            cards=cards(run),
            warnings=warnings(run),
            marks=MARKS,
            measures=columns(run.summary),
            results=results(run.summary),
            published=published(run.summary),
            curves=curves(run),
            behaviour=behaviour(run),
            ledger=ledger(run),
            provenance=provenance(run),
            recipe=run.recipe,
            plotly=script(library),
            version=__version__,
        )
    )


def environment() -> Environment:
    """Return where the templates are: all text is shown as text."""
    return Environment(
        loader=PackageLoader("sepo.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def script(library: str) -> Markup:
    """Return a script's text so that nothing in it ends the element that holds it."""
    return Markup(library.replace("</script", "<\\/script"))


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
    further = found.get("continued", ())
    later = [f"{_said(f, 'command')} ({_said(f, 'commit')})" for f in further if isinstance(f, Mapping)]
    return [
        ("command", _said(found, "command")),
        ("commit", _said(found, "commit", "not recorded: not run from a git repository")),
        *([("continued with", "; ".join(later))] if later else []),
        ("model", summary.model or "not recorded"),
        ("seeds", seeds + (f" (finished: {'; '.join(short)})" if short else "")),
        ("platform", _said(found, "platform")),
        ("threads", _said(found, "threads")),
        ("versions", ", ".join(f"{name} {version}" for name, version in pairs.items()) or "not recorded"),
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
