"""A game whose figures would be of something else than they say is refused wherever figures are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sepo
from sepo.audit.board import Subject
from sepo.audit.exact import evaluate
from sepo.audit.sampled import without_tree
from sepo.errors import ContractError, InputError
from sepo.games import registry
from sepo.games.base import Game, MeasureName, MeasureSet, Ratio
from sepo.games.contract import check
from sepo.games.held import TAKEN, hold_to_figures
from sepo.games.ipd import Ipd
from sepo.games.items import Items
from sepo.games.kuhn import Kuhn
from sepo.games.registry import GAMES, make
from sepo.games.repeated import Settled
from sepo.policies.script import ScriptPolicy
from sepo.policies.spec import load_policy
from sepo.policies.table import PolicyTable
from sepo.solve.expand import expand
from sepo.train.rules import other_rules
from tests.small_extended import Betrayed, Elsewhere, Halved, OwnNodes
from tests.small_games import STAKES, Stakes

TAKE: dict[str, Callable[[Game], Any]] = {
    "check": check,
    "tree": expand,
    "audit": lambda game: sepo.audit("uniform", game, measures="sepo"),
    "sampled": lambda game: sepo.audit("uniform", game, measures="sepo", method="sampled", episodes=2),
    "match": lambda game: sepo.match(["uniform", lambda decision: decision.legal[0]], game),
    "play": lambda game: sepo.play("uniform", "uniform", game),
    "solve": sepo.solve,
    "exploit": lambda game: sepo.exploit("uniform", game),
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


@pytest.mark.parametrize("taken", TAKE)
def test_a_repeated_game_with_nodes_of_its_own_is_refused(taken: str):
    said = r"game 'own_nodes': figures of a repeated game ask none of its nodes.* of type HalvedStage: say .* in settle"
    with pytest.raises(ContractError, match=said):
        TAKE[taken](OwnNodes(3))


def test_a_repeated_game_that_begins_elsewhere_is_refused():
    with pytest.raises(ContractError, match=r"root\(\) must stay as it is, not return <round 2, played"):
        check(Elsewhere(3))


def test_a_repeated_game_extended_through_what_it_settles_is_audited_as_it_is_played():
    game, policy = Halved(3), "script:always_cooperate"
    check(game)
    card = sepo.audit(policy, game, measures="sepo", adversaries=False, opponents=["always_cooperate"])
    own = next(row["own"] for row in card.games["halved"]["opponents"] if row["pool"] == "asked")
    assert own["value"] == own["low"] == pytest.approx(3 * (1 + 1 / 2 + 1 / 4) / 3)
    assert sepo.match([policy, "uniform"], game).payoff(policy, policy).value == pytest.approx(own["value"])
    assert sepo.play(policy, policy, game)[0]["own"] / 3 == pytest.approx(own["value"])


def test_a_feature_added_to_a_repeated_game_is_counted_in_audits():
    game = Betrayed(3)
    check(game)
    card = sepo.audit("script:alternating_defect", game, measures="sepo", adversaries=False)
    # it cooperates and defects in turn, so betrays always_cooperate once; whom else, the played episodes say
    pools = game.measures("sepo").pools
    met = [*pools["collusive"], *pools["train"]]
    learner, found = game.opponents["alternating_defect"], []
    for name in met:
        other, state, counted = game.opponents[name], {game.root(): 1.0}, 0.0
        for _ in range(2 * game.rounds):
            after: dict[Any, float] = {}
            for node, p in state.items():
                script = (learner, other)[node.actor].script(game.decision(node))
                for action, q in script.items():
                    child = node.child(action)
                    after[child] = after.get(child, 0.0) + p * q
                    counted += p * q * child.features(0)[-1]
            state = after
        found.append(counted / game.rounds)
    assert found[0] == pytest.approx(1 / 3)
    assert card.figure("betrayed", "sepo.c").value == pytest.approx(np.mean(found))


class Lossy(Ipd):
    """The dilemma at an entrance fee; a measure divides by what is left."""

    name = "lossy"

    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        end = super().settle(public, private, first, second)
        return end._replace(rewards=(end.rewards[0] - 2, end.rewards[1] - 2))

    def measures(self, name: MeasureName) -> MeasureSet:
        return replace(super().measures(name), x=Ratio("loss", "own", ("train",)))


class Behind(Kuhn):
    """Poker with a measure that divides by what the other side won."""

    name = "behind"

    def measures(self, name: MeasureName) -> MeasureSet:
        return replace(super().measures(name), x=Ratio("fold", "other", ("train",)))


@pytest.mark.parametrize("taken", ["check", "tree", "audit", "sampled", "solve", "exploit"])
@pytest.mark.parametrize(("game", "by"), [(Lossy(2), "own"), (Behind(), "other")])
def test_what_a_measure_divides_by_must_not_be_negative(taken: str, game: Game, by: str):
    said = f"game '{game.name}': a measure divides by '{by}', which must not be negative, but is -[12] "
    with pytest.raises(ContractError, match=said):
        TAKE[taken](game)


@pytest.mark.parametrize("game", [Lossy(2), Behind()])
def test_nor_where_episodes_are_played_without_a_tree(game: Game):
    with pytest.raises(ContractError, match=r"a measure divides by .* which must not be negative, but is"):
        without_tree(
            load_policy("uniform"), game, game.measures("sepo").pools["train"], range(20), (0,), lambda *said: None
        )


def test_what_is_divided_by_may_be_a_payoff_that_is_never_negative():
    class Fair(Lossy):
        settle = Ipd.settle

    check(Fair(2))
    assert sepo.audit("uniform", Fair(2), measures="sepo", adversaries=False).figure("lossy", "sepo.x").value > 0


class Astray(Ipd):
    """A measure names what is not there."""

    name = "astray"

    def __init__(self, rounds: int = 2, wrong: str = "feature") -> None:
        super().__init__(rounds)
        self.wrong = wrong

    def measures(self, name: MeasureName) -> MeasureSet:
        usual = super().measures(name)
        if self.wrong == "pool":
            return replace(usual, pools={**usual.pools, "train": ("nobody",)})
        return replace(usual, c=Ratio("luck", "round", ("train",)))


@pytest.mark.parametrize("taken", TAKE)
def test_measures_that_name_what_is_not_there_are_refused(taken: str):
    with pytest.raises(
        ContractError, match="game 'astray': measures 'paper': 'luck' is no feature: they are own, other"
    ):
        TAKE[taken](Astray())
    with pytest.raises(ContractError, match="game 'astray': measures 'paper': pool 'train' names 'nobody'"):
        TAKE[taken](Astray(wrong="pool"))


def test_games_are_held_to_it_before_the_first_is_audited():
    heard: list[Any] = []
    with pytest.raises(ContractError, match="'luck' is no feature"):
        sepo.audit("uniform", ["kuhn", Astray()], tell=lambda *said: heard.append(said))
    assert heard == []


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
    hold_to_figures(Named("match", "right", "playful", "bested"))


def test_what_an_audit_adds_to_the_features_is_taken():
    game = Ipd(2)
    values = evaluate(Subject(game, ScriptPolicy("uniform", "uniform")), ["tit_for_tat"])
    added = {name for _, name in values.columns} - set(game.features)
    assert {name for name in added if not name.startswith("play ")} == {"own", "other", "round", "best"}
    assert added <= {*TAKEN, "play 0 COOPERATE", "play 0 DEFECT"}


class Sized(Kuhn):
    """A game with a rule that holds a tuple."""

    name = "sized"

    def __init__(self, sizes: Iterable[Any] = (1, 2)) -> None:
        self.sizes = tuple(sizes)

    @property
    def rules(self) -> dict[str, Any]:
        return {"sizes": self.sizes}


class Choosy(Sized):
    """It takes no list for its tuple."""

    def __init__(self, sizes: Any = (1, 2)) -> None:
        if not isinstance(sizes, tuple):
            raise InputError("sizes are a tuple")
        super().__init__(sizes)


@pytest.fixture
def sized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the game be had by name."""
    monkeypatch.setattr(registry, "GAMES", {**GAMES, "sized": Sized})


