"""What a step of training is measured by is what an audit finds of the same policy."""

from __future__ import annotations

import pytest

from sepo.audit.arena import ground_of
from sepo.audit.scorecard import Options, scorecard
from sepo.games.base import Game
from sepo.games.kuhn import Kuhn
from sepo.policies.table import PolicyTable
from sepo.solve.tree import Tree
from sepo.train.record import measured
from tests.brute import random_strategy
from tests.small_repeated import Pennies, UnknownPennies


class Dealer(Kuhn):
    """Poker for a learner that always acts second."""

    seats = (1,)


class Opener(Kuhn):
    """Poker for a learner that always acts first."""

    seats = (0,)


@pytest.mark.parametrize("game", [Kuhn(), Dealer(), Opener(), Pennies(2, seats=(0,)), UnknownPennies(2, seats=(1,))])
def test_exploitability_of_a_step_is_that_of_the_audit(game: Game):
    ground = ground_of(game)
    assert isinstance(ground, Tree)
    learner = random_strategy(ground, 3)
    rows = {
        i.key: dict(zip(i.decision.legal, learner[i.entries], strict=True))
        for i in ground.infosets
        if i.seat in game.seats
    }
    card = scorecard(PolicyTable("random", game.name, game.rules, rows), [game], Options(method="exact"))
    audited = card["games"][game.name]["exploitability"]
    found = measured(ground, learner, [])["exploitability"]
    if isinstance(game, UnknownPennies):
        assert found is audited is None
    else:
        assert found == pytest.approx(audited["value"])
        assert found > 0.05
