"""Randomness from explicit keys: the same key gives the same draws, on every machine, whatever else is drawn."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(*key: object) -> np.random.Generator:
    """Return a random generator made from a key, such as (seed, game, opponent, step); the same on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
