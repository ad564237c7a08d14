"""Networks that one process runs for others: the same answers, in batches, whoever fails or goes away."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from visaudio_bench.errors import BenchError
from visaudio_bench.models import serving
from visaudio_bench.models.backbones.bigvgan import BigVgan
from visaudio_bench.models.backbones.imagebind import ImageBind
from visaudio_bench.models.backbones.mmaudio_codec import Codec44k
from visaudio_bench.models.backbones.panns import Cnn14
from visaudio_bench.models.backbones.passt import Passt
from visaudio_bench.models.backbones.synchformer import Synchformer, SynchformerVisual
from visaudio_bench.models.backbones.vae import Vae
from visaudio_bench.models.backbones.vggish import Vggish
from visaudio_bench.models.serving import Distant, _Client
from visaudio_bench.models.serving import serving as served
from visaudio_bench.pool import of_this_worker
from visaudio_bench.turns import in_turns

from .backbones.test_encoders import tiny_clip, tiny_encoder

BOUND = 2e-6  # of the largest value of an answer: what another batch may change


class Output(NamedTuple):
    """As networks give them."""

    total: Tensor
    kind: Tensor


class Sums:
    """A network that anybody can check."""

    device = "cpu"
    module: Any

    def __init__(self) -> None:
        self.module = self
        self.sample_rate = 7

    def __call__(self, x: Tensor) -> Output:
        if x.isnan().any():
            raise ValueError("not a number")
        return Output(x.sum(1), (x > 0).long())

    def compare(self, several: list[Tensor], x: Tensor, scale: float) -> dict[str, Tensor]:
        return {"sums": torch.stack([one.sum() for one in several]) * scale + x[:, 0]}

    def die(self, x: Tensor) -> None:
        os._exit(3)


class Gate:
    """A network whose first call waits until everybody else's request is there, and which notes its batches."""

    device = "cpu"

    def __init__(self, module: Any):
        self._module = module
        self.alone = getattr(module, "alone", False)
        self.rows: list[int] = []
        self.entered, self.open = threading.Event(), threading.Event()

    @property
    def module(self) -> Any:
        return self

    def first(self, x: Tensor) -> Tensor:
        self.entered.set()
        self.open.wait(60)
        return x

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.rows.append(len(arguments[0]))
            return getattr(self._module, name)(*arguments)

        return call

    def __call__(self, *arguments: Any) -> Any:
        return self.__getattr__("__call__")(*arguments)


class Asker(_Client):
    """A worker that says when its request is on the way."""

    def __init__(self, address: str):
        super().__init__(address)
        self.sent = threading.Event()

    def send(self, request: tuple[Any, ...]) -> None:
        super().send(request)
        self.sent.set()


def together(module: Any, call: str, requests: Sequence[tuple[Any, ...]], batch: int = 16) -> tuple[list[Any], Gate]:
    """The answers to requests that are all waiting when the network begins with them, and what it was given."""
    gate = Gate(module)
    with served([{"net": gate}], batch) as (address,), ThreadPoolExecutor(len(requests) + 1) as threads:
        first, *others = clients = [Asker(address) for _ in range(len(requests) + 1)]
        assert {client.value("net", "device") for client in clients} == {"cpu"}  # now the server knows them all
        blocked = threads.submit(first.call, "net", "first", torch.zeros(1, 1))
        assert gate.entered.wait(60)
        for client in others:
            client.sent.clear()

        def ask(client: _Client, request: tuple[Any, ...]) -> Any:
            return client.call("net", call, request) if call == "__call__" else client.call("net", call, *request)

        answers = [threads.submit(ask, client, request) for client, request in zip(others, requests, strict=True)]
        assert all(client.sent.wait(60) for client in others)
        gate.open.set()
        blocked.result()
        return [answer.exception() or answer.result() for answer in answers], gate


