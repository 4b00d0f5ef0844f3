"""`numnist draw`: a page on which one draws digits, and networks read them at once."""

import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import CliPositionalArg

from numnist.cli.console import plain_console
from numnist.cli.flags import Flags, parse, validate
from numnist.cli.models import FILE, MODEL, find_model, open_model
from numnist.errors import InputError
from numnist.interop.page import MOST_MODELS, write_page
from numnist.nn import Model
from numnist.predict.pretrained import PREFIX

SHIPPED = ["pretrained:cnn", "pretrained:cnn-best", "pretrained:small"]
"""What is drawn for unless models are named."""


class DrawFlags(Flags):
    """Draw digits in the browser, and see what networks make of them while the pen still moves.

    The page is one file that needs no network: copy it to a phone, or put it on any static host.

    Examples: numnist draw; numnist draw my-run pretrained:record --out digits.html
    """

    models: Annotated[
        CliPositionalArg[list[str]],
        Field(description=MODEL, min_length=1, max_length=MOST_MODELS),
    ] = SHIPPED
    out: Annotated[
        Path | None, Field(description="file to keep the page in; unless given, a temporary one")
    ] = None
    open: Annotated[bool, Field(description="open it in the browser")] = True
    force: Annotated[bool, Field(description="replace an existing file")] = False


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    flags = validate(DrawFlags, parse(DrawFlags, "draw", arguments))
    if flags.out is not None and flags.out.exists() and not flags.force:
        raise InputError(f"{flags.out}: exists: choose another with --out, or --force to replace it")
    names = names_of(flags.models)
    models = [open_model(name) for name in flags.models]
    out = write_page(models, names, flags.out) if flags.out else _temporary(models, names)
    shown = flags.open and webbrowser.open(out.resolve().as_uri())
    plain_console().print(f"wrote {out}{'' if shown else ': open it in a browser'}", soft_wrap=True)
    return 0


def _temporary(models: Sequence[Model], names: Sequence[str]) -> Path:
    """The page in a folder of its own among the temporary ones, where nobody else can read it."""
    folder = Path(tempfile.mkdtemp(prefix="numnist-"))
    try:
        return write_page(models, names, folder / "digits.html")
    except BaseException:
        folder.rmdir()
        raise


def names_of(models: Sequence[str]) -> list[str]:
    """What the page calls the models of these names (see `find_model`).

    Raises: InputError where one is named twice, or is not there.
    """
    if len(set(models)) < len(models):
        raise InputError(f"MODELS: the same model twice: {', '.join(models)}")
    short = [_short(name, find_model(name)) for name in models]
    # Two runs in different folders may have one name.
    return short if len(set(short)) == len(short) else list(models)


def _short(name: str, path: Path) -> str:
    """What the page calls a model: the shipped one's name, the folder of a run, else the file's name."""
    if name.startswith(PREFIX):
        return name.removeprefix(PREFIX)
    return path.absolute().parent.name if path.name == FILE else path.stem
