"""Bargaining over items: rounds by hand, the instances, what scripts remember, and the published anchors."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepo.errors import InputError
from sepo.games.base import CHANCE, TERMINAL, Decision
from sepo.games.contract import check
from sepo.games.hands import Instance, instance, units, value_chances
from sepo.games.items import POOLS, Items
from sepo.games.items_scripts import DEMONSTRATORS, OPPONENTS
from sepo.games.repeated import Pair, Stage, View

pytestmark = pytest.mark.no_cover  # plain Python that tracing slows to half: other tests cover it

GAME = Items(instances=8)
REDRAWN = Items(instances=8, redraw_opponent_values=True)
EVERYONE = (*OPPONENTS.values(), *(o for _, o in DEMONSTRATORS))
LARGE = 2_000

vectors = st.tuples(*[st.integers(1, 4)] * 3)
private_values = st.sampled_from(sorted(value_chances()))


def demand(pool: tuple[int, ...]) -> st.SearchStrategy[str]:
    return st.tuples(*(st.integers(0, n) for n in pool)).map(lambda d: " ".join(map(str, d)))


@st.composite
def views(draw: st.DrawFn) -> View:
    """Draw any view of a game of at most five rounds, redrawn values or not."""
    pool = draw(vectors)
    rounds = tuple(draw(st.lists(st.builds(Pair, demand(pool), demand(pool)), max_size=4)))
    several = draw(st.booleans())
    private = tuple(draw(private_values) for _ in range(len(rounds) + 1 if several else 1))
    return View(len(rounds), rounds, pool, private)


def ask(view: View, game: Items = GAME) -> Decision:
    return Decision(game, 0, game.key(view), game.actions(view.public), view)


def stage(pool: tuple[int, ...], first: tuple[int, ...], second: tuple[int, ...], game: Items = GAME) -> Stage:
    """Return the node after a deal of one's own choice."""
    return Stage(game, 0, (), pool, ((first,), (second,)), kept=None, dealt=True)


def paid(state: Stage) -> dict[str, float]:
    """Return what falls due at a node, by name, from seat 0."""
    own, other = state.rewards()
    return {"own": own, "other": other, **dict(zip(GAME.features, state.features(0), strict=True))}


def test_rounds_by_hand():
    start = stage((3, 2, 1), (4, 3, 3), (1, 1, 8))
    # best: books and hats to seat 0, the ball to seat 1: 3*4 + 2*3 + 1*8 = 26
    settled = start.child("2 1 0").child("1 1 1")
    assert paid(settled) == {
        "own": 11.0,
        "other": 10.0,
        "breakdown": 0.0,
        "deal": 1.0,
        "grabby": 0.0,
        "overhalf": 0.0,
        "waste": pytest.approx(5 / 26),
    }
    # one ball is demanded twice: nobody gets anything, although books and hats would fit
    broken = settled.child("3 1 1").child("0 0 1")
    assert paid(broken) == {
        "own": 0.0,
        "other": 0.0,
        "breakdown": 1.0,
        "deal": 0.0,
        "grabby": 1.0,
        "overhalf": 1.0,
        "waste": 1.0,
    }
    assert broken.features(1) == (1.0, 0.0, 0.0, 0.0, 1.0)
    # two hats are more than half, but not more than two; the best division wastes nothing
    best = broken.child("3 2 0").child("0 0 1")
    assert paid(best) | {"grabby": 1.0, "overhalf": 1.0, "waste": 0.0} == paid(best)
    assert best.rewards() == (18.0, 8.0)
    # who demands nothing has a deal and gets 0; where both get 0, the published code sees a breakdown
    end = best.child("0 0 0").child("0 0 0")
    assert paid(end) | {"own": 0.0, "other": 0.0, "breakdown": 1.0, "deal": 1.0, "waste": 1.0} == paid(end)
    assert end.actor == TERMINAL


def test_every_demand_within_the_pool_is_legal_and_each_has_its_own_word():
    for pool in product(range(1, 5), repeat=3):
        legal = GAME.actions(pool)
        assert {units(a) for a in legal} == set(product(*(range(n + 1) for n in pool)))
        assert len({GAME.word(a) for a in legal}) == len(legal) == math.prod(n + 1 for n in pool)


