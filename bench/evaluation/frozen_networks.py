"""What frozen networks are given of sounds and pictures, and where their answers are kept.

A clip is decoded once and goes through every network in all its views. What a network answers is kept under the hash
of what it was given (decoded samples; the bytes of a video file and the window), the hash of its weights and the
source of the code in front of it, so that references and videos are embedded once for all systems and all runs.

Sound goes to the networks from the file's own sample rate, by the resampling that their published scores are made with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from visaudio_bench.bench.evaluation.score_cache import cached
from visaudio_bench.errors import ClipError
from visaudio_bench.metrics.protocol import OURS
from visaudio_bench.sources import root_name, source_revision
from visaudio_bench.suites.frame_selection import find_policy
from visaudio_bench.suites.media import TOLERANCE, read_sampled_frames

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from visaudio_bench.bench.evaluation.family import Loader
    from visaudio_bench.models.weights import Located
    from visaudio_bench.suites import media

Arrays = dict[str, Any]
Dtype = Literal["float32", "tf32", "bfloat16"]


@dataclass(frozen=True)
class Hearing:
    """One sound as the networks are given it: native samples `(2, N)`, and the length of the clip in seconds."""

    sound: media.Sound
    duration: float | None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of samples, rate and length, and of the code that makes views of them."""
        revision = source_revision(Hearing)
        head = f"{revision}/{self.sound.samples.shape}/{self.sound.source_rate}/{self.duration}/"
        return hashlib.sha256(head.encode() + np.ascontiguousarray(self.sound.samples).tobytes()).hexdigest()

    @property
    def seconds(self) -> float:
        """Length of what is judged."""
        length: float = self.sound.samples.shape[1] / self.sound.source_rate
        return length if self.duration is None else min(length, self.duration)

    @property
    def missing(self) -> float:
        """How much earlier than its clip the sound ends, seconds to a sample; 0 where it does not."""
        if self.duration is None:
            return 0.0
        rate = self.sound.source_rate
        samples: int = max(0, round(self.duration * rate) - self.sound.samples.shape[1])
        return samples / rate

    @cached_property
    def views(self) -> Tensor:
        """Mix, left and right, `(3, N)`."""
        import torch

        from visaudio_bench.models.backbones.waveform import views

        return views(torch.from_numpy(np.array(self.sound.samples)))

    @cached_property
    def side(self) -> Tensor:
        """Half of left less right, `(1, N)`: what the mix does not hear."""
        import torch

        left, right = torch.from_numpy(np.array(self.sound.samples))
        side: Tensor = (left - right)[None] / 2
        return side

    def view(self, name: str) -> Tensor:
        """One view as a row `(1, N)`."""
        return self.views[("mix", "left", "right").index(name)][None]


