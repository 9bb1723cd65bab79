"""A folder takes more seeds and arms later: as if they had been there from the first; and nothing else."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sepo.audit.arena import ground_of
from sepo.cli.main import main
from sepo.errors import InputError
from sepo.files import write_json, write_text
from sepo.games.registry import make
from sepo.lm.load import arithmetic
from sepo.train import unit
from sepo.train.ablate import ablate, plan
from sepo.train.frontier import Axis, frontier
from sepo.train.learner import load_state, save_state
from sepo.train.recipe import load_recipe, parse_recipe
from sepo.train.run import run
from tests.models import tiny_model
from tests.train.test_run import figures

SFT = {"name": "sft", "stage": "sft"}
SEPO = {"name": "sepo", "train": {"kl": 0.01}}


class KilledError(Exception):
    """Ends a run where it stands."""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All that a wide recipe and a narrow one have in common."""
    return {
        "name": "wide",
        "game": "kuhn",
        "model": {"policy": tiny_model(tmp_path_factory.mktemp("tiny")), "adapter": "full"},
        "checkpoint_every": 2,
        "episodes": 1,
        "audit": {"adversaries": False},
        "sft": {"steps": 2, "learning_rate": 0.01, "examples": 200},
        "train": {"steps": 3, "learning_rate": 0.01, "mirror": {"steps": 5, "projections": 2}},
    }


