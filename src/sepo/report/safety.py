"""A safety card in Markdown, for a model repository: what an audit found, what it means, and how to find it again.

Made from the card's JSON alone, so ``sepo verify`` can make it again and see whether anyone has changed it. Every text
of the card is shown as text: what Markdown or HTML would act on is written as character references.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sepo.audit.compare import figures, known, known_of
from sepo.audit.meanings import EXPLOITED, MEANINGS, better, heading, last, rank
from sepo.files import write_json, write_text
from sepo.games.registry import GAMES
from sepo.verbatim import code, text

NAME = "safety-card"
DIGITS = 4
METHODS = {
    "exact": "computed from the game's tree, without sampling",
    "bounded": "computed from a part of the policy; the intervals hold whatever it does elsewhere",
    "sampled": "estimated from episodes",
    "estimated": "computed from shares of sampled answers",
}
POOLS = {
    "train": "train",
    "exploiter": "exploiter",
    "collusive": "collusive",
    "held_out": "held out",
    "asked": "asked for",
}


def card_files(out: Path) -> tuple[Path, Path]:
    """Return where ``write_card`` writes a card as Markdown and as JSON."""
    stem = out.with_suffix("") if out.suffix in (".md", ".json") else out / NAME
    return stem.parent / f"{stem.name}.md", stem.parent / f"{stem.name}.json"


def write_card(card: Mapping[str, Any], out: Path) -> tuple[Path, Path]:
    """Write a card as Markdown and JSON, each whole or not at all; return their paths.

    Parameters
    ----------
    out
        A folder, in which they are called ``safety-card``, or a file ending in ``.md`` or ``.json``: both get its name.
    """
    text, document = card_files(out)
    write_json(document, card)
    write_text(text, markdown(card))
    return text, document


def markdown(card: Mapping[str, Any]) -> str:
    """Return the card as one page of Markdown."""
    lines = [f"# Safety card: {code(card['policy'])}", "", _opening(card), ""]
    for game, part in card["games"].items():
        lines += _game(game, part, known_of(card))
    lines += ["## How to find it again", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in _provenance(card)]
    lines += [
        "",
        "`sepo verify`, with the JSON file beside this page, recomputes every figure and says whether the card holds.",
        "",
    ]
    return "\n".join(lines)


def _opening(card: Mapping[str, Any]) -> str:
    kind = {"model": "language model", "table": "policy table", "script": "scripted policy"}[card["kind"]]
    count = len(card["games"])
    where = "one game" if count == 1 else f"{count} games"
    return (
        f"What an audit of this {kind} found in {where}: what it earns, how far it can be exploited, whether it "
        "colludes, and what its conduct costs others. Figures are about these games, these opponents and these prompts."
    )


def _game(game: str, part: Mapping[str, Any], elicited: str) -> list[str]:
    title = GAMES[game].title if game in GAMES else game
    method = str(part["method"])
    said = next((text for name, text in METHODS.items() if method.startswith(name)), "")
    lines = [f"## {text(title)}", ""]
    lines.append(f"Rules: {_rules(part)}. Method: {text(method)}{f', {said}' if said else ''}. {_asked(part)}".rstrip())
    lines += [f"The table was elicited in {elicited}, and is uniform elsewhere."] if elicited else []
    lines += [f"Payoffs are in {text(part['unit'])}.", ""]
    lines += ["| figure | value | interval | better | what it is |", "| --- | ---: | --- | --- | --- |"]
    found = sorted(figures(part), key=lambda row: rank(row[0]))
    lines += [f"| {' | '.join(_row(name, figure, part))} |" for name, figure in found]
    lacking = [name for name in _all(part) if name not in dict(found)]
    if lacking:
        lines += ["", f"Not known, or not a question in this game: {', '.join(map(_named, lacking))}."]
    pools: dict[str, list[str]] = {}
    for row in part.get("opponents", []):
        pools.setdefault(str(row["pool"]), []).append(str(row["name"]))
    lines += [""] + [f"- {POOLS.get(pool, text(pool))}: {', '.join(map(code, who))}" for pool, who in pools.items()]
    asked = part["prompts"]
    share = "all" if asked["all"] else "a fixed sample of"
    lines += [f"- prompts: SHA-256 {code(asked['sha256'])}, of {share} {asked['decisions']:,} decisions", ""]
    return lines


def _row(name: str, figure: Mapping[str, Any], part: Mapping[str, Any]) -> list[str]:
    meaning = MEANINGS[last(name)].text if last(name) in MEANINGS else ""
    of, _, key = name.rpartition(".")
    if key == "e" and (defined := part.get("definitions", {}).get(of, {}).get("e")) in EXPLOITED:
        meaning = EXPLOITED[defined]
    if key == "J" and of in part.get("weights", {}):
        weights = ", ".join(f"{n} {w:g}" for n, w in part["weights"][of].items())
        meaning += f" (weights: {weights})"
    return [_named(name), number(figure["value"]), interval(figure), better(name) or "neither", text(meaning)]


def _named(name: str) -> str:
    return text(heading(name))


def _all(part: Mapping[str, Any]) -> list[str]:
    """Return the names of all figures that a scorecard has a place for."""
    own = [f"{of}.{key}" for of, row in part["measures"].items() for key in row]
    return own + [k for k in MEANINGS if k in part and not (isinstance(part[k], Mapping) and known(part[k]))]


def _rules(part: Mapping[str, Any]) -> str:
    def said(rules: Mapping[str, Any]) -> str:
        return ", ".join(f"{text(k)} {text(v)}" for k, v in rules.items()) or "the game's own"

    own = part.get("rules_by_measures", {})
    return said(part["rules"]) + "".join(f"; for the {text(of)} measures {said(r)}" for of, r in own.items())


def _asked(part: Mapping[str, Any]) -> str:
    states = part.get("states")
    return f"{states['asked']:,} of {states['reachable']:,} information states were asked about." if states else ""


def _provenance(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    options, asking = card["options"], card["options"].get("asking") or {}
    fingerprint = card["fingerprint"]
    budget = "all states" if options["budget"] is None else f"{options['budget']:,} states"
    out = [
        ("policy", code(card["policy"])),
        (
            "fingerprint",
            f"SHA-256 {code(fingerprint['sha256'])}, of {text(fingerprint['of'])}" if fingerprint else "none",
        ),
        ("seed", str(card["seed"])),
        ("measures, method", f"{text(options['measures'])}, {text(options['method'])}"),
        ("episodes", "as usual" if options["episodes"] is None else str(options["episodes"])),
    ]
    if card["kind"] == "model":
        out.append(("budget", budget))
        scored = asking.get("style") == "direct" and not card["policy"].startswith("openai:")
        said = {k: v for k, v in asking.items() if v not in (None, {}) and (k == "template" or not scored)}
        told = {"style": "direct, scored"} | said if scored else said
        out.append(("asked", text(", ".join(f"{k} {v}" for k, v in told.items()))))
        out.append(("wording", text(card.get("wording", "original"))))
    notes = [card[key] for key in ("model", "about") if card.get(key)]
    out += [("notes", text(", ".join(f"{k} {v}" for k, v in found.items()))) for found in notes]
    out.append(("versions", text(", ".join(f"{k} {v}" for k, v in card["versions"].items()))))
    out.append(("command", code(card["command"])))
    if "date" in card:
        out.append(("date", text(card["date"])))
    return out


def number(value: float) -> str:
    """Return a number to four digits, without a negative zero."""
    return f"{round(value, DIGITS) + 0.0:.{DIGITS}f}"


def interval(figure: Mapping[str, Any]) -> str:
    """Return a figure's interval in words: exact, bounds that are certain, or a 95 % interval."""
    if figure["low"] == figure["high"]:
        return "exact" if figure.get("n") is None else f"none left, n {figure['n']}"
    ends = f"[{number(figure['low'])}, {number(figure['high'])}]"
    if "horizon" in figure:  # the spread of adversaries, not what the audit is unsure of
        return f"{ends}, 95 % of {figure['n']} adversaries"
    return f"{ends}, certain" if figure.get("n") is None else f"{ends}, 95 %, n {figure['n']}"
