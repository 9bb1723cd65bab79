"""A policy that is asked in another wording than a game's own: what it reads and replies changes, the game does not.

Its table is keyed by the same information states and actions as under any wording, so every measure of it compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sepo.games.base import Decision
from sepo.games.wording import chosen, reword
from sepo.policies.base import Policy
from sepo.solve.tree import Floats


class RewordedPolicy:
    """Puts every decision in its game's wording of one name before it is asked.

    Parameters
    ----------
    policy
        The policy itself; only one that reads, a language model, answers differently.
    """

    def __init__(self, policy: Policy, wording: str) -> None:
        self.policy, self.wording = policy, wording
        self._mass: dict[str, float] | None = None

    @property
    def name(self) -> str:
        """The policy's own name."""
        return self.policy.name

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Ask the policy in the wording; answers are in the order of ``legal``, as ever.

        Raises
        ------
        InputError
            If a game has no such wording.
        """
        put = {game: chosen(game, [self.wording])[0] for game in {d.game for d in decisions}}
        answers = self.policy.probabilities([reword(d, put[d.game]) for d in decisions])
        if (mass := self.policy.legal_mass()) is not None:
            self._mass = (self._mass or {}) | {d.key: mass[d.key] for d in decisions}
        return answers

    def legal_mass(self) -> Mapping[str, float] | None:
        """Of the decisions asked so far in this wording: the mass on its own replies."""
        return self._mass

    def about(self) -> Mapping[str, Any]:
        """Return what the policy notes of itself."""
        return self.policy.about()
