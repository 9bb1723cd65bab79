"""A data set's folder: ``GAME/STYLE/SPLIT.jsonl`` and the card, whole or absent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sepo.data.card import SPLITS, card, path
from sepo.data.episodes import Demonstrations
from sepo.data.styles import Style, line
from sepo.errors import InputError
from sepo.files import check_writable, write_atomic


def check_free(out: Path) -> None:
    """Refuse a folder that holds something, or cannot be written.

    Raises
    ------
    InputError
        If ``out`` is a file, a folder that is not empty, or the one that the program was started in, or it cannot be
        written.
    """
    if out.exists() and out.samefile(Path.cwd()):  # it is replaced whole, and whoever stands in it would stand nowhere
        raise InputError(f"'{out}' is the folder that you are in: name another, new or empty")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"'{out}' is {'not empty' if out.is_dir() else 'no folder'}: name a new or empty folder")
    check_writable(out, folder=True)


def write_folder(out: Path, sets: Sequence[Demonstrations], styles: Sequence[Style], command: str) -> None:
    """Write the demonstrations of some games in some styles, and the card, which names the command.

    Raises
    ------
    InputError
        If ``out`` holds something or cannot be written.
    """
    check_free(out)

    def write(made: Path) -> None:
        for shown in sets:
            for style in styles:
                for split in SPLITS:
                    file = made / path(shown.game.name, style, split)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    with file.open("w", encoding="utf-8", newline="\n") as lines:
                        lines.writelines(line(example, style) for example in shown.split(split))
        (made / "README.md").write_text(card(sets, styles, command), encoding="utf-8", newline="\n")

    write_atomic(out, write)
