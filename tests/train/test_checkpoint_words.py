"""What is said of a checkpoint that cannot be used, to the word."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from numnist.arrays import Array
from numnist.train import checkpoint_file
from numnist.train.checkpoint import _check_identity, differences
from numnist.train.checkpoint_file import check_names, digest, read, read_values, write

SHAPES: dict[str, tuple[tuple[int, ...], str]] = {"a": ((3,), "float32"), "b": ((2, 2), "float64")}
ARRAYS: dict[str, Array] = {"a": np.arange(3, dtype=np.float32), "b": np.ones((2, 2))}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "c", tmp_path / "old", {"x": 1}, ARRAYS)
    return tmp_path / "c"


def test_what_was_written_is_read(path: Path) -> None:
    values, arrays = read(path, SHAPES)
    assert values == read_values(path) == {"x": 1}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_the_values_stand_in_order_and_close_together_behind_the_checksum(path: Path) -> None:
    """So that the same state gives the same bytes, whoever put its values together."""
    write(path, path.with_name("old"), {"b": [1, 2], "a": {"d": 1, "c": 2}}, ARRAYS)
    with safetensors.safe_open(path, framework="np") as file:
        metadata = file.metadata()
    text = '{"a":{"c":2,"d":1},"b":[1,2]}'
    assert metadata == {checkpoint_file.METADATA_KEY: digest(text, ARRAYS) + text}


def test_the_one_before_is_kept(path: Path) -> None:
    first = path.read_bytes()
    write(path, path.with_name("old"), {"x": 2}, ARRAYS)
    assert path.with_name("old").read_bytes() == first
    assert read_values(path) == {"x": 2}


def test_arrays_of_another_order_in_memory_are_written_as_they_are(path: Path) -> None:
    write(path, path.with_name("old"), {}, {**ARRAYS, "b": np.asfortranarray([[1.0, 2], [3, 4]])})
    np.testing.assert_array_equal(read(path, SHAPES)[1]["b"], [[1, 2], [3, 4]])


def test_the_checksum_depends_on_all_that_is_there() -> None:
    fresh = digest("x", ARRAYS)
    others = [
        digest("y", ARRAYS),
        digest("x", {"a": ARRAYS["a"]}),
        digest("x", {"a": ARRAYS["a"], "c": ARRAYS["b"]}),
        digest("x", {**ARRAYS, "b": ARRAYS["b"].reshape(4)}),
        digest("x", {**ARRAYS, "a": ARRAYS["a"].view(np.int32)}),
        digest("x", {**ARRAYS, "a": ARRAYS["a"] + 1}),
    ]
    assert len({fresh, *others}) == 7
    assert digest("x", dict(reversed(ARRAYS.items()))) == fresh
    assert len(fresh) == 64


def rewritten(path: Path, text: str) -> None:
    path.write_bytes(safetensors.numpy.save(ARRAYS, {checkpoint_file.METADATA_KEY: text}))


def test_a_wrong_checksum(path: Path) -> None:
    rewritten(path, "0" * 64 + '{"x":1}')
    with pytest.raises(ValueError, match=r"^its contents do not have its checksum: it is damaged$"):
        read(path, SHAPES)


@pytest.mark.parametrize("text", ["", "x" * 64, "0" * 64 + "3", "0" * 64 + "null"])
def test_no_values(path: Path, text: str) -> None:
    rewritten(path, text)
    with pytest.raises(ValueError, match=r"^its metadata holds no values of a checkpoint$"):
        read_values(path)
    path.write_bytes(safetensors.numpy.save(ARRAYS))
    with pytest.raises(ValueError, match=r"^its metadata holds no values of a checkpoint$"):
        read_values(path)


def test_values_without_end(path: Path) -> None:
    rewritten(path, "0" * 64 + "[" * 20_000 + "]" * 20_000)
    with pytest.raises(ValueError, match=r"^its values are nested too deeply$"):
        read_values(path)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({**ARRAYS, "a": np.zeros(4, np.float32)}, "a: expected F32 (3,), got F32 (4,)"),
        ({**ARRAYS, "b": np.zeros((2, 2), np.float32)}, "b: expected F64 (2, 2), got F32 (2, 2)"),
        ({"a": ARRAYS["a"]}, "arrays missing: b, unknown: none"),
        ({**ARRAYS, "c": ARRAYS["a"]}, "arrays missing: none, unknown: c"),
    ],
)
def test_other_arrays(path: Path, arrays: Any, words: str) -> None:
    write(path, path.with_name("old"), {}, arrays)
    with pytest.raises(ValueError, match=r".") as caught:
        read(path, SHAPES)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("came", "words"),
    [
        ("abcde", "a, b, c, d, e"),
        ("abcdef", "a, b, c, d, e, and 1 more"),
        ("abcdefgh", "a, b, c, d, e, and 3 more"),
        (["x" * 40], "x" * 40),
        (["x" * 41], "x" * 40 + "…"),
    ],
)
def test_of_many_names_the_first_few(came: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_names("values", set(), set(came))
    assert str(caught.value) == f"values missing: none, unknown: {words}"


@pytest.mark.parametrize(
    ("expected", "came", "words"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": True}, ["a was True and is now 1"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c was 3 and is now 2"]),
        ({"b": 1, "a": 2}, {}, ["a was not there and is now 2", "b was not there and is now 1"]),
        ({}, {"a": "x" * 60}, [f"a was {'x' * 60} and is now not there"]),
        ({}, {"a": "x" * 61}, [f"a was {'x' * 60}… and is now not there"]),
        ({"a": 1}, 7, ["run was 7 and is now {'a': 1}"]),
        ({}, {"k" * 70: 1}, [f"{'k' * 60} was 1 and is now not there"]),
        ({}, {3: 1, "x": 1}, ["3 was 1 and is now not there", "x was 1 and is now not there"]),
    ],
)
def test_differences(expected: Any, came: Any, words: list[str]) -> None:
    assert differences(expected, came) == words


@pytest.mark.parametrize(("n", "more"), [(1, ""), (5, ""), (6, " and 1 more"), (9, " and 4 more")])
def test_of_many_differences_the_first_five(n: int, more: str) -> None:
    expected = {f"k{i}": 1 for i in range(n)}
    with pytest.raises(ValueError, match=r".") as caught:
        _check_identity(expected, {"format": 2, "run": {}})
    first = [f"k{i} was not there and is now 1" for i in range(min(n, 5))]
    assert str(caught.value) == "; ".join(first) + more


@pytest.mark.parametrize(("came", "words"), [(3, "3"), ("x" * 50, "x" * 40), (None, "None")])
def test_another_format(came: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        _check_identity({}, {"format": came, "run": {}})
    assert str(caught.value) == f"expected format 2, got '{words}'"
    assert json.dumps(came)
