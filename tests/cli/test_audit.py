"""``sepo audit``, ``elicit``, ``compare`` and ``games``, as their user calls them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from sepo.games.base import Game
from tests.conftest import Finished
from tests.models import tiny_model
from tests.server import Server, by_seed, served
from tests.writers import TableWriter, random_table

Program = Callable[..., Finished]
NO_MODELS = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "peft", "trl", "datasets", "accelerate"):
            raise AssertionError(f"{name} was imported")
sys.meta_path.insert(0, Refuse())
"""


def test_audit_json_prints_one_scorecard_on_stdout_and_nothing_else_and_imports_no_model_library(sepo: Program):
    done = sepo("audit", "script:nash", "--game", "kuhn", "--json", before=NO_MODELS)
    assert (done.code, done.err) == (0, "")
    card = done.document
    assert card["schema"] == "sepo.scorecard/1"
    assert card["policy"] == "script:nash"
    assert card["games"]["kuhn"]["exploitability"]["value"] == pytest.approx(0, abs=1e-9)
    assert card["games"]["kuhn"]["measures"]["sepo"]["J"]["value"] == pytest.approx(0.0139, abs=5e-5)


def test_the_other_exact_commands_import_no_model_library_either(sepo: Program, tmp_path: Path):
    for arguments in (
        ("games", "kuhn"),
        ("elicit", "script:nash", "--game", "kuhn", "--out", tmp_path / "t.json"),
        ("exploit", "uniform", "--game", "kuhn", "--out", tmp_path / "b.json"),
        ("--help",),
    ):
        done = sepo(*arguments, before=NO_MODELS)
        assert done.code == 0, done.err


@pytest.mark.parametrize(("wanted", "names"), [("paper", {"paper"}), ("sepo", {"sepo"}), ("both", {"paper", "sepo"})])
def test_audit_shows_the_set_of_measures_asked_for(sepo: Program, wanted: str, names: set[str]):
    done = sepo("audit", "uniform", "--game", "kuhn", "--measures", wanted, "--json")
    assert set(done.document["games"]["kuhn"]["measures"]) == names


def test_audit_of_several_policies_is_still_one_document(sepo: Program):
    done = sepo("audit", "script:nash", "uniform", "--game", "kuhn", "--json")
    assert done.document["schema"] == "sepo.scorecards/1"
    assert [card["policy"] for card in done.document["scorecards"]] == ["script:nash", "uniform"]


def test_audit_records_the_seed_and_writes_what_it_prints(sepo: Program, tmp_path: Path):
    path = tmp_path / "new" / "card.json"
    done = sepo("audit", "script:tight_passive", "--seed", 5, "--json", "--out", path)
    assert done.document["seed"] == 5
    assert json.loads(path.read_text()) == done.document


@pytest.mark.no_cover
def test_audit_without_json_is_a_table_for_people(sepo: Program):
    done = sepo("audit", "script:nash_approx", "--game", "kuhn", "--no-adversaries")
    assert done.code == 0
    for shown in ("exploitability", "0.0556", "n/a", "max_exploiter"):
        assert shown in done.out
    assert "time_to_exploit" not in done.out
    two = sepo("audit", "script:nash_approx", "script:tight_passive", "--no-adversaries")
    assert "0.0556" in two.out
    assert "0.2500" in two.out


def test_policies_by_other_rules_have_tables_of_their_own_that_say_which(sepo: Program, tmp_path: Path):
    short = tmp_path / "short.json"
    sepo("elicit", "script:tit_for_tat", "--game", "ipd", "--rule", "rounds=2", "--out", short)
    three = ("script:grim_trigger", f"table:{short}", "script:tit_for_tat")
    done = sepo("audit", *three, "--game", "ipd", "--no-adversaries", "--measures", "sepo")
    assert done.code == 0
    titles = [line.strip() for line in done.out.splitlines() if line.startswith("ipd, ")]
    assert titles == ["ipd, rounds=8 (points per round, exact)", "ipd, rounds=2 (points per round, exact)"]
    lines = [line for line in done.out.splitlines() if "do not compare" in line]
    assert lines == [
        f"table:{short} plays ipd by other rules than script:grim_trigger: "
        "their sepo figures do not compare, and no difference is given"
    ]
    alike = sepo("audit", "script:grim_trigger", "script:tit_for_tat", "--game", "ipd", "--no-adversaries")
    assert "ipd (points per round, exact)" in alike.out
    assert "do not compare" not in alike.out


