"""What the first process of a training step does alone, while the others wait for it.

    python benchmarks/alone.py --json results/alone.jsonl

That is Python mostly, and small calls of NumPy: before the others are told to begin, behind their last
meeting, and around the update, which the first process makes alone where the network is small. To copy the
batch is not in it. Times are medians over the steps, on noise of MNIST's size. Two cores are needed.
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

from numnist.engine import Engine, share_parameters
from numnist.engine.member import Member
from numnist.nn import Model, Preprocess, build
from numnist.optim import Adam, Update

IMAGES = 8192
WARM_UP = 50


class Clock:
    """When this process last began and ended its part of what all do together."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0

    def watch(self, name: str) -> None:
        """Note it whenever this method of a member is called."""
        original: Callable[..., None] = getattr(Member, name)

        def watched(*arguments: Any) -> None:
            self.began = time.perf_counter()
            original(*arguments)
            self.ended = time.perf_counter()

        setattr(Member, name, watched)


def measured(name: str, batch: int, steps: int, of_step: Clock, of_update: Clock) -> dict[str, float]:
    """Medians in µs: before the step that all make, behind it, around the update, and all of it."""
    rng = np.random.default_rng(0)
    model = Model(build(name, (1, 28, 28), 10), Preprocess()).initialise(rng)
    share_parameters(model)  # as `train.prepare` does
    engine, optimizer = Engine(model, threads=2), Adam()
    update = Update(optimizer, optimizer.init(model.parameters))
    x, y = rng.standard_normal((IMAGES, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, IMAGES)
    found: list[tuple[float, float, float, float]] = []
    for step in range(WARM_UP + steps):
        start = step * batch % (IMAGES - batch)
        images, labels = x[start : start + batch], y[start : start + batch]
        started = time.perf_counter()
        engine.loss_and_grads(images, labels, None)
        returned = time.perf_counter()
        engine.update(update, 1e-3)
        ended = time.perf_counter()
        together = of_update.ended - of_update.began if of_update.began > returned else 0.0
        if step >= WARM_UP:
            before, behind = of_step.began - started, returned - of_step.ended
            found.append((before, behind, ended - returned - together, ended - started))
    medians = [1e6 * statistics.median(each) for each in zip(*found, strict=True)]
    return dict(zip(("before_us", "behind_us", "update_us", "step_us"), medians, strict=True))


def main() -> None:
    """Measure, print, and append a row for each model and size of batch."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default="cnn,mlp", help="of the zoo, with commas")
    parser.add_argument("--batches", type=numbers, default=[32, 128, 512], metavar="N,...")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    of_step, of_update = Clock(), Clock()
    of_step.watch("run")
    of_update.watch("update")
    for name in arguments.models.split(","):
        for batch in arguments.batches:
            times = measured(name, batch, arguments.steps, of_step, of_update)
            rounded = {what: round(us, 1) for what, us in times.items()}
            print(f"{name:10}{batch:6}  {rounded}")
            row = {"model": name, "batch": batch, **rounded, "steps": arguments.steps}
            append(arguments.json, row | circumstances(commit()))


if __name__ == "__main__":
    main()
