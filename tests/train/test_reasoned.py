"""Training in the reasoned style through TRL: what steps are made of, whoever writes, and what a kill costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml

from sepo.audit.arena import ground_of
from sepo.audit.measures import terms, values
from sepo.errors import InputError
from sepo.games.registry import make
from sepo.games.wording import ORIGINAL
from sepo.lm.adapter import make_trainable, snapshot, trainable
from sepo.lm.load import LanguageModel, load_model
from sepo.solve.tree import Tree
from sepo.train.credit import CreditRules
from sepo.train.part import Domain, Part
from sepo.train.player import Player, Step
from sepo.train.recipe import Recipe, parse_recipe
from sepo.train.rollouts import Seen
from sepo.train.run import run
from sepo.train.sft import VALIDATE_EVERY
from tests.models import tiny_model, tiny_named
from tests.train.test_resume import KilledError
from tests.train.test_rollouts import TableWriter, rows

reasoned = pytest.importorskip("sepo.train.reasoned")

SAMPLED = {"estimator": "sampled", "update": "clipped", "exploiter": "pool"}


def recipe(policy: str, **over: Any) -> Recipe:
    document = {
        "name": "written",
        "game": "ipd",
        "rules": {"rounds": 2},
        "style": "reasoned",
        "reasoned": {"tokens": 12, "samples": 2, "examples": 4, "batch": 4, "opponents": 3},
        "model": {"policy": policy, "rank": 4, "alpha": 8},
        "sft": {"steps": 2, "learning_rate": 1e-3, "examples": 60},
        "train": {"steps": 3, "learning_rate": 1e-3, "groups": 1, "group_size": 3, "clip_norm": 1e9, **SAMPLED},
        "audit": {"budget": 4, "episodes": 2, "best": False},
        "checkpoint_every": 1,
        "episodes": 1,
        "arms": [{"name": "sft", "stage": "sft"}, {"name": "sepo"}],
    }
    return parse_recipe({**document, **over}, "test")


def part(of: Recipe, arm: str, folder: Path) -> Part:
    return Part(Domain.of("x", of, folder), next(a for a in of.arms if a.name == arm), 0)


def model(of: Recipe) -> LanguageModel:
    lm = load_model(of.model.policy, of.model.dtype, of.model.template)
    make_trainable(lm, of.model.adapter, of.model.rank, of.model.alpha, of.model.targets, 0, of.model.layers)
    return lm


def test_a_step_is_measured_at_the_sets_own_weights_whatever_the_arm_is_trained_on(tiny: str, tmp_path: Path):
    of = recipe(tiny, train={"groups": 4, "group_size": 8, **SAMPLED}, reasoned={"tokens": 12})
    there = part(of, "sepo", tmp_path)
    tree, measures = there.domain.ground, domain_measures(there)
    assert isinstance(tree, Tree)
    always = np.array([float(a == "COOPERATE") for i in tree.infosets for a in i.decision.legal])
    wanted = values(tree, measures, always)
    assert wanted["e"] > 1
    for own in ({}, {"lambda": {"e": 0.0, "c": 0.0, "x": 0.0}}, {"margin": 1.0}):
        arm = there.arm.model_copy(update={"train": own})
        step = Player(Part(there.domain, arm, 0)).play(TableWriter(rows(tree, always)), 0)
        found = step.line["measures"]["sepo"]
        assert found["J"] == pytest.approx(found["u"] - measures.weights.e * found["e"] - costs(found, measures))
        assert found["e"] == pytest.approx(wanted["e"], rel=0.2)


def costs(found: Mapping[str, float], measures: Any) -> float:
    """Return what c and x take from J."""
    return float(measures.weights.c * found["c"] + measures.weights.x * found["x"])


class Taken(NamedTuple):
    """A step as it was taken: the trainer's weights and gradient before it, and what it was made of."""

    step: Step
    weights: dict[str, torch.Tensor]
    gradient: dict[str, torch.Tensor]
    batches: list[dict[str, torch.Tensor]]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Taken]:
    """Watch every step of GRPO."""
    out: list[Taken] = []
    trainer = reasoned.EpisodeTrainer
    turns, loss = trainer.turns, trainer._compute_loss

    def watched(self: Any, count: int) -> Any:
        rows = turns(self, count)
        out.append(Taken(self.played, snapshot(self.lm), {}, []))
        return rows

    def seen(self: Any, model: Any, inputs: Any) -> Any:
        out[-1].batches.append({k: v.clone() for k, v in inputs.items() if isinstance(v, torch.Tensor)})
        return loss(self, model, inputs)

    def before(self: Any, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        for one in out[-1:]:
            one.gradient.update({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})

    monkeypatch.setattr(trainer, "turns", watched)
    monkeypatch.setattr(trainer, "_compute_loss", seen)
    monkeypatch.setattr(reasoned.Noted, "on_pre_optimizer_step", before, raising=False)
    return out


def by_hand(of: Recipe, there: Part, step: Step) -> np.ndarray:
    """Reckon the advantages of recorded episodes: all that falls due from a turn on, above the rest of its group."""
    measures, domain = domain_measures(there), there.domain
    section = of.settings(there.arm)
    seen = Seen(step.tables, domain.game.rounds)
    met = {name for name, _ in step.tables}
    pools = [*measures.pools["train"], *measures.pools["exploiter"]]
    for ratio in (measures.c, measures.x):
        pools += [o for name in ratio.pools for o in measures.pools[name]] if ratio else []
    chance = len(met) / len(set(pools))
    found = terms(domain.ground, measures, seen, None, measures.pools["exploiter"])
    out, squares, count = [], 0.0, 0
    for (name, seat), episodes in step.tables.items():
        total = [np.zeros(len(p.turns)) for p in episodes]
        for t in (t for t in found if (t.opponent, t.seat) == (name, seat)):
            credits = []
            for p in episodes:
                due = [t.weight / chance * sum(w * f.due.get(k, 0.0) for k, w in t.due.items()) for f in p.episode.fell]
                credits.append([sum(due[i:]) for i, f in enumerate(p.episode.fell) if f.own])
            for row, own in enumerate(credits):
                for k, value in enumerate(own):
                    others = [c[k] for r, c in enumerate(credits) if r != row]
                    total[row][k] += value - np.mean(others)
                    squares, count = squares + (value - np.mean(others)) ** 2, count + 1
        for row, p in enumerate(episodes):
            wrong = [[turn.fault is not None for turn in q.turns] for q in episodes]
            cost = [
                section.legal_mass * (w - np.mean([x[k] for r, x in enumerate(wrong) if r != row]))
                for k, w in enumerate(wrong[row])
            ]
            out.append((total[row], np.array(cost)))
            assert len(p.turns) == domain.game.rounds
    scale = (squares / count) ** 0.5 if squares else 1.0
    return np.concatenate([a / scale - c for a, c in out])


def domain_measures(there: Part) -> Any:
    return there.domain.game.measures(there.recipe.measure_name(there.arm))


def gradient_by_hand(lm: LanguageModel, step: Step, weights: Mapping[str, torch.Tensor], rows: int, most: int) -> Any:
    """Differentiate the sum of advantage times log-probability of the reply's tokens alone, one reply a pass."""
    parameters = trainable(lm)
    with torch.no_grad():
        for name, p in parameters.items():
            p.copy_(weights[name])
            p.grad = None
    for turn, a in zip(step.turns, step.advantages.tolist(), strict=True):
        ids = torch.tensor([[*turn.draft.prompt, *turn.draft.tokens]])
        logs = torch.log_softmax(lm.model(ids).logits[0].float(), -1)
        start = len(turn.draft.prompt)
        log_prob = sum(logs[start + i - 1, token] for i, token in enumerate(turn.draft.tokens))
        (-a * log_prob / (rows * most)).backward()
    return {name: p.grad for name, p in parameters.items()}


def check_steps(of: Recipe, there: Part, taken: list[Taken], fresh: Callable[[], LanguageModel]) -> None:
    """Hold every step to what it should have been made of, and its gradient to one taken reply by reply."""
    assert len(taken) == of.settings(there.arm).steps
    most = Player(there).rows
    for one in taken:
        step = one.step
        assert step.advantages == pytest.approx(by_hand(of, there, step), abs=1e-9)
        count = sum(len(b["completion_ids"]) for b in one.batches)
        rows = {
            (tuple(c[m.bool()].tolist()), round(float(a) * most / count, 4))
            for b in one.batches
            for c, m, a, t in zip(
                b["completion_ids"], b["completion_mask"], b["advantages"], b["tool_mask"], strict=True
            )
            if (m * t).any()
        }
        turns = zip(step.turns, step.advantages.tolist(), strict=True)
        assert rows == {(tuple(t.draft.tokens), round(a, 4)) for t, a in turns}
    learning = [one for one in taken if one.step.advantages.any()]
    assert learning  # where all members of all groups fare alike there is nothing to learn
    wanted = gradient_by_hand(fresh(), learning[-1].step, learning[-1].weights, most, of.reasoned.tokens)
    assert set(learning[-1].gradient) == set(wanted)
    scale = max(float(g.abs().max()) for g in wanted.values())
    for name, found in learning[-1].gradient.items():
        assert float((found - wanted[name]).abs().max()) <= 1e-3 * scale, name


@pytest.mark.no_cover
def test_three_steps_of_grpo_on_the_bundled_model_are_what_was_reckoned(tmp_path: Path, taken: list[Taken]):
    """After fine-tuning; opponents' words stand in the prompts, which have no gradient."""
    over = {"tokens": 16, "samples": 2, "examples": 2, "batch": 4, "opponents": 1, "illegal": "random"}
    sft = {"steps": 3, "learning_rate": 3e-3, "examples": 100, "warmup": 1, "betas": (0.9, 0.95)}
    train = {"steps": 3, "learning_rate": 1e-3, "groups": 1, "group_size": 2, "clip_norm": 1e9, **SAMPLED}
    of = recipe("bundled:smollm2", reasoned=over, sft=sft, train=train)
    of = of.model_copy(update={"model": of.model.model_copy(update={"layers": 8})})
    lm = model(of)
    told: list[Mapping[str, Any]] = []
    reasoned.fine_tune(lm, [part(of, "sft", tmp_path)], 0, tmp_path / "sft", lambda p, line: told.append(line))
    assert [line["step"] for line in told] == list(range(3))
    assert told[-1]["loss"] < told[0]["loss"]
    start = snapshot(lm)
    there = part(of, "sepo", tmp_path)
    lines: list[Mapping[str, Any]] = []
    reasoned.improve(lm, [there], 0, tmp_path / "trl", lambda p, line: lines.append(line))
    assert [line["step"] for line in lines] == [0, 1, 2]
    check_steps(of, there, taken, lambda: model(of))
    assert any(not torch.equal(a, b) for a, b in zip(start.values(), snapshot(lm).values(), strict=True))


@pytest.mark.parametrize("family", ["gemma4", "qwen3_5"])
def test_the_named_families_take_a_step_with_gradients_only_where_they_belong(
    family: str, tmp_path: Path, taken: list[Taken]
):
    of = recipe(tiny_named(tmp_path / family, family))
    lm = model(of)
    frozen = {n: p.detach().clone() for n, p in lm.model.named_parameters() if not p.requires_grad}
    reasoned.fine_tune(lm, [part(of, "sft", tmp_path)], 0, tmp_path / "sft", lambda p, line: None)
    there = part(of, "sepo", tmp_path)
    # random models write nothing legal: that alone tells their replies apart, and it is the same for all but by chance
    reasoned.improve(lm, [there], 0, tmp_path / "trl", lambda p, line: None)
    for name, p in lm.model.named_parameters():
        if name in frozen:
            assert torch.equal(p, frozen[name]), name
    for one in taken:
        assert set(one.gradient) <= set(trainable(lm))
        assert all("lora" in n and "vision" not in n and "audio" not in n and "visual" not in n for n in one.gradient)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


def last_weights(folder: Path, arm: str = "sepo") -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(
        folder / "arms" / arm / "seed-0" / "checkpoints" / "final.pt", weights_only=True
    )["weights"]
    return found


def steps_of(folder: Path, arm: str) -> list[dict[str, Any]]:
    lines = (folder / "arms" / arm / "seed-0" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_run_that_is_killed_at_any_step_ends_with_the_same_figures(tiny: str, tmp_path: Path):
    of = recipe(tiny, train={"steps": 3, "learning_rate": 1e-2, "groups": 1, "group_size": 3, "kl": 0.01, **SAMPLED})
    run(of, tmp_path / "whole", lambda e: None)

    def tell(event: Mapping[str, Any]) -> None:
        line = event["line"]
        where = (event["arm"], line.get("step"))
        if line and where not in stopped:
            stopped.add(where)
            raise KilledError

    stopped: set[Any] = set()
    for _ in range(12):
        try:
            run(of, tmp_path / "killed", tell, resume=True)
            break
        except KilledError:
            pass
    assert len(stopped) == 5
    for arm in ("sft", "sepo"):
        whole, killed = (last_weights(tmp_path / name, arm) for name in ("whole", "killed"))
        for name, value in whole.items():
            assert torch.equal(value, killed[name]), name
        assert steps_of(tmp_path / "whole", arm) == steps_of(tmp_path / "killed", arm)
        assert not (tmp_path / "killed" / "arms" / arm / "seed-0" / "checkpoints" / "trl").exists()
        first, second = ((tmp_path / n / "arms" / arm / "seed-0" / "episodes.jsonl") for n in ("whole", "killed"))
        assert first.read_text() == second.read_text()
        for episode in map(json.loads, first.read_text().splitlines()):
            for move in (m for m in episode["hands"][0]["moves"] if m["by"] == "learner"):
                assert move["illegal"] == len(move["refused"]) == 1  # it is not asked again
                assert move["refused"][0]["text"]
                assert "text" not in move
    summaries = [json.loads((tmp_path / n / "summary.json").read_text()) for n in ("whole", "killed")]
    assert summaries[0] == summaries[1]
    card = json.loads((tmp_path / "whole" / "arms" / "sepo" / "seed-0" / "scorecards" / "last.json").read_text())
    assert card["model"]["style"] == "reasoned"
    assert card["games"]["ipd"]["illegal_rate"]["value"] == 1.0  # a random model never keeps to the form
    card = tmp_path / "whole" / "arms" / "sepo" / "seed-0" / "checkpoints" / "last" / "README.md"
    assert "| illegal_rate | 1 |" in card.read_text()


def test_two_games_take_turns(tiny: str, tmp_path: Path):
    for game, rules in (("ipd", {"rounds": 2}), ("kuhn", {})):
        document = recipe(tiny).model_dump(by_alias=True, exclude={"style", "reasoned", "model"})
        document |= {"game": game, "rules": rules, "name": game, "train": {"steps": 2, **SAMPLED}}
        (tmp_path / f"{game}.yaml").write_text(yaml.safe_dump(document))
    from sepo.train.joint import load_joint
    from sepo.train.run import run_joint

    joint = {
        "name": "both",
        "games": ["ipd.yaml", "kuhn.yaml"],
        "style": "reasoned",
        "reasoned": {"tokens": 8, "samples": 1, "examples": 4, "batch": 4, "opponents": 2},
        "model": {"policy": tiny, "rank": 4},
        "train": {"groups": 1, "group_size": 2},
        "audit": {"budget": 2, "episodes": 2, "best": False},
        "arms": [{"name": "sft", "stage": "sft"}, {"name": "sepo"}],
    }
    (tmp_path / "joint.yaml").write_text(yaml.safe_dump(joint))
    told: list[tuple[str, str, int]] = []
    run_joint(
        load_joint(tmp_path / "joint.yaml").recipes,
        tmp_path / "run",
        lambda e: told.append((e["game"], e["stage"], e["line"]["step"])) if e["line"] else None,
    )
    assert [t for t in told if t[1] == "train"] == [
        ("ipd", "train", 0),
        ("kuhn", "train", 0),
        ("ipd", "train", 1),
        ("kuhn", "train", 1),
    ]
    for game in ("ipd", "kuhn"):
        assert (tmp_path / "run" / game / "arms" / "sepo" / "seed-0" / "scorecards" / "last.json").exists()


def test_a_kill_while_a_checkpoint_is_written_costs_the_steps_since_the_last_one(tiny: str, tmp_path: Path):
    """TRL writes a checkpoint in its place: the weights first, the trainer's state last."""
    of = recipe(tiny, sft={"steps": 3, "examples": 60}, arms=[{"name": "sft", "stage": "sft"}])
    run(of, tmp_path / "whole", lambda e: None)

    def kill(event: Mapping[str, Any]) -> None:
        if event["line"].get("step") == 2:
            raise KilledError

    with pytest.raises(KilledError):
        run(of, tmp_path / "killed", kill)
    kept = tmp_path / "killed" / "arms" / "sft" / "seed-0" / "checkpoints" / "trl"
    (there,) = kept.glob("checkpoint-*")
    for number, state in ((7, None), (8, '{"global_step": 8, "epo')):
        half = kept / f"checkpoint-{number}"
        half.mkdir()
        weights = next(there.glob("*.safetensors"))
        (half / weights.name).write_bytes(weights.read_bytes())
        if state is not None:
            (half / "trainer_state.json").write_text(state)
    run(of, tmp_path / "killed", lambda e: None, resume=True)
    whole, killed = (last_weights(tmp_path / name, "sft") for name in ("whole", "killed"))
    assert all(torch.equal(value, killed[name]) for name, value in whole.items())
    assert steps_of(tmp_path / "whole", "sft") == steps_of(tmp_path / "killed", "sft")


def joint_of(tiny: str, folder: Path, games: Sequence[tuple[str, dict[str, Any]]], **over: Any) -> dict[str, Recipe]:
    """Return the recipes of a joint one whose games have a name each and keys of their own."""
    from sepo.train.joint import load_joint

    document = recipe(tiny).model_dump(by_alias=True, exclude={"style", "reasoned", "model"})
    (folder / "base.yaml").write_text(yaml.safe_dump(document | {"train": {"steps": 1, **SAMPLED}}))
    joint = {
        "name": "both",
        "games": [{"recipe": "base.yaml", "name": name, **keys} for name, keys in games],
        "style": "reasoned",
        "reasoned": {"tokens": 8, "samples": 1, "examples": 4, "batch": 4, "opponents": 2},
        "model": {"policy": tiny, "rank": 4},
        "train": {"groups": 1, "group_size": 2},
        "audit": {"budget": 2, "episodes": 2, "best": False},
        "episodes": 0,
        **over,
    }
    (folder / "joint.yaml").write_text(yaml.safe_dump(joint))
    return load_joint(folder / "joint.yaml").recipes


def test_a_game_that_is_there_twice_has_its_own_validation(tiny: str, tmp_path: Path):
    from sepo.train.run import run_joint

    games = [("short", {"rules": {"rounds": 1}}), ("long", {"rules": {"rounds": 3}})]
    both, alone = tmp_path / "both", tmp_path / "alone"
    arms = [{"name": "sft", "stage": "sft"}]
    over = {"sft": {"steps": VALIDATE_EVERY + 1, "learning_rate": 1e-12, "examples": 60}, "arms": arms}
    run_joint(joint_of(tiny, tmp_path, games, **over), both, lambda e: None)
    run_joint(joint_of(tiny, tmp_path, games[:1], **over), alone, lambda e: None)
    short, long = (steps_of(both / name, "sft")[-1]["validation_loss"] for name in ("short", "long"))
    assert short == pytest.approx(steps_of(alone / "short", "sft")[-1]["validation_loss"])
    assert abs(short - long) > 1e-4


@pytest.mark.parametrize("first", [0, 1])
def test_a_game_has_its_entropy_bonus_wherever_it_stands(tiny: str, tmp_path: Path, first: int):
    from sepo.train.run import run_joint

    ends = []
    for number, bonus in enumerate((0.0, 5.0)):
        games = [
            ("without", {"rules": {"rounds": 1}}),
            ("with", {"train": {"entropy": {"start": bonus, "over": 9}, "learning_rate": 1e-2}}),
        ]
        games = games[first:] + games[:first]
        arms = [{"name": "sepo", "train": {"start": "base"}}]
        run_joint(joint_of(tiny, tmp_path, games, arms=arms), tmp_path / str(number), lambda e: None)
        ends.append(last_weights(tmp_path / str(number)))
    assert not all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


SHIPPED = sorted((Path(__file__).parents[2] / "recipes").glob("*-reasoned.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_of_the_style_can_be_learnt(path: Path, tmp_path: Path):
    from sepo.train.joint import load_joint

    recipes = load_joint(path).recipes
    ground = ground_of(make("kuhn"))  # of all: nobody looks at it here, and their own take minutes
    games = {name: make(of.game, {**of.rules, **of.practice}, of.measures) for name, of in recipes.items()}
    domains = [Domain(name, of, tmp_path, games[name], ground, (ORIGINAL,)) for name, of in recipes.items()]
    assert len(domains) == 5
    for arm in ("sft", "sepo"):
        reasoned.hold_to_learnt([Part.of(domain, arm, 0) for domain in domains])


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"train": {"betas": [0.9, 0.95]}}, "arm 'sepo': in the reasoned style train.betas is one for all games"),
        ({"train": {"kl": 0.1}}, "train.kl is one for all games, not 0.0 and 0.1: set train.kl in the joint recipe"),
        ({"sft": {"betas": [0.9, 0.95]}}, "arm 'sft': in the reasoned style sft.betas is one for all games"),
        ({"sft": {"clip_norm": 2.0}}, "sft.clip_norm is one for all games"),
    ],
)
def test_games_that_want_another_optimiser_each_are_refused_before_anything_is_trained(
    tiny: str, tmp_path: Path, second: dict[str, Any], said: str
):
    from sepo.train.run import run_joint

    arms = [{"name": name, "stage": name} for name in ("base", "sft")] + [{"name": "sepo"}]
    recipes = joint_of(tiny, tmp_path, [("one", {}), ("two", second)], arms=arms)
    with pytest.raises(InputError, match=said):
        run_joint(recipes, tmp_path / "run", lambda e: None)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"groups": 1, "credit": "rollout"}, r"arm 'sepo': .*train.groups \(1\) must be at least 2"),
        ({"kl": 0.1}, "arm 'sepo': .*train.kl needs model.adapter 'lora'"),
    ],
)
def test_what_an_arm_cannot_learn_is_refused_before_anything_is_trained(
    tiny: str, tmp_path: Path, over: dict[str, Any], said: str
):
    of = recipe(tiny, model={"policy": tiny, "adapter": "full"}, train={"steps": 1, **SAMPLED, **over})
    with pytest.raises(InputError, match=said):
        run(of, tmp_path / "run", lambda e: None)
    assert not (tmp_path / "run").exists()


