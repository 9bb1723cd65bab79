"""A run's summary: every figure over the seeds, with its interval, last step beside best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sepo.audit.arena import SETS, Ground, ground_of
from sepo.audit.ceiling import ceiling
from sepo.audit.compare import figures
from sepo.audit.published import published
from sepo.errors import InputError
from sepo.files import read_json
from sepo.games.held import recorded
from sepo.games.registry import make
from sepo.train.apart import Apart
from sepo.train.recipe import Arm, Recipe
from sepo.train.record import read_metrics
from sepo.train.seeds import spread, widened

SCHEMA = "sepo.run/1"
COMPARED = ("exploitability", "worst_case_advantage", "paper.e", "sepo.e", "paper.J", "sepo.J")
"""What arms are compared by, where they have it."""
MANY = 20
"""Steps from which a term is judged over a whole run."""
NEAR = 1.1
"""Times its budget that a measure may end at: dual ascent comes within a few hundredths of it, from either side."""


def summarise(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Read a run's finished units and return its summary document."""
    return {
        "schema": SCHEMA,
        **header(recipe),
        "rules_by_measures": rules_by_measures(recipe),
        "arms": [_arm(recipe, arm, folder) for arm in recipe.arms],
        "paired": differences(recipe, folder),
        "ceilings": ceilings(recipe),
        "published": published(recipe.game),
    }


def header(recipe: Recipe) -> dict[str, Any]:
    """Return what every document of a run says first."""
    game = make(recipe.game, recipe.rules, recipe.measures)
    return {
        "name": recipe.name,
        "game": game.name,
        "rules": dict(recorded(game)),
        "unit": game.unit,
        "measures": recipe.measures,
        "model": recipe.model.policy,
        "seeds": recipe.seeds,
    }


def rules_by_measures(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Return, by set of measures, the rules that it is audited by, where its preset has others than the run's."""
    rules = {of: dict(recorded(make(recipe.game, recipe.rules, of))) for of in SETS}
    return {of: found for of, found in rules.items() if found != rules[recipe.measures]}


def ceilings(recipe: Recipe) -> dict[str, dict[str, float]]:
    """Return, by set of measures, the J of the best policy there is; a set in which none can be proved is left out."""
    out: dict[str, dict[str, float]] = {}
    grounds: dict[str, Ground] = {}  # by rules, which most sets share
    for of in SETS:
        game = make(recipe.game, recipe.rules, of)
        rules = str(game.rules)
        try:
            grounds[rules] = ground = grounds.get(rules) or ground_of(game)
            found = ceiling(ground, game.measures(of))
        except InputError:
            continue
        out[of] = {"J": found.j, "bound": found.bound}
    return out


def _arm(recipe: Recipe, arm: Arm, folder: Path) -> dict[str, Any]:
    done: list[int] = []
    cards: dict[str, list[Mapping[str, Any]]] = {"last": [], "best": []}
    steps: list[dict[str, Any]] = []
    warnings: dict[str, int] = {}
    lines: list[dict[str, Any]] = []
    for seed in recipe.seeds:
        unit = folder / "arms" / arm.name / f"seed-{seed}"
        if not (unit / "done.json").exists():
            continue
        done.append(seed)
        steps.append(read_json(unit / "done.json", "unit record"))
        for name in recipe.audit.cards:
            card = read_json(unit / "scorecards" / f"{name}.json", "scorecard")
            cards[name].append(card["games"][recipe.game])
        lines += read_metrics(unit / "metrics.jsonl")
    for line in lines:
        for text in line.get("warnings", []):
            warnings[text] = warnings.get(text, 0) + 1
    ledger = credit(lines)
    last = over_seeds(cards["last"])
    return {
        "name": arm.name,
        "stage": arm.stage,
        "about": arm.about,
        "seeds": done,
        "steps": steps[0]["steps"] if steps else 0,
        "last": last,
        "best": over_seeds(cards["best"]),
        "best_steps": [s["best_step"] for s in steps],
        "criterion": steps[0]["criterion"] if steps else None,
        "ledger": ledger,
        "warnings": [
            *(f"{text} ({n} steps)" for text, n in warnings.items()),
            *unrecovered(ledger),
            *(beyond(recipe, arm, last) if arm.stage == "train" else ()),
        ],
    }


def differences(recipe: Recipe, folder: Path) -> dict[str, Any] | None:
    """Return each arm's figures minus those of the arm ``sepo``, or of the last trained one, paired by seed.

    Of the last steps: exploitability, worst case, e and J, those that both have; None where there is no other arm. See
    ``train.apart``.
    """
    trained = [arm.name for arm in recipe.arms if arm.stage == "train"]
    if not trained or len(recipe.arms) < 2:
        return None
    of = "sepo" if "sepo" in trained else trained[-1]
    apart = Apart(recipe, folder)
    rows = []
    for arm in recipe.arms:
        if arm.name == of:
            continue
        for key in COMPARED:
            found = spread(apart(arm.name, of).get(key, {}))
            if found is not None:
                rows.append({"arm": arm.name, "figure": key, **found.document()})
    return {"minus": of, "rows": rows}


def credit(lines: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return, by measure, the mean over steps of how much of its true gradient a run's weights held, with its error.

    ``recovered`` is 1 for the true gradient and 0 where a penalty does not reach the policy; see
    ``train.objective.LedgerRow``.
    """
    values: dict[str, list[float]] = {}
    for line in lines:
        for row in line.get("ledger", []):
            if row["recovered"] is not None and abs(row["value"]) > 1e-9:
                values.setdefault(row["kind"], []).append(row["recovered"])
    return {
        kind: {
            "recovered": float(np.mean(found)),
            "error": float(np.std(found, ddof=1) / np.sqrt(len(found))) if len(found) > 1 else 0.0,
            "steps": float(len(found)),
        }
        for kind, found in values.items()
    }


def unrecovered(ledger: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a dead-term warning for each penalty whose gradient a whole run cannot tell from zero."""
    return [
        f"dead term: over {row['steps']:.0f} steps '{kind}' recovered {row['recovered']:.2f} +- {row['error']:.2f} "
        "of its true gradient, which is not distinguishable from zero"
        for kind, row in ledger.items()
        if kind != "u" and row["steps"] >= MANY and row["error"] > 0 and abs(row["recovered"]) < 2 * row["error"]
    ]


def beyond(recipe: Recipe, arm: Arm, last: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a warning for each measure of an arm's last steps that is above its budget, interval and all.

    Parameters
    ----------
    last
        Figures over the seeds, by name; see ``NEAR``.
    """
    of = recipe.measure_name(arm)
    out = []
    for name, budget in recipe.settings(arm).lambda_.budgets.items():
        found = last.get(f"{of}.{name}")
        if found is not None and found["low"] > NEAR * budget:
            out.append(
                f"over budget: {name} is {found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}] at the last "
                f"step, and was to be {budget:g} at most"
            )
    return out


def over_seeds(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return each figure's mean over seeds with its interval.

    A figure that some seeds lack has none, since they are not lacking by chance: seeds without a time to exploit are
    those that nobody exploited in time, so the mean of the others would be of the easiest; and a payoff that was the
    same in all instances drawn has no known ends.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for card in cards:
        for name, figure in figures(card):
            found.setdefault(name, []).append(figure)
    whole = {name: each for name, each in found.items() if len(each) == len(cards)}
    return {name: widened([(f["value"], f["low"], f["high"]) for f in each]) for name, each in whole.items()}
