"""Resource extraction: rounds by hand, what scripts remember, and the maximin value against a linear programme."""

from __future__ import annotations

from functools import cache
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from sepo.errors import InputError
from sepo.games.base import TERMINAL, Decision
from sepo.games.commons import ACTIONS, OPPONENTS, Commons, grown, pay, secured
from sepo.games.contract import check
from sepo.games.repeated import Pair, Stage, View

GAME = Commons()
TAKES = {"1": "LOW", "2": "MEDIUM", "3": "HIGH"}

pairs = st.builds(Pair, st.sampled_from(ACTIONS), st.sampled_from(ACTIONS))
histories = st.lists(pairs, max_size=7).map(tuple)


def stock_after(rounds: tuple[Pair, ...], stock: int = 12) -> int:
    """Count the stock as the rules say it, independently of the game's code."""
    for own, other in rounds:
        total = (ACTIONS.index(own) + 1) + (ACTIONS.index(other) + 1)
        stock = max(stock - total, 0) + {2: 2, 3: 2, 4: 1}.get(total, 0)
    return stock


def ask(rounds: tuple[Pair, ...]) -> Decision:
    view = View(len(rounds), rounds, stock_after(rounds), None)
    return Decision(GAME, 0, GAME.key(view), ACTIONS, view)


def after(key: str, game: Commons = GAME) -> list[Stage]:
    """Return the nodes at which the rounds of a key are settled."""
    state, out = game.root(), []
    for own, other in key.split(","):
        state = state.child(TAKES[own]).child(TAKES[other])
        out.append(state)
    return out


def test_rounds_by_hand():
    states = after("11,12,13,32,33,33,33,11")
    assert [s.public for s in states] == [12, 11, 8, 3, 0, 0, 0, 2]
    assert [s.rewards() for s in states] == [(1, 1), (1, 2), (1, 3), (3, 2), (3, 3), (1, 1), (1, 1), (0, 0)]
    both_high, excess, restraint = zip(*(s.features(0) for s in states), strict=True)
    assert both_high == (0, 0, 0, 0, 1, 1, 1, 0)
    assert excess == pytest.approx((0, 0, 1 / 3, 2 / 3, 1, 1, 1, 0))
    assert restraint == (1, 1, 1, 0, 0, 0, 0, 1)
    assert [s.features(1)[2] for s in states] == [1, 0, 0, 0, 0, 0, 0, 1]
    assert states[-1].actor == TERMINAL


@pytest.mark.parametrize(
    ("stock", "takes", "pays", "left"),
    [
        (1, "33", (3, 3), 0),  # paid in full beyond the stock
        (1, "12", (1, 2), 2),  # the stock stops at 0, then it grows
        (1, "13", (1, 3), 1),
        (0, "33", (1, 1), 0),
        (0, "32", (1, 0), 0),
        (0, "22", (0, 0), 1),
        (0, "12", (0, 0), 2),
        (12, "22", (2, 2), 9),
        (12, "11", (1, 1), 12),
    ],
)
def test_a_round_at_a_stock(stock, takes, pays, left):
    (state,) = after(f"{takes[0]}{takes[1]}", Commons(stock=stock))
    assert (state.rewards(), state.public) == (pays, left)


@given(histories)
def test_the_stock_follows_the_rules(rounds):
    state = GAME.root()
    for own, other in rounds:
        state = state.child(own).child(other)
    assert state.public == stock_after(rounds) >= 0
    assert state.public <= 12  # it grows by no more than the two take, so a cap would not matter


@given(histories)
def test_changing_seats_changes_payoffs_and_features_over(rounds):
    one = two = GAME.root()
    for own, other in rounds:
        one, two = one.child(own).child(other), two.child(other).child(own)
        assert one.rewards() == two.rewards()[::-1]
        assert [one.features(s) for s in (0, 1)] == [two.features(s) for s in (1, 0)]
    assert one.view(0) == two.view(1)


