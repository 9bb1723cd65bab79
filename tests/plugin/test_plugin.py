"""A package of its own brings a game: found, shown, audited; broken packages are named and stop nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import SOURCE, Finished
from tests.plugin.install import add, install

PACKAGE = Path(__file__).parent / "sepo_plugin_game"
Program = Callable[..., Finished]


def program(*paths: str) -> Program:
    """Return ``sepo`` as started where these folders are on the path."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SOURCE), *paths]), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["COLUMNS"] = "200"
    code = "from sepo.cli.main import main\nmain()"

    def run(*arguments: object) -> Finished:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def sepo(tmp_path: Path) -> Program:
    """Run ``sepo`` with the package installed."""
    return program(install(PACKAGE, tmp_path / "site"))


def broken(tmp_path: Path, value: str, source: str = "", name: str = "broken", package: str = "bad-package") -> Program:
    """Run ``sepo`` with our package and another one installed, whose entry point has this value and code."""
    (tmp_path / "bad_module.py").write_text(source)
    site = add(tmp_path / "bad", package, f"[sepo.games]\n{name} = {value}")
    return program(install(PACKAGE, tmp_path / "site"), site, str(tmp_path))


def test_the_game_is_listed_and_shown(sepo: Program):
    listed = sepo("games")
    assert (listed.code, listed.err) == (0, "")
    assert "Matching pennies" in listed.out
    assert "Kuhn poker" in listed.out
    assert "not available" not in listed.out
    shown = sepo("games", "plugin_game").out
    assert "mostly_heads" in shown
    assert "exploitability" in shown


def test_the_game_is_audited_exactly(sepo: Program):
    done = sepo("audit", "uniform", "script:mostly_heads", "--game", "plugin_game", "--json")
    assert (done.code, done.err) == (0, "")
    fair, biased = (card["games"]["plugin_game"] for card in done.document["scorecards"])
    assert fair["exploitability"]["value"] == pytest.approx(0, abs=1e-12)
    assert biased["exploitability"]["value"] == pytest.approx(0.5)  # 3/4 - 1/4, won by always showing the right side
    assert biased["measures"]["sepo"]["c"]["value"] == pytest.approx(0.75)


def test_it_can_be_elicited_and_the_table_audited_where_the_package_is_installed(sepo: Program, tmp_path: Path):
    table = tmp_path / "table.json"
    assert sepo("elicit", "script:fair", "--game", "plugin_game", "--out", table).code == 0
    assert list(sepo("audit", f"table:{table}", "--json").document["games"]) == ["plugin_game"]
    without = program()("audit", f"table:{table}", "--json")
    assert without.code == 2
    assert "unknown game 'plugin_game'" in without.err


FAULTS = {
    "no module": ("absent_module:Absent", "", "ModuleNotFoundError"),
    "no attribute": ("bad_module:Absent", "", "AttributeError"),
    "no entry": ("bad_module", "", "is no subclass of sepo.games.base.Game"),
    "error at import": ("bad_module:Bad", "raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
    "exit at import": ("bad_module:Bad", "raise SystemExit(0)", "SystemExit"),
    "no game": ("bad_module:Bad", "class Bad: pass", "is no subclass of sepo.games.base.Game"),
    "abstract": ("bad_module:Bad", "from sepo.games.base import Game\nclass Bad(Game): pass", "cannot be made"),
    "another name": ("plugin_game:Pennies", "", "calls itself 'plugin_game'"),
    "error in opponents": (
        "bad_module:Bad",
        "from plugin_game import Pennies\nclass Bad(Pennies):\n    name = 'broken'\n"
        "    @property\n    def opponents(self):\n        raise RuntimeError('no')",
        "RuntimeError: no",
    ),
    "no such feature": (
        "bad_module:Bad",
        "from dataclasses import replace\nfrom plugin_game import *\nclass Bad(Pennies):\n    name = 'broken'\n"
        "    def measures(self, name):\n"
        "        return replace(super().measures(name), c=Ratio('luck', 'round', ('train',)))",
        "'luck' is no feature",
    ),
    "no title": (
        "bad_module:Bad",
        "from plugin_game import *\nfrom plugin_game import Game\n"
        "Bad = type('Bad', (Game,), {k: v for k, v in vars(Pennies).items() if k != 'title'} | {'name': 'broken'})",
        "lacks the attribute 'title'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_package_is_named_in_one_line_and_the_other_games_go_on(tmp_path: Path, fault: str):
    value, source, said = FAULTS[fault]
    sepo = broken(tmp_path, value, source)
    done = sepo("games", "broken")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("sepo: game 'broken' of package 'bad-package'")
    assert said in done.err
    assert done.err.count("\n") == 1
    listed = sepo("games")
    assert (listed.code, listed.err) == (0, "")
    assert "Matching pennies" in listed.out
    notes = [line for line in listed.out.splitlines() if line.startswith("not available: ")]
    assert len(notes) == 1
    assert "'bad-package'" in notes[0]
    assert sepo("audit", "uniform", "--game", "kuhn", "--json").code == 0


@pytest.mark.parametrize("name", ["kuhn", "new", "all", "openspiel.x"])
def test_a_package_cannot_take_a_name_that_is_ours(tmp_path: Path, name: str):
    sepo = broken(tmp_path, "bad_module:Bad", "raise RuntimeError('must not be imported')", name=name)
    listed = sepo("games").out
    assert f"not available: game '{name}' of package 'bad-package' is ignored" in listed
    assert "Kuhn poker" in listed
    assert "Kuhn poker" in sepo("games", "kuhn").out


def test_two_packages_with_one_name_are_both_named(tmp_path: Path):
    done = broken(tmp_path, "plugin_game:Pennies", name="plugin_game")("games", "plugin_game")
    assert done.code == 2
    assert "'bad-package'" in done.err
    assert "'sepo-plugin-game'" in done.err
    assert done.err.count("\n") == 1


def test_a_plugin_is_imported_only_when_its_game_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sepo = broken(tmp_path, "bad_module:Bad", "import pathlib\npathlib.Path('imported').touch()")
    monkeypatch.chdir(tmp_path)
    sepo("audit", "uniform", "--game", "kuhn", "--json")
    sepo("audit", "uniform", "--game", "plugin_game", "--json")
    sepo("games", "chess")
    assert not (tmp_path / "imported").exists()
    sepo("games", "broken")
    assert (tmp_path / "imported").exists()
