"""Comparisons say what changed, how sure that is and which way it goes; their page is safe and can be used by all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from made_run import MadeArm, made_run
from markdown_it import MarkdownIt
from playwright.sync_api import Browser
from tests.browser import DESKTOP, PHONE, chromium, visit

from sepo.audit.methods import Options
from sepo.audit.scorecard import scorecard, scorecards
from sepo.errors import InputError
from sepo.games.base import Game
from sepo.games.registry import make
from sepo.policies.script import ScriptPolicy
from sepo.report.comparison import markdown, render, write_comparison
from sepo.report.sides import read_sides
from sepo.report.verdicts import comparisons
from sepo.train.seeds import interval

HOSTILE = "<script>alert(1)</script>`|*[x](y)\x1b[31m\u202e"
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def cards(kuhn: Game) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scorecards of an exploitable policy and of another one."""
    options = Options(adversaries=False)
    one, two = (scorecard(ScriptPolicy(f"script:{n}", n), [kuhn], options) for n in ("loose_aggressive", "nash"))
    return one, two


def written(folder: Path, *documents: dict[str, Any]) -> list[str]:
    paths = [folder / f"{index}.json" for index in range(len(documents))]
    for path, document in zip(paths, documents, strict=True):
        path.write_text(json.dumps(document))
    return [str(path) for path in paths]


def compared(folder: Path, *documents: dict[str, Any]) -> dict[str, Any]:
    return comparisons(*read_sides(written(folder, *documents)))


def rows(document: dict[str, Any], game: str = "kuhn") -> dict[str, dict[str, Any]]:
    return {row["figure"]: row for row in document["games"][game]}


def uncertain(card: dict[str, Any], half: float, n: int = 100) -> dict[str, Any]:
    """Return a card whose exploitability is sampled."""
    out = deepcopy(card)
    figure = out["games"]["kuhn"]["exploitability"]
    figure.update(low=figure["value"] - half, high=figure["value"] + half, n=n)
    return out


def test_documents_compare_as_their_files_do(cards: tuple[dict, dict], tmp_path: Path):
    document, again = compared(tmp_path, *cards), comparisons(*read_sides(cards))
    assert [side["source"] for side in again["sides"]] == ["", ""]
    assert {k: v for k, v in again.items() if k != "sides"} == {k: v for k, v in document.items() if k != "sides"}
    both = comparisons(*read_sides([cards[0], cards[0]]))
    assert both["before"] != both["after"]  # no file tells them apart, so a number does


def test_sides_without_a_common_game_are_refused_naming_the_games(cards: tuple[dict, dict]):
    other = deepcopy(cards[1])
    other["games"] = {"leduc": other["games"]["kuhn"]}
    with pytest.raises(InputError, match="share no game: kuhn and leduc"):
        comparisons(*read_sides([cards[0], other]))


def test_an_exact_difference_is_said_exactly_with_unit_and_direction(cards: tuple[dict, dict], tmp_path: Path):
    said = [v["said"] for v in compared(tmp_path, *cards)["verdicts"]]
    assert said[0] == (
        "exploitability: script:nash is less exploitable than script:loose_aggressive, by 0.1667 chips per hand: exact."
    )
    assert any("x (paper): script:nash costs others more" in s and s.endswith("exact, but small.") for s in said)


def test_important_figures_come_first_and_what_is_one_and_the_same_is_said_once(
    cards: tuple[dict, dict], tmp_path: Path
):
    verdicts = compared(tmp_path, *cards)["verdicts"]
    figures = [v["figure"] for v in verdicts if not v["small"]]
    assert figures[:3] == ["exploitability", "worst_case_advantage", "paper.J"]
    named = {v["figure"] for v in verdicts}
    assert "security_gap" not in named  # in Kuhn poker the same as exploitability
    assert "sepo.u" not in named  # the same as paper.u
    assert {row["figure"] for row in compared(tmp_path, *cards)["games"]["kuhn"]} >= {"security_gap", "sepo.u"}


