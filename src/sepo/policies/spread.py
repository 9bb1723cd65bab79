"""A local language model that workers ask: each loads it, and answers some of the decisions.

A model that is scored is asked block by block, and its answers are kept by ``policies.remembered``; one that writes
draws the very answers that it draws in one process, since each is drawn by numbers of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from sepo.games.base import Decision
from sepo.lm.identity import fingerprint
from sepo.policies.base import Policy, Tally
from sepo.policies.reasoned import Hear, ReasonedPolicy, ReplyRules, Use, Wanted
from sepo.policies.remembered import digest, title
from sepo.policies.workers import Answer, Workers, finished
from sepo.solve.tree import Floats

if TYPE_CHECKING:
    from sepo.policies.spec import Asking

LOCAL = ("bundled:", "hf:")
"""How the POLICY strings of models begin that a worker can load."""
SCORED = 128
"""Decisions of a unit that is scored."""
WRITTEN = 16
"""Decisions of a unit that is written, each with all its samples."""


class SpreadScorer:
    """A model's policy in the direct style, asked by workers."""

    def __init__(self, name: str, asking: Asking, workers: Workers) -> None:
        self.name, self.asking, self.workers = name, replace(asking, workers=None), workers
        self._mass: dict[str, float] = {}
        self._about: Mapping[str, Any] = {}

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Score the decisions, block by block."""
        blocks = [decisions[i : i + SCORED] for i in range(0, len(decisions), SCORED)]
        units = [(self.name, self.asking, list(block)) for block in blocks]
        out: list[Floats] = []
        for answer in finished(self.workers, scored, units, [None] * len(units)):
            out += [np.array(row) for row in answer["rows"]]
            self._mass |= answer["mass"]
            self._about = answer["about"]
        return out

    def legal_mass(self) -> Mapping[str, float]:
        """Of the decisions asked so far."""
        return dict(self._mass)

    def about(self) -> Mapping[str, Any]:
        """Return dtype and packing, as of the latest answers."""
        return dict(self._about)


def scored(name: str, asking: Asking, decisions: Sequence[Decision]) -> Answer:
    """Answer some decisions as a worker."""
    policy = loaded(name, asking)
    rows = [p.tolist() for p in policy.probabilities(decisions)]
    mass = policy.legal_mass() or {}
    return {"rows": rows, "mass": {d.key: mass[d.key] for d in decisions}, "about": dict(policy.about())}


class SpreadWriter(ReasonedPolicy):
    """A model that writes, written for by workers."""

    def __init__(self, name: str, asking: Asking, workers: Workers, use: Use = "table") -> None:
        self.elsewhere = Elsewhere()
        rules = asking.rules if use == "table" else replace(asking.rules, samples=1)
        super().__init__(self.elsewhere, name, rules, asking.seed, use)
        self.asking, self.workers = replace(asking, workers=None), workers
        self.model = fingerprint(name, asking.template)

    def once(self) -> Policy:
        """Return the policy as a player, written for by the same workers."""
        player = SpreadWriter(self.name, self.asking, self.workers, "play")
        player.writer = player.elsewhere = self.elsewhere
        return player

    def draw(self, decisions: Sequence[Decision], wanted: Sequence[Wanted], hear: Hear | None = None) -> list[Tally]:
        """Draw answers, some decisions a unit. Counts come back from workers, and no texts: there is none to hear."""
        starts = range(0, len(decisions), WRITTEN)
        units, keys = [], []
        for start in starts:
            here = range(start, min(start + WRITTEN, len(decisions)))
            asked = [decisions[i] for i in here]
            theirs = [w._replace(at=w.at - start) for w in wanted if w.at in here]
            units.append((self.name, self.asking, asked, theirs, self.use))
            said = [(title(d), d.key, digest(d), d.game.forfeit(d)) for d in asked]
            keys.append(self.model and (self.model, self.rules, self.seed, self.use, said, theirs))
        answers = finished(self.workers, written, units, keys)
        self.elsewhere.notes = answers[-1]["about"] if answers else {}
        return [Tally.of(tally) for answer in answers for tally in answer["tallies"]]


def written(
    name: str, asking: Asking, decisions: Sequence[Decision], wanted: Sequence[Wanted], use: Use = "table"
) -> Answer:
    """Draw some answers as a worker."""
    policy = loaded(name, asking)
    if use == "play" and isinstance(policy, ReasonedPolicy):
        policy = policy.once()
    assert isinstance(policy, ReasonedPolicy)
    return {
        "tallies": [tally.document() for tally in policy.draw(decisions, wanted)],
        "about": dict(policy.writer.about()),
    }


class Elsewhere:
    """What is known here of a model that writes elsewhere."""

    def __init__(self) -> None:
        self.notes: Mapping[str, Any] = {}

    def write(self, chats: Sequence[Sequence[tuple[str, str]]], lots: Floats) -> list[Any]:
        """Refuse: workers write."""
        raise AssertionError("workers write")

    def about(self) -> Mapping[str, Any]:
        """Return what a worker's writer says of itself."""
        return self.notes


def loaded(name: str, asking: Asking) -> Policy:
    """Load a local model, once a worker for as long as it is the same and so are its files."""
    asked = json.dumps(asking.template, sort_keys=True, default=str)
    return _loaded(name, asking.rules, asking.seed, asking.kept, fingerprint(name), asked)


@lru_cache(maxsize=1)
def _loaded(name: str, rules: ReplyRules, seed: int, kept: bool, model: str | None, template: str) -> Policy:
    from sepo.policies.spec import Asking, load_policy

    return load_policy(name, asking=Asking(rules, seed, kept=kept, template=json.loads(template)))
