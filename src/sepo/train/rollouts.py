"""Episodes that a writing model plays for training, and what each of its turns is credited with.

A step plays groups of episodes against the opponents of J: those of a group share cards, coins and opponent, and differ
in what the model writes. J is written out as its terms at what the episodes collect, by the same code as everywhere
(``audit.measures``). By the same code as in the direct style (``train.credit``) each turn is credited with what its own
episode collects from it on, for every term in which that opponent is met. A turn is a prompt and a reply of its own, so
no token of an opponent's is ever learnt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from sepo.audit.arena import Ground, Meeting
from sepo.audit.measures import KINDS, Kind, Term, terms
from sepo.games.base import Decision, Game, MeasureSet, Weights
from sepo.games.wording import ORIGINAL, Wording, reword
from sepo.keys import generator
from sepo.lm.generate import Draft
from sepo.lm.reasoned import Fault, asked, read
from sepo.play.lockstep import Episode, run
from sepo.policies.script import opponent
from sepo.solve.tree import Floats
from sepo.train import ranks
from sepo.train.credit import CreditRules, Mask, advantages_of, mean_square, root_mean_square
from sepo.train.objective import LedgerRow

Illegal = Literal["forfeit", "random"]
Table = tuple[str, int]
"""Who is met, and in which seat the learner sits."""


class Drafts(Protocol):
    """What replies to chats and tells the tokens."""

    def draft(self, chats: Sequence[Sequence[tuple[str, str]]], lots: Floats) -> list[Draft]:
        """Reply to every chat, drawing by uniform numbers (chats, tokens)."""


@runtime_checkable
class Together(Drafts, Protocol):
    """What writes for several processes at once, so that each has to stay until all have finished."""

    def finish(self) -> None:
        """Stay until all have finished."""


class Turn(NamedTuple):
    """One reply of an episode: the decision it answers, its tokens, and what is wrong with it, if anything is."""

    decision: Decision
    draft: Draft
    fault: Fault | None


class Played(NamedTuple):
    """An episode and the learner's turns in it."""

    episode: Episode
    turns: list[Turn]


class Manner(NamedTuple):
    """How a model is asked in training.

    Attributes
    ----------
    tokens
        Most tokens of a reply.
    illegal
        What counts where a reply is no legal answer: the game's forfeit, or each legal action alike.
    wording
        What the questions are put in.
    """

    tokens: int
    illegal: Illegal = "forfeit"
    wording: Wording = ORIGINAL


def play(
    writer: Drafts,
    game: Game,
    opponents: Sequence[str],
    clusters: Sequence[int],
    members: int,
    manner: Manner,
    key: tuple[object, ...],
) -> dict[Table, list[Played]]:
    """Play ``members`` episodes for every cluster, opponent and seat; all running ones are written in one batch.

    Parameters
    ----------
    clusters
        Numbers of the groups. In a game that draws an instance at first, cluster k plays instance k.
    key
        Of all randomness. What a turn says depends on it, its cluster, opponent, seat, member and place, and not on
        what else is played.

    Returns
    -------
    dict
        The episodes of each opponent and seat, groups in order and their members next to each other.
    """
    met = [opponent(game, name) for name in opponents]
    episodes = [
        Episode(k, o, seat, game.root(), member=m)
        for o in met
        for seat in game.seats
        for k in clusters
        for m in range(members)
    ]
    turns: dict[int, list[Turn]] = {id(e): [] for e in episodes}

    def ask(asking: Sequence[Episode], decisions: Sequence[Decision]) -> list[Floats]:
        lots = np.array([_lots(e, manner.tokens + 1, key) for e in asking])
        put = [reword(d, manner.wording) for d in decisions]
        drafts = writer.draft([asked(d.chat()) for d in put], lots[:, :-1])
        out = []
        for e, d, draft, lot in zip(asking, put, drafts, lots[:, -1].tolist(), strict=True):
            answer = read(draft.reply, d.words())
            turns[id(e)].append(Turn(d, draft, None if isinstance(answer, int) else answer))
            out.append(_played(d, answer, manner.illegal, lot))
        return out

    run(episodes, game, (*key, "deal"), ask)
    if isinstance(writer, Together):
        writer.finish()
    tables: dict[Table, list[Played]] = {}
    for e in episodes:
        tables.setdefault((e.opponent.name, e.seat), []).append(Played(e, turns[id(e)]))
    return tables


def _lots(e: Episode, count: int, key: tuple[object, ...]) -> Floats:
    """Return the uniform numbers that draw a reply, and one more."""
    return generator(*key, "reply", e.cluster, e.opponent.name, e.seat, e.member, e.moves).random(count)