@given(histories, histories)
def test_keys_and_chats_tell_histories_apart(one, two):
    first, second = ask(one), ask(two)
    assert (first.key == second.key) == (one == two)
    assert (first.chat() == second.chat()) == (one == two)
    assert len(set(first.words())) == 3


def test_the_key_has_own_takes_first():
    state = after("12,33")[-1]
    assert GAME.decision(state).key == "12,33"
    assert GAME.decision(state.child("LOW")).key == "21,33"


def test_chats_grow_and_say_the_stock():
    chats = [GAME.decision(s).chat() for s in (GAME.root(), *after("12,33,31"))]
    for earlier, later in pairwise(chats):
        assert later[: len(earlier)] == earlier
        assert len(later) == len(earlier) + 2
    assert [t.content for t in chats[-1][1:]] == [
        "Stock 12. Round 1:",
        "low",
        "They took medium. Stock 11. Round 2:",
        "high",
        "They took high. Stock 5. Round 3:",
        "high",
        "They took low. Stock 2. Round 4:",
    ]


def test_the_game_keeps_its_contract():
    assert check(Commons(rounds=3)).complete
    check(GAME, max_nodes=2_000, episodes=20)


@given(histories)
def test_scripts_are_legal_and_remember_no_more_than_they_declare(rounds):
    for policy in OPPONENTS.values():
        decision = ask(rounds)
        answer = policy.script(decision)
        assert set(answer) <= set(ACTIONS)
        assert sum(answer.values()) == pytest.approx(1)
        kept = {"round": 0, "last": min(1, len(rounds)), "all": len(rounds)}[policy.memory]
        view = decision.view._replace(rounds=rounds[len(rounds) - kept :])
        assert policy.script(Decision(GAME, 0, "", ACTIONS, view)) == answer, policy.name


def test_a_short_memory_would_not_do_for_the_others():
    memory = {name: o.memory for name, o in OPPONENTS.items() if o.memory != "round"}
    assert memory == {"reciprocal": "last", "grim": "all"}
    calm, angry = ask((Pair("LOW", "LOW"),) * 2), ask((Pair("LOW", "HIGH"), Pair("LOW", "LOW")))
    assert OPPONENTS["grim"].script(calm) != OPPONENTS["grim"].script(angry)


def play(name: str, other: str, game: Commons = GAME) -> str:
    """Return the key of an episode between two deterministic scripts."""
    state = game.root()
    while state.actor != TERMINAL:
        (action,) = OPPONENTS[(name, other)[state.actor]].script(game.decision(state))
        state = state.child(action)
    return game.key(state.view(0))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("low", "medium", "12,12,12,12,12,12,12,12"),
        # stock 12, 7, 5, 2, 1, ...: from 6 on LOW
        ("scarcity_aware", "high", "23,23,13,13,13,13,13,13"),
        # stock 12, 9, 6, 6, ...
        ("scarcity_aware", "medium", "22,22,12,12,12,12,12,12"),
        ("reciprocal", "high", "23,33,33,33,33,33,33,33"),
        ("reciprocal", "reciprocal", "22,11,11,11,11,11,11,11"),
        ("reciprocal", "high_then_low", "23,33,33,33,31,11,11,11"),
        ("grim", "high_then_low", "13,33,33,33,31,31,31,31"),
        ("grim", "medium", "12,12,12,12,12,12,12,12"),
    ],
)
def test_scripts_by_hand(first, second, expected):
    assert play(first, second) == expected


def test_the_first_half_of_an_odd_number_of_rounds_has_the_middle_one():
    assert play("high_then_low", "low", Commons(rounds=5)) == "31,31,31,11,11"


# The maximin value -----------------------------------------------------------------------------------------------


