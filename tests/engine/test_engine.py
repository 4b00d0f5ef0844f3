"""What an engine remembers between calls, and what it refuses."""

from typing import Any

import numpy as np
import pytest
from tests.engine.helpers import Outcome, distributions, off_kinks, require_equal, twins
from tests.engine.layers import (
    DROPOUT,
    FLATTEN,
    LEAKY,
    NORM,
    RELU,
    Description,
    average,
    conv,
    linear,
    nest,
    pool,
)

from numnist.arrays import Array
from numnist.engine import Engine, make_executor
from numnist.nn import Executor, Model, Reference
from numnist.optim import Adam

ALL_KINDS = [
    nest(conv(4, 3), NORM, RELU, pool()),
    conv(5, 3, padding=1), NORM, RELU,
    average(), DROPOUT, FLATTEN, linear(12), NORM, LEAKY, linear(),
]  # fmt: skip
"""All kernels, and layers that run through their ops, on samples and on gathered batches."""
SIZE = (12, 14)


def batch(n: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 1, *SIZE), dtype=np.float32), distributions(rng, n)


def step(engine: Executor, n: int, seed: int = 0) -> None:
    engine.loss_and_grads(*batch(n, seed), np.random.default_rng(seed))


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_samples_may_have_weights(label_smoothing: float) -> None:
    """Targets whose rows sum to anything, 0 included."""
    pair = twins(ALL_KINDS, SIZE)
    x, y = batch(7)
    y *= np.array([0, 0.1, 1, 1, 2.5, 40, 0], np.float32)[:, np.newaxis]
    require_equal(pair, x, y, dropout=1, label_smoothing=label_smoothing)


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_of_any_size_in_any_order(threads: int) -> None:
    """More sizes than memory is kept for; each step must equal that of an engine that has seen no other."""
    model = twins(ALL_KINDS, SIZE).model
    engine = Engine(model, threads=threads, shard_size=3)
    for n in (7, 2, 7, 5, 3, 8, 2, 7, 8):
        assert_like_new(engine, model, n)


def assert_like_new(engine: Engine, model: Model, n: int, threads: int = 1) -> None:
    """Assert that an engine gives the same bits as one that has been made just now."""
    buffers = model.buffers.copy()
    results = []
    for each in (engine, Engine(model, threads=threads, shard_size=engine.shard_size)):
        model.buffers[...] = buffers
        model.mark_changed()
        each.gradient[...] = np.nan
        before = each.predict(batch(n)[0])
        result = each.loss_and_grads(*batch(n), np.random.default_rng(n))
        after = each.predict(batch(n)[0])
        arrays = (before, each.gradient, model.buffers, after)
        results.append((result, [array.tobytes() for array in arrays]))
    assert results[0] == results[1]
    assert np.isfinite(engine.gradient).all()


def test_predictions_follow_the_parameters_and_the_running_statistics() -> None:
    pair = twins(ALL_KINDS, SIZE)
    model, wide = pair.model, pair.wide
    engine, reference = Engine(model, threads=2, shard_size=3), Reference(wide)
    x, _ = batch(7)
    seen = []

    def follows() -> None:
        wide.parameters[...], wide.buffers[...] = model.parameters, model.buffers
        seen.append(engine.predict(x))
        np.testing.assert_allclose(seen[-1], reference.predict(x.astype(np.float64)), rtol=1e-3, atol=1e-4)

    follows()
    step(engine, 7)  # moves the running statistics
    follows()
    optimizer = Adam()
    optimizer.step(model.parameters, engine.gradient, optimizer.init(model.parameters), lr=0.1)
    model.mark_changed()
    follows()
    pair.set("0.1.weight", -2 * model.named_parameters()["0.1.weight"])
    follows()
    model.named_buffers()["2.running_var"][...] *= 4
    model.mark_changed()
    follows()
    assert len({logits.tobytes() for logits in seen}) == len(seen)


