"""From a study to its runs: which there are, and which of them can be made by now."""

import hashlib
import itertools
import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import ValidationError

from numnist.data import Dataset
from numnist.errors import InputError, unknown
from numnist.nn import build
from numnist.study.defects import check_defect
from numnist.study.study_file import Factor, Level, Settings, StudyFile, nested
from numnist.train import Config, recipes
from numnist.train.config_errors import Sources, in_one_line
from numnist.train.sources import merge, recipe_settings

Role = Literal["measure", "choose"]

Row = dict[str, Any]
"""What came of a run, see `trial.run_trial`."""


@dataclass(frozen=True)
class Trial:
    """One run: it serves every factor that has a level with these settings.

    role: "choose" for a run that a setting is chosen by, which never sees the test set.
    """

    recipe: str
    config: Config
    defect: str | None
    role: Role

    @cached_property
    def key(self) -> str:
        """What tells it apart from every other run: two of one key would end in the same bytes."""
        return hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()[:16]

    def plain(self) -> dict[str, Any]:
        """As plain values: what `from_plain` takes."""
        return {
            "recipe": self.recipe,
            "settings": self.config.plain(),
            "defect": self.defect,
            "role": self.role,
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Self:
        """The trial of these values."""
        config = Config.model_validate(values["settings"])
        return cls(values["recipe"], config, values["defect"], values["role"])


@dataclass(frozen=True)
class Cell:
    """A place in a study's table: what is measured there is the row of its trial, once it is known."""

    factor: str
    level: str
    seed: int
    trial: Trial | None


class Plan:
    """All runs of a study.

    Raises: InputError naming the factor, the level and the setting that no run can have.
    """

    def __init__(self, name: str, study: StudyFile) -> None:
        self.name, self.study = name, study
        if study.recipe not in recipes():
            raise InputError(f"{name}: recipe: {unknown('recipe', study.recipe, recipes())}")
        self._base = recipe_settings(study.recipe)
        self._made: dict[tuple[str, str, str, int, Role], Trial] = {}
        for factor_name, factor in study.factors.items():
            for level_name, level in factor.levels.items():
                for chosen in _choices(level):
                    self._trial(factor_name, level_name, chosen, self.study.seeds[0], "measure")

    def cells(self, rows: Mapping[str, Row]) -> Iterator[Cell]:
        """The table, factor by factor; a trial is None while the choice that it waits for is not made.

        rows: what came of the trials so far, by their keys.
        """
        for factor_name, factor in self.study.factors.items():
            for level_name in factor.levels:
                chosen = self.chosen(factor_name, level_name, rows)
                for seed in factor.seeds or self.study.seeds:
                    trial = None
                    if chosen is not None:
                        trial = self._trial(factor_name, level_name, chosen, seed, "measure")
                    yield Cell(factor_name, level_name, seed, trial)

    def chosen(self, factor: str, level: str, rows: Mapping[str, Row]) -> Settings | None:
        """The settings that a level chooses, {} where it has nothing to choose, None while it cannot tell.

        The best is what has the highest mean accuracy on validation, the first of equals.
        """
        options = list(_choices(self.study.factors[factor].levels[level]))
        if len(options) == 1:
            return options[0]
        scores = []
        for option in options:
            found = [rows.get(trial.key) for trial in self._choosing(factor, level, option)]
            accuracies = [row["val_accuracy"] for row in found if row is not None]
            if len(accuracies) < len(found):
                return None
            scores.append(statistics.fmean(accuracies))
        return options[scores.index(max(scores))]

    def trials(self, rows: Mapping[str, Row]) -> list[Trial]:
        """Every run that is known to belong to the study, each once; first those that others wait for."""
        found: dict[str, Trial] = {}
        for factor_name, factor in self.study.factors.items():
            for level_name, level in factor.levels.items():
                options = list(_choices(level))
                for option in options if len(options) > 1 else ():
                    found |= {trial.key: trial for trial in self._choosing(factor_name, level_name, option)}
        found |= {cell.trial.key: cell.trial for cell in self.cells(rows) if cell.trial is not None}
        return list(found.values())

    def trial(self, key: str) -> Trial:
        """One that `trials` has named."""
        return next(trial for trial in self._made.values() if trial.key == key)

    def count(self, rows: Mapping[str, Row]) -> int:
        """How many runs there are in all. A level that has still to choose counts a run for each seed."""
        return len(self.trials(rows)) + len(self.waiting(rows))

    def waiting(self, rows: Mapping[str, Row]) -> list[Config]:
        """Settings like those of the runs that wait for a choice, as if the first option were chosen."""
        cells = [cell for cell in self.cells(rows) if cell.trial is None]
        options = [next(_choices(self.study.factors[cell.factor].levels[cell.level])) for cell in cells]
        return [
            self._trial(cell.factor, cell.level, option, cell.seed, "measure").config
            for cell, option in zip(cells, options, strict=True)
        ]

    def models(self) -> set[str]:
        """The networks that are trained."""
        return {trial.config.model for trial in self._made.values()}

    def check(self, dataset: Dataset) -> None:
        """InputError naming the level that cannot be trained on this data, before any run is made."""
        assert dataset.train is not None  # whoever trains has asked for it
        _, *size = dataset.train.images.shape
        for (factor, level, *_), trial in self._made.items():
            try:
                build(trial.config.model, (1, *size), dataset.classes)
                if trial.defect is not None:
                    check_defect(trial.defect, trial.config.optim.kind)
            except ValueError as error:
                raise InputError(f"{self.name}: factors.{factor}.levels.{level}: {error}") from error
            chooses = self.study.factors[factor].levels[level].choose
            if trial.config.validation == 0 and (chooses or self.study.measure.startswith("val")):
                raise InputError(
                    f"{self.name}: factors.{factor}.levels.{level}: validation: 0 images leave none to go by"
                )

    def factor(self, name: str) -> Factor:
        """A factor by name."""
        return self.study.factors[name]

    def _choosing(self, factor: str, level: str, option: Settings) -> list[Trial]:
        """The runs that say how good an option is."""
        return [self._trial(factor, level, option, seed, "choose") for seed in self.study.choice_seeds]

    def _trial(self, factor: str, level: str, chosen: Settings, seed: int, role: Role) -> Trial:
        """A trial, made once: to validate hundreds of configurations takes seconds."""
        place = (factor, level, json.dumps(chosen, default=str), seed, role)
        if place not in self._made:
            config = self._config(factor, level, chosen, seed)
            defect = self.study.factors[factor].levels[level].defect
            self._made[place] = Trial(self.study.recipe, config, defect, role)
        return self._made[place]

    def _config(self, factor: str, level: str, chosen: Settings, seed: int) -> Config:
        """The settings of a run; InputError where there are no such."""
        place = f"{self.name}: factors.{factor}.levels.{level}"
        table = self.study.factors[factor]
        ours: Settings = merge(self.study.settings, table.settings)
        ours = merge(merge(ours, table.levels[level].settings), chosen)
        if "seed" in ours:
            raise InputError(f"{place}: seed: expected in seeds, not among the settings")
        settings = merge(self._base, ours) | {"seed": seed}
        try:
            return Config.model_validate(settings)
        except ValidationError as error:
            sources = Sources(settings, {}, ours, place, self.study.recipe)
            raise InputError(in_one_line(error, sources)) from error


def _choices(level: Level) -> Iterator[Settings]:
    """Every combination of what a level chooses among; a single empty one where it does not choose."""
    for values in itertools.product(*level.choose.values()):
        yield nested(dict(zip(level.choose, values, strict=True)))
