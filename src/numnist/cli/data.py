"""`numnist data`: where the data is, what is in it; export it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from rich.console import Console
from rich.table import Table

from numnist.cli.console import plain_console
from numnist.cli.flags import DataFlags, Flags, parse, validate
from numnist.cli.images import load_dataset, named_splits
from numnist.data import Dataset, export_idx, export_png
from numnist.errors import InputError


class DataCommandFlags(Flags, DataFlags):
    """Show where the data is, what is in it, and its checksums; with --export, write a split to a folder."""

    export: Annotated[Path | None, Field(description="folder to write a split to")] = None
    split: Annotated[Literal["train", "test"], Field(description="the split to export")] = "test"
    format: Annotated[
        Literal["idx", "png"], Field(description="a pair of IDX files, or a PNG file per image")
    ] = "idx"
    limit: Annotated[int | None, Field(ge=1, description="export only so many images")] = None
    force: Annotated[bool, Field(description="write over what is there")] = False


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    flags = validate(DataCommandFlags, parse(DataCommandFlags, "data", arguments))
    console = plain_console()
    if flags.export is not None:
        console.print(_export(flags, flags.export), soft_wrap=True)
        return 0
    if unused := sorted(flags.model_fields_set & {"split", "format", "limit", "force"}):
        raise InputError(f"--{unused[0]}: expected only together with --export")
    _show(load_dataset(flags, named_splits(flags)), console)
    return 0


def _export(flags: DataCommandFlags, folder: Path) -> str:
    """Write the split; returns what to tell."""
    dataset = load_dataset(flags, (flags.split,))
    split = dataset.train if flags.split == "train" else dataset.test
    assert split is not None  # it was asked for
    if flags.format == "png":
        count = export_png(split, folder, limit=flags.limit, overwrite=flags.force)
        return f"wrote {count:,} PNG files to {folder}"
    part = split.take(slice(flags.limit))
    stem = "train" if flags.split == "train" else "t10k"
    images, labels = export_idx(part, folder, stem, overwrite=flags.force)
    return f"wrote {len(part):,} images to {images} and their labels to {labels}"


def _show(dataset: Dataset, console: Console) -> None:
    """Files with their checksums, then what is in the splits."""
    console.print(f"{dataset.name}, fingerprint {dataset.fingerprint}", soft_wrap=True)
    for record in dataset.files:
        console.print(f"  {record.path}\n    {record.size:,} bytes, SHA-256 {record.sha256}", soft_wrap=True)
    splits = {name: split for name, split in (("train", dataset.train), ("test", dataset.test)) if split}
    table = Table("")
    for name in splits:
        table.add_column(name, justify="right")
    table.add_row("images", *(f"{len(split):,}" for split in splits.values()))
    table.add_row(
        "height × width", *(" × ".join(map(str, split.images.shape[1:])) for split in splits.values())
    )
    table.add_row("type", *(str(split.images.dtype) for split in splits.values()))
    table.add_section()
    counts = [np.bincount(split.labels, minlength=dataset.classes) for split in splits.values()]
    for label in range(dataset.classes):
        table.add_row(f"class {label}", *(f"{count[label]:,}" for count in counts))
    console.print(table)
