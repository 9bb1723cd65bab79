"""The audit's exact figures against those that training climbs, on the tree of the whole game, and against theory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest

from sepo.audit import methods
from sepo.audit.board import Subject
from sepo.audit.exact import Expectations, best_values, evaluate, extremes, game_value
from sepo.audit.figures import ANYONE, clip, measured
from sepo.audit.measures import scripted, values, worst_case
from sepo.audit.scorecard import Options, scorecard
from sepo.games.auction import Auction
from sepo.games.base import Game, MeasureName
from sepo.games.commons import Commons
from sepo.games.ipd import Ipd
from sepo.games.items import Items
from sepo.games.kuhn import Kuhn
from sepo.games.registry import GAMES, make
from sepo.games.split import Split
from sepo.policies.base import Policy, strategy
from sepo.policies.script import ScriptPolicy
from sepo.policies.table import PolicyTable
from sepo.solve.expand import expand
from sepo.solve.response import best_response
from tests.audit.test_board import random_table
from tests.audit.test_bounds import completions, partly
from tests.small_repeated import Pennies, UnknownPennies

SETS = get_args(MeasureName)
WHOLE: dict[str, Game] = {"kuhn": make("kuhn"), "ipd": Ipd(4)}
SHORT: dict[str, Game] = {
    **WHOLE,
    "auction": Auction(3),
    "auction, clipped": Auction(3, overbid_loss=False),
    "split": Split(3),
    "commons": Commons(5),
    "items": Items(rounds=3, instances=6, instance_seed=358),
}
SCRIPTS = [(name, script) for name, game in SHORT.items() for script in game.opponents]


@pytest.fixture(scope="module", autouse=True)
def _no_search() -> Iterator[None]:
    """Leave out the adversary that learns by trying: another file's matter, and slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "worst_case", lambda *_: {})
        yield


def script(name: str) -> ScriptPolicy:
    return ScriptPolicy(f"script:{name}", name)


def audited(policy: Policy, game: Game) -> dict[str, Any]:
    return scorecard(policy, [game], Options(method="exact"))["games"][game.name]


def exactly(policy: Policy, game: Game, *, unknown: bool = False) -> Expectations:
    named = {o for name in SETS for pool in game.measures(name).pools.values() for o in pool}
    subject = Subject(game, policy, unknown=unknown)
    found = evaluate(subject, sorted(named))
    extremes(subject, found)
    return found


def mean(found: Expectations):
    return found.get(found.rows.mean(axis=0, keepdims=True))


@pytest.mark.parametrize("name", WHOLE)
def test_u_e_c_x_and_J_are_those_of_the_whole_tree(name: str):  # noqa: N802
    game = WHOLE[name]
    tree = expand(game)
    for policy in (*map(script, game.opponents), *(random_table(game, s, idle=0.2 * (s % 2)) for s in range(4))):
        part = audited(policy, game)
        for measures in SETS:
            want = values(tree, game.measures(measures), strategy(policy, tree))
            got = part["measures"][measures]
            assert {k: None if f is None else f["value"] for k, f in got.items()} == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("name", WHOLE)
def test_the_extremes_over_all_opponents_are_those_of_the_whole_tree(name: str):
    game = WHOLE[name]
    tree = expand(game)
    for policy in (*map(script, game.opponents), *(random_table(game, s) for s in range(4))):
        part, vector = audited(policy, game), strategy(policy, tree)
        assert part["worst_case_advantage"]["value"] == pytest.approx(
            worst_case(tree, vector, {"own": 1.0, "other": -1.0}), abs=1e-12
        )
        value = game_value(game)
        assert value is not None
        assert part["security_gap"]["value"] == pytest.approx(
            value + worst_case(tree, vector, {"other": -1.0}), abs=1e-12
        )


