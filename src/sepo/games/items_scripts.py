"""Who bargains over items: the scripted opponents and demonstrators, and the reasons that these give."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sepo.games.base import Decision, Opponent, Script
from sepo.games.hands import ITEMS, TOTAL, Vector, fit, half_down, half_up, rest, spelt, units, worth
from sepo.games.repeated import View, because


def demanding(choose: Callable[[Vector, Vector, View], Vector]) -> Script:
    """Make the script that demands what a function of the pool, its own values now and its view says."""

    def script(decision: Decision) -> Mapping[str, float]:
        view = decision.view
        return {spelt(choose(view.public, view.private[-1], view)): 1.0}

    return script


def tit_for_tat(pool: Vector, values: Vector, view: View) -> Vector:
    """Take two thirds of each item at first, then what the other's last demand left."""
    return rest(pool, view.rounds[-1].other) if view.rounds else tuple(2 * n // 3 for n in pool)


def complement(pool: Vector, values: Vector, view: View) -> Vector:
    """Take what the other's last demand left, if worth half of the pool to this side; else half, rounded up."""
    left = rest(pool, view.rounds[-1].other) if view.rounds else (0,) * len(pool)
    return left if 2 * worth(left, values) >= worth(pool, values) else half_up(pool)


def logroller(pool: Vector, values: Vector, view: View) -> Vector:
    """Take the dearest item whole, the others in proportion to value; give up a cheapest unit per breakdown."""
    if not view.rounds:
        return tuple(n * v // max(values) for n, v in zip(pool, values, strict=True))
    last = view.rounds[-1]
    own = list(units(last.own))
    held = [i for i, n in enumerate(own) if n]
    if held and not fit(pool, *last):
        own[min(held, key=lambda i: values[i])] -= 1
    return tuple(own)


def proportional(pool: Vector, values: Vector, view: View) -> Vector:
    """Take of each item the share that its value has in all values, rounded to the nearest unit (a half up)."""
    return tuple((2 * n * v + TOTAL) // (2 * TOTAL) for n, v in zip(pool, values, strict=True))


def adaptive(pool: Vector, values: Vector, view: View) -> Vector:
    """Take half, rounded up, at first; then what the other's last demand left, whatever that is worth."""
    return rest(pool, view.rounds[-1].other) if view.rounds else half_up(pool)


def defensive(pool: Vector, values: Vector, view: View) -> Vector:
    """Take half, rounded up; rounded down after a breakdown."""
    broke = bool(view.rounds) and not fit(pool, *view.rounds[-1])
    return half_down(pool) if broke else half_up(pool)


def uniform(decision: Decision) -> Mapping[str, float]:
    """Every legal action with the same probability."""
    return dict.fromkeys(decision.legal, 1 / len(decision.legal))


OPPONENTS = {
    o.name: o
    for o in (
        Opponent("fair", demanding(lambda p, v, w: half_down(p)), "half of each item, rounded down", "round"),
        Opponent(
            "tit_for_tat",
            demanding(tit_for_tat),
            "two thirds of each item, then what the other's last demand left",
            "last",
        ),
        Opponent(
            "concede",
            demanding(lambda p, v, w: tuple(max(0, n - min(w.number, 2)) for n in p)),
            "everything, then one unit less of each item, then two",
            "round",
        ),
        Opponent(
            "greedy",
            demanding(lambda p, v, w: tuple(min(n, n * x // TOTAL + 1) for n, x in zip(p, v, strict=True))),
            "more than each item's share of its values, at least one unit",
            "round",
        ),
        Opponent("hardball", demanding(lambda p, v, w: tuple(n - 1 for n in p)), "all but one of each item", "round"),
        Opponent(
            "value_seeker",
            demanding(lambda p, v, w: tuple(n if 3 * x > TOTAL else 0 for n, x in zip(p, v, strict=True))),
            "all of the items it values above 10/3, nothing of the rest",
            "round",
        ),
        Opponent(
            "logroller",
            demanding(logroller),
            "its dearest item whole, the others in proportion; gives its cheapest unit after a breakdown",
            "last",
        ),
        Opponent("half_up", demanding(lambda p, v, w: half_up(p)), "half of each item, rounded up", "round"),
        Opponent(
            "complement",
            demanding(complement),
            "what the other's last demand left if worth half of the pool, else half rounded up",
            "last",
        ),
        Opponent("everything", demanding(lambda p, v, w: p), "the whole pool", "round"),
        Opponent("uniform", uniform, "every legal action with the same probability", "round"),
    )
}


def sharing(view: View, word: str) -> str:
    """Say what each item comes to by its share of the values, before it is rounded."""
    parts = [n * v / TOTAL for n, v in zip(view.public, view.private[-1], strict=True)]
    books, hats, balls = (f"{part:g} {item}{'s' * (part != 1)}" for part, item in zip(parts, ITEMS, strict=True))
    return (
        f"By its share of my values each item comes to {books}, {hats} and {balls}, so rounded, halves up, "
        f"I demand {word}."
    )


def halving(rounded: str, before: str = "") -> Callable[[View, str], str]:
    """Make the reason that says what half of each item is."""
    return lambda view, word: (
        f"{before}{'h' if before else 'H'}alf of each item, rounded {rounded}, is {word}, so I demand that."
    )


def answering(view: View, word: str) -> str:
    """Say what the other side's last demand leaves."""
    if not view.rounds:
        return halving("up", "It is the first round and ")(view, word)
    last = view.rounds[-1].other
    return f"They demanded {last} last round, which leaves {spelt(rest(view.public, last))}, so I demand {word}."


def receding(view: View, word: str) -> str:
    """Say whether the last round was a deal."""
    if not view.rounds:
        return answering(view, word)
    if fit(view.public, *view.rounds[-1]):
        return halving("up", "The last round was a deal and ")(view, word)
    return halving("down", "The last round was no deal and ")(view, word)


DEMONSTRATORS: tuple[tuple[float, Opponent], ...] = (
    (
        0.35,
        Opponent(
            "proportional",
            demanding(proportional),
            "each item by its share of own values, rounded",
            "round",
            because(sharing),
        ),
    ),
    (
        0.25,
        Opponent(
            "conservative",
            OPPONENTS["fair"].script,
            "half of each item, rounded down",
            "round",
            because(halving("down")),
        ),
    ),
    (
        0.25,
        Opponent(
            "adaptive",
            demanding(adaptive),
            "half rounded up, then what the other's last demand left",
            "last",
            because(answering),
        ),
    ),
    (
        0.15,
        Opponent(
            "defensive",
            demanding(defensive),
            "half rounded up, rounded down after a breakdown",
            "last",
            because(receding),
        ),
    ),
)
