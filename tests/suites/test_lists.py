"""Lists as people and spreadsheets write them: read as they were meant, or refused with file and line."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from visaudio_bench.suites import open_suite
from visaudio_bench.suites.media import write_audio

NAMES = ("clip_1", "clip_2", "000007", "clip_\u00e9")
BARK = "a dog, barking"
ROWS = f'clip_1,"{BARK}"\nclip_2,rain\n'
LIST = f"clip_id,caption\n{ROWS}"


@pytest.fixture(scope="module")
def place(parts: Path, sound: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips; their manifests lie beside them, so that nothing is decoded twice."""
    root = tmp_path_factory.mktemp("lists")
    (root / "from" / "video").mkdir(parents=True)
    write_audio(root / "sound.wav", sound(10.0, rate=44100), 44100)
    for name in NAMES:
        shutil.copy(parts / "silent10.mp4", root / "from" / "video" / f"{name}.mp4")
        (root / "from" / "audio").mkdir(exist_ok=True)
        shutil.copy(root / "sound.wav", root / "from" / "audio" / f"{name}.wav")
    return root


@pytest.fixture
def prepare(bench: Callable, place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """`bench data prepare biaudio` of these clips with the given lists, each text or bytes by its name."""
    monkeypatch.setenv("VISAUDIO_BENCH_DATA", str(place / "data"))

    def run(**lists: str | bytes) -> object:
        for path in (place / "from").glob("*.*"):
            if path.is_file():
                path.unlink()
        (place / "data" / "biaudio" / "manifest.parquet").unlink(missing_ok=True)
        for name, content in lists.items():
            path = place / "from" / name.replace("__", ".")
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return bench("data", "prepare", "biaudio", "--from", place / "from", "--workers", 1)

    return run


def captions() -> dict[str, str | None]:
    return {clip.id: clip.caption for clip in open_suite("biaudio").clips()}


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (LIST.encode(), ""),
        (LIST.encode("utf-8-sig"), "byte order mark"),
        (f'clip_id\tcaption\nclip_1\t"{BARK}"\nclip_2\train\n'.encode("utf-16"), "delimiter tab"),
        (f"sep=;\r\nclip_id;caption\r\nclip_1;{BARK}\r\nclip_2;rain\r\n".encode(), 'the line "sep=;"'),
        (f"clip_id|caption\nclip_1|{BARK}\nclip_2|rain\n".encode(), "delimiter |"),
        (LIST.replace("\n", "\r").encode(), ""),
        (f" Clip ID,CAPTION\n{ROWS}".encode(), 'column "Clip ID" read as clip_id'),
        (f"\ufeffClip-Id,caption,,\n{ROWS},,,\n,,,\n".encode(), "2 empty row(s) at the end left out"),
        (f"clip_id,caption\n\n{ROWS}".encode(), "1 empty row(s) between others left out"),
        (f'clip_id, caption\nclip_1, "{BARK}"\nclip_2, rain\n'.encode(), ""),
        (f'clip_id,caption\n="clip_1","=""{BARK}"""\nclip_2,rain\n'.encode(), '2 cell(s) written ="..."'),
        (f"clip_id,caption\nclip_1,\"['{BARK}']\"\nclip_2,rain\n".encode(), ""),
        (f"clip_id,caption,mood\nclip_1,\"{BARK}\",glad\nclip_2,rain,\n".encode(), "columns not used: mood"),
        (f"clip_id,caption,group_id\nclip_1,\"{BARK}\",nan\nclip_2,rain,NA\n".encode(), "2 rows say nan"),
    ],
)  # fmt: skip
def test_a_list_is_read_as_it_was_meant(prepare: Callable, content: bytes, note: str) -> None:
    told = prepare(test__csv=content)
    assert (told.code, captions()) == (0, {"clip_1": BARK, "clip_2": "rain"}), told.err
    assert note in told.out


