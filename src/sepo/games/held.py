"""What no figure of a game can be taken without: feature names that mean one thing, and instances that count alike.

Audits, matches, play and trees ask for it here; all else that a game promises is for ``games.contract`` to hold.
"""

from __future__ import annotations

from functools import lru_cache

from sepo.errors import ContractError
from sepo.games.base import CHANCE, Game

COUNTED = ("own", "other", "round")
"""Features that every game has."""
TAKEN = (*COUNTED, "best", "legal mass", "decisions asked")
"""Names of quantities that an audit adds to a game's features; so are all that begin with ``PLAY``."""
PLAY = "play "
TOLERANCE = 1e-9


@lru_cache(maxsize=256)
def hold_to_figures(game: Game) -> None:
    """Refuse a game whose figures would be of something else than they say; a game is looked at once.

    Raises
    ------
    ContractError
        If a feature has the name of another quantity, or of instances one is likelier than another.
    """
    if wrong := [name for name in game.features if name in TAKEN or name.startswith(PLAY)]:
        taken = f"{', '.join(TAKEN)} and what begins with '{PLAY}' are names of other quantities"
        raise ContractError(f"game '{game.name}': a feature cannot be called '{wrong[0]}': {taken}")
    if twice := [name for name in game.features if game.features.count(name) > 1]:
        raise ContractError(f"game '{game.name}': two features are called '{twice[0]}'")
    if game.sampled_chance and (root := game.root()).actor == CHANCE:
        chances = [p for _, p in root.chance()]
        if chances and max(chances) - min(chances) > TOLERANCE:
            raise ContractError(
                f"game '{game.name}': the instances of sampled_chance must be equally likely, since each counts alike "
                f"in every figure; their probabilities are from {min(chances):g} to {max(chances):g}"
            )
