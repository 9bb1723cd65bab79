"""Figures of scorecards: their differences, and whether they are for the better; damaged files."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from sepo.audit.compare import figures, load_card, row_of
from sepo.audit.scorecard import scorecard
from sepo.errors import InputError
from sepo.games.base import Game
from sepo.policies.script import ScriptPolicy


@pytest.fixture
def cards(kuhn: Game) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scorecards of an exploitable policy and of an equilibrium."""
    loose, nash = (scorecard(ScriptPolicy(f"script:{n}", n), [kuhn]) for n in ("loose_aggressive", "nash"))
    return loose, nash


def known(card: dict[str, Any]) -> dict[str, Any]:
    return dict(figures(card["games"]["kuhn"]))


def test_differences_are_after_minus_before_and_judged_by_what_the_figure_means(cards: tuple[dict, dict]):
    before, after = map(known, cards)
    found = {name: row_of(name, before[name], after[name]) for name in before.keys() & after.keys()}
    assert found["exploitability"]["difference"] == pytest.approx(-1 / 6)
    for name in ("exploitability", "security_gap", "paper.e", "paper.u", "sepo.J", "robustness"):
        assert found[name]["better"] is True
    assert found["paper.x"]["difference"] > 0
    assert found["paper.x"]["better"] is False
    for name, row in found.items():
        back = row_of(name, after[name], before[name])
        assert row["difference"] == -back["difference"]
        assert row["better"] is (None if back["better"] is None else not back["better"])
        same = row_of(name, before[name], before[name])
        assert (same["difference"], same["better"]) == (0, None)


def test_overlapping_intervals_get_no_verdict():
    before, after = ({"value": v, "low": v - 0.1, "high": v + 0.1, "n": 100} for v in (1 / 6, 0.0))
    row = row_of("exploitability", before, after)
    assert row["difference"] == pytest.approx(-1 / 6)
    assert (row["intervals_apart"], row["better"]) == (False, None)
    row = row_of("exploitability", before, after | {"high": 0.05})
    assert (row["intervals_apart"], row["better"]) == (True, True)


def test_what_does_not_apply_is_no_figure(cards: tuple[dict, dict]):
    found = known(cards[1])
    assert "pool_coverage" not in found  # the equilibrium has none
    assert "sepo.c" not in found
    assert {"paper.c", "sepo.J"} <= set(found)


def test_a_written_scorecard_is_read_back(cards: tuple[dict, dict], tmp_path: Path):
    path = tmp_path / "card.json"
    path.write_text(json.dumps(cards[0]))
    assert load_card(path) == cards[0]


def damaged(card: dict[str, Any], name: str) -> Any:
    part = card["games"]["kuhn"]
    match name:
        case "figure without a value":
            part["measures"]["sepo"]["J"] = {"low": 0, "high": 0, "n": None}
        case "figure without an interval":
            part["exploitability"] = {"value": 0.1}
        case "figure that is text":
            part["exploitability"]["value"] = "low"
        case "game that is a list":
            card["games"]["kuhn"] = [part]
        case "measures that are a number":
            part["measures"] = 3
        case "games that are a list":
            card["games"] = ["kuhn"]
    return card


@pytest.mark.parametrize(
    "fault",
    [
        "figure without a value",
        "figure without an interval",
        "figure that is text",
        "game that is a list",
        "measures that are a number",
        "games that are a list",
    ],
)
def test_a_damaged_scorecard_is_an_error_that_names_its_file(cards: tuple[dict, dict], fault: str, tmp_path: Path):
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps(damaged(deepcopy(cards[0]), fault)))
    with pytest.raises(InputError, match=r"damaged\.json"):
        load_card(path)


@pytest.mark.parametrize("document", [{"schema": "sepo.policy/1", "game": "kuhn", "table": {}}, {}, {"games": {}}])
def test_a_file_that_is_no_scorecard_is_an_error_that_says_what_it_is(document: Any, tmp_path: Path):
    path = tmp_path / "other.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"other\.json' is no scorecard: its schema is .* not 'sepo\.scorecard/1'"):
        load_card(path)
