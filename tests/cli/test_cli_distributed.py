"""`numnist train --distributed` as mpiexec starts it; tests/train has its arithmetic, without MPI."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.cli.conftest import COMMAND, TRAIN, Ended
from tests.cli.mpi import mpiexec
from tests.train.test_distributed import SMOOTH, TOLERANCE, error

from numnist.arrays import Array
from numnist.nn import load_model

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist

LONG = ("--model", "smooth.toml", "--checkpoint-every", "3", "--epochs", "30")


@pytest.fixture(name="mpiexec")
def program() -> str:
    found = mpiexec()
    if found is None:
        pytest.skip("no MPI: pip install mpi4py mpich")
    return found


@pytest.fixture(autouse=True)
def network(workplace: Path) -> None:
    (workplace / "smooth.toml").write_text(SMOOTH)


def mpi(mpiexec: str, ranks: int, *arguments: str) -> Ended:
    """Train the small model on so many ranks."""
    command = [mpiexec, "-n", str(ranks), *COMMAND, *TRAIN, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def weights(name: str) -> Array:
    model = load_model(Path("runs") / name / "model.safetensors")
    return np.concatenate([model.parameters, model.buffers])


def history(name: str) -> list[dict[str, float]]:
    lines = (Path("runs") / name / "history.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def require_same(name: str, other: str) -> None:
    assert error(weights(name), weights(other)) <= TOLERANCE
    for row, expected in zip(history(name), history(other), strict=True):
        assert row == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.slow
def test_two_ranks_end_where_one_process_does(numnist: "Numnist", mpiexec: str) -> None:
    """Also with a last batch that is smaller, odd batches, and processes forked from each rank."""
    # Adam would make whole steps of what is rounding: the gradient of a bias in front of a BatchNorm.
    arguments = ["--model", "smooth.toml", "--batch-size", "15", "--optim.kind", "momentum"]
    arguments += ["--augment.rotation", "9"]
    assert numnist.train(*arguments, "--name", "one").status == 0
    for threads in ("1", "2"):
        ended = mpi(mpiexec, 2, "--distributed", *arguments, "--threads", threads, "--name", f"two{threads}")
        assert (ended.status, ended.err) == (0, "")
        assert ended.out.count("\n") == numnist.train(*arguments, "--name", f"again{threads}").out.count("\n")
        assert f"on 2 ranks, in runs/two{threads}\n" in ended.out
    require_same("two1", "one")
    model = "model.safetensors"
    assert Path("runs/two1", model).read_bytes() == Path("runs/two2", model).read_bytes()


def started(mpiexec: str, name: str) -> "subprocess.Popen[str]":
    """A long run on two ranks, in its second epoch or later."""
    command = [mpiexec, "-n", "2", *COMMAND, *TRAIN, *LONG, "--distributed", "--name", name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 1/"):
            break
    return process


def process_of(rank: int) -> int:
    """The process that is this rank of the run "cut", by what mpiexec has told it."""
    first = int(Path("runs/cut/.lock").read_text())
    if rank == 0:
        return first
    of_first = Path("/proc", str(first), "stat").read_text().rpartition(")")[2].split()[1]
    for number in Path(f"/proc/{of_first}/task/{of_first}/children").read_text().split():
        if f"PMI_RANK={rank}\0" in Path("/proc", number, "environ").read_text():
            return int(number)
    raise AssertionError(f"no rank {rank}")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_ends_the_job_and_one_process_goes_on(
    rank: int, numnist: "Numnist", mpiexec: str
) -> None:
    with started(mpiexec, "cut") as process:
        os.kill(process_of(rank), signal.SIGKILL)
        out, err = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "signal 9" in out + err  # what mpiexec says of it
    assert not Path("runs/cut/result.json").exists()
    assert numnist("train", "--resume", "cut", "--no-report").status == 0
    assert len(history("cut")) == 30


@pytest.mark.slow
def test_ctrl_c_stops_all_ranks_behind_a_step_and_three_go_on(mpiexec: str) -> None:
    with started(mpiexec, "cut") as process:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "\nstopped: interrupted\n" in out
    command = [mpiexec, "-n", "3", *COMMAND, "train", "--resume", "cut", "--distributed", "--no-report"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(Path("runs/cut/result.json").read_text())["executor"]["ranks"] == 3


BROKEN = """
import sys
from mpi4py import MPI
from numnist.cli import main
from numnist.train import EpochReport

