"""`numnist train`: train a network, test it, save it."""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from numnist.cli.console import plain_console
from numnist.cli.flags import DataFlags, Flags, parse, validate
from numnist.cli.images import data_flags, load_dataset, remembered_data
from numnist.cli.models import open_predictor
from numnist.cli.progress import TrainingProgress
from numnist.cli.report import EXTRA, FILE
from numnist.data import Dataset
from numnist.errors import InputError
from numnist.train import (
    Config,
    DivergenceError,
    Ensemble,
    Evaluation,
    RunFolder,
    TensorBoard,
    ensembles,
    prepare,
    recipe_words,
    resolve,
    to_toml,
    train,
)
from numnist.train.tensorboard import summary_writer

STATUS = {"interrupted": 130, "terminated": 143}
"""Exit status of a run that a signal has stopped: 128 and its number, as shells have it."""


class RunFlags(BaseModel):
    """What of a run does not change its result."""

    recipe: Annotated[
        str | None,
        Field(description=f"settings to start from: {', '.join(recipe_words())}; unless given, quick"),
    ] = None
    config: Annotated[Path | None, Field(description="TOML file of settings, over the recipe's")] = None
    name: Annotated[str | None, Field(description="name of the run; unless given, a new one")] = None
    runs: Annotated[Path, Field(description="folder that holds the folders of the runs")] = Path("runs")
    resume: Annotated[
        Path | None,
        Field(description="an interrupted run to go on with: its folder, or its name in runs/"),
    ] = None
    checkpoint_every: Annotated[
        int | None, Field(ge=1, description="steps between two checkpoints; unless given, about a minute")
    ] = None
    force: Annotated[bool, Field(description="replace an existing run of this name")] = False
    report: Annotated[bool, Field(description="write a page about the run at its end, report.html")] = True
    tensorboard: Annotated[
        Path | None, Field(description="folder for what TensorBoard shows, while the run goes on")
    ] = None
    threads: Annotated[
        int | None,
        Field(ge=1, description="cores to use; unless given, all; any number gives the same result"),
    ] = None


class TrainOptions(RunFlags, DataFlags):
    """The flags that are no settings."""


