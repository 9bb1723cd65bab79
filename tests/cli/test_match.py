"""``sepo match``, as its user calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Finished

Program = Callable[..., Finished]


def test_a_match_is_one_document_or_two_tables(sepo: Program, tmp_path: Path):
    players = ("script:nash", "script:tight_passive", "uniform")
    done = sepo("match", *players, "--game", "kuhn", "--json", "--out", tmp_path / "match.json")
    assert done.code == 0, done.err
    document = done.document
    assert document["schema"] == "sepo.match/1"
    assert document["policies"] == list(players)
    assert document["payoffs"][0][2]["value"] == pytest.approx(1 / 6)
    assert (tmp_path / "match.json").read_text().strip() == done.out.strip()
    shown = sepo("match", *players, "--game", "kuhn")
    assert "kuhn (chips per hand, exact): what the row earns" in shown.out
    assert "weight there" in shown.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("script:nash",), "at least two policies"),
        (("script:nash", "script:gto"), "gto"),
        (("script:nash", "human"), "a person plays one game at a time"),
        (("script:nash", "uniform", "--method", "guess"), "unknown method 'guess'"),
        (("script:nash", "uniform", "--rule", "rounds=3"), "rounds"),
    ],
)
def test_bad_input_is_one_line(sepo: Program, arguments: tuple[str, ...], said: str):
    done = sepo("match", *arguments, "--game", "kuhn")
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
