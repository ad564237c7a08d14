"""Networks that one process runs for many others, in batches of what these have prepared.

Worker processes read, decode, resample and hash; whoever runs the networks does nothing but that. A worker asks a
`Distant` network as if it were the network itself. What it asks goes into memory that both processes see, and so does
the answer. What functions ask that take turns (`visaudio_bench.turns`) is one message, and has one answer: to be woken
costs a process whose networks are fast more than all that it does then. Requests to one network whose rows have the
same shape are put into one batch, so that a card is full whatever clips and systems they are of; which rows share a
batch changes an answer by rounding alone (`tests/models/test_serving.py` has the bounds of every network). A worker has
one message under way, and that bounds the memory.

On a CPU every request is computed by itself: nothing is gained by batches there, and numbers stay the same to the bit.
"""

from __future__ import annotations

import gc
import math
import mmap
import multiprocessing
import os
import secrets
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import accumulate
from multiprocessing import reduction
from multiprocessing.connection import Client, Connection, Listener
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from visaudio_bench.errors import BenchError
from visaudio_bench.guard import portable
from visaudio_bench.models.lazy_networks import LazyNetwork
from visaudio_bench.pool import CONTEXT, deaf_children, prepare_workers, start_worker
from visaudio_bench.processes import whether_memory_ran_out
from visaudio_bench.turns import ask

Array = NDArray[Any]

AT_ONCE = {"cpu": 1}  # requests in a batch, by kind of device
_ON_A_CARD = 16
_ROOM = 1 << 20  # bytes that an answer may take; where several are larger together they come by value
_LEAST = 1 << 28  # bytes of a worker's memory, which takes no more of the machine's than what was written there
_KNOWN = 64  # messages of one worker that are remembered
_LOOK = 0.01  # s between looks at what came in while requests wait that are computed one by one
_AHEAD = 2  # batches that a card may have before the answers of the first are fetched
_ALIGNED = 64  # bytes
_START = 600.0  # s until a process that runs networks must be there

# Memory is shared by handing descriptors over, which needs sockets of Unix.
POSSIBLE = hasattr(socket, "AF_UNIX") and hasattr(socket, "send_fds")


class Served(Protocol):
    """Something that has a network, which it may load when it is first asked for, and knows where that computes.

    Where it says that it is `alone`, requests to it never share a batch.
    """

    @property
    def module(self) -> Any:
        """The network."""

    @property
    def device(self) -> str:
        """Where inputs belong."""


class Movable(Served, Protocol):
    """One that can be had on another device."""

    def on(self, device: str, /) -> Movable:
        """The same, picklable, with a network that is not loaded."""


class _Placed(NamedTuple):
    """Where in the shared memory a tensor lies."""

    offset: int
    shape: tuple[int, ...]
    dtype: torch.dtype


class _Value(NamedTuple):
    """A tensor by value."""

    data: bytes
    shape: tuple[int, ...]
    dtype: torch.dtype


class Distant:
    """A network that another process runs. Calls of the names in `by_row` are asked there; so are plain attributes.

    Args:
        address: of the process, one of those that `serving` gives.
        name: of the network there.
        by_row: the calls that may be asked, `__call__` for the network itself.
    """

    def __init__(self, address: str, name: str, by_row: Sequence[str]):
        self._address, self._name, self._by_row = address, name, by_row

    def __call__(self, *arguments: Any) -> Any:
        """What the network says."""
        return _client(self._address).call(self._name, "__call__", arguments)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        client = _client(self._address)
        return partial(client.call, self._name, name) if name in self._by_row else client.value(self._name, name)


