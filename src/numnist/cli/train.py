"""`numnist train`: train a network, test it, save it."""

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from numnist.cli.console import plain_console
from numnist.cli.distributed import begin, on_ranks, one_of_many, require_alone
from numnist.cli.flags import DataFlags, parse, validate
from numnist.cli.images import data_flags, load_dataset, remembered_data
from numnist.cli.models import open_predictor
from numnist.cli.progress import TrainingProgress
from numnist.cli.report import EXTRA, FILE
from numnist.cli.train_flags import TrainFlags, TrainOptions
from numnist.data import Dataset
from numnist.errors import InputError
from numnist.train import (
    Callback,
    Config,
    DivergenceError,
    Ensemble,
    Evaluation,
    MPIRanks,
    OtherRankError,
    Outcome,
    Ranks,
    Run,
    RunFolder,
    TensorBoard,
    ensembles,
    on_the_first,
    prepare,
    require_same,
    resolve,
    to_toml,
    together,
    train,
)
from numnist.train.tensorboard import summary_writer

STATUS = {"interrupted": 130, "terminated": 143}
"""Exit status of a run that a signal has stopped: 128 and its number, as shells have it."""

Found = tuple[RunFolder, str, dict[str, Any], DataFlags]
"""A run to go on with: its folder, recipe, plain settings, and the flags of its data."""


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    started = time.perf_counter()
    with one_of_many():
        ranks = begin(arguments)
        if isinstance(ranks, MPIRanks):
            return on_ranks(ranks, lambda: _parse_and_run(arguments, ranks, started))
        return _parse_and_run(arguments, ranks, started)


def _parse_and_run(arguments: Sequence[str], ranks: Ranks, started: float) -> int:
    """Run the command on these ranks, whose command lines may differ."""
    has_helped = False
    with together(ranks):
        try:
            given = parse(TrainFlags, "train", arguments)
        except SystemExit:  # --help has been answered
            has_helped, given = True, {}
        options = validate(
            TrainOptions, {key: given.pop(key) for key in list(given) if key in TrainOptions.model_fields}
        )
        if not options.distributed and not has_helped:
            require_alone()
    helped = ranks.collect(has_helped)
    if all(helped):
        if ranks.ranks == 1:
            raise SystemExit(0)  # as every command ends that has answered --help
        return 0
    if any(helped):
        raise OtherRankError(f"rank {helped.index(True)}: --help: not given to all ranks")
    return _run(given, options, ranks, started)


def _run(given: dict[str, Any], options: TrainOptions, ranks: Ranks, started: float) -> int:
    """Run the command on these ranks."""
    if options.resume is not None:
        return _resume(given, options, ranks, started)
    ensemble = ensembles().get(options.recipe or "")
    if ensemble is not None:
        return _train_members(ensemble, given, options, ranks)
    recipe, plain = on_the_first(ranks, lambda: _plain(resolve(given, options.recipe, options.config)))
    config = Config.model_validate(plain)
    dataset = _load_dataset(options, ranks)
    status, _ = _train(recipe, config, dataset, options, options.name, ranks, started)
    return status


def _plain(resolved: tuple[str, Config]) -> tuple[str, dict[str, Any]]:
    """Recipe and settings as they can be sent to other ranks."""
    recipe, config = resolved
    return recipe, config.plain()


def _load_dataset(flags: DataFlags, ranks: Ranks) -> Dataset:
    """The images: first on the first rank, so that the others find what it has downloaded on its machine."""
    found: list[Dataset] = []
    for turn in (True, False)[: ranks.ranks]:
        with together(ranks):
            if (ranks.rank == 0) is turn:
                found.append(load_dataset(flags, ("train", "test"), fall_back=True))
    return found[0]


def _resume(given: dict[str, Any], options: TrainOptions, ranks: Ranks, started: float) -> int:
    """Go on with a run; returns the exit status."""
    resumed = on_the_first(ranks, lambda: _found(given, options))
    if resumed is None:
        return 0
    folder, recipe, plain, flags = resumed
    config = Config.model_validate(plain)
    dataset = _load_dataset(flags, ranks)
    status, _ = _train(recipe, config, dataset, options, None, ranks, started, folder)
    return status


def _found(given: dict[str, Any], options: TrainOptions) -> Found | None:
    """Folder, settings and data of the run to go on with; None, and a word, where it is finished."""
    for flag in ("recipe", "config", "name", "force", *given):
        if flag in given or getattr(options, flag) not in (None, False):
            raise InputError(f"--{flag.replace('_', '-')}: a run goes on with its own name and settings")
    folder = _existing(options)
    result = folder.file("result.json")
    if result.exists():
        plain_console().print(f"{folder.path}: this run is finished: see {result}", soft_wrap=True)
        return None
    recipe, plain = _plain(resolve({}, config=folder.file("config.toml")))
    return folder, recipe, plain, remembered_data(folder, options)


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
    ranks: Ranks,
    started: float,
    existing: RunFolder | None = None,
) -> tuple[int, RunFolder | None]:
    """One run, or the rest of an existing one, what came of it printed; the exit status and where it is.

    On ranks behind the first: nowhere.
    """
    folder: RunFolder | None = None
    observers: list[Callback] = []
    with together(ranks):
        copy = existing.file("network.toml") if existing else None
        network_file = copy if copy is not None and copy.exists() else None
        job = prepare(recipe, config, dataset, None, options.threads, network_file, ranks)
    require_same(job)  # before there is a folder of it
    try:
        with ExitStack() as closing:
            with together(ranks):
                if ranks.rank == 0:
                    folder = existing or _new_folder(job, options, name)
                    observers = _observers(job, folder, options, closing, existing is not None)
            outcome = train(
                job,
                folder,
                observers,
                resume=existing is not None,
                checkpoint_every=options.checkpoint_every,
            )
    except DivergenceError as error:
        print(f"numnist: {error}", file=sys.stderr)  # noqa: T201
        return 1, folder
    if folder is not None:
        _report_outcome(job, folder, outcome, options, started)
    return STATUS.get(job.state.interrupted, 0), folder


