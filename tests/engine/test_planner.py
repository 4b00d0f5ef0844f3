"""Which layers are computed as one, by which kernel, and what is put between the stages."""

import pytest
from hypothesis import given
from tests.engine.layers import (
    DROPOUT,
    FLATTEN,
    GLOBAL,
    LEAKY,
    NORM,
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
from tests.engine.networks import CLASSES, networks

from numnist.engine import Plan, plan
from numnist.nn import build, network_from

SIZE = (12, 14)

FIRST, HIDDEN, DENSE, WIDE, PAIR, COLUMNS, CONVERT, OP = (
    "InputConvolution", "WinogradConvolution", "Dense", "WideDense", "DensePair", "ColumnDense", "Reorder",
    "Operation",
)  # fmt: skip
END = [FLATTEN, linear()]


def stages(plan: Plan) -> list[str]:
    """Each stage with the positions of its layers: "InputConvolution 0 1 2"."""
    return [" ".join((type(stage).__name__, *stage.names)) for stage in plan.stages]


def planned(*layers: Description, size: tuple[int, int] = SIZE) -> Plan:
    return plan(network_from(list(layers), (1, *size), 10), (1, *size))


@pytest.mark.parametrize(
    ("behind", "joined"),
    [
        ([], 0),
        ([NORM], 1),
        ([RELU], 1),
        ([pool()], 1),
        ([pool(2, 2)], 1),
        ([NORM, RELU], 2),
        ([NORM, pool()], 2),
        ([RELU, pool()], 2),
        ([pool(), RELU], 2),
        ([NORM, RELU, pool()], 3),
        ([NORM, pool(), RELU], 3),
        # What does not join: another kind, another order, another one of the same kind, other windows.
        ([TANH], 0),
        ([LEAKY], 0),
        ([average()], 0),
        ([DROPOUT, RELU], 0),
        ([RELU, NORM], 1),
        ([pool(), NORM], 1),
        ([NORM, NORM], 1),
        ([RELU, RELU], 1),
        ([NORM, RELU, pool(), pool(), RELU], 3),
        ([NORM, pool(3)], 1),
        ([NORM, pool(2, 1)], 1),
        ([NORM, pool(1)], 1),
        ([RELU, pool(3, 2)], 1),
    ],
    ids=lambda value: "-".join(layer["type"] for layer in value) if isinstance(value, list) else None,
)
@pytest.mark.parametrize("kind", [FIRST, HIDDEN])
def test_what_joins_a_convolution(kind: str, behind: list[Description], joined: int) -> None:
    """In one piece, and across the borders of Sequentials, which matter to nobody."""
    front = [] if kind == FIRST else [conv(2, 1)]
    first = len(front)
    flat = planned(*front, conv(4, 3), *behind, *END)
    assert stages(flat)[first] == " ".join((kind, *map(str, range(first, first + 1 + joined))))
    if behind:
        nested = planned(*front, nest(conv(4, 3), nest(nest(), behind[0])), nest(*behind[1:]), *END)
        of_stage = stages(nested)[first].split()
        assert len(of_stage) == 2 + joined
        assert of_stage[:3] == [kind, f"{first}.0", f"{first}.1.1"][: 2 + joined]
        assert len(stages(nested)) == len(stages(flat))


@pytest.mark.parametrize("size", [(13, 14), (12, 13), (13, 13)])
def test_windows_that_leave_a_rest_do_not_join(size: tuple[int, int]) -> None:
    assert stages(planned(conv(4, 3), NORM, pool(), *END, size=size))[:3] == [
        f"{FIRST} 0 1",
        CONVERT,
        f"{OP} 2",
    ]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([conv(4, 8), *END], [f"{FIRST} 0"]),
        ([conv(4, 9), *END], [f"{OP} 0"]),
        ([conv(4, 3, stride=2), NORM, *END], [f"{OP} 0", f"{OP} 1"]),
        ([conv(4, 2), conv(4, 7), *END], [f"{FIRST} 0", f"{HIDDEN} 1"]),
        ([conv(4, 2), conv(4, 8), *END], [f"{FIRST} 0", CONVERT, f"{OP} 1"]),
        ([conv(2, 2), conv(4, 3, stride=2), *END], [f"{FIRST} 0", CONVERT, f"{OP} 1"]),
        # A convolution is the first where nobody before it needs a gradient.
        ([TANH, average(), conv(4, 3), *END], [f"{OP} 0", f"{OP} 1", f"{FIRST} 2"]),
        ([NORM, conv(4, 3), *END], [f"{OP} 0", CONVERT, f"{HIDDEN} 1"]),
    ],
)
def test_which_kernel_a_convolution_gets(layers: list[Description], expected: list[str]) -> None:
    assert stages(planned(*layers))[: len(expected)] == expected


@pytest.mark.parametrize("behind", [RELU, LEAKY, {**LEAKY, "slope": 0.0}, SIGMOID, TANH])
def test_an_activation_joins_a_linear_layer(behind: Description) -> None:
    expected = [f"{CONVERT} 0", f"{DENSE} 1 2", f"{DENSE} 3"]
    assert stages(planned(FLATTEN, linear(), behind, linear())) == expected


