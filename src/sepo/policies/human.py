"""A person at the terminal: asked for an action, or for the probability of each, at every information state."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np

from sepo.errors import InputError
from sepo.games.base import Decision
from sepo.printable import visible
from sepo.solve.tree import Floats


@dataclass(frozen=True)
class HumanPolicy:
    """Shows the same chat a model reads, and reads a word or one probability per action."""

    name: str = "human"
    ask: TextIO | None = None
    tell: TextIO | None = None

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Ask about each decision in turn.

        Raises
        ------
        InputError
            If the input ends.
        """
        answers, told = [], ""
        for decision in decisions:
            rules = "\n".join(turn.content for turn in decision.chat() if turn.role == "system")
            if rules and rules != told:
                self._say(rules)
            told = rules
            answers.append(self._answer(decision))
        return answers

    def legal_mass(self) -> Mapping[str, float] | None:
        """People are no model."""
        return None

    def about(self) -> Mapping[str, Any]:
        """Nothing beyond the name."""
        return {}

    def _answer(self, decision: Decision) -> Floats:
        words = decision.words()
        for turn in decision.chat():
            if turn.role != "system":
                self._say(("you: " if turn.role == "assistant" else "") + turn.content)
        while True:
            self._say(f"[{' | '.join(words)}] or {len(words)} probabilities:")
            line = (self.ask or sys.stdin).readline()
            if not line:
                raise InputError(f"the input ended before information state '{decision.key}' was answered")
            if (chosen := _chosen(line, words)) is not None:  # before probabilities: a word may be of numbers
                return np.array([float(which == chosen) for which in range(len(words))])
            try:
                p = np.array([float(x) for x in line.split()])
            except ValueError:
                p = np.array([])
            if len(p) == len(words) and np.isfinite(p).all() and (p >= 0).all() and abs(p.sum() - 1) < 1e-6:
                return p
            self._say(f"'{line.strip()}' is neither a legal word nor {len(words)} probabilities that sum to 1.")

    def _say(self, text: str) -> None:
        print(visible(text), file=self.tell or sys.stderr, flush=True)


def _chosen(line: str, words: Sequence[str]) -> int | None:
    """Return which word was typed, as it is written or else whatever its capitals and spaces; None for none."""
    if (said := line.strip()) in words:
        return words.index(said)
    alike = [which for which, word in enumerate(words) if _plain(word) == _plain(said)]
    return alike[0] if len(alike) == 1 else None


def _plain(word: str) -> str:
    return " ".join(word.split()).lower()