def test_a_distant_network_says_what_it_says_here() -> None:
    net = Sums()
    with served([{"net": net}]) as (address,):
        distant = Distant(address, "net", ("__call__", "compare"))
        for shape in ((3, 5), (1, 400_000), (2, 0)):
            x = torch.randn(shape)
            answer = distant(x)
            assert isinstance(answer, Output)
            assert all(torch.equal(one, other) for one, other in zip(answer, net(x), strict=True))
        several = [torch.arange(3), torch.arange(6, dtype=torch.uint8).reshape(2, 3)]
        assert distant.compare(several, torch.ones(2, 1), 2.0)["sums"].tolist() == [7.0, 31.0]
        assert distant.sample_rate == 7
        assert distant(torch.ones(2, 2, dtype=torch.bfloat16)).total.dtype == torch.bfloat16
        with pytest.raises(ValueError, match="not a number"):
            distant(torch.tensor([[torch.nan]]))
        with pytest.raises(TypeError, match="no plain value"):
            _ = distant.die
        with pytest.raises(AttributeError):
            _ = distant.colour
        assert distant(torch.ones(1, 2)).total.tolist() == [2.0]  # it goes on


def test_a_kind_of_request_is_read_once_and_answered_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    plain = serving._Server._read

    def counted(server: serving._Server, source: Any, written: bytes) -> serving._Message | None:
        read.append(written)
        return plain(server, source, written)

    monkeypatch.setattr(serving._Server, "_read", counted)
    monkeypatch.setattr(serving, "_KNOWN", 2)
    monkeypatch.setattr(serving, "_LEAST", 1)
    net = Sums()
    with served([{"net": net}]) as (address,):
        distant = Distant(address, "net", ("__call__", "compare"))
        for _ in range(2):  # the second time behind a request that needed more memory, where nothing lies as it did
            read.clear()
            for _ in range(3):
                x = torch.randn(3, 5)
                assert torch.equal(distant(x).total, net(x).total)
            assert len(read) <= 2
            wide = torch.randn(1, 700_000)
            assert torch.equal(distant(wide).total, net(wide).total)
        for rows in range(1, 6):  # more kinds than are remembered
            x = torch.randn(rows, 5)
            assert torch.equal(distant(x).total, net(x).total)


