import gzip
import hashlib
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numnist.arrays import Array
from numnist.data import read_idx, read_idx_file, read_images, read_labels, write_idx
from numnist.errors import InputError

DTYPES = ("u1", "i1", "i2", "i4", "f4", "f8")
HEADER_OF_7 = bytes([0, 0, 8, 1, 0, 0, 0, 7])


def refusal(path: Path, **kwargs: Any) -> str:
    """The message with which `read_idx` refuses a file: one line that names it."""
    with pytest.raises(InputError) as caught:
        read_idx(path, **kwargs)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx")


@settings(max_examples=120)
@given(
    array=st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
    ),
    compressed=st.booleans(),
    order=st.sampled_from("=<>"),
    fortran=st.booleans(),
)
def test_round_trip(folder: Path, array: Array, compressed: bool, order: Any, fortran: bool) -> None:
    path = folder / ("a.gz" if compressed else "a")
    written = array.astype(array.dtype.newbyteorder(order), order="F" if fortran else "C")
    write_idx(path, written)
    result = read_idx(path)
    assert result.dtype == array.dtype
    assert result.dtype.isnative
    assert result.shape == array.shape
    assert result.tobytes() == array.tobytes()  # bit for bit, NaN included
    assert result.flags.writeable
    assert result.flags.aligned


def test_bytes_of_the_format(folder: Path) -> None:
    write_idx(folder / "format", np.array([[1, -2, 3]], "i2"))
    expected = bytes.fromhex("00000b02 00000001 00000003 0001 fffe 0003")
    assert (folder / "format").read_bytes() == expected


def test_gzip_is_told_by_the_content_and_written_by_the_name(folder: Path) -> None:
    array = np.arange(5, dtype=np.uint8)
    write_idx(folder / "five.gz", array)
    first = (folder / "five.gz").read_bytes()
    write_idx(folder / "five.gz", array)
    assert (folder / "five.gz").read_bytes() == first
    assert first[4:8] == bytes(4)  # no date
    (folder / "five").write_bytes(first)
    (folder / "plain.gz").write_bytes(gzip.decompress(first))
    np.testing.assert_array_equal(read_idx(folder / "five"), array)
    np.testing.assert_array_equal(read_idx(folder / "plain.gz"), array)


def test_gzip_in_several_members_is_one_file(folder: Path) -> None:
    content = HEADER_OF_7 + b"1234567"
    (folder / "members").write_bytes(gzip.compress(content[:9], mtime=0) + gzip.compress(content[9:]))
    assert read_idx(folder / "members").tobytes() == b"1234567"


