"""``sepo solve``: the policy it writes audits to exactly the J it claims, and no script comes above it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sepo.audit.methods import Options
from sepo.audit.scorecard import audit
from sepo.games.base import MeasureName
from sepo.games.registry import make
from sepo.policies.base import Policy
from sepo.policies.script import ScriptPolicy
from sepo.policies.table import load_table
from tests.conftest import Finished

Program = Callable[..., Finished]


def audited(policy: Policy, game: str, measures: MeasureName) -> dict[str, Any]:
    """Return u, e, c, x and J as an audit finds them; no adversary need be let loose for that."""
    options = Options(sets=measures, method="exact", adversaries=False)
    return audit(policy, {measures: make(game, {}, measures)}, options)["measures"][measures]


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("game", "measures"),
    [
        ("auction", "paper"),
        ("split", "paper"),
        ("split", "sepo"),
        ("ipd", "paper"),
        ("commons", "sepo"),
        ("kuhn", "sepo"),
    ],
)
def test_the_written_policy_audits_to_the_j_that_is_claimed(
    sepo: Program, tmp_path: Path, game: str, measures: MeasureName
):
    out = tmp_path / "best.json"
    found = sepo("solve", game, "--measures", measures, "--json", "--out", out).document
    assert found["schema"] == "sepo.ceiling/1"
    assert found["bound"] - found["J"] < 1e-8
    card = audited(load_table(out), game, measures)
    for figure in ("J", "u", "e", "c", "x"):
        there = card[figure]
        assert (found[figure] is None) == (there is None)
        assert there is None or there["value"] == pytest.approx(found[figure], abs=1e-9)
        assert there is None or there["low"] == there["high"]


@pytest.mark.no_cover
def test_the_table_of_a_ceiling_over_beliefs_audits_to_its_j(sepo: Program, tmp_path: Path):
    rules = {"instances": 3, "instance_seed": 33, "rounds": 3}
    asked = [part for name, value in rules.items() for part in ("--rule", f"{name}={value}")]
    for measures in ("paper", "sepo"):
        out = tmp_path / f"{measures}.json"
        found = sepo("solve", "items", *asked, "--measures", measures, "--json", "--out", out).document
        assert found["bound"] - found["J"] < 1e-8
        game = make("items", rules, measures)
        options = Options(sets=measures, method="exact", adversaries=False)
        card = audit(load_table(out), {measures: game}, options)
        for figure in ("J", "u", "e", "c", "x"):
            assert card["measures"][measures][figure]["value"] == pytest.approx(found[figure], abs=1e-9)
        for script in game.opponents:
            other = audit(ScriptPolicy(f"script:{script}", script), {measures: game}, options)
            assert other["measures"][measures]["J"]["value"] <= found["J"] + 1e-9


@pytest.mark.no_cover
def test_no_script_comes_above_the_ceiling_of_the_auction(sepo: Program):
    found = sepo("solve", "auction", "--measures", "paper", "--json").document
    assert found["J"] == pytest.approx(0.0072, abs=5e-5)
    assert (found["u"], found["e"], found["c"]) == pytest.approx((0.7623, 0.125, 0.0833), abs=5e-5)
    scripts = [ScriptPolicy(f"script:{name}", name) for name in make("auction").opponents]
    assert max(audited(script, "auction", "paper")["J"]["value"] for script in scripts) < found["J"]


@pytest.mark.no_cover
def test_other_weights_and_rules_are_taken(sepo: Program):
    usual = sepo("solve", "ipd", "--json").document
    free = sepo("solve", "ipd", "--lambda", "0,0,0", "--rule", "rounds=4", "--json").document
    assert free["weights"] == {"e": 0.0, "c": 0.0, "x": 0.0}
    assert free["rules"] == {"rounds": 4}
    assert free["J"] == pytest.approx(free["u"], abs=1e-9)  # s is 1
    assert free["J"] > usual["J"]
    said = sepo("solve", "split", "--measures", "paper").out
    assert said.startswith("split, paper measures, lambda 3, 2, 1.8: J 1.0125")


def test_a_worst_case_is_capped(sepo: Program, tmp_path: Path):
    asked = ("ipd", "--rule", "rounds=4", "--worst-case", "0.5")
    out = tmp_path / "safe.json"
    found = sepo("solve", *asked, "--json", "--out", out).document
    assert found["worst_case"] == 0.5
    said = sepo("solve", *asked).out
    assert said.startswith("ipd, sepo measures, lambda 2.4, 1, 1.8, worst-case advantage at most 0.5: J ")
    card = sepo("audit", f"table:{out}", "--game", "ipd", "--rule", "rounds=4", "--measures", "sepo", "--json").document
    assert card["games"]["ipd"]["worst_case_advantage"]["value"] == pytest.approx(0.5, abs=1e-8)
    assert card["games"]["ipd"]["measures"]["sepo"]["J"]["value"] == pytest.approx(found["J"], abs=1e-8)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ipd", "--worst-case", "-1", "--rule", "rounds=3"), "0 is the least"),
        (("auction", "--worst-case", "1"), "game 'auction' is too large"),
        (("ipd", "--worst-case", "inf"), "the worst case is capped at a number of points per round, not at inf"),
        (("chess",), "unknown game 'chess'"),
        (("ipd", "--measures", "both"), "unknown measures 'both': it is one of paper, sepo"),
        (("ipd", "--lambda", "1,2"), "--lambda takes the weights of e, c and x"),
        (("ipd", "--lambda", "1,-2,0"), "--lambda takes the weights of e, c and x"),
        (("kuhn", "--measures", "paper"), "divides by what a policy itself decides"),
        (("items", "--rule", "instances=2000"), "even by beliefs"),
    ],
)
def test_bad_input_gets_one_line(sepo: Program, arguments: tuple[str, ...], said: str):
    done = sepo("solve", *arguments)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1
