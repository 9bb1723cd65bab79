"""The report says what the run's files say, loads nothing, trusts no text, and is whole or absent."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from made_run import ARMS, MadeArm, made_run, made_written

from sepo.errors import InputError
from sepo.policies.table import PolicyTable
from sepo.report.cards import cards
from sepo.report.curves import curve
from sepo.report.exploiter import exploiters
from sepo.report.kuhn import EQUILIBRIUM
from sepo.report.ledger import ledger
from sepo.report.opponents import CHARTS, opponents
from sepo.report.packing import unpacked
from sepo.report.page import provenance, render, write_report
from sepo.report.panels import behaviour
from sepo.report.read import Run, SeedRun, Summary, read_run
from sepo.report.replies import replies
from sepo.report.scorecards import audited
from sepo.report.tables import results
from sepo.report.transcripts import SHOWN, transcripts
from sepo.report.words import number

HOSTILE = "<script>alert(1)</script>"
LOADING = {"src", "href", "srcset", "data", "action", "poster", "formaction", "background", "xlink:href"}
PUBLISHED = (
    {
        "game": "kuhn",
        "model": "gemma-4-e4b-it",
        "protocol": "corrected",
        "lambda": [1.5, 2.4, 0.0],
        "arm": "base",
    }
    | {"J": -0.877, "exploitability": 0.17},
)


class Page(HTMLParser):
    """The page as a browser takes it apart: tags with attributes, visible text, scripts and charts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.packed: list[str] = []
        self.styles = ""
        self._inside: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else None
        if tag == "script" and dict(attrs).get("class") == "packed":
            self._inside = "packed"

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside == "packed":
            self.packed.append(data)
        elif self._inside == "style":
            self.styles += data
        else:
            self.text += data

    def panels(self) -> dict[str, dict[str, Any]]:
        """Return what is packed in each figure, by the figure's id."""
        keys = [a["id"] or "" for tag, a in self.tags if tag == "figure"]
        return dict(zip(keys, [json.loads(unpacked(t)) for t in self.packed if '"plots"' in unpacked(t)], strict=True))

    def download(self, key: str) -> list[list[str]]:
        """Return the table behind a figure's download button."""
        return list(csv.reader(io.StringIO(self.panels()[key]["csv"])))


def page(*runs: Run) -> Page:
    return Page(render(runs, "/* plotly */"))


def test_every_arm_and_figure_of_the_summary_is_on_the_page(tmp_path: Path) -> None:
    summary = made_run(tmp_path, published=PUBLISHED)
    text = Page(write_report(tmp_path).read_text(encoding="utf-8")).text
    for arm in summary["arms"]:
        assert arm["name"] in text
        figure = arm["last"]["exploitability"]
        wins = f"An opponent who knows this policy wins {number(figure['value'], 4)} chips per hand"
        assert wins in text
        assert f"[{number(figure['low'], 4)}, {number(figure['high'], 4)}]" in text
        for key in (
            "sepo.J",
            "sepo.u",
            "paper.J",
            "paper.e",
            "paper.c",
            "robustness",
            "held_out",
            "legal_mass",
        ):
            assert number(arm["last"][key]["value"]) in text
    assert "arXiv 2605.30854" in text
    assert "gemma-4-e4b-it" in text
    assert number(-0.877) in text
    assert "sepo run recipes/made.yaml" in text
    assert "name: made\ngame: kuhn" in text


def test_results_stand_in_the_row_of_their_arm_and_the_column_of_their_measure(tmp_path: Path) -> None:
    summary = made_run(tmp_path)
    summary["arms"][1]["best"]["sepo.J"] = {"value": 0.777, "low": 0.7, "high": 0.8, "n": 2}
    summary["arms"][1]["best_steps"] = [1, 2]
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    table = results(read_run(tmp_path).summary)
    column = [c.text for c in table.columns].index("J (sepo)") - 2  # the first two columns head the rows
    last, best = table.rows[2:4]
    assert [h.text for h in last.heads] == ["sepo", "last step"]
    assert last.cells[column].text == number(summary["arms"][1]["last"]["sepo.J"]["value"])
    assert (best.heads[0].text, best.heads[0].note) == ("best step", "step 1 to 2")
    assert best.cells[column] == ("0.777", "[0.700, 0.800]")


