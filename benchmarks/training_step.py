"""One training step of 384 Kuhn hands: merged decisions on a trie against TRL's ``GRPOTrainer``.

Both train the same LoRA adapter (rank 16, all linear layers) of the same model in float32 on the same
decisions. A step of ours is everything from the model's policy to the optimiser: scoring with gradient,
rollouts against every opponent of J, credit, clipped update, AdamW. TRL samples a reply to every decision,
has the hand played out for its reward, and updates; see ``grpo`` for its conditions.

TRL takes minutes for the decisions of 384 hands, so it is timed on a few and scaled linearly: gradient
accumulation over more of them would run the same batches one after the other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sepo.audit.measures import Term, terms
from sepo.games.base import TERMINAL
from sepo.games.kuhn import Kuhn
from sepo.keys import generator
from sepo.lm.adapter import make_trainable, trainable
from sepo.lm.load import BUNDLED, load_model
from sepo.play.rollout import grouped_rollout
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import expand
from sepo.solve.tree import Floats, Tree
from sepo.train.direct import Batch, Penalties, Scorer, clipped_loss, gather, penalised, spread
from sepo.train.objective import CreditRules, signal

from .grpo import Grpo, grpo_step, version
from .timing import Comparison, Say, Way

HANDS = 384
GROUP = 8
RANK, ALPHA = 16, 32
LEARNING_RATE = 1e-4
CLIP = 0.2
COMPLETIONS = 16
"""Decisions of one timed TRL step: two prompts, eight completions each, in passes of eight."""
KEY = ("bench", "training_step")


class Learner:
    """The bundled model in training, ready for one step after the other."""

    def __init__(self) -> None:
        self.tree = expand(Kuhn())
        self.measures = self.tree.game.measures("sepo")
        self.lm = load_model(BUNDLED)
        make_trainable(self.lm, "lora", rank=RANK, alpha=ALPHA, targets="linear")
        policy = DirectPolicy(self.lm, BUNDLED)
        self.decisions = self.tree.questions
        self.scorer = Scorer(policy, self.decisions)
        self.longest = max(len(r) for d in self.decisions for r in policy.question(d).replies)
        self.weights = list(trainable(self.lm).values())
        self.optimizer = torch.optim.AdamW(self.weights, lr=LEARNING_RATE)
        self.loss = penalised(clipped_loss(CLIP), Penalties(entropy=0.01, legal_mass=0.01))
        self.steps = 0

    def policy(self) -> Floats:
        """Return the model's policy. (entries,)."""
        return gather(self.tree, self.scorer.evaluate()[0])

    def rules(self, estimator: str, found: list[Term]) -> CreditRules:
        """Share the hands out evenly among the terms of J, in groups."""
        if estimator == "exact":
            return CreditRules(estimator="exact")
        return CreditRules(estimator="sampled", groups=-(-HANDS // (len(found) * GROUP)), group_size=GROUP)

    def step(self, estimator: str) -> None:
        """Take one step: score, play, credit, update."""
        self.optimizer.zero_grad()
        scores = [self.scorer.scores(plan) for plan in self.scorer.plans]
        policy, _ = self.scorer.probabilities(scores)
        learner = gather(self.tree, policy)
        found = terms(self.tree, self.measures, learner)
        self.steps += 1
        credited = signal(self.tree, learner, found, self.rules(estimator, found), (*KEY, self.steps))
        share = np.full(len(policy), 1 / len(policy))
        weights = spread(self.tree, credited.weights)
        self.scorer.backward(Batch(self.decisions, weights, policy, None, share), self.loss, ready=scores)
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()


def own_decisions(tree: Tree, learner: Floats, found: list[Term], rules: CreditRules) -> list[tuple[int, int]]:
    """Play a step's hands and return the learner's own decisions in them: number of the term, node."""
    out = []
    for number, term in enumerate(found):
        profile = term.meeting.profile(learner)
        nodes = grouped_rollout(tree, profile, term.seat, rules.groups, rules.group_size, (*KEY, 0, number)).moves
        passed = nodes[nodes >= 0]
        out += [(number, int(node)) for node in passed[tree.actor[passed] == term.seat]]
    return out


class Table:
    """TRL's reward: the rest of a hand is played out against the scripted opponent of its term."""

    __name__ = "chips"

    def __init__(self, tree: Tree, learner: Floats, found: list[Term]) -> None:
        self.tree = tree
        self.found = found
        self.profiles = [t.meeting.profile(learner) for t in found]
        self.rng = generator(*KEY, "trl")

    def __call__(self, completions: list[Any], node: list[int], term: list[int], **_: Any) -> list[float]:
        """Return the chips won after each completion; an illegal reply costs the most there is to lose."""
        return [self.chips(c[0]["content"], n, t) for c, n, t in zip(completions, node, term, strict=True)]

    def chips(self, reply: str, node: int, term: int) -> float:
        """Play one hand out."""
        tree, profile = self.tree, self.profiles[term]
        words = tree.infosets[tree.infoset[node]].decision.words()
        if reply.strip() not in words:
            return -tree.game.max_payoff
        node = int(tree.first[node]) + words.index(reply.strip())
        while tree.actor[node] != TERMINAL:
            children = tree.first[node] + np.arange(tree.count[node])
            node = int(self.rng.choice(children, p=profile[tree.entry[children]]))
        return float(tree.feature("own", self.found[term].seat)[node])


def trl_step(learner: Learner, table: Table, decisions: list[tuple[int, int]], folder: Path) -> Callable[[], float]:
    """Set TRL's trainer up on some of the decisions; return a function that takes one step and returns its seconds."""
    rows = []
    for term, node in decisions[:: max(1, len(decisions) // COMPLETIONS)]:
        chat = learner.tree.infosets[learner.tree.infoset[node]].decision.chat()
        rows.append({"prompt": [t._asdict() for t in chat], "node": node, "term": term})
    settings = Grpo(COMPLETIONS, GROUP, GROUP, learner.longest, RANK, ALPHA, LEARNING_RATE)
    return grpo_step(load_model(BUNDLED), rows, table, settings, folder)


def prepare(say: Say) -> Comparison:
    """Load the model twice, once for each trainer, and count the decisions that both must make.

    Raises
    ------
    InputError
        If TRL is not installed.
    """
    trl = version("training_step")
    say(f"training_step: loading {BUNDLED} twice")
    learner = Learner()
    policy = learner.policy()
    found = terms(learner.tree, learner.measures, policy)
    rules = learner.rules("sampled", found)
    hands = len(found) * rules.groups * rules.group_size
    decisions = own_decisions(learner.tree, policy, found, rules)
    tokens = sum(plan.tokens.numel() for plan in learner.scorer.plans)
    work = {"hands": hands, "own decisions": len(decisions), "terms": len(found), "tokens": tokens}
    folder = tempfile.TemporaryDirectory(prefix="sepo-bench-")
    step = trl_step(learner, Table(learner.tree, policy, found), decisions, Path(folder.name))

    def trl_run() -> float:
        assert folder  # kept until the last step is taken
        return step()

    ways = (
        Way("sepo, sampled", lambda: learner.step("sampled"), work),
        Way("sepo, exact", lambda: learner.step("exact"), work | {"hands": "all"}, "infinitely many hands"),
        Way(
            f"TRL {trl}",
            trl_run,
            {"own decisions": len(decisions), "measured": COMPLETIONS, "new tokens at most": learner.longest},
            f"measured on {COMPLETIONS} decisions, scaled linearly to {len(decisions)}",
            scale=len(decisions) / COMPLETIONS,
        ),
    )
    return Comparison(
        about=f"one step of {hands} Kuhn hands: {BUNDLED}, LoRA rank {RANK}, float32",
        ways=ways,
        ratios={
            "sampled vs TRL": (ways[2].name, ways[0].name),
            "exact vs TRL": (ways[2].name, ways[1].name),
        },
        repeats=3,
    )
