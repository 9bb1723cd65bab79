"""A searched opponent is a lower bound: played out it gains just what is said, and nobody finds more than there is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from sepo.audit.board import Subject, facing
from sepo.audit.rule import Rule, Seen
from sepo.audit.search import Found, replay, search
from sepo.games.base import Decision, Game
from sepo.games.contract import check
from sepo.games.ipd import ACTIONS, Ipd
from sepo.games.registry import make
from sepo.games.repeated import Pair
from sepo.keys import generator
from sepo.policies.script import ScriptPolicy, opponent
from sepo.solve.response import best_response
from sepo.solve.tree import Floats
from tests.small_repeated import Pond

GAIN = {"own": 1.0, "other": -1.0}
HARM = {"other": -1.0}


class Scattered:
    """Every action with some probability of its own at every information state: a table with full support."""

    def __init__(self, seed: int) -> None:
        self.name, self.seed = f"scattered {seed}", seed
        self.rows: dict[str, Floats] = {}

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        return [self.row(d) for d in decisions]

    def row(self, decision: Decision) -> Floats:
        if decision.key not in self.rows:
            drawn = generator("scattered", self.seed, decision.key).random(len(decision.legal)) ** 3
            self.rows[decision.key] = drawn / drawn.sum()
        return self.rows[decision.key]

    def legal_mass(self) -> None:
        return None

    def about(self) -> Mapping[str, Any]:
        return {}


class Second(Ipd):
    """The same game with the learner in seat 1."""

    seats = (1,)


def script(game: Game, name: str) -> Subject:
    return Subject(game, ScriptPolicy(f"script:{name}", name))


def exact(subject: Subject, objective: Mapping[str, float] = GAIN) -> float:
    """Return what the best of all opponents collects per round."""
    found = []
    for seat in subject.game.seats:
        m = facing(subject, seat)
        found.append(best_response(m.tree, m.profile, 1 - seat, m.tree.combine(1 - seat, objective)).value)
    return float(np.mean(found)) / subject.game.rounds


def replayed(subject: Subject, found: Found, objective: Mapping[str, float] = GAIN) -> float:
    return float(np.mean([replay(subject, rule, seat, objective) for seat, rule in found.rules.items()]))


@pytest.mark.parametrize("name", make("ipd").opponents)
def test_in_ipd_the_best_opponent_of_every_script_is_found(name: str) -> None:
    subject = script(make("ipd"), name)
    found = search(subject, (0, "ipd"))
    assert found.exact
    assert found.value == pytest.approx(exact(subject), abs=1e-9)
    assert found.value == pytest.approx(replayed(subject, found), abs=1e-9)


def test_a_cooperator_is_met_by_a_defector() -> None:
    found = search(script(make("ipd"), "always_cooperate"), (0, "ipd"))
    assert found.value == 5.0
    assert found.rules[1].about == "always DEFECT"
    assert found.rules[1].opponent.script(_first(make("ipd"))) == {"DEFECT": 1.0}


@pytest.mark.parametrize("seed", range(3))
def test_it_lies_between_memory_one_and_the_exact_worst_case(seed: int) -> None:
    game = make("ipd", {"rounds": 5})
    subject = Subject(game, Scattered(seed))
    found = search(subject, (0, "ipd"))
    states = [None, *(Pair(a, b) for a in ACTIONS for b in ACTIONS)]
    one = [
        Rule({Seen(None, s, None, None): a for s, a in zip(states, rule, strict=True)}, ("last",), _never, "")
        for rule in itertools.product(ACTIONS, repeat=5)
    ]
    assert max(replay(subject, rule, 1) for rule in one) - 1e-9 <= found.value <= exact(subject) + 1e-9
    assert found.tried > 32


@pytest.mark.parametrize(
    ("game", "name"),
    [("split", "accommodating"), ("commons", "reciprocal"), ("commons", "grim"), ("kuhn", "tight_passive")],
)
def test_other_games(game: str, name: str) -> None:
    subject = script(make(game), name)
    found = search(subject, (0, game))
    assert found.value == pytest.approx(exact(subject), abs=1e-9)
    assert found.value == pytest.approx(replayed(subject, found), abs=1e-9)


@pytest.mark.parametrize("fish", [2, 5, 9])
@pytest.mark.parametrize("name", ["wary", "most", "uniform"])
def test_actions_may_depend_on_what_is_public(name: str, fish: int) -> None:
    class Stocked(Pond):
        pass

    Stocked.fish = fish
    check(Stocked(3))
    subject = script(Stocked(4), name)
    found = search(subject, (0, "pond"))
    assert found.exact
    assert found.value == pytest.approx(replayed(subject, found), abs=1e-9)
    assert found.value == pytest.approx(exact(subject), abs=1e-9)


def test_a_rule_is_followed_as_far_as_it_is_legal() -> None:
    rule = Rule({Seen(None, None, None, None): "3"}, (), lambda d: d.legal[-1], "always 3")
    game = Pond(2)
    full = game.decision(game.root())
    short = game.decision(game.root().child("3").child("3"))  # one fish is left
    assert (rule(full), rule(short)) == ("3", "1")
    assert rule.answer(short).tolist() == [1.0]


@pytest.mark.parametrize("game", ["split", "commons", "auction"])
def test_a_table_with_full_support_is_searched_exactly(game: str) -> None:
    subject = Subject(make(game, {"rounds": 3}), Scattered(0))
    found = search(subject, (0, game), edges=40_000)
    assert found.exact
    assert found.value == pytest.approx(replayed(subject, found), abs=1e-9)
    for name, other in subject.game.opponents.items():
        if other.memory != "all" and name not in ("uniform", "truthful"):  # those draw lots
            rule = Rule({}, (), lambda d, name=name: _plays(d, name), name)
            assert found.value >= replay(subject, rule, 1) - 1e-9


def test_the_most_harm_is_another_question() -> None:
    subject = script(make("commons"), "reciprocal")
    found = search(subject, (0, "commons"), objective=HARM)
    assert found.value == pytest.approx(exact(subject, HARM), abs=1e-9)
    assert found.value == pytest.approx(replayed(subject, found, HARM), abs=1e-9)


def test_one_key_gives_one_opponent() -> None:
    subject = Subject(make("auction", {"rounds": 3}), Scattered(1))
    first, again = (search(subject, (0, "auction")) for _ in range(2))
    assert first.value == again.value
    assert first.rules[1].table == again.rules[1].table


def test_seats_do_not_matter() -> None:
    first, second = (search(Subject(g, Scattered(2)), (0, "ipd")) for g in (Ipd(4), Second(4)))
    assert first.value == pytest.approx(second.value, abs=1e-9)
    assert list(second.rules) == [0]


def test_where_it_samples_it_values_on_fresh_episodes() -> None:
    subject = Subject(make("ipd", {"rounds": 4}), Scattered(3))
    found = search(subject, (0, "ipd"), edges=0, episodes=500)
    assert not found.exact
    assert found.interval is not None
    assert found.value == found.interval.value
    assert found.interval.low <= replayed(subject, found) <= found.interval.high
    assert math.isfinite(found.chosen)


@pytest.mark.no_cover
def test_a_large_game_of_instances_is_sampled() -> None:
    subject = Subject(make("items", {"instances": 16, "rounds": 2}), Scattered(4))
    found = search(subject, (0, "items"), edges=500, episodes=128)
    assert not found.exact
    assert found.interval is not None
    assert found.value > 0


def _never(decision: Decision) -> str:
    raise AssertionError(f"a decision that cannot be met: {decision.key}")


def _plays(decision: Decision, name: str) -> str:
    answer = opponent(decision.game, name).script(decision)
    return max(answer, key=answer.__getitem__)


def _first(game: Game) -> Decision:
    return game.decision(game.root())
