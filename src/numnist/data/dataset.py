"""Images with their labels, where they came from, and the split of the training set for validation."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from numnist.arrays import Array
from numnist.data._paths import shown
from numnist.data.idx import IdxFile, read_images, read_labels
from numnist.data.known import (
    MNIST_FILES,
    ROLES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    KnownFile,
)
from numnist.data.mapped import take
from numnist.errors import InputError

MAX_CLASSES = 2**16
"""Most classes of a data set: a network has an output for each, so one wild label would fill the memory."""


PART = 1000
"""Images that are looked at together where all of them are."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels.

    Shapes: images (N, H, W), uint8 or another numeric dtype; labels (N,), int64.
    Raises: ValueError when the shapes or the labels' dtype are others.
    """

    images: Array
    labels: Array

    def __post_init__(self) -> None:
        if self.images.ndim != 3 or self.labels.shape != self.images.shape[:1]:
            shapes = f"{self.images.shape} and {self.labels.shape}"
            raise ValueError(f"Split: expected images (N, H, W) and labels (N,), got {shapes}")
        if self.labels.dtype != np.int64:
            raise ValueError(f"Split: expected labels of int64, got {self.labels.dtype}")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Array | slice) -> "Split":
        """The examples at `indices`; a slice shares the memory, an array of indices copies."""
        images = self.images[indices] if isinstance(indices, slice) else self.images_at(indices)
        return Split(images, self.labels[indices])

    def images_at(self, indices: Array) -> Array:
        """A copy of the images at these indices, (n, H, W); from disk if they are there: `mapped.take`."""
        return take(self.images, indices)

    def parts(self, indices: Array) -> Iterator[Array]:
        """The images at `indices`, some at a time."""
        for start in range(0, len(indices), PART):
            yield self.images_at(indices[start : start + PART])


@dataclass(frozen=True)
class FileRecord:
    """A file that was read.

    role: the part it plays, MNIST's name for it. size, sha256: of its uncompressed contents, in bytes and
    hexadecimal.
    """

    role: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training set, a test set, or both.

    name: "mnist" if every file has, byte for byte, the contents of MNIST's file of that role, else "idx".
    classes: the largest label of the training set (of the test set where there is no training set), plus 1.
    fingerprint: SHA-256 of the files' SHA-256s, written in hexadecimal one after another, in the order of
    `files`.
    files: training images and labels, then test images and labels, as far as they were read.
    """

    name: str
    train: Split | None
    test: Split | None
    classes: int
    fingerprint: str
    files: tuple[FileRecord, ...]

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W), the same in both splits."""
        split = self.train if self.train is not None else self.test
        assert split is not None  # `assemble` makes no data set without either
        _, height, width = split.images.shape
        return height, width


def load_idx_dataset(
    train_images: Path | None = None,
    train_labels: Path | None = None,
    test_images: Path | None = None,
    test_labels: Path | None = None,
) -> Dataset:
    """The data set in a person's own IDX files; either pair may be left out.

    Raises: InputError, one line that names the file or the missing flag, when half a pair is missing, a file
            is broken (see `read_images`, `read_labels`), or files do not fit together: images and labels of
            different number, training and test images of different size, a test label that training has never
            seen. ValueError when there is no pair at all.
    """
    paths: dict[str, Path] = {}
    for split, images, labels in (("train", train_images, train_labels), ("test", test_images, test_labels)):
        if images is not None and labels is not None:
            paths |= zip(ROLES[split], (images, labels), strict=True)
        elif images is not None:
            raise InputError(f"--{split}-labels is missing: the labels of {shown(images)}")
        elif labels is not None:
            raise InputError(f"--{split}-images is missing: the images of {shown(labels)}")
    if not paths:
        raise ValueError("load_idx_dataset: expected the training files, the test files or both, got none")
    return assemble({role: read_role(role, path) for role, path in paths.items()})


def read_role(role: str, path: Path) -> IdxFile:
    """Read the file that plays `role`, one of `known.ROLES`: as images or as labels."""
    return read_images(path) if role in (TRAIN_IMAGES, TEST_IMAGES) else read_labels(path)


def assemble(files: Mapping[str, IdxFile], known: Mapping[str, KnownFile] = MNIST_FILES) -> Dataset:
    """The data set of files by their roles, checked against each other as `load_idx_dataset` says.

    `known` holds the contents that earn the name "mnist".
    """
    train = _pair(files, *ROLES["train"])
    test = _pair(files, *ROLES["test"])
    if train is not None and test is not None:
        if train.images.shape[1:] != test.images.shape[1:]:
            sizes = ["{1} x {2}".format(*split.images.shape) for split in (train, test)]
            names = [shown(files[role].path) for role in (TRAIN_IMAGES, TEST_IMAGES)]
            raise InputError(f"{names[1]}: expected images of {sizes[0]} as in {names[0]}, got {sizes[1]}")
        if train.images.dtype != test.images.dtype:
            # 0 to 255 in the one and 0 to 1 in the other would be trained and tested on without a word.
            names = [shown(files[role].path) for role in (TRAIN_IMAGES, TEST_IMAGES)]
            types = train.images.dtype, test.images.dtype
            raise InputError(f"{names[1]}: expected images of {types[0]} as in {names[0]}, got {types[1]}")
        unseen = np.setdiff1d(test.labels, train.labels)
        if unseen.size:
            path = shown(files[TEST_LABELS].path)
            raise InputError(f"{path}: label {unseen[0]} is not in {shown(files[TRAIN_LABELS].path)}")
    records = tuple(
        FileRecord(role, files[role].path, files[role].size, files[role].sha256)
        for pair in ROLES.values()
        for role in pair
        if role in files
    )
    is_mnist = all(record.sha256 == known[record.role].sha256 for record in records)
    return Dataset(
        name="mnist" if is_mnist else "idx",
        train=train,
        test=test,
        classes=1 + int(files[TRAIN_LABELS if train is not None else TEST_LABELS].array.max()),
        fingerprint=hashlib.sha256("".join(record.sha256 for record in records).encode()).hexdigest(),
        files=records,
    )


def _pair(files: Mapping[str, IdxFile], images_role: str, labels_role: str) -> Split | None:
    """The split of two files, which agree in number and whose labels are few enough to be classes."""
    if images_role not in files:
        return None
    images, labels = files[images_role], files[labels_role]
    if len(images.array) != len(labels.array):
        raise InputError(
            f"{shown(images.path)} holds {len(images.array):,} images, "
            f"but {shown(labels.path)} holds {len(labels.array):,} labels"
        )
    if labels.array.max() >= MAX_CLASSES:
        raise InputError(
            f"{shown(labels.path)}: expected labels below {MAX_CLASSES:,}, got {labels.array.max():,}"
        )
    return Split(images.array, labels.array)


def default_validation(n: int) -> int:
    """How many of n training examples are held out for validation: 10,000, but at most a sixth."""
    return min(10_000, n // 6)


def split_validation(n: int, validation: int) -> tuple[Array, Array]:
    """Indices (training, validation) of n examples: disjoint, sorted, together all.

    The i-th example gets the i-th number of one fixed pseudo-random stream, and those with the `validation`
    smallest numbers are held out. So the split depends on nothing but n and `validation`: not on the seed of
    a run, nor on the version of NumPy, which keeps the streams of its bit generators but not what is drawn
    from them.

    Shapes: (n - validation,) and (validation,), int64.
    Raises: ValueError unless 0 <= validation < n.
    Source: NumPy Enhancement Proposal 19, "Random Number Generator Policy" (stability of bit generators).
    """
    if not 0 <= validation < n:
        raise ValueError(f"split_validation: expected 0 <= validation < n = {n}, got {validation}")
    order = np.argsort(np.random.PCG64(0).random_raw(n), kind="stable")
    return np.sort(order[validation:]), np.sort(order[:validation])
