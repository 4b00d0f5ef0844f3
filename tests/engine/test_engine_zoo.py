"""The engine against the reference: every model of the zoo, every kind of target."""

import numpy as np
import pytest
from tests.engine.helpers import (
    Network,
    distributions,
    drawn_off_kinks,
    fewest_samples,
    noise,
    norm,
    off_kinks,
    require_equal,
    twins,
)
from tests.engine.layers import FLATTEN, NORM, RELU, TANH, average, conv, linear, pool

from numnist.engine import Engine
from numnist.nn import ARCHITECTURES

ZOO = [*ARCHITECTURES, "mlp:30,20"]
SMOOTH = [conv(3, 3), NORM, TANH, conv(4, 3), NORM, TANH, average(), FLATTEN, linear()]
"""A network without kinks: all samples count, whatever the targets."""

IN_FRONT = [conv(16, 5), NORM, RELU, pool(), FLATTEN, linear()]
HIDDEN = [conv(4, 3, padding=1), average(), conv(32, 5, padding=2), NORM, RELU, pool(), FLATTEN, linear()]


@pytest.mark.parametrize("network", ZOO)
@pytest.mark.parametrize("size", [(28, 28), (27, 30)], ids=["square", "odd"])
@pytest.mark.parametrize(("n", "threads"), [(1, 1), (7, 1), (7, 2)])
def test_in_shards_of_unequal_size(network: str, size: tuple[int, int], n: int, threads: int) -> None:
    """Shards of at most three; a batch of one is a shard of its own, where it is enough for a comparison.

    An image has so many values in the large network that no three are all off kinks: there shards are of one.
    """
    pair = twins(network, size)
    n, shard_size = (min(n, 2), 1) if network == "cnn_large" else (max(n, fewest_samples(pair)), 3)
    y = distributions(np.random.default_rng(0), n)
    require_equal(pair, drawn_off_kinks(pair, n), y, threads=threads, shard_size=shard_size)


@pytest.mark.parametrize(
    "network",
    ["linear", "mlp", "mlp:30,20", "cnn-plain", SMOOTH, IN_FRONT, HIDDEN],
    ids=lambda network: network if isinstance(network, str) else "-".join(layer["type"] for layer in network),
)
def test_with_the_batches_and_shards_of_training(network: Network) -> None:
    """Of 128 images some have a value near a kink: their weight in the loss is 0, and so is their gradient.

    But for what a BatchNorm makes of it, which takes from every sample what all have in common: so none of
    these networks has a kink in front of one.
    """
    pair = twins(network, (28, 28))
    rng = np.random.default_rng(0)
    x = noise(rng, 128, pair.model)
    off, decided = off_kinks(pair.wide, x)
    assert decided
    assert off.sum() >= 64
    require_equal(pair, x, distributions(rng, 128) * off[:, np.newaxis], threads=2, shard_size=None)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("soft", [False, True], ids=["labels", "distributions"])
def test_label_smoothing(label_smoothing: float, soft: bool) -> None:
    pair = twins(SMOOTH, (9, 8))
    rng = np.random.default_rng(0)
    x = noise(rng, 7, pair.model)
    y = distributions(rng, 7) if soft else rng.integers(0, 10, 7)
    require_equal(pair, x, y, label_smoothing=label_smoothing)


@pytest.mark.parametrize("network", ["mlp:30,20", "cnn"])
def test_labels_are_distributions_with_all_on_one_class(network: str) -> None:
    model = twins(network, (28, 28)).model
    engine = Engine(model, label_smoothing=0.1, threads=1, shard_size=3)
    rng = np.random.default_rng(0)
    x, labels, buffers = noise(rng, 7, model), rng.integers(0, 10, 7), model.buffers.copy()
    by_label, gradient = engine.loss_and_grads(x, labels, None), engine.gradient.copy()
    model.buffers[...] = buffers
    engine.gradient[...] = 0
    by_distribution = engine.loss_and_grads(x, np.eye(10)[labels], None)
    assert by_distribution.loss == pytest.approx(by_label.loss, rel=1e-6)
    assert by_distribution.correct == by_label.correct
    assert norm(gradient) > 0
    assert norm(engine.gradient - gradient) <= 1e-5 * norm(gradient)
