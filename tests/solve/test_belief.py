"""Beliefs: what they forget never mattered, and what is best among those that know a belief alone is best among all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sepo.audit.arena import Arena, ground_of, met
from sepo.audit.ceiling import ceiling
from sepo.audit.linear import best_policy
from sepo.audit.measures import objective, terms
from sepo.errors import TooLargeError
from sepo.games.registry import make
from sepo.games.repeated import Pair, RepeatedGame, View
from sepo.policies.script import opponent, played
from sepo.policies.table import PolicyTable
from sepo.solve.belief import Beliefs, Known
from sepo.solve.expand import walk
from sepo.solve.response import best_response
from sepo.solve.tree import Floats
from sepo.solve.value import node_values

pytestmark = pytest.mark.no_cover  # plain Python that tracing slows to half: other tests cover it

ITEMS = ("fair", "tit_for_tat", "concede", "greedy", "hardball")
GAMES = [
    ("items", {"instances": 2, "instance_seed": 7, "rounds": 2}, ITEMS),
    ("items", {"instances": 1, "instance_seed": 3, "rounds": 2, "redraw_opponent_values": True}, ("fair", "greedy")),
    ("ipd", {"rounds": 4}, ("tit_for_tat", "mixed", "grim_trigger", "generous_tit_for_tat", "always_defect")),
    ("split", {"rounds": 3}, ("fair", "balanced", "concede", "hardball")),
]


def beliefs(game: RepeatedGame, names: Sequence[str]) -> Beliefs:
    def known(name: str) -> Known:
        script = opponent(game, name)
        return Known(lambda d: played(script, d), script.memory)

    return Beliefs(game, {name: known(name) for name in names})


@pytest.mark.parametrize(("name", "rules", "names"), GAMES)
def test_a_policy_that_knows_its_belief_collects_the_same_in_the_whole_game(
    name: str, rules: dict[str, int], names: Sequence[str]
) -> None:
    game = make(name, rules, "paper")
    assert isinstance(game, RepeatedGame)
    found = beliefs(game, names)
    rng = np.random.default_rng(0)
    policy = [rng.dirichlet(np.ones(len(s.decision.legal))) for s in found.states]
    place = {s.decision.key: i for i, s in enumerate(found.states)}
    assert len(place) == len(found.states)
    for who in names:
        script = opponent(game, who)
        small = found.tree(who)
        large = walk(game, {1: lambda d, s=script: played(s, d)})
        assert small.nodes <= large.nodes
        profiles: list[Floats] = []
        for tree, locate in ((small, lambda d: place[d.key]), (large, lambda d: found.locate(d.view))):
            assert tree.played is not None
            rows = [policy[locate(i.decision)] if i.seat == 0 else tree.played[i.entries] for i in tree.infosets]
            profiles.append(np.concatenate(rows))
        for feature in small.names:
            for seat in (0, 1):
                a, b = (
                    node_values(t, p, t.feature(feature, seat))[0]
                    for t, p in zip((small, large), profiles, strict=True)
                )
                assert a == pytest.approx(b, abs=1e-9)
        best = [
            best_response(t, p, 0, t.feature("own", 0)).value for t, p in zip((small, large), profiles, strict=True)
        ]
        assert best[0] == pytest.approx(best[1], abs=1e-9)


def test_opponents_that_look_alike_are_told_apart_when_they_differ_and_not_before() -> None:
    game = make("ipd", {"rounds": 3})
    assert isinstance(game, RepeatedGame)
    found = beliefs(game, ("always_cooperate", "tit_for_tat", "always_defect"))
    start = found.states[found.first[None, None]]
    assert sorted(start.weights.values()) == pytest.approx([1 / 3] * 3)
    told = {found.states[at].decision.key: found.states[at] for at in start.after.values()}
    named = {key: sorted(c.opponent for c in state.weights) for key, state in told.items()}
    # what tit for tat will answer shows a round later
    assert named == {
        "CC": ["always_cooperate", "tit_for_tat"],
        "CD": ["always_defect"],
        "DC": ["always_cooperate", "tit_for_tat"],
    }
    C, D = "COOPERATE", "DEFECT"
    assert found.locate(View(2, (Pair(C, D), Pair(C, D)), None, None)) is not None
    assert found.locate(View(2, (Pair(C, D), Pair(C, C)), None, None)) is None  # who defects at first defects always


def test_the_ceiling_over_beliefs_is_that_of_the_whole_game() -> None:
    game = make("items", {"instances": 2, "instance_seed": 7, "rounds": 2}, "paper")
    measures = game.measures("paper")
    arena = ground_of(game)
    assert isinstance(arena, Arena)
    assert arena.beliefs is not None
    small = ceiling(arena, measures)
    whole = Arena(game, ITEMS, forgets=False)
    large = ceiling(whole, measures)
    assert small.bound - small.j < 1e-8
    assert small.j == pytest.approx(large.j, abs=1e-8)
    rows = {}
    for infoset in whole.space.infosets:
        state = arena.state_of(infoset.decision)
        assert state is not None
        rows[infoset.key] = dict(
            zip(infoset.decision.legal, small.strategy[arena.space.infosets[state].entries].tolist(), strict=True)
        )
    table = PolicyTable("best", game.name, game.rules, rows)
    played_out = np.concatenate(table.probabilities(whole.space.questions))
    assert objective(terms(whole, measures, played_out)) == pytest.approx(small.j, abs=1e-8)
    pure = best_policy(terms(arena, measures, arena.space.uniform), arena.space)
    assert objective(terms(arena, measures, pure)) <= small.j + 1e-9
    assert {m.opponent for o in ITEMS for m in met(arena, o)} == set(ITEMS)


def test_too_many_moves_are_refused_before_they_are_laid_out() -> None:
    game = make("items", {"instances": 2})
    assert isinstance(game, RepeatedGame)
    script = opponent(game, "tit_for_tat")
    known = {"tit_for_tat": Known(lambda d: played(script, d), script.memory)}
    with pytest.raises(TooLargeError, match="moves even by beliefs, more than 500"):
        Beliefs(game, known, max_moves=500)
    redrawn = make("items", {"instances": 60, "redraw_opponent_values": True})
    assert isinstance(redrawn, RepeatedGame)
    with pytest.raises(TooLargeError, match="moves even by beliefs"):
        Beliefs(redrawn, known)
