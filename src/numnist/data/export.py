"""A split written for others: as IDX files, or as a PNG for each image."""

import shutil
import uuid
from pathlib import Path

import numpy as np

from numnist.data._paths import os_errors, shown
from numnist.data.dataset import Split
from numnist.data.idx import write_idx
from numnist.errors import InputError


def export_idx(
    split: Split, folder: Path, stem: str, *, compress: bool = False, overwrite: bool = False
) -> tuple[Path, Path]:
    """Write `split` to `folder` as STEM-images-idx3-ubyte and STEM-labels-idx1-ubyte.

    With the stems train and t10k, `load_mnist` finds them there. Labels are uint8 where they fit, int32
    otherwise; `compress` packs with gzip and adds .gz to the names.

    Returns: the paths of images and labels.
    Raises: InputError when one of the files is there already and `overwrite` is not set, or cannot be
            written; ValueError for images of a dtype that IDX does not have.
    """
    suffix = ".gz" if compress else ""
    images = folder / f"{stem}-images-idx3-ubyte{suffix}"
    labels = folder / f"{stem}-labels-idx1-ubyte{suffix}"
    with os_errors(folder, "written"):
        for path in (images, labels):
            if path.exists() and not overwrite:
                raise InputError(f"{shown(path)}: there is such a file: --force replaces it")
        folder.mkdir(parents=True, exist_ok=True)
    write_idx(images, split.images)
    write_idx(labels, split.labels.astype(np.uint8 if split.labels.max(initial=0) < 256 else np.int32))
    return images, labels


def export_png(split: Split, folder: Path, *, limit: int | None = None, overwrite: bool = False) -> int:
    """Write images to `folder` as 8-bit grey PNG files, 00000-label5.png and so on: index and label.

    They are written to a folder of their own inside `folder` and take their places when all are there. With
    `overwrite`, files of other names stay.

    Returns: how many; the first `limit`, or all.
    Raises: InputError when `folder` holds anything and `overwrite` is not set, when it cannot be written, or
            when the images are not uint8; ValueError for a limit below 1.
    """
    from PIL import Image

    if limit is not None and limit < 1:
        raise ValueError(f"export_png: expected a limit of at least 1, got {limit}")
    if split.images.dtype != np.uint8:
        raise InputError(
            f"{shown(folder)}: PNG expects images of uint8, got {split.images.dtype}; IDX takes them"
        )
    chosen = split.take(slice(limit))
    width = max(5, len(str(len(chosen) - 1)))
    with os_errors(folder, "written"):
        folder.mkdir(parents=True, exist_ok=True)
        if not overwrite and any(folder.iterdir()):
            raise InputError(f"{shown(folder)}: the folder holds files: --force adds to them")
        temporary = folder / f".{uuid.uuid4().hex}"
        try:
            temporary.mkdir()
            for index, (image, label) in enumerate(zip(chosen.images, chosen.labels, strict=True)):
                Image.fromarray(image).save(temporary / f"{index:0{width}}-label{label}.png")
            for path in temporary.iterdir():
                path.replace(folder / path.name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return len(chosen)