def _played(decision: Decision, answer: int | Fault, illegal: Illegal, lot: float) -> Floats:
    """Return the action that is played, as a distribution; ``lot`` draws it where any may be."""
    if isinstance(answer, int):
        which = answer
    elif illegal == "random":
        which = int(lot * len(decision.legal))
    else:
        which = decision.legal.index(decision.game.forfeit(decision))
    return np.array([float(i == which) for i in range(len(decision.legal))])


class Seen:
    """A learner as it is seen in episodes: what it collects on average. Over all processes, where there are several."""

    def __init__(self, tables: Mapping[Table, Sequence[Played]], rounds: int) -> None:
        self.rounds = rounds
        own: dict[Table, tuple[int, dict[str, float]]] = {}
        for table, played in tables.items():
            sums: dict[str, float] = {}
            for episode, _ in played:
                for fell in episode.fell:
                    for name, value in fell.due.items():
                        sums[name] = sums.get(name, 0.0) + value
            own[table] = len(played), sums
        self.means: dict[Table, dict[str, float]] = {}
        everyones = ranks.everyones(own)
        for table in own:
            count = sum(part[table][0] for part in everyones)
            names = dict.fromkeys(name for part in everyones for name in part[table][1])
            self.means[table] = {n: sum(part[table][1].get(n, 0.0) for part in everyones) / count for n in names}

    def collects(self, meeting: Meeting, due: Mapping[str, float]) -> float:
        """Return the mean sum of ``due`` per round; not a number where the opponent was not met."""
        means = self.means.get((meeting.opponent, meeting.seat))
        if means is None:
            return np.nan
        return sum(weight * means.get(name, 0.0) for name, weight in due.items()) / self.rounds


def seen_terms(
    ground: Ground,
    measures: MeasureSet,
    seen: Seen,
    lambdas: Weights,
    margin: float,
    share: float = 1.0,
) -> list[Term]:
    """Write J out at what was seen of a policy.

    An exploiter counts while it is seen to be ahead: the clip is on the mean over its episodes, never on one of them.

    Parameters
    ----------
    share
        The chance that an opponent was met, where only some were: the terms of those that were weigh so much more.
    """
    found = terms(ground, measures, seen, lambdas, measures.pools["exploiter"], margin)
    return [replace(t, share=t.share / share) for t in found if (t.opponent, t.seat) in seen.means]


class Credit(NamedTuple):
    """What the turns of a step are credited with.

    Attributes
    ----------
    turns
        The advantages of each episode's turns, (turns,) each, in the order of the tables and their episodes.
    divisor
        What they were divided by.
    ledger
        What each measure contributed: its summand of J and its share of the advantages. ``recovered`` is the projection
        of its advantages on those of its own episodes.
    """

    turns: list[Floats]
    divisor: float
    ledger: tuple[LedgerRow, ...]


def credit(
    tables: Mapping[Table, Sequence[Played]], found: Sequence[Term], rules: CreditRules, legality: float = 0.0
) -> Credit:
    """Credit every turn with what its episode collects, term by term, above the others of its group.

    Parameters
    ----------
    found
        The terms of J at the episodes.
    rules
        Its groups are those that were played here, in this process.
    legality
        What a reply that is no legal answer costs, in units of the scaled advantages; above the group, as all else.
    """
    grids = {table: _Grid(played) for table, played in tables.items()}
    unscaled = replace(rules, scale="none")
    parts, true = ({k: {t: np.zeros(g.mask.shape) for t, g in grids.items()} for k in KINDS} for _ in range(2))
    spread: dict[Kind, list[float]] = {k: [] for k in KINDS}
    squares = count = 0.0
    for term in found:
        grid, table = grids[term.opponent, term.seat], (term.opponent, term.seat)
        own = term.weight * grid.returns(term.due, rules.returns)
        true[term.kind][table] += advantages_of({term.kind: own}, grid.mask, 1.0, unscaled)[term.kind]
        if rules.credit != "credited" and term.kind != "u":
            continue
        returns: dict[Kind, Floats] = {term.kind: own}
        means: dict[Kind, Floats] = {}
        if rules.credit != "credited":
            for kind in KINDS[1:]:
                charge = term.share * _charge(grids, [t for t in found if t.kind == kind], rules, len(grid.mask))
                returns[kind], means[kind] = (
                    np.repeat(of[:, None], grid.mask.shape[1], axis=1) for of in (charge, _others(charge, rules))
                )
        advantages = advantages_of(returns, grid.mask, term.share, rules, means)
        for kind, values in advantages.items():
            parts[kind][table] += values
            spread[kind].append(mean_square(values, grid.mask, rules))
        squares += float(np.sum(np.sum(list(advantages.values()), axis=0) ** 2))
        count += float(grid.mask.sum())
    divisor = 1.0
    if rules.scale == "joint":
        whole = ranks.everyones((squares, count))
        divisor = root_mean_square(sum(s for s, _ in whole) / max(1.0, sum(c for _, c in whole)))
    out: list[Floats] = []
    for table, grid in grids.items():
        total = np.sum([parts[k][table] for k in KINDS], axis=0) / divisor
        if legality:
            told = advantages_of({"u": -legality * grid.faults}, grid.mask, 1.0, unscaled)
            total = total + told["u"]
        out += [row[there] for row, there in zip(total, grid.mask, strict=True)]
    return Credit(out, divisor, _ledger(found, parts, true, spread))


