"""Every code block of the README and the documentation is run, or a list says why not and it is parsed all the same.

Python runs page by page, a page's blocks one after the other; so do command lines, in a folder of their own with the
files that earlier lines wrote. What stands under a command or a ``>>>`` is compared with what is printed. A kind of
block that nobody here knows fails.
"""

from __future__ import annotations

import doctest
import importlib
import json
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml
from typer.exceptions import TyperException
from typer.main import get_command

from sepo.cli.main import app
from sepo.games.registry import make
from sepo.games.wording import wordings
from sepo.policies.spec import MAKERS
from sepo.train.joint import load_joint, parse_joint
from sepo.train.recipe import is_joint, load_recipe, parse_recipe, read_document, validated
from sepo.train.sections import TrainSection
from tests.conftest import Finished
from tests.docs_blocks import (
    PAGES,
    PROGRAMS,
    ROOT,
    SYNOPSIS,
    Block,
    blocks,
    calls,
    exchanges,
    is_shell,
    lines,
    shows,
    spans,
)

COMMANDS: dict[str, Any] = get_command(app).commands

ELSEWHERE = {"docs/extend.md": "tests/plugin/test_extend.py", "docs/recipes.md": "tests/lm/test_load.py"}
"""Pages whose blocks another test runs: with a package installed on the way, or an adapter that a run has trained."""

PROSE = {
    "J = s*u - le*s*e - lc*c - lx*x": "the objective; tests/audit computes it",
    "cli > serve, api > report > train, data > audit > play > policies > lm, solve > games": "the order of the rooms",
}
"""Indented blocks that are neither code nor commands."""

NOT_RUN = {
    r"^(make|pip|pytest|accelerate|python) ": "installs or starts processes: held to pyproject.toml, Makefile, parsers",
    r"^sepo (run|ablate|frontier) ": "trains a model for minutes or hours: the recipe is read with its settings",
    r" (hf|openai):|your-model/": "needs a model from the hub, or a server",
    r"^sepo audit bundled:smollm2( +#|$)": "asks the model about all six games: 15 minutes",
    r"runs/|before\.json after\.json": "needs the run that the page has just started",
}
"""Commands that are not run, and why: the first pattern that is found in a line."""

WAITS = ("play", "serve")
"""Commands that end when somebody ends them; tests of their own run them."""

PREPARE = {
    "README.md": [
        f"sepo audit script:{s} --game kuhn --out {n}.json" for n, s in (("before", "nash_approx"), ("after", "nash"))
    ],
    "docs/cards.md": [
        *(f"sepo audit script:nash_approx --game kuhn --out {name}.json" for name in ("before", "after", "a")),
        *(f"sepo audit script:tight_passive --game kuhn --out {name}.json" for name in ("b", "c")),
        "sepo card after.json --out .",
    ],
    "docs/data.md": ["sepo games new stag_hunt", "sepo data kuhn --style both --examples 60 --out DIR"],
}
"""What a page takes to have been done on another page, or by its synopsis."""

OWN = ("stag_hunt",)
"""Games that a page writes, and that are there only where it is installed."""

FRAGMENTS = {"lambda": TrainSection}
"""Blocks of YAML that are a part of a recipe, by their first key."""

CHOICES = {
    "measures": ("paper", "sepo", "both"),
    "method": ("auto", "exact", "sampled"),
    "style": ("direct", "reasoned", "both"),
    "illegal": ("forfeit", "random", "retry"),
    "objective": ("payoff", "difference", "harm"),
}


def by_page(*kinds: str) -> list[Any]:
    """Return the pages that have blocks of these kinds, those that ask the bundled model marked."""
    found = []
    for page in PAGES:
        here = [b for b in blocks(page) if b.kind in kinds or (b.kind == "" and "sh" in kinds and is_shell(b.text))]
        if here:
            asks = any("bundled:" in b.text for b in here)
            marks = [pytest.mark.weights] if asks else []
            found.append(pytest.param(page, id=str(page.relative_to(ROOT)), marks=marks))
    return found


def commands_of(page: Path) -> Iterator[tuple[Block, str, list[str]]]:
    """Yield the command lines of a page with what is shown under each."""
    for block in blocks(page):
        if block.kind == "console":
            yield from ((block, command, shown) for command, shown in exchanges(block.text))
        elif block.kind == "sh" or (block.kind == "" and is_shell(block.text)):
            yield from ((block, line, []) for line in lines(block.text))


def reason(line: str) -> str | None:
    """Return why a command line is not run; None if it is."""
    if SYNOPSIS.search(line):
        return "a synopsis: each of its alternatives is parsed"
    if re.match(rf"sepo ({'|'.join(WAITS)})\b", line):
        return "waits for a person, or serves until it is stopped"
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, line)), None)


# every block is of a kind that something below handles


