"""Results as Markdown tables, for a README or a model card: of a run's summary, a scorecard, benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sepo.audit.compare import partly
from sepo.display import NONE, number
from sepo.errors import InputError
from sepo.report.read import ArmSummary, Difference, Estimate, Paired, Summary
from sepo.report.scorecards import method
from sepo.report.standing import START, headline, standing, trained
from sepo.report.tables import by_other_rules
from sepo.train.seeds import interval
from sepo.verbatim import code, text

COLUMNS = (
    ("exploitability", "exploitability"),
    ("sepo.J", "J (`sepo`)"),
    ("paper.J", "J (`paper`)"),
    ("robustness", "robustness"),
    ("held_out", "held-out"),
)
PARTS = ("u", "e", "c", "x")


def markdown(summary: Summary) -> str:
    """Return the arms' last steps, mean and 95 % interval over seeds, and the first of these figures at the best step.

    In a game without exploitability these are J and its parts; where the best policy's J is known, it is the last row,
    and a column says how much of the way from the base model to it each arm went.
    """
    columns = _columns(summary)
    first, title = columns[0]
    main = f"{summary.measures}.J"
    top = summary.ceilings.get(summary.measures, {}).get("J")
    base = next((found.value for arm in summary.arms if arm.name == "base" and (found := arm.last.get(main))), None)
    way = (base, top) if top is not None and base is not None and top > base else None
    best = any(arm.best for arm in summary.arms)
    heads = ["arm", *(title for _, title in columns), *(["of the way"] if way else [])]
    heads += [f"{title}, best step"] if best else []
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for arm in summary.arms:
        cells = [figure(arm.last.get(key)) for key, _ in columns]
        if way:
            there = arm.last.get(main)
            cells.append(NONE if there is None else f"{_way(way[0], there.value, way[1]):.0%}")
        cells += [figure(arm.best.get(first))] if best else []
        lines.append("| " + " | ".join([code(arm.name), *cells]) + " |")
    if way:
        cells = [number(way[1]) if key == main else "" for key, _ in columns]
        lines.append("| " + " | ".join(["ceiling", *cells, "100%", *([""] if best else [])]) + " |")
    others = by_other_rules(summary, dict(columns))
    notes = [f"\nBy other rules, {text(rules)}: {', '.join(names)}.\n" for rules, names in others.items()]
    return "\n".join(lines) + "\n" + _paired(summary.paired) + "".join(notes)


def _columns(summary: Summary) -> list[tuple[str, str]]:
    """Return key and title of the figures that arms have, the one that the run is told by first."""
    there = {key for arm in summary.arms for key, found in arm.last.items() if found is not None}
    main = headline(summary)
    found = [(key, title) for key, title in COLUMNS if key in there]
    if main != "exploitability":
        parts = [(f"{summary.measures}.{part}", part) for part in PARTS]
        found.sort(key=lambda column: column[0] != main)
        found[1:1] = [part for part in parts if part[0] in there]
    return found or [(main, dict(COLUMNS).get(main, main))]


def _way(start: float, there: float, top: float) -> float:
    """Return how much of the way from one figure to another a third one is."""
    return (there - start) / (top - start)


def _paired(found: Paired | None) -> str:
    """Return how each arm's last steps differ from one arm's, paired by seed, as a second table."""
    if not found or not found.rows:
        return ""
    keys = list(dict.fromkeys(row.figure for row in found.rows))
    titles = {"worst_case_advantage": "worst case"}
    titles |= {f"{of}.{of_what}": f"{of_what} (`{of}`)" for of in ("paper", "sepo") for of_what in ("e", "J")}
    heads = [f"minus {code(found.minus)}, paired by seed", *(titles.get(key, text(key)) for key in keys)]
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(keys)]
    for arm in dict.fromkeys(row.arm for row in found.rows):
        cells = {row.figure: row for row in found.rows if row.arm == arm}
        lines.append("| " + " | ".join([code(arm), *(_difference(cells.get(key)) for key in keys)]) + " |")
    return "\n" + "\n".join(lines) + "\n"


def _difference(found: Difference | None) -> str:
    if found is None:
        return NONE
    low, high = found.interval or (found.mean, found.mean)
    return figure(Estimate(value=found.mean, low=low, high=high, n=found.n))


def figure(found: Estimate | None) -> str:
    """Return a figure with its interval over seeds, of one seed with what its audit leaves open; none where exact."""
    if found is None:
        return NONE
    value = number(found.value)
    return value if found.high - found.low < 5e-5 else f"{value} [{number(found.low)}, {number(found.high)}]"


def overview(runs: Mapping[str, Summary]) -> str:
    """Return a row a run: its figure at the last step of base, sft and the arm that came furthest, beside others'.

    The figure is exploitability where the game has it, else J in the measures that the run was trained on. Published
    figures, which are of ``paper`` measures and of other weights in part, stand with their weights.

    Parameters
    ----------
    runs
        Summaries by the name of the run.
    """
    heads = ["run", "figure", "seeds", "`base`", "`sft`", "trained", "ceiling", "of the way", "best published"]
    lines = ["| " + " | ".join(heads) + " |", "| --- | --- |" + " ---: |" * (len(heads) - 2)]
    for name, summary in runs.items():
        found = standing(summary)
        start, best, top = found.start[0], found.furthest, found.top
        way = NONE
        if best is not None and start is not None and top is not None and start.value != top:
            way = f"{_way(start.value, best[1].value, top):.1%}"
        cells = [
            code(name),
            "exploitability" if found.exploited else f"J ({code(summary.measures)})",
            str(len(summary.seeds)),
            *(figure(arm) for arm in found.start),
            NONE if best is None else f"{code(best[0])} {figure(best[1])}",
            number(top),
            way,
            _best_published(summary, exploited=found.exploited),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _best_published(summary: Summary, *, exploited: bool) -> str:
    """Return the best figure of a published trained model, with its weights of e, c and x where it is J."""
    field, sign = ("exploitability", -1) if exploited else ("J", 1)
    rows = [r for r in summary.published if r.get(field) is not None and r["arm"] not in START]
    if not rows or not (exploited or summary.measures == "paper"):
        return NONE
    best = max(rows, key=lambda r: sign * r[field])
    return f"{best[field]:g}" + ("" if exploited else f" ({', '.join(f'{w:g}' for w in best['lambda'])})")


def gains(runs: Mapping[str, Summary], beside: Mapping[str, Summary]) -> str:
    """Return what runs gain in J over the untrained model, and what share that is of the gain of other runs.

    Those are the other runs of the same game, rules, measures and model, which have the untrained model; of several the
    one of the same folder, else of the same recipe. Of each, it is the arm ``sepo``, or the last trained one, at its
    last step, which the table names. The share is paired by seed; Student t interval over seeds.

    Parameters
    ----------
    runs, beside
        Summaries by the names of their folders.

    Raises
    ------
    InputError
        If several runs could stand beside one, or none beside any.
    """
    heads = ["run", "figure", "`base`", "trained", "beside", "share of the gain", "seeds"]
    lines = ["| " + " | ".join(heads) + " |", "| --- | --- |" + " ---: |" * (len(heads) - 2)]
    for name, summary in runs.items():
        of = summary.measures
        found_beside = _beside(name, summary, beside)
        if found_beside is None:
            continue
        place, other = found_beside
        untrained = next((arm for arm in other.arms if arm.name == "base"), None)
        base, ours, theirs = (_last(arm, f"{of}.J") for arm in (untrained, trained(summary), trained(other)))
        shares = [
            _way(base[0].value, value, theirs[1][seed])
            for seed, value in ours[1].items()
            if base[0] is not None and seed in theirs[1]
        ]
        cells = [figure(base[0]), _named(trained(summary), ours[0]), _named(trained(other), theirs[0], f"{place}@")]
        cells += [percent(shares) if shares else NONE, str(len(shares))]
        lines.append("| " + " | ".join([code(name), f"J ({code(of)})", *cells]) + " |")
    if len(lines) == 2:
        raise InputError(f"no run to set beside {', '.join(runs)}: none is of the same game, rules, measures and model")
    return "\n".join(lines) + "\n"


def _beside(name: str, summary: Summary, runs: Mapping[str, Summary]) -> tuple[str, Summary] | None:
    """Return the run, with its folder's name, that another one is set beside; None where there is none."""
    same = _told(summary)
    found = {place: other for place, other in runs.items() if _told(other) == same}
    if len(found) > 1:
        named = {place: other for place, other in found.items() if place == name}
        found = named or {place: other for place, other in found.items() if other.name == summary.name} or found
    if len(found) > 1:
        raise InputError(
            f"several runs could stand beside '{name}': {', '.join(found)}; leave one of them in the folder"
        )
    return next(iter(found.items()), None)


