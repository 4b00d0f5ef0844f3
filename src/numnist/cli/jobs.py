"""Running the workers of a study or of a search on this machine, and showing how far they are."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from numnist.cli.console import plain_console
from numnist.cli.flags import DataFlags
from numnist.engine.engine import available_cores
from numnist.errors import InputError
from numnist.study import Job, Progress, Queue, WorkersDied, open_storage, progress, run_workers
from numnist.study.crew import REFUSED
from numnist.train.run_folder import NAME

JOURNAL = "journal.log"
"""The storage in a study's folder, unless another is named."""

LINE_EVERY = 60.0
"""Seconds between two lines that say how far it is, where there is no terminal."""


class PlaceFlags(BaseModel):
    """Where a study is kept."""

    folder: Annotated[Path, Field(description="folder that holds the folders of studies and searches")] = (
        Path("studies")
    )
    storage: Annotated[
        str | None,
        Field(
            description="postgresql://USER@HOST/NAME, for many machines; unless given, a file in the folder"
        ),
    ] = None

    def queue(self, name: str, contents: dict[str, Any] | None = None, heartbeat: int = 10) -> Queue:
        """The study of this name. contents: what it is, where it may have to be begun."""
        if not NAME.fullmatch(name):
            raise InputError(f"a study's name: expected letters, digits, '.', '_' and '-', got {name!r}")
        place = self.storage or self.folder / name / JOURNAL
        if contents is None and "://" not in str(place) and not Path(place).exists():
            raise InputError(f"{place}: there is no study of this name: numnist study run begins one")
        return Queue(open_storage(place, heartbeat), name, heartbeat, contents)


class CrewFlags(PlaceFlags, DataFlags):
    """How many work at it here, and on which images."""

    name: Annotated[str | None, Field(description="what it is called; unless given, as the file")] = None
    workers: Annotated[
        int | None, Field(ge=1, description="processes that share the cores; unless given, one for each core")
    ] = None
    heartbeat: Annotated[
        int,
        Field(
            ge=1,
            description="seconds between two signs of life of a worker, who counts as dead after three; "
            "a study keeps those that it was begun with",
        ),
    ] = 10


def work_here(job: Job, queue: Queue, flags: CrewFlags) -> int:
    """Have workers on this machine do what is left; the exit status."""
    console = plain_console()
    workers = flags.workers or available_cores()
    console.print(f"{job.name}: {job.count(queue.rows()):,} runs, {workers} workers", soft_wrap=True)
    threads = max(1, available_cores() // workers)
    command = [sys.executable, "-m", "numnist", "study", "work", job.name]
    command += ["--threads", str(threads), "--quiet"]
    for field in (*PlaceFlags.model_fields, *DataFlags.model_fields):
        value = getattr(flags, field)
        if value is not None:
            command += [f"--{field.replace('_', '-')}", str(value)]
    started = time.perf_counter()
    try:
        with Watch(console, queue, job) as watch:
            run_workers([command] * workers, watch.look, watch.tell)
    except WorkersDied as error:
        print(f"numnist: {job.name}: {error}", file=sys.stderr)  # noqa: T201
        return REFUSED if error.refused else 1
    console.print(f"time {time.perf_counter() - started:.1f} s", soft_wrap=True)
    return failures(job, queue)


def failures(job: Job, queue: Queue) -> int:
    """Tell of the runs that have failed too often; the exit status."""
    troubles = queue.troubles()
    for key, words in list(troubles.items())[:3]:
        print(f"numnist: {job.name}: run {key} failed: {words}", file=sys.stderr)  # noqa: T201
    return 1 if troubles else 0


def in_words(now: Progress) -> str:
    """How far it is, in a line."""
    line = f"{now.done:,} of {now.total:,} runs are done, {now.running} are running"
    return line + _time_left(now)


def _time_left(now: Progress) -> str:
    if now.seconds_left is None or now.done >= now.total:
        return ""
    return f", about {max(1, round(now.seconds_left / 60))} min left"


class Watch:
    """Shows how far the workers are: a bar on a terminal, a line now and then anywhere else."""

    def __init__(self, console: Console, queue: Queue, job: Job) -> None:
        self._console, self._queue, self._job = console, queue, job
        self._bar: Bar | None = None
        self._done = -1
        self._said = time.monotonic()

    def __enter__(self) -> "Watch":
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
        now = progress(self._queue, self._job, workers)
        if self._bar is not None:
            text = f"{workers} workers{_time_left(now)}"
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=now.done, total=now.total, description=text, refresh=True)
        elif time.monotonic() - self._said > LINE_EVERY:
            self.tell(in_words(now))
        changed, self._done = now.done != self._done, now.done
        return changed

    def tell(self, line: str) -> None:
        """A line that stays."""
        self._said = time.monotonic()
        self._console.print(line, soft_wrap=True)