def add(self, step):
    raise RuntimeError("no more of this")

if MPI.COMM_WORLD.rank == 1:
    EpochReport.add = add
sys.exit(main())
"""


def test_an_error_on_one_rank_ends_the_job_and_names_it(mpiexec: str) -> None:
    Path("broken.py").write_text(BROKEN)
    command = [mpiexec, "-n", "2", sys.executable, "broken.py", *TRAIN, "--distributed"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "\nnumnist: rank 1 has failed, and so has the job: RuntimeError: no more of this\n" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--distributed", "--epoks", "3"), 2, "unknown flag '--epoks'"),
        (("--distributed", "--threads", "0"), 2, "--threads: "),
        (("--distributed", "--lr", "3", "--epochs", "0"), 2, "--lr"),
        (("--distributed", "--batch-size", "0"), 2, "--batch-size: "),
        (("--distributed", "--executor", "reference"), 2, "--executor: the reference"),
        ((), 2, "mpiexec has started 2 of this run"),
        (("--distributed", "--optim.kind", "sgd", "--optim.lr", "1e30"), 1, "the loss became nan at step"),
    ],
)
def test_what_is_wrong_is_said_once(
    mpiexec: str, arguments: tuple[str, ...], status: int, words: str
) -> None:
    ended = mpi(mpiexec, 2, *arguments)
    assert ended.status == status
    ended.complained(words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--distributed", "--data", "nowhere"), "nowhere: no such folder"),
        (("--distributed", "--epoks", "3"), "unknown flag '--epoks': did you mean '--epochs'?"),
        (("--distributed", "--help"), "--help: not given to all ranks"),
        (("--name", "x"), "mpiexec has started 2 of this run, which would fight for one folder: "),
    ],
)
def test_what_is_wrong_on_one_rank_alone(mpiexec: str, arguments: tuple[str, ...], words: str) -> None:
    first, second = ([*COMMAND, *TRAIN, *of_rank] for of_rank in (("--distributed",), arguments))
    command = [mpiexec, "-n", "1", *first, ":", "-n", "1", *second]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"numnist: rank 1: {words}")
    assert done.stderr.count("\n") == 1


def test_the_help_is_printed_once(mpiexec: str) -> None:
    ended = mpi(mpiexec, 3, "--distributed", "--help")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.count("usage: ") == 1


WITHOUT_MPI = """
import sys
from numnist.cli import main

sys.modules["mpi4py"] = None
sys.exit(main())
"""


def test_each_rank_that_has_no_mpi_says_so(mpiexec: str) -> None:
    """Alone, since it cannot reach the others."""
    Path("without.py").write_text(WITHOUT_MPI)
    command = [mpiexec, "-n", "2", sys.executable, "without.py", *TRAIN, "--distributed"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    said = sorted(done.stderr.splitlines())
    assert [line.partition(" on ")[0] for line in said] == ["numnist: rank 0", "numnist: rank 1"]
    assert all('pip install "numnist[mpi]"' in line for line in said)


def test_without_mpi_there_is_a_word_about_what_to_install(
    numnist: "Numnist", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    numnist.train("--distributed").refused('pip install "numnist[mpi]"')
    assert not Path("runs").exists()


def test_an_mpiexec_of_another_mpi(numnist: "Numnist", mpiexec: str) -> None:
    ended = numnist.process(*TRAIN, "--distributed", OMPI_COMM_WORLD_SIZE="4", OMPI_COMM_WORLD_RANK="0")
    ended.refused("mpiexec has started 4 processes, but they see 1")


def test_an_srun_that_does_not_begin_mpi(numnist: "Numnist", mpiexec: str) -> None:
    ended = numnist.process(*TRAIN, "--distributed", SLURM_STEP_NUM_TASKS="4", SLURM_PROCID="0")
    ended.refused("srun has started 4 processes, and each sees itself alone")


def test_a_rank_without_others_is_a_run_like_any(numnist: "Numnist", mpiexec: str) -> None:
    assert numnist.process(*TRAIN, "--distributed", "--name", "rank").status == 0
    assert numnist.train("--name", "plain").status == 0
    for name in ("model.safetensors", "history.jsonl", "result.json"):
        assert Path("runs/rank", name).read_bytes() == Path("runs/plain", name).read_bytes()
