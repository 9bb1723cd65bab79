"""A comparison for people: as Markdown, and as one self-contained page in the look of the report.

Knows the documents of ``report.verdicts`` and nothing of how a difference was found. All text is shown as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sepo import __version__
from sepo.audit.meanings import MEANINGS, better, heading, last, rank
from sepo.display import NONE
from sepo.files import check_writable, write_text
from sepo.games.registry import GAMES
from sepo.printable import printable
from sepo.report.packing import packed
from sepo.report.page import environment, plotly
from sepo.report.plots import MARKS, Panel, Plot, colour, layout, mark
from sepo.report.tables import Cell, Head, Row, Table
from sepo.report.verdicts import SEVERAL
from sepo.report.words import count, csv_text, number, short
from sepo.verbatim import code, text

DIGITS = 4
HOVER = "%{customdata[0]}<br>%{customdata[1]}<extra></extra>"
VERDICTS = {"differs": "different", "untold": "not to be told", "same": "the same"}
NARROW = 0.16
"""Rows apart at which the sides of one figure are drawn."""


class Section(NamedTuple):
    """One game of the page."""

    game: str
    title: str
    panel: Panel
    table: Table


class Spoken(NamedTuple):
    """One side against the first: the sentences, and what a reader should know."""

    title: str
    side: int
    summary: str
    said: Sequence[tuple[str, str]]
    rest: Sequence[tuple[str, str]]
    caveats: Sequence[str]


def each(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the comparisons of a document, of two sides or of several."""
    return list(document["comparisons"]) if document["schema"] == SEVERAL else [document]


