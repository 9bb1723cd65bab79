"""Fixtures that several rooms share: the games and their trees, and the program as its user calls it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings

from sepo.games.base import Game
from sepo.games.registry import make
from sepo.solve.expand import expand
from sepo.solve.tree import Tree
from tests.small_games import Stakes

settings.register_profile("steady", derandomize=True, deadline=None)  # the same examples in every run
settings.load_profile("steady")

SOURCE = Path(__file__).parent.parent / "src"


@pytest.fixture(autouse=True)
def untraced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the programs that a test marked ``no_cover`` starts go untraced too: they are half as fast with it."""
    if request.node.get_closest_marker("no_cover"):
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture(scope="session")
def kuhn() -> Game:
    return make("kuhn")


@pytest.fixture(scope="session")
def tree(kuhn: Game) -> Tree:
    """Kuhn poker's tree."""
    return expand(kuhn)


@pytest.fixture(scope="session")
def stakes() -> Game:
    return Stakes()


@pytest.fixture(scope="session")
def stakes_tree(stakes: Game) -> Tree:
    return expand(stakes)


class Finished(NamedTuple):
    """A finished run of the program."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Return stdout as one JSON document; anything else on it is an error."""
        return json.loads(self.out)


def run_program(*arguments: object, before: str = "", input: str | None = None, fresh: bool = False) -> Finished:
    """Run ``sepo`` with arguments: in this process, which has imported it already.

    Parameters
    ----------
    before
        Python statements that are run first; in a process of its own.
    fresh
        Whether it gets a process of its own in any case.
    """
    if not before and not fresh:
        return _run_here([str(a) for a in arguments], input)
    code = f"{before}\nfrom sepo.cli.main import main\nmain()"
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        input=input,
        timeout=240,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def _run_here(arguments: Sequence[str], input: str | None) -> Finished:
    from sepo.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["sepo", *arguments])
        patch.setattr(sys, "stdin", io.StringIO(input or ""))
        patch.setenv("OMP_WAIT_POLICY", "passive")
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
    return Finished(int(code), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def sepo() -> Callable[..., Finished]:
    """Run ``sepo ARGUMENTS``: returns exit code, stdout and stderr."""
    return run_program
