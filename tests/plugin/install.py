"""Installing a package without pip or a network: what an editable install leaves behind, written by hand.

A ``.dist-info`` folder with the name, version and entry points of the package's ``pyproject.toml`` goes into a
folder that, like the package's own, stands on ``PYTHONPATH``. Run as a program it stands in for ``pip install -e``.
"""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path


def install(package: Path, site: Path) -> str:
    """Install the package in a folder into ``site``; return the PYTHONPATH that finds it."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())])
        for group, entries in project["entry-points"].items()
    ]
    return add(site, project["name"], "\n".join(groups), project["version"]) + f"{os.pathsep}{package.resolve()}"


def add(site: Path, package: str, entry_points: str, version: str = "1") -> str:
    """Write the metadata of a package with these entry points; return ``site``."""
    info = site / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points + "\n")
    return str(site)


if __name__ == "__main__":
    install(Path(sys.argv[-1]), Path(os.environ["SITE"]))
