"""A process that runs units of a run, one after the other, as ``train.workers`` asks it to: ``python -m``.

It reads lines of JSON, the run and then units, and writes lines of JSON: what the units tell, that one is finished, or
why it failed. Whoever asks may be gone at any moment, and nobody else should work on the run then but a run that goes
on with it: at the end of what it reads, the process ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TextIO

from sepo.errors import EndpointError, InputError

Orders = SimpleQueue[Mapping[str, Any]]


def main() -> None:
    """Run what is asked for until there is nobody left to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for who asks, whose end this process sees
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # answers alone go there, whatever a library may print
    orders: Orders = SimpleQueue()
    Thread(target=_read, args=(orders,), daemon=True).start()
    try:
        _run(orders, answers)
    except (InputError, EndpointError) as error:
        _say(answers, {"failed": str(error), "input": isinstance(error, InputError)})
        orders.get()  # until the end
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)  # the other thread never leaves its reading


def _run(orders: Orders, answers: TextIO) -> None:
    from sepo.train.part import Domain  # torch takes seconds to import: the end of what is read is seen meanwhile
    from sepo.train.recipe import parse_recipe
    from sepo.train.unit import Unit

    run = orders.get()
    domains = [
        Domain.of(game["name"], parse_recipe(game["recipe"], game["name"]), Path(game["folder"]))
        for game in run["games"]
    ]
    while True:
        order = orders.get()
        unit = Unit(domains, order["arm"], order["seed"], Path(run["folder"]), lambda e: _say(answers, {"event": e}))
        unit.run()
        _say(answers, {"finished": [order["arm"], order["seed"]]})


def _read(orders: Orders) -> None:
    for line in sys.stdin:
        if line.endswith("\n"):  # its last may be cut off
            orders.put(json.loads(line))
    os._exit(0)


def _say(answers: TextIO, what: Mapping[str, Any]) -> None:
    answers.write(json.dumps(what) + "\n")


if __name__ == "__main__":
    main()
