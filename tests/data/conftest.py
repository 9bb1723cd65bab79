"""Demonstrations of every built-in game, played once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sepo.data.episodes import Demonstrations, demonstrate, shown
from sepo.games.registry import GAMES

SIZES = dict.fromkeys(GAMES, 3_000)


@pytest.fixture(scope="session")
def demonstrations() -> Mapping[str, Demonstrations]:
    return {name: demonstrate(shown(name, {}), size, seed=7) for name, size in SIZES.items()}
