"""Every kernel against the ops that it replaces, and none without a benchmark."""

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.engine.helpers import distributions, drawn_off_kinks, require_equal, twins
from tests.engine.layers import (
    FLATTEN,
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

from numnist import ops
from numnist.engine import kernels, plan
from numnist.engine.kernels.column_dense import ColumnDense
from numnist.engine.kernels.dense import Dense
from numnist.engine.kernels.dense_pair import DensePair
from numnist.engine.kernels.head import Head
from numnist.engine.kernels.input_convolution import InputConvolution
from numnist.engine.kernels.reorder import Reorder
from numnist.engine.kernels.wide_dense import WideDense
from numnist.engine.kernels.winograd_convolution import WinogradConvolution
from numnist.engine.stage import Stage
from numnist.nn import BatchNorm, Conv2d, Flatten, Layer, LeakyReLU, Linear, MaxPool2d, ReLU, Sigmoid, Tanh

ROOT = Path(__file__).parents[3]
SIZE = (11, 9)
END = [FLATTEN, linear()]

FOLLOWERS: list[list[Description]] = [
    [],
    [NORM],
    [RELU],
    [pool()],
    [NORM, RELU],
    [NORM, pool()],
    [RELU, pool()],
    [pool(), RELU],
    [NORM, RELU, pool()],
    [NORM, pool(), RELU],
    [OTHER_NORM, RELU],
]

ACTIVATIONS: list[list[Description]] = [[], [RELU], [LEAKY], [SIGMOID], [TANH]]

CASES: dict[type[Stage], list[list[Description]]] = {
    InputConvolution: [[conv(5, 4), *behind, *END] for behind in FOLLOWERS],
    WinogradConvolution: [[conv(3, 1), conv(5, 4), *behind, *END] for behind in FOLLOWERS],
    Dense: [[FLATTEN, linear(7), *behind, linear()] for behind in ACTIVATIONS],
    WideDense: [
        *([FLATTEN, linear(700), *behind, NORM, linear()] for behind in ACTIVATIONS),
        [FLATTEN, linear(700), RELU, linear(100), linear(700), SIGMOID, linear()],
        [conv(3, 3), FLATTEN, linear(700), RELU, NORM, linear()],
        [FLATTEN, linear(700), NORM, FLATTEN, linear()],
        [FLATTEN, linear(700), linear(700), TANH, linear(7), linear()],
    ],
    DensePair: [
        *([FLATTEN, linear(700), *behind, linear()] for behind in ACTIVATIONS),
        *([FLATTEN, linear(700), RELU, linear(7), *behind, linear()] for behind in ACTIVATIONS),
        [conv(3, 3), FLATTEN, linear(700), TANH, linear()],
        [FLATTEN, linear(700), RELU, linear(700), RELU, linear()],
    ],
    ColumnDense: [[conv(3, 3), FLATTEN, linear(7), *behind, linear()] for behind in ACTIVATIONS],
    Reorder: [
        END,
        [conv(2, 3), FLATTEN, linear(600), linear()],
        [average(), conv(2, 3), average(), conv(2, 1), FLATTEN, RELU, linear()],
    ],
}
"""Networks for each kernel. The last layer's loss and gradient are `Head`'s in all of them."""

OPS: dict[type[Layer], ModuleType] = {
    Conv2d: ops.conv2d,
    BatchNorm: ops.batch_norm,
    ReLU: ops.relu,
    LeakyReLU: ops.leaky_relu,
    Sigmoid: ops.sigmoid,
    Tanh: ops.tanh,
    MaxPool2d: ops.max_pool2d,
    Linear: ops.linear,
    Flatten: ops.flatten,
}


def registry() -> Iterator[type[Any]]:
    """Every kernel there is: all classes that say which ops they replace, and are not abstract."""
    for module in pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}."):
        for kind in vars(import_module(module.name)).values():
            own = inspect.isclass(kind) and kind.__module__ == module.name
            if own and not inspect.isabstract(kind) and hasattr(kind, "REPLACES") and kind.REPLACES:
                yield kind


def replaced(kernel: type[Stage], network: list[Description]) -> set[ModuleType]:
    """The ops of the layers that this kernel computes in a network."""
    model = twins(network, SIZE).model
    layers = {name: layer for name, layer, _, _ in model.network.leaves((1, *SIZE))}
    stages = [stage for stage in plan(model.network, (1, *SIZE)).stages if type(stage) is kernel]
    return {OPS[type(layers[name])] for stage in stages for name in stage.names}


@pytest.mark.parametrize(
    ("kernel", "network"),
    [(kernel, network) for kernel, networks in CASES.items() for network in networks],
    ids=lambda case: case.__name__ if isinstance(case, type) else "-".join(layer["type"] for layer in case),
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_kernel_equals_its_ops(kernel: type[Stage], network: list[Description], nested: bool) -> None:
    if nested:
        network = [nest(network[0], nest(*network[1:2])), nest(*network[2:])]
    assert replaced(kernel, network)
    pair = twins(network, SIZE)
    require_equal(pair, drawn_off_kinks(pair, 7), distributions(np.random.default_rng(0), 7))


def test_every_kernel_has_cases_for_all_its_ops() -> None:
    """A new kernel, or an op more for an old one, fails here until it is held against its ops above."""
    tested: dict[type[Any], set[ModuleType]] = {Head: {ops.softmax_cross_entropy}}
    for kernel, networks in CASES.items():
        tested[kernel] = set().union(*(replaced(kernel, network) for network in networks))
    assert tested == {kernel: set(kernel.REPLACES) for kernel in registry()}


def test_every_kernel_has_a_benchmark() -> None:
    tree = ast.parse((ROOT / "benchmarks" / "kernels.py").read_text(encoding="utf-8"))
    cases = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and "CASES" in map(ast.unparse, node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    assert len(cases) == 1
    assert isinstance(cases[0], ast.Dict)
    keys = {ast.literal_eval(key) for key in cases[0].keys if key is not None}
    assert {kernel.__name__ for kernel in registry()} <= keys
