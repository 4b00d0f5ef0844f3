"""The loop: what it promises about batches, randomness, callbacks, interruption."""

import signal
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from numnist.data import Augmentation, Dataset
from numnist.nn import Model, Preprocess, Reference, build
from numnist.optim import Constant
from numnist.train import (
    Callback,
    DivergenceError,
    EarlyStopping,
    EpochReport,
    KeepBest,
    ReduceOnPlateau,
    Run,
    StepReport,
    Stream,
    TrainingImages,
    TrainState,
    generator,
    prepare,
    resolve,
)


def run_of(dataset: Dataset, **settings: Any) -> Run:
    flags = {"model": "mlp:8", "batch_size": 32, "epochs": 2, **settings}
    return prepare(*resolve(flags), dataset)


class Recorder(Callback):
    def __init__(self) -> None:
        self.steps: list[StepReport] = []
        self.epochs: list[EpochReport] = []
        self.events: list[str] = []

    def on_train_begin(self, state: TrainState, steps_per_epoch: int, epochs: int) -> None:
        self.events.append("begin")

    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        self.steps.append(report)

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        self.epochs.append(report)

    def on_train_end(self, state: TrainState) -> None:
        self.events.append("end")


def fit(run: Run, *callbacks: Callback, epochs: int = 2) -> Recorder:
    recorder = Recorder()
    run.trainer.fit(run.state, epochs, [*run.callbacks, *callbacks, recorder])
    return recorder


def test_a_network_learns(dataset: Dataset) -> None:
    recorder = fit(run_of(dataset, epochs=6, optim={"lr": 0.02}), epochs=6)
    assert recorder.epochs[0].train_loss > 3 * recorder.epochs[-1].train_loss
    assert recorder.epochs[-1].val_accuracy is not None
    assert recorder.epochs[-1].val_accuracy > 0.9


def test_every_image_is_seen_once_an_epoch_and_no_batch_is_empty(dataset: Dataset) -> None:
    """The original ended each epoch whose size was a multiple of the batch's with an empty batch."""
    recorder = fit(run_of(dataset, batch_size=32, validation=48))  # 192 images: 6 whole batches
    assert [step.n for step in recorder.steps] == [32] * 12
    recorder = fit(run_of(dataset, batch_size=50, validation=48), epochs=1)
    assert [step.n for step in recorder.steps] == [50, 50, 50, 42]
    assert recorder.events == ["begin", "end"]


def test_an_epochs_means_weigh_every_sample_alike(dataset: Dataset) -> None:
    recorder = fit(run_of(dataset, batch_size=50, validation=48), epochs=1)
    n = sum(step.n for step in recorder.steps)
    report = recorder.epochs[0]
    assert report.train_loss == pytest.approx(sum(step.loss * step.n for step in recorder.steps) / n)
    assert report.train_accuracy == pytest.approx(sum(step.correct for step in recorder.steps) / n)
    assert (report.epoch, report.step) == (1, 4)


def test_the_learning_rate_is_the_schedules_times_the_scale(dataset: Dataset) -> None:
    run = run_of(dataset, schedule={"kind": "exponential", "gamma": 0.9}, optim={"lr": 0.1})
    run.state.lr_scale = 0.5
    recorder = fit(run, epochs=1)
    assert [step.lr for step in recorder.steps] == pytest.approx(
        [0.05 * 0.9**t for t in range(len(recorder.steps))]
    )


def test_clipping_bounds_the_step(dataset: Dataset) -> None:
    run = run_of(dataset, clip_norm=1e-3, optim={"kind": "sgd", "lr": 1}, schedule={"kind": "constant"})
    before = run.model.parameters.copy()
    recorder = fit(run, epochs=1)
    assert all(step.gradient_norm is not None and step.gradient_norm > 1e-3 for step in recorder.steps)
    assert np.linalg.norm(run.model.parameters - before) <= 1e-3 * len(recorder.steps) * 1.001


