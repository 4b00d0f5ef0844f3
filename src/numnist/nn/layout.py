"""Many named arrays in one flat vector."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from numnist.arrays import Array, Shape


@dataclass(frozen=True)
class Layout:
    """Where each named array lies in a flat vector: one after another, in the order given.

    Parameters, their gradient, the optimizer's state and a weight average share one layout, so that an
    update, an all-reduce or a checkpoint is one operation on one array.
    """

    shapes: Mapping[str, Shape]

    @property
    def size(self) -> int:
        """Number of elements of the flat vector."""
        return sum(prod(shape) for shape in self.shapes.values())

    def views(self, flat: Array) -> dict[str, Array]:
        """Each array by name, as a view: writing to it writes to the flat vector.

        Raises: ValueError when `flat` is not a contiguous vector of this layout's size.
        """
        if flat.shape != (self.size,) or not flat.flags.c_contiguous:
            raise ValueError(
                f"Layout: expected a contiguous vector of shape ({self.size},), got {flat.shape}"
            )
        views, start = {}, 0
        for name, shape in self.shapes.items():
            views[name] = flat[start : start + prod(shape)].reshape(shape)
            start += prod(shape)
        return views

    def mask(self, names: Container[str]) -> Array:
        """A flat boolean vector: True where an array of one of these names lies."""
        mask = np.zeros(self.size, bool)
        for name, view in self.views(mask).items():
            view[...] = name in names
        return mask
