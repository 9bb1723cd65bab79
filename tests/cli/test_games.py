"""``sepo games``: the list, one game, and a new one whose test passes as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from sepo.games.template import class_name, write_game
from tests.conftest import SOURCE, Finished
from tests.plugin.install import install
from tests.plugin.test_plugin import program

Program = Callable[..., Finished]


def inside(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_list_has_the_built_in_games_and_says_how_openspiels_are_called(sepo: Program):
    done = sepo("games")
    assert (done.code, done.err) == (0, "")
    for shown in ("kuhn", "ipd", "openspiel:NAME"):
        assert shown in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("khun",), "unknown game 'khun' (did you mean 'kuhn'?)"),
        (("new",), "name the new game: sepo games new NAME"),
        (("kuhn", "ipd"), "usage: sepo games"),
        (("kuhn", "--out", "x"), "usage: sepo games"),
        (("--out", "x"), "usage: sepo games"),
        (("new", "kuhn"), "'kuhn' is taken"),
        (("new", "all"), "'all' is taken"),
        (("new", "stag-hunt"), "'stag-hunt' cannot name a game"),
        (("new", "../stag"), "'../stag' cannot name a game"),
        (("new", "2stags"), "'2stags' cannot name a game"),
        (("new", "class"), "'class' cannot name a game"),
        (("new", "_"), "'_' cannot name a game"),
        (("new", "random"), "'random' is the name of a Python module"),
        (("new", "numpy"), "'numpy' is the name of a Python module"),
        (("new", "sepo"), "'sepo' is the name of a Python module"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_nothing_is_written(
    sepo: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
):
    monkeypatch.chdir(tmp_path)
    done = sepo("games", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("sepo: ")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


CHANGES = (
    ("", ""),
    ('"SH": (0.0, 3.0)', '"SH": (1.0, 3.0)'),
    ("They said {other}.", "Next."),
    ("zero_sum = False", "zero_sum = True"),
    ("float(self.rounds[-1][learner]", "float(self.rounds[-1][1 - learner]"),
    ('"exploiter": ("always_hare",)', '"exploiter": ("hare",)'),
    ('return ",".join(view.rounds)', "return str(len(view.rounds))"),
    ('{"STAG": p, "HARE": 1 - p}', '{"STAG": p, "HARE": 1.1 - p}'),
    ("not 1 <= rounds <= MAX_ROUNDS", "not 1 <= rounds"),
)


def test_a_new_games_test_passes_as_written_and_fails_when_the_game_is_changed(tmp_path: Path):
    for number, (written, changed) in enumerate(CHANGES):
        game, *_ = write_game(f"stag{number}", tmp_path / str(number))
        assert written in game.read_text()
        game.write_text(game.read_text().replace(written, changed) if written else game.read_text())
    done = inside(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "-rfE", ".")
    failed = {int(n) for n in re.findall(r"^FAILED (\d)/", done.stdout, flags=re.MULTILINE)}
    assert failed == set(range(1, len(CHANGES))), done.stdout
    assert "0/test_stag0.py" not in done.stdout, done.stdout


def test_a_new_game_may_be_called_what_its_files_call_something_else(tmp_path: Path):
    names = {"hunt": "HuntGame", "view": "ViewGame", "turn": "TurnGame", "weights": "WeightsGame", "game": "GameGame"}
    names |= {"tree": "TreeGame", "none": "NoneGame", "ACTIONS": "ACTIONSGame", "hunter": "Hunter"}
    assert {name: class_name(name) for name in names} == names
    for name in names:
        write_game(name, tmp_path / name)
    done = inside(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", ".")
    assert done.returncode == 0, done.stdout


def test_a_new_game_is_found_once_installed(sepo: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = sepo("games", "new", "stag_hunt")
    assert (done.code, done.err) == (0, "")
    assert sorted(p.name for p in Path("stag_hunt").iterdir()) == [
        "pyproject.toml",
        "stag_hunt.py",
        "test_stag_hunt.py",
    ]
    assert "pip install -e stag_hunt" in done.out
    entry = tomllib.loads(Path("stag_hunt/pyproject.toml").read_text())["project"]["entry-points"]["sepo.games"]
    assert entry == {"stag_hunt": "stag_hunt:StagHunt"}
    assert 'stag_hunt = "stag_hunt:StagHunt"' in done.out
    installed = program(install(Path("stag_hunt"), Path("site")))
    card = installed("audit", "script:copycat", "--game", "stag_hunt", "--json").document["games"]["stag_hunt"]
    assert card["measures"]["sepo"]["J"]["value"] == pytest.approx(167 / 72)  # 3 - 1/2 - 13/72, by hand
    assert "hunts the stag, then copies" in installed("games", "stag_hunt").out
    again = installed("games", "new", "stag_hunt", "--out", "other")
    assert again.code == 2
    assert "'stag_hunt' is taken" in again.err


@pytest.mark.parametrize("there", ["stag_hunt.py", "test_stag_hunt.py", "pyproject.toml"])
def test_an_existing_file_is_never_overwritten(sepo: Program, tmp_path: Path, there: str):
    (tmp_path / there).write_text("mine")
    done = sepo("games", "new", "stag_hunt", "--out", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert f"{there}' exists and is not overwritten" in done.err
    assert done.err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named(sepo: Program, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    done = sepo("games", "new", "stag_hunt", "--out", tmp_path / "file")
    assert done.code == 2
    assert "cannot write" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["stag_hunt", "x", "MyGame", "my_game", "game2_of_3"])
def test_every_file_of_a_new_game_is_well_formed(sepo: Program, tmp_path: Path, name: str):
    assert sepo("games", "new", name, "--out", tmp_path).code == 0
    for file in tmp_path.glob("*.py"):
        compile(file.read_text(), file.name, "exec")
        if name != "my_game":
            assert "my_game" not in file.read_text()
    assert f"class {class_name(name)}(Game)" in (tmp_path / f"{name}.py").read_text()
    linted = inside(tmp_path, "ruff", "check", "--isolated", "--line-length", "120", "--select", "E,F,I,UP,B", ".")
    assert linted.returncode == 0, linted.stdout
