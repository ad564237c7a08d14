"""Weight files: where they are looked for, how they are checked and fetched. The only server is this process."""

import dataclasses
import hashlib
import os
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.models import download, weights
from visaudio_bench.models.weights import WEIGHTS, WeightFile, missing, path_of, require, verify, weights_dir

CONTENT = bytes(range(256)) * 20_000


class Server(BaseHTTPRequestHandler):
    """Serves CONTENT; `script` says how each request in turn misbehaves."""

    protocol_version = "HTTP/1.1"

    def __init__(self, state, *arguments):
        self.state = state
        super().__init__(*arguments)

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        asked = self.headers.get("Range")
        self.state["ranges"].append(asked)
        behaviour = self.state["script"].pop(0) if self.state["script"] else "whole"
        if behaviour == "404":
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and behaviour != "no ranges" else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = self.state["content"][start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if behaviour in ("cut", "stall") else body)
        if behaviour == "stall":
            self.state["release"].wait(30)
        if behaviour in ("cut", "stall"):
            self.close_connection = True


@pytest.fixture
def server():
    state = {"ranges": [], "script": [], "content": CONTENT, "release": threading.Event()}
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, state))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield state, f"http://127.0.0.1:{httpd.server_port}/toy.pth"
    state["release"].set()
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(weights.WEIGHTS_VARIABLE, str(tmp_path / "weights"))
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "weights"


@pytest.fixture
def toy(monkeypatch, server):
    file = WeightFile(
        "toy", "toy.pth", "nothing", len(CONTENT), "CC0-1.0", server[1], size_is_exact=True,
        sha256=hashlib.sha256(CONTENT).hexdigest(), checksum_from="this test",
    )  # fmt: skip
    monkeypatch.setitem(WEIGHTS, "toy", file)
    return file


def put(folder, content=CONTENT):
    folder.mkdir(exist_ok=True)
    (folder / "toy.pth").write_bytes(content)


def test_the_product_knows_nothing_of_filled_weights():
    assert set(WEIGHTS) >= {"vggish", "panns", "synchformer", "imagebind"}
    for name, file in WEIGHTS.items():
        assert file.name == name
        assert file.origin.startswith("https://")
        assert file.licence and file.purpose and file.size > 0
        assert not (file.sha256 or file.md5) or file.checksum_from


def test_the_folder_is_the_variable_or_in_the_cache(tmp_path, monkeypatch):
    assert weights_dir() == tmp_path / "weights"
    monkeypatch.delenv(weights.WEIGHTS_VARIABLE)
    assert weights_dir() == tmp_path / "cache" / "weights"


def test_missing_says_size_licence_and_command(folder):
    (absent,) = missing(["imagebind", "imagebind"])
    assert absent == (
        "imagebind",
        "IB-Score",
        "4.8 GB",
        "CC-BY-NC-SA-4.0",
        "bench weights fetch imagebind",
        f"not in {folder}",
    )
    with pytest.raises(
        BenchError, match=r"imagebind \(4.8 GB, CC-BY-NC-SA-4.0; for IB-Score\).*bench weights fetch imagebind"
    ):
        require("imagebind")
    with pytest.raises(UsageError, match='Did you mean "imagebind"'):
        missing(["imagebin"])


def test_nothing_connects_by_itself(monkeypatch, toy):
    def refuse(*arguments, **options):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    missing(WEIGHTS)
    list(verify(WEIGHTS))
    with pytest.raises(BenchError, match="bench weights fetch toy"):
        require("toy")


def test_a_whole_file_is_located_with_its_hash_and_hashed_once(folder, toy, monkeypatch):
    put(folder)
    assert missing(["toy"]) == ()
    located = require("toy")
    assert located == (folder / "toy.pth", toy.sha256)
    monkeypatch.setattr(weights, "checksums", None)  # a second reading would fail here
    assert require("toy") == located


def test_a_changed_file_is_hashed_again(folder, toy):
    put(folder)
    require("toy")
    put(folder, CONTENT[:-1] + b"x")
    with pytest.raises(BenchError, match=r"toy.pth is not the published toy.pth: its sha256 is .* \(from this test\)"):
        require("toy")


@pytest.mark.parametrize(
    ("content", "words"), [(CONTENT[:-5], "cut short"), (b"<html>", "6 bytes, expected 5,120,000")]
)
def test_half_a_file_is_refused_by_name(folder, toy, content, words):
    put(folder, content)
    assert words in missing(["toy"])[0].reason
    with pytest.raises(BenchError, match="toy"):
        require("toy")


