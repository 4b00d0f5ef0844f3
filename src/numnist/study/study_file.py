"""What a study is: a TOML file with a base recipe, factors with levels, seeds, and what is measured."""

import copy
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from numnist.errors import InputError, unknown
from numnist.files import read_toml
from numnist.study.defects import DEFECTS
from numnist.train.config_errors import wrong_value

Settings = dict[str, Any]

Name = Annotated[str, Field(min_length=1, max_length=60)]

Measure = Literal["test_accuracy", "test_loss", "val_accuracy", "val_loss"]
"""What the levels are compared by."""


class Part(BaseModel):
    """A part of the file: an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Level(Part):
    """One value of a factor.

    settings: over those of the factor. choose: settings of which the best value on validation is taken, each
    with its values ({"optim.lr" = [0.01, 0.1]}). defect: a mistake to be made on purpose (see `defects`).
    """

    settings: Settings = {}
    choose: dict[Name, Annotated[list[Any], Field(min_length=1)]] = {}
    defect: str | None = None

    @model_validator(mode="after")
    def _defect_is_known(self) -> "Level":
        if self.defect is not None and self.defect not in DEFECTS:
            raise ValueError(unknown("defect", self.defect, DEFECTS))
        nested(dict.fromkeys(self.choose))
        return self


class Claim(Part):
    """What somebody says of a factor: this level is better (worse, the same) than that.

    as_it_was: two levels, compared in the same way, that repeat a mistake of whoever said so. Where the claim
    does not hold, and holds of these two, it is an artefact of the mistake.
    """

    level: Name
    than: Name
    effect: Literal["better", "worse", "same"]
    as_it_was: Annotated[tuple[Name, Name] | None, Field(description="level, than")] = None


class Factor(Part):
    """Levels that differ in one thing, and the one that the others are compared to.

    title: what it is called in a table. said: the verdict that the claims put in figures. settings: of all
    levels. repeats: the factor of which this one is the same with other settings (a longer budget).
    """

    base: Name
    levels: Annotated[dict[Name, Level], Field(min_length=1)]
    title: str = ""
    said: str = ""
    settings: Settings = {}
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None
    claims: list[Claim] = []
    repeats: Name | None = None

    @model_validator(mode="after")
    def _levels_are_known(self) -> "Factor":
        named = [self.base]
        for claim in self.claims:
            named += [claim.level, claim.than, *(claim.as_it_was or ())]
        for name in named:
            if name not in self.levels:
                raise ValueError(unknown("level", name, self.levels))
        return self


class StudyFile(Part):
    """A study. settings: of all its runs, over the recipe's. choice_seeds: of runs that choose a setting."""

    recipe: str = "quick"
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    choice_seeds: list[Annotated[int, Field(ge=0)]] = []
    measure: Measure = "test_accuracy"
    settings: Settings = {}
    factors: Annotated[dict[Name, Factor], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> "StudyFile":
        for name, factor in self.factors.items():
            if factor.repeats is not None and factor.repeats not in self.factors:
                raise ValueError(f"factors.{name}.repeats: {unknown('factor', factor.repeats, self.factors)}")
            if any(level.choose for level in factor.levels.values()) and not self.choice_seeds:
                raise ValueError(f"factors.{name}: a level that chooses needs choice_seeds in the study")
        for seeds in (
            self.seeds,
            self.choice_seeds,
            *(factor.seeds or [] for factor in self.factors.values()),
        ):
            if len(set(seeds)) < len(seeds):
                raise ValueError(f"seeds: expected different ones, got {seeds}")
        return self


def nested(values: Mapping[str, Any]) -> Settings:
    """Dotted keys as tables: {"optim.kind": "sgd", "optim.lr": 1} -> {"optim": {"kind": "sgd", "lr": 1}}."""
    found: Settings = {}
    for key, value in values.items():
        *way, last = key.split(".")
        inner = found
        for step in way:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                raise ValueError(f"{key}: {step} has a value of its own beside it")
        if last in inner:
            raise ValueError(f"{key}: expected either this table or keys in it")
        inner[last] = copy.deepcopy(value)
    return found


def shipped() -> dict[str, str]:
    """The studies in the package: name -> first line, which says what it is."""
    folder = resources.files("numnist.study") / "studies"
    found = {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
    return dict(sorted(found.items()))


def read_study(named: str) -> tuple[str, StudyFile]:
    """The name and the contents of a study: one of the package, or a file.

    Raises: InputError naming the file and the key that is wrong, or the study that nobody knows.
    """
    path = Path(named)
    if named in shipped() and not path.is_file():
        text = (resources.files("numnist.study") / "studies" / f"{named}.toml").read_text(encoding="utf-8")
        return named, parse_study(tomllib.loads(text), named)
    if path.suffix != ".toml" and not path.exists():
        raise InputError(f"{unknown('study', named, shipped())} Or name a .toml file")
    return path.stem, parse_study(read_toml(path, "a TOML file of a study"), named)


def parse_study(values: Mapping[str, Any], place: str) -> StudyFile:
    """A study from plain values; InputError naming the place and the key that is wrong."""
    try:
        return StudyFile.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        words = wrong_value(first)
        if first["type"] == "extra_forbidden":
            words = unknown("key", first["loc"][-1], _known_keys(first["loc"][:-1]))
        raise InputError(f"{place}: {key + ': ' if key else ''}{words}") from error


def _known_keys(path: tuple[int | str, ...]) -> list[str]:
    """The keys that a study has at this place."""
    tables: dict[int, type[Part]] = {0: StudyFile, 2: Factor, 4: Claim if "claims" in path else Level}
    return list(tables.get(len(path), StudyFile).model_fields)
