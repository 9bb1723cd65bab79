"""What a model wrote is on record beside its moves: all of it, nothing else, and without a figure that changes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sepo import api
from sepo.audit.arena import SETS
from sepo.audit.methods import Options
from sepo.audit.scorecard import audit
from sepo.games.base import Decision, Game
from sepo.games.registry import make
from sepo.lm.reasoned import MARK, Reply, asked, read
from sepo.play.episode import stepped
from sepo.play.session import Session
from sepo.policies.base import Tally
from sepo.policies.reasoned import KEPT, Hear, ReasonedPolicy, ReplyRules, Wanted, kept
from sepo.policies.script import UniformPolicy
from sepo.solve.tree import Tree
from tests.writers import TableWriter, random_table

WRITTEN = ("text", "illegal", "refused")


class Mute(ReasonedPolicy):
    """The same policy, of whose texts nothing is kept."""

    def draw(self, decisions: Sequence[Decision], wanted: Sequence[Wanted], hear: Hear | None = None) -> list[Tally]:
        return super().draw(decisions, wanted)

    def once(self) -> Mute:
        found = super().once()
        return Mute(self.writer, self.name, found.rules, self.seed, "play")


class Saying:
    """Says to a decision what a function makes of it and of the numbers that draw the reply."""

    def __init__(self, tree: Tree, say: Callable[[Decision, float], Reply]) -> None:
        self.decisions = {tuple(asked(d.chat())): d for d in tree.questions}
        self.say = say

    def write(self, chats: Sequence[Sequence[tuple[str, str]]], lots: np.ndarray) -> list[Reply]:
        return [self.say(self.decisions[tuple(c)], lot) for c, lot in zip(chats, lots[:, 0].tolist(), strict=True)]

    def about(self) -> dict[str, str]:
        return {}


def moves(records: Sequence[dict[str, Any]], by: str = "learner") -> Iterator[dict[str, Any]]:
    for record in records:
        for hand in record["hands"]:
            yield from (move for move in hand["moves"] if move["by"] == by)


def unspoken(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records without what was written."""
    out = copy.deepcopy(list(records))
    for by in ("learner", "opponent"):
        for move in moves(out, by):
            for key in WRITTEN:
                move.pop(key, None)
    return out


def model(game: Game, kind: type[ReasonedPolicy] = ReasonedPolicy, **rules: Any) -> ReasonedPolicy:
    asking = ReplyRules(**{"samples": 4, "tokens": 2, "retries": 2, **rules})
    return kind(TableWriter(game, random_table(game, 1), fault=0.4), "m", asking, seed=3)


def test_every_move_has_the_reply_that_gave_it_and_those_before_it_that_gave_none(kuhn: Game):
    player = model(kuhn).once()
    assert isinstance(player, ReasonedPolicy)
    records = stepped(player, kuhn, kuhn.opponents["uniform"], 30, ("written",))
    made = list(moves(records))
    by_key = {d.key: d for d in _decisions(kuhn)}
    for move in made:
        d, refused = by_key[move["state"]], move.get("refused", [])
        assert move.get("illegal", 0) == len(refused) <= 3
        for one in refused:
            assert one["fault"] == read(Reply(one["text"], one["fault"] != "truncated"), d.words()) == "illegal"
        if "text" in move:
            assert d.legal[read(Reply(move["text"], True), d.words())] == move["action"]
        else:
            assert (len(refused), move["action"]) == (3, kuhn.forfeit(d))
    assert sum("text" not in m for m in made) > 0  # retries and all, some have no legal reply
    assert sum("illegal" in m and "text" in m for m in made) > 0
    assert sum("illegal" not in m for m in made) > 0
    tallies = player.tallies
    assert sum(len(m.get("refused", [])) for m in made) == sum(t.illegal for t in tallies)
    assert sum("text" in m for m in made) == sum(int(t.chosen.sum()) for t in tallies)
    assert not any(key in move for move in moves(records, "opponent") for key in WRITTEN)


def _decisions(game: Game) -> Sequence[Decision]:
    from sepo.solve.expand import expand

    return expand(game).questions


def test_a_truncated_reply_says_that_it_never_ended(kuhn: Game, tree: Tree):
    said = {False: Reply("Well, I", False), True: Reply("Hm.\nACTION: perhaps", True)}
    policy = ReasonedPolicy(Saying(tree, lambda d, lot: said[lot < 0.5]), "x", ReplyRules(retries=1, tokens=1))
    found = [one for m in moves(stepped(policy.once(), kuhn, UniformPolicy(), 10, (1,))) for one in m["refused"]]
    faults = {one["text"]: one["fault"] for one in found}
    assert faults == {"Well, I": "truncated", "Hm.\nACTION: perhaps": "illegal"}