class _Client:
    """A worker's side: one connection, and the memory that requests go through."""

    def __init__(self, address: str):
        try:
            self.connection: Any = Client(address, authkey=multiprocessing.current_process().authkey)
        except (EOFError, OSError) as error:
            raise _ended() from error
        self.memory = mmap.mmap(-1, mmap.PAGESIZE)
        self.size = self.end = 0  # bytes of it, and of the request that is in it
        self.values: dict[tuple[str, str], Any] = {}

    def call(self, network: str, call: str, *given: Any) -> Any:
        return ask(self._call_all, (network, call, given[0] if call == "__call__" else given))

    def _call_all(self, calls: Sequence[tuple[str, str, tuple[Any, ...]]]) -> list[Any]:
        """The answers to several calls, or what went wrong with them."""
        tensors: list[Tensor] = []
        _mapped([arguments for _, _, arguments in calls], tensors.append, Tensor)
        places = self._places(tensors, len(calls) * _ROOM)
        for tensor, placed in zip(tensors, places, strict=True):
            _at(self.memory, placed).copy_(tensor)
        follow = iter(places)
        placed_calls = _mapped(tuple(calls), lambda _: next(follow), Tensor)
        answers: list[Any] = self._asked("calls", placed_calls, self.end)
        return [_mapped(answer, lambda placed: _at(self.memory, placed).clone(), _Placed) for answer in answers]

    def value(self, network: str, name: str) -> Any:
        if (network, name) not in self.values:
            self.values[network, name] = self._asked("value", network, name)
        return self.values[network, name]

    def send(self, request: tuple[Any, ...]) -> None:
        self.connection.send(request)

    def _places(self, tensors: Sequence[Tensor], room: int) -> list[_Placed]:
        """A place for each, in memory that is made larger where it does not suffice, with room behind them."""
        places, self.end = _placed(tensors, 0)
        if self.end + room > self.size:
            self.size = max(_LEAST, 1 << (self.end + room - 1).bit_length())
            with _nameless_file() as handle:
                os.ftruncate(handle, self.size)
                self.memory = mmap.mmap(handle, self.size)
                self.connection.send(("memory", self.size))
                reduction.send_handle(self.connection, handle, None)
        return places

    def _asked(self, *request: Any) -> Any:
        try:
            self.send(request)
            fine, answer = self.connection.recv()
        except (EOFError, OSError) as error:
            raise _ended() from error
        if not fine:
            raise answer
        return _mapped(answer, _from_value, _Value)


def _ended() -> BenchError:
    return BenchError(
        f"the process that runs the networks has ended; {whether_memory_ran_out()}. What was finished is kept: "
        "run the same command again."
    )


@lru_cache(maxsize=16)
def _client(address: str) -> _Client:
    return _Client(address)


@contextmanager
def _nameless_file() -> Iterator[int]:
    """A file in memory without a name, which is gone when nobody has it open any more."""
    if hasattr(os, "memfd_create"):  # not limited as /dev/shm is in containers
        handle = os.memfd_create("visaudio-bench", os.MFD_CLOEXEC)
        try:
            yield handle
        finally:
            os.close(handle)
    else:
        with tempfile.TemporaryFile() as file:
            yield file.fileno()


