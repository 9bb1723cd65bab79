"""Results as data frames of pandas or polars, whichever the reader has; neither is imported until one is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

from sepo.errors import InputError

Kind = Literal["pandas", "polars"]
Columns = Mapping[str, type]
"""Names of columns in order, and what each holds: ``str``, ``float`` or ``int``; any cell may be missing."""
PANDAS = {str: "str", float: "float64", int: "Int64"}
POLARS = {str: "String", float: "Float64", int: "Int64"}


def frame(rows: Sequence[Sequence[Any]], columns: Columns, kind: str = "pandas") -> Any:
    """Make a data frame.

    Parameters
    ----------
    rows
        One tuple a row, None where a cell is missing.
    columns
        Names and types.
    kind
        ``pandas`` or ``polars``.

    Raises
    ------
    InputError
        If there is no such kind, or its library is not installed.
    """
    if kind not in ("pandas", "polars"):
        raise InputError(f"unknown kind of frame '{kind}': it is pandas or polars")
    try:
        library = import_module(kind)
    except ModuleNotFoundError:
        raise InputError(f"{kind} is not installed: pip install 'sepo[frames]'") from None
    if kind == "polars":
        schema = {name: getattr(library, POLARS[of]) for name, of in columns.items()}
        return library.DataFrame(rows, schema=schema, orient="row")
    return library.DataFrame(rows, columns=list(columns)).astype({name: PANDAS[of] for name, of in columns.items()})
