"""`numnist study`: run experiments of many runs, watch them, and say what they show."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field
from pydantic_settings import CliPositionalArg
from rich.table import Table

from numnist.cli.console import plain_console
from numnist.cli.flags import DataFlags, Flags, parse, validate
from numnist.cli.images import load_dataset
from numnist.cli.jobs import CrewFlags, PlaceFlags, failures, in_words, work_here
from numnist.cli.report import EXTRA
from numnist.errors import InputError, unknown
from numnist.files import write_atomic
from numnist.study import (
    Analysis,
    Interrupted,
    Plan,
    Queue,
    StudyJob,
    Worker,
    definition,
    end_with_the_input,
    job_of,
    page,
    progress,
    read_rows,
    read_study,
    settings_in_words,
    shipped,
    while_it_is_reached,
    write_rows,
)

ACTIONS = {
    "run": "run a study on this machine, or go on with it",
    "work": "join as one more worker, on any machine that reaches the storage",
    "status": "show how far it is",
    "report": "say what it shows: tables, a picture",
}
"""What one can do with a study, each a word behind `numnist study`."""

STUDY = f"a .toml file, or a study in the package: {', '.join(shipped())}"


class RunFlags(Flags, CrewFlags):
    """Run a study with workers on this machine; what is done already is not done again.

    numnist study run eight-factors --workers 2
    numnist study run my.toml --storage postgresql://me@host/studies
    """

    study: Annotated[CliPositionalArg[str], Field(description=STUDY)]


class WorkFlags(Flags, PlaceFlags, DataFlags):
    """Work for a study or a search that has begun, until nothing is left to do.

    numnist study work eight-factors --storage postgresql://me@host/studies
    """

    study: Annotated[CliPositionalArg[str], Field(description="the study's name")]
    threads: Annotated[int | None, Field(ge=1, description="cores to use; unless given, all")] = None
    quiet: Annotated[bool, Field(description="print nothing but what goes wrong")] = False
    leash: Annotated[bool, Field(description="end when the standard input does")] = False


class StatusFlags(Flags, PlaceFlags):
    """Show how far a study or a search is.

    numnist study status eight-factors
    """

    study: Annotated[CliPositionalArg[str], Field(description="the study's name")]


class ReportFlags(Flags, PlaceFlags):
    """Say what a study shows: report.md, with verdicts and tables, and a forest plot, in its folder.

    numnist study report eight-factors
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
    flags = validate(FLAGS[action], parse(FLAGS[action], f"study {action}", rest))
    with while_it_is_reached():
        status: int = COMMANDS[action](flags)
    return status


def _run(flags: RunFlags) -> int:
    """`numnist study run`."""
    name, contents = read_study(flags.study)
    plan = Plan(flags.name or name, contents)
    dataset = load_dataset(flags, ("train", "test"))
    plan.check(dataset)
    queue = flags.queue(plan.name, definition(plan, dataset), flags.heartbeat)
    queue.forgive()
    try:
        status = work_here(StudyJob(plan), queue, flags)
    finally:
        path = write_rows(flags.folder / plan.name, plan, queue)
    plain_console().print(
        f"wrote {path}\nto see what it shows: numnist study report {plan.name}", soft_wrap=True
    )
    return status


def _work(flags: WorkFlags) -> int:
    """`numnist study work`."""
    if flags.leash:
        end_with_the_input()
    queue = flags.queue(flags.study)
    job = job_of(queue)
    dataset = load_dataset(flags, ("train", "test"))
    console = plain_console()

    def tell(line: str) -> None:
        if not flags.quiet:
            console.print(line, soft_wrap=True)

    worker = Worker(queue, job, dataset, flags.folder / job.name / "runs", flags.threads, tell)
    try:
        tell(f"{job.name}: {worker.work():,} runs were done here")
    except (InputError, OSError, MemoryError) as error:
        # Of this machine, or of the storage: others may go on.
        words = error if isinstance(error, InputError) else f"this worker cannot go on: {error!r}"
        print(f"numnist: {job.name}: {words}", file=sys.stderr)  # noqa: T201
        return 1
    except (Interrupted, KeyboardInterrupt):
        tell(f"interrupted; to go on: numnist study work {job.name}")
        return 130
    return 0


def _status(flags: StatusFlags) -> int:
    """`numnist study status`."""
    queue = flags.queue(flags.study)
    job = job_of(queue)
    console = plain_console()
    console.print(in_words(progress(queue, job)), soft_wrap=True)
    if isinstance(job, StudyJob):
        console.print(_levels(job.plan, queue))
    return failures(job, queue)


def _levels(plan: Plan, queue: Queue) -> Table:
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
        text = "not yet" if chosen is None else ", ".join(settings_in_words(chosen))
        table.add_row(factor if factor != last else "", level, f"{sum(each)} of {len(each)}", text)
        last = factor
    return table


def _report(flags: ReportFlags) -> int:
    """`numnist study report`."""
    queue = flags.queue(flags.study)
    job = job_of(queue)
    if not isinstance(job, StudyJob):
        raise InputError(f"{flags.study}: a search has no report; its best settings are in its folder")
    folder = flags.folder / job.name
    folder.mkdir(parents=True, exist_ok=True)
    analysis = Analysis(job.plan, read_rows(write_rows(folder, job.plan, queue)))
    console, picture, lines = plain_console(), None, []
    try:
        from numnist.study.report import forest
        from numnist.view import save_figure

        save_figure(forest(analysis), folder / "forest.svg")
        picture = "forest.svg"
        lines.append(f"wrote {folder / picture}")
    except ImportError:
        lines.append(f"no picture: {EXTRA}")
    write_atomic(folder / "report.md", page(analysis, picture))
    now = progress(queue, job)
    if now.done < now.total:
        lines.append(f"{now.total - now.done:,} runs are not there yet")
    console.print("\n".join([*lines, f"wrote {folder / 'report.md'}"]), soft_wrap=True)
    return 0


FLAGS: dict[str, type[Flags]] = {
    "run": RunFlags,
    "work": WorkFlags,
    "status": StatusFlags,
    "report": ReportFlags,
}
"""What may be typed behind each action."""

COMMANDS: dict[str, Any] = {"run": _run, "work": _work, "status": _status, "report": _report}
"""What each does with it."""
