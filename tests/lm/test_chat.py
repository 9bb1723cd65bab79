"""From chats to tokens: the rules reach the model, and a reply is what it says and ends where its turn ends."""

from __future__ import annotations

import json

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import LlamaTokenizer, PreTrainedTokenizerFast

from sepo.errors import InputError
from sepo.games.kuhn import RULES
from sepo.games.registry import make
from sepo.lm.adapter import make_trainable, trainable
from sepo.lm.chat import encode, prompt_text
from sepo.lm.load import load_model
from sepo.lm.trie import plans, score
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import expand
from tests.models import CHATML, NO_SYSTEM, tiny_model, tiny_tokenizer

DECISIONS = [i.decision for i in expand(make("kuhn")).infosets]
CHAT = (("system", ' Rules: "a" & b.\n'), ("user", "go"))
TURN = "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
OPENED = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


def turns(turn: str, opened: str = OPENED) -> str:
    return "{% for m in messages %}" + turn + "{% endfor %}" + opened


SILENT = turns("{% if m['role'] != 'system' %}" + TURN + "{% endif %}")


def test_a_template_that_leaves_the_system_turn_out_gets_it_in_front_of_the_first_turn():
    refusing, silent = tiny_tokenizer(NO_SYSTEM), tiny_tokenizer(SILENT)
    for decision in DECISIONS:
        chat, words = decision.chat(), decision.words()
        assert chat[0].content in prompt_text(silent, chat, {})
        assert encode(silent, chat, words, {}) == encode(refusing, chat, words, {})


def test_a_template_that_says_the_rules_nowhere_is_refused():
    tokenizer = tiny_tokenizer(turns("<|im_start|>{{ m['role'] }}<|im_end|>"))
    for ask in (lambda: prompt_text(tokenizer, CHAT, {}), lambda: encode(tokenizer, CHAT, ["a"], {})):
        with pytest.raises(InputError, match="leaves out the system turn"):
            ask()


def test_a_template_that_refuses_both_is_refused_in_its_own_words():
    with pytest.raises(InputError, match="refuses the chat: nothing is right"):
        prompt_text(tiny_tokenizer("{{ raise_exception('nothing is right') }}"), CHAT, {})


@pytest.mark.parametrize("filters", ["", " | trim", " | tojson", " | e", " | upper", " | trim | replace(' ', '_')"])
def test_a_template_that_writes_the_system_turn_in_its_own_way_keeps_it_apart(filters):
    tokenizer = tiny_tokenizer(turns(TURN.replace("m['content']", f"m['content']{filters}")))
    text = prompt_text(tokenizer, CHAT, {})
    assert text.startswith("<|im_start|>system\n")
    assert text.count("<|im_end|>") == 2


def test_a_chat_without_a_system_turn_is_left_as_it_is():
    assert prompt_text(tiny_tokenizer(SILENT), CHAT[1:], {}) == prompt_text(tiny_tokenizer(CHATML), CHAT[1:], {})


THINKS = turns(TURN, OPENED.replace("assistant\n", "assistant\n<think>\n\n</think>\n\n"))


@pytest.mark.parametrize("template", [CHATML, NO_SYSTEM, SILENT, THINKS])
def test_a_reply_is_what_it_says_and_the_end_of_its_turn_whatever_the_end_holds(template):
    tokenizer = tiny_tokenizer(template)
    words = ["bid", "end", "d", "i", "m_end", "im_end|>", "nd", "<", "cooperate", "think", "assistant"]
    found = encode(tokenizer, CHAT, words, {}).replies
    assert [tokenizer.decode(ids) for ids in found] == [f"{word}<|im_end|>" for word in words]


@pytest.mark.parametrize("lost", ["", "{{ 'x' if m['role'] == 'assistant' else m['content'] }}"])
def test_a_template_that_drops_what_is_replied_is_refused(lost):
    turn = TURN.replace("{{ m['content'] }}", lost or "{{ m['content'] | replace('bet', 'x') }}")
    with pytest.raises(InputError, match="drops the repl"):
        encode(tiny_tokenizer(turns(turn, OPENED.replace("assistant\n", "assistant\n<think>"))), CHAT, ["bet"], {})


PHI = turns(
    "<|{{ m['role'] }}|>{{ m['content'] }}<|im_end|>",
    "{% if add_generation_prompt %}<|assistant|>{% else %}{{ eos_token }}{% endif %}",
)


@pytest.mark.parametrize("ends", [(), ("<|im_end|>", "<|endoftext|>"), ("<|endoftext|>",)])
def test_a_reply_ends_where_the_model_stops_and_no_end_of_text_that_the_template_adds_is_scored(ends):
    tokenizer = tiny_tokenizer(PHI)
    tokenizer.eos_token = "<|endoftext|>"
    tokenizer.pad_token = "<|endoftext|>"
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") not in tokenizer.all_special_ids
    found = encode(tokenizer, CHAT, ["bet", "check"], {}, [tokenizer.convert_tokens_to_ids(end) for end in ends])
    last = "<|im_end|><|endoftext|>" if len(ends) == 1 else "<|im_end|>"
    assert [tokenizer.decode(ids) for ids in found.replies] == [f"bet{last}", f"check{last}"]


