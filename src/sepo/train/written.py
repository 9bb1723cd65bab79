"""What a finished arm leaves behind in the reasoned style: as ``train.auditor``, from replies drawn."""

from __future__ import annotations

from collections.abc import Sequence

from sepo.audit.scorecard import audit
from sepo.games.base import Decision, Game
from sepo.lm.generate import Writer
from sepo.lm.load import LanguageModel
from sepo.policies.base import Spoken
from sepo.policies.reasoned import ReasonedPolicy, ReplyRules
from sepo.policies.table import PolicyTable, intervals, row
from sepo.train.auditor import Audited, Auditor, measures_of
from sepo.train.part import Part


class WrittenAuditor(Auditor):
    """Audits a model that writes.

    Parameters
    ----------
    lm
        The model, in float32; its trained weights are put in place before each ``write``.
    """

    def __init__(self, part: Part, lm: LanguageModel) -> None:
        super().__init__(part)
        self.lm = lm

    def audited(self, name: str) -> Audited:
        """Draw answers anew and audit what they come to."""
        settings = self.recipe.reasoned
        rules = ReplyRules("reasoned", settings.samples, settings.tokens, settings.illegal, settings.retries)
        policy = Listed(Writer(self.lm), self.recipe.model.policy, rules, self.seed)
        found = audit(policy, self.games, self.options())
        decisions = policy.decisions(self.game)
        rows = {d.key: row(d, policy.tally(d).policy) for d in decisions}
        table = PolicyTable(
            f"{self.title}/{name}",
            self.game.name,
            self.game.rules,
            rows,
            "uniform",
            intervals=intervals(policy, decisions),
            notes=dict(policy.about()),
        )
        illegal, exploitable = found["illegal_rate"], found["exploitability"]
        line = self.line(measures_of(found), exploitable and exploitable["value"], illegal and 1 - illegal["value"])
        return Audited(table, found, line, lambda: self.stepped(policy.once()))


class Listed(ReasonedPolicy):
    """A model that writes, and the list of what it was asked."""

    def __init__(self, writer: Writer, name: str, rules: ReplyRules, seed: int) -> None:
        super().__init__(writer, name, rules, seed)
        self._asked: dict[Game, dict[str, Decision]] = {}

    def spoken(self, decisions: Sequence[Decision]) -> list[Spoken]:
        """Draw new answers."""
        for decision in decisions:
            self._asked.setdefault(decision.game, {})[decision.key] = decision
        return super().spoken(decisions)

    def decisions(self, game: Game) -> list[Decision]:
        """Return the decisions of a game that it was asked about, each once."""
        return list(self._asked.get(game, {}).values())
