"""The Iterated Prisoner's Dilemma: Axelrod's library as the oracle, published anchors, append-only chats."""

from __future__ import annotations

import itertools
from importlib.util import find_spec

import numpy as np
import pytest

from sepo.audit.measures import measure, objective, respond, root_values, scripted, seat_value, terms, worst_case
from sepo.errors import InputError
from sepo.games.axelrod import library
from sepo.games.base import TERMINAL
from sepo.games.ipd import Ipd
from sepo.games.registry import make
from sepo.solve.expand import expand
from sepo.solve.maximin import maximin
from sepo.solve.response import best_response
from sepo.solve.value import expected

GAME = make("ipd")
SHORT = make("ipd", {"rounds": 3})
needs_axelrod = pytest.mark.skipif(find_spec("axelrod") is None, reason="needs Axelrod")
AXELROD = {
    "always_cooperate": "Cooperator",
    "always_defect": "Defector",
    "tit_for_tat": "TitForTat",
    "grim_trigger": "Grudger",
    "suspicious_tit_for_tat": "SuspiciousTitForTat",
    "tit_for_two_tats": "TitFor2Tats",
    "pavlov": "WinStayLoseShift",
}


@pytest.fixture(scope="module")
def tree():
    return expand(GAME)


@pytest.mark.parametrize(
    ("script", "u", "e", "c", "x", "j"),
    [
        ("tit_for_tat", 2.7891, 0.3125, 0.0, 0.1667, 1.7391),
        ("grim_trigger", 2.9066, 0.3125, 0.0, 0.2153, 1.7690),
        ("always_cooperate", 2.6250, 3.75, 0.0, 0.0556, -6.4750),
    ],
)
def test_published_anchors_to_four_digits(tree, script, u, e, c, x, j):
    found = terms(tree, GAME.measures("paper"), scripted(tree)[script])
    assert [measure(found, k) for k in ("u", "e", "c", "x")] == pytest.approx([u, e, c, x], abs=5e-5)
    assert objective(found) == pytest.approx(j, abs=5e-5)


def play(tree, first: str, second: str) -> list[tuple[str, str]]:
    """Play two deterministic scripts against each other by hand."""
    state = GAME.root()
    while state.actor != TERMINAL:
        name = (first, second)[state.actor]
        answer = GAME.opponents[name].script(GAME.decision(state))
        state = state.child(max(answer, key=answer.__getitem__))
    return [(r.own[0], r.other[0]) for r in state.rounds]


@needs_axelrod
def test_deterministic_strategies_play_as_axelrods_do(tree):
    axelrod = library()
    names = list(AXELROD)
    for first, second in itertools.product(names, repeat=2):
        pair = [getattr(axelrod, AXELROD[n])() for n in (first, second)]
        theirs = axelrod.Match(pair, turns=8).play()
        assert play(tree, first, second) == [(str(a), str(b)) for a, b in theirs], (first, second)


@needs_axelrod
def test_values_equal_axelrods_match_scores(tree):
    axelrod = library()
    for first, second in (("tit_for_tat", "always_defect"), ("pavlov", "suspicious_tit_for_tat")):
        pair = [getattr(axelrod, AXELROD[n])() for n in (first, second)]
        match = axelrod.Match(pair, turns=8)
        match.play()
        profile = tree.join(0, scripted(tree)[first], scripted(tree)[second])
        ours = [expected(tree, profile, tree.feature(n, 0)) / 8 for n in ("own", "other")]
        assert ours == pytest.approx(match.final_score_per_turn(), abs=1e-12)


def test_the_chat_of_a_decision_extends_that_of_every_earlier_one_and_hides_the_rest(tree):
    chats = {i.key: i.decision.chat() for i in tree.infosets if i.seat == 0}
    for key in ("CC,CD,DC", "DD,DC,CC,CD", "CD"):
        earlier = key.rsplit(",", 1)[0] if "," in key else ""
        assert chats[key][: len(chats[earlier])] == chats[earlier]
        assert len(chats[key]) == len(chats[earlier]) + 2
    assert len(set(chats.values())) == len(chats)
    assert sum("prisoner" in t.content.lower() for t in chats["CC,CC"]) == 1


def test_both_seats_ask_the_same_questions_and_the_game_is_symmetric(tree):
    seats = [{i.key for i in tree.infosets if i.seat == s} for s in (0, 1)]
    assert seats[0] == seats[1]
    assert len(seats[0]) == (4**8 - 1) // 3
    a, b = scripted(tree)["pavlov"], scripted(tree)["generous_tit_for_tat"]
    one = expected(tree, tree.join(0, a, b), tree.feature("own", 0))
    two = expected(tree, tree.join(1, a, b), tree.feature("own", 1))
    assert one == pytest.approx(two, abs=1e-12)


def test_the_security_level_is_mutual_defection():
    tree = expand(SHORT)
    assert maximin(tree, 0).value / 3 == pytest.approx(seat_value(tree, 0), abs=1e-9)
    defect = scripted(tree)["always_defect"]
    assert -worst_case(tree, defect, {"other": -1.0}) == pytest.approx(1.0)


def test_the_best_response_to_tit_for_tat_cooperates_until_the_last_round(tree):
    for rounds, value in ((1, 5.0), (3, 11.0)):
        small = expand(make("ipd", {"rounds": rounds}))
        found = best_response(small, scripted(small)["tit_for_tat"], 0, small.feature("own", 0))
        assert found.value == pytest.approx(value)
    assert best_response(tree, scripted(tree)["tit_for_tat"], 0, tree.feature("own", 0)).value == pytest.approx(26.0)


def test_worst_case_advantage_is_attained_by_its_opponent_and_never_below_the_pool(tree):
    for name in ("tit_for_tat", "mixed", "pavlov"):
        learner = scripted(tree)[name]
        worst = worst_case(tree, learner, {"own": 1.0, "other": -1.0})
        found = respond(tree, learner, {"own": 1.0, "other": -1.0})
        gained = root_values(tree, learner, found, "other") - root_values(tree, learner, found, "own")
        assert gained == pytest.approx(worst, abs=1e-12)
        pooled = measure(terms(tree, GAME.measures("paper"), learner), "e")
        assert worst >= pooled - 1e-12


def test_regret_is_zero_for_a_best_response_and_positive_otherwise():
    tree = expand(SHORT)
    defect, cooperate = scripted(tree)["always_defect"], scripted(tree)["always_cooperate"]
    assert measure(terms(tree, SHORT.measures("sepo"), defect), "e") == pytest.approx(0, abs=1e-12)
    assert measure(terms(tree, SHORT.measures("sepo"), cooperate), "e") > 0.5
    assert np.isclose(tree.game.rounds, 3)


@pytest.mark.parametrize("rounds", [0, 13, 2.5, True, "eight", [8]])
def test_a_wrong_number_of_rounds_is_refused(rounds):
    with pytest.raises(InputError, match="rounds"):
        make("ipd", {"rounds": rounds})
    with pytest.raises(InputError, match="rounds"):
        Ipd(rounds)
