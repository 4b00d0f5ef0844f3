"""From a command line to plain values: pydantic-settings parses, what goes wrong becomes one line."""

import re
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, CliSettingsSource, SettingsConfigDict, SettingsError

from numnist.errors import InputError, unknown

M = TypeVar("M", bound=BaseModel)


class Flags(BaseSettings):
    """Base of the flags of a command: `--some-flag`, `--table.some-flag`; a switch takes no value."""

    model_config = SettingsConfigDict(
        extra="forbid",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_exit_on_error=False,
        cli_avoid_json=True,
        cli_hide_none_type=True,
    )


class DataFlags(BaseModel):
    """Which images: MNIST, or a person's own IDX files."""

    data: Annotated[Path | None, Field(description="folder with the four IDX files")] = None
    train_images: Annotated[Path | None, Field(description="IDX file of your own")] = None
    train_labels: Annotated[Path | None, Field(description="IDX file of your own")] = None
    test_images: Annotated[Path | None, Field(description="IDX file of your own")] = None
    test_labels: Annotated[Path | None, Field(description="IDX file of your own")] = None


def parse(flags: type[Flags], command: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The values given on the command line, by field, not yet validated; `--help` prints and exits.

    Raises: InputError naming the flag that is unknown, with the nearest known one, or that lacks its value.
    """
    flags.model_config["cli_prog_name"] = f"numnist {command}"
    source = CliSettingsSource[Any](flags)
    parser: ArgumentParser = source.root_parser
    _mend_help(parser)
    try:
        return dict(source(args=list(arguments))())
    except SettingsError as error:
        raise InputError(_in_one_line(str(error), parser, command)) from error


def _mend_help(parser: ArgumentParser) -> None:
    """Leave out of the help what is long or untrue.

    A default of None says nothing; and of a table that is one of several kinds, pydantic-settings shows the
    last one's name as the default `kind`.
    """
    positional = [action.metavar or action.dest for action in parser._actions if not action.option_strings]
    parser.usage = " ".join(["%(prog)s", *(str(name).upper() for name in positional), "[FLAGS]"])
    for action in parser._actions:
        text = (action.help or "").replace(" (default: None)", "").replace("(default: None)", "")
        if any(option.endswith(".kind") for option in action.option_strings):
            text = "which; the other flags of this table are those of its kind"
        action.help = text


def validate(model: type[M], values: dict[str, Any]) -> M:
    """The values as a model; InputError naming the first flag that is missing or has a wrong value."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        if first["type"] == "missing":
            raise InputError(f"{name.upper()} is missing") from error
        message = first["msg"][0].lower() + first["msg"][1:]
        raise InputError(f"--{name.replace('_', '-')}: {message}, got {first['input']!r}") from error


def _in_one_line(message: str, parser: ArgumentParser, command: str) -> str:
    """What argparse says, shortened, with the nearest known flag for an unknown one."""
    message = message.removeprefix("error parsing CLI: ")
    match = re.match(r"unrecognized arguments: (.*)", message, re.DOTALL)
    if not match:
        return message.removeprefix("argument ")
    first = match[1].split()[0]
    if not first.startswith("-"):
        return f"{command}: unexpected argument {first!r}: flags start with --"
    known = [option for action in parser._actions for option in action.option_strings]
    return unknown("flag", first.partition("=")[0], known)