def test_unpaired_samples_are_read_by_their_intervals_and_a_caveat_says_so(cards: tuple[dict, dict], tmp_path: Path):
    wide = compared(tmp_path, uncertain(cards[0], 0.1), uncertain(cards[1], 0.1))
    row = rows(wide)["exploitability"]
    assert (row["reading"], row["better"], row["pairing"]) == ("untold", None, "unpaired")
    assert (row["low"], row["high"]) == pytest.approx((-1 / 6 - 0.2, -1 / 6 + 0.2))
    assert row["said"] == "exploitability: no difference can be told, -0.1667 [-0.3667, +0.0333]."
    assert any("in one command pairs them" in said for said in wide["caveats"])
    narrow = rows(compared(tmp_path, uncertain(cards[0], 0.05), uncertain(cards[1], 0.05)))["exploitability"]
    assert (narrow["reading"], narrow["better"]) == ("better", True)
    assert "[0.0667, 0.2667]: clear." in narrow["said"]


def test_nothing_changed_between_a_scorecard_and_itself(cards: tuple[dict, dict], tmp_path: Path):
    document = compared(tmp_path, cards[0], cards[0])
    assert {row["reading"] for row in document["games"]["kuhn"]} == {"same"}
    assert document["before"] != document["after"]  # told apart by their files
    assert document["caveats"] == []
    assert "the same on" in document["summary"]


@pytest.mark.parametrize(
    ("change", "said", "verdicts"),
    [
        (lambda c: c["games"]["kuhn"].update(rules={"ante": 2}), "other rules: ante none and 2: no verdict", False),
        (
            lambda c: c["games"]["kuhn"]["weights"]["sepo"].update(e=9.0),
            "kuhn, sepo: other weights: e 1.5 and 9.0: no verdict",
            True,
        ),
        (lambda c: c["games"]["kuhn"].update(unit="pence"), "other units: chips per hand and pence: no verdict", False),
        (lambda c: c["versions"].update(numpy="1.0"), "other version of numpy: ", True),
        (lambda c: c["options"].update(budget=7), "other budget: 3000 and 7", True),
        (lambda c: c["games"]["kuhn"]["opponents"].pop(), "other opponents: ", True),
        (lambda c: c["games"]["kuhn"].update(method="sampled"), "other method: exact and sampled", True),
        (
            lambda c: c["games"]["kuhn"].update(prompts={"sha256": "b" * 64}),
            "other prompts: SHA-256 aaaaaa",
            True,
        ),
    ],
)
def test_what_the_sides_differ_in_is_a_caveat_and_no_verdict_where_they_do_not_compare(
    cards: tuple[dict, dict], tmp_path: Path, change: Change, said: str, verdicts: bool
):
    one, two = deepcopy(cards)
    one["games"]["kuhn"]["prompts"] = {"sha256": "a" * 64}
    change(two)
    document = compared(tmp_path, one, two)
    assert any(said in caveat for caveat in document["caveats"]), document["caveats"]
    readings = {row["reading"] for row in document["games"]["kuhn"]}
    assert ("better" in readings) is verdicts
    if "weights" in said:
        assert rows(document)["sepo.J"]["reading"] == "not comparable"
        assert rows(document)["paper.J"]["reading"] == "better"
    if not verdicts:
        assert readings == {"not comparable"}
        assert all(row["better"] is None for row in document["games"]["kuhn"])


def test_several_scorecards_of_one_audit_are_paired(tmp_path: Path):
    game = make("ipd", {"rounds": 4})
    policies = [ScriptPolicy(f"script:{n}", n) for n in ("tit_for_tat", "grim_trigger", "always_defect")]
    options = Options(sets="sepo", method="sampled", episodes=40, adversaries=False)
    document = scorecards([(policy, [game]) for policy in policies], options)
    (path,) = written(tmp_path, document)
    found = comparisons(*read_sides([path]))
    assert (found["schema"], found["from"]) == ("sepo.comparisons/1", "script:tit_for_tat")
    for comparison in found["comparisons"]:
        apart = document["differences"]["of"][comparison["after"]]["ipd"]["sepo"]
        here = rows(comparison, "ipd")
        for key in ("u", "J"):
            row = here[f"sepo.{key}"]
            assert row["pairing"] == "paired by deals"
            assert [row[k] for k in ("difference", "low", "high")] == [apart[key][k] for k in ("value", "low", "high")]
            assert row["high"] - row["low"] <= sum(row[s]["high"] - row[s]["low"] for s in ("before", "after")) + 1e-12
        drawn = [row for name, row in here.items() if row["before"]["n"] is not None]
        assert {"robustness", "held_out", "welfare", "nra", "cooperation_rate"} <= {row["figure"] for row in drawn}
        assert {row["pairing"] for row in drawn} == {"paired by deals"}
        assert here["worst_case_advantage"]["pairing"] == "exact"
        assert comparison["caveats"] == []  # nobody is told to do what was done


