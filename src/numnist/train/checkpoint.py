"""A run on disk: all that going on from this very step needs."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from numnist import __version__
from numnist.arrays import Array
from numnist.nn import Model
from numnist.train import checkpoint_file
from numnist.train.callbacks import Callback
from numnist.train.checkpoint_file import check_names, describe_damage
from numnist.train.loop import exchange
from numnist.train.ranks import Ranks
from numnist.train.state import EpochReport, StepReport, TrainState

FORMAT = 2
"""Version of a checkpoint; others are refused: it serves one run, on the way."""

PREVIOUS = "checkpoint-previous.safetensors"
"""The one before the last, in the same folder."""

SECONDS = 60.0
"""Between two checkpoints where nobody asks for another pace."""

COUNTS = ("epoch", "step", "optimizer_step", "average_updates")

Identity = Mapping[str, Any]
"""What decides the course of a run, see `Run.identity`."""


class Checkpoint(Callback):
    """Writes checkpoint.safetensors: after every epoch, now and then in between, and at a stop.

    It comes after those callbacks, so that it sees what they made of the step. When it is written changes
    nothing of the run.
    """

    def __init__(
        self,
        path: Path,
        identity: Identity,
        model: Model,
        callbacks: Sequence[Callback],
        every: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """every: steps between two checkpoints; None for one about every minute."""
        self.path, self.identity, self.model, self.callbacks = path, identity, model, callbacks
        self.every, self._clock = every, clock
        self._steps_per_epoch = 0
        self._last = 0.0

    def on_train_begin(self, state: TrainState, steps_per_epoch: int, epochs: int) -> None:
        """Begin to wait."""
        self._steps_per_epoch = steps_per_epoch
        self._last = self._clock()

    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        """Write one if it is time. After the last step of an epoch there will be one in a moment."""
        if state.step % self._steps_per_epoch and self._is_due(state.step):
            self._write(state)

    def on_stop(self, state: TrainState) -> None:
        """Write where the run stands."""
        self._write(state)

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """Write where the run stands."""
        self._write(state)

    def _is_due(self, step: int) -> bool:
        if self.every is not None:
            return step % self.every == 0
        return self._clock() - self._last >= SECONDS

    def _write(self, state: TrainState) -> None:
        # Weights that are not finite end the run in the next step, and it goes on from the last checkpoint.
        if np.isfinite(self.model.parameters).all():
            save_checkpoint(self.path, self.identity, self.model, state, self.callbacks)
        self._last = self._clock()


def save_checkpoint(
    path: Path, identity: Identity, model: Model, state: TrainState, callbacks: Sequence[Callback]
) -> None:
    """Write all that `load_checkpoint` puts back. The same state gives the same bytes.

    A checkpoint that was there is kept beside it, as `PREVIOUS`.

    identity: tells runs apart; a checkpoint is loaded only into a run of the same identity.
    """
    arrays, values = _contents(identity, model, state, callbacks)
    checkpoint_file.write(path, path.with_name(PREVIOUS), values, arrays)


def load_checkpoint(
    path: Path, identity: Identity, model: Model, state: TrainState, callbacks: Sequence[Callback]
) -> None:
    """Put model, state and callbacks, made as for a fresh run, where they stood at a checkpoint.

    Raises: InputError naming the file when it is damaged or belongs to a run with another model, other
            settings or other data, and what differs; nothing has been changed then.
    """
    expected_arrays, expected = _contents(identity, model, state, callbacks)
    shapes = {name: (array.shape, str(array.dtype)) for name, array in expected_arrays.items()}
    try:
        _check_identity(identity, checkpoint_file.read_values(path))
        values, arrays = checkpoint_file.read(path, shapes)
        _check_values(expected, values)
        report, partial = (
            None if values[name] is None else EpochReport.from_saved(values[name])
            for name in ("report", "partial")
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise describe_damage(path, error) from error
    try:
        _put_back(model, state, callbacks, arrays, {**values, "report": report, "partial": partial})
    except ValueError as error:
        raise describe_damage(path, error) from error


def share_state(
    ranks: Ranks, identity: Identity, model: Model, state: TrainState, callbacks: Sequence[Callback]
) -> None:
    """Put model, state and callbacks of all ranks where they stand on the first one.

    callbacks: on the others the first few of those on the first one.
    """
    if ranks.ranks == 1:
        return
    if state.average is not None and state.average.is_swapped:  # it has been the end before
        exchange(model, state.average)
    state.interrupted = ""
    arrays, values = ranks.share(_contents(identity, model, state, callbacks))
    if ranks.rank > 0:
        reports = {
            name: None if values[name] is None else EpochReport.from_saved(values[name])
            for name in ("report", "partial")
        }
        _put_back(model, state, callbacks, arrays, {**values, **reports})


def _put_back(
    model: Model,
    state: TrainState,
    callbacks: Sequence[Callback],
    arrays: Mapping[str, Array],
    values: Mapping[str, Any],
) -> None:
    """Have these arrays and values in their places, the reports made; ValueError where a callback objects."""
    model.parameters[...] = arrays["parameters"]
    model.buffers[...] = arrays["buffers"]
    model.mark_changed()
    slots = {name: arrays[f"optimizer.{name}"] for name in state.optimizer.slots}
    state.optimizer.restore(values["optimizer_step"], slots)
    if state.average is not None:
        state.average.parameters[...] = arrays["average.parameters"]
        state.average.buffers[...] = arrays["average.buffers"]
        state.average.updates = values["average_updates"]
        state.average.is_swapped = False
    state.epoch, state.step, state.lr_scale = values["epoch"], values["step"], values["lr_scale"]
    state.stop, state.report, state.partial = values["stop"], values["report"], values["partial"]
    state.interrupted = ""
    for prefix, callback in _named(callbacks):
        keys = {name: prefix + name for name in callback.saved()}
        callback.restore({name: arrays[key] if key in arrays else values[key] for name, key in keys.items()})


def _contents(
    identity: Identity, model: Model, state: TrainState, callbacks: Sequence[Callback]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """All that a checkpoint holds now: arrays, and plain values."""
    arrays: dict[str, Array] = {"parameters": model.parameters, "buffers": model.buffers}
    arrays |= {f"optimizer.{name}": slot for name, slot in state.optimizer.slots.items()}
    if state.average is not None:
        arrays |= {"average.parameters": state.average.parameters, "average.buffers": state.average.buffers}
    values: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "run": dict(identity),
        "epoch": state.epoch,
        "step": state.step,
        "lr_scale": state.lr_scale,
        "stop": state.stop,
        "report": state.report.saved() if state.report else None,
        "partial": state.partial.saved() if state.partial else None,
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


def _check_identity(expected: Identity, values: Mapping[str, Any]) -> None:
    """ValueError naming what differs between the run of a checkpoint and the run it is to go on as."""
    if values.get("format") != FORMAT:
        raise ValueError(f"expected format {FORMAT}, got {str(values.get('format'))[:40]!r}")
    if differ := differences(expected, values.get("run")):
        raise ValueError("; ".join(differ[:5]) + (f" and {len(differ) - 5} more" if len(differ) > 5 else ""))


def differences(expected: Any, came: Any, place: str = "") -> list[str]:
    """Where two trees of plain values differ, in words."""
    if isinstance(expected, Mapping) and isinstance(came, Mapping):
        found = []
        for key in sorted(expected.keys() | came.keys(), key=str):
            inside = f"{place}.{key}" if place else str(key)
            found += differences(expected.get(key), came.get(key), inside[:60])
        return found
    if expected == came and type(expected) is type(came):
        return []
    return [f"{place or 'run'} was {_short(came)} and is now {_short(expected)}"]


def _short(value: Any) -> str:
    text = "not there" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _check_values(expected: Mapping[str, Any], came: Mapping[str, Any]) -> None:
    """ValueError naming what is missing, unknown, or of another kind than in a run of these settings."""
    check_names("values", set(expected), set(came))
    for name in COUNTS:
        if type(came[name]) is not int or came[name] < 0:
            raise ValueError(f"expected {name} to be a count, got {_short(came[name])!r}")
    for name, value in expected.items():
        # What a fresh run has not got yet is None in it, and looked at by whoever takes it.
        if name in ("report", "partial") or value is None:
            continue
        if type(came[name]) is not type(value) or came[name] != came[name]:
            raise ValueError(f"expected {name} to be {type(value).__name__}, got {_short(came[name])!r}")
    if not 0 < came["lr_scale"] < math.inf:
        raise ValueError(f"expected lr_scale to be a finite number above 0, got {came['lr_scale']}")
