"""Exact computation on game trees held as flat arrays. numpy only; knows no model."""

from sepo.callable import make_callable

make_callable(__name__)  # ``sepo.solve(...)`` is ``sepo.api.solve(...)``
