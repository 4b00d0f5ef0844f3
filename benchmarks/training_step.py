"""Compare a training step (forward, loss, backward, Adam) with PyTorch's, eager and compiled.

    python benchmarks/training_step.py --peer-python PATH --json results/training_step.jsonl

Every contender has a process of its own, and all take turns; a figure is the median over the rounds of the
median step of a turn (see `peers`). They get the same weights and the same batches of MNIST, as many threads,
and must agree on the loss of the first step. PyTorch's columns stay empty where its interpreter has no torch.

GFLOP/s are useful ones: what the products of a step need as they are written, however they are computed. The
peak is what NumPy gets out of a large product of float32 matrices between the same turns; an algorithm that
needs fewer operations (Winograd's) may come out above it.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accuracy import commit
from peers import (
    Contender,
    Measured,
    add_flags,
    append,
    compare,
    has,
    layers_of,
    mnist,
    numbers,
    of_comparison,
    parsed,
    write_arrays,
)

from numnist.arrays import Array
from numnist.nn import Model, Preprocess, build
from numnist.train import Stream, generator

IMAGES = 8192
"""How many images the batches are cut from: 25 MB in float32, more than a cache holds."""

VARIANTS = ("eager", "channels_last", "compile")

TOLERANCE = 1e-4
"""How far the first loss may be from ours, relative to it: contenders that differ more do other work."""

COLUMNS = ("ours_ms", *(f"torch_{variant}_ms" for variant in VARIANTS), "ratio", "gflops", "peak_gflops")


def useful_flops(model: Model, batch: int) -> int:
    """Floating-point operations in the matrix products of a step.

    Forward, the gradient of the weights and that of the input take a multiply-add each, two operations; the
    first layer that has weights need not know the gradient of its input.
    """
    shape = model.preprocess.input_shape
    first = next(
        layer.multiply_adds(before)
        for _, layer, before, _ in model.network.leaves(shape)
        if layer.parameter_shapes()
    )
    return batch * (6 * model.network.multiply_adds(shape) - 2 * first)


def contenders(model: Model, arrays: Path, batch: int, arguments: argparse.Namespace) -> list[Contender]:
    """All that take part."""
    job = {
        "kind": "train",
        "layers": layers_of(model),
        "arrays": str(arrays),
        "batch": batch,
        "threads": arguments.threads,
    }
    found = [
        Contender("ours", job),
        Contender("sgemm", {"kind": "sgemm", "threads": arguments.threads}),
    ]
    if arguments.reference:
        found.append(Contender("reference", {**job, "executor": "reference"}))
    if arguments.has_torch:
        found += [
            Contender(
                f"torch_{variant}",
                {**job, "variant": variant},
                arguments.peer_python,
                "torch_worker.py",
                optional=True,
            )
            for variant in VARIANTS
        ]
    return found


def check_losses(measured: Mapping[str, Measured]) -> None:
    """End the script where contenders disagree on the loss of the first step."""
    ours = measured["ours"].facts["loss"]
    for name, of in measured.items():
        if abs(of.facts.get("loss", ours) - ours) > TOLERANCE * abs(ours):
            sys.exit(f"training_step.py: the first loss of {name} is {of.facts['loss']}, ours {ours}")


def row(
    name: str, model: Model, batch: int, measured: Mapping[str, Measured], arguments: argparse.Namespace
) -> dict[str, Any]:
    """The figures of a model and a size of batch."""
    ms = {
        f"{contender}_ms": round(of.over_rounds(), 4)
        for contender, of in measured.items()
        if contender != "sgemm"
    }
    variants = [f"torch_{variant}_ms" for variant in VARIANTS]
    theirs = [ms[variant] for variant in variants if variant in ms]
    sgemm = measured["sgemm"]
    return {
        "model": name,
        "batch": batch,
        **dict.fromkeys(variants),
        **ms,
        "ratio": round(min(theirs) / ms["ours_ms"], 3) if theirs else None,
        "gflops": round(useful_flops(model, batch) / ms["ours_ms"] / 1e6, 1),
        "peak_gflops": round(sgemm.facts["flops"] / sgemm.over_rounds("best") / 1e6, 1),
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
    }


def training_batches() -> tuple[Array, Array, Preprocess]:
    """Shuffled training images as the networks take them, and their labels."""
    _, train, _ = mnist()
    preprocess = Preprocess.fit(train.images)
    chosen = train.take(generator(0, Stream.SHUFFLING).permutation(len(train))[:IMAGES])
    return preprocess(chosen.images), chosen.labels, preprocess


def main() -> None:
    """Compare the models and sizes of batches that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default="cnn,mlp", help="of the zoo, with commas")
    parser.add_argument("--batches", type=numbers, default=[32, 128, 512], metavar="N,...")
    parser.add_argument("--reference", action="store_true", help="measure the reference executor too")
    add_flags(parser)
    arguments = parsed(parser)
    if not all(1 <= batch <= IMAGES for batch in arguments.batches):
        parser.error(f"expected --batches from 1 to {IMAGES}")
    code = commit()  # now, while what is checked out is what was imported
    arguments.has_torch = has(arguments.peer_python, "torch")
    if not arguments.has_torch:
        print(f"{arguments.peer_python} has no torch: its columns stay empty (see --peer-python)")
    x, y, preprocess = training_batches()

    print(f"{'model':10}{'batch':>6}" + "".join(f"{column:>24}" for column in COLUMNS), flush=True)
    for name in arguments.models.split(","):
        network = build(name, preprocess.input_shape, len(preprocess.classes))
        model = Model(network, preprocess).initialise(generator(0, Stream.INITIALISATION))
        for batch in arguments.batches:
            with tempfile.TemporaryDirectory() as folder:
                arrays = Path(folder) / "arrays.npz"
                write_arrays(arrays, model, x, y)
                measured = compare(
                    contenders(model, arrays, batch, arguments), arguments.rounds, arguments.seconds
                )
            check_losses(measured)
            figures = row(name, model, batch, measured, arguments)
            shown = (figures[column] for column in COLUMNS)
            print(
                f"{name:10}{batch:6}" + "".join(f"{'-' if value is None else value:>24}" for value in shown),
                flush=True,
            )
            append(arguments.json, {**figures, **of_comparison(code, measured)})


if __name__ == "__main__":
    main()
