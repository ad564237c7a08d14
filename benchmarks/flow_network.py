"""Time and memory of the flow network of ViSAudio (or MMAudio), full size, for clips of 8 s.

    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/flow_network.py          one evaluation on the CPU
    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/flow_network.py --mono   of MMAudio
    PYTHONPATH=. python benchmarks/flow_network.py --device cuda              whole clips on a graphics card

One core of an AMD Zen 5 server (torch 2.11, the second core busy), `large_44k_v2`, random weights, one clip, CPU
seconds. `off by` is the largest difference from float32 as a share of the largest value. 1.51 G weights are 6.0 GB.

| ViSAudio | CPU s | GFLOP | GFLOP/s | peak GB | off by |
|---|---|---|---|---|---|
| conditions, once a clip | 2.9 | 281 | 97 | 7.1 | |
| one evaluation, float32 | 6.3 | 1007 | 161 | 7.1 | |
| one evaluation, bfloat16 autocast | 4.5 | 1007 | 224 | 7.1 | 2.5 % |
| one evaluation, bfloat16 weights | 3.8 | 1007 | 266 | 7.1 | 2.6 % |

A clip takes 50 evaluations (25 steps with guidance) and conditions twice: 320 CPU seconds in float32, 50.9 TFLOP.
At the 790 TFLOP/s of an H200 in bfloat16 that would be 64 ms. Nothing has been measured on a graphics card yet.

The counts are lower than those of the network as it is written (1340 GFLOP with its conditions): both ears share the
first convolution of Algorithm 1 (30) and the modulations of the joint blocks (23).
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.config import CONFIGS, Config, lengths
from visaudio_bench.models.visaudio.network import FlowNetwork, build
from visaudio_bench.models.visaudio.sampler import sample
from visaudio_bench.models.visaudio.settings import STEPS
from visaudio_bench.models.weight_loading import narrow

SECONDS = 8.0
LENGTHS = lengths(SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="large_44k_v2", choices=CONFIGS)
    parser.add_argument("--mono", action="store_true", help="MMAudio instead of ViSAudio")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32], help="clips at once, on the card")
    parser.add_argument("--rate", type=float, default=790.0, help="TFLOP/s of the card in bfloat16 (790: H200)")
    arguments = parser.parse_args()
    config = CONFIGS[arguments.config]
    config = config.mono if arguments.mono else config
    if arguments.device == "cpu":
        torch.set_num_threads(1)
        on_processor(config)
    elif not torch.cuda.is_available():
        print("There is no graphics card here, or this torch does not see it: nothing was measured.")
    else:
        on_card(config, arguments.batches, arguments.rate)


@torch.no_grad()
def on_processor(config: Config) -> None:
    """One evaluation in float32, in bfloat16 autocast, and with bfloat16 weights; what each half of the work takes."""
    projecting, stepping = flops(config)
    network, conditions, x = prepare(config, "cpu")
    print(f"weights: {sum(p.numel() for p in network.parameters()):,}, {memory():.2f} GB with the weights filled")
    print(f"{'':<30}{'CPU s':>8}{'GFLOP':>9}{'GFLOP/s':>9}{'peak GB':>9}{'off by':>9}")
    t = torch.full((1,), 0.3)

    def line(name: str, work: Callable[[], Tensor], cost: float, exact: Tensor | None = None) -> Tensor:
        start = time.process_time()
        result = work()
        seconds = time.process_time() - start
        difference = "" if exact is None else f"{float((result - exact).abs().max() / exact.abs().max()):.2%}"
        print(f"{name:<30}{seconds:>8.2f}{cost:>9.1f}{cost / seconds:>9.1f}{memory():>9.2f}{difference:>9}", flush=True)
        return result

    projected = network.project(conditions, LENGTHS.latent)
    line("conditions, once a clip", lambda: network.project(conditions, LENGTHS.latent).pooled, projecting)
    exact = line("evaluation, float32", lambda: network.velocity(x, t, projected), stepping)
    with torch.autocast("cpu", torch.bfloat16):
        line("evaluation, bfloat16 autocast", lambda: network.velocity(x, t, projected), stepping, exact)
    narrow(network, torch.bfloat16)
    projected = network.project(conditions, LENGTHS.latent)
    line("evaluation, bfloat16 weights", lambda: network.velocity(x, t, projected), stepping, exact)


@torch.no_grad()
def on_card(config: Config, batches: list[int], rate: float) -> None:
    """Whole clips: conditions, 25 steps with guidance; bfloat16 autocast and weights, eager and compiled."""
    projecting, stepping = flops(config)
    clip = 2 * (STEPS * stepping + projecting) / 1e3
    floor = clip / rate
    print(f"{torch.cuda.get_device_name()}: {clip:.1f} TFLOP a clip, {1e3 * floor:.0f} ms at {rate:.0f} TFLOP/s")
    print(f"{'':<34}{'batch':>6}{'ms a clip':>11}{'of the rate':>12}{'peak GB':>9}")
    for weights in ("bfloat16 autocast", "bfloat16 weights"):
        network, conditions, x = prepare(config, "cuda")
        if weights == "bfloat16 weights":
            narrow(network, torch.bfloat16)
        for way in ("eager", "compiled"):
            if way == "compiled":
                network.compile_blocks()
            for batch in batches:
                torch.cuda.reset_peak_memory_stats()
                seconds = timed(network, conditions.expand(batch), x.expand(batch, *x.shape[1:]), weights) / batch
                peak = torch.cuda.max_memory_allocated() / 1e9
                print(
                    f"{weights + ', ' + way:<34}{batch:>6}{1e3 * seconds:>11.1f}{floor / seconds:>12.0%}{peak:>9.1f}",
                    flush=True,
                )
        del network


def timed(network: FlowNetwork, conditions: Conditions, noise: Tensor, weights: str) -> float:
    """Seconds of one batch of clips, the best of three."""
    found = []
    for _ in range(4):  # the first warms up and compiles
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16, enabled=weights == "bfloat16 autocast"):
            sample(network, conditions, noise)
        torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return min(found[1:])


@torch.no_grad()
def prepare(config: Config, device: str) -> tuple[FlowNetwork, Conditions, Tensor]:
    """A frozen network with random weights, allocated once; conditions and noise of one clip."""
    with torch.device("meta"):
        network = build(config)
    network = network.to_empty(device=device).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.normal_(0, 1 / math.sqrt(max(1, parameter[0].numel())) if parameter.ndim > 1 else 0.02)
    for name, parameter in network.named_parameters():
        if name.endswith("_norm.weight"):
            parameter.fill_(1)
    nothing = network.null(1, LENGTHS)
    conditions = Conditions(*(torch.randn_like(part) for part in tensors(nothing)))
    if conditions.spatial is not None:
        # features lie in the store in 16 bits
        conditions = Conditions(conditions.clip, conditions.sync, conditions.text, conditions.spatial.bfloat16())
    return network, conditions, torch.randn(network.latent_shape(1, LENGTHS), device=device)


def tensors(conditions: Conditions) -> Iterator[Tensor]:
    for part in (conditions.clip, conditions.sync, conditions.text, conditions.spatial):
        if part is not None:
            yield part


@torch.enable_grad()  # the counter follows the graph
def flops(config: Config) -> tuple[float, float]:
    """GFLOP of the conditions of one clip, and of one evaluation."""
    with torch.device("meta"):
        network = build(config)
        with FlopCounterMode(display=False) as counter:
            projected = network.project(network.null(1, LENGTHS), LENGTHS.latent)
        projecting = counter.get_total_flops()
        with FlopCounterMode(display=False) as counter:
            network.velocity(torch.zeros(network.latent_shape(1, LENGTHS)), torch.zeros(1), projected)
    return projecting / 1e9, counter.get_total_flops() / 1e9


def memory() -> float:
    """The most memory that this process had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
