"""Built-in repeated games, extended as a package of one's own may do it: through what they settle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from sepo.games.base import MeasureName, MeasureSet, Ratio
from sepo.games.ipd import Ipd
from sepo.games.repeated import Pair, Settled, Stage

COOPERATED = Pair("COOPERATE", "COOPERATE")


class Halved(Ipd):
    """Round k pays 1/2**k; how many rounds are over is public."""

    name: ClassVar[str] = "halved"
    maximin = None

    @property
    def start(self) -> int:
        return 0

    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        end = super().settle(public, private, first, second)
        own, other = (r * 0.5**public for r in end.rewards)
        return end._replace(rewards=(own, other), public=public + 1)


class Betrayed(Ipd):
    """It counts own defections right after mutual cooperation; the last round is public."""

    name: ClassVar[str] = "betrayed"
    features: ClassVar[tuple[str, ...]] = (*Ipd.features, "betrayal")

    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        end = super().settle(public, private, first, second)
        counted = [
            (*found, float(own == "DEFECT" and public == COOPERATED))
            for found, own in zip(end.features, (first, second), strict=True)
        ]
        return end._replace(features=(counted[0], counted[1]), public=Pair(first, second))

    def measures(self, name: MeasureName) -> MeasureSet:
        return replace(super().measures(name), c=Ratio("betrayal", "round", ("collusive", "train")))


class HalvedStage(Stage):
    """A node that pays half of what is settled."""

    __slots__ = ()

    def rewards(self) -> tuple[float, float]:
        own, other = super().rewards()
        return own / 2, other / 2


class OwnNodes(Ipd):
    """A game with nodes of its own, which no figure would ask."""

    name: ClassVar[str] = "own_nodes"

    def root(self) -> Stage:
        return HalvedStage(self, 0, (), self.start, (None, None), kept=None, dealt=True)


class Elsewhere(Ipd):
    """A game that begins elsewhere than its shorter forms do."""

    name: ClassVar[str] = "elsewhere"

    def root(self) -> Stage:
        return Stage(self, 1, (COOPERATED,), self.start, (None, None), kept=None, dealt=True, mirrored=(COOPERATED,))
