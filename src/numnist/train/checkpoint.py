"""A run on disk at the end of an epoch: all that going on needs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from numnist.arrays import Array
from numnist.errors import InputError
from numnist.files import write_atomic
from numnist.nn import Model
from numnist.train.callbacks import Callback
from numnist.train.state import EpochReport, TrainState

FORMAT = 1
METADATA_KEY = "numnist-checkpoint"


class Checkpoint(Callback):
    """Writes checkpoint.safetensors after every epoch: weights, optimizer, where the run stands, callbacks.

    It stands last in the list of callbacks, so that it sees what the others made of the epoch.
    """

    def __init__(self, path: Path, model: Model, callbacks: Sequence[Callback]) -> None:
        self.path, self.model, self.callbacks = path, model, callbacks

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Write the checkpoint; an older one is replaced in one step."""
        save_checkpoint(self.path, self.model, state, self.callbacks)


def save_checkpoint(path: Path, model: Model, state: TrainState, callbacks: Sequence[Callback]) -> None:
    """Write all that `load_checkpoint` puts back. The same state gives the same bytes."""
    arrays, values = _contents(model, state, callbacks)
    # One metadata key: with two or more, safetensors orders them differently in every process.
    metadata = {METADATA_KEY: json.dumps(values, sort_keys=True, separators=(",", ":"))}
    tensors = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    write_atomic(path, safetensors.numpy.save(tensors, metadata))


def load_checkpoint(path: Path, model: Model, state: TrainState, callbacks: Sequence[Callback]) -> None:
    """Put model, state and callbacks, made as for a fresh run, where they stood at a checkpoint.

    Raises: InputError naming the file when it is damaged or belongs to another model or other settings;
            nothing has been changed then.
    """
    expected_arrays, expected_values = _contents(model, state, callbacks)
    try:
        with safetensors.safe_open(path, framework="np") as file:
            values = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- not a mapping
        _check_same("arrays", set(expected_arrays), set(arrays))
        _check_same("values", set(expected_values), set(values))
        for name, array in expected_arrays.items():
            came = arrays[name]
            if (came.shape, came.dtype) != (array.shape, array.dtype):
                raise ValueError(
                    f"{name}: expected {array.dtype} {array.shape}, got {came.dtype} {came.shape}"
                )
        if values["format"] != FORMAT:
            raise ValueError(f"expected format {FORMAT}, got {values['format']!r}")
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: not a checkpoint of this run: {' '.join(str(error).split())}") from error

    model.parameters[...] = arrays["parameters"]
    model.buffers[...] = arrays["buffers"]
    model.mark_changed()
    slots = {name: arrays[f"optimizer.{name}"] for name in state.optimizer.slots}
    state.optimizer.restore(values["optimizer_step"], slots)
    state.epoch, state.step, state.lr_scale = values["epoch"], values["step"], values["lr_scale"]
    for prefix, callback in _named(callbacks):
        keys = {name: prefix + name for name in callback.saved()}
        callback.restore({name: arrays[key] if key in arrays else values[key] for name, key in keys.items()})


def _contents(
    model: Model, state: TrainState, callbacks: Sequence[Callback]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """All that a checkpoint holds now: arrays, and plain values."""
    arrays: dict[str, Array] = {"parameters": model.parameters, "buffers": model.buffers}
    arrays |= {f"optimizer.{name}": slot for name, slot in state.optimizer.slots.items()}
    values: dict[str, Any] = {
        "format": FORMAT,
        "epoch": state.epoch,
        "step": state.step,
        "lr_scale": state.lr_scale,
        "optimizer_step": state.optimizer.step,
    }
    for prefix, callback in _named(callbacks):
        for name, value in callback.saved().items():
            (arrays if isinstance(value, np.ndarray) else values)[prefix + name] = value
    return arrays, values


def _named(callbacks: Sequence[Callback]) -> list[tuple[str, Callback]]:
    """Callbacks that have something to save, each with the beginning of its keys."""
    having = [callback for callback in callbacks if callback.saved()]
    return [(f"{type(callback).__name__}.", callback) for callback in having]


def _check_same(what: str, expected: set[str], came: set[str]) -> None:
    """ValueError naming what is missing and what is too much."""
    if expected != came:
        raise ValueError(
            f"{what} missing: {', '.join(sorted(expected - came)) or 'none'}, "
            f"unknown: {', '.join(sorted(came - expected)) or 'none'}"
        )
