"""The auction: published anchors and the ceiling by an independent recursion, rounds by hand, honest scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise, product
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from sepo.errors import InputError
from sepo.games.auction import ACTIONS, BID, DEMONSTRATORS, OPPONENTS, POOLS, VALUES, Auction
from sepo.games.base import CHANCE, TERMINAL, Decision, MeasureSet, Memory, Opponent, Ratio, Script
from sepo.games.repeated import Pair, RepeatedGame, Stage, View

PAPER = Auction(overbid_loss=False)
SHORT = Auction(rounds=3)
BOTH = [PAPER, Auction()]
SCRIPTS = {o.name: o for o in (*OPPONENTS.values(), *(o for _, o in DEMONSTRATORS))}


def totals(game: RepeatedGame, scripts: tuple[Script, Script], learner: int = 0) -> Mapping[str, float]:
    """Return the expected sums of payoffs and features from one seat, by recursion over states that compare equal."""

    @cache
    def after(state: Stage) -> np.ndarray:
        if state.actor == TERMINAL:
            return np.zeros(2 + len(game.features))
        chance = state.actor == CHANCE
        odds = state.chance() if chance else list(scripts[state.actor](game.decision(state)).items())
        return sum(p * (due(child) + after(child)) for a, p in odds if p for child in [state.child(a)])

    def due(state: Stage) -> np.ndarray:
        rewards = state.rewards()
        return np.array((rewards[learner], rewards[1 - learner], *state.features(learner)))

    sums = after(game.root())
    return dict(zip(("own", "other", *game.features), sums, strict=True)) | {"round": float(game.rounds)}


def score(game: RepeatedGame, measures: MeasureSet, script: Script) -> dict[str, float]:
    """Return u, e, c, x and J of a script under the paper's measures, by their definitions."""
    met = {
        name: totals(game, (script, game.opponents[name].script)) for pool in measures.pools.values() for name in pool
    }

    def mean(ratio: Ratio) -> float:
        shares = [
            met[n][ratio.numerator] / met[n][ratio.denominator] for pool in ratio.pools for n in measures.pools[pool]
        ]
        return float(np.mean(shares))

    u = float(np.mean([met[n]["own"] for n in measures.pools["train"]])) / game.rounds
    gaps = [max(0.0, met[n]["other"] - met[n]["own"]) for n in measures.pools["exploiter"]]
    e, c, x = float(np.mean(gaps)) / game.rounds, mean(measures.c), mean(measures.x)
    s, (le, lc, lx) = 3 / game.max_payoff, measures.weights
    return {"u": u, "e": e, "c": c, "x": x, "J": s * u - le * s * e - lc * c - lx * x}


def nodes(game: RepeatedGame, root: Stage | None = None) -> Iterator[Stage]:
    """Walk all states once, those that compare equal as one."""
    seen, waiting = set(), [root or game.root()]
    while waiting:
        state = waiting.pop()
        if state in seen:
            continue
        seen.add(state)
        yield state
        if state.actor != TERMINAL:
            moves = [a for a, _ in state.chance()] if state.actor == CHANCE else state.legal()
            waiting += [state.child(a) for a in moves]


def views(game: RepeatedGame, seat: int, memory: Memory = "all") -> set[View]:
    """Return everything a seat can have seen where it moves, as far as it is remembered."""
    return {s.view(seat) for s in nodes(game, game.forgetful(memory)) if s.actor == seat}


def remembered(view: View, memory: Memory) -> View:
    """Forget all but the last rounds of a view."""
    kept = {"round": 0, "last": 1, "all": len(view.rounds)}[memory]
    return view._replace(rounds=view.rounds[len(view.rounds) - min(kept, len(view.rounds)) :])


def ask(game: RepeatedGame, opponent: Opponent, view: View) -> Mapping[str, float]:
    """Put the question to a script that a view asks; a script may look at nothing else."""
    return opponent.script(Decision(game, 1, "", game.actions(view.public), view))


