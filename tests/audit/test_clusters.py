"""What is written of an audit's clusters gives the differences that one audit of both policies gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sepo.audit.clusters import clusters, read_clusters
from sepo.audit.methods import Options
from sepo.audit.scorecard import between, by_set, inspect, scorecards
from sepo.errors import InputError
from sepo.games.registry import make
from sepo.policies.base import Policy
from sepo.policies.reasoned import ReasonedPolicy, ReplyRules
from sepo.policies.script import ScriptPolicy, UniformPolicy
from tests.hidden import Hidden
from tests.writers import TableWriter, random_table


@pytest.mark.parametrize(
    ("name", "rules", "options"),
    [
        ("items", {"rounds": 2, "instances": 6}, Options()),
        ("items", {"rounds": 2, "instances": 5}, Options(sets="paper", method="sampled", episodes=10)),
        ("kuhn", {}, Options(method="sampled", episodes=60, seed=4)),
        ("auction", {"rounds": 2}, Options(method="sampled", episodes=40, control=False)),
    ],
)
def test_what_was_written_gives_the_differences_of_one_audit_of_both(
    name: str, rules: dict[str, int], options: Options, tmp_path: Path
) -> None:
    game = make(name, rules)
    games = by_set(game, options.sets)
    policies: list[Policy] = [UniformPolicy(), ScriptPolicy("script", next(iter(game.opponents)))]
    read = []
    for i, policy in enumerate(policies):
        written = clusters(inspect(policy, games, options))
        (tmp_path / f"{i}.json").write_text(json.dumps(written, allow_nan=False))
        read.append(read_clusters(tmp_path / f"{i}.json", games))
    want = scorecards([(policy, [game]) for policy in policies], options)["differences"]["of"]["script"]
    assert between({name: read[0]}, {name: read[1]}, options) == want
    assert want[name]["paper"]["u"]["n"] == len(read[0].found[game].values.rows)


def test_what_has_nothing_to_cancel_is_not_written() -> None:
    kuhn, items = make("kuhn"), make("items", {"rounds": 1, "instances": 1})
    writer = ReasonedPolicy(TableWriter(kuhn, random_table(kuhn, 1)), "model", ReplyRules(samples=4, tokens=2))
    for policy, game, options in (
        (UniformPolicy(), kuhn, Options()),
        (writer, kuhn, Options(episodes=20)),
        (Hidden(1), kuhn, Options(budget=3)),  # known in part
        (UniformPolicy(), items, Options()),
    ):
        assert clusters(inspect(policy, by_set(game, "both"), options)) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(schema="other/1"),
        lambda d: d.update(sets={"paper": 0}),
        lambda d: d.update(sets={"paper": 0, "sepo": 3}),
        lambda d: d["found"][0].pop("quantities"),
        lambda d: d["found"][0]["quantities"][0].update(clusters=["a"]),
    ],
)
def test_a_file_that_holds_none_is_refused(spoil: Any, tmp_path: Path) -> None:
    games = by_set(make("items", {"rounds": 1, "instances": 3}), "both")
    document = clusters(inspect(UniformPolicy(), games, Options()))
    assert document is not None
    spoil(document)
    (tmp_path / "clusters.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="clusters"):
        read_clusters(tmp_path / "clusters.json", games)