def _told(summary: Summary) -> tuple[object, ...]:
    """Return what two runs must have in common for their J to be of the same thing."""
    return summary.game, dict(summary.rules), summary.measures, summary.model


def _named(arm: ArmSummary | None, found: Estimate | None, run: str = "") -> str:
    """Return an arm's figure after its name, and that of its run where it is another one."""
    return NONE if arm is None or found is None else f"{code(run + arm.name)} {figure(found)}"


def _last(arm: ArmSummary | None, key: str) -> tuple[Estimate | None, dict[int, float]]:
    """Return a figure of an arm's last step and its values by seed, which are none where not every seed has it."""
    found = None if arm is None else arm.last.get(key)
    if arm is None or found is None:
        return None, {}
    by_seed = zip(arm.seeds, found.seeds, strict=True) if len(arm.seeds) == len(found.seeds) else ()
    return found, {seed: value for seed, value in by_seed if value is not None}


def percent(shares: Sequence[float]) -> str:
    """Return a share's mean over seeds with its interval."""
    found = interval(shares)
    return f"{found['value']:.1%}" + ("" if len(shares) == 1 else f" [{found['low']:.1%}, {found['high']:.1%}]")


def ratios(document: Mapping[str, Any]) -> str:
    """Return the ratios of a ``sepo bench`` document as a Markdown table."""
    lines = ["| benchmark | compared | times as fast |", "| --- | --- | ---: |"]
    for bench in document["benchmarks"]:
        for name, ratio in bench["ratios"].items():
            lines.append(f"| {text(bench['name'])} | {text(name)} | {ratio:.1f} |")
    return "\n".join(lines) + "\n"


