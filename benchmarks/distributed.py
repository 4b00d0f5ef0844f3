"""A training step on one rank and on two, with a core each, and what their messages cost.

    python benchmarks/distributed.py --json results/distributed.jsonl

All points take turns (see `peers`). Besides what the title says there are steps of one rank on the parts that
up to sixteen ranks would have of a batch, for each recipe's network: docs/distributed.md adds the messages to
them. mpiexec has to be that of mpi4py's MPI; the one beside this interpreter is taken first.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accuracy import commit
from peers import Contender, add_flags, append, compare, layers_of, of_comparison, parsed

from numnist.nn import Model, Preprocess, build
from numnist.train import recipes, resolve

MEASURED = (("cnn", 128), ("cnn", 512), ("mlp", 128))
"""Networks and batches that are run on one rank and on two."""

RANKS = (1, 2, 4, 8, 16)

MESSAGES = ((4, "all-reduce"), (2**22, "all-reduce"), (8, "gathering"), (2**22, "gathering"))
"""Bytes of what is sent: next to none shows the latency, much of it the bandwidth."""


def layers(name: str) -> list[dict[str, Any]]:
    """The description of a network of the zoo."""
    preprocess = Preprocess()
    return layers_of(Model(build(name, preprocess.input_shape, len(preprocess.classes)), preprocess))


def parts() -> list[tuple[str, int]]:
    """Network and size of each part that a rank may have of a recipe's batch."""
    settings = [resolve({}, recipe)[1] for recipe in recipes()]
    return sorted({(each.model, -(-each.batch_size // ranks)) for each in settings for ranks in RANKS})


def points() -> Iterator[tuple[int, dict[str, Any]]]:
    """How many ranks, and the job."""
    for model, batch in MEASURED:
        for ranks, threads in ((1, 1), (2, 1), (1, 2)):
            yield ranks, {"kind": "step", "model": model, "batch": batch, "threads": threads}
    for model, batch in parts():
        if (model, batch) not in MEASURED:
            yield 1, {"kind": "step", "model": model, "batch": batch, "threads": 1}
    for size, what in MESSAGES:
        yield 2, {"kind": "message", "what": what, "bytes": size}


def mpiexec() -> str:
    """The program that starts ranks."""
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    return found or sys.exit("distributed.py: no mpiexec: pip install mpich")


def main() -> None:
    """Measure all points."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_flags(parser, peer=False)
    arguments = parsed(parser)
    code = commit()  # now, while what is checked out is what was imported
    launcher, jobs = mpiexec(), list(points())
    contenders = [
        Contender(
            str(number),
            job if job["kind"] == "message" else {**job, "layers": layers(job["model"])},
            script="distributed_worker.py",
            launcher=(launcher, "-n", str(ranks)),
        )
        for number, (ranks, job) in enumerate(jobs)
    ]
    measured = compare(contenders, arguments.rounds, arguments.seconds)
    shared = of_comparison(code, measured)
    for number, (ranks, job) in enumerate(jobs):
        ms = measured[str(number)].over_rounds()
        row = {**job, "ranks": ranks, "ms": round(ms, 5), "rounds": arguments.rounds}
        print(" ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        append(arguments.json, {**row, "seconds": arguments.seconds, **shared})


if __name__ == "__main__":
    main()
