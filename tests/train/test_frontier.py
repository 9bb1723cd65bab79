"""A frontier trains what it says, reports what its audits found, resumes, and refuses what has no meaning."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sepo.cli.frontier import command
from sepo.errors import InputError
from sepo.train.frontier import Axis, arm_name, derive, dominates, frontier, grid, parse_axis
from sepo.train.recipe import Recipe, load_recipe, parse_recipe
from tests.conftest import Finished
from tests.models import tiny_model

AXIS = Axis("e", (0.0, 2.0))


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {
        "name": "small",
        "game": "kuhn",
        "seeds": [3, 4],
        "model": {"policy": tiny_model(tmp_path_factory.mktemp("tiny")), "adapter": "full"},
        "episodes": 0,
        "audit": {"adversaries": False},
        "sft": {"steps": 3, "learning_rate": 0.01, "examples": 400},
        "train": {"steps": 3, "learning_rate": 0.01, "mirror": {"projections": 3, "steps": 50}},
        "arms": [
            {"name": "base", "stage": "base"},
            {"name": "sft", "stage": "sft"},
            {"name": "other", "train": {"kl": 0.5}},
            {"name": "sepo", "train": {"kl": 0.01, "lambda": {"e": 7}}},
        ],
    }


@pytest.fixture(scope="module")
def recipe(document: dict[str, Any]) -> Recipe:
    return parse_recipe(document, "small")


@pytest.fixture(scope="module")
def finished(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, frontier(recipe, "sepo", [AXIS], folder, lambda e: None, command="sepo frontier small.yaml")


def test_the_derived_recipe_is_the_arm_at_each_value_with_base_and_sft(recipe: Recipe):
    derived = derive(recipe, "sepo", [AXIS])
    assert [arm.name for arm in derived.arms] == ["base", "sft", "sepo-e0", "sepo-e2"]
    for arm, weight in zip(derived.arms[2:], AXIS.values, strict=True):
        settings = derived.settings(arm)
        assert settings.lambda_.e == weight
        assert settings.kl == 0.01  # the rest of the arm's settings stay
    unchanged = ("name", "game", "seeds", "model", "sft", "train")
    assert all(getattr(derived, key) == getattr(recipe, key) for key in unchanged)


def test_two_weights_make_a_grid_in_which_the_first_ascends(document: dict[str, Any]):
    axes = [parse_axis("e", "1,0"), parse_axis("x", "0.25,2")]
    assert grid(axes) == [{"e": 0, "x": 0.25}, {"e": 1, "x": 0.25}, {"e": 0, "x": 2}, {"e": 1, "x": 2}]
    derived = derive(parse_recipe(document | {"measures": "paper"}, "small"), "sepo", axes)
    assert [a.name for a in derived.arms[2:]] == ["sepo-e0-x0.25", "sepo-e1-x0.25", "sepo-e0-x2", "sepo-e1-x2"]
    assert derived.settings(derived.arms[3]).lambda_.x == 0.25
    assert arm_name("a", {"e": 1e-7}) == "a-e0.0000001"  # a name may hold no plus sign, as exponents do


def test_every_point_has_the_figures_of_its_audits(finished: tuple[Path, dict[str, Any]]):
    folder, found = finished
    assert json.loads((folder / "frontier.json").read_text()) == found
    assert found["schema"] == "sepo.frontier/1"
    assert (found["measures"], found["seeds"], found["risks"]) == ("sepo", [3, 4], ["e", "exploitability"])
    assert [p["weights"] for p in found["points"]] == [{"e": w, "c": 0.0, "x": 0.0} for w in AXIS.values]
    for point in found["points"]:
        assert point["c"] is point["x"] is None
        for measure in ("u", "e", "J"):
            cards = [folder / "arms" / point["arm"] / f"seed-{s}" / "scorecards" / "last.json" for s in (3, 4)]
            games = [json.loads(card.read_text())["games"]["kuhn"] for card in cards]
            values = [game["measures"]["sepo"][measure]["value"] for game in games]
            assert point[measure]["seeds"] == values
            assert point[measure]["mean"] == pytest.approx(np.mean(values))
            half = 12.706205 * abs(values[0] - values[1]) / 2  # Student's t with one degree of freedom
            assert point[measure]["interval"] == pytest.approx([np.mean(values) - half, np.mean(values) + half])
        assert point["J"]["mean"] == pytest.approx(1.5 * (point["u"]["mean"] - 1.5 * point["e"]["mean"]))
    assert found["points"][0]["u"]["seeds"] != found["points"][1]["u"]["seeds"]  # the weight was felt


def test_a_frontier_resumes_and_refuses_a_folder_of_another(recipe: Recipe, finished: tuple[Path, dict[str, Any]]):
    folder, found = finished
    with pytest.raises(InputError, match="--resume"):
        frontier(recipe, "sepo", [AXIS], folder, lambda e: None)
    with pytest.raises(InputError, match="another recipe"):
        frontier(recipe, "sepo", [Axis("e", (0.0, 3.0))], folder, lambda e: None, resume=True)
    (folder / "arms" / "sepo-e2" / "seed-4" / "done.json").unlink()
    steps: list[Any] = []
    again = frontier(recipe, "sepo", [AXIS], folder, lambda e: steps.append(e) if e["line"] else None, resume=True)
    assert again == found
    assert {(e["arm"], e["seed"]) for e in steps} == {("sepo-e2", 4)}


def test_a_point_is_dominated_by_one_that_is_no_worse_and_somewhere_better():
    def point(u: float, e: float, c: float | None = 0.0) -> dict[str, Any]:
        return {k: None if v is None else {"mean": v} for k, v in (("u", u), ("e", e), ("c", c))}

    assert dominates(point(1, 0.1), point(1, 0.2), ["e"])
    assert dominates(point(2, 0.1), point(1, 0.1), ["e"])
    assert not dominates(point(1, 0.1), point(1, 0.1), ["e"])
    assert not dominates(point(2, 0.2), point(1, 0.1), ["e"])
    assert not dominates(point(2, 0.1, 0.5), point(1, 0.2, 0.4), ["e", "c"])
    assert not dominates(point(2, 0.1, None), point(1, 0.2), ["e", "c"])
    assert dominates(point(2, 0.1, None), point(1, 0.2), ["e"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"vary": "y"}, "unknown weight 'y': it is one of e, c, x"),
        ({"values": "0,much"}, "numbers such as 0,0.5,1, not '0,much'"),
        ({"values": "0,-1"}, "not negative"),
        ({"values": "0,nan"}, "finite"),
        ({"values": "1"}, "two values"),
        ({"values": "1,1.0"}, "twice"),
        ({"vary": "c"}, "the sepo measures of 'kuhn' have no c"),
        ({"vary2": "x", "values2": "0,1"}, "'kuhn' have no x"),
        ({"vary2": "e", "values2": "0,1"}, "both axes"),
        ({"vary2": "x"}, "--vary2 and --values2 go together"),
        ({"arm": "sft"}, "trains no arm 'sft': those it trains are other, sepo"),
        ({"settings": ["train.mirror.steps=0"]}, "train.mirror.steps"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    document: dict[str, Any], tmp_path: Path, options: dict[str, Any], said: str
):
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(InputError) as refused:
        command(file, **{"vary": "e", "values": "0,1", "out": tmp_path / "out", **options})
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.no_cover
def test_the_command_leaves_page_table_and_document_and_one_seed_has_no_interval(
    sepo: Callable[..., Finished], document: dict[str, Any], tmp_path: Path
):
    file, out = tmp_path / "small.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(document))
    settings = [w for s in ("seeds=[5]", "sft.steps=1", "train.steps=1") for w in ("--set", s)]
    done = sepo("frontier", file, "--vary", "e", "--values", "0,2", "--out", out, "-w", 2, *settings)
    assert done.code == 0, done.err
    assert json.loads((out / "environment.json").read_text())["workers"] == 2
    assert done.out == (out / "frontier.md").read_text()
    assert "`sepo-e2`" in done.out
    found = json.loads((out / "frontier.json").read_text())
    assert all(point[m]["interval"] is None for point in found["points"] for m in ("u", "e", "J"))
    assert "sepo-e2" in (out / "frontier.html").read_text()
    assert load_recipe(out / "recipe.yaml").seeds == [5]
    path = out / "arms" / "sepo-e2" / "seed-5" / "scorecards" / "last.json"
    card = json.loads(path.read_text())
    j = card["games"]["kuhn"]["measures"]["sepo"]["J"]
    j["low"] -= 0.5  # as an audit within bounds leaves it
    path.write_text(json.dumps(card))
    again = sepo("frontier", file, "--vary", "e", "--values", "0,2", "--out", out, "--resume", *settings)
    assert again.code == 0, again.err
    found = json.loads((out / "frontier.json").read_text())
    assert [point["J"]["interval"] for point in found["points"]] == [None, pytest.approx([j["low"], j["high"]])]
    refused = sepo("frontier", file, "--vary", "x", "--values", "0,2", "--out", out)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)


def test_a_frontier_is_finished_where_its_page_cannot_be_drawn_and_says_how_to_have_it(
    sepo: Callable[..., Finished], document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file, out = tmp_path / "small.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(document))
    settings = [w for s in ("seeds=[5]", "sft.steps=1", "train.steps=1") for w in ("--set", s)]
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "plotly", None)
        done = sepo("frontier", file, "--vary", "e", "--values", "0,2", "--out", out, *settings)
    assert done.code == 0
    assert done.out == (out / "frontier.md").read_text()
    assert not (out / "frontier.html").exists()
    before, _, command = done.err.splitlines()[-1].partition(", then ")
    assert before == "frontier: its page needs plotly: pip install 'sepo[report]'"
    again = sepo(*shlex.split(command)[1:])
    assert again.code == 0, again.err
    assert (out / "frontier.html").exists()
