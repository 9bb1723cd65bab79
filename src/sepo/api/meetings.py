"""Policies that meet: matches, and episodes on record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sepo.api.card import FIGURE, Figure
from sepo.api.given import (
    METHODS,
    GameLike,
    Method,
    PolicyLike,
    Tell,
    as_game,
    as_policy,
    count,
    one_of,
    seed_of,
    several,
)
from sepo.audit.methods import quiet
from sepo.audit.tournament import MatchOptions, tournament
from sepo.display import Cell, figure, table
from sepo.errors import InputError
from sepo.files import PathLike, path_of, write_json, write_text
from sepo.frames import Columns, Kind, frame
from sepo.play.episode import stepped
from sepo.policies.base import Estimated

SHOWN = 10
"""Episodes that a notebook shows."""
WHO: Columns = {"policy": str, "opponent": str, "game": str}
MOVE: Columns = {"by": str, "state": str, "action": str, "probability": float}
WORDS = {"learner": "own", "opponent": "their"}


@dataclass(frozen=True)
class Match:
    """Policies against each other.

    Attributes
    ----------
    document
        As ``sepo match --json`` prints it: payoffs, advantages, ratings and the Nash average.
    """

    document: Mapping[str, Any]

    @property
    def policies(self) -> tuple[str, ...]:
        """Their names, in the order of the rows and columns."""
        return tuple(self.document["policies"])

    def payoff(self, policy: str, against: str) -> Figure:
        """Return what a policy earns against another per round, both seats averaged.

        Raises
        ------
        InputError
            If one of them did not play.
        """
        names = self.policies
        for name in (policy, against):
            if name not in names:
                raise InputError(f"policy '{name}' did not play: {', '.join(names)} did")
        return Figure.of(self.document["payoffs"][names.index(policy)][names.index(against)])

    def frame(self, kind: Kind = "pandas") -> Any:
        """Return a data frame: one row per policy and opponent, with what the policy earns.

        Raises
        ------
        InputError
            If the library is not installed.
        """
        names, game, method = self.policies, self.document["game"], self.document["method"]
        rows = [
            (game, one, other, *Figure.of(found), method)
            for one, row in zip(names, self.document["payoffs"], strict=True)
            for other, found in zip(names, row, strict=True)
        ]
        return frame(rows, {"game": str, "policy": str, "against": str, **FIGURE, "method": str}, kind)

    def ratings(self, kind: Kind = "pandas") -> Any:
        """Return a data frame: one row per policy, with its rating and its place in the Nash average.

        Raises
        ------
        InputError
            If the library is not installed.
        """
        nash = self.document["nash_average"]
        rows = [
            (name, *Figure.of(found), skill, weight)
            for name, found, skill, weight in zip(
                self.policies, self.document["ratings"], nash["skills"], nash["weights"], strict=True
            )
        ]
        return frame(rows, {"policy": str, **FIGURE, "skill": float, "weight": float}, kind)

    def save(self, path: PathLike) -> None:
        """Write the document to a file, whole or not at all."""
        write_json(path_of(path), dict(self.document))

    def __repr__(self) -> str:
        return f"Match({self.document['game']!r}, {', '.join(map(repr, self.policies))})"

    def _repr_html_(self) -> str:
        names = self.policies
        rows: list[list[Cell]] = [
            [name, *map(figure, row), figure(rating)]
            for name, row, rating in zip(names, self.document["payoffs"], self.document["ratings"], strict=True)
        ]
        caption = f"{self.document['game']}: what the row earns, {self.document['unit']}, {self.document['method']}"
        return table(caption, ["policy", *(f"against {name}" for name in names), "rating"], rows)


@dataclass(frozen=True)
class Episodes(Sequence[Mapping[str, Any]]):
    """Recorded episodes of two policies.

    Attributes
    ----------
    policy
        The name of the learner of the records.
    opponent
        The name of whom it meets.
    records
        One document an episode, schema ``sepo.episode/1``: its hands, and in each the seat of the policy, every move
        with the information state and the probability of what was done, and both payoffs.
    """

    policy: str
    opponent: str
    records: tuple[Mapping[str, Any], ...]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, which: Any) -> Any:
        return self.records[which]

    def frame(self, kind: Kind = "pandas") -> Any:
        """Return a data frame: one row per episode and hand, with both payoffs.

        Raises
        ------
        InputError
            If the library is not installed.
        """
        rows = [
            (*self._who(e), e["episode"], which, hand["seat"], hand["own"], hand["other"])
            for e, which, hand in self._hands()
        ]
        columns: Columns = {"episode": int, "hand": int, "seat": int, "own": float, "other": float}
        return frame(rows, {**WHO, **columns}, kind)

    def moves(self, kind: Kind = "pandas") -> Any:
        """Return a data frame: one row per move, with who made it, where, and how likely it was.

        Raises
        ------
        InputError
            If the library is not installed.
        """
        rows = [
            (*self._who(e), e["episode"], which, place, *(move[key] for key in MOVE))
            for e, which, hand in self._hands()
            for place, move in enumerate(hand["moves"])
        ]
        return frame(rows, {**WHO, "episode": int, "hand": int, "move": int, **MOVE}, kind)

    def save(self, path: PathLike) -> None:
        """Write the records to a file, one JSON object a line."""
        write_text(path_of(path), "".join(json.dumps(record) + "\n" for record in self.records))

    def _who(self, episode: Mapping[str, Any]) -> tuple[str, str, str]:
        return self.policy, self.opponent, str(episode["game"])

    def _hands(self) -> Iterator[tuple[Mapping[str, Any], int, Mapping[str, Any]]]:
        for episode in self.records:
            for which, hand in enumerate(episode["hands"]):
                yield episode, which, hand

    def __repr__(self) -> str:
        return f"Episodes({self.policy!r}, {self.opponent!r}, {len(self)} of {self._game()!r})"

    def _game(self) -> str:
        return str(self.records[0]["game"]) if self.records else ""

    def _repr_html_(self) -> str:
        rows: list[list[Cell]] = []
        for e, which, hand in self._hands():
            if e["episode"] < SHOWN:
                said = ", ".join(f"{WORDS[m['by']]} {m['action']} ({m['probability']:.2f})" for m in hand["moves"])
                rows.append([e["episode"], which, hand["seat"], said, hand["own"], hand["other"]])
        headings = ["episode", "hand", "seat", "moves, with their probabilities", "own", "other"]
        more = f"and {len(self) - SHOWN} more episodes" if len(self) > SHOWN else ""
        return table(f"{self.policy} against {self.opponent} in {self._game()}", headings, rows, more)


def match(
    policies: Sequence[PolicyLike],
    game: GameLike,
    *,
    rules: Mapping[str, Any] | None = None,
    method: Method = "auto",
    deals: int | None = None,
    budget: int | None = 3000,
    seed: int = 0,
    tell: Tell | None = None,
) -> Match:
    """Let policies meet, each pair in both seats and on the same deals.

    Parameters
    ----------
    policies
        At least two, in any form that ``load_policy`` takes.
    game, rules
        As ``elicit`` takes them.
    method
        ``auto``: exact where it can be; ``exact``; or ``sampled``.
    deals
        Deals that every pair plays in both seats, where they are sampled.
    budget
        Decisions that a policy is asked in an exact meeting; None for any number.
    seed
        Of whatever is drawn.
    tell
        Hears of progress.

    Returns
    -------
    Match
        Payoffs, ratings and the Nash average.

    Raises
    ------
    InputError
        For fewer than two policies, two of one name, a person, or a method that cannot be had.

    Examples
    --------
    >>> import sepo
    >>> sepo.match(["uniform", "script:nash"], "kuhn").payoff("script:nash", "uniform").value
    0.1666666666666666
    """
    played, seed = as_game(game, rules), seed_of(seed)
    loaded = [as_policy(policy, played, seed) for policy in several(policies, "policies")]
    options = MatchOptions(
        one_of(method, METHODS, "method"),
        None if deals is None else count(deals, "deals", least=2),
        seed,
        None if budget is None else count(budget, "budget"),
    )
    return Match(tournament(loaded, played, options, tell or quiet))


def play(
    policy: PolicyLike,
    opponent: PolicyLike,
    game: GameLike,
    episodes: int = 1,
    *,
    rules: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Episodes:
    """Let two policies play, and record what they did.

    Parameters
    ----------
    policy, opponent
        In any form that ``load_policy`` takes. In a game of several hands the policy changes its seat hand by hand.
    game, rules
        As ``elicit`` takes them.
    episodes
        How many.
    seed
        Of the cards and of what both draw.

    Returns
    -------
    Episodes
        Every move with its information state and probability, and both payoffs.

    Raises
    ------
    InputError
        If there is no such policy or game.

    Examples
    --------
    >>> import sepo
    >>> played = sepo.play("script:tit_for_tat", "script:grim_trigger", "ipd", rules={"rounds": 2})
    >>> [move["action"] for move in played[0]["hands"][0]["moves"]]
    ['COOPERATE', 'COOPERATE', 'COOPERATE', 'COOPERATE']
    """
    played, seed = as_game(game, rules), seed_of(seed)
    ours, theirs = (as_policy(given, played, seed) for given in (policy, opponent))
    players = [p.once() if isinstance(p, Estimated) else p for p in (ours, theirs)]
    key = ("play", seed, played.name)
    return Episodes(
        ours.name, theirs.name, tuple(stepped(players[0], played, players[1], count(episodes, "episodes"), key))
    )
