"""Captions of built clips: from a file, or from whatever can describe a clip.

The paper has Qwen2.5-Omni describe each clip and Qwen3 condense the description; its prompts are not published, so no
such model is part of this project. Anything with a method `caption` takes its place (docs/construction.md has an
example); what it says is kept in a file, and a file is what data sets are made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from visaudio_bench.errors import UsageError
from visaudio_bench.suites.biaudio import Row, read_rows
from visaudio_bench.suites.visibility_captions import SoundCaption, parse_labelled

COLUMNS = "clip_id, and either visible and invisible, or a labelled caption"


class Captioner(Protocol):
    """Describes clips."""

    def caption(self, video: Path, audio: Path) -> SoundCaption:
        """What is heard and seen in a silent video with its binaural sound, and what is heard only."""


def read_captions(path: Path) -> dict[str, SoundCaption]:
    """Captions by clip id, from a `.csv` with a header or a `.jsonl`.

    Columns: `id` (or `clip_id`), and `visible` with `invisible` (which may be empty), or `caption` in the labelled form
    `Visible sound: A, Invisible sound: B`. Where an id comes again in a `.jsonl`, which grows, the last line counts.

    Raises:
        UsageError: the file cannot be read, a row has no id or nothing visible, or a table says two things of a clip.
    """
    rows: dict[str, Row] = {}
    for row in read_rows(path).rows:
        first = rows.get(row.clip_id, row)
        if path.suffix != ".jsonl" and first.said != row.said:
            raise UsageError(f"{row.where}: {row.clip_id} has another caption in {first.where}. A clip has one.")
        rows[row.clip_id] = row
    return {name: _caption(row) for name, row in rows.items()}


def _caption(row: Row) -> SoundCaption:
    if row.visible:
        return SoundCaption(row.visible, row.invisible)
    try:
        parsed = parse_labelled(row.caption or "")
    except ValueError as error:
        raise UsageError(f"{row.where}: {error}.") from error
    if parsed is None:
        raise UsageError(f"{row.where}: no caption. Expected columns: {COLUMNS}.")
    return parsed


def caption_clips(clips: Mapping[str, tuple[Path, Path]], captioner: Captioner, path: Path) -> Iterator[str]:
    """Have every clip described that `path` does not hold yet.

    Args:
        clips: video and sound by clip id.
        captioner: who describes.
        path: a `.jsonl` file that `read_captions` reads; it grows by a line a clip, so this can be killed and repeated.

    Returns:
        An iterator over the ids, each as its line is written.
    """
    done = read_captions(path) if path.is_file() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for clip, (video, audio) in clips.items():
            if clip in done:
                continue
            said = captioner.caption(video, audio)
            file.write(json.dumps({"id": clip, **said._asdict()}, ensure_ascii=False) + "\n")
            file.flush()
            yield clip
