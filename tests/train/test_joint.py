"""One model trained on several games: as one game's run where there is one, better in all, the same after a kill."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sepo.cli.main import main
from sepo.errors import InputError
from sepo.train.auditor import Auditor
from sepo.train.joint import load_joint
from sepo.train.recipe import load_recipe, parse_recipe
from sepo.train.record import read_metrics
from sepo.train.run import run, run_joint
from tests.models import tiny_model
from tests.train.test_run import figures

KUHN = {
    "name": "kuhn",
    "game": "kuhn",
    "seeds": [5],
    "sft": {"steps": 8, "examples": 200},
    "train": {"steps": 24, "mirror": {"steps": 30, "projections": 2}},
    "arms": [{"name": "other", "stage": "base"}],
}
IPD = {
    "name": "ipd",
    "game": "ipd",
    "rules": {"rounds": 3},
    "measures": "paper",
    "sft": {"steps": 6, "examples": 200},
    "train": {"steps": 16, "exploiter": "pool", "mirror": {"steps": 20, "projections": 2}},
    "arms": [{"name": "other", "stage": "base"}],
}


class KilledError(Exception):
    """Ends a run where it stands."""


def called(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Call the program and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["sepo", *words])
    try:
        main()
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold a joint recipe and the ones it takes its games from."""
    folder = tmp_path_factory.mktemp("recipes")
    joint = {
        "name": "all",
        "games": ["kuhn.yaml", "ipd.yaml"],
        "seeds": [2],
        "model": {"policy": tiny_model(tmp_path_factory.mktemp("tiny")), "adapter": "full"},
        "checkpoint_every": 3,
        "episodes": 1,
        "audit": {"best": False, "adversaries": False},
        "sft": {"learning_rate": 0.01},
        "train": {"learning_rate": 0.01},
        "arms": [{"name": "base", "stage": "base"}, {"name": "sft", "stage": "sft"}, {"name": "sepo"}],
    }
    for name, document in (("joint", joint), ("kuhn", KUHN), ("ipd", IPD)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
    return folder


@pytest.fixture(scope="module")
def finished(place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str, int]]]:
    """Return the folder of a finished joint run, and its steps in their order: game, arm, step."""
    folder = tmp_path_factory.mktemp("runs") / "joint"
    steps: list[tuple[str, str, int]] = []

    def tell(event: Mapping[str, Any]) -> None:
        if event["line"]:
            steps.append((event["game"], event["arm"], event["line"]["step"]))

    run_joint(load_joint(place / "joint.yaml").recipes, folder, tell)
    return folder, steps


def test_each_game_is_as_its_recipe_has_it_and_the_rest_is_shared(place: Path) -> None:
    recipes = load_joint(place / "joint.yaml", ["seeds=[1, 4]", "train.kl=0.5"]).recipes
    assert list(recipes) == ["kuhn", "ipd"]
    kuhn, ipd = recipes.values()
    assert (kuhn.name, ipd.name) == ("all-kuhn", "all-ipd")
    assert ipd.rules == {"rounds": 3}
    assert ipd.measures == "paper"
    assert kuhn.measures == "sepo"
    assert kuhn.seeds == ipd.seeds == [1, 4]
    assert kuhn.arms == ipd.arms
    assert kuhn.model == ipd.model
    assert (kuhn.train.steps, ipd.train.steps) == (24, 16)
    assert kuhn.train.learning_rate == ipd.train.learning_rate == 0.01
    assert kuhn.train.kl == 0.5
    assert kuhn.train.mirror.steps == 30
    assert ipd.train.exploiter == "pool"


def test_a_joint_run_of_one_game_is_the_run_of_that_game(place: Path, tmp_path: Path) -> None:
    recipes = load_joint(place / "joint.yaml", ["games=[kuhn.yaml]"]).recipes
    run_joint(recipes, tmp_path / "joint", lambda e: None)
    run(recipes["kuhn"], tmp_path / "single", lambda e: None)
    assert figures(tmp_path / "joint" / "kuhn") == figures(tmp_path / "single")


