"""Revisions follow the imports: an edited module that is used changes them, and no other does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from visaudio_bench.errors import UsageError
from visaudio_bench.sources import OWN, source_revision, sources

ROOT = Path(__file__).resolve().parents[2]

# Runs in a copy of the project: does what `code` says, then edits one file after the other and asks again.
PROBE = """
import sys, json
from pathlib import Path
from visaudio_bench import sources

{code}

assert Path(sources.__file__).is_relative_to(Path.cwd())
loaded = sorted(name for name in sys.modules if name.partition(".")[0] == sources.OWN)
changed = {{}}
for root, others in {cases}.items():
    before = sources.sources(root)
    changed[root] = []
    for name in sorted({{*loaded, *others}}):
        file = sources._place(name).file
        kept = file.read_bytes()
        file.write_bytes(kept + b"\\nif True:\\n    print(1)\\n")
        if sources.sources(root) != before:
            changed[root].append(name)
        file.write_bytes(kept)
    assert sources.sources(root) == before
print(json.dumps([loaded, changed]))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's package in a folder of its own; the rooms lie in it, where the repository has links."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / OWN, folder / OWN, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def edited(folder: Path, code: str, cases: dict[str, list[str]]) -> tuple[set[str], dict[str, set[str]]]:
    """What of the project `code` loads; and for each root of `cases` what of it, and of the others, it depends on."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", PROBE.format(code=code, cases=cases)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded, changed = json.loads(done.stdout.splitlines()[-1])
    return set(loaded), {root: set(names) for root, names in changed.items()}


SYSTEMS = {
    "anchors": (
        "visaudio_bench.baselines.trivial",
        "from visaudio_bench.baselines.trivial import Mono; Mono()",
        ["visaudio_bench.baselines.motion"],
    ),
    "motion-pan": (
        "visaudio_bench.baselines.motion_pan",
        "from visaudio_bench.baselines.motion_pan import MotionPan; MotionPan()",
        ["visaudio_bench.baselines.visaudio", "visaudio_bench.suites.simulator.rooms"],
    ),
    "foleyspace-like": (
        "visaudio_bench.baselines.foleyspace_like",
        "import visaudio_bench.baselines.foleyspace_like",
        [
            "visaudio_bench.baselines.two_stage",
            "visaudio_bench.baselines.motion_pan",
        ],  # systems of which it may be a stage have revisions of their own
    ),
    "visaudio": (
        "visaudio_bench.baselines.visaudio",
        "import visaudio_bench.baselines.visaudio, visaudio_bench.models.visaudio.published_parts\n"
        "from visaudio_bench.models.visaudio.parts import open_parts\n"
        "open_parts('built-in', encoder=True)",
        [
            "visaudio_bench.baselines.trivial",
            "visaudio_bench.models.training.loop",
            "visaudio_bench.models.backbones.vggish",
            "visaudio_bench.metrics.frechet",
        ],
    ),
    "published": (
        "visaudio_bench.baselines.published.published_system",
        "import visaudio_bench.baselines.published.published_system, visaudio_bench.baselines.published.postprocess",
        [
            "visaudio_bench.baselines.published.contract_check",
            "visaudio_bench.baselines.published.install",
            "visaudio_bench.suites.simulator.rooms",
        ],
    ),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_depends_on_what_it_imports(copy: Path, name: str) -> None:
    root, code, others = SYSTEMS[name]
    loaded, changed = edited(copy, code, {root: others})
    assert len(loaded) > 10
    assert loaded <= changed[root]
    assert not changed[root] & set(others)


WORK = {
    "preparation": (
        "visaudio_bench.suites.preparation:examine",
        ["visaudio_bench.suites.frame_selection", "visaudio_bench.suites.mono_pairs", "visaudio_bench.suites.media"],
        ["visaudio_bench.suites.biaudio"],
    ),
    "scenes": (
        "visaudio_bench.suites.simulator.render:render_files",
        [
            "visaudio_bench.suites.media",
            "visaudio_bench.suites.simulator.hrtf",
            "visaudio_bench.suites.simulator.sounds",
            "visaudio_bench.suites.simulator.looks",
        ],
        [
            "visaudio_bench.suites.simulator.field",
            "visaudio_bench.suites.simulator.design",
            "visaudio_bench.suites.simulated",
        ],
    ),
    "vggish": (
        "visaudio_bench.bench.evaluation.families.vggish:embedded",
        [
            "visaudio_bench.models.backbones.waveform",
        ],
        [
            "visaudio_bench.models.backbones.imagebind",
            "visaudio_bench.models.backbones.panns",
            "visaudio_bench.suites.media",
            "visaudio_bench.bench.evaluation.plan",
            "visaudio_bench.models.weights",
        ],
    ),
    "vggish itself": (
        "visaudio_bench.models.backbones.vggish:Vggish",
        [
            "visaudio_bench.models.backbones.vggish",
            "visaudio_bench.models.backbones.layers",
        ],
        ["visaudio_bench.models.backbones.panns", "visaudio_bench.suites.media"],
    ),
    "how networks are loaded": (
        "visaudio_bench.bench.evaluation.frozen_networks:load_class",
        ["visaudio_bench.models.weight_loading"],
        ["visaudio_bench.models.backbones.panns", "visaudio_bench.suites.media"],
    ),
    "sound for networks": (
        "visaudio_bench.bench.evaluation.frozen_networks:Hearing",
        ["visaudio_bench.models.backbones.waveform"],
        ["visaudio_bench.suites.media", "visaudio_bench.suites.frame_selection"],
    ),
    "pictures for networks": (
        "visaudio_bench.bench.evaluation.frozen_networks:Seeing",
        ["visaudio_bench.suites.frame_selection", "visaudio_bench.suites.media"],
        ["visaudio_bench.models.backbones.synchformer", "visaudio_bench.bench.evaluation.plan"],
    ),
    "synchformer": (
        "visaudio_bench.bench.evaluation.families.synchformer:_video",
        ["visaudio_bench.models.backbones.frames", "visaudio_bench.models.backbones.layers"],
        [
            "visaudio_bench.models.backbones.imagebind",
            "visaudio_bench.metrics.synchrony",
            "visaudio_bench.bench.evaluation.plan",
        ],
    ),
    "cues": (
        "visaudio_bench.bench.evaluation.clip_inputs:_cues",
        ["visaudio_bench.metrics.interaural"],
        ["visaudio_bench.suites.media", "visaudio_bench.metrics.binaural_error"],
    ),
    "waveforms": (
        "visaudio_bench.bench.evaluation.families.waveform_errors:_errors",
        ["visaudio_bench.metrics.binaural_error", "visaudio_bench.suites.media"],
        ["visaudio_bench.metrics.screen"],
    ),
    "training": (
        "visaudio_bench.models.visaudio.clip_features:features_of",
        [
            "visaudio_bench.suites.media",
            "visaudio_bench.models.visaudio.conditions",
            "visaudio_bench.models.visaudio.feature_formats",
        ],
        ["visaudio_bench.models.visaudio.network", "visaudio_bench.models.visaudio.feature_store"],
    ),
}


def test_work_depends_on_what_its_function_uses(copy: Path) -> None:
    cases = {root: [*used, *unused] for root, used, unused in WORK.values()}
    _, changed = edited(copy, "", cases)
    for name, (root, used, unused) in WORK.items():
        assert set(used) <= changed[root], name
        assert not changed[root] & set(unused), name


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Writes files of a package `toy_plugin`, and returns its sources."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(files: dict[str, str], root: str = "toy_plugin.system") -> dict[str, str]:
        for name, text in files.items():
            path = tmp_path / "toy_plugin" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return sources(root)

    return write


def test_imports_are_found_however_they_are_written(toy: Callable[..., dict[str, str]]) -> None:
    found = toy(
        {
            "__init__.py": "",
            "inner/__init__.py": "from . import beside",
            "inner/beside.py": "from ..above import value",
            "above.py": "value = 1",
            "lazy.py": "",
            "tried.py": "",
            "typed.py": "",
            "runs.py": "",
            "listed.py": "",
            "held.py": "",
            "alone.py": "",
            "system.py": """