def test_texts_as_they_were_meant(prepare: Callable) -> None:
    text = '{"Clip_ID": "clip_1", "caption": ["a dog, barking"]}\n{"clip_id": "clip_2", "caption": NaN}\n'
    told = prepare(test__jsonl=text)
    assert (told.code, captions()) == (0, {"clip_1": BARK, "clip_2": None}), told.err
    assert "1 of 2 clips have no caption, the first in" in told.out
    told = prepare(test__csv='clip_id,caption\nclip_1,a 6" pipe and a "big" dog\nclip_2,[Music]\n')
    assert captions() == {"clip_1": 'a 6" pipe and a "big" dog', "clip_2": "[Music]"}
    told = prepare(test__csv='clip_id,caption\nclip_1,"Visible sound: a, Invisible sound: None"\nclip_2,nan\n')
    assert captions() == {"clip_1": "a", "clip_2": None}
    assert "1 rows say nan, none, - or the like" in told.out
    told = prepare(test__csv="id\nclip_1\nclip_2\n", captions__csv=f'clip_id,caption\nclip_1,"{BARK}"\nother,x\n')
    assert captions() == {"clip_1": BARK, "clip_2": None}
    assert "1 captions are of clips that no list names" in told.out


def test_ids_in_either_unicode_form_are_one_clip(prepare: Callable) -> None:
    for form in ("NFC", "NFD"):
        told = prepare(test__csv=unicodedata.normalize(form, "clip_id,caption\nclip_\u00e9,caf\u00e9\n"))
        assert told.code == 0, told.err
        assert [unicodedata.normalize("NFC", name) for name in captions()] == ["clip_\u00e9"]


def test_times_as_a_clock_and_with_a_comma(prepare: Callable) -> None:
    told = prepare(test__csv='clip_id,start_s\nclip_1,0:01\nclip_2,"00:00:01,5"\n')
    assert told.code == 0, told.err
    assert [clip.start for clip in open_suite("biaudio").clips()] == [1.0, 1.5]
    assert "start_s holds clock times, read as [hours:]minutes:seconds" in told.out
    told = prepare(test__csv='clip_id,caption,start_s\nclip_1,rain,"1,5"\nclip_2,rain,1\n')
    assert [clip.start for clip in open_suite("biaudio").clips()] == [1.5, 1.0]
    assert "start_s has decimal commas" in told.out


