"""Episodes in lockstep for games too large for a tree: all running ones ask at once, and the same question once.

Randomness is a uniform number per cluster and move. All opponents, seats and policies that play a cluster share its
numbers, so they meet the same deals and the same coins; differences between them are then paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sepo.errors import ContractError
from sepo.games.base import CHANCE, TERMINAL, Decision, Game, Opponent, State
from sepo.games.held import PLAY, hold_to_divisors, hold_to_figures
from sepo.games.repeated import RepeatedGame, Stage
from sepo.keys import generator
from sepo.policies.base import Estimated, Policy, answered
from sepo.policies.script import played
from sepo.solve.tree import Floats

LEGAL_MASS, DECISIONS = "legal mass", "decisions asked"
"""Quantities of a model: its probability on legal replies, summed over the decisions it was asked."""
REPLIES, FAULTS = "replies read", "faulty replies"
"""Quantities of a model that writes: its replies, and those of them that were no legal answer or never ended."""
LONGEST = 10_000
"""Moves after which an episode is taken to be endless."""
BLOCK = 256
"""Numbers of a party drawn at once."""
Tell = Callable[[int, int], None]


class Fell(NamedTuple):
    """What fell due on a move.

    Attributes
    ----------
    own
        Whether it was the learner's.
    round
        The round that it belonged to.
    due
        By quantity, as a tree's features are named.
    """

    own: bool
    round: int
    due: Mapping[str, float]


@dataclass
class Episode:
    """One episode and what it has collected.

    Attributes
    ----------
    cluster, opponent, seat
        Which cluster of random numbers it plays, against whom, and the learner's seat.
    member
        Of those that share all three, which.
    fell
        What fell due, move by move.
    plain
        What fell due, by quantity.
    expected
        The same with each round's part replaced by its expectation, given what was known when the round began.
    """

    cluster: int
    opponent: Opponent
    seat: int
    state: State
    plain: dict[str, float] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)
    answer: Floats | None = None
    moves: int = 0
    member: int = 0
    fell: list[Fell] = field(default_factory=list)


Ask = Callable[[Sequence[Episode], Sequence[Decision]], Sequence[Floats]]
"""Answers the decisions at which episodes stand, each with a distribution over its legal actions."""


def play(
    policy: Policy,
    game: Game,
    opponents: Sequence[Opponent],
    clusters: Sequence[int],
    key: tuple[object, ...],
    tell: Tell = lambda done, total: None,
) -> list[Episode]:
    """Play one episode per cluster, opponent and seat of the learner.

    Parameters
    ----------
    clusters
        Numbers of the clusters. In a game that draws an instance at first, cluster k plays instance k.
    key
        Of the randomness, without the policy: policies that are compared share it.

    Raises
    ------
    ContractError
        If an episode does not end, an answer is no distribution over the legal actions, or the game's figures would
        not be what they say (see ``games.held``).
    """
    out = [Episode(k, o, s, game.root()) for k in clusters for o in opponents for s in game.seats]
    run(out, game, key, _asking(policy), policy.legal_mass, tell)
    return out


def _asking(policy: Policy) -> Ask:
    """Return how episodes ask a policy: one that draws its answers draws by the episode, whoever else plays."""
    if not isinstance(policy, Estimated):
        return lambda _, decisions: answered(policy, decisions)

    def ask(asking: Sequence[Episode], decisions: Sequence[Decision]) -> list[Floats]:
        found = policy.replies(decisions, [(e.cluster, e.opponent.name, e.seat, e.moves) for e in asking])
        for e, one in zip(asking, found, strict=True):
            if one.tally is not None:
                for sums in (e.plain, e.expected):
                    _add(sums, REPLIES, one.tally.replies)
                    _add(sums, FAULTS, one.tally.illegal + one.tally.truncated)
        return [one.p for one in found]

    return ask


def run(
    out: Sequence[Episode],
    game: Game,
    key: tuple[object, ...],
    ask: Ask,
    masses: Callable[[], Mapping[str, float] | None] = lambda: None,
    tell: Tell = lambda done, total: None,
) -> None:
    """Play episodes to their ends, in place.

    Parameters
    ----------
    key
        Of the randomness; episodes of a cluster share its numbers.
    masses
        The probability on legal replies by decision, of a model that knows it.

    Raises
    ------
    ContractError
        As ``play`` does.
    """
    hold_to_figures(game)
    lots = {k: Lots(generator(*key, k), ("chance", "opponent", "learner")) for k in {e.cluster for e in out}}
    running = out
    while running := [e for e in running if e.state.actor != TERMINAL]:
        _advance_to_learner(running, game, lots)
        asking = [e for e in running if e.state.actor == e.seat]
        _ask(ask, masses, game, asking)
        for e in asking:
            assert e.answer is not None
            _move(e, game, e.state.legal(), e.answer, lots[e.cluster], "learner")
        tell(len(out) - len(running), len(out))


class Lots:
    """A cluster's uniform numbers: one per move of each party, whoever else plays."""

    def __init__(self, rng: np.random.Generator, parties: Sequence[str]) -> None:
        self._rng, self._parties = rng, parties
        self._blocks: list[dict[str, Floats]] = []

    def __call__(self, party: str, number: int) -> float:
        """Return the number that decides a party's move."""
        which, place = divmod(number, BLOCK)
        while len(self._blocks) <= which:
            self._blocks.append({name: self._rng.random(BLOCK) for name in self._parties})
        return float(self._blocks[which][party][place])


