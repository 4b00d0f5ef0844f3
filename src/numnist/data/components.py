"""Connected components of a mask: whole runs of pixels joined at a time."""

from typing import NamedTuple

import numpy as np

from numnist.arrays import Array


class Components(NamedTuple):
    """The connected components of a mask (H, W), numbered from 0.

    labels (H, W) int: the number of each pixel's component, -1 outside the mask. Per component: area in
    pixels and the rectangle [top, bottom) x [left, right) that holds it, each (count,) int.
    """

    labels: Array
    area: Array
    top: Array
    bottom: Array
    left: Array
    right: Array

    @property
    def height(self) -> Array:
        """Rows of each rectangle."""
        return self.bottom - self.top

    @property
    def width(self) -> Array:
        """Columns of each rectangle."""
        return self.right - self.left

    def mask(self, chosen: Array) -> Array:
        """The pixels of the chosen components; chosen (count,) bool -> (H, W) bool."""
        return np.append(chosen, False)[self.labels]  # -1, outside, takes the last


def connected_components(mask: Array) -> Components:
    """Label the 8-connected components of a mask, in the order in which a reader of rows meets them.

    The nodes are runs, the stretches of True within a row. Two runs of neighbouring rows are connected if one
    begins no later than a pixel after the other ends, and the other way round. All edges at once hook the
    larger root to the smaller, then every run jumps to its root, until no edge joins two roots.

    Shapes: mask (H, W) bool.
    Memory and time: in proportion to pixels and runs; a few rounds, whatever the shapes.
    Source: Y. Shiloach, U. Vishkin, "An O(log n) parallel connectivity algorithm", J. Algorithms 3, 1982.
    """
    height, width = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges == 1)
    end = np.nonzero(edges == -1)[1]

    # Row and column as one number, ascending; no column reaches the stride, so rows do not mix.
    stride = width + 2
    below = (row + 1) * stride
    first = np.searchsorted(row * stride + end, below + start, "left")
    last = np.searchsorted(row * stride + start, below + end, "right")
    number = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(row)), number)
    lower = np.arange(len(upper)) - np.repeat(np.cumsum(number) - number, number) + np.repeat(first, number)

    root = np.arange(len(row))
    while (root[upper] != root[lower]).any():
        a, b = root[upper], root[lower]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while (root != root[root]).any():
            root = root[root]
    roots, component = np.unique(root, return_inverse=True)

    labels = np.full((height, width), -1)
    labels[mask] = np.repeat(component, end - start)
    count = len(roots)
    top, left = np.full(count, height), np.full(count, width)
    bottom, right = np.zeros(count, np.int64), np.zeros(count, np.int64)
    np.minimum.at(top, component, row)
    np.maximum.at(bottom, component, row + 1)
    np.minimum.at(left, component, start)
    np.maximum.at(right, component, end)
    area = np.bincount(component, end - start, minlength=count).astype(np.int64)
    return Components(labels, area, top, bottom, left, right)
