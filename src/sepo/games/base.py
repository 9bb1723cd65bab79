"""The contracts every game fulfils: states, decisions, opponents, pools and measures.

A game is sequential with imperfect information and two seats. A simultaneous move is two moves in a
row where the second seat has not seen the first. States are immutable; the tree in ``solve`` and the
rollouts in ``play`` only ever ask the questions below, so a new game is one file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from sepo.games.wording import Wording

CHANCE = -1
TERMINAL = -2

MeasureName = Literal["paper", "sepo"]
PoolName = Literal["train", "exploiter", "collusive", "held_out"]


class Turn(NamedTuple):
    """One turn of a chat: ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


class State(Protocol):
    """A node of the game, immutable."""

    @property
    def actor(self) -> int:
        """Who moves here: a seat (0 or 1), ``CHANCE`` or ``TERMINAL``."""

    @property
    def round(self) -> int:
        """Index of the round that the move *into* this state belonged to."""

    def chance(self) -> Sequence[tuple[str, float]]:
        """Outcomes and their probabilities, where chance moves."""

    def legal(self) -> tuple[str, ...]:
        """Legal actions of the seat that moves."""

    def child(self, action: str) -> State:
        """Return the state after ``action`` (or after the chance outcome of that name)."""

    def view(self, seat: int) -> Hashable:
        """Everything ``seat`` has seen, in the order in which it saw it."""

    def rewards(self) -> tuple[float, float]:
        """Payoffs of both seats that fall due on entering this state, in points (chips)."""

    def features(self, learner: int) -> tuple[float, ...]:
        """Return the game's further additive features that fall due on entering this state.

        They are counted from the learner's seat, in the order of ``Game.features``. In a game whose states
        ``merge``, payoffs and features belong to the move into the state and take no part in its equality.
        """


@dataclass(frozen=True)
class Decision:
    """A question to a policy: which action to take in an information state.

    Two decisions of one game with the same key are the same question; ``wording`` says in which words a language model
    reads it, None in the game's own.
    """

    game: Game
    seat: int
    key: str
    legal: tuple[str, ...]
    view: Any
    wording: Wording | None = None

    def chat(self) -> tuple[Turn, ...]:
        """Return the append-only chat that puts this decision to a language model."""
        turns = self.game.chat(self.view)
        return turns if self.wording is None else self.wording.chat(self.game, turns)

    def word(self, action: str) -> str:
        """Return the string a language model replies with for ``action``."""
        word = self.game.word(action)
        return word if self.wording is None else self.wording.say(word)

    def words(self) -> tuple[str, ...]:
        """Return the legal action strings, in the order of ``legal``."""
        return tuple(self.word(action) for action in self.legal)


Script = Callable[[Decision], Mapping[str, float]]
"""A behavioural strategy as code: the probability of each action; actions left out have none."""

Reason = Callable[[Decision, str], str]
"""One sentence, true where it is said, that says why a script takes an action there; see ``Opponent.reason``."""


Memory = Literal["round", "last", "all"]


@dataclass(frozen=True)
class Opponent:
    """A named behavioural strategy of a game, with the sentence that describes it.

    Attributes
    ----------
    memory
        What the script's answers depend on besides the number of the round, what is public now and its own
        private information: nothing (``round``), the actions of the last round (``last``), or any of the
        past (``all``). With a short memory a best response is found without walking every history.
    reason
        What the script says for itself as a demonstrator: one sentence of facts that the seat has seen, from which
        the script's rule gives the action. Where the script draws lots it says so and names no cause. None where
        nobody wrote it; demonstrations are then of the bare actions.
    """

    name: str
    script: Script
    about: str
    memory: Memory = "all"
    reason: Reason | None = None


def drawn_by_lot(decision: Decision, action: str) -> str:
    """Say what is true of the uniform policy: there is no cause."""
    return f"I pick at random, and this time it is {decision.game.word(action)}."


class Weights(NamedTuple):
    """The lambdas of J: weights of exploitability, collusion and externality."""

    e: float
    c: float
    x: float


@dataclass(frozen=True)
class Ratio:
    """A measure that is a quotient of two additive features, averaged over the opponents of some pools.

    It is taken for a share, between 0 and 1, where nothing but a sample in which it never varied tells what it can be;
    of payoffs (``own``, ``other``) it may be anything.

    Attributes
    ----------
    numerator, denominator
        Names of features; ``round`` counts rounds.
    pools
        The pools whose episodes count; every opponent in them has the same weight.
    """

    numerator: str
    denominator: str
    pools: tuple[PoolName, ...]


