"""``check(game)``: hold a game to the whole of its contract, for the tests of its author.

``solve.expand`` refuses what would make its figures wrong. Here the rest is held to as well: chats that only grow,
keys and words that tell states and actions apart, scripts that answer everywhere, measures that name what there
is. A small game is walked in full; of a large one a part is, then random episodes. No figure is computed here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple, NoReturn, get_args

import numpy as np

from sepo.errors import ContractError
from sepo.games.base import CHANCE, TERMINAL, Decision, Game, MeasureName, Opponent, PoolName, Ratio, State, Turn
from sepo.games.held import hold_to_divisors, hold_to_figures, hold_to_hashing, read_back, recorded
from sepo.games.wording import ORIGINAL, reword, wordings

TOLERANCE = 1e-9
ENOUGH = 2_000  # questions that are put in every wording
NEEDED: tuple[PoolName, ...] = ("train", "exploiter", "held_out")


class Checked(NamedTuple):
    """What was looked at: nodes, information states of both seats, and whether that was the whole game."""

    nodes: int
    decisions: int
    complete: bool


class Past(NamedTuple):
    """A seat's last decision on the way to a node."""

    key: str
    action: str
    chat: tuple[Turn, ...]


class Node(NamedTuple):
    """A state with what led to it: moves made, payoffs so far and each seat's last decision."""

    state: State
    depth: int
    paid: tuple[float, float]
    past: tuple[Past | None, Past | None]


def check(
    game: Game,
    *,
    max_nodes: int = 200_000,
    max_depth: int = 1_000,
    episodes: int = 200,
    perfect_recall: bool = True,
) -> Checked:
    """Hold a game to its contract (see ``games.base``).

    Parameters
    ----------
    max_nodes
        Nodes to walk in order; of a larger game, ``episodes`` random ones are played besides.
    max_depth
        The most moves of an episode, chance moves included.
    perfect_recall
        Whether an information state must have one past, and its chat continue the one of the same seat's decision
        before and its reply. False for a game in which a seat forgets what no longer matters to it, such as last
        round's value in ``auction``; then it must remember its last action alone.

    Raises
    ------
    ContractError
        At the first breach; the message names the game, and the state where there is one.
    """
    hold_to_hashing(game)
    hold_to_figures(game)
    _check_measures(game)
    _check_rules(game)
    walk = _Walk(game, max_depth, perfect_recall)
    left = [walk.root()]
    while left and walk.nodes < max_nodes:
        left += reversed(walk.visit(left.pop()))
    complete = not left
    rng = np.random.default_rng(0)
    for _ in range(0 if complete else episodes):
        node = walk.root()
        while following := walk.visit(node):
            node = following[rng.integers(len(following))]
    if complete:
        walk.check_payoffs()
    _check_wordings(game, list(islice(walk.questions.values(), ENOUGH)))
    for policy in (*game.opponents.values(), *(o for _, o in game.demonstrators)):
        for decision in walk.questions.values():
            _check_script(policy, decision)
    for opponent in game.opponents.values():
        for _ in range(episodes if opponent.memory != "all" else 0):
            _check_memory(game, opponent, rng)
    return Checked(walk.nodes, len(walk.met), complete)