def test_verify_tells_ok_missing_and_wrong(folder, toy, monkeypatch):
    assert [one.state for one in verify(["toy"])] == ["missing"]
    put(folder)
    assert next(verify(["toy"]))[1:3] == ("ok", "checked: size, sha256")
    put(folder, CONTENT[::-1])
    assert next(verify(["toy"])).state == "wrong"


def test_verify_reads_again_even_with_a_receipt(folder, toy):
    put(folder)
    require("toy")
    status = (folder / "toy.pth").stat()
    with (folder / "toy.pth").open("r+b") as file:
        file.write(b"\xff")
    os.utime(folder / "toy.pth", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert next(verify(["toy"])).state == "wrong"


def test_a_mislabelled_file_is_refused_by_its_contents(folder, toy, monkeypatch, tmp_path):
    """Right size, no checksum known: what is in it decides."""
    import torch

    path = folder / "toy.pth"
    folder.mkdir()
    torch.save({"fc_audioset.weight": torch.zeros(2, 2), "conv_block6.bn2.weight": torch.zeros(2)}, path)
    file = dataclasses.replace(
        toy, size=path.stat().st_size, sha256=None, checksum_from="", check="visaudio_bench.models.weight_checks:vggish"
    )
    monkeypatch.setitem(WEIGHTS, "toy", file)
    (found,) = verify(["toy"])
    assert found.state == "wrong"
    assert "does not hold the weights of VGGish" in found.detail and "It looks like PANNs Cnn14" in found.detail


def test_fetch_downloads_checks_and_reports(folder, toy, server):
    seen = []
    located = download.fetch("toy", lambda done, total: seen.append((done, total)))
    assert located == (folder / "toy.pth", toy.sha256)
    assert (folder / "toy.pth").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)
    assert [path.name for path in folder.iterdir()] == ["toy.pth"]
    assert download.fetch("toy") == located
    assert len(server[0]["ranges"]) == 1  # the second fetch found it there


