"""The pictures of the measures: each is computed from scripts whose policies are known, and exact unless it says not.

They are SVG of their own ground, in the reader's colour scheme, so they can be read on any page, dark or light.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from sepo.audit.methods import Options
from sepo.audit.scorecard import scorecard
from sepo.files import read_json
from sepo.games.registry import SETS, make
from sepo.policies.spec import load_policy

WIDTH, LEFT, RIGHT, STEP, TOP = 520, 190, 76, 24, 44
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1b1b1f; paint-order: stroke; stroke: #fff; stroke-width: 3px }
.h { font-weight: 600 } .g { fill: #fff; stroke: #c9c9d2 } .a { fill: #2c5f9e } .b { fill: #c2691c }
.l { stroke: #55555f; fill: none } .d { stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
 text { fill: #ececf1; stroke: #17181c } .g { fill: #17181c; stroke: #44454d } .a { fill: #7fb0ee } .b { fill: #f0a35e }
 .l { stroke: #b4b4c0 }
}
"""


class Bar(NamedTuple):
    """One bar: its row's label, its value, and where it has them the ends of its interval. ``b`` is a second colour."""

    label: str
    value: float
    kind: str = "a"
    low: float | None = None
    high: float | None = None


class Mark(NamedTuple):
    """A dashed line at a value, with its name."""

    value: float
    label: str


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(words)}</text>'


END, MIDDLE = ' text-anchor="end"', ' text-anchor="middle"'


def chart(
    title: str,
    bars: Sequence[Bar],
    mark: Mark | None = None,
    legend: Mapping[str, str] | None = None,
    log: bool = False,
    digits: int = 4,
) -> str:
    """Draw horizontal bars under a title."""
    size = math.log10 if log else float
    ends = [size(v) for bar in bars for v in (bar.value, bar.low, bar.high) if v is not None and (v > 0 or not log)]
    ends += [size(mark.value)] if mark else []
    low, high = min(0.0, *ends), max(0.0, *ends)
    beside = 60 if low < 0 else 0  # room for what negative bars say
    room = WIDTH - LEFT - RIGHT - beside
    zero = LEFT + 10 + beside - low / (high - low) * room

    def at(value: float) -> float:
        return zero + size(value) / (high - low) * room

    bottom = TOP + STEP * len(bars)
    parts = [_text(14, 26, title, ' class="h"')]
    before = ""
    for row, bar in enumerate(bars):
        y = TOP + STEP * row
        if bar.label != before:
            parts.append(_text(LEFT, y + 13, bar.label, END))
        before = bar.label
        start, end = sorted((zero, at(bar.value)))
        parts.append(
            f'<rect class="{bar.kind}" x="{start:.1f}" y="{y + 2}" width="{max(end - start, 1):.1f}" height="15"/>'
        )
        tip = at(bar.high) if bar.high is not None else end
        if bar.low is not None:
            parts.append(f'<path class="l" d="M{at(bar.low):.1f} {y + 9.5}H{tip:.1f}"/>')
        shown = f"{bar.value + 0.0:.{digits}f}"
        parts.append(_text(start - 6 if bar.value < 0 else tip + 6, y + 13, shown, END if bar.value < 0 else ""))
    parts.append(f'<path class="l" d="M{zero:.1f} {TOP - 4}V{bottom}"/>')
    if mark:
        x = at(mark.value)
        parts.append(f'<path class="l d" d="M{x:.1f} {TOP - 4}V{bottom + 4}"/>')
        parts.append(_text(min(x, WIDTH - 70), bottom + 18, mark.label, MIDDLE))
        bottom += 20
    for kind, words in (legend or {}).items():
        parts += [f'<rect class="{kind}" x="{LEFT}" y="{bottom + 6}" width="12" height="12"/>']
        parts.append(_text(LEFT + 20, bottom + 17, words))
        bottom += 20
    height = bottom + 12
    frame = f'<rect class="g" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return f"{head}\n<style>{STYLE}</style>\n{frame}\n" + "\n".join(parts) + "\n</svg>\n"


@cache
def card(game: str, script: str, adversaries: bool = False) -> dict[str, Any]:
    """Audit a script in a game."""
    games = {of: make(game, preset=of) for of in SETS}
    options = Options(adversaries=adversaries)
    found: dict[str, Any] = scorecard(load_policy(f"script:{script}"), [games], options)["games"][game]
    return found


def figure(game: str, script: str, name: str) -> float:
    """Return one figure of a script, such as ``paper.e``."""
    at: Any = card(game, script)
    for part in ["measures", *name.split(".")] if "." in name else [name]:
        at = at[part]
    return float(at["value"])


def against(game: str, script: str, pool: str, what: str) -> dict[str, float]:
    """Return a figure of a script against each opponent of a pool."""
    return {o["name"]: o[what]["value"] for o in card(game, script)["opponents"] if o["pool"] == pool}


