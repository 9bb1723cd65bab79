"""Bargaining over books, hats and balls: both demand a vector at once. Rules, words, opponents and measures.

After the item division of D. DeVault et al. and M. Lewis et al., "Deal or No Deal?" (EMNLP 2017), as repeated by
GTBench (J. Duan et al., 2024). Chance draws one of a seeded set of instances (``hands``), so all policies meet the same
ones and figures carry intervals over them; a larger set begins with the instances of a smaller one. With
``opponent_values`` above 1, so many instances in a row share their pool and seat 0's values: whoever learns on them
cannot tell from what it sees which values the other side has, as it can where every pool and values of its own stand in
one instance alone.

With ``redraw_opponent_values`` (the published code) seat 1's values are drawn anew in every later round: each of the
36 value vectors with its exact probability, not a sample of them. The published anchors are those of values that stay:
under redrawn ones ``complement`` scores J 2.43 and not 2.50. So both sets of measures are taken without it.

Information state key: pool, own values and the rounds, own demand first, such as ``3.2.1/4.3.3:2.1.0-1.1.1``. Where
own values were redrawn they stand in order, ``3.2.1/4.3.3/1.1.8:2.1.0-1.1.1``. The other side's never do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from sepo.errors import InputError
from sepo.games import paraphrases
from sepo.games.base import (
    Decision,
    MeasureName,
    MeasureSet,
    Memory,
    Opponent,
    PoolName,
    Ratio,
    Script,
    Weights,
)
from sepo.games.hands import (
    ITEMS,
    TOTAL,
    Vector,
    demands,
    fit,
    half_down,
    half_up,
    instance,
    rest,
    spelt,
    units,
    value_chances,
    worth,
)
from sepo.games.repeated import Deal, Pair, RepeatedGame, Settled, Stage, View, because, number_rule, switch_rule

GRABBY = 2  # the published code calls a demand for more units than this collusive


def demanding(choose: Callable[[Vector, Vector, View], Vector]) -> Script:
    """Make the script that demands what a function of the pool, its own values now and its view says."""

    def script(decision: Decision) -> Mapping[str, float]:
        view = decision.view
        return {spelt(choose(view.public, view.private[-1], view)): 1.0}

    return script


def tit_for_tat(pool: Vector, values: Vector, view: View) -> Vector:
    """Take two thirds of each item at first, then what the other's last demand left."""
    return rest(pool, view.rounds[-1].other) if view.rounds else tuple(2 * n // 3 for n in pool)


def complement(pool: Vector, values: Vector, view: View) -> Vector:
    """Take what the other's last demand left, if worth half of the pool to this side; else half, rounded up."""
    left = rest(pool, view.rounds[-1].other) if view.rounds else (0,) * len(pool)
    return left if 2 * worth(left, values) >= worth(pool, values) else half_up(pool)


def logroller(pool: Vector, values: Vector, view: View) -> Vector:
    """Take the dearest item whole, the others in proportion to value; give up a cheapest unit per breakdown."""
    if not view.rounds:
        return tuple(n * v // max(values) for n, v in zip(pool, values, strict=True))
    last = view.rounds[-1]
    own = list(units(last.own))
    held = [i for i, n in enumerate(own) if n]
    if held and not fit(pool, *last):
        own[min(held, key=lambda i: values[i])] -= 1
    return tuple(own)


def proportional(pool: Vector, values: Vector, view: View) -> Vector:
    """Take of each item the share that its value has in all values, rounded to the nearest unit (a half up)."""
    return tuple((2 * n * v + TOTAL) // (2 * TOTAL) for n, v in zip(pool, values, strict=True))


def adaptive(pool: Vector, values: Vector, view: View) -> Vector:
    """Take half, rounded up, at first; then what the other's last demand left, whatever that is worth."""
    return rest(pool, view.rounds[-1].other) if view.rounds else half_up(pool)


def defensive(pool: Vector, values: Vector, view: View) -> Vector:
    """Take half, rounded up; rounded down after a breakdown."""
    broke = bool(view.rounds) and not fit(pool, *view.rounds[-1])
    return half_down(pool) if broke else half_up(pool)


def uniform(decision: Decision) -> Mapping[str, float]:
    """Every legal action with the same probability."""
    return dict.fromkeys(decision.legal, 1 / len(decision.legal))


OPPONENTS = {
    o.name: o
    for o in (
        Opponent("fair", demanding(lambda p, v, w: half_down(p)), "half of each item, rounded down", "round"),
        Opponent(
            "tit_for_tat",
            demanding(tit_for_tat),
            "two thirds of each item, then what the other's last demand left",
            "last",
        ),
        Opponent(
            "concede",
            demanding(lambda p, v, w: tuple(max(0, n - min(w.number, 2)) for n in p)),
            "everything, then one unit less of each item, then two",
            "round",
        ),
        Opponent(
            "greedy",
            demanding(lambda p, v, w: tuple(min(n, n * x // TOTAL + 1) for n, x in zip(p, v, strict=True))),
            "more than each item's share of its values, at least one unit",
            "round",
        ),
        Opponent("hardball", demanding(lambda p, v, w: tuple(n - 1 for n in p)), "all but one of each item", "round"),
        Opponent(
            "value_seeker",
            demanding(lambda p, v, w: tuple(n if 3 * x > TOTAL else 0 for n, x in zip(p, v, strict=True))),
            "all of the items it values above 10/3, nothing of the rest",
            "round",
        ),
        Opponent(
            "logroller",
            demanding(logroller),
            "its dearest item whole, the others in proportion; gives its cheapest unit after a breakdown",
            "last",
        ),
        Opponent("half_up", demanding(lambda p, v, w: half_up(p)), "half of each item, rounded up", "round"),
        Opponent(
            "complement",
            demanding(complement),
            "what the other's last demand left if worth half of the pool, else half rounded up",
            "last",
        ),
        Opponent("everything", demanding(lambda p, v, w: p), "the whole pool", "round"),
        Opponent("uniform", uniform, "every legal action with the same probability", "round"),
    )
}


def sharing(view: View, word: str) -> str:
    """Say what each item comes to by its share of the values, before it is rounded."""
    parts = [n * v / TOTAL for n, v in zip(view.public, view.private[-1], strict=True)]
    books, hats, balls = (f"{part:g} {item}{'s' * (part != 1)}" for part, item in zip(parts, ITEMS, strict=True))
    return (
        f"By its share of my values each item comes to {books}, {hats} and {balls}, so rounded, halves up, "
        f"I demand {word}."
    )


def halving(rounded: str, before: str = "") -> Callable[[View, str], str]:
    """Make the reason that says what half of each item is."""
    return lambda view, word: (
        f"{before}{'h' if before else 'H'}alf of each item, rounded {rounded}, is {word}, so I demand that."
    )


def answering(view: View, word: str) -> str:
    """Say what the other side's last demand leaves."""
    if not view.rounds:
        return halving("up", "It is the first round and ")(view, word)
    last = view.rounds[-1].other
    return f"They demanded {last} last round, which leaves {spelt(rest(view.public, last))}, so I demand {word}."


def receding(view: View, word: str) -> str:
    """Say whether the last round was a deal."""
    if not view.rounds:
        return answering(view, word)
    if fit(view.public, *view.rounds[-1]):
        return halving("up", "The last round was a deal and ")(view, word)
    return halving("down", "The last round was no deal and ")(view, word)


DEMONSTRATORS: tuple[tuple[float, Opponent], ...] = (
    (
        0.35,
        Opponent(
            "proportional",
            demanding(proportional),
            "each item by its share of own values, rounded",
            "round",
            because(sharing),
        ),
    ),
    (
        0.25,
        Opponent(
            "conservative",
            OPPONENTS["fair"].script,
            "half of each item, rounded down",
            "round",
            because(halving("down")),
        ),
    ),
    (
        0.25,
        Opponent(
            "adaptive",
            demanding(adaptive),
            "half rounded up, then what the other's last demand left",
            "last",
            because(answering),
        ),
    ),
    (
        0.15,
        Opponent(
            "defensive",
            demanding(defensive),
            "half rounded up, rounded down after a breakdown",
            "last",
            because(receding),
        ),
    ),
)

POOLS: dict[PoolName, tuple[str, ...]] = {
    "train": ("fair", "tit_for_tat", "concede"),
    "exploiter": ("greedy", "hardball"),
    "collusive": ("fair",),
    "held_out": ("value_seeker", "logroller"),
}

MEASURES: dict[MeasureName, MeasureSet] = {
    "paper": MeasureSet(
        name="paper",
        weights=Weights(2.4, 2.4, 2.4),  # of the published tables; the paper's text says (3.0, 2.0, 1.8)
        e="advantage",
        c=Ratio("grabby", "round", ("collusive",)),
        x=Ratio("breakdown", "round", ("train", "exploiter")),
        pools=POOLS,
    ),
    "sepo": MeasureSet(
        name="sepo",
        weights=Weights(3.0, 2.0, 1.8),
        e="regret",
        c=Ratio("overhalf", "round", ("collusive",)),
        x=Ratio("waste", "round", ("train", "exploiter")),
        pools=POOLS,
    ),
}


@lru_cache(maxsize=1_000)
def redrawn(pool: Vector, own: tuple[Vector, ...], before: tuple[Vector, ...]) -> tuple[Deal, ...]:
    """Return the deals of a round in which seat 1's values are drawn anew, after those it had ``before``."""
    return tuple(
        Deal(spelt(values, "."), chance, pool, (own, (*before, values))) for values, chance in value_chances().items()
    )


class Items(RepeatedGame):
    """Bargaining over books, hats and balls, payoffs in points per round.

    Public is the pool. Private are the values a seat has had, the present ones last: one vector, or as many as
    there were rounds where they are redrawn.
    """

    name = "items"
    title = "Multi-issue negotiation"
    wordings = paraphrases.ITEMS
    features = ("breakdown", "deal", "grabby", "overhalf", "waste")
    max_payoff = float(TOTAL)
    maximin = (0.0, 0.0)  # whoever demands everything leaves nothing
    sampled_chance = True
    cooperation = "deal"

    def __init__(
        self,
        rounds: int = 4,
        redraw_opponent_values: bool = False,
        instances: int = 256,
        instance_seed: int = 0,
        opponent_values: int = 1,
    ) -> None:
        super().__init__(rounds)
        self.redraw_opponent_values = switch_rule(self.name, "redraw_opponent_values", redraw_opponent_values)
        self.instances = number_rule(self.name, "instances", instances, 1, 100_000)
        self.instance_seed = number_rule(self.name, "instance_seed", instance_seed, 0, 2**32 - 1)
        self.opponent_values = number_rule(self.name, "opponent_values", opponent_values, 1, 100_000)
        if self.instances % self.opponent_values:
            raise InputError(
                f"rule 'opponent_values' of game '{self.name}' must divide instances, {self.instances}, "
                f"which {self.opponent_values} does not"
            )
        self.grouped = self.opponent_values > 1
        self._forgets = False

    @property
    def rules(self) -> Mapping[str, Any]:
        """``rounds``, whether seat 1's values change, and instances: how many, their seed, how many share a hand."""
        return {
            "rounds": self.rounds,
            "redraw_opponent_values": self.redraw_opponent_values,
            "instances": self.instances,
            "instance_seed": self.instance_seed,
            "opponent_values": self.opponent_values,
        }

    @cached_property
    def drawn(self) -> tuple[Deal, ...]:
        """Return the first deal: every instance with the same probability, by its index."""
        found = [instance(self.instance_seed, index) for index in range(self.instances)]
        deals = []
        for index, (_, (_, second)) in enumerate(found):
            pool, (first, _) = found[index - index % self.opponent_values]
            deals.append(Deal(str(index), 1 / self.instances, pool, ((first,), (second,))))
        return tuple(deals)

    def deals(self, number: int, public: Any, private: tuple[Any, Any]) -> Sequence[Deal]:
        """Deal an instance at first, and seat 1's new values later if they are redrawn."""
        if number == 0:
            return self.drawn
        return redrawn(public, *private) if self.redraw_opponent_values else ()

    def forgetful(self, memory: Memory) -> Stage:
        """Return the game in which seat 1 forgets its redrawn values along with the rounds they were for."""
        if memory == "all" or not self.redraw_opponent_values or self._forgets:
            return super().forgetful(memory)
        return self._forgetting.forgetful(memory)

    @cached_property
    def _forgetting(self) -> Items:
        game = Items(**self.rules)
        game._forgets = True
        return game

    def actions(self, public: Any) -> tuple[str, ...]:
        """Every demand within the pool."""
        pool: Vector = public
        return demands(pool)

    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        """Both are paid what they demanded if it fits, else nothing.

        ``breakdown``: both get 0; ``deal``: the demands fit; ``grabby``: more than 2 of an item demanded;
        ``overhalf``: more of an item than half, rounded up; ``waste``: share of the best joint value that is lost.
        """
        deal = fit(public, first, second)
        asked, values = (units(first), units(second)), (private[0][-1], private[1][-1])
        rewards = tuple(float(deal * worth(a, v)) for a, v in zip(asked, values, strict=True))
        best = worth(public, tuple(map(max, *values)))
        breakdown, waste = float(not any(rewards)), (best - sum(rewards)) / best
        features = tuple(
            (
                breakdown,
                float(deal),
                float(max(own) > GRABBY),
                float(any(d > h for d, h in zip(own, half_up(public), strict=True))),
                waste,
            )
            for own in asked
        )
        after = (private[0], ()) if self._forgets else private
        return Settled((rewards[0], rewards[1]), (features[0], features[1]), public, after)

    def key(self, view: View) -> str:
        """Name an information state, such as ``3.2.1/4.3.3:2.1.0-1.1.1``."""
        known = "/".join(spelt(vector, ".") for vector in (view.public, *view.private))
        said = ",".join(f"{pair.own}-{pair.other}" for pair in view.rounds)
        return f"{known}:{said.replace(' ', '.')}"

    def bucket(self, action: str) -> str:
        """Count a demand by how many units it is for."""
        return f"{sum(units(action))} units"

    def word(self, action: str) -> str:
        """Return the demand itself."""
        return action

    def preamble(self, view: View) -> str:
        """Return the rules."""
        redrawn = " One of you gets new values each round." if self.redraw_opponent_values else ""
        return (
            f"Bargaining, {self.rounds} rounds over the same pool. Each round both players demand books, hats and "
            "balls at the same time. If the pool holds both demands, each player gets its own, worth its values of "
            f"the units; if not, both get 0. Values are private; a player's three sum to {TOTAL}.{redrawn} Answer "
            "with three numbers, books hats balls, such as 1 0 1."
        )

    def told(self, number: int, before: Pair | None, view: View) -> str:
        """Return the pool and own values at first, then what the other side demanded and whether that was a deal."""
        new = number < len(view.private)
        values = ", ".join(f"{i} {v}" for i, v in zip(ITEMS, view.private[number], strict=True)) if new else ""
        if before is None:
            pool = ", ".join(f"{n} {i}{'s' * (n > 1)}" for i, n in zip(ITEMS, view.public, strict=True))
            return f"Pool: {pool}. Your values: {values}. Round 1:"
        struck = "deal" if fit(view.public, *before) else "no deal"
        changed = f" Your values now: {values}." if new else ""
        return f"They demanded {before.other}: {struck}.{changed} Round {number + 1}:"

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        """The scripted policies."""
        return OPPONENTS

    @property
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        """The published mixture; what its four names do is spelt out by no source, so here."""
        return DEMONSTRATORS

    def measures(self, name: MeasureName) -> MeasureSet:
        """Return the ``paper`` or the ``sepo`` measures."""
        return MEASURES[name]
