"""Safe Equilibrium Policy Optimization: train language-model agents, audit the strategic safety of any policy.

The names below are those of ``sepo.api``. They are looked up when they are first used, so importing ``sepo`` takes no
time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sepo.api import (
        Ceiling,
        Comparison,
        Episodes,
        Figure,
        InputError,
        Match,
        PolicyTable,
        Run,
        Scorecard,
        audit,
        compare,
        elicit,
        exploit,
        load_game,
        load_policy,
        load_run,
        load_scorecard,
        match,
        play,
        report,
        solve,
        train,
    )

__version__ = "0.1.0"
__all__ = [
    "Ceiling",
    "Comparison",
    "Episodes",
    "Figure",
    "InputError",
    "Match",
    "PolicyTable",
    "Run",
    "Scorecard",
    "audit",
    "compare",
    "elicit",
    "exploit",
    "load_game",
    "load_policy",
    "load_run",
    "load_scorecard",
    "match",
    "play",
    "report",
    "solve",
    "train",
]
_ROOMS = {"audit", "play", "report", "solve", "train"}  # packages of the same names, which can be called


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"sepo.{name}")
    if name in __all__:
        return getattr(import_module("sepo.api"), name)
    raise AttributeError(f"module 'sepo' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