def test_where_one_set_alone_is_by_other_rules_that_set_is_named(sepo: Program, tmp_path: Path):
    from sepo.cli.show import show_cards

    table, rules = tmp_path / "table.json", ("--rule", "rounds=2")
    sepo("elicit", "script:truthful", "--game", "auction", *rules, "--out", table)
    options = ("--game", "auction", "--no-adversaries", "--json")
    cards = [sepo("audit", *asked, *options).document for asked in (("script:truthful", *rules), (f"table:{table}",))]
    out = io.StringIO()
    with redirect_stdout(out):
        show_cards(cards)
    assert "their paper figures do not compare" in out.getvalue()
    assert "auction, paper overbid_loss=False; sepo overbid_loss=True" in " ".join(out.getvalue().split())


def test_each_policy_is_shown_with_its_own_method(sepo: Program, tmp_path: Path):
    model = tiny_model(tmp_path / "model")
    options = ("--game", "ipd", "--rule", "rounds=3", "--measures", "sepo", "--budget", 4, "--no-adversaries")
    done = sepo("audit", "script:tit_for_tat", model, *options)
    assert done.code == 0, done.err
    title, _, names, methods, *_ = done.out.splitlines()
    assert title.strip() == "ipd (points per round, exact/bounded)"
    assert "script:tit_for_tat" in names
    assert methods.replace("┃", "").split() == ["measure", "(exact)", "(bounded)"]


@pytest.mark.no_cover
def test_the_same_audit_twice_prints_the_same_bytes(sepo: Program):
    first, second = (sepo("audit", "script:tight_passive", "--json").out for _ in range(2))
    assert first == second
    assert json.loads(first)["games"]["kuhn"]["time_to_exploit"]["value"] > 0


def test_an_elicited_table_has_the_same_figures_as_the_script(sepo: Program, tmp_path: Path):
    path = tmp_path / "table.json"
    done = sepo("elicit", "script:loose_aggressive", "--game", "kuhn", "--out", path)
    assert (done.code, done.out) == (0, "")
    assert "12 information states" in done.err
    script, table = (sepo("audit", p, "--json").document for p in ("script:loose_aggressive", f"table:{path}"))
    assert table["policy"] == f"table:{path}"
    assert table["games"] == script["games"]


def test_what_was_elicited_in_part_is_audited_met_and_exploited_and_says_so(sepo: Program, tmp_path: Path):
    path, rule = tmp_path / "table.json", ("--game", "ipd", "--rule", "rounds=3")
    done = sepo("elicit", tiny_model(tmp_path / "model"), *rule, "--budget", 9, "--out", path)
    assert "9 of 21 information states, uniform elsewhere, of hf:" in done.err
    document = json.loads(path.read_text())
    assert (len(document["table"]), document["default"]) == (9, "uniform")
    assert (document["about"]["asked"], document["about"]["reachable"]) == (9, 21)
    audited = sepo("audit", f"table:{path}", "--no-adversaries")
    said = f"table:{path} was elicited in 9 of 21 information states: the figures are the table's"
    assert audited.out.splitlines()[-1].startswith(said)
    card = sepo("card", f"table:{path}", "--no-adversaries").out
    assert "elicited in 9 of 21 information states, and is uniform elsewhere" in card
    assert sepo("match", f"table:{path}", "script:tit_for_tat", *rule).code == 0
    assert sepo("exploit", f"table:{path}", *rule, "--out", tmp_path / "thief.json").code == 0


def test_a_budget_that_asks_about_all_that_a_policy_meets_leaves_nothing_to_say(sepo: Program, tmp_path: Path):
    path, rule = tmp_path / "table.json", ("--game", "ipd", "--rule", "rounds=3")
    done = sepo("elicit", "script:tit_for_tat", *rule, "--budget", 100, "--out", path)
    assert "elsewhere" not in done.err
    script = sepo("audit", "script:tit_for_tat", *rule, "--no-adversaries", "--json").document
    table = sepo("audit", f"table:{path}", "--no-adversaries")
    assert "elicited" not in table.out
    again = sepo("audit", f"table:{path}", "--no-adversaries", "--json").document
    assert flat(again["games"]) == pytest.approx(flat(script["games"]), abs=1e-12)


