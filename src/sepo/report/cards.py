"""The headline: a card an arm, with its one figure that matters most and what that figure means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sepo.display import NONE
from sepo.games.registry import GAMES
from sepo.report.read import ArmSummary, Estimate, Run, Summary
from sepo.report.standing import digits, headline
from sepo.report.words import count, interval, number


class Strip(NamedTuple):
    """A figure on the scale that all cards share, in per cent of its width."""

    value: float
    low: float
    high: float
    seeds: tuple[float, ...]


class Card(NamedTuple):
    """An arm's headline. ``strip`` is None without a figure; ``ends`` are the numbers at its two ends."""

    arm: int
    name: str
    about: str
    figure: str
    interval: str
    sentence: str
    note: str
    strip: Strip | None
    ends: tuple[str, str]


def heading(summary: Summary) -> str:
    """Return the title of the cards."""
    return "Exploitability" if headline(summary) == "exploitability" else f"Objective J ({summary.measures} measures)"


def title(summary: Summary) -> str:
    """Return the game's name in words, with its rules."""
    name = GAMES[summary.game].title if summary.game in GAMES else summary.game
    rules = ", ".join(f"{key} {value}" for key, value in summary.rules.items())
    return f"{name} ({rules})" if rules else name


def opening(run: Run) -> str:
    """Return the plain sentence that says what was run."""
    summary = run.summary
    if run.audited:
        return (
            f"Audited in {title(summary)}: {summary.model}. The objective J is that of the {summary.measures} measures."
        )
    arms, seeds = count(len(summary.arms), "arm"), count(len(summary.seeds), "seed")
    return (
        f"The model {summary.model or '(not named)'} was trained to play {title(summary)}: {arms}, "
        f"each one way of training, over {seeds}. The objective J is that of the {summary.measures} measures."
    )


def cards(run: Run) -> list[Card]:
    """Return a card an arm, at the last step."""
    summary = run.summary
    key = headline(summary)
    shown = digits(key)
    found = [arm.last.get(key) for arm in summary.arms]
    values = [v for e in found if e for v in (e.low, e.high, *(s for s in e.seeds if s is not None))]
    low, high = min([0.0, *values]), max([0.0, *values])
    ends = (number(low, shown) if low else "0", number(high, shown))
    return [
        Card(
            arm=index,
            name=arm.name,
            about=arm.about,
            figure=number(estimate.value, shown) if estimate else NONE,
            interval=interval(estimate, shown),
            sentence=_sentence(key, estimate, summary, shown),
            note=_note(arm, summary, key),
            strip=_strip(estimate, low, high) if estimate and high > low else None,
            ends=ends,
        )
        for index, (arm, estimate) in enumerate(zip(summary.arms, found, strict=True))
    ]


def _sentence(key: str, found: Estimate | None, summary: Summary, shown: int) -> str:
    if found is None:
        return "No figure yet: no seed of this arm has finished."
    value = number(found.value, shown)
    if key == "exploitability":
        return f"An opponent who knows this policy wins {value} {summary.unit}, averaged over both seats."
    return f"Its objective J, scaled payoff minus weighted penalties, is {value}; higher is better."


def _note(arm: ArmSummary, summary: Summary, key: str) -> str:
    if arm.method:
        return arm.method
    parts = []
    estimate = arm.last.get(key)
    done, planned = len(arm.seeds), len(summary.seeds)
    parts.append(f"{done} of {planned} seeds finished" if done < planned else count(done, "seed"))
    if estimate and (estimate.n or 1) < 2:
        parts.append("no interval over seeds")
    if arm.steps:
        parts.append(f"step {arm.steps}")
    best = arm.best.get(key)
    if best is not None and arm.steps:
        parts.append(f"best checkpoint {number(best.value, 4 if key == 'exploitability' else 3)}")
    return " · ".join(parts)


def _strip(found: Estimate, low: float, high: float) -> Strip:
    def place(value: float) -> float:
        return round(min(100.0, max(0.0, 100 * (value - low) / (high - low))), 2)

    seeds: Sequence[float] = [s for s in found.seeds if s is not None]
    return Strip(place(found.value), place(found.low), place(found.high), tuple(place(s) for s in seeds))