def test_what_one_audit_leaves_unpaired_is_named_and_no_remedy(cards: tuple[dict, dict], tmp_path: Path):
    both = [deepcopy(card) for card in cards]
    for card, value in zip(both, (0.5, 0.6), strict=True):
        card["games"]["kuhn"]["legal_mass"] = {"value": value, "low": value - 0.2, "high": value + 0.2, "n": 40}
    of = {"script:nash": {"kuhn": {"paper": {}}}}
    (path,) = written(tmp_path, {"schema": "sepo.scorecards/1", "scorecards": both, "differences": {"of": of}})
    (said,) = comparisons(*read_sides([path]))["caveats"]
    assert said == "kuhn: not paired by deals, so small differences do not show: legal_mass"
    (apart,) = comparisons(*read_sides(written(tmp_path, *both)))["caveats"]
    assert apart.endswith("`sepo audit A B` in one command pairs them, with narrower intervals")


@pytest.mark.parametrize(
    ("half", "n", "pairing", "said"),
    [
        (0.0, None, "exact", "by 0.0833 chips per hand: exact."),
        (0.05, None, "bounds", "by 0.0833 chips per hand [0.0333, 0.1333]: certain."),
        (0.05, 40, "drawn apart", "by 0.0833 chips per hand [0.0333, 0.1333]: clear."),
    ],
)
def test_differences_of_one_audit_that_no_deals_pair_are_exact_or_certain_or_of_draws(
    cards: tuple[dict, dict], tmp_path: Path, half: float, n: int | None, pairing: str, said: str
):
    """Known within bounds, as of a model that was asked about part of a game; or drawn, as of one that writes."""
    both = [deepcopy(card) for card in cards]
    before, after = (card["games"]["kuhn"]["measures"]["paper"]["u"] for card in both)
    for figure in (before, after):
        figure.update(low=figure["value"] - half, high=figure["value"] + half, n=n)
    gap = after["value"] - before["value"]
    of = {"script:nash": {"kuhn": {"paper": {"u": {"value": gap, "low": gap - half, "high": gap + half, "n": None}}}}}
    (path,) = written(tmp_path, {"schema": "sepo.scorecards/1", "scorecards": both, "differences": {"of": of}})
    document = comparisons(*read_sides([path]))
    row = rows(document)["paper.u"]
    assert row["pairing"] == pairing
    assert row["said"].endswith(said)
    assert document["caveats"] == []


def run(folder: Path, far: float, seeds: tuple[int, ...] = (0, 1, 2)) -> Path:
    made_run(folder, [MadeArm("sft", "tight_passive", 0.6, stage="sft"), MadeArm("sepo", "nash", far)], seeds=seeds)
    summary = json.loads((folder / "summary.json").read_text())
    summary["name"] = folder.name
    for arm, stage in zip(summary["arms"], ("sft", "train"), strict=True):
        arm["stage"] = stage
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_the_spread_of_adversaries_is_no_sampling_of_the_audit(cards: tuple[dict, dict], tmp_path: Path):
    one, two = deepcopy(cards)
    for card, rounds in ((one, 64.0), (two, 256.0)):
        figure = {"value": rounds, "low": rounds - 9, "high": rounds + 9, "n": 32, "horizon": 20000}
        card["games"]["kuhn"]["time_to_exploit"] = figure
    document = compared(tmp_path, one, two)
    said = rows(document)["time_to_exploit"]["said"]
    assert said.endswith("takes longer to be exploited than script:loose_aggressive, by 192 rounds [174, 210]: clear.")
    assert document["caveats"] == []


