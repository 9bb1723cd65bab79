"""Policy tables: information state key -> probability of each legal action. Read, checked, written, elicited.

The file format is ``{"schema": "sepo.policy/1", "game": …, "rules": …, "table": {KEY: {ACTION: p}}}``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sepo.display import Cell
from sepo.display import table as html_table
from sepo.errors import InputError
from sepo.files import PathLike, path_of, read_json, write_json
from sepo.frames import Columns, Kind, frame
from sepo.games.base import Decision, Game
from sepo.games.held import read_back, recorded
from sepo.games.registry import make
from sepo.policies.base import SUM_TOLERANCE, Estimated, Policy, checked
from sepo.solve.tree import Floats, Layout, Tree

SCHEMA = "sepo.policy/1"
WHAT = "policy table"
SHOWN, COLUMNS = 40, 6
"""Information states that a notebook shows, and actions that get a column each there."""


@dataclass(frozen=True)
class PolicyTable:
    """A policy written out.

    Attributes
    ----------
    rules
        Of the game, as files hold them: lists for tuples.
    table
        Information state key -> action -> probability.
    default
        ``"uniform"`` to play uniformly where the table has no row; None makes that an error.
    mass
        Where the table was elicited from a language model: its probability on the legal strings, by key.
    notes
        Of the policy it was elicited from, and, where it is known in part, in how many information states it was
        ``asked``, of how many ``reachable`` ones.
    intervals
        Where it was estimated from samples: the ends of each probability's 95 % interval.
    """

    name: str
    game: str
    rules: Mapping[str, Any]
    table: Mapping[str, Mapping[str, float]]
    default: str | None = None
    mass: Mapping[str, float] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    intervals: Mapping[str, Mapping[str, Sequence[float]]] | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "rules", read_back(self.rules))
        except (TypeError, ValueError) as error:
            raise InputError(f"policy table '{self.name}': a file cannot hold its 'rules': {error}") from None

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Look each decision up.

        Raises
        ------
        InputError
            If the table is for another game or other rules, lacks the state, or has another action there.
        """
        return [self._row(d) for d in decisions]

    def legal_mass(self) -> Mapping[str, float] | None:
        """As elicited."""
        return self.mass

    def about(self) -> Mapping[str, Any]:
        """Return what the file notes of the policy it was elicited from."""
        return self.notes

    def _row(self, decision: Decision) -> Floats:
        game = decision.game
        if game.name != self.game or recorded(game) != self.rules:
            ours, theirs = describe(self.game, self.rules), describe(game.name, game.rules)
            raise InputError(f"policy table '{self.name}' is for {ours}, not for {theirs}")
        row = self.table.get(decision.key)
        if row is None:
            if self.default == "uniform":
                return np.full(len(decision.legal), 1 / len(decision.legal))
            raise InputError(
                f"policy table '{self.name}' lacks information state '{decision.key}' "
                f'(add it, or give "default": "uniform")'
            )
        if extra := [a for a in row if a not in decision.legal]:
            raise InputError(
                f"policy table '{self.name}': '{extra[0]}' is no legal action at '{decision.key}'; "
                f"legal are {', '.join(decision.legal)}"
            )
        return np.array([row.get(a, 0.0) for a in decision.legal], dtype=float)

    def document(self) -> dict[str, Any]:
        """Return the file's JSON document."""
        out: dict[str, Any] = {"schema": SCHEMA, "game": self.game, "rules": dict(self.rules)}
        if self.default is not None:
            out["default"] = self.default
        if self.notes:
            out["about"] = dict(self.notes)
        if self.mass is not None:
            out["legal_mass"] = _plain(self.mass)
        if self.intervals is not None:
            out["intervals"] = {
                key: {a: [float(end) for end in ends] for a, ends in row.items()} for key, row in self.intervals.items()
            }
        return out | {"table": {key: _plain(row) for key, row in self.table.items()}}

    def save(self, path: PathLike) -> None:
        """Write the file, whole or not at all.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        write_json(path_of(path), self.document())

    def frame(self, kind: Kind = "pandas") -> Any:
        """Return a data frame: one row per information state and action, with its probability.

        ``low`` and ``high`` are the ends of its interval, missing where the table is no estimate.

        Raises
        ------
        InputError
            If the library is not installed.
        """
        columns: Columns = {"policy": str, "game": str, "state": str, "action": str}
        ends = self.intervals or {}
        rows = [
            (self.name, self.game, key, action, p, *(ends.get(key, {}).get(action) or (None, None)))
            for key, row in self.table.items()
            for action, p in row.items()
        ]
        return frame(rows, {**columns, "probability": float, "low": float, "high": float}, kind)

    def __repr__(self) -> str:
        size = len(self.table)
        return f"PolicyTable({self.name!r}, {self.game!r}, {size} information state{'' if size == 1 else 's'})"

    def __rich_repr__(self) -> Iterator[Any]:
        yield self.name
        yield "game", self.game
        yield "states", len(self.table)

    def _repr_html_(self) -> str:
        shown = dict(list(self.table.items())[:SHOWN])
        actions = list(dict.fromkeys(a for row in shown.values() for a in row))
        caption = f"{self.name} in {describe(self.game, self.rules)}"
        more = len(self.table) - len(shown)
        note = f"and {more} more information states" if more else ""
        if len(actions) <= COLUMNS:
            cells: list[list[Cell]] = [
                [key or "(start)", *(row.get(a, "") for a in actions)] for key, row in shown.items()
            ]
            return html_table(caption, ["information state", *actions], cells, note)
        said = [
            [key or "(start)", ", ".join(f"{a} {p:.4f}" for a, p in row.items() if p)] for key, row in shown.items()
        ]
        return html_table(caption, ["information state", "probabilities"], said, note)


def describe(game: str, rules: Mapping[str, Any]) -> str:
    """Return a game and its rules in words."""
    options = ", ".join(f"{k}={v}" for k, v in rules.items())
    return f"game '{game}'" + (f" with {options}" if options else "")


def load_table(path: Path, name: str | None = None) -> PolicyTable:
    """Read and check a policy table file.

    Raises
    ------
    InputError
        Naming the file, the information state and what is wrong there.
    """
    return parse_table(read_json(path, WHAT), f"{WHAT} '{path}'", name or f"table:{path}")


def parse_table(document: Mapping[str, Any], where: str, name: str) -> PolicyTable:
    """Check the document of a policy table; ``where`` begins what is said of it.

    Rules that it does not state are the game's defaults, where the game is installed and takes those that it states.

    Raises
    ------
    InputError
        As ``load_table`` does.
    """
    if document.get("schema") != SCHEMA:
        raise InputError(f"{where}: schema must be '{SCHEMA}', not {document.get('schema')!r}")
    known = {"schema", "game", "rules", "table", "default", "legal_mass", "intervals", "about"}
    if extra := sorted(set(document) - known):
        raise InputError(f"{where}: unknown key '{extra[0]}'; known are {', '.join(sorted(known))}")
    if not isinstance(document.get("game"), str):
        raise InputError(f"{where}: 'game' must name a game")
    if document.get("default") not in (None, "uniform"):
        raise InputError(f"{where}: 'default' can only be 'uniform'")
    for key in ("rules", "legal_mass", "intervals", "about"):
        if not isinstance(document.get(key, {}), dict):
            raise InputError(f"{where}: '{key}' must be an object")
    table = document.get("table")
    if not isinstance(table, dict) or not table:
        raise InputError(f"{where}: 'table' must map information states to action probabilities")
    for key, row in table.items():
        _check_row(where, key, row)
    for key, mass in document.get("legal_mass", {}).items():
        if not _finite(mass) or not 0 <= mass <= 1 + SUM_TOLERANCE:
            raise InputError(f"{where}: the legal mass of '{key}' must be a probability, not {mass!r}")
    return PolicyTable(
        name=name,
        game=document["game"],
        rules=_completed(document["game"], document.get("rules", {})),
        table=table,
        default=document.get("default"),
        mass=document.get("legal_mass"),
        intervals=document.get("intervals"),
        notes=document.get("about", {}),
    )


def _completed(game: str, rules: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add the game's defaults to the rules that a file states, which stay as they are written."""
    try:
        every = recorded(make(game, rules))
    except InputError:  # said where the table is played: it may be read without the game
        return rules
    return {**rules, **{rule: value for rule, value in every.items() if rule not in rules}}


