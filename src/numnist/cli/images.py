"""Finding the images that a command is to work on."""

import sys
from collections.abc import Sequence

from numnist.cli.flags import DataFlags
from numnist.data import Dataset, download_progress, load_idx_dataset, load_mnist
from numnist.errors import InputError

FILES = {split: (f"{split}_images", f"{split}_labels") for split in ("train", "test")}
"""The flags that name a person's own files, by the split that they hold."""


def load_dataset(flags: DataFlags, splits: Sequence[str]) -> Dataset:
    """The data set that the flags name, else MNIST from wherever it is.

    Raises: InputError for flags that exclude each other, for files that are missing or broken.
    """
    given = {name: getattr(flags, name) for pair in FILES.values() for name in pair}
    if not any(given.values()):
        return load_mnist(flags.data, splits=splits, report=_report, progress=download_progress)
    if flags.data is not None:
        raise InputError(
            "--data: expected either a folder or files of your own (--test-images ...), got both"
        )
    needed = {name: given[name] for split in splits for name in FILES[split]}
    for name, path in needed.items():
        if path is None:
            flags_needed = ", ".join(_flag(other) for other in needed)
            raise InputError(f"{_flag(name)} is missing: with files of your own, expected {flags_needed}")
    return load_idx_dataset(**needed)


def named_splits(flags: DataFlags) -> list[str]:
    """The splits of which a person named files of their own; both where none were named."""
    named = [split for split, names in FILES.items() if any(getattr(flags, name) for name in names)]
    return named or [*FILES]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _report(line: str) -> None:
    """What went wrong on the way, and what is downloaded, for the person in front of the screen."""
    print(f"numnist: {line}", file=sys.stderr)  # noqa: T201
