"""Results as Markdown tables, for a README or a model card: of a run's summary, a scorecard, benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


def markdown(summary: Mapping[str, Any]) -> str:
    """Return the arms' last steps, mean and 95 % interval over seeds, and the first of these figures at the best step.

    In a game without exploitability these are J and its parts; where the best policy's J is known, it is the last row,
    and a column says how much of the way from the base model to it each arm went.
    """
    columns = [(key, title) for key, title in COLUMNS if any(key in arm["last"] for arm in summary["arms"])]
    main = f"{summary.get('measures', 'sepo')}.J"
    if "exploitability" not in dict(columns):
        of = main.removesuffix(".J")
        parts = [(f"{of}.{part}", part) for part in PARTS]
        columns = [c for c in columns if c[0] == main] + [c for c in parts if c[0] in summary["arms"][0]["last"]]
        columns += [c for c in COLUMNS if c[0] not in dict(columns) and c[0] in summary["arms"][0]["last"]]
    first = columns[0][0]
    top = summary.get("ceilings", {}).get(main.removesuffix(".J"), {}).get("J")
    base = next((a["last"][main]["value"] for a in summary["arms"] if a["name"] == "base" and main in a["last"]), None)
    way = top is not None and base is not None and top > base
    best = any(arm["best"] for arm in summary["arms"])
    heads = ["arm", *(title for _, title in columns), *(["of the way"] if way else [])]
    heads += [f"{columns[0][1]}, best step"] if best else []
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for arm in summary["arms"]:
        cells = [figure(arm["last"].get(key)) for key, _ in columns]
        if way:
            there = arm["last"].get(main)
            cells.append("n/a" if there is None or base is None else f"{_way(base, there['value'], top):.0%}")
        cells += [figure(arm["best"].get(first))] if best else []
        lines.append("| " + " | ".join([code(arm["name"]), *cells]) + " |")
    if way:
        cells = [f"{top:.4f}" if key == main else "" for key, _ in columns]
        lines.append("| " + " | ".join(["ceiling", *cells, "100%", *([""] if best else [])]) + " |")
    return "\n".join(lines) + "\n" + _paired(summary.get("paired"))


def _way(start: float, there: float, top: float) -> float:
    """Return how much of the way from one figure to another a third one is."""
    return (there - start) / (top - start)


def _paired(found: Mapping[str, Any] | None) -> str:
    """Return how each arm's last steps differ from one arm's, paired by seed, as a second table."""
    if not found or not found["rows"]:
        return ""
    keys = list(dict.fromkeys(row["figure"] for row in found["rows"]))
    titles = {"exploitability": "exploitability", "worst_case_advantage": "worst case"}
    titles |= {f"{of}.{of_what}": f"{of_what} (`{of}`)" for of in ("paper", "sepo") for of_what in ("e", "J")}
    lines = [
        "| " + " | ".join([f"minus {code(found['minus'])}, paired by seed", *(titles[k] for k in keys)]) + " |",
        "| --- |" + " ---: |" * len(keys),
    ]
    for arm in dict.fromkeys(row["arm"] for row in found["rows"]):
        cells = {row["figure"]: row for row in found["rows"] if row["arm"] == arm}
        lines.append("| " + " | ".join([code(arm), *(_difference(cells.get(k)) for k in keys)]) + " |")
    return "\n" + "\n".join(lines) + "\n"


def _difference(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "n/a"
    low, high = found["interval"] or (found["mean"], found["mean"])
    return figure({"value": found["mean"], "low": low, "high": high, "n": found["n"]})


def figure(found: Mapping[str, Any] | None) -> str:
    """Return a figure with its interval over seeds; no interval where there is one seed or none is needed."""
    if found is None:
        return "n/a"
    text = f"{found['value']:.4f}"
    if found["n"] == 1 or found["high"] - found["low"] < 5e-5:
        return text
    return f"{text} [{found['low']:.4f}, {found['high']:.4f}]"


def overview(runs: Mapping[str, Mapping[str, Any]]) -> str:
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
        arms = {arm["name"]: arm["last"] for arm in summary["arms"]}
        of = summary.get("measures", "sepo")
        exploited = any("exploitability" in last for last in arms.values())
        key, sign = ("exploitability", -1) if exploited else (f"{of}.J", 1)
        trained = {n: last for n, last in arms.items() if n not in ("base", "sft") and key in last}
        best = max(trained, key=lambda n: sign * trained[n][key]["value"], default=None)
        top = 0.0 if exploited else summary.get("ceilings", {}).get(of, {}).get("J")
        start = arms.get("base", {}).get(key)
        way = "n/a"
        if best is not None and start is not None and top is not None and start["value"] != top:
            way = f"{_way(start['value'], trained[best][key]['value'], top):.1%}"
        cells = [
            code(name),
            "exploitability" if exploited else f"J ({code(of)})",
            str(len(summary["seeds"])),
            figure(start),
            figure(arms.get("sft", {}).get(key)),
            "n/a" if best is None else f"{code(best)} {figure(trained[best][key])}",
            "n/a" if top is None else f"{top:.4f}",
            way,
            _best_published(summary, key, sign, comparable=exploited or of == "paper"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def gains(runs: Mapping[str, Mapping[str, Any]], beside: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what runs gain in J over the untrained model, and what share that is of the gain of other runs.

    Those are the other runs of the same games and measures, which have the untrained model. Of each, it is the arm
    ``sepo``, or the last trained one, at its last step. The share is paired by seed; Student t interval over seeds.
    """
    heads = ["run", "figure", "`base`", "trained", "beside", "share of the gain", "seeds"]
    lines = ["| " + " | ".join(heads) + " |", "| --- | --- |" + " ---: |" * (len(heads) - 2)]
    for name, summary in runs.items():
        of = summary["measures"]
        other = next((o for o in beside.values() if (o["game"], o["measures"]) == (summary["game"], of)), None)
        if other is None:
            continue
        base, ours, theirs = (_last(*where, f"{of}.J") for where in ((other, "base"), (summary, ""), (other, "")))
        cells = [figure(found) for found, _ in (base, ours, theirs)]
        shares = [
            _way(base[0]["value"], value, theirs[1][seed])
            for seed, value in ours[1].items()
            if base[0] is not None and seed in theirs[1]
        ]
        cells.append(percent(interval(shares)) if shares else "n/a")
        lines.append("| " + " | ".join([code(name), f"J ({code(of)})", *cells, str(len(shares))]) + " |")
    return "\n".join(lines) + "\n"


