"""Train the cnn on built-in digits alone and measure it on MNIST.

    python benchmarks/synthetic_to_mnist.py --seeds 0,1,2
    python benchmarks/synthetic_to_mnist.py --seeds 0,1,2 --test

Without `--test` it measures on the first 10,000 training images of MNIST, which is what the generator was
tuned on, and writes nothing. With it, it reads MNIST's test set and appends a row per seed to
results/synthetic.jsonl; that is for a generator that is finished, and a seed that already has a row for the
same digits and settings is left out. Training never sees an image of MNIST.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from accuracy import commit, measure

from numnist.data import Split, load_mnist
from numnist.data.synthetic import synthetic_dataset
from numnist.train import resolve

RESULTS = Path(__file__).resolve().parent.parent / "results" / "synthetic.jsonl"

RECIPE = "quick"
"""On 60,000 digits, none of them held out."""

TUNING_IMAGES = 10_000


def measured_on(part: str) -> Split:
    """MNIST's test set, or the training images that stand in for it while the generator is tuned."""
    mnist = load_mnist(splits=(part,))
    if mnist.name != "mnist":
        sys.exit("synthetic_to_mnist.py: the data found is not MNIST")
    if mnist.test is not None:
        return mnist.test
    assert mnist.train is not None  # one of the two was asked for
    return mnist.train.take(slice(TUNING_IMAGES))


def main() -> None:
    """Measure the seeds that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--test", action="store_true", help="read MNIST's test set, and record the rows")
    arguments = parser.parse_args()
    code = commit()  # now, while what is checked out is what was imported
    part = "test" if arguments.test else "train"
    images = measured_on(part)
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    for seed in map(int, arguments.seeds.split(",")):
        digits = replace(synthetic_dataset(seed=seed), test=images)
        _, config = resolve({"seed": seed, "validation": 0}, RECIPE)
        known = (digits.fingerprint, config.plain())
        if arguments.test and any((row["dataset"]["fingerprint"], row["settings"]) == known for row in rows):
            print(f"seed {seed}: there is a row for it", flush=True)
            continue
        row = {**measure(RECIPE, config, digits, code), "test": f"mnist {part}", "n": len(images)}
        if arguments.test:
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        on = f"{len(images):,} images of MNIST's {part}ing set" if part == "train" else "MNIST's test set"
        print(f"seed {seed}: {row['test_accuracy']:.2%} on {on}, {row['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
