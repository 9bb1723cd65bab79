"""A step of training on J in the reasoned style: whom it meets, how often, and what each turn is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sepo.audit.arena import Meeting, met
from sepo.audit.measures import KINDS, Term
from sepo.errors import InputError
from sepo.games.base import MeasureSet
from sepo.games.wording import pick
from sepo.keys import generator
from sepo.solve.tree import Floats
from sepo.train import ranks
from sepo.train.credit import CreditRules
from sepo.train.objective import LedgerRow
from sepo.train.part import Part
from sepo.train.record import ledger_rows
from sepo.train.rollouts import Drafts, Manner, Played, Seen, Table, Turn, credit, play, seen_terms
from sepo.train.sections import TrainSection, weights


class Step(NamedTuple):
    """The episodes of a step, their turns in order with the advantage of each, and a line of metrics."""

    tables: Mapping[Table, Sequence[Played]]
    turns: Sequence[Turn]
    advantages: Floats
    line: dict[str, Any]


class Player:
    """A game's episodes in training on J.

    Raises
    ------
    InputError
        If the groups of a step cannot be divided among the processes, or are too few for ``credit``.
    """

    def __init__(self, part: Part) -> None:
        self.part, self.recipe = part, part.recipe
        self.game, self.ground = part.domain.game, part.domain.ground
        assert isinstance(part.schedule, TrainSection)
        self.section = section = part.schedule
        self.measures = self.game.measures(self.recipe.measure_name(part.arm))
        self.lambdas = weights(section.lambda_, self.measures.weights)
        ratios = [ratio for ratio in (self.measures.c, self.measures.x) if ratio is not None]
        pools = ("train", "exploiter", *(name for ratio in ratios for name in ratio.pools))
        self.opponents = list(dict.fromkeys(o for name in pools for o in self.measures.pools[name]))
        self.drawn = min(self.recipe.reasoned.opponents or len(self.opponents), len(self.opponents))
        if section.groups % ranks.size():
            raise InputError(f"train.groups ({section.groups}) cannot be divided among {ranks.size()} processes")
        self.here = section.groups // ranks.size()
        if section.credit == "rollout" and self.here < 2:
            raise InputError(
                f"train.credit 'rollout' charges episodes with penalties of another group: train.groups "
                f"({section.groups}) must be at least {2 * ranks.size()}"
            )
        self.rules = CreditRules(
            credit=section.credit,
            estimator="sampled",
            scale=section.scale,
            returns=section.returns,
            groups=self.here,
            group_size=section.group_size,
        )

    @property
    def rows(self) -> int:
        """The most turns that a step has in this process."""
        longest = sorted(sum(_longest(m) for m in met(self.ground, o)) for o in self.opponents)
        return self.here * self.section.group_size * sum(longest[-self.drawn :])

    def play(self, writer: Drafts, number: int) -> Step:
        """Play the episodes of a step of this game and credit their turns."""
        key, section = (*self.part.key, number), self.section
        chosen = sorted(generator(*key, "opponents").permutation(len(self.opponents))[: self.drawn].tolist())
        manner = Manner(
            self.recipe.reasoned.tokens,
            self.recipe.reasoned.illegal,
            pick(self.part.domain.words, *key),
        )
        first = number * section.groups + ranks.rank() * self.here
        opponents = [self.opponents[i] for i in chosen]
        clusters = range(first, first + self.here)
        tables = play(writer, self.game, opponents, clusters, section.group_size, manner, self.part.key)
        seen = Seen(tables, self.game.rounds)
        share = self.drawn / len(self.opponents)
        found = seen_terms(self.ground, self.measures, seen, self.lambdas, section.margin, share)
        given = credit(tables, found, self.rules, section.legal_mass)
        turns = [turn for played in tables.values() for p in played for turn in p.turns]
        return Step(
            tables=tables,
            turns=turns,
            advantages=np.concatenate(given.turns),
            line={
                "measures": {self.measures.name: self._measured(seen, share)},
                **_counts(turns),
                "probes": {o: _own(seen, o, self.game.seats) for o in opponents},
                "divisor": given.divisor,
                "ledger": ledger_rows(given.ledger),
                "warnings": _dead(given.ledger),
            },
        )

    def _measured(self, seen: Seen, share: float) -> dict[str, float | None]:
        """Return the measures as audits have them, at the set's own weights, so that arms with others stand beside."""
        found = seen_terms(self.ground, self.measures, seen, self.measures.weights, 0.0, share)
        return _seen(found, self.measures)


def _seen(found: Sequence[Term], measures: MeasureSet) -> dict[str, float | None]:
    """Return the measures over the opponents that were met, and J; None where none of a pool was, or none applies."""
    out: dict[str, float | None] = dict.fromkeys(KINDS)
    worth: dict[str, float] = {}
    for kind in {t.kind: None for t in found}:
        mine = [t for t in found if t.kind == kind]
        out[kind] = value = sum(t.share * t.value for t in mine) / sum(t.share for t in mine)
        worth[kind] = mine[0].coefficient * value
    applies = {"u", "e", *(name for name in ("c", "x") if getattr(measures, name) is not None)}
    return out | {"J": sum(worth.values()) if applies <= set(worth) else None}


def _own(seen: Seen, opponent: str, seats: Sequence[int]) -> float:
    return float(np.mean([seen.means[opponent, s].get("own", 0.0) for s in seats])) / seen.rounds


def _dead(ledger: Sequence[LedgerRow]) -> list[str]:
    return [f"dead term: '{row.kind}' has a value, but no advantage has any of it" for row in ledger if row.dead]


def _counts(turns: Sequence[Turn]) -> dict[str, Any]:
    """Return the shares of replies that are legal, illegal and cut off, and the mean length."""
    faults = [turn.fault for turn in turns]
    whole = ranks.everyones((len(turns), *(faults.count(f) for f in ("illegal", "truncated")), _written(turns)))
    total, illegal, truncated, tokens = (sum(column) for column in zip(*whole, strict=True))
    return {
        "legal_mass": 1 - (illegal + truncated) / total,
        "illegal": illegal / total,
        "truncated": truncated / total,
        "replies": total,
        "reply_tokens": tokens / total,
    }


def _written(turns: Sequence[Turn]) -> int:
    return sum(len(turn.draft.tokens) for turn in turns)


def _longest(meeting: Meeting) -> int:
    """Return the most decisions that the learner has in an episode of a meeting."""
    tree = meeting.tree
    count = np.zeros(tree.nodes, dtype=np.int64)
    for level in tree.levels[1:]:
        before = tree.parent[level]
        np.maximum.at(count, tree.child[level], count[before] + (tree.actor[before] == meeting.seat))
    return int(count.max())
