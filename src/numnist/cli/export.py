"""`numnist export`: a model for other software."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field
from pydantic_settings import CliPositionalArg

from numnist.cli.console import plain_console
from numnist.cli.draw import names_of
from numnist.cli.flags import Flags, parse, validate
from numnist.cli.models import MODEL, open_model
from numnist.errors import InputError
from numnist.interop.page import MOST_MODELS, write_page
from numnist.nn import Model

To = Literal["onnx", "python", "page"]


class ExportFlags(Flags):
    """Write a model for elsewhere: an ONNX file, a Python file that needs NumPy alone, a page to draw on.

    Examples: numnist export pretrained:cnn --to onnx --out model.onnx; numnist export my-run --to python
    --out digit.py; numnist export my-run pretrained:cnn --to page --out digits.html
    """

    model: Annotated[
        CliPositionalArg[list[str]],
        Field(description=MODEL, min_length=1),
    ]
    to: Annotated[
        To,
        Field(
            description="onnx: an ONNX file; python: a Python file, and an .npz of the same name beside it; "
            "page: an HTML file on which one draws digits, and one or more models read them"
        ),
    ]
    out: Annotated[Path, Field(description="file to write; its name ends in .onnx, .py or .html")]
    preprocess: Annotated[
        bool, Field(description="onnx: have scaling inside; the images are then grey values, (N, H, W)")
    ] = False
    softmax: Annotated[
        bool, Field(description="onnx: have the softmax inside; the output is then probabilities")
    ] = False
    force: Annotated[bool, Field(description="overwrite files that are there")] = False


class Door(NamedTuple):
    """How a model goes out.

    suffixes: of the files that are written, that of --out first. most: how many models go together. options:
    the flags that it knows. write: writes the models, and raises ValueError for what it cannot carry.
    """

    suffixes: tuple[str, ...]
    most: int
    options: frozenset[str]
    write: Callable[[Sequence[Model], ExportFlags], None]


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    flags = validate(ExportFlags, parse(ExportFlags, "export", arguments))
    door = DOORS[flags.to]
    _check(flags, door)
    models = [open_model(name) for name in flags.model]
    try:
        door.write(models, flags)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{' + '.join(flags.model)}: {error}") from error
    for path in _files(flags, door):
        plain_console().print(f"wrote {path}", soft_wrap=True)
    return 0


def _check(flags: ExportFlags, door: Door) -> None:
    """InputError where flags do not go together, or a file is there already."""
    for option in ("preprocess", "softmax"):
        if getattr(flags, option) and option not in door.options:
            raise InputError(f"--{option}: not for --to {flags.to}, whose file does both")
    if len(flags.model) > door.most:
        words = "one model" if door.most == 1 else f"at most {door.most} models"
        raise InputError(f"MODEL: expected {words} for --to {flags.to}, got {len(flags.model)}")
    if flags.out.suffix != door.suffixes[0]:
        raise InputError(
            f"--out: expected a name ending in {door.suffixes[0]} for --to {flags.to}, got {flags.out}"
        )
    for path in _files(flags, door):
        if path.exists() and not flags.force:
            raise InputError(f"{path}: there is such a file already: --force overwrites it")


def _files(flags: ExportFlags, door: Door) -> list[Path]:
    """The files that are written."""
    return [flags.out.with_suffix(suffix) for suffix in door.suffixes]


def _to_onnx(models: Sequence[Model], flags: ExportFlags) -> None:
    try:
        from numnist.interop.onnx import write_onnx
    except ImportError as error:
        raise InputError(f"--to onnx: {error}") from error
    write_onnx(models[0], flags.out, flags.preprocess, flags.softmax)


def _to_python(models: Sequence[Model], flags: ExportFlags) -> None:
    from numnist.interop.python import write_python

    write_python(models[0], flags.out)


def _to_page(models: Sequence[Model], flags: ExportFlags) -> None:
    write_page(models, names_of(flags.model), flags.out)


# A door more is a word in `To` and an entry here.
DOORS: dict[To, Door] = {
    "onnx": Door((".onnx",), 1, frozenset({"preprocess", "softmax"}), _to_onnx),
    "python": Door((".py", ".npz"), 1, frozenset(), _to_python),
    "page": Door((".html",), MOST_MODELS, frozenset(), _to_page),
}
assert set(DOORS) == set(get_args(To))
