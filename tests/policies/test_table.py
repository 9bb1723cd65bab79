"""Policy table files: a round trip keeps every digit, and each fault is named with its place."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepo.audit.fingerprint import fingerprint
from sepo.audit.methods import Options
from sepo.audit.scorecard import audit_table, scorecard
from sepo.errors import InputError
from sepo.games.base import Game
from sepo.games.registry import make
from sepo.policies.base import strategy
from sepo.policies.script import ScriptPolicy
from sepo.policies.table import PolicyTable, check_keys, elicit, in_part, load_table, noted, tabulate
from sepo.solve.expand import expand
from sepo.solve.tree import Tree
from tests.brute import random_strategy
from tests.hidden import Hidden
from tests.kuhn_policies import KEYS, betting

KUHN = make("kuhn")


@pytest.fixture
def nash(kuhn: Game, tree: Tree) -> dict[str, Any]:
    """Return the document of a faultless table."""
    return elicit(ScriptPolicy("script:nash", "nash"), kuhn, tree).document()


def read(document: Any, folder: Path) -> PolicyTable:
    """Write a document as it is, and load it."""
    path = folder / "policy.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return load_table(path)


def answers(table: PolicyTable, tree: Tree) -> list[list[float]]:
    return [p.tolist() for p in table.probabilities([i.decision for i in tree.infosets])]


def test_a_written_table_is_read_back_to_the_last_digit(kuhn: Game, tree: Tree, tmp_path: Path):
    path = tmp_path / "deep" / "policy.json"
    table = tabulate(
        kuhn,
        tree,
        random_strategy(tree, 1),
        name="mine",
        default="uniform",
        mass={i.key: 0.25 for i in tree.infosets},
        notes={"dtype": "float32"},
    )
    table.save(path)
    assert load_table(path, name="mine") == table
    assert load_table(path).name == f"table:{path}"


@settings(deadline=None, max_examples=40)
@given(p=st.lists(st.floats(0, 1), min_size=12, max_size=12))
def test_any_strategy_survives_the_way_through_a_table(p: list[float]):
    tree = expand(KUHN)
    want = betting(tree, dict(zip(KEYS, p, strict=True)))
    table = tabulate(KUHN, tree, want, name="any")
    through = PolicyTable("any", "kuhn", {}, json.loads(json.dumps(table.document()))["table"])
    np.testing.assert_allclose(strategy(through, tree), want, atol=1e-15)


def test_the_document_is_the_published_format(nash: dict[str, Any]):
    assert list(nash) == ["schema", "game", "rules", "table"]
    assert (nash["schema"], nash["game"], nash["rules"]) == ("sepo.policy/1", "kuhn", {})
    assert nash["table"]["Q:b"] == pytest.approx({"FOLD": 2 / 3, "CALL": 1 / 3})


def test_eliciting_a_script_gives_its_strategy(kuhn: Game, tree: Tree):
    for name in kuhn.opponents:
        policy = ScriptPolicy(f"script:{name}", name)
        np.testing.assert_allclose(strategy(elicit(policy, kuhn, tree), tree), strategy(policy, tree), atol=1e-15)


def test_eliciting_a_table_gives_the_table_with_its_notes_and_mass(kuhn: Game, tree: Tree):
    table = tabulate(kuhn, tree, random_strategy(tree, 2), "t", mass=dict.fromkeys(KEYS, 0.5), notes={"a": 1})
    again = elicit(table, kuhn, tree)
    assert (again.mass, again.notes) == (table.mass, table.notes)
    np.testing.assert_allclose(strategy(again, tree), strategy(table, tree), atol=1e-15)


def test_a_table_with_a_default_is_elicited_and_audited_with_the_mass_of_a_part(kuhn: Game, tree: Tree):
    whole = tabulate(kuhn, tree, random_strategy(tree, 2), "t")
    rows = {key: whole.table[key] for key in KEYS[:3]}
    part = replace(whole, table=rows, default="uniform", mass=dict.fromkeys(rows, 0.5), notes={"asked": 3})
    again = elicit(part, kuhn, tree)
    assert (again.default, again.mass, again.notes) == ("uniform", part.mass, part.notes)
    found = [audit_table(table, kuhn, adversaries=False) for table in (part, again)]
    assert found[0] == found[1]
    assert found[0]["legal_mass"]["value"] == 0.5
    scorecard(part, [kuhn], Options(adversaries=False))
    with pytest.raises(InputError, match="lacks the legal mass of information state 'Q:'"):
        elicit(replace(whole, mass=part.mass), kuhn, tree)


@pytest.mark.parametrize("rounds", [2, 6])
def test_a_mass_that_is_lacking_is_refused_in_games_of_any_size(rounds: int):
    game = make("auction", {"rounds": rounds})
    table = PolicyTable("t", game.name, game.rules, {"": {"0": 1.0}}, mass={})
    with pytest.raises(InputError, match="lacks the legal mass"):
        scorecard(table, [game])


def test_notes_say_how_much_of_a_game_is_known():
    assert in_part(noted({"a": 1}, 20, 5461)) == "20 of 5,461 information states"
    assert in_part(noted({}, 1234, None)) == "1,234 information states"
    assert in_part({"asked": "much", "reachable": 3}) == in_part({"asked": 2, "reachable": "x"}) == in_part({}) == ""


def test_eliciting_a_model_gives_the_mass_of_the_games_own_states(kuhn: Game, tree: Tree):
    model, other = Hidden(1, mass=0.5), make("ipd", {"rounds": 2})
    elicit(model, kuhn, tree)
    there = expand(other)
    table = elicit(model, other, there)
    assert set(table.mass or {}) == set(table.table) == {d.key for d in there.questions}
    check_keys(table, other, {d.key: d for d in there.questions})


def test_actions_left_out_have_probability_zero(nash: dict[str, Any], tree: Tree, tmp_path: Path):
    short = deepcopy(nash)
    assert short["table"]["Q:p"].pop("BET") == 0
    assert answers(read(short, tmp_path), tree) == answers(read(nash, tmp_path), tree)


def test_the_order_of_states_and_actions_in_the_file_means_nothing(nash: dict[str, Any], tree: Tree, tmp_path: Path):
    turned = nash | {"table": {key: dict([*row.items()][::-1]) for key, row in [*nash["table"].items()][::-1]}}
    assert list(turned["table"]) != list(nash["table"])
    assert answers(read(turned, tmp_path), tree) == answers(read(nash, tmp_path), tree)


def test_a_missing_state_is_an_error_that_names_it(nash: dict[str, Any], tree: Tree, tmp_path: Path):
    del nash["table"]["Q:pb"]
    with pytest.raises(InputError, match=r"lacks information state 'Q:pb'.*\"default\": \"uniform\""):
        answers(read(nash, tmp_path), tree)


def test_a_missing_state_is_played_uniformly_where_that_is_the_default(
    nash: dict[str, Any], tree: Tree, tmp_path: Path
):
    whole = answers(read(nash, tmp_path), tree)
    del nash["table"]["Q:pb"]
    got = answers(read(nash | {"default": "uniform"}, tmp_path), tree)
    differing = [i.key for i, a, b in zip(tree.infosets, got, whole, strict=True) if a != b]
    assert differing == ["Q:pb"]
    assert got[tree.index[0, "Q:pb"]] == [0.5, 0.5]


def test_a_state_that_the_game_does_not_have_is_an_error_that_names_it(
    nash: dict[str, Any], tree: Tree, kuhn: Game, tmp_path: Path
):
    """A misspelt key must not fall back to the default in silence."""
    nash["table"]["Q:bp"] = nash["table"].pop("Q:pb")
    with pytest.raises(InputError, match="'Q:bp'"):
        elicit(read(nash | {"default": "uniform"}, tmp_path), kuhn, tree)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"FOLD": 1.5, "CALL": -0.5}, r"'CALL' is negative \(-0\.5\)"),
        ({"FOLD": float("nan"), "CALL": 1.0}, "'FOLD' must be a finite number, not nan"),
        ({"FOLD": float("inf"), "CALL": 0.0}, "'FOLD' must be a finite number"),
        ({"FOLD": 10**400, "CALL": 0.0}, "'FOLD' must be a finite number"),
        ({"FOLD": "0.5", "CALL": 0.5}, "'FOLD' must be a finite number, not '0.5'"),
        ({"FOLD": True, "CALL": 0.0}, "'FOLD' must be a finite number, not True"),
        ({"FOLD": None, "CALL": 1.0}, "'FOLD' must be a finite number, not None"),
        ({"FOLD": 0.5, "CALL": 0.4}, r"sum to 0\.9, not 1"),
        ({"FOLD": 0.5, "CALL": 0.500002}, r"sum to 1\.000002, not 1"),
        ({}, "must map actions to probabilities"),
        ([0.5, 0.5], "must map actions to probabilities"),
    ],
)
def test_a_row_that_is_no_distribution_is_an_error_that_names_file_state_and_fault(
    nash: dict[str, Any], tmp_path: Path, row: Any, said: str
):
    nash["table"]["Q:b"] = row
    with pytest.raises(InputError, match=rf"'.*policy\.json' at information state 'Q:b'.*{said}"):
        read(nash, tmp_path)


def test_a_sum_within_a_millionth_of_one_is_accepted(nash: dict[str, Any], tree: Tree, tmp_path: Path):
    nash["table"]["Q:b"] = {"FOLD": 0.5, "CALL": 0.5000005}
    assert strategy(read(nash, tmp_path), tree).sum() == pytest.approx(12, abs=1e-12)


def test_an_illegal_action_is_an_error_that_names_it_and_the_legal_ones(
    nash: dict[str, Any], tree: Tree, tmp_path: Path
):
    nash["table"]["Q:b"] = {"PASS": 1.0}
    with pytest.raises(InputError, match="'PASS' is no legal action at 'Q:b'; legal are FOLD, CALL"):
        answers(read(nash, tmp_path), tree)


def test_a_table_for_another_game_is_refused_naming_both(nash: dict[str, Any], tree: Tree, tmp_path: Path):
    with pytest.raises(InputError, match="is for game 'leduc', not for game 'kuhn'"):
        answers(read(nash | {"game": "leduc"}, tmp_path), tree)


def test_a_table_for_other_rules_is_refused_naming_both(nash: dict[str, Any], tree: Tree, tmp_path: Path):
    with pytest.raises(InputError, match="is for game 'kuhn' with ante=2, not for game 'kuhn'"):
        answers(read(nash | {"rules": {"ante": 2}}, tmp_path), tree)


@pytest.mark.parametrize("stated", [None, {}, {"rounds": 3}])
def test_rules_that_a_table_does_not_state_are_the_games_defaults(stated: dict[str, int] | None, tmp_path: Path):
    game = make("commons", stated)
    document = {"schema": "sepo.policy/1", "game": "commons", "default": "uniform", "table": {"": {"LOW": 1}}}
    short = read(document | ({} if stated is None else {"rules": stated}), tmp_path)
    full = read(document | {"rules": dict(game.rules)}, tmp_path)
    assert short == full
    assert fingerprint(short, "table:x") == fingerprint(full, "table:x")
    first = game.decision(game.root())
    assert short.probabilities([first])[0] == pytest.approx([1, 0, 0])
    other = make("commons", {"rounds": 5})
    asked = other.decision(other.root())
    with pytest.raises(InputError, match=f"is for game 'commons' with rounds={game.rounds}, .*, not for .* rounds=5"):
        short.probabilities([asked])


def test_rules_stay_as_they_are_written_where_the_game_adds_none(tmp_path: Path):
    table = {"schema": "sepo.policy/1", "game": "ipd", "rules": {"rounds": 8.0}, "table": {"": {"COOPERATE": 1}}}
    for document in (table, table | {"rules": {"hands": 3}}, table | {"game": "elsewhere", "rules": {"rounds": 2}}):
        assert json.dumps(read(document, tmp_path).document()["rules"]) == json.dumps(document["rules"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "sepo.policy/2"}, r"schema must be 'sepo\.policy/1', not 'sepo\.policy/2'"),
        ({"schema": None}, "schema must be"),
        ({"tabel": {}}, "unknown key 'tabel'; known are"),
        ({"game": 3}, "'game' must name a game"),
        ({"default": "pass"}, "'default' can only be 'uniform'"),
        ({"default": ["uniform"]}, "'default' can only be 'uniform'"),
        ({"rules": []}, "'rules' must be an object"),
        ({"rules": None}, "'rules' must be an object"),
        ({"about": "mine"}, "'about' must be an object"),
        ({"legal_mass": 0.9}, "'legal_mass' must be an object"),
        ({"table": {}}, "'table' must map information states"),
        ({"table": [1]}, "'table' must map information states"),
    ],
)
def test_a_wrong_document_is_an_error_that_names_file_and_fault(
    nash: dict[str, Any], tmp_path: Path, change: dict[str, Any], said: str
):
    with pytest.raises(InputError, match=rf"policy table '.*policy\.json'.*{said}"):
        read(nash | change, tmp_path)


@pytest.mark.parametrize("mass", [{"J:": "much"}, {"J:": -0.1}, {"J:": 1.5}, {"J:": float("nan")}, {"J:": None}])
def test_a_legal_mass_that_is_no_probability_is_an_error_that_names_file_and_state(
    nash: dict[str, Any], tmp_path: Path, mass: dict[str, Any]
):
    with pytest.raises(InputError, match=r"policy\.json'.*'J:'.*legal.mass|policy\.json'.*legal.mass.*'J:'"):
        read(nash | {"legal_mass": mass}, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"schema": "sepo.policy/1", ', "is not JSON: .* line 1"),
        ("", "is not JSON"),
        ("[1, 2]", "must hold a JSON object, not list"),
        ('"nash"', "must hold a JSON object, not str"),
        ("[" * 100_000, "is not JSON"),
        ('{"game": ' + "1" * 5000 + "}", "is not JSON|schema must be"),
    ],
    ids=["cut off", "empty", "list", "string", "too deep", "huge number"],
)
def test_a_file_that_holds_no_json_object_is_an_error_that_names_it(tmp_path: Path, text: str, said: str):
    with pytest.raises(InputError, match=rf"policy table '.*policy\.json'.*({said})"):
        read(text, tmp_path)


def test_a_file_that_is_not_there_or_not_text_is_an_error_that_names_it(tmp_path: Path):
    with pytest.raises(InputError, match=r"no policy table at '.*absent\.json'"):
        load_table(tmp_path / "absent.json")
    with pytest.raises(InputError, match=r"cannot read policy table"):
        load_table(tmp_path)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"cannot read policy table '.*binary\.json'"):
        load_table(tmp_path / "binary.json")