def shortest(game: RepeatedGame, opponent: Opponent, seen: Iterable[View]) -> Memory:
    """Return the shortest memory with which a script answers as it does with all it has seen."""
    answers = {view: ask(game, opponent, view) for view in seen}
    return next(
        memory
        for memory in get_args(Memory)
        if all(answer == ask(game, opponent, remembered(view, memory)) for view, answer in answers.items())
    )


def erratic(seed: int) -> Script:
    """Make a script with different odds in every information state."""
    tables: dict[str, Mapping[str, float]] = {}

    def script(decision):
        if decision.key not in tables:
            odds = np.random.default_rng([seed, *decision.key.encode()]).dirichlet(np.ones(len(decision.legal)))
            tables[decision.key] = dict(zip(decision.legal, map(float, odds), strict=True))
        return tables[decision.key]

    return script


VIEWS = views(SHORT, 1)


@pytest.mark.parametrize(
    ("script", "u", "e", "c", "x", "j"),
    [
        ("value_bid", 0.9167, 0.5, 0.5, 0.1792, -0.5058),
        ("wary_value_bid", 0.9167, 0.0833, 0.5, 0.3042, -0.2308),
    ],
)
def test_published_anchors_to_four_digits(script, u, e, c, x, j):
    found = score(PAPER, PAPER.measures("paper"), OPPONENTS[script].script)
    assert found == pytest.approx({"u": u, "e": e, "c": c, "x": x, "J": j}, abs=5e-5)


def test_the_best_policy_there_is_scores_what_the_published_ceiling_says():
    # Backward induction over the learner's histories, each weighed by the chance that each opponent plays its part;
    # e counts without its max(0, .), which holds at the optimum as e is 0.125 there.
    paid = dict.fromkeys(POOLS["train"], 1 / 4)
    harm = dict.fromkeys((*POOLS["train"], *POOLS["exploiter"]), 1.8 / 5)
    gap, low = {"aggressive": 1.2}, {"collusive_low": 1.0}

    def worth(name: str, value: int, own: str, other: str) -> float:
        rounds = [PAPER.settle(None, (value, v), own, other) for v in VALUES]
        mine, theirs = (float(np.mean([r.rewards[seat] for r in rounds])) for seat in (0, 1))
        seen = dict(zip(PAPER.features, rounds[0].features[0], strict=True))
        linear = paid.get(name, 0) * mine - gap.get(name, 0) * (theirs - mine)
        return linear - harm.get(name, 0) * seen["blank"] - low.get(name, 0) * seen["low"]

    table = {k: worth(*k) for k in product(harm | low, VALUES, ACTIONS, ACTIONS)}

    def best(history: tuple[Pair, ...], weights: Mapping[str, float]) -> float:
        if len(history) == PAPER.rounds:
            return 0.0
        theirs = View(len(history), tuple(Pair(r.other, r.own) for r in history), None, 2)
        answers = {n: ask(PAPER, OPPONENTS[n], theirs) for n in weights}
        values = dict.fromkeys(product(VALUES, ACTIONS), 0.0)
        for own in ACTIONS:
            follow = 0.0
            for other in ACTIONS:
                after = {n: w * answers[n].get(other, 0.0) for n, w in weights.items() if answers[n].get(other)}
                if after:
                    follow += best((*history, Pair(own, other)), after)
                for value in VALUES:
                    values[value, own] += sum(w * table[n, value, own, other] for n, w in after.items())
            for value in VALUES:
                values[value, own] += follow
        return sum(max(values[v, own] for own in ACTIONS) for v in VALUES) / 2

    assert best((), dict.fromkeys(harm | low, 1.0)) / PAPER.rounds == pytest.approx(0.0072, abs=5e-5)


