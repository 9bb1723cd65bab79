"""``contract.check`` passes the games that keep the contract, and names the breach of those that do not."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import pytest

from sepo.errors import ContractError
from sepo.games.base import Deviation, Opponent, Ratio, Turn, Weights
from sepo.games.contract import Checked, check
from sepo.games.ipd import Ipd
from sepo.games.kuhn import OPPONENTS, Kuhn
from sepo.games.registry import GAMES, make
from sepo.solve.expand import expand
from tests.small_games import BackwardsKuhn, Node, chooses, draws, leaf


@dataclass(frozen=True)
class Shown:
    """A node of a drawn tree as Kuhn's opponents and chats are asked about it: the view is a card and a betting."""

    node: Node

    def __getattr__(self, name: str):
        return getattr(self.node, name)

    def child(self, action: str) -> Shown:
        return Shown(self.node.child(action))

    def features(self, learner: int) -> tuple[float, ...]:
        return 0.0, 0.0, 0.0


class Tiny(Kuhn):
    """Kuhn's words, pools and measures over a tree drawn by hand, with the uniform policy under every name."""

    max_payoff = 1.0
    tree: Node = chooses(0, "a", PASS=leaf(1), BET=leaf(-1))

    def root(self) -> Shown:
        return Shown(self.tree)

    def key(self, view) -> str:
        return str(view)

    def chat(self, view) -> tuple[Turn, ...]:
        """Show the view letter by letter; what a seat replied is the lower-case letter's word."""
        turns = [Turn("system", "Rules."), Turn("user", view[0])]
        for reply, seen in zip(view[1::2], view[2::2], strict=True):
            turns += [Turn("assistant", {"p": "check", "b": "bet"}[reply]), Turn("user", seen)]
        return tuple(turns)

    @property
    def opponents(self):
        return {name: replace(OPPONENTS["uniform"], name=name) for name in OPPONENTS}

    @property
    def demonstrators(self):
        return [(1.0, OPPONENTS["uniform"])]


def tiny(tree: Node) -> Tiny:
    game = Tiny()
    game.tree = tree
    return game


FORGETFUL = ("auction",)  # values of past rounds


@pytest.mark.parametrize("name", GAMES)
def test_built_in_games_keep_the_contract(name: str):
    found = check(make(name), max_nodes=20_000, episodes=100, perfect_recall=name not in FORGETFUL)
    assert found.nodes >= 55


def test_all_of_a_small_game_is_looked_at():
    for game in (Kuhn(), BackwardsKuhn(), Ipd(3)):
        tree = expand(game)
        assert check(game).complete
        assert check(game).decisions >= len(tree.infosets)
    assert check(Kuhn()) == Checked(55, 12, True)
    assert check(tiny(Tiny.tree)) == Checked(3, 1, True)


def test_of_a_large_game_a_part_and_random_episodes_are_looked_at():
    found = check(Ipd(8), max_nodes=1_000, episodes=20)
    assert not found.complete
    assert found.nodes == 1_000 + 20 * 17
    assert check(Ipd(8), max_nodes=1_000, episodes=20) == found


def seen(view: str) -> Node:
    """Let seat 0 choose between a chip won and a chip lost."""
    return chooses(0, view, PASS=leaf(1), BET=leaf(-1))


@dataclass(frozen=True)
class Endless:
    """A state that leads to another one, for ever."""

    number: int = 0
    actor: int = 0
    round: int = 0

    def legal(self) -> tuple[str, ...]:
        return ("PASS",)

    def child(self, action: str) -> Endless:
        return Endless(self.number + 1)

    def view(self, seat: int) -> str:
        return "a" + "pa" * self.number

    def rewards(self) -> tuple[float, float]:
        return 0.0, 0.0


class Still(Endless):
    """A state that is changed by moving, and returned."""

    def child(self, action: str) -> Endless:
        return self

    def features(self, learner: int) -> tuple[float, ...]:
        return 0.0, 0.0, 0.0


