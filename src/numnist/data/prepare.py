"""From a grey picture to digits in MNIST's form, one or a row of them."""

import numpy as np

from numnist.arrays import Array, Shape
from numnist.data.background import running_maximum
from numnist.data.digits import STROKE, main_digit, split_digits
from numnist.data.ink import find_ink
from numnist.data.normalise import MNIST_SIZE, centre_digit

_THIN_PEN = 1.7
_PEN = 2.1


def prepare_image(grey: Array, *, image_size: Shape = MNIST_SIZE) -> Array:
    """The digit in a picture, in MNIST's form: `find_ink`, `main_digit`, `thickened`, `centre_digit`.

    Shapes: grey (H, W), finite, 0 to 255 -> image_size, uint8.
    Raises: NoInkError for a blank page or no contrast; ValueError as `find_ink` and `centre_digit`.
    """
    return centre_digit(thickened(main_digit(find_ink(grey))), image_size)


def prepare_number(grey: Array, *, image_size: Shape = MNIST_SIZE) -> Array:
    """The digits of a number, left to right: as `prepare_image`, with `split_digits` for `main_digit`.

    Shapes: grey (H, W), finite, 0 to 255 -> (k, *image_size), uint8, k at least 1.
    Raises: as `prepare_image`.
    """
    return np.stack([centre_digit(thickened(digit), image_size) for digit in split_digits(find_ink(grey))])


def thickened(ink: Array) -> Array:
    """Ink of a thin pen drawn with a thicker one; other ink as it is.

    The mean width of the strokes is w = 2 A / P, with A their area and P their outline, π/4 of the number of
    pixel edges on it. Once `centre_digit` has scaled the digit to 20 pixels, they are 20 w / (longer side)
    pixels wide. In MNIST the median of that is 2.5, and one image of twenty has less than 1.7. A digit with
    less becomes one of 2.1, by the maximum over the pixels within a whole number of rows and columns; where
    that number is 0, as in every picture of MNIST's size, it stays as it is.

    Shapes: ink (h, w), cropped to its digit -> (h', w'), larger by what was added.
    Source: the area and outline of a ribbon; π/4 by Cauchy and Crofton's formula.
    """
    strokes = np.pad(ink >= STROKE, 1)
    edges = np.diff(strokes, axis=0).sum() + np.diff(strokes, axis=1).sum()
    longer = max(ink.shape)
    width = 2 * strokes.sum() / max(np.pi / 4 * edges, 1)
    half = int((_PEN / 20 * longer - width) // 2)
    if 20 * width >= _THIN_PEN * longer or half < 1:
        return ink
    return running_maximum(np.pad(ink, half), half)