@given(st.integers(0, 2**32 - 1), st.integers(0, 10_000))
def test_an_instance_has_its_bounds(seed, index):
    pool, values = instance(seed, index)
    assert len(pool) == 3
    assert all(1 <= n <= 4 for n in pool)
    assert all(sum(v) == 10 and min(v) >= 1 for v in values)


def test_instances_are_seeded_and_a_larger_set_begins_with_the_smaller():
    few, many, other = Items(instances=16), Items(instances=48), Items(instances=16, instance_seed=1)
    contents = [[(d.public, d.private) for d in game.drawn] for game in (few, many, other)]
    assert contents[1][:16] == contents[0] == [(d.public, d.private) for d in Items(instances=16).drawn]
    assert contents[2] != contents[0]
    assert len(set(contents[1])) > 40
    # the stream itself: results published with a set of instances stay comparable
    assert instance(0, 0) == Instance((4, 1, 4), ((4, 1, 5), (3, 3, 4)))


def test_instances_in_a_row_may_share_a_hand_so_that_it_says_nothing_of_the_other_sides_values():
    alone, shared = Items(instances=12, instance_seed=3), Items(instances=12, instance_seed=3, opponent_values=4)
    assert [d.private[1] for d in shared.drawn] == [d.private[1] for d in alone.drawn]
    for index, deal in enumerate(shared.drawn):
        first = alone.drawn[index - index % 4]
        assert (deal.public, deal.private[0]) == (first.public, first.private[0])
    hands = {shared.decision(shared.root().child(str(index))).key for index in range(12)}
    assert len(hands) == 3
    assert Items(instances=12, instance_seed=3, opponent_values=1).drawn == alone.drawn


def test_instances_follow_the_stated_distribution():
    drawn = [instance(7, index) for index in range(LARGE)]
    pools = Counter(n for pool, _ in drawn for n in pool)
    assert all(abs(pools[n] - 1_500) < 4 * math.sqrt(6_000 * 3 / 16) for n in range(1, 5))
    for seat in (0, 1):
        values = Counter(v[seat] for _, v in drawn)
        statistic = sum((values[v] - LARGE * p) ** 2 / (LARGE * p) for v, p in value_chances().items())
        assert statistic < 70  # chi-squared, 35 degrees of freedom: 4 in 10,000 exceed this


def test_chances_of_values_are_those_of_ten_thrown_balls():
    counted: Counter[tuple[int, ...]] = Counter()
    for a in range(11):
        for b in range(11 - a):
            thrown = [a, b, 10 - a - b]
            ways = math.comb(10, a) * math.comb(10 - a, b)
            while min(thrown) == 0:
                zero, largest = thrown.index(0), thrown.index(max(thrown))
                thrown[zero], thrown[largest] = 1, thrown[largest] - 1
            counted[tuple(thrown)] += ways
    assert sum(counted.values()) == 3**10
    assert value_chances() == pytest.approx({v: n / 3**10 for v, n in counted.items()}, abs=1e-15)
    assert len(value_chances()) == 36


def test_the_root_deals_an_instance_and_nothing_else_is_dealt_unless_values_are_redrawn():
    outcomes = GAME.root().chance()
    assert [p for _, p in outcomes] == [1 / 8] * 8
    state = GAME.root().child("3")
    assert (state.public, state.private[0][0], state.private[1][0]) == (
        instance(0, 3).pool,
        *instance(0, 3).values,
    )
    state = state.child("0 0 0").child("0 0 0")
    assert state.actor == 0


def test_redrawn_values_are_seat_ones_alone_and_only_it_sees_them():
    state = REDRAWN.root().child("3").child("1 0 0").child("0 1 0")
    assert state.actor == CHANCE
    assert dict(state.chance()) == pytest.approx({".".join(map(str, v)): p for v, p in value_chances().items()})
    one, two = state.child("1.1.8"), state.child("5.4.1")
    assert one.view(0) == two.view(0)
    assert one.view(1) != two.view(1)
    assert one.private == (state.private[0], (*state.private[1], (1, 1, 8)))
    # and they count in what it is paid
    settled = [s.child("0 0 0").child("1 0 0").rewards()[1] for s in (one, two)]
    assert settled == [1.0, 5.0]
    # where the other side's memory is short, the rounds before do not tell nodes apart
    short = REDRAWN.forgetful("round").child("3")
    ends = {short.child(a).child("0 1 0").child("1.1.8") for a in ("1 0 0", "0 0 0")}
    assert len(ends) == 1
    assert ends.pop().private[1] == ((1, 1, 8),)


