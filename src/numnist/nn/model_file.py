"""Models on disk: one safetensors file that holds all that is needed to use the model."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from numnist.errors import InputError
from numnist.files import write_atomic
from numnist.nn.checks import require_number
from numnist.nn.description import network_from
from numnist.nn.model import Model
from numnist.nn.preprocess import Preprocess

FORMAT = 2
"""Version of what stands in the metadata; raised when an old reader could not make sense of it.

1 had no temperature.
"""

FIELDS = {"format", "layers", "preprocess", "notes"}
"""What stands in the metadata of every version."""

METADATA_KEY = "numnist"
"""The one metadata key: with two or more, safetensors orders them differently in every process."""


def save_model(model: Model, path: Path, notes: Mapping[str, Any] | None = None) -> None:
    """Write parameters and buffers under PyTorch's names, with the model's description and preprocessing.

    The same model gives the same bytes. The weights load into the equivalent `torch.nn.Sequential` as they
    are.

    notes: further plain values for the metadata, such as how the model was trained.
    Raises: OSError when the file cannot be written; an older file of that name is then untouched.
    """
    description = {
        "format": FORMAT,
        "layers": model.network.describe()["layers"],
        "preprocess": model.preprocess.describe(),
        "temperature": _checked_temperature(float(model.temperature)),
        "notes": dict(notes or {}),
    }
    metadata = json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)
    # safetensors silently writes arrays that are not C-contiguous as if they were.
    tensors = {name: np.require(array, requirements="C") for name, array in model.named_arrays()}
    write_atomic(path, safetensors.numpy.save(tensors, {METADATA_KEY: metadata}))


def load_model(path: Path) -> Model:
    """Read a model that `save_model` wrote. No code in the file is run; there is none.

    Names, shapes and dtypes are checked against the description before anything is allocated.

    Raises: InputError, one line that names the file and what is wrong with it.
    """
    with opened(path) as file:
        network, preprocess, temperature = _described(file.metadata())
        _check_tensors(file, network.parameter_shapes() | network.buffer_shapes())
        model = Model(network, preprocess)
        model.temperature = temperature
        for name, view in model.named_arrays():
            view[...] = file.get_tensor(name)
            if not np.isfinite(view).all():
                raise ValueError(f"tensor {name!r} holds values that are not finite numbers")
    model.mark_changed()
    return model


def load_notes(path: Path) -> dict[str, Any]:
    """The notes that `save_model` was given; the errors are those of `load_model`."""
    with opened(path) as file:
        return dict(_description(file.metadata())["notes"])


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file as safetensors gives it; all that goes wrong meanwhile is an InputError that names it."""
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: expected a model file (model.safetensors), got {kind}")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            yield file
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a model that numnist can use: {' '.join(str(error).split())}"
        ) from error


def _description(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """What `save_model` wrote into the metadata, its outermost level checked."""
    if not metadata or METADATA_KEY not in metadata:
        raise ValueError("its metadata holds no description of a model")
    try:
        description = json.loads(metadata[METADATA_KEY])
    except RecursionError as error:
        raise ValueError("its description is nested too deeply") from error
    if not isinstance(description, dict):
        raise ValueError("its description is not a table")
    version = description.get("format")
    if type(version) is not int or not 1 <= version <= FORMAT:
        raise ValueError(f"expected format 1 to {FORMAT}, got {version!r}")
    expected = FIELDS if version == 1 else FIELDS | {"temperature"}
    if set(description) != expected or not isinstance(description["notes"], dict):
        raise ValueError(f"expected a description with {', '.join(sorted(expected))}")
    return description


def _described(metadata: Mapping[str, str] | None) -> tuple[Any, Preprocess, float]:
    """Network, without storage, preprocessing and temperature."""
    description = _description(metadata)
    preprocess = Preprocess.from_description(description["preprocess"])
    network = network_from(description["layers"], preprocess.input_shape, len(preprocess.classes))
    return network, preprocess, _checked_temperature(description.get("temperature", 1.0))


def _checked_temperature(temperature: Any) -> float:
    """The temperature; ValueError unless it is a number that float32 can divide by."""
    require_number("the description", "temperature", temperature, 1e-6, 1e6)
    return float(temperature)


def _check_tensors(file: Any, expected: Mapping[str, tuple[int, ...]]) -> None:
    """ValueError naming the first tensor that is missing, unknown, or of another shape or dtype."""
    found = set(file.keys())
    for name in sorted(found - set(expected)):
        raise ValueError(f"tensor {name!r} is not in its description")
    for name, shape in expected.items():
        if name not in found:
            raise ValueError(f"tensor {name!r} is missing")
        tensor = file.get_slice(name)
        if tuple(tensor.get_shape()) != shape or tensor.get_dtype() != "F32":
            came = f"{tensor.get_dtype()} of shape {tuple(tensor.get_shape())}"
            raise ValueError(f"tensor {name!r}: expected F32 of shape {shape}, got {came}")
