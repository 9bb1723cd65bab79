"""Runs: what they leave behind, that a kill at any moment changes no figure, and how they refuse."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sepo.errors import InputError
from sepo.games.registry import make
from sepo.policies.spec import load_policy
from sepo.policies.table import load_table
from sepo.solve.expand import expand
from sepo.solve.response import exploitability
from sepo.train.data import demonstrations
from sepo.train.part import Domain
from sepo.train.recipe import parse_recipe
from sepo.train.record import read_metrics
from sepo.train.run import run
from sepo.train.seeds import interval
from sepo.train.summary import over_seeds, summarise
from tests.models import tiny_model

TREE = expand(make("kuhn"))
KILLER = """
import os, signal, sys
from pathlib import Path
from typing import Any
import peft, torch, transformers  # once: what is forked has begun nothing
from sepo.lm.load import load_model
from sepo.train.recipe import load_recipe
from sepo.train.run import run
def begin(left):
    def tell(event):
        nonlocal left
        left -= bool(event["line"])
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    run(load_recipe(Path(sys.argv[1])), Path(sys.argv[2]), tell, resume=True)
for after in map(int, sys.argv[3:]):
    child = os.fork()
    if not child:
        begin(after)
        sys.exit()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(ended, flush=True)
    if ended != -signal.SIGKILL:
        break
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    reference = tiny_model(tmp_path_factory.mktemp("tiny"))
    sampled = {"estimator": "sampled", "groups": 2, "group_size": 4}
    return {
        "name": "small",
        "game": "kuhn",
        "seeds": [3],
        "model": {"policy": reference, "adapter": "full"},
        "checkpoint_every": 2,
        "episodes": 1,
        "sft": {"steps": 5, "learning_rate": 0.01, "examples": 400},
        "train": {"steps": 5, "learning_rate": 0.01, "mirror": {"projections": 3, "steps": 50}},
        "arms": [
            {"name": "base", "stage": "base"},
            {"name": "sft", "stage": "sft"},
            {
                "name": "paper",
                "train": {"update": "clipped", "credit": "rollout", "exploiter": "pool", **sampled},
            },
            {"name": "constant", "train": {"update": "clipped", "credit": "constant", **sampled}},
            {"name": "sepo", "train": {"best_response_every": 2, "kl": 0.01}},
            {"name": "league", "train": {"best_response_every": 2, "exploiter": "growing"}},
            {"name": "past", "train": {"best_response_every": 2, "exploiter": "league"}},
        ],
    }


