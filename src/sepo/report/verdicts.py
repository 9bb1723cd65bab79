"""What changed between two sides and whether it matters: a difference with its interval, and a sentence, per figure.

How the interval of a difference is found, the best there is first:

- **paired by seed**: two arms, or the same arm of two runs, over the seeds that both have; Student t over the seeds'
  differences, widened by what the audits leave open (``train.seeds``). The figures of both are then over these seeds.
- **paired by deals**: scorecards of one ``sepo audit`` command, which holds the paired differences.
- **drawn apart**: of such scorecards those of models that write, each known from replies of its own.
- **unpaired**: from the least to the most that the two intervals allow. Both may rest on the same deals, so they are
  not independent, and this interval holds whatever they have in common. It is exact where both figures are, and
  certain where both are bounds.

A difference is *clear* where its interval lies on one side of zero, whatever its size; *small* says that it is less
than ``SMALL`` of the scale that the figure has in its game. Where it is not clear, no difference can be told: that is
not the same as none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sepo.audit.compare import row_of
from sepo.audit.meanings import MEANINGS, better, heading, last, rank
from sepo.errors import InputError
from sepo.games.registry import make
from sepo.report.sides import Differences, Played, Side
from sepo.report.words import count
from sepo.train.seeds import interval

SCHEMA = "sepo.comparison/1"
SEVERAL = "sepo.comparisons/1"
ROUNDING = 1e-9
SMALL = 0.01
"""Of the game's largest payoff, of J's scale or of 1: a clear difference below it is called small."""
ALIKE = ("exploitability", "e", "security_gap")
"""Figures that are one and the same in some games: said once where their values agree."""
Reading = Literal["better", "worse", "differs", "untold", "same", "not comparable"]
ORDER: tuple[Reading, ...] = ("worse", "better", "differs", "untold", "not comparable", "same")


class Gap(NamedTuple):
    """A difference: second minus first, its interval (None where one seed cannot give one), and how it was paired."""

    value: float
    low: float | None
    high: float | None
    pairing: Literal["paired by seed", "paired by deals", "exact", "bounds", "drawn apart", "unpaired", "one seed"]


def comparisons(sides: Sequence[Side], paired: Differences) -> dict[str, Any]:
    """Compare every side with the first; two sides give one comparison, more a document of several.

    Raises
    ------
    InputError
        If a side shares no game with the first.
    """
    found = [comparison(sides[0], other, paired.get(other.name, {})) for other in sides[1:]]
    if len(found) == 1:
        return found[0]
    return {"schema": SEVERAL, "from": sides[0].name, "comparisons": found}


def comparison(first: Side, second: Side, paired: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Compare two sides: every figure that both have, second minus first, and what a reader should know of it.

    Raises
    ------
    InputError
        If they share no game.
    """
    shared = [name for name in first.games if name in second.games]
    if not shared:
        there = f"{', '.join(first.games) or 'none'} and {', '.join(second.games) or 'none'}"
        raise InputError(f"'{first.name}' and '{second.name}' share no game: {there}")
    games = {n: _rows(n, first, second, paired.get(n, {}), named=len(shared) > 1) for n in shared}
    verdicts = _ordered(games)
    return {
        "schema": SCHEMA,
        "before": first.name,
        "after": second.name,
        "sides": [_about(side) for side in (first, second)],
        "summary": _summary(verdicts),
        "verdicts": verdicts,
        "caveats": caveats(first, second, games, paired),
        "games": games,
    }


def _about(side: Side) -> dict[str, Any]:
    return {"name": side.name, "source": side.source, "kind": side.kind, "versions": dict(side.versions)}


def _rows(game: str, first: Side, second: Side, paired: Mapping[str, Any], *, named: bool) -> list[dict[str, Any]]:
    ours, theirs = first.games[game], second.games[game]
    out = []
    for name in (n for n in ours.found if n in theirs.found):
        why = _incomparable(name, ours, theirs) or _partly(name, first, second, game)
        gap = _gap(name, ours, theirs, paired.get(name))
        seeds = _shared(name, ours, theirs)
        row = row_of(name, _over(seeds, name, ours), _over(seeds, name, theirs))
        reading: Reading = "not comparable" if why else read(name, gap)
        row |= {"difference": gap.value, "low": gap.low, "high": gap.high, "pairing": gap.pairing, "reading": reading}
        row["better"] = {"better": True, "worse": False}.get(reading)
        row["small"] = reading in ("better", "worse", "differs") and abs(gap.value) < SMALL * _scale(game, name, row)
        if gap.pairing == "paired by seed":
            row["paired_seeds"] = seeds
        label = f"{game}, {heading(name)}" if named else heading(name)
        row["said"] = sentence(label, name, first.name, second.name, gap, reading, ours.unit, why, small=row["small"])
        out.append(row)
    return out