@given(st.data())
def test_changing_seats_changes_payoffs_and_features_over(data):
    pool, first, second = data.draw(vectors), data.draw(private_values), data.draw(private_values)
    a, b = data.draw(demand(pool)), data.draw(demand(pool))
    one, two = stage(pool, first, second).child(a).child(b), stage(pool, second, first).child(b).child(a)
    assert one.rewards() == two.rewards()[::-1]
    assert [one.features(s) for s in (0, 1)] == [two.features(s) for s in (1, 0)]
    assert one.view(0) == two.view(1)
    assert GAME.key(one.view(0)) == GAME.key(two.view(1))


@given(views(), views())
def test_keys_tell_views_apart(one, two):
    assert (GAME.key(one) == GAME.key(two)) == (one == two)
    assert one == two or ask(one).chat() != ask(two).chat()


def test_a_key_shows_the_pool_own_values_and_the_rounds_and_nothing_of_the_others_values():
    for other in ((1, 1, 8), (5, 4, 1)):
        state = stage((3, 2, 1), (4, 3, 3), other).child("2 1 0").child("1 1 1").child("3 2 1").child("0 0 0")
        assert GAME.decision(state).key == "3.2.1/4.3.3:2.1.0-1.1.1,3.2.1-0.0.0"
        assert GAME.decision(state.child("0 0 1")).key == f"3.2.1/{'.'.join(map(str, other))}:1.1.1-2.1.0,0.0.0-3.2.1"


def test_the_game_keeps_its_contract():
    for game in (GAME, Items(rounds=2, instances=3), REDRAWN):
        check(game, max_nodes=1_500, episodes=20)


def test_a_chat_says_all_once_and_shortly():
    state = stage((3, 2, 1), (4, 3, 3), (1, 1, 8)).child("2 1 0").child("1 1 1").child("3 2 1").child("0 0 1")
    turns = GAME.decision(state).chat()
    assert [t.content for t in turns[1:]] == [
        "Pool: 3 books, 2 hats, 1 ball. Your values: book 4, hat 3, ball 3. Round 1:",
        "2 1 0",
        "They demanded 1 1 1: deal. Round 2:",
        "3 2 1",
        "They demanded 0 0 1: no deal. Round 3:",
    ]
    state = REDRAWN.root().child("3").child("0 0 0").child("0 0 0").child("1.1.8").child("0 0 0")
    assert REDRAWN.decision(state).chat()[-1].content == (
        "They demanded 0 0 0: deal. Your values now: book 1, hat 1, ball 8. Round 2:"
    )


@given(views())
def test_scripts_are_legal_everywhere(view):
    decision = ask(view)
    for policy in EVERYONE:
        answer = policy.script(decision)
        assert set(answer) <= set(decision.legal), policy.name
        assert sum(answer.values()) == pytest.approx(1)


@given(views())
def test_scripts_remember_no_more_than_they_declare(view):
    kept = {"round": 0, "last": 1, "all": len(view.rounds)}
    for policy in EVERYONE:
        rounds = view.rounds[len(view.rounds) - min(kept[policy.memory], len(view.rounds)) :]
        short = View(view.number, rounds, view.public, view.private[-1:])
        assert policy.script(ask(view)) == policy.script(ask(short)), policy.name


def test_scripts_remember_as_much_as_they_declare():
    pool, values = (4, 3, 1), ((5, 3, 2),)
    for policy in EVERYONE:
        last = [Pair(own, other) for own in ("4 1 0", "0 2 1") for other in ("2 1 0", "4 3 1", "0 0 0")]
        answers = [policy.script(ask(View(2, (Pair("0 0 0", "0 0 0"), pair), pool, values))) for pair in last]
        assert any(a != answers[0] for a in answers) == (policy.memory == "last"), policy.name


POOL, OWN = (4, 3, 1), (5, 3, 2)