def test_the_page_loads_nothing_and_forbids_itself_to(tmp_path: Path) -> None:
    made_run(tmp_path, published=PUBLISHED)
    found = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    for tag, attributes in found.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img")
        for name in LOADING & set(attributes):
            assert (attributes[name] or "").startswith("#"), (tag, name)
    assert "url(" not in found.styles
    assert "@import" not in found.styles
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_text_of_the_run_is_shown_as_text(tmp_path: Path) -> None:
    made_run(tmp_path, published=[PUBLISHED[0] | {"arm": HOSTILE, "note": HOSTILE}])
    before = page(read_run(tmp_path))
    summary = json.loads((tmp_path / "summary.json").read_text())
    for part in (summary["arms"][0], summary):
        part["name"] = HOSTILE
    summary |= {"model": HOSTILE, "unit": HOSTILE}
    summary["arms"][0] |= {"about": HOSTILE, "warnings": [HOSTILE], "criterion": HOSTILE}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "recipe.yaml").write_text(f"name: {HOSTILE}\n")
    environment: dict[str, Any] = {"command": HOSTILE, "commit": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    environment["continued"] = [{"command": f"again {HOSTILE}", "commit": "abc"}]
    (tmp_path / "environment.json").write_text(json.dumps(environment))
    after = page(read_run(tmp_path))
    assert "alert(1)" not in "".join(after.scripts)
    assert len(after.scripts) == len(before.scripts)
    assert after.text.count(HOSTILE) > 10
    assert f"again {HOSTILE} (abc)" in after.text


def test_what_computed_a_run_is_said(tmp_path: Path) -> None:
    made_run(tmp_path)
    text = page(read_run(tmp_path)).text
    assert text[text.index("computed by") :].removeprefix("computed by").lstrip().startswith("A CPU, AVX2")


def test_an_arms_name_is_no_markup_in_charts_either(tmp_path: Path) -> None:
    made_run(tmp_path)
    (tmp_path / "arms" / "sepo").rename(tmp_path / "arms" / "<b>bold")
    summary = json.loads((tmp_path / "summary.json").read_text())
    summary["arms"][1]["name"] = "<b>bold"
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    plots = [plot for panel in page(read_run(tmp_path)).panels().values() for plot in panel["plots"]]
    names = {trace["name"] for plot in plots for trace in plot["data"] if "name" in trace}
    assert "&lt;b&gt;bold" in names
    assert "<b>bold" not in names


def test_a_curve_is_the_mean_over_seeds_between_its_extremes(tmp_path: Path) -> None:
    made_run(tmp_path, seeds=(0, 1, 2))
    points = curve(read_run(tmp_path).histories["sepo"], lambda s: s.exploitability)
    for point in points:
        lines = [
            json.loads((tmp_path / f"arms/sepo/seed-{s}/metrics.jsonl").read_text().splitlines()[point.step])
            for s in (0, 1, 2)
        ]
        values = [line["exploitability"] for line in lines]
        assert point.mean == pytest.approx(sum(values) / 3)
        assert (point.low, point.high) == (min(values), max(values))
    rows = page(read_run(tmp_path)).download("exploitability")
    assert rows[0][:3] == ["arm", "step", "mean"]
    assert [float(r[2]) for r in rows if r[0] == "sepo"] == pytest.approx([p.mean for p in points])


def test_shares_of_replies_that_were_no_answer_are_charts_and_counts_a_table_where_somebody_wrote(
    tmp_path: Path,
) -> None:
    counts = made_written(tmp_path)
    found = page(run := read_run(tmp_path))
    plots = found.panels()["legal"]["plots"]
    names = [[trace["name"] for trace in plot["data"] if "name" in trace] for plot in plots]
    assert names == [["sft", "sepo"], ["sepo"], ["sepo"]]  # legal mass; illegal; truncated
    for plot, start in zip(plots[1:], (0.3, 0.1), strict=True):
        assert plot["data"][-1]["y"] == pytest.approx([start / (1 + step) for step in range(4)])
    rows = found.download("legal")
    assert rows[0] == ["arm", "figure", "step", "mean", "lowest seed", "highest seed", "seeds"]
    assert [float(r[3]) for r in rows if r[1] == "truncated replies"] == pytest.approx([0.1, 0.05, 0.1 / 3, 0.025])
    table = replies(run)
    assert table is not None
    (row,) = table.rows
    assert (row.heads[0].text, row.heads[0].arm) == ("sepo", 1)
    assert [cell.text for cell in row.cells] == [
        *(f"{2 * counts[c]}" for c in ("replies", "illegal", "truncated", "decisions", "unanswered")),
        "0.300",
    ]
    assert [cell.note for cell in row.cells[1:3]] == ["24.0%", "6.0%"]
    assert table.caption in found.text


def test_where_nobody_wrote_the_page_says_nothing_of_replies(tmp_path: Path) -> None:
    made_run(tmp_path)
    found = page(run := read_run(tmp_path))
    assert len(found.panels()["legal"]["plots"]) == 1
    assert replies(run) is None
    assert "truncated" not in found.text
    shown = transcripts(run)
    assert shown is not None
    assert not shown["written"]


def test_counts_of_audited_scorecards_stand_with_their_results(tmp_path: Path) -> None:
    made_written(tmp_path)
    text = Page(
        write_report(tmp_path / "arms/sepo/seed-0/scorecards/last.json", tmp_path / "out.html").read_text("utf-8")
    ).text
    assert "Illegal and truncated replies by arm" in text


@pytest.mark.parametrize("counts", ["none", {"replies": "<b>7"}, {"replies": True}, []])
def test_counts_that_are_none_are_left_out(tmp_path: Path, counts: object) -> None:
    made_written(tmp_path)
    for seed in (0, 1):
        path = tmp_path / f"arms/sepo/seed-{seed}/scorecards/last.json"
        card = json.loads(path.read_text())
        given = card["games"]["kuhn"]["replies"]
        card["games"]["kuhn"]["replies"] = given | counts if isinstance(counts, dict) else counts
        path.write_text(json.dumps(card))
    assert replies(read_run(tmp_path)) is None


def test_replies_are_text_in_which_nothing_is_hidden_and_not_longer_than_a_page_can_bear(tmp_path: Path) -> None:
    made_written(tmp_path, f"{HOSTILE}\x1b[31m\u202e\ud800" + "A" * 1_000_000 + "\nACTION: pass")
    found = page(run := read_run(tmp_path))
    shown = transcripts(run)
    assert shown is not None
    assert shown["written"]
    moves = [m for e in shown["episodes"] for h in e["hands"] for m in h["moves"] if m["by"] == "learner"]
    texts = {m["text"] for m in moves if "text" in m}
    assert len(texts) == 1
    (text,) = texts
    assert text.startswith(f"{HOSTILE}\\x1b[31m\\u202e\\ud800AAA")
    assert text.endswith("A\nACTION: pass")
    assert len(text) < SHOWN + 100
    refused = [m for m in moves if "refused" in m]
    assert {m["illegal"] for m in refused} == {2}
    assert [one["fault"] for one in refused[0]["refused"]] == ["illegal", "truncated"]
    assert "alert(1)" not in "".join(found.scripts) + found.text


def test_one_seed_has_no_interval_and_the_page_says_so(tmp_path: Path) -> None:
    made_run(tmp_path, seeds=(4,))
    run = read_run(tmp_path)
    assert all(card.interval == "" and "no interval" in card.note for card in cards(run))
    assert "One seed: no intervals" in page(run).text


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_the_page_says_where_an_audit_leaves_something_open(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    made_run(tmp_path, seeds=seeds)
    said = "what the audits leave open" if len(seeds) > 1 else "what the audit leaves open"
    assert said not in page(read_run(tmp_path)).text
    summary = json.loads((tmp_path / "summary.json").read_text())
    summary["arms"][0]["last"]["sepo.J"]["low"] -= 0.01
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    assert said in page(read_run(tmp_path)).text


def test_kuhns_equilibria_are_those_of_the_scripts_and_not_exploitable(tmp_path: Path) -> None:
    made_run(tmp_path, [MadeArm("nash", "nash", 1.0)], seeds=(0,))
    from sepo.games.registry import make
    from sepo.policies.script import ScriptPolicy
    from sepo.policies.table import elicit
    from sepo.solve.expand import expand

    game = make("kuhn")
    table = elicit(ScriptPolicy("script:nash", "nash"), game, expand(game)).table
    assert set(table) == set(EQUILIBRIUM)
    for key, row in table.items():
        aggressive = row.get("BET", row.get("CALL", 0.0))
        assert EQUILIBRIUM[key].low - 1e-12 <= aggressive <= EQUILIBRIUM[key].high + 1e-12


def test_learned_play_shows_the_mean_over_seeds(tmp_path: Path) -> None:
    made_run(tmp_path)
    found = behaviour(read_run(tmp_path))
    assert found is not None
    bets = [
        json.loads((tmp_path / f"arms/sepo/seed-{s}/policies/last.json").read_text())["table"]["K:"]["BET"]
        for s in (0, 1)
    ]
    row = next(r for r in found.table.rows if [h.text for h in r.heads] == ["king"])
    assert row.cells[0].text == "0.000 to 1.000"
    assert row.cells[2].text == number(sum(bets) / 2)


def test_a_game_without_a_panel_gets_a_plain_table(tmp_path: Path) -> None:
    made_run(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    (tmp_path / "summary.json").write_text(json.dumps(summary | {"game": "another"}))
    found = behaviour(read_run(tmp_path))
    assert found is not None
    assert found.panel is None
    assert [h.text for h in found.table.rows[0].heads] == ["J:", "PASS"]


def test_a_dead_term_is_visible(tmp_path: Path) -> None:
    made_run(tmp_path, [*ARMS, MadeArm("paper", "nash_approx", 0.5, dead=True)])
    run = read_run(tmp_path)
    found = ledger(run)
    assert found is not None
    readings = {(len(r.heads) > 1, r.cells[-1].text) for r in found[1].rows if r.warned}
    assert readings == {(False, "does not reach the policy")}
    shown = page(run)
    assert "dead term e: value 0.123" in shown.text
    assert any(a.get("class") == "warning" for _, a in shown.tags)


def test_noise_around_zero_is_read_as_a_gradient_that_does_not_arrive(tmp_path: Path) -> None:
    made_run(tmp_path)
    for seed in (0, 1):
        path = tmp_path / f"arms/sepo/seed-{seed}/metrics.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines[1:]:
            line["ledger"][1]["recovered"] = (-1) ** line["step"] * 0.3
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = ledger(read_run(tmp_path))
    assert found is not None
    assert [row.cells[-1].text for row in found[1].rows] == [
        "reaches the policy",
        "does not reach the policy: 0 within 2 standard errors",
    ]


def test_an_unfinished_line_of_a_killed_run_is_left_out_and_a_broken_one_named(tmp_path: Path) -> None:
    made_run(tmp_path)
    path = tmp_path / "arms/sepo/seed-0/metrics.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"step": 4, "exploi')
    assert len(read_run(tmp_path).histories["sepo"][0].steps) == 4
    path.write_text('{"step": 4, "exploi\n' + whole)
    with pytest.raises(InputError, match=r"metrics\.jsonl', line 1: not JSON"):
        read_run(tmp_path)


def test_seeds_and_arms_still_to_finish_are_named(tmp_path: Path) -> None:
    summary = made_run(tmp_path)
    summary["arms"][1]["seeds"] = [0]
    summary["arms"].append({"name": "later", "about": "", "seeds": [], "steps": 3, "last": {}, "best": {}})
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    text = page(read_run(tmp_path)).text
    assert "1 of 2 seeds finished" in text
    assert "no seed of this arm has finished" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "has no summary.json"),
        ("[]", "must hold a JSON object"),
        ('{"schema": "sepo.run/9"}', "schema must be 'sepo.run/1'"),
        ('{"schema": "sepo.run/1", "name": "x", "game": "kuhn"}', "key 'arms'"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path: Path, change: str | None, message: str) -> None:
    with pytest.raises(InputError, match="no run folder"):
        write_report(tmp_path / "nowhere")
    if change is not None:
        (tmp_path / "summary.json").write_text(change)
    with pytest.raises(InputError) as caught:
        write_report(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        *(("metrics.jsonl", None, line) for line in ("[" * 100_000, "9" * 5000)),
        *(("episodes.jsonl", "own", value) for value in ("much", None, float("nan"))),
        *(("episodes.jsonl", "hands", value) for value in (None, 3, [1], [{"moves": [1]}])),
        ("episodes.jsonl", "hands", [{"moves": [{"by": "learner", "policy": "all"}]}]),
    ],
)
def test_a_line_that_is_not_as_it_should_be_is_named(tmp_path: Path, file: str, key: str | None, value: Any) -> None:
    made_run(tmp_path, seeds=(0,))
    path = tmp_path / "arms" / "sepo" / "seed-0" / file
    first, rest = path.read_text().split("\n", 1)
    path.write_text((value if key is None else json.dumps(json.loads(first) | {key: value})) + "\n" + rest)
    with pytest.raises(InputError, match=rf"{file}', line 1[:,]"):
        write_report(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_summary_with_what_is_no_number_is_refused(tmp_path: Path, value: float) -> None:
    summary = made_run(tmp_path, seeds=(0,))
    summary["arms"][0]["last"]["exploitability"] = {"value": value, "low": 0.0, "high": 0.1}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(InputError, match=r"summary\.json', key 'arms\.0\.last\.exploitability\.value'"):
        write_report(tmp_path)


def test_an_arm_named_to_climb_out_of_the_run_reads_nothing_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    summary = made_run(run)
    (run / "arms" / "sepo").rename(tmp_path / "outside")
    summary["arms"][1]["name"] = "../../outside"
    (run / "summary.json").write_text(json.dumps(summary))
    assert read_run(run).histories["../../outside"] == ()


def test_an_interrupted_write_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_run(tmp_path)
    path = write_report(tmp_path)
    old = path.read_bytes()

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path)
    assert path.read_bytes() == old
    assert not list(tmp_path.glob(".report.html.*"))


def test_without_plotly_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_run(tmp_path)
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(InputError, match=r"pip install 'sepo\[report\]'"):
        write_report(tmp_path)


@pytest.mark.parametrize("count", [1, 3])
def test_workers_are_named_where_there_were_several(tmp_path: Path, count: int) -> None:
    made_run(tmp_path)
    file = tmp_path / "environment.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"workers": count}))
    told = dict(provenance(read_run(tmp_path)))
    assert told["threads"] == "2"
    assert told.get("workers") == (None if count == 1 else "3")


def test_out_names_the_file(tmp_path: Path) -> None:
    made_run(tmp_path / "run")
    assert write_report(tmp_path / "run", tmp_path / "pages" / "mine.html").stat().st_size > 1e6
    assert not (tmp_path / "run" / "report.html").exists()
    with pytest.raises(InputError, match="is a folder"):
        write_report(tmp_path / "run", tmp_path)


def _headings(found: Page) -> list[int]:
    return [int(tag[1]) for tag, _ in found.tags if tag in ("h1", "h2", "h3", "h4")]


def test_the_page_can_be_read_without_seeing_it(tmp_path: Path) -> None:
    made_run(tmp_path, published=PUBLISHED)
    found = page(read_run(tmp_path))
    levels = _headings(found)
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))

    def attributes(wanted: str) -> list[dict[str, Any]]:
        return [a for tag, a in found.tags if tag == wanted]

    assert attributes("html")[0]["lang"] == "en"
    assert all(a.get("scope") for a in attributes("th"))
    assert len(attributes("caption")) == len(attributes("table"))
    assert len(attributes("figcaption")) == len(attributes("figure"))
    charts = [a for a in attributes("div") if a.get("class") == "chart"]
    assert charts
    assert all(a["role"] == "img" and a["aria-label"] for a in charts)
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {(a["href"] or "")[1:] for a in attributes("a") if (a["href"] or "").startswith("#")} <= set(ids)


