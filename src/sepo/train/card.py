"""The model card that stands beside a trained model: what was trained, how, and what the audit of it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from sepo.audit.compare import figures
from sepo.audit.scorecard import versions
from sepo.games.held import recorded
from sepo.train.part import Part
from sepo.verbatim import code, text

FIGURES = 6
"""Significant digits."""


def model_card(parts: Sequence[Part], cards: Sequence[Mapping[str, Any]]) -> str:
    """Return the card in Markdown, with the metadata that hubs read.

    Parameters
    ----------
    parts
        What was trained, one part a game.
    cards
        What the scorecard says of each.
    """
    first = parts[0]
    recipe, arm = first.recipe, first.arm
    kind, _, source = recipe.model.policy.partition(":")
    head: dict[str, Any] = {"library_name": "peft" if recipe.model.adapter == "lora" else "transformers"}
    if kind == "hf":
        head["base_model"] = source
    head["tags"] = ["sepo", "strategic-safety", recipe.style, *dict.fromkeys(part.recipe.game for part in parts)]
    names = ", ".join(part.recipe.name for part in parts)
    title = f"{names}, arm {arm.name}, seed {first.seed}"
    lines = ["---", yaml.safe_dump(head, sort_keys=False).rstrip(), "---", "", f"# {text(title)}", ""]
    those = "that recipe" if len(parts) == 1 else "those recipes"
    what = f"{code(recipe.model.policy)} after the stage {code(arm.stage)} of {those}, in the {recipe.style} style"
    lines += [
        f"{what}{': ' + text(arm.about) if arm.about else ''}. Made with sepo {versions(model=True).get('sepo', '')}."
    ]
    for part, card in zip(parts, cards, strict=True):
        lines += ["", f"## {part.domain.game.title}", ""]
        lines += [f"{part.schedule.steps} steps. Rules: {_rules(part, card)}. Audited at the last step:", ""]
        lines += ["| figure | value | low | high | n |", "| --- | --- | --- | --- | --- |"]
        for name, figure in figures(card):
            cells = [_cell(figure[key]) for key in ("value", "low", "high", "n")]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _rules(part: Part, card: Mapping[str, Any]) -> str:
    """Return the rules of the figures, and those of training where they are others."""

    def said(rules: Mapping[str, Any]) -> str:
        return ", ".join(f"{text(k)} {text(v)}" for k, v in rules.items()) or "the usual ones"

    own = card.get("rules_by_measures", {})
    out = said(card["rules"]) + "".join(f"; for the {text(of)} measures {said(rules)}" for of, rules in own.items())
    played = recorded(part.domain.game)
    return out if played in (card["rules"], *own.values()) else f"{out}; in training {said(played)}"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.{FIGURES}g}" if isinstance(value, float) else str(value)