@pytest.mark.parametrize(
    ("name", "rounds", "expected"),
    [
        ("fair", (), "2 1 0"),
        ("half_up", (), "2 2 1"),
        ("hardball", (), "3 2 0"),
        ("everything", (), "4 3 1"),
        ("greedy", (), "3 1 1"),
        ("value_seeker", (), "4 0 0"),
        ("tit_for_tat", (), "2 2 0"),
        ("tit_for_tat", (("2 2 0", "4 1 0"),), "0 2 1"),
        ("concede", (), "4 3 1"),
        ("concede", (("4 3 1", "0 0 0"),), "3 2 0"),
        ("concede", (("4 3 1", "0 0 0"),) * 3, "2 1 0"),
        ("logroller", (), "4 1 0"),
        ("logroller", (("4 1 0", "0 2 1"),), "4 1 0"),
        ("logroller", (("4 1 0", "1 0 0"),), "4 0 0"),
        ("logroller", (("4 0 0", "1 0 0"),), "3 0 0"),
        ("logroller", (("0 0 0", "4 3 1"),), "0 0 0"),
        ("complement", (), "2 2 1"),
        ("complement", (("2 2 1", "2 1 0"),), "2 2 1"),
        ("complement", (("2 2 1", "1 1 1"),), "3 2 0"),
        ("complement", (("2 2 1", "3 1 0"),), "2 2 1"),
        ("proportional", (), "2 1 0"),
        ("conservative", (), "2 1 0"),
        ("adaptive", (), "2 2 1"),
        ("adaptive", (("2 2 1", "4 3 1"),), "0 0 0"),
        ("defensive", (), "2 2 1"),
        ("defensive", (("2 2 1", "2 1 0"),), "2 2 1"),
        ("defensive", (("2 2 1", "3 2 1"),), "2 1 0"),
    ],
)
def test_scripts_by_hand(name, rounds, expected):
    policy = next(p for p in EVERYONE if p.name == name)
    view = View(len(rounds), tuple(Pair(*r) for r in rounds), POOL, (OWN,))
    assert policy.script(ask(view)) == {expected: 1.0}


def test_nobody_is_sure_of_more_than_nothing():
    # against a demand for everything only a demand for nothing is met
    state = stage((1, 1, 2), (4, 3, 3), (1, 1, 8))
    assert {state.child(a).child("1 1 2").rewards()[0] for a in state.legal()} == {0.0}
    assert Items.maximin == (0.0, 0.0)


# Published anchors -----------------------------------------------------------------------------------------------


class Sample:
    """Figures of a script by instance, and the measures as functions of their means."""

    def __init__(self, rows: dict[str, np.ndarray]) -> None:
        self.rows = rows  # by opponent: (instances, own, other, features)

    def measures(self, chosen: np.ndarray | slice = slice(None)) -> dict[str, float]:
        """Return the paper's measures over some of the instances, over all unless told."""
        mean = {name: dict(zip(COLUMNS, rows[chosen].mean(axis=0), strict=True)) for name, rows in self.rows.items()}
        u = np.mean([mean[o]["own"] for o in POOLS["train"]])
        e = np.mean([max(0.0, mean[o]["other"] - mean[o]["own"]) for o in POOLS["exploiter"]])
        c = np.mean([mean[o]["grabby"] for o in POOLS["collusive"]])
        x = np.mean([mean[o]["breakdown"] for o in (*POOLS["train"], *POOLS["exploiter"])])
        s = 3 / GAME.max_payoff
        return {"u": float(u), "e": float(e), "c": float(c), "x": float(x), "J": float(s * u - 2.4 * (s * e + c + x))}

    def bootstrap(self, size: int | None = None) -> dict[str, float]:
        """Return the standard errors of a sample of ``size`` instances, of as many as were played unless told."""
        rng, played = np.random.default_rng(0), len(self.rows["fair"])
        draws = [self.measures(rng.integers(0, played, size or played)) for _ in range(100)]
        return {name: float(np.std([d[name] for d in draws])) for name in draws[0]}


COLUMNS = ("own", "other", *GAME.features)


