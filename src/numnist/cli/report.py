"""`numnist report`: a page about one run or several."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import CliPositionalArg

from numnist.cli.console import plain_console
from numnist.cli.flags import DataFlags, Flags, parse, validate
from numnist.cli.images import load_dataset
from numnist.data import Dataset
from numnist.errors import InputError

EXTRA = 'reports are drawn with matplotlib and jinja2: pip install "numnist[view]"'
FILE = "report.html"


class ReportFlags(Flags, DataFlags):
    """Write one self-contained HTML page about runs: curves, confusion, mistakes, filters, feature maps.

    Several runs share their axes. Example: numnist report runs/first runs/second --out both.html
    """

    runs: Annotated[
        CliPositionalArg[list[str]],
        Field(description="folders of runs, or their names in runs/", min_length=1, max_length=12),
    ]
    out: Annotated[
        Path | None,
        Field(description=f"file to write; unless given, {FILE} in the run's folder, or here for several"),
    ] = None


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    flags = validate(ReportFlags, parse(ReportFlags, "report", arguments))
    try:
        from numnist.view import RunRecord, write_report
    except ImportError as error:
        raise InputError(EXTRA) from error
    records = [RunRecord.load(_folder(name)) for name in flags.runs]
    out = flags.out or (records[0].path / FILE if len(records) == 1 else Path(FILE))
    write_report(records, out, _images(flags))
    plain_console().print(f"wrote {out}", soft_wrap=True)
    return 0


def _folder(name: str) -> Path:
    """A folder, or a run's name in runs/."""
    path = Path(name)
    return path if path.exists() or not (Path("runs") / name).is_dir() else Path("runs") / name


def _images(flags: ReportFlags) -> Dataset | None:
    """The test images that the flags name, else MNIST if it is at hand; a report does without them."""
    named = any(getattr(flags, name) is not None for name in DataFlags.model_fields)
    try:
        return load_dataset(flags, ("train", "test"), download=named)
    except InputError:
        if named:
            raise
        return None