def _last(summary: Mapping[str, Any], arm: str, key: str) -> tuple[Mapping[str, Any] | None, dict[int, float]]:
    """Return a figure of an arm's last step and its values by seed; of the trained arm, where none is named."""
    trained = [a["name"] for a in summary["arms"] if a["stage"] == "train"]
    chosen = arm or ("sepo" if "sepo" in trained else trained[-1] if trained else "")
    for found in summary["arms"]:
        if found["name"] == chosen and key in found["last"]:
            last = found["last"][key]
            return last, dict(zip(found["seeds"], last["seeds"], strict=True))
    return None, {}


def percent(found: Mapping[str, Any]) -> str:
    """Return a share with its interval over seeds."""
    return f"{found['value']:.1%}" + ("" if found["n"] == 1 else f" [{found['low']:.1%}, {found['high']:.1%}]")


def _best_published(summary: Mapping[str, Any], key: str, sign: int, *, comparable: bool) -> str:
    """Return the best figure of a published trained model, with its weights of e, c and x where it is J."""
    field = "exploitability" if key == "exploitability" else "J"
    rows = [r for r in summary["published"] if r.get(field) is not None and r["arm"] not in ("base", "sft")]
    if not rows or not comparable:
        return "n/a"
    best = max(rows, key=lambda r: sign * r[field])
    return f"{best[field]:g}" + (f" ({', '.join(f'{w:g}' for w in best['lambda'])})" if field == "J" else "")


def ratios(document: Mapping[str, Any]) -> str:
    """Return the ratios of a ``sepo bench`` document as a Markdown table."""
    lines = ["| benchmark | compared | times as fast |", "| --- | --- | ---: |"]
    for bench in document["benchmarks"]:
        for name, ratio in bench["ratios"].items():
            lines.append(f"| {text(bench['name'])} | {text(name)} | {ratio:.1f} |")
    return "\n".join(lines) + "\n"


def card(document: Mapping[str, Any]) -> str:
    """Return a scorecard as a Markdown table, a row a game."""
    heads = ["game", "method", "J (`sepo`)", "J (`paper`)", "u", "e", "c", "x", "worst case", "legal mass"]
    lines = ["| " + " | ".join(heads) + " |", "| --- | --- |" + " ---: |" * (len(heads) - 2)]
    for game, part in document["games"].items():
        paper, sepo = (part["measures"].get(name, {}) for name in ("paper", "sepo"))
        asked = part.get("states")
        method = part["method"] + (f", {asked['asked']:,} of {asked['reachable']:,} states asked" if asked else "")
        found = [sepo.get("J"), *(paper.get(k) for k in ("J", "u", "e", "c", "x"))]
        cells = [bounded(f) for f in (*found, part["worst_case_advantage"], part["legal_mass"])]
        lines.append("| " + " | ".join([code(game), text(method), *cells]) + " |")
    return "\n".join(lines) + "\n"


def bounded(found: Mapping[str, Any] | None) -> str:
    """Return a figure of a scorecard with its bounds; ``at least`` where only the lower one is known."""
    if found is None or found["value"] is None:
        return "n/a"
    if found["low"] is not None and found["high"] is None:
        return f"at least {found['low']:.3f}"
    if found["low"] is None or found["high"] - found["low"] < 5e-4:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
