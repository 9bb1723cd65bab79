"""Figures of a policy that is only known from samples: what they come to, and how far they may be off.

At each information state the counts of its answers, and of the times that none was legal, leave a Dirichlet
distribution over what its policy is there, the states independent of each other. Whole policies are drawn from it, and
the figures of each are exact. The figure itself is that of the shares of the answers: where it is a sum over paths,
each state on a path once, that is unbiased.

A maximum over opponents is not. The best response to the shares also exploits their noise, so what it gains is too much
on average. So the opponent is found on one half of the samples and valued on the other, and the other way round: what
an opponent that is found gains is unbiased for that opponent, hence at most the maximum on average. The interval runs
from the lower end of that to the upper end of the biased one, and the figure says both. What makes an opponent found on
one half do well on the other makes the reverse so too, so the two are drawn as if they rose and fell together.

What was never seen may happen yet, so the distribution has a prior, worth one answer. It pulls a state towards uniform
play, and over a path of many states that adds up to more than chance does. So every policy is drawn twice, with the
prior and without it, which is right on average; a figure's interval is the middle 95 % of the lesser of the two to that
of the greater. So goes C. Clopper's and E. Pearson's interval of a share, from Beta(c, n - c + 1) to Beta(c + 1, n - c)
("The use of confidence or fiducial limits", Biometrika 26, 1934), whose ends differ by where the prior's answer is put.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from sepo.audit.board import Match
from sepo.audit.estimate import ANYTHING
from sepo.audit.exact import Expectations, beyond, dues, pursued
from sepo.audit.figures import ANYONE, SHARE, Figure, Get, Range, exactly, of
from sepo.audit.found import Found, ends, number
from sepo.games.base import Game
from sepo.keys import generator
from sepo.play.lockstep import FAULTS, REPLIES
from sepo.policies.base import PRIOR, Estimated, Tally
from sepo.solve.response import best_response, best_responses
from sepo.solve.tree import Floats
from sepo.solve.value import infoset_reach, move_reach

DRAWS = 400
BLOCK = 4_000_000
"""Moves of all policies drawn that are evaluated at once."""


class Extreme(NamedTuple):
    """An extreme over all opponents, per round.

    Attributes
    ----------
    valued
        Found on one half of the samples and valued on the other.
    plug_in
        At the shares of all samples, where it was found: biased upward.
    drawn
        Of the policies drawn: from what those found gain to the most that can be gained. (draws,).
    """

    valued: float
    plug_in: float
    drawn: Range


class Posterior:
    """Policies drawn from what is known of one.

    Parameters
    ----------
    matches
        Every meeting in which the policy matters; their trees hold every action of the learner's.
    key
        Of the draws.
    """

    def __init__(self, policy: Estimated, matches: Sequence[Match], key: tuple[object, ...]) -> None:
        self.key = key
        asked = {i.key: i.decision for m in matches for i in m.tree.infosets if i.seat == m.seat}
        self.tallies = {k: policy.tally(d) for k, d in asked.items()}
        ends = np.cumsum([0, *(len(d.legal) for d in asked.values())])
        self.starts = dict(zip(asked, ends.tolist(), strict=False))  # where a state stands in a policy
        self.whole = self._drawn()
        self.halves = [self._drawn(half) for half in (0, 1)]
        self.shares = np.stack(
            [np.concatenate([t.shares(halves) for t in self.tallies.values()]) for halves in ((0,), (1,), (0, 1))]
        )

    def _drawn(self, *half: int) -> Floats:
        """Return policies drawn from all answers or half of them: with the prior, then without. (2 draws, entries)."""
        found = [
            t.drawn(generator("posterior", *self.key, k, *half), DRAWS, half or (0, 1)) for k, t in self.tallies.items()
        ]
        return np.concatenate(found, axis=-1).reshape(2 * DRAWS, -1)

    @property
    def answers(self) -> int:
        """Answers drawn in all, retries aside."""
        return sum(t.asked for t in self.tallies.values())

    def expectations(self, meetings: Mapping[str, Sequence[Match]]) -> Expectations:
        """Return every quantity of the meetings, by opponent, for every policy drawn."""
        out = Expectations()
        for name, matches in meetings.items():
            found = [self._quantities(m) for m in matches]
            for quantity in dict.fromkeys(q for f in found for q in f):
                out.add(name, quantity, np.mean([f.get(quantity, np.zeros(2 * DRAWS)) for f in found], axis=0))
        return out

    def extremes(self, anyone: Sequence[Match]) -> dict[str, Extreme]:
        """Return what an opponent can gain at most, by what it goes after, in meetings with anyone."""
        out = {}
        for quantity, objective in pursued(anyone[0].tree.game).items():
            plus = beyond(anyone[0].tree.game, quantity)
            if plus is None:
                continue
            found = [self._most(m, objective) for m in anyone]
            valued, plug_in, low, high = (np.mean(part, axis=0) + plus for part in zip(*found, strict=True))
            out[quantity] = Extreme(float(valued), float(plug_in), Range(low, low, high))
        return out

    def _quantities(self, m: Match) -> dict[str, Floats]:
        """Return the quantities of a meeting, per round. (draws,) each."""
        return _expected(m, self._played(m, self.whole), dues(m))

    def _most(self, m: Match, objective: Mapping[str, float]) -> tuple[float, float, Floats, Floats]:
        """Return an extreme in one meeting: valued, at the shares, and the ends of the draws, per round."""
        tree, other = m.tree, 1 - m.seat
        due = tree.combine(other, objective)

        def best(profile: Floats) -> Floats:
            return best_response(tree, profile, other, due).strategy

        def gain(answer: Floats, profiles: Floats) -> Floats:
            return _expected(m, np.where(tree.seat == other, answer, profiles), {"due": due})["due"]

        shares = self._played(m, self.shares)
        answers = [best(profile) for profile in shares]
        whole = self._played(m, self.whole)
        valued = np.mean([gain(answers[1 - half], shares[[half]]) for half in (0, 1)])
        halves = [gain(answers[1 - half], self._played(m, self.halves[half])).reshape(2, DRAWS) for half in (0, 1)]
        mean: Floats = np.mean(np.sort(halves), axis=0)
        low = mean[:, generator("order", m.seat, *self.key).permutation(DRAWS)].ravel()
        high = np.concatenate([self._gained(m, block, due) for block in _blocks(m, whole)])
        return float(valued), float(gain(answers[2], shares[[2]])[0]), low, high

    @staticmethod
    def _gained(m: Match, profiles: Floats, due: Floats) -> Floats:
        """Return the most that the other seat can gain per round at each profile. (profiles,)."""
        tree, other = m.tree, 1 - m.seat
        answers = best_responses(tree, profiles, other, due)
        passed = move_reach(tree, np.where(tree.seat == other, answers, profiles))
        # row by row: a product of all rows at once would be summed in another order
        return np.concatenate([row[None] @ due for row in passed]) / tree.game.rounds

    def _played(self, m: Match, policies: Floats) -> Floats:
        """Return a meeting's profiles with the learner playing each of some policies. (policies, entries)."""
        out = np.tile(m.profile, (len(policies), 1))
        for info in m.tree.infosets:
            if info.seat == m.seat:
                start = self.starts[info.key]
                out[:, info.entries] = policies[:, start : start + len(info.decision.legal)]
        return out


