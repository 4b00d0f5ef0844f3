"""How the cost of training grows: with threads, with the size of batches, and with the training set.

    python benchmarks/scaling.py --json results/scaling.jsonl

Every point has a process of its own, and all points of a sweep take turns (see `peers`). The training sets
are built-in digits, written to IDX files in parts; a large one is read from disk as in a run. A peak is that
of the process and all that it forks.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import commit
from peers import (
    Contender,
    add_flags,
    append,
    compare,
    layers_of,
    numbers,
    of_comparison,
    parsed,
    peak_memory,
    write_arrays,
)

from numnist.data import synthetic_digits
from numnist.engine import available_cores
from numnist.nn import Model, Preprocess, build
from numnist.train import Stream, generator

BATCH = 128

SET_BATCH = 120
"""In the sweep over training sets: it divides their sizes, so that no last batch, which is smaller and has
memory of its own, makes one of them cost more than another."""

PART = 10_000
"""Digits that are drawn and written at once."""

IMAGES = 8192
"""Digits that the batches of the first two sweeps are cut from."""

SWEEPS = ("threads", "batch", "images")


def draw(n: int, folder: Path) -> tuple[Path, Path]:
    """Write the first n built-in digits, and their labels, as IDX files that never are in memory whole."""
    images, labels = folder / f"images-{n}", folder / f"labels-{n}"
    with images.open("wb") as image_file, labels.open("wb") as label_file:
        image_file.write(idx_header(n, *Preprocess().image_size))
        label_file.write(idx_header(n))
        for start in range(0, n, PART):
            digits = synthetic_digits(min(PART, n - start), seed=0, start=start)
            digits.images.tofile(image_file)
            digits.labels.astype(np.uint8).tofile(label_file)
    return images, labels


def idx_header(*shape: int) -> bytes:
    """What stands in front of an array of bytes in an IDX file (see `data.read_idx`)."""
    return bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()


def new_model(name: str, preprocess: Preprocess) -> Model:
    """A model of the zoo with weights for training."""
    network = build(name, preprocess.input_shape, len(preprocess.classes))
    return Model(network, preprocess).initialise(generator(0, Stream.INITIALISATION))


def step_jobs(sweep: str, folder: Path, arguments: argparse.Namespace) -> dict[int, dict[str, Any]]:
    """Training steps over numbers of threads or sizes of batches, by these."""
    digits = synthetic_digits(IMAGES, seed=0)
    preprocess = Preprocess.fit(digits.images)
    model, arrays = new_model(arguments.model, preprocess), folder / "arrays.npz"
    write_arrays(arrays, model, preprocess(digits.images), digits.labels)
    job = {
        "kind": "train",
        "layers": layers_of(model),
        "arrays": str(arrays),
        "batch": BATCH,
        "threads": available_cores(),
    }
    points = arguments.threads if sweep == "threads" else arguments.batches
    return {point: {**job, sweep: point} for point in points}


def set_jobs(folder: Path, arguments: argparse.Namespace) -> dict[int, dict[str, Any]]:
    """Training over sizes of the training set, by these."""
    job = {
        "kind": "training_set",
        "layers": layers_of(new_model(arguments.model, Preprocess())),
        "batch": SET_BATCH,
        "threads": available_cores(),
    }
    files = {n: map(str, draw(n, folder)) for n in arguments.images}
    return {n: {**job, "n": n, **dict(zip(("images", "labels"), files[n], strict=True))} for n in files}


def measure(sweep: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of a sweep."""
    with tempfile.TemporaryDirectory() as name:
        in_sets = sweep == "images"
        jobs = set_jobs(Path(name), arguments) if in_sets else step_jobs(sweep, Path(name), arguments)
        contenders = {point: Contender(str(point), job) for point, job in jobs.items()}
        measured = compare(list(contenders.values()), arguments.rounds, arguments.seconds)
        peaks = {
            point: peak_memory(contender, arguments.seconds)[0]
            for point, contender in contenders.items()
            if in_sets
        }
    rows = []
    first: float | None = None
    for point, job in jobs.items():
        of = measured[str(point)]
        ms, size = of.over_rounds(), job["batch"]
        image_us = of.over_rounds("image_us") if in_sets else 1e3 * ms / size
        first = first or image_us
        rows.append(
            {
                "sweep": sweep,
                sweep: point,
                "step_ms": round(ms, 4),
                "image_us": round(image_us, 3),
                "relative": round(image_us / first, 3),
                "peak_mb": peaks.get(point),
                "model": arguments.model,
                "batch": size,
                "threads": job["threads"],
                "rounds": arguments.rounds,
                "seconds": arguments.seconds,
            }
        )
    shared = of_comparison(arguments.commit, measured)
    return [{**row, **shared} for row in rows]


def thread_counts() -> list[int]:
    """1, 2, 4, ... up to the cores that there are, and these."""
    cores = available_cores()
    return sorted({*(2**i for i in range(cores.bit_length()) if 2**i <= cores), cores})


def main() -> None:
    """Measure the sweeps that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sweeps", default=",".join(SWEEPS), help="with commas")
    parser.add_argument("--model", default="cnn", help="of the zoo")
    parser.add_argument("--threads", type=numbers, default=thread_counts(), metavar="N,...")
    parser.add_argument("--batches", type=numbers, default=[32, 64, 128, 256, 512, 1024], metavar="N,...")
    parser.add_argument("--images", type=numbers, default=[6_000, 60_000, 600_000], metavar="N,...")
    add_flags(parser, peer=False)
    arguments = parsed(parser)
    if not set(arguments.sweeps.split(",")) <= set(SWEEPS):
        parser.error(f"expected --sweeps from {', '.join(SWEEPS)}")
    if min(arguments.images) < SET_BATCH or max(arguments.batches) > IMAGES:
        parser.error(f"expected --images of at least {SET_BATCH} and --batches of at most {IMAGES}")
    arguments.commit = commit()  # now, while what is checked out is what was imported
    for sweep in arguments.sweeps.split(","):
        for row in measure(sweep, arguments):
            peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:10.1f} MB"
            print(
                f"{sweep:8}{row[sweep]:8}{row['step_ms']:12.3f} ms a step{row['image_us']:10.2f} µs an image"
                f"{row['relative']:8.3f} of the first{peak}",
                flush=True,
            )
            append(arguments.json, row)


if __name__ == "__main__":
    main()
