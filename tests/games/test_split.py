"""Split bargaining: published anchors by an independent recursion, rounds by hand, honest scripts, chats."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from sepo.errors import InputError
from sepo.games.repeated import Pair, View
from sepo.games.split import ACTIONS, DEMONSTRATORS, OPPONENTS, Split
from tests.games.test_auction import ask, erratic, nodes, score, shortest, totals, views

GAME = Split()
SHORT = Split(2)
SCRIPTS = {o.name: o for o in (*OPPONENTS.values(), *(o for _, o in DEMONSTRATORS))}


@pytest.mark.parametrize(
    ("script", "u", "e", "x", "j"),
    [
        ("fair", 1.875, 0.0, 0.75, -0.225),
        ("tit_for_tat_split", 2.875, 3.75, 0.25, -5.475),
        ("accommodating", 2.5, 0.0, 0.625, 0.375),
    ],
)
def test_published_anchors_to_four_digits(script, u, e, x, j):
    found = score(GAME, GAME.measures("paper"), OPPONENTS[script].script)
    assert found == pytest.approx({"u": u, "e": e, "c": 0.0, "x": x, "J": j}, abs=5e-5)


@pytest.mark.parametrize(
    ("first", "second", "rewards"),
    [("5", "5", (5.0, 5.0)), ("1", "9", (1.0, 9.0)), ("3", "4", (3.0, 4.0)), ("6", "5", (0.0, 0.0))],
)
def test_rounds_by_hand(first, second, rewards):
    end = GAME.settle(None, (None, None), first, second)
    assert end.rewards == rewards
    assert end.features[0][0] == end.features[1][0] == float(rewards == (0.0, 0.0))


def test_a_demand_of_seven_is_greedy_and_one_of_six_is_not():
    seen = GAME.settle(None, (None, None), "7", "6").features
    assert [dict(zip(GAME.features, side, strict=True)) for side in seen] == [
        {"breakdown": 1.0, "greedy": 1.0, "demand": 7.0},
        {"breakdown": 1.0, "greedy": 0.0, "demand": 6.0},
    ]


@pytest.mark.parametrize("opponent", SCRIPTS.values(), ids=SCRIPTS)
def test_scripts_answer_with_distributions_and_declare_the_shortest_memory_that_will_do(opponent):
    pairs = [Pair(*p) for p in product(ACTIONS, repeat=2)]
    seen = [View(n, rounds, None, None) for n in range(3) for rounds in product(pairs, repeat=n)]
    for view in seen:
        answer = ask(GAME, opponent, view)
        assert set(answer) <= set(ACTIONS)
        assert abs(sum(answer.values()) - 1) < 1e-12
    assert shortest(GAME, opponent, seen) == opponent.memory


def demands(name: str, *others: str) -> str:
    """Return what a deterministic script demands in turn, where the other side demands these, and once more after."""
    rounds: tuple[Pair, ...] = ()
    for other in (*others, "end"):
        (own,) = ask(GAME, SCRIPTS[name], View(len(rounds), rounds, None, None))
        rounds += (Pair(own, other),)
    return "".join(r.own for r in rounds)


@pytest.mark.parametrize(
    ("name", "others", "said"),
    [
        ("concede", "555", "6565"),
        ("concede", "4656", "66565"),
        ("tit_for_tat_split", "583", "5527"),
        ("patient", "111", "8855"),
        ("accommodating", "6739", "54575"),
        ("yielding_balanced", "678", "6633"),
        ("stepwise_concede", "6666", "65465"),
        ("stepwise_concede", "9999", "65433"),
    ],
)
def test_scripts_demand_as_specified(name, others, said):
    assert demands(name, *others) == said


def test_measures_name_features_scripts_and_shares_that_exist():
    for name in ("paper", "sepo"):
        found = GAME.measures(name)
        assert {n for pool in found.pools.values() for n in pool} <= set(OPPONENTS)
        assert {n for r in (found.c, found.x) for n in (r.numerator, r.denominator)} <= {*GAME.features, "round"}
    assert sum(share for share, _ in GAME.demonstrators) == pytest.approx(1)


def test_the_maximin_value_is_that_of_a_linear_programme():
    gains = np.array([[GAME.settle(None, (None, None), a, b).rewards[0] for b in ACTIONS] for a in ACTIONS])
    found = linprog(
        c=[*np.zeros(len(ACTIONS)), -1.0],
        A_ub=np.hstack([-gains.T, np.ones((len(ACTIONS), 1))]),
        b_ub=np.zeros(len(ACTIONS)),
        A_eq=[[*np.ones(len(ACTIONS)), 0.0]],
        b_eq=[1.0],
        bounds=[(0, 1)] * len(ACTIONS) + [(None, None)],
    )
    assert -found.fun == pytest.approx(GAME.maximin[0], abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(first=st.integers(0, 2**32 - 1), second=st.integers(0, 2**32 - 1))
@pytest.mark.no_cover
def test_swapping_seats_mirrors_payoffs_and_features(first, second):
    a, b = erratic(first), erratic(second)
    assert totals(SHORT, (a, b), 0) == pytest.approx(totals(SHORT, (b, a), 1), abs=1e-12)
    assert totals(SHORT, (a, b), 1) == pytest.approx(totals(SHORT, (b, a), 0), abs=1e-12)


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(ACTIONS)), min_size=4, max_size=4))
def test_an_episode_pays_what_its_deals_add_up_to_and_never_more_than_the_pie(rounds):
    state, paid = GAME.root(), np.zeros(2)
    for first, second in rounds:
        state = state.child(first).child(second)
        paid += state.rewards()
        assert sum(state.rewards()) <= 10
    deals = np.array([(int(a), int(b)) for a, b in rounds if int(a) + int(b) <= 10]).reshape(-1, 2)
    assert tuple(paid) == tuple(deals.sum(axis=0))
    assert GAME.key(state.view(0)) == ",".join(f"{a}-{b}" for a, b in rounds)


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(ACTIONS)), max_size=3))
def test_the_chat_of_a_decision_extends_that_of_every_earlier_one(rounds):
    pairs = tuple(Pair(*r) for r in rounds)
    chats = [GAME.chat(View(n, pairs[:n], None, None)) for n in range(len(pairs) + 1)]
    for n, chat in enumerate(chats):
        assert chat == chats[-1][: 2 * n + 2]
        assert [t.role for t in chat] == ["system", "user", *["assistant", "user"] * n]
    for (own, other), said, heard in zip(rounds, chats[-1][2::2], chats[-1][3::2], strict=True):
        assert said.content == own
        told = "deal" if int(own) + int(other) <= 10 else "no deal"
        assert heard.content.startswith(f"They demanded {other}: {told}. Round ")


def test_keys_and_chats_name_every_view_once_and_both_seats_ask_alike():
    seen = [views(SHORT, seat) for seat in (0, 1)]
    assert seen[0] == seen[1]
    assert len(seen[0]) == 1 + 81
    assert len({SHORT.key(v) for v in seen[0]}) == len({SHORT.chat(v) for v in seen[0]}) == len(seen[0])
    assert GAME.key(View(2, (Pair("5", "6"), Pair("7", "3")), None, None)) == "5-6,7-3"
    assert GAME.key(View(0, (), None, None)) == ""


def test_every_action_has_a_word_of_its_own_and_no_history_merges():
    assert [GAME.word(a) for a in ACTIONS] == list("123456789")
    assert sum(1 for _ in nodes(SHORT)) == 1 + 9 + 81 * (1 + 9 + 81)


@pytest.mark.parametrize("rounds", [0, 13, 2.5, True, "four", [4]])
def test_a_wrong_number_of_rounds_is_refused(rounds):
    with pytest.raises(InputError, match=r"^rule 'rounds' of game 'split' must be a number from 1 to 12, not [^\n]+$"):
        Split(rounds)
