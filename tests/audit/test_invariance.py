"""What must not matter to any figure: the seat, the order of actions, words and prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepo.audit import methods
from sepo.audit.scorecard import audit_table, scorecard
from sepo.games.auction import Auction
from sepo.games.base import Game
from sepo.games.commons import Commons
from sepo.games.ipd import Ipd
from sepo.games.repeated import Pair, RepeatedGame, View
from sepo.games.split import Split
from sepo.policies.script import ScriptPolicy
from tests.audit.test_board import random_table

RULES: Mapping[type[RepeatedGame], Mapping[str, Any]] = {
    Split: {"rounds": 2},
    Ipd: {"rounds": 3},
    Commons: {"rounds": 3, "stock": 5},
    Auction: {"rounds": 2},
}


@pytest.fixture(scope="module", autouse=True)
def _no_search() -> Iterator[None]:
    """Leave out the adversary that learns by trying: it draws actions by their place, and takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "worst_case", lambda *_: {})
        yield


class Turned:
    """Lists the actions in another order."""

    def actions(self, public: Any) -> tuple[str, ...]:
        first, *others = super().actions(public)  # type: ignore[misc]
        return (*others[::-1], first)


class Foreign:
    """Says everything in other words."""

    def word(self, action: str) -> str:
        return f"answer-{len(action)}-{action[::-1].lower()}"

    def preamble(self, view: View) -> str:
        return "You know the rules."

    def told(self, number: int, before: Pair | None, view: View) -> str:
        return f"Turn {number}: {before and before.other}"


class Mirrored:
    """Lets the learner sit in the other seat."""

    seats = (1,)


GAMES: dict[str, Game] = {c.__name__.lower(): c(**rules) for c, rules in RULES.items()}
CHANGED = {
    how.__name__.lower(): {c.__name__.lower(): type("Changed", (how, c), {})(**rules) for c, rules in RULES.items()}
    for how in (Turned, Foreign, Mirrored)
}


def figures(part: Any, path: str = "") -> dict[str, float]:
    """Return every number of a figure with the path to it; the seat that frequencies are of is left out."""
    if isinstance(part, dict):
        if "value" in part:
            return {f"{path}.{k}": part[k] for k in ("value", "low", "high")}
        return {
            where: value
            for key in part
            for where, value in figures(part[key], f"{path}.{'seat' if key.startswith('seat ') else key}").items()
        }
    if isinstance(part, list):
        return {where: value for i, item in enumerate(part) for where, value in figures(item, f"{path}.{i}").items()}
    return {path: part} if part is None else {}


def same(got: dict[str, Any], want: dict[str, Any]) -> None:
    one, other = figures(got), figures(want)
    assert len(other) > 60
    assert one.keys() == other.keys()
    assert one == pytest.approx(other, abs=1e-12)


@settings(max_examples=3)
@given(seed=st.integers(0, 1000), idle=st.sampled_from([0.0, 0.3]))
@pytest.mark.parametrize("how", CHANGED)
@pytest.mark.parametrize("name", GAMES)
def test_no_figure_of_a_table_changes(name: str, how: str, seed: int, idle: float):
    table = random_table(GAMES[name], seed, idle)
    changed = CHANGED[how][name]
    same(audit_table(table, changed), audit_table(table, GAMES[name]))


@pytest.mark.parametrize("how", CHANGED)
@pytest.mark.parametrize("name", GAMES)
def test_no_figure_of_a_script_changes(name: str, how: str):
    for script in list(GAMES[name].opponents)[:4]:
        policy = ScriptPolicy(f"script:{script}", script)
        got, want = (scorecard(policy, [g])["games"][g.name] for g in (CHANGED[how][name], GAMES[name]))
        same(got, want)


@pytest.mark.parametrize("name", GAMES)
def test_the_changed_games_do_differ_where_they_should(name: str):
    game, turned, foreign, mirrored = (GAMES[name], *(CHANGED[how][name] for how in CHANGED))
    start, decision = game.root(), foreign.root()
    while start.actor < 0:
        start, decision = (s.child(s.chance()[0][0]) for s in (start, decision))
    assert turned.actions(game.start) != game.actions(game.start)
    assert sorted(turned.actions(game.start)) == sorted(game.actions(game.start))
    assert foreign.decision(decision).words() != game.decision(start).words()
    assert foreign.decision(decision).chat() != game.decision(start).chat()
    assert (game.seats, mirrored.seats) == ((0,), (1,))
