"""Ablations: one thing changed a row, differences paired by seed, the same document after a stop, plain refusals."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from sepo.audit.arena import ground_of
from sepo.audit.measures import gradient, terms
from sepo.errors import InputError
from sepo.games.registry import make
from sepo.train.ablate import Plan, ablate, differences, document, plan, tables
from sepo.train.recipe import load_recipe, parse_recipe
from sepo.train.record import read_metrics
from sepo.train.run import run
from sepo.train.sections import weights
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]
SEEDS = [3, 4]
STEPS = {"steps": 2, "learning_rate": 0.01}
T_TWO_SEEDS = 12.7062047  # 97.5 % quantile of Student's t with one degree of freedom, from a printed table


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return {
        "name": "small",
        "game": "kuhn",
        "seeds": SEEDS,
        "model": {"policy": tiny_model(tmp_path_factory.mktemp("tiny")), "adapter": "full"},
        "checkpoint_every": 1,
        "episodes": 0,
        "audit": {"adversaries": False},
        "sft": {**STEPS, "examples": 400},
        "train": {**STEPS, "groups": 2, "group_size": 4, "mirror": {"projections": 2, "steps": 20}},
        "arms": [
            {"name": "base", "stage": "base"},
            {"name": "sft", "stage": "sft"},
            {"name": "reward_only", "train": {"lambda": {"e": 0, "c": 0, "x": 0}}},
            {"name": "sepo", "train": {"kl": 0.01}},
        ],
    }


@pytest.fixture(scope="module")
def planned(small):
    return plan(parse_recipe(small, "small"), ["without_e", "pool", "constant"])


@pytest.fixture(scope="module")
def finished(planned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablations") / "whole"
    text = ablate(planned, folder, lambda event: None, command="sepo ablate small.yaml")
    return folder, json.loads((folder / "ablation.json").read_text()), text


def arm(found: dict, name: str) -> dict:
    return next(a for a in found["arms"] if a["name"] == name)


def in_scorecard(folder: Path, name: str, seed: int, of: str, key: str) -> float:
    card = json.loads((folder / "arms" / name / f"seed-{seed}" / "scorecards" / "last.json").read_text())
    return card["games"]["kuhn"]["measures"][of][key]["value"]


def named(found) -> list[str]:
    return [row.name for row in found.rows]


def variant(game: str, sepo: dict, **over):
    if game == "ipd":
        over["rules"] = {"rounds": 4}  # a small tree: these recipes are only planned
    arms = [{"name": "base", "stage": "base"}, {"name": "sft", "stage": "sft"}, {"name": "sepo", "train": sepo}]
    return parse_recipe({"name": "x", "game": game, "arms": arms} | over, "x")


VARIANTS = {
    "kuhn": variant("kuhn", {}),
    "paper": variant("kuhn", {"update": "clipped", "exploiter": "pool", "lambda": {"x": 0.5}}, measures="paper"),
    "ipd": variant("ipd", {"exploiter": "pool"}, measures="paper"),
    "other way": variant(
        "ipd", {"estimator": "sampled", "update": "clipped", "returns": "immediate", "start": "base"}, measures="paper"
    ),
    "group": variant("ipd", {"estimator": "sampled", "scale": "group", "update": "clipped"}),
    "auction": variant("auction", {"exploiter": "pool"}),
}


@cache
def grid(which: str) -> Plan:
    return plan(VARIANTS[which])


@pytest.mark.parametrize("which", VARIANTS)
def test_each_row_differs_from_its_reference_in_exactly_one_setting(which):
    recipe, whole = VARIANTS[which], grid(which)
    taught = ["distil"] if recipe.settings(recipe.arms[2]).update == "mmd" else []
    asked = whole if which == "auction" else plan(recipe, [*named(whole), "rollout", "constant", *taught])
    for found in (whole, asked):
        assert [a.name for a in found.recipe.arms] == ["base", "sft", "sepo", *named(found)]
        assert found.recipe.settings(found.recipe.arms[2]) == recipe.settings(recipe.arms[2])
        assert found.recipe.model_dump(exclude={"arms"}) == recipe.model_dump(exclude={"arms"})
        for row in found.rows:
            assert len(differences(found.recipe, row.name, row.reference)) == 1, row
            if row.name not in ("group_scale", "rollout", "constant"):
                assert row.reference == "sepo"


def test_the_grid_takes_the_other_value_and_leaves_out_what_cannot_be_or_changes_nothing():
    kuhn, paper, ipd, other, group, auction = map(grid, VARIANTS)
    assert named(kuhn) == ["without_e", "pool", "sampled", "clipped", "from_base"]
    assert [row.name for row in kuhn.left_out] == ["without_c", "without_x", "group_scale", "immediate"]
    penalties = ["without_e", "without_c", "without_x"]
    assert named(paper) == [*penalties, "best_response", "sampled", "group_scale", "mmd", "from_base"]
    assert named(ipd) == [*penalties, "best_response", "sampled", "immediate", "clipped", "from_base"]
    assert named(other) == [*penalties, "pool", "exact", "group_scale", "to_go", "mmd", "from_sft"]
    assert named(group) == [*penalties, "pool", "joint_scale", "immediate", "mmd", "from_base"]
    assert group.left_out == [("exact", "an exact gradient has no groups")]
    why = {row.name: row.why for row in auction.left_out}
    assert "too large for an exact best response" in why["best_response"]
    assert "best_response" not in named(auction)


def test_what_is_left_out_as_without_effect_has_none():
    game = make("kuhn")
    tree = ground_of(game)
    raw = np.random.default_rng(0).random(len(tree.seat))
    policy = raw / np.bincount(tree.owner, raw)[tree.owner]
    for of in ("paper", "sepo"):
        found = terms(tree, game.measures(of), policy)
        np.testing.assert_array_equal(gradient(policy, found), gradient(policy, found, immediate=True))


def test_rows_by_name_bring_what_they_are_set_beside():
    found = plan(VARIANTS["paper"], ["group_scale"])
    assert named(found) == ["sampled", "group_scale"]
    assert [a.name for a in found.recipe.arms] == ["base", "sft", "sepo", "sampled", "group_scale"]
    assert named(plan(VARIANTS["paper"], ["sepo"])) == []


def test_payoff_alone_and_the_best_policy_there_is_are_rows_by_name():
    recipe = load_recipe(ROOT / "recipes" / "ipd.yaml")
    found = plan(recipe, ["reward_only", "distil"])
    assert named(found) == ["reward_only", "distil"]
    _, payoff, taught = (found.recipe.settings(arm) for arm in found.recipe.arms if arm.stage == "train")
    assert differences(found.recipe, "reward_only", "sepo").keys() == {"lambda.e", "lambda.c", "lambda.x"}
    assert weights(payoff.lambda_, make("ipd").measures("paper").weights) == (0.0, 0.0, 0.0)
    assert differences(found.recipe, "distil", "sepo") == {"target": ("mirror", "ceiling")}
    assert taught.update == "mmd"
    assert {row.reference for row in found.rows} == {"sepo"}


def test_training_as_first_published_is_a_row_by_name():
    """It is the arm of the recipe that asks whether that collapses, but for what only mirror descent looks at."""
    recipe, published = (load_recipe(ROOT / "recipes" / f"{name}.yaml") for name in ("ipd", "ipd-paper"))
    found = plan(recipe, ["paper"])
    assert named(found) == ["paper"]
    assert "paper" not in named(plan(recipe))
    row, arm = (next(a for a in of.arms if a.name == "paper") for of in (found.recipe, published))
    ours, theirs = found.recipe.settings(row), published.settings(arm)
    unlike = {key for key, value in ours.model_dump().items() if theirs.model_dump()[key] != value}
    assert unlike == {"mirror"}
    assert found.recipe.measure_name(row) == published.measure_name(arm) == "paper"
    kuhn = plan(VARIANTS["kuhn"], ["paper"]).recipe
    section = kuhn.settings(kuhn.arms[-1])
    assert (section.measures, section.kl, section.learning_rate) == ("paper", 0.2, pytest.approx(0.9e-4))
    whole = variant("auction", {"exploiter": "pool", "mirror": {"learns": "replies", "knows": "scored"}, "margin": 1.0})
    planned = plan(whole, ["paper"]).recipe
    section = planned.settings(planned.arms[-1])
    assert (section.mirror.learns, section.mirror.knows, section.margin) == ("policy", "asked", 0.0)


@pytest.mark.parametrize(
    ("which", "name", "why"),
    [
        ("kuhn", "reward_only", "of penalties 'sepo' has e alone"),
        ("paper", "distil", "a clipped update has no target to be taught"),
        ("budget", "distil", "a weight has a budget"),
        ("budget", "without_e", "a weight has a budget"),
        ("budget", "reward_only", "a weight has a budget"),
        ("budget", "paper", "a weight has a budget"),
    ],
)
def test_a_row_that_cannot_be_had_is_refused_with_its_reason(which: str, name: str, why: str):
    budget = variant("ipd", {"exploiter": "pool", "lambda": {"e": "auto", "budget": 0.1}})
    recipe = VARIANTS.get(which, budget)
    with pytest.raises(InputError, match=re.escape(f"row '{name}' is left out: {why}")):
        plan(recipe, [name])
    assert name not in named(plan(recipe))
    assert (name in [row.name for row in plan(recipe).left_out]) == (name == "without_e")


REASONED = {"estimator": "sampled", "update": "clipped", "exploiter": "pool"}
PENALTIES = ["without_e", "without_c", "without_x"]


@pytest.mark.parametrize(
    ("recipe", "rows", "left"),
    [
        (
            variant("ipd", REASONED, measures="paper", style="reasoned"),
            [*PENALTIES, "group_scale", "immediate", "from_base"],
            {
                "best_response": "in the reasoned style train.exploiter is 'pool', not 'best_response'",
                "exact": "in the reasoned style train.estimator is 'sampled', not 'exact'",
                "mmd": "in the reasoned style train.update is 'clipped', not 'mmd'",
            },
        ),
        (
            variant("kuhn", {"target": "ceiling"}),
            ["without_e", "from_base"],
            {
                "pool": "the best policy there is is taught, whoever is met",
                "sampled": "the best policy there is is taught, whatever is credited",
                "clipped": "target 'ceiling' needs update 'mmd': a clipped update has no target",
            },
        ),
        (
            variant("ipd", {"exploiter": "pool", "lambda": {"x": "auto", "budget": 0.1}}, measures="paper"),
            ["without_e", "without_c", "best_response", "sampled", "immediate", "clipped", "from_base"],
            {"without_x": "a weight has a budget, and what is compared here has fixed weights"},
        ),
    ],
    ids=["reasoned", "ceiling", "budget"],
)
def test_rows_that_a_recipe_cannot_have_are_left_out_and_the_others_are_there(recipe, rows, left):
    found = plan(recipe)
    assert named(found) == rows
    assert left.items() <= dict(found.left_out).items()


@pytest.mark.parametrize(("played", "practice", "there"), [(12, 4, True), (4, 1, False), (1, 4, True)])
def test_rows_are_of_the_game_that_is_trained_on(played, practice, there):
    arms = [{"name": "sft", "stage": "sft"}, {"name": "sepo"}]
    document = {"name": "x", "game": "ipd", "measures": "paper", "arms": arms}
    rules = {"rules": {"rounds": played}, "practice": {"rounds": practice}}
    found = plan(parse_recipe(document | rules, "x"))
    assert ("immediate" in named(found)) == there


def test_a_best_policy_that_is_not_known_is_no_row():
    recipe = variant("kuhn", {}, measures="paper")
    with pytest.raises(InputError, match="row 'distil' is left out: 'paper' x of game 'kuhn' divides by what a policy"):
        plan(recipe, ["distil"])


def test_what_is_taught_is_the_same_whoever_is_met_and_whatever_is_credited(small, tmp_path):
    rows = [{"name": "taught"}, {"name": "pool", "train": {"exploiter": "pool"}}]
    rows += [{"name": "sampled", "train": {"estimator": "sampled", "credit": "constant"}}]
    for row in rows:
        row["train"] = {"target": "ceiling", "start": "base"} | row.get("train", {})
    document = small | {"seeds": [3], "arms": rows}
    run(parse_recipe(document, "taught"), tmp_path, lambda event: None)
    ends = [read_metrics(tmp_path / "arms" / row["name"] / "seed-3" / "metrics.jsonl")[-1] for row in rows]
    assert ends[0]["step"] == 2
    assert ends[0]["measures"] == ends[1]["measures"] == ends[2]["measures"]


def test_a_shipped_recipe_can_be_ablated():
    assert named(plan(load_recipe(ROOT / "recipes" / "kuhn.yaml"))) == named(grid("kuhn"))


def test_figures_and_paired_differences_are_those_of_the_scorecards(finished):
    folder, found, _ = finished
    assert found["schema"] == "sepo.ablation/1"
    assert [a["name"] for a in found["arms"]] == ["base", "sft", "sepo", "without_e", "pool", "sampled", "constant"]
    for a in found["arms"]:
        for of, row in a["measures"].items():
            for key, figure in row.items():
                if of == "sepo" and key in ("c", "x"):
                    assert figure is None  # does not apply, which is not 0
                    continue
                values = [in_scorecard(folder, a["name"], s, of, key) for s in SEEDS]
                theirs = [in_scorecard(folder, "sepo", s, of, key) for s in SEEDS]
                assert figure["seeds"] == dict(zip(map(str, SEEDS), values, strict=True))
                check(figure, values)
                if a["name"] == "sepo":
                    assert figure["difference"] is None
                else:
                    check(figure["difference"], [x - y for x, y in zip(values, theirs, strict=True)])
    moved = arm(found, "without_e")["measures"]["sepo"]["J"]["difference"]
    assert abs(moved["mean"]) > 1e-6
    beside = arm(found, "constant")["measures"]["sepo"]["J"]["from_reference"]
    pairs = [[in_scorecard(folder, n, s, "sepo", "J") for n in ("constant", "sampled")] for s in SEEDS]
    check(beside, [x - y for x, y in pairs])


def check(figure: dict, values: list[float]) -> None:
    half = T_TWO_SEEDS * abs(values[0] - values[1]) / 2  # s / sqrt(2) of two values is half their distance
    mean = sum(values) / 2
    assert figure["n"] == 2
    assert figure["mean"] == pytest.approx(mean, abs=1e-12)
    assert figure["interval"] == pytest.approx([mean - half, mean + half], rel=1e-6, abs=1e-9)


def test_the_page_shows_the_document(finished):
    folder, found, text = finished
    assert text == (folder / "ablation.md").read_text()
    j = arm(found, "pool")["measures"]["sepo"]["J"]
    low, high = j["difference"]["interval"]
    row = next(line for line in text.splitlines() if line.startswith("| `pool` - `sepo` |") and "n/a | n/a" in line)
    assert "exploiter best_response -> pool" in row
    assert row.endswith(f"{j['difference']['mean']:.4f} [{low:.4f}, {high:.4f}] |")
    assert "| `constant` - `sampled` | `credit credited -> constant` |" in text
    for claim in found["claims"]:
        assert f"### {claim['claim']}" in text
        assert f"**{claim['verdict']}**: {claim['said']}." in text
    verdicts = {c["claim"]: c["verdict"] for c in found["claims"]}
    assert verdicts["A penalty that is one constant for the group has no gradient."] == "reproduced"
    assert verdicts["Fine-tuning makes models over-cooperative, and SEPO corrects it."] == "not tested here"


def test_a_set_of_measures_by_other_rules_stands_with_them(finished):
    assert finished[1]["rules_by_measures"] == {}
    assert "other rules" not in finished[2]
    auction = {"game": "auction", "rules": {"rounds": 6, "overbid_loss": False}, "measures": "paper"}
    told = finished[1] | auction
    page = tables({key: value for key, value in told.items() if key != "rules_by_measures"})
    assert "## Measures `sepo`\n\nBy other rules: overbid_loss True.\n\n| arm" in page
    assert tables(told) == page.replace("By other rules: overbid_loss True.\n\n", "")


@pytest.mark.no_cover
def test_an_ablation_that_was_stopped_again_and_again_ends_with_the_same_document(planned, finished, tmp_path):
    class StoppedError(Exception):
        pass

    whole, _, text = finished
    folder = tmp_path / "stopped"
    for after in (2, 9, 5):
        left = after

        def tell(event):
            nonlocal left
            left -= bool(event["line"])
            if left == 0:
                raise StoppedError

        with pytest.raises(StoppedError):
            ablate(planned, folder, tell, resume=True)
        assert not (folder / "ablation.json").exists()
    with pytest.raises(InputError, match="--resume"):
        ablate(planned, folder, lambda event: None)
    assert ablate(planned, folder, lambda event: None, resume=True) == text
    assert (folder / "ablation.json").read_text() == (whole / "ablation.json").read_text()


def test_with_one_seed_there_is_no_interval_and_differences_are_over_the_seeds_both_finished(
    planned, finished, tmp_path
):
    folder = tmp_path / "part"
    for source in finished[0].rglob("*.json*"):
        if (source.parts[-3:-1] != ("without_e", "seed-4")) and "checkpoints" not in source.parts:
            place = folder / source.relative_to(finished[0])
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(source.read_bytes())
    found = document(planned, folder)
    figure = arm(found, "without_e")["measures"]["paper"]["u"]
    ours, theirs = (in_scorecard(folder, n, 3, "paper", "u") for n in ("without_e", "sepo"))
    assert (figure["mean"], figure["interval"], figure["n"]) == (ours, None, 1)
    assert (figure["difference"]["mean"], figure["difference"]["interval"]) == (ours - theirs, None)
    assert arm(found, "sepo")["measures"]["paper"]["u"]["n"] == 2


@pytest.mark.parametrize(
    ("only", "over", "said"),
    [
        (["without_y"], {}, "unknown row 'without_y': the rows are sepo, without_e, pool, sampled"),
        (["base"], {}, "unknown row 'base'"),
        (["immediate"], {}, "row 'immediate' is left out: the game has one round"),
        ([], {"arms": [{"name": "base", "stage": "base"}]}, "has no trained arm called 'sepo'"),
        ([], {"arms": [{"name": "sepo", "stage": "base"}]}, "has no trained arm called 'sepo'"),
        ([], {"game": "auction"}, "too large for an exact best response"),
        ([], {"game": "chess"}, "unknown game 'chess'"),
        ([], {"arms": [{"name": "pool", "stage": "sft"}, {"name": "sepo"}]}, "two arms are named 'pool'"),
    ],
)
def test_what_cannot_be_ablated_is_refused(small, only, over, said):
    with pytest.raises(InputError, match=said) as refused:
        plan(parse_recipe(small | over, "bad.yaml"), only)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("without_e,nothing", "unknown row 'nothing': the rows are sepo, without_e"),
        ("", "--only takes names with commas between them, not ''"),  # not the whole grid, hours long
        ("without_c,", "--only takes names with commas between them, not 'without_c,'"),
        ("without_c,without_e,without_c", "--only names one thing twice: 'without_c,without_e,without_c'"),
    ],
)
def test_the_command_refuses_with_one_line_before_anything_is_trained(small, sepo, tmp_path, only, said):
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump(small))
    done = sepo("ablate", recipe, "--out", tmp_path / "out", "--only", only)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"sepo: {said}")
    assert not (tmp_path / "out").exists()


@pytest.mark.no_cover
def test_the_command_prints_the_page_and_names_its_files(small, sepo, tmp_path):
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump(small | {"measures": "paper"}))
    out = tmp_path / "out"
    settings = ["--set", "seeds=[3]", "--set", "sft.steps=1", "--set", "train.steps=1"]
    done = sepo("ablate", recipe, "--out", out, "--only", "without_c,clipped", "--workers", 2, *settings)
    assert done.code == 0, done.err
    assert json.loads((out / "environment.json").read_text())["workers"] == 2
    assert done.out == (out / "ablation.md").read_text()
    assert "left out" not in done.err
    assert str(out / "ablation.json") in done.err
    assert not [c for c in json.loads((out / "ablation.json").read_text())["claims"] if c["rests"]]
