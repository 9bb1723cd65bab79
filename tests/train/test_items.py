"""Training where instances are drawn: other instances than the audit's, and histories of a belief as questions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sepo.audit.arena import Arena, ground_of
from sepo.audit.measures import objective, root_values, terms
from sepo.audit.sweep import mass_of, slope, weight
from sepo.errors import InputError
from sepo.games.registry import make
from sepo.play.episode import episodes, stepped
from sepo.policies.script import opponent, played
from sepo.policies.table import load_table
from sepo.solve.gradient import centred
from sepo.train.apart import CLUSTERS, Apart
from sepo.train.data import of_arena
from sepo.train.mirror import MirrorRules, Push, improve
from sepo.train.recipe import Recipe, parse_recipe
from sepo.train.record import read_metrics
from sepo.train.run import run
from sepo.train.sample import counted, walked
from tests.models import tiny_model
from tests.train.test_run import figures

RULES = {"rounds": 2, "instances": 2, "instance_seed": 33}  # small pools
GAME = make("items", RULES, "paper")
PAPER = GAME.measures("paper")


@pytest.fixture(scope="module")
def arena() -> Arena:
    found = ground_of(GAME)
    assert isinstance(found, Arena)
    assert found.beliefs is not None
    return found


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return {
        "name": "items",
        "game": "items",
        "rules": {"rounds": 2, "instances": 3, "instance_seed": 2608},
        "practice": {"instances": 2, "instance_seed": 33},
        "measures": "paper",
        "seeds": [3],
        "model": {"policy": tiny_model(tmp_path_factory.mktemp("tiny")), "adapter": "full"},
        "checkpoint_every": 2,
        "episodes": 3,
        "audit": {"episodes": 3},
        "sft": {"steps": 3, "learning_rate": 0.01, "examples": 60, "episodes": 4},
        "train": {
            "steps": 4,
            "learning_rate": 0.01,
            "exploiter": "pool",
            "episodes": 4,
            "states": 8,
            "mirror": {"projections": 3, "steps": 5, "values": "mean", "inertia": 0.5, "focus": 0.1},
        },
        "arms": [
            {"name": "sft", "stage": "sft"},
            {"name": "sepo"},
            {"name": "replies", "train": {"mirror": {"learns": "replies", "meets": "losses", "knows": "scored"}}},
        ],
    }


@pytest.fixture(scope="module")
def finished(document: dict, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, run(parse_recipe(document, "items"), folder, lambda e: None)


def test_what_is_asked_are_histories_that_lead_to_the_state(arena: Arena) -> None:
    policy = arena.space.uniform
    found = terms(arena, PAPER, policy)
    walk = walked(found, [policy], arena.space, 3000, ("walk",))
    assert [arena.state_of(d) for d in walk.asked.decisions] == walk.asked.chosen.tolist()
    assert len(walk.asked.decisions) > len(set(walk.asked.chosen.tolist()))  # several histories of one state
    assert len({d.key for d in walk.asked.decisions}) == len(walk.asked.decisions)
    expected = mass_of(found, policy, arena.space) / weight(found)
    sample = counted(walk, 3000, expected)
    assert sample.share.sum() == pytest.approx(1)
    totals = np.bincount(sample.asked.chosen, sample.factor, len(expected))
    often = expected > 0.05
    np.testing.assert_allclose(totals[often], 1, atol=0.2)


def test_demonstrations_keep_the_histories_that_were_shown(arena: Arena) -> None:
    shown = of_arena(arena, 120, 5)
    assert [arena.state_of(d) for d in shown.asked.decisions] == shown.asked.chosen.tolist()
    counts = np.array([c.sum() for c in shown.train])
    assert counts.sum() == sum(map(len, shown.episodes))
    assert counts.sum() + sum(c.sum() for c in shown.validation) >= 120


def test_with_a_margin_exploiters_end_behind() -> None:
    arena = ground_of(make("items", {"rounds": 2, "instances": 3, "instance_seed": 6}, "paper"))
    assert isinstance(arena, Arena)

    def ahead(policy: np.ndarray) -> list[float]:
        other, own = (
            [root_values(arena, policy, o, who) for o in PAPER.pools["exploiter"]] for who in ("other", "own")
        )
        return [a - b for a, b in zip(other, own, strict=True)]

    ends = []
    for margin in (0.0, 0.3):

        def push(at: np.ndarray, step: int, margin: float = margin) -> Push:
            found, mass = slope(terms(arena, PAPER, at, margin=margin), at, arena.space)
            return Push(at * centred(arena.space, at, found), np.maximum(mass, 1e-12))

        policy = improve(arena.space, arena.space.uniform, push, MirrorRules(10, 0.002, 100, 5.0))
        ends.append((max(ahead(policy)), objective(terms(arena, PAPER, policy))))
    assert abs(ends[0][0]) < 0.01  # without one, the kink of e is where J is highest
    assert ends[1][0] < -0.25
    assert ends[1][1] < ends[0][1]  # it is paid for in J


def test_a_run_practises_on_other_instances_than_it_is_audited_on(finished: tuple[Path, dict]) -> None:
    folder, summary = finished
    for arm in summary["arms"]:
        place = folder / "arms" / arm["name"] / "seed-3"
        card = json.loads((place / "scorecards" / "last.json").read_text())["games"]["items"]
        assert card["rules"] == {**GAME.rules, "rounds": 2, "instances": 3, "instance_seed": 2608}
        asked = load_table(place / "policies" / "last.json").table
        audited = {f"{'.'.join(map(str, d.public))}" for d in make("items", card["rules"]).drawn}
        assert {key.split("/")[0] for key in asked} <= audited
        lines = [json.loads(line) for line in (place / "episodes.jsonl").read_text().splitlines()]
        assert {line["opponent"] for line in lines} == {"fair", "tit_for_tat", "concede", "greedy", "hardball"}
        assert len(lines) == 15
    steps = read_metrics(folder / "arms" / "sepo" / "seed-3" / "metrics.jsonl")
    assert [line["step"] for line in steps] == [0, 1, 2, 3, 4]
    assert all(line["asked"] > 0 for line in steps)


def test_arms_are_paired_over_the_instances_that_both_were_audited_on(
    document: dict, finished: tuple[Path, dict]
) -> None:
    folder, summary = finished
    apart = Apart(parse_recipe(document, "items"), folder)
    assert not apart.over_clusters
    assert all((folder / "arms" / arm / "seed-3" / CLUSTERS).exists() for arm in ("sft", "sepo", "replies"))
    found, ours, theirs = apart("replies", "sepo"), apart.figures("replies"), apart.figures("sepo")
    assert {f"{of}.{key}" for of in ("paper", "sepo") for key in "uecxJ"} <= set(found)
    assert apart.over_clusters
    narrower = 0
    for name, by_seed in found.items():
        one, two, figure = ours[name][3], theirs[name][3], by_seed[3]
        assert figure.value == pytest.approx(one.value - two.value, abs=1e-12)
        assert figure.low <= figure.value <= figure.high
        narrower += figure.high - figure.low < 0.9 * (one.high - one.low + two.high - two.low)
    assert narrower > len(found) / 2
    [row] = [r for r in summary["paired"]["rows"] if (r["arm"], r["figure"]) == ("replies", "paper.J")]
    assert row["interval"] == pytest.approx(found["paper.J"][3][1:], abs=1e-12)
    (folder / "arms" / "sft" / "seed-3" / CLUSTERS).rename(folder / "kept")  # as a run of before there were any
    one, two, figure = (of["paper.J"][3] for of in (apart.figures("sft"), theirs, apart("sft", "sepo")))
    assert figure == pytest.approx((one.value - two.value, one.low - two.high, one.high - two.low))
    (folder / "kept").rename(folder / "arms" / "sft" / "seed-3" / CLUSTERS)


@pytest.mark.no_cover
@pytest.mark.parametrize("arm", ["sepo", "replies"])
def test_a_killed_run_goes_on_to_the_same_figures(
    arm: str, document: dict, finished: tuple[Path, dict], tmp_path: Path
) -> None:
    class Killed(BaseException):
        """Ends a run where it stands."""

    def kill_at(step: int):
        def tell(event: dict) -> None:
            if event["arm"] == arm and event["line"].get("step") == step:
                raise Killed

        return tell

    recipe = parse_recipe(document, "items")
    with pytest.raises(Killed):
        run(recipe, tmp_path / "run", kill_at(3))
    run(recipe, tmp_path / "run", lambda e: None, resume=True)
    assert figures(tmp_path / "run") == figures(finished[0])


def test_stepped_episodes_are_those_of_the_game() -> None:
    """A deterministic pair plays one episode an instance, whichever way it is recorded."""
    learner = opponent(GAME, "half_up")

    class Plays:
        name = "half_up"

        def probabilities(self, decisions: list) -> list:
            return [played(learner, d) for d in decisions]

    found = stepped(Plays(), GAME, opponent(GAME, "tit_for_tat"), 2, ("k",))  # type: ignore[arg-type]
    assert [len(e["hands"][0]["moves"]) for e in found] == [4, 4]
    whole = Arena(GAME, ("tit_for_tat",), forgets=False).met["tit_for_tat"][0]
    profile = whole.other.copy()
    for info in whole.tree.infosets:
        if info.seat == 0:
            profile[info.entries] = played(learner, info.decision)
    drawn = episodes(whole.tree, profile, "tit_for_tat", profile, 40, ("other",))
    by_first = {e["hands"][0]["moves"][0]["state"]: e for e in drawn}
    for e in found:
        other = by_first[e["hands"][0]["moves"][0]["state"]]
        assert e["hands"] == other["hands"]
        assert (e["own"], e["other"]) == (other["own"], other["other"])


def test_a_run_is_refused_at_once_if_its_audits_could_give_no_interval(document: dict, tmp_path: Path) -> None:
    rules = {"rounds": 2, "instances": 4, "opponent_values": 2}
    with pytest.raises(InputError, match="not independent"):
        run(parse_recipe(document | {"rules": rules}, "items"), tmp_path / "run", lambda e: None)


def test_the_untrained_model_is_audited_on_episodes_of_each_seed_whenever_that_is_added(
    document: dict, tmp_path: Path
) -> None:
    def recipe(*seeds: int) -> Recipe:
        audit = {"episodes": 3, "adversaries": False}
        return parse_recipe(
            document | {"seeds": [*seeds], "arms": [{"name": "base", "stage": "base"}], "audit": audit}, "base"
        )

    run(recipe(3, 4), tmp_path / "whole", lambda e: None)
    run(recipe(4), tmp_path / "grown", lambda e: None)
    run(recipe(3, 4), tmp_path / "grown", lambda e: None, resume=True)
    assert figures(tmp_path / "grown") == figures(tmp_path / "whole")
    units = [
        (json.loads((place / "scorecards" / "last.json").read_text())["games"], (place / "episodes.jsonl").read_text())
        for folder in ("grown", "whole")
        for place in (tmp_path / folder / "arms" / "base" / f"seed-{seed}" for seed in (3, 4))
    ]
    assert units[:2] == units[2:]
    assert all(a != b for a, b in zip(*units[:2], strict=True))  # other episodes in both
