"""Wordings: other ways to put the questions of a game, so that an audit can tell strategy from wording.

A wording changes what a language model reads and the strings it may reply with, and nothing else: information states,
actions, rules and measures stay, so a policy's tables under two wordings compare entry by entry. A decision carries
its wording (``reword``); one without has the original, the game's own words. Games name theirs in ``Game.wordings``;
the texts of the built-in ones are in ``games.paraphrases``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from sepo.errors import ContractError, InputError
from sepo.games.base import CHANCE, Decision, Game, Turn
from sepo.keys import generator

USUAL = ("original", "paraphrase-1", "paraphrase-2", "paraphrase-3", "renamed", "swapped")
"""The wordings of a built-in game. Where actions are numbers nothing can be renamed."""


@dataclass(frozen=True)
class Wording:
    """One way to put a game's questions.

    Attributes
    ----------
    name
        As on the command line.
    rules
        What the chat's system turn says instead, with the game's rules in braces, such as ``{rounds}``; None leaves
        the game's own. It states the same facts.
    said
        Words and phrases of the other turns and of the replies, and what stands in their place. All are replaced at
        once, as whole words, the longest first: what is put in is not replaced again.
    switches
        What a rule that is true or false reads like in ``rules``: where it is false, then where it is true.
    """

    name: str
    rules: str | None = None
    said: Mapping[str, str] = field(default_factory=dict, hash=False)
    switches: Mapping[str, tuple[str, str]] = field(default_factory=dict, hash=False)

    def say(self, text: str) -> str:
        """Return a turn's text, or a reply, in this wording."""
        return self._pattern.sub(lambda found: self.said[found[0]], text) if self.said else text

    def chat(self, game: Game, turns: Sequence[Turn]) -> tuple[Turn, ...]:
        """Return a game's chat in this wording; as append-only as the game's own, turn by turn.

        Raises
        ------
        ContractError
            If it tells the rules otherwise, and the chat has no system turn to tell them in.
        """
        if self.rules is not None and all(turn.role != "system" for turn in turns):
            raise ContractError(
                f"game '{game.name}': wording '{self.name}' has rules for a system turn, and its chat has none: let "
                "the game's chat begin with a system turn, or say in 'said' what changes"
            )
        return tuple(
            turn._replace(content=self._rules(game, turn.content) if turn.role == "system" else self.say(turn.content))
            for turn in turns
        )

    def _rules(self, game: Game, own: str) -> str:
        if self.rules is None:
            return own
        told = {n: self.switches[n][bool(v)] if n in self.switches else v for n, v in game.rules.items()}
        return self.rules.format(**told)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest = sorted(self.said, key=len, reverse=True)
        return re.compile("|".join(rf"(?<!\w){re.escape(words)}(?!\w)" for words in longest))


ORIGINAL = Wording("original")


def wordings(game: Game) -> tuple[Wording, ...]:
    """Return a game's wordings, the original first."""
    return (ORIGINAL, *game.wordings)


def pick(words: Sequence[Wording], *key: object) -> Wording:
    """Return the wording that a step's questions are put in, of those that it may be; ``key`` is the step's."""
    return words[int(generator(*key, "wording").integers(len(words)))]


def reword(decision: Decision, wording: Wording) -> Decision:
    """Put a decision in a wording: the same question in other words."""
    return replace(decision, wording=None if wording == ORIGINAL else wording)


def chosen(game: Game, names: Sequence[str]) -> tuple[Wording, ...]:
    """Return a game's wordings of some names, in that order.

    Raises
    ------
    InputError
        If it has none of one of the names; the message says why where it could not.
    ContractError
        If one tells rules that its chats have no place for, or says of itself that it changes nothing.
    """
    known = {w.name: w for w in wordings(game)}
    if unknown := [name for name in names if name not in known]:
        why = " (its actions are numbers)" if unknown[0] in lacking(game) and _numbered(game) else ""
        raise InputError(f"game '{game.name}' has no wording '{unknown[0]}'{why}: it has {', '.join(known)}")
    found = tuple(known[name] for name in names)
    for wording in found:
        if wording != ORIGINAL:
            _hold_to_change(game, wording)
    return found


@lru_cache(maxsize=256)
def _hold_to_change(game: Game, wording: Wording) -> None:
    """Refuse what is told to change nothing; whether words of ``said`` ever occur is for ``games.contract`` to hold."""
    if wording.rules is None and all(words == put for words, put in wording.said.items()):
        raise ContractError(f"game '{game.name}': wording '{wording.name}' changes nothing: it has no rules or words")
    reword(_first(game), wording).chat()


def lacking(game: Game) -> tuple[str, ...]:
    """Return the names of the usual wordings that a game does not have."""
    known = [w.name for w in wordings(game)]
    return tuple(name for name in USUAL if name not in known)


def remark(game: Game) -> str | None:
    """Return one sentence on the usual wordings that a game lacks; None where it has them all."""
    if not game.wordings:
        return f"game '{game.name}' has no wording but the original"
    if not (without := lacking(game)):
        return None
    why = ": its actions are numbers" if _numbered(game) else ""
    return f"game '{game.name}' has no wording {' or '.join(without)}{why}"


def _numbered(game: Game) -> bool:
    """Whether the first replies are numbers."""
    return all(word.replace(" ", "").isdigit() for word in _first(game).words())


def _first(game: Game) -> Decision:
    """Return a first question."""
    state = game.root()
    while state.actor == CHANCE:
        state = state.child(state.chance()[0][0])
    return game.decision(state)
