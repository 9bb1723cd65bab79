"""``sepo data`` as its user calls it: the same files for the same seed, and one line for what cannot be done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Finished
from tests.plugin.test_plugin import PACKAGE, install, program

Program = Callable[..., Finished]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_seed_gives_the_same_bytes_wherever_they_are_written(sepo: Program, tmp_path: Path):
    options = ("kuhn", "--style", "both", "--examples", 200)
    first, second, third = (tmp_path / name for name in ("first", "deep/second", "third"))
    done = sepo("data", *options, "--out", first)
    assert (done.code, done.out) == (0, "")
    assert sepo("data", *options, "--seed", 42, "--out", second).code == 0
    assert sepo("data", *options, "--seed", 43, "--out", third).code == 0
    names = {f"kuhn/{style}/{split}.jsonl" for style in ("direct", "reasoned") for split in ("train", "test")}
    assert set(files(first)) == {"README.md", *names}
    assert files(first) == files(second)
    assert all(files(first)[name] != files(third)[name] for name in names)
    assert "sepo data kuhn --out DIR --style both --seed 42 --examples 200" in (first / "README.md").read_text()
    alone = tmp_path / "alone"
    assert sepo("data", "kuhn", "--examples", 200, "--out", alone).code == 0
    assert files(alone)["kuhn/direct/train.jsonl"] == files(first)["kuhn/direct/train.jsonl"]


def test_all_games_and_their_rules(sepo: Program, tmp_path: Path):
    assert sepo("data", "all", "--style", "both", "--examples", 40, "--out", tmp_path / "all").code == 0
    games = {path.name for path in (tmp_path / "all").iterdir() if path.is_dir()}
    assert games == {"ipd", "auction", "split", "items", "kuhn", "commons"}
    assert sepo("data", "ipd", "--examples", 10, "--rule", "rounds=3", "--out", tmp_path / "short").code == 0
    rows = [json.loads(x) for x in (tmp_path / "short" / "ipd" / "direct" / "train.jsonl").read_text().splitlines()]
    assert {row["round"] for row in rows} == {1, 2, 3}
    assert "3 rounds" in rows[0]["prompt"][0]["content"]
    assert "rounds=3" in (tmp_path / "short" / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chess",), ("unknown game 'chess'",)),
        (("kuhn", "--style", "verbose"), ("unknown style 'verbose'", "direct, reasoned, both")),
        (("kuhn", "--examples", "0"), ("--examples",)),
        (("kuhn", "--rule", "rounds=2"), ("unknown rule 'rounds' of game 'kuhn'",)),
        (("all", "--rule", "rounds=2"), ("unknown rule 'rounds' of game 'kuhn'",)),
        (("openspiel:kuhn_poker", "--style", "reasoned"), ("game 'openspiel:kuhn_poker' has no reasons", "direct")),
    ],
)
def test_what_is_wrong_is_said_in_one_line(sepo: Program, tmp_path: Path, arguments: tuple, said: tuple[str, ...]):
    done = sepo("data", *arguments, "--out", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    for words in said:
        assert words in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused(sepo: Program, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    done = sepo("data", "kuhn", "--examples", 10, "--out", tmp_path)
    assert done.code == 2
    assert f"'{tmp_path}' is not empty" in done.err
    assert done.err.count("\n") == 1
    assert files(tmp_path) == {"mine.txt": b"mine"}


def test_a_plugin_is_shown_directly_and_not_with_reasons_that_nobody_wrote(tmp_path: Path):
    sepo = program(install(PACKAGE, tmp_path / "site"))
    assert sepo("data", "plugin_game", "--examples", 40, "--out", tmp_path / "out").code == 0
    text = (tmp_path / "out" / "plugin_game" / "direct" / "train.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert {row["completion"][0]["content"] for row in rows} == {"heads", "tails"}
    assert {row["seat"] for row in rows} == {0, 1}
    for game in ("plugin_game", "all"):
        done = sepo("data", game, "--style", "reasoned", "--out", tmp_path / "reasoned")
        assert done.code == 2
        assert done.err == (
            "sepo: game 'plugin_game' has no reasons for its demonstrator 'fair': only --style direct is possible\n"
        )
    assert not (tmp_path / "reasoned").exists()
