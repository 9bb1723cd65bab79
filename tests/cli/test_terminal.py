"""What the program does where nobody reads on, where not every character can be written, and when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SOURCE, Finished

Program = Callable[..., Finished]


def unread(*arguments: object, stream: str) -> tuple[int, str]:
    """Run the program with a pipe for a stream that was closed at its other end; return exit code and the other one."""
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writer}
    code = "from sepo.cli.main import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        text=True,
        timeout=240,
        check=False,
        **streams,
    )
    os.close(writer)
    return done.returncode, done.stderr if stream == "stdout" else done.stdout


@pytest.mark.no_cover
def test_a_gate_whose_output_nobody_reads_has_its_own_exit_code(sepo: Program, tmp_path: Path):
    for name in ("nash", "loose_aggressive"):
        sepo("audit", f"script:{name}", "--game", "kuhn", "--out", tmp_path / f"{name}.json")
    good, bad = tmp_path / "nash.json", tmp_path / "loose_aggressive.json"
    for more in ((), ("--json",)):
        assert unread("gate", good, "--against", good, *more, stream="stdout") == (0, "")
        assert unread("gate", bad, "--against", good, *more, stream="stdout") == (1, "")
    assert unread("compare", good, bad, stream="stdout") == (0, "")  # words, and a table by rich


@pytest.mark.no_cover
def test_an_audit_whose_output_nobody_reads_still_writes_its_file(tmp_path: Path):
    arguments = ("audit", "script:nash", "--game", "kuhn", "--out", tmp_path / "card.json")
    assert unread(*arguments, stream="stdout")[0] == 0
    assert (tmp_path / "card.json").exists()


@pytest.mark.no_cover
def test_an_error_that_nobody_reads_has_its_exit_code():
    assert unread("audit", "nash", stream="stderr") == (2, "")


@pytest.mark.no_cover
@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_what_cannot_be_written_in_an_encoding_is_written_out(
    sepo: Program, nash: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
):
    path = tmp_path / "\u0161\U0001f600.json"
    path.write_text(json.dumps(nash))
    arguments = ("audit", f"table:{path}", "--game", "kuhn", "--measures", "sepo")
    monkeypatch.setenv("COLUMNS", "40")  # too few, so that tables end in an ellipsis
    whole = sepo(*arguments, fresh=True)
    assert "\u2026" in whole.out
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    shown = sepo(*arguments, fresh=True)
    assert (shown.code, shown.err) == (0, "")
    assert "\\u2026" in shown.out
    found = sepo(*arguments, "--json", fresh=True)
    assert (found.code, found.document["policy"]) == (0, f"table:{path}")


def heeding() -> None:
    """Heed interrupts in a process that is started, also where the tests run in the background, which ignores them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.no_cover
def test_a_command_that_is_interrupted_says_so():
    code = "from sepo.cli.main import main\nmain()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "audit", "human", "--game", "kuhn"],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeding,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline()  # it asks
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)  # with its input still open: the end of that is another end
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("sepo: interrupted; finished work is kept\n")
    assert "Traceback" not in err