class _Grid:
    """The episodes of one opponent and seat as arrays (episodes, own decisions)."""

    def __init__(self, played: Sequence[Played]) -> None:
        self.played = played
        sizes = np.array([len(p.turns) for p in played])
        self.mask: Mask = np.arange(max(1, sizes.max())) < sizes[:, None]
        self.faults = np.zeros(self.mask.shape)
        for row, p in enumerate(played):
            self.faults[row, : len(p.turns)] = [turn.fault is not None for turn in p.turns]

    def returns(self, due: Mapping[str, float], of: Literal["to_go", "immediate"]) -> Floats:
        """Return what falls due from each own move on; ``immediate``: of its own round."""
        out = np.zeros(self.mask.shape)
        for row, p in enumerate(self.played):
            fell = p.episode.fell
            amounts = _amounts(p, due)
            later = np.cumsum(amounts[::-1])[::-1]
            own = [i for i, f in enumerate(fell) if f.own]
            if of == "to_go":
                out[row, : len(own)] = later[own]
                continue
            for place, i in enumerate(own):
                out[row, place] = sum(a for a, f in zip(amounts[i:], fell[i:], strict=True) if f.round == fell[i].round)
        return out

    def collected(self, due: Mapping[str, float]) -> Floats:
        """Return what each episode collects. (episodes,)."""
        return np.array([_amounts(p, due).sum() for p in self.played])


def _amounts(p: Played, due: Mapping[str, float]) -> Floats:
    """Return what falls due on each move of an episode. (moves,)."""
    return np.array([sum(w * f.due.get(name, 0.0) for name, w in due.items()) for f in p.episode.fell])


def _charge(grids: Mapping[Table, _Grid], penalties: Sequence[Term], rules: CreditRules, episodes: int) -> Floats:
    """Return the penalty that each training episode is charged with, by the rules that are not ``credited``.

    A rollout's penalty episode is of the group before its own: where a penalty is of the opponent that is trained
    against, that of its own group would be itself, or what its baseline is made of.
    """
    if rules.credit == "constant":
        return np.full(episodes, sum(t.coefficient * t.share * t.value for t in penalties))
    out = np.zeros(episodes)
    for t in penalties:
        out += t.weight * np.roll(grids[t.opponent, t.seat].collected(t.due), rules.group_size)
    return out


def _others(charges: Floats, rules: CreditRules) -> Floats:
    """Return the mean charge of the other episodes of each one's group. (episodes,)."""
    grouped = charges.reshape(rules.groups, rules.group_size)
    mean: Floats = (grouped.sum(axis=1, keepdims=True) - grouped) / (rules.group_size - 1)
    return mean.ravel()


def _ledger(
    found: Sequence[Term],
    parts: Mapping[Kind, Mapping[Table, Floats]],
    true: Mapping[Kind, Mapping[Table, Floats]],
    spread: Mapping[Kind, Sequence[float]],
) -> tuple[LedgerRow, ...]:
    own, wanted = ({k: np.concatenate([a.ravel() for a in of[k].values()]) for k in KINDS} for of in (parts, true))
    total = np.sum(list(own.values()), axis=0)
    square, norm = float(total @ total), sum(float(np.linalg.norm(a)) for a in own.values())
    rows = []
    for kind in KINDS:
        mine = [t for t in found if t.kind == kind]
        if not mine:
            continue
        length = float(wanted[kind] @ wanted[kind])
        rows.append(
            LedgerRow(
                kind=kind,
                value=float(sum(t.coefficient * t.share * t.value for t in mine)),
                variance=float(np.mean(spread[kind])) if spread[kind] else 0.0,
                advantage_share=float(own[kind] @ total) / square if square > 0 else 0.0,
                gradient_share=float(np.linalg.norm(own[kind])) / norm if norm > 0 else 0.0,
                recovered=float(own[kind] @ wanted[kind]) / length if length > 0 else None,
            )
        )
    return tuple(rows)