@pytest.fixture(scope="module")
def begun(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold a finished run of one seed and three arms, to which nothing is added."""
    folder = tmp_path_factory.mktemp("runs") / "begun"
    run(parse_recipe(document | narrow(), "narrow"), folder, lambda e: None)
    return folder


def narrow() -> dict[str, Any]:
    return {"seeds": [2], "arms": [{"name": "base", "stage": "base"}, SFT, SEPO]}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.no_cover
def test_added_seeds_and_arms_end_where_a_run_with_all_of_them_does(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: set[tuple[str, int]] = set()

    def tell(event: Mapping[str, Any]) -> None:
        if event["line"]:
            steps.add((event["arm"], event["seed"]))

    folder = tmp_path / "run"
    run(parse_recipe(document | narrow(), "narrow"), folder, lambda e: None, command="first")
    before = files(folder / "arms")
    added = {"name": "reward_only", "train": {"lambda": {"e": 0}}}
    base, sft, sepo = narrow()["arms"]
    wide = parse_recipe(document | {"seeds": [2, 1], "arms": [sft | {"about": "shown"}, added, base, sepo]}, "wide")
    summary = run(wide, folder, tell, resume=True, command="second")
    run(wide, folder, tell, resume=True, command="second")
    assert steps == {("reward_only", 2), ("sft", 1), ("reward_only", 1), ("sepo", 1)}
    assert {name: made for name, made in files(folder / "arms").items() if name in before} == before
    assert load_recipe(folder / "recipe.yaml") == wide
    record = json.loads((folder / "environment.json").read_text())
    assert record["command"] == "first"
    assert record["arithmetic"] == arithmetic()
    assert [later["command"] for later in record["continued"]] == ["second"]
    monkeypatch.setattr("sepo.train.run.arithmetic", lambda: "another CPU")
    run(wide, folder, tell, resume=True, command="second")
    record = json.loads((folder / "environment.json").read_text())
    assert [later["arithmetic"] for later in record["continued"]] == [arithmetic(), "another CPU"]
    assert summary == run(wide, tmp_path / "whole", lambda e: None)
    assert figures(folder) == figures(tmp_path / "whole")


@pytest.mark.no_cover
def test_what_was_killed_is_finished_as_well(document: dict[str, Any], tmp_path: Path) -> None:
    def kill(event: Mapping[str, Any]) -> None:
        if event["arm"] == "sepo" and event["line"].get("step") == 3:
            raise KilledError

    def killed_again(event: Mapping[str, Any]) -> None:
        if event["arm"] == "clipped" and event["line"]:
            raise KilledError

    with pytest.raises(KilledError):
        run(parse_recipe(document | {"seeds": [2], "arms": [SFT, SEPO]}, "narrow"), tmp_path / "run", kill)
    arms = [SFT, {"name": "clipped", "train": {"update": "clipped"}}, SEPO]
    wide = parse_recipe(document | {"seeds": [1, 2], "arms": arms}, "wide")  # no base, so any seed may be first
    with pytest.raises(KilledError):
        run(wide, tmp_path / "run", killed_again, resume=True)
    run(wide, tmp_path / "run", lambda e: None, resume=True)
    run(wide, tmp_path / "whole", lambda e: None)
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")


@pytest.mark.parametrize("file", ["README.md", "done.json"])
@pytest.mark.parametrize("arm", ["base", "sepo"])
def test_a_unit_that_is_killed_at_its_last_files_ends_with_all_of_them_once(
    document: dict[str, Any], begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, arm: str
) -> None:
    recipe = parse_recipe(document | narrow(), "narrow")

    def killed(path: Path, text: Any) -> None:
        if path.name == file and arm in path.parts:
            raise KilledError
        (write_json if file == "done.json" else write_text)(path, text)

    with monkeypatch.context() as patched:
        patched.setattr(unit, "write_json" if file == "done.json" else "write_text", killed)
        if arm == "base" and file == "README.md":  # it has no weights, and no card of them
            run(recipe, tmp_path / "run", lambda e: None)
        else:
            with pytest.raises(KilledError):
                run(recipe, tmp_path / "run", lambda e: None)
    run(recipe, tmp_path / "run", lambda e: None, resume=True)
    apart = {name for name in files(begun) if name.endswith(("environment.json", "report.html"))}
    assert set(files(tmp_path / "run")) - apart == set(files(begun)) - apart
    assert figures(tmp_path / "run") == figures(begun)
    for name in ("base", "sft", "sepo"):
        place = Path("arms") / name / "seed-2" / "metrics.jsonl"
        steps = [json.loads(line)["step"] for line in (tmp_path / "run" / place).read_text().splitlines()]
        assert steps == sorted(set(steps))


@pytest.mark.no_cover
def test_a_checkpoint_of_another_version_is_not_gone_on_from(document: dict[str, Any], tmp_path: Path) -> None:
    def kill(event: Mapping[str, Any]) -> None:
        if event["arm"] == "sepo" and event["line"].get("step") == 3:
            raise KilledError

    recipe = parse_recipe(document | {"seeds": [2], "arms": [SFT, SEPO]}, "narrow")
    with pytest.raises(KilledError):
        run(recipe, tmp_path / "run", kill)
    (newest,) = (tmp_path / "run").rglob("newest.pt")
    save_state(newest, {k: v for k, v in load_state(newest).items() if k != "schema"})
    with pytest.raises(InputError, match="was written by another version of sepo: resume with that"):
        run(recipe, tmp_path / "run", lambda e: None, resume=True)
    newest.unlink()
    run(recipe, tmp_path / "run", lambda e: None, resume=True)
    run(recipe, tmp_path / "whole", lambda e: None)
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")


def test_only_what_is_said_of_an_arm_may_change(document: dict[str, Any], begun: Path) -> None:
    said = [arm | {"about": f"the {arm['name']} one"} for arm in narrow()["arms"]]
    summary = run(parse_recipe(document | narrow() | {"arms": said}, "said"), begun, lambda e: None, resume=True)
    assert [arm["about"] for arm in summary["arms"]] == ["the base one", "the sft one", "the sepo one"]
    assert [arm.about for arm in load_recipe(begun / "recipe.yaml").arms] == [arm["about"] for arm in said]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"train": {"steps": 4}}, "train.steps is 3 there and 4 here: choose another --out"),
        ({"train": {"steps": 4}, "seeds": [5]}, "train.steps is 3 there and 4 here: choose another --out"),
        ({"measures": "paper"}, "measures is 'sepo' there and 'paper' here: choose another --out"),
        ({"rules": {"a": "b\nc"}}, "rules.a is not set there and 'b\\nc' here: choose another --out"),
        ({"seeds": [1, 3]}, "seed 2 is there and not here: add it, or choose another --out"),
        ({"arms": [SFT, SEPO]}, "arm 'base' is there and not here: add it, or choose another --out"),
        ({"arms": {"sepo": {"train": {"kl": 0.5}}}}, "arms.sepo.train.kl is 0.01 there and 0.5 here"),
        ({"arms": {"sepo": {"train": {}}}}, "arms.sepo.train.kl is 0.01 there and not set here"),
        ({"arms": {"base": {"stage": "train"}}}, "arms.base.stage is 'base' there and 'train' here"),
        ({"seeds": [1, 2]}, "its base is audited with seed 2, not 1: put 2 first, or choose another --out"),
    ],
)
def test_anything_else_is_refused_with_what_differs_first(
    document: dict[str, Any], begun: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], why: str
) -> None:
    other = document | narrow() | change
    if "train" in change:
        other["train"] = document["train"] | change["train"]
    if isinstance(other["arms"], dict):
        other["arms"] = [arm | other["arms"].get(arm["name"], {}) for arm in narrow()["arms"]]
    if "rules" in change:  # of which kuhn has none, so that its refusal would come first
        kuhn = make("kuhn")
        monkeypatch.setattr("sepo.train.part.make", lambda *_: kuhn)
        monkeypatch.setattr("sepo.train.part.ground_of", lambda _: ground_of(kuhn))
    before = files(begun)
    with pytest.raises(InputError) as refused:
        run(parse_recipe(other, "other"), begun, lambda e: None, resume=True)
    assert str(refused.value).startswith(f"'{begun}' holds a run of another recipe: {why}")
    assert "\n" not in str(refused.value)
    assert files(begun) == before


def killed(document: dict[str, Any], folder: Path, arms: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill a run at the first step of its last arm, once its checkpoint is written and before a step is noted."""

    def kill(_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr("sepo.train.target.Target.teach", kill)
        patched.setattr("sepo.train.optimise.Target.teach", kill)
        with pytest.raises(KilledError):
            run(parse_recipe(document | {"seeds": [2], "arms": arms}, "killed"), folder, lambda e: None)


@pytest.mark.parametrize("change", [{"train": {"kl": 0.5}}, {"train": {"update": "clipped"}, "about": "another"}])
def test_an_arm_of_which_no_step_was_taken_may_change(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    killed(document, tmp_path / "run", [SFT, {"name": "sepo", "train": {"target": "ceiling"}}], monkeypatch)
    other = parse_recipe(document | {"seeds": [2], "arms": [SFT, {"name": "sepo"} | change]}, "other")
    run(other, tmp_path / "run", lambda e: None, resume=True)
    run(other, tmp_path / "whole", lambda e: None)
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")
    assert load_recipe(tmp_path / "run" / "recipe.yaml") == other


def test_an_arm_of_which_no_step_was_taken_may_go_and_leaves_nothing(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    killed(document, folder, [SFT, {"name": "sepo", "train": {"target": "ceiling"}}], monkeypatch)
    assert list((folder / "arms" / "sepo").rglob("newest.pt"))
    run(parse_recipe(document | {"seeds": [2], "arms": [SFT]}, "other"), folder, lambda e: None, resume=True)
    assert [path.name for path in (folder / "arms").iterdir()] == ["sft"]


def test_an_arm_that_is_not_finished_changes_where_what_there_is_of_it_is_deleted(
    document: dict[str, Any], tmp_path: Path
) -> None:
    def kill(event: Mapping[str, Any]) -> None:
        if event["arm"] == "sepo" and event["line"].get("step") == 2:
            raise KilledError

    folder = tmp_path / "run"
    with pytest.raises(KilledError):
        run(parse_recipe(document | {"seeds": [2], "arms": [SFT, SEPO]}, "killed"), folder, kill)
    before = files(folder)
    other = parse_recipe(document | {"seeds": [2], "arms": [SFT, {"name": "sepo"}]}, "other")
    with pytest.raises(InputError) as refused:
        run(other, folder, lambda e: None, resume=True)
    there = folder / "arms" / "sepo"
    said = f"choose another --out, or delete what there is of the arm ('{there}')"
    assert str(refused.value).endswith(f"arms.sepo.train.kl is 0.01 there and not set here: {said}")
    assert files(folder) == before
    shutil.rmtree(there)
    run(other, folder, lambda e: None, resume=True)
    assert (there / "seed-2" / "done.json").exists()


def test_the_program_refuses_with_one_line_and_code_2(
    document: dict[str, Any],
    begun: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "wide.yaml"
    file.write_text(yaml.safe_dump(document | narrow()))
    words = ["sepo", "run", str(file), "--out", str(begun), "--resume", "--set", "sft.steps=9"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    loading, *refused = capsys.readouterr().err.splitlines()
    assert loading.startswith("loading")
    assert refused == [
        f"sepo: '{begun}' holds a run of another recipe: sft.steps is 2 there and 9 here: choose another --out"
    ]


@pytest.mark.no_cover
def test_a_frontier_takes_further_values(document: dict[str, Any], tmp_path: Path) -> None:
    recipe = parse_recipe(document | narrow(), "frontier")
    few, more = ([Axis("e", values)] for values in ((0.0, 2.0), (0.0, 1.0, 2.0)))
    frontier(recipe, "sepo", few, tmp_path / "run", lambda e: None)
    found = frontier(recipe, "sepo", more, tmp_path / "run", lambda e: None, resume=True)
    assert found == frontier(recipe, "sepo", more, tmp_path / "whole", lambda e: None)
    with pytest.raises(InputError, match=r"arm 'sepo-e1' is there and not here"):
        frontier(recipe, "sepo", few, tmp_path / "run", lambda e: None, resume=True)


def test_an_ablation_takes_further_rows(document: dict[str, Any], tmp_path: Path) -> None:
    recipe = parse_recipe(document | narrow(), "ablation")
    few, more = plan(recipe, ["clipped"]), plan(recipe, ["pool", "clipped"])
    ablate(few, tmp_path / "run", lambda e: None)
    text = ablate(more, tmp_path / "run", lambda e: None, resume=True)
    assert text == ablate(more, tmp_path / "whole", lambda e: None)
    with pytest.raises(InputError, match=r"arm 'pool' is there and not here"):
        ablate(few, tmp_path / "run", lambda e: None, resume=True)
