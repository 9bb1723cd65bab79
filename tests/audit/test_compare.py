"""Comparisons of two scorecards: differences, and whether they are for the better."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from sepo.audit.compare import compare, load_card
from sepo.audit.scorecard import scorecard
from sepo.errors import InputError
from sepo.games.base import Game
from sepo.policies.script import ScriptPolicy


@pytest.fixture
def cards(kuhn: Game) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scorecards of an exploitable policy and of an equilibrium."""
    loose, nash = (scorecard(ScriptPolicy(f"script:{n}", n), [kuhn]) for n in ("loose_aggressive", "nash"))
    return loose, nash


def rows(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["figure"]: row for row in document["games"]["kuhn"]}


def test_differences_are_after_minus_before_and_judged_by_what_the_figure_means(cards: tuple[dict, dict]):
    document = compare(*cards)
    assert (document["before"], document["after"]) == ("script:loose_aggressive", "script:nash")
    found = rows(document)
    assert found["exploitability"]["difference"] == pytest.approx(-1 / 6)
    for name in ("exploitability", "security_gap", "paper.e", "paper.u", "sepo.J", "robustness"):
        assert found[name]["better"] is True
    assert found["paper.x"]["difference"] > 0
    assert found["paper.x"]["better"] is False


def test_comparing_the_other_way_round_turns_every_sign_and_verdict(cards: tuple[dict, dict]):
    there, back = rows(compare(*cards)), rows(compare(*cards[::-1]))
    assert there.keys() == back.keys()
    for name, row in there.items():
        assert row["difference"] == -back[name]["difference"]
        assert row["better"] is (None if back[name]["better"] is None else not back[name]["better"])


def test_a_scorecard_compared_with_itself_shows_no_difference_and_no_verdict(cards: tuple[dict, dict]):
    found = rows(compare(cards[0], cards[0]))
    assert found
    assert all(row["difference"] == 0 and row["better"] is None for row in found.values())


def test_overlapping_intervals_get_no_verdict(cards: tuple[dict, dict]):
    before, after = deepcopy(cards)
    for card in (before, after):
        figure = card["games"]["kuhn"]["exploitability"]
        figure.update(low=figure["value"] - 0.1, high=figure["value"] + 0.1, n=100)
    row = rows(compare(before, after))["exploitability"]
    assert row["difference"] == pytest.approx(-1 / 6)
    assert (row["intervals_apart"], row["better"]) == (False, None)
    after["games"]["kuhn"]["exploitability"]["high"] = 0.05
    row = rows(compare(before, after))["exploitability"]
    assert (row["intervals_apart"], row["better"]) == (True, True)


def test_only_figures_that_both_have_are_compared(cards: tuple[dict, dict]):
    found = rows(compare(*cards))
    assert "pool_coverage" not in found  # the equilibrium has none
    assert "sepo.c" not in found  # does not apply to either
    assert {"paper.c", "sepo.J"} <= set(found)


def test_scorecards_without_a_common_game_are_refused_naming_the_games(cards: tuple[dict, dict]):
    other = deepcopy(cards[1])
    other["games"] = {"leduc": other["games"]["kuhn"]}
    with pytest.raises(InputError, match="share no game: kuhn and leduc"):
        compare(cards[0], other)


def test_a_game_played_by_different_rules_is_refused_by_name(cards: tuple[dict, dict]):
    other = deepcopy(cards[1])
    other["games"]["kuhn"]["rules"] = {"ante": 2}
    with pytest.raises(InputError, match="game 'kuhn' was played by different rules"):
        compare(cards[0], other)


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