def _new_folder(job: Run, options: TrainOptions, name: str | None) -> RunFolder:
    """The folder of a run that begins."""
    if options.tensorboard is not None:  # what is wrong with it is said before there is a folder of the run
        summary_writer()
        try:
            options.tensorboard.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--tensorboard: {options.tensorboard}: {error.strerror or error}") from error
    model = job.config.model
    first = {"config.toml": to_toml(job.recipe, job.config), "data.json": data_flags(options)}
    if model.endswith(".toml"):  # the file may be changed before the run goes on
        first["network.toml"] = Path(model).read_text(encoding="utf-8")
    return RunFolder(options.runs, name, model, options.force, first)


def _observers(
    job: Run, folder: RunFolder, options: TrainOptions, closing: ExitStack, goes_on: bool
) -> list[Callback]:
    """Say what begins, and make what watches it, and is closed with `closing`."""
    console, ranks = plain_console(), job.trainer.ranks.ranks
    images, parameters = len(job.trainer.images), job.model.layout.size
    console.print(
        f"{'going on with' if goes_on else 'training'} {job.config.model} ({parameters:,} parameters) "
        f"on {images:,} images of {job.dataset.name}, recipe {job.recipe}, "
        f"{f'on {ranks} ranks, ' if ranks > 1 else ''}in {folder.path}",
        soft_wrap=True,
    )
    progress = TrainingProgress(console)
    closing.callback(progress.close)
    observers: list[Callback] = [progress]
    if options.tensorboard is not None:
        place = options.tensorboard / folder.path.resolve().name
        if options.force:
            for old in place.glob("events.out.tfevents.*"):
                old.unlink()
        board = TensorBoard(place, job.model, job.trainer.executor)
        closing.callback(board.close)
        observers.append(board)
    return observers


def _report_outcome(
    job: Run, folder: RunFolder, outcome: Outcome, options: TrainOptions, started: float
) -> None:
    """Print what came of a run, and write its page."""
    lines = [f"stopped: {outcome.stopped}"] if outcome.stopped else []
    if job.state.interrupted:
        lines.append(f"to go on: numnist train --resume {shlex.quote(str(folder.path))}")
    if outcome.test is not None:
        lines.append(_accuracy(outcome.test))
    lines.append(f"time {time.perf_counter() - started:.1f} s")
    lines += [f"wrote {path}" for path in folder.written()]
    plain_console().print("\n".join(lines), soft_wrap=True)
    if options.report and outcome.test is not None:
        plain_console().print(_report(folder, job.dataset), soft_wrap=True)


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


def _train_members(ensemble: Ensemble, given: dict[str, Any], options: TrainOptions, ranks: Ranks) -> int:
    """A run for each seed, and a test of all their models together; returns the exit status.

    Raises: InputError before the first run for a flag that makes no sense here.
    """
    for flag in ("seed", "config"):
        if flag in given or getattr(options, flag, None) is not None:
            raise OtherRankError(
                f"--{flag}: {ensemble.name} is several runs, whose seeds and settings it names"
            )
    names = {seed: f"{options.name or ensemble.name}-{seed}" for seed in ensemble.seeds}
    with together(ranks):
        for name in () if options.force or ranks.rank else names.values():  # now, not when some are trained
            RunFolder.require_free(options.runs, name)
    dataset = _load_dataset(options, ranks)
    folders = []
    for seed, name in names.items():
        with together(ranks):
            recipe, config = resolve({**given, "seed": seed}, ensemble.members)
        status, folder = _train(recipe, config, dataset, options, name, ranks, time.perf_counter())
        if status:
            return status
        folders += [folder.file("model.safetensors")] if folder else []
    if ranks.rank > 0:
        return 0
    predictor = open_predictor(
        list(map(str, folders)), ensemble.tta, executor=config.executor, threads=options.threads
    )
    assert dataset.test is not None  # it was asked for
    of_all = Evaluation.of(predictor.logits(dataset.test.images), dataset.test.labels)
    command = ["numnist", "evaluate", *(str(path.parent) for path in folders)]
    command += ["--tta"] if ensemble.tta else []
    for name in ("dataset", "data", "test_images", "test_labels"):
        if getattr(options, name) is not None:
            command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    plain_console().print(
        f"all {len(folders)} together: {_accuracy(of_all)}\nagain: {shlex.join(command)}", soft_wrap=True
    )
    return 0


def _accuracy(test: Evaluation) -> str:
    """What a person wants to know first."""
    return f"test accuracy {test.accuracy:.2%} ({test.errors:,} errors in {test.n:,} images)"
