"""Training a model on J: one step from a look at its policy to an update.

A step scores every decision once, which gives the whole policy as a table; computes the weights of all
actions from the game tree (milliseconds); and updates the model from them. ``clipped`` follows the weights;
``mmd`` first improves the table and then projects the model onto it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sepo.audit.arena import BEST_RESPONSE, Adversary, Ground, respond
from sepo.audit.capped import capped
from sepo.audit.ceiling import ceiling
from sepo.audit.encounter import GAIN
from sepo.audit.measures import BEHIND, KINDS, Play, Term, charged, measure, per_round, playing, terms
from sepo.audit.sweep import mass_of, slope
from sepo.errors import InputError
from sepo.games.base import MeasureSet, Weights
from sepo.lm.adapter import anchored, snapshot
from sepo.solve.gradient import centred
from sepo.solve.space import Space
from sepo.solve.tree import Floats, Ints, Tree
from sepo.solve.value import infoset_reach, own_reach
from sepo.train.asking import Asking
from sepo.train.direct import (
    Batch,
    Penalties,
    clipped_loss,
    imitation_loss,
    penalised,
    projection_loss,
    spread,
)
from sepo.train.dual import Dual
from sepo.train.kept import Kept
from sepo.train.league import League, itself
from sepo.train.learner import Learner, Look
from sepo.train.mirror import FLOOR, MASS_FLOOR, REACH_FLOOR, MirrorRules, Push, improve, softmax
from sepo.train.objective import CreditRules, Signal, action_weights, signal
from sepo.train.record import divergence, entropy, ledger_rows
from sepo.train.sample import Asked, Sample, everything
from sepo.train.sections import TrainSection, weights

SUPPORT = 0.02
"""Where only some replies are learnt: the least that a target may give one, against the likeliest."""
HELD = 0.1
"""Least weight of a decision in a projection that looks at what is lost."""


class Optimiser:
    """Training on J as a stage of ``train.loop``, from the policy that the learner holds when this is made.

    That policy is the reference of the KL. What is asked in a large game is told by ``train.asking``.

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
        self.lambdas: Weights = weights(section.lambda_, measures.weights)
        self.dual = self._dual() if section.lambda_.budgets else None
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
        self.asking = Asking(learner, section, self._meets, self._stakes, self._standing, key)
        self.few = section.update == "mmd" and section.mirror.learns == "replies"
        if self.few and not self.large:
            raise InputError(
                "mirror.learns 'replies' is for games that are asked about by samples; this one is asked whole"
            )
        self.anchor = snapshot(learner.policy.language_model)
        self.reference: list[Floats] = [] if self.large else learner.look(gradient=False).rows
        self.response: Floats | None = None
        self.league = League(self.ground) if section.exploiter in ("growing", "league") else None
        self.target: Floats | None = None
        self.price = 0.0  # what a point of a capped worst case is worth in J
        self.sample: Sample | None = None
        self._signal: Kept[Signal] = Kept()
        self._lost: Kept[Floats] = Kept()

    def _dual(self) -> Dual:
        budgets = self.section.lambda_.budgets
        for name in ("c", "x"):
            if name in budgets and getattr(self.measures, name) is None:
                raise InputError(
                    f"{name} has a budget, but does not apply to the {self.measures.name} measures of this game"
                )
        return Dual(budgets, self.lambdas, self.section.lambda_.rate)

    def _ascend(self, found: Sequence[Term]) -> None:
        """Move the weights that have a budget by what the measures are now."""
        if self.dual is not None:
            self.lambdas = self.dual.update({kind: measure(found, kind) for kind in KINDS})

    def signal(self, policy: Floats, key: tuple[object, ...], rules: CreditRules) -> Signal:
        """Return the weights of all actions at a policy (entries,)."""
        play = Play(policy)
        return signal(self.learner.layout, play, self.terms(play), rules, key)

    def terms(self, policy: Floats | Play) -> list[Term]:
        """Return the terms of J at a policy (entries,)."""
        play = playing(policy)
        exploiters = self.exploiters(play.learner)
        return terms(self.ground, self.measures, play, self.lambdas, exploiters, self.section.margin)

    def _meets(self, policy: Floats) -> list[Term]:
        """Return whom a policy (entries,) is to meet where it learns, by the weight of their terms.

        Those of J; and with a cap on the worst case, at the cap's price, whoever gets farthest ahead of what is known
        of the policy: no opponent of J may lead to where it is taken advantage of.
        """
        found = self.terms(policy)
        if self.price and self.target is not None:
            seen = self.learner.seen[self.learner.layout.owner]
            worst = self._respond(np.where(seen, policy, self.target))
            found += charged(self.ground, policy, worst, self.price)
        return found

    def _standing(self) -> tuple[object, ...]:
        """Return what the terms of J depend on beside the policy; each part is replaced where it changes."""
        return (self.lambdas, self.response, *(self.league.found if self.league is not None else ()))

    def exploiters(self, policy: Floats) -> Sequence[Adversary | str]:
        """Return the adversaries of e: the pool, the best response to ``policy``, both, or all found so far."""
        if self.league is not None:
            return [*self.measures.pools["exploiter"], *self.league.found]
        fixed = () if self.section.exploiter == "best_response" else self.measures.pools["exploiter"]
        if self.section.exploiter == "pool":
            return fixed
        if self.response is not None:
            return [*fixed, Adversary(BEST_RESPONSE, self.response)]
        return [*fixed, self._respond(policy)]

    def _respond(self, policy: Floats) -> Adversary:
        """Return the opponent that gets farthest ahead of a policy."""
        wanted = {"own": 1.0} if self.ground.game.zero_sum else GAIN
        return respond(self.ground, policy, wanted)

    @property
    def criterion(self) -> str:
        """What the best step is chosen by."""
        return f"{self.measures.name}.J"

    def worth(self, line: Mapping[str, Any]) -> float:
        """Return J at the measure set's own lambdas, so that arms with other lambdas are chosen alike."""
        return float(line["measures"][self.measures.name]["J"])

    def wanted(self, number: int) -> Asked | None:
        """Return the decisions of a step: all, or in a large game a sample drawn by how often they are met."""
        if self.section.target == "ceiling" and self.target is None:
            self.target = self._taught()
        if not self.large:
            if self.section.kl and len(self.learner.wordings) > 1:
                self._refer(self.learner.everything)
            return None
        last = number == self.learner.schedule.steps
        if number % self.section.mirror.projections == 0 or last:
            self.asking.renew(self.target, number)
        few = self.few and not last
        if few:
            self._renew(self.learner.known, number)
        self.sample = self.asking.draw(self.target, number)
        if self.section.kl:
            self._refer(self.sample.asked)
        if few:
            assert self.target is not None
            rows = self._rows(self.target, self.sample.asked.chosen)
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
            if self.dual is not None:
                self._ascend(self.terms(look.strategy))
            rows = self._rows(found.weights, chosen)
            weighted = [w * f for w, f in zip(rows, sample.factor, strict=True)]
            batch = Batch(decisions, weighted, look.rows, self.reference or None, sample.share)
            loss = self.learner.update(batch, penalised(clipped_loss(section.clip), penalties), look)
        dead = [row.kind for row in found.ledger if row.dead]
        return {
            "loss": loss,
            "divisor": found.divisor,
            "ledger": ledger_rows(found.ledger),
            **self._exploiters_now(look.strategy),
            **({"lambda": self.lambdas._asdict()} if self.dual is not None else {}),
            "warnings": [f"dead term: '{kind}' has a value, but its gradient is zero" for kind in dead],
        }

    def _signalled(self, policy: Floats, number: int) -> Signal:
        """Return the signal of a step. Where it is exact, and nothing was asked since the last, it is that one."""

        def find() -> Signal:
            return self.signal(policy, (*self.key, number), self.rules)

        return self._signal(find, policy, *self._standing()) if self.rules.estimator == "exact" else find()

    def _project(self, look: Look, share: Floats, penalties: Penalties) -> float:
        """Take a step towards the target; return the loss before it."""
        assert self.target is not None
        asked = look.asked
        rows = asked.scored(self._rows(self.target, asked.chosen))
        if self.section.mirror.meets == "losses":
            share = share / share.sum()  # 1 on average alone, where some opponents' episodes count as less
        if self.section.mirror.focus:
            share = _focused(share, self._stakes(self.target, look.strategy)[asked.chosen])
        loss = penalised(projection_loss, penalties) if asked.replies is None else imitation_loss
        batch = Batch(asked.decisions, [r / r.sum() for r in rows], look.rows, self.reference or None, share)
        return self.learner.update(batch, loss, look)

    def _exploiters_now(self, policy: Floats) -> dict[str, Any]:
        """Return how far the worst opponent is ahead, beside the pool's e, and how many were found."""
        if self.section.exploiter == "pool":
            return {}
        worst = self._respond(policy)
        ahead = [per_round(self.ground, policy, worst, s, BEHIND) for s in self.ground.game.seats]
        found = {} if self.league is None else {"exploiters_found": len(self.league.found)}
        return {"worst_case_advantage": float(np.mean(ahead)), **found}

    def state(self) -> dict[str, Any]:
        """Return what the next step depends on beyond the learner."""
        held = {"response": self.response, "target": self.target}
        return {
            "price": self.price,
            "anchor": self.anchor,
            "league": self.league.state() if self.league is not None else None,
            "dual": self.dual.state() if self.dual is not None else None,
            "held": {k: torch.from_numpy(v.copy()) for k, v in held.items() if v is not None},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.anchor = state["anchor"]
        if self.league is not None:
            self.league.load(state["league"])
        if self.dual is not None:
            self.dual.load(state["dual"])
            self.lambdas = self.dual.weights()
        self.price = state["price"]
        if not self.large:
            with anchored(self.learner.policy.language_model, self.anchor):
                self.reference = self.learner.look(gradient=False).rows
        self.response, self.target = (
            state["held"][name].numpy() if name in state["held"] else None for name in ("response", "target")
        )

    def _renew(self, policy: Floats, number: int) -> None:
        """Set the exploiter and the target of a step from what is known of the policy, where they are due."""
        self._hold_response(policy, number)
        if self.section.update == "mmd" and (self.target is None or number % self.section.mirror.projections == 0):
            self.target = self._improved(policy, number)

    def _hold_response(self, policy: Floats, number: int) -> None:
        """With ``best_response_every`` above 1, hold the best response fixed between its recomputations."""
        if self.league is not None:
            if number % self.section.best_response_every == 0:
                past = self.section.exploiter == "league"
                self.league.note(itself(self.ground, policy) if past else self._respond(policy))
            return
        if self.section.exploiter == "pool" or self.section.best_response_every == 1:
            return
        if self.response is None or number % self.section.best_response_every == 0:
            self.response = self._respond(policy).strategy

    def _improved(self, policy: Floats, number: int) -> Floats:
        mirror, layout = self.section.mirror, self.learner.layout
        if self.section.target == "ceiling":
            assert self.target is not None  # before the first step
            return self.target
        raw = CreditRules(**{**self.rules.__dict__, "scale": "none"})
        exact = raw.estimator == "exact" and raw.credit == "credited"

        def push(at: Floats, step: int) -> Push:
            play = Play(at)
            if self.dual is not None:
                self._ascend(self.terms(play))
            found = self.terms(play)
            if mirror.values == "mean" and exact:
                gradient, mass = slope(found, play, layout, immediate=raw.returns == "immediate")
                return Push(at * centred(layout, at, gradient), np.maximum(mass, MASS_FLOOR))
            pushed = action_weights(layout, play, found, raw, (*self.key, number, step))
            met = own_reach(layout, at) if isinstance(layout, Tree) else mass_of(found, at, layout)
            return Push(pushed, np.maximum(met, REACH_FLOOR))

        start = policy
        if mirror.inertia and self.target is not None:
            logs = [np.log(np.maximum(p, FLOOR)) for p in (policy, self.target)]
            start = softmax(layout, (1 - mirror.inertia) * logs[0] + mirror.inertia * logs[1])
        return improve(layout, start, push, MirrorRules(mirror.eta, mirror.alpha, mirror.steps, mirror.decay))

    def _taught(self) -> Floats:
        """Return the best policy there is for the arm's J: what an upper baseline is taught."""
        if self.dual is not None:
            raise InputError("target 'ceiling' is the best policy at fixed weights: give lambda no budget")
        if self.section.worst_case is not None:
            found = capped(self.ground, self.measures, self.section.worst_case, self.lambdas)
            self.price = found.price
            return found.strategy
        return ceiling(self.ground, self.measures, self.lambdas).strategy

    def _stakes(self, target: Floats, policy: Floats) -> Floats:
        """Return how much each decision weighs by what the policy loses there against the target. (decisions,).

        It is loss / (loss + focus), and no less than ``HELD``, so that what is right stays right. The loss is in J per
        visit, at the target's action values: summed over decisions by the policy's reach it is exactly the difference
        in J between the two (S. Kakade and J. Langford, "Approximately optimal approximate reinforcement learning",
        ICML 2002). Where all actions in question are worth the same there is nothing to learn.
        """

        def find() -> Floats:
            layout, play = self.learner.layout, Play(target)
            found, mass = slope(self.terms(play), play, layout)
            value = found / np.maximum(mass, MASS_FLOOR)[layout.owner]
            loss = np.maximum(np.bincount(layout.owner, (target - policy) * value, len(layout.infosets)), 0.0)
            stakes: Floats = np.maximum(loss / (loss + self.section.mirror.focus), HELD)
            return stakes

        return self._lost(find, target, policy, *self._standing())

    def _share(self, policy: Floats) -> Floats:
        """Return each decision's weight in the loss. (decisions,), sums to 1."""
        if isinstance(self.learner.layout, Tree):
            return decision_share(self.learner.layout, self.learner, policy, self.section.coverage)
        return self.asking.share(policy, self.target)

    def _rows(self, vector: Floats, chosen: Ints) -> list[Floats]:
        """Merge a vector by question, seats that ask it together, and return some decisions' parts."""
        layout = self.learner.layout
        if isinstance(layout, Space):
            return [vector[layout.infosets[i].entries] for i in chosen.tolist()]
        rows = spread(self.learner.layout, self.learner.decisions, vector)
        return [rows[i] for i in chosen.tolist()]


def _focused(share: Floats, stakes: Floats) -> Floats:
    """Weigh decisions by what hangs on them, their sum kept."""
    out: Floats = share * stakes
    total = out.sum()
    return out * (share.sum() / total) if total > 0 else share


def decision_share(tree: Tree, learner: Learner, policy: Floats, coverage: float) -> Floats:
    """Return each decision's weight: how often it is met when both seats play ``policy`` with uniform play mixed in.

    Without the uniform share, a state that the policy avoids would never be learnt. (decisions,), sums to 1.
    """
    counts = np.bincount(tree.owner, minlength=len(tree.infosets)).astype(float)
    mixed = (1 - coverage) * policy + coverage / counts[tree.owner]
    reached = infoset_reach(tree, mixed)
    place = {d.key: i for i, d in enumerate(learner.decisions)}
    out = np.zeros(len(learner.decisions))
    for info, r in zip(tree.infosets, reached, strict=True):
        out[place[info.key]] += r
    total: Floats = out / out.sum()
    return total


def entropy_bonus(section: TrainSection, step: int) -> float:
    """Return the coefficient of the entropy bonus at a step."""
    entropy = section.entropy
    done = min(1.0, step / entropy.over) if entropy.over else 1.0
    return entropy.start + (entropy.end - entropy.start) * done if entropy.over else entropy.start
