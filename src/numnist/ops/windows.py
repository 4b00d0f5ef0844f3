"""The geometry that the pooling operations share."""

from collections.abc import Iterator

from numnist.arrays import Array
from numnist.ops.patches import output_size


def pooled_size(op: str, x: Array, size: int, stride: int) -> tuple[int, int]:
    """Rows and columns of what is left after pooling; ValueError, naming the op, where nothing is."""
    if x.ndim != 4:
        raise ValueError(f"{op}: expected x of shape (N, C, H, W), got {x.shape}")
    rows, columns = (output_size(length, size, stride) for length in x.shape[2:])
    if rows < 1 or columns < 1:
        raise ValueError(f"{op}: window {size}x{size} is larger than the image {x.shape[2]}x{x.shape[3]}")
    return rows, columns


def window_elements(x: Array, size: int, stride: int, rows: int, columns: int) -> Iterator[Array]:
    """For each element (u, v) of the window, in row-major order, the view of x that lies under it.

        view_uv[n,c,i,j] = x[n, c, s*i+u, s*j+v]

    Shapes: x (N, C, H, W) -> size² views (N, C, rows, columns). Writing to a view writes to x.
    """
    for u in range(size):
        for v in range(size):
            yield x[:, :, u : u + stride * rows : stride, v : v + stride * columns : stride]
