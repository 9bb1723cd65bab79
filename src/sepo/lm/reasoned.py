"""The reasoned style: a model writes one sentence first, and its action stands on the last line, after ``ACTION:``.

A game's own chat asks for the bare reply, the direct style. The reasoned one has the same turns. Its system turn says
one sentence more, and own earlier replies are shown without their reasoning: so what a model is asked still depends
on its information state alone, not on what it wrote on the way there.
"""

from __future__ import annotations

from collections.abc import Iterable

MARK = "ACTION:"
REQUEST = f"First write one sentence of reasoning, then a last line that is {MARK} and your answer."


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
