"""The half of the contract that runs inside a published system's own environment.

Standard library only, Python 3.8 and newer; it is copied beside the `runner.py` of a job and imports nothing of
visaudio-bench. A runner looks like this::

    import worker_kit

    def load(job):
        from authors import Model                     # heavy imports belong here: `--help` must not need them
        model = Model(job.weights / "model.pt" if job.weights else None).to(job.device)

        def generate(clip):
            sound = model(clip.video, clip.caption, steps=job.options["steps"])   # (channels, samples)
            return worker_kit.Sound(sound, 44100)

        return generate

    if __name__ == "__main__":
        worker_kit.main(load)

The kit does the rest: it seeds every clip by itself, writes each sound under its final name only when it is whole,
writes one flushed line a event, measures time and memory, turns exceptions into `failed` events, and ends with
everything it started when the process that started it has ended.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import json
import os
import platform
import random
import select
import signal
import struct
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Callable, NamedTuple, Sequence

JOB_SCHEMA = "visaudio-bench-job/1"
EVENTS_SCHEMA = "visaudio-bench-events/1"
NOT_LOADED, OUT_OF_MEMORY = 4, 5


class Clip(NamedTuple):
    """What a system is given for one clip. Paths are absolute; what the card does not ask for keeps its default.

    video: silent mp4, 25 pictures a second, last picture held 0.2 s beyond the clip's end. image: png. frames: folder
    with `000001.png`, ... . mono: one-channel wav of the sound to be binauralised. caption, cot: text. seconds: length
    of the clip. seed: the clip's own, 0 <= seed < 2**31, already set when `generate` is called.
    """

    id: str
    seed: int
    seconds: float
    video: Path = Path()
    image: Path | None = None
    frames: Path | None = None
    mono: Path | None = None
    caption: str | None = None
    cot: str | None = None


class Job(NamedTuple):
    """What a worker is asked for. weights is None where the model is to keep its random weights."""

    system: str
    source: Path
    work: Path
    native: Path
    events: Path
    device: str
    options: dict[str, Any]
    clips: tuple[Clip, ...]
    weights: Path | None = None


class Sound(NamedTuple):
    """A native sound: samples `(channels, count)` or `(count,)`, full scale 1.0, or integers of 16 or 32 bits.

    A torch tensor on any device, a NumPy array, or a list of lists. `remarks` are kept in the clip's record.
    """

    samples: Any
    sample_rate: int
    remarks: Sequence[str] = ()


Generate = Callable[[Clip], Sound]
Load = Callable[[Job], Generate]


def main(load: Load, arguments: Sequence[str] | None = None) -> None:
    """Carry out the job that the command line names, and end the process with the contract's exit code.

    Args:
        load: builds the model from the job, and returns what makes one clip.
        arguments: of the command line; None for those of this process.
    """
    parser = argparse.ArgumentParser(description="Make the native sounds of a job.")
    parser.add_argument("--job", type=Path, required=True, metavar="FILE", help="the job.json to carry out")
    parser.add_argument("--guard", action="store_true", help="end, with all children, when stdin is closed")
    given = parser.parse_args(arguments)
    if given.guard:
        _guard()
    job = read_job(given.job)
    with job.events.open("a", encoding="utf-8") as stream:
        sys.exit(_work(job, load, _Events(stream)))


def read_job(path: Path) -> Job:
    """The job of a `job.json`.

    Raises:
        ValueError: it keeps another schema.
    """
    body = json.loads(path.read_text(encoding="utf-8"))
    if body.pop("schema") != JOB_SCHEMA:
        raise ValueError(f"{path} is not a job of schema {JOB_SCHEMA}")
    clips = tuple(Clip(**_with_paths(clip, ("video", "image", "frames", "mono"))) for clip in body.pop("clips"))
    return Job(clips=clips, **_with_paths(body, ("source", "weights", "work", "native", "events")))


def _with_paths(fields: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    given = {name: value for name, value in fields.items() if value is not None}
    return {name: Path(value) if name in names else value for name, value in given.items()}


class _Events:
    def __init__(self, stream: Any):
        self.stream = stream

    def tell(self, event: str, **fields: Any) -> None:
        self.stream.write(json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n")
        self.stream.flush()


def _work(job: Job, load: Load, events: _Events) -> int:
    os.chdir(str(job.work))
    sys.path.insert(1, str(job.source))  # behind the runner's own folder
    events.tell("environment", schema=EVENTS_SCHEMA, pid=os.getpid(), device=job.device, **_interpreter())
    began = time.monotonic()
    _seed(0)  # what is drawn while a model is built, random weights above all, is the same in every process
    try:
        generate = load(job)
    except BaseException as error:  # whatever it is, the driver must hear of it
        traceback.print_exc()
        events.tell("not_loaded", **_explain(error))
        return NOT_LOADED
    events.tell("loaded", seconds=time.monotonic() - began, packages=_packages())
    for clip in job.clips:
        if not _make(job, generate, clip, events):
            return OUT_OF_MEMORY
    events.tell("finished")
    return 0


def _make(job: Job, generate: Generate, clip: Clip, events: _Events) -> bool:
    """Make one clip; False when memory ran out and the process should not go on."""
    events.tell("started", clip=clip.id)
    began = time.monotonic()
    try:
        _seed(clip.seed)
        sound = generate(clip)
        written = write_wav(job.native / (clip.id + ".wav"), sound.samples, sound.sample_rate)
    except Exception as error:
        traceback.print_exc()
        fatal = _is_memory(error)
        reason = "out_of_memory" if fatal else "error"
        events.tell("failed", clip=clip.id, reason=reason, seconds=time.monotonic() - began, **_explain(error))
        return not fatal
    events.tell(
        "done", clip=clip.id, seed=clip.seed, seconds=time.monotonic() - began, memory=_memory(),
        remarks=list(sound.remarks), **written
    )  # fmt: skip
    return True


def _seed(seed: int) -> None:
    """Seed every generator that is loaded, so that a clip does not depend on those before it."""
    random.seed(seed)
    numpy, torch = _imported("numpy"), _imported("torch")
    if numpy is not None:
        numpy.random.seed(seed)
    if torch is not None:
        torch.manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()


def _imported(name: str) -> Any:
    return sys.modules.get(name)


def _is_memory(error: Exception) -> bool:
    words = str(error).lower()
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "out of memory" in words


def _explain(error: BaseException) -> dict[str, str]:
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return {"message": f"{type(error).__name__}: {error}", "where": where}


def _interpreter() -> dict[str, Any]:
    return {"python": platform.python_version(), "prefix": sys.prefix, "platform": platform.platform()}


def _packages() -> dict[str, str]:
    """Versions of the packages that were imported: what the sounds were made with."""
    names = ("torch", "torchaudio", "torchvision", "transformers", "numpy", "scipy", "librosa", "cv2", "av")
    loaded = {name: getattr(_imported(name), "__version__", None) for name in names}
    return {name: str(version) for name, version in loaded.items() if version}


def _memory() -> dict[str, int | None]:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    torch = _imported("torch")
    cuda = torch is not None and torch.cuda.is_available()
    return {
        "host": peak if sys.platform == "darwin" else peak * 1024,
        "device": torch.cuda.max_memory_allocated() if cuda else None,
    }


def _guard() -> None:
    """Go on as the child of a keeper, which ends everything that was started here when stdin is closed.

    Whatever is started here, with a session of its own or without a parent, becomes the keeper's child, where the
    system knows such adoption (Linux). The keeper ends as its child has ended, after all others. It is a process and
    not a thread: a worker that hangs inside a library never gives a thread its turn.
    """
    adopts = _adopt_orphans()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    worker = os.fork()
    if worker == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        for used in (nothing, woken, wake):
            os.close(used)
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_as(_keep(worker, woken), adopts)


def _adopt_orphans() -> bool:
    """Become the parent of all descendants that lose theirs; False where the system has no such thing."""
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0)  # PR_SET_CHILD_SUBREAPER
    except Exception:
        return False


def _keep(worker: int, woken: int) -> int | None:
    """Wait until the worker has ended, or who started it; the status it ended with, or None."""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if 0 in ready and not os.read(0, 4096):
            return None
        if woken in ready:
            os.read(woken, 4096)
        ended, status = 1, 0
        while ended:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                ended = 0
            if ended == worker:
                return status


def _end_as(status: int | None, adopts: bool) -> None:
    """End all that is left, and then this process in the same way as the worker ended."""
    deadline = time.monotonic() + 10
    while adopts and time.monotonic() < deadline:
        children = _children()
        for child in children:
            _kill(child)
        try:
            os.waitpid(-1, 0 if children else os.WNOHANG)
        except ChildProcessError:
            break
    if status is None:
        os.killpg(os.getpgid(0), signal.SIGKILL)
    elif os.WIFSIGNALED(status):
        _die_of(os.WTERMSIG(status))
    else:
        os._exit(os.WEXITSTATUS(status))


def _die_of(number: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one core file is enough
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(1)


def _children() -> list[int]:
    """The numbers of this process's children."""
    own, children = str(os.getpid()), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if told.rpartition(")")[2].split()[1] == own:
            children.append(int(process.name))
    return children


