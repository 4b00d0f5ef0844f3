"""A run on disk at the end of an epoch: all that going on needs."""

import json
from collections.abc import Mapping, Sequence
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

    It comes after those callbacks, so that it sees what they made of the epoch.
    """

    def __init__(self, path: Path, identity: str, model: Model, callbacks: Sequence[Callback]) -> None:
        self.path, self.identity, self.model, self.callbacks = path, identity, model, callbacks

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Write the checkpoint; an older one is replaced in one step."""
        save_checkpoint(self.path, self.identity, self.model, state, self.callbacks)


def save_checkpoint(
    path: Path, identity: str, model: Model, state: TrainState, callbacks: Sequence[Callback]
) -> None:
    """Write all that `load_checkpoint` puts back. The same state gives the same bytes.

    identity: tells runs apart; a checkpoint is loaded only into a run of the same identity.
    """
    arrays, values = _contents(identity, model, state, callbacks)
    # One metadata key: with two or more, safetensors orders them differently in every process.
    metadata = {METADATA_KEY: json.dumps(values, sort_keys=True, separators=(",", ":"))}
    tensors = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    write_atomic(path, safetensors.numpy.save(tensors, metadata))


def load_checkpoint(
    path: Path, identity: str, model: Model, state: TrainState, callbacks: Sequence[Callback]
) -> None:
    """Put model, state and callbacks, made as for a fresh run, where they stood at a checkpoint.

    Raises: InputError naming the file when it is damaged or belongs to a run with another model, other
            settings or other data; nothing has been changed then.
    """
    expected_arrays, expected_values = _contents(identity, model, state, callbacks)
    try:
        with safetensors.safe_open(path, framework="np") as file:
            values = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- not a mapping
        _check_values(expected_values, values)
        _check_arrays(expected_arrays, arrays)
        report = None if values["report"] is None else EpochReport.from_row(values["report"])
    except (OSError, ValueError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: not a checkpoint of this run: {' '.join(str(error).split())}") from error

    model.parameters[...] = arrays["parameters"]
    model.buffers[...] = arrays["buffers"]
    model.mark_changed()
    slots = {name: arrays[f"optimizer.{name}"] for name in state.optimizer.slots}
    state.optimizer.restore(values["optimizer_step"], slots)
    if state.average is not None:
        state.average.parameters[...] = arrays["average.parameters"]
        state.average.buffers[...] = arrays["average.buffers"]
        state.average.updates = values["average_updates"]
    state.epoch, state.step, state.lr_scale = values["epoch"], values["step"], values["lr_scale"]
    state.stop, state.report = values["stop"], report
    for prefix, callback in _named(callbacks):
        keys = {name: prefix + name for name in callback.saved()}
        callback.restore({name: arrays[key] if key in arrays else values[key] for name, key in keys.items()})


def _contents(
    identity: str, model: Model, state: TrainState, callbacks: Sequence[Callback]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """All that a checkpoint holds now: arrays, and plain values."""
    arrays: dict[str, Array] = {"parameters": model.parameters, "buffers": model.buffers}
    arrays |= {f"optimizer.{name}": slot for name, slot in state.optimizer.slots.items()}
    if state.average is not None:
        arrays |= {"average.parameters": state.average.parameters, "average.buffers": state.average.buffers}
    values: dict[str, Any] = {
        "format": FORMAT,
        "identity": identity,
        "epoch": state.epoch,
        "step": state.step,
        "lr_scale": state.lr_scale,
        "stop": "" if state.interrupted else state.stop,
        "report": state.report.row() if state.report else None,
        "optimizer_step": state.optimizer.step,
        "average_updates": 0 if state.average is None else state.average.updates,
    }
    for prefix, callback in _named(callbacks):
        for name, value in callback.saved().items():
            (arrays if isinstance(value, np.ndarray) else values)[prefix + name] = value
    return arrays, values


def _named(callbacks: Sequence[Callback]) -> list[tuple[str, Callback]]:
    """Callbacks that have something to save, each with the beginning of its keys."""
    having = [callback for callback in callbacks if callback.saved()]
    return [(f"{number}.{type(callback).__name__}.", callback) for number, callback in enumerate(having)]


def _check_values(expected: Mapping[str, Any], came: Any) -> None:
    """ValueError naming what is missing, unknown, or of another kind than in a run of these settings."""
    if not isinstance(came, dict):
        raise ValueError("its values are not a table")
    _check_names("values", set(expected), set(came))
    for name in ("format", "identity"):
        if came[name] != expected[name]:
            raise ValueError(f"expected {name} {expected[name]!r}, got {came[name]!r}")
    for name in ("epoch", "step", "optimizer_step", "average_updates"):
        if type(came[name]) is not int or came[name] < 0:
            raise ValueError(f"expected {name} to be a count, got {came[name]!r}")
    for name, value in expected.items():
        # What a fresh run has not got yet is None in it.
        if value is not None and came[name] is not None and type(came[name]) is not type(value):
            raise ValueError(f"expected {name} to be {type(value).__name__}, got {came[name]!r}")


def _check_arrays(expected: Mapping[str, Array], came: Mapping[str, Array]) -> None:
    """ValueError naming what is missing, unknown, or of another shape or dtype."""
    _check_names("arrays", set(expected), set(came))
    for name, array in expected.items():
        if (came[name].shape, came[name].dtype) != (array.shape, array.dtype):
            other = f"{came[name].dtype} {came[name].shape}"
            raise ValueError(f"{name}: expected {array.dtype} {array.shape}, got {other}")


def _check_names(what: str, expected: set[str], came: set[str]) -> None:
    """ValueError naming what is missing and what is too much."""
    if expected != came:
        raise ValueError(
            f"{what} missing: {', '.join(sorted(expected - came)) or 'none'}, "
            f"unknown: {', '.join(sorted(came - expected)) or 'none'}"
        )
