"""Tricks of passes over memory: elementwise work, masks, sums per channel, the optimizer, and a dense layer.

Where nothing else is said, a pass is over what the first block of the cnn gives for 64 images.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from tricks_case import POOLED, Case, N, Pair, agreeing, model_of, normal, stage_of

from numnist.arrays import Array
from numnist.engine.kernels.dense import Dense
from numnist.engine.kernels.products import by_blocks
from numnist.engine.kernels.sums import ColumnSums
from numnist.engine.kernels.tiles import Tile
from numnist.engine.memory import Scratch, aligned
from numnist.engine.stage import run
from numnist.optim import Adam

CHANNELS = POOLED[-1]
PHASES = (2, 2, *POOLED)


def preallocated() -> Pair:
    """Four elementwise operations, one after another."""
    x, a, b, c = (normal(*PHASES) for _ in range(4))
    y = aligned(PHASES)

    def before() -> Array:
        less = np.subtract(x, a)
        product = np.multiply(less, b)
        total = np.add(product, c)
        largest: Array = np.maximum(total, 0)
        return largest

    def after() -> Array:
        np.subtract(x, a, out=y)
        np.multiply(y, b, out=y)
        np.add(y, c, out=y)
        np.maximum(y, 0, out=y)
        return y

    return agreeing(before, after)


def pool_first() -> Pair:
    """Affine map, ReLU and pooling of the first convolution's output, in two orders."""
    c, z, y, pooled = normal(*PHASES), aligned(PHASES), aligned(POOLED), aligned(POOLED)
    tile = Tile(pooled, count=2)
    tile.set(np.stack([np.linspace(0.5, 2, CHANNELS), np.linspace(-1, 1, CHANNELS)]))

    def affine(x: Array, out: Array) -> None:
        np.multiply(tile.rows(x), tile.values[0], out=tile.rows(out))
        np.add(tile.rows(out), tile.values[1], out=tile.rows(out))
        np.maximum(out, 0, out=out)

    def maxima(x: Array, out: Array) -> None:
        np.maximum(x[0, 0], x[0, 1], out=out)
        np.maximum(out, x[1, 0], out=out)
        np.maximum(out, x[1, 1], out=out)

    def before() -> Array:
        affine(c, z)
        maxima(z, y)
        return y

    def after() -> Array:
        maxima(c, pooled)
        affine(pooled, pooled)
        return pooled

    return agreeing(before, after)


def phases() -> Pair:
    """The maxima of windows of 2x2."""
    c = normal(*PHASES)
    images = np.ascontiguousarray(c.transpose(3, 5, 4, 0, 2, 1)).reshape(N, CHANNELS, 24, 24)
    strided = [images[..., a::2, b::2] for a in range(2) for b in range(2)]
    contiguous = [c[a, b] for a in range(2) for b in range(2)]
    left, right = aligned((N, CHANNELS, 12, 12)), aligned(POOLED)

    def maxima(parts: list[Array], out: Array) -> None:
        np.maximum(parts[0], parts[1], out=out)
        np.maximum(out, parts[2], out=out)
        np.maximum(out, parts[3], out=out)

    return agreeing(
        partial(maxima, strided, left), partial(maxima, contiguous, right), left.transpose(3, 0, 2, 1), right
    )


def masked(other: Callable[[Array, Array, Array], object]) -> Callable[[], Pair]:
    """ReLU's backward pass: the gradient where the output was positive, by `other(dy, positive, out)`."""

    def make() -> Pair:
        dy, positive = normal(*POOLED), normal(*POOLED)[::-1] > 0
        left, right = aligned(POOLED), aligned(POOLED)
        after = partial(np.multiply, dy, positive, out=right)
        return agreeing(partial(other, dy, positive, left), after, left, right)

    return make


def as_integers(dy: Array, positive: Array, out: Array) -> None:
    """The float's bits times 0 or 1."""
    np.multiply(dy.view(np.int32), positive.view(np.int8), out=out.view(np.int32))


def chosen(dy: Array, positive: Array, out: Array) -> None:
    """np.where makes an array; nothing is copied from there."""
    out[...] = np.where(positive, dy, np.float32(0))


def copied(dy: Array, positive: Array, out: Array) -> None:
    """Zeros, and a copy through the mask."""
    out.fill(0)
    np.copyto(out, dy, where=positive)