def sides(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return every side once, the first one first."""
    return [found[0]["sides"][0], *(comparison["sides"][1] for comparison in found)]


def markdown(document: Mapping[str, Any]) -> str:
    """Return the comparison in Markdown: sentences, caveats, and a table a game."""
    lines: list[str] = []
    for found in each(document):
        lines += [f"## {text(found['after'])} against {text(found['before'])}", "", text(found["summary"]), ""]
        lines += [f"- {_marked(verdict)}" for verdict in found["verdicts"] if verdict["reading"] != "same"]
        lines += [""] if found["verdicts"] else []
        lines += ["Mind that:", "", *(f"- {text(said)}" for said in found["caveats"]), ""] if found["caveats"] else []
        for game, rows in found["games"].items():
            heads = [text(game), code(found["before"]), code(found["after"]), "difference", "verdict"]
            lines += [f"| {' | '.join(heads)} |", "| --- | ---: | ---: | ---: | --- |"]
            for row in sorted(rows, key=lambda r: rank(r["figure"])):
                cells = [text(heading(row["figure"])), *(_ends(row[side]) for side in ("before", "after"))]
                lines.append(f"| {' | '.join([*cells, _gap(row), _verdict(row)])} |")
            lines.append("")
    return "\n".join(lines)


def _marked(verdict: Mapping[str, Any]) -> str:
    said = text(verdict["said"])
    return f"**{verdict['reading']}**: {said}" if verdict["reading"] in ("better", "worse") else said


def write_comparison(document: Mapping[str, Any], path: Path) -> Path:
    """Write the page as one HTML file, whole or not at all.

    Raises
    ------
    InputError
        If Plotly is missing or the file cannot be written.
    """
    check_writable(path)
    write_text(path, render(document, plotly()))
    return path


def render(document: Mapping[str, Any], library: str) -> str:
    """Return the page as HTML; ``library`` is the text of plotly.js."""
    found = each(document)
    names = [printable(side["name"]) for side in sides(found)]
    games = list(dict.fromkeys(game for comparison in found for game in comparison["games"]))
    others = names[1] if len(names) == 2 else f"{count(len(names) - 1, 'other')}"
    return (
        environment()
        .get_template("comparison.html")
        .render(
            kind="comparison",
            summary={"name": f"{names[0]} and {others}", "arms": [{"name": name} for name in names]},
            opening=_opening(names),
            marks=MARKS,
            spoken=[_spoken(comparison, index + 1) for index, comparison in enumerate(found)],
            sections=[_section(game, found, names) for game in games],
            meanings=_meanings(found),
            provenance=_provenance(found),
            recipe="",
            plotly=packed(library),
            version=__version__,
        )
    )


def _opening(names: Sequence[str]) -> str:
    who = f"{', '.join(names[1:-1])} and {names[-1]}" if len(names) > 2 else names[1]
    return (
        f"What changed from {names[0]} to {who}, and whether it matters. A difference is clear where its interval lies "
        "on one side of zero; where it does not, no difference can be told, which is not the same as none."
    )


def _spoken(found: Mapping[str, Any], index: int) -> Spoken:
    def lines(*readings: str) -> list[tuple[str, str]]:
        return [(v["reading"], printable(v["said"])) for v in found["verdicts"] if v["reading"] in readings]

    return Spoken(
        f"{printable(found['after'])} against {printable(found['before'])}",
        index,
        printable(found["summary"]),
        lines("better", "worse", "differs"),
        lines("untold", "same", "not comparable"),
        [printable(said) for said in found["caveats"]],
    )


def _section(game: str, found: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Section:
    here = [
        (index + 1, comparison["games"][game]) for index, comparison in enumerate(found) if game in comparison["games"]
    ]
    figures = sorted(dict.fromkeys(row["figure"] for _, rows in here for row in rows), key=rank)
    values: dict[str, dict[int, Mapping[str, Any]]] = {name: {} for name in figures}
    for index, rows in here:
        for row in rows:
            befores = [values[row["figure"]].get(0, row["before"]), row["before"]]  # they may be over other seeds
            first = max(befores, key=lambda found: found.get("n") or 0)
            values[row["figure"]] |= {0: first, index: row["after"]}
    title = GAMES[game].title if game in GAMES else printable(game)
    return Section(
        printable(game), title, _panel(game, title, values, names), _table(title, here, figures, values, names)
    )


def _panel(game: str, title: str, values: Mapping[str, Mapping[int, Mapping[str, Any]]], names: Sequence[str]) -> Panel:
    pays = {name: last(name) in MEANINGS and MEANINGS[last(name)].pays for name in values}
    timed = [name for name in values if last(name) == "time_to_exploit"]  # rounds would dwarf everything else
    groups = {
        "payoffs": [name for name in values if pays[name]],
        "objective": [name for name in values if last(name) == "J"],
        "shares and rates": [n for n in values if not pays[n] and n not in timed and last(n) != "J"],
        "rounds": timed,
    }
    rows = [
        (heading(name), names[index], found["value"], found["low"], found["high"], found.get("n"))
        for name, by_side in values.items()
        for index, found in by_side.items()
    ]
    return Panel(
        f"figures-{''.join(c if c.isalnum() else '-' for c in printable(game))}",
        f"{title}: figures side by side",
        "Each figure of each side with its interval; no bar where it is exact.",
        [_plot(what, {n: values[n] for n in chosen}, names) for what, chosen in groups.items() if chosen],
        csv_text(("figure", "side", "value", "low", "high", "n"), rows),
    )


def _plot(what: str, values: Mapping[str, Mapping[int, Mapping[str, Any]]], names: Sequence[str]) -> Plot:
    figures = list(values)
    data = []
    for index, name in enumerate(names):
        points = [(row, values[f][index]) for row, f in enumerate(figures) if index in values[f]]
        shift = (index - (len(names) - 1) / 2) * NARROW
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": short(name),
                "x": [found["value"] for _, found in points],
                "y": [row + shift for row, _ in points],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [found["high"] - found["value"] for _, found in points],
                    "arrayminus": [found["value"] - found["low"] for _, found in points],
                    "color": colour(index),
                    "thickness": 1.6,
                    "width": 4,
                },
                "marker": {"size": 10, "color": colour(index), "symbol": mark(index).symbol},
                "customdata": [
                    [short(name), f"{short(heading(figures[row]))} {_ends(found)}"] for row, found in points
                ],
                "hovertemplate": HOVER,
                "meta": {"arm": index},
            }
        )
    said = "; ".join(
        f"{heading(f)}: {', '.join(f'{names[i]} {_ends(found)}' for i, found in values[f].items())}" for f in figures
    )
    ticks = {"tickvals": list(range(len(figures))), "ticktext": [short(_short(f)) for f in figures]}
    return Plot(
        what.capitalize(),
        f"Dots with intervals, a row a figure. {printable(said)}.",
        data,
        layout("", "", yaxis={**ticks, "range": [len(figures) - 0.5, -0.5], "zeroline": False}, margin={"l": 10}),
        90 + 44 * len(figures),
    )


def _short(figure: str) -> str:
    way = {"higher": " ↑", "lower": " ↓"}.get(better(figure), "")
    return heading(figure) + way


def _table(
    title: str,
    here: Sequence[tuple[int, Sequence[Mapping[str, Any]]]],
    figures: Sequence[str],
    values: Mapping[str, Mapping[int, Mapping[str, Any]]],
    names: Sequence[str],
) -> Table:
    columns = [Cell("figure"), Cell(names[0])]
    for index, _ in here:
        columns += [Cell(names[index]), Cell("difference", f"{names[index]} minus {names[0]}"), Cell("verdict")]
    rows = []
    by_figure = [{row["figure"]: row for row in found} for _, found in here]
    for name in figures:
        cells = [_cell(values[name].get(0))]
        for (index, _), found in zip(here, by_figure, strict=True):
            row = found.get(name)
            cells += [_cell(values[name].get(index)), _gap_cell(row), Cell(_verdict(row) if row else "")]
        way = better(name)
        head = Head(printable(heading(name)), f"{way} is better" if way else "")
        rows.append(Row([head], cells, warned=by_figure[-1].get(name, {}).get("reading") == "worse"))
    ends = [{name: row["before"]["value"] for name, row in found.items()} for found in by_figure]
    apart = any(ends[0].get(name, value) != value for found in ends[1:] for name, value in found.items())
    notes = [f"{names[0]} stands over the most seeds that it shares; each difference is over those shared by its two."]
    caption = f"{title}: every figure of both" if len(here) == 1 else f"{title}: every figure"
    return Table(caption, columns, rows, notes if apart else ())


def _cell(found: Mapping[str, Any] | None) -> Cell:
    if found is None:
        return Cell(NONE)
    if found["low"] == found["high"]:
        return Cell(number(found["value"], DIGITS))
    return Cell(number(found["value"], DIGITS), f"[{number(found['low'], DIGITS)}, {number(found['high'], DIGITS)}]")


def _gap_cell(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell(NONE)
    sign = "+" if row["difference"] > 0 else ""
    shown = sign + number(row["difference"], DIGITS)
    if row["low"] is None or row["high"] - row["low"] < 10**-DIGITS:
        return Cell(shown, row["pairing"])
    return Cell(shown, f"[{number(row['low'], DIGITS)}, {number(row['high'], DIGITS)}] {row['pairing']}")


def _gap(row: Mapping[str, Any]) -> str:
    cell = _gap_cell(row)
    return text(f"{cell.text} {cell.note}".strip())


def _ends(found: Mapping[str, Any]) -> str:
    cell = _cell(found)
    return f"{cell.text} {cell.note}".strip()


def _verdict(row: Mapping[str, Any]) -> str:
    said = VERDICTS.get(row["reading"], row["reading"])
    return f"{said}, small" if row["small"] else said


def _meanings(found: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    names = dict.fromkeys(last(row["figure"]) for c in found for rows in c["games"].values() for row in rows)
    shown = sorted((name for name in names if name in MEANINGS), key=rank)
    ways = {name: f"; {better(name)} is better" if better(name) else "" for name in shown}
    return [(heading(name), f"{MEANINGS[name].text}{ways[name]}") for name in shown]


def _provenance(found: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    out = []
    for side in sides(found):
        versions = ", ".join(f"{name} {version}" for name, version in side["versions"].items())
        out.append(
            (printable(side["name"]), printable(f"{side['kind']} {side['source']}; {versions or 'no versions'}"))
        )
    return out
