"""From a network to the stages that compute it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from numnist.arrays import Shape
from numnist.engine.kernels.activations import activation_of
from numnist.engine.kernels.column_dense import ColumnDense
from numnist.engine.kernels.convolution import Convolution, Layers
from numnist.engine.kernels.dense import Dense
from numnist.engine.kernels.dense_pair import DensePair
from numnist.engine.kernels.input_convolution import InputConvolution
from numnist.engine.kernels.operation import Operation
from numnist.engine.kernels.reorder import Reorder
from numnist.engine.kernels.wide_dense import LARGE, WideDense
from numnist.engine.kernels.winograd_convolution import WinogradConvolution
from numnist.engine.stage import Order, Stage
from numnist.nn import BatchNorm, Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential


class Leaf(NamedTuple):
    """A layer of the network: its position ("3.1"), and the shapes of one sample before and behind it."""

    name: str
    layer: Layer
    before: Shape
    behind: Shape


@dataclass(frozen=True)
class Plan:
    """The stages of a network, in order.

    trains_from: the first stage with parameters; what comes before it needs no gradient.
    """

    stages: tuple[Stage, ...]
    trains_from: int

    @property
    def shard_size(self) -> int:
        """How many samples make a shard: with convolutions as many as fit into the cache of one core."""
        convolves = any(isinstance(stage, Convolution) for stage in self.stages)
        return 64 if convolves else 256

    @cached_property
    def derives(self) -> bool:
        """Whether any stage derives something from the parameters."""
        return any(stage.derives for stage in self.stages)

    @cached_property
    def meets_at_the_end(self) -> bool:
        """Whether what is left to do behind the way back needs what other shards have come to on it."""
        return any(stage.finishes or stage.shares_behind_meeting for stage in self.stages[self.trains_from :])

    @property
    def conversions(self) -> int:
        """How many stages do nothing but change the order of values in memory."""
        return sum(isinstance(stage, Reorder) and not stage.names for stage in self.stages)


def plan(network: Sequential, input_shape: Shape) -> Plan:
    """Find the runs of layers that a kernel computes as one, and put conversions between the stages.

    Nested Sequentials are seen through: a run may cross their borders.

    input_shape: of one sample, (C, H, W).
    """
    leaves = [Leaf(*leaf) for leaf in network.leaves(input_shape)]
    stages: list[Stage] = []
    trains_from: int | None = None
    order = Order.IMAGES
    position = 0
    while position < len(leaves):
        # What comes in is there for all samples before the first shard comes to it.
        is_there = all(each.is_view for each in stages) or isinstance(stages[-1], WideDense)
        stage, used = _stage(leaves[position:], order, trains_from is None, is_there)
        if stage is not None:
            if stage.takes is not order:
                stages.append(Reorder((), stage.input_shape, order, stage.takes))
            if trains_from is None and any(
                leaf.layer.parameter_shapes() for leaf in leaves[position : position + used]
            ):
                trains_from = len(stages)
            stages.append(stage)
            order = stage.gives
        position += used
    if order is not Order.FEATURES:  # of logits, for the loss
        stages.append(Reorder((), (leaves[-1].behind if leaves else input_shape), order, Order.FEATURES))
    return Plan(tuple(stages), len(stages) if trains_from is None else trains_from)


def _stage(leaves: Sequence[Leaf], order: Order, first: bool, is_there: bool) -> tuple[Stage | None, int]:
    """The stage for the first of these layers and those that join it, and how many they are.

    order: in which the values come. first: whether no layer before has parameters. is_there: whether all
    samples are there when the first shard comes to it. None for a layer that does nothing.
    """
    leaf, *rest = leaves
    match leaf.layer:
        case Conv2d(stride=1) as conv if kernel := _convolution_kernel(conv, first):
            layers, used = _following(conv, rest)
            run = leaves[:used]
            path = _path(run, {Conv2d: "", BatchNorm: "norm."})
            return kernel([each.name for each in run], leaf.before, run[-1].behind, layers, path), used
        case Linear():
            return _dense(leaves, order, is_there)
        case Flatten() if order in (Order.ROWS, Order.FEATURES):
            return None, 1
        case Flatten() if order is Order.COLUMNS and rest and _is_small(rest[0].layer):
            return _dense(leaves, order, is_there)
        case Flatten():
            return Reorder([leaf.name], leaf.before, order, Order.ROWS), 1
    path = {name: f"{leaf.name}.{name}" for name in leaf.layer.parameter_shapes()}
    return Operation([leaf.name], leaf.before, leaf.behind, leaf.layer, path), 1


def _dense(leaves: Sequence[Leaf], order: Order, is_there: bool) -> tuple[Stage, int]:
    """The stage for a Linear, or a Flatten and a Linear, and an activation behind; and how many they are.

    A small Linear behind a large one joins it.
    """
    if isinstance(leaves[0].layer, Flatten):
        run, arguments = _linear(leaves[1:])
        arguments |= {"names": [leaves[0].name, *arguments["names"]], "input_shape": leaves[0].before}
        return ColumnDense(**arguments), 1 + len(run)
    run, arguments = _linear(leaves)
    arguments["takes"] = order if order is Order.FEATURES else Order.ROWS
    if _is_small(leaves[0].layer):
        return Dense(**arguments), len(run)
    wide = WideDense(**arguments, follows=not is_there)
    rest = leaves[len(run) :]
    if not _joins(rest):
        return wide, len(run)
    behind, arguments = _linear(rest)
    return DensePair(wide, Dense(**arguments, takes=wide.gives)), len(run) + len(behind)


def _joins(leaves: Sequence[Leaf]) -> bool:
    """Whether the first of the layers behind a large Linear is computed with it."""
    return bool(leaves) and _is_small(leaves[0].layer)


def _linear(leaves: Sequence[Leaf]) -> tuple[Sequence[Leaf], dict[str, Any]]:
    """A Linear and the activation behind it, if there is one; and a kernel's arguments for them."""
    first, *rest = leaves
    assert isinstance(first.layer, Linear)
    activation = activation_of(rest[0].layer) if rest else None
    run = leaves[: 1 if activation is None else 2]
    return run, {
        "names": [each.name for each in run],
        "input_shape": first.before,
        "output_shape": first.behind,
        "layer": first.layer,
        "activation": activation,
        "path": _path(run, {Linear: ""}),
    }


