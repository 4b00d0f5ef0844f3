"""A whole run: training, the test, and what is left of them in a folder."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from numnist.engine import Engine
from numnist.errors import InputError
from numnist.files import write_atomic
from numnist.nn import Executor, fit_temperature, save_model
from numnist.train.callbacks import Callback, KeepBest
from numnist.train.checkpoint import PREVIOUS, Checkpoint, differences, load_checkpoint, share_state
from numnist.train.divergence import DivergenceError, require_finite
from numnist.train.metrics import Evaluation, logits_of
from numnist.train.prepare import Run
from numnist.train.ranks import OtherRankError, together
from numnist.train.records import History, Timing
from numnist.train.run_folder import RunFolder
from numnist.train.sources import changed_settings, to_toml
from numnist.train.statistics import Statistics


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a run: why it stopped early, or ""; the test, or None where a person interrupted it."""

    stopped: str
    test: Evaluation | None


def train(
    run: Run,
    folder: RunFolder | None,
    observers: Sequence[Callback] = (),
    *,
    resume: bool = False,
    checkpoint_every: int | None = None,
) -> Outcome:
    """Train, save the model, read the test set once, and leave all of it in the folder.

    After an interruption what was learned so far is saved, and the test set is not read. A run that goes on
    ends in the same bytes of model.safetensors, history.jsonl and result.json as one that was never
    interrupted.

    folder: None on ranks behind the first (see `prepare`), which take the same steps and write nothing; what
    began on so many ranks may go on on any other number.
    observers: further callbacks, such as a progress bar. resume: go on from the last checkpoint in
    the folder that is whole; from the start where there is none. checkpoint_every: steps between two
    checkpoints, None for one about every minute.
    Raises: DivergenceError when the loss is no longer finite; the last checkpoint stands. InputError where
            the checkpoint is another run's, naming what differs, or another process writes to the folder.
    """
    require_same(run)
    with ExitStack() as stack:
        callbacks: Sequence[Callback] = run.callbacks
        with together(run.trainer.ranks):
            if folder is not None:
                stack.enter_context(folder.lock())
                callbacks = _begin(run, folder, observers, resume, checkpoint_every)
        share_state(run.trainer.ranks, run.identity, run.model, run.state, callbacks)
        return _train(run, folder, callbacks)


def require_same(run: Run) -> None:
    """OtherRankError on all ranks where not all of them have prepared the same run; all call it."""
    of_ranks = run.trainer.ranks.collect(run.identity)
    for rank, identity in enumerate(of_ranks):
        if found := differences(identity, of_ranks[0]):
            raise OtherRankError(f"rank {rank}: another run than that of rank 0: {'; '.join(found[:3])}")


def _begin(
    run: Run, folder: RunFolder, observers: Sequence[Callback], resume: bool, checkpoint_every: int | None
) -> Sequence[Callback]:
    """Put the run where it begins or goes on, and its folder too, which is locked; all of its callbacks."""
    folder.sweep()
    remembering = [observer for observer in observers if observer.saved()]
    remembered = [
        *run.callbacks,
        *remembering,
        History(folder.file("history.jsonl")),
        Statistics(folder.file("statistics.jsonl"), run.model, run.trainer.executor),
    ]
    warnings = []
    if resume:
        warnings = _go_on(run, folder, remembered)
    else:
        folder.begin_again()
    if not resume or not folder.file("config.toml").exists():
        write_atomic(folder.file("config.toml"), to_toml(run.recipe, run.config))
    path = folder.file("checkpoint.safetensors")
    callbacks = [
        *remembered,
        *(observer for observer in observers if observer not in remembering),
        Checkpoint(path, run.identity, run.model, remembered, checkpoint_every),  # sees what all of them did
        Timing(folder.file("timing.jsonl")),  # behind those whose writing it counts
    ]
    for warning in warnings:
        for callback in callbacks:
            callback.on_warning(warning)
    return callbacks