def test_a_clip_of_two_lists_is_a_test_clip(prepare: Callable) -> None:
    told = prepare(test__csv="clip_id,caption\nclip_1,x\n", train__csv="clip_id,caption\nclip_1,x\nclip_2,y\n")
    assert told.code == 0, told.err
    assert captions() == {"clip_1": "x"}
    assert "train.csv:2 names it again" in told.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip_1,a dog barks, then a car\nclip_2,rain\n", "test.csv:2: 3 field(s) where the header has 2 columns"),
        ("clip_1,a dog barks\nloudly\nclip_2,rain\n", "test.csv:3: 1 field(s)"),
        ("clip_1,a dog barks\nand then loudly,\nclip_2,rain\n", 'test.csv:3: "and then loudly" and nothing else'),
        ('clip_1,"a dog barks\nclip_2,rain\n', "test.csv:2: the quotes of the row that begins here do not match"),
        ('clip_1,"a dog barks\nclip_2,rain"\n', "test.csv:2: a cell that is opened with a quote here goes on"),
        ('clip_1,"a "big" dog"\nclip_2,rain\n', "test.csv:2: the quotes"),
        ("clip_1,\"['a dog', 'a cat']\"\nclip_2,rain\n", "test.csv:2: the caption is a list of 2"),
        ("clip_1,\"['a dog\"\nclip_2,rain\n", "begins like a list and is none"),
        ("clip_1,rain\nclip_2,rain\nclip_1,wind\n", "test.csv:4: clip_1 comes a second time and says something else"),
        ("clip_1,#NAME?\nclip_2,rain\n", 'test.csv:2: the caption "#NAME?" is a spreadsheet\'s error value'),
        ("#REF!,rain\nclip_2,rain\n", 'test.csv:2: the clip_id "#REF!" is a spreadsheet\'s error value'),
        ("clip_1,=A1&B1\nclip_2,rain\n", 'test.csv:2: the caption "=A1&B1" is a formula'),
        ("1.23E+11,rain\nclip_2,rain\n", "test.csv:2: the clip_id \"1.23E+11\" is a number that a spreadsheet has"),
        ("clip_1,rain\n7,wind\n", 'test.csv:3: "7" is listed, and there is a video called "000007": they differ'),
        ("clip_1,rain\nCLIP_2,wind\n", 'test.csv:3: "CLIP_2" is listed, and there is a video called "clip_2"'),
        ("clip_1,rain\nclip_\u200b2,wind\n", "one holds characters that do not show"),
        ("clip_1,rain\nvideo/clip_2.mp4,wind\n", 'the clip_id "video/clip_2.mp4" is a file\'s'),
        ("clip_1,caf\u00c3\u00a9\nclip_2,rain\n", 'it should read "caf\u00e9"'),
        ("clip_1,caf\ufffd\nclip_2,rain\n", "test.csv:2: the caption"),
        (b"clip_1,rain\nclip_2,caf\xe9\n", 'test.csv:3: not UTF-8 text (byte 0xE9). If this part should read'),
        (b"clip_1,ra\0in\nclip_2,rain\n", "test.csv:2: a NUL character. The file is damaged."),
        ("clip_1,rain\n,wind\n", "test.csv:3: the row has no clip_id"),
        ("clip_id,caption\nclip_1,rain\n", "test.csv:2: the header again"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_as_it_was_meant_is_named(prepare: Callable, text: str | bytes, said: str) -> None:
    rows = text.encode() if isinstance(text, str) else text
    told = prepare(test__csv=b"clip_id,caption\n" + rows)
    assert (told.code, said in told.err) == (2, True), told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip_id,start_s\nclip_1,-1\n", 'test.csv:2: start_s is "-1": before the clip\'s start'),
        ("clip_id,start_s\nclip_1,soon\n", 'test.csv:2: start_s is "soon": not a number; seconds'),
        ("clip_id,start_s\nclip_1,nan\n", 'test.csv:2: start_s is "nan"'),
        ("clip_id,start_s\nclip_1,1:75\n", "test.csv:2"),
        ('clip_id,start_s\nclip_1,"1,234"\n', "thousands, or a decimal comma?"),
        ('clip_id,start_s\nclip_1,"1,5"\nclip_2,1.5\n', "decimal points and decimal commas"),
        ("clip_id,caption,start_s\nclip_1,a dog barks, then a car\n", 'is "then a car", read as start_s, the rest of'),
        ("clip_id,caption,mood\nclip_1,a dog barks, then a car\n", 'is "then a car", read as mood, the rest of'),
        ('clip_id,caption,mood\nclip_1,say "a,b" now\n', "the rest of the caption"),
        ("clip_id,caption,Caption\nclip_1,a,b\n", 'the header names the column "caption" twice'),
        ("clip_id,caption_1,caption_2\nclip_1,a,b\n", 'the column "caption_1" would not be read'),
        ("clip_id,caption,start_time\nclip_1,a,5\n", 'the column "start_time" would not be read'),
        ("---g-f_I2yQ,1,people marching,test\nclip_1,1,a,test\n", "test.csv:1: there is no clip_id"),
        ("clip_id,group_id\nclip_1,001\nclip_2,1\n", 'the group_id "1" is written "001"'),
        ("PK\x03\x04", "is a workbook, not a text file"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a git-lfs pointer"),
    ],
)
def test_tables_that_would_be_misread_are_named(prepare: Callable, text: str, said: str) -> None:
    told = prepare(test__csv=text)
    assert (told.code, said in told.err) == (2, True), told.err


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({"test__csv": "id\nclip_1\n000007\n", "captions__csv": "id,caption\n7,rain\n"},
         'captions.csv:2: "7" is listed, and the lists have "000007"'),
        ({"test__csv": LIST, "captions__csv": "id,caption\nclip_2,wind\n"}, 'captions.csv:2: the caption of clip_2'),
        ({"test__csv": LIST, "test__tsv": LIST}, "are both there"),
        ({"test__jsonl": '{"clip_id": "clip_1"}\n{"clip_id": \n'}, "test.jsonl:2: not a JSON object"),
        ({"test__jsonl": '{"clip_id": "clip_1", "caption": "a", "caption": "b"}\n'}, "test.jsonl:1"),
        ({"test__jsonl": '{"clip_id": "clip_1", "caption": ["a", "b"]}\n'}, "test.jsonl:1: the caption is a list of 2"),
        ({"test__jsonl": '{"clip_id": "clip_1", "caption": 3}\n'}, "test.jsonl:1: the caption is 3, not a text"),
        ({"test__jsonl": '{"clip_id": "clip_1", "start_s": -2}\n'}, "test.jsonl:1: start_s"),
    ],
)  # fmt: skip
def test_lists_beside_one_another(prepare: Callable, lists: dict[str, str], said: str) -> None:
    told = prepare(**lists)
    assert (told.code, said in told.err) == (2, True), told.err


