"""Every key of a recipe as tables, from the models that validate recipes."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from sepo.train.joint import Joint
from sepo.train.recipe import Arm, Recipe
from sepo.train.sections import Section

BOUNDS = {Ge: ("at least", "ge"), Gt: ("above", "gt"), Le: ("at most", "le"), Lt: ("below", "lt")}


def key(name: str, field: FieldInfo) -> str:
    """Return a field's name as a recipe says it."""
    return field.alias or name


def section(field: FieldInfo) -> type[Section] | None:
    """Return the model of a key that holds further keys."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def kind(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Say what may stand under a key: choices, or a type with its bounds."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(inner[0], inner[1].metadata)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(kind(part, () if part is types.NoneType else metadata) for part in inner)
    if origin in (list, dict, tuple):
        return f"{len(inner)} times {kind(inner[0])}" if origin is tuple else {list: "list", dict: "mapping"}[origin]
    names = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`", types.NoneType: "`null`"}
    bounds = [
        f"{words} {getattr(m, name):g}" for m in metadata for of, (words, name) in BOUNDS.items() if isinstance(m, of)
    ]
    return " ".join([names[annotation], " and ".join(bounds)]).strip()


def default(field: FieldInfo) -> str:
    """Return what holds where a key is left out, as YAML says it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return f"`{json.dumps(value)}`"


def meaning(name: str, field: FieldInfo) -> str:
    """Return what a key means: a joint recipe's is that of a recipe."""
    known = field.description or getattr(Recipe.model_fields.get(name), "description", None)
    if known is None:
        raise ValueError(f"recipe key '{name}' has no description")
    return str(known)


def rows(model: type[Section]) -> Iterator[str]:
    """Write a row a key; a key that holds further ones points to their table."""
    for name, field in model.model_fields.items():
        inner = section(field)
        if inner is not None:
            yield f"| `{key(name, field)}` | mapping | | see [{key(name, field)}](#{key(name, field)}) |"
        else:
            value = kind(field.annotation, field.metadata)
            yield f"| `{key(name, field)}` | {value} | {default(field)} | {meaning(name, field)} |"


def table(title: str, model: type[Section], about: str) -> str:
    """Write one mapping's keys under a heading."""
    head = "| key | value | default | meaning |\n| --- | --- | --- | --- |\n"
    return f"## {title}\n\n{about}\n\n{head}" + "\n".join(rows(model)) + "\n"


def first(model: type[Section]) -> str:
    """Return the first paragraph of a model's docstring, in Markdown."""
    return " ".join((model.__doc__ or "").split("\n\n")[0].split()).replace("``", "`")


def nested(model: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    """Walk the mappings of a recipe, outer ones first."""
    for name, field in model.model_fields.items():
        inner = section(field)
        if inner is not None:
            yield key(name, field), inner
            yield from nested(inner)


def tables() -> str:
    """Write every mapping of a recipe, then a joint recipe's."""
    parts = [table("The recipe", Recipe, first(Recipe)), table("arms", Arm, first(Arm))]
    parts += [table(name, model, first(model)) for name, model in nested(Recipe)]
    parts.append(table("A joint recipe", Joint, "One model trained on several games; see [objective](objective.md)."))
    return "\n".join(parts)
