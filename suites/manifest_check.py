"""Whether a prepared data set is still what its manifest says; reads headers and the ends of files, decodes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from visaudio_bench.errors import ClipError
from visaudio_bench.guard import keep_trace, one_clip
from visaudio_bench.suites.admission import fingerprint
from visaudio_bench.suites.containers import refuse_absent
from visaudio_bench.suites.datasets import Dataset, Reject
from visaudio_bench.suites.direction_labels import file_labels
from visaudio_bench.suites.manifest import Entry, Manifest
from visaudio_bench.suites.media import sound_format
from visaudio_bench.suites.preparation import read_rejects


def check_entry(entry: Entry, manifest: Manifest, traces: Path) -> list[Reject]:
    """Compare the files of one row with what the manifest says of them.

    Reasons are those of admission (`not_found`, `lfs_pointer`, `unreadable`), `wrong_rate` and `wrong_channels` where
    the sound is not what it was, `bad_labels` where its direction labels cannot be used, and `changed` where only the
    bytes are not what they were.

    Args:
        entry: the row.
        manifest: whose row it is.
        traces: the folder that the traceback of what nobody expected goes into.

    Returns:
        What is wrong: at most one thing, the first found.
    """
    try:
        with one_clip():
            _refuse_changes(entry, manifest)
    except ClipError as error:
        if error.trace:
            keep_trace(traces, f'clip "{entry.clip_id}" (check, {manifest.suite})', error.trace)
        return [Reject(entry.clip_id, error.reason, error.message)]
    return []


def _refuse_changes(entry: Entry, manifest: Manifest) -> None:
    paths = [path for name in (entry.video, entry.audio) if (path := manifest.path(name)) is not None]
    for path in paths:
        refuse_absent(path)
    _refuse_other_sound(entry, paths[-1])
    right = manifest.path(entry.meta.get("right"))
    labels = manifest.path(entry.labels)
    if labels is not None:
        file_labels(labels, entry.clip_id)
        paths.append(labels)
    now = fingerprint(*paths) if right is None else entry.meta.get("content")
    if now != entry.meta.get("content"):
        names = " and ".join(str(path) for path in dict.fromkeys(paths))
        raise ClipError("changed", f"{names}: other bytes than when it was prepared.")


def _refuse_other_sound(entry: Entry, path: Path) -> None:
    rate, channels = sound_format(path)
    if entry.source_rate not in {rate, 2 * rate}:  # headers of HE-AAC state half of what is decoded
        raise ClipError("wrong_rate", f"{path} has {rate} Hz; {entry.source_rate} Hz were found before.")
    if channels != entry.channels and "right" not in entry.meta:
        raise ClipError("wrong_channels", f"{path} has {channels} channels; {entry.channels} were found before.")


def counts(manifest: Manifest, dataset: Dataset, problems: Sequence[Reject]) -> list[tuple[str, int]]:
    """Count clips by split, source videos, sample rates, what was left out, and what is wrong now.

    Args:
        manifest: of the data set.
        dataset: which it is.
        problems: what `check_entry` found.

    Returns:
        Words and number of each line of the summary.
    """
    entries = manifest.entries
    lines = [(f"{split} clips", count) for split, count in sorted(Counter(entry.split for entry in entries).items())]
    lines.append(("source videos", len({entry.group_id for entry in entries})))
    lines += [(f"at {rate} Hz", count) for rate, count in sorted(Counter(e.source_rate or 0 for e in entries).items())]
    for words, rejects in (("left out in preparation", read_rejects(dataset)), ("wrong now", problems)):
        lines += [(f"{words}: {reason}", n) for reason, n in Counter(r.reason for r in rejects).most_common()]
    return lines
