"""The answer to one forced deviation: by hand for scripts, by enumeration for random tables, bounded if unknown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sepo.audit import methods
from sepo.audit.board import Subject
from sepo.audit.deviation import deviation_response
from sepo.audit.scorecard import Options, scorecard
from sepo.errors import TooLargeError
from sepo.games.auction import Auction
from sepo.games.base import Deviation
from sepo.games.registry import make
from sepo.policies.base import strategy
from sepo.policies.script import ScriptPolicy
from sepo.policies.table import PolicyTable, tabulate
from sepo.solve.expand import expand
from tests.audit.test_board import random_table
from tests.audit.test_bounds import completions, partly
from tests.brute import as_profile, due, lines

AUCTION = Auction(6)
ASKED = AUCTION.deviation
MOST = 2_000_000


@pytest.fixture(scope="module", autouse=True)
def _no_search() -> Iterator[None]:
    """Leave out the adversary that learns by trying: another file's matter, and slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "worst_case", lambda *_: {})
        yield


def response(subject: Subject, asked: Deviation | None = None) -> tuple[float, float, float]:
    return deviation_response(subject, asked or ASKED, MOST)


def script(game: Auction, name: str) -> Subject:
    return Subject(game, ScriptPolicy(f"script:{name}", name))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("adaptive", 0.25),  # HIGH for MEDIUM in the next round alone: 1 in 4 rounds
        ("win_stay", 1.0),  # loses once, raises to MEDIUM and stays, since that wins
        ("value_bid", 0.0),
        ("truthful", 0.0),
        ("wary_value_bid", 0.0),  # only HIGH from the first round on alarms it
    ],
)
def test_scripts_answer_as_computed_by_hand(name: str, change: float):
    assert response(script(AUCTION, name)) == pytest.approx((change,) * 3, abs=1e-12)
    part = scorecard(ScriptPolicy(f"script:{name}", name), [AUCTION], Options(sets="sepo"))["games"]["auction"]
    assert part["deviation_response"] == pytest.approx({"value": change, "low": change, "high": change, "n": None})


def test_the_same_partner_twice_is_no_deviation_and_the_order_is_the_sign():
    partner, deviating, when, what = ASKED
    assert response(script(AUCTION, "win_stay"), Deviation(partner, partner, when, what)) == (0.0, 0.0, 0.0)
    turned = response(script(AUCTION, "win_stay"), Deviation(deviating, partner, when, what))
    assert turned == pytest.approx((-1.0,) * 3, abs=1e-12)


def after(game: Auction, profile, asked: Deviation) -> float:
    """Return what falls due in the rounds after the deviation, going through every line of play."""
    return sum(
        line.probability * sum(due(game, s, asked.feature, 0) for s in line.states[1:] if s.round > asked.round)
        for line in lines(game, profile)
    )


@pytest.mark.parametrize("seed", range(2))
def test_a_random_policys_answer_is_that_of_enumeration(seed: int):
    game, asked = Auction(2), Deviation("collusive_low", "aggressive", 0, "bid")
    tree, table = expand(game), random_table(game, seed)
    vector = strategy(table, tree)
    found = [
        after(
            game,
            as_profile(tree, tree.join(0, vector, strategy(ScriptPolicy(f"script:{o}", o), tree))),
            asked,
        )
        for o in (asked.partner, asked.deviating)
    ]
    want = found[1] - found[0]  # one later round
    assert abs(want) > 1e-3
    assert response(Subject(game, table), asked) == pytest.approx((want,) * 3, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_of_a_policy_known_in_part_the_bounds_hold_for_its_completions(seed: int):
    game, asked = Auction(2), Deviation("collusive_low", "aggressive", 0, "bid")
    tree, table = expand(game), partly(game, seed, share=0.5)
    part = PolicyTable("part", game.name, game.rules, table.table)
    value, low, high = response(Subject(game, part, unknown=True), asked)
    assert low <= value <= high
    assert high - low > 0.1
    for vector in completions(game, table, 50 * seed, 6):
        rows = tabulate(game, tree, vector, "full")
        got = response(Subject(game, rows), asked)
        assert got[0] == got[1] == got[2]
        assert low - 1e-9 <= got[0] <= high + 1e-9


def test_a_game_that_asks_no_such_question_shows_none():
    part = scorecard(ScriptPolicy("script:nash", "nash"), [make("kuhn")])["games"]["kuhn"]
    assert part["deviation_response"] is None


@pytest.mark.parametrize("rounds", [1, 2])
def test_where_no_round_comes_after_nothing_changes(rounds: int):
    assert response(script(Auction(rounds), "win_stay")) == (0.0, 0.0, 0.0)


def test_too_large_a_meeting_is_refused():
    with pytest.raises(TooLargeError):
        deviation_response(script(AUCTION, "wary_value_bid"), ASKED, 10)
