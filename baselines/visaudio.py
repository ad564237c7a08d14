"""Our implementation of ViSAudio, and MMAudio in it, as systems.

`visaudio-tiny` is the small model that is part of this package, trained on simulated rooms.
`visaudio:FILE` and `visaudio-dual:FILE` (without the spacetime module) run a checkpoint of `bench train visaudio`, with
the guidance that it was validated with; `visaudio:NAME=FILE` names its row. `mmaudio-dup` is the paper's "Pretrained"
row: MMAudio's mono sound in both ears, from its public file or from a checkpoint of a mono network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from visaudio_bench.baselines.checkpoint_argument import checkpoint_of
from visaudio_bench.baselines.system import Generation, Input, System, SystemCard
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.files import digest
from visaudio_bench.guard import one_clip
from visaudio_bench.models import weights
from visaudio_bench.models.formats import locate
from visaudio_bench.models.visaudio.checkpoint_notes import config_in, notes_of
from visaudio_bench.models.visaudio.config import BUILT_IN, PUBLISHED
from visaudio_bench.models.visaudio.parts import kind_of, open_parts, require_same_parts, required_weights
from visaudio_bench.models.visaudio.settings import GUIDANCE, STEPS, WINDOW, Settings
from visaudio_bench.models.visaudio.tiny.shipped import shipped_checkpoint
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import probe, round_to_16_bit, within_full_scale, write_audio

if TYPE_CHECKING:  # torch comes with the first file that is opened, not with the list of systems
    from visaudio_bench.models.visaudio.pipeline import Pipeline, Sounded


class Variant(NamedTuple):
    """One of the rows that this code can make."""

    name: str
    title: str
    summary: str
    dual: bool
    spacetime: bool


VISAUDIO = Variant("visaudio", "ViSAudio (open)", "two branches and the spacetime module", True, True)
DUAL = Variant("visaudio-dual", "ViSAudio (open), dual only", "two branches without the spacetime module", True, False)
MMAUDIO_DUP = Variant("mmaudio-dup", "MMAudio, duplicated", "MMAudio's mono sound in both ears", False, False)
_VARIANTS = (VISAUDIO, DUAL, MMAUDIO_DUP)
MMAUDIO_WEIGHTS = "mmaudio-large-44k-v2"
INPUTS: tuple[Input, ...] = ("video", "caption")


class FlowSystem(System):
    """A flow network with the parts that it was trained with."""

    def __init__(self, variant: Variant, path: Path, *, name: str | None = None, settings: Settings | None = None):
        self.variant = variant
        self.path = path
        self.name = name
        self.notes = _notes_of(path)
        self.taken = ""  # what was unwrapped to get at the weights, once they are open
        _require_variant(variant, self.notes, path)
        self.kind = kind_of(self.notes)
        small = self.kind != PUBLISHED
        self.settings = settings or _settings(self.notes, small=small)
        # With built-in parts it is another model than the published one, and is never shown under its name.
        self.card = SystemCard(
            name=name or variant.name + ("-tiny" if small else ""),
            title=name or variant.title + (", tiny, built-in conditioners" if small else ""),
            summary=f"{variant.summary}; weights of {path.name}",
            inputs=INPUTS,
            revision=self._revision(),
            paper="arXiv 2512.03036" if variant is not MMAUDIO_DUP else "arXiv 2412.15322",
            weights_licence="of the file" if self.notes else "CC-BY-NC-4.0",
            may_be_mono=not variant.dual,
        )

    def with_settings(self, **changes: Any) -> FlowSystem:
        """The same system with other `Settings`."""
        return FlowSystem(self.variant, self.path, name=self.name, settings=replace(self.settings, **changes))

    def _revision(self) -> str:
        """Everything but the clip that a sound depends on: code, weights, settings."""
        if self.unavailable:
            return "missing"
        chosen = {key: value for key, value in asdict(self.settings).items() if key not in {"batch", "compiled"}}
        return digest([source_revision(__name__), self.sha256, chosen])[:24]

    @property
    def unavailable(self) -> str:
        """Which weight files are not here, and how to get them."""
        files = ([] if self.path.exists() else [MMAUDIO_WEIGHTS]) + list(
            required_weights(self.kind, spatial=self.variant.spacetime)
        )
        absent = weights.missing(files)
        if not absent:
            return ""
        shown = ", ".join(f"{wanted.name} {wanted.size} {wanted.licence}" for wanted in absent)
        names = " ".join(wanted.name for wanted in absent)
        return f"{self.variant.title} needs weights that are not here ({shown}). Get them: bench weights fetch {names}"

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the weight file, or of its shards."""
        return weights.sha256(self.path)

    def examine(self) -> None:
        """As `System.examine`: every key and shape of its weights, and the parts that they were trained with."""
        from visaudio_bench.models.visaudio.checkpoints import filled
        from visaudio_bench.models.weight_loading import open_weights

        network = filled(open_weights(self.path), self.path)
        parts = open_parts(self.kind, spatial=network.config.spacetime, later=True)
        require_same_parts(parts, self.notes, str(self.path))

    def pipeline(self, device: str) -> Pipeline:
        """The network and its parts on a device.

        Raises:
            BenchError: the file holds another network, or a part's weights are not here.
        """
        from visaudio_bench.models.visaudio.checkpoints import network_of
        from visaudio_bench.models.visaudio.pipeline import Pipeline
        from visaudio_bench.models.weight_loading import open_weights

        opened = open_weights(self.path)
        network = network_of(opened, self.path, device=device)
        self.taken = opened.taken
        parts = open_parts(self.kind, device, spatial=network.config.spacetime)
        require_same_parts(parts, self.notes, str(self.path))
        return Pipeline(network, parts.conditioners, parts.codec, settings=self.settings, device=device)

    def generate(
        self, clips: Sequence[Clip], out: Path, *, only: Collection[str], device: str = "cpu", seed: int = 0
    ) -> Iterator[Generation]:
        """As `System.generate`; clips come in the order in which their batches are complete."""
        wanted = [clip for clip in clips if clip.id in only]
        if not wanted:
            return
        # With one thread a small network's sound is the same on a laptop and in a worker, and not slower.
        with one_thread() if self.kind == BUILT_IN else nullcontext():
            yield from self._generated(wanted, out, device, seed)

    def _generated(self, wanted: Sequence[Clip], out: Path, device: str, seed: int) -> Iterator[Generation]:
        from visaudio_bench.models.visaudio.pipeline import Request

        pipeline = self.pipeline(device)
        how = self._provenance(pipeline)
        requests = [Request(clip.id, clip.video, clip.caption, clip.start, _duration(clip)) for clip in wanted]
        for sounded in pipeline.generate(requests, seed):
            yield _kept(sounded, out, how, rounded=self.kind == BUILT_IN)

    def shared_by_processes(self, device: str) -> bool:
        """As `System.shared_by_processes`: with built-in parts, clip by clip."""
        return self.kind == BUILT_IN and self.settings.batch == 1 and device == "cpu"

    @property
    def by_card(self) -> bool:
        """As `System.by_card`."""
        return True

    def sources(self, clip: Clip, clips: Sequence[Clip]) -> tuple[Path, ...]:
        """Its video; the reference is not listened to."""
        del clips
        return (clip.video,) if clip.video else ()

    def _provenance(self, pipeline: Pipeline) -> dict[str, Any]:
        settings = {**asdict(self.settings), "precision": pipeline.precision}
        return {
            "weights": {"file": self.path.name, "sha256": self.sha256} | ({"taken": self.taken} if self.taken else {}),
            "network": pipeline.network.config.to_dict(),
            "conditioners": dict(pipeline.conditioners.identity),
            "codec": dict(pipeline.codec.identity),
            "settings": settings,
        }


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes in one thread inside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _notes_of(path: Path) -> Mapping[str, str]:
    if not path.exists():
        return {}
    return notes_of(path)


