"""The training as one watches it: a bar on a terminal, plain lines anywhere else."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from numnist.cli.progress import TrainingProgress
from numnist.data import load_mnist
from numnist.train import Callback, RunFolder, StepReport, TrainState, prepare, resolve, train

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist

FIGURES = r"loss \d\.\d{4}  accuracy \d+\.\d\d%"
TIME_LEFT = r"[-\d]:[-\d]{2}:[-\d]{2}"
EPOCH_LINE = rf"epoch [12]/2  {FIGURES}  validation \d\.\d{{4}} \d+\.\d\d%  \d+\.\d s"


def frames(width: int) -> list[str]:
    """What a training draws on a terminal of this width: every state of the bar and every line, as text."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    job = prepare(*resolve({"model": "mlp:8", "epochs": 2, "batch_size": 4}), load_mnist(Path("own")))
    train(job, RunFolder(Path("runs"), None, "mlp"), [TrainingProgress(console)])
    assert isinstance(console.file, io.StringIO)
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "\r", console.file.getvalue())
    return [frame.rstrip() for frame in re.split(r"[\r\n]+", drawn) if frame.strip()]


def epoch_lines(lines: list[str]) -> list[str]:
    return [line for line in lines if re.fullmatch(EPOCH_LINE, line)]


@pytest.mark.parametrize("width", [75, 80, 120])
def test_the_bar_shows_loss_accuracy_speed_and_the_time_left(width: int) -> None:
    drawn = frames(width)
    bars = [frame for frame in drawn if "images/s" in frame]
    assert bars
    for bar in bars:
        assert re.fullmatch(rf"epoch [12]/2 [━╸╺ ]+ {FIGURES} [\d,]+ images/s {TIME_LEFT}", bar)
        assert len(bar) <= width
    assert len(epoch_lines(drawn)) == 2


@pytest.mark.parametrize("width", [40, 74])
def test_a_narrow_terminal_gets_the_figures_without_a_bar(width: int) -> None:
    drawn = frames(width)
    figures = [frame for frame in drawn if not frame.startswith("epoch")]
    assert figures
    for frame in figures:
        assert re.fullmatch(rf"[12]/2 {FIGURES} {TIME_LEFT}", frame)
        assert len(frame) <= width
    assert len(epoch_lines(drawn)) == 2


def test_the_figures_are_means_that_begin_with_the_first_step() -> None:
    progress = TrainingProgress(Console(file=io.StringIO()))
    losses: list[float] = []

    class Probe(Callback):
        def on_step_end(self, state: TrainState, report: StepReport) -> None:
            losses.append(report.loss)
            assert progress.loss == pytest.approx(sum(losses) / len(losses), rel=1e-12)

    job = prepare(*resolve({"model": "mlp:8", "epochs": 2, "batch_size": 4}), load_mnist(Path("own")))
    train(job, RunFolder(Path("runs"), None, "mlp"), [progress, Probe()])
    assert len(losses) == 50  # from here on old steps are forgotten


def test_a_terminal_gets_the_bar_and_keeps_the_lines(numnist: "Numnist") -> None:
    status, written = numnist.on_a_terminal("--epochs", "2", "--name", "first", TERM="xterm", COLUMNS="80")
    assert status == 0
    assert "\x1b[?25l" in written  # the cursor is hidden while the bar moves,
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l")  # and shown again
    assert "images/s" in written
    lines = [line.rpartition("\x1b[2K")[2].rstrip() for line in written.split("\n")]
    assert len(epoch_lines(lines)) == 2
    assert any(line.startswith("test accuracy ") for line in lines)


def test_a_terminal_that_can_do_nothing_gets_plain_lines(numnist: "Numnist") -> None:
    status, written = numnist.on_a_terminal("--epochs", "2", "--name", "first", TERM="dumb", COLUMNS="80")
    assert status == 0
    assert "\x1b" not in written
    assert len(epoch_lines(written.splitlines())) == 2
