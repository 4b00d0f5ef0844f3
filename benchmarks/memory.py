"""Compare the peak of memory of an epoch of training with PyTorch's.

    python benchmarks/memory.py --peer-python PATH --json results/memory.jsonl

Ours is `python -m numnist train --epochs 1`. PyTorch's process trains the same network, eager, on the same
images in batches of the same size, and tests it. The peak is that of the process and all that descend from it
(see `process_memory`), looked at every 50 ms: Python, libraries and data are in it. Nothing is timed.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import commit
from peers import (
    Contender,
    add_output_flag,
    add_peer_flag,
    append,
    circumstances,
    has,
    layers_of,
    mnist,
    peak_memory,
    write_arrays,
)
from process_memory import INTERVAL
from time_to_accuracy import trained

from numnist.data import Dataset
from numnist.engine import available_cores
from numnist.train import prepare, resolve

BATCH = 128


def flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of the run that both do."""
    settings: dict[str, Any] = {"model": arguments.model, "epochs": 1, "batch_size": BATCH}
    return settings if arguments.limit is None else {**settings, "limit": arguments.limit}


def ours(arguments: argparse.Namespace) -> dict[str, Any]:
    """Our peak in MB, and the accuracy."""
    given = [
        word
        for name, value in flags(arguments).items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    run = trained([*given, "--threads", str(arguments.threads)], INTERVAL)
    return {"peak_mb": run["peak_mb"], "test_accuracy": run["result"]["test_accuracy"]}


def peer_contender(dataset: Dataset, folder: Path, arguments: argparse.Namespace) -> Contender:
    """PyTorch's part, with the very images that ours is trained, validated and tested on."""
    assert dataset.train is not None
    assert dataset.test is not None
    recipe, config = resolve(flags(arguments))
    run = prepare(recipe, config, dataset, threads=1)
    images = run.trainer.images
    trained_on, validation = dataset.train.take(images.indices), run.trainer.validation
    assert validation is not None
    splits = {"train": trained_on, "val": validation, "test": dataset.test}
    for name, split in splits.items():
        np.savez(folder / f"{name}.npz", images=split.images, labels=split.labels)
    arrays = folder / "arrays.npz"
    write_arrays(arrays, run.model, images.preprocess(trained_on.images[:1]), trained_on.labels[:1])
    job = {
        "kind": "epoch",
        "layers": layers_of(run.model),
        "arrays": str(arrays),
        "images": str(folder),
        "mean": images.preprocess.mean,
        "std": images.preprocess.std,
        "batch": BATCH,
        "threads": arguments.threads,
    }
    return Contender("torch_eager", job, arguments.peer_python, "torch_worker.py")


def main() -> None:
    """Measure both, in turns."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="cnn", help="of the zoo")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--limit", type=int, help="use only the first so many training images")
    add_output_flag(parser)
    add_peer_flag(parser)
    arguments = parser.parse_args()
    code = commit()  # now, while what is checked out is what will run
    dataset, _, _ = mnist()
    has_torch = has(arguments.peer_python, "torch")
    if not has_torch:
        print(f"{arguments.peer_python} has no torch: ours alone is measured (see --peer-python)")

    runs: dict[str, list[dict[str, Any]]] = {"ours": []}
    with tempfile.TemporaryDirectory() as folder:
        peer = peer_contender(dataset, Path(folder), arguments) if has_torch else None
        for _ in range(arguments.repeats):
            runs["ours"].append(ours(arguments))
            if peer is not None:
                peak, facts = peak_memory(peer, 0)
                runs.setdefault(peer.name, []).append({"peak_mb": peak, **facts})
    versions = {} if peer is None else {"torch": runs[peer.name][0]["torch"]}
    for contender, of_contender in runs.items():
        row = {
            "contender": contender,
            "peak_mb": round(statistics.median(run["peak_mb"] for run in of_contender), 1),
            "peaks_mb": [run["peak_mb"] for run in of_contender],
            "test_accuracy": of_contender[0]["test_accuracy"],
            **flags(arguments),
            "threads": arguments.threads,
            **circumstances(code, versions=versions),
        }
        print(
            f"{contender:12}{row['peak_mb']:9.1f} MB, median of {row['peaks_mb']}; "
            f"accuracy {row['test_accuracy']:.2%}",
            flush=True,
        )
        append(arguments.json, row)


if __name__ == "__main__":
    main()
