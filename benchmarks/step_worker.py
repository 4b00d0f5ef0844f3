"""One contender of ours in a process of its own; `peers.Worker` starts it with a job (see `turns`).

A job's `kind` is what is timed:

    train         a training step: forward, loss, backward, Adam. layers, arrays, batch, threads, executor
    infer         the logits of images. layers, arrays, sizes, threads, logits
    training_set  a step with its data: shuffled, preprocessed. layers, images, labels, n, batch, threads
    sgemm         a large product of float32 matrices, the most that NumPy gets out of the cores. threads

arrays: an .npz file with x, y and the parameters and buffers of the model (see `peers.write_arrays`).
"""

import time
from collections.abc import Callable
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from turns import (
    WARM_UP,
    Turn,
    fastest,
    serve,
    sweep,
    timed,
    warmed_up,
)

from numnist.arrays import Array
from numnist.data import Augmentation, load_idx_dataset
from numnist.engine import Engine, share_parameters
from numnist.nn import Executor, Model, Preprocess, Reference, network_from
from numnist.optim import Adam, Update
from numnist.train import Stream, TrainingImages, generator

Job = dict[str, Any]

RATE = 1e-3
"""Learning rate; it does not change how long a step takes."""

GEMM = 2048
"""Side of the matrices whose product shows what the cores can do: they do not fit into the caches."""


def new_model(job: Job, preprocess: Preprocess | None = None) -> Model:
    """The model of a job, with weights for training."""
    preprocess = preprocess or Preprocess()
    network = network_from(job["layers"], preprocess.input_shape, len(preprocess.classes))
    return Model(network, preprocess).initialise(generator(0, Stream.INITIALISATION))


def load(job: Job) -> tuple[Model, Array, Array]:
    """Model, x and y as they were written."""
    arrays = np.load(job["arrays"])
    model = new_model(job)
    for name, array in model.named_arrays():
        array[...] = arrays[f"state.{name}"]
    model.mark_changed()
    return model, arrays["x"], arrays["y"]


def training_step(executor: Executor, model: Model) -> Callable[[Array, Array], float]:
    """What the training loop does with a batch; returns its loss."""
    optimizer = Adam()
    update = Update(optimizer, optimizer.init(model.parameters))

    def step(x: Array, y: Array) -> float:
        result = executor.loss_and_grads(x, y, None)
        executor.update(update, RATE)
        return result.loss

    return step


def train(job: Job) -> tuple[Turn, dict[str, Any]]:
    """A training step on one batch after another; all contenders must agree on the loss of the first."""
    model, x, y = load(job)
    executor: Executor = Reference(model)
    if job.get("executor") != "reference":
        share_parameters(model)  # as `train.prepare` does
        executor = Engine(model, threads=job["threads"])
    step, size = training_step(executor, model), job["batch"]
    starts = cycle(range(0, len(x) - size + 1, size))

    def next_step() -> float:
        start = next(starts)
        return step(x[start : start + size], y[start : start + size])

    facts = {"loss": next_step()}
    return warmed_up(next_step), facts


def infer(job: Job) -> tuple[Turn, dict[str, Any]]:
    """The logits of all images; they are written to `logits` once, to be compared."""
    model, x, _ = load(job)
    engine = Engine(model, threads=job["threads"])
    size = fastest(job["sizes"], engine.predict, x)
    np.save(job["logits"], np.concatenate(sweep(engine.predict, x, size)))
    return warmed_up(lambda: sweep(engine.predict, x, size)), {"batch": size}


def training_set(job: Job) -> tuple[Turn, dict[str, Any]]:
    """Training on the images of an IDX file, in memory or on disk as in a run; what an image costs, in µs.

    Every turn begins an epoch. What that takes is for n images, and counts for each of them alike.
    """
    n, size = job["n"], job["batch"]
    split = load_idx_dataset(Path(job["images"]), Path(job["labels"])).train
    assert split is not None
    preprocess = Preprocess.fit_parts(partial(split.parts, np.arange(n)))
    batches = TrainingImages(split, np.arange(n), preprocess, Augmentation(), size, seed=0)
    model = new_model(job, preprocess)
    share_parameters(model)
    step, epochs = training_step(Engine(model, threads=job["threads"]), model), count()

    def turn(seconds: float) -> dict[str, Any]:
        started = time.perf_counter()
        batch = batches.epoch(next(epochs))
        step(*next(batch))
        beginning = time.perf_counter() - started

        def next_step() -> None:
            nonlocal batch
            images_and_labels = next(batch, None)
            if images_and_labels is None:
                batch = batches.epoch(next(epochs))
                images_and_labels = next(batch)
            step(*images_and_labels)

        measured = timed(next_step, seconds)
        return {"image_us": 1e3 * measured["median"] / size + 1e6 * beginning / n, **measured}

    # The last batch of an epoch is smaller and has memory of its own, which short turns would not come to.
    x, y = next(batches.epoch(next(epochs)))
    step(x[: n % size or size], y[: n % size or size])
    turn(WARM_UP)
    return turn, {}


def sgemm(job: Job) -> tuple[Turn, dict[str, Any]]:
    """The product of two large matrices, by as many threads of BLAS."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((GEMM, GEMM), np.float32) for _ in range(2))
    c = np.empty_like(a)
    threadpool_limits(job["threads"], user_api="blas")  # for the rest of this process
    return warmed_up(lambda: np.matmul(a, b, out=c)), {"flops": 2 * GEMM**3}


KINDS = {"train": train, "infer": infer, "training_set": training_set, "sgemm": sgemm}

if __name__ == "__main__":
    serve(lambda job: KINDS[job["kind"]](job))
