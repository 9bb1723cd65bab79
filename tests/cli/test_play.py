"""``sepo play`` as a person sees it: typed words in, what is known out, and the record kept."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from sepo.audit.debrief import debrief
from sepo.cli.play import _append
from sepo.cli.show_play import Table
from sepo.games.registry import GAMES, make
from sepo.lm.reasoned import Reply
from sepo.play.session import Session
from sepo.policies.reasoned import ReasonedPolicy, ReplyRules
from tests.writers import TableWriter, random_table

FIRST = {"kuhn": ["check", "fold"], "ipd": ["d"], "auction": ["medium"], "split": ["5"], "items": ["0 0 0"]} | {
    "commons": ["high"]
}
"""Words that answer every question of a game; the first one that is legal counts."""


@pytest.mark.parametrize("name", GAMES)
def test_every_game_is_played_to_its_end_and_kept(sepo, tmp_path: Path, name: str):
    script = "nash" if name == "kuhn" else "uniform"
    policy = "uniform" if script == "uniform" else f"script:{script}"
    kept = tmp_path / "games.jsonl"
    typed = "\n".join(FIRST[name] * 20) + "\n"
    done = sepo("play", name, policy, "--seed", 4, "--out", kept, input=typed)
    assert (done.code, "Looking back" in done.out) == (0, True), done.err
    record = json.loads(kept.read_text())
    assert record["complete"]
    assert record["seed"] == 4
    assert f"You got {record['other']:g}, the policy {record['own']:g}." in done.out.replace("\n", " ")
    sums = [[h[k] for h in record["hands"]] for k in ("own", "other")]
    assert [sum(s) for s in sums] == [record["own"], record["other"]]
    assert "How exploitable" in done.out or "bounds over all you might do" in " ".join(done.out.split())
    again = sepo("play", name, policy, "--seed", 4, "--out", kept, input=typed)
    assert again.out == done.out
    one, two = kept.read_text().splitlines()
    assert one == two


def test_what_is_typed_wrong_is_asked_again_and_a_beginning_is_enough(sepo):
    done = sepo("play", "ipd", "script:tit_for_tat", "--rule", "rounds=2", input="forgive\n\nC\nDEF\n")
    assert done.code == 0
    assert "'forgive' is none of these words." in done.out
    assert "Type one of these words." in done.out
    assert "Round 1: you cooperate; they cooperate. You get 3, they get 3." in done.out
    assert "Round 2: you defect; they cooperate. You get 5, they get 0." in done.out
    text = " ".join(done.out.split())
    assert "You got 8, the policy 3. The best response to this policy gets 8 in expectation." in text
    assert "Your moves gave nothing away" in text


def test_hints_say_what_each_action_is_worth_before_the_move(sepo):
    done = sepo("play", "ipd", "script:grim_trigger", "--rule", "rounds=3", "--hints", input="c\nc\nd\n")
    assert done.code == 0
    assert "cooperate: 11, defect: 7" in done.out  # 3 + 3 + 5, or 5 + 1 + 1
    assert "defect: 5, cooperate: 3" in done.out


def test_no_probability_of_the_policy_and_no_move_is_shown_before_its_time(sepo):
    done = sepo("play", "ipd", "script:mixed", "--seed", 1, "--rule", "rounds=2", input="c\nc\n")
    before, after = done.out.split("Looking back")
    assert "%" not in before
    assert "cooperate 50%, defect 50%" in after
    assert before.index("[cooperate | defect]") < before.index("they")


def test_the_seat_is_the_persons(sepo, tmp_path: Path):
    kept = tmp_path / "a.jsonl"
    done = sepo("play", "kuhn", "uniform", "--seat", 0, "--hands", 1, "-o", kept, input="check\nfold\n")
    assert done.code == 0
    record = json.loads(kept.read_text())
    assert record["hands"][0]["seat"] == 1
    assert record["hands"][0]["moves"][0]["by"] == "opponent"
    assert "you have seat 0; --seed" in done.out


def test_the_end_of_the_input_keeps_what_was_played_and_is_one_line(sepo, tmp_path: Path):
    kept = tmp_path / "b.jsonl"
    done = sepo("play", "ipd", "script:tit_for_tat", "-o", kept, input="c\n")
    assert done.code == 2
    assert done.err == "sepo: the input ended before the game did\n"
    record = json.loads(kept.read_text())
    assert not record["complete"]
    assert [m["action"] for m in record["hands"][0]["moves"]] == ["COOPERATE"] * 3


def test_an_interrupt_keeps_what_was_played(sepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = tmp_path / "c.jsonl"

    def interrupted(self, decision):
        raise KeyboardInterrupt

    monkeypatch.setattr("sepo.cli.show_play.Table._asked", interrupted)
    done = sepo("play", "ipd", "script:tit_for_tat", "-o", kept)
    assert (done.code, done.err) == (130, f"\nsepo: the game was broken off; what was played is in {kept}\n")
    assert not json.loads(kept.read_text())["complete"]


def test_an_interrupt_before_the_first_move_claims_no_file(sepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = tmp_path / "c.jsonl"

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("sepo.cli.show_play.Table.play", interrupted)
    done = sepo("play", "ipd", "script:tit_for_tat", "-o", kept)
    assert (done.code, done.err) == (130, "\nsepo: the game was broken off\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "said"),
    [("file/a.jsonl", "cannot write"), ("folder", "cannot write"), ("binary", "cannot read"), ("x" * 300, "cannot")],
)
def test_a_place_that_cannot_be_written_is_said_before_the_game(sepo, tmp_path: Path, place: str, said: str):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "folder").mkdir()
    done = sepo("play", "ipd", "script:tit_for_tat", "-o", tmp_path / place, input="c\n")
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ipd", "human"), "you are the one who plays"),
        (("ipd", "script:nash"), "unknown script 'nash'"),
        (("chess", "uniform"), "unknown game 'chess'"),
        (("ipd", "uniform", "--seat", 2), "--seat"),
        (("ipd", "uniform", "--hands", 0), "--hands"),
        (("ipd", "uniform", "--style", "loud"), "unknown style 'loud'"),
        (("ipd", "uniform", "--rule", "rounds=0"), "rule 'rounds'"),
    ],
)
def test_what_cannot_be_played_is_said_in_one_line(sepo, arguments, said):
    done = sepo("play", *arguments)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_table_is_played_by_its_own_rules_and_only_at_its_own_game(sepo, tmp_path: Path):
    file = tmp_path / "t.json"
    table = {"schema": "sepo.policy/1", "game": "ipd", "rules": {"rounds": 1}, "table": {"": {"COOPERATE": 1.0}}}
    file.write_text(json.dumps(table))
    done = sepo("play", "ipd", f"table:{file}", input="d\n")
    assert done.code == 0
    assert "You got 5, the policy 0." in done.out
    wrong = sepo("play", "kuhn", f"table:{file}")
    assert wrong.code == 2
    assert "is for game 'ipd', not for 'kuhn'" in wrong.err


def test_hostile_names_steer_no_terminal(sepo, tmp_path: Path):
    name = "\x1b[31mred\x1b]0;owned\x07\u202egnp.txt[bold]"
    file = tmp_path / f"{name}.json"
    table = {"schema": "sepo.policy/1", "game": "ipd", "rules": {"rounds": 1}, "table": {"": {"COOPERATE": 1.0}}}
    file.write_text(json.dumps(table))
    done = sepo("play", "ipd", f"table:{file}", input="\x1b[2J\u202e\nd\n")
    assert done.code == 0
    for bad in "\x1b\x07\u202e":
        assert bad not in done.out + done.err
    assert "\\x1b[31mred" in done.out.replace("\n", "")
    assert "[bold]" in done.out.replace("\n", "")


class Hostile(TableWriter):
    """Says, before each answer or in place of it, what should do nothing."""

    def write(self, chats: Sequence[Sequence[tuple[str, str]]], lots: np.ndarray) -> list[Reply]:
        return [r._replace(text=f"<b>[red]\x1b[31m\u202e\n{r.text}") for r in super().write(chats, lots)]


def test_what_a_model_wrote_is_shown_as_text_when_looking_back_and_not_before(tmp_path: Path):
    game = make("kuhn")
    writer = Hostile(game, random_table(game, 1), fault=0.5)
    session = Session(game, ReasonedPolicy(writer, "m", ReplyRules(tokens=2, retries=1)), hands=12, key=(1,))
    out = io.StringIO()
    table = Table(
        session, console=Console(file=out, highlight=False, width=100), typed=io.StringIO("pass\ncheck\nfold\n" * 99)
    )
    table.play()
    assert "wrote" not in out.getvalue()
    assert "<b>" not in out.getvalue()
    table.look_back(debrief(session))
    text = out.getvalue()
    moves = [m for h in session.episode()["hands"] for m in h["moves"] if m["by"] == "learner"]
    assert text.count("it wrote") == len(moves)
    assert text.count("not counted, illegal:") == sum(m.get("illegal", 0) for m in moves) > 0
    assert text.count("no reply was legal") == sum("text" not in m for m in moves) > 0
    assert text.count("ACTION: ") == sum("text" in m for m in moves) > 0
    assert r"<b>[red]\x1b[31m\u202e" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    path = tmp_path / "games.jsonl"
    _append(path, session, 1)
    assert "\u202e" not in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8"))["hands"] == session.episode()["hands"]