class TrainFlags(Flags, RunFlags, DataFlags, Config):  # type: ignore[misc]  # two kinds of model_config
    """Train a network, test it once, and save it in runs/NAME.

    Settings come from a recipe, a TOML file over it, and flags over both; a setting that none of them names
    has the default shown.

        numnist train --recipe one-epoch --name first
        numnist train --recipe record-ensemble
        numnist train --resume first
        numnist train --config my.toml --epochs 5 --augment.rotation 15
        numnist train --model mlp:300,100 --optim.kind sgd --optim.lr 0.1 --schedule.kind constant
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    started = time.perf_counter()
    given = parse(TrainFlags, "train", arguments)
    options = validate(
        TrainOptions, {key: given.pop(key) for key in list(given) if key in TrainOptions.model_fields}
    )
    if options.resume is not None:
        return _resume(given, options, started)
    ensemble = ensembles().get(options.recipe or "")
    if ensemble is not None:
        return _train_members(ensemble, given, options)
    recipe, config = resolve(given, options.recipe, options.config)
    dataset = load_dataset(options, ("train", "test"), fall_back=True)
    status, _ = _train(recipe, config, dataset, options, options.name, started)
    return status


def _resume(given: dict[str, Any], options: TrainOptions, started: float) -> int:
    """Go on with a run; returns the exit status."""
    assert options.resume is not None
    for flag in ("recipe", "config", "name", "force", *given):
        if flag in given or getattr(options, flag) not in (None, False):
            raise InputError(f"--{flag.replace('_', '-')}: a run goes on with its own name and settings")
    folder = _existing(options)
    result = folder.file("result.json")
    if result.exists():
        plain_console().print(f"{folder.path}: this run is finished: see {result}", soft_wrap=True)
        return 0
    recipe, config = resolve({}, config=folder.file("config.toml"))
    dataset = load_dataset(remembered_data(folder, options), ("train", "test"), fall_back=True)
    status, _ = _train(recipe, config, dataset, options, None, started, folder)
    return status


def _existing(options: TrainOptions) -> RunFolder:
    """The folder that --resume names."""
    assert options.resume is not None
    named = options.resume
    in_runs = options.runs / named
    is_run = (named / "config.toml").is_file()
    return RunFolder.existing(in_runs if not is_run and in_runs.is_dir() else named)


def _train(
    recipe: str,
    config: Config,
    dataset: Dataset,
    options: TrainOptions,
    name: str | None,
    started: float,
    existing: RunFolder | None = None,
) -> tuple[int, RunFolder]:
    """One run, or the rest of an existing one, what came of it printed; the exit status and where it is."""
    console = plain_console()
    copy = existing.file("network.toml") if existing else None
    network_file = copy if copy is not None and copy.exists() else None
    job = prepare(recipe, config, dataset, threads=options.threads, network_file=network_file)
    if options.tensorboard is not None:  # what is wrong with it is said before there is a folder of the run
        summary_writer()
        try:
            options.tensorboard.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--tensorboard: {options.tensorboard}: {error.strerror or error}") from error
    first = {"config.toml": to_toml(recipe, config), "data.json": data_flags(options)}
    if not existing and config.model.endswith(".toml"):  # the file may be changed before the run goes on
        first["network.toml"] = Path(config.model).read_text(encoding="utf-8")
    folder = existing or RunFolder(options.runs, name, config.model, options.force, first)
    images, parameters = len(job.trainer.images), job.model.layout.size
    console.print(
        f"{'going on with' if existing else 'training'} {config.model} ({parameters:,} parameters) "
        f"on {images:,} images of {dataset.name}, recipe {recipe}, in {folder.path}",
        soft_wrap=True,
    )
    board: TensorBoard | None = None
    if options.tensorboard is not None:
        place = options.tensorboard / folder.path.resolve().name
        if options.force:
            for old in place.glob("events.out.tfevents.*"):
                old.unlink()
        board = TensorBoard(place, job.model, job.trainer.executor)
    progress = TrainingProgress(console)
    try:
        outcome = train(
            job,
            folder,
            [progress, *([board] if board else [])],
            resume=existing is not None,
            checkpoint_every=options.checkpoint_every,
        )
    except DivergenceError as error:
        print(f"numnist: {error}", file=sys.stderr)  # noqa: T201
        return 1, folder
    finally:
        progress.close()
        if board is not None:
            board.close()

    lines = [f"stopped: {outcome.stopped}"] if outcome.stopped else []
    if job.state.interrupted:
        lines.append(f"to go on: numnist train --resume {shlex.quote(str(folder.path))}")
    if outcome.test is not None:
        lines.append(_accuracy(outcome.test))
    lines.append(f"time {time.perf_counter() - started:.1f} s")
    lines += [f"wrote {path}" for path in folder.written()]
    console.print("\n".join(lines), soft_wrap=True)
    if options.report and outcome.test is not None:
        console.print(_report(folder, dataset), soft_wrap=True)
    return STATUS.get(job.state.interrupted, 0), folder


def _report(folder: RunFolder, dataset: Dataset) -> str:
    """Write the page about the run; what to say of it. The model is saved by then, whatever happens here."""
    try:
        from numnist.view import RunRecord, write_report
    except ImportError:
        return f"no report: {EXTRA}"
    path = folder.file(FILE)
    try:
        write_report([RunRecord.load(folder.path)], path, dataset)
    except (OSError, ValueError) as error:
        return f"no report: {error}"
    return f"wrote {path}"


def _train_members(ensemble: Ensemble, given: dict[str, Any], options: TrainOptions) -> int:
    """A run for each seed, and a test of all their models together; returns the exit status.

    Raises: InputError before the first run for a flag that makes no sense here.
    """
    for flag in ("seed", "config"):
        if flag in given or getattr(options, flag, None) is not None:
            raise InputError(f"--{flag}: {ensemble.name} is several runs, whose seeds and settings it names")
    names = {seed: f"{options.name or ensemble.name}-{seed}" for seed in ensemble.seeds}
    for name in () if options.force else names.values():  # now, and not when the first have been trained
        RunFolder.require_free(options.runs, name)
    dataset = load_dataset(options, ("train", "test"), fall_back=True)
    folders = []
    for seed, name in names.items():
        recipe, config = resolve({**given, "seed": seed}, ensemble.members)
        status, folder = _train(recipe, config, dataset, options, name, time.perf_counter())
        if status:
            return status
        folders.append(folder.file("model.safetensors"))
    predictor = open_predictor(
        list(map(str, folders)), ensemble.tta, executor=config.executor, threads=options.threads
    )
    assert dataset.test is not None  # it was asked for
    together = Evaluation.of(predictor.logits(dataset.test.images), dataset.test.labels)
    command = ["numnist", "evaluate", *(str(path.parent) for path in folders)]
    command += ["--tta"] if ensemble.tta else []
    for name in ("dataset", "data", "test_images", "test_labels"):
        if getattr(options, name) is not None:
            command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    plain_console().print(
        f"all {len(folders)} together: {_accuracy(together)}\nagain: {shlex.join(command)}", soft_wrap=True
    )
    return 0


def _accuracy(test: Evaluation) -> str:
    """What a person wants to know first."""
    return f"test accuracy {test.accuracy:.2%} ({test.errors:,} errors in {test.n:,} images)"
