"""A page a game: rules, words, measures, opponents and what its scripts score, from the games themselves."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

from sepo.audit.methods import Options
from sepo.audit.scorecard import scorecard
from sepo.games.base import Game, MeasureName, MeasureSet, PoolName, Ratio
from sepo.games.registry import GAMES, SETS, make
from sepo.games.wording import wordings
from sepo.policies.spec import load_policy

POOLS: tuple[PoolName, ...] = ("train", "exploiter", "collusive", "held_out")
ANCHORS: Mapping[str, tuple[str, ...]] = {
    "ipd": ("always_cooperate", "always_defect", "tit_for_tat", "generous_tit_for_tat", "grim_trigger", "pavlov"),
    "auction": ("truthful", "aggressive", "adaptive", "value_bid", "aggressive_value"),
    "split": ("fair", "hardball", "concede", "tit_for_tat_split", "accommodating"),
    "kuhn": ("nash", "nash_approx", "tight_passive", "loose_aggressive", "max_exploiter", "uniform"),
    "commons": ("low", "medium", "high", "scarcity_aware", "reciprocal", "grim"),
}
"""Scripts whose exact figures a page shows. Those of items are sampled or take long, and stand among the results."""

ADVANTAGE = {
    "advantage": "mean over exploiters of max(0, E[their payoff - own payoff])",
    "regret": "mean over exploiters of max(0, E[payoff of the best response to them] - E[own payoff])",
    "exploitability": "exact exploitability",
}


def prose(text: str | None) -> str:
    """Return a docstring as Markdown."""
    return inspect.cleandoc(text or "").replace("``", "`")


def said(game: Game) -> Iterator[str]:
    """Write what a model reads at its first decision, and what it may reply."""
    state = game.root()
    while state.actor < 0:
        state = state.child(state.chance()[0][0])
    decision = game.decision(state)
    replies = ", ".join(f"`{word}`" for word in decision.words()[:9])
    more = f" and {len(decision.legal) - 9} more" if len(decision.legal) > 9 else ""
    yield "## What a model reads\n\nAt one of its first decisions:\n\n```text"
    yield from (f"{turn.role}: {turn.content}" for turn in decision.chat())
    yield f"```\n\nThe legal replies there are {replies}{more}; the information state is `{decision.key or '(empty)'}`."
    names = ", ".join(f"`{w.name}`" for w in wordings(game))
    yield f"The game's [wordings](../audit.md#other-wordings-and-horizons) are {names}.\n"


def ratio(found: Ratio | None) -> str:
    """Say what c or x is."""
    if found is None:
        return "does not apply"
    return f"`{found.numerator}` / `{found.denominator}` against {', '.join(found.pools)}"


def ruled_by(game: Game) -> str:
    """Write the rules of a game as they stand."""
    return ", ".join(f"`{name}={json.dumps(value)}`" for name, value in game.rules.items()) or "no options"


def measured(game: Game) -> Iterator[str]:
    """Write both sets of measures side by side."""
    sets: dict[MeasureName, MeasureSet] = {"paper": game.measures("paper"), "sepo": game.measures("sepo")}
    yield "## Measures\n\n| | `paper` | `sepo` |\n| --- | --- | --- |"
    lines = {
        "e": [ADVANTAGE[m.e] for m in sets.values()],
        "c": [ratio(m.c) for m in sets.values()],
        "x": [ratio(m.x) for m in sets.values()],
        "weights of e, c, x": [", ".join(f"{w:g}" for w in m.weights) for m in sets.values()],
        "rules": [ruled_by(make(game.name, preset=name)) for name in sets],
    }
    lines |= {f"pool `{pool}`": [", ".join(m.pools[pool]) for m in sets.values()] for pool in POOLS}
    yield from (f"| {name} | {' | '.join(cells)} |" for name, cells in lines.items())
    counted = prose((getattr(game, "settle", None) or type(game.root()).features).__doc__)
    yield f"\nCounted as they fall due, beside both payoffs and `round`: {counted.split(chr(10) * 2)[-1]}"
    yield "Definitions are on the page of [concepts](../concepts.md).\n"


def opponents(game: Game) -> Iterator[str]:
    """Write every script with what it plays."""
    yield "## Opponents\n\nEach can be audited too, as `script:NAME`.\n\n| name | plays |\n| --- | --- |"
    yield from (f"| `{name}` | {script.about} |" for name, script in game.opponents.items())
    shares = ", ".join(f"`{script.name}` {share:g}" for share, script in game.demonstrators)
    yield f"\nFine-tuning imitates a mixture, one demonstrator an episode: {shares}.\n"


def number(found: Mapping[str, Any] | None) -> str:
    """Return a figure for a table."""
    if found is None or found["value"] is None:
        return "n/a"
    return f"{found['value']:.4f}".replace("-0.0000", "0.0000")


def anchors(game: Game) -> Iterator[str]:
    """Write the exact figures of some scripts."""
    if game.name not in ANCHORS:
        yield "## Figures\n\nThe bundled model's, trained and not, are on the page of [results](../results/items.md).\n"
        return
    yield f"## What scripts score\n\nExact, {game.unit}; `sepo audit script:NAME --game {game.name}` gives the rest.\n"
    yield "| script | J (`paper`) | u | e | c | x | J (`sepo`) | e (`sepo`) | worst case | held-out |"
    yield "| --- |" + " ---: |" * 9
    games = {of: make(game.name, preset=of) for of in SETS}
    for name in ANCHORS[game.name]:
        part = scorecard(load_policy(f"script:{name}"), [games], Options(adversaries=False))["games"][game.name]
        paper, ours = part["measures"]["paper"], part["measures"]["sepo"]
        cells = [*(paper[k] for k in ("J", "u", "e", "c", "x")), ours["J"], ours["e"]]
        cells += [part["worst_case_advantage"], part["held_out"]]
        yield f"| `{name}` | {' | '.join(map(number, cells))} |"
    yield ""


def ruled(game: Game) -> str:
    """Say which options a game has."""
    about = prose(type(game).rules.__doc__)
    if not game.rules:
        return about
    return f"Its rules can be set with `--rule NAME=VALUE`: {about} As they stand: {ruled_by(game)}."


def page(name: str) -> str:
    """Write a game's page."""
    game = make(name)
    module = inspect.getmodule(type(game))
    about, *rest = prose(module.__doc__ if module else "").split("\n\n", 1)
    parts = [f"# {game.title}", "", about.split(". Rules, words")[0].split(". Its rules")[0] + ".", "", *rest, ""]
    parts += [f"Payoffs are in {game.unit}; the scale of J is s = 3 / {game.max_payoff:g}. {ruled(game)}", ""]
    return "\n".join([*parts, *said(game), *measured(game), *opponents(game), *anchors(game)])


def index() -> str:
    """Write the list of the games."""
    rows = [f"| [`{name}`]({name}.md) | {make(name).title} | {make(name).unit} |" for name in GAMES]
    return "\n".join(
        [
            "# Games",
            "",
            "Six games come with `sepo`. Any two-player game of OpenSpiel with information-state strings plays as",
            "`openspiel:NAME`, and [your own](../extend.md) is a file.",
            "",
            "| name | game | payoffs |",
            "| --- | --- | --- |",
            *rows,
            "",
            "```{toctree}",
            ":hidden:",
            "",
            *GAMES,
            "```",
            "",
        ]
    )