def each(game: str, scripts: Sequence[str], name: str, kind: str = "a") -> list[Bar]:
    """Return a bar a script."""
    return [Bar(script, figure(game, script, name), kind) for script in scripts]


def beside(*several: Sequence[Bar]) -> list[Bar]:
    """Put bars of the same rows under each other."""
    return [bar for row in zip(*several, strict=True) for bar in row]


def pictures() -> dict[str, str]:
    """Draw every picture, by its file's name."""
    scripts = ("always_cooperate", "tit_for_tat", "generous_tit_for_tat", "grim_trigger", "always_defect")
    mixed = ("always_cooperate", "tit_for_tat", "mixed", "alternating_defect", "always_defect")
    own = against("ipd", "tit_for_tat", "train", "own")
    ahead = against("ipd", "tit_for_tat", "exploiter", "advantage")
    kept = against("ipd", "grim_trigger", "exploiter", "own")
    lost = against("ipd", "grim_trigger", "exploiter", "regret")
    mine, theirs = (against("ipd", "always_defect", "train", w) for w in ("own", "other"))
    slow = [(s, card("ipd", s, True)["time_to_exploit"]) for s in ("tit_for_tat", "grim_trigger")]
    base = read_json(Path(__file__).parents[1] / "results" / "base" / "scorecard.json", "scorecard")["games"]
    least = [Bar(s, 1.0 - figure("ipd", s, "security_gap")) for s in scripts]
    hands = ("nash", "nash_approx", "loose_aggressive", "tight_passive", "max_exploiter", "uniform")
    bids = ("value_bid", "aggressive_value", "adaptive", "win_stay")
    return {
        "u": chart(
            "tit_for_tat's own payoff in the train pool",
            [Bar(name, value) for name, value in own.items()],
            Mark(figure("ipd", "tit_for_tat", "paper.u"), "u, the mean"),
        ),
        "e-advantage": chart(
            "How far exploiters are ahead of tit_for_tat",
            [Bar(name, max(0.0, value)) for name, value in ahead.items()],
            Mark(figure("ipd", "tit_for_tat", "paper.e"), "e, the mean"),
        ),
        "e-regret": chart(
            "grim_trigger and the best answer to each exploiter",
            beside(
                [Bar(name, kept[name] + lost[name], "b") for name in kept], [Bar(name, kept[name]) for name in kept]
            ),
            legend={"b": "payoff of the best response", "a": "grim_trigger's payoff; e is the mean gap"},
        ),
        "c": chart("c in ipd: defections against always_cooperate", each("ipd", mixed, "paper.c")),
        "x": chart("x in ipd: share of mutual payoff lost", each("ipd", scripts, "paper.x")),
        "objective": chart("J and its parts, paper measures of ipd", parts("tit_for_tat") + parts("grim_trigger")),
        "exploitability": chart("Exploitability in Kuhn poker, chips per hand", each("kuhn", hands, "exploitability")),
        "worst-case": chart(
            "How far opponents of ipd can be ahead",
            beside(each("ipd", scripts, "worst_case_advantage", "b"), each("ipd", scripts, "paper.e")),
            legend={"b": "the worst of all opponents", "a": "mean over the exploiter pool"},
        ),
        "security-gap": chart("Payoff against the worst opponent of ipd", least, Mark(1.0, "maximin value, 1")),
        "robustness": chart(
            "Own payoff against exploiters and strangers",
            beside(each("ipd", scripts, "robustness"), each("ipd", scripts, "held_out", "b")),
            legend={"a": "robustness: the exploiter pool", "b": "held-out: opponents never trained on"},
        ),
        "relative": chart(
            "always_defect is ahead of everyone",
            beside([Bar(k, v) for k, v in mine.items()], [Bar(k, v, "b") for k, v in theirs.items()]),
            legend={"a": "own payoff", "b": "the other's"},
        ),
        "time": chart(
            "Rounds to exploit, median and 95 % of 32 learners (log)",
            [Bar(name, t["value"], "a", t["low"], t["high"]) for name, t in slow],
            log=True,
            digits=0,
        ),
        "deviation": chart("Change of bids after a partner's deviation", each("auction", bids, "deviation_response")),
        "legal-mass": chart(
            "Legal mass of the bundled model, untrained",
            [Bar(name, part["legal_mass"]["value"]) for name, part in base.items()],
            digits=3,
        ),
    }


def parts(script: str) -> list[Bar]:
    """Return what J of a script is made of, in ``ipd`` by the paper measures."""
    e, c, x = make("ipd").measures("paper").weights
    s = make("ipd").scale
    terms = {"payoff": s, "exploited": -e * s, "collusion": -c, "externality": -x}
    found = [figure("ipd", script, f"paper.{kind}") for kind in "uecx"]
    bars = [Bar(f"{script}, {name}", w * v) for (name, w), v in zip(terms.items(), found, strict=True)]
    return [*bars, Bar(f"{script}, J", figure("ipd", script, "paper.J"), "b")]
