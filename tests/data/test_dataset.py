import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.arrays import Array
from numnist.data import Split, default_validation, load_idx_dataset, split_validation, write_idx
from numnist.data.dataset import assemble, read_role
from numnist.data.known import ROLES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from numnist.errors import InputError

if TYPE_CHECKING:
    from tests.data.conftest import SmallData


def test_the_persons_own_files(small: "SmallData", tmp_path: Path) -> None:
    folder = small.write(tmp_path, suffix=".gz")
    paths = [folder / f"{role}.gz" for role in small.contents]
    dataset = load_idx_dataset(*paths)
    assert dataset.name == "idx"
    assert dataset.classes == 3
    assert dataset.image_size == (5, 4)
    assert dataset.train is not None
    assert dataset.test is not None
    assert (len(dataset.train), len(dataset.test)) == (12, 6)
    assert dataset.train.images.dtype == np.uint8
    assert dataset.train.images.tobytes() == small.contents[TRAIN_IMAGES][16:]
    assert dataset.test.labels.tolist() == [2, 1, 0, 2, 1, 0]
    assert [record.role for record in dataset.files] == [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS]
    for record, path in zip(dataset.files, paths, strict=True):
        assert record.path == path
        assert (record.size, record.sha256) == (
            small.known[record.role].size,
            small.known[record.role].sha256,
        )


def test_the_fingerprint_is_of_the_contents(small: "SmallData", tmp_path: Path) -> None:
    plain, packed = small.write(tmp_path / "plain"), small.write(tmp_path / "packed", suffix=".gz")
    dataset = load_idx_dataset(*(plain / role for role in small.contents))
    joined = "".join(hashlib.sha256(content).hexdigest() for content in small.contents.values())
    assert dataset.fingerprint == hashlib.sha256(joined.encode()).hexdigest()
    assert (
        load_idx_dataset(*(packed / f"{role}.gz" for role in small.contents)).fingerprint
        == dataset.fingerprint
    )

    changed = bytearray(small.contents[TEST_IMAGES])
    changed[-1] ^= 1
    (plain / TEST_IMAGES).write_bytes(changed)
    assert load_idx_dataset(*(plain / role for role in small.contents)).fingerprint != dataset.fingerprint


def test_the_name_is_earned_by_the_contents(small: "SmallData", tmp_path: Path) -> None:
    folder = small.write(tmp_path)
    files = {role: read_role(role, folder / role) for role in small.contents}
    assert assemble(files, small.known).name == "mnist"
    test_only = {role: files[role] for role in ROLES["test"]}
    assert assemble(test_only, small.known).name == "mnist"
    in_the_wrong_role = {TRAIN_IMAGES: files[TEST_IMAGES], TRAIN_LABELS: files[TEST_LABELS]}
    assert assemble(in_the_wrong_role, small.known).name == "idx"
    assert assemble(files).name == "idx"


