"""The example notebooks run, in an empty folder and offline, and show what they showed when they were committed.

Numbers are compared one by one. Those of cells that ask a model (tagged ``model``) may differ as they do between
machines; of a training (``train``) the kind of thing is compared, and that it raised J. ``python -m tests.notebooks``
writes the outputs anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sepo.api import load_run
from tests.notebooks import EXAMPLES, code, execute, read, shown

TOLERANCE = {"exact": 1e-9, "model": 2e-3}
LEFT = {"audit_your_agent": ["model.json"], "train_a_model": ["ipd-run"], "your_own_game": []}
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))


def test_there_are_three():
    assert sorted(LEFT) == NAMES


@pytest.mark.weights
@pytest.mark.no_cover
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_what_it_was_committed_with(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    kept, found = read(name), execute(name, tmp_path)
    for before, after in zip(code(kept), code(found), strict=True):
        assert not [o for o in after.outputs if o.output_type in ("error", "stream")], after.source
        assert len(after.outputs) == len(before.outputs)
        kind = next((tag for tag in before.metadata.get("tags", []) if tag in ("model", "train")), "exact")
        if kind == "train":
            assert [s.text for s in shown(before)][:1] == [s.text for s in shown(after)][:1]
            continue
        for one, other in zip(shown(before), shown(after), strict=True):
            assert other.text == one.text, after.source
            assert other.numbers == pytest.approx(one.numbers, abs=TOLERANCE[kind]), after.source
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("kernel")) == LEFT[name]
    if name == "train_a_model":
        assert raised(tmp_path / "ipd-run") > 1


def raised(folder: Path) -> float:
    """Return how far a run raised J."""
    frame = load_run(folder).frame().set_index(["arm", "at", "figure"])["value"]
    return float(frame["sepo", "last", "sepo.J"] - frame["base", "last", "sepo.J"])


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_notebook_is_whole_and_says_nothing_of_a_machine(name):
    text = (EXAMPLES / f"{name}.ipynb").read_text()
    notebook = read(name)
    cells = list(code(notebook))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) // 2
    assert not [o for cell in cells for o in cell.outputs if o.output_type in ("error", "stream")]
    assert not re.search(r"/(home|root|tmp|work|Users)/|https?://|Warning|Traceback", text)
    assert "pip install 'sepo[" in text
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert len(text) < 150_000
