"""The processes of a training: one, or as many as `torchrun` starts, on one machine or several."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from visaudio_bench.errors import UsageError
from visaudio_bench.lock import hold

T = TypeVar("T")
PATIENCE = timedelta(minutes=30)  # for tensors: saving and validating on one process lets the others wait
# For what is told: one process may render a suite for hours. Whoever dies is noticed at once, by its closed connection.
NO_HURRY = timedelta(days=30)


@dataclass(frozen=True)
class World:
    """This process among its like: `rank` of `size`, `neighbours` of them on this machine, on `device`.

    `words` is the group in which Python objects are told and processes wait for each other.
    """

    rank: int
    size: int
    device: torch.device
    neighbours: int = 1
    words: dist.ProcessGroup | None = None

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Average over the processes, in all of them."""
        if self.size > 1:
            dist.all_reduce(values)
            values = values / self.size
        return values

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.size == 1:
            return flag
        told = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(told, op=dist.ReduceOp.MAX)
        return bool(told.item())

    def gather(self, values: Sequence[T]) -> list[T]:
        """The values of all processes, in all of them, in the order of ranks."""
        if self.size == 1:
            return list(values)
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, list(values), group=self.words)
        return [value for part in parts for value in part]

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier(group=self.words)

    @contextmanager
    def alone(self, folder: Path, doing: str) -> Iterator[None]:
        """As `hold`, once for all processes: the first one holds the folder.

        Raises:
            UsageError: another job is at work there; in every process.
        """
        with ExitStack() as held:
            refused = []
            if self.main:
                try:
                    held.enter_context(hold(folder, doing))
                except UsageError as error:
                    refused.append(str(error))
            told = self.gather(refused)
            if told:
                raise UsageError(told[0])
            yield

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of some items; with `gather` they come back in another order."""
        return items[self.rank :: self.size]


def join(device: str) -> World:
    """Join the other processes, where `torchrun` has started several.

    `device` is `cpu` or a CUDA device; with several processes each takes the card of its local rank.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World(0, 1, torch.device(device))
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    own = torch.device("cuda", local) if device.startswith("cuda") else torch.device("cpu")
    if own.type == "cuda":
        torch.cuda.set_device(own)
    # torchrun restarts its processes with the same store, in which gloo then finds the addresses of dead ones: each
    # attempt has a part of the store of its own.
    store = dist.TCPStore(  # type: ignore[attr-defined]
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=_serves(rank)
    )
    attempt = f"attempt{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    dist.init_process_group(
        "nccl" if own.type == "cuda" else "gloo",
        store=dist.PrefixStore(attempt, store),  # type: ignore[attr-defined]
        rank=rank,
        world_size=size,
        timeout=PATIENCE,
    )
    neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return World(rank, size, own, neighbours, dist.new_group(backend="gloo", timeout=NO_HURRY))


def _serves(rank: int) -> bool:
    """Under torchrun its agent serves the store; other launchers leave that to rank 0."""
    return rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"


def leave() -> None:
    """Part from the other processes; a second call does nothing."""
    if dist.is_initialized():
        dist.destroy_process_group()


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """The repeated blocks of a network: what is recomputed or shared out one at a time."""
    return [block for part in network.modules() if isinstance(part, nn.ModuleList) for block in part]


def recompute(network: nn.Module) -> None:
    """Keep no activations inside blocks; they are computed again in the backward pass."""
    from torch.utils.checkpoint import checkpoint

    for block in blocks_of(network):
        plain = block.forward

        def again(*args: Any, _plain: Callable[..., Any] = plain, **kwargs: Any) -> Any:
            return checkpoint(_plain, *args, use_reentrant=False, **kwargs)

        block.forward = again


def shard(module: nn.Module, methods: Sequence[str], world: World) -> None:
    """Share out weights, gradients, optimiser and average of a network over the processes (FSDP2).

    Weights are whole while `forward` or one of the other methods runs: one copy of them beside a share of the four
    others. All of the network is one unit, because its blocks are also asked for parts of their work.

    Args:
        module: the network; it is changed.
        methods: names of what else is called as `forward` is.
        world: the processes.

    Raises:
        UsageError: there is one process alone.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    if world.size == 1:
        raise UsageError("parallel=fsdp shares a network out over several processes; start them with torchrun.")
    mesh = init_device_mesh(world.device.type, (world.size,))
    fully_shard(module, mesh=mesh)
    for method in methods:
        register_fsdp_forward_method(module, method)


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be shared out, on the CPU; every process must ask."""
    from torch.distributed.tensor import DTensor

    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach().cpu()


def put(values: Tensor, target: Tensor) -> None:
    """Copy all of `values` into a tensor that may be shared out.

    Args:
        values: whole, on any device.
        target: is changed; may be a share of a tensor of that shape.
    """
    from torch.distributed.tensor import DTensor, distribute_tensor

    with torch.no_grad():
        if isinstance(target, DTensor):
            own = distribute_tensor(values.to(target.device), target.device_mesh, target.placements)
            target.copy_(own)
        else:
            target.copy_(values)
