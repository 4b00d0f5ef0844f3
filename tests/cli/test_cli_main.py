"""What all commands have in common: how they end, what they take from around them, what they print."""

import errno
import io
import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from numnist.data import read_idx

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist


def test_no_arguments_are_answered_with_the_usage(numnist: "Numnist") -> None:
    ended = numnist()
    assert (ended.status, ended.out) == (2, "")
    assert "usage: numnist COMMAND" in ended.err


@pytest.mark.parametrize("line", ["train --dataset mnist", "evaluate first", "data", "data --export out"])
@pytest.mark.usefixtures("trained")
def test_without_any_data_each_place_is_named(
    numnist: "Numnist", workplace: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("NUMNIST_DATA", "elsewhere")
    monkeypatch.setenv("NUMNIST_MIRRORS", "nowhere:/")  # refused at once, where a dead port is tried again
    before = sorted(workplace.rglob("*"))
    ended = numnist(*line.split())
    assert (ended.status, ended.out) == (2, "")
    lines = ended.err.splitlines()
    assert all(line.startswith("numnist: ") for line in lines)
    assert lines[0] == "numnist: NUMNIST_DATA: elsewhere: no such folder"
    assert lines[-1].startswith("numnist: MNIST is nowhere to be had: NUMNIST_DATA=elsewhere: no such folder")
    for place in ("./data: ", os.environ["NUMNIST_CACHE"], "nowhere:/"):
        assert place in lines[-1]
    assert sorted(workplace.rglob("*")) == before


def test_a_model_larger_than_memory_is_told(numnist: "Numnist") -> None:
    numnist.train("--model", "mlp:99999999999").refused(
        "--model: mlp:99999999999 has more parameters than there is memory for"
    )
    assert not Path("runs").exists()


def test_too_little_memory_is_told(numnist: "Numnist", monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("numnist.cli.train.load_dataset", exhausted)
    numnist.train().refused("not enough memory: try a smaller model", status=1)


def test_ctrl_c_before_the_training_is_told(numnist: "Numnist", monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("numnist.cli.train.load_dataset", interrupted)
    numnist.train().refused("interrupted", status=130)
    assert not Path("runs").exists()


def test_a_full_disk_behind_the_output_is_told(numnist: "Numnist") -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with redirect_stdout(Full()):
        ended = numnist("--version")
    ended.refused(f"output: {os.strerror(errno.ENOSPC)}")


def test_a_reader_that_has_left_is_no_error_of_ours(numnist: "Numnist") -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed, redirect_stdout(closed):
        ended = numnist("--version")
    assert (ended.status, ended.err) == (1, "")


def test_the_environment_sets_no_flags(numnist: "Numnist", monkeypatch: pytest.MonkeyPatch) -> None:
    plain = numnist("summary", "cnn")
    for name in ("CLASSES", "IMAGE_SIZE", "MODEL", "NAME", "EPOCHS", "LIMIT", "FORCE", "DATA"):
        monkeypatch.setenv(name, "7")
    assert numnist("summary", "cnn") == plain
    assert numnist("data", "--data", "own", "--export", "out").status == 0
    assert len(read_idx(Path("out/t10k-images-idx3-ubyte"))) == 60


def test_names_with_brackets_and_colons_are_shown_as_they_are(numnist: "Numnist") -> None:
    ended = numnist.train("--runs", "[red]:x:[/b]", "--name", "first")
    assert (ended.status, ended.err) == (0, "")
    assert "in [red]:x:[/b]/first\n" in ended.out
    assert "wrote [red]:x:[/b]/first/model.safetensors\n" in ended.out
    assert numnist("summary", "[red]:x:[/b]/first").out.startswith("[red]:x:[/b]/first ")
