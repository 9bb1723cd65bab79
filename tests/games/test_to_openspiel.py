"""Our games handed to OpenSpiel: its values, best responses and NashConv are ours, there and back again."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sepo.audit.measures import scripted
from sepo.errors import TooLargeError
from sepo.games.base import Game
from sepo.games.openspiel import wrap
from sepo.games.registry import make
from sepo.solve.expand import expand
from sepo.solve.response import best_response, exploitability
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import expected
from tests.brute import random_strategy
from tests.small_games import Stakes

pyspiel = pytest.importorskip("pyspiel")
policies = pytest.importorskip("open_spiel.python.policy")
scores = pytest.importorskip("open_spiel.python.algorithms.expected_game_score")
theirs = pytest.importorskip("open_spiel.python.algorithms.exploitability")
responses = pytest.importorskip("open_spiel.python.algorithms.best_response")
cfr = pytest.importorskip("open_spiel.python.algorithms.cfr")
handing = pytest.importorskip("sepo.games.to_openspiel")

GAMES = {"kuhn": make("kuhn"), "ipd": make("ipd", {"rounds": 3}), "stakes": Stakes()}
LARGER = {
    "auction": make("auction", {"rounds": 2}),
    "auction, overbids forgiven": make("auction", {"rounds": 1, "overbid_loss": False}),
    "split": make("split", {"rounds": 1}),
    "items": make("items", {"rounds": 1, "instances": 2}),
    "commons": make("commons", {"rounds": 3, "stock": 4}),
}


def as_policy(tree: Tree, game: pyspiel.Game, strategy: Floats) -> policies.TabularPolicy:
    """Return a strategy of ours as OpenSpiel's table."""
    table = policies.TabularPolicy(game)
    assert len(table.states) == len(tree.infosets)
    for info in tree.infosets:
        row = table.policy_for_key(f"P{info.seat}: {info.key}")
        row[:] = 0.0
        row[[game.number[action] for action in info.decision.legal]] = strategy[info.entries]
    return table


def vectors(tree: Tree) -> list[Floats]:
    """Return some strategies: every scripted one and two random ones."""
    return [*scripted(tree).values(), random_strategy(tree, 1), random_strategy(tree, 2, sharpness=0.3)]


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
def test_values_of_every_pair_of_strategies_agree(game: Game):
    tree, there = expand(game), handing.to_openspiel(game)
    some = [(v, as_policy(tree, there, v)) for v in vectors(tree)]
    for (one, first), (two, second) in itertools.product(some, repeat=2):
        profile = tree.join(0, one, two)
        ours = [expected(tree, profile, tree.feature("own", seat)) for seat in (0, 1)]
        answer = scores.policy_value(there.new_initial_state(), [first, second])
        assert ours == pytest.approx(list(answer), abs=1e-9)


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
def test_best_responses_and_nash_conv_agree(game: Game):
    tree, there = expand(game), handing.to_openspiel(game)
    for strategy in vectors(tree):
        table = as_policy(tree, there, strategy)
        gains = []
        for seat in (0, 1):
            ours = best_response(tree, strategy, seat, tree.feature("own", seat)).value
            answer = responses.BestResponsePolicy(there, seat, table)
            assert ours == pytest.approx(answer.value(there.new_initial_state()), abs=1e-9)
            gains.append(ours - expected(tree, strategy, tree.feature("own", seat)))
        assert sum(gains) == pytest.approx(theirs.nash_conv(there, table), abs=1e-9)


@pytest.mark.parametrize("game", LARGER.values(), ids=LARGER)
def test_every_other_game_has_the_same_values_and_best_responses_there(game: Game):
    tree, there = expand(game), handing.to_openspiel(game)
    one, two = random_strategy(tree, 1), random_strategy(tree, 2, sharpness=0.3)
    first, second = as_policy(tree, there, one), as_policy(tree, there, two)
    answer = scores.policy_value(there.new_initial_state(), [first, second])
    profile = tree.join(0, one, two)
    assert [expected(tree, profile, tree.feature("own", s)) for s in (0, 1)] == pytest.approx(list(answer), abs=1e-9)
    for name in list(game.opponents)[:3]:
        script = scripted(tree)[name]
        answer = scores.policy_value(there.new_initial_state(), [first, as_policy(tree, there, script)])
        assert expected(tree, tree.join(0, one, script), tree.feature("own", 0)) == pytest.approx(answer[0], abs=1e-9)
    for seat in (0, 1):
        ours = best_response(tree, one, seat, tree.feature("own", seat)).value
        answered = responses.BestResponsePolicy(there, seat, first)
        assert ours == pytest.approx(answered.value(there.new_initial_state()), abs=1e-9)


