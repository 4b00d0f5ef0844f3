"""Where settings come from: a recipe, a TOML file over it, flags over both."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import tomli_w
from pydantic import BaseModel, ValidationError

from numnist.errors import InputError, unknown
from numnist.train.config import Config

DEFAULT_RECIPE = "quick"

Settings = Mapping[str, Any]


def recipes() -> dict[str, str]:
    """The recipes in the package: name -> its first line, which says what it is."""
    folder = resources.files("numnist.train") / "recipes"
    found = {
        Path(entry.name).stem: entry.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
    return dict(sorted(found.items()))


def recipe_settings(name: str) -> dict[str, Any]:
    """The settings of a recipe; InputError with the nearest name when there is none of this name."""
    if name not in recipes():
        raise InputError(f"--recipe: {unknown('recipe', name, recipes())}")
    text = (resources.files("numnist.train") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def file_settings(path: Path) -> dict[str, Any]:
    """The settings of a TOML file; InputError naming the file when it cannot be read as TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise InputError(f"--config {path}: expected a TOML file of settings: {reason}") from error


def merge(below: Settings, above: Settings) -> dict[str, Any]:
    """Settings of two sources: what `above` says holds, tables are merged key by key.

    A table of another `kind` replaces the one below it whole: the other kind's hyperparameters mean nothing
    to it.
    """
    merged = dict(below)
    for key, value in above.items():
        old = below.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(old, Mapping)
            and value.get("kind", old.get("kind")) == old.get("kind")
        ):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def resolve(flags: Settings, recipe: str | None = None, config: Path | None = None) -> tuple[str, Config]:
    """The recipe's name and the settings of a run.

    The recipe is the one asked for, else the one that the file names as `recipe`, else "quick"; the file's
    other settings go over the recipe's, and the flags over both.

    Raises: InputError, one line that names the flag, or the file and its key, and the nearest known key where
            one is not known.
    """
    from_file = file_settings(config) if config else {}
    named = from_file.pop("recipe", None)
    if named is not None and not isinstance(named, str):
        raise InputError(f"{config}: recipe: expected the name of a recipe, got {named!r}")
    name = recipe or named or DEFAULT_RECIPE
    settings = merge(merge(recipe_settings(name), from_file), flags)
    try:
        return name, Config.model_validate(settings)
    except ValidationError as error:
        raise InputError(_in_one_line(error, settings, flags, config, from_file, name)) from error


def to_toml(recipe: str, config: Config) -> str:
    """A file that `resolve` reads back to the same settings."""
    return tomli_w.dumps({"recipe": recipe, **config.plain()})


def _in_one_line(
    error: ValidationError,
    settings: Settings,
    flags: Settings,
    config: Path | None,
    from_file: Settings,
    recipe: str,
) -> str:
    """The first error, with the flag or the file and key that it came from."""
    first = error.errors(include_url=False)[0]
    path = _without_kinds(first["loc"], settings)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = unknown("setting", path[-1], _known_settings(path[:-1], settings))
    elif first["type"] == "union_tag_invalid":
        path, known = [*path, "kind"], first["ctx"]["expected_tags"].replace("'", "").split(", ")
        message = unknown("kind", first["ctx"]["tag"], known)
    elif first["type"] in ("model_type", "model_attributes_type"):
        message = f"expected a table, got {first['input']!r}"
    elif first["type"] == "missing":
        message = "is needed and missing"
    elif path and not isinstance(first["input"], Mapping):
        message = f"{message[0].lower()}{message[1:]}, got {first['input']!r}"
    key = ".".join(path)
    if not path:
        return message if not config else f"{config}: {message}"
    if _said(flags, path):
        return f"--{key.replace('_', '-')}: {message}"
    where = config if config and _said(from_file, path) else f"recipe {recipe}"
    return f"{where}: {key}: {message}"


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
