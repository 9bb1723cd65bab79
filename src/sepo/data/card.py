"""The card of a data set: which files make which configuration, how they were made, and what is in them, counted.

Its YAML head is what ``datasets.load_dataset`` reads in a folder; the text is for people. It holds no date and no
path, so the same command writes the same card anywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from sepo import __version__
from sepo.data.episodes import Demonstrations, Example, met
from sepo.data.styles import Style
from sepo.games.base import Game
from sepo.verbatim import code

SPLITS = ("train", "test")
ACTIONS = 12  # that have a line of their own

ABOUT = """
Single decisions of scripted players in two-player games, for supervised fine-tuning. A demonstrator is drawn per
episode by its share and meets an opponent of the train, exploiter or collusive pool, never a held-out one; each
decision of the demonstrator is a row. Train and test share no episode, but the same situation may stand in both:
what test measures is how well the mixture was learnt, not play in situations never seen.

`direct`: the completion is the action's word. `reasoned`: it is one sentence of reasoning and a last line `ACTION:`
with the word; the sentence follows from the demonstrator's rule and is true of the situation, and where the
demonstrator draws lots it says so. Both styles show the same decisions, row by row.

| column | meaning |
| --- | --- |
| `prompt` | the chat: rules, then what was seen and done |
| `completion` | the reply, one assistant turn |
| `game`, `episode`, `round`, `seat` | where it was said; rounds count from 1, in Kuhn poker by hand; seats from 0 |
| `demonstrator`, `opponent` | who spoke, and whom it met |
| `key`, `action` | the information state, and the action as the game names it |
"""

USE = """
```python
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

data = load_dataset("{folder}", "{config}")
SFTTrainer("Qwen/Qwen3-0.6B", SFTConfig("out"), train_dataset=data["train"], eval_dataset=data["test"]).train()
```
"""


def folder(game: str) -> str:
    """Return a game's name as a folder and a configuration may be called."""
    return re.sub(r"[^\w.-]+", "-", game)


def path(game: str, style: Style, split: str) -> str:
    """Return where the rows of a split stand in the data set's folder."""
    return f"{folder(game)}/{style}/{split}.jsonl"


def card(sets: Sequence[Demonstrations], styles: Sequence[Style], command: str) -> str:
    """Write the card of the data set that a command made."""
    games = [s.game.name for s in sets]
    made = configs(games, styles)
    head = {
        "license": "apache-2.0",
        "language": ["en"],
        "task_categories": ["text-generation"],
        "tags": ["game-theory", "sepo", "sft", "trl"],
        "configs": made,
    }
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n",
        f"# Demonstrations of {', '.join(games)}\n{ABOUT}",
        f"## Made by\n\n{code(command)} (sepo {__version__})\n",
        f"## Use\n{USE.format(folder='DIR', config=made[0]['config_name'])}",
        *(counts(s, styles) for s in sets),
    ]
    return "\n".join(parts)


def configs(games: Sequence[str], styles: Sequence[Style]) -> list[dict[str, Any]]:
    """Return the configurations: each game in each style and, of several games, all in each style. The first leads."""

    def config(name: str, members: Sequence[str], style: Style) -> dict[str, Any]:
        files = {split: [path(game, style, split) for game in members] for split in SPLITS}
        said = [{"split": split, "path": f if len(f) > 1 else f[0]} for split, f in files.items()]
        return {"config_name": name, "data_files": said}

    whole = [config(style, games, style) for style in styles] if len(games) > 1 else []
    found = whole + [config(f"{folder(game)}_{style}", [game], style) for game in games for style in styles]
    found[0]["default"] = True
    return found


def counts(shown: Demonstrations, styles: Sequence[Style]) -> str:
    """Return a game's section: its rules, and how many rows each style, demonstrator, opponent and action has."""
    game = shown.game
    parts = [shown.split(name) for name in SPLITS]
    rules = ", ".join(f"{name}={value}" for name, value in game.rules.items()) or "none to choose"
    total = [(f"{style} rows", *map(len, parts)) for style in styles]
    total.append(("episodes", *(len({e.episode for e in part}) for part in parts)))

    speakers = [Counter(e.demonstrator.name for e in part) for part in parts]
    spoke = [
        (f"`{policy.name}`: {policy.about}", f"{share:.0%}", *(count[policy.name] for count in speakers))
        for share, policy in game.demonstrators
    ]
    partners = [Counter(e.opponent for e in part) for part in parts]
    faced = [(f"`{name}`: {game.opponents[name].about}", *(count[name] for count in partners)) for name in met(game)]
    return "\n".join(
        (
            f"## {game.name}\n\n{game.title}. Rules: {rules}.\n",
            table(("", *SPLITS), total),
            table(("demonstrator", "share of episodes", *SPLITS), spoke),
            table(("opponent", *SPLITS), faced),
            table(("action", *SPLITS), taken(game, parts)),
        )
    )


def taken(game: Game, parts: Sequence[Sequence[Example]]) -> list[tuple[object, ...]]:
    """Return how often each action was taken: the usual ones by name, the rest together."""
    counted = [Counter(game.bucket(e.action) for e in part) for part in parts]
    every = sorted((sum(counted, Counter[str]())).items(), key=lambda item: (-item[1], item[0]))
    usual = [action for action, _ in every[:ACTIONS]]
    out: list[tuple[object, ...]] = [(f"`{action}`", *(count[action] for count in counted)) for action in usual]
    if others := len(every) - len(usual):
        rest = [count.total() - sum(count[action] for action in usual) for count in counted]
        out.append((f"{others} others", *rest))
    return out


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table whose first column is text and whose others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"