def _finite(p: object) -> bool:
    """Whether ``p`` is a number that a float holds; a JSON integer may be too large for one."""
    return isinstance(p, int | float) and not isinstance(p, bool) and abs(p) <= sys.float_info.max


def _check_row(where: str, key: str, row: object) -> None:
    where = f"{where} at information state '{key}'"
    if not isinstance(row, dict) or not row:
        raise InputError(f"{where}: must map actions to probabilities")
    for action, p in row.items():
        if not _finite(p):
            shown = repr(p) if len(repr(p)) < 40 else f"{repr(p)[:36]}..."
            raise InputError(f"{where}: the probability of '{action}' must be a finite number, not {shown}")
        if p < 0:
            raise InputError(f"{where}: the probability of '{action}' is negative ({p})")
    total = math.fsum(row.values())
    if abs(total - 1) > SUM_TOLERANCE:
        raise InputError(f"{where}: probabilities sum to {total:.9g}, not 1")


def row(decision: Decision, p: Floats) -> dict[str, float]:
    """Write one answer, (legal actions,), as a table's row."""
    return dict(zip(decision.legal, p.tolist(), strict=True))


def tabulate(
    game: Game, layout: Layout, vector: Floats, name: str, seats: Sequence[int] | None = None, **fields: Any
) -> PolicyTable:
    """Write a strategy vector (entries,) out as a table.

    Where both seats are asked the same question, the table answers as in ``seats``: the learner's, unless given.
    """
    taken = game.seats if seats is None else seats
    theirs_last = sorted(layout.infosets, key=lambda i: i.seat in taken)
    rows = {i.key: row(i.decision, vector[i.entries]) for i in theirs_last}
    return PolicyTable(name=name, game=game.name, rules=game.rules, table=rows, **fields)


