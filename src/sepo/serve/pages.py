"""What the pages show: sessions, debriefs, tables and runs as plain values for the templates.

Knows no HTTP. Nothing that the other side has done and the person has not seen gets onto a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sepo import __version__
from sepo.audit.told import chances, exposed, lines, outcome, points, summary
from sepo.display import number
from sepo.games.base import Decision, Game
from sepo.games.hands import ITEMS
from sepo.games.items import Items
from sepo.play.session import Move, Session
from sepo.printable import visible
from sepo.serve.explore import PAGE, Explored, searched
from sepo.serve.house import Room
from sepo.serve.progress import Progress

BUTTONS = 12
"""Most actions that are buttons of their own; most that have a bar."""
FEW, SHOWN = 3, 0.0005
"""So many actions always have a bar; of more, those whose probability does not round to nothing."""
WIDTH, HEIGHT = 120, 28
"""Of a run's small chart."""


def environment() -> Environment:
    """Return where the templates are: all text is shown as text, codes and marks that would steer it spelt out."""
    return Environment(
        loader=PackageLoader("sepo.serve", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )


class Part(NamedTuple):
    """One of several numbers that make up an action."""

    label: str
    values: Sequence[str]


def rules(game: Game) -> str:
    """Return a game's options in words; nothing where it has none."""
    return ", ".join(f"{key} = {value}" for key, value in game.rules.items())


def board(room: Room) -> dict[str, Any]:
    """Return what a person at a game sees."""
    session = room.session
    decision = session.decision
    own, other = session.totals()[::-1]
    several = len(session.seats) > 1
    ended = session.rounds
    if not session.over:
        own, other = sum(r.opponent for r in ended), sum(r.learner for r in ended)
    chat = decision.chat() if decision is not None else ()
    return {
        "room": room,
        "game": session.game,
        "policy": session.learner.name,
        "rules": rules(session.game),
        "several": several,
        "hand": session.number + 1,
        "hands": len(session.seats),
        "seat": 1 - session.hand.seat,
        "told": chat[0].content if chat and chat[0].role == "system" else "",
        "turns": [(turn.role == "assistant", turn.content) for turn in chat if turn.role != "system"],
        "ended": [
            {
                "name": f"{'hand' if several else 'round'} {(r.hand if several else r.number) + 1}",
                "own": said([m for m in r.moves if not m.learner]),
                "other": said([m for m in r.moves if m.learner]),
                "paid": points(r.opponent),
                "theirs": points(r.learner),
            }
            for r in ended
        ],
        "own": points(own),
        "other": points(other),
        "over": session.over,
        "count": session.count,
        "said": room.said,
        **(choices(decision) if decision is not None else {"buttons": (), "parts": (), "options": ()}),
    }


def said(moves: Sequence[Move]) -> str:
    """Return moves in words."""
    return ", ".join(move.decision.word(move.action) for move in moves) or "no move"


def choices(decision: Decision) -> dict[str, Any]:
    """Return how an action is chosen: by a button each, a number for each part, or from a list."""
    pairs = list(zip(decision.legal, decision.words(), strict=True))
    if len(pairs) <= BUTTONS and not isinstance(decision.game, Items):
        return {"buttons": pairs, "parts": (), "options": ()}
    split = [action.split(" ") for action in decision.legal]
    columns = [list(dict.fromkeys(column)) for column in zip(*split, strict=False)]
    if {tuple(s) for s in split} == set(product(*columns)):
        names = (
            [f"{name}s" for name in ITEMS]
            if isinstance(decision.game, Items)
            else [f"part {i + 1}" for i in range(len(columns))]
        )
        return {"buttons": (), "parts": [Part(*x) for x in zip(names, columns, strict=True)], "options": ()}
    return {"buttons": (), "parts": (), "options": pairs}


def action_of(form: Mapping[str, Sequence[str]]) -> str:
    """Return the action that a form says, in one piece or in parts."""
    if "part" in form:
        return " ".join(form["part"])
    return form.get("action", [""])[-1]


def news(session: Session, before: int) -> str:
    """Return what happened since so many rounds had ended, and what is asked now: all that the person may know."""
    several = len(session.seats) > 1
    told = [outcome(ended, several) for ended in session.rounds[before:]]
    if session.over:
        own, other = session.totals()[::-1]
        told.append(f"The game is over: you {points(own)}, they {points(other)}.")
    elif (decision := session.decision) is not None:
        told.append(decision.chat()[-1].content.splitlines()[-1])
    return " ".join(told)


def looked_back(room: Room) -> dict[str, Any]:
    """Return a debrief."""
    assert room.debrief is not None
    found, session = room.debrief[1], room.session
    return {
        "room": room,
        "game": session.game,
        "policy": session.learner.name,
        "summary": summary(session.game, found),
        "exposed": exposed(session.game, found),
        "lines": lines(found),
        "several": len(session.seats) > 1,
        "moves": moves(session, policies=False),
    }


def moves(session: Session, *, policies: bool = True) -> list[dict[str, Any]]:
    """Return the policies' moves with all their probabilities; the learner's alone unless told otherwise."""
    out = []
    for i, hand in enumerate(session.hands, 1):
        for _, move in hand.moves:
            if move.p is None or not (policies or move.learner):
                continue
            d = move.decision
            p = {d.word(a): q for a, q in zip(d.legal, move.p.tolist(), strict=True)}
            out.append(
                {
                    "hand": i,
                    "first": move.learner,
                    "state": d.key or "(start)",
                    "did": d.word(move.action),
                    "bars": bars(p, d.word(move.action)),
                    "text": chances(p),
                }
            )
    return out


def bars(p: Mapping[str, float], taken: str | None = None) -> list[dict[str, Any]]:
    """Return probabilities as bars; where there are many the likeliest ones, likeliest first."""
    ranked = list(p.items()) if len(p) <= FEW else sorted(p.items(), key=lambda item: -item[1])[:BUTTONS]
    ranked = [(word, value) for word, value in ranked if len(p) <= FEW or value >= SHOWN or word == taken]
    return [
        {"word": word, "share": round(100 * value, 1), "text": f"{value:.1%}", "taken": word == taken}
        for word, value in ranked
    ]


def watched(room: Room) -> dict[str, Any]:
    """Return a game between two policies."""
    session = room.session
    first, second = session.totals()
    return {
        "room": room,
        "game": session.game,
        "first": session.learner.name,
        "second": session.opponent.name if session.opponent is not None else "",
        "rules": rules(session.game),
        "several": len(session.seats) > 1,
        "hand": session.number + 1,
        "hands": len(session.seats),
        "seat": session.hand.seat,
        "moves": moves(session),
        "paid": points(first),
        "theirs": points(second),
        "over": session.over,
        "said": room.said,
    }


def table(found: Explored, text: str, page: int) -> dict[str, Any]:
    """Return one page of a policy's situations that match a search."""
    rows = searched(found.rows, text)
    pages = max(1, -(-len(rows) // PAGE))
    at = min(max(page, 1), pages)
    shown = [
        {
            "key": row.key or "(start)",
            "reach": "" if row.reach is None else f"{row.reach:.1%}",
            "bars": bars(row.probabilities),
        }
        for row in rows[(at - 1) * PAGE : at * PAGE]
    ]
    return {
        "rows": shown,
        "found": len(rows),
        "all": len(found.rows),
        "whole": found.whole,
        "reached": any(row.reach is not None for row in found.rows),
        "page": at,
        "pages": pages,
        "text": text,
    }


def run(found: Sequence[Progress]) -> list[dict[str, Any]]:
    """Return a run's arms and seeds as rows."""
    out = []
    for p in found:
        sets = [of for of in ("sepo", "paper", *p.j) if p.j.get(of) is not None]
        chosen = sets[0] if sets else ""
        out.append(
            {
                "game": p.game,
                "arm": p.arm,
                "seed": p.seed,
                "stage": p.stage,
                "step": "" if p.step is None else str(p.step),
                "first": _figure(p.first.get(chosen)),
                "j": _figure(p.j.get(chosen)),
                "of": chosen,
                "exploitability": _figure(p.exploitability),
                "warnings": p.warnings,
                "quiet": _ago(p.quiet),
                "done": p.done,
                "points": polyline([j for _, j in p.series]),
            }
        )
    return out


def polyline(values: Sequence[float]) -> str:
    """Return a series as the points of a small chart; empty where there is nothing to draw."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (WIDTH - 4) / (len(values) - 1)
    return " ".join(
        f"{2 + i * step:.1f},{HEIGHT - 3 - (v - low) / span * (HEIGHT - 6):.1f}" for i, v in enumerate(values)
    )


def _figure(value: float | None) -> str:
    return "" if value is None else number(value)


def _ago(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 5400 else f"{seconds / 3600:.0f} h ago"


BASE: Mapping[str, Any] = {"version": __version__}
