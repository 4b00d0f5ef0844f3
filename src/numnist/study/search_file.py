"""What a search is: a TOML file with a recipe, a space of settings, and how many are tried."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError, model_validator

from numnist.errors import InputError, unknown
from numnist.files import read_toml
from numnist.study.study_file import Name, Part, Settings, nested
from numnist.train import Config, recipes
from numnist.train.config_errors import Sources, in_one_line, wrong_value
from numnist.train.sources import merge, recipe_settings

if TYPE_CHECKING:
    from optuna import Trial


class Dimension(Part):
    """The values of one setting: some (`values`), or all between two (`low`, `high`).

    Numbers are integers where both ends are. log: as many between 0.001 and 0.01 as between 0.01 and 0.1.
    """

    values: Annotated[list[Any], Field(min_length=1)] | None = None
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Dimension":
        if self.values is not None:
            if (self.low, self.high, self.log) != (None, None, False):
                raise ValueError("expected either values, or low and high")
        elif self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("expected values, or low and high with low < high")
        elif self.log and self.low <= 0:
            raise ValueError("low: expected more than 0 with log")
        return self

    def suggest(self, trial: "Trial", name: str) -> Any:
        """A value of it, as Optuna's sampler has it."""
        if self.values is not None:
            # By its number: a value may be a list, and no storage keeps those.
            return self.values[trial.suggest_categorical(name, list(range(len(self.values))))]
        assert self.low is not None
        assert self.high is not None
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, float(self.low), float(self.high), log=self.log)

    def ends(self) -> list[Any]:
        """Values that stand for all: what is valid at both ends is valid between them."""
        return self.values if self.values is not None else [self.low, self.high]


class SearchFile(Part):
    """A search. settings: of all trials, over the recipe's. space: dotted keys ("optim.lr") and their values.

    trials: how many are made. seed: of the runs, and of the search. prune: stop runs that are worse, at an
    epoch, than half of those before them. startup: trials drawn at random before the search learns from them.
    """

    recipe: str = "quick"
    trials: Annotated[int, Field(ge=1, le=100_000)] = 20
    startup: Annotated[int, Field(ge=1)] = 8
    seed: Annotated[int, Field(ge=0)] = 0
    prune: bool = True
    settings: Annotated[Settings, Field(default_factory=dict)]
    space: Annotated[dict[Name, Dimension], Field(min_length=1)]

    def models(self) -> list[str]:
        """The networks that may be trained."""
        dimension = self.space.get("model")
        return dimension.ends() if dimension else [self.config({}).model]

    def config(self, values: Mapping[str, Any]) -> Config:
        """The settings of a trial; ValidationError where there are no such."""
        settings = merge(recipe_settings(self.recipe), self.settings)
        return Config.model_validate(merge(settings, nested(values)) | {"seed": self.seed})


def read_search(path: Path) -> tuple[str, SearchFile]:
    """The name and the contents of a search; InputError naming the file and the key that is wrong."""
    return path.stem, parse_search(read_toml(path, "a TOML file of a search"), str(path))


def parse_search(values: Mapping[str, Any], place: str) -> SearchFile:
    """A search from plain values; InputError naming the place and the key that is wrong."""
    try:
        search = SearchFile.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        words = wrong_value(first)
        if first["type"] == "extra_forbidden":
            table = Dimension if first["loc"][0] == "space" else SearchFile
            words = unknown("key", first["loc"][-1], table.model_fields)
        raise InputError(f"{place}: {key + ': ' if key else ''}{words}") from error
    if "seed" in search.settings or "seed" in search.space:
        raise InputError(f"{place}: seed: expected as a key of the search, not among the settings")
    if search.recipe not in recipes():
        raise InputError(f"{place}: recipe: {unknown('recipe', search.recipe, recipes())}")
    for name, dimension in search.space.items():
        for value in dimension.ends():
            _check(search, {name: value}, f"{place}: space.{name}")
    return search


def _check(search: SearchFile, values: Mapping[str, Any], place: str) -> None:
    """InputError where a setting cannot have such a value."""
    ours = merge(search.settings, nested(values))
    try:
        search.config(values)
    except ValidationError as error:
        sources = Sources(merge(recipe_settings(search.recipe), ours), {}, ours, place, search.recipe)
        raise InputError(in_one_line(error, sources)) from error
