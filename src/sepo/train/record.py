"""What a step is measured by, and the files that keep it: metrics, one JSON object a line."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sepo.audit.arena import Ground, trained_on
from sepo.audit.exact import game_value
from sepo.audit.measures import root_values, values
from sepo.errors import InputError
from sepo.files import write_text
from sepo.games.base import MeasureName
from sepo.solve.response import best_response, exploitability
from sepo.solve.tree import Floats, Tree
from sepo.train.objective import LedgerRow

ALARM = 0.25


def measured(ground: Ground, learner: Floats, sets: Sequence[MeasureName]) -> dict[str, Any]:
    """Return sets of measures, by the ground's rules, and in zero-sum games exploitability of a policy. Exact."""
    game = ground.game
    return {
        "measures": {name: values(ground, game.measures(name), learner) for name in sets},
        "exploitability": _exploitability(ground, learner) if game.zero_sum and isinstance(ground, Tree) else None,
    }


def _exploitability(tree: Tree, learner: Floats) -> float | None:
    """Return what a best response wins per round beyond the game's value, as audits do; None where nobody knows that.

    In a game that the policy plays in both seats their values cancel.
    """
    game = tree.game
    if set(game.seats) == {0, 1}:
        return exploitability(tree, learner) / game.rounds
    if (value := game_value(game)) is None:
        return None
    gains = [best_response(tree, learner, 1 - s, tree.feature("own", 1 - s)).value for s in game.seats]
    return float(np.mean(gains)) / game.rounds + value


def probes(ground: Ground, learner: Floats) -> dict[str, float]:
    """Return what the learner earns per round against each fixed opponent that it meets in training."""
    return {name: root_values(ground, learner, name, "own") for name in trained_on(ground.game)}


def alarms(
    first: Mapping[str, float], now: Mapping[str, float], worth: float, before: float, scale: float
) -> list[str]:
    """Return an alarm for each probe that fell far while J rose: payoff given up where J does not look.

    Parameters
    ----------
    first, now
        Probes at the first step and now.
    worth, before
        J now and at the first step.
    scale
        The game's largest payoff per round; a fall of ``ALARM`` of it is far.
    """
    if worth <= before:
        return []
    return [
        f"alarm: payoff against '{name}' fell by more than {ALARM * scale:g} while J rose"
        for name, value in now.items()
        if first.get(name, value) - value > ALARM * scale
    ]


def entropy(rows: Sequence[Floats], share: Floats) -> float:
    """Return the mean entropy in nats over decisions, weighed by ``share``."""
    each = [float(-(p * np.log(np.maximum(p, 1e-30))).sum()) for p in rows]
    return float(np.dot(share, each))


def divergence(rows: Sequence[Floats], reference: Sequence[Floats], share: Floats) -> float:
    """Return the mean KL(policy, reference) in nats over decisions, weighed by ``share``."""
    each = [
        float((p * (np.log(np.maximum(p, 1e-30)) - np.log(np.maximum(q, 1e-30)))).sum())
        for p, q in zip(rows, reference, strict=True)
    ]
    return float(np.dot(share, each))


def ledger_rows(ledger: Sequence[LedgerRow]) -> list[dict[str, Any]]:
    """Return a ledger as JSON objects."""
    return [{**row._asdict(), "dead": row.dead} for row in ledger]


class Metrics:
    """The metrics file of one arm and seed. Lines are appended as they come; a resumed run drops those it repeats."""

    def __init__(self, path: Path, keep_before: int = 0, stage: str = "") -> None:
        self.path = path
        kept = [line for line in read_metrics(path) if line["stage"] != stage or line["step"] < keep_before]
        write_text(path, "".join(json.dumps(line) + "\n" for line in kept))

    def add(self, line: Mapping[str, Any]) -> None:
        """Append a line.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
        except OSError as error:
            raise InputError(f"cannot write '{self.path}': {error.strerror or error}") from error


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read a metrics file; a last line that was cut off by a kill is left out."""
    if not path.exists():
        return []
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            out.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return out


def environment(
    command: str, versions: Mapping[str, str], arithmetic: str, threads: int, workers: int
) -> dict[str, Any]:
    """Return what a reader of the figures must know: versions, command, commit, platform, threads and processes.

    Parameters
    ----------
    arithmetic
        What computes, see ``lm.load.arithmetic``: where that is another, a run takes a way of its own from the first
        step on.
    threads
        That each process computes with.
    workers
        Processes that run units side by side; those that train one model together are counted here.
    """
    from sepo.train import ranks  # torch takes seconds to import, and `sepo serve` reads runs without it

    found = None
    if shutil.which("git"):
        asked = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
        found = asked.stdout.strip() or None
    return {
        "versions": dict(versions),
        "command": command,
        "commit": found,
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "arithmetic": arithmetic,
        "threads": threads,
        "processes": ranks.size(),
        "workers": workers,
    }
