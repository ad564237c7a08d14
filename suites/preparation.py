"""From a user's folder to one manifest: find, look into every file once, write down, say what was left out.

What was found out about a file is kept in a journal beside the manifest, under the size and time of the file, the
window and the revision of the rules: a killed preparation goes on, a repeated one decodes only what has changed.
Files are decoded in processes of their own, so that one that kills its decoder costs itself alone.

    DATA/<suite>/manifest.parquet   the clips that were admitted
                 rejects.jsonl      clip_id, reason, message of the others
                 summary.json       counts by split and reason, source, manifest hash
                 examined.jsonl     the journal
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TextIO

from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.files import digest, file_stamp, parse_json, write_json, write_text
from visaudio_bench.guard import UNEXPECTED, keep_trace, one_clip
from visaudio_bench.isolation import map_isolated
from visaudio_bench.shapes import require
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.admission import AdmissionRules, ClipMeasurements, admit, fingerprint
from visaudio_bench.suites.containers import picture_span
from visaudio_bench.suites.datasets import Candidate, Dataset, FoundData, Options, Reject, data_dir
from visaudio_bench.suites.direction_labels import file_labels
from visaudio_bench.suites.manifest import (
    Entry,
    Manifest,
    find_manifest,
    leaking_groups,
    read_lines,
    read_manifest,
    write_manifest,
)
from visaudio_bench.suites.media import probe, read_sound
from visaudio_bench.suites.mono_pairs import join, joined_folder

# Seconds that looking into one file may take; a long video is cut into hundreds of windows.
TIMEOUT, LONG_TIMEOUT = 120.0, 3600.0
# May be the machine's or the program's fault: tried again the next time.
NOT_FINAL = {"timeout", "crashed", *UNEXPECTED}
MOST_WINDOWS = 10_800  # a day of 8 s windows: a header that says more is damaged


# What is known of one window: `start` (None for the file as a whole), and `measured`, or `reason` and `message`.
Window = dict[str, Any]


@dataclass(frozen=True)
class Prepared:
    """The end of a preparation."""

    folder: Path
    manifest: Manifest
    rejects: tuple[Reject, ...]
    summary: dict[str, Any]


class Preparation:
    """One data set of one folder on its way to a manifest.

    Raises:
        UsageError: the folder is not there or not this data set.
    """

    def __init__(self, dataset: Dataset, source: Path, options: Options, *, pictures: bool = False):
        if not source.is_dir():
            raise UsageError(f"{source} is not a folder. {dataset.obtain}")
        _refuse_needless(dataset, options)
        self.dataset = dataset
        self.source = source
        self.options = options
        self.rules = replace(dataset.rules, pictures=pictures)
        self.folder = data_dir() / dataset.name
        self.found: FoundData = dataset.find(source, options)

    @cached_property
    def _known(self) -> dict[str, list[Window]]:
        return _read_journal(self.folder / "examined.jsonl")

    @cached_property
    def _keys(self) -> list[str]:
        return [key_of(candidate, self.found.root, self.rules) for candidate in self.found.candidates]

    @property
    def pending(self) -> list[Candidate]:
        """Candidates that must still be looked into."""
        pairs = zip(self.found.candidates, self._keys, strict=True)
        return [candidate for candidate, key in pairs if key not in self._known]

    def examine(self, workers: int) -> Iterator[str]:
        """Look into what is pending, yielding ids as they are written to the journal; safe to kill and repeat."""
        work = partial(examine, root=self.found.root, rules=self.rules, joined=joined_folder())
        # Keys from before the reading: a file that changes meanwhile is read again the next time.
        keys = {id(candidate): key for candidate, key in zip(self.found.candidates, self._keys, strict=True)}
        pending = self.pending
        timeout = LONG_TIMEOUT if any(candidate.hops for candidate in pending) else TIMEOUT
        self.folder.mkdir(parents=True, exist_ok=True)
        with _open_journal(self.folder / "examined.jsonl") as journal:
            for outcome in map_isolated(work, pending, workers, timeout):
                error = outcome.clip_error()
                windows = outcome.result() if error is None else [_refused(error)]
                key = keys[id(outcome.item)]
                self._known[key] = windows
                self._keep_traces(outcome.item, windows)
                if not any(window.get("reason") in NOT_FINAL for window in windows):
                    journal.write(journal_line(key, windows) + "\n")
                    journal.flush()
                yield outcome.item.entry.clip_id

    def _keep_traces(self, candidate: Candidate, windows: Sequence[Window]) -> None:
        for window in windows:
            if trace := window.pop("trace", ""):
                keep_trace(self.folder, f'clip "{candidate.entry.clip_id}" (examine, {self.dataset.name})', trace)

    def finish(self) -> Prepared:
        """Write manifest, rejects and summary of everything that was looked into."""
        entries: list[Entry] = []
        rejects = list(self.found.rejects)
        for candidate, key in zip(self.found.candidates, self._keys, strict=True):
            for window in self._known[key]:
                result = _settle(candidate, window, self.dataset)
                (entries if isinstance(result, Entry) else rejects).append(result)  # type: ignore[arg-type]
        leaks = leaking_groups(entries)
        rejects += [
            Reject(entry.clip_id, "leaks", f"clips of the same video, {entry.group_id}, are in the test set.")
            for entry in entries
            if entry.split == "train" and entry.group_id in leaks
        ]
        kept = tuple(entry for entry in entries if not (entry.split == "train" and entry.group_id in leaks))
        lines = [json.dumps(reject._asdict(), ensure_ascii=False) for reject in rejects]
        write_text(self.folder / "rejects.jsonl", "".join(line + "\n" for line in lines))
        if not kept:
            raise self.dataset.refuse(self.source, f"holds no usable clip{_why(rejects)}, see {self.folder}")
        return self._write(Manifest(self.dataset.name, self.found.root, kept), tuple(rejects))

    def _write(self, manifest: Manifest, rejects: tuple[Reject, ...]) -> Prepared:
        summary = {
            "suite": self.dataset.name,
            "source": str(self.source.resolve()),
            "clips": dict(sorted(Counter(entry.split for entry in manifest.entries).items())),
            "published": dict(self.dataset.published),
            "rejects": dict(Counter(reject.reason for reject in rejects).most_common()),
            "flags": dict(Counter(flag for entry in manifest.entries for flag in entry.meta["flags"]).most_common()),
            "notes": list(self.found.notes),
            "manifest": manifest.hashes(),
            "options": asdict(self.options),
        }
        # The manifest comes last: it exists only together with what it is explained by.
        write_json(self.folder / "summary.json", summary)
        write_manifest(self.folder / "manifest.parquet", manifest)
        return Prepared(self.folder, manifest, rejects, summary)


def _refuse_needless(dataset: Dataset, options: Options) -> None:
    for option in fields(options):
        if getattr(options, option.name) != option.default and option.name not in dataset.options:
            known = ", ".join(f"--{name.replace('_', '-')}" for name in dataset.options)
            raise UsageError(
                f"--{option.name.replace('_', '-')} means nothing for {dataset.name}, "
                + (f"which knows {known}." if known else "which has no such options.")
            )


def examine(candidate: Candidate, root: Path, rules: AdmissionRules, joined: Path) -> list[Window]:
    """Look into the files of one candidate.

    Args:
        candidate: what the folder promises.
        root: of its paths.
        rules: of admission.
        joined: folder for sound that must be put together first.

    Returns:
        The windows, each with its measures or its reason.

    Raises:
        ClipError: the candidate as a whole is refused.
    """
    entry = candidate.entry
    assert entry.video is not None and entry.audio is not None  # `find` lists clips without a file as rejects
    video, audio = root / entry.video, root / entry.audio
    if "right" in entry.meta:
        audio = join(audio, root / entry.meta["right"], joined)
    if entry.labels is not None:
        file_labels(root / entry.labels, entry.clip_id)
    if candidate.hops:
        windows = list(_hop(video, audio, entry.duration_s, rules))
    else:
        windows = [_measured(entry.start_s, admit(video, audio, entry.start_s, entry.duration_s, rules))]
    if entry.labels is not None:
        content = fingerprint(video, audio, root / entry.labels)
        for window in windows:
            if "measured" in window:
                window["measured"]["content"] = content
    return windows


def _hop(video: Path, audio: Path, duration: float, rules: AdmissionRules) -> Iterator[Window]:
    video_info, sound_info = probe(video), probe(audio)
    # Not every header states lengths; the sound itself does.
    sound = sound_info.sound or _length(audio)
    length = min(sound, video_info.picture or sound)
    span = picture_span(video, 0.0, length)
    length = min(length, span[1])
    count = min(int((length + 1e-3) / duration), MOST_WINDOWS)
    if count == 0:
        raise ClipError("short", f"{video} lasts {length:.2f} s; a clip lasts {duration:g} s.")
    for start in (index * duration for index in range(count)):
        try:
            with one_clip():
                measured = admit(video, audio, start, duration, rules, span)
        except ClipError as error:
            yield {**_refused(error), "start": start}
        else:
            yield _measured(start, measured)


def _length(path: Path) -> float:
    sound = read_sound(path)
    return float(sound.samples.shape[1] / sound.sample_rate)


def _measured(start: float, measured: ClipMeasurements) -> Window:
    return Window(start=start, measured=measured._asdict())


def _refused(error: ClipError) -> Window:
    return Window(start=None, reason=error.reason, message=error.message, trace=error.trace)


def _settle(candidate: Candidate, window: Window, dataset: Dataset) -> Entry | Reject:
    """The row of the manifest, or of the rejects, that a window becomes."""
    entry = candidate.entry
    name, start = entry.clip_id, window["start"]
    if candidate.hops and start is not None:
        name = f"{name}_{round(start):04d}"
    if "reason" in window:
        return Reject(name, window["reason"], window["message"])
    measured = dict(window["measured"])
    rate, channels = measured.pop("source_rate"), measured.pop("channels")
    meta = {**entry.meta, **measured, "flags": list(measured["flags"])}
    return replace(
        entry,
        clip_id=name,
        start_s=start,
        source_rate=rate,
        channels=channels,
        licence=dataset.licence if entry.licence == "unknown" else entry.licence,
        meta=meta,
    )


def key_of(candidate: Candidate, root: Path, rules: AdmissionRules) -> str:
    """Tell everything apart that the outcome of looking into a candidate depends on; not its texts or its split.

    Args:
        candidate: what the folder promises.
        root: of its paths.
        rules: of admission.

    Returns:
        A hash of the window, the size and time of the files, the rules and the code.
    """
    entry = candidate.entry
    paths = (entry.video, entry.audio, entry.meta.get("right"), entry.labels)
    files = [_stamp(root / relative) for relative in paths if relative is not None]
    window = [*paths, entry.start_s, entry.duration_s, candidate.hops]
    return digest([window, files, asdict(rules), source_revision(examine)])


def _stamp(path: Path) -> dict[str, int] | None:
    try:
        return file_stamp(path)
    except OSError:
        return None


def _open_journal(path: Path) -> TextIO:
    """The journal, to write behind its last line; half a line of a killed run is ended first."""
    whole = not path.is_file() or path.stat().st_size == 0 or path.read_bytes()[-1:] == b"\n"
    journal = path.open("a", encoding="utf-8")
    if not whole:
        journal.write("\n")
    return journal


def _read_journal(path: Path) -> dict[str, list[Window]]:
    if not path.is_file():
        return {}
    known: dict[str, list[Window]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = parse_json(line)
            require(row, {"key": str, "windows": [{str: object}]})
        except ValueError:
            continue  # the line that a killed run was writing
        if line == journal_line(row["key"], row["windows"]):
            known[row["key"]] = row["windows"]
    return known


def journal_line(key: str, windows: list[Window]) -> str:
    """Write down what was found of a candidate.

    Args:
        key: of the candidate, as `key_of` gives it.
        windows: what was found.

    Returns:
        A line; one that was damaged is another than that of its contents, and the candidate is looked into again.
    """
    return json.dumps({"key": key, "windows": windows, "sum": digest([key, windows])})


def _why(rejects: Sequence[Reject]) -> str:
    counts = Counter(reject.reason for reject in rejects).most_common()
    return f" ({', '.join(f'{count} {reason}' for reason, count in counts)})" if counts else ""


def prepared_manifest(dataset: Dataset) -> Manifest:
    """The manifest that `bench data prepare` left.

    Raises:
        UsageError: there is none; the sentence says where the data comes from.
    """
    folder = data_dir() / dataset.name
    path = find_manifest(folder)
    if path is None:
        raise UsageError(f'the data of "{dataset.name}" is not prepared here ({folder}). {dataset.obtain}')
    return read_manifest(path)


def read_rejects(dataset: Dataset) -> list[Reject]:
    """What the last preparation left out."""
    path = data_dir() / dataset.name / "rejects.jsonl"
    return [Reject(**row) for row in read_lines(path)] if path.is_file() else []
