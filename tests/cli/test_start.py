"""What every start of the program costs."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Finished

HEAVY = "scipy.optimize torch transformers pandas plotly"
"""What takes half a second and more to import."""


def test_a_command_imports_nothing_heavy_that_it_does_not_use(sepo: Callable[..., Finished]):
    tell = f"print(*sorted(set('{HEAVY}'.split()) & set(sys.modules)), file=sys.stderr)"
    before = f"import atexit, sys\natexit.register(lambda: {tell})"
    for arguments in (["games"], ["audit", "script:nash", "--game", "kuhn", "--measures", "sepo", "--json"]):
        done = sepo(*arguments, before=before)
        assert (done.code, done.err.strip()) == (0, ""), arguments
    assert sepo("solve", "kuhn", before=before).err.strip() == "scipy.optimize"  # so it would have been seen
