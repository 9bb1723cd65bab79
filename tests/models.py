"""Tiny causal language models with random weights and a real tokenizer, made on the spot: no network, no download."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
)

from sepo.games.kuhn import CARD_WORDS, RULES, WORDS

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ASKED = CHATML.replace("<|im_start|>assistant\n", "<|im_start|>assistant\n{{ manner }}")
"""Takes an argument."""
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHATML
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


def tiny_tokenizer(template: str = CHATML) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on the game's own words."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    raw.train_from_iterator([RULES, " ".join([*CARD_WORDS.values(), *WORDS.values()])], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|im_end|>")
    tokenizer.chat_template = template
    return tokenizer


def tiny_model(folder: Path, *, window: int | None = None, template: str = CHATML, seed: int = 0) -> str:
    """Save a tiny model, with a sliding attention window if wanted, and return its POLICY string."""
    tokenizer = tiny_tokenizer(template)
    torch.manual_seed(seed)
    if window is None:
        model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **SHAPE))
    else:
        model = MistralForCausalLM(MistralConfig(vocab_size=len(tokenizer), sliding_window=window, **SHAPE))
    with torch.no_grad():  # random weights are nearly uniform; larger ones make the policy depend on the cards
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "embed" not in name:
                parameter.mul_(6.0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return f"hf:{folder}"


def tiny_named(folder: Path, family: str, *, window: int = 512) -> str:
    """Save a tiny model of one of the paper's two families, towers and all, and return its POLICY string."""
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    model = {"gemma4": _gemma4, "qwen3_5": _qwen3_5}[family](len(tokenizer), window)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "embed" not in name:
                parameter.mul_(6.0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return f"hf:{folder}"


def _gemma4(vocabulary: int, window: int) -> PreTrainedModel:
    """Sliding and full attention, layers that share keys and values, an embedding a layer, tied ones, three towers."""
    text = {
        **SHAPE,
        "vocab_size": vocabulary,
        "num_hidden_layers": 4,
        "head_dim": 8,
        "global_head_dim": 8,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "sliding_window": window,
        "num_kv_shared_layers": 2,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": vocabulary,
        "final_logit_softcapping": 30.0,
    }
    tower = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**tower, "intermediate_size": 32, "num_key_value_heads": 2, "head_dim": 8, "patch_size": 4}
    return Gemma4ForConditionalGeneration(Gemma4Config(text_config=text, vision_config=vision, audio_config=tower))


def _qwen3_5(vocabulary: int, window: int) -> PreTrainedModel:
    """Three layers of linear attention to one of full attention, and a tower for images."""
    text = {
        **SHAPE,
        "vocab_size": vocabulary,
        "num_hidden_layers": 4,
        "head_dim": 8,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
    }
    vision = {"hidden_size": 16, "intermediate_size": 32, "depth": 1, "num_heads": 2, "out_hidden_size": 32}
    return Qwen3_5ForConditionalGeneration(Qwen3_5Config(text_config=text, vision_config=vision))
