"""Where the time of a run goes: functions are timed where they stand, without a change to what calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any, NamedTuple
from unittest.mock import patch


class Part(NamedTuple):
    """A function that is timed.

    Attributes
    ----------
    of, function
        The module, class or object that holds it, and its name there.
    name
        Of the part of the time that it takes, or a function that gives it when called.
    """

    of: object
    function: str
    name: str | Callable[[], str]


class Stopwatch:
    """Adds up the seconds of the parts of a run; where one calls another, the time is the inner one's alone.

    Parameters
    ----------
    rest
        Name of the time that falls to no part.
    """

    def __init__(self, rest: str) -> None:
        self.rest = rest
        self.seconds: dict[str, float] = {}
        self._now = rest
        self._since = 0.0

    @contextmanager
    def running(self, parts: Sequence[Part]) -> Iterator[None]:
        """Time these parts until the end of the block."""
        with ExitStack() as stack:
            for part in parts:
                original = getattr(part.of, part.function)
                stack.enter_context(patch.object(part.of, part.function, self._timed(original, part.name)))
            self._now, self._since = self.rest, perf_counter()
            try:
                yield
            finally:
                self._turn(self.rest)

    def _timed(self, function: Callable[..., Any], name: str | Callable[[], str]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            outer = self._now
            self._turn(name if isinstance(name, str) else name())
            try:
                return function(*args, **kwargs)
            finally:
                self._turn(outer)

        return timed

    def _turn(self, name: str) -> None:
        """Give the time since the last turn to the part that ends, and go on with another."""
        now = perf_counter()
        self.seconds[self._now] = self.seconds.get(self._now, 0.0) + now - self._since
        self._now, self._since = name, now
