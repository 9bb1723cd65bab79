"""Axelrod's strategies played here against the library's own matches, and against the scripts of the same name."""

from __future__ import annotations

import itertools
import math
import sys
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from sepo.errors import InputError
from sepo.games.axelrod import Draws, library, strategy
from sepo.games.registry import make
from sepo.policies.script import played
from sepo.solve.expand import expand
from sepo.solve.value import expected

pytestmark = pytest.mark.skipif(find_spec("axelrod") is None, reason="needs Axelrod")  # seconds to import: not yet

TURNS = 8
PAYOFF = {"CC": (3, 3), "CD": (0, 5), "DC": (5, 0), "DD": (1, 1)}
RANDOM = [
    "ALLCorALLD",
    "AdaptorBrief",
    "ArrogantQLearner",
    "AverageCopier",
    "BushMosteller",
    "DynamicTwoTitsForTat",
    "EvolvedHMM5",
    "FirmButFair",
    "FirstByAnonymous",
    "FirstByFeld",
    "FirstByGrofman",
    "FirstByJoss",
    "ForgetfulFoolMeOnce",
    "GTFT",
    "Inverse",
    "NaiveProber",
    "Negation",
    "Random",
    "RandomTitForTat",
    "RemorsefulProber",
    "SecondByEatherley",
    "SelfSteem",
    "Stalker",
    "StochasticWSLS",
    "ZDExtortion",
    "Michaelos",
    "Calculator",
]
MEETS = ("TitForTat", "Alternator", "Random")


def slow() -> list[Any]:
    axelrod = library()
    more = [axelrod.MetaMajorityMemoryOne, axelrod.MetaWinnerMemoryOne, axelrod.NMWEMemoryOne]
    return [*axelrod.long_run_time_strategies, *more]


@cache
def certain() -> list[str]:
    """Name the deterministic strategies."""
    played = [s for s in library().strategies if s not in slow()]
    return [s.__name__ for s in played if not library().Classifiers["stochastic"](s())]


def exact(first: str, second: str, turns: int) -> np.ndarray:
    """Return both expected scores of a match, by following every line of play that may happen."""
    scripts = [strategy(name).script for name in (first, second)]

    def follow(rounds: tuple[str, ...], probability: float) -> np.ndarray:
        if len(rounds) == turns:
            return probability * np.array([sum(PAYOFF[r][seat] for r in rounds) for seat in (0, 1)], dtype=float)
        seen = (rounds, tuple(r[::-1] for r in rounds))
        p, q = (script.cooperation(s, turns) for script, s in zip(scripts, seen, strict=True))
        out = np.zeros(2)
        for own, other in itertools.product("CD", repeat=2):
            share = (p if own == "C" else 1 - p) * (q if other == "C" else 1 - q)
            if share > 0:
                out += follow((*rounds, own + other), probability * share)
        return out

    return follow((), 1.0)


def matches(first: str, second: str, turns: int, repetitions: int) -> np.ndarray:
    """Return both scores of Axelrod's own matches. (repetitions, 2)."""
    pair = [getattr(library(), name)() for name in (first, second)]
    match = library().Match(pair, turns=turns, seed=5)
    scores = []
    for _ in range(repetitions):
        match.play()
        scores.append(match.final_score())
    return np.array(scores, dtype=float)


@pytest.mark.parametrize("opponent", ["TitForTat", "Alternator", "Grudger"])
def test_every_deterministic_strategy_scores_as_in_axelrods_match(opponent):
    assert len(certain()) > 140
    for name in certain():
        assert exact(name, opponent, TURNS) == pytest.approx(matches(name, opponent, TURNS, 1)[0], abs=1e-12), name


@pytest.mark.parametrize("name", RANDOM)
def test_a_stochastic_strategy_scores_on_average_as_in_axelrods_matches(name):
    for opponent in MEETS:
        turns = 4 if opponent == "Random" else 6
        theirs = matches(name, opponent, turns, 400)
        error = theirs.std(axis=0, ddof=1) / math.sqrt(len(theirs))
        assert (abs(exact(name, opponent, turns) - theirs.mean(axis=0)) <= 4.5 * error + 1e-9).all(), opponent


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("always_cooperate", "Cooperator"),
        ("always_defect", "Defector"),
        ("tit_for_tat", "TitForTat"),
        ("generous_tit_for_tat", "GTFT"),
        ("grim_trigger", "Grudger"),
        ("mixed", "Random"),
        ("alternating_defect", "CyclerDC"),
        ("suspicious_tit_for_tat", "SuspiciousTitForTat"),
        ("tit_for_two_tats", "TitFor2Tats"),
        ("pavlov", "WinStayLoseShift"),
    ],
)
def test_our_scripts_answer_as_their_namesakes_at_every_history(ours, theirs):
    game = make("ipd", {"rounds": 5})
    script, namesake = game.opponents[ours], strategy(theirs)
    for info in expand(game).infosets:
        expectation = played(script, info.decision)
        if ours == "generous_tit_for_tat" and 0 < expectation[0] < 1:  # Axelrod's forgives with min(1-2/3, 2/4)
            expectation = np.array([1 / 3, 2 / 3])
        assert played(namesake, info.decision) == pytest.approx(expectation, abs=1e-12), info.key


