"""Finding the images that a command is to work on."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from numnist.cli.flags import DataFlags
from numnist.data import (
    Dataset,
    DataUnavailable,
    download_progress,
    load_idx_dataset,
    load_mnist,
    synthetic_dataset,
)
from numnist.errors import InputError
from numnist.train import RunFolder

FILES = {split: (f"{split}_images", f"{split}_labels") for split in ("train", "test")}
"""The flags that name a person's own files, by the split that they hold."""


def load_dataset(
    flags: DataFlags, splits: Sequence[str], fall_back: bool = False, download: bool = True
) -> Dataset:
    """The data set that the flags name, else MNIST from wherever it is.

    fall_back: take built-in digits where MNIST is nowhere to be had and nobody insists on it. download: ask
    the network for MNIST where it is not at hand.
    Raises: InputError for flags that exclude each other, for files that are missing or broken.
    """
    own = _own_files(flags, splits)
    if flags.dataset == "synthetic":
        if own or flags.data is not None:
            raise InputError("--dataset: synthetic digits need no files, but some were named")
        return synthetic_dataset()
    if own:
        dataset = load_idx_dataset(**own)
    else:
        try:
            dataset = load_mnist(
                flags.data, splits=splits, download=download, report=_report, progress=download_progress
            )
        except DataUnavailable as error:
            if not fall_back or flags.dataset == "mnist":
                raise
            _report_fall_back(error)
            return synthetic_dataset()
    if flags.dataset == "mnist" and dataset.name != "mnist":
        raise InputError(f"--dataset: expected MNIST, but {dataset.files[0].path} has other contents")
    return dataset


def data_flags(flags: DataFlags) -> str:
    """The flags that named the data, as data.json in a run's folder holds them for `--resume`."""
    given = {name: getattr(flags, name) for name in DataFlags.model_fields}
    whole = {name: str(path.absolute()) for name, path in given.items() if isinstance(path, Path)}
    return json.dumps(({"dataset": flags.dataset} if flags.dataset else {}) | whole, sort_keys=True) + "\n"


def remembered_data(folder: RunFolder, flags: DataFlags) -> DataFlags:
    """The flags that were given when a run began; those given now, if there are any, instead of them.

    Raises: InputError naming data.json where it is damaged.
    """
    path = folder.file("data.json")
    if any(getattr(flags, name) is not None for name in DataFlags.model_fields) or not path.exists():
        return flags
    try:
        found = DataFlags.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{path}: damaged: name the data by flags, as when the run began") from None
    return found


def _own_files(flags: DataFlags, splits: Sequence[str]) -> dict[str, Path]:
    """The files of these splits that a person named; InputError where some of them are missing."""
    given = {name: getattr(flags, name) for pair in FILES.values() for name in pair}
    if not any(given.values()):
        return {}
    if flags.data is not None:
        raise InputError(
            "--data: expected either a folder or files of your own (--test-images ...), got both"
        )
    needed = {name: given[name] for split in splits for name in FILES[split]}
    for name, path in needed.items():
        if path is None:
            flags_needed = ", ".join(_flag(other) for other in needed)
            raise InputError(f"{_flag(name)} is missing: with files of your own, expected {flags_needed}")
    return needed


def _report_fall_back(error: DataUnavailable) -> None:
    """Where MNIST was looked for, why it was not there, and what is done instead."""
    _report("MNIST is nowhere to be had:")
    for place, reason in error.reasons:
        _report(f"  {place}: {reason}")
    _report("so built-in digits are used instead; --dataset mnist makes that an error, --data names a folder")


def named_splits(flags: DataFlags) -> list[str]:
    """The splits of which a person named files of their own; both where none were named."""
    named = [split for split, names in FILES.items() if any(getattr(flags, name) for name in names)]
    return named or [*FILES]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _report(line: str) -> None:
    """What went wrong on the way, and what is downloaded, for the person in front of the screen."""
    print(f"numnist: {line}", file=sys.stderr)  # noqa: T201
