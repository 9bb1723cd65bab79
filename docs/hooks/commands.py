"""Every command with its arguments and options, from the program."""

from __future__ import annotations

import inspect
from typing import Any

from typer.main import get_command

from sepo.cli.main import app

HEAD = """# Commands

What `sepo COMMAND --help` says. How a POLICY is written is said under [methods](methods.md#policies). Exit codes: 0
done; 1 a check failed; 2 wrong usage or input, with one line that says what and where; 3 an endpoint or worker failed
after its retries; 130 interrupted.
"""


def cell(text: str) -> str:
    """Return text for a table's cell."""
    return " ".join(text.replace("|", "\\|").split())


def names(param: Any) -> str:
    """Return how a parameter is written."""
    if param.param_type_name == "argument":
        return f"`{cell(param.metavar or param.name.upper())}`"
    words = ", ".join(f"`{word}`" for word in (*param.opts, *param.secondary_opts))
    if param.is_flag:
        return words
    kinds = {str: "TEXT", int: "NUMBER", float: "NUMBER"}
    return f"{words} `{cell(param.metavar or kinds.get(param.type_descriptor.annotation, 'PATH'))}`"


def usual(param: Any) -> str:
    """Return a parameter's value where it is not given."""
    value = param.default
    if value is None or value is False:
        return ""
    return "yes" if value is True else f"`{cell(str(value))}`"


def page() -> str:
    """Write the page."""
    out = [HEAD]
    for name, command in get_command(app).commands.items():
        about = " ".join(inspect.cleandoc(command.help or "").split())
        out += [f"## sepo {name}", "", about, "", "| argument | default | meaning |", "| --- | --- | --- |"]
        out += [f"| {names(p)} | {usual(p)} | {cell(p.help or '')} |" for p in command.params if p.name != "help"]
        out.append("")
    return "\n".join(out)