@pytest.mark.parametrize("solver", [cfr.CFRSolver, pyspiel.CFRSolver], ids=["python", "c++"])
def test_counterfactual_regret_minimisation_solves_our_kuhn_poker(solver):
    there = handing.to_openspiel(GAMES["kuhn"])
    found = solver(there)
    for _ in range(100):
        found.evaluate_and_update_policy()
    tree = expand(GAMES["kuhn"])
    average = found.average_policy()
    rows = {}

    def walk(state: pyspiel.State) -> None:
        if not state.is_terminal() and not state.is_chance_node():
            rows[state.information_state_string()] = average.action_probabilities(state)
        for action in () if state.is_terminal() else state.legal_actions():
            walk(state.child(action))

    walk(there.new_initial_state())
    strategy = np.concatenate(
        [[rows[f"P{i.seat}: {i.key}"].get(there.number[a], 0.0) for a in i.decision.legal] for i in tree.infosets]
    )
    assert exploitability(tree, strategy) < 0.02
    assert expected(tree, strategy, tree.feature("own", 0)) == pytest.approx(-1 / 18, abs=0.01)


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
def test_there_and_back_again_is_the_same_game(game: Game):
    tree = expand(game)
    back = expand(wrap(handing.to_openspiel(game)))
    assert (back.nodes, len(back.infosets)) == (tree.nodes, len(tree.infosets))
    for seed in range(3):
        strategy = random_strategy(tree, seed)
        returned = np.empty_like(strategy)
        for info in tree.infosets:
            there = back.infosets[back.index[info.seat, f"P{info.seat}: P{info.seat}: {info.key}".strip()]]
            order = [info.decision.legal.index(action) for action in there.decision.legal]
            returned[there.entries] = strategy[info.entries][order]
        for seat in (0, 1):
            for answer in (lambda t, v, s: expected(t, v, t.feature("own", s)), _best):
                assert answer(back, returned, seat) == pytest.approx(answer(tree, strategy, seat), abs=1e-9)
        if game.zero_sum:
            assert exploitability(back, returned) == pytest.approx(exploitability(tree, strategy), abs=1e-9)


def _best(tree: Tree, strategy: Floats, seat: int) -> float:
    return best_response(tree, strategy, seat, tree.feature("own", seat)).value


def test_an_action_has_one_number_wherever_it_is_legal():
    there = handing.to_openspiel(GAMES["kuhn"])
    assert there.labels == ("PASS", "BET", "FOLD", "CALL")
    state = there.new_initial_state()
    state.apply_action(0)
    assert (str(state.current_player()), state.information_state_string(1)) == ("0", "P1: Q:")
    assert [state.action_to_string(a) for a in state.legal_actions()] == ["PASS", "BET"]
    state.apply_action(1)
    assert state.legal_actions() == [2, 3]
    assert state.information_state_string() == "P1: Q:b"
    state.apply_action(3)
    assert state.returns() == [-2.0, 2.0]


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
def test_openspiel_is_told_the_bounds_of_the_game(game: Game):
    tree, there = expand(game), handing.to_openspiel(game)
    totals = np.zeros((2, tree.nodes))
    for node in range(1, tree.nodes):
        totals[:, node] = totals[:, tree.parent[node]] + [tree.feature("own", s)[node] for s in (0, 1)]
    ends = totals[:, tree.count == 0]
    assert (there.min_utility(), there.max_utility()) == (ends.min(), ends.max())
    assert there.num_distinct_actions() == len({a for i in tree.infosets for a in i.decision.legal})
    pyspiel.random_sim_test(there, 20, False, True)


def test_a_game_too_large_to_walk_is_refused(monkeypatch):
    monkeypatch.setattr(handing, "MAX_NODES", 50)
    with pytest.raises(TooLargeError, match="'kuhn' has more than 50 nodes"):
        handing.to_openspiel(GAMES["kuhn"])
