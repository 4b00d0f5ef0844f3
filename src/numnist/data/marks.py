"""Which marks on a page are writing: not specks, and not what hangs on the border."""

import numpy as np

from numnist.arrays import Array
from numnist.data.components import connected_components

_SPECK = 0.04  # of the largest mark's area
_LEAST_SIDE = 0.015  # of the picture's longer side
_ALONG = 0.7
_CORNER = 0.15  # of both sides


def grown(mask: Array, by: int = 1) -> Array:
    """A mask and the pixels within `by` rows and columns of it."""
    for axis in (0, 1):
        size = mask.shape[axis]
        padded = np.moveaxis(np.pad(mask, [(by, by) if a == axis else (0, 0) for a in (0, 1)]), axis, 0)
        mask = np.moveaxis(np.logical_or.reduce([padded[k : k + size] for k in range(2 * by + 1)]), 0, axis)
    return mask


def without_border_marks(mask: Array) -> Array:
    """A mask without the edge of a table, the shadow of a phone, the margin of a scan.

    A component is one of these if it runs along most of a side of the picture, or a part of two sides around
    a corner; unless nothing else would be left.

    Shapes: mask (H, W) bool -> (H, W) bool.
    """
    found = connected_components(mask)
    count = len(found.area)
    sides = (found.labels[0], found.labels[-1], found.labels[:, 0], found.labels[:, -1])
    contact = np.stack([np.bincount(side[side >= 0], minlength=count) / len(side) for side in sides])
    along = contact.max(axis=0) >= _ALONG
    corner = np.minimum(contact[:2].max(axis=0), contact[2:].max(axis=0)) >= _CORNER
    removed = along | corner
    return mask if removed.all() else found.mask(~removed)


def without_specks(mask: Array) -> Array:
    """A mask without specks: components of less than 0.04 of the largest one's area, or tiny in the picture.

    Shapes: mask (H, W) bool -> (H, W) bool.
    """
    found = connected_components(mask)
    least = max(3.0, _LEAST_SIDE * max(mask.shape))
    large = np.maximum(found.height, found.width) >= least
    kept = large & (found.area >= _SPECK * found.area.max(initial=0, where=large))
    return found.mask(kept)