@pytest.fixture(scope="module")
def finished(document, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    events = []
    summary = run(parse_recipe(document, "small"), folder, events.append, command="sepo run small.yaml")
    return folder, summary, events


def unit(folder: Path, arm: str) -> Path:
    return folder / "arms" / arm / "seed-3"


def figures(folder: Path) -> dict:
    """Everything a run reports, without what depends on the clock."""
    out = {"summary": json.loads((folder / "summary.json").read_text())}
    for path in sorted(folder.glob("arms/*/*/metrics.jsonl")):
        out[str(path.relative_to(folder))] = [
            {k: v for k, v in line.items() if k != "seconds"} for line in read_metrics(path)
        ]
    for path in sorted(folder.glob("arms/*/*/policies/*.json")):
        out[str(path.relative_to(folder))] = json.loads(path.read_text())
    return out


def test_a_run_leaves_the_folder_it_promises(finished):
    folder, summary, events = finished
    assert yaml.safe_load((folder / "recipe.yaml").read_text())["name"] == "small"
    environment = json.loads((folder / "environment.json").read_text())
    assert {"versions", "command", "commit", "platform", "threads"} <= set(environment)
    for arm, lines in (("base", 1), ("sft", 6), ("paper", 6), ("constant", 6), ("sepo", 6), ("league", 6), ("past", 6)):
        place = unit(folder, arm)
        assert len(read_metrics(place / "metrics.jsonl")) == lines
        assert (place / "done.json").exists()
        assert not (place / "checkpoints" / "newest.pt").exists()
        card = json.loads((place / "scorecards" / "last.json").read_text())
        table = load_table(place / "policies" / "last.json")
        vector = np.concatenate(table.probabilities([i.decision for i in TREE.infosets]))
        assert card["games"]["kuhn"]["exploitability"]["value"] == pytest.approx(
            exploitability(TREE, vector), abs=1e-12
        )
        played = [json.loads(line) for line in (place / "episodes.jsonl").read_text().splitlines()]
        assert {e["opponent"] for e in played} == set(TREE.game.opponents)
        assert all(e["own"] == -e["other"] for e in played)
    assert [a["name"] for a in summary["arms"]] == ["base", "sft", "paper", "constant", "sepo", "league", "past"]
    assert [e["arm"] for e in events if e["stage"] == "done"] == [
        "base",
        "sft",
        "paper",
        "constant",
        "sepo",
        "league",
        "past",
    ]


def test_the_last_metrics_line_is_the_policy_that_was_saved(finished):
    folder, _, _ = finished
    for arm in ("sft", "sepo"):
        last = read_metrics(unit(folder, arm) / "metrics.jsonl")[-1]
        card = json.loads((unit(folder, arm) / "scorecards" / "last.json").read_text())["games"]["kuhn"]
        assert last["measures"]["sepo"]["J"] == pytest.approx(card["measures"]["sepo"]["J"]["value"], abs=1e-9)
        saved = load_policy(f"hf:{unit(folder, arm) / 'checkpoints' / 'last'}")
        table = load_table(unit(folder, arm) / "policies" / "last.json")
        decisions = [i.decision for i in TREE.infosets]
        for p, q in zip(saved.probabilities(decisions), table.probabilities(decisions), strict=True):
            np.testing.assert_allclose(p, q, atol=1e-5)


def test_arms_are_set_beside_sepo_seed_by_seed(finished):
    _, summary, _ = finished
    found = summary["paired"]
    assert found["minus"] == "sepo"
    others = [arm["name"] for arm in summary["arms"] if arm["name"] != "sepo"]
    assert list(dict.fromkeys(row["arm"] for row in found["rows"])) == others
    last = {arm["name"]: arm["last"] for arm in summary["arms"]}
    for row in found["rows"]:
        apart = last[row["arm"]][row["figure"]]["value"] - last["sepo"][row["figure"]]["value"]
        assert row["mean"] == pytest.approx(apart, abs=1e-12)
        assert row["n"] == len(summary["seeds"])
    assert {"exploitability", "paper.e", "sepo.J"} <= {row["figure"] for row in found["rows"]}


def test_arms_start_from_the_fine_tuned_model(finished):
    folder, _, _ = finished
    end = read_metrics(unit(folder, "sft") / "metrics.jsonl")[-1]
    for arm in ("paper", "constant", "sepo", "league", "past"):
        start = read_metrics(unit(folder, arm) / "metrics.jsonl")[0]
        # asked with the graph kept and without it, which need not round alike in float32
        assert start["exploitability"] == pytest.approx(end["exploitability"], abs=1e-7)


def test_a_constant_penalty_raises_the_dead_term_warning(finished):
    _folder, summary, _ = finished
    warnings = {a["name"]: a["warnings"] for a in summary["arms"]}
    assert any("dead term: 'e'" in w for w in warnings["constant"])
    assert not warnings["sepo"]


@pytest.mark.parametrize(("share", "over"), [(0.5, True), (0.89, True), (0.93, False), (2.0, False)])
def test_a_measure_that_ends_above_its_budget_is_warned_of(finished, document, share, over):
    folder, summary, _ = finished
    found = next(a for a in summary["arms"] if a["name"] == "sepo")["last"]["sepo.e"]["value"]
    assert found > 0
    kept = {"lambda": {"e": "auto", "c": "auto", "budget": {"e": share * found, "c": 10.0}}}
    arms = [a | {"train": a["train"] | kept} if a["name"] == "sepo" else a for a in document["arms"]]
    said = {
        a["name"]: a["warnings"] for a in summarise(parse_recipe(document | {"arms": arms}, "small"), folder)["arms"]
    }
    expected = f"over budget: e is {found:.4f} [{found:.4f}, {found:.4f}] at the last step, and was to be "
    assert [w for w in said["sepo"] if w.startswith("over budget")] == (
        [f"{expected}{share * found:g} at most"] if over else []
    )
    assert not any(w.startswith("over budget") for name, of in said.items() for w in of if name != "sepo")


def test_exploiters_found_in_training_are_counted_over_time_and_written_out(finished):
    folder, _, _ = finished
    lines = read_metrics(unit(folder, "league") / "metrics.jsonl")[:-1]
    assert [line["exploiters_found"] for line in lines] == sorted(line["exploiters_found"] for line in lines)
    assert all(line["worst_case_advantage"] >= line["measures"]["paper"]["e"] - 1e-9 for line in lines)
    tables = sorted((unit(folder, "league") / "exploiters").glob("*.json"))
    assert len(tables) == lines[-1]["exploiters_found"] >= 1
    assert np.isclose(sum(load_table(t).notes["found"] for t in tables), 3)  # steps 0, 2 and 4
    assert "exploiters_found" not in read_metrics(unit(folder, "sepo") / "metrics.jsonl")[0]


@pytest.mark.no_cover
def test_a_run_killed_again_and_again_ends_with_the_same_figures(finished, document, tmp_path):
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump(document))
    folder = tmp_path / "killed"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLER, str(recipe), str(folder), *map(str, (4, 7, 5, 6, 9, 5, 100))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    *killed, last = map(int, done.stdout.split())
    assert last == 0, done.stderr
    assert len(killed) >= 2
    assert set(killed) == {-signal.SIGKILL}
    assert figures(folder) == figures(finished[0])