def _incomparable(name: str, ours: Played, theirs: Played) -> str:
    """Return why two figures of one name are not of the same thing; nothing where they are."""
    of = name.rpartition(".")[0]
    rules = [dict(p.rules.get(of, p.rules.get("", {}))) for p in (ours, theirs)]
    if rules[0] != rules[1]:
        return f"other rules: {_apart(rules[0], rules[1])}"
    weights = ours.weights.get(of), theirs.weights.get(of)
    if last(name) == "J" and all(isinstance(w, Mapping) for w in weights) and weights[0] != weights[1]:
        return f"other weights: {_apart(*weights)}"
    return f"other units: {ours.unit} and {theirs.unit}" if ours.unit != theirs.unit else ""


def _partly(name: str, first: Side, second: Side, game: str) -> str:
    """Return which side has a figure in some of its seeds alone, which may be the better ones; nothing where none."""
    found = [(side.name, has) for side in (first, second) if (has := side.games[game].partly.get(name))]
    return " and ".join(f"known in {n} of {count(of, 'seed')} of {side}" for side, (n, of) in found)


def _apart(one: Any, two: Any) -> str:
    keys = [k for k in dict.fromkeys([*one, *two]) if one.get(k) != two.get(k)]
    return ", ".join(f"{k} {one.get(k, 'none')} and {two.get(k, 'none')}" for k in keys)


def _gap(name: str, ours: Played, theirs: Played, deals: Mapping[str, Any] | None) -> Gap:
    both = _shared(name, ours, theirs)
    before, after = _over(both, name, ours), _over(both, name, theirs)
    value = after["value"] - before["value"]
    if deals is not None and deals.get("low") is not None and deals.get("high") is not None:
        apart = (
            "paired by deals" if deals.get("n") else _sure(before, after, deals["high"] - deals["low"], "drawn apart")
        )
        return Gap(deals["value"], deals["low"], deals["high"], apart)
    seeds = ours.seeds.get(name, {}), theirs.seeds.get(name, {})
    if both:
        found = interval([seeds[1][s] - seeds[0][s] for s in both])
        least, most = (_open(f, {s: of[s] for s in both}) for f, of in zip((before, after), seeds, strict=True))
        low, high = found["low"] - most[0] - least[1], found["high"] + most[1] + least[0]
        return Gap(found["value"], low, high, "paired by seed")
    if any(s and len(s) == 1 for s in seeds):
        return Gap(value, None, None, "one seed")
    low, high = after["low"] - before["high"], after["high"] - before["low"]
    return Gap(value, low, high, _sure(before, after, high - low, "unpaired"))


def _shared(name: str, ours: Played, theirs: Played) -> list[int]:
    """Return the seeds over which a figure is paired: those that both have, if they are two or more."""
    other = theirs.seeds.get(name, {})
    both = [seed for seed in ours.seeds.get(name, {}) if seed in other]
    return both if len(both) > 1 else []


def _over(seeds: Sequence[int], name: str, of: Played) -> Mapping[str, Any]:
    """Return a figure over some of an arm's seeds; as it is where these are all of them, or none.

    How much the audits of these seeds leave open is not known, but that of all seeds is: at most it is all theirs.
    """
    figure, values = of.found[name], of.seeds.get(name, {})
    if len(seeds) in (0, len(values)):
        return figure
    out, more = interval([values[seed] for seed in seeds]), len(values) / len(seeds)
    below, above = _open(figure, values)
    return out | {"low": out["low"] - more * below, "high": out["high"] + more * above}


def _sure(
    before: Mapping[str, Any], after: Mapping[str, Any], width: float, drawn: Literal["drawn apart", "unpaired"]
) -> Literal["exact", "bounds", "drawn apart", "unpaired"]:
    """Return how sure a difference is that nothing pairs: exact or within bounds, unless a figure is drawn."""
    if before.get("n") is None and after.get("n") is None:
        return "exact" if width <= ROUNDING else "bounds"
    return drawn


