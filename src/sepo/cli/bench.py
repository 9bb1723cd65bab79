"""``sepo bench``: the benchmarks of a clone of the repository, run and shown.

The benchmarks are no part of the installed package: they are found in ``./benchmarks``, a package that
lists its modules and measures them. Here they are located, loaded by path, run and shown.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sepo import __version__
from sepo.cli.arguments import JsonOption, OutOption
from sepo.cli.terminal import console, say, say_json
from sepo.errors import InputError
from sepo.files import check_writable, write_json

if TYPE_CHECKING:
    from rich.table import Table

FOLDER = Path("benchmarks")
PACKAGE = "_sepo_benchmarks"  # not `benchmarks`, which may be anyone's
SCHEMA = "sepo.bench/1"
VERSIONS = ("numpy", "torch", "transformers", "peft", "trl", "open_spiel", "axelrod")


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Benchmarks to run; all of them unless named."),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="Turns of each way; by default each benchmark has its own number."),
    ] = None,
    json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Time sepo against other ways of doing the same, in turns; run it from a clone of the repository."""
    package = load_benchmarks(FOLDER)
    known: Sequence[str] = package.BENCHMARKS
    for name in names or ():
        if name not in known:
            raise InputError(f"unknown benchmark '{name}': it is one of {', '.join(known)}")
    if out is not None:
        check_writable(out)
    before = load()
    if before is not None and before > 0.5:
        tell(f"other processes keep {before:.1f} processors busy: figures will be unsteady")
    with redirect_stdout(sys.stderr):  # a library's own messages must not mix with the result
        found = [run_benchmark(package, name, repeats) for name in dict.fromkeys(names or known)]
    document = {"schema": SCHEMA, "machine": machine() | {"load": before}, "benchmarks": found}
    if out is not None:
        write_json(out, document)
    if json:
        say_json(document)
    else:
        show_benchmarks(found)


def load_benchmarks(folder: Path) -> ModuleType:
    """Load the package of benchmarks from a folder.

    Raises
    ------
    InputError
        If the folder holds none.
    """
    start = folder.resolve() / "__init__.py"
    spec = spec_from_file_location(PACKAGE, start, submodule_search_locations=[str(start.parent)])
    if not start.is_file() or spec is None or spec.loader is None:
        raise InputError("no benchmarks here: run sepo bench from a clone of the repository")
    for stale in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[stale]
    package = module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return package


def run_benchmark(package: ModuleType, name: str, repeats: int | None) -> dict[str, Any]:
    """Prepare and time one benchmark; return its part of the document."""
    comparison = import_module(f"{package.__name__}.{name}").prepare(tell)
    part: dict[str, Any] = import_module(f"{package.__name__}.timing").measure(name, comparison, repeats, tell)
    return part


def tell(message: str) -> None:
    """Report progress on stderr."""
    say(message, err=True)


def load() -> float | None:
    """Return how many processors were busy in the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processors, threads and versions."""
    torch = sys.modules.get("torch")
    versions = {"sepo": __version__, "python": platform.python_version()}
    for name in VERSIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads() if torch is not None else None,
        "wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        "system": platform.system(),
        "architecture": platform.machine(),
        "versions": versions,
    }


def show_benchmarks(found: Sequence[Mapping[str, Any]]) -> None:
    """Print a table a benchmark, its ratios and its profile below."""
    from rich.text import Text

    out = console()
    for part in found:
        out.print(_rows(part))
        for label, ratio in part["ratios"].items():
            out.print(Text.assemble(f"  {label}: ", (f"{ratio:.3g}", "bold"), " times faster"))
        if "profile" in part:
            out.print(_profile(part["name"], part["profile"]))
            for group, share in part["profile"]["shares"].items():
                out.print(Text.assemble(f"  {group}: ", (f"{share:.1%}", "bold"), " of the time"))


def _rows(part: Mapping[str, Any]) -> Table:
    """Lay the ways of a benchmark out."""
    from rich.table import Table

    title = f"{part['name']}: {part['about']}; median of {part['repeats']}"
    table = Table(title=title, title_justify="left")
    for heading in ("way", "time", "from", "to"):
        table.add_column(heading, justify="left" if heading == "way" else "right", no_wrap=heading != "way")
    table.add_column("work")
    for row in part["rows"]:
        work = ", ".join(f"{key} {_figure(value)}" for key, value in row["work"].items())
        work = f"{work} ({row['note']})" if row["note"] else work
        times = (_duration(row[key]) for key in ("seconds", "min", "max"))
        table.add_row(row["way"], *times, work)
    return table


def _profile(name: str, profile: Mapping[str, Any]) -> Table:
    """Lay out where the time went, the largest parts of a group first."""
    from rich.table import Table

    table = Table(title=f"{name}: {profile['about']}", title_justify="left")
    for heading in ("of", "part", "time", "share"):
        table.add_column(heading, justify="right" if heading in ("time", "share") else "left")
    for group, parts in profile["groups"].items():
        for what, seconds in sorted(parts.items(), key=lambda found: -found[1]):
            table.add_row(group, what, _duration(seconds), f"{seconds / profile['seconds']:.1%}")
    return table


def _figure(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
