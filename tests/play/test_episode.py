"""The record of an episode: what it says happened is possible, and its payoffs are those of the hands."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sepo.audit.measures import Adversary, root_values, scripted
from sepo.games.base import Game
from sepo.games.registry import make
from sepo.play.episode import episodes, stepped
from sepo.policies.base import strategy
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.solve.expand import expand
from sepo.solve.tree import Tree
from tests.brute import as_profile, random_strategy


def test_an_episode_is_six_hands_with_the_seats_alternating_and_moves_with_their_probabilities(kuhn: Game, tree: Tree):
    learner, other = random_strategy(tree, 1), scripted(tree)["nash"]
    played = {"learner": as_profile(tree, learner), "opponent": as_profile(tree, other)}
    for episode in episodes(tree, learner, "nash", other, 30, ("record",)):
        assert [hand["seat"] for hand in episode["hands"]] == [0, 1, 0, 1, 0, 1]
        assert episode["own"] == sum(hand["own"] for hand in episode["hands"]) == -episode["other"]
        for hand in episode["hands"]:
            for turn, move in enumerate(hand["moves"]):
                seat = turn % 2
                assert move["by"] == ("learner" if seat == hand["seat"] else "opponent")
                assert move["probability"] == played[move["by"]][seat, move["state"]][move["action"]] > 0
            last = hand["moves"][-1]
            if last["action"] == "FOLD":
                assert hand["own"] == (-1 if last["by"] == "learner" else 1)
            else:
                assert abs(hand["own"]) == (2 if last["action"] == "CALL" else 1)


def test_episodes_are_json_lines_that_depend_on_their_key_alone(tree: Tree):
    learner, other = random_strategy(tree, 2), scripted(tree)["uniform"]
    first, again, another = (episodes(tree, learner, "uniform", other, 5, key) for key in ((1,), (1,), (2,)))
    assert json.loads(json.dumps(first, allow_nan=False)) == again
    assert first != another
    assert [e["episode"] for e in first] == [0, 1, 2, 3, 4]


def test_recorded_payoffs_have_the_exact_mean_within_four_standard_errors(tree: Tree):
    learner, other = random_strategy(tree, 3), scripted(tree)["max_exploiter"]
    won = np.array([e["own"] for e in episodes(tree, learner, "max_exploiter", other, 1500, ("mean",))]) / 6
    exact = root_values(tree, learner, Adversary("max_exploiter", other), "own")
    assert won.mean() == pytest.approx(exact, abs=4 * won.std(ddof=1) / np.sqrt(len(won)))


@pytest.mark.parametrize("name", ["ipd", "auction", "split", "commons", "items", "kuhn"])
def test_what_moves_are_paid_adds_up_and_what_the_learner_played_is_in_its_policy(name: str):
    game = make(name)
    opponent = next(iter(game.opponents.values()))
    for episode in stepped(UniformPolicy(), game, opponent, 3, ("paid", name)):
        for hand in episode["hands"]:
            assert [sum(m["paid"][side] for m in hand["moves"]) for side in (0, 1)] == pytest.approx(
                [hand["own"], hand["other"]]
            )
            rounds = [m["round"] for m in hand["moves"]]
            assert rounds == sorted(rounds)
            for made in hand["moves"]:
                assert ("policy" in made) == (made["by"] == "learner")
                if made["by"] == "learner":
                    assert made["policy"][made["action"]] == pytest.approx(made["probability"], abs=1e-4)
                    assert sum(made["policy"].values()) == pytest.approx(1, abs=0.02)


def test_an_episode_of_a_tree_is_paid_in_the_rounds_it_would_be_without_one():
    game = make("ipd", {"rounds": 3})
    tree, name = expand(game), "tit_for_tat"
    learner, other = (strategy(ScriptPolicy(n, n), tree) for n in ("always_defect", name))
    held = episodes(tree, learner, name, other, 1, ("same",))
    walked = stepped(ScriptPolicy("always_defect", "always_defect"), game, game.opponents[name], 1, ("same",))
    assert held == walked
    assert [m["paid"] for m in held[0]["hands"][0]["moves"]] == [[0, 0], [5, 0], [0, 0], [1, 1], [0, 0], [1, 1]]
