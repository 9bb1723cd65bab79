"""The best of a searched family of opponents: a lower bound of what anyone can gain, where nobody can say the most.

Where the tree of a policy against all opponents cannot be held, there is no exact best response. Some opponents can
still be tried, and what the best of them gains is gained by at least somebody. The family, all deterministic:

- in repeated games every constant action, every opponent with memory one where there are few (ipd: 2 * 2^4 = 32, a
  first action and an answer to each last pair), and the game's own scripts with a short memory;
- what tabular adversaries have learnt (``audit.adversary``);
- *local search* from the best of these and from random rules: an opponent whose action depends on the number of the
  round, the last pair, what is public and its own private information. Every episode passes exactly one such situation
  of each round, so all actions of one round can be improved at once and exactly. Rounds take turns, last one first,
  until nothing improves.

Opponents are valued exactly, on a graph of the game that grows where they go (``audit.growing``). Where that grows too
large they are valued on sampled episodes, and the local search is left out: chosen on one half of them, valued on the
other (``estimate.split_maximum``).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sepo.audit.adversary import learn
from sepo.audit.board import Subject, longer
from sepo.audit.encounter import GAIN, Meeting, row_of
from sepo.audit.estimate import Interval, split_maximum
from sepo.audit.growing import Choose, Growing
from sepo.audit.rule import Rule, written
from sepo.errors import TooLargeError
from sepo.games.base import Decision, Game, Memory, Opponent
from sepo.games.repeated import Pair, RepeatedGame
from sepo.keys import generator
from sepo.policies.script import played
from sepo.solve.expand import MAX_NODES, walk
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import expected

FEW = 64
"""Opponents with memory one are all tried if there are at most so many."""
LEARNERS, PRACTICE, HELD = 8, 4000, 20_000
"""Adversaries that learn, for how many rounds, and the largest tree held for them."""
CLIMBS, RANDOM, SWEEPS = 2, 1, 4
"""The local search's starts, the best known ones and random ones; most sweeps over the rounds from one start."""
EDGES, FAMILY = 200_000, 1 / 5
"""Most outcomes of rounds that the graph may hold; the share of them for the family without local search."""
NODES = 50_000
"""Largest tree walked to value an opponent in a game that is not repeated."""
EPISODES, DRAWS = 512, 64
"""Episodes per opponent where they are sampled, and draws of one outside repeated games."""
TASTE = 64
"""Episodes that decide whom to value first."""


class Found(NamedTuple):
    """The best opponent found: a lower bound of what the best of all gains.

    Attributes
    ----------
    value
        What it gains per round, averaged over the learner's seats.
    rules
        The opponent by its own seat.
    tried
        How many opponents were valued; alternatives at one step of the local search count as one each.
    exact
        Whether ``value`` is exact for these opponents. Else it is from episodes on which they were not chosen.
    chosen
        Their value where they were chosen, biased upward; ``value`` if exact.
    interval
        Of ``value``; None if exact.
    """

    value: float
    rules: Mapping[int, Rule]
    tried: int
    exact: bool
    chosen: float
    interval: Interval | None


def search(
    subject: Subject,
    key: tuple[object, ...],
    *,
    objective: Mapping[str, float] = GAIN,
    edges: int = EDGES,
    episodes: int = EPISODES,
) -> Found:
    """Search for an opponent that gains much.

    Parameters
    ----------
    key
        Of the randomness: run seed, game.
    objective
        Weights of the opponent's ``own`` payoff and of the ``other``'s: the difference unless told otherwise,
        ``{"other": -1}`` for the most harm.
    edges
        Largest graph that is grown; 0 samples.
    episodes
        Per opponent where they are sampled, both halves together.
    """
    game = subject.game
    taught = learn(subject, (*key, "search"), seeds=LEARNERS, horizon=PRACTICE, max_nodes=HELD)
    family = [*_scripts(game), *(_follows(x.rule) for x in taught)]
    try:
        if isinstance(game, RepeatedGame):
            best = [_grown(subject, 1 - s, family, objective, edges, generator(*key, "search", s)) for s in game.seats]
        else:
            best = [_walked(subject, 1 - s, family, objective, min(edges, NODES)) for s in game.seats]
    except TooLargeError:
        return _sampled(subject, family, objective, episodes, key)
    value = float(np.mean([b.value for b in best])) / game.rounds
    rules = {1 - s: b.rule for s, b in zip(game.seats, best, strict=True)}
    return Found(value, rules, sum(b.tried for b in best), True, value, None)


