"""The public names: where they are, what importing them costs, that packages of the same names can be called."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pickle
import subprocess
import sys
from types import ModuleType

import cloudpickle
import pytest

import sepo as package
import sepo.audit.measures
from sepo import api
from tests.conftest import SOURCE

ROOMS = ("audit", "play", "report", "solve", "train")
FUNCTIONS = sorted(name for name in api.__all__ if inspect.isfunction(getattr(api, name)))
CLASSES = sorted(name for name in api.__all__ if inspect.isclass(getattr(api, name)))
MODULES = ["sepo.display", *(f"sepo.api.{name}" for name in ("audits", "card", "given", "meetings", "runs", "tables"))]


def fresh(code: str) -> str:
    """Run Python code in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE)}, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("first", ["", "import sepo.audit.measures", "from sepo.audit import scorecard"])
def test_audit_is_called_before_and_after_its_package_is_imported(first):
    code = f"""
{first}
import sys, sepo
before = sepo.audit
card = sepo.audit("script:nash", games="kuhn", measures="sepo", adversaries=False)
import sepo.audit.measures
assert sepo.audit is before and sepo.audit.measures.values
assert sepo.audit("script:nash", games="kuhn", measures="sepo", adversaries=False) == card
assert not {{"torch", "transformers", "pandas", "polars"}} & set(sys.modules)
print(card.figure("kuhn", "J").value)
"""
    assert float(fresh(code)) == pytest.approx(1.5 * 0.00925925925925924)


def test_importing_sepo_imports_nothing_that_takes_time():
    heavy = '{"numpy", "scipy", "torch", "pydantic", "typer", "rich", "sepo.api", "sepo.games"}'
    assert fresh(f"import sys, sepo; dir(sepo); print(sorted({heavy} & set(sys.modules)))") == "[]"


def test_the_package_offers_what_the_api_does_and_nothing_else():
    assert sorted(package.__all__) == sorted(api.__all__)
    assert set(api.__all__) <= set(dir(package))
    for name in set(api.__all__) - set(ROOMS):
        assert getattr(package, name) is getattr(api, name)
    with pytest.raises(AttributeError, match="'sepo' has no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_that_can_be_called_is_still_a_module(name):
    room, function = getattr(package, name), getattr(api, name)
    assert isinstance(room, ModuleType)
    assert inspect.signature(room) == inspect.signature(function)
    assert room.__doc__ == function.__doc__
    assert pickle.loads(pickle.dumps(room)) is room
    assert cloudpickle.loads(cloudpickle.dumps(room)) is room
    assert importlib.reload(room) is room
    assert inspect.signature(room) == inspect.signature(function)


def test_reloading_the_package_keeps_its_names():
    importlib.reload(package)
    assert package.audit is sys.modules["sepo.audit"]
    assert package.load_policy is api.load_policy
    assert package.audit("script:nash", "kuhn", measures="sepo").policy == "script:nash"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_takes_returns_and_raises(name):
    function = getattr(api, name)
    text = inspect.getdoc(function)
    assert text is not None
    parts = {part.split("\n")[-1]: part for part in text.split("\n---")}
    signature = inspect.signature(function)
    assert "Returns" in parts
    assert "Raises" in parts
    assert "\nInputError\n" in text
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter
        if len(signature.parameters) > 1:
            assert any(parameter.name in line.split(", ") for line in text.split("\n")), parameter


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_and_its_methods_have_docstrings(name):
    of = getattr(api, name)
    assert of.__doc__
    for key, value in vars(of).items():
        if not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            assert value.__doc__, f"{name}.{key}"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_are_true(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0
    assert found.attempted > 0


def test_measures_can_be_imported_by_its_full_name():
    assert callable(sepo.audit.measures.values)
