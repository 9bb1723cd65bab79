"""A table that was elicited in part is nowhere shown as a policy that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sepo.games.registry import make
from sepo.policies.script import ScriptPolicy
from sepo.policies.table import elicit, noted
from sepo.solve.expand import expand
from tests.conftest import Finished

Program = Callable[..., Finished]
SAID = "part.json was elicited in 3 of 12 information states: the figures are the table's, which is uniform elsewhere"


@pytest.fixture(scope="module")
def card(sepo: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the scorecard of a quarter of an equilibrium of Kuhn poker."""
    folder, game = tmp_path_factory.mktemp("part"), make("kuhn")
    whole = elicit(ScriptPolicy("script:nash", "nash"), game, expand(game))
    part = replace(whole, table=dict(list(whole.table.items())[:3]), default="uniform", notes=noted({}, 3, 12))
    part.save(folder / "part.json")
    done = sepo("audit", f"table:{folder / 'part.json'}", "--game", "kuhn", "--out", folder / "card.json")
    assert SAID in done.out
    return folder / "card.json"


def test_the_gate_says_so(sepo: Program, card: Path) -> None:
    done = sepo("gate", card, "--max", "exploitability=1")
    assert (done.code, done.out) == (0, "passed: 1 checks\n")
    assert SAID in done.err


def test_reports_say_so(sepo: Program, card: Path) -> None:
    assert SAID in sepo("report", card, "--markdown").out.replace("\\", "")


def test_comparisons_say_so(sepo: Program, card: Path, tmp_path: Path) -> None:
    sepo("audit", "script:nash", "--game", "kuhn", "--out", tmp_path / "nash.json")
    assert SAID in str(sepo("compare", tmp_path / "nash.json", card, "--json").document)
    sepo("audit", "uniform", "--game", "kuhn", "--out", tmp_path / "uniform.json")
    assert "elicited" not in str(sepo("compare", tmp_path / "nash.json", tmp_path / "uniform.json", "--json").document)
