"""Results as Markdown: parts of J, the ceiling, and how much of the way to it each arm went."""

from __future__ import annotations

from typing import Any

from sepo.report.markdown import markdown


def figure(value: float, half: float = 0.0, n: int = 5) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def arm(name: str, j: float, half: float = 0.0) -> dict[str, Any]:
    last = {"paper.J": figure(j, half), "sepo.J": figure(j - 1), "paper.u": figure(2.0), "paper.e": figure(0.5)}
    return {"name": name, "last": last, "best": {"paper.J": figure(j + 0.1)}}


SUMMARY = {
    "measures": "paper",
    "arms": [arm("base", -1.0), arm("sepo", 0.5, 0.25)],
    "ceilings": {"paper": {"J": 1.0, "bound": 1.0}},
}


def test_without_exploitability_j_comes_first_with_its_parts_and_the_ceiling_last():
    head, _, base, sepo, top = markdown(SUMMARY).splitlines()
    assert head == "| arm | J (`paper`) | u | e | J (`sepo`) | of the way | J (`paper`), best step |"
    assert base == "| `base` | -1.0000 | 2.0000 | 0.5000 | -2.0000 | 0% | -0.9000 |"
    assert sepo == "| `sepo` | 0.5000 [0.2500, 0.7500] | 2.0000 | 0.5000 | -0.5000 | 75% | 0.6000 |"
    assert top == "| ceiling | 1.0000 |  |  |  | 100% |  |"


def test_where_no_ceiling_is_known_none_is_shown():
    lines = markdown(SUMMARY | {"ceilings": {}}).splitlines()
    assert "of the way" not in lines[0]
    assert len(lines) == 4
