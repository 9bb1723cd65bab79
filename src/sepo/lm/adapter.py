"""What of a model is trained: LoRA adapters or all weights, always in float32; saved, restored and anchored."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError

from sepo.errors import InputError
from sepo.files import read_json, write_json
from sepo.lm import lora, trunk
from sepo.lm.chat import Question
from sepo.lm.identity import has_adapter
from sepo.lm.load import LanguageModel, without_peft_warning
from sepo.lm.template import save_template
from sepo.lm.trie import plans

Weights = Mapping[str, torch.Tensor]


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

    LoRA starts as the identity. Weights that are trained are float32 even over a bfloat16 base: small updates would be
    lost otherwise. Dropout is off.

    Parameters
    ----------
    targets, layers
        What LoRA goes to: see ``adapted``.

    Raises
    ------
    InputError
        If there is nothing of that kind, or the model has an adapter already.
    """
    hold_to_whole(lm.reference, lm.model)
    if kind == "full":
        lm.model.float().requires_grad_(True)
        lm.dtype = "float32"
        return
    from peft import LoraConfig, get_peft_model

    names = adapted(lm, targets, layers)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=names, task_type="CAUSAL_LM")
    with torch.random.fork_rng(devices=[]), without_peft_warning():
        torch.manual_seed(seed)
        lm.model = get_peft_model(lm.model, config)
    for parameter in trainable(lm).values():
        parameter.data = parameter.data.float()
    lm.model.eval()
    lora.prepare(lm.model)
    trunk.prepare(lm.model, list(blocks(lm)), lambda: _probe(lm.model))


def hold_to_whole(reference: str, model: Any = None) -> None:
    """Refuse to train a model that has an adapter: what is saved of it would be the adapter, or the rest, and not both.

    Raises
    ------
    InputError
        If the POLICY string or the model, where it is loaded, says that there is one.
    """
    if has_adapter(reference) or getattr(model, "peft_config", None):
        raise InputError(
            f"model '{reference}' has an adapter already: training starts from one that has none. Merge it and save "
            "it as a model of its own: two lines, in docs/recipes.md"
        )


def _probe(model: Any) -> torch.Tensor:
    """Score two questions in a trie after one of them. Any tokens will do."""
    questions = [Question((1, 2, 3, 4), ((5, 6), (7,))), Question((1, 2, 8), ((6,), (5, 1)))]
    laid = [plans(some, "trie")[0] for some in (questions[:1], questions)]
    return torch.cat([plan.log_probs(model) for plan in laid])


def adapted(
    lm: LanguageModel, targets: Literal["attention", "linear"] = "linear", layers: int | None = None
) -> list[str]:
    """Return the names of the modules that LoRA goes to: linear layers within the blocks of the text decoder.

    They are found by structure. Embeddings, the head, and the towers of a multimodal model for images and sound are no
    part of those blocks and stay untouched.

    Parameters
    ----------
    targets
        ``linear``: all of them. ``attention``: those of the blocks' attention, linear attention included.
    layers
        Only of the last so many blocks: no gradient need pass the ones before them.

    Raises
    ------
    InputError
        If there are none.
    """
    found = blocks(lm)
    place = next(name for name, module in lm.model.named_modules() if module is found)
    first = 0 if layers is None else max(0, len(found) - layers)
    names = [
        f"{place}.{number}.{name}"
        for number, block in enumerate(found)
        for name, module in block.named_modules()
        if number >= first and isinstance(module, torch.nn.Linear) and (targets == "linear" or "att" in name)
    ]
    if not names:
        raise InputError(f"the blocks of model '{lm.reference}' have no linear layer to adapt")
    return names


def blocks(lm: LanguageModel) -> torch.nn.ModuleList:
    """Return the blocks of the text decoder, found by structure.

    Raises
    ------
    InputError
        If it has none.
    """
    decoder = lm.model.get_decoder()
    depth = decoder.config.num_hidden_layers
    found = next((m for m in decoder.children() if isinstance(m, torch.nn.ModuleList) and len(m) == depth), None)
    if found is None:
        raise InputError(f"the text decoder of model '{lm.reference}' has no {depth} blocks to adapt")
    return found


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
    """Write what was trained (the adapter, or the whole model) with its tokenizer and its template's arguments.

    ``hf:`` loads it as it was asked in training.

    The same weights leave the same files.
    """
    try:
        lm.model.save_pretrained(folder)
        if (config := folder / "adapter_config.json").exists():  # peft keeps names of modules in a set
            document = read_json(config, "adapter configuration")
            if isinstance(names := document["target_modules"], list):
                write_json(config, document | {"target_modules": sorted(names)})
        lm.tokenizer.save_pretrained(folder)
        save_template(lm.template, folder)
    except SafetensorError as error:  # how its writer reports a full disk
        raise OSError(errno.EIO, f"the model could not be written in full ({error})") from error
