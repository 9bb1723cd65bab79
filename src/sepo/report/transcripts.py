"""Recorded episodes for the page: what both sides did, move by move, and what the policy would have done else.

An older record lacks the policy behind a move; where the arm's policy table has the state it is taken from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sepo.policies.table import PolicyTable
from sepo.report.read import Run

MOST = 2000
"""Episodes of a run that its page holds; the first ones of every seed and opponent."""
HARDLY = 5e-4


def transcripts(run: Run) -> dict[str, Any] | None:
    """Return what the page's script shows of a run's episodes; None where none were recorded."""
    found = list(_episodes(run))
    if not found:
        return None
    found.sort(key=lambda e: int(e["episode"]))  # stable: the first ones of everybody come first
    kept = found[:MOST]
    arms = {arm.name: i for i, arm in enumerate(run.summary.arms)}
    kept.sort(key=lambda e: (arms[e["arm"]], e["seed"], e["opponent"], e["episode"]))
    return {"unit": run.summary.unit, "left_out": len(found) - len(kept), "episodes": kept}


def _episodes(run: Run) -> Iterator[dict[str, Any]]:
    for arm, seeds in run.histories.items():
        for seed in seeds:
            for record in seed.episodes:
                hands = [_hand(h, seed.policy) for h in record.get("hands", ())]
                yield {
                    "arm": arm,
                    "seed": seed.seed,
                    "opponent": str(record.get("opponent", "")),
                    "episode": int(record.get("episode", 0)),
                    "own": float(record.get("own", 0.0)),
                    "other": float(record.get("other", 0.0)),
                    "hands": hands,
                }


def _hand(record: Mapping[str, Any], policy: PolicyTable | None) -> dict[str, Any]:
    return {
        "seat": record.get("seat", 0),
        "own": record.get("own"),
        "other": record.get("other"),
        "moves": [_move(m, policy) for m in record.get("moves", ())],
    }


def _move(record: Mapping[str, Any], policy: PolicyTable | None) -> dict[str, Any]:
    out = {
        key: record[key] for key in ("by", "round", "state", "action", "probability", "paid", "text") if key in record
    }
    if record.get("by") == "learner":
        row = record.get("policy")
        if row is None and policy is not None:
            known = policy.table.get(str(record.get("state")), {})
            row = {a: round(p, 4) for a, p in known.items() if p >= HARDLY}
        out["policy"] = dict(row or {})
    return out
