import shutil
from pathlib import Path

import numpy as np
import pytest

from numnist.data import load_mnist
from numnist.data.known import TEST_IMAGES, TEST_LABELS
from numnist.errors import InputError

pytestmark = pytest.mark.mnist


def test_mnist(mnist_directory: Path) -> None:
    dataset = load_mnist(mnist_directory)
    assert dataset.name == "mnist"
    assert dataset.classes == 10
    assert dataset.image_size == (28, 28)
    assert dataset.fingerprint == "c65580678af93f1ea48c2c0d01d543ec89307c6b8a0eb7ca542d7c18c5f4c681"
    assert dataset.train is not None
    assert dataset.test is not None
    assert dataset.train.images.shape == (60_000, 28, 28)
    assert dataset.test.images.shape == (10_000, 28, 28)
    assert dataset.train.images.dtype == dataset.test.images.dtype == np.uint8
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(dataset.train.labels).tolist() == counts
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(dataset.test.labels).tolist() == counts
    assert dataset.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    mean, deviation = dataset.train.images.mean() / 255, dataset.train.images.std() / 255
    assert (mean, deviation) == (pytest.approx(0.13066, abs=1e-5), pytest.approx(0.30811, abs=1e-5))


def test_a_missing_file_is_named(mnist_directory: Path, tmp_path: Path) -> None:
    (source,) = (path for path in mnist_directory.glob("t10k-labels*") if path.is_file())
    shutil.copy(source, tmp_path)
    with pytest.raises(InputError, match=f"^{tmp_path}: lacks {TEST_IMAGES}$"):
        load_mnist(tmp_path, splits=("test",))


def test_swapped_labels_are_refused(mnist_directory: Path, tmp_path: Path) -> None:
    """Training labels beside test images: the likely slip."""
    for role, pattern in ((TEST_IMAGES, "t10k-images*"), (TEST_LABELS, "train-labels*")):
        source = next(mnist_directory.glob(pattern))
        shutil.copy(source, tmp_path / f"{role}{source.suffix}")
    with pytest.raises(InputError, match=r"holds 10,000 images, but .* holds 60,000 labels"):
        load_mnist(tmp_path, splits=("test",))
