"""Kuhn policies spelled out: by the probability of betting or calling at each information state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sepo.solve.tree import Floats, Tree

KEYS = tuple(f"{card}:{betting}" for card in "JQK" for betting in ("", "p", "b", "pb"))


def betting(tree: Tree, p: Mapping[str, float]) -> Floats:
    """Return the strategy that bets or calls with probability ``p[key]``. (entries,)."""
    return np.concatenate([[1 - p[i.key], p[i.key]] for i in tree.infosets])


def equilibrium(tree: Tree, alpha: float) -> Floats:
    """Return Kuhn's equilibrium with parameter ``alpha`` in [0, 1/3], as in his paper."""
    first = {"J:": alpha, "Q:": 0, "K:": 3 * alpha, "J:pb": 0, "Q:pb": alpha + 1 / 3, "K:pb": 1}
    second = {"J:p": 1 / 3, "Q:p": 0, "K:p": 1, "J:b": 0, "Q:b": 1 / 3, "K:b": 1}
    return betting(tree, {key: min(1.0, p) for key, p in (first | second).items()})
