"""Compare inference with PyTorch's and onnxruntime's: the logits of the test set, and of a single image.

    python benchmarks/inference.py --peer-python PATH --json results/inference.jsonl

Contenders take turns in processes of their own, as in training_step.py. All have the same weights, and their
logits must agree. For the test set each takes the size of batches that it is fastest with, from the same few.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
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
from numnist.nn import Model, Preprocess, Reference, build
from numnist.train import Stream, generator

VARIANTS = ("eager", "channels_last", "compile", "jit_trace")

TOLERANCE = 1e-3
"""How far logits may be apart."""

SETTLING = 5
"""Batches of training images that move the running statistics; fresh ones would normalise nothing."""


def settled_model(name: str, preprocess: Preprocess, images: Array, labels: Array) -> Model:
    """A model whose running statistics are those of images."""
    network = build(name, preprocess.input_shape, len(preprocess.classes))
    model = Model(network, preprocess).initialise(generator(0, Stream.INITIALISATION))
    reference = Reference(model)
    for part in range(SETTLING):
        chosen = slice(128 * part, 128 * (part + 1))
        reference.loss_and_grads(preprocess(images[chosen]), labels[chosen], None)
    return model


def contenders(
    model: Model, folder: Path, sizes: list[int], single: bool, arguments: argparse.Namespace
) -> list[Contender]:
    """All that take part in a task."""
    job = {
        "kind": "infer",
        "layers": layers_of(model),
        "arrays": str(folder / "arrays.npz"),
        "sizes": sizes,
        "threads": arguments.threads,
    }
    found = [Contender("ours", {**job, "logits": logits_file(folder, "ours")})]
    theirs = [(f"torch_{variant}", variant, arguments.threads) for variant in VARIANTS if arguments.has_torch]
    if arguments.has_onnxruntime:
        theirs.append(("onnxruntime", "onnxruntime", arguments.threads))
        if single and arguments.threads > 1:
            theirs.append(("onnxruntime_1_thread", "onnxruntime", 1))
    for name, variant, threads in theirs:
        one = {**job, "variant": variant, "threads": threads, "logits": logits_file(folder, name)}
        found.append(Contender(name, one, arguments.peer_python, "torch_worker.py", optional=True))
    return found


def logits_file(folder: Path, contender: str) -> str:
    """Where a contender leaves its logits."""
    return str(folder / f"logits_{contender}.npy")


def check_logits(folder: Path, measured: Mapping[str, Measured]) -> None:
    """End the script where contenders disagree."""
    ours = np.load(logits_file(folder, "ours"))
    for name in measured:
        apart = np.abs(np.load(logits_file(folder, name)) - ours).max()
        if not apart <= TOLERANCE:
            sys.exit(f"inference.py: the logits of {name} are {apart:.2g} from ours, {TOLERANCE} allowed")


def main() -> None:
    """Compare both tasks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="cnn", help="of the zoo")
    parser.add_argument(
        "--batches", type=numbers, default=[125, 500, 1000], metavar="N,...", help="sizes to choose from"
    )
    parser.add_argument("--tasks", default="test set,single image", help="with a comma")
    add_flags(parser)
    arguments = parsed(parser)
    code = commit()  # now, while what is checked out is what was imported
    arguments.has_torch = has(arguments.peer_python, "torch")
    # The peer's worker makes the file for onnxruntime with torch and onnx.
    arguments.has_onnxruntime = arguments.has_torch and all(
        has(arguments.peer_python, module) for module in ("onnx", "onnxruntime")
    )
    if not arguments.has_torch:
        print(f"{arguments.peer_python} has no torch: ours alone is measured (see --peer-python)")
    elif not arguments.has_onnxruntime:
        print(f"{arguments.peer_python} lacks onnxruntime or onnx: onnxruntime is left out")
    _, train, test = mnist()
    preprocess = Preprocess.fit(train.images)
    model = settled_model(arguments.model, preprocess, train.images, train.labels)

    for task in arguments.tasks.split(","):
        single = task == "single image"
        chosen = test.take(slice(1 if single else None))
        sizes = [1] if single else arguments.batches
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_arrays(folder / "arrays.npz", model, preprocess(chosen.images), chosen.labels)
            measured = compare(
                contenders(model, folder, sizes, single, arguments), arguments.rounds, arguments.seconds
            )
            check_logits(folder, measured)
        shared = of_comparison(code, measured)
        for contender, of in measured.items():
            row = {
                "task": task,
                "contender": contender,
                "ms": round(of.over_rounds(), 4),
                "model": arguments.model,
                "images": len(chosen),
                "batch": of.facts["batch"],
                "threads": 1 if contender.endswith("_1_thread") else arguments.threads,
                "rounds": arguments.rounds,
                "seconds": arguments.seconds,
            }
            print(f"{task:14}{contender:24}{row['ms']:12} ms  in batches of {row['batch']}", flush=True)
            append(arguments.json, {**row, **shared})


if __name__ == "__main__":
    main()
