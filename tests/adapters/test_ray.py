"""Audits by Ray on this machine: the same figures, and nothing lost where a worker is killed."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sepo.adapters.ray import RayWorkers
from sepo.audit.methods import Options
from sepo.audit.scorecard import scorecard
from sepo.errors import EndpointError, InputError
from sepo.games.registry import make
from sepo.policies.reasoned import ReplyRules
from sepo.policies.spec import Asking, load_policy
from sepo.policies.workers import Answer, finished
from tests.conftest import Finished
from tests.models import tiny_model

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("SEPO_CACHE", str(folder))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        yield folder


@pytest.fixture(scope="module")
def workers(cache: Path) -> Iterator[RayWorkers]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield RayWorkers()
    ray.shutdown()


def card(text: str, workers: RayWorkers | None, tell: Any = None, rules: ReplyRules | None = None) -> dict[str, Any]:
    asking = Asking(rules or ReplyRules(style="direct"), workers=workers)
    options = Options(method="sampled", episodes=200, asking=asking, adversaries=False)
    heard = {} if tell is None else {"tell": tell}
    return scorecard(load_policy(text, asking=asking), [make("ipd", {}, "sepo")], options, **heard)


class Killed(RayWorkers):
    """Workers of which those that start the third and the fourth unit are killed at it, as a machine does it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def run(self, what: Callable[..., Answer], units: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Answer]]:
        folder = self.folder

        def killed(*arguments: Any) -> Answer:  # within, so that it is sent as it is: a worker knows no tests
            for start in itertools.count():
                try:
                    (folder / str(start)).touch(exist_ok=False)
                except FileExistsError:
                    continue
                if start in (2, 3):
                    os.kill(os.getpid(), signal.SIGKILL)
                return what(*arguments)
            raise AssertionError

        return super().run(killed, units)


def test_killing_workers_in_the_middle_of_an_audit_loses_nothing(workers: RayWorkers, tmp_path: Path):
    told: list[tuple[int, int]] = []
    found = card("script:grim_trigger", Killed(tmp_path), lambda what, done, total: told.append((done, total)))
    units = told[-1][1]
    assert units > 4
    assert len(list(tmp_path.iterdir())) == units + 2
    assert found == card("script:grim_trigger", None)


def test_a_model_writes_the_same_replies_there(workers: RayWorkers, tmp_path: Path):
    text = tiny_model(tmp_path)
    rules = ReplyRules(samples=3, tokens=4, retries=0)
    asked = {}
    for name, who in (("here", None), ("there", workers)):
        asking = Asking(rules, workers=who)
        options = Options(asking=asking, adversaries=False)
        asked[name] = scorecard(load_policy(text, asking=asking), [make("kuhn")], options)
    assert asked["here"] == asked["there"]


def test_what_a_unit_refuses_is_said_in_its_own_words(workers: RayWorkers):
    def refuse(x: int) -> Answer:  # within, so that it is sent as it is: a worker knows no tests
        raise InputError(f"no {x} here")

    with pytest.raises(InputError, match="no 7 here"):
        finished(workers, refuse, [(7,)], [None])


def test_a_unit_that_kills_its_workers_ends_the_audit(workers: RayWorkers, monkeypatch: pytest.MonkeyPatch):
    def die(x: int) -> Answer:
        os._exit(1)

    monkeypatch.setattr("sepo.adapters.ray.RETRIES", 1)
    with pytest.raises(EndpointError, match="finished work is kept"):
        finished(workers, die, [(1,)], [None])


def test_the_program_takes_a_cluster(sepo: Any, tmp_path: Path):
    arguments = ["audit", "script:always_bet", "-g", "kuhn", "--method", "sampled", "--episodes", "50", "--json"]
    environment = f"import os; os.environ['SEPO_CACHE'] = {str(tmp_path)!r}"
    there: Finished = sepo(*arguments, "--ray", "local", before=environment)
    here: Finished = sepo(*arguments)
    assert there.code == 0, there.err
    assert there.document == here.document
    assert list((tmp_path / "units").glob("*.json"))
    nowhere: Finished = sepo(
        *arguments, "--ray", "nowhere", before=environment.replace(str(tmp_path), str(tmp_path / "b"))
    )
    assert nowhere.code == 2
    assert "no Ray cluster at 'nowhere'" in nowhere.err
    assert json.loads(there.out)["policy"] == "script:always_bet"
