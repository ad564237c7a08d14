"""From videos to binaural sound: conditioners, flow network and codec, one after the other, in batches.

For a card the pictures of the next clips are read meanwhile, by threads. Processes that ask for networks, which judging
has, would put into a batch whatever is asked for at a time, and a clip's seconds would be those of its waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import BenchError, ClipError
from visaudio_bench.guard import as_clip_error, one_clip
from visaudio_bench.lookahead import ahead
from visaudio_bench.models.visaudio.codec_interface import Codec
from visaudio_bench.models.visaudio.conditioner_interface import Conditioners
from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.config import Lengths, lengths
from visaudio_bench.models.visaudio.network import FlowNetwork
from visaudio_bench.models.visaudio.sampler import by_channel, clip_noise, sample
from visaudio_bench.models.visaudio.settings import Settings
from visaudio_bench.models.visaudio.windows import is_whole, sample_long, starts
from visaudio_bench.models.weight_loading import narrow
from visaudio_bench.pool import available_cores

_READERS = 4  # threads that read for a card
_AHEAD = 8  # windows whose pictures are in memory; of 8 s they take 0.1 GB each


class Request(NamedTuple):
    """One clip to make: its id decides its noise; `start` and `duration` in seconds cut the video."""

    id: str
    video: Path | None
    caption: str | None
    start: float
    duration: float


class Sounded(NamedTuple):
    """What came of a request: sound `(2, round(duration * 44100))` float32 or an error, and the seconds it took."""

    request: Request
    sound: NDArray[np.float32] | None
    error: ClipError | None
    seconds: float


class _Window(NamedTuple):
    """A part of a clip that is looked at as a whole: of the request of that number, from `start` on, in seconds."""

    number: int
    request: Request
    start: float


class _Read(NamedTuple):
    """The pictures of a window, and the seconds that it took to read them."""

    pictures: Any
    seconds: float


class _Waiting(NamedTuple):
    request: Request
    conditions: Conditions
    seconds: float


class Pipeline:
    """A flow network with everything before and behind it, on one device."""

    def __init__(
        self,
        network: FlowNetwork,
        conditioners: Conditioners,
        codec: Codec,
        *,
        settings: Settings | None = None,
        device: str = "cpu",
    ):
        self.conditioners = conditioners
        self.codec = codec
        self.settings = settings or Settings()
        self.device = torch.device(device)
        # Weights in the type that is computed with: autocast would turn frozen ones round anew at every step.
        self.network = narrow(network, getattr(torch, self.precision)).to(device).eval()
        if self.settings.compiled:
            self.network.compile_blocks()

    @property
    def precision(self) -> str:
        """The type that the flow network computes with here."""
        if self.settings.precision != "auto":
            return self.settings.precision
        return "bfloat16" if self.device.type == "cuda" else "float32"

    def generate(self, requests: Iterable[Request], seed: int) -> Iterator[Sounded]:
        """Sounds as their batches are complete; clips that cannot be made are told at once.

        A clip's sound depends on its request and the seed, and not on the other clips (but for rounding, which
        depends on the size of a batch). A batch that fails is made again clip by clip.
        """
        windows = (
            _Window(number, request, start)
            for number, request in enumerate(requests)
            for start in starts(request.duration, self.settings.window)
        )
        waiting: dict[float, list[_Waiting]] = {}
        with closing(ahead(self._read, windows, readers_for(self.device), _AHEAD)) as reads:
            for (_, request), own in groupby(reads, key=lambda read: read[0][:2]):
                began = time.perf_counter()
                try:
                    with one_clip():
                        prepared = self._prepared(request, own)
                except ClipError as error:
                    yield Sounded(request, None, error, time.perf_counter() - began)
                    continue
                batch = waiting.setdefault(request.duration, [])
                batch.append(prepared)
                if len(batch) == self.settings.batch:
                    yield from self._flush(waiting.pop(request.duration), seed)
        for batch in waiting.values():
            yield from self._flush(batch, seed)

    def _read(self, window: _Window) -> _Read:
        """The pictures of a window; in any thread."""
        began = time.perf_counter()
        request = window.request
        if request.video is None:
            raise ClipError("no_video", f"clip {request.id} has no video, and the sound is made for pictures.")
        whole = is_whole(request.duration, self.settings.window)
        pictures = self.conditioners.read(
            request.video,
            start=request.start + window.start,
            duration=request.duration if whole else self.settings.window,
        )
        return _Read(pictures, time.perf_counter() - began)

    def _prepared(self, request: Request, reads: Iterable[tuple[_Window, Callable[[], _Read]]]) -> _Waiting:
        """A request with its conditions; what others did while its windows were read is none of its seconds."""
        looked, seconds = [], 0.0
        for _, read in reads:
            pictures, reading = read()
            began = time.perf_counter()
            looked.append(self.conditioners.look(pictures, request.caption))
            seconds += reading + time.perf_counter() - began
        conditions = Conditions.concatenate(looked)
        if not self.network.config.spacetime:
            conditions = replace(conditions, spatial=None)
        return _Waiting(request, conditions, seconds)

    def _flush(self, batch: list[_Waiting], seed: int) -> Iterator[Sounded]:
        began = time.perf_counter()
        try:
            sounds = self._sounds(
                [prepared.request for prepared in batch], [prepared.conditions for prepared in batch], seed
            )
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            fewer = (
                f"Try --batch {len(batch) // 2}." if len(batch) > 1 else "Try a shorter --duration, or --device cpu."
            )
            raise BenchError(
                f"{self.device} ran out of memory with {len(batch)} clips of {batch[0].request.duration:g} s at once. "
                f"{fewer}"
            ) from error
        except Exception as error:  # as_clip_error lets through what is not of one clip
            failure = as_clip_error(error)
            if len(batch) == 1:
                yield Sounded(batch[0].request, None, failure, batch[0].seconds + time.perf_counter() - began)
            else:  # one of them is to blame: each by itself
                for prepared in batch:
                    yield from self._flush([prepared], seed)
            return
        each = (time.perf_counter() - began) / len(batch)
        for prepared, sound in zip(batch, sounds, strict=True):
            if np.isfinite(sound).all():
                yield Sounded(prepared.request, sound, None, prepared.seconds + each)
            else:
                broken = ClipError("not_finite", f"the model's sound for {prepared.request.id} is not finite.")
                yield Sounded(prepared.request, None, broken, prepared.seconds + each)

    @torch.no_grad()
    def _sounds(self, requests: list[Request], several: list[Conditions], seed: int) -> list[NDArray[np.float32]]:
        config = self.network.config
        duration = requests[0].duration
        wanted = lengths(duration, config.text_tokens)
        noise = torch.stack([clip_noise(seed, r.id, wanted, config.latent_dim, dual=config.dual) for r in requests])
        noise, guidance = by_channel(self.codec.sampling, noise.to(self.device), self.settings.guidance)
        if is_whole(duration, self.settings.window):
            latent = sample(
                self.network,
                Conditions.concatenate(several).to(self.device),
                noise,
                steps=self.settings.steps,
                guidance=guidance,
                negative=self._negative(wanted),
            )
        else:
            alone = zip(several, noise, strict=True)
            latent = torch.stack([self._long(shown, own, guidance, duration) for shown, own in alone])
        latent = self.network.unnormalise(latent)
        ears = latent if config.dual else latent[:, None]
        # One clip at a time: the vocoder wants more memory for a clip than the flow does.
        sounds = [self.codec.decode(ear[None])[0].cpu() for ear in ears]
        return [_trimmed(sound, duration) for sound in sounds]

    def _long(self, windows: Conditions, noise: Tensor, guidance: float | Tensor, duration: float) -> Tensor:
        return sample_long(
            self.network,
            windows.to(self.device),
            noise,
            duration,
            steps=self.settings.steps,
            guidance=guidance,
            negative=self._negative(lengths(self.settings.window, self.network.config.text_tokens)),
            window=self.settings.window,
        )

    def _negative(self, wanted: Lengths) -> Conditions | None:
        if not self.settings.negative:
            return None
        text = self.conditioners.encode_text(self.settings.negative)[None].to(self.device)
        return replace(self.network.null(1, wanted), text=text)


def readers_for(device: torch.device) -> int:
    """How many threads read ahead: none where the networks take all of the processor."""
    return 0 if device.type == "cpu" else min(_READERS, available_cores())


def _trimmed(sound: Tensor, duration: float) -> NDArray[np.float32]:
    """Exactly the clip's length, and both ears: latent frames end up to 1023 samples behind the clip."""
    samples: NDArray[np.float32] = sound[:, : round(duration * SAMPLE_RATE)].numpy()
    return np.repeat(samples, 2 // len(samples), axis=0)
