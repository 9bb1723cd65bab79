"""What is installed with an extra alone, and what is said where it is missing: looked for, never imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from sepo.errors import InputError

LIBRARIES: Mapping[str, Sequence[str]] = {
    "lm": ("torch", "transformers", "peft", "accelerate", "gguf", "safetensors"),
    "ray": ("ray",),
    "report": ("plotly",),
}
"""By extra, the modules of its libraries."""


def missing(extra: str) -> list[str]:
    """Return the libraries of an extra that are not installed."""
    return [name for name in LIBRARIES[extra] if find_spec(name) is None]


def install(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install 'sepo[{extra}]'"


def hold_to_extra(extra: str, need: str) -> None:
    """Refuse what needs an extra, before anything is loaded or written.

    Parameters
    ----------
    need
        The head of what is said, such as ``language models need``.

    Raises
    ------
    InputError
        If a library of the extra is not installed, naming it and how to install the extra.
    """
    if absent := missing(extra):
        raise InputError(f"{need} {', '.join(absent)}: {install(extra)}")
