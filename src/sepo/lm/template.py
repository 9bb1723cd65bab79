"""Arguments of a chat template (``enable_thinking`` and the like): kept beside a model that was trained with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sepo.errors import InputError
from sepo.files import read_json, write_json
from sepo.lm.identity import TEMPLATE

RENDERING = (
    "conversation",
    "tokenize",
    "add_generation_prompt",
    "continue_final_message",
    "return_dict",
    "return_tensors",
    "return_assistant_tokens_mask",
    "padding",
    "truncation",
    "max_length",
)
"""What a tokenizer's rendering of a template takes beside the template's own arguments."""


def hold_to_text(template: Mapping[str, Any], where: str) -> None:
    """Refuse arguments that are not of a template's text.

    Raises
    ------
    InputError
        If there is one.
    """
    if taken := next((key for key in template if key in RENDERING), None):
        raise InputError(f"{where}: '{taken}' is no argument of a template, but of how it is rendered")


def save_template(template: Mapping[str, Any], folder: Path) -> None:
    """Write the arguments that a model was trained with, if there are any, where ``saved_template`` finds them."""
    if template:
        write_json(folder / TEMPLATE, json.loads(json.dumps(template, default=str)))  # a date renders as it is written


def saved_template(source: str) -> dict[str, Any]:
    """Return the arguments kept beside a model, an adapter or a tokenizer, a folder or a name on the hub.

    Raises
    ------
    InputError
        If the file cannot be read, or holds something else.
    """
    path = Path(source) / TEMPLATE if Path(source).is_dir() else _of_hub(source)
    if path is None or not path.is_file():
        return {}
    found = read_json(path, "template arguments")
    hold_to_text(found, f"'{path}'")
    return found


def told(template: Mapping[str, Any]) -> dict[str, str]:
    """Return what a policy notes of its template's arguments: nothing where there are none."""
    return {"template": json.dumps(template, sort_keys=True, default=str)} if template else {}


def _of_hub(source: str) -> Path | None:
    from transformers.utils import cached_file

    try:
        found = cached_file(
            source,
            TEMPLATE,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    except (OSError, ValueError):  # what is wrong with the name is said where the model is loaded
        return None
    return None if found is None else Path(found)
