"""Text from files, models and other people is shown as text: in the terminal, in Markdown, in charts and in CSV."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_run import MadeArm, made_run
from markdown_it import MarkdownIt
from rich.progress import Progress
from rich.table import Table
from rich.text import Text
from tests.browser import chromium, visit
from tests.conftest import run_program
from tests.report.test_frontier import made as made_frontier

from sepo.audit.methods import Options
from sepo.audit.scorecard import scorecard
from sepo.cli.progress import RunDisplay
from sepo.cli.show_run import show_run
from sepo.cli.show_variations import show_variations
from sepo.cli.terminal import console, guard, say, say_json, show
from sepo.games.registry import make
from sepo.policies.script import ScriptPolicy
from sepo.policies.table import elicit
from sepo.printable import HIDDEN, UNSEEN, json_printable, printable
from sepo.report import frontier, markdown
from sepo.report.page import plotly, write_report
from sepo.report.plots import Plot, layout
from sepo.report.read import Summary, read_run
from sepo.report.words import csv_text
from sepo.solve.expand import expand
from sepo.train.ablate import COLUMNS
from sepo.train.ablate import markdown as ablation
from sepo.train.recipe import parse_recipe

STEER = "\x1b[31m\x1b]0;title\x07\x9b1m\r\u202egnp\u2066\u200b\U000e0041"
HOSTILE = f"=1+<img src=x onerror=window.harmed=1><script>window.harmed=1[red]|`*b*[x](javascript:x){STEER}"
"""It has no slash: a name of an arm, a file or a folder may be this."""
TAGGED = f"<script>window.harmed=1</script><a href='javascript:window.harmed=1'>{HOSTILE}"
SHOWN = "[red]|`*b*[x](javascript:x)\\x1b[31m\\x1b]0;title\\x07\\x9b1m\\x0d\\u202egnp\\u2066\\u200b\\U000e0041"


def hidden(text: str) -> list[str]:
    """Return every character that is not shown as itself, other than line breaks."""
    return [c for c in text if unicodedata.category(c) in HIDDEN and c != "\n"]


class Files:
    """Files and folders in which whatever anyone may name is hostile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        game = make("kuhn")
        table = elicit(ScriptPolicy("script:nash", "nash"), game, expand(game)).document()
        self.table = self._write(f"{HOSTILE}.json", table | {"about": {TAGGED: TAGGED}})
        key = next(iter(table["table"]))
        self.actions = self._write("actions.json", table | {"table": table["table"] | {key: {TAGGED: 1.0}}})
        self.states = self._write("states.json", table | {"table": {TAGGED: {"BET": 1.0}}})
        self.other = self._write("other.json", table | {"game": TAGGED})
        card = scorecard(ScriptPolicy("script:nash", "nash"), [game], Options(adversaries=False))
        part = card["games"]["kuhn"] | {"unit": TAGGED, "method": TAGGED}
        part["opponents"] = [row | {"name": TAGGED, "pool": TAGGED} for row in part["opponents"]]
        bad = {"policy": TAGGED, "versions": {TAGGED: TAGGED}, "games": {"kuhn": part, HOSTILE: part}}
        self.card = self._write("card.json", card | bad | {"model": {TAGGED: TAGGED}})
        self.usual = self._write("usual.json", card)
        self.run = folder / f"run {HOSTILE}"
        self.summary = self._run()
        self.recipe = folder / "recipe.yaml"
        known = {"name": "x", "game": "kuhn", "seeds": [0], "arms": [{"name": "base", "stage": "base"}]}
        self.recipe.write_text(yaml.safe_dump(known | {TAGGED: TAGGED}))
        self.safety = folder / "safety.json"
        run_program("card", f"table:{self.table}", "-o", self.safety)
        said = json.loads(self.safety.read_text())
        said["games"]["kuhn"]["unit"] = TAGGED
        self._write("safety.json", said)

    def _write(self, name: str, document: Any) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(document))
        return path

    def _run(self) -> dict[str, Any]:
        """Write a run with a hostile arm, whose opponents say what they like."""
        made_run(self.run, [MadeArm("base", steps=1), MadeArm(HOSTILE, about=TAGGED, steps=2)], published=[])
        path = self.run / "summary.json"
        summary = json.loads(path.read_text()) | dict.fromkeys(("name", "model", "unit"), TAGGED)
        summary["arms"][1] |= {"warnings": [TAGGED], "criterion": TAGGED}
        row = {"arm": HOSTILE, "figure": "exploitability", "mean": 0.1, "interval": [0.0, 0.2], "n": 2}
        summary["paired"] = {"minus": HOSTILE, "rows": [row]}
        path.write_text(json.dumps(summary))
        home = self.run / "arms" / HOSTILE / "seed-0"
        lines = [json.loads(line) for line in (home / "episodes.jsonl").read_text().splitlines()]
        for line in lines:
            line["opponent"] = TAGGED
            line["hands"][0]["moves"][0] |= {"action": TAGGED, "text": TAGGED, "policy": {TAGGED: 0.5}}
        (home / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        last = home / "scorecards" / "last.json"
        card = json.loads(last.read_text())
        for row in card["games"]["kuhn"]["opponents"]:
            row |= {"name": TAGGED, "pool": TAGGED}
        card["games"]["kuhn"]["worst_case"] = {"opponent": TAGGED}
        last.write_text(json.dumps(card))
        (self.run / "recipe.yaml").write_text(f"name: {TAGGED}\n")
        found = {"command": TAGGED, "commit": TAGGED, "platform": TAGGED, "versions": {TAGGED: TAGGED}}
        (self.run / "environment.json").write_text(json.dumps(found))
        return summary


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give tables so much room that no name is broken off."""
    monkeypatch.setenv("COLUMNS", "4000")
    monkeypatch.setenv("NO_COLOR", "1")


OUT = f"{HOSTILE}/{HOSTILE}"
COMMANDS: dict[str, Callable[[Files], list[object]]] = {
    "audit": lambda f: ["audit", f"table:{f.table}", "--game", "kuhn"],
    "audit two": lambda f: ["audit", "uniform", f"table:{f.table}", "--game", "kuhn"],
    "audit json": lambda f: ["audit", f"table:{f.table}", "--game", "kuhn", "--json"],
    "audit of unknown actions": lambda f: ["audit", f"table:{f.actions}"],
    "audit of unknown states": lambda f: ["audit", f"table:{f.states}"],
    "audit of an unknown game": lambda f: ["audit", f"table:{f.other}"],
    "audit of nobody": lambda f: ["audit", TAGGED],
    "audit of an unknown opponent": lambda f: ["audit", "uniform", "-g", "kuhn", "--opponent", TAGGED],
    "elicit": lambda f: ["elicit", f"table:{f.table}", "-g", "kuhn", "-o", f.folder / f"{OUT}.json"],
    "exploit": lambda f: ["exploit", f"table:{f.table}", "-g", "kuhn", "-o", f.folder / f"{OUT}.json"],
    "match": lambda f: ["match", "uniform", f"table:{f.table}", "-g", "kuhn"],
    "play": lambda f: ["play", "kuhn", f"table:{f.table}", "--hands", "1", "--seed", "1", "-o", f.folder / "p.jsonl"],
    "solve by an unknown rule": lambda f: ["solve", "kuhn", "--rule", f"{TAGGED}=1"],
    "compare": lambda f: ["compare", f.card, f.usual],
    "compare json": lambda f: ["compare", f.card, f.usual, "--json"],
    "compare markdown": lambda f: ["compare", f.card, f.usual, "--markdown"],
    "compare runs": lambda f: ["compare", f.run],
    "compare page": lambda f: ["compare", f.card, f.usual, "--html", f.folder / f"{OUT}.html"],
    "gate": lambda f: ["gate", f.card, "--max", "exploitability=-1"],
    "gate by an unknown figure": lambda f: ["gate", f.usual, "--max", f"{TAGGED}=1"],
    "card": lambda f: ["card", f"table:{f.table}"],
    "card of a scorecard": lambda f: ["card", f.card],
    "verify": lambda f: ["verify", f.safety],
    "data": lambda f: ["data", TAGGED, "-o", f.folder / "data"],
    "games": lambda f: ["games", TAGGED],
    "report of a card": lambda f: ["report", f.card, "--markdown"],
    "report in markdown": lambda f: ["report", f.run, "--markdown"],
    "report of several": lambda f: ["report", f.folder, "--markdown"],
    "report": lambda f: ["report", f.run, f.usual, "-o", f.folder / f"{OUT}.html"],
    "run": lambda f: ["run", f.recipe],
    "ablate": lambda f: ["ablate", f.recipe, "--only", TAGGED],
    "frontier": lambda f: ["frontier", f.recipe, "--vary", TAGGED, "--values", "1"],
    "serve": lambda f: ["serve", "--policy", TAGGED],
    "serve of no run": lambda f: ["serve", "--run", TAGGED],
    "bench": lambda f: ["bench", TAGGED],
    "no command": lambda f: [TAGGED],
    "no option": lambda f: ["audit", f"--{STEER}"],
}
CODES = {
    **dict.fromkeys(("audit", "audit two", "audit json", "elicit", "exploit", "match", "play", "card"), 0),
    **dict.fromkeys(("compare", "compare json", "compare markdown", "compare runs", "compare page"), 0),
    **dict.fromkeys(("report of a card", "report in markdown", "report of several", "report"), 0),
    **dict.fromkeys(("gate", "verify"), 1),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_lets_anything_through_to_the_terminal(sepo: Any, files: Files, command: str) -> None:
    typed = f"{STEER}\n" + "pass\nbet\ncall\nfold\n" * 5
    done = sepo(*COMMANDS[command](files), input=typed if command == "play" else "")
    said = done.out + done.err
    assert done.code == CODES.get(command, 2), said
    assert "Traceback" not in said
    assert hidden(said) == []
    if done.code == 2:
        assert len(done.err.splitlines()) == 1
    if command.endswith("json"):
        assert "\x1b]0;title\x07\x9b1m" in "".join(strings(done.document))
    else:
        assert re.search(r"(\\|&#92;)x1b(\[31m|&#91;31m)(\\|&#92;)x1b", said)


def strings(document: Any) -> Iterator[str]:
    """Yield every text of a JSON document."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict | list):
        for part in [*document, *(document.values() if isinstance(document, dict) else ())]:
            yield from strings(part)


def test_what_is_said_is_one_line_and_documents_keep_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"a\n{HOSTILE}")
    show(f"a\n{HOSTILE}\n")
    line, *document = capsys.readouterr().out.splitlines()
    assert line.startswith("a\\x0a=1+<img")
    assert document == ["a", printable(HOSTILE)]
    assert document[1].endswith(SHOWN)
    say_json({HOSTILE: [HOSTILE]})
    text = capsys.readouterr().out
    assert hidden(text) == []
    assert json.loads(text) == {HOSTILE: [HOSTILE]}


