"""The package as others get it: built, installed into empty environments, used beside code of the same names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("baselines", "bench", "leaderboards", "metrics", "models", "suites")
NOT_OURS = shutil.ignore_patterns(".*", "__pycache__", "tests", "runs", "build", "dist", "*.egg-info")


def run(*command: object, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, *kinds: str) -> list[Path]:
    run(sys.executable, "-m", "hatchling", "build", *(word for kind in kinds for word in ("-t", kind)), folder=source)
    return sorted((source / "dist").iterdir())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository without its tests, which are most of its bytes; links stay links."""
    copy = tmp_path_factory.mktemp("checkout") / "visaudio-bench"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=NOT_OURS)
    return copy


@pytest.fixture(scope="module")
def archives(checkout: Path) -> list[Path]:
    """The wheel and the source archive."""
    return build(checkout, "sdist", "wheel")


@pytest.fixture(scope="module")
def unpacked(archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive as somebody unpacks it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(next(path for path in archives if path.suffix == ".gz")) as archive:
        archive.extractall(folder, filter="data")
    (inside,) = folder.iterdir()
    return inside


def environment(folder: Path) -> Path:
    """An environment that holds what we depend on and not us: the parent's editable installation stays out of it."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, folder=ROOT)
    site = Path(
        run(folder / "bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=ROOT).strip()
    )
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def install(what: Path, into: Path, *options: str) -> None:
    quiet = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    run(into / "bin/python", "-m", "pip", "install", *quiet, *options, what, folder=into)


@pytest.fixture
def somebodys_project(tmp_path: Path) -> Path:
    """A research repository: most have modules of these names."""
    folder = tmp_path / "project"
    for name in ("models", "suites", "bench"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise RuntimeError('somebody else\\'s module was imported')\n")
    for name in ("metrics", "baselines", "leaderboards"):
        (folder / f"{name}.py").write_text("raise RuntimeError('somebody else\\'s module was imported')\n")
    return folder


def works_in(project: Path, home: Path) -> None:
    """The command, the module to run, and imports; with the project's folder first on the path."""
    assert "leaderboard" in run(home / "bin/bench", "--help", folder=project)
    assert "lat_err" in run(home / "bin/python", "-m", "visaudio_bench", "list", "metrics", folder=project)
    code = "import sys; sys.path.insert(0, ''); "
    code += "from visaudio_bench import baselines, bench, leaderboards, metrics, models, suites; print(suites.__file__)"
    assert "visaudio_bench/suites" in run(home / "bin/python", "-c", code, folder=project)


def test_installed_it_works_beside_code_of_the_same_names(archives, tmp_path, somebodys_project):
    """From the wheel; that the source archive leads to the same one is shown below."""
    home = environment(tmp_path / "env")
    install(next(path for path in archives if path.suffix == ".whl"), home, "--no-compile")
    works_in(somebodys_project, home)


@pytest.mark.parametrize("origin", ["checkout", pytest.param("unpacked", marks=pytest.mark.slow)])
def test_an_editable_installation_works_beside_code_of_the_same_names(origin, request, tmp_path, somebodys_project):
    source = request.getfixturevalue(origin)
    home = environment(tmp_path / "env")
    install(source, home, "--editable")
    works_in(somebodys_project, home)
    assert all((source / "visaudio_bench" / room / "__init__.py").is_file() for room in ROOMS)


def test_both_ways_lead_to_the_same_wheel(archives, unpacked):
    """Built from the repository and from the source archive; every file of every room is in it, once."""
    direct = next(path for path in archives if path.suffix == ".whl")
    (indirect,) = build(unpacked, "wheel")
    names = [sorted(zipfile.ZipFile(path).namelist()) for path in (direct, indirect)]
    assert names[0] == names[1]
    assert len(set(names[0])) == len(names[0])
    assert {name.partition("/")[0] for name in names[0]} == {
        "visaudio_bench",
        f"{direct.name.split('-py3')[0]}.dist-info",
    }
    ours = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert {f"visaudio_bench/{path.relative_to(ROOT)}" for path in ours} <= set(names[0])
