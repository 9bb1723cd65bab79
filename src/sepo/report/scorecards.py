"""Scorecards as runs, a game each: every policy is an arm without steps, so whatever shows arms shows policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sepo.audit.compare import figures
from sepo.audit.published import published
from sepo.errors import InputError
from sepo.report.read import ArmSummary, Estimate, Run, SeedRun, Summary
from sepo.train.rules import apart


def audited(cards: Sequence[Mapping[str, Any]]) -> list[Run]:
    """Return a run for each game that scorecards tell of, with a policy an arm.

    Raises
    ------
    InputError
        If a game, or one set of its measures, was played by different rules, or a policy has two scorecards.
    """
    parts: dict[str, dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for card in cards:
        name = str(card.get("policy", ""))
        for game, part in card["games"].items():
            if name in parts.setdefault(game, {}):
                raise InputError(f"policy '{name}' has two scorecards of game '{game}': give one of them")
            parts[game][name] = card, part
    return [_run(game, by) for game, by in parts.items()]


def _run(game: str, by: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Run:
    first_card, first = next(iter(by.values()))
    rules: dict[str, Mapping[str, Any]] = {}
    for name, (_, part) in by.items():
        if part.get("rules") != first.get("rules"):
            raise InputError(f"game '{game}' was played by other rules in the scorecard of '{name}' than in the first")
        for of in part.get("measures", {}):
            own = part.get("rules_by_measures", {}).get(of)
            own = own if isinstance(own, Mapping) else part.get("rules", {})
            if rules.setdefault(of, own) != own:
                raise InputError(
                    f"game '{game}': the {of} measures are by other rules in the scorecard of '{name}' than in one "
                    f"before it: {apart(rules[of], own)}, not {apart(own, rules[of])}"
                )
    arms = tuple(_arm(name, card, part) for name, (card, part) in by.items())
    summary = Summary(
        schema="sepo.run/1",
        name=game,
        game=game,
        rules=first.get("rules", {}),
        rules_by_measures=rules,
        unit=str(first.get("unit", "points per round")),
        measures=list(first.get("measures", {"sepo": None}))[-1],
        model=", ".join(by),
        seeds=tuple(dict.fromkeys(arm.seeds[0] for arm in arms)),
        arms=arms,
        published=tuple(published(game)),
    )
    return Run(
        summary=summary,
        histories={name: (SeedRun(int(card.get("seed", 0)), (), None, part),) for name, (card, part) in by.items()},
        recipe="",
        environment={"versions": first_card.get("versions", {})},
        audited=True,
    )


def _arm(name: str, card: Mapping[str, Any], part: Mapping[str, Any]) -> ArmSummary:
    last = {key: Estimate(value=f["value"], low=f["low"], high=f["high"], n=f.get("n")) for key, f in figures(part)}
    about = card.get("model") or card.get("about") or {}
    told = ", ".join(f"{key} {value}" for key, value in about.items()) if isinstance(about, Mapping) else ""
    return ArmSummary(name=name, about=told, seeds=(int(card.get("seed", 0)),), last=last, method=method(part))


def method(part: Mapping[str, Any]) -> str:
    """Return how a game's figures were found, in words."""
    found = str(part.get("method", "not recorded"))
    states, best = part.get("states"), part.get("robustness")
    if isinstance(states, Mapping):
        asked, reachable = states.get("asked"), states.get("reachable")
        if isinstance(asked, int) and isinstance(reachable, int) and asked != reachable:
            return f"{found}: {asked:,} of {reachable:,} states asked"
    n = best.get("n") if isinstance(best, Mapping) else None
    return f"{found}, {n} clusters" if n and found == "sampled" else found