def test_predictions_do_not_depend_on_training_in_between() -> None:
    model = twins(ALL_KINDS, SIZE).model
    engine = Engine(model, threads=1, shard_size=3)
    x, _ = batch(7)
    before, buffers = engine.predict(x), model.buffers.copy()
    step(engine, 5)
    model.buffers[...] = buffers
    model.mark_changed()
    assert engine.predict(x).tobytes() == before.tobytes()


def test_what_is_handed_in_stays_as_it_is_and_what_is_handed_out_too() -> None:
    model = twins(ALL_KINDS, SIZE).model
    engine = Engine(model, 0.1, threads=2, shard_size=3)
    parameters = model.parameters.copy()
    (x, q), labels = batch(7), np.arange(7)
    copies = x.copy(), q.copy(), labels.copy()
    logits = engine.predict(x)
    kept = logits.copy()
    for y in (q, labels):
        engine.loss_and_grads(x, y, np.random.default_rng(0))
    engine.predict(x + 1)
    for array, copy in zip(
        (x, q, labels, logits, model.parameters), (*copies, kept, parameters), strict=True
    ):
        np.testing.assert_array_equal(array, copy)


def test_images_may_lie_in_memory_as_they_like_and_have_any_type() -> None:
    pair = twins([conv(3, 3), NORM, RELU, FLATTEN, linear()], SIZE)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, (7, 1, *SIZE)), distributions(rng, 7)
    for given in (x.astype(np.float64), np.asfortranarray(x.astype(np.float32)), x.astype(np.uint8)):
        buffers = pair.model.buffers.copy()
        engine = Engine(pair.model, threads=1, shard_size=3)
        results = []
        for images in (given, np.ascontiguousarray(x, np.float32)):
            pair.model.buffers[...] = buffers
            pair.model.mark_changed()
            result = engine.loss_and_grads(images, y, None)
            results.append((result, engine.gradient.tobytes(), engine.predict(images).tobytes()))
        assert results[0] == results[1]


def test_a_step_raises_the_version_and_a_prediction_does_not() -> None:
    model = twins(ALL_KINDS, SIZE).model
    engine = Engine(model, threads=1)
    version = model.version
    engine.predict(batch(2)[0])
    assert model.version == version
    step(engine, 2)
    assert model.version > version


def test_no_images_have_no_logits() -> None:
    model = twins(ALL_KINDS, SIZE).model
    assert Engine(model, threads=1).predict(batch(0)[0]).shape == (0, 10)


END = [FLATTEN, linear()]
LABELS = np.arange(7)
IMAGES, TARGETS = batch(7)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (IMAGES[:, 0], LABELS, r"expected x of shape \(N, 1, 12, 14\), got \(7, 12, 14\)"),
        (IMAGES[:, :, 1:], LABELS, r"expected x of shape \(N, 1, 12, 14\), got \(7, 1, 11, 14\)"),
        (IMAGES[:0], LABELS[:0], "N >= 1"),
        (IMAGES, LABELS - 1, r"labels in 0\.\.9, got -1\.\.5"),
        (IMAGES, LABELS + 4, r"labels in 0\.\.9, got 4\.\.10"),
        (IMAGES, LABELS.astype(np.uint64) + 2**63, r"labels in 0\.\.9, got 9223372036854775808\.\."),
        (IMAGES, LABELS[1:], "expected integer targets"),
        (IMAGES, LABELS.astype(np.float32), "expected integer targets"),
        (IMAGES, TARGETS[:, 1:], "expected integer targets"),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shard_size", [3, 4])