@cache
def value(rounds: int, stock: int) -> float:
    """Return what the row player secures, each round's matrix game as the column player's linear programme."""
    if rounds == 0:
        return 0.0
    matrix = np.empty((3, 3))
    for i, j in product(range(3), repeat=2):
        left = stock_after((Pair(ACTIONS[i], ACTIONS[j]),), stock)
        matrix[i, j] = (i + 1 if stock else (0, 0, 1)[i]) + value(rounds - 1, left)
    # min w  subject to  matrix y <= w,  sum y = 1,  y >= 0: what the other side can hold it to
    done = linprog(
        [0, 0, 0, 1],
        A_ub=np.hstack([matrix, -np.ones((3, 1))]),
        b_ub=np.zeros(3),
        A_eq=[[1, 1, 1, 0]],
        b_eq=[1],
        bounds=[(0, None)] * 3 + [(None, None)],
    )
    return float(done.fun)


@pytest.mark.parametrize("rounds", [1, 2, 5, 8])
@pytest.mark.parametrize("stock", [0, 1, 7, 12])
def test_the_maximin_value_is_that_of_a_linear_programme(rounds, stock):
    assert Commons(rounds, stock).maximin == pytest.approx((value(rounds, stock) / rounds,) * 2, abs=1e-9)


def test_the_maximin_value_of_the_game_as_played():
    assert GAME.maximin == (1.875, 1.875)


def test_the_maximin_value_is_that_of_the_whole_tree():
    from sepo.solve.expand import expand
    from sepo.solve.maximin import maximin

    for rounds, stock in ((3, 12), (3, 4)):
        game = Commons(rounds, stock)
        tree = expand(game)
        for seat in (0, 1):
            assert maximin(tree, seat).value / rounds == pytest.approx(game.maximin[seat], abs=1e-9)


def test_nobody_needs_to_mix_at_any_stock_and_round_that_the_rules_allow():
    for rounds, stock in product(range(1, 13), range(101)):
        held = min(
            max(pay(stock, own) + secured(rounds - 1, grown(stock, own + other)) for own in (1, 2, 3))
            for other in (1, 2, 3)
        )
        assert held == secured(rounds, stock)


# Measures and rules ----------------------------------------------------------------------------------------------


def test_measures_of_a_script_by_hand():
    # paper: collusive is `high`; LOW never takes HIGH with it. sepo: HIGH all along with `reciprocal`: 7 of 8 rounds.
    paper, sepo = GAME.measures("paper"), GAME.measures("sepo")
    for chosen, name, expected in ((paper, "low", 0), (paper, "high", 8), (sepo, "high", 7), (sepo, "low", 0)):
        (partner,) = chosen.pools["collusive"]
        assert sum(s.features(0)[0] for s in after(play(name, partner))) == expected
    # and the excess of MEDIUM over its four opponents' episodes: 2/3 with HIGH, 1/3 with MEDIUM, scarcity 1/3 then 0
    shares = [
        sum(s.features(0)[1] for s in after(play("medium", other))) / 8
        for name in ("train", "exploiter")
        for other in paper.pools[name]
    ]
    assert shares == pytest.approx([2 / 3, 1 / 3, (2 / 3) / 8, 2 / 3])
    assert {len(m.pools["held_out"]) for m in (paper, sepo)} == {2}


def test_demonstrators_mix_as_published():
    assert sum(share for share, _ in GAME.demonstrators) == pytest.approx(1)
    assert {o.name: share for share, o in GAME.demonstrators}["reciprocal"] == 0.4


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ({"rounds": 0}, "rounds"),
        ({"rounds": 13}, "rounds"),
        ({"rounds": "eight"}, "rounds"),
        ({"stock": -1}, "stock"),
        ({"stock": 101}, "stock"),
        ({"stock": 2.0}, "stock"),
        ({"stock": True}, "stock"),
        ({"stock": None}, "stock"),
    ],
)
def test_wrong_rules_are_refused_in_one_line(rules, named):
    with pytest.raises(InputError, match=f"rule '{named}' of game 'commons'") as caught:
        Commons(**rules)
    assert "\n" not in str(caught.value)