class _Walk:
    """What was met so far, and what each new node must agree with."""

    def __init__(self, game: Game, max_depth: int, perfect_recall: bool) -> None:
        self.game, self.max_depth, self.perfect_recall = game, max_depth, perfect_recall
        self.nodes = 0
        self.met: dict[tuple[int, str], tuple[Decision, Past | None]] = {}
        self.questions: dict[str, Decision] = {}
        self.asked: dict[tuple[int, tuple[Turn, ...]], str] = {}
        self.unbalanced = False

    def root(self) -> Node:
        """Return the first node; nothing falls due there."""
        state = self.game.root()
        if any(state.rewards()) or any(any(state.features(seat)) for seat in (0, 1)):
            self.fail("something falls due on entering the first state, where nobody has moved", state)
        return Node(state, 0, (0.0, 0.0), (None, None))

    def visit(self, node: Node) -> list[Node]:
        """Check a node and return those that follow."""
        self.nodes += 1
        state = node.state
        if node.depth > self.max_depth:
            self.fail(f"an episode has more than {self.max_depth} moves: does it ever end?", state)
        if node.depth:
            self._due(state)
        if state.actor == TERMINAL:
            self.unbalanced |= abs(sum(node.paid)) > TOLERANCE
            return []
        if state.actor == CHANCE:
            return [self._next(node, label, node.past) for label in self._chance(state)]
        if state.actor not in (0, 1):
            self.fail(f"actor {state.actor} is no seat, CHANCE or TERMINAL", state)
        decision, chat = self._decision(node)
        out = []
        for action in decision.legal:
            mine = Past(decision.key, action, chat)
            past = (mine, node.past[1]) if state.actor == 0 else (node.past[0], mine)
            out.append(self._next(node, action, past))
        return out

    def _next(self, node: Node, label: str, past: tuple[Past | None, Past | None]) -> Node:
        state = node.state.child(label)
        if state is node.state:
            self.fail(f"child('{label}') is the state itself: states must not change", state)
        if state.round < node.state.round or not 0 <= state.round < self.game.rounds:
            self.fail(f"round {state.round} after round {node.state.round} of {self.game.rounds}", state)
        own, other = state.rewards()
        return Node(state, node.depth + 1, (node.paid[0] + own, node.paid[1] + other), past)

    def _chance(self, state: State) -> list[str]:
        labels, chances = [label for label, _ in state.chance()], [p for _, p in state.chance()]
        total = math.fsum(chances)
        if not abs(total - 1) <= TOLERANCE or not all(p > 0 for p in chances):
            self.fail(f"chance probabilities must be positive and sum to 1, not {chances} with sum {total}", state)
        if len(set(labels)) < len(labels):
            self.fail(f"one chance outcome twice: {labels}", state)
        return labels

    def _due(self, state: State) -> None:
        rewards = state.rewards()
        if not all(math.isfinite(r) for r in rewards):
            self.fail(f"payoffs {rewards} are no finite numbers", state)
        if self.game.zero_sum and abs(sum(rewards)) > TOLERANCE:
            self.fail(f"it calls itself zero-sum, but pays {rewards}", state)
        for seat in (0, 1):
            found = state.features(seat)
            if len(found) != len(self.game.features) or not all(math.isfinite(f) for f in found):
                self.fail(f"features {found} are not one finite number for each of {self.game.features}", state)
            if seat in self.game.seats:
                own = {"own": rewards[seat], "other": rewards[1 - seat]}
                due = own | dict(zip(self.game.features, found, strict=True))
                hold_to_divisors(self.game, due, f"at {state!r}")

    def _decision(self, node: Node) -> tuple[Decision, tuple[Turn, ...]]:
        """Put a node's question; at an information state met before, it must be the same question."""
        decision, past = self.game.decision(node.state), node.past[node.state.actor]
        before = self.met.setdefault((decision.seat, decision.key), (decision, past))
        if before[0] is decision:
            self._new(decision, past, node.state)
            return decision, decision.chat()
        where = f"information state '{decision.key}'"
        if decision.legal != before[0].legal:
            self.fail(f"legal actions differ within {where}: {decision.legal} and {before[0].legal}", node.state)
        if decision.view != before[0].view:
            self.fail(f"two views have one key, {where}: {decision.view!r} and {before[0].view!r}", node.state)
        recalled = slice(0, 2) if self.perfect_recall else slice(1, 2)  # key and action, or the action
        if (past and past[recalled]) != (before[1] and before[1][recalled]):
            self.fail(f"no perfect recall: seat {decision.seat} forgets what it did before {where}", node.state)
        return before[0], decision.chat()

    def _new(self, decision: Decision, past: Past | None, state: State) -> None:
        where = f"at information state '{decision.key}'"
        chat, words = decision.chat(), decision.words()
        if not words or len(set(decision.legal)) < len(words):
            self.fail(f"no legal action, or one twice, {where}: {decision.legal}", state)
        if len(set(words)) < len(words) or not all(w and w == w.strip() for w in words):
            self.fail(f"words must differ and have no space around them, unlike {words} {where}", state)
        other = self.questions.setdefault(decision.key, decision)
        if (other.chat(), other.legal) != (chat, decision.legal):
            self.fail(f"the seats are asked different questions under one key, '{decision.key}'", state)
        if (key := self.asked.setdefault((decision.seat, chat), decision.key)) != decision.key:
            self.fail(f"the chat does not tell '{decision.key}' from '{key}'", state)
        roles = [turn.role for turn in chat]
        expected = ["user" if i % 2 == 0 else "assistant" for i in range(len(roles) - (roles[:1] == ["system"]))]
        if roles[-len(expected) :] != expected or roles[-1:] != ["user"]:
            self.fail(f"the chat must go system, user, assistant, user …, user, not {roles} {where}", state)
        if past is not None and self.perfect_recall:
            said = (*past.chat, Turn("assistant", self.game.word(past.action)))
            if chat[: len(said)] != said or len(chat) == len(said):
                self.fail(f"the chat {where} does not continue that of '{past.key}' and the reply {said[-1]}", state)

    def check_payoffs(self) -> None:
        """Hold what the game says of its payoffs against all of them."""
        if not self.game.zero_sum and not self.unbalanced:
            self.fail("every episode's payoffs sum to 0, but zero_sum is False")

    def fail(self, what: str, state: State | None = None) -> NoReturn:
        """Raise the error that names the game and the state."""
        _fail(self.game, what if state is None else f"{what}; at {state!r}")


