"""Hands of items: pools, private values, how instances of them are drawn, and what a demand takes, leaves and is worth.

An *instance* is a pool of 1 to 4 units of each item and, for each side, private values of one unit that sum to 10: ten
balls thrown into three boxes, an empty box then given one ball of the fullest (the first of several).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cache, lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

Vector = tuple[int, ...]
"""A number for each item: of units, or the value of one."""

ITEMS = ("book", "hat", "ball")
MOST = 4  # units of an item
TOTAL = 10  # what a side's values of one unit of each item sum to


class Instance(NamedTuple):
    """A pool, and what one unit of each item is worth to seat 0 and to seat 1."""

    pool: Vector
    values: tuple[Vector, Vector]


def raised(counts: Iterable[int]) -> Vector:
    """Raise every zero to 1 at the cost of the largest number, the first of several."""
    out = list(counts)
    while 0 in out:
        out[out.index(max(out))] -= 1
        out[out.index(0)] = 1
    return tuple(out)


@cache
def value_chances() -> Mapping[Vector, float]:
    """Return the exact probability of each of the 36 value vectors."""
    chances: dict[Vector, Fraction] = {}
    for a, b in product(range(TOTAL + 1), repeat=2):
        if (c := TOTAL - a - b) >= 0:
            ways = math.factorial(TOTAL) // (math.factorial(a) * math.factorial(b) * math.factorial(c))
            values = raised((a, b, c))
            chances[values] = chances.get(values, Fraction(0)) + Fraction(ways, len(ITEMS) ** TOTAL)
    return {values: float(chance) for values, chance in sorted(chances.items())}


def instance(seed: int, index: int) -> Instance:
    """Draw the instance of that index; it depends on nothing else, so sets of one seed share their beginning."""
    digest = hashlib.sha256("\x1f".join(map(str, ("items", seed, index))).encode()).digest()
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
    pool = tuple(int(n) for n in rng.integers(1, MOST + 1, size=len(ITEMS)))
    thrown = rng.integers(0, len(ITEMS), size=(2, TOTAL))
    first, second = (raised(np.bincount(balls, minlength=len(ITEMS)).tolist()) for balls in thrown)
    return Instance(pool, (first, second))


@lru_cache(maxsize=1_000)
def units(action: str) -> Vector:
    """Read a demand such as ``2 1 0``."""
    return tuple(map(int, action.split()))


def spelt(demand: Iterable[int], between: str = " ") -> str:
    """Write a demand, as an action unless ``between`` says otherwise."""
    return between.join(map(str, demand))


@cache
def demands(pool: Vector) -> tuple[str, ...]:
    """Return every demand within a pool."""
    return tuple(spelt(demand) for demand in product(*(range(n + 1) for n in pool)))


def fit(pool: Vector, first: str, second: str) -> bool:
    """Whether two demands can both be met."""
    return all(a + b <= n for n, a, b in zip(pool, units(first), units(second), strict=True))


def worth(demand: Vector, values: Vector) -> int:
    """Return what a demand is worth to a side."""
    return sum(n * v for n, v in zip(demand, values, strict=True))


def rest(pool: Vector, action: str) -> Vector:
    """Return what a demand leaves of the pool."""
    return tuple(n - d for n, d in zip(pool, units(action), strict=True))


def half_down(pool: Vector) -> Vector:
    """Return half of each item, rounded down."""
    return tuple(n // 2 for n in pool)


def half_up(pool: Vector) -> Vector:
    """Return half of each item, rounded up."""
    return tuple((n + 1) // 2 for n in pool)
