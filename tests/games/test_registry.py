"""Names, rules and presets: which game they make, that it is made once, and what is refused."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from sepo.errors import InputError
from sepo.games import registry
from sepo.games.base import Game
from sepo.games.ipd import Ipd
from sepo.games.kuhn import Kuhn
from sepo.games.registry import GAMES, faults, games, make, names


class Preset(Ipd):
    """The dilemma with rules by the name of a set of measures."""

    name = "preset"
    presets = {"paper": {"rounds": 4}, "sepo": {"rounds": 6}}  # noqa: RUF012


class Strict(Ipd):
    """A game whose constructor meets a wrong value with an error of Python's."""

    name = "strict"

    def __init__(self, rounds: int = 3) -> None:
        super().__init__(rounds + 0)


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the games above to the built-in ones, for one test."""
    monkeypatch.setattr(registry, "GAMES", {**GAMES, "preset": Preset, "strict": Strict})


def test_every_built_in_game_is_made_by_its_name_and_has_its_own_name():
    for name in GAMES:
        assert type(make(name)) is GAMES[name]
        assert make(name).name == name
    assert set(games()) >= set(GAMES)
    assert set(names()) >= set(GAMES)
    assert faults() == ()


def test_equal_rules_are_one_object_however_they_were_given():
    assert make("ipd") is make("ipd", {"rounds": 8}) is make("ipd", {}) is make("ipd", preset="paper")
    assert make("ipd", {"rounds": 3}) is make("ipd", {"rounds": 3})
    assert make("ipd", {"rounds": 3}) is not make("ipd", {"rounds": 4})
    assert make("preset", preset="paper") is make("preset", {"rounds": 4})


@pytest.mark.parametrize(
    ("rules", "preset", "rounds"),
    [
        (None, None, 8),
        (None, "paper", 4),
        (None, "sepo", 6),
        ({"rounds": 2}, "paper", 2),
        ({"rounds": 2}, None, 2),
    ],
)
def test_given_rules_stand_over_those_of_the_preset_and_these_over_the_defaults(rules, preset, rounds):
    assert make("preset", rules, preset).rules == {"rounds": rounds}


def test_a_game_without_presets_has_one_set_of_rules_under_both_names():
    assert make("kuhn", preset="paper") is make("kuhn", preset="sepo") is make("kuhn")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("kuhn", None, "mine"), "unknown preset 'mine' of game 'kuhn': its one set of rules is paper and sepo"),
        (("preset", None, "mine"), "unknown preset 'mine' of game 'preset': it has paper, sepo"),
        (("preset", {"stakes": 2}, "paper"), "unknown rule 'stakes' of game 'preset': its rules are rounds"),
        (("kuhn", {"ante": 2}), "unknown rule 'ante' of game 'kuhn': its rules are none"),
        (("strict", {"rounds": "3"}), "game 'strict' cannot be made with rounds='3': TypeError"),
        (("khun",), r"unknown game 'khun' \(did you mean 'kuhn'\?\): the games are auction, commons, ipd"),
        (("KUHN",), r"did you mean 'kuhn'\?"),
        (("chess",), r"unknown game 'chess': the games are auction, commons, ipd, items, kuhn.* and openspiel:NAME"),
        (("",), "unknown game ''"),
    ],
)
def test_what_is_unknown_is_refused_in_one_line_that_says_what_there_is(arguments, said):
    with pytest.raises(InputError, match=said) as caught:
        make(*arguments)
    assert "\n" not in str(caught.value)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a loader in place of OpenSpiel's; return the names it is asked for."""
    found: list[str] = []

    class Spiel(Kuhn):
        def __init__(self, name: str) -> None:
            self.name = f"openspiel:{name}"  # type: ignore[misc]

        @property
        def rules(self):
            return {"players": 2}

    def load(name: str) -> Game:
        found.append(name)
        if name == "go":
            raise InputError("'go' is too large")
        return Spiel(name)

    module = ModuleType("sepo.games.openspiel")
    module.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sepo.games.openspiel", module)
    registry._openspiel.cache_clear()
    yield found
    registry._openspiel.cache_clear()


def test_openspiel_games_are_loaded_once_by_the_name_after_the_colon(asked: list[str]):
    game = make("openspiel:leduc_poker")
    assert game.name == "openspiel:leduc_poker"
    assert make("openspiel:leduc_poker", {}, "paper") is make("openspiel:leduc_poker", {"players": 2}) is game
    make("openspiel:kuhn_poker(players=2)")
    assert asked == ["leduc_poker", "kuhn_poker(players=2)"]


def test_what_an_openspiel_game_does_not_offer_is_refused(asked: list[str]):
    for arguments, said in (
        (("openspiel:leduc_poker", {"players": 3}), "rule 'players' of game 'openspiel:leduc_poker' is 2, not 3"),
        (("openspiel:leduc_poker", {"ante": 3}), "unknown rule 'ante'"),
        (("openspiel:leduc_poker", None, "mine"), "unknown preset 'mine'"),
        (("openspiel:go",), "'go' is too large"),
    ):
        with pytest.raises(InputError, match=said):
            make(*arguments)
