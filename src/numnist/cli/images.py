"""Finding the images that a command is to work on."""

import sys
from collections.abc import Sequence

from numnist.cli.flags import DataFlags
from numnist.data import Dataset, download_progress, load_idx_dataset, load_mnist
from numnist.errors import InputError


def load_dataset(flags: DataFlags, splits: Sequence[str]) -> Dataset:
    """The data set that the flags name, else MNIST from wherever it is.

    Raises: InputError for flags that exclude each other, for files that are missing or broken.
    """
    files = {split: (f"{split}_images", f"{split}_labels") for split in ("train", "test")}
    given = {name: getattr(flags, name) for pair in files.values() for name in pair}
    if not any(given.values()):
        return load_mnist(flags.data, splits=splits, report=_report, progress=download_progress)
    if flags.data is not None:
        raise InputError(
            "--data: expected either a folder or files of your own (--test-images ...), got both"
        )
    for split in splits:
        for name in files[split]:
            if given[name] is None:
                raise InputError(f"--{name.replace('_', '-')} is missing: it belongs to your own files")
    needed = {name: path for name, path in given.items() if name.partition("_")[0] in splits}
    return load_idx_dataset(**needed)


def _report(line: str) -> None:
    """What went wrong on the way, and what is downloaded, for the person in front of the screen."""
    print(f"numnist: {line}", file=sys.stderr)  # noqa: T201
