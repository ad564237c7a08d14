"""Units of work on a Ray cluster, or on this machine as a cluster of one.

Ray gives a unit to a worker that has what it needs, and again to another one where a process or a machine is lost.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from visaudio_bench.bench.cluster.units import carry_out, errand, lost
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.pool import Needs, Outcome

Item = TypeVar("Item")
Value = TypeVar("Value")

LOCAL, AUTO = "local", "auto"
ANSWER = 10.0  # s within which a cluster must take a connection
AGAIN = 2  # times that a unit is given to another worker
STORE = 200_000_000  # bytes for what goes from process to process, in a cluster of our own
# Nothing is told to the makers of Ray; and what a machine says of its cards is left as it is.
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class RayEngine(NamedTuple):
    """Maps over items on the cluster that this process is connected to.

    Attributes:
        workers: units at once.
        ahead: units given out at a time; where nobody set `workers`, the next one is there when a worker is free.
        tokens: folders that workers must see.
    """

    workers: int
    ahead: int
    tokens: tuple[Path, ...]

    def __call__(
        self, function: Callable[[Item], Value], items: Sequence[Item], needs: Needs, /
    ) -> Iterator[Outcome[Item, Value]]:
        """As `pool.Engine`."""
        import ray

        task = _task(needs)
        work = ray.put(errand(function, self.tokens))
        waiting = deque(items)
        running: dict[Any, Item] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.ahead:
                    item = waiting.popleft()
                    running[task.remote(work, [item])] = item
                done, _ = ray.wait(list(running))
                for reference in done:
                    yield _outcome(reference, running.pop(reference))
        finally:  # the caller may stop early
            for reference in running:
                with suppress(Exception):  # what ended the work, such as a lost connection, is what is to be told
                    ray.cancel(reference, force=True)


def _task(needs: Needs) -> Any:
    """The remote function, with what it takes; refuses what no machine has, which Ray would wait for for ever."""
    import ray

    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus = min(needs.cpus, max(int(machine.get("CPU", 0)) for machine in machines))
    if not cpus:
        raise BenchError("no machine of the Ray cluster gives cores to tasks; see: ray status")
    if not any(machine.get("GPU", 0) >= needs.gpus and machine.get("CPU", 0) >= cpus for machine in machines):
        raise BenchError(
            f"no machine of the Ray cluster has {cpus} cores and {needs.gpus} graphics cards, which a unit of this "
            "work takes. Add one, or choose: --device cpu"
        )
    # A worker with a card is kept as well, for the networks that it has loaded.
    remote = ray.remote(num_cpus=cpus, num_gpus=needs.gpus, max_retries=AGAIN, max_calls=0)
    return remote(carry_out)


def _outcome(reference: Any, item: Item) -> Outcome[Item, Any]:
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        ((value, error),) = ray.get(reference)
    except RayTaskError as failed:
        cause = failed.cause if isinstance(failed.cause, Exception) else failed
        if isinstance(cause, ImportError):
            raise BenchError(f"a machine of the Ray cluster lacks a package that is here: {cause}.") from failed
        return Outcome(item, None, cause)  # its value cannot be sent
    except RayError as gone:
        return lost(item, str(gone).partition("\n")[0])
    return Outcome(item, value, error)


@contextmanager
def ray_engine(address: str, workers: int | None, tokens: Sequence[Path]) -> Iterator[RayEngine]:
    """Connect to a cluster, or start one on this machine, for as long as the block lasts.

    Args:
        address: `HOST:PORT`, `auto` for the cluster that this machine is part of, or `local`.
        workers: units at once; None for as many as there are cores.
        tokens: folders that workers must see.

    Yields:
        The engine.

    Raises:
        UsageError: Ray is not installed, or the address is none.
        BenchError: the cluster cannot be reached.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise UsageError("--ray needs Ray, which is not installed: pip install 'visaudio-bench[cluster]'") from None
    if address not in (LOCAL, AUTO):
        _require_answer(address)
    os.environ.update({name: value for name, value in _SETTINGS.items() if name not in os.environ})
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": None}
    if address == LOCAL:
        quiet |= {"num_cpus": workers, "object_store_memory": STORE, "include_dashboard": False}
    try:
        ray.init(address=address, **quiet)
    except Exception as error:  # of several kinds: nobody is there, another version, no time to start
        ray.shutdown()
        said = str(error).partition(". ")[0].partition("\n")[0]
        raise BenchError(f"--ray {address}: the cluster cannot be used: {said}. Look at it with: ray status") from error
    try:
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        yield RayEngine(workers or cores, workers or 2 * cores, tuple(tokens))
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Refuse an address that nobody listens at, for which Ray would wait longer."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise UsageError(f"--ray {address} is no address; expected HOST:PORT (as ray start says), auto or local.")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError) as error:
        raise BenchError(
            f"--ray {address}: no Ray cluster answers there ({error}). On its machines see: ray status"
        ) from error