@cache
def pooled(name: str, policy: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, by instance, a script's worst case and security gap, and what its exploiter pools gain, clipped."""
    game = SHORT[name]
    found = exactly(script(policy), game)
    get = found.get(found.rows)
    gains = [clip(game.measures(s).pools["exploiter"], {"other": 1.0, "own": -1.0})(get).value for s in SETS]
    whole = [found.rows[:, found.columns[ANYONE, q]] for q in ("worst", "gap")]
    return whole[0], whole[1], np.max(gains, axis=0)


@pytest.mark.no_cover
@pytest.mark.parametrize(("name", "policy"), [c for c in SCRIPTS if c != ("items", "uniform")])
def test_no_pool_gains_more_than_the_worst_of_all_opponents(name: str, policy: str):
    worst, _, gained = pooled(name, policy)
    assert (gained <= worst + 1e-12).all()


@pytest.mark.parametrize(("name", "policy"), [c for c in SCRIPTS if c != ("items", "uniform")])
def test_no_script_secures_more_than_the_games_value(name: str, policy: str):
    _, gap, _ = pooled(name, policy)
    assert (gap >= -1e-9).all()


def test_tit_for_tat_loses_one_temptation_in_eight_rounds_to_the_worst_opponent():
    assert audited(script("tit_for_tat"), Ipd(8))["worst_case_advantage"]["value"] == pytest.approx(0.625, abs=1e-12)
    assert audited(script("always_cooperate"), Ipd(8))["worst_case_advantage"]["value"] == pytest.approx(5, abs=1e-12)
    assert audited(script("always_defect"), Ipd(8))["worst_case_advantage"]["value"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", [n for n in SHORT if n != "items"])
def test_regret_is_measured_from_the_best_response_to_each_opponent(name: str):
    game = SHORT[name]
    if game.name == "split":
        game = Split(2)  # the whole tree of three rounds is large
    tree = expand(game)
    for other in game.opponents:
        want = [
            best_response(tree, scripted(tree)[other], s, tree.feature("own", s)).value / game.rounds
            for s in game.seats
        ]
        assert best_values(game, other) == pytest.approx([np.mean(want)], abs=1e-12)


@pytest.mark.parametrize("name", ["kuhn", "ipd", "auction", "split"])
@pytest.mark.parametrize("seed", range(3))
def test_every_bound_of_a_policy_known_in_part_holds_for_its_completions(name: str, seed: int):
    game = {"kuhn": make("kuhn"), "ipd": Ipd(3), "auction": Auction(2), "split": Split(2)}[name]
    tree, table = expand(game), partly(game, seed, share=0.4)
    known = exactly(PolicyTable("part", game.name, game.rules, table.table), game, unknown=True)
    assert known.unknown
    get = mean(known)
    extreme = {q: get(ANYONE, {q: 1.0}) for q in ("worst", "gap")}
    for vector in completions(game, table, 100 * seed, 4):
        rows = {i.key: dict(zip(i.decision.legal, vector[i.entries].tolist(), strict=True)) for i in tree.infosets}
        full = exactly(PolicyTable("full", game.name, game.rules, rows), game)
        assert not full.unknown
        whole = mean(full)
        for measures in SETS:
            for figure in measured(game, game.measures(measures)).values():
                if figure is not None:
                    bounds, value = figure(get), figure(whole).value[0]
                    assert bounds.low[0] - 1e-9 <= value <= bounds.high[0] + 1e-9
                    assert bounds.low[0] - 1e-9 <= bounds.value[0] <= bounds.high[0] + 1e-9
        for quantity, bounds in extreme.items():
            value = whole(ANYONE, {quantity: 1.0}).value[0]
            assert bounds.low[0] - 1e-9 <= value <= bounds.high[0] + 1e-9


def test_extremes_of_a_game_of_instances_are_known_per_instance_whatever_else_is():
    game = Items(rounds=2, instances=5, instance_seed=358)
    full, alone = exactly(script("half_up"), game), Expectations()
    alone.add("", "", np.zeros(1))
    extremes(Subject(game, script("half_up")), alone)
    for quantity in ("worst", "gap"):
        one, other = (e.values[e.columns[ANYONE, quantity]] for e in (full, alone))
        np.testing.assert_allclose(one, other)
        assert len(one) == 5


def test_the_built_in_games_all_know_their_value():
    for name in GAMES:
        game = make(name)
        assert game.maximin is not None
        assert game_value(game) == np.mean([game.maximin[s] for s in game.seats])


@pytest.mark.parametrize("memory", ["round", "all"])
@pytest.mark.parametrize("seat", [0, 1])
def test_exploitability_of_a_learner_in_one_seat_is_counted_from_the_games_value(seat: int, memory: str):
    game = Pennies(2, seats=(seat,))
    table = {d.key: {"H": 1.0} for d in expand(game).questions}
    heads = script("heads") if memory == "round" else PolicyTable("h", "pennies", game.rules, table)
    part = audited(heads, game)
    assert part["exploitability"]["value"] == pytest.approx(1.5)  # the stake on average: value 0, every round is lost
    assert part["exploitability"] == part["security_gap"]
    assert part["worst_case_advantage"]["value"] == pytest.approx(3.0)
    assert audited(script("uniform"), game)["exploitability"]["value"] == pytest.approx(0.0)
    unknown = audited(script("heads"), UnknownPennies(2, seats=(seat,)))
    assert unknown["exploitability"] is None
    assert unknown["worst_case_advantage"]["value"] == pytest.approx(3.0)


def test_exploitability_in_one_seat_adds_the_value_that_is_not_zero():
    class Seated(Kuhn):
        seats = (1,)

    assert audited(script("nash"), Seated())["exploitability"]["value"] == pytest.approx(0.0, abs=1e-12)


class UnknownIpd(Ipd):
    """The dilemma by somebody who does not know its value."""

    name = "unknown_ipd"
    maximin = None


class UnknownAuction(Auction):
    """An auction, whose states merge, by somebody who does not know its value."""

    name = "unknown_auction"
    maximin = None


@pytest.mark.parametrize(
    ("game", "known", "found"),
    [
        (UnknownIpd(3), Ipd(3), True),
        (UnknownIpd(12), Ipd(12), False),
        (UnknownAuction(2), Auction(2), False),
    ],
)
@pytest.mark.parametrize("method", ["exact", "sampled"])
def test_there_is_no_security_gap_where_the_value_is_neither_known_nor_to_be_had(
    game: Game, known: Game, found: bool, method: str
):
    options = Options(method=method, episodes=20)  # type: ignore[arg-type]
    for policy in ("tit_for_tat", "grim_trigger") if game.name == "unknown_ipd" else ("value_bid",):
        got, want = (scorecard(script(policy), [g], options)["games"][g.name] for g in (game, known))
        assert got["worst_case_advantage"] == want["worst_case_advantage"] is not None
        assert (got["security_gap"] is not None) == found
        if found:
            assert got["security_gap"]["value"] == pytest.approx(want["security_gap"]["value"])
