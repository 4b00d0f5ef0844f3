"""Every command in the README and the guide is executed, in order, on a few built-in digits."""

import doctest
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw, ImageFont
from tests.cli.conftest import COMMAND
from tests.cli.mpi import mpiexec

from numnist.data import export_idx, synthetic_dataset
from numnist.train import resolve

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist

ROOT = Path(__file__).parents[2]
SHORT = ("--limit", "240", "--epochs", "1", "--no-report")
"""What training commands get in addition, so that they take seconds."""

NOT_OURS = ("make ", "pip ", "python ")
"""Beginnings of commands that other tests and CI run."""


def commands(document: Path) -> list[str]:
    """The lines of a document that begin with $, without their comments."""
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line[2:].split("   #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if not line.startswith(NOT_OURS)]


FILES = {"my-network.toml": "[[layers]]", "my-study.toml": "[factors", "my-space.toml": "[space]"}
"""What the guide shows and its commands name, with what tells it from the settings of a run."""


def toml_of(document: Path, mark: str) -> str:
    """The file with this mark that stands in a document."""
    text = document.read_text(encoding="utf-8")
    return next(str(block) for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if mark in block)


def draw(path: str, text: str) -> None:
    """A page with digits on it."""
    image = Image.new("L", (90 * len(text) + 60, 160), 235)
    ImageDraw.Draw(image).text((30, 20), text, fill=20, font=ImageFont.load_default(100))
    image.save(path)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with all that the commands name, no network and no browser."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("webbrowser.open", lambda url: bool(url))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    digits = synthetic_dataset(300, 60)
    assert digits.train is not None
    assert digits.test is not None
    export_idx(digits.train, Path("mnist"), "train")
    export_idx(digits.test, Path("mnist"), "t10k")
    monkeypatch.setenv("NUMNIST_DATA", str(Path("mnist").absolute()))
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    for short, name in zip("abcd", names, strict=True):
        Path(f"{short}.idx").write_bytes(Path(f"mnist/{name}-ubyte").read_bytes())
    Path("my.toml").write_text("seed = 3")
    draw("photo.jpg", "7")
    draw("scan.png", "3054")


def run_on_ranks(arguments: list[str]) -> None:
    """What stands behind mpiexec, where there is one; tests/cli says so where there is none."""
    program = mpiexec()
    if program is not None:
        place = arguments.index("numnist")
        command = [program, *arguments[:place], *COMMAND, *arguments[place + 1 :], *SHORT]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("document", ["README.md", "docs/guide.md"])
def test_every_command_runs(numnist: "Numnist", scene: None, document: str) -> None:
    for name, mark in FILES.items():
        Path(name).write_text(toml_of(ROOT / "docs/guide.md", mark))
    found = commands(ROOT / document)
    assert len(found) >= 9
    for line in found:
        name, *arguments = shlex.split(line)
        if name == "mpiexec":
            run_on_ranks(arguments)
            continue
        if "third" in arguments and mpiexec() is None:  # the run that ranks have trained
            continue
        assert name == "numnist", line
        extra = SHORT if arguments[:1] == ["train"] and "--resume" not in arguments else ()
        ended = numnist(*arguments, *extra)
        assert ended.status == 0, f"{line}: {ended}"


@pytest.mark.slow
def test_the_programs_of_the_guide_run(scene: None, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
    programs = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if ">>>" not in block]
    assert len(programs) == 2
    for program in programs:
        exec(compile(program, "docs/guide.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == len(programs)


def test_settings_in_the_guide_are_settings(tmp_path: Path) -> None:
    text = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
    blocks = [
        block
        for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
        if not any(mark in block for mark in FILES.values())
    ]
    assert blocks
    for block in blocks:
        path = tmp_path / "my.toml"
        path.write_text(block)
        recipe, settings = resolve({}, config=path)
        assert (recipe, settings.optim.kind, settings.optim.lr) == ("quick", "adamw", 0.02)


def test_the_python_of_the_guide_is_right() -> None:
    failures, examples = doctest.testfile(
        str(ROOT / "docs/guide.md"), module_relative=False, encoding="utf-8"
    )
    assert examples >= 5
    assert failures == 0
