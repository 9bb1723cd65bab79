"""Policy files that the commands are called with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sepo.games.base import Game
from sepo.policies.script import ScriptPolicy
from sepo.policies.table import elicit
from sepo.solve.tree import Tree


@pytest.fixture
def nash(kuhn: Game, tree: Tree) -> dict[str, Any]:
    """Return the document of the equilibrium's table."""
    return elicit(ScriptPolicy("script:nash", "nash"), kuhn, tree).document()


@pytest.fixture
def loose(kuhn: Game, tree: Tree) -> dict[str, Any]:
    """Return the document of the table of a policy that is soon exploited, and so soon audited."""
    return elicit(ScriptPolicy("script:loose_aggressive", "loose_aggressive"), kuhn, tree).document()


@pytest.fixture
def nash_file(nash: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "nash.json"
    path.write_text(json.dumps(nash))
    return path
