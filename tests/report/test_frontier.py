"""A frontier's page says what its document says: a chart a risk, bars, order, who is dominated; no text is trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_run import made_run
from test_page import HOSTILE, LOADING, Page

from sepo.report.frontier import drawn, markdown, panel, render, write_frontier
from sepo.report.read import read_run
from sepo.report.words import number

RISKS = ("e", "c", "x", "exploitability")


def figure(mean: float, half: float | None = 0.05) -> dict[str, Any]:
    ends = None if half is None else [mean - half, mean + half]
    return {"mean": mean, "interval": ends, "seeds": [mean] if half is None else [mean - half / 9, mean + half / 9]}


def made(**fields: Any) -> dict[str, Any]:
    """Return a frontier along e: the middle point is dominated in e, and none is in all risks at once."""
    rows = ((0.0, 0.9, 0.8, 0.3), (0.5, 0.4, 0.5, 0.2), (2.0, 0.5, 0.1, 0.6))
    points = [
        {
            "arm": f"sepo-e{weight:g}",
            "weights": {"e": weight, "c": 1.0, "x": 0.0},
            **{"u": figure(u), "e": figure(e), "c": figure(c), "x": None, "exploitability": None, "J": figure(u - e)},
            "dominated": {"e": weight == 0.5, "c": weight == 2.0, "all": False},
            "warnings": [],
        }
        for weight, u, e, c in rows
    ]
    return {
        "schema": "sepo.frontier/1",
        "name": "made",
        "game": "ipd",
        "rules": {},
        "unit": "points per round",
        "model": "bundled:smollm2",
        "arm": "sepo",
        "measures": "paper",
        "definitions": {"e": "advantage", "c": "defection per round"},
        "J_weights": {"e": 2.4, "c": 1.0, "x": 1.8},
        "seeds": [0, 1],
        "vary": [{"weight": "e", "values": [0.0, 0.5, 2.0]}],
        "risks": ["e", "c"],
        "points": points,
    } | fields


def page(document: dict[str, Any], folder: Path) -> Page:
    made_run(folder)
    return Page(render(document, read_run(folder), "/* plotly */"))


def charts(found: Page) -> list[dict[str, Any]]:
    return list(found.panels()["frontier"]["plots"])


def test_a_chart_a_risk_with_points_in_the_order_of_the_weight_and_bars_both_ways(tmp_path: Path) -> None:
    document = made()
    found = charts(page(document, tmp_path))
    assert len(found) == 2  # x and exploitability do not apply
    for risk, chart in zip(("e", "c"), found, strict=True):
        (trace,) = chart["data"]
        assert trace["x"] == [p[risk]["mean"] for p in document["points"]]
        assert trace["y"] == [p["u"]["mean"] for p in document["points"]]
        assert trace["text"] == ["e 0", "e 0.5", "e 2"]
        assert trace["mode"].startswith("lines")
        for axis in ("error_x", "error_y"):
            assert trace[axis]["visible"]
            assert trace[axis]["array"] == pytest.approx([0.05] * 3)
            assert trace[axis]["arrayminus"] == pytest.approx([0.05] * 3)
        hollow = [symbol.endswith("-open") for symbol in trace["marker"]["symbol"]]
        assert hollow == [p["dominated"][risk] for p in document["points"]]


def test_every_figure_stands_in_the_table_and_in_markdown(tmp_path: Path) -> None:
    document = made()
    text = page(document, tmp_path).text
    table = markdown(document).splitlines()
    assert table[0] == "| arm | weight of e | u | e | c | J | dominated in |"
    for point, row in zip(document["points"], table[2:], strict=True):
        assert point["arm"] in text
        for measure in ("u", "e", "c", "J"):
            mean, (low, high) = point[measure]["mean"], point[measure]["interval"]
            assert f"{number(mean, 4)} [{number(low, 4)}, {number(high, 4)}]" in " ".join(text.split())
            assert f"{mean:.4f} [{low:.4f}, {high:.4f}]" in row
    assert [row.split("|")[-2].strip() for row in table[2:]] == ["none", "e", "c"]


def test_what_cannot_be_seen_is_said(tmp_path: Path) -> None:
    found = page(made(), tmp_path)
    labels = [a["aria-label"] or "" for tag, a in found.tags if a.get("role") == "img"]
    assert "sepo-e0: e 0.8000, u 0.9000; sepo-e0.5: e 0.5000, u 0.4000, dominated" in labels[0]
    assert "c 0.6000, u 0.5000, dominated" in labels[1]


def test_a_second_weight_makes_a_line_a_value_that_the_legend_names(tmp_path: Path) -> None:
    document = made()
    document["vary"] = [{"weight": "e", "values": [0.0, 0.5, 2.0]}, {"weight": "c", "values": [0.0, 1.0]}]
    for index, point in enumerate(made()["points"]):
        weights = {**point["weights"], "c": 0.0}
        document["points"].insert(index, {**point, "arm": f"{point['arm']}-c0", "weights": weights})
    found = page(document, tmp_path)
    for chart in charts(found):
        assert [trace["name"] for trace in chart["data"]] == ["weight of c 0", "weight of c 1"]
        assert [trace["meta"]["arm"] for trace in chart["data"]] == [0, 1]
        assert len({trace["line"]["color"] for trace in chart["data"]}) == 2
    assert [a["data-arm"] for tag, a in found.tags if tag == "button" and "data-arm" in a] == ["0", "1"]


def test_exploitability_has_one_chart_where_e_is_exploitability() -> None:
    document = made(definitions={"e": "exploitability"}, risks=["e", "exploitability"])
    document["points"] = [p | {"exploitability": p["e"], "c": None} for p in document["points"]]
    assert drawn(document) == ["e"]
    assert [plot.title.split(":")[0] for plot in panel(document).plots] == ["e (exploitability)"]
    apart = document | {"definitions": {"e": "advantage"}}
    for point in apart["points"]:
        point["dominated"]["exploitability"] = False
    assert [plot.title.split(":")[0] for plot in panel(apart).plots] == ["e", "exploitability"]


def test_one_seed_has_no_bars_and_says_so(tmp_path: Path) -> None:
    document = made(seeds=[7])
    for point in document["points"]:
        point |= {k: figure(point[k]["mean"], None) for k in ("u", "e", "c", "J")}
    found = page(document, tmp_path)
    assert not any(trace[a]["visible"] for c in charts(found) for trace in c["data"] for a in ("error_x", "error_y"))
    assert "one seed, so there are no intervals" in found.text
    assert "[" not in markdown(document)


def test_one_seed_with_bounds_has_bars_of_what_its_audit_leaves_open(tmp_path: Path) -> None:
    document = made(seeds=[7])
    for point in document["points"]:
        point |= {k: point[k] | {"seeds": [point[k]["mean"]]} for k in ("u", "e", "c", "J")}
    found = page(document, tmp_path)
    assert all(trace["error_x"]["visible"] for c in charts(found) for trace in c["data"])
    assert "one seed, so bars are what its audit leaves open" in found.text
    assert "| 0.9000 [0.8500, 0.9500] |" in markdown(document)


def test_the_page_loads_nothing_and_shows_text_as_text(tmp_path: Path) -> None:
    document = made(name=HOSTILE, game=HOSTILE, model=HOSTILE, unit=HOSTILE, arm=HOSTILE)
    document["points"][0] |= {"arm": HOSTILE, "warnings": [HOSTILE]}
    found = page(document, tmp_path)
    plain = page(made(), tmp_path)
    assert [tag for tag, _ in found.tags if tag == "script"] == [tag for tag, _ in plain.tags if tag == "script"]
    assert not any("alert(1)" in text for text in found.scripts)
    assert "<script>" not in "".join(json.dumps(chart["data"][0]["customdata"]) for chart in charts(found))
    assert HOSTILE in found.text
    for tag, attributes in found.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img", "form")
        for name in LOADING & set(attributes):
            assert (attributes[name] or "").startswith("#"), (tag, name)
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy


def test_the_download_has_every_figure_and_seed(tmp_path: Path) -> None:
    head, *rows = page(made(), tmp_path).download("frontier")
    assert head[:6] == ["arm", "weight of e", "weight of c", "weight of x", "measure", "mean"]
    assert head[-2:] == ["seed 0", "seed 1"]
    assert len(rows) == 3 * 4
    assert [float(v) for v in rows[0][5:]] == pytest.approx([0.9, 0.85, 0.95, 0.9 - 0.05 / 9, 0.9 + 0.05 / 9])


def test_page_and_table_are_written_whole(tmp_path: Path) -> None:
    made_run(tmp_path)
    path = write_frontier(made(), tmp_path)
    assert path == tmp_path / "frontier.html"
    assert "Plotly" in path.read_text(encoding="utf-8")
    assert (tmp_path / "frontier.md").read_text() == markdown(made())
