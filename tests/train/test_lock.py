"""One command at a time in a run folder, and nobody kept away by one that is gone."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from sepo.errors import InputError
from sepo.train.lock import FILE, locked
from sepo.train.recipe import Recipe, parse_recipe
from sepo.train.record import read_metrics
from sepo.train.run import run
from tests.conftest import Finished
from tests.models import tiny_model

HOLDER = """
import sys
from pathlib import Path
from sepo.train.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def elsewhere(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process have a folder for a while."""
    there = {"env": os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, "text": True}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **there
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {
        "name": "small",
        "game": "kuhn",
        "seeds": [3],
        "model": {"policy": tiny_model(tmp_path_factory.mktemp("tiny"))},
        "episodes": 1,
        "audit": {"adversaries": False},
        "sft": {"steps": 3, "learning_rate": 0.01, "examples": 100},
        "arms": [{"name": "sft", "stage": "sft"}],
    }


@pytest.fixture
def recipe(document: dict[str, Any]) -> Recipe:
    return parse_recipe(document, "small")


def test_a_second_command_is_refused_while_a_run_goes_on_and_leaves_its_files_alone(recipe: Recipe, tmp_path: Path):
    folder = tmp_path / "new" / "run"
    refused = []

    def tell(event: Any) -> None:
        with pytest.raises(InputError, match=f"'{folder}' is being written by another process") as caught:
            run(recipe, folder, lambda e: None, resume=True)
        refused.append(caught.value)

    run(recipe, folder, tell)
    assert len(refused) > 3
    steps = [line["step"] for line in read_metrics(folder / "arms" / "sft" / "seed-3" / "metrics.jsonl")]
    assert steps == sorted(set(steps))
    assert not list(tmp_path.rglob(FILE))
    run(recipe, folder, lambda e: None, resume=True)


def test_the_program_says_so_and_a_kill_of_who_had_the_folder_lets_others_in(
    document: dict[str, Any], tmp_path: Path, sepo: Callable[..., Finished]
):
    file, folder = tmp_path / "small.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(document))
    with elsewhere(folder) as process:
        done = sepo("run", file, "--out", folder)
        assert done.code == 2
        assert done.err.splitlines()[-1] == (
            f"sepo: '{folder}' is being written by another process: wait for its end, or choose another --out"
        )
        assert [place.name for place in folder.iterdir()] == [FILE]
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (folder / FILE).exists()
        with locked(folder):
            pass
    assert not list(folder.iterdir())


def test_a_folder_that_nothing_came_of_is_gone_with_those_above_it(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "a" / "b"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    with locked(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "kept").touch()
    assert [str(place.relative_to(tmp_path)) for place in sorted(tmp_path.rglob("*"))] == ["a", "a/b", "a/b/kept"]


def test_one_who_waited_at_a_file_that_was_removed_meanwhile_takes_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = fcntl.flock
    opened = []

    def late(lock: int, how: int) -> None:
        real(lock, how)
        opened.append(lock)
        if len(opened) == 1:
            (tmp_path / FILE).unlink()

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path):
        assert len(opened) == 2
        with pytest.raises(InputError, match="is being written"), locked(tmp_path):
            pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_there_are_no_locks_it_goes_on_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int):
    def flock(lock: int, how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path), locked(tmp_path):
        assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_left_to_who_writes_to_say(recipe: Recipe, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        run(recipe, tmp_path / "file" / "run", lambda e: None)
