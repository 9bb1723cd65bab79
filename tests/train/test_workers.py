"""Workers: the figures of one process, whoever runs what and when, and what is left where a process ends early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sepo.errors import EndpointError, InputError
from sepo.train import ranks, workers
from sepo.train.part import Domain
from sepo.train.recipe import parse_recipe
from sepo.train.run import run, run_joint
from sepo.train.unit import Unit
from tests.models import tiny_model
from tests.train.test_run import figures

pytestmark = pytest.mark.no_cover
PATHS = {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Compute with one thread here, as each worker does then."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {
        "name": "small",
        "game": "kuhn",
        "seeds": [3, 1],
        "model": {"policy": tiny_model(tmp_path_factory.mktemp("tiny")), "adapter": "lora"},
        "checkpoint_every": 2,
        "episodes": 1,
        "audit": {"adversaries": False},
        "sft": {"steps": 4, "learning_rate": 0.01, "examples": 300},
        "train": {"steps": 6, "learning_rate": 0.01, "mirror": {"projections": 2, "steps": 50}},
        "arms": [
            {"name": "base", "stage": "base"},
            {"name": "sft", "stage": "sft"},
            {"name": "sepo"},
            {"name": "from_base", "train": {"start": "base", "update": "clipped"}},
        ],
    }


@pytest.fixture(scope="module")
def finished(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """Run by this process alone; return the folder and what was told."""
    folder, told = tmp_path_factory.mktemp("runs") / "alone", []
    run(parse_recipe(document, "small"), folder, told.append)
    return folder, told


def said(events: list[dict[str, Any]]) -> list[str]:
    """Return what was told in an order of its own, without what the clock says."""
    return sorted(
        json.dumps({**e, "line": {k: v for k, v in e["line"].items() if k != "seconds"}}, sort_keys=True)
        for e in events
    )


def audited(folder: Path) -> dict[str, Any]:
    """Return what the audits left: scorecards and the episodes to read."""
    found = [*folder.rglob("scorecards/*.json"), *folder.rglob("episodes.jsonl")]
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def children(of: int) -> list[int]:
    """Return the worker processes that a process has started."""
    out = []
    for place in Path("/proc").iterdir():
        try:
            parent = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == of and b"sepo.train.worker" in (place / "cmdline").read_bytes():
                out.append(int(place.name))
        except (OSError, ValueError, IndexError):
            continue
    return out


def test_workers_come_to_the_figures_of_one_process_to_the_last_bit(
    document: dict[str, Any], finished: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    alone, told = finished
    events: list[dict[str, Any]] = []
    run(parse_recipe(document, "small"), tmp_path / "three", events.append, workers=3)
    assert figures(tmp_path / "three") == figures(alone)
    assert audited(tmp_path / "three") == audited(alone)
    assert said(events) == said(told)
    first = [event["arm"] for event in events if event["line"]]
    assert first != [event["arm"] for event in told if event["line"]]  # they were at work side by side
    found = json.loads((tmp_path / "three" / "environment.json").read_text())
    assert (found["workers"], found["threads"]) == (3, 1)
    assert children(os.getpid()) == []


def test_a_unit_waits_for_what_it_starts_from_and_for_files_that_it_takes(
    document: dict[str, Any], tmp_path: Path
) -> None:
    recipe = parse_recipe(document, "small")

    def after(recipe: Any, arm: str, seed: int) -> list[tuple[str, int]]:
        domain = Domain.of("small", recipe, tmp_path)
        return Unit([domain], arm, seed, tmp_path, lambda e: None).after

    assert after(recipe, "base", 3) == []
    assert after(recipe, "base", 1) == [("base", 3)]  # whose files it copies
    assert after(recipe, "sft", 1) == []
    assert after(recipe, "sepo", 1) == [("sft", 1)]
    assert after(recipe, "from_base", 1) == []
    written = parse_recipe(document | {"style": "reasoned", "arms": document["arms"][:1]}, "small")
    assert after(written, "base", 1) == []  # its replies are drawn, for each seed anew


def test_several_games_of_one_model(document: dict[str, Any], tmp_path: Path) -> None:
    arms = [arm for arm in document["arms"] if arm["name"] in ("sft", "sepo")]
    short = {"sft": {"steps": 2, "examples": 200}, "train": {"steps": 2, "mirror": {"steps": 20}}}
    recipes = {
        name: parse_recipe(document | short | {"name": f"both-{name}", "arms": arms, "measures": name}, name)
        for name in ("paper", "sepo")
    }
    for count in (1, 2):
        run_joint(recipes, tmp_path / str(count), lambda e: None, workers=count)
    for name in recipes:
        assert figures(tmp_path / "2" / name) == figures(tmp_path / "1" / name)


def test_what_is_wrong_is_said_as_one_process_says_it(document: dict[str, Any], tmp_path: Path) -> None:
    arms = [{"name": "few", "train": {"start": "base", "mirror": {"learns": "replies"}}}]
    recipe = parse_recipe({**document, "arms": arms}, "few")
    errors = []
    for count in (1, 2):
        with pytest.raises(InputError) as caught:
            run(recipe, tmp_path / str(count), lambda e: None, workers=count)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
    assert children(os.getpid()) == []


def test_where_a_worker_dies_the_others_end_and_the_run_goes_on_to_the_same_figures(
    document: dict[str, Any], finished: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    recipe, folder = parse_recipe(document, "small"), tmp_path / "killed"
    killed: list[int] = []

    def kill(event: dict[str, Any]) -> None:
        if event["arm"] == "sepo" and event["line"] and not killed:
            killed.extend(children(os.getpid()))
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(EndpointError, match=r"the worker of arm '\w+', seed \d was ended by signal 9.*--resume"):
        run(recipe, folder, kill, workers=2)
    assert len(killed) == 2
    assert children(os.getpid()) == []
    run(recipe, folder, lambda e: None, resume=True, workers=2)
    assert figures(folder) == figures(finished[0])


def test_a_worker_that_fails_is_told_of_and_what_it_said_is_harmless(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = """import sys; sys.stdout.write('{"event": {'); sys.stderr.write('no room \\x1b[31m\\n'); sys.exit(7)"""
    monkeypatch.setattr(workers, "PROGRAM", (sys.executable, "-c", ends))
    with pytest.raises(EndpointError, match=r"^the worker of arm '\w+', seed 3 failed\. Finished work is kept"):
        run(parse_recipe(document, "small"), tmp_path / "run", lambda e: None, workers=2)
    assert "no room \\x1b[31m\n" in capsys.readouterr().err


def test_workers_end_with_the_program_that_started_them(
    document: dict[str, Any], finished: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    file, folder = tmp_path / "small.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(document))
    command = [sys.executable, "-m", "sepo", "run", str(file), "--out", str(folder), "--workers", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1"}
    with (tmp_path / "log").open("w") as log:
        program = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until(lambda: any(len(f.read_text().splitlines()) > 1 for f in folder.rglob("sepo/*/metrics.jsonl")))
        started = children(program.pid)
        program.kill()
        program.wait()
        assert started
        until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in started))
        subprocess.run([*command, "--resume"], env=environment, stdout=log, stderr=log, check=True)
    assert figures(folder) == figures(finished[0])
    assert json.loads((folder / "environment.json").read_text())["workers"] == 2


@pytest.mark.parametrize("said", ["", "{", '{"folder": "x", "games": []}\n', '{"folder": "x", "ga'])
def test_a_worker_that_nobody_asks_ends(said: str) -> None:
    done = subprocess.run(
        workers.PROGRAM, input=said, capture_output=True, text=True, timeout=60, check=False, env=os.environ | PATHS
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def until(happens: Any) -> None:
    """Wait until something is so, a minute at most."""
    for _ in range(600):
        if happens():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def test_each_worker_has_its_share_of_threads_and_one_of_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert [workers.threads(n) for n in (1, 2, 3, 20)] == [8, 4, 2, 1]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5a")
    found = [workers.surroundings(number, 4) for number in range(3)]
    assert [at["CUDA_VISIBLE_DEVICES"] for at in found] == ["3", "GPU-5a", "3"]
    assert {at["OMP_NUM_THREADS"] for at in found} == {"4"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert "CUDA_VISIBLE_DEVICES" not in workers.surroundings(1, 4)  # as it is inherited
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert workers.surroundings(3, 1)["CUDA_VISIBLE_DEVICES"] == "1"


def test_processes_that_train_one_model_together_have_no_workers(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "size", lambda: 2)
    with pytest.raises(InputError, match="leave --workers away"):
        run(parse_recipe(document, "small"), tmp_path / "run", lambda e: None, workers=2)
    assert not (tmp_path / "run").exists()


def test_the_number_of_workers_is_a_positive_one(sepo: Any, tmp_path: Path) -> None:
    done = sepo("run", "recipes/kuhn-demo.yaml", "--workers", "0", "--out", tmp_path / "run")
    assert done.code == 2
    assert "--workers" in done.err