def card(*documents: Mapping[str, Any]) -> str:
    """Return scorecards as a Markdown table, a row a game of each.

    The parts of J are those of the ``paper`` set where it is there.
    """
    parts = [(str(d.get("policy", "")), game, part) for d in documents for game, part in d["games"].items()]
    there = [of for of in ("sepo", "paper") if any(of in part.get("measures", {}) for _, _, part in parts)]
    columns = [(of, "J") for of in there] + [(of, key) for of in there[-1:] for key in PARTS]
    heads = [*(["policy"] if len(documents) > 1 else []), "game", "method"]
    figures = [*(f"{key} (`{of}`)" for of, key in columns), "worst case", "legal mass"]
    lines = ["| " + " | ".join([*heads, *figures]) + " |", "|" + " --- |" * len(heads) + " ---: |" * len(figures)]
    for policy, game, part in parts:
        found = [part.get("measures", {}).get(of, {}).get(key) for of, key in columns]
        cells = [bounded(f) for f in (*found, part.get("worst_case_advantage"), part.get("legal_mass"))]
        named = [code(policy), code(game)] if len(documents) > 1 else [code(game)]
        lines.append("| " + " | ".join([*named, text(method(part)), *cells]) + " |")
    notes = [f"\n{text(said)}.\n" for d in documents if (said := partly(d))]
    return "\n".join(lines) + "\n" + "".join(notes)


def bounded(found: Mapping[str, Any] | None) -> str:
    """Return a figure of a scorecard with its bounds; ``at least`` or ``at most`` where only one of them is known."""
    if not isinstance(found, Mapping) or found.get("value") is None:
        return NONE
    if found["low"] is None and found["high"] is None:
        return f"{number(found['value'], 3)} [-inf, inf]"
    if found["low"] is None or found["high"] is None:
        return f"at most {number(found['high'], 3)}" if found["low"] is None else f"at least {number(found['low'], 3)}"
    if found["high"] - found["low"] < 5e-4:
        return number(found["value"], 3)
    value, low, high = (number(found[key], 3) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
