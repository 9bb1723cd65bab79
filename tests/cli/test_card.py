"""``sepo card``: a page for people and a document that holds all it takes to make it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from sepo.audit.prompts import prompts, questions
from sepo.games.registry import make
from tests.conftest import Finished
from tests.models import tiny_model
from tests.server import Server, served

Program = Callable[..., Finished]
HOSTILE = "<script>alert(1)</script>|`*_\x1b[31m\u202e"


@pytest.fixture(scope="module")
def card(sepo: Program) -> dict[str, Any]:
    return sepo("card", "script:loose_aggressive", "--game", "kuhn", "--json").document


def test_a_card_holds_the_scorecard_and_what_it_takes_to_recompute_it(sepo: Program, card: dict[str, Any]):
    audit = sepo("audit", "script:loose_aggressive", "--game", "kuhn", "--json").document
    assert (card["schema"], card["kind"], card["seed"]) == ("sepo.card/1", "script", 0)
    part, audited = card["games"]["kuhn"], audit["games"]["kuhn"]
    assert {key: part[key] for key in audited} == audited
    assert set(part) - set(audited) == {"prompts", "definitions"}
    assert part["definitions"] == {"paper": {"e": "advantage"}, "sepo": {"e": "exploitability"}}
    assert card["options"] == audit["options"]
    assert "date" not in card


def test_its_command_makes_the_same_card(sepo: Program, tmp_path: Path):
    asked = ("script:grim_trigger", "--game", "ipd", "--rule", "rounds=4", "--measures", "sepo", "--seed", "3")
    asked += ("--method", "sampled", "--episodes", "20", "--no-control", "--opponent", "always_defect")
    asked += ("--no-adversaries",)
    card = sepo("card", *asked, "--json").document
    program, *words = shlex.split(card["command"])
    assert program == "sepo"
    assert sepo(*words, "--json").document == card
    assert card["games"]["ipd"]["rules"]["rounds"] == 4
    assert "time_to_exploit" not in card["games"]["ipd"]


def test_a_scorecard_gives_the_same_card_as_its_policy(sepo: Program, card: dict[str, Any], tmp_path: Path):
    path = tmp_path / "scorecard.json"
    sepo("audit", "script:loose_aggressive", "--game", "kuhn", "--out", path)
    assert sepo("card", path, "--json").document == card


@pytest.mark.parametrize(
    "options", [("--wording", "renamed"), ("--budget", "3000"), ("--seed", "0", "--no-control"), ("--game", "kuhn")]
)
def test_a_scorecard_takes_no_option_of_an_audit(sepo: Program, tmp_path: Path, options: tuple[str, ...]):
    path = tmp_path / "scorecard.json"
    sepo("audit", "script:loose_aggressive", "--game", "kuhn", "--out", path)
    done = sepo("card", path, *options, "--json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("sepo: a scorecard says itself how it was made: ")
    assert all(option.removeprefix("--no-") in done.err for option in options if option.startswith("--"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.pop("seed"), "'seed' must be"),
        (lambda c: c.update(seed=None), "'seed' must be"),
        (lambda c: c.pop("versions"), "'versions' must be"),
        (lambda c: c.update(wording=["renamed"]), "'wording' must be"),
        (lambda c: c.update(about=None), "'about' must be"),
        (lambda c: c["games"]["kuhn"].pop("unit"), "'unit' must be"),
        (lambda c: c["games"]["kuhn"].pop("method"), "'method' must be"),
        (lambda c: c["games"]["kuhn"].pop("rules"), "'rules' must be"),
        (lambda c: c["games"]["kuhn"].update(states="all"), "'states' must"),
        (lambda c: c["games"]["kuhn"].update(opponents=[{}]), "every opponent must"),
        (lambda c: c["games"]["kuhn"].update(weights=None), "'weights' must"),
    ],
)
def test_a_scorecard_that_lacks_what_a_card_tells_is_one_line(
    sepo: Program, tmp_path: Path, change: Callable[[dict[str, Any]], Any], said: str
):
    path = tmp_path / "scorecard.json"
    document = sepo("audit", "script:loose_aggressive", "--game", "kuhn", "--json").document
    change(document)
    path.write_text(json.dumps(document))
    done = sepo("card", path)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_the_card_of_a_servers_scorecard_asks_nobody(
    sepo: Program, tmp_path: Path, card: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "scorecard.json"
    document = sepo("audit", "script:loose_aggressive", "--game", "kuhn", "--json").document
    with served(Server()) as server:
        path.write_text(json.dumps(document | {"policy": f"openai:m@{server.url}"}))
        made = sepo("card", path, "--json").document
        assert server.calls == []
    assert sepo("card", path, "--json").document == made  # also when the server is gone
    assert made["fingerprint"] is None
    assert made["games"] == card["games"]


def test_a_scorecard_that_does_not_say_how_it_was_made_is_refused(sepo: Program, tmp_path: Path):
    path = tmp_path / "scorecard.json"
    document = sepo("audit", "script:always_bet", "--json").document
    del document["options"]
    path.write_text(json.dumps(document))
    done = sepo("card", path)
    assert (done.code, done.out) == (2, "")
    assert "does not say how it was made" in done.err


def test_the_command_of_a_scorecard_without_adversaries_makes_its_card(sepo: Program, tmp_path: Path):
    path = tmp_path / "scorecard.json"
    sepo("audit", "script:loose_aggressive", "--game", "kuhn", "--no-adversaries", "--out", path)
    card = sepo("card", path, "--json").document
    assert sepo(*shlex.split(card["command"])[1:], "--json").document == card


def test_the_page_has_every_known_figure_with_its_meaning_and_the_digests(sepo: Program, card: dict[str, Any]):
    page = sepo("card", "script:loose_aggressive", "--game", "kuhn").out
    for said in (
        "| exploitability | 0.1667 | exact | lower | what a best-responding opponent wins beyond the game's value |",
        "| J (paper) | -1.1718 | exact | higher |",
        card["games"]["kuhn"]["prompts"]["sha256"],
        card["command"],
        "`max_exploiter`",
    ):
        assert said in page


@pytest.mark.parametrize(("out", "stem"), [("folder", "folder/safety-card"), ("a.md", "a"), ("b.json", "b")])
def test_both_files_are_written_whatever_is_named(sepo: Program, tmp_path: Path, out: str, stem: str):
    done = sepo("card", "script:loose_aggressive", "--game", "kuhn", "--out", tmp_path / out, "--date", "2026-01-31")
    assert (done.code, done.out) == (0, "")
    assert json.loads((tmp_path / f"{stem}.json").read_text())["date"] == "2026-01-31"
    assert "| date | 2026-01-31 |" in (tmp_path / f"{stem}.md").read_text().replace("&#45;", "-")


def test_a_table_has_a_fingerprint_of_its_rows_and_not_of_its_place(sepo: Program, loose: dict, tmp_path: Path):
    found = []
    for name, p in (("a", 0.0), ("b", 0.0), ("c", 0.01)):
        path = tmp_path / f"{name}.json"
        loose["table"]["Q:b"] = {"FOLD": p, "CALL": 1 - p}
        path.write_text(json.dumps(loose, indent=len(found)))
        found.append(sepo("card", f"table:{path}", "--json").document["fingerprint"]["sha256"])
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("human", "--game", "kuhn"), "a person's figures cannot be recomputed"),
        (("nash",), "no POLICY that can be loaded again"),
        (("script:nash", "--date", "tomorrow"), "--date takes a day"),
        (("script:nash", "--wording", "renamed"), "--wording is for language models"),
        (("absent.json",), "no scorecard at 'absent.json'"),
    ],
)
def test_bad_input_is_one_line(sepo: Program, arguments: tuple[str, ...], said: str):
    done = sepo("card", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_hostile_text_is_shown_as_text_in_markdown(card: dict[str, Any]):
    from sepo.report.safety import markdown

    hostile = json.loads(json.dumps(card))
    hostile |= {"policy": HOSTILE, "command": HOSTILE, "about": {HOSTILE: HOSTILE}, "date": HOSTILE}
    part = hostile["games"]["kuhn"]
    part |= {"unit": HOSTILE, "method": HOSTILE, "rules": {HOSTILE: HOSTILE}}
    part["opponents"][0] |= {"name": HOSTILE, "pool": HOSTILE}
    page = markdown(hostile)
    assert "\x1b" not in page
    assert "\u202e" not in page
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)
    assert "<script" not in html
    assert "<em>" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;|`*_\\x1b[31m\\u202e") >= 8
    figures, provenance = (part.split("</tbody>")[0] for part in html.split("<tbody>")[1:])
    assert {row.count("<td") for row in figures.split("<tr>")[1:]} == {5}
    assert {row.count("<td") for row in provenance.split("<tr>")[1:]} == {2}


def test_prompts_of_a_small_game_are_all_its_information_states(kuhn):
    found, whole = questions(kuhn)
    assert whole
    assert len(found) == 12
    assert prompts([kuhn])["decisions"] == 12


def test_the_digest_of_prompts_changes_with_rules_wording_and_style_and_with_nothing_else():
    game = make("ipd", {"rounds": 8})
    digest = prompts([game])["sha256"]
    assert prompts([game, game])["sha256"] == digest
    others = [
        prompts([make("ipd", {"rounds": 7})]),
        prompts([game], "renamed"),
        prompts([game], "paraphrase-1"),
        prompts([game], reasoned=True),
        prompts([make("kuhn")]),
    ]
    assert len({digest, *(o["sha256"] for o in others)}) == 6


def test_a_long_game_is_sampled_to_its_last_round():
    game = make("ipd")
    found, whole = questions(game)
    assert not whole
    assert max(len(d.chat()) for d in found) == 2 * game.rounds  # the rules, then a question and an answer a round


def test_a_models_fingerprint_is_of_what_makes_its_answers(tmp_path: Path):
    import shutil

    from sepo.lm.identity import contents

    reference = tiny_model(tmp_path / "model")
    digest = contents(reference)
    shutil.copytree(tmp_path / "model", tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("a card")
    (tmp_path / "copy" / "safety-card.json").write_text("{}")
    assert contents(f"hf:{tmp_path / 'copy'}") == digest
    weights = next((tmp_path / "copy").glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert contents(f"hf:{tmp_path / 'copy'}") not in (digest, None)
    assert contents(f"hf:{tmp_path / 'absent'}") is None


def test_a_scorecard_of_a_policy_that_has_changed_since_is_refused(sepo: Program, loose: dict, tmp_path: Path):
    path, scorecard = tmp_path / "table.json", tmp_path / "scorecard.json"
    path.write_text(json.dumps(loose))
    made = sepo("audit", f"table:{path}", "--no-adversaries", "--json", "--out", scorecard).document
    card = sepo("card", scorecard, "--json").document
    assert card["fingerprint"] == made["fingerprint"]
    assert card == sepo("card", f"table:{path}", "--no-adversaries", "--json").document
    path.write_text(json.dumps(loose | {"about": {"note": "the same rows"}}))
    assert sepo("card", scorecard).code == 0
    path.write_text(json.dumps(loose | {"table": loose["table"] | {"Q:b": {"FOLD": 0.5, "CALL": 0.5}}}))
    done = sepo("card", scorecard)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"scorecard '{scorecard}': 'table:{path}' has changed since it was audited" in done.err
    del made["fingerprint"]  # as older versions wrote it
    scorecard.write_text(json.dumps(made))
    assert sepo("card", scorecard, "--json").document["fingerprint"] != card["fingerprint"]
    for wrong in ("x", {"sha256": 1, "of": "it"}, {"sha256": "x"}):
        scorecard.write_text(json.dumps(made | {"fingerprint": wrong}))
        done = sepo("card", scorecard)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "'fingerprint' must" in done.err


def test_a_scorecard_of_a_model_that_has_changed_since_is_refused(
    sepo: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "cache"))
    reference, scorecard = tiny_model(tmp_path / "model"), tmp_path / "scorecard.json"
    options = ("--game", "kuhn", "--no-adversaries", "--out", scorecard)
    for _ in range(2):  # the second time from what was kept
        made = sepo("audit", reference, *options, "--json").document
        assert sepo("card", scorecard, "--json").document["fingerprint"] == made["fingerprint"]
    tiny_model(tmp_path / "model", seed=1)
    done = sepo("card", scorecard)
    assert done.code == 2
    assert f"'{reference}' has changed since it was audited" in done.err
    changed = sepo("audit", reference, *options, "--json").document
    assert changed["fingerprint"] != made["fingerprint"]
    assert sepo("card", scorecard, "--json").document["fingerprint"] == changed["fingerprint"]
