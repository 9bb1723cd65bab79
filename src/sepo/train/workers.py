"""The units of a run side by side: processes that each run one at a time, and what each is to run next.

Knows units by what they wait for, and workers by the lines they are sent and send: a worker is ``sepo.train.worker``,
and what a unit does is ``train.unit``'s. Everything a unit depends on is in its key and in files that stand before it
begins, so a unit's figures are those it has in one process with as many threads.

The pools of ``concurrent.futures`` would do but for two things: what their processes are at goes on when the program
that started them is killed, for as long as a unit takes, beside a run that goes on with it; and a script that trains
would need a guard around its main part.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import torch

from sepo.errors import EndpointError, InputError
from sepo.printable import visible
from sepo.train.unit import Tell, Unit

PROGRAM = (sys.executable, "-P", "-m", "sepo.train.worker")


class Message(NamedTuple):
    """What a worker said, by its number; None where it has ended."""

    worker: int
    said: Mapping[str, Any] | None


def threads(workers: int) -> int:
    """Return how many threads each of so many workers computes with: they share what one process would have."""
    return max(1, torch.get_num_threads() // workers)


def side_by_side(units: Sequence[Unit], folder: Path, tell: Tell, workers: int) -> None:
    """Run units in so many processes, each as soon as those that it waits for are finished.

    Raises
    ------
    InputError
        If a unit finds that its input is wrong.
    EndpointError
        If a worker ended in the middle of a unit. What is finished is kept, here as above.
    """
    left = [unit for unit in units if not unit.finished]
    ended = [unit for unit in units if unit not in left]
    for unit in ended:
        unit.run()  # which says so
    done = {unit.key for unit in ended}
    waits = {unit.key: unit.after for unit in left}
    heard: SimpleQueue[Message] = SimpleQueue()
    crew: dict[int, _Worker] = {}
    busy: dict[int, Unit] = {}
    most = min(workers, len(left))
    try:
        while left or busy:
            for number in [n for n in range(most) if n not in busy]:
                ready = next((unit for unit in left if done.issuperset(waits[unit.key])), None)
                if ready is None:
                    break
                if number not in crew:
                    crew[number] = _Worker(number, units, folder, heard, workers)
                crew[number].begin(ready)
                busy[number] = ready
                left.remove(ready)
            number, said = heard.get()
            match said:
                case {"event": event}:
                    tell(event)
                case {"finished": _}:
                    done.add(busy.pop(number).key)
                case {"failed": message, "input": wrong}:
                    raise InputError(message) if wrong else EndpointError(message)
                case _:
                    raise EndpointError(crew[number].obituary(busy.get(number)))
    finally:
        for worker in crew.values():
            worker.end()


class _Worker:
    """A process that runs units, one after the other, and the threads that hear it."""

    def __init__(
        self, number: int, units: Sequence[Unit], folder: Path, heard: SimpleQueue[Message], workers: int
    ) -> None:
        self.number, self.heard = number, heard
        self.process = subprocess.Popen(
            PROGRAM,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | surroundings(number, threads(workers)),
        )
        self.listeners = [Thread(target=self._listen, daemon=True), Thread(target=self._pass_on, daemon=True)]
        for listener in self.listeners:
            listener.start()
        domains = [part.domain for part in units[0].parts]
        games = [
            {"name": d.name, "recipe": d.recipe.model_dump(mode="json", by_alias=True), "folder": str(d.folder)}
            for d in domains
        ]
        self._send({"folder": str(folder), "games": games})

    def begin(self, unit: Unit) -> None:
        """Have a unit run."""
        self._send({"arm": unit.arm.name, "seed": unit.seed})

    def end(self) -> None:
        """End the process, which stops at once whatever it does: without orders to come it has no reason to go on."""
        assert self.process.stdin is not None
        with suppress(OSError):  # it may have ended already
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for listener in self.listeners:
            listener.join(10)

    def obituary(self, unit: Unit | None) -> str:
        """Return what is to be said where the process ended by itself."""
        code = self.process.wait()
        how = f"was ended by signal {-code}; where memory is short, fewer workers need less" if code < 0 else "failed"
        what = f"the worker of arm '{unit.arm.name}', seed {unit.seed}" if unit else "a worker"
        return f"{what} {how}. Finished work is kept: go on with --resume"

    def _send(self, what: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):  # if it has ended, its listener says so
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):  # its last may be cut off
                self.heard.put(Message(self.number, json.loads(line)))
        self.heard.put(Message(self.number, None))

    def _pass_on(self) -> None:
        """Show what the process says to people, above what is shown live."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            sys.stderr.write(visible(line))
            sys.stderr.flush()


def surroundings(number: int, count: int) -> dict[str, str]:
    """Return what is set in the environment of a worker: its threads, modules and, of several, its GPU.

    Parameters
    ----------
    number
        Of the worker, from 0.
    count
        Threads that it computes with.
    """
    out = {
        "OMP_NUM_THREADS": str(count),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),
        "PYTHONPATH": os.pathsep.join(place or str(Path.cwd()) for place in sys.path),
    }
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]
    if len(devices) > 1:
        out["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]
    return out
