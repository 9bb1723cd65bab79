"""Units of work as tasks of Ray, on this machine or on a cluster.

A task that fails because its worker died is run again by Ray; one that raises is not, since it would again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sepo.errors import EndpointError, InputError
from sepo.extras import hold_to_extra
from sepo.policies.workers import Answer

RETRIES = 5
"""How often a task is run again after its worker died."""
AHEAD = 2
"""Tasks handed out for each CPU of the cluster; the rest wait here."""


class RayWorkers:
    """Runs units as Ray tasks.

    Parameters
    ----------
    address
        ``local``: a cluster of this machine's own for as long as the program runs. ``auto``, or ``ray://HOST:PORT``:
        one that is there.
    gpus
        Of each task; less than 1 lets several share one.

    Raises
    ------
    InputError
        If Ray is not installed.
    """

    def __init__(self, address: str = "local", gpus: float = 0.0) -> None:
        hold_to_extra("ray", "--ray needs")
        self.address, self.gpus = address, gpus

    def run(self, what: Callable[..., Answer], units: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Answer]]:
        """Run a function on each tuple of arguments; yield answers as they come.

        Raises
        ------
        InputError
            If no cluster answers.
        EndpointError
            If a task's worker died again and again.
        """
        if not units:
            return
        import ray  # takes seconds, as does a cluster of one's own: only where something is left to do

        _join(ray, self.address)
        task = ray.remote(num_cpus=1, num_gpus=self.gpus, max_retries=RETRIES)(what)
        waiting = list(enumerate(units))
        running: dict[Any, int] = {}
        most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        while waiting or running:
            while waiting and len(running) < most:
                number, arguments = waiting.pop(0)
                running[task.remote(*arguments)] = number
            for done in ray.wait(list(running), num_returns=1)[0]:
                number = running.pop(done)
                try:
                    yield number, ray.get(done)
                except ray.exceptions.RayTaskError as error:
                    raise (error.cause if isinstance(error.cause, Exception) else error) from None
                except ray.exceptions.RayError as error:
                    why = " ".join(str(error).split())[:200]
                    raise EndpointError(
                        f"Ray workers failed {RETRIES + 1} times; finished work is kept: {why}"
                    ) from None


def _join(ray: Any, address: str) -> None:
    """Join a cluster, or start one."""
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        os.environ.setdefault("RAY_worker_niceness", "0")  # they are what the user waits for
        settings["include_dashboard"] = False
    try:
        ray.init(address=address, **settings)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"no Ray cluster at '{address}': local, auto or ray://HOST:PORT ({why})") from None
