"""Games of OpenSpiel played here: values and exploitability against OpenSpiel's own, and the contract of a game."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from sepo.audit.measures import scripted, values
from sepo.errors import InputError
from sepo.games.openspiel import Position, load
from sepo.games.registry import make
from sepo.solve.expand import expand
from sepo.solve.response import best_response, exploitability
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import expected
from tests.brute import random_strategy

pyspiel = pytest.importorskip("pyspiel")
policies = pytest.importorskip("open_spiel.python.policy")
scores = pytest.importorskip("open_spiel.python.algorithms.expected_game_score")
theirs = pytest.importorskip("open_spiel.python.algorithms.exploitability")

ZERO_SUM = ("kuhn_poker", "leduc_poker", "liars_dice(numdice=1,dice_sides=3)", "goofspiel(num_cards=3,imp_info=True)")
GENERAL = ("matrix_pd", "tiny_hanabi", "sheriff(num_rounds=1)", "trade_comm(num_items=2)", "first_sealed_auction")
SMALL = (*ZERO_SUM, *GENERAL, "coordinated_mp", "dark_hex(board_size=2)", "python_kuhn_poker")


def original(name: str) -> pyspiel.Game:
    """Return OpenSpiel's own game, one seat after the other."""
    game = pyspiel.load_game(name)
    simultaneous = game.get_type().dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS
    return pyspiel.convert_to_turn_based(game) if simultaneous else game


def as_policy(name: str, tree: Tree, strategy: Floats) -> policies.TabularPolicy:
    """Return a strategy as OpenSpiel's table, by walking OpenSpiel's states beside ours."""
    table = policies.TabularPolicy(original(name))
    rows = {(i.seat, i.decision.view.now.told): strategy[i.entries] for i in tree.infosets}
    for state in table.states:
        row = rows[state.current_player(), state.information_state_string()]
        table.policy_for_key(state.information_state_string())[state.legal_actions()] = row
    return table


def uniform(tree: Tree) -> Floats:
    return scripted(tree)["uniform"]


@pytest.mark.parametrize("name", ZERO_SUM)
def test_exploitability_of_uniform_and_random_play_is_openspiels(name):
    tree = expand(load(name))
    assert exploitability(tree, uniform(tree)) == pytest.approx(
        theirs.exploitability(original(name), policies.UniformRandomPolicy(original(name))), abs=1e-9
    )
    strategy = random_strategy(tree, 3)
    table = as_policy(name, tree, strategy)
    assert exploitability(tree, strategy) == pytest.approx(theirs.exploitability(original(name), table), abs=1e-9)


@pytest.mark.parametrize("name", [*GENERAL, "leduc_poker"])
def test_expected_payoffs_of_random_play_are_openspiels(name):
    tree = expand(load(name))
    strategy = random_strategy(tree, 4)
    table = as_policy(name, tree, strategy)
    found = [expected(tree, strategy, tree.feature("own", seat)) for seat in (0, 1)]
    assert found == pytest.approx(scores.policy_value(original(name).new_initial_state(), [table, table]), abs=1e-9)


@pytest.mark.parametrize("name", GENERAL)
def test_nash_conv_of_random_play_is_openspiels(name):
    tree = expand(load(name))
    strategy = random_strategy(tree, 5)
    gains = [
        best_response(tree, strategy, s, tree.feature("own", s)).value
        - expected(tree, strategy, tree.feature("own", s))
        for s in (0, 1)
    ]
    answer = theirs.nash_conv(original(name), as_policy(name, tree, strategy))
    assert sum(gains) == pytest.approx(answer, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["kuhn_poker", "python_kuhn_poker"])
def test_kuhn_poker_is_ours(name, seed):
    ours, tree = expand(make("kuhn")), expand(load(name))
    strategy = random_strategy(ours, seed)
    python = name.startswith("python")
    corresponding = np.empty_like(strategy)
    for info in ours.infosets:
        card, betting = "JQK".index(info.key[0]), info.key[2:]
        told = f"p{info.seat} card:{card} {betting}".strip() if python else f"{card}{betting}"
        there = tree.infosets[tree.index[info.seat, f"P{info.seat}: {told}"]]
        corresponding[there.entries] = strategy[info.entries]
    assert exploitability(tree, corresponding) == pytest.approx(exploitability(ours, strategy), abs=1e-12)


def test_a_simultaneous_game_hides_the_first_move_from_the_second_seat():
    tree = expand(load("matrix_pd"))
    assert (tree.nodes, len(tree.infosets)) == (7, 2)
    defect = np.array([0.0, 1.0, 0.0, 1.0])
    assert tree.infosets[0].decision.legal == ("Cooperate", "Defect")
    assert expected(tree, defect, tree.feature("own", 0)) == 1.0
    assert best_response(tree, 1 - defect, 0, tree.feature("own", 0)).value == 10.0
    assert values(tree, tree.game.measures("sepo"), defect)["e"] == pytest.approx(0.0)