@pytest.mark.parametrize(
    ("game", "train", "why"),
    [
        ({"game": "split"}, {}, "too large for an exact best response: train against exploiter 'pool'"),
        ({"game": "split"}, {"exploiter": "league"}, "too large for an exact best response"),
        ({}, {"lambda": {"c": "auto", "budget": 0.1}}, "c has a budget, but does not apply"),
        ({}, {"mirror": {"learns": "replies"}}, "this one is asked whole"),
        ({}, {"target": "ceiling", "measures": "paper"}, "has no ceiling that can be proved"),
        ({}, {"target": "ceiling", "worst_case": 0.1}, "is the worst case itself"),
        (
            {"game": "ipd", "rules": {"rounds": 2}},
            {"target": "ceiling", "worst_case": -1},
            "no policy keeps its worst-case advantage within -1",
        ),
        (
            {"game": "auction", "rules": {"rounds": 2}, "measures": "paper"},
            {"target": "ceiling", "worst_case": 1},
            "histories merge in its tree",
        ),
    ],
)
def test_what_an_arm_cannot_have_in_its_game_is_refused_before_anything_is_written(
    document, tmp_path, game, train, why
):
    arms = [{"name": "base", "stage": "base"}, {"name": "bad", "train": {"start": "base", **train}}]
    with pytest.raises(InputError, match=f"^arm 'bad': .*{why}"):
        run(parse_recipe({**document, **game, "arms": arms}, "bad"), tmp_path / "run", lambda e: None)
    assert not (tmp_path / "run").exists()


def test_a_second_run_into_a_folder_is_refused_unless_it_resumes_the_same_recipe(finished, document):
    folder, summary, _ = finished
    recipe = parse_recipe(document, "small")
    with pytest.raises(InputError, match="--resume"):
        run(recipe, folder, lambda e: None)
    assert run(recipe, folder, lambda e: None, resume=True) == summary
    other = parse_recipe(document | {"measures": "paper"}, "small")
    with pytest.raises(InputError, match="another recipe"):
        run(other, folder, lambda e: None, resume=True)


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("form", ["{model}+{adapter}", "hf:{adapter}"])
def test_a_model_with_an_adapter_is_refused_before_anything_is_written(document, tmp_path, sepo, kind, form):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    policy = form.format(model=document["model"]["policy"], adapter=adapter)
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(document | {"model": {"policy": policy, "adapter": kind}}))
    done = sepo("run", tmp_path / "r.yaml", "--out", tmp_path / "out")
    assert done.code == 2
    said = done.err.splitlines()[-1]
    assert said.startswith(f"sepo: model '{policy}' has an adapter already")
    assert "docs/recipes.md" in said
    assert not (tmp_path / "out").exists()