def _train(run: Run, folder: RunFolder | None, callbacks: Sequence[Callback]) -> Outcome:
    """From the first step that is to be taken to the test, and the files of what came of it."""
    run.trainer.fit(run.state, run.config.epochs, callbacks)
    if not np.isfinite(run.model.parameters).all() or not np.isfinite(run.model.buffers).all():
        raise DivergenceError("the last steps left weights that are not finite: try a smaller --optim.lr")
    _save(run, folder)
    if run.state.interrupted:
        return Outcome(run.state.interrupted, None)
    if run.trainer.validation is not None:
        _calibrate(run)
        _save(run, folder)
    test = run.dataset.test
    assert test is not None  # `prepare` has seen to it
    logits = logits_of(run.trainer.executor, run.model.preprocess, test.images, run.trainer.ranks)
    outcome = Evaluation.of(logits / np.float32(run.model.temperature), test.labels)
    require_finite(outcome.loss, "on the test images")
    if folder is not None:
        result = json.dumps(_result(run, outcome), indent=2, allow_nan=False)
        write_atomic(folder.file("result.json"), result + "\n")
    return Outcome(run.state.stop, outcome)


def _save(run: Run, folder: RunFolder | None) -> None:
    """Write the model."""
    if folder is not None:
        save_model(run.model, folder.file("model.safetensors"), notes=_provenance(run))


def _go_on(run: Run, folder: RunFolder, callbacks: Sequence[Callback]) -> list[str]:
    """Put the run where its newest whole checkpoint has it; what to tell of others.

    Raises: InputError where there are checkpoints and none can be used.
    """
    damaged: list[InputError] = []
    for name in ("checkpoint.safetensors", PREVIOUS):
        path = folder.file(name)
        if not path.exists():
            continue
        try:
            if not path.is_file():
                raise InputError(f"{path}: not a checkpoint of this run: it is no file")
            load_checkpoint(path, run.identity, run.model, run.state, callbacks)
            _check_place(run, path)
        except InputError as error:
            damaged.append(error)
        else:
            if damaged:  # or the next checkpoint would take this good one's place for it
                _put_away(folder.file("checkpoint.safetensors"))
            return [f"{error}; going on from the one before it" for error in damaged]
    if damaged:
        raise damaged[0]
    folder.begin_again()
    return []


def _put_away(path: Path) -> None:
    """Take a damaged checkpoint out of the way, whatever it is."""
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f"{path.name}-damaged"))
    else:
        path.unlink()


def _check_place(run: Run, path: Path) -> None:
    """InputError unless a run of these settings can stand where the checkpoint has it."""
    state, images = run.state, run.trainer.images
    done = state.step - state.epoch * images.steps_per_epoch
    partial = state.partial
    fits = 0 <= done < images.steps_per_epoch and state.epoch <= run.config.epochs
    fits = fits and (partial is not None) == (done > 0)
    if partial is not None:
        fits = fits and partial.epoch == state.epoch + 1 and 0 < partial.n <= len(images)
    if not fits:
        raise InputError(f"{path}: not a checkpoint of this run: no run of these settings comes to this step")


def _calibrate(run: Run) -> None:
    """Learn from the validation images how sure the model should be."""
    validation = run.trainer.validation
    assert validation is not None
    logits = logits_of(run.trainer.executor, run.model.preprocess, validation.images, run.trainer.ranks)
    run.model.temperature = fit_temperature(logits, validation.labels)


def _provenance(run: Run) -> dict[str, Any]:
    """How the model came to be: the same for the same run, whatever it is called and whenever it runs."""
    validation = run.trainer.validation
    return {
        "recipe": run.recipe,
        "changed": changed_settings(run.recipe, run.config),
        "seed": run.config.seed,
        "executor": _executor(run),
        "epochs": run.state.epoch,
        "steps": run.state.step,
        "dataset": {"name": run.dataset.name, "fingerprint": run.dataset.fingerprint},
        "trained_on": {
            "images": len(run.trainer.images),
            "validation": 0 if validation is None else len(validation),
            "selection": _selection(run.keep_best),
        },
    }


def _executor(run: Run) -> dict[str, Any]:
    """What decides the last bits of a step, with the number of ranks at the end where there were several."""
    ranks = run.trainer.ranks.ranks
    said = {"name": run.config.executor, "shard_size": _shard_size(run.trainer.executor)}
    return said if ranks == 1 else {**said, "ranks": ranks}


def _shard_size(executor: Executor) -> int | None:
    """What decides the last bits of the engine's results; None where batches are not cut."""
    return executor.shard_size if isinstance(executor, Engine) else None


def _selection(keep_best: KeepBest | None) -> str:
    """Which epoch's weights the model has, if not simply the last one's."""
    if keep_best is None or keep_best.best is None:
        return "none"
    return f"epoch {keep_best.epoch}, the best on validation"


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
        "temperature": run.model.temperature,
        **_provenance(run),
        "stopped": run.state.stop or None,
    }
