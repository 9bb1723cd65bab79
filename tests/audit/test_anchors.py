"""The published figures of scripts, as the program's user gets them: GAMES.md, sections 2 to 6."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.conftest import Finished

pytestmark = pytest.mark.no_cover  # plain Python that tracing slows to half: other tests cover it

Program = Callable[..., Finished]
INSTANCES = 400  # of the published 2000: intervals about twice as wide, in a fifth of the time

EXACT: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "ipd": {
        "tit_for_tat": {"u": 2.7891, "e": 0.3125, "c": 0, "x": 0.1667, "J": 1.7391},
        "grim_trigger": {"u": 2.9066, "e": 0.3125, "c": 0, "x": 0.2153, "J": 1.7690},
        "always_cooperate": {"u": 2.6250, "e": 3.75, "c": 0, "J": -6.4750},
    },
    "auction": {
        "value_bid": {"u": 0.9167, "e": 0.5, "c": 0.5, "x": 0.1792, "J": -0.5058},
        "wary_value_bid": {"u": 0.9167, "e": 0.0833, "c": 0.5, "x": 0.3042, "J": -0.2308},
    },
    "split": {
        "fair": {"u": 1.875, "e": 0, "x": 0.75},
        "tit_for_tat_split": {"u": 2.875, "e": 3.75, "x": 0.25},
        "accommodating": {"u": 2.5, "e": 0, "x": 0.625},
    },
}
KUHN = {"nash": 0.0, "nash_approx": 0.0556, "tight_passive": 0.25, "loose_aggressive": 0.1667}
ITEMS: Mapping[str, Mapping[str, float]] = {
    "half_up": {"u": 11.8, "e": 0, "c": 0, "x": 0.48, "J": 2.40},
    "complement": {"J": 2.50},
    "everything": {"J": -2.08},
}


def cards(sepo: Program, game: str, scripts: Mapping[str, Any], *more: object) -> dict[str, Any]:
    """Audit several scripts under the paper's rules and measures in one call; return each one's part."""
    names = [f"script:{name}" for name in scripts]
    done = sepo("audit", *names, "--game", game, "--measures", "paper", "--no-adversaries", "--json", *more)
    assert done.code == 0, done.err
    return {card["policy"].removeprefix("script:"): card["games"][game] for card in done.document["scorecards"]}


@pytest.mark.parametrize("game", EXACT)
def test_scripts_score_as_published_to_four_digits(sepo: Program, game: str):
    found = cards(sepo, game, EXACT[game])
    assert list(found) == list(EXACT[game])
    for script, want in EXACT[game].items():
        got = found[script]["measures"]["paper"]
        assert {k: got[k]["value"] for k in want} == pytest.approx(want, abs=5e-5), script
        assert all(got[k]["low"] == got[k]["high"] == got[k]["value"] and got[k]["n"] is None for k in want)


def test_kuhns_scripts_are_as_exploitable_as_published(sepo: Program):
    found = cards(sepo, "kuhn", KUHN)
    got = {name: part["exploitability"]["value"] for name, part in found.items()}
    assert got == pytest.approx(KUHN, abs=5e-5)


def test_scripts_bargain_over_items_as_published_within_the_chance_of_the_instances(sepo: Program):
    found = cards(sepo, "items", ITEMS, "--rule", f"instances={INSTANCES}")
    for script, want in ITEMS.items():
        assert found[script]["rules"]["instances"] == INSTANCES
        for name, value in want.items():
            figure = found[script]["measures"]["paper"][name]
            assert figure["n"] in (INSTANCES, None)
            near = {"u": 0.1, "x": 0.01}.get(name, 0.05)
            assert figure["low"] <= value <= figure["high"] or figure["value"] == pytest.approx(value, abs=near)
            assert figure["value"] == pytest.approx(value, abs=4 * near), (script, name)


def test_a_script_that_every_game_has_is_audited_in_all_of_them(sepo: Program):
    done = sepo("audit", "script:uniform", "--game", "all", "--measures", "sepo", "--json")
    assert done.code == 0, done.err
    parts = done.document["games"]
    assert {"ipd", "auction", "split", "items", "kuhn", "commons"} <= set(parts)
    for name, part in parts.items():
        assert all(figure is not None for k, figure in part["measures"]["sepo"].items() if k in "ueJ"), name