def test_read_idx_file_hashes_the_uncompressed_contents(folder: Path) -> None:
    array = np.arange(6, dtype="i4").reshape(2, 3)
    write_idx(folder / "h", array)
    write_idx(folder / "h.gz", array)
    content = (folder / "h").read_bytes()
    for name in ("h", "h.gz"):
        file = read_idx_file(folder / name)
        assert file.path == folder / name
        assert file.size == len(content) == 4 + 8 + 24
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        np.testing.assert_array_equal(file.array, array)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "got an empty one"),
        (gzip.compress(b"", mtime=0), "got an empty one"),
        (b"\x00", "two zero bytes"),
        (b"\x00\x00\x08", "got one of 3 bytes"),
        (b"\x89PNG\r\n\x1a\n", "which begins with two zero bytes, got 89 50 4e 47"),
        (b"\x00\x00\x07\x01\x00\x00\x00\x00", "unknown data type code 0x07"),
        (b"\x00\x00\x08\x41" + bytes(4 * 65), "at most 64 dimensions, got 65"),
        (HEADER_OF_7[:6], "ends within its header of 8 bytes"),
        (gzip.compress(HEADER_OF_7[:6], mtime=0), "ends within its header of 8 bytes"),
        (HEADER_OF_7 + b"123456", "truncated one: 7 bytes of data promised, 6 there"),
        (HEADER_OF_7 + b"12345678", "more than the 7 bytes"),
        (gzip.compress(HEADER_OF_7 + b"123456", mtime=0), "truncated one: 7 bytes of data promised, 6 there"),
        (gzip.compress(HEADER_OF_7 + b"12345678", mtime=0), "more than the 7 bytes"),
        (gzip.compress(HEADER_OF_7 + b"1234567", mtime=0)[:-1], "truncated gzip file"),
        (gzip.compress(HEADER_OF_7 + b"1234567", mtime=0)[:15], "truncated gzip file"),
        (gzip.compress(HEADER_OF_7 + b"1234567", mtime=0)[:5], "truncated gzip file"),
        (
            gzip.compress(HEADER_OF_7 + b"1234567", mtime=0)[:-8] + bytes(8),
            "corrupt gzip file (CRC check failed",
        ),
        (gzip.compress(HEADER_OF_7 + b"1234567", mtime=0) + b"garbage", "corrupt gzip file"),
        (gzip.compress(HEADER_OF_7, mtime=0)[:10] + b"\xff" * 20, "corrupt gzip file"),
        (b"\x1f\x8b\x07" + bytes(20), "corrupt gzip file"),
    ],
)
def test_broken_files(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    assert reason in refusal(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "got a folder" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "absent")
    assert "no such file" in refusal(tmp_path / "absent" / "deeper")
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    (tmp_path / "secret").write_bytes(HEADER_OF_7)
    monkeypatch.setattr(Path, "open", denied)  # root may read anything, so the mode would not do
    assert refusal(tmp_path / "secret").endswith("cannot be read (Permission denied)")


def test_the_message_is_one_line_whatever_the_name(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_idx(tmp_path / "two\nlines")
    assert str(caught.value) == f"'{tmp_path}/two\\nlines': no such file"


FOUR_GIGABYTES = b"\x00\x00\x08\x01\xff\xff\xff\xff"
OVERFLOW = b"\x00\x00\x0e\x04" + b"\xff\xff\xff\xff" * 4
HIDDEN_OVERFLOW = (
    b"\x00\x00\x08\x04" + b"\xff\xff\xff\xff" * 3 + bytes(4)
)  # 0 bytes of data, an impossible shape
TWO_GIGABYTES = b"\x00\x00\x08\x01\x80\x00\x00\x00"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (FOUR_GIGABYTES + b"123", "4,294,967,295 bytes of data promised, 3 there"),
        (gzip.compress(FOUR_GIGABYTES + b"123", mtime=0), "promises uint8 (4294967295,)"),
        (OVERFLOW, "promises float64"),
        (HIDDEN_OVERFLOW, "promises uint8"),
        (TWO_GIGABYTES + b"123", "2,147,483,648 bytes of data promised, 3 there"),
        (gzip.compress(TWO_GIGABYTES + b"123", mtime=0), "2,147,483,648 bytes of data promised, 3 there"),
        (gzip.compress(HEADER_OF_7 + bytes(32_000_000), mtime=0), "more than the 7 bytes"),
    ],
)
def test_a_promise_costs_no_memory(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "promise"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        message = refusal(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reason in message
    assert peak < 3_000_000


def test_max_bytes_is_the_most_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "seven"
    path.write_bytes(HEADER_OF_7 + b"1234567")
    assert read_idx(path, max_bytes=7).size == 7
    assert "at most 6 bytes" in refusal(path, max_bytes=6)


@pytest.mark.parametrize("name", ["images", "images.gz"])
@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_reading_holds_one_copy(tmp_path: Path, name: str, dtype: str) -> None:
    array = np.zeros((20_000_000 // np.dtype(dtype).itemsize,), dtype)
    write_idx(tmp_path / name, array)
    tracemalloc.start()
    try:
        file = read_idx_file(tmp_path / name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert file.array.nbytes == 20_000_000
    assert peak < 1.3 * 20_000_000


VALID = [
    HEADER_OF_7 + b"1234567",
    bytes([0, 0, 0x0D, 2, 0, 0, 0, 2, 0, 0, 0, 1]) + bytes(8),
    bytes([0, 0, 0x0C, 0]) + b"1234",
    gzip.compress(HEADER_OF_7 + b"1234567", mtime=0),
    gzip.compress(bytes([0, 0, 0x0B, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(8), mtime=0),
]


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(["change", "insert", "cut", "repeat"])):
            case "change":
                content[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
            case "insert":
                content[at:at] = draw(st.binary(max_size=8))
            case "cut":
                del content[at : at + draw(st.integers(1, 20))]
            case "repeat":
                content += content[at:]
    return bytes(content)


@settings(max_examples=500)
@given(content=mutated_files())
def test_fuzz_gives_an_array_or_a_refusal(folder: Path, content: bytes) -> None:
    path = folder / "fuzz"
    path.write_bytes(content)
    try:
        result = read_idx(path)
    except InputError:
        refusal(path)
    else:
        assert isinstance(result, np.ndarray)


@pytest.mark.parametrize("dtype", ["i8", "u2", "?", "c8", "f2"])
def test_writing_refuses_other_dtypes(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"got {np.dtype(dtype)}$"):
        write_idx(tmp_path / "a", np.zeros(3, dtype))
    assert list(tmp_path.iterdir()) == []


def test_writing_refuses_sizes_beyond_32_bits(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sizes up to 4294967295"):
        write_idx(tmp_path / "a", np.empty((2**32, 0), np.uint8))


def test_a_refused_dtype_is_told_the_others(tmp_path: Path) -> None:
    words = "^write_idx: expected a dtype of uint8, int8, int16, int32, float32, float64, got bool$"
    with pytest.raises(ValueError, match=words):
        write_idx(tmp_path / "a", np.zeros(3, bool))


def test_the_largest_size_and_rank_there_are(tmp_path: Path) -> None:
    write_idx(tmp_path / "long", np.empty((2**32 - 1, 0), np.uint8))
    write_idx(tmp_path / "deep", np.ones((1,) * 64, np.uint8))
    assert read_idx(tmp_path / "long", max_bytes=2**33).shape == (2**32 - 1, 0)
    assert read_idx(tmp_path / "deep").shape == (1,) * 64


def test_a_compressed_file_holds_no_name_and_no_date(tmp_path: Path) -> None:
    """RFC 1952, section 2.3: flags, then the modification time."""
    write_idx(tmp_path / "a.gz", np.zeros(3, np.uint8))
    assert (tmp_path / "a.gz").read_bytes()[3:8] == bytes(5)


def test_images_of_whole_numbers_are_not_asked_whether_they_are_finite(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", np.full((1, 2, 2), 9, np.int32))
    np.testing.assert_array_equal(read_images(tmp_path / "a").array, np.full((1, 2, 2), 9))


@pytest.mark.parametrize("there", ["a folder", "an empty one"])
def test_words_for_what_is_nothing(tmp_path: Path, there: str) -> None:
    path = tmp_path
    if there == "an empty one":
        path = tmp_path / "empty"
        path.write_bytes(b"")
    assert refusal(path) == f"{path}: expected an IDX file, got {there}"


def test_writing_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent/a: cannot be written \(No such file or directory\)"):
        write_idx(tmp_path / "absent" / "a", np.zeros(3, np.uint8))


def test_images(tmp_path: Path) -> None:
    path = tmp_path / "images"
    write_idx(path, np.full((2, 3, 4), 7, np.uint8))
    assert read_images(path).array.shape == (2, 3, 4)
    for array, reason in (
        (np.zeros(5, np.uint8), r"got \(5,\): is this a file of labels\?"),
        (np.zeros((5, 2), np.uint8), r"expected images of shape \(N, H, W\), got \(5, 2\)$"),
        (np.zeros((0, 3, 4), np.uint8), r"at least one image of at least one pixel, got \(0, 3, 4\)"),
        (np.zeros((3, 0, 4), np.uint8), "at least one pixel"),
        (np.full((1, 1, 1), np.nan, np.float32), "finite"),
        (np.full((1, 1, 1), np.inf), "finite"),
    ):
        write_idx(path, array)
        with pytest.raises(InputError, match=reason) as caught:
            read_images(path)
        assert str(path) in str(caught.value)


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    for dtype in ("u1", "i1", "i2", "i4"):
        write_idx(path, np.array([3, 0, 1], dtype))
        labels = read_labels(path).array
        assert labels.dtype == np.int64
        assert labels.tolist() == [3, 0, 1]
    for array, reason in (
        (np.zeros((5, 2, 2), np.uint8), r"got \(5, 2, 2\): is this a file of images\?"),
        (np.zeros((5, 2), np.uint8), r"expected labels of shape \(N,\), got \(5, 2\)$"),
        (np.zeros(0, np.uint8), "at least one label"),
        (np.zeros(3, np.float32), "integer type, got float32"),
        (np.array([2, -1], np.int16), "labels of 0 and more, got -1"),
    ):
        write_idx(path, array)
        with pytest.raises(InputError, match=reason) as caught:
            read_labels(path)
        assert str(path) in str(caught.value)