@pytest.mark.parametrize("room", [serving._ROOM, 1])  # the second: answers that must come by value
def test_what_functions_ask_in_turns_is_one_message_and_one_that_fails_fails_alone(
    monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(serving, "_ROOM", room)
    monkeypatch.setattr(serving, "_LEAST", room)
    sent: list[Any] = []
    plain = _Client.send
    monkeypatch.setattr(_Client, "send", lambda client, request: (sent.append(request), plain(client, request))[1])
    net = Sums()
    wide = torch.randn(1, 9)
    inputs = [torch.randn(3, 5), torch.randn(2, 7), torch.tensor([[torch.nan]]), wide.expand(400_000, 9)]
    with served([{"net": net}]) as (address,):
        distant = Distant(address, "net", ("__call__", "compare"))

        def answer(x: Tensor) -> Any:
            try:
                return distant(x)
            except ValueError as error:
                return str(error)

        for _ in range(2):
            sent.clear()
            *answers, sums, odd = in_turns(
                [
                    *(partial(answer, x) for x in inputs),
                    partial(distant.compare, inputs[:2], torch.ones(2, 1), 2.0),
                    list,
                ]
            )
            assert [request[0] for request in sent] == ["calls"] and len(sent[0][1]) == 5
            assert answers.pop(2) == "not a number"
            for x, said in zip([inputs[0], inputs[1], inputs[3]], answers, strict=True):
                assert torch.equal(said.total, net(x).total) and torch.equal(said.kind, net(x).kind)
            assert torch.equal(sums["sums"], net.compare(inputs[:2], torch.ones(2, 1), 2.0)["sums"]) and odd == []


def test_requests_of_one_shape_share_a_batch_and_others_do_not() -> None:
    requests = [(torch.full((rows, length), float(rows)),) for rows, length in ((1, 4), (2, 4), (3, 8), (4, 4))]
    answers, gate = together(Sums(), "__call__", requests)
    assert sorted(gate.rows) == [3, 7]
    for (x,), answer in zip(requests, answers, strict=True):
        assert torch.equal(answer.total, x.sum(1)) and len(answer.kind) == len(x)
    pairs = together(Sums(), "__call__", requests, batch=2)[1].rows  # which two of the three depends on who is first
    assert (len(pairs), sum(pairs)) == (3, 10)
    assert sorted(together(Sums(), "__call__", requests, batch=1)[1].rows) == [1, 2, 3, 4]


def test_one_that_is_alone_gets_no_batches() -> None:
    class Lone(Sums):
        alone = True

    requests = [(torch.full((rows, 4), float(rows)),) for rows in (1, 2, 4)]
    answers, gate = together(Lone(), "__call__", requests)
    assert sorted(gate.rows) == [1, 2, 4]
    assert [len(answer.total) for answer in answers] == [1, 2, 4]


def test_one_that_fails_in_a_batch_fails_alone() -> None:
    requests = [(torch.tensor([[value]]),) for value in (1.0, float("nan"), 3.0)]
    answers, _ = together(Sums(), "__call__", requests)
    assert isinstance(answers[1], ValueError)
    assert [answers[k].total.item() for k in (0, 2)] == [1.0, 3.0]


def test_a_worker_that_goes_away_disturbs_nobody() -> None:
    with served([{"net": Sums()}]) as (address,):
        gone = _Client(address)
        gone.connection.send(("calls", (("net", "__call__", ()),), 0))
        gone.connection.close()
        lost = _Client(address)
        lost.connection.send_bytes(b"")
        lost.connection.close()
        odd = _Client(address)
        odd.connection.send(("calls", "net"))
        assert odd.connection.recv()[0] is False
        assert Distant(address, "net", ("__call__",))(torch.ones(1, 2)).total.tolist() == [2.0]


def test_what_is_there_is_not_searched_for_garbage_while_networks_are_served() -> None:
    kept = gc.get_freeze_count()  # by whoever runs the tests
    gc.unfreeze()
    try:
        with served([{"net": Sums()}]):
            assert gc.get_freeze_count() > 10_000
            with served([{"net": Sums()}]):  # a second one leaves it to the first
                pass
            assert gc.get_freeze_count() > 10_000
        assert gc.get_freeze_count() == 0
    finally:
        if kept:
            gc.freeze()


def test_a_batch_on_a_cpu_is_one_request() -> None:
    assert (serving.at_once("cpu"), serving.at_once("cuda:1") > 1) == (1, True)


def test_several_devices_have_a_process_each_and_its_end_is_told() -> None:
    with served([{"net": Sums()}, {"net": Sums()}]) as addresses:
        first, second = (Distant(address, "net", ("__call__", "die")) for address in addresses)
        x = torch.randn(4, 9)
        assert torch.equal(first(x).total, second(x).total)
        with pytest.raises(BenchError, match="the process that runs the networks has ended"):
            first.die(x)
        assert torch.equal(second(x).total, x.sum(1))


def test_every_device_has_as_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, int] = {"a": 0, "b": 0, "c": 0}
    for name in ("MainProcess", *(f"ForkServerProcess-{number}" for number in range(7, 18))):
        monkeypatch.setattr(multiprocessing.current_process(), "name", name)
        asked[of_this_worker(list(asked))] += 1
        assert of_this_worker(["alone"]) == "alone"
    assert set(asked.values()) == {4}


def test_a_name_stands_for_every_card_that_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert serving.devices_of("cuda") == ("cuda:0", "cuda:1")
    assert (serving.devices_of("cuda:1"), serving.devices_of("cpu")) == (("cuda:1",), ("cpu",))


def small_codec() -> Codec44k:
    codec = Codec44k(Vae(8), BigVgan(width=64))
    codec.vae.finish()
    codec.vocoder.finish()
    return codec