@pytest.mark.parametrize("rule", ["forfeit", "random"])
def test_keeping_what_was_written_changes_no_draw(kuhn: Game, rule: str):
    loud, mute = model(kuhn, illegal=rule), model(kuhn, Mute, illegal=rule)
    played = [stepped(m.once(), kuhn, m.once(), 20, ("same",)) for m in (loud, mute)]
    assert unspoken(played[0]) == played[1] != played[0]
    sessions = [Session(kuhn, m, m, hands=20, key=(4,)) for m in (loud, mute)]
    for session in sessions:
        session.advance()
    first, second = (session.episode() for session in sessions)
    assert unspoken([first]) == [second] != [first]
    for method in ("auto", "sampled"):
        options = Options(method=method, seed=2, episodes=8, adversaries=False)
        cards = [audit(model(kuhn, k, illegal=rule), _sets(), options) for k in (ReasonedPolicy, Mute)]
        assert cards[0] == cards[1]


def _sets() -> dict[str, Game]:
    return {name: make("kuhn", {}, name) for name in SETS}


def test_of_the_samples_behind_a_table_no_text_is_kept(kuhn: Game, tree: Tree):
    assert all(one.written is None for one in model(kuhn).spoken(tree.questions))
    assert all(one.written is not None for one in model(kuhn, samples=1).spoken(tree.questions))


def test_a_session_records_the_texts_of_both_its_models(kuhn: Game):
    one, other = model(kuhn), model(kuhn, samples=1)
    session = Session(kuhn, one, other, hands=12, key=(1,))
    session.advance()
    record = json.loads(json.dumps(session.episode()))
    for by in ("learner", "opponent"):
        made = list(moves([record], by))
        assert all("text" in m or m["illegal"] == 3 for m in made)
        assert any("text" in m for m in made)
    person = Session(kuhn, one, key=(1,))
    person.advance()
    while (decision := person.decision) is not None:
        person.act(decision.legal[0])
        person.advance()
    assert not any(key in m for m in moves([person.episode()], "opponent") for key in WRITTEN)


def test_the_interface_gives_them_and_saves_them(kuhn: Game, tmp_path: Path):
    played = api.play(model(kuhn), "uniform", "kuhn", 3)
    played.save(tmp_path / "played.jsonl")
    records = [json.loads(line) for line in (tmp_path / "played.jsonl").read_text().splitlines()]
    assert any(MARK in m.get("text", "") for m in moves(records))


HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e\ud800 ACTION: call\x00" + "A" * 1_000_000


def test_a_hostile_reply_ends_up_as_text_of_a_bounded_length(kuhn: Game, tree: Tree, tmp_path: Path):
    def say(d: Decision, lot: float) -> Reply:
        return Reply(HOSTILE if lot < 0.5 else f"{HOSTILE}\nACTION: {d.words()[0]}", True)

    records = stepped(
        ReasonedPolicy(Saying(tree, say), "x", ReplyRules(tokens=1)).once(), kuhn, kuhn.opponents["nash"], 5, (1,)
    )
    line = json.dumps(records, ensure_ascii=False)
    assert json.loads(line.encode("utf-8")) == records  # half a surrogate pair would not fit in a file
    texts = [m["text"] for m in moves(records) if "text" in m]
    texts += [one["text"] for m in moves(records) for one in m.get("refused", [])]
    assert len(texts) > 20
    for text in texts:
        assert text.startswith("<script>alert(1)</script>\x1b[31m\u202e\\ud800 ACTION: call\x00AAA")
        assert len(text) < KEPT + 100
        assert "characters left out" in text
    for m in moves(records):
        if "text" in m:  # the line that counts is at the end, and the end is kept
            assert m["text"].endswith(f"\nACTION: {next(d for d in tree.questions if d.key == m['state']).words()[0]}")


def test_a_reply_is_whole_up_to_a_length_and_says_how_much_is_left_out_beyond():
    assert kept("a" * KEPT) == "a" * KEPT
    text = "".join(chr(65 + i % 26) for i in range(KEPT + 5))
    cut = kept(text)
    head, _, rest = cut.partition("\n[… 5 characters left out …]\n")
    assert len(head) + len(rest) == KEPT
    assert text.startswith(head)
    assert text.endswith(rest)