@pytest.mark.parametrize("first", ["FirmButFair", "NaiveProber", "HardProber", "Gradual"])
def test_on_the_tree_a_strategy_is_worth_what_following_every_line_gives(first):
    tree = expand(make("ipd", {"rounds": 4}))
    pair = [np.concatenate([played(strategy(n), i.decision) for i in tree.infosets]) for n in (first, "Random")]
    profile = tree.join(0, *pair)
    found = [expected(tree, profile, tree.feature(name, 0)) for name in ("own", "other")]
    assert found == pytest.approx(exact(first, "Random", 4), abs=1e-12)


def test_what_a_player_did_tells_how_its_hidden_draws_fell():
    # ALLCorALLD cooperates at first with 0.6 and repeats itself ever after.
    script = strategy("ALLCorALLD").script
    assert script.cooperation((), 8) == pytest.approx(0.6)
    assert script.cooperation(("CD", "CD"), 8) == 1.0
    assert script.cooperation(("DC",), 8) == 0.0
    # A uniform share of cooperation in [0.3, 0.7) is drawn anew in every round: its mean, whatever was seen.
    assert strategy("FirstByAnonymous").script.cooperation(("CD", "DC"), 8) == pytest.approx(0.5)


def test_strategies_know_the_length_of_the_game():
    assert strategy("BackStabber").script.cooperation(("CC",) * 5, 8) == 1.0
    assert strategy("BackStabber").script.cooperation(("CC",) * 5, 6) == 0.0


def test_a_history_off_the_path_is_answered_too():
    p = strategy("GTFT").script.cooperation(("DD", "DD"), 8)
    assert p == pytest.approx(1 / 3)
    assert strategy("TitForTat").script.cooperation(("DD", "DC"), 8) == 1.0


def test_comparisons_narrow_a_uniform_number_and_have_its_probabilities():
    def share(question) -> float:
        true, pending = 0.0, [()]
        while pending:
            draws = Draws("it", library().Action, pending.pop(), 0)
            true += question(draws.random()) * draws.probability
            pending += draws.others
        return true

    assert share(lambda u: u < 0.3) == pytest.approx(0.3)
    assert share(lambda u: 0.3 > u) == pytest.approx(0.3)  # noqa: SIM300
    assert share(lambda u: u < np.float64(0.3)) == pytest.approx(0.3)
    assert share(lambda u: np.float64(0.3) >= u) == pytest.approx(0.3)
    assert share(lambda u: u > 0.2 and u <= 0.5) == pytest.approx(0.3)
    assert share(lambda u: u >= 0.5 or u < 0.1) == pytest.approx(0.6)
    assert share(lambda u: u / 2 < 0.4) == pytest.approx(0.8)


@pytest.mark.parametrize("use", [lambda u: u + 1, lambda u: 2 * u, float, lambda u: u < u, lambda u: -u])
def test_a_number_that_is_more_than_compared_is_refused(use):
    draws = Draws("axelrod:It", library().Action, (), 0)
    with pytest.raises(InputError, match=r"'axelrod:It' cannot be played here"):
        use(draws.random())
    with pytest.raises(InputError, match="cannot be enumerated"):
        draws.random_vector(3)


def test_it_is_named_and_described_and_made_once():
    found = strategy("axelrod:TitFor2Tats")
    assert found.name == "axelrod:TitFor2Tats"
    assert "defects only after two defects by opponent" in found.about
    assert found is strategy("TitFor2Tats")
    assert all(strategy(n).about and "\n" not in strategy(n).about for n in certain())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("titfortat", "did you mean TitForTat"),
        ("TitFor3Tats", "did you mean .*TitFor2Tats"),
        ("", "unknown strategy"),
        ("Xyzzy", "unknown strategy"),
        ("Darwin", "inspects or manipulates other players"),
        ("MetaWinner", "takes too long"),
        ("NMWEMemoryOne", "takes too long"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(name, message):
    with pytest.raises(InputError, match=message) as error:
        strategy(name)
    assert "\n" not in str(error.value)


def test_all_but_the_cheats_and_the_slow_are_played():
    refused = []
    for made in library().all_strategies:
        try:
            strategy(made.__name__)
        except InputError:
            refused.append(made)
    assert {s.__name__ for s in refused} == {s.__name__ for s in (*slow(), library().Darwin)}


def test_another_game_is_refused():
    tree = expand(make("kuhn"))
    with pytest.raises(InputError, match="plays game 'ipd', not 'kuhn'"):
        strategy("TitForTat").script(tree.infosets[0].decision)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "axelrod", None)
    with pytest.raises(InputError, match=r"pip install sepo\[axelrod\]"):
        strategy("TitForTat")
