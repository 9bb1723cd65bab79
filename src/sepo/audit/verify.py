"""Whether a safety card holds: recompute it, and hold every figure of the card to what comes out.

What is compared: the policy's fingerprint, each game's rules, prompts and definitions, and every number, interval end
and word of the scorecard. What is not: the date, and versions, which are noted where they differ.

Tolerance. Scripts and tables are computed in double precision by the same sums, so they agree to ``EXACT`` (absolutely,
and relative to what is larger than 1). A model's logits differ between machines and packings by up to 4e-5 in float32,
its log-probabilities by about as much, and a figure, a payoff per round, by hardly more (the bundled model's
figures in Kuhn poker by at most 6e-6 between prompt tries and padded batches): ``MODEL``. Where a model's
figure is sampled, one such difference may turn one draw in tens of thousands, and with it one episode, so it holds
within a tenth of its interval's half-width as well. ``LOOSE`` parts of a model's card are not compared: what a search
found may jump with the last digit.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sepo.audit.asked import read_asked
from sepo.audit.card import card, command, games_of
from sepo.audit.methods import Tell, quiet
from sepo.audit.scorecard import scorecard
from sepo.errors import InputError
from sepo.policies.reworded import worded
from sepo.policies.spec import load_policy
from sepo.policies.table import PolicyTable

SCHEMA = "sepo.verification/1"
EXACT = 1e-9
MODEL = 1e-4
SHARE = 0.1
"""Of a sampled figure's half-width, where a model was asked."""
LOOSE = ("time_to_exploit", "effective", "worst_case")
FIGURE = {"value", "low", "high", "n"}
QUESTIONS = ("prompts", "definitions", "rules", "rules_by_measures")
"""What is asked, as far as a game's part of a card says it: compared first, and whole."""


class Difference(NamedTuple):
    """Something that differs: where, what the card says, and what is found; None where one side has nothing."""

    where: str
    card: Any
    found: Any


@dataclass(frozen=True)
class Verification:
    """What came of recomputing a card.

    Attributes
    ----------
    differences
        In the order of the card: the policy, then game by game rules, prompts and figures.
    notes
        What a reader should know and what does not make the card fail.
    """

    policy: str
    tolerance: float
    differences: Sequence[Difference]
    notes: Sequence[str]

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "schema": SCHEMA,
            "policy": self.policy,
            "holds": self.holds,
            "tolerance": self.tolerance,
            "differences": [d._asdict() for d in self.differences],
            "notes": list(self.notes),
        }


def verify(
    said: Mapping[str, Any],
    policy: str | None = None,
    tolerance: float | None = None,
    *,
    kept: bool = False,
    tell: Tell = quiet,
) -> Verification:
    """Recompute a card and compare.

    Parameters
    ----------
    said
        The card; see ``audit.card.load_safety_card``.
    policy
        The POLICY string to audit, where it is not the card's own: the same policy in another place. A server must be
        named here, also the card's own: whoever wrote the card chose the address, and the user's key goes there.
    tolerance
        In figures; by the kind of policy unless given.
    kept
        Whether a local model's answers may come from this machine's disk, rather than from the model.

    Raises
    ------
    InputError
        If it cannot be recomputed: the policy is not there or a server that nobody named, or its table lacks what the
        game asks.
    """
    reference = policy or said["policy"]
    if policy is None and reference.startswith("openai:"):
        url = reference.rpartition("@")[2]
        raise InputError(f"the card names the server '{url}': say --policy {shlex.quote(reference)} to ask it")
    model = said["kind"] == "model"
    close = tolerance if tolerance is not None else MODEL if model else EXACT
    asked = read_asked(said["options"], "card")
    loaded = load_policy(reference, asking=asked.options(said["seed"], kept=kept).asking)
    games = [games_of(name, part, asked) for name, part in said["games"].items()]
    if isinstance(loaded, PolicyTable) and (other := _not_the_tables(loaded, said)):
        return Verification(reference, close, other, [])
    reading = worded(loaded, said.get("wording"))
    again = card(
        scorecard(reading, games, asked.options(said["seed"], kept=kept), tell) | {"policy": reference},
        loaded,
        said.get("wording"),
    )
    found, notes = compared(said, again, close)
    return Verification(reference, close, found, notes)


@dataclass(frozen=True)
class _Close:
    """When two values agree, and which parts are compared."""

    tolerance: float
    model: bool
    newer: bool
    """Whether another version made the card: it may lack what this one adds."""

    def numbers(self, a: float, b: float) -> bool:
        """Whether two numbers agree; NaN agrees with nothing."""
        return abs(a - b) <= self.tolerance * max(1.0, abs(a), abs(b))

    def of(self, said: Mapping[str, Any], found: Mapping[str, Any]) -> _Close:
        """Return how near the parts of a figure must be: a model's that is sampled, to a part of its interval too."""
        if not self.model or found.get("n") is None or found.get("low") is None or found.get("high") is None:
            return self
        return replace(self, tolerance=max(self.tolerance, SHARE * (found["high"] - found["low"]) / 2))