def test_every_hidden_character_is_escaped_in_json_and_nothing_else() -> None:
    every = [chr(code) for code in range(0x20, sys.maxunicode + 1)]
    unseen = {c for c in every if unicodedata.category(c) in HIDDEN}
    assert unseen <= {c for c in every if UNSEEN.match(c)}
    assert all(unicodedata.category(c) in (HIDDEN | {"Cn"}) for c in every if UNSEEN.match(c))
    text = json.dumps("".join(unseen - {chr(code) for code in range(0xD800, 0xE000)}), ensure_ascii=False)
    assert hidden(json_printable(text)) == []
    assert json.loads(json_printable(text)) == json.loads(text)


def test_the_terminals_colours_are_richs_own_and_text_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    out = io.StringIO()
    terminal = console(file=out, force_terminal=True, width=4000, color_system="standard")
    table = Table(title=HOSTILE)
    table.add_column(Text(HOSTILE, "bold"))
    table.add_row(HOSTILE, style="red")
    terminal.print(table, HOSTILE, Text(HOSTILE, "green"))
    assert "\x1b[31m" in out.getvalue()  # the row's style
    assert out.getvalue().count(SHOWN) == 3  # of a Text rich itself drops bells and carriage returns
    rest = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert hidden(rest) == []
    assert rest.count("\\x1b[31m\\x1b]0;title") == 5


