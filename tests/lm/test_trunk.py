"""What lower blocks computed is kept by prefix: the same figures and gradients, and nothing computed twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from sepo.games.registry import make
from sepo.lm import trunk
from sepo.lm.adapter import blocks, make_trainable, trainable
from sepo.lm.chat import Question
from sepo.lm.load import LanguageModel, load_model
from sepo.lm.trie import plans
from sepo.lm.trunk import forget, remove, trunk_of
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import expand
from tests.models import tiny_model, tiny_named

GAME = make("ipd", {"rounds": 3})


@pytest.fixture
def lm(tmp_path: Path) -> LanguageModel:
    found = load_model(tiny_model(tmp_path))
    make_trainable(found, "lora", rank=4, layers=1)
    with torch.no_grad():
        for k, p in enumerate(trainable(found).values()):
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(k)).to(p))
    return found


def asked(lm: LanguageModel) -> list[Question]:
    policy = DirectPolicy(lm, "x")
    return [policy.question(d) for d in expand(GAME).questions]


def scored(lm: LanguageModel, questions: list[Question], budget: int = 150) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return log-probabilities, plans in order, and their sum's gradient by weight."""
    for p in trainable(lm).values():
        p.grad = None
    found = torch.cat([plan.log_probs(lm.model) for plan in plans(questions, "trie", budget)])
    found.sum().backward()
    return found.detach(), [p.grad.clone() for p in trainable(lm).values() if p.grad is not None]


@contextmanager
def counted(lm: LanguageModel, number: int) -> Iterator[list[int]]:
    """Count the tokens that a block computes, pass by pass: they are seen by its first norm."""
    seen: list[int] = []
    handle = blocks(lm)[number].input_layernorm.register_forward_hook(lambda _, x, out: seen.append(out.shape[1]))
    try:
        yield seen
    finally:
        handle.remove()


def test_figures_and_gradients_are_those_of_whole_passes_however_the_questions_come(lm: LanguageModel) -> None:
    questions = asked(lm)
    rng = np.random.default_rng(0)
    some = [[questions[i] for i in rng.choice(len(questions), n, replace=False)] for n in (1, 7, 20, 3, len(questions))]
    kept = [scored(lm, part) for part in some]
    remove(lm.model)
    for part, (figures, gradient) in zip(some, kept, strict=True):
        want, slope = scored(lm, part)
        assert want.std() > 0.1
        torch.testing.assert_close(figures, want, atol=2e-5, rtol=0)
        assert len(slope) == len(gradient) > 0
        for a, b in zip(gradient, slope, strict=True):
            torch.testing.assert_close(a, b, atol=2e-5 * float(b.abs().max()), rtol=0)


def test_the_same_passes_again_are_the_same_to_the_last_bit(lm: LanguageModel) -> None:
    questions = asked(lm)
    first = scored(lm, questions)
    assert torch.equal(scored(lm, questions)[0], first[0])
    forget(lm.model)
    again = scored(lm, questions)
    assert torch.equal(again[0], first[0])
    assert all(torch.equal(a, b) for a, b in zip(again[1], first[1], strict=True))


def test_what_was_computed_is_not_computed_again(lm: LanguageModel) -> None:
    questions = sorted(asked(lm), key=lambda q: q.prompt)
    few, one = questions[:5], questions[5]
    kept = trunk_of(lm.model)
    assert kept is not None
    assert kept.size == 0  # of the probe nothing is kept
    with counted(lm, 0) as below, counted(lm, 1) as above:
        scored(lm, few, 10_000)
        whole = kept.size
        assert (below, above) == ([whole], [whole])
        scored(lm, few[::-1], 10_000)
        assert (below, above) == ([whole], [whole, whole])
        scored(lm, [one], 10_000)
        assert below[-1] == plans([one], "trie")[0].computed  # the path to what is new, and that
        added = kept.size - whole
        assert 0 < added < below[-1]
        forget(lm.model)
        assert kept.size == 0
        scored(lm, few, 10_000)
        assert below[-1] == whole


def test_memory_is_bounded(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = trunk_of(lm.model)
    assert kept is not None
    questions = asked(lm)
    want = scored(lm, questions)[0]
    monkeypatch.setattr(trunk, "MOST", 400 * 32 * 4)  # 400 tokens of 32 numbers of 4 bytes
    sizes = []
    for plan in plans(questions, "trie", 150):
        with torch.no_grad():
            plan.log_probs(lm.model)
        sizes.append(kept.size)
        assert kept.size <= 400
    assert any(b < a for a, b in pairwise(sizes))
    torch.testing.assert_close(scored(lm, questions)[0], want, atol=2e-5, rtol=0)


def test_a_pass_that_fails_leaves_nothing_wrong_behind(lm: LanguageModel) -> None:
    questions = asked(lm)
    want = scored(lm, questions)[0]
    forget(lm.model)
    handle = blocks(lm)[0].register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        scored(lm, questions)
    handle.remove()
    assert torch.equal(scored(lm, questions)[0], want)


@pytest.mark.parametrize(("kind", "layers"), [("lora", None), ("lora", 2), ("full", None)])
def test_where_the_first_block_is_trained_nothing_is_kept(tmp_path: Path, kind: str, layers: int | None) -> None:
    lm = load_model(tiny_model(tmp_path))
    make_trainable(lm, kind, rank=4, layers=layers)  # type: ignore[arg-type]
    assert trunk_of(lm.model) is None


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_model_whose_upper_blocks_see_more_of_the_lower_ones_is_left_as_it_is(tmp_path: Path, layers: int) -> None:
    """The last two of Gemma's four blocks take keys and values from the first two."""
    lm = load_model(tiny_named(tmp_path, "gemma4"))
    policy = DirectPolicy(lm, "x")
    decisions = expand(make("kuhn")).questions
    want = policy.probabilities(decisions)
    make_trainable(lm, "lora", rank=4, layers=layers)  # which starts as the identity
    assert trunk_of(lm.model) is None
    assert not [b for b in blocks(lm) if "forward" in vars(b)]
    for a, b in zip(policy.probabilities(decisions), want, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