def test_either_pair_alone(small: "SmallData", tmp_path: Path) -> None:
    folder = small.write(tmp_path)
    train = load_idx_dataset(folder / TRAIN_IMAGES, folder / TRAIN_LABELS)
    assert train.test is None
    assert train.image_size == (5, 4)
    test = load_idx_dataset(test_images=folder / TEST_IMAGES, test_labels=folder / TEST_LABELS)
    assert test.train is None
    assert test.classes == 3
    assert test.image_size == (5, 4)
    assert train.fingerprint != test.fingerprint


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("train_images", "--train-labels is missing: the labels of a"),
        ("train_labels", "--train-images is missing: the images of a"),
        ("test_images", "--test-labels is missing: the labels of a"),
        ("test_labels", "--test-images is missing: the images of a"),
    ],
)
def test_half_a_pair(given: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        load_idx_dataset(**{given: Path("a")})


def test_no_pair() -> None:
    with pytest.raises(ValueError, match="got none") as caught:
        load_idx_dataset()
    assert not isinstance(caught.value, InputError)


def save(folder: Path, **arrays: Array) -> dict[str, Path]:
    for name, array in arrays.items():
        write_idx(folder / name, array)
    return {name: folder / name for name in arrays}


def images(n: int, height: int = 2, width: int = 2) -> Array:
    return np.zeros((n, height, width), np.uint8)


def labels(*values: int) -> Array:
    return np.array(values, np.int32)


@pytest.mark.parametrize(
    ("test_images", "test_labels", "message"),
    [
        (images(2), labels(0), "D/test_images holds 2 images, but D/test_labels holds 1 labels"),
        (
            images(1, 2, 3),
            labels(0),
            "D/test_images: expected images of 2 x 2 as in D/train_images, got 2 x 3",
        ),
        (
            images(1).astype(np.float32),
            labels(0),
            "D/test_images: expected images of uint8 as in D/train_images, got float32",
        ),
        (images(2), labels(1, 2), "D/test_labels: label 2 is not in D/train_labels"),
        (images(1), labels(65_536), "D/test_labels: expected labels below 65,536, got 65,536"),
        (
            labels(0),
            images(1),
            "D/test_images: expected images of shape (N, H, W), got (1,): is this a file of labels?",
        ),
    ],
)
def test_files_that_disagree(tmp_path: Path, test_images: Array, test_labels: Array, message: str) -> None:
    train = save(tmp_path, train_images=images(3), train_labels=labels(0, 1, 3))
    test = save(tmp_path, test_images=test_images, test_labels=test_labels)
    with pytest.raises(InputError) as caught:
        load_idx_dataset(**train, **test)
    assert str(caught.value) == message.replace("D/", f"{tmp_path}/")


def test_split_checks_its_shapes() -> None:
    labels = np.zeros(3, np.int64)
    for images, dtype in (((3, 2), np.int64), ((2, 2, 2), np.int64), ((3, 2, 2), np.uint8)):
        with pytest.raises(ValueError, match="Split: expected"):
            Split(np.zeros(images, np.uint8), labels.astype(dtype))


def test_take() -> None:
    split = Split(np.arange(12, dtype=np.uint8).reshape(3, 2, 2), np.array([5, 6, 7]))
    chosen = split.take(np.array([2, 0]))
    assert chosen.labels.tolist() == [7, 5]
    assert chosen.images[:, 0, 0].tolist() == [8, 0]
    assert np.shares_memory(split.take(slice(2)).images, split.images)
    assert len(split.take(slice(2))) == 2


@given(n=st.integers(1, 400), data=st.data())
def test_validation_split_is_a_partition(n: int, data: st.DataObject) -> None:
    validation = data.draw(st.integers(0, n - 1))
    training_indices, validation_indices = split_validation(n, validation)
    assert len(validation_indices) == validation
    assert (np.diff(training_indices) > 0).all()
    assert (np.diff(validation_indices) > 0).all()
    both = np.concatenate([training_indices, validation_indices])
    np.testing.assert_array_equal(np.sort(both), np.arange(n))
    assert training_indices.dtype == validation_indices.dtype == np.int64
    again = split_validation(n, validation)
    np.testing.assert_array_equal(again[1], validation_indices)


def test_validation_split_is_fixed_for_ever() -> None:
    _, ten = split_validation(100, 10)
    assert ten.tolist() == [2, 3, 11, 13, 20, 48, 53, 59, 62, 92]
    _, indices = split_validation(60_000, 10_000)
    assert hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest() == (
        "e7b457238134ab24585e08d1da4117e4dd2f2479f3c80bbd59618065fbd15381"
    )
    # Random: the mean is that of 0 ... 59,999 within four standard errors.
    assert abs(indices.mean() - 29_999.5) < 4 * 60_000 / np.sqrt(12 * 10_000)


def test_global_random_state_is_left_alone() -> None:
    before = np.random.get_state(legacy=False)  # noqa: NPY002 - the very thing that must not change
    split_validation(50, 5)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    np.testing.assert_equal(after, before)


@pytest.mark.parametrize(("n", "validation"), [(5, 5), (5, 6), (5, -1), (0, 0)])
def test_impossible_validation_splits(n: int, validation: int) -> None:
    with pytest.raises(ValueError, match=f"< n = {n}, got {validation}"):
        split_validation(n, validation)


def test_default_validation() -> None:
    assert [default_validation(n) for n in (60_000, 120_000, 59_999, 600, 6, 5, 1)] == [
        10_000, 10_000, 9_999, 100, 1, 0, 0,
    ]  # fmt: skip
