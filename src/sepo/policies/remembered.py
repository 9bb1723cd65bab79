"""A language model whose answers are kept on disk: asked again, it need not even be loaded.

An answer is kept with a digest of the very chat and replies it was given to, so a changed text is asked anew, and the
file with a fingerprint of the weights and of the libraries that computed it. A file holds one game in one wording.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sepo.errors import InputError
from sepo.files import cache_folder, check_writable, read_json, write_json
from sepo.games.base import Decision
from sepo.policies.base import SUM_TOLERANCE, Policy
from sepo.solve.tree import Floats

SCHEMA = "sepo.answers/1"
BATCH = 512
"""Answers asked for between two savings."""


class Kept(NamedTuple):
    """An answer: the digest of what was asked, the legal mass, and the probability of each legal action."""

    digest: str
    mass: float
    probabilities: list[float]


class RememberedPolicy:
    """A model's policy, asked once per decision and machine.

    Parameters
    ----------
    load
        Makes the policy itself, when something is asked that is not known.
    fingerprint
        What the answers depend on besides the question; None keeps nothing on disk.
    tell
        Hears how many decisions have been answered by the model, and how many are to be.
    """

    def __init__(
        self,
        load: Callable[[], Policy],
        name: str,
        fingerprint: str | None,
        tell: Callable[[int, int], None] | None = None,
    ) -> None:
        self.name = name
        self._load = load
        self._fingerprint = fingerprint
        self._tell = tell
        self._policy: Policy | None = None
        self._about: Mapping[str, Any] = {}
        self._known: dict[str, dict[str, Kept]] = {}
        self._mass: dict[str, float] = {}

    @property
    def keeps(self) -> bool:
        """Whether there are answers of this model on disk."""
        kept = cache_folder() / "answers"
        return self._fingerprint is not None and any(kept.glob(f"{self._fingerprint[:20]}-*.json"))

    def load(self) -> Policy:
        """Return the model's policy itself, loading it the first time."""
        if self._policy is None:
            self._policy = self._load()
        return self._policy

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Look up what is known, ask the model the rest, and keep its answers."""
        digests = [digest(d) for d in decisions]
        missing = [i for i, d in enumerate(decisions) if not self._has(d, digests[i])]
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            self._ask([decisions[i] for i in batch], [digests[i] for i in batch])
            if self._tell is not None:
                self._tell(min(start + BATCH, len(missing)), len(missing))
        out = []
        for d in decisions:
            kept = self._file(d)[d.key]
            self._mass[d.key] = kept.mass
            out.append(np.array(kept.probabilities))
        return out

    def known(self, decisions: Sequence[Decision]) -> int:
        """Return how many of the decisions need not be asked."""
        return sum(self._has(d, digest(d)) for d in decisions)

    def legal_mass(self) -> Mapping[str, float]:
        """Of the decisions asked so far."""
        return dict(self._mass)

    def about(self) -> Mapping[str, Any]:
        """Return dtype and packing, as of the latest answers."""
        return dict(self._about)

    def _has(self, decision: Decision, asked: str) -> bool:
        kept = self._file(decision).get(decision.key)
        return kept is not None and kept.digest == asked and len(kept.probabilities) == len(decision.legal)

    def _ask(self, decisions: Sequence[Decision], digests: Sequence[str]) -> None:
        titles = [title(d) for d in decisions]
        if self._fingerprint is not None:
            check_writable(self._path(titles[0]))  # before minutes of answers that could not be kept
        policy = self.load()
        for name in dict.fromkeys(titles):  # one at a time: a mass is known by its key alone
            asking = [i for i, t in enumerate(titles) if t == name]
            answers = policy.probabilities([decisions[i] for i in asking])
            mass = policy.legal_mass() or {}
            self._about = policy.about()
            for i, p in zip(asking, answers, strict=True):
                d = decisions[i]
                self._file(d)[d.key] = Kept(digests[i], float(mass[d.key]), [float(x) for x in p])
            if self._fingerprint is not None:
                rows = {k: [v.digest, v.mass, v.probabilities] for k, v in self._known[name].items()}
                write_json(self._path(name), {"schema": SCHEMA, "about": dict(self._about), "answers": rows})

    def _file(self, decision: Decision) -> dict[str, Kept]:
        name = title(decision)
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> dict[str, Kept]:
        if self._fingerprint is None or not (path := self._path(name)).exists():
            return {}
        try:
            document = read_json(path, "answers")
            if document["schema"] != SCHEMA:
                return {}
            kept = {k: Kept(str(d), float(m), [float(x) for x in p]) for k, (d, m, p) in document["answers"].items()}
            about = dict(document["about"])
            if not all(math.isfinite(v.mass) and _distribution(v.probabilities) for v in kept.values()):
                return {}
            self._about = about
            return kept
        except (InputError, AttributeError, KeyError, TypeError, ValueError):
            return {}  # not ours, or damaged: asked anew and replaced

    def _path(self, name: str) -> Path:
        file = f"{str(self._fingerprint)[:20]}-{hashlib.sha256(name.encode()).hexdigest()[:20]}.json"
        return cache_folder() / "answers" / file


def _distribution(p: Sequence[float]) -> bool:
    return all(x >= 0 for x in p) and abs(math.fsum(p) - 1) <= SUM_TOLERANCE


def title(decision: Decision) -> str:
    """Return a decision's game with its rules as one string, and its wording where that is not the game's own."""
    game, wording = decision.game, decision.wording
    named = [game.name, dict(game.rules), *([] if wording is None else [wording.name])]
    return json.dumps(named, sort_keys=True, default=str)


def digest(decision: Decision) -> str:
    """Return a short digest of what a model is asked at a decision."""
    asked = repr((tuple(map(tuple, decision.chat())), decision.words()))
    return hashlib.sha256(asked.encode()).hexdigest()[:16]
