"""The files that ``sepo games new`` writes: a whole small game, its test and its package, to start from.

They are templates with two placeholders, ``my_game`` and ``MyGame``; nothing else in them changes.
"""

from __future__ import annotations

import ast
import keyword
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from sepo.errors import InputError
from sepo.files import write_text
from sepo.games.registry import RESERVED, names

TEMPLATES: Mapping[str, str] = {
    "my_game.py": "game.py.txt",
    "test_my_game.py": "test_game.py.txt",
    "pyproject.toml": "pyproject.toml.txt",
}


def class_name(name: str) -> str:
    """Return the name of a game's class: ``StagHunt`` for ``stag_hunt``, ``HuntGame`` where a file has its own Hunt."""
    plain = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    return f"{plain}Game" if plain in _used() or keyword.iskeyword(plain) else plain


@cache
def _used() -> frozenset[str]:
    """Return the names that the files' own code has."""
    found = set()
    for source in TEMPLATES.values():
        if source.endswith(".py.txt"):
            for node in ast.walk(ast.parse(_text(source))):
                match node:
                    case ast.Name(id=name) | ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                        found.add(name)
                    case ast.alias():
                        found.add(node.asname or node.name)
    return frozenset(found - {"MyGame"})


def _text(source: str) -> str:
    return (files(__name__) / source).read_text(encoding="utf-8")


def filled(template: str, name: str) -> str:
    """Return a text with its placeholders replaced by a game's name and class."""
    words = {"my_game": name, "MyGame": class_name(name)}
    return re.sub("|".join(words), lambda found: words[found[0]], template)


def write_game(name: str, folder: Path) -> list[Path]:
    """Write a game, its test and its package into a folder; return the files.

    Raises
    ------
    InputError
        If the name cannot be a new game's, or one of the files exists; then nothing is written.
    """
    _check_name(name)
    made = {folder / filled(target, name): source for target, source in TEMPLATES.items()}
    if there := [path for path in made if path.exists()]:
        raise InputError(f"'{there[0]}' exists and is not overwritten: choose another folder with --out")
    _check_module(name)
    texts = {path: _text(source) for path, source in made.items()}
    for path, text in texts.items():
        write_text(path, filled(text, name))
    return list(made)


def _check_name(name: str) -> None:
    if not re.fullmatch("[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?", name) or keyword.iskeyword(name):
        raise InputError(f"'{name}' cannot name a game: use letters, digits and underscores, such as stag_hunt")
    if name in names() or name in RESERVED:
        raise InputError(f"'{name}' is taken: the games are {', '.join(names())}")


def _check_module(name: str) -> None:
    """Refuse a name whose file would hide another Python module of that name, or be hidden by it."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if name in sys.stdlib_module_names or (spec is not None and spec.origin is not None):
        raise InputError(f"'{name}' is the name of a Python module: choose another one for the game")
