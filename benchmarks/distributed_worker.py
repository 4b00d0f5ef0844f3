"""A contender that is several ranks: the first takes the turns (see `turns`), and the others with it.

Started by mpiexec. A job's `kind` is what is timed:

    step     a training step: forward, loss, backward, Adam, each rank its part. layers, batch, threads
    message  what a rank sends in a step: an all-reduce or a gathering. what, bytes

While they wait for a turn the others look now and then whether there is one, and use no core either.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from mpi4py import MPI
from step_worker import new_model, training_step
from turns import LEAST, UNTIMED, WARM_UP, Turn, serve

from numnist.engine import Engine, part_of
from numnist.train import MPIRanks

NAP = 2e-2
"""Seconds between two looks for a turn."""

Job = dict[str, Any]


def step_of(job: Job, ranks: MPIRanks) -> Callable[[], object]:
    """A training step on this rank's part of a batch of noise."""
    model = new_model(job)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((job["batch"], *model.preprocess.input_shape), dtype=np.float32)
    part = x[part_of(len(x), ranks.rank, ranks.ranks)]
    step = training_step(Engine(model, threads=job["threads"], reducer=ranks), model)
    return partial(step, part, np.arange(len(x)) % len(model.preprocess.classes))


def message_of(job: Job, ranks: MPIRanks) -> Callable[[], object]:
    """One message of so many bytes from each rank."""
    if job["what"] == "all-reduce":
        return partial(ranks.add, np.zeros(job["bytes"] // 4, np.float32))
    row = np.zeros(job["bytes"] // 8)
    return partial(ranks.gather, row, np.zeros((ranks.ranks, *row.shape)))


def together(work: Callable[[], object], ranks: MPIRanks, one_ms: float) -> Callable[[float], dict[str, Any]]:
    """A turn of the first rank; it tells the others how many steps there will be, so that all take them."""

    def turn(seconds: float) -> dict[str, Any]:
        times = timed(work, tell(ranks, max(LEAST, round(1e3 * seconds / one_ms))))
        return {"median": 1e3 * median(times), "best": 1e3 * min(times), "steps": len(times)}

    return turn


def tell(ranks: MPIRanks, steps: int) -> int:
    """Have the others take so many steps, or end where there are none."""
    for other in range(1, ranks.ranks):
        MPI.COMM_WORLD.send(steps, other)
    return steps


def told() -> int:
    """How many steps the first rank begins."""
    while not MPI.COMM_WORLD.Iprobe(source=0):
        time.sleep(NAP)
    steps: int = MPI.COMM_WORLD.recv(source=0)
    return steps


def timed(work: Callable[[], object], steps: int) -> list[float]:
    """The seconds of each step but the first few."""
    times = []
    for number in range(UNTIMED + steps):
        started = time.perf_counter()
        work()
        if number >= UNTIMED:
            times.append(time.perf_counter() - started)
    return times


def prepare(work: Callable[[], object], ranks: MPIRanks, _: Job) -> tuple[Turn, dict[str, Any]]:
    """The turn of the first rank, after a first one that nobody sees."""
    one_ms = 1e3 * median(timed(work, tell(ranks, LEAST)))
    turn = together(work, ranks, one_ms)
    turn(WARM_UP)
    return turn, {"ranks": ranks.ranks}


def main() -> None:
    """Take turns as the first rank, or with it."""
    ranks, job = MPIRanks(), json.loads(sys.argv[1])
    work = {"step": step_of, "message": message_of}[job["kind"]](job, ranks)
    if ranks.rank == 0:
        serve(partial(prepare, work, ranks))
        tell(ranks, 0)
        return
    while steps := told():
        timed(work, steps)


if __name__ == "__main__":
    main()
