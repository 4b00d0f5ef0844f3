"""When the loss is no longer a number: what is said, and that the last good checkpoint stands."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numnist.data import Dataset
from numnist.nn import BatchNorm, Conv2d, Flatten, Linear, Model, Preprocess, ReLU, Sequential
from numnist.train import (
    Callback,
    DivergenceError,
    RunFolder,
    StepReport,
    TrainState,
    prepare,
    resolve,
    train,
)
from numnist.train.divergence import first_not_finite, require_finite

RNG = np.random.default_rng


def model() -> Model:
    inner = Sequential([Conv2d(1, 2, 3), BatchNorm(2), ReLU()])
    network = Sequential([inner, Flatten(), Linear(2 * 6 * 6, 3)])
    return Model(network, Preprocess(image_size=(8, 8), classes=("a", "b", "c"))).initialise(
        RNG(0), "he_normal"
    )


def images() -> Any:
    return RNG(1).normal(size=(4, 1, 8, 8)).astype(np.float32)


def test_all_is_well() -> None:
    assert first_not_finite(model(), images(), RNG(0)) == "the loss itself"


def test_a_bad_image_is_named() -> None:
    x = images()
    x[1, 0, 2, 3] = np.nan
    assert first_not_finite(model(), x, RNG(0)) == "the batch of images"


def test_a_bad_weight_is_named() -> None:
    bad = model()
    bad.named_parameters()["0.1.weight"][1] = np.inf
    assert first_not_finite(bad, images(), RNG(0)) == "0.1.weight, which an earlier step left,"


@pytest.mark.parametrize(
    ("name", "words"),
    [("0.0.weight", "the output of layer 0.0 (Conv2d)"), ("2.weight", "the output of layer 2 (Linear)")],
)
def test_the_first_layer_that_overflows_is_named(name: str, words: str) -> None:
    bad = model()
    bad.named_parameters()[name][...] = np.float32(3e38)
    before = bad.buffers.copy()
    assert first_not_finite(bad, 10 * abs(images()), RNG(0)) == words
    np.testing.assert_array_equal(bad.buffers, before)


def test_a_number_is_let_pass_and_no_number_is_not() -> None:
    require_finite(1e30, "anywhere")
    for loss in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(
            DivergenceError, match=r"the loss became -?\w+ somewhere: try a smaller --optim\.lr"
        ):
            require_finite(loss, "somewhere")


@pytest.mark.parametrize("executor", ["engine", "reference"])
def test_a_run_says_where_it_began_and_its_checkpoint_stands(
    tmp_path: Path, dataset: Dataset, executor: str
) -> None:
    """Weights of 1e38 make the first layer overflow in step 11; the checkpoint is of step 9."""

    class Spoil(Callback):
        def on_step_end(self, state: TrainState, report: StepReport) -> None:
            if state.step == 10:
                job.model.named_parameters()["1.weight"][...] = np.float32(3e38)
                job.model.mark_changed()

    settings = {"model": "mlp:8", "batch_size": 32, "executor": executor, "epochs": 3}
    job = prepare(*resolve(settings), dataset)
    folder = RunFolder(tmp_path, None, "mlp")
    words = (
        r"^the loss became (nan|inf) at step 11, with a learning rate of 0\.\d+: "
        r"the output of layer 1 \(Linear\) "
        r"is the first that is not finite; try a smaller --optim\.lr, or --clip-norm 1$"
    )
    with pytest.raises(DivergenceError, match=words):
        train(job, folder, [Spoil()], checkpoint_every=3)
    again = prepare(*resolve(settings), dataset)
    outcome = train(again, folder, resume=True)
    assert outcome.test is not None
    assert outcome.test.accuracy > 0.9
