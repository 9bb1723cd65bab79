"""Files that are whole or absent: everything is written to a temporary name and renamed.

A link stays one, and the file that it names is written; a file that was there keeps its mode. What is no file, such as
``/dev/stdout`` or a named pipe, is never replaced: what is whole is written to it.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sepo.errors import InputError
from sepo.printable import json_printable

PathLike = str | os.PathLike[str]


def path_of(given: PathLike) -> Path:
    """Return a path given as text or as itself.

    Raises
    ------
    InputError
        If it is neither.
    """
    try:
        return Path(os.fspath(given))
    except TypeError:
        raise InputError(f"a file or folder is text or a path, not {type(given).__name__}") from None


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file or folder beside ``path``, then rename it into place.

    What stood at ``path`` stays whole until the new content is complete, and stays if writing fails.

    Raises
    ------
    InputError
        If the file cannot be written (no permission, no space, not a folder).
    """
    scratch: Path | None = None
    try:
        sink = _is_sink(path)
        place = Path(os.path.realpath(path))
        if not sink:
            place.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=None if sink else place.parent))
        made = scratch / place.name
        write(made)
        if sink:
            with made.open("rb") as whole, path.open("wb") as out:
                shutil.copyfileobj(whole, out)
        elif made.is_dir() and place.exists():
            old = scratch / "replaced"
            place.rename(old)
            try:
                made.rename(place)
            except OSError:
                old.rename(place)  # what stood there comes back
                raise
        else:
            if place.is_file():
                shutil.copymode(place, made)
            made.replace(place)
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def check_writable(path: Path, *, folder: bool = False) -> None:
    """Refuse a place that cannot be written, before there is anything to write; nothing is left there.

    Parameters
    ----------
    folder
        Whether it is a folder that will be written, rather than a file.

    Raises
    ------
    InputError
        As ``write_atomic`` does.
    """
    try:
        if path.is_dir() and not folder:
            raise InputError(f"cannot write '{path}': it is a folder; name a file")
        if not _is_sink(path):
            place = Path(os.path.realpath(path))
            there = next((above for above in place.parents if above.exists()), place)
            with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=there) as scratch:
                (scratch / place.relative_to(there)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror or error}") from error


def _is_sink(path: Path) -> bool:
    """Whether there is something that is written to and holds nothing: a device or a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()


def write_text(path: Path, text: str) -> None:
    """Write ``text`` whole or not at all; see ``write_atomic``."""

    def write(made: Path) -> None:
        with made.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    write_atomic(path, write)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document whole or not at all."""
    write_text(path, dump_json(document) + "\n")


def dump_json(document: Any) -> str:
    """Return readable JSON; NaN and infinities are refused, since JSON has none, and hidden characters are escaped."""
    return json_printable(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    InputError
        If there is no such file, or it holds no JSON object; ``what`` names the kind of file.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: math.nan)
    except FileNotFoundError:
        raise InputError(f"no {what} at '{path}'") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {what} '{path}': {error}") from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"{what} '{path}' is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, or nesting without end
        raise InputError(f"{what} '{path}' is not JSON that can be read: {error}") from None
    if not isinstance(document, Mapping):
        raise InputError(f"{what} '{path}' must hold a JSON object, not {type(document).__name__}")
    return dict(document)


def cache_folder() -> Path:
    """Return where converted models and kept answers go: ``$SEPO_CACHE``, or ``sepo`` in the user's cache folder.

    A variable that is empty counts as unset.

    Raises
    ------
    InputError
        If neither is known.
    """
    if own := os.environ.get("SEPO_CACHE"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "sepo"
    try:
        return Path.home() / ".cache" / "sepo"
    except RuntimeError:
        raise InputError("no home folder is known to keep models and answers in: set SEPO_CACHE to a folder") from None