def _advance_to_learner(running: Sequence[Episode], game: Game, lots: Mapping[int, Lots]) -> None:
    """Let chance and the opponents move until the learner is to move, or the episode ends."""
    for e in running:
        while (actor := e.state.actor) not in (e.seat, TERMINAL):
            if actor == CHANCE:
                outcomes = e.state.chance()
                labels = tuple(label for label, _ in outcomes)
                if game.sampled_chance and e.moves == 0:
                    p = np.zeros(len(labels))
                    p[e.cluster % len(labels)] = 1.0
                else:
                    p = np.array([p for _, p in outcomes])
                _move(e, game, labels, p, lots[e.cluster], "chance")
            else:
                decision = game.decision(e.state)
                _move(e, game, decision.legal, played(e.opponent, decision), lots[e.cluster], "opponent")


def _ask(ask: Ask, masses: Callable[[], Mapping[str, float] | None], game: Game, asking: Sequence[Episode]) -> None:
    """Put the questions of all episodes in one batch, and take the round's expectations from the answers."""
    if not asking:
        return
    asked = [game.decision(e.state) for e in asking]
    answers = ask(asking, asked)
    mass = masses() or {}
    for e, decision, p in zip(asking, asked, answers, strict=True):
        k = decision.key
        e.answer = p / p.sum()
        if k in mass:
            for sums in (e.plain, e.expected):
                _add(sums, LEGAL_MASS, mass[k])
                _add(sums, DECISIONS, 1.0)
        if isinstance(game, RepeatedGame) and isinstance(e.state, Stage) and e.seat == 0:
            _expect(e, game, e.state)
        else:
            for action, p in zip(e.state.legal(), e.answer.tolist(), strict=True):
                _add(e.expected, f"{PLAY}{e.seat} {game.bucket(action)}", p)


def _expect(e: Episode, game: RepeatedGame, stage: Stage) -> None:
    """Add what this round is worth on average, over both sides' actions, to the episode's expectations."""
    assert e.answer is not None
    legal = stage.legal()
    other = game.decision(stage.child(legal[0]))  # seat 1 has not seen what seat 0 chooses
    replies = [(b, q) for b, q in zip(other.legal, played(e.opponent, other).tolist(), strict=True) if q > 0]
    for a, p in zip(legal, e.answer.tolist(), strict=True):
        if p <= 0:
            continue
        _add(e.expected, f"{PLAY}0 {game.bucket(a)}", p)
        for b, q in replies:
            end = game.settled(stage.public, stage.private, a, b)
            _add(e.expected, "own", p * q * end.rewards[0])
            _add(e.expected, "other", p * q * end.rewards[1])
            for name, value in zip(game.features, end.features[0], strict=True):
                if value:
                    _add(e.expected, name, p * q * value)


def _move(e: Episode, game: Game, legal: Sequence[str], p: Floats, lots: Lots, party: str) -> None:
    """Draw an action and enter the state after it."""
    if e.moves >= LONGEST:
        raise ContractError(f"game '{game.name}': an episode has more than {LONGEST} moves, at {e.state!r}")
    which = drawn(p, lots(party, e.moves))
    if party == "learner":
        _add(e.plain, f"{PLAY}{e.seat} {game.bucket(legal[which])}", 1.0)
    e.state = e.state.child(legal[which])
    e.moves += 1
    own, other = e.state.rewards()
    if e.seat == 1:
        own, other = other, own
    due = {"own": own, "other": other}
    due |= {name: value for name, value in zip(game.features, e.state.features(e.seat), strict=True) if value}
    for name, value in due.items():
        _add(e.plain, name, value)
    hold_to_divisors(game, due, f"at {e.state!r}")
    over = {"round": float(game.rounds)} if e.state.actor == TERMINAL else {}
    e.fell.append(Fell(party == "learner", e.state.round, due | over))


def drawn(p: Floats, lot: float) -> int:
    """Return the action that a uniform number draws from probabilities, (actions,), that need not sum to 1."""
    cumulative = np.cumsum(p)
    which = min(int(np.searchsorted(cumulative, lot * cumulative[-1], side="right")), len(p) - 1)
    while p[which] <= 0:  # rounding at the very end
        which -= 1
    return which


def _add(sums: dict[str, Any], name: str, value: float) -> None:
    sums[name] = sums.get(name, 0.0) + value
