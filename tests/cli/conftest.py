"""A folder to work in, with a tiny data set of its own, and the command line as a function."""

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from numnist.arrays import Array
from numnist.cli import main
from numnist.data import write_idx

COMMAND = (sys.executable, "-m", "numnist")
TRAIN = ("train", "--data", "own", "--model", "mlp:8", "--epochs", "2", "--batch-size", "16", "--no-report")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    def refused(self, *words: str, status: int = 2) -> None:
        """It said in one line on stderr, with these words, what is wrong, and did nothing else."""
        assert (self.status, self.out) == (status, ""), self
        self.complained(*words)

    def complained(self, *words: str) -> None:
        """What it said on stderr is one line, ours, with these words."""
        assert re.fullmatch(r"numnist: [^\n]+\n", self.err), self.err
        for word in words:
            assert word in self.err


@dataclass(frozen=True)
class Numnist:
    """The command line: called, it runs in this process, where that is enough; `process` makes another."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Ended:
        self.capsys.readouterr()
        status = main(list(arguments))
        return Ended(status, *self.capsys.readouterr())

    def train(self, *arguments: str) -> Ended:
        """Train a small model on the small data set, for two epochs unless told otherwise."""
        return self(*TRAIN, *arguments)

    def help(self, *arguments: str) -> str:
        """What `--help` prints."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([*arguments, "--help"])
        assert end.value.code == 0
        return self.capsys.readouterr().out

    def process(self, *arguments: str, **environment: str) -> Ended:
        """Run in a process of its own."""
        command = [*COMMAND, *arguments]
        variables = os.environ | environment
        done = subprocess.run(command, env=variables, capture_output=True, timeout=60, check=False)
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def on_a_terminal(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Train on a terminal of its own; the exit status, and all that was written there."""
        terminal, side = pty.openpty()
        command, variables = [*COMMAND, *TRAIN, *arguments], os.environ | environment
        with subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=variables) as process:
            os.close(side)
            written = b""
            with suppress(OSError):  # how Linux says that the other side is closed
                while part := os.read(terminal, 65536):
                    written += part
        os.close(terminal)
        return process.returncode, written.decode()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a process, to be waited for and closed by `with`."""
        pipe = subprocess.PIPE
        return subprocess.Popen([*COMMAND, *arguments], stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def numnist(capsys: pytest.CaptureFixture[str]) -> Numnist:
    return Numnist(capsys)


def bars(n: int, seed: int, size: int = 8, classes: int = 3) -> tuple[Array, Array]:
    """Images of dim noise with one bright row, labelled by which it is; every class comes."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % classes).astype(np.uint8)
    images = rng.integers(0, 60, (n, size, size), np.uint8)
    images[np.arange(n), labels % size] += 150
    return images, labels


def write_data(folder: Path, size: int = 8, classes: int = 3, n: int = 120) -> None:
    """Write a data set under MNIST's names: n images for training and half as many for testing."""
    folder.mkdir()
    for stem, number, seed in (("train", n, 0), ("t10k", n // 2, 1)):
        images, labels = bars(number, seed, size, classes)
        write_idx(folder / f"{stem}-images-idx3-ubyte", images)
        write_idx(folder / f"{stem}-labels-idx1-ubyte", labels)


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with another data set: 12x12, 26 classes."""
    folder = tmp_path_factory.mktemp("letters") / "letters"
    write_data(folder, size=12, classes=26, n=156)
    return str(folder)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test: it holds the data set `own`; no variable points elsewhere."""
    for name in list(os.environ):
        if name.startswith("NUMNIST_") or name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NUMNIST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMNIST_MIRRORS", "http://127.0.0.1:9/")  # the discard port: nobody listens
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    folder = tmp_path / "work"
    folder.mkdir()
    write_data(folder / "own")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def trained(numnist: Numnist) -> Path:
    """The folder of a finished run, called `first`."""
    assert numnist.train("--name", "first").status == 0
    return Path("runs/first")


@pytest.fixture
def mnist(mnist_directory: Path, request: pytest.FixtureRequest) -> str:
    """The folder with the real MNIST, as seen from any working directory."""
    return str((request.config.invocation_params.dir / mnist_directory).resolve())
