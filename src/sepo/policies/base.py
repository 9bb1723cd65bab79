"""The contract of a policy, and how a policy becomes a vector over a tree's entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from sepo.errors import ContractError
from sepo.games.base import Decision
from sepo.solve.tree import Floats, Tree

SUM_TOLERANCE = 1e-6


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


def checked(policy: Policy, decisions: Sequence[Decision]) -> list[Floats]:
    """Ask ``policy`` and hold it to the contract.

    Raises
    ------
    ContractError
        If an answer is not a distribution over the legal actions; the message names the state.
    """
    answers = policy.probabilities(decisions)
    if len(answers) != len(decisions):
        raise ContractError(f"policy '{policy.name}' gave {len(answers)} answers to {len(decisions)} decisions")
    for decision, p in zip(decisions, answers, strict=True):
        where = f"policy '{policy.name}' at information state '{decision.key}' of game '{decision.game.name}'"
        if p.shape != (len(decision.legal),):
            raise ContractError(f"{where}: {p.size} probabilities for {len(decision.legal)} legal actions")
        if not np.isfinite(p).all() or (p < 0).any():
            raise ContractError(f"{where}: probabilities must be finite and not negative, not {p.tolist()}")
        if abs(p.sum() - 1) > SUM_TOLERANCE:
            raise ContractError(f"{where}: probabilities sum to {p.sum():.9g}, not 1")
    return answers


def strategy(policy: Policy, tree: Tree) -> Floats:
    """Ask ``policy`` at every information state of both seats, once per distinct question. (entries,)."""
    distinct = {i.key: i.decision for i in tree.infosets}
    answers = dict(zip(distinct, checked(policy, list(distinct.values())), strict=True))
    return np.concatenate([answers[i.key] / answers[i.key].sum() for i in tree.infosets])
