"""From a chat and its legal replies to token ids: what is scored, end-of-turn token included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sepo.errors import InputError


class Question(NamedTuple):
    """A prompt and its possible replies in tokens; a reply ends with the end-of-turn token."""

    prompt: tuple[int, ...]
    replies: tuple[tuple[int, ...], ...]


def encode(
    tokenizer: Any, chat: Sequence[tuple[str, str]], replies: Sequence[str], template: Mapping[str, Any]
) -> Question:
    """Tokenise a chat of (role, content) turns and the replies that could follow it.

    A template without a system role gets the system turn in front of the first user turn. The reply is
    tokenised apart from the prompt, since that is where generation starts.

    Raises
    ------
    InputError
        If the chat template does not continue a prompt with the reply that it is given.
    """
    messages = [{"role": role, "content": content} for role, content in chat]
    prompt = prompt_text(tokenizer, chat, template)
    endings = []
    for reply in replies:
        whole = _render(tokenizer, [*messages, {"role": "assistant", "content": reply}], template)
        if whole.startswith(prompt):
            tail = whole[len(prompt) :]
        else:  # templates that put more into the generation prompt (an empty thought, say) than into the past
            at = whole.rfind(reply)
            if at < 0:
                raise InputError(f"the chat template drops the reply '{reply}'")
            tail = whole[at:]
        ids = tokenizer(tail.rstrip(), add_special_tokens=False)["input_ids"]
        endings.append(tuple(ids))
    return Question(tuple(tokenizer(prompt, add_special_tokens=False)["input_ids"]), tuple(endings))


def prompt_text(tokenizer: Any, chat: Sequence[tuple[str, str]], template: Mapping[str, Any]) -> str:
    """Return a chat of (role, content) turns as the text that a model continues with its reply."""
    messages = [{"role": role, "content": content} for role, content in chat]
    return _render(tokenizer, messages, template, add_generation_prompt=True)


def _render(
    tokenizer: Any,
    messages: Sequence[Mapping[str, str]],
    template: Mapping[str, Any],
    *,
    add_generation_prompt: bool = False,
) -> str:
    from jinja2.exceptions import TemplateError

    try:
        text = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=add_generation_prompt, **template
        )
    except TemplateError as error:
        if messages[0]["role"] != "system":
            raise InputError(f"the chat template refuses the chat: {error}") from None
        first, second, *rest = messages
        merged = {"role": "user", "content": f"{first['content']}\n\n{second['content']}"}
        return _render(tokenizer, [merged, *rest], template, add_generation_prompt=add_generation_prompt)
    return str(text)