@pytest.mark.parametrize(("decay_all", "moves"), [(False, False), (True, True)])
def test_weight_decay_leaves_biases_alone_unless_asked(
    dataset: Dataset, decay_all: bool, moves: bool
) -> None:
    run = run_of(dataset, decay_all=decay_all, optim={"kind": "sgd", "lr": 1e-9, "weight_decay": 1e8})
    biases = ("1.bias", "3.bias")
    for name in biases:
        run.model.named_parameters()[name][...] = 1
    fit(run, epochs=1)
    moved = [abs(run.model.named_parameters()[name] - 1).max() > 0.01 for name in biases]
    assert moved == [moves, moves]
    assert abs(run.model.named_parameters()["1.weight"]).max() < 1  # decayed either way


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(dataset: Dataset) -> None:
    def parameters(seed: int) -> Any:
        run = run_of(dataset, seed=seed, augment={"rotation": 10, "translation": 1})
        fit(run)
        return run.model.parameters

    np.testing.assert_array_equal(parameters(3), parameters(3))
    assert not np.array_equal(parameters(3), parameters(4))


def test_streams_and_counters_do_not_share_numbers() -> None:
    draws = {
        tuple(generator(1, stream, counter).integers(0, 2**63, 2))
        for stream in Stream
        for counter in range(5)
    }
    assert len(draws) == len(Stream) * 5


def test_the_order_changes_with_the_epoch_and_augmentation_with_the_step(dataset: Dataset) -> None:
    assert dataset.train is not None
    images = TrainingImages(
        dataset.train, np.arange(100), Preprocess.fit(dataset.train.images, "abc"), Augmentation(), 10, seed=1
    )
    first, second = (np.concatenate([y for _, y in images.epoch(epoch)]) for epoch in (0, 1))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first), np.sort(second))
    again = np.concatenate([y for _, y in images.epoch(1)])
    np.testing.assert_array_equal(second, again)

    turned = replace(images, augmentation=Augmentation(rotation=(-20, 20)))
    plain_x, turned_x = ([x for x, _ in source.epoch(0)] for source in (images, turned))
    assert [x.shape for x in turned_x] == [(10, 1, 8, 8)] * 10
    assert not np.allclose(plain_x[0], turned_x[0])
    np.testing.assert_array_equal(turned_x[3], [x for x, _ in turned.epoch(0)][3])


def test_a_weighted_epoch_has_the_weighted_mean_as_its_loss(dataset: Dataset) -> None:
    """Rows of targets that sum to weights of mean 1: sum of w l over sum of w, and its gradient."""
    assert dataset.train is not None
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.2, 3, len(dataset.train))
    chosen = rng.permutation(len(dataset.train))[:60]
    weights /= weights[chosen].mean()
    preprocess = Preprocess.fit(dataset.train.images, "abc")
    images = TrainingImages(dataset.train, chosen, preprocess, Augmentation(), 20, 1, weights=weights)
    model = Model(build("mlp:8", (1, 8, 8), 3), preprocess).initialise(rng)
    reference = Reference(model)
    gradient, losses = np.zeros_like(model.parameters), []
    for x, y in images.epoch(0):
        losses.append(reference.loss_and_grads(x, y, None).loss)
        gradient += reference.gradient / 3
    split = dataset.train.take(chosen)
    each, alone = [], np.zeros_like(gradient)
    for image, label, weight in zip(split.images, split.labels, weights[chosen], strict=True):
        step = reference.loss_and_grads(preprocess(image[np.newaxis]), np.array([label]), None)
        each.append(step.loss)
        alone += weight * reference.gradient / weights[chosen].sum()
    assert np.mean(losses) == pytest.approx(np.average(each, weights=weights[chosen]), rel=1e-5)
    np.testing.assert_allclose(gradient, alone, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan, 1e-60])
def test_a_weight_that_is_not_above_zero_is_refused(weight: float, dataset: Dataset) -> None:
    assert dataset.train is not None
    weights = np.ones(len(dataset.train))
    weights[3] = weight
    seen, preprocess = np.arange(9), Preprocess()
    with pytest.raises(ValueError, match="expected weights above 0"):
        TrainingImages(dataset.train, seen, preprocess, Augmentation(), 9, 0, weights=weights)
    # Of an image that is not trained on it is no matter.
    TrainingImages(dataset.train, seen + 4, preprocess, Augmentation(), 9, 0, weights=weights)


def test_a_diverging_run_says_where_and_what_to_try(dataset: Dataset) -> None:
    run = run_of(dataset, optim={"kind": "sgd", "lr": 1e30}, schedule={"kind": "constant"})
    with pytest.raises(
        DivergenceError, match=r"the loss became (nan|inf) at step \d+, with a learning rate of 1e\+30"
    ):
        fit(run)


