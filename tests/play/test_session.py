"""A session is a game like any other: the record replays to its payoffs, the key says all that is drawn."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from sepo.errors import InputError
from sepo.games.base import CHANCE, Game, State
from sepo.games.registry import GAMES, make
from sepo.play.session import Session, rehearse
from sepo.policies.base import Policy
from sepo.policies.spec import load_policy
from sepo.policies.table import PolicyTable
from sepo.solve.expand import expand
from tests.hidden import Hidden

OPPONENTS = {
    "kuhn": "script:nash",
    "ipd": "script:generous_tit_for_tat",
    "auction": "script:truthful",
    "split": "uniform",
    "items": "uniform",
    "commons": "uniform",
}


def played(game: Game, policy: Policy, person: int = 0, **settings: Any) -> Session:
    """Let a person who picks by lot play a game to its end."""
    session = Session(game, policy, **settings)
    lots = np.random.default_rng(person)
    session.advance()
    while (decision := session.decision) is not None:
        session.act(decision.legal[lots.integers(len(decision.legal))])
        session.advance()
    assert session.over
    return session


def replayed(game: Game, hand: dict[str, Any]) -> tuple[float, float]:
    """Follow a hand's recorded moves through the game, trying every deal, and return what the two parties are paid.

    Of all deals those count whose information states are the recorded ones; they pay alike.
    """
    found: set[tuple[float, float]] = set()
    lines: list[tuple[State, int, tuple[float, float]]] = [(game.root(), 0, (0.0, 0.0))]
    while lines:
        state, at, paid = lines.pop()
        a, b = state.rewards()
        paid = (paid[0] + a, paid[1] + b)
        if state.actor == CHANCE:
            lines += [(state.child(label), at, paid) for label, _ in state.chance()]
        elif state.actor in (0, 1):
            move = hand["moves"][at]
            assert (move["by"] == "learner") == (state.actor == hand["seat"])
            if game.decision(state).key == move["state"]:
                lines.append((state.child(move["action"]), at + 1, paid))
        elif at == len(hand["moves"]):
            found.add((paid[hand["seat"]], paid[1 - hand["seat"]]))
    (one,) = found
    return one


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("seat", [None, 0, 1])
def test_the_record_replays_to_the_payoffs(name: str, seat: int | None):
    game = make(name)
    session = played(game, load_policy(OPPONENTS[name], game), seat=seat, key=("record", seat))
    record = json.loads(json.dumps(session.episode()))
    paid = [replayed(game, hand) for hand in record["hands"]]
    assert [(h["own"], h["other"]) for h in record["hands"]] == paid
    assert (record["own"], record["other"]) == session.totals() == tuple(map(sum, zip(*paid, strict=True)))
    assert record["schema"] == "sepo.episode/1"
    assert record["opponent"] == "human"
    assert record["complete"]
    assert (sum(r.learner for r in session.rounds), sum(r.opponent for r in session.rounds)) == session.totals()
    assert sum(len(r.moves) for r in session.rounds) == session.count
    if seat is not None:
        assert record["hands"][0]["seat"] == 1 - seat


@pytest.mark.parametrize("name", GAMES)
def test_the_same_key_and_the_same_answers_are_the_same_game(name: str):
    game = make(name)
    policy = load_policy(OPPONENTS[name], game)
    first, again, other = (played(game, policy, key=key).episode() for key in ((1,), (1,), (2,)))
    assert first == again
    assert first != other


def test_what_the_person_does_changes_no_card_and_no_draw_elsewhere():
    game = make("kuhn")
    one, two = (played(game, load_policy("uniform"), person, key=(5,)) for person in (0, 1))
    assert [h.labels[0] for h in one.hands] == [h.labels[0] for h in two.hands]
    assert [h.labels for h in one.hands] != [h.labels for h in two.hands]


def test_seats_alternate_where_the_game_says_so_and_the_person_may_choose_the_first():
    kuhn, ipd = make("kuhn"), make("ipd")
    nash, tit = load_policy("script:nash", kuhn), load_policy("script:tit_for_tat", ipd)
    assert Session(kuhn, nash).seats == (0, 1, 0, 1, 0, 1)
    assert Session(kuhn, nash, seat=0).seats == (1, 0, 1, 0, 1, 0)
    assert Session(kuhn, nash, hands=3).seats == (0, 1, 0)
    assert Session(ipd, tit).seats == (0,)
    assert Session(ipd, tit, seat=0, hands=2).seats == (1, 1)


def test_the_policy_plays_by_its_probabilities():
    game = make("kuhn")
    p = 0.3
    table = {i.key: dict(zip(i.decision.legal, (1 - p, p), strict=True)) for i in expand(game).infosets}
    session = played(game, PolicyTable("thirty", "kuhn", {}, table), hands=2000, key=("often",))
    moves = [move for hand in session.hands for _, move in hand.moves if move.learner]
    bold = sum(move.action == move.decision.legal[1] for move in moves)
    assert abs(bold / len(moves) - p) < 4 * (p * (1 - p) / len(moves)) ** 0.5
    assert all(np.allclose(move.p, (1 - p, p)) for move in moves if move.p is not None)
    deals = Counter(hand.labels[0] for hand in session.hands)
    assert len(deals) == 6
    assert max(deals.values()) < 1.35 * min(deals.values())


def test_a_round_is_shown_when_it_is_over_and_not_before():
    game = make("ipd")
    session = Session(game, load_policy("script:tit_for_tat", game), key=(0,))
    session.advance()
    assert session.count == 1  # the policy, in the first seat, has moved
    assert session.rounds == []
    assert session.decision is not None
    assert session.decision.view.rounds == ()
    session.act("DEFECT")
    assert [(r.learner, r.opponent) for r in session.rounds] == [(0.0, 5.0)]
    session.advance()
    assert len(session.rounds) == 1


def test_two_policies_play_without_anyone():
    game = make("split")
    session = Session(game, load_policy("script:fair", game), load_policy("script:concede", game))
    steps = 0
    while session.step():
        steps += 1
    assert session.over
    assert steps == session.count == 8
    assert session.totals() == (10.0, 10.0)  # in turns a demand of 6 that breaks the round, and one of 5 that fits
    assert session.episode()["opponent"] == "script:concede"
    with pytest.raises(InputError, match="not your turn"):
        session.act("5")


def test_what_is_no_action_seat_or_number_of_hands_is_refused():
    game = make("ipd")
    policy = load_policy("script:tit_for_tat", game)
    session = Session(game, policy)
    session.advance()
    with pytest.raises(InputError, match="'FORGIVE' is no legal action: they are COOPERATE, DEFECT"):
        session.act("FORGIVE")
    assert session.count == 1
    with pytest.raises(InputError, match="seat is 0 or 1"):
        Session(game, policy, seat=2)
    with pytest.raises(InputError, match="at least one hand"):
        Session(game, policy, hands=0)


def test_a_table_that_lacks_a_situation_says_so_and_the_game_stands_where_it_stood():
    game = make("ipd")
    table = PolicyTable("short", "ipd", game.rules, {"": {"COOPERATE": 1.0}})
    session = Session(game, table)
    session.advance()
    session.act("DEFECT")
    with pytest.raises(InputError, match="lacks information state 'CD'"):
        session.advance()
    assert session.count == 2
    assert not session.over


def test_a_model_is_asked_first_about_the_longest_that_it_will_read():
    policy = Hidden(1)
    rehearse(Session(make("ipd"), policy))
    assert policy.asked == [",".join(["CC"] * 7)]
    policy = Hidden(1)
    rehearse(Session(make("kuhn"), policy))
    assert policy.asked == ["J:", "Q:p"]  # one in each seat
