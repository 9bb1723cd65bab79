"""``sepo verify`` accepts an honest card and names the first figure of a doctored one."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from sepo.audit.compare import figures
from sepo.audit.verify import EXACT, MODEL, compared
from sepo.games.base import Game
from tests.conftest import Finished
from tests.models import ASKED, tiny_model
from tests.server import Server, by_seed, served
from tests.writers import TableWriter, random_table

Program = Callable[..., Finished]
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def honest(sepo: Program) -> dict[str, Any]:
    return sepo("card", "script:loose_aggressive", "--game", "kuhn", "--json").document


def written(card: dict[str, Any], folder: Path) -> Path:
    path = folder / "card.json"
    path.write_text(json.dumps(card))
    return path


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every number."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from leaves(inner, (*path, key))
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def at(card: dict[str, Any], path: tuple[Any, ...]) -> Any:
    for key in path:
        card = card[key]
    return card


@pytest.mark.parametrize(
    "arguments",
    [
        ("script:loose_aggressive", "--game", "kuhn"),
        ("uniform", "--game", "kuhn", "--game", "ipd"),
        ("script:tit_for_tat", "--game", "ipd", "--method", "sampled", "--episodes", "30", "--measures", "paper"),
        ("script:uniform", "--game", "auction"),
    ],
    ids=["exact", "two games", "sampled", "rules by measures"],
)
def test_an_honest_card_holds(sepo: Program, tmp_path: Path, arguments: tuple[str, ...]):
    sepo("card", *arguments, "--out", tmp_path)
    done = sepo("verify", tmp_path / "safety-card.json")
    assert (done.code, done.out.split(":")[0]) == (0, "holds")
    assert "note:" not in done.out
    assert sepo("verify", tmp_path / "safety-card.md").code == 0


def test_every_number_of_a_card_is_held_to_its_recomputation(honest: dict[str, Any]):
    paths = list(leaves(honest["games"], ("games",)))
    assert len(paths) > 150
    for path in paths:
        doctored = deepcopy(honest)
        value = at(honest, path)
        at(doctored, path[:-1])[path[-1]] += 1e-7 * max(1.0, abs(value)) if isinstance(value, float) else 1
        found, _ = compared(doctored, honest, EXACT)
        assert found, path
        assert found[0].card == at(doctored, path) or "prompts" in path
    assert compared(honest, honest, EXACT) == ([], [])


def test_the_figure_that_differs_is_named_with_both_values(honest: dict[str, Any]):
    part = honest["games"]["kuhn"]
    for name, figure in figures(part):
        for end in ("value", "low", "high"):
            doctored = deepcopy(honest)
            of, _, key = name.rpartition(".")
            row = doctored["games"]["kuhn"]["measures"][of] if of else doctored["games"]["kuhn"]
            row[key][end] = figure[end] - 0.01
            (found,) = compared(doctored, honest, EXACT)[0]
            assert found.where == f"kuhn: {name}, {end}"
            assert (found.card, found.found) == (figure[end] - 0.01, figure[end])


def better_figure(card: dict[str, Any]) -> None:
    card["games"]["kuhn"]["exploitability"] |= {"value": 0.01, "low": 0.01, "high": 0.01}


def narrower(card: dict[str, Any]) -> None:
    card["games"]["kuhn"]["time_to_exploit"]["low"] = 700.0


def other_prompts(card: dict[str, Any]) -> None:
    card["games"]["kuhn"]["prompts"]["sha256"] = "0" * 64


def less_told(card: dict[str, Any]) -> None:
    del card["games"]["kuhn"]["worst_case_advantage"]


def more_told(card: dict[str, Any]) -> None:
    card["games"]["kuhn"]["welfare"] = {"value": 1.0, "low": 1.0, "high": 1.0, "n": None}


def friendlier(card: dict[str, Any]) -> None:
    card["games"]["kuhn"]["opponents"][0]["name"] = "gentle"


def other_command(card: dict[str, Any]) -> None:
    card["command"] = "sepo card script:nash"


def other_definition(card: dict[str, Any]) -> None:
    card["games"]["kuhn"]["definitions"]["sepo"]["e"] = "regret"


def other_policy(card: dict[str, Any]) -> None:
    card["policy"] = "script:nash"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (better_figure, ("kuhn: exploitability, value: the card says 0.01, found is 0.1666",)),
        (narrower, ("kuhn: time_to_exploit, low: the card says 700.0, found is 640",)),
        (other_prompts, ("prompts of kuhn: the card says 0000", "found is 3018")),
        (less_told, ("kuhn: worst_case_advantage: the card says nothing, found is {",)),
        (more_told, ("kuhn: welfare: the card says {", "found is nothing")),
        (friendlier, ("kuhn: opponents nash_approx name: the card says gentle, found is nash_approx",)),
        (other_command, ("command: the card says sepo card script:nash, found is sepo card script:loose",)),
        (other_definition, ("definitions of kuhn",)),
        (other_policy, ("command:", "the first figure that differs is kuhn: paper.u, value")),
    ],
)
def test_a_doctored_card_does_not_hold(
    sepo: Program, honest: dict[str, Any], tmp_path: Path, change: Change, said: tuple[str, ...]
):
    doctored = deepcopy(honest)
    change(doctored)
    done = sepo("verify", written(doctored, tmp_path))
    assert done.code == 1
    assert done.out.startswith("does not hold: ")
    for words in said:
        assert words in done.out


def test_a_rule_that_was_changed_shows_in_the_prompts_and_in_the_figures(sepo: Program, tmp_path: Path):
    card = sepo("card", "script:tit_for_tat", "--game", "ipd", "--rule", "rounds=4", "--json").document
    card["games"]["ipd"]["rules"]["rounds"] = 3
    done = sepo("verify", written(card, tmp_path), "--json")
    assert done.code == 1
    wheres = [d["where"] for d in done.document["differences"]]
    assert wheres[0] == "command"
    assert "prompts of ipd" in wheres
    assert any(where.startswith("ipd: ") for where in wheres)


def test_a_table_that_was_changed_behind_its_card(sepo: Program, loose: dict[str, Any], tmp_path: Path):
    path = tmp_path / "table.json"
    path.write_text(json.dumps(loose))
    sepo("card", f"table:{path}", "--out", tmp_path / "a.json")
    assert sepo("verify", tmp_path / "a.json").code == 0
    moved = tmp_path / "elsewhere.json"
    path.rename(moved)
    assert sepo("verify", tmp_path / "a.json").code == 2
    done = sepo("verify", tmp_path / "a.json", "--policy", f"table:{moved}")
    assert done.code == 0
    assert "note: audited as" in done.out
    loose["table"]["Q:b"] = {"FOLD": 0.6, "CALL": 0.4}
    moved.write_text(json.dumps(loose))
    done = sepo("verify", tmp_path / "a.json", "--policy", f"table:{moved}")
    assert done.code == 1
    assert "does not hold: fingerprint of the policy" in done.out
    assert "the first figure that differs is kuhn: " in done.out


def test_a_policy_without_the_fingerprint_of_the_card_is_another_policy(
    sepo: Program, loose: dict[str, Any], tmp_path: Path
):
    path = tmp_path / "table.json"
    path.write_text(json.dumps(loose))
    sepo("card", f"table:{path}", "--out", tmp_path / "a.json")
    done = sepo("verify", tmp_path / "a.json", "--policy", "script:loose_aggressive")
    assert done.code == 1
    assert "does not hold: fingerprint of the policy" in done.out


def test_a_card_of_another_version_may_lack_what_this_one_adds(honest: dict[str, Any]):
    old = deepcopy(honest)
    del old["games"]["kuhn"]["robustness"]
    assert [d.where for d in compared(old, honest, EXACT)[0]] == ["kuhn: robustness"]
    old["versions"]["sepo"] = "0.0.1"
    differences, notes = compared(old, honest, EXACT)
    assert differences == []
    assert any("was 0.0.1" in note for note in notes)
    old["games"]["kuhn"]["exploitability"]["value"] = 0.0
    assert [d.where for d in compared(old, honest, EXACT)[0]] == ["kuhn: exploitability, value"]


def test_a_table_for_other_rules_does_not_hold_and_says_which(sepo: Program, tmp_path: Path):
    path = tmp_path / "table.json"
    sepo("elicit", "script:tit_for_tat", "--game", "ipd", "--rule", "rounds=3", "--out", path)
    sepo("card", f"table:{path}", "--out", tmp_path / "card.json")
    sepo("elicit", "script:tit_for_tat", "--game", "ipd", "--rule", "rounds=2", "--out", path)
    done = sepo("verify", tmp_path / "card.json")
    assert done.code == 1
    assert "rules of ipd: the card says" in done.out


def test_a_doctored_page_beside_an_honest_card(sepo: Program, tmp_path: Path):
    sepo("card", "script:loose_aggressive", "--game", "kuhn", "--out", tmp_path)
    page = tmp_path / "safety-card.md"
    page.write_text(page.read_text().replace("0.1667", "0.0167", 1))
    for file in ("safety-card.md", "safety-card.json"):
        done = sepo("verify", tmp_path / file)
        assert done.code == 1
        assert "does not hold: Markdown of the card, safety-card.md" in done.out
    card = json.loads((tmp_path / "safety-card.json").read_text())
    card["versions"]["sepo"] = "0.0.1"
    (tmp_path / "safety-card.json").write_text(json.dumps(card))
    done = sepo("verify", tmp_path / "safety-card.md")
    assert done.code == 0
    assert "note: safety-card.md is not what this version of sepo writes" in done.out
    page.unlink()
    assert sepo("verify", tmp_path / "safety-card.json").code == 0
    assert sepo("verify", page).code == 2


def test_versions_and_date_are_no_reason_not_to_hold(sepo: Program, honest: dict[str, Any], tmp_path: Path):
    card = honest | {"versions": honest["versions"] | {"numpy": "1.0"}, "date": "2020-02-02"}
    done = sepo("verify", written(card, tmp_path))
    assert done.code == 0
    assert "was 1.0" in done.out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(schema="sepo.card/9"), "no safety card"),
        (lambda c: c.update(policy="human"), "cannot be recomputed"),
        (lambda c: c.update(kind="model"), "'kind' must be 'script'"),
        (lambda c: c["options"].update(method="luck"), "option 'method'"),
        (lambda c: c["options"].update(patience=3), "option 'patience'"),
        (lambda c: c.pop("options"), "option 'options'"),
        (lambda c: c.update(seed="0"), "'seed' must be a whole number"),
        (lambda c: c.update(games={}), "has no game"),
        (lambda c: c["games"]["kuhn"].pop("prompts"), "'prompts' must be an object"),
        (lambda c: c["games"]["kuhn"].update(rules={"ante": 2}), "unknown rule 'ante'"),
        (lambda c: c["games"].update(chess=c["games"]["kuhn"]), "unknown game 'chess'"),
        (lambda c: c["games"]["kuhn"]["exploitability"].update(value=float("nan")), "lacks a number"),
    ],
)
def test_a_malformed_card_is_exit_code_two(
    sepo: Program, honest: dict[str, Any], tmp_path: Path, change: Change, said: str
):
    card = deepcopy(honest)
    change(card)
    done = sepo("verify", written(card, tmp_path))
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_scorecard_is_no_card(sepo: Program, tmp_path: Path):
    path = tmp_path / "scorecard.json"
    sepo("audit", "script:always_bet", "--out", path)
    done = sepo("verify", path)
    assert done.code == 2
    assert "is no safety card: its schema is 'sepo.scorecard/1'" in done.err


def test_a_hostile_card_sends_nothing_to_the_terminal(sepo: Program, honest: dict[str, Any], tmp_path: Path):
    hostile = "\x1b[2J\u202e\x9b31m[bold]"
    card = deepcopy(honest)
    card["games"]["kuhn"] |= {"method": hostile, "unit": hostile}
    card["versions"] |= {hostile: hostile}
    card["command"] = hostile
    for flags in ((), ("--json",)):
        done = sepo("verify", written(card, tmp_path), *flags)
        assert done.code == 1
        assert not set(done.out) & set("\x1b\u202e\x9b")
    assert "\\x1b[2J\\u202e\\x9b31m[bold]" in sepo("verify", written(card, tmp_path)).out
    card["policy"] = f"table:{hostile}"
    card["kind"] = "table"
    done = sepo("verify", written(card, tmp_path))
    assert done.code == 2
    assert not set(done.err) & set("\x1b\u202e\x9b")


def test_a_model_is_asked_anew_and_its_card_names_weights_that_changed(
    sepo: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "cache"))
    reference = tiny_model(tmp_path / "model")
    sepo("card", reference, "--game", "kuhn", "--out", tmp_path)
    card = tmp_path / "safety-card.json"
    kept = list((tmp_path / "cache" / "answers").glob("*.json"))
    assert kept  # the audit keeps its answers, doctored here: what is verified is the model, not the kept answers
    for path in kept:
        document = json.loads(path.read_text())
        for row in document["answers"].values():
            row[2] = row[2][::-1]
        path.write_text(json.dumps(document))
    done = sepo("verify", card)
    assert (done.code, done.out[:6]) == (0, "holds:")
    assert "1e-04" in done.out or "0.0001" in done.out
    assert sepo("verify", card, "--kept").code == 1
    tiny_model(tmp_path / "model", seed=1)
    done = sepo("verify", card)
    assert done.code == 1
    assert "fingerprint of the policy" in done.out
    assert "the first figure that differs is kuhn: paper.u" in done.out


def test_a_card_says_how_a_models_template_was_asked_and_is_verified_so(
    sepo: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "cache"))
    reference, asked = tiny_model(tmp_path / "model", template=ASKED), '{"manner": "aloud"}'
    path = tmp_path / "safety-card.json"
    sepo("card", reference, "--game", "kuhn", "--no-adversaries", "--template", asked, "--out", tmp_path)
    card = json.loads(path.read_text())
    assert card["options"]["asking"]["template"] == {"manner": "aloud"}
    assert f"--template {shlex.quote(asked)}" in card["command"]
    (said,) = [line for line in (tmp_path / "safety-card.md").read_text().splitlines() if line.startswith("| asked |")]
    assert "template" in said
    assert "aloud" in said
    assert sepo("verify", path).code == 0
    del card["options"]["asking"]["template"], card["model"]["template"]
    path.write_text(json.dumps(card))
    done = sepo("verify", path)
    assert (done.code, "differs is kuhn" in done.out) == (1, True)


def test_a_models_figures_hold_within_what_machines_differ_by(honest: dict[str, Any]):
    card = deepcopy(honest) | {"kind": "model"}
    card["games"]["kuhn"]["exploitability"]["value"] += MODEL / 2
    card["games"]["kuhn"]["robustness"] |= {"low": -0.2, "high": 0.0, "n": 400}
    again = deepcopy(card)
    card["games"]["kuhn"]["robustness"]["value"] += 0.009  # less than a tenth of the half-width, 0.1
    assert compared(card, again, MODEL)[0] == []
    card["games"]["kuhn"]["robustness"]["value"] += 0.002
    assert [d.where for d in compared(card, again, MODEL)[0]] == ["kuhn: robustness, value"]
    card["games"]["kuhn"]["exploitability"]["value"] += 2 * MODEL
    assert compared(card, again, MODEL)[0][0].where == "kuhn: exploitability, value"


def test_a_server_that_a_card_names_is_asked_only_where_the_user_names_it(
    sepo: Program, kuhn: Game, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "the user's own")
    with served(Server(by_seed(TableWriter(kuhn, random_table(kuhn, 3))))) as server:
        policy = f"openai:nobody/knows@{server.url}"
        asked = ("--game", "kuhn", "--style", "reasoned", "--samples", 2, "--no-control", "--out")
        assert sepo("audit", policy, *asked, tmp_path / "scorecard.json").code == 0
        before = len(server.calls)
        assert sepo("card", tmp_path / "scorecard.json", "--out", tmp_path).code == 0
        monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "elsewhere"))
        done = sepo("verify", tmp_path / "safety-card.json")
        assert (done.code, done.out) == (2, "")
        assert done.err == f"sepo: the card names the server '{server.url}': say --policy {policy} to ask it\n"
        assert len(server.calls) == before
        done = sepo("verify", tmp_path / "safety-card.json", "--policy", policy)
        assert done.code == 0, done
        assert len(server.calls) > before


@pytest.mark.no_cover
def test_a_card_of_a_model_that_writes_in_a_wording_says_how_it_was_asked_and_holds(sepo: Program, tmp_path: Path):
    reference = tiny_model(tmp_path / "model")
    asked = ("--style", "reasoned", "--samples", 2, "--tokens", 3, "--retries", 0, "--illegal", "random")
    asked += ("--wording", "renamed", "--no-adversaries")
    done = sepo("card", reference, "--game", "kuhn", *asked, "--json")
    assert done.code == 0, done.err
    card = done.document
    assert card["games"]["kuhn"]["method"] == "estimated"
    assert "--style reasoned" in card["command"]
    assert "--wording renamed" in card["command"]
    done = sepo("verify", written(card, tmp_path))
    assert done.code == 0, (done.out, done.err)