@pytest.mark.parametrize("live", [False, True])
def test_progress_is_text(live: bool) -> None:
    sections = {"sft": {"steps": 1}, "train": {"steps": 2}, "arms": [{"name": "sft", "stage": "sft"}, {"name": "sepo"}]}
    recipe = parse_recipe({"name": "x", "game": "kuhn", "seeds": [0], **sections}, "here")
    out = io.StringIO()
    terminal = console(file=out, force_terminal=live, width=4000, color_system=None)
    with RunDisplay({"x": recipe}, terminal) as display:
        display.measures["x", HOSTILE] = "sepo"
        line = {"step": 2, "measures": {"sepo": {"J": 0.25}}}
        display.tell({"name": "x", "arm": HOSTILE, "seed": 0, "stage": "train", "steps": 2, "line": line})
        display.bar.refresh()
        assert isinstance(display.bar, Progress)
    shown = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|\r", "", out.getvalue()) if live else out.getvalue()
    assert hidden(shown) == []
    assert "[red]|`*b*[x](javascript:x)\\x1b[31m" in shown


def test_messages_warnings_and_what_nobody_expected_are_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    factory = logging.getLogRecordFactory()
    try:
        guard()
        record = logging.getLogger("sepo.test").makeRecord("sepo", 30, "f", 1, "%s", (HOSTILE,), None)
        assert record.getMessage() == printable(HOSTILE)
    finally:
        logging.setLogRecordFactory(factory)
    assert hidden(warnings.formatwarning(UserWarning(HOSTILE), UserWarning, "f.py", 1)) == []
    error = ValueError(HOSTILE)
    sys.excepthook(ValueError, error, None)
    said = capsys.readouterr().err
    assert hidden(said) == []
    assert SHOWN in said


