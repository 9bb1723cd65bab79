"""Opponents found on the way, kept so that a policy does not forget them: best responses to it, or its own past.

Against the best response of the moment alone, a policy may give up what it learnt against an earlier one. The pool
grows by each new best response; the same one found again weighs more (fictitious play's average, see M. Lanctot et al.,
"A unified game-theoretic approach to multiagent reinforcement learning", NeurIPS 2017). The scripts of the game's
exploiter pool stay in it, each with the weight of one finding. A league of past selves is kept in the same way: what
the policy was at some steps, in the other seat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sepo.audit.arena import Adversary, Ground, whole_of
from sepo.policies.table import PolicyTable, tabulate
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import infoset_reach

MOST = 24
"""Exploiters kept: where one too many is found, the one found least often goes, of several the oldest."""


def itself(ground: Ground, policy: Floats) -> Adversary:
    """Return a learner's policy, (entries,) of its layout, as an opponent: the same policy in the other seat.

    Where it is not known there, it is uniform.
    """
    if isinstance(ground, Tree):
        return Adversary("past", policy)
    out = ground.on_whole(policy)
    for seat in {0, 1} - set(ground.game.seats):
        at = ground.space.at(ground.whole, seat)
        out[at >= 0] = policy[at[at >= 0]]
    return Adversary("past", out)


class League:
    """The opponents found so far.

    Parameters
    ----------
    ground
        Where they were found; the whole game's tree must be had.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.tree = whole_of(ground)
        self.found: list[Adversary] = []
        self._plans: list[Floats] = []
        self._made = 0

    def note(self, response: Adversary) -> bool:
        """Add an opponent, or weigh the same one more; return whether it is new.

        Two are the same if they differ only where they never come by themselves.
        """
        plan = np.where(self._comes(response.strategy)[self.tree.owner] & self._opposes, response.strategy, 0.0)
        for which, (there, known) in enumerate(zip(self._plans, self.found, strict=True)):
            if np.array_equal(there, plan):
                self.found[which] = known._replace(weight=known.weight + 1.0)
                return False
        self._made += 1
        if len(self.found) == MOST:
            least = min(range(MOST), key=lambda i: self.found[i].weight)
            del self.found[least], self._plans[least]
        self.found.append(Adversary(f"found_{self._made}", response.strategy))
        self._plans.append(plan)
        return True

    def _comes(self, strategy: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Return where a strategy may come in the seat whose state it is, whatever the other side does. (infosets,)."""
        tree = self.tree
        met = [infoset_reach(tree, np.where(tree.seat == seat, strategy, tree.uniform)) > 0 for seat in (0, 1)]
        return np.where([info.seat == 0 for info in tree.infosets], *met)

    @property
    def _opposes(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Entries of the seats that a learner's opponent takes. (entries,)."""
        return np.isin(self.tree.seat, [1 - s for s in self.ground.game.seats])

    def tables(self) -> dict[str, PolicyTable]:
        """Return each exploiter as a policy that can be played and audited against."""
        game = self.ground.game
        seats = [1 - s for s in game.seats]
        return {
            one.name: tabulate(game, self.tree, one.strategy, one.name, seats, notes={"found": one.weight})
            for one in self.found
        }

    def state(self) -> dict[str, Any]:
        """Return what is known, as a checkpoint has it."""
        kept = [{"name": a.name, "weight": a.weight, "strategy": torch.from_numpy(a.strategy)} for a in self.found]
        return {"made": self._made, "found": kept}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.found, self._plans = [], []
        kept: Sequence[Mapping[str, Any]] = state["found"]
        for one in kept:
            self.note(Adversary(one["name"], one["strategy"].numpy()))
            self.found[-1] = Adversary(one["name"], one["strategy"].numpy(), one["weight"])
        self._made = int(state["made"])
