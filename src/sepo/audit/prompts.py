"""The digest of what a game asks: that two audits put the same questions can be told without either's prompts.

The digest is a SHA-256 over canonical JSON (ASCII, no spaces): one entry a game, ``[name, rules, decisions]``, and of
each decision ``[key, [[role, content], ...], [reply, ...]]`` with the chat as it is put to a model, in the order of
keys. Where a game has few states, those are all its information states. Else they are the ones met in ``EPISODES``
episodes in which chance and both seats choose evenly, by keys of game and episode: which ones does not depend on any
policy, so the digest is one of the questions, not of the answers. A policy that reads nothing has it all the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from sepo.games.base import CHANCE, TERMINAL, Decision, Game, State
from sepo.games.wording import chosen, reword
from sepo.keys import generator
from sepo.lm.reasoned import asked

STATES = 2000
"""Nodes up to which a game is walked whole."""
EPISODES = 64


def prompts(games: Iterable[Game], wording: str | None = None, *, reasoned: bool = False) -> dict[str, Any]:
    """Return the digest, the number of decisions in it, and whether they are all there are.

    Parameters
    ----------
    wording
        The name of the wording in which they are put; the games' own words unless given.
    reasoned
        Whether they are put in the reasoned style.
    """
    entries: list[Any] = []
    count, whole = 0, True
    for game in dict.fromkeys(games):
        decisions, every = questions(game)
        if wording is not None:
            words = chosen(game, [wording])[0]
            decisions = [reword(d, words) for d in decisions]
        entries.append([game.name, dict(game.rules), [_question(d, reasoned=reasoned) for d in decisions]])
        count, whole = count + len(decisions), whole and every
    text = json.dumps(entries, separators=(",", ":"), sort_keys=True, default=str)
    return {"sha256": hashlib.sha256(text.encode("ascii")).hexdigest(), "decisions": count, "all": whole}


def questions(game: Game) -> tuple[list[Decision], bool]:
    """Return the decisions that the digest is about, in the order of their keys, and whether they are all."""
    found = _every(game)
    whole = found is not None
    if found is None:
        found = {}
        for episode in range(EPISODES):
            _meet(game, episode, found)
    return [found[key] for key in sorted(found)], whole


def _question(decision: Decision, *, reasoned: bool) -> list[Any]:
    turns = asked(decision.chat()) if reasoned else decision.chat()
    return [decision.key, [list(turn) for turn in turns], list(decision.words())]


def _every(game: Game) -> dict[str, Decision] | None:
    """Return all decisions of a game by key; None where there are too many nodes."""
    found: dict[str, Decision] = {}
    states: list[State] = [game.root()]
    for state in states:  # the list grows while it is read
        moves = _moves(game, state, found)
        if len(states) + len(moves) > STATES:
            return None
        states += [state.child(move) for move in moves]
    return found


def _meet(game: Game, episode: int, found: dict[str, Decision]) -> None:
    """Play one episode, every choice even, and note the decisions met."""
    rng = generator("prompts", game.name, episode)
    state = game.root()
    while moves := _moves(game, state, found):
        state = state.child(moves[int(rng.random() * len(moves))])


def _moves(game: Game, state: State, found: dict[str, Decision]) -> list[str]:
    """Return the moves out of a state, and note the decision that it is."""
    if state.actor == TERMINAL:
        return []
    if state.actor == CHANCE:
        return [label for label, _ in state.chance()]
    decision = game.decision(state)
    found.setdefault(decision.key, decision)
    return list(decision.legal)
