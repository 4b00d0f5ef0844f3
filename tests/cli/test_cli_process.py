"""What only a process of its own can show: signals, closed pipes, what is imported, memory."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from numnist.nn import load_model

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist

ENDLESS = ("train", "--data", "own", "--model", "mlp:8", "--batch-size", "16", "--epochs", "1000000")


def test_a_process_gives_what_the_function_gives(numnist: "Numnist") -> None:
    assert numnist.process("--version") == numnist("--version")
    numnist.process("train", "--epochs", "0").refused("--epochs: ")


def interrupted(numnist: "Numnist", times: int) -> tuple[int, str, str]:
    """Interrupt a training in its second epoch or later; exit status, stdout, stderr."""
    with numnist.start(*ENDLESS, "--name", "cut") as process:
        assert process.stdout is not None
        before = ""
        for line in process.stdout:
            before += line
            if line.startswith("epoch 1/"):
                break
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    return process.returncode, before + out, err


def test_ctrl_c_saves_what_was_learned(numnist: "Numnist") -> None:
    status, out, err = interrupted(numnist, times=1)
    assert (status, err) == (130, "")
    assert "\nstopped: interrupted\n" in out
    assert "wrote runs/cut/model.safetensors\n" in out
    epochs = len(re.findall("^epoch ", out, re.MULTILINE))
    assert len(Path("runs/cut/history.jsonl").read_text().splitlines()) == epochs
    assert not Path("runs/cut/result.json").exists()  # the test set was not read
    load_model(Path("runs/cut/model.safetensors"))
    assert json.loads(numnist("evaluate", "cut", "--data", "own", "--json").out)["n"] == 60


def test_ctrl_c_twice_ends_at_once_without_a_traceback_or_half_a_file(numnist: "Numnist") -> None:
    status, _, err = interrupted(numnist, times=2)
    assert status == 130
    assert err in ("", "numnist: interrupted\n")
    assert not [path.name for path in Path("runs/cut").iterdir() if path.name.startswith(".")]
    if Path("runs/cut/model.safetensors").exists():
        load_model(Path("runs/cut/model.safetensors"))


@pytest.mark.parametrize("line", ["summary cnn", "train --help", "data --data own", " ".join(ENDLESS)])
def test_a_reader_that_leaves_ends_the_command_quietly(numnist: "Numnist", line: str) -> None:
    with numnist.start(*line.split()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) in (0, 1)  # 0: it had written all that it had to say


def test_an_output_that_is_closed_from_the_start_is_nobodys_trouble(numnist: "Numnist") -> None:
    command = f"exec {sys.executable} -m numnist summary linear >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_gets_plain_lines(numnist: "Numnist") -> None:
    arguments = ("train", "--data", "own", "--model", "mlp:8", "--epochs", "3", "--name", "first")
    ended = numnist.process(*arguments, TERM="xterm-256color")
    assert (ended.status, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    assert "\r" not in ended.out
    assert len(re.findall(r"^epoch \d/3 .* s$", ended.out, re.MULTILINE)) == 3


@pytest.mark.parametrize("code", ["import numnist", "from numnist.cli import main; main(['--version'])"])
def test_what_is_not_needed_is_not_imported(code: str) -> None:
    heavy = "{'numpy', 'pydantic', 'pydantic_settings', 'rich', 'matplotlib', 'PIL', 'pooch', 'requests'}"
    probe = f"{code}\nimport sys\nprint(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.mnist
@pytest.mark.slow
def test_training_stays_within_500_mb(mnist: str) -> None:
    # A process in between: Linux counts what its parent had in memory to a child's peak.
    probe = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    numnist = [sys.executable, "-m", "numnist", "train", "--data", mnist, "--limit", "2000", "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", probe, *numnist], env=os.environ, capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert 50e6 < int(done.stdout) * unit < 500e6
