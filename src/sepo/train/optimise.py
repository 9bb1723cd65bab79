"""Training a model on J: one step from a look at its policy to an update.

A step scores every decision once, which gives the whole policy as a table; computes the weights of all
actions from the game tree (milliseconds); and updates the model from them. ``clipped`` follows the weights;
``mmd`` first improves the table (``train.target``) and then projects the model onto it. What J is at a step is
told by ``train.opposition``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from sepo.audit.arena import Ground, layout, whole_of
from sepo.audit.capped import hold_to_capped
from sepo.audit.ceiling import hold_to_ceiling
from sepo.audit.measures import Play, Term, charged
from sepo.errors import InputError
from sepo.games.base import MeasureSet
from sepo.lm.adapter import anchored, snapshot
from sepo.solve.space import Space
from sepo.solve.tree import Floats, Ints, Layout, Tree
from sepo.solve.value import infoset_reach
from sepo.train.asking import Asking
from sepo.train.credit import Mask
from sepo.train.direct import (
    Batch,
    Penalties,
    clipped_loss,
    imitation_loss,
    penalised,
    projection_loss,
    spread,
)
from sepo.train.kept import Kept
from sepo.train.learner import Learner, Look
from sepo.train.objective import CreditRules, Signal, signal
from sepo.train.opposition import Opposition
from sepo.train.record import divergence, entropy, ledger_rows
from sepo.train.sample import Asked, Sample, everything
from sepo.train.sections import TrainSection
from sepo.train.target import Target

SUPPORT = 0.02
"""Where only some replies are learnt: the least that a target may give one, against the likeliest."""


def hold_to_learnt(ground: Ground, measures: MeasureSet, section: TrainSection) -> None:
    """Refuse settings of an arm that its game cannot have, which would be seen at one of its steps.

    Raises
    ------
    InputError
        If the game is too large for the exploiter, a measure with a budget does not apply, whole replies are to be
        learnt where all are asked about, or there is no ceiling to be taught.
    """
    held = Opposition(ground, measures, section)
    if section.exploiter != "pool":
        whole_of(ground)
    if _few(section) and not isinstance(layout(ground), Space):
        raise InputError(
            "mirror.learns 'replies' is for games that are asked about by samples; this one is asked whole"
        )
    if section.target == "ceiling":
        if section.worst_case is not None:
            hold_to_capped(ground, measures, section.worst_case, held.lambdas)
        else:
            hold_to_ceiling(ground, measures, held.lambdas)


def _few(section: TrainSection) -> bool:
    """Return whether only the replies that the target plays are learnt."""
    return section.update == "mmd" and section.mirror.learns == "replies"


class Optimiser:
    """Training on J as a stage of ``train.loop``, from the policy that the learner holds when this is made.

    That policy is the reference of the KL. What is asked in a large game is told by ``train.asking``. What the game
    cannot have is refused before by ``hold_to_learnt``.

    Parameters
    ----------
    key
        Of all randomness: run name, arm, seed.
    """

    name = "train"
    alarmed = True

    def __init__(self, learner: Learner, measures: MeasureSet, section: TrainSection, key: tuple[object, ...]) -> None:
        self.learner = learner
        self.ground: Ground = learner.ground
        self.measures = measures
        self.section = section
        self.key = key
        self.opposition = Opposition(self.ground, measures, section)
        self.rules = CreditRules(
            credit=section.credit,
            estimator=section.estimator,
            scale=section.scale,
            returns=section.returns,
            baseline=section.baseline,
            groups=section.groups,
            group_size=section.group_size,
        )
        self.large = isinstance(learner.layout, Space)
        self.target = Target(learner.layout, self.opposition, section, self.rules, key)
        self.asking = Asking(learner, section, self._meets, self.target.stakes, self.opposition.standing, key)
        self.few = _few(section)
        self.anchor = snapshot(learner.policy.language_model)
        self.reference: list[Floats] = [] if self.large else learner.look(gradient=False).rows
        self.sample: Sample | None = None
        self._signal: Kept[Signal] = Kept()

    def signal(self, policy: Floats, key: tuple[object, ...], rules: CreditRules) -> Signal:
        """Return the weights of all actions at a policy (entries,)."""
        play = Play(policy)
        return signal(self.learner.layout, play, self.opposition.terms(play), rules, key)

    def _meets(self, policy: Floats) -> list[Term]:
        """Return whom a policy (entries,) is to meet where it learns, by the weight of their terms.

        Those of J; and with a cap on the worst case, at the cap's price, whoever gets farthest ahead of what is known
        of the policy: no opponent of J may lead to where it is taken advantage of.
        """
        found = self.opposition.terms(policy)
        if self.target.price and self.target.strategy is not None:
            seen = self.learner.seen[self.learner.layout.owner]
            worst = self.opposition.respond(np.where(seen, policy, self.target.strategy))
            found += charged(self.ground, policy, worst, self.target.price)
        return found

    @property
    def criterion(self) -> str:
        """What the best step is chosen by."""
        return f"{self.measures.name}.J"

    def worth(self, line: Mapping[str, Any]) -> float:
        """Return J at the measure set's own lambdas, so that arms with other lambdas are chosen alike."""
        return float(line["measures"][self.measures.name]["J"])

    def wanted(self, number: int) -> Asked | None:
        """Return the decisions of a step: all, or in a large game a sample drawn by how often they are met."""
        self.target.teach()
        if not self.large:
            if len(self.learner.wordings) > 1:
                self._refer(self.learner.everything)
            return None
        last = number == self.learner.schedule.steps
        if number % self.section.mirror.projections == 0 or last:
            self.asking.renew(self.target.strategy, number)
        few = self.few and not last
        if few:
            self._renew(self.learner.known, number)
        self.sample = self.asking.draw(self.target.strategy, number)
        if self.section.kl:
            self._refer(self.sample.asked)
        if few:
            assert self.target.strategy is not None
            rows = self._rows(self.target.strategy, self.sample.asked.chosen)
            played = [np.flatnonzero(r >= SUPPORT * r.max()) for r in rows]
            return self.sample.asked._replace(replies=played)
        return self.sample.asked

    def _refer(self, asked: Asked) -> None:
        """Ask the reference policy, in this step's words."""
        with anchored(self.learner.policy.language_model, self.anchor):
            self.reference = self.learner.scorer(asked).evaluate()[0]

    def observe(self, look: Look) -> dict[str, Any]:
        """Return entropy and KL of the policy, in nats, weighed by how often decisions are met.

        Of a large game also how many were asked about, and the share of what is met that ever was; the rest counts as
        uniform in a step's measures.
        """
        share = self._share(look.strategy)
        if self.large:
            rows = np.split(look.strategy, self.learner.layout.starts[1:])
            known = float(share[self.learner.seen].sum())
            return {"entropy": entropy(rows, share), "asked": len(look.asked.decisions), "known": known}
        return {"entropy": entropy(look.rows, share), "kl": divergence(look.rows, self.reference, share)}

    def advance(self, look: Look) -> dict[str, Any]:
        """Take one step from a look at the current policy; return loss, ledger and warnings."""
        number = self.learner.step
        section = self.section
        if look.asked.replies is None:
            self._renew(look.strategy, number)
        found = self._signalled(look.strategy, number)
        sample = self.sample or everything(look.asked.decisions, self._share(look.strategy))
        penalties = Penalties(section.kl, entropy_bonus(section, number), section.legal_mass)
        chosen, decisions = look.asked.chosen, look.asked.decisions
        if section.update == "mmd":
            loss = self._project(look, sample.share, penalties)
        else:
            self.opposition.ascend(look.strategy)
            rows = self._rows(found.weights, chosen)
            weighted = [w * f for w, f in zip(rows, sample.factor, strict=True)]
            batch = Batch(decisions, weighted, look.rows, self.reference or None, sample.share)
            loss = self.learner.update(batch, penalised(clipped_loss(section.clip), penalties), look)
        dead = [row.kind for row in found.ledger if row.dead]
        return {
            "loss": loss,
            "divisor": found.divisor,
            "ledger": ledger_rows(found.ledger),
            **self.opposition.now(look.strategy),
            "warnings": [f"dead term: '{kind}' has a value, but its gradient is zero" for kind in dead],
        }

    def _signalled(self, policy: Floats, number: int) -> Signal:
        """Return the signal of a step. Where it is exact, and nothing was asked since the last, it is that one."""

        def find() -> Signal:
            return self.signal(policy, (*self.key, number), self.rules)

        return self._signal(find, policy, *self.opposition.standing()) if self.rules.estimator == "exact" else find()

    def _project(self, look: Look, share: Floats, penalties: Penalties) -> float:
        """Take a step towards the target; return the loss before it."""
        target, asked = self.target.strategy, look.asked
        assert target is not None
        rows = asked.scored(self._rows(target, asked.chosen))
        if self.section.mirror.meets == "losses":
            share = share / share.sum()  # 1 on average alone, where some opponents' episodes count as less
        if self.section.mirror.focus:
            share = _focused(share, self.target.stakes(target, look.strategy)[asked.chosen])
        loss = penalised(projection_loss, penalties) if asked.replies is None else imitation_loss
        batch = Batch(asked.decisions, [r / r.sum() for r in rows], look.rows, self.reference or None, share)
        return self.learner.update(batch, loss, look, glimpse=self.section.mirror.knows == "scored")

    def state(self) -> dict[str, Any]:
        """Return what the next step depends on beyond the learner."""
        return {"anchor": self.anchor, "opposition": self.opposition.state(), "target": self.target.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.anchor = state["anchor"]
        self.opposition.load(state["opposition"])
        self.target.load(state["target"])
        if not self.large:
            with anchored(self.learner.policy.language_model, self.anchor):
                self.reference = self.learner.look(gradient=False).rows

    def _renew(self, policy: Floats, number: int) -> None:
        """Set the exploiter and the target of a step from what is known of the policy, where they are due."""
        self.opposition.renew(policy, number)
        if self.section.update == "mmd":
            self.target.renew(policy, number)

    def _share(self, policy: Floats) -> Floats:
        """Return each decision's weight in the loss. (decisions,), sums to 1."""
        if isinstance(self.learner.layout, Tree):
            return decision_share(self.learner.layout, policy, self.section.coverage)
        return self.asking.share(policy, self.target.strategy)

    @cached_property
    def _own(self) -> Mask:
        return learners_own(self.learner.layout, self.ground.game.seats)

    def _rows(self, vector: Floats, chosen: Ints) -> list[Floats]:
        """Merge a vector by question, the learner's seats that ask it together, and return some decisions' parts."""
        layout = self.learner.layout
        if isinstance(layout, Space):
            return [vector[layout.infosets[i].entries] for i in chosen.tolist()]
        rows = spread(layout, np.where(self._own, vector, 0.0))
        return [rows[i] for i in chosen.tolist()]


def learners_own(layout: Layout, seats: Sequence[int]) -> Mask:
    """Return the entries at which an answer is the learner's, and not its opponent's to a question that both are asked.

    (entries,). A question that only the opponent is asked counts as the learner's too: nobody else answers it.
    """
    own = {i.key for i in layout.infosets if i.seat in seats}
    return np.array([i.seat in seats or i.key not in own for i in layout.infosets])[layout.owner]


def _focused(share: Floats, stakes: Floats) -> Floats:
    """Weigh decisions by what hangs on them, their sum kept."""
    out: Floats = share * stakes
    total = out.sum()
    return out * (share.sum() / total) if total > 0 else share


def decision_share(tree: Tree, policy: Floats, coverage: float) -> Floats:
    """Return each decision's weight: how often it is met when both seats play ``policy`` with uniform play mixed in.

    Without the uniform share, a state that the policy avoids would never be learnt. (decisions,), sums to 1.
    """
    mixed = (1 - coverage) * policy + coverage * tree.uniform
    out = np.bincount(tree.asks, infoset_reach(tree, mixed))
    total: Floats = out / out.sum()
    return total


def entropy_bonus(section: TrainSection, step: int) -> float:
    """Return the coefficient of the entropy bonus at a step."""
    entropy = section.entropy
    done = min(1.0, step / entropy.over) if entropy.over else 1.0
    return entropy.start + (entropy.end - entropy.start) * done if entropy.over else entropy.start
