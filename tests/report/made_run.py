"""A made-up run in the real formats: policies on their way from uniform to a script, audited exactly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t as student

from sepo.audit.arena import scripted
from sepo.audit.compare import figures
from sepo.audit.methods import Options
from sepo.audit.published import published
from sepo.audit.scorecard import audit, by_set
from sepo.files import write_json, write_text
from sepo.games.registry import make
from sepo.play.episode import episodes, stepped
from sepo.policies.base import strategy
from sepo.policies.script import ScriptPolicy
from sepo.policies.table import PolicyTable, tabulate
from sepo.solve.expand import expand

KEYS = ("exploitability", "worst_case_advantage", "security_gap", "robustness", "held_out")
MASS = 0.98


class MadeArm(NamedTuple):
    """An arm that ends ``far`` of the way from uniform to the script ``towards``."""

    name: str
    towards: str = "nash"
    far: float = 0.9
    steps: int = 3
    stage: str = "train"
    about: str = ""
    dead: bool = False


ARMS = (
    MadeArm("sft", "tight_passive", 0.6, stage="sft"),
    MadeArm("sepo", "nash", 0.95, about="credited penalties"),
)


def made_run(
    folder: Path,
    arms: Sequence[MadeArm] = ARMS,
    seeds: Sequence[int] = (0, 1),
    published: Sequence[dict[str, Any]] = (),
    every: int = 1,
) -> dict[str, Any]:
    """Write the run and return its summary."""
    game = make("kuhn")
    tree = expand(game)
    uniform = np.concatenate([np.full(len(i.decision.legal), 1 / len(i.decision.legal)) for i in tree.infosets])
    parts = []
    for arm in arms:
        goal = strategy(ScriptPolicy(f"script:{arm.towards}", arm.towards), tree)
        finals = []
        for seed in seeds:
            rng = np.random.default_rng([seed, arm.steps])
            home = folder / "arms" / arm.name / f"seed-{seed}"
            pull = arm.far * rng.uniform(0.9, 1.0)
            lines = []
            for step in range(0, arm.steps + 1, every):
                share = pull * (1 - np.exp(-4 * step / max(arm.steps, 1)))
                mixed = (1 - share) * uniform + share * goal
                table = tabulate(game, tree, mixed, "made")
                card = audit(table, by_set(game, "both"), Options(method="exact", adversaries=False))
                lines.append(_line(card, step, arm, rng))
            write_text(home / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
            for name in ("last", "best"):
                table.save(home / "policies" / f"{name}.json")
            document = {"schema": "sepo.scorecard/1", "policy": arm.name, "seed": seed, "versions": {}}
            write_json(home / "scorecards" / "last.json", document | {"games": {"kuhn": card}})
            played = [
                episode
                for name, other in scripted(tree).items()
                for episode in episodes(tree, mixed, name, other, 2, ("made", arm.name, seed, name))
            ]
            write_text(home / "episodes.jsonl", "".join(json.dumps(e) + "\n" for e in played))
            finals.append(card)
        figures = _figures(finals)
        warnings = ["dead term e: value 0.123, no share of the gradient"] if arm.dead else []
        parts.append(
            {
                "name": arm.name,
                "about": arm.about,
                "seeds": list(seeds),
                "steps": arm.steps,
                "last": figures,
                "best": figures,
                "best_steps": [arm.steps] * len(seeds),
                "criterion": "sepo.J",
                "warnings": warnings,
            }
        )
    summary = {
        "schema": "sepo.run/1",
        "name": "made",
        "game": "kuhn",
        "rules": {},
        "unit": "chips per hand",
        "measures": "sepo",
        "model": "bundled:smollm2",
        "seeds": list(seeds),
        "arms": parts,
        "published": list(published),
    }
    write_json(folder / "summary.json", summary)
    write_text(folder / "recipe.yaml", "name: made\ngame: kuhn\n")
    environment = {"python": "3.11", "sepo": "0.1.0"}
    write_json(
        folder / "environment.json",
        {
            "versions": environment,
            "command": "sepo run recipes/made.yaml",
            "commit": None,
            "platform": "any",
            "cpus": 4,
            "arithmetic": "A CPU, AVX2",
            "threads": 2,
        },
    )
    return summary


SCRIPTS = {
    "ipd": ("always_cooperate", "grim_trigger"),
    "auction": ("truthful", "shaded"),
    "split": ("selfish", "fair"),
    "items": ("hardball", "fair"),
    "commons": ("high", "reciprocal"),
    "kuhn": ("always_bet", "nash"),
}
"""Of every game, a poor and a better script."""


def made_of_scripts(folder: Path, name: str, seeds: Sequence[int] = (0,), steps: int = 40) -> dict[str, Any]:
    """Write a run of any game whose arms ``base`` and ``sepo`` are scripts, and return its summary.

    Scorecards and episodes are the scripts' own; policies are what they do in those episodes; the curves are lines from
    the poor script's figures to the better one's.
    """
    game = make(name, {"instances": 2} if name == "items" else {})
    options = Options(adversaries=False)
    cards = [audit(ScriptPolicy(s, s), by_set(game, "both"), options) for s in SCRIPTS[name]]
    parts = []
    for arm, script, card in zip(("base", "sepo"), SCRIPTS[name], cards, strict=True):
        policy = ScriptPolicy(f"script:{script}", script)
        for seed in seeds:
            home = folder / "arms" / arm / f"seed-{seed}"
            played = [e for other in game.opponents.values() for e in stepped(policy, game, other, 1, (arm, seed))]
            rows = {
                m["state"]: m["policy"] for e in played for h in e["hands"] for m in h["moves"] if m["by"] == "learner"
            }
            table = PolicyTable(arm, game.name, game.rules, {k: _all(r) for k, r in rows.items()}, "uniform")
            table.save(home / "policies" / "last.json")
            document = {"schema": "sepo.scorecard/1", "policy": arm, "seed": seed, "versions": {}}
            write_json(home / "scorecards" / "last.json", document | {"games": {name: card}})
            write_text(home / "episodes.jsonl", "".join(json.dumps(e) + "\n" for e in played))
            lines = [_between(cards, s / steps) | {"step": s, "stage": "train"} for s in range(steps + 1)]
            metrics = lines if arm == "sepo" else lines[:1]
            write_text(home / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in metrics))
        last = {k: _estimate([f["value"]] * len(seeds)) for k, f in figures(card)}
        taken = steps if arm == "sepo" else 0
        parts.append({"name": arm, "about": script, "seeds": list(seeds), "steps": taken, "last": last, "best": {}})
    summary = {
        "schema": "sepo.run/1",
        "name": name,
        "game": name,
        "rules": dict(game.rules),
        "unit": game.unit,
        "measures": "paper",
        "model": "script",
        "seeds": list(seeds),
        "arms": parts,
        "published": published(name),
    }
    write_json(folder / "summary.json", summary)
    write_text(folder / "recipe.yaml", f"name: {name}\ngame: {name}\n")
    return summary


def _all(row: dict[str, float]) -> dict[str, float]:
    total = sum(row.values())
    return {action: p / total for action, p in row.items()}


def _between(cards: Sequence[dict[str, Any]], share: float) -> dict[str, Any]:
    """Return the measures between those of two scorecards."""

    def value(card: dict[str, Any], of: str, key: str) -> float | None:
        found = card["measures"][of][key]
        return None if found is None else float(found["value"])

    out: dict[str, Any] = {"legal_mass": 0.5 + share / 2, "measures": {}}
    for of in ("paper", "sepo"):
        ends = {key: [value(card, of, key) for card in cards] for key in "Juecx"}
        out["measures"][of] = {
            k: None if a is None or b is None else (1 - share) * a + share * b for k, (a, b) in ends.items()
        }
    return out


def _line(card: dict[str, Any], step: int, arm: MadeArm, rng: np.random.Generator) -> dict[str, Any]:
    measures = {
        which: {key: found and found["value"] for key, found in card["measures"][which].items()}
        for which in ("paper", "sepo")
    }
    share = 0.0 if arm.dead else float(rng.uniform(0.3, 0.5))
    ledger = [
        _ledger("u", 0.1, 1 - share, 1.0, dead=False),
        _ledger("e", -0.2, share, 0.0 if arm.dead else float(rng.normal(1, 0.1)), dead=arm.dead),
    ]
    line = {
        "step": step,
        "stage": arm.stage,
        "measures": measures,
        "exploitability": card["exploitability"]["value"],
        "legal_mass": MASS,
        "entropy": 0.4,
        "kl": 0.01,
        "loss": 0.3,
        "lr": 3e-4,
        "seconds": 1.9,
        "warnings": [],
    }
    return line | ({"ledger": ledger} if arm.stage == "train" and step else {})


def _ledger(kind: str, value: float, share: float, recovered: float, *, dead: bool) -> dict[str, Any]:
    shares = {"advantage_share": share, "gradient_share": share}
    return {"kind": kind, "value": value, "variance": 0.1, **shares, "recovered": recovered, "dead": dead}


def _figures(cards: Sequence[dict[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {key: _estimate([card[key]["value"] for card in cards]) for key in KEYS}
    for which in ("paper", "sepo"):
        for key in ("J", "u", "e", "c", "x"):
            found = [card["measures"][which][key] for card in cards]
            out[f"{which}.{key}"] = None if found[0] is None else _estimate([f["value"] for f in found])
    out["legal_mass"] = _estimate([MASS] * len(cards))
    return out


def _estimate(values: Sequence[float]) -> dict[str, Any]:
    mean, n = float(np.mean(values)), len(values)
    half = float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return {"value": mean, "low": mean - half, "high": mean + half, "n": n, "seeds": list(values)}


FAULTS = (("illegal", "Let me think about it."), ("truncated", "On the one hand, the"))


def made_written(folder: Path, text: str = "A weak card.\nACTION: pass") -> dict[str, Any]:
    """Write a run whose arm ``sepo`` writes freely, ever more legally, and return the counts of its scorecards.

    Of its moves every third has the reply ``text`` alone, every third has two replies before it that did not count,
    and to every third no reply was legal.
    """
    made_run(folder)
    counts = {"decisions": 40, "replies": 50, "illegal": 12, "truncated": 3, "unanswered": 4}
    for home in sorted((folder / "arms" / "sepo").iterdir()):
        lines = [json.loads(line) for line in (home / "metrics.jsonl").read_text().splitlines()]
        for line in lines:
            bad = {"illegal": 0.3 / (1 + line["step"]), "truncated": 0.1 / (1 + line["step"])}
            line |= bad | {"replies": 20, "legal_mass": 1 - sum(bad.values())}
        write_text(home / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        card = json.loads((home / "scorecards" / "last.json").read_text())
        card["games"]["kuhn"]["replies"] = counts
        write_json(home / "scorecards" / "last.json", card)
        played = [json.loads(line) for line in (home / "episodes.jsonl").read_text().splitlines()]
        moves = [m for e in played for h in e["hands"] for m in h["moves"] if m["by"] == "learner"]
        for number, move in enumerate(moves):
            if number % 3 < 2:
                move["text"] = text
            if number % 3 > 0:
                move["refused"] = [{"fault": fault, "text": said} for fault, said in FAULTS]
                move["illegal"] = len(move["refused"])
        write_text(home / "episodes.jsonl", "".join(json.dumps(e) + "\n" for e in played))
    summary = json.loads((folder / "summary.json").read_text())
    summary["arms"][1]["last"]["illegal_rate"] = _estimate([0.25, 0.35])
    write_json(folder / "summary.json", summary)
    return counts