BREACHES = {
    "actor": (Node(7), "actor 7 is no seat"),
    "no action": (chooses(0, "a"), r"no legal action, or one twice, at information state 'a'"),
    "action twice": (Node(0, "a", (("BET", leaf(1), 1), ("BET", leaf(1), 1))), r"or one twice.*'a'.*BET.*; at "),
    "words alike": (chooses(0, "a", PASS=leaf(1), CHECK=leaf(-1)), "words must differ.*'check', 'check'"),
    "chance sum": (draws(("x", 0.5, leaf(1)), ("y", 0.4, leaf(-1))), "must be positive and sum to 1"),
    "chance zero": (draws(("x", 1.0, leaf(1)), ("y", 0.0, leaf(-1))), "must be positive and sum to 1"),
    "chance twice": (draws(("x", 0.5, leaf(1)), ("x", 0.5, leaf(-1))), "one chance outcome twice"),
    "not zero-sum": (chooses(0, "a", PASS=leaf(1, 1)), r"calls itself zero-sum, but pays \(1, 1\)"),
    "no number": (chooses(0, "a", PASS=leaf(float("nan"))), "no finite numbers"),
    "root pays": (replace(seen("a"), due=(1.0, -1.0)), "on entering the first state"),
    "round": (chooses(0, "a", PASS=replace(leaf(1), round=1)), "round 1 after round 0 of 1"),
    "legal differs": (
        draws(("x", 0.5, seen("a")), ("y", 0.5, chooses(0, "a", PASS=leaf(1), FOLD=leaf(-1)))),
        "legal actions differ within information state 'a'",
    ),
    "recall": (
        chooses(0, "a", PASS=seen("apb"), BET=seen("apb")),
        "no perfect recall: seat 0 forgets what it did before information state 'apb'",
    ),
    "chat cut": (
        chooses(0, "a", PASS=seen("b"), BET=seen("aba")),
        "the chat at information state 'b' does not continue",
    ),
    "chat of another reply": (chooses(0, "a", PASS=seen("aba"), BET=seen("apa")), "does not continue"),
    "endless": (Endless(), "an episode has more than 50 moves"),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_in_the_states_is_named_with_the_game_and_the_state(breach: str):
    root, said = BREACHES[breach]
    game = tiny(root)
    if breach == "words alike":
        game.word = lambda action: "check"  # type: ignore[method-assign]
    with pytest.raises(ContractError, match=f"game 'kuhn': .*{said}") as caught:
        check(game, max_depth=50)
    assert "\n" not in str(caught.value)


def test_a_state_that_returns_itself_is_refused():
    game = Tiny()
    game.root = Still  # type: ignore[method-assign]
    with pytest.raises(ContractError, match=r"game 'kuhn': child\('PASS'\) is the state itself"):
        check(game)


class Coarse(Ipd):
    """A key that leaves the first round out."""

    def key(self, view) -> str:
        return super().key(view._replace(rounds=view.rounds[1:]))


class Mute(Ipd):
    """A chat that does not say what the other did."""

    def chat(self, view) -> tuple[Turn, ...]:
        return tuple(t if t.role != "user" else Turn("user", "Go on.") for t in super().chat(view))


class Spaced(Kuhn):
    def word(self, action: str) -> str:
        return super().word(action) + " "


class Roles(Kuhn):
    def chat(self, view) -> tuple[Turn, ...]:
        return (*super().chat(view), Turn("user", "Well?"))


class Balanced(Ipd):
    """It pays nothing, and so sums to 0."""

    def settle(self, *arguments):
        return super().settle(*arguments)._replace(rewards=(0.0, 0.0))


class Few(Kuhn):
    features = ("decision", "fold")


class Unmade(Kuhn):
    rules = {"ante": 1}  # type: ignore[assignment]  # noqa: RUF012


class Deaf(Ipd):
    """A constructor that does something else with its rule."""

    def __init__(self, rounds: int = 3) -> None:
        super().__init__(7 - rounds)


class OnePreset(Ipd):
    presets = {"paper": {"rounds": 4}}  # noqa: RUF012


class Seatless(Kuhn):
    seats = (0, 2)


class Free(Kuhn):
    max_payoff = 0.0


GAME_BREACHES = {
    Coarse: "two views have one key",
    Mute: "the chat does not tell",
    Spaced: "words must differ and have no space",
    Roles: "the chat must go system, user",
    Balanced: "payoffs sum to 0, but zero_sum is False",
    Few: "'big_loss' is no feature",
    Unmade: "cannot be made with its own rules",
    Deaf: r"made with the rules \{'rounds': 4\} it has the rules \{'rounds': 3\}",
    OnePreset: "presets must hold 'paper' and 'sepo'",
    Seatless: "the learner's seats must be",
    Free: "must be positive",
}


@pytest.mark.parametrize("made", GAME_BREACHES)
def test_a_breach_in_keys_chats_words_or_attributes_is_named(made):
    game = made(3) if issubclass(made, Ipd) else made()
    with pytest.raises(ContractError, match=GAME_BREACHES[made]):
        check(game)


def kuhn_with(opponents=(), demonstrators=None, **changed) -> Kuhn:
    """Return Kuhn poker with further opponents, other demonstrators or other measures."""

    class Changed(Kuhn):
        @property
        def opponents(self):
            return {**super().opponents, **dict(opponents)}

        @property
        def demonstrators(self):
            return super().demonstrators if demonstrators is None else demonstrators

        def measures(self, name):
            return replace(super().measures(name), **changed)

    return Changed()


POOLS = dict(Kuhn().measures("sepo").pools)
coin = itertools.cycle([0, 1])


def script(answer) -> dict:
    return {"opponents": {"odd": Opponent("odd", answer, "odd")}}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (script(lambda d: {"RAISE": 1.0}), "script 'odd' at information state '.*' plays 'RAISE'"),
        (script(lambda d: dict.fromkeys(d.legal, 0.6)), "script 'odd'.*must sum to 1"),
        (script(lambda d: dict(zip(d.legal, (1.5, -0.5), strict=True))), "script 'odd'.*not be negative"),
        (script(lambda d: dict.fromkeys(d.legal, float("nan"))), "script 'odd'.*must sum to 1"),
        (script(lambda d: {}), "script 'odd'.*must sum to 1"),
        (script(lambda d: {d.legal[next(coin)]: 1.0}), "script 'odd'.*answers differently when asked again"),
        ({"opponents": {"even": Opponent("odd", lambda d: {}, "")}}, "opponent 'odd' is listed as 'even'"),
        ({"demonstrators": [(0.5, OPPONENTS["nash"])]}, "shares of the demonstrators"),
        ({"demonstrators": []}, "shares of the demonstrators"),
        ({"demonstrators": [(1.0, Opponent("odd", lambda d: {"RAISE": 1.0}, ""))]}, "script 'odd'"),
        ({"name": "mine"}, "measures 'paper' call themselves 'mine'"),
        ({"weights": Weights(-1, 0, 0)}, "weights must be finite and not negative"),
        ({"c": Ratio("folds", "round", ("train",))}, "'folds' is no feature"),
        ({"x": Ratio("fold", "decisions", ("train",))}, "'decisions' is no feature"),
        ({"c": Ratio("fold", "round", ("collusive",)), "pools": POOLS | {"collusive": ()}}, "no opponent in the pools"),
        ({"pools": {"train": ("nash",)}}, "the pools must be train, exploiter, collusive, held_out"),
        ({"pools": POOLS | {"train": ("gto",)}}, "pool 'train' names 'gto', which is no opponent"),
        ({"pools": POOLS | {"exploiter": ()}}, "pool 'exploiter' is empty"),
        ({"pools": POOLS | {"held_out": ("max_exploiter",)}}, "'max_exploiter' is held out and in pool 'exploiter'"),
    ],
)
def test_a_breach_in_scripts_or_measures_is_named(changed: dict, said: str):
    with pytest.raises(ContractError, match=f"game 'kuhn': .*{said}"):
        check(kuhn_with(**changed))