SMALL: dict[str, tuple[Callable[[], torch.nn.Module], str, Callable[[], tuple[Any, ...]]]] = {
    "vggish": (lambda: Vggish((4, 8, 8, 8, 8, 8), hidden=16), "embed", lambda: (torch.randn(3, 64_000) / 10,)),
    "panns": (lambda: Cnn14((4, 4, 4, 4, 8, 2048)), "__call__", lambda: (torch.randn(3, 64_000) / 10,)),
    "passt": (lambda: Passt(width=64, depth=2, heads=2), "__call__", lambda: (torch.randn(3, 64_000) / 10,)),
    "synchformer video": (
        lambda: Synchformer(width=64, depth=1, heads=2),
        "encode_video",
        lambda: (torch.randint(0, 256, (1, 32, 3, 224, 224), dtype=torch.uint8),),
    ),
    "synchformer audio": (
        lambda: Synchformer(width=64, depth=1, heads=2), "encode_audio", lambda: (torch.randn(1, 14, 128, 66),),
    ),
    "synchformer offsets": (
        lambda: Synchformer(width=64, depth=1, heads=2),
        "offset_logits",
        lambda: (torch.randn(1, 14, 8, 64), torch.randn(1, 14, 6, 64)),
    ),
    "imagebind audio": (
        lambda: ImageBind(audio=(32, 1, 2), vision=(32, 1, 2)),
        "embed_audio",
        lambda: (torch.randn(1, 3, 1, 128, 204),),
    ),
    "imagebind video": (
        lambda: ImageBind(audio=(32, 1, 2), vision=(32, 1, 2)),
        "embed_video",
        lambda: ([torch.randint(0, 256, (1, 4, 3, 224, 224), dtype=torch.uint8)],),
    ),
    "motion": (
        lambda: SynchformerVisual(width=64, depth=1, heads=2),
        "encode_videos",
        lambda: (torch.randint(0, 256, (1, 16, 3, 224, 224), dtype=torch.uint8),),
    ),
    "codec encoder": (
        small_codec, "encode", lambda: (torch.randn(2, 11_025) / 10,),
    ),
    "clip pictures": (
        tiny_clip, "encode_frames", lambda: (torch.randint(0, 256, (3, 3, 48, 48), dtype=torch.uint8),),
    ),
    "clip words": (tiny_clip, "encode_text", lambda: (["a bell"],)),
    "places": (tiny_encoder, "encode_frames", lambda: (torch.randint(0, 256, (3, 3, 96, 96), dtype=torch.uint8),)),
}  # fmt: skip
# They take seconds to be imported.
LIBRARIES = {"clip pictures": "open_clip", "clip words": "open_clip", "places": "timm"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LIBRARIES)) for name in SMALL])
def test_what_shares_a_batch_changes_an_answer_by_rounding_alone(name: str) -> None:
    make, call, draw = SMALL[name]
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    torch.manual_seed(1)
    network = make().eval().requires_grad_(False)
    requests = [draw() for _ in range(4)]
    single = [together(network, call, [request])[0][0] for request in requests[:1]]
    with torch.inference_mode():
        single += [getattr(network, call)(*request) for request in requests[1:]]
    answers, gate = together(network, call, requests)
    assert gate.rows == [sum(len(request[0]) for request in requests)]
    assert_near(single, answers)


def assert_near(single: Sequence[Any], answers: Sequence[Any]) -> None:
    for one, other in zip(single, answers, strict=True):
        for exact, near in zip(*((x,) if isinstance(x, Tensor) else x for x in (one, other)), strict=True):
            assert exact.shape == near.shape
            assert float((exact - near).abs().max()) <= BOUND * float(exact.abs().max())


@pytest.mark.slow
@pytest.mark.golden
@pytest.mark.parametrize(("name", "network"), [("vggish", Vggish), ("panns", Cnn14)])
def test_the_same_of_networks_of_full_size(name: str, network: Callable[[], torch.nn.Module], build: Callable) -> None:
    _, call, draw = SMALL[name]
    module = build(network)
    requests = [draw() for _ in range(4)]
    with torch.inference_mode():
        single = [getattr(module, call)(*request) for request in requests]
    assert_near(single, together(module, call, requests)[0])