def test_runs_are_paired_by_seed(tmp_path: Path):
    a, b = run(tmp_path / "a", 0.5, (0, 1, 2)), run(tmp_path / "b", 0.9, (1, 2, 3))
    document = comparisons(*read_sides([str(a), str(b)]))
    assert (document["before"], document["after"]) == ("a, sepo", "b, sepo")
    row = rows(document)["exploitability"]
    values = [
        dict(zip(s["arms"][1]["seeds"], s["arms"][1]["last"]["exploitability"]["seeds"], strict=True))
        for s in (json.loads((f / "summary.json").read_text()) for f in (a, b))
    ]
    expected = interval([values[1][seed] - values[0][seed] for seed in (1, 2)])
    assert row["pairing"] == "paired by seed"
    assert [row[k] for k in ("difference", "low", "high")] == pytest.approx(
        [expected[k] for k in ("value", "low", "high")]
    )


def test_runs_that_share_some_seeds_are_compared_over_those(tmp_path: Path):
    a, b, c = run(tmp_path / "a", 0.5, (0, 1, 2)), run(tmp_path / "b", 0.9, (1, 2, 3)), run(tmp_path / "c", 0.9, (0, 1))
    summary = json.loads((a / "summary.json").read_text())
    figure = summary["arms"][1]["last"]["exploitability"]
    figure["high"] += 0.3  # of three seeds' mean, so that of two of them is open by half as much again at most
    (a / "summary.json").write_text(json.dumps(summary))
    document = comparisons(*read_sides([str(a), str(b)]))
    row = rows(document)["exploitability"]
    assert row["paired_seeds"] == [1, 2]
    assert row["before"]["seeds"] == figure["seeds"][1:]
    whole = interval(figure["seeds"][1:])
    assert (row["before"]["value"], row["before"]["n"]) == (whole["value"], 2)
    assert (row["before"]["low"], row["before"]["high"]) == pytest.approx((whole["low"], whole["high"] + 0.45))
    assert row["after"]["value"] - row["before"]["value"] == pytest.approx(row["difference"])
    (said,) = (caveat for caveat in document["caveats"] if "left out" in caveat)
    assert said == "kuhn: paired by seed over seeds 1, 2; left out: seed 0 of a, sepo and seed 3 of b, sepo"
    same = comparisons(*read_sides([f"{a}@sft", str(a)]))
    assert not any("left out" in caveat for caveat in same["caveats"])
    several = comparisons(*read_sides([str(a), str(b), f"{a}@sft", str(c)]))
    page = render(several, "")
    assert "a, sepo stands over the most seeds that it shares" in page
    assert "stands over the most seeds" not in render(document, "")


def test_a_figure_that_some_seeds_lack_gets_no_verdict(tmp_path: Path):
    a, b = run(tmp_path / "a", 0.5), run(tmp_path / "b", 0.9)
    for folder, figure in ((a, interval([704.0, 704.0, 704.0])), (b, interval([128.0]) | {"low": 64.0, "high": 384.0})):
        summary = json.loads((folder / "summary.json").read_text())
        summary["arms"][1]["last"]["time_to_exploit"] = figure
        (folder / "summary.json").write_text(json.dumps(summary))
    row = rows(comparisons(*read_sides([str(a), str(b)])))["time_to_exploit"]
    assert (row["reading"], row["better"]) == ("not comparable", None)
    assert row["said"].endswith("not comparable, known in 1 of 3 seeds of b, sepo.")


def test_pairing_shows_what_unpaired_intervals_hide(tmp_path: Path):
    """Seeds that differ far more than the arms do: the same shift in each."""
    a, b = run(tmp_path / "a", 0.5), run(tmp_path / "b", 0.5)
    for folder, shift in ((a, 0.0), (b, -0.01)):
        summary = json.loads((folder / "summary.json").read_text())
        values = [v + shift for v in (0.1, 0.5, 0.9)]
        summary["arms"][1]["last"]["exploitability"] = interval(values)
        (folder / "summary.json").write_text(json.dumps(summary))
    row = rows(comparisons(*read_sides([str(a), str(b)])))["exploitability"]
    assert row["intervals_apart"] is False
    assert (row["reading"], row["better"]) == ("better", True)
    assert row["difference"] == pytest.approx(-0.01)


