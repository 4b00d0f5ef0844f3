"""The original's mistakes are there when they are switched on, and each is the mistake that it says."""

from typing import Any

import numpy as np
import pytest

from numnist.data import Dataset
from numnist.nn import Linear, Reference
from numnist.ops import softmax
from numnist.study.defects import DEFECTS
from numnist.train import Run, prepare, resolve

BASE: dict[str, Any] = {"model": "mlp:5", "epochs": 1, "batch_size": 16, "executor": "reference"}


def made(dataset: Dataset, defect: str | None, **settings: Any) -> Run:
    run = prepare(*resolve({**BASE, **settings}), dataset, threads=1)
    return run if defect is None else DEFECTS[defect](run, 1)


def trained(run: Run) -> Run:
    run.trainer.fit(run.state, 1)
    return run


def first_batch(run: Run) -> tuple[Any, Any]:
    return next(run.trainer.images.epoch(0))


def mask_of(run: Run) -> dict[str, Any]:
    mask = run.state.optimizer.decay_mask
    assert mask is not None
    return dict(run.model.layout.views(mask))


def test_the_gradient_knows_nothing_of_smoothing(dataset: Dataset) -> None:
    smoothed = made(dataset, None, label_smoothing=0.3)
    broken = made(dataset, "smoothing-not-in-the-gradient", label_smoothing=0.3)
    x, y = first_batch(broken)
    logits = broken.model.network.predict(x)
    p = softmax.forward(logits)[0]
    p[np.arange(len(y)), y] -= 1
    for run, is_plain in ((broken, True), (smoothed, False)):
        run.trainer.executor.loss_and_grads(x, y, None)
        bias = run.model.layout.views(run.trainer.executor.gradient)["3.bias"]
        assert np.allclose(bias, p.mean(axis=0), atol=1e-6) == is_plain


def test_decay_acts_twice_on_weights_and_once_on_their_biases(dataset: Dataset) -> None:
    run = made(dataset, "decay-twice", optim={"kind": "sgd", "lr": 0.1, "weight_decay": 0.5})
    mask = mask_of(run)
    for position, layer, _, _ in run.model.network.leaves(run.model.preprocess.input_shape):
        if isinstance(layer, Linear):
            assert (mask[f"{position}.weight"] == 2).all()
            assert (mask[f"{position}.bias"] == 1).all()
    before = run.model.parameters.copy()
    nothing = np.zeros_like(before)
    run.trainer.optimizer.step(run.model.parameters, nothing, run.state.optimizer, 0.1)
    expected = before * (1 - 0.1 * 0.5 * np.concatenate([view.ravel() for view in mask.values()]))
    np.testing.assert_allclose(run.model.parameters, expected, rtol=1e-6)


def test_normalisation_is_not_decayed(dataset: Dataset, tmp_path: Any) -> None:
    network = tmp_path / "own.toml"
    network.write_text(
        '[[layers]]\ntype = "Flatten"\n[[layers]]\ntype = "Linear"\nout_features = 6\n'
        '[[layers]]\ntype = "BatchNorm"\n[[layers]]\ntype = "Linear"\nout_features = "classes"\n'
    )
    run = made(dataset, "decay-twice", model=str(network), optim={"kind": "sgd", "weight_decay": 0.5})
    mask = mask_of(run)
    assert {name: float(view.max()) for name, view in mask.items()} == {
        "1.weight": 2, "1.bias": 1, "2.weight": 0, "2.bias": 0, "3.weight": 2, "3.bias": 1,
    }  # fmt: skip


def test_every_image_is_turned_by_ten_degrees(dataset: Dataset) -> None:
    run = made(dataset, "rotation-always-ten-degrees", augment={"rotation": 10, "translation": 1})
    drawn = run.trainer.images.augmentation.draw(50, np.random.default_rng(0))
    assert (drawn.rotation == 10).all()
    assert np.ptp(drawn.dx) > 0.5  # the rest is as it was


def test_the_correction_is_that_of_the_step_after(dataset: Dataset) -> None:
    run = made(dataset, "bias-correction-one-step-off", optim={"kind": "adam", "lr": 0.1})
    adam = run.trainer.optimizer
    p, g = np.zeros(3, np.float64), np.array([1.0, -2.0, 0.5])
    state = adam.init(p)
    adam.step(p, g, state, 0.1)
    m, v = 0.1 * g, 0.001 * g**2
    expected = -0.1 * (m / (1 - 0.9**2)) / (np.sqrt(v / (1 - 0.999**2)) + 1e-8)
    np.testing.assert_allclose(p, expected, rtol=1e-9)


def test_the_correction_of_another_optimizer_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="expected Adam, got SGD"):
        made(dataset, "bias-correction-one-step-off", optim={"kind": "sgd"})


def test_images_are_normalised_by_those_beside_them(dataset: Dataset, tmp_path: Any) -> None:
    network = tmp_path / "own.toml"
    network.write_text(
        '[[layers]]\ntype = "Flatten"\n[[layers]]\ntype = "Linear"\nout_features = 6\n'
        '[[layers]]\ntype = "BatchNorm"\n[[layers]]\ntype = "Linear"\nout_features = "classes"\n'
    )
    run = trained(made(dataset, "normalised-by-its-own-batch", model=str(network)))
    x, _ = first_batch(run)
    buffers = run.model.buffers.copy()
    ours, alone = run.trainer.executor.predict(x), run.trainer.executor.predict(x[:4])
    assert np.abs(ours[:4] - alone).max() > 1e-3
    right = Reference(run.model)
    np.testing.assert_allclose(right.predict(x)[:4], right.predict(x[:4]), rtol=1e-5)
    np.testing.assert_array_equal(run.model.buffers, buffers)


@pytest.mark.parametrize("defect", list(DEFECTS))
def test_a_run_with_any_of_them_comes_to_its_end(dataset: Dataset, defect: str) -> None:
    run = trained(made(dataset, defect, executor="engine"))
    assert run.state.epoch == 1
    assert np.isfinite(run.model.parameters).all()