@dataclass(frozen=True)
class MeasureSet:
    """How a game measures e, c and x, at which weights and against which pools.

    Attributes
    ----------
    weights
        The lambdas of ``J = s*u - le*s*e - lc*c - lx*x``.
    e
        ``advantage``: mean over exploiters of max(0, E[opponent's payoff - own payoff]).
        ``exploitability``: exact, zero-sum games only. ``regret``: mean over exploiters of
        max(0, E[best response's payoff] - E[own payoff]).
    c, x
        None where the measure does not apply.
    """

    name: MeasureName
    weights: Weights
    e: Literal["advantage", "exploitability", "regret"]
    c: Ratio | None
    x: Ratio | None
    pools: Mapping[PoolName, tuple[str, ...]]


class Deviation(NamedTuple):
    """One forced deviation: who plays, who plays the same but for one round, that round, and what is watched after."""

    partner: str
    deviating: str
    round: int
    feature: str


class Game(ABC):
    """Rules, words, opponents and measures of one two-player game.

    Class attributes
    ----------------
    name
        As on the command line.
    features
        Names of the additive features beyond both payoffs that ``State.features`` returns, none of them one that an
        audit gives to a quantity of its own (``games.held.TAKEN``).
    max_payoff
        The scale of J: ``s = 3 / max_payoff``.
    zero_sum
        Whether the payoffs of every outcome sum to 0.
    rounds
        Rounds of an episode in the tree; payoffs are reported per round.
    hands
        Independent copies of the tree that make up one episode of play (6 hands in Kuhn).
    seats
        The seats in which the learner plays, with equal weight.
    maximin
        The game's maximin value for each seat, in points per round, where it is known in closed form.
    presets
        Rules by the name of a set of measures: those its published figures were made under (``paper``) and
        ours (``sepo``); empty where both are played under the same rules.
    merge
        Whether states that compare equal are one node: what happened before no longer matters to anyone.
    sampled_chance
        Whether chance at the root draws from a seeded set of instances, so figures carry intervals over them. All are
        equally likely: each counts alike.
    grouped
        Whether those instances come in groups that share something: no interval over them would hold.
    cooperation
        The feature that counts rounds of cooperation; None where the game has no such notion.
    deviation
        A partner, the same partner with one forced deviation, the index of that round, and the feature whose
        change in the learner's later rounds is its response; None where the game asks no such question.
    wordings
        Other ways to put its questions to a language model, besides its own words (``games.wording``).
    """

    name: str
    title: str
    features: tuple[str, ...]
    max_payoff: float
    zero_sum: bool
    rounds: int
    hands: int = 1
    unit: str = "points per round"
    seats: tuple[int, ...]
    maximin: tuple[float, float] | None = None
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    merge: ClassVar[bool] = False
    sampled_chance: ClassVar[bool] = False
    grouped: bool = False
    cooperation: ClassVar[str | None] = None
    deviation: ClassVar[Deviation | None] = None
    wordings: ClassVar[tuple[Wording, ...]] = ()

    @property
    @abstractmethod
    def rules(self) -> Mapping[str, Any]:
        """The options this game was made with; empty where it has none."""

    @abstractmethod
    def root(self) -> State:
        """Return the first state."""

    @abstractmethod
    def key(self, view: Any) -> str:
        """Return the short, readable string that names an information state."""

    @abstractmethod
    def chat(self, view: Any) -> tuple[Turn, ...]:
        """Return the append-only chat: rules, then a user turn per observation, an assistant turn per own action.

        The chat of an earlier decision is a prefix of the chat of every later one.
        """

    @abstractmethod
    def word(self, action: str) -> str:
        """Return the string a language model replies with for ``action``."""

    @property
    @abstractmethod
    def opponents(self) -> Mapping[str, Opponent]:
        """Every scripted policy of the game by name."""

    @property
    @abstractmethod
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        """The mixture of policies that supervised fine-tuning imitates: shares sum to 1."""

    @abstractmethod
    def measures(self, name: MeasureName) -> MeasureSet:
        """Return one of the game's two sets of measures."""

    def forfeit(self, decision: Decision) -> str:
        """Return the action that counts for a seat that gives no legal answer and forfeits its move.

        It is the first legal one, which in the built-in games leaves most to the other side: to fold or pass, to
        cooperate, the lowest bid, the least demand.
        """
        return decision.legal[0]

    def bucket(self, action: str) -> str:
        """Return what an action is counted under in a policy's frequencies: itself unless there are too many."""
        return action

    def forgetful(self, memory: Memory) -> State:
        """Return the first state of the same game as it matters to an opponent with this memory.

        States that differ only in what such an opponent has forgotten compare equal. The game itself where
        it knows no shorter form.
        """
        return self.root()

    def decision(self, state: State) -> Decision:
        """Put the question that ``state`` asks of the seat that moves there."""
        view = state.view(state.actor)
        return Decision(self, state.actor, self.key(view), state.legal(), view)

    @property
    def scale(self) -> float:
        """The factor s of J."""
        return 3.0 / self.max_payoff
