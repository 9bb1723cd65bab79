"""Recorded episodes for the page: what both sides did, move by move, and what the policy would have done else.

An older record lacks the policy behind a move; where the arm's policy table has the state it is taken from there.
What a model wrote is shown as text, with what cannot be seen in it written out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sepo.play.episode import HARDLY
from sepo.policies.reasoned import kept
from sepo.policies.table import PolicyTable
from sepo.printable import visible
from sepo.report.read import Run

MOST = 2000
"""Episodes of a run that its page holds; the first ones of every seed and opponent."""
SHOWN = 4_000
"""Characters of a reply that the page shows; of a longer one the middle is left out."""
REFUSED = 5
"""Replies to one decision that did not count, and are shown."""


def transcripts(run: Run) -> dict[str, Any] | None:
    """Return what the page's script shows of a run's episodes; None where none were recorded."""
    found = list(_episodes(run))
    if not found:
        return None
    found.sort(key=lambda e: int(e["episode"]))  # stable: the first ones of everybody come first
    first = found[:MOST]
    arms = {arm.name: i for i, arm in enumerate(run.summary.arms)}
    first.sort(key=lambda e: (arms[e["arm"]], e["seed"], e["opponent"], e["episode"]))
    written = any("text" in m or "illegal" in m for e in first for h in e["hands"] for m in h["moves"])
    return {"unit": run.summary.unit, "left_out": len(found) - len(first), "written": written, "episodes": first}


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
    out = {key: record[key] for key in ("by", "round", "state", "action", "probability", "paid") if key in record}
    if record.get("text"):
        out["text"] = _shown(record["text"])
    out |= _refused(record)
    if record.get("by") == "learner":
        row = record.get("policy")
        if row is None and policy is not None:
            known = policy.table.get(str(record.get("state")), {})
            row = {a: round(p, 4) for a, p in known.items() if p >= HARDLY}
        out["policy"] = dict(row or {})
    return out


def _refused(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many replies did not count, and what they said: the first ones."""
    found = record.get("refused", ())
    lines = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    count = record.get("illegal", len(lines))
    if not isinstance(count, int) or count < 1:
        return {}
    said = [{"fault": _shown(one.get("fault", "illegal")), "text": _shown(one.get("text", ""))} for one in lines]
    return {"illegal": count, "refused": said[:REFUSED]}


def _shown(text: object) -> str:
    return visible(kept(str(text), SHOWN))
