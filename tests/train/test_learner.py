"""A step is the same whether the graphs of its passes are kept or not, and what it sees of the policy can be kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sepo.audit.arena import ground_of
from sepo.games.registry import make
from sepo.lm.adapter import make_trainable, snapshot
from sepo.lm.load import load_model
from sepo.policies.direct import DirectPolicy
from sepo.train import learner
from sepo.train.direct import Batch, imitation_loss, projection_loss
from sepo.train.learner import Learner, graph_size
from sepo.train.sample import Asked
from sepo.train.sections import Schedule
from tests.models import tiny_model

GAME = make("ipd", {"rounds": 3})


def made(folder: Path, layers: int | None = None, budget: int = 200) -> Learner:
    lm = load_model(tiny_model(folder))
    make_trainable(lm, "lora", rank=4, layers=layers)
    return Learner(DirectPolicy(lm, "tiny", budget=budget), ground_of(GAME), Schedule(steps=2, learning_rate=0.01))


@pytest.mark.parametrize("room", [0.0, 2.5, 1e9])
def test_an_update_does_not_depend_on_whether_graphs_are_kept(
    room: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, kept = [], []
    for held in (1e9, room):
        monkeypatch.setattr(learner, "HELD", held * 2**20)
        one = made(tmp_path)
        for _ in range(2):
            look = one.look(gradient=True)
            assert len(look.scorer.plans) > 3
            kept.append(look.scores is not None)
            target = [np.arange(1.0, len(r) + 1) / sum(range(1, len(r) + 1)) for r in look.rows]
            share = np.full(len(target), 1 / len(target))
            one.update(Batch(one.decisions, target, look.rows, None, share), projection_loss, look)
        weights.append(snapshot(one.policy.language_model))
    assert kept == [True, True, room == 1e9, room == 1e9]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=1e-7)
    assert any(float(value.abs().max()) > 1e-3 for name, value in weights[0].items() if "lora_B" in name)


def test_memory_is_counted_without_the_weights_and_grows_with_tokens_and_trained_layers(tmp_path: Path) -> None:
    sizes = {}
    for layers in (1, 2):
        one = made(tmp_path, layers, budget=100_000)
        model = one.policy.language_model.model
        for which, decisions in (("all", one.decisions), ("few", one.decisions[:8])):
            scorer = one.scorer(Asked(np.arange(len(decisions)), decisions))
            with graph_size(model) as size:
                scores = scorer.scores(scorer.plans[0])
            sizes[which, layers] = sum(size.values())
            assert scores.sums.requires_grad
    assert 1.5 < sizes["all", 1] / sizes["few", 1] < len(one.decisions) / 8
    assert 1.5 < sizes["few", 2] / sizes["few", 1] < 2.5
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    assert not weights & set(size)
    with torch.no_grad(), graph_size(model) as nothing:
        scorer.scores(scorer.plans[0])
    assert not nothing


def test_what_updates_saw_of_replies_is_known_afterwards(tmp_path: Path) -> None:
    one = made(tmp_path)
    whole = one.look(gradient=False)
    truth = [row.copy() for row in whole.rows]
    one.known, one.mass = one.layout.uniform, np.ones(1)  # as if nothing had been asked, and all replies were legal
    one.seen[:] = False
    chosen = np.array([0, 2, 5])
    replies = [np.array([0, 1]), np.array([1]), np.array([0])]
    look = one.look(Asked(chosen, [one.decisions[i] for i in chosen], replies), gradient=False)
    target = [np.full(len(some), 1 / len(some)) for some in replies]
    one.update(Batch(look.asked.decisions, target, [], None, np.full(3, 1 / 3)), imitation_loss, look, glimpse=True)
    assert not one.seen.any()  # until it is recalled
    before, known = one.state(), one.known
    one.recall()
    assert one.known is not known  # so whoever keeps what was found of it finds it anew
    np.testing.assert_array_equal(np.flatnonzero(one.seen), chosen)
    rows = [one.known[one.layout.infosets[i].entries] for i in range(len(one.decisions))]
    np.testing.assert_allclose(rows[0], truth[0], atol=1e-6)  # all its replies were scored
    for i, some in ((2, 1), (5, 0)):
        np.testing.assert_allclose(rows[i][some], truth[i][some] * whole.mass[i], rtol=1e-5)
    for i in set(range(len(rows))) - set(chosen.tolist()):
        np.testing.assert_array_equal(rows[i], [0.5, 0.5])
    np.testing.assert_allclose([row.sum() for row in rows], 1)
    again = made(tmp_path)
    again.load(before)
    again.recall()
    np.testing.assert_array_equal(again.known, one.known)
