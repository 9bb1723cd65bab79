"""The pages that the program itself says: written before a build of the site, committed, held to the program by a test.

``python -m docs.hooks.pages`` writes them without building the site.
"""

from __future__ import annotations

import re
from pathlib import Path

from docs.hooks import commands, figures, games, keys
from sepo.files import write_text
from sepo.games.registry import GAMES

DOCS = Path(__file__).parents[1]
KEYS = re.compile(r"(?<=<!-- keys -->\n).*?(?=<!-- end -->)", re.DOTALL)


def generated(folder: Path = DOCS) -> dict[str, str]:
    """Return the text of every generated file, by its path below ``docs``."""
    recipes = (folder / "recipes.md").read_text(encoding="utf-8")
    return {
        "commands.md": commands.page(),
        "recipes.md": KEYS.sub(lambda _: keys.tables(), recipes),
        "games/index.md": games.index(),
        **{f"games/{name}.md": games.page(name) for name in GAMES},
        **{f"images/{name}.svg": text for name, text in figures.pictures().items()},
    }


def write(folder: Path = DOCS) -> list[str]:
    """Write those that are not as they should be; return which."""
    stale = [
        (name, text)
        for name, text in generated(folder).items()
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text
    ]
    for name, text in stale:
        write_text(folder / name, text)
    return [name for name, _ in stale]


if __name__ == "__main__":
    print("\n".join(write()) or "nothing to write")