def _not_the_tables(table: PolicyTable, said: Mapping[str, Any]) -> list[Difference]:
    """Return where a card's game or rules are not those of the table, which could not be audited by others."""
    for name, part in said["games"].items():
        if name != table.game:
            return [Difference("games", name, table.game)]
        if part["rules"] != dict(table.rules):
            return [Difference(f"rules of {name}", part["rules"], dict(table.rules))]
    return []


def compared(said: Mapping[str, Any], again: Mapping[str, Any], tolerance: float) -> tuple[list[Difference], list[str]]:
    """Return what differs between a card and the one that was made again, and what is to be noted."""
    newer = said["versions"].get("sepo") != again["versions"].get("sepo")
    close = _Close(tolerance, said["kind"] == "model", newer)
    notes = []
    if again["policy"] != said["policy"]:
        notes.append(f"audited as '{again['policy']}', where the card says '{said['policy']}'")
    out: list[Difference] = []
    if (own := command(said)) != said.get("command"):
        out.append(Difference("command", said.get("command"), own))
    before, after = said.get("fingerprint"), again["fingerprint"]
    if before != after:
        out.append(Difference("fingerprint of the policy", _digest(before), _digest(after)))
    elif after is None and said["kind"] != "script":
        notes.append("the policy has no fingerprint: that it is the same one is known by its figures alone")
    versions = said["versions"], again["versions"]
    for name in dict.fromkeys([*versions[0], *versions[1]]):
        old, new = (v.get(name, "none") for v in versions)
        if old != new:
            notes.append(f"{name} is {new} here and was {old}")
    for name, part in said["games"].items():
        found = again["games"][name]
        out += [
            Difference(f"{key} of {name}", *_told(part.get(key), found.get(key)))
            for key in QUESTIONS
            if part.get(key) != found.get(key)
        ]
        ours, theirs = ({k: v for k, v in p.items() if k not in QUESTIONS} for p in (part, found))
        out += _differences(ours, theirs, close, name, "")
    return out, notes


def _digest(fingerprint: object) -> object:
    return fingerprint.get("sha256") if isinstance(fingerprint, Mapping) else fingerprint


def _told(said: object, found: object) -> tuple[object, object]:
    """Return the digests of prompts where those differ; the whole values of anything else."""
    digests = _digest(said), _digest(found)
    return digests if digests[0] != digests[1] else (said, found)


def _differences(said: Any, found: Any, close: _Close, game: str, path: str) -> Iterator[Difference]:
    """Yield what differs, in the card's order; what only the recomputation has comes last."""
    if isinstance(said, Mapping) and isinstance(found, Mapping):
        near = close.of(said, found) if set(said) >= FIGURE and set(found) >= FIGURE else close
        for key in dict.fromkeys([*said, *found]):
            if (close.model and key in LOOSE) or (close.newer and key not in said):
                continue
            if key not in said or key not in found:
                yield Difference(_place(game, path, key), said.get(key), found.get(key))
            else:
                yield from _differences(said[key], found[key], near, game, f"{path}.{key}")
    elif isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        for number, (a, b) in enumerate(zip(said, found, strict=True)):
            name = b.get("name", number) if isinstance(b, Mapping) else number
            yield from _differences(a, b, close, game, f"{path}.{name}")
    elif _number(said) and _number(found):
        if not close.numbers(said, found):
            yield Difference(_place(game, path), said, found)
    elif type(said) is not type(found) or said != found:
        yield Difference(_place(game, path), said, found)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _place(game: str, path: str, key: str = "") -> str:
    """Return where a figure stands, as people say it: ``kuhn: sepo.J, low``."""
    parts = [p for p in [*path.split(".")[1:], key] if p]
    if parts and parts[0] == "measures":
        parts = [".".join(parts[1:3]), *parts[3:]]
    end = f", {parts[-1]}" if parts and parts[-1] in FIGURE and len(parts) > 1 else ""
    return f"{game}: {' '.join(parts[:-1] if end else parts)}{end}"


def check_text(path_said: str, rendered: str) -> bool:
    """Whether a card's Markdown is what its JSON gives, line ends aside."""
    return "\n".join(path_said.splitlines()).strip() == "\n".join(rendered.splitlines()).strip()


def refuse_unfit(tolerance: float | None) -> None:
    """Refuse a tolerance that is none.

    Raises
    ------
    InputError
        If it is negative or not finite.
    """
    if tolerance is not None and not 0 <= tolerance < float("inf"):
        raise InputError(f"--tolerance takes a number that is not negative, not {tolerance}")
