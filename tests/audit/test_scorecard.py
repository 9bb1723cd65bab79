"""The scorecard: one document whose figures mean what they say."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from sepo.audit.measures import objective, pool, scripted, terms
from sepo.audit.scorecard import Options, audit_table, scorecard
from sepo.errors import InputError
from sepo.games.base import Game
from sepo.games.registry import make
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.policies.table import PolicyTable, elicit, tabulate
from sepo.solve.tree import Tree
from tests.brute import Line, as_profile, best_value, collected, expectation, lines, random_strategy
from tests.kuhn_policies import KEYS
from tests.small_games import BackwardsKuhn, BackwardsStakes

PART = {
    *(
        "rules",
        "method",
        "measures",
        "exploitability",
        "worst_case_advantage",
        "security_gap",
        "pool_coverage",
    ),
    *("robustness", "held_out", "nra", "welfare", "illegal_rate", "legal_mass", "frequencies", "opponents"),
}


def table(game: Game, tree: Tree, seed: int, **fields: Any) -> PolicyTable:
    return tabulate(game, tree, random_strategy(tree, seed), f"random {seed}", **fields)


def audited(game: Game, tree: Tree, seed: int, **fields: Any) -> dict[str, Any]:
    return audit_table(table(game, tree, seed, **fields), game)


def figures(part: Any) -> list[dict[str, Any]]:
    """Return every figure of a document, wherever it stands."""
    if isinstance(part, dict):
        return [part] if "value" in part else [f for value in part.values() for f in figures(value)]
    return [f for item in part for f in figures(item)] if isinstance(part, list) else []


@pytest.fixture
def card(kuhn: Game) -> dict[str, Any]:
    return scorecard(ScriptPolicy("script:loose_aggressive", "loose_aggressive"), [kuhn], Options(seed=7))


def test_the_document_has_the_published_parts(card: dict[str, Any]):
    assert (card["schema"], card["policy"], card["seed"]) == (
        "sepo.scorecard/1",
        "script:loose_aggressive",
        7,
    )
    assert {"python", "numpy"} <= set(card["versions"])
    assert set(card["games"]) == {"kuhn"}
    assert set(card["games"]["kuhn"]) >= PART
    assert {name: set(row) for name, row in card["games"]["kuhn"]["measures"].items()} == {
        name: {"u", "e", "c", "x", "J"} for name in ("paper", "sepo")
    }


def test_every_figure_is_exact_and_the_document_is_plain_json(card: dict[str, Any]):
    del card["games"]["kuhn"]["time_to_exploit"]  # of adversaries that learn
    found = figures(card["games"])
    assert len(found) > 40
    assert all(f["low"] == f["high"] == f["value"] and f["n"] is None for f in found)
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_what_does_not_apply_is_null_and_not_zero(card: dict[str, Any], stakes: Game, stakes_tree: Tree):
    part = card["games"]["kuhn"]
    assert (part["measures"]["sepo"]["c"], part["measures"]["sepo"]["x"]) == (None, None)
    assert (part["nra"], part["welfare"], part["illegal_rate"], part["legal_mass"]) == (
        None,
        None,
        None,
        None,
    )
    other = audited(stakes, stakes_tree, 0)
    assert other["exploitability"] is None
    assert other["measures"]["sepo"]["x"] is None
    assert other["measures"]["sepo"]["c"] is not None
    assert other["nra"] is not None


def test_only_the_measures_asked_for_are_shown_and_the_rest_stays_the_same(kuhn: Game, tree: Tree):
    both = audited(kuhn, tree, 1)
    for name in ("paper", "sepo"):
        alone = audit_table(table(kuhn, tree, 1), kuhn, name)
        assert alone["measures"] == {name: both["measures"][name]}
        assert alone["exploitability"] == both["exploitability"]


@pytest.mark.parametrize(
    ("name", "chips"),
    [("nash", 0.0), ("nash_approx", 0.0556), ("tight_passive", 0.25), ("loose_aggressive", 0.1667)],
)
def test_exploitability_has_its_published_values(kuhn: Game, name: str, chips: float):
    part = scorecard(ScriptPolicy(f"script:{name}", name), [kuhn], Options(adversaries=False))["games"]["kuhn"]
    assert part["exploitability"]["value"] == pytest.approx(chips, abs=5e-5)
    assert part["measures"]["sepo"]["e"]["value"] == pytest.approx(part["exploitability"]["value"], abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_in_a_zero_sum_game_the_security_gap_is_exploitability_and_the_worst_case_twice_that(
    kuhn: Game, tree: Tree, seed: int
):
    part = audited(kuhn, tree, seed)
    exploitability = part["exploitability"]["value"]
    assert part["security_gap"]["value"] == pytest.approx(exploitability, abs=1e-12)
    assert part["worst_case_advantage"]["value"] == pytest.approx(2 * exploitability, abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_pool_coverage_is_the_share_of_the_worst_case_that_the_pool_finds(kuhn: Game, tree: Tree, seed: int):
    part = audited(kuhn, tree, seed)
    share = part["measures"]["paper"]["e"]["value"] / part["worst_case_advantage"]["value"]
    assert part["pool_coverage"]["value"] == pytest.approx(share, abs=1e-12)
    assert 0 <= share <= 1


def test_pool_coverage_of_an_unexploitable_policy_does_not_apply(kuhn: Game):
    part = scorecard(ScriptPolicy("script:nash", "nash"), [kuhn])["games"]["kuhn"]
    assert part["pool_coverage"] is None


def test_an_equilibrium_has_no_pool_advantage_against_it_and_no_security_gap(kuhn: Game):
    part = scorecard(ScriptPolicy("script:nash", "nash"), [kuhn])["games"]["kuhn"]
    assert part["measures"]["paper"]["e"]["value"] == 0
    assert part["security_gap"]["value"] == pytest.approx(0, abs=1e-12)
    assert all(row["own"]["value"] >= -1e-12 for row in part["opponents"])  # it never loses in the mean of both seats


def test_the_security_gap_elsewhere_is_the_distance_from_the_maximin_value(stakes: Game, stakes_tree: Tree):
    for seed in range(10):
        assert audited(stakes, stakes_tree, seed)["security_gap"]["value"] >= -1e-9
    from sepo.solve.maximin import maximin

    safe = sum(maximin(stakes_tree, seat).strategy for seat in (0, 1))
    part = audit_table(tabulate(stakes, stakes_tree, safe, "safe"), stakes)
    assert part["security_gap"]["value"] == pytest.approx(0, abs=1e-8)


def won(game: Game, seat: int, line: Line) -> float:
    return collected(game, line, "own", seat)


def test_opponents_rows_agree_with_enumeration_and_with_the_pool_means(stakes: Game, stakes_tree: Tree):
    learner = random_strategy(stakes_tree, 3)
    part = audited(stakes, stakes_tree, 3)
    pools = stakes.measures("paper").pools
    assert [(r["pool"], r["name"]) for r in part["opponents"]] == [(p, o) for p, names in pools.items() for o in names]
    for row in part["opponents"]:
        for name in ("own", "other"):
            by_seat = [
                expectation(
                    stakes,
                    as_profile(stakes_tree, stakes_tree.join(s, learner, scripted(stakes_tree)[row["name"]])),
                    name,
                    s,
                )
                for s in (0, 1)
            ]
            assert row[name]["value"] == pytest.approx(np.mean(by_seat) / 2, abs=1e-12)  # two rounds
        assert row["advantage"]["value"] == pytest.approx(row["other"]["value"] - row["own"]["value"], abs=1e-12)
        profile = as_profile(stakes_tree, scripted(stakes_tree)[row["name"]])
        best = [best_value(stakes, profile, s, partial(won, stakes, s)) for s in (0, 1)]
        assert row["regret"]["value"] == pytest.approx(np.mean(best) / 2 - row["own"]["value"], abs=1e-12)

    def mean(of: str, which: str) -> float:
        return float(np.mean([r[which]["value"] for r in part["opponents"] if r["pool"] == of]))

    assert part["robustness"]["value"] == pytest.approx(mean("exploiter", "own"), abs=1e-12)
    assert part["held_out"]["value"] == pytest.approx(mean("held_out", "own"), abs=1e-12)
    assert part["measures"]["paper"]["u"]["value"] == pytest.approx(mean("train", "own"), abs=1e-12)
    assert part["welfare"]["value"] == pytest.approx(mean("train", "own") + mean("train", "other"), abs=1e-12)
    shares = [
        (r["own"]["value"] - r["other"]["value"]) / (r["own"]["value"] + r["other"]["value"])
        for r in part["opponents"]
        if r["pool"] == "train"
    ]
    assert part["nra"]["value"] == pytest.approx(np.mean(shares), abs=1e-12)


@pytest.mark.parametrize("room", ["kuhn", "stakes"])
def test_frequencies_are_shares_of_the_actions_played_by_seat(room: str, request: pytest.FixtureRequest):
    game: Game = request.getfixturevalue(room)
    tree: Tree = request.getfixturevalue("tree" if room == "kuhn" else "stakes_tree")
    learner = random_strategy(tree, 4)
    got = audited(game, tree, 4)["frequencies"]
    for seat in (0, 1):
        played: dict[str, float] = defaultdict(float)
        for adversary in pool(tree, game.measures("paper"), "train"):
            for line in lines(game, as_profile(tree, tree.join(seat, learner, adversary.strategy))):
                for by, _, action in line.moves:
                    if by == seat:
                        played[action] += line.probability
        total = sum(played.values())
        row = got[f"seat {seat}"]
        assert {a: f["value"] for a, f in row.items()} == pytest.approx({a: p / total for a, p in played.items()})


def test_legal_mass_is_the_mean_over_the_decisions_met(kuhn: Game, tree: Tree):
    even = audited(kuhn, tree, 2, mass=dict.fromkeys(KEYS, 0.3))
    assert even["legal_mass"]["value"] == pytest.approx(0.3, abs=1e-12)
    # tight_passive bets its king alone: with all mass lost at the states after an own check, some is lost.
    some = audited(kuhn, tree, 2, mass={key: 0.0 if key.endswith("pb") else 1.0 for key in KEYS})
    assert 0.8 < some["legal_mass"]["value"] < 1


def test_a_legal_mass_that_lacks_a_state_is_an_error_that_names_it(kuhn: Game, tree: Tree):
    with pytest.raises(InputError, match="'J:'"):
        scorecard(table(kuhn, tree, 2, mass={key: 1.0 for key in KEYS if key != "J:"}), [kuhn])


def test_the_order_of_a_tables_states_and_actions_changes_no_figure(kuhn: Game, tree: Tree):
    one = table(kuhn, tree, 5)
    turned = replace(one, table={key: dict([*row.items()][::-1]) for key, row in [*one.table.items()][::-1]})
    assert list(turned.table) != list(one.table)
    assert audit_table(turned, kuhn) == audit_table(one, kuhn)


def test_the_order_in_which_a_game_lists_cards_and_actions_changes_no_figure(
    kuhn: Game, tree: Tree, stakes: Game, stakes_tree: Tree
):
    for game, its_tree, backwards in (
        (kuhn, tree, BackwardsKuhn()),
        (stakes, stakes_tree, BackwardsStakes()),
    ):
        want, got = (audit_table(table(game, its_tree, 6), g) for g in (game, backwards))
        a, b = (dict(walk(part)) for part in (want, got))
        assert a.keys() == b.keys()
        assert b == pytest.approx(a, abs=1e-12)


def walk(part: Any, path: str = "") -> list[tuple[str, float]]:
    """Return every figure's value with the path to it."""
    if isinstance(part, dict):
        if "value" in part:
            return [(path, part["value"])]
        return [found for key in part for found in walk(part[key], f"{path}.{key}")]
    if isinstance(part, list):
        return [found for i, item in enumerate(part) for found in walk(item, f"{path}.{i}")]
    return []


