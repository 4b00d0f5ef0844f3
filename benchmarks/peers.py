"""Contenders side by side: each in a process of its own, taking turns, so that none disturbs another.

The idle threads of PyTorch's pool spin, and BLAS keeps its own for a while: contenders in one process would
slow each other down. Turns are short and go round many times: what slows the machine for a while meets all.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import accuracy
import numpy as np
from accuracy import environment
from process_memory import PeakMemory

from numnist.arrays import Array
from numnist.data import Dataset, Split, load_mnist
from numnist.errors import InputError
from numnist.nn import Model

HERE = Path(__file__).resolve().parent

PAUSE = 0.25
"""Seconds between two turns, in which the threads of the one before fall asleep."""

PATIENCE = 10
"""Seconds that a worker has to end by itself."""

LEAST_ROUNDS = 5

STAT = Path("/proc/stat")

DISTURBED = 0.1
"""Cores that others may keep busy. A pool whose threads meet at barriers, as PyTorch's, loses many times what
is taken from it, so that a comparison on a busy machine says nothing."""


@dataclass(frozen=True)
class Contender:
    """What is to be compared: a worker script beside this one, its interpreter and its job (see `turns`).

    optional: whether the comparison goes on without it where it fails. launcher: what starts it, in front of
    the interpreter.
    """

    name: str
    job: dict[str, Any]
    python: str = sys.executable
    script: str = "step_worker.py"
    optional: bool = False
    launcher: tuple[str, ...] = ()


@dataclass
class Measured:
    """What a contender said of itself, and what it measured in each turn."""

    facts: dict[str, Any]
    turns: list[dict[str, Any]] = field(default_factory=list)

    def over_rounds(self, key: str = "median") -> float:
        """The median over the rounds of what each turn measured."""
        return float(statistics.median(turn[key] for turn in self.turns))


class WorkerError(RuntimeError):
    """A worker has ended before it should; the message has the last line that it wrote."""


class Worker:
    """The process of a contender."""

    def __init__(self, contender: Contender, folder: Path) -> None:
        self.name = contender.name
        self._log = folder / f"{contender.name}.log"
        script, job = str(HERE / contender.script), json.dumps(contender.job)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*contender.launcher, contender.python, script, job],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Identity of the process."""
        return self._process.pid

    def receive(self) -> dict[str, Any]:
        """Its next line. Raises: WorkerError where there is none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)  # its last words come after it has closed its end
            last = (self._log.read_text().strip().splitlines() or ["(it wrote nothing)"])[-1]
            raise WorkerError(f"{self.name}: {last}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def turn(self, seconds: float) -> dict[str, Any]:
        """Let it work, and wait for what it measured."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; `receive` says why
            print(seconds, file=self._process.stdin, flush=True)
        return self.receive()

    def close(self) -> None:
        """Let it end."""
        try:
            self._process.communicate(timeout=PATIENCE)  # closes its stdin, which is what it waits for
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def compare(contenders: Sequence[Contender], rounds: int, seconds: float) -> dict[str, Measured]:
    """Start the contenders one after another, and let each in turn work in each round.

    Optional ones that fail are left out, and it is said why.
    """
    measured: dict[str, Measured] = {}
    workers: list[Worker] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for contender in contenders:
            worker = stack.enter_context(closing(Worker(contender, Path(folder))))
            try:
                measured[worker.name] = Measured(worker.receive())
            except WorkerError as error:
                if not contender.optional:
                    sys.exit(f"{Path(sys.argv[0]).name}: {error}")
                print(f"left out: {error}", flush=True)
                continue
            workers.append(worker)
        for number in range(rounds):
            first = number % len(workers)  # whoever follows a heavy one suffers, so let it be another
            for worker in workers[first:] + workers[:first]:
                elsewhere = cores_busy(PAUSE)
                measured[worker.name].turns.append({**worker.turn(seconds), "elsewhere": elsewhere})
    return measured