def _expected(m: Match, profiles: Floats, falls: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return what falls due per round, on average, at each profile. (profiles,) each."""
    parts = []
    for block in _blocks(m, profiles):
        passed = move_reach(m.tree, block)
        parts.append({name: passed @ due / m.tree.game.rounds for name, due in falls.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in falls}


def _blocks(m: Match, profiles: Floats) -> Iterable[Floats]:
    """Yield some profiles after others, few enough at once to be evaluated together."""
    size = max(1, BLOCK // m.tree.moves)
    for start in range(0, len(profiles), size):
        yield profiles[start : start + size]


@dataclass
class FromReplies(Found):
    """What is known of a policy from samples of its answers.

    Attributes
    ----------
    drawn
        The quantities of policies drawn from the posterior, one row each.
    plug_in
        Extremes over all opponents at the shares themselves, biased upward.
    answers
        Answers drawn in all, retries aside: the ``n`` of a figure.
    """

    drawn: Expectations = field(default_factory=Expectations)
    plug_in: dict[tuple[str, str], Range] = field(default_factory=dict)
    answers: int = 0

    def figure(
        self,
        formula: Figure | None,
        key: tuple[object, ...],
        span: tuple[float, float] = ANYTHING,
    ) -> dict[str, Any] | None:
        """Return a figure of the scorecard; None where it does not apply or is not defined."""
        if formula is None:
            return None
        means = self.values.rows.mean(axis=0, keepdims=True)
        middle = formula(self.values.get(means))
        if not np.isfinite(middle.value).all():
            return None
        low, high = ends(self.posterior(formula))
        value = float(middle.value[0])
        out: dict[str, Any] = {"value": value, "low": number(min(low, value)), "high": number(max(high, value))}
        asked: set[str] = set()
        biased = formula(_noting(replace(self.values, fixed=self.plug_in).get(means), asked))
        if ANYONE in asked:
            out["found"] = float(biased.value[0])
        return out | {"n": self.answers}

    @property
    def uncertain(self) -> bool:
        """It is."""
        return True

    def posterior(self, formula: Figure) -> Range:
        """Return a figure of every policy drawn: by itself, and the least and the most of it with the prior or without.

        (draws,).
        """
        for opponent, quantity in self.values.columns:
            self.drawn.absent(opponent, quantity)
        rows = self.drawn.rows
        value, low, high = (np.broadcast_to(x, (len(rows),)).reshape(2, -1) for x in formula(self.drawn.get(rows)))
        return Range(value[0], low.min(axis=0), high.max(axis=0))


def _noting(get: Get, asked: set[str]) -> Get:
    """Note which opponents a figure asks for quantities of."""

    def ask(opponent: str, due: Mapping[str, float]) -> Range:
        asked.add(opponent)
        return get(opponent, due)

    return ask


def from_replies(
    policy: Estimated,
    values: Expectations,
    meetings: Mapping[str, Sequence[Match]],
    anyone: Sequence[Match],
    key: tuple[object, ...],
    game: Game,
) -> FromReplies:
    """Return what is known of a policy whose states were asked about by samples.

    Parameters
    ----------
    values
        The quantities at the shares of the answers; the extremes over all opponents are added to them.
    meetings, anyone
        By opponent, and with anyone at all; none where those trees are too large.
    """
    values.unknown = False  # where nothing was asked the prior is drawn from
    drawn = Posterior(policy, [*(m for ms in meetings.values() for m in ms), *anyone], key)
    out = FromReplies(game, "estimated", values, {}, drawn=drawn.expectations(meetings), answers=drawn.answers)
    for name, quantity in values.columns:
        if quantity == "best":  # of a scripted opponent alone: exact
            out.drawn.add(name, quantity, np.full(2 * DRAWS, values.values[values.columns[name, quantity]].mean()))
    for quantity, extreme in (drawn.extremes(anyone) if anyone else {}).items():
        values.fix(ANYONE, quantity, *[extreme.valued] * 3)
        out.plug_in[ANYONE, quantity] = exactly(np.array([extreme.plug_in]))
        out.drawn.fixed[ANYONE, quantity] = extreme.drawn
    return out


def illegal_rate(
    matches: Sequence[Match], tallies: Mapping[str, Tally], key: tuple[object, ...]
) -> dict[str, float | int | None] | None:
    """Return the share of replies that were no legal action, over the decisions met in some meetings.

    Each decision's share has the distribution that its own replies leave of it. The prior is worth one reply, which all
    decisions share as they are reached: one at each would add up over them to faults that nobody saw.
    """
    reached: dict[str, float] = {}
    for m in matches:
        for info, r in zip(m.tree.infosets, infoset_reach(m.tree, m.profile).tolist(), strict=True):
            if info.seat == m.seat and r > 0 and info.key in tallies:
                reached[info.key] = reached.get(info.key, 0.0) + r
    if not reached:
        return None
    value, drawn, total = 0.0, np.zeros(DRAWS), sum(reached.values())
    for k, r in reached.items():
        faults = tallies[k].illegal + tallies[k].truncated
        legal, weight = tallies[k].replies - faults, r / total
        prior = PRIOR / 2 * weight
        value += weight * faults / tallies[k].replies
        drawn += weight * generator("illegal", *key, k).beta(faults + prior, legal + prior, DRAWS)
    low, high = ends(Range(drawn, drawn, drawn))
    return {
        "value": value,
        "low": min(low, value),
        "high": max(high, value),
        "n": sum(tallies[k].replies for k in reached),
    }


def share_illegal(found: Found, opponents: Sequence[str], key: tuple[object, ...]) -> dict[str, Any] | None:
    """Return the share of replies in play that were no legal action, over the clusters that were played.

    Where no cluster differs from another, as where none had a fault, the interval is that of ``estimate.unseen``: all
    that a cluster holds may go wrong together.
    """
    for values in (found.values, *([] if found.plain is None else [found.plain])):
        for o in opponents:
            values.absent(o, FAULTS)
            values.absent(o, REPLIES)
    faults, replies = (of(opponents, {quantity: 1.0}) for quantity in (FAULTS, REPLIES))
    out: dict[str, Any] | None = found.figure(lambda get: faults(get).over(replies(get)), key, span=SHARE)
    if out is None or out["low"] is None or out["high"] is None:
        return out
    return out | {"low": max(0.0, out["low"]), "high": min(1.0, out["high"])}


def told(tallies: Iterable[Tally]) -> dict[str, int]:
    """Return what came of the replies: how many decisions were put, replies read, and how many of them were faulty."""
    found = list(tallies)
    return {
        "decisions": sum(t.asked for t in found),
        "replies": sum(t.replies for t in found),
        "illegal": sum(t.illegal for t in found),
        "truncated": sum(t.truncated for t in found),
        "unanswered": sum(int(t.none.sum()) for t in found),
    }
