"""Weights from PyTorch. Neither torch nor an extra is needed: names, shapes and layouts are the same.

The other way there is nothing to do: what `nn.save_model` writes loads into the equivalent
`torch.nn.Sequential` as it is.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from numnist.arrays import Array
from numnist.nn import Model
from numnist.nn.model_file import opened

COUNTER = "num_batches_tracked"
"""What PyTorch's BatchNorm counts besides; it changes nothing as long as `momentum` is a number."""


def load_state(model: Model, state: str | Path | Mapping[str, Any]) -> None:
    """Give a model the weights and running statistics of a `torch.nn.Sequential` with the same layers.

    A name is the place of a layer and PyTorch's name in it ("0.weight", "3.1.running_mean"), as in ours;
    `num_batches_tracked`, which only PyTorch has, is left out. float16 and float64 become float32.

    state: a file that `safetensors.torch.save_file(network.state_dict(), ...)` wrote, or a mapping from names
           to arrays, or to tensors on the CPU.
    Raises: ValueError, for a file an InputError that names it, when an array is missing, unknown, of another
            shape, not of floats, or not finite; the model is then as it was.
    Source: PyTorch documentation, torch.nn.Module.state_dict.
    """
    if isinstance(state, str | Path):
        with opened(Path(state)) as file:
            read = partial(_read, file.get_tensor)
            load_state(model, {name: read(name) for name in file.keys()})  # noqa: SIM118
        return
    read = partial(_read, lambda name: np.asarray(state[name]))
    found = {name: read(name) for name in state if name.split(".")[-1] != COUNTER}
    views = dict(model.named_arrays())
    for name in sorted(found.keys() - views):
        raise ValueError(f"tensor {name!r} is not in the model, which has {_some(views)}")
    checked = {name: _checked(name, found.get(name), view) for name, view in views.items()}
    for name, view in views.items():
        view[...] = checked[name]
    model.mark_changed()


def _read(get: Callable[[str], Array], name: str) -> Array:
    """A tensor as an array; ValueError naming one that NumPy has no type for, or that has to be detached."""
    try:
        return get(name)
    except (AttributeError, TypeError, RuntimeError) as error:
        raise ValueError(f"tensor {name!r} is no array of float16, float32 or float64: {error}") from error


def _checked(name: str, array: Array | None, view: Array) -> Array:
    """The array in the model's dtype; ValueError where it does not fit."""
    if array is None:
        raise ValueError(f"tensor {name!r} is missing")
    if array.shape != view.shape or not np.issubdtype(array.dtype, np.floating):
        came = f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"tensor {name!r}: expected floats of shape {view.shape}, got {came}")
    with np.errstate(over="ignore"):  # what is too large for float32 is told below
        array = array.astype(view.dtype)
    if not np.isfinite(array).all():
        raise ValueError(f"tensor {name!r} holds values that are not finite numbers")
    return array


def _some(names: Mapping[str, Any]) -> str:
    """The first few names."""
    first = list(names)[:3]
    return ", ".join(first) + (", ..." if len(names) > len(first) else "") if first else "none"