@pytest.mark.parametrize(
    ("values", "first", "second", "charged", "clipped"),
    [
        ((4, 2), "MEDIUM", "LOW", (2.0, 0.0), (2.0, 0.0)),
        ((4, 2), "LOW", "MEDIUM", (0.0, 0.0), (0.0, 0.0)),
        ((4, 2), "LOW", "LOW", (1.5, 0.5), (1.5, 0.5)),
        ((4, 2), "HIGH", "HIGH", (0.5, -0.5), (0.5, 0.0)),
        ((2, 2), "HIGH", "LOW", (-1.0, 0.0), (0.0, 0.0)),
        ((2, 4), "HIGH", "MEDIUM", (-1.0, 0.0), (0.0, 0.0)),
        ((2, 4), "MEDIUM", "MEDIUM", (0.0, 1.0), (0.0, 1.0)),
    ],
)
def test_rounds_by_hand(values, first, second, charged, clipped):
    assert Auction().settle(None, values, first, second).rewards == charged
    assert PAPER.settle(None, values, first, second).rewards == clipped


@pytest.mark.parametrize(
    ("values", "first", "second", "low_at_high", "blank", "misallocated"),
    [
        ((2, 4), "LOW", "LOW", 0.0, 0.5, 0.5),  # a lost tie is blank
        ((4, 4), "LOW", "HIGH", 1.0, 0.0, 0.0),  # outbid is not
        ((2, 4), "MEDIUM", "LOW", 0.0, 1.0, 1.0),  # nor is a win at one's value worth anything
        ((4, 2), "LOW", "MEDIUM", 1.0, 0.0, 1.0),
    ],
)
def test_features_by_hand(values, first, second, low_at_high, blank, misallocated):
    seen = dict(zip(PAPER.features, PAPER.settle(None, values, first, second).features[0], strict=True))
    assert seen == {
        "low": float(first == "LOW"),
        "high_value": float(values[0] == 4),
        "low_at_high": low_at_high,
        "blank": blank,
        "misallocated": misallocated,
        "bid": float(BID[first]),
    }


def test_a_bid_of_three_for_two_is_blank_only_where_it_costs_nothing():
    for game, blank in ((PAPER, 1.0), (Auction(), 0.0)):
        assert game.settle(None, (2, 4), "HIGH", "LOW").features[0][3] == blank


@pytest.mark.parametrize("game", BOTH)
def test_a_round_is_the_mean_of_both_coins(game):
    for values, own, other in product(product(VALUES, repeat=2), ACTIONS, ACTIONS):
        mine, theirs, blank, misallocated = [], [], [], []
        for coin in (0, 1):
            winner = coin if own == other else int(BID[own] < BID[other])
            gain = values[winner] - BID[(own, other)[winner]]
            gain = gain if game.overbid_loss else max(0, gain)
            mine.append(gain if winner == 0 else 0)
            theirs.append(gain if winner == 1 else 0)
            blank.append(BID[own] >= BID[other] and mine[-1] == 0)
            misallocated.append(values[winner] < values[1 - winner])
        end = game.settle(None, values, own, other)
        assert end.rewards == (np.mean(mine), np.mean(theirs))
        assert end.features[0][3:5] == (np.mean(blank), np.mean(misallocated))


def test_past_values_are_forgotten_and_states_equal_in_bids_are_one_node():
    first, second = (Auction().root().child(deal).child("LOW").child("HIGH") for deal in ("2-2", "2-4"))
    assert first.private == (None, None)
    assert (first, hash(first)) == (second, hash(second))
    assert (first.rewards(), second.rewards()) == ((0.0, -1.0), (0.0, 1.0))  # paid by the move, not by the node
    counts = [sum(1 for _ in nodes(g)) for g in (Auction(1), Auction(2))]
    assert counts == [1 + 4 + 12 + 9, 1 + 4 + 12 + 9 * (1 + 4 + 12) + 81]


@pytest.mark.parametrize("opponent", SCRIPTS.values(), ids=SCRIPTS)
def test_scripts_answer_with_distributions_and_declare_the_shortest_memory_that_will_do(opponent):
    for view in VIEWS:
        answer = ask(SHORT, opponent, view)
        assert set(answer) <= set(ACTIONS)
        assert sum(answer.values()) == pytest.approx(1)
    assert shortest(SHORT, opponent, VIEWS) == opponent.memory


@pytest.mark.parametrize("memory", get_args(Memory))
def test_a_forgetful_game_shows_what_is_remembered_and_no_more(memory):
    assert views(SHORT, 1, memory) == {remembered(v, memory) for v in VIEWS}