def _fail(game: Game, what: str) -> NoReturn:
    raise ContractError(f"game '{game.name}': {' '.join(what.split())}")


def _check_rules(game: Game) -> None:
    """Hold the attributes to the contract: what the game is made with, and how its figures are scaled."""
    if not game.max_payoff > 0 or game.rounds < 1 or game.hands < 1:
        _fail(game, "max_payoff, rounds and hands must be positive")
    if not game.seats or not set(game.seats) <= {0, 1}:
        _fail(game, f"the learner's seats must be 0, 1 or both, not {game.seats}")
    if game.cooperation is not None and game.cooperation not in game.features:
        _fail(game, f"cooperation is '{game.cooperation}', which is no feature")
    if (watched := game.deviation) is not None:
        unknown = [name for name in watched[:2] if name not in game.opponents]
        if unknown or watched.feature not in game.features or not 0 <= watched.round < game.rounds:
            _fail(game, f"{watched} names no opponents, round and feature of the game")
    if not game.name.isidentifier():
        return  # an `openspiel:NAME`: not made from its rules
    presets = game.presets
    if presets and not set(get_args(MeasureName)) <= set(presets):
        _fail(game, f"presets must hold 'paper' and 'sepo', not {sorted(presets)}")
    for asked in (game.rules, *presets.values()):
        try:
            rules = read_back(asked)
            made = recorded(type(game)(**rules))
        except (TypeError, ValueError) as error:
            _fail(game, f"it cannot be made with its own rules, as read from a file, {dict(asked)}: {error}")
        if any(made.get(rule) != value for rule, value in rules.items()):
            _fail(game, f"made with the rules {dict(rules)} it has the rules {dict(made)}")


def _check_measures(game: Game) -> None:
    """Hold opponents, demonstrators and both measure sets to the contract: every name they use is there."""
    if wrong := [name for name, o in game.opponents.items() if o.name != name]:
        _fail(game, f"opponent '{game.opponents[wrong[0]].name}' is listed as '{wrong[0]}'")
    shares = [share for share, _ in game.demonstrators]
    if not abs(math.fsum(shares) - 1) <= TOLERANCE or min(shares) < 0:
        _fail(game, f"the shares of the demonstrators must be positive and sum to 1, not {shares}")
    names: tuple[MeasureName, ...] = get_args(MeasureName)
    for name in names:
        chosen, where = game.measures(name), f"measures '{name}'"
        if chosen.name != name:
            _fail(game, f"{where} call themselves '{chosen.name}'")
        if not all(math.isfinite(w) and w >= 0 for w in chosen.weights):
            _fail(game, f"{where}: weights must be finite and not negative, not {chosen.weights}")
        if chosen.e == "exploitability" and not game.zero_sum:
            _fail(game, f"{where}: e is exploitability, which is for zero-sum games")
        _check_pools(game, where, chosen.pools)
        for ratio in (chosen.c, chosen.x):
            if ratio is not None:
                _check_ratio(game, where, ratio, chosen.pools)


