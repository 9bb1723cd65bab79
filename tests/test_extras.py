"""What needs an extra says so in one line where the extra is not installed, before it loads or writes anything."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import sepo as package
from sepo.errors import InputError
from sepo.extras import LIBRARIES, missing
from sepo.policies.reasoned import ReplyRules
from sepo.policies.spec import Asking, load_policy
from sepo.policies.workers import Here
from tests.conftest import Finished
from tests.models import tiny_model

Program = Callable[..., Finished]
ROOT = Path(__file__).parent.parent
RECIPE = {
    "name": "small",
    "game": "kuhn",
    "seeds": [1],
    "arms": [{"name": "sepo", "train": {"start": "base", "steps": 1}}],
}
INSTALL = "pip install 'sepo[lm]'"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def recipe(model: str, tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(RECIPE | {"model": {"policy": model}}))
    return file


def test_the_libraries_of_an_extra_are_those_that_it_installs():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, names in LIBRARIES.items():
        assert sorted(names) == sorted(line.partition(">")[0].partition("[")[0] for line in extras[extra])


@pytest.mark.parametrize(
    "words",
    [
        "audit MODEL --game kuhn --out OUT",
        "audit MODEL --game kuhn --style reasoned --out OUT",
        "elicit bundled:smollm2 --game kuhn --out OUT",
        "exploit MODEL --game kuhn --out OUT",
        "match MODEL uniform --game kuhn --out OUT",
        "play kuhn MODEL",
        "serve --policy MODEL --port 0",
        "run RECIPE --out OUT",
        "ablate RECIPE --out OUT",
        "frontier RECIPE --vary e --values 0,1 --out OUT",
    ],
)
def test_a_command_that_names_a_model_says_what_models_need(
    sepo: Program, model: str, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
):
    for name in ("peft", "gguf"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: pytest.fail("it serves"))
    places = {"MODEL": model, "RECIPE": recipe, "OUT": tmp_path / "out"}
    done = sepo(*(places.get(word, word) for word in words.split()))
    assert done.code == 2
    need = "training needs" if "RECIPE" in words else "language models need"
    assert done.err == f"sepo: {need} peft, gguf: {INSTALL}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("absent", ["torch", "transformers"])
def test_it_does_so_where_there_is_nothing_of_the_extra_to_import(
    sepo: Program, recipe: Path, tmp_path: Path, absent: str
):
    before = f"import sys; sys.modules['{absent}'] = None"
    audited = sepo("audit", "bundled:smollm2", "--game", "kuhn", before=before)
    ran = sepo("run", recipe, "--out", tmp_path / "out", before=before)
    assert (audited.code, ran.code) == (2, 2)
    assert audited.err == f"sepo: language models need {absent}: {INSTALL}\n"
    assert ran.err == f"sepo: training needs {absent}: {INSTALL}\n"
    assert not (tmp_path / "out").exists()


def test_games_are_served_without_language_models(sepo: Program):
    before = "import sys; sys.modules['torch'] = None; import uvicorn; uvicorn.Server.run = lambda self, sockets: None"
    done = sepo("serve", "--policy", "script:nash", "--port", 0, before=before)
    assert done.code == 0, done.err
    assert done.err.startswith("open http://127.0.0.1:")


def test_python_functions_say_so_too(model: str, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    for what in (
        lambda: package.load_policy(model),
        lambda: package.audit(model, "kuhn"),
        lambda: package.train(recipe, tmp_path / "out"),
    ):
        with pytest.raises(InputError, match=r"needs? accelerate: pip install 'sepo\[lm\]'"):
            what()
    assert not (tmp_path / "out").exists()


def test_a_model_that_workers_load_needs_nothing_here(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    asking = Asking(ReplyRules(style="reasoned"), workers=Here())
    assert load_policy("hf:owner/model", asking=asking).name == "hf:owner/model"


def test_what_is_installed_is_not_missed():
    assert missing("lm") == []
