"""One way of scoring: tries, padded batches and one-by-one passes give the same figures and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma3Config,
    Gemma4Config,
    Llama4Config,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3_5Config,
)

from sepo.games.registry import make
from sepo.lm.chat import Question, encode
from sepo.lm.load import load_model
from sepo.lm.trie import plans, score, trie_agrees, window
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import expand
from tests.models import NO_SYSTEM, tiny_model, tiny_named, tiny_tokenizer

TREE = expand(make("kuhn"))
DECISIONS = [i.decision for i in TREE.infosets]


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    reference = tiny_model(tmp_path_factory.mktemp("tiny"))
    return DirectPolicy(load_model(reference), reference)


def by_hand(model, question: Question) -> list[float]:
    """Sum token log-probabilities of each reply with plain forward passes, one a reply."""
    out = []
    for reply in question.replies:
        ids = torch.tensor([question.prompt + reply], device=model.device)
        with torch.no_grad():
            scores = torch.log_softmax(model(input_ids=ids).logits[0].double(), dim=-1)
        start = len(question.prompt) - 1
        out.append(sum(float(scores[start + k, token]) for k, token in enumerate(reply)))
    return out


def check_padded(policy: DirectPolicy, answers) -> None:
    """Check that a policy fell back to padded batches, and that its answers are those of plain passes."""
    assert policy.about()["packing"] == "padded"
    for decision, p in zip(DECISIONS, answers, strict=True):
        raw = np.exp(by_hand(policy.language_model.model, policy.question(decision)))
        np.testing.assert_allclose(p, raw / raw.sum(), rtol=1e-4)
        assert policy.legal_mass()[decision.key] == pytest.approx(raw.sum(), rel=1e-4)


@pytest.mark.parametrize("packing", ["trie", "padded", "single"])
@pytest.mark.parametrize("budget", [1, 150, 100_000])
def test_every_packing_and_budget_gives_the_log_probabilities_of_plain_passes(policy, packing, budget):
    questions = [policy.question(d) for d in DECISIONS]
    found = score(policy.language_model.model, questions, packing, budget)
    for question, scores in zip(questions, found, strict=True):
        np.testing.assert_allclose(scores.cpu().numpy(), by_hand(policy.language_model.model, question), atol=2e-5)


@pytest.mark.parametrize("packing", ["trie", "padded", "single"])
def test_replies_that_begin_other_replies_are_scored_once(policy, packing):
    question = Question(tuple(range(10, 20)), ((30, 1), (30, 31, 1), (30, 32, 1), (1,)))
    (found,) = score(policy.language_model.model, [question], packing)
    np.testing.assert_allclose(found.cpu().numpy(), by_hand(policy.language_model.model, question), atol=2e-5)


def test_a_trie_computes_each_shared_token_once(policy):
    questions = [policy.question(d) for d in DECISIONS]
    (packed,) = plans(questions, "trie", 100_000)
    rows = {q.prompt + r[:-1] for q in questions for r in q.replies}
    prefixes = {row[: k + 1] for row in rows for k in range(len(row))}
    assert packed.computed == len(prefixes)
    (padded,) = plans(questions, "padded", 100_000)
    assert padded.computed > 4 * packed.computed


def test_plans_keep_to_the_budget_and_answer_every_question_once(policy):
    questions = [policy.question(d) for d in DECISIONS]
    longest = max(len(q.prompt) + sum(len(r) - 1 for r in q.replies) for q in questions)
    found = plans(questions, "trie", longest + 20)
    assert len(found) > 1
    assert all(plan.computed <= longest + 20 for plan in found)
    assert sorted(i for plan in found for i in plan.questions) == list(range(len(questions)))


def test_repeated_questions_cost_nothing(policy):
    questions = [policy.question(d) for d in DECISIONS]
    (once,), (twice,) = plans(questions, "trie", 100_000), plans(questions * 2, "trie", 100_000)
    assert twice.computed == once.computed


def test_a_model_that_sees_its_ancestors_passes_the_self_check(policy):
    agrees, worst = trie_agrees(policy.language_model.model, [policy.question(d) for d in DECISIONS], 1e-3)
    assert agrees
    assert worst < 1e-4


def test_a_sliding_window_shorter_than_the_prompt_falls_back_to_padding_and_gives_the_right_table(tmp_path, caplog):
    reference = tiny_model(tmp_path / "window", window=16)
    policy = DirectPolicy(load_model(reference), reference)
    answers = policy.probabilities(DECISIONS)
    assert "padded" in caplog.text
    check_padded(policy, answers)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["mistral", "gemma4"])
def test_a_window_shorter_than_prompt_and_reply_is_known_by_the_models_shape_and_not_by_its_figures(
    tmp_path, dtype, family
):
    def policy(size: int) -> DirectPolicy:
        folder = tmp_path / str(size)
        made = tiny_model(folder, window=size) if family == "mistral" else tiny_named(folder, family, window=size)
        return DirectPolicy(load_model(made, dtype=dtype), made)

    questions = [policy(512).question(d) for d in DECISIONS]
    longest = max(len(q.prompt) + max(map(len, q.replies)) for q in questions)
    assert policy(longest).packing(questions) == "trie"
    short = policy(longest - 1)
    assert short.packing(questions) == "padded"
    shorter = [q for q in questions if len(q.prompt) + max(map(len, q.replies)) < longest]
    assert short.packing(shorter) == "trie"
    assert short.packing(questions) == "padded"


@pytest.mark.parametrize(
    ("config", "size"),
    [
        (LlamaConfig(), None),
        (MistralConfig(sliding_window=None), None),
        (MistralConfig(sliding_window=64), 64),
        (Qwen2Config(sliding_window=64), None),
        (Qwen2Config(sliding_window=64, use_sliding_window=True, max_window_layers=0), 64),
        (Qwen2Config(sliding_window=64, use_sliding_window=True, max_window_layers=99), None),
        (Gemma2Config(sliding_window=64), 64),
        (Gemma3Config(text_config={"sliding_window": 64}), 64),
        (Gemma3Config(text_config={"sliding_window": 64, "layer_types": ["full_attention"] * 26}), None),
        (Gemma4Config(text_config={"sliding_window": 64}), 64),
        (Qwen3_5Config(), None),
        (Llama4Config(text_config={"attention_chunk_size": 64}), 64),
    ],
    ids=lambda x: type(x).__name__ if x is not None and not isinstance(x, int) else str(x),
)
def test_windows_are_found_however_a_model_says_them(config, size):
    class Model:
        pass

    model = Model()
    model.config = config
    assert window(model) == size


def test_a_model_that_takes_no_packed_mask_falls_back_to_padding(tmp_path, caplog):
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    config = BloomConfig(vocab_size=len(tokenizer), hidden_size=32, n_layer=2, n_head=4)
    BloomForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    policy = DirectPolicy(load_model(f"hf:{tmp_path}"), "bloom")
    answers = policy.probabilities(DECISIONS)
    assert "prompt tries are not taken" in caplog.text
    check_padded(policy, answers)


def test_replies_end_with_the_end_of_turn_token_and_prompts_with_the_assistants_turn():
    tokenizer = tiny_tokenizer()
    question = encode(tokenizer, DECISIONS[0].chat(), DECISIONS[0].words(), {})
    assert tokenizer.decode(question.prompt).endswith("<|im_start|>assistant\n")
    assert [tokenizer.decode(r) for r in question.replies] == ["check<|im_end|>", "bet<|im_end|>"]


def test_a_template_without_a_system_role_gets_the_rules_in_front_of_the_first_turn():
    plain = tiny_tokenizer(NO_SYSTEM)
    text = plain.decode(encode(plain, DECISIONS[0].chat(), DECISIONS[0].words(), {}).prompt)
    rules, first = (t.content for t in DECISIONS[0].chat())
    assert text.startswith(f"<|im_start|>user\n{rules}\n\n{first}")


def test_longer_chats_extend_shorter_ones_in_tokens():
    tokenizer = tiny_tokenizer()
    at = {d.key: encode(tokenizer, d.chat(), d.words(), {}).prompt for d in DECISIONS}
    for card in "JQK":
        assert at[f"{card}:pb"][: len(at[f"{card}:"])] == at[f"{card}:"]