def _kill(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def write_wav(path: Path, samples: Any, sample_rate: int) -> dict[str, Any]:
    """Write a sound as 32-bit float wav; the name appears when the file is whole.

    Args:
        path: where to.
        samples: `(N,)` or `(channels, N)`, full scale = 1.
        sample_rate: Hz.

    Returns:
        What an event says of it: file, rate, channels and number of samples.

    Raises:
        ValueError: the samples have neither one nor two dimensions, or there are none.
    """
    interleaved, channels, count = _interleaved(samples)
    if not channels * count:
        raise ValueError(f"the system made a sound of {channels} channels and {count} samples")
    rate, block = int(sample_rate), 4 * channels
    form = struct.pack("<HHIIHH", 3, channels, rate, rate * block, block, 32)
    chunks = [(b"fmt ", form), (b"fact", struct.pack("<I", count)), (b"data", interleaved)]
    body = b"WAVE" + b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    temporary.replace(path)
    return {"file": path.name, "sample_rate": rate, "channels": channels, "samples": count}


def _interleaved(samples: Any) -> tuple[bytes, int, int]:
    if hasattr(samples, "detach"):
        samples = samples.detach().cpu()
        samples = (samples.float() if samples.is_floating_point() else samples).numpy()
    if not hasattr(samples, "ndim"):
        rows: list[Any] = list(samples)
        rows = rows if rows and isinstance(rows[0], (list, tuple)) else [rows]
        flat = array.array("f", (value for instant in zip(*rows) for value in instant))
        if sys.byteorder == "big":
            flat.byteswap()
        return flat.tobytes(), len(rows), len(rows[0])
    if samples.ndim not in (1, 2):
        raise ValueError(f"the system made an array of shape {samples.shape}; (channels, samples) is expected")
    if samples.dtype.kind == "i":
        samples = samples / float(2 ** (8 * samples.dtype.itemsize - 1))
    samples = samples.reshape(1, -1) if samples.ndim == 1 else samples
    return samples.T.astype("<f4").tobytes(), int(samples.shape[0]), int(samples.shape[1])


def link_weights(job: Job) -> None:
    """Links in the current directory to the folders of the weights, such as `google/t5-v1_1-xl`.

    transformers looks for a model of that name there before it asks the network.
    """
    for folder in job.weights.iterdir() if job.weights else ():
        if folder.is_dir():
            (job.work / folder.name).symlink_to(folder)


def read_wav(path: Path) -> tuple[list[list[float]], int]:
    """Channels as lists of floats, and the rate, of a 16-bit or 32-bit-float wav; for code that only writes files.

    Raises:
        ValueError: another kind of wav.
    """
    data, chunks, at = path.read_bytes(), {}, 12
    while at + 8 <= len(data):
        size = struct.unpack_from("<I", data, at + 4)[0]
        chunks[data[at : at + 4]] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    form, body = chunks[b"fmt "], chunks[b"data"]
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    code = {(1, 16): "h", (3, 32): "f", (0xFFFE, 16): "h", (0xFFFE, 32): "f"}.get((kind, bits))
    if code is None:
        raise ValueError(f"{path} is a wav of kind {kind} with {bits} bits; 16-bit or float is expected")
    values = array.array(code, body[: len(body) // (bits // 8) * (bits // 8)])
    scale = 32768.0 if code == "h" else 1.0
    return [[value / scale for value in values[channel::channels]] for channel in range(channels)], rate
