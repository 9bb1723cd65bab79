"""What an arm that writes leaves behind: episodes with the replies that counted and those that did not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sepo.games.registry import make
from sepo.lm.reasoned import Reply, read
from sepo.report.read import read_run
from sepo.report.replies import replies
from sepo.report.transcripts import transcripts
from sepo.solve.expand import expand
from sepo.train import written
from sepo.train.part import Domain, Part
from sepo.train.recipe import parse_recipe
from tests.writers import TableWriter, random_table


def test_an_arm_that_writes_leaves_its_replies_in_its_episodes_and_their_counts_in_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    game = make("ipd", {"rounds": 2})
    writer = TableWriter(game, random_table(game, 1), fault=0.4)
    monkeypatch.setattr(written, "Writer", lambda lm: writer)
    document: dict[str, Any] = {
        "name": "written",
        "game": "ipd",
        "rules": {"rounds": 2},
        "style": "reasoned",
        "reasoned": {"tokens": 4, "samples": 8, "retries": 1},
        "model": {"policy": "bundled:smollm2"},
        "train": {"estimator": "sampled", "update": "clipped", "exploiter": "pool"},
        "audit": {"best": False},
        "episodes": 4,
        "arms": [{"name": "sft", "stage": "sft"}, {"name": "sepo"}],
    }
    recipe = parse_recipe(document, "test")
    part = Part(Domain.of("x", recipe, tmp_path), recipe.arms[1], 0)
    written.WrittenAuditor(part, None).write("last")  # type: ignore[arg-type]
    lines = [json.loads(line) for line in (part.folder / "episodes.jsonl").read_text().splitlines()]
    made = [m for e in lines for h in e["hands"] for m in h["moves"] if m["by"] == "learner"]
    by_key = {d.key: d for d in expand(game).questions}
    assert {len(m.get("refused", [])) for m in made} == {0, 1, 2}
    for move in made:
        d = by_key[move["state"]]
        if "text" in move:
            assert d.legal[read(Reply(move["text"], True), d.words())] == move["action"]
        else:
            assert (move["illegal"], move["action"]) == (2, game.forfeit(d))
    arm = {"name": "sepo", "seeds": [0]}
    summary = {"schema": "sepo.run/1", "name": "written", "game": "ipd", "seeds": [0], "arms": [arm]}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    run = read_run(tmp_path)
    shown, table = transcripts(run), replies(run)
    assert shown is not None
    assert shown["written"]
    assert sum("text" in m for e in shown["episodes"] for h in e["hands"] for m in h["moves"]) == sum(
        "text" in m for m in made
    )
    card = json.loads((part.folder / "scorecards" / "last.json").read_text())["games"]["ipd"]
    assert table is not None
    assert table.rows[0].cells[1].text == f"{card['replies']['illegal']:,}" != "0"