def test_a_model_is_scored_as_far_as_it_writes(tmp_path):
    lm = load_model(tiny_model(tmp_path, template=PHI.replace("{{ eos_token }}", "<|im_start|>")))
    lm.tokenizer.eos_token = "<|im_start|>"
    assert DirectPolicy(lm, "x").question(DECISIONS[0]).replies[0][-2:] == tuple(
        lm.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|im_start|>"])
    )
    lm.model.generation_config.eos_token_id = lm.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|im_start|>"])
    for ids in DirectPolicy(lm, "x").question(DECISIONS[0]).replies:
        assert lm.tokenizer.convert_ids_to_tokens(ids).count("<|im_start|>") == 0
        assert ids[-1] in lm.ends


def llama_tokenizer(template: str) -> LlamaTokenizer:
    """Train a tokenizer that puts a space in front of every text, as those of Llama 2, TinyLlama and Zephyr do."""
    raw = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=list("<|>[]/\nINST▁abcdefghijklmnopqrstuvwxyz")
    )
    raw.train_from_iterator([RULES, "check bet check bet"], trainer)
    made = json.loads(raw.to_str())["model"]
    tokenizer = LlamaTokenizer(vocab=made["vocab"], merges=[tuple(pair) for pair in made["merges"]])
    tokenizer.chat_template = template
    return tokenizer


ZEPHYR = turns(
    "<|{{ m['role'] }}|>\n{{ m['content'] }}{{ eos_token }}\n",
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
)
MISTRAL = turns(
    "{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ '[INST] ' + m['content'] + ' [/INST]' if m['role'] == 'user' else ' ' + m['content'] + eos_token }}",
    "",
)


@pytest.mark.parametrize("template", [ZEPHYR, MISTRAL])
def test_the_tokens_scored_are_those_that_follow_the_prompt_where_a_tokenizer_begins_texts_with_a_space(template):
    tokenizer = llama_tokenizer(template)
    question = encode(tokenizer, CHAT, ["check", "bet"], {})
    text = prompt_text(tokenizer, CHAT, {})
    gap = " " if template is MISTRAL else ""
    for word, ids in zip(["check", "bet"], question.replies, strict=True):
        whole = tokenizer(f"{text}{gap}{word}</s>", add_special_tokens=False)["input_ids"]
        assert [*question.prompt, *ids] == whole


def test_a_reply_that_runs_together_with_the_prompt_is_tokenised_apart():
    joining = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE({":": 0, "a": 1, "b": 2, ":a": 3}, [(":", "a")])), eos_token="<end>"
    )
    joining.chat_template = turns(
        "{{ m['content'] }}", "{% if add_generation_prompt %}:{% else %}<end>{% endif %}"
    ).replace("{{ m['content'] }}", "{{ ':' if m['role'] == 'assistant' }}{{ m['content'] }}")
    question = encode(joining, [("user", "b")], ["a", "b"], {})
    assert question.prompt == (2, 0)
    assert question.replies == ((1, joining.eos_token_id), (2, joining.eos_token_id))


PLAIN = turns("{{ m['role'] }}: {{ m['content'] }}\n\n", "{% if add_generation_prompt %}assistant:{% endif %}")


def test_where_a_template_ends_no_turn_replies_end_with_the_end_of_text():
    tokenizer = tiny_tokenizer(PLAIN)
    found = encode(tokenizer, CHAT, ["1", "10", "100"], {}).replies
    assert [tokenizer.decode(ids) for ids in found] == [" 1<|im_end|>", " 10<|im_end|>", " 100<|im_end|>"]
    tokenizer.eos_token = None
    with pytest.raises(InputError, match="no end-of-text token"):
        encode(tokenizer, CHAT, ["1", "10"], {})


def test_the_legal_mass_of_a_model_whose_template_ends_no_turn_is_no_more_than_one(tmp_path):
    lm = load_model(tiny_model(tmp_path, template=PLAIN))
    make_trainable(lm, "full")
    question = encode(lm.tokenizer, CHAT, ["1", "10", "100"], {})
    (plan,) = plans([question], "trie")
    optimiser = torch.optim.Adam(trainable(lm).values(), lr=3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        (-plan.log_probs(lm.model)[2]).backward()
        optimiser.step()
    found = score(lm.model, [question], "trie")[0].exp()
    assert found[2] > 0.5
    assert found.sum() <= 1 + 1e-5


def test_replies_whose_tokens_begin_others_are_refused_and_one_said_twice_is_not():
    unknown = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"[UNK]": 0, "<end>": 1}, unk_token="[UNK]"))
    )
    unknown.chat_template = turns("{{ m['content'] }}<end>", "")
    with pytest.raises(InputError, match=r"the tokens of the reply '(a|b)' are the first ones of the reply '(a|b)'"):
        encode(unknown, [("user", "x")], ["a", "b"], {})
    assert len(encode(unknown, [("user", "x")], ["a", "a"], {}).replies) == 2