def check_mass(table: PolicyTable) -> None:
    """Hold a table to a legal mass for all of its rows or none; with a default it may be known of a part."""
    if table.mass is None or table.default is not None:
        return
    if lacking := [key for key in table.table if key not in table.mass]:
        raise InputError(f"policy table '{table.name}' lacks the legal mass of information state '{lacking[0]}'")


def check_keys(table: PolicyTable, game: Game, states: Mapping[str, Decision]) -> None:
    """Hold a table to the game's information states: none unknown."""
    if table.game != game.name or table.rules != recorded(game):
        return  # said better where a decision is looked up
    if extra := [key for key in table.table if key not in states]:
        raise InputError(
            f"policy table '{table.name}': game '{game.name}' has no information state '{extra[0]}'; "
            f"it has {', '.join(list(states)[:12])}"
        )


def _plain(row: Mapping[str, float]) -> dict[str, float]:
    """Return numbers as a file holds them, which may be numpy's."""
    return {name: float(value) for name, value in row.items()}


def noted(notes: Mapping[str, Any], asked: int, reachable: int | None) -> dict[str, Any]:
    """Add to a table's notes in how many information states it was elicited, of how many, if that is known."""
    return {**notes, "asked": asked} | ({} if reachable is None else {"reachable": reachable})


def in_part(notes: Mapping[str, Any]) -> str:
    """Return in how many information states a table was elicited, in words; empty where its notes do not say."""
    asked, reachable = (notes.get(key) for key in ("asked", "reachable"))
    if not isinstance(asked, int) or not isinstance(reachable, int | None):
        return ""
    return f"{asked:,}{'' if reachable is None else f' of {reachable:,}'} information states"


def elicit(policy: Policy, game: Game, tree: Tree) -> PolicyTable:
    """Ask a policy once for each distinct information state of the tree, in one batch, and write the answers out."""
    if isinstance(policy, PolicyTable):
        check_mass(policy)
        check_keys(policy, game, {d.key: d for d in tree.questions})
    answers = checked(policy, tree.questions)
    rows = {
        d.key: dict(zip(d.legal, (answer / answer.sum()).tolist(), strict=True))
        for d, answer in zip(tree.questions, answers, strict=True)
    }
    mass = policy.legal_mass()  # of whatever it was asked, in other games too
    return PolicyTable(
        name=policy.name,
        game=game.name,
        rules=game.rules,
        table=rows,
        default=policy.default if isinstance(policy, PolicyTable) else None,
        mass=None if mass is None else {key: share for key, share in mass.items() if key in rows},
        intervals=intervals(policy, tree.questions),
        notes=policy.about(),
    )


def intervals(policy: Policy, decisions: Sequence[Decision]) -> dict[str, dict[str, list[float]]] | None:
    """Return the ends of the 95 % interval of each probability of a policy known from samples; None of another."""
    if not isinstance(policy, Estimated):
        return None
    out = {}
    for d in decisions:
        low, high = policy.tally(d).ends()
        out[d.key] = {a: list(ends) for a, *ends in zip(d.legal, low.tolist(), high.tolist(), strict=True)}
    return out
