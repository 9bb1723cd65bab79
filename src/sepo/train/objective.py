"""From the terms of J to a weight for every action: who is credited with what.

J is a sum of terms, each the expected return of the learner's own actions in that term's episodes, so the
gradient of a penalty lives in the exploiter's and the partner's episodes. ``credit`` says where a
penalty is charged:

=============  =========================================================================================
``credited``   to the actions of the episodes in which it arises: the gradient of J
``rollout``    a fresh penalty episode per rollout, charged to that rollout's *training* actions, as in the
               published method: the two are independent given the policy, so the expected gradient is 0
``constant``   one number for the whole group: the group's baseline removes it exactly
=============  =========================================================================================

Weights multiply probability ratios: the gradient of ``sum(weights * ratio)`` at ratio 1 is the gradient of
J (for ``credited``, unscaled, without ``immediate``). Shapes: weights and strategies are (entries,) over a tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sepo.audit.measures import KINDS, Kind, Play, Term, gradient, playing
from sepo.play.rollout import grouped_rollout, grouped_rollouts
from sepo.solve.gradient import action_gradient, centred
from sepo.solve.tree import Floats, Ints, Layout
from sepo.solve.value import infoset_reach
from sepo.train.credit import EPSILON, Credit, CreditRules, advantages_of, mean_square, root_mean_square

__all__ = ["Credit", "CreditRules", "LedgerRow", "Signal", "action_weights", "signal", "tangent"]

VANISHING = 1e-3
"""A gradient this much smaller than its summand has all but vanished."""


class LedgerRow(NamedTuple):
    """What one measure contributed to a step.

    ``value`` is its summand of J. ``variance`` is the within-group variance of what episodes were credited
    with. ``advantage_share`` is its share of the advantage's variance (shares sum to 1 and may be negative),
    ``gradient_share`` its share of the gradient's norm over action probabilities. ``recovered`` is the
    projection of its weights on the exact gradient of that summand: 1 where the gradient is the true one, 0
    where the penalty does not reach the policy; None where the exact gradient is zero.
    """

    kind: Kind
    value: float
    variance: float
    advantage_share: float
    gradient_share: float
    recovered: float | None

    @property
    def dead(self) -> bool:
        """Whether a penalty has a value and a true gradient, and none of it reaches the policy."""
        return self.kind != "u" and abs(self.value) > 1e-9 and self.gradient_share < 1e-9 and self.recovered is not None


class Signal(NamedTuple):
    """The weights of a step, (entries,), what they were divided by, and the ledger."""

    weights: Floats
    divisor: float
    ledger: tuple[LedgerRow, ...]


class _Credited(NamedTuple):
    """One measure's weights (entries,), and samples of its advantages with their probabilities.

    ``true`` says that the weights are the gradient of its summand of J itself.
    """

    weights: Floats
    advantages: Floats
    probability: Floats
    variance: float
    true: bool = False


def signal(
    space: Layout, learner: Floats | Play, terms: Sequence[Term], rules: CreditRules, key: tuple[object, ...]
) -> Signal:
    """Turn the terms of J at the policy ``learner`` into weights of its actions.

    Parameters
    ----------
    space
        How ``learner`` is laid out: the whole game's tree, or an arena's space.
    key
        Of the rollouts' randomness: run seed, arm, step.
    """
    play = playing(learner)
    found = _credits(space, play, terms, rules, key)
    divisor = _divisor(found, rules)
    return Signal(_whole(found) / divisor, divisor, _ledger(space, play, terms, found))


def action_weights(
    space: Layout, learner: Floats | Play, terms: Sequence[Term], rules: CreditRules, key: tuple[object, ...]
) -> Floats:
    """Return the weights of the ``signal`` alone, (entries,): many steps on a table need no ledger."""
    found = _credits(space, playing(learner), terms, rules, key)
    return _whole(found) / _divisor(found, rules)


def tangent(space: Layout, learner: Floats, weights: Floats) -> Floats:
    """Return the gradient of ``sum(weights * ratio)`` with respect to softmax logits, at ratio 1. (entries,)."""
    total = np.bincount(space.owner, weights, len(space.infosets))
    out: Floats = weights - learner * total[space.owner]
    return out


def _credits(
    space: Layout, play: Play, terms: Sequence[Term], rules: CreditRules, key: tuple[object, ...]
) -> dict[Kind, _Credited]:
    """Return what each measure credits the actions with."""
    if rules.estimator == "exact":
        return {kind: _exact(space, play, terms, kind, rules) for kind in KINDS}
    return _sampled(space, play.learner, terms, rules, key)


def _whole(found: Mapping[Kind, _Credited]) -> Floats:
    out: Floats = np.sum([found[k].weights for k in KINDS], axis=0)
    return out


def _advantages(found: Mapping[Kind, _Credited]) -> Floats:
    out: Floats = np.sum([found[k].advantages for k in KINDS], axis=0)
    return out


def _divisor(found: Mapping[Kind, _Credited], rules: CreditRules) -> float:
    """Return what the weights are divided by."""
    if rules.scale != "joint":
        return 1.0
    return root_mean_square(float(found["u"].probability @ _advantages(found) ** 2))


def _exact(space: Layout, play: Play, terms: Sequence[Term], kind: Kind, rules: CreditRules) -> _Credited:
    """Return the limit of infinitely many rollouts."""
    reaches, immediate = kind == "u" or rules.credit == "credited", rules.returns == "immediate"
    learner, charged = play.learner, [t for t in terms if t.kind == kind and reaches]
    slope = gradient(play, charged, immediate=immediate)
    advantages = centred(space, learner, slope)
    probability = learner / len(space.infosets)
    variance = float(probability @ advantages**2)
    return _Credited(learner * advantages, advantages, probability, variance, reaches and not immediate)


def _sampled(
    space: Layout, learner: Floats, terms: Sequence[Term], rules: CreditRules, key: tuple[object, ...]
) -> dict[Kind, _Credited]:
    """Estimate the weights from grouped rollouts against every opponent of every term."""
    episodes = rules.groups * rules.group_size
    parts: list[tuple[Kind, Ints, Floats]] = []  # measure, entry of each decision, its credit
    spread: dict[Kind, list[float]] = {k: [] for k in KINDS}
    penalties = [t for t in terms if t.kind != "u"]
    for number, term in enumerate(terms):
        if rules.credit != "credited" and term.kind != "u":
            continue
        play = _play(learner, term, rules, (*key, number))
        returns: dict[Kind, Floats] = {term.kind: term.weight * play.returns}
        if rules.credit != "credited":
            for kind in KINDS[1:]:
                charge = _charge(learner, [t for t in penalties if t.kind == kind], rules, (*key, number, kind))
                returns[kind] = term.share * np.repeat(charge[:, None], play.returns.shape[1], axis=1)
        values = {}
        if rules.baseline == "value":
            values[term.kind] = term.weight * _values(learner, term, rules)[play.entries]
        advantages = advantages_of(returns, play.mask, term.share, rules, values)
        for kind, found in advantages.items():
            parts.append((kind, play.entries[play.mask], found[play.mask]))
            spread[kind].append(mean_square(found, play.mask, rules))
    return {kind: _collected(len(learner), parts, kind, episodes, spread[kind]) for kind in KINDS}


class _Episodes(NamedTuple):
    """Own decisions of grouped episodes: (episodes, own decisions), ``mask`` where there is one."""

    entries: Ints
    mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    returns: Floats


def _play(learner: Floats, term: Term, rules: CreditRules, key: tuple[object, ...]) -> _Episodes:
    meeting, tree = term.meeting, term.meeting.tree
    profile = meeting.profile(learner)
    moves = grouped_rollout(tree, profile, term.seat, rules.groups, rules.group_size, key).moves
    due = _due(term, moves)
    own = (moves[:, 1:] >= 0) & (tree.actor[tree.child[moves[:, :-1]]] == term.seat)
    after = np.cumsum(due[:, ::-1], axis=1)[:, ::-1][:, 1:]  # what falls due after each move
    if rules.returns == "immediate":
        rounds = np.where(moves >= 0, tree.round[moves], -1)
        same = rounds[:, None, 1:] == rounds[:, 1:, None]
        later = np.triu(np.ones((due.shape[1] - 1,) * 2, dtype=bool))
        after = np.einsum("ekd,ed->ek", same & later, due[:, 1:])
    order = np.argsort(~own, axis=1, kind="stable")[:, : max(1, int(own.sum(axis=1).max()))]
    mask = np.take_along_axis(own, order, axis=1)
    made = np.where(own, meeting.at[tree.entry[moves[:, 1:]]], -1)
    entries = np.take_along_axis(made, order, axis=1)
    return _Episodes(entries, mask, np.take_along_axis(after, order, axis=1))


def _due(term: Term, moves: Ints) -> Floats:
    """Return what falls due on each move of some episodes, (episodes, depth)."""
    return np.where(moves >= 0, term.meeting.tree.combine(term.seat, term.due)[moves], 0.0)


def _charge(learner: Floats, penalties: Sequence[Term], rules: CreditRules, key: tuple[object, ...]) -> Floats:
    """Return the penalty charged to each training rollout. (episodes,).

    A published penalty episode is as long as an episode of play, so each is a mean over the game's hands.
    """
    episodes = rules.groups * rules.group_size
    if rules.credit == "constant":
        return np.full(episodes, sum(t.coefficient * t.share * t.value for t in penalties))
    out = np.zeros(episodes)
    for number, term in enumerate(penalties):
        tree = term.meeting.tree
        keys = [(*key, number, hand) for hand in range(tree.game.hands)]
        profile = term.meeting.profile(learner)
        moves = grouped_rollouts(tree, profile, term.seat, rules.groups, rules.group_size, keys).moves
        for collected in _due(term, moves).sum(axis=1).reshape(len(keys), episodes):
            out += term.weight / len(keys) * collected
    return out


def _values(learner: Floats, term: Term, rules: CreditRules) -> Floats:
    """Return each entry's information-state value in the term's episodes. (entries,)."""
    meeting, tree = term.meeting, term.meeting.tree
    profile = meeting.profile(learner)
    due = tree.combine(term.seat, term.due)
    slope = action_gradient(tree, profile, due, immediate=rules.returns == "immediate")
    reach = infoset_reach(tree, profile)
    total = np.bincount(tree.owner, profile * slope, len(tree.infosets))
    return meeting.gathered((total / np.maximum(reach, EPSILON))[tree.owner], len(learner))


def _collected(
    size: int, parts: Sequence[tuple[Kind, Ints, Floats]], kind: Kind, episodes: int, spread: Sequence[float]
) -> _Credited:
    """Sum one measure's credits by entry; its advantages stand at their place among those of all measures."""
    weights = np.zeros(size)
    for of, entries, credit in parts:
        if of == kind:
            np.add.at(weights, entries, credit / episodes)
    advantages = np.concatenate([credit if of == kind else np.zeros_like(credit) for of, _, credit in parts])
    probability = np.full(len(advantages), 1 / max(1, len(advantages)))
    return _Credited(weights, advantages, probability, float(np.mean(spread)) if spread else 0.0)