def test_a_script_that_remembers_more_than_it_says_is_named():
    class Forgetful(Ipd):
        @property
        def opponents(self):
            grim = replace(super().opponents["grim_trigger"], memory="last")
            return super().opponents | {"grim_trigger": grim}

    with pytest.raises(ContractError, match=r"script 'grim_trigger' at .* answers by more than its memory 'last'"):
        check(Forgetful(3))


def test_what_is_watched_after_a_deviation_must_be_there():
    for changed, said in (
        ({"cooperation": "folds"}, "cooperation is 'folds', which is no feature"),
        ({"deviation": Deviation("nash", "gto", 0, "fold")}, "names no opponents"),
        ({"deviation": Deviation("nash", "uniform", 1, "fold")}, "names no opponents"),
        ({"deviation": Deviation("nash", "uniform", 0, "folds")}, "names no opponents"),
    ):
        with pytest.raises(ContractError, match=said):
            check(type("Watched", (Kuhn,), changed)())


def test_a_chat_need_not_grow_where_a_seat_may_forget():
    game = tiny(chooses(0, "a", PASS=seen("b"), BET=seen("c")))
    with pytest.raises(ContractError, match="does not continue"):
        check(game)
    assert check(game, perfect_recall=False).complete


def test_exploitability_is_for_zero_sum_games():
    class Wrong(Ipd):
        def measures(self, name):
            return replace(super().measures(name), e="exploitability")

    with pytest.raises(ContractError, match="game 'ipd': measures 'paper': e is exploitability"):
        check(Wrong(2))