def test_a_download_survives_kill_9(folder, toy, server):
    server[0]["script"] += ["stall"]
    code = "from visaudio_bench.models import download, weights\n"
    code += f"weights.WEIGHTS['toy'] = weights.{toy!r}\ndownload.fetch('toy')\n"
    process = subprocess.Popen([sys.executable, "-c", code])
    part = folder / "toy.pth.part"
    deadline = time.monotonic() + 300
    while not (part.exists() and part.stat().st_size >= 1_000_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    there = part.stat().st_size
    assert 0 < there < len(CONTENT) and not (folder / "toy.pth").exists()
    download.fetch("toy")
    assert server[0]["ranges"] == [None, f"bytes={there}-"]
    assert (folder / "toy.pth").read_bytes() == CONTENT


def test_a_part_goes_on_where_it_stopped(folder, toy, server):
    folder.mkdir()
    (folder / "toy.pth.part").write_bytes(CONTENT[:1_000_000])
    download.fetch("toy")
    assert server[0]["ranges"] == ["bytes=1000000-"]
    assert (folder / "toy.pth").read_bytes() == CONTENT


def test_a_cut_connection_is_resumed(folder, toy, server):
    server[0]["script"] += ["cut", "cut"]
    download.fetch("toy")
    assert (folder / "toy.pth").read_bytes() == CONTENT
    assert len(server[0]["ranges"]) == 3 and server[0]["ranges"][0] is None


def test_a_server_without_ranges_starts_anew(folder, toy, server):
    folder.mkdir()
    (folder / "toy.pth.part").write_bytes(b"x" * 1000)
    server[0]["script"] += ["no ranges"]
    download.fetch("toy")
    assert (folder / "toy.pth").read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_taken(folder, toy, server):
    folder.mkdir()
    (folder / "toy.pth.part").write_bytes(CONTENT)
    download.fetch("toy")
    assert (folder / "toy.pth").exists()


def test_a_wrong_download_is_kept_aside_and_never_used(folder, toy, server):
    server[0]["content"] = CONTENT[::-1]
    with pytest.raises(BenchError, match=r"sha256 is .*kept aside as .*toy.pth.wrong"):
        download.fetch("toy")
    assert sorted(path.name for path in folder.iterdir()) == ["toy.pth.wrong"]
    server[0]["content"] = CONTENT
    download.fetch("toy")


def test_a_lasting_failure_names_the_file_and_the_way_without_internet(folder, toy, server, monkeypatch):
    server[0]["script"] += ["404"]
    with pytest.raises(BenchError, match=r"404.*bench weights fetch toy --from FILE"):
        download.fetch("toy")
    monkeypatch.setitem(WEIGHTS, "toy", dataclasses.replace(toy, origin="http://127.0.0.1:9/toy.pth"))
    with pytest.raises(BenchError, match="could not be fetched"):
        download.fetch("toy")


def test_too_small_a_disk_is_named_before_anything_is_fetched(toy, server, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(BenchError, match=f"0.0 GB free.*{weights.WEIGHTS_VARIABLE}"):
        download.fetch("toy")
    assert server[0]["ranges"] == []


@pytest.mark.parametrize("as_folder", [True, False])
def test_files_that_came_another_way_are_taken_in(folder, toy, server, tmp_path, as_folder):
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "toy.pth").write_bytes(CONTENT)
    located = download.adopt("toy", stick if as_folder else stick / "toy.pth")
    assert located == (folder / "toy.pth", toy.sha256)
    assert (stick / "toy.pth").exists() and server[0]["ranges"] == []
    assert download.adopt("toy", folder) == located  # already where it belongs


def test_what_is_taken_in_is_read_once(folder, toy, tmp_path, monkeypatch):
    read, checksums = [], weights.checksums
    monkeypatch.setattr(weights, "checksums", lambda path: read.append(path.name) or checksums(path))
    located = download.fetch("toy")
    assert read == ["toy.pth.part"] and require("toy") == located
    located.path.replace(tmp_path / "toy.pth")
    assert download.adopt("toy", tmp_path) == require("toy") == located
    assert read[1:] == ["toy.pth", "toy.pth.part"]  # the file, and the copy


def test_a_wrong_file_is_not_taken_in(folder, toy, tmp_path):
    (tmp_path / "toy.pth").write_bytes(CONTENT[:-1])
    with pytest.raises(BenchError, match="cut short"):
        download.adopt("toy", tmp_path)
    with pytest.raises(UsageError, match="there is no"):
        download.adopt("toy", tmp_path / "weights-of-nobody")
    assert not path_of("toy").exists()


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Saves a state dict of a tiny network, and lets its check build that tiny network."""
    import torch

    from visaudio_bench.models import weight_checks

    def save(name, network, change=lambda state: None):
        monkeypatch.setattr(weight_checks, name, network)
        state = {key: value.clone() for key, value in network().state_dict().items()}
        change(state)
        torch.save(state, tmp_path / "tiny.pth")
        return tmp_path / "tiny.pth"

    return save


def test_known_answer_of_vggish(tiny, monkeypatch):
    from visaudio_bench.models import weight_checks
    from visaudio_bench.models.backbones.vggish import Vggish

    def rising(state):
        state["embeddings.4.weight"].zero_()
        state["embeddings.4.bias"].copy_(weight_checks.torch.linspace(-0.2805, 0.5425, 128))

    def network():
        return Vggish(channels=(2,) * 6, hidden=4)

    with pytest.raises(BenchError, match=r"smoke test published with VGGish.*expected 0.131 and 0.238 within 10 %"):
        weight_checks.vggish(tiny("Vggish", network))
    monkeypatch.setattr(weight_checks, "_VGGISH_STD", 0.188)
    monkeypatch.setattr(weight_checks, "_VGGISH_MEAN", 0.180)
    weight_checks.vggish(tiny("Vggish", network, rising))


def test_known_answer_of_cnn14(tiny):
    from visaudio_bench.models import weight_checks
    from visaudio_bench.models.backbones.panns import Cnn14

    def network(channels=None):
        return Cnn14(channels=(2,) * 6, classes=3)

    weight_checks.panns(tiny("Cnn14", network))
    with pytest.raises(BenchError, match=r"not the 16 kHz variant of Cnn14: its logmel_extractor.melW differs"):
        weight_checks.panns(tiny("Cnn14", network, lambda state: state["logmel_extractor.melW"].mul_(1.1)))


def test_known_answer_of_imagebind(tiny):
    from functools import partial

    from visaudio_bench.models import weight_checks
    from visaudio_bench.models.backbones.imagebind import ImageBind

    network = partial(ImageBind, audio=(16, 1, 2), vision=(16, 1, 2))
    key = "modality_postprocessors.audio.1.log_logit_scale"
    weight_checks.imagebind(tiny("ImageBind", network))
    with pytest.raises(BenchError, match="scaled by 10, not 20"):
        weight_checks.imagebind(tiny("ImageBind", network, lambda state: state[key].sub_(0.6931472)))


def test_known_answer_of_synchformer(tiny):
    from functools import partial

    from visaudio_bench.models import weight_checks
    from visaudio_bench.models.backbones.synchformer import Synchformer

    network = partial(Synchformer, width=16, heads=2, depth=1)
    weight_checks.synchformer(tiny("Synchformer", network))
    with pytest.raises(BenchError, match="damaged: OFF_tok"):
        weight_checks.synchformer(
            tiny("Synchformer", network, lambda state: state["transformer.OFF_tok"].fill_(float("nan")))
        )
