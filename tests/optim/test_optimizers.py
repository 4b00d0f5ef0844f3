"""What must hold for every update rule, and what for one."""

import dataclasses
import tracemalloc
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numnist.arrays import Array
from numnist.optim import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    Cosine,
    Momentum,
    Nesterov,
    Optimizer,
    RMSProp,
    State,
)
from numnist.optim.optimizers import adam_direction, corrections

every_optimizer = pytest.mark.parametrize("kind", OPTIMIZERS)
every_decay = pytest.mark.parametrize(
    "decaying",
    [
        optimizer(weight_decay=0.1, decay=decay)
        for kind, optimizer in OPTIMIZERS.items()
        for decay in ("coupled", "decoupled")
        if (kind, decay) != ("adamw", "coupled")
    ],
    ids=lambda o: f"{type(o).__name__}-{o.decay}",
)
seeds = st.integers(0, 2**32 - 1)


def run(
    optimizer: Optimizer,
    params: Array,
    gradients: Iterable[Array],
    lr: float = 0.01,
    mask: Array | None = None,
) -> Array:
    """The parameters after one step for each of the gradients, all at the same learning rate."""
    params = params.copy()
    state = optimizer.init(params, mask)
    for g in gradients:
        optimizer.step(params, g, state, lr)
    return params


def plain(kind: str) -> Optimizer:
    """The named optimizer without weight decay."""
    return OPTIMIZERS[kind](weight_decay=0)


# ---- every rule


@every_optimizer
def test_a_zero_gradient_changes_nothing(kind: str) -> None:
    params = np.array([1.0, -2.0, 1e-30, 0.0], np.float32)
    np.testing.assert_array_equal(run(plain(kind), params, np.zeros((5, 4), np.float32)), params)


@every_optimizer
def test_a_zero_learning_rate_changes_nothing(kind: str) -> None:
    params, gradients = np.array([1.0, -2.0]), np.array([[3.0, 4.0]])
    np.testing.assert_array_equal(run(OPTIMIZERS[kind](weight_decay=0.1), params, gradients, 0.0), params)


