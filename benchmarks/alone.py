"""What the first process of a training step does alone, while the others wait for it.

    python benchmarks/alone.py --json results/alone.jsonl

That is Python mostly, and small calls of NumPy: before the others are told to begin, behind their last
meeting, and around the update, which the first process makes alone where the network is small. And it copies
the batch; where there is something to derive others are at that meanwhile. Times are medians over the steps,
on noise of MNIST's size. Two cores are needed.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import commit
from peers import append, circumstances, numbers
from timeline import WARM_UP, by_two_processes

from numnist.engine.member import Member
from numnist.engine.processes import Processes

IMAGES = 8192


class Clock:
    """When this process last began and ended something."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0

    def watching(self, original: Callable[..., None]) -> Callable[..., None]:
        """The same function, which notes it."""

        def watched(*arguments: Any) -> None:
            self.began = time.perf_counter()
            original(*arguments)
            self.ended = time.perf_counter()

        return watched


class Clocks:
    """When the first process last made its part of a step, and of an update, and copied a batch."""

    def __init__(self) -> None:
        self.step, self.update, self.copy = Clock(), Clock(), Clock()
        for name, clock in (("run", self.step), ("update", self.update)):
            setattr(Member, name, clock.watching(getattr(Member, name)))
        original, of_copy = Processes.run, self.copy

        def run(crew: Processes, rng: Any, prepare: Callable[[], None]) -> None:
            original(crew, rng, of_copy.watching(prepare))

        Processes.run = run  # type: ignore[assignment, method-assign]


def measured(name: str, batch: int, steps: int, clocks: Clocks) -> dict[str, float]:
    """Medians in µs: before the step that all make, the copy, behind the step, around the update, and all."""
    engine, update = by_two_processes(name)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((IMAGES, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, IMAGES)
    names = "before_us", "copy_us", "behind_us", "update_us", "step_us"
    found: list[tuple[float, ...]] = []
    for step in range(WARM_UP + steps):
        start = step * batch % (IMAGES - batch)
        images, labels = x[start : start + batch], y[start : start + batch]
        started = time.perf_counter()
        engine.loss_and_grads(images, labels, None)
        returned = time.perf_counter()
        engine.update(update, 1e-3)
        ended = time.perf_counter()
        by_all = clocks.update.ended - clocks.update.began if clocks.update.began > returned else 0.0
        if step >= WARM_UP:
            before, behind = clocks.step.began - started, returned - clocks.step.ended
            copy = clocks.copy.ended - clocks.copy.began
            found.append((before, copy, behind, ended - returned - by_all, ended - started))
    medians = [1e6 * statistics.median(each) for each in zip(*found, strict=True)]
    return dict(zip(names, medians, strict=True))


def main() -> None:
    """Measure, print, and append a row for each model and size of batch."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default="cnn,mlp", help="of the zoo, with commas")
    parser.add_argument("--batches", type=numbers, default=[32, 128, 512], metavar="N,...")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    clocks = Clocks()
    for name in arguments.models.split(","):
        for batch in arguments.batches:
            times = measured(name, batch, arguments.steps, clocks)
            rounded = {what: round(us, 1) for what, us in times.items()}
            print(f"{name:10}{batch:6}  {rounded}")
            row = {"model": name, "batch": batch, **rounded, "steps": arguments.steps}
            append(arguments.json, row | circumstances(commit()))


if __name__ == "__main__":
    main()
