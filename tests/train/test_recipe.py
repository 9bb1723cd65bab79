"""Recipes: what is refused and how it is said, and how arms and settings combine."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from sepo.errors import InputError
from sepo.games.base import Weights
from sepo.train.joint import load_joint
from sepo.train.learner import rate
from sepo.train.optimise import entropy_bonus
from sepo.train.recipe import is_joint, load_recipe, parse_recipe, read_document, set_key
from sepo.train.sections import Schedule, TrainSection, weights

ROOT = Path(__file__).parents[2]
BASE = {"name": "x", "game": "kuhn", "arms": [{"name": "base", "stage": "base"}]}


def recipe(**over):
    return parse_recipe(BASE | over, "here.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_recipe_is_valid(path):
    document = read_document(path)
    found = list(load_joint(path).recipes.values()) if is_joint(document) else [load_recipe(path)]
    assert all(recipe.arms for recipe in found)
    if is_joint(document):
        assert [recipe.game for recipe in found] == [Path(game).stem for game in document["games"]]


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"train": {"stepz": 1}}, "unknown key 'train.stepz'"),
        ({"arms": [{"name": "a", "stage": "base"}] * 2}, "two arms are named 'a'"),
        ({"arms": [{"name": "a"}]}, "starts from sft, but no arm has stage 'sft'"),
        (
            {"arms": [{"name": "a", "stage": "sft"}, {"name": "b", "stage": "sft"}]},
            "two arms have stage 'sft'",
        ),
        ({"arms": []}, "arms"),
        ({"seeds": [0, 0]}, "seed stands twice"),
        ({"seeds": [-1]}, "greater than or equal to 0"),
        ({"seeds": [2**32]}, "less than 4294967296"),
        ({"train": {"kl": float("inf")}}, "train.kl.*finite"),
        ({"train": {"lambda": {"e": float("nan")}}}, "train.lambda.e.*finite"),
        ({"model": {"template": {"tokenize": True}}}, "'tokenize' is no argument of a template"),
        ({"model": {"adapter": "full", "layers": 2}}, "key 'model': layers are of adapter 'lora'"),
        ({"train": {"steps": -1}}, "train.steps"),
        ({"train": {"scale": "group"}}, "needs estimator 'sampled'"),
        ({"train": {"mirror": {"learns": "replies"}, "kl": 0.1}}, "no whole policy, which kl is of"),
        ({"train": {"mirror": {"learns": "replies"}, "entropy": {"start": 1, "over": 4}}}, "which entropy is of"),
        ({"train": {"mirror": {"meets": "losses"}}}, "needs a focus above 0"),
        ({"train": {"entropy": {"start": 0.2, "end": 0.01}}}, "key 'train.entropy': end 0.01 needs over"),
        ({"train": {"entropy": {"end": 0.05}}}, "end 0.05 needs over, the steps to it"),
        ({"train": {"lambda": {"y": 1}}}, "unknown key 'train.lambda.y'"),
        ({"name": "a/b"}, "name"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_key(over, message):
    with pytest.raises(InputError, match=message) as caught:
        recipe(**over)
    assert "here.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("train", "wrong", "said"),
    [
        ({}, {"stepz": 1}, "arm 'b', unknown key 'train.stepz'"),
        ({}, {"lambda": {"y": 1}}, "arm 'b', unknown key 'train.lambda.y'"),
        ({}, {"lambda": {"e": -1}}, "arm 'b', key 'train.lambda.e"),
        ({}, {"scale": "group"}, "arm 'b', key 'train': scale 'group' needs estimator 'sampled'"),
        (
            {"lambda": {"e": "auto", "budget": 0.05}},
            {"lambda": {"e": 0}},
            "arm 'b', key 'train.lambda': a budget needs a weight that is auto",
        ),
    ],
)
def test_a_mistake_in_an_arm_is_told_with_the_arm_and_the_key(train, wrong, said):
    arms = [{"name": "a"}, {"name": "b", "train": wrong}]
    with pytest.raises(InputError, match=re.escape(f"recipe 'here.yaml': {said}")):
        recipe(train={"start": "base", **train}, arms=arms)


def test_an_arms_settings_stand_on_top_of_the_recipes():
    found = recipe(
        train={"start": "base", "steps": 7, "lambda": {"e": 3.0}},
        arms=[{"name": "a", "train": {"lambda": {"c": 2.0}, "update": "clipped"}}, {"name": "b"}],
    )
    a, b = (found.settings(arm) for arm in found.arms)
    assert (a.steps, a.lambda_.e, a.lambda_.c, a.update) == (7, 3.0, 2.0, "clipped")
    assert (b.lambda_.c, b.update) == (None, "mmd")
    assert weights(a.lambda_, Weights(1, 1, 1)) == Weights(3.0, 2.0, 1)


def test_settings_reach_nested_keys_and_arms_by_name(tmp_path):
    path = ROOT / "recipes" / "kuhn.yaml"
    found = load_recipe(path, ["train.steps=3", "arms.sepo.train.update=clipped", "seeds=[4]"])
    (sepo,) = [a for a in found.arms if a.name == "sepo"]
    assert found.seeds == [4]
    assert (found.settings(sepo).steps, found.settings(sepo).update) == (3, "clipped")
    for bad in ("steps", "arms.nobody.train.steps=1", "name.x=1", "train.steps=[", "arms.sepo=1"):
        with pytest.raises(InputError, match="--set"):
            load_recipe(path, [bad])


def test_arms_whose_names_have_dots_are_set_by_them():
    document = {"arms": [{"name": name, "train": {}} for name in ("lr1", "lr1.5", "lr1.5.b")]}
    for name, steps in (("lr1", 1), ("lr1.5", 2), ("lr1.5.b", 3)):
        set_key(document, f"arms.{name}.train.steps={steps}")
    assert [arm["train"] for arm in document["arms"]] == [{"steps": 1}, {"steps": 2}, {"steps": 3}]
    with pytest.raises(InputError, match=re.escape("name a key of the arm 'lr1.5'")):
        set_key(document, "arms.lr1.5=4")
    with pytest.raises(InputError, match="no arm is named 'lr2'"):
        set_key(document, "arms.lr2.5.train.steps=4")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "not YAML"), ("a: 2024-02-30", "not YAML: day"), ("- 1", "mapping"), (None, "no recipe")],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text, message):
    path = tmp_path / "r.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(path)


def test_the_learning_rate_warms_up_and_decays_to_zero():
    cosine = Schedule(steps=20, learning_rate=1.0, warmup=5)
    rates = [rate(cosine, step) for step in range(21)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert all(a >= b for a, b in itertools.pairwise(rates[5:]))
    assert rates[20] == pytest.approx(0)
    assert rate(Schedule(steps=20, learning_rate=1.0, warmup=0, decay="linear"), 5) == pytest.approx(0.75)
    assert rate(Schedule(steps=20, learning_rate=1.0, warmup=0, decay="none"), 19) == 1.0


def test_the_entropy_bonus_runs_in_a_straight_line():
    section = TrainSection.model_validate({"entropy": {"start": 0.4, "end": 0.0, "over": 10}})
    assert [entropy_bonus(section, s) for s in (0, 5, 10, 50)] == pytest.approx([0.4, 0.2, 0.0, 0.0])
    assert entropy_bonus(TrainSection.model_validate({"entropy": {"start": 0.1}}), 7) == 0.1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"e": "auto"}, "auto, which needs a budget"),
        ({"budget": 0.1}, "needs a weight that is auto"),
        ({"e": "auto", "budget": {"x": 0.1}}, "budgets are for the weights that are auto: e"),
        ({"e": -1}, "lambda.e"),
    ],
)
def test_budgets_are_for_weights_that_find_themselves(given, said):
    base = {"name": "a", "game": "kuhn", "arms": [{"name": "x", "stage": "base"}]}
    with pytest.raises(InputError, match=said):
        parse_recipe(base | {"train": {"lambda": given}}, "f")


def test_one_budget_may_be_for_several_weights():
    document = {
        "name": "a",
        "game": "ipd",
        "arms": [{"name": "x", "stage": "base"}],
        "train": {"lambda": {"e": "auto", "x": "auto", "budget": 0.1}},
    }
    assert parse_recipe(document, "f").train.lambda_.budgets == {"e": 0.1, "x": 0.1}


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_recipe_that_is_shipped_can_be_read(path):
    if is_joint(read_document(path)):
        found = load_joint(path).recipes.values()
        assert len({recipe.game for recipe in found}) == len(found) >= 5
        assert len({recipe.model.policy for recipe in found}) == 1
    else:
        assert load_recipe(path).arms


@pytest.mark.parametrize(
    ("name", "policy"), [("gemma4-e4b", "hf:google/gemma-4-E4B-it"), ("qwen3.5-4b", "hf:Qwen/Qwen3.5-4B")]
)
def test_the_named_models_are_one_line_away(name, policy):
    theirs = load_joint(ROOT / "recipes" / f"{name}.yaml").recipes.values()
    assert {recipe.model.policy for recipe in theirs} == {policy}
    assert [recipe.game for recipe in theirs] == ["ipd", "auction", "split", "items", "kuhn"]
    ours = load_joint(ROOT / "recipes" / f"{name}.yaml", ["model.policy=bundled:smollm2"]).recipes.values()
    assert {recipe.model.policy for recipe in ours} == {"bundled:smollm2"}
