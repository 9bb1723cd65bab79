"""What people give: policies and games in every form they come in, made into what the rooms below take."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from numbers import Real
from typing import Any, Literal, TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np

from sepo.errors import InputError
from sepo.games.base import Decision, Game, MeasureName, Opponent
from sepo.games.held import hold_to_hashing
from sepo.games.registry import make
from sepo.lm.endpoint import Limits
from sepo.lm.template import hold_to_text
from sepo.policies import spec
from sepo.policies.base import Policy
from sepo.policies.function import Answer, FunctionPolicy
from sepo.policies.reasoned import ReplyRules
from sepo.policies.script import ScriptPolicy, opponent
from sepo.policies.table import SCHEMA, WHAT, PolicyTable, parse_table

PolicyLike = str | Policy | Opponent | Mapping[str, Any] | os.PathLike[str] | Callable[[Decision], Answer]
"""A POLICY string, a policy, a table's rows or document or file, or a function from a decision to probabilities."""
GameLike = str | Game
T = TypeVar("T", bound=str)
Method = Literal["auto", "exact", "sampled"]
METHODS = ("auto", "exact", "sampled")
Tell = Callable[[str, int, int], None]
"""Hears of progress: of what, how much is done, and how much there is; ``print`` will do."""
USUAL = spec.Asking()
_ASKED: WeakKeyDictionary[Policy, spec.Asking] = WeakKeyDictionary()
PARTS = ("name", "probabilities", "legal_mass", "about")


def load_game(
    name: str, rules: Mapping[str, Any] | None = None, preset: Literal["paper", "sepo"] | None = None
) -> Game:
    """Make a game by name.

    Parameters
    ----------
    name
        A built-in game (``kuhn``, ``ipd``, ``auction``, ``split``, ``items`` or ``commons``), one of an installed
        package, or ``openspiel:NAME``.
    rules
        Options of the game, such as ``{"rounds": 4}``; the rest are those of the preset.
    preset
        The rules that a set of measures is taken by; the game's defaults unless given.

    Returns
    -------
    Game
        Its ``rules``, ``opponents`` and ``measures`` say what it is; the same name and rules give the same object.

    Raises
    ------
    InputError
        If there is no such game, rule or preset.

    Examples
    --------
    >>> import sepo
    >>> sepo.load_game("ipd", rules={"rounds": 4}).rounds
    4
    """
    if not isinstance(name, str):
        raise InputError(f"a game's name is text, not {type(name).__name__}")
    return make(name, mapping(rules, "rules"), preset)


def load_policy(
    policy: PolicyLike,
    game: GameLike | None = None,
    *,
    name: str | None = None,
    style: Literal["direct", "reasoned"] = "direct",
    samples: int = 32,
    tokens: int = 200,
    illegal: Literal["forfeit", "random", "retry"] = "forfeit",
    retries: int = 2,
    seed: int = 0,
    tokenizer: str | None = None,
    concurrency: int = 8,
    body: Mapping[str, Any] | None = None,
    template: Mapping[str, Any] | None = None,
) -> Policy:
    """Make a policy of whatever plays.

    Parameters
    ----------
    policy
        A POLICY string as on the command line (``script:nash``, ``uniform``, ``table:FILE``, ``bundled:smollm2``,
        ``hf:ID_OR_PATH``, ``openai:MODEL@BASE_URL``); the path of a table file; the rows of a table,
        ``{"J:": {"PASS": 0.7, "BET": 0.3}, …}``; a policy; or a Python function. A function is called with a decision
        and returns the probability of each action (a mapping, or a sequence in the order of ``decision.legal``), or one
        action. It must answer the same question alike.
    game
        What the rows of a table are of; a script's name is checked against it.
    name
        What rows and functions are called in results.
    style, samples, tokens, illegal, retries, seed
        How a language model is asked: scored on its legal actions (``direct``), or writing freely (``reasoned``), with
        so many answers at each information state and at most so many tokens each; what counts where no reply is
        legal, how often it is asked again before that, and the seed of what it writes.
    tokenizer, concurrency, body
        Of a model behind an endpoint: the tokenizer, where the model's name is none; calls open at once; and further
        fields of every call.
    template
        Of a language model: arguments of its chat template (``{"enable_thinking": False}``), over those kept with it.

    Returns
    -------
    Policy
        Its ``probabilities`` answer a batch of decisions.

    Raises
    ------
    InputError
        If it is of no known form, or what it names is not there.
    EndpointError
        If an endpoint does not answer.

    Examples
    --------
    >>> import sepo
    >>> bold = sepo.load_policy(lambda decision: decision.legal[-1], name="bold")
    >>> sepo.audit(bold, "kuhn").figure("kuhn", "exploitability").value
    0.3333333333333333
    """
    if isinstance(policy, str):
        rules = ReplyRules(
            one_of(style, ("direct", "reasoned"), "style"),
            count(samples, "samples"),
            count(tokens, "tokens"),
            one_of(illegal, ("forfeit", "random", "retry"), "illegal-move rule"),
            count(retries, "retries", least=0),
        )
        limits = Limits(count(concurrency, "concurrency"), body=mapping(body, "body"))
        chat = mapping(template, "template")
        hold_to_text(chat, "template")
        asking = spec.Asking(rules, seed_of(seed), tokenizer, limits, template=chat)
        made = spec.load_policy(policy, None if game is None else as_game(game), asking=asking)
        with suppress(TypeError):  # a table, which is not asked, cannot be hashed
            _ASKED[made] = asking
        return made
    return _made(policy, game, name)


