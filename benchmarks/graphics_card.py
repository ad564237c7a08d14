"""What a graphics card does, in at most ten minutes: judging with all four networks, and the flow network of ViSAudio.

    PYTHONPATH=. python -m benchmarks.graphics_card                       on the card
    PYTHONPATH=. python -m benchmarks.graphics_card --device cpu --tiny   whether it works; its figures mean nothing

Clips a second of everything that `bench score` does with networks (reading, preparing, networks, keeping the answers),
with random weights of full size, for several numbers of workers, and how busy the card was meanwhile. Beside it, in the
same call, the same files through the same networks one clip after another in one process, which is the order in which
the reference implementation goes; its own code is not part of this.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

from benchmarks import flow_network
from benchmarks.feeding import FAMILIES, material, warm
from benchmarks.networks import builders
from visaudio_bench.bench.evaluation.family_registry import registry
from visaudio_bench.bench.evaluation.frozen_networks import Net
from visaudio_bench.bench.evaluation.network_pipeline import ClipSounds, answers_of
from visaudio_bench.files import CACHE_VARIABLE
from visaudio_bench.metrics.protocol import OURS
from visaudio_bench.models.visaudio.config import CONFIGS
from visaudio_bench.models.weight_loading import narrow
from visaudio_bench.models.weights import Located
from visaudio_bench.pool import available_cores, map_unordered

LOOKS = 0.05  # s between two looks at how busy the card is


def filled(family: str, path: Path, device: str, dtype: torch.dtype) -> nn.Module:
    """A network with random weights: `full` or `tiny`, as the path says."""
    torch.manual_seed(0)
    with torch.device(device):
        module = builders(full=path.name == "full")[family]()
    return narrow(module.eval().requires_grad_(False), dtype)


class Busy(threading.Thread):
    """Looks at a card until it is stopped; `share` is the part of the time in which it worked."""

    def __init__(self, device: str):
        super().__init__(daemon=True)
        self.device, self.seen, self.ended = device, [0.0], threading.Event()

    def run(self) -> None:
        """Look."""
        while self.device.startswith("cuda") and not self.ended.wait(LOOKS):
            self.seen.append(torch.cuda.utilization() / 100)

    @property
    def share(self) -> float:
        """The mean of what was seen."""
        return sum(self.seen) / len(self.seen)


def judged(clips: Sequence[ClipSounds], device: str, workers: int, size: str) -> tuple[float, float]:
    """Clips a second through the four networks, which are loaded before the clock starts; and how busy the card was."""
    families = [registry().get(name) for name in FAMILIES]
    nets = {
        family.name: {
            n.name: Net(n.name, partial(filled, family.name), Located(Path(size), n.name), device, by_row=n.by_row)
            for n in family.networks
        }
        for family in families
    }
    _ = [net.module for several in nets.values() for net in several.values()]
    watch = Busy(device)
    watch.start()
    began = time.perf_counter()
    for _ in answers_of(clips, families, nets, OURS, workers):
        pass
    took = time.perf_counter() - began
    watch.ended.set()
    watch.join()
    return len(clips) / took, watch.share


def judging(device: str, *, tiny: bool) -> dict[int, float]:
    """Print clips a second by workers; returns them. The first row is one process that does one after the other."""
    size, cores = ("tiny", 2) if tiny else ("full", available_cores())
    counts = sorted({1, 2, *(() if tiny else (4, 8, cores))})
    rates: dict[int, float] = {}
    print("| workers | clips a second | times one after the other | card busy |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        clips = material(Path(folder), 2 if tiny else 48, 64 if tiny else 256, 1 if tiny else 5)
        for workers in counts:
            os.environ[CACHE_VARIABLE] = f"{folder}/cache-{workers}"
            some = clips if workers > 2 or tiny else clips[: 8 * workers]
            if workers > 1:
                list(map_unordered(warm, range(4 * workers), workers))
            rates[workers], busy = judged(some, device, workers, size)
            shown = f"{busy:.0%}" if device.startswith("cuda") else ""
            print(f"| {workers} | {rates[workers]:.2f} | {rates[workers] / rates[1]:.1f} | {shown} |", flush=True)
    return rates


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        print("There is no graphics card here, or this torch does not see it: nothing was measured.")
        return
    judging(asked.device, tiny=asked.tiny)
    if asked.device.startswith("cuda"):
        flow_network.on_card(CONFIGS["large_44k_v2"], [1, 8, 32], 790.0)


if __name__ == "__main__":
    main()
