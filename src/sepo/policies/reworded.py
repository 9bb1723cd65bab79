"""A policy that is asked in another wording than a game's own: what it reads and replies changes, the game does not.

Its table is keyed by the same information states and actions as under any wording, so every measure of it compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sepo.games.base import Decision
from sepo.games.wording import chosen, reword
from sepo.policies.base import Estimated, Key, Policy, Spoken, Tally
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
        self._mass: dict[str, float] = {}

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
        answers = self.policy.probabilities(self._put(decisions))
        if (mass := self.policy.legal_mass()) is not None:
            self._mass |= {d.key: mass[d.key] for d in decisions}
        return answers

    def legal_mass(self) -> Mapping[str, float] | None:
        """Of the decisions asked so far in this wording: the mass on its own replies."""
        return None if self.policy.legal_mass() is None else self._mass

    def about(self) -> Mapping[str, Any]:
        """Return what the policy notes of itself."""
        return self.policy.about()

    def _put(self, decisions: Sequence[Decision]) -> list[Decision]:
        put = {game: chosen(game, [self.wording])[0] for game in {d.game for d in decisions}}
        return [reword(d, put[d.game]) for d in decisions]


class RewordedWriter(RewordedPolicy):
    """A model that writes, asked in a wording: known from replies drawn, as it is in a game's own words."""

    policy: Estimated

    def once(self) -> Policy:
        """Return the policy as a player, asked in the same wording."""
        return worded(self.policy.once(), self.wording)

    @property
    def tallies(self) -> Sequence[Tally]:
        """What was drawn of the policy so far, in other wordings too: of a player from ``once``, in this one alone."""
        return self.policy.tallies

    def tally(self, decision: Decision) -> Tally:
        """Return what was drawn at a decision so far in the wording."""
        return self.policy.tally(*self._put([decision]))

    def spoken(self, decisions: Sequence[Decision]) -> list[Spoken]:
        """Answer as ``probabilities`` does; a player says what it wrote as well."""
        return self.policy.spoken(self._put(decisions))

    def replies(self, decisions: Sequence[Decision], keys: Sequence[Key]) -> list[Spoken]:
        """Draw one reply at each decision by the numbers of its key."""
        return self.policy.replies(self._put(decisions), keys)


def worded(policy: Policy, wording: str | None) -> Policy:
    """Return a policy as it is asked in a wording of that name; itself where none is given."""
    if wording is None:
        return policy
    return (RewordedWriter if isinstance(policy, Estimated) else RewordedPolicy)(policy, wording)


def unworded(policy: Policy) -> tuple[Policy, str | None]:
    """Return the policy itself and the wording that it is asked in; None where that is a game's own words."""
    return (policy.policy, policy.wording) if isinstance(policy, RewordedPolicy) else (policy, None)