def test_a_game_may_be_there_under_several_rules(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = {"recipe": "ipd.yaml", "name": "ipd-5", "rules": {"rounds": 5}, "train": {"steps": 8, "kl": 0.25}}
    settings = [f"games={json.dumps(['ipd.yaml', longer])}", "seeds=[2]", "train.kl=0.5"]
    recipes = load_joint(place / "joint.yaml", settings).recipes
    assert list(recipes) == ["ipd", "ipd-5"]
    assert [recipe.name for recipe in recipes.values()] == ["all-ipd", "all-ipd-5"]
    assert [recipe.game for recipe in recipes.values()] == ["ipd", "ipd"]
    assert [recipe.rules for recipe in recipes.values()] == [{"rounds": 3}, {"rounds": 5}]
    assert [recipe.train.steps for recipe in recipes.values()] == [16, 8]
    assert [recipe.train.kl for recipe in recipes.values()] == [0.5, 0.25]  # the entry's own goes before the rest
    assert [recipe.train.mirror.steps for recipe in recipes.values()] == [20, 20]

    words = ["run", str(place / "joint.yaml"), "--out", str(tmp_path / "run")]
    assert called(monkeypatch, *words, *(w for s in settings for w in ("--set", s))) == 0
    shown = capsys.readouterr()
    assert "ipd-5: sepo seed 2 (train) step 8/8" in shown.err
    assert "all-ipd-5: " in shown.out
    own = load_recipe(tmp_path / "run" / "ipd-5" / "recipe.yaml")
    assert own == recipes["ipd-5"]
    found = {name: json.loads((tmp_path / "run" / name / "summary.json").read_text()) for name in recipes}
    assert [summary["rules"]["rounds"] for summary in found.values()] == [3, 5]
    assert (tmp_path / "run" / "report.html").read_text().count('class="chapter"') == 2
    unit = Path("arms") / "sepo" / "seed-2"
    card = (tmp_path / "run" / unit / "checkpoints" / "last" / "README.md").read_text()
    assert "# all-ipd, all-ipd-5, arm sepo, seed 2" in card
    assert card.count("- ipd\n") == 1
    for (name, summary), rounds in zip(found.items(), (3, 5), strict=True):
        line = read_metrics(tmp_path / "run" / name / unit / "metrics.jsonl")[-1]
        last = next(arm for arm in summary["arms"] if arm["name"] == "sepo")["last"]["paper.J"]["value"]
        assert last == pytest.approx(line["measures"]["paper"]["J"], abs=1e-5)
        part = card.split("## ")[1 + (rounds == 5)]
        assert f"rounds {rounds}" in part
        assert f"| paper.J | {last:.6g} |" in part


def test_games_take_turns_and_arrive_together(finished: tuple[Path, list[tuple[str, str, int]]]) -> None:
    _, steps = finished
    trained = [(game, step) for game, arm, step in steps if arm == "sepo"]
    assert trained[:5] == [("kuhn", 0), ("ipd", 0), ("kuhn", 1), ("ipd", 1), ("kuhn", 2)]
    assert trained[-2:] == [("kuhn", 24), ("ipd", 16)]
    done = {"kuhn": 0.0, "ipd": 0.0}
    for game, step in trained:
        done[game] = step / {"kuhn": 24, "ipd": 16}[game]
        assert abs(done["kuhn"] - done["ipd"]) <= 1 / 16 + 1e-12


def test_one_model_gets_better_in_both_games(finished: tuple[Path, list[tuple[str, str, int]]]) -> None:
    folder, _ = finished
    for game, measures in (("kuhn", "sepo"), ("ipd", "paper")):
        lines = read_metrics(folder / game / "arms" / "sepo" / "seed-2" / "metrics.jsonl")
        j = [line["measures"][measures]["J"] for line in lines]
        _, sft, sepo = json.loads((folder / game / "summary.json").read_text())["arms"]
        before, after = (arm["last"][f"{measures}.J"]["value"] for arm in (sft, sepo))
        assert j[-1] > j[0] + 0.1
        assert after == pytest.approx(j[-1], abs=1e-5)
        assert sepo["best"] == {}
        assert not list((folder / game).rglob("best.json"))
        assert after > before + 0.1
        assert load_recipe(folder / game / "recipe.yaml").game == game
    weights = folder / "arms" / "sepo" / "seed-2" / "checkpoints"
    assert {file.name for file in weights.iterdir()} == {"final.pt", "best", "last"}
    assert torch.load(weights / "final.pt", weights_only=True)["step"] == 24 + 16


@pytest.mark.no_cover
def test_a_killed_joint_run_ends_with_the_same_figures(
    place: Path, finished: tuple[Path, list[tuple[str, str, int]]], tmp_path: Path
) -> None:
    recipes = load_joint(place / "joint.yaml").recipes

    def killer(after: int) -> Any:
        left = [after]

        def tell(event: Mapping[str, Any]) -> None:
            left[0] -= 1
            if not left[0]:
                raise KilledError

        return tell

    for after in (7, 12, 19):
        with pytest.raises(KilledError):
            run_joint(recipes, tmp_path / "run", killer(after), resume=True)
    run_joint(recipes, tmp_path / "run", lambda e: None, resume=True)
    for game in ("kuhn", "ipd"):
        assert figures(tmp_path / "run" / game) == figures(finished[0] / game)


@pytest.mark.parametrize("games", [["ipd.yaml", "kuhn.yaml"], ["kuhn.yaml"], ["kuhn.yaml", "ipd.yaml", "again"]])
@pytest.mark.parametrize("noted", [True, False], ids=["noted", "of an earlier version"])
def test_a_joint_run_goes_on_with_its_games_in_their_order_alone(
    place: Path, tmp_path: Path, games: list[str], noted: bool
) -> None:
    again = {"recipe": "ipd.yaml", "name": "again"}
    settings = [f"games={json.dumps([again if game == 'again' else game for game in games])}"]
    folder = tmp_path / "run"

    def kill(event: Mapping[str, Any]) -> None:
        if event["line"] and event["line"]["step"] == 4:
            raise KilledError

    whole = load_joint(place / "joint.yaml", ["arms=[{name: sft, stage: sft}]"]).recipes
    with pytest.raises(KilledError):
        run_joint(whole, folder, kill)
    if not noted:
        (folder / "games.json").unlink()
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    other = load_joint(place / "joint.yaml", ["arms=[{name: sft, stage: sft}]", *settings]).recipes
    if noted or len(games) != 2:  # in which order they were is not known of an earlier version
        with pytest.raises(InputError, match=r"holds a run of another recipe: its games are .* there and .* here"):
            run_joint(other, folder, lambda e: None, resume=True)
        assert before == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    run_joint(whole, folder, lambda e: None, resume=True)


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "of an earlier version"])
@pytest.mark.parametrize("resume", [True, False])
def test_runs_of_one_game_and_of_several_keep_out_of_each_others_folders(
    place: Path, tmp_path: Path, resume: bool, noted: bool
) -> None:
    short = ["arms=[{name: sft, stage: sft}]", "sft.steps=1", "sft.examples=20", "episodes=0"]
    several = load_joint(place / "joint.yaml", short).recipes
    one = several["kuhn"]
    run_joint(several, tmp_path / "several", lambda e: None)
    run(one, tmp_path / "one", lambda e: None)
    if not noted:
        (tmp_path / "several" / "games.json").unlink()
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match="holds a run of several games, and this one is of one: choose another"):
        run(one, tmp_path / "several", lambda e: None, resume=resume)
    with pytest.raises(InputError, match="holds a run of one game, and this one is of several: choose another"):
        run_joint(several, tmp_path / "one", lambda e: None, resume=resume)
    assert before == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}