def _open(figure: Mapping[str, Any], seeds: Mapping[int, float]) -> tuple[float, float]:
    """Return by how much an arm's interval is wider than its seeds make it, below and above."""
    alone = interval(list(seeds.values()))
    return max(0.0, alone["low"] - figure["low"]), max(0.0, figure["high"] - alone["high"])


def read(name: str, gap: Gap) -> Reading:
    """Return what a difference is: clear and which way, or not to be told."""
    if gap.low is None or gap.high is None:
        return "untold"
    if max(abs(gap.low), abs(gap.high), abs(gap.value)) <= ROUNDING:
        return "same"
    if gap.low <= ROUNDING and gap.high >= -ROUNDING:
        return "untold"
    good = better(name)
    if not good:
        return "differs"
    return "better" if (gap.value > 0) == (good == "higher") else "worse"


def _scale(game: str, name: str, row: Mapping[str, Any]) -> float:
    """Return what a figure is measured against to be called small."""
    key = last(name)
    if key == "J":
        return 3.0  # J's payoff is scaled so that the largest is 3
    if key in MEANINGS and MEANINGS[key].pays:
        try:
            return float(make(game).max_payoff)
        except InputError:  # a game that is not installed here
            return float(max(abs(row["before"]["value"]), abs(row["after"]["value"])))
    return float(max(1.0, abs(row["before"]["value"]), abs(row["after"]["value"])))


def sentence(
    what: str,
    name: str,
    first: str,
    second: str,
    gap: Gap,
    reading: Reading,
    unit: str,
    why: str = "",
    *,
    small: bool = False,
) -> str:
    """Say a difference in plain words, of what the figure is called."""
    if reading == "not comparable":
        return f"{what}: not comparable, {why}."
    if reading == "same":
        return f"{what}: the same."
    if reading == "untold":
        if gap.low is None or gap.high is None:
            return f"{what}: {gap.value:+.4f}, of one seed: it cannot be told from luck."
        return f"{what}: no difference can be told, {gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]."
    meaning = MEANINGS.get(last(name))
    up = gap.value > 0
    change = (meaning.more if up else meaning.less) if meaning else f"has {'more' if up else 'less'} {heading(name)}"
    unit = "rounds" if last(name) == "time_to_exploit" else unit if meaning and meaning.pays else ""
    digits = 0 if unit == "rounds" else 4
    amount = f"{abs(gap.value):.{digits}f} {unit}".rstrip()
    ends = sorted(abs(end) for end in (gap.low, gap.high) if end is not None)
    shown = "" if ends[1] - ends[0] <= ROUNDING else f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"
    sure = {"exact": "exact", "bounds": "certain"}.get(gap.pairing, "clear") + (", but small" if small else "")
    return f"{what}: {second} {change} than {first}, by {amount}{shown}: {sure}."


