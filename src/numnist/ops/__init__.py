"""The mathematics: one module per operation, each a pure `forward` / `backward` pair on plain arrays.

`forward(x, ..., parameters) -> (y, cache)` and `backward(dy, cache) -> dx`, or `(dx, dparameters...)` where
there are parameters. A gradient is `d` and the name of what it belongs to. Any float dtype; images are
(N, C, H, W); nothing is changed in place and nothing is remembered.
"""

from numnist.ops import (
    avg_pool2d,
    batch_norm,
    conv2d,
    dropout,
    flatten,
    global_avg_pool2d,
    leaky_relu,
    linear,
    log_softmax,
    max_pool2d,
    relu,
    sigmoid,
    softmax,
    softmax_cross_entropy,
    tanh,
)

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "conv2d",
    "dropout",
    "flatten",
    "global_avg_pool2d",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool2d",
    "relu",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "tanh",
]
