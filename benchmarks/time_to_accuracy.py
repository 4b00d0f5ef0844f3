"""Time whole runs of `numnist train`, from the start of the process to its end, with the accuracy printed.

    python benchmarks/time_to_accuracy.py --recipe one-epoch --json results/time_to_accuracy.jsonl

Reading the data, the test and the writing of the files are in the time, and so is the start of Python. Every
run counts: none is repeated to get a better figure. The peak of memory is looked for seldom, so that looking
costs no time; memory.py looks more often.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from accuracy import commit
from peers import add_output_flag, append, circumstances, cores_busy, numbers
from process_memory import PeakMemory

INTERVAL = 0.5
"""Seconds between two looks at the memory of a run."""

SETTLE = 1.0
"""Seconds before a run in which it is seen whether other processes are busy."""


def trained(flags: list[str], interval: float) -> dict[str, Any]:
    """Run `numnist train` on MNIST: seconds, peak of memory in MB, and what result.json says."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "numnist", "train", "--no-report", "--dataset", "mnist", *flags]
        started = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--runs", runs, "--name", "run"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        with PeakMemory(process.pid, interval) as memory:
            output, _ = process.communicate()
            seconds = time.perf_counter() - started
        if process.returncode != 0:
            sys.exit(f"{Path(sys.argv[0]).name}: numnist train failed: {output.strip()}")
        result: dict[str, Any] = json.loads((Path(runs) / "run" / "result.json").read_text())
    assert "test accuracy" in output, output  # what the time is the time to
    return {"seconds": round(seconds, 2), "peak_mb": memory.peak_mb, "result": result}


def main() -> None:
    """Time the seeds that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", default="one-epoch")
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2, 3, 4], metavar="N,...")
    parser.add_argument("--threads", type=int, help="cores to use; unless given, all")
    parser.add_argument("--limit", type=int, help="use only the first so many training images")
    add_output_flag(parser)
    arguments = parser.parse_args()
    code = commit()  # now, while what is checked out is what will run
    seconds: list[float] = []
    for seed in arguments.seeds:
        flags = ["--recipe", arguments.recipe, "--seed", str(seed)]
        for name in ("threads", "limit"):
            if getattr(arguments, name) is not None:
                flags += [f"--{name}", str(getattr(arguments, name))]
        elsewhere = cores_busy(SETTLE)
        run = trained(flags, INTERVAL)
        result = run.pop("result")
        row = {
            "recipe": arguments.recipe,
            "seed": seed,
            **run,
            **{
                key: result[key]
                for key in ("test_accuracy", "test_errors", "epochs", "trained_on", "dataset")
            },
            "threads": arguments.threads,
            **circumstances(code, [elsewhere]),
        }
        seconds.append(row["seconds"])
        print(
            f"{arguments.recipe} seed {seed}: {row['test_accuracy']:.2%} in {row['seconds']} s, "
            f"peak {row['peak_mb']} MB",
            flush=True,
        )
        append(arguments.json, row)
    print(f"median of {len(seconds)} runs: {statistics.median(seconds):.2f} s")


if __name__ == "__main__":
    main()
