"""`bench systems fetch`: from a hub and an address on this machine, from a folder, and when authors change a file."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from visaudio_bench.baselines.published.card import Card, Weights, read_card
from visaudio_bench.baselines.published.fetching import fetch_weights, folder_of
from visaudio_bench.baselines.published.install import Wishes, install
from visaudio_bench.baselines.published.installed import card_folders, installation
from visaudio_bench.errors import BenchError, UsageError

TREE = "/api/models/people/net/tree/main?recursive=true"


class Hub(BaseHTTPRequestHandler):
    """A model hub: files by path, their hash as version, and byte ranges."""

    files: ClassVar[dict[str, bytes]] = {}
    ranges: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self._answer(self.files.get(self.path), body=False)

    def do_GET(self) -> None:
        self._answer(self.files.get(self.path), body=True)

    def _answer(self, data: bytes | None, *, body: bool) -> None:
        if data is None:
            self.send_error(404)
            return
        wanted = self.headers.get("Range", "bytes=0-")
        start = int(wanted[len("bytes=") : -1])
        self.ranges.append(wanted)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.end_headers()
        if body:
            self.wfile.write(data[start:])

    def log_message(self, *arguments: object) -> None:
        del arguments


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.files, Hub.ranges = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def card(doubles: Path, hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Card:
    monkeypatch.setenv("VISAUDIO_BENCH_WEIGHTS", str(tmp_path / "weights"))
    contents = {"config.json": b"{}", "model.safetensors": b"safe", "pytorch_model.bin": b"pickle", "tf_model.h5": b"x"}
    Hub.files = {f"/people/net/resolve/main/{name}": data for name, data in contents.items()}
    tree = [{"type": "file", "path": name, "size": len(data)} for name, data in contents.items()]
    tree[1]["lfs"] = {"oid": hashlib.sha256(b"safe").hexdigest()}
    Hub.files[TREE] = json.dumps(tree).encode()
    Hub.files["/net.pth"] = b"a network"
    weights = (Weights("net.pth", "here", url=f"{hub}/net.pth"), Weights("people/net", "here", hub="people/net"))
    return replace(read_card(doubles / "test_double"), weights=weights)


def test_files_and_folders_are_fetched_once_and_then_installed(card: Card, hub: str) -> None:
    part = folder_of(card) / "net.pth.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"a net")
    lines = list(fetch_weights(card, None, hub=hub))
    assert [line.partition(":")[0] for line in lines] == [
        "net.pth", "people/net/config.json", "people/net/model.safetensors",
    ]  # fmt: skip
    assert "bytes=5-" in Hub.ranges, "a download goes on where it stopped"
    assert (folder_of(card) / "net.pth").read_bytes() == b"a network"
    record = json.loads((folder_of(card) / "fetched.json").read_text())
    assert record["net.pth"]["sha256"] == hashlib.sha256(b"a network").hexdigest()
    assert list(fetch_weights(card, None, hub=hub)) == lines
    list(install(card, Wishes(source=folder_of(card), python=Path(sys.executable))))
    here = installation(card).weights
    assert here is not None
    assert (here / "people" / "net" / "model.safetensors").read_bytes() == b"safe"


def test_a_file_that_its_authors_changed_is_noticed_and_kept(card: Card, hub: str) -> None:
    list(fetch_weights(card, None, hub=hub))
    Hub.files["/net.pth"] = b"another network"
    with pytest.raises(BenchError, match=r"net.pth was changed by its authors .* What is here is kept"):
        list(fetch_weights(card, None, hub=hub))
    assert (folder_of(card) / "net.pth").read_bytes() == b"a network"
    known = Weights("net.pth", "here", url=f"{hub}/net.pth", sha256="0" * 64)
    (folder_of(card) / "net.pth").unlink()
    with pytest.raises(BenchError, match=r"is not the published net.pth: its sha256 is .* bench systems fetch"):
        list(fetch_weights(replace(card, weights=(known,)), None, hub=hub))
    assert (folder_of(card) / "net.pth.wrong").is_file(), "what came is kept aside"


@pytest.mark.parametrize("name", ["../../x.pth", "/etc/x.pth", "a/../../x.pth", "a\\..\\x.pth", ""])
def test_a_hub_names_no_file_elsewhere(card: Card, hub: str, name: str) -> None:
    Hub.files[TREE] = json.dumps([{"type": "file", "path": name, "size": 1}]).encode()
    with pytest.raises(BenchError, match="which would not lie in the folder of the weights"):
        list(fetch_weights(card, None, hub=hub))


def test_weights_come_from_a_folder_and_from_people(card: Card, hub: str, tmp_path: Path) -> None:
    given = tmp_path / "given"
    (given / "people" / "net").mkdir(parents=True)
    (given / "people" / "net" / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"there is no .*net.pth; net.pth of Test double comes from here"):
        list(fetch_weights(card, given))
    (given / "net.pth").write_bytes(b"a network")
    list(fetch_weights(card, given))
    assert (folder_of(card) / "people" / "net" / "config.json").is_file()
    assert not list(folder_of(card).rglob("*.part*"))
    (given / "people" / "net" / "config.json").write_text("{ }")
    with pytest.raises(BenchError, match=r"net is here already, and .*net is another. What is here is kept"):
        list(fetch_weights(card, given))
    (given / "net.pth").write_bytes(b"a NETWORK")
    with pytest.raises(BenchError, match=r"net.pth is here already, and .*net.pth is another"):
        list(fetch_weights(card, given))
    assert (folder_of(card) / "net.pth").read_bytes() == b"a network"
    by_hand = replace(card, weights=(*card.weights, Weights("hand.pth", "a form to be filled in")))
    with pytest.raises(UsageError, match=r"not offered to programs: hand.pth from a form to be filled in"):
        list(fetch_weights(by_hand, None, hub=hub))
    assert (folder_of(card) / "net.pth").is_file(), "the others were fetched first"


def test_a_copy_that_was_interrupted_leaves_nothing_of_another_folder(card: Card, tmp_path: Path) -> None:
    given, part = tmp_path / "given", folder_of(card) / "people" / "net.part"
    for folder in (given / "people" / "net", part):
        folder.mkdir(parents=True)
    (part / "old.bin").write_bytes(b"of another folder")
    (given / "people" / "net" / "config.json").write_text("{}")
    (given / "net.pth").write_bytes(b"a network")
    list(fetch_weights(card, given))
    assert [path.name for path in (folder_of(card) / "people" / "net").iterdir()] == ["config.json"]


def test_a_file_is_no_folder_and_a_folder_no_file(card: Card, tmp_path: Path) -> None:
    (tmp_path / "net.pth").mkdir()
    with pytest.raises(UsageError, match=r"net.pth is a folder; net.pth of Test double is a file"):
        list(fetch_weights(card, tmp_path))
    (tmp_path / "net.pth").rmdir()
    (tmp_path / "net.pth").touch()
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "net").touch()
    with pytest.raises(UsageError, match=r"net is a file; people/net of Test double is a folder"):
        list(fetch_weights(card, tmp_path))


@pytest.mark.parametrize("name", ["thinksound", "audiox", "visage", "see2sound"])
def test_every_weight_of_the_papers_four_can_be_fetched(name: str) -> None:
    for wanted in read_card(card_folders()[name]).weights:
        assert wanted.url or wanted.hub or wanted.registry, wanted.file
        assert wanted.licence or wanted.registry or name == "audiox" or wanted.file == "thinksound_light.ckpt"


def test_the_command_says_what_is_missing_in_the_folder(bench: Callable, own_cache: Path, tmp_path: Path) -> None:
    told = bench("systems", "fetch", "audiox", "--from", tmp_path)
    assert told.code == 2
    assert "licence of the weights: CC-BY-NC-4.0" in told.err
    assert "model.ckpt of AudioX comes from" in told.err
    told = bench("systems", "fetch", "dynfoa", "--from", tmp_path)
    assert (told.code, "DynFOA cannot be fetched: no code of its authors" in told.err) == (2, True), told.err