def _ordered(games: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the sentences, the most important first; what two figures say alike is said once."""
    out: list[dict[str, Any]] = []
    heard: set[tuple[Any, ...]] = set()
    for game, rows in games.items():
        for row in sorted(rows, key=lambda r: rank(r["figure"])):
            key = last(row["figure"])
            ends = tuple(round(row[side]["value"], 9) for side in ("before", "after"))
            mark = (game, "exploited" if key in ALIKE else key, *ends, row["reading"])
            if mark not in heard:
                heard.add(mark)
                out.append({"game": game} | {k: row[k] for k in ("figure", "reading", "better", "small", "said")})
    clear = ("worse", "better", "differs")

    def place(found: Mapping[str, Any]) -> tuple[int, int]:
        reading = found["reading"]
        rough = int(found["small"]) if reading in clear[:2] else 2 + ORDER.index(reading)
        return rough, rank(found["figure"])

    return sorted(out, key=place)


def _summary(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Say in one sentence how many figures changed, and which way."""
    counts = {reading: sum(v["reading"] == reading for v in verdicts) for reading in ORDER}
    words: dict[Reading, str] = {
        "better": "better on {}",
        "worse": "worse on {}",
        "differs": "different, neither better nor worse, on {}",
        "untold": "no difference can be told on {}",
        "same": "the same on {}",
        "not comparable": "not comparable on {}",
    }
    parts = [words[reading].format(counts[reading]) for reading in words if counts[reading]]
    return f"Of {count(len(verdicts), 'figure')}: {', '.join(parts)}." if parts else "No figure in common."


def caveats(
    first: Side, second: Side, games: Mapping[str, Sequence[Mapping[str, Any]]], paired: Collection[str] = ()
) -> list[str]:
    """Return what the two sides differ in besides their figures, and what that means for them.

    ``paired`` are the games in which one audit found the figures of both.
    """
    out = []
    for game, rows in games.items():
        ours, theirs = first.games[game], second.games[game]
        out += [f"{game}, {of or 'figures beside the measures'}: {why}: no verdict" for of, why in _whys(ours, theirs)]
        for key in dict.fromkeys([*ours.under, *theirs.under]):
            one, two = ours.under.get(key), theirs.under.get(key)
            if one == two or None in (one, two):
                continue
            out.append(f"{game}: {_differ(key, one, two)}")
        pairings = {row["pairing"] for row in rows if row["figure"] != "time_to_exploit"}
        if "unpaired" in pairings and not _exact({game: rows}):
            out += _unpaired(game, rows, together=game in paired)
        if "one seed" in pairings:
            out.append(f"{game}: a run of one seed has no interval, and no way to tell skill from luck")
        out += [f"{game}: {said}" for said in _left_out(first, second, game, rows)]
        if first.kind != second.kind:
            out.append(f"{game}: an arm over its seeds beside one policy: what differs may be the seed")
    out += [side.partly for side in (first, second) if side.partly]
    for key in dict.fromkeys([*first.under, *second.under]):
        one, two = first.under.get(key), second.under.get(key)
        if key in first.under and key in second.under and one != two and not (key == "seed" and _exact(games)):
            out.append(_differ(key, one, two))
    both = [(name, old, second.versions[name]) for name, old in first.versions.items() if name in second.versions]
    return out + [f"other version of {name}: {old} and {new}" for name, old, new in both if old != new]


def _unpaired(game: str, rows: Sequence[Mapping[str, Any]], *, together: bool) -> list[str]:
    """Say that sampled figures are not paired, and what pairs them; of those of one audit, which it leaves unpaired.

    Where either figure is exact, pairing would narrow nothing.
    """
    if not together:
        remedy = "`sepo audit A B` in one command pairs them, with narrower intervals"
        return [f"{game}: sampled figures are not paired, so small differences do not show: {remedy}"]
    sampled = [row for row in rows if row["pairing"] == "unpaired" and row["figure"] != "time_to_exploit"]
    loose = [r["figure"] for r in sampled if all(r[side]["low"] < r[side]["high"] for side in ("before", "after"))]
    return [f"{game}: not paired by deals, so small differences do not show: {', '.join(loose)}"] if loose else []


def _left_out(first: Side, second: Side, game: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say which seeds were paired, where a side has others too."""
    seeds = list(next((row["paired_seeds"] for row in rows if "paired_seeds" in row), ()))
    rest = []
    for side in (first, second):
        own = dict.fromkeys(seed for by in side.games[game].seeds.values() for seed in by)
        if seeds and (others := [seed for seed in own if seed not in seeds]):
            rest.append(f"{_numbered(others)} of {side.name}")
    return [f"paired by seed over {_numbered(seeds)}; left out: {' and '.join(rest)}"] if rest else []


def _numbered(seeds: Sequence[int]) -> str:
    """Name seeds: ``seed 3``, ``seeds 0, 3``."""
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"


def _whys(ours: Played, theirs: Played) -> list[tuple[str, str]]:
    sets = dict.fromkeys([*ours.rules, *theirs.rules])
    found = [(of, _incomparable(f"{of}.J" if of else "figure", ours, theirs)) for of in sets]
    return [(of, why) for of, why in found if why]


def _differ(key: str, one: Any, two: Any) -> str:
    if key == "opponents":
        changed = [o for o in dict.fromkeys([*one, *two]) if (o in one) != (o in two)]
        return f"other opponents: {', '.join(changed) or 'in another order'}"
    if key == "prompts":
        return f"other prompts: SHA-256 {str(one)[:12]}… and {str(two)[:12]}…"
    names = {"states": "states asked about", "steps": "steps of training", "asking": "asking of the model"}
    return f"other {names.get(key, key.replace('_', ' '))}: {one} and {two}"


def _exact(games: Mapping[str, Sequence[Mapping[str, Any]]]) -> bool:
    """Whether nothing that is compared was drawn: a seed then makes no difference."""
    drawn = [row for rows in games.values() for row in rows if row["figure"] != "time_to_exploit"]
    return all(row[side].get("n") is None or row["low"] == row["high"] for row in drawn for side in ("before", "after"))