@dataclass(frozen=True)
class Seeing:
    """The pictures of one clip, by the bytes of the file, the window, and the rule by which frames are taken.

    `rates` are the frame rates that will be asked for, so that the file is decoded once for all of them.
    """

    path: Path
    start: float
    duration: float
    policy: str = OURS.frames
    rates: tuple[Fraction, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, the window, the name of the rule, and the code that takes frames by it."""
        with self.path.open("rb") as file:
            read = hashlib.file_digest(file, "sha256").hexdigest()
        return f"{source_revision(Seeing)}/{read}/{self.start}/{self.duration}/{self.policy}"

    def count(self, rate: Fraction) -> int:
        """How many frames the window has at `rate`."""
        return int(rate * Fraction(self.duration).limit_denominator(1000))

    @cached_property
    def _kept(self) -> dict[Fraction, tuple[Any, int]]:
        return {}

    def _sampled(self, rate: Fraction) -> tuple[Any, int]:
        """Frames, and how many of them hold the last one; from one decoding for all rates that will be asked for."""
        if rate not in self._kept:
            if not self.count(rate):
                raise ClipError("short", f"{self.path}: {self.duration:g} s have no frame at {float(rate):g} a second.")
            rates = [
                wanted
                for wanted in dict.fromkeys((rate, *self.rates))
                if self.count(wanted) and wanted not in self._kept
            ]
            policy = find_policy(self.policy)
            selects = [partial(policy.select, rate=wanted, count=self.count(wanted)) for wanted in rates]
            sampled = read_sampled_frames(
                self.path, selects, start=self.start, duration=self.duration, as_played=policy.looks_back
            )
            self._kept.update(zip(rates, sampled, strict=True))
        return self._kept[rate]

    def frames(self, rate: Fraction) -> tuple[Any, int]:
        """Frames `(N, H, W, 3)` uint8 at `rate` by the networks' rule, and how many of them hold the last one.

        Raises:
            ClipError: `short_video` where the video ends more than 0.25 s before the clip; `short` where the clip has
                no frame at this rate.
        """
        frames, held = self._sampled(rate)
        if held > max(1, TOLERANCE * rate):
            missing = float(held / rate)
            raise ClipError(
                "short_video", f"{self.path} ends {missing:.2f} s before its clip of {self.duration:g} s does."
            )
        return frames, held

    def held(self, rate: Fraction) -> int:
        """How many frames at `rate` hold the last one, however many."""
        return self._sampled(rate)[1]


class Net:
    """A frozen network that is loaded when it is first needed and not before.

    Attributes:
        device: where inputs of `module` belong.
        by_row: calls that worker processes may ask of it (see `Network`).
        alone: whether what one asks never shares a batch with what others ask.
    """

    def __init__(
        self,
        name: str,
        load: Loader | str,
        weights: Located,
        device: str,
        dtype: Dtype = "float32",
        by_row: tuple[str, ...] = (),
        *,
        alone: bool = False,
    ):
        self.name = name
        self.load = load
        self.weights = weights
        self.device = device
        self.dtype = dtype
        self.by_row = by_row
        self.alone = alone

    @property
    def computed_on(self) -> str:
        """`cpu` or `cuda`: a graphics card rounds otherwise, and what one said is not shown as the other's."""
        return kind_of(self.device)

    @cached_property
    def module(self) -> Any:
        """The network with its weights, on its device."""
        import torch

        from visaudio_bench.models.backbones.layers import multiply_float32

        # All networks of a run have one kind of numbers, and a process works for one run at a time.
        multiply_float32("tf32" if self.dtype == "tf32" else "ieee")
        load = partial(load_class, self.load) if isinstance(self.load, str) else self.load
        return load(self.weights.path, self.device, torch.bfloat16 if self.dtype == "bfloat16" else torch.float32)

    def on(self, device: str) -> Net:
        """The same network, not loaded, on another device."""
        return Net(self.name, self.load, self.weights, device, self.dtype, self.by_row, alone=self.alone)

    def answer(self, what: str, compute: Callable[[], Mapping[str, Any]], *of: Hearing | Seeing | str) -> Arrays:
        """The arrays that `compute` gives by the help of this network, from the cache where they are there.

        Kept under the weights, the type of numbers, the kind of device, the source of `compute` and of all that it
        imports, and what is given here.

        Args:
            what: a name for the answer; two answers of one family about the same sound need two names.
            compute: gives arrays by name; called without gradients.
            of: all that it depends on: sounds, pictures, and whatever else it uses, in words.
        """
        import torch

        made_by = [self.weights.sha256, self.dtype, self.computed_on, what]
        digests = [part if isinstance(part, str) else part.digest for part in of]
        with torch.inference_mode():
            return cached(compute, [*made_by, *digests], self.load, load_class)


class DistantNet(Net):
    """A network that another process has loaded and runs (`models.serving`); its answers are kept under the same keys.

    Args:
        net: the network.
        served: its name there.
        address: of the process.
    """

    def __init__(self, net: Net, served: str, address: str):
        super().__init__(net.name, root_name(net.load), net.weights, "cpu", net.dtype, net.by_row)
        self._computed_on = net.computed_on
        self._served, self._address = served, address

    @property
    def computed_on(self) -> str:
        """The kind of device that the other process computes on."""
        return self._computed_on

    @cached_property
    def module(self) -> Any:
        """What asks the network there."""
        from visaudio_bench.models.serving import Distant

        return Distant(self._address, self._served, self.by_row)


def load_class(place: str, path: Path, device: str, dtype: torch.dtype) -> Any:
    """Make a network from its class alone.

    Args:
        place: of the class, `module:class`; it is imported now and not before.
        path: of its weights.
        device: where it computes.
        dtype: of its weights.

    Returns:
        The network, frozen.
    """
    from visaudio_bench.models.weight_loading import load

    return load(resolve_name(place), path, device=device, dtype=dtype)


def kind_of(device: torch.device | str) -> str:
    """`cpu` or `cuda`, whichever card it is."""
    return str(device).partition(":")[0]
