"""The example notebooks run, in an empty folder and offline, and show what they showed when they were committed.

Numbers are compared one by one; those of cells that ask or train a model (tagged so) may differ as they do between
machines. ``python -m tests.notebooks`` writes the outputs anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.notebooks import EXAMPLES, code, execute, read, shown

TOLERANCE = {"exact": 1e-9, "model": 2e-3}
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))


def test_there_are_three():
    assert NAMES == ["audit_your_agent", "train_kuhn", "your_own_game"]


@pytest.mark.weights
@pytest.mark.no_cover
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_what_it_was_committed_with(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    kept, found = read(name), execute(name, tmp_path)
    for before, after in zip(code(kept), code(found), strict=True):
        assert not [o for o in after.outputs if o.output_type in ("error", "stream")], after.source
        kind = next((tag for tag in before.metadata.get("tags", []) if tag in ("model", "train")), "exact")
        if kind == "train":
            assert [s.text for s in shown(before)][:1] == [s.text for s in shown(after)][:1]
            continue
        for one, other in zip(shown(before), shown(after), strict=True):
            assert other.text == one.text, after.source
            assert other.numbers == pytest.approx(one.numbers, abs=TOLERANCE[kind])
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("kernel")) == LEFT[name]


LEFT = {"audit_your_agent": ["model.json"], "train_kuhn": ["kuhn-run"], "your_own_game": []}


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_notebook_is_whole_and_says_nothing_of_a_machine(name):
    text = (EXAMPLES / f"{name}.ipynb").read_text()
    notebook = read(name)
    cells = list(code(notebook))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) // 2
    assert not re.search(r"/(home|root|tmp|work|Users)/|https?://(?!hf\.co)|Warning|Traceback", text)
    assert "pip install 'sepo[" in text
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert Path(EXAMPLES / f"{name}.ipynb").stat().st_size < 150_000
