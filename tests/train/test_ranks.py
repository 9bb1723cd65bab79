"""Several processes take the steps of one: same figures, same weights, and one of them writes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from sepo.games.registry import make
from sepo.lm.load import load_model
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import expand
from sepo.train import ranks
from sepo.train.direct import Scorer
from sepo.train.record import read_metrics
from tests.conftest import run_program
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]


def document(model: str) -> dict:
    return {
        "name": "shared",
        "game": "kuhn",
        "measures": "sepo",
        "seeds": [1],
        "model": {"policy": model, "rank": 4, "budget": 200},  # several passes a step, so there is something to share
        "episodes": 1,
        "checkpoint_every": 2,
        "audit": {"best": False, "adversaries": False},
        "sft": {"steps": 3, "learning_rate": 0.01, "examples": 300},
        "train": {"steps": 4, "learning_rate": 0.01, "kl": 0.01, "mirror": {"projections": 2, "steps": 50}},
        "arms": [{"name": "base", "stage": "base"}, {"name": "sft", "stage": "sft"}, {"name": "sepo"}],
    }


def launched(processes: int, *arguments: object) -> None:
    """Run ``sepo`` in so many processes: in this one where one is enough."""
    if processes == 1:
        here = run_program(*arguments)
        assert here.code == 0, here.err[-3000:]
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--config_file", str(ROOT / "recipes" / "accelerate" / "processes.yaml")),
        *("--main_process_port", str(port), "--num_cpu_threads_per_process", "1"),
    ]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(
        [*program, "-m", "sepo", *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    place = tmp_path_factory.mktemp("ranks")
    recipe = place / "shared.yaml"
    recipe.write_text(yaml.safe_dump(document(tiny_model(place / "model"))))
    for processes in (1, 2):
        launched(processes, "run", recipe, "--out", place / str(processes))
    return {processes: place / str(processes) for processes in (1, 2)}


def test_there_were_so_many_processes(runs: dict[int, Path]):
    for processes, folder in runs.items():
        assert json.loads((folder / "environment.json").read_text())["processes"] == processes


def test_two_processes_take_the_steps_of_one(runs: dict[int, Path]):
    for arm in ("sft", "sepo"):
        one, two = (read_metrics(runs[n] / "arms" / arm / "seed-1" / "metrics.jsonl") for n in (1, 2))
        assert len(one) == len(two) > 3
        for here, there in zip(one, two, strict=True):
            assert here["exploitability"] == pytest.approx(there["exploitability"], abs=1e-5)
            assert here["legal_mass"] == pytest.approx(there["legal_mass"], abs=1e-5)
            if "loss" in here:
                assert here["loss"] == pytest.approx(there["loss"], abs=1e-5)
        first, second = (
            torch.load(runs[n] / "arms" / arm / "seed-1" / "checkpoints" / "final.pt", weights_only=True)["weights"]
            for n in (1, 2)
        )
        for name, weight in first.items():
            assert torch.allclose(weight, second[name], atol=1e-5), name


def test_there_is_something_to_share(tmp_path: Path):
    policy = DirectPolicy(load_model(tiny_model(tmp_path)), "x", budget=200)
    assert len(Scorer(policy, [i.decision for i in expand(make("kuhn")).infosets]).plans) > 3


def test_the_first_process_alone_writes(runs: dict[int, Path]):
    summaries = [json.loads((runs[n] / "summary.json").read_text()) for n in (1, 2)]
    values = [[arm["last"]["exploitability"]["value"] for arm in s["arms"]] for s in summaries]
    assert values[0] == pytest.approx(values[1], abs=1e-5)
    names = [{p.relative_to(runs[n]) for p in runs[n].rglob("*") if p.is_file()} for n in (1, 2)]
    assert names[0] == names[1]
    lines = (runs[2] / "arms" / "sepo" / "seed-1" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2, 3, 4]


def test_two_processes_take_the_steps_of_one_in_the_reasoned_style_too(tmp_path: Path):
    written = {
        "game": "ipd",
        "rules": {"rounds": 2},
        "style": "reasoned",
        "reasoned": {"tokens": 6, "samples": 1, "examples": 8, "batch": 4, "opponents": 2},
        "audit": {"best": False, "budget": 2, "episodes": 2},
        "train": {
            **{"steps": 2, "learning_rate": 0.01, "kl": 0.01, "groups": 2, "group_size": 2, "legal_mass": 1.0},
            **{"estimator": "sampled", "update": "clipped", "exploiter": "pool"},
        },
        "arms": [{"name": "sft", "stage": "sft"}, {"name": "sepo"}],
    }
    recipe = tmp_path / "shared.yaml"
    recipe.write_text(yaml.safe_dump(document(tiny_model(tmp_path / "model")) | written))
    for processes in (1, 2):
        launched(processes, "run", recipe, "--out", tmp_path / str(processes))
        assert json.loads((tmp_path / str(processes) / "environment.json").read_text())["processes"] == processes
    for arm, steps in (("sft", 3), ("sepo", 2)):
        one, two = (read_metrics(tmp_path / str(n) / "arms" / arm / "seed-1" / "metrics.jsonl") for n in (1, 2))
        assert len(one) == len(two) == steps
        for here, there in zip(one, two, strict=True):
            assert here.get("measures") == there.get("measures")
            assert here.get("replies") == there.get("replies")
        first, second = (
            torch.load(tmp_path / str(n) / "arms" / arm / "seed-1" / "checkpoints" / "final.pt", weights_only=True)
            for n in (1, 2)
        )
        for name, weight in first["weights"].items():
            assert torch.allclose(weight, second["weights"][name], atol=1e-5), name


def test_other_commands_refuse_several_processes(sepo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # as every launcher does: it is how the runs above found each other
    done = sepo("games")
    assert (done.code, done.out) == (2, "")
    assert done.err == "sepo: 'sepo games' is one process: only 'sepo run' takes several\n"


def test_a_share_is_balanced_and_whole(monkeypatch: pytest.MonkeyPatch):
    things = [5, 1, 4, 2, 3, 3]
    monkeypatch.setattr(ranks, "size", lambda: 2)
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(ranks, "rank", lambda rank=rank: rank)
        parts.append(ranks.share(list(enumerate(things)), lambda pair: pair[1]))
    assert sorted(parts[0] + parts[1]) == list(enumerate(things))
    assert [sum(n for _, n in part) for part in parts] == [9, 9]
    assert all(part == sorted(part) for part in parts)


def test_alone_nothing_is_shared():
    assert (ranks.size(), ranks.rank(), ranks.first()) == (1, 0, True)
    assert ranks.share([3, 1, 2], float) == [3, 1, 2]
    assert ranks.everyones("x") == ["x"]
    ranks.wait()