PAPER, OURS = ({"rounds": 2, "overbid_loss": costs} for costs in (False, True))


def auction(**told: Any) -> Run:
    """Return a run that was trained by the paper's rules, as others than the sepo measures are found by."""
    figure = {"value": 0.5, "low": 0.5, "high": 0.5, "n": 1}
    last = dict.fromkeys(("paper.J", "sepo.J", "worst_case_advantage", "robustness"), figure)
    summary = {
        "schema": "sepo.run/1",
        "name": "a",
        "game": "auction",
        "rules": PAPER,
        "measures": "paper",
        "seeds": [0],
    }
    arms = [{"name": "sepo", "seeds": [0], "last": last}]
    policy = PolicyTable("made", "auction", PAPER, {}, "uniform")
    met = {"opponents": [{"pool": "train", "name": "truthful", **dict.fromkeys(CHARTS, figure)}]}
    found = Summary.model_validate(summary | {"arms": arms} | told)
    return Run(found, {"sepo": (SeedRun(0, (), policy, met),)}, "", {})


def test_figures_by_other_rules_than_the_runs_are_said_to_be() -> None:
    run, alike = auction(), auction(rules_by_measures={})
    note = "By other rules, overbid_loss True: J (sepo), worst case, robustness."
    assert note in results(run.summary).notes
    assert results(auction(rules_by_measures={"sepo": OURS}).summary) == results(run.summary)
    assert not any("other rules" in said for said in results(alike.summary).notes)
    for found, said in ((run, True), (alike, False)):
        met = opponents(found)
        assert met is not None
        assert ("By other rules, overbid_loss True." in met[0].caption) is said


