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

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from sepo.errors import InputError
from sepo.games import paraphrases
from sepo.games.base import MeasureName, MeasureSet, Memory, Opponent, PoolName, Ratio, Weights
from sepo.games.hands import ITEMS, TOTAL, Vector, demands, fit, half_up, instance, spelt, units, value_chances, worth
from sepo.games.items_scripts import DEMONSTRATORS, OPPONENTS
from sepo.games.repeated import Deal, Pair, RepeatedGame, Settled, Stage, View, number_rule, switch_rule

GRABBY = 2  # the published code calls a demand for more units than this collusive


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
        game = type(self)(**self.rules)
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
