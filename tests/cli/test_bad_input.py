"""Bad input: exit code 2 and one line on stderr that names the fault; never a traceback, never half a result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sepo.lm.reasoned import Reply
from tests.conftest import SOURCE, Finished
from tests.server import Server, served

Program = Callable[..., Finished]


def refused(done: Finished, *said: str) -> None:
    assert done.code == 2, done
    assert done.out == ""
    assert done.err.startswith("sepo: ")
    assert done.err.count("\n") == 1
    assert done.err.endswith("\n")
    for words in said:
        assert words in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("audit", "nash"), ("unknown policy 'nash'", "script:NAME")),
        (("audit", "script:gto", "--game", "kuhn"), ("unknown script 'gto'", "'kuhn'", "nash_approx")),
        (("audit", "script:gto", "--game", "all"), ("unknown script 'gto'",)),
        (("audit", "script:nash", "--game", "chess"), ("unknown game 'chess'", "kuhn")),
        (("audit", "script:nash", "--measures", "mine"), ("unknown set of measures 'mine'", "paper, sepo, both")),
        (("audit", "script:nash", "--method", "guess"), ("unknown method 'guess'", "auto, exact")),
        (("audit", "script:nash", "script:gto"), ("unknown script 'gto'",)),
        (("audit", "table:absent.json"), ("no policy table at 'absent.json'",)),
        (("audit", "uniform", "script:nash", "uniform"), ("policy 'uniform' stands twice",)),
        (("games", "chess"), ("unknown game 'chess'",)),
        (("elicit", "script:gto", "--game", "kuhn", "--out", "x.json"), ("unknown script 'gto'",)),
        (("exploit", "uniform", "--game", "chess", "--out", "x.json"), ("unknown game 'chess'",)),
        (
            ("exploit", "uniform", "--game", "kuhn", "--out", "x.json", "--objective", "spite"),
            ("unknown objective 'spite'", "payoff, difference, harm"),
        ),
        (("compare", "absent.json", "absent.json"), ("no scorecard at 'absent.json'",)),
    ],
)
def test_a_name_that_is_unknown_or_a_file_that_is_absent(sepo: Program, arguments: tuple, said: tuple[str, ...]):
    refused(sepo(*arguments, "--json") if arguments[0] in ("audit", "compare") else sepo(*arguments), *said)
    assert not Path("x.json").exists()


def row(**p: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["table"].update({"Q:b": p})


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "missing state": (lambda d: d["table"].pop("Q:b"), "lacks information state 'Q:b'"),
    "negative": (row(FOLD=1.5, CALL=-0.5), "'Q:b': the probability of 'CALL' is negative"),
    "not a number": (row(FOLD=float("nan"), CALL=1), "'Q:b': the probability of 'FOLD' must be a finite number"),
    "too large for a float": (row(FOLD=10**400, CALL=0), "'Q:b': the probability of 'FOLD' must be a finite number"),
    "wrong sum": (row(FOLD=0.5, CALL=0.6), "'Q:b': probabilities sum to 1.1, not 1"),
    "illegal action": (row(PASS=1), "'PASS' is no legal action at 'Q:b'"),
    "wrong game": (lambda d: d.update(game="leduc"), "is for game 'leduc', not for game 'kuhn'"),
    "wrong rules": (lambda d: d.update(rules={"ante": 2}), "unknown rule 'ante' of game 'kuhn'"),
    "wrong schema": (lambda d: d.update(schema="sepo.scorecard/1"), "schema must be 'sepo.policy/1'"),
    "unknown key": (lambda d: d.update(tabel={}), "unknown key 'tabel'"),
    "line break in a name": (lambda d: d["table"].update({"Q:\nb": {"FOLD": 2}}), "probabilities sum to 2, not 1"),
    "legal mass of no state": (lambda d: d.update(legal_mass={}), "J:"),
    "legal mass that is text": (lambda d: d.update(legal_mass=dict.fromkeys(d["table"], "x")), "J:"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_table_with_a_fault(sepo: Program, nash: dict[str, Any], tmp_path: Path, fault: str):
    change, said = FAULTS[fault]
    change(nash)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(nash))
    refused(sepo("audit", f"table:{path}", "--game", "kuhn", "--json"), "bad.json", said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"schema": ', "is not JSON"),
        (b"[1]", "must hold a JSON object"),
        (b"\xff\xfe", "cannot read"),
        (b"[" * 100_000, "is not JSON"),
    ],
    ids=["cut off", "list", "not text", "too deep"],
)
def test_a_table_or_scorecard_that_holds_no_json_object(sepo: Program, tmp_path: Path, content: bytes, said: str):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    refused(sepo("audit", f"table:{path}", "--json"), "policy table", "bad.json", said)
    refused(sepo("compare", path, path, "--json"), "scorecard", "bad.json", said)


def test_a_file_that_is_no_scorecard(sepo: Program, nash_file: Path):
    refused(sepo("compare", nash_file, nash_file), "nash.json' is no scorecard", "'sepo.policy/1'")


def test_a_scorecard_with_a_damaged_figure(sepo: Program, tmp_path: Path):
    path = tmp_path / "card.json"
    part = {"rules": {}, "exploitability": {"value": "high"}}
    path.write_text(json.dumps({"schema": "sepo.scorecard/1", "policy": "p", "games": {"kuhn": part}}))
    refused(sepo("compare", path, path), "card.json")


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "script:nash", "--json"),
        ("elicit", "script:nash", "--game", "kuhn"),
        ("exploit", "script:nash", "--game", "kuhn"),
    ],
)
def test_an_output_that_cannot_be_written(sepo: Program, tmp_path: Path, arguments: tuple[str, ...]):
    (tmp_path / "file").write_text("in the way")  # a path below a file cannot be made, even by root
    refused(sepo(*arguments, "--out", tmp_path / "file" / "out.json"), "cannot write", "out.json")
    assert (tmp_path / "file").read_text() == "in the way"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "table:absent.json"),
        ("match", "table:absent.json", "uniform", "--game", "kuhn"),
        ("solve", "chess"),
        ("exploit", "table:absent.json", "--game", "kuhn"),
        ("elicit", "table:absent.json", "--game", "kuhn"),
        ("compare", "absent.json", "absent.json"),
        ("report", "absent.json"),
        ("report", "absent.json", "--markdown"),
        ("bench", "exploitability"),
    ],
)
def test_an_output_that_is_a_folder_is_refused_before_anything_is_done(
    sepo: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
):
    if arguments[0] == "bench":
        (tmp_path / "benchmarks").mkdir()
        (tmp_path / "benchmarks" / "__init__.py").write_text("BENCHMARKS = ['exploitability']\n")  # but no such module
        monkeypatch.chdir(tmp_path)
    refused(sepo(*arguments, "--out", tmp_path), "cannot write", "it is a folder; name a file")


def test_a_card_that_cannot_be_written_is_refused_before_anything_is_done(sepo: Program, tmp_path: Path):
    (tmp_path / "safety-card.md").mkdir()
    for out in (tmp_path, tmp_path / "safety-card.json"):
        refused(sepo("card", "table:absent.json", "--out", out), "cannot write", "safety-card.md': it is a folder")
    assert [p.name for p in tmp_path.iterdir()] == ["safety-card.md"]


def test_input_that_ends_before_a_person_has_answered(sepo: Program):
    done = sepo("audit", "human", "--game", "kuhn", "--json", input="check\n")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith("sepo: the input ended before information state")
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments", [("audit",), ("audit", "--no-such-option"), ("no_such_command",), ("elicit", "uniform")]
)
def test_wrong_usage_is_exit_code_2_without_a_traceback(sepo: Program, arguments: tuple[str, ...]):
    done = sepo(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "x" * 300),
        ("compare", "x" * 300, "x" * 300),
        ("data", "kuhn", "--out", "x" * 300),
        ("games", "new", "stag", "--out", "x" * 300),
        ("serve", "--run", "x" * 300),
        ("audit", f"hf:{'x' * 300}", "--game", "kuhn"),
    ],
)
def test_a_path_that_cannot_be_looked_at(sepo: Program, arguments: tuple[str, ...]):
    refused(sepo(*arguments))


def test_a_cache_folder_that_cannot_be_made(sepo: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "file" / "cache"))
    with served(Server(lambda body: Reply("bet", finished=True))) as server:
        done = sepo("audit", f"openai:nobody/knows@{server.url}", "--game", "kuhn", "--concurrency", 1)
    refused(done, "file/cache")


@pytest.mark.parametrize("budget", ["\u00b2", "9" * 5000, "0", "-1"])
def test_a_budget_that_is_no_number(sepo: Program, budget: str):
    refused(sepo("audit", "script:nash", "--game", "kuhn", "--budget", budget), "--budget must be")


@pytest.mark.parametrize("arguments", ["play kuhn uniform", "audit human --game kuhn"])
def test_a_program_without_an_input(arguments: str):
    code = "from sepo.cli.main import main; main()"
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "{code}" {arguments} <&-', sys.executable],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done
    assert "the input ended before" in done.stderr.splitlines()[-1]
