"""What an audit found in each of its clusters, written down: audits of the same clusters can be paired later.

How far two figures may be apart their own intervals do not tell: what the clusters have in common, instances, cards and
coins, cancels in a difference. Only quantities that were drawn are worth writing; a figure that is exact, or known
within bounds because a policy is known in part, has nothing to cancel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sepo.audit.compare import ends_of
from sepo.audit.exact import Expectations
from sepo.audit.found import Found, number
from sepo.audit.scorecard import Games, Inspected
from sepo.errors import InputError
from sepo.files import read_json
from sepo.games.held import PLAY

SCHEMA = "sepo.clusters/1"


def clusters(inspected: Inspected) -> dict[str, Any] | None:
    """Return what was found cluster by cluster as a JSON object; None where it was not drawn, or the policy itself was.

    Means of quantities per cluster, by set of measures; sets that are taken in one game have it together.
    """
    order = list(dict.fromkeys(inspected.games.values()))
    found = [inspected.found[game] for game in order]
    if not all(_drawn(of) for of in found):
        return None
    return {
        "schema": SCHEMA,
        "sets": {name: order.index(game) for name, game in inspected.games.items()},
        "found": [_written(of) for of in found],
    }


def _drawn(found: Found) -> bool:
    return not found.uncertain and not found.values.unknown and len(found.values.rows) > 1


def _written(found: Found) -> dict[str, Any]:
    values = found.values
    # of frequencies, which counts of actions are for, there are no differences
    kept = {column: at for column, at in values.columns.items() if not column[1].startswith(PLAY)}
    return {
        "method": found.method,
        "episodes": values.episodes,
        "quantities": [
            {
                "opponent": opponent,
                "name": name,
                "settled": (opponent, name) in values.settled,
                "clusters": values.values[at].tolist(),
            }
            for (opponent, name), at in kept.items()
        ],
        "fixed": [
            {
                "opponent": opponent,
                "name": name,
                "value": number(float(known.value[0])),
                "low": number(float(known.low[0])),
                "high": number(float(known.high[0])),
                "n": values.drawn.get((opponent, name)),
            }
            for (opponent, name), known in values.fixed.items()
        ],
    }


def read_clusters(path: Path, games: Games) -> Inspected:
    """Read what was found; ``games`` are those that it was found in, by set of measures.

    Raises
    ------
    InputError
        If the file is none that was written here, or of other sets.
    """
    document = read_json(path, "clusters")
    if document.get("schema") != SCHEMA or set(document.get("sets", ())) != set(games):
        raise InputError(f"'{path}' holds no clusters of an audit of these games: its schema must be '{SCHEMA}'")
    try:
        found = {}
        for name, game in games.items():
            written = document["found"][document["sets"][name]]
            found[game] = Found(game, str(written["method"]), _values(written), {})
        return Inspected(games, found)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise InputError(f"'{path}' is not as an audit writes its clusters") from None


def _values(written: Mapping[str, Any]) -> Expectations:
    out = Expectations(episodes=written["episodes"])
    for one in written["quantities"]:
        rows = np.array(one["clusters"], dtype=float)
        out.add(one["opponent"], one["name"], rows, settled=bool(one["settled"]))
    for one in written["fixed"]:
        value = math.nan if one["value"] is None else one["value"]
        out.fix(one["opponent"], one["name"], value, *ends_of(one), n=one["n"])
    return out
