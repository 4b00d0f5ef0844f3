"""What is wrong with settings, in one line that names the flag, or the file and its key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

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


def in_one_line(error: ValidationError, sources: Sources) -> str:
    """The first of pydantic's errors, with the flag or the file and key that it came from."""
    first = error.errors(include_url=False)[0]
    path = _without_kinds(first["loc"], sources.settings)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = unknown("setting", path[-1], _known_settings(path[:-1], sources.settings))
    elif first["type"] == "union_tag_invalid":
        known = first["ctx"]["expected_tags"].replace("'", "").split(", ")
        path, message = [*path, "kind"], unknown("kind", first["ctx"]["tag"], known)
    elif first["type"] in ("model_type", "model_attributes_type"):
        message = f"expected a table, got {first['input']!r}"
    elif first["type"] == "missing":
        message = "is needed and missing"
    elif path and not isinstance(first["input"], Mapping):
        message = f"{message[0].lower()}{message[1:]}, got {first['input']!r}"
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
        settings = settings[step]
        annotation = table.model_fields[step].annotation
        table = next(
            option
            for option in (get_args(annotation) or (annotation,))
            if "kind" not in settings or option.model_fields["kind"].default == settings["kind"]
        )
    return list(table.model_fields)
