"""Networks drawn at random: whatever layers fit behind each other."""

from hypothesis import strategies as st
from tests.engine.layers import (
    DROPOUT,
    FLATTEN,
    GLOBAL,
    LEAKY,
    NORM,
    OTHER_NORM,
    RELU,
    SIGMOID,
    TANH,
    Description,
    average,
    conv,
    linear,
    nest,
    pool,
)

from numnist.arrays import Shape
from numnist.nn import network_from

CLASSES = 4

ANYWHERE = st.sampled_from([RELU, LEAKY, SIGMOID, TANH, NORM, OTHER_NORM, DROPOUT])


def shape_behind(layers: list[Description], shape: Shape) -> Shape:
    """Shape of one sample behind these layers."""
    return network_from(layers, shape, CLASSES).output_shape(shape)


@st.composite
def convolutions(draw: st.DrawFn, shape: Shape) -> list[Description]:
    """A convolution with a kernel of 1 to 9 that fits, and what the engine may compute with it."""
    padding = draw(st.sampled_from([0, 0, 1, 2, 3]))
    kernel = draw(st.integers(1, min(9, min(shape[1:]) + 2 * padding)))
    layers = [conv(draw(st.integers(1, 5)), kernel, padding, draw(st.sampled_from([1, 1, 1, 2, 3])))]
    behind = draw(st.permutations([RELU, pool()] if min(shape_behind(layers, shape)[1:]) >= 2 else [RELU]))
    return [*layers, *draw(st.sampled_from([[], [NORM], [OTHER_NORM]])), *behind[: draw(st.integers(0, 2))]]


@st.composite
def poolings(draw: st.DrawFn, shape: Shape) -> list[Description]:
    """A pooling whose windows fit, disjoint or overlapping."""
    kind = draw(st.sampled_from([pool, average]))
    return [kind(draw(st.integers(1, min(3, *shape[1:]))), draw(st.sampled_from([None, 1, 2])))]


@st.composite
def of_images(draw: st.DrawFn, shape: Shape) -> list[Description]:
    """Up to three stretches of layers for images."""
    layers: list[Description] = []
    for kind in draw(st.lists(st.sampled_from("ccpa"), max_size=3)):
        here = shape_behind(layers, shape)
        stretches = {"c": convolutions(here), "p": poolings(here), "a": ANYWHERE.map(lambda layer: [layer])}
        layers += draw(stretches[kind])
    return layers


@st.composite
def of_features(draw: st.DrawFn) -> list[Description]:
    """Up to one hidden layer with whatever may follow it, and the last one."""
    hidden = draw(st.lists(st.integers(3, 8).map(linear), max_size=1))
    following = draw(st.lists(ANYWHERE, max_size=2)) if hidden else []
    return [*hidden, *following, linear(CLASSES)]


@st.composite
def nested(draw: st.DrawFn, layers: list[Description]) -> list[Description]:
    """The same layers, a stretch of them in a Sequential, and perhaps that in another."""
    for _ in range(draw(st.integers(0, 2))):
        first, last = sorted(draw(st.tuples(*[st.integers(0, len(layers))] * 2)))
        layers = [*layers[:first], nest(*layers[first:last]), *layers[last:]]
    return layers


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[Description], tuple[int, int]]:
    """(layers, size of the image), from an image of one channel to `CLASSES` logits."""
    size = draw(st.tuples(st.integers(3, 13), st.integers(3, 13)))
    trunk = draw(of_images((1, *size)))
    bridge = draw(st.sampled_from([FLATTEN, FLATTEN, GLOBAL]))
    return draw(nested([*trunk, bridge, *draw(of_features())])), size
