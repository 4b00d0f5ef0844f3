"""Kill training runs with -9 at random moments, have each go on, and compare the bytes that they end in.

    python tools/torture_kills.py --kills 200 --seed 0

Appends a row to results/torture.jsonl. A chain is one run that is killed again and again: each of its
processes lives for a random time, the last one for as long as it likes.
"""

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from rows import ROOT

from numnist.data import write_idx

SAME = ("model.safetensors", "history.jsonl", "result.json")
PER_CHAIN = 5
"""Kills of one run at most."""

NETWORK = """
[[layers]]
type = "Conv2d"
out_channels = 4
kernel_size = 3
[[layers]]
type = "BatchNorm"
[[layers]]
type = "ReLU"
[[layers]]
type = "MaxPool2d"
size = 2
[[layers]]
type = "Flatten"
[[layers]]
type = "Dropout"
rate = 0.2
[[layers]]
type = "Linear"
out_features = "classes"
"""
TRAIN = (
    "train", "--data", "own", "--model", "own.toml", "--epochs", "6", "--batch-size", "8", "--no-report",
    "--augment.rotation", "10", "--augment.elastic", "2", "--average", "0.99", "--label-smoothing", "0.1",
    "--early-stopping.patience", "5",
)  # fmt: skip


def prepare(folder: Path) -> None:
    """A data set and a network of one's own."""
    rng = np.random.default_rng(0)
    (folder / "own").mkdir()
    (folder / "own.toml").write_text(NETWORK)
    for stem, n in (("train", 900), ("t10k", 3000)):
        labels = rng.integers(0, 4, n).astype(np.uint8)
        images = rng.integers(0, 120, (n, 12, 12), np.uint8)
        images[np.arange(n), 3 * labels] += 100
        write_idx(folder / f"own/{stem}-images-idx3-ubyte", images)
        write_idx(folder / f"own/{stem}-labels-idx1-ubyte", labels)


def command(*arguments: str) -> list[str]:
    """A command line of numnist."""
    return [sys.executable, "-m", "numnist", *arguments]


def contents(run: Path) -> dict[str, bytes]:
    """The files that have to be the same."""
    return {name: (run / name).read_bytes() for name in SAME}


def moment(run: Path) -> str:
    """Where a kill has struck, by what it left."""
    if not run.exists():
        return "before there was a folder"
    halves = [path.name for path in run.iterdir() if path.name.startswith(".") and path.name != ".lock"]
    if halves:
        return "in the midst of writing a file"
    if not (run / "checkpoint.safetensors").exists():
        return "before the first checkpoint"
    history = run / "history.jsonl"
    epochs = len(history.read_text().splitlines()) if history.exists() else 0
    if (run / "result.json").exists():
        return "when all was done"
    return "behind the last epoch" if epochs == 6 else "between checkpoints"


def chain(folder: Path, name: str, kills: int, seconds: float, rng: random.Random) -> list[str]:
    """One run, killed so many times, then left in peace; where the kills struck."""
    run, struck = folder / "runs" / name, []
    going = command(*TRAIN, "--name", name, "--checkpoint-every", str(rng.choice((3, 10, 40, 1000))))
    for _ in range(kills):
        threads = str(rng.choice((1, 2)))
        with subprocess.Popen(
            [*going, "--threads", threads], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(rng.uniform(0.3, 1.0) * seconds)
            alive = process.poll() is None
            process.kill()
        if run.exists():
            every = str(rng.choice((3, 10, 40, 1000)))
            going = command("train", "--resume", name, "--checkpoint-every", every, "--no-report")
        if not alive:  # it was faster, and there was nothing to kill
            break
        struck.append(moment(run))
    done = subprocess.run(going, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {struck}: {done.stderr}")
    return struck


def campaign(kills: int, seed: int, folder: Path) -> dict[str, object]:
    """So many kills; the row of results. Ends the process with words where the bytes are others."""
    prepare(folder)
    rng = random.Random(seed)
    took = []
    for name in ("timed", "straight"):
        began = time.monotonic()
        subprocess.run(command(*TRAIN, "--name", name), cwd=folder, check=True, capture_output=True)
        took.append(time.monotonic() - began)
    seconds = min(took)
    expected = contents(folder / "runs" / "straight")
    struck: Counter[str] = Counter()
    chains = 0
    while struck.total() < kills:
        name = f"chain-{chains}"
        struck.update(
            chain(folder, name, min(rng.randint(1, PER_CHAIN), kills - struck.total()), seconds, rng)
        )
        if contents(folder / "runs" / name) != expected:
            sys.exit(f"{name} ended in other bytes")
        chains += 1
        print(f"{struck.total()} kills in {chains} runs: same bytes", flush=True)
    return {
        "campaign": "kills",
        "kills": struck.total(),
        "runs": chains,
        "different": 0,
        "struck": dict(sorted(struck.items())),
        "seed": seed,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def main() -> None:
    """Run the campaign and append its row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = campaign(arguments.kills, arguments.seed, Path(folder))
    with (ROOT / "results" / "torture.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
