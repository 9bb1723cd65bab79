"""Files are whole or absent: a write that fails midway leaves what was there and nothing beside it."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sepo.errors import InputError
from sepo.files import cache_folder, check_writable, dump_json, read_json, write_atomic, write_json, write_text


def listing(folder: Path) -> dict[str, str]:
    """Return every file below a folder, hidden ones included, with its content."""
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def full_disk(path: Path) -> None:
    """Write half, then run out of space."""
    path.write_text("half of it")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def bug(path: Path) -> None:
    path.write_text("half of it")
    raise RuntimeError("a bug in the writer")


def test_text_and_json_arrive_whole_in_folders_made_on_the_way(tmp_path: Path):
    write_text(tmp_path / "a" / "b" / "text.txt", "Übung\n")
    write_json(tmp_path / "a" / "card.json", {"e": 0.1, "wörter": ["check"]})
    assert (tmp_path / "a" / "b" / "text.txt").read_text(encoding="utf-8") == "Übung\n"
    assert json.loads((tmp_path / "a" / "card.json").read_text(encoding="utf-8")) == {
        "e": 0.1,
        "wörter": ["check"],
    }
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "b", "card.json", "text.txt"]


def test_writing_again_replaces(tmp_path: Path):
    path = tmp_path / "policy.json"
    write_text(path, "a much longer first version")
    write_text(path, "second")
    assert listing(tmp_path) == {"policy.json": "second"}


@pytest.mark.parametrize("before", [{}, {"policy.json": "the previous version"}])
def test_a_disk_that_fills_up_midway_leaves_the_previous_file_whole_and_no_temporary(
    tmp_path: Path, before: dict[str, str]
):
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"cannot write '.*policy\.json': No space left on device"):
        write_atomic(tmp_path / "policy.json", full_disk)
    assert listing(tmp_path) == before
    assert len([*tmp_path.iterdir()]) == len(before)


@pytest.mark.parametrize("where", ["fsync", "rename"])
def test_a_disk_that_fails_on_the_last_step_leaves_the_previous_file_whole_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
):
    path = tmp_path / "policy.json"
    path.write_text("the previous version")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(InputError, match="No space left on device"):
        write_json(path, {"new": True})
    assert listing(tmp_path) == {"policy.json": "the previous version"}
    assert [p.name for p in tmp_path.iterdir()] == ["policy.json"]


def test_a_bug_in_the_writer_is_no_input_error_and_leaves_the_previous_file_whole(tmp_path: Path):
    path = tmp_path / "policy.json"
    path.write_text("the previous version")
    with pytest.raises(RuntimeError, match="a bug in the writer"):
        write_atomic(path, bug)
    assert [p.name for p in tmp_path.iterdir()] == ["policy.json"]
    assert path.read_text() == "the previous version"


def fill(text: str) -> Callable[[Path], None]:
    """Return the writer of a checkpoint folder of two files."""

    def write(path: Path) -> None:
        path.mkdir()
        (path / "weights").write_text(text)
        (path / "config").write_text(text)

    return write


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path):
    path = tmp_path / "checkpoint"
    write_atomic(path, fill("old"))
    (path / "extra").write_text("only in the old one")
    write_atomic(path, fill("new"))
    assert listing(tmp_path) == {"checkpoint/weights": "new", "checkpoint/config": "new"}
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


def test_a_folder_that_cannot_be_completed_leaves_the_previous_one_whole(tmp_path: Path):
    path = tmp_path / "checkpoint"
    write_atomic(path, fill("old"))

    def half(made: Path) -> None:
        made.mkdir()
        full_disk(made / "weights")

    with pytest.raises(InputError, match="No space left on device"):
        write_atomic(path, half)
    assert listing(tmp_path) == {"checkpoint/weights": "old", "checkpoint/config": "old"}


def test_a_folder_that_cannot_be_moved_into_place_leaves_the_previous_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "checkpoint"
    write_atomic(path, fill("old"))
    moves: list[Path] = []
    rename = Path.rename

    def second_fails(self: Path, target: Path) -> Path:
        moves.append(self)
        if len(moves) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(InputError, match="cannot write"):
        write_atomic(path, fill("new"))
    assert listing(tmp_path) == {"checkpoint/weights": "old", "checkpoint/config": "old"}


def test_a_link_stays_and_the_file_that_it_names_is_written(tmp_path: Path):
    (tmp_path / "there").mkdir()
    for name in ("old", "new"):
        link = tmp_path / name
        link.symlink_to(Path("there") / f"{name}.json")
    (tmp_path / "there" / "old.json").write_text("the previous version")
    for name in ("old", "new"):
        write_text(tmp_path / name, "written")
        assert (tmp_path / name).is_symlink()
    assert listing(tmp_path / "there") == {"old.json": "written", "new.json": "written"}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_keeps_its_mode(tmp_path: Path, mode: int):
    path = tmp_path / "policy.json"
    path.write_text("the previous version")
    path.chmod(mode)
    write_text(path, "written")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_text() == "written"


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_json(pipe, {"e": 0.1})
    assert json.loads(os.read(reader, 1000)) == {"e": 0.1}
    os.close(reader)
    assert pipe.is_fifo()
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]
    (tmp_path / "null").symlink_to(os.devnull)
    write_json(tmp_path / "null", {})
    assert (tmp_path / "null").is_char_device()
    assert Path(os.devnull).is_char_device()


def test_a_path_below_a_regular_file_is_an_error_that_names_it(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "out.json", tmp_path / "file" / "deeper" / "out.json"):
        with pytest.raises(InputError, match=r"cannot write '.*out\.json'"):
            write_json(path, {})
    assert listing(tmp_path) == {"file": "in the way"}


def test_a_folder_in_the_place_of_the_file_is_an_error_and_stays(tmp_path: Path):
    (tmp_path / "out.json").mkdir()
    (tmp_path / "out.json" / "precious").write_text("kept")
    with pytest.raises(InputError, match="cannot write"):
        write_json(tmp_path / "out.json", {})
    assert listing(tmp_path) == {"out.json/precious": "kept"}


def test_a_place_that_cannot_be_written_is_refused_beforehand_and_nothing_is_left_there(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    for path in ("out.json", "new/folder/out.json", "file"):
        check_writable(tmp_path / path)
    for path in ("file/out.json", "file/deeper/out.json", "x" * 300 + "/out.json", "x" * 300):
        for folder in (False, True):
            with pytest.raises(InputError, match=rf"cannot write '.*{path}'"):
                check_writable(tmp_path / path, folder=folder)
    check_writable(tmp_path, folder=True)
    with pytest.raises(InputError, match="it is a folder; name a file"):
        check_writable(tmp_path)
    assert listing(tmp_path) == {"file": "in the way"}
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_json_cannot_hold_is_not_written_over_what_was_there(tmp_path: Path, bad: float):
    path = tmp_path / "card.json"
    write_json(path, {"e": 0.1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"e": bad})
    assert read_json(path, "scorecard") == {"e": 0.1}
    assert [p.name for p in tmp_path.iterdir()] == ["card.json"]


def test_json_reads_back_what_it_wrote():
    document = {"a": [1, 2.5, None, True], "ü": {"b": 1 / 3}}
    assert json.loads(dump_json(document)) == document


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", r"scorecard '.*x\.json' is not JSON: .* at line 1, column 2"),
        (b"[]", r"scorecard '.*x\.json' must hold a JSON object, not list"),
        (b"null", r"scorecard '.*x\.json' must hold a JSON object, not NoneType"),
        (b"\xff", r"cannot read scorecard '.*x\.json'"),
        (b"[" * 100_000, r"scorecard '.*x\.json' is not JSON"),
    ],
    ids=["cut off", "list", "null", "not text", "too deep"],
)
def test_a_file_without_a_json_object_is_an_error_that_names_kind_file_and_fault(
    tmp_path: Path, content: bytes, said: str
):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_json(tmp_path / "x.json", "scorecard")


def test_a_missing_file_is_an_error_that_names_kind_and_place(tmp_path: Path):
    with pytest.raises(InputError, match=r"no scorecard at '.*x\.json'"):
        read_json(tmp_path / "x.json", "scorecard")


def test_the_cache_folder_is_its_own_or_in_the_users(monkeypatch: pytest.MonkeyPatch):
    for own, shared, found in (
        ("/own", "/shared", "/own"),
        ("", "/shared", "/shared/sepo"),
        (None, "/shared", "/shared/sepo"),
        (None, "", "/home/me/.cache/sepo"),
        ("", None, "/home/me/.cache/sepo"),
    ):
        monkeypatch.setenv("HOME", "/home/me")
        for name, value in (("SEPO_CACHE", own), ("XDG_CACHE_HOME", shared)):
            monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
        assert cache_folder() == Path(found)


def test_without_a_home_the_cache_folder_is_as_told_or_asked_for(monkeypatch: pytest.MonkeyPatch):
    for name in ("HOME", "SEPO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)  # a user whom no one knows, as in a container
    with pytest.raises(InputError, match="set SEPO_CACHE to a folder"):
        cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_folder() == Path("/shared/sepo")
