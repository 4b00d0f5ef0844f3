"""Large files of images stay on disk, and nothing else differs."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numnist.arrays import Array
from numnist.data import Split, idx, load_idx_dataset, mapped, read_idx, read_images, write_idx
from numnist.errors import InputError


@pytest.fixture(autouse=True)
def small_files_are_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "MAPPED_FROM", 100)
    monkeypatch.setattr(mapped, "CHUNK", 64)


def images(n: int = 9) -> Array:
    return np.random.default_rng(0).integers(0, 256, (n, 5, 4), np.uint8)


def is_mapped(array: Array) -> bool:
    return mapped._mapping(array) is not None


@pytest.mark.parametrize(
    ("n", "ending", "dtype", "expected"),
    [
        (9, "", np.uint8, True),
        (9, "", np.int8, True),
        (4, "", np.uint8, False),  # 80 bytes
        (9, ".gz", np.uint8, False),
        (9, "", np.float32, False),  # its bytes must be swapped
    ],
)
def test_what_is_mapped(tmp_path: Path, n: int, ending: str, dtype: type, expected: bool) -> None:
    array: Array = images(n).astype(dtype)
    path = tmp_path / f"images{ending}"
    write_idx(path, array)
    found = read_idx(path)
    assert is_mapped(found) is expected
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable is not expected


def test_the_record_of_a_mapped_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    write_idx(tmp_path / "images", images())
    file = read_images(tmp_path / "images")
    content = (tmp_path / "images").read_bytes()
    assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_what_is_larger_than_may_be_read_is_mapped(tmp_path: Path) -> None:
    write_idx(tmp_path / "images", images())
    write_idx(tmp_path / "packed.gz", images())
    assert is_mapped(read_idx(tmp_path / "images", max_bytes=50))
    with pytest.raises(InputError, match="of at most 50 bytes of data"):
        read_idx(tmp_path / "packed.gz", max_bytes=50)


@pytest.mark.parametrize(("change", "words"), [(-1, "truncated"), (1, "more than")])
def test_a_large_file_must_keep_its_promise(tmp_path: Path, change: int, words: str) -> None:
    write_idx(tmp_path / "images", images())
    content = (tmp_path / "images").read_bytes()
    (tmp_path / "images").write_bytes(content[:change] if change < 0 else content + b"x")
    with pytest.raises(InputError, match=words):
        read_idx(tmp_path / "images")


@given(indices=st.lists(st.integers(-8, 7), max_size=20), step=st.sampled_from([1, 2, -1]))
def test_taken_images_are_those_of_the_array(
    tmp_path_factory: pytest.TempPathFactory, indices: list[int], step: int
) -> None:
    path = tmp_path_factory.mktemp("mapped") / "images"
    write_idx(path, images(17))
    array = read_idx(path)[1:][::step][:8]
    assert is_mapped(array)
    split = Split(array, np.arange(8))
    taken = split.take(np.array(indices, int))
    assert not is_mapped(taken.images)
    np.testing.assert_array_equal(taken.images, images(17)[1:][::step][:8][np.array(indices, int)])
    np.testing.assert_array_equal(taken.labels, np.arange(8)[np.array(indices, int)])


@pytest.mark.parametrize("index", [9, -10])
def test_an_index_out_of_bounds_is_refused(tmp_path: Path, index: int) -> None:
    write_idx(tmp_path / "images", images())
    with pytest.raises(IndexError):
        mapped.take(read_idx(tmp_path / "images"), np.array([0, index]))


def test_images_of_other_strides_are_taken_too(tmp_path: Path) -> None:
    write_idx(tmp_path / "images", images())
    array = read_idx(tmp_path / "images")[:, ::2]
    np.testing.assert_array_equal(mapped.take(array, np.array([3, 1])), images()[[3, 1], ::2])


def test_a_file_that_is_cut_short_while_it_is_used_is_named(tmp_path: Path) -> None:
    write_idx(tmp_path / "images", images())
    split = Split(read_idx(tmp_path / "images"), np.zeros(9, np.int64))
    os.truncate(tmp_path / "images", 16 + 20 * 5 + 7)
    np.testing.assert_array_equal(split.images_at(np.array([4])), images()[4:5])
    with pytest.raises(InputError, match=r"images: it has been cut short while it was used$"):
        split.images_at(np.array([4, 5]))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        raise OSError(5, "Input/output error")

    write_idx(tmp_path / "images", images())
    array = read_idx(tmp_path / "images")
    monkeypatch.setattr(os, "preadv", fails)
    with pytest.raises(InputError, match=r"images: cannot be read \(Input/output error\)$"):
        mapped.take(array, np.array([1]))


def test_the_descriptor_is_closed_with_the_array(tmp_path: Path) -> None:
    write_idx(tmp_path / "images", images())
    array = read_idx(tmp_path / "images")
    mapping = mapped._mapping(array)
    assert mapping is not None
    descriptor = mapping.descriptor
    os.fstat(descriptor)
    del array, mapping
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_where_nothing_can_be_mapped_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(tmp_path / "images", images())

    def fails(file: object, offset: int, size: int) -> Array:
        raise OSError(19, "No such device")

    monkeypatch.setattr(idx, "map_file", fails)
    found = read_idx(tmp_path / "images")
    assert not is_mapped(found)
    np.testing.assert_array_equal(found, images())
    with pytest.raises(InputError, match="of at most 50 bytes of data"):
        read_idx(tmp_path / "images", max_bytes=50)


def resident() -> int:
    """Bytes of mapped files that are in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssFile")).split()[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says what is resident")
def test_what_is_taken_leaves_nothing_behind_and_what_is_released_goes(tmp_path: Path) -> None:
    size = 2**25
    write_idx(tmp_path / "images", np.ones((size // 1024, 32, 32), np.uint8))
    split = Split(read_images(tmp_path / "images").array, np.zeros(size // 1024, np.int64))
    before = resident()
    for part in split.parts(np.arange(len(split))):
        assert part.all()
    assert resident() - before < 0.01 * size
    assert split.images.sum() == size
    assert resident() - before > 0.9 * size
    mapped.release(split.images)
    assert resident() - before < 0.1 * size


def test_a_deleted_file_can_still_be_read(tmp_path: Path) -> None:
    for name, array in (("i", images()), ("l", np.arange(9, dtype=np.uint8) % 3)):
        write_idx(tmp_path / name, array)
    dataset = load_idx_dataset(tmp_path / "i", tmp_path / "l")
    (tmp_path / "i").unlink()
    assert dataset.train is not None
    mapped.release(dataset.train.images)
    mapped.release(images())  # nothing to let go of
    np.testing.assert_array_equal(dataset.train.images_at(np.arange(9)), images())
    np.testing.assert_array_equal(dataset.train.images, images())
