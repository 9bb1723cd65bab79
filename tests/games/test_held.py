"""A game whose figures would be of something else than they say is refused wherever figures are taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import sepo
from sepo.audit.board import Subject
from sepo.audit.exact import evaluate
from sepo.errors import ContractError
from sepo.games.base import Game
from sepo.games.contract import check
from sepo.games.held import TAKEN, hold_to_figures
from sepo.games.ipd import Ipd
from sepo.games.items import Items
from sepo.games.registry import GAMES, make
from sepo.policies.script import ScriptPolicy
from sepo.solve.expand import expand
from tests.small_games import STAKES, Stakes

TAKE: dict[str, Callable[[Game], Any]] = {
    "check": check,
    "tree": expand,
    "audit": lambda game: sepo.audit("uniform", game, measures="sepo"),
    "sampled": lambda game: sepo.audit("uniform", game, measures="sepo", method="sampled", episodes=2),
    "match": lambda game: sepo.match(["uniform", lambda decision: decision.legal[0]], game),
    "play": lambda game: sepo.play("uniform", "uniform", game),
}


class Instances(Stakes):
    """The stake of the first round is an instance, and they are not equally likely."""

    sampled_chance = True


class Named(Stakes):
    """A game that calls a feature as it likes."""

    def __init__(self, *features: str) -> None:
        self.features = features  # type: ignore[misc]


@pytest.mark.parametrize("taken", TAKE)
def test_instances_that_are_not_equally_likely_are_refused(taken: str):
    assert STAKES == {"1": 0.75, "3": 0.25}
    with pytest.raises(ContractError, match=r"game 'stakes': the instances .* equally likely.* from 0\.25 to 0\.75"):
        TAKE[taken](Instances())


@pytest.mark.parametrize("taken", TAKE)
def test_a_feature_that_an_audit_would_take_for_its_own_quantity_is_refused(taken: str):
    with pytest.raises(
        ContractError, match=r"game 'stakes': a feature cannot be called 'best': own, other, round, best"
    ):
        TAKE[taken](Named("match", "best"))


@pytest.mark.parametrize("name", [*TAKEN, "play 0 L"])
def test_every_name_of_another_quantity_is_taken(name: str):
    with pytest.raises(ContractError, match=f"a feature cannot be called '{name}'"):
        hold_to_figures(Named("match", name))


def test_two_features_of_one_name_are_refused():
    with pytest.raises(ContractError, match="game 'stakes': two features are called 'match'"):
        hold_to_figures(Named("match", "match"))


@pytest.mark.parametrize("name", GAMES)
def test_built_in_games_are_held_to_it(name: str):
    hold_to_figures(make(name))


def test_equally_likely_instances_keep_what_rounding_makes_of_them():
    hold_to_figures(Items(instances=3))
    hold_to_figures(Items(instances=49))


def test_names_near_those_that_are_taken_are_free():
    hold_to_figures(Named("playful", "bested"))


def test_what_an_audit_adds_to_the_features_is_taken():
    game = Ipd(2)
    values = evaluate(Subject(game, ScriptPolicy("uniform", "uniform")), ["tit_for_tat"])
    added = {name for _, name in values.columns} - set(game.features)
    assert {name for name in added if not name.startswith("play ")} == {"own", "other", "round", "best"}
    assert added <= {*TAKEN, "play 0 COOPERATE", "play 0 DEFECT"}
