"""From settings and data to a run that is ready to start."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from numnist.arrays import Array
from numnist.data import Dataset, Split, default_validation, split_validation
from numnist.engine import make_executor, share_parameters
from numnist.errors import InputError
from numnist.nn import BatchNorm, Model, Preprocess, Sequential, Softmax, build
from numnist.optim import WeightAverage
from numnist.train.batches import TrainingImages
from numnist.train.callbacks import Callback, EarlyStopping, KeepBest, ReduceOnPlateau
from numnist.train.config import Config
from numnist.train.loop import Trainer
from numnist.train.ranks import ONE_RANK, Ranks
from numnist.train.state import TrainState
from numnist.train.streams import Stream, generator

OWN_NETWORK = "a network made in Python"
"""What the settings say of a network that no name and no file describes."""


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

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the course of the run: settings, network (its SHA-256) and data (its fingerprint)."""
        network = json.dumps(self.model.network.describe(), sort_keys=True)
        return {
            "settings": self.config.plain(),
            "network": hashlib.sha256(network.encode()).hexdigest(),
            "data": self.dataset.fingerprint,
        }


def prepare(
    recipe: str,
    config: Config,
    dataset: Dataset,
    network: Sequential | None = None,
    threads: int | None = None,
    network_file: Path | None = None,
    ranks: Ranks = ONE_RANK,
) -> Run:
    """Build model, executor, optimizer and schedule for these settings and this data.

    network: one of your own, instead of the one that `config.model` names. threads: how many cores to use,
    None for all; it does not change the result. network_file: a copy of the description that `config.model`
    names, to be read instead of it. ranks: those that train the model together; each prepares the same run.

    With the engine, a process forked from this one shares the model's parameters: see
    `engine.share_parameters`.
    Raises: InputError naming the setting when the data and the settings do not fit each other.
    """
    if ranks.ranks > 1 and config.executor == "reference":
        raise InputError("--executor: the reference runs in one process, and cannot be --distributed")
    if dataset.train is None or dataset.test is None:
        raise InputError("training needs a training set and a test set")
    train = dataset.train if config.limit is None else dataset.train.take(slice(config.limit))
    held_out = default_validation(len(train)) if config.validation is None else config.validation
    if held_out >= len(train):
        raise InputError(f"--validation: expected fewer than the {len(train)} images, got {held_out}")
    if held_out == 0 and config.looks_at_validation:
        raise InputError("--validation: 0 images leave none to stop or to choose an epoch by")
    trained, validated = split_validation(len(train), held_out)

    if network is not None:
        config = config.model_copy(update={"model": OWN_NETWORK})
    preprocess = _fitted(partial(train.parts, trained), dataset.classes)
    try:
        model = new_model(config, preprocess, network, network_file)
    except ValueError as error:
        raise InputError(f"--model: {error}") from error
    if config.executor == "engine":
        share_parameters(model)
    images = TrainingImages(
        train,
        trained,
        model.preprocess,
        config.augment.build(),
        config.batch_size,
        config.seed,
        clean_from=config.epochs - config.clean_epochs,
        ranks=ranks,
    )
    if problem := last_batch_problem(model, len(images), config.batch_size):
        raise InputError(f"--batch-size: {problem}")
    total_steps = config.epochs * images.steps_per_epoch
    if config.warmup_steps >= total_steps:
        raise InputError(
            f"--warmup-steps: expected fewer than the run's {total_steps} steps, got {config.warmup_steps}"
        )
    validation = train.take(validated) if held_out else None
    trainer, state = set_up(config, model, images, validation, threads, ranks)
    keep_best = KeepBest(model) if config.keep_best or config.early_stopping.patience else None
    callbacks: list[Callback] = [keep_best] if keep_best else []
    if config.early_stopping.patience:
        callbacks.append(EarlyStopping(config.early_stopping.patience))
    if config.plateau.patience:
        callbacks.append(ReduceOnPlateau(config.plateau.patience, config.plateau.factor))
    return Run(recipe, config, dataset, trainer, state, keep_best, tuple(callbacks))


def set_up(
    config: Config,
    model: Model,
    images: TrainingImages,
    validation: Split | None,
    threads: int | None,
    ranks: Ranks = ONE_RANK,
) -> tuple[Trainer, TrainState]:
    """What trains a model on images as these settings say, and the state that it starts from.

    threads, ranks: see `prepare`.
    """
    optimizer = config.optim.build()
    trainer = Trainer(
        model=model,
        executor=make_executor(
            config.executor, model, config.label_smoothing, threads or ranks.threads, config.shard_size, ranks
        ),
        images=images,
        validation=validation,
        optimizer=optimizer,
        schedule=config.schedule.build(
            config.optim.lr, config.epochs * images.steps_per_epoch, config.warmup_steps
        ),
        clip_norm=config.clip_norm,
        ranks=ranks,
    )
    state = TrainState(optimizer.init(model.parameters, None if config.decay_all else model.decay_mask()))
    if config.average:
        state.average = WeightAverage(config.average, model.parameters.copy(), model.buffers.copy())
    return trainer, state


def _fitted(parts: Callable[[], Iterable[Array]], classes: int) -> Preprocess:
    """The preprocessing for images, which `parts` gives, some at a time, as often as it is called.

    Raises: InputError when they cannot be standardised.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # Preprocess refuses what comes of it
        try:
            return Preprocess.fit_parts(parts, [str(label) for label in range(classes)])
        except ValueError as error:
            raise InputError(f"the training images cannot be standardised: {error}") from error


def new_model(
    config: Config,
    preprocess: Preprocess,
    network: Sequential | None = None,
    network_file: Path | None = None,
) -> Model:
    """The model of these settings with fresh weights, for images that are preprocessed so.

    network, network_file: see `prepare`.
    Raises: ValueError when there is no such network, or the images do not fit it.
    """
    classes = len(preprocess.classes)
    try:
        network = network or build(str(network_file or config.model), preprocess.input_shape, classes)
        model = Model(network, preprocess)
    except MemoryError as error:
        raise ValueError(f"{config.model} has more parameters than there is memory for") from error
    *_, (position, last, _, _) = network.leaves(preprocess.input_shape)
    if isinstance(last, Softmax):
        raise ValueError(f"layer {position}: leave out the last Softmax: the loss applies it")
    return model.initialise(generator(config.seed, Stream.INITIALISATION), config.init)


def last_batch_problem(model: Model, n: int, batch_size: int) -> str:
    """Words for a last batch of one image, if it leaves a BatchNorm one value per channel; else ""."""
    alone = batch_size == 1 or n % batch_size == 1
    for _, layer, shape, _ in model.network.leaves(model.preprocess.input_shape):
        if alone and isinstance(layer, BatchNorm) and prod(shape[1:]) == 1:
            return (
                f"{batch_size} leaves a batch of one of the {n} images, "
                "which BatchNorm behind a Linear cannot normalise: choose another size"
            )
    return ""
