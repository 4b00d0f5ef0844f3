"""A data set that a small network learns in a second."""

from pathlib import Path

import numpy as np
import pytest
from tests.train.resuming import ALL, contents, go
from tests.train.test_checkpoint import OWN

from numnist.data import Dataset, Split
from numnist.train import RunFolder


def bars(n: int, seed: int) -> Split:
    """8×8 images of three classes: a bar of noise at the top, in the middle, at the bottom."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    images = rng.integers(0, 60, (n, 8, 8), dtype=np.uint8)
    for row in range(2):
        images[np.arange(n), 3 * labels + row] += rng.integers(60, 190, (n, 8), dtype=np.uint8)
    return Split(images, labels)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return Dataset("bars", bars(240, 0), bars(60, 1), 3, "f" * 64, ())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs are, and the network that the settings name."""
    folder = tmp_path_factory.mktemp("resume")
    ALL["model"] = str(folder / "own.toml")
    (folder / "own.toml").write_text(OWN)
    return folder


@pytest.fixture(scope="module")
def straight(place: Path, dataset: Dataset) -> dict[str, bytes]:
    """What a run leaves that nothing has interrupted."""
    folder = RunFolder(place / "runs", None, "straight")
    go(dataset, folder, resume=False)
    return contents(folder)