@pytest.mark.parametrize("behind", [NORM, DROPOUT, {"type": "Softmax"}])
def test_others_do_not(behind: Description) -> None:
    expected = [f"{CONVERT} 0", f"{DENSE} 1", CONVERT, f"{OP} 2", f"{OP} 3", f"{DENSE} 4"]
    assert stages(planned(FLATTEN, linear(), behind, RELU, linear())) == expected


@pytest.mark.parametrize(
    ("layers", "conversions"),
    [
        (END, 0),
        ([conv(4, 3), *END], 0),
        ([conv(4, 3), FLATTEN, FLATTEN, linear()], 0),
        ([conv(4, 3), conv(4, 3), *END], 0),
        ([conv(4, 3), GLOBAL, linear()], 1),
        ([conv(4, 3), TANH, *END], 1),
        ([conv(4, 3), TANH, DROPOUT, *END], 1),
        ([conv(4, 3), average(), conv(4, 3), *END], 2),
        ([conv(4, 3), average(), conv(4, 3), TANH, conv(4, 2), *END], 4),
    ],
)
def test_conversions_are_counted(layers: list[Description], conversions: int) -> None:
    assert planned(*layers).conversions == conversions


@pytest.mark.parametrize(
    ("layers", "trains_from"),
    [
        (END, 1),
        ([conv(4, 3), *END], 0),
        ([average(), RELU, conv(4, 3), *END], 2),
        ([NORM, *END], 0),
        ([conv(4, 9), *END], 0),
        ([average(), DROPOUT, GLOBAL, linear()], 3),
    ],
)
def test_training_begins_at_the_first_parameter(layers: list[Description], trains_from: int) -> None:
    assert planned(*layers).trains_from == trains_from


def test_a_network_without_parameters_trains_from_its_end() -> None:
    without = plan(network_from([FLATTEN], (1, 2, 5), 10), (1, 2, 5))
    assert without.trains_from == len(without.stages)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", [f"{CONVERT} 0", f"{DENSE} 1"]),
        ("mlp", [f"{CONVERT} 0", f"{PAIR} 1 2 3"]),
        ("mlp:900,800", [f"{CONVERT} 0", f"{WIDE} 1 2", f"{PAIR} 3 4 5"]),
        ("mlp:30,20", [f"{CONVERT} 0", f"{DENSE} 1 2", f"{DENSE} 3 4", f"{DENSE} 5"]),
        ("cnn", [f"{FIRST} 0 1 2 3", f"{HIDDEN} 4 5 6 7", f"{COLUMNS} 8 9"]),
        ("cnn-plain", [f"{FIRST} 0 1 2", f"{HIDDEN} 3 4 5", f"{COLUMNS} 6 7"]),
        (
            "cnn_deep",
            [f"{FIRST} 0 1 2 3", f"{HIDDEN} 4 5 6 7", f"{HIDDEN} 8 9 10", f"{COLUMNS} 11 12"],
        ),
        (
            "cnn_small",
            [
                f"{FIRST} 0 1 2",
                f"{HIDDEN} 3 4 5 6",
                f"{HIDDEN} 7 8 9",
                f"{HIDDEN} 10 11 12 13",
                f"{HIDDEN} 14 15 16",
                f"{COLUMNS} 17 18",
            ],
        ),
        (
            "cnn_large",
            [
                f"{FIRST} 0 1 2",
                f"{HIDDEN} 3 4 5",
                f"{HIDDEN} 6 7 8 9",
                f"{HIDDEN} 10 11 12",
                f"{HIDDEN} 13 14 15",
                f"{HIDDEN} 16 17 18",
                f"{COLUMNS} 19 20",
            ],
        ),
    ],
)
def test_the_zoo_runs_in_kernels_alone(name: str, expected: list[str]) -> None:
    zoo = plan(build(name, (1, 28, 28), 10), (1, 28, 28))
    assert stages(zoo) == expected
    assert zoo.conversions == 0
    assert zoo.shard_size == (64 if "cnn" in name else 256)


@given(networks())
def test_every_plan_is_a_chain(network: tuple[list[Description], tuple[int, int]]) -> None:
    """Shapes and orders fit, and every layer is in one stage, but for a Flatten with nothing to do."""
    layers, size = network
    model = network_from(layers, (1, *size), CLASSES)
    stages = plan(model, (1, *size)).stages
    shape: tuple[int, ...] = (1, *size)
    for before, stage in zip((None, *stages), stages, strict=False):
        assert stage.input_shape == shape
        assert before is None or before.gives is stage.takes
        assert stage.label
        shape = stage.output_shape
    assert shape == (CLASSES,)
    of_stages = [name for stage in stages for name in stage.names]
    leaves = {name: type(layer).__name__ for name, layer, _, _ in model.leaves((1, *size))}
    assert [name for name in leaves if name in of_stages] == of_stages
    assert {leaves[name] for name in leaves if name not in of_stages} <= {"Flatten"}
