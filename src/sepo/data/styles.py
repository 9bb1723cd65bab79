"""An example as a row: prompt and completion in the direct or the reasoned style, and the columns that say whence.

Rows are conversational prompt-completion data as TRL's SFTTrainer reads it: it puts the chat template around both
and, since there is a completion, takes the loss on the completion alone. It looks at no other column.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from sepo.data.episodes import Example
from sepo.errors import InputError
from sepo.games.base import Game
from sepo.lm import reasoned

Style = Literal["direct", "reasoned"]


def check(game: Game, style: Style) -> None:
    """Refuse the reasoned style where a demonstrator has no reasons.

    Raises
    ------
    InputError
        If one has none; the message names the game.
    """
    mute = [policy.name for _, policy in game.demonstrators if policy.reason is None]
    if style == "reasoned" and mute:
        raise InputError(
            f"game '{game.name}' has no reasons for its demonstrator '{mute[0]}': only --style direct is possible"
        )


def row(example: Example, style: Style) -> dict[str, Any]:
    """Return an example as one line of a data set, in its decision's wording: question, reason and reply."""
    decision, speaker = example.decision, example.demonstrator
    chat: list[tuple[str, str]] = list(decision.chat())
    said = decision.word(example.action)
    if style == "reasoned":
        assert speaker.reason is not None, "checked before any play"
        reason = speaker.reason(decision, example.action)
        reason = reason if decision.wording is None else decision.wording.say(reason)
        chat, said = reasoned.asked(chat), reasoned.reply(reason, said)
    return {
        "prompt": [{"role": role, "content": content} for role, content in chat],
        "completion": [{"role": "assistant", "content": said}],
        "game": decision.game.name,
        "episode": example.episode,
        "round": example.round,
        "seat": decision.seat,
        "demonstrator": speaker.name,
        "opponent": example.opponent,
        "key": decision.key,
        "action": example.action,
    }


def line(example: Example, style: Style) -> str:
    """Return the row as one line of JSON."""
    return json.dumps(row(example, style), ensure_ascii=False) + "\n"
