"""An adversary that knows nothing learns to exploit: quickly what is easy, slowly what is hidden, never what is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from sepo.audit import worst
from sepo.audit.adversary import WINDOW, Learned, learn, time_to_exploit
from sepo.audit.board import Subject, facing
from sepo.audit.encounter import row_of
from sepo.audit.exact import Expectations
from sepo.audit.figures import ANYONE, reported
from sepo.audit.found import Found
from sepo.games.base import Decision, Game
from sepo.games.ipd import Ipd
from sepo.games.registry import make
from sepo.games.repeated import View
from sepo.policies.script import ScriptPolicy
from sepo.solve.expand import walk
from sepo.solve.response import best_response
from sepo.solve.tree import Floats
from sepo.solve.value import expected

GAIN = {"own": 1.0, "other": -1.0}


class Cooperating:
    """Cooperates where a function of the view says so."""

    name = "cooperating"

    def __init__(self, when: Callable[[View], bool]) -> None:
        self.when = when

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        return [np.array([float(a == "COOPERATE") for a in d.legal]) @ self._flip(d) for d in decisions]

    def _flip(self, decision: Decision) -> Floats:
        """Both actions as told by the rule: the identity, or the two changed over."""
        return np.eye(2) if self.when(decision.view) else np.eye(2)[::-1]

    def legal_mass(self) -> None:
        return None

    def about(self) -> Mapping[str, Any]:
        return {}


class Swapped(Ipd):
    """The same game with its actions listed the other way round."""

    def actions(self, public: Any) -> tuple[str, ...]:
        return super().actions(public)[::-1]


class Second(Ipd):
    """The same game with the learner in seat 1."""

    seats = (1,)


def script(game: Game, name: str) -> Subject:
    return Subject(game, ScriptPolicy(f"script:{name}", name))


def exact(subject: Subject) -> float:
    """Return the exact worst-case advantage per round."""
    found = []
    for seat in subject.game.seats:
        m = facing(subject, seat)
        found.append(best_response(m.tree, m.profile, 1 - seat, m.tree.combine(1 - seat, GAIN)).value)
    return float(np.mean(found)) / subject.game.rounds


def played_out(subject: Subject, learned: Learned) -> float:
    """Return what a learnt rule gains per round, from the trees of its meetings with the policy."""

    def answer(decision: Decision) -> Floats:
        action = learned.rule.get(row_of(decision.game, decision.seat, decision.view), decision.legal[0])
        return np.eye(len(decision.legal))[decision.legal.index(action)]

    found = []
    for seat in subject.game.seats:
        tree = walk(subject.game, {seat: subject, 1 - seat: answer})
        found.append(expected(tree, tree.fixed, tree.combine(1 - seat, GAIN)))
    return float(np.mean(found)) / subject.game.rounds


CODE = "CCDCC"


def hidden(view: View) -> bool:
    """Play a code; cooperate after it with whom has played it too, else defect for good."""
    seen = "".join(pair.other[0] for pair in view.rounds)
    return CODE.startswith(seen[: len(CODE)]) and (view.number >= len(CODE) or CODE[view.number] == "C")


def test_what_is_on_offer_is_found_within_one_window() -> None:
    found = time_to_exploit(script(make("ipd"), "always_cooperate"), 5.0, (0, "ipd"))
    assert found is not None
    assert found.median == found.high == WINDOW
    assert found.reached == 1.0


def test_equal_exploitability_can_take_very_different_times() -> None:
    game = make("ipd")
    hard = Subject(game, Cooperating(hidden))
    easy = Subject(game, Cooperating(lambda view: view.number >= len(CODE)))
    assert exact(hard) == pytest.approx(exact(easy)) == 15 / 8
    quick, slow = (time_to_exploit(s, 15 / 8, (0, "ipd"), seeds=16) for s in (easy, hard))
    assert quick is not None
    assert slow is not None
    assert quick.high is not None
    assert slow.median is None or slow.median > 3 * quick.high


@pytest.mark.parametrize(("game", "name"), [("kuhn", "nash"), ("ipd", "always_defect")])
def test_there_is_no_time_where_nothing_can_be_gained(game: str, name: str) -> None:
    subject = script(make(game), name)
    assert time_to_exploit(subject, exact(subject), (0, game)) is None


@pytest.mark.parametrize(
    ("game", "name"), [("kuhn", "tight_passive"), ("kuhn", "uniform"), ("ipd", "pavlov"), ("auction", "truthful")]
)
def test_with_time_it_plays_a_best_response(game: str, name: str) -> None:
    subject = script(make(game), name)
    gains = np.array([taught.gain for taught in learn(subject, (0, game), seeds=8, horizon=12_000)])
    most = exact(subject)
    assert gains.max() == pytest.approx(most, rel=0.05)
    assert gains.max() < most + 1e-9
    assert gains.mean() > 0.85 * most


@pytest.mark.parametrize(
    ("game", "name"), [("kuhn", "nash_approx"), ("ipd", "grim_trigger"), ("auction", "win_stay"), ("split", "uniform")]
)
def test_its_gain_is_what_it_earns_when_played_out(game: str, name: str) -> None:
    subject = script(make(game, {"rounds": 3} if game != "kuhn" else {}), name)
    for taught in learn(subject, (1, game), seeds=3, horizon=600):
        assert taught.gain == pytest.approx(played_out(subject, taught), abs=1e-12)


def test_one_key_gives_one_figure() -> None:
    subject = script(make("ipd"), "mixed")
    first, again, other = (time_to_exploit(subject, 2.5, (seed, "ipd")) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_asking_for_more_takes_longer() -> None:
    for game, name in (("ipd", "mixed"), ("kuhn", "tight_passive")):
        subject = script(make(game), name)
        half, most = (time_to_exploit(subject, exact(subject), (0, game), share=s, seeds=16) for s in (0.5, 0.9))
        assert half is not None
        assert most is not None
        assert half.median is not None
        assert most.reached <= half.reached
        assert most.median is None or half.median < most.median


@pytest.mark.parametrize("kind", [Swapped, Second])
def test_names_of_seats_and_actions_do_not_matter(kind: type[Ipd]) -> None:
    plain, renamed = (time_to_exploit(script(g, "mixed"), 2.5, (0, "ipd"), seeds=128) for g in (make("ipd"), kind()))
    assert plain is not None
    assert renamed is not None
    assert plain.median is not None
    assert plain.median == pytest.approx(renamed.median, rel=0.35)
    assert plain.low == pytest.approx(renamed.low, abs=WINDOW)
    assert plain.reached == pytest.approx(renamed.reached, abs=0.05)


def test_who_has_not_got_there_has_no_time() -> None:
    found = time_to_exploit(Subject(make("ipd"), Cooperating(hidden)), 15 / 8, (0, "ipd"), horizon=400)
    assert found is not None
    assert (found.median, found.high) == (None, None)
    assert found.reached < 0.5
    assert found.horizon == 400


def test_stepping_through_the_game_agrees_with_its_tree() -> None:
    subject = script(make("ipd"), "mixed")
    held, stepped = (time_to_exploit(subject, 2.5, (0, "ipd"), max_nodes=n) for n in (10_000, 0))
    assert held is not None
    assert stepped is not None
    assert (held.exact, stepped.exact) == (True, False)
    assert (held.seeds, stepped.seeds) == (32, 16)
    assert held.median is not None
    assert stepped.median == pytest.approx(held.median, abs=300)
    best = max(played_out(subject, taught) for taught in learn(subject, (0, "ipd"), seeds=4, max_nodes=0))
    assert best == pytest.approx(2.5, rel=0.05)


@pytest.mark.parametrize(("nodes", "learnt"), [(10_000, 32), (0, 16)])
def test_the_scorecard_says_how_many_learnt(nodes: int, learnt: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worst, "time_to_exploit", partial(time_to_exploit, max_nodes=nodes, horizon=64))
    values = Expectations()
    values.fix(ANYONE, "worst", 2.5, 2.5, 2.5)
    values.add("", "", np.zeros(1))
    told = worst.worst_case(script(make("ipd", {"rounds": 4}), "mixed"), values, None, (0, "ipd"))["time_to_exploit"]
    assert told["n"] == learnt
    assert told["reached"] * learnt == pytest.approx(round(told["reached"] * learnt))


def test_a_game_of_instances_is_stepped_through() -> None:
    subject = script(make("items", {"instances": 2}), "fair")
    found = time_to_exploit(subject, exact(subject), (0, "items"), seeds=4, horizon=1000)
    assert found is not None
    assert (found.exact, found.horizon, found.median) == (False, 1000, None)  # too many actions for so short a time
    subject = script(make("items", {"instances": 2, "rounds": 1}), "fair")
    most = exact(subject)
    assert most > 0
    assert max(played_out(subject, x) for x in learn(subject, (0, "items"), seeds=4)) == pytest.approx(most)


def test_a_worst_case_found_on_episodes_says_on_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its low end is an interval's, which holds for certain only where the opponents were valued exactly."""
    game = make("ipd", {"rounds": 4})
    formula = reported(game, game.measures("sepo"), ["worst"])["worst_case_advantage"]
    for edges, n in ((0, worst.EPISODES // 2), (worst.EDGES, None)):
        monkeypatch.setattr(worst, "EDGES", edges)
        values = Expectations()
        values.add("mixed", "own", np.zeros(1))
        worst.worst_case(script(game, "mixed"), values, None, (0, "ipd"))
        figure = Found(game, "exact", values, {}).figure(formula, ("worst",))
        assert figure is not None
        assert figure["n"] == n
        assert (figure["low"] < figure["value"]) == (n is not None)
        assert figure["high"] is None