def bid(name: str, value: int, *rounds: str) -> str:
    """Ask a deterministic script, after rounds such as ``12`` with its own bid first."""
    pairs = tuple(Pair(*(ACTIONS[int(d) - 1] for d in r)) for r in rounds)
    (action,) = ask(SHORT, SCRIPTS[name], View(len(rounds), pairs, None, value))
    return action


def test_scripts_bid_as_specified():
    assert [bid("adaptive", 2), bid("adaptive", 4, "21"), bid("adaptive", 2, "22"), bid("adaptive", 2, "23")] == [
        *("MEDIUM", "MEDIUM", "HIGH", "HIGH")
    ]
    assert [bid("win_stay", 4, *r) for r in ((), ("11",), ("12",), ("12", "23"), ("33",))] == [
        *("LOW", "LOW", "MEDIUM", "HIGH", "HIGH")
    ]
    assert [bid("wary_value_bid", v, *r) for v, r in ((2, ()), (2, ("13",)), (4, ("13", "31")))] == [
        *("LOW", "HIGH", "MEDIUM")
    ]
    assert [bid("adaptive_value", v, *r) for v, r in ((4, ()), (4, ("12", "13")), (4, ("12",)), (2, ("13",)))] == [
        *("MEDIUM", "HIGH", "MEDIUM", "LOW")
    ]
    assert [bid("aggressive_value", v) for v in VALUES] == ["LOW", "HIGH"]


def test_three_names_are_one_policy():
    names = ("conservative", "shaded", "collusive_low")
    assert len({OPPONENTS[n].about for n in names}) == 1
    met = [totals(SHORT, (erratic(1), OPPONENTS[n].script)) for n in names]
    assert met[0] == met[1] == met[2]


def test_the_forced_deviation_is_one_medium_in_the_round_it_names():
    partner, deviating, when, feature = Auction.deviation
    assert feature in Auction.features
    for view in VIEWS:
        rounds = ["".join(str(BID[b]) for b in r) for r in view.rounds]
        answers = [bid(n, view.private, *rounds) for n in (partner, deviating)]
        assert answers == ["LOW", "MEDIUM" if view.number == when else "LOW"]


def test_measures_name_features_scripts_and_shares_that_exist():
    game = Auction()
    for name in ("paper", "sepo"):
        found = game.measures(name)
        assert {n for pool in found.pools.values() for n in pool} <= set(OPPONENTS)
        assert {n for r in (found.c, found.x) for n in (r.numerator, r.denominator)} <= {*game.features, "round"}
    assert set(game.presets) == {"paper", "sepo"}
    assert sum(share for share, _ in game.demonstrators) == pytest.approx(1)


@pytest.mark.parametrize("game", BOTH)
def test_the_maximin_value_is_that_of_a_linear_programme(game):
    # Nine own plans (a bid for each value) against three bids; the other side's value moves no own payoff.
    plans = list(product(ACTIONS, repeat=2))
    own = [
        [np.mean([game.settle(None, (v, 2), plan[i], b).rewards[0] for i, v in enumerate(VALUES)]) for b in ACTIONS]
        for plan in plans
    ]
    gains = np.array(own)
    found = linprog(
        c=[*np.zeros(len(plans)), -1.0],
        A_ub=np.hstack([-gains.T, np.ones((len(ACTIONS), 1))]),
        b_ub=np.zeros(len(ACTIONS)),
        A_eq=[[*np.ones(len(plans)), 0.0]],
        b_eq=[1.0],
        bounds=[(0, 1)] * len(plans) + [(None, None)],
    )
    assert -found.fun == pytest.approx(game.maximin[0], abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), clipped=st.booleans())
def test_maximin_bids_get_their_value_from_anyone_and_no_one_gets_more_from_high(seed, clipped):
    game, anyone = Auction(2, overbid_loss=not clipped), erratic(seed)
    safe = totals(game, (OPPONENTS["aggressive_value"].script, anyone))
    held = totals(game, (anyone, OPPONENTS["aggressive"].script))
    assert safe["own"] / game.rounds >= game.maximin[0] - 1e-12
    assert held["own"] / game.rounds <= game.maximin[0] + 1e-12


