"""POLICY strings: the one table from a prefix to the policy it makes; ``FORMS`` says what there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sepo.errors import InputError
from sepo.games.base import Game
from sepo.policies.base import Policy
from sepo.policies.human import HumanPolicy
from sepo.policies.reasoned import ReasonedPolicy, ReplyRules
from sepo.policies.script import ScriptPolicy, UniformPolicy, opponent
from sepo.policies.table import load_table

if TYPE_CHECKING:
    from sepo.policies.direct import DirectPolicy

Tell = Callable[[int, int], None]
FORMS = (
    "script:NAME, axelrod:STRATEGY, uniform, table:FILE, bundled:smollm2[+ADAPTER], hf:ID_OR_PATH[+ADAPTER] or human"
)


def load_policy(
    text: str, game: Game | None = None, tell: Tell | None = None, writing: ReplyRules | None = None, seed: int = 0
) -> Policy:
    """Make a policy from a POLICY string.

    Parameters
    ----------
    game
        With one, a script's name is checked at once.
    tell
        Hears of a model's progress: forward passes, or replies, done and to do.
    writing
        With rules, a language model is asked in the reasoned style, by them; other policies have no style.
    seed
        Of what a model then writes.

    Raises
    ------
    InputError
        If the string is of no known form, or what it names is not there.
    """
    kind, _, rest = text.partition(":")
    if kind not in MAKERS or (bool(rest) == (kind in ("uniform", "human"))):
        raise InputError(f"unknown policy '{text}': a policy is {FORMS}")
    if writing is not None and kind in MODELS:
        return _writer(text, writing, seed, tell)
    policy = MAKERS[kind](rest, tell)
    if game is not None and isinstance(policy, ScriptPolicy):
        opponent(game, policy.script)
    return policy


def _model(reference: str, tell: Tell | None) -> Policy:
    from sepo.lm.identity import fingerprint
    from sepo.policies.remembered import RememberedPolicy

    def load() -> DirectPolicy:
        from sepo.lm.load import load_model  # torch takes seconds to import: only when a model is asked for
        from sepo.policies.direct import DirectPolicy

        return DirectPolicy(load_model(reference), name=reference)

    policy = RememberedPolicy(load, reference, fingerprint(reference), tell)
    if not policy.keeps:
        policy.load()  # what is wrong with the reference is said at once
    return policy


def _writer(reference: str, rules: ReplyRules, seed: int, tell: Tell | None) -> Policy:
    from sepo.lm.generate import Writer
    from sepo.lm.load import load_model

    writer = Writer(load_model(reference), tell)
    return ReasonedPolicy(lambda: writer, reference, rules, seed)


MODELS = ("bundled", "hf")
MAKERS: Mapping[str, Callable[[str, Tell | None], Policy]] = {
    "script": lambda rest, tell: ScriptPolicy(f"script:{rest}", rest),
    "axelrod": lambda rest, tell: ScriptPolicy(f"axelrod:{rest}", f"axelrod:{rest}"),
    "uniform": lambda rest, tell: UniformPolicy(),
    "table": lambda rest, tell: load_table(Path(rest)),
    "human": lambda rest, tell: HumanPolicy(),
    "bundled": lambda rest, tell: _model(f"bundled:{rest}", tell),
    "hf": lambda rest, tell: _model(f"hf:{rest}", tell),
}