@every_optimizer
@settings(max_examples=10)
@given(seed=seeds)
def test_reaches_the_minimum_of_a_convex_quadratic(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    curvature, minimum = rng.uniform(0.5, 2.0, 5), rng.uniform(-3, 3, 5)
    params = rng.uniform(-3, 3, 5)
    optimizer, schedule = plain(kind), Cosine(0.1, total_steps=400)
    state = optimizer.init(params)
    for t in range(400):
        optimizer.step(params, curvature * (params - minimum), state, schedule(t))
    np.testing.assert_allclose(params, minimum, rtol=0, atol=2e-3)


@every_decay
@settings(max_examples=10)
@given(seed=seeds, cut=st.integers(0, 40), dtype=st.sampled_from(["float32", "float64"]))
def test_a_step_over_a_concatenation_is_the_steps_over_its_parts(
    decaying: Optimizer, seed: int, cut: int, dtype: str
) -> None:
    rng = np.random.default_rng(seed)
    params = rng.normal(size=40).astype(dtype)
    gradients = rng.normal(size=(3, 40)).astype(dtype)
    mask = rng.random(40) < 0.5
    whole = run(decaying, params, gradients, mask=mask)
    parts = [
        run(decaying, params[part], gradients[:, part], mask=mask[part])
        for part in (slice(cut), slice(cut, None))
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert whole.dtype == dtype


@every_optimizer
def test_any_layout_of_the_parameters_will_do(kind: str) -> None:
    rng = np.random.default_rng(0)
    params, gradients = rng.normal(size=(2, 3, 4)), rng.normal(size=(3, 2, 3, 4))
    flat = run(plain(kind), params.reshape(-1), gradients.reshape(3, -1))
    np.testing.assert_array_equal(run(plain(kind), params, gradients).reshape(-1), flat)

    view = np.repeat(params, 2, axis=-1)[..., ::2]
    state = plain(kind).init(view)
    for g in gradients:
        plain(kind).step(view, g, state, 0.01)
    np.testing.assert_array_equal(view.reshape(-1), flat)

    scalar = run(plain(kind), np.array(params[0, 0, 0]), [np.array(g[0, 0, 0]) for g in gradients])
    assert scalar == flat[0]


@every_decay
def test_gradients_are_left_as_they_are(decaying: Optimizer) -> None:
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(3, 8))
    before = gradients.copy()
    run(decaying, rng.normal(size=8), gradients)
    np.testing.assert_array_equal(gradients, before)


@every_optimizer
def test_a_step_allocates_no_array(kind: str) -> None:
    params = np.ones(100_000, np.float32)
    grads = np.ones_like(params)
    optimizer = OPTIMIZERS[kind](weight_decay=0.1)
    state = optimizer.init(params, np.ones(params.shape, bool))
    optimizer.step(params, grads, state, 0.01)
    tracemalloc.start()
    try:
        optimizer.step(params, grads, state, 0.01)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < params.nbytes / 4


@every_optimizer
def test_a_numpy_scalar_as_learning_rate_does_not_raise_the_precision(kind: str) -> None:
    rng = np.random.default_rng(0)
    params, gradients = rng.normal(size=50).astype("f4"), rng.normal(size=(3, 50)).astype("f4")
    expected = run(plain(kind), params, gradients, 0.3)
    np.testing.assert_array_equal(run(plain(kind), params, gradients, np.float64(0.3)), expected)


@every_optimizer
def test_classes_are_final(kind: str) -> None:
    assert OPTIMIZERS[kind].__final__  # type: ignore[attr-defined]


def test_the_base_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Optimizer()  # type: ignore[abstract]


def test_a_rule_of_ones_own_is_one_method() -> None:
    @final
    @dataclass(frozen=True, kw_only=True)
    class SignSGD(Optimizer):
        def direction(self, g: Array, state: State) -> Array:
            return np.sign(g, out=state.scratch)

    stepped = run(SignSGD(), np.array([1.0, 1.0, 1.0]), np.array([[5.0, -0.1, 0.0]] * 2), lr=0.25)
    np.testing.assert_array_equal(stepped, [0.5, 1.5, 1.0])


# ---- single rules


def test_sgd_subtracts_the_gradient_times_the_learning_rate() -> None:
    np.testing.assert_array_equal(run(SGD(), np.array([1.0, 2.0]), np.array([[4.0, -8.0]]), 0.25), [0.0, 4.0])


@pytest.mark.parametrize("kind", ["momentum", "nesterov"])
def test_without_momentum_there_is_only_sgd(kind: str) -> None:
    rng = np.random.default_rng(0)
    params, gradients = rng.normal(size=9), rng.normal(size=(4, 9))
    without = run(OPTIMIZERS[kind](momentum=0), params, gradients)  # type: ignore[call-arg]
    np.testing.assert_array_equal(without, run(SGD(), params, gradients))


@given(momentum=st.floats(0, 0.99), steps=st.integers(1, 20))
@settings(max_examples=25)
def test_velocities_of_a_constant_gradient_are_geometric_sums(momentum: float, steps: int) -> None:
    g, lr = 3.0, 0.125
    v = [sum(g * momentum**k for k in range(t)) for t in range(1, steps + 1)]
    params, gradients = np.zeros(1), np.full((steps, 1), g)
    heavy_ball = run(Momentum(momentum=momentum), params, gradients, lr)
    nesterov = run(Nesterov(momentum=momentum), params, gradients, lr)
    np.testing.assert_allclose(heavy_ball, -lr * sum(v), rtol=1e-13)
    np.testing.assert_allclose(nesterov, -lr * sum(g + momentum * vt for vt in v), rtol=1e-13)


@given(alpha=st.floats(0, 0.999), eps=st.floats(1e-8, 1.0), g=st.floats(0.01, 100))
@settings(max_examples=25)
def test_rmsprop_adds_eps_after_the_root_and_starts_from_zero(alpha: float, eps: float, g: float) -> None:
    stepped = run(RMSProp(alpha=alpha, eps=eps), np.zeros(1), np.array([[g]]), 1.0)
    np.testing.assert_allclose(stepped, -g / (np.sqrt(1 - alpha) * g + eps), rtol=1e-12)


def test_adam_and_rmsprop_do_not_see_the_scale_of_the_gradient() -> None:
    rng = np.random.default_rng(0)
    params, gradients = rng.normal(size=9), rng.normal(size=(4, 9))
    for optimizer in (RMSProp(eps=1e-300), Adam(eps=1e-300)):
        np.testing.assert_array_equal(
            run(optimizer, params, gradients), run(optimizer, params, 2.0**20 * gradients)
        )


def test_adamw_is_adam_with_decoupled_decay() -> None:
    rng = np.random.default_rng(0)
    params, gradients = rng.normal(size=9), rng.normal(size=(4, 9))
    np.testing.assert_array_equal(
        run(AdamW(), params, gradients), run(Adam(weight_decay=0.01, decay="decoupled"), params, gradients)
    )
    np.testing.assert_array_equal(
        run(AdamW(weight_decay=0), params, gradients), run(Adam(), params, gradients)
    )


# ---- a defect of the original: Adam's bias correction one step off


def assert_bias_is_corrected(optimizer: Optimizer) -> None:
    """For a constant gradient g, m̂ = g and v̂ = g², so that every step of Adam is lr·g / (|g| + ε)."""
    g, lr, eps = np.array([0.5, -3.0, 1e-3]), 0.01, 1e-8
    params = np.zeros(3)
    state = optimizer.init(params)
    for t in range(1, 11):
        optimizer.step(params, g, state, lr)
        np.testing.assert_allclose(params, -t * lr * g / (np.abs(g) + eps), rtol=1e-12)


@dataclass(frozen=True, kw_only=True)
class ShiftedAdam(Optimizer):
    """Adam whose bias correction counts the steps from 1 + shift."""

    SLOTS = ("m", "v")

    shift: int = 0

    def direction(self, g: Array, state: State) -> Array:
        shifted = dataclasses.replace(state, step=state.step + self.shift)
        return adam_direction(g, shifted, beta1=0.9, beta2=0.999, eps=1e-8)

    def scale(self, step: int) -> float:
        a, b = corrections(step + self.shift, beta1=0.9, beta2=0.999)
        return a / b


@pytest.mark.parametrize(
    "optimizer", [Adam(), AdamW(weight_decay=0), Adam(beta1=0.5, beta2=0.9), ShiftedAdam()]
)
def test_adam_corrects_the_bias_of_every_step(optimizer: Optimizer) -> None:
    assert_bias_is_corrected(optimizer)


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_correction_one_step_off_would_be_noticed(shift: int) -> None:
    # Counting from 0 divides by zero.
    with pytest.raises((AssertionError, ZeroDivisionError)):
        assert_bias_is_corrected(ShiftedAdam(shift=shift))


# ---- wrong arguments


@pytest.mark.parametrize(
    ("params", "got"),
    [
        (np.zeros(3, np.float16), "dtype float16"),
        (np.zeros(3, np.int64), "dtype int64"),
        ([0.0, 0.0], "a list"),
    ],
)
def test_init_refuses_parameters_that_are_no_float_array(params: Array, got: str) -> None:
    with pytest.raises(ValueError, match=f"Adam: expected params of dtype float32 or float64, got .*{got}"):
        Adam().init(params)


@pytest.mark.parametrize(
    ("params", "grads", "lr", "message"),
    [
        (
            np.zeros(4),
            np.zeros(3),
            0.1,
            r"Adam: expected params of shape \(3,\) and dtype float64, got shape \(4,\)",
        ),
        (
            np.zeros(3, "f4"),
            np.zeros(3),
            0.1,
            r"Adam: expected params .*, got shape \(3,\) and dtype float32",
        ),
        (
            np.zeros(3),
            np.zeros((3, 1)),
            0.1,
            r"Adam: expected grads .*, got shape \(3, 1\) and dtype float64",
        ),
        (np.zeros(3), np.zeros(3, "f4"), 0.1, r"Adam: expected grads .*, got shape \(3,\) and dtype float32"),
        (np.zeros(3), [0.0, 0.0, 0.0], 0.1, r"Adam: expected grads .*, got a list"),
        (np.zeros(3), np.zeros(3), -0.1, r"Adam: expected lr to be a finite number >= 0, got -0\.1"),
        (np.zeros(3), np.zeros(3), float("nan"), "expected lr .* got nan"),
        (np.zeros(3), np.zeros(3), float("inf"), "expected lr .* got inf"),
    ],
)
def test_step_refuses_what_does_not_fit_and_changes_nothing(
    params: Array, grads: Array, lr: float, message: str
) -> None:
    optimizer = Adam(weight_decay=0.1)
    state = optimizer.init(np.zeros(3))
    before = params.copy()
    with pytest.raises(ValueError, match=message):
        optimizer.step(params, grads, state, lr)
    assert state.step == 0
    np.testing.assert_array_equal(params, before)
