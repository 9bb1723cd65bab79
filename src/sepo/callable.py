"""Packages that can be called: ``sepo.audit(...)`` beside ``sepo.audit.measures``.

The public functions ``audit``, ``play``, ``report``, ``solve`` and ``train`` have the names of rooms of this package,
and importing ``sepo.audit.measures`` makes ``sepo.audit`` the room. So the room itself is made callable: its module
gets the class below, which hands a call on to the function of that name in ``sepo.api``. That is where the functions
are, with their types; here is nothing but the name. ``sepo.audit`` is one object, a module, whatever was imported.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any


class _Doc:
    """A room's docstring: that of the function, since ``help`` and ``?`` are asked how to call it."""

    def __get__(self, module: ModuleType | None, owner: type) -> str | None:
        return __doc__ if module is None else _function(module).__doc__

    def __set__(self, module: ModuleType, value: str | None) -> None:
        vars(module)["__doc__"] = value


class CallableModule(ModuleType):
    """A room that answers a call as the function of its name in ``sepo.api`` does."""

    def __call__(self, *args: Any, **given: Any) -> Any:
        """Call the function."""
        return _function(self)(*args, **given)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(_function(self))

    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        return import_module, (self.__name__,)  # so that it can be sent to another process, as a function can


setattr(CallableModule, "__doc__", _Doc())  # noqa: B010 - as a statement in the class it would be its docstring


def _function(module: ModuleType) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(import_module("sepo.api"), module.__name__.rpartition(".")[2])
    return found


def make_callable(name: str) -> None:
    """Make a room callable, by its full name; called where the room is imported."""
    sys.modules[name].__class__ = CallableModule