def tiles() -> Pair:
    """An affine map with numbers per channel."""
    x, left, right = normal(*POOLED), aligned(POOLED), aligned(POOLED)
    scale, offset = normal(2, CHANNELS)
    tile = Tile(x, count=2)
    rows_x, rows = tile.rows(x), tile.rows(right)

    def before() -> None:
        np.multiply(x, scale, out=left)
        np.add(left, offset, out=left)

    def after() -> None:
        tile.set(np.stack([scale, offset]))
        np.multiply(rows_x, tile.values[0], out=rows)
        np.add(rows, tile.values[1], out=rows)

    return agreeing(before, after, left, right)


def sums() -> Pair:
    """Sums per channel."""
    x = normal(*POOLED)
    x += 0.1
    rows = x.reshape(-1, CHANNELS)
    return agreeing(partial(np.add.reduce, rows[np.newaxis], axis=1), ColumnSums([(x,)]))


def sums_of_products() -> Pair:
    """Sums of products per channel."""
    x = normal(*POOLED)
    rows = x.reshape(-1, CHANNELS)
    return agreeing(
        partial(np.einsum, "aic,aic->ac", rows[np.newaxis], rows[np.newaxis]), ColumnSums([(x, x)])
    )


def features() -> Pair:
    """A dense layer, 784 to 600."""
    layer = stage_of("mlp", 1).hidden.layer
    layer.parameters["bias"][...] = normal(600)
    weight, bias = layer.parameters["weight"], layer.parameters["bias"]
    x, left, right = normal(N, 784), aligned((N, 600)), aligned((600, N))
    dense = Dense(["1"], (784,), (600,), layer, None, {})

    def before() -> None:
        np.matmul(x, weight.T, out=left)
        np.add(left, bias, out=left)

    return agreeing(before, partial(run, dense.outputs(x, right, Scratch())), left.T, right)


def in_blocks() -> Pair:
    """Half of the features of a dense layer, 784 to 600, for 32 images."""
    weight, x = normal(300, 784), normal(32, 784)
    turned, left, right = aligned((784, 32)), aligned((300, 32)), aligned((300, 32))
    turn, multiply = partial(np.copyto, turned, x.T), by_blocks(weight, turned, right)
    return agreeing(partial(np.matmul, weight, x.T, out=left), partial(run, [turn, multiply]), left, right)


def adam() -> Pair:
    """A step of Adam for the parameters of the zoo's mlp."""
    size = model_of("mlp").parameters.size
    optimizer, gradient = Adam(), normal(size)
    left, right = np.zeros(size, np.float32), np.zeros(size, np.float32)
    state, blocks = optimizer.init(left), optimizer.init(right)

    def before() -> Array:
        state.step += 1
        optimizer._update(left, gradient, state, 1e-3)
        return left

    def after() -> Array:
        optimizer.step(right, gradient, blocks, 1e-3)
        return right

    return agreeing(before, after)


PRODUCT = "dy times booleans"

CASES = [
    Case(
        "preallocated",
        "four passes, each into a new array",
        "the same, into memory allocated once",
        preallocated,
    ),
    Case("pool-first", "affine map and ReLU, then pooling", "pooling, then affine map and ReLU", pool_first),
    Case("phases", "maxima of views x[..., ::2, ::2]", "maxima of contiguous phases", phases),
    Case("mask-integers", "the float's bits times 0 or 1, as integers", PRODUCT, masked(as_integers)),
    Case("mask-where", "np.where(booleans, dy, 0)", PRODUCT, masked(chosen)),
    Case("mask-copyto", "zeros, then np.copyto(where=booleans)", PRODUCT, masked(copied)),
    Case("tiles", "numbers per channel broadcast, (16,)", "repeated to rows of 1,536 values", tiles),
    Case("sums", "np.add.reduce over rows of 16 channels", "products with ones, in rows of 512 values", sums),
    Case(
        "sums-of-products",
        "einsum over rows of 16 channels",
        "einsum over rows of 512 values",
        sums_of_products,
    ),
    Case("dense-features", "x Wᵀ, and the bias", "W xᵀ, and the bias: features of samples", features),
    Case("dense-blocks", "32 images: one product W xᵀ", "x turned, blocks of 30 rows of W", in_blocks),
    Case("adam-blocks", "each pass over all parameters", "all passes over 32,768 at a time", adam),
]