def test_tables_of_runs_and_variations_are_text(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    show_run(files.summary)
    card = json.loads(files.card.read_text()) | {"wording": TAGGED}
    varied: dict[str, Any] = {"game": TAGGED, "policies": [TAGGED], "wordings": [TAGGED]}
    varied["figures"] = {"sepo.J": {"mean": 1.0, "sd_wording": 0.1}}
    show_variations({"scorecards": [card, card | {"policy": "x"}], "spread": [varied]})
    said = capsys.readouterr().out
    assert hidden(said) == []
    assert said.count("\\x1b]0;title") >= 8


def pages(files: Files, sepo: Any) -> dict[str, str]:
    """Return every kind of Markdown, of hostile documents."""
    for arm in files.summary["arms"]:
        arm["stage"] = "train"
    run = Summary.model_validate(files.summary)
    runs = {HOSTILE: run.model_copy(update={"measures": "sepo"})}
    card = json.loads(files.card.read_text())
    points = [p | {"arm": HOSTILE} for p in made_frontier()["points"]]
    bench = {"benchmarks": [{"name": HOSTILE, "ratios": {TAGGED: 2.0}}]}
    return {
        "run": markdown.markdown(run),
        "overview": markdown.overview(runs),
        "gains": markdown.gains(runs, runs),
        "card": markdown.card(card),
        "ratios": markdown.ratios(bench),
        "frontier": frontier.markdown(made_frontier(points=points)),
        "comparison": sepo("compare", files.card, files.usual, "--markdown").out,
        "safety card": sepo("card", f"table:{files.table}").out,
        "ablation": ablation(hostile_ablation()),
    }


def hostile_ablation() -> dict[str, Any]:
    figures = {"mean": 0.1, "interval": None, "difference": {"mean": 0.1, "interval": None}, "from_reference": None}
    measures = {of: dict.fromkeys(COLUMNS, figures) for of in ("paper", "sepo")}
    arm = {"name": HOSTILE, "reference": TAGGED, "changed": {TAGGED: [TAGGED, TAGGED]}, "measures": measures}
    head = dict.fromkeys(("name", "game", "model", "unit"), TAGGED)
    out = {"name": HOSTILE, "why": TAGGED}
    rules = {"rules": {TAGGED: TAGGED}, "rules_by_measures": {"sepo": {TAGGED: TAGGED * 2}}, "measures": "paper"}
    return {**head, **rules, "seeds": [0], "arms": [arm], "left_out": [out], "claims": []}


def test_markdown_holds_text_and_no_element_of_a_name(files: Files, sepo: Any) -> None:
    usual = {"table", "thead", "tbody", "tr", "th", "td", "p", "code", "h1", "h2", "h3", "ul", "li", "strong"}
    for kind, page in pages(files, sepo).items():
        assert hidden(page) == [], kind
        html = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)
        assert set(re.findall(r"<([a-z0-9]+)", html)) <= usual, kind
        assert "&lt;img src=x onerror=window.harmed=1&gt;" in html, kind
        assert "|`*b*[x](javascript:x)\\x1b[31m" in html, kind
        for table in html.split("<table>")[1:]:
            rows = table.split("</table>")[0].split("<tr>")[1:]
            assert len({len(re.findall(r"<t[hd]", row)) for row in rows}) == 1, kind
        assert html.count("<table>") == len(re.findall(r"(?m)^\| ?:?-", page)), kind


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", " =", "\r=", "\n@", "\uff1d"])
def test_no_name_is_a_formula_in_a_spreadsheet(start: str) -> None:
    text = csv_text(("arm", f"{start}x"), [(f"{start}cmd|' /C calc'!A0", -0.5), ("-0.5", 1e-9), ("a,\n=b", None)])
    found = list(csv.reader(io.StringIO(text)))
    assert all(not cell.lstrip().startswith(("=", "+", "@", "\uff1d")) for row in found for cell in row)
    assert found[1][0].startswith(("'", "\\x0"))
    assert found[1][1:] + found[2] == ["-0.5", "-0.5", "1e-09"]
    assert found[3] == ["a,\\x0a=b", ""]


