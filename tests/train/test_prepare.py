"""What `prepare` makes of settings and data: every setting reaches the place where it acts."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numnist.arrays import Array
from numnist.data import Augmentation, Dataset, Split, split_validation
from numnist.engine import Engine
from numnist.errors import InputError
from numnist.nn import (
    INITIALISERS,
    Flatten,
    Linear,
    Preprocess,
    Reference,
    Sequential,
    Softmax,
    StepResult,
    Update,
)
from numnist.optim import Adam, Constant, Cosine, OneCycle, WarmUp
from numnist.train import Run, Stream, generator, prepare, resolve
from numnist.train.checkpoint import differences

SETTINGS: dict[str, Any] = {"model": "mlp:8", "batch_size": 32, "epochs": 4}


def run_of(dataset: Dataset, **settings: Any) -> Run:
    return prepare(*resolve({**SETTINGS, **settings}), dataset)


def test_validation_images_are_held_out_of_training_and_of_the_preprocessing(dataset: Dataset) -> None:
    trainer = run_of(dataset, validation=48).trainer
    trained, validated = split_validation(240, 48)
    assert dataset.train is not None
    np.testing.assert_array_equal(trainer.images.indices, trained)
    assert trainer.validation is not None
    np.testing.assert_array_equal(trainer.validation.images, dataset.train.images[validated])
    np.testing.assert_array_equal(trainer.validation.labels, dataset.train.labels[validated])
    assert trainer.model.preprocess == Preprocess.fit(dataset.train.images[trained], "012")
    seen = np.concatenate([trainer.images.split.images[trainer.images.indices]])
    assert len(seen) + len(trainer.validation) == 240


def test_the_schedule_spans_the_run(dataset: Dataset) -> None:
    schedule = run_of(dataset, validation=48, optim={"lr": 0.5}).trainer.schedule
    assert schedule == OneCycle(0.5, 4 * 6)
    warmed = run_of(dataset, validation=48, warmup_steps=5).trainer.schedule
    assert warmed == WarmUp(OneCycle(0.02, 4 * 6 - 5), 5)


def test_a_schedules_bounds_are_those_of_its_own_learning_rate(dataset: Dataset) -> None:
    cosine = {"kind": "cosine", "eta_min": 1.5}
    assert run_of(dataset, schedule=cosine, optim={"lr": 2}).trainer.schedule == Cosine(2, 28, 1.5)
    with pytest.raises(
        InputError, match=r"--schedule\.eta-min: Cosine: expected eta_min to be at most lr = 0\.02"
    ):
        run_of(dataset, schedule=cosine)


def test_settings_reach_what_they_set(dataset: Dataset) -> None:
    trainer = run_of(
        dataset,
        label_smoothing=0.25,
        clip_norm=2,
        seed=5,
        optim={"kind": "adam", "beta1": 0.5},
        schedule={"kind": "constant"},
        augment={"rotation": 5},
        executor="reference",
    ).trainer
    assert isinstance(trainer.executor, Reference)
    assert trainer.executor.label_smoothing == 0.25
    assert (trainer.clip_norm, trainer.images.seed, trainer.images.batch_size) == (2, 5, 32)
    assert trainer.optimizer == Adam(beta1=0.5)
    assert isinstance(trainer.schedule, Constant)
    assert trainer.images.augmentation == Augmentation(rotation=(-5, 5))


def test_the_engine_runs_the_model_unless_told_otherwise(dataset: Dataset) -> None:
    recipe, config = resolve({**SETTINGS, "label_smoothing": 0.25})
    executor = prepare(recipe, config, dataset, threads=1).trainer.executor
    assert isinstance(executor, Engine)
    assert (executor.threads, executor.shard_size) == (1, 256)  # a network without convolutions
    recipe, config = resolve({**SETTINGS, "shard_size": 7})
    assert isinstance(executor := prepare(recipe, config, dataset).trainer.executor, Engine)
    assert executor.shard_size == 7


@pytest.mark.parametrize("name", ["engine", "reference"])
def test_label_smoothing_reaches_the_executor(dataset: Dataset, name: str) -> None:
    losses = []
    for smoothing in (0.0, 0.5):
        run = run_of(dataset, executor=name, label_smoothing=smoothing)
        x, y = next(iter(run.trainer.images.epoch(0)))
        losses.append(run.trainer.executor.loss_and_grads(x, y, None).loss)
    assert losses[0] != losses[1]


@pytest.mark.parametrize("init", INITIALISERS)
def test_the_weights_are_drawn_by_the_rule_that_is_set(dataset: Dataset, init: str) -> None:
    weight = run_of(dataset, init=init, seed=3).model.named_parameters()["1.weight"]
    expected = INITIALISERS[init](generator(3, Stream.INITIALISATION), weight.shape)
    np.testing.assert_array_equal(weight, expected.astype(np.float32))


class Recorder:
    """An executor that notes what it is given, with a gradient of zero."""

    def __init__(self, run: Run) -> None:
        self.gradient: Array = np.zeros_like(run.model.parameters)
        self.reference = Reference(run.model)
        self.run = run
        self.x: list[Array] = []
        self.draws: list[float] = []
        self.versions: list[int] = []

    def loss_and_grads(self, x: Array, y: Array, rng: np.random.Generator | None) -> StepResult:
        assert rng is not None
        self.x.append(x.copy())
        self.draws.append(rng.random())
        self.versions.append(self.run.model.version)
        return StepResult(1.0, 0)

    def update(self, update: Update, lr: float) -> None:
        self.run.model.mark_changed()

    def predict(self, x: Array) -> Array:
        return self.reference.predict(x)


def recorded(dataset: Dataset, **settings: Any) -> Recorder:
    run = run_of(dataset, epochs=2, validation=48, **settings)
    recorder = Recorder(run)
    replace(run.trainer, executor=recorder).fit(run.state, 2)
    return recorder


def test_dropout_has_its_own_stream_at_every_step(dataset: Dataset) -> None:
    recorder = recorded(dataset, seed=4)
    assert recorder.draws == [generator(4, Stream.DROPOUT, step).random() for step in range(12)]


def test_augmentation_differs_from_step_to_step_and_between_epochs(dataset: Dataset) -> None:
    """One image, one per batch: whatever its place in the order, its augmentation is that of its step."""
    assert dataset.train is not None
    same = Dataset(
        "same",
        Split(np.repeat(dataset.train.images[:1], 60, axis=0), np.zeros(60, int)),
        dataset.test,
        3,
        "",
        (),
    )
    run = prepare(*resolve({**SETTINGS, "validation": 0, "epochs": 2, "augment": {"translation": 2}}), same)
    batches = [x for epoch in range(2) for x, _ in run.trainer.images.epoch(epoch)]
    first_images = {batch[0].tobytes() for batch in batches}
    assert len(first_images) == len(batches) == 4


def test_every_step_raises_the_version(dataset: Dataset) -> None:
    versions = recorded(dataset).versions
    assert all(later > earlier for earlier, later in pairwise(versions))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation": 240}, "--validation: expected fewer than the 240 images, got 240"),
        (
            {"limit": 5, "keep_best": True},
            "--validation: 0 images leave none to stop or to choose an epoch by",
        ),
        ({"warmup_steps": 28}, "--warmup-steps: expected fewer than the run's 28 steps, got 28"),
        ({"model": "cnn"}, "--model: model 'cnn' on images of 8x8: layer 4"),
        ({"model": "nothing.toml"}, "nothing.toml: expected a TOML description"),
        (
            {"model": "norm.toml", "batch_size": 199},
            "--batch-size: 199 leaves a batch of one of the 200 images",
        ),
        ({"model": "norm.toml", "batch_size": 1}, "--batch-size: 1 leaves a batch of one of the 200 images"),
        ({"model": "softmax.toml"}, "--model: layer 2: leave out the last Softmax: the loss applies it"),
    ],
)
def test_settings_that_do_not_fit_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: Dataset, settings: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    flatten, linear = (
        "[[layers]]\ntype = 'Flatten'\n",
        "[[layers]]\ntype = 'Linear'\nout_features = 'classes'\n",
    )
    nested = "[[layers]]\ntype = 'Sequential'\n[[layers.layers]]\ntype = 'BatchNorm'\n"
    Path("norm.toml").write_text(flatten + nested + linear)
    Path("softmax.toml").write_text(flatten + linear + "[[layers]]\ntype = 'Softmax'\n")
    with pytest.raises(InputError) as caught:
        run_of(dataset, **settings)
    assert message in str(caught.value)


@pytest.mark.parametrize("factor", [1e200, 1e-200, np.nan])
def test_images_that_cannot_be_standardised_are_refused(dataset: Dataset, factor: float) -> None:
    assert dataset.train is not None
    images = dataset.train.images * np.float64(factor)
    wild = Dataset("wild", Split(images, dataset.train.labels), dataset.test, 3, "", ())
    with pytest.raises(InputError, match="the training images cannot be standardised"):
        run_of(wild)


def test_a_data_set_without_a_test_set_is_refused(dataset: Dataset) -> None:
    with pytest.raises(InputError, match="training needs a training set and a test set"):
        run_of(Dataset("bars", dataset.train, None, 3, "", ()))


def test_a_network_made_in_python_is_trained_like_the_others(dataset: Dataset) -> None:
    network = Sequential([Flatten(), Linear(64, 3)])
    run = prepare(*resolve(SETTINGS), dataset, network)
    assert run.model.network is network
    assert run.config.model == "a network made in Python"
    run.trainer.fit(run.state, 1)
    with pytest.raises(InputError, match="--model: layer 2: leave out the last Softmax"):
        prepare(*resolve(SETTINGS), dataset, Sequential([Flatten(), Linear(64, 3), Softmax()]))


def test_what_decides_a_runs_course_decides_its_identity(dataset: Dataset) -> None:
    same = run_of(dataset).identity
    assert run_of(dataset).identity == same
    other_data = Dataset("bars", dataset.train, dataset.test, 3, "0" * 64, ())
    others = [run_of(dataset, seed=1), run_of(dataset, optim={"lr": 0.03}), run_of(other_data)]
    assert all(differences(same, run.identity) for run in others)
    assert [differences(same, run.identity)[0].split()[0] for run in others] == [
        "settings.seed", "settings.optim.lr", "data",
    ]  # fmt: skip