def test_a_person_can_be_audited_and_prompts_stay_off_stdout(sepo: Program):
    typed = "\n".join(["0 1"] * 12)  # always bet or call
    done = sepo("audit", "human", "--game", "kuhn", "--json", input=typed)
    assert done.code == 0
    assert "You hold the jack" in done.err
    always_bet = sepo("audit", "script:always_bet", "--json").document
    ours, theirs = (flat(card["games"]["kuhn"]) for card in (done.document, always_bet))
    ours, theirs = ({p: v for p, v in found.items() if v or "frequencies" not in p} for found in (ours, theirs))
    assert ours == pytest.approx(theirs, abs=1e-12)


def flat(part, path=""):
    """Return every figure's value by its path."""
    if isinstance(part, dict) and "value" in part:
        return {path: part["value"]}
    pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return {p: v for key, inner in pairs for p, v in flat(inner, f"{path}.{key}").items()}


def test_compare_shows_what_changed(sepo: Program, tmp_path: Path):
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    sepo("audit", "script:tight_passive", "--json", "--out", before)
    sepo("audit", "script:nash", "--json", "--out", after)
    done = sepo("compare", before, after, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.document["schema"] == "sepo.comparison/1"
    found = {row["figure"]: row for row in done.document["games"]["kuhn"]}["exploitability"]
    assert found["difference"] == pytest.approx(-0.25)
    assert found["better"] is True
    shown = sepo("compare", before, after).out
    assert "-0.2500" in shown
    assert "better" in shown


def test_games_lists_kuhn_and_shows_its_details(sepo: Program):
    assert "kuhn" in sepo("games").out
    details = sepo("games", "kuhn").out
    for shown in ("Kuhn poker", "nash_approx", "exploitability", "held_out"):
        assert shown in details


@pytest.mark.no_cover
def test_help_and_version_are_found(sepo: Program):
    import sepo as package

    assert sepo("--version").out.strip() == package.__version__
    for command in ("audit", "elicit", "exploit", "compare", "games", "run", "report"):
        assert command in sepo("--help").out


def test_without_a_game_each_policy_is_audited_where_it_can_play(sepo, tmp_path):
    done = sepo("audit", "script:grim_trigger", "script:nash", "--json", "--measures", "paper")
    assert done.code == 0
    cards = json.loads(done.out)["scorecards"]
    assert [list(card["games"]) for card in cards] == [["ipd"], ["kuhn"]]
    j = cards[0]["games"]["ipd"]["measures"]["paper"]["J"]
    assert abs(j["value"] - 1.7690) < 5e-5
    assert cards[0]["games"]["ipd"]["exploitability"] is None
    assert sepo("elicit", "script:nash", "--game", "kuhn", "--out", str(tmp_path / "n.json")).code == 0
    table = json.loads(sepo("audit", f"table:{tmp_path / 'n.json'}", "--json").out)
    assert list(table["games"]) == ["kuhn"]


def test_a_table_of_a_game_nobody_knows_and_a_person_without_a_game_are_refused(sepo, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"schema": "sepo.policy/1", "game": "chess", "table": {"": {"e4": 1}}}))
    for arguments, said in (([f"table:{path}"], "unknown game 'chess'"), (["human"], "--game ipd or auction")):
        done = sepo("audit", *arguments)
        assert done.code == 2
        assert said in done.err
        assert len(done.err.splitlines()) == 1


def test_figures_that_are_open_on_one_side_or_were_not_reached_are_shown_as_such():
    from sepo.cli.show import figure

    assert figure({"value": 1.0, "low": 0.5, "high": None, "n": None}) == "1.0000 [0.5000, inf]"
    assert figure({"value": None, "low": None, "high": None, "n": 32, "horizon": 2000}) == "not within 2000"
    assert figure(None) == "n/a"


