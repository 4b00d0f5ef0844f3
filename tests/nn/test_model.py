"""Flat storage, preprocessing, the reference executor, the summary."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from threadpoolctl import threadpool_info, threadpool_limits

from numnist.nn import (
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Layout,
    Linear,
    Model,
    Preprocess,
    Reference,
    ReLU,
    Sequential,
    build,
    summarise,
)

SMALL = Preprocess((4, 4), classes=("no", "yes"))


def small_model(rate: float = 0.0) -> Model:
    layers = [Conv2d(1, 2, 3), BatchNorm(2), Sequential([ReLU(), Flatten()]), Dropout(rate), Linear(8, 2)]
    return Model(Sequential(layers), SMALL).initialise(np.random.default_rng(0))


class TestLayout:
    @given(st.lists(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), max_size=5))
    def test_views_tile_the_vector_in_order(self, shapes: list[tuple[int, ...]]) -> None:
        layout = Layout({str(position): shape for position, shape in enumerate(shapes)})
        flat = np.arange(layout.size)
        views = layout.views(flat)
        assert [view.shape for view in views.values()] == shapes
        joined = np.concatenate([view.ravel() for view in views.values()] or [flat])
        np.testing.assert_array_equal(joined, flat)
        assert all(np.shares_memory(view, flat) for view in views.values() if view.size)

    @pytest.mark.parametrize("flat", [np.zeros(5), np.zeros((6, 1)), np.zeros(12)[::2]])
    def test_another_size_or_order_is_refused(self, flat: np.ndarray) -> None:
        with pytest.raises(ValueError, match=r"expected a contiguous vector of shape \(6,\)"):
            Layout({"a": (2, 3)}).views(flat)


class TestModel:
    def test_layers_see_the_flat_vector(self) -> None:
        model = small_model()
        model.parameters[...] = 7
        conv = model.network.layers[0]
        assert (conv.parameters["weight"] == 7).all()
        conv.parameters["bias"][...] = 3
        assert (model.named_parameters()["0.bias"] == 3).all()
        assert (model.parameters == 3).sum() == 2

    def test_weight_decay_leaves_out_biases_and_normalisation(self) -> None:
        model = small_model()
        decayed = [name for name, view in model.layout.views(model.decay_mask()).items() if view.all()]
        assert decayed == ["0.weight", "4.weight"]
        assert model.decay_mask().sum() == 18 + 16

    def test_changes_raise_the_version(self) -> None:
        model = small_model()
        before = model.version
        model.mark_changed()
        assert model.version == before + 1

    @pytest.mark.parametrize(
        ("network", "message"),
        [
            (
                Sequential([Flatten(), Linear(16, 3)]),
                r"expected the network to end in shape \(2,\).*got \(3,\)",
            ),
            (Sequential([Linear(16, 2)]), "layer 0: Linear: expected samples"),
        ],
    )
    def test_a_network_that_does_not_fit_is_refused(self, network: Sequential, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Model(network, SMALL)


class TestReference:
    def test_predict_changes_nothing_and_does_not_depend_on_the_batch(self) -> None:
        model = small_model()
        executor = Reference(model)
        x = np.random.default_rng(1).standard_normal((5, 1, 4, 4), dtype=np.float32)
        executor.loss_and_grads(x, np.array([0, 1, 0, 1, 1]), np.random.default_rng(0))
        before = model.parameters.copy(), model.buffers.copy()
        together = executor.predict(x)
        alone = np.concatenate([executor.predict(x[n : n + 1]) for n in range(5)])
        np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(model.parameters, before[0])
        np.testing.assert_array_equal(model.buffers, before[1])

    def test_blas_has_one_thread_while_it_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """How BLAS splits a sum among threads changes its last bits, and a seed is to give the same ones."""
        model = small_model()
        threads: list[int] = []

        def spy(*arguments: Any) -> Any:
            threads.extend(info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas")
            return forward(*arguments)

        forward = model.network.layers[0].forward
        monkeypatch.setattr(model.network.layers[0], "forward", spy)
        executor = Reference(model)
        with threadpool_limits(2):
            executor.predict(np.zeros((2, 1, 4, 4), np.float32))
            executor.loss_and_grads(
                np.zeros((2, 1, 4, 4), np.float32), np.array([0, 1]), np.random.default_rng(0)
            )
        assert set(threads) == {1}

    def test_the_running_statistics_raise_the_version(self) -> None:
        model = small_model()
        before = model.version
        Reference(model).loss_and_grads(
            np.zeros((2, 1, 4, 4), np.float32), np.array([0, 1]), np.random.default_rng(0)
        )
        assert model.version > before

    def test_soft_targets_at_the_labels_are_the_labels(self) -> None:
        x = np.random.default_rng(1).standard_normal((5, 1, 4, 4), dtype=np.float32)
        y = np.array([0, 1, 0, 1, 1])
        hard, soft = Reference(small_model()), Reference(small_model())
        assert hard.loss_and_grads(x, y, np.random.default_rng(0)) == soft.loss_and_grads(
            x, np.eye(2, dtype=np.float32)[y], np.random.default_rng(0)
        )
        np.testing.assert_array_equal(hard.gradient, soft.gradient)

    def test_label_smoothing_reaches_the_gradient(self) -> None:
        """The original smoothed the loss it printed and trained on hard labels."""
        x = np.random.default_rng(1).standard_normal((5, 1, 4, 4), dtype=np.float32)
        y = np.array([0, 1, 0, 1, 1])
        plain, smooth = Reference(small_model()), Reference(small_model(), label_smoothing=0.3)
        plain.loss_and_grads(x, y, np.random.default_rng(0))
        smooth.loss_and_grads(x, y, np.random.default_rng(0))
        assert np.linalg.norm(plain.gradient - smooth.gradient) > 0.01 * np.linalg.norm(plain.gradient)

    def test_dropout_follows_the_generator(self) -> None:
        x = np.random.default_rng(1).standard_normal((5, 1, 4, 4), dtype=np.float32)
        y = np.array([0, 1, 0, 1, 1])
        losses = [
            Reference(small_model(rate=0.5)).loss_and_grads(x, y, np.random.default_rng(seed)).loss
            for seed in (1, 1, 2)
        ]
        assert losses[0] == losses[1] != losses[2]


class TestPreprocess:
    @given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)))
    def test_fitted_images_have_mean_0_and_deviation_1(self, images: np.ndarray) -> None:
        preprocess = Preprocess.fit(images)
        x = preprocess(images, np.float64)
        assert x.shape == (len(images), 1, *images.shape[1:])
        assert x.mean() == pytest.approx(0, abs=1e-9)
        assert x.std() == pytest.approx(0 if images.min() == images.max() else 1, abs=1e-9)

    def test_the_formula(self) -> None:
        x = Preprocess((1, 2), scale=0.5, mean=1.0, std=4.0)(np.array([[[2, 10]]], np.uint8))
        np.testing.assert_array_equal(x, np.array([[[[0.0, 1.0]]]], np.float32))
        assert x.dtype == np.float32

    def test_images_of_other_types_are_taken_as_they_are(self) -> None:
        assert Preprocess.fit(np.array([[[0.0, 2.0]]])).scale == 1.0

    def test_constant_images_do_not_divide_by_zero(self) -> None:
        preprocess = Preprocess.fit(np.full((3, 2, 2), 77, np.uint8))
        assert preprocess.std == 1.0
        assert np.isfinite(preprocess(np.full((1, 2, 2), 77, np.uint8))).all()

    @pytest.mark.parametrize("shape", [(2, 4, 5), (4, 4), (2, 1, 4, 4)])
    def test_images_of_another_size_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"expected images of shape \(N, 4, 4\)"):
            SMALL(np.zeros(shape))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"image_size": (4,)}, "image_size"),
            ({"image_size": (4, 0)}, "image_size"),
            ({"scale": 0.0}, "scale"),
            ({"std": 0}, "std"),
            ({"mean": float("nan")}, "mean"),
            ({"classes": ()}, "the names of one class"),
            ({"classes": (1, 2)}, "the names of one class"),
        ],
    )
    def test_wrong_fields_are_refused(self, changes: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=f"Preprocess: expected .*{message}"):
            Preprocess(**changes)  # type: ignore[arg-type]

    def test_description_round_trip(self) -> None:
        preprocess = Preprocess((3, 5), 0.25, 0.5, 2.0, ("a", "b"))
        assert Preprocess.from_description(preprocess.describe()) == preprocess

    @pytest.mark.parametrize(
        "description", [{}, {"image_size": [1, 1]}, 3, {**SMALL.describe(), "classes": "ab"}]
    )
    def test_wrong_descriptions_are_refused(self, description: object) -> None:
        with pytest.raises(ValueError, match="Preprocess: expected"):
            Preprocess.from_description(description)  # type: ignore[arg-type]


class TestSummary:
    def test_rows_add_up_to_the_model(self) -> None:
        network = build("cnn", (1, 28, 28), 10)
        rows = list(summarise(network, (1, 28, 28)))
        assert sum(row.parameters for row in rows) == 18_474
        assert sum(row.multiply_adds for row in rows) == network.multiply_adds((1, 28, 28)) == 1_054_720
        assert [row.output_shape for row in rows][:4] == [(16, 24, 24)] * 3 + [(16, 12, 12)]
        assert rows[3].layer == "MaxPool2d(size=2)"

    def test_nested_layers_stand_in_their_place(self) -> None:
        rows = list(summarise(small_model().network, (1, 4, 4)))
        assert [row.position for row in rows] == ["0", "1", "2.0", "2.1", "3", "4"]


@pytest.mark.parametrize("copied", [lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy])
def test_the_layers_of_a_copy_hold_views_of_its_own_vectors(copied: Callable[[Model], Model]) -> None:
    model = Model(build("cnn", (1, 28, 28), 10), Preprocess()).initialise(np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((2, 1, 28, 28), np.float32)
    expected = Reference(model).predict(x)
    other = copied(model)
    np.testing.assert_array_equal(Reference(other).predict(x), expected)
    other.parameters[...] = 0
    other.buffers[...] = 1
    assert not Reference(other).predict(x).any()
    np.testing.assert_array_equal(Reference(model).predict(x), expected)
