"""Test the shipped models on damaged images and append a row for each to results/robustness.jsonl.

    python benchmarks/robustness.py

Every family of `numnist.data.CORRUPTIONS` at its three strengths, on MNIST's 10,000 test images; the damage
is drawn from fixed seeds, so all models see the same images.
"""

import time

import numpy as np
from accuracy import RESULTS, append, commit, environment

from numnist.data import CORRUPTIONS, Split, load_mnist
from numnist.predict import Predictor, pretrained, pretrained_models

ROBUSTNESS = RESULTS / "robustness.jsonl"


def accuracy(predictor: Predictor, split: Split) -> float:
    """The share of the images that are read right."""
    return float((predictor.logits(split.images).argmax(axis=1) == split.labels).mean())


def main() -> None:
    """Damage the images in each way, and show them to each model."""
    test = load_mnist(splits=("test",)).test
    assert test is not None
    code = commit()
    for name in pretrained_models():
        predictor = Predictor.load(pretrained(name))
        clean = accuracy(predictor, test)
        damaged: dict[str, list[float]] = {}
        for number, (family, corruption) in enumerate(CORRUPTIONS.items()):
            damaged[family] = []
            for strength in (1, 2, 3):
                images = corruption(test.images, strength, np.random.default_rng((number, strength)))
                damaged[family].append(accuracy(predictor, Split(images, test.labels)))
        circumstances = {"commit": code, "environment": environment(), "date": time.strftime("%Y-%m-%d")}
        append(ROBUSTNESS, {"model": name, "clean": clean, "damaged": damaged, **circumstances})
        mean = np.mean(list(damaged.values()))
        print(f"{name}: {clean:.2%} on the images as they are, {mean:.1%} on damaged ones", flush=True)


if __name__ == "__main__":
    main()
