"""A language model that writes, known from samples: freely, in the reasoned style, or the bare action.

A reply cannot be scored, so a probability is an estimate: the share of the replies, each drawn anew, that came to an
action. A reply that gives no legal answer is asked for again, with the same question, a bounded number of times; what
counts then is a rule that the scorecard states. Such replies are counted, whatever the rule.

What was written is handed over beside an answer where it is one reply's: when the model plays. Of the thousands behind
a table only the counts are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from sepo.errors import InputError
from sepo.games.base import Decision
from sepo.keys import generator
from sepo.lm.reasoned import Fault, Reply, asked, read, read_bare
from sepo.policies.base import Key, Policy, Refused, Spoken, Tally, Written
from sepo.policies.remembered import title
from sepo.solve.tree import Floats

Style = Literal["direct", "reasoned"]
Use = Literal["table", "play"]
Rule = Literal["forfeit", "random", "retry"]
LAST_RETRY = 20
"""Replies after which the rule ``retry`` gives up."""
KEPT = 20_000
"""Characters of a reply that are kept; of a longer one the middle is left out, since the answer stands at its end."""


class Writes(Protocol):
    """What replies to chats: a local model, or a server."""

    def write(self, chats: Sequence[Sequence[tuple[str, str]]], lots: Floats) -> list[Reply]:
        """Reply to every chat, drawing by uniform numbers (chats, tokens)."""

    def about(self) -> Mapping[str, Any]:
        """Return what a reader of the figures should know of it."""


@dataclass(frozen=True)
class ReplyRules:
    """How a model that writes is asked.

    Attributes
    ----------
    style
        ``reasoned``, or ``direct``: the game's own chat, and the reply is the bare answer.
    samples
        Answers drawn at each information state.
    tokens
        Most tokens of a reply.
    illegal
        What counts where no reply was legal: ``forfeit``, the action of ``Game.forfeit``; ``random``, each legal
        action with the same probability; ``retry``, nothing: it is asked until a reply is legal, and where
        ``LAST_RETRY`` in a row are not, that is an error.
    retries
        How often it is asked again before that, under the first two rules.
    """

    style: Style = "reasoned"
    samples: int = 32
    tokens: int = 200
    illegal: Rule = "forfeit"
    retries: int = 2

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, least in (("samples", 1), ("tokens", 1), ("retries", 0)):
            if getattr(self, name) < least:
                raise InputError(f"'{name}' must be at least {least}, not {getattr(self, name)}")


class Wanted(NamedTuple):
    """An answer to be drawn: at which decision, by which key, and the half of the samples that it belongs to."""

    at: int
    key: Key
    half: int


Hear = Callable[[Wanted, Reply, int | Fault], None]
"""Hears of each reply, and which of the legal answers it gives or what is wrong with it."""


class ReasonedPolicy:
    """A language model that writes, as a behavioural strategy estimated from samples.

    Parameters
    ----------
    writer
        What replies.
    seed
        With the game, the information state and the number of the sample, the key of each reply's randomness: a state
        is answered alike in whichever order, and in whatever company, it is asked.
    use
        What the samples are for, part of that key too.
    """

    def __init__(
        self,
        writer: Writes,
        name: str,
        rules: ReplyRules | None = None,
        seed: int = 0,
        use: Use = "table",
    ) -> None:
        self.name, self.rules, self.seed, self.use = name, rules or ReplyRules(), seed, use
        self.writer = writer
        self._tallies: dict[tuple[str, str], Tally] = {}

    def once(self) -> Policy:
        """Return the policy as a player: one reply a decision, which is all its probability."""
        return ReasonedPolicy(self.writer, self.name, replace(self.rules, samples=1), self.seed, "play")

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Draw new answers at every decision, one that stands twice apart; return their shares.

        Raises
        ------
        InputError
            If the rule is ``retry`` and a decision got no legal reply.
        """
        return [one.p for one in self.spoken(decisions)]

    def spoken(self, decisions: Sequence[Decision]) -> list[Spoken]:
        """Answer as ``probabilities`` does; where a decision gets one answer, say what was written for it.

        Raises
        ------
        InputError
            As ``probabilities`` does.
        """
        samples, places = self.rules.samples, [_where(d) for d in decisions]
        begun: dict[tuple[str, str], int] = {}
        wanted = []
        for i, (decision, place) in enumerate(zip(decisions, places, strict=True)):
            number = begun.setdefault(place, self.tally(decision).asked)
            begun[place] += samples
            wanted += [Wanted(i, (number + k,), (number + k) % 2) for k in range(samples)]
        return self._answers(decisions, wanted)

    def replies(self, decisions: Sequence[Decision], keys: Sequence[Key]) -> list[Spoken]:
        """Draw one answer at each decision by the numbers of its key, whatever else was drawn or is.

        Raises
        ------
        InputError
            As ``probabilities`` does.
        """
        return self._answers(decisions, [Wanted(i, key, key[0] % 2) for i, key in enumerate(keys)])

    def _answers(self, decisions: Sequence[Decision], wanted: Sequence[Wanted]) -> list[Spoken]:
        notes = _Notes(len(decisions)) if len(wanted) == len(decisions) else None
        drawn = self.draw(decisions, wanted, notes)
        for decision, tally in zip(decisions, drawn, strict=True):
            before = self._tallies.get(where := _where(decision))
            self._tallies[where] = tally if before is None else before.plus(tally)
        return [Spoken(tally.policy, None if notes is None else notes.at(i), tally) for i, tally in enumerate(drawn)]

    def add(self, tallies: Mapping[tuple[str, str], Tally]) -> None:
        """Take in what was drawn elsewhere, by game and information state."""
        for where, tally in tallies.items():
            before = self._tallies.get(where)
            self._tallies[where] = tally if before is None else before.plus(tally)

    @property
    def drawn(self) -> Mapping[tuple[str, str], Tally]:
        """What was drawn so far, by game and information state."""
        return self._tallies

    @property
    def tallies(self) -> list[Tally]:
        """What was drawn so far, a tally for each decision that was asked about."""
        return list(self._tallies.values())

    def tally(self, decision: Decision) -> Tally:
        """Return what was drawn at a decision so far: nothing, where it was never asked."""
        size = len(decision.legal)
        nothing = Tally(
            np.zeros((2, size), dtype=np.int64), np.zeros(2, dtype=np.int64), 0, 0, 0, self._fallback(decision)
        )
        return self._tallies.get(_where(decision), nothing)

    def legal_mass(self) -> Mapping[str, float] | None:
        """Return nothing: samples do not show it, and the scorecard's ``illegal_rate`` stands in its place."""
        return None

    def about(self) -> Mapping[str, Any]:
        """Return style and rules, and what the writer says of itself."""
        return {**asdict(self.rules), **self.writer.about()}

    def draw(self, decisions: Sequence[Decision], wanted: Sequence[Wanted], hear: Hear | None = None) -> list[Tally]:
        """Draw answers at decisions, all at once, and again where a reply is none."""
        sizes = [len(d.legal) for d in decisions]
        bare = self.rules.style == "direct"
        chats = [list(d.chat()) if bare else asked(d.chat()) for d in decisions]
        understood = read_bare if bare else read
        words = [d.words() for d in decisions]
        chosen = [np.zeros((2, n), dtype=np.int64) for n in sizes]
        none = np.zeros((len(decisions), 2), dtype=np.int64)
        faults = [{"replies": 0, "illegal": 0, "truncated": 0} for _ in decisions]
        waiting = list(wanted)
        last = LAST_RETRY if self.rules.illegal == "retry" else self.rules.retries
        for turn in range(last + 1):
            if not waiting:
                break
            lots = np.array([self._lots(decisions[w.at], w.key, turn) for w in waiting])
            replies = self.writer.write([chats[w.at] for w in waiting], lots)
            left = []
            for w, reply in zip(waiting, replies, strict=True):
                answer = understood(reply, words[w.at])
                if hear is not None:
                    hear(w, reply, answer)
                faults[w.at]["replies"] += 1
                if isinstance(answer, int):
                    chosen[w.at][w.half, answer] += 1
                else:
                    faults[w.at][answer] += 1
                    left.append(w)
            waiting = left
        if waiting and self.rules.illegal == "retry":
            key = decisions[waiting[0].at].key
            raise InputError(
                f"policy '{self.name}' gave no legal answer at information state '{key}' in {LAST_RETRY + 1} replies:"
                " the illegal-move rule forfeit or random goes on without one"
            )
        for w in waiting:
            none[w.at, w.half] += 1
        return [Tally(chosen[i], none[i], **faults[i], fallback=self._fallback(d)) for i, d in enumerate(decisions)]

    def _lots(self, decision: Decision, key: Key, turn: int) -> Floats:
        """Return the uniform numbers that draw one reply."""
        return generator(self.seed, "reply", self.use, *_where(decision), *key, turn).random(self.rules.tokens)

    def _fallback(self, decision: Decision) -> Floats:
        if self.rules.illegal == "random":
            return np.full(len(decision.legal), 1 / len(decision.legal))
        forfeited = decision.game.forfeit(decision)
        return np.array([float(action == forfeited) for action in decision.legal])


class _Notes:
    """What is written at decisions that get one answer each."""

    def __init__(self, decisions: int) -> None:
        self._texts: list[str | None] = [None] * decisions
        self._refused: list[list[Refused]] = [[] for _ in range(decisions)]

    def __call__(self, wanted: Wanted, reply: Reply, answer: int | Fault) -> None:
        if isinstance(answer, int):
            self._texts[wanted.at] = kept(reply.text)
        else:
            self._refused[wanted.at].append(Refused(answer, kept(reply.text)))

    def at(self, decision: int) -> Written | None:
        """Return what was written at a decision; None where nothing was heard, since others wrote."""
        text, refused = self._texts[decision], tuple(self._refused[decision])
        return None if text is None and not refused else Written(text, refused)


def kept(text: str, most: int = KEPT) -> str:
    """Return a reply as it is kept: whole, or its two ends and how much is left out between them.

    Half of a surrogate pair, which is no character and fits in no file, is written out.
    """
    if len(text) > most:
        tail = most // 4
        left = len(text) - most
        text = f"{text[: most - tail]}\n[… {left:,} characters left out …]\n{text[-tail:]}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _where(decision: Decision) -> tuple[str, str]:
    return title(decision), decision.key
