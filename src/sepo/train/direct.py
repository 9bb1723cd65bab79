"""One update of a language model in the direct style, from weights or targets over merged decisions.

Identical prompts and actions are merged before the model sees them: the same gradient at a fraction of
the cost. Ratios, KL, entropy and sampling all use one distribution, the softmax over the legal strings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from sepo.games.base import Decision
from sepo.lm.trie import Packing, Plan, plans
from sepo.policies.direct import DirectPolicy
from sepo.solve.tree import Floats, Ints, Layout
from sepo.train import ranks


@dataclass(frozen=True, eq=False)
class Batch:
    """Merged decisions and what an update needs to know of each. One array of (legal actions,) per decision.

    Attributes
    ----------
    weights
        Factor of each action's probability ratio (``clipped``), or the target probability (projection, SFT).
    old, reference
        The policy that the weights were computed at, and the one that the KL holds on to.
    share
        Of each decision in the batch: sums to 1, on average where the batch is a sample. Weighs KL, entropy, legal
        mass and cross-entropy.
    """

    decisions: Sequence[Decision]
    weights: Sequence[Floats]
    old: Sequence[Floats]
    reference: Sequence[Floats] | None
    share: Floats


class Scores(NamedTuple):
    """Some decisions of a batch, scored: the log-probability of each reply. (decisions, most replies), padded."""

    chosen: tuple[int, ...]
    sums: torch.Tensor
    legal: torch.Tensor

    def log_policy(self) -> torch.Tensor:
        """Return log pi over the legal replies; 0 where padded. (decisions, most replies)."""
        raw = self.sums.masked_fill(~self.legal, -torch.inf)
        return torch.log_softmax(raw, dim=-1).masked_fill(~self.legal, 0.0)

    def log_mass(self) -> torch.Tensor:
        """Return the log of the probability on all legal replies together. (decisions,)."""
        return torch.logsumexp(self.sums.masked_fill(~self.legal, -torch.inf), dim=-1)

    def pick(self, arrays: Sequence[Floats]) -> torch.Tensor:
        """Lay per-decision arrays out like the scores."""
        out = np.zeros(self.sums.shape)
        for row, i in enumerate(self.chosen):
            out[row, : len(arrays[i])] = arrays[i]
        return torch.from_numpy(out).to(self.sums)


@dataclass(frozen=True)
class Penalties:
    """Coefficients beside the objective.

    Attributes
    ----------
    kl
        Of the exact KL(policy, reference) over the legal actions.
    entropy
        Of the entropy bonus.
    legal_mass
        Of minus the log of the probability on legal strings: training only the ratio of legal actions
        otherwise lets that mass fall.
    """

    kl: float = 0.0
    entropy: float = 0.0
    legal_mass: float = 0.0


Loss = Callable[[Scores, Batch], torch.Tensor]


def clipped_loss(clip: float) -> Loss:
    """Return minus the clipped surrogate: the sum of min(ratio * w, clip(ratio, 1 - clip, 1 + clip) * w)."""

    def loss(scores: Scores, batch: Batch) -> torch.Tensor:
        old = scores.pick(batch.old).clamp_min(1e-30)
        ratio = torch.exp(scores.log_policy() - old.log())
        weights = scores.pick(batch.weights)
        gain = torch.minimum(ratio * weights, ratio.clamp(1 - clip, 1 + clip) * weights)
        return -(gain * scores.legal).sum()

    return loss


def projection_loss(scores: Scores, batch: Batch) -> torch.Tensor:
    """Return the cross-entropy of the policy over legal actions from the target, weighed by share."""
    share = scores.pick([np.array([s]) for s in batch.share])[:, 0]
    return -(share * (scores.pick(batch.weights) * scores.log_policy()).sum(dim=-1)).sum()


def imitation_loss(scores: Scores, batch: Batch) -> torch.Tensor:
    """Return the cross-entropy of whole reply strings, as in supervised fine-tuning: it raises the legal mass too."""
    share = scores.pick([np.array([s]) for s in batch.share])[:, 0]
    sums = scores.sums.masked_fill(~scores.legal, 0.0)
    return -(share * (scores.pick(batch.weights) * sums).sum(dim=-1)).sum()


def penalised(loss: Loss, penalties: Penalties) -> Loss:
    """Add KL, entropy and legal-mass terms to a loss."""

    def total(scores: Scores, batch: Batch) -> torch.Tensor:
        out = loss(scores, batch)
        share = scores.pick([np.array([s]) for s in batch.share])[:, 0]
        log_policy = scores.log_policy()
        policy = log_policy.exp() * scores.legal
        if penalties.kl and batch.reference is not None:
            reference = scores.pick(batch.reference).clamp_min(1e-30)
            out = out + penalties.kl * (share * (policy * (log_policy - reference.log())).sum(dim=-1)).sum()
        if penalties.entropy:
            out = out + penalties.entropy * (share * (policy * log_policy).sum(dim=-1)).sum()
        if penalties.legal_mass:
            out = out - penalties.legal_mass * (share * scores.log_mass()).sum()
        return out

    return total


class Scorer:
    """Scores a fixed list of decisions again and again, as training does; its plans are laid out once.

    Where several processes train, each has its share of the plans, and what they find is put together.

    With ``replies``, only those of each decision's legal actions: all arrays are then of them.
    """

    def __init__(
        self,
        policy: DirectPolicy,
        decisions: Sequence[Decision],
        packing: Packing | None = None,
        replies: Sequence[Ints] | None = None,
    ) -> None:
        self.policy = policy
        self.decisions = list(decisions)
        questions = [policy.question(d) for d in self.decisions]
        if replies is not None:
            questions = [
                q._replace(replies=tuple(q.replies[k] for k in some.tolist()))
                for q, some in zip(questions, replies, strict=True)
            ]
        self.packing = packing or policy.packing(questions)
        self.plans = ranks.share(plans(questions, self.packing, policy.budget), lambda plan: plan.computed)
        self._replies = [len(q.replies) for q in questions]

    def scores(self, plan: Plan) -> Scores:
        """Run one plan with gradient."""
        flat = plan.log_probs(self.policy.language_model.model)
        counts = [self._replies[i] for i in plan.questions]
        legal = torch.arange(max(counts))[None] < torch.tensor(counts)[:, None]
        legal = legal.to(flat.device)
        sums = torch.zeros(legal.shape, dtype=flat.dtype, device=flat.device)
        return Scores(plan.questions, sums.masked_scatter(legal, flat), legal)

    def probabilities(self, found: Sequence[Scores]) -> tuple[list[Floats], Floats]:
        """Read policy and legal mass off scores. One (legal actions,) array per decision, and (decisions,)."""
        here: dict[int, tuple[Floats, float]] = {}
        for scores in found:
            sums = scores.sums.detach().double().masked_fill(~scores.legal, -torch.inf)
            policy = torch.softmax(sums, dim=-1).cpu().numpy()
            total = torch.logsumexp(sums, dim=-1).exp().cpu().numpy()
            for row, i in enumerate(scores.chosen):
                here[i] = policy[row, : self._replies[i]], float(total[row])
        whole = {i: answer for part in ranks.everyones(here) for i, answer in part.items()}
        answers = [whole[i] for i in range(len(self.decisions))]
        return [row for row, _ in answers], np.array([mass for _, mass in answers])

    def evaluate(self) -> tuple[list[Floats], Floats]:
        """Return policy and legal mass without gradient."""
        with torch.no_grad():
            return self.probabilities([self.scores(plan) for plan in self.plans])

    def backward(
        self, batch: Batch, loss: Loss, ready: Sequence[Scores] | None = None, noted: list[Scores] | None = None
    ) -> float:
        """Accumulate the gradient of a loss that is a sum over decisions, plan by plan; return the loss.

        ``ready`` are scores whose graph is still there, where all plans were just run with gradient. In ``noted`` the
        scores are put down, without it.
        """
        total = 0.0
        for k, plan in enumerate(self.plans):
            scores = ready[k] if ready is not None else self.scores(plan)
            part = loss(scores, batch)
            part.backward()  # type: ignore[no-untyped-call]
            total += float(part.detach())
            if noted is not None:
                noted.append(scores._replace(sums=scores.sums.detach()))
        ranks.add_gradients(self.policy.language_model.model.parameters())
        return sum(ranks.everyones(total))


def spread(layout: Layout, vector: Floats) -> list[Floats]:
    """Merge a vector over entries by question: information states that ask the same are summed."""
    out: list[Floats] = [np.zeros(len(d.legal)) for d in layout.questions]
    for info, question in zip(layout.infosets, layout.asks.tolist(), strict=True):
        out[question] = out[question] + vector[info.entries]
    return out


def gather(layout: Layout, rows: Sequence[Floats]) -> Floats:
    """Lay answers to a layout's questions out over its entries. (entries,)."""
    return np.concatenate([rows[question] for question in layout.asks.tolist()])
