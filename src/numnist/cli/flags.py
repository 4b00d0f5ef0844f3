"""From a command line to plain values: pydantic-settings parses, what goes wrong becomes one line."""

import json
import re
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_origin

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)
from pydantic_settings.sources.types import _CliPositionalArg

from numnist.cli.help import NO_VALUE, mend_help
from numnist.errors import InputError, unknown
from numnist.train.config_errors import wrong_value

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
        cli_parse_none_str=NO_VALUE,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- pydantic-settings passes all of these
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,  # noqa: ARG003
        **named: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is typed counts: a LIMIT or DATA in the environment was meant for another program."""
        return (init_settings,)


class DataFlags(BaseModel):
    """Which images: MNIST, built-in digits, or a person's own IDX files."""

    dataset: Annotated[
        Literal["mnist", "synthetic"] | None,
        Field(description="MNIST and nothing else, or built-in digits; unless given, whatever is found"),
    ] = None
    data: Annotated[Path | None, Field(description="folder with the four IDX files")] = None
    train_images: Annotated[Path | None, Field(description="IDX file of your own")] = None
    train_labels: Annotated[Path | None, Field(description="IDX file of your own")] = None
    test_images: Annotated[Path | None, Field(description="IDX file of your own")] = None
    test_labels: Annotated[Path | None, Field(description="IDX file of your own")] = None


class _Source(CliSettingsSource[Any]):
    """Takes the words of a positional list as they are: paths may hold commas and brackets."""

    def _merge_parsed_list(self, parsed_list: list[str], field_name: str) -> str:
        field = self.settings_cls.model_fields.get(field_name)
        if field is not None and _CliPositionalArg in field.metadata and get_origin(field.annotation) is list:
            return json.dumps(parsed_list)
        return super()._merge_parsed_list(parsed_list, field_name)


def parse(flags: type[Flags], command: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The values given on the command line, by field, not yet validated; `--help` prints and exits.

    Raises: InputError naming the flag that is unknown, with the nearest known one, or that lacks its value.
    """
    flags.model_config["cli_prog_name"] = f"numnist {command}"
    source = _Source(flags)
    parser: ArgumentParser = source.root_parser
    _mend_parser(parser)
    mend_help(parser, flags)
    try:
        values = dict(source(args=list(arguments))())
    except SettingsError as error:
        raise InputError(_in_one_line(str(error), parser, command)) from error
    for name, value in values.items():
        # An unset variable of the shell; as a path it would be the working directory.
        if value == "" or (isinstance(value, list) and "" in value):
            raise InputError(f"{_spelt(name, parser)}: expected a value, got an empty one")
    return values


def _mend_parser(parser: ArgumentParser) -> None:
    """Take out the flags that hold a whole table as JSON, and let -10,15 be a value like -10."""
    for action in parser._actions:
        if action.help == SUPPRESS:
            for option in action.option_strings:
                del parser._option_string_actions[option]
    parser._negative_number_matcher = re.compile(r"-\.?\d")


def validate(model: type[M], values: dict[str, Any]) -> M:
    """The values as a model; InputError naming the first flag that is missing or has a wrong value."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        field = model.model_fields.get(name)
        is_positional = field is not None and _CliPositionalArg in field.metadata
        flag = name.upper() if is_positional else f"--{name}".replace("_", "-")
        raise InputError(f"{flag}: {wrong_value(first)}") from error


def _spelt(name: str, parser: ArgumentParser) -> str:
    """The flag of a field as one types it, or the name of a positional argument as the help shows it."""
    flag = f"--{name.replace('_', '-')}"
    return flag if flag in parser._option_string_actions else name.upper()


IN_OUR_WORDS = (
    (r"argument ([^\s/]+)\S*: expected one argument", r"\1: expected a value, got none"),
    (r"argument ([^\s/]+)\S*: ignored explicit argument (.*)", r"\1: expected no value, got \2"),
    (r"the following arguments are required: (.*)", r"\1 is missing: see {prog} --help"),
    (r"Parsing error encountered for (.*)", r"--\1"),
)
"""What argparse and pydantic-settings say, as patterns, and what is said instead."""


def _in_one_line(message: str, parser: ArgumentParser, command: str) -> str:
    """What went wrong with the flags, with the nearest known flag for an unknown one."""
    message = message.removeprefix("error parsing CLI: ")
    if match := re.fullmatch(r"unrecognized arguments: (.*)", message, re.DOTALL):
        first = (match[1].split() or [""])[0]
        if not first.startswith("-"):
            return f"{command}: unexpected argument {first!r}: flags start with --"
        flag = first.partition("=")[0]
        nearest = unknown("flag", flag, parser._option_string_actions)
        return nearest if "did you mean" in nearest else f"unknown flag {flag!r}: see {parser.prog} --help"
    for pattern, words in IN_OUR_WORDS:
        message = re.sub(pattern, words.replace("{prog}", parser.prog), message)
    return message
