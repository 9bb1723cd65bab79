"""A run's results as a Markdown table, for a README or a model card; made from ``summary.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COLUMNS = (
    ("exploitability", "exploitability"),
    ("sepo.J", "J (`sepo`)"),
    ("paper.J", "J (`paper`)"),
    ("robustness", "robustness"),
    ("held_out", "held-out"),
)


def markdown(summary: Mapping[str, Any]) -> str:
    """Return the arms' last steps, mean and 95 % interval over seeds, and exploitability or J at the best step."""
    columns = [(key, title) for key, title in COLUMNS if any(key in arm["last"] for arm in summary["arms"])]
    first = columns[0][0]
    heads = ["arm", *(title for _, title in columns), f"{columns[0][1]}, best step"]
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for arm in summary["arms"]:
        cells = [figure(arm["last"].get(key)) for key, _ in columns]
        lines.append("| " + " | ".join([f"`{arm['name']}`", *cells, figure(arm["best"].get(first))]) + " |")
    return "\n".join(lines) + "\n"


def figure(found: Mapping[str, Any] | None) -> str:
    """Return a figure with its interval over seeds; no interval where there is one seed or none is needed."""
    if found is None:
        return "n/a"
    text = f"{found['value']:.4f}"
    if found["n"] == 1 or found["high"] - found["low"] < 5e-5:
        return text
    return f"{text} [{found['low']:.4f}, {found['high']:.4f}]"


def ratios(document: Mapping[str, Any]) -> str:
    """Return the ratios of a ``sepo bench`` document as a Markdown table."""
    lines = ["| benchmark | compared | times as fast |", "| --- | --- | ---: |"]
    for bench in document["benchmarks"]:
        for name, ratio in bench["ratios"].items():
            lines.append(f"| {bench['name']} | {name} | {ratio:.1f} |")
    return "\n".join(lines) + "\n"
