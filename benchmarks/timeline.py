"""Where a training step of the cnn goes: what each of two processes does between their meetings.

    python benchmarks/timeline.py --json results/timeline.jsonl

Times are medians over the steps; a step that is looked at takes a few µs longer. Two cores are needed.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import commit
from peers import append, circumstances

from numnist.arrays import Array
from numnist.engine import Engine, share_parameters
from numnist.engine.member import Member
from numnist.engine.memory import shared_memory
from numnist.nn import Model, Preprocess, build
from numnist.optim import Adam, Update

STRETCHES = (
    "the batch is fetched, the weights derived",
    "moments of the patches",
    "first convolution, second convolution",
    "pooling, linear layer, loss, and back to the second normalisation",
    "back through both convolutions",
    "the gradient is put together",
)
"""What is done before each meeting; the numbers of all shards are merged at the beginning of the next one."""

BEHIND = "running statistics and the loss, while the others wait"
"""What the first process does behind the last meeting, before it returns."""

WARM_UP = 50


def by_two_processes(network: str) -> tuple[Engine, Update]:
    """A network of the zoo that two processes train, and what updates it, as in `train.prepare`."""
    model = Model(build(network, (1, 28, 28), 10), Preprocess()).initialise(np.random.default_rng(0))
    share_parameters(model)
    optimizer = Adam()
    return Engine(model, threads=2), Update(optimizer, optimizer.init(model.parameters))


def watched(log: Array) -> None:
    """Have processes note when they come to a meeting, and when they go on: log[process, 2 * meeting]."""
    original = Member._meet
    counts = [0]

    def meet(self: Any) -> None:
        row, place = log[self._number], 2 * (counts[0] % len(STRETCHES))
        row[place] = time.perf_counter()
        original(self)
        row[place + 1] = time.perf_counter()
        counts[0] += 1

    Member._meet = meet  # type: ignore[method-assign]


def measured(batch: int, steps: int) -> tuple[Array, list[float]]:
    """For every step the times in the log since its begin, in µs.

    And the medians of all of the step, of what is behind its last meeting, and of the update.
    """
    log = shared_memory((2, 2 * len(STRETCHES)), np.float64)
    watched(log)
    engine, update = by_two_processes("cnn")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((batch, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, batch)
    logs, wholes = [], []
    for step in range(WARM_UP + steps):
        started = time.perf_counter()
        engine.loss_and_grads(x, y, None)
        ended = time.perf_counter()
        engine.update(update, 1e-3)
        if step >= WARM_UP:
            logs.append(log - started)
            wholes.append((ended - started, ended - log[0, -1], time.perf_counter() - ended))
    return 1e6 * np.array(logs), [1e6 * statistics.median(each) for each in zip(*wholes, strict=True)]


def main() -> None:
    """Measure, print, and append a row for each stretch."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logs, (step, behind, update) = measured(arguments.batch, arguments.steps)
    arrived, left = logs[:, :, 0::2], logs[:, :, 1::2]
    began = np.concatenate([np.zeros_like(left[:, :, :1]), left[:, :, :-1]], axis=2)
    works, waits = np.median(arrived - began, axis=0), np.median(left - arrived, axis=0)
    rows = [
        {"stretch": name, "work_us": works[:, i].round(1).tolist(), "wait_us": waits[:, i].round(1).tolist()}
        for i, name in enumerate(STRETCHES)
    ]
    for name, alone in ((BEHIND, behind), ("Adam", update)):
        rows.append({"stretch": name, "work_us": [round(float(alone), 1), 0.0], "wait_us": [0.0, 0.0]})
    for row in rows:
        print(f"{row['stretch']:<70}{row['work_us']}  {row['wait_us']}")
    print(f"step {step:.0f} µs, update {update:.0f} µs")
    common = {"batch": arguments.batch, "step_us": round(step, 1), "steps": arguments.steps}
    for row in rows:
        append(arguments.json, row | common | circumstances(commit()))


if __name__ == "__main__":
    main()