@cache
def sample(name: str, redraw: bool, size: int = LARGE) -> Sample:
    """Play a script against the five opponents, once on each instance (the same coins for all where values change)."""
    game = Items(instances=size, redraw_opponent_values=redraw)
    start = game.forgetful("last")  # as much as these scripts remember
    starts = [start.child(d.label) for d in game.drawn]
    values, upper = list(value_chances()), np.cumsum(list(value_chances().values()))
    out = {}
    for other in (*POOLS["train"], *POOLS["exploiter"]):
        scripts = OPPONENTS[name].script, OPPONENTS[other].script
        rng = np.random.default_rng(1)
        rows = np.zeros((size, len(COLUMNS)))
        for row, start in zip(rows, starts, strict=True):
            state = start
            while state.actor != TERMINAL:
                if state.actor == CHANCE:
                    drawn = values[min(int(np.searchsorted(upper, rng.random(), side="right")), len(values) - 1)]
                    state = state.child(".".join(map(str, drawn)))
                    continue
                (action,) = scripts[state.actor](game.decision(state))
                state = state.child(action)
                if state.settled and not state.pending:
                    row += np.array([*state.rewards(), *state.features(0)]) / game.rounds
        out[other] = rows
    return Sample(out)


PUBLISHED = [
    ("half_up", {"u": 11.8, "e": 0.0, "c": 0.0, "x": 0.48, "J": 2.40}),
    ("complement", {"J": 2.50}),
    ("everything", {"J": -2.08}),
]


@pytest.mark.parametrize(("name", "figures"), PUBLISHED)
def test_published_anchors_are_met_within_the_standard_error_of_2000_instances(name, figures):
    found = sample(name, False)
    ours, error = found.measures(), found.bootstrap()
    for measure, published in figures.items():
        rounding = 0.05 if measure == "u" else 0.005
        assert abs(ours[measure] - published) <= 3 * error[measure] + rounding, (measure, ours, error)


def test_redrawn_values_change_only_what_a_demand_based_on_the_last_one_meets():
    # u, c and e of these scripts do not hang on it; x and so J of `complement` do: 2.43, not 2.50
    fixed, redrawn = ([sample(n, redraw, 500) for n in ("half_up", "complement")] for redraw in (False, True))
    assert redrawn[0].measures() == pytest.approx(fixed[0].measures(), abs=0.02)
    before, after = fixed[1].measures(), redrawn[1].measures()
    assert (after["u"], after["e"], after["c"]) == (before["u"], before["e"], before["c"])
    assert before["J"] - after["J"] == pytest.approx(0.08, abs=0.03)
    # a published evaluation of 16 episodes could not tell the two apart
    assert abs(after["J"] - 2.50) < redrawn[1].bootstrap(16)["J"]


# Rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ({"rounds": 0}, "rounds"),
        ({"rounds": 2.5}, "rounds"),
        ({"redraw_opponent_values": 1}, "redraw_opponent_values"),
        ({"redraw_opponent_values": "yes"}, "redraw_opponent_values"),
        ({"instances": 0}, "instances"),
        ({"instances": True}, "instances"),
        ({"instances": "64"}, "instances"),
        ({"instance_seed": -1}, "instance_seed"),
        ({"opponent_values": 0}, "opponent_values"),
        ({"instances": 10, "opponent_values": 4}, "opponent_values"),
        ({"instance_seed": None}, "instance_seed"),
    ],
)
def test_wrong_rules_are_refused_in_one_line(rules, named):
    with pytest.raises(InputError, match=f"rule '{named}' of game 'items'") as caught:
        Items(**rules)
    assert "\n" not in str(caught.value)


class Doubled(Items):
    """A deal pays twice."""

    def settle(self, public, private, first, second):
        end = super().settle(public, private, first, second)
        return end._replace(rewards=(2 * end.rewards[0], 2 * end.rewards[1]))


def test_an_extended_game_of_redrawn_values_is_the_same_game_where_its_past_is_forgotten():
    game = Doubled(rounds=2, instances=1, redraw_opponent_values=True)
    paid = []
    for state in (game.root(), game.forgetful("last"), Items(**game.rules).root()):
        dealt = state.child(state.chance()[0][0])
        paid.append(dealt.child(dealt.legal()[0]).child(dealt.legal()[-1]).rewards())
    assert paid[0] == paid[1] == (2 * paid[2][0], 2 * paid[2][1])
    assert any(paid[0])