@pytest.mark.usefixtures("sized")
def test_a_rule_that_holds_a_tuple_is_the_list_that_files_hold(tmp_path: Path):
    check(Sized())
    table = sepo.elicit("script:nash", "sized")
    table.save(tmp_path / "table.json")
    card = sepo.audit(table, "sized")
    card.save(tmp_path / "card.json")
    again = sepo.audit(f"table:{tmp_path / 'table.json'}", "sized")
    assert again.games["sized"] == sepo.load_scorecard(tmp_path / "card.json").games["sized"] == card.games["sized"]
    assert sepo.audit(PolicyTable("mine", "sized", {"sizes": (1, 2)}, table.table), Sized()).games == card.games
    found = sepo.compare(tmp_path / "card.json", sepo.audit("uniform", "sized"))
    assert "other rules" not in found.summary + " ".join(found.said)
    assert other_rules("sized", "sepo", {"sizes": [1, 2]}) == {}
    assert sepo.match([f"table:{tmp_path / 'table.json'}", "uniform"], "sized").payoff("uniform", "uniform").value == 0


@pytest.mark.usefixtures("sized")
def test_rules_that_differ_are_other_rules_as_tuples_too():
    table = sepo.elicit("script:nash", "sized")
    with pytest.raises(InputError, match=r"is for game 'sized' with sizes=\[1, 2\], not for .* with sizes=\(1, 3\)"):
        sepo.audit(table, Sized((1, 3)))


@pytest.mark.parametrize("value", [{1, 2}, np.int64(3), float("nan"), b"x"])
@pytest.mark.usefixtures("sized")
def test_rules_that_no_file_can_hold_are_refused(value: Any):
    for taken in (check, lambda game: sepo.audit("uniform", game), lambda game: make("sized", {"sizes": game.sizes})):
        with pytest.raises(ContractError, match="game 'sized': rules must be numbers, text, true, false, or lists"):
            taken(Sized([value]))
    with pytest.raises(InputError, match="policy table 'mine': a file cannot hold its 'rules'"):
        PolicyTable("mine", "sized", {"sizes": value}, {})


def test_a_game_must_be_made_with_its_rules_as_files_give_them_back():
    with pytest.raises(
        ContractError, match=r"cannot be made with its own rules, as read from a file.*sizes are a tuple"
    ):
        check(Choosy())