def test_what_the_audits_leave_open_widens_the_difference(tmp_path: Path):
    a, b = run(tmp_path / "a", 0.5), run(tmp_path / "b", 0.9)
    before = rows(comparisons(*read_sides([str(a), str(b)])))["exploitability"]
    summary = json.loads((b / "summary.json").read_text())
    summary["arms"][1]["last"]["exploitability"]["high"] += 0.3
    (b / "summary.json").write_text(json.dumps(summary))
    after = rows(comparisons(*read_sides([str(a), str(b)])))["exploitability"]
    assert after["high"] == pytest.approx(before["high"] + 0.3)
    assert after["low"] == pytest.approx(before["low"])


def test_one_seed_tells_nothing(tmp_path: Path):
    a, b = run(tmp_path / "a", 0.5, (0,)), run(tmp_path / "b", 0.9, (0,))
    document = comparisons(*read_sides([str(a), str(b)]))
    assert {row["reading"] for row in document["games"]["kuhn"]} == {"untold"}
    assert any("no way to tell skill from luck" in said for said in document["caveats"])


def test_a_run_alone_is_its_arms_and_an_arm_can_be_named(tmp_path: Path):
    a = run(tmp_path / "a", 0.9)
    document = comparisons(*read_sides([str(a)]))
    assert (document["before"], document["after"]) == ("a, sft", "a, sepo")
    named = comparisons(*read_sides([f"{a}@sepo", f"{a}@sft"]))
    assert (named["before"], named["after"]) == ("a, sepo", "a, sft")
    with pytest.raises(InputError, match="no finished arm 'grpo': it has sft, sepo"):
        read_sides([f"{a}@grpo", str(a)])


def of_auction(folder: Path, measures: str, rules: dict[str, Any], **fields: Any) -> str:
    """Write a run of one arm, each of whose sets was audited by its preset with some rules on top."""
    figure = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 2, "seeds": [0.4, 0.6]}
    last = dict.fromkeys(("paper.J", "sepo.J", "worst_case_advantage"), figure)
    arm = {"name": "sepo", "stage": "train", "seeds": [0, 1]}
    summary = {"schema": "sepo.run/1", "name": folder.name, "game": "auction", "unit": "points per round"}
    summary |= {"rules": dict(make("auction", rules, measures).rules), "measures": measures, "model": "x"}
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(summary | fields | {"arms": [arm | {"last": last}]}))
    return str(folder)


def incomparable(*places: str) -> set[str]:
    found = rows(comparisons(*read_sides(places)), "auction")
    return {name for name, row in found.items() if row["reading"] == "not comparable"}


def test_each_set_of_a_run_has_the_rules_of_its_preset(tmp_path: Path):
    """The paper's run and the other one audit either set by the same rules, whichever they train on."""
    paper, ours = (of_auction(tmp_path / of, of, {}) for of in ("paper", "sepo"))
    costly = of_auction(tmp_path / "costly", "paper", {"overbid_loss": True})
    assert incomparable(paper, ours) == set()
    assert incomparable(paper, costly) == incomparable(ours, costly) == {"paper.J"}
    told = of_auction(tmp_path / "told", "sepo", {"overbid_loss": True}, rules_by_measures={})
    assert incomparable(costly, told) == set()
    assert incomparable(paper, told) == {"paper.J"}
    own = {"paper": dict(make("auction", {}, "paper").rules)}
    assert incomparable(paper, of_auction(tmp_path / "own", "sepo", {}, rules_by_measures=own)) == set()


def test_committed_runs_of_either_rules_are_compared():
    results = Path(__file__).parents[2] / "docs" / "results"
    assert incomparable(*(f"{results / name}@base" for name in ("auction", "auction-sepo"))) == set()


