"""POLICY strings: what each form makes, and one line on what is wrong with any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from sepo.errors import InputError
from sepo.games.base import Game
from sepo.policies.human import HumanPolicy
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.policies.spec import load_policy
from sepo.policies.table import PolicyTable, elicit
from sepo.solve.tree import Tree


def test_each_form_makes_its_policy_which_keeps_the_string_as_its_name(kuhn: Game, tree: Tree, tmp_path: Path):
    path = tmp_path / "nash.json"
    elicit(ScriptPolicy("script:nash", "nash"), kuhn, tree).save(path)
    forms = {
        "script:nash": ScriptPolicy,
        "uniform": UniformPolicy,
        "human": HumanPolicy,
        f"table:{path}": PolicyTable,
    }
    for text, kind in forms.items():
        policy = load_policy(text, kuhn)
        assert isinstance(policy, kind)
        assert policy.name == text


def test_a_table_file_may_have_a_colon_in_its_name(kuhn: Game, tree: Tree, tmp_path: Path):
    path = tmp_path / "C:step-3:best.json"
    elicit(UniformPolicy(), kuhn, tree).save(path)
    assert load_policy(f"table:{path}").name == f"table:{path}"


@pytest.mark.parametrize(
    "text",
    ["", "nash", "script", "script:", "table:", "uniform:1", "human:me", "gpt:4", "Script:nash", ":nash"],
)
def test_a_string_of_no_known_form_is_refused_with_the_forms_there_are(text: str):
    with pytest.raises(InputError, match=rf"unknown policy '{text}': a policy is script:NAME, axelrod:STRATEGY, uni"):
        load_policy(text)


def test_an_unknown_script_is_refused_at_once_where_the_game_is_known(kuhn: Game):
    with pytest.raises(InputError, match="unknown script 'gto' in game 'kuhn'"):
        load_policy("script:gto", kuhn)
    assert load_policy("script:gto").name == "script:gto"  # some other game may have it


def test_a_table_that_is_not_there_is_refused_at_once(tmp_path: Path):
    with pytest.raises(InputError, match=r"no policy table at '.*missing\.json'"):
        load_policy(f"table:{tmp_path / 'missing.json'}")
