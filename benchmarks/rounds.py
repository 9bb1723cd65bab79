"""Rounds of the Iterated Prisoner's Dilemma: episodes in lockstep on arrays against Axelrod's matches."""

from __future__ import annotations

import numpy as np

from sepo.audit.board import Subject, match
from sepo.errors import InputError
from sepo.games.ipd import Ipd
from sepo.keys import generator
from sepo.play.rollout import rollout
from sepo.policies.script import ScriptPolicy

from .timing import Comparison, Say, Way

EPISODES = 50_000
MATCHES = 500
ROUNDS = 8
PAIRS = (("tit_for_tat", "TitForTat"), ("mixed", "Random"), ("grim_trigger", "Grudger"), ("pavlov", "WinStayLoseShift"))


def prepare(say: Say) -> Comparison:
    """Let four strategies meet one another, ours and Axelrod's, and hold their scores against each other.

    Raises
    ------
    InputError
        If Axelrod is not installed, or mean scores of the two differ by more than chance allows.
    """
    try:
        import axelrod
    except ImportError as error:
        raise InputError(f"benchmark 'rounds' needs Axelrod: pip install 'sepo[axelrod]' ({error})") from None
    game = Ipd(ROUNDS)
    pairs = [(a, b) for a in PAIRS for b in PAIRS]

    def ours(episodes: int, *, fresh: bool) -> float:
        total = 0.0
        for (first, _), (second, _) in pairs:
            m = match(Subject(game, ScriptPolicy(f"script:{first}", first)), second, 0) if fresh else met[first, second]
            lots = generator("bench", first, second).random((episodes, len(m.tree.levels) - 1))
            moves = rollout(m.tree, m.profile, lots).moves
            total += float(m.tree.feature("own", 0)[np.where(moves >= 0, moves, 0)].sum())
        return total / (episodes * ROUNDS * len(pairs))

    def theirs(matches: int) -> float:
        total = 0.0
        for (_, first), (_, second) in pairs:
            for seed in range(matches):
                played = axelrod.Match((getattr(axelrod, first)(), getattr(axelrod, second)()), turns=ROUNDS, seed=seed)
                played.play()
                total += played.final_score()[0]
        return total / (matches * ROUNDS * len(pairs))

    met = {(a, b): match(Subject(game, ScriptPolicy(f"script:{a}", a)), b, 0) for (a, _), (b, _) in pairs}
    mine, reference = ours(2000, fresh=False), theirs(50)
    if abs(mine - reference) > 0.05:
        raise InputError(f"benchmark 'rounds': mean scores differ, {mine:.3f} and {reference:.3f} points per round")
    rounds = EPISODES * ROUNDS * len(pairs)
    return Comparison(
        about=f"{rounds:,} rounds of ipd between four strategies, every pair of them, matches of {ROUNDS} rounds",
        ways=[
            Way(
                "Axelrod",
                lambda: _done(theirs(MATCHES)),
                {"rounds": rounds, "matches timed": MATCHES * len(pairs)},
                f"{MATCHES} matches a pair, scaled",
                scale=EPISODES / MATCHES,
            ),
            Way("sepo", lambda: _done(ours(EPISODES, fresh=False)), {"rounds": rounds}, "trees of the meetings held"),
            Way(
                "sepo, from nothing", lambda: _done(ours(EPISODES, fresh=True)), {"rounds": rounds}, "trees walked anew"
            ),
        ],
        ratios={
            "lockstep vs Axelrod": ("Axelrod", "sepo"),
            "from nothing vs Axelrod": ("Axelrod", "sepo, from nothing"),
        },
        repeats=3,
    )


def _done(score: float) -> None:
    """Return nothing: the whole call is what is timed."""
