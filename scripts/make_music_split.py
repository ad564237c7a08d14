"""Draw the test videos of MUSIC-21, `suites/assets/music_test.csv`, from the official lists of video ids.

python scripts/make_music_split.py FOLDER     (with MUSIC21_solo_videos.json and MUSIC_duet_videos.json)

By class, in the order of a hash of seed and id: 9.4 % of each class, which is the share of test clips in the paper
(1,857 of 19,682). Only ids of the test side are written; every other video is for training.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from pathlib import Path

SEED, SHARE = 2025, 1857 / 19682
LISTS = ("MUSIC21_solo_videos.json", "MUSIC_duet_videos.json")
TARGET = Path(__file__).parents[1] / "suites" / "assets" / "music_test.csv"


def rank(video: str) -> str:
    """A number that depends on the seed and the id alone."""
    return hashlib.sha256(f"{SEED}/{video}".encode()).hexdigest()


folder = Path(sys.argv[1])
rows = []
for name in LISTS:
    for kind, videos in sorted(json.loads((folder / name).read_text(encoding="utf-8"))["videos"].items()):
        rows += [(kind, video) for video in sorted(videos, key=rank)[: round(SHARE * len(videos))]]
with TARGET.open("w", encoding="utf-8", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([("class", "id"), *rows])
