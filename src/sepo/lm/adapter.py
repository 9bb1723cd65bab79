"""What of a model is trained: LoRA adapters or all weights, always in float32; saved, restored and anchored."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError

from sepo.errors import InputError
from sepo.lm.load import LanguageModel, without_peft_warning

Weights = Mapping[str, torch.Tensor]
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")


def make_trainable(
    lm: LanguageModel,
    kind: Literal["lora", "full"],
    rank: int = 16,
    alpha: int = 32,
    targets: Literal["attention", "linear"] = "linear",
    seed: int = 0,
    layers: int | None = None,
) -> None:
    """Prepare a model for training, in place.

    LoRA goes to the language model's own linear layers and starts as the identity. Weights that are
    trained are float32 even over a bfloat16 base: small updates would be lost otherwise. Dropout is off.

    Parameters
    ----------
    layers
        Adapt only the last so many of the model's layers: no gradient need pass the ones before them.

    Raises
    ------
    InputError
        If no layer of the wanted names exists.
    """
    if kind == "full":
        lm.model.float().requires_grad_(True)
        lm.dtype = "float32"
        return
    from peft import LoraConfig, get_peft_model

    wanted = ATTENTION if targets == "attention" else LINEAR
    names = [
        name
        for name, module in lm.model.named_modules()
        if name.rsplit(".", 1)[-1] in wanted and not any(part in name for part in ("vision", "audio"))
    ]
    if not names:
        raise InputError(f"model '{lm.reference}' has none of the layers {', '.join(wanted)} to adapt")
    if layers is not None:
        depth = 1 + max(_layer(name) for name in names)
        names = [name for name in names if _layer(name) >= depth - layers]
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=names, task_type="CAUSAL_LM")
    with torch.random.fork_rng(devices=[]), without_peft_warning():
        torch.manual_seed(seed)
        lm.model = get_peft_model(lm.model, config)
    for parameter in trainable(lm).values():
        parameter.data = parameter.data.float()
    lm.model.eval()


def _layer(name: str) -> int:
    """Return the number of the layer that a module belongs to, 0 outside the stack of layers."""
    numbers = [int(part) for part in name.split(".") if part.isdigit()]
    return numbers[0] if numbers else 0


def trainable(lm: LanguageModel) -> dict[str, torch.nn.Parameter]:
    """Return the parameters that are trained, by name."""
    return {name: p for name, p in lm.model.named_parameters() if p.requires_grad}


def snapshot(lm: LanguageModel) -> dict[str, torch.Tensor]:
    """Return a copy of the trained weights."""
    return {name: p.detach().cpu().clone() for name, p in trainable(lm).items()}


def restore(lm: LanguageModel, weights: Weights) -> None:
    """Put trained weights back.

    Raises
    ------
    InputError
        If they belong to another model or adapter.
    """
    own = trainable(lm)
    if set(own) != set(weights):
        raise InputError("the checkpoint's weights are not those of this model and adapter")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(weights[name])


@contextmanager
def anchored(lm: LanguageModel, weights: Weights) -> Iterator[None]:
    """Play as the policy with these trained weights (the reference policy) for a while."""
    current = snapshot(lm)
    restore(lm, weights)
    try:
        yield
    finally:
        restore(lm, current)


def save_model(lm: LanguageModel, folder: Path) -> None:
    """Write what was trained (the adapter, or the whole model) with its tokenizer, as ``hf:`` loads it."""
    try:
        lm.model.save_pretrained(folder)
        lm.tokenizer.save_pretrained(folder)
    except SafetensorError as error:  # how its writer reports a full disk
        raise OSError(errno.EIO, f"the model could not be written in full ({error})") from error
