"""Runs of small networks on images made up here, trained once for all tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from numnist.data import Dataset, Split
from numnist.nn import network_from
from numnist.train import RunFolder, prepare, resolve, train

CONVOLUTIONAL = [
    {"type": "Conv2d", "out_channels": 4, "kernel_size": 3},
    {"type": "BatchNorm"},
    {"type": "ReLU"},
    {"type": "Flatten"},
    {"type": "Linear", "out_features": "classes"},
]
PLAIN = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]

MakeRun = Callable[..., tuple[Path, Dataset]]


def blobs(n: int, size: tuple[int, int], classes: int, seed: int) -> Split:
    """Noise with a bright column whose place is the class, modulo the width."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    images = rng.integers(0, 120, (n, *size)).astype(np.uint8)
    images[np.arange(n), :, labels % size[1]] += 110
    return Split(images, labels)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Train for two epochs; the folder of the run, and what it was trained on."""

    def make(
        name: str = "first", size: tuple[int, int] = (12, 10), classes: int = 10, convolves: bool = True
    ) -> tuple[Path, Dataset]:
        n = max(120, 3 * classes)
        dataset = Dataset(
            "blobs",
            blobs(n, size, classes, 0),
            blobs(n // 2 + classes, size, classes, 1),
            classes,
            "f" * 64,
            (),
        )
        recipe, config = resolve({"epochs": 2, "batch_size": 32, "executor": "reference"})
        network = network_from(CONVOLUTIONAL if convolves else PLAIN, (1, *size), classes)
        folder = RunFolder(tmp_path_factory.mktemp("runs"), name, "net")
        train(prepare(recipe, config, dataset, network), folder)
        return folder.path, dataset

    return make
