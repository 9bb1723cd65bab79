"""``sepo gate`` stops a regression, lets noise pass, and never passes what is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from sepo.audit.gate import gate
from sepo.errors import InputError
from tests.conftest import Finished

Program = Callable[..., Finished]


@pytest.fixture(scope="module")
def cards(sepo: Program, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return scorecards of an equilibrium and of an exploitable policy."""
    folder = tmp_path_factory.mktemp("cards")
    for name in ("nash", "loose_aggressive"):
        sepo("audit", f"script:{name}", "--game", "kuhn", "--out", folder / f"{name}.json")
    return {name: folder / f"{name}.json" for name in ("nash", "loose_aggressive")}


def changed(path: Path, folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    document = json.loads(path.read_text())
    change(document["games"]["kuhn"])
    out = folder / f"changed-{path.name}"
    out.write_text(json.dumps(document))
    return out


def test_a_regression_fails_with_a_line_for_each_figure(sepo: Program, cards: dict[str, Path]):
    done = sepo("gate", cards["loose_aggressive"], "--against", cards["nash"])
    assert done.code == 1
    lines = done.out.splitlines()
    assert all(line.startswith("failed: kuhn ") for line in lines)
    assert "failed: kuhn exploitability 0.1667 is worse than 0.0000 of the base" in lines
    back = sepo("gate", cards["nash"], "--against", cards["loose_aggressive"], "--json")
    failed = [c["figure"] for c in back.document["checks"] if not c["passed"]]
    assert (back.code, failed) == (1, ["paper.c", "paper.x", "held_out"])


def test_nothing_is_worse_than_itself(sepo: Program, cards: dict[str, Path]):
    done = sepo("gate", cards["nash"], "--against", cards["nash"])
    assert (done.code, done.out) == (0, "passed: 13 checks\n")


@pytest.mark.parametrize(("half", "code"), [(0.2, 0), (0.01, 1)])
def test_only_what_lies_outside_the_intervals_is_worse(
    sepo: Program, cards: dict[str, Path], tmp_path: Path, half: float, code: int
):
    def worse(part: dict[str, Any]) -> None:
        value = part["exploitability"]["value"] + 0.1
        part["exploitability"] = {"value": value, "low": value - half, "high": value + half, "n": 100}

    now = changed(cards["nash"], tmp_path, worse)
    assert sepo("gate", now, "--against", cards["nash"]).code == code


@pytest.mark.parametrize(
    ("figure", "bounds", "code"),
    [
        ({"value": 0.05, "low": 0.01, "high": 0.09}, ("--max", "exploitability=0.1"), 0),
        ({"value": 0.05, "low": 0.01, "high": 0.11}, ("--max", "exploitability=0.1"), 1),
        ({"value": 0.05, "low": 0.01, "high": 0.1}, ("--max", "kuhn.exploitability=0.1"), 0),
        ({"value": 0.05, "low": 0.01, "high": None}, ("--max", "exploitability=0.1"), 1),
        ({"value": 0.05, "low": 0.01, "high": 0.09}, ("--min", "exploitability=0.02"), 1),
        ({"value": 0.05, "low": 0.03, "high": None}, ("--min", "exploitability=0.02"), 0),
        ({"value": 0.05, "low": 0.03, "high": 0.09}, ("--max", "exploitability=0.1", "--min", "sepo.J=9"), 1),
    ],
)
def test_the_end_of_the_interval_decides_a_bound(
    sepo: Program, cards: dict[str, Path], tmp_path: Path, figure: dict, bounds: tuple[str, ...], code: int
):
    now = changed(cards["nash"], tmp_path, lambda part: part.update(exploitability=figure | {"n": 100}))
    done = sepo("gate", now, *bounds)
    assert done.code == code
    assert done.out.startswith("passed:" if code == 0 else "failed: kuhn ")


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        (lambda part: part.pop("exploitability"), ("--max", "exploitability=1"), "no figure 'exploitability'"),
        (lambda part: part.update(exploitability=None), ("--max", "exploitability=1"), "no figure 'exploitability'"),
        (lambda part: part, ("--max", "exploitabilty=1"), "no figure 'exploitabilty': it has paper.u"),
        (lambda part: part, ("--max", "kuhn.welfare=1"), "no figure 'welfare'"),
        (lambda part: part, ("--max", "exploitability"), "NAME=VALUE"),
        (lambda part: part, ("--max", "exploitability=nan"), "NAME=VALUE"),
        (lambda part: part, ("--max", "exploitability=1", "--game", "ipd"), "no game 'ipd'"),
        (lambda part: part, (), "nothing to check"),
        (lambda part: part["exploitability"].update(value=float("nan")), ("--max", "exploitability=1"), "lacks a"),
        (lambda part: part["exploitability"].update(low=9.0), ("--max", "exploitability=1"), "wrong way round"),
        (
            lambda part: part["exploitability"].update(low=None, high="0.01"),
            ("--max", "exploitability=1"),
            "lacks a number",
        ),
    ],
)
def test_what_is_missing_or_malformed_is_exit_code_two(
    sepo: Program, cards: dict[str, Path], tmp_path: Path, change: Callable, arguments: tuple[str, ...], said: str
):
    done = sepo("gate", changed(cards["nash"], tmp_path, change), *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_figure_that_the_base_has_must_be_there(sepo: Program, cards: dict[str, Path], tmp_path: Path):
    lacking = changed(cards["nash"], tmp_path, lambda part: part.update(security_gap=None))
    done = sepo("gate", lacking, "--against", cards["nash"])
    assert done.code == 2
    assert "no figure 'security_gap', which the base has" in done.err
    assert sepo("gate", cards["nash"], "--against", lacking).code == 0


def test_what_happened_in_no_cluster_is_not_shown_to_stay_within_a_bound(sepo: Program, tmp_path: Path):
    """A defection in one of a hundred rounds is not met in forty clusters, and is worth twice the bound."""
    table = tmp_path / "rare.json"
    rows = {k: {"COOPERATE": 0.99, "DEFECT": 0.01} for k in ("", "CC", "DC")}
    rows |= {k: {"COOPERATE": 0.01, "DEFECT": 0.99} for k in ("CD", "DD")}
    document = {"schema": "sepo.policy/1", "game": "ipd", "rules": {"rounds": 2}, "table": rows}
    table.write_text(json.dumps(document))
    card, exact = tmp_path / "card.json", tmp_path / "exact.json"
    asked = ("audit", f"table:{table}", "--game", "ipd", "--rule", "rounds=2", "--measures", "sepo", "--no-adversaries")
    sampled = ("--method", "sampled", "--no-control", "--episodes", 40)
    sepo(*asked, *sampled, "--out", card)
    document = json.loads(card.read_text())
    found = document["games"]["ipd"]["measures"]["sepo"]
    assert found["c"] == {"value": 0, "low": 0, "high": pytest.approx(1 - 0.025 ** (1 / 40)), "n": 40}
    done = sepo("gate", card, "--max", "sepo.c=0.005")
    assert (done.code, done.out) == (
        1,
        "failed: ipd sepo.c 0.0000 [0.0000, 0.0881] is above max 0.005 (its high end decides)\n",
    )
    found["e"] |= {"low": 0.0, "high": None}
    card.write_text(json.dumps(document))
    assert "its high end is not known" in sepo("gate", card, "--max", "sepo.e=0.2").out
    sepo(*asked, "--out", exact)
    worse = sepo("gate", card, "--against", exact)
    assert (worse.code, worse.out) == (2, "")
    assert "'sepo.e' of which an end is not known" in worse.err
    assert sepo("gate", exact, "--max", "sepo.c=0.0100001").code == 0


def test_intervals_of_few_clusters_say_so(sepo: Program, tmp_path: Path):
    asked = (
        "audit",
        "uniform",
        "--game",
        "kuhn",
        "--method",
        "sampled",
        "--no-control",
        "--out",
        tmp_path / "card.json",
        "--episodes",
    )
    said = "uniform: intervals of fewer than 10 clusters (9 in kuhn) hold less often than 19 times in 20"
    assert said in " ".join(sepo(*asked, 9).out.split())
    assert said in sepo("gate", tmp_path / "card.json", "--max", "sepo.u=9").err
    assert "clusters" not in sepo(*asked, 10).out


def test_other_rules_or_weights_compare_with_nothing(sepo: Program, cards: dict[str, Path], tmp_path: Path):
    for key, said in (("rules", "other rules"), ("weights", "other weights")):
        other = changed(cards["nash"], tmp_path, lambda part, key=key: part.update({key: {"a": 1}}))
        done = sepo("gate", cards["nash"], "--against", other)
        assert done.code == 2
        assert said in done.err


def test_a_base_without_figures_is_no_gate_that_was_passed(sepo: Program, cards: dict[str, Path], tmp_path: Path):
    def emptied(part: dict[str, Any]) -> None:
        for key in [key for key in part if key not in ("rules", "rules_by_measures", "weights")]:
            del part[key]

    done = sepo("gate", cards["nash"], "--against", changed(cards["nash"], tmp_path, emptied))
    assert done.code == 2
    assert "game 'kuhn' of the base has no figure that can get worse" in done.err


def test_a_file_without_games_is_no_scorecard(sepo: Program, cards: dict[str, Path], tmp_path: Path):
    file = tmp_path / "none.json"
    file.write_text(json.dumps(json.loads(cards["nash"].read_text()) | {"games": []}))
    done = sepo("gate", file, "--against", cards["nash"])
    assert done.code == 2
    assert f"'{file}' is no scorecard: 'games' must hold an object" in done.err


def test_a_scorecard_without_a_game_passes_no_gate(sepo: Program, cards: dict[str, Path], tmp_path: Path):
    file = tmp_path / "empty.json"
    file.write_text(json.dumps(json.loads(cards["nash"].read_text()) | {"games": {}}))
    for arguments in (
        ("gate", file, "--max", "exploitability=0.1"),
        ("gate", cards["nash"], "--against", file),
        ("gate", cards["nash"], "--against", file, "--max", "kuhn.exploitability=9"),
        ("compare", file, cards["nash"]),
        ("report", file),
    ):
        done = sepo(*arguments)
        assert (done.code, done.out, done.err) == (2, "", f"sepo: scorecard '{file}' has no game\n")
    with pytest.raises(InputError, match="the base has no game"):
        gate(json.loads(cards["nash"].read_text()), json.loads(file.read_text()))


def test_only_the_games_asked_for_are_checked(sepo: Program, tmp_path: Path):
    paths = []
    for name, games in (("base", ("kuhn", "ipd")), ("now", ("kuhn",))):
        paths.append(tmp_path / f"{name}.json")
        flags = [flag for game in games for flag in ("--game", game)]
        sepo("card", "uniform", *flags, "--out", paths[-1])
    done = sepo("gate", paths[1], "--against", paths[0])
    assert (done.code, "no game 'ipd'" in done.err) == (2, True)
    assert sepo("gate", paths[1], "--against", paths[0], "--game", "kuhn").code == 0


def test_hostile_names_send_nothing_to_the_terminal(sepo: Program, cards: dict[str, Path], tmp_path: Path):
    def hostile(part: dict[str, Any]) -> None:
        part["measures"]["\x1b[31m\u202e"] = {"J": deepcopy(part["exploitability"]) | {"high": 9.0}}

    path = changed(cards["nash"], tmp_path, hostile)
    done = sepo("gate", path, "--max", "\x1b[31m\u202e.J=1")
    assert done.code == 1
    assert "\\x1b[31m\\u202e.J" in done.out
    assert not set(done.out) & set("\x1b\u202e")
