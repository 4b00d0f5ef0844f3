"""Checkpoints as files: arrays and plain values in one safetensors file that knows whether it is whole."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from numnist.arrays import Array
from numnist.errors import InputError
from numnist.files import write_atomic

METADATA_KEY = "numnist-checkpoint"
"""The one metadata key: with two or more, safetensors orders them differently in every process."""

DTYPES = {"float32": "F32", "float64": "F64"}
"""Of the arrays in a checkpoint, and what safetensors calls them."""

Shapes = Mapping[str, tuple[tuple[int, ...], str]]
"""Shape and dtype of each array."""


def write(path: Path, previous: Path, values: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write a checkpoint with a checksum of itself; the one that was there becomes `previous`.

    The same values and arrays give the same bytes.
    """
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    # safetensors silently writes arrays that are not C-contiguous as if they were.
    tensors = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    metadata = {METADATA_KEY: digest(text, tensors) + text}
    write_atomic(path, safetensors.numpy.save(tensors, metadata), keep=previous)


def read_values(path: Path) -> dict[str, Any]:
    """The plain values alone, the checksum not looked at; ValueError where there are none."""
    with safetensors.safe_open(path, framework="np") as file:
        return _values(_text(file.metadata()))


def read(path: Path, expected: Shapes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Values and arrays of a checkpoint that has just these arrays.

    Names, shapes and dtypes are looked at before anything is read.

    Raises: ValueError, OSError or SafetensorError, saying what is wrong, also where the checksum is.
    """
    with safetensors.safe_open(path, framework="np") as file:
        text = _text(file.metadata())
        values = _values(text)
        _check_arrays(file, expected)
        arrays = {name: file.get_tensor(name) for name in expected}
    if file_digest(path) != digest(text, arrays):
        raise ValueError("its contents do not have its checksum: it is damaged")
    return values, arrays


def digest(text: str, arrays: Mapping[str, Array]) -> str:
    """SHA-256 of the values as text and of every array with its name, in the order of the names."""
    found = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        found.update(f"\0{name}\0{arrays[name].dtype}\0{arrays[name].shape}\0".encode())
        found.update(arrays[name].data)
    return found.hexdigest()


def file_digest(path: Path) -> str:
    """The checksum that stands in a checkpoint."""
    with safetensors.safe_open(path, framework="np") as file:
        return str((file.metadata() or {}).get(METADATA_KEY, ""))[:64]


def describe_damage(path: Path, error: Exception) -> InputError:
    """What to say of a checkpoint that cannot be used."""
    return InputError(f"{path}: not a checkpoint of this run: {' '.join(str(error).split())}")


def _text(metadata: Mapping[str, str] | None) -> str:
    """The values as they stand, behind the checksum."""
    return (metadata or {}).get(METADATA_KEY, "")[64:]


def _values(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text or "null")
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError("its metadata holds no values of a checkpoint")
    return values


def _check_arrays(file: Any, expected: Shapes) -> None:
    """ValueError naming what is missing, unknown, or of another shape or dtype."""
    check_names("arrays", set(expected), set(file.keys()))
    for name, (shape, dtype) in expected.items():
        tensor = file.get_slice(name)
        came = tuple(tensor.get_shape()), tensor.get_dtype()
        if came != (shape, DTYPES[dtype]):
            raise ValueError(f"{name}: expected {DTYPES[dtype]} {shape}, got {came[1]} {came[0]}")


def check_names(what: str, expected: set[str], came: set[str]) -> None:
    """ValueError naming what is missing and what is too much, the first few of each."""
    if expected != came:
        missing, unknown = (_few(sorted(names)) for names in (expected - came, came - expected))
        raise ValueError(f"{what} missing: {missing}, unknown: {unknown}")


def _few(names: list[str]) -> str:
    shown = [name if len(name) <= 40 else f"{name[:40]}…" for name in names[:5]]
    more = [f"and {len(names) - 5} more"] if len(names) > 5 else []
    return ", ".join(shown + more) or "none"