def test_penalties_of_another_group_need_another_group(tiny: str, tmp_path: Path):
    of = recipe(tiny, train={"steps": 1, "groups": 1, "credit": "rollout", **SAMPLED})
    with pytest.raises(InputError, match=r"train.groups \(1\) must be at least 2"):
        reasoned.improve(model(of), [part(of, "sepo", tmp_path)], 0, tmp_path / "trl", lambda p, line: None)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"estimator": "exact"}, "train.estimator is 'sampled', not 'exact'"),
        ({"update": "mmd"}, "train.update is 'clipped', not 'mmd'"),
        ({"exploiter": "best_response"}, "train.exploiter is 'pool'"),
        ({"lambda": {"e": "auto", "budget": 0.1}}, "give lambda no budget"),
    ],
)
def test_what_needs_the_whole_policy_is_refused(tiny: str, train: dict[str, Any], said: str):
    with pytest.raises(InputError, match=said):
        recipe(tiny, train={**SAMPLED, **train})


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"report_to": ["nowhere"]}, "report_to: 'nowhere' is no tracker that is installed here"),
        ({"vllm": "server"}, "vllm 'server' needs vLLM"),
    ],
)
def test_what_is_not_installed_is_missed_before_anything_is_trained(
    tiny: str, tmp_path: Path, section: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reasoned, "is_vllm_available", lambda: False)
    of = recipe(tiny)
    of = recipe(tiny, reasoned={**of.reasoned.model_dump(), **section})
    with pytest.raises(InputError, match=said):
        run(of, tmp_path / "run", lambda e: None)
    assert not (tmp_path / "run").exists()


