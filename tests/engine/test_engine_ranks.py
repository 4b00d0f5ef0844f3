"""Several ranks, each with its part of the batch, against the reference on the whole of it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator
from tests.engine.helpers import (
    SMALL,
    Outcome,
    Twins,
    distributions,
    drawn_off_kinks,
    error,
    fair_batch,
    noise,
    twins,
)
from tests.engine.layers import DROPOUT, FLATTEN, NORM, RELU, TANH, Description, conv, linear, pool
from tests.engine.networks import CLASSES, networks
from tests.engine.ranks import OnBoard, on_ranks

from numnist.arrays import Array
from numnist.engine import ALONE, Engine, Reducer, make_executor, part_of
from numnist.nn import Reference, StepResult, Update

TOLERANCE = 1e-5
"""Largest ‖a - b‖ / ‖b‖ of any tensor, a from several ranks and b from one, off all kinks."""


class OfRank:
    """The executor of one rank, which is handed whole batches and takes its part of them."""

    def __init__(self, engine: Engine, reducer: Reducer) -> None:
        self.engine, self.reducer, self.gradient = engine, reducer, engine.gradient

    def loss_and_grads(self, x: Array, y: Array, rng: Generator | None) -> StepResult:
        part = part_of(len(x), self.reducer.rank, self.reducer.ranks)
        return self.engine.loss_and_grads(x[part], y, rng)

    def update(self, update: Update, lr: float) -> None:
        raise NotImplementedError

    def predict(self, x: Array) -> Array:
        return self.engine.predict(x)


def outcomes(
    ranks: int, pair: Twins, x: Array, y: Array, dropout: int | None = None, shard_size: int | None = 3
) -> list[Outcome]:
    """What each rank says of the batch; each has a model of its own, like that of the pair."""

    def of(reducer: Reducer) -> Outcome:
        model = pair.again()
        engine = Engine(model, 0.1, threads=1, shard_size=shard_size, reducer=reducer)
        return Outcome.of(OfRank(engine, reducer), model, x, y, dropout)

    return on_ranks(ranks, of, OnBoard)


def require_agreement(
    ranks: int, pair: Twins, x: Array, y: Array, dropout: int | None = None, small: float = 0.0
) -> None:
    """Assert that every rank says what the reference in float64 says, and all of them the same bits."""
    expected = Outcome.of(Reference(pair.wide, 0.1), pair.wide, x, y, dropout)
    said = outcomes(ranks, pair, x, y, dropout)
    for each in said:
        # `not <=`, so that a NaN fails.
        assert not {name: value for name, value in each.errors(expected, small).items() if not value <= 1}
        assert each.correct == expected.correct
        for ours, firsts in ((each.gradients, said[0].gradients), (each.tensors, said[0].tensors)):
            assert {n: a.tobytes() for n, a in ours.items()} == {n: a.tobytes() for n, a in firsts.items()}


@settings(max_examples=40)
@given(network=networks(), n=st.integers(1, 9), ranks=st.integers(2, 5), seed=st.integers(0, 2**32 - 1))
def test_any_network(
    network: tuple[list[Description], tuple[int, int]], n: int, ranks: int, seed: int
) -> None:
    layers, size = network
    pair = twins(layers, size, seed, CLASSES)
    require_agreement(ranks, pair, *fair_batch(pair, n, seed, seed), dropout=seed, small=SMALL)


@pytest.mark.parametrize("network", ["cnn", "mlp", "cnn_small"])
@pytest.mark.parametrize(("ranks", "n"), [(2, 5), (3, 8)])
def test_networks_of_the_zoo_within_the_tolerance(network: str, ranks: int, n: int) -> None:
    pair = twins(network, (28, 28))
    x, y = drawn_off_kinks(pair, n), np.arange(n) % 10
    [alone], several = outcomes(1, pair, x, y), outcomes(ranks, pair, x, y)
    for each in several:
        assert each.correct == alone.correct
        for name, expected in alone.tensors.items():
            assert error(each.tensors[name], expected) <= TOLERANCE, name
        for name, expected in alone.gradients.items():
            if np.any(expected):
                assert error(each.gradients[name], expected) <= TOLERANCE, name


FIRST: list[Any] = [conv(4, 3), NORM, RELU, FLATTEN, linear()]
HIDDEN: list[Any] = [conv(3, 3), conv(4, 3), NORM, FLATTEN, linear()]


@pytest.mark.parametrize("layers", [FIRST, HIDDEN], ids=["first", "hidden"])
@pytest.mark.parametrize("mean", [0, 100])
def test_statistics_that_are_computed_once_more(layers: list[Any], mean: float) -> None:
    """Where float32 is not enough all ranks know it, whatever their own part looks like."""
    pair = twins(layers, (12, 10))
    x = drawn_off_kinks(pair, 7)
    x[2:] += np.float32(mean)  # so that ranks see different images
    require_agreement(3, pair, x, distributions(np.random.default_rng(0), 7))


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_samples_than_ranks(n: int) -> None:
    pair = twins([conv(4, 3), NORM, RELU, FLATTEN, DROPOUT, linear()], (12, 10))
    x = noise(np.random.default_rng(0), n, pair.model)
    require_agreement(3, pair, x, np.arange(n), dropout=1)


@pytest.mark.parametrize(
    ("layers", "gathered"),
    [
        ([FLATTEN, linear(5), RELU, linear()], 0),
        ([conv(3, 3), RELU, FLATTEN, linear()], 0),
        # What passes through the first statistics is linear in the sums that make up its gradient.
        ([conv(3, 3), NORM, RELU, FLATTEN, linear()], 1),
        ([conv(3, 3), NORM, RELU, pool(), conv(4, 3), NORM, FLATTEN, linear()], 3),
        ([FLATTEN, linear(5), NORM, TANH, linear()], 2),
    ],
)
def test_what_is_sent_in_a_step(layers: list[Any], gathered: int) -> None:
    """One all-reduce, and for each BatchNorm at most one gathering in each direction."""
    pair = twins(layers, (12, 10))
    x = noise(np.random.default_rng(0), 8, pair.model)

    def counts(reducer: OnBoard) -> tuple[int, int]:
        engine = Engine(pair.again(), threads=1, reducer=reducer)
        OfRank(engine, reducer).loss_and_grads(x, np.arange(8), None)
        return reducer.added, reducer.gathered

    assert on_ranks(2, counts, OnBoard) == [(1, gathered)] * 2


@given(batch=st.integers(1, 200), ranks=st.integers(1, 40))
def test_parts(batch: int, ranks: int) -> None:
    """They are even and cover the batch; of a small one each rank has all."""
    parts = [part_of(batch, rank, ranks) for rank in range(ranks)]
    if batch < ranks:
        assert set(map(str, parts)) == {str(slice(0, batch))}
        return
    sizes = [part.stop - part.start for part in parts]
    assert [i for part in parts for i in range(batch)[part]] == [*range(batch)]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1


def test_a_part_of_the_wrong_size() -> None:
    pair = twins(FIRST, (12, 10))
    x = noise(np.random.default_rng(0), 8, pair.model)

    def whole(reducer: Reducer) -> None:
        Engine(pair.again(), threads=1, reducer=reducer).loss_and_grads(x, np.arange(8), None)

    with pytest.raises(ValueError, match=r"expected samples \d to \d of 8, got 8"):
        on_ranks(2, whole, OnBoard)


def test_the_reference_runs_in_one_process() -> None:
    pair = twins(FIRST, (12, 10))

    class Two(OnBoard):
        ranks = 2

        def __init__(self) -> None:
            self.rank = 0

    with pytest.raises(ValueError, match="the reference runs in one process"):
        make_executor("reference", pair.model, reducer=Two())
    assert isinstance(make_executor("reference", pair.model, reducer=ALONE), Reference)