def test_something_invisible_alone_is_listed(prepare: Callable) -> None:
    told = prepare(test__csv="clip_id,visible,invisible\nclip_1,a dog,\nclip_2,,wind\n")
    assert (told.code, captions()) == (0, {"clip_1": "a dog"}), told.err
    assert "clip_2 (bad_caption)" in told.err
    assert "test.csv:3: something is invisible and nothing visible" in told.err


def test_plain_lists_with_marks_and_spreadsheet_ends(bench: Callable, data: Path, tmp_path: Path, parts: Path) -> None:
    shutil.copy(parts / "right17.mp4", tmp_path / "aaaaaaaaaaa.mp4")
    path = tmp_path / "YoutubeBinaural_test.txt"
    path.write_bytes("\ufeffaaaaaaaaaaa,,\rbbbbbbbbbbb,,\r".encode("utf-16"))
    told = bench("data", "prepare", "youtube-binaural", "--from", tmp_path, "--workers", 1)
    assert told.code == 0, told.err
    assert len(open_suite("youtube-binaural").clips()) == 2
    assert "bbbbbbbbbbb (not_found)" in told.err
    for text, said in (
        (b"aaaaaaaaaaa\ncaf\xe9\n", "YoutubeBinaural_test.txt:2: not UTF-8"),
        (b"aaaaaaaaaaa\n#NAME?\n", 'YoutubeBinaural_test.txt:2: "#NAME?"'),
        (b"aaaaaaaaaaa,bbbbbbbbbbb\n", "one name a line was expected"),
        (b"aaaaaaaaaaA\n", 'YoutubeBinaural_test.txt:1: "aaaaaaaaaaA" is listed'),
    ):
        path.write_bytes(text)
        told = bench("data", "prepare", "youtube-binaural", "--from", tmp_path, "--workers", 1)
        assert (told.code, said in told.err) == (2, True), told.err


def test_split_lists_of_fairplay(bench: Callable, data: Path, tmp_path: Path) -> None:
    for folder in ("videos", "binaural_audios", "new_splits/split1"):
        (tmp_path / folder).mkdir(parents=True)
    path = tmp_path / "new_splits" / "split1" / "test.txt"
    path.write_text("000001.mp3\n2.mp3\n")
    told = bench("data", "prepare", "fairplay", "--from", tmp_path)
    assert told.code == 2
    assert 'test.txt:2: "2" is listed, and FAIR-Play has a clip called "000002"' in told.err


def test_a_clip_on_two_sides_of_a_split_is_a_test_clip(
    bench: Callable, data: Path, tmp_path: Path, fairplay_tree: Callable
) -> None:
    root = fairplay_tree(tmp_path / "fairplay")
    for side, names in (("test", "000004"), ("train", "000001 000004 999999"), ("val", "000002")):
        (root / "new_splits" / "split1" / f"{side}.txt").write_text(names)
    told = bench("data", "prepare", "fairplay", "--from", root, "--workers", 1)
    assert told.code == 0, told.err
    assert [clip.id for clip in open_suite("fairplay:new_split1:test").clips()] == ["000004"]
    assert "1 clips are on two sides, the first 000004" in told.out
    assert "1 names are of no clip, the first 999999" in told.out
