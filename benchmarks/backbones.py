"""CPU seconds that the frozen networks take for one 8 s clip, on one thread, beside those of av-benchmark.

    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/backbones.py                  every stage, float32
    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/backbones.py vggish panns     some stages
    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/backbones.py --bfloat16       also bfloat16, and how far it is off

One core of an AMD Zen 5 server, torch 2.11, nothing else running; the reference's figures are of the same machine type
with its own code on torch 2.7. The last columns are bfloat16 (measured with the second core busy): seconds, and the
largest difference of a feature from float32 as a share of the largest feature (random weights).

| stage | seconds | reference | faster | bfloat16 | off by |
|---|---|---|---|---|---|
| scaling and cropping 200 frames | 0.10 | 0.23 | 2.4 | | |
| VGGish | 0.11 | 0.13 | 1.2 | 0.07 | 0.4 % |
| Cnn14 | 0.20 | 0.36 | 1.8 | 0.19 | 0.5 % |
| Synchformer, audio | 1.5 | 3.8 | 2.5 | 1.0 | 1.1 % |
| Synchformer, video | 48 | 98 | 2.1 | 33 | 0.9 % |
| Synchformer, both comparisons | 0.09 | 0.20 | 2.2 | 0.06 | 0.7 % |
| ImageBind, audio | 0.58 | 1.4 | 2.4 | 0.43 | 0.9 % |
| ImageBind, square video | 4.7 | 30 | 6.4 | 3.2 | 0.7 % |
| ImageBind, wide video | 14.6 | 30 | 2.1 | | |

The whole, through `bench score` with all four networks, mix, left and right, five systems: 81 CPU s a clip of wide
video, where the reference's stages add up to 164 (2.0 times); 5.4 GB of memory.

Where it comes from: matrix products through oneDNN instead of the default library (`models.backbones.layers`), the
three equal crops of square video computed once, deep convolutions as matrix products, nothing computed for tokens
that nobody looks at. Weights are random here: they change nothing about the time.
"""

from __future__ import annotations

import argparse
import copy
import resource
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor, nn

from visaudio_bench.models.backbones import imagebind, panns, synchformer, vggish, waveform
from visaudio_bench.models.weight_loading import narrow
from visaudio_bench.suites.frame_selection import fps_filter

Stage = Callable[[nn.Module], Tensor]

# CPU seconds of av-benchmark for one clip (one sound for the audio stages)
REFERENCE = {
    "vggish": 0.13,
    "panns": 0.355,
    "synchformer audio": 3.75,
    "synchformer video": 98.0,
    "compare": 0.2,
    "imagebind audio": 1.4,
    "imagebind video, square": 30.0,
    "imagebind video, wide": 30.0,
    "resize": 0.23,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", help=f"of: {', '.join(REFERENCE)}")
    parser.add_argument("--bfloat16", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    wanted = arguments.stages or list(REFERENCE)
    print(f"{'stage':<26}{'seconds':>9}{'reference':>11}{'faster':>8}{'memory MB':>11}")
    for build, stages in groups():
        chosen = {name: stage for name, stage in stages.items() if name in wanted}
        if not chosen:
            continue
        network = build().eval()
        for name, stage in chosen.items():
            exact = report(name, stage, network)
            if arguments.bfloat16 and name != "resize":
                near = report(f"{name} bf16", stage, narrow(copy.deepcopy(network), torch.bfloat16), REFERENCE[name])
                print(
                    f"{'':<26}largest difference {float((near - exact).abs().max() / exact.abs().max()):.2g} of maximum"
                )
        del network


def report(name: str, stage: Stage, network: nn.Module, reference: float | None = None) -> Tensor:
    reference = reference or REFERENCE[name]
    times = []
    while len(times) < 3 and sum(times) < 20:
        start = time.process_time()
        result = stage(network)
        times.append(time.process_time() - start)
    best = min(times)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{name:<26}{best:>9.3f}{reference:>11.2f}{reference / best:>8.2f}{memory:>11.0f}", flush=True)
    return result


def groups() -> list[tuple[Callable[[], nn.Module], dict[str, Stage]]]:
    """Networks with the stages that they run; every stage takes the network and works on one clip."""
    generator = np.random.default_rng(0)
    stereo = torch.from_numpy(generator.normal(0, 0.1, (2, 8 * 44100)).astype(np.float32))
    sound = waveform.to_16k(stereo.mean(0, keepdim=True), 44100, 8.0, remove_mean=True)
    square = generator.integers(0, 256, (205, 512, 512, 3), dtype=np.uint8)
    times = [Fraction(index, 25) for index in range(len(square))]
    seldom = square[list(fps_filter(times, imagebind.FRAME_RATE, imagebind.FRAMES).indices)]
    often = square[list(fps_filter(times, synchformer.FRAME_RATE, 200).indices)]

    def heard() -> Tensor:
        return waveform.to_16k(stereo.mean(0, keepdim=True), 44100, 8.0, remove_mean=True)

    return [
        (nn.Identity, {"resize": lambda _: synchformer.prepare_frames(often).float()}),
        (vggish.Vggish, {"vggish": lambda net: net.embed(heard())}),
        (panns.Cnn14, {"panns": lambda net: net(heard()).features}),
        (
            synchformer.Synchformer,
            {
                "compare": lambda net: net.offset_logits(torch.ones(1, 24, 8, 768), torch.ones(1, 24, 6, 768)),
                "synchformer audio": lambda net: net.encode_audio(synchformer.segment_log_mel(sound)),
                "synchformer video": lambda net: net.encode_video(synchformer.prepare_frames(often)[None]),
            },
        ),
        (
            imagebind.ImageBind,
            {
                "imagebind audio": lambda net: net.embed_audio(imagebind.audio_clips(stereo, 44100)[None]),
                "imagebind video, square": lambda net: net.embed_video([imagebind.video_crops(seldom)]),
                "imagebind video, wide": lambda net: net.embed_video([imagebind.video_crops(seldom[:, :288])]),
            },
        ),
    ]


if __name__ == "__main__":
    main()
