"""The reasoned style: a model writes freely first, and its action stands on the last line, after ``ACTION:``.

A game's own chat asks for the bare reply, the direct style. The reasoned one has the same turns. Its system turn says
one sentence more, and own earlier replies are shown without their reasoning: so what a model is asked still depends
on its information state alone, not on what it wrote on the way there.

A reply is read strictly. Its turn must have ended, what is thought is set aside, and the last line must be the mark
and one legal answer, nothing else. An action in the middle of prose, a line that a quoted opponent is said to have
written, a line cut short: none of them is an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

MARK = "ACTION:"
REQUEST = f"First write one sentence of reasoning, then a last line that is {MARK} and your answer."
THOUGHTS = (("<think>", "</think>"), ("<|channel>", "<channel|>"))
"""What opens and closes a section of thought, by family of chat templates: Qwen and DeepSeek; Gemma 4."""

BLANKS = " \t\r"
LINE = re.compile(rf"[{BLANKS}]*{MARK}[{BLANKS}]*(.*?)[{BLANKS}]*", re.IGNORECASE | re.ASCII)

Fault = Literal["illegal", "truncated"]


class Reply(NamedTuple):
    """What a model wrote.

    Attributes
    ----------
    finished
        Whether it ended its turn, rather than running out of tokens.
    """

    text: str
    finished: bool


def asked(chat: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return a game's chat of (role, content) turns in the reasoned style; one without rules gets a system turn."""
    turns = [(role, last_line(said) if role == "assistant" else said) for role, said in chat]
    if turns and turns[0][0] == "system":
        return [("system", f"{turns[0][1]} {REQUEST}"), *turns[1:]]
    return [("system", REQUEST), *turns]


def reply(reason: str, word: str) -> str:
    """Return a whole reply: the sentence, then the line of the action."""
    return f"{reason}\n{last_line(word)}"


def last_line(word: str) -> str:
    """Return the line that ends a reply."""
    return f"{MARK} {word}"


def read(written: Reply, words: Sequence[str]) -> int | Fault:
    """Return which of the legal answers a reply gives.

    Blanks around the mark and the answer do not matter, nor does letter case where it tells no answers apart.

    Parameters
    ----------
    words
        The legal answers.

    Returns
    -------
    The place of the answer in ``words``; ``truncated`` where the reply, or a thought in it, never ended; else
    ``illegal``.
    """
    said = _spoken(written)
    if said is None:
        return "truncated"
    line = LINE.fullmatch(said.rstrip(BLANKS + "\n").rpartition("\n")[2])
    return "illegal" if line is None else _which(line[1], words)


def read_bare(written: Reply, words: Sequence[str]) -> int | Fault:
    """Return which of the legal answers a reply in the direct style gives, as ``read`` does: it must be that alone."""
    said = _spoken(written)
    return "truncated" if said is None else _which(said.strip(BLANKS + "\n"), words)


def _which(answer: str, words: Sequence[str]) -> int | Fault:
    exact = [i for i, word in enumerate(words) if answer == word]
    alike = [i for i, word in enumerate(words) if re.fullmatch(re.escape(word), answer, re.IGNORECASE | re.ASCII)]
    found = exact or alike
    return found[0] if len(found) == 1 else "illegal"


def _spoken(written: Reply) -> str | None:
    """Return what follows the last thought; None where the turn, or a thought in it, did not end."""
    text = written.text
    for opens, closes in THOUGHTS:
        text = text.rpartition(closes)[2]
        if opens in text:
            return None
    return text if written.finished else None
