"""Recipes for several models that are asked together."""

from dataclasses import dataclass

from numnist.train.sources import recipe_settings, recipe_words


@dataclass(frozen=True)
class Ensemble:
    """Runs of one recipe that differ in their seed.

    name: of this recipe. members: the recipe of each. tta: whether they are shown several views of an image.
    """

    name: str
    members: str
    seeds: tuple[int, ...]
    tta: bool


def ensembles() -> dict[str, Ensemble]:
    """The recipes of this kind in the package."""
    found = {}
    for name in recipe_words():
        settings = recipe_settings(name)
        if "members" in settings:
            found[name] = Ensemble(name, settings["members"], tuple(settings["seeds"]), settings["tta"])
    return found
