"""The example notebooks, executed. ``python -m tests.notebooks [NAME…]`` runs them and keeps their outputs anew.

What is kept is what a reader learns from: no times, no counters beyond the cells' own, no paths of a machine.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbclient import NotebookClient

from sepo.files import write_text

EXAMPLES = Path(__file__).parents[1] / "examples"
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])")
SECONDS = 1200
"""That a cell may take, on a machine that is busy with other things: the longest takes one on a quiet one."""


class Shown(NamedTuple):
    """What a cell shows: text in which every number is ``#``, and the numbers."""

    text: str
    numbers: tuple[float, ...]


def read(name: str) -> Any:
    """Return a notebook as it is kept."""
    return nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)


def execute(name: str, folder: Path) -> Any:
    """Run a notebook in a folder, in a kernel of its own that is this very Python, and return it with its outputs."""
    notebook = read(name)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": folder}})
    kernel = client.create_kernel_manager()
    kernel.transport, kernel.ip = "ipc", str(folder / "kernel")  # a socket in the folder: no port is opened
    client.execute(env=os.environ | {"TQDM_DISABLE": "1"})  # no progress bars
    return notebook


def shown(cell: Any) -> list[Shown]:
    """Return what a cell shows as text, plain or HTML; pictures are left out."""
    out = []
    for output in cell.outputs:
        data = output.get("data", {"text/plain": output.get("text", "")})
        for kind in ("text/plain", "text/html"):
            if kind in data:
                text = data[kind]
                out.append(Shown(NUMBER.sub("#", text), tuple(float(n) for n in NUMBER.findall(text))))
    return out


def code(notebook: Any) -> Iterator[Any]:
    """Yield the cells that are run."""
    return (cell for cell in notebook.cells if cell.cell_type == "code")


def clean(notebook: Any) -> Any:
    """Take out what differs from run to run or from machine to machine and is no result."""
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags"}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def write(name: str) -> None:
    """Run a notebook and keep it with its new outputs."""
    with tempfile.TemporaryDirectory() as folder:
        done = clean(execute(name, Path(folder)))
    write_text(EXAMPLES / f"{name}.ipynb", nbformat.writes(done) + "\n")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or sorted(path.stem for path in EXAMPLES.glob("*.ipynb")):
        write(chosen)
