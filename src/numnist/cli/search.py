"""`numnist search`: look for better settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import CliPositionalArg
from rich.table import Table

from numnist.cli.console import plain_console
from numnist.cli.flags import Flags, parse, validate
from numnist.cli.images import load_dataset
from numnist.cli.jobs import CrewFlags, work_here
from numnist.errors import InputError
from numnist.files import write_atomic
from numnist.study import SearchJob, definition, read_search, while_it_is_reached
from numnist.study.search import whole

SHOWN = 5
"""Trials in the table at the end."""


class SearchFlags(Flags, CrewFlags):
    """Look for good settings in a space; the best come out as a file that `numnist train --config` takes.

    What counts is the accuracy on validation; the test set is not looked at. More workers join by
    numnist study work NAME.

    numnist search space.toml --workers 2
    """

    space: Annotated[CliPositionalArg[Path], Field(description="TOML file of the space: see the guide")]
    out: Annotated[
        Path | None, Field(description="where the best settings go; unless given, best.toml in its folder")
    ] = None
    force: Annotated[bool, Field(description="write over what is there")] = False


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    flags = validate(SearchFlags, parse(SearchFlags, "search", arguments))
    with while_it_is_reached():
        return _search(flags)


def _search(flags: SearchFlags) -> int:
    """Search, and write what was found."""
    name, contents = read_search(flags.space)
    if flags.out is not None and flags.out.exists() and not flags.force:
        raise InputError(f"--out: {flags.out} exists: --force writes over it")
    dataset = load_dataset(flags, ("train", "test"))
    name = flags.name or name
    queue = flags.queue(name, definition(contents, dataset), flags.heartbeat)
    job = SearchJob(name, contents, queue)
    queue.forgive()
    status = work_here(job, queue, flags)
    rows = queue.rows()
    best = job.best(rows)
    if best is None:
        raise InputError(f"{name}: no trial has come to its end, so there is no best one")
    out = flags.out or flags.folder / name / "best.toml"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, job.recipe(best))
    table = Table("validation", "epochs", *contents.space)
    for row in sorted(whole(rows), key=lambda row: -float(row["val_accuracy"]))[:SHOWN]:
        values = [
            f"{value:.4g}" if isinstance(value, float) else str(value) for value in row["values"].values()
        ]
        table.add_row(f"{row['val_accuracy']:.2%}", str(row["epochs"]), *values)
    console = plain_console()
    console.print(table)
    console.print(f"wrote {out}\nto use it: numnist train --config {out}", soft_wrap=True)
    return status
