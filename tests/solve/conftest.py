"""The trees that the exact solvers are tested on."""

from __future__ import annotations

import pytest

from sepo.solve.tree import Tree


@pytest.fixture(params=["kuhn", "stakes"])
def any_tree(request: pytest.FixtureRequest, tree: Tree, stakes_tree: Tree) -> Tree:
    """Kuhn poker, and a game with simultaneous moves, rounds and payoffs that do not sum to 0."""
    return tree if request.param == "kuhn" else stakes_tree
