"""A game in the terminal: the table at which a person sits, what is asked and told there, and the look back.

Everything that comes from elsewhere, names and words, is shown as text: no markup, no terminal codes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from rich.table import Table as Rows
from rich.text import Text

from sepo.audit.ahead import Answers
from sepo.audit.debrief import Debrief, hints
from sepo.audit.told import chances, exposed, lines, outcome, points, summary
from sepo.cli import terminal
from sepo.errors import InputError
from sepo.games.base import Decision, Turn
from sepo.play.session import Session
from sepo.policies.reasoned import kept
from sepo.printable import visible

if TYPE_CHECKING:
    from sepo.cli.terminal import Console

SHOWN = 20
"""Replies that are listed where a person is asked."""
WRITTEN = 2_000
"""Characters of what a model wrote that are shown when looking back; the record has more."""


class Table:
    """The person's side of a session."""

    def __init__(
        self,
        session: Session,
        *,
        hints: bool = False,
        questions: int = 0,
        console: Console | None = None,
        typed: TextIO | None = None,
    ) -> None:
        self.session = session
        self.out = console or terminal.console()
        self._typed = typed
        self._answers = Answers(session.learner, session.game, questions) if hints else None
        self._told: tuple[Turn, ...] = ()
        self._rounds = self._hand = 0

    def open(self, seed: int) -> None:
        """Say who plays what."""
        game, count = self.session.game, len(self.session.seats)
        rules = ", ".join(f"{k}={v}" for k, v in game.rules.items())
        self.say(f"{game.title}: you against {self.session.learner.name}", "bold")
        seat = 1 - self.session.seats[0]
        hands = f", {count} hands" if count > 1 else ""
        self.say(
            f"{rules + '; ' if rules else ''}you have seat {seat}{hands}; --seed {seed} plays this game again", "dim"
        )

    def play(self) -> None:
        """Play to the end.

        Raises
        ------
        InputError
            If the input ends before the game does.
        """
        while True:
            self.session.advance()
            self._tell_rounds()
            decision = self.session.decision
            if decision is None:
                return
            self._tell(decision)
            self.session.act(self._asked(decision))

    def look_back(self, found: Debrief) -> None:
        """Show what each move cost, what the policy did, and how exploitable the person was."""
        self.say("\nLooking back", "bold")
        for text in summary(self.session.game, found):
            self.say(text)
        several = len(found.hands) > 1
        rows = Rows(title="your decisions: what the best response would have done, and what each action was worth")
        rows.title_justify = "left"
        for heading in (
            *(["hand"] if several else []),
            "at",
            "you",
            "best",
            "cost",
            "worth, if the best is done after",
        ):
            rows.add_column(heading, justify="right" if heading in ("hand", "cost") else "left")
        for line in lines(found):
            cells = [*([line.hand] if several else []), *line[1:6]]
            rows.add_row(*(Text(visible(cell)) for cell in cells), style="yellow" if line.costly else None)
        if rows.row_count:
            self.out.print(rows)
        self.out.print(self._policy_moves(several))
        self._tell_written()
        for text in exposed(self.session.game, found):
            self.say(text)

    def say(self, text: str, style: str = "") -> None:
        """Print a line of text as it is."""
        self.out.print(Text(visible(text), style=style))

    def _policy_moves(self, several: bool) -> Rows:
        rows = Rows(title="the policy's decisions", title_justify="left")
        for heading in (*(["hand"] if several else []), "at", "it", "with probability"):
            rows.add_column(heading, justify="right" if heading == "hand" else "left")
        for number, hand in enumerate(self.session.hands, 1):
            for _, move in hand.moves:
                if move.learner and move.p is not None:
                    d = move.decision
                    said = chances({d.word(a): p for a, p in zip(d.legal, move.p.tolist(), strict=True)})
                    cells = [*([str(number)] if several else []), d.key or "(start)", d.word(move.action), said]
                    rows.add_row(*(Text(visible(cell)) for cell in cells))
        return rows

    def _tell_written(self) -> None:
        """Say what a model wrote before its moves, and which of its replies did not count."""
        for hand in self.session.hands:
            for _, move in hand.moves:
                if not move.learner or move.written is None:
                    continue
                self.say(
                    f"\nbefore {move.decision.word(move.action)} at {move.decision.key or '(start)'} it wrote", "bold"
                )
                for reply in move.written.refused:
                    self.say(f"not counted, {reply.fault}:", "yellow")
                    self.say(kept(reply.text, WRITTEN), "dim")
                if move.written.text is None:
                    self.say("no reply was legal: the rule for illegal replies stood for the move", "yellow")
                else:
                    self.say(kept(move.written.text, WRITTEN))

    def _tell_rounds(self) -> None:
        rounds = self.session.rounds
        for ended in rounds[self._rounds :]:
            self.say(outcome(ended, len(self.session.seats) > 1), "green")
        self._rounds = len(rounds)

    def _tell(self, decision: Decision) -> None:
        """Say what the person sees that was not said yet."""
        chat = decision.chat()
        if self._hand < self.session.number:  # a new hand: all but the rules is new
            self._hand, self._told = self.session.number, self._told[:1]
        same = next((i for i, (a, b) in enumerate(zip(chat, self._told, strict=False)) if a != b), len(self._told))
        for turn in chat[min(same, len(chat) - 1) :]:
            if turn.role != "assistant":
                self.say(turn.content, "italic" if turn.role == "system" else "")
        self._told = chat

    def _asked(self, decision: Decision) -> str:
        words = decision.words()
        by_word = {word.lower(): action for word, action in zip(words, decision.legal, strict=True)}
        if self._answers is not None:
            self._hint(decision, hints(self.session, self._answers))
        more = f" | … ({len(words)} in all)" if len(words) > SHOWN else ""
        while True:
            self.out.print(Text(visible(f"[{' | '.join(words[:SHOWN])}{more}] ")), end="")
            line = (self._typed or sys.stdin).readline()
            if not line:
                self.out.print()
                raise InputError("the input ended before the game did")
            said = " ".join(line.split()).lower()
            begins = [word for word in by_word if said and word.startswith(said)]
            if said in by_word or len(begins) == 1:
                return by_word[said if said in by_word else begins[0]]
            self.say(f"'{said}' is none of these words." if said else "Type one of these words.", "red")

    def _hint(self, decision: Decision, worth: Mapping[str, float] | None) -> None:
        if worth is None:
            self.say("hint: what the actions are worth cannot be computed here", "dim")
            return
        ranked = sorted(worth.items(), key=lambda item: -item[1])[:SHOWN]
        told = ", ".join(f"{decision.word(a)}: {points(v)}" for a, v in ranked)
        self.say(f"hint: still to come, if the best is done after: {told}", "dim")