@pytest.mark.parametrize("name", SMALL)
def test_the_chat_of_an_earlier_decision_is_a_prefix_of_the_later_ones_and_tells_all(name):
    tree = expand(load(name))
    chats = [info.decision.chat() for info in tree.infosets]
    assert len(set(chats)) == len(chats)
    for which, before in enumerate(tree.previous):  # asks for perfect recall on the way
        if before < 0:
            assert [t.role for t in chats[which]] == ["system", "user"]
            continue
        earlier = tree.owner[before]
        said = tree.infosets[earlier].decision.legal[before - tree.infosets[earlier].start]
        length = len(chats[earlier])
        assert chats[which][:length] == chats[earlier]
        assert chats[which][length] == ("assistant", tree.game.word(said))
        assert [t.role for t in chats[which][length:]] == ["assistant", "user"]


@pytest.mark.parametrize("name", SMALL)
def test_keys_are_single_lines_and_the_question_offers_every_word(name):
    tree = expand(load(name))
    assert len({i.key for i in tree.infosets}) == len(tree.infosets)
    for info in tree.infosets:
        assert "\n" not in info.key
        assert info.key.startswith(f"P{info.seat}: ")
        offered = info.decision.chat()[-1].content.rsplit("Legal actions: ", 1)[1]
        assert offered == ", ".join(info.decision.words()) + "."


@pytest.mark.parametrize("name", SMALL)
def test_decisions_are_counted_from_the_own_seat(name):
    tree = expand(load(name))
    for seat in (0, 1):
        made = np.flatnonzero(tree.feature("decision", seat))
        assert (tree.actor[tree.parent[made]] == seat).all()
        assert len(made) == (tree.actor[tree.parent[1:]] == seat).sum()


@pytest.mark.parametrize(("name", "e"), [("leduc_poker", "exploitability"), ("tiny_hanabi", "regret")])
def test_it_is_measured_by_its_kind(name, e):
    game = load(name)
    tree = expand(game)
    assert game.measures("sepo").e == e
    found = values(tree, game.measures("sepo"), uniform(tree))
    assert (found["c"], found["x"]) == (None, None)
    if e == "exploitability":
        assert found["e"] == pytest.approx(exploitability(tree, uniform(tree)), abs=1e-7)
        assert found["J"] == pytest.approx(3 / 13 * (found["u"] - found["e"]), abs=1e-9)
    assert set(game.opponents) == {o for names in game.measures("paper").pools.values() for o in names} == {"uniform"}


def test_a_game_is_made_once_and_named_with_its_parameters():
    game = load("liars_dice(dice_sides=3,numdice=1)")
    assert game is load("openspiel:liars_dice(numdice=1,dice_sides=3)")
    assert game is load("liars_dice", {"numdice": 1, "dice_sides": 3})
    assert game.name == "openspiel:liars_dice(dice_sides=3,numdice=1)"
    assert load("leduc_poker").name == "openspiel:leduc_poker"
    assert game is not load("liars_dice(numdice=1,dice_sides=2)")


def test_actions_that_share_a_name_are_told_apart():
    @dataclass
    class Mumbling:
        """A state of OpenSpiel's whose action names say too little."""

        names = ("go", "stop", "go")

        def is_terminal(self):
            return False

        def is_chance_node(self):
            return False

        def current_player(self):
            return 0

        def legal_actions(self):
            return [0, 1, 2]

        def action_to_string(self, player, action):
            return self.names[action]

    position = Position(Mumbling())
    assert position.legal() == ("go (0)", "stop", "go (2)")
    assert position.ids == {"go (0)": 0, "stop": 1, "go (2)": 2}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kuhn_pokr", "did you mean kuhn_poker"),
        ("", "unknown game"),
        ("kuhn_poker(players=3)", "has 3 players"),
        ("negotiation", "samples its chance"),
        ("backgammon", "no information state strings"),
        ("leduc_poker(cards=4)", "unknown rule 'cards' .*: its rules are action_mapping, players"),
        ("liars_dice(numdice=one)", "rule 'numdice' .* must be a whole number, not 'one'"),
        ("leduc_poker(players=2", "must be written as"),
        ("leduc_poker)", "unknown game"),
        ("liars_dice(numdice=-1)", "cannot load"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(name, message):
    with pytest.raises(InputError, match=message) as error:
        load(name)
    assert "\n" not in str(error.value)


def test_a_game_too_large_to_hold_is_refused_by_the_walk():
    with pytest.raises(InputError, match="openspiel:tic_tac_toe"):
        expand(load("tic_tac_toe"), 1000)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    with pytest.raises(InputError, match=r"pip install sepo\[openspiel\]"):
        load("kuhn_poker")