def _placed(tensors: Sequence[Tensor], end: int) -> tuple[list[_Placed], int]:
    """A place for each, one after the other from `end` on, and where the next one would be."""
    places = []
    for tensor in tensors:
        places.append(_Placed(end, tuple(tensor.shape), tensor.dtype))
        end += -(-tensor.nbytes // _ALIGNED) * _ALIGNED
    return places, end


def _at(memory: mmap.mmap, placed: _Placed) -> Tensor:
    count = math.prod(placed.shape)
    if not count:
        return torch.empty(placed.shape, dtype=placed.dtype)
    return torch.frombuffer(memory, dtype=placed.dtype, count=count, offset=placed.offset).view(placed.shape)


def _mapped(value: Any, change: Callable[[Any], Any], kind: type) -> Any:
    """The same lists, tuples and mappings, with every part of a kind changed."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(part, change, kind) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(part, change, kind) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(_mapped(part, change, kind) for part in value)
    return value


_STAND_IN = {1: torch.uint8, 2: torch.int16}  # for numbers that numpy does not know, by their bytes


def _as_array(tensor: Tensor) -> Array:
    """What a tensor holds, without a copy. Copies by torch wake its threads, which then spin for the next."""
    tensor = tensor.detach()
    try:
        return tensor.numpy()
    except TypeError:
        return tensor.view(_STAND_IN[tensor.itemsize]).numpy()


def _to_value(tensor: Tensor) -> _Value:
    return _Value(_as_array(tensor).tobytes(), tuple(tensor.shape), tensor.dtype)


def _from_value(value: _Value) -> Tensor:
    if not value.data:
        return torch.empty(value.shape, dtype=value.dtype)
    return torch.frombuffer(bytearray(value.data), dtype=value.dtype).view(value.shape)


class _Reply(NamedTuple):
    """Where answers of one kind go in the worker's memory, and the message that says so."""

    places: tuple[Array, ...]
    message: bytes


@dataclass(eq=False)
class _Message:
    """What a worker asks in one message: requests, and where the answers may begin.

    A worker that asks for the same with arguments of the same shapes sends the same message, and its arguments lie in
    the same place: the message is then the same, as are the `replies` to it. Reading and writing messages would take
    most of the time of a process whose card is fast.
    """

    connection: Connection
    end: int
    requests: list[_Request] = field(default_factory=list)
    replies: dict[tuple[Any, ...], _Reply] = field(default_factory=dict)
    unanswered: int = 0


@dataclass(eq=False)
class _Request:
    """One call that a worker asks for, what those have in common that may share a batch, and the answer."""

    message: _Message
    network: str
    call: str
    arguments: tuple[Any, ...]
    alike: tuple[Any, ...]
    answer: Any = None

    @property
    def rows(self) -> int:
        return len(self.arguments[0])


def _likeness(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return (*argument.shape[1:], argument.dtype)
    return "rows" if isinstance(argument, list) else repr(argument)


def _joined(arguments: Sequence[Any], device: str) -> Any:
    """One argument of several requests, as one that is as long as all of them."""
    moved = _mapped(list(arguments), lambda tensor: tensor.to(device, non_blocking=True), Tensor)
    first = moved[0]
    if isinstance(first, Tensor):
        return torch.cat(moved) if len(moved) > 1 else first
    return [row for rows in moved for row in rows] if isinstance(first, list) else first


def _divided(values: Any, rows: Sequence[int]) -> list[Any]:
    """The parts of an answer that are of several requests, with as many rows each."""
    ends = list(accumulate(rows))
    parts = [slice(end - count, end) for end, count in zip(ends, rows, strict=True)]
    return [_mapped(values, itemgetter(part), Tensor) for part in parts]


def _kind(answer: Any) -> tuple[Any, ...] | None:
    """What those answers have in common that are told alike; None of any that is no tensor and no tuple of tensors."""
    if isinstance(answer, Tensor):
        return (Tensor, answer.shape, answer.dtype)
    if isinstance(answer, tuple) and all(isinstance(part, Tensor) for part in answer):
        return (type(answer), *((part.shape, part.dtype) for part in answer))
    return None


@dataclass
class _Server:
    """Runs networks for whoever connects. One thread accepts connections, another one does the rest."""

    networks: Mapping[str, Served]
    at_once: int
    listener: Listener
    fresh: list[Connection] = field(default_factory=list)
    waiting: list[_Request] = field(default_factory=list)
    launched: list[tuple[list[_Request], Any]] = field(default_factory=list)
    memory: dict[Connection, mmap.mmap] = field(default_factory=dict)
    known: dict[Connection, dict[bytes, _Message]] = field(default_factory=dict)
    stopped: bool = False

    def __post_init__(self) -> None:
        self.address: Any = self.listener.address
        self.woken, self.wake = multiprocessing.Pipe(duplex=False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.woken, selectors.EVENT_READ)

    def accept(self) -> None:
        """Take connections until the server is stopped."""
        while not self.stopped:
            with suppress(OSError, EOFError, multiprocessing.AuthenticationError):
                connection: Any = self.listener.accept()
                self.fresh.append(connection)
                self.wake.send_bytes(b"connected")
        self.listener.close()
        for connection in self.fresh:
            connection.close()

    @torch.inference_mode()
    def run(self) -> None:
        """Answer requests until the server is stopped."""
        looked = -math.inf
        try:
            while not self.stopped:
                busy = bool(self.waiting or self.launched)
                if not (busy and self.at_once == 1 and time.monotonic() < looked + _LOOK):
                    self._look(0 if busy else None)
                    looked = time.monotonic()
                if self.waiting:
                    self._launch(self._batch())
                if self.launched and (not self.waiting or len(self.launched) >= _AHEAD):
                    self._finish(*self.launched.pop(0))
        finally:  # whoever waits for an answer, or comes now, learns that there will be none
            self.stopped = True
            with suppress(OSError, EOFError):  # which ends `accept`
                Client(self.address, authkey=multiprocessing.current_process().authkey).close()
            for connection in self.memory:
                connection.close()
            self.selector.close()

    def stop(self) -> None:
        """End both threads."""
        self.stopped = True
        with suppress(OSError):
            self.wake.send_bytes(b"stop")

    def _look(self, patience: float | None) -> None:
        """Take all that is there, for batches to be full; nobody asks twice at a time."""
        while ready := self.selector.select(patience):
            patience = 0
            for key, _ in ready:
                self._take(key.fileobj)

    def _take(self, source: Any) -> None:
        """Read what came in."""
        if source is self.woken:
            self.woken.recv_bytes()
            while self.fresh:
                connection = self.fresh.pop()
                with suppress(OSError):  # closed before it was waited for: the run is over
                    self.selector.register(connection, selectors.EVENT_READ)
                    self.memory[connection] = mmap.mmap(-1, mmap.PAGESIZE)
                    self.known[connection] = {}
            return
        try:
            written = source.recv_bytes()
            message = self.known[source].get(written) or self._read(source, written)
            if message is not None:
                message.unanswered = len(message.requests)
                self.waiting.extend(message.requests)
        except (EOFError, OSError):  # the worker has ended; it is looked after elsewhere
            self.waiting = [request for request in self.waiting if request.message.connection is not source]
            self.selector.unregister(source)
            self.memory.pop(source)
            self.known.pop(source)
            source.close()
        except Exception as error:  # what was sent cannot be read here
            self._send(source, (False, portable(error)))

    def _read(self, source: Connection, written: bytes) -> _Message | None:
        """Understand a message that this worker has not sent before; returns what asks for calls."""
        what, *said = reduction.ForkingPickler.loads(written)
        if what == "memory":
            handle = reduction.recv_handle(source)
            try:
                self.memory[source] = mmap.mmap(handle, said[0])
            finally:
                os.close(handle)
            self.known[source].clear()
            return None
        if what == "value":
            self._answer(source, partial(self._value, *said))
            return None
        calls, end = said
        message = _Message(source, end)
        for network, call, placed in calls:
            arguments = _mapped(tuple(placed), partial(_at, self.memory[source]), _Placed)
            alike = (network, call, *map(_likeness, arguments))
            message.requests.append(_Request(message, network, call, arguments, alike))
        if len(self.known[source]) >= _KNOWN:
            self.known[source].clear()
        self.known[source][written] = message
        return message

    def _batch(self) -> list[_Request]:
        """The request that has waited longest, with those that may share its batch."""
        by_itself = getattr(self.networks.get(self.waiting[0].network), "alone", False)
        if len(self.waiting) == 1 or self.at_once == 1 or by_itself:
            return [self.waiting.pop(0)]
        alike = self.waiting[0].alike
        batch = [request for request in self.waiting if request.alike == alike][: self.at_once]
        taken = set(batch)
        self.waiting = [request for request in self.waiting if request not in taken]
        return batch

    def _launch(self, batch: list[_Request]) -> None:
        """Compute a batch; where that fails each request by itself, so that one costs one."""
        first = batch[0]
        try:
            served = self.networks[first.network]
            arguments: Sequence[Any] = first.arguments
            if len(batch) > 1 or served.device != "cpu":
                arguments = [
                    _joined(several, served.device) for several in zip(*(r.arguments for r in batch), strict=True)
                ]
            self.launched.append((batch, getattr(served.module, first.call)(*arguments)))
        except Exception as error:
            if len(batch) == 1:
                self._done(first, portable(error))
            else:
                for request in batch:
                    self._launch([request])

    def _finish(self, batch: list[_Request], output: Any) -> None:
        """Give the answers of a batch to those who asked."""
        try:
            on_card = self.networks[batch[0].network].device != "cpu"
            values = _mapped(output, lambda tensor: tensor.to("cpu"), Tensor) if on_card else output
            answers = [values] if len(batch) == 1 else _divided(values, [request.rows for request in batch])
        except Exception as error:  # a card says so late
            answers = [portable(error)] * len(batch)
        for request, answer in zip(batch, answers, strict=True):
            self._done(request, answer)

    def _done(self, request: _Request, answer: Any) -> None:
        """Keep an answer; when it is the last that a message waits for, reply."""
        request.answer, message = answer, request.message
        message.unanswered -= 1
        if message.unanswered:
            return
        try:
            self._reply(message, [each.answer for each in message.requests])
        except Exception as error:
            self._send(message.connection, (False, portable(error)))
        for each in message.requests:
            each.answer = None

    def _reply(self, message: _Message, answers: list[Any]) -> None:
        """Send the answers to a message, with their tensors in the worker's memory."""
        tensors: list[Tensor] = []
        _mapped(answers, tensors.append, Tensor)
        kind = tuple(map(_kind, answers))
        reply = message.replies.get(kind)
        if reply is None:
            reply = self._how_to_reply(message, answers, tensors)
            if None not in kind and len(reply.places) == len(tensors):
                message.replies[kind] = reply
        for tensor, place in zip(tensors, reply.places, strict=False):
            place[...] = _as_array(tensor)
        with suppress(OSError):  # it has ended
            message.connection.send_bytes(reply.message)

    def _how_to_reply(self, message: _Message, answers: list[Any], tensors: list[Tensor]) -> _Reply:
        """Where the tensors of answers go, and what is said of them: that they come by value where there is no room."""
        memory = self.memory[message.connection]
        places, end = _placed(tensors, message.end)
        fits = end <= len(memory)
        follow: Iterator[Any] = iter(places) if fits else map(_to_value, tensors)
        said = (True, _mapped(answers, lambda _: next(follow), Tensor))
        ours = tuple(_as_array(_at(memory, placed)) for placed in places) if fits else ()
        return _Reply(ours, bytes(reduction.ForkingPickler.dumps(said)))

    def _value(self, network: str, name: str) -> Any:
        value = getattr(self.networks[network].module, name)
        if callable(value) or isinstance(value, Tensor):
            raise TypeError(f"{network}.{name} is no plain value, and not among the calls that may be asked by row")
        return value

    def _answer(self, connection: Connection, compute: Callable[[], Any]) -> None:
        try:
            answer = (True, compute())
        except Exception as error:
            answer = (False, portable(error))
        self._send(connection, answer)

    def _send(self, connection: Connection, answer: Any) -> None:
        with suppress(OSError):  # it has ended
            connection.send(answer)


def at_once(device: str) -> int:
    """How many requests may share a batch on a device."""
    return AT_ONCE.get(device.partition(":")[0], _ON_A_CARD)


def devices_of(device: str) -> tuple[str, ...]:
    """The devices that a name stands for: `cuda` for every card that can be seen, any other for itself."""
    if device != "cuda":
        return (device,)
    return tuple(f"cuda:{card}" for card in range(torch.cuda.device_count())) or (device,)


def on_every_device(networks: Mapping[str, Movable]) -> AbstractContextManager[tuple[str, ...]]:
    """As `serving`: networks, all of which are on one device, on every device that its name stands for."""
    devices = devices_of(next(iter(networks.values())).device)
    groups: list[Mapping[str, Served]] = [networks]
    if len(devices) > 1:
        groups = [{name: network.on(device) for name, network in networks.items()} for device in devices]
    return serving(groups)


def far(networks: Mapping[str, LazyNetwork], address: str) -> dict[str, LazyNetwork]:
    """Have networks asked that another process runs.

    Args:
        networks: by their names there.
        address: of the process.

    Returns:
        What asks for them, in place of each.
    """
    return {
        name: LazyNetwork(partial(_far, address, name, network.by_row), "cpu", network.by_row)
        for name, network in networks.items()
    }


def _far(address: str, name: str, by_row: Sequence[str], device: str) -> Distant:
    del device  # inputs go to the other process from the CPU's memory
    return Distant(address, name, by_row)


@contextmanager
def serving(groups: Sequence[Mapping[str, Served]], batch: int | None = None) -> Iterator[tuple[str, ...]]:
    """Run networks for worker processes while the block lasts.

    Args:
        groups: the networks by name, once for each device. Those of a single one run in this process, in a thread;
            of several each has a process of its own, and they must be picklable.
        batch: requests that may share a batch; by default what suits the device.

    Yields:
        The addresses that `Distant` takes, one for each group.
    """
    with ExitStack() as stack:
        stack.enter_context(_unsearched())
        if len(groups) == 1:
            yield (stack.enter_context(_thread(groups[0], batch)),)
        else:
            yield tuple([stack.enter_context(_process(group, batch)) for group in groups])


@contextmanager
def _unsearched() -> Iterator[None]:
    """What is there already is not searched for garbage meanwhile.

    There are hundreds of thousands of objects once networks are imported, and to search them took more of this process
    than all that it does for others.
    """
    frozen = gc.get_freeze_count() > 0
    if not frozen:
        gc.freeze()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()


def _server(networks: Mapping[str, Served], batch: int | None) -> _Server:
    device = next(iter(networks.values())).device
    # On Linux a name that no file has, so that whoever is killed leaves none.
    address = f"\0visaudio-bench-{secrets.token_hex(16)}" if sys.platform == "linux" else None
    listener = Listener(address, "AF_UNIX", backlog=256, authkey=multiprocessing.current_process().authkey)
    return _Server(networks, batch or at_once(device), listener)


@contextmanager
def _thread(networks: Mapping[str, Served], batch: int | None) -> Iterator[str]:
    server = _server(networks, batch)
    threads = [threading.Thread(target=target, daemon=True) for target in (server.accept, server.run)]
    for thread in threads:
        thread.start()
    try:
        yield server.address
    finally:
        server.stop()
        for thread in threads:
            thread.join()


@contextmanager
def _process(networks: Mapping[str, Served], batch: int | None) -> Iterator[str]:
    prepare_workers(_run_elsewhere)
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_run_elsewhere, args=(networks, batch, theirs, dict(os.environ)), daemon=True)
    with deaf_children():
        process.start()
    theirs.close()
    try:
        if not ours.poll(_START):
            raise BenchError(f"no process to run networks began within {_START:g} s.")
        try:
            address = ours.recv()
        except EOFError as error:
            raise BenchError("a process that was to run networks has ended before it began.") from error
        yield address
    finally:
        process.kill()
        process.join()
        ours.close()


def _run_elsewhere(
    networks: Mapping[str, Served], batch: int | None, parent: Connection, environment: Mapping[str, str]
) -> None:
    start_worker(environment)
    server = _server(networks, batch)
    parent.send(server.address)
    threading.Thread(target=server.accept, daemon=True).start()
    server.run()