def test_a_payoff_without_known_ends_is_a_dot_without_a_whisker() -> None:
    run = auction()
    row = run.histories["sepo"][0].card["opponents"][0]
    row["other"] = {"value": 0.25, "low": None, "high": None, "n": 32}
    row["advantage"] = {"value": -0.25, "low": None, "high": 0.1, "n": 32}
    met = opponents(run)
    assert met is not None
    other, ahead = (plot.data[0] for plot in met[0].plots[1:])
    assert (other["x"], other["error_x"]["array"], other["error_x"]["arrayminus"]) == ([0.25], [0.0], [0.0])
    assert (ahead["error_x"]["array"], ahead["error_x"]["arrayminus"]) == ([pytest.approx(0.35)], [0.0])
    assert "sepo,train,truthful,other,0.25,-inf,inf" in met[0].data
    assert other["customdata"] == [["0.250", "\u2212inf", "inf"]]


def test_the_worst_opponent_by_the_tables_rules_has_no_figure_by_others() -> None:
    (found,), (alike,) = exploiters(auction()), exploiters(auction(rules_by_measures={}))
    assert alike.caption == "sepo: the opponent that gets furthest ahead of it (ahead by 0.5000 points per round)"
    assert found.caption == "sepo: the opponent that gets furthest ahead of it"
    assert found.rows == alike.rows
    assert any("by other rules, overbid_loss True" in note for note in found.notes)
    assert not any("other rules" in note for note in alike.notes)


def test_scorecards_whose_sets_are_by_other_rules_are_refused() -> None:
    figure = {"value": 0.5, "low": 0.5, "high": 0.5, "n": None}
    measures = {"paper": {"J": figure}, "sepo": {"J": figure}}

    def card(name: str, **own: Any) -> dict[str, Any]:
        part = {"rules": OURS, "measures": measures} | ({"rules_by_measures": own} if own else {})
        return {"policy": name, "games": {"auction": part}}

    (run,) = audited([card("a", paper=PAPER), card("b", paper=PAPER)])
    assert "By other rules, overbid_loss False: J (paper)." in results(run.summary).notes
    with pytest.raises(InputError) as refused:
        audited([card("a", paper=PAPER), card("b")])
    assert str(refused.value) == (
        "game 'auction': the paper measures are by other rules in the scorecard of 'b' than in one before it: "
        "overbid_loss True, not overbid_loss False"
    )
