"""CPU seconds that the frozen networks take for one 8 s clip, on one thread, beside those of av-benchmark.

    python benchmarks/backbones.py                       every stage, float32
    python benchmarks/backbones.py vggish panns          some stages
    python benchmarks/backbones.py --bfloat16            also bfloat16, and how far its features are off

Weights are random: they change nothing about the time. The reference's figures were measured with its own code on one
core of an AMD Zen 5 server (torch 2.7.1); on another machine compare ratios between stages only.
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

from models.backbones import imagebind, panns, synchformer, vggish, waveform
from models.backbones.frames import select_frames

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
                near = report(f"{name} bf16", stage, copy.deepcopy(network).to(torch.bfloat16), REFERENCE[name])
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
    seldom = square[list(select_frames(times, imagebind.FRAME_RATE, imagebind.FRAMES).indices)]
    often = square[list(select_frames(times, synchformer.FRAME_RATE, 200).indices)]

    def heard() -> Tensor:
        return waveform.to_16k(stereo.mean(0, keepdim=True), 44100, 8.0, remove_mean=True)

    return [
        (nn.Identity, {"resize": lambda _: synchformer.prepare_frames(often).float()}),
        (vggish.Vggish, {"vggish": lambda net: net.embed(heard())}),
        (panns.Cnn14, {"panns": lambda net: net(heard().to(net.fc1.weight.dtype)).features.float()}),
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