def _settings(notes: Mapping[str, str], *, small: bool) -> Settings:
    """Those that the checkpoint was trained and validated with. Small networks make each clip by itself.

    So a clip's sound is the same to the last bit whatever else is made with it, and batches would not be faster.
    """
    guidance, steps = float(notes.get("guidance", GUIDANCE)), int(notes.get("sampling_steps", STEPS))
    made = Settings(steps=steps, guidance=guidance, window=float(notes.get("duration", WINDOW)))
    return replace(made, batch=1) if small else made


def _kept(sounded: Sounded, out: Path, how: Mapping[str, Any], *, rounded: bool) -> Generation:
    """Write what came of a request; a peak beyond full scale is turned down, both ears alike, as its record says."""
    name = sounded.request.id
    path = out / f"{name}.wav"
    try:
        with one_clip():
            if sounded.error is not None:
                raise sounded.error
            assert sounded.sound is not None  # one or the other
            samples, gain = within_full_scale(sounded.sound)
            write_audio(path, round_to_16_bit(samples) if rounded else samples, SAMPLE_RATE)
    except ClipError as error:
        return Generation.failed(name, sounded.seconds, error)
    own = {"caption": sounded.request.caption or "", "duration": sounded.request.duration, "gain": gain}
    return Generation(name, path, sounded.seconds, provenance={**how, **own})


