"""Sampled episodes as units of work: a policy against one opponent in some clusters of a game.

Every episode's randomness is keyed by its cluster, so a unit's rows are those that one process finds: whatever other
opponents, clusters or workers there are is nothing to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sepo.audit.board import Match, Subject, match
from sepo.audit.exact import Expectations
from sepo.audit.sampled import Sampled, joined, on_trees, without_tree
from sepo.errors import TooLargeError
from sepo.games.base import Game
from sepo.games.registry import make, plugged
from sepo.lm.identity import fingerprint
from sepo.play.lockstep import FAULTS, REPLIES
from sepo.policies.base import Policy, Tally
from sepo.policies.function import FunctionPolicy
from sepo.policies.reasoned import ReasonedPolicy
from sepo.policies.reworded import unworded, worded
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.policies.spec import Asking
from sepo.policies.spread import LOCAL, Elsewhere, loaded
from sepo.policies.table import PolicyTable
from sepo.policies.workers import Answer, finished
from sepo.solve.expand import MAX_NODES

CLUSTERS = 128
"""Clusters of a unit."""
MEETING = 60_000
"""Largest tree of a meeting in a game whose tree does not grow a round at a time."""
Known = PolicyTable | ScriptPolicy | UniformPolicy | FunctionPolicy
Tell = Callable[[int, int], None]


def divisible(policy: Policy) -> bool:
    """Whether workers can play a policy: one that is known, or a model that they can load."""
    return isinstance(policy, Known) or policy.name.startswith(LOCAL)


def play(
    policy: Policy, game: Game, opponents: Sequence[str], clusters: range, key: tuple[object, ...], tell: Tell
) -> Sampled:
    """Play one episode per cluster, opponent and seat: on the meetings' trees where they can be held."""
    if not isinstance(policy, Known):
        return without_tree(policy, game, opponents, clusters, key, tell)
    parts = []
    for name in opponents:
        matches = meetings(Subject(game, policy), [name])
        if matches is not None:
            parts.append(on_trees(matches, clusters, key))
        else:
            parts.append(without_tree(policy, game, [name], clusters, key, tell))
    return Sampled(_beside([p.values for p in parts]), _beside([p.plain for p in parts]))


def spread(
    policy: Policy,
    game: Game,
    opponents: Sequence[str],
    clusters: range,
    key: tuple[object, ...],
    asking: Asking,
    tell: Tell,
) -> Sampled:
    """Let the workers of ``asking`` play so. A policy that draws its answers takes in what was drawn."""
    assert asking.workers is not None
    theirs = replace(asking, workers=None)
    blocks = [range(s, min(s + CLUSTERS, clusters.stop)) for s in range(clusters.start, clusters.stop, CLUSTERS)]
    plain, wording = unworded(policy)
    told = policy if isinstance(policy, Known) else policy.name
    units = [
        (told, theirs, wording, game.name, dict(game.rules), o, (b.start, b.stop), key)
        for o in opponents
        for b in blocks
    ]
    said = None if plugged(game.name) else _said(policy, theirs)  # nothing tells whether a plugin's code has changed
    answers = finished(
        asking.workers, played, units, [None if said is None else (said, *unit[2:]) for unit in units], tell
    )
    if isinstance(plain, ReasonedPolicy) and isinstance(plain.writer, Elsewhere):
        for answer in answers:
            plain.add({(name, state): Tally.of(tally) for name, state, tally in answer["tallies"]})
            plain.writer.notes = answer["about"]
    found = []
    for of in ("values", "plain"):
        rows = [_read(answer[of]) for answer in answers]
        found.append(_beside([joined(rows[i : i + len(blocks)]) for i in range(0, len(rows), len(blocks))]))
    return Sampled(*found)


def played(
    told: Policy | str,
    asking: Asking,
    wording: str | None,
    name: str,
    rules: Mapping[str, Any],
    opponent: str,
    clusters: tuple[int, int],
    key: tuple[object, ...],
) -> Answer:
    """Play a unit as a worker."""
    policy = loaded(told, asking) if isinstance(told, str) else told
    if isinstance(policy, ReasonedPolicy):
        policy = policy.once()
    asked = worded(policy, wording)
    found = play(asked, make(name, rules), [opponent], range(*clusters), key, lambda done, total: None)
    drawn, about = (policy.drawn, policy.writer.about()) if isinstance(policy, ReasonedPolicy) else ({}, {})
    return {
        "values": _written(found.values),
        "plain": _written(found.plain),
        "tallies": [[*where, tally.document()] for where, tally in drawn.items()],
        "about": dict(about),
    }


def _said(policy: Policy, asking: Asking) -> object | None:
    """Return all that a policy's conduct depends on; None where that is not known."""
    if isinstance(policy, PolicyTable):
        return json.dumps([policy.game, dict(policy.rules), policy.table, policy.default], sort_keys=True, default=str)
    if isinstance(policy, FunctionPolicy):
        return None
    if isinstance(policy, Known):
        return policy.name
    model = fingerprint(policy.name, asking.template)
    return None if model is None else (model, asking.rules, asking.seed, REPLIES, FAULTS)  # which rows lacked once


def meetings(subject: Subject, opponents: Sequence[str]) -> dict[str, list[Match]] | None:
    """Return the meetings of a policy on their trees; None where one is too large."""
    try:
        game = subject.game
        return {o: [match(subject, o, s, most_nodes(game)) for s in game.seats] for o in opponents}
    except TooLargeError:
        return None


def most_nodes(game: Game) -> int:
    """Return the nodes of the largest tree of a meeting that is held."""
    return MAX_NODES if getattr(game, "alike", False) else MEETING


def _beside(parts: Sequence[Expectations]) -> Expectations:
    """Put the quantities of several opponents beside one another."""
    out = Expectations()
    for part in parts:
        for (name, quantity), column in part.columns.items():
            out.add(name, quantity, part.values[column], settled=(name, quantity) in part.settled)
    return out


def _written(found: Expectations) -> list[list[Any]]:
    return [
        [name, quantity, found.values[column].tolist(), (name, quantity) in found.settled]
        for (name, quantity), column in found.columns.items()
    ]


def _read(rows: Sequence[Sequence[Any]]) -> Expectations:
    out = Expectations()
    for name, quantity, values, *settled in rows:  # files of earlier versions do not say
        out.add(name, quantity, np.array(values), settled=settled == [True])
    return out
