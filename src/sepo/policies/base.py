"""The contract of a policy, and how a policy becomes a vector over a tree's entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from sepo.errors import ContractError
from sepo.games.base import Decision
from sepo.solve.tree import Floats, Ints, Tree

SUM_TOLERANCE = 1e-6
PRIOR = 1.0
"""Answers that the prior is worth at a state, shared by all that may happen there alike (W. Perks, "Some observations
on inverse probability including a new indifference rule", Journal of the Institute of Actuaries 73, 1947)."""


Key = tuple[int, *tuple[object, ...]]
"""Of a reply's randomness, the number of its cluster first."""


class Policy(Protocol):
    """A behavioural strategy: a probability for each legal action of each decision."""

    @property
    def name(self) -> str:
        """The POLICY string it was made from."""

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Answer all ``decisions`` in one batch; each answer is (legal actions,) and sums to 1."""

    def legal_mass(self) -> Mapping[str, float] | None:
        """Return, by key, the probability that the unconstrained model puts on the legal strings; None if no model."""

    def about(self) -> Mapping[str, Any]:
        """Return what a reader of the figures should know of the policy (dtype, packing, …); empty if nothing."""


@dataclass(frozen=True)
class Tally:
    """What a model that is sampled came to at one information state, in two halves of its samples.

    Attributes
    ----------
    chosen : (halves, legal actions)
        How often its answer was each legal action.
    none : (halves,)
        How often no reply was legal, retries included.
    replies, illegal, truncated
        Replies that were read, and how many of them were no legal answer or never ended.
    fallback : (legal actions,)
        The probability with which each action counts where no reply was legal.
    """

    chosen: Ints
    none: Ints
    replies: int
    illegal: int
    truncated: int
    fallback: Floats

    @property
    def asked(self) -> int:
        """How often it was asked, retries aside."""
        return int(self.chosen.sum() + self.none.sum())

    @property
    def policy(self) -> Floats:
        """The estimate of the behavioural strategy, (legal actions,): unbiased, whatever the fallback."""
        return self.shares()

    def shares(self, halves: Sequence[int] = (0, 1)) -> Floats:
        """Return the estimate from some halves of the answers, (legal actions,); uniform where there are none."""
        here = list(halves)
        chosen, none = self.chosen[here].sum(axis=0), self.none[here].sum()
        total = chosen.sum() + none
        if not total:
            return np.full(len(self.fallback), 1 / len(self.fallback))
        out: Floats = (chosen + none * self.fallback) / total
        return out

    def drawn(self, rng: np.random.Generator, draws: int, halves: Sequence[int] = (0, 1)) -> Floats:
        """Draw what the policy may be, given some halves of its answers. (2, draws, legal actions).

        What happens at the state, one of the legal answers or none, has a Dirichlet distribution. First with the prior,
        under which what was never seen may happen, then by the same draws without it, which are right on average. Where
        there are no answers the prior is all that is known.
        """
        here = list(halves)
        counts = np.append(self.chosen[here].sum(axis=0), self.none[here].sum())
        seen = rng.standard_gamma(counts, (draws, len(counts)))
        lent = rng.standard_gamma(PRIOR / len(counts), (draws, len(counts)))
        weights = np.stack([seen + lent, seen if counts.any() else lent])
        found = weights / weights.sum(axis=-1, keepdims=True)
        out: Floats = found[..., :-1] + found[..., -1:] * self.fallback
        return out

    def ends(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Return the ends of each probability's own interval, (legal actions,) each, whatever other actions there are.

        An answer counts 1 or 0, or what it is to the action as a fallback; with c their sum over n answers the ends are
        quantiles of Beta(c + 1/2, n - c + 1/2) (H. Jeffreys; L. Brown, T. Cai and A. DasGupta, "Interval estimation for
        a binomial proportion", Statistical Science 16, 2001), and the share c / n is never outside them.
        """
        from scipy.special import betaincinv  # takes long to import

        share, tail = self.policy, (1 - level) / 2
        c = share * self.asked
        low, high = (betaincinv(c + 0.5, self.asked - c + 0.5, q) for q in (tail, 1 - tail))
        return np.minimum(low, share), np.maximum(high, share)

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        arrays = {name: getattr(self, name).tolist() for name in ("chosen", "none", "fallback")}
        return arrays | {name: getattr(self, name) for name in ("replies", "illegal", "truncated")}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Tally:
        """Read one."""
        chosen, none = (np.array(document[name], dtype=np.int64) for name in ("chosen", "none"))
        counts = {name: document[name] for name in ("replies", "illegal", "truncated")}
        return cls(chosen=chosen, none=none, fallback=np.array(document["fallback"], dtype=float), **counts)

    def plus(self, other: Tally) -> Tally:
        """Add what was asked in another go."""
        return Tally(
            self.chosen + other.chosen,
            self.none + other.none,
            self.replies + other.replies,
            self.illegal + other.illegal,
            self.truncated + other.truncated,
            self.fallback,
        )


class Refused(NamedTuple):
    """A reply that was no answer, and why: ``illegal``, or ``truncated``, it never ended."""

    fault: str
    text: str


class Written(NamedTuple):
    """What a model wrote at a decision.

    Attributes
    ----------
    text
        The reply that counted; None where none was legal, and a rule stood in for it.
    refused
        The replies before it, in order.
    """

    text: str | None
    refused: tuple[Refused, ...] = ()


class Spoken(NamedTuple):
    """An answer of a policy.

    Attributes
    ----------
    p : (legal actions,)
        The answer.
    written
        What was written for it; None where nothing was, or too much to keep.
    tally
        What came of the replies that were drawn for it; None where none were.
    """

    p: Floats
    written: Written | None = None
    tally: Tally | None = None


@runtime_checkable
class Estimated(Policy, Protocol):
    """A policy that is only known from replies drawn: its probabilities are estimates, new ones each time."""

    @property
    def tallies(self) -> Sequence[Tally]:
        """What was drawn so far, a tally for each decision that was asked about."""

    def tally(self, decision: Decision) -> Tally:
        """Return what was drawn at a decision so far."""

    def once(self) -> Policy:
        """Return the policy as a player: one reply a decision, which is all its probability."""

    def spoken(self, decisions: Sequence[Decision]) -> list[Spoken]:
        """Answer as ``probabilities`` does; a player says what it wrote as well."""

    def replies(self, decisions: Sequence[Decision], keys: Sequence[Key]) -> list[Spoken]:
        """Draw one reply at each decision by the numbers of its key."""


def checked(policy: Policy, decisions: Sequence[Decision]) -> list[Floats]:
    """Ask ``policy`` and hold it to the contract.

    Raises
    ------
    ContractError
        If an answer is not a distribution over the legal actions; the message names the state.
    """
    return _held(policy, decisions, policy.probabilities(decisions))


def spoken(policy: Policy, decisions: Sequence[Decision]) -> list[Spoken]:
    """Ask ``policy`` as ``checked`` does, and keep what a model wrote beside its answers.

    Raises
    ------
    ContractError
        As ``checked`` does.
    """
    if not isinstance(policy, Estimated):
        return [Spoken(p) for p in checked(policy, decisions)]
    found = policy.spoken(decisions)
    _held(policy, decisions, [one.p for one in found])
    return found


def _held(policy: Policy, decisions: Sequence[Decision], given: Sequence[Floats]) -> list[Floats]:
    """Hold answers to the contract; what is a list of numbers counts as an array."""
    try:
        answers = [p if isinstance(p, np.ndarray) else np.asarray(p, dtype=float) for p in given]
    except (TypeError, ValueError) as error:
        raise ContractError(f"policy '{policy.name}' must answer each decision with probabilities: {error}") from None
    if len(answers) != len(decisions):
        raise ContractError(f"policy '{policy.name}' gave {len(answers)} answers to {len(decisions)} decisions")
    sizes = [len(d.legal) for d in decisions]
    if [p.shape for p in answers] == [(n,) for n in sizes] and answers:
        flat = np.concatenate(answers)
        sums = np.add.reduceat(flat, np.cumsum([0, *sizes[:-1]]))
        if np.isfinite(flat).all() and (flat >= 0).all() and (np.abs(sums - 1) <= SUM_TOLERANCE).all():
            return answers
    for decision, p in zip(decisions, answers, strict=True):
        _check(policy, decision, p)
    return answers


def answered(policy: Policy, decisions: Sequence[Decision]) -> list[Floats]:
    """Ask for several episodes: the same question once, unless the answer is drawn, then each has its own.

    Raises
    ------
    ContractError
        As ``checked`` does.
    """
    if isinstance(policy, Estimated):
        return checked(policy, decisions)
    distinct = {d.key: d for d in decisions}
    found = dict(zip(distinct, checked(policy, list(distinct.values())), strict=True))
    return [found[d.key] for d in decisions]


def _check(policy: Policy, decision: Decision, p: Floats) -> None:
    where = f"policy '{policy.name}' at information state '{decision.key}' of game '{decision.game.name}'"
    if p.shape != (len(decision.legal),):
        raise ContractError(f"{where}: {p.size} probabilities for {len(decision.legal)} legal actions")
    if not np.isfinite(p).all() or (p < 0).any():
        raise ContractError(f"{where}: probabilities must be finite and not negative, not {p.tolist()}")
    if abs(p.sum() - 1) > SUM_TOLERANCE:
        raise ContractError(f"{where}: probabilities sum to {p.sum():.9g}, not 1")


def strategy(policy: Policy, tree: Tree) -> Floats:
    """Ask ``policy`` at every information state of both seats, once per distinct question. (entries,)."""
    return lay_out(tree, checked(policy, tree.questions))


def lay_out(tree: Tree, answers: Sequence[Floats]) -> Floats:
    """Lay answers to the tree's questions out over its entries, normalised to sum to exactly 1. (entries,)."""
    raw = np.concatenate(answers)[tree.asked]
    out: Floats = raw / np.bincount(tree.owner, raw, len(tree.infosets))[tree.owner]
    return out