def test_what_can_be_refused_without_the_game_is_refused_before_it_is_made(document, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(Domain, "of", lambda *of: pytest.fail("a game is made, which may take minutes"))
    with pytest.raises(InputError, match="already holds a run"):
        run(parse_recipe(document, "small"), finished[0], lambda e: None)
    with pytest.raises(InputError, match="holds a run of another recipe: episodes is 1 there and 2 here"):
        run(parse_recipe(document | {"episodes": 2}, "small"), finished[0], lambda e: None, resume=True)
    written = {"style": "reasoned", "reasoned": {"report_to": ["nobody"]}, "arms": [{"name": "sft", "stage": "sft"}]}
    with pytest.raises(InputError, match=r"reasoned\.report_to: 'nobody' is no tracker"):
        run(parse_recipe(document | written, "small"), tmp_path / "out", lambda e: None)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_stops_the_run_with_one_line_and_leaves_whole_files(document, tmp_path, sepo):
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump(document))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        done = sepo("run", recipe, "--out", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert done.code == 2
    assert "cannot write" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
    assert not list((tmp_path / "out").rglob("*.pt"))
    assert not [p for p in (tmp_path / "out").rglob(".*") if p.is_dir()]
    assert read_metrics(tmp_path / "out" / "arms" / "base" / "seed-3" / "metrics.jsonl")


def test_a_run_is_finished_where_its_report_cannot_be_drawn(document, finished, tmp_path, sepo, monkeypatch):
    recipe, folder = tmp_path / "small.yaml", tmp_path / "out"
    recipe.write_text(yaml.safe_dump(document))
    shutil.copytree(finished[0], folder)
    monkeypatch.setitem(sys.modules, "plotly", None)
    done = sepo("run", recipe, "--out", folder, "--resume")
    assert done.code == 0
    assert done.err.splitlines()[-1].endswith(f"pip install 'sepo[report]', then sepo report {folder}")
    assert not (folder / "report.html").exists()


def test_a_metrics_file_that_was_cut_mid_line_is_read_up_to_the_cut(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 0, "stage": "sft"}\n{"step": 1, "st')
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [0]


@pytest.mark.no_cover
def test_demonstrations_are_split_by_episode_and_follow_the_mixture():
    shown = demonstrations(TREE, TREE.game.measures("paper"), 40_000, 1)
    train, validation = (sum(float(c.sum()) for c in part) for part in (shown.train, shown.validation))
    assert 40_000 <= train + validation < 40_020
    assert validation / (train + validation) == pytest.approx(0.2, abs=0.02)
    place = next(i for i, d in enumerate(shown.asked.decisions) if d.key == "K:")
    king = shown.train[place]
    bets = king[shown.asked.decisions[place].legal.index("BET")] / king.sum()
    assert bets == pytest.approx(1 - 0.08 / 2, abs=0.01)  # every demonstrator bets the king, random play half of them
    again = demonstrations(TREE, TREE.game.measures("paper"), 40_000, 1)
    np.testing.assert_array_equal(np.concatenate(shown.train), np.concatenate(again.train))


@pytest.mark.parametrize("tree", [TREE, expand(make("ipd", {"rounds": 3}, "paper"))], ids=["kuhn", "ipd"])
def test_few_demonstrations_are_still_of_both_parts(tree):
    for seed in range(30):
        shown = demonstrations(tree, tree.game.measures("paper"), 3, seed)
        train, validation = (sum(float(c.sum()) for c in part) for part in (shown.train, shown.validation))
        assert min(train, validation) >= 1
        assert train + validation >= 3


@pytest.mark.parametrize("name", ["time_to_exploit", "robustness"])
def test_a_figure_that_some_seeds_lack_has_no_mean(name: str):
    def card(**figure: float | None) -> dict[str, Any]:
        return {"exploitability": {"value": 0.1, "low": 0.1, "high": 0.1}, name: figure or None}

    known = card(value=128.0, low=64.0, high=384.0)
    assert over_seeds([known, known])[name]["value"] == 128
    for other in (card(value=None, low=640.0, high=None), card(value=704.0, low=64.0, high=None), card()):
        found = over_seeds([known, other])
        assert name not in found
        assert found["exploitability"]["n"] == 2


def test_intervalsover_seeds_are_students_t():
    found = interval([0.01, 0.02, 0.04])
    assert found["value"] == pytest.approx(0.07 / 3)
    assert found["high"] - found["value"] == pytest.approx(4.302653 * np.std([0.01, 0.02, 0.04], ddof=1) / 3**0.5)
    assert interval([0.5]) == {"value": 0.5, "low": 0.5, "high": 0.5, "n": 1, "seeds": [0.5]}


def test_adversaries_are_let_loose_on_a_game_that_is_scored_whole_unless_the_recipe_says_no(
    document, finished, tmp_path
):
    quiet = document | {"audit": {"adversaries": False}, "arms": document["arms"][:1]}
    run(parse_recipe(quiet, "small"), tmp_path / "out", lambda e: None)
    there, here = (
        json.loads((unit(folder, "base") / "scorecards" / "last.json").read_text())["games"]["kuhn"]
        for folder in (finished[0], tmp_path / "out")
    )
    for part in ("worst_case", "time_to_exploit"):
        assert there.pop(part) is not None
        assert here.pop(part, None) is None
    assert here == there


def test_a_model_trained_in_bfloat16_is_audited_in_float32(document, tmp_path):
    small = {
        "model": {**document["model"], "adapter": "lora", "rank": 4, "dtype": "bfloat16"},
        "sft": {"steps": 1, "examples": 100},
        "audit": {"adversaries": False},
        "arms": document["arms"][:2],
    }
    run(parse_recipe(document | small, "small"), tmp_path / "out", lambda e: None)
    for arm in ("base", "sft"):
        card = json.loads((unit(tmp_path / "out", arm) / "scorecards" / "last.json").read_text())
        assert card["model"]["dtype"] == "float32"
    plain = load_policy(document["model"]["policy"])
    table = load_table(unit(tmp_path / "out", "base") / "policies" / "last.json")
    decisions = [i.decision for i in TREE.infosets]
    for p, q in zip(plain.probabilities(decisions), table.probabilities(decisions), strict=True):
        np.testing.assert_allclose(p, q, atol=1e-5)  # the weights as shipped, not as bfloat16 rounds them
