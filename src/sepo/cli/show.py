"""Scorecards, comparisons and games as tables in the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from sepo import display
from sepo.audit.compare import REPORTED, remarks
from sepo.audit.meanings import MEANINGS
from sepo.cli.terminal import console, say
from sepo.games.base import Game
from sepo.games.wording import wordings
from sepo.printable import printable

if TYPE_CHECKING:
    from sepo.cli.terminal import Console

BESIDE = tuple(name for name in MEANINGS if name not in ("J", "u", "e", "c", "x"))
"""The figures that stand beside the measures."""


def figure(found: Mapping[str, Any] | None) -> str:
    """Return a figure as text; where it is a time that was not reached, how long was waited for it."""
    if found is not None and found["value"] is None and "horizon" in found:
        return f"not within {found['horizon']}"
    return display.figure(found)


def show_cards(cards: Sequence[Mapping[str, Any]]) -> None:
    """Print scorecards side by side, one table a game."""
    out = console()
    for game in dict.fromkeys(name for card in cards for name in card["games"]):
        _show_game(game, [card for card in cards if game in card["games"]], out)
    for card in cards:
        for said in remarks(card):
            say(said)


def show_differences(found: Mapping[str, Any]) -> None:
    """Print how policies differ from the first one, one table a policy and game."""
    out = console()
    for policy, games in found["of"].items():
        for game, sets in games.items():
            table = Table(title=f"{game}: {policy} minus {found['from']}", title_justify="left")
            for heading in ("measure", "difference"):
                table.add_column(heading, justify="right" if heading == "difference" else "left")
            for name, row in sets.items():
                for key, value in row.items():
                    label = key if name == REPORTED else f"{name} {key}"
                    table.add_row(label, figure(value), style="bold" if key == "J" else None)
            out.print(table)


def _show_game(game: str, cards: Sequence[Mapping[str, Any]], out: Console) -> None:
    """Print policies in one game: a table for those that play by the same rules, and who plays by others."""
    by_rules: dict[str, list[Mapping[str, Any]]] = {}
    for card in cards:
        by_rules.setdefault(json.dumps(_rules(card["games"][game]), sort_keys=True), []).append(card)
    apart = _apart([_rules(here[0]["games"][game]) for here in by_rules.values()])
    for here, rules in zip(by_rules.values(), apart, strict=True):
        out.print(_figures(game, here, rules, alone=len(cards) == 1))
    if len(cards) == 1:
        out.print(_opponents(cards[0]["games"][game]))
    for card in cards[1:]:
        sets = _other_rules(cards[0]["games"][game], card["games"][game])
        if sets:
            say(
                f"{card['policy']} plays {game} by other rules than {cards[0]['policy']}: "
                f"their {' and '.join(sets)} figures do not compare, and no difference is given"
            )


def _figures(game: str, cards: Sequence[Mapping[str, Any]], rules: str, *, alone: bool) -> Table:
    """Make the table of policies that played by the same rules; each with its method where these are several."""
    parts = [card["games"][game] for card in cards]
    methods = list(dict.fromkeys(p["method"] for p in parts))
    of = f"{game}, {rules}" if rules else game
    table = Table(title=f"{of} ({parts[0]['unit']}, {'/'.join(methods)})", title_justify="left")
    table.add_column("measure")
    for card, part in zip(cards, parts, strict=True):
        method = f"\n({part['method']})" if len(methods) > 1 else ""
        table.add_column(f"{printable(card['policy'])}{method}", justify="right")
    if alone:
        table.add_column("meaning", style="dim")
    for name in parts[0]["measures"]:
        for key in parts[0]["measures"][name]:
            row = [figure(p["measures"][name][key]) for p in parts]
            table.add_row(f"{name} {key}", *row, style="bold" if key == "J" else None)
    for key in BESIDE:
        row = [figure(p.get(key)) for p in parts]
        if all(p.get(key) is None for p in parts) and key not in parts[0]:
            continue
        table.add_row(key, *row, *([MEANINGS[key].text] if alone else []))
    return table


def _rules(part: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the rules of each set of measures."""
    own = part.get("rules_by_measures", {})
    return {of: dict(own.get(of, part["rules"])) for of in part["measures"]}


def _other_rules(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return the sets of measures whose rules are not the same in both."""
    ours, theirs = _rules(first), _rules(second)
    return [of for of in ours if theirs.get(of) != ours[of]]


def _apart(groups: Sequence[Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Return, for each group of policies, those of its rules that tell the groups apart; empty where there is one."""
    every = [(of, rule) for of in groups[0] for rule in dict.fromkeys(r for rules in groups for r in rules[of])]
    told = {rule for of, rule in every if any(rules[of].get(rule) != groups[0][of].get(rule) for rules in groups)}
    out = []
    for rules in groups:
        said = {of: ", ".join(f"{r}={v}" for r, v in row.items() if r in told) for of, row in rules.items()}
        alike = len(set(said.values())) == 1
        out.append(next(iter(said.values())) if alike else "; ".join(f"{of} {text}" for of, text in said.items()))
    return out


def _opponents(part: Mapping[str, Any]) -> Table:
    table = Table(title="opponent by opponent", title_justify="left")
    for heading in ("pool", "opponent", "own", "other", "regret"):
        table.add_column(heading, justify="left" if heading in ("pool", "opponent") else "right")
    for row in part["opponents"]:
        table.add_row(row["pool"], row["name"], *(figure(row[k]) for k in ("own", "other", "regret")))
    return table


def show_games(games: Sequence[Game]) -> None:
    """Print a line a game."""
    table = Table()
    for heading in ("game", "title", "unit", "zero-sum", "opponents"):
        table.add_column(heading)
    for game in games:
        table.add_row(
            game.name,
            game.title,
            game.unit,
            "yes" if game.zero_sum else "no",
            ", ".join(game.opponents),
        )
    console().print(table)


def show_game(game: Game) -> None:
    """Print everything about one game."""
    out = console()
    out.print(Text.assemble((game.title, "bold"), f" ({game.name}), {game.unit}"))
    rules = ", ".join(f"{k}={v}" for k, v in game.rules.items())
    out.print(f"rules: {rules or 'no options'}")
    out.print(f"wordings: {', '.join(w.name for w in wordings(game))}")
    for name in ("paper", "sepo"):
        chosen = game.measures(name)
        weights = ", ".join(f"{k}={v}" for k, v in chosen.weights._asdict().items())
        out.print(f"measures '{name}': e is {chosen.e}; lambda {weights}")
    table = Table(title="opponents", title_justify="left")
    for heading in ("name", "pools", "plays"):
        table.add_column(heading)
    pools = game.measures("sepo").pools
    for name, opponent in game.opponents.items():
        member = ", ".join(pool for pool, names in pools.items() if name in names)
        table.add_row(name, member, opponent.about)
    out.print(table)