import numpy, json
from typing import TYPE_CHECKING
from toy_plugin.inner.beside import value
from visaudio_bench.metrics.quantity import Quantity
from visaudio_bench.registry import Registry

if TYPE_CHECKING:
    from toy_plugin import typed
else:
    from toy_plugin import runs

class Mine(Registry[int]):
    def get(self, name):
        from toy_plugin import held

LISTED: Registry[int] = Mine("toy", "toys", {"listed": "toy_plugin.listed:it"})

def make():
    try:
        import toy_plugin.tried
    except ImportError:
        from . import lazy
""",
        }
    )
    ours = {name for name in found if name.startswith("toy_plugin")}
    assert ours == {
        "toy_plugin",
        *(f"toy_plugin.{name}" for name in ("system", "inner", "inner.beside", "above", "lazy", "tried", "runs")),
    }
    # What a plug-in uses of the project counts, and other people's packages do not.
    assert {"visaudio_bench.metrics", "visaudio_bench.metrics.quantity", "visaudio_bench.registry"} <= found.keys()
    assert not {"numpy", "json", "typing"} & found.keys()


def test_files_beside_the_code_count(toy: Callable[..., dict[str, str]]) -> None:
    code = 'from importlib.resources import files\nTABLE = files("toy_plugin") / "data" / "table.csv"\n'
    first = toy({"__init__.py": "", "data/table.csv": "1", "data/other.csv": "1", "system.py": code})
    assert toy({"data/other.csv": "2"}) == first
    assert toy({"data/table.csv": "2"}) != first
    computed = code.replace('"table.csv"', "NAME") + 'NAME = "table.csv"\n'
    whole = toy({"system.py": computed})
    assert toy({"data/other.csv": "3"}) != whole


def test_a_function_counts_with_what_it_uses(toy: Callable[..., dict[str, str]]) -> None:
    code = """
