"""Who asks families with networks, and where: workers prepare clips, and one process a card runs the networks.

A worker reads, decodes, resamples and hashes a clip's sounds and pictures, makes what the networks are given, asks for
what the cache does not have, keeps the answers there, and makes quantities of them. Each has one clip in hand, so that
memory does not grow with the suite; what comes back are quantities and features. Results come in the order of the
clips whatever finishes first, and are the same with one worker, who does everything in this process. A worker of a
cluster, who shares no memory with that process, runs the networks itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from pickle import PicklingError, dumps
from typing import NamedTuple

from visaudio_bench.bench.evaluation.family import Family
from visaudio_bench.bench.evaluation.family_answers import without
from visaudio_bench.bench.evaluation.frozen_networks import DistantNet, Net
from visaudio_bench.bench.evaluation.network_scores import Nets, NetworkAnswers, listen
from visaudio_bench.errors import ClipError
from visaudio_bench.metrics.protocol import Protocol
from visaudio_bench.pool import Needs, Outcome, is_elsewhere, map_unordered
from visaudio_bench.suites import Clip

_AT_ONCE = 8  # sounds of a clip that a worker asks about in one message


class ClipSounds(NamedTuple):
    """A clip with the file of each system's sound; `number` is its place among all."""

    number: int
    clip: Clip
    sounds: Mapping[str, Path]


class _Asked(NamedTuple):
    """What every clip is asked: families, their networks, and the processes that run these."""

    families: tuple[Family, ...]
    nets: Mapping[str, Mapping[str, Net]]
    protocol: Protocol
    addresses: tuple[str, ...]


def answers_of(
    clips: Sequence[ClipSounds], families: Sequence[Family], nets: Nets, protocol: Protocol, workers: int
) -> Iterator[list[NetworkAnswers]]:
    """Ask families about every sound of every clip.

    Args:
        clips: with their sounds.
        families: who is asked.
        nets: the networks of each, on the device that was asked for; `cuda` means every card that can be seen.
        protocol: of the run.
        workers: processes that prepare; with one, everything happens in this process.

    Returns:
        An iterator over the answers of each clip, in order: of the reference (under `@reference`), and of every system.

    Raises:
        BenchError: a network cannot be loaded, or the process that runs it has ended.
    """
    far = tuple(family for family in families if _is_asked_far(family, workers) and _is_portable(family))
    near = [family for family in families if family not in far]
    for task, distant in _answered_far(clips, far, nets, protocol, workers):
        yield _merged(distant, listen(task.clip, task.sounds, near, nets, protocol) if near else ())


def _is_asked_far(family: Family, workers: int) -> bool:
    """Whether workers ask it: those of a cluster have networks of their own, others share those of a process."""
    return is_elsewhere() or (workers > 1 and bool(family.by_row))


def _is_portable(family: Family) -> bool:
    """Whether it can be sent to another process, where plug-ins of the same name are imported anew."""
    with suppress(PicklingError, AttributeError, TypeError):
        return bool(dumps(family))
    return False


def _answered_far(
    clips: Sequence[ClipSounds], families: tuple[Family, ...], nets: Nets, protocol: Protocol, workers: int
) -> Iterator[tuple[ClipSounds, list[NetworkAnswers]]]:
    """What families say that are asked in workers, in the order of the clips; nothing where there are none."""
    from visaudio_bench.models import serving

    if families and is_elsewhere():
        yield from _answered_elsewhere(clips, families, nets, protocol, workers)
        return
    if not families or len(clips) < 2 or not serving.POSSIBLE:
        for task in clips:
            yield task, list(listen(task.clip, task.sounds, families, nets, protocol)) if families else []
        return
    own = {family.name: nets[family.name] for family in families}
    served = {_name(family, name): net for family, several in own.items() for name, net in several.items()}
    with serving.on_every_device(served) as addresses:
        work = partial(_listen_far, _Asked(families, _described(families, nets), protocol, addresses))
        for outcome in _in_order(map_unordered(work, clips, workers)):
            error = outcome.clip_error()
            task = outcome.item
            yield task, outcome.result() if error is None else _lost(task, families, protocol, error)


def _answered_elsewhere(
    clips: Sequence[ClipSounds], families: tuple[Family, ...], nets: Nets, protocol: Protocol, workers: int
) -> Iterator[tuple[ClipSounds, list[NetworkAnswers]]]:
    """As `_answered_far`, by workers of a cluster, each of which loads the networks once."""
    work = partial(_listen_alone, _Asked(families, _described(families, nets), protocol, ()))
    on_card = any(net.computed_on == "cuda" for family in families for net in nets[family.name].values())
    for outcome in _in_order(map_unordered(work, clips, workers, Needs(gpus=int(on_card)))):
        error = outcome.clip_error()
        task = outcome.item
        yield task, outcome.result() if error is None else _lost(task, families, protocol, error)


def _described(families: tuple[Family, ...], nets: Nets) -> Nets:
    """The networks of families, none of them loaded, which is how they are sent to another process."""
    return {f.name: {name: net.on(net.device) for name, net in nets[f.name].items()} for f in families}


def _listen_alone(asked: _Asked, task: ClipSounds) -> list[NetworkAnswers]:
    """In a worker of a cluster: everything about one clip, with networks that this process has."""
    return list(listen(task.clip, task.sounds, asked.families, asked.nets, asked.protocol))


def _name(family: str, net: str) -> str:
    return f"{family}/{net}"


def _listen_far(asked: _Asked, task: ClipSounds) -> list[NetworkAnswers]:
    """In a worker process: everything about one clip, with networks that another process runs."""
    address = asked.addresses[task.number % len(asked.addresses)]
    nets = {
        family: {name: DistantNet(net, _name(family, name), address) for name, net in several.items()}
        for family, several in asked.nets.items()
    }
    return list(listen(task.clip, task.sounds, asked.families, nets, asked.protocol, _AT_ONCE))


def _in_order(
    outcomes: Iterable[Outcome[ClipSounds, list[NetworkAnswers]]],
) -> Iterator[Outcome[ClipSounds, list[NetworkAnswers]]]:
    early: dict[int, Outcome[ClipSounds, list[NetworkAnswers]]] = {}
    wanted = 0
    for outcome in outcomes:
        early[outcome.item.number] = outcome
        while wanted in early:
            yield early.pop(wanted)
            wanted += 1


def _lost(task: ClipSounds, families: Sequence[Family], protocol: Protocol, error: ClipError) -> list[NetworkAnswers]:
    """The answers about a clip that ended its process: none, and why."""
    quantities = {key: q for family in families for key, q in without(family, protocol, error.reason).items()}
    return [
        NetworkAnswers(task.clip.id, system, quantities, {}, (error,) if number == 0 else ())
        for number, system in enumerate(task.sounds)
    ]


def _merged(distant: Iterable[NetworkAnswers], local: Iterable[NetworkAnswers]) -> list[NetworkAnswers]:
    """Answers about one clip from two places: of each sound once, and a problem that both met once."""
    merged: dict[str, NetworkAnswers] = {}
    for answers in (*distant, *local):
        other = merged.get(answers.system)
        if other is None:
            merged[answers.system] = answers
            continue
        known = {(problem.reason, problem.message) for problem in other.problems}
        more = tuple(p for p in answers.problems if (p.reason, p.message) not in known)
        merged[answers.system] = other._replace(
            quantities={**other.quantities, **answers.quantities},
            features={**other.features, **answers.features},
            problems=other.problems + more,
        )
    return list(merged.values())