def ignored(block: Block) -> None:
    """Check that what is only to be read holds no command."""
    assert not any(line.startswith(tuple(f"{p} " for p in PROGRAMS)) for line in block.text.splitlines()), block.place


def check_json(block: Block) -> None:
    json.loads(block.text)


def check_toml(block: Block) -> None:
    assert tomllib.loads(block.text), block.place


def check_bibtex(block: Block) -> None:
    assert re.fullmatch(r"@\w+\{\w+,(.|\n)*\}\n", block.text)
    assert block.text.count("{") == block.text.count("}")


def check_yaml(block: Block) -> None:
    """Read a recipe, a joint recipe or a part of a recipe as the program reads it."""
    document = yaml.safe_load(block.text)
    if is_joint(document):
        assert len(parse_joint(document, ROOT / "recipes" / "joint.yaml").recipes) == len(document["games"])
    elif "arms" in document:
        parse_recipe(document, block.place)
    else:
        validated(FRAGMENTS[next(iter(document))], document, block.place)


def check_indented(block: Block) -> None:
    assert is_shell(block.text) or block.text.strip() in PROSE, f"{block.place}: give this block a fence and a kind"


def run_later(block: Block) -> None:
    """Leave a block to the tests that run pages."""


KINDS: dict[str, Callable[[Block], None]] = {
    "": check_indented,
    "python": run_later,
    "pycon": run_later,
    "sh": run_later,
    "console": run_later,
    "json": check_json,
    "toml": check_toml,
    "yaml": check_yaml,
    "bibtex": check_bibtex,
    "text": ignored,
    "{toctree}": ignored,
    "{include}": ignored,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_block_is_of_a_kind_that_is_run_or_read(page: Path):
    for block in blocks(page):
        assert block.kind in KINDS, f"{block.place}: nobody runs blocks of kind '{block.kind}'"
        KINDS[block.kind](block)


def test_an_unknown_kind_and_a_hidden_command_fail(tmp_path: Path):
    assert "ruby" not in KINDS
    with pytest.raises(AssertionError):
        check_indented(Block("page", 1, "", "something = else\n"))
    with pytest.raises(AssertionError):
        ignored(Block("page", 1, "text", "sepo audit uniform\n"))


# Python


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sepo: Callable[..., Finished]) -> Callable[[Path], Path]:
    """Return a page's own folder, as it is after what the page takes to be done."""

    def enter(page: Path) -> Path:
        shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
        monkeypatch.chdir(tmp_path)
        for line in PREPARE.get(str(page.relative_to(ROOT)), []):
            done = sepo(*shlex.split(line)[1:])
            assert done.code == 0, done.err
        if (tmp_path / "stag_hunt").exists():
            monkeypatch.syspath_prepend(tmp_path / "stag_hunt")
        return tmp_path

    before = set(sys.modules)
    yield enter
    for name in {"stag_hunt"} & (set(sys.modules) - before):
        del sys.modules[name]


class Trainer:
    """Stands in for TRL's trainer of a hub model: looks at what it is given."""

    def __init__(self, model: str, args: Any, train_dataset: Any, eval_dataset: Any) -> None:
        self.data = train_dataset, eval_dataset

    def train(self) -> None:
        for data in self.data:
            assert len(data)
            assert {"prompt", "completion"} <= set(data.column_names)


@pytest.mark.parametrize("page", by_page("python", "pycon"))
def test_python_blocks_run_in_order(page: Path, folder: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch):
    name = str(page.relative_to(ROOT))
    space: dict[str, Any] = {"__name__": name}
    here = folder(page)
    fake = ModuleType("trl")
    fake.SFTTrainer, fake.SFTConfig = Trainer, lambda folder: folder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trl", fake)
    if any("load_dataset" in block.text for block in blocks(page)):
        import datasets

        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(here / "cache"))
    for block in blocks(page):
        if block.kind == "python":
            code = compile("\n" * block.line + block.text, name, "exec")
            if name not in ELSEWHERE:
                exec(code, space)
        elif block.kind == "pycon":
            examples = doctest.DocTestParser().get_doctest(block.text, space, block.place, name, block.line)
            assert examples.examples
            said: list[str] = []
            found = doctest.DocTestRunner(verbose=False).run(examples, out=said.append, clear_globs=False)
            space |= examples.globs
            assert found.failed == 0, "".join(said)


# commands


def parsed(words: list[str]) -> dict[str, Any]:
    """Return the values that the program's own parser reads from a command line; its exceptions are the test's."""
    match words:
        case ["sepo", name, *rest]:
            command = COMMANDS[name]
        case ["python", "-m", module, *rest] if module.startswith("benchmarks."):
            single = typer.Typer()
            single.command()(importlib.import_module(module).command)
            command = get_command(single)
        case ["accelerate", "launch", "--config_file", config, "-m", *rest]:
            assert yaml.safe_load((ROOT / config).read_text())["num_processes"]
            return parsed(rest)
        case _:
            raise ValueError(f"not a command line that is known here: {words}")
    values: dict[str, Any] = command.make_context(words[1], list(rest)).params
    return values


