"""``sepo serve`` as a command: what it prints, what it refuses, and that it ends when told to."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import SOURCE

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.mark.no_cover
def test_it_prints_where_it_is_answers_there_and_ends_when_told_to(tmp_path: Path):
    code = "from sepo.cli.main import main\nmain()"
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--run", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.fullmatch(r"open (http://127\.0\.0\.1:\d+/) \(ctrl-C ends\)\n", said)
            assert found, said
            with OPENER.open(found[1], timeout=20) as answer:
                assert "Kuhn poker" in answer.read().decode()
            with OPENER.open(found[1] + "runs/1", timeout=20) as answer:
                assert "Nothing has begun yet." in answer.read().decode()
        finally:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
    assert process.returncode in (0, 130)
    assert (out, err) == ("", "")


def test_a_token_is_printed_where_others_can_reach_it(sepo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    said = [sepo("serve", "--port", 0, "--host", "0.0.0.0").err for _ in range(2)]
    tokens = [re.fullmatch(r"open http://0\.0\.0\.0:\d+/\?token=([\w-]{32}) \(ctrl-C ends\)\n", text) for text in said]
    assert all(tokens)
    assert len({t[1] for t in tokens if t}) == 2
    assert "token" not in sepo("serve", "--port", 0, "--host", "localhost").err


def test_the_logging_of_others_is_left_alone(sepo, monkeypatch: pytest.MonkeyPatch):
    """A handler that closes its stream with itself, as absl's does, must not lose it to a server that was started."""
    closed = []

    class Closing(logging.NullHandler):
        def close(self) -> None:
            closed.append(self)

    handler = Closing()
    logging.getLogger("somebody").addHandler(handler)
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    sepo("serve", "--port", 0)
    logging.getLogger("somebody").removeHandler(handler)
    assert closed == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--run", "/nowhere/at/all"), "no run folder at '/nowhere/at/all'"),
        (("--policy", "human"), "'human' cannot be offered"),
        (("--policy", "script:nobody"), "unknown script 'nobody'"),
        (("--policy", "table:/nowhere.json"), "no policy table at"),
        (("--policy", "nonsense"), "unknown policy 'nonsense'"),
        (("--host", "256.0.0.1"), "cannot listen at '256.0.0.1'"),
        (("--port", "70000"), "--port"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(sepo, monkeypatch: pytest.MonkeyPatch, arguments, said):
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: pytest.fail("it serves"))
    done = sepo("serve", *arguments)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_port_that_is_taken_is_said_to_be(sepo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = sepo("serve", "--port", taken.getsockname()[1])
    assert done.code == 2
    assert "cannot listen at 127.0.0.1" in done.err


def test_without_the_extra_it_says_what_to_install(sepo):
    done = sepo("serve", before="import sys; sys.modules['uvicorn'] = None; sys.modules['starlette'] = None")
    assert done.code == 2
    assert "pip install 'sepo[serve]'" in done.err


def test_a_table_of_a_game_by_other_rules_is_offered_at_that_game(
    sepo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    file = tmp_path / "t.json"
    rules = {"rounds": 0}
    file.write_text(
        json.dumps({"schema": "sepo.policy/1", "game": "ipd", "rules": rules, "table": {"": {"DEFECT": 1}}})
    )
    done = sepo("serve", "--port", 0, "--policy", f"table:{file}")
    assert done.code == 2
    assert "rule 'rounds' of game 'ipd' must be a number from 1" in done.err
