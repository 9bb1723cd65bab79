"""docs/extend.md does what it says: its shell blocks run in a shell, its Python blocks one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import SOURCE

ROOT = SOURCE.parent
PAGE = (ROOT / "docs" / "extend.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, flags=re.DOTALL)
PROGRAMS = {
    "sepo": "-c 'from sepo.cli.main import main; main()'",
    "pytest": "-m pytest -q -p no:cacheprovider",
    "pip": f"'{ROOT}/tests/plugin/install.py'",  # what `pip install -e` leaves behind, without a network
}


def blocks(kind: str) -> str:
    return "\n".join(text for found, text in BLOCKS if found == kind)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the shell blocks in an empty folder; return it."""
    folder = tmp_path_factory.mktemp("extend")
    for name, arguments in PROGRAMS.items():
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        program.chmod(0o755)
    done = run(folder, "sh", "-e", "-x", "-c", blocks("sh"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Stag hunt" in done.stdout
    assert "passed" in done.stdout
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    paths = (SOURCE, folder / "site", folder / "stag_hunt")
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SITE": str(folder / "site"),
    }
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_every_block_is_of_a_kind_that_is_run_here():
    assert {kind for kind, _ in BLOCKS} == {"sh", "toml", "python"}
    assert PAGE.count("```") == 2 * len(BLOCKS)


def test_the_shell_blocks_write_a_game_that_is_found(folder: Path):
    assert (folder / "stag_hunt" / "stag_hunt.py").exists()
    done = run(folder, "sepo", "games")
    assert "stag_hunt" in done.stdout


def test_the_entry_point_is_the_one_that_is_written(folder: Path):
    written = tomllib.loads((folder / "stag_hunt" / "pyproject.toml").read_text())
    assert tomllib.loads(blocks("toml"))["project"]["entry-points"] == written["project"]["entry-points"]


def test_the_python_blocks_run(folder: Path):
    done = run(folder, sys.executable, "-c", blocks("python"))
    assert done.returncode == 0, done.stderr


def test_each_section_fits_a_page():
    for section in PAGE.split("\n## ")[1:]:
        assert len(section.splitlines()) <= 66, section.splitlines()[0]
