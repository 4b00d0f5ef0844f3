"""What is installed: the wheel and the sdist hold all that the program needs, and the wheel alone runs."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.docs.test_commands import draw

from numnist import __version__

ROOT = Path(__file__).parents[1]
NAME = f"numnist-{__version__}"


def build(source: Path, out: Path, kind: str) -> Path:
    """The wheel or sdist of a source tree, built without the network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    (built,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"), "wheel")


def test_the_wheel_holds_the_whole_package(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("numnist/")}
    assert names == {f"numnist/{name}" for name in files_below(ROOT / "src" / "numnist")}
    for name in ("pretrained/cnn.safetensors", "train/recipes/quick.toml", "view/templates/report.html.j2"):
        assert f"numnist/{name}" in names


def test_a_wheel_comes_out_of_the_sdist_too(wheel: Path, tmp_path: Path) -> None:
    sdist = build(ROOT, tmp_path / "sdist", "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(tmp_path / NAME, tmp_path / "wheel", "wheel")
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_alone_reads_a_photo(wheel: Path, tmp_path: Path) -> None:
    """Unpacked on a path of its own, from an empty folder. Its dependencies are those of this environment."""
    package, work = tmp_path / "package", tmp_path / "work"
    zipfile.ZipFile(wheel).extractall(package)
    work.mkdir()
    draw(str(work / "photo.png"), "7")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("NUMNIST", "COV"))
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=work,
            env=environment | {"PYTHONPATH": str(package), "HOME": str(work)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert run("-c", "import numnist; print(numnist.__file__)").startswith(str(package))
    assert run("-m", "numnist", "--version") == f"numnist {__version__}\n"
    assert run("-m", "numnist", "predict", "pretrained:cnn", "photo.png").startswith("photo.png: 7  ")
    assert "quick" in run("-m", "numnist", "train", "--help")
    assert {path.name for path in work.iterdir()} == {"photo.png"}