def replay(
    subject: Subject, rule: Rule, seat: int, objective: Mapping[str, float] = GAIN, max_nodes: int = MAX_NODES
) -> float:
    """Return exactly what a rule in ``seat`` gains per round, from the tree of the meeting.

    Raises
    ------
    TooLargeError
        If that has more than ``max_nodes`` nodes.
    """
    return _met(subject, rule, rule.memory, seat, objective, max_nodes) / subject.game.rounds


class _Best(NamedTuple):
    """The best opponent of one seat, what it collects in an episode, and how many were valued."""

    value: float
    rule: Rule
    tried: int


def _scripts(game: Game) -> list[Choose]:
    """Return the constants, those with memory one if they are few, and the game's own where they are deterministic."""
    if not isinstance(game, RepeatedGame):
        return []
    deals = game.deals(0, game.start, (None, None))
    actions = [game.actions(d.public) for d in deals] or [game.actions(game.start)]
    out = [_plays(a) for a in actions[0] if all(a in legal for legal in actions)]
    pairs = [Pair(a, b) for a in actions[0] for b in actions[0]]
    if len(set(actions)) == 1 and len(actions[0]) ** (1 + len(pairs)) <= FEW:
        states = [None, *pairs]
        rules = itertools.product(actions[0], repeat=len(states))
        out += [_answers(dict(zip(states, rule, strict=True))) for rule in rules if len(set(rule)) > 1]
    return out + [_script(o) for o in game.opponents.values() if o.memory != "all"]


def _plays(action: str) -> Choose:
    """Return the constant: it plays one action, and the first legal one where that is not legal."""
    return lambda decision: action if action in decision.legal else decision.legal[0]


def _answers(rule: Mapping[Pair | None, str]) -> Choose:
    """Return an opponent with memory one; it plays the first legal action where the rule has no legal one."""

    def choose(decision: Decision) -> str:
        action = rule.get(decision.view.rounds[-1] if decision.view.rounds else None)
        return action if action in decision.legal else decision.legal[0]

    return choose


def _script(opponent: Opponent) -> Choose:
    """Return a script; where it draws lots, its likeliest action, the first of several."""
    return lambda decision: decision.legal[int(played(opponent, decision).argmax())]


def _follows(rule: Mapping[Hashable, str]) -> Choose:
    """Return the opponent that follows a table of rows; elsewhere it plays what it mostly plays, if it can."""
    usual = Counter(rule.values()).most_common()

    def choose(decision: Decision) -> str:
        if (action := rule.get(row_of(decision.game, decision.seat, decision.view))) is not None:
            return action
        return next((a for a, _ in usual if a in decision.legal), decision.legal[0])

    return choose


def _grown(
    subject: Subject,
    seat: int,
    family: Sequence[Choose],
    objective: Mapping[str, float],
    edges: int,
    rng: np.random.Generator,
) -> _Best:
    """Value a family on the graph, and search on from its best."""
    graph = Growing(subject, seat, objective, int(edges * FAMILY))
    if subject.memory == "all":  # the graph may not hold them all: likely ones first
        draws = rng.random((TASTE, subject.game.rounds + 1))
        meeting = Meeting(subject, objective)
        tasted = [sum(_episode(meeting, seat, choose, u, {}) for u in draws.tolist()) for choose in family]
        family = [family[i] for i in np.argsort(tasted, kind="stable")[::-1]]
    starts: list[tuple[float, Choose]] = []
    for choose in family:
        graph.use(choose)
        try:
            starts.append((graph.value(), choose))
        except TooLargeError:
            if not starts:
                raise
            break
    starts.sort(key=lambda start: -start[0])
    graph.most = edges
    value, best = starts[0]
    graph.use(best)
    rule = graph.rule()
    for choose in [*(start for _, start in starts[:CLIMBS]), *(_lots(rng) for _ in range(RANDOM))]:
        graph.use(choose)
        if (reached := _climbed(graph)) > value:
            value, best, rule = reached, choose, graph.rule()
    return _Best(value, written(rule, best), graph.valued)


