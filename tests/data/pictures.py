"""A small picture, and what the tests of picture files do with it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from numnist.arrays import Array
from numnist.data.image_files import read_pictures
from numnist.errors import InputError


def drawing() -> Array:
    """A dark 7 on white, neither symmetric nor square, in two greys."""
    grey = np.full((24, 18), 255, np.uint8)
    grey[4:7, 3:15] = 0
    grey[7:21, 11:14] = 51
    return grey


GREY = drawing()


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def png(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def refusal(path: Path) -> str:
    """The message with which a file is refused: one line that begins with its name."""
    with pytest.raises(InputError) as caught:
        read_pictures(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def palette(image: Image.Image) -> Image.Image:
    return image.convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
