"""Stages of frozen networks: what each costs for a clip, as a share of what the processor's matrix products do.

Weights are random: they change nothing about the time. The reference of every network is a plain product of matrices
with as many operations, which says how near to the machine's limit it is; a graphics card is measured by
`benchmarks.graphics_card`.

Beside av-benchmark's own networks, CPU seconds of one idle core of an AMD Zen 5 server for one clip of 8 s (that
package is no dependency, so the figures stand here): VGGish 0.11 (theirs 0.13), Cnn14 0.20 (0.36), Synchformer's sound
1.5 (3.8), pictures 48 (98) and comparisons 0.09 (0.20), ImageBind's sound 0.58 (1.4) and square pictures 4.7 (30).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import Bench, Figure, fastest
from visaudio_bench.models.backbones import imagebind, panns, synchformer, vggish
from visaudio_bench.models.backbones.waveform import to_16k
from visaudio_bench.suites.frame_selection import fps_filter

PRODUCT = 1024  # rows and columns of the reference's matrices
SECONDS = 8.0


class Stage(NamedTuple):
    """What a network does for one clip: the call, and what it is given, prepared."""

    family: str
    what: str
    call: str
    inputs: Callable[[], tuple[Any, ...]]


def builders(*, full: bool) -> dict[str, Callable[[], nn.Module]]:
    """What makes the networks of the paper's tables, of full size or with few and narrow layers, by family."""
    if full:
        return {
            "vggish": vggish.Vggish,
            "panns": panns.Cnn14,
            "synchformer": synchformer.Synchformer,
            "imagebind": imagebind.ImageBind,
        }
    return {
        "vggish": partial(vggish.Vggish, (4, 8, 8, 8, 8, 8), hidden=16),
        "panns": partial(panns.Cnn14, (4, 4, 4, 4, 8, 2048)),
        "synchformer": partial(synchformer.Synchformer, width=64, depth=1, heads=2),
        "imagebind": partial(imagebind.ImageBind, audio=(32, 1, 2), vision=(32, 1, 2)),
    }


def material(pixels: int) -> tuple[Tensor, np.ndarray]:
    """A sound `(2, N)` at 44.1 kHz, and pictures `(T, H, W, 3)` at 25 a second, of 8 s."""
    draw = np.random.default_rng(0)
    sound = torch.from_numpy(draw.normal(0, 0.1, (2, round(SECONDS * 44100))).astype(np.float32))
    return sound, draw.integers(0, 256, (round(SECONDS * 25) + 5, pixels, pixels, 3), dtype=np.uint8)


def stages(pixels: int, width: int) -> tuple[Stage, ...]:
    """What the networks do for a clip; `width` is that of Synchformer's features."""
    sound, pictures = material(pixels)
    times = [Fraction(index, 25) for index in range(len(pictures))]
    mono = to_16k(sound.mean(0, keepdim=True), 44100, SECONDS, remove_mean=True)

    def seldom() -> list[Tensor]:
        chosen = fps_filter(times, imagebind.FRAME_RATE, imagebind.FRAMES).indices
        return [imagebind.video_crops(pictures[list(chosen)])]

    def often() -> Tensor:
        return synchformer.prepare_frames(pictures[list(fps_filter(times, synchformer.FRAME_RATE, 200).indices)])[None]

    return (
        Stage("vggish", "sound", "embed", lambda: (mono,)),
        Stage("panns", "sound", "__call__", lambda: (mono,)),
        Stage("synchformer", "sound", "encode_audio", lambda: (synchformer.segment_log_mel(mono),)),
        Stage("synchformer", "pictures", "encode_video", lambda: (often(),)),
        Stage(
            "synchformer",
            "comparison",
            "offset_logits",
            lambda: (torch.ones(1, 24, 8, width), torch.ones(1, 24, 6, width)),
        ),
        Stage("imagebind", "sound", "embed_audio", lambda: (imagebind.audio_clips(sound, 44100)[None],)),
        Stage("imagebind", "pictures", "embed_video", lambda: (seldom(),)),
    )


@torch.inference_mode()
def measured(bench: Bench) -> Iterator[Figure]:
    """Every call of every network, for one clip or one sound of 8 s in one view."""
    matrix = torch.randn(PRODUCT, PRODUCT)
    product = fastest(lambda: matrix @ matrix, bench.size.repeats)
    asked = stages(bench.size.pixels, 768 if bench.size.full else 64)
    for family, build in builders(full=bench.size.full).items():
        module = build().eval()
        size = sum(weight.nbytes for weight in module.state_dict().values())
        for stage in (one for one in asked if one.family == family):
            inputs = stage.inputs()
            call = partial(getattr(module, stage.call), *inputs)
            work, seconds = counted(call)
            if stage.what != "pictures":  # those take a minute, beside which counting is nothing
                seconds = fastest(call, bench.size.repeats)
            yield Figure(
                "network", f"{family} {stage.what}", f"{SECONDS:g} s", seconds,
                f"as many operations in products of {PRODUCT} x {PRODUCT} (torch)",
                product * work / (2 * PRODUCT**3) / seconds, {"GFLOP": work / 1e9, "weights MB": size / 1e6},
            )  # fmt: skip
        del module


def counted(call: Callable[[], Any]) -> tuple[float, float]:
    """Floating-point operations of a call, those of oneDNN's linear maps with them, and the CPU seconds it took."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.mkldnn._linear_pointwise: of_linear}) as counter:
        seconds = fastest(call, 1)
    return float(counter.get_total_flops()), seconds


def of_linear(x: Sequence[int], weight: Sequence[int], *others: Any, out_shape: Sequence[int], **more: Any) -> int:
    """Of `x @ weight.T`."""
    del others, out_shape, more
    return 2 * math.prod(x) * weight[0]
