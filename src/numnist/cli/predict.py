"""`numnist predict`: what a model says of pictures."""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from pydantic_settings import CliPositionalArg

from numnist.arrays import Array
from numnist.cli.console import plain_console
from numnist.cli.flags import Flags, parse, validate
from numnist.cli.models import MODEL, REJECT, TTA, open_predictor
from numnist.data import NoInkError, is_idx, read_pictures
from numnist.engine import ExecutorName
from numnist.errors import InputError
from numnist.predict import Prediction, Predictor

SHADES = " .:-=+*#%@"
"""From no ink to full ink, in characters that every terminal has."""

RUNNERS_UP = 2

UNSURE = "?"
"""Stands for a digit that the model is not sure enough of."""


class PredictFlags(Flags):
    """Read the digits in pictures: photos, scans, screenshots, or IDX files.

    Examples: numnist predict pretrained:cnn photo.jpg; numnist predict my-run *.png --json
    """

    model: Annotated[
        CliPositionalArg[str],
        Field(description=MODEL),
    ]
    files: Annotated[
        CliPositionalArg[list[Path]],
        Field(description="PNG, JPEG, WebP, BMP, GIF, TIFF or IDX", min_length=1),
    ]
    number: Annotated[bool, Field(description="read several digits in a row as a number")] = False
    tta: Annotated[bool, Field(description=TTA)] = False
    reject: Annotated[float, Field(ge=0, le=1, description=f"{REJECT}; below it the digit is ?")] = 0.0
    show: Annotated[bool, Field(description="print each image as the network sees it")] = False
    json_: Annotated[bool, Field(alias="json", description="print one JSON array and nothing else")] = False
    executor: Annotated[
        ExecutorName, Field(description="engine: the fast one; reference: op by op, for comparison")
    ] = "engine"


@dataclass(frozen=True, eq=False)
class Reading:
    """What came of one picture: one prediction, or one for each digit of a number."""

    name: str
    digits: list[Prediction]

    @property
    def text(self) -> str:
        """The digits, one after the other."""
        return "".join(UNSURE if digit.rejected else digit.label for digit in self.digits)


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status: 2 where a file could not be read, after the others were."""
    flags = validate(PredictFlags, parse(PredictFlags, "predict", arguments))
    predictor = open_predictor([flags.model], flags.tta, flags.reject, flags.executor)
    if not predictor.preprocess.takes_bytes:
        raise InputError(f"{flags.model}: expected a model trained on bytes (0 to 255), as pictures are")
    console = plain_console()
    status, plain = 0, []
    for path in flags.files:
        try:
            for reading in _readings(predictor, path, flags.number):
                if flags.json_:
                    plain.append(_plain(reading, flags.number))
                else:
                    console.print(_line(reading), soft_wrap=True)
                    for digit in reading.digits if flags.show else ():
                        console.print(_drawn(digit.image), soft_wrap=True)
        except InputError as error:
            print(f"numnist: {error}", file=sys.stderr)  # noqa: T201
            status = 2
    if flags.json_:
        print(json.dumps(plain))  # noqa: T201
    return status


def _readings(predictor: Predictor, path: Path, number: bool) -> Iterator[Reading]:
    """What the model says of each picture in a file; InputError naming the picture without ink.

    The images of an IDX file that have the model's size are in its form already.
    """
    pictures = read_pictures(path)
    names = [str(path)] if len(pictures) == 1 else [f"{path}[{index}]" for index in range(len(pictures))]
    if not number and is_idx(path) and pictures[0].shape == predictor.preprocess.image_size:
        for name, digit in zip(names, predictor.predict(np.stack(pictures)), strict=True):
            yield Reading(name, [digit])
        return
    for name, picture in zip(names, pictures, strict=True):
        try:
            digits = predictor.read_number(picture) if number else [predictor.read(picture)]
        except NoInkError as error:
            raise InputError(f"{name}: {error}") from error
        yield Reading(name, digits)


def _line(reading: Reading) -> str:
    """A reading as a person reads it: what it is, how sure the model is, and what else it may be."""
    if len(reading.digits) > 1:
        each = ", ".join(f"{digit.probability:.1%}" for digit in reading.digits)
        return f"{reading.name}: {reading.text}  ({each})"
    (best, probability), *others = reading.digits[0].ranked()
    runners_up = ", ".join(f"{name} {share:.1%}" for name, share in others[:RUNNERS_UP])
    maybe = f" {best}" if reading.digits[0].rejected else ""
    return f"{reading.name}: {reading.text}{maybe}  {probability:.1%}  ({runners_up})"


def _plain(reading: Reading, number: bool) -> dict[str, Any]:
    """A reading as `--json` prints it."""
    digits = [
        {
            "digit": digit.label,
            "rejected": digit.rejected,
            "probability": _finite(digit.probability),
            "probabilities": {name: _finite(share) for name, share in digit.ranked()},
        }
        for digit in reading.digits
    ]
    return (
        {"file": reading.name, "number": reading.text, "digits": digits}
        if number
        else {"file": reading.name, **digits[0]}
    )


def _finite(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if math.isfinite(value) else None


def _drawn(image: Array) -> str:
    """An image in characters, two to a pixel, since they are twice as high as wide."""
    shades = (image.astype(int) * len(SHADES)) // 256
    return "\n".join("".join(SHADES[shade] * 2 for shade in row) for row in shades)