def _climbed(graph: Growing) -> float:
    """Improve the opponent on the graph, round by round, as far as the graph may grow; return what it collects."""
    try:
        value = graph.value()
        for _ in range(SWEEPS):
            better = [graph.improve(number) for number in reversed(range(graph.game.rounds))]
            if not any(better):
                break
            value = graph.value()
    except TooLargeError:
        try:
            return graph.value()  # rounds improved so far
        except TooLargeError:
            return float("-inf")
    return value


def _lots(rng: np.random.Generator) -> Choose:
    """Return a random opponent; the same decision is put to it once."""
    return lambda decision: decision.legal[int(rng.integers(len(decision.legal)))]


def _walked(
    subject: Subject, seat: int, family: Sequence[Choose], objective: Mapping[str, float], max_nodes: int
) -> _Best:
    """Value a family on the trees of the meetings."""
    value, best = max(
        ((_met(subject, choose, "all", seat, objective, max_nodes), choose) for choose in family), key=lambda x: x[0]
    )
    tree = _tree(subject, best, "all", seat, max_nodes)
    asked = [i.decision for i in tree.infosets if i.seat == seat]
    return _Best(value, written([(d, best(d)) for d in asked], best), len(family))


def _tree(subject: Subject, choose: Choose, memory: Memory, seat: int, max_nodes: int) -> Tree:
    def answer(decision: Decision) -> Floats:
        out: Floats = np.eye(len(decision.legal))[decision.legal.index(choose(decision))]
        return out

    return walk(subject.game, {1 - seat: subject, seat: answer}, longer(subject.memory, memory), max_nodes)


def _met(
    subject: Subject, choose: Choose, memory: Memory, seat: int, objective: Mapping[str, float], max_nodes: int
) -> float:
    """Return what an opponent collects in an episode, from the tree of the meeting."""
    tree = _tree(subject, choose, memory, seat, max_nodes)
    return expected(tree, tree.fixed, tree.combine(seat, objective))


def _sampled(
    subject: Subject, family: Sequence[Choose], objective: Mapping[str, float], episodes: int, key: tuple[object, ...]
) -> Found:
    """Value a family on episodes that meet the same draws; the best on one half counts for what it is on the other."""
    game, half = subject.game, max(2, episodes // 2)
    meeting = Meeting(subject, objective)
    columns = game.rounds + 1 if isinstance(game, RepeatedGame) else DRAWS
    chosen_on, valued_on = np.zeros(half), np.zeros(half)
    rules = {}
    for s in game.seats:
        draws = generator(*key, "search", "episodes", s).random((2 * half, columns))
        met: list[dict[str, tuple[Decision, str]]] = [{} for _ in family]
        gains = np.array(
            [[_episode(meeting, 1 - s, c, u, m) for c, m in zip(family, met, strict=True)] for u in draws.tolist()]
        )
        best = int(gains[:half].mean(axis=0).argmax())
        chosen_on += gains[:half, best] / (game.rounds * len(game.seats))
        valued_on += gains[half:, best] / (game.rounds * len(game.seats))
        rules[1 - s] = written(list(met[best].values()), family[best])
    split = split_maximum(chosen_on[:, None], valued_on[:, None], generator(*key, "search", "interval"))
    tried = len(family) * len(game.seats)
    return Found(split.valued.value, rules, tried, False, split.found, split.valued)


def _episode(
    meeting: Meeting, seat: int, choose: Choose, draws: Sequence[float], met: dict[str, tuple[Decision, str]]
) -> float:
    """Play an episode; return what the opponent collects, and note its decisions."""
    state, total = meeting.begin(seat, draws[0])
    for step in itertools.count(1):
        if state is None:
            break
        decision = meeting.game.decision(state)
        action = choose(decision)
        met[decision.key] = decision, action
        state, gain = meeting.act(seat, state, action, draws[step % len(draws)])
        total += gain
    return total
