"""The code blocks of the documentation: where they stand, and what their command lines say.

Knows Markdown and shell words, and nothing of what a command does; ``test_docs_code`` runs them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md")),
]
PROGRAMS = ("sepo", "make", "pip", "pytest", "accelerate", "python")

SYNOPSIS = re.compile(r"\[--|\.\.\.|\b(POLICY|GAME|RECIPE)\b")
"""A line that says how a command is called, rather than calling it."""
STANDS_FOR = {
    "POLICY": "uniform",
    "GAME": "kuhn",
    "RECIPE": "recipes/kuhn.yaml",
    "DIR": "out",
    "FILE": "out.json",
    "N": "4",
    "NAME": "pool",
    "NAME=VALUE": "rounds=3",
    "key=value": "train.steps=1",
}


class Block(NamedTuple):
    """A code block: its page below the root, its line, its kind and its text. An indented block has the kind ``""``."""

    page: str
    line: int
    kind: str
    text: str

    @property
    def place(self) -> str:
        """Where it is, for a message."""
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order."""
    found = []
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            kind = token.info.strip().split(" ")[0]
            found.append(Block(str(page.relative_to(ROOT)), (token.map or [0])[0] + 1, kind, token.content))
    return found


def spans(page: Path) -> Iterator[str]:
    """Yield the code spans of a page's running text."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        yield from (child.content for child in token.children or () if child.type == "code_inline")


def lines(text: str) -> list[str]:
    """Return a shell block's commands, each on one line, without those that are comments alone."""
    whole = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in whole.splitlines() if shlex.split(line, comments=True)]


def is_shell(text: str) -> bool:
    """Return whether an indented block is of commands and nothing else."""
    try:
        return all(shlex.split(line, comments=True)[0] in PROGRAMS for line in lines(text))
    except ValueError:
        return False


def calls(line: str) -> list[list[str]]:
    """Return the words of a command line; of a synopsis, those of a call for each of its alternatives."""
    if not SYNOPSIS.search(line):
        return [shlex.split(line, comments=True)]
    words = shlex.split(re.sub(r"[\[\]]|\.\.\.", "", line), comments=True)
    options = [[STANDS_FOR.get(choice, choice) for choice in word.split("|")] for word in words]
    first = [choices[0] for choices in options]
    others = [(at, choice) for at, choices in enumerate(options) for choice in choices[1:]]
    return [first, *([*first[:at], choice, *first[at + 1 :]] for at, choice in others)]


class Exchange(NamedTuple):
    """A command of a console block, and the lines of its output that are shown."""

    command: str
    shown: list[str]


def exchanges(text: str) -> list[Exchange]:
    """Return the commands of a console block with what stands under each."""
    found: list[Exchange] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Exchange(line[2:], []))
        elif line.strip():
            found[-1].shown.append(line)
    return found


def words_of(line: str) -> list[str]:
    """Return a line's words without the frame of a table."""
    return re.sub(r"[│┃╭╮╰╯─]", " ", line).split()


def shows(real: str, shown: list[str], tolerance: float = 1.5e-4) -> str | None:
    """Return the first line that is shown and that the real output does not have, in order; None if it has all.

    A line is had where its words stand beside each other in a line of the real output, numbers to a last digit.
    """
    rest = iter([words_of(line) for line in real.splitlines()])
    for line in shown:
        wanted = words_of(line)
        if not any(_within(wanted, words, tolerance) for words in rest):
            return line
    return None


def _within(wanted: list[str], words: list[str], tolerance: float) -> bool:
    starts = range(len(words) - len(wanted) + 1)
    return any(all(_alike(a, b, tolerance) for a, b in zip(wanted, words[i:], strict=False)) for i in starts)


def _alike(one: str, other: str, tolerance: float) -> bool:
    try:
        return abs(float(one.strip("[],")) - float(other.strip("[],"))) <= tolerance
    except ValueError:
        return one == other
