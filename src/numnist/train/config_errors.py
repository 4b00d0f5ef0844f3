"""What is wrong with settings, in one line that names the flag, or the file and its key."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from numnist.errors import unknown
from numnist.train.config import Config

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Sources:
    """Settings and where they came from.

    settings: all of them, merged. flags, from_file: what the command line and the file said.
    file, recipe: the names of the file and of the recipe.
    """

    settings: Settings
    flags: Settings
    from_file: Settings
    file: str
    recipe: str


IN_OUR_WORDS = {
    "bool_parsing": "expected true or false",
    "finite_number": "expected a finite number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "greater_than": "expected more than {gt:g}",
    "greater_than_equal": "expected at least {ge:g}",
    "int_from_float": "expected an integer",
    "int_parsing": "expected an integer",
    "int_type": "expected an integer",
    "less_than": "expected less than {lt:g}",
    "less_than_equal": "expected at most {le:g}",
    "literal_error": "expected {expected}",
    "missing": "is needed and missing",
    "string_type": "expected text",
    "tuple_type": "expected a list",
}
"""What is said of the commonest of pydantic's types of errors."""


def wrong_value(details: ErrorDetails) -> str:
    """What is wrong with a value, and the value: "expected at least 1, got '0'"."""
    came = details["input"]
    if isinstance(came, list) and len(came) == 1:  # a flag's value comes as a list
        came = came[0]
    message = details["msg"]
    if details["type"] in IN_OUR_WORDS:
        message = IN_OUR_WORDS[details["type"]].format(**details.get("ctx", {}))
    elif details["type"] == "value_error":
        message = str(details["ctx"]["error"])
    return message if isinstance(came, Mapping) else f"{message}, got {came!r}"


def in_one_line(error: ValidationError, sources: Sources) -> str:
    """The first of pydantic's errors, with the flag or the file and key that it came from."""
    first = error.errors(include_url=False)[0]
    path = _without_kinds(first["loc"], sources.settings)
    message = wrong_value(first)
    if first["type"] == "extra_forbidden":
        message = unknown("setting", path[-1], _known_settings(path[:-1], sources.settings))
    elif first["type"] == "union_tag_invalid":
        known = first["ctx"]["expected_tags"].replace("'", "").split(", ")
        path, message = [*path, "kind"], unknown("kind", first["ctx"]["tag"], known)
    elif first["type"] in ("model_type", "model_attributes_type"):
        message = f"expected a table, got {first['input']!r}"
    elif first["type"] == "value_error":
        # A record names its field in its message; that is the last step of the way to it.
        fields = _known_settings(path, sources.settings)
        path += [word for word in re.findall(r"\w+", message) if word in fields][:1]
    return _place(path, sources) + message


def _place(path: list[str], sources: Sources) -> str:
    """Where a setting was said: its flag, or the file and key; "" where no single place is to blame."""
    key = ".".join(path)
    if not path:
        return f"{sources.file}: " if sources.from_file else ""
    if _said(sources.flags, path):
        return f"--{key.replace('_', '-')}: "
    if _said(sources.from_file, path):
        return f"{sources.file}: {key}: "
    return f"recipe {sources.recipe}: {key}: "


def _without_kinds(location: tuple[int | str, ...], settings: Settings) -> list[str]:
    """The keys in pydantic's location of an error, which also names the kind of a table on the way."""
    path: list[str] = []
    level: Any = settings
    for step in location:
        if isinstance(level, Mapping) and step == level.get("kind") and step not in level:
            continue
        if not isinstance(level, Mapping) and path:  # inside a value: an element of a pair, a type of a union
            break
        path.append(str(step))
        level = level.get(step) if isinstance(level, Mapping) else None
    return path


def _said(source: Settings, path: list[str]) -> bool:
    """Whether a source has a value at this path, or a table of which the last key is missing."""
    level: Any = source
    for step in path[:-1]:
        level = level.get(step) if isinstance(level, Mapping) else None
    return isinstance(level, Mapping) and (path[-1] in level or (len(path) > 1 and bool(level)))


def _known_settings(path: list[str], settings: Settings) -> list[str]:
    """The keys of the table at `path`, which is a table of the `kind` that the settings choose there."""
    table: type[BaseModel] = Config
    for step in path:
        settings = settings.get(step, {})
        if not isinstance(settings, Mapping):
            return []  # no table at all
        annotation = table.model_fields[step].annotation
        options = [
            option for option in get_args(annotation) or (annotation,) if hasattr(option, "model_fields")
        ]
        kind = settings.get("kind")
        chosen = [
            option
            for option in options
            if kind is None
            or "kind" not in option.model_fields
            or option.model_fields["kind"].default == kind
        ]
        if not chosen:
            return []
        table = chosen[0]
    return list(table.model_fields)