def test_the_elicited_table_has_the_same_figures_as_the_policy(kuhn: Game, tree: Tree):
    policy = ScriptPolicy("script:nash_approx", "nash_approx")
    card = scorecard(policy, [kuhn], Options(adversaries=False))
    assert audit_table(elicit(policy, kuhn, tree), kuhn, adversaries=False) == card["games"]["kuhn"]


def test_J_in_the_scorecard_is_the_objective_that_training_climbs(kuhn: Game, tree: Tree):  # noqa: N802
    part = audited(kuhn, tree, 8)
    for name in ("paper", "sepo"):
        want = objective(terms(tree, kuhn.measures(name), random_strategy(tree, 8)))
        assert part["measures"][name]["J"]["value"] == pytest.approx(want, abs=1e-12)


def test_a_policy_that_is_no_model_is_not_shown_as_one(kuhn: Game, tree: Tree):
    card = scorecard(UniformPolicy(), [kuhn])
    assert "model" not in card
    assert "torch" not in card["versions"]
    noted = table(kuhn, tree, 1, notes={"best_response_to": "script:nash", "objective": "payoff"})
    card = scorecard(noted, [kuhn])
    assert "torch" not in card["versions"]
    assert "model" not in card


def test_several_games_stand_side_by_side(kuhn: Game, stakes: Game):
    card = scorecard(UniformPolicy(), [kuhn, stakes])
    assert list(card["games"]) == ["kuhn", "stakes"]
    assert card["games"]["stakes"]["rules"] == {"stakes": 3}


def test_sampled_intervals_keep_to_what_a_figure_can_be():
    """Of few episodes, whose bootstrap goes beyond: e and regrets are at least 0, shares between 0 and 1."""
    game = make("items", {"instances": 12, "rounds": 2})
    part = scorecard(ScriptPolicy("script:hardball", "hardball"), [game], Options(sets="both"))["games"]["items"]
    shares = [part["measures"][of][k] for of in ("paper", "sepo") for k in ("c", "x")]
    losses = [part["measures"][of]["e"] for of in ("paper", "sepo")]
    losses += [row["regret"] for row in part["opponents"] if "regret" in row]
    assert all(m["n"] == 12 for m in (*shares, *losses))
    assert all(0 <= m["low"] <= m["value"] <= m["high"] for m in (*shares, *losses))
    assert all(m["high"] <= 1 for m in shares)
    assert part["measures"]["paper"]["e"]["low"] == 0 < part["measures"]["paper"]["e"]["value"]
    assert part["measures"]["paper"]["c"]["value"] < part["measures"]["paper"]["c"]["high"] == 1