def asking_of(policy: Policy) -> spec.Asking:
    """Return how a policy is asked, as ``load_policy`` was told; the usual way where it was told nothing."""
    try:
        return _ASKED.get(policy, USUAL)
    except TypeError:
        return USUAL


def _made(policy: PolicyLike, game: GameLike | None, name: str | None) -> Policy:
    """Make a policy of what is no POLICY string."""
    if isinstance(policy, os.PathLike):
        return load_policy(f"table:{os.fspath(policy)}", game)
    if isinstance(policy, Opponent):
        return FunctionPolicy(name or f"script:{policy.name}", policy.script)
    if isinstance(policy, Mapping):
        return _table(policy, game, name)
    if hasattr(policy, "probabilities"):
        if lacking := [part for part in PARTS if not hasattr(policy, part)]:
            raise InputError(f"a policy of type {type(policy).__name__} lacks '{lacking[0]}': see sepo.policies.base")
        if isinstance(policy, ScriptPolicy) and game is not None:
            opponent(as_game(game), policy.script)
        return cast(Policy, policy)
    if callable(policy):
        return FunctionPolicy(name or f"function:{getattr(policy, '__name__', type(policy).__name__)}", policy)
    raise InputError(
        "a policy is a POLICY string, a policy, a table's rows, the path of a table file or a function from a decision "
        f"to probabilities, not {type(policy).__name__}"
    )


def _table(given: Mapping[str, Any], game: GameLike | None, name: str | None) -> PolicyTable:
    """Read a policy table's document, or its rows alone."""
    if "schema" in given:
        return parse_table(given, WHAT, name or "table")
    if game is None:
        raise InputError("the rows of a policy table are of one game: say which, such as game='kuhn'")
    of = as_game(game)
    rows = {
        key: {a: float(p) if isinstance(p, Real) and not isinstance(p, bool) else p for a, p in row.items()}
        if isinstance(row, Mapping)
        else row
        for key, row in given.items()
    }
    document = {"schema": SCHEMA, "game": of.name, "rules": dict(of.rules), "table": rows}
    return parse_table(document, WHAT, name or "table")


def as_game(given: GameLike, rules: Mapping[str, Any] | None = None, preset: MeasureName | None = None) -> Game:
    """Return a game given by name or as itself.

    Raises
    ------
    InputError
        If there is none, or rules are given for one that is made already.
    """
    if isinstance(given, str):
        return make(given, mapping(rules, "rules"), preset)
    if not isinstance(given, Game):
        raise InputError(f"a game is a name or a Game, not {type(given).__name__}")
    hold_to_hashing(given)
    if rules:
        raise InputError(f"game '{given.name}' is made already and keeps its rules: leave out 'rules', or give a name")
    return given


def as_policy(policy: PolicyLike, game: GameLike | None = None, seed: int = 0) -> Policy:
    """Return a policy given in any form, a model being asked in the direct style."""
    return load_policy(policy, game, seed=seed)


def mapping(given: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """Return what is given by name; empty where nothing is.

    Raises
    ------
    InputError
        If it is no mapping.
    """
    if not isinstance(given, Mapping | None):
        raise InputError(f"{what} must be a mapping, such as {{'name': value}}, not {given!r}")
    return dict(given or {})


def several(given: Iterable[Any], what: str) -> list[Any]:
    """Return what is given as a list; what is one thing by itself, as text and mappings are, is a list of it.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(given, str | Mapping):
        return [given]
    if not isinstance(given, Iterable):
        raise InputError(f"{what} must be a list of them, not {given!r}")
    return list(given)


def words(given: Iterable[str], what: str) -> tuple[str, ...]:
    """Return names; one name alone is one.

    Raises
    ------
    InputError
        If one is no text.
    """
    found = several(given, what)
    if wrong := [name for name in found if not isinstance(name, str)]:
        raise InputError(f"{what} must be names, not {wrong[0]!r}")
    return tuple(found)


def one_of(value: T, choices: Sequence[str], what: str) -> T:
    """Return a word that is one of some.

    Raises
    ------
    InputError
        Otherwise, naming them.
    """
    if value not in choices:
        raise InputError(f"unknown {what} {value!r}: it is one of {', '.join(choices)}")
    return value


def count(value: int, what: str, least: int = 1) -> int:
    """Return a whole number of at least some size.

    Raises
    ------
    InputError
        Otherwise.
    """
    if not _whole(value) or value < least:
        raise InputError(f"{what} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def seed_of(value: int) -> int:
    """Return a seed: a whole number, as files hold it.

    Raises
    ------
    InputError
        Otherwise.
    """
    if not _whole(value):
        raise InputError(f"seed must be a whole number, not {value!r}")
    return int(value)


def flag(value: bool, what: str) -> bool:
    """Return True or False, given as such or as 1 or 0.

    Raises
    ------
    InputError
        Otherwise.
    """
    if isinstance(value, bool | np.bool_) or (_whole(value) and value in (0, 1)):
        return bool(value)
    raise InputError(f"{what} must be True or False, not {value!r}")


def _whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def as_json(given: object, what: str) -> str:
    """Return what was given as JSON; mappings, ranges, paths, and numpy's numbers and arrays as what they hold.

    Raises
    ------
    InputError
        If something in it is nothing that JSON has.
    """
    try:
        return json.dumps(given, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:  # keys that are no text, and what holds itself
        raise InputError(f"{what} takes text, numbers, lists and mappings: {error}") from None


def _plain(value: object) -> object:
    match value:
        case np.generic() | np.ndarray():
            return value.tolist()
        case Mapping():
            return dict(value)
        case range():
            return list(value)
        case os.PathLike():
            return os.fspath(value)
    raise TypeError(f"not {type(value).__name__}")
