"""From a chat and its legal replies to token ids: what is scored, end-of-turn token included."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from sepo.errors import InputError

Message = Mapping[str, str]
MARK = "8093417265"
"""Stands in for a text to see where a template puts it: digits, which none escapes, trims or writes otherwise."""


class Question(NamedTuple):
    """A prompt and its possible replies in tokens; a reply ends with the end-of-turn token."""

    prompt: tuple[int, ...]
    replies: tuple[tuple[int, ...], ...]


def encode(
    tokenizer: Any,
    chat: Sequence[tuple[str, str]],
    replies: Sequence[str],
    template: Mapping[str, Any],
    ends: Collection[int] = (),
) -> Question:
    """Tokenise a chat of (role, content) turns and the replies that could follow it.

    A template without a system role, or one that leaves the system turn out, gets it in front of the first user turn.
    A reply's tokens are those that follow the prompt's where both are tokenised in one, as in training: apart, many
    tokenizers put a space in front. Only where one token would reach over both is it tokenised apart, since generation
    starts there. It ends with what the template puts after it, as far as the first token that ends a turn, or with the
    tokenizer's end-of-text token where that is nothing but white space.

    Parameters
    ----------
    ends
        Tokens that the model stops at, where they are known; any special token is taken for one where they are not.

    Raises
    ------
    InputError
        If the chat template does not continue a prompt with the reply that it is given, or nothing ends one, or the
        tokens of one begin those of another; or as ``prompt_text`` does.
    """
    messages, prompt = _opened(tokenizer, chat, template)
    before, found, after = _answered(tokenizer, messages, MARK, template).rpartition(MARK)
    if not found:
        raise InputError("the chat template drops the replies")
    end = () if after.strip() else (_end_of_text(tokenizer),)
    beyond = _beyond(tokenizer, after, ends)
    opening = _ids(tokenizer, prompt)
    endings = []
    for reply in replies:
        whole = _answered(tokenizer, messages, reply, template)
        if whole.startswith(prompt):
            tail = whole[len(prompt) :]
        elif whole.startswith(before + reply):
            # templates that put more into the generation prompt (an empty thought, say) than into the past
            tail = whole[len(before) :]
        else:
            raise InputError(f"the chat template drops the reply '{reply}'")
        ids = _ids(tokenizer, prompt + tail.rstrip())
        ids = ids[len(opening) :] if ids[: len(opening)] == opening else _ids(tokenizer, tail.rstrip())
        endings.append((*ids[: len(ids) - beyond], *end))
    _hold_apart(replies, endings)
    return Question(opening, tuple(endings))


def _ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def _beyond(tokenizer: Any, after: str, ends: Collection[int]) -> int:
    """Return how many tokens a template puts after the one that ends a reply's turn, such as the end of the text."""
    ids = _ids(tokenizer, after.rstrip())
    named = (token for token, added in tokenizer.added_tokens_decoder.items() if added.special)
    stops = ends or {*tokenizer.all_special_ids, *named}
    return next((len(ids) - 1 - at for at, token in enumerate(ids) if token in stops), 0)


def _end_of_text(tokenizer: Any) -> int:
    if tokenizer.eos_token_id is None:
        raise InputError(
            "the chat template ends no turn, and the tokenizer has no end-of-text token to end replies with"
        )
    return int(tokenizer.eos_token_id)


def _hold_apart(replies: Sequence[str], endings: Sequence[tuple[int, ...]]) -> None:
    """Refuse replies whose tokens begin another's: the probability of the longer one would be counted twice."""
    order = sorted(dict(zip(replies, endings, strict=True)).items(), key=lambda one: one[1])
    for (reply, short), (other, ids) in pairwise(order):
        if ids[: len(short)] == short:
            raise InputError(f"the tokens of the reply '{reply}' are the first ones of the reply '{other}'")


def prompt_text(tokenizer: Any, chat: Sequence[tuple[str, str]], template: Mapping[str, Any]) -> str:
    """Return a chat of (role, content) turns as the text that a model continues with its reply.

    Raises
    ------
    InputError
        If the chat template refuses the chat, or leaves out what the system turn says wherever it stands.
    """
    return _opened(tokenizer, chat, template)[1]


def _opened(tokenizer: Any, chat: Sequence[tuple[str, str]], template: Mapping[str, Any]) -> tuple[list[Message], str]:
    """Return a chat's turns as the template takes them, and the text that a model continues with its reply."""
    render = partial(_render, tokenizer, template=template, add_generation_prompt=True)
    (role, system), *rest = chat
    if role != "system":
        return _messages(chat), render(_messages(chat))
    for form in (_apart, _merged):
        try:
            text = render(form(system, rest))
            if system.strip() in text or MARK in render(form(MARK, rest)):
                return form(system, rest), text
        except InputError:
            if form is _merged:
                raise
    raise InputError("the chat template leaves out the system turn, and the first user turn too")


def _messages(chat: Sequence[tuple[str, str]]) -> list[Message]:
    return [{"role": role, "content": content} for role, content in chat]


def _apart(system: str, rest: Sequence[tuple[str, str]]) -> list[Message]:
    return _messages([("system", system), *rest])


def _merged(system: str, rest: Sequence[tuple[str, str]]) -> list[Message]:
    (_, first), *later = rest
    return _messages([("user", f"{system}\n\n{first}"), *later])


def _answered(tokenizer: Any, messages: Sequence[Message], reply: str, template: Mapping[str, Any]) -> str:
    return _render(tokenizer, [*messages, {"role": "assistant", "content": reply}], template)


def _render(
    tokenizer: Any, messages: Sequence[Message], template: Mapping[str, Any], *, add_generation_prompt: bool = False
) -> str:
    from jinja2.exceptions import TemplateError

    try:
        text = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=add_generation_prompt, **template
        )
    except TemplateError as error:
        raise InputError(f"the chat template refuses the chat: {error}") from None
    return str(text)