@pytest.mark.no_cover
def test_a_game_whose_audit_is_done_is_not_audited_again(
    place: Path,
    finished: tuple[Path, list[tuple[str, str, int]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipes = load_joint(place / "joint.yaml").recipes
    audited: list[tuple[str, str]] = []
    write = Auditor.write

    def killed(self: Auditor, name: str, same_as: str | None = None) -> dict[str, Any]:
        if len(audited) == 3:  # of base both, of sft one
            raise KilledError
        audited.append((self.title, name))
        return write(self, name, same_as)

    monkeypatch.setattr(Auditor, "write", killed)
    with pytest.raises(KilledError):
        run_joint(recipes, tmp_path / "run", lambda e: None)
    before = list(audited)
    monkeypatch.setattr(
        Auditor, "write", lambda self, *a, **k: audited.append((self.title, a[0])) or write(self, *a, **k)
    )
    run_joint(recipes, tmp_path / "run", lambda e: None, resume=True)
    assert len(before) == 3
    assert len(audited) == len(set(audited)) == 6
    for game in ("kuhn", "ipd"):
        assert figures(tmp_path / "run" / game) == figures(finished[0] / game)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"games": ["kuhn.yaml", "kuhn.yaml"]},
            "key 'games': two of them are named 'kuhn'; write {recipe: kuhn.yaml, name: kuhn-2, …}",
        ),
        (
            {"games": [{"recipe": "kuhn.yaml"}, "kuhn.yaml"]},
            "key 'games': two of them are named 'kuhn'; write {recipe: ",
        ),
        ({"games": [{"name": "kuhn-2"}]}, "key 'games': an entry that is a mapping names its file as 'recipe'"),
        (
            {"games": [{"recipe": "kuhn.yaml", "seeds": [1]}]},
            "key 'games': 'seeds' is the same for all of them: say it",
        ),
        ({"games": [{"recipe": "kuhn.yaml", "ruls": {}}]}, "joint.yaml: kuhn.yaml': unknown key 'ruls'"),
        (
            {"games": [{"recipe": "kuhn.yaml", "name": "arms"}]},
            "'kuhn.yaml' is named 'arms', which is the folder of the",
        ),
        ({"games": [{"recipe": "kuhn.yaml", "name": ".."}]}, "joint.yaml: kuhn.yaml', key 'name': String should match"),
        ({"games": [3]}, "key 'games.0"),
        ({"games": ["joint.yaml"]}, "joint.yaml', key 'games': 'joint.yaml' is of several games itself"),
        ({"games": ["nowhere.yaml"]}, "nowhere.yaml'"),
        ({"games": []}, "key 'games'"),
        ({"gmes": 1}, "unknown key 'gmes'"),
        ({"games": ["kuhn.yaml", "from_base.yaml"]}, "joint.yaml': arm 'sepo' starts from base and sft by its games"),
        ({"train": {"stps": 3}}, "joint.yaml: kuhn.yaml': unknown key 'train.stps'"),
        ({"arms": [{"name": "sepo"}]}, "joint.yaml: kuhn.yaml': arm 'sepo' starts from sft, but no arm has stage"),
    ],
)
def test_a_wrong_joint_recipe_is_refused_in_one_line(place: Path, change: dict[str, Any], why: str) -> None:
    document = yaml.safe_load((place / "joint.yaml").read_text())
    file = place / "changed" / "joint.yaml"
    file.parent.mkdir(exist_ok=True)
    for name in ("kuhn.yaml", "joint.yaml"):
        (file.parent / name).write_text((place / name).read_text())
    from_base = IPD | {"train": IPD["train"] | {"start": "base"}}
    (file.parent / "from_base.yaml").write_text(yaml.safe_dump(from_base))
    file.write_text(yaml.safe_dump(document | change))
    with pytest.raises(InputError) as refused:
        load_joint(file)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.no_cover
def test_the_program_runs_it_and_what_takes_one_game_says_so(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*words: str) -> int:
        return called(monkeypatch, *words)

    recipe, out = str(place / "joint.yaml"), str(tmp_path / "run")
    short = ["--set", "sft.steps=1", "--set", "train.steps=1"]
    assert call("run", recipe, "--out", out, *short) == 0
    shown = capsys.readouterr()
    for game in ("kuhn", "ipd"):
        assert f"all-{game}: " in shown.out
        assert (tmp_path / "run" / game / "report.html").exists()
    assert (tmp_path / "run" / "report.html").read_text().count('class="chapter"') == 2
    assert call("report", out, "--markdown") == 0
    assert "ipd" in capsys.readouterr().out
    assert call("run", recipe, "--out", out, *short) == 2
    assert "already holds a run: continue it with --resume" in capsys.readouterr().err
    for command in ("ablate", "frontier"):
        more = ("--vary", "e", "--values", "0,1") if command == "frontier" else ()
        assert call(command, recipe, *more) == 2
        assert "is of several games, which only `sepo run` takes" in capsys.readouterr().err
    with pytest.raises(InputError):
        parse_recipe(yaml.safe_load((place / "joint.yaml").read_text()), "joint")