def test_a_game_without_reasons_is_refused_before_anything_is_trained(tiny: str, tmp_path: Path):
    from tests.small_games import Stakes

    game = Stakes()
    of = recipe(tiny)
    there = part(of, "sft", tmp_path)
    object.__setattr__(there.domain, "game", game)
    with pytest.raises(InputError, match="has no reasons"):
        reasoned.fine_tune(model(of), [there], 0, tmp_path / "trl", lambda p, line: None)


def test_fine_tuning_shows_each_step_in_the_words_that_are_drawn_for_it(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    of = recipe(tiny, wordings=["renamed", "original"], sft={"steps": 12, "examples": 60})
    there, lm = part(of, "sft", tmp_path), model(of)
    monkeypatch.setattr(reasoned, "_run", lambda trainer, lm, noted, folder: trainer)
    trainer = reasoned.fine_tune(lm, [there], 0, tmp_path / "trl", lambda p, line: None)
    told = [lm.tokenizer.decode(r["input_ids"]) for r in trainer.train_dataset]
    steps = [told[i : i + 4] for i in range(0, len(told), 4)]
    assert len(steps) == 12
    renamed = ["say blue or green" in step[0] for step in steps]
    assert any(renamed)
    assert not all(renamed)
    for step, other in zip(steps, renamed, strict=True):
        for text in step:
            gone, used = (("cooperat", "defect"), ("blue", "green")) if other else (("blue", "green"), ("ACTION: ",))
            assert not any(word in text for word in gone)
            assert any(word in text for word in used)
    validation = [lm.tokenizer.decode(r["input_ids"]) for r in trainer.eval_dataset["x"]]
    assert all("say blue or green" in text for text in validation)


def test_trl_is_as_it_is_taken_to_be():
    """What is used of it beyond its documentation."""
    import inspect

    from trl import GRPOTrainer
    from trl.generation.vllm_generation import VLLMGeneration

    made = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert '"advantages": advantages' in made
    loss = inspect.getsource(GRPOTrainer._compute_loss)
    assert 'inputs["advantages"]' in loss
    assert "self.max_completion_length" in loss
    assert {"prompts", "images", "num_generations"} <= set(inspect.signature(VLLMGeneration.generate).parameters)


def test_credit_is_by_the_rules_of_the_recipe(tiny: str, tmp_path: Path):
    of = recipe(tiny, train={"groups": 2, "group_size": 3, "scale": "group", "credit": "rollout", **SAMPLED})
    rules = Player(part(of, "sepo", tmp_path)).rules
    assert rules == CreditRules("rollout", "sampled", "group", "to_go", "group", 2, 3)
