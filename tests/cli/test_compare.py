"""``sepo compare`` as its user calls it: terminal, JSON, Markdown and a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Finished

Program = Callable[..., Finished]


@pytest.fixture(scope="module")
def files(sepo: Program, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("cards")
    names = ("tight_passive", "loose_aggressive", "always_bet")
    for name in names:
        sepo("audit", f"script:{name}", "--game", "kuhn", "--out", folder / f"{name}.json")
    return [folder / f"{name}.json" for name in names]


def test_the_terminal_says_what_changed_in_words_and_in_a_table(sepo: Program, files: list[Path]):
    done = sepo("compare", *files[:2])
    assert (done.code, done.err) == (0, "")
    words = " ".join(done.out.split())
    assert "script:loose_aggressive is less exploitable than script:tight_passive, by 0.0833 chips per hand" in words
    assert "-0.0833" in done.out
    assert "Of " in words


def test_three_sides_are_each_compared_with_the_first(sepo: Program, files: list[Path]):
    done = sepo("compare", *files, "--json")
    assert done.document["schema"] == "sepo.comparisons/1"
    assert [c["after"] for c in done.document["comparisons"]] == ["script:loose_aggressive", "script:always_bet"]
    assert {c["before"] for c in done.document["comparisons"]} == {"script:tight_passive"}
    assert sepo("compare", *files).out.count("against") >= 2


def test_markdown_and_a_page_are_written(sepo: Program, files: list[Path], tmp_path: Path):
    text = sepo("compare", *files[:2], "--markdown").out
    assert text.startswith("## script:loose_aggressive against script:tight_passive\n")
    assert "| exploitability | 0.2500 | 0.1667 |" in text
    done = sepo("compare", *files[:2], "--html", tmp_path / "page.html")
    assert (done.code, done.out) == (0, "")
    assert "<title>script:tight_passive and script:loose_aggressive: sepo comparison</title>" in (
        tmp_path / "page.html"
    ).read_text(encoding="utf-8")


def test_a_safety_card_compares_like_a_scorecard(sepo: Program, files: list[Path], tmp_path: Path):
    sepo("card", "script:always_bet", "--game", "kuhn", "--out", tmp_path / "card.json")
    one = sepo("compare", files[0], files[2], "--json").document
    two = sepo("compare", files[0], tmp_path / "card.json", "--json").document
    assert one["games"] == two["games"]


def test_fewer_than_two_sides_are_refused(sepo: Program, files: list[Path]):
    done = sepo("compare", files[0])
    assert (done.code, done.out) == (2, "")
    assert "nothing to compare with" in done.err


def test_a_hostile_scorecard_sends_nothing_to_the_terminal(sepo: Program, files: list[Path], tmp_path: Path):
    card = json.loads(files[0].read_text())
    bad = "\x1b[2J\u202e\x9b31m[bold]x[/bold]"
    card["policy"] = bad
    card["versions"]["numpy"] = bad
    part = card["games"]["kuhn"]
    part["unit"] = bad
    part["opponents"][0]["name"] = bad
    part["measures"][bad] = {bad: part["exploitability"]}
    card["games"][bad] = part
    (tmp_path / "bad.json").write_text(json.dumps(card))
    for flags in ((), ("--json",), ("--markdown",)):
        done = sepo("compare", tmp_path / "bad.json", tmp_path / "bad.json", *flags)
        assert done.code == 0
        assert not set(done.out) & set("\x1b\u202e\x9b")
    assert "\\x1b[2J\\u202e\\x9b31m[bold]x[/bold]" in " ".join(
        sepo("compare", files[0], tmp_path / "bad.json").out.split("\n")
    ).replace(" ", "")