class InterruptAt(Callback):
    """Presses Ctrl-C after some step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, state: TrainState, report: StepReport) -> None:
        if state.step == self.step:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_ends_after_the_step_under_way(dataset: Dataset) -> None:
    handler = signal.getsignal(signal.SIGINT)
    run = run_of(dataset)
    recorder = fit(run, InterruptAt(3))
    assert (run.state.step, run.state.epoch) == (3, 0)
    assert (run.state.stop, run.state.interrupted) == ("", "interrupted")
    assert recorder.events == ["begin", "end"]
    assert recorder.epochs == []
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize(("later", "ends"), [(0.01, False), (1.0, True)])
def test_a_second_ctrl_c_ends_the_process_unless_it_is_the_first_passed_on(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, later: float, ends: bool
) -> None:
    clock = [100.0]
    monkeypatch.setattr("numnist.train.interrupts.time.monotonic", lambda: clock[-1])

    class Twice(Callback):
        def on_step_end(self, state: TrainState, report: StepReport) -> None:
            signal.raise_signal(signal.SIGINT)
            clock.append(clock[-1] + later)
            signal.raise_signal(signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    run = run_of(dataset)
    with pytest.raises(KeyboardInterrupt) if ends else nullcontext():
        fit(run, Twice())
    assert run.state.interrupted
    assert signal.getsignal(signal.SIGINT) is handler


def test_where_ctrl_c_is_ignored_it_stays_so(dataset: Dataset) -> None:
    """Under nohup, and for a job in the background, the shell ignores SIGINT for the process."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run = run_of(dataset)
        fit(run, InterruptAt(3))
    finally:
        signal.signal(signal.SIGINT, handler)
    assert (run.state.epoch, run.state.interrupted) == (2, "")


class Scripted(Callback):
    """Replaces what validation says by a script."""

    def __init__(self, losses: list[float]) -> None:
        self.losses = losses

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        report.val_loss = self.losses[report.epoch - 1]
        report.val_accuracy = 1 - report.val_loss


def scripted(run: Run, losses: list[float], *callbacks: Callback) -> Recorder:
    recorder = Recorder()
    run.trainer.fit(run.state, len(losses), [Scripted(losses), *callbacks, recorder])
    return recorder


def test_early_stopping_waits_for_a_new_best(dataset: Dataset) -> None:
    run = run_of(dataset, epochs=9)
    recorder = scripted(run, [0.5, 0.4, 0.45, 0.3, 0.3, 0.31, 0.2, 0.2, 0.2], EarlyStopping(patience=2))
    assert len(recorder.epochs) == 6
    assert run.state.stop == "validation accuracy has not risen for 2 epochs"


def test_keep_best_ends_with_the_first_of_the_best_epochs(dataset: Dataset) -> None:
    run = run_of(dataset, epochs=4)
    best = KeepBest(run.model)
    seen: list[Any] = []

    class Keep(Callback):
        def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
            seen.append(run.model.parameters.copy())

    version = run.model.version
    scripted(run, [0.5, 0.2, 0.2, 0.3], best, Keep())
    assert (best.epoch, best.best) == (2, 0.8)
    np.testing.assert_array_equal(run.model.parameters, seen[1])
    assert not np.array_equal(seen[1], seen[3])
    assert run.model.version > version


def test_plateau_lowers_the_rate_as_pytorch_does(dataset: Dataset) -> None:
    """Losses and rates recorded from torch 2.13's ReduceLROnPlateau(factor=0.5, patience=1), lr 1."""
    losses = [1.0, 0.9, 0.9, 0.9, 0.8, 0.79995, 0.81, 0.82, 0.82, 0.7]
    rates = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    run = run_of(dataset, epochs=len(losses), schedule={"kind": "constant"})
    trainer = replace(run.trainer, schedule=Constant(1.0))
    scales: list[float] = []

    class Keep(Callback):
        def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
            scales.append(state.lr_scale)

    trainer.fit(run.state, len(losses), [Scripted(losses), ReduceOnPlateau(1, 0.5), Keep()])
    assert scales == rates


def test_callbacks_that_look_at_validation_wait_when_there_is_none(dataset: Dataset) -> None:
    run = run_of(dataset, validation=0)
    callbacks = [KeepBest(run.model), EarlyStopping(1), ReduceOnPlateau(1)]
    recorder = Recorder()
    run.trainer.fit(run.state, 3, [*callbacks, recorder])
    assert len(recorder.epochs) == 3
    assert recorder.epochs[0].val_loss is recorder.epochs[0].val_accuracy is None
    assert run.state.lr_scale == 1