def _duration(clip: Clip) -> float:
    """The clip's length; a clip without one is as long as its pictures, down to a hundredth of a second.

    A video that cannot be read has no length here; the pipeline says why.
    """
    if clip.duration is not None:
        return clip.duration
    try:
        with one_clip():
            shown = probe(clip.video).picture if clip.video else None
    except ClipError:
        shown = None
    return int(((shown or 0.0) - clip.start) * 100) / 100


def _require_variant(variant: Variant, notes: Mapping[str, str], path: Path) -> None:
    """Refuse a file of another row: the table would say something else than what was run.

    A file that is not ours is opened before anything is said of it; MMAudio's own is then only met as what it is.
    """
    if notes:
        config = config_in(notes)
        held = next(known for known in _VARIANTS if (known.dual, known.spacetime) == (config.dual, config.spacetime))
    else:
        if path.exists() and (variant is not MMAUDIO_DUP or path != weights.path_of(MMAUDIO_WEIGHTS)):
            from visaudio_bench.models.visaudio.checkpoints import recognise
            from visaudio_bench.models.weight_loading import open_weights

            recognise(open_weights(path).state, str(path))
        held = MMAUDIO_DUP
    if held != variant:
        hint = "" if held.dual else " To train from it: bench train visaudio --from FILE"
        raise UsageError(
            f"{path} holds the network of {held.name} ({held.summary}), not of {variant.name}. "
            f"Write: --system {held.name}:{path}.{hint}"
        )


def open_variant(variant: Variant, argument: str | None) -> FlowSystem:
    """Open the system behind `NAME:FILE` or `NAME:ROW=FILE`.

    Args:
        variant: the kind of network.
        argument: what stands behind `NAME:`, None for the published weights.

    Returns:
        The system, called ROW where that is given; its network is not loaded yet.

    Raises:
        UsageError: no file is given where none is published, it is not there, or it belongs to another system.
    """
    if not argument and variant is MMAUDIO_DUP:
        return FlowSystem(variant, weights.path_of(MMAUDIO_WEIGHTS))
    row, path = checkpoint_of(
        variant.name,
        argument,
        "visaudio",
        summary=f"{variant.title}: {variant.summary}",
        inputs=INPUTS,
        folders=True,
        ours="visaudio-tiny" if variant is VISAUDIO else "",
    )
    files = locate(path)
    return FlowSystem(variant, files[0] if len(files) == 1 else path, name=row)


def open_tiny(argument: str | None = None) -> FlowSystem:
    """`visaudio-tiny`.

    Raises:
        UsageError: an argument is given.
    """
    if argument is not None:
        raise UsageError(
            f'the system "visaudio-tiny" takes no argument, got "{argument}": it is the checkpoint of this package. '
            f"For one of yours write: --system visaudio:{argument}"
        )
    return FlowSystem(VISAUDIO, shipped_checkpoint())


def open_visaudio(argument: str | None = None) -> FlowSystem:
    """`visaudio:FILE`."""
    return open_variant(VISAUDIO, argument)


def open_dual(argument: str | None = None) -> FlowSystem:
    """`visaudio-dual:FILE`."""
    return open_variant(DUAL, argument)


def open_mmaudio_dup(argument: str | None = None) -> FlowSystem:
    """`mmaudio-dup`, or `mmaudio-dup:FILE`."""
    return open_variant(MMAUDIO_DUP, argument)