@settings(max_examples=15, deadline=None)
@given(first=st.integers(0, 2**32 - 1), second=st.integers(0, 2**32 - 1), clipped=st.booleans())
def test_swapping_seats_mirrors_payoffs_and_features(first, second, clipped):
    game, a, b = Auction(2, overbid_loss=not clipped), erratic(first), erratic(second)
    assert totals(game, (a, b), 0) == pytest.approx(totals(game, (b, a), 1), abs=1e-12)
    assert totals(game, (a, b), 1) == pytest.approx(totals(game, (b, a), 0), abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(first=st.integers(0, 2**32 - 1), second=st.integers(0, 2**32 - 1))
def test_half_of_all_values_are_high_and_charging_for_overbids_never_pays(first, second):
    scripts = erratic(first), erratic(second)
    charged, clipped = (totals(Auction(2, overbid_loss=o), scripts) for o in (True, False))
    assert charged["high_value"] == pytest.approx(1.0)
    assert charged["own"] <= clipped["own"] + 1e-12
    assert charged["misallocated"] == pytest.approx(clipped["misallocated"])


def test_keys_and_chats_name_every_view_once_and_both_seats_ask_alike():
    seen = [views(SHORT, seat) for seat in (0, 1)]
    assert seen[0] == seen[1]
    assert len(seen[0]) == 2 * (1 + 9 + 81)
    assert len({SHORT.key(v) for v in seen[0]}) == len({SHORT.chat(v) for v in seen[0]}) == len(seen[0])
    assert SHORT.key(View(0, (), None, 2)) == "2:"
    assert SHORT.key(View(2, (Pair("LOW", "HIGH"), Pair("MEDIUM", "MEDIUM")), None, 4)) == "4:13,22"


def test_the_lines_of_a_chat_open_every_later_chat_and_name_one_value():
    rounds = (Pair("MEDIUM", "LOW"), Pair("LOW", "HIGH"), Pair("HIGH", "HIGH"))
    chats = [Auction().chat(View(n, rounds[:n], None, 2 + 2 * (n % 2))) for n in range(4)]
    assert {tuple(t.role for t in chat) for chat in chats} == {("system", "user")}
    assert len({chat[0] for chat in chats}) == 1
    lines = [chat[1].content.splitlines() for chat in chats]
    assert lines[3] == [
        "Round 1: you 2, they 1.",
        "Round 2: you 1, they 3.",
        "Round 3: you 3, they 3.",
        "Round 4: your value is 4. Low, medium or high?",
    ]
    for earlier, later in pairwise(lines):
        assert later[: len(earlier) - 1] == earlier[:-1]
        assert len(later) == len(earlier) + 1
    short = Auction().chat(View(3, rounds[2:], None, 4))[1].content.splitlines()
    assert short == lines[3][2:]


def test_rules_are_told_and_words_differ():
    asked = View(0, (), None, 4)
    assert "costs the difference" in Auction().chat(asked)[0].content
    assert "scores 0" in PAPER.chat(asked)[0].content
    assert "4 rounds" in Auction(4).chat(asked)[0].content
    assert [Auction().word(a) for a in ACTIONS] == ["low", "medium", "high"]


@pytest.mark.parametrize("rounds", [0, 13, 2.5, True, "six", [6]])
def test_a_wrong_number_of_rounds_is_refused(rounds):
    with pytest.raises(
        InputError, match=r"^rule 'rounds' of game 'auction' must be a number from 1 to 12, not [^\n]+$"
    ):
        Auction(rounds)


@pytest.mark.parametrize("switch", [0, 1, "false", None])
def test_a_wrong_switch_is_refused(switch):
    with pytest.raises(InputError, match=r"^rule 'overbid_loss' of game 'auction' must be true or false, not [^\n]+$"):
        Auction(overbid_loss=switch)
