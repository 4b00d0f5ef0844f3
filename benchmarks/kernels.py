"""Time every kernel of the engine, forward and backward on one core, against the ops that it replaces.

    python benchmarks/kernels.py [--samples 64] [--rounds 7] [--json FILE]

Kernel and ops take turns; a figure is the median over the rounds. Both in float32, on random values.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from numnist.arrays import Shape
from numnist.engine import plan
from numnist.engine.kernels.head import Head
from numnist.engine.meeting import Meeting
from numnist.engine.memory import Scratch, aligned
from numnist.engine.stage import Ends, Shard, Stage, run
from numnist.nn import Layer, Model, Preprocess, network_from
from numnist.ops import softmax_cross_entropy

Description = list[dict[str, Any]]

CLASSIFIER: Description = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]
BLOCK: Description = [
    {"type": "Conv2d", "out_channels": 16, "kernel_size": 5},
    {"type": "BatchNorm"},
    {"type": "ReLU"},
    {"type": "MaxPool2d", "size": 2},
]

CASES: dict[str, Description] = {
    "InputConvolution": [*BLOCK, *CLASSIFIER],
    "WinogradConvolution": [*BLOCK, {**BLOCK[0], "out_channels": 32}, *BLOCK[1:], *CLASSIFIER],
    "Dense": [CLASSIFIER[0], {"type": "Linear", "out_features": 60}, {"type": "ReLU"}, CLASSIFIER[1]],
    "WideDense": [
        CLASSIFIER[0],
        {"type": "Linear", "out_features": 600},
        {"type": "ReLU"},
        BLOCK[1],
        CLASSIFIER[1],
    ],
    "DensePair": [CLASSIFIER[0], {"type": "Linear", "out_features": 600}, {"type": "ReLU"}, CLASSIFIER[1]],
    "ColumnDense": [*BLOCK, *CLASSIFIER],
    "Reorder": [*BLOCK, CLASSIFIER[0], {"type": "Linear", "out_features": 100}, CLASSIFIER[1]],
    "Operation": [{"type": "AvgPool2d", "size": 2}, *CLASSIFIER],
    "Head": CLASSIFIER,
}
"""A network for each kernel; the last of its stages that is this kernel, and can be, is timed."""


def model_of(description: Description) -> Model:
    """The network with fresh weights."""
    preprocess = Preprocess()
    network = network_from(description, preprocess.input_shape, len(preprocess.classes))
    return Model(network, preprocess).initialise(np.random.default_rng(0))


def of_ops(layers: list[Layer], sample: Shape, n: int) -> Callable[[], object]:
    """Forward and backward through the layers' ops."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, *sample)).astype(np.float32)
    dy = np.ones_like(layers_forward(layers, x)[0])

    def work() -> None:
        _, caches = layers_forward(layers, x)
        gradient = dy
        for layer, cache in zip(reversed(layers), reversed(caches), strict=True):
            gradient, _ = layer.backward(gradient, cache)

    return work


def layers_forward(layers: list[Layer], x: Any) -> tuple[Any, list[Any]]:
    """The output in training mode, and the caches."""
    caches = []
    for layer in layers:
        x, cache = layer.forward(x, True, np.random.default_rng(0))
        caches.append(cache)
    return x, caches


def of_kernel(stage: Stage, model: Model, n: int) -> Callable[[], object]:
    """The same by the kernel, for one shard that is the whole batch."""
    rng = np.random.default_rng(0)
    shard = Shard(0, n, 0, 1, n, Scratch())
    shapes = stage.takes.shape(n, stage.input_shape), stage.gives.shape(n, stage.output_shape)
    x, y, dx, dy = (aligned(shape) for shape in (*shapes, *shapes))
    x[...], dy[...] = rng.normal(size=x.shape), 1
    shared = stage.shared(n, 1, aligned)
    stage.see(shared, x, y)
    work = stage.training(shard, shared, Ends(x, y, dx, dy))
    gradients = model.layout.views(np.zeros_like(model.parameters))
    stage.refresh(training=True)
    share = work.sharing(gradients)

    def finish(program: Any) -> None:
        answer = None
        while True:
            try:
                meeting: Meeting = program.send(answer)
            except StopIteration:
                return
            answer = meeting.merge()

    def both() -> None:
        finish(work.forward(rng))
        finish(work.backward())
        stage.finish(shared, gradients)
        run(share)

    return both


def head(n: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """The loss by its op and by its kernel."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(n, 10)).astype(np.float32), rng.integers(0, 10, n)
    features = np.ascontiguousarray(logits.T)
    kernel = Head(features, np.empty_like(features), n, 0.1)

    def by_op() -> None:
        _, cache = softmax_cross_entropy.forward(logits, labels, 0.1)
        softmax_cross_entropy.backward(1.0, cache)

    return by_op, partial(kernel.of_labels, labels)


def contenders(name: str, n: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Ops and kernel of a case."""
    if name == "Head":
        return head(n)
    model = model_of(CASES[name])
    stages = plan(model.network, model.preprocess.input_shape).stages
    stage = [stage for stage in stages if type(stage).__name__ == name and stage.names][-1]
    if name == "Dense":  # the wide one, not the classifier behind it
        stage = next(stage for stage in stages if type(stage).__name__ == name)
    layers = {position: layer for position, layer, _, _ in model.network.leaves(model.preprocess.input_shape)}
    ops = of_ops([layers[position] for position in stage.names], stage.input_shape, n)
    return ops, of_kernel(stage, model, n)


def milliseconds(work: Callable[[], object], seconds: float = 0.1) -> float:
    """Median time of one call, over about so many seconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def main() -> None:
    """Time all cases."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    print(f"{'kernel':<22}{'ops, ms':>10}{'kernel, ms':>12}{'ratio':>8}")
    with threadpool_limits(1, user_api="blas"):
        for name in CASES:
            pair = contenders(name, arguments.samples)
            rounds = [[milliseconds(work) for work in pair] for _ in range(arguments.rounds)]
            ops, kernel = (statistics.median(times) for times in zip(*rounds, strict=True))
            rows.append({"kernel": name, "samples": arguments.samples, "ops_ms": ops, "kernel_ms": kernel})
            print(f"{name:<22}{ops:>10.3f}{kernel:>12.3f}{ops / kernel:>8.1f}", flush=True)
    if arguments.json:
        arguments.json.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