def test_everything_in_a_chart_but_its_templates_is_text() -> None:
    trace = {"name": TAGGED, "text": [TAGGED], "customdata": [[TAGGED, 1.0]], "hovertemplate": "%{x}<br>%{y}"}
    drawn = Plot("", "", [trace], layout(TAGGED, TAGGED, yaxis={"ticktext": [TAGGED]}, annotations=[{"text": TAGGED}]))
    text = json.dumps(drawn.document, ensure_ascii=False)
    assert "%{x}<br>%{y}" in text
    assert "<" not in text.replace("<br>", "")
    assert text.count("&lt;script&gt;") == 2 * 7
    assert "\u202e" not in text


def test_pages_of_hostile_files_do_nothing_in_the_browser(files: Files, sepo: Any, tmp_path: Path) -> None:
    report = write_report([files.run, files.card], tmp_path / "report.html")
    compared = tmp_path / "compared.html"
    assert sepo("compare", files.card, files.usual, "--html", compared).code == 0
    along = tmp_path / "frontier.html"
    points = [p | {"arm": HOSTILE, "warnings": [TAGGED]} for p in made_frontier()["points"]]
    document = made_frontier(points=points, **dict.fromkeys(("name", "game", "unit", "model", "arm"), TAGGED))
    along.write_text(frontier.render(document, read_run(files.run), plotly()))
    with chromium() as browser:
        for path in (report, compared, along):
            assert hidden(path.read_text().replace("\t", "")) == [], path.name
            with visit(browser, path.as_uri()) as seen:
                seen.page.locator("details").evaluate_all("all => all.forEach((one) => (one.open = true))")
                for chart in seen.page.locator(".chart").all():
                    chart.evaluate("chart => chart.scrollIntoView()")
                    chart.locator(".main-svg").first.wait_for(state="attached", timeout=60_000)
                if path == report:
                    seen.page.locator("select[name=arm]").select_option(index=2)
                    seen.page.locator(".episodes button").last.click()
                    seen.page.locator(".episode td.said").first.wait_for(state="attached")
                    assert "\\u202egnp" in seen.page.locator(".episode td.said").first.inner_text()
                text = seen.page.locator("body").inner_text()
                drawn = "".join(seen.page.locator(".main-svg text").all_text_contents())
                assert hidden(re.sub(r"[\t\r]", "", text + drawn)) == []
                assert "<img src=x onerror" in text
                assert "<script>window.harmed=1" in text
                if path != compared:  # its charts name figures
                    assert "<img" in drawn or "<script" in drawn
                assert seen.page.locator("main img, main a[href^=javascript], svg a").count() == 0
                assert seen.page.evaluate("window.harmed") is None
                assert seen.errors == []
                assert seen.beyond(path.as_uri()) == []
