"""`numnist study`: run experiments of many runs, watch them, and say what they show."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field
from pydantic_settings import CliPositionalArg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from numnist.cli.console import plain_console
from numnist.cli.flags import DataFlags, Flags, parse, validate
from numnist.cli.images import load_dataset
from numnist.engine.engine import available_cores
from numnist.errors import InputError, unknown
from numnist.study import (
    Interrupted,
    Plan,
    Queue,
    Worker,
    definition,
    open_storage,
    plan_of,
    read_study,
    shipped,
    write_rows,
)
from numnist.study.crew import Progress, WorkersDied, progress, run_workers

ACTIONS = {
    "run": "run a study on this machine, or go on with it",
    "work": "join as one more worker, on any machine that reaches the storage",
    "status": "show how far it is",
}
"""What one can do with a study, each a word behind `numnist study`."""

STUDY = "a .toml file, or a study in the package: "
"""Of which argument this is the help; the names follow."""

JOURNAL = "journal.log"
"""The storage in a study's folder, unless another is named."""


class PlaceFlags(BaseModel):
    """Where a study is kept."""

    folder: Annotated[Path, Field(description="folder that holds the folders of the studies")] = Path(
        "studies"
    )
    storage: Annotated[
        str | None,
        Field(
            description="postgresql://USER@HOST/NAME, for many machines; unless given, a file in the folder"
        ),
    ] = None
    heartbeat: Annotated[
        int, Field(ge=1, description="seconds between two signs of life of a worker; after three it is dead")
    ] = 10

    def queue(self, name: str, contents: dict[str, object] | None = None) -> Queue:
        """The study of this name. contents: what it is, where it may have to be begun."""
        journal = self.folder / name / JOURNAL
        if self.storage is None and contents is None and not journal.exists():
            raise InputError(f"{journal}: there is no study of this name: numnist study run begins one")
        return Queue(open_storage(self.storage or journal, self.heartbeat), name, self.heartbeat, contents)


class RunFlags(Flags, PlaceFlags, DataFlags):
    """Run a study with workers on this machine; what is done already is not done again.

    numnist study run eight-factors --workers 2
    numnist study run my.toml --storage postgresql://me@host/studies
    """

    study: Annotated[CliPositionalArg[str], Field(description=STUDY + ", ".join(shipped()))]
    name: Annotated[str | None, Field(description="what it is called; unless given, as the file")] = None
    workers: Annotated[
        int | None, Field(ge=1, description="processes that share the cores; unless given, one for each core")
    ] = None


class WorkFlags(Flags, PlaceFlags, DataFlags):
    """Work for a study that has begun, until nothing is left to do.

    numnist study work eight-factors --storage postgresql://me@host/studies
    """

    study: Annotated[CliPositionalArg[str], Field(description="the study's name")]
    threads: Annotated[int | None, Field(ge=1, description="cores to use; unless given, all")] = None
    quiet: Annotated[bool, Field(description="print nothing but what goes wrong")] = False


class StatusFlags(Flags, PlaceFlags):
    """Show how far a study is.

    numnist study status eight-factors
    """

    study: Annotated[CliPositionalArg[str], Field(description="the study's name")]


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    words = "\n".join(f"  {name:<8} {text}" for name, text in ACTIONS.items())
    usage = f"usage: numnist study ACTION STUDY [FLAGS]\n\n{words}\n\n"
    usage += "numnist study ACTION --help shows its flags."
    if not arguments:
        print(usage, file=sys.stderr)  # noqa: T201
        return 2
    action, *rest = arguments
    if action in ("-h", "--help"):
        print(usage)  # noqa: T201
        return 0
    if action not in ACTIONS:
        raise InputError(f"study: {unknown('action', action, ACTIONS)}")
    status: int = {"run": _run, "work": _work, "status": _status}[action](rest)
    return status