def peak_memory(contender: Contender, seconds: float) -> tuple[float, dict[str, Any]]:
    """MB that a contender takes at most, in its start and a turn that is not timed; and its facts."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Worker(contender, Path(folder))) as worker,
        PeakMemory(worker.pid) as memory,
    ):
        facts = worker.receive()
        worker.turn(seconds)
    return memory.peak_mb, facts


def cores_busy(seconds: float) -> float:
    """Sleep, and return how many cores were busy meanwhile on average; 0 where the system does not say."""

    def busy() -> float:
        if not STAT.exists():
            return 0.0
        user, nice, system, _idle, _iowait, *interrupts = map(
            int, STAT.read_text().splitlines()[0].split()[1:9]
        )
        return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")

    before, started = busy(), time.perf_counter()
    time.sleep(seconds)
    return (busy() - before) / (time.perf_counter() - started)


def has(python: str, module: str) -> bool:
    """Whether an interpreter finds a module."""
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    try:
        return subprocess.run([python, "-c", code], stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:  # there is no such interpreter
        return False


def mnist() -> tuple[Dataset, Split, Split]:
    """MNIST, its training and its test set; whatever else is found ends the script."""
    script = Path(sys.argv[0]).name
    try:
        dataset = load_mnist()
    except InputError as error:
        sys.exit(f"{script}: {error}")
    if dataset.name != "mnist" or dataset.train is None or dataset.test is None:
        sys.exit(f"{script}: the data found is not MNIST")
    return dataset, dataset.train, dataset.test


def write_arrays(path: Path, model: Model, x: Array, y: Array) -> None:
    """What the workers load: images, labels, and the model's parameters and buffers by their names."""
    state: dict[str, Any] = {f"state.{name}": array for name, array in model.named_arrays()}
    np.savez(path, x=x, y=y, **state)


def layers_of(model: Model) -> list[dict[str, Any]]:
    """The description of a model's layers, as a job holds it."""
    layers: list[dict[str, Any]] = model.network.describe()["layers"]
    return layers


def add_flags(parser: argparse.ArgumentParser, peer: bool = True) -> None:
    """The flags that the comparisons have in common."""
    parser.add_argument("--rounds", type=int, default=7, help=f"of turns; {LEAST_ROUNDS} or more")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn")
    add_output_flag(parser)
    if peer:
        parser.add_argument("--threads", type=int, default=2, help="for each contender")
        add_peer_flag(parser)


def add_output_flag(parser: argparse.ArgumentParser) -> None:
    """Where the rows go."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="append the rows, one a line")


def add_peer_flag(parser: argparse.ArgumentParser) -> None:
    """Where PyTorch is."""
    parser.add_argument(
        "--peer-python",
        default=os.environ.get("NUMNIST_PEER_PYTHON", sys.executable),
        metavar="PATH",
        help="interpreter that has torch; unless given, NUMNIST_PEER_PYTHON or this one",
    )


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The command line of a comparison; a median of too few rounds would say little."""
    arguments = parser.parse_args()
    if arguments.rounds < LEAST_ROUNDS:
        parser.error(f"expected --rounds of at least {LEAST_ROUNDS}, got {arguments.rounds}")
    return arguments


def numbers(text: str) -> list[int]:
    """A flag's value with commas: "32,128"."""
    return [int(number) for number in text.split(",")]


def of_comparison(code: str, measured: Mapping[str, Measured]) -> dict[str, Any]:
    """The `circumstances` of a comparison."""
    names = ("torch", "onnxruntime")
    versions = {name: of.facts[name] for of in measured.values() for name in names if name in of.facts}
    return circumstances(code, [turn["elsewhere"] for of in measured.values() for turn in of.turns], versions)


def circumstances(
    code: str, elsewhere: Sequence[float] = (), versions: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What stands in every row besides the figures: commit, environment with the peers' versions, date.

    elsewhere: how many cores others kept busy, each time that it was looked for; if that is more than a
    little on average, it is said aloud.
    """
    busy = round(statistics.fmean(elsewhere), 2) if elsewhere else None
    if busy is not None and busy > DISTURBED:
        print(f"NOT VALID: other processes kept {busy} cores busy meanwhile", flush=True)
    return {
        "busy_elsewhere": busy,
        "commit": code,
        "environment": {**environment(), **(versions or {})},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def append(path: Path | None, row: Mapping[str, Any]) -> None:
    """Append a row, where there is a file for them."""
    if path is not None:
        accuracy.append(path, row)
