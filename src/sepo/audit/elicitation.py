"""Asking a model about a game: only what matters for its figures, most reached states first, within a budget.

A model's whole policy in a large game is too much to ask for. What its figures rest on are the states it reaches: so
the trees of its meetings are held, every answer moves their reach, and the most reached states that are still open are
asked next, ahead of all others, until none is left or the budget is spent. Where it is, the policy counts as uniform
and every figure has bounds that hold whatever it would have done there (``solve.response.completed``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sepo.audit.board import Match, Subject, facing, match
from sepo.audit.exact import REPLY_NODES
from sepo.errors import TooLargeError
from sepo.games.base import Decision, Game
from sepo.policies.base import Policy, checked
from sepo.policies.table import PolicyTable, intervals
from sepo.solve.response import best_response
from sepo.solve.tree import Floats
from sepo.solve.value import infoset_reach

Tell = Callable[[str, int, int], None]
FIRST, MOST = 32, 512
"""States asked for at once: at first, when answers change much, and later."""
NEGLIGIBLE = 1e-9
ADVERSARY_SHARE = 0.25
"""Part of the budget kept for states that a best-responding opponent leads to."""
ADVERSARIES = ({"own": 1.0, "other": -1.0}, {"other": -1.0})


class Inquiry:
    """What is known of a model's policy in a game, and the meetings in which it matters.

    Parameters
    ----------
    policy
        The model.
    opponents
        Whose meetings the figures are about.
    budget
        The most information states to ask about; None for all that can be reached.
    everyone
        Whether meeting anyone at all is what the figures are about: its tree must then be held.
    """

    def __init__(
        self,
        policy: Policy,
        game: Game,
        opponents: Sequence[str],
        budget: int | None,
        tell: Tell,
        max_nodes: int,
        *,
        everyone: bool = False,
    ) -> None:
        self.policy, self.game, self.tell = policy, game, tell
        self.rows: dict[str, Floats] = {}
        self.asked: dict[str, Decision] = {}
        unknown = PolicyTable(policy.name, game.name, game.rules, {})
        self.subject = Subject(game, unknown, unknown=True)
        self.matches = {o: [match(self.subject, o, s, max_nodes) for s in game.seats] for o in opponents}
        try:
            most = max_nodes if everyone else min(max_nodes, REPLY_NODES)
            self.anyone = [facing(self.subject, s, max_nodes=most) for s in game.seats]
        except TooLargeError:
            if everyone:
                raise
            self.anyone = []
        every = {d.key for ms in self._all() for m in ms for d in _own(m)}
        self.states = len(every)
        self.budget = self.states if budget is None else min(budget, self.states)

    def ask(self) -> None:
        """Ask until nothing open is reached, or the budget is spent."""
        self.tell(self.what, 0, self.budget)
        pool = self.budget if not self.anyone else round(self.budget * (1 - ADVERSARY_SHARE))
        self._ask_while(pool, lambda: [m for ms in self.matches.values() for m in ms])
        if self.anyone:
            self._ask_while(self.budget, self._answered)
        least = 0.0 if self.budget == self.states else NEGLIGIBLE
        self._ask_while(self.budget, lambda: [_met_by_all(m) for ms in self._all() for m in ms], least)

    @property
    def what(self) -> str:
        """What is told of: the game, and of how many states it is asked."""
        return f"asking about {self.game.name} ({self.states} states can be met)"

    @property
    def complete(self) -> bool:
        """Whether nothing that can be met is open, whoever the policy meets."""
        return bool(self.anyone) and not self._most_reached([_met_by_all(m) for ms in self._all() for m in ms], 1, 0.0)

    def table(self) -> PolicyTable:
        """Return what is known."""
        rows = {key: p.tolist() for key, p in self.rows.items()}
        mass = self.policy.legal_mass()
        return PolicyTable(
            name=self.policy.name,
            game=self.game.name,
            rules=self.game.rules,
            table={key: dict(zip(self.asked[key].legal, p, strict=True)) for key, p in rows.items()},
            mass=None if mass is None else {key: mass[key] for key in rows},
            intervals=intervals(self.policy, list(self.asked.values())),
            notes=self.policy.about(),
        )

    def _all(self) -> list[list[Match]]:
        return [*self.matches.values(), self.anyone]

    def _answered(self) -> list[Match]:
        """Return the meetings with opponents that best respond to what is known."""
        out = []
        for m in self.anyone:
            for objective in ADVERSARIES:
                due = m.tree.combine(1 - m.seat, objective)
                answer = best_response(m.tree, m.profile, 1 - m.seat, due).strategy
                out.append(m._replace(profile=np.where(m.tree.seat == m.seat, m.profile, answer)))
        return out

    def _ask_while(self, budget: int, meetings: Callable[[], list[Match]], least: float = NEGLIGIBLE) -> None:
        while len(self.rows) < budget:
            count = min(budget - len(self.rows), max(FIRST, min(MOST, len(self.rows))))
            chosen = self._most_reached(meetings(), count, least)
            if not chosen:
                return
            for d, p in zip(chosen, checked(self.policy, chosen), strict=True):
                self.rows[d.key], self.asked[d.key] = p / p.sum(), d
            self._note({d.key for d in chosen})
            self.tell(self.what, len(self.rows), self.budget)

    def _most_reached(self, meetings: Sequence[Match], count: int, least: float) -> list[Decision]:
        """Return the open states that are reached most, and more than ``least``, in any of the meetings."""
        best: dict[str, float] = {}
        asked: dict[str, Decision] = {}
        for m in meetings:
            reached = infoset_reach(m.tree, m.profile)
            here = np.flatnonzero(m.open & (reached > least))
            if len(here) > count:
                cut = np.partition(reached[here], len(here) - count)[len(here) - count]
                here = here[reached[here] >= cut]  # ties are broken by key, below
            for i in here.tolist():
                decision = m.tree.infosets[i].decision
                if reached[i] > best.get(decision.key, 0.0):
                    best[decision.key], asked[decision.key] = float(reached[i]), decision
        ranked = sorted(best, key=lambda key: (-best[key], key))
        return [asked[key] for key in ranked[:count]]

    def _note(self, keys: set[str]) -> None:
        """Write new answers into the meetings."""
        for ms in self._all():
            for i, m in enumerate(ms):
                profile, still = m.profile.copy(), m.open.copy()
                for which in np.flatnonzero(m.open).tolist():
                    info = m.tree.infosets[which]
                    if info.key in keys:
                        profile[info.entries] = self.rows[info.key]
                        still[which] = False
                ms[i] = m._replace(profile=profile, open=still)


def _met_by_all(m: Match) -> Match:
    """Let a seat that is anyone try everything."""
    return m._replace(profile=np.where(np.isnan(m.profile), 1.0 / m.tree.sizes[m.tree.owner], m.profile))


def _own(m: Match) -> list[Decision]:
    return [i.decision for i in m.tree.infosets if i.seat == m.seat]