def _convolution_kernel(
    conv: Conv2d, first: bool
) -> type[InputConvolution] | type[WinogradConvolution] | None:
    """The kernel for a convolution with stride 1, if there is one."""
    if first and conv.in_channels * conv.kernel_size**2 <= InputConvolution.MOST_TAPS:
        return InputConvolution
    return WinogradConvolution if conv.kernel_size <= WinogradConvolution.MOST_TAPS else None


def _following(conv: Conv2d, rest: Sequence[Leaf]) -> tuple[Layers, int]:
    """What of the layers behind a convolution is computed with it, and how many layers that are in all."""
    norm, relu, pool = None, None, None
    used = 1
    for each in rest:
        match each.layer:
            case BatchNorm() as found if norm is None and relu is None and pool is None:
                norm = found
            case ReLU() as found if relu is None:
                relu = found
            case MaxPool2d() as found if pool is None and _is_tiling(found, each.before):
                pool = found
            case _:
                break
        used += 1
    return Layers(conv, norm, relu, pool), used


def _is_tiling(pool: MaxPool2d, before: Shape) -> bool:
    """Whether windows of 2x2 cover the image without overlap or rest."""
    return pool.size == 2 and pool.stride in (None, 2) and before[1] % 2 == before[2] % 2 == 0


def _is_small(layer: Layer) -> bool:
    """Whether this is a Linear whose weight is read in next to no time."""
    return isinstance(layer, Linear) and layer.in_features * layer.out_features < LARGE


def _path(run: Sequence[Leaf], prefixes: dict[type[Layer], str]) -> dict[str, str]:
    """Names in the model of the parameters of a run, by the kernel's names for them."""
    return dict(_names(run, prefixes))


def _names(run: Sequence[Leaf], prefixes: dict[type[Layer], str]) -> Iterator[tuple[str, str]]:
    for leaf in run:
        for name in leaf.layer.parameter_shapes():
            yield prefixes[type(leaf.layer)] + name, f"{leaf.name}.{name}"