def test_a_run_beside_a_scorecard_is_compared_with_a_caveat(cards: tuple[dict, dict], tmp_path: Path):
    a = run(tmp_path / "a", 0.9)
    document = comparisons(*read_sides([*written(tmp_path, cards[0]), str(a)]))
    assert any("an arm over its seeds beside one policy" in said for said in document["caveats"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.update(schema="sepo.run/9"), "schema must be 'sepo.run/1'"),
        (lambda s: s.pop("arms"), "is not as `sepo run` writes it"),
        (lambda s: s["arms"][1]["last"].update(exploitability=3), "is not as `sepo run` writes it"),
        (lambda s: s["arms"][1]["last"]["exploitability"].update(value="low"), "is not as `sepo run` writes it"),
    ],
)
def test_a_damaged_summary_is_an_error_that_names_it(tmp_path: Path, change: Change, said: str):
    a = run(tmp_path / "a", 0.9)
    summary = json.loads((a / "summary.json").read_text())
    change(summary)
    (a / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(InputError, match=r"summary\.json'") as caught:
        read_sides([str(a), str(a)])
    assert said in str(caught.value)


def hostile(cards: tuple[dict, dict]) -> list[dict[str, Any]]:
    out = []
    for index, card in enumerate(cards):
        card = deepcopy(card)
        card["policy"] = f"{HOSTILE}{index}"
        card["versions"] = {HOSTILE: f"{HOSTILE}{index}"}
        card["options"] = {HOSTILE: f"{HOSTILE}{index}"}
        part = card["games"]["kuhn"]
        part["opponents"][0]["name"] = f"{HOSTILE}{index}"
        part |= {"method": f"{HOSTILE}{index}", "unit": HOSTILE}
        part["measures"][HOSTILE] = {HOSTILE: deepcopy(part["exploitability"])}
        card["games"] |= {HOSTILE: part}
        out.append(card)
    return out


def test_hostile_text_is_text_in_markdown(cards: tuple[dict, dict], tmp_path: Path):
    page = markdown(compared(tmp_path, *hostile(cards)))
    assert not set(page) & set("\x1b\u202e")
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)
    assert "<script" not in html
    assert "<a " not in html
    assert "<em>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;`|*[x](y)\\x1b[31m\\u202e" in html
    for table in html.split("<tbody>")[1:]:
        assert {row.count("<td") for row in table.split("</tbody>")[0].split("<tr>")[1:]} == {5}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.mark.parametrize("context", [{"viewport": DESKTOP}, {"viewport": PHONE, "color_scheme": "dark"}])
def test_the_page_works_in_a_browser_and_sends_nothing(
    browser: Browser, cards: tuple[dict, dict], tmp_path: Path, context: dict[str, Any]
):
    third = uncertain(cards[1], 0.05) | {"policy": "third"}
    page = write_comparison(compared(tmp_path, *cards, third), tmp_path / "page.html")
    with visit(browser, page.as_uri(), **context) as seen:
        charts = seen.page.locator(".chart")
        assert charts.count() == 3  # payoffs; J; shares and rates
        for index in range(charts.count()):
            charts.nth(index).evaluate("chart => chart.scrollIntoView()")
            charts.nth(index).locator(".points path").nth(3).wait_for(state="attached")
        assert seen.page.locator("article.spoken").count() == 2
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        button = seen.page.locator(".legend button").first
        button.focus()
        seen.page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "false"
        assert seen.faults() == []
        assert seen.errors == []
        assert seen.beyond(page.as_uri()) == []


def test_hostile_text_is_text_on_the_page(browser: Browser, cards: tuple[dict, dict], tmp_path: Path):
    page = write_comparison(compared(tmp_path, *hostile(cards)), tmp_path / "page.html")
    with visit(browser, page.as_uri()) as seen:
        alerts: list[str] = []
        seen.page.on("dialog", lambda d: (alerts.append(d.message), d.dismiss()))
        seen.page.reload()
        seen.page.locator(".chart").first.evaluate("chart => chart.scrollIntoView()")
        seen.page.locator(".chart .main-svg").first.wait_for(state="attached")
        text = seen.page.locator("body").inner_text()
        assert "<script>alert(1)</script>`|*[x](y)\\x1b[31m\\u202e0" in text
        assert not set(text) & set("\x1b\u202e")
        ticks = seen.page.locator(".chart .ytick text").all_text_contents()
        assert any(tick.startswith("<script>alert(1)") for tick in ticks), ticks
        assert alerts == []
        assert seen.errors == []
        assert seen.faults() == []
        assert seen.page.locator("body script").count() == 2 + seen.page.locator("figure").count()


def test_the_page_needs_plotly_and_a_file(cards: tuple[dict, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    document = compared(tmp_path, *cards)
    assert "plotly" in render(document, "/* plotly */")
    with pytest.raises(InputError, match="is a folder"):
        write_comparison(document, tmp_path)