@pytest.mark.no_cover
def test_a_model_that_writes_is_audited_from_samples(sepo: Program, tmp_path: Path):
    reference = tiny_model(tmp_path / "model")
    options = ("--style", "reasoned", "--samples", 3, "--tokens", 4, "--retries", 1, "--illegal", "random")
    done = sepo("audit", reference, "--game", "kuhn", *options, "--json")
    assert done.code == 0, done.err
    card = done.document
    part = card["games"]["kuhn"]
    assert part["method"] == "estimated"
    assert card["model"]["style"] == "reasoned"
    assert (card["model"]["illegal"], card["model"]["retries"], card["model"]["samples"]) == ("random", 1, 3)
    told = part["replies"]
    assert told["decisions"] == 36
    assert told["replies"] == 36 + (told["illegal"] + told["truncated"] - told["unanswered"])
    rate = part["illegal_rate"]
    assert 0 <= rate["low"] <= rate["value"] <= rate["high"] <= 1
    assert part["legal_mass"] is None
    shown = sepo("audit", reference, "--game", "kuhn", *options)
    assert "kuhn (chips per hand, estimated)" in shown.out
    assert "no legal action" in shown.out


@pytest.mark.no_cover
def test_what_a_model_writes_is_elicited_with_intervals(sepo: Program, tmp_path: Path):
    reference, out = tiny_model(tmp_path / "model"), tmp_path / "table.json"
    options = ("--style", "reasoned", "--samples", 2, "--tokens", 3, "--retries", 0, "--illegal", "random")
    done = sepo("elicit", reference, "--game", "kuhn", "--out", out, *options)
    assert done.code == 0, done.err
    document = json.loads(out.read_text())
    assert document["about"]["samples"] == 2
    assert document["table"].keys() == document["intervals"].keys()
    for key, row in document["table"].items():
        for action, p in row.items():
            low, high = document["intervals"][key][action]
            assert low <= p <= high
    assert sepo("audit", f"table:{out}", "--json").code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--style", "thoughtful"), "unknown style 'thoughtful'"),
        (("--illegal", "ignore"), "unknown illegal-move rule 'ignore'"),
        (("--samples", 0), "--samples"),
    ],
)
def test_what_is_wrong_with_a_style_is_one_line(sepo: Program, options: tuple[object, ...], said: str):
    done = sepo("audit", "script:nash", "--game", "kuhn", *options)
    assert done.code == 2
    assert said in done.err


def test_a_model_behind_an_endpoint_is_audited_with_its_cost(
    sepo: Program, kuhn: Game, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path))
    with served(Server(by_seed(TableWriter(kuhn, random_table(kuhn, 3))))) as server:
        policy = f"openai:nobody/knows@{server.url}"
        options = ("--style", "reasoned", "--samples", 4, "--tokens", 8, "--price", "2,10", "--concurrency", 4)
        done = sepo("audit", policy, "--game", "kuhn", *options, "--json")
    assert done.code == 0, done.err
    card = done.document
    told = card["games"]["kuhn"]["replies"]
    assert told == {"decisions": 48, "replies": 48, "illegal": 0, "truncated": 0, "unanswered": 0}
    model = card["model"]
    assert model["endpoint"] == server.url
    assert model["calls"] == 48 + 6  # those that show whether it samples
    assert model["cost"] == pytest.approx((model["prompt_tokens"] * 2 + model["completion_tokens"] * 10) / 1e6)


@pytest.mark.no_cover
def test_a_server_that_is_gone_is_exit_code_3_in_one_line(sepo: Program):
    hasty = "import openai._base_client as b\nb.INITIAL_RETRY_DELAY = b.MAX_RETRY_DELAY = 0.01"
    done = sepo("audit", "openai:nobody/knows@http://127.0.0.1:9/v1", "--game", "kuhn", before=hasty)
    assert done.code == 3
    lines = [line for line in done.err.splitlines() if line.startswith("sepo:")]
    assert len(lines) == 1
    assert "endpoint 'http://127.0.0.1:9/v1' failed after 6 retries" in lines[0]
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--price", "2"), "--price takes what a million tokens"),
        (("--price", "2,-1"), "--price takes what a million tokens"),
        (("--body", "[1]"), "--body takes a JSON object"),
        (("--body", "{"), "--body takes a JSON object"),
        (("--template", "thinking"), "--template takes a JSON object, such as '{\"enable_thinking\": false}'"),
        (("--template", '{"tokenize": true}'), "--template: 'tokenize' is no argument of a template"),
    ],
)
def test_what_is_wrong_with_an_endpoints_options_is_one_line(sepo: Program, options: tuple[str, str], said: str):
    done = sepo("audit", "script:nash", "--game", "kuhn", *options)
    assert done.code == 2
    assert said in done.err
