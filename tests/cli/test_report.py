"""``sepo report`` and the table at the end of a run show what the summary says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sepo.cli.show_run import show_run
from tests.report.made_run import made_run

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "kuhn"


def test_the_markdown_table_is_printed_or_written(sepo, tmp_path):
    shown = sepo("report", str(RESULTS), "--markdown")
    assert shown.code == 0
    assert shown.out.startswith("| arm | exploitability |")
    assert "| `sepo` | 0.00" in shown.out
    assert sepo("report", str(RESULTS), "--markdown", "--out", str(tmp_path / "t.md")).out == ""
    assert (tmp_path / "t.md").read_text() == shown.out


def test_a_folder_without_a_run_is_refused(sepo, tmp_path):
    for extra in ([], ["--markdown"]):
        done = sepo("report", str(tmp_path), *extra)
        assert done.code == 2
        assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(seed=None), "'seed' must be a whole number"),
        (lambda c: c["games"]["kuhn"].update(frequencies=None), "'frequencies' must be an object"),
        (lambda c: c["games"]["kuhn"].update(frequencies={"seat 0": None}), "'frequencies' must hold"),
        (lambda c: c["games"]["kuhn"].update(frequencies={"seat 0": {"BET": {"value": "x"}}}), "'frequencies' must"),
        (lambda c: c["games"]["kuhn"].update(opponents=None), "'opponents' must be a list"),
        (lambda c: c["games"]["kuhn"].update(rules=None), "'rules' must be an object"),
        (lambda c: c["games"]["kuhn"]["exploitability"].update(n="x"), "lacks a number"),
    ],
)
def test_a_scorecard_that_is_not_as_it_should_be_is_one_line(sepo, tmp_path, change, said):
    path = tmp_path / "card.json"
    card = sepo("audit", "script:nash", "--game", "kuhn", "--json").document
    change(card)
    path.write_text(json.dumps(card))
    done = sepo("report", path)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_the_table_of_a_run_has_its_arms_side_by_side_with_half_widths_and_warnings(
    capsys: pytest.CaptureFixture[str],
):
    summary = json.loads((RESULTS / "summary.json").read_text())
    show_run(summary)
    text = capsys.readouterr().out
    for arm in summary["arms"]:
        figure = arm["last"]["exploitability"]
        assert arm["name"] in text
        assert f"{figure['value']:.4f}" in text
        assert f"±{(figure['high'] - figure['low']) / 2:.4f}" in text
        assert all(warning.split("(")[0].strip()[:40] in text for warning in arm["warnings"])


def test_one_seed_is_shown_with_what_its_audit_leaves_open(capsys: pytest.CaptureFixture[str]):
    summary = json.loads((RESULTS / "summary.json").read_text())
    bounds = {"value": -0.25, "low": -1.75, "high": 1.5, "n": 1}
    exact = {"value": 0.75, "low": 0.75, "high": 0.75, "n": 1}
    even = {"value": 0.5, "low": 0.375, "high": 0.625, "n": 1}
    last = {"exploitability": bounds, "sepo.J": exact, "sepo.u": even}
    show_run(summary | {"seeds": [0], "arms": [summary["arms"][0] | {"last": last}]})
    text = capsys.readouterr().out
    assert "[-1.7500, 1.5000]" in text
    assert text.count("\u00b1") == 1
    assert "\u00b10.1250" in text


def test_a_run_of_a_game_that_is_not_installed_here_is_shown_all_the_same(sepo, tmp_path):
    run = tmp_path / "moved"
    made_run(run)
    for path in run.rglob("*.json*"):
        path.write_text(path.read_text().replace('"kuhn"', '"hunt"'))
    for arguments in (("--markdown",), ()):
        assert sepo("report", run, *arguments).code == 0
    assert "hunt" in (run / "report.html").read_text()
    assert sepo("compare", run).code == 0


@pytest.mark.parametrize(
    ("record", "command"),
    [
        ({"command": "sepo run k.yaml --set seeds=[1]"}, "sepo run k.yaml --set seeds=[1] --resume"),
        ({"command": "sepo run k.yaml", "continued": [{"command": "sepo run k2.yaml"}]}, "sepo run k2.yaml --resume"),
        ({"command": ""}, "sepo run RECIPE --resume"),
        (None, "sepo run RECIPE --resume"),
    ],
)
def test_a_run_that_was_stopped_is_told_how_to_go_on(sepo, tmp_path, record, command):
    run = tmp_path
    (run / "recipe.yaml").write_text("name: k")
    if record is not None:
        (run / "environment.json").write_text(json.dumps(record))
    for arguments in (("report", run), ("report", run, "--markdown"), ("compare", RESULTS, run), ("compare", run)):
        done = sepo(*arguments)
        assert (done.code, done.out) == (2, "")
        assert f"the run in '{run}' is not finished" in done.err
        assert f"continue it with `{command}`" in done.err
        assert done.err.count("\n") == 1


@pytest.mark.parametrize("end", ["ablation.json", "frontier.json"])
def test_an_ablation_or_a_frontier_that_is_finished_is_not_told_to_go_on(sepo, tmp_path, end):
    (tmp_path / "recipe.yaml").write_text("name: k")
    (tmp_path / end).write_text("{}")
    for arguments in (("report", tmp_path), ("compare", RESULTS, tmp_path)):
        done = sepo(*arguments)
        assert done.code == 2
        assert "not finished" not in done.err


def test_a_joint_run_that_was_stopped_is_told_how_to_go_on(sepo, tmp_path):
    (tmp_path / "kuhn").mkdir()
    (tmp_path / "kuhn" / "recipe.yaml").write_text("name: j-kuhn")
    (tmp_path / "kuhn" / "environment.json").write_text(json.dumps({"command": "sepo run j.yaml"}))
    done = sepo("report", tmp_path)
    assert done.code == 2
    assert "continue it with `sepo run j.yaml --resume`" in done.err


def test_what_an_audit_of_several_policies_writes_is_a_report_of_them_all(sepo, tmp_path):
    both = tmp_path / "both.json"
    sepo("audit", "script:nash", "uniform", "--game", "kuhn", "--no-adversaries", "--out", both)
    assert sepo("report", both).code == 0
    page = (tmp_path / "both.html").read_text()
    assert all(name in page for name in ("script:nash", "uniform"))
    lines = sepo("report", both, "--markdown").out.splitlines()
    assert [line.split(" | ")[0] for line in lines] == ["| policy", "| ---", "| `script:nash`", "| `uniform`"]
    for wrong, said in (
        ({"scorecards": []}, "is no list of scorecards"),
        ({"scorecards": [3]}, "is no list of scorecards"),
        ({"scorecards": [{"schema": "sepo.run/1"}]}, "its schema is 'sepo.run/1'"),
    ):
        both.write_text(json.dumps({"schema": "sepo.scorecards/1"} | wrong))
        done = sepo("report", both)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert said in done.err
