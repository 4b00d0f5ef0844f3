"""Where settings come from: a recipe, a TOML file over it, flags over both."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from numnist.errors import InputError, unknown
from numnist.files import read_toml
from numnist.train.config import Config
from numnist.train.config_errors import Settings, Sources, in_one_line

DEFAULT_RECIPE = "quick"


def recipes() -> dict[str, str]:
    """The recipes for a run: name -> its first line, which says what it is."""
    return {name: words for name, words in recipe_words().items() if "members" not in recipe_settings(name)}


def recipe_words() -> dict[str, str]:
    """All recipes in the package, those of several models too (see `ensembles`): name -> first line."""
    folder = resources.files("numnist.train") / "recipes"
    found = {
        Path(entry.name).stem: entry.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
    return dict(sorted(found.items()))


def recipe_settings(name: str) -> dict[str, Any]:
    """The settings of one of the recipes in the package."""
    text = (resources.files("numnist.train") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def merge(below: Settings, above: Settings) -> dict[str, Any]:
    """Settings of two sources: what `above` says holds, tables are merged key by key.

    A table of another `kind` replaces the one below it whole: the other kind's hyperparameters mean nothing
    to it.
    """
    merged = dict(below)
    for key, value in above.items():
        old = below.get(key)
        if (
            isinstance(value, dict)
            and isinstance(old, dict)
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
    from_file = read_toml(config, "a TOML file of settings") if config else {}
    named = from_file.pop("recipe", None)
    if named is not None and not isinstance(named, str):
        raise InputError(f"{config}: recipe: expected the name of a recipe, got {named!r}")
    name = recipe or named or DEFAULT_RECIPE
    if name not in recipes():
        place = f"{config}: recipe" if recipe is None else "--recipe"
        if name in recipe_words():
            raise InputError(f"{place}: {name} is several runs: give it as numnist train --recipe {name}")
        raise InputError(f"{place}: {unknown('recipe', name, recipe_words())}")
    settings = merge(merge(recipe_settings(name), from_file), flags)
    try:
        return name, Config.model_validate(settings)
    except ValidationError as error:
        sources = Sources(settings, flags, from_file, str(config), name)
        raise InputError(in_one_line(error, sources)) from error


def changed_settings(recipe: str, config: Config) -> list[str]:
    """The settings in which a run differs from its recipe, the seed apart: ["epochs", "optim"]."""
    plain, of_recipe = config.plain(), resolve({}, recipe)[1].plain()
    return sorted(key for key in plain | of_recipe if key != "seed" and plain.get(key) != of_recipe.get(key))


def to_toml(recipe: str, config: Config) -> str:
    """A file that `resolve` reads back to the same settings."""
    return tomli_w.dumps({"recipe": recipe, **config.plain()})