def _run(arguments: Sequence[str]) -> int:
    """`numnist study run`."""
    flags = validate(RunFlags, parse(RunFlags, "study run", arguments))
    name, contents = read_study(flags.study)
    plan = Plan(flags.name or name, contents)
    dataset = load_dataset(flags, ("train", "test"))
    queue = flags.queue(plan.name, definition(plan, dataset))
    console = plain_console()
    workers = flags.workers or available_cores()
    console.print(f"study {plan.name}: {plan.count(queue.rows()):,} runs, {workers} workers", soft_wrap=True)
    started = time.perf_counter()
    threads = max(1, available_cores() // workers)
    command = [*_command(flags, plan.name), "--threads", str(threads), "--quiet"]
    try:
        with _Watch(console, queue, plan) as watch:
            run_workers([command] * workers, watch.look, watch.tell)
    except WorkersDied as error:
        print(f"numnist: study {plan.name}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        path = write_rows(flags.folder / plan.name, plan, queue)
    console.print(f"time {time.perf_counter() - started:.1f} s\nwrote {path}", soft_wrap=True)
    return _failed(plan, queue)


def _command(flags: RunFlags, name: str) -> list[str]:
    """The command line of a worker for the same study and the same data."""
    words = [sys.executable, "-m", "numnist", "study", "work", name]
    for field in (*PlaceFlags.model_fields, *DataFlags.model_fields):
        value = getattr(flags, field)
        if value is not None:
            words += [f"--{field.replace('_', '-')}", str(value)]
    return words


def _failed(plan: Plan, queue: Queue) -> int:
    """Tell of the runs that have failed; the exit status."""
    troubles = queue.troubles()
    for key, words in list(troubles.items())[:3]:
        print(f"numnist: study {plan.name}: run {key} failed: {words}", file=sys.stderr)  # noqa: T201
    return 1 if troubles else 0


def _work(arguments: Sequence[str]) -> int:
    """`numnist study work`."""
    flags = validate(WorkFlags, parse(WorkFlags, "study work", arguments))
    queue = flags.queue(flags.study)
    plan = plan_of(queue)
    dataset = load_dataset(flags, ("train", "test"))
    console = plain_console()

    def tell(line: str) -> None:
        if not flags.quiet:
            console.print(line, soft_wrap=True)

    runs = flags.folder / plan.name / "runs"
    worker = Worker(queue, plan, dataset, runs, flags.threads, tell)
    try:
        tell(f"study {plan.name}: {worker.work():,} runs were done here")
    except Interrupted:
        tell(f"interrupted; to go on: numnist study work {plan.name}")
        return 130
    return 0


def _status(arguments: Sequence[str]) -> int:
    """`numnist study status`."""
    flags = validate(StatusFlags, parse(StatusFlags, "study status", arguments))
    queue = flags.queue(flags.study)
    plan = plan_of(queue)
    queue.bury_the_dead()
    console = plain_console()
    console.print(in_words(progress(queue, plan)), soft_wrap=True)
    console.print(_table(plan, queue))
    return _failed(plan, queue)


def _table(plan: Plan, queue: Queue) -> Table:
    """How many runs of each level are done."""
    rows = queue.rows()
    table = Table("factor", "level", "runs done", "chosen")
    counts: dict[tuple[str, str], list[bool]] = {}
    for cell in plan.cells(rows):
        done = cell.trial is not None and cell.trial.key in rows
        counts.setdefault((cell.factor, cell.level), []).append(done)
    last = ""
    for (factor, level), each in counts.items():
        if last and factor != last:
            table.add_section()
        chosen = plan.chosen(factor, level, rows)
        text = "not yet" if chosen is None else ", ".join(f"{key} {value}" for key, value in chosen.items())
        table.add_row(factor if factor != last else "", level, f"{sum(each)} of {len(each)}", text)
        last = factor
    return table


def in_words(now: Progress) -> str:
    """How far a study is, in a line."""
    line = f"{now.done:,} of {now.total:,} runs are done, {now.running} are running"
    if now.seconds_left is not None and now.done < now.total:
        line += f", about {max(1, round(now.seconds_left / 60))} min left"
    return line


class _Watch:
    """Shows how far the workers are: a bar on a terminal, a line now and then anywhere else."""

    EVERY = 60.0
    """Seconds between two lines."""

    def __init__(self, console: Console, queue: Queue, plan: Plan) -> None:
        self._console, self._queue, self._plan = console, queue, plan
        self._bar: Bar | None = None
        self._done = -1
        self._said = time.monotonic()

    def __enter__(self) -> "_Watch":
        if self._console.is_interactive:
            columns = (
                MofNCompleteColumn(),
                BarColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
            )
            self._bar = Bar(*columns, console=self._console, transient=True)
            self._bar.add_task("")
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def look(self, workers: int) -> bool:
        """See how far they are; whether anything has been done since the last look."""
        now = progress(self._queue, self._plan, workers)
        if self._bar is not None:
            text = f"{workers} workers"
            if now.seconds_left is not None:
                text += f", about {max(1, round(now.seconds_left / 60))} min left"
            self._bar.update(
                self._bar.task_ids[0], completed=now.done, total=now.total, description=text, refresh=True
            )
        elif time.monotonic() - self._said > self.EVERY:
            self.tell(in_words(now))
        changed, self._done = now.done != self._done, now.done
        return changed

    def tell(self, line: str) -> None:
        """A line that stays."""
        self._said = time.monotonic()
        self._console.print(line, soft_wrap=True)
