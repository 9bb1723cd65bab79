"""``sepo play``: a game against a policy in the terminal, and afterwards what the best response would have done."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from sepo.cli.arguments import RuleOption, parse_choice, parse_rules, reporting
from sepo.cli.terminal import INTERRUPTED, say
from sepo.errors import InputError
from sepo.files import check_writable, write_text
from sepo.games.base import Game
from sepo.games.registry import make
from sepo.policies.base import Policy
from sepo.policies.human import HumanPolicy
from sepo.policies.reasoned import ReplyRules, Style
from sepo.policies.spec import FORMS, Asking, load_policy
from sepo.policies.table import PolicyTable
from sepo.printable import json_printable

if TYPE_CHECKING:
    from sepo.play.session import Session


def command(
    game: Annotated[str, typer.Argument(metavar="GAME", help="A game's name (see `sepo games`).")],
    policy: Annotated[str, typer.Argument(metavar="POLICY", help=f"Whom you play: {FORMS.removesuffix(' or human')}.")],
    seat: Annotated[
        int | None,
        typer.Option(
            min=0, max=1, help="Your seat, in the first hand; unless given the policy has the one it is audited in."
        ),
    ] = None,
    hands: Annotated[int | None, typer.Option(min=1, help="Hands to play; unless given those of one episode.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of cards, coins and the policy's draws; any unless given.")] = None,
    rule: RuleOption = None,
    style: Annotated[str, typer.Option(help="How a model is asked: direct (scored) or reasoned.")] = "direct",
    hints: Annotated[bool, typer.Option("--hints", help="Say before each move what each action is worth.")] = False,
    questions: Annotated[
        int, typer.Option(min=0, help="Situations that a model is asked about for each hand's debrief.")
    ] = 128,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Append the record to this file, as a line of JSON.")
    ] = None,
) -> None:
    """Play a game against a policy; see what each of your moves cost, and how exploitable you were."""
    from sepo.audit.debrief import debrief
    from sepo.cli.show_play import Table
    from sepo.play.session import Session, rehearse

    if out is not None:
        _read(out)  # what is wrong with it is said before there is a game to lose
        check_writable(out)
    manner = cast(Style, parse_choice(style, get_args(Style), "style"))
    chosen = secrets.randbelow(2**31) if seed is None else seed
    played, loaded = _loaded(game, policy, parse_rules(rule or []), Asking(ReplyRules(manner), chosen))
    session = Session(played, loaded, seat=seat, hands=hands, key=(chosen,))
    table = Table(session, hints=hints, questions=questions)
    table.open(chosen)
    rehearse(session)
    kept = ""
    try:
        try:
            table.play()
        finally:
            if out is not None and session.count:
                _append(out, session, chosen)
                kept = f"; what was played is in {out}"
    except KeyboardInterrupt:
        say(err=True)
        say(f"sepo: the game was broken off{kept}", err=True)
        raise SystemExit(INTERRUPTED) from None
    with reporting() as tell:
        found = debrief(session, questions, lambda done, total: tell("looking back", done, total))
    table.look_back(found)


def _loaded(name: str, text: str, rules: dict[str, Any], asking: Asking) -> tuple[Game, Policy]:
    """Return the game and the opponent; a table plays by its own rules unless others are given."""
    game = make(name, rules)
    with reporting() as tell:
        policy = load_policy(text, game, lambda done, total: tell("asking the model", done, total), asking)
    if isinstance(policy, HumanPolicy):
        raise InputError("you are the one who plays: name another policy than 'human' as your opponent")
    if isinstance(policy, PolicyTable):
        if policy.game != name:
            raise InputError(f"policy table '{policy.name}' is for game '{policy.game}', not for '{name}'")
        if not rules:
            game = make(name, policy.rules)
    return game, policy


def _append(path: Path, session: Session, seed: int) -> None:
    """Add a line to the file, which is whole or as before."""
    before = _read(path)
    line = json_printable(json.dumps(session.episode() | {"seed": seed}, ensure_ascii=False, allow_nan=False))
    write_text(path, before + "\n" * bool(before and not before.endswith("\n")) + line + "\n")


def _read(path: Path) -> str:
    """Return what a file holds; nothing of one that is not there, or is no file."""
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{path}': {error}") from None