from toy_plugin import used, unused

FACTOR, OTHER = 2, 3
LIMIT = 4

def helper():
    return FACTOR * used.value

def make():
    return helper()

def another():
    return unused.value + LIMIT
"""
    root = "toy_plugin.system:make"
    first = toy({"__init__.py": "", "used.py": "", "unused.py": "", "system.py": code}, root)
    assert "toy_plugin.used" in first
    assert toy({"system.py": code.replace("LIMIT = 4", "LIMIT = 5")}, root) == first
    assert toy({"system.py": "# A comment\n" + code.replace("\n\ndef another", "\n\n\n\ndef another")}, root) == first
    assert toy({"system.py": code.replace("FACTOR, OTHER = 2", "FACTOR, OTHER = 1")}, root) != first
    assert toy({"system.py": code.replace("return FACTOR *", "return")}, root) != first


def test_a_registry_is_no_part_of_those_it_lists(toy: Callable[..., dict[str, str]]) -> None:
    code = 'from visaudio_bench.registry import Registry\nTOYS: Registry[int] = Registry("toy", "toys", {"a": 1})\n'
    first = toy({"__init__.py": "", "system.py": code})
    assert toy({"system.py": code.replace('"a": 1', '"a": 1, "b": 2')}) == first


def test_line_ends_do_not_count(toy: Callable[..., dict[str, str]]) -> None:
    first = toy({"__init__.py": "", "system.py": "a = 1\nb = 2\n"})
    assert toy({"system.py": "a = 1\r\nb = 2\r\n"}) == first


@pytest.mark.parametrize("root", ["metrics.there_is_none", "visaudio_bench.metrics.screen:there_is_none"])
def test_a_root_without_source_is_refused(root: str) -> None:
    with pytest.raises(UsageError, match="source"):
        source_revision(root)