def _ledger(space: Layout, play: Play, terms: Sequence[Term], found: Mapping[Kind, _Credited]) -> tuple[LedgerRow, ...]:
    learner, total = play.learner, _advantages(found)
    slopes = {k: tangent(space, learner, found[k].weights) for k in KINDS}
    norms = {k: float(np.linalg.norm(slopes[k])) for k in KINDS}
    norm = sum(norms.values())
    square = float(found["u"].probability @ total**2)
    rows = []
    for kind in KINDS:
        own = [t for t in terms if t.kind == kind]
        if not own:
            continue
        credited = found[kind]
        true = credited.weights if credited.true else learner * centred(space, learner, gradient(play, own))
        length = float(true @ true)
        value = float(sum(t.coefficient * t.share * t.value for t in own))
        vanished = np.sqrt(length) <= VANISHING * abs(value) + EPSILON
        rows.append(
            LedgerRow(
                kind=kind,
                value=value,
                variance=credited.variance,
                advantage_share=float(credited.probability @ (credited.advantages * total)) / square
                if square > EPSILON**2
                else 0.0,
                gradient_share=norms[kind] / norm if norm > EPSILON else 0.0,
                recovered=None if vanished else float(slopes[kind] @ true) / length,
            )
        )
    return tuple(rows)
