"""Writers whose policy is known: they answer from a table, as a model would, by the random numbers they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sepo.games.base import Game
from sepo.games.wording import ORIGINAL, Wording, reword
from sepo.lm.reasoned import Reply, asked, reply
from sepo.solve.expand import expand

Table = Mapping[str, Mapping[str, float]]


def random_table(game: Game, seed: int, concentration: float = 1.0) -> dict[str, dict[str, float]]:
    """Draw a policy of a small game; a low concentration makes it almost pure."""
    rng = np.random.default_rng(seed)
    return {
        d.key: dict(zip(d.legal, rng.dirichlet([concentration] * len(d.legal)).tolist(), strict=True))
        for d in expand(game).questions
    }


class TableWriter:
    """Answers from a table, asked in one wording; a share of its replies, ``fault``, is no answer at all."""

    def __init__(self, game: Game, table: Table, fault: float = 0.0, wording: Wording = ORIGINAL) -> None:
        decisions = [reword(d, wording) for d in expand(game).questions]
        self.rows = {tuple(asked(d.chat())): (d, np.array([table[d.key][a] for a in d.legal])) for d in decisions}
        self.fault = fault

    def write(self, chats: Sequence[Sequence[tuple[str, str]]], lots: np.ndarray) -> list[Reply]:
        out = []
        for chat, (spoilt, drawn) in zip(chats, lots[:, :2].tolist(), strict=True):
            decision, row = self.rows[tuple(chat)]
            which = min(int(np.searchsorted(np.cumsum(row), drawn, side="right")), len(row) - 1)
            said = "I would rather not say." if spoilt < self.fault else reply("It is so.", decision.words()[which])
            out.append(Reply(said, finished=True))
        return out

    def about(self) -> dict[str, str]:
        return {}