def _check_pools(game: Game, where: str, pools: Mapping[PoolName, Sequence[str]]) -> None:
    if set(pools) != set(get_args(PoolName)):
        _fail(game, f"{where}: the pools must be {', '.join(get_args(PoolName))}, not {', '.join(pools)}")
    for pool, members in pools.items():
        if not members and pool in NEEDED:
            _fail(game, f"{where}: pool '{pool}' is empty")
        if pool != "held_out" and (both := set(members) & set(pools["held_out"])):
            _fail(game, f"{where}: '{min(both)}' is held out and in pool '{pool}'")


def _check_ratio(game: Game, where: str, ratio: Ratio, pools: Mapping[PoolName, Sequence[str]]) -> None:
    if not any(pools[name] for name in ratio.pools):
        _fail(game, f"{where}: no opponent in the pools {ratio.pools} of '{ratio.numerator}/{ratio.denominator}'")


def _check_wordings(game: Game, questions: Sequence[Decision]) -> None:
    """Hold every wording to what the game's own words are held to, telling actions and states apart, and to changes."""
    names = [wording.name for wording in wordings(game)]
    if len(set(names)) < len(names):
        _fail(game, f"two wordings of one name, or one called 'original': {names}")
    for wording in wordings(game):
        asked: dict[tuple[Turn, ...], str] = {}
        changes = False
        for own in questions:
            decision = reword(own, wording)
            where = f"wording '{wording.name}' at information state '{decision.key}'"
            words = decision.words()
            if len(set(words)) < len(words) or not all(w and w == w.strip() for w in words):
                _fail(game, f"words must differ and have no space around them, unlike {words} in {where}")
            try:
                chat = decision.chat()
            except ContractError:
                raise
            except (KeyError, IndexError, ValueError) as error:
                _fail(game, f"{where}: its rules cannot be written out: {error!r}")
            if (key := asked.setdefault(chat, decision.key)) != decision.key:
                _fail(game, f"the chat does not tell '{decision.key}' from '{key}' in {where}")
            changes |= chat != own.chat() or words != own.words()
        if questions and not changes and wording != ORIGINAL:
            _fail(game, f"wording '{wording.name}' changes no chat and no reply: do its words occur as they are?")


def _check_script(policy: Opponent, decision: Decision) -> None:
    """Hold a script's answer to the contract: legal, normalised, the same each time."""
    answer = policy.script(decision)
    where = f"script '{policy.name}' at information state '{decision.key}'"
    if illegal := [action for action, p in answer.items() if p > 0 and action not in decision.legal]:
        _fail(decision.game, f"{where} plays '{illegal[0]}', and the legal actions are {decision.legal}")
    if not abs(math.fsum(answer.values()) - 1) <= TOLERANCE or min(answer.values()) < 0:
        _fail(decision.game, f"{where}: probabilities must sum to 1 and not be negative, unlike {dict(answer)}")
    if policy.script(decision) != answer:
        _fail(decision.game, f"{where} answers differently when asked again: scripts have no hidden random state")


def _check_memory(game: Game, opponent: Opponent, rng: np.random.Generator) -> None:
    """Play a random episode beside the same one as remembered: the script must not tell them apart."""
    full, short = game.root(), game.forgetful(opponent.memory)
    while full.actor != TERMINAL:
        if full.actor != CHANCE:
            decision = game.decision(full)
            if opponent.script(decision) != opponent.script(game.decision(short)):
                where = f"script '{opponent.name}' at information state '{decision.key}'"
                _fail(game, f"{where} answers by more than its memory '{opponent.memory}'")
        moves = full.legal() if full.actor != CHANCE else [label for label, _ in full.chance()]
        move = moves[rng.integers(len(moves))]
        full, short = full.child(move), short.child(move)
