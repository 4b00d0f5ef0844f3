"""A convolution in float64, for the few times that float32 is not enough."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from numnist.arrays import Array


def fill_phases(phases: Array, x: Array, weight: Array, padding: int, reference: Array) -> None:
    """Fill phases[a, b, w, n, h, o] = c[n, o, k*h + a, k*w + b] - reference[o].

    c is the convolution of x with the weight (stride 1), computed column by column of the output.

    Shapes: phases (k, k, W', N, H', O), x (W, N, H, C), weight (O, C, KH, KW), reference (O,).
    """
    k, _, columns, n, rows, O = phases.shape  # noqa: E741 -- the formula's letter
    KH, KW = weight.shape[2:]
    padded = np.pad(x.astype(np.float64), [(padding, padding), (0, 0), (padding, padding), (0, 0)])
    # [w, n, h, c, u]: the rows under the kernel; and the weight as it meets them, [v, (c,u), o].
    bands = sliding_window_view(padded, KH, axis=2)
    taps = weight.astype(np.float64).transpose(3, 1, 2, 0).reshape(KW, -1, O)
    for column in range(k * columns):
        c = sum(bands[column + v].reshape(-1, taps.shape[1]) @ taps[v] for v in range(KW)) - reference
        of_rows = c.reshape(n, -1, O)[:, : k * rows].reshape(n, rows, k, O)
        phases[:, column % k, column // k] = of_rows.transpose(2, 0, 1, 3)
