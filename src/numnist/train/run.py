"""A whole run: from settings and data to a tested model in a folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from numnist.arrays import Array
from numnist.data import Dataset, default_validation, split_validation
from numnist.errors import InputError
from numnist.files import write_atomic
from numnist.nn import BatchNorm, Executor, Model, Preprocess, Reference, build, save_model
from numnist.train.batches import TrainingImages
from numnist.train.callbacks import Callback, EarlyStopping, KeepBest, ReduceOnPlateau
from numnist.train.checkpoint import Checkpoint
from numnist.train.config import Config
from numnist.train.loop import Trainer
from numnist.train.metrics import Evaluation, evaluate
from numnist.train.records import History, Timing
from numnist.train.run_folder import RunFolder
from numnist.train.sources import to_toml
from numnist.train.state import TrainState
from numnist.train.streams import Stream, generator


@dataclass(frozen=True, eq=False)
class Run:
    """A run, set up and not yet started: `train` does it. Made by `prepare`."""

    recipe: str
    config: Config
    dataset: Dataset
    trainer: Trainer
    state: TrainState
    keep_best: KeepBest | None
    callbacks: tuple[Callback, ...]

    @property
    def model(self) -> Model:
        """The model that is trained."""
        return self.trainer.model


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a run: why it stopped early, or ""; the test, or None where a person interrupted it."""

    stopped: str
    test: Evaluation | None


def prepare(recipe: str, config: Config, dataset: Dataset) -> Run:
    """Build model, executor, optimizer and schedule for these settings and this data.

    Raises: InputError naming the setting when the data and the settings do not fit each other.
    """
    if dataset.train is None or dataset.test is None:
        raise InputError("training needs a training set and a test set")
    train = dataset.train if config.limit is None else dataset.train.take(slice(config.limit))
    held_out = default_validation(len(train)) if config.validation is None else config.validation
    if held_out >= len(train):
        raise InputError(
            f"--validation: expected fewer than the {len(train)} training images, got {held_out}"
        )
    trained, validated = split_validation(len(train), held_out)

    model = new_model(config, train.images[trained], dataset.classes)
    images = TrainingImages(
        train, trained, model.preprocess, config.augment.build(), config.batch_size, config.seed
    )
    _check_last_batch(model, images)
    total_steps = config.epochs * images.steps_per_epoch
    optimizer = config.optim.build()
    trainer = Trainer(
        model=model,
        executor=executor_for(model, config),
        images=images,
        validation=train.take(validated) if held_out else None,
        optimizer=optimizer,
        schedule=config.schedule.build(config.optim.lr, total_steps, config.warmup_steps),
        clip_norm=config.clip_norm,
        seed=config.seed,
    )
    state = TrainState(optimizer.init(model.parameters, None if config.decay_all else model.decay_mask()))
    keep_best = KeepBest(model) if config.keep_best or config.early_stopping.patience else None
    callbacks: list[Callback] = [keep_best] if keep_best else []
    if config.early_stopping.patience:
        callbacks.append(EarlyStopping(config.early_stopping.patience))
    if config.plateau.patience:
        callbacks.append(ReduceOnPlateau(config.plateau.patience, config.plateau.factor))
    return Run(recipe, config, dataset, trainer, state, keep_best, tuple(callbacks))


def new_model(config: Config, images: Array, classes: int) -> Model:
    """The model of these settings with fresh weights, fitted to the images that it will be trained on."""
    preprocess = Preprocess.fit(images, [str(label) for label in range(classes)])
    try:
        network = build(config.model, preprocess.input_shape, classes)
        model = Model(network, preprocess)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"--model: {error}") from error
    return model.initialise(generator(config.seed, Stream.INITIALISATION), config.init)


def _check_last_batch(model: Model, images: TrainingImages) -> None:
    """InputError where a batch of a single image would leave a BatchNorm a single value per channel."""
    alone = images.batch_size == 1 or len(images) % images.batch_size == 1
    for layer, shape, _ in model.network.walk(model.preprocess.input_shape):
        if alone and isinstance(layer, BatchNorm) and prod(shape[1:]) == 1:
            raise InputError(
                f"--batch-size: {images.batch_size} leaves a batch of one of the {len(images)} images, "
                "which BatchNorm behind a Linear cannot normalise: choose another size"
            )


def executor_for(model: Model, config: Config) -> Executor:
    """What runs the model in training."""
    return Reference(model, config.label_smoothing)


def train(run: Run, folder: RunFolder, observers: Sequence[Callback] = ()) -> Outcome:
    """Train, save the model, read the test set once, and leave all of it in the folder.

    After an interruption what was learned so far is saved, and the test set is not read.

    observers: further callbacks that watch, such as a progress bar.
    Raises: DivergenceError when the loss is no longer finite; the last checkpoint stands.
    """
    config = run.config
    write_atomic(folder.file("config.toml"), to_toml(run.recipe, config))
    callbacks = [
        *run.callbacks,
        History(folder.file("history.jsonl")),
        Timing(folder.file("timing.jsonl")),
        Checkpoint(folder.file("checkpoint.safetensors"), run.model, run.callbacks),
        *observers,
    ]
    run.trainer.fit(run.state, config.epochs, callbacks)
    save_model(run.model, folder.file("model.safetensors"), notes=_provenance(run))
    if run.state.interrupted:
        return Outcome(run.state.stop, None)
    test = run.dataset.test
    assert test is not None  # `prepare` has seen to it
    outcome = evaluate(run.trainer.executor, run.model.preprocess, test.images, test.labels)
    result = json.dumps(_result(run, outcome), indent=2, allow_nan=False)
    write_atomic(folder.file("result.json"), result + "\n")
    return Outcome(run.state.stop, outcome)


def _provenance(run: Run) -> dict[str, Any]:
    """How the model came to be: the same for the same run, whatever it is called and whenever it runs."""
    validation = run.trainer.validation
    return {
        "recipe": run.recipe,
        "seed": run.config.seed,
        "epochs": run.state.epoch,
        "dataset": {"name": run.dataset.name, "fingerprint": run.dataset.fingerprint},
        "trained_on": {
            "images": len(run.trainer.images),
            "validation": 0 if validation is None else len(validation),
            "selection": f"epoch {run.keep_best.epoch}, the best on validation" if run.keep_best else "none",
        },
    }


def _result(run: Run, test: Evaluation) -> dict[str, Any]:
    """What result.json says."""
    report = run.state.report
    val_accuracy = run.keep_best.best if run.keep_best else report.val_accuracy if report else None
    return {
        "test_accuracy": test.accuracy,
        "test_errors": test.errors,
        "test_loss": test.loss,
        "test_images": test.n,
        "val_accuracy": val_accuracy,
        "model": run.config.model,
        "parameters": run.model.layout.size,
        **_provenance(run),
        "stopped": run.state.stop or None,
    }
