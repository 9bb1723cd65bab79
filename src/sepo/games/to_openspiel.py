"""Any game of ours as a ``pyspiel.Game``: so OpenSpiel's algorithms can solve it, and check what we say of it.

A state of OpenSpiel's follows ours, move by move: chance is explicit, a seat's turn is a turn, and what falls
due on the way is paid at the end. An action is numbered by where its label stands in the one list of the
game's labels, so it has the same number wherever it is legal; chance outcomes are numbered from 0 at each
chance node. The information state string is the seat and our key, such as ``P1: Q:b``.

The game is walked once to learn its labels, its length and the bounds of its payoffs, so it must be small.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sepo.errors import InputError, TooLargeError
from sepo.games.base import CHANCE, TERMINAL, Game, State

try:
    import pyspiel
except ImportError:
    raise InputError("handing a game to OpenSpiel needs the library: pip install sepo[openspiel]") from None

MAX_NODES = 500_000


class Extent(NamedTuple):
    """What OpenSpiel wants to know of a game beforehand; payoffs are sums over an episode."""

    labels: tuple[str, ...]
    outcomes: int
    length: int
    lowest: float
    highest: float


class Place:
    """Where an episode stands: our state and what each seat has been paid. Never changes, so a copy is itself."""

    def __init__(self, state: State, paid: tuple[float, float] = (0.0, 0.0)) -> None:
        self.state, self.paid = state, paid

    def __deepcopy__(self, memo: Any) -> Place:
        return self

    def after(self, label: str) -> Place:
        """Return the place after an action or a chance outcome."""
        state = self.state.child(label)
        first, second = state.rewards()
        return Place(state, (self.paid[0] + first, self.paid[1] + second))


def to_openspiel(game: Game) -> pyspiel.Game:
    """Hand a game to OpenSpiel; its returns are our payoffs, summed over an episode of the tree.

    Raises
    ------
    TooLargeError
        If the game is too large to walk.
    """
    extent = measure(game)
    kind = pyspiel.GameType(
        short_name="sepo_" + "".join(c if c.isalnum() else "_" for c in game.name),
        long_name=game.title,
        dynamics=pyspiel.GameType.Dynamics.SEQUENTIAL,
        chance_mode=pyspiel.GameType.ChanceMode.EXPLICIT_STOCHASTIC
        if extent.outcomes
        else pyspiel.GameType.ChanceMode.DETERMINISTIC,
        information=pyspiel.GameType.Information.IMPERFECT_INFORMATION,
        utility=pyspiel.GameType.Utility.ZERO_SUM if game.zero_sum else pyspiel.GameType.Utility.GENERAL_SUM,
        reward_model=pyspiel.GameType.RewardModel.TERMINAL,
        max_num_players=2,
        min_num_players=2,
        provides_information_state_string=True,
        provides_information_state_tensor=False,
        provides_observation_string=False,
        provides_observation_tensor=False,
    )
    info = pyspiel.GameInfo(
        num_distinct_actions=len(extent.labels),
        max_chance_outcomes=extent.outcomes,
        num_players=2,
        min_utility=extent.lowest,
        max_utility=extent.highest,
        utility_sum=0.0 if game.zero_sum else None,
        max_game_length=extent.length,
    )
    return SepoGame(game, extent.labels, kind, info)


def measure(game: Game) -> Extent:
    """Walk a game for its labels in the order in which they are met, its longest line and its payoffs' bounds."""
    labels: dict[str, None] = {}
    outcomes, length, nodes = 0, 0, 0
    ends: list[float] = []
    pending = [(Place(game.root()), 0)]
    while pending:
        place, depth = pending.pop()
        state = place.state
        if (nodes := nodes + 1) > MAX_NODES:
            raise TooLargeError(f"game '{game.name}' has more than {MAX_NODES} nodes: too large for OpenSpiel")
        if state.actor == TERMINAL:
            ends += place.paid
            length = max(length, depth)
        elif state.actor == CHANCE:
            found = [label for label, _ in state.chance()]
            outcomes = max(outcomes, len(found))
            pending += [(place.after(label), depth) for label in found]
        else:
            labels.update(dict.fromkeys(state.legal()))
            pending += [(place.after(label), depth + 1) for label in reversed(state.legal())]
    return Extent(tuple(labels), outcomes, length, min(ends), max(ends))


class SepoGame(pyspiel.Game):  # type: ignore[misc]  # pyspiel is untyped
    """A game of ours, as OpenSpiel sees it."""

    def __init__(self, game: Game, labels: tuple[str, ...], kind: pyspiel.GameType, info: pyspiel.GameInfo) -> None:
        super().__init__(kind, info, {})
        self.game, self.labels = game, labels
        self.number = {label: number for number, label in enumerate(labels)}

    def new_initial_state(self) -> SepoState:
        """Return the first state."""
        return SepoState(self)

    def make_py_observer(self, iig_obs_type: Any = None, params: Any = None) -> Observer:
        """Return what tells a seat its information state."""
        return Observer(self)


class SepoState(pyspiel.State):  # type: ignore[misc]  # pyspiel is untyped
    """A node of our game, as OpenSpiel sees it. OpenSpiel copies it by copying its attributes."""

    def __init__(self, game: SepoGame) -> None:
        super().__init__(game)
        self.place = Place(game.game.root())

    def current_player(self) -> int:
        """Return the seat that moves, or OpenSpiel's sign for chance or the end."""
        actor = self.place.state.actor
        return int({CHANCE: pyspiel.PlayerId.CHANCE, TERMINAL: pyspiel.PlayerId.TERMINAL}.get(actor, actor))

    def is_terminal(self) -> bool:
        """Whether the episode is over."""
        return self.place.state.actor == TERMINAL

    def _legal_actions(self, player: int) -> list[int]:
        """Return the numbers of the legal actions, in ascending order, as OpenSpiel demands."""
        number = self.get_game().number
        return sorted(number[label] for label in self.place.state.legal())

    def chance_outcomes(self) -> list[tuple[int, float]]:
        """Return chance's outcomes by number, and their probabilities."""
        return [(number, p) for number, (_, p) in enumerate(self.place.state.chance())]

    def _label(self, action: int) -> str:
        state = self.place.state
        return str(state.chance()[action][0] if state.actor == CHANCE else self.get_game().labels[action])

    def _apply_action(self, action: int) -> None:
        self.place = self.place.after(self._label(action))

    def _action_to_string(self, player: int, action: int) -> str:
        return self._label(action)

    def returns(self) -> list[float]:
        """Return both seats' payoffs at the end, and nothing before it."""
        return list(self.place.paid) if self.is_terminal() else [0.0, 0.0]

    def __str__(self) -> str:
        return str(self.history_str())


class Observer:
    """Tells a seat its information state, by OpenSpiel's interface for observers written in Python."""

    def __init__(self, game: SepoGame) -> None:
        self.tensor: Any = None
        self.dict: dict[str, Any] = {}
        self.game = game

    def set_from(self, state: SepoState, player: int) -> None:
        """Do nothing: there is no tensor."""

    def string_from(self, state: SepoState, player: int) -> str:
        """Return the seat and our key."""
        return f"P{player}: {self.game.game.key(state.place.state.view(player))}"
