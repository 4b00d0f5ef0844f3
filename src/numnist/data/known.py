"""Data sets that are known by their contents. A name or a folder proves nothing; a SHA-256 does."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"

ROLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"train": (TRAIN_IMAGES, TRAIN_LABELS), "test": (TEST_IMAGES, TEST_LABELS)}
)
"""Images and labels of each split, by MNIST's names; a file of any other name may play one of these roles."""


@dataclass(frozen=True)
class KnownFile:
    """Size in bytes and SHA-256 (lower-case hexadecimal) of a file's uncompressed contents."""

    size: int
    sha256: str


MNIST_FILES: Mapping[str, KnownFile] = MappingProxyType(
    {
        TRAIN_IMAGES: KnownFile(
            47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        TRAIN_LABELS: KnownFile(60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        TEST_IMAGES: KnownFile(7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        TEST_LABELS: KnownFile(10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    }
)

MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
"""Public folders that hold the four files, each under its name with .gz."""