def check_values(values: dict[str, Any]) -> None:
    """Hold to the program what it checks only after its parser: games, policies, choices, wordings."""
    given = values.get("game") or "all"
    games = [given] if isinstance(given, str) else list(given)  # some commands take several
    for name in games:
        if name not in ("all", *OWN):
            make(name)
    named = values.get("policy") or ()
    for policy in (*values.get("policies", ()), *([named] if isinstance(named, str) else named)):
        kind, _, rest = policy.partition(":")
        assert kind in MAKERS, policy
        assert bool(rest) != (kind in ("uniform", "human")), policy
        if kind == "script" and isinstance(given, str) and given != "all":
            assert rest in make(given).opponents
    for name, choices in CHOICES.items():
        assert values.get(name) in (None, *choices), (name, values[name])
    if (values.get("words") or "all") != "all" and isinstance(values["words"], str):
        assert set(values["words"].split(",")) <= {w.name for w in wordings(make(values["game"]))}
    if values.get("ray"):
        assert re.fullmatch(r"local|auto|ray://\S+", values["ray"])


def check_recipe(values: dict[str, Any], here: Path) -> None:
    """Read the recipe that a command names with its settings, as the command would."""
    if not Path(values["recipe"]).exists():
        assert str(values["recipe"]) == "mine.yaml", f"no recipe '{values['recipe']}' on this page or in recipes/"
        mine = next(b for b in blocks(ROOT / "README.md") if b.kind == "yaml")
        (here / "mine.yaml").write_text(mine.text)
    settings = [str(s) for s in values["settings"] or ()]
    document = read_document(Path(values["recipe"]), settings)
    if is_joint(document):
        assert load_joint(Path(values["recipe"]), settings)
    else:
        load_recipe(Path(values["recipe"]), settings)


EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))


def check_line(line: str, here: Path) -> None:
    """Parse a command line, whatever it is."""
    for words in calls(line):
        match words:
            case ["pip", "install", *rest]:
                for named in re.findall(r"(?:sepo|\.)\[([\w,]+)\]", " ".join(rest)):
                    assert set(named.split(",")) <= EXTRAS, line
            case ["make", *rest]:
                assert {word for word in rest if "=" not in word} <= TARGETS, line
            case ["pytest", *_]:
                pass
            case _:
                values = parsed(words)
                check_values(values)
                if "recipe" in values:
                    check_recipe(values, here)


def test_a_renamed_option_or_a_wrong_value_fails():
    with pytest.raises(TyperException):
        check_line("sepo audit uniform --gmae kuhn", ROOT)
    with pytest.raises(TyperException):
        check_line("sepo audit POLICY... [--game GAME] [--episodes some]", ROOT)
    with pytest.raises(AssertionError):
        check_line("sepo audit POLICY [--measures paper|mine]", ROOT)
    with pytest.raises(AssertionError):
        check_line("pip install 'sepo[lm,everything]'", ROOT)
    with pytest.raises(AssertionError):
        check_line("make demonstration", ROOT)


@pytest.mark.parametrize("page", by_page("sh", "console"))
def test_command_lines_run_in_order(page: Path, folder: Callable[[Path], Path], sepo: Callable[..., Finished]):
    here = folder(page)
    for block in blocks(page):
        if block.kind == "yaml" and "name" in (document := yaml.safe_load(block.text)):
            (here / f"{document['name']}.yaml").write_text(block.text)
    for block, line, shown in commands_of(page):
        check_line(line, here)
        if str(page.relative_to(ROOT)) in ELSEWHERE:
            continue
        if reason(line) is not None:
            assert not shown, f"{block.place}: output is shown of a command that is not run: {line}"
            continue
        done = sepo(*shlex.split(line, comments=True)[1:])
        assert done.code == 0, f"{block.place}: {line}\n{done.err}"
        missing = shows(done.out + done.err, shown)
        assert missing is None, f"{block.place}: {line}\nprints no line '{missing}':\n{done.out}"


def test_every_reason_not_to_run_a_line_is_needed():
    said = {reason(line) for page in PAGES for _, line, _ in commands_of(page)}
    assert set(NOT_RUN.values()) <= said
    assert all((ROOT / test).exists() for test in ELSEWHERE.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_named_in_running_text_have_the_options_they_are_named_with(page: Path):
    for span in spans(page):
        words = span.split()
        if words[:1] != ["sepo"] or len(words) < 2 or not words[1].islower():
            continue
        assert words[1] in COMMANDS, span
        known = {o for p in COMMANDS[words[1]].params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        named = {word.strip("[]").split("=")[0] for word in words if word.strip("[]").startswith("--")}
        assert named <= known, f"{page.name}: {span}"
