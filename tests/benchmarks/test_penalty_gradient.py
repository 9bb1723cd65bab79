"""The penalty's gradient in a model's parameters: slopes are derivatives, and only one credit has a gradient."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from sepo.audit.arena import Arena, Ground, ground_of, layout
from sepo.cli import bench
from sepo.errors import InputError
from sepo.games.registry import make
from sepo.lm.adapter import make_trainable, save_model, trainable
from sepo.lm.load import load_model
from sepo.policies.direct import DirectPolicy
from sepo.train.direct import Batch, Scorer, projection_loss
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]
KUHN = ground_of(make("kuhn"))
IPD = ground_of(make("ipd", {"rounds": 3}))
ARENA = Arena(IPD.game, tuple(o for names in IPD.game.measures("sepo").pools.values() for o in names))


@pytest.fixture(scope="module")
def penalties() -> ModuleType:
    package = bench.load_benchmarks(ROOT / "benchmarks")
    return import_module(f"{package.__name__}.penalty_gradient")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a model whose adapter was fitted to mixed strategies of both games, saved as a run saves it."""
    folder = tmp_path_factory.mktemp("tuned")
    lm = load_model(tiny_model(folder / "base"))
    make_trainable(lm, "lora", rank=4)
    scorer = Scorer(DirectPolicy(lm, "tiny"), [*KUHN.questions, *IPD.questions])
    rows = list(np.random.default_rng(0).dirichlet([3.0, 3.0], len(scorer.decisions)))
    batch = Batch(scorer.decisions, rows, rows, None, np.full(len(rows), 1 / len(rows)))
    optimiser = torch.optim.Adam(trainable(lm).values(), lr=0.02)
    for _ in range(40):
        scorer.backward(batch, projection_loss)
        optimiser.step()
        optimiser.zero_grad()
    save_model(lm, folder / "last")
    return f"hf:{folder / 'last'}"


def moved(policy, direction: torch.Tensor, by: float) -> np.ndarray:
    """Return log pi after a step along a direction."""
    parts = direction.split([p.numel() for p in policy.parameters.values()])
    with torch.no_grad():
        for p, part in zip(policy.parameters.values(), parts, strict=True):
            p.add_(by * part.view_as(p))
        found = np.log(policy.strategy())
        for p, part in zip(policy.parameters.values(), parts, strict=True):
            p.sub_(by * part.view_as(p))
    return found


def test_slopes_are_derivatives_of_log_pi(penalties: ModuleType, tuned: str) -> None:
    policy = penalties.Policy(load_model(tuned), KUHN)
    assert policy.size == sum(p.numel() for name, p in policy.lm.model.named_parameters() if "lora_" in name)
    drawn = torch.randn(policy.size, generator=torch.Generator().manual_seed(1))
    direction = drawn / drawn.norm()
    along = policy.along(direction)

    def difference(by: float) -> np.ndarray:
        return (moved(policy, direction, by) - moved(policy, direction, -by)) / (2 * by)

    # log pi is in float32, so over a small step its last digit is too much: two larger ones, extrapolated
    differences = (4 * difference(0.0045) - difference(0.009)) / 3
    np.testing.assert_allclose(along, differences, atol=0.02 * np.abs(differences).max())
    np.testing.assert_allclose(
        np.bincount(KUHN.owner, policy.strategy() * along), 0, atol=1e-6
    )  # probabilities keep their sum
    weights = np.random.default_rng(2).normal(size=len(along))
    assert float(policy.gradient(weights) @ direction) == pytest.approx(weights @ along, rel=1e-3)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("ground", "measures"),
    [(KUHN, "sepo"), (IPD, "paper"), (ARENA, "sepo")],
    ids=["kuhn", "ipd", "arena"],
)
def test_only_the_credited_penalty_reaches_the_parameters(
    penalties: ModuleType, tuned: str, ground: Ground, measures: str
) -> None:
    policy = penalties.Policy(load_model(tuned), layout(ground))
    found = penalties.examine(policy, ground, ground.game.measures(measures), keys=150, random=2)

    assert found["e"] > 0
    assert found["norm"]["forward"] == pytest.approx(found["norm"]["backward"], rel=1e-3)
    credited, rollout, constant = (found["credits"][c]["directions"] for c in ("credited", "rollout", "constant"))
    assert set(credited) == {"exact gradient", "random 1", "random 2"}
    for name, estimate in credited.items():
        assert abs(estimate["from_exact"]) < 3
        assert rollout[name]["error"] > 0
        assert abs(rollout[name]["from_zero"]) < 3
        # what is left of a constant is from decisions that one rollout of a sample reached: it has no baseline there
        assert abs(constant[name]["from_zero"] or 0.0) < 3
        assert abs(constant[name]["share"]) < 1e-3
    assert credited["exact gradient"]["from_zero"] > 10
    assert credited["exact gradient"]["share"] == pytest.approx(1, abs=0.2)
    assert rollout["exact gradient"]["from_exact"] < -10
    means = {credit: got["mean"] for credit, got in found["credits"].items()}
    for over in ("table", "parameters"):
        assert 0.95 < means["credited"][over]["cosine"] <= 1 + 1e-9
        assert means["credited"][over]["length"] == pytest.approx(1, abs=0.2)
        assert means["rollout"][over]["length"] < 0.1
        assert means["constant"][over]["length"] < 1e-2
    if ground is not KUHN:
        assert constant["exact gradient"]["from_zero"] is None
        assert means["constant"]["parameters"]["cosine"] is None


def test_a_model_without_an_adapter_is_given_one(penalties: ModuleType, tmp_path: Path) -> None:
    policy = penalties.Policy(load_model(tiny_model(tmp_path)), KUHN)
    assert all("lora_" in name for name in policy.parameters)
    gradient = policy.gradient(np.random.default_rng(0).normal(size=len(KUHN.owner)))
    assert gradient.norm() > 0


def test_a_policy_that_no_exploiter_is_ahead_of_is_refused(penalties: ModuleType) -> None:
    ground = ground_of(make("ipd", {"rounds": 3}))
    defects = np.tile([0.0, 1.0], len(ground.infosets))
    with pytest.raises(InputError, match="no exploiter of the paper measures is ahead"):
        penalties.penalty(ground, ground.game.measures("paper"), defects)


def test_the_command_prints_a_document_or_a_table(penalties: ModuleType, tuned: str, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(penalties.command)
    few = [tuned, "--keys", "5", "--random", "1"]
    done = CliRunner().invoke(app, [*few, "--json", "--out", str(tmp_path / "found.json")])
    assert done.exit_code == 0, done.exception
    document = json.loads(done.stdout)
    assert json.loads((tmp_path / "found.json").read_text()) == document
    assert (document["schema"], document["keys"], document["policy"]) == ("sepo.penalty_gradient/1", 5, tuned)
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, few)
    assert "the mean beside the exact gradient" in shown.stdout
    assert "s.e. from" in shown.stdout
    bad = CliRunner().invoke(app, [tuned, "--game", "ipd"])
    assert bad.exit_code == 2
    assert "21845 decisions by these rules, more than 2000" in bad.stderr
