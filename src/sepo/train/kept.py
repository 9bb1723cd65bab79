"""What was found of some objects, kept while they are the same: a policy that is asked about anew is a new array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The last answer of a function of objects that are replaced and never written to."""

    def __init__(self) -> None:
        self._of: tuple[object, ...] | None = None
        self._found: T

    def __call__(self, find: Callable[[], T], *of: object) -> T:
        """Return what was found of these very objects, in this order, or else what ``find`` finds now."""
        if self._of is None or len(of) != len(self._of) or any(a is not b for a, b in zip(of, self._of, strict=True)):
            self._found = find()
            self._of = of
        return self._found