@pytest.mark.parametrize("layers", [[conv(4, 3), RELU, *END], [FLATTEN, linear(40), RELU, linear()]])
def test_wrong_batches(
    x: Array, y: Array, message: str, threads: int, shard_size: int, layers: list[Description]
) -> None:
    """The first process looks whether labels are right, or where there is nothing to derive, the last."""
    model = twins(layers, SIZE).model
    engine = Engine(model, threads=threads, shard_size=shard_size)
    engine.predict(IMAGES)
    with pytest.raises(ValueError, match=message):
        engine.loss_and_grads(x, y, None)
    if layers[0] is not FLATTEN:  # which takes images of any shape
        with pytest.raises(ValueError):  # noqa: PT011 -- in words of its own
            Reference(model).loss_and_grads(x, y, None)
    assert_like_new(engine, model, 7)


@pytest.mark.parametrize(
    "layers",
    [
        [conv(4, 5), NORM, RELU, *END],
        [conv(4, 3), conv(4, 3), NORM, RELU, *END],
        [FLATTEN, linear(5), NORM, linear()],
    ],
    ids=["first", "hidden", "dense"],
)
def test_a_batch_norm_with_one_value_per_channel(layers: list[Description]) -> None:
    """Known in the middle of a step only; the step has no effect on what comes after it."""
    model = twins(layers, (5, 5)).model
    x, y = IMAGES[:1, :, :5, :5], LABELS[:1]
    engine = Engine(model, threads=2, shard_size=1)
    logits = engine.predict(x)
    for executor in (engine, Reference(model)):
        with pytest.raises(ValueError, match="more than one value per channel"):
            executor.loss_and_grads(x, y, None)
    assert engine.predict(x).tobytes() == logits.tobytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_dropout_without_a_generator(threads: int) -> None:
    """The shards have met, and run other layers, when it is noticed."""
    model = twins(ALL_KINDS, SIZE).model
    engine = Engine(model, threads=threads, shard_size=3)
    buffers, logits = model.buffers.copy(), engine.predict(IMAGES)
    for executor in (engine, Reference(model)):
        with pytest.raises(ValueError, match="Dropout: training needs a random generator"):
            executor.loss_and_grads(IMAGES, TARGETS, None)
    model.buffers[...] = buffers
    assert engine.predict(IMAGES).tobytes() == logits.tobytes()
    assert_like_new(engine, model, 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threads": 0}, "at least one thread, got 0"),
        ({"shard_size": 0}, "shard_size >= 1, got .* 0"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Engine(twins("linear", SIZE).model, **arguments)


def test_a_model_of_float64() -> None:
    with pytest.raises(ValueError, match="Engine: expected a float32 model, got float64"):
        Engine(twins("linear", SIZE).wide)


def test_executors_by_name() -> None:
    model = twins("linear", SIZE).model
    engine = make_executor("engine", model, 0.1, 3, 5)
    assert isinstance(engine, Engine)
    assert (engine.threads, engine.shard_size) == (3, 5)
    assert isinstance(make_executor("reference", model, 0.1), Reference)
    with pytest.raises(ValueError, match="fast"):
        make_executor("fast", model)  # type: ignore[arg-type]
    x, y = batch(7)
    by_name = Outcome.of(make_executor("engine", model, 0.3), model, x, y, None)
    assert by_name.tensors["loss"] == Outcome.of(Engine(model, 0.3), model, x, y, None).tensors["loss"]


def test_all_kinds_of_layers_at_once() -> None:
    pair = twins(ALL_KINDS, SIZE)
    x, y = batch(7)
    off, decided = off_kinks(pair.wide, x, dropout=0)
    assert off.all()
    assert decided
    require_equal(pair, x, y, dropout=0, threads=2)


@pytest.mark.parametrize("n", [8, 9, 21])
def test_many_images_are_predicted_in_larger_shards(n: int) -> None:
    """To the same logits, but for rounding."""
    model = twins(ALL_KINDS, SIZE).model
    images, _ = batch(n)
    engine = Engine(model, threads=2, shard_size=2)
    one_by_one = np.concatenate([engine.predict(image[np.newaxis]) for image in images])
    np.testing.assert_allclose(engine.predict(images), one_by_one, rtol=1e-4, atol=1e-5)
